package dissect

import (
	"bytes"
	"encoding/binary"
)

// QUIC over UDP: versions 1 (RFC 9000) and 2 (RFC 9369), the drafts of version
// 1 from 22 on and those of version 2, and the versions of gQUIC that came
// before, of which only the number is read.
//
// A handshake is in packets with a long header (RFC 9000 section 17.2), of
// which a datagram may hold several:
//
//	first byte       1       11 type (2) and bits that are masked (4)
//	version          4       0: version negotiation
//	destination id   1 + 0..20
//	source id        1 + 0..20
//	Initial only: token, its length a varint
//	length           varint  of what follows; a Retry has none and fills the
//	                         datagram, with a token and a tag
//	packet number    1..4    masked
//	payload                  sealed, with a tag of 16 bytes
//
// The payload of an Initial packet can be opened (quic_crypto.go) and is
// frames (section 19). CRYPTO frames carry the TLS handshake (RFC 9001), as
// pieces of a stream per direction; the hellos are in Initial packets, and the
// rest of the handshake is sealed. Whoever sends a packet with a short header
//
//	first byte       1       01, the rest masked
//	destination id           as long as the other end chose it
//	...
//
// has keys that the handshake gave: of the client that means that the handshake
// is complete for it.

const (
	quicV1          = 0x00000001
	quicV2          = 0x6b3343cf
	quicV2Draft0    = 0xff020000 // draft-ietf-quic-v2-00, whose packet types are those of version 1
	quicV2Draft1    = 0x709a50c4 // draft-ietf-quic-v2-01 to 04
	quicDraft       = 0xff000000 // and the draft's number
	quicDraft29     = quicDraft + 29
	quicFacebook22  = 0xfaceb001 // mvfst: draft 22
	quicFacebook27  = 0xfaceb002 // mvfst: draft 27
	quicFacebook27x = 0xfaceb00e
	quicT050        = 0x54303530 // gQUIC with TLS
	quicT051        = 0x54303531 // gQUIC with TLS, sealed as in draft 27
	quicQ050        = 0x51303530 // gQUIC in the packets of draft 27

	quicMinInitial = 1200 // bytes of a datagram with a client's Initial, RFC 9000 section 14.1
	quicMinID      = 8    // bytes of the connection id that a client makes up, section 7.2
	maxQUICID      = 20

	maxQUICDatagrams = 64 // looked at for the hellos and the end of the handshake
	maxQUICUnopened  = 4  // datagrams, and ids, looked at for an Initial that opens
	maxQUICTurns     = 4  // times that the keys of a connection are made: a Retry, a version negotiation, another version chosen
	maxQUICCrypto    = 32 << 10
)

// Packet types, as version 1 numbers them; version 2 is one ahead (RFC 9369
// section 3.2).
const (
	quicInitial = iota
	quic0RTT
	quicHandshake
	quicRetry
)

// Frame types that are allowed in an Initial packet (RFC 9000 section 12.4).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameACK     = 0x02
	frameACKECN  = 0x03
	frameCrypto  = 0x06
	frameCryptoT = 0x08 // in T050 and T051
	frameClose   = 0x1c

	cryptoError = 0x100 // and a TLS alert: the error code of a frameClose
)

var quic = Dissector{
	Name:  "quic",
	Over:  UDP,
	Ports: []uint16{443, 853, 784, 8853},
	Probe: func(_ Dir, b []byte) Match { return probeQUIC(b) },
	New:   func(c *Context) Parser { return &quicParser{context: c} },
}

// quicHeader is a long header.
type quicHeader struct {
	version     uint32
	typ         int
	destination []byte
	source      []byte
	token       []byte
	number      int // where the packet number begins
	end         int // of the packet; beyond the datagram where that was cut
}

// readQUICHeader reads the long header at the beginning of r, of a version that
// is known.
func readQUICHeader(r *reader) (h quicHeader) {
	first := r.u8("first byte")
	h.version = r.be32("version")
	h.destination = r.bytes("destination id", r.u8("destination id length"))
	h.source = r.bytes("source id", r.u8("source id length"))
	if len(h.destination) > maxQUICID || len(h.source) > maxQUICID {
		r.malformed("connection id", "longer than 20 bytes")
	}
	h.typ = first >> 4 & 3
	if h.version == quicV2 || h.version == quicV2Draft1 {
		h.typ = (h.typ + 3) & 3
	}
	switch h.typ {
	case quicRetry:
		h.token = r.rest()
		h.end = len(r.b)
		return h
	case quicInitial:
		n := r.varint("token length")
		h.token = r.bytes("token", int(min(n, maxDatagram)))
	}
	length := r.varint("length")
	if length > maxDatagram {
		r.malformed("length", "longer than a datagram can be")
		return h
	}
	h.number = r.off
	h.end = r.off + int(length)
	return h
}

