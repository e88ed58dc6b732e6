package report

import (
	"io"

	"wirechart/flows"
	"wirechart/rules"
)

var jsonlFormat = Format{
	Name:  "jsonl",
	Doc:   "one JSON object per line",
	Flows: func(w io.Writer, o *Options) FlowWriter { return &jsonlFlows{w: w, r: newRecorder(o)} },
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
