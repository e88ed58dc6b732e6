package dissect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testCertificate is self-signed, for the names given.
func testCertificate(cn string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: cn, Organization: []string{"Test"}},
		DNSNames:              []string{cn},
		IPAddresses:           []net.IP{net.IPv4(192, 0, 2, 1)},
		NotBefore:             time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC),
		NotAfter:              time.Date(2049, 6, 7, 8, 9, 10, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

var (
	serverCertificate = sync.OnceValue(func() tls.Certificate { return testCertificate("server.example") })
	clientCertificate = sync.OnceValue(func() tls.Certificate { return testCertificate("client.example") })
)

// A wire is one direction of a connection that holds what is written until it
// is read, as a network does and net.Pipe does not.
type wire struct {
	sync.Mutex
	arrived sync.Cond
	b       []byte
	closed  bool
}

func newWire() *wire {
	w := new(wire)
	w.arrived.L = w
	return w
}

func (w *wire) Read(b []byte) (int, error) {
	w.Lock()
	defer w.Unlock()
	for len(w.b) == 0 && !w.closed {
		w.arrived.Wait()
	}
	if len(w.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, w.b)
	w.b = w.b[n:]
	return n, nil
}

func (w *wire) Close() error {
	w.Lock()
	defer w.Unlock()
	w.closed = true
	w.arrived.Broadcast()
	return nil
}

// An end is one end of a connection; what it writes is recorded.
type end struct {
	net.Conn // nil: the methods below are all that is called
	in, out  *wire
	dir      Dir
	log      *tapLog
}

type tapLog struct {
	sync.Mutex
	says []message
}

func (e end) Read(b []byte) (int, error) { return e.in.Read(b) }

func (e end) Write(b []byte) (int, error) {
	e.log.Lock()
	e.log.says = append(e.log.says, message{e.dir, bytes.Clone(b)})
	e.log.Unlock()
	e.out.Lock()
	defer e.out.Unlock()
	e.out.b = append(e.out.b, b...)
	e.out.arrived.Broadcast()
	return len(b), nil
}

func (e end) Close() error                     { return e.out.Close() }
func (e end) SetDeadline(time.Time) error      { return nil }
func (e end) SetWriteDeadline(time.Time) error { return nil }

// handshake lets Go's own client and server talk, and returns what they wrote
// in the order in which they wrote it. The client says a line and the server
// answers with one, if they get so far.
func handshake(client, server *tls.Config) []message {
	up, down, log := newWire(), newWire(), new(tapLog)
	var wait sync.WaitGroup
	wait.Go(func() {
		conn := tls.Server(end{in: up, out: down, dir: ToClient, log: log}, server)
		line := make([]byte, 5)
		if _, err := io.ReadFull(conn, line); err == nil {
			conn.Write([]byte("a longer answer\n"))
		}
		conn.Close()
	})
	conn := tls.Client(end{in: down, out: up, dir: ToServer, log: log}, client)
	if conn.Handshake() == nil {
		conn.Write([]byte("line\n"))
		io.Copy(io.Discard, conn)
	}
	conn.Close()
	up.Close()
	wait.Wait()
	return log.says
}

// A liveTest is a handshake of Go's TLS and what must be learned of it.
type liveTest struct {
	name           string
	client, server *tls.Config
	resume         bool   // what is judged is a second connection
	want           string // facts that must be there
	not            string // keys that must not
}

func liveTests() []liveTest {
	pool := x509.NewCertPool()
	pool.AddCert(serverCertificate().Leaf)
	clients := x509.NewCertPool()
	clients.AddCert(clientCertificate().Leaf)
	strangers := x509.NewCertPool()
	strangers.AddCert(serverCertificate().Leaf)
	sum := sha256.Sum256(serverCertificate().Certificate[0])
	clientSum := sha256.Sum256(clientCertificate().Certificate[0])

	client := func(version uint16, certs ...tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: "server.example", RootCAs: pool, Certificates: certs, MinVersion: version, MaxVersion: version}
	}
	server := func(auth tls.ClientAuthType, roots *x509.CertPool) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{serverCertificate()}, ClientAuth: auth, ClientCAs: roots, MinVersion: tls.VersionTLS10}
	}
	with := func(c *tls.Config, f func(*tls.Config)) *tls.Config { f(c); return c }
	protocols := func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }
	p384 := func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} }
	twoCurves := func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384} }
	cached := func(c *tls.Config) { c.ClientSessionCache = tls.NewLRUClientSessionCache(1) }
	const v12, v13 = tls.VersionTLS12, tls.VersionTLS13
	shown := clientCertificate()

	return []liveTest{
		{name: "1.2", client: with(client(v12), protocols), server: with(server(tls.NoClientCert, nil), protocols),
			want: "tls.version 1.2\ntls.sni server.example\ntls.alpn h2\ntls.alpn http/1.1\ntls.alpn_selected h2\n" +
				"tls.client_cert absent\ntls.client_cert_basis observed\ntls.handshake complete\n" +
				"tls.cert_sha256 " + hex.EncodeToString(sum[:]) + "\ntls.cert_cn server.example\ntls.cert_san server.example\ntls.cert_san 192.0.2.1\n" +
				"tls.cert_issuer CN=server.example,O=Test\ntls.cert_not_before 2020-01-02T03:04:05Z\ntls.cert_not_after 2049-06-07T08:09:10Z\n" +
				"tls.cert_self_signed true\n",
			not: "tls.resumed tls.cert_request tls.alert tls.refused tls.hello_retry"},
		{name: "1.1", client: client(tls.VersionTLS11), server: server(tls.NoClientCert, nil),
			want: "tls.version 1.1\ntls.client_cert absent\ntls.handshake complete\n"},
		{name: "1.2 empty", client: client(v12), server: server(tls.RequestClientCert, nil),
			want: "tls.cert_request true\ntls.client_cert empty\ntls.client_cert_basis observed\ntls.handshake complete\n", not: "tls.client_cert_cn"},
		{name: "1.2 shown", client: client(v12, shown), server: server(tls.RequireAndVerifyClientCert, clients),
			want: "tls.cert_request true\ntls.client_cert present\ntls.client_cert_basis observed\ntls.handshake complete\n" +
				"tls.client_cert_cn client.example\ntls.client_cert_san client.example\ntls.client_cert_sha256 " + hex.EncodeToString(clientSum[:]) + "\n"},
		{name: "1.2 missing", client: client(v12), server: server(tls.RequireAnyClientCert, nil),
			want: "tls.client_cert empty\ntls.handshake failed\ntls.alert_by server\n"},
		{name: "1.2 not trusted", client: client(v12, shown), server: server(tls.RequireAnyClientCert, nil),
			want: "tls.client_cert present\ntls.handshake complete\n"},
		{name: "1.2 server not trusted", client: &tls.Config{ServerName: "server.example", MaxVersion: v12, RootCAs: x509.NewCertPool()}, server: server(tls.NoClientCert, nil),
			want: "tls.client_cert absent\ntls.alert bad_certificate\ntls.alert_by client\ntls.handshake failed\n"},
		{name: "1.2 resumed", resume: true, client: with(client(v12), cached), server: server(tls.NoClientCert, nil),
			want: "tls.version 1.2\ntls.resumed true\ntls.client_cert unknown\ntls.handshake complete\n", not: "tls.client_cert_basis"},
		{name: "1.3", client: with(client(v13), protocols), server: with(server(tls.NoClientCert, nil), protocols),
			want: "tls.version 1.3\ntls.sni server.example\ntls.alpn h2\ntls.client_cert absent\ntls.client_cert_basis inferred\ntls.handshake complete\n",
			not:  "tls.resumed tls.cert_request tls.alpn_selected tls.cert_cn tls.refused tls.hello_retry"},
		{name: "1.3 empty", client: client(v13), server: server(tls.RequestClientCert, nil),
			want: "tls.client_cert empty\ntls.client_cert_basis inferred\ntls.handshake complete\n", not: "tls.refused"},
		{name: "1.3 shown", client: client(v13, shown), server: server(tls.RequireAndVerifyClientCert, clients),
			want: "tls.client_cert present\ntls.client_cert_basis inferred\ntls.handshake complete\n", not: "tls.refused tls.client_cert_cn"},
		{name: "1.3 missing", client: client(v13), server: server(tls.RequireAnyClientCert, nil),
			want: "tls.client_cert empty\ntls.handshake failed\ntls.refused server\n", not: "tls.alert"},
		{name: "1.3 refused", client: with(client(v13), func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
		}), server: server(tls.RequireAndVerifyClientCert, strangers),
			want: "tls.client_cert present\ntls.handshake failed\ntls.refused server\n"},
		{name: "1.3 server not trusted", client: &tls.Config{ServerName: "server.example", RootCAs: x509.NewCertPool()}, server: server(tls.NoClientCert, nil),
			want: "tls.version 1.3\ntls.client_cert absent\ntls.client_cert_confidence medium\ntls.refused client\ntls.handshake failed\n"},
		{name: "1.3 resumed", resume: true, client: with(client(v13, shown), cached), server: server(tls.RequireAndVerifyClientCert, clients),
			want: "tls.version 1.3\ntls.resumed true\ntls.client_cert unknown\ntls.handshake complete\n", not: "tls.client_cert_basis"},
		{name: "1.3 hello retry", client: with(client(v13, shown), twoCurves), server: with(server(tls.RequestClientCert, nil), p384),
			want: "tls.version 1.3\ntls.hello_retry true\ntls.client_cert present\ntls.handshake complete\n"},
		{name: "1.3 hello retry bare", client: with(client(v13), twoCurves), server: with(server(tls.NoClientCert, nil), p384),
			want: "tls.hello_retry true\ntls.client_cert absent\ntls.handshake complete\n"},
		{name: "no version in common", client: client(v12), server: with(server(tls.NoClientCert, nil), func(c *tls.Config) { c.MinVersion = v13 }),
			want: "tls.client_cert unknown\ntls.alert protocol_version\ntls.alert_by server\ntls.handshake failed\n", not: "tls.version"},
	}
}

