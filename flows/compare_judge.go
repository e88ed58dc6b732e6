package flows

import (
	"slices"

	"wirechart/dissect"
)

// judgeJoined says what became of a flow that was seen at both places.
func (c *comparer) judgeJoined(x *Crossing) {
	x.Fate = Crossed
	near, far := x.Near(), x.Far()
	x.ClientChanged = near.Client != far.Client
	x.ServerChanged = near.Server != far.Server
	if near.echo() {
		x.ClientChanged = x.ClientChanged || near.EchoID != far.EchoID
	}
	for d := range 2 {
		x.Delay[d] = delayOf(x.delays(c, dissect.Dir(d)))
		if c.blind(x.to(dissect.Dir(d)), x, dissect.Dir(d)) {
			x.dirs[d].vanished, x.dirs[d].late = nil, 0
			x.Lost[d], x.LostBytes[d] = 0, 0
		}
	}
	for side := range x.At { // what shows the flow, where nothing better is found
		x.At[side] = x.first(Side(side))
	}
	for _, judge := range [...]func(*comparer, *Crossing) bool{
		(*comparer).rejected, (*comparer).unproven, (*comparer).dropped, (*comparer).tooLarge, (*comparer).cutOff, (*comparer).intercepted, (*comparer).lossy,
		(*comparer).unseen,
	} {
		if x.opened && x.notOpened() {
			break // what was sent to something between was not to go on yet
		}
		if judge(c, x) {
			x.Ending = Normal
			c.noteSilence(x)
			return
		}
	}
	c.ending(x)
	if x.Ending != Normal {
		return
	}
	switch {
	case x.Hole != nil:
		x.Ending = AcrossHole
	case x.opened:
		x.Ending = OpenedBetween
	}
}

// openedBetween says whether something between answered the opening of x in the
// server's place (a SYN proxy): the answer was at the client before the opening
// came out on the other side, or the server gave none.
func (c *comparer) openedBetween(x *Crossing) bool {
	near, far := x.Near(), x.Far()
	if near.Proto != ProtoTCP || !near.hasISN[ToClient] || !far.hasISN[ToServer] {
		return false
	}
	if x.notOpened() {
		return near.ackSet[ToClient] && far.TTL[ToClient] == 0
	}
	answer, asked := x.opening(x.Client, ToClient), x.opening(x.Client.Other(), ToServer)
	return x.dirs[ToClient].moved != 0 && c.Clock.Known && answer != nil && asked != nil &&
		asked.time-c.convert(x.Client, answer.time) > c.Clock.Error
}

// notOpened says whether the server's side shows openings alone, or a refusal.
func (x *Crossing) notOpened() bool {
	far := x.Far()
	for i := range x.dirs[ToServer].marks[x.Client.Other()] {
		if x.dirs[ToServer].marks[x.Client.Other()][i].flags&(flagSYN|flagRST) == 0 {
			return false
		}
	}
	return far.Packets[ToServer] > 0 && !far.hasISN[ToClient] && (far.Packets[ToClient] == 0 || far.Reset[ToClient].Frame != 0)
}

// opening is the first SYN of a direction at a side.
func (x *Crossing) opening(side Side, d dissect.Dir) *mark {
	for i := range x.dirs[d].marks[side] {
		if k := &x.dirs[d].marks[side][i]; k.flags&flagSYN != 0 {
			return k
		}
	}
	return nil
}

// from and to are the sides between which a direction goes.
func (x *Crossing) from(d dissect.Dir) Side {
	if d == ToServer {
		return x.Client
	}
	return x.Client.Other()
}

func (x *Crossing) to(d dissect.Dir) Side { return x.from(d).Other() }

// first is the first frame of the flow at a side.
func (x *Crossing) first(side Side) Moment {
	p := x.Seen[side]
	switch a, b := p.First[ToServer], p.First[ToClient]; {
	case a.Frame == 0:
		return b
	case b.Frame == 0 || a.Time < b.Time || a.Time == b.Time && a.Frame < b.Frame:
		return a
	default:
		return b
	}
}

// established says that the client had an answer and took it up.
func (p *Passage) established() bool {
	if p.Proto == ProtoTCP {
		return p.ackSet[ToClient]
	}
	return p.Packets[ToServer] > 0 && p.Packets[ToClient] > 0
}

