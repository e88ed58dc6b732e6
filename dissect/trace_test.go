package dissect

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// listener is a Tracer that keeps what it is told, and the streams beside it.
type listener struct {
	t        *testing.T
	messages []string
	streams  [2][]byte // delivered
	open     [2][]bool
	dir      Dir // of what is being delivered
}

func (l *listener) Delivered(_ uint64, pos uint64, n int) {
	if pos+uint64(n) != uint64(len(l.streams[l.dir])) {
		l.t.Errorf("%d bytes delivered at %d, the stream has %d", n, pos, len(l.streams[l.dir]))
	}
}

func (l *listener) Open(_ uint64, dir Dir, pos, n uint64) {
	for uint64(len(l.open[dir])) < pos+n {
		l.open[dir] = append(l.open[dir], false)
	}
	for i := pos; i < pos+n; i++ {
		l.open[dir][i] = true
	}
}

func (l *listener) Read(m Message) {
	line := strings.Repeat("  ", m.Level) + m.Text
	if m.Concludes {
		line = "= " + m.Text
	}
	for _, f := range m.Fields {
		line += "; " + f.Name + " " + f.Value
	}
	l.messages = append(l.messages, fmt.Sprintf("%s %s", [...]string{">", "<"}[m.Dir], line))
}

// shown is what is open of a direction, the rest as dots.
func (l *listener) shown(dir Dir) string {
	var b []byte
	for i, c := range l.streams[dir] {
		if i >= len(l.open[dir]) || !l.open[dir][i] {
			c = '.'
		}
		b = append(b, c)
	}
	return string(b)
}

// overheard has a conversation with somebody listening.
func overheard(t *testing.T, s *sample) (*listener, *conversation) {
	l := &listener{t: t}
	c := &conversation{t: t, set: NewSet(All(), &Context{Fingerprints: true, Tracer: l}, testHeld), over: s.over, ports: s.ports, sure: true}
	for _, m := range s.says {
		l.dir = m.from
		l.streams[m.from] = append(l.streams[m.from], m.b...)
		c.say(m.from, m.b)
	}
	return l, c
}

// TestTraceChangesNothing holds what is learned with somebody listening beside
// what is learned without, for every protocol: where something is learned,
// something is told.
func TestTraceChangesNothing(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		l, c := overheard(t, s)
		if got := c.end(); got != strings.TrimLeft(s.facts, "\n") {
			t.Errorf("facts:\n%swant:%s", got, s.facts)
		}
		if len(l.messages) == 0 && s.facts != "" {
			t.Error("nothing was told")
		}
	})
}

// TestTraceLearned holds what is told of protocols whose parsers say nothing
// but what they learn.
func TestTraceLearned(t *testing.T) {
	want := map[string]string{
		"DNS":             "> DNS; qtype A; qname",
		"ICMP":            "> ICMP echo; identifier",
		"SSH":             "> SSH; client banner SSH-2.0",
		"NFS 3":           "> RPC call; program 100003; version 3",
		"SMB 3.1.1 guest": "< SMB2 SESSION_SETUP response; status MORE_PROCESSING_REQUIRED",
	}
	for i := range samples {
		s := &samples[i]
		says, ok := want[s.name]
		if !ok {
			continue
		}
		l, c := overheard(t, s)
		c.end()
		if all := strings.Join(l.messages, "\n"); !strings.Contains(all, says) {
			t.Errorf("%s: no %q in\n%s", s.name, says, all)
		}
		delete(want, s.name)
	}
	if len(want) > 0 {
		t.Errorf("no samples: %v", want)
	}
}

// retold is a conversation over TCP as it is told.
func retold(t *testing.T, port uint16, says ...message) *listener {
	l, c := overheard(t, &sample{over: TCP, ports: [2]uint16{40000, port}, says: says})
	c.end()
	return l
}

