package flows

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"

	"wirechart/pcaps"
)

// Outcome says how far the headers of a frame could be read. Every frame has
// one, and Stats counts them: nothing is dropped without a cause.
type Outcome uint8

// The outcomes.
const (
	Decoded     Outcome = iota // up to the transport header, or to an IP protocol without ports
	NotIP                      // ARP, STP, LLDP, beacons of 802.11 ...
	Truncated                  // the capture cut the frame inside a header
	Malformed                  // a header contradicts itself
	Fragment                   // part of a datagram that is not complete yet
	UnknownLink                // the link type is not understood
	PortsOnly                  // the capture cut the frame inside the transport header, behind the ports: a packet of its flow
	Encrypted                  // below IP, by the link: 802.11, MACsec
	outcomes
)

func (o Outcome) String() string {
	return [outcomes]string{"decoded", "not IP", "truncated", "malformed", "fragment", "unknown link type", "ports only", "encrypted"}[o]
}

// hasFlow says whether a packet of this outcome is counted for a flow.
func (o Outcome) hasFlow() bool { return o == Decoded || o == PortsOnly }

// address is an IPv4 or IPv6 address without a pointer: IPv6 in network order
// as two numbers, IPv4 in the low 32 bits of lo. Which of the two it is, is
// said beside it.
type address struct{ hi, lo uint64 }

func (a address) netip(v6 bool) netip.Addr {
	if !v6 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(a.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b)
}

func (a address) less(b address) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// TCP flags, as in the header.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// tag is one encapsulation in front of the innermost IP header.
type tag struct {
	kind tagKind
	id   uint32
}

type tagKind uint8

const (
	tagNone tagKind = iota
	tagVLAN
	tagMPLS
	tagPPPoE
	tagCMD
	tagVNTag
	tagGRE
	tagERSPAN
	tagVXLAN
	tagGENEVE
	tagIPIP
	tagGTP
	tagNSH
	tagAH
	tagTeredo
	tagMACsec
	tagL2TP
	tagCAPWAP
	tagPIM
	tagFabricPath
	tagKinds
)

var tagNames = [tagKinds]string{"", "vlan", "mpls", "pppoe", "cmd", "vntag", "gre", "erspan", "vxlan", "geneve", "ipip", "gtp", "nsh", "ah", "teredo", "macsec", "l2tp", "capwap", "pim", "fabricpath"}

func (t tag) String() string { return tagNames[t.kind] + ":" + strconv.FormatUint(uint64(t.id), 10) }

const maxTags = 6 // encapsulations kept of one frame; more are read and not recorded

// tags is comparable, so that the encapsulations of a flow can be interned.
type tags [maxTags]tag

// segment is one decoded packet: the innermost IP header that could be read and
// the transport header behind it. It has no pointers but those to the frame.
type segment struct {
	src, dst         address
	srcPort, dstPort uint16 // TCP, UDP, SCTP; ICMP: see icmp
	proto            uint8
	v6               bool
	outcome          Outcome

	flags    uint8 // TCP
	ttl      uint8
	echo     echoKind // ICMP
	seq, ack uint32   // TCP; seq also of ICMP echoes, and elsewhere a digest of the payload
	window   uint16   // TCP, unscaled
	sack     uint32   // TCP: the shortest run of bytes that a bare acknowledgement reports behind a hole; 0 for none
	checksum uint16   // of the transport header, as captured
	ipID     uint32   // 0 when there is none, as in IPv6 without fragments

	wireLen    uint32 // bytes of the frame on the wire
	cut        int    // bytes of the frame that were not captured
	room       int    // bytes that the header before IP leaves for it; 0 when it does not say
	parts      uint32 // a reassembled datagram: frames of its other fragments
	partBytes  uint32 // and their bytes on the wire
	payloadLen uint32 // transport payload that the headers claim, bytes
	payload    []byte // what was captured of it

	depth  uint8 // encapsulations so far
	tags   tags
	srcMAC MAC

	fragment fragment // valid when outcome is Fragment
	bare     bool     // outcome is PortsOnly, and not even the flags of TCP are there
	isError  bool     // an ICMP error: the packet that it is about is quoted in the payload
	lan      bool     // outcome is NotIP, and the frame is one that every Ethernet has

	key   key    // of the flow; filled in by the table, like what follows
	hash  uint32 //
	fromB bool   // the source is the key's upper endpoint
}

