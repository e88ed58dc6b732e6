package flows

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// Side is one of the two places of a Comparison.
type Side uint8

// The sides, as the captures were named.
const (
	Inside Side = iota
	Outside
)

func (s Side) String() string { return [...]string{"inside", "outside"}[s] }

// Other is the other side.
func (s Side) Other() Side { return s ^ 1 }

// Fate is what became of a flow between the two places.
type Fate uint8

// The fates, the most serious first.
const (
	Dropped     Fate = iota // all packets of one direction vanished
	Rejected                // something between answered the opening with a RST or an ICMP error
	CutOff                  // packets crossed, and from some time on they vanished
	ResetMidway             // something between reset an established connection
	TooLarge                // small packets cross and large ones do not
	Intercepted             // the two places show two connections: something between ends the one and makes the other
	Lossy                   // a part of the packets vanished
	Undecided               // the captures cannot tell
	Crossed                 // whatever was sent arrived
	Answered                // seen at one place and answered: by something between, or beside the other place
	Elsewhere               // came from between, and was not seen going in
	NotCompared             // while the other place was not recorded
	fates
)

func (f Fate) String() string {
	return [fates]string{"dropped", "rejected", "cut", "reset", "too_large", "intercepted", "lossy", "undecided",
		"crossed", "answered", "elsewhere", "not_compared"}[f]
}

// Fates are all of them, the most serious first.
func Fates() []Fate {
	list := make([]Fate, fates)
	for i := range list {
		list[i] = Fate(i)
	}
	return list
}

// Between says whether f is the doing of something between the two places.
func (f Fate) Between() bool { return f <= Lossy }

// Ending is how a flow that crossed went on, which is not the doing of what is
// between.
type Ending uint8

// The endings.
const (
	Normal        Ending = iota
	Refused              // by the far host, or beyond the second place
	Unanswered           // it reached the second place and was not answered there
	ResetByEnd           // the client or the server reset it
	SmallerMade          // after an ICMP error the sender made its packets smaller, and they arrived
	WithoutProof         // one direction was not recorded at one place; what it carried arrived
	AcrossHole           // for a time one capture has nothing at all; before and after it crossed
	OpenedBetween        // something between answered the opening in the server's place, and then opened it itself
	endings              // their number
)

func (o Ending) String() string {
	return [endings]string{"", "refused", "unanswered", "reset_by_end", "path_mtu", "one_direction",
		"capture_hole", "syn_proxy"}[o]
}

// Doubt says why a flow is Undecided.
type Doubt uint8

// The doubts.
const (
	NoDoubt       Doubt = iota
	NothingCommon       // no packet is in both captures
	OtherLossy          // the capture of the other place lacks so many packets that it may lack these
	OneDirection        // the other place was recorded in one direction
	LooksAlike          // its packets look like those of many other flows
	SameCapture         // both captures are one, or parts of one
	InHole              // it is not in the other capture, which has nothing at all of that time
	CutShort            // the other capture's snap length leaves too little to find it there
	FromBeyond          // a host beyond the other place seems to have refused it, and that capture has neither
	MayHaveEnded        // the other capture has nothing at all since: it may have ended
	doubts
)

func (d Doubt) String() string {
	return [doubts]string{"", "nothing_in_common", "capture_lossy", "one_direction", "alike", "same_capture",
		"capture_hole", "snap_length", "from_beyond", "capture_end"}[d]
}

// Basis says how it is known that two flows are one.
type Basis uint8

// From the surest to the least sure.
const (
	NoBasis      Basis = iota
	BySequence         // TCP began with the same random numbers
	ByAddresses        // the same addresses and ports, and packets in common
	ByPayload          // packets in common
	ByAddressing       // the same addresses and ports at the same time, and no packet in common
	bases
)

func (b Basis) String() string {
	return [bases]string{"", "sequence", "addresses_and_payload", "payload", "addresses"}[b]
}

