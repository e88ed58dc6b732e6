package dissect

import "math"

// Client authentication in TLS 1.3, from the lengths of sealed records.
//
// The client's part of a full handshake is, sealed (RFC 8446 section 4.4):
//
//	Certificate         only if the server asked; empty without a suitable one
//	CertificateVerify   only behind a Certificate that is not empty
//	Finished
//
// A sealed record is one byte of content type, padding (none, mostly) and the
// cipher's tag longer than what it holds (section 5.2). The suite in the
// ServerHello gives the tag's length and that of the hash, which is that of
// Finished. So, of the client's first sealed records behind the hellos, with h
// bytes of hash and o of overhead (1 and the tag, 17 mostly):
//
//	4+h+o               Finished alone: the server asked for nothing
//	8+o, 4+h+o          an empty Certificate, then Finished
//	8+4+h+o             the two in one record
//	2+o                 an alert: the client broke off
//	well above          a Certificate, compressed (RFC 8879) or not, with
//	                    CertificateVerify and Finished in the same record or
//	                    in others
//
// A client that offers application settings (draft-vvv-tls-alps; Chromium) puts
// an EncryptedExtensions message of 10 bytes in front, where the server agreed.
//
// Padding (section 5.4). Some stacks add 16 bytes to every record, so each
// length counts at 16 more, too; none of them meet within a suite. Others fill
// up to multiples of a block. Without the tag all exact lengths above are odd, so
// that no even block meets them. A long record of odd length is a Certificate for
// the same reason; one of even length is once another record behind it, which may
// hold data, is not a multiple of it: if Finished alone filled a block of that
// size, all would be.
//
// A handshake that resumes a session has no certificates: the server names the
// key that it takes in its ServerHello. Early data (0-RTT) is sealed as well and
// comes before Finished: what came before the ServerHello is left out, and of
// what came behind it only sequences of exact lengths count, for more early data
// may have been on its way.
//
// What is said has a confidence. It is high where the lengths have one reading,
// in the suite chosen or, where the ServerHello was cut, in every suite that was
// offered. It is medium where one reading is left, but rests on less than that:
//
//   - the client's direction alone; a bare Finished says nothing there if the
//     client offered a session;
//   - the server's direction, where the client's was not seen or was broken off:
//     only that it did not ask can be told, if its messages came in records of
//     their own and the first has no room for a CertificateRequest;
//   - early data was offered and the session was not taken up, or a ClientHello
//     was cut before it could say so: except where Certificate, CertificateVerify
//     and Finished are there in records of their own;
//   - one long record of even length and nothing behind it, where no usual block
//     fits that length;
//   - no certificate, from a client that is ready to show one later (post-handshake
//     authentication, section 4.6.2): what is asked for behind the handshake
//     cannot be told from data. Without that offer a server may not ask.
//
// Not told at all: who authenticated, whether the certificate was valid, and
// padding of random length, which no stack that we know of adds by itself.
//
// A server that refuses the client afterwards sends an alert (2+o bytes), and
// no other record behind its own Finished: no session ticket, no data. Captures
// are not always in order, the two directions least of all: where the server's
// messages come in records of their own, the length of its Finished says what is
// behind it, whenever the client's part is seen. A server that
// refuses in its application protocol, inside TLS, looks like one that answers
// and closes; and an alert before the client's part may be an answer to a client
// that hung up.
//
// Held against what the ends reported, with eight TLS libraries: 986 of 986 full
// handshakes answered, none wrongly; 12 of 56 open where a client pads to blocks.
// docs/client-authentication.md has the matrix, and what loss does to it.
const (
	alertLength            = 2 // level and description
	emptyCertificateLength = 8 // header 4, context 1, list 3
	finishedHeader         = 4
	settingsLength         = 10 // header 4, list 2, extension 4, no settings
	habitualPadding        = 16
	certificateLength      = 200 // less than this holds no X.509 certificate and its signature
	maxFlight              = 8   // sealed records of the client that are looked at

	// The server's first sealed message, EncryptedExtensions, has at least 6
	// bytes (header 4, list 2), and a CertificateRequest at least 15 (header 4,
	// context 1, list 2, one signature algorithm in its extension 8).
	leastWithRequest = 6 + 15
)

