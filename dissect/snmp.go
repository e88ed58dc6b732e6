package dissect

// SNMP, RFC 1157, RFC 3416 and RFC 3412, over UDP:
//
//	30 length
//	   02 01 version              0: 1, 1: 2c, 3: 3
//	   04 length community        of 1 and 2c, a password in clear
//	   a0-a8 length ...           PDU
//	   30 length ...              of 3: identifier, flags, ... , then the PDU,
//	                              which may be encrypted

var snmp = Dissector{
	Name:  "snmp",
	Over:  UDP,
	Ports: []uint16{161, 162},
	Probe: probeSNMP,
	New:   func(*Context) Parser { return snmpParser{} },
}

func probeSNMP(_ Dir, b []byte) Match {
	if len(b) > 0 && b[0] != berSequence {
		return No
	}
	r := newReader(b)
	r.berHeader("message")
	version := r.berInt("version")
	next, size := r.berHeader("community")
	if r.err() == ErrShort {
		return Maybe
	}
	if r.err() != nil {
		return No
	}
	switch {
	case version == 3 && next == berSequence:
		if r.left() > 0 && b[r.off] != berInteger {
			return No
		}
		return Yes
	case (version == 0 || version == 1) && next == berOctets && size < 256:
		r.bytes("community", size)
		switch pdu := r.u8("PDU"); {
		case r.err() != nil:
			return Maybe
		case pdu == 0xa2:
			return FromServer
		case pdu >= 0xa0 && pdu <= 0xa8:
			return FromClient
		}
	}
	return No
}

type snmpParser struct{ toTheGap }

// Parse records the version, which a flow's first message tells.
func (snmpParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	r.berHeader("message")
	version := r.berInt("version")
	if r.err() != nil {
		return 0, r.err()
	}
	switch version {
	case 0:
		facts.AddText(SNMPVersion, "1")
	case 1:
		facts.AddText(SNMPVersion, "2c")
	case 3:
		facts.AddText(SNMPVersion, "3")
	}
	return len(b), ErrDone
}
