package report

import (
	"fmt"
	"slices"
	"strings"

	"wirechart/flows"
)

// says tells what was seen of flows of one kind, and what to do next.
func (x *compareWriter) says(group []*flows.Crossing) (says, do string) {
	k := group[0]
	g := &crossingGroup{
		Crossing: k, x: x, flows: group,
		n: uint64(len(group)), what: count(uint64(len(group)), "flow"), service: x.service(k),
		near: k.Client.String(), far: k.Client.Other().String(),
	}
	for _, f := range group {
		g.lost += f.Lost.Sum()
		g.compared += f.Compared.Sum()
		g.lostBytes += f.LostBytes.Sum()
	}
	switch k.Fate {
	case flows.Dropped:
		return g.dropped()
	case flows.Rejected:
		return g.rejected()
	case flows.ResetMidway:
		return g.resetMidway()
	case flows.CutOff:
		return g.cutOff()
	case flows.TooLarge:
		return g.tooLarge()
	case flows.Intercepted:
		return fmt.Sprintf("%s with %s: each capture shows a different connection; a device in between terminates the client's and opens its own to the server.", g.what, g.service),
			"it is a proxy or TLS inspection; exempt the service from it, as client certificates do not pass through it."
	case flows.Lossy:
		return g.lossy()
	case flows.Undecided:
		return g.undecided()
	case flows.Answered:
		return g.answered(), ""
	case flows.Elsewhere:
		return fmt.Sprintf("%s seen only %s, coming from in between: sent by the firewall itself or by a third network, or missing in the other capture.", g.whatWas(), seenAt(k)), ""
	case flows.NotCompared:
		return fmt.Sprintf("%s seen %s while nothing shows that the other capture was running.", g.whatWas(), seenAt(k)), ""
	case flows.Crossed:
		return g.crossed()
	}
	return g.what + ".", ""
}

// crossingGroup is the flows of one kind while they are told: the first of them
// stands for all, and the sums are those of all.
type crossingGroup struct {
	*flows.Crossing
	x     *compareWriter
	flows []*flows.Crossing
	n     uint64

	what      string // "3 flows"
	service   string // "tcp 10.1.0.2:443 (name)"
	near, far string // the client's and the server's place: "inside" or "outside"

	lost, compared uint64 // packets
	lostBytes      uint64
}

// whatWas is "1 flow was", "3 flows were".
func (g *crossingGroup) whatWas() string { return g.what + " " + was(g.n) }

// way is the direction in which the flows failed.
func (g *crossingGroup) way() string {
	switch {
	case g.Dirs[flows.ToServer] && g.Dirs[flows.ToClient]:
		return "in both directions"
	case g.Dirs[flows.ToClient]:
		return "on the way back to the client"
	}
	return "on the way to the server"
}

// allow is the rule that would let the flows pass.
func (g *crossingGroup) allow() string {
	return "allow " + g.service + " from " + g.near + " to " + g.far
}

// icmp is the ICMP error that the flows met, and who sent it.
func (g *crossingGroup) icmp() string {
	e := g.Error
	return fmt.Sprintf("ICMP %s from %s", icmpName(e.Type, e.Code, e.From.Is6()), e.From)
}

// captureAgain is what to do where a capture lacks frames.
const captureAgain = "capture again without loss: to a file on a fast disk, with a filter, a larger buffer (tcpdump -B)."

func (g *crossingGroup) dropped() (says, do string) {
	switch {
	case !g.Dirs[flows.ToClient]:
		return fmt.Sprintf("%s to %s %s seen %s but not %s (%s), and got no answer.", g.what, g.service, was(g.n), g.near, g.far, count(g.lost, "packet")),
			g.allow() + ", if it is meant to pass; look in the firewall's log for this destination and port."
	case g.Seen[g.Client] == nil:
		return fmt.Sprintf("answers from %s were seen %s, but nothing of the flow %s.", g.service, g.far, g.near),
			"check whether the requests take another path (asymmetric routing)."
	}
	return fmt.Sprintf("requests to %s came through and were answered %s; no answer arrived %s (%s).", g.service, g.far, g.near, count(g.lost, "packet")),
		"check how the firewall treats the answers: a rule for the way back, missing state (asymmetric routing), a filter by source address."
}

