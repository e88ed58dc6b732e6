package rules

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"

	"wirechart/flows"
	"wirechart/pcaps"
)

// clue is one observation that speaks for a component.
type clue struct {
	part    uint8
	kind    clueKind
	grade   grade
	mute    bool // of one that serves: nothing that it sent there was captured
	weight  float64
	service *service
	count   int        // hosts on the other side
	peer    netip.Addr // one of them
	name    hostName
	frame   pcaps.FrameID
}

type clueKind uint8

const (
	answersAt  clueKind = iota // serves on a documented port
	listensToo                 // likewise, but itself calls a busier server there
	calledBy                   // serves known clients on a port that many programs use
	calls                      // is the client of a known server
	goesBy                     // has a name of the component's
	pinged                     // was pinged together with hosts of the component
)

// fanIn is who called a host at one service, scanners left out.
type fanIn struct {
	clients, tried, opened, wrong, spoke, met int
	peer                                      netip.Addr
	frame                                     pcaps.FrameID
	best                                      grade
	answered                                  bool
}

// fanIn counts the clients of h at s; candidates are the edges that count.
func (p *Policy) fanIn(h *host, s *service, candidates uint64) fanIn {
	var n fanIn
	for _, l := range h.asServer {
		if l.service != s || p.probes.scans(l.client.addr) {
			continue
		}
		g := l.grade(candidates)
		n.answered = n.answered || l.answered
		switch g {
		case tried:
			n.tried++
		case opened:
			n.opened++
		case wrong:
			n.wrong++
		case spoke:
			n.spoke++
		case met:
			n.met++
		}
		if g > tried {
			n.clients++
		}
		if n.frame == 0 || g > n.best {
			n.best, n.peer, n.frame = g, l.client.addr, l.frame
			if l.proof != 0 {
				n.frame = l.proof
			}
		}
	}
	return n
}

// judgeServer weighs what a host answered, and for whom.
func (p *Policy) judgeServer(h *host) {
	if h.pinned {
		return
	}
	for _, s := range h.serves {
		if p.standsOutside(h, s) {
			continue
		}
		inside := s.inside(p.external)
		for rest := inside; rest != 0; rest &= rest - 1 {
			bit := bits.TrailingZeros64(uint64(rest))
			p.judgeService(h, s, bit, inside == 1<<bit)
			p.judgeCalledBy(h, s, bit)
		}
	}
}

// standsOutside says whether h is known for an external component that has an
// edge at s: what it answers there is that component's service, not that of
// the one that the site runs itself.
func (p *Policy) standsOutside(h *host, s *service) bool {
	for i := range s.edges {
		for rest := s.edges[i].outside; rest != 0; rest &= rest - 1 {
			if h.confidence(bits.TrailingZeros64(uint64(rest))) >= roleThreshold {
				return true
			}
		}
	}
	return false
}

// judgeService weighs one port by itself. alone says that no other component
// of the site has it.
func (p *Policy) judgeService(h *host, s *service, bit int, alone bool) {
	candidates := s.leading(bit)
	n := p.fanIn(h, s, candidates)
	strong := false
	for i := range s.edges {
		if candidates&(1<<i) != 0 {
			strong = strong || s.edges[i].strong
		}
	}
	w := 0.0
	switch {
	case s.common:
		if alone && n.met+n.spoke > 0 {
			w = 0.35
		}
	case n.met > 0 && strong:
		w = 0.9
	case n.met > 0:
		w = min(0.6+0.05*float64(n.clients), 0.8)
	case n.spoke > 0 && strong:
		w = min(0.55+0.05*float64(n.clients), 0.8)
	case n.spoke > 0:
		w = min(0.4+0.05*float64(n.clients), 0.7)
	case n.opened > 0:
		w = min(0.15+0.05*float64(n.opened), 0.4)
	case n.tried > 1:
		w = 0.3
	case n.tried == 1:
		w = 0.1
	}
	if w == 0 {
		return
	}
	if !alone && !s.common {
		w *= 0.6
	}
	kind := answersAt
	if p.busierPeer(h, s, bit, n.clients) {
		w, kind = w*0.25, listensToo
	} else if p.actsOtherwise(h, bit) && n.clients <= 2 && p.servedBeside(h, s) {
		w, kind = w*0.4, listensToo
	}
	count := n.clients
	switch n.best { // of what the sentence says was seen
	case met:
		count = n.met
	case spoke:
		count = n.spoke
	case tried:
		count = n.tried
	}
	h.clue(clue{part: uint8(bit), kind: kind, grade: n.best, mute: !n.answered, weight: w, service: s, count: count, peer: n.peer, frame: n.frame})
}

