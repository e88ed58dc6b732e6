package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const samples = "../../pcaps/samples/"

// wirechart runs a command line as a shell would.
func wirechart(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("COLUMNS", "")
	var out, errs bytes.Buffer
	status = execute(context.Background(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// file makes a file for one test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMistakes holds what is said about what cannot be done: one line that
// names the thing, status 2, and nothing on standard output.
func TestMistakes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	site := samples + "site.pcapng"
	empty := file(t, "empty.pcap", "")
	letter := file(t, "letter.txt", "Dear Sir or Madam,\n")
	bare := filepath.Dir(file(t, "notes.txt", "x")) // a directory without captures
	inventory := file(t, "inventory.yaml", "version: 1\nhosts:\n  - address: 10.20.30.11\n    roles: [managment-server]\n")
	diagram := file(t, "office.yaml", "version: 1\nname: office\ntitle: Office\ncolour: red\ncomponents:\n  - id: printer\n    title: Printer\nedges: []\n")
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"no capture", []string{"audit"}, []string{"no capture named"}},
		{"missing file", []string{"nowhere.pcap"}, []string{"nowhere.pcap", "no such file"}},
		{"missing among others", []string{"flows", site, "nowhere.pcap"}, []string{"nowhere.pcap", "no such file"}},
		{"empty file", []string{"audit", empty}, []string{empty, "empty"}},
		{"text file", []string{"audit", letter}, []string{letter, "not a capture"}},
		{"empty directory", []string{"audit", bare}, []string{bare}},
		{"bad filter", []string{"audit", "-f", "tcp prot 80", site}, []string{"tcp prot 80"}},
		{"unknown format", []string{"flows", "-o", "xls", site}, []string{`--format: unknown format "xls"`, "table, wide, json, jsonl, csv, markdown"}},
		{"format of something else", []string{"flows", "-o", "html", site}, []string{"--format: html is no format of flows", "table, wide, json"}},
		{"unknown flag", []string{"flows", "--fromat", "json", site}, []string{"--fromat"}},
		{"unknown color", []string{"audit", "--color", "blue", site}, []string{"--color blue"}},
		{"unknown verdict", []string{"audit", "--fail-on", "violations", site}, []string{`"violations"`, "violation"}},
		{"unknown verdict to choose", []string{"flows", "--verdict", "violations", site}, []string{`"violations"`, "violation"}},
		{"unknown edge to choose", []string{"flows", "--edge", "agent", site}, []string{`"agent"`, "agent-backup"}},
		{"unknown protocol to choose", []string{"flows", "--app", "htttp", site}, []string{`--app: unknown protocol "htttp" (did you mean "http"?)`}},
		{"unknown protocol near none", []string{"flows", "--app", "xyzzy", site}, []string{`--app: unknown protocol "xyzzy"`, "http, http2", "zmtp, unknown"}},
		{"no host to choose", []string{"flows", "--host", "10.0.0.0/33", site}, []string{"10.0.0.0/33"}},
		{"verdicts without judging", []string{"flows", "--verdict", "violation", "--no-judge", site}, []string{"--no-judge", "--verdict"}},
		{"flows written from standard input", []string{"flows", "-w", "x.pcapng", "-"}, []string{"--write", "standard input"}},
		{"explained from a pipe", []string{"explain", "--flow", "1", pipe}, []string{pipe, "read twice"}},
		{"flows written to standard output", []string{"flows", "-w", "-", site}, []string{"--write -", "file"}},
		{"following below", []string{"audit", "--follow", bare, "--recursive"}, []string{"--follow", "--recursive"}},
		{"flows written from a pipe", []string{"flows", "-w", "x.pcapng", pipe}, []string{pipe, "read twice"}},
		{"unknown severity", []string{"audit", "--fail-on", "concern:huge", site}, []string{`"huge"`}},
		{"misspelt command", []string{"adit", site}, []string{"adit", "did you mean wirechart audit?"}},
		{"no flows", []string{"audit", "--max-flows", "0", site}, []string{"--max-flows 0"}},
		{"negative flows", []string{"audit", "--max-flows", "-3", site}, []string{"--max-flows -3"}},
		{"unknown diagram", []string{"audit", "--diagram", "acronis-cyber-protekt", site}, []string{`"acronis-cyber-protekt"`, `did you mean "acronis-cyber-protect"`}},
		{"unknown key", []string{"audit", "--diagram", diagram, site}, []string{diagram + ":4: ", "colour"}},
		{"unknown key, validated", []string{"diagram", "validate", diagram}, []string{diagram + ":4: ", "colour"}},
		{"unknown role", []string{"audit", "--inventory", inventory, site}, []string{inventory + ":4: ", "managment-server"}},
		{"missing inventory", []string{"hosts", "--inventory", "nowhere.yaml", site}, []string{"nowhere.yaml", "no such file"}},
		{"diagram not read", []string{"flows", "--no-judge", "--inventory", inventory, site}, []string{"--no-judge"}},
		{"output nowhere", []string{"audit", "--output", filepath.Join(bare, "no", "report.txt"), site}, []string{"report.txt", "no such file"}},
		{"no directory", []string{"man"}, []string{"directory"}},
		{"live of a capture", []string{"live", "-r", site}, []string{"'r'", "wirechart audit CAPTURE"}},
		{"live of a directory", []string{"live", "--follow", bare}, []string{"--follow", "wirechart audit --follow"}},
		{"unknown schema", []string{"schema", "sheep"}, []string{`"sheep"`, "flow, flows, audit, summary, finding, concern, edge, host, hosts, event, explain, diff, compare, rules, verify, interfaces, diagram, inventory"}},
		{"nothing to explain", []string{"explain", site}, []string{"--finding", "--frame"}},
		{"two things to explain", []string{"explain", site, "--flow", "1", "--frame", "1"}, []string{"one of"}},
		{"explain a stream", []string{"explain", "-", "--flow", "1"}, []string{"standard input", "read twice"}},
		{"explain as csv", []string{"explain", site, "--flow", "1", "-o", "csv"}, []string{"csv", "table, wide, json, jsonl, markdown"}},
		{"unknown finding", []string{"explain", site, "--finding", "feed"}, []string{"--finding feed"}},
		{"unknown flow", []string{"explain", site, "--flow", "99"}, []string{"--flow 99", "1 to"}},
		{"unknown edge", []string{"explain", site, "--edge", "agent-backups"}, []string{`"agent-backups" (did you mean "agent-backup"?)`}},
		{"unknown frame", []string{"explain", site, "--frame", "99999"}, []string{"--frame 99999"}},
		{"no frame number", []string{"explain", site, "--frame", "0"}, []string{"--frame 0"}},
		{"frame of no flow", []string{"explain", site, "--frame", "1"}, []string{"--frame 1", "no flow"}},
		{"frame of no capture", []string{"explain", site, "--frame", "other.pcap:1"}, []string{`"other.pcap"`}},
		{"evidence nowhere", []string{"explain", site, "--flow", "1", "-w", filepath.Join(bare, "no", "e.pcapng")}, []string{"--write", "no such file"}},
		{"one audit to compare", []string{"diff", letter}, []string{"two audits"}},
		{"no audit to compare", []string{"diff", letter, letter}, []string{letter, "not a JSON document", "audit -o json"}},
		{"missing audit", []string{"diff", "nowhere.json", letter}, []string{"nowhere.json", "no such file"}},
		{"no baseline", []string{"audit", "--baseline", letter, site}, []string{"--baseline " + letter}},
		{"rules of no audit", []string{"rules"}, []string{"one audit"}},
		{"rules of a letter", []string{"rules", letter}, []string{letter, "not a JSON document"}},
		{"rules in no language", []string{"rules", letter, "--format", "pf"}, []string{`"pf"`, "nftables, iptables"}},
		{"verified as csv", []string{"rules", letter, "--verify", letter, "--format", "csv"}, []string{"csv", "text, json"}},
		{"no collector", []string{"flows", "--ipfix", "nowhere", site}, []string{"--ipfix nowhere", "tcp://HOST:PORT"}},
		{"no such transport", []string{"flows", "--ipfix", "sctp://a:1", site}, []string{"sctp://a:1", "udp://HOST:PORT"}},
		{"flows as sarif", []string{"flows", "-o", "sarif", site}, []string{"sarif", "eve, zeek, ecs"}},
		{"one side", []string{"compare", site}, []string{"two captures"}},
		{"no other side", []string{"compare", site, "nowhere.pcap"}, []string{"nowhere.pcap", "no such file"}},
		{"diff as csv", []string{"diff", "-o", "csv", letter, letter}, []string{"csv", "table, wide, json, markdown, html"}},
		{"unknown subcommand", []string{"diagram", "paint"}, []string{"paint"}},
		{"unknown drawing", []string{"diagram", "draw", "-o", "png"}, []string{`"png"`, "svg, mermaid, dot, drawio"}},
		{"drawing of flows", []string{"flows", "-o", "mermaid", site}, []string{"flows", "mermaid", "jsonl"}},
		{"argument of none", []string{"version", "foo"}, []string{"version: foo: takes no arguments"}},
		{"audit not named as one", []string{"diagram", "new", "v.json"}, []string{"v.json", "--from"}},
		{"help for nothing", []string{"help", "nope"}, []string{`no command "nope"`}},
		{"help for nothing below", []string{"help", "diagram", "nope"}, []string{`no command "diagram nope"`, "wirechart diagram --help"}},
		{"interface of an audit", []string{"-i", "lo"}, []string{"wirechart live -i"}},
		{"duration of nothing", []string{"audit", "--duration", "5s", site}, []string{"--duration", "--follow"}},
		{"idle nothing", []string{"audit", "--idle", "5s", site}, []string{"--idle", "--follow"}},
		{"two out of range", []string{"live", "-i", "lo", "--keep", "-1s", "--buffer", "-1"}, []string{"--buffer -1: out of range"}},
		{"unknown shell", []string{"completion", "klingon"}, []string{"klingon", "bash, zsh"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := wirechart(t, c.args...)
			if status != exitError {
				t.Errorf("status %d", status)
			}
			if stdout != "" {
				t.Errorf("standard output has %q", stdout)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
				t.Errorf("not one line: %q", stderr)
			}
			for _, s := range c.says {
				if !strings.Contains(stderr, s) {
					t.Errorf("%q does not name %q", stderr, s)
				}
			}
		})
	}
}

