package rules

import (
	"cmp"
	"slices"
	"strings"

	"wirechart/flows"
	"wirechart/pcaps"
)

// Detail is what reports that draw pictures and fill tables show beside an
// Audit: how the flows lie in time, and what was spoken where. All of it is bounded; what found no room is counted.
type Detail struct {
	Services []Usage   // by server port, most flows first
	Apps     []Usage   // by protocol spoken, most flows first
	Begin    int64     // of the first bucket, packet time in nanoseconds
	Width    int64     // of a bucket, nanoseconds
	Buckets  []Buckets // flows by when they began
	Unlisted uint64    // flows that a list above had no room for
}

// Buckets are the numbers of flows that began in one stretch of time, by
// verdict.
type Buckets [kinds]uint64

// Usage counts the flows to one service, or of one protocol.
type Usage struct {
	Proto    uint8
	Port     uint16 // 0 where there are no ports, and for protocols spoken
	App      string // what was spoken; "" when it was not recognised, "…" when it differs
	Verdicts [kinds]Count
	Frame    pcaps.FrameID // of the first flow

	noEcho bool // messages of ICMP that are no echoes
}

// Name is the service as a diagram writes it.
func (u *Usage) Name() string {
	if u.noEcho {
		return protoName(u.Proto) // errors, neighbour discovery and the like: no service of anyone
	}
	return serviceName(u.Proto, u.Port, false)
}

const (
	maxUsages  = 1024
	maxBuckets = 240
	firstWidth = int64(10e6) // nanoseconds; doubled whenever the time does not fit
)

type usageKey struct {
	proto  uint8
	port   uint16
	noEcho bool
	app    string
}

type detail struct {
	Detail
	services map[usageKey]int
	apps     map[usageKey]int
	begun    bool
}

// KeepDetail makes the Audit come with its Detail.
func (t *Tally) KeepDetail() {
	t.detail = &detail{
		services: make(map[usageKey]int),
		apps:     make(map[usageKey]int),
		Detail:   Detail{Width: firstWidth},
	}
}

func (d *detail) add(f *flows.Flow, v *Verdict, bytes uint64) {
	d.when(f.Start, v.Kind)
	service := usageKey{proto: f.Proto}
	switch f.Proto {
	case flows.ProtoTCP, flows.ProtoUDP, flows.ProtoSCTP:
		service.port = f.Server.Port()
	case flows.ProtoICMP, flows.ProtoICMPv6:
		service.noEcho = !isEcho(f)
	}
	u := use(&d.Services, d.services, service, f)
	if u != nil {
		u.Verdicts[v.Kind].add(bytes)
		switch {
		case u.App == "":
			u.App = strings.Clone(f.App)
		case f.App != "" && u.App != f.App:
			u.App = "…"
		}
	}
	a := use(&d.Apps, d.apps, usageKey{proto: f.Proto, app: f.App}, f)
	if a != nil {
		a.Verdicts[v.Kind].add(bytes)
	}
	if u == nil || a == nil {
		d.Unlisted++
	}
}

// use finds or adds an entry of a list, nil when there is no room.
func use(list *[]Usage, at map[usageKey]int, k usageKey, f *flows.Flow) *Usage {
	i, ok := at[k]
	if !ok {
		if len(*list) == maxUsages {
			return nil
		}
		i = len(*list)
		app := strings.Clone(f.App) // or all that was learned of the flow would be kept with it
		if k.app != "" {
			k.app = app
		}
		at[k] = i
		*list = append(*list, Usage{Proto: k.proto, Port: k.port, App: app, Frame: f.Frame, noEcho: k.noEcho})
	}
	return &(*list)[i]
}

// when counts a flow in the bucket of its start. The first flow begins the
// first bucket, and what comes from before it counts there.
func (d *detail) when(start int64, k Kind) {
	if !d.begun {
		d.begun, d.Begin = true, start
	}
	at := max(start-d.Begin, 0)
	for at/d.Width >= maxBuckets {
		n := (len(d.Buckets) + 1) / 2
		for i := range n {
			sum := d.Buckets[2*i]
			if 2*i+1 < len(d.Buckets) {
				for k, c := range d.Buckets[2*i+1] {
					sum[k] += c
				}
			}
			d.Buckets[i] = sum
		}
		d.Buckets = d.Buckets[:n]
		d.Width *= 2
	}
	for int64(len(d.Buckets)) <= at/d.Width {
		d.Buckets = append(d.Buckets, Buckets{})
	}
	d.Buckets[at/d.Width][k]++
}

// result is the Detail in the order in which it is printed.
func (d *detail) result() *Detail {
	out := d.Detail
	most := func(a, b Usage) int {
		return cmp.Or(cmp.Compare(b.flows(), a.flows()), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port), cmp.Compare(a.App, b.App))
	}
	out.Services, out.Apps = slices.Clone(out.Services), slices.Clone(out.Apps)
	slices.SortStableFunc(out.Services, most)
	slices.SortStableFunc(out.Apps, most)
	return &out
}

func (u *Usage) flows() (n uint64) {
	for _, c := range u.Verdicts {
		n += c.Flows
	}
	return n
}
