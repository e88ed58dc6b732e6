package dissect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// offers is plainHello with other suites in the place of its three.
func offers(a, b, c int, extensions ...byte) []byte {
	hello := extended(extensions...)
	for i, suite := range [...]int{a, b, c} {
		hello[46+2*i], hello[47+2*i] = byte(suite>>8), byte(suite)
	}
	return hello
}

// A flightTest is the sealed records of a TLS 1.3 handshake, client's and
// server's, by their lengths, and what they tell.
type flightTest struct {
	name           string
	suite          int
	client, server []int
	hello          []byte // plainHello if nil
	want           string // "present high", "unknown"
}

// says is the conversation: hellos, the server's records, the client's.
func (f *flightTest) says() []message {
	hello := f.hello
	if hello == nil {
		hello = plainHello
	}
	says := []message{{ToServer, hello}, {ToClient, serverHelloRecord(0x0303, f.suite, chose13...)}}
	for _, n := range f.server {
		says = append(says, message{ToClient, sealed(n)})
	}
	for _, n := range f.client {
		says = append(says, message{ToServer, sealed(n)})
	}
	return says
}

// check compares what was learned with what was to be.
func (f *flightTest) check(t *testing.T, facts string) {
	t.Helper()
	what, confidence, sure := strings.Cut(f.want, " ")
	want := "tls.client_cert " + what + "\n"
	if sure {
		want += "tls.client_cert_basis inferred\ntls.client_cert_confidence " + confidence + "\n"
	}
	if !strings.Contains(facts, want) || !sure && strings.Contains(facts, "client_cert_basis") {
		t.Errorf("%s: want %s:\n%s", f.name, f.want, facts)
	}
}

// TestFlightsOfStacks holds the reading against what stacks send.
func TestFlightsOfStacks(t *testing.T) {
	later := []byte{0, extPostHandshakeAuth, 0, 0}
	settings := []byte{extSettingsNew >> 8, extSettingsNew & 0xff, 0, 0}
	asked := []int{23, 74, 900, 281, 53} // EncryptedExtensions, CertificateRequest, ...
	for _, test := range []flightTest{
		// OpenSSL, Go, GnuTLS: each message in a record of its own.
		{"not asked", 0x1301, []int{53, 120}, []int{23, 900, 281, 53}, nil, "absent high"},
		{"empty", 0x1302, []int{25, 69, 120}, asked, nil, "empty high"},
		{"RSA 2048, chain of two", 0x1301, []int{1819, 281, 53}, asked, nil, "present high"},
		{"ECDSA P-256", 0x1302, []int{520, 96, 69}, asked, nil, "present high"},
		{"Ed25519", 0x1303, []int{476, 89, 53}, asked, nil, "present high"},
		{"RSA 4096", 0x1301, []int{1435, 537, 53}, asked, nil, "present high"},
		// NSS and BoringSSL: the flight in one record.
		{"not asked, ALPS", 0x1301, []int{63, 90}, []int{1300}, extended(settings...), "absent high"},
		{"empty, in one record", 0x1301, []int{61, 90}, []int{1300}, nil, "empty high"},
		{"shown, in one record of odd length inside", 0x1301, []int{777}, []int{1300}, nil, "present high"},
		{"shown, in one record of even length inside, then data", 0x1301, []int{778, 95}, []int{1300}, nil, "present high"},
		{"shown, in one record of even length inside, no data", 0x1301, []int{778}, []int{1300}, nil, "present medium"},
		{"compressed (RFC 8879)", 0x1301, []int{410, 97, 53}, asked, nil, "present high"},
		{"a chain over several records", 0x1302, []int{16401, 3000, 281, 69}, asked, nil, "present high"},
		// JSSE: 16 bytes of padding in every record.
		{"not asked, padded", 0x1302, []int{85, 200}, []int{1300}, nil, "absent high"},
		{"empty, padded", 0x1302, []int{41, 85}, []int{1300}, nil, "empty high"},
		{"empty in one record, padded", 0x1302, []int{93}, []int{1300}, nil, "empty high"},
		{"shown, padded", 0x1302, []int{1227, 297, 85}, []int{1300}, nil, "present high"},
		// Records filled up to blocks (OpenSSL's SSL_CTX_set_block_padding).
		{"blocks of 16", 0x1301, []int{64, 64, 96}, nil, nil, "unknown"},
		{"blocks of 256, not asked", 0x1301, []int{272, 272, 528}, nil, nil, "unknown"},
		{"blocks of 300, not asked", 0x1301, []int{316, 616}, nil, nil, "unknown"},
		{"blocks of 512, not asked, no data", 0x1301, []int{528}, nil, nil, "unknown"},
		{"blocks of 1000, not asked, no data", 0x1301, []int{1016}, nil, nil, "unknown"},
		{"blocks of 256, a certificate", 0x1301, []int{1040, 272, 272}, nil, nil, "present high"},
		// Other suites.
		{"CCM_8", 0x1305, []int{17, 45}, nil, nil, "empty high"},
		{"AEGIS-256, SHA-512", 0x1306, []int{85}, nil, nil, "absent high"},
		{"SM4-GCM", 0x00c6, []int{53}, nil, nil, "absent high"},
		{"Magma", 0xc104, []int{45}, nil, nil, "absent high"},
		{"integrity only", 0xc0b4, []int{69}, nil, nil, "absent high"},
		{"not known", 0x13f0, []int{53}, nil, nil, "unknown"},
		// OpenSSL with -enable_pha, curl, Python: ready to show one later.
		{"post-handshake authentication offered", 0x1301, []int{53, 80}, nil, extended(later...), "absent medium"},
		{"the same, empty", 0x1301, []int{25, 53}, nil, extended(later...), "empty medium"},
		{"the same, shown", 0x1301, []int{520, 97, 53}, nil, extended(later...), "present high"},
		// The client's part is missing; the server's shows whether it asked.
		{"broken off, not asked", 0x1301, []int{19}, []int{32, 900, 281, 53}, nil, "absent medium"},
		{"broken off, asked", 0x1301, []int{19}, asked, nil, "unknown"},
		{"broken off, asked in the same record", 0x1301, []int{19}, []int{60, 900, 281, 53}, nil, "unknown"},
	} {
		_, facts := talk(t, test.says())
		test.check(t, facts)
	}
}

