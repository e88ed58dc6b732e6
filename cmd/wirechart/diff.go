package main

import (
	"errors"

	"github.com/spf13/cobra"

	"wirechart/report"
)

func diffCommand(status *int) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "what changed between two audits; exit status 1 when the later one is worse",
		Long: `diff compares two audits that were written with -o json: by edge, finding, role and
host. A change is worse when it speaks against conformance and the earlier audit did not
have it; how often something happened is not compared, because that depends on how
long the captures are.

  wirechart audit -o json --output monday.json monday.pcapng
  wirechart audit -o json --output tuesday.json tuesday.pcapng
  wirechart diff monday.json tuesday.json

Exit status: 0 not worse, 1 worse, 2 the job could not be done, 3 nothing is worse
as far as the later captures can decide: they are empty, too lossy, or leave open
whether a flow conforms.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("diff: name two audits, the earlier one first (wirechart audit -o json writes them)")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDiff(cmd, o, args, status)
		},
	}
	outputFlags(cmd.Flags(), o, report.OfDiff)
	cmd.Flags().BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever has changed")
	return cmd
}

func runDiff(cmd *cobra.Command, o *options, args []string, status *int) error {
	out, err := o.openOutput(cmd, report.OfDiff)
	if err != nil {
		return err
	}
	defer out.abandon()
	var docs [2]*report.AuditDoc
	for i, name := range args {
		if docs[i], err = report.ReadAuditFile(name); err != nil {
			return ofFile("", name, err)
		}
	}
	d := report.Diff(args[0], docs[0], args[1], docs[1])
	if err := out.finish(out.format.Diff(out, d, out.options)); err != nil {
		return err
	}
	switch {
	case o.exitZero:
	case d.Result == report.Worse:
		*status = exitFindings
	case d.Result == report.CannotTell:
		*status = exitUndecided
	}
	return nil
}
