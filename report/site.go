package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"wirechart/rules"
	"wirechart/rules/firewall"
)

// Components is as much of the diagram of an audit as an inventory needs: its
// components.
func (doc *AuditDoc) Components() *rules.Diagram {
	d := &rules.Diagram{Name: "of the audit"}
	if doc.Diagram == nil {
		return d
	}
	d.Name = doc.Diagram.Name
	for _, c := range doc.Diagram.Components {
		d.Components = append(d.Components, &rules.Component{ID: c.ID, Title: c.Title, External: c.External})
	}
	for i, c := range doc.Diagram.Components {
		d.Components[i].KindOf = d.Component(c.KindOf)
	}
	return d
}

// FirewallSite is what an audit says, in the terms of firewalls. inv may be nil;
// the hosts that it pins have their roles whether they were seen or not.
func FirewallSite(file string, doc *AuditDoc, inv *rules.Inventory) (*firewall.Site, error) {
	x := &siteReading{file: file, doc: doc, inv: inv, components: doc.Components()}
	s := &firewall.Site{Audit: file, Summary: doc.Summary, Diagram: x.components.Name, Period: doc.Coverage.First + " to " + doc.Coverage.Last}
	if doc.Diagram != nil {
		for _, r := range doc.Diagram.DynamicPorts {
			s.DynamicPorts = append(s.DynamicPorts, x.ports(r))
		}
	}
	for i := range doc.Hosts {
		h := &doc.Hosts[i]
		s.Hosts = append(s.Hosts, firewall.Host{Addr: x.addr(h.Address), Name: h.Name, Roles: h.roles()})
	}
	for i := range doc.Edges {
		s.Edges = append(s.Edges, x.edge(s, &doc.Edges[i]))
	}
	for i := range doc.Findings {
		f := &doc.Findings[i]
		if f.Verdict != rules.Undocumented.String() && f.Edge != "" {
			continue
		}
		for k := range f.Pairs {
			s.Undocumented = append(s.Undocumented, x.flow(&f.Pairs[k], f.Reason+", finding "+f.ID))
		}
		s.More += f.MorePairs
	}
	if a := doc.Ambient; a != nil {
		for i := range a.Pairs {
			s.Ambient = append(s.Ambient, x.flow(&a.Pairs[i], ""))
		}
		s.More += a.MorePairs
	}
	return s, x.err
}

// siteReading reads what a document has as texts; the first error stays.
type siteReading struct {
	file       string
	doc        *AuditDoc
	inv        *rules.Inventory
	components *rules.Diagram
	err        error
}

func (x *siteReading) fail(err error) {
	if x.err == nil && err != nil {
		x.err = fmt.Errorf("%s: %w", x.file, err)
	}
}

func (x *siteReading) addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	x.fail(err)
	return a.WithZone("")
}

func (x *siteReading) ports(s string) rules.PortRange {
	r, err := firewall.ParsePorts(s)
	x.fail(err)
	return r
}

func (x *siteReading) service(s string) firewall.Service {
	v, err := firewall.ParseService(s)
	x.fail(err)
	return v
}

func (x *siteReading) flow(p *pairDoc, why string) firewall.Flow {
	f := firewall.Flow{Client: x.addr(p.Client), Server: x.addr(p.Server), Service: x.service(p.Service), Flows: p.Flows, Why: why, Evidence: evidenceOf(p.File, p.Frame)}
	if len(p.SourcePorts) > 0 {
		f.SourcePort = p.SourcePorts[0]
	}
	return f
}

func evidenceOf(file string, frame uint64) string {
	if frame == 0 {
		return ""
	}
	return fmt.Sprintf("%s frame %d", file, frame)
}

func (x *siteReading) edge(s *firewall.Site, e *edgeDoc) firewall.Edge {
	out := firewall.Edge{ID: e.ID, Title: e.Title, Source: e.Source, At: e.At, Status: e.Status, Why: e.Why, Names: e.Names, Used: e.Status != "not_seen"}
	if e.Example != nil {
		out.Evidence = evidenceOf(e.Example.File, e.Example.Frame)
	}
	for _, c := range e.Verdicts {
		out.Flows += c.Flows
	}
	for _, r := range e.SourcePorts {
		out.SourcePorts = append(out.SourcePorts, x.ports(r))
	}
	anyPort := false
	for _, over := range e.Over {
		service := x.service(over)
		if service.Any && (service.Proto == 6 || service.Proto == 17) {
			anyPort = true // known by what it speaks: the ports seen stand for it
			continue
		}
		out.Services = append(out.Services, service)
	}
	external := slices.ContainsFunc(e.To, func(id string) bool {
		c := x.components.Component(id)
		return c != nil && c.External
	})
	if external {
		for _, c := range x.doc.Diagram.Components {
			if len(e.Names) == 0 && c.External && slices.Contains(e.To, c.ID) {
				out.Names = c.Names
			}
		}
	}
	out.Clients = x.playing(e.From)
	if !external {
		out.Servers = x.playing(e.To)
	}
	used := make([]bool, len(out.Services))
	allowed := slices.Concat(s.DynamicPorts, out.SourcePorts)
	for i := range e.Pairs {
		p := &e.Pairs[i]
		client, server, service := x.addr(p.Client), x.addr(p.Server), x.service(p.Service)
		out.Clients = append(out.Clients, netip.PrefixFrom(client, client.BitLen()))
		out.Servers = append(out.Servers, netip.PrefixFrom(server, server.BitLen()))
		known := false
		for k, v := range out.Services {
			if v.Covers(service) {
				known, used[k] = true, true
			}
		}
		if !known && anyPort && (service.Proto == 6 || service.Proto == 17) {
			out.Services, used = append(out.Services, service), append(used, true)
			out.Note = e.ID + " is on ports that a port mapper gives: those seen are in the rules, and may change."
		}
		if p.Verdicts["documented"].Flows == p.Flows && len(p.SourcePorts) == 2 && !(within(allowed, p.SourcePorts[0]) && within(allowed, p.SourcePorts[1])) {
			out.AnySourcePort = true
		}
	}
	if out.Used && slices.Contains(used, true) && e.MorePairs == 0 {
		services := out.Services
		out.Services = nil
		for k, v := range services {
			if used[k] || !v.HasPorts() {
				out.Services = append(out.Services, v)
			} else {
				out.Unseen = append(out.Unseen, v)
			}
		}
	}
	if e.MorePairs > 0 {
		out.Note = fmt.Sprintf("The audit does not list one by one %d flows of %s: hosts without a role may be missing.", e.MorePairs, e.ID)
	}
	return out
}

func within(list []rules.PortRange, port uint16) bool {
	return slices.ContainsFunc(list, func(r rules.PortRange) bool { return r.Contains(port) })
}

// playing are the hosts that play one of the components, as found and as pinned.
func (x *siteReading) playing(ids []string) []netip.Prefix {
	var list []netip.Prefix
	is := func(c *rules.Component) bool {
		return c != nil && slices.ContainsFunc(ids, func(id string) bool {
			for range len(x.components.Components) {
				if c == nil || c.ID == id {
					break
				}
				c = c.KindOf
			}
			return c != nil && c.ID == id
		})
	}
	for i := range x.doc.Hosts {
		h := &x.doc.Hosts[i]
		if slices.ContainsFunc(h.Roles, func(r roleDoc) bool { return is(x.components.Component(r.Role)) }) {
			a := x.addr(h.Address)
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for prefix, pin := range x.inv.Addresses() {
		if slices.ContainsFunc(pin.Roles, is) {
			list = append(list, prefix)
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	return slices.Compact(list)
}
