package rules

import (
	"math/bits"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/flows"
)

// isAmbient says whether f is ordinary infrastructure: what the diagram says is, and
// the upkeep of IP.
func (p *Policy) isAmbient(f *flows.Flow) bool {
	switch port := f.Server.Port(); f.Proto {
	case flows.ProtoTCP:
		if p.ambientPorts[0][port>>6]>>(port&63)&1 == 0 {
			return false
		}
	case flows.ProtoUDP:
		if p.ambientPorts[1][port>>6]>>(port&63)&1 == 0 {
			return false
		}
	}
	return upkeep(f) || slices.ContainsFunc(p.diagram.Ambient, func(a *Infrastructure) bool {
		return p.covers(a, f) && (len(a.Apps) == 0 || f.App == "" || slices.Contains(a.Apps, f.App))
	})
}

// upkeep says whether f is what IP does for itself, of which no product's
// documentation speaks: finding neighbours and routers and joining groups, as ARP
// does, of which no flow is made, and errors, which belong to the flows that they
// quote.
func upkeep(f *flows.Flow) bool {
	switch f.Proto {
	case flows.ProtoICMP:
		switch icmpType(f) {
		case 3, 4, 5, 9, 10, 11, 12:
			return true
		}
	case flows.ProtoICMPv6:
		t := icmpType(f)
		return t >= 1 && t <= 4 || t >= 130 && t <= 137 || t == 143 || t >= 148 && t <= 153
	case protoIGMP:
		return true
	}
	return false
}

const protoIGMP = 2

// covers says whether a flow is to one of a's services.
func (p *Policy) covers(a *Infrastructure, f *flows.Flow) bool {
	if len(a.To) > 0 || a.ToSite {
		in := a.ToSite && p.ours(f.Server.Addr())
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
		if cut := p.diagnose(f, false); cut.Reason != NoReason {
			cut.into(v)
		}
		return
	}
	cut := p.diagnose(f, f.App == "tls")
	if e := p.mayServe(s, client, server); e != nil && (f.OneSided() || late(f) && !s.common) {
		v.Kind, v.Edge = Indeterminate, e.Edge
		r, frame := p.missing(f)
		v.why(r, frame, "")
		return
	}
	if e := p.mayFit(f, client, server); e != nil {
		v.Kind, v.Edge = Indeterminate, e.Edge
		r, frame := p.missing(f)
		v.why(r, frame, "")
		return
	}
	p.judgeStrangers(f, s, client, server, cut.before, v)
	if client.scanner {
		v.why(PortScan, f.Frame, "")
	}
	if cut.Reason != NoReason && v.Kind == Undocumented {
		cut.into(v) // what is not documented did not get through either
	}
}

// judgeAnyPort is judgeEdges for services that are known by what they speak: where
// f is to the port of another service, whose edges do not join the two ends.
func (p *Policy) judgeAnyPort(f *flows.Flow, other *service, client, server *end, v *Verdict) bool {
	if other == nil || other.port == 0 || f.App == "" && len(p.mapped) == 0 {
		return false
	}
	for _, s := range p.anyPort {
		if s.proto == f.Proto && p.judgeEdges(f, s, client, server, v) {
			return true
		}
	}
	return false
}

// mayFit finds an edge between the two ends to a service that is known by what it
// speaks, for a flow of which the capture does not show that: what there is was
// cut, or is one direction. The client's port must be one that the edge's clients
// have beside the dynamic ones, or everything unread could be such a service.
func (p *Policy) mayFit(f *flows.Flow, client, server *end) *edge {
	if f.App != "" && f.AppBasis != dissect.ByPort || f.Payload.Sum() == 0 {
		return nil
	}
	if !f.OneSided() && !late(f) && !incomplete(f) {
		return nil // it was read, and is something else
	}
	for _, s := range p.anyPort {
		for i := range s.edges {
			e := s.edges[i].edge
			to := e.to&server.roles != 0 || server.unknown() && !server.outside
			if s.proto == f.Proto && e.from&client.roles != 0 && to && inRanges(e.SourcePorts, f.Client.Port()) {
				return e
			}
		}
	}
	return nil
}

