package flows

import (
	"cmp"

	"wirechart/dissect"
)

// How a Comparison finds out on which side hosts are, and which way packets go.

// learnSides finds out which MAC addresses lead across and on which side each
// address is, from the flows of which it is known, and then where the clients
// of the others are.
func (c *comparer) learnSides() {
	c.ttls = map[arrival]bool{}
	for side := range 2 {
		c.far[side], c.sideOf[side] = map[MAC]bool{}, map[address]int{}
	}
	for _, x := range c.joined {
		if x.decideClient() {
			c.voteSides(x)
		}
	}
	hops := map[int]int{}
	c.SameWire = c.Packets > 0
	for _, x := range c.joined {
		if !x.sure {
			x.Client = c.likelyClient(x)
		}
		for d := range 2 {
			if len(x.dirs[d].meetings) == 0 {
				continue
			}
			c.learnPath(x, dissect.Dir(d))
			in, out := x.Seen[Inside], x.Seen[Outside]
			c.SameWire = c.SameWire && in.TTL[d] == out.TTL[d] && in.mac[d] == out.mac[d]
			from := x.from(dissect.Dir(d))
			if a, b := x.Seen[from].TTL[d], x.Seen[from.Other()].TTL[d]; a > 0 && b > 0 {
				x.Hops = int(a) - int(b)
				hops[x.Hops]++
			}
		}
	}
	best := 0
	for h, n := range hops {
		if n > best || n == best && h < c.Hops {
			c.Hops, best = h, n
		}
	}
}

// voteSides counts the ends of a flow whose client is known for their sides, as
// each place shows their addresses.
func (c *comparer) voteSides(x *Crossing) {
	for side, p := range x.Seen {
		n := 1
		if x.Client != Side(side) {
			n = -1
		}
		c.sideOf[side][addressOf(p.Client.Addr())] += n
		c.sideOf[side][addressOf(p.Server.Addr())] -= n
	}
}

// likelyClient is the side on which the client of a flow probably is: by what is
// known of the addresses of both ends, else by which place saw more packets, as
// what only one place saw was on its way to the other.
func (c *comparer) likelyClient(x *Crossing) Side {
	n := 0 // above 0 inside, below outside
	for side, p := range x.Seen {
		sign := 1 - 2*side
		n += sign * (c.sideOf[side][addressOf(p.Client.Addr())] - c.sideOf[side][addressOf(p.Server.Addr())])
	}
	if n == 0 {
		for d := range 2 {
			n += (1 - 2*d) * cmp.Compare(x.Seen[Inside].Packets[d], x.Seen[Outside].Packets[d])
		}
	}
	if n < 0 {
		return Outside
	}
	return Inside
}

// learnPath notes the MAC addresses between which packets of a direction crossed,
// and the TTLs with which they arrived.
func (c *comparer) learnPath(x *Crossing, d dissect.Dir) {
	from := x.from(d)
	to := from.Other()
	sent, arrived := x.Seen[from], x.Seen[to]
	if m := sent.mac[d]; m != (macs{}) {
		c.far[from][m.dst] = true
	}
	if m := arrived.mac[d]; m != (macs{}) {
		c.far[to][m.src] = true
	}
	for _, ttl := range [...]uint8{arrived.TTL[d], arrived.Reset[d].TTL} {
		if ttl != 0 && (ttl != arrived.Reset[d].TTL || sent.Reset[d].Frame != 0) {
			c.ttls[arrival{to, arrived.sender(d), ttl}] = true
		}
	}
}

// sender is who sends a direction.
func (p *Passage) sender(d dissect.Dir) address {
	if d == ToServer {
		return addressOf(p.Client.Addr())
	}
	return addressOf(p.Server.Addr())
}

// owned says whether the RST that a place saw coming from across has the TTL
// that packets of its sender have which were seen at the other place as well.
func (c *comparer) owned(x *Crossing, d dissect.Dir) bool {
	p := x.Seen[x.to(d)]
	return c.ttls[arrival{x.to(d), p.sender(d), p.Reset[d].TTL}]
}

// decideClient finds on which side the client is by what the flow itself shows:
// routers count TTL down, and who is nearer to the server waits less for it.
// The clocks need not be known for either.
func (x *Crossing) decideClient() bool {
	score := 0
	in, out := x.Seen[Inside], x.Seen[Outside]
	for d := range 2 {
		sign := 1 - 2*d // of what goes from inside to outside when the client is inside
		if len(x.dirs[d].meetings) > 0 && in.TTL[d] != 0 && out.TTL[d] != 0 {
			score += 4 * sign * cmp.Compare(in.TTL[d], out.TTL[d])
		} else if a, b := in.Reset[d], out.Reset[d]; a.Frame != 0 && b.Frame != 0 {
			score += 4 * sign * cmp.Compare(a.TTL, b.TTL)
		}
	}
	if there, ok := x.dirs[ToServer].median(); ok {
		if back, ok := x.dirs[ToClient].median(); ok && there != back {
			score += 2 * cmp.Compare(there, back)
		}
	}
	x.Client = Inside
	if score < 0 {
		x.Client = Outside
	}
	x.sure = score != 0
	return x.sure
}

// heading is where a flow that is seen at one place only was going.
type heading uint8

const (
	unknown heading = iota
	across
	arriving
	local
)

// heads says where the packets of a flow at one place were going, by the MAC
// addresses that lead across and by the sides of its ends.
func (c *comparer) heads(side Side, p *Passage) heading {
	d := ToServer
	if p.First[d].Frame == 0 {
		d = ToClient
	}
	turn := func(h heading) heading {
		if d == ToClient {
			switch h {
			case across:
				return arriving
			case arriving:
				return across
			}
		}
		return h
	}
	if m := p.mac[d]; m != (macs{}) && len(c.far[side]) > 0 {
		src, dst := c.far[side][m.src], c.far[side][m.dst]
		switch {
		case dst && !src:
			return turn(across)
		case src && !dst:
			return turn(arriving)
		case !src && !dst:
			return local
		}
	}
	client, server := c.sideOf[side][addressOf(p.Client.Addr())], c.sideOf[side][addressOf(p.Server.Addr())]
	switch {
	case client > 0 && server > 0:
		return local
	case client < 0 && server < 0:
		return local // beyond the other place
	case client > 0 || server < 0:
		return across
	case client < 0 || server > 0:
		return arriving
	}
	return unknown
}
