package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wirechart/report"
	"wirechart/rules"
	"wirechart/rules/firewall"
)

// network is hosts in network namespaces of their own, each with one link to a
// router in between: what a firewall stands in.
type network struct {
	t      *testing.T
	router string
	spaces map[string]string // by address
}

// needs skips a test that wants root and programs, and says so.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	for _, p := range append(programs, "ip") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s, which is not installed", p)
		}
	}
	if out, err := exec.Command("ip", "netns", "add", "wc-probe").CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %s", out)
	}
	exec.Command("ip", "netns", "del", "wc-probe").Run()
}

// run runs a program and fails the test where it fails.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

func newNetwork(t *testing.T, hosts []string) *network {
	t.Helper()
	tag := fmt.Sprintf("wc%d", os.Getpid()%100000)
	n := &network{t: t, router: tag + "r", spaces: map[string]string{}}
	t.Cleanup(func() {
		for _, space := range n.spaces {
			exec.Command("ip", "netns", "del", space).Run()
		}
		exec.Command("ip", "netns", "del", n.router).Run()
	})
	run(t, "ip", "netns", "add", n.router)
	run(t, "ip", "netns", "exec", n.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	for i, host := range hosts {
		space := fmt.Sprintf("%sh%d", tag, i)
		n.spaces[host] = space
		run(t, "ip", "netns", "add", space)
		link := fmt.Sprintf("v%d", i)
		run(t, "ip", "-n", n.router, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
		run(t, "ip", "-n", n.router, "addr", "add", "169.254.1.1/32", "dev", link)
		run(t, "ip", "-n", n.router, "link", "set", link, "up")
		run(t, "ip", "-n", n.router, "route", "add", host+"/32", "dev", link)
		run(t, "ip", "-n", space, "addr", "add", host+"/32", "dev", "eth0")
		run(t, "ip", "-n", space, "link", "set", "eth0", "up")
		run(t, "ip", "-n", space, "link", "set", "lo", "up")
		run(t, "ip", "-n", space, "route", "add", "169.254.1.1/32", "dev", "eth0")
		run(t, "ip", "-n", space, "route", "add", "default", "via", "169.254.1.1")
	}
	return n
}

// try is one connection that is tried, and what became of it.
type try struct {
	From, To   string
	Port       uint16 // 0 for an echo
	SourcePort uint16
	Passed     bool
}

// peerEnv tells a copy of this test what to be inside a namespace.
const peerEnv = "WIRECHART_TEST_PEER"

// TestPeer is no test of its own: it listens or connects inside a namespace, for
// the tests that make them.
func TestPeer(t *testing.T) {
	switch what := os.Getenv(peerEnv); {
	case what == "":
		t.Skip("runs inside the namespaces of other tests")
	case what == "listen":
		var ports []uint16
		if err := json.NewDecoder(os.Stdin).Decode(&ports); err != nil {
			t.Fatal(err)
		}
		for _, port := range ports {
			l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Write([]byte("hello\n"))
					c.Close()
				}
			}()
		}
		fmt.Fprintln(os.Stderr, "ready")
		time.Sleep(time.Minute) // killed before
	default:
		var tries []try
		if err := json.NewDecoder(os.Stdin).Decode(&tries); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for i := range tries {
			wait.Go(func() { tries[i].attempt() })
		}
		wait.Wait()
		b, _ := json.Marshal(tries)
		fmt.Fprintf(os.Stderr, "%s\n", b)
	}
}

// attempt connects and waits for the answer: a connection passes when what it
// says and what it hears both come through.
func (x *try) attempt() {
	if x.Port == 0 {
		x.Passed = exec.Command("ping", "-c", "1", "-W", "1", x.To).Run() == nil
		return
	}
	d := net.Dialer{Timeout: 1500 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(x.From), Port: int(x.SourcePort)},
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
		}}
	c, err := d.Dial("tcp4", net.JoinHostPort(x.To, strconv.Itoa(int(x.Port))))
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(1500 * time.Millisecond))
	b := make([]byte, 6)
	n, _ := c.Read(b)
	x.Passed = n == 6
}

