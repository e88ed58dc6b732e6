package flows

import (
	"wirechart/dissect"
	"wirechart/pcaps"
)

// tcpTrack follows one TCP connection. Arrays are by end of the key: what a
// sent, what b sent.
type tcpTrack struct {
	seen    uint32    // packets followed
	known   [2]bool   // opening and next are valid
	opening [2]uint32 // sequence number of the SYN, or of the first byte seen
	next    [2]uint32 // behind the highest byte sent
	acked   [2]uint32 // highest acknowledgement sent by this end
	acking  [2]bool   // acked is valid
	holes   [2][maxHoles]hole
	stream  [2]uint32 // sequence number that the dissection waits for
	flowing [2]bool   // stream is valid
	late    bool      // the first packet was neither SYN nor SYN-ACK

	missed                    [2]uint64 // bytes of holes that had to be forgotten
	retransmitted, outOfOrder [2]uint32

	syns, synacks uint32
	shook         bool // the client acknowledged the SYN-ACK
	rtt           int64

	history  [24]byte // index into historyLetters, | 0x80 for end b
	letters  uint8
	written  [2]uint16 // letters already in history
	answered [2]bool   // payload of this end was acknowledged

	unanswered      [2]uint32
	unansweredFrame [2]pcaps.FrameID
	longestIdle     int64
	idleFrame       pcaps.FrameID
	synackFrame     pcaps.FrameID
	dataFrame       [2]pcaps.FrameID
	dataSeq         [2]uint32

	signatures [2][recent]uint32 // of the last packets of each end
	times      [2][recent]uint32 // when they came, microseconds modulo 2^32
	at         [2]uint8
}

// recent is how many packets of its direction a copy may come behind: a mirror
// that sees a burst go in and out hands over one whole burst and then the other.
const recent = 16

// hole is a part of a stream that was skipped: [low, high).
type hole struct{ low, high uint32 }

const maxHoles = 3

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

func (c *tcpTrack) write(end, letter int) {
	if c.written[end]&(1<<letter) != 0 {
		return
	}
	c.written[end] |= 1 << letter
	if int(c.letters) < len(c.history) {
		c.history[c.letters] = byte(letter | end<<7)
		c.letters++
	}
}

// isCopy looks for signature among the last packets of end.
// What brings something new cannot be a copy and is not looked for.
func (c *tcpTrack) isCopy(s *segment, end int, signature uint32, now, window int64) bool {
	us := uint32(now / 1000)
	fresh := c.known[end] && int32(s.seq+s.payloadLen-c.next[end]) > 0 ||
		c.acking[end] && int32(s.ack-c.acked[end]) > 0
	if fresh {
		return false
	}
	limit := uint32(window / 1000)
	for i, x := range &c.signatures[end] {
		if x == signature && us-c.times[end][i]+limit <= 2*limit {
			return true
		}
	}
	return false
}

// remember keeps the signature of a packet of end for the copies that may come.
func (c *tcpTrack) remember(end int, signature uint32, now int64) {
	at := c.at[end] % recent
	c.signatures[end][at], c.times[end][at] = signature, uint32(now/1000)
	c.at[end]++
}

// tcp follows the connection of r through s, sent by end.
//
// A flow of a SYN, of SYNs repeated, or of a SYN and the RST that refused it is
// not followed: a flood of them costs a record each and nothing more.
func (t *Table) tcp(r *record, s *segment, end int, frame pcaps.FrameID, now int64) {
	flags := s.flags & (flagFIN | flagSYN | flagRST | flagACK)
	if flags&flagRST != 0 && (r.flags[0]|r.flags[1])&flagRST == 0 {
		r.resetTTL = s.ttl
		if after := uint64(frame) - uint64(r.frame); after < 1<<32 {
			r.resetAfter = uint32(after)
		}
	}
	simple := flags == flagSYN && s.payloadLen == 0 || flags&flagRST != 0
	if r.extra == 0 && (simple || t.tracked >= t.config.MaxTracked) {
		r.flags[end] |= flags
		t.ending(r, end, flags)
		return
	}
	x := t.extra(r)
	c := &x.tcp
	if c.seen == 0 {
		c.start(r, s, end)
	}
	if x.mac[end] == (MAC{}) {
		x.mac[end] = s.srcMAC
	}
	c.seen++
	client := r.client()

	switch {
	case flags&flagSYN != 0:
		t.open(r, x, s, end, frame)
	case flags&flagACK != 0 && flags&flagRST == 0 && end == client:
		if c.synacks > 0 || r.flags[1-end]&flagSYN == 0 {
			if !c.shook && c.synacks > 0 && c.syns == 1 && c.synacks == 1 {
				c.rtt = now - r.start
			}
			c.shook = true
		}
	}
	r.flags[end] |= flags

	// What was acknowledged.
	if flags&flagACK != 0 && flags&flagRST == 0 {
		other := 1 - end
		if !c.acking[end] || int32(s.ack-c.acked[end]) > 0 {
			c.acked[end], c.acking[end] = s.ack, true
			c.unanswered[other] = 0
		}
		if c.dataFrame[other] != 0 && int32(s.ack-c.dataSeq[other]) > 0 {
			c.answered[other] = true
		}
	}
	if c.dataFrame[0] != 0 && c.dataFrame[1] != 0 {
		if idle := now - r.last; idle > c.longestIdle {
			c.longestIdle, c.idleFrame = idle, frame
		}
	}
	c.letterOf(s, flags, end)
	t.sequence(r, x, s, end, flags, frame, now)
	t.ending(r, end, flags)
}

