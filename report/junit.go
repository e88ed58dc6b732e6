package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"wirechart/rules"
)

// junitFormat writes the XML that CI systems show as tests: a test case for each
// edge of the diagram, and one for each kind of traffic that none documents.
// There is no standard; the elements are those that Jenkins, GitLab and GitHub
// read.
var junitFormat = Format{
	Name:  "junit",
	Doc:   "JUnit XML for CI: a test case for each documented edge",
	Audit: auditJUnit,
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Time      string      `xml:"time,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Skipped *junitOutcome `xml:"skipped,omitempty"`
	Failure *junitOutcome `xml:"failure,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func auditJUnit(w io.Writer, a *rules.Audit, o *Options) error {
	_, sentence := answer(a)
	edges := junitSuite{Name: "documented edges: " + diagramTitle(a.Diagram), Time: junitTime(a.Coverage.Last - a.Coverage.First)}
	others := junitSuite{Name: "traffic that no edge allows", Time: edges.Time}
	if a.Coverage.First != 0 {
		edges.Timestamp = timestamp(a.Coverage.First)[:19] // without a zone, as JUnit writes it
		others.Timestamp = edges.Timestamp
	}
	for i := range a.Edges {
		edges.add(junitEdge(a, o, &a.Edges[i]))
	}
	for i := range a.Findings {
		f := &a.Findings[i]
		if f.Kind != rules.Undocumented {
			continue
		}
		others.add(junitCase{Class: diagramName(a) + ".undocumented", Name: fmt.Sprintf("%s to %s at %s", f.From, f.To, f.Service), Time: "0",
			Failure: &junitOutcome{f.Title, f.Reason.String(), junitFinding(f, o)}})
	}
	if len(others.Cases) == 0 {
		others.add(junitCase{Class: diagramName(a) + ".undocumented", Name: "no such traffic", Time: "0"})
	}
	all := junitSuites{Name: "wirechart: " + sentence, Suites: []junitSuite{edges, others}}
	for _, s := range all.Suites {
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
	}
	all.clean()
	b, err := xml.MarshalIndent(&all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(b)+"\n")
	return err
}

// junitEdge is the test case of a documented edge.
func junitEdge(a *rules.Audit, o *Options, e *rules.EdgeState) junitCase {
	to := "anyone"
	if len(e.Edge.To) > 0 {
		to = e.Edge.To[0].ID
	}
	c := junitCase{Class: diagramName(a) + "." + to, Name: e.Edge.ID + " (" + services(e.Edge) + ")", Time: "0"}
	if at := o.place(e.First); at != "" {
		c.Out = e.Example + ", " + at
	}
	// An edge that most connections used rightly fails all the same where one
	// did not.
	message, kind, text := junitFindings(a, o, e.Edge, rules.Violation, rules.Blocked)
	switch bad := e.Status == rules.EdgeViolated || e.Status == rules.EdgeBlocked; {
	case message != "", bad && a.Baseline == nil:
		c.Failure = &junitOutcome{cmp.Or(message, e.Status.String()), cmp.Or(kind, e.Status.String()), text}
	case bad:
		c.Out += "\nknown from " + a.Baseline.File
	}
	switch e.Status {
	case rules.EdgeUndecided:
		if c.Failure != nil {
			break
		}
		message, _, text := junitFindings(a, o, e.Edge, rules.Indeterminate)
		c.Skipped = &junitOutcome{Message: cmp.Or(message, "these captures cannot decide"), Text: text}
	case rules.EdgeNotSeen:
		c.Skipped = &junitOutcome{Message: "not seen: " + e.Why}
	}
	return c
}

// junitFindings joins the findings of some kinds on an edge: the title and the
// reason of the first, and the text of all.
func junitFindings(a *rules.Audit, o *Options, e *rules.Edge, kinds ...rules.Kind) (message, kind, text string) {
	var lines []string
	for i := range a.Findings {
		f := &a.Findings[i]
		if f.Edge == e && slices.Contains(kinds, f.Kind) {
			message, kind = cmp.Or(message, f.Title), cmp.Or(kind, f.Reason.String())
			lines = append(lines, junitFinding(f, o))
		}
	}
	return message, kind, strings.Join(lines, "\n\n")
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// clean takes out what XML 1.0 has no character for, and what does something to
// who reads it.
func (s *junitSuites) clean() {
	s.Name = Clean(s.Name)
	lines := func(text string) string {
		parts := strings.Split(text, "\n")
		for i := range parts {
			parts[i] = Clean(parts[i])
		}
		return strings.Join(parts, "\n")
	}
	for i := range s.Suites {
		s.Suites[i].Name = Clean(s.Suites[i].Name)
		for k := range s.Suites[i].Cases {
			c := &s.Suites[i].Cases[k]
			c.Class, c.Name, c.Out = Clean(c.Class), Clean(c.Name), lines(c.Out)
			for _, o := range []*junitOutcome{c.Skipped, c.Failure} {
				if o != nil {
					o.Message, o.Text = Clean(o.Message), lines(o.Text)
				}
			}
		}
	}
}

// junitFinding is a finding in a few lines. What is of the wire is one line
// each.
func junitFinding(f *rules.Finding, o *Options) string {
	what, says := told(f)
	lines := []string{Clean(what)}
	proof := end(f.Example.Client) + " > " + end(f.Example.Server)
	if at := o.place(f.Example.Frame); at != "" {
		proof += ", " + at
	}
	if says != "" {
		proof += ": " + says
	}
	lines = append(lines, Clean(proof), Clean(f.Reason.String()+", finding "+f.ID+", "+count(f.Flows, "flow")))
	if f.Do != "" {
		lines = append(lines, Clean(f.Do))
	}
	return strings.Join(lines, "\n")
}

// junitTime is nanoseconds as JUnit writes times.
func junitTime(ns int64) string { return string(appendDecimal(nil, max(ns, 0)/1e6, 3)) }

func diagramName(a *rules.Audit) string {
	if a.Diagram == nil {
		return "none"
	}
	return a.Diagram.Name
}
