package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/netip"
	"strings"
	"testing"

	"wirechart/flows"
)

// crossing is a flow that was seen at the client's side alone.
func crossing(fate flows.Fate, server string) flows.Crossing {
	p := &flows.Passage{Proto: flows.ProtoTCP, Client: netip.MustParseAddrPort("10.1.0.2:40000"), Server: netip.MustParseAddrPort(server),
		App: hostileText, Edge: hostileText, Packets: flows.Pair{3, 0}}
	x := flows.Crossing{Fate: fate, Lost: flows.Pair{3, 0}, Compared: flows.Pair{3, 0}, Dirs: [2]bool{true, false}}
	x.Seen[flows.Inside] = p
	x.At[flows.Inside] = flows.Moment{Frame: 7, Time: 1_700_000_000e9}
	return x
}

// TestCompareFormats has names, edges and files of hostile making.
func TestCompareFormats(t *testing.T) {
	c := &flows.Comparison{Packets: 1, Crossings: []flows.Crossing{crossing(flows.Dropped, "10.2.0.3:443"), crossing(flows.Dropped, "10.2.0.3:443"),
		crossing(flows.Rejected, "10.2.0.3:444"), crossing(flows.Answered, "10.2.0.4:1")}}
	sides := [2]CompareSide{
		{Name: hostileText, Files: []string{hostileText}, Hosts: namedHosts{name: hostileText}},
		{Name: hostileText, Files: []string{hostileText}, Hosts: namedHosts{name: hostileText}},
	}
	d := NewCompareDoc(c, sides)
	if d.Result != Between || len(d.Findings) != 3 || d.Findings[0].Flows != 2 || d.Findings[0].Lost != 6 || d.Fates["dropped"] != 2 {
		t.Errorf("%s, %d findings, %v", d.Result, len(d.Findings), d.Fates)
	}
	if want := "of 3 flows, 2 dropped, 1 rejected; 0 crossed."; !strings.HasSuffix(d.Summary, want) {
		t.Errorf("%q, not %q", d.Summary, want)
	}
	n := 0
	schema, ok := Schema("compare")
	if !ok {
		t.Fatal("no schema")
	}
	for _, f := range All() {
		if f.Compare == nil {
			continue
		}
		n++
		text := written(t, func(b *strings.Builder) error { return f.Compare(b, d, &Options{}) })
		for _, r := range text {
			if r != '\n' && hostile(r) {
				t.Errorf("%s: %q in the output", f.Name, r)
				break
			}
		}
		if f.Name == "json" {
			valid(t, schema, text)
			if !json.Valid([]byte(text)) {
				t.Error("not JSON")
			}
		}
	}
	if n < 5 {
		t.Errorf("%d formats", n)
	}
}

// TestCompareHTML has a page for each result: names are text on it, nothing is
// fetched, and it is well-formed.
func TestCompareHTML(t *testing.T) {
	sides := [2]CompareSide{{Name: hostileText, Files: []string{hostileText, hostileText}, Lossy: true}, {Name: hostileText, Files: []string{hostileText}}}
	far := *crossing(flows.Crossed, "10.2.0.3:445").Seen[flows.Inside]
	far.Server = netip.MustParseAddrPort("192.0.2.3:445")
	crossed := crossing(flows.Crossed, "10.2.0.3:445")
	crossed.Dirs, crossed.Lost = [2]bool{}, flows.Pair{}
	crossed.Seen[flows.Outside], crossed.ServerChanged, crossed.At[flows.Outside] = &far, true, flows.Moment{Frame: 9}
	for _, c := range []struct {
		list []flows.Crossing
		says []string
	}{
		{[]flows.Crossing{crossing(flows.Dropped, "10.2.0.3:443"), crossed}, []string{`class="top findings"`, "Yes", `href="#finding-1"`, `id="finding-1"`, "✗ dropped →",
			"192.0.2.3:445", "damaged or lost frames"}},
		{[]flows.Crossing{crossed}, []string{`class="top conforms"`, "No", "✓ crossed"}},
		{[]flows.Crossing{crossing(flows.Undecided, "10.2.0.3:443")}, []string{`class="top undecided"`, "Undecided", "? undecided"}},
		{nil, []string{`class="top undecided"`, "None."}},
	} {
		d := NewCompareDoc(&flows.Comparison{Packets: 1, Crossings: c.list}, sides)
		page := written(t, func(b *strings.Builder) error { return compareHTML(b, d, &Options{}) })
		for _, s := range c.says {
			if !strings.Contains(html.UnescapeString(page), s) {
				t.Errorf("%q is not on the page", s)
			}
		}
		if len(c.list) > 0 && c.list[0].Fate != flows.Undecided && !strings.Contains(page, "&lt;script&gt;") {
			t.Error("the page does not show names as text")
		}
		harmless(t, page)
		balanced(t, page)
	}
}

