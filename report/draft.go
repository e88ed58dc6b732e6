package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"wirechart/rules"
	"wirechart/rules/firewall"
)

// Draft writes a diagram of the traffic that an audit saw, for a product that has
// none: a component for each set of servers that offer the same, one for each set
// of clients that call the same, an edge for each service. It is what was seen and
// no documentation; each edge says so, for people to confirm or to strike out.
//
// inventory is a file that says which hosts were put into which component: the
// same traffic held against the draft, with it, is all documented.
func Draft(file string, doc *AuditDoc, name string) (diagram, inventory []byte, err error) {
	d := &drafting{offers: map[netip.Addr][]string{}, opened: map[netip.Addr][]string{}, calls: map[netip.Addr][]string{}, names: map[netip.Addr]string{}, also: map[netip.Addr][]string{}, edges: map[string]*draftEdge{},
		componentOf: map[netip.Addr]string{}}
	if doc.Diagram != nil {
		for _, r := range doc.Diagram.DynamicPorts {
			ports, err := firewall.ParsePorts(r)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", file, err)
			}
			d.dynamic = append(d.dynamic, ports)
		}
	}
	for _, list := range doc.allPairs() {
		for i := range list {
			if err := d.add(file, &list[i]); err != nil {
				return nil, nil, err
			}
		}
	}
	for i := range doc.Hosts {
		if a, err := netip.ParseAddr(doc.Hosts[i].Address); err == nil {
			for _, n := range doc.Hosts[i].Names {
				if n = plainName(n); n != "" {
					d.also[a] = append(d.also[a], n)
				}
			}
		}
	}
	if len(d.pairs) == 0 {
		return nil, nil, fmt.Errorf("%s: no traffic from which a diagram could be drafted", file)
	}
	d.group()
	return []byte(d.write(file, doc, name)), []byte(d.inventory(name)), nil
}

// inventory says which hosts are of which component.
func (d *drafting) inventory(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The hosts from which the diagram %s was drafted, each with the component that\n# it was put into.\nversion: 1\nhosts:\n", name)
	for _, c := range d.components {
		for _, a := range c.hosts {
			fmt.Fprintf(&b, "  - address: %s\n    roles: [%s]\n", quoted(a.String()), c.id)
		}
	}
	return b.String()
}

// allPairs are the pairs of an audit, ordinary infrastructure left out.
func (doc *AuditDoc) allPairs() [][]pairDoc {
	var lists [][]pairDoc
	for i := range doc.Edges {
		lists = append(lists, doc.Edges[i].Pairs)
	}
	for i := range doc.Findings {
		lists = append(lists, doc.Findings[i].Pairs)
	}
	if doc.Others != nil {
		lists = append(lists, doc.Others.Pairs)
	}
	return lists
}

type draftPair struct {
	client, server netip.Addr
	service        string
	apps           []string
	flows          uint64
	evidence       string
	sources        []uint16
	opened         bool // at least one of the flows
}

type draftEdge struct {
	to       string
	over     []string
	from     []string
	apps     []string
	flows    uint64
	evidence string
	opened   bool
	sources  []rules.PortRange // source ports that no range of the diagram has
}

type draftComponent struct {
	id, title string
	hosts     []netip.Addr
	external  bool
	names     []string
}

type drafting struct {
	pairs       []draftPair
	offers      map[netip.Addr][]string // services of a server
	opened      map[netip.Addr][]string // those of them at which connections opened
	calls       map[netip.Addr][]string // what a client calls: component and service
	names       map[netip.Addr]string
	also        map[netip.Addr][]string // every name of a host
	components  []*draftComponent
	componentOf map[netip.Addr]string
	edges       map[string]*draftEdge
	order       []string // of edges
	dynamic     []rules.PortRange
}

