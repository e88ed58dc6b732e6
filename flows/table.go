package flows

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// Limits bounds what a Table keeps. Nothing in a Table grows past them,
// whatever the traffic.
type Limits struct {
	MaxFlows    int // flows kept, ended ones included until they are settled
	MaxTracked  int // of these, flows whose TCP state or payload is followed
	MaxBuffered int // bytes of payload kept in all flows: out of order or undecided; fragments have a bound of their own

	// Silence after which a flow is over, by packet time.
	Opening     time.Duration // TCP before the handshake is complete
	Established time.Duration // TCP after it
	Closing     time.Duration // TCP after FIN or RST
	Datagram    time.Duration // everything else
}

// DefaultLimits keeps 110 bytes of a flow whose headers are all that is known
// of it, and about 1.4 KB of one whose payload is read: far below a gigabyte on
// ordinary traffic, and a few when the table is full of the latter.
func DefaultLimits() Limits {
	return Limits{
		MaxFlows:    4 << 20,
		MaxTracked:  1 << 20,
		MaxBuffered: 64 << 20,
		Opening:     3 * time.Minute,
		Established: 2 * time.Hour,
		Closing:     time.Minute,
		Datagram:    3 * time.Minute,
	}
}

// Config is what a Table is made with.
type Config struct {
	Limits
	// Listeners says whether a port is a service's: it orients flows whose
	// start was not captured. Well-known ports need not be in it.
	Listeners func(proto uint8, port uint16) bool
}

// Stats is what a Table says about the packets it was given.
type Stats struct {
	Packets  uint64           // frames given
	Outcomes [outcomes]uint64 // how far each could be read
	Unknown  []pcaps.LinkType // link types that are not understood, ascending
	Flows    uint64           // flows begun
	Evicted  uint64           // flows ended early because the table was full
	Early    uint64           // flows settled before the end of the captures to make room
	Retired  uint64           // flows settled because they had been over for long, in a run that does not end
	Copies   uint64           // frames recognised as copies made by the mirror
	Partial  uint64           // datagrams whose fragments were not all captured
}

// record is what every packet of a flow touches: one cache line without
// pointers, so that the garbage collector passes by. Pairs are by end of the key:
// what a sent, what b sent. Flow is the form for everybody else; view makes one
// of the other.
type record struct {
	aIP, bIP     uint32 // IPv4; for IPv6 aIP is an index into Table.wide
	aPort, bPort uint16
	proto        uint8
	bits         uint8
	oriented     Orientation
	ended        EndReason // CaptureEnd while it is open

	last                    int64
	packets, bytes, payload [2]uint32 // modulo 2^32: what ran over is in extra
	signature               [2]uint32 // of the last packet of each end, and when it came

	extra    uint32 // 1 + index into the extras; 0 for none
	flags    [2]uint8
	quiet    uint8 // ends, as bits, whose payload nobody waits for any more
	resetTTL uint8 // of the first RST
}

// origin is the rest of a flow, beside its record by the same number: how it
// began, and what only SYNs and RSTs touch.
type origin struct {
	start      int64
	frame      pcaps.FrameID
	resetAfter uint32 // frames from the first one to the first RST; until there is one, the upper half of what opening is the lower of
	tags       uint16 // index into Table.tagSets
	opening    uint16 // the lower half of the sequence number behind the last SYN that was not followed, less one
}

// The bits of a record.
const (
	bitV6      = 1 << iota
	bitClientB // the client is the key's upper end
	bitFlipped // the ends were swapped after the first packet
	bitEcho    // ICMP echo: the ports are the identifier
	bitIndexed // found by new packets; clear when the flow is over for good
	bitUsed
	bitOddReset // the first RST does not fit the connection
	bitAwaits   // segments are put off until the SYN before them comes

	bitLikely = bitOddReset // of UDP: a datagram that was cut agrees with its port
)

// client is the end that opened the flow: 0 for a, 1 for b.
func (r *record) client() int { return int(r.bits >> 1 & 1) }

// dir is the direction of what end sent.
func (r *record) dir(end int) dissect.Dir { return dissect.Dir(end ^ r.client()) }

