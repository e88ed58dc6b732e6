package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// at is a capture with a frame at each of the seconds given.
func at(seconds ...uint32) []byte {
	var records []record
	for _, s := range seconds {
		records = append(records, record{s, 0, 0, ethernet(60, byte(s))})
	}
	return classic(binary.LittleEndian, magicMicro, 4, 65535, 1, records...)
}

// tree writes files into a directory and makes it the current one.
func tree(t *testing.T, files map[string][]byte) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, b := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// orderOf reads a Source as a line of file:second pairs.
func orderOf(t *testing.T, s Source) string {
	t.Helper()
	var line []string
	batch := make([]Packet, 3)
	for {
		n, err := s.Read(batch)
		for _, p := range batch[:n] {
			sec := p.Time / 1e9
			if len(p.Data) != 60 || p.Data[0] != byte(sec) {
				t.Errorf("the frame of second %d has the bytes % x", sec, p.Data)
			}
			line = append(line, fmt.Sprintf("%d:%d", p.Frame.File(), sec))
		}
		if err == io.EOF {
			return strings.Join(line, " ")
		}
		if err != nil || n == 0 {
			t.Fatalf("Read: %d, %v", n, err)
		}
	}
}

func names(s Source) string {
	var all []string
	for _, f := range s.Stats().Files {
		all = append(all, f.Name)
	}
	return strings.Join(all, " ")
}

