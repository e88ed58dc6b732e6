package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"wirechart/pcaps"
	"wirechart/report"
)

// interfacesCommand says what live could listen on.
func interfacesCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "interfaces",
		Short: "the interfaces of this machine, and which of them live may capture from",
		Args:  takesNone("takes no arguments; wirechart live -i INTERFACE captures from one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "json" {
				return fmt.Errorf("--format: unknown format %q: one of table, json", format)
			}
			list, err := pcaps.Interfaces()
			if err != nil {
				return err
			}
			out, err := newOutput(cmd.OutOrStdout(), "", "auto", report.Format{})
			if err != nil {
				return err
			}
			if err := out.finish(report.Interfaces(out, list, format == "json", out.options)); err != nil {
				return err
			}
			if slices.ContainsFunc(list, func(i pcaps.Interface) bool { return i.Denied() }) {
				fmt.Fprintf(cmd.ErrOrStderr(), "wirechart: to capture, %s\n", pcaps.HowToPermit())
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "format", "o", "table", "write as `FORMAT`: table, json")
	return cmd
}
