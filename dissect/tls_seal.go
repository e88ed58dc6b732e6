package dissect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// How records are sealed, suite by suite, and how they are opened. The keys
// come from the secrets of a key log:
//
//	up to TLS 1.2   PRF(master secret, "key expansion", server random, client
//	                random) makes the MAC keys, the keys and the IVs of client
//	                and server (RFC 5246 section 6.3)
//	TLS 1.3         HKDF-Expand-Label(traffic secret, "key" or "iv") makes
//	                those of one direction (RFC 8446 section 7.3)

// sealKind is how a suite protects a record.
type sealKind uint8

const (
	sealGCM    sealKind = iota // RFC 5288
	sealCCM                    // RFC 6655
	sealChaCha                 // RFC 7905
	sealCBC                    // RFC 5246 section 6.2.3.2, RFC 7366 with encrypt-then-MAC
	sealRC4                    // section 6.2.3.1
	sealNone                   // a MAC alone
)

// sealing is what a suite says of keys.
type sealing struct {
	kind     sealKind
	key      int              // bytes
	mac      func() hash.Hash // nil for those that need none
	tag      int              // bytes, of CCM
	long     bool             // SHA-384 derives the keys
	des      bool             // triple DES instead of AES
	camellia bool             // Camellia instead of AES
}

// sealingOf finds a suite in the registry "TLS Cipher Suites". ARIA, SEED, IDEA,
// DES, SM4 and export ciphers are not known.
func sealingOf(suite uint16) (s sealing, ok bool) {
	switch suite {
	case 0x1301:
		return sealing{kind: sealGCM, key: 16}, true
	case 0x1302:
		return sealing{kind: sealGCM, key: 32, long: true}, true
	case 0x1303, 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae:
		return sealing{kind: sealChaCha, key: 32}, true
	case 0x1304, 0xc09c, 0xc09e, 0xc0a4, 0xc0a6, 0xc0ac, 0xd005:
		return sealing{kind: sealCCM, key: 16, tag: 16}, true
	case 0x1305, 0xc0a0, 0xc0a2, 0xc0a8, 0xc0aa, 0xc0ae, 0xd003:
		return sealing{kind: sealCCM, key: 16, tag: 8}, true
	case 0xc09d, 0xc09f, 0xc0a5, 0xc0a7, 0xc0ad:
		return sealing{kind: sealCCM, key: 32, tag: 16}, true
	case 0xc0a1, 0xc0a3, 0xc0a9, 0xc0ab, 0xc0af:
		return sealing{kind: sealCCM, key: 32, tag: 8}, true
	case 0x009c, 0x009e, 0x00a0, 0x00a2, 0x00a4, 0x00a6, 0x00a8, 0x00aa, 0x00ac, 0xc02b, 0xc02d, 0xc02f, 0xc031, 0xd001:
		return sealing{kind: sealGCM, key: 16}, true
	case 0x009d, 0x009f, 0x00a1, 0x00a3, 0x00a5, 0x00a7, 0x00a9, 0x00ab, 0x00ad, 0xc02c, 0xc02e, 0xc030, 0xc032, 0xd002:
		return sealing{kind: sealGCM, key: 32, long: true}, true
	case 0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0x0090, 0x0094, 0xc004, 0xc009, 0xc00e, 0xc013, 0xc018,
		0xc01d, 0xc01e, 0xc01f, 0xc035:
		return sealing{kind: sealCBC, key: 16, mac: sha1.New}, true
	case 0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0x0091, 0x0095, 0xc005, 0xc00a, 0xc00f, 0xc014, 0xc019,
		0xc020, 0xc021, 0xc022, 0xc036:
		return sealing{kind: sealCBC, key: 32, mac: sha1.New}, true
	case 0x003c, 0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0x00b2, 0x00b6, 0xc023, 0xc025, 0xc027, 0xc029, 0xc037:
		return sealing{kind: sealCBC, key: 16, mac: sha256.New}, true
	case 0x003d, 0x0068, 0x0069, 0x006a, 0x006b, 0x006d:
		return sealing{kind: sealCBC, key: 32, mac: sha256.New}, true
	case 0x00af, 0x00b3, 0x00b7, 0xc024, 0xc026, 0xc028, 0xc02a, 0xc038:
		return sealing{kind: sealCBC, key: 32, mac: sha512.New384, long: true}, true
	case 0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0x001b, 0x008b, 0x008f, 0x0093, 0xc003, 0xc008, 0xc00d, 0xc012, 0xc017,
		0xc01a, 0xc01b, 0xc01c, 0xc034:
		return sealing{kind: sealCBC, key: 24, mac: sha1.New, des: true}, true
	case 0x0005, 0x008a, 0x008e, 0x0092, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc016, 0xc033:
		return sealing{kind: sealRC4, key: 16, mac: sha1.New}, true
	case 0x0004, 0x0018:
		return sealing{kind: sealRC4, key: 16, mac: md5.New}, true
	case 0x0001:
		return sealing{kind: sealNone, mac: md5.New}, true
	case 0x0002, 0x002c, 0x002d, 0x002e, 0xc001, 0xc006, 0xc00b, 0xc010, 0xc015, 0xc039:
		return sealing{kind: sealNone, mac: sha1.New}, true
	case 0x003b, 0x00b0, 0x00b4, 0x00b8, 0xc03a:
		return sealing{kind: sealNone, mac: sha256.New}, true
	case 0x00b1, 0x00b5, 0x00b9, 0xc03b:
		return sealing{kind: sealNone, mac: sha512.New384, long: true}, true
	}
	return camelliaSealing(suite)
}

