package web

import (
	"bytes"
	"html/template"
	"net/http"

	"wirechart/report"
	"wirechart/rules"
)

// shownFindings are those that the page has in the open; the others are behind a
// line that says how many there are.
const shownFindings = 6

// pageView is the page as its template wants it. All of it that does not take a
// click is there when the page comes, so that it is read at once, and without
// scripts.
type pageView struct {
	report.Summary // its zero value where nothing has been judged

	Title, Status     string
	Unkept            string // flows that are counted and not listed
	Version           uint64
	Finished, Live    bool
	First, Last       int64 // packet time, milliseconds
	Explain, Evidence bool

	Drawing  template.HTML
	More     []report.SummaryFinding
	MoreFrom int

	MoreConcerns     []report.SummaryFinding
	MoreConcernsFrom int

	Edges   []edgeView
	Formats []report.Format
}

type edgeView struct{ ID, Title, Over, Status string }

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	v := pageView{Title: report.Clean(s.o.Title), Live: s.o.Live, Explain: s.o.Explain != nil, Evidence: s.o.Evidence != nil}
	s.mu.RLock()
	a := s.audit
	v.Version, v.Finished = s.version, s.finished
	v.Status = status(s.finished, s.packets, s.flows.len())
	if n := s.flows.unkept; n > 0 {
		v.Unkept = report.Count(n, "flow")
	}
	s.mu.RUnlock()

	for _, f := range report.All() {
		if f.Audit != nil && a != nil {
			v.Formats = append(v.Formats, f)
		}
	}
	var err error
	if v.Drawing, err = drawing(s.o.Diagram, a); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if a != nil {
		v.audit(a)
	}
	var b bytes.Buffer // whole or not at all
	if err := s.html.Execute(&b, &v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (v *pageView) audit(a *rules.Audit) {
	v.Summary = *report.Summarize(a)
	v.Findings, v.More = first(v.Findings)
	v.Concerns, v.MoreConcerns = first(v.Concerns)
	v.MoreFrom, v.MoreConcernsFrom = len(v.Findings)+1, len(v.Concerns)+1
	v.First, v.Last = a.Coverage.First/1e6, a.Coverage.Last/1e6
	for i := range a.Edges {
		e := &a.Edges[i]
		v.Edges = append(v.Edges, edgeView{e.Edge.ID, report.Clean(e.Edge.Title), e.Edge.Over[0].String(), e.Status.String()})
	}
}

// first is what is shown of a list, and the rest of it.
func first(list []report.SummaryFinding) (shown, more []report.SummaryFinding) {
	if len(list) > shownFindings+1 {
		return list[:shownFindings], list[shownFindings:]
	}
	return list, nil
}

// drawing is the picture: of what was observed, of what is documented as long as
// nothing was, or none.
func drawing(d *rules.Diagram, a *rules.Audit) (template.HTML, error) {
	var b bytes.Buffer
	var err error
	switch {
	case a != nil && a.Diagram != nil:
		err = report.ObservedSVG(&b, a)
	case d != nil:
		err = report.DocumentedSVG(&b, d)
	}
	return template.HTML(b.String()), err // escaped by the template of pictures
}

// status says how far the reading is; page.js says it likewise.
func status(finished bool, packets uint64, flows int) string {
	word := "Reading: "
	if finished {
		word = "All read: "
	}
	return word + report.Count(packets, "packet") + ", " + report.Count(uint64(flows), "flow")
}
