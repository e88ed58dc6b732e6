package dissect

import (
	"bytes"
)

// ZMTP, the ZeroMQ message transport protocol: 1.0 (rfc.zeromq.org 13), 2.0
// (15), 3.0 (23) and 3.1 (37), with the security mechanisms NULL (in 23 and
// 37), PLAIN (24) and CURVE (26). Each end begins with a greeting:
//
//	3.x  FF padding (8) 7F  major (1) minor (1)  mechanism (20)  as-server (1)  filler (31)
//	2.0  FF padding (8) 7F  revision (1)  socket type (1), then a frame: the identity
//	1.0  a frame: the identity
//
// The first ten bytes of 2.0 and 3.x are also a 1.0 identity frame whose
// length is in the padding, so that an old peer understands them. An end says
// no more until it has seen how its peer began, and what follows is in the
// form of the older of the two. Frames are
//
//	3.x, 2.0  flags (1: 1 more, 2 long, 4 command)  size (1, or 8 if long)  body
//	1.0       size (1, or FF and 8)  flags (1: 1 more)  body; size counts flags and body
//
// and a command's body is
//
//	name size (1)  name  data
//
// Handshakes, client left:
//
//	NULL   READY                    READY
//	PLAIN  HELLO INITIATE           WELCOME READY
//	CURVE  HELLO INITIATE           WELCOME READY
//
// or ERROR, with a reason, from either. READY, and INITIATE of PLAIN, carry
// metadata: name size (1) name, value size (4) value. After CURVE's handshake
// everything travels in MESSAGE, heartbeats too.
//
// Bodies of messages are passed over unseen.

const (
	zmtpSignature = 10
	zmtpGreeting3 = 64

	zmtpMore    = 1
	zmtpLong    = 2
	zmtpCommand = 4

	maxZMTPCommand  = 4 << 10 // bytes of a command that are waited for
	maxZMTPMetadata = 32      // properties read of one command
)

var zmtp = Dissector{
	Name:  "zmtp",
	Over:  TCP,
	Ports: []uint16{7780},
	Probe: probeZMTP,
	New:   func(*Context) Parser { return &zmtpParser{} },
}

func probeZMTP(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	if b[0] != 0xff {
		return max(probeZMTP1(b), probeZMTPMidway(b))
	}
	// The padding is the size of an identity: at most 255 bytes and a flag.
	for _, c := range b[1:min(len(b), 7)] {
		if c != 0 {
			return No
		}
	}
	if len(b) > 7 && b[7] > 1 || len(b) > 9 && b[9] != 0x7f {
		return No
	}
	if len(b) <= zmtpSignature {
		return Maybe // the signature alone: the peer has not answered it
	}
	if b[zmtpSignature] > 9 {
		return No
	}
	return Yes
}

// probeZMTP1 judges the greeting of a 1.0 peer, which is but a frame. It takes
// four frames in a row, the first of them an anonymous identity, to be sure.
func probeZMTP1(b []byte) Match {
	if b[0] == 0 {
		return No
	}
	if len(b) > 1 && b[1] != 0 {
		return No
	}
	anonymous := b[0] == 1
	frames, bodies := 0, 0
	for at := 0; at < len(b); frames++ {
		size := int(b[at])
		if size == 0 || size == 0xff { // long frames are not for guessing
			return No
		}
		if at+1 == len(b) {
			break
		}
		if b[at+1] > zmtpMore {
			return No
		}
		if size > 1 {
			bodies++
		}
		at += 1 + size
	}
	switch {
	case anonymous && frames >= 4 && bodies >= 2:
		return Yes
	case frames >= 2:
		return Weak
	}
	return Maybe
}

// probeZMTPMidway knows a connection that began before the capture by a frame
// of CURVE.
func probeZMTPMidway(b []byte) Match {
	const name = "\x07MESSAGE"
	head := 2
	if b[0]&zmtpLong != 0 {
		head = 9
	}
	if b[0] > zmtpMore|zmtpLong|zmtpCommand {
		return No
	}
	if len(b) < head {
		return Maybe
	}
	if head == 2 && int(b[1]) < len(name) {
		return No
	}
	body := b[head:min(len(b), head+len(name))]
	if name[:len(body)] != string(body) {
		return No
	}
	if len(body) < len(name) {
		return Maybe
	}
	return Yes
}

// What a direction sends next.
type zmtpState uint8

const (
	zmtpStart    zmtpState = iota // nothing yet
	zmtpVersion                   // signature read
	zmtpRest                      // version read: the rest of the greeting
	zmtpIdentity                  // a frame with the identity, of 1.0 or 2.0
	zmtpFrames
)