// camelliaSealing knows the suites with Camellia (RFC 5932, RFC 6367). Where
// SHA-256 and SHA-384 take turns, 128 and 256 bits of key do.
func camelliaSealing(suite uint16) (s sealing, ok bool) {
	s = sealing{kind: sealCBC, key: 16, mac: sha1.New, camellia: true}
	switch {
	case suite >= 0x0041 && suite <= 0x0046:
	case suite >= 0x0084 && suite <= 0x0089:
		s.key = 32
	case suite >= 0x00ba && suite <= 0x00bf:
		s.mac = sha256.New
	case suite >= 0x00c0 && suite <= 0x00c5:
		s.mac, s.key = sha256.New, 32
	case suite >= 0xc072 && suite <= 0xc09b:
		s.mac = sha256.New
		if suite%2 == 1 {
			s.mac, s.key, s.long = sha512.New384, 32, true
		}
		if suite >= 0xc07a && suite <= 0xc093 {
			s.kind, s.mac = sealGCM, nil
		}
	default:
		return sealing{}, false
	}
	return s, true
}

// block is the suite's block cipher.
func (s sealing) block(key []byte) (cipher.Block, error) {
	switch {
	case s.camellia:
		return newCamellia(key), nil
	case s.des:
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// hash is the one that derives keys.
func (s sealing) hash() func() hash.Hash {
	if s.long {
		return sha512.New384
	}
	return sha256.New
}

// recordOpener opens the records of one direction under one set of keys.
type recordOpener interface {
	// open returns what a record holds, appended to dst, or false when it was
	// not sealed like this.
	open(dst []byte, seq uint64, typ int, version int, fragment []byte) ([]byte, bool)
	// ordered says that records can be opened only one after the other.
	ordered() bool
}

// aead is what the suites with authenticated encryption need; nil for keys
// that do not fit.
func (s sealing) aead(key []byte) cipher.AEAD {
	switch s.kind {
	case sealChaCha:
		if a, err := chacha20poly1305.New(key); err == nil {
			return a
		}
		return nil
	case sealGCM, sealCCM:
		block, err := s.block(key)
		if err != nil {
			return nil
		}
		if s.kind == sealCCM {
			return &ccm{block, s.tag}
		}
		if a, err := cipher.NewGCM(block); err == nil {
			return a
		}
	}
	return nil
}

// opener13 derives the keys of one direction from its traffic secret; nil when
// the secret is not one of the suite's.
func (s sealing) opener13(secret []byte) recordOpener {
	if len(secret) != s.hash()().Size() || s.mac != nil {
		return nil
	}
	a := s.aead(expandLabel(s.hash(), secret, "key", s.key))
	if a == nil {
		return nil
	}
	o := &opener13{aead: a}
	copy(o.iv[:], expandLabel(s.hash(), secret, "iv", len(o.iv)))
	return o
}

// nextSecret is the traffic secret behind a KeyUpdate (RFC 8446 section 7.2).
func (s sealing) nextSecret(secret []byte) []byte {
	return expandLabel(s.hash(), secret, "traffic upd", len(secret))
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446 section
// 7.1): length (2), a byte of length and the label, a byte of length 0.
func expandLabel(h func() hash.Hash, secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(append(info, "tls13 "...), label...), 0)
	out, err := hkdf.Expand(h, secret, string(info), n)
	if err != nil {
		return nil
	}
	return out
}

// opener13 opens records of TLS 1.3: the nonce is the IV with the number of
// the record in its last bytes, the header is authenticated (RFC 8446 section
// 5.2).
type opener13 struct {
	aead cipher.AEAD
	iv   [12]byte
}

func (o *opener13) ordered() bool { return false }

func (o *opener13) open(dst []byte, seq uint64, typ int, version int, fragment []byte) ([]byte, bool) {
	nonce := numbered(o.iv, seq)
	n := len(fragment)
	header := [recordHeader]byte{byte(typ), byte(version >> 8), byte(version), byte(n >> 8), byte(n)}
	out, err := o.aead.Open(dst, nonce[:], fragment, header[:])
	return out, err == nil
}

// numbered is iv with the number of a record mixed into its last bytes.
func numbered(iv [12]byte, seq uint64) [12]byte {
	binary.BigEndian.PutUint64(iv[4:], binary.BigEndian.Uint64(iv[4:])^seq)
	return iv
}

// openers12 derives the keys of both directions from a master secret, the
// client's first; nil when they do not fit.
func (s sealing) openers12(version uint16, master []byte, client, server *[32]byte, encryptThenMAC bool) (o [2]recordOpener) {
	macLength, iv := 0, 0
	switch s.kind {
	case sealGCM, sealCCM:
		iv = 4
	case sealChaCha:
		iv = 12
	default:
		macLength = s.mac().Size()
		if s.kind == sealCBC && version == versionTLS10 {
			iv = s.blockSize()
		}
	}
	seed := append(append([]byte("key expansion"), server[:]...), client[:]...)
	keys := make([]byte, 2*(macLength+s.key+iv))
	if version == versionTLS12 {
		prf(keys, s.hash(), master, seed)
	} else {
		// RFC 4346 section 5: MD5 over one half of the secret, SHA-1 over the
		// other, mixed.
		other := make([]byte, len(keys))
		half := (len(master) + 1) / 2
		prf(keys, md5.New, master[:half], seed)
		prf(other, sha1.New, master[len(master)-half:], seed)
		subtle.XORBytes(keys, keys, other)
	}
	take := func(n int) []byte {
		part := keys[:n:n]
		keys = keys[n:]
		return part
	}
	var macs, ciphers, ivs [2][]byte
	macs[0], macs[1] = take(macLength), take(macLength)
	ciphers[0], ciphers[1] = take(s.key), take(s.key)
	ivs[0], ivs[1] = take(iv), take(iv)
	for i := range o {
		o[i] = s.opener12(version, macs[i], ciphers[i], ivs[i], encryptThenMAC)
	}
	return o
}

func (s sealing) blockSize() int {
	if s.des {
		return des.BlockSize
	}
	return aes.BlockSize
}

func (s sealing) opener12(version uint16, mac, key, iv []byte, encryptThenMAC bool) recordOpener {
	switch s.kind {
	case sealGCM, sealCCM, sealChaCha:
		a := s.aead(key)
		if a == nil || version != versionTLS12 {
			return nil
		}
		return &opener12{aead: a, iv: [12]byte(append(slices.Clone(iv), make([]byte, 12-len(iv))...)), explicit: s.kind != sealChaCha}
	case sealRC4:
		if c, err := rc4.NewCipher(key); err == nil {
			return &openerStream{macOf{hmac.New(s.mac, mac)}, c}
		}
	case sealNone:
		return &openerStream{macOf{hmac.New(s.mac, mac)}, nil}
	case sealCBC:
		if block, err := s.block(key); err == nil {
			return &openerCBC{macOf{hmac.New(s.mac, mac)}, block, iv, encryptThenMAC}
		}
	}
	return nil
}

// prf is P_hash of RFC 5246 section 5; seed begins with the label.
func prf(out []byte, h func() hash.Hash, secret, seed []byte) {
	m := hmac.New(h, secret)
	m.Write(seed)
	a := m.Sum(nil)
	for len(out) > 0 {
		m.Reset()
		m.Write(a)
		m.Write(seed)
		out = out[copy(out, m.Sum(nil)):]
		m.Reset()
		m.Write(a)
		a = m.Sum(a[:0])
	}
}

// opener12 opens records of the AEAD suites of TLS 1.2: eight bytes of nonce
// in front, but not for ChaCha20 (RFC 5246 section 6.2.3.3, RFC 7905).
type opener12 struct {
	aead     cipher.AEAD
	iv       [12]byte
	explicit bool
}

func (o *opener12) ordered() bool { return false }

func (o *opener12) open(dst []byte, seq uint64, typ int, version int, fragment []byte) ([]byte, bool) {
	nonce := o.iv
	if o.explicit {
		if len(fragment) < 8 {
			return nil, false
		}
		copy(nonce[4:], fragment)
		fragment = fragment[8:]
	} else {
		nonce = numbered(nonce, seq)
	}
	if len(fragment) < o.aead.Overhead() {
		return nil, false
	}
	header := macHeader(seq, typ, version, len(fragment)-o.aead.Overhead())
	out, err := o.aead.Open(dst, nonce[:], fragment, header[:])
	return out, err == nil
}

// macHeader is what is authenticated beside a record's content up to TLS 1.2:
// the record's number (8), type (1), version (2) and length (2).
func macHeader(seq uint64, typ, version, length int) (h [13]byte) {
	binary.BigEndian.PutUint64(h[:], seq)
	h[8] = byte(typ)
	binary.BigEndian.PutUint16(h[9:], uint16(version))
	binary.BigEndian.PutUint16(h[11:], uint16(length))
	return h
}

// macOf checks the MAC of a record.
type macOf struct{ hash.Hash }

func (m macOf) fits(seq uint64, typ, version int, content, mac []byte) bool {
	header := macHeader(seq, typ, version, len(content))
	m.Reset()
	m.Write(header[:])
	m.Write(content)
	var sum [sha512.Size384]byte
	return hmac.Equal(m.Sum(sum[:0]), mac)
}

// openerStream opens records of RC4 and of the suites without encryption:
// content and MAC.
type openerStream struct {
	mac macOf
	rc4 *rc4.Cipher
}

func (o *openerStream) ordered() bool { return o.rc4 != nil }

func (o *openerStream) open(dst []byte, seq uint64, typ int, version int, fragment []byte) ([]byte, bool) {
	n := len(fragment) - o.mac.Size()
	if n < 0 {
		return nil, false
	}
	out := append(dst, fragment...)
	b := out[len(dst):]
	if o.rc4 != nil {
		o.rc4.XORKeyStream(b, b)
	}
	return out[:len(dst)+n], o.mac.fits(seq, typ, version, b[:n], b[n:])
}

// openerCBC opens records of the block ciphers:
//
//	IV          a block, since TLS 1.1; before, the last block of the record before
//	content
//	MAC         of the content; with encrypt-then-MAC in clear at the end, of all before it
//	padding     n bytes of value n
//	n           1
type openerCBC struct {
	mac            macOf
	block          cipher.Block
	iv             []byte // of TLS 1.0: the last block seen
	encryptThenMAC bool
}

func (o *openerCBC) ordered() bool { return len(o.iv) > 0 }

func (o *openerCBC) open(dst []byte, seq uint64, typ int, version int, fragment []byte) ([]byte, bool) {
	size, macSize := o.block.BlockSize(), o.mac.Size()
	var mac []byte
	if o.encryptThenMAC {
		n := len(fragment) - macSize
		if n < 0 {
			return nil, false
		}
		fragment, mac = fragment[:n], fragment[n:]
		if !o.mac.fits(seq, typ, version, fragment, mac) {
			return nil, false
		}
	}
	iv := o.iv
	if len(iv) == 0 {
		if len(fragment) < size {
			return nil, false
		}
		iv, fragment = fragment[:size], fragment[size:]
	}
	if len(fragment) == 0 || len(fragment)%size != 0 {
		return nil, false
	}
	out := append(dst, fragment...)
	b := out[len(dst):]
	cipher.NewCBCDecrypter(o.block, iv).CryptBlocks(b, b)
	if len(o.iv) > 0 {
		copy(o.iv, fragment[len(fragment)-size:])
	}
	padding := int(b[len(b)-1])
	n := len(b) - 1 - padding
	if !o.encryptThenMAC {
		n -= macSize
	}
	if n < 0 {
		return nil, false
	}
	for _, c := range b[len(b)-1-padding:] {
		if int(c) != padding {
			return nil, false
		}
	}
	if o.encryptThenMAC {
		return out[:len(dst)+n], true
	}
	return out[:len(dst)+n], o.mac.fits(seq, typ, version, b[:n], b[n:n+macSize])
}

// ccm is the counter mode with CBC-MAC of RFC 3610, with nonces of 12 bytes
// and so three for a length (RFC 6655). It only opens.
type ccm struct {
	block cipher.Block
	tag   int
}

func (c *ccm) NonceSize() int { return 12 }
func (c *ccm) Overhead() int  { return c.tag }

// Seal is not needed: nothing is sealed here.
func (c *ccm) Seal(_, _, _, _ []byte) []byte { panic("dissect: not for sealing") }

func (c *ccm) Open(dst, nonce, sealed, additional []byte) ([]byte, error) {
	n := len(sealed) - c.tag
	if n < 0 || n >= 1<<24 {
		return nil, errNotSealedSo
	}
	// Block 0 of the counter hides the tag, those from 1 on the content
	// (section 2.3).
	var counter, hidden [aes.BlockSize]byte
	counter[0] = 2 // bytes of a length less one
	copy(counter[1:], nonce)
	c.block.Encrypt(hidden[:], counter[:])
	counter[15] = 1
	out := append(dst, sealed[:n]...)
	content := out[len(dst):]
	cipher.NewCTR(c.block, counter[:]).XORKeyStream(content, content)

	// The MAC begins with a block of flags, nonce and length, then what is
	// authenticated beside the content, and the content, each filled up to
	// whole blocks (section 2.2).
	var sum [aes.BlockSize]byte
	sum[0] = 0x40 | byte((c.tag-2)/2)<<3 | 2
	copy(sum[1:], nonce)
	sum[13], sum[14], sum[15] = byte(n>>16), byte(n>>8), byte(n)
	c.block.Encrypt(sum[:], sum[:])
	add := func(b []byte) {
		for len(b) > 0 {
			k := subtle.XORBytes(sum[:], sum[:], b)
			c.block.Encrypt(sum[:], sum[:])
			b = b[k:]
		}
	}
	add(append(binary.BigEndian.AppendUint16(nil, uint16(len(additional))), additional...))
	add(content)
	subtle.XORBytes(sum[:], sum[:], hidden[:])
	if subtle.ConstantTimeCompare(sum[:c.tag], sealed[n:]) != 1 {
		return nil, errNotSealedSo
	}
	return out, nil
}
