package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wirechart/dissect"
	"wirechart/report"
	"wirechart/rules"
	"wirechart/rules/firewall"
)

// referenceCommand prints docs/reference.md: what the program says of itself.
func referenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "print the reference as Markdown (docs/reference.md)",
		Args:   takesNone(""),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := cmd.OutOrStdout().Write([]byte(reference(cmd.Root())))
			return err
		},
	}
}

// reference is every command with its flags, every format, every member of a flow
// record and every reason.
func reference(root *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Reference")
	line("")
	line("Made by the program itself (`make docs`); a test holds it to what the program does. Not for editing.")
	line("")
	line("- [Commands](#commands)\n- [Formats](#formats)\n- [Members of a flow record](#members-of-a-flow-record)\n- [Schemas](#schemas)\n- [Reasons](#reasons)")
	line("\n## Commands")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		if c.Runnable() && (c.Parent() == nil || c.Parent().Name() != "completion") {
			line("\n### %s\n", strings.TrimSuffix(c.UseLine(), " [flags]"))
			line("%s", rules.Sentence(cell(c.Short)))
			rows := 0
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Hidden || f.Name == "help" {
					return
				}
				if rows++; rows == 1 {
					line("\n| flag | | default |\n|---|---|---|")
				}
				value, says := pflag.UnquoteUsage(f)
				name := "`--" + f.Name
				if value != "" {
					name += " " + value
				}
				name += "`"
				if f.Shorthand != "" {
					name = "`-" + f.Shorthand + "`, " + name
				}
				standard := f.DefValue
				if standard == "[]" || standard == "false" {
					standard = ""
				}
				if standard != "" {
					standard = "`" + standard + "`"
				}
				line("| %s | %s | %s |", cell(name), cell(says), cell(standard))
			})
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)

	line("\n## Formats\n\nOf results (`-o`):\n\n| format | | writes |\n|---|---|---|")
	for _, f := range report.All() {
		var kinds []string
		for _, k := range []report.Kind{report.OfAudit, report.OfHosts, report.OfFlows, report.OfExplain, report.OfDiff, report.OfCompare} {
			if f.Writes(k) {
				kinds = append(kinds, string(k))
			}
		}
		line("| `%s` | %s | %s |", f.Name, cell(f.Doc), strings.Join(kinds, ", "))
	}
	line("\nOf firewall rules (`wirechart rules --format`):\n\n| format | |\n|---|---|")
	for _, f := range firewall.Formats() {
		line("| `%s` | %s |", f.Name, cell(f.Doc))
	}

	line("\n## Members of a flow record\n\nWhat `wirechart flows -o jsonl` writes, one object a line; `wirechart schema flow` is the JSON Schema. A member that is not known is\nabsent.\n\n| member | type | |\n|---|---|---|")
	facts := map[string]bool{}
	for _, k := range dissect.Keys() {
		object, _, _ := strings.Cut(k.Name, ".")
		facts[object] = true
	}
	text, _ := report.Schema("flow")
	var schema struct {
		Properties map[string]struct {
			Type, Description string
			Properties        map[string]struct{ Type, Description string }
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		panic(err) // the program's own
	}
	var names []string
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := schema.Properties[name]
		if facts[name] {
			continue
		}
		line("| `%s` | %s | %s |", name, p.Type, cell(p.Description))
		var below []string
		for sub := range p.Properties {
			below = append(below, sub)
		}
		slices.Sort(below)
		for _, sub := range below {
			line("| `%s.%s` | %s | %s |", name, sub, p.Properties[sub].Type, cell(p.Properties[sub].Description))
		}
	}
	line("\nFacts read from the bytes, which diagrams may require:\n\n| fact | type | |\n|---|---|---|")
	kinds := map[dissect.Kind]string{dissect.Text: "text", dissect.Flag: "true or false", dissect.Int: "number", dissect.Float: "number",
		dissect.List: "list of texts", dissect.Ints: "list of numbers", dissect.Pair: "two numbers"}
	for _, k := range dissect.Keys() {
		line("| `%s` | %s | %s |", k.Name, kinds[k.Kind], cell(k.Doc))
	}

	line("\n## Schemas\n\n`wirechart schema KIND` prints the JSON Schema of each: %s.", "`"+strings.Join(schemaKinds, "`, `")+"`")

	line("\n## Reasons\n\n[Reasons](reasons.md) groups them by verdict. Here they are by name.\n\n| reason | severity | meaning | what to do |\n|---|---|---|---|")
	all := slices.Clone(rules.AllReasons())
	slices.SortFunc(all, func(x, y rules.Reason) int { return strings.Compare(x.String(), y.String()) })
	for _, r := range all {
		line("| `%s` | %s | %s | %s |", r, r.Severity(), cell(r.Explain()), cell(r.Do()))
	}
	return b.String()
}

// cell is a text as it may stand in a table of Markdown.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", "\\|")
}
