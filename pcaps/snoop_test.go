package pcaps

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// snoop writes a capture in the format of RFC 1761, each record padded to four
// bytes.
func snoop(dataLink uint32, records ...record) []byte {
	be := binary.BigEndian
	b := be.AppendUint32([]byte(snoopMagic), snoopVersion)
	b = be.AppendUint32(b, dataLink)
	for _, r := range records {
		size := uint32(len(r.data))
		padding := -len(r.data) & 3
		for _, v := range []uint32{max(r.wire, size), size, snoopRecord + size + uint32(padding), 7, r.sec, r.frac} {
			b = be.AppendUint32(b, v)
		}
		b = append(append(b, r.data...), make([]byte, padding)...)
	}
	return b
}

func TestSnoop(t *testing.T) {
	a, b := ethernet(61, 'a'), ethernet(100, 'b')
	for dataLink, link := range map[uint32]LinkType{0: LinkEthernet, 4: LinkEthernet, 2: LinkTokenRing, 8: LinkFDDI, 5: LinkUnknown} {
		file := snoop(dataLink, record{800_000_000, 999_999, 0, a}, record{800_000_001, 5, 1500, b})
		frames, st := readAll(t, bytes.NewReader(file), 64)
		want := []got{
			{1, 800_000_000_999_999_000, 61, link, string(a)},
			{2, 800_000_001_000_005_000, 1500, link, string(b)},
		}
		if !reflect.DeepEqual(frames, want) {
			t.Errorf("data link %d: frames\n%v\nwant\n%v", dataLink, frames, want)
		}
		wantStats := FileStats{Format: "snoop", Frames: 2, Bytes: 61 + 1500, First: want[0].Time, Last: want[1].Time,
			Cut: 1, Links: []LinkType{link}}
		if !reflect.DeepEqual(st, wantStats) {
			t.Errorf("data link %d: statistics\n%+v\nwant\n%+v", dataLink, st, wantStats)
		}
	}
}

func TestSnoopDamage(t *testing.T) {
	const second = snoopHeader + snoopRecord + 60
	for _, tt := range []struct {
		name   string
		field  int // of the second record's header
		claim  uint32
		reason string
	}{
		{"absurd record", 8, 0xdeadbeef, "packet record claims 3735928559 bytes"},
		{"large record", 8, maxRecord, "file ends inside a packet record: 84 of 16777216 bytes"},
		{"record without room for its header", 8, 20, "packet record of 20 bytes claims 60 captured bytes"},
		{"captured beyond the record", 4, 61, "packet record of 84 bytes claims 61 captured bytes"},
		{"absurd captured length", 4, 0xffffffff, "packet record of 84 bytes claims 4294967295 captured bytes"},
	} {
		file := snoop(4, record{1, 2, 0, ethernet(60, 'a')}, record{1, 3, 0, ethernet(60, 'b')})
		binary.BigEndian.PutUint32(file[second+tt.field:], tt.claim)
		frames, st := readAll(t, bytes.NewReader(file), 64)
		want := Damage{Frame: 1, Offset: second, Reason: tt.reason}
		if len(frames) != 1 || st.Damage == nil || *st.Damage != want {
			t.Errorf("%s: %d frames, damage %+v, want %+v", tt.name, len(frames), st.Damage, want)
		}
	}
}
