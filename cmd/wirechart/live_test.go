package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wirechart/pcaps"
	"wirechart/rules"
)

// dripping is a Source that hands out a few packets at a time, and sometimes
// none, as an interface does.
type dripping struct {
	pcaps.Source
	reads int
	each  func(batch []pcaps.Packet) // may change what is handed out; nil as a rule
	quiet func() bool                // nothing comes while it says so; nil as a rule
}

func (d *dripping) Read(batch []pcaps.Packet) (int, error) {
	if d.reads++; d.reads%5 == 0 || d.quiet != nil && d.quiet() {
		return 0, nil
	}
	n, err := d.Source.Read(batch[:min(len(batch), d.reads%7+1)])
	if d.each != nil {
		d.each(batch[:n])
	}
	return n, err
}

// liveOver runs wirechart live over a capture, as if its frames came from an
// interface, with looks as often as there can be.
func liveOver(t *testing.T, ctx context.Context, l *liveOptions, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return liveOverAt(t, ctx, l, time.Nanosecond, args...)
}

func liveOverAt(t *testing.T, ctx context.Context, l *liveOptions, refresh time.Duration, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("COLUMNS", "")
	l.refresh = refresh
	cmd := liveCommandOf(&status, l)
	var out, errs bytes.Buffer
	cmd.SetArgs(append([]string{"--no-sandbox"}, args...))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(ctx); err != nil {
		complain(&errs, err)
		status = exitError
	}
	return status, out.String(), errs.String()
}

// from opens captures in the place of interfaces.
func from(each func([]pcaps.Packet)) *liveOptions {
	return &liveOptions{open: func(names []string, o pcaps.LiveOptions) (pcaps.Source, error) {
		src, err := pcaps.Open(names, pcaps.Options{Filter: o.Filter})
		return &dripping{Source: src, each: each}, err
	}}
}

// TestLiveEndsAsAudit holds the audit at the end of a live run against that of a
// file with the same frames: not a byte differs, however often the flows were
// looked at on the way.
func TestLiveEndsAsAudit(t *testing.T) {
	list, err := filepath.Glob(samples + "*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		for _, format := range []string{"json", "wide"} {
			wantStatus, want, _ := wirechart(t, "audit", "-o", format, file)
			status, got, stderr := liveOver(t, context.Background(), from(nil), "-i", file, "-o", format)
			// The last section says what can be read again: not the same thing.
			got, _, _ = strings.Cut(got, "\nNext\n")
			want, _, _ = strings.Cut(want, "\nNext\n")
			if status != wantStatus || !strings.HasSuffix(got, want) {
				t.Errorf("%s as %s: status %d, want %d; %s\n%s\nwant\n%s", file, format, status, wantStatus, stderr, got, want)
			}
		}
	}
}

// TestLiveWrites holds what -w keeps against what came.
func TestLiveWrites(t *testing.T) {
	site := samples + "site-violations.pcapng"
	all := filepath.Join(t.TempDir(), "all.pcapng")
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", site, "-w", all); status != exitFindings {
		t.Fatalf("status %d: %s", status, stderr)
	}
	_, want, _ := wirechart(t, "flows", "-o", "jsonl", site)
	_, got, _ := wirechart(t, "flows", "-o", "jsonl", all)
	if strings.ReplaceAll(got, all, "") != strings.ReplaceAll(want, site, "") {
		t.Errorf("the flows of what was written are\n%s\nwant\n%s", got, want)
	}
}

