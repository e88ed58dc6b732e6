package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"wirechart/rules"
)

// alike is findings of one kind for one reason that differ in one thing: the
// service, between the same roles, or the host at the end that has no role. One
// line tells them all. A site with a program that nobody documented has one for
// every port of it.
type alike struct {
	first int // number of the most serious one, from 1
	count int

	finding            *rules.Finding // the most serious one
	from, to, services []string
	flows              uint64

	what string // was found
	says string // what the first example shows
	same bool   // and the others show as well
}

// gather puts the findings behind the first from ones together, in the order of
// the most serious of each.
func gather(list []rules.Finding, from int) []*alike {
	type key struct {
		kind              rules.Kind
		reason            rules.Reason
		edge              *rules.Edge
		from, to, service string
		what              string
	}
	var all []*alike
	known := map[key]*alike{}
	for i := from; i < len(list); i++ {
		f := &list[i]
		what, says := told(f)
		k := key{kind: f.Kind, reason: f.Reason, edge: f.Edge, from: f.From, to: f.To, what: what}
		switch from, to := roleOf(f.From), roleOf(f.To); {
		case from == "":
			k.from, k.service = "", f.Service
		case to == "":
			k.to, k.service = "", f.Service
		}
		a := known[k]
		if a == nil {
			a = &alike{first: i + 1, finding: f, what: strings.TrimSuffix(what, "."), says: says, same: true}
			known[k] = a
			all = append(all, a)
		}
		a.same = a.same && says == a.says
		a.count++
		a.flows += f.Flows
		a.from, a.to, a.services = include(a.from, f.From), include(a.to, f.To), include(a.services, f.Service)
	}
	return all
}

// roleOf is the end of a finding, "" for a host without a role.
func roleOf(end string) string {
	if _, err := netip.ParseAddr(end); err == nil {
		return ""
	}
	return end
}

func include(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// String is all that the findings are.
func (a *alike) String() string {
	s := firstOf(a.from) + " → " + firstOf(a.to) + " " + firstOf(a.services) + ": " + a.what
	if a.says != "" {
		s += ": " + a.says
		if !a.same {
			s += ", and others"
		}
	}
	return s
}

// firstOf names one or two of a list, and says how many more there are.
func firstOf(list []string) string {
	switch n := len(list); {
	case n == 1:
		return list[0]
	case n <= 3:
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	default:
		return fmt.Sprintf("%s, %s and %d more", list[0], list[1], n-2)
	}
}
