package firewall

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

// Format is one language of rules.
type Format struct {
	Name  string
	Doc   string
	Write func(w io.Writer, p *Plan) error
}

// Formats are all of them.
func Formats() []Format {
	return []Format{
		{"nftables", "a file for nft -f", text(nftables)},
		{"iptables", "a file for iptables-restore", text(iptables)},
		{"ip6tables", "a file for ip6tables-restore", text(ip6tables)},
		{"windows", "PowerShell, Windows Defender Firewall, to run on the servers", text(windows)},
		{"cisco-ios", "extended access lists, one for each direction: they keep no state", text(ciscoIOS)},
		{"cisco-asa", "an access list with object groups", text(ciscoASA)},
		{"panos", "set commands of PAN-OS", text(panos)},
		{"fortinet", "configuration of FortiOS", text(fortinet)},
		{"aws-sg", "security groups of AWS, as JSON", awsSG},
		{"csv", "a table for other tools", csvRules},
		{"json", "one JSON document; wirechart schema rules describes it", jsonRules},
	}
}

// Named finds a format.
func Named(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Names are the names of all formats.
func Names() []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// out is a rule file while it is written.
type out struct {
	strings.Builder
	comment string // what a line begins with that is no rule
}

func text(write func(o *out, p *Plan)) func(w io.Writer, p *Plan) error {
	return func(w io.Writer, p *Plan) error {
		o := new(out)
		write(o, p)
		_, err := io.WriteString(w, o.String())
		return err
	}
}

func (o *out) line(format string, args ...any) { fmt.Fprintf(o, format+"\n", args...) }

// say writes a comment, in lines of some length.
func (o *out) say(indent, s string) {
	for line := range strings.SplitSeq(fill(s, 100), "\n") {
		o.line("%s%s%s", indent, o.comment, line)
	}
}

// fill breaks s between words.
func fill(s string, width int) string {
	var b strings.Builder
	used := 0
	for _, f := range strings.Fields(s) {
		switch {
		case used == 0:
		case used+1+len(f) > width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(f)
		used += len(f)
	}
	return b.String()
}

// head writes what the file is.
func (o *out) head(p *Plan) {
	s := p.Site
	o.say("", "Rules for the documented connections of "+word(s.Diagram)+".")
	o.say("", "Made by wirechart from the audit "+word(s.Audit)+", of traffic from "+word(s.Period)+".")
	o.say("", "The audit said: "+word(s.Summary))
	o.say("", "Everything that no rule here allows is dropped: read the lists at the end first.")
	for _, h := range s.Hosts {
		if len(h.Roles) > 0 {
			o.say("", strings.TrimSpace(h.Addr.String()+" "+word(h.Name))+": "+words(h.Roles))
		}
	}
	for _, n := range p.Notes {
		o.say("", "Note: "+n)
	}
}

// because writes why a rule is there.
func (o *out) because(indent string, r *Rule) {
	for _, e := range r.Edges {
		o.say(indent, e.because())
	}
}

// because is an edge with its document and its evidence.
func (e *Edge) because() string {
	s := word(e.ID)
	if e.Title != "" {
		s += ": " + word(e.Title)
	}
	if e.Source != "" {
		s += "; source: " + word(e.Source)
	}
	if e.At != "" {
		s += " (" + word(e.At) + ")"
	}
	if e.Flows > 0 {
		s += fmt.Sprintf("; %s, %s", word(strings.ReplaceAll(e.Status, "_", " ")), flowsOf(e.Flows))
	}
	if e.Evidence != "" {
		s += ", " + word(e.Evidence)
	}
	return s
}

// remainders writes what is documented and not used, and used and not
// documented. rule writes a rule, which comes out as a comment.
func (o *out) remainders(indent string, p *Plan, rule func(r *Rule) []string) {
	comment := func(r *Rule) {
		for _, line := range rule(r) {
			for part := range strings.SplitSeq(strings.TrimRight(line, "\n"), "\n") {
				o.line("%s%s  %s", indent, o.comment, strings.TrimSpace(part))
			}
		}
	}
	if len(p.Unused) > 0 {
		o.line("")
		o.say(indent, "Documented and never used: not allowed.")
		for i := range p.Unused {
			u := &p.Unused[i]
			why := ""
			if u.Edge.Why != "" {
				why = "; " + word(u.Edge.Why)
			}
			o.say(indent, u.Edge.because()+why)
			for k := range u.Rules {
				comment(&u.Rules[k])
			}
		}
	}
	for _, part := range []struct {
		id, title string
		list      []Flow
	}{
		{"undocumented", "Used and not documented: not allowed. Each needs a decision before it is.", p.Undocumented},
		{"ambient", "Ordinary infrastructure, which the diagram declares apart: not allowed here (--ambient adds it).", p.Ambient},
	} {
		if len(part.list) == 0 {
			continue
		}
		o.line("")
		o.say(indent, part.title)
		for i := range part.list {
			f := &part.list[i]
			o.say(indent, f.says())
			r := pairRule(&Edge{ID: part.id}, f)
			if !multicast(f.Server) {
				comment(&r)
			}
		}
	}
}

func flowsOf(n uint64) string {
	if n == 1 {
		return "1 flow"
	}
	return fmt.Sprintf("%d flows", n)
}

// says is a flow in words.
func (f *Flow) says() string {
	s := fmt.Sprintf("%s to %s %s, %s", f.Client, f.Server, f.Service, flowsOf(f.Flows))
	if f.Why != "" {
		s += ": " + word(f.Why)
	}
	if f.Evidence != "" {
		s += ", " + word(f.Evidence)
	}
	return s
}

// prefixText is a prefix, and the address alone where it is one.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func prefixTexts(list []netip.Prefix) []string {
	out := make([]string, 0, len(list))
	for _, p := range list {
		out = append(out, prefixText(p))
	}
	return out
}

// rangeTexts are ranges with sep between their ends.
func rangeTexts(list []rules.PortRange, sep string) []string {
	out := make([]string, 0, len(list))
	for _, r := range list {
		s := strconv.Itoa(int(r.Low))
		if r.Low != r.High {
			s += sep + strconv.Itoa(int(r.High))
		}
		out = append(out, s)
	}
	return out
}

// nftables writes a table of its own with one chain for what is forwarded
// (nft(8), version 0.9 on).
func nftables(o *out, p *Plan) {
	o.comment = "# "
	o.line("#!/usr/sbin/nft -f")
	o.head(p)
	o.line("")
	o.say("", "Loading this file again replaces what it made.")
	o.line("table inet wirechart")
	o.line("delete table inet wirechart")
	o.line("")
	o.line("table inet wirechart {")
	o.line("\tchain forward {")
	o.line("\t\ttype filter hook forward priority filter; policy drop;")
	o.line("\t\tct state established,related accept comment \"return traffic\"")
	o.line("\t\tct state invalid drop")
	for i := range p.Rules {
		r := &p.Rules[i]
		o.line("")
		o.because("\t\t", r)
		o.line("\t\t%s", nftRule(r))
	}
	o.remainders("\t\t", p, func(r *Rule) []string { return []string{nftRule(r)} })
	o.line("\t}")
	o.line("}")
}

func nftRule(r *Rule) string {
	ip := "ip"
	if r.V6 {
		ip = "ip6"
	}
	s := ip + " saddr " + nftSet(prefixTexts(r.From)) + " " + ip + " daddr " + nftSet(prefixTexts(r.To))
	name := protoName(r.Proto)
	switch {
	case hasPorts(r.Proto):
		if len(r.SourcePorts) > 0 {
			s += " " + name + " sport " + nftSet(rangeTexts(r.SourcePorts, "-"))
		}
		if len(r.Ports) > 0 {
			s += " " + name + " dport " + nftSet(rangeTexts(r.Ports, "-"))
		} else {
			s += " meta l4proto " + name
		}
	case isICMP(r.Proto) && len(r.Ports) > 0:
		s += " " + name + " type " + nftSet(rangeTexts(r.Ports, "-"))
	case r.Proto == flows.ProtoICMPv6:
		s += " meta l4proto ipv6-icmp"
	default:
		s += " meta l4proto " + name
	}
	return s + ` ct state new accept comment "` + short(r.ID(), 120) + `"`
}

func nftSet(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "{ " + strings.Join(list, ", ") + " }"
}

// short is s in at most n bytes.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-3] + "..."
}