// peer starts a copy of this test inside a namespace.
func (n *network) peer(host, what string, input any) (*exec.Cmd, *bytes.Buffer) {
	b, err := json.Marshal(input)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", n.spaces[host], os.Args[0], "-test.run", "^TestPeer$")
	cmd.Env = append(os.Environ(), peerEnv+"="+what)
	cmd.Stdin = bytes.NewReader(b)
	errs := new(bytes.Buffer)
	cmd.Stderr = errs
	return cmd, errs
}

// connect tries connections from their hosts, and says which of them passed.
func (n *network) connect(tries []try) []try {
	n.t.Helper()
	ports, from := map[string][]uint16{}, map[string][]try{}
	var hosts []string
	for _, x := range tries {
		if x.Port != 0 {
			ports[x.To] = append(ports[x.To], x.Port)
		}
		if len(from[x.From]) == 0 {
			hosts = append(hosts, x.From)
		}
		from[x.From] = append(from[x.From], x)
	}
	for host, list := range ports {
		seen := map[uint16]bool{}
		var once []uint16
		for _, p := range list {
			if !seen[p] {
				once = append(once, p)
			}
			seen[p] = true
		}
		cmd, errs := n.peer(host, "listen", once)
		pipe := &readyWriter{buffer: errs, ready: make(chan struct{})}
		cmd.Stderr = pipe
		if err := cmd.Start(); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		select {
		case <-pipe.ready:
		case <-time.After(20 * time.Second):
			n.t.Fatalf("%s does not listen: %s", host, errs)
		}
	}
	done := make([][]try, len(hosts))
	var wait sync.WaitGroup
	for i, host := range hosts {
		cmd, errs := n.peer(host, "connect", from[host])
		wait.Go(func() {
			if err := cmd.Run(); err != nil {
				n.t.Errorf("%v: %s", err, errs)
			} else if err := json.Unmarshal(errs.Bytes(), &done[i]); err != nil {
				n.t.Errorf("%v: %s", err, errs)
			}
		})
	}
	wait.Wait()
	return slices.Concat(done...)
}

// readyWriter notices the first line.
type readyWriter struct {
	buffer *bytes.Buffer
	ready  chan struct{}
	once   sync.Once
}

func (r *readyWriter) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("ready")) {
		r.once.Do(func() { close(r.ready) })
	}
	return r.buffer.Write(b)
}

// allowedBy says whether a rule lets a try through, read as anybody would.
func (x *try) allowedBy(r firewall.Rule) bool {
	holds := func(list []netip.Prefix, addr string) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr)) })
	}
	within := func(list []rules.PortRange, port uint16) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(p rules.PortRange) bool { return p.Contains(port) })
	}
	if !holds(r.From, x.From) || !holds(r.To, x.To) {
		return false
	}
	if x.Port == 0 {
		return r.Proto == 1 && within(r.Ports, 8) // an echo
	}
	return r.Proto == 6 && within(r.Ports, x.Port) && within(r.SourcePorts, x.SourcePort)
}

// siteOf is what a sample's audit says, in the terms of firewalls.
func siteOf(t *testing.T, capture string) (audit string, site *firewall.Site) {
	t.Helper()
	audit = auditFile(t, capture)
	doc, err := report.ReadAuditFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	if site, err = report.FirewallSite(audit, doc, nil); err != nil {
		t.Fatal(err)
	}
	return audit, site
}

