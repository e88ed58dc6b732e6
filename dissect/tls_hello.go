package dissect

import "bytes"

// ClientHello (RFC 8446 section 4.1.2; the same bytes since SSL 3.0, which has
// no extensions):
//
//	legacy version        2
//	random               32
//	session id            1 + 0..32
//	cipher suites         2 + 2n
//	compression methods   1 + n
//	extensions            2 + n   may be absent
//
// DTLS has a cookie (1 + n) behind the session id (RFC 6347 section 4.2.1).
//
// ServerHello (section 4.1.3):
//
//	legacy version        2
//	random               32       a fixed value in a HelloRetryRequest
//	session id            1 + 0..32
//	cipher suite          2
//	compression method    1
//	extensions            2 + n   may be absent
//
// An extension is a type (2), a length (2) and that many bytes (section 4.2).

const (
	extServerName        = 0  // RFC 6066 section 3
	extSupportedGroups   = 10 // RFC 8422 section 5.1
	extECPointFormats    = 11 // RFC 8422 section 5.2
	extSignatureAlgs     = 13 // RFC 8446 section 4.2.3
	extALPN              = 16 // RFC 7301
	extClientCertType    = 19 // RFC 7250
	extServerCertType    = 20
	extEncryptThenMAC    = 22     // RFC 7366
	extSessionTicket     = 35     // RFC 5077
	extPreSharedKey      = 41     // RFC 8446 section 4.2.11
	extEarlyData         = 42     // section 4.2.10
	extSupportedVersions = 43     // section 4.2.1
	extPostHandshakeAuth = 49     // section 4.2.6
	extSettings          = 17513  // draft-vvv-tls-alps: application settings
	extSettingsNew       = 17613  // its later code point
	extECH               = 0xfe0d // draft-ietf-tls-esni
)

// retryRandom is the random of a ServerHello that is a HelloRetryRequest: the
// SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
var retryRandom = [32]byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// isGREASE says whether v is one of the values that clients put in lists only
// to keep servers tolerant (RFC 8701): 0x0a0a, 0x1a1a, ... 0xfafa.
func isGREASE(v int) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// clientHello is what is of use of a ClientHello. Its slices alias the message.
type clientHello struct {
	over       carrier
	version    int
	random     []byte
	sessionID  []byte
	suites     []byte // two bytes each
	extensions []byte // the whole block, for the fingerprints

	serverName    []byte
	alpn          []byte // a byte of length and a name, each
	groups        []byte // two bytes each
	pointFormats  []byte
	signatureAlgs []byte // two bytes each
	versions      []byte // supported_versions, two bytes each
	ticket        []byte

	hasSNI, hasECH, hasPSK, hasEarlyData, hasSettings, hasLater bool
}

// read reads the body of a ClientHello. cut says that its end is lost: then
// the extensions that are whole are read.
func (h *clientHello) read(r *reader, cut bool) {
	h.version = r.be16("legacy version")
	h.random = r.bytes("random", 32)
	h.sessionID = r.bytes("session id", r.u8("session id length"))
	if h.over == overDatagrams {
		r.bytes("cookie", r.u8("cookie length"))
	}
	h.suites = r.bytes("cipher suites", r.be16("cipher suites length"))
	if len(h.suites)%2 != 0 {
		r.malformed("cipher suites", "odd length")
	}
	r.bytes("compression methods", r.u8("compression methods length"))
	if r.left() == 0 {
		return
	}
	n := r.be16("extensions length")
	if cut {
		n = min(n, r.left())
	}
	block := r.within("extensions", n)
	h.extensions = block.rest()
	for block.left() > 0 {
		typ := block.be16("extension type")
		ext := block.within("extension", block.be16("extension length"))
		switch typ {
		case extServerName:
			h.hasSNI = true
			h.readServerName(ext)
		case extALPN:
			h.alpn = ext.bytes("protocols", ext.be16("protocols length"))
		case extSupportedGroups:
			h.groups = ext.bytes("groups", ext.be16("groups length"))
		case extECPointFormats:
			h.pointFormats = ext.bytes("point formats", ext.u8("point formats length"))
		case extSignatureAlgs:
			h.signatureAlgs = ext.bytes("signature algorithms", ext.be16("signature algorithms length"))
		case extSupportedVersions:
			h.versions = ext.bytes("supported versions", ext.u8("supported versions length"))
		case extSessionTicket:
			h.ticket = ext.rest()
		case extECH:
			h.hasECH = true
		case extPreSharedKey:
			h.hasPSK = true
		case extEarlyData:
			h.hasEarlyData = true
		case extSettings, extSettingsNew:
			h.hasSettings = true
		case extPostHandshakeAuth:
			h.hasLater = true
		}
	}
}