func (l *listener) tells(want string) {
	l.t.Helper()
	if got := strings.Join(l.messages, "\n"); got != strings.TrimSpace(want) {
		l.t.Errorf("told:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
	}
}

// hides makes sure that secrets are neither told nor open.
func (l *listener) hides(secrets ...string) {
	l.t.Helper()
	all := strings.Join(l.messages, "\n") + l.shown(ToServer) + l.shown(ToClient)
	for _, s := range secrets {
		if strings.Contains(all, s) {
			l.t.Errorf("%q shows in:\n%s", s, all)
		}
	}
}

func TestTraceHTTP(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl"
	l := retold(t, 9877,
		message{ToServer, []byte("POST /api/v1/jobs?access_token=planted-query HTTP/1.1\r\nHost: ms.example\r\n" +
			"Authorization: Bearer " + token + "\r\nCookie: session=planted-cookie; jwt=" + token + "\r\n" +
			"X-Api-Key: planted-key\r\nContent-Length: 14\r\n\r\nplanted-secret")},
		message{ToClient, []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: session=planted-cookie\r\nContent-Length: 4\r\n\r\nbody")},
		message{ToServer, []byte("GET http://user:planted-password@ms.example/ HTTP/1.1\r\nHost: user:planted-password@ms.example\r\n\r\n")},
		message{ToServer, []byte("GET /reset/0123456789abcdef-planted-path HTTP/1.1\r\nReferer: https://x/?planted-referer\r\n\r\n")},
		message{ToServer, []byte("GET /a/" + token + " HTTP/1.1\r\nSec-WebSocket-Protocol: bearer.planted-protocol\r\n\r\n")},
		message{ToServer, []byte("GET /?a=b planted-blank\r\n\r\n")})
	l.hides("planted", token, "c2lnbmF0dXJl")
	l.tells(`
> POST /api/v1/jobs… (27 bytes not shown) HTTP/1.1
>   Host: ms.example
>   Authorization: (scheme bearer, jwt(alg=RS256), 64 bytes not shown)
>   Cookie: (jwt(alg=RS256), 85 bytes not shown)
>   X-Api-Key: (11 bytes not shown)
>   Content-Length: 14
>   body of 14 bytes
< HTTP/1.1 200 OK
<   Server: nginx
<   Set-Cookie: (22 bytes not shown)
<   Content-Length: 4
<   body of 4 bytes
> GET … (40 bytes not shown) HTTP/1.1
>   Host: (32 bytes not shown)
> GET /reset/… (29 bytes not shown) HTTP/1.1
>   Referer: (26 bytes not shown)
> GET /a/… (jwt(alg=RS256), 57 bytes not shown) HTTP/1.1
>   Sec-WebSocket-Protocol: (23 bytes not shown)
> GET /… (18 bytes not shown)`)
	if got := l.shown(ToClient); got != "HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie:.......................\r\nContent-Length: 4\r\n\r\n...." {
		t.Errorf("open: %q", got)
	}
}

func TestTraceZMTP(t *testing.T) {
	hello := command("READY", ready)
	l := retold(t, 7780,
		message{ToServer, greeting3(0, "NULL", 0)}, message{ToClient, greeting3(1, "NULL", 0)},
		message{ToServer, append(bytes.Clone(hello), "\x00\x07planted"...)}, message{ToClient, hello})
	l.hides("planted")
	l.tells(`
> ZMTP greeting; version 3.0; mechanism NULL; as-server false
< ZMTP greeting; version 3.1; mechanism NULL; as-server false
> ZMTP READY; length 43 bytes; Socket-Type DEALER; Identity \x00a
> ZMTP message; length 7 bytes
> = the handshake is complete
< ZMTP READY; length 43 bytes`)
	if got, want := len(strings.TrimRight(l.shown(ToServer), ".")), 64+len(hello); got != want {
		t.Errorf("%d bytes are open, want %d", got, want)
	}

	l = retold(t, 7780,
		message{ToServer, greeting3(0, "PLAIN", 0)}, message{ToClient, greeting3(0, "PLAIN", 1)},
		message{ToServer, command("HELLO", "\x0cplanted-user\x10planted-password")},
		message{ToClient, command("ERROR", "\x06denied")})
	l.hides("planted")
	l.tells(`
> ZMTP greeting; version 3.0; mechanism PLAIN; as-server false
< ZMTP greeting; version 3.0; mechanism PLAIN; as-server true
> ZMTP HELLO; length 36 bytes; user name and password in clear, not shown
< ZMTP ERROR; length 13 bytes; reason denied`)

	l = retold(t, 7780,
		message{ToServer, greeting3(0, "CURVE", 0)}, message{ToClient, greeting3(0, "CURVE", 1)},
		message{ToServer, command("HELLO", strings.Repeat("h", 194))}, message{ToClient, command("WELCOME", strings.Repeat("w", 10))})
	l.tells(`
> ZMTP greeting; version 3.0; mechanism CURVE; as-server false
< ZMTP greeting; version 3.0; mechanism CURVE; as-server true
> ZMTP HELLO; length 200 bytes
< ZMTP WELCOME; length 18 bytes; odd CURVE has 168 bytes here`)
}

func TestTraceTLS(t *testing.T) {
	for i := range samples {
		if s := &samples[i]; s.name == "TLS 1.2 refused" {
			l, c := overheard(t, s)
			c.end()
			l.tells(`
> TLS handshake record; version 1.0; length 238 bytes
>   ClientHello; versions 1.2; server name sn.corp.example; cipher suites 16; signature algorithms 10; groups 4; session id 32 bytes
< TLS handshake record; version 1.2; length 63 bytes
<   ServerHello; version 1.2; cipher suite TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (0xc02b)
< TLS handshake record; version 1.2; length 1072 bytes
<   Certificate of the server; common name sn.corp.example; names sn.corp.example, 10.20.30.12, fd20:30::c; issuer CN=Northwind Lab Issuing CA 1 p256,O=Northwind Lab,C=CH; valid 2026-11-22T03:32:29Z to 2029-11-21T03:32:29Z; sha256 3c7e92e775ff83427e326bfdaaf93fa78ce9cdeb1ef353c98ed8c49b34beca3a; issuers sent along 1
< TLS handshake record; version 1.2; length 115 bytes
<   ServerKeyExchange; length 111 bytes
< TLS handshake record; version 1.2; length 190 bytes
<   CertificateRequest: the server asks for a client certificate; length 186 bytes
< TLS handshake record; version 1.2; length 4 bytes
<   ServerHelloDone; length 0 bytes
> TLS handshake record; version 1.2; length 7 bytes
>   Certificate of the client: empty, it shows none
> = client certificate: empty (observed)
> TLS handshake record; version 1.2; length 37 bytes
>   ClientKeyExchange; length 33 bytes
> TLS ChangeCipherSpec; version 1.2; length 1 byte
> TLS sealed handshake record; length 40 bytes
< TLS alert record; version 1.2; length 2 bytes
<   alert: handshake_failure; level fatal
> = the handshake is broken off`)
		}
	}

	// In TLS 1.3 the lengths of sealed records speak.
	want := map[string]string{
		"1.3":         "may hold Finished alone: no certificate",
		"1.3 empty":   "may hold an empty Certificate",
		"1.3 shown":   "may hold a Certificate",
		"1.3 missing": "may hold an alert",
	}
	for _, test := range liveTests() {
		if says := want[test.name]; says != "" {
			l := retold(t, 443, test.says()...)
			if !strings.Contains(strings.Join(l.messages, "\n")+"\n", says+"\n") {
				t.Errorf("%s: no %q in\n%s", test.name, says, strings.Join(l.messages, "\n"))
			}
			delete(want, test.name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not tried: %v", want)
	}
}

func TestTraceDatagrams(t *testing.T) {
	want := map[string]string{
		"QUIC": `
> QUIC Initial packet; version 0x00000001; to 8394c8f03e515708; length 1200 bytes
>   ClientHello; versions 1.3; server name example.com; alpn alpn; cipher suites 2; signature algorithms 7; groups 3; session id 0 bytes
< QUIC Initial packet; version 0x00000001; from f067a5502a4262b5; length 135 bytes
<   ServerHello; version 1.3; cipher suite TLS_AES_128_GCM_SHA256 (0x1301)
> = the handshake is complete
> = client certificate: unknown`,
		"DTLS": `
> DTLS handshake record; version dtls1.0; length 91 bytes
>   ClientHello; versions dtls1.3, dtls1.2; server name a.test; cipher suites 2; session id 0 bytes
< DTLS handshake record; version dtls1.0; length 19 bytes
<   HelloVerifyRequest: the server asks for its cookie back
> DTLS handshake record; version dtls1.2; length 42 bytes
> DTLS handshake record; version dtls1.2; length 61 bytes
>   ClientHello; versions dtls1.3, dtls1.2; server name a.test; cipher suites 2; session id 0 bytes
< DTLS handshake record; version dtls1.2; length 58 bytes
<   ServerHello; version dtls1.3; cipher suite TLS_AES_128_GCM_SHA256 (0x1301)
> = the handshake is complete
> = client certificate: unknown`,
	}
	for i := range samples {
		if s := &samples[i]; want[s.name] != "" {
			l, c := overheard(t, s)
			c.end()
			l.tells(want[s.name])
		}
	}
}

// TestTraceInside holds that of TLS inside the packets of TDS nothing is open
// behind the end of a record.
func TestTraceInside(t *testing.T) {
	l := retold(t, 1433,
		message{ToServer, tdsPacket(tdsPrelogin, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x00\x00\x00\x00\x00\x00"+"\x00")},
		message{ToClient, tdsPacket(tdsResult, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x0f\x00\x07\xd0\x00\x00"+"\x01")},
		message{ToServer, tdsPacket(tdsPrelogin, string(plainHello[:90]))},
		message{ToServer, tdsPacket(tdsPrelogin, string(plainHello[90:]))},
		message{ToServer, []byte("\x10\x01\x00\x40\x00\x00\x01\x00planted login: the user, the password, the host")})
	l.hides("planted", "user", "password")
	if shown := l.shown(ToServer); !strings.Contains(shown, string(plainHello[90:])) {
		t.Errorf("open: %q", shown)
	}
}

// The drafts of TLS 1.3 have numbers of their own and one name: it is told once.
func TestTraceVersions(t *testing.T) {
	drafts := []byte{
		0x2a, 0x2a, // GREASE
		0x03, 0x04, // 1.3
		0x7f, 0x1c, // draft 28
		0x7f, 0x17, // draft 23
		0x03, 0x03, // 1.2
		0xfb, 0x1a, // a vendor's draft
	}
	if got, want := eachTwo(drafts, func(v int) string { return versionName(negotiated(v)) }), "1.3, 1.2"; got != want {
		t.Errorf("versions %q, want %q", got, want)
	}
}
