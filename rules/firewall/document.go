package firewall

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Schema is the schema that a plan as JSON names.
const Schema = "wirechart/rules/v1"

// Document is a Plan as JSON.
type Document struct {
	Schema       string      `json:"schema"`
	Audit        string      `json:"audit" doc:"where the audit was read from"`
	Diagram      string      `json:"diagram"`
	Rules        []RuleDoc   `json:"rules" doc:"what is to be allowed; what answers is allowed with it"`
	Unused       []UnusedDoc `json:"unused" doc:"documented and never used: not allowed"`
	Undocumented []FlowDoc   `json:"undocumented" doc:"used and not documented: not allowed"`
	Ambient      []FlowDoc   `json:"ambient" doc:"ordinary infrastructure that no rule allows"`
	Notes        []string    `json:"notes"`
}

// RuleDoc is one rule.
type RuleDoc struct {
	Edges       []EdgeDoc `json:"edges"`
	Family      string    `json:"family" doc:"ipv4 or ipv6"`
	Protocol    string    `json:"protocol"`
	From        []string  `json:"from" doc:"addresses and prefixes"`
	To          []string  `json:"to" doc:"addresses and prefixes"`
	Ports       []string  `json:"ports,omitempty" doc:"of the server, or types of ICMP; absent for any"`
	SourcePorts []string  `json:"source_ports,omitempty" doc:"absent for any"`
}

// EdgeDoc is an edge and its evidence.
type EdgeDoc struct {
	ID       string `json:"id"`
	Title    string `json:"title,omitempty"`
	Source   string `json:"source,omitempty" doc:"the document that states it"`
	At       string `json:"at,omitempty" doc:"file and line of the diagram"`
	Status   string `json:"status,omitempty"`
	Flows    uint64 `json:"flows"`
	Evidence string `json:"evidence,omitempty" doc:"capture and frame"`
}

// UnusedDoc is an edge without a rule.
type UnusedDoc struct {
	Edge  EdgeDoc   `json:"edge"`
	Why   string    `json:"why,omitempty" doc:"why it was not seen"`
	Rules []RuleDoc `json:"rules" doc:"those that it would have; none where the hosts of an end are not known"`
}

// FlowDoc is connections of one pair of hosts.
type FlowDoc struct {
	Client   string `json:"client"`
	Server   string `json:"server"`
	Service  string `json:"service"`
	Flows    uint64 `json:"flows"`
	Why      string `json:"why,omitempty"`
	Evidence string `json:"evidence,omitempty" doc:"capture and frame"`
}

func newEdgeDoc(e *Edge) EdgeDoc {
	return EdgeDoc{word(e.ID), word(e.Title), word(e.Source), word(e.At), word(e.Status), e.Flows, word(e.Evidence)}
}

func newRuleDocs(list []Rule) []RuleDoc {
	docs := make([]RuleDoc, 0, len(list))
	for i := range list {
		r := &list[i]
		d := RuleDoc{Family: "ipv4", Protocol: protoName(r.Proto), From: prefixTexts(r.From), To: prefixTexts(r.To),
			Ports: rangeTexts(r.Ports, "-"), SourcePorts: rangeTexts(r.SourcePorts, "-")}
		if r.V6 {
			d.Family = "ipv6"
		}
		for _, e := range r.Edges {
			d.Edges = append(d.Edges, newEdgeDoc(e))
		}
		docs = append(docs, d)
	}
	return docs
}

func newFlowDocs(list []Flow) []FlowDoc {
	docs := make([]FlowDoc, 0, len(list))
	for i := range list {
		f := &list[i]
		docs = append(docs, FlowDoc{f.Client.String(), f.Server.String(), f.Service.String(), f.Flows, word(f.Why), word(f.Evidence)})
	}
	return docs
}

// NewDocument is p as a document.
func NewDocument(p *Plan) *Document {
	d := &Document{Schema: Schema, Audit: word(p.Site.Audit), Diagram: word(p.Site.Diagram), Rules: newRuleDocs(p.Rules), Unused: []UnusedDoc{},
		Undocumented: newFlowDocs(p.Undocumented), Ambient: newFlowDocs(p.Ambient), Notes: append([]string{}, p.Notes...)}
	for i := range p.Unused {
		u := &p.Unused[i]
		d.Unused = append(d.Unused, UnusedDoc{newEdgeDoc(u.Edge), word(u.Edge.Why), newRuleDocs(u.Rules)})
	}
	return d
}

func jsonRules(w io.Writer, p *Plan) error { return writeJSON(w, NewDocument(p)) }