// balanced holds each tag of a page against its end.
func balanced(t *testing.T, page string) {
	t.Helper()
	var open []string
	z := xml.NewDecoder(strings.NewReader(page))
	z.Strict, z.AutoClose, z.Entity = false, []string{"meta"}, xml.HTMLEntity
	for {
		switch token, err := z.Token(); e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
		case xml.EndElement:
			if n := len(open); n == 0 || open[n-1] != e.Name.Local {
				t.Fatalf("</%s> ends %v", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		default:
			if err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) || len(open) > 0 {
				t.Errorf("%v is open at the end: %v", open, err)
			}
			return
		}
	}
}

// TestCompareAnswers holds the sentence against what was found.
func TestCompareAnswers(t *testing.T) {
	crossed := crossing(flows.Crossed, "10.2.0.3:443")
	unanswered := crossed
	unanswered.Ending = flows.Unanswered
	undecided := crossing(flows.Undecided, "10.2.0.3:445")
	undecided.Doubt = flows.OtherLossy
	for _, c := range []struct {
		result Result
		says   string
		list   []flows.Crossing
	}{
		{AllCrossed, "No, it is not between the two captures: all 2 flows crossed (1 not answered by it).", []flows.Crossing{crossed, unanswered}},
		{Undecided, "of 2 flows, 1 crossed, and 1 cannot be decided from these captures.", []flows.Crossing{undecided, crossed}},
		{Between, "of 2 flows, 1 dropped; 0 crossed, and 1 cannot be decided from these captures.", []flows.Crossing{crossing(flows.Dropped, "10.2.0.3:1"), undecided}},
		{Undecided, "one of the captures has no frames", nil},
	} {
		d := NewCompareDoc(&flows.Comparison{Packets: 1, Crossings: c.list}, [2]CompareSide{})
		if d.Result != c.result || !strings.Contains(d.Summary, c.says) {
			t.Errorf("%s: %q, want %s: %q", d.Result, d.Summary, c.result, c.says)
		}
	}
}

// TestCompareCountsWhatIsNotListed has more findings and rewrites than are listed,
// each of two flows.
func TestCompareCountsWhatIsNotListed(t *testing.T) {
	const findings, rewrites = maxCrossFindings + 7, maxRewrites + 1
	c := &flows.Comparison{Packets: 1}
	for range 2 {
		for i := range findings {
			x := crossing(flows.Dropped, fmt.Sprintf("10.2.%d.%d:443", i/250, i%250))
			if i < rewrites {
				far := *x.Seen[flows.Inside]
				far.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i / 250), byte(i % 250)}), 40000)
				x.Seen[flows.Outside], x.ClientChanged = &far, true
			}
			c.Crossings = append(c.Crossings, x)
		}
	}
	for _, all := range []bool{false, true} {
		if all { // what fits is listed, and nothing is said
			c.Crossings = c.Crossings[:maxRewrites]
		}
		d := NewCompareDoc(c, [2]CompareSide{})
		want := [4]int{maxCrossFindings, findings - maxCrossFindings, maxRewrites, rewrites - maxRewrites}
		if all {
			want = [4]int{maxRewrites, 0, maxRewrites, 0}
		} else if d.Findings[0].Flows != 2 || d.Rewrites[0].Flows != 2 {
			t.Errorf("the first finding has %d flows, the first rewrite %d", d.Findings[0].Flows, d.Rewrites[0].Flows)
		}
		if got := [4]int{len(d.Findings), int(d.MoreFindings), len(d.Rewrites), int(d.MoreRewrites)}; got != want {
			t.Errorf("%v findings and rewrites listed and not listed, want %v", got, want)
		}
		for _, f := range All() {
			if f.Compare == nil {
				continue
			}
			text := written(t, func(b *strings.Builder) error { return f.Compare(b, d, &Options{}) })
			says := []string{"7 more findings, not listed", "1 more rewrite, not listed"}
			if f.Name == "json" {
				says = []string{`"more_findings": 7`, `"more_rewrites": 1`}
			}
			for _, s := range says {
				if strings.Contains(text, s) == all {
					t.Errorf("%s, with all listed %t: %q in the output %t", f.Name, all, s, all)
				}
			}
		}
	}
}
