package dissect

// Remote Desktop Protocol, MS-RDPBCGR section 2.2.1.1 and 2.2.1.2. A connection
// begins with X.224 in the packets of RFC 1006 (TPKT):
//
//	03 00 length (2)                              whole packet
//	   length indicator (1)
//	   e0 request, d0 confirm  dst (2)  src (2)  class (1)
//	   "Cookie: mstshash=..." CRLF                optional: a user's name, not kept
//	   01 flags (1)  08 00  protocols (4)         request: those that the client can
//	   02 flags (1)  08 00  protocol (4)          the one that the server chose
//	   03 flags (1)  08 00  code (4)              why it refused
//
// What follows is TLS, where the server chose it, or RDP's own encryption.

var rdp = Dissector{
	Name:  "rdp",
	Over:  TCP,
	Ports: []uint16{3389},
	Probe: probeRDP,
	New:   func(*Context) Parser { return &rdpParser{} },
}

const (
	maxTPKT = 512 // bytes of a connection request, with its cookie or routing token

	x224Request = 0xe0
	x224Confirm = 0xd0
)

func probeRDP(_ Dir, b []byte) Match {
	if len(b) > 0 && b[0] != 3 || len(b) > 1 && b[1] != 0 {
		return No
	}
	r := newReader(b)
	r.be16("version")
	size := r.be16("length")
	indicator := r.u8("length indicator")
	kind := r.u8("type")
	r.be16("destination")
	r.be16("source")
	class := r.u8("class")
	switch {
	case len(b) > 3 && (size < 11 || size > maxTPKT),
		len(b) > 4 && indicator != size-5,
		len(b) > 5 && kind != x224Request && kind != x224Confirm,
		len(b) > 7 && (b[6] != 0 || b[7] != 0) && kind == x224Request,
		len(b) > 10 && class != 0:
		return No
	}
	var want byte = 1
	if kind == x224Confirm {
		want = 2
	}
	// Others speak X.224 in TPKT, too (S7, H.323): theirs has parameters in
	// place of a cookie or a negotiation.
	switch {
	case r.err() != nil:
		return Maybe
	case size == 11 && kind == x224Request, size == 11 && kind == x224Confirm:
		return Weak // the old form, without negotiation
	case len(b) <= 11:
		return Maybe
	case kind == x224Request && b[11] == 'C':
		if m := begins(b[11:], "Cookie: "); m != Yes {
			return m
		}
		return FromClient
	case b[11] != want && (kind != x224Confirm || b[11] != 3):
		return No
	case len(b) < 15:
		return Maybe
	case b[13] != 8 || b[14] != 0:
		return No
	case kind == x224Request:
		return FromClient
	}
	return FromServer
}

type rdpParser struct{ toTheGap }

// Parse reads the request and the answer to it, which decides.
func (p *rdpParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	version := r.u8("version")
	r.u8("reserved")
	size := r.be16("length")
	packet := r.bytes("packet", size-4)
	if r.err() != nil {
		return 0, r.err()
	}
	if version != 3 || size < 11 {
		return 0, &Malformed{"packet", 0, "not one of RFC 1006"}
	}
	if dir == ToServer {
		return size, nil
	}
	if packet[1] != x224Confirm {
		return 0, &Malformed{"type", 5, "not the answer to a connection request"}
	}
	if len(packet) < 15 { // no negotiation: a server before Windows Vista
		facts.SetText(RDPSecurity, "rdp")
		return size, ErrDone
	}
	negotiation := packet[7:]
	switch protocol := negotiation[4]; {
	case negotiation[0] == 3:
		facts.SetText(RDPSecurity, "refused")
		return size, ErrDone
	case protocol == 0:
		facts.SetText(RDPSecurity, "rdp")
		return size, ErrDone
	case protocol == 1:
		facts.SetText(RDPSecurity, "tls")
	case protocol == 2 || protocol == 8:
		facts.SetText(RDPSecurity, "credssp")
	default:
		facts.SetText(RDPSecurity, "rdstls")
	}
	return size, ErrHandOver
}
