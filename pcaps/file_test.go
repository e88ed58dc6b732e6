package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// ethernet is a frame of n bytes: two addresses, the type of IPv4, and a
// pattern that tells frames apart.
func ethernet(n int, mark byte) []byte {
	b := bytes.Repeat([]byte{mark}, n)
	copy(b[12:], "\x08\x00")
	return b
}

// record is a frame as a classic capture holds it.
type record struct {
	sec, frac uint32
	wire      uint32 // 0: as many as there are
	data      []byte
}

// classic writes a classic capture.
func classic(o order, magic uint32, minor uint16, snap, link uint32, records ...record) []byte {
	b := make([]byte, classicHeader)
	o.PutUint32(b, magic)
	o.PutUint16(b[4:], 2)
	o.PutUint16(b[6:], minor)
	o.PutUint32(b[16:], snap)
	o.PutUint32(b[20:], link)
	for _, r := range records {
		h := make([]byte, classicRecord)
		o.PutUint32(h, r.sec)
		o.PutUint32(h[4:], r.frac)
		o.PutUint32(h[8:], uint32(len(r.data)))
		o.PutUint32(h[12:], max(r.wire, uint32(len(r.data))))
		if minor < 3 {
			copy(h[8:], append(h[12:16:16], h[8:12]...))
		}
		if magic == magicModified {
			h = append(h, 2, 0, 0, 0, 8, 0, 4, 0)
		}
		b = append(append(b, h...), r.data...)
	}
	return b
}

// order is a byte order that can append.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// block writes a pcapng block from values of fixed size and byte slices.
func block(o order, typ uint32, parts ...any) []byte {
	var body bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&body, o, p); err != nil {
			panic(err)
		}
	}
	body.Write(make([]byte, -body.Len()&3))
	size := uint32(body.Len() + 12)
	b := o.AppendUint32(nil, typ)
	b = o.AppendUint32(b, size)
	b = append(b, body.Bytes()...)
	return o.AppendUint32(b, size)
}

// option writes a pcapng option.
func option(o order, code uint16, value []byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func section(o order, options ...byte) []byte {
	return block(o, blockSection, uint32(byteOrderMagic), uint16(1), uint16(0), int64(-1), options)
}

func interfaceBlock(o order, link uint16, snap uint32, options ...byte) []byte {
	return block(o, blockInterface, link, uint16(0), snap, options)
}

func enhanced(o order, id uint32, t uint64, wire uint32, data []byte, options ...byte) []byte {
	padding := make([]byte, -len(data)&3)
	return block(o, blockEnhanced, id, uint32(t>>32), uint32(t), uint32(len(data)), max(wire, uint32(len(data))),
		data, padding, options)
}

// got is a frame as the tests compare it.
type got struct {
	Number uint64
	Time   int64
	Wire   int
	Link   LinkType
	Data   string
}

// readAll reads a capture to its end in batches of size n.
func readAll(t testing.TB, in io.Reader, n int) ([]got, FileStats) {
	t.Helper()
	r, err := newReader(in, blockSize)
	if err != nil {
		t.Fatalf("newReader: %v", err)
	}
	var all []got
	batch := make([]Packet, n)
	for {
		n, err := r.Read(batch)
		for _, p := range batch[:n] {
			all = append(all, got{p.Frame.Number(), p.Time, p.WireLen, p.Link, string(p.Data)})
		}
		if err == io.EOF {
			return all, r.stats
		}
		if err != nil || n == 0 {
			t.Fatalf("Read: %d frames, %v", n, err)
		}
	}
}

func TestClassic(t *testing.T) {
	a, b := ethernet(60, 'a'), ethernet(100, 'b')
	records := []record{{1_600_000_000, 999_999, 0, a}, {math.MaxUint32, 5, 1500, b}}
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		for _, tt := range []struct {
			name  string
			magic uint32
			minor uint16
			snap  uint32
			scale int64
		}{
			{"microseconds", magicMicro, 4, 65535, 1000},
			{"nanoseconds", magicNano, 4, 65535, 1},
			{"modified", magicModified, 4, 65535, 1000},
			{"before 2.3", magicMicro, 2, 65535, 1000},
			{"2.3", magicMicro, 3, 65535, 1000},
			{"snap length 0", magicMicro, 4, 0, 1000},
			{"snap length 4 GiB", magicMicro, 4, math.MaxUint32, 1000},
		} {
			t.Run(fmt.Sprint(tt.name, " ", o), func(t *testing.T) {
				frames, st := readAll(t, bytes.NewReader(classic(o, tt.magic, tt.minor, tt.snap, 1, records...)), 8)
				want := []got{
					{1, 1_600_000_000_000_000_000 + 999_999*tt.scale, 60, LinkEthernet, string(a)},
					{2, math.MaxUint32*1_000_000_000 + 5*tt.scale, 1500, LinkEthernet, string(b)},
				}
				if !reflect.DeepEqual(frames, want) {
					t.Errorf("frames\n%v\nwant\n%v", frames, want)
				}
				wantStats := FileStats{Format: "pcap", Frames: 2, Bytes: 1560, First: want[0].Time, Last: want[1].Time,
					SnapLen: tt.snap, Cut: 1, Links: []LinkType{LinkEthernet}, Leaps: 1, LeapFrame: 2}
				if !reflect.DeepEqual(st, wantStats) {
					t.Errorf("statistics\n%+v\nwant\n%+v", st, wantStats)
				}
			})
		}
	}
}

