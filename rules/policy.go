package rules

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"slices"

	"wirechart/dissect"
	"wirechart/flows"
)

// Policy is a diagram made ready for judging flows, and what has been learned
// of the hosts: which host has which role. It belongs to one goroutine.
//
// Its use has two passes. Observe sees every flow; Settle then decides the
// roles; Judge answers for each flow, and may be followed by more of the same.
type Policy struct {
	diagram *Diagram
	inv     *Inventory

	edges  []edge
	edgeAt map[*Edge]*edge
	parts  []part // by the bit of the component

	// The services of the edges: by port for TCP and UDP, 1 + index in
	// services or 0; the others are few and searched.
	services []*service
	byPort   [2][1 << 16]uint16
	anyPort  []*service // known by what they speak, on whatever port
	portless []*service // ICMP and other protocols without ports

	// Where programs of ONC RPC listen, as port mappers said.
	mapped map[mappedPort][]string

	// One bit for each port of TCP and UDP that the diagram calls ambient.
	ambientPorts [2][1 << 10]uint64
	dynamic      []PortRange
	inbound      mask // components that may be called on dynamic ports
	external     mask // components outside the site
	servers      mask // those that edges which are not optional lead to
	// Empty for other diagrams than the one that these reasons speak of.
	onPort map[onPort]Reason

	seed     uint64
	nameSeed maphash.Seed

	hosts    index      // of order
	known    addressSet // hosts that have a role
	found    mask       // components that some host is
	own      ownNets
	hosted   bool                  // some server of the site has a public address
	order    []*host               // in the order in which they were met: what is printed never follows a map
	links    index                 // of lines
	lines    []*link               // likewise
	calledAt []int                 // how many hosts, by the number of the service; while roles are settled
	rooms    []*[hostsPerRoom]host // where those of order are
	slab     []link                // room for further links
	called   []call                // of the host that is being judged; reused, like left
	left     []call
	barren   int // links of connections that were only tried
	names    nameBook

	translated translated
	probes     probeTable

	sessions sessionBook
	full     Full
	ttlWords map[[2]uint8]string
	last     int64   // the latest end of a flow, packet time
	read     uint64  // TCP connections that carried payload
	holed    uint64  // of these, with bytes missing between those that are there
	partial  uint64  // of these, with bytes missing there or at the beginning
	inside   sight   // of flows to addresses of the site
	beyond   sight   // and to those outside, which may take another way
	spoken   uint64  // flows that hosts were met in
	trial    Verdict // of the edge that is being tried; reused
	settled  bool
}

// Full counts what was left out because a bound was reached.
type Full struct {
	Hosts, Links, Names uint64
}

// The bounds of what a Policy remembers. A site has far fewer; a flood of
// spoofed addresses meets them.
const (
	maxHosts  = 1 << 16
	maxLinks  = 1 << 17
	maxBarren = 1 << 13 // links of connections that were only tried
)

// mask is a set of components, one bit for each.
type mask uint64

func (m mask) has(bit int) bool { return m>>bit&1 != 0 }

// part is a component as the policy uses it.
type part struct {
	*Component

	// server says that an edge which is not optional leads to it: a host that
	// answers nowhere is not likely to be one.
	server bool
	// clients is how many edges begin at it: the fewer, the more it says when
	// a host does only what this one does.
	clients int
}

// edge is an Edge as the policy uses it.
type edge struct {
	*Edge
	index    int
	from, to mask
	outside  mask // the part of to that is external
	nearly   mask // from, and what those are special kinds of

	require, expect []requirement
	names           []string // of the servers outside; the component's where the edge lists none
	domains         []string // patterns of the component's own names
	strong          bool     // more is required than a protocol: seldom met by chance
	wantsTLS        bool
	wantsZMTP       bool
	wantsToken      bool
	telling         bool // it requires a protocol that is for one thing, unlike HTTP and TLS
}

// requirement is a Requirement whose name has been looked up.
type requirement struct {
	*Requirement
	app bool
	key dissect.Key
}

// service is one port of one transport, or one protocol without ports, and the
// edges that lead there.
type service struct {
	index  int
	proto  uint8
	port   uint16 // 0 for a service of any port, and for those without ports
	common bool   // many programs use this port: it says little by itself
	edges  []candidate
}

// candidate is an edge that leads to a service, where what its Service says
// beside the port holds as well.
type candidate struct {
	*edge
	where []requirement
	types []uint8 // ICMP
}

// maxEdgesPerService bounds the candidates of one service: their answers are
// kept as bits.
const maxEdgesPerService = 64

