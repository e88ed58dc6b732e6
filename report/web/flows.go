package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// maxKept is how many flows the page holds; more are counted.
const maxKept = 1 << 20

// flow is what the page shows of one flow.
type flow struct {
	id             uint64
	frame          pcaps.FrameID
	start          int64
	client, server netip.AddrPort
	packets, bytes uint64
	edge           *rules.Edge
	app, name      string
	reasons        [3]rules.Reason
	finding        int32 // index of the finding's id, -1 for none
	proto          uint8
	kind           rules.Kind
}

// store is the flows: those that are settled, those that the last look of a live
// run has judged anew, and those of the look that is under way.
type store struct {
	settled, shown, pending []flow
	fresh                   []flow // settled since the last look, which may hold them too
	unkept                  uint64
	findings                map[string]int32
	findingIDs              []string
	edges, shownEdges       map[string]uint64 // flows of edges, of settled and of shown ones
	apps                    map[string]string // the names once
}

func (s *store) len() int { return len(s.settled) + len(s.shown) }

// at is the i-th flow.
func (s *store) at(i int) *flow {
	if i < len(s.settled) {
		return &s.settled[i]
	}
	return &s.shown[i-len(s.settled)]
}

// byEdge is how many flows there are of each edge.
func (s *store) byEdge() map[string]uint64 {
	m := make(map[string]uint64, len(s.edges))
	for id, n := range s.edges {
		m[id] = n
	}
	for id, n := range s.shownEdges {
		m[id] += n
	}
	return m
}

// name is what the client called the server.
func name(f *flows.Flow) string {
	if s := f.Facts.Text(dissect.TLSSNI); s != "" {
		return s
	}
	for _, fact := range f.Facts.All() {
		if fact.Key == dissect.HTTPHost || fact.Key == dissect.DNSQName {
			return fact.Str
		}
	}
	return ""
}

func (s *store) make(f *flows.Flow, v *rules.Verdict, findings []string) flow {
	x := flow{id: f.ID, frame: f.Frame, start: f.Start, client: f.Client, server: f.Server, packets: f.Packets.Sum(), bytes: f.Bytes.Sum(),
		edge: v.Edge, app: strings.Clone(f.App), name: strings.Clone(name(f)), finding: -1, proto: f.Proto, kind: v.Kind}
	if s.apps == nil {
		s.apps = map[string]string{}
	}
	if app, ok := s.apps[x.app]; ok {
		x.app = app
	} else if len(s.apps) < 256 {
		s.apps[x.app] = x.app
	}
	n := 0
	for _, list := range [][]rules.Because{v.Reasons, v.Concerns} {
		for i := range list {
			if n < len(x.reasons) {
				x.reasons[n] = list[i].Reason
				n++
			}
		}
	}
	if len(findings) > 0 && len(v.Reasons) > 0 {
		id, ok := s.findings[findings[0]]
		if !ok {
			id = int32(len(s.findingIDs))
			s.findings[findings[0]] = id
			s.findingIDs = append(s.findingIDs, findings[0])
		}
		x.finding = id
	}
	return x
}

// Settled takes a flow that will not be judged again; findings are those that it
// was counted in. In a live run it counts from the next Show on: until then the
// look before may show it as well.
func (s *Server) Settled(f *flows.Flow, v *rules.Verdict, findings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.flows.make(f, v, findings)
	if s.o.Live {
		s.flows.fresh = append(s.flows.fresh, x)
		return
	}
	s.flows.settle(&x)
}

func (s *store) settle(f *flow) {
	if f.edge != nil {
		if s.edges == nil {
			s.edges = map[string]uint64{}
		}
		s.edges[f.edge.ID]++
	}
	if len(s.settled) >= maxKept {
		s.unkept++
		return
	}
	s.settled = append(s.settled, *f)
}

// Pending takes a flow of a look that is under way.
func (s *Server) Pending(f *flows.Flow, v *rules.Verdict, findings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.flows.pending) < maxKept {
		s.flows.pending = append(s.flows.pending, s.flows.make(f, v, findings))
	}
}

// Drop forgets the look that is under way.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.pending = s.flows.pending[:0]
}

// Show takes an audit, with the flows that were pending for it; o is what the
// formats need to know. It is not changed after.
func (s *Server) Show(a *rules.Audit, o *report.Options, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.shown, s.flows.pending = s.flows.pending, s.flows.shown[:0]
	for i := range s.flows.fresh {
		s.flows.settle(&s.flows.fresh[i])
	}
	s.flows.fresh = s.flows.fresh[:0]
	s.flows.shownEdges = map[string]uint64{}
	for i := range s.flows.shown {
		if e := s.flows.shown[i].edge; e != nil {
			s.flows.shownEdges[e.ID]++
		}
	}
	s.audit, s.report, s.finished = a, o, finished
	s.version++
}

// Progress says how many packets have been read.
func (s *Server) Progress(packets uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packets = packets
}

// query is which flows are asked for.
type query struct {
	edge, component, finding string
	verdict, words           string
	host                     netip.Addr
	from, to                 int64 // packet time, nanoseconds; 0 for open
	offset, limit            int
	plays                    map[netip.Addr]bool // hosts of the component
}

