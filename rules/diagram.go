package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Diagram is the documentation as data: components, the edges between them,
// what else is allowed, and where each statement comes from. It does not
// change once it has been read.
type Diagram struct {
	Version    int
	Name       string // "acronis-cyber-protect"
	Title      string
	File       string // where it was read from, for messages and reports
	Sources    []Source
	Components []*Component
	Edges      []*Edge // in the order of the file
	Ambient    []*Infrastructure

	// DynamicPorts are the source ports that clients may use unless the
	// inventory knows better: ranges, inclusive.
	DynamicPorts []PortRange
	// InboundDynamic are the components that the document allows to accept
	// connections on dynamic ports without saying which.
	InboundDynamic []*Component
	InboundSource  string // where the document says so: id of the Source
	InboundReading string // our reading of that, "" when nothing is

	// Parts are the files that the Diagram was made of, the base first. The
	// names and titles above are those of the base.
	Parts []Part
}

// Part is one file of a Diagram.
type Part struct {
	File, Name, Title string
	Extends           string // the diagram that it adds to; "" for one that stands alone
	Text              string // as it was written
}

// Source is a document that statements of a diagram come from.
type Source struct {
	ID, Title, URL, Product, Date string // Date is when it was read
}

// Component is a named box of the diagram.
type Component struct {
	ID, Title string
	// Closed says that the document counts the component's ports: a port of
	// its own that no edge names is a finding.
	Closed bool
	// External components stand outside the site (a cloud): they are known by
	// names, not by being called.
	External bool
	Names    []string // name patterns (MatchName) that mark a host as this component: "*.acronis.com"
	// KindOf is the component that this one is a special kind of, or nil: the
	// edges that begin at the general one hold for it too.
	KindOf *Component
	Place  *Place // where it stands in a drawing; nil where the file does not say
	Source string
	File   string
	Line   int
}

// Place is where a component stands in a drawing, in columns from the left and
// rows from the top, halves and the like among them.
type Place struct{ Column, Row float64 }

// Is says whether c is other, or a special kind of it.
func (c *Component) Is(other *Component) bool {
	for range maxKinds {
		if c == other || c == nil {
			return c == other
		}
		c = c.KindOf
	}
	return false
}

// maxKinds is how many steps lead from a component to the most general one.
const maxKinds = 8

// Edge is one allowed arrow.
type Edge struct {
	ID       string
	Title    string
	From, To []*Component // From is empty where the document states no client and none is read into it
	// FromUnstated says that the document does not name the client: From is
	// empty, or our reading.
	FromUnstated bool
	Over         []Service
	Optional     bool

	// Require must be seen to hold, or the flow is indeterminate; Expect must
	// hold where it can be seen.
	Require, Expect []Requirement
	// Names are patterns (MatchName) of the server names that belong to this
	// edge; empty when it is not known by names. An edge to an external
	// component that lists none has those of the component.
	Names       []string
	SourcePorts []PortRange // beside the dynamic ports (NFS clients below 1024)
	OurReading  string      // what is our reading of the document rather than its word; "" when nothing is

	Source string // id of the Source
	Where  string // the place in it, in words; may be empty
	File   string
	Line   int // in File
}

// AllowsFrom says whether the edge begins at c, or at what c is a special kind
// of. An edge without clients allows nobody by this.
func (e *Edge) AllowsFrom(c *Component) bool { return anyIs(c, e.From) }

// AllowsTo says whether the edge leads to c, or to what c is a special kind of.
func (e *Edge) AllowsTo(c *Component) bool { return anyIs(c, e.To) }

func anyIs(c *Component, list []*Component) bool {
	for _, x := range list {
		if c.Is(x) {
			return true
		}
	}
	return false
}

// Service is a transport and its server ports.
type Service struct {
	Proto uint8     // IP protocol number
	Ports PortRange // zero for ICMP, and for protocols without ports
	Types []uint8   // ICMP and ICMPv6: the types meant; empty for any

	// Where picks flows by what they speak: the Service is only that port
	// where all of it was seen to hold. It is never empty on a Service of
	// every port, which it alone tells apart (an ONC RPC program that the port
	// mapper placed anywhere).
	Where []Requirement
}

// AnyPort says whether the service may be on any port, known by Where alone.
func (s *Service) AnyPort() bool { return s.Ports == anyPort }

var anyPort = PortRange{1, 65535}

// String is s as it stands in a diagram, without Where: "tcp/7780",
// "udp/7770-7800", "icmp/echo", "tcp/*".
func (s Service) String() string {
	name := "ip/" + strconv.Itoa(int(s.Proto))
	for _, p := range protocols {
		if p.number != s.Proto {
			continue
		}
		switch {
		case !p.ports && len(s.Types) == 0, s.AnyPort():
			return p.name + "/*"
		case s.Ports != PortRange{}:
			return p.name + "/" + s.Ports.String()
		case slices.Equal(s.Types, echo4), slices.Equal(s.Types, echo6):
			return p.name + "/echo"
		case len(s.Types) > 0:
			// A range of types, as the loader made it.
			return p.name + "/" + PortRange{uint16(s.Types[0]), uint16(s.Types[len(s.Types)-1])}.String()
		}
	}
	return name
}

// Requests and replies of echo (RFC 792, RFC 4443).
var echo4, echo6 = []uint8{8, 0}, []uint8{128, 129}

// PortRange is inclusive.
type PortRange struct{ Low, High uint16 }

// String is "443" or "49152-65535".
func (r PortRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(int(r.Low))
	}
	return strconv.Itoa(int(r.Low)) + "-" + strconv.Itoa(int(r.High))
}

