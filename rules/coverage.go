package rules

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// edgeState says what the captures show of one edge and, where they show
// nothing, whether they could have.
func (t *Tally) edgeState(i int, cov *Coverage) EdgeState {
	c := &t.edges[i]
	s := EdgeState{Edge: t.p.edges[i].Edge, Verdicts: c.verdicts, First: c.first, Since: c.since, Last: c.last, Pairs: t.named(c.pairs.sorted()), MorePairs: c.pairs.more}
	s.Status = StatusOf(c.verdicts[:])
	if s.Status != EdgeNotSeen {
		s.CouldShow = true
		s.Example = endText(c.client) + " > " + endText(c.server)
		return s
	}
	s.CouldShow, s.Why = t.couldShow(&t.p.edges[i], cov)
	return s
}

// endText is one end of a flow; those of ICMP have no port.
func endText(end netip.AddrPort) string {
	if end.Port() == 0 {
		return end.Addr().String()
	}
	return end.String()
}

// StatusOf is the state of an edge by its flows: counts by Kind.
func StatusOf(verdicts []Count) EdgeStatus {
	switch {
	case verdicts[Violation].Flows > 0:
		return EdgeViolated
	case verdicts[Documented].Flows > 0:
		return EdgeSeen
	case verdicts[Blocked].Flows > 0:
		return EdgeBlocked
	case verdicts[Indeterminate].Flows > 0:
		return EdgeUndecided
	}
	return EdgeNotSeen
}

// shortCapture is less than what scheduled traffic needs to show itself.
const shortCapture = 10 * time.Minute

// couldShow says whether the captures could have shown an edge that was not
// seen, in a sentence.
func (t *Tally) couldShow(e *edge, cov *Coverage) (bool, string) {
	from, to := t.found(e.from), t.found(e.to)
	switch {
	case len(to) == 0 && len(from) == 0 && e.from != 0:
		return false, fmt.Sprintf("no host was identified as %s or as %s.", t.p.titles(e.to), t.p.titles(e.from))
	case len(to) == 0:
		return false, fmt.Sprintf("no host was identified as %s.", t.p.titles(e.to))
	case len(from) == 0 && e.from != 0:
		return false, fmt.Sprintf("no host was identified as %s.", t.p.titles(e.from))
	}
	if hub := t.hub(); hub != nil && !slices.Contains(from, hub) && !slices.Contains(to, hub) {
		return false, fmt.Sprintf("nearly every flow has %s at one end: a capture at %s or %s could show it.",
			t.p.Name(hub.addr), t.p.titles(e.from), t.p.titles(e.to))
	}
	span := time.Duration(cov.Last - cov.First)
	// The server may well have been called by others, or at other ports.
	both, it := "a host was identified as "+t.p.titles(e.to), "it"
	if len(to) > 1 {
		both, it = fmt.Sprintf("%d hosts were identified as %s", len(to), t.p.titles(e.to)), "them"
	}
	if e.from == 0 {
		both += fmt.Sprintf(", but nothing connected to %s this way", it)
	} else {
		both += fmt.Sprintf(", but no %s connected to %s this way", t.p.titles(e.from), it)
	}
	switch {
	case sameHost(from, to):
		return false, "both ends are on one host, and its traffic to itself does not reach the network."
	case t.oneSided*2 > t.tcp && t.tcp > 0:
		return false, both + "; most connections were captured in one direction only."
	case cov.Lossy:
		return false, both + "; much of the traffic is missing from the captures."
	case cov.Dropped() > 0:
		return false, fmt.Sprintf("%s; %d frames were lost while capturing.", both, cov.Dropped())
	case t.p.fullHouse():
		return false, both + "; there were more hosts than could be followed."
	case span < shortCapture:
		return false, fmt.Sprintf("%s in the %s captured; scheduled jobs need a longer capture.", both, Span(int64(span)))
	}
	return true, fmt.Sprintf("%s in the %s captured.", both, Span(int64(span)))
}

// found lists the hosts that have one of the roles.
func (t *Tally) found(m mask) []*host {
	var list []*host
	for _, h := range t.p.order {
		if h.roles&m != 0 {
			list = append(list, h)
		}
	}
	return list
}

// sameHost says whether the only client and the only server are one host.
func sameHost(from, to []*host) bool {
	return len(from) == 1 && len(to) == 1 && from[0] == to[0]
}

// hub is the host that takes part in nearly every flow, or nil: the capture
// was made beside it and shows little else.
func (t *Tally) hub() *host {
	var most *host
	for _, h := range t.p.order {
		if most == nil || h.flows > most.flows {
			most = h
		}
	}
	if most == nil || t.p.spoken < 10 || most.flows*100 < t.p.spoken*98 {
		return nil
	}
	return most
}