// refusal says whether an ICMP error says that a packet was not delivered. That
// it was too large for a link is not one: the sender makes smaller ones.
func (q *Quote) refusal(proto uint8) bool {
	if proto == ProtoICMPv6 {
		return q.Type == 1 || q.Type == 3
	}
	return q.Type == 3 && q.Code != 4 || q.Type == 11
}

// TooBig says whether an ICMP error says that a packet was too large for a link.
func (q *Quote) TooBig() bool { return q.Type == 3 && q.Code == 4 || q.Type == 2 && !q.From.Is4() }

// between finds an ICMP error that takes says yes to and that only the place
// where its receiver is has seen: it was made in between.
func (c *comparer) between(x *Crossing, takes func(*Quote) bool) *Quote {
	for side, p := range x.Seen {
		if p == nil {
			continue
		}
		for i := range p.Errors {
			q := &p.Errors[i]
			if x.from(q.Dir) != Side(side) || !takes(q) || !c.recorded(Side(side), q.Time) {
				continue
			}
			if o := x.Seen[1-side]; o != nil {
				made := true
				for _, e := range o.Errors {
					made = made && (e.Type != q.Type || e.Code != q.Code || e.Dir != q.Dir)
				}
				if !made {
					continue
				}
			}
			return q
		}
	}
	return nil
}

func (p *Passage) icmpProto() uint8 {
	if p.Client.Addr().Is4() {
		return ProtoICMP
	}
	return ProtoICMPv6
}

// rejected finds what something between answered in an end's place.
func (c *comparer) rejected(x *Crossing) bool {
	established := x.Near().established()
	for d := range dissect.Dir(2) {
		from, to := x.from(d), x.to(d)
		r, o := &x.Seen[to].Reset[d], x.Seen[from]
		if r.Frame == 0 || o.Reset[d].Frame != 0 || !c.recorded(to, r.Time) {
			continue
		}
		// A capture that lacks packets may lack this one, unless its TTL shows
		// that it comes from elsewhere.
		ttl := x.Seen[to].TTL[d]
		if (c.blind(from, x, d) || c.chance(from, 1) > maxChance) && (r.TTL == ttl || ttl == 0) ||
			c.Places[from].Missed > 0 && c.owned(x, d) {
			continue
		}
		x.Fate = Rejected
		if established {
			x.Fate = ResetMidway
		}
		x.Dirs[d.Other()] = true // what the reset answers
		x.At[to] = r.Moment
		if q := x.Seen[from].Reset[d.Other()]; established && q.Frame != 0 && x.Seen[to].Reset[d.Other()].Frame == 0 {
			// Both ends were reset.
			x.Dirs[d] = true
			x.At[from] = q.Moment
		}
		return true
	}
	q := c.between(x, func(q *Quote) bool { return q.refusal(x.Seen[x.from(q.Dir)].icmpProto()) })
	if q == nil || c.chance(x.to(q.Dir), 1) > maxChance || c.blind(x.to(q.Dir), x, q.Dir.Other()) {
		return false // the other capture may lack it
	}
	x.Fate, x.Error = Rejected, q
	x.Dirs[q.Dir] = true
	x.At[x.from(q.Dir)] = Moment{q.Frame, q.Time}
	return true
}

// unproven finds flows of which a place was not recorded in a direction that
// would tell what became of them, and notes of the others that this direction
// was not seen.
func (c *comparer) unproven(x *Crossing) bool {
	near, far := x.Near(), x.Far()
	for d := range dissect.Dir(2) {
		from, to := x.from(d), x.to(d)
		var known bool
		switch {
		case c.blind(to, x, d):
			// What was sent is seen, and what arrived shows in what it caused.
			known = x.Seen[from].Packets[d] == 0 || far.Packets[d.Other()] > 0 && d == ToServer || near.ackSet[d]
			if known && near.Proto == ProtoTCP && x.Seen[from].Packets[d] > 0 {
				known = x.acknowledged(d)
			}
		case c.blind(from, x, d):
			// What arrived is seen. Of a reset alone it is not known who sent it.
			known = x.Seen[to].Packets[d] > 0 && (x.Seen[to].Reset[d].Frame == 0 || x.Seen[to].TTL[d] != 0)
		default:
			continue
		}
		if !known {
			x.Fate, x.Doubt = Undecided, OneDirection
			x.Dirs[d] = true
			return true
		}
		x.Ending = WithoutProof
	}
	return false
}