// mayServe finds an edge from the client to the service, for a server whose
// roles were inferred: a host may have several, and what it sends shows which.
// That a client is of the special kind which the edge is for shows only by what
// answers it there.
func (p *Policy) mayServe(s *service, client, server *end) *edge {
	if s == nil || server.pinned || server.outside {
		return nil
	}
	for i := range s.edges {
		e := s.edges[i].edge
		from := e.from&client.roles != 0 || e.nearly&client.roles != 0 && !client.pinned || p.mayBeClient(e, client)
		if from && e.to&server.roles == 0 && e.to&^e.outside != 0 {
			return e
		}
	}
	return nil
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
			if p.mayBeClient(e, client) {
				// A host that the edge is for, whose faults hide what it is: they
				// are what its owner has to mend.
				t := &p.trial
				*t = Verdict{Reasons: t.Reasons[:0], Concerns: t.Concerns[:0]}
				if p.judgeEdge(f, e, server, t); t.Kind == Violation {
					for _, b := range t.Reasons {
						v.why(b.Reason, b.Frame, b.Saw)
					}
				}
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
	if e := p.otherTransport(f, s, client.roles, server.roles); e != nil {
		v.Edge = e.Edge
		if f.Proto == flows.ProtoUDP {
			v.why(UDPOnTCPPort, f.Frame, f.App)
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
	// Where nothing tells which end is the client, both must call from there.
	oriented := f.Oriented <= flows.ByProtocol || inRanges(p.dynamic, f.Client.Port())
	if f.Proto == flows.ProtoTCP && !refused && s == nil && oriented &&
		server.roles&p.inbound != 0 && client.roles&^p.external != 0 &&
		p.listensDynamically(server.host, server.dynamic, f.Server.Port()) {
		v.Kind = Indeterminate
		v.why(InboundToDynamicPort, f.Frame, "")
		return
	}
	switch f.Proto {
	case flows.ProtoTCP, flows.ProtoUDP, flows.ProtoSCTP:
		v.why(PortNotDocumented, f.Frame, "")
	default:
		v.why(ProtocolNotDocumented, f.Frame, flows.ProtoText(f.Proto))
	}
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

// otherTransport finds an edge to the same port over the other transport, one
// of the client's own before those of others.
func (p *Policy) otherTransport(f *flows.Flow, s *service, from, to mask) *edge {
	if e, _ := p.leadsTo(s, to); e != nil {
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
	for j := range p.services[i-1].edges {
		if e := &p.services[i-1].edges[j]; e.from&from != 0 && e.to&to != 0 {
			return e.edge
		}
	}
	e, _ := p.leadsTo(p.services[i-1], to)
	return e
}

// sameKind says whether the ends have roles of one kind: an agent and an agent
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

// namedOtherwise says whether an address has names, and of the surest of them none
// of the edge's component but those that DNS gave other addresses for.
func (p *Policy) namedOtherwise(e *edge, addr netip.Addr) bool {
	list := p.names.of[addr]
	best := byCert
	for _, n := range list {
		best = min(best, n.basis)
	}
	for _, n := range list {
		if n.basis == best && matchesAny(e.domains, n.name) && (n.basis == byDNS || !p.differs(n.name, addr)) {
			return false
		}
	}
	return len(list) > 0
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
			e := &s.edges[i]
			if e.from&client.roles == 0 && !p.mayBeClient(e.edge, client) {
				continue
			}
			v.Edge = e.Edge
			// Whose a nameless address is, nothing tells: the client may have looked
			// the name up before the capture began, whatever it looks up in it.
			if server.unknown() && !p.namedOtherwise(e.edge, f.Server.Addr()) {
				v.Kind = Indeterminate
				v.why(RoleNotKnown, f.Frame, "")
				return
			}
		}
		v.why(EchoToUndocumentedAddress, f.Frame, "")
	case client.roles == 0 || server.roles == 0:
		v.why(UnknownHost, f.Frame, "")
	default:
		v.why(EchoNotDocumented, f.Frame, "")
	}
}