// readServerName reads server_name: a list (2 bytes of length) of names, each
// a type (1; 0 is host_name), a length (2) and the name.
func (h *clientHello) readServerName(ext reader) {
	if ext.left() == 0 {
		return
	}
	list := ext.within("server names", ext.be16("server names length"))
	for list.left() > 0 {
		typ := list.u8("name type")
		name := list.bytes("server name", list.be16("server name length"))
		if typ == 0 && h.serverName == nil {
			h.serverName = name
		}
	}
}

// offers13 says whether supported_versions has TLS 1.3 or a draft of it.
func offers13(versions []byte) bool {
	for ; len(versions) >= 2; versions = versions[2:] {
		if negotiated(int(versions[0])<<8|int(versions[1])) == versionTLS13 {
			return true
		}
	}
	return false
}

// readClientHello takes in a whole ClientHello.
func (p *tlsParser) readClientHello(dir Dir, r *reader, facts *Facts) error {
	h := clientHello{over: p.over}
	h.read(r, false)
	if r.err() == nil {
		r.empty("client hello")
	}
	if facts.traced() {
		h.trace(dir, facts)
	}
	p.tookClientHello(dir, &h, facts, r.err() == nil)
	return r.err()
}

// cutClientHello takes in the beginning of a ClientHello whose end is lost.
func (p *tlsParser) cutClientHello(dir Dir, r *reader, facts *Facts) {
	if p.serverHello != helloMissing {
		return
	}
	h := clientHello{over: p.over}
	h.read(r, true)
	if facts.traced() {
		h.trace(dir, facts)
	}
	p.tookClientHello(dir, &h, facts, false)
	p.clientHello = helloCut
}

// tookClientHello makes facts of the first ClientHello. A second one answers
// a HelloRetryRequest; it differs in what the client no longer offers.
func (p *tlsParser) tookClientHello(dir Dir, h *clientHello, facts *Facts, whole bool) {
	p.keyed(dir, h)
	first := p.clientHello == helloMissing
	if !first && (p.serverHello != helloMissing || dir != p.client) {
		return
	}
	p.clientHello = helloRead
	p.client = dir
	p.sessionIDLength = uint8(copy(p.sessionID[:], h.sessionID))
	p.offersPSK, p.offersEarly, p.offersSettings = h.hasPSK, h.hasEarlyData, h.hasSettings
	p.offersLater, p.offersECH = h.hasLater, h.hasECH
	p.offered, p.offers13 = suites13(h.suites), offers13(h.versions)
	if p.ticketShown = len(h.ticket) > 0; p.ticketShown {
		p.ticket = ticketKey(h.ticket)
	}
	p.earlyBefore = false
	p.flight = flight{reply: p.flight.reply} // which may have come first: captures are not always in order
	if !first {
		return
	}
	if len(h.serverName) > 0 {
		facts.SetText(TLSSNI, printable(h.serverName))
	}
	for names := newReader(h.alpn); names.left() > 0; {
		if name := names.bytes("protocol", names.u8("protocol length")); len(name) > 0 {
			facts.AddText(TLSALPN, protocolName(name))
		}
	}
	if h.hasECH {
		facts.SetFlag(TLSECH, true)
	}
	if p.context.Fingerprints && whole {
		facts.SetText(TLSJA3, ja3(h))
		facts.SetText(TLSJA4, ja4(h))
	}
}

// serverHello is what is of use of a ServerHello. Its slices alias the message.
type serverHello struct {
	legacy      int
	version     int // the one chosen
	retry       bool
	random      []byte
	sessionID   []byte
	suite       int
	compression int
	extensions  []byte
	alpn        []byte
	hasPSK      bool
	hasETM      bool // encrypt-then-MAC
	clientRaw   bool // the client is to show a raw public key in place of a certificate
	serverRaw   bool // the server does
}

// read reads the body of a ServerHello, of type msgHelloRetryRequest where the
// drafts before the 22nd had a message of its own.
func (h *serverHello) read(r *reader, typ int) {
	h.legacy = r.be16("legacy version")
	h.version = h.legacy
	switch {
	case typ == msgHelloRetryRequest:
		h.retry = true
		if h.version > 0x7f12 {
			h.suite = r.be16("cipher suite") // since draft 19
		}
	case h.version>>8 == 0x7f:
		// Drafts before the 22nd: no session id, no compression method.
		r.bytes("random", 32)
		h.suite = r.be16("cipher suite")
	default:
		h.random = r.bytes("random", 32)
		h.retry = bytes.Equal(h.random, retryRandom[:])
		h.sessionID = r.bytes("session id", r.u8("session id length"))
		h.suite = r.be16("cipher suite")
		h.compression = r.u8("compression method")
	}
	if r.left() == 0 {
		return
	}
	block := r.within("extensions", r.be16("extensions length"))
	h.extensions = block.rest()
	for block.left() > 0 {
		typ := block.be16("extension type")
		ext := block.within("extension", block.be16("extension length"))
		switch typ {
		case extSupportedVersions:
			h.version = ext.be16("selected version")
		case extPreSharedKey:
			h.hasPSK = true
		case extEncryptThenMAC:
			h.hasETM = true
		case extClientCertType:
			h.clientRaw = ext.u8("certificate type") == rawPublicKey
		case extServerCertType:
			h.serverRaw = ext.u8("certificate type") == rawPublicKey
		case extALPN:
			list := ext.within("protocols", ext.be16("protocols length"))
			h.alpn = list.bytes("protocol", list.u8("protocol length"))
		}
	}
}

