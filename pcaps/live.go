package pcaps

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcap"
)

// What a live capture uses where LiveOptions says nothing.
const (
	liveSnapLen = 256 << 10
	liveWait    = 100 * time.Millisecond // how long Read waits for a first frame
	liveBatch   = 1 << 20                // bytes of one batch
)

// LiveOptions says how an interface is captured. The zero value captures whole
// frames, in promiscuous mode, with the kernel buffer that libpcap chooses.
type LiveOptions struct {
	SnapLen        int    // bytes of each frame; 0 means all
	Buffer         int    // bytes of the kernel's buffer; 0 means libpcap's choice
	Filter         string // BPF expression, run in the kernel; empty takes every frame
	NotPromiscuous bool   // see only what the interface would receive anyway
}

// OpenLive captures from a network interface. Read of the Source that it
// returns waits at most a tenth of a second for a frame and returns 0 and no
// error when there was none, so that its caller can look at the clock; Close
// may be called from another goroutine and makes Read return io.EOF.
func OpenLive(name string, o LiveOptions) (Source, error) {
	inactive, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer inactive.CleanUp()
	snap := o.SnapLen
	if snap <= 0 {
		snap = liveSnapLen
	}
	err = errors.Join(inactive.SetSnapLen(snap), inactive.SetPromisc(!o.NotPromiscuous), inactive.SetTimeout(liveWait))
	if err == nil && o.Buffer > 0 {
		err = inactive.SetBufferSize(o.Buffer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	h, err := inactive.Activate()
	if err != nil {
		return nil, liveError(name, err, inactive.Error())
	}
	if o.Filter != "" {
		if err := h.SetBPFFilter(o.Filter); err != nil {
			h.Close()
			return nil, fmt.Errorf("filter %q: %w", o.Filter, err)
		}
	}
	l := &live{handle: h, buf: make([]byte, max(liveBatch, snap))}
	link := LinkType(h.LinkType())
	l.stats = FileStats{Name: name, Format: "live", SnapLen: uint32(snap), Links: []LinkType{link}}
	return l, nil
}

// liveError says what to do about an interface that cannot be opened.
func liveError(name string, err error, detail error) error {
	text := err.Error()
	if detail != nil && detail.Error() != "" {
		text = detail.Error()
	}
	denied := strings.Contains(strings.ToLower(err.Error()+" "+text), "permi")
	if !denied {
		return fmt.Errorf("%s: %s", name, text)
	}
	path, pathErr := os.Executable()
	if pathErr != nil {
		path = "PATH"
	}
	return fmt.Errorf("%s: no permission to capture: run as root, or once: sudo setcap cap_net_raw=ep %s", name, path)
}

// live is an interface being captured through libpcap.
type live struct {
	handle *pcap.Handle
	mu     sync.Mutex  // held to close the handle, and to ask it for kernel
	kernel pcap.Stats  // what libpcap counted last
	closed atomic.Bool // changes under mu
	stats  FileStats
	buf    []byte // what the frames of a batch are copied to
}

// ZeroCopyReadPacketData implements gopacket.ZeroCopyPacketDataSource. It
// waits until there is a frame.
func (l *live) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	for {
		data, info, err := l.next()
		if err != pcap.NextErrorTimeoutExpired {
			return data, info, err
		}
	}
}

// next is the next frame, which is valid until libpcap is asked for another.
func (l *live) next() ([]byte, gopacket.CaptureInfo, error) {
	data, info, err := l.handle.ZeroCopyReadPacketData()
	if err != nil {
		if l.closed.Load() {
			err = io.EOF
		}
		return nil, info, err
	}
	st := &l.stats
	t := info.Timestamp.UnixNano()
	if st.Frames == 0 || t < st.First {
		st.First = t
	}
	if st.Frames == 0 || t > st.Last {
		st.Last = t
	}
	st.Frames++
	st.Bytes += uint64(info.Length)
	if info.Length > len(data) {
		st.Cut++
	}
	return data, info, nil
}

// Read implements Source. libpcap keeps one frame at a time, so those of a
// batch are copied; a batch of one is not.
func (l *live) Read(batch []Packet) (int, error) {
	used := 0
	n := 0
	for n < len(batch) && len(l.buf)-used >= int(l.stats.SnapLen) {
		data, info, err := l.next()
		if err == pcap.NextErrorTimeoutExpired || err != nil && n > 0 {
			break // an error comes again in the next call
		}
		if err != nil {
			return 0, err
		}
		if len(batch) > 1 {
			data = l.buf[used : used+copy(l.buf[used:], data)]
			used += len(data)
		}
		batch[n] = Packet{
			Frame:   MakeFrameID(0, l.stats.Frames),
			Time:    info.Timestamp.UnixNano(),
			Data:    data,
			WireLen: max(info.Length, len(data)),
			Link:    l.stats.Links[0],
		}
		n++
	}
	return n, nil
}

// count asks libpcap for its counters, with mu held.
func (l *live) count() {
	if k, err := l.handle.Stats(); err == nil {
		l.kernel = *k
	}
}

// Stats implements Source.
func (l *live) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Load() {
		l.count()
	}
	return Stats{
		Files:            []FileStats{l.stats},
		Received:         max(uint64(l.kernel.PacketsReceived), l.stats.Frames),
		Dropped:          uint64(l.kernel.PacketsDropped),
		InterfaceDropped: uint64(l.kernel.PacketsIfDropped),
	}
}

// Close implements Source.
func (l *live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Load() {
		l.count()
		l.closed.Store(true)
		l.handle.Close()
	}
	return nil
}
