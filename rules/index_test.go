package rules

import "testing"

// TestHashOf holds numbers that somebody chose to as few collisions as chance
// gives.
func TestHashOf(t *testing.T) {
	const n = 100_000
	for name, make := range map[string]func(i uint64) (a, b uint64){
		"a factor of 1": func(i uint64) (uint64, uint64) { return i, 0xd6e8feb86659fd92 },
		"a factor of 0": func(i uint64) (uint64, uint64) { return i, 0xd6e8feb86659fd93 },
		"in a row":      func(i uint64) (uint64, uint64) { return 7, i },
		"the same":      func(i uint64) (uint64, uint64) { return i, i },
	} {
		for _, seed := range []uint64{1, 0x0123456789abcdef, 0xfedc << 40} {
			seen := map[uint32]bool{}
			for i := range uint64(n) {
				a, b := make(i)
				seen[hashOf(a, b, seed)] = true
			}
			if same := n - len(seen); same > 20 {
				t.Errorf("%s, seed %x: %d of %d collide", name, seed, same, n)
			}
		}
	}
}