func iptables(o *out, p *Plan)  { tables(o, p, false) }
func ip6tables(o *out, p *Plan) { tables(o, p, true) }

// tables writes the filter table for iptables-restore or ip6tables-restore. It
// takes several addresses in one line, which become several rules.
func tables(o *out, p *Plan, v6 bool) {
	o.comment = "# "
	o.head(p)
	command := "iptables-restore"
	if v6 {
		command = "ip6tables-restore"
	}
	o.say("", "For "+command+". It replaces the filter table; the chains INPUT and OUTPUT let everything through.")
	o.line("*filter")
	o.line(":INPUT ACCEPT [0:0]")
	o.line(":FORWARD DROP [0:0]")
	o.line(":OUTPUT ACCEPT [0:0]")
	o.line(`-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -m comment --comment "return traffic" -j ACCEPT`)
	o.line("-A FORWARD -m conntrack --ctstate INVALID -j DROP")
	other := 0
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.V6 != v6 {
			other++
			continue
		}
		o.line("")
		o.because("", r)
		for _, line := range tablesRules(r) {
			o.line("%s", line)
		}
	}
	o.remainders("", p, func(r *Rule) []string {
		if r.V6 != v6 {
			return nil
		}
		return tablesRules(r)
	})
	o.line("COMMIT")
	if other > 0 {
		name := "ip6tables"
		if v6 {
			name = "iptables"
		}
		o.say("", fmt.Sprintf("%d rules are of the other family: --format %s writes them.", other, name))
	}
}

