package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestBuiltinDiagrams(t *testing.T) {
	for _, name := range BuiltinNames() {
		text, _ := BuiltinText(name)
		d, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		if own := d.Parts[len(d.Parts)-1].Name; own != name {
			t.Errorf("%s calls itself %q", name, own)
		}
		for _, e := range d.Edges {
			if e.Source == "" || len(e.To) == 0 || len(e.Over) == 0 {
				t.Errorf("%s: edge %s has no source, no server or no service", name, e.ID)
			}
		}
	}
}

// The ids are promises to users: audits are compared by them.
func TestDefaultDiagram(t *testing.T) {
	d, ok := Builtin(DefaultDiagram)
	if !ok {
		t.Fatal("there is no default diagram")
	}
	var edges, components []string
	for _, e := range d.Edges {
		edges = append(edges, e.ID)
	}
	for _, c := range d.Components {
		components = append(components, c.ID)
	}
	const wantEdges = "agent-messages storage-node-messages agent-rest console-rest updates-http updates-https agent-backup catalog-index " +
		"storage-node-backend-smb storage-node-backend-nfs storage-node-backend-iscsi storage-node-backend-s3 catalog-search gateway-backup " +
		"cloud-backup gateway-management agent-smb agent-nfs vmware-api vmware-nfc agent-cloud data-centre-ping"
	if got := strings.Join(edges, " "); got != wantEdges {
		t.Errorf("edges\n got %s\nwant %s", got, wantEdges)
	}
	const wantComponents = "management-server storage-node catalog backup-gateway agent agent-for-vmware vsphere file-service backend-storage cloud console"
	if got := strings.Join(components, " "); got != wantComponents {
		t.Errorf("components\n got %s\nwant %s", got, wantComponents)
	}
}

