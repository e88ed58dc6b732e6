package report

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// Explanation is a finding, an edge, a flow or a frame, explained by flows.
type Explanation struct {
	Finding *rules.Finding   // nil unless a finding was asked for
	Number  int              // of the finding in the report; 0 for a concern
	Edge    *rules.EdgeState // nil unless an edge was asked for
	Frame   pcaps.FrameID    // 0 unless a frame was asked for
	Flows   []Explained
	More    []uint64 // ids of flows of the same kind that are not shown, the first few
	Others  uint64   // how many flows are not shown

	Evidence string // capture that the frames were written to; "" for none
	Written  int    // frames in it
	Hex      bool   // show the bytes
	Payload  bool   // user data and secrets included
}

// Explained is one flow of an Explanation.
type Explained struct {
	Story    *flows.Story
	Verdict  *rules.Verdict
	Checks   []rules.Check // of the verdict's edge
	Unknowns []rules.Unknown
}

// proofs are the reasons and concerns that a frame proves.
func (x *Explained) proofs(frame pcaps.FrameID) []rules.Because {
	var list []rules.Because
	for _, reasons := range [][]rules.Because{x.Verdict.Reasons, x.Verdict.Concerns} {
		for _, b := range reasons {
			if b.Frame == frame && frame != 0 {
				list = append(list, b)
			}
		}
	}
	return list
}

// EvidenceComment is what a capture of the evidence says of a step: what was
// asked for, the flow, what the frame proves, and what was left out of it.
func (x *Explained) EvidenceComment(e *Explanation, s *flows.Sighting, masked, cut int, o *Options) string {
	f := x.Story.Flow
	about := fmt.Sprintf("flow %d, %s > %s %s", f.ID, end(f.Client), end(f.Server), flows.ProtoText(f.Proto))
	if e.Finding != nil {
		about = "finding " + e.Finding.ID + " (" + e.Finding.Reason.String() + "), " + about
	}
	if e.Edge != nil {
		about = "edge " + e.Edge.Edge.ID + ", " + about
	}
	about += fmt.Sprintf("; frame %d of %s", s.Packet.Frame.Number(), o.file(s.Packet.Frame))
	list := []string{about}
	for _, b := range x.proofs(s.Packet.Frame) {
		list = append(list, "proves "+b.Reason.String()+": "+says(f, b))
	}
	switch {
	case masked > 0 && cut > 0:
		list = append(list, fmt.Sprintf("%s overwritten with x, and %s after them left out: user data or secrets", bytesOf(masked), bytesOf(cut)))
	case masked > 0:
		list = append(list, bytesOf(masked)+" overwritten with x: user data or secrets")
	case cut > 0:
		list = append(list, bytesOf(cut)+" of payload left out")
	}
	for i := range list {
		list[i] = Clean(list[i])
	}
	return strings.Join(list, "\n")
}

func bytesOf(n int) string { return count(uint64(n), "byte") }

// explainTable writes an Explanation for people.
func explainTable(w io.Writer, e *Explanation, o *Options) error {
	p := &page{w: w, o: o}
	p.asked(e)
	for i := range e.Flows {
		p.explained(e, &e.Flows[i])
	}
	if e.Others > 0 {
		more := count(e.Others, "more flow")
		var ids []string
		for _, id := range e.More {
			ids = append(ids, strconv.FormatUint(id, 10))
		}
		if len(ids) > 0 {
			more += ", by " + strings.TrimPrefix(count(uint64(len(ids)), "id"), number(uint64(len(ids)))+" ") + " " + strings.Join(ids, ", ")
			if uint64(len(ids)) < e.Others {
				more += ", …"
			}
			more += ": --flow ID"
		}
		p.print("\n")
		p.mark(0, "·", dim, more)
	}
	if e.Evidence != "" {
		p.print("\n")
		what := "user data and secrets left out (--payload keeps them)"
		if e.Payload {
			what = "with all that was captured of them"
		}
		p.mark(0, "→", cyan, count(uint64(e.Written), "frame")+" written to "+e.Evidence+", each with a comment, "+what)
	}
	return p.err
}

