package firewall

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/flows"
)

// Ruleset is the rules of a Linux host as `nft -j list ruleset` prints them
// (libnftables-json(5)). What of it is understood: tables, chains, sets, maps,
// jumps, verdict maps, and matches on addresses, ports, types of ICMP, protocols
// and the state of connections. A match on anything else may hold or not.
type Ruleset struct {
	File   string
	hook   string
	bases  []*chain
	chains map[string]*chain
	sets   map[string][]json.RawMessage
}

type chain struct {
	Family string          `json:"family"`
	Table  string          `json:"table"`
	Name   string          `json:"name"`
	Type   string          `json:"type"`
	Hook   string          `json:"hook"`
	Prio   json.RawMessage `json:"prio"`
	Policy string          `json:"policy"`
	rules  []*nftStatement
}

type nftStatement struct {
	Family  string                       `json:"family"`
	Table   string                       `json:"table"`
	Chain   string                       `json:"chain"`
	Handle  int                          `json:"handle"`
	Comment string                       `json:"comment"`
	Expr    []map[string]json.RawMessage `json:"expr"`
}

type nftSetDoc struct {
	Family string            `json:"family"`
	Table  string            `json:"table"`
	Name   string            `json:"name"`
	Elem   []json.RawMessage `json:"elem"`
}