// maxMultiport is how many ports the match multiport takes; a range is two
// (iptables-extensions(8)).
const maxMultiport = 15

func tablesRules(r *Rule) []string {
	s := "-A FORWARD -s " + strings.Join(prefixTexts(r.From), ",") + " -d " + strings.Join(prefixTexts(r.To), ",")
	name := protoName(r.Proto)
	if r.Proto == flows.ProtoICMPv6 {
		name = "ipv6-icmp"
	}
	s += " -p " + name
	tail := ` -m conntrack --ctstate NEW -m comment --comment "` + short(r.ID(), 250) + `" -j ACCEPT`
	var list []string
	switch {
	case isICMP(r.Proto) && len(r.Ports) > 0:
		option := "--icmp-type"
		match := "icmp"
		if r.Proto == flows.ProtoICMPv6 {
			option, match = "--icmpv6-type", "icmp6"
		}
		for _, t := range r.Ports {
			for n := int(t.Low); n <= int(t.High); n++ {
				list = append(list, fmt.Sprintf("%s -m %s %s %d%s", s, match, option, n, tail))
			}
		}
	case hasPorts(r.Proto):
		for _, sources := range portGroups(r.SourcePorts) {
			for _, ports := range portGroups(r.Ports) {
				x := s
				if len(sources) > 0 {
					x += " -m multiport --sports " + strings.Join(rangeTexts(sources, ":"), ",")
				}
				if len(ports) > 0 {
					x += " -m multiport --dports " + strings.Join(rangeTexts(ports, ":"), ",")
				}
				list = append(list, x+tail)
			}
		}
	default:
		list = append(list, s+tail)
	}
	return list
}

// portGroups are ranges in groups that one rule has room for; one empty group
// where there are none.
func portGroups(list []rules.PortRange) [][]rules.PortRange {
	groups := [][]rules.PortRange{nil}
	room := maxMultiport
	for _, r := range list {
		takes := 1
		if r.Low != r.High {
			takes = 2
		}
		if takes > room {
			groups, room = append(groups, nil), maxMultiport
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], r)
		room -= takes
	}
	return groups
}

