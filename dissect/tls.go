package dissect

// TLS over TCP: SSL 2.0 hellos (RFC 6101 appendix E), SSL 3.0 (RFC 6101),
// TLS 1.0 to 1.2 (RFC 5246) and TLS 1.3 (RFC 8446).
//
// The record layer carries everything (RFC 8446 section 5.1):
//
//	content type   1   20 change cipher spec, 21 alert, 22 handshake,
//	                   23 application data, 24 heartbeat
//	version        2   major 3; says little, the hellos decide
//	length         2   at most 2^14 + 2048
//	fragment       length bytes
//
// and the handshake layer is the fragments of type 22, joined: a message may
// span records and a record may hold several messages (section 4):
//
//	type     1
//	length   3
//	body     length bytes
//
// Until a side seals its records, their content is read; from then on only
// their types and lengths say something: a ChangeCipherSpec seals a direction
// up to TLS 1.2, and the ServerHello all that follows in TLS 1.3. Sealed
// records are passed over unseen, unless there are keys. The files: this one has the records and the
// order of a handshake, tls_hello.go the hellos, tls_fingerprint.go JA3 and
// JA4, tls_cert.go certificates, tls_alert.go alerts, tls_auth.go what the lengths
// of sealed records tell of client authentication in TLS 1.3, and
// tls_decrypt.go and tls_seal.go what keys open.

const (
	recordCCS         = 20
	recordAlert       = 21
	recordHandshake   = 22
	recordApplication = 23
	recordHeartbeat   = 24

	recordHeader   = 5            // bytes
	maxRecord      = 1<<14 + 2048 // bytes of a fragment, RFC 5246 section 6.2.3
	maxMessage     = 64 << 10     // bytes of a handshake message that are joined; a longer one is passed over
	maxRecords     = 4096         // records after which a handshake that gets nowhere is given up
	maxUnexplained = 8            // sealed records of a flow without a hello before it is left alone
	maxUnanswered  = 64           // records behind the client's Finished before it counts as accepted
	maxResyncs     = 64           // segments looked at for a record header after one was lost
)

// Handshake message types (RFC 8446 section 4, RFC 5246 section 7.4).
const (
	msgHelloRequest       = 0
	msgClientHello        = 1
	msgServerHello        = 2
	msgNewSessionTicket   = 4
	msgHelloRetryRequest  = 6 // TLS 1.3 before draft 22
	msgCertificate        = 11
	msgServerKeyExchange  = 12
	msgCertificateRequest = 13
	msgServerHelloDone    = 14
	msgCertificateVerify  = 15
	msgClientKeyExchange  = 16
	msgFinished           = 20
	msgCertificateStatus  = 22
)

// Protocol versions as the wire has them. DTLS counts down (RFC 6347 section
// 4.1), but for the one that OpenSSL made of a draft.
const (
	versionSSL2    = 0x0002
	versionSSL3    = 0x0300
	versionTLS10   = 0x0301
	versionTLS11   = 0x0302
	versionTLS12   = 0x0303
	versionTLS13   = 0x0304
	versionDTLSOld = 0x0100
	versionDTLS10  = 0xfeff
	versionDTLS12  = 0xfefd
	versionDTLS13  = 0xfefc
)

// A carrier is what a handshake is carried in.
type carrier uint8

const (
	overRecords   carrier = iota // TLS records on TCP
	overQUIC                     // CRYPTO frames (RFC 9001)
	overDatagrams                // DTLS records on UDP
)

var tlsDissector = Dissector{
	Name:   "tls",
	Over:   TCP,
	Ports:  []uint16{443, 465, 636, 853, 993, 995, 8443, 9876, 9877, 44445},
	Probe:  probeTLS,
	Behind: true, // STARTTLS in whatever protocol
	New:    func(c *Context) Parser { return &tlsParser{context: c} },
}

