package dissect

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/big"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// rsaCertificate is for the suites that want one.
var rsaCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "rsa.example"},
		DNSNames:     []string{"server.example"},
		NotBefore:    time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC),
		NotAfter:     time.Date(2049, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// The conversation inside TLS: two requests, of which the second has no token.
var (
	innerRequests = []string{
		"GET /api/1 HTTP/1.1\r\nHost: inner.example\r\nAuthorization: Bearer " + plantedJWT + "\r\n\r\n",
		"GET /api/2 HTTP/1.1\r\nHost: inner.example\r\n\r\n",
	}
	innerResponse = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	innerFacts    = "http.method GET\nhttp.requests 2\nhttp.host inner.example\nhttp.auth_scheme bearer\nhttp.token header\nhttp.token_alg HS256\n" +
		"http.status 200\nhttp.unauthenticated 1\n"
)

// exchange lets Go's own client and server talk HTTP, and returns what they
// wrote and the key log.
func exchange(client, server *tls.Config) (says []message, keys string) {
	up, down, log := newWire(), newWire(), new(tapLog)
	var keyLog bytes.Buffer
	client = client.Clone()
	client.KeyLogWriter = &keyLog
	var wait sync.WaitGroup
	wait.Go(func() {
		conn := tls.Server(end{in: up, out: down, dir: ToClient, log: log}, server)
		in := bufio.NewReader(conn)
		for range innerRequests {
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					conn.Close()
					return
				}
				if line == "\r\n" {
					break
				}
			}
			io.WriteString(conn, innerResponse)
		}
		conn.Close()
	})
	conn := tls.Client(end{in: down, out: up, dir: ToServer, log: log}, client)
	if conn.Handshake() == nil {
		for _, request := range innerRequests {
			io.WriteString(conn, request)
			io.ReadFull(conn, make([]byte, len(innerResponse)))
		}
		io.Copy(io.Discard, conn)
	}
	conn.Close()
	up.Close()
	wait.Wait()
	return log.says, keyLog.String()
}

// readKeys makes a KeyLog of text; no line of it may be malformed.
func readKeys(t testing.TB, text string) *KeyLog {
	t.Helper()
	k := new(KeyLog)
	err := k.Read(strings.NewReader(text), func(line int, reason error) { t.Errorf("line %d: %v", line, reason) })
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// opened delivers messages where there are keys, and returns the facts.
func opened(t testing.TB, keys *KeyLog, says []message) (*conversation, string) {
	t.Helper()
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
	c.set = NewSet(All(), &Context{Keys: keys}, testHeld)
	for _, m := range says {
		c.say(m.from, m.b)
	}
	facts := c.end()
	if c.set.Held() != 0 || c.set.context.inner != nil && c.set.context.inner.Held() != 0 {
		t.Error("bytes are still held")
	}
	return c, facts
}

// mustHave checks that every line of want is a fact, and that none is of a key
// in not.
func mustHave(t *testing.T, facts, want, not string) {
	t.Helper()
	for line := range strings.Lines(want) {
		if !strings.Contains("\n"+facts, "\n"+line) {
			t.Errorf("no fact %q in\n%s", strings.TrimSpace(line), facts)
		}
	}
	for key := range strings.FieldsSeq(not) {
		if strings.Contains("\n"+facts, "\n"+key+" ") {
			t.Errorf("fact %s in\n%s", key, facts)
		}
	}
}

// TestDecryptSuites opens what Go's TLS seals: every version, every suite.
func TestDecryptSuites(t *testing.T) {
	try := func(t *testing.T, version uint16, suite *tls.CipherSuite) {
		certificate := rsaCertificate()
		if suite == nil || strings.Contains(suite.Name, "ECDSA") {
			certificate = serverCertificate()
		}
		client := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
		server := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version}
		if suite != nil {
			client.CipherSuites, server.CipherSuites = []uint16{suite.ID}, []uint16{suite.ID}
		}
		says, keys := exchange(client, server)
		c, facts := opened(t, readKeys(t, keys), says)
		mustHave(t, facts, "tls.decrypted yes\ntls.handshake complete\ntls.client_cert absent\n"+innerFacts, "tls.alert")
		if suite != nil {
			mustHave(t, facts, "tls.cipher "+hex16(int(suite.ID))+"\n", "")
		}
		if got := c.state.Protocol(c.set); got != "tls" {
			t.Errorf("protocol %q, want that of the flow", got)
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			if slices.Contains(suite.SupportedVersions, version) {
				t.Run(fmt.Sprintf("%x %s", version, suite.Name), func(t *testing.T) { try(t, version, suite) })
			}
		}
	}
	t.Run("1.3", func(t *testing.T) { try(t, tls.VersionTLS13, nil) })
}

