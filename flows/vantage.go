package flows

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"

	"wirechart/pcaps"
)

// Vantage is what one capture point saw, kept for being compared with another:
// of each flow its ends, how it began, and marks by which packets are known
// again behind a device that changed addresses. What it keeps is bounded.
type Vantage struct {
	Frames, Other, More uint64 // frames; those that are of no flow; packets of flows that found no room

	max   int
	flows map[sightKey]*Passing // the latest of each pair of ends
	order []*Passing
	seg   segment
}

// Passing is one flow at one capture point.
type Passing struct {
	Client, Server netip.AddrPort
	Proto          uint8
	Start          int64
	Frame          pcaps.FrameID
	ISN            [2]uint32 // initial sequence numbers, where HasISN
	HasISN         [2]bool
	Packets        [2]uint64
	Marks          [2][]Mark
	Reset          *Mark // the first reset
	ResetBy        int   // its direction
	ICMP           *ICMPError
}

// Mark is a packet by what no address translation changes.
type Mark struct {
	Print uint64 // of its payload, its flags and its place in the stream
	Body  uint64 // of its payload alone; 0 where it has none worth it
	Time  int64
	Frame pcaps.FrameID
	TTL   uint8
}

type sightKey struct {
	client, server netip.AddrPort
	proto          uint8
}

// What is kept of one capture point at most.
const (
	maxPassings = 1 << 17
	maxMarks    = 12 // packets of one direction: what happens to a flow shows early, and its end in its counts
	markBytes   = 48 // of a payload that count: both captures have as much
	minBody     = 8  // bytes of a payload that is told from others by itself
)

// NewVantage makes an empty Vantage.
func NewVantage() *Vantage {
	return &Vantage{max: maxPassings, flows: make(map[sightKey]*Passing)}
}

// Passings are the flows in the order in which they began.
func (v *Vantage) Passings() []*Passing { return v.order }

// Add takes one packet.
func (v *Vantage) Add(p *pcaps.Packet) {
	v.Frames++
	s := &v.seg
	s.decode(p)
	switch {
	case s.outcome != Decoded:
		v.Other++
		return
	case s.isError:
		v.quoted(p)
		return
	}
	src, dst := netip.AddrPortFrom(s.src.netip(s.v6), s.srcPort), netip.AddrPortFrom(s.dst.netip(s.v6), s.dstPort)
	syn, ack := s.proto == ProtoTCP && s.flags&flagSYN != 0, s.flags&flagACK != 0
	dir := 0
	f := v.flows[sightKey{src, dst, s.proto}]
	if f == nil {
		if f = v.flows[sightKey{dst, src, s.proto}]; f != nil {
			dir = 1
		}
	}
	// Ports are used again.
	if f != nil && syn && !ack && f.HasISN[dir] && f.ISN[dir] != s.seq {
		f = nil
	}
	if f == nil {
		if len(v.order) >= v.max {
			v.More++
			return
		}
		f = &Passing{Client: src, Server: dst, Proto: s.proto, Start: p.Time, Frame: p.Frame}
		dir = 0
		if syn && ack || s.echo == echoReply {
			f.Client, f.Server, dir = dst, src, 1
		}
		v.flows[sightKey{f.Client, f.Server, s.proto}] = f
		v.order = append(v.order, f)
	}
	if syn && !f.HasISN[dir] {
		f.ISN[dir], f.HasISN[dir] = s.seq, true
	}
	m := Mark{Time: p.Time, Frame: p.Frame, TTL: s.ttl}
	m.Print, m.Body = s.marks(f, dir)
	if slices.ContainsFunc(f.Marks[dir], func(x Mark) bool { return x.Print == m.Print }) && p.Time-f.Marks[dir][len(f.Marks[dir])-1].Time < 1e6 {
		return // a copy of the mirror's
	}
	f.Packets[dir]++
	if s.proto == ProtoTCP && s.flags&flagRST != 0 && f.Reset == nil {
		f.Reset, f.ResetBy = &m, dir
	}
	if len(f.Marks[dir]) < maxMarks && !slices.ContainsFunc(f.Marks[dir], func(x Mark) bool { return x.Print == m.Print }) {
		f.Marks[dir] = append(f.Marks[dir], m)
	}
}