// protocolName is an ALPN protocol as text (RFC 7301 section 3.1); the usual
// ones cost no allocation.
func protocolName(name []byte) string {
	switch string(name) {
	case "h2":
		return "h2"
	case "http/1.1":
		return "http/1.1"
	}
	return printable(name)
}

// readServerHello takes in a whole ServerHello or HelloRetryRequest.
func (p *tlsParser) readServerHello(dir Dir, typ int, r *reader, facts *Facts) error {
	var h serverHello
	h.read(r, typ)
	if r.err() != nil {
		return r.err()
	}
	r.empty("server hello")
	if facts.traced() {
		h.trace(dir, facts)
	}
	if p.opener != nil {
		p.opener.chosen(p, dir, &h)
	}
	if p.serverHello == helloRead {
		return r.err()
	}
	if p.clientHello == helloMissing {
		p.client = dir.Other()
	}
	version := negotiated(h.version)
	if h.retry {
		p.helloRetry = true
		version = versionTLS13
		if p.over == overDatagrams {
			version = versionDTLS13
		}
		facts.SetFlag(TLSHelloRetry, true)
	}
	p.version = likeTLS(version)
	p.sides[p.client].rawKey, p.sides[p.server()].rawKey = h.clientRaw, h.serverRaw
	facts.SetText(TLSVersion, versionName(version))
	if h.suite != 0 || !h.retry {
		p.suite = uint16(h.suite)
		facts.SetText(TLSCipher, hex16(h.suite))
	}
	if len(h.alpn) > 0 {
		facts.SetText(TLSALPNSelected, printable(h.alpn))
	}
	if p.context.Fingerprints {
		facts.SetText(TLSJA3S, ja3s(&h))
	}
	if h.retry {
		return r.err()
	}
	p.serverHello = helloRead
	switch {
	case p.tls13():
		p.resumed = h.hasPSK
	case p.version <= versionTLS12:
		// The server names the session that the client asked to resume
		// (RFC 5246 section 7.4.1.3); in TLS 1.3 the echo means nothing.
		n := int(p.sessionIDLength)
		p.resumed = n > 0 && p.clientHello == helloRead && bytes.Equal(h.sessionID, p.sessionID[:n])
		if k, ok := sessionIDKey(h.sessionID); ok && !p.resumed {
			p.given = append(p.given, k)
		}
	}
	if p.resumed {
		p.sayResumed(true, facts)
	}
	if p.tls13() {
		p.beginFlight(facts)
	}
	if p.opener != nil {
		if err := p.openWaiting(facts); err != nil {
			return err
		}
	}
	return r.err()
}

// sayResumed says whether an earlier session was resumed. Of DTLS it is not
// said: sessions there may be handed out by other means than a handshake (a
// tunnel's TLS connection, for the datagrams beside it), and have no earlier one.
func (p *tlsParser) sayResumed(yes bool, facts *Facts) {
	if p.over != overDatagrams {
		facts.SetFlag(TLSResumed, yes)
	}
}

// cutServerHello takes in the beginning of a ServerHello whose end is lost.
// What was chosen is known if the cipher suite is there: those of TLS 1.3 are
// of no use elsewhere, and for all others the version is the legacy one.
func (p *tlsParser) cutServerHello(dir Dir, r *reader, facts *Facts) {
	if p.serverHello == helloRead {
		return
	}
	if p.clientHello == helloMissing {
		p.client = dir.Other()
	}
	var h serverHello
	h.read(r, msgServerHello)
	if h.retry {
		p.helloRetry = true
		facts.SetFlag(TLSHelloRetry, true)
		return
	}
	p.serverHello = helloCut
	if h.suite == 0 {
		return
	}
	p.suite = uint16(h.suite)
	p.version = negotiated(h.version)
	if h.suite>>8 == 0x13 {
		p.version = versionTLS13
	}
	facts.SetText(TLSVersion, versionName(p.version))
	facts.SetText(TLSCipher, hex16(h.suite))
}

