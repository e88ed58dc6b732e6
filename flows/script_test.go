package flows

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// epoch is when every script begins.
const epoch = int64(1_700_000_000 * 1e9)

// A script is one packet a line, in virtual time:
//
//	0.010 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
//	0.020 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
//
// What stands behind the ends is TCP flags (SAFRP, "." for none), "udp",
// "icmp:3/4" or "ip:89". seq and ack are those of the header. "data" is
// payload, "len" so many bytes of it that tell their place in the stream, "cut"
// how many bytes the snap length took from the end, "sum" the checksum of TCP or
// UDP (also of a copy), "sack=110-130" that these
// bytes were received behind a hole. Every packet has an IP
// identification of its own; "id" sets it, and a line with "copy" is the frame
// before with another hop limit. "frag=8+16" keeps 16 bytes of the IP payload
// from 8 on; "more" says that more follow. "quote" puts the n-th line's IP
// packet, 28 bytes of it, behind an ICMP error's header.
func frames(t testing.TB, script string) []pcaps.Packet {
	var list []pcaps.Packet
	for at, line := range strings.Split(strings.TrimSpace(script), "\n") {
		line, _, _ = strings.Cut(line, "#")
		word := strings.Fields(line)
		if len(word) == 0 {
			continue
		}
		bad := func(err error) {
			if err != nil {
				t.Fatalf("script line %d: %v: %s", at+1, err, line)
			}
		}
		seconds, err := strconv.ParseFloat(word[0], 64)
		bad(err)
		p := pcaps.Packet{Link: pcaps.LinkEthernet, Time: epoch + int64(seconds*1e9+0.5)}
		if word[1] == "copy" {
			last := list[len(list)-1]
			if len(word) > 2 && !strings.Contains(word[2], "=") {
				n, err := strconv.Atoi(word[2])
				bad(err)
				last = list[n-1]
			}
			p.Data = append([]byte(nil), last.Data...)
			p.WireLen = last.WireLen
			ttl := 14 + 8
			if p.Data[14]>>4 == 6 {
				ttl = 14 + 7
			}
			p.Data[ttl]--
			for _, w := range word[2:] {
				if value, ok := strings.CutPrefix(w, "sum="); ok {
					n, err := strconv.ParseUint(value, 10, 16)
					bad(err)
					setSum(p.Data, uint16(n))
				}
			}
		} else {
			h := header{id: uint16(len(list) + 1), ttl: 64, window: 8192}
			h.src, err = netip.ParseAddrPort(word[1])
			bad(err)
			h.dst, err = netip.ParseAddrPort(word[3])
			bad(err)
			h.kind = word[4]
			cut, sum := 0, uint16(0)
			for _, w := range word[5:] {
				name, value, _ := strings.Cut(w, "=")
				n, _ := strconv.ParseUint(value, 10, 32)
				switch name {
				case "seq":
					h.seq = uint32(n)
				case "ack":
					h.ack = uint32(n)
				case "len":
					h.size = int(n)
				case "data":
					h.data = []byte(value)
				case "id":
					h.id = uint16(n)
				case "ttl":
					h.ttl = uint8(n)
				case "win":
					h.window = uint16(n)
				case "vlan":
					h.vlan = uint16(n)
				case "sack":
					_, err := fmt.Sscanf(value, "%d-%d", &h.sackLow, &h.sackHigh)
					bad(err)
				case "echo":
					h.echo = uint16(n)
				case "sum":
					sum = uint16(n)
				case "cut":
					cut = int(n)
				case "more":
					h.more = true
				case "frag":
					_, err := fmt.Sscanf(value, "%d+%d", &h.offset, &h.part)
					bad(err)
				case "quote":
					quoted := list[n-1].Data[14:]
					h.data = quoted[:min(len(quoted), quoteSize(quoted))]
				default:
					t.Fatalf("script line %d: unknown word %q", at+1, w)
				}
			}
			p.Data = h.frame()
			if sum != 0 {
				setSum(p.Data, sum)
			}
			p.WireLen = len(p.Data)
			p.Data = p.Data[:len(p.Data)-cut]
		}
		p.Frame = pcaps.MakeFrameID(0, uint64(len(list)+1))
		list = append(list, p)
	}
	return list
}

// setSum sets the checksum of TCP or UDP in an Ethernet frame without tags.
func setSum(frame []byte, sum uint16) {
	at, proto := 14+20, frame[14+9]
	if frame[14]>>4 == 6 {
		at, proto = 14+40, frame[14+6]
	}
	if proto == ProtoTCP {
		at += 16
	} else {
		at += 6
	}
	binary.BigEndian.PutUint16(frame[at:], sum)
}