// In a 2.3 capture the lengths are in either order: the captured one is never
// the larger.
// TestLeaps counts frames that are dated far from the one before, whatever the
// size of the batches.
func TestLeaps(t *testing.T) {
	const year = 366 * 24 * 3600
	frame := ethernet(60, 'a')
	for _, c := range []struct {
		seconds []uint32
		leaps   uint64
		first   uint64
	}{
		{[]uint32{7, 8, 9}, 0, 0},
		{[]uint32{7, 7 + year/2, 7 + year, 7 + year + year/2}, 0, 0}, // a capture that took years
		{[]uint32{7, 8, 8 + year, 9, 10}, 2, 3},
		{[]uint32{math.MaxUint32, 7, 8}, 1, 2},
		{[]uint32{7, 8, 9 + year, 10 + year}, 1, 3},
	} {
		var records []record
		for _, s := range c.seconds {
			records = append(records, record{s, 0, 0, frame})
		}
		for _, batch := range []int{1, 2, 8} {
			_, st := readAll(t, bytes.NewReader(classic(binary.LittleEndian, magicMicro, 4, 65535, 1, records...)), batch)
			if st.Leaps != c.leaps || st.LeapFrame != c.first {
				t.Errorf("%d by %d: %d leaps, first frame %d; want %d, %d", c.seconds, batch, st.Leaps, st.LeapFrame, c.leaps, c.first)
			}
		}
	}
}

func TestClassicEitherOrder(t *testing.T) {
	file := classic(binary.LittleEndian, magicMicro, 3, 65535, 1, record{1, 2, 90, ethernet(60, 'a')})
	binary.LittleEndian.PutUint32(file[classicHeader+8:], 90)
	binary.LittleEndian.PutUint32(file[classicHeader+12:], 60)
	frames, _ := readAll(t, bytes.NewReader(file), 1)
	if len(frames) != 1 || frames[0].Wire != 90 || len(frames[0].Data) != 60 {
		t.Errorf("frames %v", frames)
	}
}

func TestClassicHeader(t *testing.T) {
	// What is above the lower half of the link type says other things.
	file := classic(binary.LittleEndian, magicMicro, 4, 65535, 0x14000000|101, record{1, 2, 0, ethernet(60, 'a')})
	frames, _ := readAll(t, bytes.NewReader(file), 1)
	if len(frames) != 1 || frames[0].Link != LinkRaw {
		t.Errorf("frames %v, want one of link type RAW", frames)
	}
	binary.LittleEndian.PutUint16(file[4:], 3)
	if _, err := newReader(bytes.NewReader(file), blockSize); err == nil || err.Error() != "pcap version 3.4 is not supported" {
		t.Errorf("version 3.4: error %v", err)
	}
}

