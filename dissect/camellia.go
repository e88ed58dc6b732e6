package dissect

import (
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
)

// Camellia, RFC 3713: the one block cipher of TLS in some use that Go's
// libraries do not have. Servers with wide lists of suites still choose it for
// clients that ask for it. Here it opens what others sealed, with keys that
// are known; nothing depends on how long it takes.

const camelliaBlock = 16 // bytes

// camelliaSigma are the constants of the key schedule (section 2.2).
var camelliaSigma = [6]uint64{
	0xa09e667f3bcc908b, 0xb67ae8584caa73b2, 0xc6ef372fe94f82be,
	0x54ff53a5f1d36f1c, 0x10e527fade682d1d, 0xb05688c2b3e6c1fd,
}

// camelliaSBox is SBOX1 (section 2.4.1); the other three are turns of it.
var camelliaSBox = [256]byte{
	112, 130, 44, 236, 179, 39, 192, 229, 228, 133, 87, 53, 234, 12, 174, 65,
	35, 239, 107, 147, 69, 25, 165, 33, 237, 14, 79, 78, 29, 101, 146, 189,
	134, 184, 175, 143, 124, 235, 31, 206, 62, 48, 220, 95, 94, 197, 11, 26,
	166, 225, 57, 202, 213, 71, 93, 61, 217, 1, 90, 214, 81, 86, 108, 77,
	139, 13, 154, 102, 251, 204, 176, 45, 116, 18, 43, 32, 240, 177, 132, 153,
	223, 76, 203, 194, 52, 126, 118, 5, 109, 183, 169, 49, 209, 23, 4, 215,
	20, 88, 58, 97, 222, 27, 17, 28, 50, 15, 156, 22, 83, 24, 242, 34,
	254, 68, 207, 178, 195, 181, 122, 145, 36, 8, 232, 168, 96, 252, 105, 80,
	170, 208, 160, 125, 161, 137, 98, 151, 84, 91, 30, 149, 224, 255, 100, 210,
	16, 196, 0, 72, 163, 247, 117, 219, 138, 3, 230, 218, 9, 63, 221, 148,
	135, 92, 131, 2, 205, 74, 144, 51, 115, 103, 246, 243, 157, 127, 191, 226,
	82, 155, 216, 38, 200, 55, 198, 59, 129, 150, 111, 75, 19, 190, 99, 46,
	233, 121, 167, 140, 159, 110, 188, 142, 41, 245, 249, 182, 47, 253, 180, 89,
	120, 152, 6, 106, 231, 70, 113, 186, 212, 37, 171, 66, 136, 162, 141, 250,
	114, 7, 185, 85, 248, 238, 172, 10, 54, 73, 42, 104, 60, 56, 241, 164,
	64, 40, 211, 123, 187, 201, 67, 193, 21, 227, 173, 244, 119, 199, 128, 158,
}

// camellia is a key's schedule: whitening before and behind, six keys for each
// group of rounds, two for what stands between groups.
type camellia struct {
	before, behind [2]uint64
	rounds         []uint64
	between        []uint64
}

// newCamellia takes a key of 16 or 32 bytes.
func newCamellia(key []byte) cipher.Block {
	var l, r [2]uint64
	l[0], l[1] = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
	if len(key) == 32 {
		r[0], r[1] = binary.BigEndian.Uint64(key[16:]), binary.BigEndian.Uint64(key[24:])
	}
	a := [2]uint64{l[0] ^ r[0], l[1] ^ r[1]}
	a[1] ^= camelliaF(a[0], camelliaSigma[0])
	a[0] ^= camelliaF(a[1], camelliaSigma[1])
	a[0], a[1] = a[0]^l[0], a[1]^l[1]
	a[1] ^= camelliaF(a[0], camelliaSigma[2])
	a[0] ^= camelliaF(a[1], camelliaSigma[3])
	b := [2]uint64{a[0] ^ r[0], a[1] ^ r[1]}
	b[1] ^= camelliaF(b[0], camelliaSigma[4])
	b[0] ^= camelliaF(b[1], camelliaSigma[5])

	c := &camellia{before: l}
	add := func(to *[]uint64, k [2]uint64, turn uint) {
		hi, lo := turned(k, turn)
		*to = append(*to, hi, lo)
	}
	if len(key) == 16 {
		add(&c.rounds, a, 0)
		add(&c.rounds, l, 15)
		add(&c.rounds, a, 15)
		add(&c.between, a, 30)
		add(&c.rounds, l, 45)
		hi, _ := turned(a, 45)
		_, lo := turned(l, 60)
		c.rounds = append(c.rounds, hi, lo)
		add(&c.rounds, a, 60)
		add(&c.between, l, 77)
		add(&c.rounds, l, 94)
		add(&c.rounds, a, 94)
		add(&c.rounds, l, 111)
		c.behind[0], c.behind[1] = turned(a, 111)
		return c
	}
	add(&c.rounds, b, 0)
	add(&c.rounds, r, 15)
	add(&c.rounds, a, 15)
	add(&c.between, r, 30)
	add(&c.rounds, b, 30)
	add(&c.rounds, l, 45)
	add(&c.rounds, a, 45)
	add(&c.between, l, 60)
	add(&c.rounds, r, 60)
	add(&c.rounds, b, 60)
	add(&c.rounds, l, 77)
	add(&c.between, a, 77)
	add(&c.rounds, r, 94)
	add(&c.rounds, a, 94)
	add(&c.rounds, l, 111)
	c.behind[0], c.behind[1] = turned(b, 111)
	return c
}

