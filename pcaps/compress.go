package pcaps

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// aheadBlocks is how many blocks decompression may run ahead of the reader.
	aheadBlocks = 4

	// maxWindow bounds what a zstd stream may ask to be kept of its output:
	// what `zstd --long` uses by default.
	maxWindow = 128 << 20

	sniffBytes = 16 // enough for every magic number below
)

// compressionOf names the compression of a file by its first bytes, or returns
// the empty string.
func compressionOf(b []byte) string {
	has := func(magic string) bool { return bytes.HasPrefix(b, []byte(magic)) }
	switch {
	case has("\x1f\x8b"):
		return "gzip" // RFC 1952, section 2.3.1
	case has("\x28\xb5\x2f\xfd"),
		len(b) >= 4 && b[0]&0xf0 == 0x50 && has(string(b[0])+"\x2a\x4d\x18"):
		return "zstd" // RFC 8878, section 3.1; a skippable frame may come first
	case has("\x04\x22\x4d\x18"), has("\x02\x21\x4c\x18"):
		return "lz4" // the frame format, and the one before it
	case has(xzMagic):
		return "xz"
	case has("BZh") && len(b) >= 10 && string(b[4:10]) == "\x31\x41\x59\x26\x53\x59":
		return "bzip2"
	}
	return ""
}

// decompressor unpacks one stream. Its errors, io.EOF apart, read as Damage.
type decompressor struct {
	kind  string
	out   io.Reader
	in    *countingReader
	close func()
}

// newDecompressor begins to unpack in, which begins with a stream of the named
// compression. Every codec works in the caller's goroutine, so that what can be
// had of a damaged stream does not depend on scheduling.
func newDecompressor(kind string, in io.Reader) (*decompressor, error) {
	counted := &countingReader{in: in}
	d := &decompressor{kind: kind, in: counted, close: func() {}}
	var err error
	switch kind {
	case "gzip":
		d.out, err = gzip.NewReader(bufio.NewReaderSize(counted, blockSize))
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(counted, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			d.out, d.close = z, z.Close
		}
	case "lz4":
		d.out = lz4.NewReader(bufio.NewReaderSize(counted, blockSize))
	case "xz":
		d.out = newXZReader(counted)
	case "bzip2":
		d.out = bzip2.NewReader(bufio.NewReaderSize(counted, blockSize))
	}
	if err != nil {
		return nil, d.explain(err)
	}
	return d, nil
}

func (d *decompressor) Read(b []byte) (int, error) {
	n, err := d.out.Read(b)
	if err != nil && err != io.EOF {
		err = d.explain(err)
	}
	return n, err
}

// explain puts a codec's error in the words of a report.
func (d *decompressor) explain(err error) error {
	switch {
	case d.in.err != nil && d.in.err != io.EOF:
		return d.in.err
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s stream ends early, at byte %d of the compressed file", d.kind, d.in.n)
	}
	return fmt.Errorf("%s stream is corrupt: %w", d.kind, err)
}

// countingReader counts the bytes of a compressed file, and remembers what
// ended it.
type countingReader struct {
	in  io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// readAhead reads in its own goroutine, a few blocks ahead of its reader.
type readAhead struct {
	full, empty chan *aheadBlock
	stop        chan struct{}
	block       *aheadBlock // being read
	at          int         // in block
	err         error
}

// aheadBlock is what one or more reads gave, and the error behind it.
type aheadBlock struct {
	buf []byte
	n   int
	err error
}

// newReadAhead starts reading in by blocks of the given size. The goroutine
// calls done when it reads no more.
func newReadAhead(in io.Reader, size int, done func()) *readAhead {
	a := &readAhead{
		full:  make(chan *aheadBlock, aheadBlocks),
		empty: make(chan *aheadBlock, aheadBlocks),
		stop:  make(chan struct{}),
	}
	for range aheadBlocks {
		a.empty <- &aheadBlock{buf: make([]byte, size)}
	}
	go func() {
		defer done()
		for {
			var b *aheadBlock
			select {
			case b = <-a.empty:
			case <-a.stop:
				return
			}
			b.n, b.err = readBlock(in, b.buf)
			a.full <- b // never waits: there are no more blocks than places
			if b.err != nil {
				return
			}
		}
	}()
	return a
}

// readBlock reads until b is full or in ends.
func readBlock(in io.Reader, b []byte) (int, error) {
	n := 0
	for idle := 0; n < len(b); {
		m, err := in.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
		if m > 0 {
			idle = 0
		} else if idle++; idle == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

func (a *readAhead) Read(b []byte) (int, error) {
	for a.block == nil || a.at == a.block.n {
		if a.err != nil {
			return 0, a.err
		}
		if a.block != nil {
			a.empty <- a.block
		}
		a.block, a.at = <-a.full, 0
		a.err = a.block.err
	}
	n := copy(b, a.block.buf[a.at:a.block.n])
	a.at += n
	return n, nil
}

// close tells the goroutine to end. It does not wait: a read from a pipe whose
// writer is silent may take for ever.
func (a *readAhead) close() { close(a.stop) }
