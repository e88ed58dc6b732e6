package report

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"

	"wirechart/rules"
)

// A drawing is a diagram as boxes and lines: the components, a line for each
// client and server that an edge joins, and, where there is an audit, what was
// seen of them: the hosts in the boxes, the state of each line, lines that no
// edge documents, and the unknown hosts beside the component that they touched.
// What was observed is drawn over what is documented, so that the two pictures
// of one drawing differ in nothing but what they show.
//
// drawing_layout.go gives boxes and lines their coordinates; drawing_svg.go,
// drawing_text.go and drawing_drawio.go write them.
type drawing struct {
	diagram  *rules.Diagram
	audit    *rules.Audit // nil where only the documentation is drawn
	boxes    []*box
	lines    []*line
	unshown  int // kinds of undocumented traffic that found no room
	width    int
	height   int
	channels []channel // left of each column, and right of the last one
	columns  []column2
}

// box is one component, or the clients that the document does not name.
type box struct {
	component *rules.Component // nil for the clients that are not named
	id        string
	title     []string // in lines
	notes     []string // under the title, of the documentation
	hosts     []string // under the title, of what was seen
	strangers []stranger
	place     rules.Place
	column    int
	x, y      int // the upper left corner
	w, h      int
	left      []*stub
	right     []*stub
}

// stranger is a host without a role that dealt with a component.
type stranger struct {
	name  string
	to    bool // the stranger called the component; otherwise it was called
	over  []string
	flows uint64
	kind  rules.Kind
}

// line is one client and one server that an edge joins, or that had traffic
// which none documents.
type line struct {
	edge     *rules.Edge      // nil for what no edge documents
	state    *rules.EdgeState // of the edge between these two components; nil where nothing was observed
	from, to *box
	over     []string // services of traffic that no edge documents
	kind     rules.Kind
	flows    uint64
	bytes    uint64
	finding  int // number of the finding that tells of it, from 1; 0 for none

	fromRight, toRight bool // the sides of the boxes that it is fastened to
	fromY, toY         int
	lanes              []lane
	points             []point
}

type point struct{ x, y int }

// maxExtra is how many lines are drawn of what no edge documents; maxStrangers
// how many unknown hosts are named beside one component, and maxBoxHosts how
// many hosts inside it.
const (
	maxExtra     = 24
	maxStrangers = 4
	maxBoxHosts  = 3
)

// newDrawing is the drawing of d, with what a has seen where a is not nil.
func newDrawing(d *rules.Diagram, a *rules.Audit) *drawing {
	g := &drawing{diagram: d, audit: a}
	at := map[*rules.Component]*box{}
	for _, c := range d.Components {
		b := &box{component: c, id: c.ID, title: wrapWords(c.Title, titleRoom, 3)}
		b.notes = append(b.notes, c.ID)
		switch {
		case c.KindOf != nil:
			b.notes = append(b.notes, "a kind of "+c.KindOf.Title)
		case c.External:
			b.notes = append(b.notes, "outside the site")
		case c.Closed:
			b.notes = append(b.notes, "no other ports")
		}
		for i := range b.notes {
			b.notes[i] = clip(Clean(b.notes[i]), noteRoom)
		}
		at[c] = b
		g.boxes = append(g.boxes, b)
	}
	var unnamed *box
	for i, e := range d.Edges {
		var state *rules.EdgeState
		if a != nil && i < len(a.Edges) && a.Edges[i].Edge == e {
			state = &a.Edges[i]
		}
		var clients []*box
		for _, c := range e.From {
			clients = append(clients, at[c])
		}
		if len(clients) == 0 {
			if unnamed == nil {
				unnamed = &box{id: "not-stated", title: []string{"Clients not stated"}}
				g.boxes = append(g.boxes, unnamed)
			}
			clients = []*box{unnamed}
		}
		for _, from := range clients {
			for _, to := range e.To {
				g.lines = append(g.lines, &line{edge: e, state: state, from: from, to: at[to]})
			}
		}
	}
	if a != nil {
		g.split()
		g.observe(at)
	}
	g.lay()
	return g
}

