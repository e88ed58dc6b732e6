package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"wirechart/flows"
	"wirechart/pcaps"
)

// CompareSchema is the schema that a comparison names.
const CompareSchema = "wirechart/compare/v1"

// The results of a comparison.
const (
	AllCrossed Result = "crossed"
	Between    Result = "between"
)

// CompareSide is what a comparison is told of one capture beside its packets.
type CompareSide struct {
	Name  string   // as given on the command line
	Files []string // what it came to, in the order of pcaps.Stats
	Lossy bool     // the capture says itself that it lacks frames, or is damaged
	Hosts Hosts    // names of hosts; nil for none
}

// CompareDoc is what two captures say of what is between them, as a document.
type CompareDoc struct {
	Schema  string            `json:"schema"`
	Result  Result            `json:"result" doc:"between when something failed between the two captures, undecided when the captures cannot tell, else crossed"`
	Summary string            `json:"summary" doc:"the result as a sentence"`
	Inside  placeDoc          `json:"inside"`
	Outside placeDoc          `json:"outside"`
	Joined  uint64            `json:"joined_flows" doc:"flows found in both captures"`
	Matched uint64            `json:"matched_packets" doc:"packets found in both captures"`
	Clock   clockDoc          `json:"clock"`
	Delay   travelDoc         `json:"delay" doc:"what the path between added, over the packets found in both captures"`
	Hops    int               `json:"hops,omitempty" doc:"by how much TTL or hop limit commonly differ between the captures"`
	Fates   map[string]uint64 `json:"fates" doc:"flows by what became of them"`

	Findings     []crossFindingDoc `json:"findings" doc:"flows of one fate and one service together, the most serious first, up to some hundreds"`
	MoreFindings uint64            `json:"more_findings,omitempty" doc:"findings that are not listed"`
	Rewrites     []rewriteDoc      `json:"rewrites" doc:"addresses and ports translated between, the first few hundred"`
	MoreRewrites uint64            `json:"more_rewrites,omitempty" doc:"rewrites that are not listed"`
	Flows        []crossDoc        `json:"flows" doc:"every flow, the most serious first, up to some thousands"`
	More         uint64            `json:"more_flows,omitempty" doc:"flows that are not listed"`
	Notes        []string          `json:"notes" doc:"what limits the answer"`
}

type placeDoc struct {
	Capture  string   `json:"capture" doc:"as given on the command line"`
	Files    []string `json:"files"`
	Frames   uint64   `json:"frames"`
	Flows    uint64   `json:"flows" doc:"flows to multicast and broadcast addresses left out"`
	Local    uint64   `json:"local_flows" doc:"flows between hosts of this side, not on their way across"`
	Group    uint64   `json:"group_flows" doc:"flows to multicast and broadcast addresses"`
	First    string   `json:"first,omitempty" format:"date-time"`
	Last     string   `json:"last,omitempty" format:"date-time"`
	LossRate float64  `json:"loss_rate" doc:"share of the packets that must have been here and are not in the capture"`
	Blind    []string `json:"blind,omitempty" doc:"directions that were not recorded: leaving, arriving"`

	Holes     []holeDoc `json:"holes,omitempty" doc:"times of which the capture has not one frame, while packets that were on their way past it are missing; the first few"`
	MoreHoles uint64    `json:"more_holes,omitempty" doc:"holes that are not listed"`
}

type holeDoc struct {
	From    string `json:"from" format:"date-time" doc:"the frame before, by the clock of the capture"`
	Until   string `json:"until" format:"date-time" doc:"the frame after"`
	Packets uint64 `json:"packets" doc:"missing then, about"`
	Flows   uint64 `json:"flows" doc:"of which they are"`
	Proven  bool   `json:"proven" doc:"some of them must have passed: the capture lost them, not the path"`
}

type clockDoc struct {
	Known     bool    `json:"known" doc:"packets went both ways, so that the offset is bounded from both sides"`
	Offset    float64 `json:"offset_s" doc:"by how much the clock of the outside capture is ahead, seconds"`
	Error     float64 `json:"error_s" doc:"the offset lies within this of offset_s; where known is false, the least delay is in the offset"`
	Drift     float64 `json:"drift_ppm,omitempty" doc:"by how much the outside clock runs faster, parts per million"`
	Given     bool    `json:"given,omitempty" doc:"the offset was given (--clock-offset)"`
	Guessed   bool    `json:"guessed,omitempty" doc:"the packets in common look all alike: the offset is what makes the most of them fit, and delays are not known"`
	Unsteady  bool    `json:"unsteady,omitempty" doc:"no offset and drift fit all packets: a clock was set during the capture"`
	RoundTrip float64 `json:"round_trip_ms" doc:"the least time from inside to outside and back, milliseconds"`
	Samples   []int   `json:"samples" doc:"packets compared: [inside to outside, outside to inside]"`
}

