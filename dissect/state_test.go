package dissect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// script is a protocol for these tests. Each message is
//
//	mark (1)  length (1)  body
//
// with the mark its own. Every message is a fact; these bodies do more:
//
//	"end"      nothing more is read
//	"over"     another protocol follows
//	"bad"      malformed
//	"skip N"   N bytes behind the message are passed over
type script struct {
	mark byte
	gaps []string
}

func scripted(name string, mark byte, ports ...uint16) Dissector {
	return Dissector{
		Name: name, Over: TCP | UDP, Ports: ports,
		Probe: func(dir Dir, b []byte) Match {
			switch {
			case len(b) == 0 || b[0] == '?':
				return Maybe
			case b[0] == mark:
				return Yes
			case b[0] == mark+' ': // a lower-case letter: the server's
				return FromServer
			}
			return No
		},
		New: func(*Context) Parser { return &script{mark: mark} },
	}
}

func (p *script) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	mark := byte(r.u8("mark"))
	body := string(r.bytes("body", r.u8("length")))
	if r.err() != nil {
		return 0, r.err()
	}
	facts.Add(HTTPMethod, fmt.Appendf(nil, "%d%c%s", dir, mark, body))
	var n int
	switch {
	case body == "end":
		return r.off, ErrDone
	case body == "over":
		return r.off, ErrHandOver
	case body == "bad":
		return 0, &Malformed{"body", 2, "bad"}
	}
	if _, err := fmt.Sscanf(body, "skip %d", &n); err == nil {
		return r.off + n, nil
	}
	return r.off, nil
}

func (p *script) Gap(dir Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	p.gaps = append(p.gaps, fmt.Sprintf("%d:%s+%d", dir, held, n))
	facts.SetText(HTTPServer, strings.Join(p.gaps, " "))
	return 1, string(held) == "A" // a message whose length is known to be lost
}

func (p *script) Close(facts *Facts) { facts.SetText(SMBStatus, "closed") }

func say(mark byte, body string) []byte {
	return append([]byte{mark, byte(len(body))}, body...)
}

// stage is one State with two scripted protocols, a on port 1 and b on port 2.
type stage struct {
	t   *testing.T
	set *Set
	State
	ports [2]uint16
	sure  bool
}

func newStage(t *testing.T, maxHeld int) *stage {
	list := []Dissector{scripted("a", 'A', 1), scripted("b", 'B', 2)}
	return &stage{t: t, set: NewSet(list, &Context{}, maxHeld), ports: [2]uint16{999, 1000}, sure: true}
}

// data delivers pieces of one direction over TCP and checks the accounts.
func (s *stage) data(dir Dir, pieces ...[]byte) (flip bool) {
	s.t.Helper()
	for _, b := range pieces {
		b = bytes.Clone(b)
		flip = s.Data(s.set, TCP, dir, s.ports, s.sure, b) || flip
		for i := range b {
			b[i] = '!' // whoever kept the caller's bytes will see
		}
		s.accounts()
	}
	return flip
}

func (s *stage) gap(dir Dir, n uint64) {
	s.t.Helper()
	s.Gap(s.set, dir, n)
	s.accounts()
}

func (s *stage) accounts() {
	s.t.Helper()
	if waits := len(s.waiting[0]) + len(s.waiting[1]); s.set.Held() != waits {
		s.t.Fatalf("%d bytes accounted for, %d wait", s.set.Held(), waits)
	}
	if s.phase == done && s.set.Held() != 0 {
		s.t.Fatalf("done, and %d bytes wait", s.set.Held())
	}
}