// flight is the client's part of a handshake as its records show it.
type flight struct {
	lengths [maxFlight]uint16
	n       uint8 // lengths that are known
	kind    flightKind
	over    bool // Finished is behind us

	behind      uint16 // the client's sealed records behind its Finished
	clientAlert bool   // one of them has the length of an alert
	ahead       bool   // it is seen before the server's part, which it follows upon
	frame       uint64 // of the client's first sealed record; before there is one, of the server's last answer

	reply
}

// reply is the server's part.
type reply struct {
	answers     [4]uint16 // the first sealed records, for where the client is not seen
	answerN     uint8
	serverAlert bool // the last one has the length of an alert
	alertFrame  uint64

	// Of the sealed records, those that may be alerts left out.
	answered       uint8
	shownCert      bool // one was long enough for a certificate
	serverFinished bool // one behind that has the length of Finished
	accepted       bool // the server went on behind the handshake
	acceptedFrame  uint64
}

type flightKind uint8

const (
	flightOpen    flightKind = iota // more records have to come
	flightAborted                   // an alert
	flightBare                      // Finished alone
	flightEmpty                     // an empty Certificate
	flightLong                      // a Certificate, or Finished alone that fills a block
	flightShown                     // a Certificate
	flightUnclear                   // lengths that fit nothing
)

// seal is what a cipher suite says of lengths.
type seal struct {
	suite    uint16
	tag      uint16
	hash     uint16 // of Finished
	settings bool   // application settings may go ahead of the other messages
}

// tls13Suites are the cipher suites of TLS 1.3. Those without encryption have a
// MAC in the place of the tag.
var tls13Suites = [...]seal{
	{0x1301, 16, 32, false}, // TLS_AES_128_GCM_SHA256
	{0x1302, 16, 48, false}, // TLS_AES_256_GCM_SHA384
	{0x1303, 16, 32, false}, // TLS_CHACHA20_POLY1305_SHA256
	{0x1304, 16, 32, false}, // TLS_AES_128_CCM_SHA256
	{0x1305, 8, 32, false},  // TLS_AES_128_CCM_8_SHA256
	{0x1306, 16, 64, false}, // TLS_AEGIS_256_SHA512 (draft-irtf-cfrg-aegis-aead)
	{0x1307, 16, 32, false}, // TLS_AEGIS_128L_SHA256
	{0x00c6, 16, 32, false}, // TLS_SM4_GCM_SM3 (RFC 8998)
	{0x00c7, 16, 32, false}, // TLS_SM4_CCM_SM3
	{0xc103, 16, 32, false}, // TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_L (RFC 9367)
	{0xc104, 8, 32, false},  // TLS_GOSTR341112_256_WITH_MAGMA_MGM_L
	{0xc105, 16, 32, false}, // TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_S
	{0xc106, 8, 32, false},  // TLS_GOSTR341112_256_WITH_MAGMA_MGM_S
	{0xc0b4, 32, 32, false}, // TLS_SHA256_SHA256 (RFC 9150)
	{0xc0b5, 48, 48, false}, // TLS_SHA384_SHA384
}

// commonSuites is the set of the first four.
const commonSuites = 1<<4 - 1

// suites13 is the set of tls13Suites, one bit for each, in a list of suites as
// a ClientHello has it.
func suites13(list []byte) (set uint16) {
	for ; len(list) >= 2; list = list[2:] {
		switch list[0] {
		case 0x13, 0x00, 0xc1, 0xc0:
			set |= suite13(uint16(list[0])<<8 | uint16(list[1]))
		}
	}
	return set
}

