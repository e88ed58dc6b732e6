// Wirechart reads captures and answers one question: does the traffic match
// the documented connection diagram?
//
// main.go has the commands and their flags, run.go the path from packets to
// results, output.go where results go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wirechart/report"
)

// The exit statuses. Scripts rely on them.
const (
	exitConforms  = 0 // the traffic conforms, or the command has no verdict to give
	exitFindings  = 1
	exitError     = 2 // usage, unreadable input: the job was not done
	exitUndecided = 3 // done, but the captures could not decide it
)

func main() {
	// The table and the facts are few large, long-lived pieces, and what is
	// garbage between two collections is small beside them: collecting at four
	// times the live heap instead of twice costs little memory and halves the
	// collector's share of the time.
	debug.SetGCPercent(300)

	// A reader of our output that goes away (head, less) is no fault: writing
	// then fails with EPIPE, which output.go takes for the end.
	signal.Ignore(syscall.SIGPIPE)

	// The first interrupt ends the reading, and what was read is reported; the
	// second one ends the program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute is the whole program: it runs one command line and returns the exit
// status. Every message of an error is one line, more when there are several
// mistakes in one file.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	status := exitConforms
	root := rootCommand(&status)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "wirechart: %s\n", oneLine(err))
		return exitError
	}
	return status
}

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
	noJudge   bool
	failOn    []string
	exitZero  bool
	color     string
	maxFlows  int
	quiet     bool
}

func rootCommand(status *int) *cobra.Command {
	root := &cobra.Command{
		Use:   "wirechart [CAPTURE...]",
		Short: "does the traffic match the documented connection diagram?",
		Long: `wirechart reads captures and compares what it sees with a documented connection
diagram: who plays which part, which documented connections were seen, and every
flow that no edge of the diagram allows, each with the frame that proves it.

  wirechart site.pcapng                    the audit, for people
  wirechart audit -o json site.pcapng      the audit, for programs
  wirechart flows -o jsonl site.pcapng     one record per flow
  wirechart hosts site.pcapng              who plays which part, and why

Exit status: 0 the traffic conforms, 1 findings, 2 the job could not be done,
3 done, but the captures could not decide it.`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	o := &options{}
	inputFlags(root.Flags(), o)
	auditFlags(root.Flags(), o)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && len(o.captures) == 0 {
			return cmd.Help()
		}
		return runFlows(cmd, o, args)
	}
	root.AddCommand(flowsCommand())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return err })
	return root
}

func flowsCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "flows CAPTURE...",
		Short: "one record per flow",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runFlows(cmd, o, args)
		},
	}
	inputFlags(cmd.Flags(), o)
	diagramFlags(cmd.Flags(), o)
	cmd.Flags().BoolVar(&o.noJudge, "no-judge", false, "leave out parts, names and verdicts; no diagram is read")
	return cmd
}

// inputFlags are those of every command that reads captures.
func inputFlags(fs *pflag.FlagSet, o *options) {
	fs.StringArrayVarP(&o.captures, "read", "r", nil, "read `FILE`, a directory or a glob; - is standard input (repeatable; same as naming it)")
	fs.StringVarP(&o.filter, "filter", "f", "", "take only the frames that the `BPF` expression takes")
	fs.Uint64VarP(&o.count, "count", "c", 0, "stop after `N` frames")
	fs.BoolP("no-names", "n", true, "look up no names; it never does")
	fs.BoolVar(&o.recursive, "recursive", false, "descend into directories")
	fs.StringVarP(&o.format, "format", "o", report.All()[0].Name, "write as `FORMAT`: "+report.Names())
	fs.StringVar(&o.output, "output", "", "write to `FILE` instead of standard output, whole or not at all")
	fs.StringVar(&o.color, "color", "auto", "colour the output: auto, always or never")
	fs.IntVar(&o.maxFlows, "max-flows", 0, "hold at most `N` flows at a time (default: see docs; more are evicted and counted)")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no warnings on standard error")
}

// diagramFlags are those of every command that judges.
func diagramFlags(fs *pflag.FlagSet, o *options) {
	fs.StringArrayVar(&o.diagrams, "diagram", nil, "judge by the diagram `FILE|NAME` (repeatable; several are joined)")
	fs.StringVar(&o.inventory, "inventory", "", "`FILE` that says which hosts play which parts")
}

func auditFlags(fs *pflag.FlagSet, o *options) {
	diagramFlags(fs, o)
	fs.StringSliceVar(&o.failOn, "fail-on", []string{"violation", "undocumented", "blocked"},
		"exit with 1 when there is one of these `VERDICTS`, or a concern of a severity: concern:high")
	fs.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
}

// oneLine is the message of err without line ends of its own, except between
// the mistakes of a file.
func oneLine(err error) string {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		var lines []string
		for _, e := range several.Unwrap() {
			lines = append(lines, oneLine(e))
		}
		return strings.Join(lines, "\nwirechart: ")
	}
	return report.Clean(err.Error())
}
