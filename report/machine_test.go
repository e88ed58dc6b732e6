package report

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"os"
	"slices"
	"strings"
	"testing"

	"wirechart/rules"
)

// TestSARIF holds audits, hostile ones too, against the schema of OASIS.
func TestSARIF(t *testing.T) {
	schema, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	a, o := testAudit(t)
	text := written(t, func(b *strings.Builder) error { return auditSARIF(b, a, o) })
	valid(t, schema, text)
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	results := log.Runs[0].Results
	if len(results) != len(a.Findings)+len(a.Concerns) || results[0].RuleID != "zmtp_mechanism_null" || results[0].Level != "error" ||
		results[0].Locations[0].Physical.Artifact.URI != "captures/monday.pcapng" || results[0].Related[0].Physical.Region.StartLine == 0 {
		t.Errorf("%+v", results)
	}
	for i, r := range results {
		if log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result %d is of rule %s by name and of another by number", i, r.RuleID)
		}
	}
	a, o = hostileAudit(t)
	a.Findings[0].Kind = rules.Indeterminate
	valid(t, schema, written(t, func(b *strings.Builder) error { return auditSARIF(b, a, o) }))
	valid(t, schema, written(t, func(b *strings.Builder) error { return auditSARIF(b, &rules.Audit{}, &Options{}) }))
}

