package dissect

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestProbeHTTP(t *testing.T) {
	for _, c := range []struct {
		b    string
		want Match
	}{
		{"GET / HTTP/1.1\r\n", FromClient},
		{"GET /a/path/that/the/capture/cu", FromClient},
		{"OPTIONS * HTTP/1.1\r\n", FromClient},
		{"PROPFIND /dav HTTP/1.1\r\n", FromClient},
		{"CONNECT a.example:443 HTTP/1.0\n", FromClient},
		{"HTTP/1.1 200 OK\r\n", FromServer},
		{"HTTP/1.0 404", FromServer},
		{"", Maybe},
		{"POS", Maybe},
		{"SUBSCRIBE", Maybe},
		{"OPTIONS rtsp://a.example/ RT", Maybe},
		{"HTTP/1.", Maybe},

		{"OPTIONS rtsp://a.example/ RTSP/1.0\r\n", No},
		{"OPTIONS sip:a@b.example SIP/2.0\r\n", No},
		{"NOTIFY sip:a@b.example SIP/2.0\r\n", No},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", No},
		{"HTTP/2 200\r\n", No},
		{"HTTP/1.1 2x0", No},
		{"220 files.example FTP ready\r\n", No},
		{"USER anonymous\r\n", No},
		{"EHLO a.example\r\n", No},
		{"GET key\r\n", No}, // memcached, redis
		{"COPY src dst\r\n", No},
		{"GETS", No},
		{"GET \x00\x01", No},
		{"\x16\x03\x01", No},
		{"MOVE", Maybe},
		{strings.Repeat("A", 40), No},
	} {
		if got := probeHTTP(ToServer, []byte(c.b)); got != c.want {
			t.Errorf("%q: %d, want %d", c.b, got, c.want)
		}
	}
}

// web converses over TCP, the client first, line by line in turns.
func web(t *testing.T, says ...string) (string, *conversation) {
	t.Helper()
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 9877}})
	for i, b := range says {
		c.say(Dir(i&1), []byte(b))
	}
	return c.end(), c
}

func TestJWTWhere(t *testing.T) {
	const none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0." // {"alg":"none"}, no signature
	for _, c := range []struct {
		name, head  string
		where, algs string
	}{
		{"header", "GET / HTTP/1.1\r\nAuthorization: Bearer " + plantedJWT + "\r\n\r\n", "header", "HS256"},
		{"unsigned", "GET / HTTP/1.1\r\nauthorization: bearer " + none + "\r\n\r\n", "header", "none"},
		{"other header", "GET / HTTP/1.1\r\nX-Auth-Token: " + plantedJWT + "\r\n\r\n", "header", "HS256"},
		{"cookie", "GET / HTTP/1.1\r\nCookie: a=b; session=" + plantedJWT + "\r\n\r\n", "cookie", "HS256"},
		{"url", "GET /x?access_token=" + plantedJWT + "&y=1 HTTP/1.1\r\n\r\n", "url", "HS256"},
		{"two", "GET /x?t=" + none + " HTTP/1.1\r\nCookie: s=" + plantedJWT + "\r\n\r\n", "url cookie", "none HS256"},
		{"no token", "GET /eyJ.eyJ.eyJ HTTP/1.1\r\nCookie: eyJhbGciOiJub25lIn0\r\n\r\n", "", ""},
		{"no alg", "GET / HTTP/1.1\r\nAuthorization: Bearer eyJ4IjoxfQ.eyJ4IjoxfQ.abc\r\n\r\n", "", ""},
		{"within a word", "GET /x" + plantedJWT + " HTTP/1.1\r\n\r\n", "", ""},
	} {
		facts, _ := web(t, c.head)
		if got := listed(facts, "http.token"); got != c.where {
			t.Errorf("%s: where %q, want %q", c.name, got, c.where)
		}
		if got := listed(facts, "http.token_alg"); got != c.algs {
			t.Errorf("%s: alg %q, want %q", c.name, got, c.algs)
		}
		if strings.Contains(facts, "eyJ") {
			t.Errorf("%s: a part of the token is in the facts:\n%s", c.name, facts)
		}
	}
}

