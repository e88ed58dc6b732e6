package pcaps

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// eachCapture runs a test for every way to capture that this build has.
func eachCapture(t *testing.T, test func(t *testing.T, by CaptureWith)) {
	for _, name := range Captures() {
		by, err := ParseCapture(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { test(t, by) })
	}
}

// loopback opens the loopback interface, or skips the test.
func loopback(t *testing.T, o LiveOptions) Source {
	t.Helper()
	if _, err := net.InterfaceByName("lo"); err != nil {
		t.Skip("there is no interface named lo")
	}
	s, err := OpenLive("lo", o)
	if err != nil && os.Geteuid() != 0 {
		t.Skipf("live capture takes root or cap_net_raw: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// udpTo is the filter "udp dst port PORT" for IPv4 over Ethernet, in bytecode:
// builds without libpcap have no compiler.
func udpTo(port int) string {
	return fmt.Sprintf("11\n40 0 0 12\n21 0 7 2048\n48 0 0 23\n21 0 5 17\n40 0 0 20\n69 3 0 8191\n177 0 0 14\n72 0 0 16\n21 1 0 %d\n6 0 0 0\n6 0 0 262144\n", port)
}

func TestLive(t *testing.T) { eachCapture(t, testLive) }

func testLive(t *testing.T, by CaptureWith) {
	listener, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.LocalAddr().(*net.UDPAddr).Port
	s := loopback(t, LiveOptions{By: by, Filter: udpTo(port)})
	defer s.Close()
	const frames = 20
	for range frames {
		if _, err := listener.WriteTo([]byte("wirechart"), listener.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	batch := make([]Packet, 8)
	seen := uint64(0)
	for deadline := time.Now().Add(30 * time.Second); seen < frames && time.Now().Before(deadline); {
		n, err := s.Read(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range batch[:n] {
			seen++
			if p.Frame != MakeFrameID(0, seen) || p.Link != LinkEthernet || p.WireLen != len(p.Data) ||
				!strings.HasSuffix(string(p.Data), "wirechart") || time.Since(time.Unix(0, p.Time)).Abs() > time.Minute {
				t.Errorf("frame %+v (port %d)", p, port)
			}
		}
	}
	st := s.Stats()
	if seen != frames || st.Files[0].Frames != frames || st.Received < frames || st.Files[0].Format != "live" || st.Files[0].Name != "lo" {
		t.Errorf("%d frames, statistics %+v", seen, st)
	}

	// With nothing to read, Read comes back for the caller to look at the clock.
	if n, err := s.Read(batch); n != 0 || err != nil {
		t.Errorf("Read of a silent interface: %d, %v", n, err)
	}
	if _, err := listener.WriteTo([]byte("wirechart"), listener.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	data, info, err := s.ZeroCopyReadPacketData()
	if err != nil || !strings.HasSuffix(string(data), "wirechart") || info.CaptureLength != len(data) {
		t.Errorf("ZeroCopyReadPacketData: % x, %+v, %v", data, info, err)
	}
}

// Close from another goroutine ends a Read that waits.
func TestLiveClose(t *testing.T) { eachCapture(t, testLiveClose) }

func testLiveClose(t *testing.T, by CaptureWith) {
	s := loopback(t, LiveOptions{By: by, Filter: "1,6 0 0 0"})
	done := make(chan error)
	go func() {
		_, _, err := s.ZeroCopyReadPacketData()
		done <- err
	}()
	time.Sleep(50 * time.Millisecond)
	s.Close()
	select {
	case err := <-done:
		if err != io.EOF {
			t.Errorf("error %v, want EOF", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("still waiting")
	}
	if n, err := s.Read(make([]Packet, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read after Close: %d, %v", n, err)
	}
	s.Close()
	s.Stats()
}

// What the kernel dropped can still be asked when the capture is closed.
func TestLiveStatsAfterClose(t *testing.T) { eachCapture(t, testLiveStatsAfterClose) }

func testLiveStatsAfterClose(t *testing.T, by CaptureWith) {
	listener, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.LocalAddr().(*net.UDPAddr).Port
	s := loopback(t, LiveOptions{By: by, Filter: udpTo(port)})
	if _, err := listener.WriteTo([]byte("wirechart"), listener.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.ZeroCopyReadPacketData(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if st := s.Stats(); st.Received == 0 || st.Files[0].Frames != 1 {
		t.Errorf("statistics %+v", st)
	}
}

func TestLiveErrors(t *testing.T) {
	if _, err := OpenLive("none0", LiveOptions{}); err == nil || !strings.HasPrefix(err.Error(), "none0: ") {
		t.Errorf("error %v", err)
	}
	err := permissionError("eth0")
	if !strings.Contains(err.Error(), "sudo setcap cap_net_raw=ep /") || !strings.Contains(err.Error(), "AmbientCapabilities=CAP_NET_RAW") {
		t.Errorf("error %v does not say what to run", err)
	}
	if s := loopback(t, LiveOptions{}); s != nil {
		s.Close()
		if _, err := OpenLive("lo", LiveOptions{Filter: "tcp prot"}); err == nil || !strings.HasPrefix(err.Error(), `filter "tcp prot": `) {
			t.Errorf("error %v", err)
		}
	}
}
