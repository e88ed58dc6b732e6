package report

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"wirechart/flows"
	"wirechart/pcaps"
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

// page is a report for people while it is written: the first error stays and
// ends it.
type page struct {
	w   io.Writer
	o   *Options
	err error
}

func (p *page) print(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

// heading begins a section.
func (p *page) heading(title, more string) {
	if more != "" {
		more = "  " + p.o.paint(dim, Clean(more))
	}
	p.print("\n" + p.o.paint(bold, title) + more + "\n")
}

// mark begins a paragraph with a sign of its own and wraps the rest under it.
func (p *page) mark(indent int, sign string, st style, s string) {
	lead := strings.Repeat(" ", indent)
	for i, line := range wrap(Clean(s), p.o.width()-indent-2, 0) {
		if i == 0 {
			p.print(lead + p.o.paint(st, sign) + " " + line + "\n")
		} else {
			p.print(lead + "  " + line + "\n")
		}
	}
}

// para writes s wrapped and indented.
func (p *page) para(indent int, st style, s string) {
	lead := strings.Repeat(" ", indent)
	for _, line := range wrap(Clean(s), p.o.width()-indent, 0) {
		p.print(lead + p.o.paint(st, line) + "\n")
	}
}

func (p *page) grid(indent int, columns []column, rows [][]cell) {
	if p.err == nil && len(rows) > 0 {
		p.err = writeGrid(p.w, p.o, indent, columns, rows)
	}
}

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

func (p *page) captures(c *rules.Coverage, x extent) {
	files := c.Captures.Files
	var frames, bytes uint64
	for i := range files {
		frames += files[i].Frames
		bytes += files[i].Bytes
	}
	title := "Capture"
	if len(files) > 1 {
		title = "Captures"
	}
	more := ""
	if len(files) > 1 {
		more = fmt.Sprintf("%d files, %s, %s", len(files), count(frames, "frame"), size(bytes))
		if c.Last > c.First {
			more += ", " + span(c.Last-c.First)
		}
	}
	p.heading(title, more)
	columns := []column{{}, {right: true}, {right: true}, {}, {}}
	if p.o.width() < 100 {
		columns = columns[:4]
	}
	var rows [][]cell
	for i := range files {
		if i == x.captures {
			rows = append(rows, []cell{{fmt.Sprintf("and %s more", number(uint64(len(files)-i))), dim}, {}, {}, {}, {}})
			break
		}
		f := &files[i]
		kind := f.Format
		if f.Compression != "" {
			kind += ", " + f.Compression
		}
		when := "no packets"
		if f.Frames > 0 {
			when = minute(f.First) + ", " + span(f.Last-f.First)
		}
		rows = append(rows, []cell{cellOf(f.Name), cellOf(count(f.Frames, "frame")),
			cellOf(size(f.Bytes)), cellOf(when), cellOf(kind)})
	}
	// The end of a name tells more than its beginning: what does not fit is
	// taken from the front.
	room := p.o.width() - 2
	for i := range columns[1:] {
		most := 0
		for _, row := range rows {
			most = max(most, cells(row[i+1].text))
		}
		room -= most + gridGap
	}
	for _, row := range rows {
		row[0].text = tail(row[0].text, max(room, 16))
	}
	p.grid(2, columns, rows)

	trouble, asides := coverageRemarks(c)
	for _, line := range trouble {
		p.mark(2, "!", yellow, line)
	}
	if len(trouble) == 0 && frames > 0 {
		p.mark(2, "✓", green, nothingMissing)
	}
	for _, line := range asides {
		p.mark(2, "·", dim, line)
	}
}

// nothingMissing is said of captures without trouble.
const nothingMissing = "whole frames, nothing missing, both directions"

// leaps says that times cannot be trusted.
func leaps(f *pcaps.FileStats) string {
	if f.Leaps == 1 {
		return fmt.Sprintf("frame %d is dated more than a year from the one before it: times and durations are not to be trusted", f.LeapFrame)
	}
	return fmt.Sprintf("%s are dated more than a year from the one before them, first frame %d: times and durations are not to be trusted",
		count(f.Leaps, "frame"), f.LeapFrame)
}

// outages says how often the interface of a live capture was gone.
func outages(f *pcaps.FileStats) string {
	if f.Outages == 1 {
		return "went down once"
	}
	return "went down " + number(f.Outages) + " times"
}

// coverageRemarks are what a reader should know of the captures: what was
// missing from them, and what was left out for good reasons.
func coverageRemarks(c *rules.Coverage) (trouble, asides []string) {
	files := c.Captures.Files
	var frames, cut uint64
	for i := range files {
		frames += files[i].Frames
		cut += files[i].Cut
	}
	warn := func(format string, args ...any) {
		trouble = append(trouble, fmt.Sprintf(format, args...))
	}
	for i := range files {
		f := &files[i]
		if d := f.Damage; d != nil {
			where := fmt.Sprintf("read up to frame %d, byte %d", d.Frame, d.Offset)
			if d.Frame == 0 {
				where = fmt.Sprintf("no frame could be read, byte %d", d.Offset)
			}
			warn("%s is damaged: %s: %s", tail(f.Name, 40), where, d.Reason)
		}
		if f.Leaps > 0 {
			warn("%s: %s", tail(f.Name, 40), leaps(f))
		}
		if f.Outages > 0 {
			warn("%s %s while capturing: what passed until it came back is not known", tail(f.Name, 40), outages(f))
		}
	}
	if s := c.Captures; s.Dropped+s.InterfaceDropped > 0 {
		warn("%s lost while capturing: %s for lack of buffers, %s by the interface",
			count(s.Dropped+s.InterfaceDropped, "frame"), number(s.Dropped), number(s.InterfaceDropped))
	}
	switch c.Stopped {
	case rules.StopCount:
		warn("reading stopped after %s, as --count asked: the results are of these only", count(c.Decoded.Packets, "frame"))
	case rules.StopInterrupt:
		warn("interrupted after %s: the results are of these only", count(c.Decoded.Packets, "frame"))
	}
	if cut > 0 {
		warn("%s of %s cut by the snap length%s: what was behind is not known", number(cut), count(frames, "frame"), snapLengths(files))
	}
	if c.OneSided > 0 {
		warn("%s captured in one direction only", count(c.OneSided, "TCP flow"))
	}
	if c.LateStart > 0 {
		how := "how they were opened is not known"
		if c.LateStart == 1 {
			how = "how it was opened is not known"
		}
		warn("%s began before the capture did: %s", count(c.LateStart, "TCP flow"), how)
	}
	if c.Missed > 0 {
		warn("%s of payload never reached the capture", size(c.Missed))
	}
	d := &c.Decoded
	for outcome, n := range d.Outcomes {
		switch kind := flows.Outcome(outcome); {
		case n == 0 || kind == flows.Decoded || kind == flows.NotIP || kind == flows.Fragment:
		case kind == flows.UnknownLink:
			var links []string
			for _, l := range d.Unknown {
				links = append(links, l.String())
			}
			warn("%s of a link type that is not understood: %s", count(n, "frame"), strings.Join(links, ", "))
		case kind == flows.Truncated:
			warn("%s cut inside a header, not counted in any flow", count(n, "frame"))
		default:
			warn("%s with headers that contradict themselves, not counted in any flow", count(n, "frame"))
		}
	}
	if d.Partial > 0 {
		warn("%s of which not all fragments were captured", count(d.Partial, "datagram"))
	}
	if d.Evicted > 0 {
		warn("%s ended early because the table of flows was full (--max-flows)", count(d.Evicted, "flow"))
	}
	if d.Early > 0 {
		warn("%s judged before the end of the captures to make room (--max-flows): roles learned later did not count for them", count(d.Early, "flow"))
	}
	if c.Lossy {
		warn("so much is missing that the verdicts rest on less than they should")
	}
	note := func(what string, n uint64, more string) {
		if n > 0 {
			asides = append(asides, what+": "+count(n, "frame")+more)
		}
	}
	note("copies made by the mirror", d.Copies, ", counted apart")
	note("not IP", d.Outcomes[flows.NotIP], " (ARP and the like)")
	note("left out by the filter", c.Captures.Filtered, "")
	return trouble, asides
}

// snapLengths says what the snap lengths of cut captures are.
func snapLengths(files []pcaps.FileStats) string {
	var lengths []string
	for i := range files {
		if f := &files[i]; f.Cut > 0 && f.SnapLen > 0 {
			s := number(uint64(f.SnapLen)) + " bytes"
			if len(lengths) == 0 || lengths[len(lengths)-1] != s {
				lengths = append(lengths, s)
			}
		}
	}
	if len(lengths) == 0 || len(lengths) > 3 {
		return ""
	}
	return " (" + strings.Join(lengths, ", ") + ")"
}

// minute is a point of time for people.
func minute(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04 UTC") }

// tail is the end of a path in at most width columns.
func tail(path string, width int) string {
	for cells(path) > width {
		_, rest, ok := strings.Cut(strings.TrimPrefix(path, "…/"), "/")
		if !ok {
			return clip(path, width)
		}
		path = "…/" + rest
	}
	return path
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
	p.heading("Findings", fmt.Sprintf("%s, most serious first", count(uint64(len(a.Findings)), "kind")))
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
		p.mark(2, "·", dim, "a + is several kinds in one line, the number that of the first; -o wide writes out all "+all)
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

// flow is the ends of a flow as tcpdump writes them.
func (p *page) flow(client, server netip.AddrPort) string {
	return end(client) + " > " + end(server)
}

func end(ap netip.AddrPort) string {
	switch {
	case !ap.Addr().IsValid():
		return "?"
	case ap.Port() == 0:
		return ap.Addr().String()
	}
	return ap.String()
}

// edgeMark is the sign of an edge's state, and how it looks.
func edgeMark(s rules.EdgeStatus) (string, style) {
	switch s {
	case rules.EdgeSeen:
		return "✓", green
	case rules.EdgeViolated:
		return "✗", red
	case rules.EdgeBlocked:
		return "⊘", yellow
	case rules.EdgeUndecided:
		return "?", yellow
	}
	return "·", dim
}

func (p *page) edges(a *rules.Audit, x extent) {
	var states [rules.EdgeViolated + 1]uint64
	for i := range a.Edges {
		states[a.Edges[i].Status]++
	}
	var parts []string
	for s := rules.EdgeSeen; s <= rules.EdgeViolated; s++ {
		if states[s] > 0 {
			parts = append(parts, number(states[s])+" "+s.String())
		}
	}
	p.heading("Edges of the diagram", strings.Join(parts, ", "))
	roomy := p.o.width() >= 110
	var rows [][]cell
	columns := []column{{}, {}, {}, {right: true}, {wide: true}}
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Status == rules.EdgeNotSeen {
			continue
		}
		sign, st := edgeMark(e.Status)
		row := []cell{{sign + " " + e.Status.String(), st}, cellOf(e.Edge.ID), cellOf(services(e.Edge))}
		if roomy {
			row = append(row, cellOf(ends(e.Edge)))
		}
		rows = append(rows, append(row, cellOf(number(edgeFlows(e))), cellOf(p.edgeSays(e))))
	}
	if roomy {
		columns = []column{{}, {}, {}, {}, {right: true}, {wide: true}}
	}
	p.grid(2, columns, rows)

	if len(rows) == 0 && len(a.Hosts) == 0 && x == short {
		p.mark(2, "·", dim, "none seen: no host was found to be a component; -o wide lists them")
		return
	}

	// Edges that were not seen for the same reason share its sentence.
	type group struct {
		couldShow bool
		why       string
	}
	var order []group
	members := map[group]*[2][]string{} // edges that must be there, and optional ones
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Status != rules.EdgeNotSeen {
			continue
		}
		g := group{e.CouldShow, e.Why}
		if members[g] == nil {
			order = append(order, g)
			members[g] = new([2][]string)
		}
		kind := 0
		if e.Edge.Optional {
			kind = 1
		}
		members[g][kind] = append(members[g][kind], e.Edge.ID+" ("+services(e.Edge)+")")
	}
	if states[rules.EdgeNotSeen] > 0 {
		p.mark(2, "·", dim, number(states[rules.EdgeNotSeen])+" not seen:")
	}
	for _, could := range []bool{true, false} {
		for _, g := range order {
			if g.couldShow != could {
				continue
			}
			why := capital(g.why)
			if why == "" {
				why = "These captures could have shown it."
				if !could {
					why = "These captures could not have shown it."
				}
			}
			head := strings.TrimSuffix(why, ".")
			list := strings.Join(members[g][0], ", ")
			switch optional := strings.Join(members[g][1], ", "); {
			case list == "":
				head, list = head+" (optional)", optional
			case optional != "":
				list += "; optional: " + optional
			}
			for i, line := range wrap(Clean(head+": "+list), p.o.width()-4, 2) {
				if rest, ok := strings.CutPrefix(line, Clean(head)+":"); ok && i == 0 {
					line = p.o.paint(dim, Clean(head)+":") + rest
				}
				p.print("    " + line + "\n")
			}
		}
	}
}

func edgeFlows(e *rules.EdgeState) (n uint64) {
	for _, c := range e.Verdicts {
		n += c.Flows
	}
	return n
}

// edgeSays is what there is to say of an edge that was seen.
func (p *page) edgeSays(e *rules.EdgeState) string {
	var parts []string
	for _, k := range kinds {
		if n := e.Verdicts[k].Flows; n > 0 && k != rules.Documented {
			parts = append(parts, kindCount(k, n))
		}
	}
	if at := p.o.place(e.First); at != "" {
		parts = append(parts, at)
	}
	return strings.Join(parts, ", ")
}

// services are the transports and ports of an edge, the first few.
func services(e *rules.Edge) string {
	list := serviceNames(e)
	if len(list) > 3 {
		list = append(list[:2], "…")
	}
	return strings.Join(list, " ")
}

// serviceNames are the transports and ports of an edge, as diagrams write
// them: "tcp/445", "tcp/49152-65535", "icmp/echo", "tcp/*".
func serviceNames(e *rules.Edge) []string {
	list := make([]string, 0, len(e.Over))
	for i := range e.Over {
		list = append(list, e.Over[i].String())
	}
	return list
}

// ends are the components that an edge joins.
func ends(e *rules.Edge) string {
	from := "anyone"
	if len(e.From) > 0 {
		from = componentIDs(e.From)
	}
	return from + " → " + componentIDs(e.To)
}

func componentIDs(list []*rules.Component) string {
	return strings.Join(ids(list), ", ")
}

// hostName is a host for people: its address, and its name where there is one.
func hostName(h *rules.Host) string {
	if h.Name == "" {
		return h.Addr.String()
	}
	return h.Addr.String() + " " + Clean(h.Name)
}

func (p *page) components(a *rules.Audit, x extent) {
	var rows [][]cell
	var missing []string
	found := 0
	if a.Diagram == nil {
		return
	}
	roomy := p.o.width() >= 110
	columns := []column{{}, {wide: true}}
	if roomy {
		columns = []column{{}, {}, {right: true}, {wide: true}}
	}
	for _, c := range a.Diagram.Components {
		n := 0
		for i := range a.Hosts {
			h := &a.Hosts[i]
			for k := range h.Roles {
				r := &h.Roles[k]
				if r.Component != c {
					continue
				}
				if n++; n > x.hosts {
					continue
				}
				name := c.ID
				if n > 1 {
					name = ""
				}
				row := []cell{{Clean(name), bold}, cellOf(clip(hostName(h), p.o.width()/3)), cellOf(percent(h, r)), cellOf(p.because(r, x.evidence))}
				if !roomy {
					row = []cell{row[0], cellOf(hostName(h) + " (" + percent(h, r) + "): " + p.because(r, x.evidence))}
				}
				rows = append(rows, row)
			}
		}
		if n > x.hosts {
			row := make([]cell, len(columns))
			row[1] = cell{"and " + number(uint64(n-x.hosts)) + " more", dim}
			rows = append(rows, row)
		}
		if n == 0 {
			missing = append(missing, c.ID)
		} else {
			found++
		}
	}
	p.heading("Components", fmt.Sprintf("%d of %d found", found, len(a.Diagram.Components)))
	p.grid(2, columns, rows)
	if len(missing) > 0 {
		p.mark(2, "·", dim, "no host found for: "+strings.Join(missing, ", "))
	}
}

// percent is how sure a role is.
func percent(h *rules.Host, r *rules.Role) string {
	if h.Pinned {
		return "given"
	}
	// What was inferred is never certain, however it rounds.
	return strconv.Itoa(min(int(r.Confidence*100+0.5), 99)) + "%"
}

// because is the strongest evidence of a role, at most n pieces.
func (p *page) because(r *rules.Role, n int) string {
	var parts []string
	for i, e := range r.Because {
		if i == n {
			break
		}
		s := e.Says
		if at := p.o.place(e.Frame); at != "" {
			s += " (" + at + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

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
	p.heading("Concerns", "good practice; no verdict rests on it")
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
	capture := "CAPTURE"
	if len(p.o.Files) == 1 && cells(p.o.Files[0]) <= 24 {
		capture = p.o.Files[0]
	}
	live := false
	for i := range a.Coverage.Captures.Files {
		live = live || a.Coverage.Captures.Files[i].Format == "live"
	}
	if live {
		capture = "FILE"
	}
	if len(a.Findings) > 0 && live {
		steps = append(steps, step{"See a finding's proof in the frames that -w FILE or --evidence DIR kept:", "wirechart explain FILE --finding 1"})
	} else if len(a.Findings) > 0 {
		steps = append(steps, step{"See a finding's proof, frame by frame:", "wirechart explain " + capture + " --finding 1"},
			step{"See every flow with its verdict:", "wirechart flows " + capture})
	}
	inferred := false
	for i := range a.Hosts {
		inferred = inferred || len(a.Hosts[i].Roles) > 0 && !a.Hosts[i].Pinned
	}
	switch c := &a.Coverage; {
	case c.Captures.Filtered > 0 && c.Flows == 0:
		steps = append(steps, step{say: "The filter (-f) left out every flow: try a wider one."})
	case judged(a) == 0:
		steps = append(steps, step{say: "Check that the capture was taken where the components talk, or name the hosts in an inventory (--inventory)."})
	case inferred:
		steps = append(steps, step{"Is a role wrong? An inventory (--inventory) overrules it. What it rests on:", "wirechart hosts " + capture})
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

// writeHosts writes a table where the terminal has room for one, and a
// paragraph for each host where it has not.
func writeHosts(w io.Writer, hosts []rules.Host, o *Options, x extent) error {
	p := &page{w: w, o: o}
	roomy := o.width() >= 110
	var rows [][]cell
	without, shown := 0, 0
	for i := range hosts {
		h := &hosts[i]
		if len(h.Roles) == 0 {
			if without++; x == short {
				continue
			}
		}
		shown++
		if !roomy {
			p.host(h, x)
			continue
		}
		name := cellOf(hostName(h))
		if len(h.Roles) == 0 {
			rows = append(rows, []cell{name, {"no role", dim}, {}, {}})
		}
		for k := range h.Roles {
			r := &h.Roles[k]
			rows = append(rows, []cell{name, {Clean(r.Component.ID), bold}, cellOf(percent(h, r)), cellOf(p.because(r, x.evidence))})
			name = cell{}
		}
	}
	p.grid(0, []column{{head: "host"}, {head: "role"}, {head: "sure", right: true}, {head: "because", wide: true}}, rows)
	if shown == 0 {
		p.print("no host has a role in the diagram\n")
	}
	if without > 0 && x == short {
		p.mark(0, "·", dim, count(uint64(without), "host")+" without a role: -o wide shows them")
	}
	return p.err
}

func (p *page) host(h *rules.Host, x extent) {
	// One line: what a name is continued by could pass for a line of ours.
	p.print(p.o.paint(bold, clip(hostName(h), p.o.width())) + "\n")
	if len(h.Roles) == 0 {
		p.para(2, dim, "no role")
	}
	for k := range h.Roles {
		r := &h.Roles[k]
		for i, line := range wrap(Clean(r.Component.ID+" ("+percent(h, r)+"): "+p.because(r, x.evidence)), p.o.width()-2, 2) {
			if i == 0 {
				line = p.o.paint(cyan, r.Component.ID) + strings.TrimPrefix(line, r.Component.ID)
			}
			p.print("  " + line + "\n")
		}
	}
}