type travelDoc struct {
	Out *delayDoc `json:"inside_to_outside,omitempty"`
	In  *delayDoc `json:"outside_to_inside,omitempty"`
}

type delayDoc struct {
	Packets uint64  `json:"packets"`
	Min     float64 `json:"min_ms"`
	Median  float64 `json:"median_ms"`
	P95     float64 `json:"p95_ms"`
}

type crossFindingDoc struct {
	ID         string   `json:"id" doc:"the same in every comparison that finds the same"`
	Fate       string   `json:"fate"`
	Reason     string   `json:"reason,omitempty" doc:"why it is undecided, or how a flow that crossed went on"`
	By         string   `json:"by,omitempty" doc:"who refused, reset or dropped: between, server, client"`
	Directions []string `json:"directions,omitempty" doc:"in which it failed: to_server, to_client"`
	ClientSide string   `json:"client_side" doc:"inside or outside"`
	Service    string   `json:"service" doc:"transport and server, as the client addresses it"`
	Edge       string   `json:"edge,omitempty" doc:"edge of the diagram"`
	Flows      uint64   `json:"flows"`
	Clients    []string `json:"clients" doc:"addresses, the first few"`
	Lost       uint64   `json:"lost_packets,omitempty" doc:"packets that went in and did not come out"`
	Says       string   `json:"says" doc:"what was seen, as a sentence"`
	Do         string   `json:"do,omitempty" doc:"what to do next"`
	Example    crossDoc `json:"example" doc:"the first of the flows"`
}

type crossDoc struct {
	Fate       string    `json:"fate"`
	Reason     string    `json:"reason,omitempty"`
	By         string    `json:"by,omitempty"`
	Directions []string  `json:"directions,omitempty"`
	Proto      string    `json:"proto"`
	ClientSide string    `json:"client_side"`
	App        string    `json:"app,omitempty"`
	Edge       string    `json:"edge,omitempty"`
	Matched    string    `json:"matched_by,omitempty" doc:"how it is known that both captures show one flow: sequence, addresses_and_payload, payload, addresses"`
	Inside     *sightDoc `json:"inside,omitempty" doc:"absent where it was not seen"`
	Outside    *sightDoc `json:"outside,omitempty"`

	Compared   []uint64 `json:"compared_packets" doc:"[client to server, server to client]"`
	Lost       []uint64 `json:"lost_packets" doc:"went in and did not come out"`
	Uncaptured []uint64 `json:"uncaptured_packets" doc:"known to have passed, and missing in a capture"`
	LostBytes  []uint64 `json:"lost_bytes" doc:"of TCP payload, every transmission"`
	Rewritten  []string `json:"rewritten,omitempty" doc:"client, server, sequence"`

	ICMP     *crossICMP `json:"icmp,omitempty" doc:"error that answered it"`
	Hole     *holeDoc   `json:"hole,omitempty" doc:"time of which the other capture has nothing, which hides what became of it"`
	Crossed  string     `json:"crossed_until,omitempty" format:"date-time" doc:"of a flow that was cut off: time of the last packet that crossed, by the clock inside"`
	Delayed  float64    `json:"delayed_ms,omitempty" doc:"by how much longer than others it took, there and back"`
	ToServer *delayDoc  `json:"delay_to_server,omitempty"`
	ToClient *delayDoc  `json:"delay_to_client,omitempty"`
}

type crossICMP struct {
	Type uint8  `json:"type"`
	Code uint8  `json:"code"`
	From string `json:"from"`
	Name string `json:"name"`
}

// sightDoc is a flow as one capture shows it.
type sightDoc struct {
	Client    string   `json:"client" doc:"address and port"`
	Server    string   `json:"server" doc:"address and port"`
	Community string   `json:"community_id"`
	Packets   []uint64 `json:"packets" doc:"[client to server, server to client]"`
	State     string   `json:"tcp_state,omitempty" doc:"Zeek's conn_state"`
	TTL       []int    `json:"ttl" doc:"of the first packets of each direction; 0 where there are none"`
	File      string   `json:"file"`
	Frame     uint64   `json:"frame" doc:"the frame that shows it"`
	Time      string   `json:"time" format:"date-time"`
}