// sections is a pcapng capture of two sections in different byte orders, with
// every kind of block that is read or stepped over.
func sections() []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	comment := func(o order, s string) []byte { return option(o, optComment, []byte(s)) }
	return bytes.Join([][]byte{
		section(le, comment(le, "first section")...),
		interfaceBlock(le, uint16(LinkEthernet), 262144, option(le, optResolution, []byte{9})...),
		interfaceBlock(le, uint16(LinkRaw), 96, append(option(le, optResolution, []byte{0x80 | 10}),
			option(le, optOffset, le.AppendUint64(nil, 1000))...)...),
		enhanced(le, 0, 1_600_000_000_000_000_001, 0, ethernet(61, 'a'), comment(le, "odd\xff one")...),
		block(le, blockSecrets, uint32(0x544c534b), uint32(5), []byte("CLIEN")),
		enhanced(le, 1, 1025, 200, ethernet(96, 'b')),
		block(le, 4, uint32(0)),                               // names
		block(le, blockCustom, uint32(32473), []byte("more")), // numbered as if it were a frame
		block(le, blockSimple, uint32(70), ethernet(70, 'c')),
		section(be),
		interfaceBlock(be, uint16(LinkLinuxSLL2), 40),
		block(be, blockObsolete, uint16(0), uint16(9), uint32(0), uint32(7_000_001), uint32(60), uint32(62), ethernet(60, 'd')),
		block(be, blockSimple, uint32(90), ethernet(40, 'e')),
		block(be, 5, uint32(0), uint64(0)), // statistics
	}, nil)
}

func TestSections(t *testing.T) {
	want := []got{
		{1, 1_600_000_000_000_000_001, 61, LinkEthernet, string(ethernet(61, 'a'))},
		{2, 1_001_000_976_562, 200, LinkRaw, string(ethernet(96, 'b'))},
		{4, 1_001_000_976_562, 70, LinkEthernet, string(ethernet(70, 'c'))},
		{5, 7_000_001_000, 62, LinkLinuxSLL2, string(ethernet(60, 'd'))},
		{6, 7_000_001_000, 90, LinkLinuxSLL2, string(ethernet(40, 'e'))},
	}
	wantStats := FileStats{
		Format: "pcapng", Frames: 5, Bytes: 61 + 200 + 70 + 62 + 90, First: 7_000_001_000, Last: 1_600_000_000_000_000_001,
		SnapLen: 262144, Cut: 3, Links: []LinkType{LinkEthernet, LinkRaw, LinkLinuxSLL2},
		Comments: []string{"first section", "odd\uFFFD one"}, Secrets: 1, Leaps: 1, LeapFrame: 2,
	}
	for _, n := range []int{1, 2, 64} {
		frames, st := readAll(t, bytes.NewReader(sections()), n)
		if !reflect.DeepEqual(frames, want) {
			t.Errorf("batches of %d: frames\n%v\nwant\n%v", n, frames, want)
		}
		if !reflect.DeepEqual(st, wantStats) {
			t.Errorf("batches of %d: statistics\n%+v\nwant\n%+v", n, st, wantStats)
		}
	}
}

