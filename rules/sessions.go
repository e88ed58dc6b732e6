package rules

import (
	"net/netip"

	"wirechart/dissect"
	"wirechart/flows"
)

// sessionBook is what full handshakes of TLS 1.3 showed of their clients: a
// resumed session rests on one of them. Which one is sealed, so that something
// is said only where all between the same client and the same service, for the
// same name, showed the same. Up to TLS 1.2 the dissector joins them exactly.
type sessionBook map[sessionKey]seenSessions

type sessionKey struct {
	client netip.Addr
	server netip.AddrPort
	name   string
}

type seenSessions struct {
	what  string // present, empty or absent; "" where one differs, or was not sure
	start int64  // of the first
	frame uint64 // that showed it

	differ bool // two were sure, and not of the same
}

const maxSessions = 1 << 15

// sessionOf is the key of f, false where f is no TLS 1.3 over TCP.
func sessionOf(f *flows.Flow) (sessionKey, bool) {
	if f.Proto != flows.ProtoTCP || f.Facts.Text(dissect.TLSVersion) != "1.3" {
		return sessionKey{}, false
	}
	return sessionKey{f.Client.Addr(), f.Server, f.Facts.Text(dissect.TLSSNI)}, true
}

// learn keeps what a full handshake showed.
func (b *sessionBook) learn(f *flows.Flow) {
	k, ok := sessionOf(f)
	if !ok || f.Facts.Has(dissect.TLSResumed) || f.Facts.Text(dissect.TLSHandshake) != "complete" {
		return // nothing can rest on a handshake that failed
	}
	fact, _ := f.Facts.Get(dissect.TLSClientCert)
	x := seenSessions{what: fact.Str, start: f.Start, frame: fact.Frame()}
	if x.what == "unknown" || f.Facts.Text(dissect.TLSClientCertSure) == "medium" {
		x.what = ""
	}
	known, met := (*b)[k]
	switch {
	case met:
		x.differ = known.differ
		if known.what != x.what {
			x.differ = x.differ || known.what != "" && x.what != ""
			x.what = ""
		}
		if known.start <= x.start {
			x.start, x.frame = known.start, known.frame
		}
	case len(*b) >= maxSessions:
		return
	case *b == nil:
		*b = make(sessionBook)
	}
	(*b)[k] = x
}

// recall says of a resumed session what the handshakes before it showed. The
// evidence is the frame of the first of them.
func (b *sessionBook) recall(f *flows.Flow) {
	if len(*b) == 0 || f.App == "" || !f.Facts.Has(dissect.TLSResumed) || f.Facts.Has(dissect.TLSClientCertBasis) {
		return
	}
	k, ok := sessionOf(f)
	x := (*b)[k]
	if !ok || x.what == "" || x.start >= f.Start {
		return
	}
	f.Facts.Frame = x.frame
	f.Facts.SetText(dissect.TLSClientCert, x.what)
	f.Facts.SetText(dissect.TLSClientCertBasis, "resumed")
	f.Facts.SetText(dissect.TLSClientCertSure, "medium")
}

// contradictory says that some clients' certificates were shown and some were
// not, between the ends of f.
func (b *sessionBook) contradictory(f *flows.Flow) bool {
	k, ok := sessionOf(f)
	return ok && (*b)[k].differ
}
