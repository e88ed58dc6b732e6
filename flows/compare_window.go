package flows

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"wirechart/dissect"
)

// When each place was recorded: from when until when, and which times between
// its capture lacks.

// Hole is a time of which a capture has not one frame, while the other one has
// packets that were on their way past it.
type Hole struct {
	From, Until int64  // the frames before and after, by the clock of the place
	Packets     uint64 // so many of those packets, about
	Flows       uint64
	Proven      bool // some of them must have passed: it is the capture that lacks them
}

// What makes a time without frames a hole.
const (
	provenPackets = 3 // so many packets, one of which must have passed; or
	quietFlows    = 2 // packets of so many flows that had crossed before or crossed after,
	quietPackets  = 6 // so many of them,
	quietShare    = 0.9
	// of what these flows lost about that time: a path that stands still shows
	// frames of its far side meanwhile.
)

// setWindows finds from when until when each place was recorded. Of a place
// where little passes the last packet does not say when the recording ended. It
// ended before the other's when the other saw what must have passed here. A
// program that is stopped may lose what it was not yet given (tcpdump: up to a
// second): where the ends are that near to each other, the earlier one is an end.
func (c *comparer) setWindows() {
	for side := range 2 {
		here, there := &c.Places[side], &c.Places[Side(side).Other()]
		c.from[side], c.until[side] = math.MinInt64/2, math.MaxInt64/2
		c.lastSeen[side] = math.MaxInt64 / 2
		if here.Frames == 0 || there.Frames == 0 {
			continue
		}
		ran := c.options.Ran[side]
		begin, end := min(here.First, cmp.Or(ran[0], here.First)), max(here.Last, ran[1])
		first, last := c.passed(Side(side))
		theirFirst, theirLast := c.convert(Side(side).Other(), there.First), c.convert(Side(side).Other(), there.Last)
		c.lastSeen[side] = end
		switch {
		case c.options.Ended[side] || last > end:
			c.until[side] = end - margin/2
			here.Ended = theirLast > end+margin
		case theirLast <= end+margin:
			c.until[side] = end
		}
		if first < begin {
			c.from[side] = begin + margin/2
			here.Began = theirFirst < begin-margin
		}
	}
}

// crossers are the servers whose flows are seen to cross, as a side shows them:
// those ports, and where the address is not translated, the address.
type crossers map[netip.AddrPort]bool

func (c *comparer) crossers(side Side) crossers {
	list := crossers{}
	for _, x := range c.joined {
		if x.Basis == ByAddressing || x.opened {
			continue
		}
		server := x.Seen[side].Server
		list[server] = true
		if server.Addr() == x.Seen[side.Other()].Server.Addr() {
			list[netip.AddrPortFrom(server.Addr(), 0)] = true // for address
		}
	}
	return list
}

func (l crossers) address(a netip.Addr) bool { return l[netip.AddrPortFrom(a, 0)] }

// spoken are the flows of a side alone in which both ends speak, other than by a
// reset, and which were on their way across.
func (c *comparer) spoken(side Side) (list []int) {
	for i, p := range c.lists[side] {
		if !c.taken[side][i] && p.Last[0].Frame != 0 && p.Last[1].Frame != 0 && c.heads(side, p) != local {
			list = append(list, i)
		}
	}
	return list
}

// manyServers is so many that hardly all of them are between.
const manyServers = 3