// windows writes PowerShell for the servers, one rule for each (New-NetFirewallRule
// of the module NetSecurity). Values stand in single quotes, in which PowerShell
// expands nothing; word leaves no quote of any kind.
func windows(o *out, p *Plan) {
	o.comment = "# "
	o.head(p)
	o.say("", "Run on every server: only the rules for its own addresses take effect. Windows keeps state and allows outbound traffic by default; set the profiles to block inbound traffic (Set-NetFirewallProfile -DefaultInboundAction Block).")
	o.line("Remove-NetFirewallRule -Group 'wirechart' -ErrorAction SilentlyContinue")
	for i := range p.Rules {
		o.line("")
		o.because("", &p.Rules[i])
		o.line("%s", windowsRule(&p.Rules[i]))
	}
	o.remainders("", p, func(r *Rule) []string { return []string{windowsRule(r)} })
}

func windowsRule(r *Rule) string {
	quoted := func(list []string) string { return "'" + strings.Join(list, "','") + "'" }
	s := "New-NetFirewallRule -Group 'wirechart' -DisplayName 'wirechart " + strings.ReplaceAll(short(r.ID(), 200), "'", "_") + "' -Direction Inbound -Action Allow"
	s += " -LocalAddress " + quoted(prefixTexts(r.To)) + " -RemoteAddress " + quoted(prefixTexts(r.From))
	switch {
	case r.Proto == flows.ProtoTCP || r.Proto == flows.ProtoUDP:
		s += " -Protocol " + strings.ToUpper(protoName(r.Proto))
		if len(r.Ports) > 0 {
			s += " -LocalPort " + quoted(rangeTexts(r.Ports, "-"))
		}
		if len(r.SourcePorts) > 0 {
			s += " -RemotePort " + quoted(rangeTexts(r.SourcePorts, "-"))
		}
	case isICMP(r.Proto):
		name := "ICMPv4"
		if r.Proto == flows.ProtoICMPv6 {
			name = "ICMPv6"
		}
		s += " -Protocol " + name
		if len(r.Ports) > 0 {
			var types []string
			for _, t := range r.Ports {
				for n := int(t.Low); n <= int(t.High); n++ {
					types = append(types, strconv.Itoa(n))
				}
			}
			s += " -IcmpType " + quoted(types)
		}
	default:
		s += " -Protocol " + strconv.Itoa(int(r.Proto))
	}
	return s
}

// wildcard is a prefix as IOS writes it: "host A", or A and the bits that do
// not count.
func wildcard(p netip.Prefix) string {
	if p.IsSingleIP() {
		return "host " + p.Addr().String()
	}
	if p.Addr().Is6() {
		return p.String()
	}
	return p.Addr().String() + " " + maskOf(p.Bits(), true)
}