// TestFlightsOfOneSide gives one direction alone.
func TestFlightsOfOneSide(t *testing.T) {
	psk := []byte{0, extPreSharedKey, 0, 0}
	for _, test := range []flightTest{
		{"client: not asked, either hash", 0, []int{69, 90}, nil, offers(0x1302, 0x1301, 0xc02b), "absent medium"},
		{"client: not asked, a session offered", 0, []int{53, 90}, nil, extended(psk...), "unknown"},
		{"client: empty, a session offered", 0, []int{25, 53}, nil, extended(psk...), "empty medium"},
		{"client: shown", 0, []int{520, 97, 53}, nil, nil, "present medium"},
		{"client: Finished of a suite not offered", 0, []int{57, 90}, nil, offers(0x1305, 0x1305, 0xc02b), "unknown"},
		{"client: one length, two readings", 0, []int{61, 90}, nil, offers(0x1301, 0x1305, 0xc02b), "unknown"},
		{"server: not asked", 0x1301, nil, []int{32, 900, 281, 53, 250}, nil, "absent medium"},
		{"server: asked", 0x1301, nil, []int{23, 74, 900, 281, 53}, nil, "unknown"},
		{"server: one record", 0x1301, nil, []int{1300, 250}, nil, "unknown"},
		{"server: room for a request", 0x1301, nil, []int{39, 900, 281, 53}, nil, "unknown"},
	} {
		var side []message
		dir := ToServer
		if test.client == nil {
			dir = ToClient
		}
		for _, m := range test.says() {
			if m.from == dir {
				side = append(side, m)
			}
		}
		_, facts := talk(t, side)
		if test.want == "unknown" && !strings.Contains(facts, "tls.client_cert ") {
			continue
		}
		test.check(t, facts)
	}
	// Up to TLS 1.2 a sealed record of the handshake comes first, and the
	// ClientKeyExchange in clear: nothing is taken for TLS 1.3.
	finished := record(recordHandshake, make([]byte, 40)...)
	resumed := []message{{ToServer, plainHello}, {ToServer, record(recordCCS, 1)}, {ToServer, finished}, {ToServer, sealed(53)}}
	full := []message{{ToServer, plainHello}, {ToServer, record(recordHandshake, msgClientKeyExchange, 0, 0, 2, 1, 1)},
		{ToServer, record(recordCCS, 1)}, {ToServer, finished}, {ToServer, sealed(53)}}
	for _, says := range [][]message{resumed, full} {
		if _, facts := talk(t, says); strings.Contains(facts, "inferred") || strings.Contains(facts, "tls.version 1.3") {
			t.Errorf("TLS 1.2 from one side:\n%s", facts)
		}
	}
}

