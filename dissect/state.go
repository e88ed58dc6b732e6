package dissect

import "math/bits"

// Basis says how a flow's protocol is known.
type Basis uint8

// The bases: not at all, from the bytes, from the port alone, from both.
const (
	Unknown Basis = iota
	ByContent
	ByPort
	ByBoth
)

func (b Basis) String() string { return [...]string{"", "content", "port", "both"}[b] }

const (
	maxProbe      = 4 << 10  // bytes of one direction after which probing ends
	maxDatagrams  = 4        // datagrams after which probing ends
	leastCut      = 8        // bytes of a datagram that was cut that may agree with its port
	maxSpare      = 64       // buffers kept for the next direction that waits
	maxIdle       = 256      // Parsers of one protocol kept for the next flow
	maxUnconsumed = 64 << 10 // bytes of one direction that a Parser may leave waiting
)

// Set is the dissectors of one run and what their parsers share. It belongs to
// one goroutine.
type Set struct {
	list    []Dissector
	byPort  [2][65536]uint8   // by TCP and UDP: 1 + index of the dissector tried first on a port; 0 for none
	bits    []uint64          // by dissector: the bit that stands for it, shared with none of the same transport
	at      [3][64]uint8      // by transport, TCP, UDP, ICMP, and the number of the bit: the index of the dissector
	over    [3]uint64         // candidates by transport
	first   [3][2][256]uint64 // those among them that may begin with a byte, by direction
	context *Context

	held    int // bytes waiting in all States, and held by their Parsers
	spare   [][]byte
	idle    [][]renewable // by dissector, Parsers whose flows are over
	maxHeld int
	packed  []byte // where the results of flows that are over go; what is before its length is taken
}

// NewSet readies list, at most 64 over each transport; maxHeld bounds the bytes
// that wait in all flows together.
func NewSet(list []Dissector, context *Context, maxHeld int) *Set {
	s := &Set{list: list, context: context, maxHeld: maxHeld, bits: make([]uint64, len(list)), idle: make([][]renewable, len(list))}
	for i, d := range list {
		// The next bit behind those of all the transports that it goes over.
		n := 0
		for at, t := range [...]Transport{TCP, UDP, ICMP} {
			if d.Over&t != 0 {
				n = max(n, bits.Len64(s.over[at]))
			}
		}
		if n == 64 {
			panic("dissect: more than 64 dissectors over one transport")
		}
		s.bits[i] = 1 << n
		for at, t := range [...]Transport{TCP, UDP, ICMP} {
			if d.Over&t == 0 {
				continue
			}
			s.over[at] |= s.bits[i]
			s.at[at][n] = uint8(i)
			s.learnFirst(at, i)
			if t == ICMP {
				continue
			}
			for _, p := range d.Ports {
				if s.byPort[at][p] == 0 {
					s.byPort[at][p] = uint8(i + 1)
				}
			}
		}
	}
	return s
}

// learnFirst asks dissector i about every byte that a direction may begin with.
// A Probe answers Maybe for every prefix of what it accepts; so where it says No
// to a byte alone, it need not be asked about anything that begins with it.
func (s *Set) learnFirst(transport, i int) {
	for b := range 256 {
		for _, dir := range [...]Dir{ToServer, ToClient} {
			if s.list[i].Probe(dir, []byte{byte(b)}) != No {
				s.first[transport][dir][b] |= s.bits[i]
			}
		}
	}
}

// buffer returns an empty buffer, one that was given back when there is one:
// most messages that wait for their end wait for one segment.
func (s *Set) buffer() []byte {
	l := len(s.spare)
	if l == 0 {
		return nil
	}
	b := s.spare[l-1]
	s.spare = s.spare[:l-1]
	return b
}

func (s *Set) giveBack(b []byte) {
	if cap(b) > 0 && len(s.spare) < maxSpare {
		s.spare = append(s.spare, b[:0])
	}
}

// parser returns a Parser of dissector i, one that was used before when there
// is one.
func (s *Set) parser(i int) Parser {
	l := len(s.idle[i])
	if l == 0 {
		return s.list[i].New(s.context)
	}
	p := s.idle[i][l-1]
	s.idle[i] = s.idle[i][:l-1]
	return p
}