// Compile makes a Policy of a diagram and of what the user knows of the hosts.
// inv may be nil. It fails on a diagram that is too large: more than 64
// components, or more than 64 edges to one port.
func Compile(d *Diagram, inv *Inventory) (*Policy, error) {
	if len(d.Components) > 64 {
		return nil, fmt.Errorf("%s: %d components, at most 64 are possible", d.File, len(d.Components))
	}
	p := &Policy{
		diagram:  d,
		inv:      inv,
		edges:    make([]edge, len(d.Edges)),
		edgeAt:   make(map[*Edge]*edge, len(d.Edges)),
		parts:    make([]part, len(d.Components)),
		dynamic:  d.DynamicPorts,
		seed:     rand.Uint64(),
		nameSeed: maphash.MakeSeed(),
	}
	if d.Name == DefaultDiagram {
		p.onPort = portReasons()
	}
	p.names.init()
	if len(p.dynamic) == 0 {
		p.dynamic = []PortRange{{49152, 65535}}
	}
	p.compileComponents()
	for i, e := range d.Edges {
		x := &p.edges[i]
		p.compileEdge(x, e, i)
		for j := range e.Over {
			if err := p.addService(x, &e.Over[j]); err != nil {
				return nil, err
			}
		}
	}
	p.compileAmbient()
	return p, nil
}

func (p *Policy) compileComponents() {
	for i, c := range p.diagram.Components {
		p.parts[i] = part{Component: c}
		if c.External {
			p.external |= 1 << i
		}
		for _, x := range p.diagram.InboundDynamic {
			if c.Is(x) {
				p.inbound |= 1 << i
			}
		}
	}
}

// compileEdge makes x of e, the edge at an index, without its services.
func (p *Policy) compileEdge(x *edge, e *Edge, index int) {
	x.Edge, x.index, x.names = e, index, e.Names
	p.edgeAt[e] = x
	for bit, c := range p.diagram.Components {
		if e.AllowsFrom(c) {
			x.from |= 1 << bit
			p.parts[bit].clients++
		}
		if e.AllowsTo(c) {
			x.to |= 1 << bit
			if !e.Optional {
				p.parts[bit].server = true
				p.servers |= 1 << bit
			}
		}
	}
	x.outside, x.nearly = x.to&p.external, x.from
	for bit, c := range p.diagram.Components {
		for _, f := range e.From {
			if f.Is(c) {
				x.nearly |= 1 << bit
			}
		}
	}
	for _, c := range e.To {
		if c.External {
			x.domains = append(x.domains, c.Names...)
		}
	}
	if len(x.names) == 0 {
		x.names = x.domains
	}
	x.require, x.expect = compileRequirements(e.Require), compileRequirements(e.Expect)
	x.strong = len(x.require) > 1
	for _, r := range x.require {
		x.wantsTLS = x.wantsTLS || r.app && r.Accepts("tls")
		x.wantsZMTP = x.wantsZMTP || r.app && r.Accepts("zmtp")
		x.telling = x.telling || r.app && !r.Accepts("tls") && !r.Accepts("http")
	}
	for _, r := range x.expect {
		x.wantsToken = x.wantsToken || r.key == dissect.HTTPToken && !r.app
	}
}

// compileAmbient marks the ports of ambient services.
func (p *Policy) compileAmbient() {
	for _, a := range p.diagram.Ambient {
		for _, s := range a.Over {
			table := 0
			switch s.Proto {
			case flows.ProtoTCP:
			case flows.ProtoUDP:
				table = 1
			default:
				continue
			}
			if s.Ports == (PortRange{}) {
				s.Ports = PortRange{0, 65535}
			}
			for port := int(s.Ports.Low); port <= int(s.Ports.High); port++ {
				p.ambientPorts[table][port>>6] |= 1 << (port & 63)
			}
		}
	}
}

// edgeOf is an Edge as the policy uses it, nil for one of another diagram.
func (p *Policy) edgeOf(e *Edge) *edge { return p.edgeAt[e] }

func compileRequirements(list []Requirement) []requirement {
	var out []requirement
	for i := range list {
		r := requirement{Requirement: &list[i]}
		if r.Name == "app" {
			r.app = true
		} else if k, ok := dissect.KeyNamed(r.Name); ok {
			r.key = k
		} else {
			continue // Parse refuses names that are not facts; a diagram made in Go is taken as it is
		}
		out = append(out, r)
	}
	return out
}