// TestDecryptHandshakes opens the handshakes of the live tests: what was
// inferred before is known then, and what is sealed in TLS 1.3 is read.
func TestDecryptHandshakes(t *testing.T) {
	sum := sha256.Sum256(serverCertificate().Certificate[0])
	serverShown := "tls.cert_cn server.example\ntls.cert_self_signed true\ntls.cert_sha256 " + hex.EncodeToString(sum[:]) + "\n"
	want := map[string]struct{ have, not string }{
		"1.2":                    {"tls.client_cert absent\ntls.client_cert_basis observed\ntls.decrypted yes\n", "tls.alert"},
		"1.2 shown":              {"tls.client_cert present\ntls.client_cert_basis observed\ntls.decrypted yes\n", ""},
		"1.3":                    {"tls.client_cert absent\ntls.client_cert_basis decrypted\ntls.alpn_selected h2\n" + serverShown, "tls.cert_request"},
		"1.3 empty":              {"tls.client_cert empty\ntls.client_cert_basis decrypted\ntls.cert_request true\ntls.handshake complete\n", "tls.client_cert_cn tls.alert"},
		"1.3 shown":              {"tls.client_cert present\ntls.client_cert_basis decrypted\ntls.client_cert_cn client.example\ntls.handshake complete\n", "tls.alert"},
		"1.3 missing":            {"tls.client_cert empty\ntls.alert certificate_required\ntls.alert_by server\ntls.handshake failed\n", "tls.refused"},
		"1.3 refused":            {"tls.client_cert present\ntls.alert_by server\ntls.handshake failed\n", "tls.refused"},
		"1.3 resumed":            {"tls.resumed true\ntls.client_cert unknown\ntls.handshake complete\ntls.decrypted yes\n", "tls.client_cert_basis"},
		"1.3 hello retry":        {"tls.hello_retry true\ntls.client_cert present\ntls.client_cert_basis decrypted\n" + serverShown, ""},
		"1.3 server not trusted": {"tls.alert bad_certificate\ntls.alert_by client\ntls.handshake failed\n" + serverShown, "tls.refused"},
	}
	for _, l := range liveTests() {
		w, ok := want[l.name]
		if !ok {
			continue
		}
		delete(want, l.name)
		t.Run(l.name, func(t *testing.T) {
			var log bytes.Buffer
			l.client = l.client.Clone()
			l.client.KeyLogWriter = &log
			says := l.says()
			_, facts := opened(t, readKeys(t, log.String()), says)
			mustHave(t, facts, w.have, w.not)

			// Keys of other connections change nothing, and wrong ones no more
			// than that they do not fit.
			_, without := opened(t, nil, says)
			_, other := opened(t, readKeys(t, "CLIENT_RANDOM "+strings.Repeat("00", 32)+" "+strings.Repeat("11", 48)+"\n"), says)
			if other != without {
				t.Errorf("with keys of another connection:\n%swithout any:\n%s", other, without)
			}
			wrong := spoil(log.String())
			keys := readKeys(t, wrong)
			_, facts = opened(t, keys, says)
			if strings.Replace(facts, "tls.decrypted no\n", "", 1) != without || !strings.Contains(facts, "tls.decrypted no\n") {
				t.Errorf("with wrong keys:\n%swithout any:\n%s", facts, without)
			}
			if s := keys.Stats(); s.Opened != 0 || s.Failed != 1 {
				t.Errorf("wrong keys are counted as %+v", s)
			}
		})
	}
	for name := range want {
		t.Errorf("no live test %q", name)
	}
}

// A session that is resumed up to TLS 1.2 goes on with the master secret of the
// first connection, which alone has a line in the key log of Go's TLS.
func TestDecryptResumed12(t *testing.T) {
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "server.example", MaxVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	server := &tls.Config{Certificates: []tls.Certificate{serverCertificate()}}
	first, keys1 := exchange(client, server)
	second, keys2 := exchange(client, server)
	if keys2 != "" {
		t.Fatal("a resumed session has a line of its own")
	}
	set := NewSet(All(), &Context{Keys: readKeys(t, keys1)}, testHeld)
	for i, says := range [][]message{first, second} {
		c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
		c.set = set
		for _, m := range says {
			c.say(m.from, m.b)
		}
		facts := c.end()
		mustHave(t, facts, "tls.decrypted yes\ntls.handshake complete\n"+innerFacts, "")
		if resumed := strings.Contains(facts, "tls.resumed true"); resumed != (i == 1) {
			t.Errorf("connection %d: resumed %t", i, resumed)
		}
	}
	_, facts := opened(t, readKeys(t, keys1), second) // without the first one
	mustHave(t, facts, "tls.resumed true\n", "tls.decrypted")
}

// spoil turns over one bit of every secret of a key log.
func spoil(keys string) string {
	var b strings.Builder
	for line := range strings.Lines(keys) {
		label, rest, _ := strings.Cut(line, " ")
		random, secret, _ := strings.Cut(strings.TrimSpace(rest), " ")
		raw := unhex(secret)
		raw[len(raw)-1] ^= 1
		fmt.Fprintf(&b, "%s %s %x\n", label, random, raw)
	}
	return b.String()
}