// heard is every message parsed, as direction, mark and body.
func (s *stage) heard(want ...string) {
	s.t.Helper()
	var got []string
	for _, f := range s.All() {
		if f.Key == HTTPMethod {
			got = append(got, f.Str)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("heard %q, want %q", got, want)
	}
}

func (s *stage) is(protocol string, basis Basis) {
	s.t.Helper()
	if s.Protocol(s.set) != protocol || s.By() != basis {
		s.t.Errorf("protocol %q by %q, want %q by %q", s.Protocol(s.set), s.By(), protocol, basis)
	}
}

func TestStateBasis(t *testing.T) {
	s := newStage(t, 1000)
	s.data(ToServer, say('A', "x"))
	s.is("a", ByContent)

	s = newStage(t, 1000)
	s.ports[1] = 1
	s.data(ToServer, say('A', "x"))
	s.is("a", ByBoth)

	s = newStage(t, 1000)
	s.ports[1] = 1
	s.data(ToServer, say('B', "x"))
	s.is("b", ByContent) // the port only hints
}

func TestStateKeepsWhatIsShort(t *testing.T) {
	s := newStage(t, 1000)
	message := say('A', "hello")
	s.data(ToServer, message[:1], message[1:4])
	if s.set.Held() != 4 {
		t.Errorf("%d bytes wait, want 4", s.set.Held())
	}
	s.data(ToServer, append(message[4:], say('A', "again")...), say('A', "third"))
	s.heard("0Ahello", "0Aagain", "0Athird")
	if s.set.Held() != 0 {
		t.Errorf("%d bytes wait, want none", s.set.Held())
	}
}

// What the other direction sent before the protocol was known is parsed, in
// the order in which the directions began.
func TestStateOtherDirectionSpokeFirst(t *testing.T) {
	s := newStage(t, 1000)
	undecided := append([]byte("?"), say('A', "from server")[1:]...)
	s.data(ToClient, undecided[:3], undecided[3:])
	if s.Protocol(s.set) != "" || s.set.Held() != len(undecided) {
		t.Fatalf("protocol %q, %d bytes wait", s.Protocol(s.set), s.set.Held())
	}
	s.data(ToServer, say('A', "from client"))
	s.heard("1?from server", "0Afrom client")
	if s.set.Held() != 0 {
		t.Errorf("%d bytes wait", s.set.Held())
	}

	// The same where the later direction decides after the earlier began again.
	s = newStage(t, 1000)
	s.data(ToClient, []byte("?"))
	s.data(ToServer, []byte("?"))
	s.data(ToClient, []byte("\x01x"))
	s.data(ToServer, []byte("\x01y"))
	s.heard() // nobody said what it is
	s.Close(s.set)
	s.accounts()
}

// What cannot be the protocol in one direction does not keep it from being
// found, nor from being parsed, in the other.
func TestStateRulesOutByDirection(t *testing.T) {
	s := newStage(t, 1000)
	s.data(ToClient, []byte("neither a nor b"))
	if !s.Done(ToClient) || s.Done(ToServer) {
		t.Fatalf("done: %v %v", s.Done(ToServer), s.Done(ToClient))
	}
	s.data(ToServer, say('B', "x"), say('B', "end"))
	s.is("b", ByContent)
	s.heard("0Bx", "0Bend")
	if s.Broken() != nil {
		t.Error(s.Broken())
	}

	s = newStage(t, 1000)
	s.data(ToClient, []byte("neither"))
	s.data(ToServer, []byte("nor"))
	if s.phase != done {
		t.Error("both directions are ruled out, and it goes on")
	}
}

func TestStateProbesNoLongerThanMaxProbe(t *testing.T) {
	s := newStage(t, 1<<20)
	for range maxProbe / 64 {
		s.data(ToServer, bytes.Repeat([]byte("?"), 64))
	}
	if !s.Done(ToServer) || s.Done(ToClient) || s.set.Held() != 0 {
		t.Errorf("done %v %v, %d bytes wait", s.Done(ToServer), s.Done(ToClient), s.set.Held())
	}
}

func TestStateSkips(t *testing.T) {
	s := newStage(t, 1000)
	s.data(ToServer, say('A', "skip 10"), []byte("1234"))
	s.data(ToClient, say('A', "between"))
	s.data(ToServer, []byte("56"), append([]byte("7890"), say('A', "after")...))
	s.heard("0Askip 10", "1Abetween", "0Aafter")

	// The end of the skip and a part of the next message in one piece.
	s = newStage(t, 1000)
	s.data(ToServer, say('A', "skip 3"), []byte("123A"), []byte("\x01x"))
	s.heard("0Askip 3", "0Ax")
}

func TestStateGaps(t *testing.T) {
	// Inside a skip: the parser never knows.
	s := newStage(t, 1000)
	s.data(ToServer, say('A', "skip 10"), []byte("12"))
	s.gap(ToServer, 8)
	s.data(ToServer, say('A', "after"))
	s.heard("0Askip 10", "0Aafter")
	if s.Lost() || s.Has(HTTPServer) {
		t.Error("a gap inside a skip is of no account")
	}

	// Beyond the end of a skip: the rest of it is the parser's.
	s = newStage(t, 1000)
	s.data(ToServer, say('A', "skip 10"))
	s.gap(ToServer, 12)
	if s.Text(HTTPServer) != "0:+2" || !s.Done(ToServer) || s.Done(ToClient) || !s.Lost() {
		t.Errorf("gap %q, done %v %v", s.Text(HTTPServer), s.Done(ToServer), s.Done(ToClient))
	}
	s.data(ToServer, say('A', "not read"))
	s.data(ToClient, say('A', "read"))
	s.heard("0Askip 10", "1Aread")
	s.gap(ToClient, 1)
	if s.phase != done || s.Text(SMBStatus) != "closed" {
		t.Error("both directions are lost, and it goes on")
	}

	// The parser knows how to go on: a byte behind the gap.
	s = newStage(t, 1000)
	s.data(ToServer, say('A', "x"), []byte("A"))
	s.gap(ToServer, 5)
	if s.set.Held() != 0 || s.Text(HTTPServer) != "0:A+5" {
		t.Errorf("%d bytes wait, gap %q", s.set.Held(), s.Text(HTTPServer))
	}
	s.data(ToServer, append([]byte("."), say('A', "y")...))
	s.heard("0Ax", "0Ay")
}

func TestStateGapsWhileProbing(t *testing.T) {
	// Behind a gap may be a beginning.
	s := newStage(t, 1000)
	s.gap(ToServer, 1)
	s.data(ToServer, say('A', "x"))
	s.heard("0Ax")
	if !s.Lost() {
		t.Error("a gap was met")
	}

	// What waited before it is none.
	s = newStage(t, 1000)
	s.data(ToServer, []byte("?"))
	s.gap(ToServer, 1)
	s.data(ToServer, say('A', "x"))
	s.heard("0Ax")

	// The direction that did not decide lost its beginning: the parser hears
	// of it, and cannot go on.
	s = newStage(t, 1000)
	s.gap(ToClient, 7)
	s.data(ToClient, []byte("?\x01y"))
	s.data(ToServer, say('A', "x"))
	s.heard("0Ax")
	if s.Text(HTTPServer) != "1:+7" || !s.Done(ToClient) {
		t.Errorf("gap %q, done %v", s.Text(HTTPServer), s.Done(ToClient))
	}
}

func TestStateBoundsWhatWaits(t *testing.T) {
	// One direction: a body of 255 bytes that never comes costs nothing more.
	s := newStage(t, 100)
	s.data(ToServer, []byte{'A', 255})
	s.data(ToServer, make([]byte, 90))
	if s.set.Held() != 92 || s.Done(ToServer) {
		t.Fatalf("%d bytes wait, done %v", s.set.Held(), s.Done(ToServer))
	}
	s.data(ToServer, make([]byte, 9))
	if s.set.Held() != 0 || !s.Done(ToServer) || s.Done(ToClient) || !s.Lost() {
		t.Errorf("%d bytes wait, done %v %v", s.set.Held(), s.Done(ToServer), s.Done(ToClient))
	}
	s.data(ToClient, say('A', "x"))
	s.heard("1Ax")

	// All flows together.
	other := State{}
	s = newStage(t, 100)
	s.data(ToServer, append([]byte{'A', 200}, make([]byte, 60)...))
	other.Data(s.set, TCP, ToServer, s.ports, true, append([]byte{'A', 200}, make([]byte, 60)...))
	if s.set.Held() != 62 || !other.Done(ToServer) {
		t.Errorf("%d bytes wait, done %v", s.set.Held(), other.Done(ToServer))
	}
	other.Close(s.set)
	s.Close(s.set)
	s.accounts()
}

// TestHeldByParsers: what Parsers keep of unfinished messages is bounded with
// what waits, over all flows together, and given back at the end.
func TestHeldByParsers(t *testing.T) {
	record := func(typ byte, n int) []byte {
		return append([]byte{typ, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	hello := record(recordHandshake, 16000)
	copy(hello[recordHeader:], []byte{msgClientHello, 0, 0xf0, 0, 3, 3}) // of 61440 bytes
	dtls := make([]byte, 13+12+1000)
	copy(dtls, []byte{recordHandshake, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, (12 + 1000) >> 8, (12 + 1000) & 0xff,
		msgClientHello, 0, 0x3f, 0xff, 0, 0, 0, 0x10, 0, 0, 1000 >> 8, 1000 & 0xff}) // the part from 4096 on
	for _, c := range []struct {
		name  string
		over  Transport
		port  uint16
		bytes []byte
		most  int // more than one flow holds
	}{
		{"tls", TCP, 443, hello, 17000},
		{"dtls", UDP, 443, dtls, 1100},
	} {
		set := NewSet(All(), &Context{}, 4*c.most)
		states := make([]State, 100)
		held := 0
		for i := range states {
			s := &states[i]
			s.Data(set, c.over, ToServer, [2]uint16{40000, c.port}, true, c.bytes)
			if name := s.Protocol(set); name != c.name {
				t.Fatalf("%s was taken for %q", c.name, name)
			}
			if held = max(held, s.own); set.Held() > set.maxHeld+c.most {
				t.Fatalf("%s: %d bytes held, of %d", c.name, set.Held(), set.maxHeld)
			}
		}
		if held == 0 || !states[len(states)-1].Done(ToServer) || !states[len(states)-1].Lost() {
			t.Errorf("%s: a Parser held %d bytes; the last flow is read on: %v", c.name, held, !states[len(states)-1].Done(ToServer))
		}
		for i := range states {
			states[i].Close(set)
		}
		if set.Held() != 0 {
			t.Errorf("%s: %d bytes held after the end", c.name, set.Held())
		}
	}
}

func TestStateFlips(t *testing.T) {
	// A server's message in what was taken for the client's direction.
	s := newStage(t, 1000)
	s.sure = false
	s.data(ToClient, []byte("?\x01x"))
	if !s.data(ToServer, say('a', "y")) {
		t.Fatal("the ends were not turned round")
	}
	s.heard("0?x", "1ay")
	if !s.Oriented() {
		t.Error("the bytes told who is who")
	}
	// The caller turned round, too: what came to the server comes to the client.
	s.data(ToClient, say('a', "z"))
	s.heard("0?x", "1ay", "1az")

	// The caller is sure.
	s = newStage(t, 1000)
	if s.data(ToServer, say('a', "y")) {
		t.Error("the ends were turned round")
	}
	s.heard("0ay")

	// What was abandoned stays so, under its other name.
	s = newStage(t, 1000)
	s.sure = false
	s.data(ToClient, []byte("neither"))
	s.data(ToServer, say('a', "y"))
	s.heard("1ay")
	if !s.Done(ToServer) || s.Done(ToClient) {
		t.Errorf("done: %v %v", s.Done(ToServer), s.Done(ToClient))
	}
}

func TestStateEnds(t *testing.T) {
	s := newStage(t, 1000)
	s.data(ToClient, say('A', "x"), []byte("A"))
	s.data(ToServer, append(say('A', "end"), say('A', "more")...))
	s.heard("1Ax", "0Aend")
	if s.phase != done || s.Text(SMBStatus) != "closed" || s.Broken() != nil {
		t.Errorf("phase %d, %q, broken %v", s.phase, s.Text(SMBStatus), s.Broken())
	}

	// What one end contradicts itself in says nothing of the other end.
	s = newStage(t, 1000)
	s.data(ToServer, say('A', "bad"), say('A', "more"))
	first := s.Broken()
	if first == nil || !s.Done(ToServer) || s.Done(ToClient) || s.Text(SMBStatus) != "" {
		t.Errorf("done %v and %v, broken %v, %q", s.Done(ToServer), s.Done(ToClient), first, s.Text(SMBStatus))
	}
	s.data(ToClient, say('A', "answer"), say('A', "bad"), say('A', "more"))
	if s.Broken() != first || s.phase != done || s.Text(SMBStatus) != "closed" {
		t.Errorf("phase %d, broken %v, first %v", s.phase, s.Broken(), first)
	}
	s.heard("0Abad", "1Aanswer", "1Abad")
	s.is("a", ByContent) // what it was stays known

	s = newStage(t, 1000)
	s.Close(s.set)
	s.Close(s.set)
	s.is("", Unknown)
}

func TestStateHandsOver(t *testing.T) {
	// The rest of the piece, and what waits of the other direction, are probed.
	s := newStage(t, 1000)
	s.data(ToServer, say('A', "x"), []byte("B"))
	s.data(ToClient, append(say('A', "over"), say('B', "y")...))
	s.data(ToServer, []byte("\x01z"))
	s.heard("0Ax", "1Aover", "1By", "0Bz")
	s.is("a", ByContent) // named after the first
	if s.set.Held() != 0 {
		t.Errorf("%d bytes wait", s.set.Held())
	}

	// A carrier gives its place to what it carries.
	s = newStage(t, 1000)
	s.set.list[0].Carrier = true
	s.ports[1] = 2
	s.data(ToServer, say('A', "over"))
	s.is("a", ByContent)
	s.data(ToServer, say('B', "y"))
	s.is("b", ByBoth)

	// Nothing hands over to itself: it would never end.
	s = newStage(t, 1000)
	s.data(ToServer, bytes.Repeat(say('A', "over"), 3))
	s.heard("0Aover")
	if !s.Done(ToServer) {
		t.Error("the same protocol again")
	}
}

func TestStateDatagrams(t *testing.T) {
	s := newStage(t, 1000)
	datagram := func(dir Dir, b []byte) { s.Data(s.set, UDP, dir, s.ports, true, b); s.accounts() }
	datagram(ToServer, []byte("neither"))
	datagram(ToClient, say('A', "x"))
	datagram(ToServer, []byte("A")) // cut: it is not continued
	datagram(ToServer, say('A', "bad"))
	datagram(ToServer, append(say('A', "y"), say('A', "not looked at")...))
	s.heard("1Ax", "0Abad", "0Ay")
	if s.Broken() != nil {
		t.Error("one bad datagram says nothing of the next")
	}

	s = newStage(t, 1000)
	for range maxDatagrams {
		datagram(ToServer, []byte("neither"))
	}
	if s.phase != done {
		t.Errorf("still probing after %d datagrams", maxDatagrams)
	}
}

func TestWeakNeedsThePort(t *testing.T) {
	weak := scripted("weak", 'W', 7)
	weak.Probe = func(Dir, []byte) Match { return Weak }
	set := NewSet([]Dissector{weak}, &Context{}, 100)
	for _, c := range []struct {
		ports [2]uint16
		want  string
	}{{[2]uint16{900, 7}, "weak"}, {[2]uint16{7, 900}, "weak"}, {[2]uint16{900, 901}, ""}} {
		var s State
		s.Data(set, TCP, ToServer, c.ports, true, say('W', "x"))
		if got := s.Protocol(set); got != c.want {
			t.Errorf("ports %v: %q, want %q", c.ports, got, c.want)
		}
		s.Close(set)
	}
}

func TestOnPort(t *testing.T) {
	set := NewSet(All(), &Context{}, 100)
	for _, c := range []struct {
		over Transport
		port uint16
		want string
	}{{TCP, 22, "ssh"}, {UDP, 22, ""}, {TCP, 53, "dns"}, {UDP, 53, "dns"}, {TCP, 7780, "zmtp"}, {UDP, 5353, "mdns"}, {ICMP, 22, ""}} {
		if got := set.OnPort(c.over, c.port); got != c.want {
			t.Errorf("port %d of %d: %q, want %q", c.port, c.over, got, c.want)
		}
	}
}

func TestDataOfAKnownFlowAllocatesNothing(t *testing.T) {
	set := NewSet(All(), &Context{}, 1<<20)
	var s State
	hello := unhex("ff00000000000000017f" + "0300" + "4e554c4c00000000000000000000000000000000" + "00" + strings.Repeat("00", 31))
	ports := [2]uint16{50000, 7780}
	s.Data(set, TCP, ToServer, ports, true, hello)
	s.Data(set, TCP, ToClient, ports, true, hello)
	frame := append([]byte{0, 100}, make([]byte, 100)...) // a message
	s.Data(set, TCP, ToServer, ports, true, frame)
	if n := testing.AllocsPerRun(100, func() { s.Data(set, TCP, ToServer, ports, true, frame) }); n != 0 {
		t.Errorf("%g allocations for a message of a known flow", n)
	}
	if s.Text(ZMTPMechanism) != "NULL" {
		t.Error("not the flow that this test means")
	}
}

// TestFirstBytes delivers all messages byte for byte as they begin: a Probe
// that would accept the whole is among those asked.
func TestFirstBytes(t *testing.T) {
	set := testSet()
	for _, s := range samples {
		for _, m := range s.says {
			for i, d := range All() {
				if d.Over&s.over == 0 || len(m.b) == 0 {
					continue
				}
				asked := set.first[s.over>>1][m.from][m.b[0]]&set.bits[i] != 0
				if match := d.Probe(m.from, m.b); match != No && !asked {
					t.Errorf("%s, %s: answers %d to what begins with %#02x and No to that byte alone", s.name, d.Name, match, m.b[0])
				}
			}
		}
	}
}

// BenchmarkProbe delivers to new flows, on ports that nobody knows, first bytes
// that are no protocol's.
func BenchmarkProbe(b *testing.B) {
	set := NewSet(All(), &Context{}, testHeld)
	for name, over := range map[string]Transport{"TCP": TCP, "UDP": UDP} {
		b.Run(name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			var messages [256][64]byte
			for i := range messages {
				for j := range messages[i] {
					messages[i][j] = byte(random.Uint32())
				}
				messages[i][0] = byte(i)
			}
			for i := 0; b.Loop(); i++ {
				var s State
				s.Data(set, over, ToServer, [2]uint16{40001, 40002}, true, messages[i%256][:])
				s.Close(set)
			}
		})
	}
}

// A datagram that the capture cut before anything could tell what it is may agree
// with what is usual on its port.
func TestStateCutDatagram(t *testing.T) {
	for _, test := range []struct {
		name   string
		cut    bool
		ports  [2]uint16
		b      string
		likely bool
		sender Match
	}{
		{"cut, to the port of a", true, [2]uint16{999, 1}, "?2345678", true, No},
		{"from it", true, [2]uint16{1, 999}, "?2345678", true, FromServer},
		{"whole", false, [2]uint16{999, 1}, "?2345678", false, No},
		{"hardly a beginning", true, [2]uint16{999, 1}, "?234567", false, No},
		{"on a port of nobody's", true, [2]uint16{999, 3}, "?2345678", false, No},
		{"of another protocol", true, [2]uint16{999, 1}, "B\x01xyzxyz", false, Yes},
		{"of none", true, [2]uint16{999, 1}, "neither!", false, No},
	} {
		s := newStage(t, 1000)
		s.Cut, s.ports = test.cut, test.ports
		s.Data(s.set, UDP, ToServer, s.ports, false, []byte(test.b))
		if s.Likely() != test.likely || s.sender != test.sender {
			t.Errorf("%s: likely %t, sender %d", test.name, s.Likely(), s.sender)
		}
	}
}
