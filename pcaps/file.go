package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// What the reader of one capture may use. None of it grows with what a file
// claims about itself.
const (
	blockSize = 256 << 10 // bytes asked of the file at a time
	maxRecord = 16 << 20  // bytes of the largest record or pcapng block believed

	// maxCaptured is the captured length believed of a classic record when the
	// file declares no larger snap length: what libpcap calls its maximum.
	maxCaptured = 256 << 10

	maxInterfaces   = 1 << 16 // of one pcapng section
	maxComments     = 16      // kept of one capture
	maxCommentBytes = 1 << 10 // kept of one comment
)

// The numbers that begin a classic capture, as the writing host wrote them
// (draft-ietf-opsawg-pcap, section 4). The modified format is that of Alexey
// Kuznetsov's libpcap patch, whose records have eight more header bytes.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

const (
	classicHeader  = 24 // bytes of a classic file header
	classicRecord  = 16 // bytes of a classic record header
	modifiedRecord = 24 // likewise in the modified format
)

// The pcapng blocks that are read (draft-ietf-opsawg-pcapng, section 4). All
// others are stepped over.
const (
	blockInterface = 0x00000001
	blockObsolete  = 0x00000002
	blockSimple    = 0x00000003
	blockEnhanced  = 0x00000006
	blockSecrets   = 0x0000000a
	blockSection   = 0x0a0d0d0a // the same in both byte orders

	// Not frames, but Wireshark numbers them as if they were: entries of the
	// systemd journal, blocks of other makers, events of sysdig.
	blockJournal     = 0x00000009
	blockCustom      = 0x00000bad
	blockCustomLocal = 0x40000bad
	blockEvent       = 0x00000204
	blockEventV2     = 0x00000216
	blockEventLarge  = 0x00000221

	byteOrderMagic = 0x1a2b3c4d
)

// The pcapng options that are read.
const (
	optEnd        = 0
	optComment    = 1
	optResolution = 9
	optOffset     = 14
)

// SecretsTLS is the type of Secrets that are a TLS key log.
const SecretsTLS = 0x544c534b

// Secrets is one decryption-secrets block of a pcapng capture. It holds keys:
// it is for decrypting, never for printing.
type Secrets struct {
	File string // name of the capture, as in Stats.Files
	Type uint32 // SecretsTLS is a TLS key log
	Data []byte // as in the file; good until the call returns
}

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

// lengthOrder says in which order a classic record holds its two lengths.
type lengthOrder uint8

const (
	capturedFirst  lengthOrder = iota
	originalFirst              // before pcap 2.3, and the 543.0 of DG/UX
	eitherPossible             // pcap 2.3: writers disagreed
)

// iface is one pcapng interface.
type iface struct {
	link LinkType
	seen bool // link is in stats.Links
	snap uint32

	// A time of at most plain units is that many times scale nanoseconds;
	// others go the long way through resolution and offset.
	scale, plain uint64
	resolution   uint8 // as if_tsresol has it
	offset       int64 // seconds
}

// errNotCapture says that the first bytes belong to no format that is read.
var errNotCapture = errors.New("not a capture file")

// newReader reads as much of in as tells its format, in blocks of the given
// size. It returns errNotCapture for an unknown format, io.EOF for an empty
// file, or an error about a version that is not read. A header that is cut is
// no error but Damage.
func newReader(in io.Reader, block int) (*reader, error) {
	r := &reader{in: in, buf: make([]byte, block)}
	r.want(4, "the file header")
	for r.end < 4 {
		if r.fill() {
			continue
		}
		if r.end == 0 || r.inErr != io.EOF {
			return r, r.inErr
		}
		return r, errNotCapture
	}
	magic := binary.LittleEndian.Uint32(r.buf)
	switch magic {
	case blockSection:
		r.pcapng = true
		r.stats.Format = "pcapng"
		r.want(12, blockName(blockSection))
		for r.end < 12 {
			if !r.fill() {
				return r, nil
			}
		}
		if !r.sectionOrder(r.buf) {
			return r, errNotCapture
		}
		return r, nil
	case snoopBegins:
		r.snoop = true
		r.stats.Format = "snoop"
		r.want(snoopHeader, "the file header")
		for r.end < snoopHeader {
			if !r.fill() {
				return r, nil
			}
		}
		if string(r.buf[:len(snoopMagic)]) != snoopMagic {
			return r, errNotCapture
		}
		return r, r.snoopFile()
	case magicMicro, magicNano, magicModified:
	default:
		r.endian = bigEndian
		magic = bits.ReverseBytes32(magic)
	}
	r.header, r.scale = classicRecord, 1000
	switch magic {
	case magicMicro:
	case magicNano:
		r.scale = 1
	case magicModified:
		r.header = modifiedRecord
	default:
		return r, errNotCapture
	}
	r.stats.Format = "pcap"
	r.want(classicHeader, "the file header")
	for r.end < classicHeader {
		if !r.fill() {
			return r, nil
		}
	}
	return r, r.classicHeader()
}

