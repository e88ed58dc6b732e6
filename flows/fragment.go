package flows

import (
	"slices"

	"wirechart/pcaps"
)

// Bounds of IP reassembly (RFC 791 section 3.2, RFC 8200 section 4.5).
const (
	maxDatagrams   = 1024     // datagrams being put together
	maxPartBytes   = 8 << 20  // bytes of all of them
	maxParts       = 256      // fragments of one datagram
	datagramExpiry = 60 * 1e9 // nanoseconds from the first fragment seen
)

// fragments puts datagrams together.
type fragments struct {
	open  map[fragmentKey]*datagram
	order []*datagram // as they began
	bytes int
	whole []byte  // the last datagram put together
	late  segment // the last one given up

	// The last datagrams that became whole: a mirror's copy of their last
	// fragment, which comes behind it, begins no new one.
	done [16]struct {
		key  fragmentKey
		time int64
	}
	doneAt uint8
}

// copyWindow is how much later or earlier a copy of a fragment may come.
const copyWindow = second / 10

// isCopy says whether a fragment of k that does not begin a datagram belongs to
// one that just became whole.
func (f *fragments) isCopy(k *fragmentKey, now int64) bool {
	for i := range f.done {
		if d := &f.done[i]; d.key == *k && now-d.time <= copyWindow && d.time-now <= copyWindow {
			return true
		}
	}
	return false
}

type fragmentKey struct {
	src, dst address
	id       uint32
	proto    uint8
	v6       bool
}

// datagram is what has been seen of one.
type datagram struct {
	key     fragmentKey
	parts   []fragmentPart
	total   int // bytes; 0 until the last fragment was seen
	frames  uint32
	wire    uint32
	first   segment // the headers of the fragment at offset 0, or of the first one seen
	headed  bool    // first is that at offset 0
	spoilt  bool    // fragments of IPv6 overlap: the datagram is dropped
	frame   pcaps.FrameID
	time    int64
	removed bool
}

type fragmentPart struct {
	offset, n int
	data      []byte // captured of the n bytes
}

// part takes a fragment and says whether it completes its datagram: s then is
// the whole of it. The completing frame counts as the datagram's packet, as in
// Zeek and Wireshark; the frames of the other fragments are counted apart. Where
// the snap length cut one of them, the frame with the transport header counts.
func (t *Table) part(p *pcaps.Packet, s *segment) bool {
	f := &t.parts
	if f.open == nil {
		f.open = map[fragmentKey]*datagram{}
	}
	// The packet's own time, not the table's: one frame with a clock far ahead
	// must not end reassembly for the rest of the capture.
	for len(f.order) > 0 && (p.Time-f.order[0].time > datagramExpiry || len(f.order) >= maxDatagrams || f.bytes > maxPartBytes) {
		t.giveUp(f.order[0])
	}
	k := fragmentKey{s.src, s.dst, s.fragment.id, s.fragment.proto, s.v6}
	d := f.open[k]
	if d == nil {
		if s.fragment.offset > 0 && f.isCopy(&k, p.Time) {
			t.stats.Copies++
			return false
		}
		d = &datagram{key: k, first: *s, frame: p.Frame, time: p.Time}
		d.first.payload = nil
		f.open[k] = d
		f.order = append(f.order, d)
	}
	at := int(s.fragment.offset)
	n := int(s.payloadLen)
	if at == 0 && !d.headed && !d.spoilt {
		d.first, d.headed = *s, true
		d.first.payload = nil
	}
	d.frames += 1 + s.parts // a fragment may itself have come in fragments of a tunnel's packet
	d.wire += s.wireLen + s.partBytes
	if !s.fragment.more {
		d.total = at + n
	}
	f.bytes += d.place(fragmentPart{at, n, s.payload})
	if d.total == 0 || !d.whole() {
		return false
	}
	wire := s.wireLen
	t.join(d, s)
	if len(t.parts.whole) >= d.total {
		s.wireLen, s.partBytes = wire, d.wire-wire
	}
	t.remove(d)
	last := &f.done[f.doneAt%uint8(len(f.done))]
	last.key, last.time = k, p.Time
	f.doneAt++
	return true
}

// place keeps the bytes of p that no fragment before it had, and returns how
// many bytes that takes: the first copy of a byte counts. An IPv6 datagram with
// fragments that overlap, other than one that came twice, is spoilt (RFC 5722,
// RFC 8200 section 4.5).
func (d *datagram) place(p fragmentPart) (kept int) {
	i, _ := slices.BinarySearchFunc(d.parts, p.offset, func(q fragmentPart, at int) int {
		if q.offset+q.n <= at {
			return -1
		}
		return 1
	})
	if d.key.v6 && i < len(d.parts) && d.parts[i].offset < p.offset+p.n {
		if q := &d.parts[i]; q.offset != p.offset || q.n != p.n {
			d.spoilt, d.headed = true, false
		}
		return 0
	}
	for p.n > 0 && len(d.parts) < maxParts {
		fresh := p.n
		if i < len(d.parts) {
			fresh = min(fresh, max(0, d.parts[i].offset-p.offset))
		}
		if fresh > 0 {
			d.parts = slices.Insert(d.parts, i, fragmentPart{p.offset, fresh, slices.Clone(p.data[:min(fresh, len(p.data))])})
			kept += len(d.parts[i].data)
		} else {
			fresh = d.parts[i].offset + d.parts[i].n - p.offset
		}
		i++
		fresh = min(fresh, p.n)
		p = fragmentPart{p.offset + fresh, p.n - fresh, p.data[min(fresh, len(p.data)):]}
	}
	return kept
}

// whole says whether the fragments cover the datagram.
func (d *datagram) whole() bool {
	if d.spoilt {
		return false
	}
	end := 0
	for _, p := range d.parts {
		if p.offset > end {
			return false
		}
		end = max(end, p.offset+p.n)
	}
	return end >= d.total
}

// join makes s the datagram d, as far as it was captured.
func (t *Table) join(d *datagram, s *segment) {
	buf := t.parts.whole[:0]
	total := d.total
	for _, p := range d.parts {
		total = max(total, p.offset+p.n)
		if p.offset > len(buf) {
			break // a gap: what is behind it cannot be placed in a header
		}
		if have := len(buf) - p.offset; have < len(p.data) {
			buf = append(buf, p.data[have:]...)
		}
	}
	t.parts.whole = buf
	*s = d.first
	s.wireLen, s.parts, s.partBytes = d.first.wireLen, d.frames-1, d.wire-d.first.wireLen
	if s.v6 {
		s.outcome = s.extensions(d.key.proto, buf, total)
	} else {
		s.outcome = s.transport(d.key.proto, buf, total)
	}
}

func (t *Table) remove(d *datagram) {
	f := &t.parts
	delete(f.open, d.key)
	d.removed = true
	for _, p := range d.parts {
		f.bytes -= len(p.data)
	}
	d.parts = nil // d itself stays in order until its turn comes
	for len(f.order) > 0 && f.order[0].removed {
		f.order = f.order[1:]
	}
}

// giveUp counts a datagram of which fragments are missing: for its flow, when
// the fragment with the ports is there.
func (t *Table) giveUp(d *datagram) {
	t.stats.Partial++
	s := &t.parts.late
	if d.headed {
		t.join(d, s)
	}
	t.remove(d)
	if d.headed && s.outcome.hasFlow() {
		s.setKey(t.seed)
		t.count(d.frame, d.time, s, 0)
	}
}

// flushParts gives up every datagram that is not whole.
func (t *Table) flushParts() {
	for len(t.parts.order) > 0 {
		t.giveUp(t.parts.order[0])
	}
}