// maskOf is the mask of a prefix of IPv4, or its complement.
func maskOf(bits int, inverse bool) string {
	m := uint32(0)
	if bits > 0 {
		m = ^uint32(0) << (32 - bits)
	}
	if inverse {
		m = ^m
	}
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// ciscoPorts are ranges as access lists write them, one entry each; one empty
// text where there are none.
func ciscoPorts(list []rules.PortRange) []string {
	out := []string{}
	for _, r := range list {
		if r.Low == r.High {
			out = append(out, " eq "+strconv.Itoa(int(r.Low)))
		} else {
			out = append(out, fmt.Sprintf(" range %d %d", r.Low, r.High))
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// ciscoICMP are types of ICMP as access lists write them.
func ciscoICMP(list []rules.PortRange) []string {
	out := []string{}
	for _, r := range list {
		for n := int(r.Low); n <= int(r.High); n++ {
			switch n {
			case 8, 128:
				out = append(out, " echo")
			case 0, 129:
				out = append(out, " echo-reply")
			default:
				out = append(out, " "+strconv.Itoa(n))
			}
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// ciscoIOS writes two extended access lists for each family: what clients begin,
// and what servers answer, for these lists keep no state.
func ciscoIOS(o *out, p *Plan) {
	o.comment = "! "
	o.head(p)
	o.say("", "WIRECHART-REQUESTS is for the interfaces of clients, WIRECHART-ANSWERS for those of servers; where one interface has both, join them. These lists keep no state: of TCP the word established lets answers through, of UDP the ports alone.")
	for _, v6 := range []bool{false, true} {
		if !slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.V6 == v6 }) {
			continue
		}
		for _, answers := range []bool{false, true} {
			name := "WIRECHART-REQUESTS"
			if answers {
				name = "WIRECHART-ANSWERS"
			}
			o.line("!")
			if v6 {
				o.line("no ipv6 access-list %s-V6", name)
				o.line("ipv6 access-list %s-V6", name)
			} else {
				o.line("no ip access-list extended %s", name)
				o.line("ip access-list extended %s", name)
			}
			for i := range p.Rules {
				if r := &p.Rules[i]; r.V6 == v6 {
					for _, e := range r.Edges {
						o.line(" remark %s", short(e.because(), 96))
					}
					for _, line := range iosRules(r, answers) {
						o.line(" %s", line)
					}
				}
			}
			if v6 {
				o.line(" deny ipv6 any any log")
			} else {
				o.line(" deny ip any any log")
			}
		}
	}
	o.line("!")
	o.remainders("", p, func(r *Rule) []string { return iosRules(r, false) })
}

func iosRules(r *Rule, answers bool) []string {
	var list []string
	proto := protoName(r.Proto)
	if r.Proto == flows.ProtoICMPv6 {
		proto = "icmp" // in an ipv6 access list
	}
	for _, from := range r.From {
		for _, to := range r.To {
			switch {
			case isICMP(r.Proto):
				for _, t := range ciscoICMP(r.Ports) {
					if answers && t == " echo" {
						list = append(list, "permit "+proto+" "+wildcard(to)+" "+wildcard(from)+" echo-reply")
					} else if !answers {
						list = append(list, "permit "+proto+" "+wildcard(from)+" "+wildcard(to)+t)
					}
				}
			default:
				sources, ports := []string{""}, []string{""}
				if hasPorts(r.Proto) {
					sources, ports = ciscoPorts(r.SourcePorts), ciscoPorts(r.Ports)
				}
				for _, source := range sources {
					for _, port := range ports {
						if answers {
							established := ""
							if r.Proto == flows.ProtoTCP {
								established = " established"
							}
							list = append(list, "permit "+proto+" "+wildcard(to)+port+" "+wildcard(from)+source+established)
						} else {
							list = append(list, "permit "+proto+" "+wildcard(from)+source+" "+wildcard(to)+port)
						}
					}
				}
			}
		}
	}
	return list
}

// ciscoASA writes one access list with object groups. The ASA keeps state.
func ciscoASA(o *out, p *Plan) {
	o.comment = "! "
	o.head(p)
	o.say("", "Bind it with: access-group WIRECHART global. For ICMP to keep state, inspect it in the global policy (inspect icmp).")
	object := func(list []netip.Prefix) string {
		if len(list) == 1 {
			p := list[0]
			switch {
			case p.IsSingleIP():
				return "host " + p.Addr().String()
			case p.Addr().Is6():
				return p.String()
			}
			return p.Addr().String() + " " + maskOf(p.Bits(), false)
		}
		return ""
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		o.line("!")
		var ends [2]string
		for k, list := range [][]netip.Prefix{r.From, r.To} {
			if ends[k] = object(list); ends[k] != "" {
				continue
			}
			name := fmt.Sprintf("WIRECHART-%d-%s", i+1, [...]string{"CLIENTS", "SERVERS"}[k])
			o.line("object-group network %s", name)
			for _, x := range list {
				o.line(" network-object %s", object([]netip.Prefix{x}))
			}
			ends[k] = "object-group " + name
		}
		for _, e := range r.Edges {
			o.line("access-list WIRECHART remark %s", short(e.because(), 96))
		}
		for _, line := range asaRules(r, ends) {
			o.line("%s", line)
		}
	}
	o.line("!")
	o.line("access-list WIRECHART extended deny ip any any log")
	o.remainders("", p, func(r *Rule) []string {
		var list []string
		for _, from := range r.From {
			for _, to := range r.To {
				list = append(list, asaRules(r, [2]string{object([]netip.Prefix{from}), object([]netip.Prefix{to})})...)
			}
		}
		return list
	})
}

func asaRules(r *Rule, ends [2]string) []string {
	var list []string
	proto := protoName(r.Proto)
	if r.Proto == flows.ProtoICMPv6 {
		proto = "icmp6"
	}
	add := func(source, port string) {
		list = append(list, "access-list WIRECHART extended permit "+proto+" "+ends[0]+source+" "+ends[1]+port)
	}
	switch {
	case isICMP(r.Proto):
		for _, t := range ciscoICMP(r.Ports) {
			add("", t)
		}
	case hasPorts(r.Proto):
		for _, source := range ciscoPorts(r.SourcePorts) {
			for _, port := range ciscoPorts(r.Ports) {
				add(source, port)
			}
		}
	default:
		add("", "")
	}
	return list
}

// numbered writes the rules, each by its number and behind what it is for.
func (o *out) numbered(p *Plan, write func(r *Rule, n int) []string) {
	for i := range p.Rules {
		o.line("")
		o.because("", &p.Rules[i])
		for _, line := range write(&p.Rules[i], i+1) {
			o.line("%s", line)
		}
	}
}

// panos writes set commands of PAN-OS: services, then rules of the security
// rulebase, which keep state.
func panos(o *out, p *Plan) {
	o.comment = "# "
	o.head(p)
	o.say("", "For configuration mode. The rules name addresses directly; zones are any and should be narrowed. The last rule denies everything else.")
	o.numbered(p, panosRules)
	o.line("")
	o.line("set rulebase security rules wirechart-rest from any to any source any destination any application any service any action deny log-end yes")
	n := len(p.Rules)
	o.remainders("", p, func(r *Rule) []string { n++; return panosRules(r, n) })
}

func panosRules(r *Rule, n int) []string {
	var list []string
	name := fmt.Sprintf("wirechart-%d", n)
	application, service := "any", ""
	switch {
	case hasPorts(r.Proto) && r.Proto != 132:
		service = fmt.Sprintf("%s-%s", name, protoName(r.Proto))
		ports := "0-65535"
		if len(r.Ports) > 0 {
			ports = strings.Join(rangeTexts(r.Ports, "-"), ",")
		}
		line := fmt.Sprintf("set service %s protocol %s port %s", service, protoName(r.Proto), ports)
		if len(r.SourcePorts) > 0 {
			line += " source-port " + strings.Join(rangeTexts(r.SourcePorts, "-"), ",")
		}
		list = append(list, line)
	case isICMP(r.Proto) && slices.Equal(r.Ports, []rules.PortRange{echoOf(r.Proto)}):
		service, application = "application-default", "ping"
	case r.Proto == flows.ProtoICMP:
		service, application = "application-default", "icmp"
	case r.Proto == flows.ProtoICMPv6:
		service, application = "application-default", "ipv6-icmp"
	default:
		return []string{fmt.Sprintf("# IP protocol %d: define an application for it; no rule was written", r.Proto)}
	}
	return append(list, fmt.Sprintf(`set rulebase security rules %s from any to any source [ %s ] destination [ %s ] application %s service %s action allow log-end yes description "%s"`,
		name, strings.Join(prefixTexts(r.From), " "), strings.Join(prefixTexts(r.To), " "), application, service, short(r.description(), 250)))
}

// description is why a rule is there, in one text.
func (r *Rule) description() string {
	var parts []string
	for _, e := range r.Edges {
		parts = append(parts, e.because())
	}
	return strings.Join(parts, " / ")
}

// fortinet writes FortiOS configuration: addresses, services, policies of IPv4 and
// IPv6, which keep state.
func fortinet(o *out, p *Plan) {
	o.comment = "# "
	o.head(p)
	o.say("", "Interfaces are any and should be narrowed. FortiOS itself drops what no policy allows.")
	o.numbered(p, fortinetRules)
	n := len(p.Rules)
	o.remainders("", p, func(r *Rule) []string { n++; return fortinetRules(r, n) })
}

func fortinetRules(r *Rule, n int) []string {
	f := &fortiConfig{rule: r, name: fmt.Sprintf("wirechart-%d", n)}
	kind, from, to := "address", "srcaddr", "dstaddr"
	if r.V6 {
		kind, from, to = "address6", "srcaddr6", "dstaddr6"
	}
	f.add("config firewall %s", kind)
	sources, destinations := f.addresses(r.From), f.addresses(r.To)
	f.add("end")
	f.add("config firewall service custom")
	services := f.services()
	f.add("end")
	f.add("config firewall policy")
	f.add("    edit 0")
	f.add(`        set name "%s"`, f.name)
	f.add(`        set srcintf "any"`)
	f.add(`        set dstintf "any"`)
	f.add("        set %s %s", from, sources)
	f.add("        set %s %s", to, destinations)
	f.add("        set service %s", services)
	f.add("        set action accept")
	f.add(`        set schedule "always"`)
	f.add("        set logtraffic all")
	f.add(`        set comments "%s"`, short(r.description(), 250))
	f.add("    next")
	f.add("end")
	return f.lines
}

// fortiConfig is the configuration of one rule while it is written.
type fortiConfig struct {
	rule  *Rule
	name  string
	lines []string
}

func (f *fortiConfig) add(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// addresses writes address objects and returns their names, quoted.
func (f *fortiConfig) addresses(list []netip.Prefix) string {
	var names []string
	for _, p := range list {
		id := `"wirechart-` + prefixText(p) + `"`
		f.add("    edit %s", id)
		if f.rule.V6 {
			f.add("        set ip6 %s", p)
		} else {
			f.add("        set subnet %s %s", p.Addr(), maskOf(p.Bits(), false))
		}
		f.add("    next")
		names = append(names, id)
	}
	return strings.Join(names, " ")
}

// services writes the service objects of the rule and returns their names, quoted.
func (f *fortiConfig) services() string {
	var names []string
	service := func(id, format string, args ...any) {
		names = append(names, `"`+id+`"`)
		f.add(`    edit "%s"`, id)
		for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
			f.add("        %s", line)
		}
		f.add("    next")
	}
	switch r := f.rule; {
	case hasPorts(r.Proto):
		service(f.name, "set %s-portrange %s", protoName(r.Proto), fortiPorts(r))
	case isICMP(r.Proto):
		protocol := "ICMP"
		if r.Proto == flows.ProtoICMPv6 {
			protocol = "ICMP6"
		}
		if len(r.Ports) == 0 {
			service(f.name, "set protocol %s", protocol)
		}
		for _, types := range r.Ports {
			for t := int(types.Low); t <= int(types.High); t++ {
				service(fmt.Sprintf("%s-type-%d", f.name, t), "set protocol %s\nset icmptype %d", protocol, t)
			}
		}
	default:
		service(f.name, "set protocol IP\nset protocol-number %d", r.Proto)
	}
	return strings.Join(names, " ")
}

// fortiPorts are the ports of a service: DESTINATION, or DESTINATION:SOURCE.
func fortiPorts(r *Rule) string {
	ports := r.Ports
	if len(ports) == 0 {
		ports = []rules.PortRange{{Low: 1, High: 65535}}
	}
	var list []string
	for _, port := range rangeTexts(ports, "-") {
		if len(r.SourcePorts) == 0 {
			list = append(list, port)
		}
		for _, source := range rangeTexts(r.SourcePorts, "-") {
			list = append(list, port+":"+source)
		}
	}
	return strings.Join(list, " ")
}