type rewriteDoc struct {
	Kind   string `json:"kind" doc:"source, destination or sequence"`
	Side   string `json:"client_side" doc:"where the clients are"`
	Before string `json:"before" doc:"as the client's side shows it"`
	After  string `json:"after" doc:"as the server's side shows it"`
	Ports  string `json:"ports,omitempty" doc:"kept or changed"`
	Flows  uint64 `json:"flows"`

	InsideFile   string `json:"inside_file"`
	InsideFrame  uint64 `json:"inside_frame"`
	OutsideFile  string `json:"outside_file"`
	OutsideFrame uint64 `json:"outside_frame"`
}

// Bounds of what a comparison lists.
const (
	maxCrossFlows    = 5000
	maxCrossFindings = 500
	maxCrossClients  = 8 // of one finding
	maxRewrites      = 300
	maxHoles         = 100
)

// NewCompareDoc makes the document of a comparison.
func NewCompareDoc(c *flows.Comparison, sides [2]CompareSide) *CompareDoc {
	x := &compareWriter{c: c, sides: sides, crossed: map[netip.Addr]bool{}}
	for i := range c.Crossings {
		if k := &c.Crossings[i]; k.Seen[flows.Inside] != nil && k.Seen[flows.Outside] != nil {
			x.crossed[k.Near().Server.Addr()] = true
		}
	}
	d := &CompareDoc{Schema: CompareSchema, Joined: c.Joined, Matched: c.Packets, Hops: c.Hops, Fates: map[string]uint64{},
		Flows: []crossDoc{}}
	d.Inside, d.Outside = x.place(flows.Inside), x.place(flows.Outside)
	d.Clock = clockDoc{
		Known: c.Clock.Known, Offset: float64(c.Clock.Offset) / 1e9, Error: float64(c.Clock.Error) / 1e9, Drift: c.Clock.Drift,
		Given: c.Clock.Given, Guessed: c.Clock.Guessed, Unsteady: c.Clock.Unsteady, RoundTrip: float64(c.Clock.RoundTrip) / 1e6, Samples: []int{int(c.Clock.Samples[0]), int(c.Clock.Samples[1])},
	}
	d.Delay = travelDoc{newDelayDoc(c.Delay[0]), newDelayDoc(c.Delay[1])}
	for _, f := range flows.Fates() {
		d.Fates[f.String()] = 0
	}
	for i := range c.Crossings {
		k := &c.Crossings[i]
		d.Fates[k.Fate.String()]++
		if i < maxCrossFlows {
			d.Flows = append(d.Flows, x.flow(k))
		} else {
			d.More++
		}
	}
	d.Findings, d.MoreFindings = x.findings()
	d.Rewrites, d.MoreRewrites = x.rewrites()
	d.Notes = x.notes()
	d.conclude(c)
	return d
}

// compareWriter makes parts of the document.
type compareWriter struct {
	c       *flows.Comparison
	sides   [2]CompareSide
	crossed map[netip.Addr]bool // servers, as clients address them, that flows crossed to
}

func (x *compareWriter) place(side flows.Side) placeDoc {
	p, s := &x.c.Places[side], &x.sides[side]
	d := placeDoc{Capture: s.Name, Files: s.Files, Frames: p.Frames, Flows: p.Flows, Local: p.Local, Group: p.Group,
		First: optionalTime(p.First), Last: optionalTime(p.Last), LossRate: p.LossRate()}
	if d.Files == nil {
		d.Files = []string{}
	}
	for i, name := range []string{"leaving", "arriving"} {
		if p.Blind[i] {
			d.Blind = append(d.Blind, name)
		}
	}
	for i := range p.Holes[:min(len(p.Holes), maxHoles)] {
		d.Holes = append(d.Holes, *newHoleDoc(&p.Holes[i]))
	}
	d.MoreHoles = uint64(len(p.Holes) - len(d.Holes))
	return d
}

func newHoleDoc(h *flows.Hole) *holeDoc {
	return &holeDoc{timestamp(h.From), timestamp(h.Until), h.Packets, h.Flows, h.Proven}
}

func newDelayDoc(d flows.Delay) *delayDoc {
	if d.Packets == 0 {
		return nil
	}
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	return &delayDoc{d.Packets, ms(d.Min), ms(d.Median), ms(d.P95)}
}