// probeTLS recognises a hello in records or in the SSL 2.0 format, and records
// of a connection that was running when the capture began.
func probeTLS(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	if b[0]&0x80 != 0 {
		return probeSSL2(b)
	}
	// The first bytes of the first message decide, over as many records as
	// they are spread. Other records must form a chain.
	var message [6]byte // type, length, version
	have, chained := 0, 0
	for r := newReader(b); ; chained++ {
		at := r.off
		typ := r.u8("content type")
		version := r.be16("record version")
		length := r.be16("record length")
		if r.err() != nil {
			return probeHeader(b[at:], chained)
		}
		if !plausibleRecord(typ, version, length) {
			return No
		}
		fragment := r.bytes("fragment", min(length, r.left()))
		whole := len(fragment) == length
		switch typ {
		case recordHandshake:
			if chained > 0 && have == 0 {
				return Yes
			}
			have += copy(message[have:], fragment)
			m := probeMessage(message[:have])
			if m != No && m != Maybe {
				return m
			}
			if m == No {
				// Sealed, or a piece from within a message: the next record
				// has to bear it out.
				have = 0
				if chained > 0 {
					return Yes
				}
			}
		case recordAlert:
			if length == 2 && whole {
				if _, known := alertNames[fragment[1]]; !known || fragment[0] < 1 || fragment[0] > 2 {
					return No
				}
				return Yes
			}
			if length == 2 {
				return Maybe
			}
		case recordCCS:
			if whole && fragment[0] != 1 {
				return No
			}
		case recordApplication:
			if whole && r.left() < recordHeader && r.left() > 0 {
				return probeHeader(b[r.off:], 1)
			}
			if r.left() == 0 || chained > 0 {
				return Yes
			}
		}
		if !whole {
			return Maybe
		}
	}
}

// probeHeader judges the beginning of a record header: what there is of it
// must be possible.
func probeHeader(b []byte, chained int) Match {
	if len(b) > 0 && (b[0] < recordCCS || b[0] > recordHeartbeat) || len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4 {
		return No
	}
	return Maybe
}

func plausibleRecord(typ, version, length int) bool {
	if version < versionSSL3 || version > versionTLS13 || length == 0 || length > maxRecord {
		return false
	}
	switch typ {
	case recordCCS:
		return length == 1
	case recordAlert:
		return length == 2 || length >= 10 && length <= 256
	case recordHandshake:
		return true
	case recordApplication:
		return length >= 16
	}
	return false
}

// probeMessage judges the first bytes of the first handshake message.
func probeMessage(b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	var sender Match
	switch b[0] {
	case msgClientHello, msgClientKeyExchange:
		sender = FromClient
	case msgServerHello, msgHelloRetryRequest, msgNewSessionTicket, msgServerKeyExchange, msgCertificateRequest, msgCertificateStatus:
		sender = FromServer
	case msgCertificate, msgCertificateVerify:
		sender = Yes
	default:
		return No
	}
	if len(b) < 4 {
		return Maybe
	}
	r := newReader(b[1:])
	length := r.be24("message length")
	if length < 2 || length > 1<<17 {
		return No
	}
	return sender
}

// tlsParser reads one connection.
type tlsParser struct {
	context *Context
	over    carrier
	client  Dir    // direction of the end that plays the TLS client
	version uint16 // that of TLS which the negotiated one is made of
	suite   uint16
	records uint16

	clientHello helloState
	serverHello helloState // of the real ServerHello, not a HelloRetryRequest
	helloRetry  bool
	resumed     bool
	certRequest bool // the server asked, in clear
	helloDone   bool // ServerHelloDone or ClientKeyExchange: a full handshake, up to TLS 1.2
	keyExchange bool // the client's ClientKeyExchange was seen
	settled     bool // nothing more to learn
	broken      bool // what an end sent was not TLS, and the rest of it is not read
	outcome     outcome
	certKnown   bool // tls.client_cert has been said

	offersPSK       bool
	offersEarly     bool
	offersSettings  bool
	offersLater     bool // to show a certificate behind the handshake
	offersECH       bool
	offers13        bool   // TLS 1.3
	offered         uint16 // the set of its suites, see suites13
	earlyBefore     bool   // the client sealed something before the ServerHello came
	sessionIDLength uint8
	sessionID       [32]byte

	// Up to TLS 1.2, see tls_session.go.
	ticketShown bool // the client showed a ticket
	ticket      sessionKey
	given       []sessionKey // by the server: a session ID, tickets
	certificate *certificate // that the client showed

	strange uint64 // frame of the server's answer, where it began with something else than TLS

	// Up to TLS 1.2, the first sealed alert before both ends had finished; no
	// frame for none.
	alertFrom  Dir
	alertFrame uint64

	flight flight     // the client's sealed records, TLS 1.3
	opener *tlsOpener // nil without a key log
	opened bool       // what is being read was sealed and has been opened
	sides  [2]tlsSide
}

