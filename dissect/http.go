package dissect

import (
	"bytes"
	"strings"
)

// HTTP/1, RFC 9112. A stream is messages in a row, the client's requests, the
// server's responses:
//
//	request   method SP target SP HTTP/1.x CRLF
//	response  HTTP/1.x SP status SP reason CRLF
//	          name: value CRLF           (a line that begins with a blank goes on)
//	          CRLF
//	          body
//
// How long the body is, section 6.3 says: none behind HEAD, 1xx, 204 and 304;
// chunks of
//
//	size in hex [; extension] CRLF  data CRLF
//
// up to one of size 0 and its trailer where Transfer-Encoding says chunked;
// Content-Length bytes; else none of a request, and all that comes of a
// response. Bodies are passed over unseen. Behind 101, and behind 2xx to
// CONNECT, the stream is something else: WebSocket (RFC 6455) is where reading
// ends, anything else is probed anew.
//
// Of credentials only their kind is recorded: the scheme of Authorization,
// that there was a cookie, where a JSON Web Token was and how it is signed, and
// that a request had nothing of the kind and was answered all the same.

const (
	maxHTTPLine   = 32 << 10 // bytes of a line, or of a header with its continuation lines
	maxHTTPHeader = 256      // headers of one message that are looked at
	maxPipelined  = 64       // requests whose response is still to come
)

var http = Dissector{
	Name:  "http",
	Over:  TCP,
	Ports: []uint16{80, 8080, 9200, 8008, 3128},
	Probe: probeHTTP,
	New:   func(*Context) Parser { return &httpParser{} },
}

// httpMethods are those of the IANA registry that captures show, and those of
// UPnP eventing (GENA) and discovery. What begins with another word is not
// taken for HTTP: many protocols are lines of text.
const httpMethods = " GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH" +
	" PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH CHECKOUT MERGE MKACTIVITY MKCALENDAR VERSION-CONTROL" +
	" SUBSCRIBE UNSUBSCRIBE NOTIFY M-SEARCH BIND REBIND ACL PURGE RPC_IN_DATA RPC_OUT_DATA CCM_POST BITS_POST BPROPFIND POLL "

const longestMethod = len("VERSION-CONTROL")

func probeHTTP(_ Dir, b []byte) Match {
	const status = "HTTP/1."
	if n := min(len(b), len(status)); status[:n] == string(b[:n]) {
		return probeHTTPStatus(b)
	}
	blank := bytes.IndexByte(b[:min(len(b), longestMethod+1)], ' ')
	if blank < 0 {
		if len(b) <= longestMethod && strings.Contains(httpMethods, " "+string(b)) {
			return Maybe
		}
		return No
	}
	method, rest := b[:blank], b[blank+1:]
	if len(method) == 0 || !strings.Contains(httpMethods, " "+string(method)+" ") {
		return No
	}
	line, _, complete := bytes.Cut(rest, []byte("\n"))
	for _, c := range line {
		if c < ' ' && c != '\r' && c != '\t' {
			return No
		}
	}
	// These methods are nobody else's, so that a path is enough: the line may
	// be long, or cut by the capture.
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH":
		if len(rest) > 0 && rest[0] == '/' {
			return FromClient
		}
	}
	if !complete {
		if len(line) > 2048 {
			return FromClient // a long target
		}
		return Maybe
	}
	line = bytes.TrimRight(line, "\r ")
	if bytes.HasPrefix(line[bytes.LastIndexByte(line, ' ')+1:], []byte("HTTP/1.")) {
		return FromClient
	}
	return No // RTSP, SIP, HTTP/2 and others have such lines too
}

func probeHTTPStatus(b []byte) Match {
	const example = "HTTP/1.1 200"
	for i := len("HTTP/1."); i < len(b) && i < len(example); i++ {
		c := b[i]
		switch example[i] {
		case ' ':
			if c != ' ' {
				return No
			}
		default:
			if c < '0' || c > '9' {
				return No
			}
		}
	}
	if len(b) < len(example) {
		return Maybe
	}
	return FromServer
}

// What a direction sends next.
type httpState uint8