// suite13 is the set of one suite, empty if nothing is known of it.
func suite13(suite uint16) uint16 {
	for i := range tls13Suites {
		if tls13Suites[i].suite == suite {
			return 1 << i
		}
	}
	return 0
}

// sealOf is what is known of one suite.
func sealOf(suite uint16) (seal, bool) {
	for _, s := range tls13Suites {
		if s.suite == suite {
			return s, true
		}
	}
	return seal{}, false
}

// The lengths of CertificateVerify by the signatures in use (RFC 8446
// section 4.4.3: 8 bytes and the signature): Ed25519, ECDSA with P-256,
// P-384 and P-521, Ed448, RSA with 2048, 3072 and 4096 bits.
var verifyLengths = [...][2]int{{72, 72}, {76, 80}, {108, 112}, {144, 147}, {122, 122}, {264, 264}, {392, 392}, {520, 520}}

// inner is what a record of length bytes holds, its content type included; 0
// where it is too short for a tag.
func (s seal) inner(length uint16) uint16 {
	if length <= s.tag {
		return 0
	}
	return length - s.tag
}

// holds says whether a sealed record of length bytes may hold n bytes.
func (s seal) holds(length uint16, n int) bool {
	n += 1 + int(s.tag)
	return int(length) == n || int(length) == n+habitualPadding
}

// begins says whether the first record of a flight may hold n bytes.
func (s seal) begins(length uint16, n int) bool {
	return s.holds(length, n) || s.settings && s.holds(length, settingsLength+n)
}

// finished says whether a record may hold Finished.
func (s seal) finished(length uint16) bool { return s.holds(length, finishedHeader+int(s.hash)) }

