package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"wirechart/flows"
	"wirechart/rules"
)

var jsonFormat = Format{
	Name: "json",
	Doc:  "one JSON document; wirechart schema describes it",
	Audit: func(w io.Writer, a *rules.Audit, o *Options) error {
		return writeJSON(w, newAuditDoc(a, o))
	},
	Hosts: func(w io.Writer, hosts []rules.Host, o *Options) error {
		return writeJSON(w, &hostsDoc{HostsSchema, hostDocs(hosts, o)})
	},
	Flows: func(w io.Writer, o *Options) FlowWriter { return &jsonFlows{w: w, r: newRecorder(o)} },

	Explain: explainJSON,
	Diff:    func(w io.Writer, d *DiffDoc, _ *Options) error { return writeJSON(w, d) },
	Compare: func(w io.Writer, d *CompareDoc, _ *Options) error { return writeJSON(w, d) },
}

// writeJSON writes a document with escapes for what does something to a
// terminal, as appendString does.
func writeJSON(w io.Writer, doc any) error {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(escapeHostile(b), '\n'))
	return err
}

// escapeHostile replaces what appendString would escape in a JSON text that is
// valid and so has it in strings only.
func escapeHostile(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range string(text) {
		if c != '\n' && hostile(c) {
			out = appendEscape(out, c)
		} else {
			out = utf8.AppendRune(out, c)
		}
	}
	return out
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

// The types below are the documents as they are written. The doc tags become
// the descriptions of their JSON Schema (schema.go); members that are not
// known are absent.

type hostsDoc struct {
	Schema string    `json:"schema"`
	Hosts  []hostDoc `json:"hosts" doc:"hosts that have a role, or that a finding speaks of"`
}

// AuditDoc is an audit as a document: what is written by -o json, and read back
// by ReadAudit.
type AuditDoc struct {
	Schema   string              `json:"schema"`
	Result   Result              `json:"result" doc:"conforms, findings or undecided; with a baseline, findings is of what is new alone, and known says that the traffic does not conform in ways that the baseline has as well"`
	Summary  string              `json:"summary" doc:"the result as a sentence"`
	Diagram  *diagramDoc         `json:"diagram,omitempty" doc:"what the traffic was compared with"`
	Coverage coverageDoc         `json:"coverage" doc:"what the captures could have shown"`
	Verdicts map[string]countDoc `json:"verdicts" doc:"flows and wire bytes by verdict; verdicts without flows are left out"`
	Findings []findingDoc        `json:"findings" doc:"most serious first"`
	Concerns []findingDoc        `json:"concerns" doc:"good practice that the diagram does not cover, most serious first"`
	Edges    []edgeDoc           `json:"edges" doc:"every edge of the diagram, in its order"`
	Choices  []choiceDoc         `json:"choices,omitempty" doc:"clients that pinged several servers, and the one that each then used"`
	Hosts    []hostDoc           `json:"hosts" doc:"hosts that have a role, or that a finding speaks of"`
	Ambient  *ambientDoc         `json:"ambient,omitempty" doc:"who used ordinary infrastructure that the diagram declares apart"`
	Others   *ambientDoc         `json:"out_of_scope,omitempty" doc:"who else spoke: hosts that have no role"`
	Baseline *baselineDoc        `json:"baseline,omitempty" doc:"an earlier audit: findings and concerns that it has as well are left out"`
	Notes    []string            `json:"notes" doc:"what to know about the method or the limits met"`
}

type diagramDoc struct {
	Name       string         `json:"name"`
	Title      string         `json:"title,omitempty"`
	Parts      []partDoc      `json:"parts" doc:"the files that the diagram was made of, the base first"`
	Sources    []sourceDoc    `json:"sources" doc:"the documents that its statements come from"`
	Components []componentDoc `json:"components"`

	DynamicPorts   []string    `json:"dynamic_ports,omitempty" doc:"source ports that clients may use"`
	InboundDynamic *inboundDoc `json:"inbound_dynamic,omitempty" doc:"components that may be called on dynamic ports, the document does not say which"`
}

type inboundDoc struct {
	To         []string `json:"to"`
	OurReading string   `json:"our_reading,omitempty"`
	Source     string   `json:"source,omitempty"`
}

type partDoc struct {
	File string `json:"file"`
	Name string `json:"name"`
}

type sourceDoc struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	URL     string `json:"url,omitempty"`
	Product string `json:"product,omitempty"`
	Read    string `json:"read,omitempty" doc:"when the document was read"`
}