// TestLiveEnds ends a run by what ends one.
func TestLiveEnds(t *testing.T) {
	site := samples + "site.pcapng"
	if status, out, stderr := liveOver(t, context.Background(), from(nil), "-i", site, "-c", "7", "-o", "json"); !strings.Contains(out, `"packets": 7,`) || status != exitUndecided {
		t.Errorf("-c 7: status %d, %s%s", status, out, stderr)
	}
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	l := from(func(batch []pcaps.Packet) {
		if seen += len(batch); seen > 20 {
			cancel()
		}
	})
	if _, out, stderr := liveOver(t, ctx, l, "-i", site); !strings.Contains(out, "Flows  1 flow in all") || strings.Contains(stderr, "interrupted") {
		t.Errorf("an interrupt: %s%s", out, stderr)
	}
	idle := &liveOptions{open: func([]string, pcaps.LiveOptions) (pcaps.Source, error) { return nothing{}, nil }}
	began := time.Now()
	if status, _, stderr := liveOver(t, context.Background(), idle, "-i", "x", "--duration", "50ms"); status != exitUndecided || time.Since(began) > 20*time.Second {
		t.Errorf("--duration: status %d after %s: %s", status, time.Since(began), stderr)
	}
}

// nothing is an interface on which nothing comes.
type nothing struct{ pcaps.Source }

func (nothing) Read([]pcaps.Packet) (int, error) { time.Sleep(time.Millisecond); return 0, nil }
func (nothing) Stats() pcaps.Stats {
	return pcaps.Stats{Files: []pcaps.FileStats{{Name: "x", Format: "live"}}}
}
func (nothing) Close() error { return nil }

// TestLiveMistakes holds what is said of what cannot be done.
func TestLiveMistakes(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "-i"},
		{"-i x --duration -1s", "--duration"},
		{"-i x -s -1", "--snaplen"},
		{"x.pcap -i x", "wirechart audit"},
		{"-i x -w /nowhere/all.pcapng", "--write /nowhere/all.pcapng: no such file"},
		{"-i x -o xls", `"xls"`},
		{"-i x -i y -i x", "-i x is named twice"},
	} {
		l := &liveOptions{open: func([]string, pcaps.LiveOptions) (pcaps.Source, error) { return nothing{}, nil }}
		status, out, stderr := liveOver(t, context.Background(), l, strings.Fields(c.args)...)
		if status != exitError || out != "" || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("live %s: status %d, %q, %q; want %q", c.args, status, out, stderr, c.says)
		}
	}
	if os.Getuid() == 0 {
		if status, _, stderr := liveOver(t, context.Background(), &liveOptions{open: pcaps.OpenInterfaces}, "-i", "nowhere9"); status != exitError || !strings.Contains(stderr, "nowhere9") {
			t.Errorf("an interface that is not there: %d, %s", status, stderr)
		}
	}
}

// TestLiveKeepsEvidence holds the frames kept against those of the flows that
// findings rest on: all of them, and of no others.
func TestLiveKeepsEvidence(t *testing.T) {
	site := samples + "site-violations.pcapng"
	dir := filepath.Join(t.TempDir(), "evidence")
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", site, "--evidence", dir); status != exitFindings {
		t.Fatalf("status %d: %s", status, stderr)
	}
	// By ends and start, and how many frames.
	list := func(capture string, bad bool) map[string]string {
		_, out, _ := wirechart(t, "flows", "-o", "jsonl", capture)
		flows := map[string]string{}
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			var f struct {
				Start, Community, Verdict string
				Packets                   [2]int
				CommunityID               string `json:"community_id"`
			}
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatal(err)
			}
			if bad && f.Verdict != "violation" && f.Verdict != "undocumented" && f.Verdict != "blocked" {
				continue
			}
			flows[f.Start+" "+f.CommunityID] = fmt.Sprint(f.Packets)
		}
		return flows
	}
	want, got := list(site, true), list(dir, false)
	if len(want) < 5 || !maps.Equal(got, want) {
		t.Errorf("flows kept: %v\nwant %v", got, want)
	}
	comments := 0
	src, err := pcaps.Open([]string{dir}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for batch := make([]pcaps.Packet, 64); ; {
		if _, err := src.Read(batch); err != nil {
			break
		}
	}
	for _, c := range src.Stats().Files[0].Comments {
		if strings.HasPrefix(c, "finding ") {
			comments++
		}
	}
	if comments != len(want) {
		t.Errorf("%d comments on %d flows", comments, len(want))
	}
}

