package report

import (
	_ "embed" // the templates and styles
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"wirechart/rules"
)

//go:embed page/drawing.svg.tmpl
var drawingTemplate string

//go:embed page/drawing.css
var drawingStyle string

// Drawing is one way to draw a diagram as it is documented.
type Drawing struct {
	Name string
	Draw func(w io.Writer, d *rules.Diagram) error
}

// Drawings are the ways to draw a diagram, the default first.
func Drawings() []Drawing {
	return []Drawing{
		{"svg", drawSVG},
		{mermaid.Name, func(w io.Writer, d *rules.Diagram) error { return newDrawing(d, nil).mermaid(w) }},
		{dot.Name, func(w io.Writer, d *rules.Diagram) error { return newDrawing(d, nil).dot(w) }},
		{drawio.Name, func(w io.Writer, d *rules.Diagram) error { return newDrawing(d, nil).drawio(w) }},
	}
}

func drawSVG(w io.Writer, d *rules.Diagram) error {
	t, err := template.New("").Parse(drawingTemplate)
	if err != nil {
		return err
	}
	g := newDrawing(d, nil)
	v := g.view(false, false)
	v.Alone, v.Style = true, template.CSS(drawingStyle) // our own text
	return t.ExecuteTemplate(w, "drawing", v)
}

// ObservedSVG writes what an audit has seen as a picture for a page, which is to
// have DrawingStyle: each line names its edge (data-edge) or its finding
// (data-finding), each box its component (data-component).
func ObservedSVG(w io.Writer, a *rules.Audit) error {
	return pageSVG(w, newDrawing(a.Diagram, a).view(true, true))
}

// DocumentedSVG writes a diagram as a picture for the same page, as long as
// nothing has been judged.
func DocumentedSVG(w io.Writer, d *rules.Diagram) error {
	return pageSVG(w, newDrawing(d, nil).view(false, true))
}

func pageSVG(w io.Writer, v *svgView) error {
	t, err := template.New("").Parse(drawingTemplate)
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, "drawing", v)
}

// DrawingStyle is the style sheet of pictures.
func DrawingStyle() string { return drawingStyle }

// svgView is a picture as the template wants it.
type svgView struct {
	Width, Height int
	Alone         bool // a file of its own
	Style         template.CSS
	Label         string
	Lines, Keys   []svgLine
	Boxes         []svgBox
	Chips         []svgChip
}

type svgLine struct {
	Class, Edge, Href, Says string
	Finding                 string // id of the one that tells of what no edge documents
	Name                    string // for those who hear it: what stands there, then the sentence
	Path, Head, Bar         string
	Thick                   float64
	Label, Anchor           string
	X, Y                    int
}

type svgBox struct {
	Class, Component, Href, Says string
	X, Y, W, H                   int
	Texts                        []svgText
}

type svgText struct {
	Class, Text string
	X, Y        int
}

type svgChip struct {
	Class, Text        string
	X, Y, W, H, TX, TY int
}

// view is one of the two pictures of g; linked makes boxes and lines lead to
// what the page says of them.
func (g *drawing) view(observed, linked bool) *svgView {
	v := &svgView{Width: g.width, Height: g.height, Label: "The connections that the diagram documents"}
	if observed {
		v.Label = "The connections that were observed, in the same places"
	}
	used := map[string]bool{}
	for _, l := range g.lines {
		if !observed && l.edge == nil {
			continue
		}
		s := g.svgLine(l, observed, linked)
		used[s.Class] = true
		v.Lines = append(v.Lines, s)
	}
	for _, b := range g.boxes {
		v.Boxes = append(v.Boxes, b.svg(observed, linked))
		if observed {
			v.Chips = append(v.Chips, b.svgStrangers()...)
		}
	}
	if observed {
		v.key(used)
	}
	return v
}

// svgLine is a line with its head and label.
func (g *drawing) svgLine(l *line, observed, linked bool) svgLine {
	s := svgLine{Class: "documented", Says: l.says(observed), Label: l.label(observed), Thick: 1.6}
	s.Name = s.Label + ", " + s.Says
	if observed {
		s.Class, s.Thick = className(l.stateWord()), l.thickness()
		if l.hindered() > 0 {
			s.Class += " hindered"
		}
	}
	if l.edge != nil {
		s.Edge = l.edge.ID
	}
	switch {
	case !linked:
	case l.edge != nil:
		s.Href = "edge-" + l.edge.ID
	case l.finding > 0:
		s.Href = fmt.Sprintf("finding-%d", l.finding)
		s.Finding = g.audit.Findings[l.finding-1].ID
	}
	s.Path = path(l.points)
	end := l.points[len(l.points)-1]
	s.X, s.Y, s.Anchor = end.x-labelGap, end.y-4, "end"
	toward := 1
	if l.toRight {
		s.X, s.Anchor, toward = end.x+labelGap, "start", -1
	}
	s.Head = head(end, toward, s.Thick)
	if s.Class == "blocked" || l.hindered() > 0 && observed {
		s.Bar = bar(end, toward)
	}
	return s
}

