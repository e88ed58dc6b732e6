package rules

import (
	"strings"
	"testing"
	"time"

	"wirechart/flows"
	"wirechart/pcaps"
)

// TestLostFrames weakens what was not seen by what was lost while capturing.
func TestLostFrames(t *testing.T) {
	p := testPolicy(t, tInventory)
	tally := NewTally(p)
	settle(p, tally, []*flows.Flow{flow(tSN, tMS, 7780, curve), flow(tAgent1, tMS, 9877, tls()), flow(tAgent2, tSN, 9876, mutual())})
	hour := Coverage{First: tStart, Last: tStart + int64(time.Hour)}
	hour.Captures.Files = []pcaps.FileStats{{Name: "eth0", Format: "live", Frames: 10_000}}
	notSeen := func(cov Coverage) (EdgeState, *Audit) {
		a := tally.Audit(cov)
		for _, e := range a.Edges {
			if e.Status == EdgeNotSeen && e.Edge.ID == "agent-backup" {
				t.Fatalf("%s was seen", e.Edge.ID)
			}
		}
		for _, e := range a.Edges {
			if e.Status == EdgeNotSeen && strings.Contains(e.Why, "connected to it this way") {
				return e, a
			}
		}
		t.Fatal("every edge was seen")
		return EdgeState{}, nil
	}
	e, a := notSeen(hour)
	if !e.CouldShow || a.Coverage.Lossy {
		t.Fatalf("without losses: %+v, lossy %t", e, a.Coverage.Lossy)
	}
	for _, c := range []struct {
		kernel, nic uint64
		lossy       bool
	}{{3, 0, false}, {0, 3, false}, {90, 90, true}} {
		cov := hour
		cov.Captures.Dropped, cov.Captures.InterfaceDropped = c.kernel, c.nic
		e, a := notSeen(cov)
		if e.CouldShow || !strings.Contains(e.Why, "lost while capturing") && !c.lossy || a.Coverage.Lossy != c.lossy {
			t.Errorf("%d and %d lost: could show %t, %q, lossy %t", c.kernel, c.nic, e.CouldShow, e.Why, a.Coverage.Lossy)
		}
		if !strings.Contains(strings.Join(a.Notes, "\n"), "lost while capturing") {
			t.Errorf("no note of it: %q", a.Notes)
		}
	}
}
