package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	traffic "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/report"
	"wirechart/report/web"
	"wirechart/rules"
)

// browser is a headless Chromium; the test is skipped where there is none. What
// pages complain of (policies, scripts) fails the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser: chromium is not installed")
	}
	// A browser that was told to end writes on for a moment: t.TempDir would
	// take that for a failure.
	profile, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			// A page that outlives its server misses the events; it says so itself.
			if e.Entry.Level == log.LevelError && !strings.Contains(e.Entry.URL, "favicon") && !strings.HasSuffix(e.Entry.URL, "/api/events") {
				t.Errorf("the browser says: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("a script fails: %s", e.ExceptionDetails.Error())
		}
	})
	return ctx
}

func do(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// until waits for an expression of the page to be true. It asks anew each time:
// while a page is loaded, what was being evaluated in the one before it ends in an
// error.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last error
	for ; within.Err() == nil; time.Sleep(50 * time.Millisecond) {
		holds := false
		if last = chromedp.Run(within, chromedp.Evaluate(expression, &holds)); last == nil && holds {
			return
		}
	}
	var page string
	_ = chromedp.Run(ctx, chromedp.Evaluate(`document.body.innerText.slice(0, 800)`, &page))
	t.Fatalf("never true: %s: %v\n%s", expression, last, page)
}

// value is what an expression of the page comes to.
func value[T any](t *testing.T, ctx context.Context, expression string) (v T) {
	t.Helper()
	do(t, ctx, expression, chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return v
}

// accessible lets axe-core look at the page: nothing serious may be wrong. The
// file comes by .ci/axe; the check is left out where it is not there.
func accessible(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	script, err := os.ReadFile("../../bin/axe.min.js")
	if err != nil {
		t.Logf("%s: not checked by axe-core: bin/axe.min.js is not there (.ci/axe fetches it)", what)
		return
	}
	do(t, ctx, what, chromedp.Evaluate(string(script)+";0", nil))
	found := value[string](t, ctx, `axe.run().then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => v.impact + " " + v.id + ": " + v.nodes.slice(0, 3).map(n => n.target).join(", ")).join("\n"))`)
	if found != "" {
		t.Errorf("%s: axe-core finds\n%s", what, found)
	}
}

// TestReportInBrowser opens reports from a file, with scripts off and the
// network gone, at both widths and in both schemes.
func TestReportInBrowser(t *testing.T) {
	ctx := browser(t)
	dir := t.TempDir()
	for _, name := range []string{"site-violations.pcapng", "site.pcapng", "cut.pcap"} {
		path := filepath.Join(dir, name+".html")
		written("audit", "-o", "html", "--output", path, samples+name)
		for _, width := range []int64{1440, 390} {
			for _, scheme := range []string{"light", "dark"} {
				what := fmt.Sprintf("%s at %d, %s", name, width, scheme)
				do(t, ctx, what, traffic.Enable(), traffic.EmulateNetworkConditions(true, 0, 0, 0), emulation.SetScriptExecutionDisabled(true),
					emulation.SetDeviceMetricsOverride(width, 900, 1, width < 600),
					emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
					chromedp.Navigate("file://"+path))
				if text := value[string](t, ctx, `document.body.innerText`); !strings.Contains(text, "As observed") || !strings.Contains(text, "Signed off") {
					t.Errorf("%s: the page has %d letters", what, len(text))
				}
				if got := value[int64](t, ctx, `document.documentElement.scrollWidth`); got > width {
					t.Errorf("%s: it is %d wide", what, got)
				}
				if n := value[int](t, ctx, `performance.getEntriesByType("resource").length`); n != 0 {
					t.Errorf("%s: it fetches %d things", what, n)
				}
				// The style counts only where the policy lets it.
				if font := value[string](t, ctx, `getComputedStyle(document.querySelector("h1")).color`); font == "rgb(0, 0, 0)" {
					t.Errorf("%s: the style does not count", what)
				}
				if name == "site-violations.pcapng" { // it has all there is
					do(t, ctx, what, emulation.SetScriptExecutionDisabled(false))
					accessible(t, ctx, what)
				}
			}
		}
	}
}

// serving runs wirechart serve, without its sandbox, which is for good, and returns the page's address.
func serving(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	lines := make(chan string, 1)
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, append([]string{"serve", "-q", "--no-sandbox", "--listen", "127.0.0.1:0"}, args...), firstLine(lines), os.Stderr)
	}()
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("serve ended with %d", status)
		}
	})
	return strings.TrimSpace(<-lines)
}