// passed is when the first and the last packet passed a place, by its clock, of
// which the other place knows.
func (c *comparer) passed(here Side) (first, last int64) {
	there := here.Other()
	first, last = math.MaxInt64, math.MinInt64
	note := func(from, until int64) {
		first, last = min(first, c.convert(there, from)), max(last, c.convert(there, until))
	}
	// Where both ends of a flow speak, what the one says passed here, unless
	// something between speaks in its place: hardly where other flows to its
	// address cross, or for many servers.
	cross := c.crossing[there]
	spoken := c.spoken(there)
	servers := map[netip.Addr]bool{}
	for _, i := range spoken {
		servers[c.lists[there][i].Server.Addr()] = true
	}
	for _, i := range spoken {
		p := c.lists[there][i]
		if cross[p.Server] || cross.address(p.Server.Addr()) || len(servers) >= manyServers {
			note(max(p.First[0].Time, p.First[1].Time)+margin, min(p.Last[0].Time, p.Last[1].Time)-margin)
		}
	}
	for _, x := range c.joined {
		if x.Basis == ByAddressing || x.opened {
			continue
		}
		for d := range dissect.Dir(2) {
			if x.from(d) == there {
				continue
			}
			if p := x.Seen[there]; p.Last[d].Frame != 0 && len(x.dirs[d].meetings) > 0 {
				note(p.First[d].Time+margin, p.Last[d].Time-margin)
			}
			for _, i := range x.dirs[d].lone[there] {
				if k := &x.dirs[d].marks[there][i]; k.flags&flagRST == 0 {
					note(k.time, k.time)
				}
			}
		}
	}
	return first, last
}

// convert is a time of a side by the clock of the other one.
func (c *comparer) convert(from Side, t int64) int64 {
	if from == Inside {
		return t + c.Clock.at(t)
	}
	return t - c.Clock.at(t-c.Clock.Offset)
}

// recorded says whether the other side was recorded at a time of a side, and
// has no hole there.
func (c *comparer) recorded(side Side, t int64) bool {
	return c.running(side, t) && c.hole(side, t) == nil
}

// running says whether a time of a side lies between beginning and end of the
// other one's recording.
func (c *comparer) running(side Side, t int64) bool {
	o := side.Other()
	t = c.convert(side, t)
	return t >= c.from[o] && t <= c.until[o]
}

// hole is where the capture of the other side has a hole at a time of a side,
// the time that packets take between included.
func (c *comparer) hole(side Side, t int64) *Hole {
	o := side.Other()
	return c.holeWithin(o, c.convert(side, t), c.convert(side, t))
}

// holeWithin is the first hole of a side between two times by its own clock.
func (c *comparer) holeWithin(side Side, from, until int64) *Hole {
	list := c.Places[side].Holes
	i, _ := slices.BinarySearchFunc(list, from, func(h Hole, t int64) int {
		if h.Until+c.slack < t {
			return -1
		}
		return 1
	})
	if i < len(list) && list[i].From-c.slack <= until {
		return &list[i]
	}
	return nil
}

// silent says whether the other side has no frame from the beginning of a flow to
// the end of its answers.
func (c *comparer) silent(side Side, p *Passage) bool {
	from, until := c.convert(side, p.Start), c.convert(side, p.Last[ToClient].Time)
	list := c.quiet[side.Other()]
	i, _ := slices.BinarySearchFunc(list, from, func(q interval, t int64) int { return cmp.Compare(q.high, t) })
	return i < len(list) && list[i].low < from && until < list[i].high
}

// quietEvent is a packet that is seen at one place alone, by the clock of the other.
type quietEvent struct {
	at     int64
	flow   int
	proven bool
	weight uint64 // packets for which it stands, as one of a sample
}

// findHoles finds the times at which a capture lacks whatever passed.
func (c *comparer) findHoles() {
	var longest int64
	for travel := range 2 {
		var list []int64
		for _, x := range c.joined {
			list = append(list, x.delays(c, dissect.Dir(int(x.Client)^travel))...)
		}
		longest = max(longest, delayOf(list).P95)
	}
	c.slack = min(max(longest, c.Clock.Error)+second/1000, second/2)
	for side := range Side(2) {
		c.Places[side].Holes = c.holesOf(side)
	}
}

