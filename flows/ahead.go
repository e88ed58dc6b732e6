package flows

import (
	"unsafe"

	"wirechart/pcaps"
)

const (
	groupSize = 16            // packets that go through Add together
	underWay  = 4 * groupSize // packets between the first step of Add and the last
)

// Add takes the packets of a batch, in their order.
//
// What a packet needs lies in three places, each of which tells where the next
// one is: its slot in the index, the flow's record, and the flow's track. With many
// flows none of them is in a cache. So the packets go through in groups, four of
// which are under way: while one is counted, the tracks of the next are coming, the
// records of the one behind it, and the slots of the one behind that.
func (t *Table) Add(batch []pcaps.Packet) {
	for at := -3 * groupSize; at < len(batch); at += groupSize {
		t.decodeGroup(batch, at+3*groupSize)
		t.seekRecords(batch, at+2*groupSize)
		t.seekTracks(batch, at+groupSize)
		if at >= 0 {
			t.countGroup(batch, at)
		}
	}
}

// group is which packets of a batch the group that begins at first has: none where
// it lies before the batch or behind it.
func group(batch []pcaps.Packet, first int) (begin, end int) {
	return max(first, 0), min(first+groupSize, len(batch))
}

// segment is where the headers of packet i of a batch are while it is under way.
func (t *Table) segment(i int) *segment { return &t.segments[i%underWay] }

// decodeGroup decodes packets and asks for their slots.
func (t *Table) decodeGroup(batch []pcaps.Packet, first int) {
	n := 0
	begin, end := group(batch, first)
	for i := begin; i < end; i++ {
		s := t.segment(i)
		s.decode(&batch[i])
		if s.outcome == Decoded {
			s.setKey(t.seed)
			t.lines[n] = uintptr(unsafe.Pointer(&t.slots[s.hash>>t.shift]))
			n++
		}
	}
	prefetch(&t.lines, n)
}

// seekRecords looks for the packets' slots, notes in guess whose they are, and asks
// for those records.
func (t *Table) seekRecords(batch []pcaps.Packet, first int) {
	n := 0
	mask := uint32(len(t.slots) - 1)
	begin, end := group(batch, first)
	for i := begin; i < end; i++ {
		s := t.segment(i)
		t.guess[i%underWay] = 0
		if s.outcome != Decoded {
			continue
		}
		// Mostly the first slot is the one; collisions lie in the same line.
		at := s.hash >> t.shift
		v := t.slots[at]
		for v != 0 && uint32(v>>32) != s.hash {
			at = (at + 1) & mask
			v = t.slots[at]
		}
		if t.guess[i%underWay] = uint32(v); v != 0 {
			t.lines[n] = uintptr(unsafe.Pointer(t.record(uint32(v) - 1)))
			n++
		}
	}
	prefetch(&t.lines, n)
}

// seekTracks asks for the tracks of the records that were guessed.
func (t *Table) seekTracks(batch []pcaps.Packet, first int) {
	n := 0
	begin, end := group(batch, first)
	for i := begin; i < end; i++ {
		if g := t.guess[i%underWay]; g != 0 {
			if r := t.record(g - 1); r.extra != 0 {
				t.lines[n] = uintptr(unsafe.Pointer(t.track(r)))
				n++
			}
		}
	}
	prefetch(&t.lines, n)
}

// countGroup counts packets for their flows, and does what is due by their time.
func (t *Table) countGroup(batch []pcaps.Packet, first int) {
	begin, end := group(batch, first)
	for i := begin; i < end; i++ {
		p, s := &batch[i], t.segment(i)
		if s.outcome != Decoded {
			t.take(p, s)
			continue
		}
		t.stats.Packets++
		t.stats.Outcomes[Decoded]++
		t.now = max(t.now, p.Time)
		t.count(p.Frame, p.Time, s, t.guess[i%underWay])
	}
	if t.awaiting.left() > 0 {
		t.resumeDue()
	}
	if t.ended.due(t.now, grace) {
		t.retireSilent(&t.ended, grace)
	}
	if silence := int64(t.config.Datagram); t.talks.due(t.now, silence) {
		t.retireSilent(&t.talks, silence)
	}
	if t.buffered+t.set.Held() > t.config.MaxBuffered/2 && t.stats.Packets >= t.reclaimAt {
		t.reclaim()
	}
}
