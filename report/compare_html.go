package report

import (
	_ "embed" // the page
	"html/template"
	"io"
	"strconv"

	"wirechart/flows"
)

// The page of a comparison is for the firewall's owner. It looks as the report
// does, and as that it fetches nothing and has no script.
//
//go:embed page/compare.html.tmpl
var compareTemplate string

type comparePage struct {
	Style template.CSS
	CSP   string

	Class, Sign, Headline, Summary string
	Facts                          []fact
	Findings                       []compareRow
	Why                            bool // some finding says more than its row
	Rewrites                       []rewriteDoc
	MoreFindings, MoreRewrites     string
	Notes                          []string
}

type compareRow struct {
	N, Class, Kind, Sign, Fate, Ends, Edge, Flows, Inside, Outside string
	Says, Proof, Do                                                string // empty where it only crossed
}

func compareHTML(w io.Writer, d *CompareDoc, _ *Options) error {
	t, err := template.New("compare").Parse(compareTemplate)
	if err != nil {
		return err
	}
	p := &comparePage{
		Style:   template.CSS(reportStyle), // our own text, from the program
		CSP:     stylePolicy(reportStyle),
		Class:   map[Result]string{Between: "findings", AllCrossed: "conforms", Undecided: "undecided"}[d.Result],
		Sign:    map[Result]string{Between: "✗", AllCrossed: "✓", Undecided: "?"}[d.Result],
		Summary: Clean(d.Summary),
		Facts: []fact{{Name: "Inside", Value: Clean(d.Inside.text())}, {Name: "Outside", Value: Clean(d.Outside.text())},
			{Name: "Clocks", Value: Clean(capital(d.clockText()))}},
	}
	p.Headline = d.answer()
	for _, t := range d.travels() {
		p.Facts = append(p.Facts, fact{Name: "Delay, " + t.name, Value: t.text})
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		r := compareRow{N: strconv.Itoa(i + 1), Fate: fateText(f), Ends: Clean(f.ends()), Edge: Clean(f.Edge), Flows: number(f.Flows),
			Inside: frameText(f.Example.Inside), Outside: frameText(f.Example.Outside)}
		if f.Service == several {
			r.Ends += " …"
		}
		var st style
		r.Sign, st = signOfFate(f)
		r.Class, r.Kind = "documented", "documented"
		switch {
		case st == red:
			r.Class, r.Kind = "violation", "violation"
		case st == yellow:
			r.Class, r.Kind = "undecided", "indeterminate"
		}
		if f.Fate != flows.Crossed.String() || f.Reason != "" {
			r.Says, r.Proof, r.Do = Clean(capital(f.Says)), Clean(capital(f.proof(d))), Clean(capital(f.Do))
			p.Why = true
		}
		p.Findings = append(p.Findings, r)
	}
	for _, r := range d.Rewrites {
		r.Before, r.After = Clean(r.Before), Clean(r.After)
		p.Rewrites = append(p.Rewrites, r)
	}
	if d.MoreFindings > 0 {
		p.MoreFindings = capital(d.moreFindings()) + "."
	}
	if d.MoreRewrites > 0 {
		p.MoreRewrites = capital(d.moreRewrites()) + "."
	}
	for _, n := range d.Notes {
		p.Notes = append(p.Notes, Clean(n))
	}
	return t.Execute(w, p)
}