// says runs a live test's connections and returns the last.
func (l *liveTest) says() []message {
	if l.resume {
		handshake(l.client, l.server)
	}
	return handshake(l.client, l.server)
}

// talk delivers messages to a new conversation and returns the facts.
func talk(t testing.TB, says []message) (*conversation, string) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
	for _, m := range says {
		c.say(m.from, m.b)
	}
	return c, c.end()
}

func TestTLSLive(t *testing.T) {
	for _, test := range liveTests() {
		t.Run(test.name, func(t *testing.T) {
			c, facts := talk(t, test.says())
			if got := c.state.Protocol(c.set); got != "tls" || c.state.Broken() != nil {
				t.Fatalf("protocol %q, broken %v", got, c.state.Broken())
			}
			for line := range strings.Lines(test.want) {
				if !strings.Contains("\n"+facts, "\n"+line) {
					t.Errorf("no %q", line)
				}
			}
			for key := range strings.FieldsSeq(test.not) {
				if strings.Contains("\n"+facts, "\n"+key+" ") {
					t.Errorf("%s was not to be learned", key)
				}
			}
			if t.Failed() {
				t.Logf("facts:\n%s", facts)
			}
		})
	}
}

// TestTLSLiveWounded delivers the same handshakes in other pieces, cut short
// and with holes. Pieces change nothing; what is lost may leave things unknown
// and must never make them wrong.
func TestTLSLiveWounded(t *testing.T) {
	for _, test := range liveTests() {
		t.Run(test.name, func(t *testing.T) {
			says := test.says()
			_, whole := talk(t, says)

			// Byte by byte.
			c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
			for _, m := range says {
				for i := range m.b {
					c.say(m.from, m.b[i:i+1])
				}
			}
			if got := c.end(); got != whole {
				t.Fatalf("byte by byte:\n%swant\n%s", got, whole)
			}

			// Every prefix of the conversation.
			for i := range says {
				c, facts := talk(t, says[:i])
				if c.state.Broken() != nil {
					t.Fatalf("%d messages: %v", i, c.state.Broken())
				}
				for line := range strings.Lines(facts) {
					// A server refuses after the client believes in the handshake,
					// and a session ID is echoed before it is known to mean nothing.
					if line != "tls.handshake complete\n" {
						agree(t, whole, line, fmt.Sprintf("%d messages", i))
					}
				}
			}

			// Every message cut to a snap length, or gone.
			for _, snap := range []int{0, 1, 4, 5, 6, 9, 12, 20, 46, 62, 100, 400} {
				c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
				for _, m := range says {
					n := min(snap, len(m.b))
					if n > 0 {
						c.say(m.from, m.b[:n])
					}
					if n < len(m.b) {
						dir := m.from
						c.state.Gap(c.set, dir, uint64(len(m.b)-n))
					}
				}
				agree(t, whole, strings.ReplaceAll(c.end(), "tls.handshake complete\n", ""), fmt.Sprintf("snap length %d", snap))
			}
			for lost := range says {
				c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
				for i, m := range says {
					if i == lost {
						c.state.Gap(c.set, m.from, uint64(len(m.b)))
					} else {
						c.say(m.from, m.b)
					}
				}
				agree(t, whole, strings.ReplaceAll(c.end(), "tls.handshake complete\n", ""), fmt.Sprintf("message %d lost", lost))
			}
		})
	}
}

