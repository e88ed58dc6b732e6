package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"os"
	"slices"
	"strings"

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
	diagram      *rules.Diagram // nil when nothing is judged, and so is policy
	policy       *rules.Policy
	fingerprints bool         // compute JA3 and JA4, which only the flow records show
	warn         func(string) // one line for standard error
	progress     func(packets uint64)
	keys         *dissect.KeyLog // never printed
	warned       map[string]bool // places of malformed lines in key logs

	// add hands packets to the table.
	add func(t *flows.Table, batch []pcaps.Packet)

	// What the table and the dissection were made of, and the captures that were
	// read: for who reads again.
	config flows.Config
	set    *dissect.Set
	files  []string

	// open opens what is captured; nil for the captures named.
	open func(pcaps.Options) (pcaps.Source, error)
	// ready is told where packets come from and where they go, before the first;
	// before and after are called with each batch, before and after the table
	// has it, also with the empty ones while no packets come; after says whether
	// to go on. All are nil but where a run is endless: it ends when it is told to.
	endless bool
	ready   func(src pcaps.Source, table *flows.Table)
	before  func(batch []pcaps.Packet)
	after   func(batch []pcaps.Packet) bool

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
	// Keys that a capture brings with it may come behind its first frames.
	shared := &dissect.Context{Fingerprints: j.fingerprints, ShowUsers: j.options.showUsers}
	if len(j.options.keylogs) > 0 {
		shared.Keys = j.keys
	}
	secrets := func(s pcaps.Secrets) {
		if s.Type == pcaps.SecretsTLS {
			shared.Keys = j.keys
			if err := j.addKeys(s.File+": decryption secrets", bytes.NewReader(s.Data)); err != nil && !j.warned[s.File] {
				j.warned[s.File] = true // explain reads captures twice
				j.warn(err.Error())
			}
		}
	}
	open := j.open
	if open == nil {
		open = func(o pcaps.Options) (pcaps.Source, error) { return pcaps.Open(j.captures, o) }
	}
	src, err := open(pcaps.Options{Filter: j.options.filter, Recursive: j.options.recursive, Secrets: secrets})
	if err != nil {
		return cov, err
	}
	defer src.Close()
	j.files = nil
	for _, f := range src.Stats().Files {
		j.files = append(j.files, f.Name)
	}
	j.begin(j.files)

	cfg := flows.Config{Limits: flows.DefaultLimits()}
	cfg.MaxFlows = j.options.maxFlows
	if j.policy != nil {
		cfg.Listeners = j.diagram.Listens()
	}
	set := dissect.NewSet(dissect.All(), shared, cfg.MaxBuffered)
	var failed error
	table := flows.NewTable(cfg, set, func(all iter.Seq[*flows.Flow]) {
		if failed == nil {
			failed = j.settle(all)
		}
	})

	j.config, j.set = cfg, set
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
		return cov, err
	}
	table.Finish()
	cov = j.coverage(src, table)
	for i := range cov.Captures.Files {
		f := &cov.Captures.Files[i]
		if d := f.Damage; d != nil {
			read := fmt.Sprintf("read up to frame %d", d.Frame)
			if d.Frame == 0 {
				read = "no frame could be read"
			}
			j.warn(fmt.Sprintf("%s: %s: %s (at byte %d)", f.Name, read, d.Reason, d.Offset))
		}
	}
	if c := j.options.count; c > 0 && packets == c && !j.endless {
		cov.Stopped = rules.StopCount
	}
	if ctx.Err() != nil && !j.endless {
		cov.Stopped = rules.StopInterrupt
		j.warn(fmt.Sprintf("interrupted after %d frames: the results are of these only", packets))
	}
	return cov, failed
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

// measure is what an audit is held against beside the diagram: what --fail-on
// and --baseline name.
type measure struct {
	options  *options
	fails    func(*rules.Audit) bool
	baseline *report.AuditDoc // nil without --baseline
}

func (o *options) measure() (*measure, error) {
	m := &measure{options: o}
	var err error
	if m.fails, err = failsOn(o.failOn); err == nil && o.baseline != "" {
		m.baseline, err = report.ReadAuditFile(o.baseline)
		err = ofFile("--baseline", o.baseline, err)
	}
	return m, err
}

