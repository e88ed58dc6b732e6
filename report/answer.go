package report

import (
	"slices"
	"strings"

	"wirechart/rules"
)

// Result is the answer of an audit in one word.
type Result string

// The results.
const (
	Conforms  Result = "conforms"
	Findings  Result = "findings"
	Undecided Result = "undecided"
	Known     Result = "known" // of an audit with a baseline: it does not conform, in ways that the baseline has as well
)

// failing are the verdicts that speak against conformance.
var failing = [...]rules.Kind{rules.Violation, rules.Undocumented, rules.Blocked}

// fails says whether a verdict speaks against conformance.
func fails(k rules.Kind) bool { return slices.Contains(failing[:], k) }

// ResultOf answers whether the traffic of a conforms. It is undecided when
// nothing speaks against it, and the captures could not show that all of it
// does. With a baseline, what that one has as well does not make it Findings;
// nor does it conform.
func ResultOf(a *rules.Audit) Result {
	bad := false
	for _, k := range failing {
		bad = bad || a.Verdicts[k].Flows > 0
	}
	switch {
	case bad && (a.Baseline == nil || newFlows(a) > 0):
		return Findings
	case !Decided(a):
		return Undecided
	case bad:
		return Known
	}
	return Conforms
}

// Decided says whether the captures decide all that they hold: some flow
// belongs to the diagram, none is indeterminate, not too much is missing, and
// every flow was judged by what all captures say of the roles of its ends.
func Decided(a *rules.Audit) bool { return standingOf(a).decided() }

// standing is what an audit says of how much its captures decide.
type standing struct {
	flows  uint64 // all of them
	judged uint64 // those that the diagram has something to say about
	open   uint64 // of these, the indeterminate ones
	early  uint64 // flows that were judged before all was read
	lossy  bool
}

func standingOf(a *rules.Audit) standing {
	return newStanding(func(k rules.Kind) uint64 { return a.Verdicts[k].Flows }, a.Coverage.Decoded.Early, a.Coverage.Lossy)
}

// standing is that of the audit that a document is of.
func (doc *AuditDoc) standing() standing {
	return newStanding(func(k rules.Kind) uint64 { return doc.Verdicts[k.String()].Flows }, doc.Coverage.Early, doc.Coverage.Lossy)
}

func newStanding(flows func(rules.Kind) uint64, early uint64, lossy bool) standing {
	s := standing{open: flows(rules.Indeterminate), early: early, lossy: lossy}
	s.judged = flows(rules.Documented) + s.open
	for _, k := range failing {
		s.judged += flows(k)
	}
	s.flows = s.judged + flows(rules.Ambient) + flows(rules.OutOfScope)
	return s
}

// judged is the number of flows that the diagram has something to say about.
func judged(a *rules.Audit) uint64 { return standingOf(a).judged }

func (s standing) decided() bool { return s.judged > 0 && s.open == 0 && !s.lossy && s.early == 0 }

// why is what keeps the captures from deciding.
func (s standing) why() string {
	switch {
	case s.flows == 0:
		return "there are no flows in these captures"
	case s.judged == 0:
		return "nothing in these captures belongs to the diagram"
	case s.open > 0:
		return "these captures cannot decide " + number(s.open) + " of " + count(s.judged, "flow")
	case !s.lossy:
		return count(s.early, "flow") + " had to be judged before all was read (--max-flows)"
	}
	return "too much is missing from these captures"
}

// newFlows is the flows of the findings that speak against conformance and that
// the baseline has not.
func newFlows(a *rules.Audit) (n uint64) {
	for i := range a.Findings {
		if fails(a.Findings[i].Kind) {
			n += a.Findings[i].Flows
		}
	}
	return n
}

// sinceBaseline is the answer about what is new.
func sinceBaseline(a *rules.Audit) (headline, sentence string) {
	b := a.Baseline
	known := count(uint64(b.Known), "finding") + " that " + b.File + " has as well"
	if b.Known == 1 {
		known += " is left out."
	} else {
		known += " are left out."
	}
	switch ResultOf(a) {
	case Findings:
		return "NEW FINDINGS", "of " + count(newFlows(a), "flow") + "; " + known
	case Undecided:
		return "NOTHING NEW", "as far as these captures can decide; " + known
	case Conforms:
		return "CONFORMS", allDocumented(judged(a)) + "; " + known
	}
	return "NOTHING NEW", "the traffic does not conform, as before; " + known
}

// answer is the result as a headline and the sentence behind it.
func answer(a *rules.Audit) (headline, sentence string) {
	if a.Baseline != nil {
		return sinceBaseline(a)
	}
	stands := standingOf(a)
	n := stands.judged
	switch ResultOf(a) {
	case Findings:
		return "DOES NOT CONFORM", contradicting(a, n)
	case Conforms:
		return "CONFORMS", allDocumented(n) + "."
	}
	if n == 0 || stands.open > 0 {
		return "UNDECIDED", stands.why() + "."
	}
	return "UNDECIDED", stands.why() + "; " + count(n, "flow") + " as documented."
}

func allDocumented(n uint64) string {
	if n == 1 {
		return "the one flow of its components is as documented"
	}
	return "all " + count(n, "flow") + " of its components are as documented"
}

// contradicting says how many of n flows speak against conformance, and in which
// way: "24 of 32 flows are blocked.", "134 of 184 flows: 59 violations, 75
// undocumented."
func contradicting(a *rules.Audit, n uint64) string {
	var bad uint64
	var parts []string
	only := rules.Violation
	for _, k := range failing {
		if c := a.Verdicts[k].Flows; c > 0 {
			bad, only = bad+c, k
			parts = append(parts, kindCount(k, c))
		}
	}
	s := number(bad) + " of " + count(n, "flow")
	if len(parts) > 1 {
		return s + ": " + strings.Join(parts, ", ") + "."
	}
	what := kindWord(only)
	switch {
	case only == rules.Violation && bad == 1:
		what = "a violation"
	case only == rules.Violation:
		what = "violations"
	}
	if bad == 1 {
		return s + " is " + what + "."
	}
	return s + " are " + what + "."
}

// kindCount is a number of flows with one verdict.
func kindCount(k rules.Kind, n uint64) string {
	if k == rules.Violation {
		return count(n, "violation")
	}
	return number(n) + " " + kindWord(k)
}

// kindWord is a verdict for people: the word that documents and --fail-on have
// for it.
func kindWord(k rules.Kind) string { return phrase(k.String()) }

// kinds are all verdicts, the most serious first.
var kinds = [...]rules.Kind{
	rules.Violation, rules.Undocumented, rules.Blocked, rules.Indeterminate,
	rules.Documented, rules.Ambient, rules.OutOfScope,
}

// VerdictNames are the names of all verdicts, the most serious first.
func VerdictNames() []string { return texts(kinds[:]) }

// SeverityNamed finds a severity by its name.
func SeverityNamed(name string) (rules.Severity, bool) {
	for s := rules.Info; s <= rules.High; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
