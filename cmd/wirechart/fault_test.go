package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wirechart/pcaps"
	"wirechart/rules"
)

// beKilled is set for the process that TestKilled starts: where it writes.
const beKilled = "WIRECHART_TEST_KILLED"

// TestToBeKilled captures until it is killed.
func TestToBeKilled(t *testing.T) {
	dir := os.Getenv(beKilled)
	if dir == "" {
		t.Skip("started by TestKilled")
	}
	s := &soak{kind: "churn", rate: 5000, until: time.Now().Add(3 * time.Minute), random: rand.New(rand.NewPCG(1, 2)), sample: func() {}}
	l := &liveOptions{open: func([]string, pcaps.LiveOptions) (pcaps.Source, error) { return s, nil }}
	liveOverAt(t, context.Background(), l, 100*time.Millisecond, "-i", "soak", "-o", "jsonl", "--output", filepath.Join(dir, "lines"),
		"-w", filepath.Join(dir, "all.pcapng"), "--evidence", filepath.Join(dir, "evidence"), "--evidence-size", "1", "--state", filepath.Join(dir, "state"), "--inventory", file(t, "inventory.yaml", soakInventory))
}

// TestKilled kills a run with everything that it writes open: all of it can be
// read, and the state is whole.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestToBeKilled$")
	cmd.Env = append(os.Environ(), beKilled+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := func() bool {
		all, err := os.Stat(filepath.Join(dir, "all.pcapng"))
		_, noState := os.Stat(filepath.Join(dir, "state"))
		kept, _ := filepath.Glob(filepath.Join(dir, "evidence", "*.pcapng"))
		lines, noLines := os.Stat(filepath.Join(dir, "lines"))
		return err == nil && all.Size() > 1<<20 && noLines == nil && lines.Size() > 0 && noState == nil && len(kept) > 0
	}
	for end := time.Now().Add(2 * time.Minute); !ready() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond) // what waits is written every second
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for _, name := range []string{"all.pcapng", "evidence"} {
		src, err := pcaps.Open([]string{filepath.Join(dir, name)}, pcaps.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for batch := make([]pcaps.Packet, 256); ; {
			if _, err := src.Read(batch); err != nil {
				break
			}
		}
		frames := uint64(0)
		for _, f := range src.Stats().Files {
			frames += f.Frames
			if f.Damage != nil {
				t.Errorf("%s: %+v", f.Name, f.Damage)
			}
		}
		if frames < 100 {
			t.Errorf("%s: %d frames", name, frames)
		}
		src.Close()
	}
	b, err := os.ReadFile(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := rules.ParseMemory(b); err != nil || len(m.Findings) == 0 {
		t.Errorf("%v: %s", err, b)
	}
	if lines, err := os.ReadFile(filepath.Join(dir, "lines")); err != nil || !strings.Contains(string(lines), `"schema":"wirechart/event/v1"`) {
		t.Errorf("lines: %v, %.200s", err, lines)
	}
}

// fullDisk mounts a small file system, or skips the test.
func fullDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestResultsFull has no room for results: the message names the option and the
// file as they were given, and nothing is left behind.
func TestResultsFull(t *testing.T) {
	site := samples + "site-violations.pcapng"
	for flag, args := range map[string][]string{
		"--output": {"audit", "-o", "json", site, "--output"},
		"--write":  {"flows", site, "-w"},
	} {
		dir := fullDisk(t, "8k")
		target := filepath.Join(dir, "target")
		status, _, stderr := wirechart(t, append(args, target)...)
		if want := "wirechart: " + flag + " " + target + ": no space left on device\n"; status != exitError || stderr != want {
			t.Errorf("%s: status %d, %q, want %q", flag, status, stderr, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", flag, left, err)
		}
	}
}

// TestDiskFull runs where there is no room for what is written: the audit is
// made all the same, the message says what is missing, the status that the job
// was not done, and an older state stays.
func TestDiskFull(t *testing.T) {
	site := samples + "site-violations.pcapng"
	for _, flag := range []string{"-w", "--evidence", "--state"} {
		t.Run(flag, func(t *testing.T) {
			dir := fullDisk(t, "64k")
			target := filepath.Join(dir, "target")
			old := ""
			if flag == "--state" {
				if _, _, stderr := liveOver(t, context.Background(), from(nil), "-i", site, flag, target); stderr != "" && strings.Contains(stderr, "no space") {
					t.Fatal(stderr)
				}
				b, err := os.ReadFile(target)
				if err != nil {
					t.Fatal(err)
				}
				old = string(b)
			}
			// All but a page or two is taken.
			hog, err := os.Create(filepath.Join(dir, "hog"))
			if err != nil {
				t.Fatal(err)
			}
			for block := make([]byte, 4096); err == nil; {
				_, err = hog.Write(block)
			}
			hog.Close()
			if flag != "--state" {
				if err := os.Truncate(filepath.Join(dir, "hog"), 40<<10); err != nil {
					t.Fatal(err)
				}
			}
			status, out, stderr := liveOver(t, context.Background(), from(nil), "-i", site, flag, target)
			if status != exitError || !strings.Contains(out, "DOES NOT CONFORM") || !strings.Contains(stderr, strings.Replace(flag, "-w", "--write", 1)) || !strings.Contains(stderr, "no space left") && !strings.Contains(stderr, "want of room") {
				t.Errorf("status %d, %s, %.300s", status, stderr, out)
			}
			if flag == "--state" {
				if b, err := os.ReadFile(target); err != nil || string(b) != old {
					t.Errorf("the old state is gone: %v", err)
				}
				return
			}
			if status, out, _ := wirechart(t, "flows", "-o", "jsonl", target); status != exitConforms || out == "" {
				t.Errorf("what was written cannot be read: %d, %s", status, out)
			}
			if flag == "-w" {
				missing := len(framesOf(t, site)) - len(framesOf(t, target))
				if want := fmt.Sprintf(": %d frames are missing there", missing); missing == 0 || !strings.Contains(stderr, want) {
					t.Errorf("%d frames are missing, and it says %s", missing, stderr)
				}
			}
		})
	}
}

// inNamespace is set for the process that TestInterfaceDownAndUp starts: where
// it writes.
const inNamespace = "WIRECHART_TEST_NAMESPACE"

// TestInNamespace captures from an interface until it is told to end.
func TestInNamespace(t *testing.T) {
	dir := os.Getenv(inNamespace)
	if dir == "" {
		t.Skip("started by TestInterfaceDownAndUp")
	}
	l := &liveOptions{open: pcaps.OpenInterfaces}
	status, _, stderr := liveOverAt(t, context.Background(), l, refreshLeast, "-i", "wcb", "-f", "icmp", "-o", "json", "--output", filepath.Join(dir, "audit.json"))
	if status == exitError {
		t.Fatal(stderr)
	}
}

// TestInterfaceDownAndUp takes the interface of a run down and up again: the
// frames of before and after are in its audit.
func TestInterfaceDownAndUp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces take root")
	}
	for _, need := range []string{"ip", "ping"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("%s is not installed", need)
		}
	}
	const ns = "wirechart-test-updown"
	run := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	_ = run("netns", "del", ns) // of a run that was killed
	if err := run("netns", "add", ns); err != nil {
		t.Skip(err)
	}
	defer func() { _ = run("netns", "del", ns) }()
	for _, args := range []string{
		"link add wca type veth peer name wcb", "link set wca up", "link set wcb up", "addr add 10.9.9.1/24 dev wca",
		"neigh add 10.9.9.2 lladdr 02:00:00:00:00:02 dev wca nud permanent",
	} {
		if err := run(append([]string{"-n", ns}, strings.Fields(args)...)...); err != nil {
			t.Skip(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("ip", "netns", "exec", ns, self, "-test.run", "^TestInNamespace$")
	cmd.Env = append(os.Environ(), inNamespace+"="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ping := func() {
		// Nobody answers.
		_ = exec.Command("ip", "netns", "exec", ns, "ping", "-q", "-c", "5", "-i", "0.2", "-W", "1", "10.9.9.2").Run()
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		// One line for each packet socket, below the head.
		if table, err := exec.Command("ip", "netns", "exec", ns, "cat", "/proc/net/packet").Output(); err == nil && bytes.Count(table, []byte("\n")) > 1 {
			break
		}
	}
	time.Sleep(time.Second) // until it is bound
	ping()
	if err := errors.Join(run("-n", ns, "link", "set", "wcb", "down"), run("-n", ns, "link", "set", "wcb", "up")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	ping()
	time.Sleep(time.Second)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	b, err := os.ReadFile(filepath.Join(dir, "audit.json"))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Coverage struct{ Packets, Flows int }
	}
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	if a.Coverage.Packets != 10 || a.Coverage.Flows != 2 {
		t.Errorf("%+v of two pings of five frames: %s", a.Coverage, out.String())
	}
}
