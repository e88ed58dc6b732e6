package flows

import (
	"cmp"
	"slices"

	"wirechart/pcaps"
)

// A capture that is not in order may have bytes of a connection before the SYN
// that says where they belong. What comes first of an end whose SYN was not
// seen is therefore put off for a moment, with all that both ends send
// meanwhile: when the SYN comes, its place is known; when none does, the
// capture began behind it, and what was put off is taken as it came.

// postponed is a segment that waits for the SYN of its end, or of the other one.
type postponed struct {
	pending
	flags uint8
	end   uint8
	nth   uint32 // as tcpTrack.seen counts
}

const (
	maxPostponed = 64      // segments of a connection: more than both ends send before they hear of each other (RFC 6928 section 2)
	maxAwaiting  = 1 << 14 // connections at once
	maxShelves   = 64      // lists kept for the next ones
)

// unplaced says whether the place of what end sends is not known from a SYN.
func (t *Table) unplaced(r *record, end int) bool {
	return r.flags[end]&flagSYN == 0 && !(end == r.client() && t.extra(r).tcp.told)
}

// await puts s off, or, where it is the SYN that was waited for, goes on with
// what was.
func (t *Table) await(r *record, n uint32, c *tcpTrack, s *segment, end int, flags uint8, frame pcaps.FrameID, now int64) {
	if flags&flagSYN != 0 {
		t.sequence(r, c, s, end, flags, frame, now)
		if !slices.ContainsFunc(*t.postponed[r.extra], func(p postponed) bool { return p.n > 0 && t.unplaced(r, int(p.end)) }) {
			t.resume(r)
		}
		return
	}
	if r.bits&bitAwaits == 0 {
		if t.awaiting.left() >= maxAwaiting {
			t.resumeNext()
		}
		t.wait(&t.awaiting, n, now)
		r.bits |= bitAwaits
		if l := len(t.shelves); l > 0 {
			t.postponed[r.extra], t.shelves = t.shelves[l-1], t.shelves[:l-1]
		} else {
			t.postponed[r.extra] = new([]postponed)
		}
	}
	if !c.known[end] {
		t.locate(r, c, s.seq, end)
	}
	p := postponed{pending{s.seq, s.payloadLen, nil, frame, now}, flags, uint8(end), c.seen}
	if r.quiet&(1<<end) == 0 {
		p.data = t.keep(s.payload)
		t.buffered += len(p.data)
	}
	list := t.postponed[r.extra]
	*list = append(*list, p)
	t.putOff++
	if len(*list) >= maxPostponed || t.buffered+t.set.Held() > t.config.MaxBuffered {
		t.resume(r)
	}
}

// overdue says whether what is put off of r has waited long enough at the packet
// time now.
func (t *Table) overdue(r *record, now int64) bool {
	return !near(now, (*t.postponed[r.extra])[0].time)
}

// resumeDue goes on with the connections that have waited long enough.
func (t *Table) resumeDue() {
	for t.awaiting.left() > 0 {
		if r := t.stillOf(t.awaiting.list[t.awaiting.at]); r != nil && r.bits&bitAwaits != 0 && !t.overdue(r, t.now) {
			break
		}
		t.resumeNext()
	}
	t.awaiting.compact()
}

// resumeNext goes on with the connection that has waited longest.
func (t *Table) resumeNext() {
	if r := t.stillOf(t.awaiting.next()); r != nil && r.bits&bitAwaits != 0 {
		t.resume(r)
	}
}

// resume takes what was put off, in the order in which it came; by their times,
// where those tell another one.
func (t *Table) resume(r *record) {
	c, shelf := t.track(r), t.postponed[r.extra]
	delete(t.postponed, r.extra)
	r.bits &^= bitAwaits
	list, seen := *shelf, c.seen
	slices.SortStableFunc(list, func(a, b postponed) int { return cmp.Compare(a.time, b.time) })
	for i := range list {
		p := &list[i]
		t.buffered -= len(p.data)
		c.seen = p.nth
		t.sequence(r, c, &segment{seq: p.seq, payloadLen: p.n, payload: p.data}, int(p.end), p.flags, p.frame, p.time)
		t.unkeep(p.data)
	}
	c.seen = seen
	for end := range 2 { // what was acknowledged meanwhile
		if !c.spoke[end] || !c.acking[1-end] {
			continue
		}
		acked := c.acked[1-end]
		c.answered[end] = c.answered[end] || int32(acked-c.dataSeq[end]) > 0
		if int32(acked-c.next[end]) >= 0 {
			c.unanswered[end] = 0
		}
	}
	clear(list)
	if *shelf = list[:0]; len(t.shelves) < maxShelves {
		t.shelves = append(t.shelves, shelf)
	}
}
