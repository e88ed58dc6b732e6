package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wirechart/pcaps"
	"wirechart/report"
)

// remade is a capture with its packets changed, or left out where change says
// false.
func remade(t *testing.T, capture string, change func(n int, p *pcaps.Packet) bool) string {
	t.Helper()
	src, err := pcaps.Open([]string{capture}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	path := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(capture), ".pcap.gz")+".pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcaps.NewWriter(f, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var batch [1]pcaps.Packet
	for n := 0; ; n++ {
		if _, err := src.Read(batch[:]); errors.Is(err, io.EOF) {
			return path
		} else if err != nil {
			t.Fatal(err)
		}
		p := batch[0]
		p.Data = bytes.Clone(p.Data)
		if !change(n, &p) {
			continue
		}
		if err := w.Write(&p); err != nil {
			t.Fatal(err)
		}
	}
}

// from4 says whether an Ethernet frame has IPv4 from an address.
func from4(p *pcaps.Packet, a, b, c, d byte) bool {
	return len(p.Data) >= 34 && p.Data[12] == 8 && p.Data[13] == 0 && bytes.Equal(p.Data[26:30], []byte{a, b, c, d})
}

func TestCompareWrongOrder(t *testing.T) {
	t.Chdir("../..")
	doc := compared(t, exitFindings, firewallOutside, firewallInside)
	want := map[string]string{}
	for key, fate := range firewallFates {
		base, outside := strings.CutSuffix(key, " outside")
		if !outside && fate != "elsewhere" {
			base += " outside"
		}
		want[base] = fate
	}
	holdFates(t, fatesOf(doc), want)
	if !strings.Contains(strings.Join(doc.Notes, "\n"), "wrong way round") {
		t.Errorf("that the names may be exchanged is not said: %q", doc.Notes)
	}
	if c := doc.Clock; c.Offset > -0.0099 || c.Offset < -0.0105 {
		t.Errorf("clock %+v", c)
	}
}

func TestCompareSame(t *testing.T) {
	t.Chdir("../..")
	doc := compared(t, exitUndecided, firewallInside, firewallInside)
	if doc.Result != report.Undecided || !strings.Contains(doc.Summary, "the same") || doc.Fates["crossed"] != 0 {
		t.Errorf("%s: %s, %v", doc.Result, doc.Summary, doc.Fates)
	}
}

func TestCompareNothingInCommon(t *testing.T) {
	t.Chdir("../..")
	early := remade(t, firewallInside, func(n int, _ *pcaps.Packet) bool { return n < 40 })
	late := remade(t, firewallOutside, func(n int, _ *pcaps.Packet) bool { return n > 280 })
	for _, c := range []struct{ inside, outside, says string }{
		{early, late, "do not overlap in time"},
		{"pcaps/samples/site.pcapng", firewallOutside, "do not overlap in time"},
		{firewallInside, remade(t, firewallOutside, func(int, *pcaps.Packet) bool { return false }), "no frames"},
	} {
		doc := compared(t, exitUndecided, c.inside, c.outside)
		if doc.Result != report.Undecided || !strings.Contains(doc.Summary, c.says) {
			t.Errorf("%s: %s: %s", c.inside, doc.Result, doc.Summary)
		}
	}
}

// TestCompareClocks sets the clock outside hours and days away and lets it run
// too fast.
func TestCompareClocks(t *testing.T) {
	t.Chdir("../..")
	const ppm = 200
	var first int64
	for _, seconds := range []int64{-86400 * 30, -3 * 3600, 7, 3 * 3600} {
		for _, drift := range []int64{0, ppm} {
			outside := remade(t, firewallOutside, func(n int, p *pcaps.Packet) bool {
				if n == 0 {
					first = p.Time
				}
				p.Time += seconds*1e9 + (p.Time-first)/1e6*drift
				return true
			})
			doc := compared(t, exitFindings, firewallInside, outside)
			holdFates(t, fatesOf(doc), firewallFates)
			// In the middle the drift has added half of what it adds in all.
			if off := doc.Clock.Offset - float64(seconds); !doc.Clock.Known || off < -0.001 || off > 0.04 {
				t.Errorf("%d s and %d ppm ahead: %+v", seconds, drift, doc.Clock)
			}
			if d := doc.Clock.Drift; drift == 0 && d != 0 {
				t.Errorf("a drift of %g ppm where there is none", d)
			}
		}
	}
}

func TestCompareCut(t *testing.T) {
	t.Chdir("../..")
	whole, err := os.ReadFile(remade(t, firewallOutside, func(int, *pcaps.Packet) bool { return true }))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.pcapng")
	if err := os.WriteFile(cut, whole[:len(whole)/2-1], 0o600); err != nil {
		t.Fatal(err)
	}
	doc := compared(t, exitFindings, firewallInside, cut)
	got := fatesOf(doc)
	later := 0
	for key, fate := range got {
		switch fate {
		case firewallFates[key], "crossed", "crossed unanswered": // the rest of it was not seen
		case "not_compared":
			later++
		default:
			t.Errorf("%s: %q, want %q or less", key, fate, firewallFates[key])
		}
	}
	if later == 0 || doc.Fates["crossed"] == 0 || doc.Fates["dropped"] == 0 {
		t.Errorf("%d flows not compared, %v", later, doc.Fates)
	}
	if !strings.Contains(strings.Join(doc.Notes, "\n"), "damaged") {
		t.Errorf("%q", doc.Notes)
	}
}

