package report

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"wirechart/rules"
)

// having goes through the hosts that have the role of c, in their order.
func having(hosts []rules.Host, c *rules.Component) iter.Seq2[*rules.Host, *rules.Role] {
	return func(yield func(*rules.Host, *rules.Role) bool) {
		for i := range hosts {
			h := &hosts[i]
			for k := range h.Roles {
				if r := &h.Roles[k]; r.Component == c && !yield(h, r) {
					return
				}
			}
		}
	}
}

func (p *page) components(a *rules.Audit, x extent) {
	var rows [][]cell
	var missing []string
	found := 0
	if a.Diagram == nil {
		return
	}
	roomy := p.o.width() >= 110
	columns := []column{{}, {wide: true}}
	if roomy {
		columns = []column{{}, {}, {right: true}, {wide: true}}
	}
	for _, c := range a.Diagram.Components {
		n := 0
		for h, r := range having(a.Hosts, c) {
			if n++; n > x.hosts {
				continue
			}
			name := c.ID
			if n > 1 {
				name = ""
			}
			row := []cell{{Clean(name), bold}, cellOf(clip(hostName(h), p.o.width()/3)), cellOf(percent(h, r)), cellOf(p.because(r, x.evidence))}
			if !roomy {
				row = []cell{row[0], cellOf(hostName(h) + " (" + percent(h, r) + "): " + p.because(r, x.evidence))}
			}
			rows = append(rows, row)
		}
		if n > x.hosts {
			row := make([]cell, len(columns))
			row[1] = cell{"and " + number(uint64(n-x.hosts)) + " more", dim}
			rows = append(rows, row)
		}
		if n == 0 {
			missing = append(missing, c.ID)
		} else {
			found++
		}
	}
	p.heading("Components", fmt.Sprintf("%d of %d found", found, len(a.Diagram.Components)))
	p.grid(2, columns, rows)
	if len(missing) > 0 {
		p.mark(2, "·", dim, "no host found for: "+strings.Join(missing, ", "))
	}
}

// writeHosts writes a table where the terminal has room for one, and a
// paragraph for each host where it has not.
func writeHosts(w io.Writer, hosts []rules.Host, o *Options, x extent) error {
	p := &page{w: w, o: o}
	roomy := o.width() >= 110
	var rows [][]cell
	without, shown := 0, 0
	for i := range hosts {
		h := &hosts[i]
		if len(h.Roles) == 0 {
			if without++; x == short {
				continue
			}
		}
		shown++
		if !roomy {
			p.host(h, x)
			continue
		}
		name := cellOf(hostName(h))
		if len(h.Roles) == 0 {
			rows = append(rows, []cell{name, {"no role", dim}, {}, {}})
		}
		for k := range h.Roles {
			r := &h.Roles[k]
			rows = append(rows, []cell{name, {Clean(r.Component.ID), bold}, cellOf(percent(h, r)), cellOf(p.because(r, x.evidence))})
			name = cell{}
		}
	}
	p.grid(0, []column{{head: "host"}, {head: "role"}, {head: "confidence", right: true}, {head: "because", wide: true}}, rows)
	if shown == 0 {
		p.print("no host has a role in the diagram\n")
	}
	if without > 0 && x == short {
		p.mark(0, "·", dim, count(uint64(without), "host")+" without a role: -o wide shows them")
	}
	return p.err
}

func (p *page) host(h *rules.Host, x extent) {
	// One line: what a name is continued by could pass for a line of ours.
	p.print(p.o.paint(bold, clip(hostName(h), p.o.width())) + "\n")
	if len(h.Roles) == 0 {
		p.para(2, dim, "no role")
	}
	for k := range h.Roles {
		r := &h.Roles[k]
		for i, line := range wrap(Clean(r.Component.ID+" ("+percent(h, r)+"): "+p.because(r, x.evidence)), p.o.width()-2, 2) {
			if i == 0 {
				line = p.o.paint(cyan, r.Component.ID) + strings.TrimPrefix(line, r.Component.ID)
			}
			p.print("  " + line + "\n")
		}
	}
}

// hostName is a host for people: its address, and its name where there is one.
func hostName(h *rules.Host) string {
	if h.Name == "" {
		return h.Addr.String()
	}
	return h.Addr.String() + " " + Clean(h.Name)
}

// percent is how sure a role is.
func percent(h *rules.Host, r *rules.Role) string {
	if h.Pinned {
		return "given"
	}
	// What was inferred is never certain, however it rounds.
	return strconv.Itoa(min(int(r.Confidence*100+0.5), 99)) + "%"
}

// because is the strongest evidence of a role, at most n pieces.
func (p *page) because(r *rules.Role, n int) string {
	var parts []string
	for i, e := range r.Because {
		if i == n {
			break
		}
		s := e.Says
		if at := p.o.place(e.Frame); at != "" {
			s += " (" + at + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

func componentIDs(list []*rules.Component) string {
	return strings.Join(ids(list), ", ")
}