type echoKind uint8

const (
	notEcho echoKind = iota
	echoRequest
	echoReply
)

// fragment is the IP header's part of a fragment.
type fragment struct {
	id     uint32
	offset uint32 // bytes
	more   bool
	proto  uint8
}

// Ethernet types and IP protocols that lead further.
const (
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
	etherOldQinQ = 0x9100
	etherMPLS    = 0x8847
	etherMPLSMC  = 0x8848
	etherPPPoE   = 0x8864
	etherCMD     = 0x8909 // Cisco MetaData (security group tags)
	etherVNTag   = 0x8926
	etherTEB     = 0x6558 // transparent Ethernet bridging
	etherERSPAN  = 0x88be // types I and II
	etherERSPAN3 = 0x22eb
	etherPPP     = 0x880b
	etherNSH     = 0x894f
	etherMACsec  = 0x88e5
	etherFabric  = 0x8903 // Cisco FabricPath
	etherARP     = 0x0806
	etherRARP    = 0x8035
	etherSlow    = 0x8809 // LACP and others
	etherEAPOL   = 0x888e
	etherLLDP    = 0x88cc

	protoHopOpts  = 0
	protoIPIP     = 4
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoDstOpts  = 60
	protoEtherIP  = 97
	protoPIM      = 103
	protoMobility = 135
	protoEthernet = 143 // RFC 8986 section 9

	portVXLAN      = 4789
	portVXLANLinux = 8472
	portVXLANGPE   = 4790
	portGENEVE     = 6081
	portGTPU       = 2152
	portGTP0       = 3386
	portTeredo     = 3544
	portMPLS       = 6635 // RFC 7510
	portL2TP       = 1701
	portCAPWAP     = 5247 // its data

	maxDepth = 10 // headers of encapsulation read of one frame: nesting bombs end here
)

// decode reads the headers of p into s, whatever was in s before.
//
// The path is that of the bytes: link, then network with whatever is in front
// of IP, then IP, then transport; a tunnel leads back to link or network. IPv4
// and IPv6 meet before the transport switch.
func (s *segment) decode(p *pcaps.Packet) {
	if s.plain(p) {
		if p.Tag != 0 {
			s.tag(p.Tag)
		}
		return
	}
	s.reset(p)
	if p.Tag != 0 {
		s.tag(p.Tag)
	}
	s.outcome = s.link(p.Link, p.Data)
}

// tag takes a VLAN tag that is not in the frame.
func (s *segment) tag(tag uint32) {
	s.push(tagVLAN, tag&0xfff)
	s.wireLen += 4
}

// plain reads the commonest of frames and no other: Ethernet, an IPv4 header
// without options of a whole datagram, TCP, all headers captured. Every offset
// is known, and so nothing is looked at twice. It leaves s as the long way
// would; a test holds the two together.
func (s *segment) plain(p *pcaps.Packet) bool {
	const tcp = 14 + 20
	b := p.Data
	if len(b) < tcp+20 || p.Link != pcaps.LinkEthernet || binary.BigEndian.Uint32(b[12:])>>8 != etherIPv4<<8|0x45 ||
		b[14+9] != ProtoTCP || binary.BigEndian.Uint16(b[14+6:])&0x3fff != 0 {
		return false
	}
	total, off := int(binary.BigEndian.Uint16(b[14+2:])), int(b[tcp+12]>>4)*4
	if off < 20 || total < 20+off || len(b) < tcp+off {
		return false
	}
	s.src = address{0, uint64(binary.BigEndian.Uint32(b[14+12:]))}
	s.dst = address{0, uint64(binary.BigEndian.Uint32(b[14+16:]))}
	ports := binary.BigEndian.Uint32(b[tcp:])
	s.srcPort, s.dstPort = uint16(ports>>16), uint16(ports)
	s.proto, s.v6, s.outcome = ProtoTCP, false, Decoded
	s.flags, s.ttl, s.echo = b[tcp+13], b[14+8], notEcho
	s.seq, s.ack = binary.BigEndian.Uint32(b[tcp+4:]), binary.BigEndian.Uint32(b[tcp+8:])
	s.window, s.checksum = binary.BigEndian.Uint16(b[tcp+14:]), binary.BigEndian.Uint16(b[tcp+16:])
	s.ipID = uint32(binary.BigEndian.Uint16(b[14+4:]))
	s.wireLen, s.cut, s.room = uint32(p.WireLen), max(p.WireLen-len(b), 0), 0
	s.parts, s.partBytes = 0, 0
	s.payload, s.payloadLen = b[tcp+off:min(14+total, len(b))], uint32(total-20-off)
	s.sack = 0
	if off > 20 && s.payloadLen == 0 {
		s.sack = shortestSACK(b[tcp+20:tcp+off], s.ack)
	}
	s.srcMAC = MAC(b[6:12])
	s.isError, s.lan, s.bare = false, false, false
	if s.depth > 0 {
		s.tags = tags{}
		s.depth = 0
	}
	return true
}

