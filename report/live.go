package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wirechart/rules"
)

// EventSchema is the schema of the lines that a run over interfaces writes
// beside flows.
const EventSchema = "wirechart/event/v1"

// Event is something that happened in a run over interfaces. One of the last
// members is set.
type Event struct {
	Time int64  // packet time, nanoseconds
	Kind string // one of those below

	Finding *rules.Finding // of EventFinding and EventWithdrawn
	Host    *rules.Host    // of EventRole
	Before  []string       // of EventRole: the roles that it had
	Text    string         // of the others, and of EventDrops
	Kernel  uint64         // of EventDrops: frames lost so far
	Iface   uint64
}

// The kinds of events.
const (
	EventFinding   = "finding"   // something was found that had not been found before
	EventWithdrawn = "withdrawn" // what was learned later explains a finding
	EventRole      = "role"      // a host was found to have other roles than before
	EventDrops     = "drops"     // frames were lost
	EventNote      = "note"      // something to know about the run
)

type eventDoc struct {
	Schema  string      `json:"schema"`
	Time    string      `json:"time" format:"date-time" doc:"packet time"`
	Event   string      `json:"event" doc:"finding, withdrawn, role, drops or note"`
	Finding *findingDoc `json:"finding,omitempty" doc:"of finding and withdrawn"`
	Address string      `json:"address,omitempty" doc:"of role: the host"`
	Name    string      `json:"name,omitempty" doc:"of role: what the host is called"`
	Before  []string    `json:"before,omitempty" doc:"of role: the components that it played"`
	Roles   []string    `json:"roles,omitempty" doc:"of role: the components that it plays"`
	Dropped uint64      `json:"dropped,omitempty" doc:"of drops: frames that the kernel lost so far, for lack of buffers"`
	Iface   uint64      `json:"interface_dropped,omitempty" doc:"of drops: frames that the interface lost so far"`
	Text    string      `json:"text,omitempty" doc:"of drops and note: what happened"`
}

// WriteEvent writes e as a line of JSON.
func WriteEvent(w io.Writer, e *Event, o *Options) error {
	doc := eventDoc{Schema: EventSchema, Time: optionalTime(e.Time), Event: e.Kind, Before: e.Before, Dropped: e.Kernel, Iface: e.Iface, Text: e.Text}
	if e.Finding != nil {
		doc.Finding = &findingDocs([]rules.Finding{*e.Finding}, o)[0]
	}
	if e.Host != nil {
		doc.Address, doc.Name, doc.Roles = e.Host.Addr.String(), e.Host.Name, RoleIDs(e.Host)
	}
	return writeLine(w, &doc)
}

// RoleIDs are the roles of a host, in the order of their names.
func RoleIDs(h *rules.Host) []string {
	var list []string
	for i := range h.Roles {
		list = append(list, h.Roles[i].Component.ID)
	}
	slices.Sort(list)
	return list
}

// EventLine is e as a line for people and their logs.
func EventLine(e *Event) string {
	s := fmt.Sprintf("%s  %-9s  ", time.Unix(0, e.Time).UTC().Format("2006-01-02T15:04:05.000Z"), e.Kind)
	switch {
	case e.Finding != nil:
		f := e.Finding
		what, says := told(f)
		if says != "" {
			what = strings.TrimSuffix(what, ".") + ": " + says
		}
		s += fmt.Sprintf("%s %s: %s → %s %s: %s (%s > %s; %s)", f.Severity, kindWord(f.Kind), f.From, f.To, f.Service,
			strings.TrimSuffix(what, "."), end(f.Example.Client), end(f.Example.Server), f.ID)
	case e.Host != nil:
		roles := strings.Join(RoleIDs(e.Host), ", ")
		if roles == "" {
			roles = "no role"
		}
		s += hostName(e.Host) + ": " + roles
		if len(e.Before) > 0 {
			s += " (was " + strings.Join(e.Before, ", ") + ")"
		}
	default:
		s += e.Text
	}
	return Clean(s)
}

// Screen is a run over interfaces at one moment, for people who look on.
type Screen struct {
	Interfaces string
	Audit      *rules.Audit // nil before the first one is made
	Running    time.Duration
	Now        int64         // packet time
	Silent     time.Duration // since the last packet
	Packets    uint64
	Flows      uint64
	AtHand     int     // flows that are not settled for good
	PerSecond  float64 // packets
	Bits       float64 // per second
	EdgeBytes  map[string]float64
	Kernel     uint64 // frames lost
	Iface      uint64
	Recent     []string // lines of the last events, the latest last
	Also       []string // what else is to be known: files that are written
}

