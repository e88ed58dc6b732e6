package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"wirechart/flows"
)

// signOfFate is how a finding is marked.
func signOfFate(f *crossFindingDoc) (string, style) {
	switch f.Fate {
	case flows.Undecided.String(), flows.NotCompared.String(), flows.Elsewhere.String(), flows.Answered.String():
		return "?", yellow
	case flows.Crossed.String():
		if f.Reason != "" {
			return "·", plain
		}
		return "✓", green
	}
	return "✗", red
}

// frameText is a frame of a capture, or that there is none.
func frameText(s *sightDoc) string {
	if s == nil {
		return "–"
	}
	return frameNumber(s.Frame)
}

func fateText(f *crossFindingDoc) string {
	s := phrase(f.Fate)
	switch {
	case f.Reason != "" && f.Fate == flows.Crossed.String():
		s += ", " + phrase(f.Reason)
	case len(f.Directions) == 2:
		s += " ↔"
	case len(f.Directions) == 1 && f.Directions[0] == directionNames[flows.ToServer]:
		s += " →"
	case len(f.Directions) == 1:
		s += " ←"
	}
	return s
}

// ends are those of the first flow, as the client's side shows it.
func (f *crossFindingDoc) ends() string {
	s := f.Example.Inside
	if s == nil || f.ClientSide == flows.Outside.String() && f.Example.Outside != nil {
		s = f.Example.Outside
	}
	return f.Example.Proto + " " + s.Client + " > " + s.Server
}

func compareTable(w io.Writer, d *CompareDoc, o *Options) error {
	p := &page{w: w, o: o}
	sign, st := "✗", red
	switch d.Result {
	case Undecided:
		sign, st = "?", yellow
	case AllCrossed:
		sign, st = "✓", green
	}
	p.mark(0, sign, st, d.Summary)
	rows := [][]cell{}
	tell := func(what, says string) { rows = append(rows, []cell{{what, dim}, {Clean(says), dim}}) }
	tell("inside", d.Inside.text())
	tell("outside", d.Outside.text())
	tell("clocks", d.clockText())
	for _, t := range d.travels() {
		tell("delay", t.name+": "+t.text)
	}
	p.grid(2, []column{{}, {wide: true}}, rows)
	rows = nil
	for i := range d.Findings {
		f := &d.Findings[i]
		sign, st := signOfFate(f)
		what := f.ends()
		if f.Service == several {
			what += " …"
		}
		if f.Edge != "" {
			what += " [" + f.Edge + "]"
		}
		rows = append(rows, []cell{{sign, st}, cellOf(strconv.Itoa(i + 1)), cellOf(fateText(f)), cellOf(what), cellOf(number(f.Flows)),
			cellOf(frameText(f.Example.Inside)), cellOf(frameText(f.Example.Outside))})
	}
	p.heading("Flows", "the most serious first; → to the server, ← to the client; frames are those of the first flow")
	p.grid(2, []column{{}, {right: true}, {head: "fate"}, {head: "first flow", wide: true}, {head: "flows", right: true},
		{head: "inside", right: true}, {head: "outside", right: true}}, rows)
	if d.MoreFindings > 0 {
		p.para(2, dim, d.moreFindings())
	}
	first := true
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Fate == flows.Crossed.String() && f.Reason == "" {
			continue
		}
		if first {
			p.heading("Why", "and what to do next")
			first = false
		}
		sign, st := signOfFate(f)
		p.mark(2, sign, st, strconv.Itoa(i+1)+"  "+capital(f.Says))
		p.para(4, dim, f.proof(d))
		if f.Do != "" {
			p.mark(4, "→", cyan, capital(f.Do))
		}
	}
	if len(d.Rewrites) > 0 {
		p.heading("Rewritten", "between the captures")
		rows = nil
		for _, r := range d.Rewrites {
			rows = append(rows, []cell{cellOf(r.Kind), cellOf(r.Before + " → " + r.After), cellOf(r.Ports), cellOf(number(r.Flows)),
				cellOf(frameNumber(r.InsideFrame)), cellOf(frameNumber(r.OutsideFrame))})
		}
		p.grid(2, []column{{head: "what"}, {head: "from the client's side", wide: true}, {head: "ports"}, {head: "flows", right: true},
			{head: "inside", right: true}, {head: "outside", right: true}}, rows)
		if d.MoreRewrites > 0 {
			p.para(2, dim, d.moreRewrites())
		}
	}
	if len(d.Notes) > 0 {
		p.heading("Limits", "of this answer")
		for _, n := range d.Notes {
			p.mark(2, "!", yellow, n)
		}
	}
	return p.err
}

// answer is the result in a word.
func (d *CompareDoc) answer() string {
	return map[Result]string{Between: "Yes", AllCrossed: "No", Undecided: "Undecided"}[d.Result]
}

// text is a place for people.
func (p *placeDoc) text() string {
	return tail(p.Capture, 40) + ", " + count(p.Frames, "frame") + ", " + count(p.Flows, "flow") + recorded(p.First, p.Last)
}

// travel is what packets took one way between the places.
type travel struct {
	name  string
	delay *delayDoc
	text  string // with what the clocks leave open
}

// travels are those ways of which it is known.
func (d *CompareDoc) travels() (list []travel) {
	for _, t := range []travel{{"inside → outside", d.Delay.Out, ""}, {"outside → inside", d.Delay.In, ""}} {
		if t.delay != nil {
			t.text = t.delay.text()
			if c := &d.Clock; c.Known && !c.Given {
				t.text += ", each ± " + fraction(int64(c.Error*1e9))
			}
			list = append(list, t)
		}
	}
	return list
}