// asked writes what is explained.
func (p *page) asked(e *Explanation) {
	if f := e.Finding; f != nil {
		name := "finding " + f.ID
		if e.Number > 0 {
			name = fmt.Sprintf("finding %d, %s", e.Number, f.ID)
		}
		word, st := strings.ToUpper(kindWord(f.Kind)), kindStyle(f.Kind)
		if e.Number == 0 {
			word, st = "CONCERN", yellow
		}
		p.print(p.o.paint(st, word) + "  " + p.o.paint(bold, Clean(f.From+" → "+f.To+"  "+f.Service)) + "  " + p.o.paint(dim, name) + "\n")
		what, _ := told(f)
		p.para(2, plain, what)
	}
	if s := e.Edge; s != nil {
		sign, st := edgeMark(s.Status)
		p.print(p.o.paint(st, sign+" "+s.Status.String()) + "  " + p.o.paint(bold, "edge "+Clean(s.Edge.ID)) + "  " + p.o.paint(dim, edgeAt(s.Edge)) + "\n")
		p.para(2, plain, ends(s.Edge)+" over "+services(s.Edge))
		if s.Status == rules.EdgeNotSeen {
			p.para(2, plain, capital(s.Why))
			p.required(s.Edge, "by the", nil)
			settle := "a capture of the two hosts while the client is active would show it"
			if !s.CouldShow {
				settle = "a capture with both of its ends would show it; an inventory (--inventory) says which hosts they are"
			}
			p.heading("Unknown", "")
			p.mark(2, "·", dim, "Whether the edge is used: "+settle+".")
		}
	}
}

func (p *page) explained(e *Explanation, x *Explained) {
	f, v := x.Story.Flow, x.Verdict
	if e.Finding != nil || e.Edge != nil {
		p.print("\n")
	}
	app := flows.ProtoText(f.Proto)
	if f.App != "" && !strings.HasPrefix(app, f.App) { // icmpv6, icmp
		app += ", " + f.App
	}
	flow, both := fmt.Sprintf("Flow %d", f.ID), Clean(p.flow(f.Client, f.Server))
	line, below := both+"  "+Clean(app), ""
	if cells(flow+line+kindWord(v.Kind))+4 > p.o.width() { // the ends have a line of their own
		line, below = Clean(app), both
	}
	p.print(p.o.paint(bold, flow) + "  " + line + "  " + p.o.paint(kindStyle(v.Kind), kindWord(v.Kind)) + "\n")
	if below != "" {
		p.para(2, plain, below)
	}
	p.para(2, plain, p.hostWithRoles(f.Client.Addr())+" → "+p.hostWithRoles(f.Server.Addr()))
	about := fmt.Sprintf("%s UTC, %s; %s, %s", strings.Replace(timestamp(f.Start)[:23], "T", " ", 1), span(f.End-f.Start),
		count(f.Packets.Sum(), "packet"), size(f.Bytes.Sum()))
	if f.Proto == flows.ProtoTCP {
		about += "; " + map[flows.EndReason]string{flows.CaptureEnd: "open when the capture ended", flows.Closed: "closed by both ends",
			flows.Reset: "ended by a reset", flows.Idle: "went silent", flows.Evicted: "ended early to make room"}[f.Ended]
	}
	if len(f.Tunnel) > 0 {
		about += "; inside " + strings.Join(f.Tunnel, " ")
	}
	p.para(2, dim, about)

	p.heading("Frames", "Wireshark's numbers, seconds; → from the client; bare ACKs left out")
	for _, s := range x.Story.Steps {
		p.left(&s.Before)
		p.step(e, x, s)
	}
	p.left(&x.Story.After)
	for _, m := range x.Story.Concluded {
		p.message(&m)
	}

	if v.Edge != nil {
		by := "by the"
		if v.Kind == rules.Undocumented {
			by = "by the nearest"
		}
		p.required(v.Edge, by, x.Checks)
	}
	p.seen(f)
	p.verdict(f, v)
	if len(x.Unknowns) > 0 {
		p.heading("Unknown", "and what would settle it")
		for _, u := range x.Unknowns {
			p.mark(2, "?", yellow, capital(u.What))
			p.mark(4, "→", cyan, capital(u.Settle))
		}
	}
}

// hostWithRoles is a host with its name and its roles, where hosts are known.
func (p *page) hostWithRoles(a netip.Addr) string {
	s := a.String()
	if hosts := p.o.Hosts; hosts != nil {
		if name := hosts.HostName(a); name != "" {
			s += " " + name
		}
		s += " (" + cmp.Or(componentIDs(hosts.Roles(a)), "no role") + ")"
	}
	return s
}

// stepIndent is where the words about a frame begin.
const stepIndent = 22

// left says how many frames are passed over.
func (p *page) left(l *flows.Left) {
	if l.Frames == l.Acks { // nothing to speak of
		return
	}
	var parts []string
	if n := l.Frames - l.Acks - l.Copies; n > 0 {
		parts = append(parts, fmt.Sprintf("%s with %s → and %s ←", count(n, "frame"), size(l.Payload[0]), size(l.Payload[1])))
	}
	if l.Copies > 0 {
		parts = append(parts, count(l.Copies, "frame")+" that the mirror copied")
	}
	p.para(stepIndent-2, dim, "⋮ "+strings.Join(parts, ", "))
}

