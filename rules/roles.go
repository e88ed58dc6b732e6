package rules

import (
	"math/bits"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Roles are inferred in two steps. Observe keeps, for every pair of hosts and
// every documented service between them, the best that was seen: tried, opened,
// spoke the protocol, met what the edge requires. Settle weighs these links
// together, in rounds: servers are known by who calls them and what they
// answer, clients by the known servers that they call, and servers on ports
// that everybody uses by the known clients that call them.
//
// A wrong role is worse than none: what rests on one weak observation stays
// below the threshold, and the host without a role.

// roleThreshold is the confidence at which a component is taken for a role.
const roleThreshold = 0.5

// host is what is known of one address.
type host struct {
	// What each of its flows touches lies together.
	addr   netip.Addr
	number uint32 // in the order in which hosts were met
	mac    flows.MAC
	flows  uint64
	heard  pcaps.FrameID // a flow in which it sent something; 0 for none

	roles mask
	alike mask // what it may be as well, or instead: the same connections speak for it

	spoke   bool // something that it sent over TCP was captured
	unheard bool // something that it must have sent was not, over TCP
	reached bool // something that was sent to it was captured
	deaf    bool // something that must have been sent to it was not

	// Connects others to where they ask it to, by TLS, and by TLS in which they show
	// certificates: what it calls so is not its own.
	connects, connectsProven bool

	routed   bool // what it sent was captured on both sides of a router
	ttlCount uint8
	ttls     [4]uint8 // of what it sent, one for each way that this took

	// Source ports of connections that the host opened, apart from those that
	// an edge allows by itself.
	low, high uint16
	inside    uint32 // in the diagram's ranges
	beside    uint32 // outside them, at 1024 and up
	besideLow uint16
	besideTop uint16

	first      pcaps.FrameID
	pin        *HostPin // of the inventory, or unlisted
	listed     bool     // the inventory has an entry
	pinned     bool
	never      mask
	remembered mask // its roles in earlier runs, which hold until something is seen

	goesBy []clue // what its names say
	clues  []clue // what the roles rest on, and what was too weak for one

	asClient, asServer []*link
	serves             []*service // those of asServer, each once
	busy               []int      // how many clients opened each of serves, scanners left out
}

// link is the use of one service between two hosts, and the best that was seen
// of it.
type link struct {
	client, server *host
	service        *service
	flows          uint32
	looked         uint32 // connections that were looks whether the port answers
	opened         uint32 // connections that carried payload
	unread, read   bool   // the captures lack what would tell what some are; have it of some
	answered       bool   // some of it the server's
	admitted       bool   // in one that spoke the protocol, the client was not turned away unproven
	// One bit for each candidate edge of the service.
	meets   uint64 // all that the edge requires was seen to hold
	speaks  uint64 // the protocol was right
	against uint64 // something contradicted it
	frame   pcaps.FrameID
	proof   pcaps.FrameID // of the best
}

// grade is the best of a link for some of its candidates.
type grade uint8

const (
	tried  grade = iota // no payload
	opened              // payload, nothing that could be told
	wrong               // payload that contradicts the edge
	spoke
	met
)

func (l *link) grade(candidates uint64) grade {
	switch {
	case l.meets&candidates != 0:
		return met
	case l.speaks&candidates != 0:
		return spoke
	case l.against&candidates != 0:
		return wrong
	case l.opened > 0:
		return opened
	}
	return tried
}

// Observe is the first pass: it keeps what f says of the hosts and forgets the
// rest. It keeps nothing of a host that only sent SYNs, beyond fixed bounds.
func (p *Policy) Observe(f *flows.Flow) {
	p.last = max(p.last, f.End)
	switch {
	case f.Packets[0] > 0 && f.Packets[1] > 0:
		p.sightOf(f).whole = true
	case f.OneSided():
		p.sightOf(f).halved = true
	}
	if f.Proto == flows.ProtoTCP && f.Payload.Sum() > 0 {
		p.read++
		holed := f.Missed.Sum() > 0
		if holed {
			p.holed++
		}
		if holed || late(f) {
			p.partial++
		}
	}
	f = p.translated.meet(f)
	s := p.service(f)
	if f.Proto == flows.ProtoTCP && f.Payload[0] == 0 && (f.Oriented == flows.BySYN || f.TCP.ScanFlags) {
		p.probes.note(f, s != nil)
	}
	if f.Payload[0]|f.Payload[1] == 0 {
		if s != nil {
			p.observeBarren(f, s)
		}
		return
	}
	answered := f.Packets[0] > 0 && f.Packets[1] > 0
	if !answered && (s == nil || f.Proto != flows.ProtoTCP) {
		if s != nil && s.port == 0 {
			p.observeBarren(f, s)
		}
		return
	}
	if s == nil && f.App == "" {
		return
	}
	if f.App == "portmap" {
		p.learnMappings(f)
	}
	p.names.learn(f)
	if s != nil && s.port == 0 && s.proto != flows.ProtoTCP && s.proto != flows.ProtoUDP && !isOutside(f.Server.Addr()) {
		return // echo inside the site tells nobody's role
	}
	client, server := p.meet(f.Client.Addr(), f), p.meet(f.Server.Addr(), f)
	if client == nil || server == nil {
		return
	}
	p.spoken++
	if toProxy(f) && f.Facts.Has(dissect.TLSVersion) {
		server.connects = true
		server.connectsProven = server.connectsProven || f.Facts.Text(dissect.TLSClientCert) == "present"
	}
	p.learnSession(f, client, server)
	client.hear(f, flows.ToClient)
	server.hear(f, flows.ToServer)
	client.listen(f, flows.ToServer)
	server.listen(f, flows.ToClient)
	client.flows++
	server.flows++
	if f.ClientMAC != (flows.MAC{}) && client.mac == (flows.MAC{}) {
		client.mac = f.ClientMAC
	}
	if f.ServerMAC != (flows.MAC{}) && server.mac == (flows.MAC{}) {
		server.mac = f.ServerMAC
	}
	if f.Proto == flows.ProtoTCP && f.Oriented <= flows.ByProtocol {
		p.learnPort(client, s, f.Client.Port())
	}
	if s == nil {
		return
	}
	if l := p.link(client, server, s, false); l != nil {
		l.see(f)
	}
}

// observeBarren sees a connection that carried nothing: a weak hint of who
// calls whom, kept for few.
func (p *Policy) observeBarren(f *flows.Flow, s *service) {
	if l := p.linkOf(f, s); l != nil {
		l.count(f)
		l.client.hear(f, flows.ToClient)
		l.server.welcome(f)
		return
	}
	if p.barren >= maxBarren || s.port == 0 && !isOutside(f.Server.Addr()) {
		return
	}
	client, server := p.meet(f.Client.Addr(), f), p.meet(f.Server.Addr(), f)
	if client == nil || server == nil {
		return
	}
	client.hear(f, flows.ToClient)
	server.welcome(f)
	if l := p.link(client, server, s, true); l != nil {
		l.count(f)
	}
}

// meet returns the host of an address, made when it is new and there is room.
func (p *Policy) meet(addr netip.Addr, f *flows.Flow) *host { return p.meetAt(addr, f.Frame) }

func (p *Policy) meetAt(addr netip.Addr, frame pcaps.FrameID) *host {
	h := p.host(addr)
	if h != nil {
		return h
	}
	if len(p.order) >= maxHosts {
		p.full.Hosts++
		return nil
	}
	h = p.newHost()
	h.addr, h.first, h.number, h.pin = addr, frame, uint32(len(p.order)), &unlisted
	p.hosts.add(p.hashAddr(addr), len(p.order))
	p.order = push(p.order, h)
	return h
}

// linkOf returns the link that f belongs to, nil when nothing was kept of it.
func (p *Policy) linkOf(f *flows.Flow, s *service) *link {
	client := p.host(f.Client.Addr())
	if client == nil {
		return nil
	}
	server := p.host(f.Server.Addr())
	if server == nil {
		return nil
	}
	return p.linkBetween(client, server, s)
}

// slabSize is how many things are allocated at once when there are n.
func slabSize(n int) int { return min(max(n, 16), 1024) }

func (p *Policy) link(client, server *host, s *service, barren bool) *link {
	l := p.linkBetween(client, server, s)
	if l != nil {
		return l
	}
	if len(p.lines) >= maxLinks {
		p.full.Links++
		return nil
	}
	if barren {
		p.barren++
	}
	if len(p.slab) == 0 {
		p.slab = make([]link, slabSize(len(p.lines)))
	}
	l = &p.slab[0]
	p.slab = p.slab[1:]
	l.client, l.server, l.service = client, server, s
	p.links.add(hashLink(client, server, s, p.seed), len(p.lines))
	p.lines = push(p.lines, l)
	client.asClient = push(client.asClient, l)
	server.asServer = push(server.asServer, l)
	if !slices.Contains(server.serves, s) {
		server.serves = append(server.serves, s)
		server.busy = append(server.busy, 0)
	}
	return l
}

func (l *link) count(f *flows.Flow) {
	l.flows++
	if looksOnly(f) {
		l.looked++
	}
	if unread(f) {
		l.unread = true
	} else if f.Payload.Sum() > 0 {
		l.read = true
	}
}

// unread says whether the captures lack what would tell what a connection is.
func unread(f *flows.Flow) bool {
	t := &f.TCP
	return f.Proto == flows.ProtoTCP && (f.App == "" || f.AppBasis == dissect.ByPort) &&
		(incomplete(f) || f.OneSided() || late(f) && t.ResetBy != flows.ResetByServer)
}

// looksOnly says whether the client opened a connection, was let in, said nothing and
// went: so do monitors, load balancers and scanners, and no client of the port's own.
func looksOnly(f *flows.Flow) bool {
	t := &f.TCP
	return f.Proto == flows.ProtoTCP && t.SYNs > 0 && t.SYNACKs > 0 && f.Payload[0] == 0 && !incomplete(f) &&
		(t.ResetBy == flows.ResetByClient || f.Ended == flows.Closed && t.Acked)
}

// see keeps what f shows of the link.
func (l *link) see(f *flows.Flow) {
	if l.frame == 0 {
		l.frame = f.Frame
	}
	l.count(f)
	l.opened++
	l.answered = l.answered || f.Payload[1] > 0
	unproven := turnedAway(f)
	for i := range l.service.edges {
		e := &l.service.edges[i]
		bit := uint64(1) << i
		g, frame := e.grade(f)
		l.admitted = l.admitted || g >= spoke && !unproven
		switch g {
		case met:
			if l.meets == 0 {
				l.proof = frame
			}
			l.meets |= bit
			l.speaks |= bit
		case spoke:
			if l.speaks == 0 {
				l.proof = frame
			}
			l.speaks |= bit
		case wrong:
			l.against |= bit
		}
	}
}

// grade says how much of what an edge requires was seen to hold.
func (c *candidate) grade(f *flows.Flow) (grade, pcaps.FrameID) {
	best, proof := met, f.Frame
	if len(c.require) == 0 {
		// Nothing is required: to be answered is all there is.
		if f.Payload[1] > 0 {
			return met, proof
		}
		return opened, proof
	}
	for i := range c.require {
		r := &c.require[i]
		s, _, frame := r.check(f)
		if frame != 0 {
			proof = frame
		}
		switch {
		case s == Contradicted && r.app:
			return wrong, frame
		case s == Unseen && r.app:
			return opened, proof
		case s == Contradicted, s == Unseen:
			best = spoke
		}
	}
	if best == met && !handshakeDone(f) {
		best = spoke
	}
	return best, proof
}

// handshakeDone says whether the flow got past its handshake, for the
// protocols that have one.
func handshakeDone(f *flows.Flow) bool {
	switch f.App {
	case "tls", "quic", "dtls":
		return f.Facts.Text(dissect.TLSHandshake) == "complete" && f.Facts.Text(dissect.TLSRefused) == ""
	case "zmtp":
		return f.Facts.Text(dissect.ZMTPHandshake) == "complete"
	}
	return true
}

// turnedAway says whether a TLS handshake ended before the client had shown who it
// is: it had no certificate for a server that wanted one and was not seen to be let
// in, or one of the two broke off. A look whether the port answers is all that this
// proves of the client.
func turnedAway(f *flows.Flow) bool {
	switch f.Facts.Text(dissect.TLSClientCert) {
	case "present":
		return false
	case "empty":
		return !f.Facts.Has(dissect.TLSClientCertAccepted)
	case "absent":
		if f.Facts.Has(dissect.TLSCertRequest) {
			return true
		}
	}
	refused, _, _ := tlsRefused(f)
	return refused
}

// learnPort keeps a source port of a connection that was answered. Ports that
// the edge allows beside the dynamic ones say nothing of the host's range.
func (p *Policy) learnPort(h *host, s *service, port uint16) {
	if s != nil {
		for i := range s.edges {
			if inRanges(s.edges[i].SourcePorts, port) {
				return
			}
		}
	}
	if h.inside+h.beside == 0 || port < h.low {
		h.low = port
	}
	h.high = max(h.high, port)
	switch {
	case inRanges(p.dynamic, port):
		h.inside++
	case port >= 1024:
		if h.beside == 0 || port < h.besideLow {
			h.besideLow = port
		}
		h.besideTop = max(h.besideTop, port)
		h.beside++
	}
}

func inRanges(list []PortRange, port uint16) bool {
	for _, r := range list {
		if r.Contains(port) {
			return true
		}
	}
	return false
}

// learnedRange is the range of source ports that a host was seen to use
// outside the diagram's, when it uses it most of the time.
func (h *host) learnedRange() (PortRange, bool) {
	return PortRange{h.besideLow, h.besideTop}, h.beside >= 8 && h.beside > h.inside
}

// dynamicFor says whether port is a dynamic one of h, which may be nil. own is
// the range that the inventory gives the host.
func (p *Policy) dynamicFor(h *host, own []PortRange, port uint16) bool {
	if inRanges(p.dynamic, port) || inRanges(own, port) {
		return true
	}
	if h != nil {
		if r, ok := h.learnedRange(); ok && r.Contains(port) {
			return true
		}
	}
	return false
}

// listensDynamically says whether port, on which h was called, lies in the
// range that its system takes ports from: its own by the inventory, else the
// narrowest of the diagram's that holds the source ports that h was seen to
// use, else the first.
func (p *Policy) listensDynamically(h *host, own []PortRange, port uint16) bool {
	if len(own) > 0 {
		return inRanges(own, port)
	}
	if h != nil && h.inside > 0 {
		best, found := PortRange{}, false
		for _, r := range p.dynamic {
			if r.Contains(h.low) && r.Contains(h.high) && (!found || r.High-r.Low < best.High-best.Low) {
				best, found = r, true
			}
		}
		if found {
			return best.Contains(port)
		}
	}
	return p.dynamic[0].Contains(port)
}

// Settle decides the roles from what has been observed so far. It may be
// called again after more was observed.
func (p *Policy) Settle() {
	p.settled = true
	for _, h := range p.order {
		p.applyInventory(h)
	}
	p.countClients()
	// Servers make clients known and clients servers; the rounds end when
	// nothing changes, and at the latest where evidence cannot reach further.
	for round := range 8 {
		before := p.snapshot()
		for _, h := range p.order {
			h.clues = h.clues[:0]
			h.alike = 0
		}
		for _, h := range p.order {
			p.judgeNames(h, round == 0)
			p.judgeServer(h)
		}
		for _, h := range p.order {
			p.judgeClient(h)
		}
		changed := false
		for i, h := range p.order {
			if !h.pinned {
				if h.roles = p.rolesOf(h) &^ h.never; h.roles == 0 {
					h.roles = h.remembered &^ h.never
				}
			}
			changed = changed || h.roles != before[i]
		}
		p.findOwn()
		if !changed {
			break
		}
	}
	p.known, p.found = addressSet{}, 0
	for _, pin := range p.inv.Hosts() {
		for _, c := range pin.Roles {
			p.found |= p.bits(c)
		}
	}
	for _, h := range p.order {
		if h.roles != 0 {
			p.known.add(h.addr)
		}
		p.found |= h.roles
		p.judgeAlike(h)
		p.judgeUnread(h)
	}
}

// judgeUnread finds further components of the site that a host may be: those whose
// port it was called at, where nothing of that could be read.
func (p *Policy) judgeUnread(h *host) {
	if h.pinned {
		return
	}
	for _, s := range h.serves {
		if s.common || s.port == 0 {
			continue
		}
		some, read := false, false
		for _, l := range h.asServer {
			if l.service == s {
				some, read = some || l.unread, read || l.read
			}
		}
		if some && !read {
			h.alike |= s.inside(p.external) &^ (h.roles | h.never)
		}
	}
}

// judgeAlike finds components outside that a host with a public address may be
// instead of the one of the site that it was taken for: all that speaks for that
// one is what it answers where those serve as well, and it has no name.
func (p *Policy) judgeAlike(h *host) {
	if h.pinned || h.roles&^p.external == 0 || h.roles&p.external != 0 || !isOutside(h.addr) ||
		p.own[network(h.addr)] || len(p.names.of[h.addr]) > 0 {
		return
	}
	alike := p.external &^ h.never
	for i := range h.clues {
		c := &h.clues[i]
		if !h.roles.has(int(c.part)) {
			continue
		}
		if c.service == nil || c.kind != answersAt && c.kind != calledBy {
			return
		}
		var there mask
		for j := range c.service.edges {
			there |= c.service.edges[j].outside
		}
		alike &= there
	}
	h.alike |= alike
}

// countClients counts who opened what each host serves, and how many hosts serve what.
func (p *Policy) countClients() {
	for _, h := range p.order {
		clear(h.busy)
	}
	for _, l := range p.lines {
		if l.opened > 0 && !p.probes.scans(l.client.addr) {
			l.server.busy[slices.Index(l.server.serves, l.service)]++
		}
	}
	p.calledAt = slices.Grow(p.calledAt[:0], len(p.services))[:len(p.services)]
	clear(p.calledAt)
	for _, h := range p.order {
		for i, s := range h.serves {
			if h.busy[i] > 0 {
				p.calledAt[s.index]++
			}
		}
	}
}

// clientsAt is how many hosts opened s of h.
func (h *host) clientsAt(s *service) int {
	if i := slices.Index(h.serves, s); i >= 0 {
		return h.busy[i]
	}
	return 0
}

func (p *Policy) snapshot() []mask {
	s := make([]mask, len(p.order))
	for i, h := range p.order {
		s[i] = h.roles
	}
	return s
}

func (p *Policy) applyInventory(h *host) {
	h.pin, h.listed, h.pinned = &unlisted, false, false
	if p.inv != nil {
		if pin := p.inv.Host(h.addr, p.names.all(h.addr)); pin != nil {
			h.pin, h.listed, h.pinned = pin, true, pin.Pinned
		}
	}
	h.never = 0
	if !h.pinned {
		for _, c := range h.pin.NotRoles {
			h.never |= p.bits(c)
		}
		return
	}
	h.roles = 0
	for _, c := range h.pin.Roles {
		h.roles |= p.bits(c)
	}
}

// bits is the component as a mask. It is found by its id, because an inventory
// may have been read beside another copy of the diagram.
func (p *Policy) bits(c *Component) mask {
	for i := range p.parts {
		if p.parts[i].Component == c || p.parts[i].ID == c.ID {
			return 1 << i
		}
	}
	return 0
}

// rolesOf is every component whose clues together pass the threshold.
func (p *Policy) rolesOf(h *host) mask {
	var all, m mask
	for i := range h.clues {
		all |= 1 << h.clues[i].part
	}
	for ; all != 0; all &= all - 1 {
		bit := bits.TrailingZeros64(uint64(all))
		if h.confidence(bit) >= roleThreshold {
			m |= 1 << bit
		}
	}
	// The special kind stands for the general one as well.
	for i := range p.parts {
		if !m.has(i) {
			continue
		}
		for j := range p.parts {
			if i != j && m.has(j) && p.parts[i].Is(p.parts[j].Component) {
				m &^= 1 << j
			}
		}
	}
	return m
}

// confidence joins the clues for one component as independent observations.
func (h *host) confidence(bit int) float64 {
	doubt := 1.0
	for i := range h.clues {
		if c := &h.clues[i]; int(c.part) == bit {
			doubt *= 1 - c.weight
		}
	}
	return 1 - doubt
}

func (h *host) clue(c clue) { h.clues = append(h.clues, c) }
