package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/google/gopacket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The ring is memory that the kernel and this program share (packet(7),
// Documentation/networking/packet_mmap.rst of Linux, TPACKET_V3). It is made of
// blocks; the kernel fills one with frames and gives it away when it is full or
// ringTimeout has passed, and has it back when status is 0 again:
//
//	version (4)  offset of private data (4)  status (4)  frames (4)
//	offset of the first frame (4)  length (4)  sequence (8)  times (16)
//
// Each frame is
//
//	struct tpacket3_hdr (48)  struct sockaddr_ll (20)  room  the frame
//
// Frames are handed out where they lie, and a block goes back when the Read
// after its last frame is asked for. So a frame costs the reader no copy and no
// call into the kernel; a block costs one poll at most.
const (
	ringBlock   = 1 << 20  // bytes of a block: the largest frame fits
	ringBuffer  = 32 << 20 // bytes of all blocks, where nothing is said
	ringBlocks  = 2        // fewer and the kernel drops while one is read
	ringTimeout = 20       // milliseconds after which a block that is not full is given away

	// While frames come, Read sleeps until some blocks have been given away, the
	// longer the more there is room for: at 10 Gbit/s, four fifths of the buffer are
	// filled in one nap.
	ringNapBlock  = 625 * time.Microsecond // for each block of the ring
	ringNap       = 40 * time.Millisecond  // at most
	ringNapBlocks = 24                     // fewer and it is not worth while
	ringNaps      = 3                      // without a block, before it waits for one

	// What the kernel wrote on another processor is fetched in one run through the
	// block, so far ahead of the frame at hand, and again when so much is left. Of
	// larger frames, on average, only the headers are worth it.
	ringAhead      = 96 << 10
	ringAheadLeast = 32 << 10
	ringAheadFrame = 2 << 10
	cacheLine      = 64

	ringStatus = 8  // offset in a block
	ringFrames = 12 // offset in a block
	ringFirst  = 16 // offset in a block
	ringLength = 20 // offset in a block

	sizeofVLAN = 4
	sizeofSLL2 = 20
	macsLen    = 12 // the addresses before a VLAN tag
)

// haveRing says that this build captures without libpcap.
const haveRing = true

// anyInterface is the name that stands for all interfaces.
const anyInterface = "any"

// ring is an interface being captured through memory shared with the kernel.
type ring struct {
	name   string
	link   LinkType
	cooked bool // frames begin at the network header, and get an SLL2 header here
	snap   int
	promis bool
	aside  bool // tags stay out of the frames

	shared *ringMemory
	block  int    // the block that is read, or waited for
	at     uint32 // offset of the next frame in mem
	left   uint32 // frames of the block not yet handed out
	holds  bool   // the block is this program's
	naps   int    // that may be taken before waiting
	ahead  uint32 // offset up to which the block was fetched
	end    uint32 // offset up to which it is to be
	touch  byte   // what fetch read, so that it does read

	index int // of the interface; 0 for any
	down  bool

	mu      sync.Mutex  // held to close, to ask the kernel for its counts, and to count
	closed  atomic.Bool // changes under mu
	total   Stats       // kernel counts so far
	dropped ifDropped   // what the interface dropped
	stats   FileStats
}

// ringMemory is what has to be given back to the system once.
type ringMemory struct {
	fd, wake int // the packet socket; an eventfd that ends a poll
	mem      []byte
	once     sync.Once
}

func (m *ringMemory) free() {
	m.once.Do(func() {
		if m.mem != nil {
			_ = unix.Munmap(m.mem)
		}
		_ = unix.Close(m.fd)
		if m.wake >= 0 {
			_ = unix.Close(m.wake)
		}
	})
}

// openRing captures from an interface through a ring. The error is errNoRing
// where the kernel has none.
func openRing(name string, o LiveOptions) (Source, error) {
	s, err := newRing(name, o)
	if err != nil && !errors.As(err, new(*filterError)) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return nil, err // not a nil *ring in a Source
	}
	return s, nil
}

// filterError is one that the filter is to blame for.
type filterError struct {
	filter string
	err    error
}