type componentDoc struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Hosts int    `json:"hosts" doc:"hosts found that play it"`

	KindOf   string   `json:"kind_of,omitempty" doc:"a more general component, whose edges hold for this one too"`
	External bool     `json:"external,omitempty" doc:"it stands outside the site and is known by its names"`
	Names    []string `json:"names,omitempty" doc:"patterns of host names that mark it"`
}

type coverageDoc struct {
	Captures         []captureDoc      `json:"captures" doc:"in the order in which frames came from them"`
	First            string            `json:"first,omitempty" format:"date-time" doc:"time of the earliest frame"`
	Last             string            `json:"last,omitempty" format:"date-time" doc:"time of the latest frame"`
	Filtered         uint64            `json:"filtered" doc:"frames that the filter left out"`
	Received         uint64            `json:"received,omitempty" doc:"live capture: frames that the kernel handed over"`
	Dropped          uint64            `json:"dropped" doc:"live capture: frames lost for lack of buffers"`
	InterfaceDropped uint64            `json:"interface_dropped" doc:"live capture: frames that the interface dropped"`
	Packets          uint64            `json:"packets" doc:"frames given to the table of flows"`
	Stopped          string            `json:"stopped,omitempty" doc:"count or interrupt: why the captures were not read to their end"`
	Outcomes         map[string]uint64 `json:"outcomes" doc:"how far the headers of frames could be read, without those that never occurred"`
	UnknownLinks     []string          `json:"unknown_links,omitempty" doc:"link types that are not understood"`
	Copies           uint64            `json:"copies" doc:"frames recognised as copies made by the mirror"`
	Partial          uint64            `json:"partial_datagrams" doc:"datagrams whose fragments were not all captured"`
	Flows            uint64            `json:"flows"`
	Evicted          uint64            `json:"evicted" doc:"flows ended early because the table was full"`
	Early            uint64            `json:"judged_early" doc:"flows judged before the end of the captures to make room"`
	Retired          uint64            `json:"judged_after_keep,omitempty" doc:"live capture: flows judged for good when they had been over for some time (--keep)"`
	OneSided         uint64            `json:"one_sided" doc:"TCP flows of which one direction was captured"`
	LateStart        uint64            `json:"late_start" doc:"TCP flows that began before the capture did"`
	Missed           uint64            `json:"missed_bytes" doc:"payload bytes known to be missing"`
	Decryption       *decryptionDoc    `json:"decryption,omitempty" doc:"what secrets of TLS connections did, where there were any"`
	Lossy            bool              `json:"lossy" doc:"so much is missing that verdicts rest on less than they should"`
}

type decryptionDoc struct {
	Connections int `json:"connections" doc:"connections that there were secrets of"`
	Decrypted   int `json:"decrypted" doc:"connections seen and decrypted"`
	Failed      int `json:"failed" doc:"connections that their secrets did not open"`
	Without     int `json:"without" doc:"connections seen that there were no secrets of"`
	Malformed   int `json:"malformed_lines" doc:"lines of key logs that are not of the format"`
}

type captureDoc struct {
	File        string     `json:"file" doc:"as given on the command line"`
	Format      string     `json:"format"`
	Compression string     `json:"compression,omitempty"`
	Frames      uint64     `json:"frames"`
	Bytes       uint64     `json:"bytes" doc:"on the wire"`
	First       string     `json:"first,omitempty" format:"date-time"`
	Last        string     `json:"last,omitempty" format:"date-time"`
	SnapLen     uint32     `json:"snap_length,omitempty" doc:"bytes"`
	Cut         uint64     `json:"cut" doc:"frames shorter than they were on the wire"`
	Links       []string   `json:"links" doc:"link types"`
	Comments    []string   `json:"comments,omitempty"`
	Secrets     int        `json:"secrets,omitempty" doc:"blocks of decryption secrets"`
	Leaps       uint64     `json:"leaps,omitempty" doc:"frames dated more than a year before or after the one before them: times are not to be trusted"`
	LeapFrame   uint64     `json:"leap_frame,omitempty" doc:"number of the first of them"`
	Outages     uint64     `json:"outages,omitempty" doc:"live capture: times that the interface went down or away, and what passed meanwhile is not known"`
	Sum         uint64     `json:"captures,omitempty" doc:"so many captures together, where there are too many to tell of each"`
	Damage      *damageDoc `json:"damage,omitempty" doc:"why reading ended before the end of the file"`
}