// start takes over what the record knows of packets that were not followed.
func (c *tcpTrack) start(r *record, s *segment, end int) {
	client := r.client()
	if r.flags[client]&flagSYN != 0 {
		c.syns = r.packets[client]
		if end == client {
			c.syns--
		}
		c.write(client, histSYN)
		if end != client && s.flags&(flagSYN|flagACK) == flagSYN|flagACK {
			c.opening[client], c.next[client], c.known[client] = s.ack-1, s.ack, true
			c.stream[client], c.flowing[client] = s.ack, true
		}
	} else if s.flags&flagSYN == 0 {
		c.late = true
	}
}

// open takes a SYN or a SYN-ACK.
func (t *Table) open(r *record, x *extra, s *segment, end int, frame pcaps.FrameID) {
	c := &x.tcp
	if r.oriented != BySYN { // the flow began without it: captures are not always in order
		isClient := s.flags&flagACK == 0
		if isClient != (end == r.client()) {
			r.swap(BySYN)
		}
		r.oriented = BySYN
	}
	c.late = false
	if s.flags&flagACK == 0 {
		c.syns++
	} else {
		c.synacks++
		if c.synackFrame == 0 {
			c.synackFrame = frame
		}
	}
	if !c.known[end] {
		c.opening[end], c.next[end], c.known[end] = s.seq, s.seq+1, true
		c.stream[end], c.flowing[end] = s.seq+1, true
	}
}

// letterOf writes the history of one packet.
func (c *tcpTrack) letterOf(s *segment, flags uint8, end int) {
	switch {
	case flags&flagSYN != 0 && flags&(flagFIN|flagRST) != 0:
		c.write(end, histMultiFlag)
	case flags&(flagSYN|flagACK) == flagSYN|flagACK:
		c.write(end, histSYNACK)
	case flags&flagSYN != 0:
		c.write(end, histSYN)
	case flags&flagRST != 0:
		c.write(end, histRST)
	}
	if s.payloadLen > 0 {
		c.write(end, histData)
	} else if flags == flagACK {
		c.write(end, histACK)
	}
	if flags&flagFIN != 0 && flags&flagRST == 0 {
		c.write(end, histFIN)
	}
	if s.window == 0 && flags&(flagSYN|flagRST) == 0 {
		c.write(end, histZeroWindow)
	}
}

// ending notes FIN and RST.
func (t *Table) ending(r *record, end int, flags uint8) {
	switch {
	case r.ended == Closed:
	case r.flags[0]&flagFIN != 0 && r.flags[1]&flagFIN != 0:
		r.ended = Closed
	case flags&flagRST != 0:
		r.ended = Reset
	}
}

// sequence places the payload of s in the stream of end, counts what is new,
// repeated and missing, and delivers what is in order.
func (t *Table) sequence(r *record, x *extra, s *segment, end int, flags uint8, frame pcaps.FrameID, now int64) {
	c := &x.tcp
	if flags&flagRST != 0 {
		return
	}
	seq, n := s.seq, s.payloadLen
	if flags&flagSYN != 0 {
		seq++
	}
	if !c.known[end] {
		c.opening[end], c.next[end], c.known[end] = seq, seq, true
		if other := 1 - end; !c.late && c.acking[other] && seq-c.acked[other] < 1<<16 {
			// The SYN is missing from the capture; the other end told what it had received.
			c.next[end] = c.acked[other]
		}
		c.stream[end], c.flowing[end] = c.next[end], true
	}
	if n > 0 && c.dataFrame[end] == 0 {
		c.dataFrame[end], c.dataSeq[end] = frame, seq
	}
	switch ahead := int32(seq - c.next[end]); {
	case n == 0 && ahead <= 0:
	case ahead > 0: // something in between was not seen, or not yet
		c.dig(end, hole{c.next[end], seq})
		c.next[end] = seq + n
	case int32(seq+n-c.next[end]) > 0:
		c.next[end] = seq + n
	case n == 1 && ahead == -1, n == 0: // keep-alive
	case c.fill(end, hole{seq, seq + n}):
		c.outOfOrder[end]++
	default:
		c.retransmitted[end]++
		c.write(end, histRetransmission)
		if c.unanswered[end] == 0 {
			c.unansweredFrame[end] = frame
		}
		c.unanswered[end]++
	}
	if flags&flagFIN != 0 && c.next[end] == seq+n {
		c.next[end]++
	}
	if n > 0 {
		t.deliver(r, x, s, seq, end, frame, now)
	}
}

