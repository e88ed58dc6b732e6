//go:build cgo

package pcaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcap"
	"golang.org/x/net/bpf"
)

// haveLibpcap says that this build has libpcap.
const haveLibpcap = true

// compileExpression has libpcap compile an expression for a link type.
// gopacket's own way there takes link types below 256 only, and as DLT numbers;
// a capture file without frames says both to libpcap in its own words.
func compileExpression(expr string, link LinkType) ([]bpf.RawInstruction, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	header := make([]byte, classicHeader)
	binary.NativeEndian.PutUint32(header, magicMicro)
	binary.NativeEndian.PutUint16(header[4:], 2)
	binary.NativeEndian.PutUint16(header[6:], 4)
	binary.NativeEndian.PutUint32(header[16:], maxCaptured)
	binary.NativeEndian.PutUint32(header[20:], uint32(link))
	_, err = out.Write(header)
	out.Close()
	if err != nil {
		return nil, err
	}
	h, err := pcap.OpenOffline(fmt.Sprintf("/dev/fd/%d", in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("link type %s: %w", link, err)
	}
	defer h.Close()
	return compileFor(h, expr)
}

// compileForInterface has libpcap compile an expression for the kernel and an
// interface. Linux keeps the outermost VLAN tag beside the frame, and only for
// a handle that captures does libpcap look for it there.
func compileForInterface(name, expr string, link LinkType) ([]bpf.RawInstruction, error) {
	if link != LinkEthernet {
		return compileExpression(expr, link)
	}
	h, err := pcap.OpenLive(name, maxCaptured, false, liveWait)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return compileFor(h, expr)
}

func compileFor(h *pcap.Handle, expr string) ([]bpf.RawInstruction, error) {
	compiled, err := h.CompileBPFFilter(expr)
	if err != nil {
		return nil, err
	}
	raw := make([]bpf.RawInstruction, len(compiled))
	for i, c := range compiled {
		raw[i] = bpf.RawInstruction{Op: c.Code, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	return raw, nil
}

// openLibpcap captures from an interface through libpcap.
func openLibpcap(name string, o LiveOptions) (Source, error) {
	inactive, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer inactive.CleanUp()
	err = errors.Join(inactive.SetSnapLen(o.SnapLen), inactive.SetPromisc(!o.NotPromiscuous), inactive.SetTimeout(liveWait))
	if err == nil && o.Buffer > 0 {
		err = inactive.SetBufferSize(o.Buffer)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	h, err := inactive.Activate()
	if err != nil {
		text := err.Error()
		if detail := inactive.Error(); detail != nil && detail.Error() != "" {
			text = detail.Error()
		}
		if strings.Contains(strings.ToLower(err.Error()+" "+text), "permi") {
			return nil, permissionError(name)
		}
		return nil, fmt.Errorf("%s: %s", name, text)
	}
	if o.Filter != "" {
		raw, err := bytecode(o.Filter)
		if err == nil && raw != nil {
			var ins []pcap.BPFInstruction
			for _, r := range raw {
				ins = append(ins, pcap.BPFInstruction{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
			}
			err = h.SetBPFInstructionFilter(ins)
		} else if err == nil {
			err = h.SetBPFFilter(o.Filter)
		}
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("filter %q: %w", o.Filter, err)
		}
	}
	l := &live{handle: h, buf: make([]byte, max(liveBatch, o.SnapLen))}
	link := LinkType(h.LinkType())
	l.stats = FileStats{Name: name, Format: "live", With: CaptureLibpcap.String(), SnapLen: uint32(o.SnapLen), Links: []LinkType{link}}
	return l, nil
}

// live is an interface being captured through libpcap.
type live struct {
	handle *pcap.Handle
	mu     sync.Mutex  // held to close the handle, to ask it for kernel, and to count
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
	l.mu.Lock()
	defer l.mu.Unlock()
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
