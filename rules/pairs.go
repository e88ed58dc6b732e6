package rules

import (
	"cmp"
	"net/netip"
	"slices"

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
	First, Last    int64         // packet times, nanoseconds
	Frame          pcaps.FrameID // where the first of its flows begins

	echo bool
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
	k := pairKey{of, f.Client.Addr(), f.Server.Addr(), f.Proto, f.Server.Port()}
	p := b[k]
	if p == nil {
		if len(of.list) >= maxPairs || len(b) >= maxAllPairs {
			of.more++
			return
		}
		port := f.Client.Port()
		p = &HostPair{Client: k.client, Server: k.server, Proto: k.proto, Port: k.port,
			SourcePorts: [2]uint16{port, port}, First: f.Start, Last: f.End, Frame: f.Frame, echo: isEcho(f)}
		b[k] = p
		of.list = append(of.list, p)
	}
	p.Verdicts[kind].add(bytes)
	p.SourcePorts[0] = min(p.SourcePorts[0], f.Client.Port())
	p.SourcePorts[1] = max(p.SourcePorts[1], f.Client.Port())
	p.First, p.Last = min(p.First, f.Start), max(p.Last, f.End)
}

// sorted is the pairs in the order of their addresses and ports.
func (l *pairList) sorted() []HostPair {
	var list []HostPair
	for _, p := range l.list {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b HostPair) int {
		return cmp.Or(a.Client.Compare(b.Client), a.Server.Compare(b.Server), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
	return list
}
