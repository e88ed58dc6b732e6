package dissect

// Client authentication in TLS 1.3, from the lengths of sealed records.
//
// The client's part of a full handshake is, sealed (RFC 8446 section 4.4):
//
//	Certificate         only if the server asked; empty without a suitable one
//	CertificateVerify   only behind a Certificate that is not empty
//	Finished
//
// A sealed record is one byte of content type and the cipher's tag longer than
// what it holds (section 5.2). The suite in the ServerHello gives the tag's
// length and that of the hash, which is that of Finished. So, of the client's
// first sealed records behind the hellos, with h bytes of hash and o of
// overhead (1 and the tag, 17 mostly):
//
//	4+h+o               Finished alone: the server asked for nothing
//	8+o, 4+h+o          an empty Certificate, then Finished
//	8+4+h+o             the two in one record
//	2+o                 an alert: the client broke off
//	well above          a Certificate, with CertificateVerify and Finished in
//	                    the same record or in others
//
// A client that offers application settings (draft-vvv-tls-alps; Chromium) puts
// an EncryptedExtensions message of 10 bytes in front, where the server agreed.
//
// Some stacks pad every record by 16 bytes, so each length counts at 16 more,
// too; none of them meet within a suite. Others pad to whole blocks: where all
// records may be such, length says nothing.
//
// A handshake that resumes a session has no certificates. Early data (0-RTT)
// is sealed as well and comes before Finished: what came before the
// ServerHello is left out, and of what came behind it only sequences of exact
// lengths count, for more early data may have been on its way.
//
// A server that refuses the client afterwards sends an alert (2+o bytes), and
// no other record behind its own Finished: no session ticket, no data.
const (
	alertLength            = 2 // level and description
	emptyCertificateLength = 8 // header 4, context 1, list 3
	finishedHeader         = 4
	settingsLength         = 10 // header 4, list 2, extension 4, no settings
	habitualPadding        = 16
	certificateLength      = 200 // less than this holds no X.509 certificate and its signature
	paddingBlock           = 64  // bytes; blocks that records are padded to are multiples of it
	maxFlight              = 8   // sealed records of the client that are looked at
)

// flight is the client's part of a handshake as its records show it.
type flight struct {
	lengths [maxFlight]uint16
	n       uint8 // lengths that are known
	kind    flightKind
	over    bool // Finished is behind us

	behind      uint16 // the client's sealed records behind its Finished
	clientAlert bool   // one of them has the length of an alert
	serverAlert bool   // the server's last sealed record has
	alertFrame  uint64
}

type flightKind uint8

const (
	flightOpen    flightKind = iota // more records have to come
	flightAborted                   // an alert
	flightBare                      // Finished alone
	flightEmpty                     // an empty Certificate
	flightShown                     // a Certificate
	flightUnclear                   // lengths that fit nothing
)

// seal is what a cipher suite says of lengths.
type seal struct {
	tag      int
	hashes   []int // of Finished; both where the suite is not known
	settings bool  // application settings may go ahead of the other messages
}

var (
	sha256Hash  = []int{32}
	sha384Hash  = []int{48}
	unknownHash = []int{32, 48}
	tls13Suites = map[uint16]seal{
		0x0000: {16, unknownHash, false}, // the ServerHello was cut before its suite
		0x1301: {16, sha256Hash, false},  // TLS_AES_128_GCM_SHA256
		0x1302: {16, sha384Hash, false},  // TLS_AES_256_GCM_SHA384
		0x1303: {16, sha256Hash, false},  // TLS_CHACHA20_POLY1305_SHA256
		0x1304: {16, sha256Hash, false},  // TLS_AES_128_CCM_SHA256
		0x1305: {8, sha256Hash, false},   // TLS_AES_128_CCM_8_SHA256
		0x00c6: {16, sha256Hash, false},  // TLS_SM4_GCM_SM3 (RFC 8998)
		0x00c7: {16, sha256Hash, false},  // TLS_SM4_CCM_SM3
	}
	// The lengths of CertificateVerify by the signatures in use (RFC 8446
	// section 4.4.3: 8 bytes and the signature): Ed25519, ECDSA with P-256,
	// P-384 and P-521, Ed448, RSA with 2048, 3072 and 4096 bits.
	verifyLengths = [...][2]int{{72, 72}, {76, 80}, {108, 112}, {144, 147}, {122, 122}, {264, 264}, {392, 392}, {520, 520}}
)