// acknowledged says whether the other end acknowledged all that a direction of a
// TCP flow sent, as far as any of the places shows.
func (x *Crossing) acknowledged(d dissect.Dir) bool {
	p := x.Seen[x.from(d)]
	list, _ := p.track[d].all()
	for _, o := range x.Seen {
		if !o.ackSet[d] {
			continue
		}
		acked := o.acked[d]
		if o.hasISN[d] && p.hasISN[d] {
			acked -= o.isn[d] - p.isn[d]
		}
		all := true
		for i := range list {
			k := &list[i]
			n := k.n
			if k.flags&flagSYN != 0 {
				n++
			}
			all = all && (n == 0 || int32(acked-(k.seq+n)) >= 0)
		}
		if all {
			return true
		}
	}
	return false
}

// dropped finds directions of which nothing arrived.
func (c *comparer) dropped(x *Crossing) bool {
	for d := range dissect.Dir(2) {
		from, to := x.from(d), x.to(d)
		sent, came := x.Seen[from], x.Seen[to]
		m := &x.dirs[d]
		if len(m.meetings) > 0 || came.Packets[d] > 0 || sent.Packets[d] == 0 || len(m.vanished) == 0 {
			continue
		}
		if came.ackSet[d] { // the other end acknowledged what was not recorded
			x.Ending = WithoutProof
			continue
		}
		x.Dirs[d] = true
		x.At[from] = m.marks[from][m.vanished[0]].moment()
		x.Fate = Dropped
		if c.chance(to, len(m.vanished)) > maxChance {
			x.Fate, x.Doubt = Undecided, OtherLossy
		}
		return true
	}
	return false
}

// tooLarge finds directions in which only small packets arrive.
func (c *comparer) tooLarge(x *Crossing) bool {
	for d := range dissect.Dir(2) {
		m := &x.dirs[d]
		from, to := x.from(d), x.to(d)
		largest, after := uint32(0), int64(-1<<63)
		for _, k := range m.meetings {
			largest = max(largest, k.n)
			t := k.in
			if from == Outside {
				t = k.out
			}
			after = max(after, t)
		}
		n, smallest := 0, uint32(1<<32-1)
		var first *mark
		for _, i := range m.vanished {
			k := &m.marks[from][i]
			if k.n == 0 || x.delivered(d, to, k) {
				continue
			}
			n, smallest = n+1, min(smallest, k.n)
			if first == nil {
				first = k
			}
		}
		if n < 2 || smallest <= largest || smallest < minLarge || c.chance(to, n) > maxChance {
			continue
		}
		q := c.between(x, func(q *Quote) bool { return q.Dir == d && q.TooBig() })
		if q == nil && after < first.time {
			continue // nothing arrived since: it need not be their size
		}
		x.Fate, x.Error = TooLarge, q
		x.Dirs[d] = true
		x.At[from] = first.moment()
		return true
	}
	return false
}

// minLarge is the payload from which on a link may be too small for a packet:
// every link carries 576 bytes of IPv4 (RFC 791 section 3.1).
const minLarge = 500

// delivered says whether the bytes of k arrived in another transmission.
func (x *Crossing) delivered(d dissect.Dir, to Side, k *mark) bool {
	if x.Seen[to].Proto != ProtoTCP {
		return false
	}
	return x.dirs[d].holds(int(to), k)
}

// How many packets in a row at the end of a direction that do not arrive make
// it cut off.
const (
	lateSegments  = 2 // of TCP, with payload, SYN or FIN
	lateDatagrams = 3
)