var directionNames = [...]string{"to_server", "to_client"}

// reason is why a flow is undecided or how it went on, in one word.
func reason(k *flows.Crossing) string {
	if k.Doubt != flows.NoDoubt {
		return k.Doubt.String()
	}
	if k.Ending == flows.ResetByEnd {
		return "reset"
	}
	if k.Fate == flows.Crossed && k.Ending == flows.Normal && k.Delayed > 0 {
		return "delayed"
	}
	return k.Ending.String()
}

// by is who did it.
func by(k *flows.Crossing) string {
	switch {
	case k.Fate.Between():
		return "between"
	case k.Ending == flows.Refused, k.Ending == flows.ResetByEnd && k.ByEnd == flows.ToClient:
		return "server"
	case k.Ending == flows.ResetByEnd:
		return "client"
	}
	return ""
}

func directions(k *flows.Crossing) (list []string) {
	for d, failed := range k.Dirs {
		if failed {
			list = append(list, directionNames[d])
		}
	}
	return list
}

func (x *compareWriter) flow(k *flows.Crossing) crossDoc {
	near := k.Near()
	d := crossDoc{
		Fate: k.Fate.String(), Reason: reason(k), By: by(k), Directions: directions(k), Proto: flows.ProtoName(near.Proto),
		ClientSide: k.Client.String(), App: cmp.Or(near.App, k.Far().App), Edge: cmp.Or(near.Edge, k.Far().Edge), Matched: k.Basis.String(),
		Inside: x.sight(k, flows.Inside), Outside: x.sight(k, flows.Outside),
		Compared: k.Compared[:], Lost: k.Lost[:], Uncaptured: k.Uncaptured[:], LostBytes: k.LostBytes[:],
		Delayed: float64(k.Delayed) / 1e6, ToServer: newDelayDoc(k.Delay[flows.ToServer]), ToClient: newDelayDoc(k.Delay[flows.ToClient]),
	}
	for _, r := range []struct {
		is   bool
		name string
	}{{k.ClientChanged, "client"}, {k.ServerChanged, "server"}, {k.SequenceChanged && k.Fate != flows.Intercepted, "sequence"}} {
		if r.is {
			d.Rewritten = append(d.Rewritten, r.name)
		}
	}
	if e := k.Error; e != nil {
		d.ICMP = &crossICMP{e.Type, e.Code, e.From.String(), icmpName(e.Type, e.Code, e.From.Is6())}
	}
	if k.Hole != nil && (k.Doubt == flows.InHole || k.Ending == flows.AcrossHole) {
		d.Hole = newHoleDoc(k.Hole)
	}
	if k.Fate == flows.CutOff {
		d.Crossed = optionalTime(k.Since[flows.Inside])
	}
	return d
}

func (x *compareWriter) sight(k *flows.Crossing, side flows.Side) *sightDoc {
	p := k.Seen[side]
	if p == nil {
		return nil
	}
	d := &sightDoc{Client: end(p.Client), Server: end(p.Server), Community: p.CommunityID(), Packets: p.Packets[:], TTL: []int{int(p.TTL[0]), int(p.TTL[1])},
		File: x.file(side, k.At[side].Frame), Frame: k.At[side].Frame.Number(), Time: timestamp(k.At[side].Time)}
	if p.Proto == flows.ProtoTCP {
		d.State = p.State.String()
	}
	if p.EchoID != 0 {
		d.Client += " id " + strconv.Itoa(int(p.EchoID))
	}
	return d
}

func (x *compareWriter) file(side flows.Side, id pcaps.FrameID) string {
	o := Options{Files: x.sides[side].Files}
	return o.file(id)
}

// findingKey says which flows are told together.
type findingKey struct {
	fate   flows.Fate
	doubt  flows.Doubt
	ending flows.Ending
	byEnd  uint8
	dirs   [2]bool
	client flows.Side
	proto  uint8
	server netip.AddrPort
	icmp   crossICMP
	slow   bool
	edge   string
}

