package flows

import "slices"

// A mirror that sees a packet where it comes in and where it goes out delivers
// it twice. Such a copy is counted, and then passed over: it is no
// retransmission, and the dissection must not see its bytes again.

// signature is the same for two copies of one packet, but for the time of each,
// and for hardly any other two packets of a flow: the IP identification differs
// even between retransmissions. The hop limit and the link header are left out,
// since a routed copy has others. So is the checksum of TCP and UDP, since on the
// host that sends it is not yet what the card makes of it, but where little else
// tells: of what acknowledges again and again without an identification.
//
// The time of the packet is added in ticks, so that the signature of an end's last
// packet also says when that was. A packet that has an identification cannot be
// mistaken for a retransmission, and its copy may come late; without one only
// time tells, and a tick is shorter.
func (s *segment) signature(now int64) uint32 {
	const m = 0x9e3779b1
	h := (s.seq ^ 0x85ebca6b) * m
	h = (h ^ s.ack ^ s.ipID<<16) * m
	if s.proto != ProtoUDP && (s.proto != ProtoTCP || s.ipID|s.payloadLen|uint32(s.flags&flagSYN) == 0) {
		h ^= uint32(s.checksum)
	}
	h = (h ^ uint32(s.flags)<<16 ^ s.payloadLen<<3) * m
	return (h ^ h>>15) + uint32(now>>s.tick())
}

// tick is the binary logarithm of a tick in nanoseconds.
func (s *segment) tick() int {
	if s.ipID != 0 {
		return 24 // 17 ms
	}
	return 17 // 131 us
}

// maxTicks is how much later or earlier a copy may come: some 1.1 ms without an
// identification, 140 ms with one.
const maxTicks = 8

// same says whether two signatures are those of copies.
func same(a, b uint32) bool { return a-b+maxTicks <= 2*maxTicks }

// recent holds the signatures of the last packets of each end of a flow that has
// copies: a mirror that sees a burst go in and out hands over the one whole burst
// and then the other. A flow without copies is spared it.
type recent [2]struct {
	signatures [16]uint32
	at         uint8
}

// isCopy says whether s is a copy of an earlier packet of its end, and counts
// it when it is.
func (t *Table) isCopy(r *record, s *segment, end int, now int64, signature uint32) bool {
	if s.bare && s.ipID == 0 {
		return false // all that would tell it from the next packet was cut off
	}
	copied := r.extra != 0 && t.track(r).copied
	if !copied && s.proto == ProtoTCP && s.ipID == 0 && s.flags&flagRST != 0 {
		return false // packets that come too late are refused one by one, by resets that are all the same
	}
	isOne := func(other uint32) bool { return same(signature, other) }
	var x *rare
	if copied {
		x = t.extra(r).makeRare()
	}
	found := isOne(r.signature[end])
	switch {
	case x != nil:
		last := &x.recent[end]
		found = found || slices.ContainsFunc(last.signatures[:], isOne)
		if !found {
			last.signatures[last.at%uint8(len(last.signatures))] = signature
			last.at++
		}
	case !found && s.proto == ProtoTCP && r.extra != 0 && r.packets[end] < 8 && now-r.last <= maxTicks<<s.tick():
		// The first copy of a flow comes early, but not always next: that of
		// the SYN may be behind the whole handshake. (The time spares flows
		// that rest the touch of their extra.)
		found = slices.ContainsFunc(t.extra(r).tcp.early[end][:], isOne)
	}
	if !found {
		return false
	}
	t.stats.Copies++
	if x == nil {
		if t.full(r) {
			return true
		}
		x = t.extra(r).makeRare()
		t.track(r).copied = true
		x.recent = new(recent)
		for end := range x.recent {
			last := &x.recent[end]
			n := copy(last.signatures[:], t.extra(r).tcp.early[end][:])
			last.signatures[n] = r.signature[end]
			last.at = uint8(n + 1)
		}
	}
	x.copies[end]++
	if ttl := t.extra(r).ttl[end]; ttl != 0 && ttl != s.ttl {
		x.routed[end] = true
	}
	return true
}

// mayBeCopy says whether isCopy has to be asked: most packets differ from the one
// before, in a flow without copies.
func (t *Table) mayBeCopy(r *record, end int, signature uint32) bool {
	return same(signature, r.signature[end]) || r.extra != 0 && (r.packets[end] < 8 || t.track(r).copied)
}