// ports are the client's and the server's.
func (r *record) ports() [2]uint16 {
	if r.proto == ProtoICMP || r.proto == ProtoICMPv6 {
		return [2]uint16{}
	}
	if r.client() == 1 {
		return [2]uint16{r.bPort, r.aPort}
	}
	return [2]uint16{r.aPort, r.bPort}
}

// extra is what is kept beside a record when its payload or its TCP state is
// followed, or when something rare happened to it.
type extra struct {
	state   *dissect.State // while the dissection goes on
	result  dissect.Result // of one that is over
	rare    *rare
	mac     [2]MAC
	tags    uint16 // of the first packet of the other direction
	hasTags bool
	ttl     [2]uint8 // or hop limit, of the first packets of each end that are no RST
	next    uint32   // free list: 1 + index
	tcp     tcpDetail
}

// rare is what few flows have anything of.
type rare struct {
	icmp      []ICMPError
	held      [2][]pending // segments ahead of the stream
	recent    *recent      // once a copy was seen
	over      [3][2]uint32 // how often packets, bytes and payload of the record ran over
	copies    [2]uint32    // made by the mirror
	routed    [2]bool      // some of them had passed a router
	parts     [2]uint32    // fragments beyond the one that completed each datagram
	partBytes [2]uint64    // on the wire

	holes           [2][]hole // in their order
	missed          [2]uint64 // bytes of holes that had to be forgotten
	past            [2]hole   // from the first of those to the last
	retransmitted   [2]uint32
	outOfOrder      [2]uint32
	resetFrame      pcaps.FrameID // where the record's resetAfter is resetFar
	unansweredFrame [2]pcaps.FrameID
	unansweredNth   [2]uint32 // as tcpTrack.seen counts
	stalled         [2]uint32 // the most that tcpTrack.unanswered was
	stalledFrame    [2]pcaps.FrameID
	stalledNth      [2]uint32
	back            [2]uint32 // the lowest place that was sent again in the run at hand
	backAt          [2]uint32 // and when, in milliseconds
	stalledAt       [2]hole   // what was sent again last in that run
	sacked          [2]uint32 // shortest run of bytes that the other end had behind sackedFrom
	sackedFrom      [2]uint32 // the acknowledgement that said so
	shut            [2]window // each end's closed window
	shutBefore      [2]window // the longest that was opened again
}

// window is a time in which an end could take nothing more.
type window struct {
	frame pcaps.FrameID // that closed it; 0 for none
	since int64
	until int64 // when it was opened, or last said to be closed
}

func (w *window) length() int64 { return w.until - w.since }

// makeRare returns what is rare about the flow, to be changed.
func (x *extra) makeRare() *rare {
	if x.rare == nil {
		x.rare = new(rare)
	}
	return x.rare
}

// rareOrNone returns what is rare about the flow, to be read.
func (x *extra) rareOrNone() *rare {
	if x.rare == nil {
		return &nothingRare
	}
	return x.rare
}

var nothingRare rare // never changed

const (
	recordBits = 16 // records in one allocation
	extraBits  = 14 // extras, which the garbage collector walks
	maxErrors  = 4  // ICMP errors kept of one flow
)