func (d *drafting) add(file string, p *pairDoc) error {
	client, err1 := netip.ParseAddr(p.Client)
	server, err2 := netip.ParseAddr(p.Server)
	service, err3 := firewall.ParseService(p.Service)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if server.IsMulticast() || server.IsLinkLocalUnicast() || client.IsLinkLocalUnicast() || service.Any || server == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil
	}
	opened := p.NotOpened < p.Flows
	d.pairs = append(d.pairs, draftPair{client, server, service.String(), p.Apps, p.Flows, evidenceOf(p.File, p.Frame), p.SourcePorts, opened})
	if opened {
		d.opened[server] = append(d.opened[server], service.String())
	}
	if s := service.String(); !slices.Contains(d.offers[server], s) {
		d.offers[server] = append(d.offers[server], s)
	}
	for _, x := range []struct {
		addr netip.Addr
		name string
	}{{client, p.ClientName}, {server, p.ServerName}} {
		if n := plainName(x.name); n != "" {
			d.names[x.addr] = n
		}
	}
	return nil
}

// plainName is a host name that may stand in a diagram; "" of anything else.
func plainName(s string) string {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if len(s) > 253 || strings.ContainsFunc(s, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-') }) {
		return ""
	}
	return strings.Trim(s, ".-")
}

// group makes components of hosts and edges of pairs.
func (d *drafting) group() {
	d.collect(d.offers, func(a netip.Addr, services []string) (id, title string) {
		id = "server"
		if n := d.names[a]; n != "" {
			id, _, _ = strings.Cut(n, ".")
		}
		answers := slices.DeleteFunc(slices.Clone(services), func(s string) bool { return !slices.Contains(d.opened[a], s) })
		if len(answers) == 0 {
			return id, "Does not answer at " + strings.Join(someOf(services, 4), ", ")
		}
		return id, "Answers " + strings.Join(someOf(answers, 4), ", ")
	})
	for _, p := range d.pairs {
		if d.componentOf[p.client] == "" {
			call := d.componentOf[p.server] + " " + p.service
			if !slices.Contains(d.calls[p.client], call) {
				d.calls[p.client] = append(d.calls[p.client], call)
			}
		}
	}
	d.collect(d.calls, func(_ netip.Addr, calls []string) (id, title string) {
		return "client", "Calls " + strings.Join(someOf(calls, 3), ", ")
	})
	for _, p := range d.pairs {
		to := d.componentOf[p.server]
		key := to + " " + p.service
		e := d.edges[key]
		if e == nil {
			e = &draftEdge{to: to, over: []string{p.service}, evidence: p.evidence}
			d.edges[key] = e
			d.order = append(d.order, key)
		}
		if from := d.componentOf[p.client]; !slices.Contains(e.from, from) {
			e.from = append(e.from, from)
		}
		for _, app := range p.apps {
			if app = plainName(app); app != "" && !slices.Contains(e.apps, app) {
				e.apps = append(e.apps, app)
			}
		}
		e.flows += p.flows
		e.opened = e.opened || p.opened
		if len(p.sources) == 2 && !(within(d.dynamic, p.sources[0]) && within(d.dynamic, p.sources[1])) {
			r := rules.PortRange{Low: p.sources[0], High: p.sources[1]}
			if r.High < 1024 {
				r = rules.PortRange{Low: 1, High: 1023} // as programs choose that must be root
			}
			if !slices.Contains(e.sources, r) {
				e.sources = append(e.sources, r)
			}
		}
	}
	slices.Sort(d.order)
	for _, e := range d.edges {
		slices.Sort(e.from)
		slices.Sort(e.apps)
	}
}

func someOf(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("%d more", len(list)-n))
}

// collect makes one component of hosts that have the same list; hosts outside are
// apart, each by its name.
func (d *drafting) collect(of map[netip.Addr][]string, call func(a netip.Addr, list []string) (id, title string)) {
	var hosts []netip.Addr
	for a := range of {
		slices.Sort(of[a])
		hosts = append(hosts, a)
	}
	slices.SortFunc(hosts, netip.Addr.Compare)
	byKey := map[string]*draftComponent{}
	for _, a := range hosts {
		outside := !a.IsPrivate() && !a.IsLoopback() && d.names[a] != ""
		key := strings.Join(of[a], "|")
		if outside {
			key = "outside|" + d.names[a]
		}
		c := byKey[key]
		if c == nil {
			id, title := call(a, of[a])
			c = &draftComponent{id: d.free(id), title: title, external: outside}
			byKey[key] = c
			d.components = append(d.components, c)
		}
		c.hosts = append(c.hosts, a)
		for _, n := range append([]string{d.names[a]}, d.also[a]...) {
			if outside && !slices.Contains(c.names, n) {
				c.names = append(c.names, n)
			}
		}
		d.componentOf[a] = c.id
	}
}

