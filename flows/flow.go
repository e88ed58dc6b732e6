package flows

import (
	"net/netip"
	"strconv"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// The two halves of a Pair: what the client sent, what the server sent.
const (
	ToServer = dissect.ToServer
	ToClient = dissect.ToClient
)

// IP protocol numbers that the table knows by name.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// ProtoName is the record's word for an IP protocol: a name, or the number.
func ProtoName(proto uint8) string {
	switch proto {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMP:
		return "icmp"
	case ProtoICMPv6:
		return "icmpv6"
	case ProtoSCTP:
		return "sctp"
	}
	return strconv.Itoa(int(proto))
}

// ProtoText is an IP protocol for people: its name, or ip/ and the number.
func ProtoText(proto uint8) string {
	switch proto {
	case 2:
		return "igmp"
	case 4:
		return "ipip"
	case 41:
		return "ipv6"
	case 46:
		return "rsvp"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 88:
		return "eigrp"
	case 89:
		return "ospf"
	case 103:
		return "pim"
	case 112:
		return "vrrp"
	case 115:
		return "l2tp"
	}
	name := ProtoName(proto)
	if name[0] <= '9' {
		return "ip/" + name
	}
	return name
}

// Pair is one number for each direction, indexed by dissect.Dir:
// client to server, server to client.
type Pair [2]uint64

// Sum is both directions together.
func (p Pair) Sum() uint64 { return p[0] + p[1] }

// Orientation says how it is known which end is the client.
type Orientation uint8

// From the surest to the least sure.
const (
	BySYN         Orientation = iota // a SYN or a SYN-ACK was seen; for ICMP echo, the request
	ByProtocol                       // the bytes are those of a client or of a server
	ByPort                           // one port is a known listener's, or the only one that no client is given
	ByFirstPacket                    // nothing better: whoever was seen first
)

func (o Orientation) String() string {
	return [...]string{"syn", "protocol", "port", "first_packet"}[o]
}

// EndReason says why a flow is over.
type EndReason uint8

// The reasons, each flow has one.
const (
	CaptureEnd EndReason = iota // still open when the capture ended
	Closed                      // FIN from both ends
	Reset                       // RST
	Idle                        // nothing for longer than its timeout
	Evicted                     // the table was full
)

func (e EndReason) String() string {
	return [...]string{"capture_end", "closed", "reset", "idle", "evicted"}[e]
}

// ConnState is how a TCP connection went, in Zeek's words.
type ConnState uint8

// The conn_state values of Zeek's conn.log.
const (
	StateOTH    ConnState = iota // no SYN seen: traffic midway
	StateS0                      // SYN, no answer
	StateS1                      // established, not ended
	StateSF                      // established and ended by both
	StateREJ                     // SYN answered by RST
	StateS2                      // established, the client closed, the server did not
	StateS3                      // established, the server closed, the client did not
	StateRSTO                    // established, reset by the client
	StateRSTR                    // reset by the server
	StateRSTOS0                  // SYN, then RST from the client; no SYN-ACK seen
	StateRSTRH                   // SYN-ACK, then RST from the server; no SYN seen
	StateSH                      // SYN, then FIN from the client; no SYN-ACK seen
	StateSHR                     // SYN-ACK, then FIN from the server; no SYN seen
)

func (s ConnState) String() string {
	return [...]string{"OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"}[s]
}

// ICMPError is an ICMP or ICMPv6 error that quoted a packet of the flow.
type ICMPError struct {
	Type, Code uint8
	From       netip.Addr // who sent the error: the host, or a device on the path
	Frame      pcaps.FrameID
}

// TCP is what the headers of a TCP flow say. Frames are 0 when there was none.
type TCP struct {
	State   ConnState
	History string // Zeek's letters: S H A D F R ... from the client, lower case from the server, ^ when the ends were swapped

	PortsOnly     bool   // of none of its headers more than the ports was captured: how it went is not known
	SYNs, SYNACKs uint32 // transmissions of each, mirror copies left out
	Acked         bool   // the client acknowledged the SYN-ACK
	ScanFlags     bool   // as FIN, NULL and Xmas scans send: what the client sent neither opens nor acknowledges nor resets, which no stack sends
	RTT           int64  // nanoseconds from SYN to the ACK of the SYN-ACK; 0 when unknown

	// TTL or hop limit of the first packets of each direction, resets left out;
	// 0 when there are none, or nothing but SYNs.
	TTL      [2]uint8
	Routed   [2]bool // copies had another: packets are there from before and from behind a router
	ResetBy  ResetBy
	ResetTTL uint8 // TTL or hop limit of the first RST
	ResetOdd bool  // its numbers are not those that the end would have given it

	// Initial sequence numbers, where SYNs and SYNACKs are not 0.
	ISN [2]uint32

	SYNACKFrame pcaps.FrameID
	ResetFrame  pcaps.FrameID
	DataFrame   [2]pcaps.FrameID // first payload of each direction

	// Unanswered is how many retransmissions each direction ended on after the
	// last packet of the other: segments sent into nothing.
	Unanswered      [2]uint32
	UnansweredFrame pcaps.FrameID // the first of them
	// Stalled is the longest such run at any time, before it was answered or
	// the connection was given up, and the frame of its first retransmission.
	Stalled      [2]uint32
	StalledFrame [2]pcaps.FrameID
	// LargeLost says that the segment sent again in that run is longer than
	// what the other end reported to have received behind it: it is not the
	// direction that is closed.
	LargeLost [2]bool

	AckedData [2]bool // the other end acknowledged payload of this direction
	Unseen    [2]bool // it acknowledged bytes at the end of this direction that the capture lacks, or a reset came behind them

	// The longest time in which the sender of this direction said that it could
	// take nothing more (nanoseconds, as far as packets tell), the frame where
	// that began, and whether it lasted to the end of the flow.
	ZeroWindow      [2]int64
	ZeroWindowFrame [2]pcaps.FrameID
	StillShut       [2]bool

	// The longest silence between two packets, after payload had flowed both
	// ways and been acknowledged: how long (nanoseconds), and the frame that
	// ended it.
	LongestIdle      int64
	LongestIdleFrame pcaps.FrameID

	// The packets of these frames counted among those of the flow, from 1 on.
	// Which came first can be told by that alone: the frames may be of captures
	// that were made side by side.
	DataNth, StalledNth      [2]uint32
	LongestIdleNth, ResetNth uint32
}

// ResetBy says which end sent the first RST.
type ResetBy uint8

// The zero value: nobody.
const (
	ResetByNobody ResetBy = iota
	ResetByClient
	ResetByServer
)

func (r ResetBy) String() string { return [...]string{"", "client", "server"}[r] }

// MAC is an Ethernet address; the zero value is unknown.
type MAC [6]byte

// Flow is one flow as the rest of the program sees it: both directions of one
// five-tuple from its first packet to its end. A Table hands it out and reuses
// it: keep none of it beyond the call.
//
// The table itself keeps flows in a denser form (table.go).
type Flow struct {
	ID    uint64 // 1-based, in the order in which the flows began
	Frame pcaps.FrameID
	Start int64 // nanoseconds since 1970
	End   int64
	Proto uint8 // IP protocol number

	// Client opened the flow. The ports of ICMP flows are not ports: they are
	// 0, and EchoID is the echo identifier where there is one.
	Client, Server       netip.AddrPort
	ClientMAC, ServerMAC MAC
	EchoID               uint16
	icmp                 uint16 // type<<8 | code of ICMP flows; of the request, for echoes
	Oriented             Orientation

	// A fragmented datagram is one packet, the frame that completed it; the
	// frames of its other fragments are in Fragments and FragmentBytes.
	Packets, Bytes, Payload                      Pair // every copy counted; bytes on the wire, payload of the transport
	Fragments, FragmentBytes                     Pair
	Missed, Retransmitted, OutOfOrder, Duplicate Pair // bytes; packets; packets; packets

	ICMP []ICMPError // errors that quoted this flow, the first few

	VLANs  []uint16 // tags of the first packet of each direction, outermost first, distinct
	Tunnel []string // encapsulations, outermost first: "vlan:20", "vxlan:42", "erspan:7"

	TCP   TCP
	Ended EndReason

	App      string // protocol name, "" when unknown
	AppBasis dissect.Basis
	Facts    *dissect.Facts // never nil
	Dissect  DissectNote

	detailed bool // the table wrote more than what every flow has
}

// DissectNote says what kept the dissection from being complete.
type DissectNote struct {
	Lost      bool  // bytes were missing: capture loss or snap length
	Late      bool  // the capture began after the flow did
	Undecided bool  // all that was said may be the beginning of the protocol that is usual on the port
	Malformed error // the bytes contradict the protocol
}

// OneSided says that packets of one direction only were captured although the
// other end must have answered: the capture point sees one direction. It is
// not said of a SYN that nobody answered.
func (f *Flow) OneSided() bool {
	switch {
	case f.Packets[0] > 0 && f.Packets[1] > 0, f.Proto != ProtoTCP:
		return false
	case f.Packets[1] == 0:
		return f.TCP.Acked || f.Payload[0] > 0
	}
	return true
}
