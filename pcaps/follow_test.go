package pcaps

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rotated is a capture of the packets with the numbers given.
func rotated(numbers ...int) []byte {
	var b bytes.Buffer
	header := make([]byte, classicHeader)
	binary.LittleEndian.PutUint32(header, magicNano)
	binary.LittleEndian.PutUint16(header[4:], 2)
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], maxCaptured)
	binary.LittleEndian.PutUint32(header[20:], uint32(LinkEthernet))
	b.Write(header)
	for _, n := range numbers {
		p := numbered(n)
		record := make([]byte, classicRecord)
		binary.LittleEndian.PutUint32(record, uint32(p.Time/1e9))
		binary.LittleEndian.PutUint32(record[4:], uint32(p.Time%1e9))
		binary.LittleEndian.PutUint32(record[8:], uint32(len(p.Data)))
		binary.LittleEndian.PutUint32(record[12:], uint32(p.WireLen))
		b.Write(record)
		b.Write(p.Data)
	}
	return b.Bytes()
}

// following reads a directory while a test writes to it.
type following struct {
	t      *testing.T
	dir    string
	source Source
	got    []int
	files  []int
	ended  bool
}

func follow(t *testing.T) *following { return &following{t: t, dir: t.TempDir()} }

func (f *following) open(idle time.Duration) {
	f.t.Helper()
	var err error
	if f.source, err = Follow(f.dir, Options{}, idle); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { f.source.Close() })
}

func (f *following) write(name string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), b, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *following) add(name string, b []byte) {
	f.t.Helper()
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = file.Write(b)
		file.Close()
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// read reads until so many packets have come in all, or nothing comes for long.
func (f *following) read(until int) {
	f.t.Helper()
	batch := make([]Packet, 16)
	for end := time.Now().Add(30 * time.Second); len(f.got) < until && time.Now().Before(end) && !f.ended; {
		n, err := f.source.Read(batch)
		for _, p := range batch[:n] {
			var number int
			fmt.Sscanf(string(p.Data[:8]), "%d", &number)
			if want := numbered(number); !bytes.Equal(p.Data, want.Data) || p.Time != want.Time {
				f.t.Errorf("packet %d is not what was written", number)
			}
			f.got = append(f.got, number)
			f.files = append(f.files, p.Frame.File())
		}
		if err == io.EOF {
			f.ended = true
		} else if err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *following) want(numbers ...int) {
	f.t.Helper()
	if !slices.Equal(f.got, numbers) {
		f.t.Fatalf("read %v, want %v", f.got, numbers)
	}
}

// TestFollowGrows waits for the rest of a half-written record, and goes on to
// the next file when there is one.
func TestFollowGrows(t *testing.T) {
	f := follow(t)
	f.write("a.pcap", rotated(1, 2))
	f.open(0)
	second := rotated(3, 4, 5)
	tail := len(numbered(5).Data) + classicRecord
	f.read(2)
	f.add("b.pcap", second[:10])
	quick := func() {
		batch := make([]Packet, 4)
		for range 3 {
			if n, err := f.source.Read(batch); n != 0 || err != nil {
				t.Fatalf("%d packets, %v, where nothing is whole", n, err)
			}
		}
	}
	quick()
	f.add("b.pcap", second[10:len(second)-tail-20])
	f.read(3)
	quick()
	f.add("b.pcap", second[len(second)-tail-20:])
	f.read(5)
	f.want(1, 2, 3, 4, 5)
	// A compressed file is read when it is whole; the one before ended in the
	// middle of a record.
	f.add("b.pcap", rotated(6)[classicHeader:][:30])
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(rotated(7, 8))
	w.Close()
	f.write("c.pcap.gz", z.Bytes())
	f.read(7)
	f.want(1, 2, 3, 4, 5, 7, 8)
	if want := []int{0, 0, 1, 1, 1, 2, 2}; !slices.Equal(f.files, want) {
		t.Errorf("frames of files %v, want %v", f.files, want)
	}
	st := f.source.Stats()
	if len(st.Files) != 3 || st.Files[1].Damage == nil || st.Files[1].Frames != 3 || st.Files[0].Damage != nil || st.Files[2].Compression != "gzip" {
		t.Errorf("%+v", st)
	}
}

// TestFollowCut cuts a file under the reader, and then writes another one under
// its name.
func TestFollowCut(t *testing.T) {
	f := follow(t)
	f.write("a.pcap", rotated(1, 2, 3))
	f.open(0)
	f.read(3)
	if err := os.Truncate(filepath.Join(f.dir, "a.pcap"), 200); err != nil {
		t.Fatal(err)
	}
	f.write("b.pcap", rotated(4))
	f.read(4)
	f.want(1, 2, 3, 4)
	if d := f.source.Stats().Files[0].Damage; d == nil || !strings.Contains(d.Reason, "cut to 200 bytes while it was read") || d.Frame != 3 {
		t.Errorf("damage %+v", d)
	}
	f.write("a.pcap", rotated(5, 6)) // the ring has come round
	f.read(6)
	f.want(1, 2, 3, 4, 5, 6)
	if st := f.source.Stats(); len(st.Files) != 3 || st.Files[2].Name != st.Files[0].Name {
		t.Errorf("%+v", st.Files)
	}
	if err := os.Remove(filepath.Join(f.dir, "a.pcap")); err != nil {
		t.Fatal(err)
	}
	f.write("c.pcap", rotated(7))
	f.read(7)
	f.want(1, 2, 3, 4, 5, 6, 7)
}

// TestFollowIdle ends when nothing is written any more, with what is there.
func TestFollowIdle(t *testing.T) {
	f := follow(t)
	whole := rotated(1, 2)
	f.write("a.pcap", whole[:len(whole)-5])
	f.open(300 * time.Millisecond)
	f.read(100)
	f.want(1)
	if d := f.source.Stats().Files[0].Damage; !f.ended || d == nil || !strings.Contains(d.Reason, "ends inside") {
		t.Errorf("ended %t, damage %+v", f.ended, d)
	}
}

func TestFollowMistakes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	if _, err := Follow(name, Options{}, 0); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("nothing there: %v", err)
	}
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Follow(name, Options{}, 0); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Follow(filepath.Dir(name), Options{Filter: "tcp prot 80"}, 0); err == nil {
		t.Error("a filter that is none")
	}
}

