package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// told is the records that flows writes, without what hangs on the place of a
// flow in its capture and on the other flows.
func told(t *testing.T, args ...string) []string {
	t.Helper()
	status, stdout, stderr := wirechart(t, append([]string{"flows", "-q", "-o", "jsonl"}, args...)...)
	if status != exitConforms || stderr != "" {
		t.Fatalf("flows %v: status %d: %s", args, status, stderr)
	}
	var list []string
	for line := range strings.Lines(stdout) {
		var r struct {
			Start, End, Proto, App, Ended string
			Community                     string `json:"community_id"`
			Packets, Bytes, Duplicates    [2]int
			ICMP                          any
			TLS                           map[string]any
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%+v", r))
	}
	return list
}

// TestSelection holds what flows chooses against all that it tells, and the
// flows of the capture that it writes against those chosen.
func TestSelection(t *testing.T) {
	t.Chdir("../..")
	chose := map[string]int{}
	for _, capture := range []string{"pcaps/samples/site-violations.pcapng", "pcaps/samples/vxlan.pcapng", "pcaps/samples/files.pcapng", "pcaps/samples/firewall-inside.pcap.gz"} {
		all := told(t, capture)
		chose["all"] += len(all)
		var parts int
		for _, verdict := range strings.Split("violation undocumented blocked indeterminate documented ambient out_of_scope", " ") {
			parts += len(told(t, capture, "--verdict", verdict))
		}
		if len(all) == 0 || parts != len(all) {
			t.Errorf("%s: %d flows, and %d of all verdicts", capture, len(all), parts)
		}
		for _, chosen := range []string{"--host 0.0.0.0/0 --host ::/0", "--app tls,smb", "--verdict violation,blocked,out_of_scope", "--host management-server --app zmtp", "--edge agent-backup,agent-rest"} {
			out := filepath.Join(t.TempDir(), "chosen.pcapng")
			want := told(t, append(strings.Fields(chosen), "-w", out, capture)...)
			chose[chosen] += len(want)
			got := told(t, out)
			for _, flow := range want {
				if !slices.Contains(got, flow) {
					t.Errorf("%s %s: not written, or not all of it: %s", capture, chosen, flow)
				}
			}
			for _, flow := range got {
				// An ICMP error belongs to the flow that it is about, and is one of its own.
				if !slices.Contains(want, flow) && !strings.Contains(flow, "Proto:icmp") {
					t.Errorf("%s %s: written, and not chosen: %s", capture, chosen, flow)
				}
			}
		}
	}
	for chosen, n := range chose {
		if everything := chosen == "all" || strings.Contains(chosen, "::/0"); n == 0 || everything != (n == chose["all"]) {
			t.Errorf("%s: %d flows of %d", chosen, n, chose["all"])
		}
	}
}

// TestSelectionOfFilesRead has a capture come to the directory between the two
// readings: the second one is of what the first one read.
func TestSelectionOfFilesRead(t *testing.T) {
	dir := t.TempDir()
	capture, err := os.ReadFile(samples + "site.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.pcapng"), capture, 0o600); err != nil {
		t.Fatal(err)
	}
	j := &job{options: &options{}, captures: []string{dir}, begin: func([]string) {}, progress: func(uint64) {}, warn: func(string) {}, keys: new(dissect.KeyLog), add: (*flows.Table).Add}
	j.options.maxFlows = 1 << 10
	want := 0
	j.before = func(batch []pcaps.Packet) { want += len(batch) }
	j.each = func(*flows.Flow, *rules.Verdict) error { return nil }
	if _, err := j.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.pcapng"), capture, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := j.reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	got, err := j.read(t.Context(), src, func([]pcaps.Packet) bool { return true })
	if err != nil || want == 0 || got != uint64(want) {
		t.Errorf("%d frames, and %d when read again, %v", want, got, err)
	}
}
