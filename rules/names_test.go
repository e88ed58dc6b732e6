package rules

import (
	"net/netip"
	"slices"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
)

// TestNamesThatAreNone learns from flows whose names are not those of hosts.
func TestNamesThatAreNone(t *testing.T) {
	server := netip.MustParseAddrPort("10.0.0.2:80")
	flow := func(app string, tell func(*dissect.Facts)) *flows.Flow {
		f := &flows.Flow{App: app, Server: server, Facts: &dissect.Facts{}}
		tell(f.Facts)
		return f
	}
	for _, c := range []struct {
		name, want string
		flow       *flows.Flow
	}{
		{"a Host header", "ms.corp.example", flow("http", func(f *dissect.Facts) {
			f.AddText(dissect.HTTPHost, "ms.corp.example")
		})},
		{"one that was cut", "", flow("http", func(f *dissect.Facts) {
			f.SetFlag(dissect.HTTPHostCut, true)
			f.AddText(dissect.HTTPHost, "ms.cor")
		})},
		{"an answer", "ms.corp.example", flow("dns", func(f *dissect.Facts) {
			f.AddText(dissect.DNSQName, "ms.corp.example")
			f.AddText(dissect.DNSAnswer, "10.0.0.2")
		})},
		{"an update of a zone", "", flow("dns", func(f *dissect.Facts) {
			f.SetFlag(dissect.DNSUpdate, true)
			f.AddText(dissect.DNSQName, "corp.example")
			f.AddText(dissect.DNSAnswer, "10.0.0.2")
		})},
	} {
		var b nameBook
		b.init()
		b.learn(c.flow)
		if got := b.best(server.Addr()); got != c.want {
			t.Errorf("%s names the host %q, want %q", c.name, got, c.want)
		}
		if asked, _ := serverName(c.flow); c.flow.App == "http" && asked != c.want {
			t.Errorf("%s: the client asked for %q, want %q", c.name, asked, c.want)
		}
		if all := b.all(server.Addr()); slices.Contains(all, "") {
			t.Errorf("%s: an empty name among %q", c.name, all)
		}
	}
}