// TestFileErrors holds errors of files to one form: the flag that named the file,
// its name, the cause.
func TestFileErrors(t *testing.T) {
	site := samples + "site.pcapng"
	audit := auditFile(t, site)
	const none = "nowhere/file"
	for _, c := range []struct {
		flag string
		args []string
	}{
		{"", []string{"audit", none}},
		{"", []string{"compare", none, site}},
		{"", []string{"diff", none, audit}},
		{"", []string{"diff", audit, none}},
		{"", []string{"rules", none}},
		{"", []string{"diagram", "validate", none}},
		{"--from ", []string{"diagram", "new", "--from", none}},
		{"--diagram ", []string{"hosts", "--diagram", none, site}},
		{"--inventory ", []string{"hosts", "--inventory", none, site}},
		{"--inventory ", []string{"rules", "--inventory", none, audit}},
		{"--verify ", []string{"rules", "--verify", none, audit}},
		{"--baseline ", []string{"audit", "--baseline", none, site}},
		{"--keylog ", []string{"flows", "--keylog", none, site}},
		{"--output ", []string{"flows", "--output", none, site}},
		{"--write ", []string{"explain", "--flow", "1", "--write", none, site}},
		{"--write ", []string{"flows", "--write", none, site}},
	} {
		status, _, stderr := wirechart(t, c.args...)
		if want := "wirechart: " + c.flag + none + ": no such file or directory\n"; status != exitError || stderr != want {
			t.Errorf("%v: status %d, %q, want %q", c.args, status, stderr, want)
		}
	}
}

