package flows

import (
	"cmp"
	"iter"
	"slices"
)

// How a Comparison finds flows of one place again at the other.

// join makes a Crossing of two passages.
func (c *comparer) join(i, j int, flip bool, basis Basis) {
	c.taken[Inside][i], c.taken[Outside][j] = true, true
	if basis == ByPayload && c.lists[Inside][i].key == c.lists[Outside][j].key {
		basis = ByAddresses
	}
	x := &Crossing{Seen: [2]*Passage{c.lists[Inside][i], c.lists[Outside][j]}, Basis: basis}
	if flip {
		// The one that saw how it began is right.
		if x.Seen[Inside].Frame != 0 && x.Seen[Inside].surely() >= x.Seen[Outside].surely() {
			x.Seen[Outside] = x.Seen[Outside].turned()
		} else {
			x.Seen[Inside] = x.Seen[Inside].turned()
		}
	}
	x.match(nil)
	c.joined = append(c.joined, x)
}

// surely says how sure client and server are.
func (p *Passage) surely() int {
	switch {
	case p.hasISN[ToServer] || p.hasISN[ToClient]:
		return 2
	case p.First[ToServer].Frame != 0 && p.First[ToClient].Frame != 0:
		return 1
	}
	return 0
}

// candidate is two passages that may be one flow.
type candidate struct {
	score, i, j int
	flip        bool
	apart       int64 // where flows are crowded: from beginning to beginning
}

// compareCandidates puts the better one first. No two of a list are equal, so
// that the order in which they were found does not matter.
func compareCandidates(a, b candidate) int {
	n := cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.apart, b.apart), cmp.Compare(a.i, b.i), cmp.Compare(a.j, b.j))
	if n != 0 || a.flip == b.flip {
		return n
	}
	if b.flip {
		return -1
	}
	return 1
}

// pick takes the best of a list, each passage once. They are still to be joined.
func (c *comparer) pick(list []candidate) (picked []candidate) {
	slices.SortFunc(list, compareCandidates)
	for _, k := range list {
		if !c.taken[Inside][k.i] && !c.taken[Outside][k.j] {
			c.taken[Inside][k.i], c.taken[Outside][k.j] = true, true
			picked = append(picked, k)
		}
	}
	return picked
}

// settleOn joins the best candidates, each passage once.
func (c *comparer) settleOn(list []candidate, basis Basis) {
	for _, k := range c.pick(list) {
		c.join(k.i, k.j, k.flip, basis)
	}
}

// alike says how much of what may be translated two passages have in common.
func alike(p, q *Passage) int {
	n := 0
	for _, same := range [...]struct {
		is     bool
		weight int
	}{
		{p.Client.Addr() == q.Client.Addr(), 2},
		{p.Client.Port() == q.Client.Port(), 2},
		{p.Server.Addr() == q.Server.Addr(), 4},
		{p.Server.Port() == q.Server.Port(), 3},
		{p.EchoID == q.EchoID, 1},
	} {
		if same.is {
			n += same.weight
		}
	}
	return n
}

// joinBySequence joins TCP flows that begin with the same numbers, the client's
// or the server's. They are random: two flows of one capture rarely share one,
// and something else must agree.
func (c *comparer) joinBySequence() {
	const bucket = 64
	var list []candidate
	for d := range 2 {
		at := map[uint32][]int{}
		for j, q := range c.lists[Outside] {
			if q.Proto == ProtoTCP && q.hasISN[d] && len(at[q.isn[d]]) < bucket {
				at[q.isn[d]] = append(at[q.isn[d]], j)
			}
		}
		for i, p := range c.lists[Inside] {
			if p.Proto != ProtoTCP || !p.hasISN[d] {
				continue
			}
			for _, j := range at[p.isn[d]] {
				q := c.lists[Outside][j]
				score := alike(p, q)
				if o := 1 - d; p.hasISN[o] && q.hasISN[o] && p.isn[o] == q.isn[o] {
					score += 32
				}
				if score >= 3 {
					list = append(list, candidate{score: score, i: i, j: j})
				}
			}
		}
	}
	c.settleOn(list, BySequence)
}

