package report

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"wirechart/rules"
)

// element is one tag of a page, with the text in it up to the next one.
type element struct {
	name  string
	attr  map[string]string
	after string
}

func elements(t *testing.T, text string) (list []element) {
	t.Helper()
	open := false
	for z := html.NewTokenizer(strings.NewReader(text)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return list
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			e := element{name: token.Data, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Key] = a.Val
			}
			list, open = append(list, e), true
		case html.EndTagToken:
			open = false
		case html.TextToken:
			if open {
				list[len(list)-1].after += z.Token().Data
			}
		}
	}
}

// TestHTMLHarmless says that the page has the elements of its template and no
// other, no script and nothing that is fetched, whatever names hold; that its
// policy allows its own style alone; and that the names are there, as text.
func TestHTMLHarmless(t *testing.T) {
	page := everything(t, htmlFormat)["audit"]
	harmless(t, page)
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the names are not there")
	}
}

// harmless says that a page has no element that does something, and that its
// policy allows its own style alone.
func harmless(t *testing.T, page string) {
	t.Helper()
	allowed := strings.Fields(`html head meta title style body a header div p h1 h2 h3 span dl dt dd nav ul li main section figure figcaption article
		code b br table thead tbody tr th td caption svg text rect path g`)
	sum := ""
	for _, e := range elements(t, page) {
		if !slices.Contains(allowed, e.name) {
			t.Errorf("the page has a %s", e.name)
		}
		for name, value := range e.attr {
			switch {
			case strings.HasPrefix(name, "on"), name == "style", name == "src", name == "srcset":
				t.Errorf("%s has %s=%q", e.name, name, value)
			case name == "href" && !strings.HasPrefix(value, "#") && !(e.name == "a" && e.attr["rel"] == "noreferrer" && strings.HasPrefix(value, "http")):
				t.Errorf("%s leads to %q", e.name, value)
			}
		}
		switch {
		case e.name == "style":
			b := sha256.Sum256([]byte(e.after))
			sum = base64.StdEncoding.EncodeToString(b[:])
			if strings.Contains(e.after, "url(") || strings.Contains(e.after, "@import") {
				t.Error("the style fetches something")
			}
		}
	}
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("no policy")
	}
	if want := "default-src 'none'; style-src 'sha256-" + sum + "'; base-uri 'none'; form-action 'none'"; html.UnescapeString(policy[1]) != want {
		t.Errorf("policy %s, want %s", html.UnescapeString(policy[1]), want)
	}
}

// TestHTMLParts says that the parts come in their order, each with what it is
// for, and that what a link leads to is there.
func TestHTMLParts(t *testing.T) {
	a, o := testAudit(t)
	o.Provenance = &Provenance{Version: "1.2.3", Command: "wirechart audit 'a b.pcap'", Digests: []string{"aaaa1111", "not computed: standard input"}}
	page := written(t, func(b *strings.Builder) error { return htmlFormat.Audit(b, a, o) })
	at := 0
	for _, want := range []string{
		"Does not conform", "28 of 160 flows: 3 violations, 24 undocumented, 1 blocked.", "2026-11-23 01:39:11 to 02:30:51 UTC",
		">As documented<", ">As observed<", "✗ tcp/7780 ×12",
		`<h2 id="components">`, "answers ZMTP CURVE on 7780 for 5 clients (monday.pcapng:41)",
		`<h2 id="edges">`, `id="edge-agent-messages"`, "vendor-page, management server",
		`<h2 id="findings">`, `id="finding-1"`, "monday.pcapng, frame 2044", "Anyone on the path can read", `id="finding-3"`, `id="concerns"`, "SMB1 was used",
		`<h2 id="hosts">`, "ms.backup.example", `<h2 id="timeline">`, `<h2 id="quality">`, "captured in one direction only",
		`<h2 id="sources">`, "Network connection diagram for Acronis Cyber Protect", `<h2 id="method">`, "986",
		`<h2 id="appendix">`, "wirechart 1.2.3", "wirechart audit &#39;a b.pcap&#39;", a.Diagram.Revision(), "aaaa1111", "not computed: standard input", "Signed off",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Errorf("no %q in its place", want)
			continue
		}
		at += i
	}
	ids := map[string]bool{}
	list := elements(t, page)
	for _, e := range list {
		if id := e.attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	for _, e := range list {
		if to, ok := strings.CutPrefix(e.attr["href"], "#"); ok && !ids[to] {
			t.Errorf("a link leads to #%s, which is not there", to)
		}
	}
}

// TestHTMLEmpty says that a report of nothing is written as well.
func TestHTMLEmpty(t *testing.T) {
	for _, a := range []*rules.Audit{{}, {Diagram: testDiagram(t)}, {Diagram: testDiagram(t), Detail: &rules.Detail{}}} {
		page := written(t, func(b *strings.Builder) error { return htmlFormat.Audit(b, a, &Options{}) })
		if !strings.Contains(page, "Undecided") || !strings.Contains(page, "</html>") {
			t.Errorf("%d bytes", len(page))
		}
	}
}

