package pcaps

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWriter reads back what was written, with this package's reader and,
// where it is installed, with tshark.
func TestWriter(t *testing.T) {
	ethernet := slices.Concat(bytes.Repeat([]byte{2}, 12), []byte{8, 6}, make([]byte, 28)) // ARP, of zeros
	packets := []Packet{
		{Time: 1764000000123456789, Data: ethernet, WireLen: len(ethernet), Link: LinkEthernet},
		{Time: 1764000000123456790, Data: ethernet[:33], WireLen: 1514, Link: LinkEthernet},
		{Time: 1764000001000000000, Data: []byte{0x45, 0, 0, 21}, WireLen: 21, Link: LinkRaw},
		{Time: 1764000002000000000, Data: nil, WireLen: 60, Link: LinkEthernet},
	}
	comments := []string{"the first", "snapped, été", "", "of no bytes"}
	name := filepath.Join(t.TempDir(), "written.pcapng")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, "wirechart", "what it holds")
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.Write(&packets[i], comments[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	src, err := Open([]string{name}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var got []Packet
	batch := make([]Packet, 8)
	for {
		n, err := src.Read(batch)
		for _, p := range batch[:n] {
			p.Data = slices.Clone(p.Data)
			got = append(got, p)
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != len(packets) {
		t.Fatalf("%d packets read, %d written", len(got), len(packets))
	}
	for i, p := range got {
		if want := packets[i]; p.Time != want.Time || p.WireLen != want.WireLen || p.Link != want.Link || !bytes.Equal(p.Data, want.Data) || p.Frame.Number() != uint64(i+1) {
			t.Errorf("packet %d: read %+v, wrote %+v", i, p, want)
		}
	}
	stats := src.Stats().Files[0]
	if stats.Damage != nil || stats.Format != "pcapng" || stats.Cut != 3 {
		t.Errorf("%+v", stats)
	}
	if want := []string{"what it holds", "the first", "snapped, été", "of no bytes"}; !slices.Equal(stats.Comments, want) {
		t.Errorf("comments %q, want %q", stats.Comments, want)
	}

	tshark, err := exec.LookPath("tshark")
	if err != nil {
		return
	}
	out, err := exec.Command(tshark, "-r", name, "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.comment").CombinedOutput()
	want := "1\t1764000000.123456789\t42\t42\tthe first\n2\t1764000000.123456790\t1514\t33\tsnapped, été\n3\t1764000001.000000000\t21\t4\t\n4\t1764000002.000000000\t60\t0\tof no bytes\n"
	if got := string(out); err != nil || !strings.HasSuffix(got, want) {
		t.Errorf("tshark: %v\n%s\nwant\n%s", err, got, want)
	}
}
