package dissect

import (
	"bytes"

	"golang.org/x/net/http2/hpack"
)

// HTTP/2, RFC 9113: with prior knowledge in clear, behind an upgrade to h2c,
// and inside TLS that keys open. The client begins with a preface of 24 bytes
// (section 3.4), both ends with a SETTINGS frame. A frame is (section 4.1)
//
//	length    3   of the payload
//	type      1   0 DATA, 1 HEADERS, 4 SETTINGS, 5 PUSH_PROMISE, 9 CONTINUATION ...
//	flags     1   0x04 END_HEADERS, 0x08 PADDED, 0x20 PRIORITY
//	stream    4   its top bit is reserved
//	payload   length bytes
//
// HEADERS and PUSH_PROMISE begin a header block, which CONTINUATION frames go
// on with until END_HEADERS:
//
//	HEADERS        [padding length 1] [dependency 4, weight 1] fragment [padding]
//	PUSH_PROMISE   [padding length 1] promised stream 4        fragment [padding]
//
// The blocks of one direction are compressed against each other (HPACK, RFC
// 7541): behind one that is lost, none can be read. All other frames are passed
// over unseen.

const (
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	http2Headers      = 1
	http2Settings     = 4
	http2PushPromise  = 5
	http2Continuation = 9

	http2EndHeaders = 0x04
	http2Padded     = 0x08
	http2Priority   = 0x20

	http2FrameHeader  = 9         // bytes
	maxHTTP2Headers   = 48 << 10  // bytes of a frame that holds headers; behind a longer one none are read
	maxHTTP2Block     = 256 << 10 // bytes of a header block
	maxHTTP2Field     = 32 << 10  // bytes of a name or a value
	maxHTTP2List      = 128 << 10 // bytes of the fields of one block that are looked at: an index of one byte may name a long one
	maxHTTP2Table     = 64 << 10  // bytes of a dynamic table
	http2InitialTable = 4096      // its size until it is changed (RFC 9113 section 6.5.2)
	maxHTTP2Streams   = 256       // requests whose response is still to come
	maxHTTP2Settings  = 32        // in a first SETTINGS frame
)

var http2 = Dissector{
	Name:  "http2",
	Over:  TCP,
	Ports: nil, // those of HTTP
	Probe: probeHTTP2,
	New: func(*Context) Parser {
		return &http2Parser{}
	},
}

// probeHTTP2 knows the client's preface, and the server's first frame by its
// settings.
func probeHTTP2(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	switch b[0] {
	case http2Preface[0]:
		n := min(len(b), len(http2Preface))
		switch {
		case string(b[:n]) != http2Preface[:n]:
			return No
		case n < len(http2Preface):
			return Maybe
		}
		return FromClient
	case 0:
		return probeHTTP2Settings(b)
	}
	return No
}

// probeHTTP2Settings judges the beginning of a frame that should be a server's
// first: SETTINGS, no flags, stream 0, and no setting that is neither in the
// registry or its range for experiments (section 11.3), of which gRPC uses some,
// nor there to keep clients tolerant. Of one without settings the client decides.
func probeHTTP2Settings(b []byte) Match {
	shape := [http2FrameHeader]byte{3: http2Settings}
	for i, c := range b[:min(len(b), len(shape))] {
		if i == 2 {
			if c%6 != 0 || int(c) > 6*maxHTTP2Settings {
				return No
			}
		} else if c != shape[i] {
			return No
		}
	}
	if len(b) <= 2 || b[2] == 0 {
		return Maybe
	}
	settings := b[min(len(b), http2FrameHeader):]
	whole := len(settings) >= int(b[2])
	if whole {
		settings = settings[:b[2]]
	}
	for len(settings) >= 2 {
		id := int(settings[0])<<8 | int(settings[1])
		if (id == 0 || id > 0x10) && id < 0xf000 && !isGREASE(id) {
			return No
		}
		settings = settings[min(len(settings), 6):]
	}
	if !whole {
		return Maybe
	}
	return FromServer
}

// http2Parser reads one connection.
type http2Parser struct {
	end     [2]http2End
	streams map[uint32]httpRequest // requests without a response so far
	facts   *Facts                 // of the call at hand
}

// http2End is one direction.
type http2End struct {
	begun   bool // the preface is behind us
	blind   bool // a header block was passed over
	headers *hpack.Decoder

	// The header block at hand.
	block  int // bytes so far
	stream uint32
	promis bool // PUSH_PROMISE
	open   bool // CONTINUATION has to follow
	fields int
	size   int         // bytes of the fields
	now    httpRequest // what it says of a request
	status int
	answer httpAnswer
}