func (s *segment) reset(p *pcaps.Packet) {
	s.srcPort, s.dstPort, s.proto, s.v6 = 0, 0, 0, false
	s.flags, s.echo, s.ipID, s.checksum = 0, notEcho, 0, 0
	s.seq, s.ack, s.window = 0, 0, 0
	s.wireLen, s.cut, s.parts, s.partBytes = uint32(p.WireLen), max(p.WireLen-len(p.Data), 0), 0, 0
	s.payload, s.payloadLen = nil, 0
	s.isError, s.lan, s.bare, s.room = false, false, false, 0
	s.srcMAC = MAC{}
	if s.depth > 0 {
		s.tags = tags{}
		s.depth = 0
	}
}

// push records one encapsulation.
func (s *segment) push(kind tagKind, id uint32) bool {
	if s.depth >= maxDepth {
		return false
	}
	if s.depth < maxTags {
		s.tags[s.depth] = tag{kind, id}
	}
	s.depth++
	return true
}

// link reads the link header.
func (s *segment) link(t pcaps.LinkType, b []byte) Outcome {
	switch t {
	case pcaps.LinkEthernet:
		return s.ethernet(b)
	case pcaps.LinkRaw, pcaps.LinkRawBSD12, pcaps.LinkRawBSD14, pcaps.LinkIPv4, pcaps.LinkIPv6:
		return s.rawIP(b)
	case pcaps.LinkNull, pcaps.LinkLoop:
		if len(b) < 4 {
			return Truncated
		}
		return s.rawIP(b[4:]) // the family's numbers differ between systems; the version nibble does not
	case pcaps.LinkFDDI:
		return s.fddi(b)
	case pcaps.LinkTokenRing:
		return s.tokenRing(b)
	case pcaps.LinkLinuxSLL:
		if len(b) < 16 {
			return Truncated
		}
		if binary.BigEndian.Uint16(b[4:]) == 6 {
			s.srcMAC = MAC(b[6:12])
		}
		return s.network(binary.BigEndian.Uint16(b[14:]), b[16:])
	case pcaps.LinkLinuxSLL2:
		if len(b) < 20 {
			return Truncated
		}
		if b[11] == 6 {
			s.srcMAC = MAC(b[12:18])
		}
		return s.network(binary.BigEndian.Uint16(b), b[20:])
	case pcaps.LinkPPP, pcaps.LinkPPPHDLC: // the address of Cisco's HDLC is no protocol of PPP
		if len(b) < 2 {
			return Truncated
		}
		if b[0] == 0x0f || b[0] == 0x8f {
			return s.chdlc(b)
		}
		return s.ppp(b)
	case pcaps.LinkPPPoE:
		return s.network(etherPPPoE, b)
	case pcaps.LinkCHDLC:
		return s.chdlc(b)
	case pcaps.LinkFrameRelay:
		return s.frameRelay(b)
	case pcaps.LinkIEEE80211:
		return s.wlan(b)
	case pcaps.LinkRadiotap:
		if len(b) < 4 {
			return Truncated
		}
		n := int(binary.LittleEndian.Uint16(b[2:]))
		if n < 8 {
			return Malformed
		}
		if n > len(b) {
			return Truncated
		}
		return s.wlan(b[n:])
	case pcaps.LinkPrism:
		if len(b) < 144 {
			return Truncated
		}
		return s.wlan(b[144:])
	case pcaps.LinkPPI:
		if len(b) < 8 {
			return Truncated
		}
		n := int(binary.LittleEndian.Uint16(b[2:]))
		inner := pcaps.LinkType(binary.LittleEndian.Uint32(b[4:]))
		if n < 8 || inner == pcaps.LinkPPI || inner == pcaps.LinkPKTAP {
			return Malformed
		}
		if n > len(b) {
			return Truncated
		}
		return s.link(inner, b[n:])
	case pcaps.LinkNFLOG:
		return s.nflog(b)
	case pcaps.LinkPKTAP:
		if len(b) < 12 {
			return Truncated
		}
		n := binary.LittleEndian.Uint32(b)
		inner := binary.LittleEndian.Uint32(b[8:])
		if n < 12 || inner == uint32(pcaps.LinkPKTAP) || inner == uint32(pcaps.LinkPPI) || inner > 0xffff {
			return Malformed
		}
		if int64(n) > int64(len(b)) {
			return Truncated
		}
		return s.link(pcaps.LinkType(inner), b[n:])
	case pcaps.LinkIPNET:
		if len(b) < 24 {
			return Truncated
		}
		return s.rawIP(b[24:])
	case pcaps.LinkIPoIB: // the addresses of both ends (40), then RFC 4391 section 6
		if len(b) < 44 {
			return Truncated
		}
		return s.network(binary.BigEndian.Uint16(b[40:]), b[44:])
	}
	return UnknownLink
}