// TestDecryptPieces delivers one connection in other pieces, and loses parts
// of it.
func TestDecryptPieces(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		says, log := exchange(&tls.Config{InsecureSkipVerify: true, MaxVersion: version, Certificates: []tls.Certificate{clientCertificate()}},
			&tls.Config{Certificates: []tls.Certificate{serverCertificate()}, ClientAuth: tls.RequestClientCert})
		keys := readKeys(t, log)
		_, want := opened(t, keys, says)
		mustHave(t, want, innerFacts+"tls.client_cert present\n", "")
		random := rand.New(rand.NewPCG(3, 4))
		for _, most := range []int{1, 7, 40, 300} {
			var pieces []message
			for _, m := range says {
				for b := m.b; len(b) > 0; {
					n := 1 + random.IntN(min(len(b), most))
					pieces = append(pieces, message{m.from, b[:n]})
					b = b[n:]
				}
			}
			if _, got := opened(t, keys, pieces); got != want {
				t.Fatalf("%x in pieces of at most %d bytes:\n%swant:\n%s", version, most, got, want)
			}
		}
		for i := range says {
			for range 60 {
				from := random.IntN(len(says[i].b))
				lost := 1 + random.IntN(len(says[i].b)-from)
				c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
				c.set = NewSet(All(), &Context{Keys: keys}, testHeld)
				for j, m := range says {
					if j != i {
						c.say(m.from, m.b)
						continue
					}
					c.say(m.from, m.b[:from])
					c.state.Gap(c.set, m.from, uint64(lost))
					c.say(m.from, m.b[from+lost:])
				}
				got := strings.NewReplacer("tls.decrypted no\n", "", "tls.decrypted partly\n", "", "basis inferred\n", "basis decrypted\n").Replace(c.end())
				agree(t, strings.Replace(want, "basis observed\n", "basis observed\ntls.client_cert_basis decrypted\n", 1), got,
					fmt.Sprintf("%x: message %d without %d bytes at byte %d", version, i, lost, from))
			}
		}
	}
}

// Behind a lost record of application data the next ones are opened again.
func TestDecryptBehindGap(t *testing.T) {
	says, log := exchange(&tls.Config{InsecureSkipVerify: true}, &tls.Config{Certificates: []tls.Certificate{serverCertificate()}})
	last := 0 // of the client's, the second request
	for i, m := range says {
		if m.from == ToServer && len(m.b) > 60 {
			last = i
		}
	}
	before := last - 1
	for says[before].from != ToServer {
		before--
	}
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
	c.set = NewSet(All(), &Context{Keys: readKeys(t, log)}, testHeld)
	for i, m := range says {
		if i == before {
			c.state.Gap(c.set, m.from, uint64(len(m.b)))
			continue
		}
		c.say(m.from, m.b)
	}
	mustHave(t, c.end(), "http.requests 1\nhttp.host inner.example\nhttp.unauthenticated 1\ntls.decrypted yes\n", "http.token")
}

// What follows is sealed here, for what Go's TLS does not do: other suites of
// TLS 1.3, key updates, early data, encrypt-then-MAC, renegotiation.

// crafted is a connection made by hand.
type crafted struct {
	says           []message
	keys           strings.Builder
	client, server [32]byte
}

func newCrafted(seed byte) *crafted {
	c := new(crafted)
	for i := range c.client {
		c.client[i], c.server[i] = seed+byte(i), 0x80^(seed+byte(i))
	}
	return c
}

func (c *crafted) key(label string, secret []byte) {
	fmt.Fprintf(&c.keys, "%s %x %x\n", label, c.client, secret)
}

// put adds a record.
func (c *crafted) put(from Dir, typ byte, fragment []byte) {
	b := []byte{typ, 3, 3, byte(len(fragment) >> 8), byte(len(fragment))}
	c.says = append(c.says, message{from, append(b, fragment...)})
}

// hs is a handshake message.
func hs(typ byte, body ...byte) []byte {
	return append([]byte{typ, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}

// vec is bytes behind their length of n bytes.
func vec(n int, b []byte) []byte {
	out := make([]byte, n)
	for i, l := n-1, len(b); i >= 0; i, l = i-1, l>>8 {
		out[i] = byte(l)
	}
	return append(out, b...)
}

func ext(typ uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, typ), vec(2, body)...)
}

func (c *crafted) clientHello(suite uint16, extensions ...[]byte) []byte {
	body := append([]byte{3, 3}, c.client[:]...)
	body = append(body, 0)
	body = append(body, vec(2, binary.BigEndian.AppendUint16(nil, suite))...)
	body = append(body, 1, 0)
	return hs(msgClientHello, append(body, vec(2, bytes.Join(extensions, nil))...)...)
}

func (c *crafted) serverHello(suite uint16, extensions ...[]byte) []byte {
	body := append([]byte{3, 3}, c.server[:]...)
	body = append(body, 0)
	body = binary.BigEndian.AppendUint16(body, suite)
	body = append(body, 0)
	return hs(msgServerHello, append(body, vec(2, bytes.Join(extensions, nil))...)...)
}

// sealer13 seals records of TLS 1.3 under one secret.
type sealer13 struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

