package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"time"
)

// tlsOptions shapes a TLS handshake.
type tlsOptions struct {
	name   string   // of the server; empty leaves SNI out
	alpn   []string // offered
	old    bool     // the server selects TLS 1.2
	mutual bool     // the server asks for a certificate and the client shows one
}

// tls is a full handshake, up to the first application data.
func (s *site) tls(o tlsOptions) []turn {
	hello := turn{dir: 0, head: s.clientHello(o)}
	if o.old {
		return append([]turn{hello}, s.tls12(o)...)
	}
	// TLS 1.3: all that follows ServerHello is encrypted. The sizes are those of
	// a certificate of about a kilobyte and of SHA-256: 53 bytes are a Finished.
	server := record(22, s.serverHello(0x1301, true))
	server = append(server, 20, 3, 3, 0, 1, 1) // ChangeCipherSpec
	for _, n := range s.serverFlight(o) {
		server = append(server, s.sealed(n)...)
	}
	client := []byte{20, 3, 3, 0, 1, 1}
	if o.mutual {
		client = append(client, s.sealed(900+s.rng.IntN(300))...)
		client = append(client, s.sealed(281)...)
	}
	client = append(client, s.sealed(53)...)
	tickets := append(s.sealed(250), s.sealed(250)...)
	return []turn{hello, {dir: 1, head: server}, {dir: 0, head: client}, {dir: 1, head: tickets}}
}

// serverFlight has the sizes of EncryptedExtensions, CertificateRequest,
// Certificate, CertificateVerify and Finished.
func (s *site) serverFlight(o tlsOptions) []int {
	flight := []int{27, 1100 + s.rng.IntN(1800), 281, 53}
	if o.mutual {
		return append([]int{27, 60}, flight[1:]...)
	}
	return flight
}

// sealed is one encrypted record with n bytes behind its header.
func (s *site) sealed(n int) []byte {
	b := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return append(b, s.random(n)...)
}

// tls12 is the rest of a TLS 1.2 handshake, certificates in clear.
func (s *site) tls12(o tlsOptions) []turn {
	chain := s.chain[s.rng.IntN(len(s.chain))]
	flight := s.serverHello(0xc02f, false)
	flight = append(flight, handshake(11, chain)...)
	exchange := append([]byte{3, 0, 29, 32}, s.random(32)...) // x25519
	exchange = append(exchange, 8, 4, 1, 0)                   // rsa_pss_rsae_sha256
	flight = append(flight, handshake(12, append(exchange, s.random(256)...))...)
	if o.mutual {
		flight = append(flight, handshake(13, []byte{2, 1, 64, 0, 4, 8, 4, 4, 3, 0, 0})...)
	}
	flight = append(flight, handshake(14, nil)...)

	var answer []byte
	if o.mutual {
		answer = handshake(11, s.chain[s.rng.IntN(len(s.chain))])
	}
	answer = append(answer, handshake(16, append([]byte{32}, s.random(32)...))...)
	if o.mutual {
		verify := append([]byte{8, 4, 1, 0}, s.random(256)...)
		answer = append(answer, handshake(15, verify)...)
	}
	finished := func() []byte {
		b := []byte{20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40}
		return append(b, s.random(40)...)
	}
	return []turn{
		{dir: 1, head: record(22, flight)},
		{dir: 0, head: append(record(22, answer), finished()...)},
		{dir: 1, head: finished()},
	}
}

// record wraps plaintext in TLS records of at most 16 KiB.
func record(kind byte, b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := min(len(b), 1<<14)
		out = append(out, kind, 3, 3, byte(n>>8), byte(n))
		out = append(out, b[:n]...)
		b = b[n:]
	}
	return out
}

