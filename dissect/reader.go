package dissect

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort says that the bytes end before the message does: more may come.
var ErrShort = errors.New("short")

// ErrDone says that nothing more of the flow needs to be read.
var ErrDone = errors.New("done")

// ErrHandOver says that the stream goes on as another protocol: it is probed
// anew.
var ErrHandOver = errors.New("another protocol follows")

// Malformed says that a message contradicts its own protocol.
type Malformed struct {
	Field  string // "cipher suites"
	Offset int    // byte of the message where Field begins
	Reason string // "need 31924 bytes, enclosing length leaves 1208"
}

func (m *Malformed) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", m.Field, m.Offset, m.Reason)
}

// reader reads fields in wire order and remembers the first failure, so that a
// run of reads is checked once, with err. The outermost reader running dry is
// ErrShort: the rest may still come. A reader inside a declared length running
// dry is Malformed: the sender's lengths contradict each other. After a failure
// every read returns zero values.
type reader struct {
	b      []byte
	off    int    // next byte of b
	last   int    // where the field that was read last begins
	base   int    // offset of b in the outermost message, for messages
	nested bool   // inside a declared length
	first  *error // the first failure, shared by the readers of one message
}

// newReader starts an outermost reader over b. Neither it nor what it shares
// with nested ones leaves the stack of a function that keeps it to itself.
func newReader(b []byte) *reader { return &reader{b: b, first: new(error)} }

// err is the first failure, or nil.
func (r *reader) err() error { return *r.first }

// fail records err, unless something failed before.
func (r *reader) fail(err error) {
	if *r.first == nil {
		*r.first = err
	}
}

// left is the number of bytes not yet read; 0 after a failure.
func (r *reader) left() int {
	if r.err() != nil {
		return 0
	}
	return len(r.b) - r.off
}

// need makes sure that n more bytes are there.
func (r *reader) need(field string, n int) bool {
	if r.err() != nil {
		return false
	}
	if n >= 0 && n <= len(r.b)-r.off {
		r.last = r.off
		return true
	}
	if r.nested {
		r.fail(&Malformed{field, r.base + r.off, fmt.Sprintf("need %d bytes, enclosing length leaves %d", n, len(r.b)-r.off)})
	} else {
		r.fail(ErrShort)
	}
	return false
}

// malformed records that field, just read, has a value that cannot be. After a
// failure, what was read is no value.
func (r *reader) malformed(field, reason string) {
	if r.err() == nil {
		r.fail(&Malformed{field, r.base + r.last, reason})
	}
}

// peek is the byte that u8 would read.
func (r *reader) peek(field string) int {
	if !r.need(field, 1) {
		return 0
	}
	return int(r.b[r.off])
}

func (r *reader) u8(field string) int {
	if !r.need(field, 1) {
		return 0
	}
	r.off++
	return int(r.b[r.off-1])
}

func (r *reader) be16(field string) int {
	if !r.need(field, 2) {
		return 0
	}
	r.off += 2
	return int(binary.BigEndian.Uint16(r.b[r.off-2:]))
}

func (r *reader) be24(field string) int {
	if !r.need(field, 3) {
		return 0
	}
	r.off += 3
	return int(r.b[r.off-3])<<16 | int(r.b[r.off-2])<<8 | int(r.b[r.off-1])
}

func (r *reader) be32(field string) uint32 {
	if !r.need(field, 4) {
		return 0
	}
	r.off += 4
	return binary.BigEndian.Uint32(r.b[r.off-4:])
}

func (r *reader) be64(field string) uint64 {
	if !r.need(field, 8) {
		return 0
	}
	r.off += 8
	return binary.BigEndian.Uint64(r.b[r.off-8:])
}

// varint reads a number of QUIC: the two top bits of the first byte say whether
// it has 1, 2, 4 or 8 bytes (RFC 9000 section 16).
func (r *reader) varint(field string) uint64 {
	if !r.need(field, 1) {
		return 0
	}
	size := 1 << (r.b[r.off] >> 6)
	if !r.need(field, size) {
		return 0
	}
	v := uint64(r.b[r.off] & 0x3f)
	for _, c := range r.b[r.off+1 : r.off+size] {
		v = v<<8 | uint64(c)
	}
	r.off += size
	return v
}

func (r *reader) le16(field string) int {
	if !r.need(field, 2) {
		return 0
	}
	r.off += 2
	return int(binary.LittleEndian.Uint16(r.b[r.off-2:]))
}

func (r *reader) le32(field string) uint32 {
	if !r.need(field, 4) {
		return 0
	}
	r.off += 4
	return binary.LittleEndian.Uint32(r.b[r.off-4:])
}

// bytes returns the next n bytes, which alias the input.
func (r *reader) bytes(field string, n int) []byte {
	if !r.need(field, n) {
		return nil
	}
	r.off += n
	return r.b[r.off-n : r.off : r.off]
}

// rest returns the bytes not yet read, which alias the input, and leaves them
// to be read.
func (r *reader) rest() []byte {
	if r.err() != nil {
		return nil
	}
	return r.b[r.off:len(r.b):len(r.b)]
}

// within returns a reader of the next n bytes, a part whose length the message
// declares. It shares the failure of r.
func (r *reader) within(field string, n int) reader {
	start := r.base + r.off
	return reader{b: r.bytes(field, n), base: start, nested: true, first: r.first}
}

// empty makes sure that nothing is left of a part whose length was declared.
func (r *reader) empty(field string) {
	if n := r.left(); n > 0 {
		r.fail(&Malformed{field, r.base + r.off, fmt.Sprintf("%d bytes left over", n)})
	}
}
