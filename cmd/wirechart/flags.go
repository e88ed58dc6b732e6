package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"wirechart/flows"
	"wirechart/report"
	"wirechart/rules"
)

// options are the flags of the commands that read captures.
type options struct {
	captures  []string
	filter    string
	count     uint64
	recursive bool
	format    string
	output    string
	diagrams  []string
	inventory string
	keylogs   []string
	noJudge   bool
	showUsers bool
	failOn    []string
	baseline  string
	ipfix     string
	exitZero  bool
	color     string
	maxFlows  int
	quiet     bool
}

// inputFlags are those of every command that reads captures.
func inputFlags(fs *pflag.FlagSet, o *options, kind report.Kind) {
	fs.StringArrayVarP(&o.captures, "read", "r", nil, "read `FILE`, a directory or a glob; - is standard input (repeatable; same as naming it)")
	fs.BoolVar(&o.recursive, "recursive", false, "descend into directories")
	packetFlags(fs, o, kind)
}

// packetFlags are those of every command that takes in packets and gives results
// of a kind.
func packetFlags(fs *pflag.FlagSet, o *options, kind report.Kind) {
	fs.StringVarP(&o.filter, "filter", "f", "", "read only frames that match the `BPF` expression (as tcpdump takes it)")
	fs.Uint64VarP(&o.count, "count", "c", 0, "stop after `N` frames")
	fs.BoolP("no-names", "n", false, "accepted for compatibility with tcpdump; names are never looked up")
	outputFlags(fs, o, kind)
	fs.IntVar(&o.maxFlows, "max-flows", flows.DefaultLimits().MaxFlows, "hold at most `N` flows in memory; beyond that flows are ended early, and counted")
	fs.StringArrayVar(&o.keylogs, "keylog", nil, "decrypt TLS with the secrets in the key log `FILE` (SSLKEYLOGFILE format; repeatable)")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no warnings on standard error")
}

// outputFlags are those of every command that writes results of a kind.
func outputFlags(fs *pflag.FlagSet, o *options, kind report.Kind) {
	fs.StringVarP(&o.format, "format", "o", report.All()[0].Name, "write as `FORMAT`: "+strings.Join(report.Names(kind), ", "))
	fs.StringVar(&o.output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	fs.StringVar(&o.color, "color", "auto", "colour the output `WHEN`: auto (where a terminal shows it), always or never")
}

// formatFor is the format of a name, which must be one that writes results of a kind.
func formatFor(name string, kind report.Kind) (report.Format, error) {
	format, ok := report.Named(name)
	if !ok {
		return format, unknownWord("--format", "format", name, report.Names(kind))
	}
	if !format.Writes(kind) {
		return format, fmt.Errorf("--format: %s is no format of %s: one of %s", format.Name, kind, strings.Join(report.Names(kind), ", "))
	}
	return format, nil
}

// diagramFlags are those of every command that judges.
func diagramFlags(fs *pflag.FlagSet, o *options) {
	fs.StringArrayVar(&o.diagrams, "diagram", nil, "judge by the diagram `FILE|NAME` (repeatable; several are joined)")
	fs.StringVar(&o.inventory, "inventory", "", "`FILE` that says which hosts have which roles")
}

// usersFlag is that of the commands whose results may name users.
func usersFlag(fs *pflag.FlagSet, o *options) {
	fs.BoolVar(&o.showUsers, "show-users", false, "also write names of users that cross in clear (SMB, iSCSI)")
}

// unknownWord says that a flag or a command does not know a word of a kind, and
// which one was meant, where one is near, or else which there are.
func unknownWord(of, kind, word string, known []string) error {
	if near := rules.Nearest(word, known); near != "" {
		return fmt.Errorf("%s: unknown %s %q (did you mean %q?)", of, kind, word, near)
	}
	return fmt.Errorf("%s: unknown %s %q: one of %s", of, kind, word, strings.Join(known, ", "))
}