const (
	httpStartLine httpState = iota
	httpHeaders
	httpChunkSize
	httpChunkEnd // the line end behind a chunk's data
	httpTrailer
	httpToTheEnd
	httpSearch // behind a gap: for the next start line
)

// httpEnd is one direction and the message that it is sending.
type httpEnd struct {
	state   httpState
	headers int
	length  int // Content-Length; -1 when there is none
	chunked bool
	status  int
	kind    httpRequest // of the request, or of the one that is answered
	slot    int         // of the request in pending; -1 when it is not there
	answer  httpAnswer  // what the response is
	socket  bool        // the upgrade is to WebSocket
}

// httpRequest is what a request says that matters to its response, as bits.
type httpRequest uint8

const (
	httpHead    httpRequest = 1 << iota
	httpConnect             // the response opens a tunnel
	httpProof               // it had a token, a cookie or an Authorization header
	httpCounted             // it is one of http.requests
)

// httpAnswer is what a response says of itself, as bits.
type httpAnswer uint8

const (
	httpPage   httpAnswer = 1 << iota // what a browser shows, or a part of it
	httpCookie                        // it sets a cookie: a login, the beginning of a session
)

type httpParser struct {
	end     [2]httpEnd
	pending [maxPipelined]httpRequest // a ring of unanswered requests
	first   int
	waiting int
	tunnel  bool // CONNECT was sent and not answered

	requests int
}

func (p *httpParser) renew() {
	*p = httpParser{}
}

func (p *httpParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	e := &p.end[dir]
	at := 0
	for at < len(b) {
		if dir == ToServer && p.tunnel {
			return at, ErrShort // the answer decides what these bytes are
		}
		if e.state == httpToTheEnd {
			const rest = 1 << 62
			return rest, nil
		}
		if e.state == httpSearch {
			// Messages begin with a segment as a rule, so that only the
			// beginning of what is at hand is looked at.
			switch m := probeHTTP(dir, b[at:]); {
			case m == Maybe:
				return at, ErrShort
			case dir == ToServer && m == FromClient, dir == ToClient && m == FromServer:
				e.state = httpStartLine
			default:
				return len(b), nil
			}
		}
		if c := b[at]; e.state == httpStartLine && dir == ToClient && c != 'H' && c != '\r' && c != '\n' {
			return at, &Malformed{"status line", at, "not HTTP/1 and a status"} // no line need ever end
		}
		line, n, err := httpLine(b[at:], e.state == httpHeaders)
		if err != nil {
			return at, err
		}
		if facts.traced() {
			traceHTTPLine(dir, e.state, line, at, n, facts)
		}
		skip := 0
		switch e.state {
		case httpStartLine:
			if len(line) > 0 { // empty lines in front are to be forgiven (section 2.2)
				err = p.startLine(dir, line, facts)
			}
		case httpHeaders:
			if len(line) > 0 {
				p.header(dir, line, facts)
			} else {
				skip, err = p.body(dir, facts)
				if facts.traced() {
					e.traceBody(dir, skip, err, facts)
				}
			}
		case httpChunkSize:
			skip, err = p.chunk(e, line)
		case httpChunkEnd:
			if len(line) > 0 {
				err = &Malformed{"chunk", 0, "longer than its size"}
			}
			e.state = httpChunkSize
		case httpTrailer:
			if len(line) == 0 {
				e.state = httpStartLine
			}
		}
		if err == ErrHandOver || err == ErrDone {
			return at + n, err
		}
		if err != nil {
			return at, err
		}
		at += n + skip
	}
	return at, nil
}

// httpLine cuts the next line from b, without its end, and says how many bytes
// it took. A header includes its continuation lines (obsolete line folding),
// so that it is complete only when the next line's first byte is there.
func httpLine(b []byte, header bool) (line []byte, n int, err error) {
	for {
		end := bytes.IndexByte(b[n:], '\n')
		if n+max(end, 0) > maxHTTPLine || end < 0 && len(b) > maxHTTPLine {
			return nil, 0, &Malformed{"line", 0, "longer than 32 KiB"}
		}
		if end < 0 {
			return nil, 0, ErrShort
		}
		n += end + 1
		line = bytes.TrimRight(b[:n], "\r\n")
		if !header || len(line) == 0 {
			return line, n, nil
		}
		if n == len(b) {
			return nil, 0, ErrShort
		}
		if b[n] != ' ' && b[n] != '\t' {
			return line, n, nil
		}
	}
}

