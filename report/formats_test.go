package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// everything is all that one format writes of hostile results.
func everything(t *testing.T, f Format) map[string]string {
	t.Helper()
	a, o := hostileAudit(t)
	o.Hosts = namedHosts{hostileText, a.Diagram.Component("agent")}
	flow := testFlow()
	flow.App = hostileText
	flow.Facts.SetText(0, hostileText)
	texts := map[string]string{}
	if f.Audit != nil {
		texts["audit"] = written(t, func(b *strings.Builder) error { return f.Audit(b, a, o) })
	}
	if f.Hosts != nil {
		texts["hosts"] = written(t, func(b *strings.Builder) error { return f.Hosts(b, a.Hosts, o) })
	}
	if f.Flows != nil {
		texts["flows"] = written(t, func(b *strings.Builder) error {
			w := f.Flows(b, o)
			for range 3 {
				if err := w.Flow(flow, testVerdict(a.Diagram)); err != nil {
					return err
				}
			}
			return w.Close()
		})
	}
	return texts
}

// TestHostile says that no format passes on what does something to a terminal,
// a browser or a spreadsheet.
func TestHostile(t *testing.T) {
	for _, f := range All() {
		for what, text := range everything(t, f) {
			lineEnd := "\n"
			if f.Name == "csv" {
				lineEnd = "\r\n"
			}
			for line := range strings.SplitSeq(text, lineEnd) {
				for _, c := range line {
					if hostile(c) {
						t.Fatalf("%s, %s: %q is in %q", f.Name, what, c, line)
					}
				}
				if strings.HasPrefix(line, "FAKE") {
					t.Errorf("%s, %s: a name makes a line of its own: %q", f.Name, what, line)
				}
			}
		}
	}
}

func TestHostileMarkdown(t *testing.T) {
	for what, text := range everything(t, markdown) {
		text = regexp.MustCompile(`\\[[:punct:]]`).ReplaceAllString(text, "") // escaped: no markup
		outside, inside := "", false
		for part := range strings.SplitSeq(text, "`") {
			if !inside {
				outside += part
			}
			inside = !inside
		}
		for _, bad := range []string{"<script", "](http", "://evil"} {
			if strings.Contains(outside, bad) {
				t.Errorf("%s: %q stands outside of code", what, bad)
			}
		}
	}
}

func TestHostileCSV(t *testing.T) {
	for what, text := range everything(t, csvFormat) {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // checks that rows are equally long
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(rows) < 3 {
			t.Errorf("%s: %d rows", what, len(rows))
		}
		guarded := 0
		for _, row := range rows {
			for _, v := range row {
				if v != "" && strings.ContainsRune("=+-@|%", rune(v[0])) && !isNumber(v) {
					t.Errorf("%s: a spreadsheet would run %q", what, v)
				}
				if strings.HasPrefix(v, "'=cmd()") {
					guarded++
				}
			}
		}
		if guarded == 0 {
			t.Errorf("%s: the formula is not there, guarded or not", what)
		}
	}
}

