package dissect

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
)

// Decryption of TLS over TCP with the secrets of a key log. It stands between
// the record layer and the readers of what records hold: a sealed record that
// opens goes to the same readers as one in clear, and application data to an
// inner dissection. A record that does not open is treated as if there were no
// keys.
//
// Which keys hold when:
//
//	up to TLS 1.2   from the ChangeCipherSpec of a direction on; again from one
//	                inside a renegotiation on
//	TLS 1.3         the server's handshake secret from the ServerHello to its
//	                Finished, then its traffic secret; the client's early secret
//	                to EndOfEarlyData, its handshake secret to Finished, then its
//	                traffic secret; the next traffic secret from a KeyUpdate on
//
// Early data that the server refused ends without EndOfEarlyData: where early
// keys stop opening records, those of the handshake are tried.

const (
	maxEarlyRecords = 64       // of the client that wait for the ServerHello
	maxEarlyBytes   = 64 << 10 // in them
	maxUnopened     = 8        // records in a row that do not open before a direction is given up
	maxUnopened0RTT = 512      // likewise of a client whose early data there are no keys of
	maxSeqAhead     = 64       // record numbers that are tried behind a gap
	maxInnerHeld    = 8 << 20  // bytes that wait in all inner dissections
	maxInflated     = 64 << 10 // bytes of a certificate message that was compressed
)

var errNotSealedSo = errors.New("does not authenticate")

// Handshake messages that matter in sealed records alone (RFC 8446 section 4,
// RFC 8879).
const (
	msgEndOfEarlyData        = 5
	msgEncryptedExtensions   = 8
	msgKeyUpdate             = 24
	msgCompressedCertificate = 25
)

// tlsOpener opens the records of one connection.
type tlsOpener struct {
	keys    *KeyLog
	client  [32]byte // random of the ClientHello
	server  [32]byte // of the ServerHello
	secrets *tlsSecrets
	sealing sealing
	known   bool   // sealing is
	earlier []byte // master secret of the session that the client asked to resume
	etm     bool   // encrypt-then-MAC

	sides   [2]openSide
	waiting []earlyRecord // of the client, until the ServerHello is there
	bytes   int           // in them

	opened   bool // a record was
	sealed   bool // a sealed record was seen that keys were wanted for
	finished bool // the client's Finished was read
	accepted bool // the server went on behind it
	inner    *State
}

// openSide is the keys of one direction.
type openSide struct {
	opener   recordOpener // nil without keys
	seq      uint64       // number of the next record
	kind     secretKind   // of the secret in use, TLS 1.3
	secret   []byte       // it, TLS 1.3
	turn     int          // a message that ends the use of these keys: 0 for none
	unopened int          // records in a row
	lost     bool         // records are missing: seq is a lower bound
	missed   bool         // records were missing at some time
	gap      bool         // the inner dissection is still to be told
	dead     bool
}

// earlyRecord is one that came before it was known how to open it.
type earlyRecord struct {
	typ, version int
	fragment     []byte
	frame        uint64
	now          int64
}

// keyed readies decryption when there are keys at all: called for every
// ClientHello, with its random.
func (p *tlsParser) keyed(dir Dir, h *clientHello) {
	random := h.random
	if p.context.Keys == nil || len(random) != 32 || p.serverHello != helloMissing && (p.opener == nil || dir != p.client || p.tls13()) {
		return
	}
	if p.opener == nil {
		p.opener = &tlsOpener{keys: p.context.Keys}
	}
	o := p.opener
	o.client = [32]byte(random)
	o.waiting, o.bytes = nil, 0 // early data ahead of a HelloRetryRequest is refused
	o.secrets = o.keys.connections[o.client]
	if o.earlier = o.keys.remembered(h.ticket); o.earlier == nil {
		o.earlier = o.keys.remembered(h.sessionID)
	}
}

// chosen takes in what the server chose.
func (o *tlsOpener) chosen(p *tlsParser, dir Dir, h *serverHello) {
	if len(h.random) != 32 || h.retry {
		return
	}
	o.server = [32]byte(h.random)
	o.sealing, o.known = sealingOf(uint16(h.suite))
	o.etm = h.hasETM
	if h.compression != 0 {
		o.known = false
	}
	if o.secrets == nil {
		o.secrets = o.keys.connections[o.client] // a capture may bring it with it
	}
	if o.secrets != nil && negotiated(h.version) <= versionTLS12 {
		o.keys.remember(h.sessionID, o.secrets[masterSecret])
	}
	if o.secrets == nil || !o.known || negotiated(h.version) != versionTLS13 || p.serverHello == helloRead {
		return
	}
	o.use(dir, serverHandshakeSecret)
	client := &o.sides[dir.Other()]
	if p.offersEarly && o.secrets[clientEarlySecret] != nil {
		o.use(dir.Other(), clientEarlySecret)
	}
	if client.opener == nil {
		o.use(dir.Other(), clientHandshakeSecret)
	}
}

