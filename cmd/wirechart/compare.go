package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
)

func compareCommand(status *int) *cobra.Command {
	o := &options{}
	var offset, delay time.Duration
	cmd := &cobra.Command{
		Use:   "compare INSIDE OUTSIDE",
		Short: "is it the firewall? what became of each flow between two captures of the same time",
		Long: `compare takes captures that were made on both sides of a firewall, a load balancer or
any other device at the same time, and says of each flow whether it crossed, was
dropped, refused or reset in between, rewritten by address translation, or delayed.
The clocks of the two need not agree.

  wirechart compare inside.pcapng outside.pcapng
  wirechart compare -o json lan/ wan/ -f 'host 10.20.30.22'

Exit status: 0 what was seen on one side got through, 1 something did not, 2 the job
could not be done.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("compare: name two captures (or directories of them), inside first")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := formatFor(o.format, report.OfCompare)
			if err != nil {
				return err
			}
			c := report.CompareOptions{Delay: int64(delay)}
			if cmd.Flags().Changed("clock-offset") {
				ns := int64(offset)
				c.Offset = &ns
			}
			var sides [2]*flows.Vantage
			for i, name := range args {
				if sides[i], c.Files[i], err = readVantage(cmd.Context(), name, o); err != nil {
					return err
				}
			}
			out, err := newOutput(cmd.OutOrStdout(), o.output, o.color, format)
			if err != nil {
				return err
			}
			defer out.abandon()
			d := report.Compare(sides[0], sides[1], c)
			if err := out.finish(out.format.Compare(out, d, out.options)); err != nil {
				return err
			}
			if d.Bad() && !o.exitZero {
				*status = exitFindings
			}
			return nil
		},
	}
	fs := cmd.Flags()
	outputFlags(fs, o, report.OfCompare)
	fs.StringVarP(&o.filter, "filter", "f", "", "take only the frames that the `BPF` expression takes, of both sides")
	fs.BoolVar(&o.recursive, "recursive", false, "descend into directories")
	fs.DurationVar(&offset, "clock-offset", 0, "how far the clock outside is ahead of that inside; estimated otherwise")
	fs.DurationVar(&delay, "delay", 10*time.Millisecond, "call a flow delayed to which this much more is added than to others")
	fs.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever became of the flows")
	return cmd
}

// readVantage reads the captures of one side.
func readVantage(ctx context.Context, name string, o *options) (*flows.Vantage, []string, error) {
	src, err := pcaps.Open([]string{name}, pcaps.Options{Filter: o.filter, Recursive: o.recursive})
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	v := flows.NewVantage()
	batch := make([]pcaps.Packet, batchSize)
	for ctx.Err() == nil {
		n, err := src.Read(batch)
		for i := range batch[:n] {
			v.Add(&batch[i])
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
	}
	var files []string
	for _, f := range src.Stats().Files {
		files = append(files, f.Name)
	}
	return v, files, nil
}
