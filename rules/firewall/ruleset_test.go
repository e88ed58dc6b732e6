package firewall

import (
	"net/netip"
	"strings"
	"testing"

	"wirechart/rules"
)

// ruleset is JSON as nft prints it, of a table with one base chain.
func ruleset(policy, list string, more ...string) string {
	return `{"nftables":[{"metainfo":{"version":"1.0.6","json_schema_version":1}},{"table":{"family":"inet","name":"f","handle":1}},` +
		`{"chain":{"family":"inet","table":"f","name":"fwd","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"` + policy + `"}}` +
		strings.Join(more, "") + list + `]}`
}

func rule(chain, expr string) string {
	return `,{"rule":{"family":"inet","table":"f","chain":"` + chain + `","handle":7,"expr":[` + expr + `]}}`
}

const (
	dport443 = `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":443}}`
	accept   = `,{"accept":null}`
	drop     = `,{"drop":null}`
)

// TestDecide walks one packet, 10.0.0.1:50000 to 10.0.0.2:443 over TCP, through
// rulesets.
func TestDecide(t *testing.T) {
	chain := func(name string) string {
		return `,{"chain":{"family":"inet","table":"f","name":"` + name + `","handle":2}}`
	}
	match := func(left, op, right string) string {
		return `{"match":{"op":"` + op + `","left":` + left + `,"right":` + right + `}}`
	}
	saddr := `{"payload":{"protocol":"ip","field":"saddr"}}`
	for _, c := range []struct{ name, text, want string }{
		{"policy drop", ruleset("drop", ""), "drop"},
		{"policy accept", ruleset("accept", ""), "accept"},
		{"port", ruleset("drop", rule("fwd", dport443+accept)), "accept"},
		{"order", ruleset("drop", rule("fwd", dport443+drop)+rule("fwd", dport443+accept)), "drop"},
		{"reject", ruleset("accept", rule("fwd", dport443+`,{"reject":{"type":"tcp reset"}}`)), "drop"},
		{"counter and log", ruleset("drop", rule("fwd", dport443+`,{"counter":{"packets":0,"bytes":0}},{"log":null}`+accept)), "accept"},
		{"other port", ruleset("drop", rule("fwd", strings.Replace(dport443, "443", "444", 1)+accept)), "drop"},
		{"not that port", ruleset("drop", rule("fwd", match(`{"payload":{"protocol":"tcp","field":"dport"}}`, "!=", "22")+accept)), "accept"},
		{"above a port", ruleset("drop", rule("fwd", match(`{"payload":{"protocol":"tcp","field":"sport"}}`, ">=", "1024")+accept)), "accept"},
		{"other transport", ruleset("drop", rule("fwd", match(`{"payload":{"protocol":"udp","field":"dport"}}`, "==", "443")+accept)), "drop"},
		{"any transport", ruleset("drop", rule("fwd", match(`{"payload":{"protocol":"th","field":"dport"}}`, "==", `{"set":[22,{"range":[400,500]}]}`)+accept)), "accept"},
		{"prefix", ruleset("drop", rule("fwd", match(saddr, "==", `{"prefix":{"addr":"10.0.0.0","len":31}}`)+accept)), "accept"},
		{"other prefix", ruleset("drop", rule("fwd", match(saddr, "==", `{"prefix":{"addr":"10.0.0.2","len":31}}`)+accept)), "drop"},
		{"range of addresses", ruleset("drop", rule("fwd", match(saddr, "==", `{"range":["10.0.0.0","10.0.0.9"]}`)+accept)), "accept"},
		{"set", ruleset("drop", rule("fwd", match(saddr, "==", `{"set":["10.0.0.9",{"prefix":{"addr":"10.0.0.0","len":30}}]}`)+accept)), "accept"},
		{"named set", ruleset("drop", rule("fwd", match(saddr, "==", `"@clients"`)+accept),
			`,{"set":{"family":"inet","name":"clients","table":"f","type":"ipv4_addr","handle":3,"elem":["10.0.0.7",{"elem":{"val":"10.0.0.1","comment":"x"}}]}}`), "accept"},
		{"unknown set", ruleset("drop", rule("fwd", match(saddr, "==", `"@clients"`)+accept)), "unclear the set @clients"},
		{"IPv6 field", ruleset("drop", rule("fwd", match(`{"payload":{"protocol":"ip6","field":"saddr"}}`, "==", `"fd00::1"`)+accept)), "drop"},
		{"state new", ruleset("drop", rule("fwd", match(`{"ct":{"key":"state"}}`, "in", `["new","related"]`)+accept)), "accept"},
		{"state established", ruleset("drop", rule("fwd", match(`{"ct":{"key":"state"}}`, "in", `"established"`)+accept)), "drop"},
		{"protocol", ruleset("drop", rule("fwd", match(`{"meta":{"key":"l4proto"}}`, "==", `{"set":["tcp","udp"]}`)+accept)), "accept"},
		{"SYN", ruleset("drop", rule("fwd", match(`{"&":[{"payload":{"protocol":"tcp","field":"flags"}},{"|":["fin","syn","rst","ack"]}]}`, "==", `"syn"`)+accept)), "accept"},
		{"interface", ruleset("drop", rule("fwd", match(`{"meta":{"key":"iifname"}}`, "==", `"eth0"`)+accept)), "unclear meta iifname"},
		{"interface of a drop", ruleset("drop", rule("fwd", match(`{"meta":{"key":"iifname"}}`, "==", `"eth0"`)+drop)), "drop"},
		{"jump", ruleset("drop", rule("fwd", `{"jump":{"target":"web"}}`)+rule("web", dport443+accept), chain("web")), "accept"},
		{"jump and return", ruleset("drop", rule("fwd", `{"jump":{"target":"web"}}`)+rule("fwd", dport443+accept)+rule("web", `{"return":null}`)+rule("web", `{"drop":null}`), chain("web")), "accept"},
		{"goto", ruleset("drop", rule("fwd", `{"goto":{"target":"web"}}`)+rule("fwd", dport443+accept), chain("web")), "drop"},
		{"loop", ruleset("drop", rule("fwd", `{"jump":{"target":"web"}}`)+rule("web", `{"jump":{"target":"web"}}`), chain("web")), "drop"},
		{"verdict map", ruleset("drop", rule("fwd", `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[22,{"drop":null}],[443,{"jump":{"target":"web"}}]]}}}`)+rule("web", dport443+accept), chain("web")), "accept"},
		{"verdict map, and on", ruleset("drop", rule("fwd", `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[443,{"continue":null}]]}}}`+accept)), "accept"},
		{"verdict map, to a chain and on", ruleset("drop", rule("fwd", `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[443,{"jump":{"target":"web"}}]]}}}`+accept), chain("web")), "accept"},
		{"verdict map, and away", ruleset("drop", rule("fwd", `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[443,{"goto":{"target":"web"}}]]}}}`+accept), chain("web")), "drop"},
		{"verdict map, and back", ruleset("drop", rule("fwd", `{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[443,{"return":null}]]}}}`)+rule("fwd", dport443+accept)), "drop"},
		{"state map", ruleset("accept", rule("fwd", `{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],["new",{"drop":null}]]}}}`)), "drop"},
		{"xt", ruleset("drop", rule("fwd", `{"xt":{"type":"match","name":"string"}}`+accept)), "unclear a match of iptables that nft does not print"},
	} {
		set, err := ReadRuleset("r.json", []byte(c.text), "forward")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		o := set.decide(packetOf(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), 6, 443, 50000))
		got := "drop"
		if o.unclear != "" {
			got = "unclear " + o.unclear
		} else if o.accept {
			got = "accept"
		}
		if got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got, o.rule, c.want)
		}
	}
}

