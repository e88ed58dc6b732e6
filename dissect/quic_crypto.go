package dissect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
)

// The protection of Initial packets (RFC 9001 section 5). Their keys come from
// the version and the connection id that the client's first Initial is sent
// to, so that whoever sees that packet can read them:
//
//	initial secret = HKDF-Extract(salt of the version, connection id)
//	client's       = HKDF-Expand-Label(initial secret, "client in", "", 32)
//	server's       = HKDF-Expand-Label(initial secret, "server in", "", 32)
//	key, iv, hp    = HKDF-Expand-Label(client's or server's,
//	                 "quic key", "quic iv" or "quic hp", "", 16, 12 or 16)
//
// The packet is sealed with AES-128-GCM, its header bound to it. The lowest
// bits of the first byte and the packet number are masked with a block of
// AES-128 under hp over a sample of the sealed bytes (section 5.4).

var (
	saltV1      = [20]byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a} // RFC 9001 section 5.2; drafts 33 and 34
	saltV2      = [20]byte{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9} // RFC 9369 section 3.3.1
	saltV2Draft = [20]byte{0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3} // draft-ietf-quic-v2-00 to 04, section 3.3.1
	saltDraft29 = [20]byte{0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99} // drafts 29 to 32
	saltDraft23 = [20]byte{0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02} // drafts 23 to 28
	saltDraft22 = [20]byte{0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}
	saltT050    = [20]byte{0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83, 0x10} // gQUIC with TLS inside
	saltT051    = [20]byte{0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d} // likewise
)

// quicSalt is the salt of a version whose Initial packets can be read, or nil.
func quicSalt(version uint32) *[20]byte {
	switch {
	case version == quicV1:
		return &saltV1
	case version == quicV2:
		return &saltV2
	case version == quicV2Draft0, version == quicV2Draft1:
		return &saltV2Draft
	case version == quicT050:
		return &saltT050
	case version == quicT051:
		return &saltT051
	case version == quicFacebook22:
		return &saltDraft22
	case version == quicFacebook27, version == quicFacebook27x:
		return &saltDraft23
	}
	switch draft := int(version) - quicDraft; {
	case draft == 22:
		return &saltDraft22
	case draft >= 23 && draft <= 28:
		return &saltDraft23
	case draft >= 29 && draft <= 32:
		return &saltDraft29
	case draft == 33 || draft == 34:
		return &saltV1
	}
	return nil
}

// sealedAs is the versions whose keys may open an Initial packet of a version.
// One that exists to be refused (RFC 9000 section 15) has no keys of its own:
// its sender takes those of a version that it speaks.
func sealedAs(version uint32) []uint32 {
	if isReserved(version) {
		return []uint32{quicV1, quicDraft29}
	}
	return []uint32{version}
}

const (
	aesKeySize  = 16
	gcmNonce    = 12
	sampleSize  = 16
	maxQUICInfo = 32 // bytes of the info of HKDF-Expand-Label, more than the longest has
)

// hmacSHA256 is HMAC (RFC 2104) for keys of at most one block and short
// messages. Many flows have but the shape of QUIC: crypto/hmac would put half
// a dozen objects on the heap for each of them, and this none.
func hmacSHA256(key, message []byte) [sha256.Size]byte {
	var b [sha256.BlockSize + sha256.Size + maxQUICInfo]byte
	copy(b[:], key)
	for i := range sha256.BlockSize {
		b[i] ^= 0x36
	}
	n := copy(b[sha256.BlockSize:], message)
	inner := sha256.Sum256(b[:sha256.BlockSize+n])
	for i := range sha256.BlockSize {
		b[i] ^= 0x36 ^ 0x5c
	}
	copy(b[sha256.BlockSize:], inner[:])
	return sha256.Sum256(b[:sha256.BlockSize+sha256.Size])
}