// TestTLSOneSided delivers one direction alone: what is inferred from it is
// never sure, and the server's tells at most that nothing was asked for.
func TestTLSOneSided(t *testing.T) {
	for _, test := range liveTests() {
		t.Run(test.name, func(t *testing.T) {
			says := test.says()
			_, whole := talk(t, says)
			for _, dir := range []Dir{ToServer, ToClient} {
				var side []message
				for _, m := range says {
					if m.from == dir {
						side = append(side, m)
					}
				}
				_, facts := talk(t, side)
				what := []string{"client", "server"}[dir] + " alone"
				inferred := strings.Contains(facts, "tls.client_cert_basis inferred\n")
				if inferred != strings.Contains(facts, "tls.client_cert_confidence medium\n") {
					t.Errorf("%s is sure:\n%s", what, facts)
				}
				agree(t, whole, facts, what)
			}
		})
	}
}

// A ClientHello, field by field.
var plainHello = unhex(`16 0301 0066` + // handshake, TLS 1.0, 102 bytes
	`01 000062` + // ClientHello, 98 bytes
	`0303` + // TLS 1.2
	strings.Repeat("11", 32) + // random
	`00` + // no session id
	`0006 1301 c02b 2a2a` + // three suites, the last of them GREASE
	`01 00` + // no compression
	`0033` + // 51 bytes of extensions
	`0000 000b 0009 00 0006 612e74657374` + // server_name: a.test
	`0010 0005 0003 02 6832` + // ALPN: h2
	`000a 0006 0004 001d 0017` + // groups: x25519, P-256
	`000d 0006 0004 0403 0804` + // signature algorithms
	`002b 0003 02 0304`) // supported versions: 1.3

