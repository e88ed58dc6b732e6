package flows

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"wirechart/pcaps"
)

// Recall keeps the frames with which recent flows began, so that those of a flow
// that turns out to matter can be had from the first one on. It belongs to one
// goroutine, and its memory is fixed: frames lie one behind another in a ring,
// where the latest overwrite the oldest, and no flow has more of it than its
// share, so that one that carries a backup does not drive out all others.
//
// Which frame is whose is not noted: when flows are asked for, all frames in the
// ring are decoded again, which costs a few milliseconds, instead of a list for
// each flow, which costs something with every frame.
type Recall struct {
	ring  []byte
	head  int // where the next frame goes
	tail  int // the oldest frame
	used  int // bytes from tail to head, skipped ones included
	share uint32
	seed  uint64

	shares []share
	wanted map[key]*wanted
	pairs  map[key][]*wanted // of the same two hosts and protocol, in the order in which they were wanted: their fragments have no ports
	fresh  int               // wanted flows of which the ring has not been searched
	s, q   segment
}

// share is how much of the ring a flow has had, found by its hash; two flows of
// one place take it from each other.
type share struct {
	hash  uint32
	bytes uint32
	last  int64 // packet time
}

// wanted is a flow that matters.
type wanted struct {
	key   key
	label string
	from  int64 // packet time
	last  int64
	bytes int64 // handed out
	fresh bool
}

const (
	recallHeader = 32 // bytes before each frame in the ring
	recallShares = 1 << 16
	maxWanted    = 1 << 12
	// A flow is forgotten, wanted or not, when nothing came of it for so long,
	// nanoseconds: what comes then begins another.
	recallIdle = int64(5 * time.Minute)
)

// NewRecall makes one of so many bytes, of which each flow may have share.
func NewRecall(size, perFlow int) *Recall {
	return &Recall{
		ring: make([]byte, max(size, 1<<20)&^7), share: uint32(perFlow), seed: rand.Uint64(),
		shares: make([]share, recallShares), wanted: map[key]*wanted{}, pairs: map[key][]*wanted{},
	}
}

// find says which flow a frame is of: by its own headers, or those that an ICMP
// error quotes. Of a fragment it is the pair of hosts.
func (r *Recall) find(p *pcaps.Packet) (k key, opens, ok bool) {
	s := &r.s
	s.decode(p)
	switch s.outcome {
	case Decoded, PortsOnly:
		if s.isError && r.q.decodeQuoted(s) {
			s = &r.q
		}
		s.setKey(r.seed)
		return s.key, s.proto == ProtoTCP && s.flags&(flagSYN|flagACK) == flagSYN, true
	case Fragment:
		s.srcPort, s.dstPort, s.proto, s.echo = 0, 0, s.fragment.proto, echoRequest
		s.setKey(r.seed)
		return s.key, false, true
	}
	return key{}, false, false
}

// pair is the key of the fragments of a flow.
func (k key) pair() key {
	k.aPort, k.bPort = 0, 0
	return k
}

// Add takes a frame in. It returns the label of its flow when that is wanted:
// the frame is then for the caller to keep.
func (r *Recall) Add(p *pcaps.Packet) (label string, isWanted bool) {
	k, opens, ok := r.find(p)
	if !ok {
		return "", false
	}
	if len(r.wanted) > 0 {
		w := r.wanted[k]
		if list := r.pairs[k]; w == nil && len(list) > 0 {
			w = list[0]
		}
		switch {
		case w == nil:
		case p.Time-w.last > recallIdle || opens && p.Time-w.from > int64(time.Second) && !w.fresh:
			r.forget(w)
		case w.fresh: // the ring is about to be searched: it must not miss this one
		default:
			w.last = max(w.last, p.Time)
			w.bytes += int64(len(p.Data))
			return w.label, true
		}
	}
	hash := k.hash(r.seed)
	x := &r.shares[hash%recallShares]
	if x.hash != hash || opens || p.Time-x.last > recallIdle {
		*x = share{hash: hash}
	}
	x.last = p.Time
	if x.bytes += uint32(len(p.Data)); x.bytes-uint32(len(p.Data)) < r.share {
		r.put(p)
	}
	return "", false
}

