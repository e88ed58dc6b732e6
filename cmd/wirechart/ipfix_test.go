package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
)

// TestCollector exports a sample to a collector that others wrote (nfcapd of
// nfdump), and holds what that wrote down against our flow records.
func TestCollector(t *testing.T) {
	for _, p := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s (Debian's nfdump), which is not installed", p)
		}
	}
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0") // a port that is free
	if err != nil {
		t.Fatal(err)
	}
	to := socket.LocalAddr().String()
	socket.Close()
	_, port, _ := net.SplitHostPort(to)
	dir := t.TempDir()
	cmd := exec.Command("nfcapd", "-b", "127.0.0.1", "-p", port, "-l", dir, "-t", "3600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	// What waits in its socket: "00000000" when it listens and has read everything.
	waiting := func() string {
		table, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Fatal(err)
		}
		number, _ := strconv.Atoi(port)
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 4 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
				return f[4][strings.IndexByte(f[4], ':')+1:]
			}
		}
		return ""
	}
	idle := func() {
		for end := time.Now().Add(30 * time.Second); waiting() != "00000000" && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	idle()
	if status, stdout, stderr := wirechart(t, "flows", "--ipfix", to, samples+"site.pcapng"); status != 0 || stdout != "" {
		t.Fatalf("status %d, %s%s", status, stdout, stderr)
	}
	idle()
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	files, _ := filepath.Glob(filepath.Join(dir, "nfcapd.*"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	out, err := exec.Command("nfdump", "-q", "-r", files[0], "-o", "fmt:%pr %sa %sp %da %dp %ipkt %ibyt %opkt %obyt").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		got[strings.Join(strings.Fields(line), " ")] = true
	}
	_, records, _ := wirechart(t, "flows", "-o", "csv", "--no-judge", samples+"site.pcapng")
	n := 0
	rows := strings.Split(strings.TrimSpace(records), "\r\n")
	head := strings.Split(rows[0], ",")
	for _, row := range rows[1:] {
		value := map[string]string{}
		for i, v := range strings.Split(row, ",") {
			if i < len(head) {
				value[head[i]] = v
			}
		}
		if value["proto"] != "tcp" || strings.Contains(row, `"`) {
			continue
		}
		n++
		want := fmt.Sprintf("TCP %s %s %s %s %s %s %s %s", value["client_ip"], value["client_port"], value["server_ip"], value["server_port"],
			value["packets_to_server"], value["bytes_to_server"], value["packets_to_client"], value["bytes_to_client"])
		if !got[want] {
			t.Errorf("the collector has no %q in\n%s", want, out)
			return
		}
	}
	if n < 10 {
		t.Errorf("%d flows compared", n)
	}
}

// TestCollectorGone has no collector, and one that goes away with the first
// message: it has not got all flows, and that is said.
func TestCollectorGone(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.(*net.TCPConn).SetLinger(0)
			conn.Read(make([]byte, 16))
			conn.Close()
		}
	}()
	w, err := dialCollector("tcp://" + to)
	if err != nil {
		t.Fatal(err)
	}
	f := &flows.Flow{Proto: flows.ProtoTCP, Client: netip.MustParseAddrPort("10.0.0.1:50000"), Server: netip.MustParseAddrPort("10.0.0.2:443"), Facts: &dissect.Facts{}}
	for end := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(end); {
		err = w.Flow(f, nil)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "--ipfix tcp://"+to+": ") || (&output{}).finish(err) == nil {
		t.Errorf("the collector has gone, and the error is %v", err)
	}
	listener.Close()
	for _, place := range []string{to, "tcp://" + to} {
		want := "wirechart: --ipfix " + place + ": "
		if status, _, stderr := wirechart(t, "flows", "--ipfix", place, samples+"site.pcapng"); status != exitError || !strings.HasPrefix(stderr, want) || !strings.HasSuffix(stderr, "connection refused\n") {
			t.Errorf("%s: status %d, %s", place, status, stderr)
		}
	}
}