// addService enters one service of an edge, port by port.
func (p *Policy) addService(e *edge, s *Service) error {
	c := candidate{edge: e, where: compileRequirements(s.Where), types: s.Types}
	if s.AnyPort() || s.Ports == (PortRange{}) {
		list := &p.portless
		if s.AnyPort() {
			list = &p.anyPort
		}
		for _, x := range *list {
			if x.proto == s.Proto && sameRequirements(x.edges[0].where, c.where) && slices.Equal(x.edges[0].types, c.types) {
				return x.add(c)
			}
		}
		x := p.newService(s.Proto, 0)
		*list = append(*list, x)
		return x.add(c)
	}
	var table *[1 << 16]uint16
	switch s.Proto {
	case flows.ProtoTCP:
		table = &p.byPort[0]
	case flows.ProtoUDP:
		table = &p.byPort[1]
	default:
		return fmt.Errorf("%s:%d: edge %s: protocol %d has no ports", e.File, e.Line, e.ID, s.Proto)
	}
	for port := int(s.Ports.Low); port <= int(s.Ports.High); port++ {
		if table[port] == 0 {
			if len(p.services) == 1<<16-1 {
				return fmt.Errorf("%s:%d: edge %s: too many ports in all edges together", e.File, e.Line, e.ID)
			}
			p.newService(s.Proto, uint16(port))
			table[port] = uint16(len(p.services))
		}
		if err := p.services[table[port]-1].add(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) newService(proto uint8, port uint16) *service {
	s := &service{index: len(p.services), proto: proto, port: port, common: port == 0 || commonPort(port)}
	p.services = append(p.services, s)
	return s
}

func (s *service) add(c candidate) error {
	if len(s.edges) == maxEdgesPerService {
		return fmt.Errorf("%s:%d: edge %s: more than %d edges lead to port %d", c.File, c.Line, c.ID, maxEdgesPerService, s.port)
	}
	s.edges = append(s.edges, c)
	return nil
}

func (s *service) leadsTo(bit int) bool {
	for i := range s.edges {
		if s.edges[i].to.has(bit) {
			return true
		}
	}
	return false
}

func sameRequirements(a, b []requirement) bool {
	return slices.EqualFunc(a, b, func(x, y requirement) bool {
		return x.Name == y.Name && x.Min == y.Min && slices.Equal(x.Any, y.Any)
	})
}

// commonPort says whether many programs listen on port, so that a host that
// answers there is not known by it.
func commonPort(port uint16) bool {
	if port < 1024 {
		return true
	}
	switch port {
	case 1433, 1521, 2049, 3000, 3128, 3260, 3306, 3389, 5000, 5432, 5900, 6379,
		8000, 8008, 8080, 8081, 8443, 8888, 9000, 9090, 9200:
		return true
	}
	return false
}

// service finds the documented service that a flow is to, or nil. A service
// known by what it speaks comes before one known by its port only.
func (p *Policy) service(f *flows.Flow) *service {
	var table *[1 << 16]uint16
	switch f.Proto {
	case flows.ProtoTCP:
		table = &p.byPort[0]
	case flows.ProtoUDP:
		table = &p.byPort[1]
	default:
		for _, s := range p.portless {
			if s.proto == f.Proto && s.edges[0].fits(f) {
				return s
			}
		}
		return nil
	}
	if i := table[f.Server.Port()]; i > 0 {
		return p.services[i-1]
	}
	if f.App != "" || len(p.mapped) > 0 {
		for _, s := range p.anyPort {
			if s.proto == f.Proto && p.fits(&s.edges[0], f) {
				return s
			}
		}
	}
	return nil
}

// fits says whether f is what the candidate's Service means, beside the port.
func (c *candidate) fits(f *flows.Flow) bool {
	for i := range c.where {
		if s, _, _ := c.where[i].check(f); s != Holds {
			return false
		}
	}
	return len(c.types) == 0 || slices.Contains(c.types, icmpType(f))
}

// icmpType is the type of the first message of an ICMP or ICMPv6 flow.
func icmpType(f *flows.Flow) uint8 {
	var n int
	for _, c := range []byte(f.Facts.Text(dissect.ICMPType)) {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return uint8(n)
}

// components lists the members of m in the order of the diagram.
func (p *Policy) components(m mask) []*Component {
	var list []*Component
	for ; m != 0; m &= m - 1 {
		list = append(list, p.parts[bits.TrailingZeros64(uint64(m))].Component)
	}
	return list
}

// isOutside says whether an address can be one of the world outside the site.
func isOutside(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a)
}

// sharedSpace is the address space of carrier-grade NAT (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
