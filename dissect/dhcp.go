package dissect

import "encoding/binary"

// DHCP, RFC 2131 section 2, in the form of BOOTP:
//
//	op (1): 1 request, 2 reply  hardware type (1)  length of its addresses (1)
//	hops (1)  id (4)  seconds (2)  flags (2)  four addresses (4 each)
//	hardware address (16)  server (64)  file (128)
//	63 82 53 63  options
//
// and DHCPv6, RFC 8415 sections 8 and 9:
//
//	type (1)  id (3)                                        options
//	type (1): 12, 13  hops (1)  two addresses (16 each)     options, of relays
//	option: code (2)  length (2)  data

var dhcp = Dissector{
	Name:  "dhcp",
	Over:  UDP,
	Ports: []uint16{67, 68},
	Probe: probeDHCP,
	New:   newNamed,
}

var dhcpv6 = Dissector{
	Name:  "dhcpv6",
	Over:  UDP,
	Ports: []uint16{547, 546},
	Probe: probeDHCPv6,
	New:   newNamed,
}

const (
	dhcpCookieAt = 236
	dhcpCookie   = 0x63825363

	dhcp6Relay      = 12
	dhcp6RelayReply = 13
	dhcp6LastType   = 36  // in the registry of IANA
	dhcp6LastOption = 160 // likewise, and some more
)

func probeDHCP(_ Dir, b []byte) Match {
	const longestAddress = 16
	switch {
	case len(b) > 0 && b[0] != 1 && b[0] != 2,
		len(b) > 1 && b[1] == 0,
		len(b) > 2 && b[2] > longestAddress,
		len(b) > 3 && b[3] > 16: // hops: RFC 1542 section 4.1.1
		return No
	case len(b) < dhcpCookieAt+4:
		return Maybe
	case binary.BigEndian.Uint32(b[dhcpCookieAt:]) != dhcpCookie:
		return Weak // BOOTP may have other things there
	case b[0] == 1:
		return FromClient
	}
	return FromServer
}

func probeDHCPv6(_ Dir, b []byte) Match {
	if len(b) > 0 && (b[0] == 0 || b[0] > dhcp6LastType) {
		return No
	}
	r := newReader(b)
	kind := r.u8("type")
	if kind == dhcp6Relay || kind == dhcp6RelayReply {
		if hops := r.u8("hops"); hops > 32 {
			return No
		}
		r.bytes("addresses", 32)
	} else {
		r.bytes("transaction", 3)
	}
	options := 0
	for ; r.left() > 0; options++ {
		code := r.be16("option")
		length := r.be16("option length")
		if r.err() == nil && (code == 0 || code > dhcp6LastOption) {
			return No
		}
		r.bytes("option data", length)
	}
	switch {
	case r.err() != nil:
		return Maybe
	case options == 0:
		return Maybe
	case options < 2 && kind < dhcp6Relay:
		return Weak
	case kind == 2, kind == 7, kind == 10, kind == dhcp6RelayReply: // ADVERTISE, REPLY, RECONFIGURE
		return FromServer
	}
	return FromClient
}
