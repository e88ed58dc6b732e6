package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wirechart/pcaps"
)

// inSandbox, in the environment, has TestSandboxed run: JSON of a sandbox.
const inSandbox = "WIRECHART_TEST_SANDBOX"

// TestSandboxed is what TestSandbox starts: it captures, enters the sandbox,
// and prints what it could still do, one line each, then "ready", and lives
// until its input ends.
func TestSandboxed(t *testing.T) {
	config := os.Getenv(inSandbox)
	if config == "" {
		t.Skip("started by TestSandbox")
	}
	var s sandbox
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		t.Fatal(err)
	}
	src, err := pcaps.OpenLive("lo", pcaps.LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	sender, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	note, err := enterSandbox(s)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("note %s\n", note)
	could := func(what string, err error) {
		if err == nil {
			fmt.Printf("could %s\n", what)
		}
	}
	// More threads than there were, so that it is not only the first.
	for range 8 {
		done := make(chan bool)
		go func() {
			_, err := os.ReadFile("/etc/passwd")
			could("read /etc/passwd", err)
			_, err = os.ReadDir("/proc")
			could("list /proc", err)
			for _, dir := range s.Write {
				could("write beside the output", os.WriteFile(filepath.Join(filepath.Dir(dir), "beside"), nil, 0o644))
				could("link out", os.Symlink("/etc", filepath.Join(dir, "link")))
			}
			could("write a file of the system", os.WriteFile("/etc/wirechart-test", nil, 0o644))
			could("run a program", exec.Command("/bin/true").Run())
			for what, domain := range map[string]int{"a packet socket": unix.AF_PACKET, "an internet socket": unix.AF_INET, "an IPv6 socket": unix.AF_INET6, "a netlink socket": unix.AF_NETLINK} {
				fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
				could("open "+what, err)
				if err == nil {
					unix.Close(fd)
				}
			}
			_, err = net.Listen("tcp", "127.0.0.1:0")
			could("listen", err)
			_, err = net.Dial("tcp", "127.0.0.1:1")
			could("dial", map[bool]error{true: nil, false: err}[strings.Contains(fmt.Sprint(err), "refused")])
			if s.User != "" {
				could("become root", syscall.Setuid(0))
			}
			close(done)
		}()
		<-done
	}
	// What it is there for goes on.
	for _, dir := range s.Write {
		name := filepath.Join(dir, "out")
		if err := os.WriteFile(name+".tmp", []byte("x"), 0o644); err != nil {
			t.Error(err)
		}
		if err := os.Rename(name+".tmp", name); err != nil {
			t.Error(err)
		}
		if _, err := os.ReadFile(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := sender.Write([]byte("seen")); err != nil {
		t.Error(err)
	}
	batch := make([]pcaps.Packet, 16)
	n := 0
	for deadline := time.Now().Add(30 * time.Second); n == 0 && time.Now().Before(deadline); {
		if n, err = src.Read(batch); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Error("the capture has ended")
	}
	if !t.Failed() {
		fmt.Println("ready")
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// TestSandbox starts a program that captures, and proves from inside and from
// outside that it kept nothing but that. It takes root: only root captures and
// changes users.
func TestSandbox(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("entering the sandbox with a capture takes root")
	}
	for _, user := range []string{"", "nobody"} {
		t.Run("user "+user, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			if err := os.Mkdir(out, 0o755); err != nil {
				t.Fatal(err)
			}
			uid := "0"
			if user != "" {
				// The directories of a test are closed to other users.
				for dir := out; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
					if err := os.Chmod(dir, 0o777); err != nil {
						t.Fatal(err)
					}
				}
				uid = "65534"
			}
			config, err := json.Marshal(sandbox{User: user, Write: []string{out}})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestSandboxed$", "-test.v")
			cmd.Env = append(os.Environ(), inSandbox+"="+string(config))
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				stdin.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}()
			ready := false
			note := ""
			lines := bufio.NewScanner(stdout)
			for !ready && lines.Scan() {
				line := lines.Text()
				note += strings.TrimPrefix(line, "note ") + "\n"
				switch {
				case strings.HasPrefix(line, "could "):
					if strings.Contains(note, "no Landlock") && !strings.Contains(line, "socket") {
						t.Logf("without Landlock it %s", line)
					} else {
						t.Error(line)
					}
				case strings.Contains(line, "FAIL"):
					t.Fatal(line)
				}
				ready = line == "ready"
			}
			if !ready {
				t.Fatal("it did not get ready:\n" + note)
			}
			checkSandboxed(t, cmd.Process.Pid, uid, map[string]int{"packet": 1, "udp": 1})
		})
	}
}