// TestManyMistakes says that all mistakes of a diagram are told, a line each.
func TestManyMistakes(t *testing.T) {
	diagram := file(t, "office.yaml", `version: 1
name: office
title: Office
colour: red
sources:
  - {id: memo, title: A memo}
components:
  - {id: printer, title: Printer}
  - {id: desk, title: Desk, wood: oak}
edges:
  - {id: print, from: desk, to: flies, over: tcp/631, source: memo}
  - {id: fax, from: desk, to: printer, over: tcp/70000, source: memo}
  - {id: scan, from: desk, to: printer, over: tcp/9100, require: {tls.colour: red}, source: memo}
`)
	status, stdout, stderr := wirechart(t, "diagram", "validate", diagram)
	if status != exitError || stdout != "" {
		t.Errorf("status %d, %q", status, stdout)
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	for i, want := range []string{"4: ", "9: ", "11: ", "12: ", "13: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], diagram+":"+want) {
			t.Errorf("line %d does not begin with %q:\n%s", i, diagram+":"+want, stderr)
			break
		}
	}
}

// TestStatus holds the exit statuses.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
	}{
		{"site.pcapng", exitConforms},
		{"audit site.pcapng", exitConforms},
		{"audit -r site.pcapng", exitConforms},
		{"site-violations.pcapng", exitFindings},
		{"audit --exit-zero site-violations.pcapng", exitConforms},
		{"audit --fail-on blocked site-violations.pcapng", exitFindings},
		{"audit oneway.pcapng", exitUndecided},
		{"audit --exit-zero oneway.pcapng", exitConforms},
		{"flows site-violations.pcapng", exitConforms},
		{"hosts site-violations.pcapng", exitConforms},
	} {
		args := strings.Fields(c.args)
		args[len(args)-1] = samples + args[len(args)-1]
		status, _, stderr := wirechart(t, args...)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.args, status, c.status, stderr)
		}
	}
}

