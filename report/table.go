package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

var table = Format{
	Name:  "table",
	Doc:   "for people, at the width of the terminal",
	Audit: func(w io.Writer, a *rules.Audit, o *Options) error { return writeAudit(w, a, o, short) },
	Hosts: func(w io.Writer, hosts []rules.Host, o *Options) error { return writeHosts(w, hosts, o, short) },
	Flows: func(w io.Writer, o *Options) FlowWriter { return newFlowTable(w, o, short) },

	Explain: explainTable,
	Diff:    diffTable,
	Compare: compareTable,
}

var wide = Format{
	Name:  "wide",
	Doc:   "for people, with everything",
	Audit: func(w io.Writer, a *rules.Audit, o *Options) error { return writeAudit(w, a, o, full) },
	Hosts: func(w io.Writer, hosts []rules.Host, o *Options) error { return writeHosts(w, hosts, o, full) },
	Flows: func(w io.Writer, o *Options) FlowWriter { return newFlowTable(w, o, full) },

	Explain: explainTable,
	Diff:    diffTable,
	Compare: compareTable,
}

// extent is how many of a kind are shown before the rest is only counted.
type extent struct {
	captures, hosts, choices, concerns, evidence int

	findings int // written out, each as a paragraph
	listed   int // behind them, each as a line
}

var (
	short = extent{captures: 8, hosts: 4, choices: 6, findings: 6, listed: 40, concerns: 10, evidence: 1}
	full  = extent{captures: 1 << 30, hosts: 1 << 30, choices: 1 << 30, findings: 1 << 30, concerns: 1 << 30, evidence: 8}
)

func writeAudit(w io.Writer, a *rules.Audit, o *Options, x extent) error {
	p := &page{w: w, o: o}
	headline, sentence := answer(a)
	st := map[Result]style{Conforms: bold, Findings: red, Undecided: yellow, Known: yellow}[ResultOf(a)]
	sign := resultSign(ResultOf(a))
	for i, line := range wrap(sign+" "+headline+": "+sentence, o.width(), 2) {
		if i == 0 {
			head := sign + " " + headline
			if rest, ok := strings.CutPrefix(line, head); ok {
				line = o.paint(st, head) + rest
			}
		}
		p.print(line + "\n")
	}
	p.para(2, dim, "Diagram: "+diagramTitle(a.Diagram))
	p.captures(&a.Coverage, x)
	p.findings(a, x)
	p.edges(a, x)
	p.components(a, x)
	p.choices(a, x)
	p.concerns(a, x)
	p.totals(a)
	p.next(a, x)
	return p.err
}

func diagramTitle(d *rules.Diagram) string {
	if d == nil {
		return "none"
	}
	title := d.Name
	if d.Title != "" {
		title = d.Title + " (" + d.Name + ")"
	}
	sep := ", with "
	for i := 1; i < len(d.Parts); i++ {
		title += sep + d.Parts[i].Name
		sep = ", "
	}
	return title
}

// kindStyle is how a verdict looks.
func kindStyle(k rules.Kind) style {
	switch k {
	case rules.Violation, rules.Undocumented:
		return red
	case rules.Blocked, rules.Indeterminate:
		return yellow
	case rules.Documented:
		return green
	}
	return dim
}

