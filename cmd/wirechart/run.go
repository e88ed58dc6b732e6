package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// batchSize is how many packets are handed from the source to the table at a
// time: several times what the table has under way (see flows.Table.Add), few enough
// for their headers to stay in the cache.
const batchSize = 256

// job is one reading of captures: where packets come from, what is learned from
// them, and who gets the flows.
type job struct {
	options      *options
	captures     []string
	diagram      *rules.Diagram // nil when nothing is judged, and so is policy
	policy       *rules.Policy
	fingerprints bool         // compute JA3 and JA4, which only the flow records show
	warn         func(string) // writes one line to standard error
	progress     func(packets uint64)
	keys         *dissect.KeyLog // never printed
	warned       map[string]bool // what a warning was given about: places in key logs, captures with broken secrets

	// open opens the source of packets; nil opens the captures.
	open func(pcaps.Options) (pcaps.Source, error)

	// begin gets the names of the captures, before the first packet is read.
	begin func(files []string)

	// add puts packets into the table.
	add func(t *flows.Table, batch []pcaps.Packet)

	// each gets every flow with its verdict (nil without a policy). It is nil
	// itself when only the settled policy is wanted. An error ends the job.
	each func(f *flows.Flow, v *rules.Verdict) error

	// The hooks of a run that does not end by itself (live, --follow). ready is
	// called once, before the first packet. before and after are called around
	// every batch that is added to the table, and with an empty one while no
	// packets come; when after returns false, the run ends. All are nil in
	// other runs.
	endless bool
	ready   func(src pcaps.Source, table *flows.Table)
	before  func(batch []pcaps.Packet)
	after   func(batch []pcaps.Packet) bool

	// What run used, for a second reading of the same captures.
	config flows.Config
	set    *dissect.Set
	files  []string
}

// prepare makes the job and the output of a command that gives results of a kind:
// it checks the flags, reads diagrams, inventory and key logs, and begins the
// output file. What can be wrong with these is found before a capture is opened.
func (o *options) prepare(cmd *cobra.Command, args []string, kind report.Kind) (*job, *output, error) {
	captures := slices.Concat(o.captures, args)
	if len(captures) == 0 {
		return nil, nil, fmt.Errorf("%s: no capture named; see %s --help", cmd.Name(), cmd.CommandPath())
	}
	format, err := formatFor(o.format, kind)
	if err != nil {
		return nil, nil, err
	}
	if o.maxFlows <= 0 {
		return nil, nil, fmt.Errorf("--max-flows %d: must be more than 0", o.maxFlows)
	}
	j := &job{options: o, captures: captures, keys: new(dissect.KeyLog), warned: map[string]bool{}, add: (*flows.Table).Add}
	if !o.noJudge {
		if j.diagram, j.policy, err = loadPolicy(o.diagrams, o.inventory); err != nil {
			return nil, nil, err
		}
	}
	out, err := newOutput(cmd.OutOrStdout(), o.output, o.color, format)
	if err != nil {
		return nil, nil, err
	}
	if j.policy != nil {
		out.options.Hosts = j.policy
	}
	out.options.Again = o.again()
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
	for _, name := range o.keylogs {
		if err := j.readKeyLog(name); err != nil {
			out.abandon()
			return nil, nil, ofFile("--keylog", name, err)
		}
	}
	return j, out, nil
}

// again is the flags on which results depend.
func (o *options) again() []string {
	list := o.judgedBy()
	if o.filter != "" {
		list = append(list, "-f", o.filter)
	}
	if o.count > 0 {
		list = append(list, "-c", strconv.FormatUint(o.count, 10))
	}
	return list
}

// judgedBy is those on which they depend where the frames are the same.
func (o *options) judgedBy() []string {
	var list []string
	for _, name := range o.diagrams {
		list = append(list, "--diagram", name)
	}
	if o.inventory != "" {
		list = append(list, "--inventory", o.inventory)
	}
	for _, name := range o.keylogs {
		list = append(list, "--keylog", name)
	}
	return list
}

// loadPolicy compiles the diagrams, the built-in one when none is named, and
// the inventory.
func loadPolicy(diagrams []string, inventory string) (*rules.Diagram, *rules.Policy, error) {
	d, err := resolve("--diagram", diagrams)
	if err != nil {
		return nil, nil, err
	}
	var inv *rules.Inventory
	if inventory != "" {
		if inv, err = rules.LoadInventory(inventory, d); err != nil {
			return nil, nil, ofFile("--inventory", inventory, err)
		}
	}
	p, err := rules.Compile(d, inv)
	return d, p, err
}

