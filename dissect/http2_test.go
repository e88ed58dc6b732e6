package dissect

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// h2 makes a frame: length, type, flags, stream, payload.
func h2(typ, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), typ, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// h2Packer makes header blocks of one direction.
type h2Packer struct {
	out bytes.Buffer
	enc *hpack.Encoder
}

func (p *h2Packer) block(fields ...string) []byte {
	if p.enc == nil {
		p.enc = hpack.NewEncoder(&p.out)
	}
	p.out.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.out.Bytes())
}

// The first SETTINGS of a client and of a server: MAX_CONCURRENT_STREAMS 100,
// INITIAL_WINDOW_SIZE 10 MiB; MAX_FRAME_SIZE 16 KiB.
var (
	h2ClientSettings = h2(http2Settings, 0, 0, []byte{0, 3, 0, 0, 0, 100, 0, 4, 0, 0xa0, 0, 0})
	h2ServerSettings = h2(http2Settings, 0, 0, []byte{0, 5, 0, 0, 0x40, 0})
)

// http2Says is two requests, the second one's headers in two frames, padded and
// with a priority, and their responses.
func http2Says() []message {
	var client, server h2Packer
	first := client.block(":method", "GET", ":scheme", "https", ":authority", "ms.corp.example:9877", ":path", "/api/1",
		"user-agent", "probe/2.0", "authorization", "Bearer "+plantedJWT)
	second := client.block(":method", "POST", ":scheme", "https", ":authority", "ms.corp.example:9877", ":path", "/api/2",
		"user-agent", "probe/2.0", "cookie", "a="+plantedCookie)
	third := client.block(":method", "GET", ":scheme", "https", ":authority", "ms.corp.example:9877", ":path", "/api/3")
	fragment := append([]byte{4, 0, 0, 0, 0, 16}, second[:7]...) // padding length, priority, half the block
	return []message{
		{ToServer, []byte(http2Preface)},
		{ToServer, h2ClientSettings},
		{ToServer, h2(http2Headers, http2EndHeaders|1, 1, first)},
		{ToClient, h2ServerSettings},
		{ToClient, h2(http2Settings, 1, 0, nil)},
		{ToClient, h2(http2Headers, http2EndHeaders, 1, server.block(":status", "200", "server", "box", "content-type", "application/json"))},
		{ToClient, h2(0, 1, 1, []byte(`{"ok":true}`))},
		{ToServer, h2(http2Headers, http2Padded|http2Priority, 3, append(fragment, 0, 0, 0, 0))},
		{ToServer, h2(http2Continuation, http2EndHeaders, 3, second[7:])},
		{ToServer, h2(0, 1, 3, []byte("name=x"))},
		{ToClient, h2(http2Headers, http2EndHeaders|1, 3, server.block(":status", "204"))},
		{ToServer, h2(http2Headers, http2EndHeaders|1, 5, third)},
		{ToClient, h2(http2Headers, http2EndHeaders|1, 5, server.block(":status", "200", "content-type", "application/json"))},
	}
}

func TestProbeHTTP2(t *testing.T) {
	settings := string(h2ServerSettings)
	for _, c := range []struct {
		b    string
		want Match
	}{
		{http2Preface, FromClient},
		{http2Preface + "\x00\x00\x00", FromClient},
		{http2Preface[:23], Maybe},
		{"P", Maybe},
		{"", Maybe},
		{settings, FromServer},
		{settings[:11], Maybe},
		{settings[:4], Maybe},
		{"POST / HTTP/1.1\r\n", No},
		{"PRI * HTTP/2.0\r\n\r\nXX", No},
		{"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Maybe},                  // no setting: as much as a run of zeros, the client decides
		{"\x00\x00\x06\x04\x01\x00\x00\x00\x00", No},                     // an acknowledgement is empty
		{"\x00\x00\x06\x04\x00\x00\x00\x00\x01", No},                     // of a stream
		{"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x33\x33\x00\x00\x00", No}, // no such setting
		{"\x00\x00\x00\x54\xfeSMB", No},
	} {
		if got := probeHTTP2(ToServer, []byte(c.b)); got != c.want {
			t.Errorf("%q: %d, want %d", c.b, got, c.want)
		}
	}
}

// h2talk converses: pieces that begin with > are the server's.
func h2talk(t *testing.T, says ...message) (string, *conversation) {
	t.Helper()
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 9200}})
	for _, m := range says {
		c.say(m.from, m.b)
	}
	return c.end(), c
}

