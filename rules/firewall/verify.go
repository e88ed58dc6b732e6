package firewall

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

// VerifySchema is the schema that a verification names.
const VerifySchema = "wirechart/verify/v1"

// Verification is what a ruleset does to the documented connections and to
// others.
type Verification struct {
	Schema   string    `json:"schema"`
	Audit    string    `json:"audit"`
	Ruleset  string    `json:"ruleset"`
	Tried    int       `json:"tried" doc:"connections that the ruleset was asked about"`
	Problems []Problem `json:"problems"`
}

// Problem is one thing that a ruleset does wrong. Connections that meet the same
// rule in the same way are one Problem, those that were seen if they are of the
// same finding.
type Problem struct {
	Kind     string   `json:"kind" doc:"blocks: a documented connection; blocks_answers: what answers one; allows: a connection that is not documented; unclear: the ruleset depends on what an audit does not know"`
	Edge     string   `json:"edge,omitempty" doc:"the documented connection"`
	Rule     string   `json:"rule" doc:"the rule that decides, by the handle that nft -a list ruleset prints, or the chain's policy"`
	Says     string   `json:"says"`
	Examples []string `json:"examples" doc:"the first few connections"`
	Count    int      `json:"count" doc:"connections of this kind"`
	Seen     bool     `json:"seen" doc:"such traffic is in the audit; otherwise it was tried out"`
}

// packet is the first packet of a connection, or the first that answers it.
type packet struct {
	src, dst         netip.Addr
	proto            uint8
	port, sourcePort uint16 // of ICMP: port is the type
	answers          bool
}

func (p *packet) v6() bool { return p.src.Is6() }

// String is the connection, as its client would name it.
func (p *packet) String() string {
	switch {
	case isICMP(p.proto):
		return fmt.Sprintf("%s to %s %s", p.src, p.dst, Service{Proto: p.proto, Ports: rules.PortRange{Low: p.port, High: p.port}})
	case hasPorts(p.proto):
		return fmt.Sprintf("%s to %s %s/%d from port %d", p.src, p.dst, protoName(p.proto), p.port, p.sourcePort)
	}
	return fmt.Sprintf("%s to %s %s", p.src, p.dst, protoName(p.proto))
}

// answer is the packet that answers p.
func (p *packet) answer() *packet {
	a := &packet{src: p.dst, dst: p.src, proto: p.proto, port: p.sourcePort, sourcePort: p.port, answers: true}
	switch {
	case p.proto == flows.ProtoICMP && p.port == 8:
		a.port, a.sourcePort = 0, 0
	case p.proto == flows.ProtoICMPv6 && p.port == 128:
		a.port, a.sourcePort = 129, 0
	case isICMP(p.proto):
		a.port, a.sourcePort = p.port, 0
	}
	return a
}

// The bounds of what is tried.
const (
	maxTried    = 200_000
	maxExamples = 5
)

// verifier asks a ruleset about connections and sorts what comes out.
type verifier struct {
	set   *Ruleset
	out   *Verification
	found map[string]int // index of a problem by what makes it one
}

// Verify asks a ruleset about every documented connection between the hosts of a
// plan, about every undocumented one that was seen, and about connections beside
// the documented ones: other hosts of the site and neighbouring addresses,
// neighbouring ports, source ports outside the ranges.
func Verify(p *Plan, set *Ruleset) *Verification {
	v := &verifier{set: set, found: map[string]int{},
		out: &Verification{Schema: VerifySchema, Audit: p.Site.Audit, Ruleset: set.File, Problems: []Problem{}}}
	for i := range p.Rules {
		r := &p.Rules[i]
		for pk := range r.samples() {
			v.documented(r, pk)
		}
	}
	for i := range p.Undocumented {
		f := &p.Undocumented[i]
		pk := packetOf(f.Client, f.Server, f.Service.Proto, f.Service.Ports.Low, cmp.Or(f.SourcePort, 50000))
		v.undocumented(p, pk, true, f.Why)
	}
	for _, pk := range p.beside() {
		v.undocumented(p, pk, false, "")
	}
	slices.SortStableFunc(v.out.Problems, func(a, b Problem) int {
		return cmp.Compare(slices.Index(problemOrder, a.Kind), slices.Index(problemOrder, b.Kind))
	})
	return v.out
}

var problemOrder = []string{"blocks", "blocks_answers", "allows", "unclear"}

func packetOf(src, dst netip.Addr, proto uint8, port, source uint16) *packet {
	if !hasPorts(proto) {
		source = 0
	}
	return &packet{src: src, dst: dst, proto: proto, port: port, sourcePort: source}
}

func (v *verifier) ask(pk *packet) (outcome, bool) {
	if v.out.Tried >= maxTried {
		return outcome{}, false
	}
	v.out.Tried++
	return v.set.decide(pk), true
}

func (v *verifier) problem(kind, edge string, o *outcome, pk *packet, seen bool, says string) {
	key := kind + "|" + edge + "|" + o.rule + "|" + says
	i, ok := v.found[key]
	if !ok {
		i = len(v.out.Problems)
		v.found[key] = i
		v.out.Problems = append(v.out.Problems, Problem{Kind: kind, Edge: edge, Rule: o.rule, Says: says, Seen: seen})
	}
	x := &v.out.Problems[i]
	x.Count++
	if len(x.Examples) < maxExamples {
		x.Examples = append(x.Examples, pk.String())
	}
}

