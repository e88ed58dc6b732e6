package rules

import (
	"math/bits"
	"net/netip"
)

// ownNets are the networks of the site that have public addresses, as those of IPv6
// mostly are. No address tells that by itself: a network is taken for the site's
// own where two hosts of it have roles of the site, and none is known for a
// component outside. The length of its prefix is not known either: what is
// taken is what a single network has at most, as a rule.
type ownNets map[netip.Prefix]bool

// network is the network that a public address is taken to be of.
func network(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 64
	}
	n, _ := a.Prefix(bits) // fails for lengths that an address cannot have
	return n
}

// findOwn looks for the site's public networks, by the roles that are known so far,
// and for servers of the site at public addresses, wherever.
func (p *Policy) findOwn() {
	p.own, p.hosted = nil, false
	hosts := map[netip.Prefix]int{}
	for _, h := range p.order {
		if h.roles&^p.external == 0 || !isOutside(h.addr) {
			continue
		}
		hosts[network(h.addr)]++
		for rest := h.roles &^ p.external; rest != 0; rest &= rest - 1 {
			p.hosted = p.hosted || p.parts[bits.TrailingZeros64(uint64(rest))].server
		}
	}
	if len(hosts) == 0 {
		return
	}
	for _, h := range p.order {
		if h.roles&p.external != 0 && (h.pinned || len(h.goesBy) > 0) {
			delete(hosts, network(h.addr))
		}
	}
	for n, count := range hosts {
		if count > 1 {
			if p.own == nil {
				p.own = ownNets{}
			}
			p.own[n] = true
		}
	}
}

// ours says whether a public address is one of the site: that of a host which has
// a role there, or one in a network of such hosts.
func (p *Policy) ours(a netip.Addr) bool {
	if !isOutside(a) {
		return false
	}
	h := p.host(a)
	return h != nil && p.isOurs(a, h.roles) || h == nil && p.isOurs(a, 0)
}

// isOurs is ours for a public address whose roles are known.
func (p *Policy) isOurs(a netip.Addr, roles mask) bool {
	if roles != 0 {
		return roles&^p.external != 0
	}
	return len(p.own) > 0 && p.own[network(a)]
}