type damageDoc struct {
	Frame  uint64 `json:"frame" doc:"last frame that was read whole, 0 for none"`
	Offset int64  `json:"offset" doc:"byte of the decompressed file where the damage begins"`
	Reason string `json:"reason"`
}

type countDoc struct {
	Flows uint64 `json:"flows"`
	Bytes uint64 `json:"bytes"`
}

type edgeDoc struct {
	ID           string              `json:"id"`
	Title        string              `json:"title,omitempty"`
	From         []string            `json:"from" doc:"components; empty where the document states no client"`
	FromUnstated bool                `json:"from_unstated,omitempty" doc:"the document does not name the client"`
	To           []string            `json:"to"`
	Over         []string            `json:"over" doc:"transports and server ports"`
	Optional     bool                `json:"optional,omitempty"`
	OurReading   string              `json:"our_reading,omitempty" doc:"what is our reading of the document rather than its word"`
	Source       string              `json:"source,omitempty" doc:"id of the document, and the place in it"`
	At           string              `json:"at" doc:"file and line of the diagram"`
	Status       string              `json:"status" doc:"seen, undecided, not_seen, blocked or violated"`
	Verdicts     map[string]countDoc `json:"verdicts"`
	Example      *exampleDoc         `json:"example,omitempty"`
	CouldShow    *bool               `json:"could_show,omitempty" doc:"of an edge not seen: whether these captures could have shown it"`
	Why          string              `json:"why,omitempty" doc:"why the edge is in this state"`

	Requires    []string  `json:"requires,omitempty" doc:"what must be seen to hold"`
	Names       []string  `json:"names,omitempty" doc:"server names that the edge is known by"`
	SourcePorts []string  `json:"source_ports,omitempty" doc:"source ports of clients beside the dynamic ones"`
	Pairs       []pairDoc `json:"pairs,omitempty" doc:"who used it, the first few hundred"`
	MorePairs   uint64    `json:"more_pairs_flows,omitempty" doc:"flows of pairs that are not listed"`
}

type pairDoc struct {
	Client      string              `json:"client" doc:"address"`
	Server      string              `json:"server" doc:"address"`
	Service     string              `json:"service" doc:"transport and server port"`
	ClientName  string              `json:"client_name,omitempty"`
	ServerName  string              `json:"server_name,omitempty"`
	Apps        []string            `json:"apps,omitempty" doc:"protocols that were recognised, the first few"`
	Flows       uint64              `json:"flows"`
	Bytes       uint64              `json:"bytes"`
	NotOpened   uint64              `json:"not_opened,omitempty" doc:"of the flows, connections of TCP that were refused or never answered"`
	Verdicts    map[string]countDoc `json:"verdicts"`
	SourcePorts []uint16            `json:"source_ports,omitempty" doc:"lowest and highest source port seen"`
	First       string              `json:"first,omitempty" format:"date-time"`
	Last        string              `json:"last,omitempty" format:"date-time"`
	File        string              `json:"file,omitempty"`
	Frame       uint64              `json:"frame,omitempty" doc:"where the first of its flows begins"`
}

type baselineDoc struct {
	File  string `json:"file"`
	Known int    `json:"known" doc:"findings and concerns left out"`
	Flows uint64 `json:"flows" doc:"their flows"`
}

type ambientDoc struct {
	Pairs     []pairDoc `json:"pairs" doc:"the first few hundred; of out_of_scope the first few thousand"`
	MorePairs uint64    `json:"more_pairs_flows,omitempty" doc:"flows of pairs that are not listed"`
}

type exampleDoc struct {
	Flow   string `json:"flow,omitempty" doc:"client > server"`
	Client string `json:"client,omitempty" doc:"address and port"`
	Server string `json:"server,omitempty" doc:"address and port"`
	File   string `json:"file,omitempty"`
	Frame  uint64 `json:"frame,omitempty"`
	Says   string `json:"says,omitempty" doc:"what the frame shows"`
}

