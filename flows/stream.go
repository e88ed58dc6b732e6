package flows

import (
	"bytes"
	"slices"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// pending is payload that lies ahead of what the dissection has had.
type pending struct {
	seq   uint32
	n     uint32 // bytes that the headers claim
	data  []byte // captured of them
	frame pcaps.FrameID
	time  int64
}

// part is n bytes of p from its byte at on.
func (p pending) part(at, n uint32) pending {
	p.data = p.data[min(int(at), len(p.data)):min(int(at+n), len(p.data))]
	p.seq, p.n = p.seq+at, n
	return p
}

// How much is kept of one direction while something before it is missing. When
// it is more, the missing part is given up: a gap.
const (
	maxHeld      = 256
	maxHeldBytes = 256 << 10
)

// deliver hands the payload of s, at seq in the stream of end, to the
// dissection: now, when it is next, later, when something before it is still
// missing. Bytes that were delivered before, or that nobody asked for, are left
// out: the first copy counts.
func (t *Table) deliver(r *record, c *tcpTrack, s *segment, seq uint32, end int, frame pcaps.FrameID, now int64) {
	x := t.extra(r)
	if x.state == nil {
		x.state = t.newState(r.proto)
		x.state.Midway = c.late
		if r.quiet != 0 { // the other end's was given back when nothing came of it
			x.state.GiveUp(r.dir(1 - end))
		}
	}
	if int32(seq-c.stream[end]) > 0 {
		t.hold(r, x, s, seq, end, frame, now)
		return
	}
	if len(x.rareOrNone().held[end]) == 0 {
		t.feed(r, x, end, pending{seq, s.payloadLen, s.payload, frame, now})
		return
	}
	t.hold(r, x, s, seq, end, frame, now) // for what of it came before
	t.release(r, x, end, false)
}

// maxSkip bounds how far ahead a stream is told to jump, so that sequence
// numbers can still be compared.
const maxSkip = 1 << 30

// feed delivers p, which begins at or before the byte that is next and ends
// behind it.
func (t *Table) feed(r *record, x *extra, end int, p pending) {
	c := t.track(r)
	had := c.stream[end] - p.seq
	c.stream[end] = p.seq + p.n
	state := x.state
	state.Frame, state.Now = uint64(p.frame), p.time
	lost := uint64(p.n) - uint64(len(p.data))
	if int(had) < len(p.data) {
		flip := state.Data(t.set, dissect.TCP, r.dir(end), r.ports(), r.oriented == BySYN, p.data[had:])
		t.turn(r, state, flip)
	} else {
		lost = uint64(p.n - had)
	}
	if lost > 0 {
		state.Gap(t.set, r.dir(end), lost)
	}
	c.stream[end] += uint32(state.Skip(r.dir(end), maxSkip))
	t.hush(r, x)
}

// hush notes which directions the dissection has had enough of, so that their
// payload is not touched again, unless it asks for more.
func (t *Table) hush(r *record, x *extra) {
	for end := range 2 {
		switch done, quiet := x.state.Done(r.dir(end)), r.quiet&(1<<end) != 0; {
		case done == quiet:
		case done:
			r.quiet |= 1 << end
			t.drop(x, end)
		default:
			r.quiet &^= 1 << end
			c := t.track(r)
			c.stream[end] = c.next[end]
		}
	}
	switch {
	case r.quiet == 3:
		t.retire(r, x)
	case r.quiet != 0 && r.proto == ProtoTCP && x.rareOrNone().holdsNone() && x.state.Blank():
		t.reuse(r, x) // until the other end speaks, which may be never
	}
}

// retire ends the dissection of r and keeps what it came to.
func (t *Table) retire(r *record, x *extra) {
	x.result = x.state.Conclude(t.set)
	t.reuse(r, x)
}

// reuse makes the State of r one for others.
func (t *Table) reuse(r *record, x *extra) {
	x.state.Reset()
	spare := t.spare(r.proto)
	*spare = append(*spare, x.state)
	x.state = nil
}

// newState returns an empty State for a flow of proto, one that was used before
// when there is one.
func (t *Table) newState(proto uint8) *dissect.State {
	spare := t.spare(proto)
	l := len(*spare)
	if l == 0 {
		return new(dissect.State)
	}
	s := (*spare)[l-1]
	*spare = (*spare)[:l-1]
	return s
}

// spare is the States that flows of proto use again. Connections have theirs: they
// have many facts, and datagrams, which have few, would keep that space for long.
func (t *Table) spare(proto uint8) *[]*dissect.State {
	if proto == ProtoTCP {
		return &t.states[0]
	}
	return &t.states[1]
}

// hold keeps s until what is before it arrives, those of its bytes that are not
// held yet: the first copy of a byte counts. Where a later one has other bytes,
// the history says so.
func (t *Table) hold(r *record, x *extra, s *segment, seq uint32, end int, frame pcaps.FrameID, now int64) {
	odd := x.makeRare()
	held := odd.held[end]
	at, _ := slices.BinarySearchFunc(held, seq, func(p pending, seq uint32) int {
		if int32(p.seq+p.n-seq) <= 0 {
			return -1
		}
		return 1
	})
	rest := pending{seq, s.payloadLen, s.payload, frame, now}
	for rest.n > 0 {
		fresh := rest.n
		if at < len(held) {
			fresh = min(fresh, uint32(max(0, int32(held[at].seq-rest.seq))))
		}
		if fresh > 0 {
			piece := rest.part(0, fresh)
			piece.data = t.keep(piece.data)
			held = slices.Insert(held, at, piece)
			t.buffered += len(piece.data)
			at++
		} else {
			p := &held[at]
			had := rest.seq - p.seq
			again := min(rest.n, p.n-had)
			if was, is := p.part(had, again).data, rest.part(0, again).data; !bytes.Equal(was[:min(len(was), len(is))], is[:min(len(was), len(is))]) {
				t.write(r, t.track(r), end, histInconsistent)
			}
			fresh = again
			at++
		}
		rest = rest.part(fresh, rest.n-fresh)
	}
	odd.held[end] = held
	kept := 0
	for i := range held {
		kept += len(held[i].data)
	}
	if len(held) > maxHeld || kept > maxHeldBytes || t.buffered+t.set.Held() > t.config.MaxBuffered {
		t.release(r, x, end, true)
	} else if t.track(r).passedOver(end, &held[0], now) {
		t.release(r, x, end, false)
	}
}

// passedOver says that what is missing before p, which end sent, was received: the
// other end acknowledged all of it, and not just now. It is missing in the capture
// only, and nobody will send it again.
func (c *tcpTrack) passedOver(end int, p *pending, now int64) bool {
	return c.acking[1-end] && int32(c.acked[1-end]-p.seq) >= 0 && now-p.time > displaced
}

// release delivers held segments that are next. What is missing before them is given
// up when it was passed over, or with force.
func (t *Table) release(r *record, x *extra, end int, force bool) {
	odd := x.rare
	if odd == nil {
		return
	}
	c := t.track(r)
	for len(odd.held[end]) > 0 {
		p := odd.held[end][0]
		ahead := int32(p.seq - c.stream[end])
		if ahead > 0 {
			if !force && !c.passedOver(end, &p, t.now) {
				return
			}
			x.state.Gap(t.set, r.dir(end), uint64(ahead))
			c.stream[end] = p.seq + uint32(x.state.Skip(r.dir(end), maxSkip))
			if t.hush(r, x); r.quiet&(1<<end) != 0 {
				return
			}
		}
		odd.held[end][0] = pending{} // or the array would keep what t.buffered no longer counts
		odd.held[end] = odd.held[end][1:]
		t.buffered -= len(p.data)
		if int32(p.seq+p.n-c.stream[end]) > 0 {
			t.feed(r, x, end, p)
		}
		t.unkeep(p.data)
	}
	odd.held[end] = nil
}

// Payload that waits is copied. The copies of full segments are used again: behind
// a hole there are many, one after the other.
const (
	keptRoom  = 1536 // bytes of a copy that is used again; one that would be half empty is not
	maxUnkept = 1024 // copies that wait to be used again
)

// keep copies b.
func (t *Table) keep(b []byte) []byte {
	if len(b) < keptRoom/2 || len(b) > keptRoom {
		return slices.Clone(b)
	}
	l := len(t.unkept)
	if l == 0 {
		return append(make([]byte, 0, keptRoom), b...)
	}
	kept := append(t.unkept[l-1], b...)
	t.unkept = t.unkept[:l-1]
	return kept
}

// unkeep gives back what keep returned, of which nothing may be left.
func (t *Table) unkeep(b []byte) {
	if cap(b) == keptRoom && len(t.unkept) < maxUnkept {
		t.unkept = append(t.unkept, b[:0])
	}
}

// holdsNone says that no segment waits for what comes before it.
func (d *rare) holdsNone() bool { return len(d.held[0])+len(d.held[1]) == 0 }

// drop forgets what is held of end.
func (t *Table) drop(x *extra, end int) {
	if x.rare == nil {
		return
	}
	for _, p := range x.rare.held[end] {
		t.buffered -= len(p.data)
		t.unkeep(p.data)
	}
	x.rare.held[end] = nil
}

// conclude delivers what is still held and ends the dissection.
func (t *Table) conclude(r *record, x *extra) {
	if r.bits&bitAwaits != 0 {
		t.resume(r)
	}
	if x.state == nil {
		return
	}
	// The earlier of the two directions first, as far as that can be told.
	first := 0
	if held := &x.rareOrNone().held; len(held[0]) > 0 && len(held[1]) > 0 && held[1][0].time < held[0][0].time {
		first = 1
	}
	t.release(r, x, first, true)
	t.release(r, x, 1-first, true)
	for end := range 2 {
		if n := t.tail(r, end); n > 0 && x.state != nil && x.state.Protocol(t.set) != "" {
			x.state.Gap(t.set, r.dir(end), n)
		}
	}
	if x.state != nil {
		r.quiet = 3
		t.retire(r, x)
	}
}

// maxTail is how far behind all that is known an acknowledgement is believed. One
// that is further is of another connection, or of a device that renumbers.
const maxTail = 1 << 20

// tail is how many bytes of end the capture lacks behind all that was delivered:
// its FIN comes behind them, or the other end acknowledged them. One that was
// acknowledged may have been a FIN.
func (t *Table) tail(r *record, end int) uint64 {
	c := t.track(r)
	if r.proto != ProtoTCP || !c.known[end] {
		return 0
	}
	high := c.next[end]
	if r.flags[end]&flagFIN != 0 {
		high--
	}
	n := int32(high - c.stream[end])
	if acked := int32(c.acked[1-end] - c.stream[end]); c.acking[1-end] && acked > 1 && acked < maxTail {
		n = max(n, acked-1)
	}
	return uint64(max(n, 0))
}

// queue is flows for which something is due after a time that is the same for all
// of them. Mostly it is the end of the dissection, when they have been silent for
// so long: what it took to read them serves the next ones while it is still in the
// cache.
type queue struct {
	list []queued
	at   int // of those before, the turn has come
}

// queued is the flow of record n, as long as that is the one that began in frame.
type queued struct {
	n     uint32
	frame uint32 // its lower half
	since int64  // packet time from which on the flow was silent, as far as the queue knows
}

// wait puts the flow of record n into q, silent from a packet time on. Time may
// stand still, in captures that somebody made: those for whom there is no room are
// concluded when they make room for others.
func (t *Table) wait(q *queue, n uint32, since int64) {
	if len(q.list) < 2*t.config.MaxFlows {
		if len(q.list) == cap(q.list) { // append would grow it by a quarter, and leave four times as much behind
			q.list = slices.Grow(q.list, max(len(q.list), 64))
		}
		q.list = append(q.list, queued{n, uint32(t.origin(n).frame), since})
	}
}

// left is how many there are whose turn has not come.
func (q *queue) left() int { return len(q.list) - q.at }

// due says that the turn of some has come: silent for that long, nanoseconds.
func (q *queue) due(now, silence int64) bool {
	return q.left() > 0 && now-q.list[q.at].since > silence
}

// next takes the first of those that are left.
func (q *queue) next() queued {
	q.at++
	return q.list[q.at-1]
}

// compact forgets those whose turn has come; not for each few of them.
func (q *queue) compact() {
	if q.at > len(q.list)/2 {
		q.list = append(q.list[:0], q.list[q.at:]...)
		q.at = 0
	}
}

// stillOf returns the record of e, nil when it has become another flow's.
func (t *Table) stillOf(e queued) *record {
	if uint32(t.origin(e.n).frame) != e.frame {
		return nil
	}
	return t.record(e.n)
}

// retireSilent ends the dissection of the flows of q that have been silent for
// that long, unless they wait for a segment. Those that went on meanwhile wait
// again.
func (t *Table) retireSilent(q *queue, silence int64) {
	for q.due(t.now, silence) {
		e := q.next()
		r := t.stillOf(e)
		if r == nil || r.extra == 0 {
			continue
		}
		x := t.extra(r)
		if t.now-r.last <= silence {
			if x.state != nil {
				t.wait(q, e.n, r.last)
			}
			continue
		}
		if x.state != nil && x.rareOrNone().holdsNone() {
			t.conclude(r, x)
		}
	}
	q.compact()
}

// grace is how long the bytes of a flow that has ended wait for packets that
// are still on their way: captures are not always in order.
const grace = int64(time.Second)

// reclaim ends the dissection of flows that are over, so that what waits in
// them makes room for others. It looks at all flows, and not again before a
// quarter as many packets have come.
func (t *Table) reclaim() {
	for n := range uint32(t.used) {
		r := t.record(n)
		silent := t.now - r.last
		over := r.bits&bitIndexed == 0 || r.ended != CaptureEnd && silent > grace || silent > int64(t.timeout(r))
		if r.bits&bitUsed != 0 && r.extra != 0 && over {
			t.conclude(r, t.extra(r))
		}
	}
	t.reclaimAt = t.stats.Packets + uint64(t.used)/4
}
