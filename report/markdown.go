package report

import (
	"fmt"
	"io"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

var markdown = Format{
	Name:  "markdown",
	Doc:   "for a ticket or a wiki",
	Audit: auditMarkdown,
	Hosts: func(w io.Writer, hosts []rules.Host, o *Options) error {
		m := &markdownPage{page{w: w, o: o}}
		m.print("# Hosts\n\n")
		m.hosts(hosts)
		return m.err
	},
	Flows: func(w io.Writer, o *Options) FlowWriter { return &markdownFlows{m: markdownPage{page{w: w, o: o}}} },

	Diff:    diffMarkdown,
	Compare: compareMarkdown,

	// A tree is told best as it stands.
	Explain: func(w io.Writer, e *Explanation, o *Options) error {
		var text strings.Builder
		if err := explainTable(&text, e, &Options{Width: 100, Files: o.Files, Hosts: o.Hosts}); err != nil {
			return err
		}
		_, err := io.WriteString(w, "```\n"+strings.ReplaceAll(text.String(), "```", "\"\"\"")+"```\n")
		return err
	},
}

// markdownPage writes GitHub's Markdown, tables included.
type markdownPage struct{ page }

// text is s as words of Markdown: what could be markup is escaped.
func text(s string) string {
	s = Clean(s)
	if !strings.ContainsAny(s, "\\`*_{}[]<>()#|!~&$") && !strings.Contains(s, "://") {
		return s
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == '<':
			b.WriteString("&lt;")
			continue
		case c == '>':
			b.WriteString("&gt;")
			continue
		case c == '&':
			b.WriteString("&amp;")
			continue
		case c == ':' && strings.HasPrefix(s[i:], "://"): // no link of the wire's making
			b.WriteString("&#58;")
			continue
		case strings.ContainsRune("\\`*_{}[]#|!~$", c):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// code is s as code, for what is to be copied: addresses, frames, names.
func code(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(Clean(s), "`", "'"), "|", "¦")
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return "`" + s + "`"
}

func (m *markdownPage) row(values ...string) { m.print("| " + strings.Join(values, " | ") + " |\n") }

func (m *markdownPage) head(names ...string) {
	m.row(names...)
	m.print("|" + strings.Repeat(" --- |", len(names)) + "\n")
}

func auditMarkdown(w io.Writer, a *rules.Audit, o *Options) error {
	m := &markdownPage{page{w: w, o: o}}
	headline, sentence := answer(a)
	m.print("# " + headline + "\n\n" + text(capital(sentence)) + "\n\n")
	if a.Diagram != nil {
		m.print("Diagram: " + text(diagramTitle(a.Diagram)) + "\n\n")
	}
	doc := newCoverageDoc(&a.Coverage)
	m.print("## Captures\n\n")
	m.head("capture", "frames", "bytes", "first", "last", "remarks")
	for i, c := range doc.Captures {
		m.row(code(c.File), number(c.Frames), number(c.Bytes), c.First, c.Last, text(fileRemarks(&a.Coverage.Captures.Files[i])))
	}
	m.print(fmt.Sprintf("\n%s, of which %s in one direction only and %s begun before the capture; %s of payload missing.\n",
		count(doc.Flows, "flow"), number(doc.OneSided), number(doc.LateStart), size(doc.Missed)))
	if lost := doc.Dropped + doc.InterfaceDropped; lost > 0 {
		m.print(count(lost, "frame") + " lost while capturing.\n")
	}

	if doc.Stopped != "" {
		m.print("Not read to the end (" + doc.Stopped + "): the results are of " + count(doc.Packets, "frame") + ".\n")
	}

	if len(a.Findings) > 0 {
		m.print("\n## Findings\n")
		for i := range a.Findings {
			m.finding(i+1, &a.Findings[i])
		}
	}
	m.print("\n## Edges of the diagram\n\n")
	m.head("state", "edge", "from", "to", "over", "flows", "first seen", "why")
	for i := range a.Edges {
		e := &a.Edges[i]
		sign, _ := edgeMark(e.Status)
		from := componentIDs(e.Edge.From)
		if from == "" {
			from = "not stated"
		}
		m.row(sign+" "+e.Status.String(), code(e.Edge.ID), text(from), text(componentIDs(e.Edge.To)), text(services(e.Edge)),
			number(edgeFlows(e)), text(o.place(e.First)), text(e.Why))
	}
	m.print("\n## Components\n\n")
	m.hosts(a.Hosts)
	m.choices(a)
	if len(a.Concerns) > 0 {
		m.print("\n## Concerns\n\nGood practice that the diagram does not cover.\n\n")
		m.head("severity", "concern", "flows", "example")
		for i := range a.Concerns {
			f := &a.Concerns[i]
			m.row(f.Severity.String(), text(f.Title), number(f.Flows), m.example(f))
		}
	}
	m.print("\n## Flows\n\n")
	m.head("verdict", "flows", "bytes", "meaning")
	for _, k := range kinds {
		if c := a.Verdicts[k]; c.Flows > 0 {
			m.row(kindWord(k), number(c.Flows), number(c.Bytes), kindMeans(k))
		}
	}
	for _, note := range a.Notes {
		m.print("\n- " + text(note))
	}
	if len(a.Notes) > 0 {
		m.print("\n")
	}
	return m.err
}

func (m *markdownPage) finding(n int, f *rules.Finding) {
	m.print(fmt.Sprintf("\n### %d. %s: %s → %s %s\n\n", n, kindWord(f.Kind), text(f.From), text(f.To), text(f.Service)))
	what, _ := told(f)
	m.print(fmt.Sprintf("- **What:** %s (%s, %s)\n", text(what), count(f.Flows, "flow"), size(f.Bytes)))
	m.print("- **Proof:** " + m.example(f) + "\n")
	if f.Edge != nil {
		m.print("- **Edge:** " + code(f.Edge.ID) + " (" + code(edgeAt(f.Edge)) + ")\n")
	}
	if f.Do != "" {
		m.print("- **Do:** " + text(f.Do) + "\n")
	}
	m.print("- " + code(f.Reason.String()) + ", " + code(f.ID) + "\n")
}

// example is the flow that proves a finding.
func (m *markdownPage) example(f *rules.Finding) string {
	s := code(m.flow(f.Example.Client, f.Example.Server))
	if f.Example.Frame.Number() > 0 {
		s += ", " + code(m.o.file(f.Example.Frame)) + " frame " + frameNumber(f.Example.Frame.Number())
	}
	if _, says := told(f); says != "" {
		s += ": " + text(says)
	}
	return s
}

func (m *markdownPage) hosts(hosts []rules.Host) {
	m.head("host", "name", "role", "confidence", "because")
	for i := range hosts {
		h := &hosts[i]
		for k := range h.Roles {
			r := &h.Roles[k]
			m.row(code(h.Addr.String()), text(h.Name), text(r.Component.ID), percent(h, r), text(m.because(r, full.evidence)))
		}
	}
}

type markdownFlows struct {
	m    markdownPage
	next bool
}

func (t *markdownFlows) Flow(f *flows.Flow, v *rules.Verdict) error {
	m := &t.m
	if !t.next {
		t.next = true
		m.head("frame", "proto", "client", "server", "app", "packets", "bytes", "verdict", "edge", "reasons")
	}
	verdict, edge := "", ""
	var reasons []string
	if v != nil {
		verdict = kindWord(v.Kind)
		if v.Edge != nil {
			edge = v.Edge.ID
		}
		for _, b := range v.Reasons {
			reasons = append(reasons, code(b.Reason.String()))
		}
	}
	m.row(code(m.o.place(f.Frame)), flows.ProtoText(f.Proto), code(end(f.Client)), code(end(f.Server)), text(f.App),
		number(f.Packets.Sum()), number(f.Bytes.Sum()), verdict, code(edge), strings.Join(reasons, " "))
	return m.err
}

func (t *markdownFlows) Close() error {
	if !t.next {
		t.m.print("No flows.\n")
	}
	return t.m.err
}
