package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wirechart/pcaps"
)

// fetch is what a page answers.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return r.StatusCode, string(b)
}

// TestServe asks the page without a browser: what explain says, its evidence,
// and the reports that audit writes.
func TestServe(t *testing.T) {
	capture := samples + "site-violations.pcapng"
	page := serving(t, capture)
	answer := ""
	for range 200 {
		if _, answer = fetch(t, page); strings.Contains(answer, `data-finished="true"`) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := strings.Count(answer, `type="button" data-finding=`); n != 10 || !strings.Contains(answer, "28 flows</p>") {
		t.Fatalf("%d findings: %.2000s", n, answer)
	}
	_, want, _ := wirechart(t, "explain", "--color", "never", capture, "--flow", "18")
	if _, told := fetch(t, page+"api/explain?flow=18"); !strings.HasPrefix(told, strings.SplitN(want, "\n", 2)[0]) || !strings.Contains(told, "Frames ") {
		t.Errorf("the story of flow 18:\n%.600s", told)
	}
	if status, told := fetch(t, page+"api/explain?flow=99"); status != http.StatusNotFound || !strings.Contains(told, "no such flow") {
		t.Errorf("flow 99: %d, %s", status, told)
	}
	evidence := filepath.Join(t.TempDir(), "e.pcapng")
	if status, _, stderr := wirechart(t, "explain", capture, "--flow", "18", "-w", evidence); status != 0 {
		t.Fatal(stderr)
	}
	b, err := os.ReadFile(evidence)
	if _, body := fetch(t, page+"evidence?flow=18"); err != nil || body != string(b) {
		t.Errorf("%d bytes of evidence, explain writes %d (%v)", len(body), len(b), err)
	}
	if _, body := fetch(t, page+"report?format=json"); body != written("audit", "-o", "json", capture) {
		t.Error("the JSON report is not what audit writes")
	}
	for _, address := range []string{"7790", "256.0.0.1:1", strings.TrimSuffix(strings.TrimPrefix(page, "http://"), "/")} {
		if status, _, stderr := wirechart(t, "serve", "--listen", address, capture); status != exitError || !strings.Contains(stderr, "--listen "+address) {
			t.Errorf("--listen %s: %d, %s", address, status, stderr)
		}
	}
}

// TestLivePage says that the page of a live run has the flows at hand while it
// goes on, each once, and ends with it.
func TestLivePage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	page := "http://" + l.Addr().String() + "/"
	l.Close()
	var doc struct {
		Total int
		Flows []struct {
			Frame          int
			Client, Server string
		}
	}
	// The network falls silent until the page has what came before.
	const some = 5
	seen, deadline := 0, time.Now().Add(time.Minute)
	source := &liveOptions{open: func(names []string, _ pcaps.LiveOptions) (pcaps.Source, error) {
		src, err := pcaps.Open(names, pcaps.Options{})
		count := func(batch []pcaps.Packet) { seen += len(batch) }
		return &dripping{Source: src, each: count, quiet: func() bool {
			if seen <= 250 || doc.Total >= some || time.Now().After(deadline) {
				return false
			}
			time.Sleep(time.Millisecond) // a look is under way beside
			_, body := fetch(t, page+"api/flows?limit=1000")
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Errorf("%v: %.300s", err, body)
			}
			return true
		}}, err
	}}
	status, _, stderr := liveOver(t, context.Background(), source, "-i", samples+"site-violations.pcapng", "--web", strings.TrimSuffix(strings.TrimPrefix(page, "http://"), "/"))
	if status != exitFindings || !strings.Contains(stderr, "the page is at "+page) {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if doc.Total < some || doc.Total != len(doc.Flows) {
		t.Fatalf("%d flows: %+v", doc.Total, doc.Flows)
	}
	once := map[any]bool{}
	for _, f := range doc.Flows {
		if once[f] {
			t.Errorf("a flow is there twice: %+v", f)
		}
		once[f] = true
	}
	if status, _ := fetch(t, page); status != 0 {
		t.Error("the page is served after the run")
	}
}