// release closes a Parser of dissector i and keeps it for another flow.
func (s *Set) release(i int, p Parser, facts *Facts) {
	p.Close(facts)
	if r, ok := p.(renewable); ok && len(s.idle[i]) < maxIdle {
		r.renew()
		s.idle[i] = append(s.idle[i], r)
	}
}

// held is the number of bytes that wait in s and its Parser.
func (s *State) held() int { return len(s.waiting[0]) + len(s.waiting[1]) + s.own }

// Held is the number of bytes that wait in all flows.
func (s *Set) Held() int { return s.held }

// OnPort names the protocol that is usual on a port, "" when none is.
func (s *Set) OnPort(t Transport, port uint16) string {
	if t == ICMP {
		return ""
	}
	if i := s.byPort[t>>1][port]; i > 0 {
		return s.list[i-1].Name
	}
	return ""
}

// Context is what the parsers were given to share, for another Set to begin
// with: without what they learned, which the other one is to learn itself.
func (s *Set) Context() Context {
	c := s.context
	return Context{Fingerprints: c.Fingerprints, ShowUsers: c.ShowUsers, Tracer: c.Tracer, Keys: c.Keys}
}

type phase uint8

const (
	probing phase = iota
	parsing
	done
)

// State is one flow's dissection, from the first bytes to the last fact. The
// zero value is ready for use.
type State struct {
	Facts

	// Cut is set before a datagram is delivered of which the capture lacks the end.
	Cut bool

	parser  Parser
	holder  holder    // the parser, where it holds bytes; nil for most
	own     int       // bytes that it held when it was asked last
	waiting [2][]byte // delivered and not consumed
	skip    [2]uint64 // bytes still to be passed over
	unseen  [2]uint64 // bytes lost while probing, before those that wait
	aside   *aside    // what an end speaks that the Parser does not; nil for most

	ruledOut  [2]uint64 // candidates that said No to what a direction sent
	found     uint8     // 1 + index of the dissector that names the flow; 0 while unknown
	reading   uint8     // 1 + index of the dissector whose Parser was made last
	basis     Basis
	phase     phase
	datagrams uint8
	hint      uint8      // 1 + the index of the protocol that is usual on the port
	first     Dir        // direction of the first bytes
	dead      [2]bool    // directions that are not read any more
	begun     [2]bool    // the Parser consumed something of it
	lost      bool       // a gap was met
	likely    bool       // a datagram that was cut agrees with what is usual on its port
	broken    *Malformed // that ended parsing
	sender    Match      // what Probe said of who sent the first bytes
}

// Protocol is the name of the protocol found, "" when none was.
func (s *State) Protocol(set *Set) string {
	if s.found == 0 {
		return ""
	}
	if s.refined != "" {
		return s.refined
	}
	return set.list[s.found-1].Name
}

// By says how the protocol is known.
func (s *State) By() Basis { return s.basis }

// Broken is the contradiction that ended parsing, or nil.
func (s *State) Broken() error {
	if s.broken == nil {
		return nil
	}
	return s.broken
}

// Undecided says whether all that was said so far may be the beginning of the
// protocol that is usual on the port.
func (s *State) Undecided(set *Set) bool {
	if s.phase != probing || s.hint == 0 || s.found != 0 {
		return false
	}
	said := false
	for dir := range s.waiting {
		said = said || len(s.waiting[dir]) > 0
		if s.dead[dir] || s.unseen[dir] > 0 || len(s.waiting[dir]) > 0 && s.ruledOut[dir]&set.bits[s.hint-1] != 0 {
			return false
		}
	}
	return said
}

// Lost says whether bytes were missing before the dissection was done.
func (s *State) Lost() bool { return s.lost }

// Done says that more bytes of dir will not be looked at.
func (s *State) Done(dir Dir) bool { return s.phase == done || s.dead[dir] }

// Skip returns how many bytes of dir need not be delivered, at most limit, and
// takes them as passed over: the caller leaves them out.
func (s *State) Skip(dir Dir, limit uint64) uint64 {
	n := min(s.skip[dir], limit)
	s.skip[dir] -= n
	if s.trace != nil {
		s.trace.delivered[dir] += n
	}
	return n
}

// Oriented says that the bytes themselves told the client's from the server's.
func (s *State) Oriented() bool { return s.sender == FromClient || s.sender == FromServer }

