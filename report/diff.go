package report

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"wirechart/rules"
)

// DiffSchema is the schema that a difference names.
const DiffSchema = "wirechart/diff/v1"

// Effect says what a change does to conformance.
type Effect string

// The effects, the most serious first.
const (
	Worse  Effect = "worse"
	Better Effect = "better"
	Other  Effect = "other"
)

var effects = [...]Effect{Worse, Better, Other}

// CannotTell is the result where nothing is worse, and the later audit leaves
// open whether something is.
const CannotTell Effect = "undecided"

// DiffDoc is what changed between two audits, as a document.
type DiffDoc struct {
	Schema  string      `json:"schema"`
	Result  Effect      `json:"result" doc:"worse when any change is; else undecided when the later captures could not decide all that they hold; else better when any change is; else other"`
	Summary string      `json:"summary" doc:"the result as a sentence"`
	Before  diffSide    `json:"before"`
	After   diffSide    `json:"after"`
	Changes []changeDoc `json:"changes" doc:"what is worse first, then what is better, then the rest; of each edges, findings, concerns, roles, hosts"`
	Notes   []string    `json:"notes" doc:"what keeps the two audits from being compared fully"`
}

type diffSide struct {
	File    string              `json:"file" doc:"as given on the command line"`
	Result  Result              `json:"result"`
	Summary string              `json:"summary"`
	Diagram string              `json:"diagram,omitempty"`
	First   string              `json:"first,omitempty" format:"date-time"`
	Last    string              `json:"last,omitempty" format:"date-time"`
	Flows   map[string]countDoc `json:"verdicts" doc:"flows and wire bytes by verdict"`
}

type changeDoc struct {
	ID     string   `json:"id" doc:"the same in every comparison that finds the same: finding:ID, edge:ID, role:COMPONENT@ADDRESS, host:ADDRESS"`
	Of     string   `json:"of" doc:"edge, finding, concern, role or host"`
	Change string   `json:"change" doc:"added, removed or changed"`
	Effect Effect   `json:"effect" doc:"worse, better or other"`
	Says   string   `json:"says" doc:"the change as a sentence"`
	Before string   `json:"before,omitempty" doc:"the state before: an edge's, or a count of flows"`
	After  string   `json:"after,omitempty"`
	Hosts  []string `json:"hosts,omitempty" doc:"addresses that came or went"`

	Verdict  string      `json:"verdict,omitempty" doc:"of a finding"`
	Severity string      `json:"severity,omitempty" doc:"of a finding or concern"`
	Example  *exampleDoc `json:"example,omitempty" doc:"from the later audit, where it has one"`
	Do       string      `json:"do,omitempty" doc:"what to do next"`
}

// Diff is what changed from the audit before to the audit after. What makes it
// worse is a finding that speaks against conformance (violation, undocumented,
// blocked) that was not there, or that has spread to further hosts; how often
// something happened depends on how long was captured, and is not compared.
func Diff(beforeFile string, before *AuditDoc, afterFile string, after *AuditDoc) *DiffDoc {
	d := &DiffDoc{Schema: DiffSchema, Before: newDiffSide(beforeFile, before), After: newDiffSide(afterFile, after),
		Changes: []changeDoc{}, Notes: []string{}}
	if d.Before.Diagram != d.After.Diagram {
		d.Notes = append(d.Notes, fmt.Sprintf("The audits used different diagrams: %s before, %s after.", cmp.Or(d.Before.Diagram, "none"), cmp.Or(d.After.Diagram, "none")))
	}
	for _, side := range []struct {
		when string
		doc  *AuditDoc
	}{{"before", before}, {"after", after}} {
		if side.doc.Coverage.Lossy {
			d.Notes = append(d.Notes, fmt.Sprintf("Much is missing from the captures of the audit %s.", side.when))
		}
	}
	d.edges(before, after)
	d.findings("finding", before.Findings, after.Findings)
	d.findings("concern", before.Concerns, after.Concerns)
	d.hosts(before, after)
	slices.SortStableFunc(d.Changes, func(a, b changeDoc) int {
		return cmp.Compare(slices.Index(effects[:], a.Effect), slices.Index(effects[:], b.Effect))
	})
	d.conclude(after.standing())
	return d
}