// holds is the bytes of messages that are not whole, and of records that cannot
// be opened yet.
func (p *tlsParser) holds() int {
	n := len(p.sides[0].joined) + len(p.sides[1].joined)
	if o := p.opener; o != nil {
		n += o.bytes
		if o.inner != nil {
			n += o.inner.held()
		}
	}
	return n
}

func (p *tlsParser) renew() {
	*p = tlsParser{context: p.context, given: p.given[:0]}
}

// tlsSide is one direction's record and handshake layer.
type tlsSide struct {
	joined   []byte // of a handshake message whose rest is in records to come
	drop     int    // bytes still to come of a message that is passed over
	sealed   uint16 // sealed records seen
	resyncs  uint8
	begun    bool // a record or SSL 2.0 hello was read
	ccs      bool // ChangeCipherSpec was seen
	finished bool // a sealed handshake record was seen behind it: Finished, up to TLS 1.2
	lost     bool // messages may be missing: a gap
	rawKey   bool // its Certificate is to be a raw public key, up to TLS 1.2
	adrift   bool // the record boundary is lost: looking for a header

	sealedHandshake bool // a sealed record of the handshake type was seen
}

type helloState uint8

const (
	helloMissing helloState = iota
	helloCut                // begun, and its rest lost
	helloRead
)

type outcome uint8

const (
	open outcome = iota
	complete
	failed
)

func (p *tlsParser) server() Dir { return p.client.Other() }

// tls13 says that TLS 1.3 was negotiated.
func (p *tlsParser) tls13() bool { return p.version == versionTLS13 }

// Parse reads the records of b.
func (p *tlsParser) Parse(dir Dir, b []byte, facts *Facts) (n int, err error) {
	s := &p.sides[dir]
	if !s.begun && !s.adrift && len(b) > 0 && b[0]&0x80 != 0 {
		n, err = p.parseSSL2(dir, b, facts)
		p.noteStrange(dir, err, facts)
		return n, err
	}
	for {
		if p.settled && !p.decrypting() {
			return n, ErrDone
		}
		if n == len(b) {
			return n, nil
		}
		if s.adrift {
			if rest := b[n:]; len(rest) < recordHeader && probeHeader(rest, 0) == Maybe {
				return n, ErrShort
			}
			if !p.anchor(s, b[n:]) {
				return len(b), nil
			}
		}
		r := newReader(b[n:])
		typ := r.u8("content type")
		if typ < recordCCS || typ > recordHeartbeat {
			r.malformed("content type", "not a TLS record")
		}
		version := r.be16("record version")
		if version>>8 != 3 {
			r.malformed("record version", "major version is not 3")
		}
		length := r.be16("record length")
		if length > maxRecord {
			r.malformed("record length", "longer than a record can be")
		}
		if err := r.err(); err != nil {
			p.broken = p.broken || err != ErrShort
			p.noteStrange(dir, err, facts)
			return n, err
		}
		switch {
		case p.opener != nil && p.opener.wants(p, dir, typ):
			fragment := r.bytes("fragment", length)
			if r.err() != nil {
				return n, r.err()
			}
			if facts.traced() {
				p.traceSealed(dir, n, typ, length, facts)
			}
			err = p.sealedRecord(dir, typ, version, fragment, facts)
		case p.readable(s, dir, typ, length):
			fragment := r.bytes("fragment", length)
			if r.err() != nil {
				return n, r.err()
			}
			if facts.traced() {
				p.traceRecord(dir, n, typ, version, length, facts)
			}
			err = p.clear(dir, typ, fragment, facts)
		case p.infers():
			if facts.traced() {
				p.traceSealed(dir, n, typ, length, facts)
			}
			p.opaque(dir, typ, version, length, facts)
		}
		s.begun = true
		n += recordHeader + length
		if p.records++; p.records >= maxRecords {
			p.settled = true
		}
		if err != nil {
			p.broken = true
			return n, err
		}
		if n > len(b) {
			if p.settled && !p.decrypting() {
				return len(b), ErrDone
			}
			return n, nil // the rest of the record is not looked at
		}
	}
}

