package report

import "wirechart/rules"

// Summary is what a page says of an audit before all else, as text for people:
// nothing in it does anything to who shows it.
type Summary struct {
	Result                   Result
	Sign, Headline, Sentence string
	Diagram, Period          string
	Tally                    []SummaryCount // of flows by verdict, the most serious first
	Findings                 []SummaryFinding
	Concerns                 []SummaryFinding // matters of good practice, on which no verdict rests
}

// SummaryCount is how many flows have a verdict.
type SummaryCount struct {
	Kind, Sign, Word, Flows string
}

// SummaryFinding is a finding in a line, and what to do.
type SummaryFinding struct {
	Number           int
	ID               string
	Kind, Sign, Word string
	Severity, Flows  string
	Title, Do        string
}

// Summarize says in short what an audit came to.
func Summarize(a *rules.Audit) *Summary {
	headline, sentence := answer(a)
	s := &Summary{Result: ResultOf(a), Sign: resultSign(ResultOf(a)), Headline: headline, Sentence: Clean(capital(sentence)),
		Diagram: Clean(diagramTitle(a.Diagram)), Period: period(a.Coverage.First, a.Coverage.Last)}
	for _, k := range kinds {
		if c := a.Verdicts[k]; c.Flows > 0 {
			s.Tally = append(s.Tally, SummaryCount{k.String(), kindSign(k), kindWord(k), number(c.Flows)})
		}
	}
	for i := range a.Findings {
		f := &a.Findings[i]
		s.Findings = append(s.Findings, SummaryFinding{i + 1, f.ID, f.Kind.String(), kindSign(f.Kind), kindWord(f.Kind), f.Severity.String(), Count(f.Flows, "flow"),
			Clean(f.Title), Clean(f.Do)})
	}
	for i := range a.Concerns {
		f := &a.Concerns[i]
		s.Concerns = append(s.Concerns, SummaryFinding{i + 1, f.ID, "concern", "·", "concern", f.Severity.String(), Count(f.Flows, "flow"),
			Clean(f.Title), Clean(f.Do)})
	}
	return s
}

// Count is a number of things for people: 1 flow, 2,000 flows.
func Count(n uint64, thing string) string { return count(n, thing) }

// resultSign stands before a result, for those who do not see its colour.
func resultSign(r Result) string {
	return map[Result]string{Conforms: "✓", Findings: "✗", Undecided: "?", Known: "="}[r]
}