// TestLiveRemembers runs twice with one state: the second run knows what the
// first one saw. What cannot be understood is left alone.
func TestLiveRemembers(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	first, second := samples+"site-violations.pcapng", samples+"files.pcapng"
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", first, "--state", state); status != exitFindings {
		t.Fatalf("status %d: %s", status, stderr)
	}
	written, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rules.ParseMemory(written)
	if err != nil || len(m.Findings) < 5 || len(m.Edges) < 3 || len(m.Hosts) < 3 {
		t.Fatalf("%v: %s", err, written)
	}
	_, out, stderr := liveOver(t, context.Background(), from(nil), "-i", second, "--state", state, "-o", "json")
	for _, want := range []string{"not seen since 2026-", "Found in earlier runs and not in this one", "had this role in an earlier run"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the second report: %s%s", want, out, stderr)
		}
	}
	_, _, stderr = liveOver(t, context.Background(), from(nil), "-i", first, "--state", state, "-o", "json")
	if strings.Contains(stderr, "  finding  ") {
		t.Errorf("told again what was known: %s", stderr)
	}

	for name, text := range map[string]string{"cut": string(written[:len(written)/2]), "another's": strings.Replace(string(written), `"diagram": "`, `"diagram": "x`, 1)} {
		if err := os.WriteFile(state, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		status, out, stderr := liveOver(t, context.Background(), from(nil), "-i", first, "--state", state)
		left, err := os.ReadFile(state)
		if status != exitError || out != "" || !strings.Contains(stderr, state) || !strings.Contains(stderr, "--state-replace") || err != nil || string(left) != text {
			t.Errorf("%s: status %d, %s%s, %v; it was changed: %t", name, status, out, stderr, err, string(left) != text)
		}
	}
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", first, "--state", state, "--state-replace"); status != exitFindings {
		t.Errorf("begun anew: %d, %s", status, stderr)
	}
	if _, err := os.Stat(state + ".old"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(state); err != nil {
		t.Error(err)
	} else if _, err := rules.ParseMemory(b); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// pausing is a Source that has nothing to give, behind some packets, until a
// channel is closed.
type pausing struct {
	pcaps.Source
	at    int
	until chan struct{}
}

func (p *pausing) Read(batch []pcaps.Packet) (int, error) {
	if p.at <= 0 {
		select {
		case <-p.until:
		case <-time.After(time.Millisecond):
			return 0, nil
		}
	}
	n, err := p.Source.Read(batch[:min(len(batch), 20)])
	p.at -= n
	return n, err
}

// TestLiveMetrics asks a run for its counters while it goes on.
func TestLiveMetrics(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	get := func(path string) string {
		r, err := http.Get("http://" + addr + path)
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return fmt.Sprint(r.StatusCode, " ", string(b))
	}
	// The interface falls silent near the end, until the counters say what was
	// found before.
	var health, metrics string
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for end := time.Now().Add(30 * time.Second); !strings.Contains(metrics, "zmtp_mechanism_null") && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
			health, metrics = get("/healthz"), get("/metrics")
		}
	}()
	source := &liveOptions{open: func(names []string, o pcaps.LiveOptions) (pcaps.Source, error) {
		src, err := pcaps.Open(names, pcaps.Options{})
		return &pausing{Source: src, at: 340, until: asked}, err
	}}
	if status, _, stderr := liveOver(t, context.Background(), source, "-i", samples+"site-violations.pcapng", "--metrics", addr); status != exitFindings {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if health != "200 ok\n" {
		t.Errorf("/healthz: %q", health)
	}
	for _, want := range []string{
		"wirechart_packets_total 3", "wirechart_bytes_total ", `wirechart_dropped_packets_total{where="kernel"} 0`, `wirechart_dropped_packets_total{where="app"} 0`,
		`wirechart_decode_errors_total{layer="truncated"} 0`, "wirechart_flows_active ", `wirechart_flows_total{proto="tcp",service="9876"} `,
		`wirechart_edge_flows_total{edge="agent-backup",verdict="violation"} `, `wirechart_findings_total{rule="zmtp_mechanism_null",severity="high"} 1`, "wirechart_build_info{version=",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, "10.20.30.") {
		t.Error("an address of a host is in the counters")
	}
	if _, err := http.Get("http://" + addr + "/healthz"); err == nil {
		t.Error("the counters are served after the run")
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example:0", "9108"} {
		status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", samples+"site.pcapng", "--metrics", addr)
		if status != exitError || !strings.Contains(stderr, "--metrics "+addr) {
			t.Errorf("--metrics %s: %d, %s", addr, status, stderr)
		}
	}
}