func (e *filterError) Error() string { return fmt.Sprintf("filter %q: %v", e.filter, e.err) }
func (e *filterError) Unwrap() error { return e.err }

func newRing(name string, o LiveOptions) (r *ring, err error) {
	// Protocol 0: nothing is received before all is set up.
	probe, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if err == unix.EAFNOSUPPORT {
			return nil, errNoRing
		}
		return nil, err
	}
	r = &ring{name: name, link: LinkLinuxSLL2, cooked: true, snap: o.SnapLen, promis: !o.NotPromiscuous, aside: o.TagsAside}
	shared := &ringMemory{fd: probe, wake: -1}
	r.shared = shared
	defer func() {
		if err != nil {
			shared.free()
		}
	}()
	if name != anyInterface {
		if r.index, err = interfaceIndex(probe, name); err != nil {
			return nil, err
		}
		if r.link, err = interfaceLink(probe, name); err != nil {
			return nil, err
		}
		r.cooked = r.link == LinkLinuxSLL2
	}
	if r.cooked {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		_ = unix.Close(probe)
		r.shared.fd = fd
	}
	if err := r.setUp(o.Buffer); err != nil {
		return nil, err
	}
	if r.shared.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	program, err := r.program(o.Filter)
	if err != nil {
		return nil, &filterError{filter: o.Filter, err: err}
	}
	if err := r.attach(program); err != nil {
		return nil, &filterError{filter: o.Filter, err: err}
	}
	r.dropped.open(name)
	if err := r.bind(); err != nil {
		return nil, err
	}
	r.stats = FileStats{Name: name, Format: "live", With: CaptureRing.String(), SnapLen: uint32(o.SnapLen), Links: []LinkType{r.link}}
	// Close leaves the memory to the reader, which may be looking at it, and
	// which may not come back.
	runtime.AddCleanup(r, (*ringMemory).free, r.shared)
	return r, nil
}

var errNoInterface = errors.New("no such interface; wirechart interfaces lists those there are")

// interfaceIndex asks for the number of an interface, by way of a socket that
// is open anyway.
func interfaceIndex(fd int, name string) (int, error) {
	q, err := unix.NewIfreq(name)
	if err != nil {
		return 0, errNoInterface
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, q); err == unix.ENODEV {
		return 0, errNoInterface
	} else if err != nil {
		return 0, err
	}
	return int(q.Uint32()), nil
}

// interfaceLink asks what the frames of an interface begin with, and is
// LinkLinuxSLL2 where it is best not to know.
func interfaceLink(fd int, name string) (LinkType, error) {
	q, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, q); err != nil {
		return 0, err
	}
	switch q.Uint16() { // the family of the address is the kind of hardware
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return LinkEthernet, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_SIT: // tun, WireGuard, mobile modems
		return LinkRaw, nil
	case unix.ARPHRD_IEEE80211:
		return LinkIEEE80211, nil
	case unix.ARPHRD_IEEE80211_PRISM:
		return LinkPrism, nil
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return LinkRadiotap, nil
	}
	return LinkLinuxSLL2, nil
}

// setUp makes the ring and maps it.
func (r *ring) setUp(buffer int) error {
	fd := r.shared.fd
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return errNoRing
	}
	// Room before each frame, for the VLAN tag and the cooked header.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_RESERVE, sizeofSLL2+sizeofVLAN); err != nil {
		return errNoRing
	}
	if buffer <= 0 {
		buffer = ringBuffer
	}
	const frame = 2048 // of no meaning in this version, but checked
	for blocks := max(ringBlocks, (buffer+ringBlock-1)/ringBlock); ; blocks /= 2 {
		err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
			Block_size: ringBlock, Block_nr: uint32(blocks),
			Frame_size: frame, Frame_nr: uint32(ringBlock / frame * blocks),
			Retire_blk_tov: ringTimeout,
		})
		if err == unix.ENOMEM && blocks/2 >= ringBlocks {
			continue
		}
		if err == unix.EINVAL {
			return errNoRing
		}
		if err != nil {
			return fmt.Errorf("a buffer of %d MiB: %w", blocks*ringBlock>>20, err)
		}
		r.shared.mem, err = unix.Mmap(fd, 0, blocks*ringBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	}
}