// noteStrange takes in that what an end begins with is no record. It was the
// server's answer, if none follows. Of a connection that was running when the
// capture began it may be from within one.
func (p *tlsParser) noteStrange(dir Dir, err error, facts *Facts) {
	if _, malformed := err.(*Malformed); malformed && !facts.Midway && dir == p.server() && p.clientHello != helloMissing && !p.sides[dir].begun && !p.sides[dir].lost {
		p.strange = facts.Frame
	}
}

// infers says that there is still something to be learned from lengths: until
// it is known, or the end of the handshake has been decrypted.
func (p *tlsParser) infers() bool { return !p.settled && (p.opener == nil || !p.opener.finished) }

// readable says whether the content of a record is in clear and of use.
func (p *tlsParser) readable(s *tlsSide, dir Dir, typ, length int) bool {
	switch typ {
	case recordCCS:
		return length == 1
	case recordAlert:
		return length == 2 // sealed ones have at least a MAC or tag on top
	case recordHandshake:
		if p.serverHello == helloRead && p.tls13() {
			// A ClientHello may come late: captures are not always in order.
			return dir == p.client && p.clientHello == helloMissing
		}
		// Around a HelloRetryRequest both ends send their ChangeCipherSpec
		// before their second hello, and a client with early data does.
		return !s.ccs || p.helloRetry || dir == p.client && p.offersEarly
	}
	return false
}

// clear reads the content of a record.
func (p *tlsParser) clear(dir Dir, typ int, fragment []byte, facts *Facts) error {
	switch typ {
	case recordCCS:
		p.changeCipherSpec(dir, facts)
		if p.opener != nil {
			p.opener.changed(p, dir)
		}
	case recordAlert:
		p.alert(dir, fragment, facts)
	case recordHandshake:
		return p.handshake(dir, fragment, facts)
	}
	return nil
}

// handshake splits a fragment into messages, behind what earlier fragments
// left over.
func (p *tlsParser) handshake(dir Dir, fragment []byte, facts *Facts) error {
	s := &p.sides[dir]
	if s.drop > 0 {
		k := min(s.drop, len(fragment))
		s.drop -= k
		fragment = fragment[k:]
	}
	b := fragment
	if len(s.joined) > 0 {
		s.joined = append(s.joined, fragment...)
		b = s.joined
	}
	for len(b) > 0 && (!p.settled || p.opened) {
		r := newReader(b)
		typ := r.u8("message type")
		length := r.be24("message length")
		if r.err() == nil && (!wanted(typ) || length > maxMessage) {
			k := min(length, r.left())
			if facts.traced() {
				facts.tell(dir, 1, messageName(typ), Field{"length", bytesOf(length)})
			}
			p.note(dir, typ, facts)
			b = b[r.off+k:]
			s.drop = length - k
			continue
		}
		if r.err() != nil || length > r.left() {
			break
		}
		err := p.message(dir, typ, b[:r.off+length], facts)
		if err != nil && !s.lost {
			return err // behind a gap it may have been no message at all
		}
		b = b[r.off+length:]
	}
	if len(b) == 0 {
		s.joined = nil
	} else {
		s.joined = append(s.joined[:0], b...)
	}
	return nil
}

