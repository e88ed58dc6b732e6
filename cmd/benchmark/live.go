package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The load test: tcpreplay plays the mixed workload into one end of a veth pair
// in a network namespace of its own, at rising rates, and programs capture at
// the other end in turn. What was sent is what the kernel counts there.
const (
	liveSpace = "wirechart-bench" // the network namespace
	liveGroup = "wirechart-bench" // the cgroup
	livePort  = "b1"              // where programs capture

	lossLimit = 0.001 // a rate at which more is lost is too much
)

// A capturer is a program that captures from livePort until it is interrupted,
// and then says what it saw.
type capturer struct {
	name  string
	words []string
	// counts finds in what it wrote, and in the file it was given as OUT, the
	// frames it saw and those that it knows to be lost.
	counts func(stderr, out string) (seen, lost uint64, err error)
}

// A passage is one run of a capturer at one rate.
type passage struct {
	sent, seen, lost uint64
	seconds          float64
	cpu              time.Duration // from the first packet until all are read, without beginning and end
}

func capturers(program string) []capturer {
	wirechart := func(name string, more ...string) capturer {
		return capturer{name, append([]string{program, "live", "-i", livePort, "-q", "--exit-zero", "-o", "json", "--output", "OUT"}, more...), wirechartCounts}
	}
	return []capturer{
		wirechart("wirechart"),
		wirechart("wirechart --capture pcap", "--capture", "pcap"),
		{"tcpdump -w /dev/null", []string{"tcpdump", "-i", livePort, "-n", "-B", "65536", "-w", "/dev/null"}, tcpdumpCounts},
		{"tcpdump, its own buffer", []string{"tcpdump", "-i", livePort, "-n", "-w", "/dev/null"}, tcpdumpCounts},
		{"argus", []string{"argus", "-X", "-i", livePort, "-w", "OUT"}, argusCounts},
	}
}