// quoteSize is what an ICMP error quotes: the IP header and 8 bytes.
func quoteSize(ip []byte) int {
	if ip[0]>>4 == 6 {
		return 48
	}
	return 28
}

// header is one packet of a script.
type header struct {
	src, dst     netip.AddrPort
	kind         string
	seq, ack     uint32
	size         int
	data         []byte
	sackLow      uint32
	sackHigh     uint32
	id           uint16
	ttl          uint8
	window       uint16
	vlan         uint16
	echo         uint16
	offset, part int
	more         bool
}

// placed is n bytes of a stream from place seq on: each tells where it belongs.
func placed(seq uint32, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte((seq+uint32(i))%26)
	}
	return b
}

func (h *header) frame() []byte {
	v6 := h.src.Addr().Is6()
	data := h.data
	if data == nil {
		data = placed(h.seq, h.size)
	}
	var b []byte
	proto := uint8(ProtoTCP)
	switch {
	case h.kind == "udp":
		proto = ProtoUDP
		b = binary.BigEndian.AppendUint16(b, h.src.Port())
		b = binary.BigEndian.AppendUint16(b, h.dst.Port())
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(data)))
		b = append(b, 0, 0)
		b = append(b, data...)
		binary.BigEndian.PutUint16(b[6:], checksum(h, proto, b))
	case strings.HasPrefix(h.kind, "icmp:"):
		proto = ProtoICMP
		if v6 {
			proto = ProtoICMPv6
		}
		var typ, code uint8
		fmt.Sscanf(h.kind, "icmp:%d/%d", &typ, &code)
		b = append(b, typ, code, 0, 0)
		b = binary.BigEndian.AppendUint16(b, h.echo)
		b = binary.BigEndian.AppendUint16(b, uint16(h.seq))
		b = append(b, data...)
		binary.BigEndian.PutUint16(b[2:], checksum(h, proto, b))
	case strings.HasPrefix(h.kind, "ip:"):
		n, _ := strconv.Atoi(h.kind[3:])
		proto = uint8(n)
		b = append(b, data...)
	default:
		var flags uint8
		for _, f := range h.kind {
			flags |= map[rune]uint8{'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16, '.': 0}[f]
		}
		b = binary.BigEndian.AppendUint16(b, h.src.Port())
		b = binary.BigEndian.AppendUint16(b, h.dst.Port())
		b = binary.BigEndian.AppendUint32(b, h.seq)
		b = binary.BigEndian.AppendUint32(b, h.ack)
		b = append(b, 5<<4, flags)
		b = binary.BigEndian.AppendUint16(b, h.window)
		b = append(b, 0, 0, 0, 0)
		if h.sackHigh != 0 {
			b[12] += 3 << 4
			b = append(b, 1, 1, 5, 10)
			b = binary.BigEndian.AppendUint32(b, h.sackLow)
			b = binary.BigEndian.AppendUint32(b, h.sackHigh)
		}
		b = append(b, data...)
		binary.BigEndian.PutUint16(b[16:], checksum(h, proto, b))
	}
	if h.part > 0 {
		b = b[h.offset : h.offset+h.part]
	}

	eth := []byte{2, 0, 0, 0, 0, byte(h.dst.Addr().As16()[15]), 2, 0, 0, 0, 0, byte(h.src.Addr().As16()[15])}
	if h.vlan != 0 {
		eth = append(eth, 0x81, 0)
		eth = binary.BigEndian.AppendUint16(eth, h.vlan)
	}
	if v6 {
		eth = append(eth, 0x86, 0xdd, 0x60, 0, 0, 0)
		next, extra := proto, []byte(nil)
		if h.part > 0 {
			next = protoFragment
			off := uint16(h.offset)
			if h.more {
				off |= 1
			}
			extra = binary.BigEndian.AppendUint16([]byte{proto, 0}, off)
			extra = binary.BigEndian.AppendUint32(extra, uint32(h.id))
		}
		eth = binary.BigEndian.AppendUint16(eth, uint16(len(extra)+len(b)))
		eth = append(eth, next, h.ttl)
		eth = append(eth, h.src.Addr().AsSlice()...)
		eth = append(eth, h.dst.Addr().AsSlice()...)
		eth = append(eth, extra...)
		return append(eth, b...)
	}
	eth = append(eth, 8, 0, 0x45, 0)
	eth = binary.BigEndian.AppendUint16(eth, uint16(20+len(b)))
	eth = binary.BigEndian.AppendUint16(eth, h.id)
	off := uint16(h.offset / 8)
	if h.more {
		off |= 0x2000
	}
	eth = binary.BigEndian.AppendUint16(eth, off)
	eth = append(eth, h.ttl, proto, 0, 0)
	eth = append(eth, h.src.Addr().AsSlice()...)
	eth = append(eth, h.dst.Addr().AsSlice()...)
	return append(eth, b...)
}