// holesOf finds the holes of a capture among the times at which it is quiet.
func (c *comparer) holesOf(here Side) (holes []Hole) {
	events := c.missedAt(here)
	// As much in a row as the capture lacks by chance is no hole.
	met, lacks := 0.0, 0.0
	for _, x := range c.joined {
		met += float64(len(x.dirs[0].meetings) + len(x.dirs[1].meetings))
	}
	for _, e := range events {
		if e.proven {
			lacks++
		}
	}
	rate := lacks / max(met+lacks, 1)
	for _, q := range c.quiet[here] {
		if h, is := c.holeIn(here, q, events, rate); is {
			holes = append(holes, h)
		}
	}
	return holes
}

// missedAt is what a capture lacks of what the other one has, in the order of its
// own clock.
func (c *comparer) missedAt(here Side) []quietEvent {
	there := here.Other()
	var events []quietEvent
	note := func(t int64, flow int, proven bool, weight uint64) {
		if c.running(there, t) {
			events = append(events, quietEvent{c.convert(there, t), flow, proven, weight})
		}
	}
	for n, x := range c.joined {
		if x.opened {
			continue
		}
		for d := range dissect.Dir(2) {
			m := &x.dirs[d]
			if c.blind(here, x, d) {
				continue
			}
			comes := x.to(d) == there // from here
			for _, i := range m.lone[there] {
				k := &m.marks[there][i]
				edge := i < len(x.Seen[there].track[d].opening) || i >= len(m.marks[there])-m.tail[there]
				weight := uint64(1)
				switch {
				case k.flags&flagRST != 0:
					continue
				case m.complete(), edge && c.kept(x, m, here, c.convert(there, k.time)):
				case k.sampled(m.shift) && !edge:
					weight = 1 << m.shift
				case !k.sampled(m.shift):
					continue
				}
				note(k.time, n, comes || x.arrived(d, here, k), weight)
			}
		}
	}
	// Flows that the place has not at all, of services that cross.
	cross, blind := c.crossing[there], c.Places[here].Blind != [2]bool{}
	for _, i := range c.spoken(there) {
		p := c.lists[there][i]
		if !cross[p.Server] || blind {
			continue
		}
		for d := range p.track {
			for _, part := range p.track[d].parts() {
				for _, k := range part {
					note(k.time, -1-i, k.flags&flagRST == 0, 1)
				}
			}
		}
	}
	slices.SortFunc(events, func(a, b quietEvent) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.flow, b.flow)) })
	return events
}

// holeIn says whether a time at which the capture is quiet is a hole, by what it
// lacks then; rate is the share of packets that it lacks at any time.
func (c *comparer) holeIn(here Side, q interval, events []quietEvent, rate float64) (Hole, bool) {
	h := Hole{From: q.low, Until: q.high}
	losers := map[int]bool{}
	for _, e := range within(events, q.low, q.high) {
		h.Packets += e.weight
		h.Proven = h.Proven || e.proven
		losers[e.flow] = true
	}
	h.Flows = uint64(len(losers))
	if h.Packets < provenPackets || math.Pow(rate, float64(h.Packets)) > maxChance {
		return h, false
	}
	if h.Proven {
		return h, true
	}
	about, resumes := uint64(0), false
	for _, e := range within(events, q.low-second, q.high+second) {
		if losers[e.flow] {
			about += e.weight
		}
	}
	for n := range losers {
		resumes = resumes || n >= 0 && c.joined[n].meetsAfter(here, q.high)
	}
	return h, h.Flows >= quietFlows && h.Packets >= quietPackets && float64(h.Packets) >= quietShare*float64(about) && resumes
}

// within is the part of a list in order that lies between two times.
func within(list []quietEvent, from, until int64) []quietEvent {
	at := func(t int64) int {
		n, _ := slices.BinarySearchFunc(list, t, func(e quietEvent, t int64) int { return cmp.Compare(e.at, t) })
		return n
	}
	return list[at(from):at(until)]
}

// meetsAfter says whether a packet was seen at both places at a time of a side, or later.
func (x *Crossing) meetsAfter(side Side, t int64) bool {
	for d := range x.dirs {
		for _, k := range x.dirs[d].meetings {
			if side == Inside && k.in >= t || side == Outside && k.out >= t {
				return true
			}
		}
	}
	return false
}