// dig records bytes that were passed over.
func (c *tcpTrack) dig(end int, h hole) {
	holes := &c.holes[end]
	for i := range holes {
		if holes[i].low == holes[i].high {
			holes[i] = h
			return
		}
	}
	c.missed[end] += uint64(holes[0].high - holes[0].low)
	c.write(end, histGap)
	copy(holes[:], holes[1:])
	holes[maxHoles-1] = h
}

// fill takes the bytes of h out of the holes and says whether there were any.
func (c *tcpTrack) fill(end int, h hole) bool {
	filled := false
	for i := range c.holes[end] {
		o := &c.holes[end][i]
		if o.low == o.high || int32(h.high-o.low) <= 0 || int32(o.high-h.low) <= 0 {
			continue
		}
		filled = true
		switch {
		case int32(h.low-o.low) <= 0 && int32(h.high-o.high) >= 0:
			*o = hole{}
		case int32(h.low-o.low) <= 0:
			o.low = h.high
		case int32(h.high-o.high) >= 0:
			o.high = h.low
		default: // in the middle: two holes
			rest := hole{h.high, o.high}
			o.high = h.low
			c.dig(end, rest)
		}
	}
	return filled
}

// gaps is how many bytes of end are missing.
func (c *tcpTrack) gaps(end int) uint64 {
	n := c.missed[end]
	for _, h := range c.holes[end] {
		n += uint64(h.high - h.low)
	}
	return n
}

// state names how the connection went, as Zeek does.
func connState(r *record, x *extra) ConnState {
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
		case s&flagRST != 0:
			return StateREJ
		case c&flagRST != 0:
			return StateRSTOS0
		case c&flagFIN != 0:
			return StateSH
		case s&flagACK != 0: // the SYN-ACK is missing from the capture
			return established(c, s, closed, resetFirst, client)
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
	if x == nil || x.tcp.seen == 0 {
		for _, end := range [2]int{client, 1 - client} {
			f := r.flags[end]
			switch {
			case f&(flagSYN|flagACK) == flagSYN|flagACK:
				letter(histSYNACK, end)
			case f&flagSYN != 0:
				letter(histSYN, end)
			}
			if f&flagRST != 0 {
				letter(histRST, end)
			}
		}
		return commonHistory(h)
	}
	for _, l := range x.tcp.history[:x.tcp.letters] {
		letter(int(l&0x7f), int(l>>7))
	}
	return commonHistory(h)
}

// commonHistory spares the allocation for what floods consist of.
func commonHistory(h []byte) string {
	switch string(h) {
	case "S":
		return "S"
	case "Sr":
		return "Sr"
	case "SR":
		return "SR"
	}
	return string(h)
}

// viewTCP fills in f.TCP.
func (t *Table) viewTCP(r *record, x *extra, f *Flow) {
	client := r.client()
	c := &f.TCP
	c.State = connState(r, x)
	c.History = t.history(r, x)
	if (r.flags[0]|r.flags[1])&flagRST != 0 {
		c.ResetBy = ResetByServer
		if r.resetEnd(x) == client {
			c.ResetBy = ResetByClient
		}
		c.ResetTTL = r.resetTTL
		c.ResetFrame = r.frame + pcaps.FrameID(r.resetAfter)
	}
	if x == nil || x.tcp.seen == 0 {
		if r.flags[client]&flagSYN != 0 {
			c.SYNs = r.packets[client]
			if x != nil {
				c.SYNs -= x.copies[client]
			}
		}
		return
	}
	k := &x.tcp
	c.SYNs, c.SYNACKs, c.Acked, c.RTT = k.syns, k.synacks, k.shook, k.rtt
	c.SYNACKFrame = k.synackFrame
	c.LongestIdle, c.LongestIdleFrame = k.longestIdle, k.idleFrame
	for end := range 2 {
		d := r.dir(end)
		c.DataFrame[d] = k.dataFrame[end]
		c.AckedData[d] = k.answered[end]
		c.Unanswered[d] = k.unanswered[end]
		if k.unanswered[end] > 0 && (c.UnansweredFrame == 0 || k.unansweredFrame[end] < c.UnansweredFrame) {
			c.UnansweredFrame = k.unansweredFrame[end]
		}
		f.Missed[d] = k.gaps(end)
		f.Retransmitted[d] = uint64(k.retransmitted[end])
		f.OutOfOrder[d] = uint64(k.outOfOrder[end])
	}
	f.Dissect.Late = k.late
}

var noFacts = &dissect.Facts{}
