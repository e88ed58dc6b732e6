package dissect

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

// dtlsFragment is a record with a fragment of a handshake message; message
// begins with the header that TLS gives it.
func dtlsFragment(version, sequence int, message []byte, from, n int) []byte {
	b := append([]byte{recordHandshake}, byte(version>>8), byte(version))
	b = append(b, make([]byte, 8)...) // epoch, sequence number
	b = binary.BigEndian.AppendUint16(b, uint16(dtlsMessageHeader+n))
	b = append(b, message[:4]...)
	b = binary.BigEndian.AppendUint16(b, uint16(sequence))
	b = append(b, byte(from>>16), byte(from>>8), byte(from), byte(n>>16), byte(n>>8), byte(n))
	return append(b, message[4+from:4+from+n]...)
}

// dtlsOther is a record of another type.
func dtlsOther(version, typ, epoch int, fragment []byte) []byte {
	b := []byte{byte(typ), byte(version >> 8), byte(version), 0, byte(epoch), 0, 0, 0, 0, 0, 1}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(fragment))), fragment...)
}

// dtlsDatagram is one of a conversation; loose says that it may come before or
// behind its neighbours in the flight.
type dtlsDatagram struct {
	message
	loose bool
}

// asDTLS makes a conversation over TLS 1.2 one over DTLS: the same messages in
// fragments of at most size bytes, each in a datagram.
func asDTLS(says []message, version, size int) (list []dtlsDatagram) {
	var sequence [2]int
	var sealed [2]int
	for _, m := range says {
		for b := m.b; len(b) > 0; {
			typ, n := int(b[0]), int(binary.BigEndian.Uint16(b[3:]))
			fragment := b[recordHeader : recordHeader+n]
			b = b[recordHeader+n:]
			if typ != recordHandshake || sealed[m.from] > 0 {
				list = append(list, dtlsDatagram{message{m.from, dtlsOther(version, typ, sealed[m.from], fragment)}, false})
				if typ == recordCCS {
					sealed[m.from] = 1
				}
				continue
			}
			for len(fragment) > 0 {
				n := 4 + int(fragment[1])<<16 + int(fragment[2])<<8 + int(fragment[3])
				message1 := bytes.Clone(fragment[:n])
				fragment = fragment[n:]
				switch message1[0] {
				case msgClientHello: // a cookie, of no bytes, behind the session id
					at := 4 + 2 + 32 + 1 + int(message1[4+2+32])
					message1 = append(message1[:at], append([]byte{0}, message1[at:]...)...)
					message1[2], message1[3] = byte((len(message1)-4)>>8), byte(len(message1)-4)
					fallthrough
				case msgServerHello:
					message1[4], message1[5] = byte(version>>8), byte(version)
				}
				for from := 0; from == 0 || from < len(message1)-4; from += size {
					n := min(size, len(message1)-4-from)
					list = append(list, dtlsDatagram{message{m.from, dtlsFragment(version, sequence[m.from], message1, from, n)}, true})
				}
				sequence[m.from]++
			}
		}
	}
	return list
}

func talkDTLS(t testing.TB, list []dtlsDatagram) (*conversation, string) {
	c := converse(t, &sample{over: UDP, ports: [2]uint16{50000, 4433}})
	for _, m := range list {
		c.say(m.from, m.b)
	}
	return c, c.end()
}

// dtlsTests are the handshakes of Go's TLS 1.2, as DTLS 1.2.
func dtlsTests() (list []liveTest) {
	for _, test := range liveTests() {
		if strings.HasPrefix(test.name, "1.2") {
			test.want = strings.Replace(test.want, "tls.version 1.2", "tls.version dtls1.2", 1)
			test.want = strings.Replace(test.want, "tls.resumed true\n", "", 1)
			list = append(list, test)
		}
	}
	return list
}

