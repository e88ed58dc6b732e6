package report

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"wirechart/rules"
)

// audited is an audit as it comes back from a file, of captures that decide all
// that they hold but for what change says.
func audited(t *testing.T, change func(a *rules.Audit)) *AuditDoc {
	t.Helper()
	a, o := testAudit(t)
	a.Verdicts[rules.Indeterminate] = rules.Count{}
	change(a)
	text := written(t, func(b *strings.Builder) error { return jsonFormat.Audit(b, a, o) })
	doc, err := ReadAudit("audit.json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDiff changes one thing at a time.
func TestDiff(t *testing.T) {
	same := func(*rules.Audit) {}
	open := func(a *rules.Audit) { a.Verdicts[rules.Indeterminate] = rules.Count{Flows: 2} }
	for _, c := range []struct {
		name          string
		before, after func(a *rules.Audit)
		result        Effect
		changes       []string // id and effect
	}{
		{"nothing", same, same, Other, nil},
		{"more of the same", same, func(a *rules.Audit) { a.Findings[0].Flows *= 10 }, Other, nil},
		{"a finding comes", func(a *rules.Audit) { a.Findings = a.Findings[1:] }, same, Worse, []string{"finding:f-zmtp_mechanism_null worse"}},
		{"a finding goes", same, func(a *rules.Audit) { a.Findings = a.Findings[1:] }, Better, []string{"finding:f-zmtp_mechanism_null better"}},
		{"what cannot be decided comes", func(a *rules.Audit) { a.Findings = a.Findings[1:] },
			func(a *rules.Audit) { a.Findings[0].Kind = rules.Indeterminate }, Other, []string{"finding:f-zmtp_mechanism_null other"}},
		{"a concern comes", func(a *rules.Audit) { a.Concerns = a.Concerns[1:] }, same, Other, []string{"finding:f-smb1 other"}},
		{"a finding spreads", same, func(a *rules.Audit) { a.Findings[0].Clients = append(a.Findings[0].Clients, addr("10.20.30.99")) },
			Worse, []string{"finding:f-zmtp_mechanism_null worse"}},
		{"a finding shrinks", func(a *rules.Audit) { a.Findings[0].Clients = append(a.Findings[0].Clients, addr("10.20.30.99")) }, same,
			Other, []string{"finding:f-zmtp_mechanism_null other"}},
		{"an edge breaks", same, func(a *rules.Audit) { a.Edges[0].Status = rules.EdgeViolated }, Worse, []string{"edge:agent-messages worse"}},
		{"an edge heals", same, func(a *rules.Audit) { a.Edges[1].Status = rules.EdgeSeen }, Better, []string{"edge:storage-node-messages better"}},
		{"an edge rests", same, func(a *rules.Audit) { a.Edges[0].Status = rules.EdgeNotSeen }, Other, []string{"edge:agent-messages other"}},
		{"a host changes roles", same, func(a *rules.Audit) { a.Hosts[2].Roles[0].Component = a.Diagram.Component("console") },
			Other, []string{"role:console@10.20.30.22 other", "role:agent@10.20.30.22 other"}},
		{"a host goes", same, func(a *rules.Audit) { a.Hosts = a.Hosts[1:] },
			Other, []string{"role:management-server@10.20.30.11 other", "host:10.20.30.11 other"}},
		{"a host comes", func(a *rules.Audit) { a.Hosts = a.Hosts[:len(a.Hosts)-1] }, same, Other, []string{"host:10.20.30.21 other"}},
		{"better and worse", func(a *rules.Audit) { a.Findings = a.Findings[1:] }, func(a *rules.Audit) { a.Findings = a.Findings[:1] },
			Worse, []string{"finding:f-zmtp_mechanism_null worse", "finding:f-unknown_host better", "finding:f-port_scan better"}},
		{"what cannot be decided stays", open, open, CannotTell, nil},
		{"what could not be decided is", open, same, Other, nil},
		{"lossy", same, func(a *rules.Audit) { a.Coverage.Lossy = true }, CannotTell, nil},
		{"judged early", same, func(a *rules.Audit) { a.Coverage.Decoded.Early = 1 }, CannotTell, nil},
		{"nothing seen", same, func(a *rules.Audit) { a.Verdicts, a.Findings = [len(a.Verdicts)]rules.Count{}, a.Findings[1:] },
			CannotTell, []string{"finding:f-zmtp_mechanism_null better"}},
		{"worse, and undecided", func(a *rules.Audit) { a.Findings = a.Findings[1:] }, open, Worse, []string{"finding:f-zmtp_mechanism_null worse"}},
	} {
		d := Diff("a.json", audited(t, c.before), "b.json", audited(t, c.after))
		var got []string
		for i := range d.Changes {
			got = append(got, d.Changes[i].ID+" "+string(d.Changes[i].Effect))
		}
		if d.Result != c.result || !slices.Equal(got, c.changes) {
			t.Errorf("%s: %s %q, want %s %q", c.name, d.Result, got, c.result, c.changes)
		}
	}
}

// TestDiffFormats says that every format that has room for a difference writes
// hostile ones without harm, and that the document is what its schema says.
func TestDiffFormats(t *testing.T) {
	a, o := hostileAudit(t)
	d := Diff(hostileText, audited(t, func(a *rules.Audit) { a.Findings, a.Hosts = nil, a.Hosts[1:] }), hostileText, newAuditDoc(a, o))
	n := 0
	for _, f := range All() {
		if f.Diff == nil {
			continue
		}
		n++
		text := written(t, func(b *strings.Builder) error { return f.Diff(b, d, o) })
		for line := range strings.Lines(text) {
			for _, c := range strings.TrimSuffix(line, "\n") {
				if hostile(c) {
					t.Fatalf("%s: %q is in %q", f.Name, c, line)
				}
			}
		}
		if !strings.Contains(text, "finding:f-zmtp_mechanism_null") {
			t.Errorf("%s: no finding in\n%s", f.Name, text)
		}
	}
	page := written(t, func(b *strings.Builder) error { return diffHTML(b, d, o) })
	if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;") || !strings.Contains(page, "default-src &#39;none&#39;") && !strings.Contains(page, "default-src 'none'") {
		t.Error("the page does not show names as text, or has no policy")
	}
	if n < 5 {
		t.Errorf("%d formats", n)
	}
	schema, _ := Schema("diff")
	valid(t, schema, written(t, func(b *strings.Builder) error { return jsonFormat.Diff(b, d, o) }))
}

// valid holds a document against a JSON Schema.
func valid(t *testing.T, schema []byte, text string) {
	t.Helper()
	var s any
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", s); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(doc); err != nil {
		t.Error(err)
	}
}

