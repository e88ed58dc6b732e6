package dissect

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
)

// inOneRun delivers conversations to parsers that share a Context, and returns
// the facts of the last.
func inOneRun(conversations ...[]message) (facts string) {
	set := NewSet(All(), &Context{}, testHeld)
	for _, says := range conversations {
		var s State
		for _, m := range says {
			s.Data(set, TCP, m.from, [2]uint16{50000, 443}, true, m.b)
		}
		s.Close(set)
		var b strings.Builder
		for i := range s.All() {
			if x := &s.All()[i]; x.Key.Info().Kind == Text {
				b.WriteString(x.Key.String() + " " + x.Str + "\n")
			}
		}
		facts = b.String()
	}
	return facts
}

// TestResumedSessions joins resumed sessions of TLS 1.2 to what was shown when
// they were agreed: by ticket, as Go does it, over several resumptions.
func TestResumedSessions(t *testing.T) {
	clients := x509.NewCertPool()
	clients.AddCert(clientCertificate().Leaf)
	for _, test := range []struct {
		name string
		auth tls.ClientAuthType
		show []tls.Certificate
		want string
	}{
		{"shown", tls.RequireAndVerifyClientCert, []tls.Certificate{clientCertificate()}, "present"},
		{"empty", tls.RequestClientCert, nil, "empty"},
		{"not asked", tls.NoClientCert, nil, "absent"},
	} {
		client := &tls.Config{ServerName: "server.example", InsecureSkipVerify: true, Certificates: test.show, MaxVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		server := &tls.Config{Certificates: []tls.Certificate{serverCertificate()}, ClientAuth: test.auth, ClientCAs: clients}
		full := handshake(client, server)
		second, third := handshake(client, server), handshake(client, server)
		want := "tls.client_cert " + test.want + "\ntls.client_cert_basis resumed\ntls.client_cert_confidence high\n"
		for _, facts := range []string{inOneRun(full, second), inOneRun(full, second, third)} {
			if !strings.Contains(facts, want) {
				t.Errorf("%s: want %s:\n%s", test.name, want, facts)
			}
			if named := strings.Contains(facts, "tls.client_cert_cn client.example\n"); named != (test.want == "present") {
				t.Errorf("%s: who authenticated:\n%s", test.name, facts)
			}
		}
		if facts := inOneRun(second); !strings.Contains(facts, "tls.client_cert unknown\n") || strings.Contains(facts, "basis") {
			t.Errorf("%s, the full handshake not seen:\n%s", test.name, facts)
		}
	}
}

// helloWithID makes a hello of TLS 1.2 with a session ID of 32 bytes and no
// extensions.
func helloWithID(typ, id byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(append(body, 32), []byte(strings.Repeat(string(rune(id)), 32))...)
	if typ == msgClientHello {
		body = append(body, 0, 2, 0xc0, 0x2f, 1, 0)
	} else {
		body = append(body, 0xc0, 0x2f, 0)
	}
	return record(recordHandshake, append([]byte{typ, 0, 0, byte(len(body))}, body...)...)
}

var (
	keyExchange = record(recordHandshake, msgClientKeyExchange, 0, 0, 2, 1, 1)
	helloDone   = record(recordHandshake, msgServerHelloDone, 0, 0, 0)
	emptyChain  = record(recordHandshake, msgCertificate, 0, 0, 3, 0, 0, 0)
	askForOne   = record(recordHandshake, msgCertificateRequest, 0, 0, 2, 0, 0)
	sealNow     = record(recordCCS, 1)
	finished12  = record(recordHandshake, make([]byte, 40)...)
)

// full12 is a full handshake up to TLS 1.2 in which the server gives a session
// ID, and asks for a certificate or not.
func full12(id byte, ask bool) []message {
	says := []message{{ToServer, plainHello}, {ToClient, helloWithID(msgServerHello, id)}}
	if ask {
		says = append(says, message{ToClient, askForOne})
	}
	says = append(says, message{ToClient, helloDone})
	if ask {
		says = append(says, message{ToServer, emptyChain})
	}
	return append(says, message{ToServer, keyExchange}, message{ToServer, sealNow}, message{ToServer, finished12},
		message{ToClient, sealNow}, message{ToClient, finished12})
}

func resumed12(id byte) []message {
	return []message{{ToServer, helloWithID(msgClientHello, id)}, {ToClient, helloWithID(msgServerHello, id)},
		{ToClient, sealNow}, {ToClient, finished12}, {ToServer, sealNow}, {ToServer, finished12}}
}

// TestSessionIDs joins by session ID, as Schannel and JSSE do it.
func TestSessionIDs(t *testing.T) {
	const joined = "tls.client_cert_basis resumed\ntls.client_cert_confidence high\n"
	for _, test := range []struct {
		name string
		runs [][]message
		want string
	}{
		{"not asked", [][]message{full12('a', false), resumed12('a')}, "tls.client_cert absent\n" + joined},
		{"empty", [][]message{full12('a', true), full12('b', false), resumed12('a')}, "tls.client_cert empty\n" + joined},
		{"another session", [][]message{full12('a', true), resumed12('b')}, "tls.client_cert unknown\n"},
		{"one ID, two sessions", [][]message{full12('a', true), full12('a', false), resumed12('a')}, "tls.client_cert unknown\n"},
		{"the full handshake broke off", [][]message{full12('a', true)[:7], resumed12('a')}, "tls.client_cert unknown\n"},
	} {
		if facts := inOneRun(test.runs...); !strings.Contains(facts, test.want) {
			t.Errorf("%s: want %s:\n%s", test.name, test.want, facts)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessionStore
	for i := range 5 * maxSessions {
		k, _ := sessionIDKey([]byte{byte(i), byte(i >> 8), byte(i >> 16), 15: 1})
		s.keep(k, session{what: "absent"})
		if _, ok := s.find(k); !ok {
			t.Fatal("the latest is forgotten")
		}
		if n := len(s[0]) + len(s[1]); n > 2*maxSessions {
			t.Fatalf("%d are kept", n)
		}
	}
	if _, ok := sessionIDKey(make([]byte, 8)); ok {
		t.Error("a short ID stands for one session")
	}
}

// TestRenegotiation tells a second handshake within a sealed connection, as IIS
// and Apache begin it to ask for a certificate for a part of their site.
func TestRenegotiation(t *testing.T) {
	request, answer, handshake := sealed(200), sealed(900), record(recordHandshake, make([]byte, 24)...)
	for _, test := range []struct {
		name string
		rest []message
		want string
	}{
		{"by the server, at a request", []message{{ToServer, request}, {ToClient, handshake}, {ToServer, handshake}}, "tls.client_cert unknown\n"},
		{"by the client", []message{{ToServer, handshake}}, "tls.client_cert unknown\n"},
		{"none", []message{{ToServer, request}, {ToClient, answer}}, "tls.client_cert absent\n"},
	} {
		facts := inOneRun(append(full12('a', false), test.rest...))
		if !strings.Contains(facts, test.want) || strings.Contains(test.want, "unknown") && strings.Contains(facts, "basis") || !strings.Contains(facts, "handshake complete") {
			t.Errorf("%s: want %s:\n%s", test.name, test.want, facts)
		}
	}
}