func (s *segment) ethernet(b []byte) Outcome {
	if len(b) < 14 {
		return Truncated
	}
	s.srcMAC = MAC(b[6:12])
	t := binary.BigEndian.Uint16(b[12:])
	if t < 0x600 {
		return s.llc(b[14:])
	}
	return s.network(t, b[14:])
}

// llc reads an IEEE 802.2 header; only SNAP leads to IP.
func (s *segment) llc(b []byte) Outcome {
	if len(b) < 3 {
		if s.cut > 0 {
			return Truncated
		}
		return NotIP
	}
	if b[0] == 6 && b[1] == 6 {
		return s.network(etherIPv4, b[3:])
	}
	if b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 {
		s.lan = b[0] == 0x42 && b[1] == 0x42 && b[2] == 3 // spanning tree
		return NotIP
	}
	if len(b) < 8 {
		return Truncated
	}
	return s.network(binary.BigEndian.Uint16(b[6:]), b[8:])
}

// fddi reads the header of an FDDI frame: frame control (1), destination (6),
// source (6). Of asynchronous frames with LLC the control is 01010xxx.
func (s *segment) fddi(b []byte) Outcome {
	if len(b) < 13 {
		return Truncated
	}
	s.srcMAC = MAC(b[7:13])
	if b[0]&0xf8 != 0x50 {
		return NotIP
	}
	return s.llc(b[13:])
}

// tokenRing reads the header of an IEEE 802.5 frame: access control (1), frame
// control (1), destination (6), source (6), and, where the source's first bit
// says so, the route, whose length is in its first byte.
func (s *segment) tokenRing(b []byte) Outcome {
	if len(b) < 14 {
		return Truncated
	}
	s.srcMAC = MAC(b[8:14])
	llc, routed := b[1]&0xc0 == 0x40, b[8]&0x80 != 0
	s.srcMAC[0] &^= 0x80
	if !llc {
		return NotIP
	}
	if b = b[14:]; routed {
		if len(b) < 2 {
			return Truncated
		}
		n := int(b[0] & 0x1f)
		if n < 2 {
			return Malformed
		}
		if n > len(b) {
			return Truncated
		}
		b = b[n:]
	}
	return s.llc(b)
}

// wlan reads an 802.11 data frame that is not encrypted.
func (s *segment) wlan(b []byte) Outcome {
	if len(b) < 2 {
		return NotIP
	}
	return s.wlanFrame(b[0], b[1], b)
}

// wlanFrame reads an 802.11 frame with the two bytes of its frame control.
func (s *segment) wlanFrame(fc0, fc1 byte, b []byte) Outcome {
	if len(b) < 24 {
		return NotIP
	}
	if fc0&0x0c != 0x08 || fc0&0x40 != 0 {
		return NotIP // no data frame, or no data in it
	}
	if fc1&0x40 != 0 {
		return Encrypted
	}
	n := 24
	if fc1&3 == 3 {
		n += 6
	}
	if fc0&0x80 != 0 {
		n += 2
		if fc1&0x80 != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return Truncated
	}
	return s.llc(b[n:])
}