// hkdfExpand is HKDF-Expand-Label written out for one block of output.
func hkdfExpand(h func() hash.Hash, secret []byte, label string, n int) []byte {
	m := hmac.New(h, secret)
	m.Write([]byte{0, byte(n), byte(6 + len(label))})
	m.Write([]byte("tls13 " + label))
	m.Write([]byte{0, 1})
	return m.Sum(nil)[:n]
}

func newSealer13(suite uint16, secret []byte) *sealer13 {
	h := sha256.New
	if len(secret) == 48 {
		h = sha512.New384
	}
	var s sealer13
	s.iv = hkdfExpand(h, secret, "iv", 12)
	size := map[uint16]int{0x1301: 16, 0x1302: 32, 0x1303: 32}[suite]
	key := hkdfExpand(h, secret, "key", size)
	if suite == 0x1303 {
		s.aead, _ = chacha20poly1305.New(key)
	} else {
		block, _ := aes.NewCipher(key)
		s.aead, _ = cipher.NewGCM(block)
	}
	return &s
}

// record is a sealed record's fragment, with padding zeros.
func (s *sealer13) record(typ byte, content []byte, padding int) []byte {
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[11-i] ^= byte(s.seq >> (8 * i))
	}
	s.seq++
	inner := append(append(bytes.Clone(content), typ), make([]byte, padding)...)
	n := len(inner) + s.aead.Overhead()
	return s.aead.Seal(nil, nonce, inner, []byte{23, 3, 3, byte(n >> 8), byte(n)})
}

var tls13Version = ext(extSupportedVersions, []byte{3, 4})

// finishedOf is a Finished as long as the secrets are.
func finishedOf(secret []byte) []byte { return hs(msgFinished, make([]byte, len(secret))...) }

// TestDecryptSuites13 opens all suites of TLS 1.3 with padding, and reads on
// behind key updates of both ends.
func TestDecryptSuites13(t *testing.T) {
	for suite, size := range map[uint16]int{0x1301: 32, 0x1302: 48, 0x1303: 32} {
		c := newCrafted(1)
		secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, size) }
		c.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(1))
		c.key("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(2))
		c.key("CLIENT_TRAFFIC_SECRET_0", secret(3))
		c.key("SERVER_TRAFFIC_SECRET_0", secret(4))
		c.put(ToServer, 22, c.clientHello(suite, ext(extSupportedVersions, []byte{2, 3, 4})))
		c.put(ToClient, 22, c.serverHello(suite, tls13Version))
		c.put(ToClient, 20, []byte{1})
		server := newSealer13(suite, secret(2))
		flight := slices.Concat(hs(msgEncryptedExtensions, vec(2, ext(extALPN, vec(2, vec(1, []byte("http/1.1")))))...),
			hs(msgCertificateRequest, 0, 0, 0), finishedOf(secret(2)))
		c.put(ToClient, 23, server.record(22, flight[:20], 3)) // cut within a message
		c.put(ToClient, 23, server.record(22, flight[20:], 0))
		client := newSealer13(suite, secret(1))
		c.put(ToServer, 20, []byte{1})
		c.put(ToServer, 23, client.record(22, slices.Concat(hs(msgCertificate, 0, 0, 0, 0), finishedOf(secret(1))), 100))

		client, server = newSealer13(suite, secret(3)), newSealer13(suite, secret(4))
		c.put(ToServer, 23, client.record(23, []byte(innerRequests[0]), 0))
		c.put(ToClient, 23, server.record(23, []byte(innerResponse), 17))
		h := sha256.New
		if size == 48 {
			h = sha512.New384
		}
		clientSecret, serverSecret := secret(3), secret(4)
		for range 2 {
			c.put(ToServer, 23, client.record(22, hs(msgKeyUpdate, 1), 0))
			clientSecret = hkdfExpand(h, clientSecret, "traffic upd", size)
			client = newSealer13(suite, clientSecret)
			c.put(ToClient, 23, server.record(22, hs(msgKeyUpdate, 0), 0))
			serverSecret = hkdfExpand(h, serverSecret, "traffic upd", size)
			server = newSealer13(suite, serverSecret)
		}
		c.put(ToServer, 23, client.record(23, []byte(innerRequests[1]), 0))
		c.put(ToClient, 23, server.record(23, []byte(innerResponse), 0))
		c.put(ToClient, 23, server.record(21, []byte{2, 80}, 0))
		_, facts := opened(t, readKeys(t, c.keys.String()), c.says)
		mustHave(t, facts, innerFacts+"tls.decrypted yes\ntls.cert_request true\ntls.client_cert empty\ntls.client_cert_basis decrypted\n"+
			"tls.alpn_selected http/1.1\ntls.alert internal_error\ntls.handshake complete\n", "tls.refused")
	}
}