// The kernel's own values, which programs load as if they were bytes of the
// frame (linux/filter.h).
const (
	skfAdOff      = 0xfffff000
	skfProtocol   = skfAdOff + 0
	skfPacketType = skfAdOff + 4
	skfInterface  = skfAdOff + 8
	skfHardware   = skfAdOff + 28

	opReturnK   = 0x06 // BPF_RET | BPF_K
	classMask   = 0x07
	modeMask    = 0xe0
	classLoad   = 0x00
	classLoadX  = 0x01
	modeAbs     = 0x20
	modeInd     = 0x40
	modeHeader  = 0xa0 // BPF_MSH
	sll2IfIndex = 4
	sll2HaType  = 8
	sll2Type    = 10
)

// program is what the kernel is to run for each frame: first it loses one of
// the two times that it shows a frame of the loopback interface, then come the
// user's filter and the snap length.
func (r *ring) program(filter string) ([]bpf.RawInstruction, error) {
	var raw []bpf.RawInstruction
	if filter != "" {
		var err error
		if raw, err = bytecode(filter); err == nil && raw == nil {
			raw, err = compileForInterface(r.name, filter, r.link)
		}
		if err != nil {
			return nil, err
		}
	} else {
		raw = []bpf.RawInstruction{{Op: opReturnK, K: uint32(r.snap)}}
	}
	if r.cooked {
		if err := shiftSLL2(raw); err != nil {
			return nil, err
		}
	}
	for i := range raw {
		if raw[i].Op == opReturnK && raw[i].K != 0 {
			raw[i].K = uint32(r.snap)
		}
	}
	prefix, err := r.loopbackOnce()
	return append(prefix, raw...), err
}

// loopbackOnce refuses frames that leave by the loopback interface: they are
// shown again as they come in.
func (r *ring) loopbackOnce() ([]bpf.RawInstruction, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 || r.index != 0 && r.index != i.Index {
			continue
		}
		return bpf.Assemble([]bpf.Instruction{
			bpf.LoadAbsolute{Off: skfInterface, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(i.Index), SkipTrue: 3},
			bpf.LoadAbsolute{Off: skfPacketType, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		})
	}
	return nil, nil
}

// shiftSLL2 turns a program for frames with an SLL2 header into one for what
// the kernel has of them, where the frame begins behind it and the header's
// members are values of the kernel's own.
func shiftSLL2(raw []bpf.RawInstruction) error {
	for i := range raw {
		p := &raw[i]
		class, mode := p.Op&classMask, p.Op&modeMask
		if class != classLoad && class != classLoadX || mode != modeAbs && mode != modeInd && mode != modeHeader || p.K >= skfAdOff {
			continue
		}
		switch {
		case p.K >= sizeofSLL2:
			p.K -= sizeofSLL2
		case mode != modeAbs:
			return errors.New("the program looks into the cooked header in a way that the kernel cannot")
		case p.K == 0:
			p.K = skfProtocol
		case p.K == sll2IfIndex:
			p.K = skfInterface
		case p.K == sll2HaType:
			p.K = skfHardware
		case p.K == sll2Type:
			p.K = skfPacketType
		default:
			return fmt.Errorf("the program looks at byte %d of the cooked header, which the kernel does not tell", p.K)
		}
	}
	return nil
}

// attach gives a program to the kernel.
func (r *ring) attach(raw []bpf.RawInstruction) error {
	if len(raw) > maxInstructions {
		return fmt.Errorf("%d instructions, and the kernel takes %d", len(raw), maxInstructions)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(r.shared.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
}

// bind begins to receive, from the interface whose index is r.index.
func (r *ring) bind() error {
	all := uint16(unix.ETH_P_ALL)
	err := unix.Bind(r.shared.fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: r.index})
	if err == nil {
		// An interface that is down binds, and says so here once.
		var pending int
		pending, err = unix.GetsockoptInt(r.shared.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && pending != 0 {
			err = unix.Errno(pending)
		}
	}
	if err == unix.ENETDOWN {
		return errors.New("the interface is down")
	}
	if err == nil && r.promis && r.index != 0 {
		err = unix.SetsockoptPacketMreq(r.shared.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(r.index), Type: unix.PACKET_MR_PROMISC})
	}
	return err
}

// base is where the block being read begins.
func (r *ring) base() int { return r.block * ringBlock }

// status is the word by which kernel and program hand a block to each other.
func (r *ring) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.shared.mem[r.base()+ringStatus]))
}