// TestRulesInNamespaces loads the rules of an audit into a router between the
// hosts of the audit, and tries its connections: the documented ones pass, and
// those that are not documented do not, whether they were seen or are made up.
func TestRulesInNamespaces(t *testing.T) {
	needs(t, "nft", "iptables-restore", "ping", "sysctl")
	audit, site := siteOf(t, samples+"site-violations.pcapng")
	doc, err := report.ReadAuditFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	seen := map[string]bool{}
	host := func(a netip.Addr) {
		if !seen[a.String()] {
			seen[a.String()] = true
			hosts = append(hosts, a.String())
		}
	}
	for _, h := range site.Hosts {
		host(h.Addr)
	}
	var pass, stop []try
	for i := range doc.Edges {
		for _, p := range doc.Edges[i].Pairs {
			service, err := firewall.ParseService(p.Service)
			if err != nil {
				t.Fatal(err)
			}
			x := try{From: p.Client, To: p.Server, SourcePort: 51234}
			if service.Proto == 6 {
				x.Port = service.Ports.Low
			}
			pass = append(pass, x)
			// A source port that the diagram does not allow; the wrong way round.
			if x.Port != 0 {
				stop = append(stop, try{From: x.From, To: x.To, Port: x.Port, SourcePort: 1234},
					try{From: x.To, To: x.From, Port: x.Port, SourcePort: 51234}, try{From: x.From, To: x.To, Port: x.Port + 1, SourcePort: 51234})
			}
		}
	}
	for i := range site.Undocumented {
		f := &site.Undocumented[i]
		host(f.Client)
		host(f.Server)
		x := try{From: f.Client.String(), To: f.Server.String(), SourcePort: 51235}
		if f.Service.Proto == 6 {
			x.Port = f.Service.Ports.Low
		}
		stop = append(stop, x)
	}
	if len(pass) < 10 || len(stop) < 30 {
		t.Fatalf("%d connections documented, %d not", len(pass), len(stop))
	}
	// A documented connection is documented whoever tries it here.
	plan := firewall.NewPlan(site, firewall.Options{})
	kept := stop[:0]
	for _, x := range stop {
		if !slices.ContainsFunc(plan.Rules, x.allowedBy) {
			kept = append(kept, x)
		}
	}
	stop = kept

	n := newNetwork(t, hosts)
	check := func(t *testing.T) {
		t.Helper()
		for _, x := range n.connect(pass) {
			if !x.Passed {
				t.Errorf("documented, and does not pass: %+v", x)
			}
		}
		for _, x := range n.connect(stop) {
			if x.Passed {
				t.Errorf("not documented, and passes: %+v", x)
			}
		}
	}
	in := func(args ...string) []string { return append([]string{"ip", "netns", "exec", n.router}, args...) }
	verify := func(t *testing.T, want int, says string) {
		t.Helper()
		now := file(t, "now.json", run(t, in("nft", "-j", "list", "ruleset")...))
		if status, stdout, stderr := wirechart(t, "rules", audit, "--verify", now); status != want || !strings.Contains(stdout, says) {
			t.Errorf("--verify: status %d, no %q in\n%s%s", status, says, stdout, stderr)
		}
	}
	// Without rules all of it passes: what stops below is stopped by the rules.
	for _, x := range n.connect(append(pass[:3:3], stop[:3]...)) {
		if !x.Passed {
			t.Errorf("does not pass although there are no rules: %+v", x)
		}
	}
	t.Run("nftables", func(t *testing.T) {
		_, text, _ := wirechart(t, "rules", audit, "--format", "nftables")
		rules := file(t, "rules.nft", text)
		for range 2 { // loading it again replaces it
			run(t, in("nft", "-f", rules)...)
		}
		check(t)
		verify(t, exitConforms, "nothing else of")
		run(t, in("nft", "flush", "ruleset")...)
	})
	t.Run("iptables", func(t *testing.T) {
		_, text, _ := wirechart(t, "rules", audit, "--format", "iptables")
		run(t, in("iptables-restore", file(t, "rules.iptables", text))...)
		check(t)
		verify(t, exitFindings, "UNCLEAR") // nft does not print what the matches of iptables say
		_, text, _ = wirechart(t, "rules", audit, "--format", "ip6tables")
		run(t, in("ip6tables-restore", "--test", file(t, "rules.ip6tables", text))...)
	})
	t.Logf("%d documented connections pass, %d others do not", len(pass), len(stop))
}