// TestDamage says that a damaged capture is reported and no error.
func TestDamage(t *testing.T) {
	for _, name := range []string{"cut.pcap", "damaged.pcapng"} {
		status, stdout, stderr := wirechart(t, "flows", "-o", "jsonl", "--no-judge", samples+name)
		if status != exitConforms || stdout == "" {
			t.Errorf("%s: status %d, %d bytes", name, status, len(stdout))
		}
		if !strings.Contains(stderr, name+": read up to frame ") || !strings.Contains(stderr, "at byte ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: says %q", name, stderr)
		}
		_, stdout, _ = wirechart(t, "audit", samples+name)
		if !strings.Contains(stdout, "is damaged: read up to frame ") {
			t.Errorf("%s: the report does not say so:\n%s", name, stdout)
		}
		if _, _, stderr := wirechart(t, "flows", "-q", samples+name); stderr != "" {
			t.Errorf("%s: quiet says %q", name, stderr)
		}
	}
}

func TestFilter(t *testing.T) {
	_, stdout, _ := wirechart(t, "flows", "-o", "jsonl", "--no-judge", "-f", "udp port 53", samples+"site.pcapng")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, line := range lines {
		if !strings.Contains(line, `"proto":"udp"`) || !strings.Contains(line, `"app":"dns"`) {
			t.Errorf("the filter let pass %s", line)
		}
	}
}

// TestMaxFlows says that a full table is bounded and tells of it.
func TestMaxFlows(t *testing.T) {
	const flows = 5000
	path := file(t, "flood.pcap", flood(flows))
	status, stdout, stderr := wirechart(t, "flows", "-o", "jsonl", "--no-judge", "--max-flows", "100", path)
	if n := strings.Count(stdout, "\n"); status != 0 || n != flows {
		t.Errorf("status %d, %d flows, want %d: %s", status, n, flows, stderr)
	}
	_, stdout, _ = wirechart(t, "audit", "--max-flows", "100", path)
	if !strings.Contains(stdout, "--max-flows") {
		t.Errorf("the report does not say that the table was full:\n%s", stdout)
	}
}

