package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/spf13/cobra"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// batchSize is how many packets are handed from the source to the table at a
// time: enough to hide the latency of the table's memory behind each other,
// few enough for their headers to stay in the cache.
const batchSize = 128

// job is what is to be done with the flows of the captures.
type job struct {
	options      *options
	captures     []string
	fingerprints bool         // compute JA3 and JA4, which only the flow records show
	warn         func(string) // one line for standard error
	progress     func(packets uint64)

	// begin is told the names of the captures before the first flow comes.
	begin func(files []string)
	// each takes a flow and its verdict, nil without a policy, and is nil
	// itself when the settled policy is all that is wanted. An error ends the
	// job.
	each func(f *flows.Flow, v *rules.Verdict) error
}

// run is the whole path: packets from the captures into the table; flows, when
// they have ended, past the policy, which first sees all of them to learn who
// plays which part, and then judges each; verdicts to j.each.
func (j *job) run(ctx context.Context) (rules.Coverage, error) {
	var cov rules.Coverage
	src, err := pcaps.Open(j.captures, pcaps.Options{Filter: j.options.filter, Recursive: j.options.recursive})
	if err != nil {
		return cov, err
	}
	defer src.Close()
	var files []string
	for _, f := range src.Stats().Files {
		files = append(files, f.Name)
	}
	j.begin(files)

	cfg := flows.Config{Limits: flows.DefaultLimits()}
	if j.options.maxFlows > 0 {
		cfg.MaxFlows = j.options.maxFlows
	}
	set := dissect.NewSet(dissect.All(), &dissect.Context{Fingerprints: j.fingerprints}, cfg.MaxBuffered)
	var failed error
	table := flows.NewTable(cfg, set, func(all iter.Seq[*flows.Flow]) {
		if failed == nil {
			failed = j.settle(all)
		}
	})

	batch := make([]pcaps.Packet, batchSize)
	var packets uint64
	for failed == nil && ctx.Err() == nil {
		want := batch
		if c := j.options.count; c > 0 {
			if packets == c {
				break
			}
			want = batch[:min(batchSize, c-packets)]
		}
		n, err := src.Read(want)
		table.Add(want[:n])
		packets += uint64(n)
		j.progress(packets)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return cov, err
		}
	}
	table.Finish()
	cov.Captures, cov.Decoded = src.Stats(), table.Stats()
	for i := range cov.Captures.Files {
		f := &cov.Captures.Files[i]
		if f.First != 0 && (cov.First == 0 || f.First < cov.First) {
			cov.First = f.First
		}
		cov.Last = max(cov.Last, f.Last)
		if d := f.Damage; d != nil {
			j.warn(fmt.Sprintf("%s: read up to frame %d: %s (at byte %d)", f.Name, d.Frame, d.Reason, d.Offset))
		}
	}
	if ctx.Err() != nil {
		j.warn(fmt.Sprintf("interrupted after %d frames: the results are of these only", packets))
	}
	return cov, failed
}

// settle takes flows that have ended: all of them at the end of the captures,
// or a part of them when the table must make room.
func (j *job) settle(all iter.Seq[*flows.Flow]) error {
	for f := range all {
		if err := j.each(f, nil); err != nil {
			return err
		}
	}
	return nil
}

func runFlows(cmd *cobra.Command, o *options, args []string) error {
	if o.noJudge && (len(o.diagrams) > 0 || o.inventory != "") {
		return errors.New("--no-judge reads no diagram and no inventory: leave out --diagram and --inventory")
	}
	j, out, err := o.prepare(cmd, args)
	if err != nil {
		return err
	}
	defer out.abandon()
	j.fingerprints = true
	var w report.FlowWriter
	j.begin = func(files []string) {
		out.options.Files = files
		w = out.format.Flows(out, out.options)
		j.each = w.Flow
	}
	if _, err := j.run(cmd.Context()); err != nil {
		return out.finish(err)
	}
	return out.finish(w.Close())
}

// prepare checks the flags, reads diagram and inventory and readies the output,
// so that whatever can be wrong is found before a capture is opened.
func (o *options) prepare(cmd *cobra.Command, args []string) (*job, *output, error) {
	captures := slices.Concat(o.captures, args)
	if len(captures) == 0 {
		return nil, nil, fmt.Errorf("%s: no capture named; see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
	format, ok := report.Named(o.format)
	if !ok {
		return nil, nil, fmt.Errorf("unknown format %q: one of %s", o.format, report.Names())
	}
	if o.maxFlows < 0 {
		return nil, nil, fmt.Errorf("--max-flows %d: must be more than 0", o.maxFlows)
	}
	j := &job{options: o, captures: captures}
	out, err := newOutput(cmd.OutOrStdout(), o.output, o.color, format)
	if err != nil {
		return nil, nil, err
	}
	stderr := cmd.ErrOrStderr()
	bar := newProgress(stderr, o.quiet)
	j.progress = bar.show
	j.warn = func(line string) {
		bar.clear()
		if !o.quiet {
			fmt.Fprintf(stderr, "wirechart: %s\n", report.Clean(line))
		}
	}
	out.before = bar.clear
	return j, out, nil
}
