package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

//go:embed limit/limit.c
var limitSource []byte

// spaceNeeded is what the four workloads take on disk at scale 1, in bytes.
const spaceNeeded = 6 << 30

// A cost is what one run of a program took, children and all.
type cost struct {
	cpu  time.Duration // user and system
	wall time.Duration
	rss  int64 // bytes, at the peak
}

// A result is the runs on one workload.
type result struct {
	load         workload
	format       string // "" for that which the workload is made in
	size         size
	limit, audit []cost
}

// runOptions are the flags of run.
type runOptions struct {
	n, cores int
	scale    float64
	dir      string
	variants bool
	peers    bool
	record   string             // file that the table is appended to; "" for none
	audit    []string           // the program to measure and its words, before the file
	loads    []workload         // those to measure
	floors   map[string]float64 // what the figures may not exceed
}

func run(args []string) error {
	o, err := parseRun(args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	limit, err := compileLimit(o.dir)
	if err != nil {
		return err
	}
	if o.peers {
		list, err := o.comparePeers(limit)
		if err != nil {
			return err
		}
		table := formatPeers(list)
		fmt.Print(table)
		return o.appendRecord(table)
	}
	results, err := o.compareAll(limit)
	if err != nil {
		return err
	}
	table := format(results)
	fmt.Print(table)
	if err := o.appendRecord(table); err != nil {
		return err
	}
	return check(results, o.floors)
}

func parseRun(args []string) (*runOptions, error) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	var o runOptions
	flags.IntVar(&o.n, "n", 3, "runs of each program on each workload; the median counts")
	only := flags.String("only", "", "these workloads, comma-separated (default all)")
	flags.Float64Var(&o.scale, "scale", 1, "share of the packets and flows")
	program := flags.String("bin", "bin/wirechart", "the program to measure")
	words := flags.String("args", "audit --exit-zero -q", "what to run it with, before the file")
	flags.StringVar(&o.dir, "dir", cacheDir(), "where the workloads are kept (also: BENCH_DIR)")
	floor := flags.String("floor", "", "exit 1 above these: W1=4,W2=2.5,W3=30,W4=14 (times the limit), W3bytes=256 (per flow)")
	flags.IntVar(&o.cores, "cores", 1, "GOMAXPROCS and cores to run on")
	flags.BoolVar(&o.variants, "formats", false, "the first workload as pcapng, gzip and zstd as well")
	flags.BoolVar(&o.peers, "peers", false, "other programs instead, those that are installed, beside the audit")
	flags.StringVar(&o.record, "record", "", "append the table to this file")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("run takes no words, got %q", flags.Arg(0))
	}
	if o.n < 1 || o.cores < 1 || o.scale <= 0 {
		return nil, errors.New("-n, -cores and -scale must be above 0")
	}
	o.audit = append([]string{*program}, strings.Fields(*words)...)
	var err error
	if o.floors, err = parseFloors(*floor); err != nil {
		return nil, err
	}
	o.loads, err = chosenWorkloads(*only)
	return &o, err
}

// chosenWorkloads are those of a comma-separated list, or all for "".
func chosenWorkloads(list string) ([]workload, error) {
	if list == "" {
		return workloads(), nil
	}
	var loads []workload
	for _, name := range strings.Split(list, ",") {
		load, ok := workloadByName(name)
		if !ok {
			return nil, fmt.Errorf("no workload %q; there are %s", name, strings.Join(workloadNames(), ", "))
		}
		loads = append(loads, load)
	}
	return loads, nil
}

// compareAll measures every workload, and the first in its other formats where
// they are wanted.
func (o *runOptions) compareAll(limit []string) ([]result, error) {
	var results []result
	for i, load := range o.loads {
		path, size, err := prepare(load, o.dir, o.scale)
		if err != nil {
			return nil, err
		}
		r, err := o.compare(load, size, limit, path, path)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
		if !o.variants || i > 0 {
			continue
		}
		for _, v := range variants() {
			other, err := prepareVariant(v, path)
			if err != nil {
				return nil, err
			}
			if r, err = o.compare(load, size, limit, path, other); err != nil {
				return nil, err
			}
			r.format = v.name
			results = append(results, r)
		}
	}
	return results, nil
}

