package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// liveOptions are the flags of the live command beside those of the audit.
type liveOptions struct {
	interfaces     []string
	snapLen        int
	buffer         int // MiB
	notPromiscuous bool
	duration       time.Duration
	keep           time.Duration
	write          string
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
	return liveCommandOf(status, &liveOptions{open: openInterfaces, refresh: refreshLeast})
}

func liveCommandOf(status *int, l *liveOptions) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "live -i INTERFACE",
		Short: "the same audit, continuously, on an interface",
		Long: `live judges the traffic of an interface, a mirror port above all, as it comes: what
is found is told when it is found, and the audit is written at the end. It ends
with Ctrl-C (a second one ends it at once), with --duration or with -c.

  wirechart live -i eth1                            for people: a view that may be left open
  wirechart live -i eth1 -o jsonl                   for programs: findings and flows as they come
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
	fs.Lookup("max-flows").DefValue = fmt.Sprint(liveFlows)
	_ = fs.Set("max-flows", fmt.Sprint(liveFlows)) // a number it is
	fs.StringArrayVarP(&l.interfaces, "interface", "i", nil, "capture from `INTERFACE`, any for all of them (repeatable)")
	fs.IntVarP(&l.snapLen, "snaplen", "s", 0, "capture `N` bytes of each frame; 0 is all")
	fs.IntVar(&l.buffer, "buffer", 64, "`MiB` of the kernel's buffer")
	fs.BoolVarP(&l.notPromiscuous, "no-promiscuous-mode", "p", false, "see only what the interface would receive anyway")
	fs.StringVarP(&l.write, "write", "w", "", "write every frame to `FILE` (pcapng)")
	fs.DurationVar(&l.duration, "duration", 0, "end after this `TIME`: 90s, 10m, 24h")
	fs.DurationVar(&l.keep, "keep", flows.DefaultKeep, "judge flows anew for this `TIME` after they ended, by what is learned meanwhile")
	sandboxFlags(fs, &l.sandbox)
	return cmd
}

// openInterfaces opens what is captured.
func openInterfaces(names []string, o pcaps.LiveOptions) (pcaps.Source, error) {
	if len(names) > 1 {
		return nil, errors.New("live: name one interface, or any for all of them")
	}
	return pcaps.OpenLive(names[0], o)
}

func runLive(cmd *cobra.Command, o *options, l *liveOptions, status *int) error {
	fails, err := failsOn(o.failOn)
	if err != nil {
		return err
	}
	if len(l.interfaces) == 0 {
		return errors.New("live: no interface named: -i INTERFACE, -i any for all of them")
	}
	for name, bad := range map[string]bool{"--snaplen": l.snapLen < 0, "--buffer": l.buffer < 0 || l.buffer > 2047, "--duration": l.duration < 0, "--keep": l.keep < 0} {
		if bad {
			return fmt.Errorf("%s: out of range", name)
		}
	}
	var baseline *report.AuditDoc
	if o.baseline != "" {
		if baseline, err = report.ReadAuditFile(o.baseline); err != nil {
			return fmt.Errorf("--baseline %w", err)
		}
	}
	j, out, err := o.prepare(cmd, l.interfaces, report.OfAudit)
	if err != nil {
		return err
	}
	defer out.abandon()
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
	r := &live{job: j, options: l, out: out, stderr: cmd.ErrOrStderr(), known: map[string]bool{}}
	defer r.close()
	audit, err := r.run(ctx)
	if err != nil {
		return err
	}
	if baseline != nil {
		report.SinceBaseline(audit, o.baseline, baseline, out.options)
	}
	if err := out.finish(out.format.Audit(out, audit, out.options)); err != nil {
		return err
	}
	if r.failed != nil {
		return r.failed
	}
	switch {
	case o.exitZero:
	case fails(audit):
		*status = exitFindings
	case !report.Decided(audit):
		*status = exitUndecided
	}
	return nil
}

// live is one run over interfaces.
type live struct {
	job     *job
	options *liveOptions
	out     *output
	stderr  io.Writer

	src      pcaps.Source
	table    *flows.Table
	tally    *rules.Tally
	monitor  *monitor
	recorder *pcaps.Recorder // nil without -w
	flushAt  time.Time

	known   map[string]bool // findings told of, by id
	signals chan os.Signal  // that ask for counters
	failed  error           // what went wrong on the way and did not end the run
}

// run captures until the context ends, or as many frames as were asked for,
// and returns the audit.
func (r *live) run(ctx context.Context) (*rules.Audit, error) {
	j := r.job
	r.tally = rules.NewTally(j.policy)
	j.each = func(f *flows.Flow, v *rules.Verdict) error { r.tally.Add(f, v); return nil }
	j.begin = func(files []string) { r.out.options.Files = files }
	j.open = r.open
	j.ready = func(src pcaps.Source, table *flows.Table) {
		r.src, r.table = src, table
		r.monitor = &monitor{job: j, src: src, table: table, tally: r.tally, keep: r.options.keep, least: r.options.refresh, show: r.show}
	}
	j.before = r.before
	j.after = r.after
	r.signals = counterSignals()
	defer signal.Stop(r.signals)
	cov, err := j.run(ctx)
	if r.monitor != nil {
		r.monitor.stop()
	}
	if err != nil {
		return nil, err
	}
	r.record(nil, true)
	return r.tally.Audit(cov), nil
}

// open opens the interfaces and all that is written, and then gives up what it
// does not need any more.
func (r *live) open(o pcaps.Options) (pcaps.Source, error) {
	l := r.options
	src, err := l.open(l.interfaces, pcaps.LiveOptions{
		SnapLen: l.snapLen, Buffer: l.buffer << 20, Filter: o.Filter, NotPromiscuous: l.notPromiscuous,
	})
	if err != nil {
		return nil, err
	}
	box := l.sandbox
	if l.write != "" {
		if r.recorder, err = pcaps.Record(l.write, "wirechart "+version, ""); err != nil {
			src.Close()
			return nil, fmt.Errorf("--write %w", err)
		}
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

func (r *live) close() {
	if r.recorder != nil {
		if err := r.recorder.Close(); err != nil && r.failed == nil {
			r.failed = fmt.Errorf("--write %w", err)
		}
		r.recorder = nil
	}
}

// before takes a batch before the table does.
func (r *live) before(batch []pcaps.Packet) {
	r.monitor.follow(batch)
	r.record(batch, false)
}

// after is called behind every batch, the empty ones included.
func (r *live) after(batch []pcaps.Packet) bool {
	now := time.Now()
	r.monitor.after(now, len(batch) == batchSize)
	select {
	case <-r.signals:
		r.counters()
	default:
	}
	return true
}

// record writes a batch to the file of -w, and what waits for it when that has
// been for a second, or at the end. A disk that is full ends the writing, not
// the run.
func (r *live) record(batch []pcaps.Packet, end bool) {
	if r.recorder == nil {
		return
	}
	var err error
	for i := range batch {
		if err = r.recorder.Write(&batch[i]); err != nil {
			break
		}
	}
	if now := time.Now(); err == nil && (end || now.After(r.flushAt)) {
		r.flushAt = now.Add(time.Second)
		err = r.recorder.Flush()
	}
	if err != nil && r.failed == nil {
		r.failed = fmt.Errorf("--write %w: frames from %s on are missing there", err, packetTime(r.table.Now()))
		r.job.warn(r.failed.Error())
	}
	if err != nil {
		_ = r.recorder.Close() // what it says is known
		r.recorder = nil
	}
}

// show takes in the audit as it would be now.
func (r *live) show(a *rules.Audit) {
	for i := range a.Findings {
		r.tell(&a.Findings[i])
	}
}

// tell says that there is a finding, once.
func (r *live) tell(f *rules.Finding) {
	if r.known[f.ID] {
		return
	}
	r.known[f.ID] = true
	r.job.warn(fmt.Sprintf("%s %s: %s", packetTime(f.Last), f.Severity, f.Title))
}

// counters prints what has been counted, as SIGUSR1 asks.
func (r *live) counters() {
	s, d := r.src.Stats(), r.table.Stats()
	held, tracked := r.table.Held()
	fmt.Fprintf(r.stderr, "wirechart: %s: %d frames seen, %d dropped by the kernel, %d by the interface; %d flows, %d at hand, %d of them tracked; %d settled to make room, %d ended early\n",
		packetTime(r.table.Now()), d.Packets, s.Dropped, s.InterfaceDropped, d.Flows, held, tracked, d.Early, d.Evicted)
}

// packetTime is a moment as events show it.
func packetTime(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
