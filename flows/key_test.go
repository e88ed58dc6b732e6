package flows

import (
	"math/bits"
	"testing"
)

// TestKeyHash holds keys that somebody chose, or that lie close to each other, to
// as few collisions as chance gives: a hundred thousand of 2^32 make one pair.
func TestKeyHash(t *testing.T) {
	const n = 100_000
	const m = 0x9e3779b97f4a7c15
	for name, make := range map[string]func(i uint64) key{
		"halves that undo each other": func(i uint64) key {
			return key{a: address{i * m, 7 ^ bits.RotateLeft64(i*m, 17)}, b: address{1, 2}, aPort: 9, bPort: 80, proto: ProtoTCP, v6: true}
		},
		"halves of the other end": func(i uint64) key {
			return key{a: address{1, 2}, b: address{i * m, 7 ^ bits.RotateLeft64(i*m, 29)}, aPort: 9, bPort: 80, proto: ProtoTCP, v6: true}
		},
		"both halves the same": func(i uint64) key {
			return key{a: address{i, i}, b: address{1, 2}, aPort: 9, bPort: 80, proto: ProtoTCP, v6: true}
		},
		"addresses that undo each other": func(i uint64) key {
			return key{a: address{1, i}, b: address{1, ^i}, aPort: 9, bPort: 80, proto: ProtoTCP, v6: true}
		},
		"one network": func(i uint64) key {
			return key{a: address{0x20010db8 << 32, i}, b: address{0x20010db8 << 32, 1 << 63}, aPort: 9, bPort: 80, proto: ProtoTCP, v6: true}
		},
		"ports of IPv6": func(i uint64) key {
			return key{a: address{1, 2}, b: address{3, 4 + i>>16}, aPort: uint16(i), bPort: 80, proto: ProtoTCP, v6: true}
		},
		"IPv4": func(i uint64) key {
			return key{a: address{0, i}, b: address{0, i ^ 0xffff}, aPort: 9, bPort: 80, proto: ProtoTCP}
		},
		"ports of IPv4": func(i uint64) key {
			return key{a: address{0, 1 + i>>16}, b: address{0, 9}, aPort: uint16(i), bPort: 80, proto: ProtoTCP}
		},
	} {
		for _, seed := range []uint64{1, 0x0123456789abcdef, 1 << 63, 0xfedc} {
			seen := map[uint32]bool{}
			for i := range uint64(n) {
				k := make(i)
				seen[k.hash(seed)] = true
			}
			if same := n - len(seen); same > 20 {
				t.Errorf("%s, seed %x: %d of %d collide", name, seed, same, n)
			}
		}
	}
}
