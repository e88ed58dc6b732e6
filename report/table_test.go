package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

func auditText(t *testing.T, format string, a *rules.Audit, o *Options) string {
	t.Helper()
	f, ok := Named(format)
	if !ok {
		t.Fatalf("no format %q", format)
	}
	return written(t, func(b *strings.Builder) error { return f.Audit(b, a, o) })
}

// TestAuditTable looks for what a person must find in the report.
func TestAuditTable(t *testing.T) {
	a, o := testAudit(t)
	text := auditText(t, "table", a, o)
	for _, want := range []string{
		"✗ DOES NOT CONFORM: 28 of 160 flows: 3 violations, 24 undocumented, 1 blocked.\n",
		"  ! captures/tuesday.pcap.gz is damaged: read up to frame 1212, byte 73018: file\n    ends inside a packet record: 40 of 96 bytes\n",
		"  ! 811 of 35,563 frames cut by the snap length (128 bytes)",
		"  ! 3 TCP flows captured in one direction only\n",
		"  1  VIOLATION  agent → management-server  tcp/7780                      3 flows\n",
		"     10.20.30.22:51514 > 10.20.30.11:7780, monday.pcapng:2044: both greetings\n     say NULL\n",
		"     zmtp_mechanism_null, edge agent-messages (acronis-cyber-protect:",
		"     → " + rules.ZMTPMechanismNull.Do() + "\n",
		"  2  UNDOCUMENTED  10.20.30.21 → storage-node  tcp/9876              1,204 flows\n",
		"  ✗ violated   storage-node-messages     tcp/7780  12  3 violations,\n",
		"    Both ends are in these captures, and neither called the other: updates-https",
		"  management-server  10.20.30.11 ms.backup.example (97%): answers ZMTP CURVE on\n                     7780 for 5 clients (monday.pcapng:41)\n",
		"  · no host found for: catalog,",
		"     A host without a role calls the storage node.\n",
		"  high   2 flows  SMB1 was used:",
		"  · agent1 pinged 203.0.113.12 9.00 ms, 203.0.113.10 40.2 ms, 203.0.113.11 no\n    answer; then used 203.0.113.10 (us5-cloud.acronis.com): 31.2 ms behind the\n    closest\n",
		"   38  ambient        12.0 kB",
		"  · Two hosts share the MAC address of the router 10.20.30.1",
		"\nNext\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, e := range a.Edges {
		if !strings.Contains(text, e.Edge.ID) {
			t.Errorf("the report lacks edge %s", e.Edge.ID)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestManyFindings says that findings that are alike share a line, that each other
// kind has its own, and that what is left out is counted.
func TestManyFindings(t *testing.T) {
	a, o := testAudit(t)
	for i := 3; i < 60; i++ {
		f := a.Findings[1]
		f.From, f.Flows = fmt.Sprintf("10.9.0.%d", i), 2
		if i%2 == 0 {
			f.Service = "tcp/9877"
		}
		if i >= 50 { // the reason differs
			f.Reason = rules.Reason(int(rules.NoReason) + i)
			f.Title = fmt.Sprintf("%s to %s at %s: for reason %d.", f.From, f.To, f.Service, i)
		}
		a.Findings = append(a.Findings, f)
	}
	text := auditText(t, "table", a, o)
	flat := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		"7+ undocumented 44 10.9.0.6, 10.9.0.8 and 20 more → storage-node tcp/9877:",
		"8+ undocumented 44 10.9.0.7, 10.9.0.9 and 20 more → storage-node tcp/9876:",
		"51 undocumented 2 10.9.0.50 → storage-node tcp/9877: For reason 50:",
		"60 undocumented 2 10.9.0.59 → storage-node tcp/9876: For reason 59:",
		"a + marks several kinds in one line, numbered as the first; -o wide writes out all 60",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(text, " kinds more") || t.Failed() {
		t.Error(text)
	}
	for len(a.Findings) < 160 {
		f := a.Findings[59]
		f.Title = fmt.Sprintf("%s to %s at %s: for reason %d.", f.From, f.To, f.Service, len(a.Findings))
		a.Findings = append(a.Findings, f)
	}
	text = auditText(t, "table", a, o)
	if want := fmt.Sprintf("and %d kinds more, of %d flows\n", 160-50-38, (160-50-38)*2); !strings.Contains(text, want) {
		t.Errorf("the report lacks %q:\n%s", want, text)
	}
	text = auditText(t, "wide", a, o)
	if want := " 60  UNDOCUMENTED  10.9.0.59 → storage-node"; !strings.Contains(text, want) {
		t.Errorf("the wide report lacks %q", want)
	}
}

// TestAlike puts together what differs in one thing, and nothing that differs in two.
func TestAlike(t *testing.T) {
	var list []rules.Finding
	for _, ends := range [][3]string{
		{"agent", "catalog", "tcp/1"}, {"agent", "catalog", "tcp/2"}, {"agent", "10.0.0.1", "tcp/1"},
		{"agent", "10.0.0.2", "tcp/1"}, {"agent", "10.0.0.3", "tcp/2"}, {"10.0.0.4", "10.0.0.1", "tcp/1"}, {"10.0.0.4", "10.0.0.2", "tcp/1"},
	} {
		list = append(list, rules.Finding{Kind: rules.Undocumented, Reason: rules.UnknownHost, From: ends[0], To: ends[1], Service: ends[2], Title: "Nobody knows."})
	}
	var got []string
	for _, l := range gather(list, 0) {
		got = append(got, strings.TrimSuffix(l.String(), ": Nobody knows"))
	}
	want := []string{"agent → catalog tcp/1 and tcp/2", "agent → 10.0.0.1 and 10.0.0.2 tcp/1", "agent → 10.0.0.3 tcp/2",
		"10.0.0.4 → 10.0.0.1 tcp/1", "10.0.0.4 → 10.0.0.2 tcp/1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAuditWidth holds every line within the terminal, whatever its width and
// whatever is in the names.
func TestAuditWidth(t *testing.T) {
	for _, width := range []int{60, 80, 100, 120, 200} {
		for name, make := range map[string]func(*testing.T) (*rules.Audit, *Options){"plain": testAudit, "hostile": hostileAudit} {
			t.Run(fmt.Sprint(name, width), func(t *testing.T) {
				a, o := make(t)
				o.Width = width
				for _, format := range []string{"table", "wide"} {
					for line := range strings.Lines(auditText(t, format, a, o)) {
						line = strings.TrimSuffix(line, "\n")
						if n := cells(line); n > max(width, 80) {
							t.Errorf("%s: %d columns: %q", format, n, line)
						}
						if strings.TrimRight(line, " ") != line {
							t.Errorf("%s: space at the end: %q", format, line)
						}
					}
				}
			})
		}
	}
}

// TestColor says that colours add escape sequences and change nothing else.
func TestColor(t *testing.T) {
	a, o := testAudit(t)
	plain := auditText(t, "table", a, o)
	o.Color = true
	colored := auditText(t, "table", a, o)
	if !strings.Contains(colored, "\x1b[1;31m✗ DOES NOT CONFORM\x1b[0m:") {
		t.Errorf("the headline is not red: %q", colored[:80])
	}
	for _, st := range []style{bold, dim, red, green, yellow, cyan} {
		colored = strings.ReplaceAll(colored, "\x1b["+string(st)+"m", "")
	}
	if colored = strings.ReplaceAll(colored, "\x1b[0m", ""); colored != plain {
		t.Errorf("without its escapes the coloured report differs from the plain one:\n%s", colored)
	}
}

func TestAnswer(t *testing.T) {
	counts := func(pairs ...int) (v [len(rules.Audit{}.Verdicts)]rules.Count) {
		for i := 0; i < len(pairs); i += 2 {
			v[pairs[i]].Flows = uint64(pairs[i+1])
		}
		return v
	}
	const documented, violation, undecided, ambient, blocked = int(rules.Documented), int(rules.Violation), int(rules.Indeterminate), int(rules.Ambient), int(rules.Blocked)
	for _, c := range []struct {
		name     string
		verdicts [len(rules.Audit{}.Verdicts)]rules.Count
		lossy    bool
		early    uint64
		result   Result
		says     string
	}{
		{"documented", counts(documented, 2, ambient, 1), false, 0, Conforms, "CONFORMS: all 2 flows of its components are as documented."},
		{"violation", counts(documented, 2, violation, 1), false, 0, Findings, "DOES NOT CONFORM: 1 of 3 flows is a violation."},
		{"violation beats loss", counts(violation, 1, undecided, 1), true, 0, Findings, "DOES NOT CONFORM: 1 of 2 flows is a violation."},
		{"violations", counts(documented, 1, violation, 2), false, 0, Findings, "DOES NOT CONFORM: 2 of 3 flows are violations."},
		{"blocked", counts(documented, 8, blocked, 24), false, 0, Findings, "DOES NOT CONFORM: 24 of 32 flows are blocked."},
		{"several ways", counts(documented, 1, violation, 1, blocked, 1), false, 0, Findings, "DOES NOT CONFORM: 2 of 3 flows: 1 violation, 1 blocked."},
		{"undecided", counts(documented, 2, undecided, 1), false, 0, Undecided, "UNDECIDED: these captures cannot decide 1 of 3 flows."},
		{"lossy", counts(documented, 2), true, 0, Undecided, "UNDECIDED: too much is missing from these captures; 2 flows as documented."},
		{"early", counts(documented, 2), false, 1, Undecided, "UNDECIDED: 1 flow had to be judged before all was read (--max-flows); 2 flows as documented."},
		{"nothing", counts(ambient, 2), false, 0, Undecided, "UNDECIDED: nothing in these captures belongs to the diagram."},
		{"empty", counts(), false, 0, Undecided, "UNDECIDED: there are no flows in these captures."},
	} {
		a := &rules.Audit{Verdicts: c.verdicts}
		a.Coverage.Lossy, a.Coverage.Decoded.Early = c.lossy, c.early
		headline, sentence := answer(a)
		if got := headline + ": " + sentence; ResultOf(a) != c.result || got != c.says {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, ResultOf(a), got, c.result, c.says)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{strings.Join(wrap("the quick brown fox", 10, 2), "|"), "the quick|  brown|  fox"},
		{strings.Join(wrap("quick (frame 145)", 13, 2), "|"), "quick|  (frame 145)"},
		{strings.Join(wrap("frame 12345678", 8, 0), "|"), "frame|12345678"},
		{strings.Join(wrap("0123456789abcdef", 10, 0), "|"), "0123456789|abcdef"},
		{strings.Join(wrap("site.pcapng:1787", 13, 0), "|"), "site.pcapng:|1787"},
		{strings.Join(wrap("x:123456789012", 10, 0), "|"), "x:|1234567890|12"},
		{strings.Join(wrap("a 漢字漢字漢字漢字", 10, 0), "|"), "a|漢字漢字漢|字漢字"},
		{strings.Join(wrap("", 10, 0), "|"), ""},
		{clip("management-server", 10), "managemen…"},
		{clip("漢字漢字", 5), "漢字…"},
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(1234567), "1,234,567"},
		{size(999), "999 B"}, {size(1000), "1.0 kB"}, {size(18_402_113), "18.4 MB"}, {size(999_999), "1.0 MB"}, {size(123_456), "123 kB"},
		{span(1_500_000), "1.5ms"}, {span(2531 * 1e9), "42m11s"}, {span(93_784 * 1e9), "1d2h3m"},
		{count(1, "flow"), "1 flow"}, {count(2, "flow"), "2 flows"},
		{Clean("a\tb\nc"), "a b c"}, {Clean("\x1b[31mred\x07\u202e\xff"), "�[31mred���"}, {Clean("naïve 漢字"), "naïve 漢字"},
		{tail("a/b/c/site.pcap", 12), "…/site.pcap"}, {tail("site.pcap", 12), "site.pcap"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// What was captured of encrypted links, and of no flow at all, is not praised for
// having both directions.
func TestNothingToRead(t *testing.T) {
	a := &rules.Audit{Diagram: &rules.Diagram{Name: "test"}}
	a.Coverage.Captures.Files = []pcaps.FileStats{{Name: "air.pcap", Frames: 7}}
	read := func(outcome flows.Outcome) string {
		a.Coverage.Decoded = flows.Stats{Packets: 7}
		a.Coverage.Decoded.Outcomes[outcome] = 7
		a.Coverage.Decoded.Unknown = []pcaps.LinkType{195, 9999}
		return auditText(t, "table", a, &Options{Width: 100})
	}
	for outcome, want := range map[flows.Outcome][2]string{
		flows.NotIP:       {"✓ whole frames, nothing missing\n", "where the components talk"},
		flows.Encrypted:   {"! 7 frames encrypted by the link (Wi-Fi or MACsec)", "where the frames are not encrypted"},
		flows.UnknownLink: {"! 7 frames of a link type that is not understood: IEEE802_15_4 (195), 9999\n", "an interface of another kind"},
	} {
		text := read(outcome)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing from\n%s", outcome, w, text)
			}
		}
	}
}

// The built-in diagram's edges fit a terminal of 80 columns, whatever is said of them.
func TestEdgesFit(t *testing.T) {
	d, ok := rules.Builtin(rules.DefaultDiagram)
	if !ok {
		t.Fatal("no built-in diagram")
	}
	a := &rules.Audit{Diagram: d}
	for i := range d.Edges {
		e := rules.EdgeState{Edge: d.Edges[i], Status: rules.EdgeUndecided}
		e.Verdicts[rules.Indeterminate] = rules.Count{Flows: 12, Bytes: 1}
		a.Edges = append(a.Edges, e)
	}
	for line := range strings.Lines(auditText(t, "table", a, &Options{Width: 80})) {
		if n := cells(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// The commands of the next steps are about the same results: the same captures
// and flags, as a shell takes them.
func TestNextCommands(t *testing.T) {
	a, o := testAudit(t)
	o.Width = 140
	for _, c := range []struct {
		files, again []string
		want         string
	}{
		{[]string{"site.pcapng"}, nil, "explain site.pcapng --finding 1"},
		{[]string{"in.pcap", "out.pcap"}, []string{"--inventory", "my hosts.yaml"}, "explain in.pcap out.pcap --inventory 'my hosts.yaml' --finding 1"},
		{[]string{"$(x)'s.pcap"}, []string{"-f", "tcp port 80"}, `explain '$(x)'\''s.pcap' -f 'tcp port 80' --finding 1`},
		{[]string{strings.Repeat("long/", 30)}, []string{"-c", "9"}, "explain CAPTURE -c 9 --finding 1"},
		{[]string{"-"}, nil, "explain CAPTURE --finding 1"},
		{[]string{"a\x1bb"}, nil, "explain CAPTURE --finding 1"},
		{nil, nil, "explain CAPTURE --finding 1"},
	} {
		o.Files, o.Again = c.files, c.again
		if text := auditText(t, "table", a, o); !strings.Contains(text, "wirechart "+c.want+"\n") {
			t.Errorf("%q is missing from\n%s", c.want, text[strings.Index(text, "\nNext\n"):])
		}
	}
	a.Baseline = &rules.Baseline{}
	if text := auditText(t, "table", a, o); !strings.Contains(text, " --finding "+a.Findings[0].ID+"\n") {
		t.Error("the number of a finding among new ones is not its number without the baseline")
	}
}

// That a connection which no edge allows was refused is said, but not how to let
// it through.
func TestRefusedAndUndocumented(t *testing.T) {
	var text strings.Builder
	p := page{w: &text, o: &Options{Width: 100}}
	p.verdict(&flows.Flow{}, &rules.Verdict{Kind: rules.Undocumented, Reasons: []rules.Because{{Reason: rules.PortNotDocumented}, {Reason: rules.RSTToSYN}}})
	if got := text.String(); !strings.Contains(got, "rst_to_syn") || strings.Count(got, "→") != 1 {
		t.Error(got)
	}
}

// Round-trip times of a local network differ in digits that two decimals do not show.
func TestMilliseconds(t *testing.T) {
	for ns, want := range map[int64]string{0: "no answer", 30_000: "0.030 ms", 38_400: "0.038 ms", 1_234_567: "1.23 ms", 40_250_000: "40.2 ms", 312_400_000: "312 ms"} {
		if got := milliseconds(ns); got != want {
			t.Errorf("%d ns: %s, want %s", ns, got, want)
		}
	}
}

// The head of a flow and what is passed over fit the terminal with long addresses too.
func TestExplainFits(t *testing.T) {
	f := testFlow()
	f.Client, f.Server = endpoint("[2a00:d40:1:3:7aac:c0ff:fea7:d4c]:40526"), endpoint("[2a00:1450:4006:804::200e]:443")
	var text strings.Builder
	p := page{w: &text, o: &Options{Width: 80}}
	p.explained(&Explanation{}, &Explained{Story: &flows.Story{Flow: f}, Verdict: &rules.Verdict{}})
	p.left(&flows.Left{Frames: 71, Copies: 54, Payload: flows.Pair{100_000, 101_000}})
	if got := text.String(); !strings.HasPrefix(got, "Flow 7  tcp, zmtp  indeterminate\n  "+p.flow(f.Client, f.Server)+"\n") {
		t.Error(got)
	}
	for line := range strings.Lines(text.String()) {
		if n := cells(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