func handshake(kind byte, body []byte) []byte {
	return append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// extension appends a TLS extension.
func extension(b []byte, kind uint16, body []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// clientHello offers TLS 1.3 and 1.2. Every other one carries a post-quantum
// key share and so spans two segments.
func (s *site) clientHello(o tlsOptions) []byte {
	body := append([]byte{3, 3}, s.random(32)...)
	body = append(body, 32)
	body = append(body, s.random(32)...)
	suites := []byte{0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8, 0, 0x9c}
	body = append(body, 0, byte(len(suites)))
	body = append(body, suites...)
	body = append(body, 1, 0) // no compression

	var ext []byte
	if o.name != "" {
		n := len(o.name)
		sni := []byte{byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}
		ext = extension(ext, 0, append(sni, o.name...))
	}
	ext = extension(ext, 23, nil)                                    // extended master secret
	ext = extension(ext, 65281, []byte{0})                           // renegotiation info
	ext = extension(ext, 10, []byte{0, 6, 0x11, 0xec, 0, 29, 0, 23}) // groups
	ext = extension(ext, 11, []byte{1, 0})                           // point formats
	ext = extension(ext, 35, nil)                                    // session ticket
	if len(o.alpn) > 0 {
		var list []byte
		for _, p := range o.alpn {
			list = append(list, byte(len(p)))
			list = append(list, p...)
		}
		ext = extension(ext, 16, append([]byte{0, byte(len(list))}, list...))
	}
	ext = extension(ext, 13, []byte{0, 8, 4, 3, 8, 4, 4, 1, 8, 5}) // signature algorithms
	var shares []byte
	if s.rng.IntN(2) == 0 {
		shares = extension(shares, 0x11ec, s.random(1216))
	}
	shares = extension(shares, 29, s.random(32))
	ext = extension(ext, 51, append(binary.BigEndian.AppendUint16(nil, uint16(len(shares))), shares...))
	ext = extension(ext, 45, []byte{1, 1})          // key exchange modes
	ext = extension(ext, 43, []byte{4, 3, 4, 3, 3}) // versions
	body = binary.BigEndian.AppendUint16(body, uint16(len(ext)))
	hello := record(22, handshake(1, append(body, ext...)))
	hello[2] = 1 // the first record says TLS 1.0
	return hello
}

func (s *site) serverHello(suite uint16, new bool) []byte {
	body := append([]byte{3, 3}, s.random(32)...)
	body = append(body, 32)
	body = append(body, s.random(32)...)
	body = binary.BigEndian.AppendUint16(body, suite)
	body = append(body, 0)
	var ext []byte
	if new {
		ext = extension(ext, 43, []byte{3, 4})
		ext = extension(ext, 51, append([]byte{0, 29, 0, 32}, s.random(32)...))
	} else {
		ext = extension(ext, 23, nil)
		ext = extension(ext, 65281, []byte{0})
		ext = extension(ext, 11, []byte{1, 0})
	}
	body = binary.BigEndian.AppendUint16(body, uint16(len(ext)))
	return handshake(2, append(body, ext...))
}

// tlsRecords frames bulk bytes as application data.
func tlsRecords(b []byte, left int, rng *rand.Rand) ([]byte, int) {
	n := min(left, 4096+rng.IntN(12288))
	return append(b, 23, 3, 3, byte(n>>8), byte(n)), n
}

// certificateChains makes n chains of two certificates each, in the form of a
// TLS 1.2 Certificate message. Ed25519 signs without randomness, so that the
// bytes are always the same; further names make them as long as usual ones.
func certificateChains(n int) [][]byte {
	key := func(i int) ed25519.PrivateKey {
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint64(seed, uint64(i))
		return ed25519.NewKeyFromSeed(seed)
	}
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: "Benchmark Authority"},
		NotBefore:             captureStart.Add(-365 * 24 * time.Hour),
		NotAfter:              captureStart.Add(3650 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	authorityKey := key(0)
	root, err := x509.CreateCertificate(nil, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		panic(err) // the template is ours
	}
	var chains [][]byte
	for i := range n {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(1000 + i)),
			Subject:      pkix.Name{CommonName: fmt.Sprintf("host-%d.example.org", i)},
			NotBefore:    captureStart.Add(-24 * time.Hour),
			NotAfter:     captureStart.Add(90 * 24 * time.Hour),
		}
		for j := range 8 + i%16 {
			leaf.DNSNames = append(leaf.DNSNames, fmt.Sprintf("alias-%d.of.host-%d.example.org", j, i))
		}
		der, err := x509.CreateCertificate(nil, leaf, authority, key(i+1).Public(), authorityKey)
		if err != nil {
			panic(err) // likewise
		}
		var list []byte
		for _, c := range [][]byte{der, root} {
			list = append(list, byte(len(c)>>16), byte(len(c)>>8), byte(len(c)))
			list = append(list, c...)
		}
		chains = append(chains, append([]byte{byte(len(list) >> 16), byte(len(list) >> 8), byte(len(list))}, list...))
	}
	return chains
}