// refusedHello is a server's answer to plainHello: TLS 1.2, and then that it
// will not go on. refusedFacts is what the two say.
var refusedHello = append(serverHelloRecord(0x0303, 0xc02b), record(recordAlert, alertFatal, 40)...)

const refusedFacts = `
tls.sni a.test
tls.alpn h2
tls.ja3 c46303bfdc4078cded5bf7a3669d0b22
tls.ja4 t13d0205h2_777cda164f4b_fbabbea27ee8
tls.version 1.2
tls.cipher 0xc02b
tls.ja3s ec9fdb7b766d47dd56948c6a5d580ddd
tls.alert handshake_failure
tls.alert_by server
tls.handshake failed
tls.client_cert unknown
`

func TestClientHello(t *testing.T) {
	c, facts := talk(t, []message{{ToServer, plainHello}})
	if c.state.Broken() != nil {
		t.Fatal(c.state.Broken())
	}
	ja3 := md5.Sum([]byte("771,4865-49195,0-16-10-13-43,29-23,"))
	suites := sha256.Sum256([]byte("1301,c02b"))
	rest := sha256.Sum256([]byte("000a,000d,002b_0403,0804"))
	want := "tls.sni a.test\ntls.alpn h2\n" +
		"tls.ja3 " + hex.EncodeToString(ja3[:]) + "\n" +
		"tls.ja4 t13d0205h2_" + hex.EncodeToString(suites[:6]) + "_" + hex.EncodeToString(rest[:6]) + "\n" +
		"tls.client_cert unknown\ntls.handshake incomplete\n"
	if facts != want {
		t.Errorf("facts:\n%swant\n%s", facts, want)
	}
}

// inRecords cuts the fragment of a record into records of n bytes.
func inRecords(record []byte, n int) []byte {
	var b []byte
	for fragment := record[recordHeader:]; len(fragment) > 0; {
		k := min(n, len(fragment))
		b = append(b, record[0], record[1], record[2], byte(k>>8), byte(k))
		b = append(b, fragment[:k]...)
		fragment = fragment[k:]
	}
	return b
}

func TestClientHelloOverRecords(t *testing.T) {
	_, want := talk(t, []message{{ToServer, plainHello}})
	for n := 1; n < len(plainHello); n++ {
		c, facts := talk(t, []message{{ToServer, inRecords(plainHello, n)}})
		if c.state.Protocol(c.set) != "tls" || facts != want {
			t.Fatalf("records of %d bytes:\n%swant\n%s", n, facts, want)
		}
	}
}

func TestClientHelloMalformed(t *testing.T) {
	for _, test := range []struct {
		at, value int
		err       string
	}{
		{43, 33, "cipher suites at byte 74: need 616 bytes, enclosing length leaves 28"}, // a session id over the suites
		{45, 7, "cipher suites at byte 41: odd length"},
		{45, 200, "cipher suites"}, // beyond the message
		{55, 0x34, "extensions at byte 51: need 52 bytes, enclosing length leaves 51"},
		{55, 0x32, "extension"}, // one byte short
		{59, 0x0c, "extension"}, // server_name one byte longer: the next extension is misread
	} {
		b := bytes.Clone(plainHello)
		b[test.at] = byte(test.value)
		c, _ := talk(t, []message{{ToServer, b}})
		if err := c.state.Broken(); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("byte %d set to %d: %v, want %q", test.at, test.value, err, test.err)
		}
	}
}

// An SSL 2.0 hello, and the answer in it.
func TestSSL2(t *testing.T) {
	const client = `802e 01` + // 46 bytes, CLIENT-HELLO
		`0002 0015 0000 0010` + // version 2, 21 bytes of cipher specs, no session id, 16 of challenge
		`010080 020080 030080 040080 050080 060040 0700c0` +
		`00112233445566778899aabbccddeeff`
	const server = `8012 04 00 01` + // 18 bytes, SERVER-HELLO, new session, X.509
		`0002 0001 0003 0003` + // version 2, lengths of certificate, cipher specs and connection id
		`30 010080 a1a2a3`
	c, facts := talk(t, []message{{ToServer, unhex(client)}, {ToClient, unhex(server)}})
	if want := "tls.version ssl2\ntls.client_cert unknown\ntls.handshake incomplete\n"; facts != want || c.state.Broken() != nil {
		t.Errorf("facts:\n%swant\n%s%v", facts, want, c.state.Broken())
	}

	// The same hello, offering TLS 1.0, answered in a record.
	tls1 := strings.Replace(client, "0002 0015", "0301 0015", 1)
	_, facts = talk(t, []message{{ToServer, unhex(tls1)}, {ToClient, serverHelloRecord(0x0301, 0x002f)}})
	if !strings.Contains(facts, "tls.version 1.0\ntls.cipher 0x002f\n") {
		t.Errorf("facts:\n%s", facts)
	}
}

// record makes a record.
func record(typ byte, fragment ...byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(fragment) >> 8), byte(len(fragment))}, fragment...)
}

// sealed makes a record of application data of n bytes.
func sealed(n int) []byte { return record(recordApplication, make([]byte, n)...) }