// moreFindings tells how many findings the list has no room for.
func (d *CompareDoc) moreFindings() string {
	return "and " + count(d.MoreFindings, "more finding") + ", not listed: none is more serious than these"
}

// moreRewrites is the same for rewrites, of which the first are listed.
func (d *CompareDoc) moreRewrites() string {
	return "and " + count(d.MoreRewrites, "more rewrite") + ", not listed"
}

// proof says where the first flow of a finding can be seen.
func (f *crossFindingDoc) proof(d *CompareDoc) string {
	var list []string
	in, out := f.Example.Inside, f.Example.Outside
	for _, s := range []struct {
		name  string
		sight *sightDoc
		files []string
	}{{"inside", in, d.Inside.Files}, {"outside", out, d.Outside.Files}} {
		if s.sight == nil {
			list = append(list, s.name+" nothing")
			continue
		}
		text := s.name + " frame " + frameNumber(s.sight.Frame)
		if len(s.files) > 1 {
			text += " of " + tail(s.sight.File, 40)
		}
		if in != nil && out != nil && (in.Client != out.Client || in.Server != out.Server) {
			text += " (" + s.sight.Client + " > " + s.sight.Server + ")"
		}
		list = append(list, text)
	}
	if f.Example.Crossed != "" {
		list = append(list, "the last packet that crossed "+strings.Replace(f.Example.Crossed[:min(23, len(f.Example.Crossed))], "T", " ", 1))
	}
	return strings.Join(list, ", ")
}

func (d *delayDoc) text() string {
	return fmt.Sprintf("median %s, p95 %s over %s", fraction(int64(d.Median*1e6)), fraction(int64(d.P95*1e6)), count(d.Packets, "packet"))
}

// clockText is what is known of the clocks, and what is not.
func (d *CompareDoc) clockText() string {
	c := &d.Clock
	if c.Samples[0]+c.Samples[1] == 0 {
		return "nothing in common by which they could be compared"
	}
	offset := time.Duration(c.Offset * 1e9)
	s := "the outside clock is "
	switch {
	case offset >= 0:
		s += fraction(int64(offset)) + " ahead"
	default:
		s += fraction(-int64(offset)) + " behind"
	}
	if c.Guessed {
		return s + ", as far as can be guessed (the packets in common look all alike)"
	}
	if !c.Known {
		return s + ", the least delay included (packets in common went one way only)"
	}
	if c.Given {
		return s + ", as given; least round trip between the captures " + fraction(int64(c.RoundTrip*1e6))
	}
	s += " (± " + fraction(int64(c.Error*1e9)) + ")"
	if c.Drift != 0 {
		s += fmt.Sprintf(" and drifts by %.3g ppm", c.Drift)
	}
	return s + "; least round trip between the captures " + fraction(int64(c.RoundTrip*1e6)) + ", half of it attributed to each direction"
}

// recorded is from when until when, for people.
func recorded(first, last string) string {
	if len(first) < 19 || len(last) < 19 {
		return ""
	}
	return ", " + strings.Replace(first[:19], "T", " ", 1) + " to " + strings.Replace(last[:19], "T", " ", 1) + " UTC"
}

func compareMarkdown(w io.Writer, d *CompareDoc, o *Options) error {
	m := &markdownPage{page{w: w, o: o}}
	m.print("# Is it between? " + d.answer() + "\n\n" + text(d.Summary) + "\n\n")
	m.head("place", "capture", "frames", "flows", "first", "last")
	for _, s := range []struct {
		name  string
		place *placeDoc
	}{{"inside", &d.Inside}, {"outside", &d.Outside}} {
		m.row(s.name, code(s.place.Capture), number(s.place.Frames), number(s.place.Flows), text(s.place.First), text(s.place.Last))
	}
	m.print("\n- Clocks: " + text(d.clockText()) + "\n")
	for _, t := range d.travels() {
		m.print("- Delay, " + t.name + ": " + text(t.text) + "\n")
	}
	m.print("\n## Flows\n\n")
	m.head("fate", "first flow", "flows", "inside frame", "outside frame", "what was seen", "do")
	for i := range d.Findings {
		f := &d.Findings[i]
		m.row(text(fateText(f)), code(f.ends()), number(f.Flows), frameText(f.Example.Inside), frameText(f.Example.Outside), text(capital(f.Says)), text(capital(f.Do)))
	}
	if d.MoreFindings > 0 {
		m.print("\n" + capital(d.moreFindings()) + ".\n")
	}
	if len(d.Rewrites) > 0 {
		m.print("\n## Rewritten\n\n")
		m.head("what", "before", "after", "ports", "flows", "inside frame", "outside frame")
		for _, r := range d.Rewrites {
			m.row(r.Kind, code(r.Before), code(r.After), r.Ports, number(r.Flows), frameNumber(r.InsideFrame), frameNumber(r.OutsideFrame))
		}
		if d.MoreRewrites > 0 {
			m.print("\n" + capital(d.moreRewrites()) + ".\n")
		}
	}
	if len(d.Notes) > 0 {
		m.print("\n## Limits\n\n")
		for _, n := range d.Notes {
			m.print("- " + text(n) + "\n")
		}
	}
	return m.err
}
