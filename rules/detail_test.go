package rules

import (
	"net/netip"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
)

// detailed is a tally of the built-in diagram that keeps the detail.
func detailed(t *testing.T) (*Diagram, *Tally) {
	t.Helper()
	d, found := Builtin(DefaultDiagram)
	if !found {
		t.Fatal("no diagram is built in")
	}
	p, err := Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	tally := NewTally(p)
	tally.KeepDetail()
	return d, tally
}

func TestDetail(t *testing.T) {
	d, tally := detailed(t)
	edge := d.Edge("agent-backup")
	const n = 5000
	for i := range int64(n) {
		f := &flows.Flow{Facts: &dissect.Facts{}, Start: 1e18 + i*3e9, Proto: flows.ProtoTCP, App: "tls", Bytes: flows.Pair{100, 20},
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 50000), Server: netip.MustParseAddrPort("10.1.0.1:9876")}
		v := &Verdict{Kind: Documented, Edge: edge}
		if i%5 == 0 {
			f.Server, f.App = netip.MustParseAddrPort("10.1.0.1:8443"), ""
			v = &Verdict{Kind: Undocumented, Reasons: []Because{{Reason: PortNotDocumented}}}
		}
		tally.Add(f, v)
	}
	x := tally.Audit(Coverage{}).Detail
	var sum Buckets
	for _, b := range x.Buckets {
		for k, n := range b {
			sum[k] += n
		}
	}
	if sum[Documented] != n*4/5 || sum[Undocumented] != n/5 || len(x.Buckets) > maxBuckets || len(x.Buckets) <= maxBuckets/2-1 {
		t.Errorf("%v in %d buckets of %d ns", sum, len(x.Buckets), x.Width)
	}
	if x.Begin != 1e18 || x.Width*int64(len(x.Buckets)) < (n-1)*3e9 {
		t.Errorf("%d buckets of %d ns from %d do not cover the flows", len(x.Buckets), x.Width, x.Begin)
	}
	if len(x.Services) != 2 || x.Services[0].Name() != "tcp/9876" || x.Services[0].App != "tls" || x.Services[0].Verdicts[Documented].Flows != n*4/5 {
		t.Errorf("services %+v", x.Services)
	}
	if len(x.Apps) != 2 || x.Apps[1].App != "" || x.Apps[1].Verdicts[Undocumented].Flows != n/5 {
		t.Errorf("apps %+v", x.Apps)
	}
}

// TestDetailBounds says that the lists stop growing, and that this is counted.
func TestDetailBounds(t *testing.T) {
	d, tally := detailed(t)
	for i := range 3 * maxUsages {
		f := &flows.Flow{Facts: &dissect.Facts{}, Proto: flows.ProtoTCP, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 50000),
			Server: netip.AddrPortFrom(netip.MustParseAddr("10.1.0.1"), uint16(i))}
		tally.Add(f, &Verdict{Kind: Documented, Edge: d.Edges[0]})
	}
	x := tally.Audit(Coverage{}).Detail
	if len(x.Services) != maxUsages || x.Unlisted != 2*maxUsages {
		t.Errorf("%d services, %d not listed", len(x.Services), x.Unlisted)
	}
}

// TestDetailEcho says that errors of ICMP and neighbour discovery are not
// counted as echoes.
func TestDetailEcho(t *testing.T) {
	_, tally := detailed(t)
	for _, kind := range []string{"8/0", "3/13", "8/0", "8/0", "3/3"} {
		f := &flows.Flow{Facts: &dissect.Facts{}, Proto: flows.ProtoICMP, App: "icmp",
			Client: netip.MustParseAddrPort("10.0.0.1:0"), Server: netip.MustParseAddrPort("10.1.0.1:0")}
		f.Facts.Add(dissect.ICMPType, []byte(kind))
		tally.Add(f, &Verdict{Kind: Ambient})
	}
	x := tally.Audit(Coverage{}).Detail.Services
	if len(x) != 2 || x[0].Name() != "icmp/echo" || x[0].flows() != 3 || x[1].Name() != "icmp" || x[1].flows() != 2 {
		t.Errorf("services %+v", x)
	}
}