// use makes kind the secret of a direction, from the next record on.
func (o *tlsOpener) use(dir Dir, kind secretKind) {
	s := &o.sides[dir]
	s.kind, s.secret, s.seq, s.turn = kind, o.secrets[kind], 0, 0
	s.opener = o.sealing.opener13(s.secret)
}

// skipTo takes up the keys behind those in use, TLS 1.3, where there are any.
func (o *tlsOpener) skipTo(dir Dir) bool {
	s := &o.sides[dir]
	switch s.kind {
	case clientEarlySecret:
		o.use(dir, clientHandshakeSecret)
	case clientHandshakeSecret:
		o.use(dir, clientTrafficSecret)
	case serverHandshakeSecret:
		o.use(dir, serverTrafficSecret)
	default:
		return false
	}
	return s.opener != nil
}

// live says that records of dir may still be opened.
func (o *tlsOpener) live(dir Dir) bool {
	return o.sides[dir].opener != nil && !o.sides[dir].dead
}

// decrypting says that there is a point in reading on.
func (p *tlsParser) decrypting() bool {
	return p.opener != nil && (p.opener.live(ToServer) || p.opener.live(ToClient))
}

// changed takes in a ChangeCipherSpec up to TLS 1.2.
func (o *tlsOpener) changed(p *tlsParser, dir Dir) {
	if o.secrets == nil && o.earlier != nil && p.resumed {
		o.secrets = &tlsSecrets{masterSecret: o.earlier} // not every program logs it again
	}
	if p.version > versionTLS12 || p.version < versionTLS10 {
		return
	}
	s := &o.sides[dir]
	s.opener, s.seq, s.lost = nil, 0, false
	if o.secrets == nil || !o.known || o.secrets[masterSecret] == nil {
		return
	}
	client := 0
	if dir != p.client {
		client = 1
	}
	s.opener = o.sealing.openers12(p.version, o.secrets[masterSecret], &o.client, &o.server, o.etm)[client]
}

// wants says whether a record is to be had whole: it may open.
func (o *tlsOpener) wants(p *tlsParser, dir Dir, typ int) bool {
	if p.serverHello == helloMissing {
		return dir == p.client && o.secrets != nil && typ == recordApplication && len(o.waiting) < maxEarlyRecords
	}
	return o.live(dir) && (!p.tls13() || typ == recordApplication)
}

// sealed takes in a record that keys may open.
func (p *tlsParser) sealedRecord(dir Dir, typ, version int, fragment []byte, facts *Facts) error {
	o := p.opener
	if p.serverHello == helloMissing {
		if o.bytes+len(fragment) <= maxEarlyBytes {
			o.bytes += len(fragment)
			o.waiting = append(o.waiting, earlyRecord{typ, version, bytes.Clone(fragment), facts.Frame, facts.Now})
		}
		p.opaque(dir, typ, version, len(fragment), facts)
		return nil
	}
	content, typ2, ok := o.open(p, dir, typ, version, fragment)
	if !ok {
		if p.infers() {
			p.opaque(dir, typ, version, len(fragment), facts)
		}
		return nil
	}
	return p.openedRecord(dir, typ2, content, facts)
}

// openWaiting opens what came before the ServerHello.
func (p *tlsParser) openWaiting(facts *Facts) error {
	o := p.opener
	frame, now := facts.Frame, facts.Now
	defer func() { facts.Frame, facts.Now = frame, now }()
	list := o.waiting
	o.waiting, o.bytes = nil, 0
	for _, r := range list {
		if !o.live(p.client) {
			break
		}
		facts.Frame, facts.Now = r.frame, r.now
		if content, typ, ok := o.open(p, p.client, r.typ, r.version, r.fragment); ok {
			if err := p.openedRecord(p.client, typ, content, facts); err != nil {
				return err
			}
		}
	}
	return nil
}

// open returns what a record holds and of which type that is. The content is
// good until the next record is opened.
func (o *tlsOpener) open(p *tlsParser, dir Dir, typ, version int, fragment []byte) (content []byte, inner int, ok bool) {
	s := &o.sides[dir]
	o.sealed = true
	content, ok = s.try(p.context.plain[:0], typ, version, fragment)
	before := *s
	for !ok && (s.kind == clientEarlySecret || s.lost && p.tls13()) && o.skipTo(dir) {
		// Early data is over or was never sealed so, or the message that ends
		// the use of these keys was lost.
		content, ok = s.try(p.context.plain[:0], typ, version, fragment)
	}
	if !ok {
		*s = before
	}
	if !ok {
		limit := maxUnopened
		if dir == p.client && p.offersEarly && (s.kind == clientEarlySecret || s.kind == clientHandshakeSecret) && s.seq == 0 {
			limit = maxUnopened0RTT
		}
		if s.unopened++; s.unopened >= limit || s.opener.ordered() {
			s.dead = true
		}
		return nil, 0, false
	}
	p.context.plain = content // the largest so far is kept for the next
	s.seq++
	s.unopened, s.lost = 0, false
	if !o.opened {
		o.opened = true
		o.keys.stats.Opened++
	}
	if !p.tls13() {
		return content, typ, true
	}
	// Content, its type, and zeros as padding (RFC 8446 section 5.4).
	content = bytes.TrimRight(content, "\x00")
	if len(content) == 0 {
		return nil, 0, true
	}
	last := len(content) - 1
	return content[:last], int(content[last]), true
}

