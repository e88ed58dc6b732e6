package report

import (
	"strings"
	"testing"
	"time"
)

// TestScreenOfSilence wants what is said of edges to age although packets, and with
// them packet time, have stopped.
func TestScreenOfSilence(t *testing.T) {
	a, o := testAudit(t)
	s := Screen{Audit: a, EdgeBytes: map[string]float64{}}
	for i := range a.Edges {
		s.Now = max(s.Now, a.Edges[i].Last)
		s.EdgeBytes[a.Edges[i].Edge.ID] = 6900
	}
	o.Width = 120
	if got := strings.Join(s.Draw(60, o), "\n"); !strings.Contains(got, "6.9 kB/s, last just now") {
		t.Errorf("with packets:\n%s", got)
	}
	s.Silent = time.Minute
	got := strings.Join(s.Draw(60, o), "\n")
	if strings.Contains(got, "just now") || strings.Contains(got, "6.9 kB/s") || !strings.Contains(got, "0 B/s, last 1m") {
		t.Errorf("after a minute of silence:\n%s", got)
	}
}

// TestScreenWidth wants what is said of an edge whole on a narrow terminal.
func TestScreenWidth(t *testing.T) {
	a, o := testAudit(t)
	for _, width := range []int{60, 80, 120} {
		o.Width = width
		s := Screen{Audit: a}
		for _, line := range s.Draw(60, o) {
			if n := cells(line); n > width {
				t.Errorf("%d columns: %d in %q", width, n, line)
			}
			if strings.Contains(line, "flow, ") && strings.Contains(line, "last") && strings.HasSuffix(line, "…") {
				t.Errorf("%d columns: %q is cut", width, line)
			}
		}
	}
}