// wanted says whether a message has content that becomes a fact. The others
// are noted as they begin and passed over.
func wanted(typ int) bool {
	switch typ {
	case msgClientHello, msgServerHello, msgHelloRetryRequest, msgNewSessionTicket, msgCertificate, msgEncryptedExtensions, msgCompressedCertificate:
		return true
	}
	return false
}

// message reads a whole message; b begins with its header.
func (p *tlsParser) message(dir Dir, typ int, b []byte, facts *Facts) error {
	r := newReader(b)
	r.u8("message type")
	body := r.within("message", r.be24("message length"))
	switch typ {
	case msgClientHello:
		return p.readClientHello(dir, &body, facts)
	case msgServerHello, msgHelloRetryRequest:
		return p.readServerHello(dir, typ, &body, facts)
	case msgNewSessionTicket:
		if p.opener != nil && dir == p.server() {
			again := body
			p.opener.ticket(p, &again)
		}
		return p.readSessionTicket(dir, &body)
	case msgCertificate:
		return p.readCertificates(dir, &body, facts)
	case msgEncryptedExtensions:
		if p.opened && dir == p.server() {
			return p.readEncryptedExtensions(&body, facts)
		}
	case msgCompressedCertificate:
		if p.opened {
			return p.readCompressedCertificate(dir, &body, facts)
		}
	}
	return nil
}

// note takes in that a message was sent whose content does not matter.
func (p *tlsParser) note(dir Dir, typ int, facts *Facts) {
	if p.opened {
		p.noteOpened(dir, typ, facts)
	}
	switch {
	case typ == msgCertificateRequest && dir == p.server():
		p.certRequest = true
		facts.SetFlag(TLSCertRequest, true)
	case typ == msgServerHelloDone && dir == p.server():
		p.helloDone = true
		p.fullHandshake(facts)
		if !p.certRequest && !p.sides[dir].lost && p.serverHello != helloMissing {
			// Nobody shows a certificate without being asked.
			p.sayClientCert(facts, "absent", "observed")
		}
	case typ == msgClientKeyExchange && dir == p.client:
		p.keyExchange = true
		p.fullHandshake(facts)
	}
}

// fullHandshake takes in that keys are agreed anew, up to TLS 1.2. A server
// that echoes any session ID has not resumed that session.
func (p *tlsParser) fullHandshake(facts *Facts) {
	if p.resumed {
		p.resumed = false
		p.sayResumed(false, facts)
	}
}

// changeCipherSpec seals a direction up to TLS 1.2; in TLS 1.3 it means
// nothing (RFC 8446 appendix D.4).
func (p *tlsParser) changeCipherSpec(dir Dir, facts *Facts) {
	s := &p.sides[dir]
	first := !s.ccs
	s.ccs = true
	if dir == p.client && p.serverHello == helloMissing {
		p.earlyBefore = true
	}
	if !first || p.version == 0 || p.version > versionTLS12 {
		return
	}
	if dir == p.server() {
		// The server seals before the client's part: an abbreviated handshake
		// (RFC 5246 section 7.3, RFC 5077 section 3.1).
		if !p.helloDone && !p.keyExchange && !s.lost && p.serverHello == helloRead && !p.resumed {
			p.resumed = true
			p.sayResumed(true, facts)
		}
		return
	}
	if p.keyExchange && !s.lost && p.clientHello != helloMissing {
		p.sayClientCert(facts, "absent", "observed") // unless a Certificate said otherwise
	}
}

// opaque takes in a record of which only type and length are known.
func (p *tlsParser) opaque(dir Dir, typ, version, length int, facts *Facts) {
	s := &p.sides[dir]
	if s.sealed < maxRecords {
		s.sealed++
	}
	again := typ == recordHandshake && s.sealedHandshake
	s.sealedHandshake = s.sealedHandshake || typ == recordHandshake
	if p.clientHello == helloMissing && p.serverHello == helloMissing {
		if version < versionTLS12 && typ == recordApplication && p.version == 0 {
			p.version = uint16(version)
			facts.SetText(TLSVersion, versionName(p.version))
		}
		if p.sides[0].sealed+p.sides[1].sealed >= maxUnexplained {
			p.settled = true
		}
		return
	}
	if p.version == 0 || p.tls13() {
		p.opaque13(dir, typ, length, facts)
		return
	}
	p.opaque12(dir, typ, again, facts)
}

