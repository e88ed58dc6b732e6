package dissect

import "encoding/binary"

// TDS, the protocol of Microsoft SQL Server, MS-TDS. It is packets,
//
//	type (1)  status (1)  length (2), all of it  process (2)  number (1)  window (1)
//
// and begins with a PRELOGIN (12) and the answer to it (in a 04), which are lists
//
//	option (1)  offset (2)  length (2)  ...  ff  data
//
// Option 1 is what each end wants encrypted. Where it comes to that, the
// handshake of TLS follows inside of packets of type 12 (section 2.2.6.5), and
// behind it the records stand in the stream themselves, with packets inside:
// until the end, or until the login is over.

var tds = Dissector{
	Name:  "tds",
	Over:  TCP,
	Ports: []uint16{1433},
	Probe: probeTDS,
	New:   func(c *Context) Parser { return &tdsParser{inner: &tlsParser{context: c}} },
}

const (
	tdsHeaderSize = 8
	tdsResult     = 0x04
	tdsPrelogin   = 0x12

	maxTDSHandshake = 32 << 10 // bytes of one direction that wait for the end of a record
)

func probeTDS(_ Dir, b []byte) Match {
	const option = tdsHeaderSize // the first one: 0, the version, which is 6 bytes
	switch {
	case len(b) > 0 && b[0] != tdsResult && b[0] != tdsPrelogin,
		len(b) > 1 && b[1] != 1,
		len(b) > 4 && b[0] == tdsPrelogin && b[4] != 0,
		len(b) > 6 && b[6] > 1,
		len(b) > 7 && b[7] != 0,
		len(b) > option && b[option] != 0,
		len(b) > option+1 && b[option+1] != 0,
		len(b) > option+3 && b[option+3] != 0,
		len(b) > option+4 && b[option+4] != 6:
		return No
	case len(b) <= option+4:
		return Maybe
	}
	if size := int(binary.BigEndian.Uint16(b[2:])); size < tdsHeaderSize+5+1+6 || size > 4096 {
		return No
	}
	if b[0] == tdsPrelogin {
		return FromClient
	}
	return FromServer
}

type tdsParser struct {
	inner    *tlsParser // of the records of TLS
	records  [2][]byte
	skip     [2]int // bytes of records to be passed over
	answered bool   // the server's answer to PRELOGIN was read
	bare     bool   // records stand in the stream themselves
}

// holds is the bytes of records that are not whole.
func (p *tdsParser) holds() int {
	return len(p.records[0]) + len(p.records[1]) + p.inner.holds()
}

func (p *tdsParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if isRecord(b) {
		p.bare = true
		return p.inner.Parse(dir, b, facts)
	}
	r := newReader(b)
	kind := r.u8("type")
	r.u8("status")
	size := r.be16("length")
	r.be32("process, number, window")
	content := r.bytes("content", size-tdsHeaderSize)
	switch {
	case r.err() == ErrShort && size >= tdsHeaderSize || len(b) < tdsHeaderSize:
		if len(b) > 0 && kind != tdsPrelogin && kind != tdsResult {
			return 0, ErrDone
		}
		return 0, ErrShort
	case size < tdsHeaderSize:
		return 0, &Malformed{"length", 2, "shorter than the header"}
	case kind != tdsPrelogin && kind != tdsResult:
		return 0, ErrDone // a login or a query, in clear
	case isRecord(content), len(p.records[dir])+p.skip[dir] > 0:
		return size, p.handshake(dir, content, facts)
	case dir == ToServer:
		return size, nil
	case p.answered:
		return 0, ErrDone
	}
	p.answered = true
	p.prelogin(content, facts)
	return size, nil
}

// isRecord says whether b begins with the type of a record of TLS, which no
// packet of TDS has, nor a PRELOGIN.
func isRecord(b []byte) bool {
	return len(b) > 0 && b[0] >= recordCCS && b[0] <= recordHeartbeat
}

// prelogin records what the server says of encryption (section 2.2.6.5).
func (p *tdsParser) prelogin(b []byte, facts *Facts) {
	const encryption, last = 1, 0xff
	r := newReader(b)
	for {
		option := r.u8("option")
		offset := r.be16("offset")
		length := r.be16("length")
		if option == last || r.err() != nil {
			return
		}
		if option != encryption || length < 1 || offset >= len(b) {
			continue
		}
		switch b[offset] {
		case 0:
			facts.SetText(TDSEncryption, "login")
		case 1:
			facts.SetText(TDSEncryption, "on")
		case 2:
			facts.SetText(TDSEncryption, "unsupported")
		case 3:
			facts.SetText(TDSEncryption, "required")
		}
		return
	}
}

// handshake feeds the content of a packet to the Parser of TLS.
func (p *tdsParser) handshake(dir Dir, b []byte, facts *Facts) error {
	n := min(p.skip[dir], len(b))
	p.skip[dir] -= n
	waiting := append(p.records[dir], b[n:]...)
	if facts.traced() {
		// What the inner Parser is given ends where the packet does.
		facts.trace.base[dir] += uint64(tdsHeaderSize+len(b)) - uint64(len(waiting))
	}
	for len(waiting) > 0 {
		n, err := p.inner.Parse(dir, waiting, facts)
		if err != nil && err != ErrShort {
			return err
		}
		p.skip[dir] += max(n-len(waiting), 0)
		if facts.traced() {
			facts.trace.base[dir] += uint64(min(n, len(waiting)))
		}
		waiting = waiting[min(n, len(waiting)):]
		if n == 0 || err != nil {
			break
		}
	}
	if len(waiting) > maxTDSHandshake {
		return ErrDone
	}
	p.records[dir] = append(p.records[dir][:0], waiting...)
	return nil
}

// Gap is for the records, once they stand in the stream.
func (p *tdsParser) Gap(dir Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	if !p.bare {
		return 0, false
	}
	return p.inner.Gap(dir, held, n, facts)
}

// Close concludes the handshake, where there was one.
func (p *tdsParser) Close(facts *Facts) { p.inner.Close(facts) }