// conclude writes an audit, less what the baseline has, and says which exit
// status it gives.
func (m *measure) conclude(cmd *cobra.Command, audit *rules.Audit, out *output) (status int, err error) {
	if m.baseline != nil {
		report.SinceBaseline(audit, m.options.baseline, m.baseline, out.options)
	}
	if out.format.Detailed {
		out.options.Provenance = provenance(cmd, audit)
	}
	if err := out.finish(out.format.Audit(out, audit, out.options)); err != nil {
		return exitError, err
	}
	switch {
	case m.options.exitZero:
		return exitConforms, nil
	case m.fails(audit):
		return exitFindings, nil
	case !report.Decided(audit):
		return exitUndecided, nil
	}
	return exitConforms, nil
}

func runAudit(cmd *cobra.Command, o *options, args []string, status *int) error {
	measure, err := o.measure()
	if err != nil {
		return err
	}
	j, out, err := o.prepare(cmd, args, report.OfAudit)
	if err != nil {
		return err
	}
	defer out.abandon()
	tally := rules.NewTally(j.policy)
	if out.format.Detailed {
		tally.KeepDetail()
	}
	j.begin = func(files []string) { out.options.Files = files }
	j.each = func(f *flows.Flow, v *rules.Verdict) error { tally.Add(f, v); return nil }
	cov, err := j.run(cmd.Context())
	if err != nil {
		return err
	}
	*status, err = measure.conclude(cmd, tally.Audit(cov), out)
	return err
}

func runFlows(cmd *cobra.Command, o *options, s *selection, args []string) error {
	if o.noJudge && (len(o.diagrams) > 0 || o.inventory != "") {
		return errors.New("--no-judge reads no diagram and no inventory: leave out --diagram and --inventory")
	}
	if s.write != "" {
		if err := readTwice("--write", slices.Concat(o.captures, args)); err != nil {
			return err
		}
	}
	j, out, err := o.prepare(cmd, args, report.OfFlows)
	if err != nil {
		return err
	}
	defer out.abandon()
	j.fingerprints = true
	chosen, err := s.compile(j.diagram, out.options.Parts)
	if err != nil {
		return err
	}
	var w report.FlowWriter
	collector, err := dialCollector(o.ipfix)
	if err != nil {
		return err
	}
	j.begin = func(files []string) {
		out.options.Files = files
		if w = collector; collector == nil {
			w = out.format.Flows(out, out.options)
		}
		if j.each = w.Flow; s.all() && s.write == "" {
			return
		}
		j.each = func(f *flows.Flow, v *rules.Verdict) error {
			if s.seen++; !chosen(f, v) {
				return nil
			}
			s.told++
			if s.write != "" {
				s.note(f, v)
			}
			return w.Flow(f, v)
		}
	}
	if s.write != "" {
		if s.file, err = createBeside("--write", s.write, evidenceMode); err != nil {
			return err
		}
		defer s.file.remove() // in vain once it has its name
	}
	if _, err := j.run(cmd.Context()); err != nil {
		return out.finish(err)
	}
	if s.seen > 0 && s.told == 0 {
		j.warn(fmt.Sprintf("none of %d flows is as --verdict, --edge, --app and --host say", s.seen))
	}
	if err := out.finish(w.Close()); err != nil || s.write == "" {
		return err
	}
	return s.extract(cmd.Context(), j)
}

// dialCollector connects to where flows are exported to: HOST:PORT over UDP, or
// tcp://HOST:PORT. It is nil where there is no such place.
func dialCollector(to string) (report.FlowWriter, error) {
	if to == "" {
		return nil, nil
	}
	network, address, found := strings.Cut(to, "://")
	if !found {
		network, address = "udp", to
	}
	if network != "udp" && network != "tcp" {
		return nil, fmt.Errorf("--ipfix %s: one of HOST:PORT, udp://HOST:PORT, tcp://HOST:PORT", to)
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, fmt.Errorf("--ipfix %s: %w", to, err)
	}
	return &collector{report.NewIPFIX(conn, network == "udp"), conn}, nil
}

// collector exports flows over a connection of its own.
type collector struct {
	report.FlowWriter
	conn net.Conn
}

