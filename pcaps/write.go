package pcaps

import (
	"encoding/binary"
	"io"
	"slices"
)

// Writer writes a pcapng capture whose packets have comments
// (draft-ietf-opsawg-pcapng; gopacket's writer cannot write packet comments).
// Blocks are
//
//	type (4)  total length (4)  body  total length (4)
//
// of a body padded to 32 bits, in the byte order of the section header: little
// endian here. One section; an interface for each link type, described when
// its first packet comes; times in nanoseconds.
type Writer struct {
	w     io.Writer
	block []byte
	links []LinkType
}

const (
	optApplication = 4 // of a section: the program that wrote it
	maxOption      = 1<<16 - 4
)

// NewWriter begins a capture: application is the program that writes it, and
// comment says what it holds.
func NewWriter(w io.Writer, application, comment string) (*Writer, error) {
	c := &Writer{w: w}
	c.begin(blockSection)
	c.u32(byteOrderMagic)
	c.block = append(c.block, 1, 0, 0, 0)                                     // version 1.0
	c.block = append(c.block, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // length of the section: not said
	c.option(optComment, comment)
	c.option(optApplication, application)
	return c, c.end()
}

// Write adds a packet; its frame number is where it stands in the new capture.
func (c *Writer) Write(p *Packet, comments ...string) error {
	at := slices.Index(c.links, p.Link)
	if at < 0 {
		at = len(c.links)
		c.links = append(c.links, p.Link)
		c.begin(blockInterface)
		c.u32(uint32(uint16(p.Link)))
		c.u32(0) // no snap length
		c.option(optResolution, "\x09")
		if err := c.end(); err != nil {
			return err
		}
	}
	c.begin(blockEnhanced)
	c.u32(uint32(at))
	c.u32(uint32(uint64(p.Time) >> 32))
	c.u32(uint32(uint64(p.Time)))
	c.u32(uint32(len(p.Data)))
	c.u32(uint32(max(p.WireLen, len(p.Data))))
	c.block = append(c.block, p.Data...)
	c.pad()
	for _, s := range comments {
		c.option(optComment, s)
	}
	return c.end()
}

func (c *Writer) u32(v uint32) { c.block = binary.LittleEndian.AppendUint32(c.block, v) }

func (c *Writer) pad() {
	for len(c.block)%4 != 0 {
		c.block = append(c.block, 0)
	}
}

func (c *Writer) begin(kind uint32) {
	c.block = c.block[:0]
	c.u32(kind)
	c.u32(0)
}

func (c *Writer) option(code uint16, value string) {
	if value == "" {
		return
	}
	value = value[:min(len(value), maxOption)]
	c.block = binary.LittleEndian.AppendUint16(c.block, code)
	c.block = binary.LittleEndian.AppendUint16(c.block, uint16(len(value)))
	c.block = append(c.block, value...)
	c.pad()
}

func (c *Writer) end() error {
	c.u32(optEnd)
	n := uint32(len(c.block) + 4)
	c.u32(n)
	binary.LittleEndian.PutUint32(c.block[4:], n)
	_, err := c.w.Write(c.block)
	return err
}
