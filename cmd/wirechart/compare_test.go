package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"wirechart/report"
)

// firewallFates is what pcaps/samples/gen/firewall.sh makes become of each
// flow, by what its client addresses: fate, reason, directions in which it
// failed, and what is rewritten.
var firewallFates = map[string]string{
	"tcp 192.0.2.10:8001":        "crossed",
	"tcp 192.0.2.10:8002":        "crossed client",
	"tcp 192.0.2.10:8003":        "dropped to_server",
	"tcp 192.0.2.10:8004":        "rejected to_server",
	"tcp 192.0.2.10:8005":        "rejected to_server icmp 3/13 10.1.0.1",
	"tcp 192.0.2.10:8006":        "dropped to_client",
	"tcp 192.0.2.10:8007":        "cut to_server",
	"tcp 192.0.2.10:8008":        "reset to_server",
	"tcp 192.0.2.10:8009":        "crossed refused by server",
	"tcp 192.0.2.10:8010":        "crossed unanswered",
	"tcp 192.0.2.10:8011":        "lossy to_server",
	"tcp 192.0.2.10:8012":        "too_large to_server",
	"tcp 192.0.2.13:8013":        "crossed path_mtu icmp 3/4 10.1.0.1",
	"tcp 192.0.2.14:8014":        "too_large to_server icmp 3/4 10.1.0.1",
	"tcp 192.0.2.10:8015":        "crossed reset by server",
	"tcp 192.0.2.10:8016":        "answered",
	"tcp 192.0.2.10:8017":        "crossed delayed",
	"tcp 10.1.0.1:22":            "answered",
	"udp 192.0.2.10:5301":        "crossed",
	"udp 192.0.2.10:5302":        "crossed client",
	"udp 192.0.2.10:5303":        "dropped to_server",
	"udp 192.0.2.10:5304":        "rejected to_server icmp 3/3 10.1.0.1",
	"udp 192.0.2.10:5305":        "crossed refused by server icmp 3/3 192.0.2.10",
	"udp 192.0.2.10:5306":        "dropped to_client",
	"udp 192.0.2.10:5307":        "crossed unanswered",
	"icmp 192.0.2.10":            "crossed",
	"icmp 192.0.2.20":            "dropped to_server",
	"tcp [2001:db8:2::10]:8001":  "crossed",
	"tcp [2001:db8:2::10]:8003":  "dropped to_server",
	"udp [2001:db8:2::10]:5301":  "crossed",
	"tcp 192.0.2.1:8080 outside": "crossed server",
	"tcp 10.1.0.2:8081 outside":  "dropped to_server",
	"tcp 10.1.0.2:8082 outside":  "crossed refused by server",
	"tcp 192.0.2.10:8016 beyond": "elsewhere", // what the proxy on the firewall sends
}

// fatesOf are the fates in a comparison, as firewallFates has them.
func fatesOf(d *report.CompareDoc) map[string]string {
	fates := map[string]string{}
	for _, f := range d.Flows {
		seen := f.Inside
		if seen == nil || f.ClientSide == "outside" && f.Outside != nil {
			seen = f.Outside
		}
		key := f.Proto + " " + seen.Server
		if f.ClientSide == "outside" {
			key += " outside"
		}
		words := []string{f.Fate}
		if f.Fate == "elsewhere" {
			key = f.Proto + " " + seen.Server + " beyond"
		}
		if f.Reason != "" {
			words = append(words, f.Reason)
		}
		if f.By != "" && f.By != "between" {
			words = append(words, "by", f.By)
		}
		words = append(words, f.Directions...)
		words = append(words, f.Rewritten...)
		if i := f.ICMP; i != nil {
			words = append(words, "icmp", fmt.Sprintf("%d/%d", i.Type, i.Code), i.From)
		}
		fate := strings.Join(words, " ")
		if old, ok := fates[key]; ok && old != fate {
			fate = old + "; " + fate
		}
		fates[key] = fate
	}
	return fates
}