// Each line of mistaken that ends in a comment "wrong:" has a mistake, and its
// message holds what the comment says.
const mistaken = `version: 1
name: mistaken
title: Every mistake there is
sources:
  - {id: page, title: A page}
  - {id: page, title: Another} # wrong: duplicate source "page", already at x.yaml:5
dynamic_ports: [49152-65535, 60000-50000] # wrong: port range "60000-50000" ends before it begins
components:
  - {id: server, title: Server}
  - {id: server, title: Server} # wrong: duplicate component "server", already at x.yaml:9
  - {id: Client, title: Client} # wrong: "Client": an id is small letters
  - {id: agent, title: Agent, kind_of: agent} # wrong: kind_of "agent" leads round in a circle
  - {id: helper, title: Helper, closed: maybe} # wrong: closed of component "helper" must be true or false, not "maybe"
  - {id: mid, title: Middle, layout: {column: -1, row: 0.5}} # wrong: column of layout of component "mid" must be a number from 0 to 99
edges:
  - {id: a, from: agent, to: sever, over: tcp/1, source: page} # wrong: edge "a", to: unknown component "sever" (did you mean "server"?)
  - {id: b, from: [agent, flies], to: server, over: tcp/1, source: page} # wrong: edge "b", from: unknown component "flies"
  - {id: a, from: agent, to: server, over: tcp/1, source: page} # wrong: duplicate edge "a", already at x.yaml:16
  - {id: c, from: agent, to: server, over: tcp/70000, source: page} # wrong: "70000" is no port
  - {id: d, from: agent, to: server, over: tcq/7, source: page} # wrong: unknown protocol "tcq" (did you mean "tcp"?)
  - {id: e, from: agent, to: server, over: tcp, source: page} # wrong: service "tcp" must be a transport and a port
  - {id: f, from: agent, to: server, over: tcp/*, source: page} # wrong: service "tcp/*" is every port
  - {id: g, from: agent, to: server, over: tcp/1, source: page, requires: {}} # wrong: unknown key "requires" in edge "g" (did you mean "require"?)
  - {id: h, from: agent, to: server, over: tcp/1, source: pages} # wrong: edge "h": unknown source "pages" (did you mean "page"?)
  - {id: i, from: agent, to: server, over: tcp/1} # wrong: edge "i" has no "source"
  - {id: j, from: agent, over: tcp/1, source: page} # wrong: edge "j" has no "to"
  - {id: k, from: [], to: server, over: tcp/1, source: page} # wrong: from of edge "k" is an empty list
  - {id: l, from: agent, to: server, over: tcp/1, source: page, require: {app: zmpt}} # wrong: app cannot be "zmpt" (did you mean "zmtp"?)
  - {id: l2, from: agent, to: server, over: tcp/1, source: page, require: {app: clickhouse}} # wrong: app cannot be "clickhouse": no such protocol is recognised; leave app out to allow any
  - {id: m, from: agent, to: server, over: tcp/1, source: page, require: {zmtp.mechanism: curve}} # wrong: zmtp.mechanism cannot be "curve" (did you mean "CURVE"?)
  - {id: n, from: agent, to: server, over: tcp/1, source: page, require: {tls.clientcert: present}} # wrong: unknown fact "tls.clientcert" in require of edge "n" (did you mean "tls.client_cert"?)
  - {id: o, from: agent, to: server, over: tcp/1, source: page, expect: {tls.client_cert: yes}} # wrong: tls.client_cert cannot be "yes"
  - {id: p, from: agent, to: server, over: tcp/1, source: page, require: {tls.version: ">=latest"}} # wrong: tls.version: ">=latest" is no version to begin at
  - {id: q, from: agent, to: server, over: tcp/1, source: page, require: {tls.version: ">=1.5"}} # wrong: tls.version cannot be "1.5"
  - {id: r, from: agent, to: server, over: tcp/1, source: page, require: {tls.sni: ">=1"}} # wrong: only versions and numbers have a least value
  - {id: s, from: agent, to: server, over: tcp/1, source: page, require: {zmtp.messages: 3}} # wrong: zmtp.messages cannot be required
  - {id: t, from: agent, to: server, over: tcp/1, source: page, require: {smb.smb1: maybe}} # wrong: smb.smb1 cannot be "maybe"
  - {id: t2, from: agent, to: server, over: tcp/1, source: page, require: {rpc.program: 100005}} # wrong: rpc.program: "100005" has no version; 100005/* is every version
  - {id: u, from: agent, to: server, over: tcp/1, source: page, names: ["*"]} # wrong: edge "u": name "*" would match every name
  - {id: v, from: agent, to: server, over: icmp/ping, source: page} # wrong: "ping" is no ICMP type
  - {id: w, from: agent, to: server, over: tcp/1, over: tcp/2, source: page} # wrong: key "over" of edge "w" is already on line 41
  - {id: x, from: agent, from_stated: false, to: server, over: tcp/1, source: page} # wrong: no "our_reading" that says why
  - [id, y] # wrong: edge must be keys with values, not a list
  - {id: z, title: {}, from: agent, to: server, over: tcp/1, source: page} # wrong: title of edge "z" must be a text, not keys with values
ambient:
  - {id: dns, title: Names} # wrong: ambient "dns" has no "over"
  - {id: ntp, title: Time, over: udp/123, to: 10.0.0.1/8} # wrong: prefix "10.0.0.1/8" has bits set behind its length
  - {id: ldap, title: Directory, over: udp/0} # wrong: "0" is no port
inbound_dynamic:
  to: agnet # wrong: inbound_dynamic: unknown component "agnet" (did you mean "agent"?)
  source: page
extend:
  - {component: server, edge: a, names: [x.example]} # wrong: needs "component" or "edge", one of them
  - {edge: nope, names: [x.example]} # wrong: extend: unknown edge "nope"
tilte: Again # wrong: unknown key "tilte" in the diagram (did you mean "title"?)
`

