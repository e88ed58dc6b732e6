package rules

import "wirechart/flows"

// Tally folds verdicts into an Audit.
type Tally struct{ p *Policy }

// NewTally makes an empty Tally of a settled policy.
func NewTally(p *Policy) *Tally { return &Tally{p: p} }

// Add counts one flow and its verdict.
func (t *Tally) Add(f *flows.Flow, v *Verdict) {}

// Audit is what has been counted, as a report says it.
func (t *Tally) Audit(cov Coverage) *Audit {
	return &Audit{Diagram: t.p.diagram, Coverage: cov, Hosts: t.p.Hosts()}
}
