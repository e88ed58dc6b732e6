package rules

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wirechart/flows"
)

// audited is the audit of flows by a policy that began with a memory.
func audited(t *testing.T, m *Memory, all ...*flows.Flow) (*Policy, *Audit) {
	t.Helper()
	p := testPolicy(t, "")
	p.Remember(m)
	tally := NewTally(p)
	settle(p, tally, all)
	a := tally.Audit(Coverage{First: tStart, Last: tStart + int64(time.Hour)})
	m.Recall(a)
	return p, a
}

// TestMemory runs over a site, and then over little of it: what was learned
// before is still known.
func TestMemory(t *testing.T) {
	bad := flow(tAgent1, tMS, 8443)
	_, first := audited(t, &Memory{}, append(site(), bad)...)
	m := (&Memory{}).After(first, tStart+int64(time.Hour))
	back, err := ParseMemory(m.Text())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Text(), m.Text()) {
		t.Errorf("read back:\n%s\nwritten:\n%s", back.Text(), m.Text())
	}
	if len(m.Findings) != len(first.Findings) || len(m.Findings) == 0 || len(m.Edges) < 5 || len(m.Hosts) < 5 {
		t.Fatalf("remembers %d findings, %d edges, %d hosts", len(m.Findings), len(m.Edges), len(m.Hosts))
	}

	// A flow that says nothing by itself of who its ends are.
	later := flow(tAgent1, tMS, 8444)
	later.Start, later.End = tStart+48*int64(time.Hour), tStart+48*int64(time.Hour)
	p, second := audited(t, back, later)
	if got := p.rolesText(tMS) + ", " + p.rolesText(tAgent1); got != "management-server, agent" {
		t.Errorf("the hosts play %s", got)
	}
	if second.Verdicts[Undocumented].Flows != 1 {
		t.Errorf("verdicts %v", second.Verdicts)
	}
	for _, e := range second.Edges {
		if e.Edge.ID == "agent-messages" && (e.Status != EdgeNotSeen || e.Earlier == 0 || !strings.HasPrefix(e.Why, "not seen since 2026-03-01 12:00 UTC; ")) {
			t.Errorf("an edge that was seen before: %+v", e)
		}
	}
	if notes := strings.Join(second.Notes, "\n"); !strings.Contains(notes, "Found in earlier runs and not in this one: ") || !strings.Contains(notes, first.Findings[0].ID) {
		t.Errorf("notes %q", notes)
	}
	third := back.After(second, later.End)
	if !third.Since.Equal(m.Since) || len(third.Edges) != len(m.Edges) || len(third.Findings) != len(m.Findings)+1 || len(third.Hosts) != len(m.Hosts) {
		t.Errorf("after the second run:\n%s", third.Text())
	}
	for i, h := range third.Hosts {
		if !h.Last.Equal(m.Hosts[i].Last) {
			t.Errorf("%s was confirmed by nothing, and is taken for seen at %s", h.Address, h.Last)
		}
	}

	// What is seen comes before what is remembered.
	wrong := &Memory{Hosts: []RememberedHost{{Address: tSN, Roles: []string{"catalog"}}, {Address: netip.MustParseAddr("10.1.0.200"), Roles: []string{"no-such-part"}}}}
	p, _ = audited(t, wrong, site()...)
	if got := p.rolesText(tSN); got != "storage-node" {
		t.Errorf("a storage node that was remembered for a catalog plays %s", got)
	}
}

func TestMemoryMistakes(t *testing.T) {
	good := string((&Memory{Schema: MemorySchema, Diagram: "d"}).Text())
	for _, c := range []struct{ name, text, says string }{
		{"empty", "", "cut off"},
		{"cut", good[:len(good)/2], "cut off"},
		{"two", good + good, "something follows"},
		{"not JSON", "\x00\x00\x00", "invalid character"},
		{"another version", strings.Replace(good, "/v1", "/v2", 1), `schema "wirechart/state/v2", this program reads wirechart/state/v1`},
		{"a member more", strings.Replace(good, `"diagram"`, `"more": 1, "diagram"`, 1), `unknown field "more"`},
		{"no address", strings.Replace(good, `"hosts": null`, `"hosts": [{"roles": []}]`, 1), "host 1 has no address"},
	} {
		if m, err := ParseMemory([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v and the error %v, expected one with %q", c.name, m, err, c.says)
		}
	}
}
