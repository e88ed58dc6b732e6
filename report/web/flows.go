package web

import (
	"math"
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

// What the page holds of flows is bounded: a record of fixed size for each of
// maxKept, more are counted, and the different texts in them. In a live run it is
// the settled ones that are maxKept, and beside them as many as are at hand, twice
// while a look is under way.
const (
	maxKept  = 1 << 20
	maxTexts = 1 << 16 // different names and protocols; flows with others go without
	maxText  = 256     // bytes of one

	maxTogether = 1 << 14 // different lists of findings
)

// flow is what the page shows of one flow. It has no pointers, so that a million
// of them are nothing to the garbage collector.
type flow struct {
	id             uint64
	frame          pcaps.FrameID
	start          int64
	packets, bytes uint64
	client, server endpoint
	app, name      text
	findings       int32 // index of the findings and concerns that it was counted in, -1 for none
	edge           int16 // index of the edge, -1 for none
	reasons        [3]rules.Reason
	proto          uint8
	kind           rules.Kind
}

// endpoint is an address, those of IPv4 as IPv6 writes them, and a port.
type endpoint struct {
	addr [16]byte
	port uint16
}

func endpointOf(ap netip.AddrPort) endpoint { return endpoint{ap.Addr().As16(), ap.Port()} }

func (e *endpoint) ap() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.addr).Unmap(), e.port)
}

// text is the number of a string in a store's texts; 0 is the empty one.
type text uint32

// records are flows in the order in which they came. They lie in pieces of one
// size: growing copies none and leaves none over.
type records struct {
	pieces [][]flow
	n      int
}

const piece = 4096

func (r *records) add(f *flow) {
	if r.n == len(r.pieces)*piece {
		r.pieces = append(r.pieces, make([]flow, 0, piece))
	}
	p := &r.pieces[r.n/piece]
	*p = append(*p, *f)
	r.n++
}

// reset empties r and keeps its room.
func (r *records) reset() {
	for i := range r.pieces {
		r.pieces[i] = r.pieces[i][:0]
	}
	r.n = 0
}

func (r *records) at(i int) *flow { return &r.pieces[i/piece][i%piece] }

// store is the flows: those that are settled, those that the last look of a live
// run has judged anew, and those of the look that is under way.
type store struct {
	settled, shown, pending records
	fresh                   records // settled since the last look, which may hold them too
	unkept                  uint64
	findingsAt              map[string]int32
	findingsList            [][]string        // ids that occur together
	edges, shownEdges       map[string]uint64 // flows of edges, of settled and of shown ones
	edgeAt                  map[*rules.Edge]int16
	edgeList                []*rules.Edge
	textAt                  map[string]text
	texts                   []string
}

func newStore() store {
	return store{findingsAt: map[string]int32{}, edges: map[string]uint64{}, edgeAt: map[*rules.Edge]int16{}, textAt: map[string]text{"": 0}, texts: []string{""}}
}

func (s *store) len() int { return s.settled.n + s.shown.n }

// at is the i-th flow.
func (s *store) at(i int) *flow {
	if i < s.settled.n {
		return s.settled.at(i)
	}
	return s.shown.at(i - s.settled.n)
}

// text keeps a string, each once.
func (s *store) text(of string) text {
	if len(of) > maxText {
		of = of[:maxText]
	}
	n, ok := s.textAt[of]
	if !ok && len(s.texts) < maxTexts {
		of = strings.Clone(of) // or all that was learned of the flow would be kept with it
		n = text(len(s.texts))
		s.textAt[of] = n
		s.texts = append(s.texts, of)
	}
	return n
}

