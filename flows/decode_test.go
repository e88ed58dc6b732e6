package flows

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wirechart/pcaps"
)

// Pieces of frames. A TCP segment and a UDP datagram end most of them, so that
// a test says only what is in front.
var (
	ether = []byte{
		0x02, 0, 0, 0, 0, 2, // destination
		0x02, 0, 0, 0, 0, 1, // source
	}
	ip4 = []byte{ // of a TCP segment with 4 bytes of payload
		0x45, 0, // version 4, header of 5 words; type of service
		0, 44, // total length
		0x12, 0x34, // identification
		0x40, 0, // do not fragment, offset 0
		64, 6, // TTL, TCP
		0, 0, // checksum
		10, 0, 0, 1, // source
		10, 0, 0, 2, // destination
	}
	ip6 = []byte{ // likewise
		0x60, 0, 0, 0, // version 6, traffic class, flow label
		0, 24, // payload length
		6, 64, // TCP, hop limit
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination
	}
	tcp = []byte{
		0x0f, 0xa0, // source port 4000
		0, 80, // destination port
		0, 0, 0, 101, // sequence number
		0, 0, 1, 0xf5, // acknowledgement 501
		0x50, 0x18, // header of 5 words; PSH, ACK
		0x20, 0, // window 8192
		0xab, 0xcd, // checksum
		0, 0, // urgent pointer
		'd', 'a', 't', 'a',
	}
	tcp4 = join(ip4, tcp)
	tcp6 = join(ip6, tcp)
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// ipv4 is an IPv4 packet of a protocol.
func ipv4(proto uint8, payload ...[]byte) []byte {
	p := join(payload...)
	b := join(ip4, p)
	b[2], b[3] = byte((20+len(p))>>8), byte(20+len(p))
	b[9] = proto
	return b
}

// ipv6 is an IPv6 packet whose next header is proto.
func ipv6(proto uint8, payload ...[]byte) []byte {
	p := join(payload...)
	b := join(ip6, p)
	b[4], b[5], b[6] = byte(len(p)>>8), byte(len(p)), proto
	return b
}

// udp is a UDP datagram.
func udp(src, dst uint16, payload ...[]byte) []byte {
	p := join(payload...)
	n := 8 + len(p)
	return join([]byte{byte(src >> 8), byte(src), byte(dst >> 8), byte(dst), byte(n >> 8), byte(n), 0x11, 0x22}, p)
}

// headers writes a segment on one line.
func (s *segment) headers() string {
	var b strings.Builder
	b.WriteString(s.outcome.String())
	if s.outcome != Decoded && s.outcome != Fragment {
		return b.String()
	}
	src, dst := netip.AddrPortFrom(s.src.netip(s.v6), s.srcPort), netip.AddrPortFrom(s.dst.netip(s.v6), s.dstPort)
	fmt.Fprintf(&b, " %s > %s proto=%d", src, dst, s.proto)
	if s.proto == ProtoTCP && s.outcome == Decoded {
		fmt.Fprintf(&b, " flags=%#02x seq=%d ack=%d", s.flags, s.seq, s.ack)
	}
	switch s.echo {
	case echoRequest:
		b.WriteString(" request")
	case echoReply:
		b.WriteString(" reply")
	}
	if s.isError {
		b.WriteString(" error")
	}
	if s.outcome == Fragment {
		fmt.Fprintf(&b, " id=%#x offset=%d", s.fragment.id, s.fragment.offset)
		if s.fragment.more {
			b.WriteString(" more")
		}
	}
	fmt.Fprintf(&b, " payload=%d/%d", len(s.payload), s.payloadLen)
	for _, t := range s.tags[:min(int(s.depth), maxTags)] {
		b.WriteString(" " + t.String())
	}
	return b.String()
}

const (
	plain4 = "decoded 10.0.0.1:4000 > 10.0.0.2:80 proto=6 flags=0x18 seq=101 ack=501 payload=4/4"
	plain6 = "decoded [fd00::1]:4000 > [fd00::2]:80 proto=6 flags=0x18 seq=101 ack=501 payload=4/4"
)

type decodeCase struct {
	name  string
	link  pcaps.LinkType
	frame []byte
	want  string
}

var decodeCases = []decodeCase{
	{"Ethernet, IPv4", pcaps.LinkEthernet, join(ether, []byte{0x08, 0x00}, tcp4), plain4},
	{"Ethernet, IPv6", pcaps.LinkEthernet, join(ether, []byte{0x86, 0xdd}, tcp6), plain6},
	{"Ethernet, padded to 64 bytes", pcaps.LinkEthernet, join(ether, []byte{0x08, 0x00}, tcp4, make([]byte, 10)), plain4},
	{"Ethernet, ARP", pcaps.LinkEthernet, join(ether, []byte{0x08, 0x06}, make([]byte, 28)), "not IP"},
	{"802.3 with SNAP", pcaps.LinkEthernet, join(ether, []byte{
		0x00, 0x34, // length
		0xaa, 0xaa, 0x03, // SNAP
		0, 0, 0, // organisation: Ethernet types
		0x08, 0x00,
	}, tcp4), plain4},
	{"802.3, spanning tree", pcaps.LinkEthernet, join(ether, []byte{0x00, 0x26, 0x42, 0x42, 0x03}, make([]byte, 35)), "not IP"},
	{"VLAN", pcaps.LinkEthernet, join(ether, []byte{
		0x81, 0x00,
		0x60, 0x14, // priority 3, VLAN 20
		0x08, 0x00,
	}, tcp4), plain4 + " vlan:20"},
	{"QinQ", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0xa8, 0x00, 0x64, // service VLAN 100
		0x81, 0x00, 0x00, 0x14, // customer VLAN 20
		0x86, 0xdd,
	}, tcp6), plain6 + " vlan:100 vlan:20"},
	{"Cisco MetaData", pcaps.LinkEthernet, join(ether, []byte{
		0x89, 0x09,
		0x01, 0x01, // version 1, one word of options
		0x00, 0x01, // length 0, type 1: security group tag
		0x00, 0x0a, // tag 10
		0x08, 0x00,
	}, tcp4), plain4 + " cmd:10"},
	{"MPLS, two labels", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x47,
		0x00, 0x01, 0x00, 0x40, // label 16, not the bottom, TTL 64
		0x00, 0x01, 0x11, 0x40, // label 17, bottom of the stack
	}, tcp4), plain4 + " mpls:16 mpls:17"},
	{"MPLS pseudowire with a control word", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x47,
		0x00, 0x01, 0x11, 0x40, // label 17, bottom
		0, 0, 0, 0, // control word
	}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " mpls:17"},
	{"MPLS pseudowire without a control word", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x47,
		0x00, 0x01, 0x11, 0x40,
	}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " mpls:17"},
	{"MPLS pseudowire without a control word, to an address that looks like IPv4", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x47,
		0x00, 0x01, 0x11, 0x40,
	}, []byte{0x46, 1, 2, 3, 4, 5}, ether[6:], []byte{0x08, 0x00}, tcp4), plain4 + " mpls:17"},
	{"MPLS pseudowire without a control word, to an address that looks like IPv6", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x47,
		0x00, 0x01, 0x11, 0x40,
	}, []byte{0x60, 1, 2, 3, 4, 5}, ether[6:], []byte{0x08, 0x00}, tcp4), plain4 + " mpls:17"},
	{"PPPoE", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x64,
		0x11, 0x00, // version 1, type 1; session data
		0x00, 0x07, // session 7
		0x00, 0x2e, // length
		0x00, 0x21, // PPP: IPv4
	}, tcp4), plain4 + " pppoe:7"},
	{"PPPoE in a VLAN, IPv6", pcaps.LinkEthernet, join(ether, []byte{
		0x81, 0x00, 0x00, 0x05,
		0x88, 0x64, 0x11, 0x00, 0x00, 0x07, 0x00, 0x42,
		0x00, 0x57, // PPP: IPv6
	}, tcp6), plain6 + " vlan:5 pppoe:7"},
	{"PPPoE, padded, and the IP header says so", pcaps.LinkEthernet, join(ether, []byte{
		0x88, 0x64, 0x11, 0x00, 0x00, 0x07,
		0x00, 0x2a, // length: PPP, IP and TCP headers
		0x00, 0x21,
	}, tcp4), strings.Replace(plain4, "payload=4/4", "payload=0/0", 1) + " pppoe:7"},
	{"Cisco FabricPath", pcaps.LinkEthernet, join(ether, []byte{
		0x89, 0x03,
		0x40, 0x20, // tree 256, 32 hops
	}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " fabricpath:256"},
	{"VN-Tag", pcaps.LinkEthernet, join(ether, []byte{
		0x89, 0x26,
		0x00, 0x03, 0x00, 0x00, // destination interface 3
		0x08, 0x00,
	}, tcp4), plain4 + " vntag:3"},
	{"NSH", pcaps.LinkEthernet, join(ether, []byte{
		0x89, 0x4f,
		0x0f, 0xc2, // version, TTL, length of 2 words
		0x02, 0x01, // metadata type 2, next protocol IPv4
		0, 0, 42, 255, // service path 42, index 255
	}, tcp4), plain4 + " nsh:42"},

	{"Linux cooked", pcaps.LinkLinuxSLL, join([]byte{
		0, 0, // to us
		0, 1, // Ethernet
		0, 6, // address length
		2, 0, 0, 0, 0, 1, 0, 0, // address
		0x08, 0x00,
	}, tcp4), plain4},
	{"Linux cooked 2", pcaps.LinkLinuxSLL2, join([]byte{
		0x86, 0xdd, // protocol
		0, 0, // reserved
		0, 0, 0, 3, // interface
		0, 1, // Ethernet
		4, 6, // outgoing; address length
		2, 0, 0, 0, 0, 1, 0, 0, // address
	}, tcp6), plain6},
	{"BSD loopback, little endian", pcaps.LinkNull, join([]byte{2, 0, 0, 0}, tcp4), plain4},
	{"BSD loopback, big endian, IPv6", pcaps.LinkNull, join([]byte{0, 0, 0, 30}, tcp6), plain6},
	{"OpenBSD loopback", pcaps.LinkLoop, join([]byte{0, 0, 0, 2}, tcp4), plain4},
	{"raw", pcaps.LinkRaw, tcp4, plain4},
	{"raw, IPv6", pcaps.LinkRawBSD12, tcp6, plain6},
	{"raw, neither", pcaps.LinkRaw, []byte{0x50, 0, 0, 0}, "not IP"},
	{"Apple's PKTAP", pcaps.LinkPKTAP, join([]byte{
		108, 0, 0, 0, // length of all of this
		1, 0, 0, 0, // a packet
		12, 0, 0, 0, // raw IP
	}, make([]byte, 96), tcp4), plain4},
	{"PKTAP in PKTAP", pcaps.LinkPKTAP, []byte{12, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0}, "malformed"},
	{"Solaris IPNET", pcaps.LinkIPNET, join([]byte{
		1, 2, 0, 0, // version, AF_INET, type of hook
		0, 0, 0, 44, // length
		0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, // interface, group
		0, 0, 0, 0, 0, 0, 0, 0, // zones
	}, tcp4), plain4},
	{"InfiniBand", pcaps.LinkIPoIB, join(make([]byte, 40), []byte{0x86, 0xdd, 0, 0}, tcp6), plain6},
	{"PPP", pcaps.LinkPPP, join([]byte{0x00, 0x21}, tcp4), plain4},
	{"Cisco's HDLC where PPP is said to be", pcaps.LinkPPP, join([]byte{0x0f, 0x00, 0x08, 0x00}, tcp4), plain4},
	{"PPP in HDLC framing", pcaps.LinkPPPHDLC, join([]byte{0xff, 0x03, 0x00, 0x57}, tcp6), plain6},
	{"PPP, protocol field compressed", pcaps.LinkPPP, join([]byte{0xff, 0x03, 0x21}, tcp4), plain4},
	{"PPP, LCP", pcaps.LinkPPP, []byte{0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4}, "not IP"},
	{"Cisco HDLC", pcaps.LinkCHDLC, join([]byte{0x0f, 0x00, 0x08, 0x00}, tcp4), plain4},
	{"frame relay", pcaps.LinkFrameRelay, join([]byte{
		0x18, 0x41, // DLCI in two bytes
		0x03, 0xcc, // unnumbered information, IPv4
	}, tcp4), plain4},
	{"FDDI", pcaps.LinkFDDI, join([]byte{
		0x57,                               // LLC, asynchronous
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, // addresses
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00, // SNAP
	}, tcp4), plain4},
	{"FDDI station management", pcaps.LinkFDDI, join([]byte{0x41}, make([]byte, 60)), "not IP"},
	{"Token Ring, routed", pcaps.LinkTokenRing, join([]byte{
		0x10, 0x40, // access control; LLC
		2, 0, 0, 0, 0, 1, 0x82, 0, 0, 0, 0, 2, // addresses; a route follows
		0x06, 0x30, 0, 1, 0, 2, // the route
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00, // SNAP
	}, tcp4), plain4},
	{"Token Ring, not routed", pcaps.LinkTokenRing, join([]byte{
		0x10, 0x40,
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2,
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00,
	}, tcp4), plain4},
	{"Token Ring, a route of no length", pcaps.LinkTokenRing, join([]byte{
		0x10, 0x40, 2, 0, 0, 0, 0, 1, 0x82, 0, 0, 0, 0, 2, 0, 0,
	}, tcp4), "malformed"},
	{"Token Ring, media access", pcaps.LinkTokenRing, join([]byte{0x10, 0x00}, make([]byte, 60)), "not IP"},
	{"802.11 data", pcaps.LinkIEEE80211, join([]byte{
		0x08, 0x01, // data; to the distribution system
		0, 0, // duration
		2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, // addresses
		0, 0, // sequence
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00, // SNAP
	}, tcp4, []byte{1, 2, 3, 4}), plain4}, // and a check sequence
	{"802.11 QoS data between access points, behind radiotap", pcaps.LinkRadiotap, join([]byte{
		0, 0, 8, 0, 0, 0, 0, 0, // radiotap: version, pad, length 8, nothing present
		0x88, 0x03, // QoS data; from and to the distribution system
		0, 0,
		2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 2,
		0, 0,
		2, 0, 0, 0, 0, 1, // fourth address
		0, 0, // QoS control
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x86, 0xdd,
	}, tcp6), plain6},
	{"802.11 protected", pcaps.LinkIEEE80211, join([]byte{0x08, 0x41}, make([]byte, 60)), "encrypted"},
	{"802.11 beacon", pcaps.LinkIEEE80211, join([]byte{0x80, 0x00}, make([]byte, 60)), "not IP"},
	{"per-packet information", pcaps.LinkPPI, join([]byte{
		0, 0, // version, flags
		8, 0, // length
		1, 0, 0, 0, // Ethernet follows
	}, ether, []byte{0x08, 0x00}, tcp4), plain4},
	{"netfilter log", pcaps.LinkNFLOG, join([]byte{
		2, 0, 0, 5, // family, version, group
		8, 0, 1, 0, 0x08, 0, 3, 0, // packet header
		5, 0, 10, 0, 0, 0, 0, 0, // prefix of one byte, padded
		48, 0, 9, 0, // payload
	}, tcp4), plain4},
	{"unknown link", pcaps.LinkType(147), tcp4, "unknown link type"},

	{"IPv4 options", pcaps.LinkRaw, func() []byte {
		b := join(ip4, []byte{0x94, 0x04, 0, 0}, tcp) // router alert
		b[0], b[3] = 0x46, 48
		return b
	}(), plain4},
	{"IPv4, total length 0 of segmentation offload", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[3] = 0
		return b
	}(), plain4},
	{"IPv4, total length below the header", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[3] = 19
		return b
	}(), "malformed"},
	{"IPv4, header of 4 words", pcaps.LinkRaw, append([]byte{0x44}, tcp4[1:]...), "malformed"},
	{"IPv4, header longer than the packet", pcaps.LinkRaw, append([]byte{0x4f}, tcp4[1:24]...), "truncated"},
	{"IPv4 under the type of IPv6", pcaps.LinkEthernet, join(ether, []byte{0x86, 0xdd}, tcp4), "malformed"},
	{"IPv4 fragment", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[6], b[7] = 0x20, 0x02 // more, at 16
		return b
	}(), "fragment 10.0.0.1:0 > 10.0.0.2:0 proto=6 id=0x1234 offset=16 more payload=24/24"},
	{"IPv4 fragment beyond 65,535 bytes", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[6], b[7] = 0x1f, 0xff
		return b
	}(), "malformed"},
	{"TCP header of 4 words", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[20+12] = 0x40
		return b
	}(), "malformed"},
	{"TCP header beyond the packet", pcaps.LinkRaw, func() []byte {
		b := join(tcp4)
		b[20+12] = 0x70
		return b
	}(), "malformed"},
	{"IP too short for TCP", pcaps.LinkRaw, ipv4(6, tcp[:19]), "malformed"},
	{"UDP", pcaps.LinkRaw, ipv4(17, udp(5000, 53, []byte("query"))), "decoded 10.0.0.1:5000 > 10.0.0.2:53 proto=17 payload=5/5"},
	{"UDP, length below the IP packet's", pcaps.LinkRaw, ipv4(17, udp(5000, 53, []byte("query")), []byte("pad")), "decoded 10.0.0.1:5000 > 10.0.0.2:53 proto=17 payload=5/5"},
	{"UDP, length 0", pcaps.LinkRaw, func() []byte {
		b := ipv4(17, udp(5000, 53, []byte("query")))
		b[25] = 0
		return b
	}(), "decoded 10.0.0.1:5000 > 10.0.0.2:53 proto=17 payload=5/5"},
	{"SCTP", pcaps.LinkRaw, ipv4(132, []byte{
		0x0b, 0x59, 0x0b, 0x5a, // ports 2905, 2906
		1, 2, 3, 4, // verification tag
		5, 6, 7, 8, // checksum
		0, 0, 0, 4, // an empty chunk
	}), "decoded 10.0.0.1:2905 > 10.0.0.2:2906 proto=132 payload=4/4"},
	{"OSPF", pcaps.LinkRaw, ipv4(89, make([]byte, 24)), "decoded 10.0.0.1:0 > 10.0.0.2:0 proto=89 payload=24/24"},
	{"ESP", pcaps.LinkRaw, ipv6(50, make([]byte, 24)), "decoded [fd00::1]:0 > [fd00::2]:0 proto=50 payload=24/24"},
	{"AH", pcaps.LinkRaw, ipv4(51, []byte{
		6, 4, 0, 0, // next header TCP, length of 4+2 words
		0, 0, 1, 0, // security parameters 256
		0, 0, 0, 1, // sequence
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, // check value
	}, tcp), plain4 + " ah:256"},

	{"ICMP echo request", pcaps.LinkRaw, ipv4(1, []byte{
		8, 0, 0xaa, 0xbb, // echo request, checksum
		0x12, 0x34, 0, 1, // identifier 0x1234, sequence 1
		'p', 'i', 'n', 'g',
	}), "decoded 10.0.0.1:4660 > 10.0.0.2:4660 proto=1 request payload=12/12"},
	{"ICMPv6 echo reply", pcaps.LinkRaw, ipv6(58, []byte{129, 0, 0, 0, 0, 7, 0, 1}), "decoded [fd00::1]:7 > [fd00::2]:7 proto=58 reply payload=8/8"},
	{"ICMP host prohibited", pcaps.LinkRaw, ipv4(1, []byte{3, 10, 0, 0, 0, 0, 0, 0}, tcp4[:28]),
		"decoded 10.0.0.1:778 > 10.0.0.2:778 proto=1 error payload=36/36"},
	{"ICMPv6 neighbour solicitation", pcaps.LinkRaw, ipv6(58, []byte{135, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)),
		"decoded [fd00::1]:34560 > [fd00::2]:34560 proto=58 payload=24/24"},

	{"IPv6 extension headers", pcaps.LinkRaw, ipv6(0, // hop-by-hop options
		[]byte{60, 0, 5, 2, 0, 0, 1, 0},                        // next: destination options; router alert
		[]byte{43, 0, 1, 4, 0, 0, 0, 0},                        // next: routing; padding
		[]byte{6, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, // next: TCP; two units
		tcp), plain6},
	{"IPv6 atomic fragment", pcaps.LinkRaw, ipv6(44, []byte{6, 0, 0, 0, 0, 0, 0, 9}, tcp), plain6},
	{"IPv6 fragment", pcaps.LinkRaw, ipv6(44, []byte{
		6, 0, // TCP
		0x05, 0xa8, // at 1448, the last
		1, 2, 3, 4, // identification
	}, tcp), "fragment [fd00::1]:0 > [fd00::2]:0 proto=6 id=0x1020304 offset=1448 payload=24/24"},
	{"IPv6, no next header, padded", pcaps.LinkEthernet, join(ether, []byte{0x86, 0xdd}, ipv6(59), make([]byte, 6)), "decoded [fd00::1]:0 > [fd00::2]:0 proto=59 payload=0/0"},
	{"IPv6, extension header beyond the packet", pcaps.LinkRaw, ipv6(0, []byte{6, 9, 0, 0, 0, 0, 0, 0}), "malformed"},
	{"IPv6, payload too short for an extension header", pcaps.LinkRaw, ipv6(0, []byte{6, 0, 0, 0}), "malformed"},
	{"IPv6, length 0 of segmentation offload", pcaps.LinkRaw, func() []byte {
		b := join(tcp6)
		b[5] = 0
		return b
	}(), plain6},

	{"IP in IP", pcaps.LinkRaw, ipv4(4, tcp4), plain4 + " ipip:0"},
	{"6in4", pcaps.LinkRaw, ipv4(41, tcp6), plain6 + " ipip:0"},
	{"4in6", pcaps.LinkRaw, ipv6(4, tcp4), plain4 + " ipip:0"},
	{"Ethernet in IP", pcaps.LinkRaw, ipv4(97, []byte{0x30, 0x00}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " gre:0"},
	{"GRE", pcaps.LinkRaw, ipv4(47, []byte{0, 0, 0x08, 0x00}, tcp4), plain4 + " gre:0"},
	{"GRE with checksum, key and sequence", pcaps.LinkRaw, ipv4(47, []byte{
		0xb0, 0x00, 0x86, 0xdd, // checksum, key and sequence present; IPv6
		1, 2, 0, 0, // checksum
		0, 0, 1, 1, // key 257
		0, 0, 0, 1, // sequence
	}, tcp6), plain6 + " gre:257"},
	{"GRE bridging", pcaps.LinkRaw, ipv4(47, []byte{0, 0, 0x65, 0x58}, ether, []byte{0x81, 0, 0, 9, 0x08, 0}, tcp4), plain4 + " gre:0 vlan:9"},
	{"PPTP", pcaps.LinkRaw, ipv4(47, []byte{
		0x30, 0x81, 0x88, 0x0b, // key, sequence, acknowledgement; version 1; PPP
		0, 48, 0, 7, // 48 bytes of call 7
		0, 0, 0, 1, // sequence
		0, 0, 0, 1, // acknowledgement
		0xff, 0x03, 0x00, 0x21, // PPP: IPv4
	}, tcp4), plain4 + " gre:7"},
	{"ERSPAN I", pcaps.LinkRaw, ipv4(47, []byte{0, 0, 0x88, 0xbe}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " erspan:0"},
	{"ERSPAN II", pcaps.LinkRaw, ipv4(47, []byte{
		0x10, 0x00, 0x88, 0xbe, // sequence present
		0, 0, 0, 1, // sequence
		0x10, 0x14, // version 1, VLAN 20
		0x08, 0x07, // class of service, encapsulation, session 7
		0, 0, 0, 3, // index
	}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " erspan:7"},
	{"ERSPAN III", pcaps.LinkRaw, ipv4(47, []byte{
		0x10, 0x00, 0x22, 0xeb,
		0, 0, 0, 1,
		0x20, 0x14, // version 2, VLAN 20
		0x00, 0x07, // session 7
		1, 2, 3, 4, // timestamp
		0, 0, // security group
		0x00, 0x00, // Ethernet frame, no subheader
	}, ether, []byte{0x08, 0x00}, tcp4), plain4 + " erspan:7"},
	{"ERSPAN III with a subheader, IP without Ethernet", pcaps.LinkRaw, ipv4(47, []byte{
		0x10, 0x00, 0x22, 0xeb,
		0, 0, 0, 1,
		0x20, 0x14, 0x00, 0x07,
		1, 2, 3, 4,
		0, 0,
		0x08, 0x01, // frame type 2: IP; a subheader follows
		0, 0, 0, 0, 0, 0, 0, 0,
	}, tcp6), plain6 + " erspan:7"},
	{"VXLAN", pcaps.LinkRaw, ipv4(17, udp(50000, 4789, []byte{
		0x08, 0, 0, 0, // network identifier is valid
		0x00, 0x13, 0x89, 0, // 5001
	}, ether, []byte{0x08, 0x00}, tcp4)), plain4 + " vxlan:5001"},
	{"VXLAN, something else on its port", pcaps.LinkRaw, ipv4(17, udp(50000, 4789, []byte("hello, world"))),
		"decoded 10.0.0.1:50000 > 10.0.0.2:4789 proto=17 payload=12/12"},
	{"VXLAN, an ARP frame inside", pcaps.LinkRaw, ipv4(17, udp(50000, 4789, []byte{8, 0, 0, 0, 0, 0, 1, 0}, ether, []byte{0x08, 0x06}, make([]byte, 28))),
		"not IP"},
	{"VXLAN, an unknown Ethernet type inside", pcaps.LinkRaw, ipv4(17, udp(50000, 4789, []byte{8, 0, 0, 0, 0, 0, 1, 0}, ether, []byte{0x12, 0x34}, make([]byte, 28))),
		"decoded 10.0.0.1:50000 > 10.0.0.2:4789 proto=17 payload=50/50"},
	{"GRE, spanning tree inside", pcaps.LinkRaw, ipv4(47, []byte{0, 0, 0x65, 0x58}, ether, []byte{0x00, 0x26, 0x42, 0x42, 0x03}, make([]byte, 35)), "not IP"},
	{"VXLAN GPE", pcaps.LinkRaw, ipv4(17, udp(50000, 4790, []byte{
		0x0c, 0, 0, 2, // identifier and next protocol valid; IPv6
		0, 0, 7, 0,
	}, tcp6)), plain6 + " vxlan:7"},
	{"GENEVE", pcaps.LinkRaw, ipv6(17, udp(50000, 6081, []byte{
		0x01, 0x00, 0x65, 0x58, // version 0, one word of options; Ethernet
		0, 0, 9, 0, // network 9
		0, 0, 0, 0, // option
	}, ether, []byte{0x08, 0x00}, tcp4)), plain4 + " geneve:9"},
	{"MPLS in UDP", pcaps.LinkRaw, ipv4(17, udp(50000, 6635, []byte{0, 0x03, 0x11, 64}, tcp4)), plain4 + " mpls:49"},
	{"MPLS, something else on its port", pcaps.LinkRaw, ipv4(17, udp(50000, 6635, []byte("hello, world"))),
		"decoded 10.0.0.1:50000 > 10.0.0.2:6635 proto=17 payload=12/12"},
	{"Ethernet in IPv6", pcaps.LinkRaw, ipv6(143, ether, []byte{0x08, 0x00}, tcp4), plain4 + " ipip:0"},
	{"L2TP", pcaps.LinkRaw, ipv4(17, udp(1701, 50000, []byte{
		0x00, 0x02, // data, version 2
		0, 1, 0, 9, // tunnel, session
		0xff, 0x03, 0x00, 0x21, // PPP: IPv4
	}, tcp4)), plain4 + " l2tp:65545"},
	{"L2TP, all that there may be", pcaps.LinkRaw, ipv4(17, udp(50000, 1701, []byte{
		0x4a, 0x02, // length, sequence and offset are there
		0, 60, 0, 0, 0, 7, // length, tunnel, session
		0, 1, 0, 2, // sent, expected
		0, 3, 0xaa, 0xaa, 0xaa, // three bytes to pass over
		0x00, 0x57, // PPP: IPv6
	}, tcp6)), plain6 + " l2tp:7"},
	{"L2TP control", pcaps.LinkRaw, ipv4(17, udp(1701, 1701, []byte{0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 1, 0, 2})),
		"decoded 10.0.0.1:1701 > 10.0.0.2:1701 proto=17 payload=12/12"},
	{"PIM register", pcaps.LinkRaw, ipv4(103, []byte{
		0x21, 0, 0xde, 0xff, // version 2, register
		0x80, 0, 0, 0, // border
	}, tcp4), plain4 + " pim:0"},
	{"PIM null register", pcaps.LinkRaw, ipv4(103, []byte{0x21, 0, 0x9e, 0xff, 0x40, 0, 0, 0}, tcp4),
		"decoded 10.0.0.1:0 > 10.0.0.2:0 proto=103 payload=52/52"},
	{"PIM hello", pcaps.LinkRaw, ipv4(103, []byte{0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105}),
		"decoded 10.0.0.1:0 > 10.0.0.2:0 proto=103 payload=10/10"},
	{"CAPWAP, Ethernet inside", pcaps.LinkRaw, ipv4(17, udp(50000, 5247, []byte{
		0, 0x10, 0x42, 0x00, // two words, radio 1, binding 1
		0, 0, 0, 0,
	}, ether, []byte{0x08, 0x00}, tcp4)), plain4 + " capwap:1"},
	{"CAPWAP, 802.11 inside, frame control turned round", pcaps.LinkRaw, ipv4(17, udp(5247, 50000, []byte{
		0, 0x20, 0x03, 0x20, // four words, binding 1, native, with something about the radio
		0, 0, 0, 0,
		4, 0xbf, 0x23, 0, 0, 0, 0, 0, // signal and rate
		0x01, 0x08, 0, 0, // flags before the type: data, to the distribution system
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0, // addresses, sequence
		0xaa, 0xaa, 0x03, 0, 0, 0, 0x86, 0xdd, // SNAP
	}, tcp6)), plain6 + " capwap:0"},
	{"CAPWAP, sealed", pcaps.LinkRaw, ipv4(17, udp(50000, 5247, []byte{1, 0, 0, 0, 22, 254, 255, 0, 0, 0, 0, 0})),
		"decoded 10.0.0.1:50000 > 10.0.0.2:5247 proto=17 payload=12/12"},
	{"GTP-U", pcaps.LinkRaw, ipv4(17, udp(2152, 2152, []byte{
		0x34, 255, // version 1, extension headers; a packet
		0, 52, // length
		0, 0, 0, 5, // tunnel 5
		0, 0, 0, 0x85, // sequence, N-PDU, next extension: PDU session
		1, 0x10, 9, 0, // one word; no further extension
	}, tcp4)), plain4 + " gtp:5"},
	{"GTP-U echo", pcaps.LinkRaw, ipv4(17, udp(2152, 2152, []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0})),
		"decoded 10.0.0.1:2152 > 10.0.0.2:2152 proto=17 payload=12/12"},
	{"GTP version 0", pcaps.LinkRaw, ipv4(17, udp(3386, 3386, []byte{
		0x1e, 255, // version 0; a packet
		0, 52, // length
		0, 1, 0, 7, // sequence, flow label
		0xff, 0xff, 0xff, 0xff, // LLC frame, padding
		0x42, 0, 1, 0x21, 0x43, 0x65, 0x87, 9, // tunnel
	}, tcp4)), plain4 + " gtp:7"},
	{"GTP version 0, control", pcaps.LinkRaw, ipv4(17, udp(3386, 3386, make([]byte, 20))),
		"decoded 10.0.0.1:3386 > 10.0.0.2:3386 proto=17 payload=20/20"},
	{"Teredo", pcaps.LinkRaw, ipv4(17, udp(50000, 3544, []byte{
		0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, // authentication: no parts, nonce, confirmation
		0, 0, 0xcf, 0xff, 0x3f, 0xff, 0xfd, 0xfe, // origin
	}, tcp6)), plain6 + " teredo:0"},
	{"Teredo's bubble", pcaps.LinkRaw, ipv4(17, udp(3544, 50000, []byte("not IPv6"))),
		"decoded 10.0.0.1:3544 > 10.0.0.2:50000 proto=17 payload=8/8"},
	{"MACsec, authenticated", pcaps.LinkEthernet, join(ether, []byte{0x88, 0xe5,
		0x21, 0, 0, 0, 0, 9, // channel identifier, association 1; packet 9
		2, 0, 0, 0, 0, 1, 0, 1, // channel
		0x08, 0x00}, tcp4, make([]byte, 16)), plain4 + " macsec:1"},
	{"MACsec, encrypted", pcaps.LinkEthernet, join(ether, []byte{0x88, 0xe5, 0x0c, 0, 0, 0, 0, 9}, tcp4), "encrypted"},
	{"Cisco MetaData in GRE", pcaps.LinkRaw, ipv4(47, []byte{0x20, 0, 0x89, 0x09, 0, 0, 0, 0x28}, []byte{1, 1, 0, 1, 0, 5, 0x08, 0x00}, tcp4),
		plain4 + " gre:40 cmd:5"},
	{"VXLAN in a VLAN, ERSPAN in that", pcaps.LinkEthernet, join(ether, []byte{0x81, 0, 0, 20, 0x08, 0x00},
		ipv4(17, udp(50000, 4789, []byte{8, 0, 0, 0, 0, 0, 42, 0}, ether, []byte{0x08, 0x00},
			ipv4(47, []byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 7, 0, 0, 0, 3}, ether, []byte{0x08, 0x00}, tcp4)))),
		plain4 + " vlan:20 vxlan:42 erspan:7"},
	{"a fragment in a tunnel", pcaps.LinkRaw, ipv4(47, []byte{0, 0, 0x08, 0x00}, func() []byte {
		b := join(tcp4)
		b[6] = 0x20
		return b
	}()), "fragment 10.0.0.1:0 > 10.0.0.2:0 proto=6 id=0x1234 offset=0 more payload=24/24 gre:0"},
}

func decoded(link pcaps.LinkType, b []byte, wire int) *segment {
	s := &segment{seq: 0xdead, ack: 0xbeef, depth: 3, isError: true, echo: echoReply} // what an earlier packet left
	s.tags[0] = tag{tagMPLS, 99}
	s.decode(&pcaps.Packet{Link: link, Data: b, WireLen: wire})
	return s
}

func TestDecode(t *testing.T) {
	for _, c := range decodeCases {
		s := decoded(c.link, c.frame, len(c.frame))
		if got := s.headers(); got != c.want {
			t.Errorf("%s:\n\t%s\nwant:\n\t%s", c.name, got, c.want)
		}
		var clean segment
		clean.decode(&pcaps.Packet{Link: c.link, Data: c.frame, WireLen: len(c.frame)})
		if s.outcome == Decoded && s.signature(0) != clean.signature(0) {
			t.Errorf("%s: the signature depends on the packet before", c.name)
		}
	}
}

// Cut at every byte, a frame is truncated, or what could be read of it is what
// the whole frame says: a tunnel's outer packet, or less payload.
func TestDecodeTruncated(t *testing.T) {
	portsOnly := map[uint8]int{}
	for _, c := range decodeCases {
		whole := decoded(c.link, c.frame, len(c.frame))
		for n := range len(c.frame) {
			s := decoded(c.link, c.frame[:n:n], len(c.frame))
			if len(s.payload) > n || uint32(len(s.payload)) > s.payloadLen {
				t.Errorf("%s, %d bytes: payload of %d bytes, %d by the headers", c.name, n, len(s.payload), s.payloadLen)
			}
			if whole.outcome != Decoded {
				continue
			}
			switch {
			case s.outcome == Truncated:
			case s.outcome == PortsOnly && s.depth < whole.depth:
			case s.outcome == PortsOnly:
				if s.srcPort != whole.srcPort || s.dstPort != whole.dstPort || s.proto != whole.proto {
					t.Errorf("%s, %d of %d bytes: ports %d and %d of protocol %d, the whole is %s", c.name, n, len(c.frame), s.srcPort, s.dstPort, s.proto, whole.headers())
				}
				if s.proto == ProtoTCP && s.bare != (s.flags == 0) || !s.bare && (s.seq != whole.seq || s.ack != whole.ack || s.flags != whole.flags) ||
					!s.bare && s.payloadLen != whole.payloadLen || s.proto == ProtoUDP && s.payloadLen < whole.payloadLen {
					t.Errorf("%s, %d of %d bytes: seq=%d ack=%d flags=%#x payload=%d, the whole is %s", c.name, n, len(c.frame), s.seq, s.ack, s.flags, s.payloadLen, whole.headers())
				}
				portsOnly[s.proto]++
			case s.outcome == NotIP && n < 8+24: // too short to be told from the control frames of 802.11
			case s.outcome != Decoded:
				t.Errorf("%s, %d of %d bytes: %s", c.name, n, len(c.frame), s.headers())
			case s.depth == whole.depth && (s.proto != whole.proto || s.srcPort != whole.srcPort && whole.echo == notEcho || s.payloadLen != whole.payloadLen):
				t.Errorf("%s, %d of %d bytes: %s, the whole is %s", c.name, n, len(c.frame), s.headers(), whole.headers())
			}
		}
	}
	if portsOnly[ProtoTCP] == 0 || portsOnly[ProtoUDP] == 0 || portsOnly[ProtoSCTP] == 0 {
		t.Errorf("cut behind the ports, by protocol: %v", portsOnly)
	}
}

// Headers nested without end are read to a limit, and cost no more than that.
func TestDecodeBombs(t *testing.T) {
	nest := func(n int, one []byte) []byte {
		var b []byte
		for range n {
			b = append(b, one...)
		}
		return b
	}
	teb := join(ether, []byte{0x65, 0x58})
	ipip := tcp4
	for range 1000 {
		ipip = ipv4(4, ipip)
	}
	gre := func(n int) []byte {
		b := tcp4
		for range n {
			b = ipv4(47, []byte{0, 0, 0x08, 0x00}, b)
		}
		return b
	}
	for _, c := range []decodeCase{
		{"VLANs", pcaps.LinkEthernet, join(ether, nest(5000, []byte{0x81, 0, 0, 1}), []byte{0x08, 0}, tcp4), "malformed"},
		{"as many VLANs as are read", pcaps.LinkEthernet, join(ether, nest(maxDepth, []byte{0x81, 0, 0, 1}), []byte{0x08, 0}, tcp4),
			plain4 + strings.Repeat(" vlan:1", maxTags)},
		{"labels", pcaps.LinkEthernet, join(ether, []byte{0x88, 0x47}, nest(5000, []byte{0, 1, 0, 64})), "malformed"},
		{"Ethernet in Ethernet", pcaps.LinkEthernet, nest(5000, teb), "not IP"},
		{"IP in IP", pcaps.LinkRaw, ipip, "decoded 10.0.0.1:0 > 10.0.0.2:0 proto=4 payload=19824/19824" + strings.Repeat(" ipip:0", maxTags)},
		{"GRE in GRE, as much as is read", pcaps.LinkRaw, gre(maxDepth), plain4 + strings.Repeat(" gre:0", maxTags)},
		{"GRE in GRE, too much", pcaps.LinkRaw, gre(maxDepth + 3),
			"decoded 10.0.0.1:0 > 10.0.0.2:0 proto=47 payload=96/96" + strings.Repeat(" gre:0", maxTags)},
		{"IPv6 extension headers", pcaps.LinkRaw, ipv6(60, nest(8000, []byte{60, 0, 1, 4, 0, 0, 0, 0})), "malformed"},
		{"GTP extension headers", pcaps.LinkRaw, ipv4(17, udp(2152, 2152, []byte{0x34, 255, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0x85}, nest(8000, []byte{1, 0, 0, 0x85}))),
			"decoded 10.0.0.1:2152 > 10.0.0.2:2152 proto=17 payload=32012/32012"},
		{"per-packet information in itself", pcaps.LinkPPI, nest(1000, []byte{0, 0, 8, 0, 192, 0, 0, 0}), "malformed"},
	} {
		got := decoded(c.link, c.frame, len(c.frame)).headers()
		if got != c.want {
			t.Errorf("%s:\n\t%s\nwant:\n\t%s", c.name, got, c.want)
		}
	}
}

// What an ICMP error quotes, down to the 8 bytes that every device quotes.
func TestDecodeQuoted(t *testing.T) {
	udp4, sctp4 := ipv4(17, udp(5000, 53, []byte("query"))), ipv4(132, []byte{0x0b, 0x59, 0x0b, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8})
	for _, c := range []struct {
		name  string
		outer func(uint8, ...[]byte) []byte
		proto uint8
		quote []byte
		want  string // ports, "" when the quote names no flow
	}{
		{"TCP, 8 bytes", ipv4, 1, tcp4[:28], "10.0.0.1:4000 > 10.0.0.2:80"},
		{"TCP, 4 bytes", ipv4, 1, tcp4[:24], "10.0.0.1:4000 > 10.0.0.2:80"},
		{"TCP, 3 bytes", ipv4, 1, tcp4[:23], ""},
		{"TCP, the whole", ipv4, 1, tcp4, "10.0.0.1:4000 > 10.0.0.2:80"},
		{"TCP, total length corrected to what is quoted", ipv4, 1, ipv4(6, tcp[:8]), "10.0.0.1:4000 > 10.0.0.2:80"},
		{"UDP", ipv4, 1, udp4[:28], "10.0.0.1:5000 > 10.0.0.2:53"},
		{"SCTP", ipv4, 1, sctp4[:28], "10.0.0.1:2905 > 10.0.0.2:2906"},
		{"echo", ipv4, 1, ipv4(1, []byte{8, 0, 0, 0, 0, 7, 0, 1}), "10.0.0.1:7 > 10.0.0.2:7"},
		{"TCP in IPv6", ipv6, 58, tcp6[:48], "[fd00::1]:4000 > [fd00::2]:80"},
		{"TCP in IPv6, all of it", ipv6, 58, tcp6, "[fd00::1]:4000 > [fd00::2]:80"},
		{"nothing", ipv4, 1, nil, ""},
		{"half a header", ipv4, 1, tcp4[:12], ""},
	} {
		typ := byte(3)
		if c.proto == ProtoICMPv6 {
			typ = 1
		}
		b := c.outer(c.proto, []byte{typ, 1, 0, 0, 0, 0, 0, 0}, c.quote)
		e := decoded(pcaps.LinkRaw, b, len(b))
		if !e.isError {
			t.Errorf("%s: %s", c.name, e.headers())
			continue
		}
		var q segment
		got := ""
		if q.decodeQuoted(e) {
			got = fmt.Sprintf("%s > %s", netip.AddrPortFrom(q.src.netip(q.v6), q.srcPort), netip.AddrPortFrom(q.dst.netip(q.v6), q.dstPort))
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzDecode reads arbitrary bytes as every link type: without a panic, and
// without a payload that was not there.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeCases {
		f.Add(uint16(c.link), uint16(0), c.frame)
		f.Add(uint16(c.link), uint16(100), c.frame[:len(c.frame)/2])
	}
	f.Fuzz(func(t *testing.T, link, cut uint16, b []byte) {
		s := decoded(pcaps.LinkType(link), b, len(b)+int(cut))
		if s.outcome >= outcomes {
			t.Fatalf("outcome %d", s.outcome)
		}
		if len(s.payload) > len(b) || uint32(len(s.payload)) > s.payloadLen {
			t.Fatalf("payload of %d bytes of %d, %d by the headers", len(s.payload), len(b), s.payloadLen)
		}
		if s.outcome == Decoded {
			s.setKey(1)
			if s.isError {
				var q segment
				q.decodeQuoted(s)
			}
		}
		again := decoded(pcaps.LinkType(link), b, len(b)+int(cut))
		if again.headers() != s.headers() {
			t.Fatalf("%s, then %s", s.headers(), again.headers())
		}
	})
}

// TestTagAside reads frames whose tag the capture left out: nothing differs from
// those that have it.
func TestTagAside(t *testing.T) {
	for _, script := range []string{
		`0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1 ack=1 len=30`,
		`0 10.0.0.1:4000 > 10.0.0.2:53 udp len=30`,
		`0 [2001:db8::1]:4000 > [2001:db8::2]:53 udp len=30 cut=10`,
	} {
		p := frame(t, script, 1)
		for _, tags := range [][]byte{{0x81, 0, 0x20, 5}, {0x88, 0xa8, 0, 9, 0x81, 0, 0, 5}} {
			whole, aside := p, p
			whole.Data = slices.Concat(p.Data[:12], tags, p.Data[12:])
			aside.Data = slices.Concat(p.Data[:12], tags[4:], p.Data[12:])
			aside.Tag = binary.BigEndian.Uint32(tags)
			whole.WireLen += len(tags)
			aside.WireLen += len(tags) - 4
			var want, got segment
			want.decode(&whole)
			got.decode(&aside)
			if !reflect.DeepEqual(got, want) || got.outcome != Decoded || got.tags[0].id != uint32(tags[3]) {
				t.Errorf("%s behind % x: %+v, want %+v", script, tags, got, want)
			}
		}
	}
}

// The short way through the headers and the long one come to the same.
func TestPlain(t *testing.T) {
	taken := 0
	same := func(what string, p *pcaps.Packet) {
		var short, long segment
		long.reset(p)
		long.outcome = long.link(p.Link, p.Data)
		if !short.plain(p) {
			return
		}
		taken++
		if !reflect.DeepEqual(short, long) {
			t.Errorf("%s: %+v, the long way %+v", what, short, long)
		}
	}
	samples, err := filepath.Glob("../pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range samples {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		packets := load(t, file)
		for i := range packets {
			same(fmt.Sprintf("%s frame %d", file, i+1), &packets[i])
		}
	}
	if taken < 100 {
		t.Errorf("%d frames went the short way: too few to tell", taken)
	}

	// One frame with every byte of its headers changed, cut at every length.
	p := frame(t, `0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1 ack=1 len=30`, 1)
	whole := slices.Clone(p.Data)
	for at := range 14 + 20 + 20 {
		for v := range 256 {
			p.Data = slices.Clone(whole)
			p.Data[at] = byte(v)
			same(fmt.Sprintf("byte %d is %#x", at, v), &p)
		}
	}
	for n := range whole {
		p.Data = whole[:n:n]
		same(fmt.Sprintf("%d bytes", n), &p)
	}
}
