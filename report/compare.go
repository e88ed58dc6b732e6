package report

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"wirechart/flows"
)

// CompareSchema is the schema that a comparison of two capture points names.
const CompareSchema = "wirechart/compare/v1"

// Fate is what became of a flow between two capture points.
type Fate string

// The fates, the most serious first.
const (
	FateDropped  Fate = "dropped"         // what the client sent did not come out on the other side
	FateAnswers  Fate = "answers_dropped" // the client's packets crossed, the answers did not
	FateMidway   Fate = "dropped_midway"  // it crossed, and later packets did not
	FateRejected Fate = "rejected"        // refused between: a reset or an ICMP error that no end sent
	FateReset    Fate = "reset_between"   // it crossed, and was then reset by what lies between
	FateCrossed  Fate = "crossed"
	FateOneSide  Fate = "one_side" // answered on the side that it was seen on: it did not have to cross
)

var fates = [...]Fate{FateDropped, FateAnswers, FateMidway, FateRejected, FateReset, FateCrossed, FateOneSide}

// bad says whether what lies between kept a flow from working.
func (f Fate) bad() bool { return f != FateCrossed && f != FateOneSide }

// CompareDoc is a comparison of two capture points as a document.
type CompareDoc struct {
	Schema  string          `json:"schema"`
	Summary string          `json:"summary" doc:"the answer as a sentence"`
	Inside  vantageDoc      `json:"inside"`
	Outside vantageDoc      `json:"outside"`
	Clock   clockDoc        `json:"clock"`
	Fates   map[Fate]uint64 `json:"fates" doc:"flows by what became of them"`
	Flows   []crossingDoc   `json:"flows" doc:"those that did not get through first"`
	Notes   []string        `json:"notes"`
}

type vantageDoc struct {
	Files  []string `json:"files"`
	Frames uint64   `json:"frames"`
	Flows  uint64   `json:"flows"`
	More   uint64   `json:"more_packets,omitempty" doc:"packets of flows that found no room"`
}

type clockDoc struct {
	Offset    float64 `json:"offset_ms" doc:"clock outside less clock inside: given, or estimated from the medians of both directions as if both took the same time"`
	Given     bool    `json:"given" doc:"the offset was given and not estimated"`
	Outward   int     `json:"outward" doc:"packets seen on both sides, from inside to outside"`
	Inward    int     `json:"inward" doc:"packets seen on both sides, from outside to inside"`
	RoundTrip float64 `json:"round_trip_ms" doc:"what lies between adds in both directions together, the median; free of the clocks"`
}

type crossingDoc struct {
	Fate     Fate     `json:"fate"`
	Proto    string   `json:"proto"`
	Client   string   `json:"client" doc:"as the client's side saw it"`
	Server   string   `json:"server" doc:"as the client's side saw it"`
	From     string   `json:"from" doc:"the side that the client is on: inside or outside"`
	Matched  string   `json:"matched,omitempty" doc:"how it was known again: by addresses, sequence numbers or payload"`
	Inside   *sideDoc `json:"inside,omitempty"`
	Outside  *sideDoc `json:"outside,omitempty"`
	Rewrites []string `json:"rewritten,omitempty" doc:"what address translation changed"`
	ResetBy  string   `json:"reset_by,omitempty" doc:"client, server, or between"`
	ICMP     string   `json:"icmp,omitempty" doc:"the error about it, and who sent it"`
	Lost     *lostDoc `json:"lost,omitempty" doc:"the first packet that did not cross"`
	Added    *float64 `json:"added_ms,omitempty" doc:"round trip that what lies between adds: the median of each direction, together"`
	Delayed  bool     `json:"delayed,omitempty" doc:"it adds noticeably more to this flow than to others"`
	Says     string   `json:"says" doc:"the fate as a sentence"`
}

