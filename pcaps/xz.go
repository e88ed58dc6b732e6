package pcaps

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzReader unpacks xz files: the container is read here, and LZMA2 by a
// library. That library reads the container as well, but allocates what every
// block header asks for, up to 4 GiB each time, and takes a stream that is cut
// between two of its parts for whole.
//
// A file is streams and zeros between them; a stream is a header, blocks, an
// index of the blocks and a footer (The .xz File Format 1.2.1, section 2).
type xzReader struct {
	in     countedReader
	flags  [2]byte   // of the stream: they say what check its blocks have
	data   io.Reader // of the block at hand, nil between blocks
	sum    hash.Hash // of that data, nil where there is no check
	blocks uint64    // of the stream so far
	open   bool      // inside a stream
}

// maxXZDictionary is the largest dictionary that a block may ask for: twice
// what `xz -9` uses.
const maxXZDictionary = 128 << 20

const (
	xzMagic  = "\xfd7zXZ\x00"
	xzFooter = "YZ"
	lzma2    = 0x21 // the only filter that is understood
)

// countedReader counts what is read from it, so that padding can be found.
type countedReader struct {
	*bufio.Reader
	n int64
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *countedReader) ReadByte() (byte, error) {
	b, err := c.Reader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func newXZReader(in io.Reader) *xzReader {
	return &xzReader{in: countedReader{Reader: bufio.NewReaderSize(in, blockSize)}}
}

func (x *xzReader) Read(b []byte) (int, error) {
	for {
		if x.data == nil {
			if err := x.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := x.data.Read(b)
		if x.sum != nil {
			x.sum.Write(b[:n])
		}
		if err == io.EOF {
			err = x.endBlock()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next reads what lies between two blocks, and the second one's header. It
// returns io.EOF where the file may end.
func (x *xzReader) next() error {
	if !x.open {
		return x.beginStream()
	}
	size, err := x.in.ReadByte()
	if err != nil {
		return cut(err)
	}
	if size == 0 {
		return x.endStream()
	}
	return x.beginBlock(size)
}

// beginStream reads a stream's header, behind zeros unless it is the first:
//
//	magic (6) flags (2) CRC32 of the flags (4)
func (x *xzReader) beginStream() error {
	for x.in.n > 0 {
		zeros, err := x.in.Peek(4)
		if len(zeros) == 0 && err == io.EOF {
			return io.EOF
		}
		if err != nil || binary.LittleEndian.Uint32(zeros) != 0 {
			break
		}
		x.in.Discard(4)
	}
	h, err := x.bytes(12)
	if err != nil {
		return err
	}
	if string(h[:6]) != xzMagic {
		return errors.New("no stream header")
	}
	x.flags = [2]byte(h[6:])
	if crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errors.New("invalid checksum of the stream header")
	}
	x.open, x.blocks = true, 0
	return nil
}

// beginBlock reads a block's header behind its first byte:
//
//	size/4 - 1 (1) flags (1) sizes, filters, zeros; CRC32 of it all (4)
func (x *xzReader) beginBlock(size byte) error {
	rest, err := x.bytes(int(size)*4 + 3)
	if err != nil {
		return err
	}
	h := append([]byte{size}, rest...)
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(body):]) {
		return errors.New("invalid checksum of a block header")
	}
	flags := body[1]
	r := bytes.NewReader(body[2:])
	for _, present := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&present != 0 {
			if _, err := binary.ReadUvarint(r); err != nil {
				return errors.New("malformed block header")
			}
		}
	}
	id, err1 := binary.ReadUvarint(r)
	length, err2 := binary.ReadUvarint(r)
	property, err3 := r.ReadByte()
	if err := errors.Join(err1, err2, err3); err != nil {
		return errors.New("malformed block header")
	}
	if flags&3 != 0 || id != lzma2 || length != 1 {
		return fmt.Errorf("filter %#x, or several, which is not supported", id)
	}
	// Two bits of mantissa, the lower of them explicit (section 5.3.1).
	dictionary := uint64(2|property&1) << (property/2 + 11)
	if property >= 40 || dictionary > maxXZDictionary {
		return fmt.Errorf("block asks for a dictionary of more than %d bytes", maxXZDictionary)
	}
	switch x.flags[1] & 0x0f {
	case 0:
		x.sum = nil
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return fmt.Errorf("check type %d, which is not supported", x.flags[1]&0x0f)
	}
	x.in.n = 0
	x.blocks++
	data, err := lzma.Reader2Config{DictCap: int(dictionary)}.NewReader2(&x.in)
	if err != nil {
		return cut(err)
	}
	x.data = data
	return nil
}

// endBlock reads what follows a block's data: zeros up to a multiple of 4
// bytes, and the check.
func (x *xzReader) endBlock() error {
	x.data = nil
	if err := x.padding(); err != nil {
		return err
	}
	if x.sum == nil {
		return nil
	}
	check, err := x.bytes(x.sum.Size())
	if err != nil {
		return err
	}
	want := x.sum.Sum(nil)
	if x.sum.Size() <= 8 {
		// The two CRCs are little-endian.
		for i, b := range want {
			if check[len(check)-1-i] != b {
				return errors.New("invalid checksum of a block")
			}
		}
	} else if !bytes.Equal(check, want) {
		return errors.New("invalid checksum of a block")
	}
	return nil
}

// endStream reads the index behind its first byte, and the footer:
//
//	0 (1) number of blocks; for each its two sizes; zeros; CRC32 (4)
//	CRC32 (4) size of the index (4) flags (2) magic (2)
//
// The sizes are for seeking, and are not compared with the blocks.
func (x *xzReader) endStream() error {
	x.in.n = 1
	n, err := x.varint()
	if err != nil {
		return err
	}
	if n != x.blocks {
		return fmt.Errorf("index of %d blocks behind %d", n, x.blocks)
	}
	for range 2 * n {
		if _, err := x.varint(); err != nil {
			return err
		}
	}
	if err := x.padding(); err != nil {
		return err
	}
	b, err := x.bytes(4 + 12)
	if err != nil {
		return err
	}
	footer := b[4:]
	if crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer) ||
		[2]byte(footer[8:]) != x.flags || string(footer[10:]) != xzFooter {
		return errors.New("invalid stream footer")
	}
	x.open = false
	return nil
}

// padding reads zeros up to a multiple of 4 bytes.
func (x *xzReader) padding() error {
	for x.in.n%4 != 0 {
		b, err := x.in.ReadByte()
		if err != nil {
			return cut(err)
		}
		if b != 0 {
			return errors.New("padding that is not zero")
		}
	}
	return nil
}

// bytes reads n bytes, which are few.
func (x *xzReader) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(&x.in, b)
	return b, cut(err)
}

func (x *xzReader) varint() (uint64, error) {
	v, err := binary.ReadUvarint(&x.in)
	return v, cut(err)
}

// cut says that the file must not end here.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