// cutOff finds directions of which from some time on nothing arrived.
func (c *comparer) cutOff(x *Crossing) bool {
	closed := true
	for d := range 2 {
		done := false
		for _, k := range x.dirs[d].marks[x.to(dissect.Dir(d))] {
			done = done || k.flags&flagFIN != 0
		}
		closed = closed && done
	}
	if closed {
		return false
	}
	for d := range dissect.Dir(2) {
		m := &x.dirs[d]
		if m.late == 0 || len(m.meetings) == 0 && (x.Hole == nil || x.Seen[x.to(d)].Packets[d] == 0) {
			continue
		}
		from, to := x.from(d), x.to(d)
		late := m.vanished[len(m.vanished)-m.late:]
		n, enough := m.late, lateDatagrams
		if x.Seen[to].Proto == ProtoTCP {
			n, enough = 0, lateSegments
			for _, i := range late {
				if k := &m.marks[from][i]; k.n > 0 || k.flags&(flagSYN|flagFIN) != 0 {
					n++
				}
			}
		}
		if n < enough || c.chance(to, n) > maxChance {
			continue
		}
		first := &m.marks[from][late[0]]
		if x.Seen[from].Proto != ProtoTCP && x.Seen[from].Packets[d.Other()] == 0 && c.convert(from, first.time) > c.lastSeen[to] {
			// Nobody waits for an answer that does not come, and no frame shows
			// that the place was still recorded.
			x.Fate, x.Doubt = Undecided, MayHaveEnded
			x.Dirs[d] = true
			x.At[from] = first.moment()
			return true
		}
		x.Fate = CutOff
		x.Dirs[d] = true
		x.BySize = x.tooLargeToPass(d)
		x.At[from] = first.moment()
		for _, o := range x.dirs {
			for _, k := range o.meetings {
				if k.in > x.Since[Inside] {
					x.Since = [2]int64{k.in, k.out}
					x.At[to] = [2]Moment{{k.inFrame, k.in}, {k.outFrame, k.out}}[to]
				}
			}
		}
	}
	return x.Fate == CutOff
}

// tooLargeToPass says whether whatever vanished of a direction is larger than
// all that arrived of it.
func (x *Crossing) tooLargeToPass(d dissect.Dir) bool {
	m := &x.dirs[d]
	largest, smallest := uint32(0), uint32(1<<32-1)
	for _, k := range m.meetings {
		largest = max(largest, k.n)
	}
	for _, i := range m.vanished {
		if k := &m.marks[x.from(d)][i]; k.n > 0 {
			smallest = min(smallest, k.n)
		}
	}
	return smallest > largest && smallest >= minLarge && smallest < 1<<32-1
}

// learned says whether what vanished of a direction was too large for a link,
// the sender was told so, and it made its packets smaller.
func (c *comparer) learned(x *Crossing, d dissect.Dir) bool {
	m := &x.dirs[d]
	if len(m.vanished) == 0 || !x.tooLargeToPass(d) {
		return false
	}
	for _, i := range m.vanished {
		k := &m.marks[x.from(d)][i]
		if k.n == 0 && k.flags == 0 {
			continue // an acknowledgement, which a capture may lack: the next one says as much
		}
		if k.n == 0 || !x.delivered(d, x.to(d), k) {
			return false
		}
	}
	x.Error = c.between(x, func(q *Quote) bool { return q.Dir == d && q.TooBig() })
	return x.Error != nil
}

// intercepted finds flows of the same addresses that are two connections.
func (c *comparer) intercepted(x *Crossing) bool {
	in, out := x.Seen[Inside], x.Seen[Outside]
	if in.Proto != ProtoTCP || x.Basis == BySequence && x.dirs[0].altered+x.dirs[1].altered == 0 {
		return false
	}
	same, altered := 0, 0
	for d := range 2 {
		same, altered = same+x.dirs[d].same, altered+x.dirs[d].altered
	}
	switch {
	case altered > same:
	case same == 0 && in.Payload.Sum() > 0 && out.Payload.Sum() > 0 && x.SequenceChanged && !c.Regrouped:
	default:
		return false
	}
	x.Fate = Intercepted
	x.Dirs = [2]bool{true, true}
	return true
}

// lossy finds flows of which a part did not arrive.
func (c *comparer) lossy(x *Crossing) bool {
	for d := range dissect.Dir(2) {
		m := &x.dirs[d]
		from, to := x.from(d), x.to(d)
		n := x.Lost[d]
		if n == uint64(len(m.vanished)) && c.learned(x, d) {
			x.Ending = SmallerMade
			continue
		}
		lost, all := float64(n), float64(max(x.Compared[d], n))
		if m.regrouped && x.LostBytes[d] > 0 { // segments of many sizes
			share := float64(x.LostBytes[d]) / float64(x.Seen[from].Payload[d])
			lost = max(lost, share*all)
		}
		// As much as the capture lacks elsewhere is not held against the path.
		if n == 0 || lost < lossyShare*all || c.excess(to, lost, all, x.again(d)) > maxChance {
			continue
		}
		x.Fate = Lossy
		x.Dirs[d] = true
		if len(m.vanished) > 0 {
			x.At[from] = m.marks[from][m.vanished[0]].moment()
		}
	}
	return x.Fate == Lossy
}

