package firewall

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wirechart/rules"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if !strings.Contains(s, "/") {
			out = append(out, single(netip.MustParseAddr(s)))
		} else {
			out = append(out, netip.MustParsePrefix(s))
		}
	}
	return out
}

func TestAggregate(t *testing.T) {
	for _, c := range []struct{ in, want []netip.Prefix }{
		{prefixes("10.0.0.2", "10.0.0.3"), prefixes("10.0.0.2/31")},
		{prefixes("10.0.0.1", "10.0.0.2"), prefixes("10.0.0.1", "10.0.0.2")}, // neighbours, and no whole
		{prefixes("10.0.0.3", "10.0.0.0", "10.0.0.2", "10.0.0.1", "10.0.0.1"), prefixes("10.0.0.0/30")},
		{prefixes("10.0.0.0/24", "10.0.0.7"), prefixes("10.0.0.0/24")},
		{prefixes("10.0.0.128/25", "10.0.0.0/25"), prefixes("10.0.0.0/24")},
		{prefixes("fd00::", "fd00::1"), prefixes("fd00::/127")},
		{prefixes("0.0.0.0/1", "128.0.0.0/1"), prefixes("0.0.0.0/0")},
	} {
		if got := aggregate(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// TestMergeIsExact holds merged rules against those that they were made of, over
// every packet of a small world.
func TestMergeIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() []netip.Prefix {
		var list []netip.Prefix
		for i := range 8 {
			if random.IntN(3) == 0 {
				list = append(list, single(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})))
			}
		}
		if len(list) == 0 {
			list = prefixes("10.0.0.4")
		}
		return aggregate(list)
	}
	for range 300 {
		var list []Rule
		for range 6 {
			low := uint16(random.IntN(6))
			list = append(list, Rule{Edges: []*Edge{{ID: "e"}}, Proto: 6, From: some(), To: some(),
				Ports: []rules.PortRange{{Low: low, High: low + uint16(random.IntN(2))}}})
		}
		merged := merge(list)
		for src := range byte(8) {
			for dst := range byte(8) {
				for port := range uint16(8) {
					pk := packetOf(netip.AddrFrom4([4]byte{10, 0, 0, src}), netip.AddrFrom4([4]byte{10, 0, 0, dst}), 6, port, 50000)
					allows := func(r Rule) bool { return r.allows(pk) }
					if slices.ContainsFunc(list, allows) != slices.ContainsFunc(merged, allows) {
						t.Fatalf("%v: %d rules and the %d made of them differ", pk, len(list), len(merged))
					}
				}
			}
		}
		if len(merged) > len(list) {
			t.Fatal("more rules than before")
		}
	}
}

// hostile is what a name may hold that a rule file takes for something else.
const hostile = "x\"'\n\r;`$(reboot)\u2019\u2028}\\ | & <> # // /* */ -A FORWARD -j ACCEPT\x00\x1b[31m"

// hostileSite is a site all of whose names are hostile.
func hostileSite() *Site {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	edge := func(used bool) Edge {
		return Edge{ID: hostile, Title: hostile, Source: hostile, At: hostile, Status: hostile, Why: hostile, Evidence: hostile, Flows: 3,
			Names: []string{hostile}, Clients: prefixes("10.0.0.1", "fd00::1"), Servers: prefixes("10.0.0.2", "10.0.0.4", "fd00::2"), Used: used, Note: hostile,
			Services: []Service{{Proto: 6, Ports: rules.PortRange{Low: 443, High: 443}}, {Proto: 17, Ports: rules.PortRange{Low: 1000, High: 2000}},
				{Proto: 1, Ports: echoOf(1)}, {Proto: 58, Ports: echoOf(58)}, {Proto: 50, Any: true}}}
	}
	flow := Flow{Client: a, Server: b, Service: Service{Proto: 6, Ports: rules.PortRange{Low: 22, High: 22}}, Flows: 2, Why: hostile, Evidence: hostile}
	return &Site{Audit: hostile, Summary: hostile, Diagram: hostile, Period: hostile, Edges: []Edge{edge(true), edge(false)},
		Undocumented: []Flow{flow}, Ambient: []Flow{flow}, DynamicPorts: []rules.PortRange{{Low: 32768, High: 65535}},
		Hosts: []Host{{Addr: a, Name: hostile, Roles: []string{hostile}}}}
}

