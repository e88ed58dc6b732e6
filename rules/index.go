package rules

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// index finds the numbers of things by their hash: open addressing over slots of
// 8 bytes, the hash above 1 + the number. A built-in map of as many pairs of
// hosts takes several times the memory and the time.
type index struct {
	slots []uint64
	n     int
}

// find returns the number with this hash for which same says so.
func (x *index) find(hash uint32, same func(n int) bool) (int, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(x.slots) - 1)
	for at := hash & mask; x.slots[at] != 0; at = (at + 1) & mask {
		if v := x.slots[at]; uint32(v>>32) == hash && same(int(uint32(v))-1) {
			return int(uint32(v)) - 1, true
		}
	}
	return 0, false
}

// add makes n, which is not there yet, found by its hash.
func (x *index) add(hash uint32, n int) {
	if x.n++; x.n*4 > len(x.slots)*3 {
		old := x.slots
		x.slots = make([]uint64, max(64, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				x.place(v)
			}
		}
	}
	x.place(uint64(hash)<<32 | uint64(n+1))
}

func (x *index) place(v uint64) {
	mask := uint32(len(x.slots) - 1)
	at := uint32(v>>32) & mask
	for x.slots[at] != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = v
}

// push appends x to a list that may grow long. It doubles the space: growing by a
// quarter, as append does, leaves four times the list to the collector.
func push[T any](list []T, x T) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(len(list), 1))
	}
	return append(list, x)
}

// hashOf mixes two numbers and a seed, so that nobody can choose addresses that
// collide. What it gives never shows: no output follows the order of an index.
func hashOf(a, b, seed uint64) uint32 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15^seed, b^0xd6e8feb86659fd93^bits.RotateLeft64(seed, 32))
	hi, lo = bits.Mul64(hi^lo^a, 0x9e3779b97f4a7c15^seed)
	return uint32(hi ^ lo)
}

func (p *Policy) hashAddr(a netip.Addr) uint32 {
	b := a.As16()
	return hashOf(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:]), p.seed)
}

// host returns what is known of an address, nil when nothing was kept of it.
func (p *Policy) host(addr netip.Addr) *host {
	n, ok := p.hosts.find(p.hashAddr(addr), func(n int) bool { return p.hostAt(n).addr == addr })
	if !ok {
		return nil
	}
	return p.hostAt(n)
}

// hostsPerRoom is how many hosts lie together.
const hostsPerRoom = 32

// hostAt is the host of a number, found without the detour through p.order.
func (p *Policy) hostAt(n int) *host { return &p.rooms[uint(n)/hostsPerRoom][uint(n)%hostsPerRoom] }

// newHost makes room for the host that comes next in p.order.
func (p *Policy) newHost() *host {
	if len(p.order)%hostsPerRoom == 0 {
		p.rooms = append(p.rooms, new([hostsPerRoom]host))
	}
	return p.hostAt(len(p.order))
}

func hashLink(client, server *host, s *service, seed uint64) uint32 {
	return hashOf(uint64(client.number)<<32|uint64(server.number), uint64(s.index), seed)
}

// linkBetween returns the use of s between two hosts, nil when nothing was kept
// of it.
func (p *Policy) linkBetween(client, server *host, s *service) *link {
	n, ok := p.links.find(hashLink(client, server, s, p.seed), func(n int) bool {
		l := p.lines[n]
		return l.client == client && l.server == server && l.service == s
	})
	if !ok {
		return nil
	}
	return p.lines[n]
}