// svg is a box with its texts, centred: the title, then notes, or the hosts found.
func (b *box) svg(observed, linked bool) svgBox {
	s := svgBox{X: b.x, Y: b.y, W: b.w, H: b.h}
	small := b.notes
	if b.component != nil {
		s.Component = b.id
		if linked {
			s.Href = "component-" + b.id
		}
		if b.component.External {
			s.Class = "external"
		}
		if observed {
			small = b.hosts
			if len(b.hosts) == 1 && b.hosts[0] == "no host found" {
				s.Class = "absent"
			}
		}
	}
	s.Says = strings.Join(slices.Concat(b.title, small), " ")
	y := b.y + (b.h-len(b.title)*titleLine-len(small)*noteLine)/2
	for _, text := range b.title {
		y += titleLine
		s.Texts = append(s.Texts, svgText{"title", text, b.x + b.w/2, y - 4})
	}
	for _, text := range small {
		y += noteLine
		s.Texts = append(s.Texts, svgText{"note", text, b.x + b.w/2, y - 2})
	}
	return s
}

// svgStrangers are the chips under a box: the hosts without a role that dealt with
// it.
func (b *box) svgStrangers() []svgChip {
	var chips []svgChip
	for i, x := range b.strangers {
		class := ""
		if x.kind == rules.Indeterminate {
			class = "undecided"
		}
		y := b.y + b.h + 6 + i*chipHeight
		chips = append(chips, svgChip{class, x.text(), b.x, y, b.w, chipHeight - 3, b.x + 6, y + 12})
	}
	return chips
}

// key explains the lines that are in the picture.
func (v *svgView) key(used map[string]bool) {
	x, y := margin, v.Height+10
	v.Height += 24
	for _, k := range []struct{ class, label string }{
		{"seen", "✓ seen as documented"}, {"seen hindered", "✓ seen, ⊘ and some blocked"}, {"violated", "✗ violated"}, {"undocumented", "! not documented"},
		{"blocked", "⊘ blocked"}, {"undecided", "? undecided"}, {"unseen", "· not seen"},
	} {
		if !used[k.class] {
			continue
		}
		end := point{x + 46, y}
		l := svgLine{Class: k.class, Path: path([]point{{x, y}, end}), Head: head(end, 1, 2), Label: k.label, X: x + 54, Y: y + 4}
		if k.class == "blocked" || k.class == "seen hindered" {
			l.Bar = bar(end, 1)
		}
		v.Keys = append(v.Keys, l)
		x += 54 + int(labelLetter*float64(cells(k.label))) + 24
	}
	v.Width = max(v.Width, x)
}

// className is the class of lines in a state.
func className(state string) string {
	if state == rules.EdgeNotSeen.String() {
		return "unseen"
	}
	return state
}

// path is a way through points with round corners.
func path(points []point) string {
	const radius = 5
	var b strings.Builder
	last := len(points) - 1
	fmt.Fprintf(&b, "M%d %d", points[0].x, points[0].y)
	for i, p := range points[1:] {
		if i+1 == last {
			fmt.Fprintf(&b, "L%d %d", p.x, p.y)
			break
		}
		q, n := points[i], points[i+2]
		r := min(radius, distance(q, p)/2, distance(p, n)/2)
		in, out := toward(p, q, r), toward(p, n, r)
		fmt.Fprintf(&b, "L%d %dQ%d %d %d %d", in.x, in.y, p.x, p.y, out.x, out.y)
	}
	return b.String()
}

// distance is between two points of which one coordinate is the same.
func distance(p, q point) int { return max(p.x-q.x, q.x-p.x) + max(p.y-q.y, q.y-p.y) }

// toward is the point r steps from p in the direction of q.
func toward(p, q point, r int) point {
	sign := func(d int) int { return min(max(d, -1), 1) }
	return point{p.x + sign(q.x-p.x)*r, p.y + sign(q.y-p.y)*r}
}

// head is the head of an arrow that ends at p, pointing right (1) or left (-1).
func head(p point, right int, thick float64) string {
	half := 4 + int(thick/2)
	return fmt.Sprintf("M%d %dL%d %dL%d %dZ", p.x, p.y, p.x-right*11, p.y-half, p.x-right*11, p.y+half)
}

// bar stands across the arrow of what did not get through.
func bar(p point, right int) string {
	return fmt.Sprintf("M%d %dL%d %d", p.x-right*2, p.y-8, p.x-right*2, p.y+8)
}
