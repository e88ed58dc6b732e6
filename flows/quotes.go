package flows

import (
	"slices"

	"wirechart/pcaps"
)

// ICMP errors quote the packet that they are about (RFC 792, RFC 4443 section 3),
// and so belong to its flow. A mirror that sees them on another port than that
// packet may hand them over first: an error about a flow that is not known yet
// waits for it, a short while and with few others.

// orphan is an ICMP error that waits for the flow that it quotes.
type orphan struct {
	key   key
	hash  uint32
	fromB bool // the packet that it quotes came from the key's upper end
	time  int64
	ICMPError
}

// maxOrphans is how many errors wait. Reordering is a matter of milliseconds:
// these are more errors than devices send in that, and few enough to be looked
// through whenever a flow begins.
const maxOrphans = 64

// blame ties an ICMP error to the flow that it quotes.
func (t *Table) blame(e *segment, frame pcaps.FrameID, now int64) {
	q := &t.quoted
	if !q.decodeQuoted(e) {
		return
	}
	q.setKey(t.seed)
	said := ICMPError{Type: e.payload[0], Code: e.payload[1], From: e.src.netip(e.v6), Frame: frame}
	_, n := t.find(&q.key, q.hash)
	if n == 0 || now-t.record(n-1).last > int64(t.timeout(t.record(n-1))) {
		if len(t.orphans) == maxOrphans {
			t.orphans = slices.Delete(t.orphans, 0, 1)
		}
		t.orphans = append(t.orphans, orphan{q.key, q.hash, q.fromB, now, said})
		return
	}
	t.accuse(t.record(n-1), said)
}

// accuse keeps an ICMP error about r, the first few of them.
func (t *Table) accuse(r *record, e ICMPError) {
	if t.full(r) {
		return
	}
	if x := t.extra(r).makeRare(); len(x.icmp) < maxErrors {
		x.icmp = append(x.icmp, e)
	}
}

// adopt ties the errors that waited for r to it, when it has begun with s.
// Those that waited too long are forgotten. The packet's own time tells, not the
// table's: one frame with a clock far ahead must not end this for the rest of the
// capture.
func (t *Table) adopt(r *record, s *segment, frame pcaps.FrameID, now int64) {
	t.adopted, t.adopter = t.adopted[:0], frame
	t.orphans = slices.DeleteFunc(t.orphans, func(o orphan) bool {
		switch {
		case now-o.time > grace || o.time-now > grace:
		case o.hash == s.hash && o.key == s.key:
			t.accuse(r, o.ICMPError)
			t.adopted = append(t.adopted, o)
		default:
			return false
		}
		return true
	})
}