func (c *collector) Close() error {
	return errors.Join(c.FlowWriter.Close(), c.conn.Close())
}

func runHosts(cmd *cobra.Command, o *options, args []string) error {
	j, out, err := o.prepare(cmd, args, report.OfHosts)
	if err != nil {
		return err
	}
	defer out.abandon()
	j.begin = func(files []string) { out.options.Files = files }
	if _, err := j.run(cmd.Context()); err != nil {
		return err
	}
	return out.finish(out.format.Hosts(out, j.policy.Hosts(), out.options))
}

// prepare checks the flags for a command that gives results of a kind, reads diagram and inventory and readies the output,
// so that whatever can be wrong is found before a capture is opened.
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
	j := &job{options: o, captures: captures, keys: new(dissect.KeyLog), add: (*flows.Table).Add}
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
		out.options.Parts = j.policy
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
	for _, name := range o.keylogs {
		if err := j.readKeyLog(name); err != nil {
			out.abandon()
			return nil, nil, ofFile("--keylog", name, err)
		}
	}
	return j, out, nil
}

// readKeyLog takes in a key log. A line of it that is no such line is worth a
// warning, and no more: programs that write these files are killed midway. A
// file of nothing else is something else, given by mistake.
func (j *job) readKeyLog(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return j.addKeys(name, f)
}

// maxKeyWarnings is how many malformed lines of all key logs are named.
const maxKeyWarnings = 8

// addKeys takes in the lines of a key log. A warning says where a malformed
// line is, once; what is in it is nobody's business.
func (j *job) addKeys(name string, r io.Reader) error {
	before := j.keys.Stats()
	var warnings []string
	err := j.keys.Read(r, func(line int, reason error) {
		place := fmt.Sprintf("%s:%d", name, line)
		if j.warned[place] || len(j.warned) > maxKeyWarnings {
			return
		}
		if j.warned == nil {
			j.warned = make(map[string]bool)
		}
		if j.warned[place] = true; len(j.warned) > maxKeyWarnings {
			warnings = append(warnings, place+": and more lines that are not of a key log")
			return
		}
		warnings = append(warnings, fmt.Sprintf("%s: %v", place, reason))
	})
	after := j.keys.Stats()
	if err == nil && after.Malformed > before.Malformed && after.Lines == before.Lines {
		return fmt.Errorf("%s: not a key log: no line of it is a label, a client random and a secret", name)
	}
	for _, line := range warnings {
		j.warn(line)
	}
	return err
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

// resolve reads and joins the diagrams that a flag, or none, names, the built-in
// one when none is named.
func resolve(flag string, names []string) (*rules.Diagram, error) {
	d, err := rules.Resolve(names...)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = ofFile(flag, path.Path, err)
	}
	return d, err
}

// failsOn compiles --fail-on: whether an audit holds one of the verdicts, or a
// concern of at least the severity.
func failsOn(names []string) (func(*rules.Audit) bool, error) {
	verdicts := map[string]bool{}
	concern := rules.Severity(255)
	for _, name := range names {
		severity, isConcern := strings.CutPrefix(name, "concern:")
		switch {
		case isConcern:
			s, ok := report.SeverityNamed(severity)
			if !ok {
				return nil, fmt.Errorf("--fail-on %s: unknown severity %q: one of info, low, medium, high", name, severity)
			}
			concern = min(concern, s)
		case report.VerdictNamed(name):
			verdicts[name] = true
		case name == "none":
		default:
			return nil, fmt.Errorf("--fail-on: unknown verdict %q: one of %s, concern:SEVERITY, none", name, report.VerdictNames())
		}
	}
	return func(a *rules.Audit) bool {
		for kind, n := range a.Verdicts {
			if n.Flows > 0 && verdicts[rules.Kind(kind).String()] && a.Baseline == nil {
				return true
			}
		}
		if a.Baseline != nil && slices.ContainsFunc(a.Findings, func(f rules.Finding) bool { return verdicts[f.Kind.String()] }) {
			return true
		}
		return slices.ContainsFunc(a.Concerns, func(f rules.Finding) bool { return f.Severity >= concern })
	}, nil
}
