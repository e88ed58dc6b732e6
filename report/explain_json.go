package report

import (
	"encoding/hex"
	"encoding/json"
	"io"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

// ExplainSchema is the schema that an explanation names.
const ExplainSchema = "wirechart/explain/v1"

// explainDoc is an Explanation as a document.
type explainDoc struct {
	Schema   string         `json:"schema"`
	Finding  *findingDoc    `json:"finding,omitempty" doc:"the finding or concern asked for"`
	Edge     *edgeDoc       `json:"edge,omitempty" doc:"the edge asked for"`
	File     string         `json:"file,omitempty" doc:"capture of the frame asked for"`
	Frame    uint64         `json:"frame,omitempty" doc:"the frame asked for"`
	Flows    []explainedDoc `json:"flows" doc:"the flows that explain it, the most serious first"`
	More     []uint64       `json:"more,omitempty" doc:"ids of other flows of the same kind, the first few"`
	Others   uint64         `json:"others" doc:"how many flows of the same kind are not among flows"`
	Evidence string         `json:"evidence,omitempty" doc:"capture that the frames were written to"`
}

type explainedDoc struct {
	Flow     json.RawMessage `json:"flow" doc:"the flow record, as wirechart schema flow describes it"`
	Frames   []stepDoc       `json:"frames" doc:"the frames that matter, in the order of the capture"`
	After    *leftDoc        `json:"after,omitempty" doc:"frames behind the last of these"`
	Closing  []messageDoc    `json:"closing,omitempty" doc:"what was concluded when the flow was over"`
	Required []checkDoc      `json:"required,omitempty" doc:"the requirements of the verdict's edge"`
	EdgeAt   string          `json:"edge_at,omitempty" doc:"file and line of the diagram that states the edge"`
	Unknown  []unknownDoc    `json:"unknown,omitempty" doc:"what remains unknown"`
}

type stepDoc struct {
	Before   *leftDoc     `json:"before,omitempty" doc:"frames of the flow that were passed over before this one"`
	File     string       `json:"file,omitempty"`
	Frame    uint64       `json:"frame"`
	Time     string       `json:"time" format:"date-time"`
	Offset   float64      `json:"offset" doc:"seconds since the first frame of the flow"`
	From     string       `json:"from" doc:"client or server; of an ICMP error, the end that it was not sent to"`
	Says     string       `json:"says" doc:"what its headers say, in words"`
	Flags    []string     `json:"flags,omitempty" doc:"TCP flags"`
	Seq      *uint32      `json:"seq,omitempty" doc:"relative sequence number"`
	Ack      *uint32      `json:"ack,omitempty" doc:"relative acknowledgement number"`
	Payload  int          `json:"payload" doc:"bytes of transport payload"`
	TTL      int          `json:"ttl" doc:"TTL or hop limit"`
	Again    bool         `json:"again,omitempty" doc:"its bytes were seen before"`
	Copy     bool         `json:"copy,omitempty" doc:"made by the mirror"`
	ICMPFrom string       `json:"icmp_from,omitempty" doc:"who sent the ICMP error about the flow"`
	Messages []messageDoc `json:"messages,omitempty" doc:"what was read in it"`
	Proves   []string     `json:"proves,omitempty" doc:"reasons and concerns"`
	Hex      string       `json:"hex,omitempty" doc:"its bytes, where asked for"`
}

type leftDoc struct {
	Frames  uint64   `json:"frames"`
	Payload []uint64 `json:"payload" doc:"bytes: client to server, server to client"`
}

type messageDoc struct {
	Level     int               `json:"level" doc:"0 for what stands in the stream, 1 for what is inside that, and so on"`
	Protocol  string            `json:"protocol"`
	Text      string            `json:"text"`
	Fields    map[string]string `json:"fields,omitempty"`
	Concludes bool              `json:"concludes,omitempty" doc:"follows from the messages so far"`
}

type checkDoc struct {
	Name   string `json:"name" doc:"dotted name of the flow record"`
	Says   string `json:"says" doc:"the requirement, as a diagram writes it"`
	Must   bool   `json:"must" doc:"must be seen to hold; otherwise where it can be seen"`
	Result string `json:"result" doc:"holds, contradicted or not_seen"`
	Saw    string `json:"saw,omitempty"`
	File   string `json:"file,omitempty"`
	Frame  uint64 `json:"frame,omitempty"`
}

type unknownDoc struct {
	What   string `json:"what"`
	Settle string `json:"settle" doc:"the capture, or other evidence, that would settle it"`
}

func newExplainDoc(e *Explanation, o *Options) *explainDoc {
	doc := &explainDoc{Schema: ExplainSchema, Flows: []explainedDoc{}, More: e.More, Others: e.Others, Evidence: e.Evidence}
	if e.Finding != nil {
		doc.Finding = &findingDocs([]rules.Finding{*e.Finding}, o)[0]
	}
	if e.Edge != nil {
		edge := newEdgeDoc(e.Edge, o)
		doc.Edge = &edge
	}
	doc.File, doc.Frame = o.file(e.Frame), e.Frame.Number()
	r := newRecorder(o)
	for i := range e.Flows {
		x := &e.Flows[i]
		f := x.Story.Flow
		d := explainedDoc{Flow: append(json.RawMessage(nil), r.record(f, x.Verdict)...), Frames: []stepDoc{}, After: newLeftDoc(&x.Story.After)}
		for _, s := range x.Story.Steps {
			d.Frames = append(d.Frames, newStepDoc(e, x, s, o))
		}
		for i := range x.Story.Concluded {
			d.Closing = append(d.Closing, newMessageDoc(&x.Story.Concluded[i]))
		}
		if edge := x.Verdict.Edge; edge != nil {
			d.EdgeAt = edgeAt(edge)
		}
		for _, c := range x.Checks {
			check := checkDoc{Name: c.Requirement.Name, Says: c.Requirement.String(), Must: c.Must, Result: identifier(c.Result.String()), Saw: c.Saw}
			if c.Frame.Number() > 0 && c.Result != rules.Unseen {
				check.File, check.Frame = o.file(c.Frame), c.Frame.Number()
			}
			d.Required = append(d.Required, check)
		}
		for _, u := range x.Unknowns {
			d.Unknown = append(d.Unknown, unknownDoc(u))
		}
		doc.Flows = append(doc.Flows, d)
	}
	return doc
}

func newLeftDoc(l *flows.Left) *leftDoc {
	if l.Frames == 0 {
		return nil
	}
	return &leftDoc{l.Frames, l.Payload[:]}
}

func newStepDoc(e *Explanation, x *Explained, s *flows.Sighting, o *Options) stepDoc {
	f := x.Story.Flow
	d := stepDoc{Before: newLeftDoc(&s.Before), File: o.file(s.Packet.Frame), Frame: s.Packet.Frame.Number(),
		Time: timestamp(s.Packet.Time), Offset: float64(s.Packet.Time-f.Start) / 1e9, From: [...]string{"client", "server"}[s.Dir],
		Says: header(f, s), Payload: s.Payload, TTL: int(s.TTL), Again: s.Again, Copy: s.Copy}
	if f.Proto == flows.ProtoTCP && !s.Quoted && !s.Part {
		d.Flags, d.Seq = flagNames(s.Flags), &s.Seq
		if s.Flags&flows.ACK != 0 {
			d.Ack = &s.Ack
		}
	}
	if s.Quoted {
		d.ICMPFrom = s.From.String()
	}
	for i := range s.Messages {
		d.Messages = append(d.Messages, newMessageDoc(&s.Messages[i]))
	}
	for _, b := range x.proofs(s.Packet.Frame) {
		d.Proves = append(d.Proves, b.Reason.String())
	}
	if e.Hex {
		d.Hex = hex.EncodeToString(e.bytes(s))
	}
	return d
}

func newMessageDoc(m *dissect.Message) messageDoc {
	d := messageDoc{Level: m.Level, Protocol: m.Protocol, Text: m.Text, Concludes: m.Concludes}
	for _, f := range m.Fields {
		if d.Fields == nil {
			d.Fields = map[string]string{}
		}
		d.Fields[f.Name] = f.Value
	}
	return d
}

func explainJSON(w io.Writer, e *Explanation, o *Options) error {
	return writeJSON(w, newExplainDoc(e, o))
}

func explainLine(w io.Writer, e *Explanation, o *Options) error {
	return writeLine(w, newExplainDoc(e, o))
}
