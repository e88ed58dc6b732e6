package pcaps

import (
	"encoding/binary"
	"fmt"
)

// The snoop format (RFC 1761), in which Solaris captures. All its numbers are
// big-endian. The file begins with
//
//	"snoop" and three zeros (8)  version (4)  data link (4)
//
// and every packet record is
//
//	length on the wire (4)  captured length (4)  record length (4)  packets dropped so far (4)
//	seconds (4)  microseconds (4)  captured bytes, padding
//
// where the record length counts the header and the padding as well.

const (
	snoopMagic   = "snoop\x00\x00\x00"
	snoopBegins  = 0x6f6f6e73 // "snoo", read as little-endian
	snoopVersion = 2
	snoopHeader  = 16 // bytes of the file header
	snoopRecord  = 24 // bytes of a packet record's header
)

// snoopLink is the link type of one of snoop's data links. What no frame of
// ours begins with is told by its number among the link types, if it has one.
func snoopLink(dataLink uint32) LinkType {
	switch dataLink {
	case 0, 4: // IEEE 802.3, Ethernet: decoders tell them apart
		return LinkEthernet
	case 2:
		return LinkTokenRing
	case 8:
		return LinkFDDI
	}
	return LinkUnknown
}

// beginSnoop reads the file header.
func (r *reader) beginSnoop() error {
	r.snoop = true
	r.stats.Format = "snoop"
	if !r.has(snoopHeader, "the file header") {
		return nil
	}
	h := r.buf[:snoopHeader]
	if string(h[:len(snoopMagic)]) != snoopMagic {
		return errNotCapture
	}
	if version := binary.BigEndian.Uint32(h[8:]); version != snoopVersion {
		return fmt.Errorf("snoop version %d is not supported", version)
	}
	r.link = snoopLink(binary.BigEndian.Uint32(h[12:]))
	r.at = snoopHeader
	return nil
}

// readSnoop reads the whole packet records at hand.
func (r *reader) readSnoop(batch []Packet) int {
	be := binary.BigEndian
	first, last := r.bounds()
	var wireBytes, cut uint64
	n := 0
	for n < len(batch) && !r.done {
		rest := r.buf[r.at:r.end]
		if len(rest) < snoopRecord {
			r.want(snoopRecord, "a packet record's header")
			break
		}
		wire, captured, size := be.Uint32(rest), be.Uint32(rest[4:]), be.Uint32(rest[8:])
		switch {
		case size > maxRecord:
			r.damage("packet record claims %d bytes", size)
		case size < snoopRecord || captured > size-snoopRecord:
			r.damage("packet record of %d bytes claims %d captured bytes", size, captured)
		case len(rest) < int(size):
			r.want(int(size), "a packet record")
		default:
			p := &batch[n]
			n++
			if r.number == 0 {
				r.stats.Links = append(r.stats.Links, r.link)
			}
			r.number++
			p.Frame = r.file | FrameID(r.number)
			p.Time = int64(be.Uint32(rest[16:]))*1e9 + int64(be.Uint32(rest[20:]))*1e3
			p.Data = rest[snoopRecord : snoopRecord+captured : snoopRecord+captured]
			p.WireLen = int(max(wire, captured))
			p.Link = r.link
			first, last = min(first, p.Time), max(last, p.Time)
			wireBytes += uint64(p.WireLen)
			if p.WireLen > len(p.Data) {
				cut++
			}
			r.at += int(size)
			continue
		}
		break
	}
	if n > 0 {
		r.tally(n, first, last, wireBytes, cut)
	}
	return n
}