type firstLine chan<- string

func (c firstLine) Write(b []byte) (int, error) {
	select {
	case c <- string(b):
	default:
	}
	return len(b), nil
}

// TestPageInBrowser loads the page, clicks, filters and downloads.
func TestPageInBrowser(t *testing.T) {
	ctx := browser(t)
	page := serving(t, samples+"site-violations.pcapng")
	do(t, ctx, "load", traffic.Enable(), emulation.SetDeviceMetricsOverride(1440, 900, 1, false), chromedp.Navigate(page))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 28 && document.querySelector("#drawing a[data-edge]") !== null`)
	until(t, ctx, `document.getElementById("headline").textContent.includes("DOES NOT CONFORM")`)
	accessible(t, ctx, "the page")

	const line = `document.querySelector('#drawing a[data-edge="agent-backup"]')`
	value[int](t, ctx, line+`.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})), 0`)
	until(t, ctx, `document.getElementById("chosen").textContent === "3 flows: edge agent-backup, Backup data of agents" && document.querySelectorAll("#rows tr").length === 3`)
	if !value[bool](t, ctx, line+`.classList.contains("chosen")`) || value[string](t, ctx, `document.getElementById("edge").value`) != "agent-backup" {
		t.Error("the line that was clicked is not marked")
	}
	value[int](t, ctx, `document.querySelector('#drawing a[data-component="catalog"]').dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})), 0`)
	until(t, ctx, `document.getElementById("chosen").textContent.endsWith("flows: component catalog")`)
	value[int](t, ctx, `document.querySelector('#drawing a[data-finding]').dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})), 0`)
	until(t, ctx, `/^1 flow: finding /.test(document.getElementById("chosen").textContent)`)

	do(t, ctx, "filter", chromedp.Click("#clear", chromedp.ByQuery), chromedp.SendKeys("#q", "zmtp_mechanism_plain", chromedp.ByQuery))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 1 && document.querySelector("#rows .v").textContent === "✗ violation"`)
	do(t, ctx, "show all", chromedp.Click("#clear", chromedp.ByQuery))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 28`)
	value[int](t, ctx, `at("from").value = 500, at("from").dispatchEvent(new Event("input")), 0`)
	until(t, ctx, `document.querySelectorAll("#rows tr").length < 28 && document.getElementById("chosen").textContent.endsWith("a part of the time")`)
	do(t, ctx, "show all", chromedp.Click("#clear", chromedp.ByQuery))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 28`)

	do(t, ctx, "detail", chromedp.Click("#rows tr:last-child button", chromedp.ByQuery), chromedp.Click("#tell", chromedp.ByQuery))
	until(t, ctx, `document.getElementById("story").textContent.includes("Frames ")`)
	accessible(t, ctx, "the page with evidence")
	if magic := value[string](t, ctx, `fetch(document.getElementById("evidence").href).then(a => a.arrayBuffer())
		.then(b => Array.from(new Uint8Array(b).slice(0, 4)).join(" "))`); magic != "10 13 13 10" { // RFC draft-ietf-opsawg-pcapng section 4.1
		t.Errorf("the evidence begins with %s", magic)
	}
	for _, f := range report.All() {
		if f.Audit == nil {
			continue
		}
		if n := value[int](t, ctx, `fetch("report?format=`+f.Name+`").then(a => a.ok ? a.text() : "").then(b => b.length)`); n == 0 {
			t.Errorf("no report as %s", f.Name)
		}
	}
	if n := value[int](t, ctx, `document.querySelectorAll("#downloads a[download]").length`); n < 8 {
		t.Errorf("%d reports to download", n)
	}
	others := value[string](t, ctx, `performance.getEntriesByType("resource").map(r => r.name).filter(n => !n.startsWith(location.origin)).join(" ")`)
	if others != "" {
		t.Errorf("the page asks %s", others)
	}
	do(t, ctx, "phone", emulation.SetDeviceMetricsOverride(390, 844, 1, true))
	if got := value[int64](t, ctx, `document.documentElement.scrollWidth`); got > 390 {
		t.Errorf("on a phone it is %d wide", got)
	}
}

