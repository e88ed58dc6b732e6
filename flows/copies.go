package flows

import (
	"slices"
	"time"
)

// A mirror that sees a packet where it comes in and where it goes out delivers
// it twice. Such a copy is counted, and then passed over: it is no
// retransmission, and the dissection must not see its bytes again.

// signature is the same for two copies of one packet, and for hardly any other
// two packets of a flow: the IP identification and the checksum over the
// payload differ even between retransmissions. The hop limit and the link
// header are left out, since a routed copy has others.
func (s *segment) signature() uint32 {
	const m = 0x9e3779b1
	h := (s.seq ^ 0x85ebca6b) * m
	h = (h ^ s.ack ^ s.ipID<<16) * m
	h = (h ^ uint32(s.checksum) ^ uint32(s.flags)<<16 ^ s.payloadLen<<3) * m
	return h ^ h>>15 | 1
}

// How much later a copy may come. Where the packet has an identification it
// cannot be mistaken for a retransmission; without one only time tells.
const (
	copyWindow       = int64(100 * time.Millisecond)
	copyWindowNoIPID = int64(time.Millisecond)
)

// recent holds the last packets of each end of a flow that has copies: a mirror
// that sees a burst go in and out hands over the one whole burst and then the
// other. A flow without copies is spared it.
type recent [2]struct {
	packets [16]struct {
		signature uint32
		time      int64
	}
	at uint8
}

// isCopy says whether s is a copy of an earlier packet of its end, and counts
// it when it is.
func (t *Table) isCopy(r *record, s *segment, end int, now int64, signature uint32) bool {
	var x *rare
	if r.extra != 0 && t.track(r).copied {
		x = t.extra(r).rarely()
	}
	window := copyWindowNoIPID
	if s.ipID != 0 {
		window = copyWindow
	}
	near := func(then int64) bool { return now-then <= window && then-now <= window }
	found := r.signature[end] == signature && near(r.last)
	if x != nil {
		last := &x.recent[end]
		for i := range last.packets {
			found = found || last.packets[i].signature == signature && near(last.packets[i].time)
		}
		if !found {
			p := &last.packets[last.at%uint8(len(last.packets))]
			p.signature, p.time = signature, now
			last.at++
		}
	}
	if x == nil && !found && s.proto == ProtoTCP && r.extra != 0 && r.packets[end] < 8 {
		// The first copy of a flow comes early, but not always next: that of
		// the SYN may be behind the whole handshake.
		found = near(r.last) && slices.Contains(t.extra(r).tcp.early[end][:], signature)
	}
	if !found {
		return false
	}
	t.stats.Copies++
	if x == nil {
		if t.full(r) {
			return true
		}
		x = t.extra(r).rarely()
		t.track(r).copied = true
		x.recent = new(recent)
		for end := range x.recent {
			last := &x.recent[end]
			for i, early := range t.extra(r).tcp.early[end] {
				last.packets[i].signature, last.packets[i].time = early, r.last
			}
			last.packets[4].signature, last.packets[4].time = r.signature[end], r.last
			last.at = 5
		}
	}
	x.copies[end]++
	return true
}

// mayBeCopy says whether isCopy has to be asked: most packets differ from the one
// before, in a flow without copies.
func (t *Table) mayBeCopy(r *record, end int, signature uint32) bool {
	return r.signature[end] == signature || r.extra != 0 && (r.packets[end] < 8 || t.track(r).copied)
}