// A server may send its settings before the client has said a word: settings of
// gRPC's own, or none.
func TestHTTP2ServerFirst(t *testing.T) {
	for _, settings := range [][]byte{
		h2(http2Settings, 0, 0, unhex("0004003fffff fe0300000001")),
		h2(http2Settings, 0, 0, nil),
	} {
		var client, server h2Packer
		facts, c := h2talk(t,
			message{ToClient, settings},
			message{ToServer, append([]byte(http2Preface), h2ClientSettings...)},
			message{ToServer, h2(http2Headers, http2EndHeaders|1, 1, client.block(":method", "POST", ":path", "/a"))},
			message{ToClient, h2(http2Headers, http2EndHeaders|1, 1, server.block(":status", "200"))},
		)
		if want := "http.method POST\nhttp.requests 1\nhttp.status 200\nhttp.unauthenticated 1\n"; facts != want || c.state.Protocol(c.set) != "http2" {
			t.Errorf("% x: protocol %q, facts:\n%swant:\n%s", settings, c.state.Protocol(c.set), facts, want)
		}
	}
}

// An upgrade from HTTP/1.1 goes on as HTTP/2; the facts of both are the flow's.
func TestHTTP2Upgrade(t *testing.T) {
	var client, server h2Packer
	facts, c := h2talk(t,
		message{ToServer, []byte("GET /a HTTP/1.1\r\nHost: one.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")},
		message{ToClient, append([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), h2ServerSettings...)},
		message{ToClient, h2(http2Headers, http2EndHeaders|1, 1, server.block(":status", "200"))},
		message{ToServer, append([]byte(http2Preface), h2ClientSettings...)},
		message{ToServer, h2(http2Headers, http2EndHeaders|1, 3, client.block(":method", "PUT", ":path", "/b", ":authority", "two.example"))},
		message{ToClient, h2(http2Headers, http2EndHeaders|1, 3, server.block(":status", "403"))},
	)
	const want = "http.method GET\nhttp.requests 2\nhttp.host one.example\nhttp.status 101\nhttp.upgrade h2c\n" +
		"http.status 200\nhttp.method PUT\nhttp.host two.example\nhttp.status 403\n"
	if facts != want {
		t.Errorf("facts:\n%swant:\n%s", facts, want)
	}
	if got := c.state.Protocol(c.set); got != "http" {
		t.Errorf("protocol %q, want that of the beginning", got)
	}
}