// TestFlightsOutOfOrder delivers the client's records before the ServerHello, as
// a capture may that reorders the two directions; and loses one after another.
func TestFlightsOutOfOrder(t *testing.T) {
	for _, test := range []flightTest{
		{"not asked", 0x1301, []int{53, 61, 520}, []int{32, 900, 281, 53}, nil, "absent high"},
		{"empty", 0x1301, []int{25, 53, 520}, []int{32, 70, 900, 281, 53}, nil, "empty high"},
		{"shown", 0x1302, []int{520, 97, 69, 53}, []int{32, 70, 900, 281, 69}, nil, "present high"},
	} {
		says := test.says()
		var client, server []message
		for _, m := range says {
			if m.from == ToServer {
				client = append(client, m)
			} else {
				server = append(server, m)
			}
		}
		early := append(append([]message{}, client...), server...)
		_, facts := talk(t, early)
		test.check(t, facts)

		right, _, _ := strings.Cut(test.want, " ")
		for lost := range says {
			c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
			for i, m := range says {
				if i == lost {
					c.state.Gap(c.set, m.from, uint64(len(m.b)))
				} else {
					c.say(m.from, m.b)
				}
			}
			for line := range strings.Lines(c.end()) {
				said, ok := strings.CutPrefix(strings.TrimSpace(line), "tls.client_cert ")
				if ok && said != right && said != "unknown" {
					t.Errorf("%s: %s", test.name, fmt.Sprintf("without message %d: %s", lost, said))
				}
			}
		}
	}
}

// TestEndsOutOfOrder tells how handshakes end, whichever direction a capture
// hands over first: a server that goes on behind its Finished accepted, one that
// sends nothing but an alert refused.
func TestEndsOutOfOrder(t *testing.T) {
	hello12 := serverHelloRecord(0x0303, 0xc02f)
	finished := record(recordHandshake, make([]byte, 40)...)
	exchange := record(recordHandshake, msgClientKeyExchange, 0, 0, 2, 1, 1)
	ccs, alert12 := record(recordCCS, 1), record(recordAlert, make([]byte, 26)...)
	hello13 := serverHelloRecord(0x0303, 0x1301, chose13...)
	type records = [][]byte
	for _, test := range []struct {
		name           string
		client, server records
		want           string
	}{
		{"1.3, answered and closed", records{plainHello, sealed(53), sealed(217), sealed(19)},
			records{hello13, sealed(27), sealed(900), sealed(281), sealed(53), sealed(250), sealed(24), sealed(19)}, "complete"},
		{"1.3, asked, answered and closed", records{plainHello, sealed(520), sealed(97), sealed(53), sealed(217)},
			records{hello13, sealed(27), sealed(247), sealed(1094), sealed(96), sealed(53), sealed(24), sealed(19)}, "complete"},
		{"1.3, an empty certificate refused", records{plainHello, sealed(25), sealed(53), sealed(217)},
			records{hello13, sealed(27), sealed(247), sealed(1094), sealed(96), sealed(53), sealed(19)}, "failed\ntls.refused server"},
		// The beginning of what the server sends was not captured.
		{"1.3, closed", records{plainHello, sealed(520), sealed(97), sealed(53), sealed(217)}, records{sealed(19)}, "incomplete"},
		{"1.2, answered and closed", records{plainHello, exchange, ccs, finished, sealed(499), alert12},
			records{hello12, ccs, finished, sealed(214), alert12}, "complete"},
	} {
		for _, first := range [...]Dir{ToServer, ToClient} {
			var says []message
			for _, dir := range [...]Dir{first, first.Other()} {
				for _, b := range [...]records{test.client, test.server}[dir] {
					says = append(says, message{dir, b})
				}
			}
			_, facts := talk(t, says)
			_, outcome, _ := strings.Cut(facts, "tls.handshake ")
			refused := strings.Contains(facts, "tls.refused server") || strings.Contains(facts, "tls.refused client")
			want, by, _ := strings.Cut(test.want, "\n")
			if !strings.HasPrefix(outcome, want+"\n") || refused != (by != "") || !strings.Contains(facts, by) {
				t.Errorf("%s, %v first: want %s:\n%s", test.name, first, test.want, facts)
			}
		}
	}
}

// TestSealedAlert resumes a session of TLS 1.2, in which the server's Finished comes
// first: a sealed alert in the place of the client's refuses it, and behind the
// client's it closes.
func TestSealedAlert(t *testing.T) {
	ccs, finished, alert := record(recordCCS, 1), record(recordHandshake, make([]byte, 40)...), record(recordAlert, make([]byte, 26)...)
	opening := []message{{ToServer, plainHello}, {ToClient, serverHelloRecord(0x0303, 0xc02f)}, {ToClient, ccs}, {ToClient, finished}, {ToServer, ccs}}
	for _, test := range []struct {
		name string
		more []message
		want string
	}{
		{"refused by the client", []message{{ToServer, alert}}, "tls.refused client\ntls.handshake failed\n"},
		{"refused by the server", []message{{ToClient, alert}}, "tls.refused server\ntls.handshake failed\n"},
		{"finished and closed", []message{{ToServer, finished}, {ToServer, alert}}, "tls.handshake complete\n"},
		{"alert and Finished in the wrong order", []message{{ToClient, alert}, {ToServer, finished}}, "tls.handshake complete\n"},
	} {
		if _, facts := talk(t, append(slices.Clone(opening), test.more...)); !strings.Contains(facts, test.want) || strings.Contains(facts, "refused") != strings.Contains(test.want, "refused") {
			t.Errorf("%s: want %s:\n%s", test.name, test.want, facts)
		}
	}
}