func (s *segment) chdlc(b []byte) Outcome {
	if len(b) < 4 {
		return Truncated
	}
	return s.network(binary.BigEndian.Uint16(b[2:]), b[4:])
}

func (s *segment) frameRelay(b []byte) Outcome {
	n := 0
	for { // the address ends at the byte whose lowest bit is set
		if n >= len(b) {
			return Truncated
		}
		n++
		if b[n-1]&1 != 0 {
			break
		}
	}
	if n > 4 {
		return Malformed
	}
	b = b[n:]
	if len(b) < 2 || b[0] != 3 {
		return NotIP
	}
	switch {
	case b[1] == 0xcc:
		return s.network(etherIPv4, b[2:])
	case b[1] == 0x8e:
		return s.network(etherIPv6, b[2:])
	case b[1] == 0x80 && len(b) >= 7:
		return s.network(binary.BigEndian.Uint16(b[5:]), b[7:])
	case len(b) >= 8 && b[1] == 0 && b[2] == 0x80:
		return s.network(binary.BigEndian.Uint16(b[6:]), b[8:])
	}
	return NotIP
}

// nflog reads the attributes of a netfilter log message up to the payload.
func (s *segment) nflog(b []byte) Outcome {
	const payload = 9
	if len(b) < 4 {
		return Truncated
	}
	b = b[4:]
	for len(b) >= 4 {
		n := int(binary.LittleEndian.Uint16(b))
		t := binary.LittleEndian.Uint16(b[2:])
		if n < 4 {
			return Malformed
		}
		if t == payload {
			return s.rawIP(b[4:min(n, len(b))])
		}
		n = (n + 3) &^ 3
		if n > len(b) {
			break
		}
		b = b[n:]
	}
	return NotIP
}

// ppp reads the protocol field of PPP (RFC 1661 section 2), behind the address
// and control fields of HDLC-like framing where they are sent (RFC 1662).
func (s *segment) ppp(b []byte) Outcome {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) < 1 {
		return Truncated
	}
	var t uint16
	if b[0]&1 != 0 { // compressed protocol field
		t, b = uint16(b[0]), b[1:]
	} else if len(b) >= 2 {
		t, b = binary.BigEndian.Uint16(b), b[2:]
	} else {
		return Truncated
	}
	switch t {
	case 0x21:
		return s.network(etherIPv4, b)
	case 0x57:
		return s.network(etherIPv6, b)
	case 0x281:
		return s.network(etherMPLS, b)
	}
	return NotIP
}

// rawIP begins at an IP header of either version.
func (s *segment) rawIP(b []byte) Outcome {
	if len(b) < 1 {
		return Truncated
	}
	switch b[0] >> 4 {
	case 4:
		return s.ipv4(b)
	case 6:
		return s.ipv6(b)
	}
	return NotIP
}

// network follows Ethernet types to IP.
func (s *segment) network(t uint16, b []byte) Outcome {
	switch t {
	case etherIPv4:
		return s.ipv4(b)
	case etherIPv6:
		return s.ipv6(b)
	case etherVLAN, etherQinQ, etherOldQinQ:
		return s.vlan(b)
	case etherMPLS, etherMPLSMC:
		return s.mpls(b)
	case etherPPPoE:
		return s.pppoe(b)
	case etherCMD:
		return s.metadata(b)
	case etherVNTag:
		return s.vnTag(b)
	case etherNSH:
		return s.nsh(b)
	case etherMACsec:
		return s.macsec(b)
	case etherFabric:
		return s.fabricPath(b)
	}
	s.lan = t == etherARP || t == etherRARP || t == etherSlow || t == etherEAPOL || t == etherLLDP
	return NotIP
}

// inner follows the protocol type of a tunnel's header: a whole Ethernet frame,
// or what an Ethernet type leads to. Only tunnels carry frames in frames, and
// each of them is counted, so that the nesting ends.
func (s *segment) inner(t uint16, b []byte) Outcome {
	if t == etherTEB {
		return s.ethernet(b)
	}
	return s.network(t, b)
}

