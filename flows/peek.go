package flows

import (
	"cmp"
	"slices"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// A run that does not end looks at its flows while they go on, and lets those
// go that ended long ago.

// Now is the clock of the table: the latest packet time, unless Rewind set it
// back.
func (t *Table) Now() int64 { return t.now }

// Rewind sets the clock back: that of the capture jumped. The flows at hand
// wait longer for their end than they would have otherwise; those to come end
// when they should.
func (t *Table) Rewind(now int64) { t.now = min(t.now, now) }

// Held is how many flows are at hand, those included that are over and not yet
// settled, and how many of these have something beside their headers.
func (t *Table) Held() (flows, tracked int) { return t.used - len(t.free), t.tracked }

// Retire settles the flows that were over at a packet time before, and gives
// their places back. It looks at all flows, and hands them to settle in the
// order in which they began. It returns how many there were.
func (t *Table) Retire(before int64) int {
	list := t.handOver(func(r *record) bool {
		if r.last >= before {
			return false
		}
		if r.bits&bitIndexed != 0 && r.ended == CaptureEnd {
			if before-r.last <= int64(t.timeout(r)) {
				return false
			}
			r.ended = Idle
		}
		return true
	})
	if len(list) > 0 {
		t.stats.Retired += uint64(len(list))
		t.giveBack(list)
	}
	return len(list)
}

// Look goes through the flows that a Table holds at one moment, step by step,
// as often as it is asked to, while packets go on to come. It tells of each what
// is known when its turn comes.
type Look struct {
	t       *Table
	list    []place
	at      int
	settled uint64
	flow    Flow
	facts   dissect.Facts
}

// place is a flow by where it stands, and by its first frame.
type place struct {
	frame pcaps.FrameID
	n     uint32
}

// Look readies l to go through the flows at hand, in the order in which they
// began.
func (t *Table) Look(l *Look) {
	l.t, l.settled, l.at = t, t.settled, 0
	l.list = l.list[:0]
	for n := range uint32(t.used) {
		if t.record(n).bits&bitUsed != 0 {
			l.list = append(l.list, place{t.origin(n).frame, n})
		}
	}
	if t.reused {
		slices.SortFunc(l.list, func(a, b place) int { return cmp.Compare(a.frame, b.frame) })
	}
}

// Stale says that some of the flows have been settled meanwhile: what was seen of
// them would count twice.
func (l *Look) Stale() bool { return l.settled != l.t.settled }

// Again goes back to the first flow.
func (l *Look) Again() { l.at = 0 }

// Len is how many flows there are.
func (l *Look) Len() int { return len(l.list) }

// Next shows up to n flows, fewer when show declines, and says whether there are
// more. A Flow is good until the next one; its ID is 0, since only a flow that
// is settled has one, and its facts may be changed without consequence.
func (l *Look) Next(n int, show func(f *Flow) bool) bool {
	t := l.t
	for ; n > 0 && l.at < len(l.list); n-- {
		number := l.list[l.at].n
		l.at++
		r := t.record(number)
		t.view(r, t.origin(number), &l.flow)
		if r.ended == CaptureEnd && (r.bits&bitIndexed == 0 || t.now-r.last > int64(t.timeout(r))) {
			l.flow.Ended = Idle
		}
		if f := &l.flow; r.extra != 0 && t.extra(r).state != nil {
			// The dissection goes on: what it has come to so far, without what an
			// end would let it conclude. A copy, as those who judge add to it.
			state := t.extra(r).state
			state.CopyTo(&l.facts)
			f.Facts = &l.facts
			f.App, f.AppBasis = state.Protocol(t.set), state.By()
			f.Dissect.Lost, f.Dissect.Undecided, f.Dissect.Malformed = state.Lost(), state.Undecided(t.set), state.Broken()
			t.viewPort(r, f)
		}
		if !show(&l.flow) {
			break
		}
	}
	return l.at < len(l.list)
}

// DefaultKeep is how long flows that are over stay in the table of a run that
// does not end, so that what is learned of their hosts later still counts.
const DefaultKeep = 10 * time.Minute
