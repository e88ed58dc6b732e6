package dissect

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

// quicSealer makes Initial packets as an endpoint does, with the standard
// library's HKDF: what is tested has its own.
type quicSealer struct {
	salt   *[20]byte
	labels string // "quic" or "quicv2"
	id     []byte // that the keys come from
}

func (s quicSealer) expand(secret []byte, label string, n int) []byte {
	info := append([]byte{0, byte(n), byte(len("tls13 ") + len(label))}, "tls13 "+label...)
	b, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return b
}

// seal protects payload; header ends with a packet number of size bytes.
func (s quicSealer) seal(end string, header []byte, size int, number uint64, payload []byte) []byte {
	initial, err := hkdf.Extract(sha256.New, s.id, s.salt[:])
	if err != nil {
		panic(err)
	}
	secret := s.expand(initial, end+" in", 32)
	block, _ := aes.NewCipher(s.expand(secret, s.labels+" key", 16))
	gcm, _ := cipher.NewGCM(block)
	nonce := s.expand(secret, s.labels+" iv", 12)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^number)
	packet := gcm.Seal(bytes.Clone(header), nonce, payload, header)
	at := len(header) - size
	hp, _ := aes.NewCipher(s.expand(secret, s.labels+" hp", 16))
	var mask [16]byte
	hp.Encrypt(mask[:], packet[at+4:])
	packet[0] ^= mask[0] & 0x0f
	for i := range size {
		packet[at+i] ^= mask[1+i]
	}
	return packet
}

// initial is a whole Initial packet of version 1.
func (s quicSealer) initial(end string, to, from, token []byte, number byte, payload []byte) []byte {
	header := append([]byte{0xc0, 0, 0, 0, 1, byte(len(to))}, to...)
	header = append(append(header, byte(len(from))), from...)
	header = append(append(header, byte(len(token))), token...)
	header = binary.BigEndian.AppendUint16(header, 0x4000|uint16(1+len(payload)+16))
	return s.seal(end, append(header, number), 1, uint64(number), payload)
}

// cryptoFrame is a CRYPTO frame.
func cryptoFrame(at int, b []byte) []byte {
	f := binary.BigEndian.AppendUint16([]byte{frameCrypto}, 0x4000|uint16(at))
	f = binary.BigEndian.AppendUint16(f, 0x4000|uint16(len(b)))
	return append(f, b...)
}

// The connection of RFC 9001 appendix A and RFC 9369 appendix A.
var (
	quicVectorID    = unhex(`8394c8f03e515708`)
	quicVectorHello = unhex(`060040f1` +
		`010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004130113020100` +
		`00c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c` +
		`706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e9` +
		`94ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c0002400100390032` +
		`0408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff`)
	quicVectorServer = unhex(`cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a` +
		`5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9` +
		`c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4` +
		`2158407dd074ee`)
	quicVectorRetry   = unhex(`ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba`)
	quicVector2Server = unhex(`dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698` +
		`baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4c` +
		`fa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8` +
		`4bed8521e2e140`)
	quicVector2Retry = unhex(`cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6`)

	quicVectorClient  = quicSealer{&saltV1, "quic", quicVectorID}.vector(`c300000001`)
	quicVector2Client = quicSealer{&saltV2, "quicv2", quicVectorID}.vector(`d36b3343cf`)

	// A datagram of the client that has its part of the keys.
	quicShort = append(unhex(`41 f067a5502a4262b5`), make([]byte, 40)...)
)

// vector is the client's Initial of the appendices, which pad it to 1200 bytes.
func (s quicSealer) vector(start string) []byte {
	header := unhex(start + `088394c8f03e5157080000449e00000002`)
	payload := make([]byte, 1162)
	copy(payload, quicVectorHello)
	return s.seal("client", header, 4, 2, payload)
}

