package dissect

// NTP, RFC 5905 section 7.3:
//
//	leap indicator (2 bits) version (3) mode (3)  stratum (1)  poll (1)
//	precision (1)  root delay (4)  root dispersion (4)  reference (4)
//	four timestamps (8 each)  extensions, MAC (multiples of 4)
//
// Modes 6 and 7 are control messages of other forms. Few of these bits are
// fixed, so that only the port makes the name certain.

var ntp = Dissector{
	Name:  "ntp",
	Over:  UDP,
	Ports: []uint16{123},
	Probe: probeNTP,
	New:   newNamed,
}

const ntpHeaderSize = 48

func probeNTP(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	version, mode := b[0]>>3&7, b[0]&7
	if version < 1 || version > 4 || mode == 0 {
		return No
	}
	if mode >= 6 {
		if len(b) < 8 {
			return Maybe
		}
		return Weak
	}
	const unsynchronised = 16
	if len(b) > 1 && b[1] > unsynchronised {
		return No
	}
	if len(b) < ntpHeaderSize {
		return Maybe
	}
	return Weak
}