// serverHelloRecord makes a ServerHello without extensions.
func serverHelloRecord(version, suite int, extensions ...byte) []byte {
	body := []byte{byte(version >> 8), byte(version)}
	body = append(body, make([]byte, 32)...)               // random
	body = append(body, 0, byte(suite>>8), byte(suite), 0) // no session id, suite, no compression
	if len(extensions) > 0 {
		body = append(append(body, 0, byte(len(extensions))), extensions...)
	}
	return record(recordHandshake, append([]byte{msgServerHello, 0, 0, byte(len(body))}, body...)...)
}

// chose13 are a ServerHello's extensions: supported_versions says 1.3.
var chose13 = []byte{0, extSupportedVersions, 0, 2, 3, 4}

func TestFlights(t *testing.T) {
	for _, test := range []struct {
		name    string
		suite   int
		lengths []int // of the client's sealed records
		want    string
	}{
		{"bare, SHA-256", 0x1301, []int{53, 120}, "absent"},
		{"bare, SHA-384", 0x1302, []int{69}, "absent"},
		{"bare, 8 bytes of tag", 0x1305, []int{45}, "absent"},
		{"bare, padded by 16", 0x1301, []int{69}, "absent"},
		{"Finished of the other hash", 0x1302, []int{53}, "unknown"},
		{"empty", 0x1301, []int{25, 53}, "empty"},
		{"empty, padded", 0x1302, []int{41, 85}, "empty"},
		{"empty, in one record", 0x1301, []int{61}, "empty"},
		{"empty, Finished missing", 0x1301, []int{25}, "unknown"},
		{"empty and something else", 0x1301, []int{25, 90}, "unknown"},
		{"alert", 0x1301, []int{19}, "unknown"},
		{"nothing", 0x1301, nil, "unknown"},
		{"shown", 0x1301, []int{520, 97, 53}, "present"},
		{"shown, in one record", 0x1301, []int{777}, "present"},
		{"shown, in many", 0x1302, []int{16401, 3000, 281, 69}, "present"},
		{"neither", 0x1301, []int{150, 53}, "unknown"},
		{"padded to blocks", 0x1301, []int{528, 528, 528}, "unknown"},
		{"padded to blocks, then not", 0x1301, []int{528, 97, 53}, "present"},
		{"a suite that nobody knows", 0x13f0, []int{53}, "unknown"},
	} {
		says := []message{{ToServer, plainHello}, {ToClient, serverHelloRecord(0x0303, test.suite, chose13...)}, {ToClient, sealed(900)}}
		for _, n := range test.lengths {
			says = append(says, message{ToServer, sealed(n)})
		}
		_, facts := talk(t, says)
		if !strings.Contains(facts, "tls.client_cert "+test.want+"\n") {
			t.Errorf("%s: want %s:\n%s", test.name, test.want, facts)
		}
	}
}

// TestFlightEndings tells a server's refusal from an ordinary end.
func TestFlightEndings(t *testing.T) {
	begin := []message{{ToServer, plainHello}, {ToClient, serverHelloRecord(0x0303, 0x1301, chose13...)}, {ToClient, sealed(900)}}
	type says = []message
	for _, test := range []struct {
		name string
		rest says
		want string
		not  string
	}{
		{"refused", says{{ToServer, sealed(53)}, {ToClient, sealed(19)}}, "handshake failed\ntls.refused server", ""},
		{"refused in spite of data", says{{ToServer, sealed(53)}, {ToServer, sealed(400)}, {ToClient, sealed(19)}}, "handshake failed\ntls.refused server", ""},
		{"the client hung up, or the server did", says{{ToClient, sealed(19)}}, "handshake failed", "refused"},
		{"answered and closed", says{{ToServer, sealed(53)}, {ToServer, sealed(40)}, {ToClient, sealed(250)}, {ToClient, sealed(19)}}, "handshake complete", "refused"},
		{"a short answer", says{{ToServer, sealed(53)}, {ToClient, sealed(19)}, {ToClient, sealed(19)}, {ToClient, sealed(300)}}, "handshake complete", "refused"},
		{"the client closed first", says{{ToServer, sealed(53)}, {ToServer, sealed(19)}, {ToClient, sealed(19)}}, "handshake complete", "refused"},
		{"the client broke off", says{{ToServer, sealed(19)}}, "refused client\ntls.handshake failed", "cert_basis"},
		{"the client vanished", says{}, "handshake incomplete", "refused"},
	} {
		_, facts := talk(t, append(begin[:3:3], test.rest...))
		if !strings.Contains(facts, test.want) || test.not != "" && strings.Contains(facts, test.not) {
			t.Errorf("%s: want %q, not %q:\n%s", test.name, test.want, test.not, facts)
		}
	}
}