// Table finds the flow of every packet and keeps it up to date. It belongs to
// one goroutine; more cores would have more Tables, chosen by the key's hash.
//
// The index is open addressing over 8-byte slots: the upper half is the key's
// hash, which also gives the slot's place, the lower half the record's number.
// Records are never moved. A flow that is over stays where it is until settle
// has seen it: at the end of the captures, or when the table is full.
type Table struct {
	config Config
	set    *dissect.Set
	settle func(iter.Seq[*Flow])
	seed   uint64

	slots   []uint64
	shift   uint8 // 32 - log2(len(slots))
	indexed int

	records   [][]record
	origins   [][]origin // beside records, by the same number
	used      int        // records ever used
	free      []uint32   // records given back
	extras    [][]extra
	tracks    [][]tcpTrack // beside extras, by the same number
	extraN    int
	extraAt   uint32 // head of the free list
	tracked   int
	wide      [][2]address // ends of the IPv6 flows
	narrow    []uint32     // places in wide given back
	tagSets   []tagSet
	histories map[string]string // histories that flows had: see historyOf
	tagAt     map[tags]uint16

	states [2][]*dissect.State // of dissections that are over: see spare
	ended  queue               // connections that were closed or reset
	talks  queue               // flows of datagrams

	awaiting  queue                   // connections of which segments are put off
	postponed map[uint32]*[]postponed // what is put off, by the number of the extra
	shelves   []*[]postponed          // lists of connections that wait no more: used again

	unkept [][]byte // copies of payload that waits no more: see keep

	shortest int64  // of the timeouts, nanoseconds
	now      int64  // latest packet time
	buffered int    // bytes in held segments, and in those put off
	putOff   uint64 // segments that were put off
	parts    fragments
	orphans  []orphan // ICMP errors about flows that are not known, as they came
	adopted  []orphan // those that were tied to the flow that adopter began
	adopter  pcaps.FrameID
	stats    Stats
	unknown  map[pcaps.LinkType]bool
	settled  uint64 // flows already handed to settle: IDs go on from here

	reclaimAt uint64 // packets after which to look again for bytes that nobody waits for
	reused    bool   // records are not in the order in which the flows began

	segments [underWay]segment
	guess    [underWay]uint32   // 1 + the number of the record that a packet probably belongs to
	lines    [groupSize]uintptr // what is to be prefetched
	quoted   segment
	probe    *dissect.State // for datagrams of flows whose protocol is not known
	flow     Flow
	facts    dissect.Facts // of flow
}

// NewTable makes an empty table. settle is called with flows that are over, in
// the order in which they began: with all of them from Finish, and earlier with
// a part when the table must make room. It may go through them several times;
// each Flow is good until the next one.
func NewTable(config Config, set *dissect.Set, settle func(iter.Seq[*Flow])) *Table {
	t := &Table{
		config:    config,
		set:       set,
		settle:    settle,
		seed:      rand.Uint64(),
		tagSets:   make([]tagSet, 1),
		histories: map[string]string{},
		tagAt:     map[tags]uint16{{}: 0},
		unknown:   map[pcaps.LinkType]bool{},
		postponed: map[uint32]*[]postponed{},
		shortest:  int64(min(config.Opening, config.Established, config.Closing, config.Datagram)),
	}
	t.resize(1 << 10)
	t.probe = new(dissect.State)
	return t
}

// Prepare makes room for the first flows, which is made with the first packet
// otherwise: of a live capture, packets would wait for it.
func (t *Table) Prepare() {
	if len(t.records) == 0 {
		t.addRecords()
		t.addExtras()
	}
}

// addRecords makes room for more flows, and for no more than there may be.
func (t *Table) addRecords() {
	n := min(1<<recordBits, max(t.config.MaxFlows-t.used, 1))
	t.records = append(t.records, spread(make([]record, n)))
	t.origins = append(t.origins, spread(make([]origin, n)))
}

// addExtras makes room for what is kept beside more of them.
func (t *Table) addExtras() {
	n := min(1<<extraBits, max(t.config.MaxFlows-t.extraN, 1))
	t.extras = append(t.extras, spread(make([]extra, n)))
	t.tracks = append(t.tracks, spread(make([]tcpTrack, n)))
}

// Stats says what has been seen so far.
func (t *Table) Stats() Stats {
	s := t.stats
	for l := range t.unknown {
		s.Unknown = append(s.Unknown, l)
	}
	slices.Sort(s.Unknown)
	return s
}

// take counts a packet of which decode could not read all: a fragment may
// complete a datagram.
func (t *Table) take(p *pcaps.Packet, s *segment) {
	t.stats.Packets++
	t.now = max(t.now, p.Time)
	if s.outcome == Fragment {
		// The datagram may hold another one's fragment, in a tunnel.
		for range maxDepth {
			if s.outcome == Fragment && !t.part(p, s) {
				break
			}
		}
		if s.outcome == Fragment {
			t.stats.Outcomes[Fragment]++
			return
		}
	}
	t.stats.Outcomes[s.outcome]++
	if !s.outcome.hasFlow() {
		if s.outcome == UnknownLink {
			t.unknown[p.Link] = true
		}
		return
	}
	s.setKey(t.seed)
	t.count(p.Frame, p.Time, s, 0)
}

