package rules

import "net/netip"

// Diagram is the documentation as data: components, the edges between them,
// what else is allowed, and where each statement comes from.
type Diagram struct {
	Version    int
	Name       string // "acronis-cyber-protect"
	Title      string
	File       string // where it was read from, for messages and reports
	Sources    []Source
	Components []*Component
	Edges      []*Edge // in the order of the file
	Ambient    []*Ambient

	// DynamicPorts are the source ports that clients may use unless the
	// inventory knows better: ranges, inclusive.
	DynamicPorts []PortRange
	// InboundDynamic are the components that the document allows to accept
	// connections on dynamic ports without saying which.
	InboundDynamic []*Component
}

// Source is a document that statements of a diagram come from.
type Source struct {
	ID, Title, URL, Product, Date string
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
	Names    []string // name patterns that mark a host as this component: "*.acronis.com"
	Source   string
	Line     int
}

// Edge is one allowed arrow.
type Edge struct {
	ID       string
	Title    string
	From, To []*Component // From is empty where the document states no client and none is read into it
	Over     []Service
	Optional bool

	// Require must be seen to hold, or the flow is indeterminate; Expect must
	// hold where it can be seen.
	Require, Expect []Requirement
	Names           []string    // server names that belong to this edge; empty when it is not known by names
	SourcePorts     []PortRange // instead of the diagram's dynamic ports (NFS clients below 1024)
	OurReading      string      // what is our reading of the document rather than its word; "" when nothing is

	Source string // id of the Source, and where in it
	Line   int    // in Diagram.File
}

// Service is a transport and its server ports.
type Service struct {
	Proto uint8     // IP protocol number
	Ports PortRange // zero for ICMP
}

// PortRange is inclusive.
type PortRange struct{ Low, High uint16 }

// Contains says whether p lies in r.
func (r PortRange) Contains(p uint16) bool { return r.Low <= p && p <= r.High }

// Requirement is one statement about a flow's facts: a dotted name of the flow
// record ("app", "zmtp.mechanism", "tls.version") and the values that satisfy it.
type Requirement struct {
	Name string
	Any  []string // any of these
	Min  string   // or at least this (versions)
	Line int
}

// Ambient is ordinary infrastructure that is not part of the diagram.
type Ambient struct {
	ID, Title string
	Over      []Service
	App       string         // the protocol that it must be where that was recognised; "" for any
	To        []netip.Prefix // servers it is allowed to; empty for any
	Line      int
}