func TestMistakes(t *testing.T) {
	_, err := Parse("x.yaml", []byte(mistaken))
	list, ok := err.(Mistakes)
	if !ok {
		t.Fatalf("no Mistakes but %v", err)
	}
	compareMistakes(t, mistaken, list)
}

// compareMistakes holds list against the comments in text.
func compareMistakes(t *testing.T, text string, list Mistakes) {
	t.Helper()
	want := make(map[int]string)
	for i, line := range strings.Split(text, "\n") {
		if _, comment, ok := strings.Cut(line, "# wrong: "); ok {
			want[i+1] = comment
		}
	}
	for i, m := range list {
		switch {
		case want[m.Line] == "":
			t.Errorf("not a mistake, or reported twice: %s", m)
		case !strings.Contains(m.Text, want[m.Line]):
			t.Errorf("line %d\n got %s\nwant %s", m.Line, m.Text, want[m.Line])
		}
		delete(want, m.Line)
		if i > 0 && m.Line < list[i-1].Line {
			t.Errorf("line %d comes behind line %d", m.Line, list[i-1].Line)
		}
	}
	for line, comment := range want {
		t.Errorf("line %d: not found: %s", line, comment)
	}
}

func TestWholeFileMistakes(t *testing.T) {
	const head = "version: 1\nname: x\ntitle: X\n"
	for _, c := range []struct{ text, want string }{
		{"", "x.yaml: is empty"},
		{"# nothing\n", "x.yaml: is empty"},
		{"- a\n", `x.yaml:1: the diagram must be keys with values, not a list`},
		{"name: [\n", "x.yaml"},
		{"version: 2\nname: x\ntitle: X\ncomponents: [{id: a, title: A}]\n", `x.yaml:1: version "2"; this program reads version 1`},
		{head, "x.yaml:1: the diagram has no edges"},
		{head + "edges:\n", `x.yaml:4: key "edges" of the diagram has no value`},
		{head + "edges: 7\n", `x.yaml:4: edges must be a list, not "7"`},
		{head + "components: &c [{id: a, title: A}]\nedges: *c\n", "x.yaml:4: anchor \"&c\"; write it out\nx.yaml:5: alias \"*c\"; write it out"},
		{head + "components: [{id: a, title: A, external: true, names: [*.a.example]}]\n", "x.yaml:4: not YAML: did not find expected alphabetic or numeric character (a value that begins with > or * goes in quotes)"},
		{head + "edges:\n  - require: {tls.version: >=1.2}\n", "x.yaml:5: not YAML: found character that cannot start any token (a value that begins with > or * goes in quotes)"},
		{head + "---\nname: y\n", "x.yaml:4: a second document; one file holds one"},
		{head + "extends: nobody\nextend: [{component: cloud, names: [a.example]}]\n", `x.yaml:4: extends unknown diagram "nobody" (built in: `},
		{head + "components: [{id: a, title: \"\\e[31m\"}]\n", `x.yaml:4: title of component "a" holds '\x1b', which cannot be printed`},
	} {
		_, err := Parse("x.yaml", []byte(c.text))
		if err == nil {
			t.Errorf("%q: no mistake", c.text)
		} else if !containsLines(err.Error(), c.want) {
			t.Errorf("%q\n got %s\nwant %s", c.text, err, c.want)
		}
	}
}

// containsLines says whether every line of want begins a line of got.
func containsLines(got, want string) bool {
	for _, line := range strings.Split(want, "\n") {
		if !strings.HasPrefix(got, line) && !strings.Contains(got, "\n"+line) {
			return false
		}
	}
	return true
}

