package rules

import (
	"fmt"
	"net/netip"
	"testing"

	"wirechart/flows"
)

func TestPortMapper(t *testing.T) {
	portmap := flow(tAgent1, tFS, 111, from(800), speaks("portmap", "rpc.program=100000/2",
		"rpc.mapped=100005/3 tcp/20048", "rpc.mapped=100005/1 tcp/20048", "rpc.mapped=100005/3 udp/20049", "rpc.mapped=100011/1 tcp/875",
		"rpc.mapped=100005/3 tcp/99999", "rpc.mapped=nonsense"))
	for _, c := range []struct {
		name    string
		flow    *flows.Flow
		learned bool
		kind    Kind
		edge    string
	}{
		{"unanswered, before the port is known", flow(tAgent1, tFS, 20048, from(801), unanswered), false, Undocumented, ""},
		{"unanswered", flow(tAgent1, tFS, 20048, from(801), unanswered), true, Blocked, "agent-nfs"},
		{"nothing said", flow(tAgent1, tFS, 20048, from(801), func(f *flows.Flow) { f.Payload = flows.Pair{} }), true, Indeterminate, "agent-nfs"},
		{"what it says is another protocol", flow(tAgent1, tFS, 20048, from(801), speaks("http")), true, Undocumented, ""},
		{"the port of the other transport", flow(tAgent1, tFS, 20049, from(801), unanswered), true, Undocumented, ""},
		{"a program that no edge is for", flow(tAgent1, tFS, 875, from(801), unanswered), true, Undocumented, ""},
		{"another host", flow(tAgent1, tSN, 20048, from(801), unanswered), true, Undocumented, ""},
	} {
		p := testPolicy(t, tInventory)
		if c.learned {
			p.Observe(portmap)
		}
		p.Observe(c.flow)
		p.Settle()
		var v Verdict
		p.Judge(c.flow, &v)
		edge := ""
		if v.Edge != nil {
			edge = v.Edge.ID
		}
		if v.Kind != c.kind || edge != c.edge {
			t.Errorf("%s: %s at %q, want %s at %q", c.name, v.Kind, edge, c.kind, c.edge)
		}
	}
}

// A port mapper that lists without end fills no memory.
func TestPortMapperIsBounded(t *testing.T) {
	p := testPolicy(t, tInventory)
	for i := range 50 {
		var said []string
		for port := range 200 {
			said = append(said, fmt.Sprintf("rpc.mapped=100005/%d tcp/%d", port, 1+i*200+port), fmt.Sprintf("rpc.mapped=1000%d/1 tcp/1", port))
		}
		p.Observe(flow(tAgent1, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 111, from(800), speaks("portmap", said...)))
	}
	if n := len(p.mapped); n != maxMapped {
		t.Errorf("%d ports kept, want %d", n, maxMapped)
	}
	for port, programs := range p.mapped {
		if len(programs) > maxMappedPrograms {
			t.Errorf("%v: %d programs", port, len(programs))
		}
	}
}