const maxDatagram = 65527 // bytes: the length of UDP is a number of 16 bits, with its header

// quicKnown says whether packets of a version have the header above.
func quicKnown(version uint32) bool {
	return quicSalt(version) != nil || version == quicQ050
}

// isGQUIC says whether a version is one of gQUIC: a letter, 0 and two digits.
func isGQUIC(version uint32) bool {
	digit := func(v uint32) bool { return v&0xff >= '0' && v&0xff <= '9' }
	return (version>>24 == 'Q' || version>>24 == 'T') && version>>16&0xff == '0' && digit(version>>8) && digit(version)
}

// isReserved says whether a version is one that exists to be refused (RFC 9000
// section 15).
func isReserved(version uint32) bool { return version&0x0f0f0f0f == 0x0a0a0a0a }

// probeQUIC asks for a long header of a known version whose lengths fit, or
// for the header of gQUIC up to Q043:
//
//	flags          1   01 version follows, 08 connection id follows
//	connection id  8
//	version        4   from the client alone: "Q", 0 and two digits
func probeQUIC(b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	if b[0]&0x80 == 0 {
		const versionAndID = 0x01 | 0x08
		switch {
		case b[0]&versionAndID != versionAndID || b[0]&0x42 != 0: // 02 is a reset, 40 multipath
			return No
		case len(b) >= 10 && b[9] != 'Q' || len(b) >= 11 && b[10] != '0':
			return No
		case len(b) < 13:
			return Maybe
		case isGQUIC(binary.BigEndian.Uint32(b[9:])):
			return FromClient
		}
		return No
	}
	if len(b) < 5 {
		return Maybe
	}
	version := binary.BigEndian.Uint32(b[1:])
	fixed := b[0]&0x40 != 0
	switch {
	case version == 0:
		return probeVersionNegotiation(b)
	case quicKnown(version) && fixed:
		return probeLongHeader(b)
	case isGQUIC(version):
		return Yes
	case isReserved(version) && fixed:
		// The packet is of no version at all, but a client's first one.
		switch {
		case len(b) > 5 && (b[5] < quicMinID || b[5] > maxQUICID):
			return No
		case len(b) < quicMinInitial:
			return Maybe
		}
		return FromClient
	}
	return No
}

// probeVersionNegotiation judges what follows version 0: the two ids and the
// versions that the server knows (RFC 9000 section 17.2.1). One of them at least
// is to be known here, too.
func probeVersionNegotiation(b []byte) Match {
	r := newReader(b)
	r.u8("first byte")
	r.be32("version")
	for _, field := range [...]string{"destination id", "source id"} {
		n := r.u8("id length")
		if n > maxQUICID {
			return No
		}
		r.bytes(field, n)
	}
	for r.left() >= 4 {
		if v := r.be32("version"); quicKnown(v) || isGQUIC(v) {
			return FromServer
		}
	}
	return Maybe // another version may follow
}

// probeLongHeader judges a packet of a known version.
func probeLongHeader(b []byte) Match {
	r := newReader(b)
	h := readQUICHeader(r)
	if r.err() == ErrShort {
		return Maybe
	}
	if r.err() != nil {
		return No
	}
	switch {
	case h.typ == quicRetry:
		return FromServer
	case h.end-h.number < 4+sampleSize:
		return No
	case h.end > len(b):
		return Maybe
	case h.typ == quicInitial && len(h.token) > 0:
		return FromClient
	}
	return Yes
}

// quicParser reads one connection. It is small, for what fails to open needs no
// more.
type quicParser struct {
	context *Context
	version uint32
	looked  uint8     // datagrams
	failed  uint8     // Initial packets that did not open, of different ids
	tried   quicID    // the last of them
	source  [2]quicID // what either end calls itself
	conn    *quicConnection
}

// holds is the bytes of CRYPTO frames that wait for what is missing, and of
// messages that are not whole.
func (p *quicParser) holds() int {
	if p.conn == nil {
		return 0
	}
	return p.conn.tls.holds() + p.conn.crypto[0].size + p.conn.crypto[1].size
}

type quicID struct {
	b [maxQUICID]byte
	n uint8
}