// TestDecryptEarlyData opens early data that the server accepts, that it
// refuses, and passes over what there is no key of.
func TestDecryptEarlyData(t *testing.T) {
	const suite = 0x1301
	secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	for _, test := range []struct {
		name            string
		accepted, keyed bool
		requests        int
	}{
		{"accepted", true, true, 2},
		{"refused", false, true, 2}, // sent again in full, so seen twice
		{"no key", false, false, 1},
	} {
		c := newCrafted(9)
		if test.keyed {
			c.key("CLIENT_EARLY_TRAFFIC_SECRET", secret(5))
		}
		c.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(1))
		c.key("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(2))
		c.key("CLIENT_TRAFFIC_SECRET_0", secret(3))
		c.key("SERVER_TRAFFIC_SECRET_0", secret(4))
		c.put(ToServer, 22, c.clientHello(suite, ext(extSupportedVersions, []byte{2, 3, 4}), ext(extEarlyData, nil), ext(extPreSharedKey, []byte{0})))
		early := newSealer13(suite, secret(5))
		c.put(ToServer, 23, early.record(23, []byte(innerRequests[0]), 0))
		c.put(ToClient, 22, c.serverHello(suite, tls13Version, ext(extPreSharedKey, []byte{0, 0})))
		server := newSealer13(suite, secret(2))
		c.put(ToClient, 23, server.record(22, slices.Concat(hs(msgEncryptedExtensions, 0, 0), finishedOf(secret(2))), 0))
		if test.accepted {
			c.put(ToServer, 23, early.record(22, hs(msgEndOfEarlyData), 0))
		}
		c.put(ToServer, 23, newSealer13(suite, secret(1)).record(22, finishedOf(secret(1)), 0))
		client := newSealer13(suite, secret(3))
		c.put(ToServer, 23, client.record(23, []byte(innerRequests[1]), 0))
		_, facts := opened(t, readKeys(t, c.keys.String()), c.says)
		mustHave(t, facts, fmt.Sprintf("tls.decrypted yes\ntls.resumed true\ntls.handshake complete\nhttp.requests %d\n", test.requests), "tls.client_cert_basis")
		if t.Failed() {
			t.Fatal(test.name)
		}
	}
}

// Authentication that the server asks for behind the handshake is told apart
// from that of the handshake.
func TestDecryptLaterAuthentication(t *testing.T) {
	const suite = 0x1301
	secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	c := newCrafted(3)
	c.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(1))
	c.key("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(2))
	c.key("CLIENT_TRAFFIC_SECRET_0", secret(3))
	c.key("SERVER_TRAFFIC_SECRET_0", secret(4))
	c.put(ToServer, 22, c.clientHello(suite, ext(extSupportedVersions, []byte{2, 3, 4})))
	c.put(ToClient, 22, c.serverHello(suite, tls13Version))
	c.put(ToClient, 23, newSealer13(suite, secret(2)).record(22, slices.Concat(hs(msgEncryptedExtensions, 0, 0), finishedOf(secret(2))), 0))
	c.put(ToServer, 23, newSealer13(suite, secret(1)).record(22, finishedOf(secret(1)), 0))
	c.put(ToClient, 23, newSealer13(suite, secret(4)).record(22, hs(msgCertificateRequest, 1, 7, 0, 0), 0))
	entry := slices.Concat(vec(3, clientCertificate().Certificate[0]), vec(2, nil))
	body := slices.Concat(vec(1, []byte{7}), vec(3, entry))
	c.put(ToServer, 23, newSealer13(suite, secret(3)).record(22, slices.Concat(hs(msgCertificate, body...), finishedOf(secret(3))), 0))
	_, facts := opened(t, readKeys(t, c.keys.String()), c.says)
	mustHave(t, facts, "tls.client_cert absent\ntls.client_cert_basis decrypted\ntls.client_cert_later present\ntls.client_cert_cn client.example\n", "tls.alert")
}

// prf12 is the pseudorandom function of TLS 1.2 with SHA-256, written out.
func prf12(n int, secret []byte, seed ...[]byte) []byte {
	all := bytes.Join(seed, nil)
	sum := func(b ...[]byte) []byte {
		m := hmac.New(sha256.New, secret)
		for _, x := range b {
			m.Write(x)
		}
		return m.Sum(nil)
	}
	var out []byte
	for a := sum(all); len(out) < n; a = sum(a) {
		out = append(out, sum(a, all)...)
	}
	return out[:n]
}

