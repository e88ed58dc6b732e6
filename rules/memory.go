package rules

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// MemorySchema is the schema of what a Memory is written as.
const MemorySchema = "wirechart/state/v1"

// Memory is what one run over interfaces leaves to the next one: which roles
// hosts had, when edges were used, what was found. It is written as JSON.
type Memory struct {
	Schema   string              `json:"schema"`
	Diagram  string              `json:"diagram"` // by whose components and edges it speaks
	Since    time.Time           `json:"since"`   // packet time at which the first run began
	Saved    time.Time           `json:"saved"`   // packet time up to which this is true
	Hosts    []RememberedHost    `json:"hosts"`
	Edges    []RememberedEdge    `json:"edges"`
	Findings []RememberedFinding `json:"findings"`
}

// RememberedHost is a host that had a role.
type RememberedHost struct {
	Address netip.Addr `json:"address"`
	Name    string     `json:"name,omitempty"`
	Roles   []string   `json:"roles"`
	Last    time.Time  `json:"last"` // when its traffic last said so
}

// RememberedEdge is an edge that was used.
type RememberedEdge struct {
	ID    string    `json:"id"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Flows uint64    `json:"flows"`
}

// RememberedFinding is something that was found.
type RememberedFinding struct {
	ID       string    `json:"id"`
	Verdict  string    `json:"verdict"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Flows    uint64    `json:"flows"`
}

// The bounds of a Memory; what was seen last is kept.
const (
	maxRememberedHosts    = 1 << 14
	maxRememberedFindings = 1 << 12
)

// ParseMemory reads what a Memory was written as. Everything that is not what
// it should be is an error: a state that is half understood would forget the
// rest when it is written again.
func ParseMemory(b []byte) (*Memory, error) {
	m := &Memory{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("cut off: the JSON document is not complete")
		}
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON document")
	}
	if m.Schema != MemorySchema {
		return nil, fmt.Errorf("schema %q, this program reads %s", m.Schema, MemorySchema)
	}
	for i := range m.Hosts {
		if !m.Hosts[i].Address.IsValid() {
			return nil, fmt.Errorf("host %d has no address", i+1)
		}
	}
	return m, nil
}

// Text is m as it is written.
func (m *Memory) Text() []byte {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		panic(err) // strings, numbers and times of four-digit years
	}
	return append(b, '\n')
}

// Remember lets hosts begin with the roles that they had in earlier runs.
// What their traffic says now comes before that. It is for a Policy that has
// observed nothing yet.
func (p *Policy) Remember(m *Memory) {
	for i := range m.Hosts {
		x := &m.Hosts[i]
		var roles mask
		for _, id := range x.Roles {
			for bit := range p.parts {
				if p.parts[bit].ID == id {
					roles |= 1 << bit
				}
			}
		}
		if roles == 0 {
			continue
		}
		if h := p.meetAt(x.Address, 0); h != nil {
			h.remembered = roles
		}
	}
}

// Recall adds to an audit what m knows beside: when edges were used before, and
// what was found before and was not found again.
func (m *Memory) Recall(a *Audit) {
	edges := map[string]*RememberedEdge{}
	for i := range m.Edges {
		edges[m.Edges[i].ID] = &m.Edges[i]
	}
	for i := range a.Edges {
		e := &a.Edges[i]
		x := edges[e.Edge.ID]
		if x == nil {
			continue
		}
		e.Earlier = x.Last.UnixNano()
		if e.Status == EdgeNotSeen {
			e.Why = fmt.Sprintf("not seen since %s; %s", day(x.Last), e.Why)
		}
	}
	found := map[string]*Finding{}
	for i := range a.Findings {
		found[a.Findings[i].ID] = &a.Findings[i]
	}
	var gone []string
	for i := range m.Findings {
		x := &m.Findings[i]
		if f := found[x.ID]; f != nil {
			f.First = min(f.First, x.First.UnixNano())
		} else {
			gone = append(gone, fmt.Sprintf("%s (%s, last %s)", strings.TrimSuffix(x.Title, "."), x.ID, day(x.Last)))
		}
	}
	if len(gone) > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("Found in earlier runs and not in this one: %s.", some(gone)))
	}
}