// TestCSVProtocols has a row of every protocol end where the head does, with a
// verdict and without.
func TestCSVProtocols(t *testing.T) {
	verdict := &rules.Verdict{Kind: rules.Blocked, Reasons: []rules.Because{{Reason: rules.SYNUnanswered}, {Reason: rules.UnknownSNI, Frame: pcaps.MakeFrameID(0, 9), Saw: "x.example"}}}
	for _, proto := range []uint8{flows.ProtoTCP, flows.ProtoUDP, flows.ProtoICMP, flows.ProtoSCTP, 50} {
		for _, v := range []*rules.Verdict{nil, verdict} {
			f := testFlow()
			f.Proto, f.TCP.RTT, f.App = proto, 0, "last"
			text := written(t, func(b *strings.Builder) error {
				w := newCSVFlows(b, &Options{Files: []string{"a.pcap"}})
				if err := w.Flow(f, v); err != nil {
					return err
				}
				return w.Close()
			})
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // checks that rows are equally long
			if err != nil || len(rows) != 2 {
				t.Fatalf("%s: %v, %d rows", flows.ProtoName(proto), err, len(rows))
			}
			at := func(name string) string { return rows[1][slices.Index(rows[0], name)] }
			want := [3]string{}
			if v != nil {
				want = [3]string{"blocked", "syn_unanswered unknown_sni", rules.SYNUnanswered.Explain() + "; " + rules.UnknownSNI.Explain() + ": x.example (frame 9)"}
			}
			if at("app") != "last" || at("zmtp.mechanism") != "CURVE" || at("duplicates_to_client") != "4" || at("vlan") != "20" ||
				[3]string{at("verdict"), at("reasons"), at("evidence")} != want {
				t.Errorf("%s: %q", flows.ProtoName(proto), rows[1])
			}
			retransmitted, port := "1", "51514"
			if proto != flows.ProtoTCP {
				retransmitted = ""
			}
			if !hasPorts(proto) {
				port = ""
			}
			if at("retransmitted_to_server") != retransmitted || at("client_port") != port {
				t.Errorf("%s: retransmitted %q, port %q", flows.ProtoName(proto), at("retransmitted_to_server"), at("client_port"))
			}
		}
	}
}

