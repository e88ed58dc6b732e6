package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unsafe"

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
		{"what a proxy is to connect to", "", flow("http", func(f *dissect.Facts) {
			f.AddText(dissect.HTTPMethod, "CONNECT")
			f.AddText(dissect.HTTPHost, "cloud.example:443")
			f.SetText(dissect.TLSSNI, "cloud.example")
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

// TestMoreNames says that names were left out where a new one found no room, and
// not where a known one was met again.
func TestMoreNames(t *testing.T) {
	var b nameBook
	b.init()
	asks := func(i int) {
		f := flow(tAgent1, tSN, 443, tls(fmt.Sprintf("tls.sni=n%d.example", i)))
		b.learn(f)
	}
	for range 2 {
		for i := range maxNamesPerHost {
			asks(i)
		}
		if b.more || len(b.all(tSN)) != maxNamesPerHost {
			t.Fatalf("%d names, more: %t", len(b.all(tSN)), b.more)
		}
	}
	asks(maxNamesPerHost)
	if !b.more || len(b.all(tSN)) != maxNamesPerHost {
		t.Errorf("one name more: %d names, more: %t", len(b.all(tSN)), b.more)
	}
}

// TestKeptNamesAreCopies meets names again and again: what is kept of them may
// not keep what else was learned of a flow.
func TestKeptNamesAreCopies(t *testing.T) {
	p := testPolicy(t, tInventory)
	var flowsText []string // to which the names of the flows belong
	for i := range 3 {
		all := strings.Clone("kept.example and much else")
		name := all[:len("kept.example")]
		flowsText = append(flowsText, all)
		answer := flow(tAgent1, tDNS, 53, udp, speaks("dns"))
		answer.Facts.AddText(dissect.DNSQName, name)
		answer.Facts.AddText(dissect.DNSAnswer, fmt.Sprintf("10.1.1.%d", i+1))
		call := flow(tAgent1, tSN, 9876, mutual())
		call.Facts.AddText(dissect.TLSSNI, name)
		p.Observe(answer)
		p.Observe(call)
	}
	check := func(what, kept string) {
		at := uintptr(unsafe.Pointer(unsafe.StringData(kept)))
		for i, all := range flowsText {
			if begin := uintptr(unsafe.Pointer(unsafe.StringData(all))); at >= begin && at < begin+uintptr(len(all)) {
				t.Errorf("%s %q is a part of what flow %d told", what, kept, i)
			}
		}
	}
	if len(p.names.answered) != 1 || len(p.names.gave) != 1 || len(p.names.gave[0]) != 3 || len(p.sessions.list) != 1 {
		t.Fatalf("%d names, %v, %d sessions", len(p.names.answered), p.names.gave, len(p.sessions.list))
	}
	for name := range p.names.answered {
		check("the answered name", name)
	}
	for _, k := range p.sessions.list {
		check("the name of a session", k.name)
	}
	for _, addr := range []netip.Addr{tSN, netip.MustParseAddr("10.1.1.1")} {
		for _, n := range p.names.of[addr] {
			check("the name of a host", n.name)
		}
	}
}