type sideDoc struct {
	Client  string    `json:"client"`
	Server  string    `json:"server"`
	Packets [2]uint64 `json:"packets" doc:"from client to server, from server to client"`
	File    string    `json:"file,omitempty"`
	Frame   uint64    `json:"frame"`
}

type lostDoc struct {
	Direction string `json:"direction" doc:"to_server or to_client"`
	Packets   int    `json:"packets" doc:"of the first few of the flow"`
	Side      string `json:"side" doc:"where they were seen"`
	File      string `json:"file,omitempty"`
	Frame     uint64 `json:"frame"`
}

// CompareOptions are what a comparison may be told.
type CompareOptions struct {
	Offset *int64      // clock outside less clock inside, nanoseconds; nil to estimate it
	Delay  int64       // what is noticeably more than other flows have, nanoseconds
	Files  [2][]string // names of the captures, inside and outside
}

var sideNames = [...]string{"inside", "outside"}

// Compare says what became of every flow between two capture points.
func Compare(inside, outside *flows.Vantage, o CompareOptions) *CompareDoc {
	d := &CompareDoc{Schema: CompareSchema, Fates: map[Fate]uint64{}, Flows: []crossingDoc{}, Notes: []string{},
		Inside:  vantageDoc{o.Files[0], inside.Frames, uint64(len(inside.Passings())), inside.More},
		Outside: vantageDoc{o.Files[1], outside.Frames, uint64(len(outside.Passings())), outside.More}}
	crossings := flows.MatchVantages(inside, outside)
	clientAt := make([]int, len(crossings))
	var lags [2][]int64 // outward, inward
	for i := range crossings {
		c := &crossings[i]
		clientAt[i] = clientSide(c)
		for _, l := range c.Lags() {
			way := 0 // outward
			if (l.Dir == 0) != (clientAt[i] == 0) {
				way = 1
			}
			lags[way] = append(lags[way], l.Time)
		}
	}
	out, in := median(lags[0]), median(lags[1])
	d.Clock = clockDoc{Outward: len(lags[0]), Inward: len(lags[1]), RoundTrip: ms(out - in)}
	offset := (out + in) / 2
	switch {
	case o.Offset != nil:
		offset, d.Clock.Given = *o.Offset, true
	case len(lags[0])+len(lags[1]) == 0:
		d.Notes = append(d.Notes, "No packet was seen on both sides: the clocks cannot be compared.")
	case len(lags[0]) == 0 || len(lags[1]) == 0:
		offset = out + in
		d.Clock.RoundTrip = 0
		d.Notes = append(d.Notes, "Packets of one direction alone were seen on both sides: what lies between cannot be told from the clocks' offset.")
	}
	d.Clock.Offset = ms(offset)
	for i := range crossings {
		x := newCrossing(&crossings[i], clientAt[i], &o)
		if x.Added != nil && *x.Added-d.Clock.RoundTrip >= float64(o.Delay)/1e6 && o.Delay > 0 {
			x.Delayed = true
			x.Says += fmt.Sprintf(" It is delayed: %s added, %s as a rule.", decimalMS(*x.Added), decimalMS(d.Clock.RoundTrip))
		}
		d.Fates[x.Fate]++
		d.Flows = append(d.Flows, x)
	}
	slices.SortStableFunc(d.Flows, func(a, b crossingDoc) int {
		return cmp.Compare(slices.Index(fates[:], a.Fate), slices.Index(fates[:], b.Fate))
	})
	for i, v := range []*flows.Vantage{inside, outside} {
		if v.More > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("There were more flows %s than are kept; %d packets are of none.", sideNames[i], v.More))
		}
	}
	var parts []string
	for _, f := range fates {
		if n := d.Fates[f]; n > 0 {
			parts = append(parts, number(n)+" "+fateWord(f))
		}
	}
	d.Summary = count(uint64(len(d.Flows)), "flow") + ": " + orElse(strings.Join(parts, ", "), "nothing to compare") + "."
	return d
}