// busierPeer says whether h calls a host that serves more clients at s than h
// does, or as many and called h there less often than h called it; or whether h is
// called by one that serves more, and acts as a client of the product itself. Such a
// host is one of many programs of that product that listen there too, rather than its
// server. A load balancer serves more than the server behind it, which calls what a
// server does. A host that is known for a client of the product itself counts for
// nothing here, however many call it.
func (p *Policy) busierPeer(h *host, s *service, bit, clients int) bool {
	for _, l := range h.asClient {
		if l.service != s || l.opened == 0 || p.actsOtherwise(l.server, bit) {
			continue
		}
		theirs := l.server.clientsAt(s)
		if theirs == clients { // two that call each other, and nobody else
			if back := p.linkBetween(l.server, h, s); back != nil && back.opened > 0 && l.opened > back.opened {
				return true
			}
		}
		if theirs > clients {
			return true
		}
	}
	for _, l := range h.asServer {
		if l.service == s && l.opened > 0 && l.client.clientsAt(s) > clients && !p.actsOtherwise(l.client, bit) {
			return p.callsAsClient(h, bit)
		}
	}
	return false
}

// callsAsClient says whether h called a port of the product's own that is there for
// components which serve nobody, and not for the one that h would be.
func (p *Policy) callsAsClient(h *host, bit int) bool {
	for _, l := range h.asClient {
		if l.opened == 0 || l.service.common {
			continue
		}
		var from mask
		for i := range l.service.edges {
			from |= l.service.edges[i].from
		}
		if from.has(bit) {
			continue
		}
		for rest := from &^ p.external; rest != 0; rest &= rest - 1 {
			if !p.parts[bits.TrailingZeros64(uint64(rest))].server {
				return true
			}
		}
	}
	return false
}

// servedBeside says whether another host than h was called at s.
func (p *Policy) servedBeside(h *host, s *service) bool {
	n := p.calledAt[s.index]
	if h.clientsAt(s) > 0 {
		n--
	}
	return n > 0
}

// actsOtherwise says whether h calls known servers, at two services at least,
// where the component is not documented to call, nor another that h serves as.
func (p *Policy) actsOtherwise(h *host, bit int) bool {
	n := 0
	var last *service
	for _, l := range h.asClient {
		if l.service == last || l.opened == 0 {
			continue
		}
		from, _ := p.explains(l)
		if from != 0 && !from.has(bit) && from&h.roles&p.servers == 0 {
			n++
			last = l.service
		}
	}
	return n > 1
}

// judgeCalledBy weighs a service on a port that many programs use: it says
// something when known clients of the component call it.
func (p *Policy) judgeCalledBy(h *host, s *service, bit int) {
	if !s.common {
		return
	}
	n, near, strays, telling := 0, 0, true, false
	var example *link
	for _, l := range h.asServer {
		if l.service != s || l.client.roles == 0 {
			continue
		}
		for i := range s.edges {
			e := &s.edges[i]
			if !e.to.has(bit) || e.nearly&l.client.roles == 0 || l.grade(1<<i) < spoke {
				continue
			}
			if e.from&l.client.roles != 0 {
				n++
			} else {
				near++
			}
			telling = telling || e.telling
			strays = strays && p.onlyCalls(l.client)
			if example == nil || l.grade(1<<i) > example.grade(^uint64(0)) {
				example = l
			}
			break
		}
	}
	w := 0.5
	switch {
	case n+near == 0:
		return
	case n == 0:
		w = 0.3 // its clients are of the general kind: an agent that may be one for VMware
	case n > 1:
		w = 0.6
	}
	if !telling && n > 0 && isOutside(h.addr) && !p.ours(h.addr) {
		// A known client called the world's HTTPS: it may be this, or anything.
		w = min(w, 0.3)
		h.alike |= 1 << bit
	}
	// A host that is itself a client of the product, called by one of its kind,
	// is a neighbour rather than a server.
	if strays && n <= 1 && p.onlyCalls(h) {
		w = min(w, 0.3)
	}
	h.clue(clue{part: uint8(bit), kind: calledBy, grade: example.grade(^uint64(0)), mute: !example.answered, weight: w, service: s, count: n + near, peer: example.client.addr, frame: example.frame})
}