// TestQUICVectors holds the packets made here against what the appendices print
// of them (the whole, by its tag), and reads them.
func TestQUICVectors(t *testing.T) {
	for _, v := range []struct {
		name, version          string
		client, server, retry  []byte
		begins, ends, handover string
	}{
		{name: "1", version: "0x00000001", client: quicVectorClient, server: quicVectorServer, retry: quicVectorRetry,
			begins: `c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11`, ends: `e221af44860018ab0856972e194cd934`},
		{name: "2", version: "0x6b3343cf", client: quicVector2Client, server: quicVector2Server, retry: quicVector2Retry,
			begins: `d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485`, ends: `a18b2faa745b6fe189cf772a9f84cbfc`},
	} {
		t.Run(v.name, func(t *testing.T) {
			if len(v.client) != 1200 || !bytes.HasPrefix(v.client, unhex(v.begins)) || !bytes.HasSuffix(v.client, unhex(v.ends)) {
				t.Fatalf("the client's Initial is not that of the appendix: %x", v.client)
			}
			if m := probeQUIC(v.retry); m != FromServer {
				t.Errorf("Retry: %d, want FromServer", m)
			}
			_, facts := talkQUIC(t, []message{{ToServer, v.client}, {ToClient, v.server}})
			for _, want := range []string{"quic.version " + v.version, "tls.sni example.com", "tls.alpn alpn", "tls.version 1.3",
				"tls.cipher 0x1301", "tls.ja4 q13d0211an_", "tls.client_cert unknown", "tls.handshake incomplete"} {
				if !strings.Contains("\n"+facts, "\n"+want) {
					t.Errorf("no %q in\n%s", want, facts)
				}
			}
		})
	}
}

// TestQUICDrafts reads the hello of the appendix sealed as each draft has it.
func TestQUICDrafts(t *testing.T) {
	for _, v := range []struct {
		start  string // first byte, version
		salt   *[20]byte
		labels string
	}{
		{"c3ff000016", &saltDraft22, "quic"},
		{"c3ff00001b", &saltDraft23, "quic"},
		{"c3ff00001d", &saltDraft29, "quic"},
		{"c3ff000022", &saltV1, "quic"},
		{"c3ff020000", &saltV2Draft, "quicv2"},
		{"d3709a50c4", &saltV2Draft, "quicv2"},
	} {
		_, facts := talkQUIC(t, []message{{ToServer, quicSealer{v.salt, v.labels, quicVectorID}.vector(v.start)}})
		for _, want := range []string{"quic.version 0x" + v.start[2:], "tls.sni example.com"} {
			if !strings.Contains("\n"+facts, "\n"+want) {
				t.Errorf("%s: no %q in\n%s", v.start, want, facts)
			}
		}
	}
}

// TestQUICRefused has a client try a version that exists to be refused, then
// another one with a hello of its own: what it says at last counts.
func TestQUICRefused(t *testing.T) {
	for _, salt := range []*[20]byte{&saltV1, &saltDraft29} {
		first := quicSealer{salt, "quic", quicVectorID}.vector("c31a2a3a4a")
		negotiation := unhex("ff00000000 00 08 8394c8f03e515708 00000001 ff00001d")
		hello, _ := quicHellos(t, &tls.Config{ServerName: "second.example", NextProtos: []string{"h3"}, InsecureSkipVerify: true},
			&tls.Config{Certificates: []tls.Certificate{serverCertificate()}, NextProtos: []string{"h3"}})
		id := []byte("anotherid")
		s := quicSealer{&saltV1, "quic", id}
		again := s.initial("client", id, nil, nil, 0, append(cryptoFrame(0, hello), make([]byte, 1100)...))
		_, facts := talkQUIC(t, []message{{ToServer, first}})
		for _, want := range []string{"quic.version 0x1a2a3a4a", "tls.sni example.com"} {
			if !strings.Contains("\n"+facts, "\n"+want) {
				t.Errorf("no %q in\n%s", want, facts)
			}
		}
		_, facts = talkQUIC(t, []message{{ToServer, first}, {ToServer, first}, {ToClient, negotiation}, {ToServer, again}})
		for _, want := range []string{"quic.version 0x00000001\n", "tls.sni second.example\n", "tls.alpn h3\n", "tls.ja4 q13d"} {
			if strings.Count("\n"+facts, "\n"+want) != 1 || strings.Contains(facts, "tls.alpn alpn") {
				t.Errorf("no %q in\n%s", want, facts)
			}
		}
	}
}