// count finds the flow of s, or begins it, and counts s there. guess is 1 + the
// number of the record that the flow had when the batch was begun, or another's,
// or 0.
func (t *Table) count(frame pcaps.FrameID, now int64, s *segment, guess uint32) {
	end := 0
	if s.fromB {
		end = 1
	}
	slot, n := noSlot, guess
	if n == 0 || t.record(n-1).bits&bitIndexed == 0 || !t.same(t.record(n-1), &s.key) {
		slot, n = t.find(&s.key, s.hash)
	}
	var r *record
	fresh := false
	if n == 0 {
		n = t.begin(slot, frame, now, s)
		r, fresh = t.record(n-1), true
	} else {
		r = t.record(n - 1)
		idle := now-r.last > t.shortest && now-r.last > int64(t.timeout(r))
		if idle || s.proto == ProtoTCP && s.flags&(flagSYN|flagACK) == flagSYN && t.reuses(r, t.origin(n-1), s, end, now) {
			old := n
			if idle && r.ended == CaptureEnd {
				r.ended = Idle
			}
			n = t.begin(slot, frame, now, s)
			r, fresh = t.record(n-1), true
			if was := t.record(old - 1); r.oriented > was.oriented && was.bits&bitUsed != 0 && idle {
				r.oriented = was.oriented
				r.bits = r.bits&^bitClientB | was.bits&bitClientB
			}
		}
	}

	signature := s.signature(now)
	if !fresh && t.mayBeCopy(r, end, signature) && t.isCopy(r, s, end, now, signature) {
		t.tally(r, s, end)
		return
	}
	if r.packets[end] == 0 {
		t.firstOf(r, t.origin(n-1), s, end)
	}
	t.tally(r, s, end)
	switch s.proto {
	case ProtoTCP:
		if !s.bare {
			t.tcp(r, n-1, s, end, frame, now)
		}
	case ProtoUDP:
		t.datagram(dissect.UDP, r, n-1, s, end, frame, now)
	case ProtoICMP, ProtoICMPv6:
		t.datagram(dissect.ICMP, r, n-1, s, end, frame, now)
		if s.isError {
			t.blame(s, frame, now)
		}
	}
	if fresh && len(t.orphans) > 0 {
		t.adopt(r, s, frame, now)
	}
	r.signature[end] = signature
	r.last = max(r.last, now)
}

// tally adds s to the counters of what end sent.
func (t *Table) tally(r *record, s *segment, end int) {
	r.packets[end]++
	r.bytes[end] += s.wireLen
	r.payload[end] += s.payloadLen
	if r.packets[end] == 0 || r.bytes[end] < s.wireLen || r.payload[end] < s.payloadLen {
		t.carry(r, s, end)
	}
	if s.parts > 0 && !t.full(r) {
		x := t.extra(r).makeRare()
		x.parts[end] += s.parts
		x.partBytes[end] += uint64(s.partBytes)
	}
}

// carry counts the counters that ran over when s was added.
func (t *Table) carry(r *record, s *segment, end int) {
	x := t.extra(r).makeRare()
	if r.packets[end] == 0 {
		x.over[0][end]++
	}
	if r.bytes[end] < s.wireLen {
		x.over[1][end]++
	}
	if r.payload[end] < s.payloadLen {
		x.over[2][end]++
	}
}

// firstOf notes what only the first packet of an end is asked for.
func (t *Table) firstOf(r *record, o *origin, s *segment, end int) {
	if r.packets[1-end] == 0 {
		o.tags = t.intern(s)
		return
	}
	if s.depth == 0 && len(t.tagSets) == 1 {
		return // nothing is encapsulated: the origin, which is far away, needs no look
	}
	if n := t.intern(s); n != o.tags && !t.full(r) {
		x := t.extra(r)
		x.tags, x.hasTags = n, true
	}
}

// tagSet is encapsulations that flows have in common, outermost first, and how
// they are written.
type tagSet struct {
	tags  tags
	names []string
}

func newTagSet(list tags) tagSet {
	x := tagSet{tags: list}
	for i := 0; i < len(list) && list[i].kind != tagNone; i++ {
		x.names = append(x.names, list[i].String())
	}
	return x
}

