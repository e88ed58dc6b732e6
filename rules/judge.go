package rules

import (
	"encoding/binary"
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
	// Components that the host may be as well as those in roles: the same
	// connections speak for them.
	alike mask
}

// unknown says that the end may yet have a role: nothing speaks for one, and
// nothing against it.
func (e *end) unknown() bool { return e.roles == 0 && !e.pinned && !e.scanner }

func (p *Policy) end(addr netip.Addr) end {
	e := end{scanner: len(p.probes.scanners) > 0 && p.probes.scans(addr)}
	if h := p.host(addr); h != nil {
		e.host, e.roles, e.dynamic, e.pinned = h, h.roles, h.pin.DynamicPorts, h.pinned
		e.alike = h.alike
	} else if p.inv != nil {
		if pin := p.inv.Host(addr, nil); pin != nil {
			e.dynamic, e.pinned = pin.DynamicPorts, pin.Pinned
			for _, c := range pin.Roles {
				e.roles |= p.bits(c)
			}
		}
	}
	e.outside = isOutside(addr) && !p.isOurs(addr, e.roles)
	return e
}

// Judge is the second pass: the verdict on f, written over v. It is total: any
// flow has a verdict. It does not allocate once v's slices have grown.
func (p *Policy) Judge(f *flows.Flow, v *Verdict) {
	*v = Verdict{Kind: OutOfScope, Reasons: v.Reasons[:0], Concerns: v.Concerns[:0]}
	p.recallSession(f)
	client, server := p.translated.ends(f)
	if p.inv == nil && !p.known.may(client) && !p.known.may(server) {
		if p.isAmbient(f) { // a stranger's name was looked up, or the like
			p.ambient(f, v)
		}
		return
	}
	c, s := p.end(client), p.end(server)
	if svc := p.service(f); c.roles|s.roles != 0 && (svc != nil && p.judgeEdges(f, svc, &c, &s, v) || p.judgeAnyPort(f, svc, &c, &s, v)) {
		p.addConcerns(f, v)
		return
	}
	if (!c.scanner || f.Payload.Sum() > 0) && p.isAmbient(f) {
		p.ambient(f, v)
		return
	}
	if c.roles|s.roles == 0 {
		return
	}
	p.judgeUndocumented(f, &c, &s, v)
	p.addConcerns(f, v)
}

// ambient is the verdict on ordinary infrastructure.
func (p *Policy) ambient(f *flows.Flow, v *Verdict) {
	v.Kind = Ambient
	if f.Proto == flows.ProtoUDP && f.Packets[1] == 0 {
		if r, frame := icmpReason(f); r != NoReason {
			v.why(r, frame, "") // that names are not resolved explains what follows
		}
	}
}

// addressSet tells most addresses that are not in it at a glance: one bit for
// each hash. Almost all flows of a flood are between strangers.
type addressSet [1 << 10]uint64

func (s *addressSet) bit(a netip.Addr) (word uint16, bit uint64) {
	b := a.As16()
	h := (binary.LittleEndian.Uint64(b[:8])*31 + binary.LittleEndian.Uint64(b[8:])) * 0x9e3779b97f4a7c15 >> 48
	return uint16(h >> 6), 1 << (h & 63)
}

func (s *addressSet) add(a netip.Addr) {
	word, bit := s.bit(a)
	s[word] |= bit
}

// may says that a may be in the set; false is certain.
func (s *addressSet) may(a netip.Addr) bool {
	word, bit := s.bit(a)
	return s[word]&bit != 0
}

// judgeEdges tries every edge that leads to the service, and keeps the verdict
// that is kindest to the flow: one edge that allows it is enough. It says
// false when no edge joins the two ends.
func (p *Policy) judgeEdges(f *flows.Flow, s *service, client, server *end, v *Verdict) bool {
	best, sampled := -1, p.sampled()
	for i := range s.edges {
		e := &s.edges[i]
		if !p.fits(e, f) {
			continue
		}
		from := e.from&client.roles != 0 || len(e.From) == 0
		to := e.to&server.roles != 0
		maybeFrom := !from && p.mayBeClient(e.edge, client)
		maybeTo := !to && server.unknown() && (e.to&^e.outside != 0 && (!server.outside || p.hosted) || e.outside != 0 && server.outside)
		if sampled { // what would have told that a host plays a part may be missing
			maybeFrom = maybeFrom || !from && !client.pinned && !client.outside && e.from&^p.external != 0
		}
		perhaps := !to && (sampled && !server.pinned && !server.outside && e.to&^e.outside != 0 || e.to&server.alike != 0 || s.common && maybeFrom && !server.pinned && !server.outside && e.to&^e.outside != 0 && s.leadsToAny(server.roles))
		maybeTo = maybeTo || perhaps
		// What the two speak tells a file server even where neither is known for sure.
		bothMay := maybeFrom && maybeTo && client.roles != 0 && e.telling
		if !(from && (to || maybeTo) || maybeFrom && (to || perhaps) || bothMay) {
			continue
		}
		t := &p.trial
		*t = Verdict{Reasons: t.Reasons[:0], Concerns: t.Concerns[:0], Edge: e.Edge}
		p.judgeEdge(f, e.edge, server, t)
		switch {
		case from && to:
		case t.Kind == Blocked, t.Kind == Indeterminate && (f.Packets[1] == 0 && p.cutShort(f) || wordless(f)):
			// Where the connection never came to be, or nothing of it was
			// captured, nothing could tell who the other end is.
		case maybeTo && e.outside != 0 && server.outside && !perhaps:
			// Known by its name alone: what judgeEdge says of the name holds.
			if t.Kind == Documented || t.Kind == Violation {
				continue
			}
		case t.Kind == Indeterminate && (maybeFrom || perhaps || !s.common):
		case t.Kind == Documented && (maybeFrom || perhaps || !s.common || wordless(f)):
			t.Kind = Indeterminate
			t.why(RoleNotKnown, f.Frame, "")
		default:
			continue
		}
		rank := 2 * kindness[t.Kind]
		if from && to {
			rank++ // of two that say the same, the one whose ends are known
		}
		if rank > best {
			best = rank
			*v, *t = *t, *v
		}
	}
	return best >= 0
}

