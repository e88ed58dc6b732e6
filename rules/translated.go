package rules

import (
	"fmt"
	"net/netip"
	"slices"

	"wirechart/flows"
	"wirechart/pcaps"
)

// translated knows the connections that the captures have twice, before and behind a
// device that translates addresses: the numbers that both ends began with are the
// same, and the addresses are not. Who calls is then known from the side of the
// client, and who is called from that of the server.
type translated struct {
	recent []leg                 // the connections met last, by a hash of the numbers
	pairs  map[pcaps.FrameID]leg // by the frame that began either of the two: their true ends
	count  int
	names  []translation
}

// leg is a connection as one side of the device shows it.
type leg struct {
	isn            uint64
	start          int64
	frame          pcaps.FrameID
	ttl            uint8 // of what the client sent
	client, server netip.AddrPort
}

// translation is an address of the device, and the hosts that it stands for, as many
// as are counted.
type translation struct {
	shown netip.Addr
	own   []netip.Addr
}

const (
	recentBits    = 11
	maxTranslated = 1 << 16
	maxShown      = 8             // addresses of devices that are told
	maxBehind     = 64            // hosts behind one of them that are counted
	legsDiffer    = 3_000_000_000 // nanoseconds: how far apart the two may begin, for the clocks of two captures
	noSequences   = 1 << 32       // the product of the two numbers at the least; generators begin at 0 or 1
)

// meet returns f as its roles are to be learned from it: of the second side of a
// connection whose first is known the client is the one of the first.
func (t *translated) meet(f *flows.Flow) *flows.Flow {
	c := &f.TCP
	if f.Proto != flows.ProtoTCP || c.SYNs == 0 || c.SYNACKs == 0 || uint64(c.ISN[0])*uint64(c.ISN[1]) < noSequences {
		return f
	}
	l := leg{uint64(c.ISN[0])<<32 | uint64(c.ISN[1]), f.Start, f.Frame, c.TTL[0], f.Client, f.Server}
	if t.recent == nil {
		t.recent = make([]leg, 1<<recentBits)
	}
	slot := &t.recent[l.isn*0x9e3779b97f4a7c15>>(64-recentBits)]
	o := *slot
	*slot = l
	if o.isn != l.isn || o.client.Addr() == l.client.Addr() && o.server.Addr() == l.server.Addr() ||
		l.start-o.start > legsDiffer || o.start-l.start > legsDiffer {
		return f
	}
	first, second := &o, &l
	if l.ttl > o.ttl && o.ttl != 0 || l.ttl == o.ttl && l.start < o.start {
		first, second = second, first
	}
	t.join(first, second)
	if second == &o || first.client == second.client {
		return f
	}
	g := *f
	g.Client = netip.AddrPortFrom(first.client.Addr(), f.Client.Port())
	return &g
}

// join notes two sides of one connection.
func (t *translated) join(first, second *leg) {
	if _, known := t.pairs[first.frame]; known || len(t.pairs) >= 2*maxTranslated {
		return
	}
	if t.pairs == nil {
		t.pairs = map[pcaps.FrameID]leg{}
	}
	ends := leg{client: first.client, server: second.server}
	t.pairs[first.frame], t.pairs[second.frame] = ends, ends
	t.count++
	t.name(first.server.Addr(), second.server.Addr())
	t.name(second.client.Addr(), first.client.Addr())
}

// name notes that shown stands for own.
func (t *translated) name(shown, own netip.Addr) {
	if shown == own {
		return
	}
	i := slices.IndexFunc(t.names, func(n translation) bool { return n.shown == shown })
	if i < 0 {
		if len(t.names) > maxShown {
			return
		}
		i = len(t.names)
		t.names = append(t.names, translation{shown: shown})
	}
	if n := &t.names[i]; len(n.own) <= maxBehind && !slices.Contains(n.own, own) {
		n.own = append(n.own, own)
	}
}

// ends are the true ends of f.
func (t *translated) ends(f *flows.Flow) (client, server netip.Addr) {
	client, server = f.Client.Addr(), f.Server.Addr()
	if len(t.pairs) > 0 {
		if l, ok := t.pairs[f.Frame]; ok {
			return l.client.Addr(), l.server.Addr()
		}
	}
	return client, server
}

// note says it in a sentence; "" where there is nothing to say.
func (t *translated) note(name func(netip.Addr) string) string {
	if t.count == 0 {
		return ""
	}
	var list []string
	for _, n := range t.names[:min(len(t.names), maxShown)] {
		of := name(n.own[0])
		if hosts := len(n.own); hosts > maxBehind {
			of = fmt.Sprintf("more than %d hosts", maxBehind)
		} else if hosts > 1 {
			of = fmt.Sprintf("%d hosts", hosts)
		}
		list = append(list, fmt.Sprintf("%s for %s", n.shown, of))
	}
	connections := "1 connection is"
	if t.count > 1 {
		connections = fmt.Sprintf("%d connections are", t.count)
	}
	rest := ""
	if len(t.names) > maxShown {
		rest = " and others"
	}
	return fmt.Sprintf("%s in the captures twice, before and behind a device that translates addresses (%s%s): each counts twice, and is judged by its true ends.",
		connections, some(list), rest)
}
