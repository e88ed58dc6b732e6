package dissect

// DTLS over UDP: 1.0 (RFC 4347), 1.2 (RFC 6347), the hellos of 1.3 (RFC 9147),
// and the draft that OpenSSL had before 1.0. A datagram is records:
//
//	content type      1   as in TLS
//	version           2   fe ff is 1.0, fe fd is 1.2 and later; 01 00 the draft
//	epoch             2   0 in clear, then counted up with each change of keys
//	sequence number   6
//	length            2
//	fragment          length bytes
//
// In DTLS 1.3 sealed records have a header of their own (RFC 9147 section 4):
//
//	001CSLEE          1   the lowest two bits of the epoch: 2 are the sealed
//	                      handshake, 3 and up application data
//	...
//
// A handshake message has a longer header (RFC 6347 section 4.2.2), repeated
// with each fragment of it:
//
//	type              1   as in TLS; 3 is HelloVerifyRequest
//	length            3   of the whole message
//	message sequence  2   counted from 0 in each direction
//	fragment offset   3
//	fragment length   3
//
// Messages are brought into their order here and then read as those of TLS.
// What is sent again is known by its sequence, and what never comes by what
// waits behind it when the flow is over.

const (
	dtlsRecordHeader  = 13
	dtlsMessageHeader = 12

	msgHelloVerifyRequest = 3 // RFC 6347 section 4.2.1

	recordCID = 25 // a sealed record with a connection id in its header, RFC 9146

	maxDTLSEpoch   = 0xff // that a Probe believes
	maxDTLSRecords = 1024 // after which a handshake that gets nowhere is given up
	maxDTLSWaiting = 16   // messages that wait for earlier ones, in each direction
	maxDTLSBytes   = 32 << 10
)

var dtls = Dissector{
	Name:  "dtls",
	Over:  UDP,
	Ports: []uint16{443, 3391, 4433, 4740, 5061, 5349, 5684, 6514, 10161, 10162},
	Probe: func(_ Dir, b []byte) Match { return probeDTLS(b) },
	New: func(c *Context) Parser {
		return &dtlsParser{tls: tlsParser{context: c, over: overDatagrams}}
	},
}

// dtlsRecord is the header of a record and what it holds.
type dtlsRecord struct {
	typ, version int
	epoch        int
	length       int
	fragment     []byte
}

// readDTLSRecord reads a record. Where the datagram ends before the record does, the
// fragment is what there is.
func readDTLSRecord(r *reader) (h dtlsRecord) {
	h.typ = r.u8("content type")
	h.version = r.be16("version")
	h.epoch = r.be16("epoch")
	r.bytes("sequence number", 6)
	h.length = r.be16("length")
	h.fragment = r.bytes("fragment", min(h.length, r.left()))
	return h
}

func isDTLSVersion(v int) bool {
	return v == versionDTLS10 || v == versionDTLS12 || v == versionDTLSOld
}

// probeDTLS asks for a record in clear that begins a handshake, or for a chain
// of records of a connection that was running when the capture began.
func probeDTLS(b []byte) Match {
	if len(b) > 0 && (b[0] < recordCCS || b[0] > recordHeartbeat) ||
		len(b) > 1 && b[1] != versionDTLS12>>8 && b[1] != versionDTLSOld>>8 ||
		len(b) > 2 && !isDTLSVersion(int(b[1])<<8|int(b[2])) {
		return No
	}
	r := newReader(b)
	for first := true; ; first = false {
		h := readDTLSRecord(r)
		if r.err() != nil {
			if first {
				return Maybe
			}
			return Yes // the rest of the datagram is cut
		}
		if h.typ < recordCCS || h.typ > recordHeartbeat || !isDTLSVersion(h.version) || h.epoch > maxDTLSEpoch || h.length == 0 || h.length > maxRecord {
			return No
		}
		if h.epoch == 0 {
			m := probeDTLSClear(&h)
			if m != Yes || len(h.fragment) < h.length {
				return m
			}
		} else if len(h.fragment) < h.length {
			return Maybe
		}
		if r.left() == 0 {
			return Yes
		}
	}
}