// What one end sends may be no TLS any more, or never have been: the other end's
// messages are read all the same. What the answers to such a client mean is not
// guessed.
func TestTLSOfOneEnd(t *testing.T) {
	noise := message{ToServer, []byte("no record at all")}
	hello := message{ToServer, plainHello}
	answer := message{ToClient, serverHelloRecord(0x0303, 0x1301, chose13...)}
	for _, test := range []struct {
		name string
		says []message
		want string
		not  string
	}{
		{"the hello alone", []message{hello, noise, answer}, "tls.version 1.3\ntls.cipher 0x1301\n", ""},
		{"an SSL 2.0 hello", []message{{ToServer, unhex("802e 01 0301 0015 0000 0010" +
			"010080 020080 030080 040080 050080 060040 0700c0 00112233445566778899aabbccddeeff")}, noise,
			{ToClient, serverHelloRecord(0x0301, 0x0005)}}, "tls.version 1.0\ntls.cipher 0x0005\n", ""},
		{"a cut hello", []message{{ToServer, append(plainHello[:55:55], 0x34)}, {ToServer, plainHello[56:]}, answer}, "tls.version 1.3\n", ""},
		{"answered by an alert", []message{hello, answer, {ToClient, sealed(900)}, {ToServer, sealed(53)}, noise, {ToClient, sealed(19)}},
			"tls.version 1.3\n", "tls.refused"},
		{"answered by an alert of TLS 1.2", []message{hello, {ToClient, serverHelloRecord(0x0303, 0xc02b)}, noise,
			{ToClient, record(recordCCS, 1)}, {ToClient, record(recordAlert, make([]byte, 26)...)}}, "tls.version 1.2\n", "tls.refused"},
	} {
		c, facts := talk(t, test.says)
		if c.state.Broken() == nil || !strings.Contains(facts, test.want) || test.not != "" && strings.Contains(facts, test.not) {
			t.Errorf("%s: broken %v, want %q, not %q:\n%s", test.name, c.state.Broken(), test.want, test.not, facts)
		}
	}
}

// An answer that is no TLS ends the handshake; what a capture that began later has
// of the server may be from within an answer.
func TestTLSStrangeAnswer(t *testing.T) {
	for _, midway := range []bool{false, true} {
		set := testSet()
		var s State
		s.Frame, s.Midway = 1, midway
		s.Data(set, TCP, ToServer, [2]uint16{50000, 443}, true, plainHello)
		s.Data(set, TCP, ToClient, [2]uint16{50000, 443}, true, []byte("no record at all, and no answer that is known"))
		s.Close(set)
		if got := s.Text(TLSHandshake); got == "failed" == midway {
			t.Errorf("midway %t: handshake %q", midway, got)
		}
	}
}

// A raw public key takes the place of the certificates where both agreed on it.
func TestRawPublicKeys(t *testing.T) {
	handshake := func(typ byte, body ...byte) []byte {
		return record(recordHandshake, append([]byte{typ, 0, 0, byte(len(body))}, body...)...)
	}
	key := append([]byte{0, 0, 34, 0x30, 32}, make([]byte, 32)...)
	server := []byte{0, extServerCertType, 0, 1, rawPublicKey}
	both := append([]byte{0, extClientCertType, 0, 1, rawPublicKey}, server...)
	list := append([]byte{0, 0, 37}, key...)
	for _, test := range []struct {
		name             string
		chosen           []byte
		ofServer, client []byte
		want             string
	}{
		{"both", both, key, key, "tls.client_cert present\ntls.client_cert_basis observed\n"},
		{"none of the client", both, key, []byte{0, 0, 0}, "tls.client_cert empty\ntls.client_cert_basis observed\n"},
		{"the server's alone", server, key, list, "tls.client_cert present\ntls.client_cert_basis observed\ntls.client_cert_sha256"},
		{"a certificate type of old", []byte{0, extClientCertType, 0, 1, 0}, list, list, "tls.cert_sha256"},
	} {
		c, facts := talk(t, []message{{ToServer, plainHello}, {ToClient, slices.Concat(serverHelloRecord(0x0303, 0xc02b, test.chosen...),
			handshake(msgCertificate, test.ofServer...), handshake(msgCertificateRequest, 0), handshake(msgServerHelloDone))},
			{ToServer, handshake(msgCertificate, test.client...)}})
		if c.state.Broken() != nil || !strings.Contains(facts, test.want) || !strings.Contains(facts, "tls.cert_request true\n") {
			t.Errorf("%s: broken %v, want %q:\n%s", test.name, c.state.Broken(), test.want, facts)
		}
	}
}

// extended is plainHello with more extensions.
func extended(extensions ...byte) []byte {
	b := append(bytes.Clone(plainHello), extensions...)
	for _, at := range []int{4, 8, 55} { // lengths of record, message and extensions
		b[at] += byte(len(extensions))
	}
	return b
}

func TestApplicationSettings(t *testing.T) {
	hello := message{ToServer, extended(0x44, 0x69, 0, 0)}
	answer := message{ToClient, serverHelloRecord(0x0303, 0x1301, chose13...)}
	for _, test := range []struct {
		lengths []int
		want    string
	}{
		{[]int{63}, "absent"},           // settings and Finished
		{[]int{53}, "absent"},           // the server did not agree
		{[]int{27, 53}, "absent"},       // in records of their own
		{[]int{71}, "empty"},            // settings, an empty Certificate and Finished
		{[]int{27, 25, 53}, "empty"},    //
		{[]int{35, 53}, "empty"},        //
		{[]int{27, 800, 53}, "present"}, //
		{[]int{27}, "unknown"},
	} {
		says := []message{hello, answer}
		for _, n := range test.lengths {
			says = append(says, message{ToServer, sealed(n)})
		}
		if _, facts := talk(t, says); !strings.Contains(facts, "tls.client_cert "+test.want+"\n") {
			t.Errorf("%d: want %s:\n%s", test.lengths, test.want, facts)
		}
	}
}