// Likely says that no protocol was found, and that a datagram that was cut agrees
// with the one that is usual on its port, as far as it goes. Where Oriented says
// so too, it came from the server's port.
func (s *State) Likely() bool { return s.likely && s.found == 0 }

// swapEnds makes the client the server, in all that is kept by direction.
func (s *State) swapEnds() {
	s.first = s.first.Other()
	s.waiting[0], s.waiting[1] = s.waiting[1], s.waiting[0]
	s.skip[0], s.skip[1] = s.skip[1], s.skip[0]
	s.unseen[0], s.unseen[1] = s.unseen[1], s.unseen[0]
	s.dead[0], s.dead[1] = s.dead[1], s.dead[0]
	s.ruledOut[0], s.ruledOut[1] = s.ruledOut[1], s.ruledOut[0]
	s.begun[0], s.begun[1] = s.begun[1], s.begun[0]
	if s.trace != nil {
		s.trace.delivered[0], s.trace.delivered[1] = s.trace.delivered[1], s.trace.delivered[0]
	}
}

// flipped says that the bytes of dir, taken for those of the client, were
// recognised as the server's, or the other way round.
func (s *State) flipped(dir Dir) bool {
	return s.sender == FromClient && dir == ToClient || s.sender == FromServer && dir == ToServer
}

// Data delivers the next bytes of dir, in order. ports are the client's and the
// server's; oriented says that the caller is sure of which is which. Data
// returns true when the bytes show that client and server are the other way
// round: the caller then swaps them, and this State has already done so.
func (s *State) Data(set *Set, t Transport, dir Dir, ports [2]uint16, oriented bool, b []byte) (flip bool) {
	if s.Done(dir) {
		return false
	}
	if set.context.Tracer != nil {
		s.traceData(set, dir, b)
	}
	if n := s.skip[dir]; n > 0 {
		if n >= uint64(len(b)) {
			s.skip[dir] = n - uint64(len(b))
			return false
		}
		b = b[n:]
		s.skip[dir] = 0
	}
	if len(s.waiting[dir]) > 0 {
		set.held += len(b)
		s.waiting[dir] = append(s.waiting[dir], b...)
		b = s.waiting[dir]
	}
	if s.phase == parsing {
		s.parse(set, t, dir, b)
		if s.phase == probing {
			s.probeAnew(set, t, dir, ports)
		}
		return false
	}

	if len(s.waiting[0])+len(s.waiting[1]) == 0 {
		s.first = dir
	}
	if !s.probe(set, t, dir, ports, b) {
		switch {
		case t != TCP:
			if s.datagrams++; s.datagrams >= maxDatagrams {
				s.finish(set)
			}
		case s.ruledOut[dir]&set.over[t>>1] == set.over[t>>1] || len(b) >= maxProbe:
			s.abandon(set, dir)
		default:
			s.keep(set, dir, b)
		}
		return false
	}
	if !oriented && s.found == s.reading && s.flipped(dir) {
		s.swapEnds()
		flip, dir = true, dir.Other()
	}

	// What the other direction sent so far waits, undecided. Where it cannot
	// be this protocol, it would only break off the parsing of this direction.
	// What may follow upon another protocol's greeting is looked for behind it.
	o := dir.Other()
	switch greeted := len(s.waiting[o]) > 0 && s.ruledOut[o]&set.bits[s.reading-1] != 0; {
	case set.list[s.reading-1].Behind && (greeted || s.dead[o]):
		s.unseen[o] += max(uint64(len(s.waiting[o])), 1)
		s.keep(set, o, nil)
		s.dead[o] = false
	case greeted:
		s.abandon(set, o)
	}
	// Where it began with a gap, the Parser is to know.
	if n := s.unseen[o]; n > 0 && !s.dead[o] {
		skip, ok := s.parser.Gap(o, nil, n, &s.Facts)
		if ok && skip == 0 {
			s.unseen[o] = 0
		} else {
			s.abandon(set, o)
		}
	}
	if len(s.waiting[o]) == 0 {
		s.parse(set, t, dir, b)
	} else {
		s.keep(set, dir, b)
		for _, d := range [...]Dir{s.first, s.first.Other()} {
			if s.phase == parsing {
				s.parse(set, t, d, s.waiting[d])
			}
		}
	}
	if s.phase == probing {
		s.probeAnew(set, t, dir, ports)
	}
	return flip
}