// TestVerifyFindsMistakes makes ten mistakes in good rules, one at a time, loads
// them into a kernel and asks --verify about what that prints.
func TestVerifyFindsMistakes(t *testing.T) {
	needs(t, "nft")
	audit, _ := siteOf(t, samples+"site.pcapng")
	_, good, _ := wirechart(t, "rules", audit, "--format", "nftables")
	const agents = "10.20.30.22/31"
	space := fmt.Sprintf("wcv%d", os.Getpid()%100000)
	run(t, "ip", "netns", "add", space)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", space).Run() })
	for _, c := range []struct {
		name, from, to string
		kind, says     string
	}{
		{"no mistake", "", "", "", "nothing else"},
		{"a client left out", "ip saddr { 10.20.30.12, " + agents + " } ip daddr 10.20.30.11 tcp sport", "ip saddr { 10.20.30.12, 10.20.30.22 } ip daddr 10.20.30.11 tcp sport", "blocks", "10.20.30.23 to 10.20.30.11 tcp/7780"},
		{"a wrong port", "tcp dport 7780", "tcp dport 7788", "blocks", "tcp/7780"},
		{"a wrong server", "ip daddr 10.20.30.14", "ip daddr 10.20.30.41", "blocks", "10.20.30.14 tcp/44445"},
		{"the wrong way round", "ip saddr " + agents + " ip daddr 10.20.30.14 tcp sport 32768-65535 tcp dport 44445", "ip saddr 10.20.30.14 ip daddr " + agents + " tcp sport 44445 tcp dport 32768-65535", "blocks", "tcp/44445"},
		{"the wrong transport", "tcp sport 32768-65535 tcp dport 9200", "udp sport 32768-65535 udp dport 9200", "blocks", "tcp/9200"},
		{"no return traffic", "ct state established,related accept", "ct state related accept", "blocks answers", "is not"},
		{"everything allowed", "policy drop", "policy accept", "allows", "policy accept"},
		{"a rule for all in front", "ct state invalid drop", "ip protocol tcp accept", "allows", "rule"},
		{"a prefix too wide", "ip saddr { 10.20.30.13, " + agents + " }", "ip saddr 10.20.30.0/24", "allows", "10.20.30.12 tcp/9876"},
		{"ports too wide", "tcp dport 9200", "tcp dport 9000-9999", "allows", "tcp/9201"},
		{"a drop in front", "ct state invalid drop", "ct state invalid drop\n ip saddr 10.20.30.20 drop", "blocks", "10.20.30.20 to 10.20.30.11 tcp/9877"},
		{"source ports not restricted", "tcp sport 32768-65535 tcp dport 44445", "tcp dport 44445", "allows", "from port 1025"},
		{"source ports of Windows alone", "tcp sport 32768-65535 tcp dport 9876", "tcp sport 49152-65535 tcp dport 9876", "blocks", "from port 32768"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := good
			if c.from != "" {
				if text = strings.Replace(good, c.from, c.to, 1); text == good {
					t.Fatalf("no %q in\n%s", c.from, good)
				}
			}
			run(t, "ip", "netns", "exec", space, "nft", "-f", file(t, "rules.nft", text))
			now := file(t, "now.json", run(t, "ip", "netns", "exec", space, "nft", "-j", "list", "ruleset"))
			status, stdout, stderr := wirechart(t, "rules", audit, "--verify", now)
			if want := c.kind != ""; (status == exitFindings) != want || status == exitError {
				t.Errorf("status %d: %s", status, stderr)
			}
			if !strings.Contains(stdout, strings.ToUpper(c.kind)) || !strings.Contains(stdout, c.says) {
				t.Errorf("no %s %q in\n%s", c.kind, c.says, stdout)
			}
		})
	}
}

// TestRules holds what rules says of what it cannot do, and that each format
// comes out.
func TestRules(t *testing.T) {
	audit, _ := siteOf(t, samples+"site-violations.pcapng")
	for _, f := range firewall.Formats() {
		status, stdout, stderr := wirechart(t, "rules", audit, "--format", f.Name)
		again, _, _ := wirechart(t, "rules", audit, "--format", f.Name, "--output", filepath.Join(t.TempDir(), "rules"))
		if status != 0 || again != 0 || stderr != "" || f.Name != "ip6tables" && !strings.Contains(stdout, "7780") {
			t.Errorf("%s: status %d, %s%.200s", f.Name, status, stderr, stdout)
		}
	}
	status, stdout, _ := wirechart(t, "rules", audit, "--format", "json")
	var doc any
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || status != 0 {
		t.Fatal(err)
	}
	if err := compiled(t, "rules").Validate(doc); err != nil {
		t.Error(err)
	}
	// A host that was never seen, and that the inventory pins.
	inventory := file(t, "inventory.yaml", "version: 1\nhosts:\n  - address: 10.20.99.0/28\n    roles: [agent]\n")
	if _, stdout, _ := wirechart(t, "rules", audit, "--inventory", inventory); !strings.Contains(stdout, "10.20.99.0/28") {
		t.Error("the pinned network has no rule")
	}
}