func TestReadRulesetMistakes(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"nftables":[]}`, `{"nftables":[{"rule":{"family":"inet","table":"f","chain":"x","expr":[]}}]}`,
		`{"nftables":[{"chain":7}]}`} {
		if _, err := ReadRuleset("r.json", []byte(text), "forward"); err == nil || !strings.HasPrefix(err.Error(), "r.json: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestVerifySeen wants the rule named by its handle, which is what nft prints, and
// each finding's connections apart.
func TestVerifySeen(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	seen := func(port uint16, why string) Flow {
		return Flow{Client: a, Server: b, Service: Service{Proto: 6, Ports: rules.PortRange{Low: port, High: port}}, Why: why}
	}
	set, err := ReadRuleset("r.json", []byte(ruleset("drop", rule("fwd", dport443+drop)+rule("fwd", `{"accept":null}`))), "forward")
	if err != nil {
		t.Fatal(err)
	}
	v := Verify(&Plan{Site: &Site{}, Undocumented: []Flow{seen(22, "port_scan, finding 1"), seen(80, "port_not_documented, finding 2"), seen(23, "port_scan, finding 1"), seen(443, "port_scan, finding 1")}}, set)
	if len(v.Problems) != 2 || v.Problems[0].Count != 2 || v.Problems[1].Count != 1 || !strings.HasSuffix(v.Problems[1].Says, "finding 2") {
		t.Errorf("problems %+v", v.Problems)
	}
	for _, p := range v.Problems {
		if !strings.Contains(p.Rule, "handle 7") {
			t.Errorf("rule %q", p.Rule)
		}
	}
}
