package report

import (
	"encoding/binary"
	"io"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

// IPFIX (RFC 7011) with both directions of a flow in one record (RFC 5103). A
// message:
//
//	version 10 | length | export time | sequence number | observation domain
//	set: id | length | records ...
//
// Set 2 is templates: id, number of fields, and of each field the information
// element, its length and, where the element is no one of IANA's, the enterprise
// number. What goes from server to client is in elements of the enterprise 29305,
// which stands for "reverse". A length of 65535 is one that each value begins
// with.
const (
	ipfixVersion   = 10
	ipfixTemplates = 2 // the set that holds templates
	ipfixReverse   = 29305
	ipfixVaries    = 65535

	ipfixDomain  = 1
	ipfixV4      = 256
	ipfixV6      = 257
	ipfixMost    = 1400 // bytes of a message: below what an Ethernet frame holds
	ipfixRefresh = 20   // messages between two with the templates, over UDP
)

type ipfixField struct {
	element    uint16 // number in the registry of IANA
	length     uint16
	enterprise uint32
}

// ipfixFields are the elements of a record in their order. Lengths of bytes are
// of the frames as captured, link header included: what IP alone would count
// is not known of every link.
func ipfixFields(v6 bool) []ipfixField {
	source, destination, size, icmp := uint16(8), uint16(12), uint16(4), uint16(32)
	if v6 {
		source, destination, size, icmp = 27, 28, 16, 139
	}
	return []ipfixField{
		{source, size, 0},
		{destination, size, 0},
		{7, 2, 0},            // sourceTransportPort
		{11, 2, 0},           // destinationTransportPort
		{4, 1, 0},            // protocolIdentifier
		{152, 8, 0},          // flowStartMilliseconds
		{153, 8, 0},          // flowEndMilliseconds
		{2, 8, 0},            // packetDeltaCount
		{1, 8, 0},            // octetDeltaCount
		{2, 8, ipfixReverse}, // reversePacketDeltaCount
		{1, 8, ipfixReverse}, // reverseOctetDeltaCount
		{6, 2, 0},            // tcpControlBits
		{6, 2, ipfixReverse}, // reverseTcpControlBits
		{136, 1, 0},          // flowEndReason
		{239, 1, 0},          // biflowDirection
		{58, 2, 0},           // vlanId
		{56, 6, 0},           // sourceMacAddress
		{80, 6, 0},           // destinationMacAddress
		{icmp, 2, 0},         // icmpTypeCodeIPv4 or icmpTypeCodeIPv6
		{96, ipfixVaries, 0}, // applicationName
	}
}

// ipfixFlows exports flows to a collector. Each write is one message.
type ipfixFlows struct {
	w        io.Writer
	datagram bool // over UDP templates get lost, and are repeated
	set      []byte
	id       uint16 // of the set
	records  uint32
	sequence uint32 // records before this message
	messages int
	now      int64 // export time: the latest end of a flow, for the packets' time is the time here
}

// NewIPFIX exports flows as IPFIX messages, each in one write; datagram says that
// each is one packet, which may get lost.
func NewIPFIX(w io.Writer, datagram bool) FlowWriter { return &ipfixFlows{w: w, datagram: datagram} }

func (x *ipfixFlows) Flow(f *flows.Flow, _ *rules.Verdict) error {
	id := uint16(ipfixV4)
	if f.Client.Addr().Is6() {
		id = ipfixV6
	}
	r := ipfixRecord(f)
	if id != x.id || len(x.set)+len(r) > ipfixMost {
		if err := x.flush(); err != nil {
			return err
		}
		x.id = id
	}
	x.now = max(x.now, f.End)
	x.set = append(x.set, r...)
	x.records++
	return nil
}

func (x *ipfixFlows) Close() error { return x.flush() }

// flush sends the records gathered, with the templates where they are due.
func (x *ipfixFlows) flush() error {
	if x.records == 0 {
		return nil
	}
	if x.messages == 0 || x.datagram && x.messages%ipfixRefresh == 0 {
		set := append(ipfixTemplate(ipfixV4, false), ipfixTemplate(ipfixV6, true)...)
		if err := x.message(ipfixTemplates, set); err != nil {
			return err
		}
	}
	if err := x.message(x.id, x.set); err != nil {
		return err
	}
	x.sequence += x.records
	x.set, x.records = x.set[:0], 0
	return nil
}

func (x *ipfixFlows) message(id uint16, set []byte) error {
	x.messages++
	b := make([]byte, 0, 20+len(set))
	b = binary.BigEndian.AppendUint16(b, ipfixVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(set)))
	b = binary.BigEndian.AppendUint32(b, uint32(x.now/1e9))
	b = binary.BigEndian.AppendUint32(b, x.sequence)
	b = binary.BigEndian.AppendUint32(b, ipfixDomain)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(set)))
	_, err := x.w.Write(append(b, set...))
	return err
}

