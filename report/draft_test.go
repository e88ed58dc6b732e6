package report

import (
	"strings"
	"testing"

	"wirechart/rules"
)

// TestDraftHostile says that a draft can be read whatever hosts are called, and
// that it says of every edge that nobody has confirmed it.
func TestDraftHostile(t *testing.T) {
	a, o := hostileAudit(t)
	text, inventory, err := Draft(hostileText, newAuditDoc(a, o), "draft")
	if err != nil {
		t.Fatal(err)
	}
	d, err := rules.Parse("draft.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(d.Edges) < 3 || len(d.Components) < 3 {
		t.Errorf("%d edges, %d components", len(d.Edges), len(d.Components))
	}
	for _, e := range d.Edges {
		if !strings.HasPrefix(e.OurReading, "seen, and not yet confirmed") {
			t.Errorf("%s: %q", e.ID, e.OurReading)
		}
	}
	if _, err := rules.ParseInventory("hosts.yaml", inventory, d); err != nil {
		t.Errorf("%v\n%s", err, inventory)
	}
	if _, _, err := Draft("a.json", &AuditDoc{}, "draft"); err == nil || !strings.Contains(err.Error(), "no traffic") {
		t.Error(err)
	}
}
