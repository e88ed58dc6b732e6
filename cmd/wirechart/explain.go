package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// question is what explain is asked about, and how to answer.
type question struct {
	finding, edge, flow, frame string

	write   string
	hex     bool
	payload bool
}

func explainCommand() *cobra.Command {
	o, q := &options{}, &question{}
	cmd := &cobra.Command{
		Use:   "explain CAPTURE... {--finding ID | --flow ID | --edge ID | --frame N}",
		Short: "the evidence, frame by frame: what was required, what was seen, what remains unknown",
		Long: `explain reads the captures a second time and shows one connection: its frames with
the messages in them, what the diagram requires, what was seen and in which frame,
the verdict, and what remains unknown with the capture that would settle it.

  wirechart explain site.pcapng --finding 1         as numbered in the report, or by id
  wirechart explain site.pcapng --edge agent-backup one connection for each verdict
  wirechart explain site.pcapng --flow 18           as numbered by wirechart flows
  wirechart explain site.pcapng --frame 266         the connection that a frame is of
  wirechart explain day1.pcap day2.pcap --frame day2.pcap:266

With -w the frames shown are also written to a capture, each with a comment that says
what it proves. Tokens, cookies, passwords and user data are never shown; in that
capture they are overwritten or left out, unless --payload is given.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExplain(cmd, o, q, args)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfExplain)
	diagramFlags(cmd.Flags(), o)
	fs := cmd.Flags()
	fs.StringVar(&q.finding, "finding", "", "explain the finding or concern `ID`, or the finding of that number in the report")
	fs.StringVar(&q.flow, "flow", "", "explain the flow `ID`, a number or a Community ID")
	fs.StringVar(&q.edge, "edge", "", "explain the edge `ID` of the diagram")
	fs.StringVar(&q.frame, "frame", "", "explain the flow that frame `N` is of; FILE:N where there are several captures")
	fs.StringVarP(&q.write, "write", "w", "", "write the frames shown to `FILE`, a pcapng capture with comments")
	fs.BoolVar(&q.hex, "hex", false, "show the bytes of each frame")
	fs.BoolVar(&q.payload, "payload", false, "keep user data and secrets in --write and --hex")
	return cmd
}

// pickedFlow is a flow to be explained.
type pickedFlow struct {
	flow    *flows.Flow
	verdict *rules.Verdict
}

func pickFlow(f *flows.Flow, v *rules.Verdict) pickedFlow {
	kept := *v
	kept.Reasons, kept.Concerns = slices.Clone(v.Reasons), slices.Clone(v.Concerns)
	return pickedFlow{f.Clone(), &kept}
}

// choice is the flows that answer a question: those to be shown, and the ids
// of others like them.
type choice struct {
	shown []pickedFlow
	more  []uint64
	count uint64
}

const maxMore = 8 // ids named of flows that are not shown

// add takes a flow: to be shown, or to be counted.
func (c *choice) add(f *flows.Flow, v *rules.Verdict, show bool) {
	c.count++
	switch {
	case show:
		c.shown = append(c.shown, pickFlow(f, v))
	case len(c.more) < maxMore:
		c.more = append(c.more, f.ID)
	}
}

// explainer answers one question from the captures.
type explainer struct {
	q      *question
	j      *job
	files  []string
	tally  *rules.Tally
	chosen choice
	byID   map[string]*choice // for every finding: which one is asked for may only be known at the end

	frame  pcaps.FrameID // asked for
	packet *pcaps.Packet // that frame
	last   uint64        // id of the last flow
}

func runExplain(cmd *cobra.Command, o *options, q *question, args []string) error {
	asked := 0
	for _, s := range []string{q.finding, q.flow, q.edge, q.frame} {
		if s != "" {
			asked++
		}
	}
	if asked != 1 {
		return errors.New("explain: say what to explain: one of --finding ID, --flow ID, --edge ID, --frame N")
	}
	if err := readTwice("explain", slices.Concat(o.captures, args)); err != nil {
		return err
	}
	j, out, err := o.prepare(cmd, args, report.OfExplain)
	if err != nil {
		return err
	}
	defer out.abandon()
	if q.edge != "" && j.diagram.Edge(q.edge) == nil {
		return unknownEdge(q.edge, j.diagram)
	}
	e, err := explain(cmd.Context(), q, j, out)
	if err != nil {
		return err
	}
	e.Hex, e.Payload = q.hex, q.payload
	if q.write != "" && len(e.Flows) > 0 {
		if e.Written, err = writeEvidence(q.write, e, out.options); err != nil {
			return err
		}
		e.Evidence = q.write
	}
	return out.finish(out.format.Explain(out, e, out.options))
}

// explain answers a question: it reads the captures to find what is asked
// about, and again to tell it.
func explain(ctx context.Context, q *question, j *job, out *output) (*report.Explanation, error) {
	j.fingerprints = true
	x := &explainer{q: q, j: j, tally: rules.NewTally(j.policy), byID: map[string]*choice{}}
	j.begin = func(files []string) { x.files, out.options.Files = files, files }
	j.each = x.each
	if q.frame != "" {
		j.before = x.look
	}
	cov, err := j.run(ctx)
	if err != nil {
		return nil, err
	}
	e, err := x.answer(x.tally.Audit(cov))
	if err != nil {
		return nil, err
	}
	return e, x.retell(ctx, e)
}

// each takes in a judged flow.
func (x *explainer) each(f *flows.Flow, v *rules.Verdict) error {
	x.tally.Add(f, v)
	x.last = f.ID
	q := x.q
	switch {
	case q.finding != "":
		for _, id := range x.tally.Counted() {
			c := x.byID[id]
			if c == nil {
				c = new(choice)
				x.byID[id] = c
			}
			c.add(f, v, c.count == 0)
		}
	case q.edge != "":
		if v.Edge != nil && v.Edge.ID == q.edge {
			x.chosen.add(f, v, !slices.ContainsFunc(x.chosen.shown, func(p pickedFlow) bool { return p.verdict.Kind == v.Kind }))
		}
	case q.flow != "":
		if q.flow == strconv.FormatUint(f.ID, 10) || q.flow == f.CommunityID() {
			x.chosen.add(f, v, len(x.chosen.shown) == 0)
		}
	case x.packet != nil:
		// An ICMP error may come behind the last packet that it is about, and
		// before the first.
		const late = int64(30e9)
		quoted := func(e flows.ICMPError) bool { return e.Frame == x.packet.Frame }
		if f.Touches(x.packet) && x.packet.Time <= f.End+late && (f.Start <= x.packet.Time || slices.ContainsFunc(f.ICMP, quoted)) {
			if x.packet.Time <= f.End {
				x.chosen.shown = nil // the ports' last use before it
			}
			x.chosen.add(f, v, true)
		}
	}
	return nil
}

// look waits for the frame that was asked for.
func (x *explainer) look(batch []pcaps.Packet) {
	if x.frame == 0 {
		x.frame, _ = x.frameNamed()
	}
	for i := range batch {
		if p := &batch[i]; p.Frame == x.frame {
			kept := *p
			kept.Data = slices.Clone(p.Data)
			x.packet = &kept
		}
	}
}

// frameNamed reads --frame: N, or FILE:N.
func (x *explainer) frameNamed() (pcaps.FrameID, error) {
	name, number, file := x.q.frame, x.q.frame, 0
	if at := strings.LastIndexByte(name, ':'); at >= 0 {
		name, number = name[:at], name[at+1:]
		if file = slices.Index(x.files, name); file < 0 {
			var called []int
			for i, f := range x.files {
				if filepath.Base(f) == name {
					called = append(called, i)
				}
			}
			switch len(called) {
			case 0:
				return 0, fmt.Errorf("--frame %s: no capture %q", x.q.frame, name)
			case 1:
				file = called[0]
			default:
				return 0, fmt.Errorf("--frame %s: %d captures are called so: --frame %s:%s, or another of them", x.q.frame, len(called), x.files[called[0]], number)
			}
		}
	} else if len(x.files) > 1 {
		return 0, fmt.Errorf("--frame %s: of which capture? --frame %s:%s", x.q.frame, x.files[0], number)
	}
	n, err := strconv.ParseUint(number, 10, 36)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("--frame %s: %q is no frame number", x.q.frame, number)
	}
	return pcaps.MakeFrameID(file, n), nil
}

// answer finds what was asked for, or says what there is.
func (x *explainer) answer(a *rules.Audit) (*report.Explanation, error) {
	e := &report.Explanation{}
	c := &x.chosen
	switch q := x.q; {
	case q.finding != "":
		f, number, err := findingNamed(a, q.finding)
		if err != nil {
			return nil, err
		}
		e.Finding, e.Number = f, number
		if c = x.byID[f.ID]; c == nil {
			c = new(choice)
		}
	case q.edge != "":
		at := slices.IndexFunc(a.Edges, func(s rules.EdgeState) bool { return s.Edge.ID == q.edge })
		e.Edge = &a.Edges[at]
		// The most serious first.
		rank := []rules.Kind{rules.Violation, rules.Undocumented, rules.Blocked, rules.Indeterminate, rules.Documented}
		slices.SortStableFunc(c.shown, func(a, b pickedFlow) int {
			return cmp.Compare(slices.Index(rank, a.verdict.Kind), slices.Index(rank, b.verdict.Kind))
		})
	case q.flow != "":
		if len(c.shown) == 0 {
			return nil, fmt.Errorf("--flow %s: no such flow: ids are 1 to %d, as wirechart flows -o jsonl has them", q.flow, x.last)
		}
	default:
		frame, err := x.frameNamed()
		switch {
		case err != nil:
			return nil, err
		case x.packet == nil:
			return nil, fmt.Errorf("--frame %s: the captures have no such frame", q.frame)
		case len(c.shown) == 0:
			return nil, fmt.Errorf("--frame %s: belongs to no flow (not IP, a fragment, or damaged)", q.frame)
		}
		e.Frame = frame
	}
	for _, p := range c.shown {
		ex := report.Explained{Story: &flows.Story{Flow: p.flow}, Verdict: p.verdict}
		if p.verdict.Edge != nil {
			ex.Checks = x.j.policy.Checks(p.flow, p.verdict.Edge)
		}
		ex.Unknowns = x.j.policy.Unknowns(p.flow, p.verdict, ex.Checks)
		e.Flows = append(e.Flows, ex)
	}
	e.More, e.Others = c.more, c.count-uint64(len(c.shown))
	return e, nil
}

// findingNamed finds a finding by its number in the report or by its id, a
// concern by its id; the beginning of an id is enough where it is the only one.
func findingNamed(a *rules.Audit, name string) (*rules.Finding, int, error) {
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(a.Findings) {
		return &a.Findings[n-1], n, nil
	}
	var found *rules.Finding
	number, matches := 0, 0
	var ids []string
	for i := range a.Findings {
		ids = append(ids, fmt.Sprintf("%d (%s)", i+1, a.Findings[i].ID))
		if strings.HasPrefix(a.Findings[i].ID, name) {
			found, number = &a.Findings[i], i+1
			matches++
		}
		if a.Findings[i].ID == name {
			return found, number, nil
		}
	}
	for i := range a.Concerns {
		ids = append(ids, a.Concerns[i].ID)
		if strings.HasPrefix(a.Concerns[i].ID, name) {
			found, number = &a.Concerns[i], 0
			matches++
		}
		if a.Concerns[i].ID == name {
			return found, number, nil
		}
	}
	switch {
	case matches == 1:
		return found, number, nil
	case matches > 1:
		return nil, 0, fmt.Errorf("--finding %s: %d ids begin like that", name, matches)
	case len(ids) == 0:
		return nil, 0, fmt.Errorf("--finding %s: these captures give no finding", name)
	case len(ids) > maxMore:
		ids = append(ids[:maxMore], fmt.Sprintf("and %d more", len(ids)-maxMore))
	}
	return nil, 0, fmt.Errorf("--finding %s: no such finding; there are %s", name, strings.Join(ids, ", "))
}

// retell reads the captures again and fills in the stories.
func (x *explainer) retell(ctx context.Context, e *report.Explanation) error {
	if len(e.Flows) == 0 {
		return nil
	}
	watch := flows.NewWatch(x.j.config, dissect.All(), x.j.set.Context())
	for i := range e.Flows {
		f := &e.Flows[i]
		named := []pcaps.FrameID{e.Frame}
		for _, reasons := range [][]rules.Because{f.Verdict.Reasons, f.Verdict.Concerns} {
			for _, b := range reasons {
				named = append(named, b.Frame)
			}
		}
		for _, c := range f.Checks {
			named = append(named, c.Frame)
		}
		watch.Follow(f.Story.Flow, named...)
	}
	src, err := x.j.reopen()
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = x.j.read(ctx, src, func(batch []pcaps.Packet) bool {
		for i := range batch {
			watch.Add(&batch[i])
		}
		return true
	})
	if err != nil {
		return err
	}
	for i, story := range watch.Finish() {
		e.Flows[i].Story = story
	}
	return nil
}

// writeEvidence writes the evidence of an explanation to a file.
func writeEvidence(name string, e *report.Explanation, o *report.Options) (int, error) {
	file, err := createBeside("--write", name, evidenceMode)
	if err != nil {
		return 0, err
	}
	defer file.remove() // in vain once it has its name
	buffered := bufio.NewWriter(file)
	n, err := evidenceOf(buffered, e, o)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return 0, err
	}
	return n, file.putInPlace()
}

// evidenceOf writes the frames of an explanation to a capture, each once,
// and returns how many they are.
func evidenceOf(to io.Writer, e *report.Explanation, o *report.Options) (int, error) {
	type frame struct {
		flow *report.Explained
		step *flows.Sighting
	}
	var frames []frame
	for i := range e.Flows {
		for _, s := range e.Flows[i].Story.Steps {
			frames = append(frames, frame{&e.Flows[i], s})
		}
	}
	slices.SortStableFunc(frames, func(a, b frame) int {
		return cmp.Or(cmp.Compare(a.step.Packet.Time, b.step.Packet.Time), cmp.Compare(a.step.Packet.Frame, b.step.Packet.Frame))
	})
	frames = slices.CompactFunc(frames, func(a, b frame) bool { return a.step.Packet.Frame == b.step.Packet.Frame })

	w, err := pcaps.NewWriter(to, "wirechart", "evidence chosen by wirechart explain")
	if err != nil {
		return 0, err
	}
	for _, f := range frames {
		p := f.step.Packet
		masked, cut := 0, 0
		if !e.Payload {
			p.Data, masked, cut = f.step.Public()
		}
		if err := w.Write(&p, f.flow.EvidenceComment(e, f.step, masked, cut, o)); err != nil {
			return 0, err
		}
	}
	return len(frames), nil
}