// probeAnew looks at what waits when one protocol has handed over to another,
// that of dir last: the other direction's bytes are the older ones.
func (s *State) probeAnew(set *Set, t Transport, dir Dir, ports [2]uint16) {
	for _, d := range [...]Dir{dir.Other(), dir} {
		if b := s.waiting[d]; len(b) > 0 && !s.dead[d] {
			s.Data(set, t, d, ports, true, nil)
		}
	}
}

// probe asks the candidates, the one that is usual on the port first, and
// readies the Parser of the first that says yes.
func (s *State) probe(set *Set, t Transport, dir Dir, ports [2]uint16, b []byte) bool {
	if len(b) > 0 {
		s.ruledOut[dir] |= set.over[t>>1] &^ set.first[t>>1][dir][b[0]]
	}
	candidates := set.over[t>>1] &^ s.ruledOut[dir]
	var hint uint8
	if t != ICMP {
		hint = set.byPort[t>>1][ports[ToClient]]
		if hint == 0 {
			hint = set.byPort[t>>1][ports[ToServer]]
		}
	}
	s.hint = hint
	if hint > 0 && candidates&set.bits[hint-1] != 0 {
		if s.ask(set, int(hint-1), dir, hint, b) {
			return true
		}
		candidates &^= set.bits[hint-1]
	}
	for ; candidates != 0; candidates &= candidates - 1 {
		if s.ask(set, int(set.at[t>>1][bits.TrailingZeros64(candidates)]), dir, hint, b) {
			return true
		}
	}
	// What would settle it may never come: where all there is agrees with what is
	// usual on the port, that is likely.
	if s.Cut && hint > 0 && len(b) >= leastCut && set.over[t>>1]&^s.ruledOut[dir]&set.bits[hint-1] != 0 {
		s.likely = true
		if p := set.list[hint-1].Ports; ports[dir] == p[0] && ports[dir.Other()] != p[0] {
			s.sender = FromServer
		}
	}
	return false
}

func (s *State) ask(set *Set, i int, dir Dir, hint uint8, b []byte) bool {
	found := uint8(i + 1)
	m := set.list[i].Probe(dir, b)
	switch m {
	case No:
		s.ruledOut[dir] |= set.bits[i]
		return false
	case Maybe:
		return false
	case Weak:
		if found != hint || s.unseen[dir] > 0 { // what begins behind a gap is no beginning
			return false
		}
	}
	s.reading = found
	if s.found == 0 || set.list[s.found-1].Carrier {
		s.found = found
		s.basis = ByContent
		if s.found == hint {
			s.basis = ByBoth
		}
		s.sender = m
	}
	s.phase = parsing
	s.begun = [2]bool{}
	s.parser = set.parser(i)
	s.holder, _ = s.parser.(holder)
	return true
}

// account adds up what the Parser holds. Where that is too much, the flow is
// not read any further.
func (s *State) account(set *Set) {
	n := s.holder.holds()
	grown := n > s.own
	set.held += n - s.own
	s.own = n
	if grown && set.held > set.maxHeld {
		s.lost = true
		s.finish(set)
	}
}

// close ends the Parser.
func (s *State) close(set *Set) {
	set.release(int(s.reading-1), s.parser, &s.Facts)
	set.held -= s.own
	s.parser, s.holder, s.own = nil, nil, 0
}

// abandon gives up one direction; with both given up, the flow is done.
func (s *State) abandon(set *Set, dir Dir) {
	set.held -= len(s.waiting[dir])
	set.giveBack(s.waiting[dir])
	s.waiting[dir] = nil
	s.skip[dir] = 0
	s.dead[dir] = true
	if s.dead[dir.Other()] {
		s.finish(set)
	}
}

