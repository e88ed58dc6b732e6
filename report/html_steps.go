package report

import (
	"slices"
	"strconv"
	"strings"

	"wirechart/rules"
)

// What the first page says in short: what to do, most serious first, and which
// components and edges were found.

// The limits of what is in short: on paper it shares a page with the answer.
const (
	maxSteps       = 5
	maxLot         = 8 // components, or edges in one state
	minCrowded     = 3 // steps from which a lot has no more than that
	maxLotHosts    = 4 // of a component, where there is room
	maxStepNumbers = 5
)

// htmlStep is one thing to do, and the findings that it is for.
type htmlStep struct {
	htmlCall
	Where       string // of the first of them
	Numbers     []int  // of the findings
	More, Flows string

	flows  uint64
	wheres []string
}

// htmlCall is what findings with one thing to do have in common.
type htmlCall struct{ Class, Sign, Kind, Do, What string }

// newHTMLSteps gathers findings by what is to be done about them, and why.
func newHTMLSteps(findings []rules.Finding) (steps []htmlStep, more string) {
	at := map[htmlCall]int{}
	for i := range findings {
		f := &findings[i]
		if f.Do == "" {
			continue
		}
		what, _ := told(f)
		call := htmlCall{kindClass(f.Kind), kindSign(f.Kind), kindWord(f.Kind), Clean(f.Do), Clean(what)}
		k, ok := at[call]
		if !ok {
			k = len(steps)
			at[call] = k
			steps = append(steps, htmlStep{htmlCall: call})
		}
		s := &steps[k]
		if where := Clean(strings.TrimSpace(f.From + " → " + f.To + " " + f.Service)); !slices.Contains(s.wheres, where) {
			s.wheres = append(s.wheres, where)
		}
		s.Numbers = append(s.Numbers, i+1)
		s.flows += f.Flows
	}
	if n := len(steps); n > maxSteps {
		steps, more = inShort(steps), "and "+number(uint64(n-maxSteps))+" more things to do, with the findings"
	}
	for i := range steps {
		s := &steps[i]
		s.Flows = number(s.flows)
		if s.Where = s.wheres[0]; len(s.wheres) > 1 {
			s.Where += " and " + strconv.Itoa(len(s.wheres)-1) + " more"
		}
		if n := len(s.Numbers); n > maxStepNumbers {
			s.Numbers, s.More = s.Numbers[:maxStepNumbers-1], "and "+strconv.Itoa(n-maxStepNumbers+1)+" more"
		}
	}
	return steps, more
}

// inShort picks the steps that there is room for, in their order: the first one of
// every kind, and as many more as come first.
func inShort(steps []htmlStep) []htmlStep {
	picked, room := make([]bool, len(steps)), maxSteps
	pick := func(wanted func(i int) bool) {
		for i := range steps {
			if room > 0 && !picked[i] && wanted(i) {
				picked[i] = true
				room--
			}
		}
	}
	pick(func(i int) bool {
		return i == slices.IndexFunc(steps, func(s htmlStep) bool { return s.Kind == steps[i].Kind })
	})
	pick(func(int) bool { return true })
	short := make([]htmlStep, 0, maxSteps)
	for i := range steps {
		if picked[i] {
			short = append(short, steps[i])
		}
	}
	return short
}

// htmlLot is what components, or edges, have in common, and which they are.
type htmlLot struct {
	Class, Sign, Word string
	Kind              string // the part of the page where they are: component or edge
	Of                []htmlOne
	More              string
	N                 int
}

func (l *htmlLot) add(id, note string, crowded bool) {
	if l.N++; crowded && l.N > maxLot {
		l.More = "and " + strconv.Itoa(l.N-len(l.Of)) + " more"
		return
	}
	l.Of = append(l.Of, htmlOne{id, note})
}

type htmlOne struct{ ID, Note string }

// lots are the components that hosts were found for and those without, and the
// edges by their state, of the parts that p has already.
func (p *htmlPage) lots() {
	crowded := len(p.Steps) >= minCrowded
	found := htmlLot{Class: "seen", Sign: "✓", Word: "found", Kind: "component"}
	missing := htmlLot{Class: "unseen", Sign: "·", Word: "no host", Kind: "component"}
	for i := range p.Components {
		c := &p.Components[i]
		switch {
		case c.Total == 0:
			missing.add(c.ID, "", crowded)
		case crowded && c.Total > 1:
			found.add(c.ID, count(uint64(c.Total), "host"), crowded)
		default:
			var hosts []string
			for k := range c.Hosts[:min(len(c.Hosts), maxLotHosts)] {
				hosts = append(hosts, strings.TrimSpace(c.Hosts[k].Host+" "+c.Hosts[k].Name))
			}
			if n := c.Total - len(hosts); n > 0 {
				hosts = append(hosts, strconv.Itoa(n)+" more")
			}
			found.add(c.ID, strings.Join(hosts, ", "), crowded)
		}
	}
	p.Parties = slices.DeleteFunc([]htmlLot{found, missing}, func(l htmlLot) bool { return l.N == 0 })
	for _, s := range []rules.EdgeStatus{rules.EdgeViolated, rules.EdgeBlocked, rules.EdgeUndecided, rules.EdgeSeen, rules.EdgeNotSeen} {
		sign, _ := edgeMark(s)
		l := htmlLot{Class: className(s.String()), Sign: sign, Word: s.String(), Kind: "edge"}
		for i := range p.Edges {
			if e := &p.Edges[i]; e.State == l.Word {
				l.add(e.ID, e.Blocked, crowded)
			}
		}
		if l.N > 0 {
			p.States = append(p.States, l)
			p.Unseen = s == rules.EdgeNotSeen
		}
	}
}