func keyOf(k *flows.Crossing) findingKey {
	near := k.Near()
	key := findingKey{fate: k.Fate, doubt: k.Doubt, ending: k.Ending, dirs: k.Dirs, client: k.Client, proto: near.Proto, server: near.Server,
		edge: cmp.Or(near.Edge, k.Far().Edge)}
	if k.Ending == flows.ResetByEnd {
		key.byEnd = uint8(k.ByEnd)
	}
	if k.Error != nil {
		key.icmp = crossICMP{Type: k.Error.Type, Code: k.Error.Code, From: k.Error.From.String()}
	}
	switch k.Fate {
	case flows.Undecided, flows.NotCompared, flows.Elsewhere:
		key.server = netip.AddrPort{} // there may be many, and none says more than another
		key.proto, key.edge = 0, ""
	case flows.Crossed:
		if k.Ending == flows.Normal {
			return findingKey{fate: k.Fate, slow: k.Delayed > 0, client: k.Client, proto: near.Proto, server: near.Server, edge: key.edge}
		}
	}
	return key
}

// findings puts flows of one kind together, in the order of the crossings, and
// counts those for which the list has no room.
func (x *compareWriter) findings() (list []crossFindingDoc, more uint64) {
	list = []crossFindingDoc{}
	at := map[findingKey]int{}
	groups := [][]*flows.Crossing{}
	for i := range x.c.Crossings {
		k := &x.c.Crossings[i]
		key := keyOf(k)
		n, known := at[key]
		if !known {
			n = len(at)
			at[key] = n
			if n < maxCrossFindings {
				groups = append(groups, nil)
			}
		}
		if n < len(groups) {
			groups[n] = append(groups[n], k)
		}
	}
	for _, g := range groups {
		list = append(list, x.finding(g))
	}
	return list, uint64(len(at) - len(groups))
}

func (x *compareWriter) finding(group []*flows.Crossing) crossFindingDoc {
	k := group[0]
	f := crossFindingDoc{Fate: k.Fate.String(), Reason: reason(k), By: by(k), Directions: directions(k), ClientSide: k.Client.String(),
		Flows: uint64(len(group)), Clients: []string{}, Example: x.flow(k), Edge: cmp.Or(k.Near().Edge, k.Far().Edge)}
	for _, g := range group {
		client := g.Near().Client.Addr().String()
		if len(f.Clients) < maxCrossClients && !slices.Contains(f.Clients, client) {
			f.Clients = append(f.Clients, client)
		}
		f.Lost += g.Lost.Sum()
	}
	f.Service = x.service(k)
	id := []string{f.Fate, f.Reason, strings.Join(f.Directions, "+"), f.ClientSide, serviceID(k)}
	if keyOf(k).proto == 0 { // whatever the service
		if len(group) > 1 {
			f.Service = several
		}
		f.Edge, id[4] = "", ""
	}
	f.ID = strings.Join(slices.DeleteFunc(id, func(s string) bool { return s == "" }), "/")
	f.Says, f.Do = x.says(group)
	return f
}

// serviceID is the far end of a flow as its client addresses it, and the protocol.
func serviceID(k *flows.Crossing) string {
	near := k.Near()
	return flows.ProtoName(near.Proto) + "/" + end(near.Server)
}

// several is the service of a finding whose flows have more than one.
const several = "several"

// service is the same for people, with the server's name.
func (x *compareWriter) service(k *flows.Crossing) string {
	near := k.Near()
	s := flows.ProtoText(near.Proto) + " " + end(near.Server)
	side := k.Client
	if k.Seen[side] == nil {
		side = side.Other()
	}
	if p := x.sides[side].Hosts; p != nil {
		if name := p.HostName(near.Server.Addr()); name != "" {
			s += " (" + name + ")"
		}
	}
	return s
}

// rewrites lists what was translated, the most used first, and counts that for
// which the list has no room.
func (x *compareWriter) rewrites() (list []rewriteDoc, more uint64) {
	type key struct{ kind, side, before, after, ports string }
	at := map[key]int{}
	list = []rewriteDoc{}
	add := func(k *flows.Crossing, kind, before, after, ports string) {
		key := key{kind, k.Client.String(), before, after, ports}
		n, known := at[key]
		if !known {
			n = len(at)
			at[key] = n
			if n >= maxRewrites {
				return
			}
			in, out := k.At[flows.Inside].Frame, k.At[flows.Outside].Frame
			list = append(list, rewriteDoc{Kind: kind, Side: k.Client.String(), Before: before, After: after, Ports: ports,
				InsideFile: x.file(flows.Inside, in), InsideFrame: in.Number(), OutsideFile: x.file(flows.Outside, out), OutsideFrame: out.Number()})
		}
		if n < len(list) {
			list[n].Flows++
		}
	}
	ports := func(a, b uint16) string {
		switch {
		case a == 0 && b == 0:
			return ""
		case a == b:
			return "kept"
		}
		return "changed"
	}
	for i := range x.c.Crossings {
		k := &x.c.Crossings[i]
		if k.Seen[0] == nil || k.Seen[1] == nil {
			continue
		}
		near, far := k.Near(), k.Far()
		if k.ClientChanged {
			add(k, "source", near.Client.Addr().String(), far.Client.Addr().String(), ports(near.Client.Port()+near.EchoID, far.Client.Port()+far.EchoID))
		}
		if k.ServerChanged {
			add(k, "destination", end(near.Server), end(far.Server), "")
		}
		if k.SequenceChanged && k.Fate != flows.Intercepted {
			add(k, "sequence", end(near.Server), end(far.Server), "")
		}
	}
	slices.SortStableFunc(list, func(a, b rewriteDoc) int { return cmp.Compare(b.Flows, a.Flows) })
	return list, uint64(len(at) - len(list))
}