// TestHostile says that no name makes a line of its own or ends a quotation, in
// any language, and that every line is of the forms that the language has.
func TestHostile(t *testing.T) {
	forms := map[string]string{
		"nftables":  `^(\s*#.*|\s*|table inet wirechart( \{)?|delete table inet wirechart|\s*chain forward \{|\s*\}|\s*type filter hook forward priority filter; policy drop;|\s*ct state .*|\s*ip6? saddr [^"]* ct state new accept comment "[^"]*")$`,
		"iptables":  `^(#.*||\*filter|:[A-Z]+ (ACCEPT|DROP) \[0:0\]|-A FORWARD [^"]*( --comment "[^"]*")? -j (ACCEPT|DROP)|COMMIT)$`,
		"ip6tables": `^(#.*||\*filter|:[A-Z]+ (ACCEPT|DROP) \[0:0\]|-A FORWARD [^"]*( --comment "[^"]*")? -j (ACCEPT|DROP)|COMMIT)$`,
		"windows":   `^(#.*||Remove-NetFirewallRule .*|New-NetFirewallRule( -[A-Za-z]+ ([A-Za-z0-9]+|'[^']*'(,'[^']*')*))+)$`,
		"cisco-ios": `^(!.*||(no )?(ip access-list extended|ipv6 access-list) WIRECHART-[A-Z0-9-]+| remark .*| (permit|deny) .*)$`,
		"cisco-asa": `^(!.*||object-group network WIRECHART-.*| network-object .*|access-list WIRECHART .*)$`,
		"panos":     `^(#.*||set (service|rulebase) [^"]*("[^"]*")?)$`,
		"fortinet":  `^(#.*||\s*(config|edit|set|next|end)( [^"]*("[^"]*" ?)*)?)$`,
	}
	for _, f := range Formats() {
		for _, o := range []Options{{}, {Unused: true, Ambient: true}, {PerEdge: true}, {PerEdge: true, Ambient: true}} {
			var b strings.Builder
			if err := f.Write(&b, NewPlan(hostileSite(), o)); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			for _, c := range text {
				if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c > '~' {
					t.Errorf("%s: %q", f.Name, c)
				}
			}
			switch f.Name {
			case "json", "aws-sg":
				var doc any
				if err := json.Unmarshal([]byte(text), &doc); err != nil {
					t.Errorf("%s: %v", f.Name, err)
				}
				continue
			case "csv":
				rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
				if err != nil || len(rows) < 5 {
					t.Errorf("%d rows, %v", len(rows), err)
				}
				continue
			}
			form := regexp.MustCompile(forms[f.Name])
			for line := range strings.Lines(text) {
				if line = strings.TrimSuffix(line, "\n"); !form.MatchString(line) {
					t.Errorf("%s: %q", f.Name, line)
				}
			}
		}
	}
}