// Want asks for the frames of a flow, those in the ring and those to come. It
// says false when there are too many of them already. Its label is returned with
// every frame.
func (r *Recall) Want(f *Flow, label string) bool {
	k := f.key()
	if w := r.wanted[k]; w != nil {
		return true
	}
	if len(r.wanted) >= maxWanted {
		for _, w := range r.wanted {
			if f.End-w.last > recallIdle {
				r.forget(w)
			}
		}
		if len(r.wanted) >= maxWanted {
			return false
		}
	}
	w := &wanted{key: k, label: label, from: f.Start, last: f.End, fresh: true}
	r.wanted[k] = w
	r.pairs[k.pair()] = append(r.pairs[k.pair()], w)
	r.fresh++
	return true
}

func (r *Recall) forget(w *wanted) {
	delete(r.wanted, w.key)
	if w.fresh {
		r.fresh--
	}
	pair := w.key.pair()
	if list := slices.DeleteFunc(r.pairs[pair], func(x *wanted) bool { return x == w }); len(list) > 0 {
		r.pairs[pair] = list
	} else {
		delete(r.pairs, pair)
	}
}

// Search hands out the frames in the ring that belong to flows wanted since the
// last search, in the order in which they came; first says that it is the first
// one of its flow.
func (r *Recall) Search(yield func(p *pcaps.Packet, label string, first bool)) {
	if r.fresh == 0 {
		return
	}
	var p pcaps.Packet
	for at, left := r.tail, r.used; left > 0; {
		n := r.at(at, &p)
		if n > left { // the end of the ring, left free
			break
		}
		if p.Data != nil {
			if k, _, ok := r.find(&p); ok {
				w := r.wanted[k]
				if w == nil {
					if i := slices.IndexFunc(r.pairs[k], func(w *wanted) bool { return w.fresh }); i >= 0 {
						w = r.pairs[k][i]
					}
				}
				// The same ports may have had another flow before.
				if w != nil && w.fresh && p.Time >= w.from-int64(time.Second) {
					yield(&p, w.label, w.bytes == 0)
					w.bytes += int64(len(p.Data)) + 1
				}
			}
		}
		left -= n
		if at += n; at == len(r.ring) {
			at = 0
		}
	}
	for _, w := range r.wanted {
		w.fresh = false
	}
	r.fresh = 0
}

// put writes a frame at the head of the ring:
//
//	bytes that it takes (4) captured length (4) length on the wire (4) link type (4)
//	frame (8) time (8) captured bytes, padded to 8
//
// A captured length of all ones says that what is here is the free end of the
// ring.
func (r *Recall) put(p *pcaps.Packet) {
	size := recallHeader + (len(p.Data)+7)&^7
	if size > len(r.ring)/2 {
		return
	}
	if rest := len(r.ring) - r.head; rest < size {
		r.room(rest)
		if rest >= 8 {
			binary.LittleEndian.PutUint32(r.ring[r.head:], uint32(rest))
			binary.LittleEndian.PutUint32(r.ring[r.head+4:], free)
		}
		r.used += rest
		r.head = 0
	}
	r.room(size)
	b := r.ring[r.head:]
	binary.LittleEndian.PutUint32(b, uint32(size))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(p.Data)))
	binary.LittleEndian.PutUint32(b[8:], uint32(p.WireLen))
	binary.LittleEndian.PutUint32(b[12:], uint32(p.Link))
	binary.LittleEndian.PutUint64(b[16:], uint64(p.Frame))
	binary.LittleEndian.PutUint64(b[24:], uint64(p.Time))
	copy(b[recallHeader:], p.Data)
	r.head += size
	r.used += size
	if r.head == len(r.ring) {
		r.head = 0
	}
}

const free = ^uint32(0)

// room makes n bytes behind the head free.
func (r *Recall) room(n int) {
	for len(r.ring)-r.used < n {
		size := int(binary.LittleEndian.Uint32(r.ring[r.tail:]))
		r.used -= size
		if r.tail += size; r.tail == len(r.ring) {
			r.tail = 0
		}
	}
}

// at reads what lies at a place of the ring, and returns how much that takes.
func (r *Recall) at(at int, p *pcaps.Packet) int {
	b := r.ring[at:]
	size, n := int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
	if n == free {
		p.Data = nil
		return size
	}
	*p = pcaps.Packet{
		Frame: pcaps.FrameID(binary.LittleEndian.Uint64(b[16:])), Time: int64(binary.LittleEndian.Uint64(b[24:])),
		Data: b[recallHeader : recallHeader+int(n) : recallHeader+int(n)], WireLen: int(binary.LittleEndian.Uint32(b[8:])),
		Link: pcaps.LinkType(binary.LittleEndian.Uint32(b[12:])),
	}
	return size
}
