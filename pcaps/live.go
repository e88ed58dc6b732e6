package pcaps

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// What a live capture uses where LiveOptions says nothing.
const (
	liveSnapLen = 256 << 10
	liveWait    = 100 * time.Millisecond // how long Read waits for a first frame
	liveBatch   = 1 << 20                // bytes of one batch
)

// LiveOptions says how an interface is captured. The zero value captures whole
// frames, in promiscuous mode, in the way and with the buffer that fit best.
type LiveOptions struct {
	SnapLen        int         // bytes of each frame; 0 means all
	Buffer         int         // bytes of the kernel's buffer; 0 means 32 MiB for the ring, and libpcap's choice for libpcap
	Filter         string      // BPF expression or bytecode, run in the kernel; empty takes every frame
	NotPromiscuous bool        // see only what the interface would receive anyway
	By             CaptureWith // what captures; the zero value chooses

	// TagsAside leaves VLAN tags that the kernel has taken off the frames in
	// Packet.Tag: to put one back is to write to memory that another processor has
	// just written, which takes longer than to read the frame. It is for those who
	// only read the frames.
	TagsAside bool
}

// CaptureWith is a way to capture from an interface.
type CaptureWith uint8

// The ways to capture.
const (
	CaptureAuto    CaptureWith = iota // the ring where there is one, else libpcap
	CaptureRing                       // memory shared with the Linux kernel (TPACKET_V3)
	CaptureLibpcap                    // libpcap, which is everywhere and copies each frame
)

var captureNames = [...]string{CaptureAuto: "auto", CaptureRing: "ring", CaptureLibpcap: "pcap"}

// String is the name by which ParseCapture knows it.
func (c CaptureWith) String() string { return captureNames[c] }

// ParseCapture is the way of a name: auto, ring or pcap.
func ParseCapture(name string) (CaptureWith, error) {
	for i, n := range captureNames {
		if n == name {
			return CaptureWith(i), nil
		}
	}
	return 0, fmt.Errorf("no way to capture is named %q: one of %s", name, strings.Join(captureNames[:], ", "))
}

// Captures names the ways to capture that this build has.
func Captures() []string {
	var names []string
	if haveRing {
		names = append(names, CaptureRing.String())
	}
	if haveLibpcap {
		names = append(names, CaptureLibpcap.String())
	}
	return names
}

// errNoRing says that the kernel has no ring that this program could use.
var errNoRing = errors.New("no TPACKET_V3 ring here")

// OpenLive captures from a network interface; "any" is all of them, and their
// frames then have a Linux cooked header. Read of the Source that it returns
// waits at most a tenth of a second for a frame and returns 0 and no error when
// there was none, so that its caller can look at the clock; Close may be called
// from another goroutine and makes Read return io.EOF. An interface that goes
// down, or goes away, is waited for.
func OpenLive(name string, o LiveOptions) (Source, error) {
	if o.SnapLen <= 0 || o.SnapLen > liveSnapLen {
		o.SnapLen = liveSnapLen
	}
	if o.By == CaptureLibpcap {
		return openLibpcap(name, o)
	}
	s, err := openRing(name, o)
	if errors.Is(err, errNoRing) && o.By == CaptureAuto && haveLibpcap {
		return openLibpcap(name, o)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, permissionError(name)
	}
	return s, err
}

// errPermission says that this user may not capture.
var errPermission = errors.New("no permission to capture")

// permissionError says what to do about an interface that may not be captured.
func permissionError(name string) error {
	return fmt.Errorf("%s: %w: %s", name, errPermission, HowToPermit())
}

// HowToPermit says what gives this program the right to capture.
func HowToPermit() string {
	path, err := os.Executable()
	if err != nil {
		path = "PATH"
	}
	return fmt.Sprintf("run as root, or once: sudo setcap cap_net_raw=ep %s, or in a systemd unit: AmbientCapabilities=CAP_NET_RAW", path)
}
