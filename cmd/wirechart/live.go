package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/report/web"
	"wirechart/rules"
)

// liveOptions are the flags of the live command beside those of the audit.
type liveOptions struct {
	interfaces     []string
	snapLen        int
	buffer         int // MiB
	notPromiscuous bool
	capture        string
	duration       time.Duration
	keep           time.Duration
	write          string
	evidence       string
	evidenceSize   int // MiB of one file
	evidenceFiles  int
	state          string
	stateReplace   bool
	metrics        string
	metricsPublic  bool
	web            webOptions
	follow         string // a directory, in the place of interfaces
	idle           time.Duration
	sandbox        sandbox

	// refresh is the least time between two looks at the audit.
	refresh time.Duration
	// open opens the interfaces; tests open something else.
	open func(names []string, o pcaps.LiveOptions) (pcaps.Source, error)
}

// liveFlows is the default of --max-flows: what is at hand is looked through
// again and again.
const liveFlows = 1 << 20

func liveCommand(status *int) *cobra.Command {
	return liveCommandOf(status, &liveOptions{open: pcaps.OpenInterfaces, refresh: refreshLeast})
}

func liveCommandOf(status *int, l *liveOptions) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "live -i INTERFACE",
		Short: "the same audit, continuously, on an interface",
		Long: `live audits the traffic of an interface, usually a mirror port, as it arrives: findings
are reported as they are made, and the audit is written at the end. It ends with
Ctrl-C (a second one ends it at once), with --duration or with -c.

  wirechart live -i eth1                            for people: a view for the terminal
  wirechart live -i eth1 -o jsonl                   for programs: events and flows as they happen
  wirechart live -i eth1 --duration 10m -o json     ten minutes, then the audit
  wirechart live -i eth1 -w all.pcapng              keep every frame as well

Frames that were lost on the way are counted in every report. SIGUSR1 prints the
counters on standard error. Exit status: as that of audit.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("live: %s: captures are for wirechart audit; name an interface with -i", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLive(cmd, o, l, status)
		},
	}
	fs := cmd.Flags()
	packetFlags(fs, o, report.OfAudit)
	auditFlags(fs, o)
	fs.Lookup("output").Usage += "; as it goes with -o jsonl"
	fs.Lookup("max-flows").DefValue = fmt.Sprint(liveFlows)
	_ = fs.Set("max-flows", fmt.Sprint(liveFlows)) // a number it is
	fs.StringArrayVarP(&l.interfaces, "interface", "i", nil, "capture from `INTERFACE`, any for all of them (repeatable)")
	fs.IntVarP(&l.snapLen, "snaplen", "s", 0, "capture `N` bytes of each frame; 0 is all")
	fs.IntVar(&l.buffer, "buffer", 64, "size of the kernel's buffer, `MiB`")
	fs.BoolVarP(&l.notPromiscuous, "no-promiscuous-mode", "p", false, "capture only frames that are for this machine, not all that reach the interface")
	fs.StringVar(&l.capture, "capture", pcaps.CaptureAuto.String(), "capture by `WAY`: ring (shared with the Linux kernel), pcap (libpcap), or auto, the best available")
	fs.StringVarP(&l.write, "write", "w", "", "write every frame to `FILE` (pcapng)")
	fs.StringVar(&l.evidence, "evidence", "", "keep the frames of flows with findings in captures in `DIR`")
	fs.IntVar(&l.evidenceSize, "evidence-size", 16, "size of each of these captures, `MiB`")
	fs.IntVar(&l.evidenceFiles, "evidence-files", 16, "keep the last `N` of these captures")
	fs.StringVar(&l.state, "state", "", "remember roles, edges and findings in `FILE`, from one run to the next")
	fs.BoolVar(&l.stateReplace, "state-replace", false, "start afresh when the file of --state cannot be used, and keep it as FILE.old")
	fs.StringVar(&l.metrics, "metrics", "", "serve counters for Prometheus at `ADDRESS:PORT`, and /healthz")
	fs.BoolVar(&l.metricsPublic, "metrics-public", false, "allow --metrics at an address that others can reach")
	fs.DurationVar(&l.duration, "duration", 0, "end after this `TIME`: 90s, 10m, 24h")
	fs.DurationVar(&l.keep, "keep", flows.DefaultKeep, "judge flows again for this `TIME` after their end, as more is learned of their hosts")
	fs.StringVar(&l.web.address, "web", "", "show the run as a page at `ADDRESS:PORT`; if others can reach it, it asks for a token")
	fs.StringArrayVar(&l.web.hosts, "web-host", nil, "serve the page under the `NAME` of this machine too (repeatable)")
	sandboxFlags(fs, &l.sandbox)
	return cmd
}

func runLive(cmd *cobra.Command, o *options, l *liveOptions, status *int) error {
	measure, err := o.measure()
	if err != nil {
		return err
	}
	if l.follow != "" {
		l.interfaces = []string{l.follow}
	} else if len(l.interfaces) == 0 {
		return errors.New("live: no interface named: -i INTERFACE, -i any for all of them")
	}
	for i, name := range l.interfaces {
		if slices.Contains(l.interfaces[:i], name) {
			return fmt.Errorf("live: -i %s is named twice: its frames would count twice", name)
		}
	}
	for _, flag := range []struct {
		name string
		bad  bool
	}{
		{"snaplen", l.snapLen < 0},
		{"buffer", l.buffer < 0 || l.buffer > 2047},
		{"duration", l.duration < 0},
		{"idle", l.idle < 0},
		{"keep", l.keep < 0},
		{"evidence-size", l.evidence != "" && l.evidenceSize < 1},
		{"evidence-files", l.evidence != "" && l.evidenceFiles < 1},
	} {
		if flag.bad {
			return fmt.Errorf("--%s %s: out of range", flag.name, cmd.Flag(flag.name).Value)
		}
	}
	j, out, err := o.prepare(cmd, l.interfaces, report.OfAudit)
	if err != nil {
		return err
	}
	defer out.abandon()
	out.options.Again = o.judgedBy()
	j.progress = func(uint64) {} // how much there is, nobody knows
	j.endless = true

	// The heap of a run that does not end holds what is at hand; there is no
	// hurry that would be worth four times that.
	debug.SetGCPercent(100)

	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the program
	if l.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.duration)
		defer cancel()
	}
	r := &live{job: j, options: l, out: out, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
	if err := r.stream(); err != nil {
		return err
	}
	defer r.close()
	if l.web.address != "" {
		if err := r.servePage(ctx); err != nil {
			return err
		}
	}
	audit, err := r.run(ctx)
	if err != nil {
		return err
	}
	if *status, err = measure.conclude(cmd, audit, out); err != nil {
		return err
	}
	return r.failed
}

// servePage opens the page of a run; it ends with the run. Its packets cannot be
// read again, so it has no evidence: that is what --evidence keeps.
func (r *live) servePage(ctx context.Context) error {
	title := strings.Join(r.options.interfaces, ", ")
	if r.options.follow != "" {
		title = r.options.follow
	}
	page, l, address, err := r.options.web.listen("--web", web.Options{Live: true, Title: title, Diagram: r.job.diagram})
	if err != nil {
		return err
	}
	r.page = page
	fmt.Fprintln(r.stderr, "wirechart: the page is at "+address)
	go func() { _ = page.Serve(ctx, l) }() // ends with the run
	return nil
}

// stream has a stream of lines go to its file as it comes: there is no whole of
// it as long as the run goes on.
func (r *live) stream() error {
	if r.out.format.Name != "jsonl" {
		return nil
	}
	r.job.fingerprints = true
	if r.out.name == "" {
		return nil
	}
	r.out.abandon()
	f, err := os.Create(r.out.name)
	if err != nil {
		return ofFile("--output", r.out.name, err)
	}
	r.out.to = f
	return nil
}

// live is one run over interfaces.
type live struct {
	job     *job
	options *liveOptions
	out     *output
	stdout  io.Writer
	stderr  io.Writer

	src      pcaps.Source
	table    *flows.Table
	tally    *rules.Tally
	monitor  *monitor
	teller   *teller
	records  report.FlowWriter // of flows that are settled; nil but for -o jsonl
	screen   *screen           // nil where there is no terminal
	recorder *pcaps.Recorder   // nil without -w, and after it failed

	unrecorded error  // why -w failed
	unkept     uint64 // frames that it then lacks

	evidence *evidence   // nil without --evidence
	state    *state      // nil without --state
	exporter *exporter   // nil without --metrics
	page     *web.Server // nil without --web
	saveAt   time.Time
	listens  func(proto uint8, port uint16) bool
	settled  map[string]uint64 // flows that are settled, by protocol and service; nil without --metrics
	looking  map[string]uint64 // likewise those of the look at hand
	counted  map[string]uint64 // both, of the last look

	began   time.Time
	flushAt time.Time
	drawAt  time.Time
	packets pace
	bytes   pace
	silent  time.Duration        // since the last packet, as drawn
	last    *rules.Audit         // of the last look
	edges   map[*rules.Edge]pace // bytes of the edges, by packet time
	rates   map[string]float64   // the same, per second

	signals chan os.Signal // that ask for counters
	failed  error          // what went wrong on the way and did not end the run
}

// run captures until the context ends, or as many frames as were asked for,
// and returns the audit.
func (r *live) run(ctx context.Context) (*rules.Audit, error) {
	r.tally = rules.NewTally(r.job.policy)
	r.listens = r.job.diagram.Listens()
	if r.out.format.Detailed {
		r.tally.KeepDetail()
	}
	r.hook(ctx)
	r.signals = counterSignals()
	defer signal.Stop(r.signals)
	cov, err := r.job.run(ctx)
	if r.monitor != nil {
		r.monitor.stop()
	}
	if r.screen != nil {
		<-r.screen.done
		r.out.measure() // it may have another size by now
	}
	if err != nil {
		return nil, err
	}
	r.finish()
	audit := r.audit(cov)
	r.teller.audit(audit, r.table.Now(), true)
	return audit, nil
}

// hook has the job call what a live run does beside an audit of files.
func (r *live) hook(ctx context.Context) {
	j := r.job
	j.begin = func(files []string) { r.out.options.Files = files }
	j.open = func(o pcaps.Options) (pcaps.Source, error) {
		src, err := r.open(o)
		if err == nil {
			r.listen(ctx)
		}
		return src, err
	}
	j.ready = func(src pcaps.Source, table *flows.Table) {
		r.src, r.table = src, table
		table.Prepare()
		r.monitor = &monitor{job: j, src: src, table: table, tally: r.tally, keep: r.options.keep, least: r.options.refresh, show: r.show}
		r.monitor.judged = r.judged
		r.monitor.given = func() {
			clear(r.looking)
			if r.page != nil {
				r.page.Drop()
			}
		}
	}
	j.before = r.before
	j.after = r.after
	j.each = r.settle
}

// settle takes a flow whose verdict is final.
func (r *live) settle(f *flows.Flow, v *rules.Verdict) error {
	r.tally.Add(f, v)
	if r.evidence != nil {
		r.evidence.judged(f, v, r.tally)
	}
	if r.settled != nil {
		r.settled[r.service(f)]++
	}
	if r.page != nil {
		r.page.Settled(f, v, findingsOf(v, r.tally))
	}
	if r.records != nil {
		return r.records.Flow(f, v)
	}
	return nil
}

// finish ends what was written to files during the run.
func (r *live) finish() {
	r.nameFiles()
	r.record(nil, true)
	if r.unrecorded != nil {
		r.failed = fmt.Errorf("%w: %d frames are missing there", r.unrecorded, r.unkept)
	}
	if e := r.evidence; e != nil {
		e.search()
		e.flush()
		if lost := e.ring.Lost(); lost > 0 && r.failed == nil {
			r.failed = fmt.Errorf("--evidence %s: %d frames were not kept, for lack of room", r.options.evidence, lost)
		}
	}
}

// audit concludes the run. It saves the state before it recalls earlier runs:
// what they knew is no part of what this one found.
func (r *live) audit(cov rules.Coverage) *rules.Audit {
	audit := r.tally.Audit(cov)
	if s := r.state; s != nil {
		s.save(s.before.After(audit, r.table.Now()))
		r.state = nil
		if err := s.close(); err != nil && r.failed == nil {
			r.failed = err
		}
		s.before.Recall(audit)
	}
	if b := r.monitor.back; b.times > 0 {
		audit.Notes = append(audit.Notes, fmt.Sprintf("The clock of the packets went back %d times, by %s at most: times across that are not to be compared.", b.times, time.Duration(b.most).Round(time.Millisecond)))
	}
	return audit
}

// open opens the interfaces and all that is written, and then gives up what it
// does not need any more.
func (r *live) open(o pcaps.Options) (pcaps.Source, error) {
	l := r.options
	if l.follow != "" {
		return pcaps.Follow(l.follow, o, l.idle)
	}
	by, err := pcaps.ParseCapture(l.capture)
	if err != nil {
		return nil, fmt.Errorf("--capture: %w", err)
	}
	src, err := l.open(l.interfaces, pcaps.LiveOptions{
		By: by, SnapLen: l.snapLen, Buffer: l.buffer << 20, Filter: o.Filter, NotPromiscuous: l.notPromiscuous,
		TagsAside: l.write == "" && l.evidence == "", // which keep the frames
	})
	if err != nil {
		return nil, err
	}
	box := l.sandbox
	if l.state != "" {
		if r.state, err = openState(l.state, r.job.diagram.Name, l.stateReplace); err != nil {
			src.Close()
			return nil, err
		}
		r.job.policy.Remember(r.state.before)
		box.Write = append(box.Write, filepath.Dir(l.state))
	}
	if l.metrics != "" {
		if r.exporter, err = newExporter(l.metrics, l.metricsPublic); err != nil {
			src.Close()
			return nil, err
		}
		r.settled, r.looking = map[string]uint64{}, map[string]uint64{}
	}
	if l.write != "" {
		if r.recorder, err = pcaps.Record(l.write, "wirechart "+version, ""); err != nil {
			src.Close()
			return nil, fmt.Errorf("--write %w", err)
		}
	}
	if l.evidence != "" {
		if r.evidence, err = newEvidence(l.evidence, int64(l.evidenceSize)<<20, l.evidenceFiles, r.note); err != nil {
			src.Close()
			return nil, fmt.Errorf("--evidence %w", err)
		}
		box.Write = append(box.Write, l.evidence)
	}
	if r.out.name != "" {
		box.Write = append(box.Write, filepath.Dir(r.out.name))
	}
	note, err := enterSandbox(box)
	if err != nil {
		src.Close()
		return nil, err
	}
	if note != "" {
		r.job.warn(note)
	}
	return src, nil
}

// listen settles who is told what happens: a terminal is shown a picture that
// changes, all others are told a line for each event, on standard error where
// standard output is for something else.
func (r *live) listen(ctx context.Context) {
	r.began = time.Now()
	o := r.job.options
	format := r.out.format.Name
	to := r.stderr
	if r.out.name != "" || format == report.All()[0].Name || format == "wide" {
		to = r.stdout
	}
	line := func(e report.Event) { fmt.Fprintln(to, report.EventLine(&e)) }
	switch tty, ok := r.stdout.(*os.File); {
	case format == "jsonl":
		r.records = r.out.format.Flows(r.out, r.out.options)
		line = func(e report.Event) {
			// A reader that has gone away is noticed when all is written.
			_ = report.WriteEvent(r.out, &e, r.out.options)
		}
	case o.quiet:
		line = nil
	case ok && to == r.stdout && term.IsTerminal(int(tty.Fd())) && os.Getenv("TERM") != "dumb":
		line = nil
		r.screen = newScreen(tty, ctx.Done())
	}
	r.teller = newTeller(line)
	if r.state != nil {
		r.teller.know(r.state.before)
	}
}

func (r *live) close() {
	if r.recorder != nil {
		if err := r.recorder.Close(); err != nil && r.failed == nil {
			r.failed = fmt.Errorf("--write %w", err)
		}
		r.recorder = nil
	}
	if r.evidence != nil {
		_ = r.evidence.ring.Close() // what was lost has been said
	}
	if r.state != nil {
		_ = r.state.close() // nothing new to be written
	}
	if r.exporter != nil {
		r.exporter.close()
	}
}

// before takes a batch before the table does.
func (r *live) before(batch []pcaps.Packet) {
	r.monitor.follow(batch)
	r.record(batch, false)
	if r.evidence != nil {
		r.evidence.add(batch)
	}
}

// after is called behind every batch, the empty ones included.
func (r *live) after(batch []pcaps.Packet) bool {
	now := time.Now()
	r.monitor.after(now, len(batch) == batchSize)
	if now.After(r.drawAt) {
		r.drawAt = now.Add(time.Second)
		r.second(now)
	}
	select {
	case <-r.signals:
		r.counters()
	default:
	}
	return true
}

// second is done once in a second, whatever comes.
func (r *live) second(now time.Time) {
	s := r.src.Stats()
	r.teller.dropped(s.Dropped, s.InterfaceDropped, r.table.Now())
	if r.evidence != nil {
		r.evidence.flush()
	}
	if r.records != nil {
		_ = r.out.Flush() // likewise
	}
	if r.exporter != nil {
		held, _ := r.table.Held()
		c := &counts{at: now, capture: s, table: r.table.Stats(), held: held, audit: r.last, flows: r.counted, lost: r.unkept}
		if r.evidence != nil {
			c.lost += r.evidence.ring.Lost()
		}
		r.exporter.now.Store(c)
	}
	if r.state != nil {
		select {
		case err := <-r.state.failed:
			r.note(err.Error() + ": what was learned is not kept until it can be written")
		default:
		}
	}
	if r.screen != nil {
		r.draw(now, &s)
	}
}

// draw shows the state of the run on the terminal.
func (r *live) draw(now time.Time, s *pcaps.Stats) {
	d := r.table.Stats()
	held, _ := r.table.Held()
	bytes := uint64(0)
	for i := range s.Files {
		bytes += s.Files[i].Bytes
	}
	if d.Packets != r.packets.value || r.packets.at.IsZero() {
		r.silent = 0
	} else {
		r.silent += now.Sub(r.packets.at)
	}
	p := report.Screen{
		Interfaces: strings.Join(r.options.interfaces, ", "), Audit: r.last, Running: now.Sub(r.began), Now: r.table.Now(), Silent: r.silent,
		Packets: d.Packets, Flows: d.Flows, AtHand: held,
		PerSecond: r.packets.per(now, d.Packets), Bits: 8 * r.bytes.per(now, bytes), EdgeBytes: r.rates,
		Kernel: s.Dropped, Iface: s.InterfaceDropped, Recent: r.teller.recent,
	}
	if r.recorder != nil {
		p.Also = append(p.Also, fmt.Sprintf("all frames are kept in %s", r.recorder.Name()))
	}
	if r.evidence != nil {
		p.Also = append(p.Also, fmt.Sprintf("frames of flows with findings are kept in %s, files: %d", r.options.evidence, len(r.evidence.ring.Files())))
	}
	o := *r.out.options
	width, height := r.screen.size()
	o.Width = width
	r.screen.draw(p.Draw(height-1, &o))
}

// record writes a batch to the file of -w, and what waits for it when that has
// been for a second, or at the end. A disk that is full ends the writing, not
// the run.
func (r *live) record(batch []pcaps.Packet, end bool) {
	if r.recorder == nil {
		if r.unrecorded != nil {
			r.unkept += uint64(len(batch))
		}
		return
	}
	var err error
	taken := 0
	for taken < len(batch) {
		if err = r.recorder.Write(&batch[taken]); err != nil {
			break
		}
		taken++
	}
	if now := time.Now(); err == nil && (end || now.After(r.flushAt)) {
		r.flushAt = now.Add(time.Second)
		err = r.recorder.Flush()
	}
	if err != nil {
		r.unrecorded = fmt.Errorf("--write %w", err)
		r.note(r.unrecorded.Error() + ": frames are missing there from now on")
		r.unkept = r.recorder.Lost() + uint64(len(batch)-taken)
		_ = r.recorder.Close() // what it says is known
		r.recorder = nil
	}
}

// note tells of something to know, at once.
func (r *live) note(text string) {
	r.job.warn(text)
	r.teller.say(report.Event{Time: r.table.Now(), Kind: report.EventNote, Text: text})
}

// nameFiles has reports know the captures that have come since the beginning.
func (r *live) nameFiles() {
	if named, ok := r.src.(pcaps.Named); ok {
		r.out.options.Files = named.Names()
	}
}

// judged is told of the flows of a look.
func (r *live) judged(f *flows.Flow, v *rules.Verdict, tally *rules.Tally) {
	if r.evidence != nil {
		r.evidence.judged(f, v, tally)
	}
	if r.looking != nil {
		r.looking[r.service(f)]++
	}
	if r.page != nil {
		r.page.Pending(f, v, findingsOf(v, tally))
	}
}

// service is the protocol of a flow and the service as the diagram has it, of
// which there are few.
func (r *live) service(f *flows.Flow) string {
	proto := flows.ProtoName(f.Proto)
	if f.Proto == flows.ProtoTCP || f.Proto == flows.ProtoUDP {
		if r.listens(f.Proto, f.Server.Port()) {
			return proto + " " + strconv.Itoa(int(f.Server.Port()))
		}
		return proto + " other"
	}
	if proto[0] <= '9' {
		proto = "other"
	}
	return proto + " none"
}

// saveEvery is how often what was learned is written down.
const saveEvery = 10 * time.Second

// show takes in the audit as it would be now.
func (r *live) show(a *rules.Audit) {
	r.nameFiles()
	if s := r.state; s != nil {
		if now := time.Now(); now.After(r.saveAt) && len(a.Hosts) > 0 {
			r.saveAt = now.Add(saveEvery)
			s.save(s.before.After(a, r.table.Now()))
		}
		s.before.Recall(a)
	}
	if r.looking != nil {
		counted := maps.Clone(r.settled)
		for k, n := range r.looking {
			counted[k] += n
		}
		r.counted = counted
		clear(r.looking)
	}
	if r.page != nil {
		r.page.Progress(r.table.Stats().Packets)
		r.page.Show(a, &report.Options{Files: slices.Clone(r.out.options.Files)}, false)
	}
	r.teller.audit(a, r.table.Now(), false)
	if r.evidence != nil {
		r.evidence.search()
	}
	if r.records != nil {
		_ = r.out.Flush()
	}
	now := time.Unix(0, r.table.Now())
	if r.edges == nil {
		r.edges, r.rates = map[*rules.Edge]pace{}, map[string]float64{}
	}
	for i := range a.Edges {
		e := &a.Edges[i]
		bytes := uint64(0)
		for _, c := range e.Verdicts {
			bytes += c.Bytes
		}
		p := r.edges[e.Edge]
		if !now.Equal(p.at) {
			r.rates[e.Edge.ID] = p.per(now, bytes)
			r.edges[e.Edge] = p
		}
	}
	r.last = a
}

// counters prints what has been counted, as SIGUSR1 asks.
func (r *live) counters() {
	s, d := r.src.Stats(), r.table.Stats()
	held, tracked := r.table.Held()
	unread := d.Packets - d.Outcomes[flows.Decoded] - d.Outcomes[flows.NotIP] - d.Outcomes[flows.Fragment]
	fmt.Fprintf(r.stderr, "wirechart: %s: %d frames seen, %d dropped by the kernel, %d by the interface, headers of %d not read; %d flows, %d at hand, %d of them tracked; %d settled after --keep, %d to make room, %d ended early\n",
		time.Unix(0, r.table.Now()).UTC().Format(time.RFC3339), d.Packets, s.Dropped, s.InterfaceDropped, unread, d.Flows, held, tracked, d.Retired, d.Early, d.Evicted)
}