// conclude answers in one sentence.
func (d *CompareDoc) conclude(c *flows.Comparison) {
	counts := map[flows.Fate]uint64{}
	var refused, unanswered, reset, failed, total uint64
	for i := range c.Crossings {
		k := &c.Crossings[i]
		counts[k.Fate]++
		if k.Fate.Between() {
			failed++
		}
		if k.Fate <= flows.Crossed {
			total++
		}
		if k.Fate == flows.Crossed {
			switch k.Ending {
			case flows.Refused:
				refused++
			case flows.Unanswered:
				unanswered++
			case flows.ResetByEnd:
				reset++
			}
		}
	}
	var parts []string
	for _, f := range flows.Fates() {
		if f.Between() && counts[f] > 0 {
			parts = append(parts, number(counts[f])+" "+fateWord(f))
		}
	}
	ends := func() string {
		var list []string
		for _, e := range []struct {
			n    uint64
			says string
		}{{refused, "refused by the far host"}, {unanswered, "not answered by it"}, {reset, "reset by an end"}} {
			if e.n > 0 {
				list = append(list, number(e.n)+" "+e.says)
			}
		}
		if len(list) == 0 {
			return ""
		}
		return " (" + strings.Join(list, ", ") + ")"
	}
	undecided := counts[flows.Undecided]
	switch {
	case failed > 0:
		d.Result = Between
		d.Summary = fmt.Sprintf("Yes, it is between the two captures: of %s, %s; %s crossed%s",
			count(total, "flow"), strings.Join(parts, ", "), number(counts[flows.Crossed]), ends())
		if undecided > 0 {
			d.Summary += fmt.Sprintf(", and %s cannot be decided from these captures", number(undecided))
		}
		d.Summary += "."
	case c.Same:
		d.Result = Undecided
		d.Summary = "Undecided: every packet that both captures have has the same time in both: they are one capture, or parts of one, and say nothing about what is in between."
	case total == 0 || c.Packets == 0:
		d.Result = Undecided
		d.Summary = "Undecided: " + d.nothing(c)
	case undecided > 0:
		d.Result = Undecided
		d.Summary = fmt.Sprintf("Undecided: of %s, %s crossed%s, and %s cannot be decided from these captures.",
			count(total, "flow"), number(counts[flows.Crossed]), ends(), number(undecided))
	default:
		d.Result = AllCrossed
		d.Summary = fmt.Sprintf("No, it is not between the two captures: all %s crossed%s.", count(total, "flow"), ends())
	}
}

// nothing says why nothing could be compared.
func (d *CompareDoc) nothing(c *flows.Comparison) string {
	in, out := &c.Places[flows.Inside], &c.Places[flows.Outside]
	switch {
	case in.Frames == 0 || out.Frames == 0:
		return "one of the captures has no frames (with this filter)."
	case in.Last < out.First || out.Last < in.First:
		return "the captures have nothing in common and do not overlap in time."
	}
	return "the captures have no packet in common, so nothing shows that they belong to one path."
}

// fateWord is a fate for people.
func fateWord(f flows.Fate) string {
	switch f {
	case flows.CutOff:
		return "cut off"
	case flows.TooLarge:
		return "lost their large packets"
	case flows.Lossy:
		return "lost packets"
	case flows.Answered:
		return "answered on the way"
	case flows.NotCompared:
		return "not compared"
	}
	return f.String()
}

// fraction is a length of time for people, to the digits that matter below a
// second.
func fraction(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < 0:
		return "-" + fraction(-ns)
	case d < time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
