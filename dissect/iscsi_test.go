package dissect

import (
	"strings"
	"testing"
)

// loginPDU is a message of the login phase; pairs are separated by blanks.
func loginPDU(opcode, flags, class, detail byte, pairs string) []byte {
	text := ""
	for _, pair := range strings.Fields(pairs) {
		text += pair + "\x00"
	}
	b := make([]byte, iscsiHeader)
	b[0], b[1], b[7], b[36], b[37] = opcode, flags, byte(len(text)), class, detail
	return append(append(b, text...), make([]byte, -len(text)&3)...)
}

const (
	initiatorSays = "InitiatorName=iqn.1993-08.org.debian:01:sn TargetName=iqn.2026-11.example:lun SessionType=Normal AuthMethod=CHAP,None"
	iscsiNames    = "iscsi.initiator iqn.1993-08.org.debian:01:sn\niscsi.target iqn.2026-11.example:lun\n"
)

func TestISCSI(t *testing.T) {
	login := func(flags byte, pairs string) message {
		return message{ToServer, loginPDU(iscsiLogin, flags, 0, 0, pairs)}
	}
	answer := func(flags, class, detail byte, pairs string) message {
		return message{ToClient, loginPDU(iscsiAnswer, flags, class, detail, pairs)}
	}
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"nobody asks", []message{login(0x87, "InitiatorName=iqn.a SessionType=Discovery"), answer(0x87, 0, 0, "TargetPortalGroupTag=1")},
			"iscsi.initiator iqn.a\niscsi.discovery true\niscsi.auth none\niscsi.handshake complete\n"},
		{"None chosen", []message{login(0x81, initiatorSays), answer(0x81, 0, 0, "AuthMethod=None"),
			login(0x87, "HeaderDigest=CRC32C,None DataDigest=None"), answer(0x87, 0, 0, "HeaderDigest=CRC32C DataDigest=None")},
			iscsiNames + "iscsi.auth none\niscsi.digest header\niscsi.handshake complete\n"},
		{"wrong password", []message{login(0x81, initiatorSays), answer(0x00, 0, 0, "AuthMethod=CHAP"), login(0x00, "CHAP_A=5"),
			answer(0x00, 0, 0, "CHAP_A=5 CHAP_I=1 CHAP_C=0xabcd"), login(0x81, "CHAP_N=anna CHAP_R=0x"+plantedPassword), answer(0, 2, 1, "")},
			iscsiNames + "iscsi.auth chap\niscsi.status authentication failure\niscsi.handshake failed\n"},
		{"moved", []message{login(0x87, initiatorSays), answer(0, 1, 1, "TargetAddress=192.0.2.1:3260,1")},
			iscsiNames + "iscsi.status moved\niscsi.handshake failed\n"},
		{"no such code", []message{login(0x87, initiatorSays), answer(0, 3, 9, "")}, iscsiNames + "iscsi.status status 3/9\niscsi.handshake failed\n"},
		{"commands without a login's end", []message{login(0x87, initiatorSays), {ToServer, append([]byte{0x01}, make([]byte, 47)...)}},
			iscsiNames + "iscsi.handshake incomplete\n"},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 3260}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.end(); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
		if err := conversation.state.Broken(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestProbeISCSI(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want Match
	}{
		"request":             {loginPDU(iscsiLogin, 0x87, 0, 0, "InitiatorName=a"), FromClient},
		"response":            {loginPDU(iscsiAnswer, 0x87, 0, 0, ""), FromServer},
		"half a request":      {loginPDU(iscsiLogin, 0x87, 0, 0, "InitiatorName=a")[:30], Maybe},
		"a request of HTTP":   {[]byte("CONNECT files.example:22 HTTP/1.1\r\nHost: files.example:22\r\n\r\n"), No},
		"not immediate":       {loginPDU(0x03, 0x87, 0, 0, "InitiatorName=a"), No},
		"reserved bits":       {loginPDU(iscsiLogin, 0x97, 0, 0, "InitiatorName=a"), No},
		"reserved stage":      {loginPDU(iscsiLogin, 0x8b, 0, 0, "InitiatorName=a"), No},
		"no key":              {loginPDU(iscsiLogin, 0x87, 0, 0, "\x01\x02"), No},
		"no class of answers": {loginPDU(iscsiAnswer, 0x87, 4, 0, ""), No},
	} {
		if got := probeISCSI(ToServer, c.b); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestS3(t *testing.T) {
	for _, c := range []struct {
		name, request, response string
		want                    bool
	}{
		{"signed", "Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261125/eu-1/s3/aws4_request, SignedHeaders=host, Signature=" + plantedPassword, "", true},
		{"another service", "Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261125/eu-1/ec2/aws4_request, Signature=0", "", false},
		{"its own headers", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", "", true},
		{"headers of all services", "X-Amz-Date: 20261125T000000Z", "x-amz-request-id: 1", false},
		{"a store's name", "Accept: */*", "Server: MinIO", true},
		{"a client with a store's name", "Server: MinIO", "Server: nginx", false},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 9000}})
		conversation.say(ToServer, []byte("GET /bucket?list-type=2 HTTP/1.1\r\nHost: s3.example\r\n"+c.request+"\r\n\r\n"))
		conversation.say(ToClient, []byte("HTTP/1.1 200 OK\r\n"+c.response+"\r\nContent-Length: 0\r\n\r\n"))
		facts := conversation.end()
		if got := strings.Contains(facts, "http.api s3\n"); got != c.want || strings.Contains(facts, plantedPassword) {
			t.Errorf("%s:\n%s", c.name, facts)
		}
	}
}