// run is the whole path: packets from the captures go into the table; flows that
// have ended go to the policy, which looks at all of them to learn the roles of
// hosts and then judges each; flows and verdicts go to j.each.
func (j *job) run(ctx context.Context) (rules.Coverage, error) {
	shared := &dissect.Context{Fingerprints: j.fingerprints, ShowUsers: j.options.showUsers}
	src, err := j.openSource(shared)
	if err != nil {
		return rules.Coverage{}, err
	}
	defer src.Close()
	j.files = nil
	for _, f := range src.Stats().Files {
		j.files = append(j.files, f.Name)
	}
	j.begin(j.files)

	j.config = flows.Config{Limits: flows.DefaultLimits()}
	j.config.MaxFlows = j.options.maxFlows
	if j.policy != nil {
		j.config.Listeners = j.diagram.Listens()
	}
	j.set = dissect.NewSet(dissect.All(), shared, j.config.MaxBuffered)
	var failed error
	table := flows.NewTable(j.config, j.set, func(ended iter.Seq[*flows.Flow]) {
		if failed == nil {
			failed = j.settle(ended)
		}
	})
	if j.ready != nil {
		j.ready(src, table)
	}
	packets, err := j.read(ctx, src, func(batch []pcaps.Packet) bool {
		if j.before != nil {
			j.before(batch)
		}
		j.add(table, batch)
		if j.after != nil && !j.after(batch) {
			return false
		}
		return failed == nil
	})
	if err != nil {
		return rules.Coverage{}, err
	}
	table.Finish()

	cov := j.coverage(src, table)
	j.warnOfDamage(cov.Captures.Files)
	if c := j.options.count; c > 0 && packets == c && !j.endless {
		cov.Stopped = rules.StopCount
	}
	if ctx.Err() != nil && !j.endless {
		cov.Stopped = rules.StopInterrupt
		j.warn(fmt.Sprintf("interrupted after %d frames: the results are of these only", packets))
	}
	return cov, failed
}

// openSource opens where packets come from. Keys of --keylog go to shared now,
// those inside a capture as they are read: they may come behind its first frames.
func (j *job) openSource(shared *dissect.Context) (pcaps.Source, error) {
	if len(j.options.keylogs) > 0 {
		shared.Keys = j.keys
	}
	secrets := func(s pcaps.Secrets) {
		if s.Type != pcaps.SecretsTLS {
			return
		}
		shared.Keys = j.keys
		if err := j.addKeys(s.File+": decryption secrets", bytes.NewReader(s.Data)); err != nil && !j.warned[s.File] {
			j.warned[s.File] = true // explain reads captures twice
			j.warn(err.Error())
		}
	}
	o := pcaps.Options{Filter: j.options.filter, Recursive: j.options.recursive, Secrets: secrets}
	if j.open != nil {
		return j.open(o)
	}
	return pcaps.Open(j.captures, o)
}

// warnOfDamage says of each capture that could not be read to its end how far it
// was read, and why no further.
func (j *job) warnOfDamage(files []pcaps.FileStats) {
	for i := range files {
		f := &files[i]
		d := f.Damage
		if d == nil {
			continue
		}
		read := fmt.Sprintf("read up to frame %d", d.Frame)
		if d.Frame == 0 {
			read = "no frame could be read"
		}
		j.warn(fmt.Sprintf("%s: %s: %s (at byte %d)", f.Name, read, d.Reason, d.Offset))
	}
}

// reopen opens the captures that were read for a second reading: these files, in
// their order, whatever has come to their directory since.
func (j *job) reopen() (pcaps.Source, error) {
	return pcaps.Open(j.files, pcaps.Options{Filter: j.options.filter})
}

// readTwice says whether captures can be read a second time, for what.
func readTwice(what string, captures []string) error {
	for _, name := range captures {
		info, err := os.Stat(name)
		if name == "-" || err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			if name == "-" {
				name = "standard input"
			}
			return fmt.Errorf("%s: captures are read twice, and %s cannot be: save it to a file first", what, name)
		}
	}
	return nil
}

// coverage is what is known of the captures so far, beside what flows say.
func (j *job) coverage(src pcaps.Source, table *flows.Table) rules.Coverage {
	cov := rules.Coverage{Captures: src.Stats(), Decoded: table.Stats(), Keys: j.keys.Stats()}
	for i := range cov.Captures.Files {
		f := &cov.Captures.Files[i]
		if f.First != 0 && (cov.First == 0 || f.First < cov.First) {
			cov.First = f.First
		}
		cov.Last = max(cov.Last, f.Last)
	}
	return cov
}

// read hands the packets of src to take, up to --count of them, until it
// declines or the run is interrupted, and returns how many there were.
func (j *job) read(ctx context.Context, src pcaps.Source, take func([]pcaps.Packet) bool) (packets uint64, err error) {
	batch := make([]pcaps.Packet, batchSize)
	for ctx.Err() == nil {
		want := batch
		if c := j.options.count; c > 0 {
			if packets == c {
				break
			}
			want = batch[:min(batchSize, c-packets)]
		}
		n, err := src.Read(want)
		more := take(want[:n])
		packets += uint64(n)
		j.progress(packets)
		if errors.Is(err, io.EOF) || !more {
			break
		} else if err != nil {
			return packets, err
		}
	}
	return packets, nil
}

// settle takes flows that have ended: all of them at the end of the captures,
// or a part of them when the table must make room.
func (j *job) settle(all iter.Seq[*flows.Flow]) error {
	if j.policy == nil {
		for f := range all {
			if err := j.each(f, nil); err != nil {
				return err
			}
		}
		return nil
	}
	for f := range all {
		j.policy.Observe(f)
	}
	j.policy.Settle()
	if j.each == nil {
		return nil
	}
	var v rules.Verdict
	for f := range all {
		j.policy.Judge(f, &v)
		if err := j.each(f, &v); err != nil {
			return err
		}
	}
	return nil
}