// again says whether something of what did not arrive of a direction would have
// been sent again. A TCP acknowledgement would not: the next one says as much, and
// that it passed a place whose capture lacks it does not show.
func (x *Crossing) again(d dissect.Dir) bool {
	if x.Near().Proto != ProtoTCP || x.LostBytes[d] > 0 {
		return true
	}
	m := &x.dirs[d]
	return slices.ContainsFunc(m.vanished, func(i int) bool {
		k := &m.marks[x.from(d)][i]
		return k.n > 0 || k.flags != 0
	})
}

// unseen finds flows of which too much to call them crossed went the way while
// the other capture has a hole.
func (c *comparer) unseen(x *Crossing) bool {
	for d := range dissect.Dir(2) {
		m := &x.dirs[d]
		n, enough := len(m.hidden), lateDatagrams
		if x.Near().Proto == ProtoTCP {
			n, enough = 0, lateSegments
			for _, i := range m.hidden {
				if k := &m.marks[x.from(d)][i]; k.n > 0 || k.flags&(flagSYN|flagFIN) != 0 {
					n++
				}
			}
		}
		if n == 0 || len(m.meetings) > 0 && n < enough {
			continue
		}
		first := &m.marks[x.from(d)][m.hidden[0]]
		hole := c.hole(x.from(d), first.time)
		if len(m.meetings) > 0 && hole.Proven && x.meetsAfter(x.to(d), hole.Until) {
			continue // the capture lacks it, and it went on crossing
		}
		x.Fate, x.Doubt, x.Hole, x.HoleAt = Undecided, InHole, hole, x.to(d)
		x.Dirs[d] = true
		x.At[x.from(d)] = first.moment()
	}
	return x.Fate == Undecided
}

// ending says how a flow that crossed went on.
func (c *comparer) ending(x *Crossing) {
	if x.Ending != Normal {
		return
	}
	near, far := x.Near(), x.Far()
	for i := range far.Errors {
		if q := &far.Errors[i]; q.Dir == ToServer && q.refusal(far.icmpProto()) {
			x.Ending, x.Error = Refused, q
			x.At[x.Client.Other()] = Moment{q.Frame, q.Time}
			if n := near.Errors; len(n) > 0 {
				x.At[x.Client] = Moment{n[0].Frame, n[0].Time}
			}
			return
		}
	}
	for d := range dissect.Dir(2) {
		if far.Reset[d].Frame == 0 {
			continue
		}
		x.Ending, x.ByEnd = ResetByEnd, d
		if d == ToClient && (far.hasISN[ToServer] || near.hasISN[ToServer]) && !far.hasISN[ToClient] && (!near.established() || x.opened) {
			x.Ending = Refused
		}
		for side := range x.At {
			if r := x.Seen[side].Reset[d]; r.Frame != 0 {
				x.At[side] = r.Moment
			}
		}
		return
	}
	if far.Packets[ToClient] == 0 && (near.Packets[ToClient] == 0 || x.opened) && (far.Proto != ProtoTCP || far.hasISN[ToServer]) && !c.blind(x.Client.Other(), x, ToClient) {
		x.Ending = Unanswered
	}
}