func (p *httpParser) startLine(dir Dir, line []byte, facts *Facts) error {
	e := &p.end[dir]
	*e = httpEnd{state: httpHeaders, length: -1, slot: -1}
	if dir == ToClient {
		return p.statusLine(e, line, facts)
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !isHTTPToken(method) {
		return &Malformed{"method", 0, "not a token and a blank"}
	}
	target := bytes.TrimLeft(rest, " ")
	if blank := bytes.LastIndexByte(target, ' '); blank >= 0 && bytes.Contains(target[blank:], []byte("HTTP/")) {
		target = target[:blank]
	} else if p.requests > 0 || len(target) == 0 || target[0] != '/' {
		return &Malformed{"version", len(line), "not HTTP"}
	}
	e.kind = p.request(method, target, facts)
	switch string(method) {
	case "HEAD":
		e.kind |= httpHead
	case "CONNECT":
		e.kind |= httpConnect
	}
	if p.waiting < maxPipelined {
		e.slot = (p.first + p.waiting) % maxPipelined
		p.pending[e.slot] = e.kind
		p.waiting++
	}
	return nil
}

// request records what a request line says.
func (p *httpParser) request(method, target []byte, facts *Facts) httpRequest {
	p.requests++
	facts.Add(HTTPMethod, method)
	facts.Count(HTTPRequests, 1)
	if service := httpService(target); service != "" {
		facts.AddText(HTTPService, service)
	}
	if noteJWT(facts, target, "url") {
		return httpCounted | httpProof
	}
	return httpCounted
}

// httpService names what a request is for by its path: vSphere's SOAP API and
// that of Windows Remote Management (MS-WSMV section 2.1) have one path each, and
// Elasticsearch has its own below names that begin with an underscore.
func httpService(target []byte) string {
	if len(target) < 4 || target[0] != '/' {
		return ""
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	switch target[1] {
	case 's':
		if string(path) == "/sdk" || bytes.HasPrefix(path, []byte("/sdk/")) {
			return "vsphere"
		}
	case 'w':
		if string(path) == "/wsman" || bytes.HasPrefix(path, []byte("/wsman/")) {
			return "winrm"
		}
	case '_':
		for _, api := range [...]string{"/_search", "/_msearch", "/_bulk", "/_cluster/", "/_cat/", "/_nodes"} {
			if bytes.HasPrefix(path, []byte(api)) {
				return "elasticsearch"
			}
		}
	}
	return ""
}

func (p *httpParser) statusLine(e *httpEnd, line []byte, facts *Facts) error {
	const shape = "HTTP/1.1 200"
	if len(line) < len(shape) || probeHTTPStatus(line) != FromServer {
		return &Malformed{"status line", 0, "not HTTP/1 and a status"}
	}
	for _, c := range line[9:12] {
		e.status = e.status*10 + int(c-'0')
	}
	facts.AddNum(HTTPStatus, int64(e.status))
	if p.waiting > 0 {
		e.kind = p.pending[p.first]
		if e.status >= 200 || e.status == 101 {
			p.first = (p.first + 1) % maxPipelined
			p.waiting--
		}
	}
	return nil
}

func (p *httpParser) header(dir Dir, line []byte, facts *Facts) {
	e := &p.end[dir]
	if e.headers++; e.headers > maxHTTPHeader {
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return // garbage between headers: senders and receivers pass over it
	}
	name = bytes.TrimRight(name, " \t")
	value = bytes.TrimSpace(value)
	request := dir == ToServer
	noteS3(name, value, request, facts)
	switch {
	case isHeader(name, "content-length"):
		if n, ok := httpNumber(value, 10); ok && e.length < 0 {
			e.length = n
		}
		return
	case isHeader(name, "transfer-encoding"):
		e.chunked = len(value) >= 7 && bytes.EqualFold(value[len(value)-7:], []byte("chunked"))
		return
	case isHeader(name, "upgrade") && e.status == 101:
		protocol := upgradeName(value)
		facts.Add(HTTPUpgrade, protocol)
		e.socket = string(protocol) == "websocket"
		return
	}
	said := noteHTTPHeader(name, value, request, facts)
	if !request {
		e.answer |= answerHeader(name, value)
	} else if e.slot >= 0 {
		p.pending[e.slot] |= said
	}
}

// noteHTTPHeader makes facts of a header, and says whether a request that has
// it proves who sends it.
func noteHTTPHeader(name, value []byte, request bool, facts *Facts) (said httpRequest) {
	token := false
	switch {
	case isHeader(name, "host") && request:
		// user:password@ does not belong here, and is not kept where it is.
		value = value[bytes.LastIndexByte(value, '@')+1:]
		if len(value) > 0 {
			facts.AddText(HTTPHost, printable(value))
		}
	case isHeader(name, "user-agent") && request:
		if _, jwt := findJWT(value); len(value) > 0 && !jwt {
			facts.AddText(HTTPUserAgent, printable(value))
		}
	case isHeader(name, "server") && !request:
		if _, jwt := findJWT(value); len(value) > 0 && !jwt {
			facts.AddText(HTTPServer, printable(value))
		}
	case isHeader(name, "x-elastic-product") && !request:
		facts.AddText(HTTPService, "elasticsearch") // of every answer since 7.14
	case (isHeader(name, "authorization") || isHeader(name, "proxy-authorization")) && request:
		facts.Add(HTTPAuthScheme, []byte(authScheme(value)))
		noteJWT(facts, value, "header")
		token = true
	case isHeader(name, "cookie") && request:
		facts.SetFlag(HTTPCookie, true)
		noteJWT(facts, value, "cookie")
		token = true
	case isHeader(name, "set-cookie") && !request:
		noteJWT(facts, value, "cookie")
	case isHeader(name, "referer"), isHeader(name, "location"):
		noteJWT(facts, value, "url")
	default:
		token = noteJWT(facts, value, "header")
	}
	if token && request {
		return httpProof
	}
	return 0
}

// answerHeader says what a header of a response tells of what was asked for.
func answerHeader(name, value []byte) httpAnswer {
	switch {
	case isHeader(name, "set-cookie"):
		return httpCookie
	case isHeader(name, "content-type"):
		for _, page := range [...]string{"text/html", "text/css", "text/javascript", "application/javascript",
			"application/xhtml+xml", "application/manifest+json", "image/", "font/"} {
			if len(value) >= len(page) && bytes.EqualFold(value[:len(page)], []byte(page)) {
				return httpPage
			}
		}
	}
	return 0
}

// noteAnswer counts a request that had nothing to prove who sent it and was
// answered with success, as REST services answer those that have. The pages of
// a web console and the login that begins a session are not counted.
func noteAnswer(request httpRequest, status int, answer httpAnswer, facts *Facts) {
	if status/100 == 2 && request&(httpCounted|httpProof|httpConnect) == httpCounted && answer == 0 {
		facts.Count(HTTPUnauthenticated, 1)
	}
}

func isHeader(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func noteJWT(facts *Facts, text []byte, where string) bool {
	alg, ok := findJWT(text)
	if ok {
		facts.Add(HTTPToken, []byte(where))
		facts.Add(HTTPTokenAlg, []byte(alg))
	}
	return ok
}

// authScheme is the scheme that an Authorization value begins with, in lower
// case. Only names that are known are returned: a value without a scheme is
// itself the secret.
func authScheme(value []byte) string {
	scheme, _, _ := bytes.Cut(value, []byte(" "))
	if len(scheme) <= 24 {
		for _, known := range [...]string{
			// The IANA registry of HTTP authentication schemes.
			"basic", "bearer", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "oauth", "privatetoken",
			"scram-sha-1", "scram-sha-256", "vapid",
			// Others in use.
			"ntlm", "kerberos", "aws4-hmac-sha256", "aws", "sharedkey", "token", "apikey", "jwt", "hawk", "wsse",
		} {
			if isHeader(scheme, known) {
				return known
			}
		}
	}
	return "other"
}

// body decides, at the end of the headers, how the message goes on, and
// returns how many bytes to pass over.
func (p *httpParser) body(dir Dir, facts *Facts) (skip int, err error) {
	e := &p.end[dir]
	e.state = httpStartLine
	connect := e.kind&httpConnect != 0
	if dir == ToClient {
		noteAnswer(e.kind, e.status, e.answer, facts)
		if connect && e.status >= 200 {
			p.tunnel = false
		}
		switch {
		case e.socket:
			return 0, ErrDone
		case e.status == 101, connect && e.status/100 == 2:
			return 0, ErrHandOver
		case e.kind&httpHead != 0, e.status/100 == 1, e.status == 204, e.status == 304:
			return 0, nil
		}
	} else if connect {
		p.tunnel = p.waiting > 0
	}
	switch {
	case e.chunked:
		e.state = httpChunkSize
	case e.length >= 0:
		return e.length, nil
	case dir == ToClient:
		e.state = httpToTheEnd
	}
	return 0, nil
}

func (p *httpParser) chunk(e *httpEnd, line []byte) (skip int, err error) {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, ok := httpNumber(bytes.TrimSpace(size), 16)
	if !ok {
		return 0, &Malformed{"chunk size", 0, "not a number in hex"}
	}
	e.state = httpChunkEnd
	if n == 0 {
		e.state = httpTrailer
	}
	return n, nil
}

// httpNumber reads a number of base 10 or 16, up to 2^56.
func httpNumber(b []byte, base int) (int, bool) {
	n := 0
	for _, c := range b {
		digit := 16
		switch {
		case c >= '0' && c <= '9':
			digit = int(c - '0')
		case c >= 'a' && c <= 'f':
			digit = int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			digit = int(c-'A') + 10
		}
		if digit >= base || n > 1<<52 {
			return 0, false
		}
		n = n*base + digit
	}
	return n, len(b) > 0
}

func isHTTPToken(b []byte) bool {
	for _, c := range b {
		if !isBase64URL(c) && !strings.ContainsRune("!#$%&'*+.^`|~", rune(c)) {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 32
}

// Gap inside the body of a message is passed over by the count of its bytes,
// which State keeps. Anywhere else the place in the message is lost: what was
// held of a line is read as far as it is certain, and the next message is
// looked for.
func (p *httpParser) Gap(dir Dir, held []byte, _ uint64, facts *Facts) (uint64, bool) {
	e := &p.end[dir]
	switch {
	case e.state == httpToTheEnd:
		return 0, true
	case p.tunnel:
		return 0, false
	case e.state == httpHeaders:
		whole := bytes.HasSuffix(held, []byte("\n"))
		p.cutHeader(dir, bytes.TrimRight(held, "\r\n"), whole, facts)
	case e.state == httpStartLine && dir == ToServer && len(held) > 0 && probeHTTP(dir, held) == FromClient:
		if method, target, ok := bytes.Cut(held, []byte(" ")); ok {
			p.request(method, target, facts)
		}
	}
	e.state = httpSearch
	p.waiting = 0
	return 0, true
}

// cutHeader reads a header of which the end may be missing.
func (p *httpParser) cutHeader(dir Dir, line []byte, whole bool, facts *Facts) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return
	}
	// Half a host name is another host's, and is said to be half. Where its
	// port has begun it is whole, though the port may not be.
	if colon := bytes.IndexByte(value, ':'); !whole && isHeader(name, "host") && (colon < 0 || colon == len(value)-1) {
		value = bytes.TrimSpace(value)
		if len(value) > 0 && colon < 0 && bytes.IndexByte(value, '@') < 0 && !facts.knows(HTTPHost) {
			facts.SetFlag(HTTPHostCut, true)
			facts.AddText(HTTPHost, printable(value))
		}
		return
	}
	// A scheme is whole where its value has begun.
	if !whole && (isHeader(name, "authorization") || isHeader(name, "proxy-authorization")) &&
		!bytes.Contains(bytes.TrimLeft(value, " "), []byte(" ")) {
		return
	}
	p.header(dir, line, facts)
}

func (p *httpParser) Close(*Facts) {}