// onlyCalls says whether h has a role that is there to call others.
func (p *Policy) onlyCalls(h *host) bool {
	for rest := h.roles; rest != 0; rest &= rest - 1 {
		if c := &p.parts[bits.TrailingZeros64(uint64(rest))]; !c.server && c.clients > 0 {
			return true
		}
	}
	return false
}

// judgeNames weighs the names of a host for the components that have some.
func (p *Policy) judgeNames(h *host, first bool) {
	if h.pinned {
		return
	}
	if first {
		h.goesBy = p.namedAs(h)
	}
	for _, c := range h.goesBy {
		h.clue(c)
	}
	if len(h.goesBy) > 0 || !isOutside(h.addr) || p.ours(h.addr) || len(p.names.of[h.addr]) > 0 {
		return
	}
	for i := range p.parts {
		if p.parts[i].External {
			p.judgePinged(h, i)
		}
	}
}

// namedAs is what the names of h say of its roles. Names do not change while
// roles are settled.
func (p *Policy) namedAs(h *host) (clues []clue) {
	outside := isOutside(h.addr)
	list := p.names.of[h.addr]
	for i := range p.parts {
		c := &p.parts[i]
		if len(c.Names) == 0 || c.External && !outside {
			continue
		}
		best := clue{}
		for _, n := range list {
			if !matchesAny(c.Names, n.name) {
				continue
			}
			w := [...]float64{byDNS: 0.9, bySNI: 0.7, byHost: 0.6, byCert: 0.4}[n.basis]
			// Whoever answers may be asked for any name. Where DNS gave other
			// addresses for it, to be asked for it says nothing.
			if n.basis != byDNS && p.differs(n.name, h.addr) {
				continue
			}
			if w > best.weight {
				best = clue{part: uint8(i), kind: goesBy, weight: w, name: n, frame: n.frame}
			}
		}
		if best.weight > 0 {
			clues = append(clues, best)
		}
	}
	return clues
}

// judgePinged weighs that a nameless host outside was pinged by a client that
// pings hosts of the component: a choice among them was being made.
func (p *Policy) judgePinged(h *host, bit int) {
	for _, l := range h.asServer {
		if l.service.port != 0 || l.opened == 0 || !l.service.leadsTo(bit) {
			continue
		}
		if from, _ := l.service.clientsOf(bit); from&l.client.roles == 0 {
			continue
		}
		all, ofIt := 0, 0
		for _, o := range l.client.asClient {
			if o.service == l.service && o.opened > 0 {
				if all++; all > maxPinged {
					ofIt = 0
					break
				}
				if o.server.roles.has(bit) && o.server != h {
					ofIt++
				}
			}
		}
		if all >= 3 && ofIt >= 2 {
			h.clue(clue{part: uint8(bit), kind: pinged, weight: 0.5, service: l.service, count: ofIt, peer: l.client.addr, frame: l.frame})
			return
		}
	}
}

// maxPinged is more hosts than anyone chooses among by ping: beyond, it is a
// sweep.
const maxPinged = 64

// clientsOf is who may call a component at s.
func (s *service) clientsOf(bit int) (from mask, candidates uint64) {
	for i := range s.edges {
		if s.edges[i].to.has(bit) {
			from |= s.edges[i].from
			candidates |= 1 << i
		}
	}
	return from, candidates
}