// Crossing is one flow between the two places. Client and server, and so the
// directions, are the same for both passages.
type Crossing struct {
	Seen   [2]*Passage // by side; nil where it was not
	Basis  Basis
	Client Side // where the client is
	Fate   Fate
	Doubt  Doubt

	// Dirs are the directions in which it failed: to the server, to the client.
	Dirs   [2]bool
	Ending Ending
	ByEnd  dissect.Dir // ResetByEnd: the direction of the RST
	Error  *Quote      // Rejected: the ICMP error, nil for a RST
	At     [2]Moment   // what proves it, by side
	BySize bool        // CutOff: whatever vanished is larger than all that arrived
	Since  [2]int64    // CutOff: time of the last packet that crossed, by side; 0 when none did

	Compared, Matched, Lost Pair // packets, as far as they were compared
	Uncaptured              Pair // missing at one place and known to have arrived
	LostBytes               Pair // TCP: bytes sent at the one place beyond those that arrived, every transmission

	ClientChanged, ServerChanged, SequenceChanged bool
	Delay                                         [2]Delay // by direction of the flow
	Delayed                                       int64    // by so much longer than others, there and back; 0 when it is not
	Hops                                          int      // by how much TTL or hop limit differ; 0 when unknown
	Hole                                          *Hole    // InHole, AcrossHole: the first of them
	HoleAt                                        Side     // the side of that capture
	Quiet                                         bool     // Answered: the other capture has no frame meanwhile

	dirs   [2]dirMatch
	sure   bool // Client is known by the flow itself
	opened bool // something between answered the opening in the server's place
}

// Near is the passage at the client's side, or the only one.
func (x *Crossing) Near() *Passage {
	if p := x.Seen[x.Client]; p != nil {
		return p
	}
	return x.Seen[x.Client.Other()]
}

// Far is the passage at the server's side, or the only one.
func (x *Crossing) Far() *Passage {
	if p := x.Seen[x.Client.Other()]; p != nil {
		return p
	}
	return x.Seen[x.Client]
}

// Place is what a Comparison says of one side.
type Place struct {
	First, Last int64
	Frames      uint64
	Flows       uint64
	Group       uint64    // flows to groups, which routers do not pass on
	Local       uint64    // flows between hosts of this side, which were not on their way across
	Left        uint64    // flows for which there was no room
	Short       [2]uint64 // IPv4, IPv6: frames of which the snap length left too little to tell what they are of

	Captured, Missed uint64 // packets that were recorded here, and that must have been here and were not, where that shows
	Holes            []Hole
	Blind            [2]bool
	Ended, Began     bool // it was not recorded to the other's end, from the other's beginning

	// Flows that are said to have failed on their way here behind the last frame
	// that the place has: that it was still recorded is not known.
	Silent uint64
}

// LossRate is how much of what was here the capture lacks, 0 to 1.
func (p *Place) LossRate() float64 {
	if p.Missed == 0 {
		return 0
	}
	return float64(p.Missed) / float64(p.Missed+p.Captured)
}

// Comparison is what two captures say of what is between them.
type Comparison struct {
	Places    [2]Place
	Crossings []Crossing // the most serious first
	Joined    uint64     // flows seen at both places
	Packets   uint64     // packets seen at both places
	Clock     Clock
	Delay     [2]Delay // added from inside to outside, from outside to inside
	Same      bool     // both are one capture, or parts of one
	SameWire  bool     // nothing that a router changes has changed
	Hops      int      // by how much TTL or hop limit commonly differ
	Regrouped bool     // segments were joined or split between (offloading)
}

// comparer is a Comparison while it is made.
type comparer struct {
	Comparison
	lists   [2][]*Passage
	taken   [2][]bool
	common  [2][]bool // some of its packets look like many others'
	options CompareOptions
	joined  []*Crossing

	from, until [2]int64           // of the recording, by its own clock
	lastSeen    [2]int64           // the last frame, whatever it is
	quiet       [2][]interval      // times without a frame
	crossing    [2]crossers        // by side, the servers whose flows cross
	slack       int64              // that packets commonly take between, at most
	far         [2]map[MAC]bool    // addresses that lead across
	ttls        map[arrival]bool   // of packets that crossed
	sideOf      [2]map[address]int // where an address that is seen at a place is: positive on that side
}