func (p *page) findings(a *rules.Audit, x extent) {
	if len(a.Findings) == 0 {
		return
	}
	title := count(uint64(len(a.Findings)), "kind")
	if len(a.Findings) > 1 {
		title += ", most serious first"
	}
	p.heading("Findings", title)
	for i := range a.Findings[:min(x.findings, len(a.Findings))] {
		p.finding(i+1, &a.Findings[i])
	}
	if len(a.Findings) <= x.findings {
		return
	}
	var rows [][]cell
	lines := gather(a.Findings, x.findings)
	left := lines[min(x.listed, len(lines)):]
	together := false
	for _, l := range lines[:len(lines)-len(left)] {
		what := l.String()
		if at := p.o.place(l.finding.Example.Frame); at != "" {
			what += " (" + at + ")"
		}
		n := strconv.Itoa(l.first)
		if l.count > 1 {
			n, together = n+"+", true
		}
		rows = append(rows, []cell{cellOf(n), {kindWord(l.finding.Kind), kindStyle(l.finding.Kind)}, cellOf(number(l.flows)), cellOf(what)})
	}
	p.print("\n")
	p.grid(1, []column{{right: true}, {}, {right: true}, {wide: true}}, rows)
	kinds, rest := 0, uint64(0)
	for _, l := range left {
		kinds += l.count
		rest += l.flows
	}
	if kinds > 0 {
		p.mark(2, "·", dim, fmt.Sprintf("and %s more, of %s", count(uint64(kinds), "kind"), count(rest, "flow")))
	}
	all := number(uint64(len(a.Findings)))
	if together {
		p.mark(2, "·", dim, "a + marks several kinds in one line, numbered as the first; -o wide writes out all "+all)
	} else {
		p.mark(2, "·", dim, "-o wide writes out all "+all)
	}
}

// finding writes one finding as a paragraph: what and where; the flow that
// proves it; what to do.
func (p *page) finding(n int, f *rules.Finding) {
	lead := fmt.Sprintf("%3d  ", n)
	word := strings.ToUpper(kindWord(f.Kind))
	ends := Clean(f.From + " → " + f.To)
	if f.Service != "" {
		ends += "  " + Clean(f.Service)
	}
	times := count(f.Flows, "flow")
	room := p.o.width() - len(lead) - len(word) - 2
	if gap := room - cells(ends) - cells(times); gap >= 2 {
		p.print("\n" + lead + p.o.paint(kindStyle(f.Kind), word) + "  " + p.o.paint(bold, ends) + strings.Repeat(" ", gap) + times + "\n")
	} else {
		p.print("\n" + lead + p.o.paint(kindStyle(f.Kind), word) + "  " + times + "\n")
		p.para(5, bold, ends)
	}
	what, says := told(f)
	p.para(5, plain, what)
	example := p.flow(f.Example.Client, f.Example.Server)
	if at := p.o.place(f.Example.Frame); at != "" {
		example += ", " + at
	}
	if says != "" {
		example += ": " + says
	}
	p.para(5, dim, example)
	where := f.Reason.String()
	if f.Edge != nil {
		where += ", edge " + f.Edge.ID + " (" + edgeAt(f.Edge) + ")"
	}
	p.para(5, dim, where)
	if f.Do != "" {
		p.mark(5, "→", cyan, f.Do)
	}
}

// told is what a finding is, and what its example shows, without what has been
// said already: the ends and the service stand above, and where the example
// repeats the finding and adds what was seen, that is enough.
func told(f *rules.Finding) (what, says string) {
	what = strings.TrimPrefix(f.Title, f.From+" to "+f.To+" at "+f.Service+": ")
	if strings.HasPrefix(f.Example.Says, strings.TrimSuffix(what, ".")) {
		return capital(f.Example.Says), ""
	}
	return capital(what), f.Example.Says
}

// capital makes a sentence of a phrase.
func capital(s string) string { return rules.Sentence(s) }

// severityStyle is how a severity looks.
func severityStyle(s rules.Severity) style {
	switch s {
	case rules.High:
		return red
	case rules.Medium:
		return yellow
	}
	return dim
}

func (p *page) concerns(a *rules.Audit, x extent) {
	if len(a.Concerns) == 0 {
		return
	}
	p.heading("Concerns", "good practice; does not affect verdicts")
	var rows [][]cell
	for i := range a.Concerns {
		if i == x.concerns {
			break
		}
		f := &a.Concerns[i]
		says := strings.TrimSuffix(f.Title, ".") + ": " + p.flow(f.Example.Client, f.Example.Server)
		if at := p.o.place(f.Example.Frame); at != "" {
			says += ", " + at
		}
		rows = append(rows, []cell{{f.Severity.String(), severityStyle(f.Severity)}, cellOf(count(f.Flows, "flow")), cellOf(Clean(says))})
	}
	p.grid(2, []column{{}, {right: true}, {wide: true}}, rows)
	if n := len(a.Concerns) - x.concerns; n > 0 {
		p.mark(2, "·", dim, fmt.Sprintf("and %s more: -o wide shows them all", count(uint64(n), "kind")))
	}
}