func talkQUIC(t testing.TB, says []message) (*conversation, string) {
	c := converse(t, &sample{over: UDP, ports: [2]uint16{50000, 443}})
	for _, m := range says {
		c.say(m.from, m.b)
	}
	return c, c.end()
}

// quicHellos are the hellos of Go's own QUIC handshake.
func quicHellos(t testing.TB, client, server *tls.Config) (ch, sh []byte) {
	client.MinVersion, server.MinVersion = tls.VersionTLS13, tls.VersionTLS13
	ends := [2]*tls.QUICConn{tls.QUICClient(&tls.QUICConfig{TLSConfig: client}), tls.QUICServer(&tls.QUICConfig{TLSConfig: server})}
	for _, end := range ends {
		end.SetTransportParameters(nil)
		if err := end.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer end.Close()
	}
	said := func(end *tls.QUICConn) (b []byte) {
		for e := end.NextEvent(); e.Kind != tls.QUICNoEvent; e = end.NextEvent() {
			if e.Kind == tls.QUICWriteData && e.Level == tls.QUICEncryptionLevelInitial {
				b = append(b, e.Data...)
			}
		}
		return b
	}
	ch = said(ends[0])
	if err := ends[1].HandleData(tls.QUICEncryptionLevelInitial, ch); err != nil {
		t.Fatal(err)
	}
	return ch, said(ends[1])
}

// TestQUICPieces cuts the hellos into CRYPTO frames that come in any order, some
// of them twice, in several packets and datagrams, with a Retry before them or
// without: it says the same.
func TestQUICPieces(t *testing.T) {
	ch, sh := quicHellos(t, &tls.Config{ServerName: "server.example", NextProtos: []string{"h3"}, InsecureSkipVerify: true},
		&tls.Config{Certificates: []tls.Certificate{serverCertificate()}, NextProtos: []string{"h3"}})
	const want = "tls.sni server.example\ntls.alpn h3\n"
	clientID, serverID := unhex(`c1c2c3`), unhex(`5152535455`)
	var first string
	for round := range 50 {
		random := rand.New(rand.NewPCG(uint64(round), 1))
		keys := quicSealer{&saltV1, "quic", quicVectorID}
		var says []message
		to, token := quicVectorID, []byte(nil)
		if round%2 == 1 {
			says = append(says, message{ToServer, keys.initial("client", to, clientID, nil, 0, append(cryptoFrame(0, ch[:40]), make([]byte, 900)...))},
				message{ToClient, append(append(append(unhex(`f000000001 03`), clientID...), 5), append(bytes.Clone(serverID), make([]byte, 40)...)...)})
			keys.id, to, token = serverID, serverID, []byte("token")
		}
		packets := func(end string, to, from, token, hello []byte) (list [][]byte) {
			var frames [][]byte
			for at := 0; at < len(hello); {
				n := min(1+random.IntN(90), len(hello)-at)
				frames = append(frames, cryptoFrame(at, hello[at:at+n]))
				at += n
			}
			frames = append(frames, frames[random.IntN(len(frames))])
			random.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			for number := byte(1); len(frames) > 0; number++ {
				n := min(1+random.IntN(8), len(frames))
				payload := append([]byte{framePing, framePadding, frameACK, 5, 0, 1, 0, 2, 2}, bytes.Join(frames[:n], []byte{0, 0, framePing})...)
				list = append(list, keys.initial(end, to, from, token, number, payload))
				frames = frames[n:]
			}
			return list
		}
		datagrams := func(from Dir, packets [][]byte) {
			for len(packets) > 0 {
				n := min(1+random.IntN(2), len(packets))
				says = append(says, message{from, append(bytes.Join(packets[:n], nil), make([]byte, random.IntN(3))...)})
				packets = packets[n:]
			}
		}
		datagrams(ToServer, packets("client", to, clientID, token, ch))
		datagrams(ToClient, packets("server", clientID, serverID, nil, sh))
		says = append(says, message{ToServer, append(append([]byte{0x41}, serverID...), make([]byte, 30)...)})
		c, facts := talkQUIC(t, says)
		if got := c.state.Protocol(c.set); got != "quic" {
			t.Fatalf("protocol %q", got)
		}
		if first == "" {
			first = facts
		}
		if facts != first || !strings.Contains(facts, want) || !strings.Contains(facts, "tls.version 1.3\n") || !strings.Contains(facts, "tls.handshake complete\n") {
			t.Fatalf("round %d:\n%sthe first said\n%s", round, facts, first)
		}
	}
}