// TestBaseline leaves out what an earlier audit has, and no more.
func TestBaseline(t *testing.T) {
	baseline := audited(t, func(a *rules.Audit) { a.Findings = a.Findings[1:] })
	a, o := testAudit(t)
	SinceBaseline(a, "monday.json", baseline, o)
	if len(a.Findings) != 1 || a.Findings[0].Reason != rules.ZMTPMechanismNull || len(a.Concerns) != 0 || a.Baseline.Known != 4 || ResultOf(a) != Findings {
		t.Errorf("%+v left, %+v known, %s", a.Findings, a.Baseline, ResultOf(a))
	}
	other := func(s string) bool { return strings.Contains(s, "another diagram (own)") }
	if slices.ContainsFunc(a.Notes, other) {
		t.Errorf("notes %q", a.Notes)
	}
	a, o = testAudit(t)
	SinceBaseline(a, "monday.json", audited(t, func(a *rules.Audit) { d := *a.Diagram; d.Name, d.Parts = "own", nil; a.Diagram = &d }), o)
	if !slices.ContainsFunc(a.Notes, other) {
		t.Errorf("notes %q", a.Notes)
	}
	a, o = testAudit(t)
	SinceBaseline(a, "monday.json", audited(t, func(*rules.Audit) {}), o)
	if headline, sentence := answer(a); headline != "NOTHING NEW" || !strings.Contains(sentence, "5 findings that monday.json has") {
		t.Errorf("%s: %s", headline, sentence)
	}
	page := written(t, func(b *strings.Builder) error { return htmlFormat.Audit(b, a, o) })
	if !strings.Contains(page, "Nothing new</h1>") || strings.Contains(page, "Conforms</h1>") {
		t.Error("the page says that what is known conforms")
	}
	if ResultOf(a) != Undecided { // two flows of it are
		t.Error(ResultOf(a))
	}

	// What is known does not conform, whatever is left of the findings.
	a, o = testAudit(t)
	a.Verdicts[rules.Indeterminate], a.Coverage.Lossy, a.Coverage.Decoded.Early = rules.Count{}, false, 0
	SinceBaseline(a, "monday.json", audited(t, func(*rules.Audit) {}), o)
	if headline, sentence := answer(a); ResultOf(a) != Known || headline != "NOTHING NEW" || !strings.Contains(sentence, "does not conform, as before") {
		t.Errorf("%s, %s: %s", ResultOf(a), headline, sentence)
	}
	schema, _ := Schema("audit")
	doc := written(t, func(b *strings.Builder) error { return jsonFormat.Audit(b, a, o) })
	if valid(t, schema, doc); !strings.Contains(doc, `"result": "known"`) && !strings.Contains(doc, `"result":"known"`) {
		t.Errorf("the document does not say that it is known: %.300s", doc)
	}
	for _, k := range failing {
		a.Verdicts[k] = rules.Count{}
	}
	if headline, _ := answer(a); ResultOf(a) != Conforms || headline != "CONFORMS" {
		t.Errorf("with all of it gone it is %s, %s", ResultOf(a), headline)
	}
}