func writeJSON(w io.Writer, doc any) error {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// csvRules writes a row for each rule, each edge without one, and each pair that
// no rule allows. No value begins like a formula: addresses and numbers do not,
// and of words the first letter is looked at.
func csvRules(w io.Writer, p *Plan) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	var failed error
	row := func(values ...string) {
		for i, v := range values {
			if v != "" && strings.IndexByte("=+-@|%", v[0]) >= 0 {
				values[i] = "'" + v
			}
		}
		failed = errors.Join(failed, c.Write(values))
	}
	row("action", "edge", "from", "to", "protocol", "ports", "source_ports", "flows", "because")
	rule := func(action string, r *Rule, because string) {
		var n uint64
		for _, e := range r.Edges {
			n += e.Flows
		}
		row(action, r.ID(), strings.Join(prefixTexts(r.From), " "), strings.Join(prefixTexts(r.To), " "), protoName(r.Proto),
			strings.Join(rangeTexts(r.Ports, "-"), " "), strings.Join(rangeTexts(r.SourcePorts, "-"), " "), strconv.FormatUint(n, 10), because)
	}
	for i := range p.Rules {
		rule("allow", &p.Rules[i], p.Rules[i].description())
	}
	for i := range p.Unused {
		u := &p.Unused[i]
		because := word("documented and never used: " + u.Edge.because() + "; " + u.Edge.Why)
		for k := range u.Rules {
			rule("unused", &u.Rules[k], because)
		}
		if len(u.Rules) == 0 {
			row("unused", word(u.Edge.ID), "", "", "", "", "", "0", because)
		}
	}
	for _, part := range []struct {
		action string
		list   []Flow
	}{{"undocumented", p.Undocumented}, {"ambient", p.Ambient}} {
		for i := range part.list {
			f := &part.list[i]
			ports := ""
			if !f.Service.Any {
				ports = f.Service.Ports.String()
			}
			row(part.action, "", f.Client.String(), f.Server.String(), protoName(f.Service.Proto), ports, "", strconv.FormatUint(f.Flows, 10), f.says())
		}
	}
	c.Flush()
	return errors.Join(failed, c.Error())
}

// The security groups of AWS as `aws ec2 create-security-group` and
// `authorize-security-group-ingress --ip-permissions` take them. They keep
// state, know nothing of source ports, and allow alone: what is not allowed is
// dropped. JSON has no comments; the remainders are members that AWS does not
// read.
type awsGroup struct {
	GroupName     string
	Description   string
	Members       []string `json:"Members"` // addresses that the group is for
	IPPermissions []awsPermission
}

type awsPermission struct {
	IPProtocol string     `json:"IpProtocol"`
	FromPort   int        `json:"FromPort"`
	ToPort     int        `json:"ToPort"`
	IPRanges   []awsRange `json:"IpRanges,omitempty"`
	IPv6Ranges []awsRange `json:"Ipv6Ranges,omitempty"`
}

type awsRange struct {
	CidrIP      string `json:"CidrIp,omitempty"`
	CidrIPv6    string `json:"CidrIpv6,omitempty"`
	Description string `json:"Description"`
}

func awsSG(w io.Writer, p *Plan) error {
	type document struct {
		Comment        string
		SecurityGroups []*awsGroup
		Unused         []UnusedDoc
		Undocumented   []FlowDoc
		Ambient        []FlowDoc
		Notes          []string
	}
	doc := NewDocument(p)
	d := document{Comment: "Made by wirechart from " + doc.Audit + " for " + doc.Diagram + ". One group for each set of servers; source ports cannot be restricted here.",
		SecurityGroups: []*awsGroup{}, Unused: doc.Unused, Undocumented: doc.Undocumented, Ambient: doc.Ambient, Notes: doc.Notes}
	groups := map[string]*awsGroup{}
	for i := range p.Rules {
		r := &p.Rules[i]
		members := prefixTexts(r.To)
		key := strings.Join(members, " ")
		g := groups[key]
		if g == nil {
			g = &awsGroup{GroupName: fmt.Sprintf("wirechart-%d", len(groups)+1), Description: short("inbound to "+key, 255), Members: members}
			groups[key] = g
			d.SecurityGroups = append(d.SecurityGroups, g)
		}
		var ranges []awsRange
		for _, from := range r.From {
			x := awsRange{CidrIP: from.String(), Description: short(awsText(r.description()), 255)}
			if r.V6 {
				x = awsRange{CidrIPv6: from.String(), Description: x.Description}
			}
			ranges = append(ranges, x)
		}
		for _, ports := range awsPorts(r) {
			perm := awsPermission{IPProtocol: awsProtocol(r.Proto), FromPort: ports[0], ToPort: ports[1]}
			if r.V6 {
				perm.IPv6Ranges = ranges
			} else {
				perm.IPRanges = ranges
			}
			g.IPPermissions = append(g.IPPermissions, perm)
		}
	}
	return writeJSON(w, d)
}

// awsText leaves what AWS takes in a description.
func awsText(s string) string { return strings.ReplaceAll(s, "'", "_") }

func awsProtocol(proto uint8) string {
	switch proto {
	case 1, 6, 17:
		return protoName(proto)
	}
	return strconv.Itoa(int(proto))
}

// awsPorts are the ports of a rule; of ICMP the type and -1 for every code.
func awsPorts(r *Rule) [][2]int {
	var out [][2]int
	for _, x := range r.Ports {
		if !isICMP(r.Proto) {
			out = append(out, [2]int{int(x.Low), int(x.High)})
			continue
		}
		for n := int(x.Low); n <= int(x.High); n++ {
			out = append(out, [2]int{n, -1})
		}
	}
	if len(out) == 0 {
		return [][2]int{{-1, -1}}
	}
	return out
}