// TestPerEdge says that rules of different edges stay apart where that is asked
// for, and that pairs of ordinary infrastructure become one rule all the same.
func TestPerEdge(t *testing.T) {
	edge := func(id string, port uint16) Edge {
		return Edge{ID: id, Used: true, Clients: prefixes("10.0.0.1"), Servers: prefixes("10.0.0.2"),
			Services: []Service{{Proto: 6, Ports: rules.PortRange{Low: port, High: port}}}}
	}
	s := &Site{Edges: []Edge{edge("a", 443), edge("b", 8443)}}
	for _, client := range []string{"10.0.0.4", "10.0.0.5"} {
		s.Ambient = append(s.Ambient, Flow{Client: netip.MustParseAddr(client), Server: netip.MustParseAddr("10.0.0.53"),
			Service: Service{Proto: 17, Ports: rules.PortRange{Low: 53, High: 53}}})
	}
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{}, []string{"a b"}},
		{Options{Ambient: true}, []string{"a b", "ambient"}},
		{Options{PerEdge: true}, []string{"a", "b"}},
		{Options{PerEdge: true, Ambient: true}, []string{"a", "b", "ambient"}},
	} {
		var got []string
		for _, r := range NewPlan(s, c.o).Rules {
			got = append(got, r.ID())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
}

// TestUnseenServices says that of an edge in use the services that nobody used are
// no rule, and in every format something that may become one.
func TestUnseenServices(t *testing.T) {
	port := func(proto uint8, n uint16) Service {
		return Service{Proto: proto, Ports: rules.PortRange{Low: n, High: n}}
	}
	s := &Site{Edges: []Edge{{ID: "files", Used: true, Flows: 9, Clients: prefixes("10.0.0.1"), Servers: prefixes("10.0.0.2"),
		Services: []Service{port(6, 2049)}, Unseen: []Service{port(17, 2049), port(6, 111)}}}}
	p := NewPlan(s, Options{})
	if len(p.Rules) != 1 || p.Rules[0].Proto != 6 || !slices.Equal(p.Rules[0].Ports, []rules.PortRange{{Low: 2049, High: 2049}}) {
		t.Errorf("rules %+v", p.Rules)
	}
	if len(p.Unused) != 1 || len(p.Unused[0].Rules) != 2 || p.Unused[0].Edge.Flows != 0 || p.Unused[0].Rules[0].Edges[0].Flows != 0 {
		t.Errorf("unused %+v", p.Unused)
	}
	for _, f := range Formats() {
		var b strings.Builder
		f.Write(&b, p)
		if text := strings.Join(strings.Fields(strings.NewReplacer("# ", "", "! ", "").Replace(b.String())), " "); !strings.Contains(text, "none of its connections went to udp/2049, tcp/111") {
			t.Errorf("%s does not say which services were not used:\n%s", f.Name, b.String())
		}
	}
	if p := NewPlan(s, Options{Unused: true}); len(p.Rules) != 2 || len(p.Unused) != 0 {
		t.Errorf("with those that are not used: %+v", p)
	}
}

// TestRemainders says that what is not documented and what was not used is in
// every format, and in none as a rule.
func TestRemainders(t *testing.T) {
	s := hostileSite()
	s.Edges = s.Edges[:1]
	s.Edges[0].ID, s.Undocumented[0].Server = "web", netip.MustParseAddr("10.9.9.9")
	for _, f := range Formats() {
		var b strings.Builder
		f.Write(&b, NewPlan(s, Options{}))
		if !strings.Contains(b.String(), "10.9.9.9") {
			t.Errorf("%s does not tell of what is not documented", f.Name)
		}
		for line := range strings.Lines(b.String()) {
			if strings.Contains(line, "10.9.9.9") && !strings.HasPrefix(strings.TrimSpace(line), "#") && !strings.HasPrefix(line, "!") &&
				!strings.HasPrefix(line, "undocumented,") && f.Name != "json" && f.Name != "aws-sg" {
				t.Errorf("%s: allowed: %q", f.Name, line)
			}
		}
	}
}

func TestParseService(t *testing.T) {
	for _, c := range []struct {
		in, out string
		any     bool
	}{
		{"tcp/443", "tcp/443", false}, {"udp/7000-7010", "udp/7000-7010", false}, {"icmp/echo", "icmp/echo", false}, {"icmpv6/echo", "icmpv6/echo", false},
		{"tcp/*", "tcp", true}, {"icmp", "icmp", true}, {"ip/50", "50", true}, {"icmp/3-5", "icmp/3-5", false},
	} {
		s, err := ParseService(c.in)
		if err != nil || s.String() != c.out || s.Any != c.any {
			t.Errorf("%s: %v, %v, %v", c.in, s, s.Any, err)
		}
	}
	for _, bad := range []string{"", "tcp/x", "tcp/70000", "tcp/9-1", "http", "ip/300", "ip/"} {
		if s, err := ParseService(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}

// A pattern of names reads as the diagram has it, and a sentence is not cut in its middle.
func TestWords(t *testing.T) {
	why := "2 hosts were identified as cloud, but no management-server connected to them this way in the 40.9s captured, scheduled jobs need a longer capture."
	if got := words([]string{"*.acronis.com", why}); got != "*.acronis.com, "+why {
		t.Errorf("%q", got)
	}
}
