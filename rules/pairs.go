package rules

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// HostPair is a client and a server that used one service: what the flows of an
// edge or of a finding were, as a firewall sees them.
type HostPair struct {
	Client, Server netip.Addr
	Proto          uint8
	Port           uint16 // the server's; 0 where the protocol has none
	Verdicts       [kinds]Count
	SourcePorts    [2]uint16     // lowest and highest of the client
	NotOpened      uint64        // of its flows, connections of TCP that were refused or never answered
	First, Last    int64         // packet times, nanoseconds
	Frame          pcaps.FrameID // where the first of its flows begins

	// What the two are called, "" where that is not known.
	ClientName, ServerName string

	echo bool
	apps [maxApps]string // protocols that were recognised
}

// maxApps is how many protocols of one pair at one port are told.
const maxApps = 3

// Apps are the protocols that were recognised, in the order in which they came.
func (p *HostPair) Apps() []string {
	n := slices.Index(p.apps[:], "")
	if n < 0 {
		n = maxApps
	}
	return p.apps[:n:n]
}

// Service is what the pair used: "tcp/7780", "icmp/echo".
func (p *HostPair) Service() string {
	if !p.echo && (p.Proto == flows.ProtoICMP || p.Proto == flows.ProtoICMPv6) {
		return protoName(p.Proto)
	}
	return serviceName(p.Proto, p.Port, false)
}

// isEcho says whether an ICMP flow is of echo requests or their replies.
func isEcho(f *flows.Flow) bool {
	switch f.Facts.Text(dissect.ICMPType) {
	case "8/0", "0/0", "128/0", "129/0":
		return true
	}
	return false
}

// Count is the flows of all verdicts.
func (p *HostPair) Count() (c Count) {
	for _, v := range p.Verdicts {
		c.Flows += v.Flows
		c.Bytes += v.Bytes
	}
	return c
}

// The bounds of what is kept: a scan has as many pairs as it tries ports.
const (
	maxPairs    = 256     // of one edge, finding, or kind of traffic
	maxAllPairs = 1 << 14 // of all together
	maxOthers   = 2048    // of traffic between hosts without a role
)

// pairList is the pairs of one edge or finding.
type pairList struct {
	list []*HostPair
	more uint64 // flows of pairs that found no room
}

// pairBook finds the pair that a flow is of.
type pairBook map[pairKey]*HostPair

type pairKey struct {
	of             *pairList
	client, server netip.Addr
	proto          uint8
	port           uint16
}

func (b pairBook) add(of *pairList, f *flows.Flow, kind Kind, bytes uint64) {
	if p := b.find(of, f, maxPairs); p != nil {
		p.add(f, kind, bytes)
	} else {
		of.more++
	}
}

// find is the pair of a flow, a new one where there is room for it.
func (b pairBook) find(of *pairList, f *flows.Flow, room int) *HostPair {
	k := pairKey{of, f.Client.Addr(), f.Server.Addr(), f.Proto, f.Server.Port()}
	p := b[k]
	if p == nil && len(of.list) < room && len(b) < maxAllPairs {
		port := f.Client.Port()
		p = &HostPair{Client: k.client, Server: k.server, Proto: k.proto, Port: k.port,
			SourcePorts: [2]uint16{port, port}, First: f.Start, Last: f.End, Frame: f.Frame, echo: isEcho(f)}
		b[k] = p
		of.list = append(of.list, p)
	}
	return p
}

func (p *HostPair) add(f *flows.Flow, kind Kind, bytes uint64) {
	p.Verdicts[kind].add(bytes)
	if t := &f.TCP; f.Proto == flows.ProtoTCP && t.SYNs > 0 && t.SYNACKs == 0 && !t.Acked && f.Payload.Sum() == 0 {
		p.NotOpened++
	}
	if f.App != "" {
		for i := range p.apps {
			if p.apps[i] == "" {
				p.apps[i] = strings.Clone(f.App) // or all that was learned of the flow would be kept with it
			}
			if p.apps[i] == f.App {
				break
			}
		}
	}
	p.SourcePorts[0] = min(p.SourcePorts[0], f.Client.Port())
	p.SourcePorts[1] = max(p.SourcePorts[1], f.Client.Port())
	p.First, p.Last = min(p.First, f.Start), max(p.Last, f.End)
}

// addOther counts a flow between hosts without a role. Once there are as many
// pairs as are kept, flows are only counted, whosever they are: there may be any
// number of them.
func (b pairBook) addOther(of *pairList, f *flows.Flow, bytes uint64) {
	if len(of.list) >= maxOthers {
		of.more++
		return
	}
	if p := b.find(of, f, maxOthers); p != nil {
		p.add(f, OutOfScope, bytes)
	} else {
		of.more++
	}
}

// named tells what the ends of pairs are called.
func (t *Tally) named(list []HostPair) []HostPair {
	name := func(a netip.Addr) string {
		if s := t.p.Name(a); s != a.String() {
			return s
		}
		return ""
	}
	for i := range list {
		list[i].ClientName, list[i].ServerName = name(list[i].Client), name(list[i].Server)
	}
	return list
}

// sorted is the pairs in the order of their addresses and ports.
func (l *pairList) sorted() []HostPair {
	if len(l.list) == 0 {
		return nil
	}
	list := make([]HostPair, len(l.list))
	for i, p := range l.list {
		list[i] = *p
	}
	slices.SortFunc(list, func(a, b HostPair) int {
		return cmp.Or(a.Client.Compare(b.Client), a.Server.Compare(b.Server), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
	return list
}