// holds says whether a sealed record of length bytes may hold n bytes.
func (s seal) holds(length uint16, n int) bool {
	n += 1 + s.tag
	return int(length) == n || int(length) == n+habitualPadding
}

// begins says whether the first record of a flight may hold n bytes.
func (s seal) begins(length uint16, n int) bool {
	return s.holds(length, n) || s.settings && s.holds(length, settingsLength+n)
}

// finished says whether a record may hold Finished.
func (s seal) finished(length uint16) bool {
	for _, h := range s.hashes {
		if s.holds(length, finishedHeader+h) {
			return true
		}
	}
	return false
}

// finishes says whether the first record of a flight may hold all of it, to
// Finished, of which other messages take extra bytes.
func (s seal) finishes(length uint16, extra int) bool {
	for _, h := range s.hashes {
		if s.begins(length, extra+finishedHeader+h) {
			return true
		}
	}
	return false
}

// verify says whether a record may hold a CertificateVerify.
func (s seal) verify(length uint16) bool {
	for _, span := range verifyLengths {
		for n := span[0]; n <= span[1]; n++ {
			if s.holds(length, n) {
				return true
			}
		}
	}
	return false
}

// certificate says whether a record is long enough for a certificate.
func (s seal) certificate(length uint16) bool { return int(length) >= certificateLength+1+s.tag }

// read tells a flight of a full handshake from the lengths so far.
func (f *flight) read(s seal) flightKind {
	if f.n == 0 {
		return flightOpen
	}
	l := f.lengths[:f.n]
	if s.settings && s.holds(l[0], settingsLength) { // in a record of their own
		if l = l[1:]; len(l) == 0 {
			return flightOpen
		}
	}
	switch {
	case s.finishes(l[0], 0):
		return flightBare
	case s.finishes(l[0], emptyCertificateLength):
		return flightEmpty
	case s.begins(l[0], emptyCertificateLength): // with settings, a padded alert is as long
		switch {
		case len(l) == 1:
			return flightOpen
		case s.finished(l[1]):
			return flightEmpty
		}
		return flightUnclear
	case s.holds(l[0], alertLength):
		return flightAborted
	case !s.certificate(l[0]):
		return flightUnclear
	}
	for _, length := range l {
		if s.finished(length) || (int(length)-s.tag)%paddingBlock != 0 {
			return flightShown
		}
	}
	if f.n < maxFlight {
		return flightOpen
	}
	return flightUnclear
}

// readBehindEarlyData tells a flight that refused early data may precede: only
// exact sequences count.
func (f *flight) readBehindEarlyData(s seal) flightKind {
	l := f.lengths[:f.n]
	switch {
	case len(l) == 0:
		return flightOpen
	case s.finished(l[0]):
		return flightBare
	case s.holds(l[0], emptyCertificateLength):
		switch {
		case len(l) == 1:
			return flightOpen
		case s.finished(l[1]):
			return flightEmpty
		}
	case s.certificate(l[0]):
		switch {
		case len(l) == 1 || len(l) == 2 && s.verify(l[1]):
			return flightOpen
		case len(l) > 2 && s.verify(l[1]) && s.finished(l[2]):
			return flightShown
		}
	}
	return flightUnclear
}