// between says whether a fate is the firewall's doing.
func between(fate string) bool {
	word, _, _ := strings.Cut(fate, " ")
	return !slices.Contains([]string{"crossed", "undecided", "answered", "elsewhere", "not_compared"}, word)
}

// TestCompareOneDirection leaves out what went the one way at one of the places.
// What then cannot be known may not be claimed: that something between did it
// where nothing did, or that a flow crossed that did not.
func TestCompareOneDirection(t *testing.T) {
	t.Chdir("../..")
	// The reset or the ICMP error went the way that was not recorded.
	weaker := map[string]string{
		"tcp 192.0.2.10:8004": "dropped to_server", "tcp 192.0.2.10:8005": "dropped to_server", "udp 192.0.2.10:5304": "dropped to_server",
	}
	for side := range 2 {
		for _, keep := range []bool{false, true} { // what came from the hosts outside
			captures := []string{firewallInside, firewallOutside}
			captures[side] = remade(t, captures[side], func(_ int, p *pcaps.Packet) bool {
				from := from4(p, 192, 0, 2, 10) || from4(p, 192, 0, 2, 13) || from4(p, 192, 0, 2, 14)
				if len(p.Data) > 38 && p.Data[12] == 0x86 {
					from = p.Data[27] == 2 // 2001:db8:2::/48
				}
				return from == keep
			})
			doc := compared(t, exitFindings, captures...)
			right := 0
			for key, fate := range fatesOf(doc) {
				want, known := firewallFates[key]
				switch {
				case !known: // the answers of a flow whose requests are missing
					if between(fate) || fate == "crossed" {
						t.Errorf("side %d, from outside kept %t: %s: %q", side, keep, key, fate)
					}
				case fate == want:
					right++
				case strings.Contains(key, ":8016"): // of the proxy's connection one direction is left as well
				case between(fate) && (!between(want) || fate != weaker[key] && !strings.Contains(key, ":8008")),
					strings.HasPrefix(fate, "crossed") && !strings.Contains(fate, "one_direction") && between(want):
					t.Errorf("side %d, from outside kept %t: %s: %q, otherwise %q", side, keep, key, fate, want)
				}
			}
			if right == 0 || !strings.Contains(strings.Join(doc.Notes, "\n"), "made in one direction") {
				t.Errorf("side %d, from outside kept %t: %d fates are told, %q", side, keep, right, doc.Notes)
			}
		}
	}
}

// TestCompareWrapped tags the frames of one side, and wraps them in a tunnel.
func TestCompareWrapped(t *testing.T) {
	t.Chdir("../..")
	tagged := func(_ int, p *pcaps.Packet) bool {
		p.Data = append(append(bytes.Clone(p.Data[:12]), 0x81, 0, 0, 42), p.Data[12:]...)
		p.WireLen += 4
		return true
	}
	vxlan := func(_ int, p *pcaps.Packet) bool {
		inner := len(p.Data)
		h := append([]byte{}, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0)
		h = binary.BigEndian.AppendUint16(h, uint16(20+8+8+inner))
		h = append(h, 0, 1, 0, 0, 64, 17, 0, 0, 203, 0, 113, 1, 203, 0, 113, 2, 0x30, 0, 0x12, 0xb5)
		h = binary.BigEndian.AppendUint16(h, uint16(8+8+inner))
		h = append(h, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0)
		p.Data = append(h, p.Data...)
		p.WireLen += len(h)
		return true
	}
	for name, change := range map[string]func(int, *pcaps.Packet) bool{"vlan": tagged, "vxlan": vxlan} {
		for side := range 2 {
			captures := []string{firewallInside, firewallOutside}
			captures[side] = remade(t, captures[side], change)
			doc := compared(t, exitFindings, captures...)
			t.Run(name, func(t *testing.T) { holdFates(t, fatesOf(doc), firewallFates) })
		}
	}
}

// TestCompareLossy takes packets out of one capture: none of what is missing is
// held against the firewall.
func TestCompareLossy(t *testing.T) {
	t.Chdir("../..")
	for side := range 2 {
		for _, every := range []int{3, 7, 20} {
			captures := []string{firewallInside, firewallOutside}
			captures[side] = remade(t, captures[side], func(n int, _ *pcaps.Packet) bool { return (n*2654435761>>8)%every != 0 })
			doc := compared(t, exitFindings, captures...)
			for key, fate := range fatesOf(doc) {
				want := firewallFates[key]
				if key == "tcp 192.0.2.10:8012" && strings.HasPrefix(fate, "cut") {
					continue // without its smallest packet it is not known to be a matter of size
				}
				if fate != want && between(fate) {
					t.Errorf("side %d without every %dth: %s: %q, want %q", side, every, key, fate, want)
				}
			}
			rate := []float64{doc.Inside.LossRate, doc.Outside.LossRate}
			if math.Abs(rate[side]-1/float64(every)) > 0.15 || rate[1-side] > 0.02 {
				t.Errorf("side %d without every %dth: loss rates %.3f", side, every, rate)
			}
		}
	}
}

// TestCompareLearned has the capture outside lack an acknowledgement of a client that
// was told to send smaller packets, and did: that says nothing about the path.
func TestCompareLearned(t *testing.T) {
	t.Chdir("../..")
	const ack = 209 // packets before it; from the client that learned, without data
	outside := remade(t, firewallOutside, func(n int, _ *pcaps.Packet) bool { return n != ack })
	const flow = "tcp 192.0.2.13:8013"
	got := fatesOf(compared(t, exitFindings, firewallInside, outside))
	if got[flow] != firewallFates[flow] {
		t.Errorf("%s: %q, want %q", flow, got[flow], firewallFates[flow])
	}
}