// split gives each line of an edge with several clients or servers the part
// that is its own, where the audit says who called whom.
func (g *drawing) split() {
	plays := map[netip.Addr]*rules.Host{}
	for i := range g.audit.Hosts {
		plays[g.audit.Hosts[i].Addr] = &g.audit.Hosts[i]
	}
	has := func(addr netip.Addr, c *rules.Component) bool {
		h := plays[addr]
		return h != nil && slices.ContainsFunc(h.Roles, func(r rules.Role) bool { return r.Component.Is(c) })
	}
	for _, l := range g.lines {
		if l.state == nil || len(l.edge.From)*len(l.edge.To) < 2 || l.state.Status == rules.EdgeNotSeen {
			continue
		}
		own := &rules.EdgeState{Edge: l.edge, Status: rules.EdgeNotSeen}
		if l.state.MorePairs > 0 || len(l.state.Pairs) == 0 {
			continue // not all is known
		}
		for i := range l.state.Pairs {
			p := &l.state.Pairs[i]
			if !has(p.Client, l.from.component) || !has(p.Server, l.to.component) {
				continue
			}
			for k, c := range p.Verdicts {
				own.Verdicts[k].Flows += c.Flows
				own.Verdicts[k].Bytes += c.Bytes
			}
		}
		own.Status = rules.StatusOf(own.Verdicts[:])
		l.state = own
	}
}

// observe adds what the audit has seen beside the edges.
func (g *drawing) observe(at map[*rules.Component]*box) {
	byID := map[string]*box{}
	for _, b := range at {
		byID[b.id] = b
		b.addHosts(g.audit)
	}
	type ends struct{ from, to string }
	extra := map[ends]*line{}
	known := map[ends]*stranger{}
	beside := map[*box][]*stranger{}
	for i := range g.audit.Findings {
		f := &g.audit.Findings[i]
		if f.Kind != rules.Undocumented && (f.Kind != rules.Indeterminate || f.Edge != nil) {
			continue
		}
		from, to := byID[f.From], byID[f.To]
		key := ends{f.From, f.To}
		switch {
		case from != nil && to != nil:
			l := extra[key]
			if l == nil {
				if len(extra) == maxExtra {
					g.unshown++
					continue
				}
				l = &line{from: from, to: to, kind: f.Kind, finding: i + 1}
				extra[key] = l
				g.lines = append(g.lines, l)
			}
			l.flows, l.bytes = l.flows+f.Flows, l.bytes+f.Bytes
			l.over = addService(l.over, f.Service)
		case from != nil || to != nil:
			b := cmp.Or(from, to)
			s := known[key]
			if s == nil {
				s = &stranger{name: g.hostName(f.From), to: to != nil, kind: f.Kind}
				if from != nil {
					s.name = g.hostName(f.To)
				}
				known[key] = s
				beside[b] = append(beside[b], s)
			}
			s.flows += f.Flows
			s.over = addService(s.over, f.Service)
		}
	}
	for b, list := range beside {
		b.addStrangers(list)
	}
}

// addHosts names the hosts that have the box's role, the first few.
func (b *box) addHosts(audit *rules.Audit) {
	n := 0
	for i := range audit.Hosts {
		h := &audit.Hosts[i]
		if !slices.ContainsFunc(h.Roles, func(r rules.Role) bool { return r.Component == b.component }) {
			continue
		}
		if n++; n <= maxBoxHosts {
			b.hosts = append(b.hosts, clip(Clean(shortHost(h)), noteRoom))
		}
	}
	if n > maxBoxHosts {
		b.hosts = append(b.hosts[:maxBoxHosts-1], "and "+number(uint64(n-maxBoxHosts+1))+" more hosts")
	}
	if n == 0 {
		b.hosts = []string{"no host found"}
	}
}

// addStrangers names the hosts without a role that had to do with the box, the
// first few.
func (b *box) addStrangers(list []*stranger) {
	for i, s := range list {
		if i == maxStrangers-1 && len(list) > maxStrangers {
			rest := stranger{name: "and " + number(uint64(len(list)-i)) + " more hosts", kind: s.kind}
			for _, s := range list[i:] {
				rest.flows += s.flows
			}
			b.strangers = append(b.strangers, rest)
			break
		}
		b.strangers = append(b.strangers, *s)
	}
}

func addService(list []string, service string) []string {
	if service != "" && !slices.Contains(list, service) {
		list = append(list, service)
	}
	return list
}

// shortHost is a host in a few letters: by its address, with the first label of
// its name behind where both have room.
func shortHost(h *rules.Host) string {
	s := h.Addr.String()
	name := h.Name
	if name == "" {
		return s
	}
	if cells(s)+1+cells(name) > noteRoom {
		if first, _, ok := strings.Cut(name, "."); ok && first != "" {
			name = first
		}
	}
	return s + " " + name
}

// hostName is the end of a finding that is no component: an address, or
// words.
func (g *drawing) hostName(end string) string {
	if addr, err := netip.ParseAddr(end); err == nil {
		for i := range g.audit.Hosts {
			if h := &g.audit.Hosts[i]; h.Addr == addr {
				return shortHost(h)
			}
		}
	}
	return end
}