// TestFollow holds the audit of a directory that fills while it is read against
// that of the same files when they are there: flows go on from one to the next.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	site, err := os.ReadFile(samples + "snap96.pcap")
	if err != nil {
		t.Fatal(err)
	}
	// Cut between records: the next file goes on with the flows of the one before.
	behind := func(least int) int {
		at := 24
		for at < least {
			at += 16 + int(binary.LittleEndian.Uint32(site[at+8:]))
		}
		return at
	}
	one, two := behind(len(site)/3), behind(len(site)/3*2)
	next := func(from, to int) []byte { return append(append([]byte{}, site[:24]...), site[from:to]...) }
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Error(err)
		}
	}
	write("a.pcap", site[:one])
	go func() {
		time.Sleep(300 * time.Millisecond)
		write("b.pcap", next(one, two-7))
		time.Sleep(300 * time.Millisecond)
		write("b.pcap", next(one, two))
		time.Sleep(300 * time.Millisecond)
		write("c.pcap", next(two, len(site)))
	}()
	status, got, stderr := wirechart(t, "audit", "--follow", dir, "--idle", "2s", "-o", "json", "-q")
	wantStatus, want, _ := wirechart(t, "audit", "-o", "json", filepath.Join(dir, "a.pcap"), filepath.Join(dir, "b.pcap"), filepath.Join(dir, "c.pcap"))
	var g, w struct {
		Verdicts, Findings, Edges, Hosts, Coverage any
	}
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatalf("%v: %s%s", err, got, stderr)
	}
	if status != wantStatus || !reflect.DeepEqual(g, w) {
		t.Errorf("status %d, want %d; %s\n%s\nwant\n%s", status, wantStatus, stderr, got, want)
	}
	if status, _, stderr := wirechart(t, "audit", "--follow", dir, samples+"scan.pcap"); status != exitError || !strings.Contains(stderr, "--follow") {
		t.Errorf("a capture beside: %d, %s", status, stderr)
	}
}

// TestClockSetBack has the clock of the packets jump back by a day: what goes on
// is not taken for over, nothing is judged early, and the report says so.
func TestClockSetBack(t *testing.T) {
	site := samples + "site-violations.pcapng"
	seen := 0
	back := from(func(batch []pcaps.Packet) {
		for i := range batch {
			if seen++; seen > 150 {
				batch[i].Time -= int64(24 * time.Hour)
			}
		}
	})
	_, want, _ := wirechart(t, "audit", "-o", "json", site)
	_, got, stderr := liveOver(t, context.Background(), back, "-i", site, "-o", "json", "--keep", "10s")
	var g, w struct {
		Verdicts map[string]struct{ Flows int }
		Findings []struct{ ID string }
		Coverage struct{ Evicted, Judged_early int }
		Notes    []string
	}
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatalf("%v: %s%s", err, got, stderr)
	}
	if !reflect.DeepEqual(g.Verdicts, w.Verdicts) || g.Coverage != w.Coverage || !strings.Contains(strings.Join(g.Notes, " "), "went back 1 times, by 24h") {
		t.Errorf("verdicts %v, want %v; %+v, %q", g.Verdicts, w.Verdicts, g.Coverage, g.Notes)
	}
}
