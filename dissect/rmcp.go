package dissect

// RMCP carries the management of servers that are switched off: IPMI 2.0 sections
// 13.1.3 and 13.6, and the ping of ASF 2.0 section 3.2.4 that finds them.
//
//	version 06  00  sequence (1)  class (1)
//	07, IPMI    authentication (1)  sequence (4)  session (4) ...
//	06, ASF     enterprise 000011be  type (1)  tag (1)  00  length (1)

var rmcp = Dissector{
	Name:  "rmcp",
	Over:  UDP,
	Ports: []uint16{623},
	Probe: probeRMCP,
	New:   newNamed,
}

func probeRMCP(dir Dir, b []byte) Match {
	const asf, ipmi, lastAuthentication = 6, 7, 6
	if m := begins(b, "\x06\x00"); m != Yes {
		return m
	}
	if len(b) < 4 {
		return Maybe
	}
	switch b[3] {
	case ipmi:
		const header = 4 + 1 + 4 + 4
		if len(b) > 4 && (b[4] > lastAuthentication || b[4] == 3) {
			return No
		}
		if len(b) < header+1 {
			return Maybe
		}
		return Yes
	case asf:
		m := begins(b[4:], "\x00\x00\x11\xbe")
		if m != Yes || len(b) < 9 {
			return min(m, Maybe)
		}
		switch b[8] {
		case 0x80: // presence ping
			return FromClient
		case 0x40: // pong
			return FromServer
		}
		return Yes
	}
	return No
}