// quoted notes an ICMP error with the flow that it is about.
func (v *Vantage) quoted(p *pcaps.Packet) {
	var q segment
	if !q.decodeQuoted(&v.seg) {
		return
	}
	src, dst := netip.AddrPortFrom(q.src.netip(q.v6), q.srcPort), netip.AddrPortFrom(q.dst.netip(q.v6), q.dstPort)
	f := v.flows[sightKey{src, dst, q.proto}]
	if f == nil {
		f = v.flows[sightKey{dst, src, q.proto}]
	}
	if f != nil && f.ICMP == nil && len(v.seg.payload) >= 2 {
		f.ICMP = &ICMPError{Type: v.seg.payload[0], Code: v.seg.payload[1], From: v.seg.src.netip(v.seg.v6), Frame: p.Frame}
	}
}

// marks are what the packet is known by: in TCP its place behind the initial
// sequence number, which devices change that choose numbers anew.
func (s *segment) marks(f *Passing, dir int) (print, body uint64) {
	payload := s.payload
	if s.echo != notEcho && len(payload) >= 8 {
		payload = payload[8:] // the identifier is changed as ports are
	}
	payload = payload[:min(len(payload), markBytes)]
	h := fnv.New64a()
	place := s.seq
	if s.proto == ProtoTCP && f.HasISN[dir] {
		place -= f.ISN[dir]
	}
	if s.proto != ProtoTCP && s.echo == notEcho {
		place = 0
	}
	flags := s.flags & (flagFIN | flagSYN | flagRST)
	if s.proto != ProtoTCP {
		flags = 0
	}
	h.Write([]byte{s.proto, flags, byte(place >> 24), byte(place >> 16), byte(place >> 8), byte(place),
		byte(s.payloadLen >> 8), byte(s.payloadLen)})
	if s.proto == ProtoTCP && len(payload) == 0 && flags == 0 {
		// Acknowledgements are told apart by what they acknowledge.
		ack := s.ack
		if f.HasISN[1-dir] {
			ack -= f.ISN[1-dir]
		}
		h.Write([]byte{byte(ack >> 24), byte(ack >> 16), byte(ack >> 8), byte(ack)})
	}
	h.Write(payload)
	print = h.Sum64()
	if len(payload) >= minBody {
		h.Reset()
		h.Write([]byte{s.proto, byte(s.payloadLen >> 8), byte(s.payloadLen)})
		h.Write(payload)
		body = h.Sum64()
	}
	return print, body
}

// Crossing is one flow as both capture points saw it; the side that did not has
// nil.
type Crossing struct {
	Sides [2]*Passing // inside, outside
	By    string      // what it was known again by: "addresses", "sequence numbers", "payload"
}

