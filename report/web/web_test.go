package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/report"
	"wirechart/rules"
)

const hostileName = "<script>alert(1)</script>\x1b[31m\u202egnp.exe\"'"

// served is a server with n flows: every fifth undocumented, the others of the
// edge agent-backup.
func served(t *testing.T, o Options, n int) *Server {
	t.Helper()
	d, ok := rules.Builtin(rules.DefaultDiagram)
	if !ok {
		t.Fatal("no diagram")
	}
	p, err := rules.Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(o)
	tally := rules.NewTally(p)
	for i := range n {
		facts := &dissect.Facts{}
		facts.SetText(dissect.TLSSNI, hostileName)
		f := &flows.Flow{ID: uint64(i + 1), Start: 1e18 + int64(i)*1e9, End: 1e18 + int64(i)*1e9, Proto: flows.ProtoTCP, App: "tls", Facts: facts, Bytes: flows.Pair{100, 20},
			Client: netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:50000", i>>8&255, i&255)), Server: netip.MustParseAddrPort("10.1.0.1:9876")}
		v := &rules.Verdict{Kind: rules.Documented, Edge: d.Edge("agent-backup")}
		if i%5 == 0 {
			v = &rules.Verdict{Kind: rules.Undocumented, Reasons: []rules.Because{{Reason: rules.UnknownHost}}}
		}
		tally.Add(f, v)
		s.Settled(f, v, tally.Counted())
	}
	s.Show(tally.Audit(rules.Coverage{First: 1e18, Last: 1e18 + int64(n)*1e9}), &report.Options{}, true)
	return s
}

func ask(s *Server, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:7790"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// TestWhoMayAsk holds the door: names, other sites, methods, tokens.
func TestWhoMayAsk(t *testing.T) {
	open, locked := served(t, Options{Hosts: []string{"audit.example"}}, 1), served(t, Options{Token: "right"}, 1)
	for _, c := range []struct {
		s      *Server
		status int
		method string
		path   string
		header []string
	}{
		{open, 200, "GET", "/", nil},
		{open, 200, "GET", "/", []string{"Host", "localhost:7790"}},
		{open, 200, "GET", "/", []string{"Host", "[::1]:7790"}},
		{open, 200, "GET", "/", []string{"Host", "Audit.example"}},
		{open, 403, "GET", "/", []string{"Host", "evil.example"}},
		{open, 403, "GET", "/api/flows", []string{"Host", "127.0.0.1.evil.example:7790"}},
		{open, 403, "GET", "/", []string{"Host", "10.1.2.3:7790"}},
		{open, 403, "GET", "/", []string{"Host", ""}},
		{open, 403, "GET", "/api/flows", []string{"Sec-Fetch-Site", "cross-site"}},
		{open, 403, "GET", "/evidence?flow=1", []string{"Sec-Fetch-Site", "same-site"}},
		{open, 200, "GET", "/api/flows", []string{"Sec-Fetch-Site", "same-origin"}},
		{open, 405, "POST", "/api/flows", nil},
		{open, 404, "GET", "/etc/passwd", nil},
		{open, 404, "GET", "/assets/page.js", nil},
		{open, 404, "GET", "/api/explain?flow=1", nil}, // nothing can be read again
		{open, 404, "GET", "/report?format=nothing", nil},
		{locked, 403, "GET", "/", nil},
		{locked, 403, "GET", "/api/flows", nil},
		{locked, 403, "GET", "/page.js", nil},
		{locked, 403, "GET", "/?token=wrong", nil},
		{locked, 403, "GET", "/api/flows?token=right", nil},
		{locked, 303, "GET", "/?token=right", []string{"Host", "10.1.2.3:7790"}},
		{locked, 200, "GET", "/api/flows", []string{"Cookie", "wirechart-7790=right"}},
		{locked, 403, "GET", "/api/flows", []string{"Cookie", "wirechart-7790=wrong"}},
		{locked, 403, "GET", "/", []string{"Host", "evil.example", "Cookie", "wirechart-80=right"}},
	} {
		w := ask(c.s, c.method, c.path, c.header...)
		if w.Code != c.status {
			t.Errorf("%s %s %q: status %d, want %d", c.method, c.path, c.header, w.Code, c.status)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", c.path, policy)
		}
	}
	cookie := ask(locked, "GET", "/?token=right").Result().Cookies()
	if len(cookie) != 1 || !cookie[0].HttpOnly || cookie[0].SameSite != http.SameSiteStrictMode || cookie[0].Value != "right" {
		t.Errorf("cookie %v", cookie)
	}
	if a, b := NewToken(), NewToken(); a == b || len(a) < 32 {
		t.Errorf("tokens %q, %q", a, b)
	}
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, ":1": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "[::]:1": false} {
		if Loopback(address) != want {
			t.Errorf("Loopback(%q) is not %t", address, want)
		}
	}
}

// TestFlows holds filters and pages.
func TestFlows(t *testing.T) {
	s := served(t, Options{}, 1000)
	for _, c := range []struct {
		query        string
		total, first int
		shown        int
	}{
		{"", 1000, 1, 100},
		{"limit=7&offset=990", 1000, 991, 7},
		{"offset=5000", 1000, 0, 0},
		{"limit=100000", 1000, 1, 100}, // more than a page: the default
		{"edge=agent-backup", 800, 2, 100},
		{"edge=agent-backup&offset=100", 800, 127, 100},
		{"verdict=undocumented", 200, 1, 100},
		{"host=10.0.0.7", 1, 8, 1},
		{"host=10.1.0.1", 1000, 1, 100},
		{"q=10.0.0.7", 1 + 10, 8, 11}, // and 10.0.0.70 to 79
		{"q=UNKNOWN_host", 200, 1, 100},
		{"q=script", 1000, 1, 100},
		{"q=nothing+like+it", 0, 0, 0},
		{"from=1000000010000&to=1000000012000", 3, 11, 3},
		{"component=storage-node", 0, 0, 0},
		{"finding=0", 0, 0, 0},
	} {
		w := ask(s, "GET", "/api/flows?"+c.query)
		var doc struct {
			Total int
			Flows []flowDoc
		}
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		first := 0
		if len(doc.Flows) > 0 {
			first = int(doc.Flows[0].ID)
		}
		if doc.Total != c.total || first != c.first || len(doc.Flows) != c.shown {
			t.Errorf("%q: %d flows, %d shown from %d; want %d, %d from %d", c.query, doc.Total, len(doc.Flows), first, c.total, c.shown, c.first)
		}
		for _, f := range doc.Flows {
			if strings.ContainsAny(f.Name, "\x1b\u202e") {
				t.Fatalf("the name is %q", f.Name)
			}
		}
	}
	page := ask(s, "GET", "/").Body.String()
	findings := strings.Split(page, `<button type="button" data-finding="`)
	if len(findings)-1 != 16+1 || !strings.Contains(page, `data-finished="true"`) || !strings.Contains(page, "All read: 0 packets, 1,000 flows") {
		t.Fatalf("%d findings: %.1000s", len(findings)-1, page)
	}
	id, _, _ := strings.Cut(findings[1], `"`)
	w := ask(s, "GET", "/api/flows?finding="+id)
	if !strings.Contains(w.Body.String(), `"total":`) || strings.Contains(w.Body.String(), `"total":0,`) {
		t.Errorf("no flows of the first finding: %.200s", w.Body)
	}
}

// TestFirstPaint says that the page comes with all that takes no click: the
// answer, the drawing, the findings; with the diagram as it is documented as long
// as there is no answer; and that nothing in it is markup of somebody else.
func TestFirstPaint(t *testing.T) {
	s := served(t, Options{Title: hostileName}, 100)
	page := ask(s, "GET", "/").Body.String()
	for _, want := range []string{
		"<title>DOES NOT CONFORM · wirechart</title>", `<h1 id="headline" class="findings">✗ DOES NOT CONFORM</h1>`, "20 of 100 flows are undocumented.",
		`<svg class="drawing"`, `data-edge="agent-backup"`, "The connections that were observed", "<noscript><p", `<a href="report?format=html" download>`,
		"&lt;script&gt;alert(1)", `<span class="v documented">✓ documented</span> 80`, "11 more",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "<script>") || strings.ContainsAny(page, "\x1b\u202e") || strings.Contains(page, " style=") {
		t.Error("names are markup in the page, or it has what its policy forbids")
	}
	early := New(Options{Title: "a test", Diagram: s.audit.Diagram})
	early.Progress(5)
	page = ask(early, "GET", "/").Body.String()
	for _, want := range []string{"Reading…", "Reading: 5 packets, 0 flows", `data-version="0"`, `data-edge="agent-backup"`, "The connections that the diagram documents"} {
		if !strings.Contains(page, want) {
			t.Errorf("before anything is judged the page has no %q", want)
		}
	}
	if strings.Contains(page, "format=html") || strings.Contains(page, "data-finding=") {
		t.Error("before anything is judged the page offers reports")
	}
}

// TestBounds says that a flow takes as much as is said, that texts are cut and
// kept once, and that a full list counts on.
func TestBounds(t *testing.T) {
	if size := unsafe.Sizeof(flow{}); size > 96 {
		t.Errorf("a flow takes %d bytes", size)
	}
	s := newStore()
	long := strings.Repeat("x", maxText+50)
	if a, b := s.text(long), s.text(long); a != b || len(s.texts[a]) != maxText || s.text("") != 0 {
		t.Errorf("a text of %d bytes is kept as %d, %d of %d", len(long), a, b, len(s.texts[a]))
	}
	for i := range 2 * maxTexts {
		s.text(fmt.Sprint(i))
	}
	if len(s.texts) != maxTexts || s.text("nothing like it") != 0 {
		t.Errorf("%d texts are kept", len(s.texts))
	}
	full := served(t, Options{}, 3)
	full.flows.settled.n = maxKept // as good as full
	full.Settled(&flows.Flow{Facts: &dissect.Facts{}}, &rules.Verdict{Kind: rules.Ambient}, nil)
	full.flows.settled.n = 3
	if page := ask(full, "GET", "/").Body.String(); full.flows.unkept != 1 || !strings.Contains(page, "Judged and counted, but not listed: 1 flow.") {
		t.Errorf("%d flows are not kept, and the page does not say so", full.flows.unkept)
	}
}

// TestLooks says that flows of a look count when it is shown, and not before.
func TestLooks(t *testing.T) {
	s := served(t, Options{}, 10)
	f := &flows.Flow{ID: 11, Facts: &dissect.Facts{}, Proto: flows.ProtoTCP, Client: netip.MustParseAddrPort("10.0.0.1:1"), Server: netip.MustParseAddrPort("10.0.0.2:2")}
	v := &rules.Verdict{Kind: rules.Documented, Edge: s.audit.Diagram.Edge("agent-backup")}
	s.Pending(f, v, nil)
	s.Drop()
	s.Pending(f, v, nil)
	if n := s.flows.len(); n != 10 {
		t.Errorf("%d flows before the look is shown", n)
	}
	before := s.flows.byEdge()["agent-backup"]
	s.Show(s.audit, s.report, false)
	if n := s.flows.len(); n != 11 || s.flows.byEdge()["agent-backup"] != before+1 {
		t.Errorf("%d flows, %d of the edge, when it is", n, s.flows.byEdge()["agent-backup"])
	}
	s.Show(s.audit, s.report, false)
	if n := s.flows.len(); n != 10 {
		t.Errorf("%d flows after a look at nothing", n)
	}
}

// TestDownloads says that every format of audits is there, under a name.
func TestDownloads(t *testing.T) {
	s := served(t, Options{Evidence: func(_ context.Context, w io.Writer, flow uint64) error {
		_, err := fmt.Fprintf(w, "frames of %d", flow)
		return err
	}}, 20)
	for _, f := range report.All() {
		if f.Audit == nil {
			continue
		}
		w := ask(s, "GET", "/report?format="+f.Name)
		if w.Code != 200 || w.Body.Len() == 0 || !strings.HasPrefix(w.Header().Get("Content-Disposition"), `attachment; filename="audit.`) {
			t.Errorf("%s: status %d, %d bytes, %v", f.Name, w.Code, w.Body.Len(), w.Header())
		}
		if bytes.ContainsAny(w.Body.Bytes(), "\x1b\u202e") {
			t.Errorf("%s passes on what does something to a terminal", f.Name)
		}
	}
	if w := ask(s, "GET", "/evidence?flow=7"); w.Body.String() != "frames of 7" || w.Header().Get("Content-Disposition") != `attachment; filename="evidence-flow-7.pcapng"` {
		t.Errorf("%q, %v", w.Body, w.Header())
	}
}

func BenchmarkSearch(b *testing.B) {
	s := New(Options{})
	d, _ := rules.Builtin(rules.DefaultDiagram)
	for i := range 100_000 {
		s.Settled(&flows.Flow{ID: uint64(i), Facts: &dissect.Facts{}, Proto: flows.ProtoTCP, App: "tls",
			Client: netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:50000", i>>8&255, i&255)), Server: netip.MustParseAddrPort("10.1.0.1:9876")},
			&rules.Verdict{Kind: rules.Documented, Edge: d.Edges[0]}, nil)
	}
	for b.Loop() {
		ask(s, "GET", "/api/flows?q=10.0.77.")
	}
}