// turned is k, 128 bits, rotated to the left.
func turned(k [2]uint64, n uint) (hi, lo uint64) {
	if n >= 64 {
		k[0], k[1] = k[1], k[0]
		n -= 64
	}
	return k[0]<<n | k[1]>>(64-n), k[1]<<n | k[0]>>(64-n)
}

// camelliaF is the function of a round (section 2.4.1).
func camelliaF(x, key uint64) uint64 {
	x ^= key
	s := func(shift uint, turn int) byte { return bits.RotateLeft8(camelliaSBox[byte(x>>shift)], turn) }
	s4 := func(shift uint) byte { return camelliaSBox[bits.RotateLeft8(byte(x>>shift), 1)] }
	t1, t2, t3, t4 := s(56, 0), s(48, 1), s(40, 7), s4(32)
	t5, t6, t7, t8 := s(24, 1), s(16, 7), s4(8), s(0, 0)
	return binary.BigEndian.Uint64([]byte{
		t1 ^ t3 ^ t4 ^ t6 ^ t7 ^ t8,
		t1 ^ t2 ^ t4 ^ t5 ^ t7 ^ t8,
		t1 ^ t2 ^ t3 ^ t5 ^ t6 ^ t8,
		t2 ^ t3 ^ t4 ^ t5 ^ t6 ^ t7,
		t1 ^ t2 ^ t6 ^ t7 ^ t8,
		t2 ^ t3 ^ t5 ^ t7 ^ t8,
		t3 ^ t4 ^ t5 ^ t6 ^ t8,
		t1 ^ t4 ^ t5 ^ t6 ^ t7,
	})
}

// camelliaFL and its inverse stand between groups of rounds (section 2.4.2).
func camelliaFL(x, key uint64) uint64 {
	hi, lo := uint32(x>>32), uint32(x)
	lo ^= bits.RotateLeft32(hi&uint32(key>>32), 1)
	hi ^= lo | uint32(key)
	return uint64(hi)<<32 | uint64(lo)
}

func camelliaInverseFL(y, key uint64) uint64 {
	hi, lo := uint32(y>>32), uint32(y)
	hi ^= lo | uint32(key)
	lo ^= bits.RotateLeft32(hi&uint32(key>>32), 1)
	return uint64(hi)<<32 | uint64(lo)
}

// BlockSize is that of AES.
func (c *camellia) BlockSize() int { return camelliaBlock }

// Encrypt seals one block (section 2.3).
func (c *camellia) Encrypt(dst, src []byte) {
	c.crypt(dst, src, c.before, c.behind, func(list []uint64, i int) uint64 { return list[i] })
}

// Decrypt opens one: the same with the keys in reverse.
func (c *camellia) Decrypt(dst, src []byte) {
	c.crypt(dst, src, c.behind, c.before, func(list []uint64, i int) uint64 { return list[len(list)-1-i] })
}

func (c *camellia) crypt(dst, src []byte, before, behind [2]uint64, key func([]uint64, int) uint64) {
	a, b := binary.BigEndian.Uint64(src)^before[0], binary.BigEndian.Uint64(src[8:])^before[1]
	for i := 0; i < len(c.rounds); i += 2 {
		if i > 0 && i%6 == 0 {
			a = camelliaFL(a, key(c.between, i/3-2))
			b = camelliaInverseFL(b, key(c.between, i/3-1))
		}
		b ^= camelliaF(a, key(c.rounds, i))
		a ^= camelliaF(b, key(c.rounds, i+1))
	}
	binary.BigEndian.PutUint64(dst, b^behind[0])
	binary.BigEndian.PutUint64(dst[8:], a^behind[1])
}
