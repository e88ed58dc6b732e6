package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wirechart/report"
)

// firewallTruth is what firewall.sh made of the flows to each port: it is the
// ruleset of a real firewall, written down.
var firewallTruth = map[string]struct {
	fate    report.Fate
	by      string // who reset it
	rewrote string
	delayed bool
}{
	"tcp 8001":  {fate: report.FateCrossed},
	"tcp 8002":  {fate: report.FateDropped},
	"tcp 8003":  {fate: report.FateRejected, by: "between"},
	"tcp 8004":  {fate: report.FateRejected},
	"tcp 8005":  {fate: report.FateCrossed, by: "server"},
	"tcp 8006":  {fate: report.FateCrossed, delayed: true},
	"tcp 8007":  {fate: report.FateAnswers},
	"tcp 8008":  {fate: report.FateMidway},
	"tcp 8009":  {fate: report.FateReset, by: "between"},
	"tcp 8010":  {fate: report.FateCrossed, rewrote: "source"},
	"tcp 8011":  {fate: report.FateCrossed, rewrote: "destination"},
	"udp 9001":  {fate: report.FateCrossed, rewrote: "source"},
	"udp 9002":  {fate: report.FateDropped},
	"icmp echo": {fate: report.FateCrossed},
}

// tells holds a comparison against the truth.
func tells(t *testing.T, from, inside, outside string, more ...string) *report.CompareDoc {
	t.Helper()
	status, stdout, stderr := wirechart(t, append([]string{"compare", "-o", "json", inside, outside}, more...)...)
	if status != exitFindings {
		t.Fatalf("status %d, %s", status, stderr)
	}
	d := new(report.CompareDoc)
	if err := json.Unmarshal([]byte(stdout), d); err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, "compare").Validate(doc); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, x := range d.Flows {
		name := x.Proto + " " + x.Server[strings.LastIndexByte(x.Server, ':')+1:]
		if x.Proto == "icmp" {
			name = "icmp echo"
		}
		seen[name] = true
		want := firewallTruth[name]
		rewrote, _, _ := strings.Cut(strings.Join(x.Rewrites, ", "), " ")
		if x.Fate != want.fate || x.ResetBy != want.by && want.fate != report.FateMidway || rewrote != want.rewrote || x.Delayed != want.delayed || x.From != from {
			t.Errorf("%s: %s, reset by %q, rewritten %q, delayed %t, from %s; want %+v", name, x.Fate, x.ResetBy, x.Rewrites, x.Delayed, x.From, want)
		}
	}
	if len(seen) != len(firewallTruth) || len(d.Flows) != len(firewallTruth) {
		t.Errorf("%d flows of %d kinds, want %d", len(d.Flows), len(seen), len(firewallTruth))
	}
	return d
}

// later is a pcap whose clock is ahead.
func later(t *testing.T, path string, seconds uint32) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 24; at+16 <= len(b); at += 16 + int(binary.LittleEndian.Uint32(b[at+8:])) {
		binary.LittleEndian.PutUint32(b[at:], binary.LittleEndian.Uint32(b[at:])+seconds)
	}
	out := filepath.Join(t.TempDir(), "later.pcap")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCompare tells the fate of every flow through a real firewall, whose rules
// are known; the other way round as well, and with a clock that is wrong.
func TestCompare(t *testing.T) {
	inside, outside := samples+"firewall-inside.pcap", samples+"firewall-outside.pcap"
	d := tells(t, "inside", inside, outside)
	if c := d.Clock; c.Offset < -1 || c.Offset > 1 || c.RoundTrip < 0 || c.RoundTrip > 2 || c.Outward < 10 || c.Inward < 10 {
		t.Errorf("%+v", c)
	}
	tells(t, "outside", outside, inside)
	d = tells(t, "inside", inside, later(t, outside, 3600))
	if c := d.Clock; c.Offset < 3_599_999 || c.Offset > 3_600_001 {
		t.Errorf("%+v", c)
	}
	for _, x := range d.Flows {
		if x.Delayed && (*x.Added < 30 || *x.Added > 60) {
			t.Errorf("%.1f ms were added to what was held back for 30", *x.Added)
		}
	}
	tells(t, "inside", inside, outside, "--clock-offset", "0s")
	if status, stdout, _ := wirechart(t, "compare", inside, inside); status != exitConforms || !strings.Contains(stdout, "14 crossed") {
		t.Errorf("a capture and itself: status %d\n%s", status, stdout)
	}
	t.Run("golden", func(t *testing.T) {
		t.Chdir("../..")
		t.Setenv("COLUMNS", "100")
		golden(t, "pcaps/samples/firewall.compare.want", "compare", "--color", "never", "pcaps/samples/firewall-inside.pcap", "pcaps/samples/firewall-outside.pcap")
		for _, format := range []string{"json", "markdown"} {
			first := written("compare", "-o", format, "pcaps/samples/firewall-inside.pcap", "pcaps/samples/firewall-outside.pcap")
			if again := written("compare", "-o", format, "pcaps/samples/firewall-inside.pcap", "pcaps/samples/firewall-outside.pcap"); first == "" || first != again {
				t.Error(format + " differs from one run to the next, or is empty")
			}
		}
	})
}

// TestRecordedAgain records such a pair anew: other ports, other sequence numbers,
// the same fates.
func TestRecordedAgain(t *testing.T) {
	needs(t, "nft", "tcpdump", "python3", "bash")
	dir := t.TempDir()
	run(t, "bash", "../../pcaps/samples/gen/firewall.sh", dir)
	tells(t, "inside", filepath.Join(dir, "firewall-inside.pcap"), filepath.Join(dir, "firewall-outside.pcap"))
}