// ReadRuleset reads the rules that hook ("forward", as a rule) of the output of
// nft -j list ruleset.
func ReadRuleset(file string, text []byte, hook string) (*Ruleset, error) {
	var doc struct {
		Nftables []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.Nftables == nil {
		return nil, fmt.Errorf("%s: not a ruleset of nftables: nft -j list ruleset writes one", file)
	}
	s := &Ruleset{File: file, hook: hook, chains: map[string]*chain{}, sets: map[string][]json.RawMessage{}}
	for i, object := range doc.Nftables {
		for kind, raw := range object {
			var err error
			switch kind {
			case "chain":
				c := new(chain)
				if err = json.Unmarshal(raw, c); err == nil {
					s.chains[c.Family+" "+c.Table+" "+c.Name] = c
					if c.Hook == hook && c.Type == "filter" && (c.Family == "inet" || c.Family == "ip" || c.Family == "ip6") {
						s.bases = append(s.bases, c)
					}
				}
			case "rule":
				r := new(nftStatement)
				if err = json.Unmarshal(raw, r); err == nil {
					c := s.chains[r.Family+" "+r.Table+" "+r.Chain]
					if c == nil {
						err = fmt.Errorf("rule of no chain %q", r.Chain)
					} else {
						c.rules = append(c.rules, r)
					}
				}
			case "set", "map":
				var x nftSetDoc
				if err = json.Unmarshal(raw, &x); err == nil {
					s.sets[x.Family+" "+x.Table+" @"+x.Name] = x.Elem
				}
			}
			if err != nil {
				return nil, fmt.Errorf("%s: object %d: %v", file, i, err)
			}
		}
	}
	if len(s.bases) == 0 {
		return nil, fmt.Errorf("%s: no chain of it hooks %s (--hook names another)", file, hook)
	}
	slices.SortStableFunc(s.bases, func(a, b *chain) int { return cmp.Compare(a.prio(), b.prio()) })
	return s, nil
}

func (c *chain) prio() int {
	n, _ := strconv.Atoi(string(c.Prio))
	return n
}

// outcome is what a ruleset does with a packet.
type outcome struct {
	accept  bool
	rule    string // that decided
	unclear string // what it depends on, where a match is not understood
}

// verdict of a chain: what ended it, if anything did.
type chainEnd uint8

const (
	fellThrough chainEnd = iota
	accepted
	dropped
)

// step is the state of one walk through the chains.
type step struct {
	set   *Ruleset
	pk    *packet
	rule  string
	depth int
	steps int
	maybe []maybe
}

// maybe is a verdict that holds if a match does that is not understood.
type maybe struct {
	end  chainEnd
	rule string
	on   string
}

const (
	maxDepth = 16  // jumps of nftables, NFT_JUMP_STACK_SIZE
	maxSteps = 1e6 // rules looked at for one packet
)

// decide walks the packet through every base chain in the order of priority. One
// drop ends it; an accept only ends its chain.
func (s *Ruleset) decide(pk *packet) outcome {
	final := outcome{accept: true, rule: "no chain at " + s.hook + " decides"}
	for _, c := range s.bases {
		if c.Family == "ip" && pk.v6() || c.Family == "ip6" && !pk.v6() {
			continue
		}
		w := &step{set: s, pk: pk}
		end, _ := w.chain(c)
		if end == fellThrough {
			end = accepted
			if c.Policy == "drop" {
				end = dropped
			}
			w.rule = fmt.Sprintf("policy %s of %s %s %s", cmp.Or(word(c.Policy), "accept"), word(c.Family), word(c.Table), word(c.Name))
		}
		for _, m := range w.maybe {
			if m.end != end {
				return outcome{accept: end == accepted, rule: m.rule, unclear: m.on}
			}
		}
		if end == dropped {
			return outcome{rule: w.rule}
		}
		final.rule = w.rule
	}
	return final
}

// chain walks one chain. gone says that a goto ended it without a verdict.
func (w *step) chain(c *chain) (end chainEnd, gone bool) {
	if w.depth++; w.depth > maxDepth {
		w.depth--
		return fellThrough, false
	}
	defer func() { w.depth-- }()
	for _, r := range c.rules {
		if w.steps++; w.steps > maxSteps {
			return fellThrough, false
		}
		end, stop := w.statements(c, r)
		if end != fellThrough || stop {
			return end, stop
		}
	}
	return fellThrough, false
}

// statements walks one rule: its matches, then its verdict. stop says that the
// chain is left without one.
func (w *step) statements(c *chain, r *nftStatement) (end chainEnd, stop bool) {
	x := ruleWalk{step: w, in: c, name: fmt.Sprintf("%s %s %s, rule of handle %d", word(c.Family), word(c.Table), word(c.Name), r.Handle)}
	if r.Comment != "" {
		x.name += " (" + word(r.Comment) + ")"
	}
	for _, statement := range r.Expr {
		for kind, raw := range statement {
			switch kind {
			case "match":
				switch ok, on := w.match(c, raw); {
				case on != "":
					x.unsure = on
				case !ok:
					return fellThrough, false
				}
			case "accept", "drop", "reject", "return", "jump", "goto":
				return x.verdict(kind, raw)
			case "vmap":
				verdict, on := w.verdictMap(c, raw)
				if on != "" {
					x.unsure = on
					w.maybe = append(w.maybe, maybe{accepted, x.name, on}, maybe{dropped, x.name, on})
					continue
				}
				for kind, raw := range verdict { // one, or none where no element fits
					switch kind {
					case "accept", "drop", "return":
						return x.verdict(kind, raw)
					case "jump", "goto":
						if end, stop := x.verdict(kind, raw); end != fellThrough || stop {
							return end, stop
						}
					}
				}
			case "counter", "log", "comment", "notrack", "mangle", "ct helper", "ct timeout", "flow", "dup", "meter", "set":
			case "limit", "quota", "connlimit":
				x.unsure = "a " + kind
			case "queue":
				x.unsure = "a program that packets are queued to"
				return x.conclude(dropped)
			case "xt":
				x.unsure = "a match of iptables that nft does not print"
			default:
				x.unsure = "the statement " + word(kind)
			}
		}
	}
	return fellThrough, false
}

// ruleWalk is one rule while a connection walks it.
type ruleWalk struct {
	*step
	in     *chain
	name   string // for messages
	unsure string // what cannot be known and decides whether the rule holds; "" when it does
}

// verdict takes the verdict of a rule, or of the element of a verdict map.
func (x *ruleWalk) verdict(kind string, raw json.RawMessage) (end chainEnd, stop bool) {
	switch kind {
	case "accept":
		return x.conclude(accepted)
	case "drop", "reject":
		return x.conclude(dropped)
	case "return":
		return fellThrough, x.unsure == ""
	case "jump", "goto":
		var to struct {
			Target string `json:"target"`
		}
		if json.Unmarshal(raw, &to) == nil {
			return x.jump(to.Target, kind == "goto")
		}
	}
	return fellThrough, false
}

// conclude ends the walk with e; where the rule holds only perhaps, e is noted and
// the walk goes on.
func (x *ruleWalk) conclude(e chainEnd) (end chainEnd, stop bool) {
	if x.unsure != "" {
		x.maybe = append(x.maybe, maybe{e, x.name, x.unsure})
		return fellThrough, false
	}
	x.rule = x.name
	return e, false
}

// jump walks another chain of the table. goes says that there is no way back
// (goto).
func (x *ruleWalk) jump(target string, goes bool) (end chainEnd, stop bool) {
	t := x.set.chains[x.in.Family+" "+x.in.Table+" "+target]
	if t == nil {
		return fellThrough, false
	}
	n := len(x.maybe)
	e, _ := x.chain(t)
	if x.unsure == "" {
		return e, goes && e == fellThrough
	}
	for i := n; i < len(x.maybe); i++ {
		x.maybe[i].on = x.unsure
	}
	if e != fellThrough {
		x.maybe = append(x.maybe, maybe{e, x.rule, x.unsure})
	}
	return fellThrough, false
}

// match answers one match; on names what it depends on where it is not
// understood.
func (w *step) match(c *chain, raw json.RawMessage) (ok bool, on string) {
	var m struct {
		Op    string          `json:"op"`
		Left  json.RawMessage `json:"left"`
		Right json.RawMessage `json:"right"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return false, "a match that is not understood"
	}
	value, on := w.value(m.Left)
	if on != "" {
		return false, on
	}
	if value == nil {
		return false, "" // the packet has no such field
	}
	if mask, isMask := value.(flagMask); isMask {
		return w.flags(mask, m.Op, m.Right)
	}
	switch m.Op {
	case "==", "in", "", "!=":
		in, on := w.within(c, value, m.Right)
		return in != (m.Op == "!="), on
	case "<", ">", "<=", ">=":
		n, err := strconv.Atoi(string(bytes.Trim(m.Right, `"`)))
		v, isNumber := value.(int)
		if err != nil || !isNumber {
			return false, "a comparison that is not understood"
		}
		switch m.Op {
		case "<":
			return v < n, ""
		case ">":
			return v > n, ""
		case "<=":
			return v <= n, ""
		}
		return v >= n, ""
	}
	return false, "the operator " + word(m.Op)
}

// flagMask is the TCP flags of the packet, those that a mask leaves.
type flagMask uint8

// tcpFlags are their names in nftables.
func tcpFlags(name string) (flagMask, bool) {
	i := slices.Index([]string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"}, name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

func (w *step) flags(have flagMask, op string, right json.RawMessage) (bool, string) {
	want, ok := flagsOf(right)
	if !ok {
		return false, "TCP flags in a form that is not understood"
	}
	switch op {
	case "in":
		return have&want != 0, ""
	case "==":
		return have == want, ""
	case "!=":
		return have != want, ""
	}
	return false, "TCP flags in a form that is not understood"
}

func flagsOf(raw json.RawMessage) (flagMask, bool) {
	var name string
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &name) == nil:
		return tcpFlags(name)
	case json.Unmarshal(raw, &list) == nil:
	case json.Unmarshal(raw, &object) == nil && object["|"] != nil && json.Unmarshal(object["|"], &list) == nil:
	default:
		var n uint8
		return flagMask(n), json.Unmarshal(raw, &n) == nil
	}
	var all flagMask
	for _, x := range list {
		f, ok := flagsOf(x)
		if !ok {
			return 0, false
		}
		all |= f
	}
	return all, true
}

// value is what the packet has at the left of a match: an address, a number or a
// word; nil where it has no such thing.
func (w *step) value(raw json.RawMessage) (value any, on string) {
	var x struct {
		Payload *struct {
			Protocol string `json:"protocol"`
			Field    string `json:"field"`
		} `json:"payload"`
		Meta *struct {
			Key string `json:"key"`
		} `json:"meta"`
		CT *struct {
			Key string `json:"key"`
		} `json:"ct"`
		Concat []json.RawMessage `json:"concat"`
		And    []json.RawMessage `json:"&"`
	}
	if json.Unmarshal(raw, &x) != nil {
		return nil, "a match that is not understood"
	}
	pk := w.pk
	switch {
	case x.Payload != nil:
		return pk.field(x.Payload.Protocol, x.Payload.Field)
	case x.Meta != nil:
		switch x.Meta.Key {
		case "l4proto":
			return int(pk.proto), ""
		case "nfproto":
			if pk.v6() {
				return "ipv6", ""
			}
			return "ipv4", ""
		case "protocol":
			if pk.v6() {
				return "ip6", ""
			}
			return "ip", ""
		}
		return nil, "meta " + word(x.Meta.Key)
	case x.CT != nil:
		if x.CT.Key == "state" {
			if pk.answers {
				return "established", ""
			}
			return "new", ""
		}
		return nil, "ct " + word(x.CT.Key)
	case x.Concat != nil:
		var parts concat
		for _, c := range x.Concat {
			v, on := w.value(c)
			if on != "" || v == nil {
				return nil, on
			}
			parts = append(parts, v)
		}
		return parts, ""
	case len(x.And) == 2:
		v, on := w.value(x.And[0])
		mask, ok := flagsOf(x.And[1])
		if f, isFlags := v.(flagMask); isFlags && ok && on == "" {
			return f & mask, ""
		}
	}
	return nil, "a match that is not understood"
}

// concat is several values side by side.
type concat []any

// field is a field of the packet's headers.
func (p *packet) field(protocol, field string) (any, string) {
	switch protocol {
	case "ip", "ip6":
		if (protocol == "ip6") != p.v6() {
			return nil, ""
		}
		switch field {
		case "saddr":
			return p.src, ""
		case "daddr":
			return p.dst, ""
		case "protocol", "nexthdr":
			return int(p.proto), ""
		}
	case "tcp", "udp", "sctp", "th", "udplite", "dccp":
		if protocol != "th" && protocol != protoName(p.proto) || !hasPorts(p.proto) {
			return nil, ""
		}
		switch field {
		case "sport":
			return int(p.sourcePort), ""
		case "dport":
			return int(p.port), ""
		case "flags":
			if protocol == "tcp" && p.answers {
				return flagMask(0x12), "" // SYN and ACK
			}
			return flagMask(0x02), ""
		}
	case "icmp", "icmpv6":
		if protocol != protoName(p.proto) {
			return nil, ""
		}
		switch field {
		case "type":
			return int(p.port), ""
		case "code":
			return 0, ""
		}
	}
	return nil, word(protocol + " " + field)
}

// within says whether a value is what the right of a match says: one of a set,
// inside a prefix or a range, or the same.
func (w *step) within(c *chain, value any, raw json.RawMessage) (bool, string) {
	var name string
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &name) == nil:
		if strings.HasPrefix(name, "@") {
			elements, known := w.set.sets[c.Family+" "+c.Table+" "+name]
			if !known {
				return false, "the set " + word(name)
			}
			return w.any(c, value, elements)
		}
		return same(value, name)
	case json.Unmarshal(raw, &list) == nil:
		return w.any(c, value, list)
	case json.Unmarshal(raw, &object) == nil:
		switch {
		case object["set"] != nil:
			return w.within(c, value, object["set"])
		case object["elem"] != nil:
			var e struct {
				Val json.RawMessage `json:"val"`
			}
			if json.Unmarshal(object["elem"], &e) != nil || e.Val == nil {
				return false, "an element that is not understood"
			}
			return w.within(c, value, e.Val)
		case object["prefix"] != nil:
			var p struct {
				Addr string `json:"addr"`
				Len  int    `json:"len"`
			}
			a, isAddr := value.(netip.Addr)
			if json.Unmarshal(object["prefix"], &p) != nil || !isAddr {
				return false, "a prefix that is not understood"
			}
			base, err := netip.ParseAddr(p.Addr)
			if err != nil {
				return false, "a prefix that is not understood"
			}
			return netip.PrefixFrom(base, p.Len).Contains(a), ""
		case object["range"] != nil:
			var ends []json.RawMessage
			if json.Unmarshal(object["range"], &ends) != nil || len(ends) != 2 {
				return false, "a range that is not understood"
			}
			low, ok1 := compare(value, ends[0])
			high, ok2 := compare(value, ends[1])
			if !ok1 || !ok2 {
				return false, "a range that is not understood"
			}
			return low >= 0 && high <= 0, ""
		case object["concat"] != nil:
			parts, isConcat := value.(concat)
			var ends []json.RawMessage
			if json.Unmarshal(object["concat"], &ends) != nil || !isConcat || len(ends) != len(parts) {
				return false, "a concatenation that is not understood"
			}
			for i := range parts {
				if ok, on := w.within(c, parts[i], ends[i]); !ok || on != "" {
					return false, on
				}
			}
			return true, ""
		}
		return false, "an expression that is not understood"
	}
	return same(value, string(raw))
}

