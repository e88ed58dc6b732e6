package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"wirechart/dissect"
	"wirechart/flows"
)

// protocols are the transports that a service can name, by IP protocol number.
var protocols = []struct {
	name   string
	number uint8
	ports  bool
}{
	{"tcp", flows.ProtoTCP, true},
	{"udp", flows.ProtoUDP, true},
	{"sctp", flows.ProtoSCTP, true},
	{"icmp", flows.ProtoICMP, false},
	{"icmpv6", flows.ProtoICMPv6, false},
}

// service reads "tcp/7780", "udp/7770-7800", "icmp/echo", "ip/50", or a
// mapping {port: tcp/*, where: {rpc.program: "100005/*"}}.
func (t *text) service(n *yaml.Node) (s Service, ok bool) {
	if n.Kind == yaml.MappingNode {
		var where []Requirement
		t.mapping(n, "a service",
			field{"port", true, func(n *yaml.Node) { s, ok = t.portOf(n) }},
			field{"where", true, func(n *yaml.Node) {
				if where = t.requirements(n, "where"); len(n.Content) == 0 {
					t.wrong(n, "where is empty")
				}
			}},
		)
		s.Where = where
		return s, ok
	}
	s, ok = t.portOf(n)
	if ok && s.AnyPort() {
		t.wrong(n, `service %q is every port; say which flows are meant: {port: %s, where: {...}}`, n.Value, n.Value)
	}
	return s, ok
}

// place reads where a component stands in a drawing: {column: 1, row: 0.5}.
func (t *text) place(n *yaml.Node, what string) *Place {
	p := &Place{}
	t.mapping(n, what,
		field{"column", true, func(n *yaml.Node) { p.Column = t.step(n, "column of "+what) }},
		field{"row", true, func(n *yaml.Node) { p.Row = t.step(n, "row of "+what) }},
	)
	return p
}

// maxStep is the highest column and row of a drawing.
const maxStep = 99

// step reads a column or a row.
func (t *text) step(n *yaml.Node, what string) float64 {
	word := t.scalar(n, what)
	v, err := strconv.ParseFloat(word, 64)
	if word != "" && (err != nil || !(v >= 0 && v <= maxStep)) {
		t.wrong(n, "%s must be a number from 0 to %d, not %s", what, maxStep, shape(n))
		return 0
	}
	return v
}

func (t *text) portOf(n *yaml.Node) (s Service, ok bool) {
	word := t.scalar(n, "a service")
	if word == "" {
		return s, false
	}
	proto, ports, found := strings.Cut(word, "/")
	if !found {
		t.wrong(n, "service %q must be a transport and a port, as in tcp/443", shorten(word))
		return s, false
	}
	if proto == "ip" {
		number, err := strconv.ParseUint(ports, 10, 8)
		if err != nil {
			t.wrong(n, "service %q: %q is no IP protocol number", shorten(word), shorten(ports))
		}
		return Service{Proto: uint8(number)}, err == nil
	}
	for _, p := range protocols {
		switch {
		case p.name != proto:
			continue
		case !p.ports:
			types, ok := t.icmpTypes(n, word, p.number, ports)
			return Service{Proto: p.number, Types: types}, ok
		case ports == "*":
			return Service{Proto: p.number, Ports: anyPort}, true
		}
		r, ok := t.portRange(n, ports)
		return Service{Proto: p.number, Ports: r}, ok
	}
	known := []string{"ip"}
	for _, p := range protocols {
		known = append(known, p.name)
	}
	t.unknown(n, fmt.Sprintf("service %q: unknown protocol %q", shorten(word), shorten(proto)), proto, known)
	return s, false
}

// icmpTypes reads "echo", "*", a type or a range of types.
func (t *text) icmpTypes(n *yaml.Node, word string, proto uint8, types string) ([]uint8, bool) {
	switch {
	case types == "*":
		return nil, true
	case types == "echo" && proto == flows.ProtoICMP:
		return echo4, true
	case types == "echo":
		return echo6, true
	}
	first, last, isRange := strings.Cut(types, "-")
	if !isRange {
		last = first
	}
	low, err1 := strconv.ParseUint(first, 10, 8)
	high, err2 := strconv.ParseUint(last, 10, 8)
	if err1 != nil || err2 != nil || low > high {
		t.wrong(n, "service %q: %q is no ICMP type (echo, *, a number or a range up to 255)", shorten(word), shorten(types))
		return nil, false
	}
	var list []uint8
	for v := low; v <= high; v++ {
		list = append(list, uint8(v))
	}
	return list, true
}

// ports reads a port, a range of ports, or a list of them.
func (t *text) ports(n *yaml.Node, what string) (list []PortRange) {
	t.oneOrMore(n, what, func(n *yaml.Node) {
		if s := t.scalar(n, what); s != "" {
			if r, ok := t.portRange(n, s); ok {
				list = append(list, r)
			}
		}
	})
	return list
}