// zmtp is a ZMTP 3.1 conversation: greetings, the handshake of the mechanism,
// then messages.
func (s *site) zmtp(mechanism string) []turn {
	greeting := func(server byte) []byte {
		b := make([]byte, 64)
		b[0], b[9] = 0xff, 0x7f
		b[8] = 1 // as libzmq writes it, the length of an identity in old peers' eyes
		b[10], b[11] = 3, 1
		copy(b[12:32], mechanism)
		b[32] = server
		return b
	}
	asServer := byte(0)
	if mechanism != "NULL" {
		asServer = 1
	}
	turns := []turn{{dir: 0, head: greeting(0)}, {dir: 1, head: greeting(asServer)}}
	say := func(dir int, b []byte) { turns = append(turns, turn{dir: dir, head: b}) }
	frame := zmtpMessages
	switch mechanism {
	case "CURVE":
		frame = curveMessages
		say(0, command("HELLO", append([]byte{1, 0}, s.sealedBox(72+32+8+80)...)))
		say(1, command("WELCOME", s.sealedBox(16+144)))
		say(0, command("INITIATE", s.sealedBox(96+8+144+37)))
		say(1, command("READY", s.sealedBox(8+16+37)))
	case "PLAIN":
		say(0, command("HELLO", []byte("\x05agent\x06secret")))
		say(1, command("WELCOME", nil))
		say(0, command("INITIATE", property("Socket-Type", "DEALER")))
		say(1, command("READY", property("Socket-Type", "ROUTER")))
	default:
		say(0, command("READY", property("Socket-Type", "DEALER")))
		say(1, command("READY", property("Socket-Type", "ROUTER")))
	}
	for i := range 4 + s.rng.IntN(16) {
		turns = append(turns, turn{dir: i & 1, bulk: 60 + s.tail(300, 1), frame: frame})
	}
	return turns
}

// sealedBox is n random bytes: keys, nonces, boxes.
func (s *site) sealedBox(n int) []byte { return s.random(n) }

// command is a ZMTP command frame.
func command(name string, body []byte) []byte {
	n := 1 + len(name) + len(body)
	var b []byte
	if n > 255 {
		b = binary.BigEndian.AppendUint64([]byte{6}, uint64(n))
	} else {
		b = []byte{4, byte(n)}
	}
	b = append(b, byte(len(name)))
	b = append(b, name...)
	return append(b, body...)
}