// negotiated folds the drafts of TLS 1.3 (0x7f00 and the draft's number, and
// those of one vendor) into 1.3.
func negotiated(v int) uint16 {
	if v>>8 == 0x7f || v == 0xfb17 || v == 0xfb1a {
		return versionTLS13
	}
	return uint16(v)
}

// likeTLS is the version of TLS that one of DTLS is made of.
func likeTLS(v uint16) uint16 {
	switch v {
	case versionDTLS13:
		return versionTLS13
	case versionDTLS12:
		return versionTLS12
	case versionDTLS10, versionDTLSOld:
		return versionTLS11
	}
	return v
}

func versionName(v uint16) string {
	switch v {
	case versionTLS13:
		return "1.3"
	case versionTLS12:
		return "1.2"
	case versionTLS11:
		return "1.1"
	case versionTLS10:
		return "1.0"
	case versionSSL3:
		return "ssl3"
	case versionSSL2:
		return "ssl2"
	case versionDTLS13:
		return "dtls1.3"
	case versionDTLS12:
		return "dtls1.2"
	case versionDTLS10, versionDTLSOld:
		return "dtls1.0"
	}
	return hex16(int(v))
}

// hex16 writes v as 0x and four digits.
func hex16(v int) string {
	b := [6]byte{'0', 'x'}
	for i := 5; i > 1; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
	return string(b[:])
}

const hexDigits = "0123456789abcdef"

// An SSL 2.0 hello (RFC 6101 appendix E.1, and the SSL 2.0 draft): a record
// header of two bytes, the top bit set and 15 bits of length, and then
//
//	CLIENT-HELLO                      SERVER-HELLO
//	message type        1  (1)        message type         1  (4)
//	version             2             session id hit       1
//	cipher specs length 2             certificate type     1
//	session id length   2             version              2
//	challenge length    2             certificate length   2
//	                                  cipher specs length  2
//	                                  connection id length 2
//
// followed by the parts in that order. A client that offers SSL 3.0 or later
// in it goes on with ordinary records.
const (
	ssl2ClientHello = 1
	ssl2ServerHello = 4
)

type ssl2Hello struct {
	message int
	version int
}

func (h *ssl2Hello) read(r *reader) {
	length := r.be16("record length") & 0x7fff
	h.message = r.u8("message type")
	sum := 0
	switch h.message {
	case ssl2ClientHello:
		h.version = r.be16("version")
		specs := r.be16("cipher specs length")
		session := r.be16("session id length")
		challenge := r.be16("challenge length")
		if r.err() == nil && (specs == 0 || specs%3 != 0 || session > 32 || challenge < 16 || challenge > 32) {
			r.malformed("cipher specs length", "not an SSL 2.0 hello")
		}
		sum = 9 + specs + session + challenge
	case ssl2ServerHello:
		hit := r.u8("session id hit")
		r.u8("certificate type")
		h.version = r.be16("version")
		sum = 11 + r.be16("certificate length") + r.be16("cipher specs length") + r.be16("connection id length")
		if r.err() == nil && (hit > 1 || h.version != versionSSL2) {
			r.malformed("session id hit", "not an SSL 2.0 hello")
		}
	default:
		r.malformed("message type", "not an SSL 2.0 hello")
	}
	if r.err() == nil && (sum != length || h.version != versionSSL2 && (h.version < versionSSL3 || h.version > versionTLS12)) {
		r.malformed("version", "not an SSL 2.0 hello")
	}
	r.bytes("hello", sum-(r.off-2))
}

// probeSSL2 asks for the fixed fields, whose lengths have to add up.
func probeSSL2(b []byte) Match {
	if len(b) > 2 && b[2] != ssl2ClientHello && b[2] != ssl2ServerHello {
		return No
	}
	r := newReader(b)
	var h ssl2Hello
	h.read(r)
	if _, bad := r.err().(*Malformed); bad {
		return No
	}
	switch {
	case len(b) < 11, h.message == ssl2ServerHello && len(b) < 13:
		return Maybe
	case h.message == ssl2ClientHello:
		return FromClient
	}
	return FromServer
}

// parseSSL2 reads a hello in the SSL 2.0 format.
func (p *tlsParser) parseSSL2(dir Dir, b []byte, facts *Facts) (n int, err error) {
	r := newReader(b)
	var h ssl2Hello
	h.read(r)
	if r.err() != nil {
		return 0, r.err()
	}
	p.sides[dir].begun = true
	if h.message == ssl2ClientHello {
		p.client = dir
		p.clientHello = helloRead
		return r.off, nil
	}
	p.client = dir.Other()
	p.serverHello = helloRead
	p.version = versionSSL2
	facts.SetText(TLSVersion, versionName(versionSSL2))
	p.settled = true
	return r.off, ErrDone
}