type findingDoc struct {
	ID       string     `json:"id" doc:"the same in every audit that finds the same"`
	Verdict  string     `json:"verdict"`
	Severity string     `json:"severity" doc:"info, low, medium or high"`
	Reason   string     `json:"reason"`
	Edge     string     `json:"edge,omitempty"`
	EdgeAt   string     `json:"edge_at,omitempty" doc:"file and line of the diagram"`
	From     string     `json:"from" doc:"component, or address of a host without a role"`
	To       string     `json:"to"`
	Service  string     `json:"service,omitempty"`
	Flows    uint64     `json:"flows"`
	Bytes    uint64     `json:"bytes"`
	First    string     `json:"first,omitempty" format:"date-time"`
	Last     string     `json:"last,omitempty" format:"date-time"`
	Clients  []string   `json:"clients" doc:"addresses, the first few"`
	Servers  []string   `json:"servers" doc:"addresses, the first few"`
	Example  exampleDoc `json:"example"`
	Title    string     `json:"title" doc:"what was found"`
	Do       string     `json:"do,omitempty" doc:"what to do next"`

	IdleKilled float64 `json:"idle_killed_s,omitempty" doc:"of connections killed for being idle: the shortest silence that one was killed after, seconds"`
	IdleLived  float64 `json:"idle_lived_s,omitempty" doc:"the longest silence that one of the same edge survived, seconds: the timeout lies between the two"`

	Pairs     []pairDoc `json:"pairs,omitempty" doc:"who it was, where no edge has them: the first few hundred"`
	MorePairs uint64    `json:"more_pairs_flows,omitempty" doc:"flows of pairs that are not listed"`
}

type hostDoc struct {
	Address     string    `json:"address"`
	Name        string    `json:"name,omitempty" doc:"from the inventory, else from DNS, TLS or a certificate"`
	Names       []string  `json:"names,omitempty" doc:"every name known"`
	MAC         string    `json:"mac,omitempty"`
	Roles       []roleDoc `json:"roles" doc:"most certain first; empty for a host without a role"`
	Pinned      bool      `json:"pinned" doc:"the inventory says which roles it has"`
	SourcePorts []uint16  `json:"source_ports,omitempty" doc:"lowest and highest source port seen"`
	Sampled     int       `json:"source_ports_sampled,omitempty" doc:"how many ports that was learned from"`
	Flows       uint64    `json:"flows"`
	File        string    `json:"file,omitempty"`
	Frame       uint64    `json:"frame,omitempty" doc:"where it was first seen"`
}

type roleDoc struct {
	Role       string        `json:"role" doc:"id of a component"`
	Confidence float64       `json:"confidence" doc:"0 to 1"`
	Because    []evidenceDoc `json:"because" doc:"the strongest first"`
}

type evidenceDoc struct {
	Weight float64 `json:"weight"`
	Says   string  `json:"says"`
	File   string  `json:"file,omitempty"`
	Frame  uint64  `json:"frame,omitempty"`
}

func newAuditDoc(a *rules.Audit, o *Options) *AuditDoc {
	headline, sentence := answer(a)
	doc := &AuditDoc{
		Schema:   AuditSchema,
		Result:   ResultOf(a),
		Summary:  headline + ": " + sentence,
		Coverage: newCoverageDoc(&a.Coverage),
		Verdicts: verdictCounts(a.Verdicts[:]),
		Findings: findingDocs(a.Findings, o),
		Concerns: findingDocs(a.Concerns, o),
		Edges:    make([]edgeDoc, 0, len(a.Edges)),
		Hosts:    hostDocs(a.Hosts, o),
		Notes:    append([]string{}, a.Notes...),
	}
	if d := a.Diagram; d != nil {
		doc.Diagram = newDiagramDoc(d, a.Hosts)
	}
	for i := range a.Edges {
		doc.Edges = append(doc.Edges, newEdgeDoc(&a.Edges[i], o))
	}
	if len(a.Ambient) > 0 {
		doc.Ambient = &ambientDoc{pairDocs(a.Ambient, o), a.MoreAmbient}
	}
	if len(a.Others) > 0 {
		doc.Others = &ambientDoc{pairDocs(a.Others, o), a.MoreOthers}
	}
	if b := a.Baseline; b != nil {
		doc.Baseline = &baselineDoc{b.File, b.Known, b.Flows}
	}
	for i := range a.Choices {
		doc.Choices = append(doc.Choices, newChoiceDoc(&a.Choices[i], o))
	}
	return doc
}

