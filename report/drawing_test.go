package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wirechart/rules"
)

// rect is the room that a text or a box takes.
type rect struct{ x1, y1, x2, y2 int }

func (r rect) meets(o rect) bool { return r.x1 < o.x2 && o.x1 < r.x2 && r.y1 < o.y2 && o.y1 < r.y2 }

// letterHeight is that of the letters of labels, in units of a drawing.
const letterHeight = 12

// checkDrawing says that boxes and labels lie on nothing, that lines pass no
// box and no label of another, and that they do not run along each other.
func checkDrawing(t *testing.T, g *drawing) {
	t.Helper()
	var boxes, labels []rect
	for _, b := range g.boxes {
		r := rect{b.x, b.y, b.x + b.w, b.bottom()}
		if r.x1 < 0 || r.y1 < 0 || r.x2 > g.width || r.y2 > g.height {
			t.Errorf("box %s stands outside: %v of %dx%d", b.id, r, g.width, g.height)
		}
		for i, o := range boxes {
			if r.meets(o) {
				t.Errorf("boxes %s and %s overlap", b.id, g.boxes[i].id)
			}
		}
		boxes = append(boxes, r)
	}
	for _, l := range g.lines {
		end, n := l.points[len(l.points)-1], int(labelLetter*float64(cells(l.label(true))))
		r := rect{end.x - labelGap - n, end.y - 4 - letterHeight, end.x - labelGap, end.y - 1}
		if l.toRight {
			r.x1, r.x2 = end.x+labelGap, end.x+labelGap+n
		}
		for i, o := range append(labels, boxes...) {
			if r.meets(o) {
				t.Errorf("the label of %s lies on label or box %d", l.says(true), i)
			}
		}
		labels = append(labels, r)
	}
	type stretch struct {
		line *line
		rect
	}
	var all []stretch
	for n, l := range g.lines {
		for i := range l.points[1:] {
			p, q := l.points[i], l.points[i+1]
			if p.x != q.x && p.y != q.y {
				t.Errorf("%s runs aslant", l.says(true))
			}
			r := rect{min(p.x, q.x), min(p.y, q.y), max(p.x, q.x), max(p.y, q.y)}
			for k, b := range boxes {
				inner := rect{b.x1 + 1, b.y1 + 1, b.x2 - 1, b.y2 - 1}
				if inner.meets(rect{r.x1, r.y1, r.x2 + 1, r.y2 + 1}) {
					t.Errorf("%s runs through box %s", l.says(true), g.boxes[k].id)
				}
			}
			for k, label := range labels {
				if k != n && label.meets(rect{r.x1, r.y1, r.x2 + 1, r.y2 + 1}) {
					t.Errorf("%s runs through the label of %s", l.says(true), g.lines[k].says(true))
				}
			}
			for _, o := range all {
				along := o.line != l && (r.x1 == r.x2 && o.x1 == o.x2 && r.x1 == o.x1 && r.y1 < o.y2 && o.y1 < r.y2 ||
					r.y1 == r.y2 && o.y1 == o.y2 && r.y1 == o.y1 && r.x1 < o.x2 && o.x1 < r.x2)
				if along {
					t.Errorf("%s and %s run along each other at %v", l.says(true), o.line.says(true), r)
				}
			}
			all = append(all, stretch{l, r})
		}
	}
}

func TestDrawing(t *testing.T) {
	for _, names := range [][]string{{rules.DefaultDiagram}, {"acronis-cloud-agent"}, {"acronis-updates-p2p"}, {rules.DefaultDiagram, "acronis-cloud-agent", "acronis-updates-p2p"}} {
		d, err := rules.Resolve(names...)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.Join(names, "+"), func(t *testing.T) { checkDrawing(t, newDrawing(d, nil)) })
	}
	a, _ := testAudit(t)
	g := newDrawing(a.Diagram, a)
	checkDrawing(t, g)
	for _, want := range []string{"10.20.30.21 → tcp/9876 ×1,204"} {
		found := false
		for _, b := range g.boxes {
			for i := range b.strangers {
				found = found || b.id == "storage-node" && b.strangers[i].text() == want
			}
		}
		if !found {
			t.Errorf("no %q beside the storage node", want)
		}
	}
}