// MatchVantages pairs what two capture points saw: by addresses and ports, then by
// initial sequence numbers, then by payload. The order is that of the first
// capture point's flows, then the rest of the second's.
func MatchVantages(inside, outside *Vantage) []Crossing {
	taken := make(map[*Passing]bool)
	pairs := make(map[*Passing]Crossing)
	join := func(a, b *Passing, by string) {
		pairs[a] = Crossing{[2]*Passing{a, b}, by}
		taken[b] = true
	}
	same := func(a, b *Passing) bool {
		if a.Proto != b.Proto {
			return false
		}
		for dir := range 2 {
			if a.HasISN[dir] && b.HasISN[dir] && a.ISN[dir] == b.ISN[dir] {
				return true
			}
		}
		return sharedBody(a, b) || !a.HasISN[0] && !b.HasISN[0]
	}
	byEnds := make(map[sightKey][]*Passing)
	for _, b := range outside.order {
		k := sightKey{b.Client, b.Server, b.Proto}
		byEnds[k] = append(byEnds[k], b)
	}
	for _, a := range inside.order {
		list := byEnds[sightKey{a.Client, a.Server, a.Proto}]
		for _, b := range list {
			if !taken[b] && (same(a, b) || len(list) == 1 && !a.HasISN[0]) {
				join(a, b, "addresses")
				break
			}
		}
	}
	type isnKey struct {
		dir int
		isn uint32
	}
	byISN := make(map[isnKey][]*Passing)
	byBody := make(map[uint64][]*Passing)
	for _, b := range outside.order {
		if taken[b] {
			continue
		}
		for dir := range 2 {
			if b.HasISN[dir] {
				k := isnKey{dir, b.ISN[dir]}
				byISN[k] = append(byISN[k], b)
			}
		}
		for _, body := range b.bodies() {
			byBody[body] = append(byBody[body], b)
		}
	}
	for _, a := range inside.order {
		if _, ok := pairs[a]; ok || a.Proto != ProtoTCP {
			continue
		}
		for dir := range 2 {
			if !a.HasISN[dir] {
				continue
			}
			if i := slices.IndexFunc(byISN[isnKey{dir, a.ISN[dir]}], func(b *Passing) bool { return !taken[b] }); i >= 0 {
				join(a, byISN[isnKey{dir, a.ISN[dir]}][i], "sequence numbers")
				break
			}
		}
	}
	for _, a := range inside.order {
		if _, ok := pairs[a]; ok {
			continue
		}
		var best *Passing
		for _, body := range a.bodies() {
			for _, b := range byBody[body] {
				if !taken[b] && b.Proto == a.Proto && (best == nil || abs(b.Start-a.Start) < abs(best.Start-a.Start)) {
					best = b
				}
			}
		}
		if best != nil {
			join(a, best, "payload")
		}
	}
	var list []Crossing
	for _, a := range inside.order {
		c, ok := pairs[a]
		if !ok {
			c = Crossing{Sides: [2]*Passing{a, nil}}
		}
		list = append(list, c)
	}
	for _, b := range outside.order {
		if !taken[b] {
			list = append(list, Crossing{Sides: [2]*Passing{nil, b}})
		}
	}
	return list
}

func abs(n int64) int64 { return max(n, -n) }

// bodies are the payloads that a passing is known by.
func (s *Passing) bodies() []uint64 {
	var list []uint64
	for dir := range 2 {
		for _, m := range s.Marks[dir] {
			if m.Body != 0 && !slices.Contains(list, m.Body) {
				list = append(list, m.Body)
			}
		}
	}
	return list
}

func sharedBody(a, b *Passing) bool {
	other := b.bodies()
	return slices.ContainsFunc(a.bodies(), func(x uint64) bool { return slices.Contains(other, x) })
}

// Lag is the time between the passings of one packet: outside less inside. Dir
// is its direction in the flow; Outward says that it went from inside to
// outside, where the hop counts tell.
type Lag struct {
	Dir     int
	Time    int64
	Outward int // 1 outward, -1 inward, 0 not known
}

// Lags are those of the packets that both sides saw, retransmissions left out.
func (c *Crossing) Lags() []Lag {
	var list []Lag
	if c.Sides[0] == nil || c.Sides[1] == nil {
		return nil
	}
	for dir := range 2 {
		for _, m := range c.Sides[0].Marks[dir] {
			for _, x := range c.Sides[1].Marks[dir] {
				if x.Print == m.Print {
					list = append(list, Lag{dir, x.Time - m.Time, cmp.Compare(m.TTL, x.TTL)})
				}
			}
		}
	}
	return list
}

// Lost says of one direction how many of the packets marked at one side the
// other never saw, and the first of those.
func (c *Crossing) Lost(from, dir int) (n int, first *Mark) {
	a, b := c.Sides[from], c.Sides[1-from]
	if a == nil {
		return 0, nil
	}
	for i := range a.Marks[dir] {
		m := &a.Marks[dir][i]
		if b != nil && (slices.ContainsFunc(b.Marks[dir], func(x Mark) bool { return x.Print == m.Print }) || len(b.Marks[dir]) == maxMarks) {
			continue
		}
		if n++; first == nil {
			first = m
		}
	}
	return n, first
}