func TestDTLSLive(t *testing.T) {
	for _, test := range dtlsTests() {
		t.Run(test.name, func(t *testing.T) {
			says := test.says()
			c, whole := talkDTLS(t, asDTLS(says, versionDTLS12, 1<<14))
			if got := c.state.Protocol(c.set); got != "dtls" {
				t.Fatalf("protocol %q", got)
			}
			for line := range strings.Lines(test.want) {
				if !strings.Contains("\n"+whole, "\n"+line) {
					t.Errorf("no %q in\n%s", line, whole)
				}
			}
			for key := range strings.FieldsSeq(test.not) {
				if strings.Contains("\n"+whole, "\n"+key+" ") {
					t.Errorf("%s is in\n%s", key, whole)
				}
			}

			// In fragments, in another order within each flight, some twice.
			for round := range 30 {
				random := rand.New(rand.NewPCG(uint64(round), 7))
				list := asDTLS(says, versionDTLS12, 20+random.IntN(300))
				for i := 0; i < len(list); {
					j := i
					for j < len(list) && list[j].loose && list[j].from == list[i].from {
						j++
					}
					random.Shuffle(j-i, func(a, b int) { list[i+a], list[i+b] = list[i+b], list[i+a] })
					i = max(j, i+1)
				}
				again := list[random.IntN(len(list))]
				list = append(list[:len(list)-1], again, list[len(list)-1])
				if _, facts := talkDTLS(t, list); facts != whole {
					t.Fatalf("round %d:\n%swhole:\n%s", round, facts, whole)
				}
			}

			// Without one datagram: less, and nothing else.
			for _, size := range []int{1 << 14, 100} {
				list := asDTLS(says, versionDTLS12, size)
				for i := range list {
					lossy := append(append([]dtlsDatagram(nil), list[:i]...), list[i+1:]...)
					_, facts := talkDTLS(t, lossy)
					agree(t, whole, facts, "without a datagram")
				}
			}
		})
	}
}

// dtlsHello is a ClientHello of DTLS 1.2 that offers 1.3 and 1.2, with a cookie.
var dtlsHello = unhex(`01 00004f` + `fefd` + strings.Repeat(`a1`, 32) + `00` + // no session id
	`04 c0c1c2c3` + `0004 1301 c02b` + `01 00` +
	`001d` + `0000 000b 0009 00 0006 612e74657374` + // server_name: a.test
	`002b 0005 04 fefc fefd` + // supported_versions
	`ff01 0001 00`)

// dtlsServerHello chooses version and suite.
func dtlsServerHello(version, suite int) []byte {
	b := unhex(`02 00002e fefd` + strings.Repeat(`b1`, 32) + `00`)
	b = append(b, byte(suite>>8), byte(suite), 0)
	return append(b, 0, 6, 0, extSupportedVersions, 0, 2, byte(version>>8), byte(version))
}

var dtlsVerifyRequest = unhex(`03 000007 feff 04 c0c1c2c3`)

func TestDTLSVersions(t *testing.T) {
	unified := func(epoch byte) []byte { return append([]byte{0x2c | epoch, 0, 7, 0, 40}, make([]byte, 40)...) }
	client := func(b []byte) dtlsDatagram { return dtlsDatagram{message{ToServer, b}, false} }
	server := func(b []byte) dtlsDatagram { return dtlsDatagram{message{ToClient, b}, false} }
	hello := dtlsFragment(versionDTLS12, 0, dtlsHello, 0, len(dtlsHello)-4)
	second := dtlsFragment(versionDTLS12, 1, dtlsHello, 0, len(dtlsHello)-4)
	request := dtlsFragment(versionDTLS10, 0, dtlsVerifyRequest, 0, len(dtlsVerifyRequest)-4)
	chosen := func(version int) []byte {
		b := dtlsServerHello(version, 0x1301)
		return dtlsFragment(versionDTLS12, 1, b, 0, len(b)-4)
	}
	old := bytes.Clone(dtlsHello)
	old[4], old[5] = versionDTLSOld>>8, versionDTLSOld&0xff
	for name, test := range map[string]struct {
		says      []dtlsDatagram
		want, not string
	}{
		"1.3":              {[]dtlsDatagram{client(hello), server(request), client(second), server(chosen(versionDTLS13)), server(unified(2)), client(unified(2)), client(unified(3))}, "tls.version dtls1.3\ntls.cipher 0x1301\n", "incomplete"},
		"1.3, complete":    {[]dtlsDatagram{client(hello), server(chosen(versionDTLS13)), client(unified(3))}, "tls.handshake complete\n", "incomplete"},
		"1.3, server only": {[]dtlsDatagram{client(hello), server(chosen(versionDTLS13)), server(unified(3))}, "tls.handshake incomplete\n", " complete"},
		"1.2":              {[]dtlsDatagram{client(hello), server(chosen(versionDTLS12))}, "tls.version dtls1.2\n", "dtls1.3"},
		"1.0":              {[]dtlsDatagram{client(hello), server(chosen(versionDTLS10))}, "tls.version dtls1.0\n", "dtls1.3"},
		"hello":            {[]dtlsDatagram{client(hello)}, "tls.sni a.test\n", "version"},
		"fingerprint":      {[]dtlsDatagram{client(hello)}, "tls.ja4 dd3d020300_", "version"},
		"of the draft":     {[]dtlsDatagram{client(dtlsFragment(versionDTLSOld, 0, old, 0, len(old)-4))}, "tls.sni a.test\n", "version"},
		"alert":            {[]dtlsDatagram{client(hello), server(dtlsOther(versionDTLS12, recordAlert, 0, []byte{2, 40}))}, "tls.alert handshake_failure\ntls.alert_by server\ntls.handshake failed\n", ""},
		"running":          {[]dtlsDatagram{client(dtlsOther(versionDTLS12, recordApplication, 1, make([]byte, 60)))}, "", "tls"},
	} {
		c, facts := talkDTLS(t, test.says)
		if c.state.Protocol(c.set) != "dtls" || !strings.Contains(facts, test.want) || test.not != "" && strings.Contains(facts, test.not) {
			t.Errorf("%s: protocol %q, facts\n%s", name, c.state.Protocol(c.set), facts)
		}
	}
}

