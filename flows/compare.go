package flows

import (
	"cmp"
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
	tries   float64 // flows that are judged

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
	maxJitter  = second / 10 // by which packets that look the same may differ in what they take between
	maxOutlier = 10 * second // by which a match may differ from the others
	maxChance  = 0.02        // that a lossy capture makes anything of it by chance
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
	c.tries = float64(len(c.lists[Inside]) + len(c.lists[Outside]) - len(c.joined))
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

// chance bounds how likely it is that the capture of a side lacks, by chance, the
// n packets that would show that any of the flows crossed: of thousands of flows
// some lack what is rarely missing.
func (c *comparer) chance(side Side, n int) float64 {
	return c.tries * math.Pow(c.Places[side].LossRate(), float64(n))
}

// excess bounds how likely it is that the capture of a side lacks, by chance, lost
// or more of the packets of a direction of any of the flows: the tail of the
// Poisson distribution by its Chernoff bound. The rate of the capture is known as
// well as so many packets tell. Of packets that nobody would have sent again it is
// not taken for 0 when nothing shows, but for what so many packets allow.
func (c *comparer) excess(side Side, lost, all float64, again bool) float64 {
	p := &c.Places[side]
	missed := float64(p.Missed) + 3*math.Sqrt(float64(p.Missed))
	if !again {
		missed += 3 // of which none is seen in one of twenty captures
	}
	if missed == 0 {
		return 0
	}
	expected := missed / max(float64(p.Missed+p.Captured), missed) * all
	if lost <= expected {
		return 1
	}
	return c.tries * math.Exp(lost-expected-lost*math.Log(lost/expected))
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
