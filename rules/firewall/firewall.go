// Package firewall makes firewall rules from an audit: the minimal set that lets
// the documented connections through between the hosts that were found, and
// nothing else. It also reads an existing ruleset, and says which documented
// connections it would block and what else it would let through.
//
// A Site is what an audit says, in terms of addresses and ports. NewPlan turns it
// into rules independent of any product's language; a format writes them.
//
// Names come from the wire and from files. Only their letters, digits and a few
// punctuation marks are written (word), so that none can end a comment and become
// a rule.
package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

// Site is what rules are made of.
type Site struct {
	Audit   string // where the audit was read from
	Summary string // its answer
	Diagram string
	Period  string

	Edges        []Edge
	Undocumented []Flow // what no edge allows
	Ambient      []Flow // ordinary infrastructure, which the diagram declares apart
	More         uint64 // flows of these that the audit does not list one by one

	DynamicPorts []rules.PortRange // source ports that clients may use; empty when the diagram does not say
	Hosts        []Host
}

// Host is an address of the site.
type Host struct {
	Addr  netip.Addr
	Name  string
	Roles []string
}

// Edge is one documented connection and who plays its ends.
type Edge struct {
	ID, Title   string
	Source      string // the document that states it
	At          string // file and line of the diagram
	Status      string
	Why         string // of an edge that was not seen
	Evidence    string // capture and frame that show it in use
	Flows       uint64
	Names       []string // server names that the document gives in place of addresses
	Clients     []netip.Prefix
	Servers     []netip.Prefix
	Services    []Service
	Unseen      []Service         // documented like Services, and not used although the edge was
	SourcePorts []rules.PortRange // beside the dynamic ones

	// AnySourcePort says that connections were judged documented whose source
	// ports are outside these ranges: hosts have ranges of their own.
	AnySourcePort bool
	Used          bool
	Note          string
}

// Service is what a firewall knows of a connection: the protocol, and the ports
// of the server or the types of ICMP.
type Service struct {
	Proto uint8
	Ports rules.PortRange // zero for protocols without; ICMP: a range of types
	Any   bool            // every port or type
}

func (s Service) String() string {
	name := protoName(s.Proto)
	switch {
	case isICMP(s.Proto) && s.Ports == echoOf(s.Proto) && !s.Any:
		return name + "/echo"
	case s.Any || !hasPorts(s.Proto) && !isICMP(s.Proto):
		return name
	}
	return name + "/" + s.Ports.String()
}

// Covers says whether all of other is part of s.
func (s Service) Covers(other Service) bool {
	return s.Proto == other.Proto && (s.Any || !other.Any && s.Ports.Low <= other.Ports.Low && other.Ports.High <= s.Ports.High)
}

// HasPorts says whether its protocol has ports.
func (s Service) HasPorts() bool { return hasPorts(s.Proto) }

func hasPorts(proto uint8) bool {
	return proto == flows.ProtoTCP || proto == flows.ProtoUDP || proto == flows.ProtoSCTP
}

func isICMP(proto uint8) bool { return proto == flows.ProtoICMP || proto == flows.ProtoICMPv6 }

// echoOf is the type of echo requests (RFC 792, RFC 4443 section 4.1).
func echoOf(proto uint8) rules.PortRange {
	if proto == flows.ProtoICMPv6 {
		return rules.PortRange{Low: 128, High: 128}
	}
	return rules.PortRange{Low: 8, High: 8}
}

func protoName(proto uint8) string { return flows.ProtoName(proto) }

// ParseService reads a service as audits write it: "tcp/7780", "udp/7000-7010",
// "icmp/echo", "ip/50". Of "tcp/*" it is a Service of Any.
func ParseService(s string) (Service, error) {
	name, rest, _ := strings.Cut(s, "/")
	var x Service
	switch name {
	case "tcp":
		x.Proto = flows.ProtoTCP
	case "udp":
		x.Proto = flows.ProtoUDP
	case "sctp":
		x.Proto = flows.ProtoSCTP
	case "icmp":
		x.Proto = flows.ProtoICMP
	case "icmpv6":
		x.Proto = flows.ProtoICMPv6
	case "ip":
		n, err := strconv.ParseUint(rest, 10, 8)
		if err != nil {
			return x, fmt.Errorf("no IP protocol: %q", s)
		}
		return Service{Proto: uint8(n), Any: true}, nil
	default:
		return x, fmt.Errorf("no service: %q", s)
	}
	switch {
	case rest == "" || rest == "*" || rest == "any":
		x.Any = true
		return x, nil
	case rest == "echo" && isICMP(x.Proto):
		x.Ports = echoOf(x.Proto)
		return x, nil
	}
	ports, err := ParsePorts(rest)
	x.Ports = ports
	return x, err
}