// kindness orders the verdicts that edges give to one flow.
var kindness = [kinds]int{Undocumented: 0, Violation: 1, Blocked: 2, Indeterminate: 3, Documented: 4}

// mayBeClient says whether a host that is not known to be a client of the edge could
// be one: what it does speaks for that as much as for its role; or nothing is
// known of it, and the client is of a component that is not known by its own
// services, or of one that no host in the captures was found to be.
func (p *Policy) mayBeClient(e *edge, client *end) bool {
	never := mask(0)
	if client.host != nil {
		never = client.host.never
	}
	if !client.unknown() {
		// Where the way out is all that was captured, one address may be that of a
		// whole site, or of a server whose clients are elsewhere.
		whole := !client.pinned && client.roles != 0 && client.roles&p.servers == 0 && e.outside != 0
		return e.from&client.alike != 0 || whole && e.from&^(never|p.external|p.found)&p.servers != 0
	}
	for rest := e.from &^ never &^ p.external; rest != 0; rest &= rest - 1 {
		if bit := bits.TrailingZeros64(uint64(rest)); !p.parts[bit].server || !p.found.has(bit) {
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
	cut := p.diagnose(f, e.wantsTLS)
	if cut.before {
		switch {
		case len(v.Reasons) > 0:
			v.Kind = Violation
		case cut.own:
			v.Kind = Indeterminate
		default:
			v.Kind = Blocked
		}
		cut.into(v)
		return
	}
	unseen := p.judgeRequirements(f, e, v)
	if len(v.Reasons) > 0 {
		v.Kind = Violation
		return
	}
	if cut.Reason != NoReason {
		v.Kind = Blocked
		if cut.Reason == LargeSegmentsLost && unseen != NoReason {
			// The other end is there and takes what is small: the connection
			// is open, and stuck before it could show what it is.
			v.Kind = Indeterminate
		}
		cut.into(v)
		return
	}
	switch oneSided := f.OneSided(); {
	case unseen != NoReason, oneSided && f.Packets[1] == 0, f.Packets[1] == 0 && (p.cutShort(f) || p.mute(f)),
		f.Proto == flows.ProtoTCP && f.Payload[0] > 0 && f.Payload[1] == 0 && len(e.require) > 0:
		v.Kind = Indeterminate
		r, frame := p.missing(f)
		if r == RequirementNotObserved && unseen != NoReason {
			r = unseen
		}
		v.why(r, frame, "")
	case unnamed && f.Proto == flows.ProtoTCP:
		v.Kind = Indeterminate
		r, frame := p.missing(f)
		if r == RequirementNotObserved {
			r = NoServerName
			if f.App == "tls" { // the frame of the ClientHello that lacks it
				r, frame = NoSNI, f.TCP.DataFrame[0]
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
	if server.pinned && server.roles != 0 || !p.differs(name, addr) {
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

// wordless says whether nothing of a connection was captured that could tell what it
// is: no payload, what both ends had said before the capture began, or bytes
// among which those are missing that tell.
func wordless(f *flows.Flow) bool {
	return f.Proto == flows.ProtoTCP && (f.Payload.Sum() == 0 ||
		(f.App == "" || f.AppBasis == dissect.ByPort) && (late(f) || incomplete(f)))
}

// incomplete says whether payload of f is known to be missing from the captures: in
// between, or at the end, where nothing but its acknowledgement tells.
func incomplete(f *flows.Flow) bool {
	return f.Dissect.Lost || f.Missed.Sum() > 0 || f.TCP.Unseen[0] || f.TCP.Unseen[1]
}

// late says whether the capture began after the flow did.
func late(f *flows.Flow) bool {
	return f.Dissect.Late || f.Proto == flows.ProtoTCP && f.TCP.SYNs == 0 && f.TCP.SYNACKs == 0 && !f.TCP.ScanFlags
}

// missing says why what would decide was not seen.
func (p *Policy) missing(f *flows.Flow) (Reason, pcaps.FrameID) {
	switch {
	case f.Packets[1] == 0 && p.sparse():
		return BytesMissing, f.Frame
	case f.OneSided(), f.Packets[1] == 0 && p.mute(f):
		return OneDirectionCaptured, f.Frame
	case f.Packets[1] == 0 && p.cutShort(f):
		return CaptureEnded, f.Frame
	case f.TCP.PortsOnly:
		return BytesMissing, f.Frame
	case late(f):
		return StartNotCaptured, f.Frame
	case f.Proto == flows.ProtoTCP && (f.Payload[0] == 0 || f.Payload[1] == 0 && !f.TCP.Unseen[1]):
		return NothingSaid, f.Frame
	case incomplete(f):
		return BytesMissing, f.Frame
	}
	return RequirementNotObserved, f.Frame
}