// asProgram, in the environment, has TestAsProgram be the program: its words,
// parted by newlines.
const asProgram = "WIRECHART_TEST_PROGRAM"

// TestAsProgram is what the tests below start: the program itself.
func TestAsProgram(t *testing.T) {
	words := os.Getenv(asProgram)
	if words == "" {
		t.Skip("started by tests of the program in its sandbox")
	}
	os.Args = append(os.Args[:1], strings.Split(words, "\n")...)
	main() // does not return
}

// TestLiveSandbox starts the program on an interface, with every output there
// is, and holds it to what it needs: it has no capability, its sockets are the
// capture and the listener for metrics, and when a directory that it writes to
// is replaced by a link to another, nothing of it is written there.
func TestLiveSandbox(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("capturing takes root")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	outside := filepath.Join(dir, "outside")
	for _, d := range []string{out, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsProgram$")
	cmd.Env = append(os.Environ(), asProgram+"="+strings.Join([]string{"live", "-i", "lo", "--exit-zero",
		"-w", filepath.Join(out, "all.pcapng"), "--state", filepath.Join(out, "state.json"), "--evidence", filepath.Join(out, "evidence"),
		"--metrics", "127.0.0.1:0", "-o", "jsonl", "--output", filepath.Join(out, "out.jsonl")}, "\n"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	inside := false
	for deadline := time.Now().Add(30 * time.Second); !inside && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		inside = err == nil && strings.Contains(string(status), "Seccomp:\t2") // the last step
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v: %s", err, stderr.String())
		default:
		}
	}
	if !inside {
		t.Fatal("it did not enter the sandbox: " + stderr.String())
	}
	// A listener of Multipath TCP, which is Go's default, is in no table.
	listener := "tcp"
	if _, ok := socketsOf(t, cmd.Process.Pid)["other"]; ok {
		listener = "other"
	}
	checkSandboxed(t, cmd.Process.Pid, "0", map[string]int{"packet": 1, listener: 1})

	if err := os.Rename(out, out+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, out); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended: // it may complain of the state that it could not write
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	landlocked := !strings.Contains(stderr.String(), "no Landlock")
	if found, err := os.ReadDir(outside); err != nil || landlocked && len(found) > 0 {
		t.Errorf("outside there is %v, %v", found, err)
	}
	if landlocked && !strings.Contains(stderr.String(), "permission denied") {
		t.Errorf("it was not refused anything: %s", stderr.String())
	}
	if info, err := os.Stat(filepath.Join(out+".moved", "all.pcapng")); err != nil || info.Size() == 0 {
		t.Errorf("what it wrote: %v, %v", info, err)
	}
}

// TestServeSandbox starts the page on captures, a diagram and an inventory, and
// holds it to those: it tells a flow from the captures and gives its evidence, it
// has a socket to listen with and no other, and when a capture is replaced by a
// link to another file, it does not read that one.
func TestServeSandbox(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(samples + "site-violations.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	within, outside := filepath.Join(dir, "captures"), filepath.Join(dir, "outside.pcapng")
	if err := os.Mkdir(within, 0o755); err != nil {
		t.Fatal(err)
	}
	capture, hosts := filepath.Join(within, "site.pcapng"), filepath.Join(dir, "hosts.yaml")
	for name, text := range map[string][]byte{capture: b, outside: b, hosts: []byte("version: 1\nhosts:\n  - address: 10.20.30.11\n    roles: [management-server]\n")} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsProgram$")
	cmd.Env = append(os.Environ(), asProgram+"="+strings.Join([]string{"serve", "--listen", "127.0.0.1:0", "--inventory", hosts, "-f", "tcp or udp or icmp", within}, "\n"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	page, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("it does not serve: %v: %s", err, stderr.String())
	}
	page = strings.TrimSpace(page)
	read := false
	for deadline := time.Now().Add(30 * time.Second); !read && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, body := fetch(t, page)
		read = strings.Contains(body, `data-finished="true"`)
	}
	if !read {
		t.Fatal("it does not come to an end of reading: " + stderr.String())
	}
	if status, told := fetch(t, page+"api/explain?flow=18"); status != 200 || !strings.Contains(told, "Frames ") {
		t.Errorf("the story of a flow: %d, %s", status, told)
	}
	if status, evidence := fetch(t, page+"evidence?flow=18"); status != 200 || !strings.HasPrefix(evidence, "\x0a\x0d\x0d\x0a") {
		t.Errorf("the evidence of a flow: %d, %.200q", status, evidence)
	}
	if status, html := fetch(t, page+"report?format=html"); status != 200 || strings.Contains(html, "not computed") {
		t.Errorf("the report: %d, or it has no digest of the capture", status)
	}
	http.DefaultClient.CloseIdleConnections()
	if os.Geteuid() == 0 {
		time.Sleep(200 * time.Millisecond) // the other end closes
		listener := "tcp"
		if _, ok := socketsOf(t, cmd.Process.Pid)["other"]; ok {
			listener = "other" // Multipath TCP, see above
		}
		checkSandboxed(t, cmd.Process.Pid, "0", map[string]int{listener: 1})
	}
	if strings.Contains(stderr.String(), "no Landlock") {
		t.Skip("the rest takes Landlock")
	}
	if err := os.Remove(capture); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, capture); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"api/explain?flow=18", "evidence?flow=18"} {
		if status, told := fetch(t, page+path); status != 404 || !strings.Contains(told, "permission denied") {
			t.Errorf("%s of another file: %d, %.200q", path, status, told)
		}
	}
}

