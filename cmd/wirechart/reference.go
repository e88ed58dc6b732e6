package main

import (
	"encoding/json"
	"fmt"
	"maps"
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
// record, every schema and every reason, as Markdown.
func reference(root *cobra.Command) string {
	r := &referenceWriter{}
	r.line("# Reference\n")
	r.line("Made by the program itself (`make docs`); a test holds it to what the program does. Not for editing.\n")
	r.line("- [Commands](#commands)\n- [Formats](#formats)\n- [Members of a flow record](#members-of-a-flow-record)\n- [Schemas](#schemas)\n- [Reasons](#reasons)")
	r.line("\n## Commands")
	r.command(root)
	r.formats()
	r.members()
	r.schemas()
	r.reasons()
	return r.String()
}

// referenceWriter is the reference while it is written, a function for each
// section, in their order.
type referenceWriter struct{ strings.Builder }

func (r *referenceWriter) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

// command writes c and what is below it: what it is for, and its own flags.
func (r *referenceWriter) command(c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	if c.Runnable() && (c.Parent() == nil || c.Parent().Name() != "completion") {
		r.line("\n### %s\n", strings.TrimSuffix(c.UseLine(), " [flags]"))
		r.line("%s", rules.Sentence(cell(c.Short)))
		rows := 0
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			if rows++; rows == 1 {
				r.line("\n| flag | | default |\n|---|---|---|")
			}
			r.flag(f)
		})
	}
	for _, sub := range c.Commands() {
		r.command(sub)
	}
}

func (r *referenceWriter) flag(f *pflag.Flag) {
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
	r.line("| %s | %s | %s |", cell(name), cell(says), cell(standard))
}

func (r *referenceWriter) formats() {
	r.line("\n## Formats\n\nOf results (`-o`):\n\n| format | | writes |\n|---|---|---|")
	for _, f := range report.All() {
		var kinds []string
		for _, k := range []report.Kind{report.OfAudit, report.OfHosts, report.OfFlows, report.OfExplain, report.OfDiff, report.OfCompare} {
			if f.Writes(k) {
				kinds = append(kinds, string(k))
			}
		}
		r.line("| `%s` | %s | %s |", f.Name, cell(f.Doc), strings.Join(kinds, ", "))
	}
	r.line("\nOf firewall rules (`wirechart rules --format`):\n\n| format | |\n|---|---|")
	for _, f := range firewall.Formats() {
		r.line("| `%s` | %s |", f.Name, cell(f.Doc))
	}
}

// members writes the members of a flow record: those of every flow from the
// schema, and then the facts that parsers read, which have objects of their own.
func (r *referenceWriter) members() {
	r.line("\n## Members of a flow record\n\nWhat `wirechart flows -o jsonl` writes, one object a line; `wirechart schema flow` is the JSON Schema. A member that is not known is\nabsent.\n\n| member | type | |\n|---|---|---|")
	type member struct {
		Type, Description string
		Properties        map[string]member
	}
	text, _ := report.Schema("flow")
	var schema member
	if err := json.Unmarshal(text, &schema); err != nil {
		panic(err) // the program's own schema
	}
	facts := map[string]bool{}
	for _, k := range dissect.Keys() {
		object, _, _ := strings.Cut(k.Name, ".")
		facts[object] = true
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if facts[name] {
			continue
		}
		m := schema.Properties[name]
		r.line("| `%s` | %s | %s |", name, m.Type, cell(m.Description))
		for _, sub := range slices.Sorted(maps.Keys(m.Properties)) {
			r.line("| `%s.%s` | %s | %s |", name, sub, m.Properties[sub].Type, cell(m.Properties[sub].Description))
		}
	}

	r.line("\nProtocols, the values of `app`: %s.", "`"+strings.Join(dissect.Names(), "`, `")+"`")
	r.line("\nFacts read from the bytes, which diagrams may require:\n\n| fact | type | |\n|---|---|---|")
	kinds := map[dissect.Kind]string{dissect.Text: "text", dissect.Flag: "true or false", dissect.Int: "number", dissect.Float: "number",
		dissect.List: "list of texts", dissect.Ints: "list of numbers", dissect.Pair: "two numbers"}
	for _, k := range dissect.Keys() {
		r.line("| `%s` | %s | %s |", k.Name, kinds[k.Kind], cell(k.Doc))
	}
}

func (r *referenceWriter) schemas() {
	r.line("\n## Schemas\n\n`wirechart schema KIND` prints the JSON Schema of each: %s.", "`"+strings.Join(schemaKinds, "`, `")+"`")
}

func (r *referenceWriter) reasons() {
	r.line("\n## Reasons\n\n[Reasons](reasons.md) groups them by verdict. Here they are by name.\n\n| reason | severity | meaning | what to do |\n|---|---|---|---|")
	all := slices.SortedFunc(slices.Values(rules.AllReasons()), func(x, y rules.Reason) int { return strings.Compare(x.String(), y.String()) })
	for _, reason := range all {
		r.line("| `%s` | %s | %s | %s |", reason, reason.Severity(), cell(reason.Explain()), cell(reason.Do()))
	}
}

// cell is a text as it may stand in a table of Markdown.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", "\\|")
}