func (w *step) any(c *chain, value any, list []json.RawMessage) (bool, string) {
	unclear := ""
	for _, x := range list {
		ok, on := w.within(c, value, x)
		if ok && on == "" {
			return true, ""
		}
		unclear = cmp.Or(unclear, on)
	}
	return false, unclear
}

// same compares a value with a word or a number.
func same(value any, text string) (bool, string) {
	text = strings.Trim(text, `"`)
	switch v := value.(type) {
	case netip.Addr:
		a, err := netip.ParseAddr(text)
		if err != nil {
			return false, "the address " + word(text)
		}
		return a == v, ""
	case int:
		switch text { // types of ICMP and of ICMPv6
		case "echo-request":
			return v == 8 || v == 128, ""
		case "echo-reply":
			return v == 0 || v == 129, ""
		case "destination-unreachable":
			return v == 3 || v == 1, ""
		case "time-exceeded":
			return v == 11 || v == 3, ""
		case "packet-too-big":
			return v == 2, ""
		case "parameter-problem":
			return v == 12 || v == 4, ""
		}
		n, ok := numberOf(text)
		if !ok {
			return false, "the word " + word(text)
		}
		return n == v, ""
	case string:
		return v == text, ""
	}
	return false, "a comparison that is not understood"
}

// compare orders a value and the end of a range.
func compare(value any, raw json.RawMessage) (int, bool) {
	text := strings.Trim(string(raw), `"`)
	switch v := value.(type) {
	case netip.Addr:
		a, err := netip.ParseAddr(text)
		return v.Compare(a), err == nil
	case int:
		n, ok := numberOf(text)
		return cmp.Compare(v, n), ok
	}
	return 0, false
}