// TestBaselineAnswers says what is new, and how much that is known was left out.
func TestBaselineAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(a *rules.Audit)
		result  Result
		answers string
	}{
		{"new", func(*rules.Audit) {}, Findings, "NEW FINDINGS: of 1,208 flows; 1 finding that monday.json has as well is left out."},
		{"more known", func(a *rules.Audit) { a.Baseline.Known = 2; a.Findings = a.Findings[:1] }, Findings, "NEW FINDINGS: of 3 flows; 2 findings that monday.json has as well are left out."},
		{"what is new is undecided alone", func(a *rules.Audit) { a.Findings = a.Findings[:1]; a.Findings[0].Kind = rules.Indeterminate },
			Known, "NOTHING NEW: the traffic does not conform, as before; 1 finding that monday.json has as well is left out."},
		{"nothing new, undecided", func(a *rules.Audit) { a.Findings, a.Coverage.Lossy = nil, true },
			Undecided, "NOTHING NEW: as far as these captures can decide; 1 finding that monday.json has as well is left out."},
		{"conforms", func(a *rules.Audit) {
			a.Findings, a.Baseline.Known = nil, 0
			a.Verdicts = [len(a.Verdicts)]rules.Count{rules.Documented: {Flows: 1}}
		}, Conforms, "CONFORMS: the one flow of its components is as documented; 0 findings that monday.json has as well are left out."},
	} {
		a, _ := testAudit(t)
		a.Verdicts[rules.Indeterminate] = rules.Count{}
		a.Baseline = &rules.Baseline{File: "monday.json", Known: 1}
		c.change(a)
		headline, sentence := answer(a)
		if got := headline + ": " + sentence; ResultOf(a) != c.result || got != c.answers {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, ResultOf(a), got, c.result, c.answers)
		}
	}
}

