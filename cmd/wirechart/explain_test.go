package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"wirechart/pcaps"
)

// TestSamplesExplained holds explanations of one sample against a file: a finding of
// each kind of message, an edge that nobody used, a frame.
func TestSamplesExplained(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("COLUMNS", "80")
	const capture = "pcaps/samples/site-violations.pcapng"
	var got strings.Builder
	for _, about := range []string{"--finding 1", "--finding 3", "--finding plaintext", "--finding 8", "--finding 10", "--edge cloud-backup", "--edge agent-rest", "--frame 5"} {
		if name, ok := strings.CutPrefix(about, "--finding p"); ok {
			about = "--finding " + findingOf(t, capture, "p"+name)
		}
		fmt.Fprintf(&got, "$ wirechart explain %s %s\n%s\n", capture, about, written(append([]string{"explain", "--color", "never", capture}, strings.Fields(about)...)...))
	}
	holds(t, capture+".explain.want", got.String())
}

// findingOf is the id of the finding whose reason begins with reason.
func findingOf(t *testing.T, capture, reason string) string {
	t.Helper()
	for line := range strings.Lines(written("audit", "-o", "jsonl", capture)) {
		if strings.Contains(line, `"reason":"`+reason) {
			_, id, _ := strings.Cut(line, `"id":"`)
			return id[:strings.IndexByte(id, '"')]
		}
	}
	t.Fatalf("no finding about %s", reason)
	return ""
}

// secrets cross the samples in clear: a token, and the password of ZMTP PLAIN.
var secrets = []string{"eyJ", "-1UY1Z8CNVJzZX9", "not-a-secret"}

// TestExplainEverything explains every flow of one sample and a few of the
// others: what is written is what the schema says and holds no secret; nor does
// the evidence, whose frames are those of the capture.
func TestExplainEverything(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("COLUMNS", "100")
	captures, err := filepath.Glob("pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	schema := compiled(t, "explain")
	evidence := filepath.Join(t.TempDir(), "evidence.pcapng")
	crossed := map[string]bool{}
	for _, capture := range captures {
		if strings.HasSuffix(capture, ".want") {
			continue
		}
		raw := framesOf(t, capture)
		last := strings.Count(written("flows", "-o", "jsonl", capture), "\n")
		if !strings.HasSuffix(capture, "/site-violations.pcapng") {
			last = min(last, 3)
		}
		for id := 1; id <= last; id++ {
			args := []string{"explain", capture, "--hex", "--flow", fmt.Sprint(id)}
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(written(append(args, "-o", "json")...)))
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%v: %v", args, err)
			}
			text := written(append(args, "-w", evidence)...)
			if id == 1 {
				if again := written(append(args, "-w", evidence)...); again != text {
					t.Errorf("%v differs from one run to the next: %s", args, firstDifference(text, again))
				}
				text += written(append(args, "-o", "markdown")...)
			}
			b, err := os.ReadFile(evidence)
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			for _, s := range secrets {
				if strings.Contains(text, s) || bytes.Contains(b, []byte(s)) {
					t.Errorf("%v shows %q", args, s)
				}
			}
			checkEvidence(t, args, raw, framesOf(t, evidence), false)

			written(append(args, "-w", evidence, "--payload")...)
			if b, err = os.ReadFile(evidence); err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets {
				crossed[s] = crossed[s] || bytes.Contains(b, []byte(s))
			}
			checkEvidence(t, args, raw, framesOf(t, evidence), true)
		}
	}
	for _, s := range secrets {
		if !crossed[s] {
			t.Errorf("%q is in no evidence, even with --payload: nothing was tried", s)
		}
	}
}

// checkEvidence holds the frames of the evidence against those of the capture:
// the same times and lengths on the wire, and bytes that are the same, x, or
// left out at the end; with payload, all of them the same.
func checkEvidence(t *testing.T, args []string, raw, evidence []pcaps.Packet, payload bool) {
	t.Helper()
	if len(evidence) == 0 {
		t.Errorf("%v: no evidence", args)
	}
	for i, e := range evidence {
		of := slices.IndexFunc(raw, func(p pcaps.Packet) bool {
			if p.Time != e.Time || p.WireLen != e.WireLen || p.Link != e.Link || len(p.Data) < len(e.Data) || payload && len(p.Data) != len(e.Data) {
				return false
			}
			for k := range e.Data {
				if e.Data[k] != p.Data[k] && (payload || e.Data[k] != 'x') {
					return false
				}
			}
			return true
		})
		if of < 0 {
			t.Errorf("%v: frame %d of the evidence is not of the capture", args, i+1)
		}
	}
}

// framesOf reads a capture.
func framesOf(t *testing.T, name string) []pcaps.Packet {
	t.Helper()
	src, err := pcaps.Open([]string{name}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var list []pcaps.Packet
	batch := make([]pcaps.Packet, 64)
	for {
		n, err := src.Read(batch)
		for _, p := range batch[:n] {
			p.Data = slices.Clone(p.Data)
			list = append(list, p)
		}
		if errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestExplainFrames asks for frames of several captures: the flow that is
// explained has the frame, and its story shows it.
func TestExplainFrames(t *testing.T) {
	t.Chdir("../..")
	captures := []string{"pcaps/samples/site-violations.pcapng", "pcaps/samples/site.pcapng"}
	for _, frame := range []string{"site-violations.pcapng:266", "site.pcapng:40", captures[1] + ":100"} {
		var stdout, stderr bytes.Buffer
		status := execute(context.Background(), append([]string{"explain", "-o", "json", "--frame", frame}, captures...), &stdout, &stderr)
		_, number, _ := strings.Cut(frame, ":")
		if status != exitConforms || !strings.Contains(stdout.String(), `"frame": `+number+",\n          \"time\"") {
			t.Errorf("%s: status %d, %s: not shown in\n%s", frame, status, stderr.String(), stdout.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if status := execute(context.Background(), append([]string{"explain", "--frame", "266"}, captures...), &stdout, &stderr); status != exitError || !strings.Contains(stderr.String(), "of which capture") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// TestExplainFrameOf finds a frame in the capture that is meant of two that are
// called alike.
func TestExplainFrameOf(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for of, sample := range map[string]string{"a": "site.pcapng", "b": "oneway.pcapng"} {
		b, err := os.ReadFile(samples + sample)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, of), 0o700); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, of, "site.pcapng")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, c := range []struct {
		frame  string
		status int
		says   string
	}{
		{names[0] + ":3", exitConforms, "> 10.20.30.11:7780"},
		{names[1] + ":3", exitConforms, "> 10.20.30.12:9876"},
		{"site.pcapng:3", exitError, "--frame site.pcapng:3: 2 captures are called so: --frame " + names[0] + ":3"},
		{"3", exitError, "--frame " + names[0] + ":3"},
		{"other.pcapng:3", exitError, `no capture "other.pcapng"`},
	} {
		status, stdout, stderr := wirechart(t, "explain", names[0], names[1], "--frame", c.frame)
		if status != c.status || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: status %d, no %q in %.300q %q", c.frame, status, c.says, stdout, stderr)
		}
	}
}
