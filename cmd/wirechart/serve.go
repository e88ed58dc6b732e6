package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/report/web"
	"wirechart/rules"
)

// webAddress is where the page is when nothing else is said.
const webAddress = "127.0.0.1:7790"

// webOptions are the flags of commands that serve a page.
type webOptions struct {
	address string
	hosts   []string
	sandbox sandbox // of serve; live has its own
}

func serveCommand() *cobra.Command {
	o, w := &options{}, &webOptions{}
	cmd := &cobra.Command{
		Use:   "serve CAPTURE...",
		Short: "the audit as a page for a browser: the diagram, the flows behind it, their evidence",
		Long: `serve reads captures and shows the audit as a page: the diagram as it was observed,
with its lines lighting up as flows are judged; the flows of an edge, a host, a
finding or a stretch of time; each flow's evidence; every report to download. It
ends with Ctrl-C.

  wirechart serve site.pcapng                          for this machine: http://` + webAddress + `/
  wirechart serve --listen 10.1.2.3:7790 site.pcapng   for others, who need the token that is printed

The page fetches nothing from elsewhere, and is not served under foreign names.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runServe(cmd, o, w, args)
		},
	}
	fs := cmd.Flags()
	inputFlags(fs, o, report.OfAudit)
	for _, name := range []string{"format", "output", "color"} { // there is no output
		_ = fs.MarkHidden(name)
	}
	diagramFlags(fs, o)
	fs.StringVar(&w.address, "listen", webAddress, "serve the page at `ADDRESS:PORT`; if others can reach it, it asks for a token")
	fs.StringArrayVar(&w.hosts, "host", nil, "serve it under the `NAME` of this machine too (repeatable)")
	sandboxFlags(fs, &w.sandbox)
	return cmd
}

// listen opens the page's address and returns the page's, with the token where
// there is one.
func (w *webOptions) listen(flag string, o web.Options) (*web.Server, net.Listener, string, error) {
	host, _, err := net.SplitHostPort(w.address)
	if err != nil {
		return nil, nil, "", fmt.Errorf("%s %s: no address and port, as in %s", flag, w.address, webAddress)
	}
	o.Hosts = w.hosts
	if !web.Loopback(w.address) {
		o.Token = web.NewToken()
		if host != "" && net.ParseIP(host) == nil {
			o.Hosts = append(o.Hosts, host)
		}
		if name, err := os.Hostname(); err == nil {
			o.Hosts = append(o.Hosts, name)
		}
	}
	l, err := net.Listen("tcp", w.address)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		return nil, nil, "", fmt.Errorf("%s %s: %w", flag, w.address, err)
	}
	at := l.Addr().String()
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		// All of its addresses; the name is one that others may know it by.
		if name, err := os.Hostname(); err == nil {
			_, port, _ := net.SplitHostPort(at)
			at = net.JoinHostPort(name, port)
		}
	}
	page := "http://" + at + "/"
	if o.Token != "" {
		page += "?token=" + o.Token
	}
	return web.New(o), l, page, nil
}

func runServe(cmd *cobra.Command, o *options, w *webOptions, args []string) error {
	j, out, err := o.prepare(cmd, args, report.OfAudit)
	if err != nil {
		return err
	}
	defer out.abandon()
	captures := j.captures
	settings := web.Options{
		Title:      strings.Join(captures, ", "),
		Diagram:    j.diagram,
		Provenance: func(a *rules.Audit) *report.Provenance { return provenance(cmd, a) },
	}
	again := &rereader{cmd: cmd, options: *o}
	if readTwice("serve", captures) == nil {
		settings.Explain, settings.Evidence = again.explain, again.evidence
	}
	server, l, page, err := w.listen("--listen", settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), page)
	served := make(chan error, 1)
	go func() { served <- server.Serve(cmd.Context(), l) }()

	tally := rules.NewTally(j.policy)
	tally.KeepDetail()
	show := j.progress
	j.progress = func(packets uint64) {
		show(packets)
		server.Progress(packets)
	}
	j.begin = func(files []string) { out.options.Files = files }
	j.open = func(po pcaps.Options) (pcaps.Source, error) {
		src, err := pcaps.Open(captures, po)
		if err != nil {
			return nil, err
		}
		again.captures = nil
		for _, f := range src.Stats().Files {
			again.captures = append(again.captures, f.Name)
		}
		note, err := enterSandbox(o.readAgain(w.sandbox, again.captures))
		if err != nil {
			src.Close()
			return nil, err
		}
		if note != "" {
			j.warn(note)
		}
		return src, nil
	}
	j.each = func(f *flows.Flow, v *rules.Verdict) error {
		tally.Add(f, v)
		server.Settled(f, v, findingsOf(v, tally))
		return nil
	}
	cov, err := j.run(cmd.Context())
	if err != nil {
		return err
	}
	server.Show(tally.Audit(cov), out.options, true)
	// From here on it waits; what reading took is given back.
	debug.SetGCPercent(100)
	debug.FreeOSMemory()
	return <-served
}

// findingsOf are the findings that a tally has just counted a flow in.
func findingsOf(v *rules.Verdict, tally *rules.Tally) []string {
	if len(v.Reasons)+len(v.Concerns) == 0 {
		return nil
	}
	return tally.Counted()
}

// readAgain has a sandbox leave readable what a page reads anew for a flow's
// story: the captures, and what says how they are judged.
func (o *options) readAgain(box sandbox, captures []string) sandbox {
	names := slices.Concat(captures, o.diagrams, o.keylogs, []string{o.inventory})
	if o.filter != "" { // which may name ports and protocols
		names = append(names, "/etc/services", "/etc/protocols")
	}
	for _, name := range names {
		// Built-in diagrams are no files, and a pipe is read once.
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			box.Read = append(box.Read, name)
		}
	}
	return box
}

// rereader reads captures again for what the page does not hold: the files that
// were read before, in their order, whatever has come to their directory since.
type rereader struct {
	cmd      *cobra.Command
	options  options
	captures []string
}

// story is the story of one flow.
func (r *rereader) story(ctx context.Context, flow uint64) (*report.Explanation, *report.Options, error) {
	o := r.options
	o.captures = nil
	o.quiet, o.color, o.format, o.output = true, "never", report.All()[0].Name, ""
	j, out, err := o.prepare(r.cmd, r.captures, report.OfExplain)
	if err != nil {
		return nil, nil, err
	}
	defer out.abandon()
	e, err := explain(ctx, &question{flow: strconv.FormatUint(flow, 10)}, j, out)
	if err == nil {
		err = ctx.Err()
	}
	return e, out.options, err
}

func (r *rereader) explain(ctx context.Context, w io.Writer, flow uint64) error {
	e, o, err := r.story(ctx, flow)
	if err != nil {
		return err
	}
	o.Width, o.Color = 110, false
	format, _ := formatFor(report.All()[0].Name, report.OfExplain)
	return format.Explain(w, e, o)
}

func (r *rereader) evidence(ctx context.Context, w io.Writer, flow uint64) error {
	e, o, err := r.story(ctx, flow)
	if err != nil {
		return err
	}
	_, err = evidenceOf(w, e, o)
	return err
}