// Bad says whether what lies between kept some flow from working.
func (d *CompareDoc) Bad() bool {
	return slices.ContainsFunc(d.Flows, func(x crossingDoc) bool { return x.Fate.bad() })
}

func fateWord(f Fate) string {
	switch f {
	case FateAnswers:
		return "with answers dropped"
	case FateOneSide:
		return "answered on one side"
	}
	return phrase(string(f))
}

func ms(ns int64) float64 { return float64(ns/1000) / 1000 }

func decimalMS(v float64) string { return fmt.Sprintf("%.1f ms", v) }

func median(list []int64) int64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// clientSide is the side that a flow's client is on: the only one that saw it, or
// the one where its packets have passed fewer routers.
func clientSide(c *flows.Crossing) int {
	switch {
	case c.Sides[0] == nil:
		return 1
	case c.Sides[1] == nil:
		return 0
	}
	votes := 0
	for _, l := range c.Lags() {
		if l.Dir == 0 {
			votes += l.Outward
		} else {
			votes -= l.Outward
		}
	}
	if votes < 0 {
		return 1
	}
	return 0
}

func newCrossing(c *flows.Crossing, at int, o *CompareOptions) crossingDoc {
	near, far := c.Sides[at], c.Sides[1-at]
	x := crossingDoc{Proto: flows.ProtoName(near.Proto), Client: passingEnd(near.Client, near.Proto), Server: passingEnd(near.Server, near.Proto), From: sideNames[at], Matched: c.By}
	for i, s := range c.Sides {
		if s == nil {
			continue
		}
		doc := &sideDoc{passingEnd(s.Client, s.Proto), passingEnd(s.Server, s.Proto), s.Packets, o.file(i, s.Frame.File()), s.Frame.Number()}
		if i == 0 {
			x.Inside = doc
		} else {
			x.Outside = doc
		}
	}
	if far != nil {
		if near.Client != far.Client && (near.Client.Addr() != far.Client.Addr() || near.Proto == flows.ProtoTCP || near.Proto == flows.ProtoUDP) {
			x.Rewrites = append(x.Rewrites, "source "+passingEnd(near.Client, near.Proto)+" to "+passingEnd(far.Client, far.Proto))
		}
		if near.Server != far.Server && (near.Server.Addr() != far.Server.Addr() || near.Proto == flows.ProtoTCP || near.Proto == flows.ProtoUDP) {
			x.Rewrites = append(x.Rewrites, "destination "+passingEnd(near.Server, near.Proto)+" to "+passingEnd(far.Server, far.Proto))
		}
	}
	icmp := ""
	for _, s := range []*flows.Passing{near, far} {
		if s != nil && s.ICMP != nil && icmp == "" {
			icmp = fmt.Sprintf("type %d code %d from %s", s.ICMP.Type, s.ICMP.Code, s.ICMP.From)
		}
	}
	x.ICMP = icmp
	x.ResetBy = resetBy(near, far)
	toServer, lostOut := c.Lost(at, 0)
	toClient, lostIn := c.Lost(1-at, 1)
	lost := func(direction string, n int, side int, m interface{ Number() uint64 }, file int) {
		x.Lost = &lostDoc{direction, n, sideNames[side], o.file(side, file), m.Number()}
	}
	switch {
	case far == nil && x.ResetBy == "between":
		x.Fate, x.Says = FateRejected, "Refused between: the reset came from no end, for nothing of the flow reached the other side."
	case far == nil && near.ICMP != nil && near.ICMP.From != near.Server.Addr():
		x.Fate, x.Says = FateRejected, "Refused between: "+near.ICMP.From.String()+" answered with an ICMP error, and nothing of the flow reached the other side."
	case far == nil && near.ICMP != nil:
		x.Fate, x.Says = FateRejected, "Refused between with an ICMP error in the server's name: nothing of the flow reached the other side."
	case far == nil && near.Packets[1] > 0:
		x.Fate, x.Says = FateOneSide, "Answered on the side that it was seen on: it did not cross."
	case far == nil:
		x.Fate, x.Says = FateDropped, "Dropped between: what the client sent never came out on the other side."
		lost("to_server", toServer, at, lostOut.Frame, lostOut.Frame.File())
	case x.ResetBy == "between":
		x.Fate, x.Says = FateReset, "It crossed, and what lies between then reset it: no end sent that reset."
	case near.Packets[1] == 0 && far.Packets[1] > 0:
		x.Fate, x.Says = FateAnswers, "The client's packets crossed, and the server's answers were dropped between."
		if lostIn != nil {
			lost("to_client", toClient, 1-at, lostIn.Frame, lostIn.Frame.File())
		}
	case near.ICMP != nil && far.ICMP == nil && near.ICMP.From != near.Server.Addr() && toServer > 0:
		x.Fate, x.Says = FateRejected, "It crossed at first, and what lies between then refused it with an ICMP error."
		lost("to_server", toServer, at, lostOut.Frame, lostOut.Frame.File())
	case toServer > 0 && near.Packets[0] > far.Packets[0]:
		x.Fate, x.Says = FateMidway, fmt.Sprintf("It crossed at first; then %s of the client's did not come out on the other side.", count(near.Packets[0]-far.Packets[0], "packet"))
		lost("to_server", toServer, at, lostOut.Frame, lostOut.Frame.File())
	case toClient > 0 && far.Packets[1] > near.Packets[1]:
		x.Fate, x.Says = FateMidway, fmt.Sprintf("It crossed at first; then %s of the server's did not come out on the client's side.", count(far.Packets[1]-near.Packets[1], "packet"))
		lost("to_client", toClient, 1-at, lostIn.Frame, lostIn.Frame.File())
	default:
		x.Fate, x.Says = FateCrossed, "It crossed, both ways."
		switch {
		case x.ResetBy != "":
			x.Says = "It crossed; the " + x.ResetBy + " reset it."
		case near.Packets[1] == 0 && far.Packets[1] == 0:
			x.Says = "It crossed, and the server did not answer."
		}
	}
	if len(x.Rewrites) > 0 {
		x.Says += " Rewritten: " + strings.Join(x.Rewrites, ", ") + "."
	}
	var ways [2][]int64
	for _, l := range c.Lags() {
		ways[l.Dir] = append(ways[l.Dir], l.Time)
	}
	if len(ways[0]) > 0 && len(ways[1]) > 0 {
		added := median(ways[0]) - median(ways[1])
		if at == 1 {
			added = -added
		}
		v := ms(added)
		x.Added = &v
	}
	return x
}