// TestConcatenated reads captures that were put together with cat, of several formats,
// links and byte orders, one of them without frames.
func TestConcatenated(t *testing.T) {
	a, b, c := ethernet(60, 'a'), ethernet(100, 'b'), ethernet(70, 'c')
	file := slices.Concat(
		classic(binary.LittleEndian, magicMicro, 4, 65535, 1, record{1_600_000_000, 1, 0, a}, record{1_600_000_000, 2, 0, b}),
		classic(binary.LittleEndian, magicMicro, 4, 65535, 1),
		classic(binary.BigEndian, magicNano, 4, 65535, 1, record{1_600_000_001, 3, 0, c}),
		classic(binary.LittleEndian, magicModified, 4, 65535, 101, record{1_600_000_002, 4, 0, a[14:]}))
	want := []got{
		{1, 1_600_000_000_000_001_000, 60, LinkEthernet, string(a)},
		{2, 1_600_000_000_000_002_000, 100, LinkEthernet, string(b)},
		{3, 1_600_000_001_000_000_003, 70, LinkEthernet, string(c)},
		{4, 1_600_000_002_000_004_000, 46, LinkRaw, string(a[14:])},
	}
	for _, n := range []int{1, 2, 64} {
		frames, st := readAll(t, bytes.NewReader(file), n)
		if !reflect.DeepEqual(frames, want) {
			t.Errorf("batches of %d: frames\n%v\nwant\n%v", n, frames, want)
		}
		if st.Damage != nil || !slices.Equal(st.Links, []LinkType{LinkEthernet, LinkRaw}) {
			t.Errorf("batches of %d: statistics\n%+v", n, st)
		}
	}
}

// However the bytes arrive, the frames are the same.
func TestShortReads(t *testing.T) {
	for name, file := range samples() {
		want, wantStats := readAll(t, bytes.NewReader(file), 64)
		for how, in := range map[string]io.Reader{
			"a byte at a time":  iotest.OneByteReader(bytes.NewReader(file)),
			"half of it":        iotest.HalfReader(bytes.NewReader(file)),
			"end with the data": iotest.DataErrReader(bytes.NewReader(file)),
		} {
			frames, st := readAll(t, in, 64)
			if !reflect.DeepEqual(frames, want) || !reflect.DeepEqual(st, wantStats) {
				t.Errorf("%s, %s: differs from reading it whole", name, how)
			}
		}
	}
}

// samples are captures of a few frames.
func samples() map[string][]byte {
	records := []record{{1, 2, 0, ethernet(60, 'a')}, {1, 3, 0, ethernet(61, 'b')}, {2, 0, 99, ethernet(14, 'c')}}
	return map[string][]byte{
		"pcap":       classic(binary.LittleEndian, magicMicro, 4, 65535, 1, records...),
		"big-endian": classic(binary.BigEndian, magicNano, 4, 65535, 1, records...),
		"modified":   classic(binary.LittleEndian, magicModified, 4, 65535, 1, records...),
		"pcapng":     sections(),
		"snoop":      snoop(4, records...),
	}
}

// boundaries is where the records or blocks of a sample begin, and how many
// frames lie before each.
func boundaries(t *testing.T, file []byte) map[int]int {
	t.Helper()
	r, err := newReader(bytes.NewReader(file), blockSize)
	if err != nil {
		t.Fatal(err)
	}
	at := map[int]int{len(file): 0}
	switch {
	case r.pcapng:
		at[0] = 0
		for pos := 0; pos < len(file); {
			if binary.LittleEndian.Uint32(file[pos:]) == blockSection {
				r.sectionOrder(file[pos:])
			}
			pos += int(r.endian.u32(file[pos+4:]))
			at[pos] = 0
		}
	case r.snoop:
		for pos := snoopHeader; pos < len(file); {
			at[pos] = 0
			pos += int(binary.BigEndian.Uint32(file[pos+8:]))
		}
	default:
		for pos := classicHeader; pos < len(file); {
			at[pos] = 0
			pos += r.header + int(r.endian.u32(file[pos+8:]))
		}
	}
	for pos := range at {
		if pos >= 12 {
			frames, st := readAll(t, bytes.NewReader(file[:pos]), 1)
			if st.Damage != nil {
				t.Fatalf("cut between records at %d: %+v", pos, *st.Damage)
			}
			at[pos] = len(frames)
		}
	}
	return at
}

