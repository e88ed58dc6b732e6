package rules

import (
	"math/bits"
	"net/netip"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// end is one end of a flow as Judge sees it.
type end struct {
	roles   mask
	host    *host       // nil when nothing was kept of it
	dynamic []PortRange // its own, by the inventory
	pinned  bool
	outside bool // its address is one of the world outside
	scanner bool
}

// unknown says that the end may yet play a part: nothing speaks for one, and
// nothing against it.
func (e *end) unknown() bool { return e.roles == 0 && !e.pinned && !e.scanner }

func (p *Policy) end(addr netip.Addr) end {
	e := end{outside: isOutside(addr), scanner: len(p.probes.scanners) > 0 && p.probes.scans(addr)}
	if h := p.hosts[addr]; h != nil {
		e.host, e.roles, e.dynamic, e.pinned = h, h.roles, h.pin.DynamicPorts, h.pinned
		return e
	}
	if p.inv != nil {
		if pin, ok := p.inv.Host(addr, nil); ok {
			e.dynamic, e.pinned = pin.DynamicPorts, pin.Pinned
			for _, c := range pin.Roles {
				e.roles |= p.bits(c)
			}
		}
	}
	return e
}

// Judge is the second pass: the verdict on f, written over v. It is total: any
// flow has a verdict. It does not allocate once v's slices have grown.
func (p *Policy) Judge(f *flows.Flow, v *Verdict) {
	*v = Verdict{Kind: OutOfScope, Reasons: v.Reasons[:0], Concerns: v.Concerns[:0]}
	c, s := p.end(f.Client.Addr()), p.end(f.Server.Addr())
	if svc := p.service(f); svc != nil && c.roles|s.roles != 0 && p.judgeEdges(f, svc, &c, &s, v) {
		p.addConcerns(f, v)
		return
	}
	if a := p.ambientFor(f); a != nil {
		v.Kind = Ambient
		if f.Proto == flows.ProtoUDP && f.Packets[1] == 0 {
			if r, frame := icmpReason(f); r != NoReason {
				v.why(r, frame, "") // that names are not resolved explains what follows
			}
		}
		return
	}
	if c.roles|s.roles == 0 {
		return
	}
	p.judgeUndocumented(f, &c, &s, v)
	p.addConcerns(f, v)
}

// judgeEdges tries every edge that leads to the service, and keeps the verdict
// that is kindest to the flow: one edge that allows it is enough. It says
// false when no edge joins the two ends.
func (p *Policy) judgeEdges(f *flows.Flow, s *service, client, server *end, v *Verdict) bool {
	best := -1
	for i := range s.edges {
		e := &s.edges[i]
		if !e.fits(f) {
			continue
		}
		from := e.from&client.roles != 0 || len(e.From) == 0
		to := e.to&server.roles != 0
		maybeFrom := !from && client.unknown() && p.mayBeClient(e.edge, client)
		maybeTo := !to && server.unknown() && (e.to&^e.outside != 0 && !server.outside || e.outside != 0 && server.outside)
		if !(from && (to || maybeTo) || to && maybeFrom) {
			continue
		}
		t := &p.trial
		*t = Verdict{Reasons: t.Reasons[:0], Concerns: t.Concerns[:0], Edge: e.Edge}
		p.judgeEdge(f, e.edge, server, t)
		switch {
		case from && to:
		case t.Kind == Blocked:
			// Where the connection never came to be, nothing could tell who
			// the other end is.
		case maybeTo && e.outside != 0 && server.outside:
			// Known by its name alone: what judgeEdge says of the name holds.
			if t.Kind == Documented || t.Kind == Violation {
				continue
			}
		case maybeFrom && t.Kind == Indeterminate:
		default:
			continue
		}
		if r := kindness[t.Kind]; r > best {
			best = r
			*v, *t = *t, *v
		}
	}
	return best >= 0
}

// kindness orders the verdicts that edges give to one flow.
var kindness = [kinds]int{Undocumented: 0, Violation: 1, Blocked: 2, Indeterminate: 3, Documented: 4}

// mayBeClient says whether a host of which nothing is known could be a client
// of the edge: one of a component that is not known by its own services.
func (p *Policy) mayBeClient(e *edge, client *end) bool {
	never := mask(0)
	if client.host != nil {
		never = client.host.never
	}
	for rest := e.from &^ never &^ p.external; rest != 0; rest &= rest - 1 {
		if !p.parts[bits.TrailingZeros64(uint64(rest))].server {
			return true
		}
	}
	return false
}

// why adds a reason to the verdict.
func (v *Verdict) why(r Reason, frame pcaps.FrameID, saw string) {
	for i := range v.Reasons {
		if v.Reasons[i].Reason == r {
			return
		}
	}
	v.Reasons = append(v.Reasons, Because{r, frame, saw})
}

// judgeEdge holds f against one edge. The order of what holds is violation,
// blocked, indeterminate, documented.
func (p *Policy) judgeEdge(f *flows.Flow, e *edge, server *end, v *Verdict) {
	unnamed := false
	if e.outside != 0 && len(e.names) > 0 && f.Proto == flows.ProtoTCP && e.to&^e.outside&server.roles == 0 {
		name, frame := serverName(f)
		if name == "" {
			unnamed = true
		} else if r := p.judgeName(e, name, f.Server.Addr(), server); r != NoReason {
			v.Kind = Undocumented
			v.why(r, frame, name)
			return
		}
	}
	p.judgeSourcePort(f, e, v)
	cut, cutFrame, before := p.diagnose(f, e.wantsTLS)
	if cut != NoReason && before {
		if len(v.Reasons) > 0 {
			v.Kind = Violation
		} else {
			v.Kind = Blocked
		}
		v.why(cut, cutFrame, "")
		return
	}
	unseen := p.judgeRequirements(f, e, v)
	if len(v.Reasons) > 0 {
		v.Kind = Violation
		return
	}
	if cut != NoReason {
		v.Kind = Blocked
		v.why(cut, cutFrame, "")
		return
	}
	switch oneSided := f.OneSided(); {
	case unseen != NoReason, oneSided && f.Packets[1] == 0:
		v.Kind = Indeterminate
		r, frame := missing(f)
		if r == RequirementNotObserved && unseen != NoReason {
			r = unseen
		}
		v.why(r, frame, "")
	case unnamed && f.Proto == flows.ProtoTCP:
		v.Kind = Indeterminate
		r, frame := missing(f)
		if r == RequirementNotObserved {
			r = NoServerName
			if f.App == "tls" {
				r = NoSNI
			}
		}
		v.why(r, frame, "")
	default:
		v.Kind = Documented
	}
}

// judgeName holds the name that the client asked for against the edge's.
func (p *Policy) judgeName(e *edge, name string, addr netip.Addr, server *end) Reason {
	if !matchesAny(e.names, name) {
		if matchesAny(e.domains, name) {
			return UndocumentedCloudName
		}
		return UnknownSNI
	}
	if server.pinned && server.roles != 0 || p.names.agrees(name, addr) != dnsDiffers {
		return NoReason
	}
	for _, n := range p.names.of[addr] {
		if n.basis == byDNS && matchesAny(e.names, n.name) {
			return NoReason // DNS gave the address for another documented name
		}
	}
	return SNIAddressMismatch
}

// judgeSourcePort looks at the port that the client chose.
func (p *Policy) judgeSourcePort(f *flows.Flow, e *edge, v *Verdict) {
	if f.Proto != flows.ProtoTCP && f.Proto != flows.ProtoUDP || f.Oriented > flows.ByProtocol {
		return
	}
	port := f.Client.Port()
	if inRanges(e.SourcePorts, port) || inRanges(p.dynamic, port) {
		return
	}
	client := p.end(f.Client.Addr())
	if !p.dynamicFor(client.host, client.dynamic, port) {
		v.why(SourcePortNotDynamic, f.Frame, "")
	}
}

// late says whether the capture began after the flow did.
func late(f *flows.Flow) bool {
	return f.Dissect.Late || f.Proto == flows.ProtoTCP && f.TCP.SYNs == 0 && f.TCP.SYNACKs == 0
}

// missing says why what would decide was not seen.
func missing(f *flows.Flow) (Reason, pcaps.FrameID) {
	switch {
	case f.OneSided():
		return OneDirectionCaptured, f.Frame
	case late(f):
		return StartNotCaptured, f.Frame
	case f.Proto == flows.ProtoTCP && f.Payload[0] == 0:
		return NothingSaid, f.Frame
	case f.Dissect.Lost, f.Missed.Sum() > 0:
		return BytesMissing, f.Frame
	}
	return RequirementNotObserved, f.Frame
}

// judgeRequirements adds what contradicts the edge, and returns the reason why
// something that it requires could not be seen, or NoReason.
func (p *Policy) judgeRequirements(f *flows.Flow, e *edge, v *Verdict) (notSeen Reason) {
	for i := range e.require {
		r := &e.require[i]
		s, saw, frame := r.check(f)
		switch {
		case r.app && s == contradicted:
			p.wrongApp(f, e, saw, frame, v)
			return NoReason
		case r.app:
		case r.key == dissect.TLSClientCert && f.App == "tls":
			s = p.judgeClientCert(f, s, saw, frame, v)
			if s == unseen && f.Facts.Has(dissect.TLSResumed) && p.metBefore(f, e) {
				s = holds
			} else if s == unseen && f.Facts.Has(dissect.TLSResumed) && notSeen == NoReason {
				notSeen = SessionResumed
			}
		case r.key == dissect.ZMTPMechanism && f.App == "zmtp":
			s = p.judgeMechanism(f, r, s, saw, frame, v)
		case s == contradicted && r.key == dissect.TLSVersion:
			v.why(TLSVersionTooOld, frame, saw)
		case s == contradicted:
			v.why(RequirementContradicted, frame, saw)
		}
		if s == unseen && notSeen == NoReason {
			notSeen = RequirementNotObserved
		}
	}
	if f.App == "tls" {
		p.judgeTLSOutcome(f, v)
	}
	for i := range e.expect {
		r := &e.expect[i]
		if s, saw, frame := r.check(f); s == contradicted {
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

// metBefore says whether the two hosts were seen to meet the edge's
// requirements in another connection: a resumed session rests on that.
func (p *Policy) metBefore(f *flows.Flow, e *edge) bool {
	s := p.service(f)
	l := p.links[linkKey{f.Client.Addr(), f.Server.Addr(), uint16(s.index)}]
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
	if requests, ok := f.Facts.Get(dissect.HTTPRequests); ok && requests.Num > 0 && !tokens {
		v.why(NoAuthentication, pcaps.FrameID(requests.Frame()), "")
	}
}

// judgeClientCert says whether the client proved itself by a certificate.
func (p *Policy) judgeClientCert(f *flows.Flow, s state, saw string, frame pcaps.FrameID, v *Verdict) state {
	refused, by, at := tlsRefused(f)
	switch {
	case s == unseen:
		return unseen
	case s == holds && refused && by == "server":
		v.why(RejectedByServer, at, f.Facts.Text(dissect.TLSAlert))
		return contradicted
	case s == holds:
		return holds
	}
	switch saw {
	case "empty":
		if refused && by != "client" || !refused && f.TCP.ResetBy == flows.ResetByServer && f.Facts.Text(dissect.TLSHandshake) != "complete" {
			if at == 0 {
				at = f.TCP.ResetFrame
			}
			v.why(MTLSClientCertMissing, frame, saw)
			v.why(RejectedByServer, at, f.Facts.Text(dissect.TLSAlert))
		} else {
			v.why(MTLSClientCertEmptyAccepted, frame, saw)
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
			return unseen
		}
		v.why(RequirementContradicted, frame, saw)
	}
	return contradicted
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
	default:
		v.why(TLSHandshakeFailed, frame, alert)
	}
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
func (p *Policy) judgeMechanism(f *flows.Flow, r *requirement, s state, saw string, frame pcaps.FrameID, v *Verdict) state {
	version, _ := f.Facts.Get(dissect.ZMTPVersion)
	switch version.Str {
	case "1.0":
		v.why(ZMTPVersion1, pcaps.FrameID(version.Frame()), version.Str)
		return contradicted
	case "2.0":
		v.why(ZMTPVersion2, pcaps.FrameID(version.Frame()), version.Str)
		return contradicted
	}
	if s == contradicted {
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
		return contradicted
	}
	handshake, _ := f.Facts.Get(dissect.ZMTPHandshake)
	at := pcaps.FrameID(handshake.Frame())
	over := f.Ended == flows.Closed || f.Ended == flows.Reset || f.TCP.ResetBy != flows.ResetByNobody
	whole := !f.Dissect.Lost && !late(f) && !f.OneSided() && f.Missed.Sum() == 0
	switch {
	case handshake.Str == "rejected":
		if at == 0 {
			at = frame
		}
		v.why(ZMTPCurveHandshakeFailed, at, f.Facts.Text(dissect.ZMTPError))
		switch f.Facts.Text(dissect.ZMTPRejectedBy) {
		case "server":
			v.why(RejectedByServer, at, "")
		case "client":
			v.why(RejectedByClient, at, "")
		}
		return contradicted
	case s == holds && handshake.Str == "complete":
		return holds
	case !whole || f.Payload[0] == 0:
		return unseen
	}
	client, server := f.Facts.Text(dissect.ZMTPClientMechanism), f.Facts.Text(dissect.ZMTPServerMechanism)
	if frame == 0 {
		frame = f.TCP.DataFrame[0]
	}
	odd := ""
	if client != "" && !r.Accepts(client) {
		odd = client
	} else if server != "" && !r.Accepts(server) {
		odd = server
	}
	switch {
	case odd != "":
		v.why(ZMTPMechanismNotCurve, frame, odd)
		return contradicted
	case !over:
		return unseen
	}
	v.why(ZMTPCurveHandshakeFailed, frame, "")
	return contradicted
}

// ambientFor finds the ordinary infrastructure that f belongs to, or nil.
func (p *Policy) ambientFor(f *flows.Flow) *Infrastructure {
	switch port := f.Server.Port(); f.Proto {
	case flows.ProtoTCP:
		if p.ambientPorts[0][port>>6]>>(port&63)&1 == 0 {
			return nil
		}
	case flows.ProtoUDP:
		if p.ambientPorts[1][port>>6]>>(port&63)&1 == 0 {
			return nil
		}
	}
	for _, a := range p.diagram.Ambient {
		if !a.covers(f) {
			continue
		}
		if a.App != "" && f.App != "" && f.App != a.App {
			continue
		}
		return a
	}
	return nil
}

// covers says whether a flow is to one of a's services.
func (a *Infrastructure) covers(f *flows.Flow) bool {
	if len(a.To) > 0 {
		in := false
		for _, prefix := range a.To {
			in = in || prefix.Contains(f.Server.Addr())
		}
		if !in {
			return false
		}
	}
	for i := range a.Over {
		s := &a.Over[i]
		if s.Proto != f.Proto {
			continue
		}
		if s.Ports != (PortRange{}) {
			if s.Ports.Contains(f.Server.Port()) {
				return true
			}
			continue
		}
		if len(s.Types) == 0 {
			return true
		}
		for _, t := range s.Types {
			if t == icmpType(f) {
				return true
			}
		}
	}
	return false
}

// judgeUndocumented says why no edge joins the two ends, of which one at least
// is a component: the most telling reason first.
func (p *Policy) judgeUndocumented(f *flows.Flow, client, server *end, v *Verdict) {
	v.Kind = Undocumented
	s := p.service(f)
	if f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6 {
		p.judgeEcho(f, s, client, server, v)
		return
	}
	cut, frame, before := p.diagnose(f, false)
	p.judgeStrangers(f, s, client, server, before, v)
	if client.scanner {
		v.why(PortScan, f.Frame, "")
	}
	if before && v.Kind == Undocumented {
		v.why(cut, frame, "")
	}
}

// judgeStrangers is judgeUndocumented for everything but ICMP; refused says
// that the connection did not come to be.
func (p *Policy) judgeStrangers(f *flows.Flow, s *service, client, server *end, refused bool, v *Verdict) {
	if client.roles == 0 {
		v.why(UnknownHost, f.Frame, "")
		if e, stated := p.leadsTo(s, server.roles); e != nil {
			v.Edge = e.Edge
			if stated {
				v.why(ClientRoleNotDocumented, f.Frame, "")
			} else {
				v.why(ClientRoleNotStated, f.Frame, "")
			}
		}
		return
	}
	if server.roles == 0 {
		// A client of an edge that is known by name, at an address that is
		// not that component's.
		if s != nil && server.outside {
			for i := range s.edges {
				e := &s.edges[i]
				if e.from&client.roles == 0 || e.outside == 0 {
					continue
				}
				if name, frame := serverName(f); name != "" {
					v.Edge = e.Edge
					if r := p.judgeName(e.edge, name, f.Server.Addr(), server); r != NoReason {
						v.why(r, frame, name)
						return
					}
				}
			}
		}
		v.why(UnknownHost, f.Frame, "")
		if s != nil && server.outside && p.notForClient(s, client.roles) {
			v.why(ClientRoleNotDocumented, f.Frame, "")
		}
		return
	}
	if r, e := p.reversed(f, client, server); r != NoReason {
		v.Edge = e
		v.why(r, f.Frame, "")
		return
	}
	if e := p.otherTransport(f, s, server.roles); e != nil {
		v.Edge = e.Edge
		if f.Proto == flows.ProtoUDP {
			v.why(UDPOnTCPPort, f.Frame, "")
		} else {
			v.why(TCPOnUDPPort, f.Frame, "")
		}
		return
	}
	if same := client.roles & server.roles; same != 0 || p.sameKind(client.roles, server.roles) {
		if e, _ := p.leadsTo(s, server.roles); e == nil {
			v.why(p.peers(client.roles, server.roles), f.Frame, "")
			return
		}
	}
	if e, stated := p.leadsTo(s, server.roles); e != nil {
		v.Edge = e.Edge
		if stated {
			v.why(ClientRoleNotDocumented, f.Frame, "")
		} else {
			v.why(ClientRoleNotStated, f.Frame, "")
		}
		return
	}
	if f.Proto == flows.ProtoTCP && !refused && s == nil && f.Oriented <= flows.ByProtocol &&
		server.roles&p.inbound != 0 && client.roles&^p.external != 0 &&
		p.listensDynamically(server.host, server.dynamic, f.Server.Port()) {
		v.Kind = Indeterminate
		v.why(InboundToDynamicPort, f.Frame, "")
		return
	}
	v.why(PortNotDocumented, f.Frame, "")
}

// notForClient says whether the edges at s that lead outside are all for other
// clients: whoever the server is, no edge would join the two.
func (p *Policy) notForClient(s *service, roles mask) bool {
	any := false
	for i := range s.edges {
		if s.edges[i].outside != 0 {
			any = true
			if s.edges[i].from&roles != 0 {
				return false
			}
		}
	}
	return any
}

// leadsTo finds an edge from the service to one of the roles; stated says that
// the document names its clients.
func (p *Policy) leadsTo(s *service, roles mask) (e *edge, stated bool) {
	if s == nil {
		return nil, false
	}
	for i := range s.edges {
		if s.edges[i].to&roles == 0 {
			continue
		}
		if e == nil || e.FromUnstated {
			e = s.edges[i].edge
		}
	}
	return e, e != nil && !e.FromUnstated
}

// reversed finds an edge that runs from the server to the client at this port.
func (p *Policy) reversed(f *flows.Flow, client, server *end) (Reason, *Edge) {
	s := p.service(f)
	if s == nil || s.port == 0 {
		return NoReason, nil
	}
	for i := range s.edges {
		e := &s.edges[i]
		if e.to&client.roles != 0 && e.from&server.roles != 0 && e.to&server.roles == 0 {
			return ReversedDirection, e.Edge
		}
	}
	return NoReason, nil
}

// otherTransport finds an edge to the same port over the other transport.
func (p *Policy) otherTransport(f *flows.Flow, s *service, roles mask) *edge {
	if e, _ := p.leadsTo(s, roles); e != nil {
		return nil
	}
	var i uint16
	switch f.Proto {
	case flows.ProtoTCP:
		i = p.byPort[1][f.Server.Port()]
	case flows.ProtoUDP:
		i = p.byPort[0][f.Server.Port()]
	}
	if i == 0 {
		return nil
	}
	e, _ := p.leadsTo(p.services[i-1], roles)
	return e
}

// sameKind says whether the ends play parts of one kind: an agent and an agent
// for VMware.
func (p *Policy) sameKind(a, b mask) bool {
	for x := a; x != 0; x &= x - 1 {
		for y := b; y != 0; y &= y - 1 {
			i, j := bits.TrailingZeros64(uint64(x)), bits.TrailingZeros64(uint64(y))
			if p.parts[i].Is(p.parts[j].Component) || p.parts[j].Is(p.parts[i].Component) {
				return true
			}
		}
	}
	return false
}

// peers names the reason for two hosts of one component.
func (p *Policy) peers(a, b mask) Reason {
	for rest := a; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(uint64(rest))
		for y := b; y != 0; y &= y - 1 {
			j := bits.TrailingZeros64(uint64(y))
			if p.isAgent(i) && p.isAgent(j) {
				return AgentToAgent
			}
		}
	}
	return SameComponent
}

func (p *Policy) isAgent(i int) bool {
	c := p.parts[i].Component
	for range maxKinds {
		if c == nil {
			return false
		}
		if c.ID == "agent" {
			return true
		}
		c = c.KindOf
	}
	return false
}

// judgeEcho says why an echo is not documented.
func (p *Policy) judgeEcho(f *flows.Flow, s *service, client, server *end, v *Verdict) {
	e, _ := p.leadsTo(s, server.roles)
	switch {
	case e != nil && client.roles == 0:
		v.Edge = e.Edge
		v.why(UnknownHost, f.Frame, "")
		v.why(EchoClientNotDocumented, f.Frame, "")
	case e != nil:
		v.Edge = e.Edge
		v.why(EchoClientNotDocumented, f.Frame, "")
	case s != nil && server.outside && client.roles != 0:
		for i := range s.edges {
			if s.edges[i].from&client.roles != 0 {
				v.Edge = s.edges[i].Edge
			}
		}
		v.why(EchoToUndocumentedAddress, f.Frame, "")
	case client.roles == 0 || server.roles == 0:
		v.why(UnknownHost, f.Frame, "")
	default:
		v.why(EchoNotDocumented, f.Frame, "")
	}
}
