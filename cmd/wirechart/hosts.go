package main

import (
	"github.com/spf13/cobra"

	"wirechart/report"
)

func hostsCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "hosts CAPTURE...",
		Short: "which host has which role, and why",
		Long: `hosts writes the roles of hosts, how certain they are, and the evidence with its
frames. Where you know better, an inventory overrules it.

  wirechart hosts site.pcapng
  wirechart hosts --inventory hosts.yaml -o json site.pcapng`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHosts(cmd, o, args)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfHosts)
	diagramFlags(cmd.Flags(), o)
	return cmd
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
