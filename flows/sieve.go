package flows

import (
	"encoding/binary"
	"net/netip"

	"wirechart/pcaps"
)

// Sieve finds the packets of some flows when the captures are read a second time.
// A flow begins with the frame that it began with for the Table; of the flows of
// one key, or for fragments, which have no ports, between two addresses, the last
// that began has the packets. It belongs to one goroutine.
type Sieve struct {
	list    []sought
	byFirst map[pcaps.FrameID]int // index into list: flows that have not begun
	byKey   map[key]int           // that have
	byEnds  map[addressPair]int   // that have; none before the first of them
	byError map[pcaps.FrameID]int // ICMP errors that the Table tied to them, perhaps before they began
	s       segment
	quoted  segment
}

// sought is a flow of a Sieve.
type sought struct {
	key key
	end int64
}

// addressPair is two addresses, the lower one first.
type addressPair [2]address

const none = -1 // of a list

// quoteGrace is how much later than a flow's last packet an ICMP error about it
// counts, in nanoseconds.
const quoteGrace = int64(30e9)

// NewSieve makes a Sieve that lets nothing pass.
func NewSieve() *Sieve {
	return &Sieve{byFirst: map[pcaps.FrameID]int{}, byKey: map[key]int{}, byEnds: map[addressPair]int{}, byError: map[pcaps.FrameID]int{}}
}

// Want adds a flow, before the first packet comes, and returns how many were
// wanted before it.
func (v *Sieve) Want(f *Flow) int {
	k := f.key()
	v.byFirst[f.Frame] = len(v.list)
	v.byEnds[addressPair{k.a, k.b}] = none
	for i := range f.ICMP {
		v.byError[f.ICMP[i].Frame] = len(v.list)
	}
	v.list = append(v.list, sought{k, f.End})
	return len(v.list) - 1
}

// Has says whether a packet is of a flow that is wanted, an ICMP error about one,
// or a fragment that may be of one. Packets come in the order in which a Table was
// given them.
func (v *Sieve) Has(p *pcaps.Packet) bool {
	_, how := v.find(p)
	return how != passed
}

// finding is what a packet is to the flows of a Sieve.
type finding uint8

const (
	passed   finding = iota // nothing
	ofOne                   // one of its packets
	quoted                  // an ICMP error about it
	mayBegin                // a fragment, and the datagram that it is part of may begin a flow
)

// find says what a packet is to which flow, as Want numbered them.
func (v *Sieve) find(p *pcaps.Packet) (int, finding) {
	s := &v.s
	s.decode(p)
	between := addressPair{s.src, s.dst}
	if s.dst.less(s.src) {
		between = addressPair{s.dst, s.src}
	}
	if n, first := v.byFirst[p.Frame]; first {
		delete(v.byFirst, p.Frame)
		k := v.list[n].key
		v.byKey[k], v.byEnds[addressPair{k.a, k.b}] = n, n
		if s.outcome == Fragment { // it may be inside a tunnel's packet, whose addresses are others
			v.byEnds[between] = n
		}
		return n, ofOne
	}
	switch s.outcome {
	case Decoded, PortsOnly:
		if n, known := v.byError[p.Frame]; known && s.isError {
			return n, quoted
		}
		if s.isError && v.quoted.decodeQuoted(s) {
			v.quoted.setKey(0)
			if n, began := v.byKey[v.quoted.key]; began && p.Time <= v.list[n].end+quoteGrace {
				return n, quoted
			}
		}
		s.setKey(0)
		if n, began := v.byKey[s.key]; began && p.Time <= v.list[n].end {
			return n, ofOne
		}
	case Fragment:
		n, wanted := v.byEnds[between]
		switch {
		case wanted && n != none && p.Time <= v.list[n].end+quoteGrace:
			return n, ofOne
		case wanted:
			return 0, mayBegin
		}
	}
	return 0, passed
}

// key is the key under which a table finds f.
func (f *Flow) key() key {
	s := segment{proto: f.Proto, v6: f.Client.Addr().Is6(), src: addressOf(f.Client.Addr()), dst: addressOf(f.Server.Addr()),
		srcPort: f.Client.Port(), dstPort: f.Server.Port()}
	if f.Proto == ProtoICMP || f.Proto == ProtoICMPv6 {
		s.srcPort = f.icmp
		if f.icmp == 8<<8 || f.icmp == 128<<8 {
			s.echo, s.srcPort = echoRequest, f.EchoID
		}
		s.dstPort = s.srcPort
	}
	s.setKey(0)
	return s.key
}

func addressOf(a netip.Addr) address {
	if a.Is4() {
		b := a.As4()
		return address{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Touches says whether a packet is one of f's by its addresses and ports, or
// an ICMP error about it. When it came is for the caller to compare.
func (f *Flow) Touches(p *pcaps.Packet) bool {
	var s, q segment
	s.decode(p)
	if !s.outcome.hasFlow() {
		return false
	}
	s.setKey(0)
	k := f.key()
	if s.key == k {
		return true
	}
	if !s.isError || !q.decodeQuoted(&s) {
		return false
	}
	q.setKey(0)
	return q.key == k
}
