package rules

import (
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Check is one requirement of an edge held beside one flow.
type Check struct {
	Requirement *Requirement
	Must        bool // it must be seen to hold; otherwise it must hold where it can be seen
	Result      Standing
	Saw         string // the value seen; may be empty
	Frame       pcaps.FrameID
}

// Checks holds what e requires beside what f shows. It is what Judge goes by,
// before what the other flows of the two hosts tell is added.
func (p *Policy) Checks(f *flows.Flow, e *Edge) []Check {
	var list []Check
	add := func(requirements []requirement, must bool) {
		for k := range requirements {
			r := &requirements[k]
			s, saw, frame := r.check(f)
			if r.key == dissect.TLSClientCert && !r.app && saw == "unknown" {
				s = Unseen
			}
			list = append(list, Check{r.Requirement, must, s, saw, frame})
		}
	}
	if x := p.edgeOf(e); x != nil {
		add(x.require, true)
		add(x.expect, false)
	}
	return list
}

// Unknown is something that the captures leave open about a flow, and what
// would settle it. Both are sentences without a full stop.
type Unknown struct{ What, Settle string }

// Unknowns is what remains unknown of f, whose verdict is v.
func (p *Policy) Unknowns(f *flows.Flow, v *Verdict, checks []Check) []Unknown {
	var list []Unknown
	add := func(what, settle string) { list = append(list, Unknown{what, settle}) }
	reasons := map[Reason]bool{}
	for _, b := range v.Reasons {
		reasons[b.Reason] = true
	}
	if v.Kind == Indeterminate {
		for _, b := range v.Reasons {
			if b.Reason != LargeSegmentsLost { // that much is known
				add(b.Reason.Explain(), b.Reason.Do())
			}
		}
	}
	sealed := f.App == "tls"
	for i := range checks {
		c := &checks[i]
		if c.Result != Unseen || v.Kind == Blocked { // a blocked connection did not get so far
			continue
		}
		what := "whether " + c.Requirement.String() + " holds"
		switch name := c.Requirement.Name; {
		case sealed && !strings.HasPrefix(name, "tls."):
			add(what, "the requests are inside TLS: a key log of the client or the server, or the server's own log, shows them")
		case name == dissect.TLSClientCert.String() && f.Facts.Has(dissect.TLSResumed):
			add(what, "the session was resumed: a capture made while the client restarts has the full handshake")
		default:
			add(what, "a capture of the connection from its start, whole frames, both directions")
		}
	}
	if basis := f.Facts.Text(dissect.TLSClientCertBasis); basis == "inferred" {
		switch f.Facts.Text(dissect.TLSClientCert) {
		case "present":
			add("whose certificate the client showed: TLS 1.3 encrypts it", "a key log of either end; the server's log names it too")
		case "empty", "absent":
			add("the handshake is sealed: that the client showed no certificate is inferred from the lengths of sealed records",
				"a key log of either end shows the messages themselves")
		}
	}
	switch {
	case reasons[SYNUnanswered]:
		add("whether the SYN was lost on the way there, the answer on the way back, or the server is down",
			"a capture at the server at the same time: if the SYN arrives, look at the way back; if not, at the devices between")
	case reasons[RSTToSYN] && !reasons[ResetByHost] && !reasons[ResetByDevice]:
		add("whether the server or a device on the path sent the reset",
			"compare the reset's TTL with that of the server's other packets; a capture at the server shows whether it sent it")
	case reasons[EstablishedThenDropped], reasons[IdleConnectionKilled], reasons[ClientHelloDropped], reasons[HalfOpen], reasons[SYNACKDroppedBeforeClient], reasons[LargeSegmentsLost]:
		add("where on the path the packets were lost", "captures on both sides of each device between the two, at the same time")
	}
	if err := f.Dissect.Malformed; err != nil {
		add("what follows where the bytes contradict the protocol: "+err.Error(),
			"the log of the program that sent them; a capture at the other end shows whether they were changed on the path")
	}
	if v.Kind != Indeterminate {
		switch {
		case f.OneSided():
			add("what the other direction said", "a capture where both directions pass")
		case f.Dissect.Late:
			add("how the connection was opened", "a capture from before it is opened")
		case f.Dissect.Lost:
			add("what the missing bytes hold", "a capture of whole frames, without loss")
		}
	}
	return list
}

// Counted are the ids of the findings and concerns that the flow added last was
// counted in.
func (t *Tally) Counted() []string {
	ids := make([]string, 0, len(t.counted))
	for _, g := range t.counted {
		ids = append(ids, g.id)
	}
	return ids
}
