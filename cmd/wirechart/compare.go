package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

func compareCommand(status *int) *cobra.Command {
	o := &options{}
	var offset, delay time.Duration
	cmd := &cobra.Command{
		Use:   "compare INSIDE OUTSIDE",
		Short: "is it the firewall? captures from both sides of it, flow by flow",
		Long: `compare takes two captures that were made at the same time on both sides of a
firewall (or of whatever else is between two places) and says what became of each
flow in between: crossed, dropped and in which direction, rejected or reset and by
whom, cut off midway, rewritten (address translation), delayed; with the frames of
both captures that prove it, and the difference of the two clocks.

  wirechart compare inside.pcapng outside.pcapng
  wirechart compare -f 'tcp port 7780' inside/ 'outside-*.pcap'

Each side is a capture, a directory or a pattern. A filter (-f) holds for both:
name what is not translated on the way.

Exit status: 0 everything crossed, 1 something was dropped, rejected or reset
between, 2 the job could not be done, 3 the captures could not decide it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("compare: name two captures, that of the inside first")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCompare(cmd, o, args, offset, delay, status)
		},
	}
	fs := cmd.Flags()
	compareFlags(fs, o)
	fs.DurationVar(&offset, "clock-offset", 0, "the clock outside is ahead by this `TIME`, where that is known; estimated otherwise")
	fs.DurationVar(&delay, "delay", 50*time.Millisecond, "call a flow delayed that takes this `TIME` longer than others")
	return cmd
}

func compareFlags(fs *pflag.FlagSet, o *options) {
	inputFlags(fs, o, report.OfCompare)
	diagramFlags(fs, o)
	fs.BoolVar(&o.noJudge, "no-judge", false, "leave out names and edges; no diagram is read")
	fs.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
	if err := fs.MarkHidden("read"); err != nil {
		panic(err) // it is one of inputFlags
	}
}

func runCompare(cmd *cobra.Command, o *options, args []string, offset, delay time.Duration, status *int) error {
	switch {
	case len(o.captures) > 0:
		return errors.New("compare: --read does not say which side: name two captures, that of the inside first")
	case args[0] == "-" && args[1] == "-":
		return errors.New("compare: standard input can be one of the two captures, not both")
	case o.noJudge && (len(o.diagrams) > 0 || o.inventory != ""):
		return errors.New("--no-judge reads no diagram and no inventory: leave out --diagram and --inventory")
	}
	j, out, err := o.prepare(cmd, args[:1], report.OfCompare)
	if err != nil {
		return err
	}
	defer out.abandon()
	var places [2]*flows.Vantage
	var sides [2]report.CompareSide
	options := flows.CompareOptions{Slow: int64(delay)}
	if cmd.Flags().Changed("clock-offset") {
		ns := int64(offset)
		options.Offset = &ns
	}
	for side, name := range args {
		if side > 0 && j.policy != nil { // hosts are learned anew: one address may be two hosts
			if j.diagram, j.policy, err = loadPolicy(o.diagrams, o.inventory); err != nil {
				return err
			}
		}
		v := flows.NewVantage()
		j.captures, j.add = []string{name}, v.Add
		j.begin = func(files []string) { sides[side].Files = files }
		j.each = func(f *flows.Flow, v2 *rules.Verdict) error {
			edge := ""
			if v2 != nil && v2.Edge != nil {
				edge = v2.Edge.ID
			}
			v.Settle(f, edge)
			return nil
		}
		cov, err := j.run(cmd.Context())
		if err != nil {
			return err
		}
		places[side] = v
		sides[side].Name = name
		sides[side].Lossy = lossy(&cov.Captures)
		if j.policy != nil {
			sides[side].Hosts = j.policy
		}
		options.Ran[side] = ran(&cov.Captures)
		options.Ended[side] = o.count > 0 || damaged(&cov.Captures)
	}
	doc := report.NewCompareDoc(flows.Compare(places[0], places[1], options), sides)
	if err := out.finish(out.format.Compare(out, doc, out.options)); err != nil {
		return err
	}
	switch {
	case o.exitZero:
	case doc.Result == report.Between:
		*status = exitFindings
	case doc.Result == report.Undecided:
		*status = exitUndecided
	}
	return nil
}

// ran is when the captures have their first and their last frame, whatever was
// filtered; 0 where there is none.
func ran(s *pcaps.Stats) (span [2]int64) {
	for i := range s.Files {
		f := &s.Files[i]
		if f.Frames == 0 {
			continue
		}
		if span == [2]int64{} {
			span = [2]int64{f.First, f.Last}
		}
		span = [2]int64{min(span[0], f.First), max(span[1], f.Last)}
	}
	return span
}

// lossy says whether a capture says itself that it lacks frames.
func lossy(s *pcaps.Stats) bool { return s.Dropped+s.InterfaceDropped > 0 || damaged(s) }

// damaged says whether a capture could not be read to its end.
func damaged(s *pcaps.Stats) bool {
	for i := range s.Files {
		if s.Files[i].Damage != nil {
			return true
		}
	}
	return false
}
