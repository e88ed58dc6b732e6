package dissect

import (
	"encoding/binary"
	"unsafe"
)

// Result is what a dissection came to, for a flow of which nothing more will be
// read: all that is asked for later, without what reading it needed. Most flows
// of a capture are over at any time, so this is what a flow costs.
type Result struct {
	packed string // the protocol's name and the facts: see Set.pack
	broken *Malformed
	by     Basis
	lost   bool
	open   bool
}

// Conclude ends the dissection and returns what it came to. The State can then
// be Reset for another flow.
func (s *State) Conclude(set *Set) Result {
	open := s.Undecided(set)
	s.Close(set)
	return Result{packed: set.pack(s.Protocol(set), s.list), broken: s.broken, by: s.basis, lost: s.lost, open: open}
}

// Reset readies s for another flow. The space of its facts is used again.
func (s *State) Reset() {
	list := s.list[:0]
	*s = State{}
	s.list = list
}

// Protocol is the name of the protocol found, "" when none was.
func (r *Result) Protocol() string {
	if r.packed == "" {
		return ""
	}
	return r.packed[1 : 1+r.packed[0]]
}

// By says how the protocol is known.
func (r *Result) By() Basis { return r.by }

// Broken is the contradiction that ended parsing, or nil.
func (r *Result) Broken() error {
	if r.broken == nil {
		return nil
	}
	return r.broken
}

// Lost says whether bytes were missing before the dissection was done.
func (r *Result) Lost() bool { return r.lost }

// Undecided says whether all that was said may be the beginning of the protocol
// that is usual on the port.
func (r *Result) Undecided() bool { return r.open }

// What packing a fact takes beside its text, at most, and how many bytes are
// allocated at once: enough for the cost of it to vanish, few enough for a name
// that somebody keeps to keep little else.
const (
	packedFact  = 1 + 2*binary.MaxVarintLen64
	packedChunk = 4 << 10
)

// pack writes what is known of a flow where it takes the least: a quarter of
// what it was, and nothing for the garbage collector to follow.
//
//	length  1   of the name
//	name        of the protocol
//
// and for each fact
//
//	key     1
//	frame       varint, less that of the fact before
//	value       a varint, or the length of a text as a varint and the text
//
// varint being the signed one of encoding/binary.
func (s *Set) pack(name string, list []Fact) string {
	if name == "" && len(list) == 0 {
		return ""
	}
	need := 1 + len(name)
	for i := range list {
		need += packedFact + len(list[i].Str)
	}
	if cap(s.packed)-len(s.packed) < need {
		s.packed = make([]byte, 0, max(packedChunk, need))
	}
	at := len(s.packed)
	b := append(append(s.packed, byte(len(name))), name...)
	frame := uint64(0)
	for i := range list {
		x := &list[i]
		b = append(b, byte(x.Key))
		b = binary.AppendVarint(b, int64(x.Frame()-frame))
		frame = x.Frame()
		if x.Key.isText() {
			b = binary.AppendVarint(b, int64(len(x.Str)))
			b = append(b, x.Str...)
		} else {
			b = binary.AppendVarint(b, x.Num)
		}
	}
	s.packed = b
	return unsafe.String(&b[at], len(b)-at) // what is written once stays as it is
}

// isText says that the values of k are strings.
func (k Key) isText() bool { return keys[k].Kind == Text || keys[k].Kind == List }

// Show makes f the facts of r, to be read. Their strings are parts of r.
func (r *Result) Show(f *Facts) {
	f.Frame, f.Now, f.refined, f.trace = 0, 0, "", nil
	f.present = [len(f.present)]uint64{}
	f.list = f.list[:0]
	if r.packed == "" {
		return
	}
	frame := int64(0)
	for p, at := r.packed, 1+int(r.packed[0]); at < len(p); {
		k := Key(p[at])
		n, next := unpack(p, at+1)
		frame += n
		n, at = unpack(p, next)
		x := Fact{Key: k}
		x.setFrame(uint64(frame))
		if k.isText() {
			x.Str = p[at : at+int(n)]
			at += int(n)
		} else {
			x.Num = n
		}
		f.list = append(f.list, x)
		f.present[k/64] |= 1 << (k % 64)
	}
}

// unpack reads the varint at a place of p, and returns it and the place behind it.
func unpack(p string, at int) (int64, int) {
	if c := p[at]; c < 0x80 { // most are short
		return int64(c>>1) ^ -int64(c&1), at + 1
	}
	return unpackLong(p, at)
}

func unpackLong(p string, at int) (int64, int) {
	u, shift := uint64(0), 0
	for {
		c := p[at]
		at++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), at
		}
		shift += 7
	}
}