// flood is a capture of n flows of one SYN each, in a classic pcap file.
func flood(n int) string {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, 0xa1b2c3d4) // magic, microseconds
	b = append(b, 2, 0, 4, 0)                           // version 2.4
	b = append(b, make([]byte, 8)...)                   // time zone, accuracy
	b = binary.LittleEndian.AppendUint32(b, 65535)      // snap length
	b = binary.LittleEndian.AppendUint32(b, 101)        // raw IP
	for i := range n {
		packet := []byte{
			0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, // IPv4, 40 bytes, TCP
			10, 1, byte(i >> 8), byte(i), // from
			10, 0, 0, 1, // to
			0xc0, 0, 0x1e, 0x64, // ports 49152, 7780
			0, 0, 0, 1, 0, 0, 0, 0, // sequence, acknowledgement
			0x50, 2, 0xff, 0xff, 0, 0, 0, 0, // SYN
		}
		b = binary.LittleEndian.AppendUint32(b, 1795397951)
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = append(b, packet...)
	}
	return string(b)
}

// TestOutput says that a file is written whole or not at all.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "flows.jsonl")
	status, stdout, stderr := wirechart(t, "flows", "-o", "jsonl", "--no-judge", "--output", path, samples+"site.pcapng")
	_, direct, _ := wirechart(t, "flows", "-o", "jsonl", "--no-judge", samples+"site.pcapng")
	written, err := os.ReadFile(path)
	if status != 0 || stdout != "" || err != nil || string(written) != direct {
		t.Errorf("status %d, %q, %v: %s", status, stdout, err, stderr)
	}
	if status, _, _ = wirechart(t, "flows", "--no-judge", "--output", path, "nowhere.pcap"); status != exitError {
		t.Errorf("status %d", status)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, written) {
		t.Error("a run that did not work touched the file of one that did")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// goneWriter is a pipe whose reader has gone away.
type goneWriter struct{}

func (goneWriter) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

// TestGone says that a reader who has seen enough is no error.
func TestGone(t *testing.T) {
	var stderr bytes.Buffer
	for _, args := range [][]string{
		{"flows", samples + "site.pcapng"}, {"hosts", samples + "site.pcapng"}, {"diagram", "list"}, {"diagram", "show"}, {"diagram", "draw"},
		{"schema", "flow"}, {"completion", "bash"}, {"version", "-v"}, {"interfaces"}, {"reference"}, {"--help"},
	} {
		stderr.Reset()
		if status := execute(context.Background(), args, goneWriter{}, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s: status %d, %q", args, status, stderr.String())
		}
	}
}

// TestInterrupted says that what was read until an interrupt is reported.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	execute(ctx, []string{"audit", samples + "site.pcapng"}, &stdout, &stderr)
	if !strings.Contains(stderr.String(), "interrupted after 0 frames") || stdout.Len() == 0 {
		t.Errorf("%q, %d bytes", stderr.String(), stdout.Len())
	}
}