// resetBy is who sent the first reset: an end, whose reset both sides saw, or what
// lies between, whose reset one side did or whose two resets are not one packet.
func resetBy(near, far *flows.Passing) string {
	seen := func(s *flows.Passing, print uint64, dir int) bool {
		return s != nil && slices.ContainsFunc(s.Marks[dir], func(m flows.Mark) bool { return m.Print == print })
	}
	for i, s := range []*flows.Passing{near, far} {
		if s == nil || s.Reset == nil {
			continue
		}
		other := []*flows.Passing{far, near}[i]
		if other != nil && (seen(other, s.Reset.Print, s.ResetBy) || other.Reset != nil && other.ResetBy == s.ResetBy) {
			return [...]string{"client", "server"}[s.ResetBy]
		}
		// A reset that goes towards the far side and was seen near it alone, or
		// the other way round, was made in between; one that an end sent and that
		// was dropped was seen where that end is.
		if sender := [...]*flows.Passing{near, far}[s.ResetBy]; sender == s {
			return [...]string{"client", "server"}[s.ResetBy]
		}
		return "between"
	}
	return ""
}

func (o *CompareOptions) file(side, n int) string {
	if n < len(o.Files[side]) {
		return o.Files[side][n]
	}
	return ""
}

// passingEnd is an end; of what has no ports the address.
func passingEnd(a netip.AddrPort, proto uint8) string {
	if proto == flows.ProtoTCP || proto == flows.ProtoUDP || proto == flows.ProtoSCTP {
		return a.String()
	}
	return a.Addr().String()
}