// arrival is a TTL with which packets of a host arrive at a place, from across.
type arrival struct {
	side Side
	from address
	ttl  uint8
}

const (
	second = int64(1e9)

	margin     = second      // at the ends of a capture nothing is made of what is not there
	maxApart   = 2 * second  // between the two places, beyond the clocks' difference
	maxOutlier = 10 * second // by which a match may differ from the others
	maxChance  = 0.02        // that packets are missing from a lossy capture by chance
	lossyShare = 0.01        // of the packets of a flow: less is not held against what is between
)

// CompareOptions is what a comparison is told beside the packets.
type CompareOptions struct {
	Ran    [2][2]int64 // times of the first and the last frame of the files, filtered out or not; 0 where not known
	Ended  [2]bool     // the recording of a side is known to end with its last packet (a damaged file)
	Offset *int64      // by how much the clock outside is ahead, nanoseconds; nil where it is to be estimated
	Slow   int64       // a flow is delayed that takes so much longer than others, nanoseconds; 0 for never
}

// Compare holds the flows of two places against each other.
func Compare(inside, outside *Vantage, options CompareOptions) *Comparison {
	c := &comparer{options: options}
	if inside.cut || outside.cut {
		inside.behead()
		outside.behead()
	}
	for side, v := range [2]*Vantage{inside, outside} {
		list, group := v.finish()
		c.lists[side], c.quiet[side] = list, v.quiet
		c.taken[side], c.common[side] = make([]bool, len(list)), make([]bool, len(list))
		c.Places[side] = Place{First: v.first, Last: v.last, Frames: v.frames, Flows: uint64(len(list)), Group: group, Left: v.left, Short: v.short}
	}
	c.joinBySequence()
	c.joinByAddresses()
	c.setClock()
	if c.Packets > 0 {
		c.joinCrowded()
	}
	c.joinByPayload()
	c.setClock()
	c.joinCrowded()
	c.joinByPayload() // with the clock known there are more candidates
	c.joinLate()
	c.setClock()
	if c.rematch() {
		c.setClock()
	}
	c.learnSides()
	for _, x := range c.joined {
		x.opened = c.openedBetween(x)
	}
	c.crossing = [2]crossers{c.crossers(Inside), c.crossers(Outside)}
	c.setWindows()
	c.setBlind()
	c.findHoles()
	for _, x := range c.joined {
		c.compareMarks(x)
	}
	c.countMissed()
	for _, x := range c.joined {
		c.judgeJoined(x)
		c.Crossings = append(c.Crossings, *x)
	}
	for side := range c.lists {
		for i, p := range c.lists[side] {
			if !c.taken[side][i] {
				c.judgeAlone(Side(side), p, c.common[side][i])
			}
		}
	}
	c.conclude()
	return &c.Comparison
}

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

