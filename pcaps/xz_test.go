package pcaps

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// The xz of the system makes what the module's writer does not: several
// blocks, other checks.
func TestXZAgainstSystem(t *testing.T) {
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("xz is not installed")
	}
	plain := repeat("pcap", 300<<10)
	for _, args := range []string{"-0", "-9", "-C none", "-C crc32", "-C crc64", "-C sha256", "--block-size=10000", "-T2 --block-size=70001 -C sha256"} {
		cmd := exec.Command(xz, append(strings.Fields(args), "-c")...)
		cmd.Stdin = bytes.NewReader(plain)
		packed, err := cmd.Output()
		if err != nil {
			t.Fatalf("xz %s: %v", args, err)
		}
		// Twice, with padding between and behind.
		packed = append(append(packed, 0, 0, 0, 0), append(packed, make([]byte, 8)...)...)
		got, err := io.ReadAll(newXZReader(bytes.NewReader(packed)))
		if err != nil || !bytes.Equal(got, append(plain[:len(plain):len(plain)], plain...)) {
			t.Errorf("xz %s: %d bytes, %v; want %d", args, len(got), err, 2*len(plain))
		}
	}
}

func TestXZCorrupt(t *testing.T) {
	const header = 12 // of the stream; the first block's follows
	good := compressed(t, "xz", aPcap())
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 0x40
		return b
	}
	// A block header that asks for 4 GiB, and is otherwise as it should be.
	huge := bytes.Clone(good)
	block := huge[header : header+4*(int(huge[header])+1)]
	block[bytes.Index(block, []byte{lzma2, 1})+2] = 40
	binary.LittleEndian.PutUint32(block[len(block)-4:], crc32.ChecksumIEEE(block[:len(block)-4]))
	for name, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"stream header":  {flip(7), "invalid checksum of the stream header"},
		"block header":   {flip(header + 1), "invalid checksum of a block header"},
		"dictionary":     {huge, "block asks for a dictionary of more than 134217728 bytes"},
		"footer":         {flip(-5), "invalid stream footer"},
		"footer's magic": {flip(-1), "invalid stream footer"},
		"junk behind":    {append(bytes.Clone(good), "junk, and more of it"...), "no stream header"},
	} {
		got, err := io.ReadAll(newXZReader(bytes.NewReader(tt.b)))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %d bytes, error %v; want %s", name, len(got), err, tt.want)
		}
	}
	// Whatever else changes before the index, whose sizes are not looked at, is
	// noticed or does no harm.
	for at := range len(good) - 40 {
		got, err := io.ReadAll(newXZReader(bytes.NewReader(flip(at))))
		if err == nil && !bytes.Equal(got, aPcap()) {
			t.Errorf("byte %d of %d changed, other data, and no error", at, len(good))
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, kind := range []string{"gzip", "zstd", "lz4", "xz"} {
		f.Add(compressed(f, kind, aPcap()))
	}
	f.Add(bzip2Sample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind := compressionOf(b)
		if kind == "" {
			return
		}
		d, err := newDecompressor(kind, bytes.NewReader(b))
		if err != nil {
			return
		}
		defer d.close()
		_, err = io.CopyN(io.Discard, d, 1<<20)
		if err != nil && err != io.EOF && !strings.HasPrefix(err.Error(), kind+" stream ") {
			t.Errorf("error %v", err)
		}
	})
}