func (g *crossingGroup) rejected() (says, do string) {
	who := "with a TCP reset that was never seen " + g.far
	if g.Error != nil {
		unseen := g.far
		if g.Dirs[flows.ToClient] {
			unseen = g.near
		}
		who = fmt.Sprintf("with %s, which was never seen %s", g.icmp(), unseen)
	}
	return fmt.Sprintf("%s to %s %s answered %s: a device in between refused.", g.what, g.service, was(g.n), who),
		g.x.whyRejected(g.Crossing, g.allow())
}

func (g *crossingGroup) resetMidway() (says, do string) {
	to := g.near
	switch {
	case g.Dirs[flows.ToServer] && g.Dirs[flows.ToClient]:
		to = "both ends"
	case g.Dirs[flows.ToClient]:
		to = g.far
	}
	return fmt.Sprintf("%s with %s %s reset towards %s by a device in between: the apparent sender of the reset sent none.", count(g.n, "established connection"), g.service, was(g.n), to),
		"look for an idle timeout, inspection (IPS, application control) or a rule change at that time."
}

func (g *crossingGroup) cutOff() (says, do string) {
	bySize := ""
	if g.BySize {
		bySize = " Every lost packet is larger than all that arrived: the cause may be their size (MTU)."
	}
	return fmt.Sprintf("%s with %s passed at first; then %s %s %s lost.%s", g.what, g.service, count(g.lost, "packet"), g.way(), was(g.lost), bySize),
		"look for what happened at that time: an idle timeout of the firewall's state, a new rule, a failover, inspection."
}

func (g *crossingGroup) tooLarge() (says, do string) {
	says = fmt.Sprintf("small packets of %s with %s arrive and large ones do not, %s", g.what, g.service, g.way())
	if g.Error != nil {
		return says + " (" + g.icmp() + ").",
			"the path's MTU is smaller than the sender assumes, and the ICMP error has no effect: let it reach the sender, or clamp the MSS."
	}
	return says + ", without any ICMP error.",
		"the path's MTU is smaller than the sender assumes: let ICMP \"fragmentation needed\" (IPv6: packet too big) pass, or clamp the MSS on the firewall."
}

func (g *crossingGroup) lossy() (says, do string) {
	least := ""
	if g.lostBytes > 0 && g.x.c.Regrouped {
		least = fmt.Sprintf(" (at least; %s of payload)", count(g.lostBytes, "byte"))
	}
	return fmt.Sprintf("%s with %s lost %s of %s%s %s.", g.what, g.service, count(g.lost, "packet"), number(g.compared), least, g.way()),
		"look for overload, traffic shaping or interface errors on the path in between; compare other times of day."
}

// undecided says why the captures cannot tell, and which captures would.
func (g *crossingGroup) undecided() (says, do string) {
	other := g.Client.Other()
	switch g.Doubt {
	case flows.NothingCommon:
		return fmt.Sprintf("%s seen only %s, and no packet is in both captures: nothing shows that they belong to one path.", g.whatWas(), seenAt(g.Crossing)),
			"capture at both places at the same time, and send something that is allowed (ping), so that the captures can be matched."
	case flows.OtherLossy:
		return fmt.Sprintf("%s not seen %s, whose capture lacks so many packets that it may lack these as well.", g.whatWas(), other),
			captureAgain
	case flows.OneDirection:
		return fmt.Sprintf("one direction of %s is not seen at a place where only one direction was captured.", g.what),
			"capture both directions (both ports of the link, or the mirror port's both directions)."
	case flows.LooksAlike:
		return fmt.Sprintf("%s cannot be distinguished from many others whose packets look the same.", g.what),
			"capture fewer of them at a time, or where addresses are not translated."
	case flows.InHole:
		return fmt.Sprintf("%s not seen %s during a time %s: whether they crossed then is unknown.", partsOf(g.n), g.HoleAt, holeText(g.Hole)),
			captureAgain
	case flows.CutShort:
		return fmt.Sprintf("%s seen only %s; a snap length cut frames too short to tell whether they belong to it.", g.whatWas(), seenAt(g.Crossing)),
			"capture again with whole frames (tcpdump -s 0), or with at least 128 bytes of each."
	case flows.FromBeyond:
		with := "a TCP reset that has the TTL of the host's packets, and the host"
		if g.Error != nil {
			with = g.icmp() + ", which"
		}
		return fmt.Sprintf("%s answered with %s is beyond the other place: that capture has neither the request nor the answer, so it lost them or was not running, or a device in between answered in the host's name.", g.whatWas(), with),
			"capture again without loss, and check whether the service listens on the host."
	case flows.MayHaveEnded:
		return fmt.Sprintf("%s not seen %s after a certain time, since when that capture has no frames at all: it may have ended, and no missing answer shows that it had not.", g.whatWas(), other),
			"let the capture run longer, and send something else meanwhile (ping), to show that it is still running."
	case flows.SameCapture:
		return fmt.Sprintf("%s in both captures with the same times.", g.whatWas()),
			"name two captures that were made on both sides of the firewall."
	}
	return g.what + ".", ""
}