func wirechartCounts(_, out string) (seen, lost uint64, err error) {
	text, err := os.ReadFile(out)
	if err != nil {
		return 0, 0, err
	}
	var doc struct {
		Coverage struct {
			Dropped          uint64 `json:"dropped"`
			InterfaceDropped uint64 `json:"interface_dropped"`
			Captures         []struct {
				Frames uint64 `json:"frames"`
			} `json:"captures"`
		} `json:"coverage"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return 0, 0, err
	}
	for _, c := range doc.Coverage.Captures {
		seen += c.Frames
	}
	return seen, doc.Coverage.Dropped + doc.Coverage.InterfaceDropped, nil
}

func tcpdumpCounts(stderr, _ string) (seen, lost uint64, err error) {
	for what, to := range map[string]*uint64{"captured": &seen, "dropped by kernel": &lost} {
		m := regexp.MustCompile(`(\d+) packets? ` + what).FindStringSubmatch(stderr)
		if m == nil {
			return 0, 0, fmt.Errorf("no number of packets %s in %q", what, stderr)
		}
		if *to, err = strconv.ParseUint(m[1], 10, 64); err != nil {
			return 0, 0, err
		}
	}
	return seen, lost, nil
}

// argusCounts adds up the packets of its flows; it writes down nothing that is
// lost.
func argusCounts(_, out string) (seen, lost uint64, err error) {
	text, err := exec.Command("racount", "-r", out).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("racount: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "sum" {
			seen, err = strconv.ParseUint(f[2], 10, 64)
			return seen, 0, err
		}
	}
	return 0, 0, fmt.Errorf("racount: no sum in %q", text)
}

// liveOptions are the flags of live.
type liveOptions struct {
	program string
	dir     string
	scale   float64
	seconds int
	rates   []int // thousands of packets per second; 0 is as fast as it goes
	quotas  []int // percent of a core; 0 is all they want
	only    string
}

func parseLive(args []string) (*liveOptions, error) {
	flags := flag.NewFlagSet("live", flag.ExitOnError)
	var o liveOptions
	flags.StringVar(&o.program, "bin", "bin/wirechart", "the program to measure")
	flags.StringVar(&o.dir, "dir", cacheDir(), "where the workload is kept (also: BENCH_DIR)")
	flags.Float64Var(&o.scale, "scale", 0.2, "share of the workload's packets and flows, played again and again")
	flags.IntVar(&o.seconds, "seconds", 5, "how long each rate is played")
	rates := flags.String("rates", "50,100,200,300,400,0", "thousands of packets per second; 0 is as fast as it goes")
	quotas := flags.String("quota", "0,10", "percent of a core that programs are held to, by cgroup; 0 is all they want")
	flags.StringVar(&o.only, "only", "", "only programs whose name begins so")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if o.rates, err = integers(*rates); err != nil {
		return nil, fmt.Errorf("-rates: %w", err)
	}
	if o.quotas, err = integers(*quotas); err != nil {
		return nil, fmt.Errorf("-quota: %w", err)
	}
	return &o, nil
}

// integers reads a comma-separated list.
func integers(list string) ([]int, error) {
	var numbers []int
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func runLive(args []string) error {
	o, err := parseLive(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("live: skipped: network namespaces and capturing take root")
	}
	for _, tool := range []string{"ip", "tcpreplay"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("live: skipped: no %s here", tool)
		}
	}
	load, _ := workloadByName("W1")
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	path, _, err := prepare(load, o.dir, o.scale)
	if err != nil {
		return err
	}
	program, err := filepath.Abs(o.program)
	if err != nil {
		return err
	}
	if err := layWire(); err != nil {
		return err
	}
	defer func() { _ = exec.Command("ip", "netns", "del", liveSpace).Run() }()

	// A line when it is known: all of it takes minutes.
	fmt.Printf("%-24s %6s %6s %9s %9s %9s %7s %11s %10s\n", "program", "core", "kpps", "sent", "seen", "said lost", "lost %", "uncounted %", "ns/packet")
	for _, percent := range o.quotas {
		group, err := cgroup(percent)
		if err != nil {
			fmt.Printf("live: skipped at %d %% of a core: %v\n", percent, err)
			continue
		}
		for _, c := range capturers(program) {
			if !strings.HasPrefix(c.name, o.only) {
				continue
			}
			if _, err := exec.LookPath(c.words[0]); err != nil {
				fmt.Printf("live: skipped %s: not here\n", c.name)
				continue
			}
			if err := o.playRates(c, group, percent, path); err != nil {
				return err
			}
		}
		if group != "" {
			_ = os.Remove(group)
		}
	}
	return nil
}

// playRates plays the workload to a program at one rate after the other, until
// it loses too much, and prints a line for each.
func (o *liveOptions) playRates(c capturer, group string, percent int, path string) error {
	core := "all"
	if percent > 0 {
		core = fmt.Sprintf("%d %%", percent)
	}
	for _, kpps := range o.rates {
		p, err := play(c, group, path, kpps, o.seconds)
		if err != nil {
			return fmt.Errorf("%s at %d kpps: %w", c.name, kpps, err)
		}
		loss := float64(p.sent-min(p.sent, p.seen)) / float64(p.sent)
		uncounted := (float64(p.sent) - float64(p.seen) - float64(p.lost)) / float64(p.sent)
		fmt.Printf("%-24s %6s %6.0f %9d %9d %9d %7.2f %11.2f %10d\n", c.name, core, float64(p.sent)/p.seconds/1000,
			p.sent, p.seen, p.lost, 100*loss, 100*uncounted, p.cpu.Nanoseconds()/int64(max(p.seen, 1)))
		if loss > lossLimit {
			break
		}
	}
	return nil
}

// layWire makes the namespace and the pair of interfaces in it.
func layWire() error {
	_ = exec.Command("ip", "netns", "del", liveSpace).Run() // of a run that was interrupted
	for _, words := range []string{
		"netns add " + liveSpace,
		"-n " + liveSpace + " link add b0 mtu 9000 type veth peer name " + livePort + " mtu 9000",
		"netns exec " + liveSpace + " sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.core.netdev_max_backlog=100000",
		"-n " + liveSpace + " link set b0 up",
		"-n " + liveSpace + " link set " + livePort + " up promisc on",
	} {
		if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil && !strings.Contains(words, "sysctl") {
			return fmt.Errorf("ip %s: %w: %s", words, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// cgroup makes one that is held to a share of a core, and is the file that
// takes a process in; none for 0.
func cgroup(percent int) (string, error) {
	if percent == 0 {
		return "", nil
	}
	const period = 100_000                                                        // microseconds
	if dir := "/sys/fs/cgroup/cpu/" + liveGroup; os.MkdirAll(dir, 0o755) == nil { // version 1
		return dir, os.WriteFile(dir+"/cpu.cfs_quota_us", []byte(strconv.Itoa(period*percent/100)), 0o644)
	}
	dir := "/sys/fs/cgroup/" + liveGroup
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(dir+"/cpu.max", fmt.Appendf(nil, "%d %d", period*percent/100, period), 0o644)
}

// arrived is how many packets the kernel took in, or had to drop, where
// programs capture.
func arrived() (uint64, error) {
	out, err := exec.Command("ip", "-n", liveSpace, "-s", "-j", "link", "show", livePort).Output()
	if err != nil {
		return 0, err
	}
	var links []struct {
		Stats struct {
			Rx struct{ Packets, Dropped uint64 } `json:"rx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		return 0, fmt.Errorf("ip -s -j link: %w: %s", err, out)
	}
	return links[0].Stats.Rx.Packets, nil
}