// TestDTLSBounds sends fragments without an end.
func TestDTLSBounds(t *testing.T) {
	p := dtls.New(&Context{}).(*dtlsParser)
	var facts Facts
	big := append([]byte{msgCertificate, 0, 0xff, 0xff}, make([]byte, 0xffff)...)
	for i := range 500 {
		if _, err := p.Parse(ToClient, dtlsFragment(versionDTLS12, 1+i%100, big, 1+i*100%60000, 1200), &facts); err == ErrDone {
			break
		}
		held := 0
		for _, w := range p.sides[ToClient].waiting {
			held += len(w.b)
			for _, piece := range w.pieces.list {
				held += len(piece.b)
			}
		}
		if s := &p.sides[ToClient]; held != s.size || held > maxDTLSBytes || len(s.waiting) > maxDTLSWaiting {
			t.Fatalf("%d messages of %d bytes wait, %d accounted for", len(s.waiting), held, s.size)
		}
	}
	p.Close(&facts)
}

func TestProbeDTLS(t *testing.T) {
	hello := dtlsFragment(versionDTLS12, 0, dtlsHello, 0, len(dtlsHello)-4)
	request := dtlsFragment(versionDTLS10, 0, dtlsVerifyRequest, 0, len(dtlsVerifyRequest)-4)
	data := dtlsOther(versionDTLS12, recordApplication, 1, make([]byte, 60))
	for name, test := range map[string]struct {
		b    []byte
		want Match
	}{
		"hello":           {hello, FromClient},
		"hello cut":       {hello[:20], Maybe},
		"verify request":  {request, FromServer},
		"data":            {append(bytes.Clone(data), data...), Yes},
		"data cut":        {data[:40], Maybe},
		"data in clear":   {dtlsOther(versionDTLS12, recordApplication, 0, make([]byte, 60)), No},
		"alert":           {dtlsOther(versionDTLS12, recordAlert, 0, []byte{2, 40}), Yes},
		"no alert":        {dtlsOther(versionDTLS12, recordAlert, 0, []byte{2, 41 + 100}), No},
		"fragment beyond": {dtlsFragment(versionDTLS12, 0, append([]byte{1, 0, 0, 5}, dtlsHello[4:]...), 0, 20), No},
		"TLS":             {plainHello, No},
		"another version": {append([]byte{22, 0xfe, 0xf0}, hello[3:]...), No},
	} {
		if got := probeDTLS(test.b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestSTUNEnds holds that a flow whose handshake over DTLS never ends, as when a
// part of it was lost, is not read for as long as its media last.
func TestSTUNEnds(t *testing.T) {
	binding := append(unhex(`0001 0000 2112a442`), make([]byte, 12)...)
	c := converse(t, &sample{over: UDP, ports: [2]uint16{50000, 3478}})
	c.say(ToServer, binding)
	c.say(ToServer, dtlsFragment(versionDTLS12, 0, dtlsHello, 0, len(dtlsHello)-4))
	n := 0
	for ; n < 2*maxSTUNDatagrams && !c.state.Done(ToClient); n++ {
		c.say(ToClient, append([]byte{0x80, 0x60}, make([]byte, 50)...)) // RTP
	}
	if n != maxSTUNDatagrams {
		t.Errorf("%d datagrams of media were read", n)
	}
	if facts := c.end(); c.state.Protocol(c.set) != "dtls" || !strings.Contains(facts, "tls.handshake incomplete\n") {
		t.Errorf("%q, facts\n%s", c.state.Protocol(c.set), facts)
	}
}