func TestManyMistakesAreBounded(t *testing.T) {
	text := "version: 1\nname: x\ntitle: X\nedges:\n" + strings.Repeat("- {}\n", 50_000)
	_, err := Parse("x.yaml", []byte(text))
	list, ok := err.(Mistakes)
	if !ok || len(list) != maxMistakes+1 {
		t.Fatalf("%d mistakes, want %d and a last line", len(list), maxMistakes)
	}
	const last = "x.yaml: 249900 more mistakes are not listed"
	if got := list[maxMistakes].String(); got != last {
		t.Errorf("last line %q, want %q", got, last)
	}
	if _, err := Parse("x.yaml", make([]byte, maxText+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a text that is too long: %v", err)
	}
}

func TestParse(t *testing.T) {
	d, err := Parse("x.yaml", []byte(`
version: 1
name: small
title: Small
sources: [{id: page, title: A page}]
dynamic_ports: 49152-65535
components:
  - {id: agent, title: Agent}
  - {id: special, title: Special agent, kind_of: agent}
  - {id: cloud, title: Cloud, external: true, names: ["*.cloud.example"]}
edges:
  - id: calls
    from: agent
    to: cloud
    over: [tcp/443, udp/7770-7800, icmp/echo, ip/50]
    require: {app: tls, tls.version: ">=1.2", tls.client_cert: [present, empty]}
    source: page, third paragraph
  - id: anybody
    from: unstated
    to: agent
    over: {where: {rpc.program: "100005/*"}, port: tcp/*}
    source: page
`))
	if err != nil {
		t.Fatal(err)
	}
	e := d.Edge("calls")
	if e.Source != "page" || e.Where != "third paragraph" || e.Line != 12 || e.File != "x.yaml" {
		t.Errorf("edge from %q, %q at %s:%d", e.Source, e.Where, e.File, e.Line)
	}
	if got := e.Over[1]; got.Proto != 17 || got.Ports != (PortRange{7770, 7800}) {
		t.Errorf("second service %+v", got)
	}
	if got := e.Over[2]; got.Proto != 1 || got.Ports != (PortRange{}) || string(got.Types) != "\x08\x00" {
		t.Errorf("echo %+v", got)
	}
	if got := e.Over[3]; got.Proto != 50 {
		t.Errorf("ip/50 %+v", got)
	}
	if len(e.Names) != 1 || e.Names[0] != "*.cloud.example" {
		t.Errorf("names %q, want those of the component", e.Names)
	}
	if got := e.Require[1]; got.Name != "tls.version" || got.Min != "1.2" || len(got.Any) != 0 {
		t.Errorf("least version %+v", got)
	}
	if got := e.Require[2].String(); got != "tls.client_cert: [present, empty]" {
		t.Errorf("requirement %s", got)
	}
	if !e.AllowsFrom(d.Component("special")) || e.AllowsFrom(d.Component("cloud")) || !e.AllowsTo(d.Component("cloud")) {
		t.Error("a special agent is an agent, and the cloud is none")
	}
	any := d.Edge("anybody")
	if !any.FromUnstated || any.From != nil || !any.Over[0].AnyPort() || len(any.Over[0].Where) != 1 {
		t.Errorf("%+v", any)
	}
	if got := d.Listeners(); len(got) != 2 || got[0].Ports.Low != 443 {
		t.Errorf("listeners %+v", got)
	}
	if listens := d.Listens(); !listens(17, 7800) || listens(6, 7800) || listens(6, 49152) {
		t.Error("the wrong ports listen")
	}
}

func TestExtend(t *testing.T) {
	const partner = `
version: 1
name: partner
title: Partner
extends: acronis-cyber-protect
sources: [{id: memo, title: Memo}]
components: [{id: relay, title: Relay}]
edges:
  - {id: relay-agent, from: agent, to: relay, over: tcp/4000, source: memo}
extend:
  - {component: cloud, names: ["*.partner.example"]}
  - {edge: agent-cloud, names: [cvss.example]}
`
	d, err := Parse("partner.yaml", []byte(partner))
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != DefaultDiagram || len(d.Parts) != 2 || d.Parts[1].Text != partner || d.Edge("relay-agent") == nil {
		t.Errorf("%s of %d parts", d.Name, len(d.Parts))
	}
	has := func(list []string, name string) bool {
		return strings.Contains(" "+strings.Join(list, " ")+" ", " "+name+" ")
	}
	if !has(d.Component("cloud").Names, "*.partner.example") || !has(d.Edge("cloud-backup").Names, "*.partner.example") ||
		!has(d.Edge("agent-cloud").Names, "*.partner.example") || !has(d.Edge("agent-cloud").Names, "cvss.example") {
		t.Error("names were not added")
	}
	if has(d.Edge("cloud-backup").Names, "cvss.example") || has(d.Edge("agent-cloud").Names, "*.acronis.com") {
		t.Error("names were added to the wrong edge")
	}

	base, _ := Builtin(DefaultDiagram)
	if has(base.Component("cloud").Names, "*.partner.example") {
		t.Error("extending changed the built-in diagram")
	}
	again, err := merge(base, d)
	if err != nil || len(again.Edges) != len(d.Edges) {
		t.Errorf("merging the base with what extends it: %v", err)
	}
	three, err := Resolve("acronis-updates-p2p", "acronis-cloud-agent")
	if err != nil || len(three.Parts) != 3 || three.Edge("updates-peers") == nil || three.Edge("cloud-agent-console") == nil {
		t.Errorf("two that extend the same: %v", err)
	}
	_, err = merge(base, mustParse(t, "version: 1\nname: y\ntitle: Y\ncomponents:\n- {id: agent, title: A}\n"))
	if err == nil || !strings.HasPrefix(err.Error(), `y.yaml:5: duplicate component "agent", already at acronis-cyber-protect:`) {
		t.Errorf("the same component twice: %v", err)
	}
	_, err = Resolve("acronis-cyber-protct")
	if err == nil || !strings.Contains(err.Error(), `did you mean "acronis-cyber-protect"?`) {
		t.Errorf("a name with a slip: %v", err)
	}
}

// Names times edges are bounded although each of them fits in a file.
func TestManyNamesAreBounded(t *testing.T) {
	var names, edges strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&names, "n%d, ", i)
		fmt.Fprintf(&edges, "- {id: e%d, from: a, to: a, over: tcp/1, source: s}\n", i)
	}
	text := "version: 1\nname: x\ntitle: X\nsources: [{id: s, title: S}]\ncomponents:\n- {id: a, title: A, external: true, names: [" +
		names.String() + "z]}\nedges:\n" + edges.String()
	_, err := Parse("x.yaml", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "more than 262144 names") {
		t.Errorf("many names: %.200v", err)
	}
}