// edge is the edge of a flow, or nil.
func (s *store) edge(f *flow) *rules.Edge {
	if f.edge < 0 {
		return nil
	}
	return s.edgeList[f.edge]
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
	x := flow{id: f.ID, frame: f.Frame, start: f.Start, client: endpointOf(f.Client), server: endpointOf(f.Server), packets: f.Packets.Sum(), bytes: f.Bytes.Sum(),
		app: s.text(f.App), name: s.text(name(f)), findings: -1, edge: -1, proto: f.Proto, kind: v.Kind}
	if v.Edge != nil {
		n, ok := s.edgeAt[v.Edge]
		if !ok && len(s.edgeList) < math.MaxInt16 {
			n, ok = int16(len(s.edgeList)), true
			s.edgeAt[v.Edge] = n
			s.edgeList = append(s.edgeList, v.Edge)
		}
		if ok {
			x.edge = n
		}
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
	if len(findings) > 0 {
		x.findings = s.together(findings)
	}
	return x
}

// together is the index of a list of findings; of many different lists the later
// ones are cut to their first member.
func (s *store) together(findings []string) int32 {
	key := findings[0]
	if len(findings) > 1 {
		key = strings.Join(findings, " ")
	}
	n, ok := s.findingsAt[key]
	switch {
	case ok:
		return n
	case len(findings) > 1 && len(s.findingsList) >= maxTogether:
		return s.together(findings[:1])
	}
	n = int32(len(s.findingsList))
	s.findingsAt[key] = n
	s.findingsList = append(s.findingsList, slices.Clone(findings))
	return n
}

// Settled takes a flow that will not be judged again; findings are those that it
// was counted in. In a live run it counts from the next Show on: until then the
// look before may show it as well.
func (s *Server) Settled(f *flows.Flow, v *rules.Verdict, findings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.flows.make(f, v, findings)
	if s.o.Live {
		if s.flows.fresh.n < maxKept {
			s.flows.fresh.add(&x)
		} else {
			s.flows.unkept++
		}
		return
	}
	s.flows.settle(&x)
}

func (s *store) settle(f *flow) {
	if e := s.edge(f); e != nil {
		s.edges[e.ID]++
	}
	if s.settled.n >= maxKept {
		s.unkept++
		return
	}
	s.settled.add(f)
}

// Pending takes a flow of a look that is under way.
func (s *Server) Pending(f *flows.Flow, v *rules.Verdict, findings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flows.pending.n < maxKept {
		x := s.flows.make(f, v, findings)
		s.flows.pending.add(&x)
	}
}

// Drop forgets the look that is under way.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.pending.reset()
}

// Show takes an audit, with the flows that were pending for it; o is what the
// formats need to know. It is not changed after.
func (s *Server) Show(a *rules.Audit, o *report.Options, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.shown, s.flows.pending = s.flows.pending, s.flows.shown
	s.flows.pending.reset()
	for i := range s.flows.fresh.n {
		s.flows.settle(s.flows.fresh.at(i))
	}
	s.flows.fresh.reset()
	s.flows.shownEdges = map[string]uint64{}
	for i := range s.flows.shown.n {
		if e := s.flows.edge(s.flows.shown.at(i)); e != nil {
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
	host                     [16]byte
	hosted                   bool  // only flows of host
	from, to                 int64 // packet time, nanoseconds; 0 for open
	offset, limit            int
	plays                    map[[16]byte]bool // hosts of the component
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
		q.host, q.hosted = a.As16(), true
	}
	if q.component != "" && s.audit != nil {
		q.plays = map[[16]byte]bool{}
		for i := range s.audit.Hosts {
			h := &s.audit.Hosts[i]
			if slices.ContainsFunc(h.Roles, func(r rules.Role) bool { return r.Component.ID == q.component }) {
				q.plays[h.Addr.As16()] = true
			}
		}
	}
	return q
}

// takes says whether f is asked for. What is cheap comes first.
func (q *query) takes(s *store, f *flow) bool {
	switch {
	case q.edge != "" && (f.edge < 0 || s.edgeList[f.edge].ID != q.edge),
		q.verdict != "" && f.kind.String() != q.verdict,
		q.from != 0 && f.start < q.from,
		q.to != 0 && f.start > q.to,
		q.finding != "" && (f.findings < 0 || !slices.Contains(s.findingsList[f.findings], q.finding)),
		q.hosted && f.client.addr != q.host && f.server.addr != q.host,
		q.component != "" && !q.plays[f.client.addr] && !q.plays[f.server.addr]:
		return false
	}
	return q.words == "" || s.says(f, q.words)
}

// says whether the words, in small letters, are in what is shown of f.
func (s *store) says(f *flow, words string) bool {
	if strings.Contains(s.texts[f.app], words) || strings.Contains(f.kind.String(), words) || f.edge >= 0 && strings.Contains(s.edgeList[f.edge].ID, words) ||
		strings.Contains(strings.ToLower(s.texts[f.name]), words) {
		return true
	}
	for _, r := range f.reasons {
		if r != rules.NoReason && strings.Contains(r.String(), words) {
			return true
		}
	}
	var room [128]byte
	b := f.server.ap().AppendTo(append(f.client.ap().AppendTo(room[:0]), ' '))
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
	x := flowDoc{ID: f.id, Start: f.start / 1e6, Client: end(f.proto, f.client.ap()), Server: end(f.proto, f.server.ap()), Proto: flows.ProtoText(f.proto), App: report.Clean(s.flows.texts[f.app]),
		Name: report.Clean(s.flows.texts[f.name]), Packets: f.packets, Bytes: f.bytes, Verdict: f.kind.String(), Frame: f.frame.Number(), Reasons: []string{}, Says: []string{}}
	if e := s.flows.edge(f); e != nil {
		x.Edge = e.ID
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