// joinByPayload joins flows that have packets in common, whatever their
// addresses. Once the clocks are known the packets must also have come at about
// the same time.
func (c *comparer) joinByPayload() {
	const (
		perFlow = 24 // packets of a direction that are looked for
		bucket  = 64 // flows that may share one
	)
	type ref struct {
		at   int
		dir  uint8
		time int64
	}
	type indexKey struct {
		kind uint8
		print
	}
	// telling are the packets of a passage by which it can be told.
	telling := func(p *Passage, visit func(k indexKey, dir uint8, time int64)) {
		for d := range 2 {
			list, _ := p.track[d].all()
			n := 0
			for i := range list {
				m := &list[i]
				if m.short || p.Proto == ProtoTCP && (m.cut || m.n == 0) {
					continue
				}
				if n++; n > perFlow {
					break
				}
				k := print{m.seq, m.n, m.sum, uint32(m.flags)}
				visit(indexKey{p.kind(), k}, uint8(d), m.time)
			}
		}
	}
	timed := c.Packets > 0
	at := map[indexKey][]ref{}
	for j, q := range c.lists[Outside] {
		if c.taken[Outside][j] {
			continue
		}
		telling(q, func(k indexKey, d uint8, time int64) {
			if list := at[k]; len(list) <= bucket {
				at[k] = append(list, ref{j, d, time})
			}
		})
	}
	// Without a clock a packet tells only where it is the only one of its kind.
	own := map[indexKey]int{}
	if !timed {
		for i, p := range c.lists[Inside] {
			if !c.taken[Inside][i] {
				telling(p, func(k indexKey, _ uint8, _ int64) { own[k]++ })
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
		telling(p, func(k indexKey, d uint8, time int64) {
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

// learnSides finds out which MAC addresses lead across and on which side each
// address is, from the flows of which it is known, and then where the clients
// of the others are.
func (c *comparer) learnSides() {
	hops := map[int]int{}
	c.ttls = map[arrival]bool{}
	sameWire := c.Packets > 0
	for side := range 2 {
		c.far[side], c.sideOf[side] = map[MAC]bool{}, map[address]int{}
	}
	vote := func(x *Crossing) {
		for side, p := range x.Seen {
			n := 1
			if x.Client != Side(side) {
				n = -1
			}
			c.sideOf[side][addressOf(p.Client.Addr())] += n
			c.sideOf[side][addressOf(p.Server.Addr())] -= n
		}
	}
	for _, x := range c.joined {
		if x.decideClient() {
			vote(x)
		}
	}
	inside := 0
	for _, x := range c.joined {
		if !x.sure {
			n := 0
			for side, p := range x.Seen {
				sign := 1 - 2*side
				n += sign * (c.sideOf[side][addressOf(p.Client.Addr())] - c.sideOf[side][addressOf(p.Server.Addr())])
			}
			if n == 0 { // whatever is seen at one place alone was on its way to the other
				for d := range 2 {
					n += (1 - 2*d) * cmp.Compare(x.Seen[Inside].Packets[d], x.Seen[Outside].Packets[d])
				}
			}
			x.Client = Inside
			if n < 0 {
				x.Client = Outside
			}
		}
		if x.Client == Inside {
			inside++
		}
		for d := range 2 {
			from := x.from(dissect.Dir(d))
			in, out := x.Seen[Inside], x.Seen[Outside]
			if len(x.dirs[d].meetings) == 0 {
				continue
			}
			if o := x.Seen[from].mac[d]; o != (macs{}) {
				c.far[from][o.dst] = true
			}
			if r := x.Seen[from.Other()].mac[d]; r != (macs{}) {
				c.far[from.Other()][r.src] = true
			}
			to := from.Other()
			for _, ttl := range [...]uint8{x.Seen[to].TTL[d], x.Seen[to].Reset[d].TTL} {
				if ttl != 0 && (ttl != x.Seen[to].Reset[d].TTL || x.Seen[from].Reset[d].Frame != 0) {
					c.ttls[arrival{to, x.Seen[to].sender(dissect.Dir(d)), ttl}] = true
				}
			}
			if a, b := x.Seen[from].TTL[d], x.Seen[from.Other()].TTL[d]; a > 0 && b > 0 {
				x.Hops = int(a) - int(b)
				hops[x.Hops]++
			}
			sameWire = sameWire && in.TTL[d] == out.TTL[d] && in.mac[d] == out.mac[d]
		}
	}
	best := 0
	for h, n := range hops {
		if n > best || n == best && h < c.Hops {
			c.Hops, best = h, n
		}
	}
	c.SameWire = sameWire
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

// setBlind finds out which directions a place was not recorded in.
func (c *comparer) setBlind() {
	var sent, came [2]uint64 // by side: of what the other has going out from here, coming in here
	var out, in [2]uint64    // what is here of it
	var proven [2]bool       // that something came in here
	for _, x := range c.joined {
		for d := range 2 {
			from, to := x.from(dissect.Dir(d)), x.to(dissect.Dir(d))
			sent[from] += x.Seen[to].Packets[d]
			out[from] += x.Seen[from].Packets[d]
			came[to] += x.Seen[from].Packets[d]
			in[to] += x.Seen[to].Packets[d]
			if x.Seen[to].Packets[d] == 0 && x.Seen[from].Packets[d] > 0 && x.Seen[to].ackSet[d] {
				proven[to] = true
			}
		}
	}
	for side := range 2 {
		p := &c.Places[side]
		p.Blind[0] = sent[side] > 0 && out[side] == 0                // going across
		p.Blind[1] = came[side] > 0 && in[side] == 0 && proven[side] // coming from across
	}
}

// countMissed finds out how lossy the captures are.
func (c *comparer) countMissed() {
	for _, x := range c.joined {
		for d := range 2 {
			for side := range Side(2) {
				from := x.Seen[x.from(dissect.Dir(d))]
				if side == x.to(dissect.Dir(d)) && (from.Proto != ProtoTCP || from.Payload[d] == 0) {
					continue // nothing would show that it lacks some
				}
				if !c.blind(side, x, dissect.Dir(d)) {
					c.Places[side].Missed += x.dirs[d].missed[side]
				}
				c.Places[side].Captured += x.dirs[d].met
			}
		}
	}
}

// blind says whether a place was not recorded in the direction in which x goes.
func (c *comparer) blind(side Side, x *Crossing, d dissect.Dir) bool {
	leaving := (x.Client == side) == (d == ToServer)
	if leaving {
		return c.Places[side].Blind[0]
	}
	return c.Places[side].Blind[1]
}

// chance is how likely it is that the capture of a side lacks n packets by
// chance.
func (c *comparer) chance(side Side, n int) float64 {
	return math.Pow(c.Places[side].LossRate(), float64(n))
}

// conclude orders the crossings and sums up.
func (c *comparer) conclude() {
	slices.SortStableFunc(c.Crossings, func(a, b Crossing) int {
		return cmp.Or(cmp.Compare(a.Fate, b.Fate), cmp.Compare(b.Ending, a.Ending))
	})
	c.Joined = uint64(len(c.joined))
	defer c.findDelayed()
	var delays [2][]int64
	for _, x := range c.joined {
		for d := range 2 {
			travel := int(x.Client) ^ d
			delays[travel] = append(delays[travel], x.delays(c, dissect.Dir(d))...)
		}
	}
	for travel := range delays {
		c.Delay[travel] = delayOf(delays[travel])
	}
	if c.Same = c.sameCapture(); c.Same {
		for i := range c.Crossings {
			x := &c.Crossings[i]
			if x.Fate == Crossed {
				x.Fate, x.Doubt = Undecided, SameCapture
			}
		}
	}
}

// findDelayed finds the flows that took longer between the places than others.
// Of what goes both ways the clocks need not be known for that.
func (c *comparer) findDelayed() {
	if c.options.Slow <= 0 {
		return
	}
	for i := range c.Crossings {
		x := &c.Crossings[i]
		longer := int64(0)
		for d := range 2 {
			if x.Delay[d].Packets == 0 {
				continue
			}
			longer += x.Delay[d].Median - c.Delay[int(x.Client)^d].Median
		}
		if longer > c.options.Slow {
			x.Delayed = longer
		}
	}
}

// sameCapture says whether both are one, or parts of one: every packet has the same time
// and the same TTL in both.
func (c *comparer) sameCapture() bool {
	if !c.SameWire || c.Packets == 0 {
		return false
	}
	for _, x := range c.joined {
		for d := range 2 {
			for _, m := range x.dirs[d].meetings {
				if m.out != m.in {
					return false
				}
			}
		}
	}
	return true
}

// moment is where a mark was seen.
func (m *mark) moment() Moment { return Moment{pcaps.FrameID(m.frame), m.time} }
