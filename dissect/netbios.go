package dissect

import "encoding/binary"

// The NetBIOS name service and datagram service, RFC 1002 sections 4.2 and 4.4.
// Names are 16 bytes, each written as two letters A to P:
//
//	name       20, 32 letters, labels of a scope, 00
//	service    header of DNS (12)  name  type (2): 20 NB, 21 NBSTAT ...
//	datagram   type (1): 10-16  flags (1)  id (2)  source address (4), port (2)
//	           length (2)  offset (2)  source name  destination name  data

var nbns = Dissector{
	Name:  "nbns",
	Over:  UDP,
	Ports: []uint16{137},
	Probe: probeNBNS,
	New:   newNamed,
}

var nbdgm = Dissector{
	Name:  "nbdgm",
	Over:  UDP,
	Ports: []uint16{138},
	Probe: probeNBDatagram,
	New:   newNamed,
}

const netbiosNameSize = 1 + 32 // without the scope

// netbiosName judges the name that b begins with, but for its scope.
func netbiosName(b []byte) Match {
	for i, c := range b[:min(len(b), netbiosNameSize)] {
		if i == 0 && c != 32 || i > 0 && (c < 'A' || c > 'P') {
			return No
		}
	}
	if len(b) < netbiosNameSize {
		return Maybe
	}
	return Yes
}

func probeNBNS(_ Dir, b []byte) Match {
	if len(b) < dnsHeaderSize {
		return Maybe
	}
	for at := 4; at < dnsHeaderSize; at += 2 {
		if binary.BigEndian.Uint16(b[at:]) > 64 {
			return No
		}
	}
	flags := binary.BigEndian.Uint16(b[2:])
	questions, answers := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	if questions+answers == 0 {
		if flags&0x8000 == 0 {
			return No
		}
		return Weak // a refusal
	}
	switch m := netbiosName(b[dnsHeaderSize:]); {
	case m == No && len(b) > dnsHeaderSize && b[dnsHeaderSize] == 32:
		return Weak
	case m != Yes:
		return m
	}
	// The scope, which is empty as a rule, and the type.
	const scopeless = dnsHeaderSize + netbiosNameSize
	switch {
	case len(b) < scopeless+3:
		return Maybe
	case b[scopeless] != 0:
		return Weak
	}
	if t := binary.BigEndian.Uint16(b[scopeless+1:]); t != 0x20 && t != 0x21 && t != 0x0a {
		return Weak
	}
	if flags&0x8000 != 0 {
		return FromServer
	}
	return FromClient
}

func probeNBDatagram(_ Dir, b []byte) Match {
	const (
		direct, queryNegative = 0x10, 0x16
		addressless           = 1 + 1 + 2
		named                 = addressless + 4 + 2
		datagram              = named + 2 + 2
	)
	if len(b) > 0 && (b[0] < direct || b[0] > queryNegative) || len(b) > 1 && b[1]&0xf0 != 0 {
		return No
	}
	if len(b) < named {
		return Maybe
	}
	switch b[0] {
	case 0x10, 0x11, 0x12: // to one name, to a group, to all
		if len(b) < datagram {
			return Maybe
		}
		return netbiosName(b[datagram:])
	case 0x13: // error
		return Weak
	}
	return netbiosName(b[named:]) // queries
}