func (p *page) totals(a *rules.Audit) {
	p.heading("Flows", count(a.Coverage.Flows, "flow")+" in all")
	var rows [][]cell
	for _, k := range kinds {
		c := a.Verdicts[k]
		if c.Flows == 0 {
			continue
		}
		rows = append(rows, []cell{cellOf(number(c.Flows)), {kindWord(k), kindStyle(k)}, cellOf(size(c.Bytes)), {kindMeans(k), dim}})
	}
	p.grid(2, []column{{right: true}, {}, {right: true}, {wide: true}}, rows)
	for _, note := range a.Notes {
		p.mark(2, "·", dim, note)
	}
}

// kindMeans is a verdict in a few words.
func kindMeans(k rules.Kind) string {
	return [...]string{
		rules.Indeterminate: "these captures cannot decide",
		rules.Documented:    "as the diagram says",
		rules.Violation:     "an edge exists, and the traffic contradicts it",
		rules.Undocumented:  "no edge joins the two",
		rules.Blocked:       "an edge exists, and the connection did not get through",
		rules.Ambient:       "ordinary infrastructure (DNS, NTP, ...)",
		rules.OutOfScope:    "neither end is a component",
	}[k]
}

// next says what to do with the report.
func (p *page) next(a *rules.Audit, x extent) {
	type step struct{ say, run string }
	var steps []step
	live := false
	for i := range a.Coverage.Captures.Files {
		live = live || a.Coverage.Captures.Files[i].Format == "live"
	}
	again := p.o.again("CAPTURE", p.o.width()-38) // beside the words of the longest command
	if live {
		again = p.o.again("FILE", 0)
	}
	if len(a.Findings) > 0 {
		first := "1"
		if a.Baseline != nil { // without it the numbers are others
			first = a.Findings[0].ID
		}
		explain := "wirechart explain " + again + " --finding " + first
		if live {
			steps = append(steps, step{"See a finding's proof in the frames that -w FILE or --evidence DIR kept:", explain})
		} else {
			steps = append(steps, step{"See a finding's proof, frame by frame:", explain}, step{"See every flow with its verdict:", "wirechart flows " + again})
		}
	}
	inferred := false
	for i := range a.Hosts {
		inferred = inferred || len(a.Hosts[i].Roles) > 0 && !a.Hosts[i].Pinned
	}
	switch c := &a.Coverage; {
	case c.Captures.Filtered > 0 && c.Flows == 0:
		steps = append(steps, step{say: "The filter (-f) left out every flow: try a wider one."})
	case c.Flows == 0 && c.Decoded.Outcomes[flows.Encrypted] > 0:
		steps = append(steps, step{say: "Capture where the frames are not encrypted: on the wire behind the access point, or on one of the hosts."})
	case c.Flows == 0 && c.Decoded.Outcomes[flows.UnknownLink] > 0:
		steps = append(steps, step{say: "Capture at an interface of another kind, such as Ethernet: frames of this link type are not understood."})
	case judged(a) == 0:
		steps = append(steps, step{say: "Check that the capture was taken where the components talk, or name the hosts in an inventory (--inventory)."})
	case inferred:
		steps = append(steps, step{"Is a role wrong? An inventory (--inventory) overrules it. The evidence:", "wirechart hosts " + again})
	}
	if a.Coverage.OneSided > 0 && a.Coverage.OneSided*10 > a.Coverage.Flows {
		steps = append(steps, step{say: "Mirror both directions (receive and transmit): much of this capture has one."})
	}
	if len(steps) == 0 {
		return
	}
	p.heading("Next", "")
	for _, s := range steps {
		if line := s.say + " " + s.run; s.run == "" || cells(line) <= p.o.width()-4 {
			p.mark(2, "→", cyan, strings.TrimSpace(line))
			continue
		}
		// A command is to be copied: it has a line of its own and is not broken.
		p.mark(2, "→", cyan, s.say)
		p.print("      " + Clean(s.run) + "\n")
	}
}
