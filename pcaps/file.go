package pcaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// What the reader of one capture may use. None of it grows with what a file
// claims about itself.
const (
	blockSize = 256 << 10 // bytes asked of the file at a time
	maxRecord = 16 << 20  // bytes of the largest record or pcapng block believed
)

// reader reads one capture: bytes come in by blocks, frames go out in batches
// that alias the block. It allocates nothing per frame.
type reader struct {
	in      io.Reader
	buf     []byte
	at, end int    // the bytes not yet read are buf[at:end]
	base    int64  // offset in the capture of buf[0]
	need    int    // bytes that the next record takes, as far as they are known
	inside  string // what that is, for the message when the file ends before
	inErr   error  // what ended in; io.EOF where it should end
	done    bool

	stats   FileStats
	secrets func(Secrets) // nil where nobody asks
	file    FrameID       // the file's part of the frames' ids
	number  uint64        // of the last frame, as Wireshark counts
	now     int64         // time of the last frame
	before  int64         // time of the last frame that was handed out
	timed   bool          // stats.First and Last are set

	pcapng, snoop bool
	endian        endian

	// Classic captures.
	header  int // bytes of a record header
	link    LinkType
	scale   int64  // nanoseconds per unit of the second time field
	limit   uint32 // largest captured length believed
	lengths lengthOrder

	// pcapng.
	ifaces []iface
}

// errNotCapture says that the first bytes belong to no format that is read.
var errNotCapture = errors.New("not a capture file")

// newReader reads as much of in as tells its format, in blocks of the given
// size. It returns errNotCapture for an unknown format, io.EOF for an empty
// file, or an error about a version that is not read. A header that is cut is
// no error but Damage.
func newReader(in io.Reader, block int) (*reader, error) {
	r := &reader{in: in, buf: make([]byte, block)}
	if !r.has(4, "the file header") {
		if r.end == 0 || r.inErr != io.EOF {
			return r, r.inErr
		}
		return r, errNotCapture
	}
	switch binary.LittleEndian.Uint32(r.buf) {
	case blockSection:
		return r, r.beginPcapng()
	case snoopBegins:
		return r, r.beginSnoop()
	}
	return r, r.beginClassic()
}

// has reads until the first n bytes of the file are at hand. Where the file ends
// before, that is Damage.
func (r *reader) has(n int, inside string) bool {
	r.want(n, inside)
	for r.end < n {
		if !r.fill() {
			return false
		}
	}
	return true
}

// beginning is the first few bytes, for the message about a file that is no
// capture.
func (r *reader) beginning() []byte { return r.buf[:min(r.end, 12)] }

// frames fills batch with the frames that lie whole in the block at hand.
func (r *reader) frames(batch []Packet) int {
	switch {
	case r.pcapng:
		return r.readBlocks(batch)
	case r.snoop:
		return r.readSnoop(batch)
	}
	return r.readRecords(batch)
}

// Read fills batch with the frames that lie whole in the block at hand, and
// reads the next block when there is none. It returns io.EOF at the end.
func (r *reader) Read(batch []Packet) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	for !r.done {
		if n := r.frames(batch); n > 0 {
			r.findLeaps(batch[:n])
			return n, nil
		}
		if !r.done {
			r.fill()
		}
	}
	return 0, io.EOF
}

// leap is by how much one frame may be dated apart from the one before it,
// nanoseconds, before somebody is told: so much is a damaged time stamp, a clock that
// was set, or captures of other years joined into one.
const leap = int64(365 * 24 * time.Hour)

// findLeaps counts the frames of a batch that are dated far from the one before.
func (r *reader) findLeaps(batch []Packet) {
	last := batch[len(batch)-1].Time
	if uint64(r.stats.Last)-uint64(r.stats.First) > uint64(leap) { // or there is none
		before := r.before
		if r.stats.Frames == uint64(len(batch)) { // the first ones
			before = batch[0].Time
		}
		for i := range batch {
			if t := batch[i].Time; t-before > leap || before-t > leap {
				if r.stats.Leaps++; r.stats.Leaps == 1 {
					r.stats.LeapFrame = batch[i].Frame.Number()
				}
			}
			before = batch[i].Time
		}
	}
	r.before = last
}

// want says that the record at hand takes n bytes.
func (r *reader) want(n int, inside string) {
	r.need, r.inside = n, inside
}

// fill moves what is left to the front of the buffer and reads on behind it.
// When the file ends it ends the reader, with Damage if something was left.
func (r *reader) fill() bool {
	if r.at > 0 {
		copy(r.buf, r.buf[r.at:r.end])
		r.base += int64(r.at)
		r.end -= r.at
		r.at = 0
	}
	if r.end == len(r.buf) {
		// One record is larger than the block. Growing as bytes arrive keeps a
		// record that merely claims to be large from costing memory.
		r.buf = append(r.buf, make([]byte, min(r.need-r.end, r.end))...)
	}
	// A reader may return nothing and no error, but not for ever.
	for range 100 {
		if r.inErr != nil {
			break
		}
		var n int
		n, r.inErr = r.in.Read(r.buf[r.end:])
		if n > 0 {
			r.end += n
			return true
		}
	}
	if r.inErr == nil {
		r.inErr = io.ErrNoProgress
	}
	left := r.end - r.at
	switch {
	case r.inErr == io.EOF && left == 0:
		r.done = true
	case r.inErr == io.EOF:
		r.damage("file ends inside %s: %d of %d bytes", r.inside, left, r.need)
	case left == 0:
		r.damage("%v", r.inErr)
	default:
		r.damage("%v, inside %s: %d of %d bytes", r.inErr, r.inside, left, r.need)
	}
	return false
}

// damage ends reading at the record at hand.
func (r *reader) damage(format string, args ...any) {
	r.done = true
	r.stats.Damage = &Damage{
		Frame:  r.number,
		Offset: r.base + int64(r.at),
		Reason: fmt.Sprintf(format, args...),
	}
}

// close gives the block back. The statistics stay.
func (r *reader) close() {
	r.done, r.in, r.buf, r.at, r.end = true, nil, nil, 0, 0
}

// endian is the byte order of a capture's numbers.
type endian bool

const (
	littleEndian endian = false
	bigEndian    endian = true
)

func (e endian) u16(b []byte) uint16 {
	if e == bigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (e endian) u32(b []byte) uint32 {
	if e == bigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (e endian) u64(b []byte) uint64 {
	if e == bigEndian {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// bounds is the span of times so far, ready for min and max.
func (r *reader) bounds() (first, last int64) {
	if !r.timed {
		return math.MaxInt64, math.MinInt64
	}
	return r.stats.First, r.stats.Last
}

// tally takes a batch of n frames into the statistics.
func (r *reader) tally(n int, first, last int64, wireBytes, cut uint64) {
	r.timed = true
	r.stats.First, r.stats.Last = first, last
	r.stats.Frames += uint64(n)
	r.stats.Bytes += wireBytes
	r.stats.Cut += cut
}
