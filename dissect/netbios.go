package dissect

import "encoding/binary"

// The NetBIOS name service, RFC 1002 section 4.2.
// Names are 16 bytes, each written as two letters A to P:
//
//	name       20, 32 letters, labels of a scope, 00
//	service    header of DNS (12)  name  type (2): 20 NB, 21 NBSTAT ...

var nbns = Dissector{
	Name:  "nbns",
	Over:  UDP,
	Ports: []uint16{137},
	Probe: probeNBNS,
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