// listed joins the values of one fact.
func listed(facts, name string) string {
	var values []string
	for line := range strings.Lines(facts) {
		if n, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); n == name {
			values = append(values, v)
		}
	}
	return strings.Join(values, " ")
}

func TestJWTAlgIsNotASecretsHidingPlace(t *testing.T) {
	token := func(header string) []byte {
		return []byte(base64.RawURLEncoding.EncodeToString([]byte(header)) + ".eyJ4IjoxfQ.c2ln")
	}
	for header, want := range map[string]string{
		`{"alg":"RS256","kid":"x"}`:                  "RS256",
		`{"alg":"a very long secret in the header"}`: "other",
		`{"alg":"sp ace"}`:                           "other",
	} {
		if got, ok := findJWT(token(header)); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", header, got, ok, want)
		}
	}
}

func TestAuthSchemes(t *testing.T) {
	for value, want := range map[string]string{
		"Basic dXNlcjpwYXNz":      "basic",
		"BEARER abc":              "bearer",
		"Negotiate":               "negotiate",
		"NTLM TlRMTVNTUAAB":       "ntlm",
		"AWS4-HMAC-SHA256 Cred=x": "aws4-hmac-sha256",
		plantedPassword:           "other", // no scheme: the value is the secret
		plantedPassword + " x":    "other",
		"":                        "other",
	} {
		if got := authScheme([]byte(value)); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestHostWithCredentials(t *testing.T) {
	facts, _ := web(t, "GET / HTTP/1.1\r\nHost: agent:"+plantedPassword+"@ms.example\r\n\r\n")
	if got := listed(facts, "http.host"); got != "ms.example" {
		t.Errorf("host %q", got)
	}
}

func TestHTTPOneSided(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 80}})
	c.say(ToClient, []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 Not Found\r\n\r\nto the end"))
	c.say(ToClient, []byte("HTTP/1.1 500 not a message but a body\r\n\r\n"))
	if got := listed(c.end(), "http.status"); got != "200 404" {
		t.Errorf("status %q", got)
	}
}

func TestHTTPBodiesArePassedOver(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 80}})
	c.say(ToServer, []byte("PUT /big HTTP/1.1\r\nContent-Length: 5000000000\r\n\r\nfirst"))
	if c.state.skip[ToServer] != 5000000000-5 {
		t.Errorf("%d bytes are passed over", c.state.skip[ToServer])
	}
	c.state.Gap(c.set, ToServer, 5000000000-6)
	c.say(ToServer, []byte("lGET /next HTTP/1.1\r\n\r\n"))
	if got := listed(c.end(), "http.method"); got != "PUT GET" {
		t.Errorf("method %q", got)
	}
}

func TestHTTPStopsAtGarbage(t *testing.T) {
	for _, second := range []string{"garbage\r\n", "\x00\x01\x02\n", "GET /rtsp RTSP/1.0\r\n"} {
		facts, c := web(t, "GET / HTTP/1.1\r\n\r\n"+second)
		if c.state.Broken() == nil || listed(facts, "http.requests") != "1" {
			t.Errorf("%q: broken %v, facts\n%s", second, c.state.Broken(), facts)
		}
	}
	_, c := web(t, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", maxHTTPLine))
	if c.state.Broken() == nil {
		t.Error("a header of any length is waited for")
	}
	_, c = web(t, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n")
	if c.state.Broken() == nil {
		t.Error("a chunk of 2^80 bytes is believed")
	}
}

func TestHTTPGoesOnBehindAGap(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 80}})
	c.say(ToServer, []byte("GET /a HTTP/1.1\r\nHost: a.example\r\nUser-Ag"))
	c.state.Gap(c.set, ToServer, 100)
	c.say(ToServer, []byte("the rest of a body\r\n\r\n"))
	c.say(ToServer, []byte("POST /b HTTP/1.1\r\nHost: b.example\r\n\r\n"))
	facts := c.end()
	if listed(facts, "http.method") != "GET POST" || listed(facts, "http.host") != "a.example b.example" {
		t.Errorf("facts:\n%s", facts)
	}
	if !c.state.Lost() {
		t.Error("bytes were lost")
	}
}