// checksum is that of RFC 1071 over the pseudo header and b.
func checksum(h *header, proto uint8, b []byte) uint16 {
	all := append(h.src.Addr().AsSlice(), h.dst.Addr().AsSlice()...)
	all = append(all, 0, proto)
	all = binary.BigEndian.AppendUint16(all, uint16(len(b)))
	all = append(append(all, b...), make([]byte, len(b)&1)...)
	var sum uint32
	for i := 0; i+1 < len(all); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(all[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// recorder is a dissector that writes down what it is given: "> bytes" from the
// client, "< bytes" from the server, "> gap 5". It takes every flow but one that
// begins with "?"; "CLIENT" and "SERVER" tell who sends them, and "STOP" ends
// its interest.
type recorder struct{ log []string }

func (r *recorder) dissector() dissect.Dissector {
	return dissect.Dissector{
		Name: "recorded",
		Over: dissect.TCP | dissect.UDP,
		Probe: func(_ dissect.Dir, b []byte) dissect.Match {
			switch {
			case strings.HasPrefix(string(b), "CLIENT"):
				return dissect.FromClient
			case strings.HasPrefix(string(b), "SERVER"):
				return dissect.FromServer
			case strings.HasPrefix(string(b), "?"):
				return dissect.No
			}
			return dissect.Yes
		},
		New: func(*dissect.Context) dissect.Parser { return r },
	}
}

func (r *recorder) add(dir dissect.Dir, what string) {
	r.log = append(r.log, "><"[dir:dir+1]+" "+what)
}

func (r *recorder) Parse(dir dissect.Dir, b []byte, _ *dissect.Facts) (int, error) {
	if strings.HasPrefix(string(b), "STOP") {
		return 4, dissect.ErrDone
	}
	r.add(dir, string(b))
	return len(b), nil
}

func (r *recorder) Gap(dir dissect.Dir, _ []byte, n uint64, _ *dissect.Facts) (uint64, bool) {
	r.add(dir, "gap "+strconv.FormatUint(n, 10))
	return 0, true
}

func (r *recorder) Close(*dissect.Facts) {}

// result is what a script led to.
type result struct {
	flows  []string // as text, in the order in which they were handed over
	ids    []uint64
	log    []string
	sum    Flow // counters of all flows
	stats  Stats
	table  *Table
	rounds int // how often settle was called
}

// limits are those of scripts: as usual, and small.
func limits() Limits {
	l := DefaultLimits()
	l.MaxFlows, l.MaxTracked, l.MaxBuffered = 1<<16, 1<<16, 1<<20
	return l
}

// play gives the packets to a table, a few at a time so that batches of every
// size occur.
func play(t testing.TB, packets []pcaps.Packet, limits Limits, dissectors ...dissect.Dissector) *result {
	return playFrom(t, 1, packets, limits, dissectors...)
}

// playFrom is play with a first batch of another size.
func playFrom(t testing.TB, first int, packets []pcaps.Packet, limits Limits, dissectors ...dissect.Dissector) *result {
	r := &result{}
	rec := &recorder{}
	if dissectors == nil {
		dissectors = []dissect.Dissector{rec.dissector()}
	}
	set := dissect.NewSet(dissectors, &dissect.Context{}, limits.MaxBuffered)
	config := Config{Limits: limits, Listeners: func(_ uint8, port uint16) bool { return port == 7780 }}
	r.table = NewTable(config, set, func(list iter.Seq[*Flow]) {
		r.rounds++
		for f := range list {
			r.flows = append(r.flows, text(f))
			r.ids = append(r.ids, f.ID)
			for d := range 2 {
				r.sum.Packets[d] += f.Packets[d]
				r.sum.Bytes[d] += f.Bytes[d]
				r.sum.Fragments[d] += f.Fragments[d]
				r.sum.FragmentBytes[d] += f.FragmentBytes[d]
				r.sum.Duplicate[d] += f.Duplicate[d]
			}
		}
	})
	for n := first; len(packets) > 0; n = n%70 + 1 {
		n = min(n, len(packets))
		r.table.Add(packets[:n])
		packets = packets[n:]
	}
	r.table.Finish()
	r.log, r.stats = rec.log, r.table.Stats()
	if r.table.buffered != 0 || set.Held() != 0 || r.table.parts.bytes != 0 {
		t.Errorf("kept after the end: %d bytes of segments, %d undecided, %d of fragments", r.table.buffered, set.Held(), r.table.parts.bytes)
	}
	return r
}

// text writes a flow on one line: what is as usual is left out.
func text(f *Flow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s > %s", f.Client, f.Server)
	switch f.Proto {
	case ProtoTCP:
		fmt.Fprintf(&b, " tcp %s %s", f.TCP.State, f.TCP.History)
	case ProtoUDP:
		b.WriteString(" udp")
	case ProtoICMP, ProtoICMPv6:
		fmt.Fprintf(&b, " icmp echo=%d", f.EchoID)
	default:
		fmt.Fprintf(&b, " ip:%d", f.Proto)
	}
	fmt.Fprintf(&b, " %s %s %d/%d", f.Oriented, f.Ended, f.Packets[0], f.Packets[1])
	pair := func(name string, p Pair) {
		if p != (Pair{}) {
			fmt.Fprintf(&b, " %s=%d/%d", name, p[0], p[1])
		}
	}
	pair("payload", f.Payload)
	pair("missed", f.Missed)
	pair("again", f.Retransmitted)
	pair("late", f.OutOfOrder)
	pair("copies", f.Duplicate)
	pair("parts", f.Fragments)
	if f.TCP.SYNs > 1 {
		fmt.Fprintf(&b, " syns=%d", f.TCP.SYNs)
	}
	if f.TCP.RTT != 0 {
		fmt.Fprintf(&b, " rtt=%s", time.Duration(f.TCP.RTT))
	}
	if f.TCP.ResetBy != ResetByNobody {
		fmt.Fprintf(&b, " reset=%s@%d,ttl=%d", f.TCP.ResetBy, f.TCP.ResetFrame.Number(), f.TCP.ResetTTL)
	}
	if f.TCP.PortsOnly {
		b.WriteString(" ports-only")
	}
	for d := range 2 {
		if n := f.TCP.Unanswered[d]; n > 0 {
			fmt.Fprintf(&b, " unanswered%c%d", "><"[d], n)
		}
	}
	if f.TCP.ResetOdd {
		b.WriteString(" odd")
	}
	for d := range 2 {
		arrow := "><"[d]
		if n := f.TCP.Stalled[d]; n > 0 && n != f.TCP.Unanswered[d] {
			fmt.Fprintf(&b, " stalled%c%d", arrow, n)
		}
		if f.TCP.LargeLost[d] {
			fmt.Fprintf(&b, " large%c", arrow)
		}
		if f.TCP.Unseen[d] {
			fmt.Fprintf(&b, " unseen%c", arrow)
		}
		if f.TCP.ZeroWindowFrame[d] != 0 {
			fmt.Fprintf(&b, " shut%c%s@%d", arrow, time.Duration(f.TCP.ZeroWindow[d]), f.TCP.ZeroWindowFrame[d].Number())
			if f.TCP.StillShut[d] {
				b.WriteString("+")
			}
		}
	}
	if f.TCP.LongestIdle > 0 {
		fmt.Fprintf(&b, " idle=%s@%d", time.Duration(f.TCP.LongestIdle), f.TCP.LongestIdleFrame.Number())
	}
	for _, ttl := range f.TCP.TTL {
		if ttl != 0 && ttl != 64 {
			fmt.Fprintf(&b, " ttl=%d/%d", f.TCP.TTL[0], f.TCP.TTL[1])
			break
		}
	}
	for d := range 2 {
		if f.TCP.Routed[d] {
			fmt.Fprintf(&b, " routed%c", "><"[d])
		}
	}
	for _, e := range f.ICMP {
		fmt.Fprintf(&b, " icmp:%d/%d@%s", e.Type, e.Code, e.From)
	}
	for _, s := range f.Tunnel {
		b.WriteString(" " + s)
	}
	if f.TCP.ScanFlags {
		b.WriteString(" scan-flags")
	}
	if f.Dissect.Late {
		b.WriteString(" midway")
	}
	if f.Dissect.Lost {
		b.WriteString(" lost")
	}
	return b.String()
}

func mustPorts(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