// TestDrawingOfAny draws diagrams made by chance, with and without places, with
// circles and lines from a component to itself.
func TestDrawingOfAny(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		n := 1 + r.IntN(9)
		fmt.Fprintf(&b, "version: 1\nname: any\ntitle: Any\nsources: [{id: s, title: S}]\ncomponents:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {id: c%d, title: Component number %d", i, i)
			if seed%3 == 1 || seed%3 == 2 && i%2 == 0 {
				fmt.Fprintf(&b, ", layout: {column: %d, row: %d.5}", r.IntN(4), r.IntN(4))
			}
			b.WriteString("}\n")
		}
		b.WriteString("edges:\n")
		for i := range 1 + r.IntN(14) {
			from := fmt.Sprintf("c%d", r.IntN(n))
			if r.IntN(8) == 0 {
				from = "unstated"
			}
			fmt.Fprintf(&b, "  - {id: e%d, from: %s, to: c%d, over: tcp/%d, source: s}\n", i, from, r.IntN(n), 1000+i)
		}
		d, err := rules.Parse("any.yaml", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { checkDrawing(t, newDrawing(d, nil)) })
	}
}

// TestDraw says that every way to draw is well-formed and the same twice.
func TestDraw(t *testing.T) {
	d := testDiagram(t)
	for _, x := range Drawings() {
		draw := func() string {
			return written(t, func(b *strings.Builder) error { return x.Draw(b, d) })
		}
		text := draw()
		if text != draw() {
			t.Errorf("%s differs from one time to the next", x.Name)
		}
		for _, want := range []string{"7780", "44445", "9200"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", x.Name, want)
			}
		}
		if x.Name == "svg" || x.Name == "drawio" {
			wellFormed(t, x.Name, text)
		}
	}
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestHostileDrawings says that names stay text in drawings for other programs.
func TestHostileDrawings(t *testing.T) {
	wellFormed(t, "drawio", everything(t, drawio)["audit"])
	quoted := regexp.MustCompile(`"(\\.|[^"\\])*"`)
	for _, f := range []Format{mermaid, dot} {
		text := everything(t, f)["audit"]
		if !strings.Contains(text, "cmd") {
			t.Errorf("%s does not show the name at all", f.Name)
		}
		if bare := quoted.ReplaceAllString(text, ""); strings.Contains(bare, "cmd") || strings.Contains(bare, `"`) {
			t.Errorf("%s: a name stands outside of quotes:\n%s", f.Name, bare)
		}
	}
	if text := everything(t, mermaid)["audit"]; strings.Contains(text, "<script") || strings.Contains(text, "`") {
		t.Error("mermaid would take a name for markup")
	}
}

// TestHindered says that an edge of which some flows were blocked does not look
// like one of which all got through, in the picture and in the table.
func TestHindered(t *testing.T) {
	a, o := testAudit(t)
	for i := range a.Edges {
		a.Edges[i].Verdicts[rules.Blocked].Flows = 0
	}
	if page := written(t, func(b *strings.Builder) error { return htmlFormat.Audit(b, a, o) }); strings.Contains(page, `"line seen hindered"`) {
		t.Error("a line is marked as blocked at times, and none was")
	}
	e := slices.IndexFunc(a.Edges, func(e rules.EdgeState) bool { return e.Status == rules.EdgeSeen })
	a.Edges[e].Verdicts[rules.Blocked].Flows = 7
	page := written(t, func(b *strings.Builder) error { return htmlFormat.Audit(b, a, o) })
	for _, want := range []string{`"line seen hindered"`, "×19, ⊘ 7<", "19 flows, 7 of them blocked", `<span class="state blocked">⊘ 7 blocked</span>`, "✓ seen, ⊘ and some blocked"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}