func compareTable(w io.Writer, d *CompareDoc, o *Options) error {
	p := &page{w: w, o: o}
	sign, st := "✓", green
	if d.Bad() {
		sign, st = "✗", red
	}
	p.mark(0, sign, st, d.Summary)
	for i, v := range []*vantageDoc{&d.Inside, &d.Outside} {
		p.para(2, dim, fmt.Sprintf("%-8s %s, %s, %s", sideNames[i], strings.Join(v.Files, ", "), count(v.Frames, "frame"), count(v.Flows, "flow")))
	}
	p.para(2, dim, d.clock())
	for _, f := range fates {
		first := true
		for i := range d.Flows {
			x := &d.Flows[i]
			if x.Fate != f {
				continue
			}
			if first {
				title := fateWord(f)
				p.heading(strings.ToUpper(title[:1])+title[1:], count(d.Fates[f], "flow"))
				first = false
			}
			sign, st := "✓", green
			switch {
			case f.bad():
				sign, st = "✗", red
			case x.Delayed:
				sign, st = "!", yellow
			case f == FateOneSide:
				sign, st = "·", dim
			}
			p.mark(2, sign, st, x.title()+": "+x.Says)
			p.para(4, dim, x.proof())
		}
	}
	for _, n := range d.Notes {
		p.mark(2, "!", yellow, n)
	}
	return p.err
}

// clock is what is known of the clocks, as a sentence.
func (d *CompareDoc) clock() string {
	c := &d.Clock
	if c.Given {
		return fmt.Sprintf("clock    outside is %s ahead (given); what lies between adds %s to a round trip, over %d packets", decimalMS(c.Offset), decimalMS(c.RoundTrip), c.Outward+c.Inward)
	}
	return fmt.Sprintf("clock    outside is %s ahead, if both directions take the same time; what lies between adds %s to a round trip, over %d packets",
		decimalMS(c.Offset), decimalMS(c.RoundTrip), c.Outward+c.Inward)
}

func (x *crossingDoc) title() string { return x.Proto + " " + x.Client + " > " + x.Server }

// proof is where the fate can be seen.
func (x *crossingDoc) proof() string {
	var parts []string
	for i, s := range []*sideDoc{x.Inside, x.Outside} {
		if s != nil {
			parts = append(parts, fmt.Sprintf("%s frame %d, %d→ %d←", sideNames[i], s.Frame, s.Packets[0], s.Packets[1]))
		}
	}
	if x.Lost != nil {
		parts = append(parts, fmt.Sprintf("lost: %s frame %d", x.Lost.Side, x.Lost.Frame))
	}
	if x.ICMP != "" {
		parts = append(parts, "ICMP "+x.ICMP)
	}
	if x.Added != nil {
		parts = append(parts, "added "+decimalMS(*x.Added))
	}
	return strings.Join(parts, "; ")
}

func compareMarkdown(w io.Writer, d *CompareDoc, o *Options) error {
	m := &markdownPage{page{w: w, o: o}}
	m.print("# Between the two captures\n\n" + text(d.Summary) + "\n\n" + text(d.clock()) + "\n\n")
	m.head("fate", "proto", "client", "server", "from", "what", "proof")
	for i := range d.Flows {
		x := &d.Flows[i]
		m.row(fateWord(x.Fate), x.Proto, code(x.Client), code(x.Server), x.From, text(x.Says), text(x.proof()))
	}
	for _, n := range d.Notes {
		m.print("\n- " + text(n) + "\n")
	}
	return m.err
}
