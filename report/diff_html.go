package report

import (
	_ "embed" // the page
	"html/template"
	"io"
)

// The page of a difference looks as the report does, and as that it fetches
// nothing and has no script.
//
//go:embed page/diff.html.tmpl
var diffTemplate string

type diffPage struct {
	Style template.CSS
	CSP   string

	Class, Sign, Headline, Summary string
	Sides                          []fact
	Parts                          []diffPart
	Notes                          []string
}

type diffPart struct {
	ID, Title string
	Changes   []diffRow
}

type diffRow struct{ Of, Change, Says, Proof, Do string }

func diffHTML(w io.Writer, d *DiffDoc, o *Options) error {
	t, err := template.New("diff").Parse(diffTemplate)
	if err != nil {
		return err
	}
	sign, _, _ := signOf(d.Result)
	p := &diffPage{
		Style:    template.CSS(reportStyle), // our own text, from the program
		CSP:      stylePolicy(reportStyle),
		Class:    map[Effect]string{Worse: "findings", Better: "conforms", Other: "undecided", CannotTell: "undecided"}[d.Result],
		Sign:     sign,
		Headline: d.headline(),
		Summary:  Clean(d.Summary),
		Sides: []fact{{Name: "Before", Value: Clean(d.Before.File + when(&d.Before) + ": " + d.Before.Summary)},
			{Name: "After", Value: Clean(d.After.File + when(&d.After) + ": " + d.After.Summary)}},
	}
	for e, changes := range d.parts() {
		_, _, title := signOf(e)
		part := diffPart{ID: string(e), Title: title}
		for i := range changes {
			c := &changes[i]
			part.Changes = append(part.Changes, diffRow{Clean(c.Of), Clean(c.Change), Clean(c.Says), Clean(c.proof(o)), Clean(c.advice())})
		}
		p.Parts = append(p.Parts, part)
	}
	for _, n := range d.Notes {
		p.Notes = append(p.Notes, Clean(n))
	}
	return t.Execute(w, p)
}
