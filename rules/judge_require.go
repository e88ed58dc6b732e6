package rules

import (
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// judgeRequirements adds what contradicts the edge, and returns the reason why
// something that it requires could not be seen, or NoReason.
func (p *Policy) judgeRequirements(f *flows.Flow, e *edge, v *Verdict) (notSeen Reason) {
	for i := range e.require {
		r := &e.require[i]
		s, saw, frame := r.check(f)
		switch {
		case r.app && s == Contradicted:
			p.wrongApp(f, e, saw, frame, v)
			return NoReason
		case r.app:
		case r.key == dissect.TLSClientCert && hasTLS(f.App):
			s = p.judgeClientCert(f, s, saw, frame, v)
			if s == Unseen && f.Facts.Has(dissect.TLSResumed) && !f.Facts.Has(dissect.TLSClientCertBasis) &&
				!p.sessionsOf(f).differ && p.metBefore(f, e) {
				s = Holds
			} else if s == Unseen && f.Facts.Has(dissect.TLSResumed) && notSeen == NoReason {
				notSeen = SessionResumed
			}
		case r.key == dissect.ZMTPMechanism && f.App == "zmtp":
			s = p.judgeMechanism(f, r, s, saw, frame, v)
		case s == Contradicted && r.key == dissect.TLSVersion:
			v.why(TLSVersionTooOld, frame, saw)
		case s == Contradicted:
			v.why(RequirementContradicted, frame, saw)
		}
		if s == Unseen && notSeen == NoReason {
			notSeen = RequirementNotObserved
		}
	}
	if hasTLS(f.App) {
		p.judgeTLSOutcome(f, v)
	}
	if e.wantsToken && f.App == "tls" {
		p.judgeOpenedTokens(f, v)
	}
	for i := range e.expect {
		r := &e.expect[i]
		s, saw, frame := r.check(f)
		if r.app && saw == "" && f.OneSided() {
			continue // some protocols are known by what one of the two ends says
		}
		if s == Unseen && r.key == dissect.NFSAuth && (f.App == "nfs" || f.App == "rpc") && incomplete(f) && notSeen == NoReason {
			notSeen = RequirementNotObserved // it would be there, in clear
		}
		if s == Contradicted {
			switch r.key {
			case dissect.NFSAuth:
				v.why(NFSAuthNone, frame, saw)
			case dissect.HTTPToken:
				v.why(JWTInURL, frame, saw)
			default:
				v.why(RequirementContradicted, frame, saw)
			}
		}
	}
	return notSeen
}

// hasTLS says whether a protocol is TLS or has its handshake inside.
func hasTLS(app string) bool { return app == "tls" || app == "quic" || app == "dtls" }

// metBefore says whether the two hosts were seen to meet the edge's
// requirements in another connection: a resumed session rests on that.
func (p *Policy) metBefore(f *flows.Flow, e *edge) bool {
	s := p.service(f)
	l := p.linkOf(f, s)
	if l == nil {
		return false
	}
	for i := range s.edges {
		if s.edges[i].edge == e {
			return l.meets&(1<<i) != 0
		}
	}
	return false
}

// wrongApp names what was seen where another protocol belongs.
func (p *Policy) wrongApp(f *flows.Flow, e *edge, app string, frame pcaps.FrameID, v *Verdict) {
	port := f.Server.Port()
	saw := app
	if saw == "" {
		saw = "an unknown protocol"
	}
	found := false
	try := func(what string) bool {
		r, ok := p.onPort[onPort{what, port}]
		if ok {
			v.why(r, frame, saw)
			found = true
		}
		return ok
	}
	if app == "http2" {
		app = "http" // the same requests, written differently
	}
	if e.wantsZMTP {
		if app != "" {
			try(app)
		}
		v.why(NotZMTP, frame, saw)
		return
	}
	switch app {
	case "http":
		_ = try("plaintext_http") || try("http")
	case "":
	default:
		try(app)
	}
	if !found && e.wantsTLS && !try("plaintext") {
		v.why(PlaintextWhereTLSIsRequired, frame, saw)
		found = true
	}
	if !found {
		v.why(WrongProtocol, frame, saw)
	}
	if app == "http" && e.wantsToken {
		p.judgeClearTokens(f, v)
	}
}

// judgeClearTokens looks at requests that crossed in clear where a token is
// expected.
func (p *Policy) judgeClearTokens(f *flows.Flow, v *Verdict) {
	all := f.Facts.All()
	tokens := false
	for i := range all {
		switch frame := pcaps.FrameID(all[i].Frame()); {
		case all[i].Key == dissect.HTTPToken:
			tokens = true
			v.why(JWTInClear, frame, all[i].Str)
			if all[i].Str == "url" {
				v.why(JWTInURL, frame, all[i].Str)
			}
		case all[i].Key == dissect.HTTPTokenAlg && MatchName("none", all[i].Str):
			v.why(JWTAlgNone, frame, all[i].Str)
		}
	}
	// Where bytes are missing, the token may be among them.
	whole := !incomplete(f) && !f.Dissect.Late || f.Facts.Has(dissect.HTTPUnauthenticated)
	if requests, ok := f.Facts.Get(dissect.HTTPRequests); ok && requests.Num > 0 && !tokens && whole {
		v.why(NoAuthentication, pcaps.FrameID(requests.Frame()), "")
	}
}

// judgeOpenedTokens looks at requests inside TLS, where keys opened it. A token
// that is not signed proves nothing. A request without any is a concern alone:
// what it asks for, a login or a page that everybody may see, is not known.
func (p *Policy) judgeOpenedTokens(f *flows.Flow, v *Verdict) {
	all := f.Facts.All()
	for i := range all {
		switch frame := all[i].Frame(); {
		case all[i].Key == dissect.HTTPTokenAlg && MatchName("none", all[i].Str):
			v.why(JWTAlgNone, pcaps.FrameID(frame), all[i].Str)
		case all[i].Key == dissect.HTTPUnauthenticated:
			v.concern(NoAuthentication, frame, "")
		}
	}
}

// judgeClientCert says whether the client proved itself by a certificate.
func (p *Policy) judgeClientCert(f *flows.Flow, s Standing, saw string, frame pcaps.FrameID, v *Verdict) Standing {
	refused, by, at := tlsRefused(f)
	switch {
	case s == Unseen:
		return Unseen
	case s == Holds && refused && by == "server":
		v.why(RejectedByServer, at, f.Facts.Text(dissect.TLSAlert))
		return Contradicted
	case s == Holds && !refused && f.Facts.Text(dissect.TLSHandshake) != "complete" && incomplete(f):
		return Unseen // whether the server took it is what is missing
	case s == Holds, saw == "absent" && f.Facts.Text(dissect.TLSClientCertLater) == "present":
		return Holds
	}
	switch saw {
	case "empty":
		if refused && by != "client" || !refused && f.TCP.ResetBy == flows.ResetByServer && f.Facts.Text(dissect.TLSHandshake) != "complete" {
			if at == 0 {
				at = f.TCP.ResetFrame
			}
			v.why(MTLSClientCertMissing, frame, saw)
			v.why(RejectedByServer, at, f.Facts.Text(dissect.TLSAlert))
		} else if f.Facts.Has(dissect.TLSClientCertAccepted) || f.Facts.Text(dissect.TLSClientCertBasis) == "resumed" {
			if serverClosedFirst(f) {
				saw = emptyThenClosed
			}
			v.why(MTLSClientCertEmptyAccepted, frame, saw)
		} else {
			v.why(MTLSClientCertEmpty, frame, saw)
		}
	case "absent":
		if f.Facts.Has(dissect.TLSCertRequest) {
			v.why(MTLSClientCertMissing, frame, saw)
			if refused && by == "server" {
				v.why(RejectedByServer, at, f.Facts.Text(dissect.TLSAlert))
			}
		} else {
			v.why(MTLSNotRequestedByServer, frame, saw)
		}
	default:
		if f.Facts.Has(dissect.TLSResumed) || saw == "unknown" {
			return Unseen
		}
		v.why(RequirementContradicted, frame, saw)
	}
	return Contradicted
}

// emptyThenClosed is said of servers that may have refused inside TLS.
const emptyThenClosed = "empty; the server then closed first, and whether it refused in its own protocol (as HTTP's 400) cannot be told"

// serverClosedFirst says that the first FIN was the server's.
func serverClosedFirst(f *flows.Flow) bool {
	i := strings.IndexAny(f.TCP.History, "Ff")
	return i >= 0 && f.TCP.History[i] == 'f'
}

// tlsRefused says whether a TLS handshake was broken off, by whom and where.
func tlsRefused(f *flows.Flow) (refused bool, by string, frame pcaps.FrameID) {
	if r, ok := f.Facts.Get(dissect.TLSRefused); ok {
		return true, r.Str, pcaps.FrameID(r.Frame())
	}
	if h, _ := f.Facts.Get(dissect.TLSHandshake); h.Str == "failed" {
		a, _ := f.Facts.Get(dissect.TLSAlert)
		by := f.Facts.Text(dissect.TLSAlertBy)
		if a.Frame() == 0 {
			return true, by, pcaps.FrameID(h.Frame())
		}
		return true, by, pcaps.FrameID(a.Frame())
	}
	return false, "", 0
}

// judgeTLSOutcome adds that an end broke the handshake off.
func (p *Policy) judgeTLSOutcome(f *flows.Flow, v *Verdict) {
	refused, by, frame := tlsRefused(f)
	if !refused || len(v.Reasons) > 0 {
		return
	}
	alert := f.Facts.Text(dissect.TLSAlert)
	switch {
	case alert != "" && !aboutProof(alert):
		v.why(TLSHandshakeFailed, frame, alert)
	case by == "server":
		v.why(RejectedByServer, frame, alert)
	case by == "client":
		v.why(RejectedByClient, frame, alert)
	case alert == "":
		v.why(TLSHandshakeFailed, frame, answerInClear(f))
	default:
		v.why(TLSHandshakeFailed, frame, alert)
	}
}

// What answered a ClientHello in place of a ServerHello.
const (
	answeredByHTTP  = "an answer of HTTP in clear"
	answeredBySSH   = "an answer of SSH"
	answeredByOther = "an answer that is not TLS"
)

// answerInClear is one of them; "" where the server spoke TLS.
func answerInClear(f *flows.Flow) string {
	switch {
	case f.Facts.Has(dissect.TLSVersion):
		return ""
	case f.Facts.Has(dissect.HTTPStatus):
		return answeredByHTTP
	case f.Facts.Has(dissect.SSHServerBanner):
		return answeredBySSH
	}
	return answeredByOther
}

// aboutProof says whether an alert speaks of the other end's certificate or key.
func aboutProof(alert string) bool {
	switch alert {
	case "bad_certificate", "unsupported_certificate", "certificate_revoked", "certificate_expired",
		"certificate_unknown", "unknown_ca", "access_denied", "decrypt_error", "certificate_required", "no_certificate":
		return true
	}
	return false
}

// judgeMechanism looks at ZMTP's version, mechanism and handshake.
func (p *Policy) judgeMechanism(f *flows.Flow, r *requirement, s Standing, saw string, frame pcaps.FrameID, v *Verdict) Standing {
	version, _ := f.Facts.Get(dissect.ZMTPVersion)
	switch version.Str {
	case "1.0":
		v.why(ZMTPVersion1, pcaps.FrameID(version.Frame()), version.Str)
		return Contradicted
	case "2.0":
		v.why(ZMTPVersion2, pcaps.FrameID(version.Frame()), version.Str)
		return Contradicted
	}
	if s == Contradicted {
		switch saw {
		case "NULL":
			v.why(ZMTPMechanismNull, frame, saw)
		case "PLAIN":
			v.why(ZMTPMechanismPlain, frame, saw)
		default:
			v.why(RequirementContradicted, frame, saw)
		}
		if c, ok := f.Facts.Get(dissect.ZMTPCredentials); ok && c.Num != 0 {
			v.why(CleartextCredentials, pcaps.FrameID(c.Frame()), "")
		}
		return Contradicted
	}
	handshake, _ := f.Facts.Get(dissect.ZMTPHandshake)
	at := pcaps.FrameID(handshake.Frame())
	over := f.Ended == flows.Closed || f.Ended == flows.Reset || f.TCP.ResetBy != flows.ResetByNobody
	whole := !incomplete(f) && !late(f) && !f.OneSided()
	client, server := f.Facts.Text(dissect.ZMTPClientMechanism), f.Facts.Text(dissect.ZMTPServerMechanism)
	odd := ""
	if client != "" && !r.Accepts(client) {
		odd = client
	} else if server != "" && !r.Accepts(server) {
		odd = server
	}
	switch {
	case handshake.Str == "rejected":
		if at == 0 {
			at = frame
		}
		if odd != "" {
			v.why(ZMTPMechanismNotCurve, at, odd)
		} else {
			v.why(ZMTPCurveHandshakeFailed, at, f.Facts.Text(dissect.ZMTPError))
		}
		switch f.Facts.Text(dissect.ZMTPRejectedBy) {
		case "server":
			v.why(RejectedByServer, at, "")
		case "client":
			v.why(RejectedByClient, at, "")
		}
		return Contradicted
	case s == Holds && handshake.Str == "complete":
		return Holds
	case !whole || f.Payload[0] == 0 || f.Payload[1] == 0:
		return Unseen
	}
	if frame == 0 {
		frame = f.TCP.DataFrame[0]
	}
	// An end says its mechanism in the first 64 bytes (ZMTP 3.1, greeting). Where
	// it sent more and said none, it is the reading that missed something.
	const greeting = 64
	unread := saw == "" && (client == "" && f.Payload[0] > greeting || server == "" && f.Payload[1] > greeting)
	switch {
	case odd != "":
		v.why(ZMTPMechanismNotCurve, frame, odd)
		return Contradicted
	case !over, unread:
		return Unseen
	}
	v.why(ZMTPCurveHandshakeFailed, frame, "")
	return Contradicted
}
