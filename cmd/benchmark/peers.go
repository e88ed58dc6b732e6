package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
)

// A peer is another program that reads captures, as a Debian package has it.
type peer struct {
	name    string // of the program
	pack    string // the Debian package
	does    string
	command func(file, scratch string) []string
	share   float64 // of the workload that it is given: a tenth where all of it would take minutes
}

// peers are the programs that people use for parts of the job. None of them
// judges; what they do is said beside them.
func peers() []peer {
	return []peer{
		{"tcpdump", "tcpdump", "copies", func(file, _ string) []string { return []string{"tcpdump", "-r", file, "-w", "/dev/null"} }, 1},
		{"softflowd", "softflowd", "flows", func(file, _ string) []string { return []string{"softflowd", "-r", file} }, 1},
		{"argus", "argus-server", "flows", func(file, _ string) []string { return []string{"argus", "-r", file, "-w", "/dev/null"} }, 1},
		{"nfpcapd", "nfdump", "flows", func(file, scratch string) []string { return []string{"nfpcapd", "-r", file, "-w", scratch} }, 1},
		{"ndpiReader", "libndpi-bin", "flows and protocols", func(file, _ string) []string { return []string{"ndpiReader", "-q", "-i", file} }, 0.1},
		{"tshark", "tshark", "fields of TLS", func(file, _ string) []string {
			return []string{"tshark", "-n", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "tls.handshake.extensions_server_name"}
		}, 0.1},
	}
}

// installed returns the peers that are there, and a sentence for each that is
// not.
func installed() (there []peer, missing []string) {
	for _, p := range peers() {
		if _, err := exec.LookPath(p.name); err != nil {
			missing = append(missing, fmt.Sprintf("%s is not installed (package %s)", p.name, p.pack))
			continue
		}
		there = append(there, p)
	}
	return there, missing
}

// comparison is a peer beside the limit and the audit, on the same file in the
// same minutes.
type comparison struct {
	load               workload
	size               size
	peer               peer
	limit, audit, runs []cost
}

// comparePeers runs the peers, the limit and the audit in turn.
func (o *runOptions) comparePeers(limit []string) ([]comparison, error) {
	there, missing := installed()
	for _, m := range missing {
		fmt.Fprintln(os.Stderr, "benchmark: left out:", m)
	}
	scratch, err := os.MkdirTemp(o.dir, "peers")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	var list []comparison
	for _, load := range o.loads {
		for _, p := range there {
			path, size, err := prepare(load, o.dir, o.scale*p.share)
			if err != nil {
				return nil, err
			}
			c := comparison{load: load, size: size, peer: p}
			for range o.n {
				for _, one := range []struct {
					command []string
					costs   *[]cost
				}{
					{append(slices.Clone(limit), path), &c.limit},
					{append(slices.Clone(o.audit), path), &c.audit},
					{p.command(path, scratch), &c.runs},
				} {
					took, err := measure(one.command, o.cores)
					if err != nil {
						return nil, err
					}
					*one.costs = append(*one.costs, took)
				}
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// formatPeers lays out the comparison in Markdown.
func formatPeers(list []comparison) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| workload\t| program\t| does\t| packets\t| CPU s\t| wall s\t| x limit\t| x audit\t| peak MiB\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, c := range list {
		limit, _ := median(c.limit)
		audit, _ := median(c.audit)
		took, spread := median(c.runs)
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %d\t| %.3f ± %.3f\t| %.3f\t| %.1f\t| %.2f\t| %.1f\t|\n",
			c.load.name, c.peer.name, c.peer.does, c.size.Packets, took.cpu.Seconds(), spread.Seconds(), took.wall.Seconds(),
			ratio(took, limit), ratio(took, audit), float64(peak(c.runs))/(1<<20))
	}
	w.Flush()
	return text.String()
}
