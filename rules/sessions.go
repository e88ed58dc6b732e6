package rules

import (
	"hash/maphash"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
)

// sessionBook is what full handshakes of TLS 1.3 showed of their clients: a
// resumed session rests on one of them. Which one is sealed, so that something
// is said only where all between the same client and the same service, for the
// same name, showed the same. Up to TLS 1.2 the dissector joins them exactly.
type sessionBook struct {
	at   index // in list
	list []seenSessions
}

type sessionKey struct {
	client, server uint32 // numbers of the hosts
	port           uint16
	name           string
}

type seenSessions struct {
	sessionKey
	start  int64  // of the first
	frame  uint64 // that showed it
	what   shown
	differ bool // two were sure, and not of the same
}

// shown is what a client showed of a certificate.
type shown uint8

const (
	unsure       shown = iota // one differs, or was not sure
	shownPresent              // in the words of tls.client_cert
	shownEmpty
	shownAbsent
)

func (s shown) String() string { return [...]string{"", "present", "empty", "absent"}[s] }

// shownIn is what the facts of a flow say, and the frame that says it.
func shownIn(f *flows.Flow) (shown, uint64) {
	fact, _ := f.Facts.Get(dissect.TLSClientCert)
	if f.Facts.Text(dissect.TLSClientCertSure) != "medium" {
		for _, s := range [...]shown{shownPresent, shownEmpty, shownAbsent} {
			if fact.Str == s.String() {
				return s, fact.Frame()
			}
		}
	}
	return unsure, fact.Frame()
}

const maxSessions = 1 << 15

// sessionOf is the key of a flow between two hosts, false where it is no TLS 1.3
// over TCP.
func sessionOf(f *flows.Flow, client, server *host) (sessionKey, bool) {
	if client == nil || server == nil || f.Proto != flows.ProtoTCP || f.Facts.Text(dissect.TLSVersion) != "1.3" {
		return sessionKey{}, false
	}
	return sessionKey{client.number, server.number, f.Server.Port(), f.Facts.Text(dissect.TLSSNI)}, true
}

// find returns what was seen of k, nil when nothing was; and its hash.
func (b *sessionBook) find(k *sessionKey, seed uint64, names maphash.Seed) (*seenSessions, uint32) {
	hash := hashOf(uint64(k.client)<<32|uint64(k.server), maphash.String(names, k.name)+uint64(k.port), seed)
	n, ok := b.at.find(hash, func(n int) bool { return b.list[n].sessionKey == *k })
	if !ok {
		return nil, hash
	}
	return &b.list[n], hash
}

// learnSession keeps what a full handshake showed.
func (p *Policy) learnSession(f *flows.Flow, client, server *host) {
	k, ok := sessionOf(f, client, server)
	if !ok || f.Facts.Has(dissect.TLSResumed) || f.Facts.Text(dissect.TLSHandshake) != "complete" {
		return // nothing can rest on a handshake that failed
	}
	x := seenSessions{sessionKey: k, start: f.Start}
	x.what, x.frame = shownIn(f)
	known, hash := p.sessions.find(&k, p.seed, p.nameSeed)
	if known == nil {
		if n := len(p.sessions.list); n < maxSessions {
			x.name = strings.Clone(k.name) // or all that was learned of the flow would be kept with it
			p.sessions.list = push(p.sessions.list, x)
			p.sessions.at.add(hash, n)
		}
		return
	}
	x.name = known.name
	x.differ = known.differ
	if known.what != x.what {
		x.differ = x.differ || known.what != unsure && x.what != unsure
		x.what = unsure
	}
	if known.start <= x.start {
		x.start, x.frame = known.start, known.frame
	}
	*known = x
}

// recallSession says of a resumed session what the handshakes before it showed.
// The evidence is the frame of the first of them.
func (p *Policy) recallSession(f *flows.Flow) {
	if len(p.sessions.list) == 0 || f.App == "" || !f.Facts.Has(dissect.TLSResumed) || f.Facts.Has(dissect.TLSClientCertBasis) {
		return
	}
	x := p.sessionsOf(f)
	if x.what == unsure || x.start >= f.Start {
		return
	}
	f.Facts.Frame = x.frame
	f.Facts.SetText(dissect.TLSClientCert, x.what.String())
	f.Facts.SetText(dissect.TLSClientCertBasis, "resumed")
	f.Facts.SetText(dissect.TLSClientCertSure, "medium")
}

// sessionsOf is what was seen between the ends of f, nothing as a rule.
func (p *Policy) sessionsOf(f *flows.Flow) seenSessions {
	if k, ok := sessionOf(f, p.host(f.Client.Addr()), p.host(f.Server.Addr())); ok {
		if x, _ := p.sessions.find(&k, p.seed, p.nameSeed); x != nil {
			return *x
		}
	}
	return seenSessions{}
}