// TestTimeline says that bars lie inside the picture, from the first finding
// to the last.
func TestTimeline(t *testing.T) {
	a, _ := testAudit(t)
	a.Detail = &rules.Detail{Begin: a.Coverage.First, Width: 20 * second, Buckets: make([]rules.Buckets, 155)}
	a.Detail.Buckets[0][rules.Documented], a.Detail.Buckets[154][rules.Violation] = 5, 1
	v := newTimeline(a)
	if len(v.Rows) != 2 || len(v.Findings) != len(a.Findings) || len(v.Ticks) == 0 || len(v.Ticks) > 8 {
		t.Errorf("%d rows, %d findings, %d ticks", len(v.Rows), len(v.Findings), len(v.Ticks))
	}
	for _, b := range v.Findings {
		if b.X < timelineLeft || b.X+b.W > timelineRight+4 || b.Y > v.Height {
			t.Errorf("%+v", b)
		}
	}
	// A bar from the beginning to the end has its words on it.
	a.Findings[0].First, a.Findings[0].Last = a.Coverage.First, a.Coverage.Last
	b := newTimeline(a).Findings[0]
	if !b.Inside || !strings.Contains(b.Label, "management-server") || b.TextX <= b.X || b.TextX+int(timelineLetter*float64(cells(b.Label))) > b.X+b.W {
		t.Errorf("the words of a long bar: %+v", b)
	}
	for i := 1; i < len(v.Ticks); i++ {
		if v.Ticks[i].X <= v.Ticks[i-1].X {
			t.Errorf("ticks %+v", v.Ticks)
		}
	}
	// A time at the very end is written before its line.
	a.Detail.Buckets, a.Detail.Begin = a.Detail.Buckets[:2], 1_700_000_000*second
	a.Detail.Width = 30 * second
	a.Coverage.First, a.Coverage.Last = a.Detail.Begin, a.Detail.Begin+60*second+1
	ticks := newTimeline(a).Ticks
	if last := ticks[len(ticks)-1]; last.Anchor != "end" || ticks[0].Anchor != "middle" {
		t.Errorf("ticks %+v", ticks)
	}
	// A damaged time stamp may name the last moment that can be told.
	a.Coverage.Last = math.MaxInt64
	if v = newTimeline(a); len(v.Ticks) > 8 {
		t.Errorf("%d ticks", len(v.Ticks))
	}
}

// TestHTMLSteps says that findings with the same thing to do are one step, in
// the order of the findings, that what there is no room for is counted, and
// that the components and edges in short are those of the parts below.
func TestHTMLSteps(t *testing.T) {
	finding := func(to, do string) rules.Finding {
		return rules.Finding{Kind: rules.Blocked, From: "agent", To: to, Service: "tcp/1", Flows: 3, Title: "agent to " + to + " at tcp/1: refused.", Do: do}
	}
	var findings []rules.Finding
	for i := range 7 {
		findings = append(findings, finding(strings.Repeat("x", i+1), "Start the service."))
	}
	findings = append(findings, finding("y", ""))
	for _, do := range []string{"A.", "B.", "C.", "D.", "E.", "F."} {
		findings = append(findings, finding("z", do))
	}
	steps, more := newHTMLSteps(findings)
	if len(steps) != maxSteps || more != "and 2 more things to do, with the findings" {
		t.Fatalf("%d steps, %q", len(steps), more)
	}
	if s := steps[0]; s.Do != "Start the service." || s.What != "Refused." || s.Where != "agent → x tcp/1 and 6 more" || s.Flows != "21" ||
		!slices.Equal(s.Numbers, []int{1, 2, 3, 4}) || s.More != "and 3 more" {
		t.Errorf("%+v", s)
	}
	late := finding("w", "Document it.")
	late.Kind = rules.Undocumented
	some, more := newHTMLSteps(append(slices.Clone(findings), late))
	if last := some[len(some)-1]; len(some) != maxSteps || more != "and 3 more things to do, with the findings" || last.Do != "Document it." || some[3].Do != "C." {
		t.Errorf("%d steps, %q, the last %+v: none is of what is undocumented", len(some), more, last)
	}
	if s := steps[1]; s.Do != "A." || !slices.Equal(s.Numbers, []int{9}) || s.More != "" || s.Where != "agent → z tcp/1" {
		t.Errorf("%+v", s)
	}

	a, o := testAudit(t)
	p := newHTMLPage(a, o)
	n := 0
	for _, l := range p.States {
		n += l.N
	}
	if n != len(a.Edges) || p.States[0].Word != "violated" || p.Parties[0].N+p.Parties[1].N != len(a.Diagram.Components) {
		t.Errorf("%+v, %+v", p.States, p.Parties)
	}
	if l := p.Parties[0]; len(l.Of) == 0 || l.Of[0].ID != "management-server" || !strings.Contains(l.Of[0].Note, "10.") {
		t.Errorf("%+v", l)
	}
	crowd := htmlLot{}
	for range maxLot + 3 {
		crowd.add("x", "", true)
	}
	if len(crowd.Of) != maxLot || crowd.More != "and 3 more" {
		t.Errorf("%d, %q", len(crowd.Of), crowd.More)
	}
}
