package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// selection is which flows the flows command writes, and where their frames go. A
// flow is chosen when, for every flag given, one of its values fits.
type selection struct {
	verdicts, edges, apps, hosts []string
	write                        string

	seen, told uint64       // flows, and those of them that were chosen
	file       *besideFile  // nil unless frames are written, and so is the rest
	sieve      *flows.Sieve // nil when no flow was chosen
	labels     map[pcaps.FrameID]label
	kinds      map[string]string
}

// label is the comment of a flow's first frame. Many flows have a kind in common.
type label struct {
	flow uint64
	kind string
}

// String is the flags as they were given.
func (s *selection) String() string {
	var flags []string
	for _, f := range []struct {
		name   string
		values []string
	}{{"--verdict", s.verdicts}, {"--edge", s.edges}, {"--app", s.apps}, {"--host", s.hosts}} {
		if len(f.values) > 0 {
			flags = append(flags, f.name+" "+strings.Join(f.values, ","))
		}
	}
	return strings.Join(flags, " ")
}

func selectionFlags(fs *pflag.FlagSet, s *selection) {
	fs.StringSliceVar(&s.verdicts, "verdict", nil, "only flows with one of these `VERDICTS`: "+strings.Join(report.VerdictNames(), ", "))
	fs.StringSliceVar(&s.edges, "edge", nil, "only flows of these edges (`IDS`) of the diagram")
	fs.StringSliceVar(&s.apps, "app", nil, "only flows that speak one of these `PROTOCOLS`, as the member app of the flow record has them; unknown: where it has none")
	fs.StringSliceVar(&s.hosts, "host", nil, "only flows of one of these `HOSTS`: addresses, prefixes (10.1.0.0/16), names, components of the diagram")
	fs.StringVarP(&s.write, "write", "w", "", "also write the frames of these flows to `FILE` (pcapng), with user data, as they are")
}

// unknownApp stands in --app for flows whose protocol is not known.
const unknownApp = "unknown"

// all says that no flag chooses among the flows.
func (s *selection) all() bool {
	return len(s.verdicts)+len(s.edges)+len(s.apps)+len(s.hosts) == 0
}

// compile makes the function that chooses flows; its error says what is wrong with
// the flags. d and hosts are nil when nothing is judged.
func (s *selection) compile(d *rules.Diagram, hosts report.Hosts) (func(f *flows.Flow, v *rules.Verdict) bool, error) {
	if d == nil && len(s.verdicts)+len(s.edges) > 0 {
		return nil, errors.New("--no-judge gives no verdicts: leave out --verdict and --edge")
	}
	for _, name := range s.verdicts {
		if known := report.VerdictNames(); !slices.Contains(known, name) {
			return nil, unknownWord("--verdict", "verdict", name, known)
		}
	}
	for _, id := range s.edges {
		if d.Edge(id) == nil {
			return nil, unknownEdge(id, d)
		}
	}
	for _, app := range s.apps {
		if names := dissect.Names(); app != unknownApp && !slices.Contains(names, app) {
			slices.Sort(names)
			return nil, unknownWord("--app", "protocol", app, append(names, unknownApp))
		}
	}
	host, err := s.compileHosts(d, hosts)
	if err != nil {
		return nil, err
	}
	return func(f *flows.Flow, v *rules.Verdict) bool {
		switch {
		case len(s.verdicts) > 0 && !slices.Contains(s.verdicts, v.Kind.String()):
		case len(s.edges) > 0 && (v.Edge == nil || !slices.Contains(s.edges, v.Edge.ID)):
		case len(s.apps) > 0 && !slices.Contains(s.apps, f.App) && (f.App != "" || !slices.Contains(s.apps, unknownApp)):
		case len(s.hosts) > 0 && !host(f.Client.Addr()) && !host(f.Server.Addr()):
		default:
			return true
		}
		return false
	}, nil
}

// compileHosts makes the function that chooses addresses by --host.
func (s *selection) compileHosts(d *rules.Diagram, hosts report.Hosts) (func(netip.Addr) bool, error) {
	var prefixes []netip.Prefix
	var names []string
	for _, h := range s.hosts {
		if a, err := netip.ParseAddr(h); err == nil {
			a = a.Unmap()
			prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
		} else if p, err := netip.ParsePrefix(h); err == nil {
			prefixes = append(prefixes, p.Masked())
		} else if strings.ContainsAny(h, "/:") || d == nil {
			return nil, fmt.Errorf("--host %s: neither an address nor a prefix", h)
		} else {
			names = append(names, h)
		}
	}
	return func(a netip.Addr) bool {
		if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return true
		}
		if len(names) == 0 {
			return false
		}
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, hosts.HostName(a)) }) ||
			slices.ContainsFunc(hosts.Roles(a), func(c *rules.Component) bool { return slices.Contains(names, c.ID) })
	}, nil
}

// note keeps a flow in mind whose frames are to be written.
func (s *selection) note(f *flows.Flow, v *rules.Verdict) {
	if s.sieve == nil {
		s.sieve, s.labels, s.kinds = flows.NewSieve(), map[pcaps.FrameID]label{}, map[string]string{}
	}
	s.sieve.Want(f)
	var kind string
	if v != nil {
		kind = ": " + v.Kind.String()
		if v.Edge != nil {
			kind += " " + v.Edge.ID
		}
		for _, b := range v.Reasons {
			kind += ", " + b.Reason.String()
		}
	}
	if known, ok := s.kinds[kind]; ok {
		kind = known
	} else {
		s.kinds[kind] = kind
	}
	s.labels[f.Frame] = label{f.ID, kind}
}

// extract reads the captures again and writes the frames that were asked for. The
// first one of each flow has a comment.
func (s *selection) extract(ctx context.Context, j *job) error {
	buffered := bufio.NewWriterSize(s.file, 1<<20)
	w, err := pcaps.NewWriter(buffered, "wirechart "+version, "flows chosen by wirechart flows")
	if err != nil {
		return err
	}
	if s.sieve != nil {
		if err := s.sift(ctx, j, w); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("--write %s: interrupted, and not written", s.write)
	}
	return s.file.putInPlace()
}

func (s *selection) sift(ctx context.Context, j *job, w *pcaps.Writer) error {
	src, err := j.reopen()
	if err != nil {
		return err
	}
	defer src.Close()
	var failed error
	_, err = j.read(ctx, src, func(batch []pcaps.Packet) bool {
		for i := range batch {
			p := &batch[i]
			if !s.sieve.Has(p) {
				continue
			}
			var comments []string
			if l, first := s.labels[p.Frame]; first {
				comments = []string{fmt.Sprintf("flow %d%s", l.flow, l.kind)}
			}
			if failed = w.Write(p, comments...); failed != nil {
				return false
			}
		}
		return true
	})
	return cmp.Or(failed, err)
}

func unknownEdge(id string, d *rules.Diagram) error {
	var ids []string
	for _, e := range d.Edges {
		ids = append(ids, e.ID)
	}
	return unknownWord("--edge", "edge", id, ids)
}