// Read implements Source: what is left of the block, up to the batch.
func (r *ring) Read(batch []Packet) (int, error) {
	if r.closed.Load() {
		r.shared.free()
		return 0, io.EOF
	}
	if r.holds && r.left == 0 {
		atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
		r.holds = false
		r.block = (r.block + 1) % (len(r.shared.mem) / ringBlock)
	}
	if !r.holds && !r.take() {
		if err := r.wait(); err != nil {
			return 0, err
		}
		if !r.take() {
			return 0, nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ahead < r.end && r.ahead < r.at+ringAheadLeast {
		r.fetch()
	}
	n := 0
	for n < len(batch) && r.left > 0 {
		r.frame(&batch[n])
		n++
	}
	return n, nil
}

// take begins with the block, if the kernel has given it away.
func (r *ring) take() bool {
	if atomic.LoadUint32(r.status())&unix.TP_STATUS_USER == 0 {
		return false
	}
	block := r.shared.mem[r.base():]
	r.left = binary.NativeEndian.Uint32(block[ringFrames:])
	r.at = uint32(r.base()) + binary.NativeEndian.Uint32(block[ringFirst:])
	r.ahead, r.end = r.at, r.at
	if length := binary.NativeEndian.Uint32(block[ringLength:]); length/ringAheadFrame < r.left {
		r.end = uint32(r.base()) + min(length, ringBlock)
	}
	r.holds, r.naps = true, ringNaps
	r.down = false
	return true
}

// fetch brings what comes next of the block into the cache, a byte of each line: to
// wait for one line after the other, as the frames are come to, takes longer than
// to read all of them in their order.
func (r *ring) fetch() {
	from, to := max(r.at, r.ahead), min(r.at+ringAhead, r.end)
	r.ahead = to
	if from >= to {
		return
	}
	lines := r.shared.mem[from:to]
	sum := byte(0)
	for at := 0; at < len(lines); at += cacheLine {
		sum += lines[at]
	}
	r.touch = sum
}

// frame hands out the next frame of the block.
func (r *ring) frame(p *Packet) {
	mem := r.shared.mem
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&mem[r.at]))
	captured := r.at + uint32(h.Mac) // where the kernel put the frame
	begin, end := captured, captured+h.Snaplen
	tagged := h.Status&unix.TP_STATUS_VLAN_VALID != 0
	tag := uint32(0) // that stays aside
	switch {
	case r.cooked:
		begin = r.cook(h, begin, end)
	case !tagged || r.link != LinkEthernet:
	case r.aside:
		tag = uint32(tagProtocol(h))<<16 | uint32(uint16(h.Hv1.Vlan_tci))
	case h.Snaplen >= macsLen:
		copy(mem[begin-sizeofVLAN:], mem[begin:begin+macsLen])
		begin -= sizeofVLAN
		binary.BigEndian.PutUint16(mem[begin+macsLen:], tagProtocol(h))
		binary.BigEndian.PutUint16(mem[begin+macsLen+2:], uint16(h.Hv1.Vlan_tci))
	}
	wire := int(h.Len) + int(captured-begin)
	if int(end-begin) > r.snap {
		end = begin + uint32(r.snap)
	}
	st := &r.stats
	t := int64(h.Sec)*int64(time.Second) + int64(h.Nsec)
	if st.Frames == 0 || t < st.First {
		st.First = t
	}
	if st.Frames == 0 || t > st.Last {
		st.Last = t
	}
	st.Frames++
	st.Bytes += uint64(wire)
	if tag != 0 {
		st.Bytes += sizeofVLAN
	}
	if wire > int(end-begin) {
		st.Cut++
	}
	*p = Packet{
		Frame:   MakeFrameID(0, st.Frames),
		Time:    t,
		Data:    mem[begin:end:end],
		WireLen: max(wire, int(end-begin)),
		Link:    r.link,
		Tag:     tag,
	}
	r.at += h.Next_offset
	r.left--
}

