package dissect

// STUN (RFC 8489) over UDP, with the cookie that tells it from other bytes:
//
//	type              2   the two top bits are zero
//	length            2   of the attributes, a multiple of four
//	magic cookie      4
//	transaction id   12
//	attributes        length bytes
//
// It opens the way for DTLS and media, which then share its flow with it (WebRTC).
// The first byte tells them apart (RFC 7983): 0 to 3 is STUN, 20 to 63 DTLS.

const (
	stunHeader       = 20
	stunCookie       = 0x2112a442
	maxSTUNDatagrams = 256 // looked at for DTLS, and behind its beginning for the end of the handshake
)

var stun = Dissector{
	Name:  "stun",
	Over:  UDP,
	Ports: []uint16{3478},
	Probe: func(_ Dir, b []byte) Match { return probeSTUN(b) },
	New: func(c *Context) Parser {
		return &stunParser{dtls: dtlsParser{tls: tlsParser{context: c, over: overDatagrams}}}
	},
}

func probeSTUN(b []byte) Match {
	if len(b) > 0 && b[0] > 3 {
		return No
	}
	r := newReader(b)
	r.be16("type")
	length := r.be16("length")
	if length%4 != 0 {
		return No
	}
	cookie := r.be32("magic cookie")
	switch {
	case r.err() != nil:
		return Maybe
	case cookie != stunCookie || len(b) > stunHeader+length:
		return No
	case len(b) < stunHeader+length:
		return Maybe
	}
	return Yes
}

// stunParser waits for DTLS to begin.
type stunParser struct {
	dtls   dtlsParser
	begun  bool
	looked uint16 // datagrams that are not of DTLS, before it or since it began
}

// Parse reads a datagram, if it is of DTLS.
func (p *stunParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if len(b) > 0 && (p.begun && b[0] >= 20 && b[0] < 64 || !p.begun && probeDTLS(b) > Maybe) {
		if !p.begun {
			p.begun, p.looked = true, 0
			facts.Refine("dtls")
		}
		return p.dtls.Parse(dir, b, facts)
	}
	if p.looked++; p.looked >= maxSTUNDatagrams {
		return len(b), ErrDone
	}
	return len(b), nil
}

// Gap is not called: datagrams come whole or not at all.
func (p *stunParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, true }

// Close says what was still open.
func (p *stunParser) Close(facts *Facts) {
	if p.begun {
		p.dtls.Close(facts)
	}
}