// opaque12 takes in a sealed record where a version up to TLS 1.2 was
// negotiated. again says that it is of a handshake, behind one that was sealed.
func (p *tlsParser) opaque12(dir Dir, typ int, again bool, facts *Facts) {
	s := &p.sides[dir]
	// Up to TLS 1.2: Finished is the first sealed record. Application data
	// from the server means that all is done; the client may send some before
	// the server's Finished (RFC 7918). Where no certificate was shown, the
	// server may yet ask for one, until it answers.
	if p.outcome == complete {
		if again && s.ccs && !s.lost {
			p.renegotiate(facts)
		}
		p.flight.behind++
		if typ == recordApplication && dir == p.server() || p.flight.behind >= maxUnanswered {
			p.settled = true
		}
		return
	}
	switch typ {
	case recordHandshake:
		s.finished = s.ccs
	case recordApplication:
		s.finished = true
		if dir == p.server() {
			p.sides[p.client].finished = true
		}
	case recordAlert:
		// It breaks the handshake off, unless the other end's Finished is
		// still to come: captures are not always in order.
		if p.outcome == open && !s.lost && p.alertFrame == 0 {
			p.alertFrom, p.alertFrame = dir, facts.Frame
		}
	}
	if p.sides[0].finished && p.sides[1].finished {
		p.finish(complete, facts)
		p.settled = typ == recordApplication && dir == p.server() || facts.Text(TLSClientCert) == "present"
	}
}

// refuse says that the end that sends in dir broke the handshake off with an
// alert that cannot be read.
func (p *tlsParser) refuse(dir Dir, facts *Facts) {
	facts.SetText(TLSRefused, p.end(dir))
	p.finish(failed, facts)
	p.settled = true
}

// finish says how the handshake ended.
func (p *tlsParser) finish(o outcome, facts *Facts) {
	p.outcome = o
	facts.SetText(TLSHandshake, [...]string{"incomplete", "complete", "failed"}[o])
	if o == complete {
		p.settleSession(facts)
	}
	if facts.traced() {
		facts.conclude(p.client, "the handshake is "+[...]string{"incomplete", "complete", "broken off"}[o])
	}
}

// end names the end that sends in dir.
func (p *tlsParser) end(dir Dir) string {
	if dir == p.client {
		return "client"
	}
	return "server"
}

// sayClientCert says what the client showed; the first saying holds. What is
// decrypted is better known than what was inferred, and tells of the
// handshake of a renegotiation, too.
func (p *tlsParser) sayClientCert(facts *Facts, what, basis string) {
	if p.certKnown && (basis != "decrypted" || facts.Text(TLSClientCertBasis) != "inferred" &&
		(what == "absent" || facts.Text(TLSClientCert) == "present")) {
		return
	}
	p.certKnown = true
	facts.SetText(TLSClientCert, what)
	if basis != "" {
		facts.SetText(TLSClientCertBasis, basis)
	}
	if basis == "decrypted" && facts.knows(TLSClientCertSure) {
		facts.SetText(TLSClientCertSure, confidenceHigh) // of what was inferred before
	}
	if facts.traced() {
		p.traceClientCert(what, basis, facts)
	}
}

