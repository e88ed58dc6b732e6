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

// maxPostponed is how many segments of a connection wait at most: more than both
// ends send before they hear of each other (RFC 6928 section 2).
const maxPostponed = 64

// unplaced says whether the place of what end sends is not known from a SYN.
func (t *Table) unplaced(r *record, end int) bool {
	return r.flags[end]&flagSYN == 0 && !(end == r.client() && t.extra(r).tcp.told)
}

// await puts s off, or, where it is the SYN that was waited for, goes on with
// what was.
func (t *Table) await(r *record, c *tcpTrack, s *segment, end int, flags uint8, frame pcaps.FrameID, now int64) {
	x := t.extra(r)
	d := x.makeRare()
	if flags&flagSYN != 0 {
		t.sequence(r, c, s, end, flags, frame, now)
		if !slices.ContainsFunc(d.postponed, func(p postponed) bool { return p.n > 0 && t.unplaced(r, int(p.end)) }) {
			t.resume(r, x)
		}
		return
	}
	r.bits |= bitAwaits
	if !c.known[end] {
		t.locate(r, c, s.seq, end)
	}
	p := postponed{pending{s.seq, s.payloadLen, nil, frame, now}, flags, uint8(end), c.seen}
	if r.quiet&(1<<end) == 0 {
		p.data = slices.Clone(s.payload)
		t.buffered += len(p.data)
	}
	d.postponed = append(d.postponed, p)
	t.putOff++
	if len(d.postponed) >= maxPostponed || t.buffered+t.set.Held() > t.config.MaxBuffered {
		t.resume(r, x)
	}
}

// resume takes what was put off, in the order in which it came; by their times,
// where those tell another one.
func (t *Table) resume(r *record, x *extra) {
	c, list := t.track(r), x.rare.postponed
	x.rare.postponed = nil
	r.bits &^= bitAwaits
	seen := c.seen
	slices.SortStableFunc(list, func(a, b postponed) int { return cmp.Compare(a.time, b.time) })
	for i := range list {
		p := &list[i]
		t.buffered -= len(p.data)
		c.seen = p.nth
		t.sequence(r, c, &segment{seq: p.seq, payloadLen: p.n, payload: p.data}, int(p.end), p.flags, p.frame, p.time)
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
}
