package rules

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Choice is how one client chose among servers by ping: those it sent echoes to
// along an edge of the diagram, and the one that it then called over TLS along
// another edge between the same components.
type Choice struct {
	Client netip.Addr
	Name   string
	Edge   *Edge      // that of the echoes
	Pinged []Pinged   // the fastest first, those that never answered last
	Used   netip.Addr // called over TLS after the first echo, with the most bytes; invalid for none
	Called string     // the name by which it was called, "" for none
	Frame  pcaps.FrameID
	Bytes  uint64 // exchanged with it, on the wire
	// Closest says that no server that was pinged answered faster than the one
	// used, by more than what two echoes differ by; Behind is how much faster
	// one did, nanoseconds. Known says that the one used answered at all.
	Known, Closest bool
	Behind         int64
}

// Pinged is one server that was sent echoes.
type Pinged struct {
	Server netip.Addr
	Name   string
	RTT    int64 // the least, nanoseconds; 0 for no answer
	Sent   uint64
	Frame  pcaps.FrameID // the first echo
}

// The bounds of what is kept of choices.
const (
	maxChoosers = 256 // clients
	maxChoice   = 32  // servers of one client, pinged or called
)

// sameDistance is the difference of two times that says nothing of distance,
// nanoseconds.
const sameDistance = 1_000_000

// chooser is a client that sent echoes along an edge, or called one of the
// servers of such an edge.
type chooser struct {
	client netip.Addr
	edge   *edge // nil as long as no echo was sent
	first  int64 // time of the first echo
	pinged []Pinged
	called []calledServer
}

// calledServer is a server that was called over TLS, in one connection.
type calledServer struct {
	server netip.Addr
	name   string
	start  int64
	frame  pcaps.FrameID
	bytes  uint64
}

// choose notes an echo along an edge to the world outside, or a call to the
// same component over TLS.
func (t *Tally) choose(f *flows.Flow, v *Verdict, bytes uint64) {
	e := t.p.edgeOf(v.Edge)
	if e == nil || e.outside == 0 {
		return
	}
	echo := f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6
	if !echo && (f.Proto != flows.ProtoTCP || !e.wantsTLS || !spoken(f) || !t.p.pingedToo(e)) {
		return
	}
	c := t.choosers[f.Client.Addr()]
	if c == nil {
		if len(t.choosers) >= maxChoosers {
			t.unchosen = true
			return
		}
		c = &chooser{client: f.Client.Addr()}
		if t.choosers == nil {
			t.choosers = make(map[netip.Addr]*chooser)
		}
		t.choosers[c.client] = c
		t.chooserOrder = append(t.chooserOrder, c)
	}
	if !echo {
		t.unchosen = !c.call(f, bytes) || t.unchosen
		return
	}
	if c.edge == nil || f.Start < c.first {
		c.first = f.Start
	}
	c.edge = e
	i := slices.IndexFunc(c.pinged, func(p Pinged) bool { return p.Server == f.Server.Addr() })
	if i < 0 {
		if len(c.pinged) >= maxChoice {
			t.unchosen = true
			return
		}
		i = len(c.pinged)
		c.pinged = append(c.pinged, Pinged{Server: f.Server.Addr(), Frame: f.Frame})
	}
	p := &c.pinged[i]
	p.Sent += f.Packets[0] - f.Duplicate[0]
	if rtt, ok := f.Facts.Get(dissect.ICMPRTT); ok && (p.RTT == 0 || rtt.Num < p.RTT) {
		p.RTT = max(rtt.Num, 1)
	}
}

// spoken says whether data went both ways, or the way that was captured.
func spoken(f *flows.Flow) bool {
	return f.Payload[0] > 0 && f.Payload[1] > 0 || f.OneSided() && f.Payload.Sum() > 0
}

// pingedToo says whether an edge of echoes joins the same components as e.
func (p *Policy) pingedToo(e *edge) bool {
	for i := range p.edges {
		x := &p.edges[i]
		for j := range x.Over {
			echo := x.Over[j].Proto == flows.ProtoICMP || x.Over[j].Proto == flows.ProtoICMPv6
			if echo && x.from&e.from != 0 && x.outside&e.outside != 0 {
				return true
			}
		}
	}
	return false
}

// call notes a connection over TLS, false when there is no room for one that
// counts. Only those behind the first echo will, and that may come late: until
// then the latest are kept.
func (c *chooser) call(f *flows.Flow, bytes uint64) bool {
	name, _ := serverName(f)
	for i := range c.called {
		if x := &c.called[i]; x.server == f.Server.Addr() && x.name == name && (x.start >= c.first) == (f.Start >= c.first) && c.edge != nil {
			x.bytes += bytes
			return true
		}
	}
	if len(c.called) >= maxChoice {
		oldest := 0
		for i := range c.called {
			if c.called[i].start < c.called[oldest].start {
				oldest = i
			}
		}
		start := c.called[oldest].start
		if start >= f.Start || c.edge != nil && start >= c.first {
			return c.edge == nil || f.Start < c.first
		}
		c.called = slices.Delete(c.called, oldest, oldest+1)
	}
	c.called = append(c.called, calledServer{f.Server.Addr(), name, f.Start, f.Frame, bytes})
	return true
}

// choices lists the clients that pinged more than one server, in the order in
// which they were met.
func (t *Tally) choices() []Choice {
	var list []Choice
	for _, c := range t.chooserOrder {
		if c.edge == nil || len(c.pinged) < 2 {
			continue
		}
		x := Choice{Client: c.client, Name: t.p.nameOf(c.client), Edge: c.edge.Edge, Pinged: slices.Clone(c.pinged)}
		for i := range x.Pinged {
			x.Pinged[i].Name = t.p.nameOf(x.Pinged[i].Server)
		}
		slices.SortStableFunc(x.Pinged, func(a, b Pinged) int {
			if (a.RTT == 0) != (b.RTT == 0) {
				return cmp.Compare(b.RTT, a.RTT)
			}
			return cmp.Or(cmp.Compare(a.RTT, b.RTT), a.Server.Compare(b.Server))
		})
		var best *calledServer
		total := map[netip.Addr]uint64{}
		for i := range c.called {
			if u := &c.called[i]; u.start >= c.first {
				total[u.server] += u.bytes
			}
		}
		// One that was pinged comes before one that was not: the names that all
		// clients call, whichever data centre they use, are of the latter kind.
		worth := func(u *calledServer) uint64 {
			n := bits.Len64(total[u.server])
			if slices.ContainsFunc(x.Pinged, func(p Pinged) bool { return p.Server == u.server }) {
				n += 64
			}
			return uint64(n)<<56 | total[u.server]>>8
		}
		for i := range c.called {
			if u := &c.called[i]; u.start >= c.first && (best == nil || worth(u) > worth(best)) {
				best = u
			}
		}
		if best != nil {
			x.Used, x.Called, x.Frame, x.Bytes = best.server, best.name, best.frame, total[best.server]
			for _, p := range x.Pinged {
				if p.Server == best.server && p.RTT > 0 {
					x.Known = true
					x.Behind = p.RTT - x.Pinged[0].RTT
					x.Closest = x.Behind <= sameDistance
				}
			}
		}
		list = append(list, x)
	}
	return list
}
