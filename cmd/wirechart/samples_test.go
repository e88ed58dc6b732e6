package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"wirechart/report"
)

var update = flag.Bool("update", false, "rewrite the .want files of pcaps/samples; review the diff")

// TestSamples runs the whole program over every sample. NAME.want is the audit
// as a person reads it, at 80 columns and without colours; NAME.flows.want are
// the flow records. Both come out the same twice, and the records are what
// their schema says.
func TestSamples(t *testing.T) {
	t.Chdir("../..") // captures are named as in the README
	captures, err := filepath.Glob("pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	schema := compiled(t, "flow")
	n := 0
	for _, capture := range captures {
		if strings.HasSuffix(capture, ".want") {
			continue
		}
		n++
		t.Run(filepath.Base(capture), func(t *testing.T) {
			t.Setenv("COLUMNS", "80")
			golden(t, capture+".want", "audit", "--color", "never", capture)
			records := golden(t, capture+".flows.want", "flows", "-o", "jsonl", capture)
			for line := range strings.Lines(records) {
				doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(doc); err != nil {
					t.Errorf("%v\n%s", err, line)
				}
			}
			for _, format := range report.All() {
				for _, kind := range []report.Kind{report.OfAudit, report.OfHosts, report.OfFlows} {
					command := string(kind)
					if !format.Writes(kind) {
						continue
					}
					if first, second := written(command, "-o", format.Name, capture), written(command, "-o", format.Name, capture); first != second {
						t.Errorf("%s -o %s differs from one run to the next", command, format.Name)
					}
				}
			}
		})
	}
	if n < 5 {
		t.Errorf("%d samples", n)
	}
}

// TestShowUsers looks for the user of the sample's SMB sessions: told when asked
// for, and at no other time.
func TestShowUsers(t *testing.T) {
	const capture, user = "../../pcaps/samples/files.pcapng", `LAB\\backup` // as JSON writes it
	if plain := written("flows", "-o", "jsonl", capture); plain == "" || strings.Contains(plain, user) {
		t.Error("a user is named unasked, or nothing is said at all")
	}
	if asked := written("flows", "-o", "jsonl", "--show-users", capture); !strings.Contains(asked, user) {
		t.Errorf("no %s:\n%s", user, asked)
	}
}

// golden holds what a command line writes against a file, and returns it.
func golden(t *testing.T, path string, args ...string) string {
	t.Helper()
	got := written(args...)
	holds(t, path, got)
	return got
}

// holds compares what the program writes with a file.
func holds(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: make golden writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the program writes now (make golden, and review the diff):\n%s", path, firstDifference(string(want), got))
	}
}

// written is what a command line writes to standard output.
func written(args ...string) string {
	var stdout, stderr bytes.Buffer
	execute(context.Background(), args, &stdout, &stderr)
	return stdout.String()
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return "- " + a + "\n+ " + b
		}
	}
	return ""
}

// compiled is one of the schemas that the program prints.
func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	text, _ := report.Schema(kind)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(kind, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestForeign runs the program over captures that others made, broken and
// hostile ones among them: it answers or declines in one line, and its records
// are what their schema says.
func TestForeign(t *testing.T) {
	var captures []string
	for _, pattern := range []string{"../../../shared/corpus/captures/*/*", "../../../shared/lab/site/*.pcap*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		captures = append(captures, found...)
	}
	if len(captures) == 0 {
		t.Skip("no captures of others: ../shared, beside the repository, is absent")
	}
	schema, audits, hosts := compiled(t, "flow"), compiled(t, "audit"), compiled(t, "hosts")
	for _, capture := range captures {
		var stdout, stderr bytes.Buffer
		status := execute(context.Background(), []string{"flows", "-o", "jsonl", capture}, &stdout, &stderr)
		if status != exitConforms && (status != exitError || strings.Count(stderr.String(), "\n") != 1) {
			t.Errorf("%s: status %d: %s", capture, status, stderr.String())
		}
		if first, second := stdout.String(), written("flows", "-o", "jsonl", capture); first != second {
			t.Errorf("%s: the records differ from one run to the next: %s", capture, firstDifference(first, second))
		}
		for line := range strings.Lines(stdout.String()) {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
			if err != nil {
				t.Errorf("%s: %v: %s", capture, err, line)
			} else if err := schema.Validate(doc); err != nil {
				t.Errorf("%s: %v\n%s", capture, err, line)
			}
		}
		for _, format := range report.All() {
			// EVE has a line for each finding, and there may be none.
			if text := written("audit", "-o", format.Name, capture); format.Audit != nil && format.Name != "eve" && status == exitConforms && text == "" {
				t.Errorf("%s: no audit as %s", capture, format.Name)
			}
		}
		if status != exitConforms {
			continue
		}
		for kind, schema := range map[string]*jsonschema.Schema{"audit": audits, "hosts": hosts} {
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(written(kind, "-o", "json", capture)))
			if err != nil {
				t.Errorf("%s: %s: %v", capture, kind, err)
			} else if err := schema.Validate(doc); err != nil {
				t.Errorf("%s: %s: %v", capture, kind, err)
			}
		}
	}
}

// TestFindingIDs reads every sample twice, under two names: no two findings or
// concerns of an audit have one id, and those of the second are those of the first.
func TestFindingIDs(t *testing.T) {
	captures, err := filepath.Glob("../../pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, capture := range captures {
		if strings.HasSuffix(capture, ".want") {
			continue
		}
		b, err := os.ReadFile(capture)
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(t.TempDir(), "again"+filepath.Ext(capture))
		if err := os.WriteFile(again, b, 0o600); err != nil {
			t.Fatal(err)
		}
		ids := func(capture string) (list []string) {
			var audit struct {
				Findings, Concerns []struct{ ID, Title string }
			}
			if err := json.Unmarshal([]byte(written("audit", "-o", "json", capture)), &audit); err != nil {
				t.Fatalf("%s: %v", capture, err)
			}
			seen := map[string]string{}
			for _, f := range slices.Concat(audit.Findings, audit.Concerns) {
				if other, is := seen[f.ID]; is || f.ID == "" {
					t.Errorf("%s: %q has the id %q, and so has %q", capture, f.Title, f.ID, other)
				}
				seen[f.ID] = f.Title
				list = append(list, f.ID+" "+f.Title)
			}
			return list
		}
		first, second := ids(capture), ids(again)
		if !slices.Equal(first, second) {
			t.Errorf("%s: findings\n%s\nthe second time\n%s", capture, strings.Join(first, "\n"), strings.Join(second, "\n"))
		}
		total += len(first)
	}
	if total == 0 {
		t.Error("no findings at all")
	}
}