// zmtpEnd is what is known of one end.
type zmtpEnd struct {
	state     zmtpState
	version   int // as in the greeting: 0 is 1.0, 1 and 2 are 2.0, 3 and more are 3.x
	minor     int
	known     bool // version is known
	bare      bool // the end began with a 1.0 frame, without a signature
	framing1  bool // frames are those of 1.0
	idSize    int  // size of the identity, from the signature
	mechanism string
	asServer  bool
	socket    string
	ready     bool // READY was sent
}

type zmtpParser struct {
	end      [2]zmtpEnd
	complete bool
	over     bool // rejected
	midway   bool // the greetings were not captured: what was agreed is not known
}

func (p *zmtpParser) renew() {
	*p = zmtpParser{}
}

func (p *zmtpParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	e := &p.end[dir]
	messages, heartbeats := int64(0), int64(0)
	at := 0
	var err error
	for at < len(b) && err == nil && !p.over {
		r := newReader(b[at:])
		n := 0
		greeting := e.state != zmtpFrames
		switch e.state {
		case zmtpStart:
			n, err = p.start(dir, r, facts)
			if e.known {
				p.agree(facts)
			}
		case zmtpVersion:
			n, err = p.version(dir, r, facts)
		case zmtpRest:
			n, err = p.rest(dir, r, facts)
		case zmtpIdentity:
			n, err = p.identity(dir, r, facts)
		default:
			n, err = p.frame(dir, r, at, facts, &messages, &heartbeats)
		}
		if greeting && facts.traced() {
			facts.open(dir, at, n)
		}
		at += n
	}
	if messages > 0 {
		facts.CountPair(ZMTPMessages, dir, messages)
		p.done(facts) // nobody sends messages before
	}
	if heartbeats > 0 {
		facts.CountPair(ZMTPHeartbeats, dir, heartbeats)
	}
	if p.over {
		return at, ErrDone
	}
	return at, err
}

func (p *zmtpParser) start(dir Dir, r *reader, facts *Facts) (int, error) {
	e := &p.end[dir]
	// An end that begins with neither a greeting nor a frame of 1.0 is read
	// from the first frame on, as its peer is.
	if p.midway || probeZMTP1(r.b) == No && probeZMTPMidway(r.b) == Yes {
		p.midway = true
		e.state = zmtpFrames
		return 0, nil
	}
	if r.b[0] != 0xff && probeZMTP1(r.b) == No {
		// Of another protocol, or from within a stream whose beginning was lost.
		return 0, &Malformed{"greeting", 0, "neither a signature nor a frame of 1.0"}
	}
	if r.u8("first byte") != 0xff {
		e.known, e.bare, e.framing1 = true, true, true
		e.state = zmtpIdentity
		return 0, nil
	}
	size := r.be64("padding")
	last := r.u8("signature")
	if r.err() != nil {
		return 0, r.err()
	}
	if last&1 == 0 { // a long identity of 1.0
		e.known, e.bare, e.framing1 = true, true, true
		e.state = zmtpIdentity
		return 0, nil
	}
	if size > 0 && size <= 256 {
		e.idSize = int(size) - 1
	}
	e.state = zmtpVersion
	if facts.traced() && r.left() <= 1 {
		facts.tell(dir, 0, "ZMTP greeting begins")
	}
	return r.off, nil
}

func (p *zmtpParser) version(dir Dir, r *reader, facts *Facts) (int, error) {
	e := &p.end[dir]
	if p.end[dir.Other()].bare {
		// The signature was this end's identity frame: the rest of it, then
		// the frames of 1.0.
		id := r.bytes("identity", e.idSize)
		if r.err() != nil {
			return 0, r.err()
		}
		noteZMTPIdentity(facts, id)
		e.framing1 = true
		e.state = zmtpFrames
		p.greeted(facts)
		return r.off, nil
	}
	e.version = r.u8("version")
	if r.err() != nil {
		return 0, r.err()
	}
	e.known = true
	e.state = zmtpRest
	if e.version < 3 {
		p.agree(facts)
	}
	return r.off, nil
}

