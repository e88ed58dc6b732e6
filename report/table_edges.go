package report

import (
	"slices"
	"strings"

	"wirechart/rules"
)

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

// edgeCounts is how many edges are in each state.
type edgeCounts [rules.EdgeViolated + 1]uint64

func countEdges(a *rules.Audit) (n edgeCounts) {
	for i := range a.Edges {
		n[a.Edges[i].Status]++
	}
	return n
}

// String tells the states in which any are.
func (n edgeCounts) String() string {
	var parts []string
	for s, edges := range n {
		if edges > 0 {
			parts = append(parts, number(edges)+" "+rules.EdgeStatus(s).String())
		}
	}
	return strings.Join(parts, ", ")
}

// edges writes the edges that were seen, one to a line, and then those that were
// not, grouped by why.
func (p *page) edges(a *rules.Audit, x extent) {
	states := countEdges(a)
	p.heading("Edges of the diagram", states.String())
	unseen := states[rules.EdgeNotSeen]
	p.seenEdges(a)
	if unseen == uint64(len(a.Edges)) && len(a.Hosts) == 0 && x == short {
		p.mark(2, "·", dim, "none seen: no host was identified as a component; -o wide lists them")
		return
	}
	if unseen > 0 {
		p.mark(2, "·", dim, number(unseen)+" not seen:")
		p.unseenEdges(a)
	}
}

func (p *page) seenEdges(a *rules.Audit) {
	roomy := p.o.width() >= 110
	columns := []column{{}, {}, {}, {right: true}, {wide: true}}
	if roomy {
		columns = []column{{}, {}, {}, {}, {right: true}, {wide: true}}
	}
	var rows [][]cell
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Status == rules.EdgeNotSeen {
			continue
		}
		sign, st := edgeMark(e.Status)
		over := serviceNames(e.Edge)
		if !roomy && len(over) > 1 {
			over = []string{over[0], "…"}
		}
		row := []cell{{sign + " " + e.Status.String(), st}, cellOf(e.Edge.ID), cellOf(few(over))}
		if roomy {
			row = append(row, cellOf(ends(e.Edge)))
		}
		rows = append(rows, append(row, cellOf(number(edgeFlows(e))), cellOf(p.edgeSays(e))))
	}
	p.grid(2, columns, rows)
}

// unseenEdges writes the edges that were not seen; those that were not for the same
// reason share its sentence. What these captures could have shown comes first.
func (p *page) unseenEdges(a *rules.Audit) {
	type reason struct {
		couldShow bool
		why       string
	}
	type group struct{ needed, optional []string }
	var order []reason
	groups := map[reason]*group{}
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Status != rules.EdgeNotSeen {
			continue
		}
		r := reason{e.CouldShow, e.Why}
		g := groups[r]
		if g == nil {
			g = &group{}
			groups[r] = g
			order = append(order, r)
		}
		list := &g.needed
		if e.Edge.Optional {
			list = &g.optional
		}
		*list = append(*list, e.Edge.ID+" ("+services(e.Edge)+")")
	}
	slices.SortStableFunc(order, func(x, y reason) int {
		switch {
		case x.couldShow == y.couldShow:
			return 0
		case x.couldShow:
			return -1
		}
		return 1
	})
	for _, r := range order {
		why := capital(r.why)
		switch {
		case why == "" && r.couldShow:
			why = "These captures could have shown it."
		case why == "":
			why = "These captures could not have shown it."
		}
		head := strings.TrimSuffix(why, ".")
		list := strings.Join(groups[r].needed, ", ")
		switch optional := strings.Join(groups[r].optional, ", "); {
		case list == "":
			head, list = head+" (optional)", optional
		case optional != "":
			list += "; optional: " + optional
		}
		head = Clean(head) + ":"
		for i, line := range wrap(head+" "+Clean(list), p.o.width()-4, 2) {
			if rest, ok := strings.CutPrefix(line, head); ok && i == 0 {
				line = p.o.paint(dim, head) + rest
			}
			p.print("    " + line + "\n")
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
func services(e *rules.Edge) string { return few(serviceNames(e)) }

func few(list []string) string {
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