func (v *verifier) documented(r *Rule, pk *packet) {
	o, ok := v.ask(pk)
	if !ok {
		return
	}
	id := r.ID()
	switch {
	case o.unclear != "":
		v.problem("unclear", id, &o, pk, true, "whether it is let through depends on "+o.unclear)
		return
	case !o.accept:
		v.problem("blocks", id, &o, pk, true, "a documented connection is not let through")
		return
	}
	a, ok := v.ask(pk.answer())
	if ok && !a.accept && a.unclear == "" {
		v.problem("blocks_answers", id, &a, pk, true, "a documented connection is let through, and what answers it is not")
	}
}

func (v *verifier) undocumented(p *Plan, pk *packet, seen bool, why string) {
	if multicast(pk.dst) || slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.allows(pk) }) {
		return
	}
	for i := range p.Unused {
		if slices.ContainsFunc(p.Unused[i].Rules, func(r Rule) bool { return r.allows(pk) }) {
			return // documented all the same
		}
	}
	o, ok := v.ask(pk)
	if !ok {
		return
	}
	says := "a connection that is not documented is let through"
	if seen {
		says += ", and was seen: " + word(why)
	}
	switch {
	case o.unclear != "":
		if seen {
			v.problem("unclear", "", &o, pk, seen, "whether an undocumented connection is let through depends on "+o.unclear)
		}
	case o.accept:
		v.problem("allows", "", &o, pk, seen, says)
	}
}

// samples are connections that a rule allows: from the first and last address of
// each prefix, at the ends of each range of ports.
func (r *Rule) samples() func(yield func(*packet) bool) {
	return func(yield func(*packet) bool) {
		ports := ends(r.Ports, 443)
		sources := ends(r.SourcePorts, 50000)
		if !hasPorts(r.Proto) {
			sources = []uint16{0}
		}
		for _, from := range addresses(r.From) {
			for _, to := range addresses(r.To) {
				for _, port := range ports {
					for _, source := range sources {
						if from != to && !yield(packetOf(from, to, r.Proto, port, source)) {
							return
						}
					}
				}
			}
		}
	}
}

// ends are both ends of each range.
func ends(list []rules.PortRange, otherwise uint16) []uint16 {
	var out []uint16
	for _, r := range list {
		out = append(out, r.Low)
		if r.High != r.Low {
			out = append(out, r.High)
		}
	}
	if len(out) == 0 {
		return []uint16{otherwise}
	}
	return out
}

func addresses(list []netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, p := range list {
		out = append(out, p.Addr())
		if last := lastOf(p); last != p.Addr() {
			out = append(out, last)
		}
	}
	return out
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// beside are connections near the documented ones: each changes one thing.
func (p *Plan) beside() []*packet {
	var hosts []netip.Addr
	add := func(list *[]netip.Addr, a netip.Addr) {
		if a.IsValid() && !slices.Contains(*list, a) {
			*list = append(*list, a)
		}
	}
	for _, h := range p.Site.Hosts {
		add(&hosts, h.Addr)
	}
	var out []*packet
	seen := map[packet]bool{}
	try := func(pk *packet) {
		if pk.src != pk.dst && pk.v6() == pk.dst.Is6() && !seen[*pk] {
			seen[*pk] = true
			out = append(out, pk)
		}
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		from, to := addresses(r.From), addresses(r.To)
		ports, source := ends(r.Ports, 443), ends(r.SourcePorts, 50000)[0]
		strangers := slices.Clone(hosts)
		for _, list := range [][]netip.Addr{from, to} {
			for _, a := range list {
				add(&strangers, a.Next())
				add(&strangers, a.Prev())
			}
		}
		// Others to these servers, and these clients to others.
		for _, s := range strangers {
			for _, port := range ports {
				for _, a := range to {
					try(packetOf(s, a, r.Proto, port, source))
				}
				for _, a := range from {
					try(packetOf(a, s, r.Proto, port, source))
				}
			}
		}
		for _, a := range from {
			for _, b := range to {
				for _, port := range ports {
					// The wrong way round, and ports beside.
					try(packetOf(b, a, r.Proto, port, source))
					if !hasPorts(r.Proto) {
						continue
					}
					for _, x := range []int{int(port) - 1, int(port) + 1, 22, 23, 3389, 8443} {
						if x > 0 && x < 1<<16 {
							try(packetOf(a, b, r.Proto, uint16(x), source))
						}
					}
					// The other transport.
					other := uint8(flows.ProtoUDP)
					if r.Proto == flows.ProtoUDP {
						other = flows.ProtoTCP
					}
					try(packetOf(a, b, other, port, source))
					if len(r.SourcePorts) > 0 {
						try(packetOf(a, b, r.Proto, port, 1025))
					}
				}
			}
		}
	}
	return out
}

// Text writes a verification for people.
func (v *Verification) Text() string {
	var b strings.Builder
	if len(v.Problems) == 0 {
		fmt.Fprintf(&b, "%s lets the documented connections through, and nothing else of %d connections tried.\n", word(v.Ruleset), v.Tried)
		return b.String()
	}
	fmt.Fprintf(&b, "%s does not do what the audit asks: %d problems, %d connections tried.\n", word(v.Ruleset), len(v.Problems), v.Tried)
	for i := range v.Problems {
		p := &v.Problems[i]
		fmt.Fprintf(&b, "\n%3d  %s", i+1, strings.ToUpper(strings.ReplaceAll(p.Kind, "_", " ")))
		if p.Edge != "" {
			fmt.Fprintf(&b, "  %s", p.Edge)
		}
		fmt.Fprintf(&b, "  %d connections\n     %s\n     decided by: %s\n", p.Count, p.Says, p.Rule)
		for _, e := range p.Examples {
			fmt.Fprintf(&b, "     - %s\n", e)
		}
	}
	return b.String()
}
