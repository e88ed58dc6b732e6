package report

import (
	"io"
	"net/netip"
	"strings"
	"time"
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

// minute is a point of time for people.
func minute(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04 UTC") }