// A capture that cuts every frame gives a request in pieces with gaps: what
// is certain of it counts.
func TestHTTPCutRequests(t *testing.T) {
	for _, c := range []struct{ cut, name, want string }{
		{"GET /v1/items?token=" + plantedJWT, "http.token", "url"},
		{"GET / HTTP/1.1\r\nAuthorization: Bearer " + plantedJWT, "http.auth_scheme", "bearer"},
		{"GET / HTTP/1.1\r\nAuthorization: Bear", "http.auth_scheme", ""},
		{"GET / HTTP/1.1\r\nHost: a.exam", "http.host", "a.exam"},
		{"GET / HTTP/1.1\r\nHost: a.exam", "http.host_cut", "true"},
		{"GET / HTTP/1.1\r\nHost: agent@a.exam", "http.host", ""},
		{"GET / HTTP/1.1\r\nHost: a.example\r\n", "http.host", "a.example"},
		{"GET / HTTP/1.1\r\nHost: a.example\r\n", "http.host_cut", ""},
		{"GET / HTTP/1.1\r\nCookie: a=" + plantedCookie, "http.cookie", "true"},
		{"DELETE /v1/ite", "http.method", "DELETE"},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 80}})
		conversation.say(ToServer, []byte(c.cut))
		conversation.state.Gap(conversation.set, ToServer, 50)
		if got := listed(conversation.end(), c.name); got != c.want {
			t.Errorf("%q: %s %q, want %q", c.cut, c.name, got, c.want)
		}
	}
}

func TestHTTPUpgrade(t *testing.T) {
	facts, c := web(t,
		"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello",
		"\x81\x85GET / HTTP/1.1\r\n\r\n")
	if c.state.Protocol(c.set) != "http" || c.state.Broken() != nil || listed(facts, "http.requests") != "1" {
		t.Errorf("protocol %s, broken %v, facts\n%s", c.state.Protocol(c.set), c.state.Broken(), facts)
	}

	// A proxy that refuses goes on with HTTP.
	facts, _ = web(t,
		"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
		"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
		"CONNECT a.example:443 HTTP/1.1\r\nProxy-Authorization: Basic "+plantedBasic+"\r\n\r\n")
	if listed(facts, "http.requests") != "2" || listed(facts, "http.auth_scheme") != "basic" {
		t.Errorf("facts\n%s", facts)
	}
}

func TestHTTPService(t *testing.T) {
	for target, want := range map[string]string{
		"/sdk": "vsphere", "/sdk/vimService?wsdl": "vsphere", "/sdkmanager": "",
		"/wsman": "winrm", "/wsman?PSVersion=5.1": "winrm", "/wsm": "",
		"/_search?q=a": "elasticsearch", "/_cluster/health": "elasticsearch", "/_next/static": "", "/": "", "*": "",
	} {
		facts, _ := web(t, "POST "+target+" HTTP/1.1\r\n\r\n")
		if got := listed(facts, "http.service"); got != want {
			t.Errorf("%s: service %q, want %q", target, got, want)
		}
	}
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 9200}})
	c.say(ToServer, []byte("GET / HTTP/1.1\r\n\r\n"))
	c.say(ToClient, []byte("HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\nContent-Length: 0\r\n\r\n"))
	if got := listed(c.end(), "http.service"); got != "elasticsearch" {
		t.Errorf("service %q by the answer's header", got)
	}
}