// unheard names the servers that were spoken with and never heard, and those
// that were heard in some connections only.
func (p *Policy) unheard() (mute, half []string) {
	for _, h := range p.order {
		switch {
		case !h.unheard || h.roles == 0:
		case !h.spoke:
			mute = addName(mute, p.Name(h.addr))
		default:
			half = addName(half, p.Name(h.addr))
		}
	}
	return mute, half
}

// addName adds a name that other addresses may have as well.
func addName(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// some is the first few of a list of names.
func some(names []string) string {
	if n := len(names) - MaxNamed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:MaxNamed], ", "), n)
	}
	return strings.Join(names, ", ")
}

func (p *Policy) fullHouse() bool { return p.full != Full{} }

// titles names the components of m: "storage-node or catalog".
func (p *Policy) titles(m mask) string {
	if m == 0 {
		return "any host"
	}
	var ids []string
	for ; m != 0; m &= m - 1 {
		c := p.parts[bits.TrailingZeros64(uint64(m))].Component
		if c.KindOf == nil || !slices.Contains(ids, c.KindOf.ID) {
			ids = append(ids, c.ID)
		}
	}
	return strings.Join(ids, " or ")
}

// InferenceTrials is how the inference fared where the truth was known; docs/client-authentication.md has the trials.
const InferenceTrials = "In trials with eight TLS libraries, all 986 full handshakes were inferred correctly; of 56 more, whose client pads its records to blocks, 44 were inferred correctly and 12 not at all."

// notes is what the reader should know about the method and its limits. What
// the captures lack is not among them: the Coverage has it.
func (t *Tally) notes(cov *Coverage) []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if t.p.inv == nil && slices.ContainsFunc(t.p.order, func(h *host) bool { return h.roles != 0 }) {
		note("Roles were inferred from the traffic alone; an inventory settles them.")
	}
	if t.inferred > 0 {
		unsure, connections := "", "1 connection"
		if t.inferred > 1 {
			connections = fmt.Sprintf("%d connections", t.inferred)
		}
		switch {
		case t.lessSure == t.inferred:
			unsure = ", with less certainty than usual: no verdict rests on it"
		case t.lessSure > 0:
			unsure = fmt.Sprintf(", with less certainty for %d of them, on which no verdict rests", t.lessSure)
		}
		note("Client certificates in TLS 1.3 were inferred from record sizes for %s%s. %s", connections, unsure, InferenceTrials)
	}
	for _, h := range t.p.order {
		if r, ok := h.learnedRange(); ok && h.roles != 0 {
			note("%s takes its source ports from %d-%d most of the time: this is taken to be its dynamic range.", t.p.Name(h.addr), r.Low, r.High)
		}
	}
	if s := t.p.translated.note(t.p.Name); s != "" {
		note("%s", s)
	}
	if t.p.otherAddresses() {
		note("No address that DNS answered is in the captures: they were made anonymous, or translated on the way from the resolver. Names are not held against addresses.")
	}
	mute, half := t.p.unheard()
	if len(mute) > 0 {
		note("Other hosts sent TCP to %s, and nothing sent from there over TCP was captured: the mirror lacks a port, or the answers take another path (asymmetric routing). Capture there.", some(mute))
	}
	if len(half) > 0 {
		note("Some connections of %s were captured in one direction only, and others in both: their routes may differ (asymmetric routing, several links). Capture where all of them pass.", some(half))
	}
	if full := t.p.full; full.Hosts+full.Links > 0 {
		note("There were more hosts than are followed; %d flows were not used to infer roles.", full.Hosts+full.Links)
	}
	if t.p.names.more {
		note("There were more names than are kept (%d for a host); the later ones were not used.", maxNamesPerHost)
	}
	if k := cov.Keys; k.Given {
		rest := ""
		if k.Failed > 0 {
			rest = fmt.Sprintf(", %d were not, although the keys have their secrets", k.Failed)
		}
		if k.Closed > 0 {
			rest += fmt.Sprintf(", and for %d more there are no secrets", k.Closed)
		}
		note("TLS connections that the keys hold secrets of: %d. Of those in the captures, %d were decrypted%s.", k.Connections, k.Opened, rest)
	}
	if k := cov.Keys; k.Ignored > 0 {
		note("There were secrets of more TLS connections than are kept; %d lines were not used.", k.Ignored)
	}
	if n := cov.Dropped(); n > 0 {
		note("%d frames were lost while capturing: whatever is reported as not seen (an answer, a certificate, an edge) may have been among them.", n)
	}
	if n := cov.Decoded.Retired; n > 0 {
		note("The verdicts of %d flows became final some time after they ended (--keep), by what was known of their hosts then.", n)
	}
	if t.unchosen {
		note("More clients or servers took part in choices by ping than are kept (%d, %d of each); the later ones are left out.", maxChoosers, maxChoice)
	}
	if t.overflow > 0 {
		note("There were more findings than are kept; %d flows are in none.", t.overflow)
	}
	return notes
}