func newDiagramDoc(d *rules.Diagram, hosts []rules.Host) *diagramDoc {
	doc := &diagramDoc{Name: d.Name, Title: d.Title, Parts: []partDoc{}, Sources: []sourceDoc{}, Components: []componentDoc{}}
	for _, p := range d.Parts {
		doc.Parts = append(doc.Parts, partDoc{p.File, p.Name})
	}
	for _, s := range d.Sources {
		doc.Sources = append(doc.Sources, sourceDoc{s.ID, s.Title, s.URL, s.Product, s.Date})
	}
	for _, c := range d.Components {
		n := 0
		for i := range hosts {
			for _, r := range hosts[i].Roles {
				if r.Component == c {
					n++
				}
			}
		}
		x := componentDoc{ID: c.ID, Title: c.Title, Hosts: n, External: c.External, Names: c.Names}
		if c.KindOf != nil {
			x.KindOf = c.KindOf.ID
		}
		doc.Components = append(doc.Components, x)
	}
	doc.DynamicPorts = texts(d.DynamicPorts)
	if len(d.InboundDynamic) > 0 {
		doc.InboundDynamic = &inboundDoc{ids(d.InboundDynamic), d.InboundReading, d.InboundSource}
	}
	return doc
}

func newCoverageDoc(c *rules.Coverage) coverageDoc {
	doc := coverageDoc{
		Captures:         make([]captureDoc, 0, len(c.Captures.Files)),
		First:            optionalTime(c.First),
		Last:             optionalTime(c.Last),
		Filtered:         c.Captures.Filtered,
		Received:         c.Captures.Received,
		Dropped:          c.Captures.Dropped,
		InterfaceDropped: c.Captures.InterfaceDropped,
		Packets:          c.Decoded.Packets,
		Stopped:          c.Stopped.String(),
		Outcomes:         map[string]uint64{},
		Copies:           c.Decoded.Copies,
		Partial:          c.Decoded.Partial,
		Flows:            c.Flows,
		Evicted:          c.Decoded.Evicted,
		Early:            c.Decoded.Early,
		Retired:          c.Decoded.Retired,
		OneSided:         c.OneSided,
		LateStart:        c.LateStart,
		Missed:           c.Missed,
		Lossy:            c.Lossy,
	}
	if k := c.Keys; k.Given {
		doc.Decryption = &decryptionDoc{k.Connections, k.Opened, k.Failed, k.Closed, k.Malformed}
	}
	for i := range c.Captures.Files {
		f := &c.Captures.Files[i]
		x := captureDoc{File: f.Name, Format: f.Format, Compression: f.Compression, Frames: f.Frames, Bytes: f.Bytes,
			First: optionalTime(f.First), Last: optionalTime(f.Last), SnapLen: f.SnapLen, Cut: f.Cut,
			Links: texts(f.Links), Comments: f.Comments, Secrets: f.Secrets, Leaps: f.Leaps, LeapFrame: f.LeapFrame, Outages: f.Outages, Sum: f.Sum}
		if d := f.Damage; d != nil {
			x.Damage = &damageDoc{d.Frame, d.Offset, d.Reason}
		}
		doc.Captures = append(doc.Captures, x)
	}
	for outcome, n := range c.Decoded.Outcomes {
		if n > 0 {
			doc.Outcomes[identifier(flows.Outcome(outcome).String())] = n
		}
	}
	if len(c.Decoded.Unknown) > 0 {
		doc.UnknownLinks = texts(c.Decoded.Unknown)
	}
	return doc
}

// texts is the elements of a list as they print.
func texts[T fmt.Stringer](list []T) []string {
	names := make([]string, 0, len(list))
	for _, x := range list {
		names = append(names, x.String())
	}
	return names
}

// identifier is a phrase as a name in documents: "not seen" is not_seen.
func identifier(phrase string) string { return strings.ReplaceAll(strings.ToLower(phrase), " ", "_") }

func optionalTime(ns int64) string {
	if ns == 0 {
		return ""
	}
	return timestamp(ns)
}

func verdictCounts(counts []rules.Count) map[string]countDoc {
	doc := map[string]countDoc{}
	for k, c := range counts {
		if c.Flows > 0 {
			doc[rules.Kind(k).String()] = countDoc{c.Flows, c.Bytes}
		}
	}
	return doc
}

func newEdgeDoc(e *rules.EdgeState, o *Options) edgeDoc {
	doc := edgeDoc{
		ID: e.Edge.ID, Title: e.Edge.Title, From: ids(e.Edge.From), FromUnstated: e.Edge.FromUnstated, To: ids(e.Edge.To),
		Over: serviceNames(e.Edge), Optional: e.Edge.Optional, OurReading: e.Edge.OurReading,
		Source: e.Edge.Source, At: edgeAt(e.Edge), Status: identifier(e.Status.String()),
		Verdicts: verdictCounts(e.Verdicts[:]), Why: e.Why,
		Names: e.Edge.Names, SourcePorts: texts(e.Edge.SourcePorts), Pairs: pairDocs(e.Pairs, o), MorePairs: e.MorePairs,
	}
	for i := range e.Edge.Require {
		doc.Requires = append(doc.Requires, e.Edge.Require[i].String())
	}
	if e.Edge.Where != "" {
		doc.Source += ", " + e.Edge.Where
	}
	if e.First.Number() > 0 || e.Example != "" {
		doc.Example = &exampleDoc{Flow: e.Example, File: o.file(e.First), Frame: e.First.Number()}
	}
	if e.Status == rules.EdgeNotSeen {
		doc.CouldShow = &e.CouldShow
	}
	return doc
}