// finishes says whether the first record of a flight may hold all of it, to
// Finished, of which other messages take extra bytes.
func (s seal) finishes(length uint16, extra int) bool {
	return s.begins(length, extra+finishedHeader+int(s.hash))
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
func (s seal) certificate(length uint16) bool { return s.inner(length) > certificateLength }

// read tells a flight of a full handshake from the lengths so far.
func (s seal) read(l []uint16) flightKind {
	if len(l) == 0 {
		return flightOpen
	}
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
	first := s.inner(l[0])
	if first%2 != 0 {
		return flightShown
	}
	for _, length := range l[1:] {
		if s.inner(length)%first != 0 {
			return flightShown
		}
	}
	return flightLong
}

// readBehindEarlyData tells a flight that refused early data may precede: only
// exact sequences count.
func (s seal) readBehindEarlyData(l []uint16) flightKind {
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

// readResumed tells a flight behind which nothing but Finished is to come.
func (s seal) readResumed(l []uint16, early bool) flightKind {
	switch {
	case len(l) == 0:
	case s.finishes(l[len(l)-1], 0):
		return flightBare
	case len(l) == 1 && !early && s.holds(l[0], alertLength):
		return flightAborted
	}
	return flightOpen
}

// unasked says that the server's first sealed records, each of which holds one
// message, have no room for a CertificateRequest: EncryptedExtensions first, and
// then, without one, Certificate, CertificateVerify and Finished.
func (s seal) unasked(l []uint16) bool {
	return len(l) == 4 && int(s.inner(l[0])) <= leastWithRequest && s.certificate(l[1]) && s.verify(l[2]) && s.finished(l[3])
}

// suites is the set of suites that may have been agreed: the one chosen, those
// offered, or the ones in common use.
func (p *tlsParser) suites() uint16 {
	switch {
	case p.serverHello != helloMissing && p.suite != 0:
		return suite13(p.suite)
	case p.clientHello == helloRead || p.offered != 0:
		return p.offered
	}
	return commonSuites
}

// mayAlert says whether a sealed record may be an alert, in the suite agreed or,
// where that was cut off, in one that may have been.
func (p *tlsParser) mayAlert(length uint16) bool {
	for set, i := p.suites(), 0; set != 0; set, i = set>>1, i+1 {
		if set&1 != 0 && tls13Suites[i].holds(length, alertLength) {
			return true
		}
	}
	return false
}

// readFlight reads the client's flight under every suite that may have been
// agreed: unless all those that its lengths fit say the same, nothing is said.
// ends says that the last record may hold Finished.
func (p *tlsParser) readFlight() (kind flightKind, ends bool) {
	f := &p.flight
	l := f.lengths[:f.n]
	kind = flightUnclear
	for set, i := p.suites(), 0; set != 0; set, i = set>>1, i+1 {
		if set&1 == 0 {
			continue
		}
		s := tls13Suites[i]
		s.settings = p.offersSettings
		var k flightKind
		switch {
		case p.resumed:
			k = s.readResumed(l, p.mayBeEarly())
		case p.mayBeEarly():
			k = s.readBehindEarlyData(l)
		default:
			k = s.read(l)
		}
		ends = ends || s.finished(l[len(l)-1])
		switch {
		case kind == flightUnclear:
			kind = k
		case k == flightUnclear || k == kind:
		case k == flightOpen || kind == flightOpen:
			return flightOpen, ends
		default:
			return flightUnclear, ends
		}
	}
	return kind, ends
}

// opaque13 takes in a sealed record where TLS 1.3 was negotiated, or where the
// version is not known yet.
func (p *tlsParser) opaque13(dir Dir, typ, length int, facts *Facts) {
	if typ != recordApplication {
		return
	}
	f := &p.flight
	if dir == p.server() {
		p.answer(uint16(length), facts)
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
		if !f.serverAlert && p.mayAlert(uint16(length)) {
			f.clientAlert = true
		}
		if f.behind >= maxUnanswered {
			p.settled = true
		}
		if f.kind != flightLong {
			return
		}
	}
	if f.n == 0 {
		f.frame = facts.Frame
		f.ahead = !p.resumed && !p.answeredAll()
	}
	if int(f.n) < maxFlight {
		f.lengths[f.n] = uint16(length)
		f.n++
	} else if p.resumed || f.kind == flightLong {
		f.lengths[maxFlight-1] = uint16(length) // the last one decides
	}
	p.judge(facts)
}

// answer takes in a sealed record of the server. Alerts are judged when the
// flow is over, for something else may follow.
func (p *tlsParser) answer(length uint16, facts *Facts) {
	f := &p.flight
	if int(f.answerN) < len(f.answers) {
		f.answers[f.answerN] = length
		f.answerN++
		if f.n == 0 {
			f.frame = facts.Frame
		}
	}
	alert := p.mayAlert(length)
	if alert && !f.clientAlert {
		// Where the client's part is not there yet, an alert behind more than
		// the handshake says nothing.
		if f.serverAlert = f.n > 0 || f.answered <= 1 || f.serverFinished; f.serverAlert {
			f.alertFrame = facts.Frame
		}
		return
	}
	f.serverAlert = false
	// What has the length of an alert, behind the client's, may answer that as well
	// as refuse the client: who spoke first is not known by the order of directions.
	if !alert && p.ofHandshake(length, facts) {
		return
	}
	switch f.kind {
	case flightShown, flightUnclear, flightLong:
		f.over = true // the flight was one record, or has lengths of its own
		if p.outcome == open {
			p.finish(complete, facts)
		}
	}
	if f.over && !alert {
		if !f.ahead {
			p.accept(facts)
		}
		p.settled = p.settled || f.kind != flightLong
	}
}

// answeredAll says whether a sealed record of the server was long enough for its
// certificate, without which the client has nothing to answer.
func (p *tlsParser) answeredAll() bool {
	f := &p.flight
	for set, i := p.suites(), 0; set != 0; set, i = set>>1, i+1 {
		for _, length := range f.answers[:f.answerN] {
			if set&1 != 0 && tls13Suites[i].certificate(length) {
				return true
			}
		}
	}
	return false
}

// accept takes in that the server went on behind the handshake.
func (p *tlsParser) accept(facts *Facts) {
	if f := &p.flight; !f.accepted {
		f.accepted, f.acceptedFrame = true, facts.Frame
	}
}

// sayAccepted says of a client without a certificate whether the server was seen
// to go on, with more than an alert. Up to TLS 1.2 it does so by its Finished.
func (p *tlsParser) sayAccepted(facts *Facts) {
	f := &p.flight
	opened := p.opener != nil && p.opener.accepted
	if facts.Text(TLSClientCert) != "empty" || p.tls13() && !f.accepted && !opened || !p.tls13() && p.outcome != complete {
		return
	}
	now := facts.Frame
	if f.accepted {
		facts.Frame = f.acceptedFrame
	}
	facts.SetFlag(TLSClientCertAccepted, true)
	facts.Frame = now
}

// ofHandshake takes in a sealed record of the server, and says whether its place
// among the others makes it a part of the handshake, which is no answer to the
// client's part: from EncryptedExtensions to Finished there are five messages,
// two where a session is resumed.
func (p *tlsParser) ofHandshake(length uint16, facts *Facts) bool {
	f := &p.flight
	if f.serverFinished {
		p.accept(facts)
		return false
	}
	s, known := sealOf(p.suite)
	if f.answered < math.MaxUint8 {
		f.answered++
	}
	most := uint8(5)
	if p.resumed {
		most = 2
	}
	if !known || f.answered > most || s.certificate(f.answers[0]) {
		return false // or several messages share a record
	}
	f.serverFinished = s.finished(length) && (f.shownCert || p.resumed && f.answered > 1)
	f.shownCert = f.shownCert || s.certificate(length)
	return true
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
	if f.n == 0 || p.serverHello == helloMissing || p.clientHello == helloMissing || !p.tls13() || p.suites() == 0 {
		return
	}
	if f.over && f.kind != flightLong {
		return
	}
	kind, ends := p.readFlight()
	if f.kind != flightOpen && f.kind != flightLong {
		// Known already, and Finished was still to come.
		f.over = f.kind != flightUnclear && ends
		if f.over && f.kind == flightShown && p.exact() {
			facts.SetText(TLSClientCertSure, confidenceHigh)
		}
		p.flightOver(facts)
		return
	}
	f.kind = kind
	switch f.kind {
	case flightAborted:
		p.refuse(p.client, facts)
	case flightBare, flightEmpty:
		f.over = true
	case flightShown:
		f.over = f.over || ends && f.n > 1
	}
	p.sayFlight(facts, p.certainty())
	p.flightOver(facts)
}

// certainty is the confidence in what both directions show. A hello that was
// cut may have offered early data.
func (p *tlsParser) certainty() string {
	if (p.clientHello != helloRead || p.mayBeEarly()) && !(p.flight.kind == flightShown && p.exact()) {
		return confidenceMedium
	}
	return confidenceHigh
}

// exact says that the flight is Certificate, CertificateVerify and Finished in
// records of their own, which early data does not look like.
func (p *tlsParser) exact() bool {
	f := &p.flight
	for set, i := p.suites(), 0; set != 0; set, i = set>>1, i+1 {
		if set&1 != 0 && tls13Suites[i].readBehindEarlyData(f.lengths[:f.n]) == flightShown {
			return true
		}
	}
	return false
}

const (
	confidenceHigh   = "high"
	confidenceMedium = "medium"
)

// sayFlight says what the client's flight shows.
func (p *tlsParser) sayFlight(facts *Facts, confidence string) {
	what := ""
	switch p.flight.kind {
	case flightBare:
		// Without the whole ServerHello, only a client that did not offer to
		// resume a session is known not to have done so.
		if p.resumed || p.serverHello != helloRead && (p.clientHello != helloRead || p.offersPSK) {
			return
		}
		what = "absent"
	case flightEmpty:
		what = "empty"
	case flightShown:
		what = "present"
	default:
		return
	}
	if what != "present" && p.offersLater {
		confidence = confidenceMedium
	}
	p.inferClientCert(facts, what, confidence)
}

// inferClientCert says what the lengths of records tell.
func (p *tlsParser) inferClientCert(facts *Facts, what, confidence string) {
	if p.certKnown {
		return
	}
	p.sayClientCert(facts, what, "inferred")
	facts.SetText(TLSClientCertSure, confidence)
}

// flightOver says that the handshake is complete once the client's Finished
// was seen; a refusal may still take that back.
func (p *tlsParser) flightOver(facts *Facts) {
	if p.flight.over && p.outcome == open {
		p.finish(complete, facts)
	}
}

// closeFlight judges what only the end of the flow tells: the server's last
// record, and what one direction alone shows. Where something is missing, an
// alert may as well end a conversation as prevent it.
func (p *tlsParser) closeFlight(facts *Facts) {
	f := &p.flight
	now := facts.Frame
	whole := p.clientHello != helloMissing && p.serverHello != helloMissing && !p.broken && !p.sides[0].lost && !p.sides[1].lost
	switch {
	case !f.serverAlert || f.accepted || p.outcome == failed:
	case !whole:
		if p.outcome == complete {
			p.outcome = open
			facts.drop(TLSHandshake)
		}
	default:
		facts.Frame = f.alertFrame
		if f.n > 0 {
			p.refuse(p.server(), facts)
		} else {
			// A client that hangs up without its part is answered by an alert,
			// too: Chromium does so to ask its user for a certificate.
			p.finish(failed, facts)
		}
	}
	facts.Frame = f.frame
	switch {
	case p.certKnown:
	case p.serverHello == helloMissing:
		p.judgeClientAlone(facts)
	case f.kind == flightLong && f.n == 1 && p.clientHello != helloMissing && p.tls13() && p.fitsNoBlock():
		p.inferClientCert(facts, "present", confidenceMedium)
	default:
		p.judgeServerAlone(facts)
	}
	facts.Frame = now
}

// fitsNoBlock says that the first record is no multiple of a usual block.
func (p *tlsParser) fitsNoBlock() bool {
	for set, i := p.suites(), 0; set != 0; set, i = set>>1, i+1 {
		if n := tls13Suites[i].inner(p.flight.lengths[0]); set&1 != 0 && (n%16 == 0 || n%10 == 0) {
			return false
		}
	}
	return true
}

// judgeClientAlone reads a flight whose ServerHello was not seen. That TLS 1.3
// was agreed shows in records of application data right behind the hello: up to
// TLS 1.2 a record of the handshake comes first. After a HelloRetryRequest one
// does, too, and nothing is said.
func (p *tlsParser) judgeClientAlone(facts *Facts) {
	f := &p.flight
	s := &p.sides[p.client]
	if p.clientHello != helloRead || s.lost || p.keyExchange || !p.offers13 || p.mayBeEarly() || p.helloRetry ||
		f.n == 0 || int(s.sealed) < int(f.n) || s.sealedHandshake {
		return
	}
	f.kind, _ = p.readFlight()
	if f.kind == flightBare && p.offersECH {
		return // the hello inside may offer a session
	}
	p.sayFlight(facts, confidenceMedium)
	if p.certKnown {
		p.version = versionTLS13
		facts.SetText(TLSVersion, versionName(p.version))
	}
}

// judgeServerAlone reads the server's part where the client's tells nothing: it
// shows no certificate to a server that did not ask.
func (p *tlsParser) judgeServerAlone(facts *Facts) {
	f := &p.flight
	s, known := sealOf(p.suite)
	if known && p.serverHello == helloRead && p.tls13() && !p.sides[p.server()].lost && !p.resumed && s.unasked(f.answers[:f.answerN]) {
		p.inferClientCert(facts, "absent", confidenceMedium)
	}
}