// compared runs compare and reads what it says.
func compared(t *testing.T, status int, args ...string) *report.CompareDoc {
	t.Helper()
	got, stdout, stderr := wirechart(t, slices.Concat([]string{"compare", "-o", "json", "-q", "--delay", "200ms"}, args)...)
	if got != status || stderr != "" {
		t.Fatalf("compare %v: status %d, want %d: %s%.2000s", args, got, status, stderr, stdout)
	}
	doc := new(report.CompareDoc)
	if err := json.Unmarshal([]byte(stdout), doc); err != nil {
		t.Fatal(err)
	}
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(stdout))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, "compare").Validate(raw); err != nil {
		t.Error(err)
	}
	return doc
}

func holdFates(t *testing.T, got, want map[string]string) {
	t.Helper()
	for key, fate := range want {
		if got[key] != fate {
			t.Errorf("%s: %q, want %q", key, got[key], fate)
		}
	}
	for key, fate := range got {
		if want[key] == "" {
			t.Errorf("%s: %q, which nobody sent", key, fate)
		}
	}
}

const firewallInside, firewallOutside = "pcaps/samples/firewall-inside.pcap.gz", "pcaps/samples/firewall-outside.pcap.gz"

// TestSamplesCompare holds the recorded pair against what the firewall did, and
// the report for people against its file.
func TestSamplesCompare(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("COLUMNS", "80")
	golden(t, "pcaps/samples/firewall.compare.want", "compare", "--color", "never", firewallInside, firewallOutside)
	doc := compared(t, exitFindings, firewallInside, firewallOutside)
	holdFates(t, fatesOf(doc), firewallFates)
	// The line takes 20 ms out and nothing back; no clock can tell that from
	// 10 ms each way, but the sum is certain.
	if c := doc.Clock; !c.Known || c.RoundTrip < 20 || c.RoundTrip > 21 || c.Error < 0.010 || c.Error > 0.0105 || c.Offset-c.Error > 0.0001 || c.Offset+c.Error < 0.0199 {
		t.Errorf("clock %+v", c)
	}
	// One who knows that both have one clock has it told.
	doc = compared(t, exitFindings, "--clock-offset", "0s", firewallInside, firewallOutside)
	if out, in := doc.Delay.Out, doc.Delay.In; out.Min < 19.9 || out.Min > 21 || in.Min < -0.1 || in.Median > 2 {
		t.Errorf("out %+v, in %+v", out, in)
	}
	for _, f := range doc.Flows {
		if late := f.Reason == "delayed"; late != (f.Inside != nil && strings.HasSuffix(f.Inside.Server, ":8017")) || late && (f.Delayed < 250 || f.Delayed > 400) {
			t.Errorf("%s > %s: %s, delayed by %.1f ms", f.Inside.Client, f.Inside.Server, f.Reason, f.Delayed)
		}
	}
	for _, format := range report.All() {
		if !format.Writes(report.OfCompare) {
			continue
		}
		args := []string{"compare", "-o", format.Name, firewallInside, firewallOutside}
		if first, second := written(args...), written(args...); first == "" || first != second {
			t.Errorf("compare -o %s is empty, or differs from one run to the next", format.Name)
		}
	}
}

// TestCompareFirewall builds the firewall, sends traffic through it and holds
// the program against what its rules do.
func TestCompareFirewall(t *testing.T) {
	needs(t, "bash", "nft", "tcpdump", "ping", "python3", "gzip")
	dir := t.TempDir()
	run(t, "bash", "../../pcaps/samples/gen/firewall.sh", dir)
	doc := compared(t, exitFindings, filepath.Join(dir, "firewall-inside.pcap.gz"), filepath.Join(dir, "firewall-outside.pcap.gz"))
	holdFates(t, fatesOf(doc), firewallFates)
}