// Reading ends where WebSocket begins: its frames may look like anything.
func TestWebSocketUpgrade(t *testing.T) {
	facts, c := h2talk(t,
		message{ToServer, []byte("GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")},
		message{ToClient, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n")},
		message{ToServer, []byte("GET /x HTTP/1.1\r\nHost: b.example\r\n\r\n")},
	)
	const want = "http.method GET\nhttp.requests 1\nhttp.host a.example\nhttp.status 101\nhttp.upgrade websocket\n"
	if facts != want {
		t.Errorf("facts:\n%swant:\n%s", facts, want)
	}
	if c.state.Broken() != nil || c.state.Protocol(c.set) != "http" {
		t.Errorf("protocol %q, broken %v", c.state.Protocol(c.set), c.state.Broken())
	}
}

// A header block that is not at its end is followed by nothing else, and one
// that cannot be read ends the direction or contradicts the protocol.
func TestHTTP2Malformed(t *testing.T) {
	var p h2Packer
	block := p.block(":method", "GET", ":path", "/")
	for _, c := range []struct {
		name   string
		frames []byte
		field  string
	}{
		{"data within headers", append(h2(http2Headers, 0, 1, block[:1]), h2(0, 0, 1, nil)...), "type"},
		{"continuation of nothing", h2(http2Continuation, 4, 1, block), "type"},
		{"another stream's continuation", append(h2(http2Headers, 0, 1, block[:1]), h2(http2Continuation, 4, 3, block[1:])...), "type"},
		{"no stream", h2(http2Headers, 4, 0, block), "stream"},
		{"padding longer than the frame", h2(http2Headers, 4|http2Padded, 1, []byte{200, 0x82}), "fragment"},
		{"index of nothing", h2(http2Headers, 4, 1, []byte{0xff, 0xff, 0x7f}), "header block"},
		{"table beyond all bounds", h2(http2Headers, 4, 1, []byte{0x3f, 0xff, 0xff, 0x7f}), "header block"},
		{"settings cut", h2(http2Settings, 0, 0, []byte{0, 1, 0}), "settings"},
	} {
		_, conv := h2talk(t, message{ToServer, []byte(http2Preface)}, message{ToServer, c.frames})
		m, ok := conv.state.Broken().(*Malformed)
		if !ok || m.Field != c.field {
			t.Errorf("%s: %v, want %s malformed", c.name, conv.state.Broken(), c.field)
		}
	}
	// A frame of headers that is larger than what may wait is passed over, and
	// so is every later one of its direction; the other is read on.
	var server h2Packer
	large := h2(http2Headers, http2EndHeaders, 1, make([]byte, maxHTTP2Headers+1))
	facts, conv := h2talk(t, message{ToServer, []byte(http2Preface)}, message{ToServer, large},
		message{ToServer, h2(http2Headers, http2EndHeaders, 3, block)},
		message{ToClient, h2(http2Headers, http2EndHeaders, 3, server.block(":status", "500"))})
	if facts != "http.status 500\n" || conv.state.Broken() != nil {
		t.Errorf("behind a large frame: %v, facts\n%s", conv.state.Broken(), facts)
	}
}

// A block of few bytes may stand for many fields, each long: of those the first
// are looked at.
func TestHTTP2Indexed(t *testing.T) {
	var p h2Packer
	long := strings.Repeat("a", 3000) // in the table from then on
	fields := []string{":method", "GET", "x-long", long}
	for range maxHTTP2List / 3000 {
		fields = append(fields, "x-long", long)
	}
	block := p.block(append(fields, "user-agent", "behind them")...)
	if len(block) > 4000 {
		t.Fatalf("%d bytes: nothing is indexed", len(block))
	}
	facts, conv := h2talk(t, message{ToServer, []byte(http2Preface)}, message{ToServer, h2(http2Headers, http2EndHeaders, 1, block)},
		message{ToServer, h2(http2Headers, http2EndHeaders, 3, p.block(":method", "PUT", "user-agent", "of the next"))})
	if want := "http.method GET\nhttp.requests 2\nhttp.method PUT\nhttp.user_agent of the next\n"; facts != want || conv.state.Broken() != nil {
		t.Errorf("%v, facts\n%swant\n%s", conv.state.Broken(), facts, want)
	}
}

// The response tells whether a request without any proof was let in.
func TestUnauthenticated(t *testing.T) {
	const json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
	for _, c := range []struct {
		name, request, response string
		counted                 bool
	}{
		{"served", "GET /api HTTP/1.1\r\n\r\n", json, true},
		{"bearer", "GET /api HTTP/1.1\r\nAuthorization: Bearer " + plantedJWT + "\r\n\r\n", json, false},
		{"basic", "POST /login HTTP/1.1\r\nAuthorization: Basic " + plantedBasic + "\r\n\r\n", json, false},
		{"cookie", "GET /api HTTP/1.1\r\nCookie: s=" + plantedCookie + "\r\n\r\n", json, false},
		{"token of its own header", "GET /api HTTP/1.1\r\nX-Token: " + plantedJWT + "\r\n\r\n", json, false},
		{"in the url", "GET /api?t=" + plantedJWT + " HTTP/1.1\r\n\r\n", json, false},
		{"refused", "GET /api HTTP/1.1\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", false},
		{"sent elsewhere", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", false},
		{"page", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n\r\n", false},
		{"picture", "GET /a.png HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nContent-Length: 0\r\n\r\n", false},
		{"login", "POST /login HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n", false},
		{"answer alone", "", json, false},
		{"continued", "PUT /api HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n" + json, true},
	} {
		facts, _ := web(t, c.request, c.response)
		if got := strings.Contains(facts, "http.unauthenticated 1\n"); got != c.counted {
			t.Errorf("%s: counted %t, want %t; facts\n%s", c.name, got, c.counted, facts)
		}
	}
	// Each answer belongs to its own request.
	facts, _ := web(t, "GET /1 HTTP/1.1\r\nCookie: a=1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nCookie: a=1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n",
		"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"+json+json+json)
	if !strings.Contains(facts, "http.unauthenticated 2\n") {
		t.Errorf("pipelined: facts\n%s", facts)
	}
}