// TestQUICEndings is how a handshake ends that does not come to be.
func TestQUICEndings(t *testing.T) {
	keys := quicSealer{&saltV1, "quic", quicVectorID}
	closing := func(end string, code ...byte) []byte {
		b := append([]byte{frameClose}, code...)
		return keys.initial(end, nil, unhex(`51525354`), nil, 1, append(b, make([]byte, 30)...))
	}
	for name, test := range map[string]struct {
		says []message
		want string
		not  string
	}{
		"alert":          {[]message{{ToServer, quicVectorClient}, {ToClient, closing("server", 0x41, 0x78, 0, 0)}}, "tls.alert no_application_protocol\ntls.alert_by server\ntls.handshake failed\n", ""},
		"refused":        {[]message{{ToServer, quicVectorClient}, {ToClient, closing("server", 2, 0, 0)}}, "tls.handshake failed\n", "tls.alert"},
		"of other keys":  {[]message{{ToServer, quicVectorClient}, {ToClient, closing("client", 2, 0, 0)}}, "tls.handshake incomplete\n", "failed"},
		"padding behind": {[]message{{ToServer, append(bytes.Clone(quicVectorClient), make([]byte, 100)...)}}, "tls.handshake incomplete\n", "complete\n"},
		"other id":       {[]message{{ToServer, quicVectorClient}, {ToClient, quicVectorServer}, {ToServer, append([]byte{0x41, 1, 2, 3}, make([]byte, 60)...)}}, "tls.handshake incomplete\n", ""},
		"complete":       {[]message{{ToServer, quicVectorClient}, {ToClient, quicVectorServer}, {ToServer, quicShort}}, "tls.handshake complete\n", "incomplete"},
		"server alone":   {[]message{{ToClient, quicVectorServer}}, "quic.version 0x00000001\n", "tls"},
		"server first":   {[]message{{ToClient, quicVectorServer}, {ToServer, quicVectorClient}}, "tls.sni example.com\n", "tls.version"},
		"turned round":   {[]message{{ToClient, quicVectorClient}, {ToServer, quicVectorServer}}, "tls.cipher 0x1301\n", ""},
		"version chosen": {[]message{{ToServer, quicVectorClient}, {ToClient, quicVector2Server}}, "tls.cipher 0x1301\n", ""},
	} {
		_, facts := talkQUIC(t, test.says)
		if !strings.Contains(facts, test.want) || test.not != "" && strings.Contains(strings.ReplaceAll(facts, "incomplete", "in complete"), strings.ReplaceAll(test.not, "incomplete", "in complete")) && test.not != "complete\n" {
			t.Errorf("%s: facts\n%swant\n%s", name, facts, test.want)
		}
	}
}