// explains is the components whose part it is to make the link, by the roles
// that its server has, and the candidates that say so.
func (p *Policy) explains(l *link) (from mask, candidates uint64) {
	for i := range l.service.edges {
		e := &l.service.edges[i]
		if e.to&l.server.roles != 0 {
			from |= e.from
			candidates |= 1 << i
		}
	}
	return from, candidates
}

// call is what a host was seen to do as a client of one service.
type call struct {
	service *service
	from    mask
	weight  float64
	strong  bool // authenticated, and seen to hold
	grade   grade
	count   int
	link    *link
}

// ownServices is how many services of the product alone, on ports of its own, at its
// own servers or at a name of its own, are called as a component does, of those in
// list that spoke what they should. One that h has itself does not count: it may hand
// on what others ask it.
func (p *Policy) ownServices(h *host, list []call, bit int) int {
	n := 0
	for i, c := range list {
		own := func(x call) bool {
			return x.service == c.service && x.grade >= spoke && x.from.has(bit) && (x.service.port != 0 || !x.service.common) && p.isOwn(&x)
		}
		if own(c) && !slices.ContainsFunc(list[:i], own) && !slices.Contains(h.serves, c.service) {
			n++
		}
	}
	return n
}

// isOwn says whether a call was to a service of the product alone, and not to one of
// the systems that everybody uses.
func (p *Policy) isOwn(c *call) bool {
	at := c.link.server
	return !c.service.common || p.ownServer(at.roles&^p.external) || at.roles&p.external != 0 && len(at.goesBy) > 0
}

// browsed says of a call of the cloud that a web browser makes such calls as well.
func (p *Policy) browsed(c *call) bool {
	return c.service.common && c.service.port != 0 && c.link.server.roles&p.external != 0
}

// calls gathers what h did as a client of known servers.
func (p *Policy) calls(h *host) []call {
	list := p.called[:0]
	for _, l := range h.asClient {
		from, candidates := p.explains(l)
		if from == 0 || l.looked == l.flows {
			continue
		}
		g := l.grade(candidates)
		strong, inTLS, outside := false, false, l.server.roles&p.external != 0
		for i := range l.service.edges {
			if e := &l.service.edges[i]; candidates&(1<<i) != 0 {
				strong, inTLS = strong || e.strong, inTLS || e.wantsTLS
			}
		}
		if h.connects && inTLS && (h.connectsProven || !strong || g != met) {
			continue // it may be others' that it connects
		}
		if strong && g == spoke && !l.admitted {
			continue // so does anyone who looks whether the port answers
		}
		var w float64
		switch {
		case g == met && strong:
			w = 0.8
		case g == spoke && strong:
			w = 0.6
		case g >= spoke && (outside || l.service.common && !p.ownServer(l.server.roles)):
			w = 0.45 // many programs call such servers
		case g >= spoke:
			w = 0.5
		case g == opened, g == wrong:
			w = 0.25
		case l.service.common:
			w = 0.1
		default:
			w = 0.2
		}
		c := call{service: l.service, from: from, weight: w, strong: strong && g == met, grade: g, count: 1, link: l}
		for i := range list {
			if x := &list[i]; x.service == c.service && x.from == c.from {
				c.count += x.count
				if x.weight >= c.weight {
					n := c.count
					c = *x
					c.count = n
				}
				*x = c
				c.service = nil
				break
			}
		}
		if c.service != nil {
			list = append(list, c)
		}
	}
	p.called = list
	return list
}

// ownServer says whether one of the roles is a server of the product's own,
// rather than a system that it uses.
func (p *Policy) ownServer(roles mask) bool {
	for ; roles != 0; roles &= roles - 1 {
		if p.parts[bits.TrailingZeros64(uint64(roles))].server {
			return true
		}
	}
	return false
}

