package rules

import (
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// idleLimit is the silence behind which a connection that is then cut counts
// as killed for being idle, nanoseconds. Firewalls forget idle connections
// after minutes; capture excerpts show shorter ones.
const idleLimit = 2_000_000_000

// silentLimit is how long a server that took the client's first bytes must
// have said nothing, nanoseconds, where the client did not give up before.
const silentLimit = 5_000_000_000

// retryTime is how long a client waits for an answer before it asks again (RFC
// 6298 section 2: a second for the first SYN; timers are coarse), nanoseconds.
// Where the capture ends sooner after the only question, nothing is known of the
// answer.
const retryTime = 1_500_000_000

// cutShort says whether the captures end before the answer to f, which consists
// of one packet, was due.
func (p *Policy) cutShort(f *flows.Flow) bool {
	return f.Packets[0] == 1 && p.last != 0 && p.last-f.End < retryTime
}

// diagnosis says why a connection did not work: the zero value that nothing is
// known to have gone wrong on the way.
type diagnosis struct {
	Because
	before bool    // it never came to carry anything
	own    bool    // and it was the client that broke it off: nothing was in its way
	more   Because // what else the capture tells of the cause: who sent a reset, whether the server is there
}

// into adds what d says to the reasons of v.
func (d *diagnosis) into(v *Verdict) {
	v.why(d.Reason, d.Frame, d.Saw)
	if d.more.Reason != NoReason {
		v.why(d.more.Reason, d.more.Frame, d.more.Saw)
	}
}

// brokenOff is what is seen of checks whether a port answers: those of load balancers
// and scanners end so.
const brokenOff = "the client's own reset, in answer to the SYN-ACK"

// What is sent again and again, in the words of the evidence.
const (
	clientAgain = "the client's data, retransmitted repeatedly"
	serverAgain = "the server's data, retransmitted repeatedly"
	bothAgain   = "the data of both, retransmitted repeatedly"
)

// diagnose says why a connection did not work.
func (p *Policy) diagnose(f *flows.Flow, tls bool) diagnosis {
	switch f.Proto {
	case flows.ProtoTCP:
		return p.diagnoseTCP(f, tls)
	case flows.ProtoICMP, flows.ProtoICMPv6, flows.ProtoUDP:
		if f.Packets[1] > 0 {
			return diagnosis{}
		}
		if r, frame := icmpReason(f); r != NoReason {
			return diagnosis{Because: Because{Reason: r, Frame: frame}, before: true}
		}
		if p.cutShort(f) || p.mute(f) {
			return diagnosis{}
		}
		r := DatagramUnanswered
		switch {
		case f.Proto == flows.ProtoICMP && icmpType(f) == echo4[0], f.Proto == flows.ProtoICMPv6 && icmpType(f) == echo6[0]:
			r = EchoUnanswered
		case f.Proto != flows.ProtoUDP:
			return diagnosis{}
		}
		return diagnosis{Because: Because{Reason: r, Frame: f.Frame}, before: true, more: p.heard(f)}
	}
	return diagnosis{}
}

// diagnoseTCP goes through what can happen to a connection in the order of its
// life.
func (p *Policy) diagnoseTCP(f *flows.Flow, tls bool) diagnosis {
	t := &f.TCP
	found := func(r Reason, frame pcaps.FrameID) diagnosis {
		return diagnosis{Because: Because{Reason: r, Frame: frame}}
	}
	spoke := [2]bool{f.Payload[0] > 0, f.Payload[1] > 0}
	switch {
	case t.SYNs == 0 && t.SYNACKs == 0: // the start was not captured
	case t.SYNACKs == 0 && !t.Acked && !spoke[0] && !spoke[1]:
		d := diagnosis{before: true}
		switch r, frame := icmpReason(f); {
		case r != NoReason:
			d.Reason, d.Frame = r, frame
		case t.ResetBy == flows.ResetByServer:
			d.Reason, d.Frame, d.more = RSTToSYN, t.ResetFrame, p.resetter(f)
		case f.Packets[1] == 0 && t.ResetBy == flows.ResetByClient && p.resetter(f).Reason != ResetByDevice:
			// No stack resets what nobody answered: the answer was not captured.
			d.Reason, d.Frame, d.own, d.Saw = HalfOpen, t.ResetFrame, true, brokenOff
		case f.Packets[1] == 0 && (t.SYNs > 1 || !p.mute(f) && !p.cutShort(f)):
			d.Reason, d.Frame, d.more = SYNUnanswered, f.Frame, p.heard(f)
		default:
			return diagnosis{}
		}
		return d
	case t.SYNACKs > 0 && !t.Acked && f.Packets[0] > 0:
		d := found(SYNACKDroppedBeforeClient, t.SYNACKFrame)
		d.before = true
		if atOnce := t.ResetBy == flows.ResetByClient && t.ResetNth <= 3; t.SYNs > 1 && !atOnce {
			return d
		}
		if !spoke[0] && !spoke[1] {
			if t.SYNACKs == 1 && t.ResetBy != flows.ResetByClient && (p.read == 0 || incomplete(f) || p.sparse() || p.cutShort(f)) {
				// More was sent than was captured: a filter that takes SYN, FIN
				// and RST alone shows connections like this.
				return diagnosis{}
			}
			d.Reason = HalfOpen
			if t.ResetBy == flows.ResetByClient && p.resetter(f).Reason != ResetByDevice {
				d.own, d.Saw = true, brokenOff
			}
			return d
		}
	case t.SYNACKs > 2 && t.Acked && f.Retransmitted[0] > 1 && (!t.AckedData[0] || t.Stalled[0] >= stallRepeats):
		// The client believes in the connection, and the server repeats its
		// SYN-ACK: nothing of the client's reaches it.
		d := found(HalfOpen, t.SYNACKFrame)
		d.before = true
		return d
	}
	if f.OneSided() {
		return diagnosis{} // the silence may be the capture's
	}
	stalled, stalledFrame, nth := stalls(f)
	lost := stalled[0] || stalled[1]
	icmp, icmpFrame := icmpReason(f)
	switch {
	case lost && icmp == ICMPFragmentationNeeded:
		return found(icmp, icmpFrame)
	case stalled[0] && t.LargeLost[0]:
		d := found(LargeSegmentsLost, t.StalledFrame[0])
		d.Saw = clientAgain
		return d
	case stalled[1] && t.LargeLost[1]:
		d := found(LargeSegmentsLost, t.StalledFrame[1])
		d.Saw = serverAgain
		return d
	}
	if t.SYNs > 0 && spoke[0] {
		switch {
		case tls && f.App == "tls" && !spoke[1] && t.ResetBy == flows.ResetByServer:
			d := found(RSTOnClientHello, t.ResetFrame)
			d.more = p.resetter(f)
			return d
		case stalled[0] && (!spoke[1] || t.DataNth[1] > t.StalledNth[0]) && t.StalledNth[0] > t.DataNth[0]:
			d := found(ClientHelloDropped, t.DataFrame[0])
			d.more = Because{Reason: icmp, Frame: icmpFrame}
			return d
		case !spoke[1] && saidNothing(f):
			return found(ServerSaidNothing, t.DataFrame[0])
		case !spoke[1]:
			return diagnosis{}
		}
	}
	idle := t.LongestIdle >= idleLimit
	// A host resets like this what it knows nothing of; one that closes by a
	// reset, without a FIN, has at least been spoken to before. The capture may
	// lack the FIN.
	strange := t.ResetBy == flows.ResetByServer && spoke[0] && spoke[1] && !strings.Contains(t.History, "f") && !t.Unseen[1] && handshakeDone(f)
	var d diagnosis
	switch {
	case lost:
		d = found(EstablishedThenDropped, stalledFrame)
		d.more = Because{Reason: icmp, Frame: icmpFrame}
		d.Saw = clientAgain
		if stalled[1] {
			d.Saw = serverAgain
		}
		if stalled[0] && stalled[1] {
			d.Saw = bothAgain
		}
	case strange:
		d, nth = found(EstablishedThenDropped, t.ResetFrame), t.ResetNth
		d.more = p.resetter(f)
	default:
		return d
	}
	if idle && nth >= t.LongestIdleNth {
		d.Reason = IdleConnectionKilled
	}
	return d
}

// saidNothing says whether the server took the client's first bytes, was given
// time or was given up, and never said a word.
func saidNothing(f *flows.Flow) bool {
	t := &f.TCP
	if !t.AckedData[0] || incomplete(f) {
		return false
	}
	return f.Ended == flows.Closed || f.Ended == flows.Reset || f.End-f.Start >= silentLimit
}

// resetter says who sent the first reset, as far as its header tells. A host
// sends all that it sends with one TTL or hop limit, and whoever answers in its
// name from elsewhere on the path has another number of hops behind it.
func (p *Policy) resetter(f *flows.Flow) Because {
	t := &f.TCP
	from, addr := flows.ToClient, f.Server.Addr()
	if t.ResetBy == flows.ResetByClient {
		from, addr = flows.ToServer, f.Client.Addr()
	}
	because := Because{Reason: ResetByDevice, Frame: t.ResetFrame}
	if t.ResetOdd {
		because.Saw = "sequence or acknowledgement numbers that the host would not use"
		return because
	}
	var known []uint8
	h := p.host(addr)
	if h != nil {
		known = h.ttls[:h.ttlCount]
	}
	own := t.TTL[from]
	if own == 0 && len(known) > 0 {
		own = known[0]
	}
	if own == 0 || t.ResetTTL == 0 {
		return Because{}
	}
	for _, ttl := range known {
		if ttl == t.ResetTTL {
			own = ttl
		}
	}
	if own == t.ResetTTL {
		if h != nil && h.routed && 2*f.Duplicate[from] < f.Packets[from] {
			// The captures see a router's both sides, and this did not cross it:
			// the router may have sent it, with the same TTL.
			return Because{}
		}
		because.Reason = ResetByHost
	}
	because.Saw = p.hops(t.ResetTTL, own)
	return because
}

// hops compares the TTL of a reset with that of a host's own packets, in words
// that are made once.
func (p *Policy) hops(reset, own uint8) string {
	k := [2]uint8{reset, own}
	s, ok := p.ttlWords[k]
	if !ok {
		if p.ttlWords == nil {
			p.ttlWords = make(map[[2]uint8]string)
		}
		s = "TTL " + strconv.Itoa(int(reset)) + ", the host's own packets " + strconv.Itoa(int(own))
		p.ttlWords[k] = s
	}
	return s
}

// heard says whether the server of a connection that nobody answered was heard
// in others: then it is there, and the way to it is not closed altogether.
func (p *Policy) heard(f *flows.Flow) Because {
	if h := p.host(f.Server.Addr()); h != nil && h.heard != 0 {
		return Because{Reason: ServerHeardElsewhere, Frame: h.heard}
	}
	return Because{Reason: ServerNeverHeard}
}

// mute says whether the captures lack what the server of f sends: others spoke
// with it, and nothing of what it said is there; or they lack what its client
// receives, from anybody. Where of no connection at all both directions are, as a
// mirror of one direction shows them, or of none to the outside, as where the way
// back is another one, that holds for every such server that was not heard.
func (p *Policy) mute(f *flows.Flow) bool {
	if p.sparse() {
		return true
	}
	if c := p.host(f.Client.Addr()); c != nil && c.deaf && !c.reached {
		return true
	}
	h := p.host(f.Server.Addr())
	if h != nil && h.heard != 0 {
		return false
	}
	s := p.sightOf(f)
	return h != nil && h.unheard || s.halved && !s.whole
}

// sparse says whether so much is missing from the captures that what one packet
// lacks may be missing as well: of a mirror that samples, or that drops most of
// what passes.
func (p *Policy) sparse() bool {
	const enough = 4 // connections, for one with a hole in it not to stand for all
	return p.holed >= enough && p.holed > p.read/4
}

// sampled says whether of most connections only parts are there, so that a host may
// well play a part that the captures do not show.
func (p *Policy) sampled() bool { return p.sparse() && p.partial > p.read/4*3 }

// sight is which directions of flows were captured.
type sight struct {
	whole  bool // of some flow both
	halved bool // of some connection one, which must have had both
}

// sightOf is what was captured of flows that go where f does.
func (p *Policy) sightOf(f *flows.Flow) *sight {
	if isOutside(f.Server.Addr()) {
		return &p.beyond
	}
	return &p.inside
}

// hear notes whether what was sent to an end of f was captured.
func (h *host) hear(f *flows.Flow, to dissect.Dir) {
	h.reached = h.reached || f.Packets[to] > 0
	h.deaf = h.deaf || f.Packets[to] == 0 && f.OneSided()
}

// listen notes whether the ends of f were heard, and the TTL of what they sent
// themselves.
func (h *host) listen(f *flows.Flow, from dissect.Dir) {
	if f.Packets[from] > 0 {
		if h.heard == 0 {
			h.heard = f.Frame
		}
		h.spoke = h.spoke || f.Proto == flows.ProtoTCP
	}
	h.unheard = h.unheard || f.Packets[from] == 0 && f.OneSided()
	h.routed = h.routed || f.TCP.Routed[from]
	ttl := f.TCP.TTL[from]
	if ttl == 0 || int(h.ttlCount) == len(h.ttls) {
		return
	}
	for _, known := range h.ttls[:h.ttlCount] {
		if known == ttl {
			return
		}
	}
	h.ttls[h.ttlCount] = ttl
	h.ttlCount++
}

// welcome is listen for the server of a connection that it opened, and that
// carried nothing. A reset alone may be another's.
func (h *host) welcome(f *flows.Flow) {
	if f.TCP.SYNACKs > 0 && f.Packets[1] > 0 {
		h.listen(f, flows.ToClient)
	}
}

// stalls says in which directions data was sent again and again without any
// answer, and the first frame of that.
func stalls(f *flows.Flow) (stalled [2]bool, frame pcaps.FrameID, nth uint32) {
	for d := range stalled {
		if f.TCP.Stalled[d] < stallRepeats {
			continue
		}
		stalled[d] = true
		if at := f.TCP.StalledNth[d]; frame == 0 || at < nth {
			frame, nth = f.TCP.StalledFrame[d], at
		}
	}
	return stalled, frame, nth
}

// stallRepeats is how often the same data must have been sent again without an
// answer: more than a lost segment and a lost repetition of it.
const stallRepeats = 3

// icmpReason reads the errors that quoted the flow.
func icmpReason(f *flows.Flow) (Reason, pcaps.FrameID) {
	for i := range f.ICMP {
		e := &f.ICMP[i]
		r := NoReason
		if f.Server.Addr().Is4() {
			switch {
			case e.Type == 11:
				r = ICMPTimeExceeded
			case e.Type != 3:
			case e.Code == 3:
				r = ICMPPortUnreachable
			case e.Code == 4:
				r = ICMPFragmentationNeeded
			case e.Code == 9:
				r = ICMPNetProhibited
			case e.Code == 10:
				r = ICMPHostProhibited
			case e.Code == 13:
				r = ICMPAdminProhibited
			default:
				r = ICMPHostUnreachable
			}
		} else {
			switch {
			case e.Type == 3:
				r = ICMPTimeExceeded
			case e.Type == 2:
				r = ICMPFragmentationNeeded
			case e.Type != 1:
			case e.Code == 1, e.Code == 5, e.Code == 6: // both are kinds of 1 (RFC 4443 section 3.1)
				r = ICMPAdminProhibited
			case e.Code == 4:
				r = ICMPPortUnreachable
			default:
				r = ICMPHostUnreachable
			}
		}
		if r != NoReason {
			return r, e.Frame
		}
	}
	return NoReason, 0
}