// beginning is the first few bytes, for the message about a file that is no
// capture.
func (r *reader) beginning() []byte { return r.buf[:min(r.end, 12)] }

// classicHeader reads the file header of a classic capture, which is at hand.
func (r *reader) classicHeader() error {
	h := r.buf[:classicHeader]
	major, minor := r.endian.u16(h[4:]), r.endian.u16(h[6:])
	switch {
	case major == 543 && minor == 0, major == 2 && minor < 3:
		r.lengths = originalFirst
	case major == 2 && minor == 3:
		r.lengths = eitherPossible
	case major != 2:
		return fmt.Errorf("pcap version %d.%d is not supported", major, minor)
	}
	snap := r.endian.u32(h[16:])
	r.stats.SnapLen = snap
	r.limit = min(max(snap, maxCaptured), maxRecord)
	// The upper half holds the length of a frame check sequence, which
	// decoders never reach.
	r.link = LinkType(r.endian.u32(h[20:]))
	r.at = classicHeader
	return nil
}

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

// readRecords reads the whole classic records at hand:
//
//	seconds (4) micro- or nanoseconds (4) captured length (4) length on the wire (4)
//	modified format only: interface (4) protocol (2) direction (1) padding (1)
//	captured bytes
func (r *reader) readRecords(batch []Packet) int {
	buf, at := r.buf[:r.end], r.at
	header, swap, scale := r.header, r.endian == bigEndian, r.scale
	first, last := r.bounds()
	var wireBytes, cut uint64
	n, excess := 0, uint32(0)
	for n < len(batch) {
		rest := buf[at:]
		if len(rest) < header {
			r.want(header, "a packet record's header")
			break
		}
		sec := binary.LittleEndian.Uint32(rest)
		frac := binary.LittleEndian.Uint32(rest[4:])
		captured := binary.LittleEndian.Uint32(rest[8:])
		wire := binary.LittleEndian.Uint32(rest[12:])
		if swap {
			sec, frac = bits.ReverseBytes32(sec), bits.ReverseBytes32(frac)
			captured, wire = bits.ReverseBytes32(captured), bits.ReverseBytes32(wire)
		}
		if r.lengths != capturedFirst && (r.lengths == originalFirst || captured > wire) {
			captured, wire = wire, captured
		}
		if captured > r.limit {
			excess = captured
			break
		}
		size := header + int(captured)
		if len(rest) < size {
			r.want(size, "a packet record")
			break
		}
		p := &batch[n]
		n++
		p.Frame = r.file | FrameID(r.number+uint64(n))
		// The largest seconds and fraction together are below 2^63.
		p.Time = int64(sec)*1e9 + int64(frac)*scale
		p.Data = rest[header:size:size]
		// Some writers leave the length on the wire 0.
		p.WireLen = int(max(wire, captured))
		p.Link = r.link
		first, last = min(first, p.Time), max(last, p.Time)
		wireBytes += uint64(p.WireLen)
		if p.WireLen > int(captured) {
			cut++
		}
		at += size
	}
	r.at = at
	if n > 0 {
		if r.number == 0 {
			r.stats.Links = append(r.stats.Links, r.link)
		}
		r.number += uint64(n)
		r.tally(n, first, last, wireBytes, cut)
	}
	if excess > 0 {
		r.damage("packet record claims %d bytes", excess)
	}
	return n
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

// readBlocks reads the whole pcapng blocks at hand. Every block is
//
//	type (4) total length (4) body, padded to 4 bytes; total length (4)
func (r *reader) readBlocks(batch []Packet) int {
	first, last := r.bounds()
	var wireBytes, cut uint64
	n := 0
	for n < len(batch) && !r.done {
		rest := r.buf[r.at:r.end]
		if len(rest) < 12 {
			r.want(12, "a block's header")
			break
		}
		typ := r.endian.u32(rest)
		if typ == blockSection && !r.sectionOrder(rest) {
			break
		}
		total := r.endian.u32(rest[4:])
		if total < 12 || total > maxRecord {
			r.damage("block claims %d bytes", total)
			break
		}
		size := int(total+3) &^ 3 // some writers leave the padding out of the length
		if len(rest) < size {
			r.want(size, blockName(typ))
			break
		}
		if again := r.endian.u32(rest[size-4:]); again != total {
			r.damage("block claims %d bytes at its beginning and %d at its end", total, again)
			break
		}
		body := rest[8 : size-4]
		p := &batch[n]
		framed := false
		switch typ {
		case blockEnhanced, blockObsolete:
			framed = r.packet(typ, body, p)
		case blockSimple:
			framed = r.simple(body, p)
		case blockSection:
			r.section(body)
		case blockInterface:
			r.addInterface(body)
		case blockSecrets:
			r.tellSecrets(body)
		case blockJournal, blockCustom, blockCustomLocal, blockEvent, blockEventV2, blockEventLarge:
			r.number++
		}
		if r.done {
			break
		}
		r.at += size
		if framed {
			n++
			first, last = min(first, p.Time), max(last, p.Time)
			wireBytes += uint64(p.WireLen)
			if p.WireLen > len(p.Data) {
				cut++
			}
		}
	}
	if n > 0 {
		r.tally(n, first, last, wireBytes, cut)
	}
	return n
}

// blockName names a block in the message about one that is cut.
func blockName(typ uint32) string {
	switch typ {
	case blockEnhanced, blockSimple, blockObsolete:
		return "a packet block"
	case blockSection:
		return "a section header block"
	case blockInterface:
		return "an interface description block"
	}
	return "a block"
}

// sectionOrder takes the byte order of the section that begins at b.
func (r *reader) sectionOrder(b []byte) bool {
	switch binary.LittleEndian.Uint32(b[8:]) {
	case byteOrderMagic:
		r.endian = littleEndian
	case bits.ReverseBytes32(byteOrderMagic):
		r.endian = bigEndian
	default:
		r.damage("section header block has no byte-order magic: % x", b[8:12])
		return false
	}
	return true
}

// section begins a section:
//
//	byte-order magic (4) major version (2) minor version (2) section length (8) options
//
// Interfaces are numbered anew in every section.
func (r *reader) section(b []byte) {
	if len(b) < 16 {
		r.damage("section header block of %d bytes is too short", len(b)+12)
		return
	}
	if major := r.endian.u16(b[4:]); major != 1 {
		r.damage("section of pcapng version %d.%d, which is not supported", major, r.endian.u16(b[6:]))
		return
	}
	r.ifaces = r.ifaces[:0]
	r.options(b[16:], nil)
}

// addInterface reads an interface description:
//
//	link type (2) reserved (2) snap length (4) options
func (r *reader) addInterface(b []byte) {
	if len(b) < 8 {
		r.damage("interface description block of %d bytes is too short", len(b)+12)
		return
	}
	if len(r.ifaces) == maxInterfaces {
		r.damage("section describes more than %d interfaces", maxInterfaces)
		return
	}
	f := iface{
		link:       LinkType(r.endian.u16(b)),
		snap:       r.endian.u32(b[4:]),
		resolution: 6,
	}
	r.stats.SnapLen = max(r.stats.SnapLen, f.snap)
	r.options(b[8:], &f)
	if f.offset == 0 && f.resolution <= 9 {
		f.scale = 1
		for range 9 - f.resolution {
			f.scale *= 10
		}
		f.plain = math.MaxInt64 / f.scale
	}
	r.ifaces = append(r.ifaces, f)
}

// options reads the options behind a block's fixed part, as far as they are
// whole: code (2) length (2) value, padded to 4 bytes. Comments are kept, and
// what describes the clock goes to f if there is one.
func (r *reader) options(b []byte, f *iface) {
	for len(b) >= 4 {
		code, size := r.endian.u16(b), int(r.endian.u16(b[2:]))
		b = b[4:]
		if code == optEnd || size > len(b) {
			return
		}
		value := b[:size]
		b = b[min(len(b), (size+3)&^3):]
		switch {
		case code == optComment:
			r.comment(value)
		case f != nil && code == optResolution && size == 1:
			f.resolution = value[0]
		case f != nil && code == optOffset && size == 8:
			f.offset = int64(r.endian.u64(value))
		}
	}
}

// comment keeps the first few comments.
func (r *reader) comment(b []byte) {
	if len(r.stats.Comments) == maxComments {
		return
	}
	b = bytes.TrimRight(b[:min(len(b), maxCommentBytes)], "\x00")
	r.stats.Comments = append(r.stats.Comments, strings.ToValidUTF8(string(b), "\uFFFD"))
}

// tellSecrets counts a decryption-secrets block and hands it out: type (4)
// length (4) secrets, padded to 4 bytes.
func (r *reader) tellSecrets(b []byte) {
	r.stats.Secrets++
	if len(b) < 8 || r.secrets == nil {
		return
	}
	size := int64(r.endian.u32(b[4:]))
	if size > int64(len(b)-8) {
		return
	}
	r.secrets(Secrets{File: r.stats.Name, Type: r.endian.u32(b), Data: b[8 : 8+size]})
}

// packet reads an enhanced packet block:
//
//	interface (4) time, upper half (4) lower half (4)
//	captured length (4) length on the wire (4) captured bytes, padded to 4; options
//
// or one as pcapng had it before, which begins
//
//	interface (2) drops (2)
func (r *reader) packet(typ uint32, b []byte, p *Packet) bool {
	const header = 20
	if len(b) < header {
		r.damage("packet block of %d bytes is too short", len(b)+12)
		return false
	}
	e := r.endian
	id := e.u32(b)
	if typ == blockObsolete {
		id = uint32(e.u16(b))
	}
	units := uint64(e.u32(b[4:]))<<32 | uint64(e.u32(b[8:]))
	captured, wire := e.u32(b[12:]), e.u32(b[16:])
	if uint64(id) >= uint64(len(r.ifaces)) {
		r.damage("packet block names interface %d of %d", id, len(r.ifaces))
		return false
	}
	if captured > uint32(len(b)-header) {
		r.damage("packet block of %d bytes claims %d captured bytes", len(b)+12, captured)
		return false
	}
	f := &r.ifaces[id]
	t := int64(units * f.scale)
	if units > f.plain {
		t = f.time(units)
	}
	end := header + int(captured)
	if options := (end + 3) &^ 3; options < len(b) && len(r.stats.Comments) < maxComments {
		r.options(b[options:], nil)
	}
	r.frame(f, t, b[header:end:end], wire, p)
	return true
}

// simple reads a simple packet block: length on the wire (4), captured bytes.
// It belongs to the section's first interface, whose snap length says how many
// of the padded bytes are captured ones. It has no time; it gets that of the
// frame before, so that time never runs backwards for want of one.
func (r *reader) simple(b []byte, p *Packet) bool {
	if len(b) < 4 {
		r.damage("packet block of %d bytes is too short", len(b)+12)
		return false
	}
	if len(r.ifaces) == 0 {
		r.damage("packet block before any interface description")
		return false
	}
	f := &r.ifaces[0]
	wire := r.endian.u32(b)
	captured := min(wire, uint32(len(b)-4))
	if f.snap != 0 {
		captured = min(captured, f.snap)
	}
	r.frame(f, r.now, b[4:4+captured:4+captured], wire, p)
	return true
}

// frame fills p with the next frame.
func (r *reader) frame(f *iface, t int64, data []byte, wire uint32, p *Packet) {
	r.number++
	r.now = t
	p.Frame = r.file | FrameID(r.number)
	p.Time = t
	p.Data = data
	p.WireLen = max(int(wire), len(data))
	p.Link = f.link
	if !f.seen {
		r.see(f)
	}
}

// see takes an interface's link type into the statistics.
func (r *reader) see(f *iface) {
	f.seen = true
	if i, known := slices.BinarySearch(r.stats.Links, f.link); !known {
		r.stats.Links = slices.Insert(r.stats.Links, i, f.link)
	}
}

// time is the nanoseconds since 1970 of a time in the interface's own units.
// What int64 cannot hold, or lies before 1970, becomes the nearest that can be
// told: a capture's clock may be nonsense, its order still matters.
func (f *iface) time(units uint64) int64 {
	exponent := uint(f.resolution & 0x7f)
	var sec, nano uint64
	if f.resolution&0x80 != 0 {
		// Units of 2^-exponent seconds.
		if exponent < 64 {
			sec = units >> exponent
		}
		part := units - sec<<exponent // the shift gives 0 from 64 on, as sec is
		upper, lower := bits.Mul64(part, 1e9)
		switch {
		case exponent == 0:
		case exponent < 64:
			nano = upper<<(64-exponent) | lower>>exponent
		default:
			nano = upper >> (exponent - 64)
		}
	} else {
		// Units of 10^-exponent seconds. From 10^-20 on a second is more units
		// than 64 bits count.
		unit := uint64(1)
		for range min(exponent, 19) {
			unit *= 10
		}
		if exponent <= 19 {
			sec = units / unit
			upper, lower := bits.Mul64(units%unit, 1e9)
			nano, _ = bits.Div64(upper, lower, unit)
		} else {
			nano = units / 1e10
			for range min(exponent-19, 20) {
				nano /= 10
			}
		}
	}
	var carry uint64
	if f.offset >= 0 {
		sec, carry = bits.Add64(sec, uint64(f.offset), 0)
	} else if back := -uint64(f.offset); sec >= back {
		sec -= back
	} else {
		return 0
	}
	if carry != 0 || sec >= math.MaxInt64/1_000_000_000 {
		return math.MaxInt64
	}
	return int64(sec*1e9 + nano)
}