func newDiffSide(file string, doc *AuditDoc) diffSide {
	return diffSide{File: file, Result: doc.Result, Summary: doc.Summary, First: doc.Coverage.First, Last: doc.Coverage.Last, Flows: doc.Verdicts,
		Diagram: doc.Diagram.called()}
}

// called is the name of a diagram, with those that were added to it; "" of none.
func (d *diagramDoc) called() string {
	if d == nil {
		return ""
	}
	name := d.Name
	for _, p := range d.Parts[min(1, len(d.Parts)):] {
		name += " with " + p.Name
	}
	return name
}

func (d *DiffDoc) conclude(after standing) {
	n := map[Effect]uint64{}
	for e, changes := range d.parts() {
		n[e] = uint64(len(changes))
	}
	d.Result = Other
	switch {
	case n[Worse] > 0:
		d.Result = Worse
	case !after.decided():
		d.Result = CannotTell
	case n[Better] > 0:
		d.Result = Better
	}
	switch {
	case d.Result == CannotTell:
		d.Summary = fmt.Sprintf("The later audit cannot tell whether anything is worse: %s; %s for the better, %s.", after.why(), count(n[Better], "change"), count(n[Other], "other change"))
	case len(d.Changes) == 0:
		d.Summary = "Nothing has changed."
	case d.Result == Other:
		d.Summary = fmt.Sprintf("Nothing is worse and nothing is better; %s.", count(n[Other], "other change"))
	default:
		d.Summary = fmt.Sprintf("%s for the worse, %s for the better, %s.", count(n[Worse], "change"), number(n[Better]), count(n[Other], "other change"))
	}
}