// TestChoices says in words which server a client chose.
func TestChoices(t *testing.T) {
	a, _ := testAudit(t)
	for _, c := range []struct {
		name   string
		change func(c *rules.Choice)
		want   string
	}{
		{"the farther one", func(*rules.Choice) {}, "agent1 pinged 203.0.113.12 9.00 ms, 203.0.113.10 40.2 ms and 1 more; used 203.0.113.10 (us5-cloud.acronis.com): 31.2 ms behind the closest"},
		{"the closest", func(c *rules.Choice) { c.Closest, c.Behind = true, 499 }, "the closest"},
		{"nearly", func(c *rules.Choice) { c.Closest, c.Behind = true, 500_000 }, "as close as the closest, 0.500 ms apart"},
		{"not pinged", func(c *rules.Choice) { c.Known = false }, "not known: it answered no echo"},
		{"none", func(c *rules.Choice) { c.Known, c.Used = false, netip.Addr{} }, "used nothing over TLS: "},
	} {
		choice := a.Choices[0]
		c.change(&choice)
		client, pinged, used, closest := choiceRow(&choice, 2)
		if got := client + " pinged " + pinged + "; used " + used + ": " + closest; !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestSummarize holds the page of the browser to the audit.
func TestSummarize(t *testing.T) {
	a, _ := testAudit(t)
	s := Summarize(a)
	if s.Result != Findings || s.Sign != "✗" || s.Headline != "DOES NOT CONFORM" || len(s.Findings) != len(a.Findings) || len(s.Concerns) != len(a.Concerns) {
		t.Fatalf("%+v", s)
	}
	if f := s.Findings[1]; f.Number != 2 || f.ID != a.Findings[1].ID || f.Kind != "undocumented" || f.Severity != "medium" || f.Flows != "1,204 flows" || f.Title != a.Findings[1].Title {
		t.Errorf("%+v", f)
	}
	if c := s.Concerns[0]; c.Number != 1 || c.Kind != "concern" || c.Flows != "2 flows" || c.Severity != "high" {
		t.Errorf("%+v", c)
	}
	var tally []string
	for _, c := range s.Tally {
		tally = append(tally, c.Kind+" "+c.Flows)
	}
	if got := strings.Join(tally, ", "); got != "violation 3, undocumented 24, blocked 1, indeterminate 2, documented 130, ambient 38, out_of_scope 3" {
		t.Error(got)
	}
}

// TestJSON says that names come back from JSON as they were.
func TestJSON(t *testing.T) {
	text := everything(t, jsonFormat)["hosts"]
	var doc struct {
		Schema string
		Hosts  []struct {
			Address, Name string
			Roles         []struct {
				Role       string
				Confidence float64
				Because    []struct{ Says string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(strings.ReplaceAll(hostileText, "\xff\xfe", "\ufffd\ufffd"), "\x9b", "\ufffd")
	if h := doc.Hosts[0]; doc.Schema != "wirechart/hosts/v1" || h.Address != "10.20.30.11" || h.Name != want ||
		h.Roles[0].Role != "management-server" || h.Roles[0].Confidence != 0.97 || h.Roles[0].Because[0].Says != want {
		t.Errorf("%+v", h)
	}
}

func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	text, ok := Schema(kind)
	if !ok {
		t.Fatalf("no schema of %s", kind)
	}
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

// validate holds text to a schema, and to have no member that the schema does
// not describe.
func validate(t *testing.T, s *jsonschema.Schema, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	undescribed(t, s, doc, "")
}

// undescribed looks for members that the schema does not describe: readers may
// meet them one day (inside v1 members are added), the program must not write
// them.
func undescribed(t *testing.T, s *jsonschema.Schema, doc any, at string) {
	t.Helper()
	switch v := doc.(type) {
	case map[string]any:
		more, _ := s.AdditionalProperties.(*jsonschema.Schema)
		for name, member := range v {
			p := s.Properties[name]
			if p == nil {
				p = more
			}
			if p == nil {
				t.Errorf("the schema does not describe %s.%s", at, name)
				continue
			}
			undescribed(t, p, member, at+"."+name)
		}
	case []any:
		items, _ := s.Items.(*jsonschema.Schema)
		if items == nil {
			items = s.Items2020
		}
		for _, x := range v {
			if items != nil {
				undescribed(t, items, x, at+"[]")
			}
		}
	}
}

func TestSchemas(t *testing.T) {
	flow, audit, hosts := compiled(t, "flow"), compiled(t, "audit"), compiled(t, "hosts")
	validate(t, audit, everything(t, jsonFormat)["audit"])
	validate(t, hosts, everything(t, jsonFormat)["hosts"])
	// Whatever is written says which schema it has, and it does.
	seen := map[string]bool{}
	for _, format := range []Format{jsonFormat, jsonlFormat} {
		for kind, text := range everything(t, format) {
			documents := []string{text}
			if format.Name == jsonlFormat.Name {
				documents = slices.Collect(strings.Lines(text))
			}
			for _, text := range documents {
				var doc struct{ Schema string }
				if err := json.Unmarshal([]byte(text), &doc); err != nil {
					t.Fatalf("%s: %v: %s", kind, err, text)
				}
				name := strings.TrimSuffix(strings.TrimPrefix(doc.Schema, "wirechart/"), "/v1")
				seen[name] = true
				validate(t, compiled(t, name), text)
			}
		}
	}
	for _, name := range []string{"flow", "flows", "audit", "summary", "finding", "concern", "edge", "host", "hosts"} {
		if !seen[name] {
			t.Errorf("nothing that is a %s", name)
		}
	}
	r := newRecorder(&Options{})
	validate(t, flow, string(r.record(testFlow(), nil)))
	udp := &flows.Flow{Frame: 1, Proto: flows.ProtoUDP, Client: endpoint("[::1]:5"), Server: endpoint("[::1]:6"), ICMP: testFlow().ICMP}
	validate(t, flow, string(r.record(udp, nil)))
	validate(t, flow, string(r.record(udp, &rules.Verdict{Kind: rules.OutOfScope})))

	a := &rules.Audit{Diagram: testDiagram(t)}
	validate(t, audit, written(t, func(b *strings.Builder) error { return jsonFormat.Audit(b, a, &Options{}) }))
	validate(t, hosts, written(t, func(b *strings.Builder) error { return jsonFormat.Hosts(b, nil, &Options{}) }))

	for _, bad := range []string{`{}`, `{"schema":"wirechart/flow/v2"}`} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if flow.Validate(doc) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}

// TestFlowsJSON reads the document of all flows back.
func TestFlowsJSON(t *testing.T) {
	for n := range 3 {
		text := written(t, func(b *strings.Builder) error {
			w := jsonFormat.Flows(b, &Options{})
			for range n {
				if err := w.Flow(testFlow(), nil); err != nil {
					return err
				}
			}
			return w.Close()
		})
		var doc struct {
			Schema string
			Flows  []struct{ ID int }
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Schema != FlowsSchema || len(doc.Flows) != n {
			t.Errorf("%d flows: %v %+v", n, err, doc)
		}
	}
}

// TestFormats says that every format writes what it has room for, and that an error of
// the writer comes back.
func TestFormats(t *testing.T) {
	var names []string
	for _, f := range All() {
		names = append(names, f.Name)
		if f.Doc == "" || f.Audit == nil && f.Flows == nil {
			t.Errorf("format %s is not whole", f.Name)
		}
		a, o := testAudit(t)
		for what, text := range everything(t, f) {
			if text == "" {
				t.Errorf("%s writes nothing of %s", f.Name, what)
			}
		}
		if f.Audit != nil && f.Audit(brokenWriter{}, a, o) == nil || f.Hosts != nil && f.Hosts(brokenWriter{}, a.Hosts, o) == nil {
			t.Errorf("%s does not notice that it cannot write", f.Name)
		}
		if f.Flows != nil {
			if w := f.Flows(brokenWriter{}, o); w.Flow(testFlow(), testVerdict(a.Diagram)) == nil && w.Close() == nil {
				t.Errorf("%s does not notice that it cannot write flows", f.Name)
			}
		}
		first, second := everything(t, f), everything(t, f)
		for what := range first {
			if first[what] != second[what] {
				t.Errorf("%s writes %s differently the second time", f.Name, what)
			}
		}
	}
	if want := []string{"table", "wide", "json", "jsonl", "csv", "markdown"}; !slices.Equal(names[:len(want)], want) {
		t.Errorf("formats %v, want %v and more", names, want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

// TestOutages says that every report tells of an interface that went down while
// it was captured from, and none of one that did not.
func TestOutages(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		says string
		json string
	}{{0, "", ""}, {1, "went down once", `"outages": 1`}, {3, "went down 3 times", `"outages": 3`}} {
		a, o := testAudit(t)
		a.Coverage.Captures.Files = a.Coverage.Captures.Files[:1]
		a.Coverage.Captures.Files[0].Format = "live"
		a.Coverage.Captures.Files[0].Outages = c.n
		for _, f := range []Format{table, wide, markdown, htmlFormat, jsonFormat} {
			page := written(t, func(b *strings.Builder) error { return f.Audit(b, a, o) })
			want := c.says
			if f.Name == jsonFormat.Name {
				want = c.json
			}
			if told := strings.Contains(page, "went down") || strings.Contains(page, `"outages"`); told != (c.n > 0) || !strings.Contains(page, want) {
				t.Errorf("%s does not say %q of %d outages", f.Name, want, c.n)
			}
		}
	}
}

// TestLeaps says that every report tells of times that cannot be trusted.
func TestLeaps(t *testing.T) {
	for _, n := range []uint64{0, 1, 2} {
		a, o := testAudit(t)
		a.Coverage.Captures.Files[0].Leaps, a.Coverage.Captures.Files[0].LeapFrame = n, 40*n
		for _, f := range []Format{table, wide, markdown, htmlFormat, jsonFormat} {
			page := strings.Join(strings.Fields(written(t, func(b *strings.Builder) error { return f.Audit(b, a, o) })), " ")
			if told := strings.Contains(page, "not to be trusted") || strings.Contains(page, `"leap_frame": `); told != (n > 0) {
				t.Errorf("%s: %d leaps told: %t", f.Name, n, told)
			}
		}
	}
}