// namesakes are the flows of the same addresses and ports that are not joined yet, by
// side, in the order in which they began.
type namesakes [2][]int

// How many pairs of flows of the same addresses and ports are tried. Flows that
// keep their ports may be many (a heartbeat that pauses for longer than a flow
// lasts), and every pair of them would be too many.
const (
	allPairs = 64 * 64 // up to so many, all; beyond that flows are crowded
	nearest  = 64      // of crowded ones each is tried with so many, which began at about the same time
	bestOf   = 8       // of which so many are kept
)

// crowded says whether there are too many flows to try every pair.
func (e *namesakes) crowded() bool { return len(e[Inside])*len(e[Outside]) > allPairs }

// sameEnds is the flows of the same addresses and ports that are at both places.
func (c *comparer) sameEnds() []namesakes {
	at := map[key]int{}
	var list []namesakes
	for side := range c.lists {
		for i, p := range c.lists[side] {
			if c.taken[side][i] {
				continue
			}
			n, known := at[p.key]
			if !known {
				if Side(side) == Outside {
					continue
				}
				n = len(list)
				at[p.key] = n
				list = append(list, namesakes{})
			}
			list[n][side] = append(list[n][side], i)
		}
	}
	return slices.DeleteFunc(list, func(e namesakes) bool { return len(e[Outside]) == 0 })
}

// pairs are all pairs of e, without a score.
func (c *comparer) pairs(e *namesakes) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		for _, i := range e[Inside] {
			for _, j := range e[Outside] {
				if !yield(c.pair(i, j)) {
					return
				}
			}
		}
	}
}

func (c *comparer) pair(i, j int) candidate {
	return candidate{i: i, j: j, flip: c.lists[Inside][i].Client != c.lists[Outside][j].Client}
}

// nearby are the pairs of e that began nearest to each other, when the clock
// outside is ahead by so much: for each flow inside a few, the nearest first.
func (c *comparer) nearby(e *namesakes, ahead func(t int64) int64) iter.Seq[candidate] {
	start := func(n int) int64 { return c.lists[Outside][e[Outside][n]].Start }
	return func(yield func(candidate) bool) {
		for _, i := range e[Inside] {
			t := c.lists[Inside][i].Start
			t += ahead(t)
			high := c.firstFrom(e[Outside], t)
			low := high
			for high-low < min(nearest, len(e[Outside])) {
				var x candidate
				if high == len(e[Outside]) || low > 0 && t-start(low-1) <= start(high)-t {
					low--
					x = c.pair(i, e[Outside][low])
					x.apart = t - start(low)
				} else {
					x = c.pair(i, e[Outside][high])
					x.apart = start(high) - t
					high++
				}
				if !yield(x) {
					return
				}
			}
		}
	}
}

// firstFrom is where in a list of flows outside the first is that began at a
// time or later.
func (c *comparer) firstFrom(list []int, t int64) int {
	n, _ := slices.BinarySearchFunc(list, t, func(j int, t int64) int { return cmp.Compare(c.lists[Outside][j].Start, t) })
	return n
}

// likeness says how well a passage inside fits one outside; 0 is not at all.
type likeness func(p *Passage) func(q *Passage, x *candidate) int

// best picks the best of pairs of the same addresses and ports, which come flow
// by flow inside. Of each flow at most keep pairs are kept.
func (c *comparer) best(pairs iter.Seq[candidate], like likeness, keep int) []candidate {
	var list []candidate
	var score func(q *Passage, x *candidate) int
	i, own := -1, 0 // the flow inside, and where in list its pairs begin
	trim := func() {
		if len(list)-own > keep {
			slices.SortFunc(list[own:], compareCandidates)
			list = list[:own+keep]
		}
		own = len(list)
	}
	for x := range pairs {
		if x.i != i {
			trim()
			i, score = x.i, like(c.lists[Inside][x.i])
		}
		if x.score = score(c.lists[Outside][x.j], &x); x.score > 0 {
			list = append(list, x)
		}
	}
	trim()
	return c.pick(list)
}