// intern returns the number of the encapsulations of s in tagSets.
func (t *Table) intern(s *segment) uint16 {
	if s.depth == 0 {
		return 0
	}
	n, ok := t.tagAt[s.tags]
	if !ok {
		if len(t.tagSets) > 1<<15 {
			return 0 // somebody counts through the VLANs; the flows are what matters
		}
		n = uint16(len(t.tagSets))
		t.tagSets = append(t.tagSets, newTagSet(s.tags))
		t.tagAt[s.tags] = n
	}
	return n
}

// reuses says whether the SYN s opens a new connection between ports that r
// has used before.
func (t *Table) reuses(r *record, o *origin, s *segment, end int, now int64) bool {
	if r.extra == 0 || t.track(r).seen == 0 { // a SYN, perhaps the RST that refused it, perhaps a copy of either
		if r.flags[end] == 0 && r.flags[1-end] == flagRST|flagACK && uint16(s.seq) == o.opening && now-r.last < grace {
			return false // it was refused before it came
		}
		// A client that the refusal does not reach sends its SYN again.
		again := r.flags[end]&flagSYN != 0 && uint16(s.seq+s.payloadLen) == o.opening
		return r.ended != CaptureEnd && !again
	}
	// A SYN of the same connection may come late: sent again, a mirror's copy,
	// or behind what it opened, in a capture that is not in order.
	c, d := t.track(r), &t.extra(r).tcp
	switch {
	case c.known[end] && r.flags[end]&flagSYN == 0:
		return d.opening[end]-s.seq-1 >= 1<<16
	case c.known[end]:
		return d.opening[end] != s.seq
	case c.acking[1-end]:
		return c.acked[1-end]-s.seq-1 >= 1<<16
	}
	return true
}

func (t *Table) timeout(r *record) time.Duration {
	l := &t.config.Limits
	switch {
	case r.proto != ProtoTCP:
		return l.Datagram
	case r.ended != CaptureEnd:
		return l.Closing
	case r.flags[0]&flagACK == 0 || r.flags[1]&flagACK == 0:
		return l.Opening
	}
	return l.Established
}

func (t *Table) record(n uint32) *record { return &t.records[n>>recordBits][n&(1<<recordBits-1)] }

func (t *Table) origin(n uint32) *origin { return &t.origins[n>>recordBits][n&(1<<recordBits-1)] }

// full says that r has no extra and that there is no room for one.
func (t *Table) full(r *record) bool { return r.extra == 0 && t.tracked >= t.config.MaxTracked }

// extra returns what is kept beside r, made when there is nothing yet.
func (t *Table) extra(r *record) *extra {
	if r.extra == 0 {
		n := t.extraAt
		if n != 0 {
			x := &t.extras[(n-1)>>extraBits][(n-1)&(1<<extraBits-1)]
			t.extraAt = x.next
			*x = extra{}
		} else {
			if t.extraN>>extraBits == len(t.extras) {
				t.addExtras()
			}
			t.extraN++
			n = uint32(t.extraN)
		}
		t.tracked++
		r.extra = n
	}
	n := r.extra - 1
	return &t.extras[n>>extraBits][n&(1<<extraBits-1)]
}

// track returns the hot part of a TCP flow that has an extra.
func (t *Table) track(r *record) *tcpTrack {
	n := r.extra - 1
	return &t.tracks[n>>extraBits][n&(1<<extraBits-1)]
}

// same says whether r is the flow of k.
func (t *Table) same(r *record, k *key) bool {
	if r.aPort != k.aPort || r.bPort != k.bPort || r.proto != k.proto {
		return false
	}
	if !k.v6 {
		return r.bits&bitV6 == 0 && r.aIP == uint32(k.a.lo) && r.bIP == uint32(k.b.lo)
	}
	return r.bits&bitV6 != 0 && t.wide[r.aIP] == [2]address{k.a, k.b}
}

// find returns the slot of k and 1 + the number of its record; the slot where
// it belongs and 0 when there is none.
func (t *Table) find(k *key, hash uint32) (slot uint32, n uint32) {
	mask := uint32(len(t.slots) - 1)
	for at := hash >> t.shift; ; at = (at + 1) & mask {
		v := t.slots[at]
		if v == 0 {
			return at, 0
		}
		if uint32(v>>32) == hash && t.same(t.record(uint32(v)-1), k) {
			return at, uint32(v)
		}
	}
}