// onCPU is how long the threads of a process that are there have run. What the
// kernel does for a packet before it is in the buffer is charged to the sender.
func onCPU(pid int) time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	sum := time.Duration(0)
	for _, name := range files {
		text, err := os.ReadFile(name) // "on the CPU, waiting, slices"
		if f := strings.Fields(string(text)); err == nil && len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// play runs one capturer while the workload is played.
func play(c capturer, group, path string, kpps, seconds int) (p passage, err error) {
	temp, err := os.MkdirTemp("", "wirechart-live")
	if err != nil {
		return p, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	out := filepath.Join(temp, "out")
	var words []string
	if group != "" { // from outside: in the namespace /sys is another
		words = []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, group + "/cgroup.procs"}
	}
	words = append(words, "ip", "netns", "exec", liveSpace)
	for _, word := range c.words {
		words = append(words, strings.ReplaceAll(word, "OUT", out))
	}
	var said bytes.Buffer
	capture := exec.Command(words[0], words[1:]...)
	capture.Stderr, capture.Stdout = &said, io.Discard
	if err := capture.Start(); err != nil {
		return p, err
	}
	time.Sleep(1500 * time.Millisecond) // until it captures
	before, err := arrived()
	if err != nil {
		return p, err
	}
	began := onCPU(capture.Process.Pid)
	replay := []string{"netns", "exec", liveSpace, "tcpreplay", "-i", "b0", "-K", "-q", "--loop=1000", "--duration=" + strconv.Itoa(seconds)}
	if kpps == 0 {
		replay = append(replay, "--topspeed")
	} else {
		replay = append(replay, "--pps="+strconv.Itoa(kpps*1000))
	}
	text, err := exec.Command("ip", append(replay, path)...).CombinedOutput()
	if err != nil {
		_ = capture.Process.Kill()
		_ = capture.Wait()
		return p, fmt.Errorf("tcpreplay: %w: %s", err, text)
	}
	// Actual: 500000 packets (310000000 bytes) sent in 5.00 seconds
	if m := regexp.MustCompile(`sent in ([0-9.]+) seconds`).FindSubmatch(text); m != nil {
		p.seconds, _ = strconv.ParseFloat(string(m[1]), 64)
	}
	if p.seconds == 0 {
		p.seconds = float64(seconds)
	}
	after, err := arrived()
	if err != nil {
		return p, err
	}
	p.sent = after - before
	time.Sleep(4 * time.Second) // what is in the buffer is to be read
	p.cpu = onCPU(capture.Process.Pid) - began
	_ = capture.Process.Signal(os.Interrupt)
	if err := capture.Wait(); err != nil && !strings.Contains(c.name, "argus") {
		return p, fmt.Errorf("%w: %s", err, said.String())
	}
	p.seen, p.lost, err = c.counts(said.String(), out)
	return p, err
}