// Draw makes the lines of a screen, at most height of them and none wider than
// the terminal.
func (s *Screen) Draw(height int, o *Options) []string {
	var lines []string
	width := o.width()
	put := func(st style, text string) { lines = append(lines, o.paint(st, clip(Clean(text), width))) }
	put(bold, fmt.Sprintf("wirechart live  %s  %s", s.Interfaces, s.Running.Round(time.Second)))
	put(plain, fmt.Sprintf("%s packets, %s/s, %sbit/s   %s flows, %s at hand",
		number(s.Packets), number(uint64(s.PerSecond)), strings.TrimSuffix(size(uint64(s.Bits)), "B"), number(s.Flows), number(uint64(s.AtHand))))
	if s.Kernel+s.Iface > 0 {
		put(yellow, fmt.Sprintf("! %s lost: %s for lack of buffers, %s by the interface", count(s.Kernel+s.Iface, "frame"), number(s.Kernel), number(s.Iface)))
	} else {
		put(dim, "no frame was lost")
	}
	for _, line := range s.Also {
		put(dim, line)
	}
	put(plain, "")
	a := s.Audit
	if a == nil {
		put(dim, "no flow has been judged yet")
		return lines[:min(len(lines), height)]
	}
	headline, sentence := answer(a)
	put(map[Result]style{Conforms: green, Findings: red, Undecided: yellow, Known: yellow}[ResultOf(a)], headline+": "+sentence)

	// Findings, edges and events share what room there is.
	room := height - len(lines) - 6
	events := min(len(s.Recent), max(room/4, 1))
	findings := min(len(a.Findings), max((room-events)/2, 1))
	edges := max(room-events-findings, 1)
	if len(a.Edges) < edges {
		findings = min(len(a.Findings), findings+edges-len(a.Edges))
	}
	if len(a.Findings) > 0 {
		put(plain, "")
		put(bold, fmt.Sprintf("Findings  %s", count(uint64(len(a.Findings)), "kind")))
		for i := range a.Findings[:findings] {
			f := &a.Findings[i]
			what, _ := told(f)
			put(kindStyle(f.Kind), fmt.Sprintf("%3d  %-13s %5s  %s → %s %s: %s", i+1, kindWord(f.Kind), number(f.Flows), f.From, f.To, f.Service, what))
		}
	}
	put(plain, "")
	put(bold, "Edges")
	list := byActivity(a.Edges)
	list = list[:min(edges, len(list))]
	ids, over := edgeWidths(list, width)
	for _, e := range list {
		mark, st := edgeMark(e.Status)
		says := e.Status.String()
		if e.Status == rules.EdgeNotSeen && e.Earlier != 0 {
			says = "not seen since " + minute(e.Earlier)
		} else if e.Status != rules.EdgeNotSeen {
			rate := s.EdgeBytes[e.Edge.ID]
			if s.Silent > silence {
				rate = 0
			}
			says = fmt.Sprintf("%s, %s/s, last %s", count(edgeFlows(e), "flow"), size(uint64(rate)), ago(s.Now+int64(s.Silent)-e.Last))
		}
		line := fmt.Sprintf("  %s %-*s ", mark, ids, clip(e.Edge.ID, ids))
		if over > 0 {
			line += fmt.Sprintf("%-*s ", over, clip(services(e.Edge), over))
		}
		put(st, line+says)
	}
	if len(s.Recent) > 0 {
		put(plain, "")
		for _, line := range s.Recent[len(s.Recent)-events:] {
			put(dim, line)
		}
	}
	return lines[:min(len(lines), height)]
}

// silence is how long no packet may come until a rate is nothing.
const silence = 2 * time.Second

// edgeWidths divides a line of the screen among the id of an edge, its services,
// and what is said of it, which takes saysWidth: where there is no room for
// the services they are left out, and over is 0.
func edgeWidths(list []*rules.EdgeState, width int) (ids, over int) {
	const saysWidth = 32
	for _, e := range list {
		ids = max(ids, cells(Clean(e.Edge.ID)))
		over = max(over, cells(services(e.Edge)))
	}
	ids, over = min(ids, 30), min(over, 24)
	if over = min(over, width-4-ids-2-saysWidth); over < 8 {
		over = 0
	}
	return ids, over
}

// byActivity sorts edges: those that were used, those that were not, and last the
// optional ones that were not.
func byActivity(states []rules.EdgeState) []*rules.EdgeState {
	list := make([]*rules.EdgeState, 0, len(states))
	for i := range states {
		list = append(list, &states[i])
	}
	rank := func(e *rules.EdgeState) int {
		switch {
		case e.Status == rules.EdgeNotSeen && e.Edge.Optional:
			return 2
		case e.Status == rules.EdgeNotSeen:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b *rules.EdgeState) int { return rank(a) - rank(b) })
	return list
}

// ago is how long something is past.
func ago(ns int64) string {
	if ns < int64(time.Second) {
		return "just now"
	}
	return span(ns/int64(time.Second)*int64(time.Second)) + " ago"
}