// ParsePorts reads "443" or "7000-7010".
func ParsePorts(s string) (rules.PortRange, error) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	a, err1 := strconv.ParseUint(low, 10, 16)
	b, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || a > b {
		return rules.PortRange{}, fmt.Errorf("no port and no range of ports: %q", s)
	}
	return rules.PortRange{Low: uint16(a), High: uint16(b)}, nil
}

// Flow is connections of one pair of hosts that no edge has.
type Flow struct {
	Client, Server netip.Addr
	Service        Service
	Flows          uint64
	SourcePort     uint16 // one of those seen
	Why            string // reason, and the id of the finding
	Evidence       string // capture and frame
}

// Options choose what becomes a rule.
type Options struct {
	Unused  bool // also edges that were not seen, where hosts of both ends are known
	Ambient bool // also ordinary infrastructure, between the hosts seen
	PerEdge bool // one rule for each edge; otherwise rules that say the same are one
}

// Plan is rules in no product's language.
type Plan struct {
	Site         *Site
	Rules        []Rule
	Unused       []Unused // documented and never used: not allowed
	Undocumented []Flow   // used and not documented: not allowed
	Ambient      []Flow   // ordinary infrastructure that is not allowed either
	Notes        []string
}

// Unused is an edge for which there is no rule.
type Unused struct {
	Edge  *Edge
	Rules []Rule // those that it would have; none where an end is not known
}

// Rule allows new connections of one protocol and family from some addresses to
// others. What answers them is allowed with it.
type Rule struct {
	Edges       []*Edge // why it is there; nil for ordinary infrastructure
	V6          bool
	Proto       uint8
	From, To    []netip.Prefix
	Ports       []rules.PortRange // of the server, or types of ICMP; empty for any
	SourcePorts []rules.PortRange // empty for any
}

// ID is the rule's edges in one word each: "agent-messages agent-rest".
func (r *Rule) ID() string {
	var ids []string
	for _, e := range r.Edges {
		ids = append(ids, word(e.ID))
	}
	return strings.Join(ids, " ")
}

// NewPlan makes rules of a site.
func NewPlan(s *Site, o Options) *Plan {
	p := &Plan{Site: s, Undocumented: s.Undocumented}
	for i := range s.Edges {
		e := &s.Edges[i]
		services := e.Services
		if o.Unused {
			services = slices.Concat(services, e.Unseen)
		}
		list := rulesOf(s, e, services)
		switch {
		case len(list) > 0 && (e.Used || o.Unused):
			p.Rules = append(p.Rules, list...)
		default:
			p.Unused = append(p.Unused, Unused{e, list})
		}
		if rest := e.unseen(); len(rest.Services) > 0 && !o.Unused {
			p.Unused = append(p.Unused, Unused{rest, rulesOf(s, rest, rest.Services)})
		}
		if len(list) > 0 && len(e.Names) > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is documented by names (%s): its addresses are those seen, and may change.", word(e.ID), words(e.Names)))
		}
		if e.Note != "" {
			p.Notes = append(p.Notes, word(e.Note))
		}
	}
	var seen []Rule
	if o.Ambient {
		ambient := &Edge{ID: "ambient", Title: "ordinary infrastructure", Status: "seen"}
		for i := range s.Ambient {
			if f := &s.Ambient[i]; !multicast(f.Server) {
				ambient.Evidence = cmp.Or(ambient.Evidence, f.Evidence)
				ambient.Flows += f.Flows
				seen = append(seen, pairRule(ambient, f))
			}
		}
	} else {
		p.Ambient = s.Ambient
	}
	if s.More > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("The audit does not list one by one %d flows of undocumented and ambient traffic: they are not below.", s.More))
	}
	if o.PerEdge {
		p.Rules = append(p.Rules, merge(seen)...) // one by one these are pairs of hosts
	} else {
		p.Rules = merge(append(p.Rules, seen...))
	}
	return p
}