// joinPicked joins what was picked for one key after the other, the best first.
func (c *comparer) joinPicked(list []candidate, basis Basis) {
	for n := range list {
		list[n].apart = 0 // it tells flows of one key apart, and no others
	}
	slices.SortFunc(list, compareCandidates)
	for _, k := range list {
		c.join(k.i, k.j, k.flip, basis)
	}
}

// joinByAddresses joins flows of the same addresses and ports that have packets
// in common, where they are not crowded.
func (c *comparer) joinByAddresses() {
	like := func(p *Passage) func(*Passage, *candidate) int {
		seen := p.prints()
		return func(q *Passage, x *candidate) int { return q.shared(&seen, x.flip) }
	}
	var list []candidate
	for _, e := range c.sameEnds() {
		if !e.crowded() {
			list = append(list, c.best(c.pairs(&e), like, allPairs)...)
		}
	}
	c.joinPicked(list, ByAddresses)
}

// joinCrowded joins those that are crowded and have packets in common. Their
// packets may all be the same, so that only time tells them apart.
func (c *comparer) joinCrowded() {
	const together = 16 // more than any number of packets in common
	var list []candidate
	for _, e := range c.sameEnds() {
		if !e.crowded() {
			continue
		}
		ahead := c.Clock.at
		if c.Packets == 0 {
			offset := c.guessOffset(&e)
			ahead = func(int64) int64 { return offset }
		}
		like := func(p *Passage) func(*Passage, *candidate) int {
			seen := p.prints()
			from, until := p.Start+ahead(p.Start)-maxApart, p.End+ahead(p.End)+maxApart
			return func(q *Passage, x *candidate) int {
				n := q.shared(&seen, x.flip)
				if n > 0 && q.Start <= until && q.End >= from {
					n += together
				}
				return n
			}
		}
		list = append(list, c.best(c.nearby(&e, ahead), like, bestOf)...)
		// Those that are left may be few enough to be told apart.
		for side := range e {
			for _, i := range e[side] {
				c.common[side][i] = false
			}
		}
	}
	if len(list) > 0 {
		c.joinPicked(list, ByAddresses)
		c.setClock()
	}
}

// guessOffset is by how much the clock outside may be ahead while no packet tells:
// what makes the most of the flows begin at the same time. The clocks may agree, or
// both captures hold the first of the flows, or both the last.
func (c *comparer) guessOffset(e *namesakes) int64 {
	if c.options.Offset != nil {
		return *c.options.Offset
	}
	in, out := e[Inside], e[Outside]
	start := func(side Side, i int) int64 { return c.lists[side][i].Start }
	offsets := []int64{0, start(Outside, out[0]) - start(Inside, in[0]), start(Outside, out[len(out)-1]) - start(Inside, in[len(in)-1])}
	best, most := int64(0), -1
	for _, offset := range offsets {
		n := 0
		for _, i := range in {
			t := start(Inside, i) + offset
			if k := c.firstFrom(out, t-maxApart); k < len(out) && start(Outside, out[k]) <= t+maxApart {
				n++
			}
		}
		if n > most {
			best, most = offset, n
		}
	}
	return best
}

// parts are the marks of a direction, in no order.
func (k *track) parts() [3][]mark { return [3][]mark{k.opening, k.sample, k.tail} }

// prints are those of the packets of each direction.
func (p *Passage) prints() (seen [2]map[print]bool) {
	for d := range seen {
		seen[d] = map[print]bool{}
		for _, part := range p.track[d].parts() {
			for i := range part {
				seen[d][part[i].print(p.Proto == ProtoTCP)] = true
			}
		}
	}
	return seen
}

