package pcaps

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each section
// in a byte order of its own.

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

// What is believed and kept of a capture, whatever it claims.
const (
	maxInterfaces   = 1 << 16 // of one pcapng section
	maxComments     = 16      // kept of one capture
	maxCommentBytes = 1 << 10 // kept of one comment
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

// beginPcapng reads the byte order of the first section, whose header readBlocks
// reads with the others.
func (r *reader) beginPcapng() error {
	r.pcapng = true
	r.stats.Format = "pcapng"
	if r.has(12, blockName(blockSection)) && !r.sectionOrder(r.buf) {
		return errNotCapture
	}
	return nil
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
