package flows

import (
	"slices"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// tcpTrack is what every packet of a followed connection touches: one cache
// line without pointers. Arrays are by end of the key: what a sent, what b sent.
type tcpTrack struct {
	next       [2]uint32 // behind the highest byte sent
	acked      [2]uint32 // highest acknowledgement sent by this end
	dataSeq    [2]uint32 // where its payload began
	stream     [2]uint32 // sequence number that the dissection waits for
	unanswered [2]uint32 // how often it sent from the same place again since the other end acknowledged something new
	seen       uint32    // packets followed
	idle       uint32    // longest silence since payload flowed both ways, milliseconds
	written    [2]uint16 // letters that are in the history
	known      [2]bool   // next is valid
	acking     [2]bool   // acked is valid
	spoke      [2]bool   // dataSeq is valid
	answered   [2]bool   // its payload was acknowledged
	shook      bool      // the client acknowledged the SYN-ACK
	late       bool      // the first packet was neither SYN nor SYN-ACK
	copied     bool      // a mirror copied packets of this flow
	shut       uint8     // ends, as bits, whose window is closed
}

// tcpDetail is the rest, which few packets touch.
type tcpDetail struct {
	opening       [2]uint32    // sequence number of the SYN, or of the first byte seen
	early         [2][2]uint32 // signatures of the first packets
	told          bool         // opening of the client is that of a SYN that was not followed, or what the SYN-ACK acknowledged
	syns, synacks uint32
	rtt           int64

	history [24]byte // index into historyLetters, | 0x80 for end b
	letters uint8

	synackFrame pcaps.FrameID
	idleFrame   pcaps.FrameID
	dataFrame   [2]pcaps.FrameID

	// The same packets counted as tcpTrack.seen counts.
	idleNth, resetNth uint32
	dataNth           [2]uint32
}

// resetFar says that the first RST is too many frames away to be counted.
const resetFar = 1<<32 - 1

// hole is a part of a stream that was skipped: [low, high).
type hole struct{ low, high uint32 }

const (
	maxHoles  = 64                 // remembered of each end: what is on its way at once, out of order
	maxBehind = 1 << 30            // bytes from the oldest of them to the end of the stream, so that places can still be compared
	leastIdle = int64(time.Second) // a silence that is worth remembering
)

// The letters of Zeek's history, capital when the client sent it.
const historyLetters = "shadfrgtwiq"

const (
	histSYN = iota
	histSYNACK
	histACK
	histData
	histFIN
	histRST
	histGap
	histRetransmission
	histZeroWindow
	histInconsistent
	histMultiFlag
)

// write adds a letter to the history, the first time that end has earned it.
func (t *Table) write(r *record, c *tcpTrack, end, letter int) {
	if c.written[end]&(1<<letter) != 0 {
		return
	}
	c.written[end] |= 1 << letter
	d := &t.extra(r).tcp
	if int(d.letters) < len(d.history) {
		d.history[d.letters] = byte(letter | end<<7)
		d.letters++
	}
}

// tcp follows the connection of r, which is record n, through s, sent by end.
//
// A flow of a SYN, of SYNs repeated, or of a SYN and the RST that refused it is
// not followed: a flood of them costs a record each and nothing more.
func (t *Table) tcp(r *record, n uint32, s *segment, end int, frame pcaps.FrameID, now int64) {
	flags := s.flags & (flagFIN | flagSYN | flagRST | flagACK)
	simple := flags == flagSYN && s.payloadLen == 0 || flags&flagRST != 0
	var c *tcpTrack
	if r.extra != 0 || !simple && t.tracked < t.config.MaxTracked {
		if r.extra == 0 {
			t.extra(r).mac[end] = s.srcMAC
		}
		if c = t.track(r); c.seen == 0 {
			t.start(r, t.origin(n), c, s, end)
		} else if r.bits&bitAwaits != 0 && t.overdue(r, now) {
			t.resume(r)
		}
	}
	if flags&flagRST != 0 && (r.flags[0]|r.flags[1])&flagRST == 0 {
		o := t.origin(n)
		r.resetTTL = s.ttl
		o.resetAfter = resetFar
		if after := uint64(frame) - uint64(o.frame); after < resetFar {
			o.resetAfter = uint32(after)
		} else if r.extra != 0 { // in another file
			t.extra(r).makeRare().resetFrame = frame
		}
		if t.oddReset(r, o, s, end) {
			r.bits |= bitOddReset
		}
	}
	if c == nil {
		r.flags[end] |= flags
		switch {
		case flags == flagSYN:
			t.origin(n).opens(s.seq+s.payloadLen, r)
			if r.oriented != BySYN { // its refusal came first: captures are not always in order
				if end != r.client() {
					r.swap(BySYN)
				}
				r.oriented = BySYN
			}
		case flags == flagRST|flagACK && r.flags[1-end] == 0 && r.flags[end]&flagSYN == 0:
			t.origin(n).opening = uint16(s.ack - 1)
		}
		t.ending(r, n, end, flags)
		return
	}
	c.seen++
	if flags&flagRST != 0 && (r.flags[0]|r.flags[1])&flagRST == 0 {
		t.extra(r).tcp.resetNth = c.seen
		if r.bits&bitOddReset == 0 {
			c.believe(s, end)
		}
	}
	if nth := r.packets[end]; nth <= 2 {
		x := t.extra(r)
		x.tcp.early[end][nth-1] = s.signature(now)
		x.mac[end] = s.srcMAC
		if flags&flagRST == 0 {
			x.ttl[end] = s.ttl
		}
	}

	switch {
	case flags&flagSYN != 0:
		t.open(r, c, s, end, frame)
	case !c.shook && flags&(flagACK|flagRST) == flagACK && end == r.client():
		t.shake(r, t.origin(n), c, now)
	}
	r.flags[end] |= flags

	// A silence while something waits for its acknowledgement is no idleness.
	if idle := now - r.last; idle > max(int64(c.idle)*1e6, leastIdle) && c.spoke[0] && c.spoke[1] && !c.waits(0) && !c.waits(1) {
		c.idle = uint32(min(idle/1e6, 1<<32-1))
		d := &t.extra(r).tcp
		d.idleFrame, d.idleNth = frame, c.seen
	}
	// What was acknowledged.
	if flags&(flagACK|flagRST) == flagACK {
		other := 1 - end
		if !c.acking[end] || int32(s.ack-c.acked[end]) > 0 {
			c.acked[end], c.acking[end] = s.ack, true
			c.unanswered[other] = 0
		}
		if c.spoke[other] && int32(s.ack-c.dataSeq[other]) > 0 {
			c.answered[other] = true
		}
	}
	if s.sack != 0 {
		d := t.extra(r).makeRare()
		if other := 1 - end; d.sacked[other] == 0 || d.sackedFrom[other] != s.ack || s.sack < d.sacked[other] {
			d.sacked[other], d.sackedFrom[other] = s.sack, s.ack
		}
	}
	if c.shut != 0 {
		t.shut(r, c, s, end, now)
	}
	// Most packets add no letter: data or an acknowledgement, again.
	plain := uint16(1 << histACK)
	if s.payloadLen > 0 {
		plain = 1 << histData
	}
	if flags != flagACK || s.window == 0 || c.written[end]&plain == 0 {
		t.letter(r, c, s, flags, end)
		if s.window == 0 && flags&(flagSYN|flagRST) == 0 && c.shut&(1<<end) == 0 {
			c.shut |= 1 << end
			t.extra(r).makeRare().shut[end] = window{frame, now, now}
		}
	}
	switch {
	case flags&flagRST != 0:
	case r.bits&bitAwaits != 0 || s.payloadLen > 0 && !c.spoke[end] && t.unplaced(r, end):
		t.await(r, n, c, s, end, flags, frame, now)
	default:
		t.sequence(r, c, s, end, flags, frame, now)
	}
	if flags&(flagFIN|flagRST) != 0 {
		t.ending(r, n, end, flags)
	}
}

// waits says whether bytes of end are known to be on their way: sent, and not
// acknowledged.
func (c *tcpTrack) waits(end int) bool {
	return c.acking[1-end] && c.known[end] && int32(c.next[end]-c.acked[1-end]) > 0
}

// oddReset says whether the first RST, sent by end, has numbers that the end
// would not have given it (RFC 9293 section 3.10.7.1): in answer to a SYN an
// acknowledgement of that SYN, later a place in the stream that is being sent.
// Whoever makes up a reset on the way often guesses.
func (t *Table) oddReset(r *record, o *origin, s *segment, end int) bool {
	other := 1 - end
	if r.extra == 0 || t.track(r).seen == 0 {
		return r.flags[other]&(flagSYN|flagACK) == flagSYN && (s.flags&flagACK == 0 || uint16(s.ack-1) != o.opening)
	}
	c := t.track(r)
	far := func(a, b uint32) bool { d := int32(a - b); return d > oddDistance || d < -oddDistance }
	return c.known[end] && far(s.seq, c.next[end]) && (!c.acking[other] || far(s.seq, c.acked[other])) ||
		s.flags&flagACK != 0 && c.known[other] && far(s.ack, c.next[other])
}

// believe takes from the first RST, sent by end, what the host had sent and
// received: some of it may be missing from the capture, right before the RST.
func (c *tcpTrack) believe(s *segment, end int) {
	other := 1 - end
	if beyond := int32(s.seq - c.next[end]); c.known[end] && c.acking[other] && beyond > 0 && beyond < oddDistance {
		c.acked[other] = s.seq
	}
	if beyond := int32(s.ack - c.next[other]); s.flags&flagACK != 0 && c.known[other] && c.acking[end] && beyond > 0 && beyond < oddDistance {
		c.acked[end] = s.ack
	}
}

// oddDistance is how far from the stream a reset's numbers are beyond doubt:
// more than is lost from a capture between two packets.
const oddDistance = 1 << 20

// shut follows a closed window of either end.
func (t *Table) shut(r *record, c *tcpTrack, s *segment, end int, now int64) {
	if c.shut&(1<<end) == 0 || s.flags&(flagSYN|flagRST) != 0 {
		return
	}
	d := t.extra(r).makeRare()
	w := &d.shut[end]
	w.until = max(w.until, now)
	if s.window == 0 {
		return
	}
	c.shut &^= 1 << end
	if before := &d.shutBefore[end]; before.frame == 0 || w.length() > before.length() {
		*before = *w
	}
	*w = window{}
}

// start takes over what the record knows of packets that were not followed.
func (t *Table) start(r *record, o *origin, c *tcpTrack, s *segment, end int) {
	x := t.extra(r)
	d := &x.tcp
	client := r.client()
	switch {
	case r.flags[client]&(flagSYN|flagACK) == flagSYN|flagACK:
		// Not followed until now for want of room, and so not from its start.
		d.syns, c.late = 1, true
		t.write(r, c, client, histSYN)
	case r.flags[client]&flagSYN != 0:
		d.syns = r.distinct(x, client)
		if end == client {
			d.syns--
		}
		if r.flags[client]&flagRST != 0 {
			d.syns = max(d.syns-1, 1)
		}
		t.write(r, c, client, histSYN)
		d.early[client][0] = r.signature[client]
		first, ok := o.opened(r)
		if s.flags&flagSYN != 0 {
			first, ok = s.ack-1, end != client && s.flags&flagACK != 0
		}
		if ok {
			d.opening[client], c.next[client], c.known[client] = first, first+1, true
			c.stream[client], d.told = first+1, true
		}
	case s.flags&flagSYN == 0:
		c.late = true
	}
	for end := range 2 { // it came before what it refused
		if r.flags[end]&flagRST != 0 {
			t.write(r, c, end, histRST)
		}
	}
}

// opens notes the sequence number of a SYN that is not followed.
func (o *origin) opens(seq uint32, r *record) {
	o.opening = uint16(seq)
	if (r.flags[0]|r.flags[1])&flagRST == 0 {
		o.resetAfter = seq >> 16
	}
}

// opened is that number, where it is known whole.
func (o *origin) opened(r *record) (seq uint32, ok bool) {
	return o.resetAfter<<16 | uint32(o.opening), (r.flags[0]|r.flags[1])&flagRST == 0
}

// shake notes that the client acknowledged the SYN-ACK, or went on as if it
// had: of a connection captured one way nothing else is seen.
func (t *Table) shake(r *record, o *origin, c *tcpTrack, now int64) {
	c.shook = true
	if d := &t.extra(r).tcp; d.syns == 1 && d.synacks == 1 {
		d.rtt = now - o.start
	}
}

// open takes a SYN or a SYN-ACK.
func (t *Table) open(r *record, c *tcpTrack, s *segment, end int, frame pcaps.FrameID) {
	d := &t.extra(r).tcp
	if r.oriented != BySYN { // the flow began without it: captures are not always in order
		if isClient := s.flags&flagACK == 0; isClient != (end == r.client()) {
			r.swap(BySYN)
		}
		r.oriented = BySYN
	}
	if r.flags[end]&flagSYN == 0 {
		// Where its first bytes came behind others, they were not read.
		unread := c.spoke[end] && c.dataSeq[end] != s.seq+1
		c.late = unread || c.late && r.flags[1-end]&flagSYN != 0
	}
	if s.flags&flagACK == 0 {
		d.syns++
		// The SYN-ACK that answers it may be the last one all over.
		r.signature[1-end] ^= 1 << 31
		d.early[1-end] = [2]uint32{}
	} else {
		d.synacks++
		if d.synackFrame == 0 {
			d.synackFrame = frame
		}
	}
	d.opening[end] = s.seq
	first := s.seq + 1
	switch ahead := c.next[end] - first; {
	case !c.known[end]:
		c.next[end], c.known[end] = first, true
		c.stream[end] = first
	case !c.spoke[end] && ahead > 0 && ahead < 1<<16:
		// Acknowledgements came before it, or what has been put off: all that
		// lies between is still to come.
		high := c.next[end]
		if r.flags[end]&flagFIN != 0 {
			high--
		}
		if c.stream[end] = first; high != first {
			t.extra(r).makeRare().holes[end] = []hole{{first, high}}
		}
	}
}

// letter writes the history of one packet.
func (t *Table) letter(r *record, c *tcpTrack, s *segment, flags uint8, end int) {
	switch {
	case flags&flagSYN != 0 && flags&(flagFIN|flagRST) != 0:
		t.write(r, c, end, histMultiFlag)
	case flags&(flagSYN|flagACK) == flagSYN|flagACK:
		t.write(r, c, end, histSYNACK)
	case flags&flagSYN != 0:
		t.write(r, c, end, histSYN)
	case flags&flagRST != 0:
		t.write(r, c, end, histRST)
	}
	if s.payloadLen > 0 {
		t.write(r, c, end, histData)
	} else if flags == flagACK {
		t.write(r, c, end, histACK)
	}
	if flags&(flagFIN|flagRST) == flagFIN {
		t.write(r, c, end, histFIN)
	}
	if s.window == 0 && flags&(flagSYN|flagRST) == 0 {
		t.write(r, c, end, histZeroWindow)
	}
	if flags&(flagFIN|flagRST) == flagFIN|flagRST {
		t.write(r, c, end, histInconsistent)
	}
}

// ending notes FIN and RST.
func (t *Table) ending(r *record, n uint32, end int, flags uint8) {
	before := r.ended
	switch {
	case r.ended == Closed:
	case r.flags[0]&flagFIN != 0 && r.flags[1]&flagFIN != 0:
		r.ended = Closed
	case flags&flagRST != 0:
		r.ended = Reset
	}
	if before == CaptureEnd && r.ended != CaptureEnd && r.extra != 0 && r.quiet != 3 {
		t.wait(&t.ended, n, t.now)
	}
}

// locate begins the stream of end at seq, or where the other end said that it
// goes on.
func (t *Table) locate(r *record, c *tcpTrack, seq uint32, end int) {
	t.extra(r).tcp.opening[end], c.next[end], c.known[end] = seq, seq, true
	if other := 1 - end; !c.late && c.acking[other] && seq-c.acked[other] < 1<<16 {
		// The SYN is missing from the capture; the other end told what it had received.
		c.next[end] = c.acked[other]
	}
	c.stream[end] = c.next[end]
}

// sequence places the payload of s in the stream of end, counts what is new,
// repeated and missing, and delivers what is in order.
func (t *Table) sequence(r *record, c *tcpTrack, s *segment, end int, flags uint8, frame pcaps.FrameID, now int64) {
	seq, n := s.seq, s.payloadLen
	if flags&flagSYN != 0 {
		seq++
	}
	if !c.known[end] {
		t.locate(r, c, seq, end)
	}
	if !c.spoke[end] && end == r.client() {
		// The client is nowhere near its SYN, or what a SYN-ACK said of it: that
		// was of another connection of these ports, or the capture has both
		// sides of a device that renumbers.
		if far := int32(seq - c.next[end]); (far >= 1<<16 || far <= -1<<16) && t.extra(r).tcp.told {
			c.next[end], c.stream[end] = seq, seq
		}
	}
	if n > 0 && !c.spoke[end] {
		d := &t.extra(r).tcp
		c.spoke[end], c.dataSeq[end] = true, seq
		d.dataFrame[end], d.dataNth[end] = frame, c.seen
		behind := int32(seq-c.next[end]) < 0 && r.flags[end]&flagSYN == 0 && !(n == 1 && seq+1 == c.next[end])
		if c.late || behind { // what came before is unknown anyway, or was an acknowledgement that came too soon: this is where reading begins
			c.next[end], c.stream[end] = seq, seq
		}
	}
	switch ahead := int32(seq - c.next[end]); {
	case ahead == 0:
		c.next[end] = seq + n
	case ahead >= maxBehind: // no window reaches so far (RFC 7323 section 2.3): it is of another connection of these ports
		if n > 0 {
			c.next[end] = seq + n
		}
	case ahead > 0: // something in between was not seen, or not yet
		t.dig(r, c, end, hole{c.next[end], seq})
		c.next[end] = seq + n
	case n == 0: // an old acknowledgement
	case int32(seq+n-c.next[end]) > 0: // begins before what is new
		t.fill(r, c, end, hole{seq, c.next[end]})
		c.next[end] = seq + n
	case n == 1 && ahead == -1: // keep-alive
	default:
		t.repeat(r, c, end, hole{seq, seq + n}, frame, now)
	}
	switch {
	case flags&flagFIN == 0:
	case c.next[end] == seq+n:
		c.next[end]++
	case t.extra(r).rare != nil: // it comes behind what was sent after it: its own number is no gap
		t.fill(r, c, end, hole{seq + n, seq + n + 1})
	}
	if n > 0 && r.quiet&(1<<end) == 0 && int32(seq+n-c.stream[end]) > 0 {
		t.deliver(r, c, s, seq, end, frame, now)
	}
}

// repeat takes payload that lies behind the highest byte seen: it fills a hole,
// and came late, or it was sent again.
func (t *Table) repeat(r *record, c *tcpTrack, end int, h hole, frame pcaps.FrameID, now int64) {
	d := t.extra(r).makeRare()
	if t.fill(r, c, end, h) {
		d.outOfOrder[end]++
		return
	}
	d.retransmitted[end]++
	t.write(r, c, end, histRetransmission)
	if c.shut&(1<<(1-end)) != 0 {
		return // a probe of a closed window, which is answered by saying so again
	}
	if c.unanswered[end] == 0 {
		d.unansweredFrame[end], d.unansweredNth[end] = frame, c.seen
	}
	// What counts is how often the sender went back to the same place: many
	// segments behind it may be sent again in one go, and where frames are out of
	// order, or copies that were not recognised, it only seems to go back. No
	// sender waits so little for an answer.
	const soon = uint32(displaced / int64(time.Millisecond))
	at := uint32(now / int64(time.Millisecond))
	if c.unanswered[end] > 0 && (int32(h.low-d.back[end]) > 0 || now != 0 && at-d.backAt[end]+soon < 2*soon) {
		return
	}
	d.back[end], d.backAt[end] = h.low, at
	c.unanswered[end]++
	if c.unanswered[end] > d.stalled[end] {
		d.stalled[end], d.stalledFrame[end], d.stalledNth[end] = c.unanswered[end], d.unansweredFrame[end], d.unansweredNth[end]
		d.stalledAt[end] = h
	}
}

// displaced is how far from their places frames may be, by packet time, in a
// capture that is not in order: of the ports of a mirror that were merged, or of
// the queues of a card.
const displaced = int64(10 * time.Millisecond)

// near says whether two packet times are so close that which came first is not
// known.
func near(a, b int64) bool { return a-b < displaced && b-a < displaced }

// dig records bytes that were passed over, behind all that were before.
func (t *Table) dig(r *record, c *tcpTrack, end int, h hole) {
	d := t.extra(r).makeRare()
	d.holes[end] = append(d.holes[end], h)
	d.forget(c, end)
}

// forget gives up the oldest holes of end where there are too many. What comes
// late after all then belongs to them when it lies before the last of these.
func (d *rare) forget(c *tcpTrack, end int) {
	past := &d.past[end]
	if past.low != past.high && c.next[end]-past.low > maxBehind {
		*past = hole{}
	}
	holes := d.holes[end]
	for len(holes) > maxHoles || len(holes) > 0 && c.next[end]-holes[0].low > maxBehind {
		h := holes[0]
		d.missed[end] += uint64(h.high - h.low)
		if past.low == past.high {
			past.low = h.low
		}
		past.high = h.high
		holes = slices.Delete(holes, 0, 1)
	}
	d.holes[end] = holes
}

// fill takes the bytes of h out of the holes and says whether there were any.
func (t *Table) fill(r *record, c *tcpTrack, end int, h hole) bool {
	d := t.extra(r).makeRare()
	holes := d.holes[end]
	at, _ := slices.BinarySearchFunc(holes, h.low, func(o hole, low uint32) int {
		if int32(o.high-low) <= 0 {
			return -1
		}
		return 1
	})
	filled := false
	for at < len(holes) && int32(h.high-holes[at].low) > 0 {
		filled = true
		o := &holes[at]
		before, after := int32(h.low-o.low) > 0, int32(o.high-h.high) > 0
		switch {
		case before && after: // in the middle: two holes
			rest := hole{h.high, o.high}
			o.high = h.low
			holes = slices.Insert(holes, at+1, rest)
			at += 2
		case before:
			o.high = h.low
			at++
		case after:
			o.low = h.high
			at++
		default:
			holes = slices.Delete(holes, at, at+1)
		}
	}
	d.holes[end] = holes
	d.forget(c, end)
	if past := d.past[end]; !filled && int32(h.low-past.low) >= 0 && int32(past.high-h.high) >= 0 && d.missed[end] > 0 {
		d.missed[end] -= min(d.missed[end], uint64(h.high-h.low))
		filled = true
	}
	return filled
}

// gaps is how many bytes of end are missing.
func (d *rare) gaps(end int) uint64 {
	n := d.missed[end]
	for _, h := range d.holes[end] {
		n += uint64(h.high - h.low)
	}
	return n
}

// state names how the connection went, as Zeek does.
// replied says that the server acknowledged something other than by its RST.
func connState(r *record, x *extra, replied bool) ConnState {
	client := r.client()
	c, s := r.flags[client], r.flags[1-client]
	syn := c&flagSYN != 0
	synack := s&flagSYN != 0
	var resetFirst int
	if (c|s)&flagRST != 0 {
		resetFirst = r.resetEnd(x)
	}
	closed := c&flagFIN != 0 && s&flagFIN != 0
	switch {
	case syn && !synack:
		switch {
		case replied: // the SYN-ACK is missing from the capture
			return established(c, s, closed, resetFirst, client)
		case s&flagRST != 0:
			return StateREJ
		case c&flagRST != 0:
			return StateRSTOS0
		case c&flagFIN != 0:
			return StateSH
		}
		return StateS0
	case !syn && synack:
		switch {
		case s&flagRST != 0 && c == 0:
			return StateRSTRH
		case s&flagFIN != 0 && c == 0:
			return StateSHR
		case c&flagACK != 0:
			return established(c, s, closed, resetFirst, client)
		}
		return StateOTH
	case syn && synack:
		return established(c, s, closed, resetFirst, client)
	}
	return StateOTH
}

func established(c, s uint8, closed bool, resetEnd, client int) ConnState {
	switch {
	case closed:
		return StateSF
	case (c|s)&flagRST != 0 && resetEnd == client:
		return StateRSTO
	case (c|s)&flagRST != 0:
		return StateRSTR
	case c&flagFIN != 0:
		return StateS2
	case s&flagFIN != 0:
		return StateS3
	}
	return StateS1
}

// resetEnd is the end that sent the first RST.
func (r *record) resetEnd(x *extra) int {
	if r.flags[0]&flagRST == 0 {
		return 1
	}
	if r.flags[1]&flagRST == 0 {
		return 0
	}
	if x != nil {
		for _, l := range x.tcp.history[:x.tcp.letters] {
			if l&0x7f == histRST {
				return int(l >> 7)
			}
		}
	}
	return r.client()
}

// history is Zeek's, with ^ in front when the ends were swapped.
func (t *Table) history(r *record, x *extra) string {
	client := r.client()
	if x == nil && r.bits&bitFlipped == 0 && r.flags[client] == flagSYN { // what floods consist of
		switch r.flags[1-client] &^ flagACK {
		case 0:
			if r.flags[1-client] == 0 {
				return "S"
			}
		case flagRST:
			return "Sr"
		}
	}
	var b [32]byte
	h := b[:0]
	if r.bits&bitFlipped != 0 {
		h = append(h, '^')
	}
	letter := func(l, end int) {
		ch := historyLetters[l]
		if end == client {
			ch -= 'a' - 'A'
		}
		h = append(h, ch)
	}
	if x == nil || t.track(r).seen == 0 {
		for _, end := range [2]int{client, 1 - client} {
			f := r.flags[end]
			switch {
			case f&(flagSYN|flagACK) == flagSYN|flagACK && end != client: // the client's ACK is its RST's
				letter(histSYNACK, end)
			case f&flagSYN != 0:
				letter(histSYN, end)
			}
			if f&flagRST != 0 {
				letter(histRST, end)
			}
		}
		return t.historyOf(h)
	}
	for _, l := range x.tcp.history[:x.tcp.letters] {
		letter(int(l&0x7f), int(l>>7))
	}
	for _, end := range [2]int{client, 1 - client} { // holes that nothing filled
		if x.rareOrNone().gaps(end) > 0 {
			letter(histGap, end)
		}
	}
	return t.historyOf(h)
}

// historyOf is h as a string: most connections have one of a few histories.
func (t *Table) historyOf(h []byte) string {
	s, ok := t.histories[string(h)]
	if !ok {
		s = string(h)
		if len(t.histories) < maxHistories {
			t.histories[s] = s
		}
	}
	return s
}

const maxHistories = 1 << 10 // that are kept to be used again

// syns is how many SYNs the client sent of a flow that is not followed; x may be
// nil. Once it has acknowledged something, its packets are no longer told apart.
func (r *record) syns(x *extra) uint32 {
	client := r.client()
	switch flags := r.flags[client]; {
	case flags&flagSYN == 0:
		return 0
	case flags&flagACK != 0:
		return 1
	case flags&flagRST != 0:
		return max(r.distinct(x, client)-1, 1)
	}
	return r.distinct(x, client)
}

// distinct is how many packets end sent without the copies that a mirror made; x
// may be nil.
func (r *record) distinct(x *extra, end int) uint32 {
	if x == nil {
		return r.packets[end]
	}
	return r.packets[end] - x.rareOrNone().copies[end]
}

// viewTCP fills in f.TCP.
func (t *Table) viewTCP(r *record, o *origin, x *extra, f *Flow) {
	client := r.client()
	c := &f.TCP
	var replied bool
	followed := x != nil && t.track(r).seen > 0
	if followed {
		replied = t.track(r).acking[1-client]
	} else {
		replied = r.flags[1-client]&(flagACK|flagRST) == flagACK
	}
	c.State = connState(r, x, replied)
	c.PortsOnly = !followed && r.flags == [2]uint8{}
	c.ScanFlags = !c.PortsOnly && r.packets[client] > 0 && r.flags[client]&(flagSYN|flagACK|flagRST) == 0
	c.History = t.history(r, x)
	if (r.flags[0]|r.flags[1])&flagRST != 0 {
		c.ResetBy = ResetByServer
		if r.resetEnd(x) == client {
			c.ResetBy = ResetByClient
		}
		c.ResetTTL, c.ResetOdd = r.resetTTL, r.bits&bitOddReset != 0
		switch {
		case o.resetAfter != resetFar:
			c.ResetFrame = o.frame + pcaps.FrameID(o.resetAfter)
		case x != nil:
			c.ResetFrame = x.rareOrNone().resetFrame
		}
	}
	if !followed {
		c.SYNs = r.syns(x)
		return
	}
	d, k, odd := &x.tcp, t.track(r), x.rareOrNone()
	c.SYNs, c.SYNACKs, c.Acked, c.RTT = d.syns, d.synacks, k.shook, d.rtt
	c.SYNACKFrame = d.synackFrame
	c.LongestIdle, c.LongestIdleFrame = int64(k.idle)*1e6, d.idleFrame
	c.LongestIdleNth, c.ResetNth = d.idleNth, d.resetNth
	unanswered := uint32(0)
	for end := range 2 {
		dir := r.dir(end)
		c.DataFrame[dir], c.DataNth[dir] = d.dataFrame[end], d.dataNth[end]
		c.AckedData[dir] = k.answered[end]
		c.ISN[dir] = d.opening[end]
		c.Unanswered[dir] = k.unanswered[end]
		if k.unanswered[end] > 0 && (c.UnansweredFrame == 0 || odd.unansweredNth[end] < unanswered) {
			c.UnansweredFrame, unanswered = odd.unansweredFrame[end], odd.unansweredNth[end]
		}
		c.TTL[dir], c.Routed[dir] = x.ttl[end], odd.routed[end]
		c.Stalled[dir], c.StalledFrame[dir], c.StalledNth[dir] = odd.stalled[end], odd.stalledFrame[end], odd.stalledNth[end]
		stuck := odd.stalledAt[end]
		c.LargeLost[dir] = odd.sacked[end] > 0 && odd.sackedFrom[end] == stuck.low && odd.sacked[end] < stuck.high-stuck.low
		c.Unseen[dir] = k.acking[1-end] && k.known[end] && int32(k.acked[1-end]-k.next[end]) > 0
		shut := &odd.shut[end]
		if before := &odd.shutBefore[end]; before.length() > shut.length() {
			shut = before
		} else if shut.frame != 0 {
			shut = &window{shut.frame, shut.since, r.last}
			c.StillShut[dir] = true
		}
		c.ZeroWindow[dir], c.ZeroWindowFrame[dir] = shut.length(), shut.frame
		f.Missed[dir] = odd.gaps(end)
		f.Retransmitted[dir] = uint64(odd.retransmitted[end])
		f.OutOfOrder[dir] = uint64(odd.outOfOrder[end])
	}
	f.Dissect.Late = k.late && !c.ScanFlags
}

var noFacts = &dissect.Facts{}