// judgeClient weighs what a host called.
func (p *Policy) judgeClient(h *host) {
	if h.pinned || p.probes.scans(h.addr) {
		return
	}
	list := p.calls(h)
	if len(list) == 0 {
		return
	}
	server := p.rolesOf(h) &^ h.never
	hinted := false // serves something, too weakly for a role
	for i := range h.clues {
		hinted = hinted || h.clues[i].weight >= 0.3
	}
	// What the host's roles as a server are documented to call confirms them;
	// what is left asks for a further role.
	left := p.left[:0]
	for _, c := range list {
		if m := c.from & server; m != 0 {
			p.confirm(h, c, m)
		} else {
			left = append(left, c)
		}
	}
	p.left = left
	strong, services := 0, 0
	for i, c := range left {
		if c.strong {
			strong++
		}
		if c.weight >= 0.2 && (i == 0 || left[i-1].service != c.service) {
			services++
		}
	}
	// Calls of the product's own services tell what a client is, where there are any:
	// file services, vSphere and the cloud's web pages are everybody's.
	best, bestSum, bestOwn := -1, 0.0, 0.0
	for i := range p.parts {
		c := &p.parts[i]
		if server.has(i) || c.External || h.never.has(i) || c.clients == 0 {
			continue
		}
		backed := h.confidence(i) >= 0.3
		if c.server && !backed {
			continue // it would be found answering
		}
		if server != 0 && !backed && strong < 2 && p.ownServices(h, left, i) < 2 {
			continue // servers do call where no edge says so: that is for a finding
		}
		if server == 0 && hinted && !backed && services < 2 {
			continue
		}
		sum, own := 0.0, 0.0
		for _, c := range left {
			if !c.from.has(i) {
				continue
			}
			sum += c.weight
			if p.isOwn(&c) && !p.browsed(&c) {
				own += c.weight
			}
		}
		if backed {
			sum += h.confidence(i)
			own += h.confidence(i)
		}
		if sum <= 0 {
			continue
		}
		better := best < 0
		if !better {
			const even = 1e-9
			than := &p.parts[best]
			kin := c.Is(than.Component) || than.Is(c.Component)
			switch {
			case math.Abs(own-bestOwn) > even:
				better = own > bestOwn
			case (own == 0 || kin) && math.Abs(sum-bestSum) > even:
				better = sum > bestSum
			default:
				better = c.clients < than.clients
			}
		}
		if better {
			best, bestSum, bestOwn = i, sum, own
		}
	}
	if best < 0 {
		// One such call with a certificate is too little to say that a server is
		// another component as well, and too much to say that it is not.
		for _, c := range left {
			if c.strong {
				h.alike |= c.from &^ (server | p.external | h.never)
			}
		}
		return
	}
	for _, c := range left {
		if c.from.has(best) {
			p.confirm(h, c, 1<<best)
		}
	}
	if p.parts[best].server {
		return
	}
	// What else all of that is the part of, it may be as well.
	alike := ^(mask(1)<<best | p.external | h.never)
	for _, c := range left {
		if c.from.has(best) {
			alike &= c.from
		}
	}
	h.alike |= alike
}

// confirm gives h a clue for each component of m that the call is the part of.
func (p *Policy) confirm(h *host, c call, m mask) {
	frame := c.link.proof
	if frame == 0 {
		frame = c.link.frame
	}
	for ; m != 0; m &= m - 1 {
		h.clue(clue{part: uint8(bits.TrailingZeros64(uint64(m))), kind: calls, grade: c.grade, weight: c.weight,
			service: c.service, count: c.count, peer: c.link.server.addr, frame: frame})
	}
}

// inside is every component of the site that edges lead to at s.
func (s *service) inside(external mask) mask {
	var m mask
	for i := range s.edges {
		m |= s.edges[i].to
	}
	return m &^ external
}

// leadsToAny says whether an edge leads to one of the roles at s.
func (s *service) leadsToAny(roles mask) bool {
	for i := range s.edges {
		if s.edges[i].to&roles != 0 {
			return true
		}
	}
	return false
}

// leading is the candidates of s that lead to a component.
func (s *service) leading(bit int) uint64 {
	_, c := s.clientsOf(bit)
	return c
}

// String is the service as a report writes it: "tcp/7780", "icmp/echo".
func (s *service) String() string { return serviceName(s.proto, s.port, s.port == 0) }