// ipv4 reads an IPv4 header (RFC 791 section 3.1).
func (s *segment) ipv4(b []byte) Outcome {
	if len(b) < 20 {
		return Truncated
	}
	if b[0]>>4 != 4 {
		return Malformed
	}
	ihl := int(b[0]&0xf) * 4
	if ihl < 20 {
		return Malformed
	}
	if ihl > len(b) {
		return Truncated
	}
	s.v6 = false
	s.src = address{0, uint64(binary.BigEndian.Uint32(b[12:]))}
	s.dst = address{0, uint64(binary.BigEndian.Uint32(b[16:]))}
	s.ttl = b[8]
	s.ipID = uint32(binary.BigEndian.Uint16(b[4:]))
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case total == 0: // segmentation offload: the length is that of the frame
		total = len(b) + s.cut
	case s.room > 0:
		total = min(total, s.room)
		s.room = 0
	}
	if total < ihl {
		return Malformed
	}
	if off := binary.BigEndian.Uint16(b[6:]); off&0x3fff != 0 {
		s.fragment = fragment{id: s.ipID, offset: uint32(off&0x1fff) * 8, more: off&0x2000 != 0, proto: b[9]}
		return s.part(b[ihl:], total-ihl)
	}
	return s.transport(b[9], b[ihl:min(total, len(b))], total-ihl)
}

