package dissect

import "encoding/binary"

// TACACS+, RFC 8907 section 4.1, by which administrators log in to devices:
//
//	version (1)  type (1)  sequence (1)  flags (1)  session (4)  length (4)  sealed body

var tacacs = Dissector{
	Name:  "tacacs+",
	Over:  TCP,
	Ports: []uint16{49},
	Probe: probeTACACS,
	New:   newNamed,
}

func probeTACACS(_ Dir, b []byte) Match {
	const header, major, lastType = 12, 0xc0, 3
	const unencrypted, single = 1, 4 // flags
	switch {
	case len(b) > 0 && b[0]&^1 != major,
		len(b) > 1 && (b[1] == 0 || b[1] > lastType),
		len(b) > 2 && b[2] != 1 && b[2] != 2, // the first packet of either end
		len(b) > 3 && b[3]&^(unencrypted|single) != 0:
		return No
	case len(b) < header:
		return Maybe
	}
	if size := binary.BigEndian.Uint32(b[8:]); size == 0 || size >= 1<<16 {
		return No
	}
	if b[2] == 2 {
		return FromServer
	}
	return FromClient
}