func TestTruncations(t *testing.T) {
	for name, file := range samples() {
		all, _ := readAll(t, bytes.NewReader(file), 64)
		whole := boundaries(t, file)
		last := 0 // the boundary at or before the cut
		for cut := range len(file) + 1 {
			if _, ok := whole[cut]; ok {
				last = cut
			}
			r, err := newReader(bytes.NewReader(file[:cut]), blockSize)
			switch {
			case cut == 0:
				if err != io.EOF {
					t.Errorf("%s: empty file: error %v, want EOF", name, err)
				}
				continue
			case cut < 4:
				if err != errNotCapture {
					t.Errorf("%s cut at %d: error %v, want that it is no capture", name, cut, err)
				}
				continue
			case err != nil:
				t.Errorf("%s cut at %d: %v", name, cut, err)
				continue
			}
			batch := make([]Packet, 64)
			n, err := r.Read(batch)
			if n == 0 && err != io.EOF || n > 0 && err != nil {
				t.Errorf("%s cut at %d: Read: %d, %v", name, cut, n, err)
			}
			if n != whole[last] {
				t.Errorf("%s cut at %d: %d frames, want %d", name, cut, n, whole[last])
			}
			if n, err := r.Read(batch); n != 0 || err != io.EOF {
				t.Errorf("%s cut at %d: second Read: %d, %v", name, cut, n, err)
			}
			d := r.stats.Damage
			if cut == last {
				if d != nil {
					t.Errorf("%s cut between records at %d: damage %+v", name, cut, *d)
				}
				continue
			}
			if d == nil || d.Offset != int64(last) {
				t.Errorf("%s cut at %d: damage %+v, want it at %d", name, cut, d, last)
				continue
			}
			if whole[last] > 0 && d.Frame < all[whole[last]-1].Number {
				t.Errorf("%s cut at %d: damage after frame %d, want %d", name, cut, d.Frame, all[whole[last]-1].Number)
			}
			if !strings.HasPrefix(d.Reason, "file ends inside ") || !strings.Contains(d.Reason, fmt.Sprintf(": %d of ", cut-last)) {
				t.Errorf("%s cut at %d: reason %q", name, cut, d.Reason)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	le := binary.LittleEndian
	good := record{1, 2, 0, ethernet(60, 'a')}
	pcap := func(snap, claim uint32) []byte {
		b := classic(le, magicMicro, 4, snap, 1, good, good)
		le.PutUint32(b[classicHeader+76+8:], claim)
		return b
	}
	begin := bytes.Join([][]byte{section(le), interfaceBlock(le, 1, 0), enhanced(le, 0, 1, 0, good.data)}, nil)
	ng := func(b []byte) []byte { return append(begin[:len(begin):len(begin)], b...) }
	patched := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		le.PutUint32(b[at:], v)
		return b
	}
	for _, tt := range []struct {
		name   string
		file   []byte
		offset int
		reason string
	}{
		{"absurd record", pcap(65535, 0xdeadbeef), 100, "packet record claims 3735928559 bytes"},
		{"absurd record, no snap length", pcap(0, maxCaptured+1), 100, "packet record claims 262145 bytes"},
		{"absurd record, snap length 4 GiB", pcap(math.MaxUint32, maxRecord+1), 100, "packet record claims 16777217 bytes"},
		{"large record", pcap(math.MaxUint32, maxRecord), 100, "file ends inside a packet record: 76 of 16777232 bytes"},
		{"cut record", pcap(0, 80)[:140], 100, "file ends inside a packet record: 40 of 96 bytes"},
		{"short block", ng(patched(enhanced(le, 0, 1, 0, nil), 4, 8)), 140, "block claims 8 bytes"},
		{"absurd block", ng(patched(enhanced(le, 0, 1, 0, nil), 4, 0xdeadbeef)), 140, "block claims 3735928559 bytes"},
		{"large block", ng(patched(enhanced(le, 0, 1, 0, nil), 4, maxRecord)), 140, "file ends inside a packet block: 32 of 16777216 bytes"},
		{"other trailer", ng(patched(enhanced(le, 0, 1, 0, nil), 28, 40)), 140, "block claims 32 bytes at its beginning and 40 at its end"},
		{"no such interface", ng(enhanced(le, 1, 1, 0, nil)), 140, "packet block names interface 1 of 1"},
		{"no interface", section(le), 28, ""},
		{"simple without interface", append(section(le), block(le, blockSimple, uint32(0))...), 28, "packet block before any interface description"},
		{"captured beyond block", ng(patched(enhanced(le, 0, 1, 0, good.data), 20, 61+3)), 140, "packet block of 92 bytes claims 64 captured bytes"},
		{"tiny packet block", ng(block(le, blockEnhanced, uint32(0))), 140, "packet block of 16 bytes is too short"},
		{"tiny obsolete block", ng(block(le, blockObsolete, uint32(0))), 140, "packet block of 16 bytes is too short"},
		{"tiny simple block", ng(block(le, blockSimple)), 140, "packet block of 12 bytes is too short"},
		{"tiny interface block", ng(block(le, blockInterface, uint32(0))), 140, "interface description block of 16 bytes is too short"},
		{"as many interfaces as there may be", ng(bytes.Repeat(interfaceBlock(le, 1, 0), maxInterfaces-1)), 0, ""},
		{"one more", ng(bytes.Repeat(interfaceBlock(le, 1, 0), maxInterfaces)), 140 + 20*(maxInterfaces-1), "section describes more than 65536 interfaces"},
		{"tiny section", ng(block(le, blockSection, uint32(byteOrderMagic))), 140, "section header block of 16 bytes is too short"},
		{"no byte order", ng(block(le, blockSection, uint64(0), uint64(0))), 140, "section header block has no byte-order magic: 00 00 00 00"},
		{"version 2", ng(patched(section(le), 12, 2)), 140, "section of pcapng version 2.0, which is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frames, st := readAll(t, bytes.NewReader(tt.file), 1)
			if tt.reason == "" {
				if st.Damage != nil {
					t.Errorf("damage %+v, want none", *st.Damage)
				}
				return
			}
			want := Damage{Frame: uint64(len(frames)), Offset: int64(tt.offset), Reason: tt.reason}
			if st.Damage == nil || *st.Damage != want {
				t.Errorf("damage %+v, want %+v", st.Damage, want)
			}
		})
	}
}

// A length that the file only claims costs no memory.
func TestClaimedLength(t *testing.T) {
	file := classic(binary.LittleEndian, magicMicro, 4, math.MaxUint32, 1, record{1, 2, 0, ethernet(60, 'a')})
	binary.LittleEndian.PutUint32(file[classicHeader+8:], maxRecord)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	readAll(t, bytes.NewReader(file), 1)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*blockSize {
		t.Errorf("%d bytes allocated for a file of %d", used, len(file))
	}
}

func TestRecordLargerThanBlock(t *testing.T) {
	big := ethernet(3*blockSize+5, 'x')
	small := ethernet(60, 'y')
	file := classic(binary.LittleEndian, magicMicro, 4, 4*blockSize, 1,
		record{1, 0, 0, small}, record{2, 0, 0, big}, record{3, 0, 0, small})
	frames, st := readAll(t, bytes.NewReader(file), 64)
	if len(frames) != 3 || frames[1].Data != string(big) || frames[2].Data != string(small) || st.Damage != nil {
		t.Errorf("%d frames, damage %+v", len(frames), st.Damage)
	}
}

func TestReadError(t *testing.T) {
	file := samples()["pcap"]
	in := io.MultiReader(bytes.NewReader(file[:110]), iotest.ErrReader(errors.New("input/output error")))
	frames, st := readAll(t, in, 64)
	want := Damage{1, 100, "input/output error, inside a packet record's header: 10 of 16 bytes"}
	if len(frames) != 1 || st.Damage == nil || *st.Damage != want {
		t.Errorf("%d frames, damage %+v", len(frames), st.Damage)
	}
}

// stuck is a reader that gives nothing and never ends.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReaderWithoutProgress(t *testing.T) {
	_, st := readAll(t, io.MultiReader(bytes.NewReader(samples()["pcap"]), stuck{}), 64)
	if st.Damage == nil || st.Damage.Frame != 3 {
		t.Errorf("damage %+v", st.Damage)
	}
}