// TestDecryptRenegotiation opens AES-CBC with encrypt-then-MAC, and then, with
// the keys of a renegotiation, plain AES-CBC: the client shows a certificate in
// the second handshake alone.
func TestDecryptRenegotiation(t *testing.T) {
	const suite = 0x002f // RSA with AES-128-CBC and SHA-1
	first, second := newCrafted(1), newCrafted(77)
	type half struct {
		mac, key []byte
		seq      uint64
		etm      bool
	}
	halves := func(c *crafted, master []byte, etm bool) (client, server *half) {
		k := prf12(72, master, []byte("key expansion"), c.server[:], c.client[:])
		return &half{k[:20], k[40:56], 0, etm}, &half{k[20:40], k[56:72], 0, etm}
	}
	seal := func(h *half, typ byte, content []byte) []byte {
		mac := func(b []byte) []byte {
			header := binary.BigEndian.AppendUint64(nil, h.seq)
			header = append(header, typ, 3, 3, byte(len(b)>>8), byte(len(b)))
			m := hmac.New(sha1.New, h.mac)
			m.Write(header)
			m.Write(b)
			return m.Sum(nil)
		}
		plain := bytes.Clone(content)
		if !h.etm {
			plain = append(plain, mac(content)...)
		}
		padding := 15 - len(plain)%16
		plain = append(plain, bytes.Repeat([]byte{byte(padding)}, padding+1)...)
		block, _ := aes.NewCipher(h.key)
		iv := bytes.Repeat([]byte{byte(h.seq + 5)}, 16)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
		out := append(iv, plain...)
		if h.etm {
			out = append(out, mac(out)...)
		}
		h.seq++
		return out
	}
	masters := [2][]byte{bytes.Repeat([]byte{0xa1}, 48), bytes.Repeat([]byte{0xb2}, 48)}
	first.key("CLIENT_RANDOM", masters[0])
	second.key("CLIENT_RANDOM", masters[1])

	finished := hs(msgFinished, make([]byte, 12)...)
	c := first
	client, server := halves(first, masters[0], true)
	etm := ext(extEncryptThenMAC, nil)
	c.put(ToServer, 22, first.clientHello(suite, etm))
	c.put(ToClient, 22, slices.Concat(first.serverHello(suite, etm), hs(msgServerHelloDone)))
	c.put(ToServer, 22, hs(msgClientKeyExchange, 0, 1, 9))
	c.put(ToServer, 20, []byte{1})
	c.put(ToServer, 22, seal(client, 22, finished))
	c.put(ToClient, 20, []byte{1})
	c.put(ToClient, 22, seal(server, 22, finished))
	c.put(ToServer, 23, seal(client, 23, []byte(innerRequests[0])))
	c.put(ToClient, 22, seal(server, 22, hs(msgHelloRequest)))
	c.put(ToServer, 22, seal(client, 22, second.clientHello(suite)))
	c.put(ToClient, 22, seal(server, 22, slices.Concat(second.serverHello(suite), hs(msgCertificateRequest, 1, 1, 0, 0), hs(msgServerHelloDone))))
	der := clientCertificate().Certificate[0]
	c.put(ToServer, 22, seal(client, 22, hs(msgCertificate, vec(3, vec(3, der))...)))
	c.put(ToServer, 22, seal(client, 22, hs(msgClientKeyExchange, 0, 1, 9)))
	client2, server2 := halves(second, masters[1], false)
	c.put(ToServer, 20, seal(client, 20, []byte{1}))
	c.put(ToServer, 22, seal(client2, 22, finished))
	c.put(ToClient, 20, seal(server, 20, []byte{1}))
	c.put(ToClient, 22, seal(server2, 22, finished))
	c.put(ToClient, 23, seal(server2, 23, []byte(innerResponse)))
	c.put(ToServer, 23, seal(client2, 23, []byte(innerRequests[1])))
	c.put(ToClient, 23, seal(server2, 23, []byte(innerResponse)))

	_, facts := opened(t, readKeys(t, first.keys.String()+second.keys.String()), c.says)
	mustHave(t, facts, innerFacts+"tls.decrypted yes\ntls.client_cert present\ntls.client_cert_basis decrypted\ntls.client_cert_cn client.example\n"+
		"tls.cert_request true\ntls.handshake complete\n", "tls.alert")

	// Without the second secret, all is read up to where its keys begin.
	_, facts = opened(t, readKeys(t, first.keys.String()), c.says)
	mustHave(t, facts, "http.requests 1\ntls.client_cert present\ntls.client_cert_basis decrypted\n", "http.status")

	// One byte of the MAC turned over: that record is left out.
	damaged := slices.Clone(c.says)
	last := bytes.Clone(damaged[len(damaged)-2].b)
	last[len(last)-1] ^= 1
	damaged[len(damaged)-2].b = last
	_, facts = opened(t, readKeys(t, first.keys.String()+second.keys.String()), damaged)
	mustHave(t, facts, "http.requests 1\n", "http.unauthenticated")
}

// HTTP/2 inside TLS is read like that in clear.
func TestDecryptHTTP2(t *testing.T) {
	const suite = 0x1303
	secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	c := newCrafted(5)
	c.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(1))
	c.key("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(2))
	c.key("CLIENT_TRAFFIC_SECRET_0", secret(3))
	c.key("SERVER_TRAFFIC_SECRET_0", secret(4))
	c.put(ToServer, 22, c.clientHello(suite, ext(extSupportedVersions, []byte{2, 3, 4})))
	c.put(ToClient, 22, c.serverHello(suite, tls13Version))
	c.put(ToClient, 23, newSealer13(suite, secret(2)).record(22, slices.Concat(hs(msgEncryptedExtensions, 0, 0), finishedOf(secret(2))), 0))
	c.put(ToServer, 23, newSealer13(suite, secret(1)).record(22, finishedOf(secret(1)), 0))
	sealers := [2]*sealer13{newSealer13(suite, secret(3)), newSealer13(suite, secret(4))}
	for _, m := range http2Says() {
		c.put(m.from, 23, sealers[m.from].record(23, m.b, 1))
	}
	conv, facts := opened(t, readKeys(t, c.keys.String()), c.says)
	var want string
	for i := range samples {
		if samples[i].name == "HTTP/2" {
			want = strings.TrimLeft(samples[i].facts, "\n")
		}
	}
	mustHave(t, facts, want, "")
	if got := conv.state.Protocol(conv.set); got != "tls" {
		t.Errorf("protocol %q", got)
	}
	for _, s := range []string{plantedJWT, plantedCookie} {
		if strings.Contains(facts, s) {
			t.Errorf("%q is in the facts", s)
		}
	}
}

