package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		Short: "list, show, draw, check and draft diagrams",
		Args:  takesNone("no such command: one of list, show, draw, validate, new"),
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "list the built-in diagrams",
		Args:  takesNone("takes no arguments; wirechart diagram show shows one"),
		RunE:  func(cmd *cobra.Command, args []string) error { return listDiagrams(cmd.OutOrStdout()) },
	})
	var yaml bool
	show := &cobra.Command{
		Use:   "show [NAME|FILE...]",
		Short: "what a diagram says, edge by edge; where none is named, " + rules.DefaultDiagram,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := resolve("", args)
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
	cmd.AddCommand(drawCommand(), newDiagramCommand())
	cmd.AddCommand(&cobra.Command{
		Use:   "validate FILE...",
		Short: "check diagrams: every mistake, with its line",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("diagram validate: name a file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := resolve("", args)
			if err != nil {
				return err
			}
			if _, err := rules.Compile(d, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: valid: %s, %s, %s of ambient traffic\n", report.Clean(strings.Join(args, ", ")),
				report.Count(uint64(len(d.Components)), "component"), report.Count(uint64(len(d.Edges)), "edge"), report.Count(uint64(len(d.Ambient)), "kind"))
			return nil
		},
	})
	return cmd
}

func drawCommand() *cobra.Command {
	var as, output string
	draw := &cobra.Command{
		Use:   "draw [NAME|FILE...]",
		Short: "draw a diagram; where none is named, " + rules.DefaultDiagram,
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.IndexFunc(report.Drawings(), func(x report.Drawing) bool { return x.Name == as })
			if i < 0 {
				return unknownWord("--format", "format", as, drawingNames())
			}
			d, err := resolve("", args)
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
	draw.Flags().StringVarP(&as, "format", "o", report.Drawings()[0].Name, "draw as `FORMAT`: "+strings.Join(drawingNames(), ", "))
	draw.Flags().StringVar(&output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	draw.ValidArgsFunction = diagramNames
	return draw
}

func drawingNames() []string {
	var names []string
	for _, x := range report.Drawings() {
		names = append(names, x.Name)
	}
	return names
}

// newDiagramCommand drafts a diagram.
func newDiagramCommand() *cobra.Command {
	var from, name, output, inventory string
	cmd := &cobra.Command{
		Use:   "new --from AUDIT",
		Short: "draft a diagram from observed traffic, for a product that has none",
		Long: `new drafts a diagram from the traffic that an audit saw, whatever diagram it used: a
component for each set of hosts that behave alike, an edge for each service. It says
what was seen, not what should be: edit it to match the product's documentation.

  wirechart audit -o json --output audit.json --exit-zero site.pcapng
  wirechart diagram new --from audit.json --name our-product --output our-product.yaml
  wirechart diagram validate our-product.yaml`,
		Args: takesNone("name the audit with --from"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return errors.New("diagram new: name an audit with --from (wirechart audit -o json writes it)")
			}
			if !isDiagramName(name) {
				return fmt.Errorf("--name %q: a name is small letters, digits and hyphens, and begins with a letter", name)
			}
			doc, err := report.ReadAuditFile(from)
			if err != nil {
				return ofFile("--from", from, err)
			}
			text, hosts, err := report.Draft(from, doc, name)
			if err != nil {
				return err
			}
			if inventory != "" {
				if err := writeWhole(cmd, inventory, hosts); err != nil {
					return err
				}
			}
			return writeWhole(cmd, output, text)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the audit in `FILE` (written with -o json)")
	cmd.Flags().StringVar(&name, "name", "draft", "call the diagram `NAME`")
	cmd.Flags().StringVar(&output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	cmd.Flags().StringVar(&inventory, "inventory", "", "also write an inventory into `FILE` that says which hosts are of which component")
	return cmd
}

// writeWhole writes text into a file, whole or not at all, or to standard output
// where none is named.
func writeWhole(cmd *cobra.Command, file string, text []byte) error {
	out, err := newOutput(cmd.OutOrStdout(), file, "never", report.Format{})
	if err != nil {
		return err
	}
	defer out.abandon()
	_, err = out.Write(text)
	return out.finish(err)
}

func isDiagramName(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	})
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

// resolve reads and joins the diagrams that a flag, or none, names, the built-in
// one when none is named.
func resolve(flag string, names []string) (*rules.Diagram, error) {
	d, err := rules.Resolve(names...)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = ofFile(flag, path.Path, err)
	}
	return d, err
}
