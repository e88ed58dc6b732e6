package dissect

import "crypto/sha256"

// Sessions up to TLS 1.2. A resumed session has no certificates: who proved
// what was settled in the full handshake before, and where the captures have
// that one, what the client showed in it is known. The two are joined exactly,
// by what crosses in clear: the session ID that the server gave (RFC 5246
// section 7.4.1.3), or the ticket (RFC 5077 section 3.3):
//
//	lifetime hint   4
//	ticket          2 + n
//
// which a client shows in its next ClientHello. A resumed handshake may give a
// new ticket of the same session. In TLS 1.3 tickets are sealed.

const (
	maxSessions    = 1 << 13 // remembered in each of two generations
	leastSessionID = 16      // bytes of an ID that is taken to be of one session alone
	maxGiven       = 4       // session ID and tickets of one handshake that are remembered
)

// sessionKey is a session ID, or the SHA-256 of a ticket.
type sessionKey struct {
	ticket bool
	b      [32]byte
}

// session is what a full handshake showed of its client, and where.
type session struct {
	what        string // present, empty or absent; "" where two handshakes disagree
	certificate *certificate
	frame       uint64
}

func (x *session) sum() string {
	if x.certificate == nil {
		return ""
	}
	return x.certificate.sha256
}

// sessionStore remembers the latest sessions: when one generation is full, the
// one before is forgotten.
type sessionStore [2]map[sessionKey]session

func (s *sessionStore) find(k sessionKey) (session, bool) {
	for _, generation := range s {
		if known, ok := generation[k]; ok {
			return known, known.what != ""
		}
	}
	return session{}, false
}

func (s *sessionStore) keep(k sessionKey, x session) {
	for _, generation := range s {
		if known, ok := generation[k]; ok && (known.what != x.what || known.sum() != x.sum()) {
			x.what = ""
		}
	}
	if s[0] == nil || len(s[0]) >= maxSessions {
		s[0], s[1] = make(map[sessionKey]session), s[0]
	}
	s[0][k] = x
}

// sessionIDKey is the key of a session ID, false for one that is too short to
// belong to one session alone.
func sessionIDKey(id []byte) (k sessionKey, ok bool) {
	copy(k.b[:], id)
	return k, len(id) >= leastSessionID
}

func ticketKey(ticket []byte) sessionKey { return sessionKey{true, sha256.Sum256(ticket)} }

// readSessionTicket takes in a ticket, up to TLS 1.2.
func (p *tlsParser) readSessionTicket(dir Dir, r *reader) error {
	if p.tls13() {
		return nil
	}
	r.be32("ticket lifetime")
	ticket := r.bytes("ticket", r.be16("ticket length"))
	if r.err() == nil && dir == p.server() && len(ticket) > 0 && len(p.given) < maxGiven {
		p.given = append(p.given, ticketKey(ticket))
	}
	return r.err()
}

// settleSession joins a handshake up to TLS 1.2 that is complete to the one
// that its session is from, and remembers what it showed.
func (p *tlsParser) settleSession(facts *Facts) {
	if p.version < versionSSL3 || p.version > versionTLS12 {
		return
	}
	if p.resumed && !p.certKnown {
		p.recallSession(facts)
	}
	x := session{what: facts.Text(TLSClientCert), certificate: p.certificate}
	if fact, ok := facts.Get(TLSClientCert); ok {
		x.frame = fact.Frame()
	}
	if p.certKnown {
		for _, k := range p.given {
			p.context.sessions.keep(k, x)
		}
	}
	p.given = p.given[:0]
}

// recallSession says what the client showed when the session was agreed.
func (p *tlsParser) recallSession(facts *Facts) {
	var x session
	known := false
	if p.ticketShown {
		x, known = p.context.sessions.find(p.ticket)
	}
	if k, ok := sessionIDKey(p.sessionID[:p.sessionIDLength]); ok && !known {
		x, known = p.context.sessions.find(k)
	}
	if !known {
		return
	}
	now := facts.Frame
	facts.Frame = x.frame // the evidence is there
	p.sayClientCert(facts, x.what, "resumed")
	facts.SetText(TLSClientCertSure, confidenceHigh)
	if x.certificate != nil {
		p.certificate = x.certificate
		x.certificate.tell(facts, TLSClientCertSHA256, TLSClientCertCN, TLSClientCertSAN, TLSClientCertIssuer, TLSClientCertNotBefore, TLSClientCertNotAfter)
	}
	facts.Frame = now
}

// renegotiate takes in that a new handshake began within a sealed one, up to
// TLS 1.2: servers do that to ask for a certificate after all (RFC 5246 section
// 7.4.1.1), and what is shown then is sealed.
func (p *tlsParser) renegotiate(facts *Facts) {
	facts.SetFlag(TLSRenegotiated, true)
	if facts.Text(TLSClientCert) != "present" {
		facts.drop(TLSClientCertBasis)
		facts.drop(TLSClientCertSure)
		facts.SetText(TLSClientCert, "unknown")
	}
	p.settled = true
}