// TestEmptyAccepted says of a client without a certificate that the server went
// on only where it was seen to.
func TestEmptyAccepted(t *testing.T) {
	hello12, hello13 := serverHelloRecord(0x0303, 0xc02f), serverHelloRecord(0x0303, 0x1301, chose13...)
	finished := record(recordHandshake, make([]byte, 40)...)
	request := record(recordHandshake, msgCertificateRequest, 0, 0, 8, 1, 1, 0, 2, 4, 1, 0, 0)
	empty := record(recordHandshake, msgCertificate, 0, 0, 3, 0, 0, 0)
	exchange := record(recordHandshake, msgClientKeyExchange, 0, 0, 2, 1, 1)
	ccs := record(recordCCS, 1)
	opening13 := []message{{ToServer, plainHello}, {ToClient, hello13}, {ToClient, sealed(27)}, {ToClient, sealed(247)}, {ToClient, sealed(1094)},
		{ToClient, sealed(96)}, {ToClient, sealed(53)}, {ToServer, sealed(25)}, {ToServer, sealed(53)}}
	opening12 := []message{{ToServer, plainHello}, {ToClient, hello12}, {ToClient, request}, {ToServer, empty}, {ToServer, exchange}, {ToServer, ccs}, {ToServer, finished}}
	for _, test := range []struct {
		name     string
		opening  []message
		behind   []message
		accepted bool
	}{
		{"1.3, the capture ends", opening13, nil, false},
		{"1.3, the client alone goes on", opening13, []message{{ToServer, sealed(217)}, {ToServer, sealed(300)}}, false},
		// As two taps merged in disorder gave it: the server's alert came first and refused.
		{"1.3, alerts of both", opening13, []message{{ToServer, sealed(217)}, {ToServer, sealed(19)}, {ToClient, sealed(19)}}, false},
		{"1.3, the client's part ahead of the server's, in two records", []message{{ToServer, plainHello}, {ToClient, hello13}, {ToServer, sealed(25)}, {ToServer, sealed(53)}},
			[]message{{ToClient, sealed(1500)}, {ToClient, sealed(53)}}, false},
		{"1.3, a ticket", opening13, []message{{ToClient, sealed(250)}}, true},
		{"1.3, an answer, then closed", opening13, []message{{ToServer, sealed(217)}, {ToClient, sealed(400)}, {ToClient, sealed(19)}}, true},
		{"1.3, refused", opening13, []message{{ToClient, sealed(19)}}, false},
		{"1.2, the capture ends", opening12, nil, false},
		{"1.2, the client alone goes on", opening12, []message{{ToServer, sealed(300)}}, false},
		{"1.2, the server's Finished", opening12, []message{{ToClient, ccs}, {ToClient, finished}}, true},
		{"1.2, refused", opening12, []message{{ToClient, record(recordAlert, 2, 40)}}, false},
	} {
		_, facts := talk(t, slices.Concat(test.opening, test.behind))
		if strings.Contains(test.name, "1.2, refused") { // the alert comes first
			_, early := talk(t, slices.Concat(test.opening[:3], test.behind, test.opening[3:]))
			if !strings.Contains(early, "tls.client_cert empty") || !strings.Contains(early, "tls.handshake failed") {
				t.Errorf("%s, the alert first: facts:\n%s", test.name, early)
			}
		}
		if !strings.Contains(facts, "tls.client_cert empty") || strings.Contains(facts, "tls.client_cert_accepted true") != test.accepted {
			t.Errorf("%s: accepted %t expected, facts:\n%s", test.name, test.accepted, facts)
		}
	}
}

// TestRefusalBehindAGap loses the end of the server's flight: an alert behind it
// may be a refusal or not, and the handshake is not said to be complete.
func TestRefusalBehindAGap(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 443}})
	c.say(ToServer, plainHello)
	c.say(ToClient, serverHelloRecord(0x0303, 0x1301, chose13...))
	c.say(ToClient, sealed(27))
	c.state.Gap(c.set, ToClient, 1500)
	for _, n := range [...]int{25, 53} {
		c.say(ToServer, sealed(n))
	}
	c.say(ToClient, sealed(19))
	if facts := c.end(); strings.Contains(facts, "tls.handshake") || strings.Contains(facts, "refused") || !strings.Contains(facts, "tls.client_cert empty") {
		t.Errorf("facts:\n%s", facts)
	}
}