// multicast says whether an address is no single host's: a router passes
// nothing on to it.
func multicast(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// pairRule is the rule for one pair of hosts.
func pairRule(e *Edge, f *Flow) Rule {
	r := Rule{Edges: []*Edge{e}, V6: f.Client.Is6(), Proto: f.Service.Proto,
		From: []netip.Prefix{single(f.Client)}, To: []netip.Prefix{single(f.Server)}}
	if !f.Service.Any && (hasPorts(f.Service.Proto) || isICMP(f.Service.Proto)) {
		r.Ports = []rules.PortRange{f.Service.Ports}
	}
	return r
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// unseen is e as to those of its services that were not used.
func (e *Edge) unseen() *Edge {
	rest := *e
	rest.Services, rest.Unseen, rest.Used = e.Unseen, nil, false
	rest.Status, rest.Flows, rest.Evidence = "", 0, ""
	names := make([]string, len(e.Unseen))
	for i, x := range e.Unseen {
		names[i] = x.String()
	}
	rest.Why = "the edge was used, and none of its connections went to " + strings.Join(names, ", ")
	return &rest
}

// rulesOf are the rules of one edge for services: one for each protocol and family.
func rulesOf(s *Site, e *Edge, services []Service) []Rule {
	var list []Rule
	var protos []uint8
	for _, x := range services {
		if !slices.Contains(protos, x.Proto) {
			protos = append(protos, x.Proto)
		}
	}
	for _, proto := range protos {
		for _, v6 := range []bool{false, true} {
			if proto == flows.ProtoICMP && v6 || proto == flows.ProtoICMPv6 && !v6 {
				continue
			}
			r := Rule{Edges: []*Edge{e}, V6: v6, Proto: proto, From: family(e.Clients, v6), To: family(e.Servers, v6)}
			if len(r.From) == 0 || len(r.To) == 0 || len(r.From) == 1 && r.From[0].IsSingleIP() && slices.Equal(r.From, r.To) {
				continue
			}
			for _, x := range services {
				if x.Proto == proto && !x.Any {
					r.Ports = append(r.Ports, x.Ports)
				}
			}
			r.Ports = joinRanges(r.Ports)
			if (proto == flows.ProtoTCP || proto == flows.ProtoUDP) && !e.AnySourcePort && len(s.DynamicPorts) > 0 {
				r.SourcePorts = joinRanges(slices.Concat(s.DynamicPorts, e.SourcePorts))
			}
			list = append(list, r)
		}
	}
	return list
}

// family is the prefixes of one family, aggregated.
func family(list []netip.Prefix, v6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		if p.Addr().Is6() == v6 {
			out = append(out, p)
		}
	}
	return aggregate(out)
}

// aggregate is the fewest prefixes that hold exactly the addresses of list.
func aggregate(list []netip.Prefix) []netip.Prefix {
	list = slices.Clone(list)
	for i, p := range list {
		list[i] = p.Masked()
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	var out []netip.Prefix
	for _, p := range list {
		if n := len(out); n > 0 && out[n-1].Bits() <= p.Bits() && out[n-1].Contains(p.Addr()) {
			continue
		}
		out = append(out, p)
		// Two halves are a whole, which may be a half itself.
		for n := len(out); n > 1; n = len(out) {
			a, b := out[n-2], out[n-1]
			if a.Bits() != b.Bits() || a.Bits() == 0 {
				break
			}
			whole := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
			if whole.Addr() != a.Addr() || !whole.Contains(b.Addr()) {
				break
			}
			out = append(out[:n-2], whole)
		}
	}
	return out
}

// joinRanges is the fewest ranges that hold exactly the ports of list.
func joinRanges(list []rules.PortRange) []rules.PortRange {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b rules.PortRange) int { return cmp.Or(cmp.Compare(a.Low, b.Low), cmp.Compare(a.High, b.High)) })
	var out []rules.PortRange
	for _, r := range list {
		if n := len(out); n > 0 && int(r.Low) <= int(out[n-1].High)+1 {
			out[n-1].High = max(out[n-1].High, r.High)
			continue
		}
		out = append(out, r)
	}
	return out
}