func (id *quicID) set(b []byte)  { id.n = uint8(copy(id.b[:], b)) }
func (id *quicID) bytes() []byte { return id.b[:id.n] }

// quicConnection is what there is of a connection whose first Initial opened.
type quicConnection struct {
	tls     tlsParser
	id      quicID // that the keys come from
	version uint32 // likewise
	spoken  uint32 // the version that the last Initial said it is of
	turns   uint8  // how often keys were made
	keys    [2]quicKeys
	crypto  [2]pieces
}

// Parse reads the packets of a datagram.
func (p *quicParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	p.looked++
	for rest := b; len(rest) > 0; {
		if rest[0]&0x80 == 0 {
			if p.version == 0 && len(rest) == len(b) && probeQUIC(b) == FromClient {
				p.speaks(binary.BigEndian.Uint32(b[9:]), facts)
				return len(b), ErrDone
			}
			p.short(dir, rest, len(rest) == len(b), facts)
			break
		}
		n := p.long(dir, rest, len(b)-len(rest), facts)
		if n == 0 {
			break
		}
		rest = rest[min(n, len(rest)):]
	}
	switch c := p.conn; {
	case c == nil && p.looked >= maxQUICUnopened, p.looked >= maxQUICDatagrams, c != nil && c.tls.settled:
		return len(b), ErrDone
	}
	return len(b), nil
}

// long reads the packet with a long header at the beginning of b, which is byte
// at of its datagram, and returns its length, 0 where nothing can follow it.
func (p *quicParser) long(dir Dir, b []byte, at int, facts *Facts) (n int) {
	if len(b) < 5 {
		return 0
	}
	version := binary.BigEndian.Uint32(b[1:])
	reserved := isReserved(version)
	if !quicKnown(version) {
		if isGQUIC(version) || reserved {
			p.speaks(version, facts)
		}
		if !reserved {
			return 0
		}
	}
	r := newReader(b)
	h := readQUICHeader(r)
	if r.err() != nil {
		return 0
	}
	p.speaks(version, facts)
	p.source[dir].set(h.source)
	if facts.traced() {
		h.tracePacket(dir, at, min(h.end, len(b)), facts)
	}
	switch {
	case h.typ == quicInitial && h.end <= len(b) && (reserved || quicSalt(version) != nil):
		p.initial(dir, &h, b[:h.end], facts)
	case h.typ == quicHandshake && p.conn != nil:
		p.conn.tls.sides[dir].sealed = 1
	}
	return h.end
}

// speaks takes in the version of a packet. The server's counts, for it chose.
func (p *quicParser) speaks(version uint32, facts *Facts) {
	if p.version != version {
		p.version = version
		facts.SetText(QUICVersion, hex32(version))
	}
}

// hex32 writes v as 0x and eight digits.
func hex32(v uint32) string {
	if v == quicV1 {
		return "0x00000001"
	}
	b := [10]byte{'0', 'x'}
	for i := 9; i > 1; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
	return string(b[:])
}

// initial opens an Initial packet and reads its frames.
func (p *quicParser) initial(dir Dir, h *quicHeader, packet []byte, facts *Facts) {
	if c := p.conn; c != nil {
		if c.version != h.version && !isReserved(h.version) {
			if c.turns >= maxQUICTurns {
				return
			}
			c.rekey(h.version, c.id.bytes()) // the server chose another one (RFC 9368)
		}
		if payload, ok := c.keys[dir^c.tls.client].open(p.context, packet, h.number); ok {
			c.begin(dir, h.version, facts)
			c.frames(dir, payload, facts)
			return
		}
		if dir != c.tls.client {
			return
		}
	}
	// The first one of the client, or its first one behind a Retry or a version
	// negotiation. It is sent to an id that the client made up, or that the
	// Retry gave it, with a token.
	if p.failed >= maxQUICUnopened || len(h.destination) < quicMinID && len(h.token) == 0 ||
		len(h.token) == 0 && bytes.Equal(h.destination, p.source[dir.Other()].bytes()) ||
		p.failed > 0 && bytes.Equal(h.destination, p.tried.bytes()) ||
		p.conn != nil && p.conn.turns >= maxQUICTurns {
		return
	}
	for _, version := range sealedAs(h.version) {
		keys := initialKeys(version, h.destination, true)
		payload, ok := keys.open(p.context, packet, h.number)
		if !ok {
			continue
		}
		c := p.conn
		if c == nil {
			c = &quicConnection{tls: tlsParser{context: p.context, over: overQUIC, client: dir}}
			p.conn = c
		}
		c.rekey(version, h.destination)
		c.keys[0] = keys
		c.begin(dir, h.version, facts)
		c.frames(dir, payload, facts)
		return
	}
	p.failed++
	p.tried.set(h.destination)
}

