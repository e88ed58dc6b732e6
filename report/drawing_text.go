package report

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"wirechart/rules"
)

// The drawing as text for other programs: what was observed where there is an
// audit, else what is documented.

var mermaid = Format{
	Name: "mermaid",
	Doc:  "the observed diagram for Mermaid, as wikis and tickets draw it",
	Audit: func(w io.Writer, a *rules.Audit, _ *Options) error {
		return newDrawing(a.Diagram, a).mermaid(w)
	},
}

var dot = Format{
	Name: "dot",
	Doc:  "the observed diagram for Graphviz",
	Audit: func(w io.Writer, a *rules.Audit, _ *Options) error {
		return newDrawing(a.Diagram, a).dot(w)
	},
}

// lineColors are the colours of lines by state, where no style sheet gives
// them.
func lineColor(state string) string {
	switch state {
	case "seen":
		return "#1a7f37"
	case "violated", "undocumented":
		return "#b3261e"
	case "blocked":
		return "#8a5300"
	case "undecided":
		return "#6639ba"
	case "documented":
		return "#2f5d8a"
	}
	return "#6e7781"
}

// errWriter keeps the first error of many writes.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

// node is the name of the n-th box, or of the k-th host beside it.
func node(n int) string          { return "c" + strconv.Itoa(n) }
func strangerOf(n, k int) string { return node(n) + "h" + strconv.Itoa(k) }

// index is the place of a box among those of g.
func (g *drawing) index(b *box) int {
	for i, x := range g.boxes {
		if x == b {
			return i
		}
	}
	return -1
}

// texts of a box: its title and what stands below.
func (g *drawing) texts(b *box) []string {
	list := []string{strings.Join(b.title, " ")}
	if g.audit != nil {
		return append(list, b.hosts...)
	}
	return append(list, b.notes...)
}

// arrow is a line of a drawing: between two boxes, or between a box and a host
// that stands beside it.
type arrow struct {
	from, to     string // names of nodes
	label, state string
	thick        float64

	host   *stranger // nil where both ends are boxes
	name   string    // of its node
	beside *box
	place  int // of the host among those beside the box
}

// arrows are the lines of g in the order in which they are written, those of
// the diagram first.
func (g *drawing) arrows() iter.Seq[arrow] {
	observed := g.audit != nil
	return func(yield func(arrow) bool) {
		for _, l := range g.lines {
			state := "documented"
			if observed {
				state = l.stateWord()
			}
			if !yield(arrow{from: node(g.index(l.from)), to: node(g.index(l.to)), label: l.label(observed), state: state, thick: l.thickness()}) {
				return
			}
		}
		for i, b := range g.boxes {
			for k := range b.strangers {
				s := &b.strangers[k]
				x := arrow{label: s.label(), state: s.stateWord(), thick: 2, host: s, name: strangerOf(i, k), beside: b, place: k}
				if x.from, x.to = x.name, node(i); !s.to {
					x.from, x.to = x.to, x.from
				}
				if !yield(x) {
					return
				}
			}
		}
	}
}

// mermaid writes a flowchart. Every text is between quotes, with what is
// neither a letter, a digit nor harmless as the number of a character, which
// Mermaid takes for that character and nothing else.
func (g *drawing) mermaid(w io.Writer) error {
	e := &errWriter{w: w}
	e.printf("flowchart LR\n")
	for i, b := range g.boxes {
		var texts []string
		for _, s := range g.texts(b) {
			texts = append(texts, mermaidText(s))
		}
		e.printf("  %s[\"%s\"]\n", node(i), strings.Join(texts, "<br/>"))
	}
	n := 0
	var styles []string
	for x := range g.arrows() {
		if x.host != nil {
			e.printf("  %s([\"%s\"])\n", x.name, mermaidText(x.host.name))
		}
		sign := "-->"
		switch x.state {
		case "seen", "violated", "documented":
		default:
			sign = "-.->"
		}
		e.printf("  %s %s|\"%s\"| %s\n", x.from, sign, mermaidText(x.label), x.to)
		styles = append(styles, fmt.Sprintf("  linkStyle %d stroke:%s,stroke-width:%gpx\n", n, lineColor(x.state), x.thick))
		n++
		if x.host != nil {
			styles = append(styles, fmt.Sprintf("  style %s stroke:%s,stroke-dasharray:4 3\n", x.name, lineColor(x.state)))
		}
	}
	for _, s := range styles {
		e.printf("%s", s)
	}
	return e.err
}

func (s *stranger) stateWord() string {
	if s.kind == rules.Indeterminate {
		return "undecided"
	}
	return "undocumented"
}

// label is what stands at the line of a stranger.
func (s *stranger) label() string {
	over := strings.Join(s.over, " ")
	if len(s.over) > 3 {
		over = strings.Join(s.over[:2], " ") + " +" + number(uint64(len(s.over)-2))
	}
	if over != "" {
		over += " "
	}
	return "! " + over + "×" + number(s.flows)
}

func mermaidText(s string) string {
	var b strings.Builder
	for _, c := range Clean(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(" .,:/+-_()", c), c >= utf8.RuneSelf:
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, "#%d;", c)
		}
	}
	return b.String()
}

// dot writes a directed graph with the places of the drawing, which neato -n
// keeps and dot overrides.
func (g *drawing) dot(w io.Writer) error {
	e := &errWriter{w: w}
	e.printf("digraph %s {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11];\n  edge [fontname=\"Helvetica\", fontsize=9];\n", dotText(g.diagram.Name))
	for i, b := range g.boxes {
		style := ""
		if b.component != nil && b.component.External {
			style = ", style=\"rounded,dashed\""
		}
		e.printf("  %s [label=%s, pos=\"%d,%d!\"%s];\n", node(i), dotText(strings.Join(g.texts(b), "\n")), b.x+b.w/2, g.height-b.y-b.h/2, style)
	}
	for x := range g.arrows() {
		color := lineColor(x.state)
		if x.host != nil {
			e.printf("  %s [label=%s, shape=ellipse, style=dashed, color=%q, pos=\"%d,%d!\"];\n", x.name, dotText(x.host.name), color,
				x.beside.x+x.beside.w/2, g.height-x.beside.y-x.beside.h-8-x.place*chipHeight)
		}
		style := "dashed"
		switch x.state {
		case "seen", "violated", "documented":
			style = "solid"
		case "not seen":
			style = "dotted"
		}
		e.printf("  %s -> %s [label=%s, color=%q, fontcolor=%q, style=%s, penwidth=%g];\n", x.from, x.to, dotText(x.label), color, color, style, x.thick)
	}
	e.printf("}\n")
	return e.err
}

// dotText is s between quotes. A backslash begins an escape in a label (\N is
// the node's name), so each one is written twice; lines end by \n.
func dotText(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(line)))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
