package dissect

import (
	"bytes"
	"strings"
)

// traceHTTPLine tells of a line, n bytes at byte at of what Parse was given,
// that a direction in state sent. Of a target its query is not shown, nor what
// looks like a token in its path; of headers only the values of those that
// never hold a secret are.
func traceHTTPLine(dir Dir, state httpState, line []byte, at, n int, facts *Facts) {
	switch {
	case state == httpStartLine && len(line) > 0 && dir == ToServer:
		traceRequestLine(dir, line, at, n, facts)
	case state == httpStartLine && len(line) > 0:
		if probeHTTPStatus(line) == FromServer {
			facts.tell(dir, 0, printable(clipBytes(line)))
			facts.open(dir, at, n)
		}
	case state == httpHeaders && len(line) == 0:
		facts.open(dir, at, n)
	case state == httpHeaders:
		traceHeader(dir, line, at, n, facts)
	}
}

func traceRequestLine(dir Dir, line []byte, at, n int, facts *Facts) {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !strings.Contains(httpMethods, " "+string(method)+" ") {
		return
	}
	version := bytes.LastIndexByte(rest, ' ')
	if version < 0 || !bytes.HasPrefix(rest[version:], []byte(" HTTP/")) {
		version = len(rest) // a blank in the target
	}
	target := rest[:version]
	shown := len(target)
	if query := bytes.IndexAny(target, "?#;"); query >= 0 {
		shown = query
	}
	if bytes.IndexByte(target[:shown], '@') >= 0 {
		shown = 0 // user:password@host
	}
	if secret := secretSegment(target[:shown]); secret >= 0 {
		shown = secret
	}
	text := string(method) + " " + printable(clipBytes(target[:shown]))
	if hidden := len(target) - shown; hidden > 0 {
		text += "… (" + hiddenText(target[shown:]) + ")"
	}
	facts.tell(dir, 0, text+printable(clipBytes(rest[version:])))
	facts.open(dir, at, len(method)+1+shown)
	facts.open(dir, at+len(method)+1+version, n-len(method)-1-version)
}

// secretSegment is where in a path a segment begins that may be a token or a
// key: long, and of letters and digits without a word's shape; -1 for none.
func secretSegment(path []byte) int {
	const longest = 24 // of a segment that is taken for a name
	at := 0
	for {
		end := bytes.IndexByte(path[at:], '/')
		segment := path[at:]
		if end >= 0 {
			segment = segment[:end]
		}
		if len(segment) > longest && bytes.ContainsAny(segment, "0123456789") || bytes.HasPrefix(segment, []byte("eyJ")) {
			return at
		}
		if end < 0 {
			return -1
		}
		at += end + 1
	}
}

// hiddenText says of bytes that are not shown how many they are, and that they
// hold a token where they do.
func hiddenText(b []byte) string {
	text := bytesOf(len(b)) + " not shown"
	if alg, ok := findJWT(b); ok {
		text = "jwt(alg=" + alg + "), " + text
	}
	return text
}

// openHeaders are the headers whose values are shown. Sec-WebSocket-Protocol is
// none of them: where scripts cannot set Authorization, it carries the token.
const openHeaders = " host user-agent server content-type content-length transfer-encoding content-encoding connection upgrade" +
	" accept accept-encoding accept-language date cache-control keep-alive expect allow via age vary last-modified" +
	" strict-transport-security sec-websocket-version "

func traceHeader(dir Dir, line []byte, at, n int, facts *Facts) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isHTTPToken(bytes.TrimRight(name, " \t")) {
		return
	}
	text := string(bytes.TrimRight(name, " \t"))
	lower := strings.ToLower(text)
	_, jwt := findJWT(value)
	if strings.Contains(openHeaders, " "+lower+" ") && !jwt && bytes.IndexByte(value, '@') < 0 {
		facts.tell(dir, 1, text+": "+printable(clipBytes(bytes.TrimSpace(value))))
		facts.open(dir, at, n)
		return
	}
	hidden := hiddenText(bytes.TrimSpace(value))
	if lower == "authorization" || lower == "proxy-authorization" {
		hidden = "scheme " + authScheme(bytes.TrimSpace(value)) + ", " + hidden
	}
	facts.tell(dir, 1, text+": ("+hidden+")")
	facts.open(dir, at, len(name)+1)
	facts.open(dir, at+len(line), n-len(line))
}

// traceBody tells how a message goes on behind its headers.
func (e *httpEnd) traceBody(dir Dir, skip int, err error, facts *Facts) {
	switch {
	case err == ErrHandOver:
		facts.conclude(dir, "the stream goes on as another protocol")
	case skip > 0:
		facts.tell(dir, 1, "body of "+bytesOf(skip))
	case e.state == httpChunkSize:
		facts.tell(dir, 1, "body in chunks")
	case e.state == httpToTheEnd:
		facts.tell(dir, 1, "body up to the end of the stream")
	}
}