func TestMerge(t *testing.T) {
	tree(t, map[string][]byte{
		"a":       at(1, 4, 7, 7, 9),
		"b":       at(3, 4, 4, 8),
		"c":       at(20, 21),
		"d":       at(5, 2, 30), // its clock runs backwards
		"e":       at(),
		"dir/x.z": compressed(t, "gzip", at(6)),
		"dir/y":   []byte("no capture"),
		"dir/z":   nil,
		"dir/s/w": at(10),
	})
	for _, tt := range []struct {
		paths       []string
		recursive   bool
		files, want string
	}{
		{[]string{"a"}, false, "a", "0:1 0:4 0:7 0:7 0:9"},
		{[]string{"b", "a"}, false, "a b", "0:1 1:3 0:4 1:4 1:4 0:7 0:7 1:8 0:9"},
		{[]string{"c", "a"}, false, "a c", "0:1 0:4 0:7 0:7 0:9 1:20 1:21"},
		{[]string{"d", "b"}, false, "b d", "0:3 0:4 0:4 1:5 1:2 0:8 1:30"},
		{[]string{"e", "c"}, false, "c e", "0:20 0:21"},
		{[]string{"e"}, false, "e", ""},
		{[]string{"dir", "a"}, false, "a dir/x.z", "0:1 0:4 1:6 0:7 0:7 0:9"},
		{[]string{"dir"}, true, "dir/x.z dir/s/w", "0:6 1:10"},
		{[]string{"[ab]"}, false, "a b", "0:1 1:3 0:4 1:4 1:4 0:7 0:7 1:8 0:9"},
		{[]string{"c", "./c", "c"}, false, "c", "0:20 0:21"},
	} {
		s, err := Open(tt.paths, Options{Recursive: tt.recursive})
		if err != nil {
			t.Errorf("%v: %v", tt.paths, err)
			continue
		}
		if got := orderOf(t, s); got != tt.want {
			t.Errorf("%v: %s\nwant %s", tt.paths, got, tt.want)
		}
		if got := names(s); got != tt.files {
			t.Errorf("%v: files %s, want %s", tt.paths, got, tt.files)
		}
		total := uint64(0)
		for _, f := range s.Stats().Files {
			total += f.Frames
		}
		if want := len(strings.Fields(tt.want)); total != uint64(want) {
			t.Errorf("%v: statistics of %d frames, want %d", tt.paths, total, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Merging many captures whose clocks are in order gives the frames in order of
// time, by file where it is equal, whatever the batch.
func TestMergeMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := map[string][]byte{}
	var paths []string
	frames := 0
	for i := range 40 {
		var seconds []uint32
		for range random.IntN(600) {
			seconds = append(seconds, uint32(random.IntN(3000)))
		}
		slices.Sort(seconds)
		frames += len(seconds)
		paths = append(paths, fmt.Sprintf("%02d", i))
		all[paths[i]] = at(seconds...)
	}
	tree(t, all)
	for _, size := range []int{1, 50, 1000} {
		s, err := Open(paths, Options{})
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]Packet, size)
		var last Packet
		count := 0
		for {
			n, err := s.Read(batch)
			if err == io.EOF {
				break
			}
			for _, p := range batch[:n] {
				if p.Data[0] != byte(p.Time/1e9) {
					t.Fatalf("frame %v has other bytes", p)
				}
				if p.Time < last.Time || p.Time == last.Time && p.Frame < last.Frame {
					t.Fatalf("batches of %d: %v follows %v", size, p, last)
				}
				last = p
				count++
			}
		}
		if count != frames {
			t.Errorf("batches of %d: %d frames, want %d", size, count, frames)
		}
		s.Close()
	}
}

// A capture is opened when its first frame is due, not before.
func TestMergeOpensLate(t *testing.T) {
	tree(t, map[string][]byte{"a": at(1, 2, 9), "b": at(5)})
	s, err := Open([]string{"a", "b"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	os.Remove("b")
	batch := make([]Packet, 10)
	if n, err := s.Read(batch); n != 2 || err != nil {
		t.Errorf("before the second capture is due: %d, %v", n, err)
	}
	for range 2 {
		n, err := s.Read(batch)
		if n != 0 || err == nil || err.Error() != "b: no such file or directory" {
			t.Errorf("when it is due and gone: %d, %v", n, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	tree(t, map[string][]byte{
		"good":    at(1),
		"empty":   nil,
		"text":    []byte("hello, world: no capture"),
		"one":     []byte("x"),
		"snore":   []byte("snore\x00\x00\x00\x00\x00\x00\x02"),
		"snoop":   []byte("snoop\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x04"),
		"snooze":  []byte("snooze\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04"),
		"newline": []byte("\n\r\r\nabcdefghijklmnop"),
		"old":     append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 9, 0}, make([]byte, 18)...),
		"none/x":  []byte("text"),
	})
	os.Mkdir("bare", 0o700)
	for _, tt := range []struct {
		path, want string
	}{
		{"empty", "empty: empty file"},
		{"text", `text: not a capture file: begins with "hello, world"`},
		{"one", `one: not a capture file: begins with "x"`},
		{"snore", `snore: not a capture file: begins with "snore\x00\x00\x00\x00\x00\x00\x02"`},
		{"snoop", "snoop: snoop version 3 is not supported"},
		{"snooze", `snooze: not a capture file: begins with "snooze\x00\x00\x00\x00\x00\x02"`},
		{"newline", `newline: not a capture file: begins with "\n\r\r\nabcdefgh"`},
		{"old", "old: pcap version 9.0 is not supported"},
		{"missing", "missing: no such file or directory"},
		{"*.pcap", "*.pcap: no file matches"},
		{"bare", "bare: no capture file in this directory"},
		{"none", "none: no capture file in this directory"},
	} {
		for _, paths := range [][]string{{tt.path}, {"good", tt.path}} {
			s, err := Open(paths, Options{})
			if err == nil {
				s.Close()
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v: error %v, want %s", paths, err, tt.want)
			}
		}
	}
	if _, err := Open([]string{"missing"}, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not that of a missing file", err)
	}
	if _, err := Open(nil, Options{}); err == nil {
		t.Error("nothing to open, and no error")
	}
}

func TestStandardInput(t *testing.T) {
	tree(t, map[string][]byte{"a": at(1, 4), "b": at(2)})
	for _, stream := range [][]byte{at(3, 5), compressed(t, "zstd", at(3, 5))} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for len(stream) > 0 { // in pieces, as pipes deliver
				n := min(len(stream), 33)
				out.Write(stream[:n])
				stream = stream[n:]
			}
			out.Close()
		}()
		stdin := os.Stdin
		os.Stdin = in
		s, err := Open([]string{"-", "a", "b"}, Options{})
		os.Stdin = stdin
		if err != nil {
			t.Fatal(err)
		}
		if got, want := orderOf(t, s), "0:1 1:2 2:3 0:4 2:5"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got, want := names(s), "a b -"; got != want {
			t.Errorf("files %s, want %s", got, want)
		}
		s.Close()
	}
}

// Secrets are told before the frames behind them, of every file.
func TestSecrets(t *testing.T) {
	tree(t, map[string][]byte{"a": at(1), "ng": sections()})
	var got []Secrets
	s, err := Open([]string{"ng", "a"}, Options{Secrets: func(x Secrets) {
		x.Data = bytes.Clone(x.Data)
		if len(got) == 0 || !reflect.DeepEqual(got[len(got)-1], x) { // a file may be opened twice
			got = append(got, x)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	readSource(t, s)
	if want := []Secrets{{File: "ng", Type: SecretsTLS, Data: []byte("CLIEN")}}; !reflect.DeepEqual(got, want) {
		t.Errorf("secrets %v, want %v", got, want)
	}
}

// Every Source serves the loops of programs built on gopacket.
func TestZeroCopyPacketDataSource(t *testing.T) {
	path := file(t, "x.pcap", aPcap())
	want, _ := openAll(t, Options{}, path)
	s, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var source gopacket.ZeroCopyPacketDataSource = s
	for i := 0; ; i++ {
		data, info, err := source.ZeroCopyReadPacketData()
		if err == io.EOF {
			if i != len(want) {
				t.Errorf("%d frames, want %d", i, len(want))
			}
			break
		}
		if err != nil || i >= len(want) {
			t.Fatalf("frame %d: %v", i+1, err)
		}
		w := want[i]
		if string(data) != w.Data || info.Timestamp.UnixNano() != w.Time || info.Length != w.Wire || info.CaptureLength != len(w.Data) {
			t.Errorf("frame %d: % x, %+v; want %+v", i+1, data, info, w)
		}
		packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
		if link := packet.LinkLayer(); link == nil || link.LinkFlow().Src().Raw()[0] != w.Data[6] {
			t.Errorf("frame %d: gopacket decodes %v", i+1, packet)
		}
	}
}

const corpus = "../../shared/corpus/captures"

// pcapgo reads fewer captures than we do. What it reads we read alike.
func TestAgainstPcapgo(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(corpus, "*", "*"))
	if len(paths) == 0 {
		t.Skipf("no captures in %s to compare pcapgo with", corpus)
	}
	compared, frames := 0, 0
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var read func() ([]byte, gopacket.CaptureInfo, error)
		if r, err := pcapgo.NewReader(bytes.NewReader(b)); err == nil {
			read = r.ReadPacketData
		} else if r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true}); err == nil {
			read = r.ReadPacketData
		} else {
			continue
		}
		compared++
		s, err := Open([]string{path}, Options{})
		if err != nil {
			t.Errorf("pcapgo reads what we do not: %v", err)
			continue
		}
		ours, st := readSource(t, s)
		s.Close()
		n := 0
		for ; ; n++ {
			data, info, err := read()
			if err != nil {
				break
			}
			if n >= len(ours) {
				t.Errorf("%s: pcapgo has more than our %d frames", path, len(ours))
				break
			}
			o := ours[n]
			// A simple packet block has no time, and pcapgo multiplies absurd
			// microseconds in 32 bits.
			timeless := info.Timestamp.IsZero() || info.Timestamp.Unix() == 0 || strings.Contains(path, "clusterfuzz")
			if string(data) != o.Data || info.Length != o.Wire || !timeless && info.Timestamp.UnixNano() != o.Time {
				t.Errorf("%s: frame %d: %d of %d bytes at %d, pcapgo has %d of %d at %d", path, n+1,
					len(o.Data), o.Wire, o.Time, len(data), info.Length, info.Timestamp.UnixNano())
			}
		}
		frames += n
		if n < len(ours) {
			t.Logf("%s: pcapgo stops after %d of %d frames (ours: %+v)", path, n, len(ours), st.Files[0].Damage)
		}
	}
	t.Logf("%d captures, %d frames compared", compared, frames)
	if compared < 200 {
		t.Errorf("only %d captures compared", compared)
	}
}

// Every capture of the corpus can be read all at once, merged.
func TestCorpusMerged(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("no captures in %s to merge", corpus)
	}
	s, err := Open([]string{corpus}, Options{Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	batch := make([]Packet, 64)
	frames := uint64(0)
	for {
		n, err := s.Read(batch)
		frames += uint64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	sum := uint64(0)
	for _, f := range st.Files {
		sum += f.Frames
		if f.Format == "" || f.Name == "" {
			t.Errorf("statistics %+v", f)
		}
	}
	if len(st.Files) < 245 || frames < 96900 || frames != sum {
		t.Errorf("%d captures, %d frames read, %d in the statistics", len(st.Files), frames, sum)
	}
}

// TestStatsAfterClose says that frames read ahead count neither before nor after
// a capture that was read in part is closed.
func TestStatsAfterClose(t *testing.T) {
	s, err := Open([]string{"samples/site.pcapng"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]Packet, 3)
	if n, err := s.Read(batch); n != 3 || err != nil {
		t.Fatalf("%d frames, %v", n, err)
	}
	before := s.Stats().Files[0]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after := s.Stats().Files[0]
	if before.Frames != 3 || before.Last != batch[2].Time || !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}
