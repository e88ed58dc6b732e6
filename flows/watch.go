package flows

import (
	"iter"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// Watch follows a few flows through the captures a second time and writes down
// their story: the frames that matter, what their headers say, and what the
// dissection reads in them. It is for a person who asks about a flow that a
// Table found before; the Table inside it does again what that one did.
//
// Of each flow it keeps the opening, what the dissection reads until it has
// read enough, the frames that were named to it, and the end. The rest is
// counted. It belongs to one goroutine.
type Watch struct {
	table    *Table
	sieve    *Sieve
	subjects []*subject // as the sieve numbers them
	byFrame  map[pcaps.FrameID]*Sighting

	now  *subject // whose packet the table is given
	seen *Sighting
	one  [1]pcaps.Packet
}

// How much of a flow is kept beside what was named.
const (
	maxKept      = 64 // frames with messages in them
	maxEnds      = 12 // frames with SYN, FIN or RST beyond those
	openingLen   = 4  // frames at the beginning, whatever they are
	maxSilent    = 6  // frames with payload in a row of which nothing was read
	maxUseful    = 2  // frames with user data alone
	maxAgain     = 8  // retransmissions
	maxOpen      = 4096
	maxConcluded = 64 // messages that conclude
)

// Story is a flow as its frames tell it.
type Story struct {
	Flow  *Flow
	Steps []*Sighting
	After Left // frames behind the last step

	Concluded []dissect.Message // what was concluded when the flow was over
}

// Left counts frames that a Story passes over.
type Left struct {
	Frames  uint64
	Acks    uint64 // of these, without payload
	Copies  uint64 // of these, made by the mirror
	Payload Pair
}

// Sighting is one frame of a flow.
type Sighting struct {
	Before Left // frames of the flow between the step before and this one

	Packet  pcaps.Packet // its Data is a copy
	Dir     dissect.Dir
	Part    bool   // a fragment of an IP datagram: nothing behind the IP header is told
	Payload int    // bytes that the headers claim
	At      int    // where in Data the payload begins; len(Data) where there is none
	Open    []Span // of Data: bytes of the payload that hold neither user data nor secrets
	TTL     uint8

	// TCP. Sequence numbers are relative to the first one of each end.
	Flags    uint8
	Seq, Ack uint32
	Window   uint16
	Again    bool // its bytes were seen before
	Ahead    bool // bytes before it are missing, or come later
	Late     bool // it brings bytes that were missing
	Copy     bool // made by the mirror

	// ICMP: what kind of message. Quoted says that it is an error about the
	// flow, and From who sent it.
	ICMPType, ICMPCode uint8
	Quoted             bool
	From               netip.Addr

	Named    bool // asked for by number
	Messages []dissect.Message

	putOff    bool   // its bytes are to be delivered later
	pos       uint64 // of the delivered bytes in their stream
	delivered int    // how many they are, the last ones of the payload
	of        *subject
}

// Span is a part of a frame's Data.
type Span struct{ At, Len int }

// TCP flags of a Sighting, as in the header.
const (
	FIN = flagFIN
	SYN = flagSYN
	RST = flagRST
	PSH = flagPSH
	ACK = flagACK
)

type subject struct {
	story Story
	named map[pcaps.FrameID]bool
	left  Left

	frames, kept, ends, silent, useful, again int

	base  [2]uint32 // first sequence number of each direction
	known [2]bool
	next  [2]uint32                     // sequence number behind what was seen
	hole  [2]struct{ low, high uint32 } // the last part of it that was missing

	open [2][]struct{ pos, n uint64 }
}

// Clone is f as something to keep.
func (f *Flow) Clone() *Flow {
	c := *f
	c.ICMP, c.VLANs, c.Tunnel = slices.Clone(f.ICMP), slices.Clone(f.VLANs), slices.Clone(f.Tunnel)
	c.Facts = f.Facts.Clone()
	return &c
}

// NewWatch makes a Watch with what the Table that found the flows was made of.
func NewWatch(config Config, list []dissect.Dissector, context dissect.Context) *Watch {
	w := &Watch{
		sieve:   NewSieve(),
		byFrame: map[pcaps.FrameID]*Sighting{},
	}
	context.Tracer = (*watchTracer)(w)
	w.table = NewTable(config, dissect.NewSet(list, &context, config.MaxBuffered), func(all iter.Seq[*Flow]) {})
	return w
}

// Follow adds a flow, and frames of it that are kept whatever they hold. Flows
// are added in the order in which they began.
func (w *Watch) Follow(f *Flow, named ...pcaps.FrameID) {
	u := &subject{story: Story{Flow: f}, named: map[pcaps.FrameID]bool{}}
	for _, frame := range named {
		u.named[frame] = true
	}
	w.subjects = append(w.subjects, u)
	w.sieve.Want(f)
}

// Add takes the next packet of the captures.
func (w *Watch) Add(p *pcaps.Packet) {
	n, how := w.sieve.find(p)
	switch how {
	case passed:
		return
	case mayBegin:
		w.give(p)
		return
	}
	u := w.subjects[n]
	w.now = u
	w.seen = u.sight(p, &w.sieve.s, how == quoted)
	w.byFrame[p.Frame] = w.seen
	copies, putOff := w.table.stats.Copies, w.table.putOff
	w.give(p)
	w.seen.Copy, w.seen.putOff = w.table.stats.Copies > copies, w.table.putOff > putOff && w.seen.Payload > 0
	if !u.keeps(w.seen) {
		delete(w.byFrame, p.Frame)
	}
	w.now, w.seen = nil, nil
}

func (w *Watch) give(p *pcaps.Packet) {
	w.one[0] = *p
	w.table.Add(w.one[:])
}

// sight makes a step of a packet.
func (u *subject) sight(p *pcaps.Packet, s *segment, quoted bool) *Sighting {
	x := &Sighting{Packet: *p, TTL: s.ttl, Quoted: quoted, Part: s.outcome == Fragment, Named: u.named[p.Frame], of: u, At: len(p.Data)}
	f := u.story.Flow
	if s.src != addressOf(f.Client.Addr()) || s.src == s.dst && s.srcPort != f.Client.Port() {
		x.Dir = ToClient
	}
	x.Payload = int(s.payloadLen)
	if n := cap(p.Data) - cap(s.payload); len(s.payload) > 0 && n >= 0 && n+len(s.payload) <= len(p.Data) && &p.Data[n] == &s.payload[0] {
		x.At = n
	}
	switch {
	case x.Part:
	case s.proto == ProtoICMP || s.proto == ProtoICMPv6:
		if len(s.payload) >= 2 {
			x.ICMPType, x.ICMPCode = s.payload[0], s.payload[1]
		}
		x.From = s.src.netip(s.v6)
		if quoted { // it may come from anywhere, and goes to one of the ends
			x.Dir = ToServer
			if s.dst == addressOf(f.Client.Addr()) {
				x.Dir = ToClient
			}
			// The headers of the packet that it is about, and what a port needs.
			head := 8 + 20 + 8
			if s.v6 {
				head = 8 + 40 + 8
			}
			x.Open = []Span{{x.At, min(head, len(p.Data)-x.At)}}
		}
	case s.proto == ProtoTCP:
		u.number(x, s)
	}
	return x
}

// number makes sequence numbers relative and says what is odd about them.
func (u *subject) number(x *Sighting, s *segment) {
	d := x.Dir
	x.Flags, x.Window = s.flags, s.window
	if s.flags&flagSYN != 0 {
		u.base[d], u.known[d] = s.seq, true
	} else if !u.known[d] {
		u.base[d], u.known[d] = s.seq-1, true
	}
	x.Seq = s.seq - u.base[d]
	if o := d.Other(); s.flags&flagACK != 0 {
		if !u.known[o] {
			u.base[o], u.known[o] = s.ack-1, true
		}
		x.Ack = s.ack - u.base[o]
	}
	n := s.payloadLen
	if s.flags&(flagSYN|flagFIN) != 0 {
		n++
	}
	if u.next[d] != 0 && n > 0 {
		x.Again = int32(s.seq+n-u.next[d]) <= 0
		x.Ahead = int32(s.seq-u.next[d]) > 0
		hole := &u.hole[d]
		switch {
		case x.Ahead:
			hole.low, hole.high = u.next[d], s.seq
		case x.Again && hole.low != hole.high && s.seq == hole.low && int32(s.seq+n-hole.high) <= 0:
			x.Again, x.Late = false, true
			hole.low += n
		}
	}
	if u.next[d] == 0 || int32(s.seq+n-u.next[d]) > 0 {
		u.next[d] = s.seq + n
	}
}

// keeps decides, when the table has had the packet, whether it becomes a step,
// and counts it where it does not.
func (u *subject) keeps(x *Sighting) bool {
	u.frames++
	useful := len(x.Messages) > 0
	for _, m := range x.Messages {
		useful = useful && m.Data
	}
	told := len(x.Messages) > 0 && !useful
	keep := false
	switch {
	case x.Named, x.Quoted && u.kept < maxKept:
		keep = true
	case x.Copy:
	case x.Flags&(flagSYN|flagFIN|flagRST) != 0 && (u.kept < maxKept || u.ends < maxEnds):
		u.ends++
		keep = true
	case u.kept >= maxKept:
	case u.frames <= openingLen, told:
		keep = true
	case useful:
		u.useful++
		keep = u.useful <= maxUseful
	case x.Again:
		u.again++
		keep = u.again <= maxAgain
	case x.delivered > 0 || x.Ahead || x.putOff || x.Part:
		u.silent++
		keep = u.silent <= maxSilent
	}
	if told {
		u.silent = 0
	}
	if !keep {
		u.left.Frames++
		switch {
		case x.Copy:
			u.left.Copies++
		case x.Payload == 0:
			u.left.Acks++
		}
		u.left.Payload[x.Dir] += uint64(x.Payload)
		return false
	}
	u.kept++
	x.Packet.Data = slices.Clone(x.Packet.Data)
	x.Before, u.left = u.left, Left{}
	u.story.Steps = append(u.story.Steps, x)
	return true
}

// Finish ends the captures and returns the stories, in the order in which the
// flows were added.
func (w *Watch) Finish() []*Story {
	w.table.Finish()
	var stories []*Story
	for _, u := range w.subjects {
		u.story.After = u.left
		for _, x := range u.story.Steps {
			if !x.Quoted {
				x.Open = u.public(x)
			}
		}
		stories = append(stories, &u.story)
	}
	return stories
}

// public is what of the frame's Data is open.
func (u *subject) public(x *Sighting) []Span {
	from := x.At + min(x.Payload, len(x.Packet.Data)-x.At) - x.delivered // of the bytes that were delivered
	if x.delivered == 0 || from < x.At {
		return nil
	}
	var spans []Span
	for _, o := range u.open[x.Dir] {
		low, high := max(o.pos, x.pos), min(o.pos+o.n, x.pos+uint64(x.delivered))
		if low < high {
			spans = append(spans, Span{from + int(low-x.pos), int(high - low)})
		}
	}
	return spans
}

// Public is the frame without what is not open: of its payload, bytes in
// front of one that is open are overwritten with x, and those behind the last
// one are left out. It says how many there were of both.
func (x *Sighting) Public() (data []byte, masked, cut int) {
	data = slices.Clone(x.Packet.Data)
	at := x.At
	open := slices.Clone(x.Open)
	slices.SortFunc(open, func(a, b Span) int { return a.At - b.At })
	for _, o := range open {
		for ; at < o.At; at++ {
			data[at] = 'x'
			masked++
		}
		at = max(at, o.At+o.Len)
	}
	return data[:at], masked, len(data) - at
}

// watchTracer is a Watch as the dissection sees it.
type watchTracer Watch

// of finds the flow that the dissection speaks of.
func (w *watchTracer) of(frame uint64) *subject {
	if w.now != nil {
		return w.now
	}
	if x := w.byFrame[pcaps.FrameID(frame)]; x != nil {
		return x.of
	}
	return nil
}

// sighting finds a frame that is a step, or is about to become one.
func (w *watchTracer) sighting(frame uint64) *Sighting { return w.byFrame[pcaps.FrameID(frame)] }

func (w *watchTracer) Delivered(frame, pos uint64, n int) {
	if x := w.sighting(frame); x != nil {
		x.pos, x.delivered = pos, n
	}
}

func (w *watchTracer) Open(frame uint64, dir dissect.Dir, pos, n uint64) {
	if w.seen != nil && w.seen.Quoted {
		return // of the stream of the ICMP messages
	}
	if u := w.of(frame); u != nil && len(u.open[dir]) < maxOpen {
		u.open[dir] = append(u.open[dir], struct{ pos, n uint64 }{pos, n})
	}
}

func (w *watchTracer) Read(m dissect.Message) {
	u := w.of(m.Frame)
	if u == nil {
		return
	}
	x := w.sighting(m.Frame)
	if x != nil && x.Dir != m.Dir && !m.Concludes {
		// It waited for the other direction: the last frame of its own has it.
		for i := len(u.story.Steps) - 1; i >= 0; i-- {
			if s := u.story.Steps[i]; s.Dir == m.Dir && s.delivered > 0 {
				x = s
				break
			}
		}
	}
	switch {
	case x != nil:
		x.Messages = append(x.Messages, m)
	case m.Concludes && len(u.story.Concluded) < maxConcluded:
		u.story.Concluded = append(u.story.Concluded, m)
	}
}
