package report

import (
	"io"

	"wirechart/flows"
	"wirechart/rules"
)

var jsonFormat = Format{
	Name:  "json",
	Doc:   "one JSON document",
	Flows: func(w io.Writer, o *Options) FlowWriter { return &jsonFlows{w: w, r: newRecorder(o)} },
}

// jsonFlows writes all flows as one document, one flow on each line.
type jsonFlows struct {
	w io.Writer
	r *recorder
	n uint64
}

func (j *jsonFlows) Flow(f *flows.Flow, v *rules.Verdict) error {
	lead := ",\n"
	if j.n == 0 {
		lead = `{"schema":"` + FlowsSchema + `","flows":[` + "\n"
	}
	j.n++
	if _, err := io.WriteString(j.w, lead); err != nil {
		return err
	}
	_, err := j.w.Write(j.r.record(f, v))
	return err
}

func (j *jsonFlows) Close() error {
	end := "\n]}\n"
	if j.n == 0 {
		end = `{"schema":"` + FlowsSchema + `","flows":[]}` + "\n"
	}
	_, err := io.WriteString(j.w, end)
	return err
}
