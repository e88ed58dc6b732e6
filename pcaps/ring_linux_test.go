package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// wire is a pair of interfaces in a network namespace that is the test's own:
// what is sent on one is received on the other, "v1".
type wire struct {
	t  *testing.T
	fd int
	to unix.SockaddrLinklayer
}

// newWire lays one. The test's goroutine stays on its thread, which is the one
// in the namespace, and both end with the test.
func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace takes root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("there is no ip to lay a wire with (iproute2)")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
	w := &wire{t: t}
	w.ip("link add v0 type veth peer name v1")
	for _, dev := range []string{"v0", "v1"} {
		// Nothing but the test speaks here.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+dev+"/disable_ipv6", []byte("1"), 0o644)
	}
	w.up()
	w.ip("link set lo up")
	var err error
	if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(w.fd) })
	w.find()
	return w
}

func (w *wire) find() {
	w.t.Helper()
	index, err := interfaceIndex(w.fd, "v0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.to = unix.SockaddrLinklayer{Ifindex: index}
}

func (w *wire) ip(args string) {
	w.t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// up brings both ends up, and waits for the kernel to have noticed that the wire
// carries: what is sent before is lost.
func (w *wire) up() {
	w.t.Helper()
	for _, dev := range []string{"v0", "v1"} {
		w.ip("link set " + dev + " up")
	}
	for _, dev := range []string{"v0", "v1"} {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			out, err := exec.Command("ip", "link", "show", dev).CombinedOutput()
			if err == nil && bytes.Contains(out, []byte("state UP")) {
				break
			}
			if time.Now().After(end) {
				w.t.Fatalf("%s does not come up: %v: %s", dev, err, out)
			}
		}
	}
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if err := unix.Sendto(w.fd, frame, 0, &w.to); err != nil {
		w.t.Fatal(err)
	}
}

// testFrame is an Ethernet frame with a type of no meaning that says its number.
func testFrame(number, size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
	binary.BigEndian.PutUint32(b[14:], uint32(number))
	return b
}

// read reads until n frames have come, or the time is over, and copies them.
func read(t *testing.T, s Source, n int, within time.Duration) []Packet {
	t.Helper()
	var all []Packet
	batch := make([]Packet, 64)
	for deadline := time.Now().Add(within); len(all) < n && time.Now().Before(deadline); {
		k, err := s.Read(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range batch[:k] {
			p.Data = bytes.Clone(p.Data)
			all = append(all, p)
		}
	}
	return all
}

func openTest(t *testing.T, name string, o LiveOptions) Source {
	t.Helper()
	s, err := OpenLive(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Every frame comes once, in order, as it was sent, across many blocks.
func TestRing(t *testing.T) {
	w := newWire(t)
	s := openTest(t, "v1", LiveOptions{By: CaptureRing})
	const frames = 4000 // of 1500 bytes: six blocks
	go func() {
		// A packet socket sends where it was opened, from any thread.
		for i := range frames {
			if err := unix.Sendto(w.fd, testFrame(i, 1500), 0, &w.to); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i, p := range read(t, s, frames, 20*time.Second) {
		if !bytes.Equal(p.Data, testFrame(i, 1500)) || p.WireLen != 1500 || p.Link != LinkEthernet || p.Frame != MakeFrameID(0, uint64(i+1)) {
			t.Fatalf("frame %d: %v, %d bytes of %d: % x ...", i, p.Frame, len(p.Data), p.WireLen, p.Data[:20])
		}
	}
	if st := s.Stats(); st.Files[0].Frames != frames || st.Received != frames || st.Dropped != 0 || st.Files[0].Bytes != frames*1500 || st.Files[0].Cut != 0 {
		t.Errorf("statistics %+v", st)
	}
}

// The kernel takes the outermost tag off; here it is where it was.
func TestRingVLAN(t *testing.T) {
	w := newWire(t)
	s := openTest(t, "v1", LiveOptions{By: CaptureRing})
	any := openTest(t, "any", LiveOptions{By: CaptureRing})
	aside := openTest(t, "v1", LiveOptions{By: CaptureRing, TagsAside: true})
	tag := func(tags ...byte) []byte {
		f := testFrame(7, 60)
		copy(f[12:], []byte{8, 0, 0x45}) // IPv4
		return append(append(append([]byte(nil), f[:12]...), tags...), f[12:]...)
	}
	sent := [][]byte{
		testFrame(7, 60),
		tag(0x81, 0, 0x20, 5),
		tag(0x88, 0xa8, 0, 9, 0x81, 0, 0, 5), // a customer's tag in a provider's
		tag(0x81, 0, 0x60, 0),                // priority alone
	}
	for _, f := range sent {
		w.send(f)
	}
	got := read(t, s, len(sent), 5*time.Second)
	if len(got) != len(sent) {
		t.Fatalf("%d frames", len(got))
	}
	for i, p := range got {
		if !bytes.Equal(p.Data, sent[i]) || p.WireLen != len(sent[i]) {
			t.Errorf("frame %d, %d bytes on the wire\n% x, sent\n% x", i, p.WireLen, p.Data[:26], sent[i][:26])
		}
	}
	bytesOf := 0
	for i, p := range read(t, aside, len(sent), 5*time.Second) {
		f := sent[i]
		bytesOf += len(f)
		tag := binary.BigEndian.Uint32(f[12:])
		if i == 0 {
			tag = 0
		} else {
			f = append(append([]byte(nil), f[:12]...), f[16:]...)
		}
		if !bytes.Equal(p.Data, f) || p.WireLen != len(f) || p.Tag != tag {
			t.Errorf("tag aside: frame %d, %d bytes on the wire, tag %#x\n% x, want %#x\n% x", i, p.WireLen, p.Tag, p.Data[:26], tag, f[:26])
		}
	}
	if st := aside.Stats(); st.Files[0].Frames != uint64(len(sent)) || st.Files[0].Bytes != uint64(bytesOf) {
		t.Errorf("tags aside: %+v, want %d frames of %d bytes", st.Files[0], len(sent), bytesOf)
	}
	// On any the same frames leave by v0, tagged as they were written, and come
	// in by v1, where the kernel has taken the tag off.
	for i, p := range read(t, any, 2*len(sent), 5*time.Second) {
		f := sent[i/2]
		if f[12] == 0x88 && f[13] == 0xa8 && p.Data[10] == unix.PACKET_OUTGOING {
			continue // sent by a packet socket: the kernel shows what is behind both tags
		}
		want := append([]byte{f[12], f[13], 0, 0}, p.Data[4:20]...)
		want = append(want, f[14:]...)
		if p.Link != LinkLinuxSLL2 || p.WireLen != len(p.Data) || !bytes.Equal(p.Data, want) {
			t.Errorf("any: frame %d, %s, type %d\n% x, want\n% x", i, p.Link, p.Data[10], p.Data, want)
		}
		if kind := p.Data[10]; binary.BigEndian.Uint16(p.Data[8:]) != unix.ARPHRD_ETHER || p.Data[11] != 6 || kind != unix.PACKET_OUTGOING && !bytes.Equal(p.Data[12:18], f[6:12]) {
			t.Errorf("any: cooked header % x", p.Data[:20])
		}
	}
}

// The snap length cuts, and says so; a filter that libpcap made for an
// interface sees the tag that the kernel has taken off.
func TestRingOptions(t *testing.T) {
	w := newWire(t)
	cut := openTest(t, "v1", LiveOptions{By: CaptureRing, SnapLen: 32, Buffer: 1})
	var tagged Source
	if haveLibpcap {
		tagged = openTest(t, "v1", LiveOptions{By: CaptureRing, Filter: "vlan 5"})
	}
	five := testFrame(1, 60)
	five = append(append(append([]byte(nil), five[:12]...), 0x81, 0, 0, 5), five[12:]...)
	w.send(testFrame(0, 60))
	w.send(five)
	got := read(t, cut, 2, 5*time.Second)
	if len(got) != 2 || len(got[0].Data) != 32 || got[0].WireLen != 60 || len(got[1].Data) != 32 || got[1].WireLen != 64 || !bytes.Equal(got[1].Data, five[:32]) {
		t.Errorf("%d frames: %+v", len(got), got)
	}
	if st := cut.Stats(); st.Files[0].Cut != 2 || st.Files[0].SnapLen != 32 {
		t.Errorf("statistics %+v", st)
	}
	if tagged != nil {
		if got := read(t, tagged, 2, 500*time.Millisecond); len(got) != 1 || !bytes.Equal(got[0].Data, five) {
			t.Errorf("vlan 5: %d frames", len(got))
		}
	}
	for _, name := range []string{"none0", "a-name-that-is-too-long"} {
		if _, err := OpenLive(name, LiveOptions{By: CaptureRing}); err == nil || !errors.Is(err, errNoInterface) || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenLive("v1", LiveOptions{By: CaptureRing, Filter: "2,6 0 0"}); err == nil || !strings.HasPrefix(err.Error(), `filter "2,6 0 0": bytecode`) {
		t.Errorf("error %v", err)
	}
	w.ip("link set v1 down")
	if _, err := OpenLive("v1", LiveOptions{By: CaptureRing}); err == nil || err.Error() != "v1: the interface is down" {
		t.Errorf("of an interface that is down: %v", err)
	}
}

// What the kernel could not keep is counted: sent is seen and dropped.
func TestRingDrops(t *testing.T) {
	w := newWire(t)
	s := openTest(t, "v1", LiveOptions{By: CaptureRing, Buffer: 1}) // two blocks, and nobody reads
	const frames = 4000
	for i := range frames {
		w.send(testFrame(i, 1500))
	}
	// Two blocks of frames came through, and then those that came after some
	// had been read, of which there are none.
	seen := len(read(t, s, frames, time.Second))
	if st := s.Stats(); st.Dropped == 0 || uint64(seen)+st.Dropped != frames || st.Received != frames {
		t.Errorf("%d seen, statistics %+v", seen, st)
	}
}

// An interface that goes down is waited for, and so is one that goes away and
// comes again under its name.
func TestRingDown(t *testing.T) {
	w := newWire(t)
	for _, by := range []CaptureWith{CaptureRing, CaptureLibpcap} {
		if by == CaptureLibpcap && !haveLibpcap {
			continue
		}
		t.Run(by.String(), func(t *testing.T) {
			// A subtest has a goroutine and so a thread of its own.
			w := newWire(t)
			s := openTest(t, "v1", LiveOptions{By: by})
			expect := func(what string, number int) {
				t.Helper()
				w.send(testFrame(number, 60))
				if got := read(t, s, 1, 5*time.Second); len(got) != 1 || !bytes.Equal(got[0].Data, testFrame(number, 60)) {
					t.Fatalf("%s: %d frames", what, len(got))
				}
			}
			quiet := func() {
				t.Helper()
				if got := read(t, s, 1, 300*time.Millisecond); len(got) != 0 {
					t.Fatalf("%d frames while it is down", len(got))
				}
			}
			expect("before", 1)
			w.ip("link set v1 down")
			quiet()
			w.up()
			expect("up again", 2)
			if by == CaptureLibpcap {
				return
			}
			w.ip("link del v1")
			quiet()
			w.ip("link add v0 type veth peer name v1")
			for _, dev := range []string{"v0", "v1"} {
				_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+dev+"/disable_ipv6", []byte("1"), 0o644)
			}
			w.up()
			w.find()
			quiet()
			expect("there again", 3)
			if st := s.Stats(); st.Files[0].Outages != 2 || st.Files[0].Frames != 3 || st.Dropped != 0 {
				t.Errorf("statistics %+v", st)
			}
		})
	}
	_ = w
}

// A program for cooked frames becomes one for what the kernel has of them.
func TestShiftSLL2(t *testing.T) {
	raw, err := bytecode("6,40 0 0 0,21 0 3 2048,48 0 0 29,21 0 1 6,6 0 0 262144,6 0 0 0") // ip proto \tcp
	if err != nil {
		t.Fatal(err)
	}
	if err := shiftSLL2(raw); err != nil {
		t.Fatal(err)
	}
	want := []bpf.RawInstruction{{Op: 40, K: skfProtocol}, {Op: 21, Jf: 3, K: 2048}, {Op: 48, K: 9}, {Op: 21, Jf: 1, K: 6}, {Op: 6, K: 262144}, {Op: 6}}
	if fmt.Sprint(raw) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", raw, want)
	}
	for _, code := range []string{"2,48 0 0 12,6 0 0 0", "2,177 0 0 14,6 0 0 0"} { // the address; a header that begins in it
		raw, err := bytecode(code)
		if err != nil {
			t.Fatal(err)
		}
		if shiftSLL2(raw) == nil {
			t.Errorf("%s: no error", code)
		}
	}
}

// BenchmarkRing is what a frame costs the reader of the ring, without the
// kernel's part, for frames of 600 bytes.
func BenchmarkRing(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("a network namespace takes root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Skip(err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		b.Skipf("%v: %s", err, out)
	}
	s, err := OpenLive("lo", LiveOptions{By: CaptureRing})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	batch := make([]Packet, 128)
	frame := testFrame(0, 600)
	const round = 10000
	for done := 0; done < b.N; done += round {
		b.StopTimer()
		for range round {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: 1}); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(2 * ringTimeout * time.Millisecond)
		b.StartTimer()
		for seen := 0; seen < round; {
			n, err := s.Read(batch)
			if err == io.EOF || n == 0 {
				b.Fatal("frames are missing")
			}
			seen += n
		}
	}
}