// opaque13 takes in a sealed record where TLS 1.3 was negotiated, or where the
// version is not known yet.
func (p *tlsParser) opaque13(dir Dir, typ, length int, facts *Facts) {
	if typ != recordApplication {
		return
	}
	f := &p.flight
	suite, known := tls13Suites[p.suite]
	if dir == p.server() {
		p.answer(known && suite.holds(uint16(length), alertLength), facts)
		return
	}
	s := &p.sides[dir]
	if p.serverHello == helloMissing {
		p.earlyBefore = true
	}
	if s.lost {
		return // which of the client's records this is, is not known
	}
	if p.serverHello == helloCut && p.version == 0 && s.sealed == 1 {
		// Up to TLS 1.2 the first sealed record is of the handshake type.
		p.version = versionTLS13
		facts.SetText(TLSVersion, versionName(p.version))
	}
	if f.over {
		f.behind++
		if known && !f.serverAlert && suite.holds(uint16(length), alertLength) {
			f.clientAlert = true
		}
		if f.behind >= maxUnanswered {
			p.settled = true
		}
		return
	}
	if int(f.n) < maxFlight {
		f.lengths[f.n] = uint16(length)
		f.n++
	} else if p.resumed {
		f.lengths[maxFlight-1] = uint16(length) // the last one decides
	}
	p.judge(facts)
}

// answer takes in a sealed record of the server. Alerts are judged when the
// flow is over, for something else may follow.
func (p *tlsParser) answer(alert bool, facts *Facts) {
	f := &p.flight
	f.serverAlert = alert && !f.clientAlert
	if f.serverAlert {
		f.alertFrame = facts.Frame
		return
	}
	if f.kind == flightShown || f.kind == flightUnclear {
		f.over = true // the flight was one record, or has lengths of its own
		if p.outcome == open {
			p.finish(complete, facts)
		}
	}
	if f.over {
		p.settled = true
	}
}

// beginFlight takes in that the ServerHello was read.
func (p *tlsParser) beginFlight(facts *Facts) {
	if p.mayBeEarly() {
		p.flight.n = 0
	}
	p.judge(facts)
}

// mayBeEarly says whether the client's sealed records may be early data.
func (p *tlsParser) mayBeEarly() bool {
	return p.offersEarly || p.clientHello == helloCut && p.earlyBefore
}

// judge reads the client's flight as far as it is known.
func (p *tlsParser) judge(facts *Facts) {
	f := &p.flight
	if f.over || f.n == 0 || p.serverHello == helloMissing || p.clientHello == helloMissing || !p.tls13() {
		return
	}
	suite, known := tls13Suites[p.suite]
	if !known {
		return
	}
	suite.settings = p.offersSettings
	last := f.lengths[f.n-1]
	if f.kind != flightOpen {
		// Known already, and Finished was still to come.
		f.over = f.kind != flightUnclear && suite.finished(last)
		p.flightOver(facts)
		return
	}
	switch {
	case p.resumed:
		switch {
		case suite.finishes(last, 0):
			f.kind = flightBare
		case f.n == 1 && !p.mayBeEarly() && suite.holds(last, alertLength):
			f.kind = flightAborted
		}
	case p.mayBeEarly():
		f.kind = f.readBehindEarlyData(suite)
	default:
		f.kind = f.read(suite)
	}
	switch f.kind {
	case flightAborted:
		p.refuse(p.client, facts)
	case flightBare:
		f.over = true
		// Without the whole ServerHello, only a client that did not offer to
		// resume a session is known not to have done so.
		if !p.resumed && (p.serverHello == helloRead || p.clientHello == helloRead && !p.offersPSK) {
			p.sayClientCert(facts, "absent", "inferred")
		}
	case flightEmpty:
		f.over = true
		p.sayClientCert(facts, "empty", "inferred")
	case flightShown:
		for _, length := range f.lengths[1:f.n] {
			f.over = f.over || suite.finished(length)
		}
		p.sayClientCert(facts, "present", "inferred")
	}
	p.flightOver(facts)
}

// flightOver says that the handshake is complete once the client's Finished
// was seen; a refusal may still take that back.
func (p *tlsParser) flightOver(facts *Facts) {
	if p.flight.over && p.outcome == open {
		p.finish(complete, facts)
	}
}

// closeFlight judges the server's last record when the flow is over. Where
// something is missing, an alert may as well end a conversation as prevent it.
func (p *tlsParser) closeFlight(facts *Facts) {
	whole := p.clientHello != helloMissing && !p.sides[0].lost && !p.sides[1].lost
	if f := &p.flight; f.serverAlert && whole && p.outcome != failed {
		now := facts.Frame
		facts.Frame = f.alertFrame
		p.refuse(p.server(), facts)
		facts.Frame = now
	}
}