// compare runs the limit on one file and the audit on another of the same frames,
// interleaved: the machine's moods hit both alike.
func (o *runOptions) compare(load workload, size size, limit []string, plain, path string) (result, error) {
	r := result{load: load, size: size}
	for range o.n {
		l, err := measure(append(slices.Clone(limit), plain), o.cores)
		if err != nil {
			return r, err
		}
		a, err := measure(append(slices.Clone(o.audit), path), o.cores)
		if err != nil {
			return r, err
		}
		r.limit, r.audit = append(r.limit, l), append(r.audit, a)
	}
	return r, nil
}

// cacheDir is BENCH_DIR, or a directory that outlives the run but not the
// machine.
func cacheDir() string {
	if dir := os.Getenv("BENCH_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(os.TempDir(), "wirechart-bench")
}

// compileLimit builds the limit program and returns how to run it.
func compileLimit(dir string) ([]string, error) {
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	source, program := filepath.Join(dir, "limit.c"), filepath.Join(dir, "limit")
	if err := os.WriteFile(source, limitSource, 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command(compiler, "-O2", "-o", program, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", compiler, source, err, out)
	}
	return []string{program}, nil
}

// prepare returns a workload's file, made now unless it is there, and what it
// holds; then the file is in the page cache.
func prepare(load workload, dir string, scale float64) (string, size, error) {
	path := filepath.Join(dir, fmt.Sprintf("%s-v%d-x%g.pcap", load.name, generatorVersion, scale))
	about := path + ".json"
	var s size
	if b, err := os.ReadFile(about); err == nil && json.Unmarshal(b, &s) == nil {
		if info, err := os.Stat(path); err == nil && uint64(info.Size()) == s.Bytes {
			return path, s, warm(path)
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil {
		free := float64(fs.Bavail) * float64(fs.Bsize)
		if need := spaceNeeded * scale; free < need {
			return "", s, fmt.Errorf("%s has %.1f GB free, the workloads need %.1f: set BENCH_DIR, or -scale", dir, free/1e9, need/1e9)
		}
	}
	fmt.Fprintf(os.Stderr, "making %s (%s) in %s\n", load.name, load.about, path)
	// In a process of its own: what this one holds counts into the peak memory
	// of the programs that it starts.
	self, err := os.Executable()
	if err != nil {
		return "", s, err
	}
	make := exec.Command(self, "gen", "-scale", strconv.FormatFloat(scale, 'g', -1, 64), load.name, path)
	make.Stderr = os.Stderr
	out, err := make.Output()
	if err != nil {
		return "", s, fmt.Errorf("gen %s: %w", load.name, err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return "", s, err
	}
	if err := os.WriteFile(about, out, 0o644); err != nil {
		return "", s, err
	}
	return path, s, warm(path)
}

// warm reads a file once.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return err
}

// measure runs a command to its end, on the last cores of the machine, without
// keeping what it prints.
func measure(command []string, cores int) (cost, error) {
	if taskset, err := exec.LookPath("taskset"); err == nil && cores < runtime.NumCPU() {
		last := runtime.NumCPU() - 1
		command = append([]string{taskset, "-c", fmt.Sprintf("%d-%d", last-cores+1, last)}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cores))
	var messages strings.Builder
	cmd.Stderr = &messages
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, messages.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("this system does not say what a process used")
	}
	return cost{
		cpu:  time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		wall: time.Since(began),
		rss:  int64(usage.Maxrss) << 10, // Linux counts in KiB
	}, nil
}

// median returns the middle run by CPU time, and half the distance between the
// fastest and the slowest.
func median(costs []cost) (mid cost, spread time.Duration) {
	sorted := slices.Clone(costs)
	slices.SortFunc(sorted, func(a, b cost) int { return int(a.cpu - b.cpu) })
	return sorted[len(sorted)/2], (sorted[len(sorted)-1].cpu - sorted[0].cpu) / 2
}

func ratio(a, b cost) float64 { return float64(a.cpu) / float64(b.cpu) }

// ratio is how many times the limit's CPU the audit took.
func (r result) ratio() float64 {
	limit, _ := median(r.limit)
	audit, _ := median(r.audit)
	return ratio(audit, limit)
}

// peak is the most memory that any of the runs held, in bytes.
func peak(runs []cost) int64 {
	most := int64(0)
	for _, c := range runs {
		most = max(most, c.rss)
	}
	return most
}

func (r result) peak() int64 { return peak(r.audit) }

func (r result) bytesPerFlow() float64 { return float64(r.peak()) / float64(r.size.Flows) }

// format lays out the table in Markdown, in columns that also read as text.
func format(results []result) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| workload\t| packets\t| flows\t| limit, CPU s\t| ns/packet\t| audit, CPU s\t| ns/packet\t| wall s\t| audit / limit\t| peak MiB\t| bytes/flow\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range results {
		limit, limitSpread := median(r.limit)
		audit, auditSpread := median(r.audit)
		perPacket := func(c cost) float64 { return float64(c.cpu.Nanoseconds()) / float64(r.size.Packets) }
		perFlow := "-" // means nothing where the program itself outweighs the flows
		if r.size.Flows >= 100_000 {
			perFlow = fmt.Sprintf("%.0f", r.bytesPerFlow())
		}
		fmt.Fprintf(w, "| %s %s\t| %d\t| %d\t| %.3f ± %.3f\t| %.1f\t| %.3f ± %.3f\t| %.1f\t| %.3f\t| %.2f\t| %.1f\t| %s\t|\n",
			r.load.name, strings.TrimSpace(r.load.about+" "+r.format), r.size.Packets, r.size.Flows,
			limit.cpu.Seconds(), limitSpread.Seconds(), perPacket(limit),
			audit.cpu.Seconds(), auditSpread.Seconds(), perPacket(audit), audit.wall.Seconds(),
			r.ratio(), float64(r.peak())/(1<<20), perFlow)
	}
	w.Flush()
	return text.String()
}

// parseFloors reads W1=4,W3bytes=256.
func parseFloors(list string) (map[string]float64, error) {
	floors := make(map[string]float64)
	for _, item := range strings.Split(list, ",") {
		if item == "" {
			continue
		}
		name, value, ok := strings.Cut(item, "=")
		most, err := strconv.ParseFloat(value, 64)
		if _, known := workloadByName(strings.TrimSuffix(name, "bytes")); !ok || err != nil || !known {
			return nil, fmt.Errorf("floor %q is not of the form W1=4 or W3bytes=256", item)
		}
		floors[name] = most
	}
	return floors, nil
}

// check holds the results against the floors, all of them.
func check(results []result, floors map[string]float64) error {
	var errs []error
	for _, r := range results {
		if r.format != "" {
			continue
		}
		if most, ok := floors[r.load.name]; ok && r.ratio() > most {
			errs = append(errs, fmt.Errorf("%s takes %.2f times the limit, more than %g", r.load.name, r.ratio(), most))
		}
		if most, ok := floors[r.load.name+"bytes"]; ok && r.bytesPerFlow() > most {
			errs = append(errs, fmt.Errorf("%s takes %.0f bytes per flow, more than %g", r.load.name, r.bytesPerFlow(), most))
		}
	}
	return errors.Join(errs...)
}

// appendRecord adds the table to a file, with what it was measured on; "" is no
// file.
func (o *runOptions) appendRecord(table string) error {
	if o.record == "" {
		return nil
	}
	f, err := os.OpenFile(o.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	commit := "no git"
	if out, err := exec.Command("git", "describe", "--always", "--dirty", "--tags").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	fmt.Fprintf(f, "\n## %s, %s\n\n%s, %d CPUs, %s, %s/%s; GOMAXPROCS=%d; medians of %d interleaved runs; scale %g.\n\n%s",
		time.Now().UTC().Format("2006-01-02"), commit, processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, o.cores, o.n, o.scale, table)
	return f.Close()
}

// processor is the CPU's name as Linux gives it.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return "unknown processor"
}