// judgeAlone says what became of a flow that was seen at one place only.
func (c *comparer) judgeAlone(side Side, p *Passage, alike bool) {
	x := Crossing{Client: side, Fate: Dropped}
	x.Seen[side] = p
	x.At[side] = x.first(side)
	other := side.Other()
	heads := c.heads(side, p)
	answered := p.Packets[ToServer] > 0 && p.Packets[ToClient] > 0
	if p.Proto == ProtoTCP {
		answered = answered && (p.hasISN[ToClient] || p.Payload[ToClient] > 0) || p.ackSet[ToClient]
	}
	// What of it the other place should have.
	n := 0
	for d := range 2 {
		list, _ := p.track[d].all()
		for i := range list {
			if d == int(ToClient) && !answered || !c.running(side, list[i].time) {
				continue
			}
			if hole := c.hole(side, list[i].time); hole == nil {
				n++
			} else if x.Hole == nil {
				x.Hole, x.HoleAt = hole, other
			}
		}
	}
	way := ToServer
	switch {
	case heads == local:
		c.Places[side].Local++
		return
	case heads == arriving:
		// Its client is beyond the other place.
		x.Client = other
		x.Fate = Elsewhere
		if p.Packets[ToServer] == 0 { // seen from the answer on
			x.Fate = Dropped
			way = ToClient
		}
	}
	switch {
	case x.Hole != nil && (n == 0 || answered):
		x.Fate, x.Doubt = Undecided, InHole
	case n == 0 || !c.running(side, p.Start):
		x.Fate = NotCompared
	case c.Packets == 0:
		x.Fate, x.Doubt = Undecided, NothingCommon
	case c.Places[other].Short[ipVersion(p.Client.Addr().Is6())] > 0 || p.short():
		x.Fate, x.Doubt = Undecided, CutShort
	case x.Fate == Elsewhere && c.Places[other].Blind[0]:
		x.Fate, x.Doubt = Undecided, OneDirection
	case x.Fate == Elsewhere:
	case c.Places[other].Blind[1] && c.Places[other].Blind[0]:
		x.Fate, x.Doubt = Undecided, OneDirection
	case answered:
		x.Fate, x.Quiet = Answered, c.silent(side, p)
	case c.chance(other, n) > maxChance:
		x.Fate, x.Doubt = Undecided, OtherLossy
	case alike:
		x.Fate, x.Doubt = Undecided, LooksAlike
	case c.Places[other].Blind[1] && side == x.Client:
		x.Fate, x.Doubt = Undecided, OneDirection
	default:
		c.refusedBetween(&x, side, p)
		x.Dirs[way] = true
	}
	if x.Dirs[way] {
		x.Compared[way], x.Lost[way] = uint64(n), uint64(n)
	}
	c.noteSilence(&x)
	c.Crossings = append(c.Crossings, x)
}

// refusedBetween says of a flow that the other place has not whether it was
// refused, and whether that may have been the host's own doing.
func (c *comparer) refusedBetween(x *Crossing, side Side, p *Passage) {
	other := side.Other()
	if r := p.Reset[ToClient]; p.Proto == ProtoTCP && r.Frame != 0 {
		x.Fate = Rejected
		x.At[side] = r.Moment
		// With its TTL it may be the server's own, unless what is between leaves
		// TTLs alone.
		switch own := c.ttls[arrival{side, p.sender(ToClient), r.TTL}]; {
		case own && c.Places[other].Missed > 0:
			x.Fate, x.Doubt = Undecided, OtherLossy
		case own && !c.SameWire:
			x.Fate, x.Doubt = Undecided, FromBeyond
		}
	}
	for i := range p.Errors {
		if q := &p.Errors[i]; q.Dir == ToServer && q.refusal(p.icmpProto()) {
			x.Fate, x.Error = Rejected, q
			x.At[side] = Moment{q.Frame, q.Time}
			if c.crossing[side].address(q.From) && !c.SameWire { // a bridge may answer in the host's name
				x.Fate, x.Doubt = Undecided, FromBeyond
			}
			break
		}
	}
}

// short says whether a snap length took of a packet of p what would find it at the
// other place.
func (p *Passage) short() bool {
	for d := range p.track {
		for _, part := range p.track[d].parts() {
			if slices.ContainsFunc(part, func(m mark) bool { return m.short }) {
				return true
			}
		}
	}
	return false
}

// noteSilence counts a flow that failed behind the last frame of the place where
// it was going.
func (c *comparer) noteSilence(x *Crossing) {
	if x.Fate != Dropped && x.Fate != CutOff && x.Fate != Rejected {
		return
	}
	for d := range dissect.Dir(2) {
		from, to := x.from(d), x.to(d)
		if at := x.At[from]; x.Dirs[d] && at.Frame != 0 && c.convert(from, at.Time) > c.lastSeen[to] {
			c.Places[to].Silent++
			return
		}
	}
}
