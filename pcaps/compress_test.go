package pcaps

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// aPcapBzip2 is the bzip2 of aPcap: the standard library only reads it.
const aPcapBzip2 = "" +
	"QlpoOTFBWSZTWXW4nd0AAC9ZHv5BABgABjgAIAAQAAgABAAAAKAAUKYTTQGmIJERDTTRo0ikqSea" +
	"3h271uIN2K7bGzrEZYUXmbYmahAmQJqifv2pxr8XckU4UJB1uJ3d"

// aPcap is the capture behind aPcapBzip2.
func aPcap() []byte {
	return classic(binary.LittleEndian, magicMicro, 4, 65535, 1,
		record{1, 2, 0, ethernet(60, 'a')}, record{1, 3, 0, ethernet(61, 'b')}, record{2, 0, 99, ethernet(14, 'c')})
}

// compressed is b as one stream of each compression that can be written here.
func compressed(t testing.TB, kind string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	case "lz4":
		w = lz4.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func bzip2Sample(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(aPcapBzip2)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// file writes a file into a directory of the test's own.
func file(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readSource reads a Source to its end.
func readSource(t testing.TB, s Source) ([]got, Stats) {
	t.Helper()
	var all []got
	batch := make([]Packet, 7)
	for {
		n, err := s.Read(batch)
		for _, p := range batch[:n] {
			all = append(all, got{p.Frame.Number(), p.Time, p.WireLen, p.Link, string(p.Data)})
		}
		if err == io.EOF {
			return all, s.Stats()
		}
		if err != nil || n == 0 {
			t.Fatalf("Read: %d frames, %v", n, err)
		}
	}
}

// openAll opens captures and reads them.
func openAll(t testing.TB, o Options, paths ...string) ([]got, Stats) {
	t.Helper()
	s, err := Open(paths, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return readSource(t, s)
}

func TestCompressions(t *testing.T) {
	want, wantStats := openAll(t, Options{}, file(t, "plain", aPcap()))
	for _, kind := range []string{"gzip", "zstd", "lz4", "xz", "bzip2"} {
		packed := bzip2Sample(t)
		half := packed
		if kind != "bzip2" {
			packed = compressed(t, kind, aPcap())
			half = append(compressed(t, kind, aPcap()[:70]), compressed(t, kind, aPcap()[70:])...)
		}
		for name, b := range map[string][]byte{"one stream": packed, "two streams": half} {
			path := file(t, "x.pcap", b)
			frames, st := openAll(t, Options{}, path)
			wantStats.Files[0].Name, wantStats.Files[0].Compression = path, kind
			if !reflect.DeepEqual(frames, want) || !reflect.DeepEqual(st, wantStats) {
				t.Errorf("%s, %s: %d frames, %+v\nwant %d, %+v", kind, name, len(frames), st, len(want), wantStats)
			}
		}
	}
	// A zstd file may begin with a frame that is to be skipped.
	skip := append([]byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'}, compressed(t, "zstd", aPcap())...)
	if frames, _ := openAll(t, Options{}, file(t, "x", skip)); len(frames) != 3 {
		t.Errorf("zstd behind a skippable frame: %d frames", len(frames))
	}
}

// A compressed file that is cut gives the frames before the cut, and says that
// it is cut, or is no capture when nothing of it can be had.
func TestCompressedTruncations(t *testing.T) {
	var plain []byte
	for i := range 400 {
		plain = append(plain, byte(i*i*i), byte(i*i>>3), byte(i*7))
	}
	capture := classic(binary.LittleEndian, magicMicro, 4, 65535, 1,
		record{1, 2, 0, plain[:700]}, record{1, 3, 0, plain[700:1100]}, record{2, 0, 0, plain[1100:]})
	for _, kind := range []string{"gzip", "zstd", "lz4", "xz", "bzip2"} {
		original, packed := capture, bzip2Sample(t)
		if kind == "bzip2" {
			original = aPcap()
		} else {
			packed = compressed(t, kind, capture)
		}
		want, _ := readAll(t, bytes.NewReader(original), 64)
		path := filepath.Join(t.TempDir(), "x.pcap")
		for cut := 12; cut < len(packed); cut++ {
			if cut > 100 && cut < len(packed)-100 && cut%29 != 0 {
				continue // the middle is all alike
			}
			if err := os.WriteFile(path, packed[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open([]string{path}, Options{})
			if err != nil {
				if !errors.Is(err, errNotCapture) || !strings.Contains(err.Error(), kind) {
					t.Errorf("%s cut at %d: %v", kind, cut, err)
				}
				continue
			}
			frames, st := readSource(t, s)
			s.Close()
			d := st.Files[0].Damage
			if d == nil || !strings.HasPrefix(d.Reason, fmt.Sprintf("%s stream ends early, at byte %d of the compressed file", kind, cut)) {
				t.Errorf("%s cut at %d of %d: damage %+v", kind, cut, len(packed), d)
			}
			if len(frames) > len(want) || !reflect.DeepEqual(frames, want[:len(frames)]) && len(frames) > 0 {
				t.Errorf("%s cut at %d: %d frames, not those before the cut", kind, cut, len(frames))
			}
		}
	}
}

func TestCorruptStream(t *testing.T) {
	packed := compressed(t, "gzip", repeat("pcap", 1<<20))
	packed[len(packed)-6] ^= 0xff // of the checksum
	frames, st := openAll(t, Options{}, file(t, "x.pcap.gz", packed))
	d := st.Files[0].Damage
	if len(frames) < 10000 || d == nil || d.Reason != "gzip stream is corrupt: gzip: invalid checksum" {
		t.Errorf("%d frames, damage %+v", len(frames), d)
	}
}

func TestCompressedNotCapture(t *testing.T) {
	for _, tt := range []struct {
		b    []byte
		want string
	}{
		{compressed(t, "gzip", []byte("hello, world")), `: not a capture file: gzip data that begins with "hello, world"`},
		{compressed(t, "zstd", nil), ": empty file"},
		{[]byte("\x1f\x8b\x08"), ": not a capture file: gzip stream ends early, at byte 3 of the compressed file"},
	} {
		path := file(t, "x", tt.b)
		if _, err := Open([]string{path}, Options{}); err == nil || err.Error() != path+tt.want {
			t.Errorf("error %v, want %s", err, path+tt.want)
		}
	}
}

func TestReadAhead(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	failure := errors.New("no more")
	var once sync.WaitGroup
	once.Add(1)
	a := newReadAhead(io.MultiReader(bytes.NewReader(want), iotest.ErrReader(failure)), 1000, once.Done)
	b, err := io.ReadAll(iotest.OneByteReader(a))
	if !bytes.Equal(b, want) || err != failure {
		t.Errorf("%d bytes, %v; want %d and the reader's error", len(b), err, len(want))
	}
	if _, err := a.Read(make([]byte, 1)); err != failure {
		t.Errorf("read after the end: %v", err)
	}
	a.close()
	once.Wait()

	// Closing it half read ends its goroutine.
	once.Add(1)
	a = newReadAhead(bytes.NewReader(want), 1000, once.Done)
	a.Read(make([]byte, 10))
	a.close()
	once.Wait()
}