// merge makes of rules that differ in one respect one rule, and drops those that
// another contains. What the rules allow together stays the same.
func merge(list []Rule) []Rule {
	list = slices.Clone(list)
	for again := true; again; {
		again = false
		for i := 0; i < len(list); i++ {
			for j := i + 1; j < len(list); {
				if m, ok := joined(&list[i], &list[j]); ok {
					list[i] = m
					list = slices.Delete(list, j, j+1)
					again = true
				} else {
					j++
				}
			}
		}
	}
	return list
}

// joined is the rule that allows what a and b allow and nothing else, where one
// rule can.
func joined(a, b *Rule) (Rule, bool) {
	if a.V6 != b.V6 || a.Proto != b.Proto {
		return Rule{}, false
	}
	m := *a
	m.Edges = slices.Clone(a.Edges)
	for _, e := range b.Edges {
		if !slices.Contains(m.Edges, e) {
			m.Edges = append(m.Edges, e)
		}
	}
	if a.contains(b) {
		return m, true
	}
	if b.contains(a) {
		m.From, m.To, m.Ports, m.SourcePorts = b.From, b.To, b.Ports, b.SourcePorts
		return m, true
	}
	from, to := slices.Equal(a.From, b.From), slices.Equal(a.To, b.To)
	ports, sources := slices.Equal(a.Ports, b.Ports), slices.Equal(a.SourcePorts, b.SourcePorts)
	switch {
	case to && ports && sources:
		m.From = aggregate(slices.Concat(a.From, b.From))
	case from && ports && sources:
		m.To = aggregate(slices.Concat(a.To, b.To))
	case from && to && sources && len(a.Ports) > 0 && len(b.Ports) > 0:
		m.Ports = joinRanges(slices.Concat(a.Ports, b.Ports))
	case from && to && ports && len(a.SourcePorts) > 0 && len(b.SourcePorts) > 0:
		m.SourcePorts = joinRanges(slices.Concat(a.SourcePorts, b.SourcePorts))
	default:
		return m, false
	}
	return m, true
}

// contains says whether r allows all that other allows.
func (r *Rule) contains(other *Rule) bool {
	return r.V6 == other.V6 && r.Proto == other.Proto &&
		holdPrefixes(r.From, other.From) && holdPrefixes(r.To, other.To) &&
		holdRanges(r.Ports, other.Ports) && holdRanges(r.SourcePorts, other.SourcePorts)
}

func holdPrefixes(list, others []netip.Prefix) bool {
	for _, o := range others {
		if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Bits() <= o.Bits() && p.Contains(o.Addr()) }) {
			return false
		}
	}
	return true
}

func holdRanges(list, others []rules.PortRange) bool {
	if len(list) == 0 {
		return true
	}
	if len(others) == 0 {
		return false
	}
	for _, o := range others {
		if !slices.ContainsFunc(list, func(r rules.PortRange) bool { return r.Low <= o.Low && o.High <= r.High }) {
			return false
		}
	}
	return true
}

// allows says whether r allows a new connection.
func (r *Rule) allows(p *packet) bool {
	return r.V6 == p.v6() && r.Proto == p.proto &&
		holdPrefixes(r.From, []netip.Prefix{single(p.src)}) && holdPrefixes(r.To, []netip.Prefix{single(p.dst)}) &&
		(len(r.Ports) == 0 || inRanges(r.Ports, p.port)) && (len(r.SourcePorts) == 0 || inRanges(r.SourcePorts, p.sourcePort))
}

func inRanges(list []rules.PortRange, port uint16) bool {
	return slices.ContainsFunc(list, func(r rules.PortRange) bool { return r.Contains(port) })
}

// maxWord is how long a name may be in a comment.
const maxWord = 200

// word is s as it may stand in a comment of any rule file: letters, digits,
// spaces and marks that end nothing, begin nothing and quote nothing.
func word(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case b.Len() >= maxWord:
			return b.String() + "..."
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(" ._:/,+@()'*-", c):
			b.WriteRune(c)
		case c == ';':
			b.WriteByte(',')
		default:
			b.WriteByte('_')
		}
	}
	return strings.TrimSpace(b.String())
}

func words(list []string) string {
	out := make([]string, 0, len(list))
	for i, s := range list {
		if i == 8 {
			out = append(out, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		out = append(out, word(s))
	}
	return strings.Join(out, ", ")
}