func TestAbout(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "wirechart "},
		{[]string{"version", "-v"}, "recognises   tls "},
		{[]string{"--help"}, "wirechart site.pcapng"},
		{nil, "wirechart site.pcapng"},
		{[]string{"audit", "--help"}, "--fail-on VERDICTS"},
		{[]string{"completion", "bash"}, "wirechart"},
		{[]string{"diagram", "list"}, "acronis-cyber-protect "},
		{[]string{"diagram", "show"}, "agent-messages"},
		{[]string{"diagram", "show", "--yaml"}, "id: agent-messages"},
		{[]string{"diagram", "validate", "acronis-cyber-protect"}, ": valid: 11 components, 22 edges, 9 kinds of ambient traffic"},
		{[]string{"diagram", "draw"}, "<svg "},
		{[]string{"diagram", "draw", "-o", "dot", "acronis-cloud-agent"}, "digraph "},
	} {
		if status, stdout, stderr := wirechart(t, c.args...); status != 0 || !strings.Contains(stdout, c.want) || stderr != "" {
			t.Errorf("%v: status %d, no %q in %q, %q", c.args, status, c.want, stdout, stderr)
		}
	}
	for _, kind := range schemaKinds {
		status, stdout, _ := wirechart(t, "schema", kind)
		var doc map[string]any
		if err := json.Unmarshal([]byte(stdout), &doc); status != 0 || err != nil || doc["$schema"] == nil {
			t.Errorf("schema %s: status %d, %v", kind, status, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "man")
	if status, _, stderr := wirechart(t, "man", dir); status != 0 {
		t.Errorf("man: status %d, %s", status, stderr)
	}
	if pages, _ := filepath.Glob(filepath.Join(dir, "wirechart*.1")); len(pages) < 8 {
		t.Errorf("manual pages: %v", pages)
	}
}

// TestShownDiagram says that a diagram as shown can be read again.
func TestShownDiagram(t *testing.T) {
	_, text, _ := wirechart(t, "diagram", "show", "--yaml")
	text = strings.Replace(text, "name: acronis-cyber-protect", "name: mine", 1)
	if status, _, stderr := wirechart(t, "diagram", "validate", file(t, "mine.yaml", text)); status != 0 {
		t.Error(strconv.Itoa(status), stderr)
	}
}

// TestInterfaces says that the interfaces that are there are listed, each with
// what captures it or with a reason.
func TestInterfaces(t *testing.T) {
	status, stdout, stderr := wirechart(t, "interfaces", "-o", "json")
	var doc struct {
		Schema     string
		Interfaces []struct {
			Name, State, With, Reason string
			Usable, Loopback          bool
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); status != 0 || err != nil || doc.Schema != "wirechart/interfaces/v1" {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	loopback := ""
	for _, i := range doc.Interfaces {
		if i.Usable == (i.Reason != "") || i.Usable == (i.With == "") {
			t.Errorf("%+v", i)
		}
		if i.Loopback {
			loopback = i.Name
		}
	}
	denied := strings.Contains(stdout, "no permission to capture")
	if denied != strings.Contains(stderr, "setcap cap_net_raw=ep /") {
		t.Errorf("what to do: %q", stderr)
	}
	if status, table, _ := wirechart(t, "interfaces"); status != 0 || !strings.Contains(table, "can be captured") || !strings.Contains(table, loopback) {
		t.Errorf("status %d: %s", status, table)
	}
	if status, _, stderr := wirechart(t, "interfaces", "-o", "xls"); status != exitError || !strings.Contains(stderr, `"xls"`) {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// TestCount reads a part of a capture: the result is of that part, and says so.
func TestCount(t *testing.T) {
	site := samples + "site.pcapng"
	for _, c := range []struct {
		count   string
		frames  uint64
		stopped string
	}{{"1", 1, "count"}, {"5", 5, "count"}, {"300", 300, "count"}, {"100000", 450, ""}} {
		var doc struct {
			Coverage struct {
				Captures    []struct{ Frames uint64 }
				First, Last string
				Packets     uint64
				Stopped     string
			}
		}
		if err := json.Unmarshal([]byte(written("audit", "-o", "json", "-c", c.count, site)), &doc); err != nil {
			t.Fatal(err)
		}
		v := &doc.Coverage
		if v.Captures[0].Frames != c.frames || v.Packets != c.frames || v.Stopped != c.stopped || (v.First == v.Last) != (c.frames == 1) {
			t.Errorf("-c %s: %+v", c.count, *v)
		}
		for _, format := range []string{"table", "markdown", "html"} {
			page := strings.Join(strings.Fields(written("audit", "-o", format, "-c", c.count, site)), " ") // lines are filled
			if told := strings.Contains(page, "the results are of "); told != (c.stopped != "") {
				t.Errorf("-c %s -o %s: told: %t", c.count, format, told)
			}
		}
	}
}