// begin takes in an Initial that opened. When the client comes with another
// version before the server has said anything in the one before, its server has
// refused that, and the client begins anew (RFC 9000 section 6.2).
func (c *quicConnection) begin(dir Dir, version uint32, facts *Facts) {
	if c.spoken != version && c.spoken != 0 && dir == c.tls.client && !c.tls.sides[dir.Other()].begun {
		c.tls = tlsParser{context: c.tls.context, over: overQUIC, client: dir}
		c.crypto = [2]pieces{}
		facts.drop(TLSSNI)
		facts.drop(TLSALPN)
	}
	c.spoken = version
}

// rekey makes the keys of both ends anew.
func (c *quicConnection) rekey(version uint32, id []byte) {
	c.id.set(id)
	c.version = version
	c.turns++
	c.keys[0] = initialKeys(version, id, true)
	c.keys[1] = initialKeys(version, id, false)
}

// frames reads the payload of an Initial packet.
func (c *quicConnection) frames(dir Dir, payload []byte, facts *Facts) {
	c.tls.sides[dir].begun = true
	for r := newReader(payload); r.left() > 0 && !c.tls.settled; {
		switch typ := r.varint("frame type"); typ {
		case framePadding:
			r.off += len(r.rest()) - len(bytes.TrimLeft(r.rest(), "\x00"))
		case framePing:
		case frameACK, frameACKECN:
			r.varint("largest acknowledged")
			r.varint("delay")
			n := r.varint("ranges")
			r.varint("first range")
			for ; n > 0 && r.err() == nil; n-- {
				r.varint("gap")
				r.varint("range")
			}
			if typ == frameACKECN {
				for range 3 {
					r.varint("ECN count")
				}
			}
		case frameCrypto, frameCryptoT:
			if (typ == frameCryptoT) != (c.version == quicT050 || c.version == quicT051) {
				return
			}
			at := r.varint("offset")
			b := r.bytes("crypto data", int(min(r.varint("crypto length"), maxDatagram)))
			if r.err() == nil {
				c.handshake(dir, at, b, facts)
			}
		case frameClose:
			code := r.varint("error code")
			if r.err() == nil {
				c.closed(dir, code, facts)
			}
			return
		default:
			return // of no use here, or not allowed
		}
	}
}

// handshake takes in a piece of the TLS messages of one direction.
func (c *quicConnection) handshake(dir Dir, at uint64, b []byte, facts *Facts) {
	if at+uint64(len(b)) > maxQUICCrypto {
		c.tls.settled = true
		return
	}
	s := &c.crypto[dir]
	for ready := s.arrive(int(at), b); ready != nil; ready = s.follow() {
		if c.tls.handshake(dir, ready, facts) != nil {
			c.tls.settled = true
			return
		}
	}
}

// closed takes in that an end gives the connection up before there is one.
func (c *quicConnection) closed(dir Dir, code uint64, facts *Facts) {
	if code >= cryptoError && code < cryptoError+0x100 {
		c.tls.alert(dir, []byte{alertFatal, byte(code)}, facts)
	} else {
		c.tls.finish(failed, facts)
	}
	c.tls.settled = true
}

// short takes in a packet with a short header: from the client, once it is done
// with the handshake. It ends its datagram; first says that it begins it, too.
// Other bytes behind a packet are padding.
func (p *quicParser) short(dir Dir, b []byte, first bool, facts *Facts) {
	c := p.conn
	if c == nil {
		if p.failed > 0 {
			p.looked = maxQUICUnopened // what could open is past
		}
		return
	}
	id := p.source[dir.Other()].bytes() // what the server calls itself
	if dir != c.tls.client || b[0]&0x40 == 0 || len(b) < 1+len(id)+4+sampleSize || !first && len(id) == 0 || !bytes.HasPrefix(b[1:], id) {
		return
	}
	c.tls.finish(complete, facts)
	c.tls.settled = true
}

// Gap is not called: datagrams come whole or not at all.
func (p *quicParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, true }

// Close says what was still open.
func (p *quicParser) Close(facts *Facts) {
	if p.conn != nil {
		p.conn.tls.Close(facts)
	}
}
