package rules

import (
	"maps"
	"net/netip"
	"slices"
)

// A run that does not end asks again and again what the audit would be if it
// ended now: what was settled for good stays in one Policy and one Tally, and
// copies of them take in the flows at hand, are looked at and thrown away.

// Clone returns a Policy that knows what p knows; what either learns from then
// on, the other does not. They share what Compile made, which never changes.
func (p *Policy) Clone() *Policy {
	c := *p
	c.hosts.slots, c.links.slots = slices.Clone(p.hosts.slots), slices.Clone(p.links.slots)
	c.rooms, c.slab = nil, nil
	c.called, c.left, c.calledAt, c.trial, c.ttlWords = nil, nil, nil, Verdict{}, nil

	links := make([]link, len(p.lines))
	c.order, c.lines = make([]*host, 0, len(p.order)), make([]*link, len(p.lines))
	for _, h := range p.order {
		x := c.newHost()
		*x = *h
		x.goesBy, x.clues = slices.Clone(h.goesBy), slices.Clone(h.clues)
		x.serves, x.busy = slices.Clone(h.serves), slices.Clone(h.busy)
		x.asClient, x.asServer = make([]*link, 0, len(h.asClient)), make([]*link, 0, len(h.asServer))
		c.order = append(c.order, x)
	}
	for i, l := range p.lines { // the lists of a host are in this order, too
		x := &links[i]
		*x = *l
		x.client, x.server = c.order[l.client.number], c.order[l.server.number]
		x.client.asClient = append(x.client.asClient, x)
		x.server.asServer = append(x.server.asServer, x)
		c.lines[i] = x
	}
	c.mapped = cloneLists(p.mapped)
	c.names.answered, c.names.of = maps.Clone(p.names.answered), cloneLists(p.names.of)
	c.names.gave = slices.Clone(p.names.gave)
	for i, list := range c.names.gave {
		c.names.gave[i] = slices.Clip(list)
	}
	c.probes.slots = slices.Clone(p.probes.slots)
	c.probes.scanners = maps.Clone(p.probes.scanners)
	for addr, s := range c.probes.scanners {
		n := *s
		c.probes.scanners[addr] = &n
	}
	c.translated.recent, c.translated.pairs = slices.Clone(p.translated.recent), maps.Clone(p.translated.pairs)
	c.translated.names = slices.Clone(p.translated.names)
	for i := range c.translated.names {
		c.translated.names[i].own = slices.Clip(c.translated.names[i].own)
	}
	c.sessions.at.slots, c.sessions.list = slices.Clone(p.sessions.at.slots), slices.Clone(p.sessions.list)
	return &c
}

// cloneLists copies a map whose lists only ever grow: what stands in one stays,
// and what is added to the copy finds no room behind it.
func cloneLists[K comparable, V any](m map[K][]V) map[K][]V {
	c := maps.Clone(m)
	for k, list := range c {
		c[k] = slices.Clip(list)
	}
	return c
}

// Clone returns a Tally of p, a Clone of t's Policy, that has counted what t
// has; what either counts from then on, the other does not.
func (t *Tally) Clone(p *Policy) *Tally {
	c := *t
	c.p = p
	c.pairs = make(pairBook, len(t.pairs))
	c.edges = slices.Clone(t.edges)
	for i := range c.edges {
		c.clonePairs(&c.edges[i].pairs)
	}
	c.clonePairs(&c.ambient)
	c.clonePairs(&c.others)
	c.counted, c.detail = nil, nil // of the detail of every flow there is one, at the end
	c.crowds = maps.Clone(t.crowds)
	c.order = make([]*group, len(t.order))
	c.groups = make(map[groupKey]*group, len(t.groups))
	groups := make([]group, len(t.order))
	for i, g := range t.order {
		x := &groups[i]
		*x = *g
		x.clients, x.servers, x.carried = slices.Clip(g.clients), slices.Clip(g.servers), slices.Clip(g.carried)
		c.clonePairs(&x.pairs)
		c.order[i], c.groups[x.key] = x, x
	}
	c.chooserOrder = make([]*chooser, len(t.chooserOrder))
	if t.choosers != nil {
		c.choosers = make(map[netip.Addr]*chooser, len(t.choosers))
	}
	for i, h := range t.chooserOrder {
		x := *h
		x.pinged, x.called = slices.Clone(h.pinged), slices.Clone(h.called)
		c.chooserOrder[i], c.choosers[x.client] = &x, &x
	}
	return &c
}

// clonePairs makes a list, copied as it is from another Tally, one of t.
func (t *Tally) clonePairs(of *pairList) {
	of.list = slices.Clone(of.list)
	for i, p := range of.list {
		x := *p
		of.list[i] = &x
		t.pairs[pairKey{of, x.Client, x.Server, x.Proto, x.Port}] = &x
	}
}

// At says that the flows are looked at at a time, nanoseconds, by the clock of
// the packets, rather than at the end of the last of them: what was due by then
// and did not come is missing.
func (p *Policy) At(now int64) { p.last = now }