// shapeOfQUIC is a datagram like an Initial that nothing opens.
func shapeOfQUIC(random *rand.Rand) []byte {
	b := make([]byte, 1200)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	copy(b, unhex(`c3 00000001 08`))
	b[14] = 8 // source id
	b[23] = 0 // no token
	binary.BigEndian.PutUint16(b[24:], 0x4000|1174)
	return b
}

// TestQUICThatDoesNotOpen bounds what a flow costs that only looks like one.
func TestQUICThatDoesNotOpen(t *testing.T) {
	set := NewSet(All(), &Context{Fingerprints: true}, testHeld)
	random := rand.New(rand.NewPCG(3, 4))
	var datagrams [64][]byte
	for i := range datagrams {
		datagrams[i] = shapeOfQUIC(random)
	}
	i := 0
	n := testing.AllocsPerRun(1000, func() {
		i++
		var s State
		for range 8 {
			s.Data(set, UDP, ToServer, [2]uint16{50000, 443}, true, datagrams[i%len(datagrams)])
		}
		if s.Protocol(set) != "quic" || s.phase != done || s.Has(TLSHandshake) {
			t.Fatalf("%q, phase %d:\n%s", s.Protocol(set), s.phase, factsOf(&s))
		}
	})
	if n > 6 { // the flow, its facts, the parser, and a cipher; for one in four two more
		t.Errorf("%.1f allocations", n)
	}
}

// TestQUICTurns bounds how often a connection's keys are made anew: headers of
// another version each cost but a few bytes.
func TestQUICTurns(t *testing.T) {
	p := quic.New(&Context{}).(*quicParser)
	var facts Facts
	if _, err := p.Parse(ToServer, quicVectorClient, &facts); err != nil || p.conn == nil {
		t.Fatalf("%v, and the first Initial did not open", err)
	}
	empty := func(first byte, version uint32) []byte {
		b := binary.BigEndian.AppendUint32([]byte{first}, version)
		return append(b, 0, 0, 0, 0) // ids, token and the rest: none
	}
	var turning []byte
	for range 100 {
		turning = append(append(turning, empty(0xd0, quicV2)...), empty(0xc0, quicV1)...)
	}
	if _, err := p.Parse(ToClient, turning, &facts); err != nil || p.conn.turns != maxQUICTurns {
		t.Errorf("%v, keys were made %d times", err, p.conn.turns)
	}
	if facts.Text(QUICVersion) != "0x00000001" {
		t.Errorf("version %s", facts.Text(QUICVersion))
	}
}