// day is a moment as notes tell it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// After is what there is to remember when a run that began with m has come to
// the audit a, at the packet time now. m may be empty.
func (m *Memory) After(a *Audit, now int64) *Memory {
	next := &Memory{Schema: MemorySchema, Diagram: a.Diagram.Name, Since: m.Since, Saved: utc(now),
		Hosts: m.hostsAfter(a, now), Edges: m.edgesAfter(a), Findings: m.findingsAfter(a)}
	if next.Since.IsZero() {
		next.Since = utc(a.Coverage.First)
	}
	return next
}

// utc is a packet time as it is written.
func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// hostsAfter are the hosts that have a role in a, and those of m that a does not
// have; where they are too many, those that were seen last.
func (m *Memory) hostsAfter(a *Audit, now int64) []RememberedHost {
	hosts := []RememberedHost{}
	old := map[netip.Addr]RememberedHost{}
	for _, h := range m.Hosts {
		old[h.Address] = h
	}
	for i := range a.Hosts {
		h := &a.Hosts[i]
		x := RememberedHost{Address: h.Addr, Name: h.Name, Last: utc(now)}
		for _, r := range h.Roles {
			if r.Remembered {
				x.Last = old[h.Addr].Last
			}
			x.Roles = append(x.Roles, r.Component.ID)
		}
		if h.Pinned || len(x.Roles) == 0 { // the inventory will say so again
			continue
		}
		slices.Sort(x.Roles)
		delete(old, h.Addr)
		hosts = append(hosts, x)
	}
	for _, h := range m.Hosts {
		if x, left := old[h.Address]; left {
			hosts = append(hosts, x)
		}
	}
	if len(hosts) > maxRememberedHosts {
		slices.SortStableFunc(hosts, func(a, b RememberedHost) int { return b.Last.Compare(a.Last) })
		hosts = hosts[:maxRememberedHosts]
	}
	slices.SortFunc(hosts, func(a, b RememberedHost) int { return a.Address.Compare(b.Address) })
	return hosts
}

// edgesAfter are the edges that were used, in runs before or in that of a.
func (m *Memory) edgesAfter(a *Audit) []RememberedEdge {
	known := map[string]RememberedEdge{}
	for _, e := range m.Edges {
		known[e.ID] = e
	}
	for i := range a.Edges {
		e := &a.Edges[i]
		if e.Last == 0 {
			continue
		}
		x := known[e.Edge.ID]
		x.ID = e.Edge.ID
		x.First, x.Last = stretched(x.First, x.Last, e.Since, e.Last)
		for _, c := range e.Verdicts {
			x.Flows += c.Flows
		}
		known[x.ID] = x
	}
	edges := []RememberedEdge{}
	for _, e := range known {
		edges = append(edges, e)
	}
	slices.SortFunc(edges, func(a, b RememberedEdge) int { return cmp.Compare(a.ID, b.ID) })
	return edges
}

// findingsAfter are the findings of runs before and of that of a, the latest first;
// where they are too many, the latest.
func (m *Memory) findingsAfter(a *Audit) []RememberedFinding {
	known := map[string]RememberedFinding{}
	for _, f := range m.Findings {
		known[f.ID] = f
	}
	for i := range a.Findings {
		f := &a.Findings[i]
		x := known[f.ID]
		x.ID, x.Verdict, x.Severity, x.Title = f.ID, f.Kind.String(), f.Severity.String(), f.Title
		x.First, x.Last = stretched(x.First, x.Last, f.First, f.Last)
		x.Flows += f.Flows
		known[x.ID] = x
	}
	findings := []RememberedFinding{}
	for _, f := range known {
		findings = append(findings, f)
	}
	slices.SortFunc(findings, func(a, b RememberedFinding) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.ID, b.ID))
	})
	return findings[:min(len(findings), maxRememberedFindings)]
}

// stretched is the time from first to last, with that from since to until, which
// are packet times. Both are zero where nothing is known yet.
func stretched(first, last time.Time, since, until int64) (time.Time, time.Time) {
	if first.IsZero() || utc(since).Before(first) {
		first = utc(since)
	}
	if utc(until).After(last) {
		last = utc(until)
	}
	return first, last
}