// tagProtocol is the protocol (TPID) of the tag that the kernel took off.
func tagProtocol(h *unix.Tpacket3Hdr) uint16 {
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		return h.Hv1.Vlan_tpid
	}
	return unix.ETH_P_8021Q
}

// cook writes the cooked header, and the tag that the kernel took off, before the
// network header at begin, and is where the frame then begins (LINKTYPE_LINUX_SLL2,
// big endian):
//
//	protocol (2)  reserved (2)  interface (4)  hardware (2)  type (1)
//	address length (1)  address (8)
//
// The address is read before anything is written: it lies in the room that may be
// written to.
func (r *ring) cook(h *unix.Tpacket3Hdr, begin, end uint32) uint32 {
	mem := r.shared.mem
	from := r.at + unix.SizeofTpacket3Hdr
	a := *(*unix.RawSockaddrLinklayer)(unsafe.Pointer(&mem[from]))
	protocol := binary.BigEndian.Uint16(mem[from+2:]) // told in network order
	first := protocol
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		inner := protocol
		if hidesTag(protocol, mem[begin:end]) {
			inner = unix.ETH_P_8021Q
		}
		begin -= sizeofVLAN
		binary.BigEndian.PutUint16(mem[begin:], uint16(h.Hv1.Vlan_tci))
		binary.BigEndian.PutUint16(mem[begin+2:], inner)
		first = tagProtocol(h)
	}
	begin -= sizeofSLL2
	head := mem[begin : begin+sizeofSLL2]
	binary.BigEndian.PutUint16(head, first)
	binary.BigEndian.PutUint16(head[2:], 0)
	binary.BigEndian.PutUint32(head[4:], uint32(a.Ifindex))
	binary.BigEndian.PutUint16(head[8:], a.Hatype)
	head[10], head[11] = a.Pkttype, a.Halen
	copy(head[12:], a.Addr[:])
	return begin
}

// hidesTag says whether a frame without its link header begins with what is
// left of a VLAN tag behind the one that the kernel has taken off: from Linux
// 6.10 on the protocol told is that of the packet behind all tags, though the
// second tag is still there.
func hidesTag(protocol uint16, b []byte) bool {
	version := byte(4)
	if protocol == unix.ETH_P_IPV6 {
		version = 6
	} else if protocol != unix.ETH_P_IP {
		return false
	}
	return len(b) > 4 && b[0]>>4 != version && binary.BigEndian.Uint16(b[2:]) == protocol && b[4]>>4 == version
}

// wait waits for the kernel to give the block away, for liveWait at most. It
// is an error only if there is nothing more to wait for.
//
// As long as frames come, it sleeps instead of asking: behind each call into the
// kernel that waits, the monitor of the Go runtime looks around sixty times, and
// that would be a quarter of the time that a capture takes.
func (r *ring) wait() error {
	if blocks := len(r.shared.mem) / ringBlock; r.naps > 0 && blocks >= ringNapBlocks {
		r.naps--
		time.Sleep(min(time.Duration(blocks)*ringNapBlock, ringNap))
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(r.shared.wake), Events: unix.POLLIN}, {Fd: int32(r.shared.fd), Events: unix.POLLIN}}
	if r.down {
		if back, err := r.back(); err != nil {
			return err
		} else if !back {
			fds = fds[:1] // only for Close: an interface that is gone has nothing to poll for
		}
	}
	n, err := unix.Poll(fds, int(liveWait/time.Millisecond))
	switch {
	case err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("%s: poll: %w", r.name, err)
	case n == 0 || r.closed.Load(): // Read says so the next time
		return nil
	case len(fds) < 2 || fds[1].Revents&^unix.POLLIN == 0:
		return nil
	}
	pending, err := unix.GetsockoptInt(r.shared.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	switch unix.Errno(pending) {
	case 0:
	case unix.ENETDOWN:
		r.down = true
		r.mu.Lock()
		r.stats.Outages++
		r.mu.Unlock()
	default:
		return fmt.Errorf("%s: %w", r.name, unix.Errno(pending))
	}
	return nil
}