// step writes one frame: a line from its headers, then the messages in it as a
// tree, then what it proves.
func (p *page) step(e *Explanation, x *Explained, s *flows.Sighting) {
	arrow := "→"
	if s.Dir == flows.ToClient {
		arrow = "←"
	}
	at := fmt.Sprintf("%7s %10.6f  ", strconv.FormatUint(s.Packet.Frame.Number(), 10), float64(s.Packet.Time-x.Story.Flow.Start)/1e9)
	text := header(x.Story.Flow, s)
	lines := wrap(Clean(text), p.o.width()-stepIndent-2, 0)
	p.print(at + p.o.paint(cyan, arrow) + " " + lines[0] + "\n")
	for _, line := range lines[1:] {
		p.print(strings.Repeat(" ", stepIndent) + line + "\n")
	}
	for i := range s.Messages {
		p.message(&s.Messages[i])
	}
	for _, b := range x.proofs(s.Packet.Frame) {
		p.mark(stepIndent, "◂", red, "proves "+b.Reason.String())
	}
	if e.Hex {
		for line := range strings.Lines(hex.Dump(e.bytes(s))) {
			p.print("    " + p.o.paint(dim, Clean(strings.TrimSuffix(line, "\n"))) + "\n")
		}
	}
}

// bytes are those of a step that may be shown.
func (e *Explanation) bytes(s *flows.Sighting) []byte {
	if e.Payload {
		return s.Packet.Data
	}
	data, _, _ := s.Public()
	return data
}

// flagNames are TCP flags as they are spoken: SYN ACK, FIN ACK.
func flagNames(flags uint8) []string {
	var names []string
	for i, name := range [...]string{"FIN", "SYN", "RST", "PSH", "ACK"} {
		if flags&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// header is a frame by its headers.
func header(f *flows.Flow, s *flows.Sighting) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case s.Part:
		add("fragment of an IP datagram, %s", bytesOf(s.Payload))
	case s.Quoted:
		add("ICMP error from %s about this flow: %s", s.From, icmpWords(f, s))
	case f.Proto == flows.ProtoTCP:
		if s.Payload > 0 {
			add("%s", bytesOf(s.Payload))
		}
		flags := slices.DeleteFunc(flagNames(s.Flags), func(name string) bool { return name == "PSH" })
		add("%s", strings.Join(flags, " "))
		add("seq %d", s.Seq)
		if s.Flags&flows.ACK != 0 {
			add("ack %d", s.Ack)
		}
		if s.Flags&(flows.SYN|flows.RST) != 0 {
			add("ttl %d", s.TTL)
		}
		if s.Window == 0 && s.Flags&flows.RST == 0 {
			add("window 0")
		}
	case f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6:
		add("%s", icmpWords(f, s))
	default:
		add("%s", bytesOf(s.Payload))
	}
	if s.Again {
		add("sent again")
	}
	if s.Late {
		add("arrived late")
	}
	if s.Ahead {
		add("bytes before it are missing or late")
	}
	if s.Copy {
		add("copy made by the mirror")
	}
	if missing := s.Packet.WireLen - len(s.Packet.Data); missing > 0 {
		add("cut by the snap length: %s missing", bytesOf(missing))
	}
	return strings.Join(parts, ", ")
}

// icmpWords is an ICMP message by its type and code.
func icmpWords(f *flows.Flow, s *flows.Sighting) string {
	return icmpName(s.ICMPType, s.ICMPCode, f.Client.Addr().Is6())
}

// icmpName is a type and code of ICMP, or of ICMPv6, in words.
func icmpName(t, c uint8, v6 bool) string {
	kind := fmt.Sprintf("type %d code %d", t, c)
	words := map[[2]uint8]string{{0, 0}: "echo reply", {8, 0}: "echo request", {3, 0}: "network unreachable", {3, 1}: "host unreachable",
		{3, 2}: "protocol unreachable", {3, 3}: "port unreachable", {3, 4}: "fragmentation needed", {3, 9}: "network prohibited",
		{3, 10}: "host prohibited", {3, 13}: "administratively prohibited", {5, 1}: "redirect", {11, 0}: "time exceeded"}
	if v6 {
		words = map[[2]uint8]string{{128, 0}: "echo request", {129, 0}: "echo reply", {1, 0}: "no route", {1, 1}: "administratively prohibited",
			{1, 3}: "address unreachable", {1, 4}: "port unreachable", {2, 0}: "packet too big", {3, 0}: "time exceeded",
			{130, 0}: "multicast listener query", {131, 0}: "multicast listener report", {132, 0}: "multicast listener done",
			{133, 0}: "router solicitation", {134, 0}: "router advertisement", {135, 0}: "neighbour solicitation",
			{136, 0}: "neighbour advertisement", {137, 0}: "redirect", {143, 0}: "multicast listener report"}
	}
	if w := words[[2]uint8{t, c}]; w != "" {
		return w + " (" + kind + ")"
	}
	return "ICMP " + kind
}