// TestDiffSays reads what is said of changes and of what keeps two audits apart.
func TestDiffSays(t *testing.T) {
	same := func(*rules.Audit) {}
	for _, c := range []struct {
		name          string
		before, after func(a *rules.Audit)
		headline      string
		says          []string // changes, then notes
	}{
		{"nothing", same, same, "THE SAME", nil},
		{"an edge is new", func(a *rules.Audit) { a.Edges = a.Edges[1:] }, same, "NOT WORSE", []string{"The edge agent-messages is new in the diagram: seen."}},
		{"an edge is gone", same, func(a *rules.Audit) { a.Edges = a.Edges[1:] }, "NOT WORSE", []string{"The edge agent-messages is no longer in the diagram; it was seen."}},
		{"an edge is not used", same, func(a *rules.Audit) {
			a.Edges[0].Status, a.Edges[0].CouldShow, a.Edges[0].Why = rules.EdgeNotSeen, true, "nobody called."
		},
			"NOT WORSE", []string{"The edge agent-messages was seen before and is now not seen. Nobody called."}},
		{"an edge cannot be seen", same, func(a *rules.Audit) { a.Edges[0].Status, a.Edges[0].Why = rules.EdgeNotSeen, "no host." },
			"NOT WORSE", []string{"The edge agent-messages was seen before and is now not seen. These captures could not have shown it: no host."}},
		{"an edge breaks", same, func(a *rules.Audit) { a.Edges[0].Status = rules.EdgeBlocked }, "WORSE", []string{"The edge agent-messages was seen before and is now blocked."}},
		{"a broken edge breaks otherwise", same, func(a *rules.Audit) { a.Edges[1].Status = rules.EdgeBlocked }, "NOT WORSE", []string{"The edge storage-node-messages was violated before and is now blocked."}},
		{"another diagram", same, func(a *rules.Audit) { d := *a.Diagram; d.Name, d.Parts = "own", nil; a.Diagram = &d },
			"NOT WORSE", []string{"The audits used different diagrams: acronis-cyber-protect before, own after."}},
		{"losses", func(a *rules.Audit) { a.Coverage.Lossy = true }, func(a *rules.Audit) { a.Findings = a.Findings[1:] },
			"BETTER", []string{"No longer: management messages travel without encryption: the mechanism is NULL where the diagram requires CURVE", "Much is missing from the captures of the audit before."}},
	} {
		d := Diff("a.json", audited(t, c.before), "b.json", audited(t, c.after))
		var got []string
		for i := range d.Changes {
			got = append(got, d.Changes[i].Says)
		}
		got = append(got, d.Notes...)
		if !slices.Equal(got, c.says) {
			t.Errorf("%s: %q, want %q", c.name, got, c.says)
		}
		if len(d.Changes) == 0 && len(d.Notes) > 0 {
			continue
		}
		table := written(t, func(b *strings.Builder) error { return diffTable(b, d, &Options{Width: 400}) })
		page := written(t, func(b *strings.Builder) error { return diffMarkdown(b, d, &Options{}) })
		if i := strings.Index(table, "\n  ! "); len(d.Notes) > 0 && i > strings.Index(table, "\n\n") {
			t.Errorf("%s: what keeps the audits from being compared stands behind the changes:\n%s", c.name, table)
		}
		if !strings.Contains(table, c.headline+": ") || !strings.HasPrefix(page, "# "+c.headline+"\n") {
			t.Errorf("%s: not headed %q:\n%s", c.name, c.headline, table)
		}
		for _, s := range c.says {
			if !strings.Contains(table, s) || !strings.Contains(page, text(s)) {
				t.Errorf("%s: %q is neither in the table nor in Markdown:\n%s\n%s", c.name, s, table, page)
			}
		}
	}
}

// TestDiffSummary reads the sentence behind each result.
func TestDiffSummary(t *testing.T) {
	same := func(*rules.Audit) {}
	without := func(a *rules.Audit) { a.Findings = a.Findings[1:] }
	for _, c := range []struct {
		before, after func(a *rules.Audit)
		want          string
	}{
		{same, same, "Nothing has changed."},
		{same, func(a *rules.Audit) { a.Concerns = nil }, "Nothing is worse and nothing is better; 2 other changes."},
		{without, same, "1 change for the worse, 0 for the better, 0 other changes."},
		{same, without, "0 changes for the worse, 1 for the better, 0 other changes."},
		{same, func(a *rules.Audit) { without(a); a.Coverage.Lossy = true },
			"The later audit cannot tell whether anything is worse: too much is missing from these captures; 1 change for the better, 0 other changes."},
	} {
		if d := Diff("a.json", audited(t, c.before), "b.json", audited(t, c.after)); d.Summary != c.want {
			t.Errorf("%q, want %q", d.Summary, c.want)
		}
	}
}

// TestDiffTimes says that a period is told once, and a frame as it is given to
// other programs.
func TestDiffTimes(t *testing.T) {
	for _, c := range []struct{ first, last, want string }{
		{"2026-11-23T04:06:11Z", "2026-11-23T04:06:20Z", ", 2026-11-23 04:06 UTC"},
		{"2026-11-23T04:06:11Z", "2026-11-23T04:29:10Z", ", 2026-11-23 04:06 to 04:29 UTC"},
		{"2026-11-23T23:59:11Z", "2026-11-24T00:29:10Z", ", 2026-11-23 23:59 to 2026-11-24 00:29 UTC"},
		{"", "", ""},
	} {
		if got := when(&diffSide{First: c.first, Last: c.last}); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.first, c.last, got, c.want)
		}
	}
	c := changeDoc{ID: "finding:1", Example: &exampleDoc{Flow: "a > b", File: "x.pcap", Frame: 12345}}
	if got := c.proof(nil); !strings.HasSuffix(got, "x.pcap frame 12345") {
		t.Error(got)
	}
}