// checkSandboxed looks at a program from outside, all threads of it: no
// capability, no_new_privs, the user, and the sockets it is to have by kind.
func checkSandboxed(t *testing.T, pid int, uid string, sockets map[string]int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads in /proc: %v", err)
	}
	for _, name := range threads {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		values := map[string]string{}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			values[key] = strings.TrimSpace(value)
		}
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			if strings.Trim(values[set], "0") != "" {
				t.Errorf("%s: %s is %s", name, set, values[set])
			}
		}
		if values["NoNewPrivs"] != "1" || values["Seccomp"] != "2" {
			t.Errorf("%s: NoNewPrivs %s, Seccomp %s", name, values["NoNewPrivs"], values["Seccomp"])
		}
		if got := strings.Fields(values["Uid"]); len(got) == 0 || got[0] != uid || got[1] != uid || got[2] != uid {
			t.Errorf("%s: Uid %s, want %s", name, values["Uid"], uid)
		}
	}
	if got := socketsOf(t, pid); fmt.Sprint(got) != fmt.Sprint(sockets) {
		t.Errorf("sockets %v, want %v", got, sockets)
	}
}

// socketsOf counts the open sockets of a process by kind: the files of
// /proc/PID/net that list them by inode.
func socketsOf(t *testing.T, pid int) map[string]int {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(to, "socket:["); ok && err == nil {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	found := map[string]int{}
	for _, kind := range []string{"packet", "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "netlink"} {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, kind))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			for _, field := range strings.Fields(line) {
				if inodes[field] {
					found[kind]++
					delete(inodes, field)
				}
			}
		}
	}
	for range inodes {
		found["other"]++
	}
	return found
}