func TestProbeQUIC(t *testing.T) {
	gquic := append(unhex(`0d 0102030405060708`), "Q043\x01"...)
	negotiation := unhex(`80 00000000 03c1c2c3 0451525354 1a2a3a4a 00000001`)
	reserved := append(unhex(`c0 1a2a3a4a 08 0102030405060708 00`), make([]byte, 1186)...)
	for name, test := range map[string]struct {
		b    []byte
		want Match
	}{
		"client":              {quicVectorClient, Yes},
		"cut":                 {quicVectorClient[:1000], Maybe},
		"gQUIC":               {gquic, FromClient},
		"gQUIC's server":      {append(unhex(`0c`), gquic[1:]...), No},
		"Q046":                {append(unhex(`c3`), "Q046\x50\x01\x02\x03\x04\x05\x06\x07\x08"...), Yes},
		"negotiation":         {negotiation, FromServer},
		"negotiation, others": {negotiation[:len(negotiation)-4], Maybe},
		"reserved":            {reserved, FromClient},
		"reserved, short":     {reserved[:1199], Maybe},
		"version 3":           {append(unhex(`c0 00000003`), quicVectorClient[5:]...), No},
		"not fixed":           {append(unhex(`80`), quicVectorClient[1:]...), No},
		"long id":             {append(unhex(`c0 00000001 15`), quicVectorClient[6:]...), No},
		"short header":        {quicShort, No},
	} {
		if got := probeQUIC(test.b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestPacketNumber(t *testing.T) {
	for _, test := range []struct {
		expected, truncated uint64
		size                int
		want                uint64
	}{
		{0xa82f30eb, 0x9b32, 2, 0xa82f9b32}, // RFC 9000 appendix A.3
		{0, 0xff, 1, 0xff},
		{0x1ff, 0x01, 1, 0x201},
		{0x200, 0xfe, 1, 0x1fe},
		{0x1234, 0x01000000, 4, 0x01000000},
	} {
		if got := packetNumber(test.expected, test.truncated, test.size); got != test.want {
			t.Errorf("expected %#x, %#x in %d bytes: %#x, want %#x", test.expected, test.truncated, test.size, got, test.want)
		}
	}
}

// TestPieces holds joined pieces against the whole, in any order.
func TestPieces(t *testing.T) {
	whole := make([]byte, 500)
	for i := range whole {
		whole[i] = byte(i * 7)
	}
	for round := range 200 {
		random := rand.New(rand.NewPCG(uint64(round), 2))
		var p pieces
		var got []byte
		arrive := func(at, n int) {
			for b := p.arrive(at, whole[at:at+n]); b != nil; b = p.follow() {
				got = append(got, b...)
			}
		}
		for range 20 {
			at := random.IntN(len(whole))
			arrive(at, random.IntN(len(whole)-at))
			if !bytes.Equal(got, whole[:p.next]) {
				t.Fatalf("round %d: %d bytes, next is %d", round, len(got), p.next)
			}
		}
		arrive(0, len(whole))
		if !bytes.Equal(got, whole) || p.size != 0 || len(p.list) != 0 {
			t.Fatalf("round %d: %d of %d bytes, %d left over", round, len(got), len(whole), p.size)
		}
	}
	var p pieces
	for i := range 10 * maxPieces {
		p.arrive(1+i, make([]byte, 1000))
	}
	if p.size > maxPieceBytes || len(p.list) > maxPieces {
		t.Errorf("%d bytes in %d pieces wait", p.size, len(p.list))
	}
}

func BenchmarkQUIC(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 6))
	var shapes [64][]byte
	for i := range shapes {
		shapes[i] = shapeOfQUIC(random)
	}
	for _, bench := range []struct {
		name string
		says func(i int) []message
	}{
		{"opens", func(int) []message {
			return []message{{ToServer, quicVectorClient}, {ToClient, quicVectorServer}, {ToServer, quicShort}}
		}},
		{"shape", func(i int) []message {
			return []message{{ToServer, shapes[i%len(shapes)]}, {ToServer, quicShort}}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			set := NewSet(All(), &Context{}, testHeld)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var s State
				for _, m := range bench.says(i) {
					s.Data(set, UDP, m.from, [2]uint16{50000, 443}, true, m.b)
				}
				s.Close(set)
			}
		})
	}
}

// FuzzQUIC seals hostile frames, so that they are read.
func FuzzQUIC(f *testing.F) {
	f.Add(quicVectorHello, []byte{frameClose, 2, 0, 0}, uint8(0))
	f.Add(append(cryptoFrame(100, quicVectorHello[104:]), cryptoFrame(0, quicVectorHello[4:104])...), []byte{frameACKECN, 1, 2, 1, 0, 1, 1, 0, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, client, server []byte, order uint8) {
		keys := quicSealer{&saltV1, "quic", quicVectorID}
		pad := make([]byte, 20)
		says := []message{
			{ToServer, keys.initial("client", quicVectorID, nil, nil, 1, append(bytes.Clone(client), pad...))},
			{ToClient, keys.initial("server", nil, nil, nil, 1, append(bytes.Clone(server), pad...))},
			{ToServer, keys.initial("client", quicVectorID, nil, nil, 2, append(bytes.Clone(server), pad...))},
		}
		if order&1 == 1 {
			says[0], says[2] = says[2], says[0]
		}
		if len(client)+len(server) < 16000 {
			talkQUIC(t, says)
		}
	})
}
