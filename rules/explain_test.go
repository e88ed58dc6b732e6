package rules

import (
	"errors"
	"strings"
	"testing"

	"wirechart/flows"
)

// TestUnknownsTell has each way in which a dissection can end early told apart.
func TestUnknownsTell(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*flows.Flow)
		want   string // in what is unknown; "" for nothing
	}{
		{"nothing", func(*flows.Flow) {}, ""},
		{"short of bytes", lossy, "what the missing bytes hold"},
		{"late", func(f *flows.Flow) { f.Dissect.Late = true }, "how the connection was opened"},
		{"malformed", func(f *flows.Flow) { f.Dissect.Malformed = errors.New("extensions at byte 43: need 9 bytes") }, "extensions at byte 43"},
	} {
		p := testPolicy(t, tInventory)
		f := flow(tAgent1, tMS, 9877, tls(), c.change)
		p.Observe(f)
		p.Settle()
		v := Verdict{Kind: Documented}
		var said []string
		for _, u := range p.Unknowns(f, &v, nil) {
			said = append(said, u.What)
		}
		if got := strings.Join(said, "; "); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A cause that was found is not among what is unknown, where it is not.
func TestUnknownsOfLostSegments(t *testing.T) {
	p := testPolicy(t, tInventory)
	f := flow(tAgent1, tMS, 9877, tls())
	v := Verdict{Kind: Indeterminate, Reasons: []Because{{Reason: LargeSegmentsLost}}}
	unknown := p.Unknowns(f, &v, nil)
	if len(unknown) != 1 || !strings.HasPrefix(unknown[0].What, "where on the path") {
		t.Errorf("%+v", unknown)
	}
}