// rest reads the greeting behind the version. The form is that of the older
// end: an end that speaks 3.x answers a 2.0 peer in 2.0's form. The bytes tell
// them apart by themselves: a mechanism begins with a capital letter, where
// 2.0 has the flags of the identity frame.
func (p *zmtpParser) rest(dir Dir, r *reader, facts *Facts) (int, error) {
	e := &p.end[dir]
	kind := r.u8("minor version or socket type")
	if e.version >= 3 {
		form := r.peek("mechanism")
		if r.err() != nil {
			return 0, r.err()
		}
		if form >= 'A' && form <= 'Z' {
			e.minor = kind
			return p.greeting3(dir, r, facts)
		}
		if form > zmtpMore|zmtpLong {
			return 0, &Malformed{"mechanism", 12, "not a name"}
		}
		e.version = 2 // as far as this flow goes
		if other := &p.end[dir.Other()]; other.known {
			e.version = min(e.version, other.version)
		}
		p.agree(facts)
	}
	if r.err() != nil {
		return 0, r.err()
	}
	types := [...]string{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB", "STREAM"}
	if kind < len(types) {
		e.socket = types[kind]
		if facts.traced() {
			e.traceGreeting(dir, facts)
		}
		p.noteSockets(facts, false)
	}
	e.framing1 = e.version == 0
	e.state = zmtpIdentity
	return r.off, nil
}

func (p *zmtpParser) greeting3(dir Dir, r *reader, facts *Facts) (int, error) {
	e := &p.end[dir]
	mechanism := r.bytes("mechanism", 20)
	asServer := r.u8("as-server")
	r.bytes("filler", 31)
	if r.err() != nil {
		return 0, r.err()
	}
	e.mechanism = printable(bytes.TrimRight(mechanism, "\x00"))
	e.asServer = asServer&1 != 0
	e.state = zmtpFrames
	if facts.traced() {
		e.traceGreeting(dir, facts)
	}

	key := ZMTPClientMechanism
	if dir == ToClient {
		key = ZMTPServerMechanism
	}
	facts.SetText(key, e.mechanism)
	other := &p.end[dir.Other()]
	if other.mechanism == e.mechanism {
		facts.SetText(ZMTPMechanism, e.mechanism)
	}
	if e.asServer {
		who := "client"
		switch {
		case other.asServer:
			who = "both"
		case dir == ToClient:
			who = "server"
		}
		facts.SetText(ZMTPAsServer, who)
	}
	p.agree(facts)
	return r.off, nil
}

// agree records the version: the lower of those that are known.
func (p *zmtpParser) agree(facts *Facts) {
	version := ""
	for i := range p.end {
		e := &p.end[i]
		if !e.known || e.version >= 3 && e.mechanism == "" {
			continue
		}
		v := "1.0"
		switch {
		case e.version >= 3 && e.minor > 0:
			v = "3.1"
		case e.version >= 3:
			v = "3.0"
		case e.version > 0:
			v = "2.0"
		}
		if version == "" || v < version {
			version = v
		}
	}
	if version != "" && facts.Text(ZMTPVersion) != version {
		facts.SetText(ZMTPVersion, version)
	}
}

// identity reads the frame that ends a greeting of 1.0 or 2.0.
func (p *zmtpParser) identity(dir Dir, r *reader, facts *Facts) (int, error) {
	e := &p.end[dir]
	flags, size := e.frameHeader(r)
	if r.err() != nil {
		return 0, r.err()
	}
	if size > 255 || flags&^zmtpLong != 0 {
		return 0, &Malformed{"identity", 0, "longer than 255 bytes, or in parts"}
	}
	id := r.bytes("identity", int(size))
	if r.err() != nil {
		return 0, r.err()
	}
	noteZMTPIdentity(facts, id)
	e.state = zmtpFrames
	p.greeted(facts)
	return r.off, nil
}

func noteZMTPIdentity(facts *Facts, id []byte) {
	if len(id) > 0 && facts.Text(ZMTPIdentity) == "" {
		facts.SetText(ZMTPIdentity, printable(id))
	}
}

// greeted completes the handshake of 1.0 and 2.0, which is the greeting.
func (p *zmtpParser) greeted(facts *Facts) {
	a, b := &p.end[0], &p.end[1]
	if a.state == zmtpFrames && b.state == zmtpFrames {
		p.done(facts)
	}
}

// frameHeader reads flags and the size of the body.
func (e *zmtpEnd) frameHeader(r *reader) (flags int, size uint64) {
	if e.framing1 {
		size = uint64(r.u8("frame size"))
		if size == 0xff {
			size = r.be64("long frame size")
		}
		if size == 0 {
			r.malformed("frame size", "no room for the flags")
		}
		return r.u8("frame flags") & zmtpMore, size - 1
	}
	flags = r.u8("frame flags")
	if flags > zmtpMore|zmtpLong|zmtpCommand {
		r.malformed("frame flags", "reserved bits are set")
	}
	if flags&zmtpLong != 0 {
		return flags, r.be64("long frame size")
	}
	return flags, uint64(r.u8("frame size"))
}

// frame reads the frame that r begins with, at byte at of what Parse was given.
func (p *zmtpParser) frame(dir Dir, r *reader, at int, facts *Facts, messages, heartbeats *int64) (int, error) {
	e := &p.end[dir]
	flags, size := e.frameHeader(r)
	if r.err() != nil {
		return 0, r.err()
	}
	const maxBody = 1 << 62
	if size > maxBody {
		return 0, &Malformed{"frame size", 1, "more than 2^62 bytes"}
	}
	whole := r.off + int(size)
	if flags&zmtpCommand == 0 {
		if flags&zmtpMore == 0 {
			*messages++
		}
		if facts.traced() {
			facts.hand(Message{Dir: dir, Data: true, Text: "ZMTP message", Fields: []Field{{"length", bytesOf(int(size))}}})
		}
		return whole, nil
	}

	waitFor := min(int(size), maxZMTPCommand)
	if p.complete {
		waitFor = min(waitFor, 1+len("MESSAGE"))
	}
	if r.left() < waitFor {
		return 0, ErrShort
	}
	body := r.within("command", waitFor)
	nameSize := body.u8("command name size")
	if nameSize == '^' && bytes.HasPrefix(body.rest(), []byte("RROR")) {
		// libzmq's PLAIN server writes "\x5ERROR" for "\x05" "ERROR", and the
		// compiler reads the byte 5E.
		body.bytes("command name", len("RROR"))
		if facts.traced() {
			p.traceCommand(dir, "ERROR", body, at, whole-int(size), whole, facts)
		}
		p.command(dir, "ERROR", &body, facts)
		return whole, nil
	}
	name := body.bytes("command name", nameSize)
	if err := body.err(); err != nil {
		if p.complete && size > uint64(waitFor) {
			return whole, nil // a longer name than any that is read
		}
		return 0, err
	}
	if facts.traced() {
		p.traceCommand(dir, string(name), body, at, whole-int(size), whole, facts)
	}
	switch string(name) {
	case "MESSAGE":
		*messages++
	case "PING", "PONG":
		*heartbeats++
	default:
		if !p.complete {
			p.command(dir, string(name), &body, facts)
		}
	}
	return whole, nil
}

// command takes in one command of the handshake. What it cannot read of a
// command's data is passed over: the frames around it hold.
func (p *zmtpParser) command(dir Dir, name string, data *reader, facts *Facts) {
	e := &p.end[dir]
	mechanism := e.mechanism
	switch name {
	case "HELLO":
		if mechanism == "PLAIN" {
			facts.SetFlag(ZMTPCredentials, true)
		}
	case "INITIATE":
		if mechanism == "PLAIN" {
			p.metadata(e, data, facts)
		}
	case "READY":
		e.ready = true
		if mechanism != "CURVE" {
			p.metadata(e, data, facts)
		}
		// Of PLAIN and CURVE it is the server's last word.
		if mechanism != "NULL" || p.end[dir.Other()].ready {
			p.done(facts)
		}
	case "ERROR":
		reason := data.bytes("error reason", data.u8("error reason size"))
		facts.SetText(ZMTPError, printable(reason))
		facts.SetText(ZMTPHandshake, "rejected")
		who := "client"
		if dir == ToClient {
			who = "server"
		}
		facts.SetText(ZMTPRejectedBy, who)
		p.over = true
	}
}

func (p *zmtpParser) metadata(e *zmtpEnd, r *reader, facts *Facts) {
	for i := 0; i < maxZMTPMetadata && r.left() > 0; i++ {
		name := r.bytes("property name", r.u8("property name size"))
		value := r.bytes("property value", int(r.be32("property value size")))
		if r.err() != nil {
			return
		}
		switch {
		case bytes.EqualFold(name, []byte("Socket-Type")):
			e.socket = printable(value[:min(len(value), 16)])
			p.noteSockets(facts, false)
		case bytes.EqualFold(name, []byte("Identity")):
			noteZMTPIdentity(facts, value)
		}
	}
}

// noteSockets records the socket types, the client's first: the server's waits
// for it until the flow ends.
func (p *zmtpParser) noteSockets(facts *Facts, over bool) {
	if p.end[ToServer].socket == "" && !over {
		return
	}
	for i := range p.end {
		if s := p.end[i].socket; s != "" {
			facts.Add(ZMTPSocketType, []byte(s))
		}
	}
}

func (p *zmtpParser) done(facts *Facts) {
	if !p.complete && !p.over && !p.midway {
		p.complete = true
		facts.SetText(ZMTPHandshake, "complete")
		if facts.traced() {
			facts.conclude(ToServer, "the handshake is complete")
		}
	}
}

func (p *zmtpParser) Gap(dir Dir, held []byte, n uint64, _ *Facts) (uint64, bool) {
	e := &p.end[dir]
	if e.state != zmtpFrames || len(held) == 0 {
		return 0, false
	}
	r := newReader(held)
	_, size := e.frameHeader(r)
	lost := uint64(len(held)) + n
	end := uint64(r.off) + size
	if r.err() != nil || end < size || end < lost {
		return 0, false
	}
	return end - lost, true
}

func (p *zmtpParser) Close(facts *Facts) {
	p.noteSockets(facts, true)
	if !p.complete && !p.over && !p.midway {
		facts.SetText(ZMTPHandshake, "incomplete")
	}
}