// resize makes an index of size slots, a power of two, of the records that the
// old one had.
func (t *Table) resize(size int) {
	old := t.slots
	t.slots = spread(make([]uint64, size))
	t.shift = 32
	for n := size; n > 1; n >>= 1 {
		t.shift--
	}
	for _, v := range old {
		if v != 0 {
			t.place(v)
		}
	}
}

func (t *Table) place(v uint64) {
	mask := uint32(len(t.slots) - 1)
	at := uint32(v>>32) >> t.shift
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = v
}

// noSlot stands for a slot that was not looked up.
const noSlot = ^uint32(0)

// begin starts a flow with its first packet, at slot of the index, and returns
// 1 + its number. A flow of the same key that is there is over: no packet finds
// it any more.
func (t *Table) begin(slot uint32, frame pcaps.FrameID, now int64, s *segment) uint32 {
	if len(t.free) == 0 && t.used >= t.config.MaxFlows || t.tracked > 0 && t.tracked >= t.config.MaxTracked {
		t.makeRoom()
		slot = noSlot
	}
	var n uint32
	if l := len(t.free); l > 0 {
		n = t.free[l-1]
		t.free = t.free[:l-1]
		t.reused = true
	} else {
		if t.used>>recordBits == len(t.records) {
			t.addRecords()
		}
		n = uint32(t.used)
		t.used++
	}
	t.stats.Flows++
	r := t.record(n)
	*r = record{
		aIP: uint32(s.key.a.lo), bIP: uint32(s.key.b.lo),
		aPort: s.key.aPort, bPort: s.key.bPort,
		proto: s.proto,
		bits:  bitIndexed | bitUsed,
		last:  now,
	}
	*t.origin(n) = origin{start: now, frame: frame}
	if s.v6 {
		r.bits |= bitV6
		r.aIP = t.widen([2]address{s.key.a, s.key.b})
	}
	if s.echo != notEcho {
		r.bits |= bitEcho
	}
	t.orient(r, s)
	if slot == noSlot {
		slot, _ = t.find(&s.key, s.hash)
	}
	if v := t.slots[slot]; v != 0 {
		t.record(uint32(v) - 1).bits &^= bitIndexed
	} else {
		t.indexed++
		if t.indexed*4 > len(t.slots)*3 {
			t.resize(2 * len(t.slots))
			slot, _ = t.find(&s.key, s.hash)
		}
	}
	t.slots[slot] = uint64(s.hash)<<32 | uint64(n+1)
	return n + 1
}

// widen keeps the addresses of an IPv6 flow.
func (t *Table) widen(ends [2]address) uint32 {
	if l := len(t.narrow); l > 0 {
		n := t.narrow[l-1]
		t.narrow = t.narrow[:l-1]
		t.wide[n] = ends
		return n
	}
	t.wide = append(t.wide, ends)
	return uint32(len(t.wide) - 1)
}

// orient decides from its first packet who opened a flow.
func (t *Table) orient(r *record, s *segment) {
	srcIsClient := true
	r.oriented = ByFirstPacket
	switch {
	case s.proto == ProtoTCP && s.flags&flagSYN != 0:
		r.oriented = BySYN
		srcIsClient = s.flags&flagACK == 0
	case s.proto == ProtoTCP && s.flags&(flagRST|flagACK) == flagRST|flagACK && s.seq == 0:
		// The answer to a SYN that is missing: nothing else is reset from
		// number 0 (RFC 9293 section 3.10.7.1).
		r.oriented = ByProtocol
		srcIsClient = false
	case s.echo != notEcho:
		r.oriented = BySYN
		srcIsClient = s.echo == echoRequest
	case s.proto == ProtoSCTP && len(s.payload) > 0 && (s.payload[0] == sctpInit || s.payload[0] == sctpInitAck):
		r.oriented = ByProtocol
		srcIsClient = s.payload[0] == sctpInit
	case s.proto == ProtoTCP || s.proto == ProtoUDP || s.proto == ProtoSCTP:
		src, dst := t.listens(s.proto, s.srcPort), t.listens(s.proto, s.dstPort)
		switch {
		case src != dst:
			r.oriented = ByPort
			srcIsClient = dst > src
		case s.proto == ProtoTCP && (s.srcPort < leastDynamic) != (s.dstPort < leastDynamic):
			// It began before the capture: who is seen first says nothing.
			r.oriented = ByPort
			srcIsClient = s.dstPort < leastDynamic
		}
	}
	if srcIsClient == s.fromB {
		r.bits |= bitClientB
	}
}

