package report

import (
	"fmt"
	"testing"
)

// A firewall opens the ports of an edge that were used; the others are told apart,
// unless the audit does not list all who used it.
func TestFirewallSiteServices(t *testing.T) {
	edge := edgeDoc{ID: "files", Status: "seen", Over: []string{"tcp/2049", "udp/2049", "tcp/111", "icmp/echo", "tcp/*"},
		Pairs: []pairDoc{
			{Client: "10.0.0.1", Server: "10.0.0.2", Service: "tcp/2049", Flows: 3},
			{Client: "10.0.0.1", Server: "10.0.0.2", Service: "tcp/20048", Flows: 1}, // given by a port mapper
		}}
	for _, c := range []struct {
		status       string
		pairs        []pairDoc
		more         uint64
		used, unseen string
	}{
		{"seen", edge.Pairs, 0, "[tcp/2049 icmp/echo tcp/20048]", "[udp/2049 tcp/111]"},
		{"seen", edge.Pairs, 7, "[tcp/2049 udp/2049 tcp/111 icmp/echo tcp/20048]", "[]"},
		{"seen", nil, 0, "[tcp/2049 udp/2049 tcp/111 icmp/echo]", "[]"},
		{"not_seen", nil, 0, "[tcp/2049 udp/2049 tcp/111 icmp/echo]", "[]"},
	} {
		e := edge
		e.Status, e.Pairs, e.MorePairs = c.status, c.pairs, c.more
		s, err := FirewallSite("audit.json", &AuditDoc{Edges: []edgeDoc{e}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.Edges[0].Services); got != c.used {
			t.Errorf("%+v: services %s", c, got)
		}
		if got := fmt.Sprint(s.Edges[0].Unseen); got != c.unseen {
			t.Errorf("%+v: unseen %s", c, got)
		}
	}
}
