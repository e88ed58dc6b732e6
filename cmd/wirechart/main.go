// Wirechart reads captures and answers one question: does the traffic match
// the documented connection diagram?
//
// main.go has the root and the commands that read captures, every other command
// is in a file of its own; run.go has the path from packets to results, output.go
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

	"wirechart/flows"
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
	if err := root.ExecuteContext(ctx); err != nil {
		complain(stderr, err)
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
	if errors.As(err, &unknown) && cmd.Name() != "live" && (unknown.GetSpecifiedName() == "i" || unknown.GetSpecifiedName() == "interface") {
		return fmt.Errorf("%w; to capture from an interface: wirechart live -i INTERFACE", err)
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

func auditCommand(status *int) *cobra.Command {
	o, l := &options{}, &liveOptions{refresh: refreshLeast, keep: flows.DefaultKeep, sandbox: sandbox{Off: true}}
	cmd := &cobra.Command{
		Use:   "audit CAPTURE...",
		Short: "judge captures against a diagram; what bare `wirechart CAPTURE...` does",
		RunE: func(cmd *cobra.Command, args []string) error {
			if l.follow != "" {
				if len(args)+len(o.captures) > 0 {
					return errors.New("--follow reads the captures of its directory: name no others")
				}
				if o.recursive {
					return errors.New("--follow reads one directory: leave out --recursive")
				}
				return runLive(cmd, o, l, status)
			}
			for _, flag := range []string{"idle", "duration"} {
				if cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s ends what --follow reads: name its directory, or leave out --%s", flag, flag)
				}
			}
			return runAudit(cmd, o, args, status)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfAudit)
	auditFlags(cmd.Flags(), o)
	cmd.Flags().Lookup("output").Usage += "; as it comes with --follow -o jsonl"
	cmd.Flags().StringVar(&l.follow, "follow", "", "read the captures that come in `DIR`, filled by tcpdump -G or dumpcap -b, until Ctrl-C")
	cmd.Flags().DurationVar(&l.idle, "idle", 0, "with --follow: end when nothing was written for this `TIME`")
	cmd.Flags().DurationVar(&l.duration, "duration", 0, "with --follow: end after this `TIME`")
	return cmd
}

func flowsCommand() *cobra.Command {
	o, s := &options{}, &selection{}
	cmd := &cobra.Command{
		Use:   "flows CAPTURE...",
		Short: "one record per flow",
		Long: `flows tells every flow of the captures, or those that --verdict, --edge, --app and
--host choose, and with -w also writes their frames to a capture of their own.

  wirechart flows site.pcapng
  wirechart flows site.pcapng --verdict violation,blocked --host 10.1.0.0/16
  wirechart flows site.pcapng --edge agent-backup -w backup.pcapng`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runFlows(cmd, o, s, args)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfFlows)
	diagramFlags(cmd.Flags(), o)
	usersFlag(cmd.Flags(), o)
	selectionFlags(cmd.Flags(), s)
	cmd.Flags().StringVar(&o.ipfix, "ipfix", "", "export the flows to the IPFIX collector at `HOST:PORT` (UDP; tcp://HOST:PORT over TCP) instead of printing them")
	cmd.Flags().BoolVar(&o.noJudge, "no-judge", false, "leave out parts, names and verdicts; no diagram is read")
	return cmd
}

func hostsCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "hosts CAPTURE...",
		Short: "who plays which part, and why",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHosts(cmd, o, args)
		},
	}
	inputFlags(cmd.Flags(), o, report.OfHosts)
	diagramFlags(cmd.Flags(), o)
	return cmd
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
	fs.StringVarP(&o.filter, "filter", "f", "", "take only the frames that the `BPF` expression takes")
	fs.Uint64VarP(&o.count, "count", "c", 0, "stop after `N` frames")
	fs.BoolP("no-names", "n", false, "accepted out of habit: names are never looked up")
	outputFlags(fs, o, kind)
	fs.IntVar(&o.maxFlows, "max-flows", flows.DefaultLimits().MaxFlows, "hold at most `N` flows at a time; more are ended early, and counted")
	fs.StringArrayVar(&o.keylogs, "keylog", nil, "decrypt TLS with the secrets in the key log `FILE` (SSLKEYLOGFILE format; repeatable)")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no warnings on standard error")
}

// diagramFlags are those of every command that judges.
func diagramFlags(fs *pflag.FlagSet, o *options) {
	fs.StringArrayVar(&o.diagrams, "diagram", nil, "judge by the diagram `FILE|NAME` (repeatable; several are joined)")
	fs.StringVar(&o.inventory, "inventory", "", "`FILE` that says which hosts play which parts")
}

// usersFlag is that of the commands whose results may name users.
func usersFlag(fs *pflag.FlagSet, o *options) {
	fs.BoolVar(&o.showUsers, "show-users", false, "tell the names of users where they cross in clear (SMB, iSCSI); left out otherwise")
}

func auditFlags(fs *pflag.FlagSet, o *options) {
	diagramFlags(fs, o)
	usersFlag(fs, o)
	fs.StringSliceVar(&o.failOn, "fail-on", []string{"violation", "undocumented", "blocked"},
		"exit with 1 when there is one of these `VERDICTS`, or a concern of a severity: concern:high")
	fs.StringVar(&o.baseline, "baseline", "", "report only what is new since the audit in `FILE` (written with -o json)")
	fs.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
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