func ipfixTemplate(id uint16, v6 bool) []byte {
	fields := ipfixFields(v6)
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		element := f.element
		if f.enterprise != 0 {
			element |= 0x8000
		}
		b = binary.BigEndian.AppendUint16(b, element)
		b = binary.BigEndian.AppendUint16(b, f.length)
		if f.enterprise != 0 {
			b = binary.BigEndian.AppendUint32(b, f.enterprise)
		}
	}
	return b
}

func ipfixRecord(f *flows.Flow) []byte {
	b := append(f.Client.Addr().AsSlice(), f.Server.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, f.Client.Port())
	b = binary.BigEndian.AppendUint16(b, f.Server.Port())
	b = append(b, f.Proto)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Start/1e6))
	b = binary.BigEndian.AppendUint64(b, uint64(f.End/1e6))
	b = binary.BigEndian.AppendUint64(b, f.Packets[0])
	b = binary.BigEndian.AppendUint64(b, f.Bytes[0])
	b = binary.BigEndian.AppendUint64(b, f.Packets[1])
	b = binary.BigEndian.AppendUint64(b, f.Bytes[1])
	b = binary.BigEndian.AppendUint16(b, ipfixFlags(f, true))
	b = binary.BigEndian.AppendUint16(b, ipfixFlags(f, false))
	// flowEndReason (RFC 5102 section 5.11.3): 1 idle, 3 end detected, 4 forced,
	// 5 lack of resources.
	reason := byte(4)
	switch f.Ended {
	case flows.Closed, flows.Reset:
		reason = 3
	case flows.Idle:
		reason = 1
	case flows.Evicted:
		reason = 5
	}
	direction := byte(1) // the source is the initiator (RFC 5103 section 6.3)
	if f.Oriented == flows.ByFirstPacket {
		direction = 0
	}
	b = append(b, reason, direction)
	vlan := uint16(0)
	if len(f.VLANs) > 0 {
		vlan = f.VLANs[0]
	}
	b = binary.BigEndian.AppendUint16(b, vlan)
	b = append(append(b, f.ClientMAC[:]...), f.ServerMAC[:]...)
	t, code, _ := icmpType(f)
	b = append(b, byte(t), byte(code))
	app := f.App[:min(len(f.App), 254)]
	return append(append(b, byte(len(app))), app...)
}

// ipfixFlags are the TCP flags that one direction was seen to send, from Zeek's
// letters: of the client in capitals.
func ipfixFlags(f *flows.Flow, client bool) uint16 {
	var flags uint16
	history := f.TCP.History
	has := func(letter string) bool {
		if !client {
			letter = strings.ToLower(letter)
		}
		return strings.Contains(history, letter)
	}
	for _, x := range []struct {
		letter string
		flags  uint16
	}{{"S", 0x02}, {"H", 0x12}, {"A", 0x10}, {"D", 0x18}, {"F", 0x11}, {"R", 0x04}} {
		if has(x.letter) {
			flags |= x.flags
		}
	}
	return flags
}