func mustParse(t *testing.T, text string) *Diagram {
	t.Helper()
	d, err := Parse("y.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(mistaken))
	for _, name := range BuiltinNames() {
		text, _ := BuiltinText(name)
		f.Add([]byte(text))
	}
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Add([]byte("version: 1\nname: x\ntitle: X\nextends: x\nedges: [[], {from: {}, over: [{port: [], where: 1}]}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse("x", b)
		if (d == nil) != (err != nil) {
			t.Fatalf("diagram %v, error %v", d, err)
		}
		if err != nil {
			for _, m := range err.(Mistakes) {
				if m.Text == "" || strings.ContainsAny(m.Text, "\n\x1b") {
					t.Errorf("message %q", m.Text)
				}
			}
			return
		}
		for _, e := range d.Edges {
			if e.ID == "" || e.Source == "" || len(e.To) == 0 || len(e.Over) == 0 {
				t.Errorf("edge %+v passed", e)
			}
		}
		d.Listeners()
	})
}

// merge joins diagrams that were read before.
func merge(diagrams ...*Diagram) (*Diagram, error) {
	var parts []Part
	for _, d := range diagrams {
		for _, p := range d.Parts {
			if !slices.ContainsFunc(parts, func(q Part) bool { return q.File == p.File && q.Text == p.Text }) {
				parts = append(parts, p)
			}
		}
	}
	return joinParts(parts)
}