func TestEarlyData(t *testing.T) {
	hello := message{ToServer, extended(0, extEarlyData, 0, 0, 0, extPreSharedKey, 0, 0)} // neither is looked into
	refused := message{ToClient, serverHelloRecord(0x0303, 0x1301, chose13...)}
	accepted := message{ToClient, serverHelloRecord(0x0303, 0x1301, append(chose13[:6:6], 0, extPreSharedKey, 0, 2, 0, 0)...)}
	for _, test := range []struct {
		name string
		says []message
		want string
	}{
		{"before the ServerHello", []message{hello, {ToServer, sealed(400)}, refused, {ToServer, sealed(53)}}, "client_cert absent"},
		{"behind it", []message{hello, refused, {ToServer, sealed(400)}, {ToServer, sealed(53)}}, "client_cert unknown"},
		{"a certificate", []message{hello, {ToServer, sealed(400)}, refused, {ToServer, sealed(520)}, {ToServer, sealed(96)}, {ToServer, sealed(53)}}, "client_cert present"},
		{"an empty one", []message{hello, refused, {ToServer, sealed(25)}, {ToServer, sealed(53)}}, "client_cert empty"},
		{"accepted", []message{hello, {ToServer, sealed(400)}, accepted, {ToServer, sealed(21)}, {ToServer, sealed(53)}}, "resumed true\ntls.handshake complete\ntls.client_cert unknown"},
	} {
		if _, facts := talk(t, test.says); !strings.Contains(facts, test.want) {
			t.Errorf("%s: want %q:\n%s", test.name, test.want, facts)
		}
	}
}

func TestAlerts(t *testing.T) {
	for _, test := range []struct {
		from  Dir
		alert []byte
		want  string
	}{
		{ToClient, []byte{2, 40}, "tls.alert handshake_failure\ntls.alert_by server\ntls.handshake failed\n"},
		{ToServer, []byte{2, 48}, "tls.alert unknown_ca\ntls.alert_by client\ntls.handshake failed\n"},
		{ToClient, []byte{2, 200}, "tls.alert alert_200\ntls.alert_by server\n"},
		{ToClient, []byte{1, 112}, ""}, // unrecognized_name, a warning
		{ToClient, []byte{1, 0}, ""},   // close_notify
		{ToClient, []byte{2, 0}, ""},   // whatever its level
	} {
		_, facts := talk(t, []message{{ToServer, plainHello}, {test.from, record(recordAlert, test.alert...)}})
		if test.want == "" && strings.Contains(facts, "tls.alert") || !strings.Contains(facts, test.want) {
			t.Errorf("% x: want %q:\n%s", test.alert, test.want, facts)
		}
	}
}

