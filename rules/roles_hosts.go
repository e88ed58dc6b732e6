package rules

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	"wirechart/flows"
)

// Hosts are the hosts that have a role, that the inventory lists, or that
// spoke to such hosts, in the order of their addresses.
func (p *Policy) Hosts() []Host {
	var list []Host
	for _, h := range p.order {
		if h.roles == 0 && !h.listed && !p.touches(h) {
			continue
		}
		list = push(list, p.describe(h))
	}
	slices.SortFunc(list, func(a, b Host) int { return a.Addr.Compare(b.Addr) })
	return list
}

// touches says whether h exchanged payload with a host that has a role.
func (p *Policy) touches(h *host) bool {
	for _, l := range h.asClient {
		if l.opened > 0 && l.server.roles != 0 {
			return true
		}
	}
	for _, l := range h.asServer {
		if l.opened > 0 && l.client.roles != 0 {
			return true
		}
	}
	return false
}

func (p *Policy) describe(h *host) Host {
	x := Host{
		Addr: h.addr, Name: p.Name(h.addr), Names: p.names.all(h.addr), MAC: h.mac,
		Pinned: h.pinned, Flows: h.flows, FirstSeen: h.first,
		Ports: [2]uint16{h.low, h.high}, Sampled: int(h.inside + h.beside),
	}
	if x.Name == h.addr.String() {
		x.Name = ""
	}
	if isOutside(h.addr) {
		x.MAC = flows.MAC{} // that of the router
	}
	for rest := h.roles; rest != 0; rest &= rest - 1 {
		bit := bits.TrailingZeros64(uint64(rest))
		role := Role{Component: p.parts[bit].Component, Confidence: 1}
		if h.pinned {
			role.Because = []Evidence{{Weight: 1, Says: "the inventory says so"}}
		} else {
			role.Confidence = h.confidence(bit)
			// What tells a special kind from the general one comes before what both do.
			own := 0
			for i := range h.clues {
				c := &h.clues[i]
				if int(c.part) != bit {
					continue
				}
				e := Evidence{Weight: c.weight, Says: p.sentence(c), Frame: c.frame}
				if p.general(c) {
					role.Because = append(role.Because, e)
				} else {
					role.Because = slices.Insert(role.Because, own, e)
					own++
				}
			}
			if len(role.Because) == 0 {
				role.Remembered, role.Confidence = true, roleThreshold
				role.Because = []Evidence{{Weight: roleThreshold, Says: "had this role in an earlier run"}}
			}
			for _, list := range [][]Evidence{role.Because[:own], role.Because[own:]} {
				slices.SortStableFunc(list, func(a, b Evidence) int { return cmp.Compare(b.Weight, a.Weight) })
			}
		}
		x.Roles = append(x.Roles, role)
	}
	slices.SortStableFunc(x.Roles, func(a, b Role) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		}
		return 0
	})
	return x
}

// general says of a clue for a special kind of component that the general kind
// calls the same server in the same way.
func (p *Policy) general(c *clue) bool {
	of := slices.IndexFunc(p.parts, func(x part) bool { return x.Component == p.parts[c.part].KindOf })
	if of < 0 || c.kind != calls {
		return of >= 0
	}
	server := p.host(c.peer)
	return server == nil || !slices.ContainsFunc(c.service.edges, func(e candidate) bool {
		return e.from.has(int(c.part)) && !e.from.has(of) && e.to&server.roles != 0
	})
}

// Name is what to call an address: the inventory's name, else one that DNS, a
// client or a certificate gave it, else the address itself.
func (p *Policy) Name(addr netip.Addr) string {
	if n := p.nameOf(addr); n != "" {
		return n
	}
	return addr.String()
}

// nameOf is Name, but "" for an address without a name.
func (p *Policy) nameOf(addr netip.Addr) string {
	if h := p.host(addr); h != nil && p.settled {
		if h.pin.Name != "" {
			return h.pin.Name
		}
	} else if pin := p.inv.Host(addr, nil); pin != nil && pin.Name != "" {
		return pin.Name
	}
	return p.names.best(addr)
}

// HostName is the name of an address, "" when it has none.
func (p *Policy) HostName(addr netip.Addr) string { return p.nameOf(addr) }

// Roles are the components that the host at addr is, in the order of the diagram.
func (p *Policy) Roles(addr netip.Addr) []*Component {
	e := p.end(addr)
	return p.components(e.roles)
}

// PortClass says what the ports of a flow are: "dynamic" (in a range that holds
// for that host), "documented" (an edge leads there), "well_known" (below
// 1024) or "other"; "" for a protocol without ports.
func (p *Policy) PortClass(f *flows.Flow) (client, server string) {
	if f.Proto != flows.ProtoTCP && f.Proto != flows.ProtoUDP {
		return "", ""
	}
	c, s := p.end(f.Client.Addr()), p.end(f.Server.Addr())
	switch port := f.Client.Port(); {
	case p.listens(&c, f.Proto, port):
		client = "documented"
	case p.dynamicFor(c.host, c.dynamic, port):
		client = "dynamic"
	case port < 1024:
		client = "well_known"
	default:
		client = "other"
	}
	switch port := f.Server.Port(); {
	case p.service(f) != nil:
		server = "documented"
	case port < 1024:
		server = "well_known"
	case p.listensDynamically(s.host, s.dynamic, port):
		server = "dynamic"
	default:
		server = "other"
	}
	return client, server
}

// listens says whether port is a documented listener of the host: such a port
// is never taken for an ephemeral one.
func (p *Policy) listens(e *end, proto uint8, port uint16) bool {
	if e.roles == 0 {
		return false
	}
	var s *service
	switch i := uint16(0); proto {
	case flows.ProtoTCP:
		if i = p.byPort[0][port]; i > 0 {
			s = p.services[i-1]
		}
	case flows.ProtoUDP:
		if i = p.byPort[1][port]; i > 0 {
			s = p.services[i-1]
		}
	}
	if s == nil {
		return false
	}
	for i := range s.edges {
		if s.edges[i].to&e.roles != 0 {
			return true
		}
	}
	return false
}