func (p *http2Parser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	p.facts = facts
	e := &p.end[dir]
	at := 0
	if !e.begun {
		if dir == ToServer {
			switch n := min(len(b), len(http2Preface)); {
			case string(b[:n]) != http2Preface[:n]:
				return 0, &Malformed{"preface", 0, "not HTTP/2"}
			case n < len(http2Preface):
				return 0, ErrShort
			}
			at = len(http2Preface)
		}
		e.begun = true
	}
	for at < len(b) {
		r := newReader(b[at:])
		length := r.be24("length")
		typ := r.u8("type")
		flags := r.u8("flags")
		stream := r.be32("stream") & (1<<31 - 1)
		if r.err() != nil {
			return at, ErrShort
		}
		holdsHeaders := typ == http2Headers || typ == http2PushPromise || typ == http2Continuation
		switch {
		case typ == http2Settings && (stream != 0 || length%6 != 0):
			r.malformed("settings", "not of whole settings, or of a stream")
		case holdsHeaders && stream == 0:
			r.malformed("stream", "headers of no stream")
		case e.open != (typ == http2Continuation), e.open && stream != e.stream:
			r.malformed("type", "header block is not at its end, or has none")
		}
		if r.err() != nil {
			return at, r.err()
		}
		if holdsHeaders && length > maxHTTP2Headers {
			e.blind = true
		}
		if !holdsHeaders || e.blind {
			e.open = holdsHeaders && flags&http2EndHeaders == 0
			e.stream = stream
			at += http2FrameHeader + length
			continue
		}
		payload := r.bytes("payload", length)
		if r.err() != nil {
			return at, ErrShort
		}
		if err := p.headers(dir, typ, flags, stream, payload); err != nil {
			return at, err
		}
		at += http2FrameHeader + length
	}
	return at, nil
}

// headers reads the fragment of a header block that a frame holds.
func (p *http2Parser) headers(dir Dir, typ, flags int, stream uint32, payload []byte) error {
	e := &p.end[dir]
	in := reader{b: payload, nested: true, first: new(error)}
	padding := 0
	if typ != http2Continuation {
		e.stream, e.promis, e.open = stream, typ == http2PushPromise, true
		e.block, e.fields, e.size, e.now, e.status, e.answer = 0, 0, 0, 0, 0, 0
		if flags&http2Padded != 0 {
			padding = in.u8("padding length")
		}
		if e.promis {
			e.stream = in.be32("promised stream") & (1<<31 - 1)
		} else if flags&http2Priority != 0 {
			in.bytes("priority", 5)
		}
	}
	fragment := in.bytes("fragment", in.left()-padding)
	if in.err() != nil {
		return in.err()
	}
	if e.block += len(fragment); e.block > maxHTTP2Block {
		e.blind = true
		return nil
	}
	if e.headers == nil {
		e.headers = hpack.NewDecoder(http2InitialTable, func(f hpack.HeaderField) { p.field(dir, &f) })
		e.headers.SetAllowedMaxDynamicTableSize(maxHTTP2Table)
		e.headers.SetMaxStringLength(maxHTTP2Field)
	}
	_, err := e.headers.Write(fragment)
	if err == nil && flags&http2EndHeaders != 0 {
		e.open = false
		err = e.headers.Close()
	}
	if e.promis {
		e.stream = stream // CONTINUATION names the stream of the promise
	}
	if err != nil {
		return &Malformed{"header block", 0, "not HPACK"}
	}
	if !e.open && !e.promis {
		p.whole(dir)
	}
	return nil
}

// field takes in one header field.
func (p *http2Parser) field(dir Dir, f *hpack.HeaderField) {
	e := &p.end[dir]
	e.fields++
	e.size += len(f.Name) + len(f.Value)
	if e.fields > maxHTTPHeader || e.size > maxHTTP2List {
		return
	}
	value := []byte(f.Value)
	// A promise holds a request, and the server sends it.
	request := dir == ToServer || e.promis
	switch f.Name {
	case ":method":
		if request && isHTTPToken(value) {
			p.facts.Add(HTTPMethod, value)
			p.facts.Count(HTTPRequests, 1)
			e.now |= httpCounted
		}
	case ":authority":
		if request {
			e.now |= noteHTTPHeader([]byte("host"), value, true, p.facts)
		}
	case ":path":
		if noteJWT(p.facts, value, "url") {
			e.now |= httpProof
		}
	case ":protocol":
		if request {
			p.facts.Add(HTTPUpgrade, upgradeName(value))
		}
	case ":status":
		if n, ok := httpNumber(value, 10); ok && !request && len(value) == 3 {
			e.status = n
			p.facts.AddNum(HTTPStatus, int64(n))
		}
	case ":scheme":
	default:
		name := []byte(f.Name)
		e.now |= noteHTTPHeader(name, value, request, p.facts)
		if !request {
			e.answer |= answerHeader(name, value)
		}
	}
}

// whole takes in that a header block is at its end.
func (p *http2Parser) whole(dir Dir) {
	e := &p.end[dir]
	if dir == ToServer {
		if e.now&httpCounted != 0 && len(p.streams) < maxHTTP2Streams {
			if p.streams == nil {
				p.streams = make(map[uint32]httpRequest)
			}
			p.streams[e.stream] = e.now
		}
		return
	}
	if e.status < 200 {
		return // to be continued, or a trailer
	}
	if request, ok := p.streams[e.stream]; ok {
		delete(p.streams, e.stream)
		noteAnswer(request, e.status, e.answer, p.facts)
	}
}

// Gap is the end of a direction, unless it lies in a frame that is passed over,
// of which State knows the length.
func (p *http2Parser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, false }

// Close has nothing to say.
func (p *http2Parser) Close(*Facts) {}

// upgradeName is a protocol in an Upgrade header (RFC 9110 section 7.8) without
// its version: "websocket", "h2c", "tls". A list counts as its first.
func upgradeName(value []byte) []byte {
	if i := bytes.IndexAny(value, "/, "); i >= 0 {
		value = value[:i]
	}
	if !isHTTPToken(value) {
		return []byte("other")
	}
	return bytes.ToLower(value)
}