// ipv6 reads an IPv6 header and the extension headers (RFC 8200 sections 3, 4).
func (s *segment) ipv6(b []byte) Outcome {
	if len(b) < 40 {
		return Truncated
	}
	if b[0]>>4 != 6 {
		return Malformed
	}
	s.v6 = true
	s.src = address{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	s.dst = address{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
	s.ttl = b[7]
	s.ipID = 0
	left := int(binary.BigEndian.Uint16(b[4:]))
	next := b[6]
	b = b[40:]
	if left == 0 && (next == protoHopOpts || next == ProtoTCP || next == ProtoUDP) { // jumbogram or segmentation offload
		left = len(b) + s.cut
	}
	return s.extensions(next, b[:min(left, len(b))], left)
}

// extensions passes over the extension headers of IPv6: left bytes by the IP
// header, of which b were captured. Each takes 8 bytes at least, so the loop
// ends with b.
func (s *segment) extensions(next uint8, b []byte, left int) Outcome {
	for {
		var n int
		switch next {
		case protoHopOpts, protoRouting, protoDstOpts, protoMobility:
			if len(b) < 8 {
				return short(8, left)
			}
			n = 8 + int(b[1])*8
		case protoFragment:
			if len(b) < 8 {
				return short(8, left)
			}
			off := binary.BigEndian.Uint16(b[2:])
			s.fragment = fragment{id: binary.BigEndian.Uint32(b[4:]), offset: uint32(off &^ 7), more: off&1 != 0, proto: b[0]}
			s.ipID = s.fragment.id
			if off&^6 != 0 {
				return s.part(b[8:], left-8)
			}
			n = 8 // an atomic fragment (RFC 6946)
		default:
			return s.transport(next, b, left)
		}
		if n > left {
			return Malformed
		}
		if n > len(b) {
			return Truncated
		}
		next, b, left = b[0], b[n:], left-n
	}
}

// short is the outcome of a header of need bytes that are not all there: the
// capture cut them off, or the n bytes that the IP header leaves are too few.
func short(need, n int) Outcome {
	if n < need {
		return Malformed
	}
	return Truncated
}

// part is a fragment with n bytes, of which b were captured.
func (s *segment) part(b []byte, n int) Outcome {
	if n <= 0 || s.fragment.offset+uint32(n) > 1<<16 {
		return Malformed
	}
	s.proto = s.fragment.proto
	s.payload = b[:min(n, len(b))]
	s.payloadLen = uint32(n)
	return Fragment
}

// transport reads what IP carries: n bytes by the IP header, of which b were
// captured.
func (s *segment) transport(proto uint8, b []byte, n int) Outcome {
	s.proto = proto
	switch proto {
	case ProtoTCP:
		return s.tcp(b, n)
	case ProtoUDP:
		return s.udp(b, n)
	case ProtoICMP, ProtoICMPv6:
		return s.icmp(b, n)
	case ProtoSCTP:
		return s.sctp(b, n)
	case protoGRE:
		return s.tunnel(proto, b, n, (*segment).gre)
	case protoIPIP, protoIPv6:
		return s.tunnel(proto, b, n, (*segment).ipip)
	case protoEtherIP:
		return s.tunnel(proto, b, n, (*segment).etherIP)
	case protoEthernet:
		return s.tunnel(proto, b, n, (*segment).etherInIP)
	case protoPIM:
		return s.tunnel(proto, b, n, (*segment).pim)
	case protoAH:
		return s.ah(b, n)
	}
	s.rest(b, n)
	s.seq = digest(b)
	return Decoded
}

// rest makes b, captured of n bytes, the payload.
func (s *segment) rest(b []byte, n int) {
	s.payload = b
	s.payloadLen = uint32(max(n, 0))
}

// digest tells apart payloads whose headers do not: three words of them, the
// last one where encryption puts its tag.
func digest(b []byte) uint32 {
	if len(b) < 8 {
		var h uint32
		for _, c := range b {
			h = h<<5 ^ h>>27 ^ uint32(c)
		}
		return h
	}
	x := binary.BigEndian.Uint64(b)
	x = bits.RotateLeft64(x, 23) ^ binary.BigEndian.Uint64(b[(len(b)-8)/2:])
	x = bits.RotateLeft64(x, 23) ^ binary.BigEndian.Uint64(b[len(b)-8:])
	return uint32(x ^ x>>32)
}

// tcp reads a TCP header (RFC 9293 section 3.1).
func (s *segment) tcp(b []byte, n int) Outcome {
	if len(b) >= 4 {
		s.srcPort, s.dstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	const flags = 14 // what is read of a header that the capture cut ends behind them
	if len(b) < 20 {
		if out := s.cutShort(b, 20, n); out != PortsOnly || len(b) < flags {
			return out
		}
	}
	s.seq, s.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	s.flags = b[13]
	off := int(b[12]>>4) * 4
	if off < 20 || off > n {
		return Malformed
	}
	s.sack = 0
	if len(b) < 20 {
		s.window = 1 // not known; not closed
		s.bare = false
		s.rest(nil, n-off)
		return PortsOnly
	}
	s.window = binary.BigEndian.Uint16(b[14:])
	s.checksum = binary.BigEndian.Uint16(b[16:])
	if off > 20 && off == n {
		s.sack = shortestSACK(b[20:min(off, len(b))], s.ack)
	}
	s.rest(b[min(off, len(b)):], n-off)
	return Decoded
}

// cutShort is the outcome of a transport header of need bytes of which b are
// there, of n that the IP header leaves. Where the capture cut it behind the
// ports, which are read already, the packet's flow is known; its payload is what
// is left but for UDP's and SCTP's header, and for TCP's, whose length is not
// known, nothing.
func (s *segment) cutShort(b []byte, need, n int) Outcome {
	out := short(need, n)
	if out != Truncated || s.cut == 0 || len(b) < 4 {
		return out
	}
	s.bare = true
	if s.proto != ProtoTCP {
		s.rest(nil, n-need)
	}
	return PortsOnly
}

// TCP options (RFC 9293 section 3.1, RFC 2018 section 3).
const (
	optionEnd  = 0
	optionNop  = 1
	optionSACK = 5
)

// shortestSACK is the length of the shortest block that the options report as
// received behind the acknowledged bytes, 0 when there is none. Blocks before
// the acknowledgement only say that something came twice (RFC 2883).
func shortestSACK(b []byte, ack uint32) uint32 {
	shortest := uint32(0)
	for len(b) > 1 && b[0] != optionEnd {
		if b[0] == optionNop {
			b = b[1:]
			continue
		}
		n := int(b[1])
		if n < 2 || n > len(b) {
			return shortest
		}
		if b[0] == optionSACK {
			for block := b[2:n]; len(block) >= 8; block = block[8:] {
				left, right := binary.BigEndian.Uint32(block), binary.BigEndian.Uint32(block[4:])
				if length := right - left; int32(left-ack) > 0 && int32(length) > 0 && (shortest == 0 || length < shortest) {
					shortest = length
				}
			}
		}
		b = b[n:]
	}
	return shortest
}

// udp reads a UDP header (RFC 768) and the tunnels known by port.
func (s *segment) udp(b []byte, n int) Outcome {
	if len(b) >= 4 {
		s.srcPort, s.dstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	if len(b) >= 6 {
		if l := int(binary.BigEndian.Uint16(b[4:])); l >= 8 && l < n {
			n = l
			b = b[:min(n, len(b))]
		}
	}
	if len(b) < 8 {
		return s.cutShort(b, 8, n)
	}
	s.checksum = binary.BigEndian.Uint16(b[6:])
	b, n = b[8:], n-8
	switch s.dstPort {
	case portVXLAN, portVXLANLinux:
		return s.tunnel(ProtoUDP, b, n, (*segment).vxlan)
	case portVXLANGPE:
		return s.tunnel(ProtoUDP, b, n, (*segment).vxlanGPE)
	case portGENEVE:
		return s.tunnel(ProtoUDP, b, n, (*segment).geneve)
	case portGTPU:
		return s.tunnel(ProtoUDP, b, n, (*segment).gtp)
	case portGTP0:
		return s.tunnel(ProtoUDP, b, n, (*segment).gtp0)
	case portMPLS:
		return s.tunnel(ProtoUDP, b, n, (*segment).mpls)
	}
	switch {
	case s.dstPort == portTeredo || s.srcPort == portTeredo:
		return s.tunnel(ProtoUDP, b, n, (*segment).teredo)
	case s.dstPort == portL2TP || s.srcPort == portL2TP:
		return s.tunnel(ProtoUDP, b, n, (*segment).l2tp)
	case s.dstPort == portCAPWAP || s.srcPort == portCAPWAP:
		return s.tunnel(ProtoUDP, b, n, (*segment).capwap)
	}
	s.rest(b, n)
	if s.ipID == 0 { // and the checksum may not be computed yet: datagrams of one size would look the same
		s.seq = digest(b)
	}
	return Decoded
}

// sctp reads the SCTP common header (RFC 9260 section 3.1).
func (s *segment) sctp(b []byte, n int) Outcome {
	if len(b) >= 4 {
		s.srcPort, s.dstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	if len(b) < 12 {
		return s.cutShort(b, 12, n)
	}
	s.seq = binary.BigEndian.Uint32(b[8:]) // the checksum
	s.rest(b[12:], n-12)
	return Decoded
}

// icmp reads an ICMP or ICMPv6 message (RFC 792, RFC 4443). The ports of the
// flow key hold the echo identifier in both, or type and code in the source's:
// echoes of one identifier are one flow, other messages one flow for each type
// and code; setKey keeps the two apart.
func (s *segment) icmp(b []byte, n int) Outcome {
	if len(b) < 4 {
		return short(4, n)
	}
	t, code := b[0], b[1]
	s.checksum = binary.BigEndian.Uint16(b[2:])
	s.rest(b, n)
	request, reply := uint8(8), uint8(0)
	if s.proto == ProtoICMPv6 {
		request, reply = 128, 129
	}
	if (t == request || t == reply) && len(b) >= 8 {
		s.echo = echoReply
		if t == request {
			s.echo = echoRequest
		}
		s.srcPort = binary.BigEndian.Uint16(b[4:])
		s.dstPort = s.srcPort
		s.seq = uint32(binary.BigEndian.Uint16(b[6:]))
		return Decoded
	}
	s.srcPort = uint16(t)<<8 | uint16(code)
	s.dstPort = s.srcPort
	s.isError = isICMPError(s.proto, t)
	return Decoded
}

func isICMPError(proto, t uint8) bool {
	if proto == ProtoICMPv6 {
		return t >= 1 && t <= 4
	}
	return t == 3 || t == 4 || t == 5 || t == 11 || t == 12
}

// decodeQuoted reads into s the headers that the ICMP error e quotes: an IP
// header and at least the first 8 bytes behind it, which hold the ports. It
// says whether they could be read.
func (s *segment) decodeQuoted(e *segment) bool {
	if len(e.payload) <= 8 {
		return false
	}
	*s = segment{}
	switch s.rawIP(e.payload[8:]) {
	case Decoded:
		return true
	case Truncated, Malformed: // often cut behind 8 bytes, and some devices correct the lengths to that
		return s.srcPort != 0 || s.dstPort != 0
	}
	return false
}