// shared is how many packets of a passage are among those of another one, at most
// a few.
func (p *Passage) shared(seen *[2]map[print]bool, flip bool) int {
	const enough = 8
	n := 0
	for d := range seen {
		o := d
		if flip {
			o = 1 - d
		}
		for _, part := range p.track[o].parts() {
			for i := range part {
				if seen[d][part[i].print(p.Proto == ProtoTCP)] {
					if n++; n >= enough {
						return n
					}
				}
			}
		}
	}
	return n
}

// payloadKey is a packet by what address translation leaves alone: the kind of its
// flow, and its print.
type payloadKey struct {
	kind uint8
	print
}

// maxTelling is how many packets of a direction are looked for at the other place.
const maxTelling = 24

// telling visits the packets of a passage by which it can be told from others.
func (p *Passage) telling(visit func(k payloadKey, dir uint8, time int64)) {
	for d := range 2 {
		list, _ := p.track[d].all()
		n := 0
		for i := range list {
			m := &list[i]
			if m.short || p.Proto == ProtoTCP && (m.cut || m.n == 0) {
				continue
			}
			if n++; n > maxTelling {
				break
			}
			visit(payloadKey{p.kind(), print{m.seq, m.n, m.sum, uint32(m.flags)}}, uint8(d), m.time)
		}
	}
}

// joinByPayload joins flows that have packets in common, whatever their
// addresses. Once the clocks are known the packets must also have come at about
// the same time.
func (c *comparer) joinByPayload() {
	const bucket = 64 // flows that may share a packet
	type ref struct {
		at   int
		dir  uint8
		time int64
	}
	timed := c.Packets > 0
	at := map[payloadKey][]ref{}
	for j, q := range c.lists[Outside] {
		if c.taken[Outside][j] {
			continue
		}
		q.telling(func(k payloadKey, d uint8, time int64) {
			if list := at[k]; len(list) <= bucket {
				at[k] = append(list, ref{j, d, time})
			}
		})
	}
	// Without a clock a packet tells only where it is the only one of its kind.
	own := map[payloadKey]int{}
	if !timed {
		for i, p := range c.lists[Inside] {
			if !c.taken[Inside][i] {
				p.telling(func(k payloadKey, _ uint8, _ int64) { own[k]++ })
			}
		}
	}
	var list []candidate
	type vote struct {
		j    int
		flip bool
	}
	for i, p := range c.lists[Inside] {
		if c.taken[Inside][i] {
			continue
		}
		votes := map[vote]int{}
		p.telling(func(k payloadKey, d uint8, time int64) {
			refs := at[k]
			if len(refs) > bucket {
				c.common[Inside][i] = true
				for _, r := range refs {
					c.common[Outside][r.at] = true
				}
				return
			}
			if !timed && (own[k] > 1 || len(refs) > 1) {
				return
			}
			for _, r := range refs {
				if apart := r.time - time - c.Clock.at(time); !timed || apart < maxApart && apart > -maxApart {
					votes[vote{r.at, r.dir != d}]++
				}
			}
		})
		for v, n := range votes {
			list = append(list, candidate{score: min(n, 8)*16 + alike(p, c.lists[Outside][v.j]), i: i, j: v.j, flip: v.flip})
		}
	}
	c.settleOn(list, ByPayload)
}

// joinLate joins what is left of the same addresses and ports at the same time:
// something between changes what is in the packets.
func (c *comparer) joinLate() {
	like := func(p *Passage) func(*Passage, *candidate) int {
		return func(q *Passage, _ *candidate) int {
			apart := q.Start - p.Start - c.Clock.at(p.Start)
			if apart = max(apart, -apart); apart >= maxApart {
				return 0
			}
			return 1 + int((maxApart-apart)/1e6)
		}
	}
	var list []candidate
	for _, e := range c.sameEnds() {
		if e.crowded() {
			list = append(list, c.best(c.nearby(&e, c.Clock.at), like, bestOf)...)
		} else {
			list = append(list, c.best(c.pairs(&e), like, allPairs)...)
		}
	}
	c.joinPicked(list, ByAddressing)
}