// TestKeyboardInBrowser goes through the page with the keyboard alone: every
// control is reached, in the order in which it is read, and is seen to have the
// focus; what a key opens is closed by Escape, and the focus is where it was.
func TestKeyboardInBrowser(t *testing.T) {
	ctx := browser(t)
	page := serving(t, samples+"files.pcapng")
	do(t, ctx, "load", emulation.SetDeviceMetricsOverride(1440, 900, 1, false), chromedp.Navigate(page))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 18 && document.body.dataset.finished === "true" && document.querySelector("#findings h2#practice") !== null`)
	value[int](t, ctx, `window.stops = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(e => !e.disabled && e.checkVisibility() && e.getClientRects().length), 0`)
	want := value[int](t, ctx, `stops.length`)
	if want < 50 {
		t.Fatalf("the page has %d controls", want)
	}
	for i := range want {
		do(t, ctx, "tab", chromedp.KeyEvent(kb.Tab))
		if says := value[string](t, ctx, fmt.Sprintf(`(() => {
			const e = document.activeElement, s = getComputedStyle(e), want = stops[%d], name = e => e.tagName + "#" + e.id + " " + (e.getAttribute("aria-label") || e.textContent).slice(0, 60);
			if (e !== want) return "the focus is on " + name(e) + ", want " + name(want);
			const inner = e.matches("#drawing a") && e.querySelector(".wire, rect"), marked = inner ? parseFloat(getComputedStyle(inner).strokeWidth) > (parseFloat(inner.getAttribute("stroke-width")) || 1.2) + 2 : s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
			if (!marked) return name(e) + " does not show that it has the focus";
			const r = e.getBoundingClientRect();
			return r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth ? "" : name(e) + " has the focus out of sight";
		})()`, i)); says != "" {
			t.Fatalf("stop %d: %s", i+1, says)
		}
	}

	// A line of the drawing, by Enter.
	do(t, ctx, "a line", chromedp.Focus(`#drawing a[data-edge="agent-smb"]`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	until(t, ctx, `document.getElementById("chosen").textContent.includes("edge agent-smb")`)
	// A flow, by Enter and Escape.
	const opener = `document.querySelector("#rows tr:last-child button")`
	do(t, ctx, "a flow", chromedp.Focus("#rows tr:last-child button", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	until(t, ctx, `!document.getElementById("detail").hidden && document.activeElement.id === "detail"`)
	do(t, ctx, "on", chromedp.KeyEvent(kb.Tab))
	if !value[bool](t, ctx, `document.getElementById("detail").contains(document.activeElement) && document.activeElement.id !== "detail"`) {
		t.Error("the next control is not one of the flow's")
	}
	do(t, ctx, "close", chromedp.KeyEvent(kb.Escape))
	until(t, ctx, `document.getElementById("detail").hidden && document.activeElement === `+opener)
	// The link that leads past all of it.
	do(t, ctx, "skip", chromedp.Focus(".skip", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	until(t, ctx, `document.activeElement.id === "flows"`)
}

// TestConcernsInBrowser says that the page shows what is a matter of good
// practice, apart from the findings, and the flows of each.
func TestConcernsInBrowser(t *testing.T) {
	ctx := browser(t)
	page := serving(t, samples+"files.pcapng")
	do(t, ctx, "load", emulation.SetDeviceMetricsOverride(1440, 900, 1, false), chromedp.Navigate(page))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 18 && document.querySelector("#practice") !== null`)
	accessible(t, ctx, "the page with concerns")
	n := value[int](t, ctx, `document.querySelectorAll("#practice ~ ol.findings button").length`)
	if n == 0 {
		t.Fatal("no concerns")
	}
	for i := range n {
		button := fmt.Sprintf(`document.querySelectorAll("#practice ~ ol.findings button")[%d]`, i)
		value[int](t, ctx, button+`.click(), 0`)
		until(t, ctx, button+`.getAttribute("aria-pressed") === "true" && /^[1-9].* flows?: concern /.test(document.getElementById("chosen").textContent)`)
		// As many flows as the concern says, and no others.
		if !value[bool](t, ctx, `document.getElementById("chosen").textContent.split(":")[0] === `+button+`.textContent.match(/\(([\d,]+ flows?), /)[1]`) {
			t.Errorf("%s: %s", value[string](t, ctx, button+`.textContent`), value[string](t, ctx, `document.getElementById("chosen").textContent`))
		}
	}
}

// TestPageWithoutScripts says that the page shows its answer and its drawing with
// scripts off, at both widths, and says that it stays as it is.
func TestPageWithoutScripts(t *testing.T) {
	ctx := browser(t)
	page := serving(t, samples+"site-violations.pcapng")
	for range 200 {
		if _, body := fetch(t, page); strings.Contains(body, `data-finished="true"`) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, width := range []int64{1440, 390} {
		do(t, ctx, "load", emulation.SetScriptExecutionDisabled(true), emulation.SetDeviceMetricsOverride(width, 900, 1, width < 600), chromedp.Navigate(page))
		text := value[string](t, ctx, `document.body.innerText`)
		for _, want := range []string{"DOES NOT CONFORM", "Without JavaScript this page does not update", "Findings", "Management server"} {
			if !strings.Contains(text, want) {
				t.Errorf("at %d the page does not say %q:\n%s", width, want, text)
			}
		}
		if strings.Contains(text, "Show all") {
			t.Errorf("at %d the page offers what takes scripts", width)
		}
		if high := value[float64](t, ctx, `document.querySelector('#drawing a[data-edge="agent-backup"] .wire').getBoundingClientRect().width`); high < 100 {
			t.Errorf("at %d the line of an edge is %.0f wide", width, high)
		}
		if got := value[int64](t, ctx, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("at %d it is %d wide", width, got)
		}
	}
}

// crowd is a page of n flows that a test feeds.
func crowd(t *testing.T, n int) (*web.Server, *rules.Tally, string, func(i int)) {
	t.Helper()
	d, p, err := loadPolicy(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	s := web.New(web.Options{Title: "a test"})
	tally := rules.NewTally(p)
	add := func(i int) {
		f := &flows.Flow{ID: uint64(i + 1), Start: 1e18 + int64(i)*1e6, Proto: flows.ProtoTCP, App: "tls", Facts: &dissect.Facts{}, Bytes: flows.Pair{1000, 20},
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 50000), Server: netip.MustParseAddrPort("10.1.0.1:9876")}
		v := &rules.Verdict{Kind: rules.Documented, Edge: d.Edges[i%len(d.Edges)]}
		tally.Add(f, v)
		s.Settled(f, v, nil)
	}
	for i := range n {
		add(i)
	}
	s.Show(tally.Audit(rules.Coverage{First: 1e18, Last: 1e18 + int64(n)*1e6}), &report.Options{}, n > 1000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { _ = s.Serve(ctx, l) }()
	return s, tally, "http://" + l.Addr().String() + "/", add
}

// TestLiveInBrowser says that lines light up when flows come, and that the page
// follows the next audit.
func TestLiveInBrowser(t *testing.T) {
	ctx := browser(t)
	s, tally, page, add := crowd(t, 22)
	do(t, ctx, "load", chromedp.Navigate(page))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 22 && document.querySelectorAll("#drawing a.lit").length === 0 && counts !== null && Object.keys(counts).length > 0`)
	add(22) // of the first edge
	until(t, ctx, `document.querySelector('#drawing a[data-edge="agent-messages"].lit') !== null`)
	if n := value[int](t, ctx, `document.querySelectorAll("#drawing a.lit").length`); n != 1 {
		t.Errorf("%d lines light up, want 1", n)
	}
	s.Show(tally.Audit(rules.Coverage{First: 1e18, Last: 1e18 + 1e9}), &report.Options{}, true)
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 23 && document.getElementById("status").textContent.startsWith("All read")`)
	until(t, ctx, `document.querySelector('#drawing a[data-edge="agent-messages"] .label').textContent.includes("×2")`)
}

// TestCrowdInBrowser measures the page with 100,000 flows.
func TestCrowdInBrowser(t *testing.T) {
	ctx := browser(t)
	_, _, page, _ := crowd(t, 100_000)
	do(t, ctx, "start", chromedp.Navigate("about:blank"))
	began := time.Now()
	do(t, ctx, "load", chromedp.Navigate(page))
	until(t, ctx, `document.querySelectorAll("#rows tr").length === 100 && document.querySelector("#drawing svg") !== null`)
	interactive := time.Since(began)
	began = time.Now()
	do(t, ctx, "search", chromedp.SendKeys("#q", "10.0.77.9", chromedp.ByQuery))
	until(t, ctx, `document.getElementById("chosen").textContent.endsWith("search 10.0.77.9")`)
	searched := time.Since(began)
	heap := 0.0
	do(t, ctx, "measure", performance.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		list, err := performance.GetMetrics().Do(ctx)
		for _, m := range list {
			if m.Name == "JSHeapUsedSize" {
				heap = m.Value / 1e6
			}
		}
		return err
	}))
	t.Logf("100,000 flows: interactive after %d ms, a search after %d ms, %.1f MB of script's memory", interactive.Milliseconds(), searched.Milliseconds(), heap)
	if interactive > 15*time.Second || heap > 64 {
		t.Error("the page is not responsive any more")
	}
}