func (g *crossingGroup) answered() string {
	quiet := ""
	if slices.ContainsFunc(g.flows, func(f *flows.Crossing) bool { return f.Quiet }) {
		quiet = "; or the other capture, which has no frames at that time, lacks it"
	}
	return fmt.Sprintf("%s with %s %s seen only %s, and answered: by the firewall itself or a proxy on it, or over another path%s.", g.what, g.service, was(g.n), seenAt(g.Crossing), quiet)
}

// crossed says how flows went on or ended that came through.
func (g *crossingGroup) crossed() (says, do string) {
	with := g.what + " with " + g.service
	switch g.Ending {
	case flows.Refused:
		who := "with a TCP reset"
		if g.Error != nil {
			who = "with " + g.icmp()
		}
		return fmt.Sprintf("%s to %s came out %s and %s refused there %s: not by a device in between.", g.what, g.service, g.far, was(g.n), who),
			"check whether the service runs and listens on that port, and the far host's own firewall."
	case flows.Unanswered:
		return fmt.Sprintf("%s to %s came out %s and %s not answered there: nothing was lost in between.", g.what, g.service, g.far, was(g.n)),
			"check the far host: whether it is up, whether its own firewall drops the packets, whether its answer takes another path."
	case flows.ResetByEnd:
		return fmt.Sprintf("%s crossed and ended with a reset from the %s itself.", with, by(g.Crossing)), ""
	case flows.SmallerMade:
		return fmt.Sprintf("%s crossed after %s, upon which the sender reduced the size of its packets.", with, g.icmp()), ""
	case flows.AcrossHole:
		return fmt.Sprintf("%s crossed before and after a time %s.", with, holeText(g.Hole)), ""
	case flows.OpenedBetween:
		return with + " crossed; a device in between answered the SYN in the server's name before it contacted the server (SYN proxy).", ""
	case flows.WithoutProof:
		return with + " crossed as far as the captures show: one direction was not captured at one place.", ""
	}
	if g.Delayed > 0 {
		return fmt.Sprintf("%s crossed and took %s longer than others, there and back (median).", with, fraction(g.Delayed)),
			"look for what treats this service differently: inspection, shaping, a queue, a proxy."
	}
	return with + " crossed.", ""
}

// whyRejected is what to do about a refusal from between. An ICMP error tells
// whether a rule refused (prohibited), or whether there was no way to the host
// (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
func (x *compareWriter) whyRejected(k *flows.Crossing, rule string) string {
	e := k.Error
	if e == nil && !x.crossed[k.Near().Server.Addr()] {
		return rule + ", if it is meant to pass: a rule of the firewall rejects it, or the address is the firewall's own and nothing listens there."
	}
	if e == nil {
		return rule + ", if it is meant to pass: a rule of the firewall rejects it."
	}
	if e.From == k.Near().Server.Addr() && k.Dirs[flows.ToServer] {
		return "the address itself refused, from in between: it is the firewall's own, and nothing listens or is forwarded on that port; or the firewall refuses in the host's name."
	}
	type code struct{ icmp, code uint8 }
	at, v6 := code{e.Type, e.Code}, e.From.Is6()
	switch {
	case at.icmp == 11 && !v6 || at.icmp == 3 && v6:
		return "packets loop, or started with too small a TTL: follow the route (traceroute)."
	case at == code{3, 0} && !v6, at == code{3, 6} && !v6, at == code{1, 0} && v6:
		return "check whether the devices in between have a route to it; some firewalls answer like this because of a rule."
	case at == code{3, 1} && !v6, at == code{3, 7} && !v6, at == code{1, 3} && v6:
		return "check whether the host is up and answers ARP (IPv6: neighbour solicitations) on its link; some firewalls answer like this because of a rule."
	}
	return rule + ", if it is meant to pass: a rule of the firewall rejects it."
}