func serviceName(proto uint8, port uint16, portless bool) string {
	name := protoName(proto)
	switch proto {
	case flows.ProtoICMP, flows.ProtoICMPv6:
		return name + "/echo"
	case flows.ProtoTCP, flows.ProtoUDP, flows.ProtoSCTP:
		if portless {
			return name + "/any"
		}
		return name + "/" + strconv.Itoa(int(port))
	}
	return name
}

// speaksWhat is what was seen at a service, for a sentence.
func (c *clue) speaksWhat() string {
	word := ""
	for i := range c.service.edges {
		e := &c.service.edges[i]
		if !e.to.has(int(c.part)) && !e.from.has(int(c.part)) {
			continue
		}
		for _, r := range e.require {
			switch {
			case len(r.Any) == 0:
			case r.app && c.service.port == portmapPort && slices.Contains(r.Any, "portmap"):
				word = "the port mapper's protocol"
			case r.app:
				word = upper(r.Any[0])
			case r.Name == "tls.client_cert" && c.grade == met:
				word = "mutual TLS"
			case c.grade == met && r.Name == "zmtp.mechanism":
				word += " " + r.Any[0]
			}
		}
		break
	}
	return word
}

// upper is how the name of a protocol is written in a sentence.
func upper(s string) string {
	if s == "iscsi" {
		return "iSCSI"
	}
	b := []byte(s)
	for i := range b {
		if b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// sentence says the clue for a person.
func (p *Policy) sentence(c *clue) string {
	what, at := "", ""
	if c.service != nil {
		at = c.service.String()
		if c.service.port == 0 && (c.service.proto == flows.ProtoTCP || c.service.proto == flows.ProtoUDP) {
			at = "a port that the port mapper gave"
		}
		what = c.speaksWhat()
	}
	clients := strconv.Itoa(c.count) + " clients"
	if c.count == 1 {
		clients = "1 client"
	}
	switch c.kind {
	case answersAt, listensToo:
		var s string
		switch c.grade {
		case met, spoke:
			switch {
			case what == "":
				s = fmt.Sprintf("answers on %s for %s", at, clients)
			case c.mute:
				s = fmt.Sprintf("is called with %s at %s by %s", what, at, clients)
			default:
				s = fmt.Sprintf("answers %s on %s for %s", what, at, clients)
			}
		case opened, wrong:
			s = fmt.Sprintf("accepts connections on %s from %s", at, clients)
		default:
			s = fmt.Sprintf("%s tried %s", clients, at)
		}
		if c.kind == listensToo {
			s += ", but acts as a client of the product does"
		}
		return s
	case calledBy:
		who := p.partOf(c.peer)
		more := ""
		if c.count > 1 {
			more = fmt.Sprintf(" and %d more", c.count-1)
		}
		if what == "" {
			return fmt.Sprintf("is called at %s by %s %s%s", at, who, p.Name(c.peer), more)
		}
		if c.mute {
			return fmt.Sprintf("is called with %s at %s by %s %s%s", what, at, who, p.Name(c.peer), more)
		}
		return fmt.Sprintf("answers %s on %s for %s %s%s", what, at, who, p.Name(c.peer), more)
	case calls:
		verb := "calls"
		if c.grade == tried {
			verb = "tries"
		}
		who := p.partOf(c.peer) + " "
		with := ""
		if (c.grade == met || c.grade == spoke) && what != "" {
			with = " with " + what
		}
		if c.service.port == 0 && c.service.proto != flows.ProtoTCP && c.service.proto != flows.ProtoUDP {
			return fmt.Sprintf("pings %s%s", who, p.Name(c.peer))
		}
		return fmt.Sprintf("%s %s%s at %s%s", verb, who, p.Name(c.peer), at, with)
	case goesBy:
		return fmt.Sprintf("is %s, by %s", c.name.name, c.name.basis)
	case pinged:
		return fmt.Sprintf("was pinged by %s together with %d others of this component", p.Name(c.peer), c.count)
	}
	return ""
}

// partOf names the first role of a host.
func (p *Policy) partOf(addr netip.Addr) string {
	if h := p.host(addr); h != nil && h.roles != 0 {
		return p.parts[bits.TrailingZeros64(uint64(h.roles))].ID
	}
	return "host"
}