// TestFollowForgets removes what was read, as tcpdump -W does: names do not add
// up, and a file that comes under an old name, even with the same content, is read.
func TestFollowForgets(t *testing.T) {
	f := follow(t)
	f.open(0)
	var want []int
	for i := range 3 {
		name := fmt.Sprintf("%d.pcap", i%2)
		f.write(name, rotated(7))
		f.write("last.pcap"+strconv.Itoa(i), rotated()) // one behind it: it is whole
		want = append(want, 7)
		f.read(len(want))
		f.want(want...)
		for _, gone := range []string{name, "last.pcap" + strconv.Itoa(i)} {
			if err := os.Remove(filepath.Join(f.dir, gone)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.source.(*follower).scan(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.source.(*follower).met); n > 1 {
		t.Errorf("%d files are remembered", n)
	}
}

// TestFollowManyFiles reads more captures than are told one by one: those before
// are summed up, and frames are still of the capture whose name they have.
func TestFollowManyFiles(t *testing.T) {
	const n = followTold + 3
	f := follow(t)
	var want []int
	for i := range n {
		b := rotated(2*i+2, 2*i+3)
		if i == 1 {
			b = b[:len(b)-1]
		} else {
			want = append(want, 2*i+2, 2*i+3)
		}
		name := fmt.Sprintf("%06d.pcap", i)
		f.write(name, b)
		at := time.Unix(1795397951+int64(i), 0)
		if err := os.Chtimes(filepath.Join(f.dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	want = slices.Insert(want, 2, 4) // of the damaged one
	f.open(time.Millisecond)
	f.read(len(want))
	f.want(want...)
	names := f.source.(Named).Names()
	for i, number := range f.got {
		if file := f.files[i]; file != number/2-1 || names[file] != filepath.Join(f.dir, fmt.Sprintf("%06d.pcap", file)) {
			t.Fatalf("packet %d is of file %d, %s", number, file, names[file])
		}
	}
	s := f.source.Stats()
	if len(s.Files) != followTold+1 || s.Captures() != n {
		t.Fatalf("%d captures in %d entries", s.Captures(), len(s.Files))
	}
	frames, bytes := uint64(0), uint64(0)
	for i := range s.Files {
		frames, bytes = frames+s.Files[i].Frames, bytes+s.Files[i].Bytes
	}
	wire := uint64(0)
	for _, number := range f.got {
		wire += uint64(numbered(number).WireLen)
	}
	e := s.Files[0]
	if frames != uint64(len(f.got)) || bytes != wire || e.Sum != 3 || e.Frames != 5 || e.First != numbered(2).Time || e.Last != numbered(7).Time || !slices.Equal(e.Links, []LinkType{LinkEthernet}) ||
		e.Damage == nil || !strings.Contains(e.Damage.Reason, "000001.pcap, the last of 1 ") || s.Files[1].Name != names[3] {
		t.Errorf("%d frames, %d bytes of %d; %+v, damage %+v", frames, bytes, wire, e, e.Damage)
	}
}