// probeDTLSClear judges a record in clear.
func probeDTLSClear(h *dtlsRecord) Match {
	switch h.typ {
	case recordCCS:
		if h.length > 3 { // the draft has a message sequence in it
			return No
		}
		return Yes
	case recordAlert:
		if h.length != 2 {
			return No
		}
		if len(h.fragment) < 2 {
			return Maybe
		}
		if _, known := alertNames[h.fragment[1]]; !known || h.fragment[0] < alertWarning || h.fragment[0] > alertFatal {
			return No
		}
		return Yes
	case recordHandshake:
	default:
		return No
	}
	r := newReader(h.fragment)
	m := readDTLSMessage(r)
	if r.err() != nil {
		if h.length < dtlsMessageHeader {
			return No
		}
		return Maybe
	}
	if m.from+m.length > m.size || dtlsMessageHeader+m.length > h.length {
		return No
	}
	switch m.typ {
	case msgClientHello, msgClientKeyExchange:
		return FromClient
	case msgServerHello, msgHelloVerifyRequest, msgServerKeyExchange, msgCertificateRequest, msgServerHelloDone, msgHelloRequest:
		return FromServer
	case msgCertificate, msgCertificateVerify, msgNewSessionTicket, msgCertificateStatus:
		return Yes
	}
	return No
}

// dtlsMessage is the header of a handshake message's fragment.
type dtlsMessage struct {
	typ, size    int // of the whole message
	sequence     int
	from, length int // of this fragment
}

func readDTLSMessage(r *reader) (m dtlsMessage) {
	m.typ = r.u8("message type")
	m.size = r.be24("message length")
	m.sequence = r.be16("message sequence")
	m.from = r.be24("fragment offset")
	m.length = r.be24("fragment length")
	return m
}

// dtlsParser reads one connection.
type dtlsParser struct {
	tls     tlsParser
	sides   [2]dtlsSide
	records uint16
}

// holds is the bytes of messages that wait for what is missing.
func (p *dtlsParser) holds() int { return p.tls.holds() + p.sides[0].size + p.sides[1].size }

// dtlsSide is the messages of one direction.
type dtlsSide struct {
	begun   bool
	next    int // message sequence that is read next
	size    int // bytes that waiting holds
	waiting []*dtlsWaiting
}

// dtlsWaiting is a message of which a part is missing, or one before it.
type dtlsWaiting struct {
	head   dtlsMessage
	b      []byte // what is joined of it
	pieces pieces
}

// size is the bytes that w holds.
func (w *dtlsWaiting) size() int { return len(w.b) + w.pieces.size }

func (w *dtlsWaiting) whole() bool { return w.pieces.next >= w.head.size }

// Parse reads the records of a datagram.
func (p *dtlsParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	for r := newReader(b); r.left() > 0 && !p.tls.settled; {
		if p.records++; p.records >= maxDTLSRecords {
			p.tls.settled = true
		}
		if p.tls.tls13() && b[r.off]&0xe0 == 0x20 {
			p.sealed13(dir, b[r.off], facts)
			break // what follows in the datagram is sealed, too
		}
		if b[r.off] == recordCID {
			p.sealed(dir, recordHandshake, facts)
			break // likewise; the first one is the Finished
		}
		at := r.off
		h := readDTLSRecord(r)
		if r.err() != nil || !isDTLSVersion(h.version) || h.typ < recordCCS || h.typ > recordHeartbeat {
			break
		}
		if facts.traced() {
			h.traceRecord(dir, at, facts)
		}
		p.record(dir, &h, facts)
	}
	if p.tls.settled {
		return len(b), ErrDone
	}
	return len(b), nil
}

// sealed13 takes in a sealed record of DTLS 1.3. A client that seals data has
// all that it needs of the handshake.
func (p *dtlsParser) sealed13(dir Dir, first byte, facts *Facts) {
	p.tls.sides[dir].sealed = 1
	if dir == p.tls.client && first&3 == 3 {
		p.tls.finish(complete, facts)
		p.tls.settled = true
	}
}

// sealed takes in a sealed record up to DTLS 1.2. An alert says nothing: what
// came before it may be lost.
func (p *dtlsParser) sealed(dir Dir, typ int, facts *Facts) {
	s := &p.tls.sides[dir]
	if s.sealed++; p.tls.clientHello == helloMissing && p.tls.serverHello == helloMissing {
		p.tls.settled = s.sealed >= maxUnexplained
		return
	}
	if p.tls.version == 0 || p.tls.tls13() || typ == recordAlert {
		return
	}
	s.ccs = true // it came before, and may be on its way
	p.tls.opaque12(dir, typ, false, facts)
}

// record reads one record.
func (p *dtlsParser) record(dir Dir, h *dtlsRecord, facts *Facts) {
	s := &p.tls.sides[dir]
	s.begun = true
	if h.epoch > 0 {
		p.sealed(dir, h.typ, facts)
		return
	}
	switch h.typ {
	case recordCCS:
		if len(p.sides[dir].waiting) == 0 {
			p.tls.changeCipherSpec(dir, facts)
		} else {
			s.ccs = true // what comes before it is still to come
		}
	case recordAlert:
		if h.length == 2 {
			p.tls.alert(dir, h.fragment, facts)
		}
	case recordHandshake:
		p.handshake(dir, h.fragment, facts)
	}
}