// numberOf reads a number, or a word that nft prints in place of one.
func numberOf(s string) (int, bool) {
	switch s {
	case "icmp":
		return flows.ProtoICMP, true
	case "tcp":
		return flows.ProtoTCP, true
	case "udp":
		return flows.ProtoUDP, true
	case "sctp":
		return flows.ProtoSCTP, true
	case "ipv6-icmp", "icmpv6":
		return flows.ProtoICMPv6, true
	case "gre":
		return 47, true
	case "esp":
		return 50, true
	case "ah":
		return 51, true
	case "udplite":
		return 136, true
	case "dccp":
		return 33, true
	case "comp":
		return 108, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// verdictMap looks the packet up in a verdict map.
func (w *step) verdictMap(c *chain, raw json.RawMessage) (verdict map[string]json.RawMessage, on string) {
	var m struct {
		Key  json.RawMessage `json:"key"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return nil, "a verdict map that is not understood"
	}
	value, on := w.value(m.Key)
	if on != "" || value == nil {
		return nil, on
	}
	var name string
	var inline struct {
		Set []json.RawMessage `json:"set"`
	}
	elements := inline.Set
	switch {
	case json.Unmarshal(m.Data, &name) == nil:
		elements = w.set.sets[c.Family+" "+c.Table+" "+name]
	case json.Unmarshal(m.Data, &inline) == nil:
		elements = inline.Set
	}
	for _, e := range elements {
		var pair [2]json.RawMessage
		if json.Unmarshal(e, &pair) != nil {
			return nil, "a verdict map that is not understood"
		}
		ok, on := w.within(c, value, pair[0])
		if on != "" {
			return nil, on
		}
		if ok {
			if json.Unmarshal(pair[1], &verdict) != nil {
				return nil, "a verdict map that is not understood"
			}
			return verdict, ""
		}
	}
	return nil, ""
}