// Gap reads what there is of a record that was cut and passes over the rest.
// Where the end of that record is lost too, Parse looks for the next header at
// the beginning of later segments.
//
// Where nothing is lost, n being 0, what came was something else.
func (p *tlsParser) Gap(dir Dir, held []byte, n uint64, facts *Facts) (skip uint64, ok bool) {
	s := &p.sides[dir]
	if n > 0 {
		p.strange = 0
	}
	if p.opener != nil {
		p.opener.lose(dir)
	}
	if s.adrift || len(held) < recordHeader || held[0]&0x80 != 0 {
		p.cast(s)
		return 0, true
	}
	r := newReader(held)
	typ := r.u8("content type")
	r.be16("record version")
	length := r.be16("record length")
	fragment := r.bytes("fragment", r.left())
	if len(fragment) >= length {
		p.cast(s) // whole, and not read: nothing that Parse leaves behind
		return 0, true
	}
	lost := uint64(length - len(fragment))
	s.begun = true
	if typ == recordHandshake {
		p.cut(dir, fragment, length-len(fragment), facts)
	}
	if n > lost {
		p.cast(s)
		return 0, true
	}
	return lost - n, true
}

// cast notes that the record boundary is lost.
func (p *tlsParser) cast(s *tlsSide) {
	s.adrift, s.lost = true, true
	s.joined, s.drop = nil, 0
}

// anchor says whether b begins with record headers again. It asks for types
// and lengths that are usual once a handshake is under way, and for a second
// header where the first record ends within b.
func (p *tlsParser) anchor(s *tlsSide, b []byte) bool {
	if s.resyncs++; s.resyncs >= maxResyncs {
		p.settled = true
		return false
	}
	r := newReader(b)
	for r.left() >= recordHeader {
		typ, version, length := r.u8("content type"), r.be16("record version"), r.be16("record length")
		if !plausibleRecord(typ, version, length) {
			return false
		}
		r.bytes("fragment", min(length, r.left()))
		s.adrift = false
	}
	return !s.adrift
}

// cut reads the beginning of a handshake record whose last lost bytes will
// never come.
func (p *tlsParser) cut(dir Dir, fragment []byte, lost int, facts *Facts) {
	s := &p.sides[dir]
	k := min(s.drop, len(fragment))
	s.drop -= k
	fragment = fragment[k:]
	if s.drop > 0 { // inside a message that is passed over
		s.lost = s.lost || lost > s.drop
		s.drop = max(0, s.drop-lost)
		return
	}
	// Whole messages first; what is left over begins the message that is cut.
	if p.handshake(dir, fragment, facts) != nil {
		s.lost = true
		return
	}
	if s.drop > 0 {
		s.lost = s.lost || lost > s.drop
		s.drop = max(0, s.drop-lost)
		return
	}
	b := s.joined
	s.joined = nil
	if len(b) < 4 {
		s.lost = true
		return
	}
	r := newReader(b)
	typ := r.u8("message type")
	length := r.be24("message length")
	missing := length - r.left()
	switch typ {
	case msgClientHello:
		p.cutClientHello(dir, r, facts)
	case msgServerHello:
		p.cutServerHello(dir, r, facts)
	case msgCertificate:
		s.lost = !p.cutCertificates(dir, r, facts) || s.lost
	}
	s.lost = s.lost || lost > missing
	s.drop = max(0, missing-lost)
}

// Close says what was still open.
func (p *tlsParser) Close(facts *Facts) {
	if p.opener != nil {
		p.closeOpener(facts)
	}
	if p.clientHello == helloMissing && p.serverHello == helloMissing {
		return
	}
	p.closeFlight(facts)
	if p.alertFrame != 0 && p.outcome == open && !p.broken && !p.sides[0].lost && !p.sides[1].lost {
		now := facts.Frame
		facts.Frame = p.alertFrame
		p.refuse(p.alertFrom, facts)
		facts.Frame = now
	}
	if p.strange != 0 && p.outcome == open && p.serverHello == helloMissing && !p.sides[p.server()].begun {
		now := facts.Frame
		facts.Frame = p.strange
		p.finish(failed, facts)
		facts.Frame = now
	}
	p.sayClientCert(facts, "unknown", "")
	p.sayAccepted(facts)
	// A handshake that was not seen to end ended so only if nothing is
	// missing: no gap, and no client that goes on without the server's bytes.
	if p.outcome == open && !p.sides[0].lost && !p.sides[1].lost &&
		(p.sides[p.server()].begun || p.sides[p.client].sealed == 0 && !p.sides[p.client].ccs) {
		p.finish(open, facts)
	}
}