// Contains says whether p lies in r.
func (r PortRange) Contains(p uint16) bool { return r.Low <= p && p <= r.High }

// Requirement is one statement about a flow's facts: a dotted name of the flow
// record ("app", "zmtp.mechanism", "tls.version") and the values that satisfy it.
type Requirement struct {
	Name string
	Any  []string // any of these, as MatchName reads them; a Flag is "true" or "false"
	Min  string   // or at least this (versions)
	Line int
}

// Accepts says whether one value seen satisfies r. A fact with several values
// (a List) satisfies r when each of them does.
func (r *Requirement) Accepts(value string) bool {
	if r.Min != "" && compareVersions(value, r.Min) >= 0 {
		return true
	}
	for _, pattern := range r.Any {
		if MatchName(pattern, value) {
			return true
		}
	}
	return false
}

// String is r as it stands in a diagram: "zmtp.mechanism: CURVE".
func (r *Requirement) String() string {
	switch {
	case r.Min != "":
		return r.Name + `: ">=` + r.Min + `"`
	case len(r.Any) == 1:
		return r.Name + ": " + r.Any[0]
	}
	return r.Name + ": [" + strings.Join(r.Any, ", ") + "]"
}

// Infrastructure is ordinary infrastructure that is not part of the diagram: one
// entry of the list "ambient". Flows of it have the verdict Ambient.
type Infrastructure struct {
	ID, Title string
	Over      []Service
	Apps      []string       // protocols of which it must be one where that was recognised; empty for any
	To        []netip.Prefix // servers it is allowed to; empty for any, unless ToSite
	ToSite    bool           // and to the site's own hosts, should their addresses be public ones
	File      string
	Line      int
}

// Text is the files of d as they were written, the base first, as documents of
// one YAML stream.
func (d *Diagram) Text() string {
	var b strings.Builder
	for i, p := range d.Parts {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// Revision is the SHA-256 of Text in hexadecimal: diagrams with one revision say
// the same.
func (d *Diagram) Revision() string {
	sum := sha256.Sum256([]byte(d.Text()))
	return hex.EncodeToString(sum[:])
}

// Component finds a component by its id, nil when there is none.
func (d *Diagram) Component(id string) *Component {
	for _, c := range d.Components {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Edge finds an edge by its id, nil when there is none.
func (d *Diagram) Edge(id string) *Edge {
	for _, e := range d.Edges {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// Listeners are the services with ports that the edges document, in the order
// of the diagram and without those of any port: what tells a flow's server
// from its client when nothing better does. The same service is listed once.
func (d *Diagram) Listeners() []Service {
	type port struct {
		proto uint8
		ports PortRange
	}
	seen := make(map[port]bool)
	var list []Service
	for _, e := range d.Edges {
		for _, s := range e.Over {
			p := port{s.Proto, s.Ports}
			if s.Ports == (PortRange{}) || s.AnyPort() || seen[p] {
				continue
			}
			seen[p] = true
			list = append(list, Service{Proto: s.Proto, Ports: s.Ports})
		}
	}
	return list
}

// Listens is a function that says whether a port is one of Listeners: how a
// flow table tells the server of a flow whose start was not captured.
func (d *Diagram) Listens() func(proto uint8, port uint16) bool {
	list := d.Listeners()
	return func(proto uint8, port uint16) bool {
		for i := range list {
			if list[i].Proto == proto && list[i].Ports.Contains(port) {
				return true
			}
		}
		return false
	}
}

// MatchName says whether name fits pattern: letters of either case, "*" for
// any run of characters, dots among them, and a final dot that does not count.
// The work grows with the product of the two lengths, never faster.
func MatchName(pattern, name string) bool {
	pattern, name = strings.TrimSuffix(pattern, "."), strings.TrimSuffix(name, ".")
	if i := strings.LastIndexByte(pattern, '*'); i <= 0 { // most have none, or begin with the only one
		end := len(name) - len(pattern[i+1:])
		return end >= 0 && (i == 0 || end == 0) && sameLetters(pattern[i+1:], name[end:])
	}
	p, n := 0, 0
	star, from := -1, 0 // the last star, and where in name its run ends for now
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && lower(pattern[p]) == lower(name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// sameLetters compares two strings of one length, letters of either case.
func sameLetters(a, b string) bool {
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// compareVersions orders dotted numbers: "1.3" behind "1.2", "1.10" behind
// "1.9". What is no dotted number (ssl3, an SMB1 dialect's name) is older than
// all that are. DTLS has the numbers of the TLS that it is made of.
func compareVersions(a, b string) int {
	a, b = strings.TrimPrefix(a, "dtls"), strings.TrimPrefix(b, "dtls")
	for a != "" || b != "" {
		x, restA := leadingNumber(a)
		y, restB := leadingNumber(b)
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
		if x < 0 {
			return 0
		}
		a, b = restA, restB
	}
	return 0
}

// isVersion says whether s is dotted numbers.
func isVersion(s string) bool {
	if s == "" || s[0] == '.' {
		return false
	}
	for s != "" {
		var n int
		if n, s = leadingNumber(s); n < 0 {
			return false
		}
	}
	return true
}

// leadingNumber reads the number before the first dot: 0 of nothing, -1 of
// what is no number below a million.
func leadingNumber(s string) (n int, rest string) {
	head, rest, _ := strings.Cut(s, ".")
	for i := range len(head) {
		if c := head[i]; c < '0' || c > '9' || i == 6 {
			return -1, ""
		}
		n = 10*n + int(head[i]-'0')
	}
	return n, rest
}