// quicLabel is HKDF-Expand-Label (RFC 8446 section 7.1) without a context, of
// at most 32 bytes: one round of HKDF-Expand, of which the first n bytes count.
func quicLabel(secret []byte, label string, n int) [sha256.Size]byte {
	const prefix = "tls13 "
	var info [maxQUICInfo]byte
	b := append(info[:0], 0, byte(n), byte(len(prefix)+len(label)))
	b = append(b, prefix...)
	b = append(b, label...)
	b = append(b, 0, 1) // no context; the first round
	return hmacSHA256(secret, b)
}

// quicKeys opens the Initial packets of one end. What a packet needs last is
// made last: most that do not open are found out by their header.
type quicKeys struct {
	secret [sha256.Size]byte
	v2     bool // the labels of version 2 (RFC 9369 section 3.3.2)
	mask   cipher.Block
	seal   cipher.AEAD
	iv     [gcmNonce]byte
	next   uint64 // packet number expected
}

// initialKeys derives the keys of one end.
func initialKeys(version uint32, id []byte, client bool) quicKeys {
	initial := hmacSHA256(quicSalt(version)[:], id)
	label := "server in"
	if client {
		label = "client in"
	}
	return quicKeys{secret: quicLabel(initial[:], label, sha256.Size), v2: version == quicV2 || version == quicV2Draft0 || version == quicV2Draft1}
}

// label chooses between those of version 1 and 2.
func (k *quicKeys) label(v1, v2 string) string {
	if k.v2 {
		return v2
	}
	return v1
}

// block makes a cipher of the key that label names.
func (k *quicKeys) block(label string) cipher.Block {
	key := quicLabel(k.secret[:], label, aesKeySize)
	b, err := aes.NewCipher(key[:aesKeySize])
	if err != nil {
		panic(err) // the key has the right size
	}
	return b
}

// open returns what an Initial packet holds, which is valid until the next
// packet is opened; number is where its packet number begins. ok says that the
// keys fit.
func (k *quicKeys) open(c *Context, packet []byte, number int) (payload []byte, ok bool) {
	const longest = 4 // bytes of a packet number; the sample is behind as many
	if len(packet) < number+longest+sampleSize {
		return nil, false
	}
	if need := number + longest + sampleSize + gcmNonce + len(packet); cap(c.space) < need {
		c.space = make([]byte, need)
	}
	space := c.space[:cap(c.space)]
	take := func(n int) []byte {
		b := space[:n:n]
		space = space[n:]
		return b
	}
	if k.mask == nil {
		k.mask = k.block(k.label("quic hp", "quicv2 hp"))
	}
	header, mask, nonce := take(number+longest), take(sampleSize), take(gcmNonce)
	copy(header, packet)
	k.mask.Encrypt(mask, packet[number+longest:number+longest+sampleSize])
	header[0] ^= mask[0] & 0x0f
	if header[0]&0x0c != 0 {
		return nil, false // reserved bits: zero (RFC 9000 section 17.2)
	}
	size := int(header[0]&3) + 1
	truncated := uint64(0)
	for i := range size {
		header[number+i] ^= mask[1+i]
		truncated = truncated<<8 | uint64(header[number+i])
	}
	if k.seal == nil {
		seal, err := cipher.NewGCM(k.block(k.label("quic key", "quicv2 key")))
		if err != nil {
			panic(err) // AES has the block size that GCM wants
		}
		iv := quicLabel(k.secret[:], k.label("quic iv", "quicv2 iv"), gcmNonce)
		k.seal, k.iv = seal, [gcmNonce]byte(iv[:gcmNonce])
	}
	pn := packetNumber(k.next, truncated, size)
	copy(nonce, k.iv[:])
	last := nonce[gcmNonce-8:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^pn)
	payload, err := k.seal.Open(space[:0], nonce, packet[number+size:], header[:number+size])
	if err != nil {
		return nil, false
	}
	k.next = max(k.next, pn+1)
	return payload, true
}

// packetNumber completes a truncated packet number of size bytes to the one
// that is closest to the one expected (RFC 9000 appendix A.3).
func packetNumber(expected, truncated uint64, size int) uint64 {
	window := uint64(1) << (8 * size)
	n := expected&^(window-1) | truncated
	switch {
	case n+window/2 <= expected:
		return n + window
	case n > expected+window/2 && n >= window:
		return n - window
	}
	return n
}