func TestProbeTLS(t *testing.T) {
	for _, test := range []struct {
		name string
		b    []byte
		want Match
	}{
		{"ClientHello", plainHello, FromClient},
		{"ClientHello, nine bytes", plainHello[:9], FromClient},
		{"ClientHello in small records", inRecords(plainHello, 1), FromClient},
		{"ServerHello", serverHelloRecord(0x0303, 0x1301), FromServer},
		{"record header", plainHello[:5], Maybe},
		{"nothing", nil, Maybe},
		{"running connection", append(sealed(100), sealed(200)...), Yes},
		{"one sealed record", sealed(100), Yes},
		{"its beginning", sealed(100)[:60], Yes},
		{"sealed, then something else", append(sealed(100), "HTTP/"...), No},
		{"sealed, too short", sealed(3), No},
		{"alert", record(recordAlert, 2, 40), Yes},
		{"no alert", record(recordAlert, 9, 40), No},
		{"Finished behind ChangeCipherSpec", append(record(recordCCS, 1), record(recordHandshake, make([]byte, 40)...)...), Yes},
		{"version 4", unhex("160401003001"), No},
		{"record too long", unhex("160301ffff01"), No},
		{"text", []byte("GET / HTTP/1.1\r\n"), No},
		{"SSL 2.0 length only", unhex("802e01"), Maybe},
		{"not SSL 2.0", unhex("802e010002001500000011"), No}, // the lengths do not add up
	} {
		if got := probeTLS(ToServer, test.b); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestLongMessagesAreNotKept(t *testing.T) {
	// A Certificate message of 1 MiB in records of 16 KiB, then ServerHelloDone.
	hello := []message{{ToServer, plainHello}, {ToClient, serverHelloRecord(0x0303, 0xc02b)}}
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
	for _, m := range hello {
		c.say(m.from, m.b)
	}
	c.say(ToClient, record(recordHandshake, msgCertificate, 0x10, 0, 0))
	for range 64 {
		c.say(ToClient, record(recordHandshake, make([]byte, 1<<14)...))
		if p := c.state.parser.(*tlsParser); cap(p.sides[ToClient].joined) > 0 {
			t.Fatalf("%d bytes are kept", cap(p.sides[ToClient].joined))
		}
	}
	c.say(ToClient, record(recordHandshake, msgServerHelloDone, 0, 0, 0))
	if facts := c.end(); !strings.Contains(facts, "tls.client_cert absent\n") || c.state.Broken() != nil {
		t.Errorf("%v:\n%s", c.state.Broken(), facts)
	}
}

func TestWalkCertificate(t *testing.T) {
	for _, der := range [][]byte{serverCertificate().Certificate[0], clientCertificate().Certificate[0]} {
		strict, walked := readCertificate(der), walkCertificate(der)
		if walked.cn != strict.cn || walked.issuer != strict.issuer || walked.notBefore != strict.notBefore || walked.notAfter != strict.notAfter || !walked.selfSigned {
			t.Errorf("walked %+v, want %+v", walked, strict)
		}
		for n := range der {
			walkCertificate(der[:n]) // takes what there is
		}
	}
	// A version that does not exist: the standard library refuses it.
	der := bytes.Clone(serverCertificate().Certificate[0])
	at := bytes.Index(der, []byte{0xa0, 3, 2, 1, 2}) // [0] { INTEGER 2 }
	der[at+4] = 9
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("the certificate was to be refused")
	}
	if c := readCertificate(der); c.cn != "server.example" || c.notAfter != "2049-06-07T08:09:10Z" {
		t.Errorf("%+v", c)
	}
}

func TestCertificatesAreReadOnce(t *testing.T) {
	c := new(Context)
	der := serverCertificate().Certificate[0]
	if c.certificate(der) != c.certificate(bytes.Clone(der)) {
		t.Error("read twice")
	}
	for i := range 3 * maxCachedCertificates {
		c.certificate([]byte{byte(i), byte(i >> 8)})
		if len(c.certificates) > maxCachedCertificates {
			t.Fatalf("%d are kept", len(c.certificates))
		}
	}
}

// TestSealedRecordsAreSkipped holds a large transfer to its record headers.
func TestSealedRecordsAreSkipped(t *testing.T) {
	p := tlsDissector.New(&Context{})
	var facts Facts
	for _, b := range [][]byte{plainHello, sealed(16000)[:100]} {
		n, err := p.Parse(ToServer, b, &facts)
		if err != nil || n < len(b) {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		if len(b) == 100 && n != 16000+recordHeader {
			t.Errorf("skips to %d, want %d", n, 16000+recordHeader)
		}
	}
}

func FuzzTLS(f *testing.F) {
	for _, test := range liveTests() {
		for _, m := range test.says() {
			f.Add(m.b, []byte(nil), uint8(m.from))
		}
	}
	f.Add(plainHello, append(serverHelloRecord(0x0303, 0x1301, chose13...), sealed(900)...), uint8(0))
	f.Add(unhex(`802e 01 0002 0015 0000 0010`), []byte(nil), uint8(0))
	f.Fuzz(func(t *testing.T, client, server []byte, first uint8) {
		c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
		dir := Dir(first & 1)
		c.say(dir, client)
		c.say(dir.Other(), server)
		c.state.Gap(c.set, dir, uint64(first))
		c.say(dir, server)
		c.say(dir.Other(), client)
		c.end()
	})
}

func BenchmarkClientHello(b *testing.B) {
	for _, fingerprints := range []bool{false, true} {
		b.Run(fmt.Sprintf("fingerprints=%t", fingerprints), func(b *testing.B) {
			hello := handshake(&tls.Config{ServerName: "server.example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true},
				&tls.Config{Certificates: []tls.Certificate{serverCertificate()}})[0].b
			set := NewSet(All(), &Context{Fingerprints: fingerprints}, testHeld)
			b.ReportAllocs()
			for b.Loop() {
				var s State
				s.Data(set, TCP, ToServer, [2]uint16{50000, 443}, true, hello)
				s.Close(set)
			}
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			says := handshake(&tls.Config{ServerName: "server.example", MaxVersion: version, InsecureSkipVerify: true},
				&tls.Config{Certificates: []tls.Certificate{serverCertificate()}})
			set := NewSet(All(), &Context{}, testHeld)
			b.ReportAllocs()
			for b.Loop() {
				var s State
				for _, m := range says {
					s.Data(set, TCP, m.from, [2]uint16{50000, 443}, true, m.b)
				}
				s.Close(set)
			}
		})
	}
}

// Where the beginning of a direction is lost, the next record is looked for,
// whatever byte a segment begins with in between.
func TestTLSBehindLostBeginning(t *testing.T) {
	for _, first := range []byte{0x00, 0x16, 0x90} {
		c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
		c.say(ToServer, plainHello)
		c.state.Gap(c.set, ToClient, 100)
		c.say(ToClient, bytes.Repeat([]byte{first}, 20))
		c.say(ToClient, refusedHello)
		if facts := c.end(); !strings.Contains(facts, "tls.cipher 0xc02b\n") {
			t.Errorf("behind %#02x:\n%s", first, facts)
		}
	}
}