// try opens a record by its number. Behind a gap the numbers that may have been
// lost are tried, too, where records can be opened out of order.
func (s *openSide) try(dst []byte, typ, version int, fragment []byte) ([]byte, bool) {
	last := s.seq
	if s.lost && !s.opener.ordered() {
		last += maxSeqAhead
	}
	for seq := s.seq; seq <= last; seq++ {
		if content, ok := s.opener.open(dst, seq, typ, version, fragment); ok {
			s.seq = seq
			return content, true
		}
	}
	return nil, false
}

// openedRecord reads what a sealed record held.
func (p *tlsParser) openedRecord(dir Dir, typ int, content []byte, facts *Facts) (err error) {
	o := p.opener
	s := &o.sides[dir]
	if p.sides[dir].sealed < maxRecords {
		p.sides[dir].sealed++
	}
	if !facts.knows(TLSDecrypted) {
		facts.SetText(TLSDecrypted, "yes")
	}
	p.opened = true
	defer func() { p.opened = false }()
	switch typ {
	case recordHandshake:
		err = p.handshake(dir, content, facts)
		if s.turn != 0 && p.sides[dir].drop == 0 {
			o.advance(dir, p.client)
		}
	case recordAlert:
		if len(content) == 2 {
			p.alert(dir, content, facts)
		}
	case recordCCS:
		o.changed(p, dir)
	case recordApplication:
		if dir == p.server() && o.finished {
			o.accepted = true
		}
		if !p.tls13() && p.outcome == open {
			p.finish(complete, facts)
		}
		p.inside(dir, content, facts)
	}
	return err
}

// advance takes up the next keys of a direction, TLS 1.3.
func (o *tlsOpener) advance(dir, client Dir) {
	s := &o.sides[dir]
	turn := s.turn
	s.turn = 0
	switch {
	case turn == msgKeyUpdate:
		if s.secret = o.sealing.nextSecret(s.secret); s.secret != nil {
			s.opener = o.sealing.opener13(s.secret)
			s.seq = 0
		}
	case turn == msgEndOfEarlyData:
		o.use(dir, clientHandshakeSecret)
	case dir == client:
		o.use(dir, clientTrafficSecret)
	default:
		o.use(dir, serverTrafficSecret)
	}
}

// noteOpened takes in that a message begins in a sealed record.
func (p *tlsParser) noteOpened(dir Dir, typ int, facts *Facts) {
	o := p.opener
	s := &o.sides[dir]
	switch typ {
	case msgFinished:
		p.sides[dir].finished = true
		if !p.tls13() {
			if p.sides[0].finished && p.sides[1].finished && p.outcome == open {
				p.finish(complete, facts)
			}
			return
		}
		s.turn = typ
		if dir == p.client {
			o.finished = true
			if p.outcome == open {
				p.finish(complete, facts)
			}
			if !p.resumed && !s.missed {
				p.sayClientCert(facts, "absent", "decrypted") // unless a Certificate said otherwise
			}
		}
	case msgKeyUpdate, msgEndOfEarlyData:
		if p.tls13() {
			s.turn = typ
		}
	}
}

// ticket takes in the body of a NewSessionTicket, in TLS 1.2 (RFC 5077 section
// 3.3)
//
//	lifetime   4
//	ticket     2 + n
//
// with which a later connection takes up the master secret of this one. Of TLS
// 1.3 it only shows that the server accepted the client.
func (o *tlsOpener) ticket(p *tlsParser, r *reader) {
	if p.tls13() {
		o.accepted = o.accepted || o.finished
		return
	}
	r.be32("lifetime")
	if t := r.bytes("ticket", r.be16("ticket length")); o.secrets != nil {
		o.keys.remember(t, o.secrets[masterSecret])
	}
}

// established says that an alert comes too late to end the handshake: both
// ends had accepted each other.
func (p *tlsParser) established() bool {
	return p.opened && p.outcome == complete && (!p.tls13() || p.opener.accepted)
}

// basis says how what a message holds is known.
func (p *tlsParser) basis() string {
	if p.opened {
		return "decrypted"
	}
	return "observed"
}