// parts are the changes by their effect, the most serious first, as they are
// told to people; effects that no change has are left out.
func (d *DiffDoc) parts() iter.Seq2[Effect, []changeDoc] {
	return func(yield func(Effect, []changeDoc) bool) {
		for rest := d.Changes; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Effect == rest[0].Effect {
				n++
			}
			if !yield(rest[0].Effect, rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// headline is the result for people.
func (d *DiffDoc) headline() string {
	switch {
	case d.Result != Other:
		return strings.ToUpper(string(d.Result))
	case len(d.Changes) == 0:
		return "THE SAME"
	}
	return "NOT WORSE"
}

// SinceBaseline takes out of an audit what an earlier one, the baseline, has
// found as well: findings and concerns of the same ids that are of no further
// hosts. What was taken out is counted; edges, components and the counts of
// flows stay as they are.
func SinceBaseline(a *rules.Audit, file string, baseline *AuditDoc, o *Options) {
	a.Baseline = &rules.Baseline{File: file}
	known := func(list []rules.Finding, before []findingDoc) []rules.Finding {
		was := spot(before, func(f *findingDoc) string { return f.ID })
		var left []rules.Finding
		for i, doc := range findingDocs(list, o) {
			if w := was[doc.ID]; w == nil || len(doc.spread(w)) > 0 {
				left = append(left, list[i])
				continue
			}
			a.Baseline.Known++
			a.Baseline.Flows += doc.Flows
		}
		return left
	}
	a.Findings = known(a.Findings, baseline.Findings)
	a.Concerns = known(a.Concerns, baseline.Concerns)
	if was, is := baseline.Diagram.called(), newDiagramDoc(a.Diagram, nil).called(); was != is {
		a.Notes = append(a.Notes, fmt.Sprintf("The baseline %s used another diagram (%s), of which few findings are this one's (%s).", file, cmp.Or(was, "none"), cmp.Or(is, "none")))
	}
}

// failingVerdict is fails for the name of a verdict, as documents have it.
func failingVerdict(name string) bool {
	return slices.ContainsFunc(failing[:], func(k rules.Kind) bool { return k.String() == name })
}

// spot finds the elements of one list in another by their key.
func spot[T any](list []T, key func(*T) string) map[string]*T {
	m := make(map[string]*T, len(list))
	for i := range list {
		m[key(&list[i])] = &list[i]
	}
	return m
}

func (d *DiffDoc) edges(before, after *AuditDoc) {
	id := func(e *edgeDoc) string { return e.ID }
	was, is := spot(before.Edges, id), spot(after.Edges, id)
	for i := range after.Edges {
		e := &after.Edges[i]
		c := changeDoc{ID: "edge:" + e.ID, Of: "edge", Effect: Other, After: e.Status, Example: e.Example}
		w := was[e.ID]
		switch {
		case w == nil:
			c.Change, c.Says = "added", fmt.Sprintf("The edge %s is new in the diagram: %s.", e.ID, phrase(e.Status))
		case w.Status == e.Status:
			continue
		default:
			c.Change, c.Before = "changed", w.Status
			c.Says = fmt.Sprintf("The edge %s was %s before and is now %s.", e.ID, phrase(w.Status), phrase(e.Status))
			switch {
			case e.Status == "not_seen" && e.CouldShow != nil && !*e.CouldShow:
				c.Says += " These captures could not have shown it: " + e.Why
			case e.Status == "not_seen" && e.Why != "":
				c.Says += " " + capital(e.Why)
			case badEdge(e.Status) && !badEdge(w.Status):
				c.Effect = Worse
			case badEdge(w.Status) && e.Status == "seen":
				c.Effect = Better
			}
		}
		d.Changes = append(d.Changes, c)
	}
	for i := range before.Edges {
		if e := &before.Edges[i]; is[e.ID] == nil {
			d.Changes = append(d.Changes, changeDoc{ID: "edge:" + e.ID, Of: "edge", Change: "removed", Effect: Other, Before: e.Status,
				Says: fmt.Sprintf("The edge %s is no longer in the diagram; it was %s.", e.ID, phrase(e.Status))})
		}
	}
}

func badEdge(status string) bool { return status == "violated" || status == "blocked" }

// phrase is a name of documents in words: not_seen is "not seen".
func phrase(name string) string { return strings.ReplaceAll(name, "_", " ") }

func (d *DiffDoc) findings(of string, before, after []findingDoc) {
	id := func(f *findingDoc) string { return f.ID }
	was, is := spot(before, id), spot(after, id)
	for i := range after {
		f := &after[i]
		c := changeDoc{ID: "finding:" + f.ID, Of: of, Effect: Other, Verdict: f.Verdict, Severity: f.Severity,
			After: count(f.Flows, "flow"), Example: &f.Example, Do: f.Do}
		if of == "concern" {
			c.Verdict = ""
		}
		bad := of == "finding" && failingVerdict(f.Verdict)
		w := was[f.ID]
		if w == nil {
			c.Change, c.Says, c.Hosts = "added", f.Title, f.hosts()
		} else {
			if c.Hosts = f.spread(w); len(c.Hosts) == 0 {
				continue
			}
			c.Change, c.Before = "changed", count(w.Flows, "flow")
			c.Says = strings.TrimSuffix(f.Title, ".") + "; now also " + strings.Join(c.Hosts, ", ") + "."
		}
		if bad {
			c.Effect = Worse
		}
		d.Changes = append(d.Changes, c)
	}
	for i := range before {
		f := &before[i]
		c := changeDoc{ID: "finding:" + f.ID, Of: of, Effect: Other, Severity: f.Severity, Before: count(f.Flows, "flow")}
		if of == "finding" {
			c.Verdict = f.Verdict
		}
		if w := is[f.ID]; w != nil {
			c.Hosts = f.spread(w)
			if len(c.Hosts) == 0 || len(w.spread(f)) > 0 {
				continue // told above
			}
			c.Change, c.After = "changed", count(w.Flows, "flow")
			c.Says = strings.TrimSuffix(f.Title, ".") + "; no longer " + strings.Join(c.Hosts, ", ") + "."
		} else {
			c.Change, c.Says, c.Hosts = "removed", "No longer: "+f.Title, f.hosts()
			if of == "finding" && failingVerdict(f.Verdict) {
				c.Effect = Better
			}
		}
		d.Changes = append(d.Changes, c)
	}
}

// hosts are the addresses that a finding names which its own ends do not.
func (f *findingDoc) hosts() []string {
	var list []string
	for _, a := range slices.Concat(f.Clients, f.Servers) {
		if a != f.From && a != f.To && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	for i := range f.Pairs {
		for _, a := range []string{f.Pairs[i].Client, f.Pairs[i].Server} {
			if a != f.From && a != f.To && !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// spread are the hosts that f names and other, the same finding of another
// audit, does not; nobody where other may be of more hosts than it names.
func (f *findingDoc) spread(other *findingDoc) []string {
	if other.cut() {
		return nil
	}
	return missing(f.hosts(), other.hosts())
}

// cut says whether a finding may be of more hosts than it names.
func (f *findingDoc) cut() bool {
	if len(f.Pairs) > 0 {
		return f.MorePairs > 0
	}
	return len(f.Clients) >= rules.MaxNamed || len(f.Servers) >= rules.MaxNamed
}

// missing are the elements of list that other lacks.
func missing(list, other []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

// hosts compares who is there and which host has which role.
func (d *DiffDoc) hosts(before, after *AuditDoc) {
	address := func(h *hostDoc) string { return h.Address }
	was, is := spot(before.Hosts, address), spot(after.Hosts, address)
	var roles, hosts []changeDoc
	role := func(h *hostDoc, r, change, says string) {
		roles = append(roles, changeDoc{ID: "role:" + r + "@" + h.Address, Of: "role", Change: change, Effect: Other,
			Says: fmt.Sprintf(says, h.called(), r), Hosts: []string{h.Address}})
	}
	for i := range after.Hosts {
		h := &after.Hosts[i]
		w := was[h.Address]
		if w == nil {
			hosts = append(hosts, changeDoc{ID: "host:" + h.Address, Of: "host", Change: "added", Effect: Other,
				Says: fmt.Sprintf("%s is new: %s.", h.called(), h.plays()), Hosts: []string{h.Address}})
			w = &hostDoc{}
		} else if w.Name != h.Name {
			hosts = append(hosts, changeDoc{ID: "host:" + h.Address, Of: "host", Change: "changed", Effect: Other, Before: w.Name, After: h.Name,
				Says: fmt.Sprintf("%s was named %s and is now named %s.", h.Address, cmp.Or(w.Name, "none"), cmp.Or(h.Name, "none")), Hosts: []string{h.Address}})
		}
		for _, r := range missing(h.roles(), w.roles()) {
			role(h, r, "added", "%s now has the role %s.")
		}
		for _, r := range missing(w.roles(), h.roles()) {
			role(h, r, "removed", "%s no longer has the role %s.")
		}
	}
	for i := range before.Hosts {
		h := &before.Hosts[i]
		if is[h.Address] != nil {
			continue
		}
		hosts = append(hosts, changeDoc{ID: "host:" + h.Address, Of: "host", Change: "removed", Effect: Other,
			Says: fmt.Sprintf("%s is gone: %s.", h.called(), h.plays()), Hosts: []string{h.Address}})
		for _, r := range h.roles() {
			role(h, r, "removed", "%s no longer has the role %s.")
		}
	}
	d.Changes = append(append(d.Changes, roles...), hosts...)
}

// called is a host for people.
func (h *hostDoc) called() string {
	if h.Name != "" {
		return h.Address + " (" + h.Name + ")"
	}
	return h.Address
}

func (h *hostDoc) roles() []string {
	var list []string
	for _, r := range h.Roles {
		list = append(list, r.Role)
	}
	slices.Sort(list)
	return list
}

func (h *hostDoc) plays() string {
	if len(h.Roles) == 0 {
		return "it has no role"
	}
	return strings.Join(h.roles(), ", ")
}

// signOf is how an effect is marked.
func signOf(e Effect) (sign string, st style, title string) {
	switch e {
	case Worse:
		return "✗", red, "Worse"
	case Better:
		return "✓", green, "Better"
	case CannotTell:
		return "?", yellow, ""
	}
	return "·", dim, "Other changes"
}

func diffTable(w io.Writer, d *DiffDoc, o *Options) error {
	p := &page{w: w, o: o}
	sign, st, _ := signOf(d.Result)
	p.mark(0, sign, st, d.headline()+": "+d.Summary)
	for _, s := range []struct {
		when string
		side *diffSide
	}{{"Before", &d.Before}, {"After ", &d.After}} {
		p.para(2, dim, s.when+"  "+s.side.File+when(s.side)+": "+s.side.Summary)
	}
	for _, n := range d.Notes {
		p.mark(2, "!", yellow, n)
	}
	for e, changes := range d.parts() {
		sign, st, title := signOf(e)
		p.heading(title, "")
		for i := range changes {
			c := &changes[i]
			p.mark(2, sign, st, c.Says)
			p.para(4, dim, c.proof(o))
			if do := c.advice(); do != "" {
				p.mark(4, "→", cyan, do)
			}
		}
	}
	return p.err
}

// when is the period of an audit for people.
func when(s *diffSide) string {
	if len(s.First) < 16 || len(s.Last) < 16 {
		return ""
	}
	first, last := strings.Replace(s.First[:16], "T", " ", 1), strings.Replace(s.Last[:16], "T", " ", 1)
	switch {
	case first == last:
		return ", " + first + " UTC"
	case first[:10] == last[:10]:
		last = last[11:]
	}
	return ", " + first + " to " + last + " UTC"
}

// proof is a change's id and where it can be seen.
func (c *changeDoc) proof(o *Options) string {
	s := c.ID
	if c.Before != "" && c.After != "" {
		s += ", " + phrase(c.Before) + " → " + phrase(c.After)
	}
	if e := c.Example; e != nil && e.Frame > 0 {
		flow := e.Flow
		if flow == "" {
			flow = e.Client + " > " + e.Server
		}
		s += ", " + flow + ", " + tail(e.File, 40) + " frame " + strconv.FormatUint(e.Frame, 10)
	}
	return s
}

// advice is what to do about a change for the worse.
func (c *changeDoc) advice() string {
	if c.Effect != Worse {
		return ""
	}
	return c.Do
}

func diffMarkdown(w io.Writer, d *DiffDoc, o *Options) error {
	m := &markdownPage{page{w: w, o: o}}
	m.print("# " + d.headline() + "\n\n" + text(d.Summary) + "\n\n")
	m.head("audit", "file", "first", "last", "answer")
	m.row("before", code(d.Before.File), text(d.Before.First), text(d.Before.Last), text(d.Before.Summary))
	m.row("after", code(d.After.File), text(d.After.First), text(d.After.Last), text(d.After.Summary))
	for _, n := range d.Notes {
		m.print("\n- " + text(n) + "\n")
	}
	for e, changes := range d.parts() {
		_, _, title := signOf(e)
		m.print("\n## " + title + "\n\n")
		m.head("of", "change", "what", "proof", "do")
		for i := range changes {
			c := &changes[i]
			m.row(c.Of, c.Change, text(c.Says), code(c.proof(o)), text(c.advice()))
		}
	}
	return m.err
}