// leastDynamic is the lowest port that systems of today give to clients (Linux;
// others begin at 49152).
const leastDynamic = 32768

// Chunks that open an association, and are the first of their packet (RFC 9260
// section 3.2).
const (
	sctpInit    = 1
	sctpInitAck = 2
)

// listens says how much a port looks like a service's: 3 for a documented one,
// 2 for one that a dissector knows, 1 for a system port (RFC 6335 section 6).
func (t *Table) listens(proto uint8, port uint16) int {
	transport := dissect.TCP
	if proto == ProtoUDP {
		transport = dissect.UDP
	}
	switch {
	case t.config.Listeners != nil && t.config.Listeners(proto, port):
		return 3
	case t.set.OnPort(transport, port) != "":
		return 2
	case port < 1024:
		return 1
	}
	return 0
}

// swap exchanges client and server.
func (r *record) swap(because Orientation) {
	r.bits ^= bitClientB | bitFlipped
	r.oriented = because
}

// maxProbed is how many datagrams of a flow are looked at for what they are.
const maxProbed = 4

// datagram delivers a UDP datagram or an ICMP message. As long as no protocol
// has claimed the flow, nothing is kept of it.
func (t *Table) datagram(over dissect.Transport, r *record, n uint32, s *segment, end int, frame pcaps.FrameID, now int64) {
	if r.extra == 0 || t.extra(r).state == nil {
		if len(s.payload) == 0 || r.quiet != 0 || r.packets[0]+r.packets[1] > maxProbed && (r.extra == 0 || r.distinct(t.extra(r), 0)+r.distinct(t.extra(r), 1) > maxProbed) {
			return
		}
		t.probe.Frame, t.probe.Now, t.probe.Cut = uint64(frame), now, len(s.payload) < int(s.payloadLen)
		flip := t.probe.Data(t.set, over, r.dir(end), r.ports(), r.oriented == BySYN, s.payload)
		if t.probe.Protocol(t.set) == "" {
			if t.probe.Likely() {
				r.bits |= bitLikely
				if t.probe.Oriented() && r.dir(end) == dissect.ToServer && r.oriented > ByPort {
					r.swap(ByPort)
				}
			}
			t.probe.Reset()
			return
		}
		if t.full(r) {
			t.probe.Close(t.set)
			t.probe.Reset()
			return
		}
		x := t.extra(r)
		x.state, t.probe = t.probe, t.newState(r.proto)
		x.mac[end] = s.srcMAC
		t.turn(r, x.state, flip)
		if t.hush(r, x); x.state != nil {
			t.wait(&t.talks, n, now)
		}
		return
	}
	x := t.extra(r)
	x.mac[end] = s.srcMAC
	x.state.Frame, x.state.Now = uint64(frame), now
	flip := x.state.Data(t.set, over, r.dir(end), r.ports(), r.oriented == BySYN, s.payload)
	t.turn(r, x.state, flip)
	t.hush(r, x)
}

// turn takes over what the dissection found out about who is who.
func (t *Table) turn(r *record, state *dissect.State, flip bool) {
	if flip {
		r.swap(ByProtocol)
	} else if r.oriented > ByProtocol && state.Oriented() {
		r.oriented = ByProtocol
	}
}

// Finish ends every flow and settles them. The table is not used any more.
func (t *Table) Finish() {
	t.flushParts()
	t.handOver(func(r *record) bool {
		if r.ended == CaptureEnd && t.now-r.last > int64(t.timeout(r)) {
			r.ended = Idle
		}
		return true
	})
}