// portRange reads "443" or "49152-65535".
func (t *text) portRange(n *yaml.Node, s string) (PortRange, bool) {
	first, last, isRange := strings.Cut(s, "-")
	low, ok := t.port(n, first)
	high := low
	if ok && isRange {
		high, ok = t.port(n, last)
	}
	if !ok {
		return PortRange{}, false
	}
	if low > high {
		t.wrong(n, "port range %q ends before it begins", shorten(s))
		return PortRange{}, false
	}
	return PortRange{low, high}, true
}

func (t *text) port(n *yaml.Node, s string) (uint16, bool) {
	v, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil || v == 0 {
		t.wrong(n, "%q is no port (1 to 65535)", shorten(s))
		return 0, false
	}
	return uint16(v), true
}

// names reads patterns of host names.
func (t *text) names(n *yaml.Node, what string) (list []string) {
	t.oneOrMore(n, what, func(n *yaml.Node) {
		if s := t.pattern(n, what); s != "" {
			list = append(list, s)
		}
	})
	return list
}

func (t *text) pattern(n *yaml.Node, what string) string {
	s := t.scalar(n, what)
	some := false
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			some = true
		case !strings.ContainsRune("-_.*", c):
			t.wrong(n, "%s %q: %q cannot be in a host name", what, shorten(s), c)
			return ""
		}
	}
	if s != "" && !some {
		t.wrong(n, "%s %q would match every name", what, shorten(s))
		return ""
	}
	return s
}

// requirements reads a mapping of knownFact names to what they must be.
func (t *text) requirements(n *yaml.Node, what string) (list []Requirement) {
	if n.Kind != yaml.MappingNode {
		t.wrong(n, "%s must be names of facts with values, not %s", what, shape(n))
		return nil
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if line := lines[key.Value]; line > 0 {
			t.wrong(key, "%s names %q already on line %d", what, shorten(key.Value), line)
			continue
		}
		lines[key.Value] = key.Line
		if r, ok := t.requirement(key, value, what); ok {
			list = append(list, r)
		}
	}
	return list
}

func (t *text) requirement(key, value *yaml.Node, what string) (r Requirement, ok bool) {
	f, ok := factNamed(key.Value)
	if !ok {
		t.unknown(key, fmt.Sprintf("unknown fact %q in %s", shorten(key.Value), what), key.Value, factNames())
		return r, false
	}
	if f.kind == dissect.Float || f.kind == dissect.Pair {
		t.wrong(key, "%s cannot be required: it is a measurement", f.name)
		return r, false
	}
	before := len(t.mistakes) + t.more
	r = Requirement{Name: f.name, Line: key.Line}
	t.oneOrMore(value, f.name, func(n *yaml.Node) {
		s := t.scalar(n, f.name)
		least, isMin := strings.CutPrefix(s, ">=")
		switch {
		case s == "":
		case isMin && !f.ordered:
			t.wrong(n, "%s: %q: only versions and numbers have a least value", f.name, shorten(s))
		case isMin && value.Kind == yaml.SequenceNode:
			t.wrong(n, "%s: %q cannot be one of several values", f.name, shorten(s))
		case isMin:
			if r.Min = strings.TrimSpace(least); !isVersion(r.Min) {
				t.wrong(n, "%s: %q is no version to begin at, as in >=1.2", f.name, shorten(s))
			} else {
				t.factValue(n, f, r.Min)
			}
		default:
			t.factValue(n, f, s)
			r.Any = append(r.Any, s)
		}
	})
	return r, len(t.mistakes)+t.more == before
}

// factValue checks one value against what the fact can be.
func (t *text) factValue(n *yaml.Node, f knownFact, s string) {
	switch {
	case f.kind == dissect.Int || f.kind == dissect.Ints:
		if _, err := strconv.ParseUint(s, 10, 63); err != nil {
			t.wrong(n, "%s: %q is no number", f.name, shorten(s))
		}
	case f.name == dissect.RPCProgram.String() && !strings.Contains(s, "/"):
		t.wrong(n, "%s: %q has no version; %[2]s/* is every version", f.name, shorten(s))
	case f.values != nil && !slices.Contains(f.values, s):
		message := fmt.Sprintf("%s cannot be %q", f.name, shorten(s))
		if f.name == appFact && Nearest(s, f.values) == "" {
			message += ": no such protocol is recognised; leave app out to allow any"
		}
		t.unknown(n, message, s, f.values)
	}
}

// knownFact is what a requirement can speak of.
type knownFact struct {
	name    string
	kind    dissect.Kind
	values  []string // all there are; nil when that is not a closed list
	ordered bool     // has a least value: a version or a number
}

// appFact is the one name in a requirement that no parser records: the
// protocol itself.
const appFact = "app"

func factNamed(name string) (f knownFact, ok bool) {
	if name == appFact {
		return knownFact{name: name, values: dissect.Names()}, true
	}
	k, ok := dissect.KeyNamed(name)
	if !ok {
		return f, false
	}
	f = knownFact{name: name, kind: k.Info().Kind}
	f.values, f.ordered = k.Values()
	switch f.kind {
	case dissect.Flag:
		f.values = []string{"true", "false"}
	case dissect.Int, dissect.Ints:
		f.ordered = true
	}
	return f, true
}

func factNames() []string {
	names := []string{appFact}
	for _, k := range dissect.Keys() {
		names = append(names, k.Name)
	}
	return names
}