func TestInterfaceTime(t *testing.T) {
	offsets := []int64{0, 1, -1, 1e9, -1e10, math.MaxInt64, math.MinInt64}
	units := []uint64{0, 1, 999, 1 << 31, 1_600_000_000_123_456, 1_600_000_000_123_456_789, 1 << 63, math.MaxUint64}
	most := big.NewInt(math.MaxInt64)
	for resolution := range 256 {
		for _, offset := range offsets {
			for _, u := range units {
				f := iface{resolution: uint8(resolution), offset: offset}
				base, exponent := int64(10), int64(resolution&0x7f)
				if resolution >= 0x80 {
					base = 2
				}
				unit := new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil)
				want := new(big.Int).Mul(new(big.Int).SetUint64(u), big.NewInt(1e9))
				want.Div(want, unit)
				want.Add(want, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
				if want.Sign() < 0 {
					want.SetInt64(0)
				}
				got := f.time(u)
				// In the last second that int64 holds, the limit may be told.
				if late := new(big.Int).Sub(most, want); late.Cmp(big.NewInt(1e9)) <= 0 {
					if got < math.MaxInt64-1e9 {
						t.Fatalf("resolution %#x, offset %d, %d units: %d, want the latest time", resolution, offset, u, got)
					}
				} else if got != want.Int64() {
					t.Fatalf("resolution %#x, offset %d, %d units: %d, want %v", resolution, offset, u, got, want)
				}
			}
		}
	}
}

