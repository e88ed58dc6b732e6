package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/report"
	"wirechart/rules"
)

// diagramCommand is for the people who write diagrams.
func diagramCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diagram",
		Short: "list, show, draw and check diagrams",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "the diagrams in the program",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return listDiagrams(cmd.OutOrStdout()) },
	})
	var yaml bool
	show := &cobra.Command{
		Use:   "show [NAME|FILE...]",
		Short: "what a diagram says, edge by edge; the one that audits use when none is named",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := resolve(args)
			if err != nil {
				return err
			}
			if yaml {
				_, err := io.WriteString(cmd.OutOrStdout(), d.Text())
				return err
			}
			out, err := newOutput(cmd.OutOrStdout(), "", "auto", report.Format{})
			if err != nil {
				return err
			}
			return out.finish(report.Diagram(out, d, out.options))
		},
	}
	show.Flags().BoolVar(&yaml, "yaml", false, "as it was written, to begin a diagram of your own with")
	show.ValidArgsFunction = diagramNames
	cmd.AddCommand(show)
	cmd.AddCommand(drawCommand())
	cmd.AddCommand(&cobra.Command{
		Use:   "validate FILE...",
		Short: "find the mistakes in diagrams; all of them, each with its line",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := resolve(args)
			if err != nil {
				return err
			}
			if _, err := rules.Compile(d, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: valid: %d components, %d edges, %d kinds of ambient traffic\n",
				report.Clean(strings.Join(args, ", ")), len(d.Components), len(d.Edges), len(d.Ambient))
			return nil
		},
	})
	return cmd
}

func drawCommand() *cobra.Command {
	var as, output string
	draw := &cobra.Command{
		Use:   "draw [NAME|FILE...]",
		Short: "a picture of a diagram; the one that audits use when none is named",
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.IndexFunc(report.Drawings(), func(x report.Drawing) bool { return x.Name == as })
			if i < 0 {
				return fmt.Errorf("unknown format %q: one of %s", as, drawingNames())
			}
			d, err := resolve(args)
			if err != nil {
				return err
			}
			out, err := newOutput(cmd.OutOrStdout(), output, "never", report.Format{})
			if err != nil {
				return err
			}
			defer out.abandon()
			return out.finish(report.Drawings()[i].Draw(out, d))
		},
	}
	draw.Flags().StringVarP(&as, "format", "o", report.Drawings()[0].Name, "draw as `FORMAT`: "+drawingNames())
	draw.Flags().StringVar(&output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	draw.ValidArgsFunction = diagramNames
	return draw
}

func drawingNames() string {
	var names []string
	for _, x := range report.Drawings() {
		names = append(names, x.Name)
	}
	return strings.Join(names, ", ")
}

func listDiagrams(w io.Writer) error {
	for _, name := range rules.BuiltinNames() {
		d, ok := rules.Builtin(name)
		if !ok {
			continue
		}
		part := d.Parts[slices.IndexFunc(d.Parts, func(p rules.Part) bool { return p.Name == name })]
		note := ""
		switch {
		case name == rules.DefaultDiagram:
			note = " (used when none is named)"
		case part.Extends != "":
			note = " (adds to " + part.Extends + ")"
		}
		if _, err := fmt.Fprintf(w, "%-28s %s%s\n", name, part.Title, note); err != nil {
			return err
		}
	}
	return nil
}

func diagramNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return rules.BuiltinNames(), cobra.ShellCompDirectiveDefault
}
