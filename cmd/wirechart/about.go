package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"wirechart/dissect"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// version is set by the linker (Makefile); a plain go build leaves it empty.
var version string

// schemaKinds are the documents and lines that have a JSON Schema, by the middle of
// what their member schema says.
var schemaKinds = []string{"flow", "flows", "audit", "summary", "finding", "concern", "edge", "host", "hosts", "event", "explain", "diff", "compare", "rules", "verify", "interfaces", "diagram", "inventory"}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "schema {" + strings.Join(schemaKinds, "|") + "}",
		Short:     "print the JSON Schema of a document: what -o json and jsonl write, a diagram, an inventory",
		ValidArgs: schemaKinds,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return fmt.Errorf("schema: name one of %s", strings.Join(schemaKinds, ", "))
			case !slices.Contains(schemaKinds, args[0]):
				return unknownWord("schema", "kind", args[0], schemaKinds)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, ok := report.Schema(args[0])
			if !ok {
				text, ok = rules.Schema(args[0])
			}
			if !ok {
				return fmt.Errorf("schema %s: not in this program", args[0])
			}
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func versionCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "which build this is; with -v what is in it",
		Args:  takesNone(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			if _, err := fmt.Fprintln(w, "wirechart "+buildVersion(info)); err != nil || !verbose {
				return err
			}
			fmt.Fprintf(w, "built with   %s for %s/%s, cgo %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, setting(info, "CGO_ENABLED", "off"))
			fmt.Fprintf(w, "captures by  %s\n", capturesBy())
			var protocols []string
			for _, d := range dissect.All() {
				protocols = append(protocols, d.Name)
			}
			// A protocol over two transports may be two dissectors of one name.
			fmt.Fprintf(w, "recognises   %s\n", strings.Join(slices.Compact(protocols), " "))
			fmt.Fprintf(w, "diagrams     %s\n", strings.Join(rules.BuiltinNames(), " "))
			var formats []string
			for _, f := range report.All() {
				formats = append(formats, f.Name)
			}
			fmt.Fprintf(w, "writes       %s\n", strings.Join(formats, " "))
			for _, m := range info.Deps {
				fmt.Fprintf(w, "module       %s %s\n", m.Path, m.Version)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "what the build is made of")
	return cmd
}

// capturesBy is how this build captures, and what it lacks for being built
// without cgo or for another system.
func capturesBy() string {
	by := strings.Join(pcaps.Captures(), ", ")
	if by == "" {
		by = "nothing: this build reads files only"
	}
	if !slices.Contains(pcaps.Captures(), pcaps.CaptureLibpcap.String()) {
		by += "; no libpcap: filters (-f) are bytecode, as tcpdump -ddd prints it"
	}
	return by
}

// buildVersion is what the linker was told, the version of the module, or the
// commit it was built from.
func buildVersion(info *debug.BuildInfo) string {
	if version != "" {
		return version
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision := setting(info, "vcs.revision", "")
	if revision == "" {
		return "devel"
	}
	s := "devel " + revision[:min(12, len(revision))]
	if setting(info, "vcs.modified", "") == "true" {
		s += " with changes"
	}
	return s
}

// setting is a value that the build recorded.
func setting(info *debug.BuildInfo, key, otherwise string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return otherwise
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages into a directory",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("man: name one directory to write into")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return ofFile("", args[0], err)
			}
			// No date: the same program writes the same pages.
			epoch := time.Unix(0, 0)
			root := cmd.Root()
			root.DisableAutoGenTag = true
			for _, c := range append(root.Commands(), root) {
				// The pages are made by way of Markdown, where lines stay
				// lines from four spaces on.
				c.Long = strings.ReplaceAll(c.Long, "\n  ", "\n    ")
			}
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "wirechart", Date: &epoch}, args[0])
		},
	}
}