// parse feeds the Parser b, all that is at hand of dir.
func (s *State) parse(set *Set, t Transport, dir Dir, b []byte) {
	if s.aside != nil && s.aside.dir == dir {
		s.readAside(set, t, b)
		return
	}
	for len(b) > 0 {
		if s.trace != nil {
			s.traceParse(set, dir, len(b))
		}
		n, err := s.parser.Parse(dir, b, &s.Facts)
		if s.trace != nil {
			s.traceParsed(dir)
		}
		if err == ErrDone {
			s.finish(set)
			return
		}
		if s.holder != nil {
			if s.account(set); s.phase == done {
				return
			}
		}
		if t != TCP {
			return // a datagram is whole: one bad one says nothing of the next
		}
		if err == ErrHandOver {
			// What hands over may end behind what is at hand, like any message.
			s.skip[dir] = uint64(max(n-len(b), 0))
			s.keep(set, dir, b[min(n, len(b)):])
			if s.phase == parsing {
				s.close(set)
				s.endAside(set)
				s.aside = nil
				s.phase = probing
				s.ruledOut = [2]uint64{set.bits[s.reading-1], set.bits[s.reading-1]}
			}
			return
		}
		if m, ok := err.(*Malformed); ok {
			// It says nothing of what the other end sends.
			if !s.begun[dir] && !s.lost && s.aside == nil && set.list[s.reading-1].Probe(dir, b) == No {
				s.aside = &aside{dir: dir, refused: m, left: maxProbe}
				s.readAside(set, t, b)
				return
			}
			s.breakOff(set, dir, m)
			return
		}
		s.begun[dir] = s.begun[dir] || n > 0
		if n > len(b) {
			s.skip[dir] = uint64(n - len(b))
			n = len(b)
		}
		b = b[n:]
		if n == 0 || err != nil {
			break
		}
	}
	s.keep(set, dir, b)
}

// breakOff gives up dir, which contradicts the protocol.
func (s *State) breakOff(set *Set, dir Dir, m *Malformed) {
	if s.broken == nil {
		s.broken = m
	}
	s.abandon(set, dir)
}

// aside reads the beginning of what one end sends, where from its first byte on
// it is not what the other end speaks: a web server's answer in clear to a
// ClientHello, a TLS alert in answer to a request in clear. The flow keeps the
// name of what was found first.
type aside struct {
	dir     Dir
	reading uint8      // 1 + index of the dissector; 0 while it is not known
	parser  Parser     // of that dissector
	refused *Malformed // by the Parser of the flow
	left    int        // bytes that may still be read
	waited  int        // bytes that were at hand before, and did not tell
}

// readAside takes b, all that is at hand of the direction that is read aside.
func (s *State) readAside(set *Set, t Transport, b []byte) {
	a := s.aside
	if a.parser == nil {
		switch answer := s.probeAside(set, t, b); {
		case answer == Maybe && len(b) < maxProbe:
			a.waited = len(b)
			s.keep(set, a.dir, b)
			return
		case answer != Yes:
			s.passOver(set, t, b)
			return
		}
		a.parser = set.parser(int(a.reading - 1))
	}
	refined, reading := s.refined, s.reading
	s.reading = a.reading // for those who look on
	for len(b) > 0 {
		if s.trace != nil {
			s.traceParse(set, a.dir, len(b))
		}
		n, err := a.parser.Parse(a.dir, b, &s.Facts)
		if s.trace != nil {
			s.traceParsed(a.dir)
		}
		if err != nil && err != ErrShort || n >= a.left {
			a.left = 0
			break
		}
		a.left -= n
		if n > len(b) {
			s.skip[a.dir] = uint64(n - len(b))
			n = len(b)
		}
		b = b[n:]
		if n == 0 || err != nil {
			break
		}
	}
	s.refined, s.reading = refined, reading
	if a.left == 0 || len(b) >= maxProbe {
		s.endAside(set)
		s.abandon(set, a.dir)
		return
	}
	s.keep(set, a.dir, b)
}

// passOver ends the search for what the beginning of a direction, b, is: nobody
// knows. What may follow upon such bytes is looked for in what came last.
func (s *State) passOver(set *Set, t Transport, b []byte) {
	a := s.aside
	if set.list[s.reading-1].Behind {
		if skip, ok := s.parser.Gap(a.dir, nil, 0, &s.Facts); ok && skip == 0 {
			s.aside, s.begun[a.dir] = nil, true
			if b = b[a.waited:]; a.waited == 0 {
				b = nil
			}
			s.keep(set, a.dir, b)
			s.parse(set, t, a.dir, s.waiting[a.dir])
			return
		}
	}
	s.breakOff(set, a.dir, a.refused)
}