const (
	pageSize = 100
	maxPage  = 1000
)

func (s *Server) query(r *http.Request) query {
	v := r.URL.Query()
	number := func(name string, least, most, otherwise int64) int64 {
		n, err := strconv.ParseInt(v.Get(name), 10, 64)
		if err != nil || n < least || n > most {
			return otherwise
		}
		return n
	}
	q := query{edge: v.Get("edge"), component: v.Get("component"), finding: v.Get("finding"), verdict: v.Get("verdict"), words: strings.ToLower(v.Get("q")),
		from: number("from", 0, 1<<43, 0) * 1e6, to: number("to", 0, 1<<43, 0) * 1e6,
		offset: int(number("offset", 0, maxKept*2, 0)), limit: int(number("limit", 1, maxPage, pageSize))}
	if a, err := netip.ParseAddr(v.Get("host")); err == nil {
		q.host = a
	}
	if q.component != "" && s.audit != nil {
		q.plays = map[netip.Addr]bool{}
		for i := range s.audit.Hosts {
			h := &s.audit.Hosts[i]
			if slices.ContainsFunc(h.Roles, func(r rules.Role) bool { return r.Component.ID == q.component }) {
				q.plays[h.Addr] = true
			}
		}
	}
	return q
}

// takes says whether f is asked for. What is cheap comes first.
func (q *query) takes(s *store, f *flow) bool {
	switch {
	case q.edge != "" && (f.edge == nil || f.edge.ID != q.edge),
		q.verdict != "" && f.kind.String() != q.verdict,
		q.from != 0 && f.start < q.from,
		q.to != 0 && f.start > q.to,
		q.finding != "" && (f.finding < 0 || s.findingIDs[f.finding] != q.finding),
		q.host.IsValid() && f.client.Addr() != q.host && f.server.Addr() != q.host,
		q.component != "" && !q.plays[f.client.Addr()] && !q.plays[f.server.Addr()]:
		return false
	}
	return q.words == "" || f.says(q.words)
}

// says whether the words, in small letters, are in what is shown of f.
func (f *flow) says(words string) bool {
	if strings.Contains(f.app, words) || strings.Contains(f.kind.String(), words) || f.edge != nil && strings.Contains(f.edge.ID, words) ||
		strings.Contains(strings.ToLower(f.name), words) {
		return true
	}
	for _, r := range f.reasons {
		if r != rules.NoReason && strings.Contains(r.String(), words) {
			return true
		}
	}
	var room [128]byte
	b := f.server.AppendTo(append(f.client.AppendTo(room[:0]), ' '))
	return strings.Contains(string(b), words)
}

// flowDoc is a flow as the page gets it.
type flowDoc struct {
	ID      uint64   `json:"id"`
	Start   int64    `json:"start_ms"`
	Client  string   `json:"client"`
	Server  string   `json:"server"`
	Proto   string   `json:"proto"`
	App     string   `json:"app"`
	Name    string   `json:"name"`
	Packets uint64   `json:"packets"`
	Bytes   uint64   `json:"bytes"`
	Verdict string   `json:"verdict"`
	Edge    string   `json:"edge"`
	Frame   uint64   `json:"frame"`
	File    string   `json:"file"`
	Reasons []string `json:"reasons"`
	Says    []string `json:"says"` // the reasons in words
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	q := s.query(r)
	doc := struct {
		Total  int       `json:"total"`
		Offset int       `json:"offset"`
		Flows  []flowDoc `json:"flows"`
	}{Offset: q.offset, Flows: []flowDoc{}}
	for i := range s.flows.len() {
		f := s.flows.at(i)
		if !q.takes(&s.flows, f) {
			continue
		}
		if doc.Total++; doc.Total > q.offset && len(doc.Flows) < q.limit {
			doc.Flows = append(doc.Flows, s.doc(f))
		}
	}
	s.mu.RUnlock()
	writeJSON(w, doc)
}

func end(proto uint8, ap netip.AddrPort) string {
	if proto == flows.ProtoTCP || proto == flows.ProtoUDP || proto == flows.ProtoSCTP {
		return ap.String()
	}
	return ap.Addr().String()
}

func (s *Server) doc(f *flow) flowDoc {
	x := flowDoc{ID: f.id, Start: f.start / 1e6, Client: end(f.proto, f.client), Server: end(f.proto, f.server), Proto: flows.ProtoName(f.proto), App: report.Clean(f.app),
		Name: report.Clean(f.name), Packets: f.packets, Bytes: f.bytes, Verdict: f.kind.String(), Frame: f.frame.Number(), Reasons: []string{}, Says: []string{}}
	if f.edge != nil {
		x.Edge = f.edge.ID
	}
	if o := s.report; o != nil && f.frame.File() < len(o.Files) {
		x.File = report.Clean(o.Files[f.frame.File()])
	}
	for _, r := range f.reasons {
		if r != rules.NoReason {
			x.Reasons, x.Says = append(x.Reasons, r.String()), append(x.Says, r.Explain())
		}
	}
	return x
}