// With a baseline, all that SARIF has is new, and the captures that a live run
// sums up are no file.
func TestSARIFBaseline(t *testing.T) {
	a, o := testAudit(t)
	a.Baseline = &rules.Baseline{File: "monday.json"}
	a.Coverage.Captures.Files[1].Sum = 9
	var log sarifLog
	if err := json.Unmarshal([]byte(written(t, func(b *strings.Builder) error { return auditSARIF(b, a, o) })), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for _, r := range run.Results {
		if r.Baseline != "new" {
			t.Errorf("%s is %q", r.RuleID, r.Baseline)
		}
	}
	if len(run.Artifacts) != 1 || run.Artifacts[0].Location.URI != "captures/monday.pcapng" {
		t.Errorf("files %+v", run.Artifacts)
	}
}

func TestFileURI(t *testing.T) {
	for name, want := range map[string]string{
		"a/b.pcap": "a/b.pcap", "/captures/a b.pcap": "file:///captures/a%20b.pcap", "12:30.pcap": "./12:30.pcap", "a/12:30.pcap": "a/12:30.pcap", "50%.pcap": "50%25.pcap",
	} {
		if got := fileURI(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestJUnitBaseline has what is known pass, with a word of it, and what is new
// fail.
func TestJUnitBaseline(t *testing.T) {
	a, o := testAudit(t)
	a.Baseline = &rules.Baseline{File: "monday.json", Known: 1}
	a.Findings = a.Findings[:1] // of agent-messages
	var suites junitSuites
	if err := xml.Unmarshal([]byte(written(t, func(b *strings.Builder) error { return auditJUnit(b, a, o) })), &suites); err != nil {
		t.Fatal(err)
	}
	for i := range a.Edges {
		c, known := suites.Suites[0].Cases[i], a.Edges[i].Status == rules.EdgeViolated || a.Edges[i].Status == rules.EdgeBlocked
		fails := a.Edges[i].Edge == a.Findings[0].Edge
		if (c.Failure != nil) != fails || strings.Contains(c.Out, "known from monday.json") != (known && !fails) {
			t.Errorf("%s, %s: %+v", a.Edges[i].Edge.ID, a.Edges[i].Status, c)
		}
	}
	if others := suites.Suites[1]; others.Tests != 1 || others.Failures != 0 || others.Cases[0].Name != "no such traffic" {
		t.Errorf("%+v", others)
	}
}

// TestJUnit counts test cases as a CI system would.
func TestJUnit(t *testing.T) {
	a, o := testAudit(t)
	text := written(t, func(b *strings.Builder) error { return auditJUnit(b, a, o) })
	var suites junitSuites
	if err := xml.Unmarshal([]byte(text), &suites); err != nil {
		t.Fatal(err)
	}
	edges := suites.Suites[0]
	if edges.Tests != len(a.Diagram.Edges) || len(edges.Cases) != edges.Tests {
		t.Errorf("%d test cases for %d edges", len(edges.Cases), len(a.Diagram.Edges))
	}
	skipped, failed := 0, 0
	for i := range a.Edges {
		c, e := edges.Cases[i], &a.Edges[i]
		bad := e.Status == rules.EdgeViolated || e.Status == rules.EdgeBlocked || slices.ContainsFunc(a.Findings, func(f rules.Finding) bool {
			return f.Edge == e.Edge && (f.Kind == rules.Violation || f.Kind == rules.Blocked)
		})
		switch {
		case bad:
			failed++
		case e.Status != rules.EdgeSeen:
			skipped++
		}
		if (c.Failure != nil) != bad || !strings.HasPrefix(c.Name, a.Edges[i].Edge.ID+" ") {
			t.Errorf("%s, %s: %+v", a.Edges[i].Edge.ID, a.Edges[i].Status, c)
		}
	}
	if edges.Failures != failed || edges.Skipped != skipped || failed < 3 || skipped < 3 {
		t.Errorf("%d failures and %d skipped, want %d and %d", edges.Failures, edges.Skipped, failed, skipped)
	}
	if suites.Failures != edges.Failures+1 || suites.Suites[1].Cases[0].Failure.Type != "unknown_host" {
		t.Errorf("%+v", suites.Suites[1])
	}
	a, o = hostileAudit(t)
	if err := xml.Unmarshal([]byte(written(t, func(b *strings.Builder) error { return auditJUnit(b, a, o) })), &suites); err != nil {
		t.Error(err)
	}
}

// messages keeps what is written, one message a write.
type messages [][]byte

func (m *messages) Write(b []byte) (int, error) {
	*m = append(*m, slices.Clone(b))
	return len(b), nil
}

// TestIPFIX reads the messages by their lengths: each ends where it says, sequence
// numbers count records, and templates come first and, in datagrams, again.
func TestIPFIX(t *testing.T) {
	for _, datagram := range []bool{false, true} {
		var m messages
		w := NewIPFIX(&m, datagram)
		const n = 500
		for i := range n {
			f := testFlow()
			if i%3 == 0 {
				f.Client, f.Server = endpoint("10.0.0.1:50000"), endpoint("10.0.0.2:443")
			}
			if f.Client.Addr().Is4() != f.Server.Addr().Is4() {
				f.Client = endpoint("[fd00::1]:50000")
			}
			if err := w.Flow(f, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// Type and code of ICMP are one element in IPv4 and another one in IPv6.
		if bytes.Count(m[0], []byte{0, 32, 0, 2, 0, 96}) != 1 || bytes.Count(m[0], []byte{0, 139, 0, 2, 0, 96}) != 1 {
			t.Errorf("templates % x", m[0])
		}
		templates, records := 0, 0
		for i, b := range m {
			id, length := binary.BigEndian.Uint16(b[16:]), int(binary.BigEndian.Uint16(b[18:]))
			if binary.BigEndian.Uint16(b) != 10 || int(binary.BigEndian.Uint16(b[2:])) != len(b) || length != len(b)-16 || len(b) > 1500 {
				t.Fatalf("message %d: %x", i, b[:20])
			}
			if got := int(binary.BigEndian.Uint32(b[8:])); got != records {
				t.Errorf("message %d: sequence number %d behind %d records", i, got, records)
			}
			if id == 2 {
				templates++
				continue
			}
			if i == 0 {
				t.Error("records before their templates")
			}
			size := 12 // addresses and ports
			if id == 257 {
				size = 36
			}
			size += 1 + 6*8 + 4 + 2 + 2 + 12 + 2 + 5 // "zmtp" and its length
			if (length-4)%size != 0 {
				t.Errorf("message %d: %d bytes are no number of records of %d", i, length-4, size)
			}
			records += (length - 4) / size
		}
		if records != n || (templates > 1) != datagram {
			t.Errorf("%d records, templates %d times, datagrams %t", records, templates, datagram)
		}
	}
}
