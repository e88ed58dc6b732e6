package report

import (
	"io"
	"strings"

	"wirechart/rules"
)

// Diagram writes what a diagram says, for people: its components, its edges
// with what each requires and where it comes from, and what it allows beside.
func Diagram(w io.Writer, d *rules.Diagram, o *Options) error {
	p := &page{w: w, o: o}
	p.para(0, bold, diagramTitle(d))

	p.heading("Components", "")
	var rows [][]cell
	for _, c := range d.Components {
		says := c.Title
		if c.KindOf != nil {
			says += "; a kind of " + c.KindOf.ID
		}
		if c.Closed {
			says += "; has no ports but those of its edges"
		}
		if c.External {
			says += "; outside the site"
		}
		if len(c.Names) > 0 {
			says += "; known as " + strings.Join(c.Names, ", ")
		}
		rows = append(rows, []cell{cellOf(c.ID), cellOf(says)})
	}
	p.grid(2, []column{{}, {wide: true}}, rows)

	p.heading("Edges", "")
	for _, e := range d.Edges {
		p.edge(e)
	}

	if len(d.Ambient) > 0 {
		p.heading("Ambient", "ordinary infrastructure, allowed beside the edges")
		rows = nil
		for _, a := range d.Ambient {
			over := strings.Join(serviceNames(&rules.Edge{Over: a.Over}), ", ")
			rows = append(rows, []cell{cellOf(a.ID), cellOf(a.Title + ": " + over)})
		}
		p.grid(2, []column{{}, {wide: true}}, rows)
	}

	p.heading("Sources", "")
	for _, s := range d.Sources {
		says := s.Title
		for _, more := range []string{s.Product, s.URL} {
			if more != "" {
				says += ", " + more
			}
		}
		if s.Date != "" {
			says += ", read " + s.Date
		}
		p.mark(2, "·", dim, s.ID+": "+says)
	}
	return p.err
}

func (p *page) edge(e *rules.Edge) {
	over := strings.Join(serviceNames(e), ", ")
	p.print("\n  " + p.o.paint(bold, Clean(e.ID)) + "\n")
	line := ends(e) + "  " + over
	if e.Optional {
		line += "  (optional)"
	}
	p.para(4, plain, line)
	if e.Title != "" {
		p.para(4, plain, e.Title)
	}
	for _, list := range []struct {
		word string
		all  []rules.Requirement
	}{{"requires", e.Require}, {"expects", e.Expect}} {
		for i := range list.all {
			p.para(4, plain, list.word+" "+list.all[i].String())
		}
	}
	if len(e.Names) > 0 {
		p.para(4, plain, "known by the names "+strings.Join(e.Names, ", "))
	}
	if e.OurReading != "" {
		p.mark(4, "!", yellow, "our reading: "+e.OurReading)
	}
	source := e.Source
	if e.Where != "" {
		source += ", " + e.Where
	}
	if at := edgeAt(e); source != "" {
		source += " (" + at + ")"
	}
	p.para(4, dim, source)
}
