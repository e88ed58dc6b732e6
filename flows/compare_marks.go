package flows

import (
	"slices"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// dirMatch is one direction of a flow at both places, mark by mark.
type dirMatch struct {
	marks    [2][]mark
	tail     [2]int // how many at the end of marks are the last packets of the flow
	shift    uint8  // of the thinner sample
	meetings []meeting
	lone     [2][]int // marks that the other place has not

	same, altered int // meetings by payload
	regrouped     bool
	missed        [2]uint64 // that the capture of a side lacks
	vanished      []int     // of lone at the side where they were sent: what did not arrive
	late          int       // of vanished, how many come behind the last that arrived
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

// match finds the packets that both places have.
func (x *Crossing) match() {
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
		*m = dirMatch{}
		for side, p := range x.Seen {
			m.marks[side], m.tail[side] = p.track[d].all()
			m.shift = max(m.shift, p.track[d].shift)
		}
		if !tcp {
			m.match(false, 0, 0)
			continue
		}
		m.match(true, moved[d], moved[1-d])
		m.regroup()
	}
}

// match pairs the marks: those of one print and one IP identification first,
// and where identifications do not tell, in their order. moved is by how much
// the sequence numbers outside are ahead, and movedAck those of the other
// direction.
func (m *dirMatch) match(tcp bool, moved, movedAck uint32) {
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
		for n := range min(len(l[Inside]), len(l[Outside])) {
			meet(l[Inside][n], l[Outside][n], len(l[Inside]) == len(l[Outside]))
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

// anyCut says whether a snap length took part of what a packet is told by.
func (m *dirMatch) anyCut() bool {
	isCut := func(o mark) bool { return o.cut }
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

// regroup finds bytes that crossed in other segments than they were sent in: an
// interface joins segments before the capture sees them, or splits them behind
// it (offloading).
func (m *dirMatch) regroup() {
	if len(m.lone[Inside]) == 0 || len(m.lone[Outside]) == 0 {
		return
	}
	base := m.marks[Inside][0].seq
	var sent [2][]interval
	for side := range 2 {
		for _, i := range m.lone[side] {
			if k := &m.marks[side][i]; k.n > 0 {
				low := int64(int32(k.seq - base))
				sent[side] = append(sent[side], interval{low, low + int64(k.n)})
			}
		}
		sent[side] = union(sent[side])
	}
	for side := range 2 {
		opening := min(openingMarks, len(m.marks[side]))
		m.lone[side] = slices.DeleteFunc(m.lone[side], func(i int) bool {
			k := &m.marks[side][i]
			if k.n == 0 {
				return false
			}
			low := int64(int32(k.seq - base))
			if covers(sent[1-side], interval{low, low + int64(k.n)}) {
				m.regrouped = true
				return true
			}
			// Of a sample the other pieces may be missing.
			return m.regrouped && !m.complete() && i >= opening-1 && i < len(m.marks[side])-m.tail[side]
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
		compared := len(m.meetings)
		for _, i := range m.lone[from] {
			k := &m.marks[from][i]
			// What arrived is a part of what was sent: the first and the last
			// packets sent would be among the first and the last that arrived.
			if !m.complete() && i >= opening && i < len(m.marks[from])-m.tail[from] && !k.sampled(m.shift) {
				continue
			}
			if !c.recorded(from, k.time) {
				continue
			}
			compared++
			if x.arrived(dissect.Dir(d), to, k) {
				m.missed[to]++
				x.Uncaptured[d]++
				continue
			}
			m.vanished = append(m.vanished, i)
			if k.time > lastMet {
				m.late++
			}
		}
		for _, i := range m.lone[to] {
			k := &m.marks[to][i]
			inSample := i >= len(receiver.track[d].opening) && i < len(m.marks[to])-m.tail[to] && k.sampled(m.shift)
			known := k.flags&flagRST == 0 || k.frame == receiver.Reset[d].Frame && c.owned(x, dissect.Dir(d))
			if (m.complete() || inSample) && known && c.recorded(to, k.time) {
				m.missed[from]++
				x.Uncaptured[d]++
			}
		}
		x.Compared[d], x.Matched[d] = uint64(compared), uint64(len(m.meetings))
		x.Lost[d] = uint64(len(m.vanished))
		// Where both places saw all of it, the counts are exact.
		whole := c.recorded(from, sender.Start) && c.recorded(from, sender.End) && c.recorded(to, receiver.Start) && c.recorded(to, receiver.End)
		if whole && !m.complete() && !m.regrouped {
			x.Compared[d], x.Matched[d] = sender.Packets[d], receiver.Packets[d]
			x.Lost[d] = sender.Packets[d] - min(sender.Packets[d], receiver.Packets[d]+x.Uncaptured[d])
		}
		if whole && x.Seen[Inside].Proto == ProtoTCP {
			x.LostBytes[d] = sender.Payload[d] - min(sender.Payload[d], receiver.Payload[d]+receiver.missed[d])
		}
		c.Regrouped = c.Regrouped || m.regrouped
	}
}

// arrived says whether k, which the capture of a side has not, must have come by
// there: the other end acknowledged it, and no other transmission of its bytes
// was seen.
func (x *Crossing) arrived(d dissect.Dir, to Side, k *mark) bool {
	p := x.Seen[to]
	if p.Proto != ProtoTCP || k.n == 0 && k.flags&(flagSYN|flagFIN) == 0 || !p.ackSet[d] {
		return false
	}
	n := k.n
	if k.flags&(flagSYN|flagFIN) != 0 {
		n++
	}
	acked := p.acked[d]
	if to == Outside && p.hasISN[d] && x.Seen[Inside].hasISN[d] {
		acked -= p.isn[d] - x.Seen[Inside].isn[d] // the marks were moved likewise
	}
	if int32(acked-(k.seq+n)) < 0 {
		return false
	}
	for i := range x.dirs[d].marks[to] {
		o := &x.dirs[d].marks[to][i]
		if int32(o.seq-(k.seq+n)) < 0 && int32(k.seq-(o.seq+max(o.n, 1))) < 0 && (o.n > 0 || o.flags&(flagSYN|flagFIN) != 0) {
			return false
		}
	}
	return x.dirs[d].complete()
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
