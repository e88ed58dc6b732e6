package flows

import "math/bits"

// key is one value for both directions of a flow: the lower endpoint is a. It
// has no pointers and no padding that matters, so that it can be compared and
// hashed as numbers (an address type with a zone pointer made lookups twice as
// slow).
type key struct {
	a, b         address
	aPort, bPort uint16
	proto        uint8
	v6           bool
}

// setKey fills in the key of s, its hash, and which end of it s comes from.
func (s *segment) setKey(seed uint64) {
	k := &s.key
	k.proto, k.v6 = s.proto, s.v6
	if s.src.less(s.dst) || s.src == s.dst && s.srcPort <= s.dstPort {
		k.a, k.b, k.aPort, k.bPort = s.src, s.dst, s.srcPort, s.dstPort
		s.fromB = false
	} else {
		k.a, k.b, k.aPort, k.bPort = s.dst, s.src, s.dstPort, s.srcPort
		s.fromB = true
	}
	if s.echo == notEcho && (s.proto == ProtoICMP || s.proto == ProtoICMPv6) {
		k.bPort = ^k.bPort // no echo identifier is both a port and its complement
	}
	s.hash = k.hash(seed)
}

// hash mixes the key by multiplications, seeded so that nobody can choose
// addresses that collide: each half of an IPv6 address is hidden by another part
// of the seed before it meets another. The seed never shows: no output depends on
// the order of the index.
func (k *key) hash(seed uint64) uint32 {
	const m1, m2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	y := uint64(k.aPort)<<32 | uint64(k.bPort)<<16 | uint64(k.proto)
	if !k.v6 {
		// All of it fits into the two factors.
		x := k.a.lo<<32 | k.b.lo
		h := product(product(x^seed, y^m2^bits.RotateLeft64(seed, 32)), m1)
		return uint32(h)
	}
	a := product(k.a.hi^seed, k.a.lo^m1^bits.RotateLeft64(seed, 16))
	b := product(k.b.hi^m2^bits.RotateLeft64(seed, 32), k.b.lo^bits.RotateLeft64(seed, 48))
	h := product(product(a^y, b^bits.RotateLeft64(a, 32)^m2), m1)
	return uint32(h)
}

// product folds the two halves of a product.
func product(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
