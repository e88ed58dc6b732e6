package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wirechart/flows"
	"wirechart/report"
	"wirechart/rules"
)

func auditCommand(status *int) *cobra.Command {
	o, l := &options{}, &liveOptions{refresh: refreshLeast, keep: flows.DefaultKeep, sandbox: sandbox{Off: true}}
	cmd := &cobra.Command{
		Use:   "audit CAPTURE...",
		Short: "judge captures against a diagram; what bare `wirechart CAPTURE...` does",
		Long: `audit judges every flow of the captures against the edges of a diagram and reports
the state of each edge, the findings with the frame that proves each and what to do,
and the hosts with their roles. Several captures are read as one period.

  wirechart audit site.pcapng                       for people
  wirechart audit -o json site.pcapng               for programs
  wirechart audit -o html --output audit.html site.pcapng
  wirechart audit --inventory hosts.yaml --diagram ours.yaml day1/ day2/*.pcap.gz
  wirechart audit --follow /captures                files of a rotating tcpdump, as they appear

Exit status: 0 the traffic conforms, 1 findings (--fail-on says which), 2 the job
could not be done, 3 done, but the captures could not decide it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if l.follow != "" {
				if len(args)+len(o.captures) > 0 {
					return errors.New("--follow reads the captures of its directory: name no others")
				}
				if o.recursive {
					return errors.New("--follow reads one directory: leave out --recursive")
				}
				return runLive(cmd, o, l, status)
			}
			for _, flag := range []string{"idle", "duration"} {
				if cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s ends what --follow reads: name its directory, or leave out --%s", flag, flag)
				}
			}
			return runAudit(cmd, o, args, status)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfAudit)
	auditFlags(cmd.Flags(), o)
	cmd.Flags().Lookup("output").Usage += "; as it goes with --follow -o jsonl"
	cmd.Flags().StringVar(&l.follow, "follow", "", "read captures as they appear in `DIR`, written by tcpdump -G or dumpcap -b, until Ctrl-C")
	cmd.Flags().DurationVar(&l.idle, "idle", 0, "with --follow: end when nothing was written for this `TIME`")
	cmd.Flags().DurationVar(&l.duration, "duration", 0, "with --follow: end after this `TIME`")
	return cmd
}

func auditFlags(fs *pflag.FlagSet, o *options) {
	diagramFlags(fs, o)
	usersFlag(fs, o)
	fs.StringSliceVar(&o.failOn, "fail-on", []string{"violation", "undocumented", "blocked"},
		"exit with 1 when a flow has one of these `VERDICTS`, or with concern:high a concern of at least that severity; none: never")
	fs.StringVar(&o.baseline, "baseline", "", "report only what is new since the audit in `FILE` (written with -o json, without --baseline)")
	fs.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
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

// failsOn compiles --fail-on: whether an audit holds one of the verdicts, or a
// concern of at least the severity.
func failsOn(names []string) (func(*rules.Audit) bool, error) {
	known := report.VerdictNames()
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
		case slices.Contains(known, name):
			verdicts[name] = true
		case name == "none":
		default:
			return nil, unknownWord("--fail-on", "verdict", name, append(known, "concern:SEVERITY", "none"))
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