// back says whether an interface that went down or away is there. One that
// went down comes back by itself; one that went away and came again, as tunnels
// do, has another index and has to be bound again, which takes no privilege.
func (r *ring) back() (bool, error) {
	index, err := interfaceIndex(r.shared.fd, r.name)
	if err != nil {
		return false, nil
	}
	q, err := unix.NewIfreq(r.name)
	if err != nil {
		return false, nil
	}
	if err := unix.IoctlIfreq(r.shared.fd, unix.SIOCGIFFLAGS, q); err != nil || q.Uint16()&unix.IFF_UP == 0 {
		return false, nil
	}
	if index != r.index {
		if link, err := interfaceLink(r.shared.fd, r.name); err != nil {
			return false, nil
		} else if link != r.link {
			return false, fmt.Errorf("%s: came back with other frames: %s, and was %s", r.name, link, r.link)
		}
		before := r.index
		r.index = index
		if err := r.bind(); err != nil {
			r.index = before
			return false, nil // again in a moment
		}
	}
	r.down = false
	return true, nil
}

// ZeroCopyReadPacketData implements gopacket.ZeroCopyPacketDataSource. It
// waits until there is a frame.
func (r *ring) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	return readOne(r)
}

// count asks the kernel for what it counted since it was last asked, with mu
// held.
func (r *ring) count() {
	if k, err := unix.GetsockoptTpacketStatsV3(r.shared.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.total.Received += uint64(k.Packets)
		r.total.Dropped += uint64(k.Drops)
	}
	r.total.InterfaceDropped = r.dropped.count(r.name)
}

// Stats implements Source.
func (r *ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed.Load() {
		r.count()
	}
	s := r.total
	s.Files = []FileStats{r.stats}
	return s
}

// Close implements Source. The memory stays until Read has seen it, as frames
// that were handed out may still be looked at.
func (r *ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return nil
	}
	r.count()
	r.dropped.close()
	// Nothing more is received, and the interface may be itself again.
	_ = r.attach([]bpf.RawInstruction{{Op: opReturnK}})
	if r.promis && r.index != 0 {
		_ = unix.SetsockoptPacketMreq(r.shared.fd, unix.SOL_PACKET, unix.PACKET_DROP_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(r.index), Type: unix.PACKET_MR_PROMISC})
	}
	r.closed.Store(true)
	_, _ = unix.Write(r.shared.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return nil
}

// ifDropped counts the frames that interfaces dropped before any program could
// see them, from /proc/net/dev. The file is opened once, as it may be out of
// reach later, and shows the network namespace in which it was opened.
type ifDropped struct {
	file *os.File // nil where there is none
	last uint64
	sum  uint64
}

func (d *ifDropped) open(name string) {
	d.file, _ = os.Open("/proc/thread-self/net/dev")
	d.last, _ = d.now(name)
}

func (d *ifDropped) close() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
}

// count is how many were dropped since the beginning.
func (d *ifDropped) count(name string) uint64 {
	now, ok := d.now(name)
	if !ok {
		return d.sum
	}
	if now >= d.last {
		d.sum += now - d.last
	} else { // an interface that came again begins at 0
		d.sum += now
	}
	d.last = now
	return d.sum
}

// now is what the kernel shows:
//
//	eth0: bytes packets errs drop fifo ...
func (d *ifDropped) now(name string) (uint64, bool) {
	if d.file == nil {
		return 0, false
	}
	var text []byte
	var buf [4096]byte
	for {
		n, err := d.file.ReadAt(buf[:], int64(len(text)))
		text = append(text, buf[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	sum := uint64(0)
	found := false
	for line := range bytes.Lines(text) {
		dev, counts, ok := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(counts)
		if !ok || len(fields) < 5 || name != anyInterface && string(bytes.TrimSpace(dev)) != name {
			continue
		}
		for _, f := range fields[3:5] {
			if v, err := strconv.ParseUint(string(f), 10, 64); err == nil {
				sum += v
				found = true
			}
		}
	}
	return sum, found
}