func pairDocs(pairs []rules.HostPair, o *Options) []pairDoc {
	docs := make([]pairDoc, 0, len(pairs))
	for i := range pairs {
		p := &pairs[i]
		all := p.Count()
		doc := pairDoc{Client: p.Client.String(), Server: p.Server.String(), Service: p.Service(), ClientName: p.ClientName, ServerName: p.ServerName,
			Apps: p.Apps(), Flows: all.Flows, Bytes: all.Bytes, NotOpened: p.NotOpened,
			Verdicts: verdictCounts(p.Verdicts[:]), First: optionalTime(p.First), Last: optionalTime(p.Last)}
		if p.SourcePorts != [2]uint16{} {
			doc.SourcePorts = p.SourcePorts[:]
		}
		doc.File, doc.Frame = o.file(p.Frame), p.Frame.Number()
		docs = append(docs, doc)
	}
	return docs
}

// edgeAt is where the diagram states an edge.
func edgeAt(e *rules.Edge) string {
	return e.File + ":" + strconv.Itoa(e.Line)
}

func ids(list []*rules.Component) []string {
	names := make([]string, 0, len(list))
	for _, c := range list {
		names = append(names, c.ID)
	}
	return names
}

func findingDocs(list []rules.Finding, o *Options) []findingDoc {
	docs := make([]findingDoc, 0, len(list))
	for i := range list {
		f := &list[i]
		doc := findingDoc{
			ID: f.ID, Verdict: f.Kind.String(), Severity: f.Severity.String(), Reason: f.Reason.String(),
			From: f.From, To: f.To, Service: f.Service, Flows: f.Flows, Bytes: f.Bytes,
			First: optionalTime(f.First), Last: optionalTime(f.Last), Clients: texts(f.Clients), Servers: texts(f.Servers),
			Example: exampleDoc{Client: end(f.Example.Client), Server: end(f.Example.Server), Says: f.Example.Says},
			Title:   f.Title, Do: f.Do, IdleKilled: float64(f.IdleKilled) / 1e9, IdleLived: float64(f.IdleLived) / 1e9,
			Pairs: pairDocs(f.Pairs, o), MorePairs: f.MorePairs,
		}
		doc.Example.File, doc.Example.Frame = o.file(f.Example.Frame), f.Example.Frame.Number()
		if f.Edge != nil {
			doc.Edge, doc.EdgeAt = f.Edge.ID, edgeAt(f.Edge)
		}
		docs = append(docs, doc)
	}
	return docs
}

func hostDocs(hosts []rules.Host, o *Options) []hostDoc {
	docs := make([]hostDoc, 0, len(hosts))
	for i := range hosts {
		docs = append(docs, newHostDoc(&hosts[i], o))
	}
	return docs
}

func newHostDoc(h *rules.Host, o *Options) hostDoc {
	doc := hostDoc{Address: h.Addr.String(), Name: h.Name, Names: h.Names, Roles: make([]roleDoc, 0, len(h.Roles)),
		Pinned: h.Pinned, Sampled: h.Sampled, Flows: h.Flows}
	if h.MAC != (flows.MAC{}) {
		doc.MAC = string(appendMAC(nil, h.MAC))
	}
	if h.Sampled > 0 {
		doc.SourcePorts = h.Ports[:]
	}
	doc.File, doc.Frame = o.file(h.FirstSeen), h.FirstSeen.Number()
	for _, r := range h.Roles {
		role := roleDoc{Role: r.Component.ID, Confidence: r.Confidence, Because: make([]evidenceDoc, 0, len(r.Because))}
		for _, e := range r.Because {
			role.Because = append(role.Because, evidenceDoc{e.Weight, e.Says, o.file(e.Frame), e.Frame.Number()})
		}
		doc.Roles = append(doc.Roles, role)
	}
	return doc
}