// property is one item of ZMTP metadata.
func property(name, value string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// zmtpMessages frames bulk bytes as messages of one frame.
func zmtpMessages(b []byte, left int, _ *rand.Rand) ([]byte, int) {
	n := min(left, 1<<13)
	if n > 255 {
		return binary.BigEndian.AppendUint64(append(b, 2), uint64(n)), n
	}
	return append(b, 0, byte(n)), n
}

// curveMessages frames bulk bytes as MESSAGE boxes, with their nonces in
// the bulk.
func curveMessages(b []byte, left int, _ *rand.Rand) ([]byte, int) {
	const name = "\x07MESSAGE"
	n := min(left, 1<<13)
	if n+len(name) > 255 {
		b = binary.BigEndian.AppendUint64(append(b, 2), uint64(n+len(name)))
	} else {
		b = append(b, 0, byte(n+len(name)))
	}
	return append(b, name...), n
}

// SMB2 commands.
const (
	smbNegotiate = 0
	smbSession   = 1
	smbTree      = 3
	smbRead      = 8
	smbWrite     = 9
)

// smb is an SMB 3 session: negotiate, NTLMSSP, a tree, then reads and writes.
func (s *site) smb() *talk {
	t := s.open(protoTCP, s.agent(), s.filer(), 445)
	id := uint64(0)
	say := func(dir int, cmd uint16, status uint32, body []byte, bulk int) {
		t.turns = append(t.turns, turn{dir: dir, head: smb2(cmd, dir, status, id, body, bulk), bulk: bulk})
		id += uint64(dir)
	}
	le16, le32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32

	negotiate := le16(nil, 36)
	negotiate = le16(negotiate, 4) // dialects
	negotiate = le32(negotiate, 1) // signing enabled
	negotiate = le32(negotiate, 0x7f)
	negotiate = append(negotiate, s.random(16)...)
	negotiate = append(negotiate, make([]byte, 8)...)
	for _, dialect := range []uint16{0x0202, 0x0210, 0x0300, 0x0302} {
		negotiate = le16(negotiate, dialect)
	}
	say(0, smbNegotiate, 0, negotiate, 0)
	answer := le16(nil, 65)
	answer = le16(answer, 1) // signing enabled
	answer = le16(answer, 0x0302)
	answer = append(answer, make([]byte, 2)...)
	answer = append(answer, s.random(16)...) // server GUID
	answer = le32(answer, 0x2f)
	for range 3 {
		answer = le32(answer, 1<<20)
	}
	answer = append(answer, make([]byte, 16)...)
	answer = le16(answer, 128) // no security buffer
	answer = append(answer, make([]byte, 6)...)
	say(1, smbNegotiate, 0, answer, 0)

	session := func(dir int, status uint32, token []byte) {
		var body []byte
		if dir == 0 {
			body = append(le16(nil, 25), make([]byte, 10)...)
			body[3] = 1 // signing enabled
			body = le16(le16(body, 88), uint16(len(token)))
			body = append(body, make([]byte, 8)...)
		} else {
			body = le16(le16(le16(le16(nil, 9), 0), 72), uint16(len(token)))
		}
		say(dir, smbSession, status, append(body, token...), 0)
	}
	session(0, 0, s.ntlm(1))
	session(1, 0xc0000016, s.ntlm(2)) // more processing required
	session(0, 0, s.ntlm(3))
	session(1, 0, nil)

	path := []byte("\\\x00\\\x00f\x00s\x00\\\x00b\x00")
	tree := le16(le16(le16(le16(nil, 9), 0), 72), uint16(len(path)))
	say(0, smbTree, 0, append(tree, path...), 0)
	say(1, smbTree, 0, append(le16(nil, 16), make([]byte, 14)...), 0)

	for range 1 + s.rng.IntN(6) {
		n := 512 + s.tail(9000, 1)
		if s.rng.IntN(2) == 0 {
			say(0, smbWrite, 0, append(le32(le16(le16(nil, 49), 112), uint32(n)), make([]byte, 40)...), n)
			say(1, smbWrite, 0, append(le16(nil, 17), make([]byte, 14)...), 0)
			continue
		}
		say(0, smbRead, 0, append(le32(le16(le16(nil, 49), 80), uint32(n)), make([]byte, 41)...), 0)
		say(1, smbRead, 0, append(le32(append(le16(nil, 17), 80, 0), uint32(n)), make([]byte, 8)...), n)
	}
	return t
}

// ntlm is an NTLMSSP message: 1 negotiate, 2 challenge, 3 authenticate with
// NTLMv2.
func (s *site) ntlm(kind byte) []byte {
	le16, le32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	field := func(b []byte, n, at int) []byte {
		return le32(le16(le16(b, uint16(n)), uint16(n)), uint32(at))
	}
	const flags = 0xe2088297
	b := append([]byte("NTLMSSP\x00"), kind, 0, 0, 0)
	switch kind {
	case 1:
		b = le32(b, flags)
		b = append(b, make([]byte, 24)...) // no domain, no workstation, version
	case 2:
		b = field(b, 0, 56)
		b = le32(b, flags)
		b = append(b, s.random(8)...)
		b = append(b, make([]byte, 8)...)
		b = field(b, 4, 56)
		b = append(b, make([]byte, 8+4)...) // version, the end of the target's properties
	case 3:
		user := []byte("a\x00g\x00e\x00n\x00t\x00")
		at := 88
		for _, n := range []int{24, 100, 0, len(user), 0, 16} { // answers, domain, user, workstation, key
			b = field(b, n, at)
			at += n
		}
		b = le32(b, flags)
		b = append(b, make([]byte, 8)...) // version
		b = append(b, s.random(16+24)...) // integrity code, LM answer
		b = append(b, s.random(16)...)    // NTLMv2 proof
		b = append(b, 1, 1, 0, 0, 0, 0, 0, 0)
		b = append(b, s.random(16)...)
		b = append(b, make([]byte, 60)...)
		b = append(b, user...)
		b = append(b, s.random(16)...)
	}
	return b
}

// smb2 is an SMB2 message in its NetBIOS frame; bulk bytes are to follow.
func smb2(cmd uint16, dir int, status uint32, id uint64, body []byte, bulk int) []byte {
	n := 64 + len(body) + bulk
	b := []byte{0, byte(n >> 16), byte(n >> 8), byte(n)}
	b = append(b, 0xfe, 'S', 'M', 'B', 64, 0, 1, 0)
	b = binary.LittleEndian.AppendUint32(b, status)
	b = binary.LittleEndian.AppendUint16(b, cmd)
	b = binary.LittleEndian.AppendUint16(b, 1) // credits
	b = binary.LittleEndian.AppendUint32(b, uint32(dir))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = append(b, make([]byte, 32)...) // process, tree, session, signature
	return append(b, body...)
}