// probeAside asks the other candidates, those that carry others left out, and
// notes the one that says yes.
func (s *State) probeAside(set *Set, t Transport, b []byte) Match {
	a := s.aside
	answer := No
	for candidates := set.over[t>>1] & set.first[t>>1][a.dir][b[0]] &^ set.bits[s.reading-1]; candidates != 0; candidates &= candidates - 1 {
		i := set.at[t>>1][bits.TrailingZeros64(candidates)]
		if set.list[i].Carrier {
			continue
		}
		switch m := set.list[i].Probe(a.dir, b); {
		case m == Yes, m == FromClient && a.dir == ToServer, m == FromServer && a.dir == ToClient:
			a.reading = uint8(i + 1)
			return Yes
		case m == Maybe:
			answer = Maybe
		}
	}
	return answer
}

// endAside ends the Parser that reads aside, or the search for one.
func (s *State) endAside(set *Set) {
	a := s.aside
	switch {
	case a == nil || s.dead[a.dir]:
	case a.parser != nil:
		refined := s.refined
		set.release(int(a.reading-1), a.parser, &s.Facts)
		s.refined = refined
		a.parser = nil
	case s.broken == nil:
		s.broken = a.refused
	}
}

// keep makes b what waits of dir. b may be a tail of what waited.
func (s *State) keep(set *Set, dir Dir, b []byte) {
	old := s.waiting[dir]
	set.held += len(b) - len(old)
	switch {
	case len(b) > maxUnconsumed || set.held > set.maxHeld:
		set.held -= len(b) - len(old) // as abandon expects it
		s.lost = true
		s.abandon(set, dir)
	case len(b) == 0:
		set.giveBack(old)
		s.waiting[dir] = nil
	case cap(old) < len(b):
		s.waiting[dir] = append(set.buffer(), b...)
		set.giveBack(old)
	default:
		s.waiting[dir] = append(old[:0], b...)
	}
}

// Gap says that n bytes of dir, right behind those delivered, are lost.
func (s *State) Gap(set *Set, dir Dir, n uint64) {
	if s.Done(dir) {
		return
	}
	if s.trace != nil {
		s.trace.base[dir] = s.trace.delivered[dir] - uint64(len(s.waiting[dir]))
		s.trace.delivered[dir] += n
	}
	if s.skip[dir] >= n {
		s.skip[dir] -= n
		return
	}
	n -= s.skip[dir]
	s.skip[dir] = 0
	s.lost = true
	if s.aside != nil && s.aside.dir == dir {
		s.endAside(set)
		s.abandon(set, dir)
		return
	}
	if s.phase == probing {
		// Undecided so far, and what came before the gap is no beginning any
		// more. Behind it may be one: a connection that idled, a capture that
		// cuts every packet.
		s.unseen[dir] += uint64(len(s.waiting[dir])) + n
		s.keep(set, dir, nil)
		s.ruledOut[dir] = 0
		return
	}
	skip, ok := s.parser.Gap(dir, s.waiting[dir], n, &s.Facts)
	if !ok {
		s.abandon(set, dir)
		return
	}
	s.keep(set, dir, nil)
	s.skip[dir] = skip
}

// Blank says that nothing came of the bytes so far but that directions were given
// up: a new State that is told of those by GiveUp takes its place.
func (s *State) Blank() bool {
	return s.phase == probing && s.found == 0 && !s.lost && s.trace == nil && len(s.list) == 0 &&
		len(s.waiting[0])+len(s.waiting[1]) == 0 && s.unseen == [2]uint64{}
}

// GiveUp says that dir of an empty State is not worth reading.
func (s *State) GiveUp(dir Dir) { s.dead[dir] = true }

// Close ends the dissection: the flow is over.
func (s *State) Close(set *Set) {
	if s.phase != done {
		s.finish(set)
	}
}

// finish lets the Parser conclude and gives back what the State holds.
func (s *State) finish(set *Set) {
	s.endAside(set)
	if s.parser != nil {
		s.close(set)
	}
	for d := range s.waiting {
		set.held -= len(s.waiting[d])
		set.giveBack(s.waiting[d])
		s.waiting[d] = nil
	}
	s.phase = done
}
