package report

import (
	"encoding/json"
	"io"

	"wirechart/flows"
	"wirechart/rules"
)

// The schemas of lines that are parts of an audit or of a list of hosts.
const (
	summarySchema = "wirechart/summary/v1"
	findingSchema = "wirechart/finding/v1"
	concernSchema = "wirechart/concern/v1"
	edgeSchema    = "wirechart/edge/v1"
	hostSchema    = "wirechart/host/v1"
)

var jsonlFormat = Format{
	Name: "jsonl",
	Doc:  "one JSON object per line: a flow, a host, or a finding, concern or edge",
	Audit: func(w io.Writer, a *rules.Audit, o *Options) error {
		doc := newAuditDoc(a, o)
		if err := writeLine(w, summaryLine{summarySchema, doc.Result, doc.Summary, doc.Coverage, doc.Verdicts, doc.Notes}); err != nil {
			return err
		}
		for i := range doc.Findings {
			if err := writeLine(w, findingLine{findingSchema, doc.Findings[i]}); err != nil {
				return err
			}
		}
		for i := range doc.Concerns {
			if err := writeLine(w, findingLine{concernSchema, doc.Concerns[i]}); err != nil {
				return err
			}
		}
		for i := range doc.Edges {
			if err := writeLine(w, edgeLine{edgeSchema, doc.Edges[i]}); err != nil {
				return err
			}
		}
		for i := range doc.Hosts {
			if err := writeLine(w, hostLine{hostSchema, doc.Hosts[i]}); err != nil {
				return err
			}
		}
		return nil
	},
	Hosts: func(w io.Writer, hosts []rules.Host, o *Options) error {
		for i := range hosts {
			if err := writeLine(w, hostLine{hostSchema, newHostDoc(&hosts[i], o)}); err != nil {
				return err
			}
		}
		return nil
	},
	Flows: func(w io.Writer, o *Options) FlowWriter { return &jsonlFlows{w: w, r: newRecorder(o)} },

	Explain: explainLine,
}

// The lines of an audit: what is one array in the document is a line for each
// element here, told apart by its schema.
type (
	summaryLine struct {
		Schema   string              `json:"schema"`
		Result   Result              `json:"result"`
		Summary  string              `json:"summary"`
		Coverage coverageDoc         `json:"coverage"`
		Verdicts map[string]countDoc `json:"verdicts"`
		Notes    []string            `json:"notes"`
	}
	findingLine struct {
		Schema string `json:"schema"`
		findingDoc
	}
	edgeLine struct {
		Schema string `json:"schema"`
		edgeDoc
	}
	hostLine struct {
		Schema string `json:"schema"`
		hostDoc
	}
)

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(escapeHostile(b), '\n'))
	return err
}

type jsonlFlows struct {
	w io.Writer
	r *recorder
}

func (j *jsonlFlows) Flow(f *flows.Flow, v *rules.Verdict) error {
	_, err := j.w.Write(append(j.r.record(f, v), '\n'))
	return err
}

func (j *jsonlFlows) Close() error { return nil }
