// Wirechart reads captures and answers one question: does the traffic match
// the documented connection diagram?
//
// main.go has the root command; every other command is in a file of its own
// (audit.go, flows.go, ...), and about.go has the small ones. flags.go has the
// flags that commands share, run.go the path from packets to results, output.go
// where results go. The path, and so the order in which to read the packages:
//
//	pcaps -> flows -> dissect -> rules -> report
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wirechart/report"
	"wirechart/rules"
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
	reserveHeap()

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
	root.Annotations = map[string]string{commandLine: quoted(args)}
	root.SetOut(stdout)
	root.SetErr(stderr)
	completions(root)
	helpOf(root)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, syscall.EPIPE) { // a reader that has gone away has seen enough
		complain(stderr, err)
		return exitError
	}
	return status
}

func rootCommand(status *int) *cobra.Command {
	root := &cobra.Command{
		Use:   "wirechart [CAPTURE...]",
		Short: "does the traffic match the documented connection diagram?",
		Long: `wirechart reads captures and compares what it sees with a documented connection
diagram: which host has which role, which documented connections were seen, and every
flow that no edge of the diagram allows, each with the frame that proves it.

  wirechart site.pcapng                       the audit, for people
  wirechart audit -o json site.pcapng         the audit, for programs
  wirechart flows -o jsonl site.pcapng        one record per flow
  wirechart hosts site.pcapng                 which host has which role, and why
  wirechart explain site.pcapng --finding 1   the proof, frame by frame
  wirechart compare inside.pcap outside.pcap  is it the firewall between?

Exit status: 0 the traffic conforms, 1 findings, 2 the job could not be done,
3 done, but the captures could not decide it.`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	o := &options{}
	inputFlags(root.Flags(), o, report.OfAudit)
	auditFlags(root.Flags(), o)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && len(o.captures) == 0 {
			return cmd.Help()
		}
		err := runAudit(cmd, o, args, status)
		if errors.Is(err, fs.ErrNotExist) && len(args) > 0 {
			if near := root.SuggestionsFor(args[0]); len(near) > 0 {
				return fmt.Errorf("%w, nor a command; did you mean wirechart %s?", err, near[0])
			}
		}
		return err
	}
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(auditCommand(status), liveCommand(status), flowsCommand(), hostsCommand(), explainCommand(), serveCommand(), diffCommand(status),
		rulesCommand(status), compareCommand(status),
		diagramCommand(), schemaCommand(), interfacesCommand(), versionCommand(), manCommand(), referenceCommand())
	root.SetFlagErrorFunc(misplacedFlag)
	root.SetUsageFunc(usage)
	return root
}

// misplacedFlag says of a flag that is not known where to find it, where that is
// plain.
func misplacedFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	live := cmd.Name() == "live"
	switch name := unknown.GetSpecifiedName(); {
	case !live && (name == "i" || name == "interface"):
		return fmt.Errorf("%w; to capture from an interface: wirechart live -i INTERFACE", err)
	case live && (name == "r" || name == "read"):
		return fmt.Errorf("%w; to read captures: wirechart audit CAPTURE", err)
	case live && name == "follow":
		return fmt.Errorf("%w; to read captures as they appear: wirechart audit --follow DIR", err)
	}
	return err
}

// takesNone refuses arguments of a command that has none. What else there is to
// say of them, where they may have been meant, is instead.
func takesNone(instead string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if instead == "" {
			instead = "takes no arguments"
		}
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		return fmt.Errorf("%s: %s: %s", name, args[0], instead)
	}
}

// helpOf has the help command say which command it does not know: cobra's own
// prints the help of what it is in, as if that had been asked for.
func helpOf(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return
	}
	help.Short = "every option of a command"
	help.Args = func(_ *cobra.Command, args []string) error {
		if in, rest, err := root.Find(args); err != nil || len(rest) > 0 {
			return fmt.Errorf("help: no command %q; %s --help lists them", strings.Join(args, " "), in.CommandPath())
		}
		return nil
	}
}

// completions adds the command that writes them. Cobra has it write to where the
// output goes at this moment.
func completions(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "completions of commands and flags for a shell: bash, zsh, fish, powershell"
		// Or a shell that it does not know would be the help text, and no error.
		completion.Args = takesNone("no such shell: one of bash, zsh, fish, powershell")
		for _, shell := range completion.Commands() {
			shell.Args = takesNone("")
		}
		completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// usage is the text that cobra writes, without the values of flags that are
// only ever given bare.
func usage(cmd *cobra.Command) error {
	const values = "[=true|false]"
	out := cmd.OutOrStderr()
	var text strings.Builder
	cmd.SetOut(&text)
	err := new(cobra.Command).UsageFunc()(cmd)
	cmd.SetOut(out)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, strings.ReplaceAll(text.String(), values, strings.Repeat(" ", len(values))))
	return err
}

// complain writes what was wrong: one line, or one for each mistake in a file
// of the user's, which then begin with the place as editors know it.
func complain(w io.Writer, err error) {
	var mistakes rules.Mistakes
	if errors.As(err, &mistakes) {
		for _, m := range mistakes {
			fmt.Fprintln(w, report.Clean(m.String()))
		}
		return
	}
	fmt.Fprintln(w, "wirechart: "+report.Clean(err.Error()))
}