// repeat is a capture of about size bytes.
func repeat(format string, size int) []byte {
	le := binary.LittleEndian
	var file, frame []byte
	if format == "pcap" {
		file = classic(le, magicMicro, 4, 65535, 1)
		frame = classic(le, magicMicro, 4, 65535, 1, record{1_600_000_000, 5, 0, ethernet(74, 'a')})[classicHeader:]
	} else {
		file = append(section(le), interfaceBlock(le, 1, 0)...)
		frame = enhanced(le, 0, 1_600_000_000_000_005, 0, ethernet(74, 'a'))
	}
	for len(file) < size {
		file = append(file, frame...)
	}
	return file
}

func TestReadAllocates(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		r, err := newReader(bytes.NewReader(repeat(format, 64<<20)), blockSize)
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]Packet, 64)
		r.Read(batch)
		n := testing.AllocsPerRun(2000, func() {
			if n, err := r.Read(batch); n == 0 {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations per batch", format, n)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range samples() {
		f.Add(file)
		f.Add(file[:len(file)-3])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := newReader(bytes.NewReader(file), 4<<10)
		if err != nil {
			return
		}
		batch := make([]Packet, 3)
		frames := uint64(0)
		for {
			n, err := r.Read(batch)
			for _, p := range batch[:n] {
				frames++
				if p.WireLen < len(p.Data) || p.Time < 0 || p.Frame.Number() == 0 {
					t.Fatalf("frame %+v", p)
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("Read: %d, %v", n, err)
			}
		}
		if frames != r.stats.Frames || frames > uint64(len(file)) {
			t.Fatalf("%d frames of a file of %d bytes, statistics say %d", frames, len(file), r.stats.Frames)
		}
		if d := r.stats.Damage; d != nil && (d.Offset < 0 || d.Offset > int64(len(file)) || d.Frame < frames) {
			t.Fatalf("damage %+v in a file of %d bytes with %d frames", *d, len(file), frames)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+uint64(20*len(file)) {
			t.Fatalf("%d bytes allocated for a file of %d", used, len(file))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, format := range []string{"pcap", "pcapng"} {
		file := repeat(format, 32<<20)
		b.Run(format, func(b *testing.B) {
			batch := make([]Packet, 64)
			frames := 0
			for b.Loop() {
				r, err := newReader(bytes.NewReader(file), blockSize)
				if err != nil {
					b.Fatal(err)
				}
				for {
					n, err := r.Read(batch)
					frames += n
					if err == io.EOF {
						break
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
			b.ReportMetric(0, "ns/op")
		})
	}
}