// holeText is a time of which a capture has nothing.
func holeText(h *flows.Hole) string {
	return "for which the capture has no frames (" + instant(h.From) + " to " + instant(h.Until) + ")"
}

// instant is a moment for people, in milliseconds.
func instant(ns int64) string {
	return strings.Replace(timestamp(ns)[:23], "T", " ", 1)
}

// partsOf says of n flows that a part of them was or all was.
func partsOf(n uint64) string {
	if n == 1 {
		return "1 flow, or part of it, is"
	}
	return count(n, "flow") + ", or parts of them, are"
}

// was agrees with n.
func was(n uint64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func seenAt(k *flows.Crossing) string {
	if k.Seen[flows.Inside] != nil {
		return flows.Inside.String()
	}
	return flows.Outside.String()
}

// notes say what limits the answer.
func (x *compareWriter) notes() []string {
	c := x.c
	list := []string{}
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if c.SameWire && !c.Same {
		add("TTL and Ethernet addresses are the same in both captures: either the device in between does not route (a bridging firewall), or both captures were made on the same side of it.")
	}
	swapped := true
	private := false
	for i := range c.Crossings {
		k := &c.Crossings[i]
		if k.Seen[0] == nil || k.Seen[1] == nil || !k.ClientChanged {
			continue
		}
		private = true
		swapped = swapped && k.Client == flows.Outside && k.Near().Client.Addr().IsPrivate()
	}
	if private && swapped {
		add("Sources are translated on the way from outside to inside, and are private addresses outside: the captures may have been named the wrong way round. The answer is the same with the names exchanged.")
	}
	for side := range flows.Side(2) {
		list = append(list, x.notesOf(side)...)
	}
	if c.Regrouped {
		add("Segments were joined or split between the captures (offloading by a network card): the comparison is by bytes, and covers fewer packets.")
	}
	switch k := &c.Clock; {
	case k.Guessed:
		add("The packets in common all look alike, so only their times tell them apart: the offset of the clocks is a guess, delays are not known, and with another offset other packets would be missing. Send something else as well (ping), or give the offset (--clock-offset).")
	case k.OneWay:
		add("Packets in common went one way only: the offset of the clocks cannot be separated from the delay, and delays are relative to the fastest packet.")
	case k.Unsteady:
		add("No single offset and drift fits the clocks: one of them was set during the capture. Delays are uncertain by as much.")
	}
	return list
}

// notesOf say what limits the capture of one side.
func (x *compareWriter) notesOf(side flows.Side) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	p, s := &x.c.Places[side], &x.sides[side]
	name := side.String()
	if s.Lossy {
		add("The capture %s is damaged or lost frames: what is missing in it may have passed there.", name)
	}
	const told = 3
	for i := range p.Holes[:min(len(p.Holes), told)] {
		h := &p.Holes[i]
		why := "it lost them, or the path was down"
		if h.Proven {
			why = "it lost them, as some must have passed there"
		}
		add("The capture %s has no frames from %s to %s, and lacks about %s of %s that were in transit then: %s. That time is not compared.",
			name, instant(h.From), instant(h.Until), count(h.Packets, "packet"), count(h.Flows, "flow"), why)
	}
	if n := len(p.Holes) - told; n > 0 {
		add("The capture %s has %s like that.", name, count(uint64(n), "more hole"))
	}
	if p.Silent > 0 {
		add("The capture %s has no frame after %s, and %s failed later: it is assumed that the capture was still running then.", name, instant(p.Last), count(p.Silent, "flow"))
	}
	if r := p.LossRate(); r > 0 {
		add("The capture %s lacks at least %s that must have passed there (%.2g %%).", name, count(p.Missed, "packet"), r*100)
	}
	if p.Blind[0] {
		add("The capture %s has no outgoing packets: it was made in one direction.", name)
	}
	if p.Blind[1] {
		add("The capture %s has no packets from the other side, although they arrived: it was made in one direction.", name)
	}
	if p.Ended {
		add("The capture %s ended before the other; what came later is not compared.", name)
	}
	if p.Began {
		add("The capture %s began after the other; what came before is not compared.", name)
	}
	if n := p.Short[0] + p.Short[1]; n > 0 {
		add("The snap length of the capture %s left too little of %s to tell which flows they belong to.", name, count(n, "frame"))
	}
	if p.Left > 0 {
		add("%s of the capture %s were not kept for comparison: too many flows.", count(p.Left, "packet"), name)
	}
	return list
}