// makeRoom settles the flows that are over. Where these are few, the flows that
// have been silent longest are ended as well, those first of which nothing is
// known but their headers. It gives back at least a quarter of what is full, so
// that its cost is spread over many packets.
func (t *Table) makeRoom() {
	over := func(r *record) bool {
		return r.bits&bitIndexed == 0 || r.ended != CaptureEnd || t.now-r.last > int64(t.timeout(r))
	}
	done, tracked := 0, t.tracked
	var live, followed []int64 // worth of the flows that go on, and of those that are tracked
	for n := range uint32(t.used) {
		r := t.record(n)
		switch {
		case r.bits&bitUsed == 0:
		case over(r):
			done++
			if r.extra != 0 {
				tracked--
			}
		default:
			live = append(live, t.worth(r))
			if r.extra != 0 {
				followed = append(followed, r.last)
			}
		}
	}
	flowsBelow := int64(math.MinInt64)
	if len(t.free) == 0 && t.used >= t.config.MaxFlows {
		flowsBelow = lowest(live, max(t.used/4, 1)-done)
	}
	trackedBelow := lowest(followed, tracked-t.config.MaxTracked*3/4)
	list := t.handOver(func(r *record) bool {
		if over(r) {
			if r.ended == CaptureEnd {
				r.ended = Idle
			}
			return true
		}
		if t.worth(r) < flowsBelow || r.extra != 0 && r.last < trackedBelow {
			r.ended = Evicted
			t.stats.Evicted++
			return true
		}
		return false
	})
	t.stats.Early += uint64(len(list))
	t.giveBack(list)
}

// lowest returns a bound that at least n of the values, and at least one when n
// is positive, lie below.
func lowest(values []int64, n int) int64 {
	if n <= 0 || len(values) == 0 {
		return math.MinInt64
	}
	slices.Sort(values)
	return values[min(n, len(values))-1] + 1
}

// worth orders live flows: the lower, the sooner it is given up. Flows of
// which nothing is known but their headers come before all others.
func (t *Table) worth(r *record) int64 {
	if r.extra == 0 {
		return r.last - 1<<62
	}
	return r.last
}

// handOver ends the flows that out takes and has them settled in the order in
// which they began. It returns their numbers, in that order.
func (t *Table) handOver(out func(*record) bool) []uint32 {
	list := make([]uint32, 0, t.used-len(t.free))
	for n := range uint32(t.used) {
		r := t.record(n)
		if r.bits&bitUsed == 0 || !out(r) {
			continue
		}
		list = append(list, n)
		if r.extra != 0 {
			t.conclude(r, t.extra(r))
		}
	}
	if t.reused {
		slices.SortFunc(list, func(a, b uint32) int { return cmp.Compare(t.origin(a).frame, t.origin(b).frame) })
	}
	first := t.settled
	t.settle(func(yield func(*Flow) bool) {
		for i, n := range list {
			t.view(t.record(n), t.origin(n), &t.flow)
			t.flow.ID = first + uint64(i) + 1
			if !yield(&t.flow) {
				return
			}
		}
	})
	t.settled += uint64(len(list))
	return list
}

// giveBack makes the places of settled flows free for others.
func (t *Table) giveBack(list []uint32) {
	for _, n := range list {
		r := t.record(n)
		if r.extra != 0 {
			*t.track(r) = tcpTrack{}
			*t.extra(r) = extra{next: t.extraAt}
			t.extraAt = r.extra
			t.tracked--
		}
		if r.bits&bitV6 != 0 {
			t.narrow = append(t.narrow, r.aIP)
		}
		*r, *t.origin(n) = record{}, origin{}
		t.free = append(t.free, n)
	}
	t.reindex()
}

// reindex makes the index anew from the flows that can still be found.
func (t *Table) reindex() {
	clear(t.slots)
	t.indexed = 0
	for n := range uint32(t.used) {
		r := t.record(n)
		if r.bits&bitIndexed == 0 {
			continue
		}
		k := key{aPort: r.aPort, bPort: r.bPort, proto: r.proto, v6: r.bits&bitV6 != 0}
		if k.v6 {
			k.a, k.b = t.wide[r.aIP][0], t.wide[r.aIP][1]
		} else {
			k.a.lo, k.b.lo = uint64(r.aIP), uint64(r.bIP)
		}
		t.place(uint64(k.hash(t.seed))<<32 | uint64(n+1))
		t.indexed++
	}
}
