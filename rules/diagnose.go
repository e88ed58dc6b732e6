package rules

import (
	"strings"

	"wirechart/flows"
	"wirechart/pcaps"
)

// idleLimit is the silence behind which a connection that is then cut counts
// as killed for being idle, nanoseconds. Firewalls forget idle connections
// after minutes; capture excerpts show shorter ones.
const idleLimit = 2_000_000_000

// diagnose says why a connection did not work: a reason, the frame that shows
// it, and whether it never came to carry anything. NoReason means that nothing
// is known to have gone wrong on the way.
func (p *Policy) diagnose(f *flows.Flow, tls bool) (r Reason, frame pcaps.FrameID, before bool) {
	switch f.Proto {
	case flows.ProtoTCP:
		return diagnoseTCP(f, tls)
	case flows.ProtoICMP, flows.ProtoICMPv6:
		if f.Packets[1] > 0 {
			return NoReason, 0, false
		}
		if r, frame := icmpReason(f); r != NoReason {
			return r, frame, true
		}
		return EchoUnanswered, f.Frame, true
	case flows.ProtoUDP:
		if f.Packets[1] > 0 {
			return NoReason, 0, false
		}
		if r, frame := icmpReason(f); r != NoReason {
			return r, frame, true
		}
		return DatagramUnanswered, f.Frame, true
	}
	return NoReason, 0, false
}

func diagnoseTCP(f *flows.Flow, tls bool) (r Reason, frame pcaps.FrameID, before bool) {
	t := &f.TCP
	spoke := [2]bool{f.Payload[0] > 0, f.Payload[1] > 0}
	switch {
	case t.SYNs == 0 && t.SYNACKs == 0: // the start was not captured
	case t.SYNACKs == 0 && !t.Acked && !spoke[0] && !spoke[1]:
		switch r, frame := icmpReason(f); {
		case r != NoReason:
			return r, frame, true
		case t.ResetBy == flows.ResetByServer:
			return RSTToSYN, t.ResetFrame, true
		case f.Packets[1] == 0:
			return SYNUnanswered, f.Frame, true
		}
		return NoReason, 0, false
	case t.SYNACKs > 0 && !t.Acked && f.Packets[0] > 0:
		if t.SYNs > 1 {
			return SYNACKDroppedBeforeClient, t.SYNACKFrame, true
		}
		if !spoke[0] && !spoke[1] {
			return HalfOpen, t.SYNACKFrame, true
		}
	case t.SYNACKs > 2 && t.Acked && f.Retransmitted[0] > 1:
		// The client believes in the connection, and the server repeats its
		// SYN-ACK: nothing of the client's reaches it.
		return HalfOpen, t.SYNACKFrame, true
	}
	if f.OneSided() {
		return NoReason, 0, false // the silence may be the capture's
	}
	stalled, stalledFrame := stalls(f)
	if t.SYNs > 0 && spoke[0] {
		switch {
		case tls && f.App == "tls" && !spoke[1] && t.ResetBy == flows.ResetByServer:
			return RSTOnClientHello, t.ResetFrame, false
		case stalled[0] && (!spoke[1] || t.DataFrame[1] > t.StalledFrame[0]) && t.StalledFrame[0] > t.DataFrame[0]:
			return ClientHelloDropped, t.DataFrame[0], false
		case !spoke[1]:
			return NoReason, 0, false
		}
	}
	lost := stalled[0] || stalled[1]
	idle := t.LongestIdle >= idleLimit
	// A host resets like this what it knows nothing of; one that closes by a
	// reset, without a FIN, has at least been spoken to before.
	strange := t.ResetBy == flows.ResetByServer && spoke[0] && spoke[1] && !strings.Contains(t.History, "f") && handshakeDone(f)
	switch {
	case lost && idle && stalledFrame >= t.LongestIdleFrame:
		return IdleConnectionKilled, stalledFrame, false
	case lost:
		return EstablishedThenDropped, stalledFrame, false
	case strange && idle && t.ResetFrame >= t.LongestIdleFrame:
		return IdleConnectionKilled, t.ResetFrame, false
	case strange:
		return EstablishedThenDropped, t.ResetFrame, false
	}
	return NoReason, 0, false
}

// stalls says in which directions data was sent again and again without any
// answer, and the first frame of that.
func stalls(f *flows.Flow) (stalled [2]bool, frame pcaps.FrameID) {
	for d := range stalled {
		if f.TCP.Stalled[d] < stallRepeats {
			continue
		}
		stalled[d] = true
		if at := f.TCP.StalledFrame[d]; frame == 0 || at < frame {
			frame = at
		}
	}
	return stalled, frame
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
			case e.Code == 1:
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