// lineState is what there is to say of a line, in one word, which is also its
// class in SVG.
func (l *line) stateWord() string {
	switch {
	case l.edge == nil && l.kind == rules.Indeterminate:
		return rules.EdgeUndecided.String()
	case l.edge == nil:
		return "undocumented"
	case l.state == nil:
		return "documented"
	}
	return l.state.Status.String()
}

// sign is the sign of a line's state.
func (l *line) sign() string {
	switch {
	case l.edge == nil && l.kind == rules.Indeterminate:
		return "?"
	case l.edge == nil:
		return "!"
	case l.state == nil:
		return ""
	}
	sign, _ := edgeMark(l.state.Status)
	return sign
}

// documented is what stands at a line in the picture of the documentation: the
// service, and what must be spoken there in one word. The mechanism of ZMTP
// says that it is ZMTP, and mTLS is TLS: a label decides how wide a picture is,
// and so how small its letters are on paper.
func (l *line) documented() string {
	spoken := ""
	for _, r := range l.edge.Require {
		switch {
		case r.Name == "tls.client_cert":
			spoken = "mTLS"
		case len(r.Any) == 0 || spoken == "mTLS":
		case r.Name == "app" && spoken == "", r.Name == "zmtp.mechanism":
			spoken = r.Any[0]
		}
	}
	return Clean(strings.TrimSpace(fewServices(serviceNames(l.edge)) + " " + spoken))
}

// fewServices is the first service of a list and how many more there are.
func fewServices(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return list[0] + " +" + number(uint64(len(list)-1))
}

// observed is what stands at a line in the picture of what was seen.
func (l *line) observed() string {
	switch {
	case l.edge == nil:
		return Clean(l.sign() + " " + fewServices(l.over) + " ×" + number(l.flows))
	case l.state == nil:
		return l.documented()
	}
	s := l.sign() + " " + fewServices(serviceNames(l.edge))
	if n := edgeFlows(l.state); n > 0 {
		s += " ×" + number(n)
	}
	if n := l.hindered(); n > 0 {
		s += ", ⊘ " + number(n)
	}
	return Clean(s)
}

// hindered is how many flows of a line were blocked that is seen all the same,
// for others got through: the state alone would not show them.
func (l *line) hindered() uint64 {
	if l.state == nil {
		return 0
	}
	return hindered(l.state)
}

func hindered(e *rules.EdgeState) uint64 {
	if e.Status != rules.EdgeSeen {
		return 0
	}
	return e.Verdicts[rules.Blocked].Flows
}

// says is a line as a sentence, for those who do not see the picture.
func (l *line) says(observed bool) string {
	s := strings.Join(l.from.title, " ") + " to " + strings.Join(l.to.title, " ")
	if l.edge == nil {
		return Clean(s + ", " + strings.Join(l.over, " ") + ": " + l.stateWord() + ", " + count(l.flows, "flow"))
	}
	s += ", " + strings.Join(serviceNames(l.edge), " ") + " (" + l.edge.ID + ")"
	if observed && l.state != nil {
		s += ": " + l.stateWord()
		if n := edgeFlows(l.state); n > 0 {
			s += ", " + count(n, "flow")
		}
		if n := l.hindered(); n > 0 {
			s += ", " + number(n) + " of them blocked"
		}
	}
	return Clean(s)
}

// traffic is the bytes that a line carried.
func (l *line) traffic() (n uint64) {
	if l.state == nil {
		return l.bytes
	}
	for _, c := range l.state.Verdicts {
		n += c.Bytes
	}
	return n
}

// thickness is how wide a line is drawn: the wider, by the power of ten, the
// more it carried.
func (l *line) thickness() float64 {
	n := l.traffic()
	if n == 0 {
		return 1.5
	}
	return math.Round(10*min(1.5+0.6*math.Log10(1+float64(n)/300), 6)) / 10
}

// text is a stranger in a line of its own: "10.20.30.21 → tcp/9876 ×12" where it
// called the component, "→ 203.0.113.77 tcp/443 ×2" where it was called.
func (s *stranger) text() string {
	if len(s.over) == 0 {
		return Clean(s.name)
	}
	over := Clean(fewServices(s.over) + " ×" + number(s.flows))
	name, room := Clean(s.name), max(chipRoom-cells(over)-3, 12)
	if addr, _, ok := strings.Cut(name, " "); ok && cells(name) > room {
		name = addr // rather than the beginning of its name
	}
	name = clip(name, room)
	if s.to {
		return name + " → " + over
	}
	return "→ " + name + " " + over
}

// wrapWords breaks s into at most lines lines of width letters.
func wrapWords(s string, width, lines int) []string {
	list := wrap(Clean(s), width, 0)
	if len(list) > lines {
		list = list[:lines]
		list[lines-1] = clip(list[lines-1]+"  …", width)
	}
	return list
}