// message writes one message of the tree.
func (p *page) message(m *dissect.Message) {
	indent := stepIndent + 2*m.Level
	sign, st := "·", dim
	if m.Concludes {
		sign, st = "=", green
	}
	text, first := m.Text, m.Text
	if len(m.Fields) > 0 {
		text += ": " + fieldText(m.Fields)
		first += ":"
	}
	lead := strings.Repeat(" ", indent)
	for i, line := range wrap(Clean(text), max(p.o.width()-indent-2, 30), 0) {
		if i == 0 {
			if rest, ok := strings.CutPrefix(line, Clean(first)); ok && len(m.Fields) > 0 {
				line = p.o.paint(bold, Clean(first)) + rest
			}
			p.print(lead + p.o.paint(st, sign) + " " + line + "\n")
		} else {
			p.print(lead + "  " + line + "\n")
		}
	}
}

func fieldText(fields []dissect.Field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, f.Name+" "+f.Value)
	}
	return strings.Join(parts, "; ")
}

// required writes an edge and how its requirements fared.
func (p *page) required(e *rules.Edge, by string, checks []rules.Check) {
	p.heading("Required", by+" edge "+e.ID+" ("+edgeAt(e)+")")
	p.para(2, plain, ends(e)+" over "+services(e))
	if source := e.Source; source != "" {
		if e.Where != "" {
			source += ", " + e.Where
		}
		p.para(2, dim, "source: "+source)
	}
	if e.OurReading != "" {
		p.para(2, dim, "our reading: "+e.OurReading)
	}
	if checks == nil {
		for _, r := range e.Require {
			p.mark(2, "·", dim, r.String())
		}
		for _, r := range e.Expect {
			p.mark(2, "·", dim, r.String()+" where it can be seen")
		}
	}
	for _, c := range checks {
		sign, st := "?", yellow
		switch c.Result {
		case rules.Holds:
			sign, st = "✓", green
		case rules.Contradicted:
			sign, st = "✗", red
		}
		text := c.Requirement.String()
		if !c.Must {
			text += " where it can be seen"
		}
		switch {
		case c.Saw != "":
			text += ", saw " + c.Saw
		case c.Result != rules.Holds:
			text += ", " + c.Result.String()
		}
		if at := p.o.place(c.Frame); at != "" && c.Result != rules.Unseen {
			text += " (" + at + ")"
		}
		p.mark(2, sign, st, text)
	}
}

// seen writes the facts, each with the frame that shows it.
func (p *page) seen(f *flows.Flow) {
	rows := [][]cell{}
	facts := slices.Clone(f.Facts.All())
	slices.SortStableFunc(facts, func(a, b dissect.Fact) int { return int(a.Key) - int(b.Key) })
	for i := 0; i < len(facts); {
		n := 1
		for i+n < len(facts) && facts[i+n].Key == facts[i].Key {
			n++
		}
		value := string(appendFact(nil, facts[i].Key.Info().Kind, facts[i:i+n]))
		value = strings.NewReplacer(`","`, ", ", `["`, "", `"]`, "").Replace(value)
		switch facts[i].Key.Info().Kind {
		case dissect.Ints:
			value = strings.ReplaceAll(strings.Trim(value, "[]"), ",", ", ")
		case dissect.Pair:
			value = strings.Replace(strings.Trim(value, "[]"), ",", " →, ", 1) + " ←"
		}
		value = strings.Trim(value, `"`)
		rows = append(rows, []cell{{facts[i].Key.String(), dim}, cellOf(value), {p.o.place(pcaps.FrameID(facts[i].Frame())), dim}})
		i += n
	}
	if len(rows) == 0 {
		return
	}
	p.heading("Seen", "")
	p.grid(2, []column{{}, {wide: true}, {}}, rows)
}

// verdict writes what was judged and why.
func (p *page) verdict(f *flows.Flow, v *rules.Verdict) {
	p.heading("Verdict", kindWord(v.Kind)+": "+kindMeans(v.Kind))
	write := func(sign string, st style, b rules.Because) {
		text := b.Reason.String() + ": " + says(f, b)
		if at := p.o.place(b.Frame); at != "" {
			text += " (" + at + ")"
		}
		p.mark(2, sign, st, text)
		if v.Kind == rules.Undocumented && b.Reason.Blocks() {
			return // nobody should open a way for what is not documented
		}
		p.mark(4, "→", cyan, capital(b.Reason.Do()))
	}
	sign := "✗"
	if v.Kind == rules.Indeterminate {
		sign = "?"
	}
	for _, b := range v.Reasons {
		write(sign, kindStyle(v.Kind), b)
	}
	for _, b := range v.Concerns {
		write("!", yellow, b)
	}
}