// readEncryptedExtensions takes in what the server says of protocols:
//
//	extensions   2 + n
func (p *tlsParser) readEncryptedExtensions(r *reader, facts *Facts) error {
	block := r.within("extensions", r.be16("extensions length"))
	for block.left() > 0 {
		typ := block.be16("extension type")
		ext := block.within("extension", block.be16("extension length"))
		if typ == extALPN {
			list := ext.within("protocols", ext.be16("protocols length"))
			if name := list.bytes("protocol", list.u8("protocol length")); len(name) > 0 {
				facts.SetText(TLSALPNSelected, protocolName(name))
			}
		}
	}
	return r.err()
}

// readCompressedCertificate takes in a Certificate message that is compressed
// (RFC 8879 section 4):
//
//	algorithm             2   1 zlib, 2 brotli, 3 zstd
//	uncompressed length   3
//	data                  3 + n
//
// Where its content cannot be had, its length tells whether a certificate is
// in it: an empty message has 4 bytes and the context.
func (p *tlsParser) readCompressedCertificate(dir Dir, r *reader, facts *Facts) error {
	const zlibAlgorithm, shortest = 1, 4 + 255
	algorithm := r.be16("algorithm")
	length := r.be24("uncompressed length")
	data := r.bytes("compressed certificate", r.be24("compressed length"))
	if r.err() != nil {
		return r.err()
	}
	if algorithm == zlibAlgorithm && length <= maxInflated {
		if z, err := zlib.NewReader(bytes.NewReader(data)); err == nil {
			plain, err := io.ReadAll(io.LimitReader(z, int64(length)))
			if err == nil && len(plain) == length {
				in := reader{b: plain, nested: true, first: new(error)}
				return p.readCertificates(dir, &in, facts)
			}
		}
	}
	if dir == p.client && length > shortest {
		if p.opener.finished {
			facts.SetText(TLSClientCertLater, "present")
		} else {
			p.sayClientCert(facts, "present", "decrypted")
		}
	}
	return nil
}

// innerDissectors are the protocols that are read inside TLS.
func innerDissectors() []Dissector { return []Dissector{http, http2} }

// innerSet is what the inner dissections of a run share.
func (c *Context) innerSet() *Set {
	if c.inner == nil {
		// Nobody traces it: what it reads is nowhere in the capture.
		c.inner = NewSet(innerDissectors(), new(Context), maxInnerHeld)
	}
	return c.inner
}

// inside dissects application data. What is learned joins the facts of the
// flow, which is still named after TLS.
func (p *tlsParser) inside(dir Dir, b []byte, facts *Facts) {
	o := p.opener
	if o.inner == nil {
		o.inner = new(State)
	}
	s := &o.sides[dir]
	if len(b) == 0 && !s.gap {
		return
	}
	inner := ToServer // the client of TLS is that of what is inside
	if dir != p.client {
		inner = ToClient
	}
	set := p.context.innerSet()
	p.within(facts, func(state *State) {
		if s.gap {
			// How much of the inner stream is missing cannot be told: more
			// than any message.
			const unknown = 1 << 40
			s.gap = false
			state.Gap(set, inner, unknown)
		}
		state.Data(set, TCP, inner, [2]uint16{}, true, b)
	})
	if o.inner.phase == done && p.settled && !p.offersLater {
		// What is inside is none of the protocols that are read there, or says
		// nothing more, and the handshake is over: the rest stays sealed.
		o.sides[0].opener, o.sides[1].opener = nil, nil
	}
}

// within lends the flow's facts to the inner dissection.
func (p *tlsParser) within(facts *Facts, do func(*State)) {
	state := p.opener.inner
	refined, trace := facts.refined, facts.trace
	state.Facts = *facts
	state.trace = nil
	do(state)
	*facts = state.Facts
	facts.refined, facts.trace = refined, trace
}

// lose takes in that bytes of dir are missing.
func (o *tlsOpener) lose(dir Dir) {
	s := &o.sides[dir]
	s.lost, s.missed, s.gap = true, true, o.inner != nil
}

// closeOpener ends the inner dissection and keeps account.
func (p *tlsParser) closeOpener(facts *Facts) {
	o := p.opener
	if o.inner != nil {
		set := p.context.innerSet()
		p.within(facts, func(state *State) { state.Close(set) })
	}
	switch {
	case o.opened:
		if o.sides[0].dead || o.sides[1].dead {
			facts.SetText(TLSDecrypted, "partly")
		}
	case o.secrets != nil && (o.sealed || p.sides[0].sealed+p.sides[1].sealed > 0):
		o.keys.stats.Failed++
		facts.SetText(TLSDecrypted, "no")
	case o.secrets == nil && p.serverHello != helloMissing && p.sides[0].sealed+p.sides[1].sealed > 0:
		o.keys.stats.Closed++
	}
}
