package report

import (
	"fmt"
	"html"
	"io"
	"strings"

	"wirechart/rules"
)

var drawio = Format{
	Name: "drawio",
	Doc:  "the observed diagram for draw.io, in the places of the drawing",
	Audit: func(w io.Writer, a *rules.Audit, _ *Options) error {
		return newDrawing(a.Diagram, a).drawio(w)
	},
}

// drawio writes a file of draw.io (mxfile with an mxGraphModel that is not
// compressed): boxes in their places, and lines that turn where they turn in
// the drawing.
func (g *drawing) drawio(w io.Writer) error {
	e := &errWriter{w: w}
	e.printf("<mxfile host=\"wirechart\">\n<diagram name=\"%s\">\n<mxGraphModel dx=\"%d\" dy=\"%d\" grid=\"0\" page=\"0\">\n<root>\n<mxCell id=\"0\"/>\n<mxCell id=\"1\" parent=\"0\"/>\n",
		xmlText(g.diagram.Name), g.width, g.height)
	observed := g.audit != nil
	vertex := func(id, value, style string, x, y, w, h int) {
		e.printf("<mxCell id=\"%s\" value=\"%s\" style=\"%s\" vertex=\"1\" parent=\"1\"><mxGeometry x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" as=\"geometry\"/></mxCell>\n",
			id, xmlText(value), style, x, y, w, h)
	}
	for i, b := range g.boxes {
		style := "rounded=1;whiteSpace=wrap;html=0;arcSize=6;fillColor=#f6f8fa;strokeColor=#57606a;fontSize=12;"
		if b.component != nil && b.component.External {
			style += "dashed=1;"
		}
		vertex(node(i), strings.Join(g.texts(b), "\n"), style, b.x, b.y, b.w, b.h)
		if !observed {
			continue
		}
		for k := range b.strangers {
			s := &b.strangers[k]
			vertex(strangerOf(i, k), s.text(), "rounded=1;whiteSpace=wrap;html=0;dashed=1;fillColor=none;fontSize=10;strokeColor="+lineColor(s.stateWord())+";",
				b.x, b.y+b.h+6+k*chipHeight, b.w, chipHeight-3)
		}
	}
	for i, l := range g.lines {
		state := "documented"
		if observed {
			state = l.stateWord()
		}
		style := fmt.Sprintf("edgeStyle=none;html=0;rounded=1;fontSize=10;verticalAlign=bottom;endArrow=block;endFill=1;strokeColor=%s;fontColor=%s;strokeWidth=%g;",
			lineColor(state), lineColor(state), l.thickness())
		switch state {
		case "seen", "violated", "documented":
		case "not seen":
			style += "dashed=1;dashPattern=1 4;"
		default:
			style += "dashed=1;"
		}
		side := func(right bool) int {
			if right {
				return 1
			}
			return 0
		}
		style += fmt.Sprintf("exitX=%d;exitY=%.3f;exitDx=0;exitDy=0;entryX=%d;entryY=%.3f;entryDx=0;entryDy=0;",
			side(l.fromRight), float64(l.fromY-l.from.y)/float64(l.from.h), side(l.toRight), float64(l.toY-l.to.y)/float64(l.to.h))
		e.printf("<mxCell id=\"e%d\" value=\"%s\" style=\"%s\" edge=\"1\" parent=\"1\" source=\"%s\" target=\"%s\"><mxGeometry x=\"0.7\" relative=\"1\" as=\"geometry\"><Array as=\"points\">",
			i, xmlText(l.label(observed)), style, node(g.index(l.from)), node(g.index(l.to)))
		for _, p := range l.points[1 : len(l.points)-1] {
			e.printf("<mxPoint x=\"%d\" y=\"%d\"/>", p.x, p.y)
		}
		e.printf("</Array></mxGeometry></mxCell>\n")
	}
	e.printf("</root>\n</mxGraphModel>\n</diagram>\n</mxfile>\n")
	return e.err
}

// xmlText is s as an attribute of XML, line by line clean.
func xmlText(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, html.EscapeString(Clean(line)))
	}
	return strings.Join(lines, "&#10;")
}