// free is an id that no component has yet.
func (d *drafting) free(id string) string {
	id = strings.Trim(strings.ReplaceAll(id, ".", "-"), "-")
	if id == "" || id[0] < 'a' || id[0] > 'z' {
		id = strings.TrimSuffix("host-"+id, "-")
	}
	id = id[:min(len(id), 40)]
	for n := 1; ; n++ {
		try := id
		if n > 1 || id == "server" || id == "client" {
			try = fmt.Sprintf("%s-%d", id, n)
		}
		if !slices.ContainsFunc(d.components, func(c *draftComponent) bool { return c.id == try }) {
			return try
		}
	}
}

// quoted is a text as YAML has it between double quotes.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range Clean(s) {
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	b.WriteByte('"')
	return b.String()
}

func (d *drafting) write(file string, doc *AuditDoc, name string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# A draft, made from traffic and not from documentation: it holds what was seen,")
	line("# wanted or not. Go through it edge by edge: name the components as the product's")
	line("# documentation does, put its page under \"source\", and delete what should not be")
	line("# there. wirechart diagram validate checks what you write.")
	line("version: 1")
	line("name: %s", name)
	line("title: %s", quoted("Drafted from observed traffic: "+name))
	line("")
	line("sources:")
	line("  - id: observed")
	line("    title: %s", quoted("Observed traffic, "+file+": no documentation"))
	if len(doc.Coverage.First) >= 10 {
		line("    read: %s", quoted(doc.Coverage.First[:10]))
	}
	if doc.Diagram != nil && len(doc.Diagram.DynamicPorts) > 0 {
		line("")
		line("dynamic_ports: [%s]", strings.Join(doc.Diagram.DynamicPorts, ", "))
	}
	line("")
	line("components:")
	for _, c := range d.components {
		var hosts []string
		for _, a := range c.hosts {
			h := a.String()
			if n := d.names[a]; n != "" {
				h += " (" + n + ")"
			}
			hosts = append(hosts, h)
		}
		line("  # %s", strings.Join(someOf(hosts, 8), ", "))
		line("  - id: %s", c.id)
		line("    title: %s", quoted(c.title))
		if c.external {
			line("    external: true")
			line("    names: [%s]", quotedList(c.names))
		}
		line("    source: observed")
	}
	line("")
	line("edges:")
	for _, key := range d.order {
		e := d.edges[key]
		line("  - id: %s", strings.ReplaceAll(strings.ReplaceAll(e.to+"-"+e.over[0], "/", "-"), ".", "-"))
		line("    from: [%s]", strings.Join(e.from, ", "))
		line("    to: %s", e.to)
		line("    over: %s", e.over[0])
		if len(e.apps) > 0 {
			line("    require: {app: [%s]}", quotedList(e.apps))
		}
		if len(e.sources) > 0 {
			line("    source_ports: [%s]", strings.Join(texts(e.sources), ", "))
		}
		reading := fmt.Sprintf("seen, and not yet confirmed: %s, %s", count(e.flows, "flow"), e.evidence)
		if !e.opened {
			reading += "; refused or never answered"
		}
		line("    our_reading: %s", quoted(reading))
		line("    source: observed")
	}
	b.WriteString(draftAmbient)
	return b.String()
}

// draftAmbient is what every site has and no product's documentation speaks of.
const draftAmbient = `
ambient:
  - id: dns
    title: Name resolution
    over: [udp/53, tcp/53, udp/5353, udp/5355, udp/137, udp/138]
  - id: dhcp
    title: Address assignment
    over: [udp/67, udp/68, udp/546, udp/547]
  - id: ntp
    title: Time
    over: udp/123
  - id: discovery
    title: Device and service discovery
    over: [udp/1900, udp/3702]
  - id: neighbours
    title: Neighbour discovery and multicast groups
    over: [icmpv6/130-137, icmpv6/143, icmp/9-10, ip/2]
  - id: icmp-errors
    title: ICMP errors
    over: [icmp/3-5, icmp/11-12, icmpv6/1-4]
`

func quotedList(list []string) string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, quoted(s))
	}
	return strings.Join(out, ", ")
}