// TestCCM holds example 3 of NIST SP 800-38C, appendix C.
func TestCCM(t *testing.T) {
	block, err := aes.NewCipher(unhex("404142434445464748494a4b4c4d4e4f"))
	if err != nil {
		t.Fatal(err)
	}
	c := &ccm{block, 8}
	nonce, additional := unhex("101112131415161718191a1b"), unhex("000102030405060708090a0b0c0d0e0f10111213")
	sealed := unhex("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951")
	plain, err := c.Open([]byte("before"), nonce, sealed, additional)
	if want := append([]byte("before"), unhex("202122232425262728292a2b2c2d2e2f3031323334353637")...); err != nil || !bytes.Equal(plain, want) {
		t.Errorf("opened to %x, %v", plain, err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x10
		if _, err := c.Open(nil, nonce, bad, additional); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
	}
	if _, err := c.Open(nil, nonce, sealed[:7], additional); err == nil {
		t.Error("opened less than a tag")
	}
}

func TestKeyLog(t *testing.T) {
	random, secret32, secret48 := strings.Repeat("0a", 32), strings.Repeat("1B", 32), strings.Repeat("2c", 48)
	for _, c := range []struct {
		text     string
		sessions int
		bad      string // numbers of malformed lines
	}{
		{"", 0, ""},
		{"# a comment\n\n  \r\n", 0, ""},
		{"CLIENT_RANDOM " + random + " " + secret48, 1, ""},
		{"CLIENT_RANDOM " + random + " " + secret48 + "\r\nEXPORTER_SECRET " + random + " " + secret32 + "\n", 1, ""},
		{"CLIENT_TRAFFIC_SECRET_0 " + random + " " + secret32 + "\nSERVER_TRAFFIC_SECRET_0 " + strings.Repeat("0b", 32) + " " + secret48 + "\n\x00\x00\n", 2, ""},
		{"CLIENT_RANDOM " + random + " " + secret48 + "\\\nCLIENT_RANDOM " + random + " " + secret32 + "\\\n", 1, "2"},
		{"RSA 0123456789abcdef " + secret48 + "\n", 0, ""},
		{"CLIENT_RANDOM " + random + " " + secret32 + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random[1:] + " " + secret48 + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random + "00 " + secret48 + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random + " " + secret48[1:] + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random + " " + secret48[2:] + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random + " xx" + secret48[2:] + "\n", 0, "1"},
		{"CLIENT_RANDOM " + random + "\n", 0, "1"},
		{"#\nhello\nclient_random " + random + " " + secret48 + "\nCLIENT_RANDOM " + random + " " + secret48 + "\nCLIENT_RAN", 1, "2 3 5"},
		{"X \x91\xff3 \x07\nA 0123456789abcdef !\nA 0123456789abcdeg 00\nA 01 00\n", 0, "1 2 3 4"}, // of something else
		{strings.Repeat("A", 5000) + "\nCLIENT_RANDOM " + random + " " + secret48, 1, "1"},
	} {
		var bad []string
		k := new(KeyLog)
		err := k.Read(strings.NewReader(c.text), func(line int, reason error) {
			bad = append(bad, fmt.Sprint(line))
			for _, secret := range []string{random, secret32, secret48} {
				if strings.Contains(reason.Error(), secret[:8]) {
					t.Errorf("%q quotes the line", reason)
				}
			}
		})
		if err != nil || k.Stats().Connections != c.sessions || strings.Join(bad, " ") != c.bad {
			t.Errorf("%.60q: %d sessions, malformed lines %q, %v; want %d, %q", c.text, k.Stats().Connections, bad, err, c.sessions, c.bad)
		}
	}
	broken := io.MultiReader(strings.NewReader("CLIENT_RANDOM "), iotestError{})
	if err := new(KeyLog).Read(broken, func(int, error) {}); err == nil {
		t.Error("a reader that fails is no error")
	}
}

type iotestError struct{}

func (iotestError) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzKeyLog(f *testing.F) {
	random, secret := strings.Repeat("0a", 32), strings.Repeat("2c", 48)
	f.Add([]byte("# x\nCLIENT_RANDOM " + random + " " + secret + "\nSERVER_TRAFFIC_SECRET_0 " + random + " " + secret[:64] + "\r\nRSA x y\nz"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k := new(KeyLog)
		lines := bytes.Count(text, []byte("\n")) + 1
		last := 0
		err := k.Read(bytes.NewReader(text), func(line int, _ error) {
			if line <= last || line > lines {
				t.Errorf("line %d behind %d of %d", line, last, lines)
			}
			last = line
		})
		if s := k.Stats(); err != nil || s.Connections+s.Malformed > lines {
			t.Errorf("%+v of %d lines, %v", s, lines, err)
		}
	})
}

// FuzzDecrypt seals hostile content for a connection of TLS 1.3, so that it
// reaches what stands behind the keys. script cuts b as in FuzzDissect; bits 4
// to 6 of every second byte choose the content type.
func FuzzDecrypt(f *testing.F) {
	flight := slices.Concat(hs(msgEncryptedExtensions, 0, 0), hs(msgCertificate, append([]byte{0}, vec(3, slices.Concat(vec(3, []byte{48, 0}), vec(2, nil)))...)...),
		hs(msgCompressedCertificate, 0, 1, 0, 0, 9, 0, 0, 2, 1, 1), finishedOf(make([]byte, 32)))
	f.Add([]byte{byte(len(flight)<<1 | 1), 0, byte(36 << 1), 0, 100, 1}, append(append(flight, finishedOf(make([]byte, 32))...), innerRequests[0]...))
	var h2bytes []byte
	for _, m := range http2Says() {
		h2bytes = append(h2bytes, m.b...)
	}
	f.Add([]byte{48, 1, 255, 1, 254, 1, 200, 1, 7, 2, 9, 3}, h2bytes)
	f.Fuzz(func(t *testing.T, script, b []byte) {
		const suite = 0x1303
		secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
		c := newCrafted(5)
		c.key("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret(1))
		c.key("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret(1))
		c.key("CLIENT_TRAFFIC_SECRET_0", secret(1))
		c.key("SERVER_TRAFFIC_SECRET_0", secret(1))
		c.put(ToServer, 22, c.clientHello(suite, ext(extSupportedVersions, []byte{2, 3, 4})))
		c.put(ToClient, 22, c.serverHello(suite, tls13Version))
		sealers := [2]*sealer13{newSealer13(suite, secret(1)), newSealer13(suite, secret(1))}
		for i := 0; i+1 < len(script); i += 2 {
			dir := Dir(script[i] & 1)
			n := min(int(script[i]>>1), len(b))
			typ := [...]byte{22, 23, 21, 20}[script[i+1]&3]
			if script[i+1]&4 != 0 {
				sealers[dir] = newSealer13(suite, secret(1)) // as behind Finished
			}
			c.put(dir, 23, sealers[dir].record(typ, b[:n], int(script[i+1]>>5)))
			b = b[n:]
		}
		_, facts := opened(t, readKeys(t, c.keys.String()), c.says)
		if len(facts) > 1<<20 {
			t.Errorf("%d bytes of facts", len(facts))
		}
	})
}

// TestSealingOfSuites holds what the table of suites says against OpenSSL's list:
// the cipher, the size of its key, and what authenticates.
func TestSealingOfSuites(t *testing.T) {
	out, err := exec.Command("openssl", "ciphers", "-V", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").Output()
	if err != nil {
		t.Skipf("no list of suites: %v", err)
	}
	ciphers := map[string]sealing{
		"AESGCM": {kind: sealGCM}, "AESCCM": {kind: sealCCM, tag: 16}, "AESCCM8": {kind: sealCCM, tag: 8},
		"CHACHA20/POLY1305": {kind: sealChaCha}, "AES": {kind: sealCBC}, "3DES": {kind: sealCBC, des: true, key: 24},
		"RC4": {kind: sealRC4}, "None": {kind: sealNone}, "Camellia": {kind: sealCBC, camellia: true},
	}
	macs := map[string]int{"AEAD": 0, "MD5": md5.Size, "SHA1": sha1.Size, "SHA256": sha256.Size, "SHA384": sha512.Size384}
	line := regexp.MustCompile(`(?m)^ *0x(..),0x(..) - (\S+) .* Enc=([^ (]+)(?:\((\d+)\))? +Mac=(\S+)`)
	checked := 0
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		id, _ := strconv.ParseUint(m[1]+m[2], 16, 16)
		if strings.HasPrefix(m[4], "ARIA") || m[4] == "SEED" || m[4] == "IDEA" || m[4] == "GOST89" {
			if _, ok := sealingOf(uint16(id)); ok {
				t.Errorf("%s is not one of those that can be opened", m[3])
			}
			continue
		}
		want, ok := ciphers[m[4]]
		mac, okMAC := macs[m[6]]
		if !ok || !okMAC {
			t.Errorf("%s: a cipher %s with %s, of which this test knows nothing", m[3], m[4], m[6])
			continue
		}
		if bits, _ := strconv.Atoi(m[5]); want.key == 0 {
			want.key = bits / 8
		}
		want.long = strings.HasSuffix(m[3], "SHA384")
		got, ok := sealingOf(uint16(id))
		size := 0
		if got.mac != nil {
			size = got.mac().Size()
		}
		got.mac = nil
		if !ok || size != mac || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s, %04x: %+v with a MAC of %d bytes, want %+v with %d", m[3], id, got, size, want, mac)
		}
		checked++
	}
	if checked < 50 {
		t.Errorf("only %d suites were compared", checked)
	}
}