// handshake reads the fragments in a record.
func (p *dtlsParser) handshake(dir Dir, b []byte, facts *Facts) {
	for r := newReader(b); r.left() > 0 && !p.tls.settled; {
		m := readDTLSMessage(r)
		body := r.bytes("fragment", min(m.length, r.left()))
		if r.err() != nil || m.from+len(body) > m.size {
			return
		}
		p.fragment(dir, &m, body, facts)
	}
}

// fragment takes in a part of a message, and reads what is whole.
func (p *dtlsParser) fragment(dir Dir, m *dtlsMessage, body []byte, facts *Facts) {
	s := &p.sides[dir]
	if !s.begun {
		switch m.typ {
		case msgHelloVerifyRequest:
			if facts.traced() {
				facts.tell(dir, 1, "HelloVerifyRequest: the server asks for its cookie back")
			}
			return // what the server says behind it may begin at 0 or 1
		case msgClientHello, msgServerHello:
			s.begun = true
			s.next = m.sequence
		}
	}
	if s.begun && m.sequence < s.next {
		return // sent again
	}
	if s.begun && m.sequence == s.next && len(s.waiting) == 0 && m.from == 0 && len(body) == m.size {
		p.whole(dir, m, body, facts)
		s.next++
		return
	}
	p.keep(s, m, body)
	for s.begun && !p.tls.settled {
		w := s.take(s.next)
		if w == nil {
			return
		}
		p.whole(dir, &w.head, w.b, facts)
		s.next++
	}
}

// keep adds a fragment to what waits, as far as there is room.
func (p *dtlsParser) keep(s *dtlsSide, m *dtlsMessage, body []byte) {
	var w *dtlsWaiting
	for _, known := range s.waiting {
		if known.head.sequence == m.sequence {
			w = known
		}
	}
	switch {
	case w == nil && len(s.waiting) >= maxDTLSWaiting, s.size+len(body) > maxDTLSBytes:
		return
	case w == nil:
		w = &dtlsWaiting{head: *m}
		s.waiting = append(s.waiting, w)
	case w.head.typ != m.typ || w.head.size != m.size:
		return // of another message that has the same sequence
	}
	if !wanted(m.typ) {
		w.pieces.next = m.size // it is noted, not read
		return
	}
	before := w.size()
	for ready := w.pieces.arrive(m.from, body); ready != nil; ready = w.pieces.follow() {
		w.b = append(w.b, ready...)
	}
	s.size += w.size() - before
}

// take returns a message that waits, whole, and forgets it.
func (s *dtlsSide) take(sequence int) *dtlsWaiting {
	for i, w := range s.waiting {
		if w.head.sequence == sequence && w.whole() {
			s.size -= w.size()
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return w
		}
	}
	return nil
}

// whole reads a message.
func (p *dtlsParser) whole(dir Dir, m *dtlsMessage, body []byte, facts *Facts) {
	if !wanted(m.typ) {
		if facts.traced() {
			facts.tell(dir, 1, messageName(m.typ), Field{"length", bytesOf(m.size)})
		}
		p.tls.note(dir, m.typ, facts)
		return
	}
	b := make([]byte, 0, 4+len(body))
	b = append(b, byte(m.typ), byte(m.size>>16), byte(m.size>>8), byte(m.size))
	if p.tls.message(dir, m.typ, append(b, body...), facts) != nil {
		p.tls.sides[dir].lost = true // what it was to say is missing
	}
}

// Gap is not called: datagrams come whole or not at all.
func (p *dtlsParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, true }

// Close reads what waited for messages that never came, and says what was
// still open.
func (p *dtlsParser) Close(facts *Facts) {
	for _, dir := range [...]Dir{ToServer, ToClient} {
		s := &p.sides[dir]
		if len(s.waiting) > 0 {
			p.tls.sides[dir].lost = true
		}
		for len(s.waiting) > 0 {
			least := s.waiting[0]
			for _, w := range s.waiting {
				if w.head.sequence < least.head.sequence {
					least = w
				}
			}
			if !least.whole() {
				least.pieces.next = least.head.size
				least.head.typ = -1 // passed over
			}
			if w := s.take(least.head.sequence); w.head.typ >= 0 {
				p.whole(dir, &w.head, w.b, facts)
			}
		}
	}
	p.tls.Close(facts)
}
