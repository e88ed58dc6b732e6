package flows

import (
	"encoding/binary"
	"net/netip"

	"wirechart/pcaps"
)

// Sieve finds the packets of some flows when the captures are read a second time.
// It belongs to one goroutine.
type Sieve struct {
	byKey  map[key][]*sought
	byEnds map[[2]address][]*sought // for fragments, which have no ports; lower end first

	s, quoted segment
}

// sought is a flow of a Sieve.
type sought struct {
	first pcaps.FrameID
	end   int64
	begun bool
}

// quoteGrace is how much later than a flow's last packet an ICMP error about it
// counts, in nanoseconds.
const quoteGrace = int64(30e9)

// NewSieve makes a Sieve that lets nothing pass.
func NewSieve() *Sieve {
	return &Sieve{byKey: map[key][]*sought{}, byEnds: map[[2]address][]*sought{}}
}

// Want adds a flow. Flows that use the same ports are added in the order in which
// they began.
func (v *Sieve) Want(f *Flow) { v.want(f) }

func (v *Sieve) want(f *Flow) *sought {
	w := &sought{first: f.Frame, end: f.End}
	k := f.key()
	v.byKey[k] = append(v.byKey[k], w)
	ends := [2]address{k.a, k.b}
	v.byEnds[ends] = append(v.byEnds[ends], w)
	return w
}

// Has says whether a packet is of a flow that is wanted, an ICMP error about one,
// or a fragment that may be of one. first is the flow's first frame. Packets come
// in the order in which a Table was given them.
func (v *Sieve) Has(p *pcaps.Packet) (first pcaps.FrameID, has bool) {
	w, how := v.find(p)
	if w == nil {
		return 0, how == mayBegin
	}
	return w.first, true
}

// finding is what a packet is to the flows of a Sieve.
type finding uint8

const (
	passed   finding = iota // nothing
	ofOne                   // one of its packets
	quoted                  // an ICMP error about it
	mayBegin                // a fragment, and the datagram that it is part of may begin a flow
)

func (v *Sieve) find(p *pcaps.Packet) (*sought, finding) {
	s := &v.s
	s.decode(p)
	switch s.outcome {
	case Decoded:
		s.setKey(0)
		found := latest(v.byKey[s.key], p, 0)
		if s.isError && v.quoted.decodeQuoted(s) {
			v.quoted.setKey(0)
			if about := latest(v.byKey[v.quoted.key], p, quoteGrace); about != nil {
				return about, quoted
			}
		}
		if found != nil {
			return found, ofOne
		}
	case Fragment:
		ends := [2]address{s.src, s.dst}
		if s.dst.less(s.src) {
			ends = [2]address{s.dst, s.src}
		}
		list := v.byEnds[ends]
		if found := latest(list, p, quoteGrace); found != nil {
			return found, ofOne
		} else if len(list) > 0 {
			return nil, mayBegin
		}
	}
	return nil, passed
}

// latest is the last of the flows of one key that has begun and is not over.
func latest(list []*sought, p *pcaps.Packet, grace int64) *sought {
	var found *sought
	for _, w := range list {
		w.begun = w.begun || p.Frame == w.first
		if w.begun && p.Time <= w.end+grace {
			found = w
		}
	}
	return found
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
	if s.outcome != Decoded {
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
