package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/flows"
	"wirechart/report"
	"wirechart/rules"
)

func flowsCommand() *cobra.Command {
	o, s := &options{}, &selection{}
	cmd := &cobra.Command{
		Use:   "flows CAPTURE...",
		Short: "one record per flow",
		Long: `flows writes a record of every flow of the captures, or of those that --verdict,
--edge, --app and --host choose; -w also writes their frames to a capture.
wirechart schema flow describes the record.

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
	cmd.Flags().BoolVar(&o.noJudge, "no-judge", false, "leave out roles, names and verdicts; no diagram is read")
	return cmd
}

func runFlows(cmd *cobra.Command, o *options, s *selection, args []string) error {
	if o.noJudge && (len(o.diagrams) > 0 || o.inventory != "") {
		return errors.New("--no-judge reads no diagram and no inventory: leave out --diagram and --inventory")
	}
	if s.write != "" {
		if err := readTwice("--write", slices.Concat(o.captures, args)); err != nil {
			return err
		}
	}
	j, out, err := o.prepare(cmd, args, report.OfFlows)
	if err != nil {
		return err
	}
	defer out.abandon()
	j.fingerprints = true
	chosen, err := s.compile(j.diagram, out.options.Hosts)
	if err != nil {
		return err
	}
	var w report.FlowWriter
	collector, err := dialCollector(o.ipfix)
	if err != nil {
		return err
	}
	j.begin = func(files []string) {
		out.options.Files = files
		if w = collector; collector == nil {
			w = out.format.Flows(out, out.options)
		}
		if j.each = w.Flow; s.all() && s.write == "" {
			return
		}
		j.each = func(f *flows.Flow, v *rules.Verdict) error {
			if s.seen++; !chosen(f, v) {
				return nil
			}
			s.told++
			if s.write != "" {
				s.note(f, v)
			}
			return w.Flow(f, v)
		}
	}
	if s.write != "" {
		if s.file, err = createBeside("--write", s.write, evidenceMode); err != nil {
			return err
		}
		defer s.file.remove() // in vain once it has its name
	}
	if _, err := j.run(cmd.Context()); err != nil {
		return out.finish(err)
	}
	if s.seen > 0 && s.told == 0 {
		j.warn(fmt.Sprintf("none of %d flows fits %v", s.seen, s))
	}
	if err := out.finish(w.Close()); err != nil || s.write == "" {
		return err
	}
	return s.extract(cmd.Context(), j)
}

// dialCollector connects to where flows are exported to: HOST:PORT over UDP, or
// tcp://HOST:PORT. It is nil where there is no such place.
func dialCollector(to string) (report.FlowWriter, error) {
	if to == "" {
		return nil, nil
	}
	network, address, found := strings.Cut(to, "://")
	if !found {
		network, address = "udp", to
	}
	if _, _, err := net.SplitHostPort(address); err != nil || network != "udp" && network != "tcp" {
		return nil, fmt.Errorf("--ipfix %s: neither HOST:PORT nor udp://HOST:PORT or tcp://HOST:PORT", to)
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, ofCollector(to, err)
	}
	messages := writerFunc(func(b []byte) (int, error) {
		n, err := conn.Write(b)
		if err != nil {
			err = ofCollector(to, err)
		}
		return n, err
	})
	return &collector{report.NewIPFIX(messages, network == "udp"), conn}, nil
}

// ofCollector is what went wrong with the collector at to. It does not pass for an
// error of standard output: a collector that goes away has not got all flows.
func ofCollector(to string, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return errors.New("--ipfix " + to + ": " + err.Error())
}

// collector exports flows over a connection of its own.
type collector struct {
	report.FlowWriter
	conn net.Conn
}

func (c *collector) Close() error {
	return errors.Join(c.FlowWriter.Close(), c.conn.Close())
}
