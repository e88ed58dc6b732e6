package flows

import (
	"slices"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// dirMatch is one direction of a flow at both places, mark by mark.
type dirMatch struct {
	dir      dissect.Dir
	marks    [2][]mark
	tail     [2]int // how many at the end of marks are the last packets of the flow
	shift    uint8  // of the thinner sample
	meetings []meeting
	lone     [2][]int // marks that the other place has not

	moved uint32    // TCP: by how much sequence numbers outside are ahead; those of marks are not
	reach [2]*reach // TCP: the bytes that passed, by the numbers of the place

	same, altered int // meetings by payload
	regrouped     bool
	alike         bool      // packets that nothing but their order tells apart
	met           uint64    // packets that both places have
	missed        [2]uint64 // that the capture of a side lacks
	vanished      []int     // of lone at the side where they were sent: what did not arrive
	late          int       // of vanished, how many come behind the last that arrived
	hidden        []int     // of lone at that side: the other capture has nothing at all of that time
}

// meeting is one packet seen at both places.
type meeting struct {
	in, out           int64
	inFrame, outFrame pcaps.FrameID
	n                 uint32
	timed             bool // it is this very packet, not another transmission of its bytes
}

// complete says that every packet has its mark, at both places.
func (m *dirMatch) complete() bool { return m.shift == 0 }

// match finds the packets that both places have. ahead is by how much the clock
// outside is, nil where that is not known yet.
func (x *Crossing) match(ahead func(t int64) int64) {
	in, out := x.Seen[Inside], x.Seen[Outside]
	tcp := in.Proto == ProtoTCP
	var moved [2]uint32 // by how much sequence numbers differ
	for d := range 2 {
		if tcp && in.hasISN[d] && out.hasISN[d] {
			moved[d] = out.isn[d] - in.isn[d]
		}
	}
	x.SequenceChanged = moved != [2]uint32{}
	for d := range 2 {
		m := &x.dirs[d]
		*m = dirMatch{dir: dissect.Dir(d)}
		for side, p := range x.Seen {
			m.marks[side], m.tail[side] = p.track[d].all()
			m.shift = max(m.shift, p.track[d].shift)
			m.reach[side] = &p.reach[d]
		}
		if !tcp {
			m.match(false, 0, 0, ahead)
			continue
		}
		m.match(true, moved[d], moved[1-d], ahead)
		m.regroup()
	}
}

// match pairs the marks: those of one print and one IP identification first,
// and where identifications do not tell, in their order, or by their times. moved
// is by how much the sequence numbers outside are ahead, and movedAck those of the
// other direction.
func (m *dirMatch) match(tcp bool, moved, movedAck uint32, ahead func(t int64) int64) {
	m.moved = moved
	if !tcp && m.anyCut() {
		m.forgetContent()
	}
	at := map[print][]int{}
	for j := range m.marks[Outside] {
		o := &m.marks[Outside][j]
		if tcp {
			o.seq -= moved
			if o.n == 0 && o.flags == 0 {
				o.sum -= movedAck
			}
		}
		at[o.print(tcp)] = append(at[o.print(tcp)], j)
	}
	met := [2][]bool{make([]bool, len(m.marks[Inside])), make([]bool, len(m.marks[Outside]))}
	meet := func(i, j int, timed bool) {
		a, b := &m.marks[Inside][i], &m.marks[Outside][j]
		// Where numbers are replaced, the opening may be as well (a SYN proxy).
		timed = timed && (moved|movedAck == 0 || a.flags&flagSYN == 0)
		met[Inside][i], met[Outside][j] = true, true
		m.meetings = append(m.meetings, meeting{in: a.time, out: b.time, inFrame: a.frame, outFrame: b.frame, n: a.n, timed: timed})
		if tcp && a.n > 0 && !a.cut && !b.cut {
			if a.sum == b.sum {
				m.same++
			} else {
				m.altered++
			}
		}
	}
	kept := 0 // identifications that came through
	for i := range m.marks[Inside] {
		a := &m.marks[Inside][i]
		if a.id == 0 {
			continue
		}
		for _, j := range at[a.print(tcp)] {
			if !met[Outside][j] && m.marks[Outside][j].id == a.id {
				meet(i, j, true)
				kept++
				break
			}
		}
	}
	// The rest, by print: how many are left at each place.
	left := map[print][2][]int{}
	var order []print
	for side := range 2 {
		for i := range m.marks[side] {
			o := &m.marks[side][i]
			if met[side][i] || kept > 0 && o.id != 0 {
				continue // where identifications tell, it is another transmission
			}
			k := o.print(tcp)
			l, known := left[k]
			if !known {
				order = append(order, k)
			}
			l[side] = append(l[side], i)
			left[k] = l
		}
	}
	for _, k := range order {
		l := left[k]
		in, out := l[Inside], l[Outside]
		if len(in) == 0 || len(out) == 0 {
			continue
		}
		same := len(in) > 1 || len(out) > 1
		m.alike = m.alike || same
		if same && ahead != nil {
			m.pairByTime(in, out, ahead, func(i, j int) { meet(i, j, false) })
			continue
		}
		for n := range min(len(in), len(out)) {
			meet(in[n], out[n], !same)
		}
	}
	for side := range 2 {
		for i, ok := range met[side] {
			if !ok {
				m.lone[side] = append(m.lone[side], i)
			}
		}
	}
	slices.SortFunc(m.meetings, func(a, b meeting) int { return int(min(max(a.in-b.in, -1), 1)) })
}

// pairByTime pairs packets that look the same, in order, each with the one that is
// nearest in time by what its direction takes. One is left alone for a nearer
// one where its place has more of them, or where it is far off (maxJitter): else
// there would have to be one of each that the other place lacks.
func (m *dirMatch) pairByTime(in, out []int, ahead func(t int64) int64, meet func(i, j int)) {
	var sure []int64 // packets that are told apart
	for _, k := range m.meetings {
		if k.timed {
			sure = append(sure, k.out-k.in-ahead(k.in))
		}
	}
	commonly := delayOf(sure).Median
	apart := func(i, j int) int64 {
		t := m.marks[Inside][in[i]].time
		return m.marks[Outside][out[j]].time - t - ahead(t) - commonly
	}
	distance := func(i, j int) int64 { return max(apart(i, j), -apart(i, j)) }
	i, j := 0, 0
	for i < len(in) && j < len(out) {
		gain := [2]int64{maxJitter, maxJitter} // for which one is left alone
		switch spare := (len(out) - j) - (len(in) - i); {
		case spare > 0:
			gain[Outside] = 0
		case spare < 0:
			gain[Inside] = 0
		}
		switch d := distance(i, j); {
		case j+1 < len(out) && d-distance(i, j+1) > gain[Outside] && (i+1 == len(in) || distance(i, j+1) <= distance(i+1, j+1)):
			j++
		case i+1 < len(in) && d-distance(i+1, j) > gain[Inside] && (j+1 == len(out) || distance(i+1, j) <= distance(i+1, j+1)):
			i++
		case d < maxApart:
			meet(in[i], out[j])
			i, j = i+1, j+1
		case apart(i, j) > 0:
			i++
		default:
			j++
		}
	}
}

// anyCut says whether a snap length took part of what a packet is told by where
// snap lengths differ, its beginning.
func (m *dirMatch) anyCut() bool {
	isCut := func(o mark) bool { return o.short }
	return slices.ContainsFunc(m.marks[Inside], isCut) || slices.ContainsFunc(m.marks[Outside], isCut)
}

// forgetContent leaves datagrams to their lengths, identifications and order: what
// is left of their content differs where snap lengths do.
func (m *dirMatch) forgetContent() {
	for _, marks := range m.marks {
		for i := range marks {
			marks[i].seq, marks[i].sum = 0, 0
		}
	}
}

// interval is a run of sequence numbers, relative to the first one.
type interval struct{ low, high int64 }

// holds says whether all bytes of k, which is TCP with payload, passed a side in
// whatever segments.
func (m *dirMatch) holds(side int, k *mark) bool {
	seq := k.seq
	if Side(side) == Outside {
		seq += m.moved
	}
	if all, known := m.reach[side].holds(seq, k.n); known {
		return all
	}
	var came []interval
	for i := range m.marks[side] {
		if o := &m.marks[side][i]; o.n > 0 {
			low := int64(int32(o.seq - k.seq))
			came = append(came, interval{low, low + int64(o.n)})
		}
	}
	return covers(union(came), interval{0, int64(k.n)})
}

// regroup finds bytes that crossed in other segments than they were sent in: an
// interface joins segments before the capture sees them, or splits them behind
// it (offloading), or a device between cuts them anew. Then bytes are compared.
func (m *dirMatch) regroup() {
	if len(m.lone[Inside]) == 0 || len(m.lone[Outside]) == 0 {
		return
	}
	// Segments of both sides that the other has not, and their bytes it has:
	// of what is retransmitted one side has all segments of the other.
	base := m.marks[Inside][0].seq
	var lone [2][]interval
	var other [2]bool
	for side := range 2 {
		for _, i := range m.lone[side] {
			k := &m.marks[side][i]
			if k.n == 0 {
				continue
			}
			low := int64(int32(k.seq - base))
			lone[side] = append(lone[side], interval{low, low + int64(k.n)})
			all := m.holds(1-side, k)
			other[side] = other[side] || all && (m.complete() || k.sampled(m.shift))
		}
		lone[side] = union(lone[side])
	}
	m.regrouped = other[Inside] && other[Outside]
	for side := range 2 {
		for _, v := range lone[side] {
			m.regrouped = m.regrouped || covers(lone[1-side], v)
		}
	}
	if !m.regrouped {
		return
	}
	for side := range 2 {
		m.lone[side] = slices.DeleteFunc(m.lone[side], func(i int) bool {
			k := &m.marks[side][i]
			if k.n == 0 {
				return false
			}
			all := m.holds(1-side, k)
			return all
		})
	}
}

// union is the intervals in order, those that touch joined.
func union(list []interval) []interval {
	slices.SortFunc(list, func(a, b interval) int { return int(min(max(a.low-b.low, -1), 1)) })
	var out []interval
	for _, v := range list {
		if n := len(out); n > 0 && v.low <= out[n-1].high {
			out[n-1].high = max(out[n-1].high, v.high)
			continue
		}
		out = append(out, v)
	}
	return out
}

// covers says whether one of the list, which is a union, holds all of v.
func covers(list []interval, v interval) bool {
	i, _ := slices.BinarySearchFunc(list, v.low, func(e interval, low int64) int {
		if e.high <= low {
			return -1
		}
		return 1
	})
	return i < len(list) && list[i].low <= v.low && v.high <= list[i].high
}

// median is the middle of what the clock outside shows beyond that inside.
func (m *dirMatch) median() (int64, bool) {
	var list []int64
	for _, k := range m.meetings {
		if k.timed {
			list = append(list, k.out-k.in)
		}
	}
	if len(list) == 0 {
		return 0, false
	}
	slices.Sort(list)
	return list[len(list)/2], true
}

// compareMarks finds out what of each direction did not arrive, and what a
// capture lacks.
func (c *comparer) compareMarks(x *Crossing) {
	for d := range 2 {
		m := &x.dirs[d]
		from, to := x.from(dissect.Dir(d)), x.to(dissect.Dir(d))
		sender, receiver := x.Seen[from], x.Seen[to]
		opening := len(sender.track[d].opening)
		lastMet := int64(-1 << 63)
		for _, k := range m.meetings {
			t := k.in
			if from == Outside {
				t = k.out
			}
			lastMet = max(lastMet, t)
		}
		for _, i := range m.lone[to] { // what came out has crossed
			if k := &m.marks[to][i]; k.n > 0 && c.hole(to, k.time) != nil {
				lastMet = max(lastMet, c.convert(to, k.time))
			}
		}
		compared := len(m.meetings)
		for _, i := range m.lone[from] {
			k := &m.marks[from][i]
			// The first and the last packets are kept, of those that arrived as of
			// those that were sent.
			edge := !m.regrouped && (i < opening || i >= len(m.marks[from])-m.tail[from]) && c.kept(x, m, to, c.convert(from, k.time))
			if !m.complete() && !edge && !k.sampled(m.shift) || x.opened && k.n == 0 && k.flags&flagFIN == 0 || !c.running(from, k.time) {
				continue
			}
			hole := c.hole(from, k.time)
			if x.arrived(dissect.Dir(d), to, k) {
				x.Uncaptured[d]++
				if hole == nil {
					m.missed[to]++
					compared++
				}
				continue
			}
			if hole != nil {
				if !x.acked(dissect.Dir(d), from, k) {
					m.hidden = append(m.hidden, i)
				}
				if x.Hole == nil {
					x.Hole, x.HoleAt = hole, to
				}
				continue
			}
			compared++
			m.vanished = append(m.vanished, i)
			if k.time > lastMet {
				m.late++
			}
		}
		for _, i := range m.lone[to] {
			k := &m.marks[to][i]
			inSample := i >= len(receiver.track[d].opening) && i < len(m.marks[to])-m.tail[to] && k.sampled(m.shift)
			known := k.flags&flagRST == 0 || k.frame == receiver.Reset[d].Frame && c.owned(x, dissect.Dir(d))
			known = known && (!x.opened || k.n > 0)
			if !m.complete() && !inSample || !known || !c.running(to, k.time) {
				continue
			}
			x.Uncaptured[d]++
			if hole := c.hole(to, k.time); hole == nil {
				m.missed[from]++
			} else if x.Hole == nil {
				x.Hole, x.HoleAt = hole, from
			}
		}
		x.Compared[d], x.Matched[d] = uint64(compared), uint64(len(m.meetings))
		x.Lost[d], m.met = uint64(len(m.vanished)), uint64(len(m.meetings))
		c.count(x, dissect.Dir(d))
		c.Regrouped = c.Regrouped || m.regrouped
	}
}

// kept says whether a packet that passed a side at a time would be among the first
// or the last of its direction there, whatever it is.
func (c *comparer) kept(x *Crossing, m *dirMatch, side Side, t int64) bool {
	marks, opening := m.marks[side], len(x.Seen[side].track[m.dir].opening)
	tail := len(marks) - m.tail[side]
	return opening < openingMarks || t+c.slack < marks[opening-1].time || tail == len(marks) || t-c.slack > marks[tail].time
}

// count makes the counts of a direction exact where both places saw all of it.
func (c *comparer) count(x *Crossing, d dissect.Dir) {
	m := &x.dirs[d]
	from, to := x.from(d), x.to(d)
	sender, receiver := x.Seen[from], x.Seen[to]
	if !c.whole(from, sender) || !c.whole(to, receiver) {
		return
	}
	tcp := sender.Proto == ProtoTCP
	if tcp {
		x.LostBytes[d] = sender.Payload[d] - min(sender.Payload[d], receiver.Payload[d]+receiver.missed[d])
	}
	switch {
	case tcp && m.regrouped:
		// The largest segment makes the least of what is lost.
		largest := uint64(1)
		for i := range m.marks[from] {
			largest = max(largest, uint64(m.marks[from][i].n))
		}
		x.Compared[d] = sender.Packets[d]
		x.Lost[d] += (x.LostBytes[d] + largest - 1) / largest
	case !m.complete():
		x.Uncaptured[d] = max(x.Uncaptured[d], lacks(receiver, d))
		x.Compared[d], x.Matched[d] = sender.Packets[d], receiver.Packets[d]
		x.Lost[d] = sender.Packets[d] - min(sender.Packets[d], receiver.Packets[d]+x.Uncaptured[d])
	}
	if m.complete() {
		return
	}
	if tcp && sender.Payload[d] == 0 {
		m.met, m.missed = 0, [2]uint64{} // nothing would show that a capture lacks some
		return
	}
	m.met = min(sender.Packets[d], receiver.Packets[d])
	for side, p := range map[Side]*Passage{from: sender, to: receiver} {
		if tcp {
			m.missed[side] = lacks(p, d)
		} else {
			m.missed[side] <<= m.shift & (noSample - 1) // of a sample
		}
	}
}

// lacks is in about how many packets the payload was that a capture of TCP lacks.
func lacks(p *Passage, d dissect.Dir) uint64 {
	if p.Payload[d] == 0 {
		return 0
	}
	return (p.missed[d]*p.Packets[d] + p.Payload[d] - 1) / p.Payload[d]
}

// whole says whether neither place lacks a time of the flow as a side shows it. A
// hole at the beginning or the end of a passage is outside of what it shows, and
// inside of what the other place does.
func (c *comparer) whole(side Side, p *Passage) bool {
	o := side.Other()
	from, until := c.convert(side, p.Start), c.convert(side, p.End)
	return from >= c.from[o]-c.slack && until <= c.until[o]+c.slack && c.holeWithin(side, p.Start, p.End) == nil && c.holeWithin(o, from, until) == nil
}

// acked says whether the place of a side shows that the other end acknowledged k.
func (x *Crossing) acked(d dissect.Dir, side Side, k *mark) bool {
	p := x.Seen[side]
	if p.Proto != ProtoTCP || k.n == 0 && k.flags&(flagSYN|flagFIN) == 0 || !p.ackSet[d] {
		return false
	}
	end := k.seq + k.n
	if k.flags&(flagSYN|flagFIN) != 0 {
		end++
	}
	if side == Outside {
		end += x.dirs[d].moved // the marks were moved likewise
	}
	return int32(p.acked[d]-end) >= 0
}

// arrived says whether k, which the capture of a side has not, must have come by
// there: the other end acknowledged it, and of some of its bytes no other
// transmission was seen.
func (x *Crossing) arrived(d dissect.Dir, to Side, k *mark) bool {
	m := &x.dirs[d]
	if !x.acked(d, to, k) {
		return false
	}
	if k.n > 0 { // bytes that no transmission shows
		return !m.holds(int(to), k)
	}
	for i := range m.marks[to] {
		if o := &m.marks[to][i]; o.flags&(flagSYN|flagFIN) != 0 && o.seq+o.n == k.seq {
			return false
		}
	}
	return m.complete()
}

// delays are what each packet of a direction took between the places, by the
// clocks as far as they are known.
func (x *Crossing) delays(c *comparer, d dissect.Dir) []int64 {
	if !c.Clock.Known && !c.Clock.OneWay {
		return nil
	}
	var list []int64
	back := (x.Client == Inside) != (d == ToServer)
	for _, k := range x.dirs[d].meetings {
		if !k.timed {
			continue
		}
		t := k.out - k.in - c.Clock.at(k.in)
		if back {
			t = -t
		}
		if t < maxOutlier && t > -maxOutlier {
			list = append(list, t)
		}
	}
	return list
}
