package flows

import (
	"cmp"
	"hash"
	"hash/fnv"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// Vantage notes, beside a Table, what finds its flows again in a capture that
// was made at another place: the numbers that TCP began with, and of packets
// what no device on the way has a reason to change (marks). Compare then holds
// two of them against each other. It is for captures that are read for this
// purpose: the ordinary path does not know of it.
//
// Of each flow and direction the first marks are kept and the last ones, and
// of those between a sample that is chosen by what is in the packet, so that
// both places choose the same packets (trajectory sampling: N. Duffield,
// M. Grossglauser, 2001). It belongs to one goroutine.
type Vantage struct {
	passages []*Passage
	byFrame  map[pcaps.FrameID]*Passage // not settled yet, by the frame that began the flow
	byRecord []*Passage                 // by the number of the table's record
	left     uint64                     // flows for which there was no room
	marks    int
	shift    uint8 // at least this thin is the sample of each flow

	first, last int64 // times of the first and the last frame, whatever they are
	frames      uint64
	quiet       []interval // times without a frame, in order
	quietFrom   int64      // so long at least
	cut         bool       // a snap length took part of what tells datagrams apart
	short       [2]uint64  // IPv4, IPv6: frames of which it left too little to tell them
	quoted      segment
	digest      hash.Hash64
}

// How much a Vantage keeps.
const (
	maxPassages  = 1 << 20
	maxMarks     = 4 << 20 // of all flows, 40 bytes each
	openingMarks = 16      // of each direction, kept whatever they are
	tailMarks    = 16
	maxSampled   = 128 // of each direction between them
	digestLen    = 64  // bytes of payload that tell packets apart
	headLen      = 16  // so many of them where a snap length took the others
	maxQuotes    = 8   // ICMP errors of one flow

	maxQuiet   = 1 << 16
	leastQuiet = 5 * second / 1000 // shorter times without a frame are not kept
)

// mark is what is noted of one packet. For TCP seq is the sequence number and
// sum a digest of the payload, or the acknowledgement where there is no
// payload; for everything else both are halves of a digest, and head is one of
// the first bytes, which a snap length leaves.
type mark struct {
	time  int64
	frame pcaps.FrameID
	seq   uint32
	n     uint32 // payload, as the headers claim
	sum   uint32
	head  uint32
	id    uint16 // IP identification; 0 where there is none
	flags uint8  // TCP: FIN, SYN, RST
	cut   bool   // the snap length took part of what sum is over
	short bool   // and part of what head is over
}

// print is a mark without what differs between places and transmissions.
type print struct{ seq, n, sum, flags uint32 }

func (m *mark) print(tcp bool) print {
	p := print{m.seq, m.n, m.sum, uint32(m.flags)}
	if tcp && m.n > 0 {
		p.sum = 0 // sequence numbers tell enough, and snap lengths differ
	}
	return p
}

// sampled says whether a sample that keeps one in 2^shift keeps m.
func (m *mark) sampled(shift uint8) bool {
	const m1, m2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	x := (uint64(m.seq)<<32 | uint64(m.n)) * m1
	x = (x ^ x>>29 ^ uint64(m.flags)<<32) * m2
	return shift < noSample && x>>32&(1<<shift-1) == 0
}

// noSample is a sample that keeps nothing.
const noSample = 32

// track is the marks of one direction: the first ones, a sample of those
// behind, the last ones.
type track struct {
	opening, sample, tail []mark
	at                    int // the oldest of tail, when it is full
	shift                 uint8
}

// add takes the next mark and returns by how many more are kept.
func (k *track) add(m mark, floor uint8) int {
	switch {
	case len(k.opening) < openingMarks:
		k.opening = append(k.opening, m)
		return 1
	case len(k.tail) < tailMarks:
		k.tail = append(k.tail, m)
		return 1
	}
	m, k.tail[k.at] = k.tail[k.at], m
	k.at = (k.at + 1) % tailMarks
	before := len(k.sample)
	k.thin(floor)
	if m.sampled(k.shift) {
		k.sample = append(k.sample, m)
	}
	for len(k.sample) > maxSampled {
		k.thin(k.shift + 1)
	}
	return len(k.sample) - before
}

// thin makes the sample as thin as 1 in 2^shift.
func (k *track) thin(shift uint8) {
	if k.shift < shift {
		k.shift = shift
		k.sample = slices.DeleteFunc(k.sample, func(m mark) bool { return !m.sampled(shift) })
	}
}

// all is the marks in order, and how many at the end are the tail's.
func (k *track) all() (list []mark, tail int) {
	list = slices.Concat(k.opening, k.sample)
	if len(k.tail) < tailMarks {
		return append(list, k.tail...), len(k.tail)
	}
	return append(append(list, k.tail[k.at:]...), k.tail[:k.at]...), len(k.tail)
}

// Passage is a flow as it passed one place.
type Passage struct {
	Frame          pcaps.FrameID // that began it
	Proto          uint8
	Client, Server netip.AddrPort
	EchoID         uint16 // of ICMP echoes
	ICMPType       uint8
	App            string
	Edge           string // of the diagram; "" for none
	Packets        Pair
	Payload        Pair
	Start, End     int64
	State          ConnState

	// By direction: the first packet, the last one that is no RST, TTL or hop
	// limit of the first one that is none, and the first RST.
	First [2]Moment
	Last  [2]Moment
	TTL   [2]uint8
	Reset [2]ResetSight
	Frag  [2]bool // some packets came in fragments

	// ICMP errors that quoted the flow, the first few.
	Errors []Quote

	key    key
	isn    [2]uint32
	hasISN [2]bool
	acked  [2]uint32 // the highest acknowledgement of what this direction sent
	ackSet [2]bool
	missed Pair
	unseen [2]bool
	track  [2]track
	reach  [2]reach // TCP: the payload that passed
	mac    [2]macs  // of the first packet
	icmp   uint16   // type and code of ICMP flows; of the request, for echoes
	group  bool     // to a multicast or broadcast address: not for a router
	whole  bool     // taken over from the Table
}

// Moment is a frame and its time; the zero value is none.
type Moment struct {
	Frame pcaps.FrameID
	Time  int64
}

// ResetSight is the first RST of a direction.
type ResetSight struct {
	Moment
	TTL uint8
	seq uint32
}

// Quote is an ICMP error that quoted a packet of the flow.
type Quote struct {
	ICMPError
	Time int64
	Dir  dissect.Dir // of the packet quoted
}

type macs struct{ src, dst MAC }

// NewVantage makes an empty one.
func NewVantage() *Vantage {
	return &Vantage{byFrame: map[pcaps.FrameID]*Passage{}, digest: fnv.New64a(), quietFrom: leastQuiet}
}

// Add hands the packets of a batch to the table, one by one, and notes what the
// table made of each.
func (v *Vantage) Add(t *Table, batch []pcaps.Packet) {
	for i := range batch {
		p := &batch[i]
		if v.frames == 0 {
			v.first, v.last = p.Time, p.Time
		}
		v.frames++
		v.hush(p.Time)
		v.first, v.last = min(v.first, p.Time), max(v.last, p.Time)
		copies := t.stats.Copies
		t.Add(batch[i : i+1])
		switch s := &t.segments[0]; {
		case s.outcome == Decoded && t.stats.Copies == copies:
			v.note(t, p, s)
		case s.outcome == Truncated || s.outcome == PortsOnly:
			v.short[ipVersion(s.v6)]++
		}
	}
}

// hush notes how long there was no frame before one at a time. Where there are
// too many such times the shorter ones are forgotten.
func (v *Vantage) hush(t int64) {
	if t-v.last < v.quietFrom {
		return
	}
	v.quiet = append(v.quiet, interval{v.last, t})
	for len(v.quiet) > maxQuiet {
		v.quietFrom *= 2
		v.quiet = slices.DeleteFunc(v.quiet, func(q interval) bool { return q.high-q.low < v.quietFrom })
	}
}

// passage finds the flow that the table has under a key, or begins it.
func (v *Vantage) passage(t *Table, s *segment) *Passage {
	_, n := t.find(&s.key, s.hash)
	if n == 0 {
		return nil
	}
	began := t.origin(n - 1).frame
	for int(n) > len(v.byRecord) {
		v.byRecord = append(v.byRecord, nil)
	}
	if p := v.byRecord[n-1]; p != nil && p.Frame == began {
		return p
	}
	if p := v.byFrame[began]; p != nil {
		v.byRecord[n-1] = p
		return p
	}
	if len(v.passages) >= maxPassages {
		v.left++
		return nil
	}
	p := &Passage{Frame: began, Proto: s.proto, key: s.key}
	v.passages = append(v.passages, p)
	v.byFrame[began], v.byRecord[n-1] = p, p
	if t.adopter == began { // errors about it came before it
		for i := range t.adopted {
			o := &t.adopted[i]
			p.quoted(Quote{o.ICMPError, o.time, 0}, o.fromB)
		}
	}
	return p
}

// note writes down a packet of a flow. Until the flow is settled the pairs are
// by end of its key.
func (v *Vantage) note(t *Table, p *pcaps.Packet, s *segment) {
	if s.isError {
		v.quote(t, p, s)
		return
	}
	if s.proto == ProtoICMPv6 && s.echo == notEcho && isNeighbour(uint8(s.srcPort>>8)) {
		return
	}
	f := v.passage(t, s)
	if f == nil {
		return
	}
	end := 0
	if s.fromB {
		end = 1
	}
	at := Moment{p.Frame, p.Time}
	if f.First[end].Frame == 0 {
		f.First[end] = at
		f.mac[end] = macsOf(p, s)
		f.group = f.group || forGroup(p, s)
		if f.First[1-end].Frame == 0 {
			f.Start = p.Time
		}
	}
	if s.flags&flagRST == 0 {
		f.Last[end] = at
	}
	f.End = max(f.End, p.Time)
	f.Frag[end] = f.Frag[end] || s.parts > 0
	m := mark{time: p.Time, frame: p.Frame, n: s.payloadLen, id: uint16(s.ipID)}
	if s.proto == ProtoTCP {
		v.noteTCP(f, s, end, at, &m)
	} else {
		v.digestOf(s, &m)
	}
	if s.flags&flagRST == 0 && f.TTL[end] == 0 {
		f.TTL[end] = s.ttl
	}
	v.marks += f.track[end].add(m, v.shift)
	if v.marks > maxMarks && v.shift < 30 {
		v.shift++
		v.marks = 0
		for _, f := range v.passages {
			for end := range f.track {
				k := &f.track[end]
				k.thin(v.shift)
				v.marks += len(k.opening) + len(k.sample) + len(k.tail)
			}
		}
	}
}

func (v *Vantage) noteTCP(f *Passage, s *segment, end int, at Moment, m *mark) {
	m.seq, m.flags = s.seq, s.flags&(flagFIN|flagSYN|flagRST)
	switch {
	case s.payloadLen > 0:
		v.digest.Reset()
		part := s.payload[:min(len(s.payload), digestLen)]
		v.digest.Write(part)
		m.sum = uint32(v.digest.Sum64())
		m.cut = len(part) < min(int(s.payloadLen), digestLen)
		f.reach[end].add(s.seq, s.payloadLen)
	case m.flags == 0:
		m.sum = s.ack
	}
	if s.flags&flagSYN != 0 && !f.hasISN[end] {
		f.isn[end], f.hasISN[end] = s.seq, true
	}
	if s.flags&(flagACK|flagRST) == flagACK && (!f.ackSet[1-end] || int32(s.ack-f.acked[1-end]) > 0) {
		f.acked[1-end], f.ackSet[1-end] = s.ack, true
	}
	if r := &f.Reset[end]; s.flags&flagRST != 0 && r.Frame == 0 {
		r.Moment, r.TTL, r.seq = at, s.ttl, s.seq
	}
}

// digestOf makes the mark of a packet without sequence numbers. Of an ICMP echo
// it leaves out the checksum and the identifier, which address translation
// changes.
func (v *Vantage) digestOf(s *segment, m *mark) {
	b := s.payload
	v.digest.Reset()
	switch {
	case s.echo != notEcho:
		v.digest.Write(b[6:8]) // the sequence number
		b = b[8:]
	case s.proto == ProtoICMP || s.proto == ProtoICMPv6:
		b = b[min(4, len(b)):]
	}
	part := b[:min(len(b), digestLen)]
	head := part[:min(len(part), headLen)]
	v.digest.Write(head)
	m.head = uint32(v.digest.Sum64())
	v.digest.Write(part[len(head):])
	sum := v.digest.Sum64()
	m.seq, m.sum = uint32(sum>>32), uint32(sum)
	if len(s.payload) < int(s.payloadLen) {
		m.cut, m.short = len(part) < digestLen, len(head) < headLen
		v.cut = v.cut || m.cut
		if m.short {
			v.short[ipVersion(s.v6)]++
		}
	}
}

// ipVersion is where in a pair of counts IPv4 and IPv6 are.
func ipVersion(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// behead leaves of what tells datagrams apart the beginning alone, as a snap
// length did at the other place. Samples were chosen by all of it.
func (v *Vantage) behead() {
	for _, p := range v.passages {
		if p.Proto == ProtoTCP {
			continue
		}
		for d := range p.track {
			k := &p.track[d]
			if len(k.sample) > 0 || k.shift > 0 {
				k.sample, k.shift = nil, noSample
			}
			for _, part := range k.parts() {
				for i := range part {
					part[i].seq, part[i].sum = part[i].head, 0
				}
			}
		}
	}
}

// quote writes an ICMP error down where the packet that it quotes belongs.
func (v *Vantage) quote(t *Table, p *pcaps.Packet, e *segment) {
	q := &v.quoted
	if !q.decodeQuoted(e) {
		return
	}
	q.setKey(t.seed)
	if _, n := t.find(&q.key, q.hash); n == 0 {
		return
	}
	f := v.passage(t, q)
	if f == nil {
		return
	}
	f.quoted(Quote{ICMPError{Type: e.payload[0], Code: e.payload[1], From: e.src.netip(e.v6), Frame: p.Frame}, p.Time, 0}, q.fromB)
}

// quoted keeps an ICMP error that quotes a packet of the key's lower end, or of
// its upper one.
func (p *Passage) quoted(q Quote, fromB bool) {
	if len(p.Errors) >= maxQuotes {
		return
	}
	if fromB {
		q.Dir = 1
	}
	p.Errors = append(p.Errors, q)
}

// isNeighbour says whether ICMPv6 messages of a type stay on their link: listener
// and neighbour discovery (RFC 4861, RFC 3810).
func isNeighbour(t uint8) bool { return t >= 130 && t <= 137 || t == 143 }

// macsOf are the addresses of an Ethernet frame that is not a tunnel's.
func macsOf(p *pcaps.Packet, s *segment) macs {
	if p.Link != pcaps.LinkEthernet || len(p.Data) < 12 || MAC(p.Data[6:12]) != s.srcMAC {
		return macs{}
	}
	return macs{src: s.srcMAC, dst: MAC(p.Data[:6])}
}

// forGroup says whether a packet is for more than one host, or for its link
// alone: no router passes it on.
func forGroup(p *pcaps.Packet, s *segment) bool {
	if m := macsOf(p, s); m.dst[0]&1 != 0 {
		return true
	}
	src, dst := s.src.netip(s.v6), s.dst.netip(s.v6)
	return dst.IsMulticast() || dst.IsLinkLocalUnicast() || src.IsLinkLocalUnicast() || src.IsUnspecified() ||
		dst.IsLoopback() || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Settle takes over what the Table says of a flow, in the order in which it
// hands them out; edge is what the diagram calls it.
func (v *Vantage) Settle(f *Flow, edge string) {
	p := v.byFrame[f.Frame]
	if p == nil {
		return
	}
	delete(v.byFrame, f.Frame)
	p.whole = true
	p.Client, p.Server, p.EchoID, p.App, p.Edge = f.Client, f.Server, f.EchoID, f.App, edge
	if f.Proto == ProtoICMP || f.Proto == ProtoICMPv6 {
		p.icmp, p.ICMPType = f.icmp, uint8(f.icmp>>8)
	}
	p.Packets, p.Payload, p.missed = f.Packets, f.Payload, f.Missed
	for d := range p.Packets { // what the mirror made twice crossed once
		p.Packets[d] -= min(p.Packets[d], f.Duplicate[d])
	}
	p.State, p.unseen = f.TCP.State, f.TCP.Unseen
	if addressOf(f.Client.Addr()) != p.key.a || p.key.a == p.key.b && f.Client.Port() != p.key.aPort {
		p.swap()
	}
}

// swap exchanges the two directions of what was noted.
func (p *Passage) swap() {
	swap(&p.First)
	swap(&p.Last)
	swap(&p.TTL)
	swap(&p.Reset)
	swap(&p.Frag)
	swap(&p.isn)
	swap(&p.hasISN)
	swap(&p.acked)
	swap(&p.ackSet)
	swap(&p.track)
	swap(&p.reach)
	swap(&p.mac)
	for i := range p.Errors {
		p.Errors[i].Dir = p.Errors[i].Dir.Other()
	}
}

func swap[T any](pair *[2]T) { pair[0], pair[1] = pair[1], pair[0] }

// turned is p with client and server exchanged.
func (p *Passage) turned() *Passage {
	t := *p
	t.Errors = slices.Clone(p.Errors)
	t.swap()
	t.Client, t.Server = p.Server, p.Client
	for _, pair := range []*Pair{&t.Packets, &t.Payload, &t.missed} {
		pair[0], pair[1] = pair[1], pair[0]
	}
	swap(&t.unseen)
	return &t
}

// finish is the passages in the order in which they began, those to groups
// left out and counted.
func (v *Vantage) finish() (list []*Passage, group uint64) {
	for _, p := range v.passages {
		switch {
		case !p.whole:
		case p.group:
			group++
		default:
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *Passage) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Frame, b.Frame))
	})
	return list, group
}

// echo says whether p is of ICMP echoes.
func (p *Passage) echo() bool {
	return p.Proto == ProtoICMP && p.ICMPType == 8 || p.Proto == ProtoICMPv6 && p.ICMPType == 128
}

// kind is the same for flows that may be one although a device between has
// translated them to the other version of IP.
func (p *Passage) kind() uint8 {
	if p.Proto == ProtoICMPv6 {
		return ProtoICMP
	}
	return p.Proto
}

// CommunityID is that of the flow as this place shows it.
func (p *Passage) CommunityID() string {
	f := Flow{Proto: p.Proto, Client: p.Client, Server: p.Server, EchoID: p.EchoID, icmp: p.icmp}
	return f.CommunityID()
}
