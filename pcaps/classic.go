package pcaps

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// The classic capture format, of libpcap (draft-ietf-opsawg-pcap). The file
// begins with
//
//	magic number (4) major version (2) minor version (2) reserved (8)
//	snap length (4) link type (4)
//
// in the byte order of the host that wrote it, which the magic number tells.

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

// maxCaptured is the captured length believed of a record when the file declares
// no larger snap length: what libpcap calls its maximum.
const maxCaptured = 256 << 10

// lengthOrder says in which order a classic record holds its two lengths.
type lengthOrder uint8

const (
	capturedFirst  lengthOrder = iota
	originalFirst              // before pcap 2.3, and the 543.0 of DG/UX
	eitherPossible             // pcap 2.3: writers disagreed
)

// beginClassic reads the file header.
func (r *reader) beginClassic() error {
	if !r.readMagic(r.buf) {
		return errNotCapture
	}
	r.stats.Format = "pcap"
	if !r.has(classicHeader, "the file header") {
		return nil
	}
	r.at = classicHeader
	return r.readHeader(r.buf[:classicHeader])
}

// readMagic takes from the first four bytes of a file how its records are written,
// and says whether they are a capture's.
func (r *reader) readMagic(b []byte) bool {
	magic := binary.LittleEndian.Uint32(b)
	r.endian = littleEndian
	if magic != magicMicro && magic != magicNano && magic != magicModified {
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
		return false
	}
	return true
}

// readHeader reads the rest of a file header.
func (r *reader) readHeader(h []byte) error {
	major, minor := r.endian.u16(h[4:]), r.endian.u16(h[6:])
	r.lengths = capturedFirst
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
	return nil
}

// concatenated says whether b, where a record should begin, is the header of another
// file: captures that were put together with cat. As a record it would be an empty
// one of the year 2055.
func concatenated(b []byte) bool {
	for _, e := range [2]endian{littleEndian, bigEndian} {
		switch e.u32(b) {
		case magicMicro, magicNano, magicModified:
			return e.u16(b[4:]) == 2 && e.u16(b[6:]) == 4
		}
	}
	return false
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
		if captured|wire == 0 && concatenated(rest) {
			if len(rest) < classicHeader {
				r.want(classicHeader, "a file header")
				break
			}
			if n > 0 {
				break // the frames of the file before first
			}
			r.readMagic(rest)
			_ = r.readHeader(rest) // of a version that concatenated knows
			header, swap, scale = r.header, r.endian == bigEndian, r.scale
			at += classicHeader
			continue
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
		if !slices.Contains(r.stats.Links, r.link) {
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
