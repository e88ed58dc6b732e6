package flows

import (
	"fmt"
	"iter"
	"testing"
	"unsafe"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// frame is the n-th packet of a script.
func frame(t testing.TB, script string, n int) pcaps.Packet { return frames(t, script)[n-1] }

// Reading headers allocates nothing, whatever they are.
func TestDecodeAllocs(t *testing.T) {
	for _, c := range decodeSpeed(t) {
		var s segment
		p := c.packet
		if n := testing.AllocsPerRun(100, func() { s.decode(&p) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
		if s.outcome != Decoded {
			t.Errorf("%s: %s", c.name, s.outcome)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range decodeSpeed(b) {
		b.Run(c.name, func(b *testing.B) {
			var s segment
			b.ReportAllocs()
			for b.Loop() {
				s.decode(&c.packet)
			}
		})
	}
}

type namedPacket struct {
	name   string
	packet pcaps.Packet
}

func decodeSpeed(t testing.TB) []namedPacket {
	plain := frame(t, `0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1 ack=1 len=1000`, 1)
	vxlan := plain
	outer := header{kind: "udp", data: append([]byte{8, 0, 0, 0, 0, 0, 42, 0}, plain.Data...)}
	outer.src, outer.dst = mustPorts("192.0.2.1:40000"), mustPorts("192.0.2.2:4789")
	vxlan.Data = outer.frame()
	vxlan.WireLen = len(vxlan.Data)
	return []namedPacket{
		{"TCP", plain},
		{"VLAN", frame(t, `0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=1 ack=1 len=1000 vlan=20`, 1)},
		{"IPv6", frame(t, `0 [fd00::1]:4000 > [fd00::2]:80 PA seq=1 ack=1 len=1000`, 1)},
		{"UDP", frame(t, `0 10.0.0.1:4000 > 10.0.0.2:53 udp len=100`, 1)},
		{"ICMP", frame(t, `0 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=1 seq=1 len=56`, 1)},
		{"VXLAN", vxlan},
	}
}

// steady is a flow that is known, and the packet of it that is counted again
// and again: "next" moves its place in the stream and its identification.
type steady struct {
	name   string
	before string // begins the flow
	packet string
	step   uint32 // added to seq, and to ack, as often as it is counted
	ack    bool
}

var steadies = []steady{
	{"payload nobody waits for", handshake + `
		0.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=STOP`,
		`1 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=1000`, 1000, false},
	{"payload that is read", handshake + `
		0.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=READ`,
		`1 10.0.0.1:4000 > 10.0.0.2:80 A seq=105 ack=501 len=1000`, 1000, false},
	{"acknowledgements", handshake + `
		0.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=STOP`,
		`1 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=105`, 1000, true},
	{"acknowledgements of IPv6", `
		0.1 [fd00::1]:4000 > [fd00::2]:80 A seq=101 ack=501 data=STOP`,
		`1 [fd00::2]:80 > [fd00::1]:4000 A seq=501 ack=105`, 1000, true},
	{"payload again and again", handshake + `
		0.1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=STOP`,
		`1 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=STOP`, 0, false},
	{"SYNs", `0.1 10.0.0.1:4000 > 10.0.0.2:80 S seq=1`, `1 10.0.0.1:4000 > 10.0.0.2:80 S seq=1`, 0, false},
	{"datagrams of nothing known", `0.1 10.0.0.1:4000 > 10.0.0.2:53 udp data=?`, `1 10.0.0.1:4000 > 10.0.0.2:53 udp data=?more`, 0, false},
	{"datagrams that are read", `0.1 10.0.0.1:4000 > 10.0.0.2:53 udp data=READ`, `1 10.0.0.1:4000 > 10.0.0.2:53 udp len=100`, 0, false},
	{"echoes", `0.1 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=5 seq=1`, `1 10.0.0.1:0 > 10.0.0.2:0 icmp:8/0 echo=5 seq=2`, 0, false},
	{"other protocols", `0.1 10.0.0.1:0 > 10.0.0.2:0 ip:89 data=hello`, `1 10.0.0.1:0 > 10.0.0.2:0 ip:89 data=hello`, 0, false},
}

// silent takes every flow and keeps nothing of it, but ends at "STOP".
type silent struct{}

func (silent) Parse(_ dissect.Dir, b []byte, _ *dissect.Facts) (int, error) {
	if len(b) >= 4 && string(b[:4]) == "STOP" {
		return 4, dissect.ErrDone
	}
	return len(b), nil
}

func (silent) Gap(dissect.Dir, []byte, uint64, *dissect.Facts) (uint64, bool) { return 0, true }

func (silent) Close(*dissect.Facts) {}

// ready makes a table that knows the flow of c, and what adds the next packet.
func (c *steady) ready(t testing.TB) (*Table, func()) {
	quiet := dissect.Dissector{
		Name: "silent", Over: dissect.TCP | dissect.UDP,
		Probe: func(_ dissect.Dir, b []byte) dissect.Match {
			if len(b) > 0 && b[0] == '?' {
				return dissect.No
			}
			return dissect.Yes
		},
		New: func(*dissect.Context) dissect.Parser { return silent{} },
	}
	set := dissect.NewSet([]dissect.Dissector{quiet}, &dissect.Context{}, 1<<20)
	table := NewTable(Config{Limits: limits()}, set, func(iter.Seq[*Flow]) {})
	table.Add(frames(t, c.before))
	p := frame(t, c.packet, 1)
	batch := []pcaps.Packet{p}
	id, seq := 14+4, 14+20+4
	if p.Data[14]>>4 == 6 {
		id, seq = 14+2, 14+40+4 // the flow label: IPv6 has no identification
	}
	if c.ack {
		seq += 4
	}
	p.Data[id] = 9 // far from the identifications of what was before
	return table, func() {
		p := &batch[0]
		p.Frame++
		p.Time += 2e6
		p.Data[id+1]++
		if p.Data[id+1] == 0 {
			p.Data[id]++
		}
		if c.step > 0 {
			b := p.Data[seq : seq+4]
			n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]) + c.step
			b[0], b[1], b[2], b[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		}
		table.Add(batch)
	}
}

// A packet of a known flow allocates nothing.
func TestAddAllocs(t *testing.T) {
	for _, c := range steadies {
		table, next := c.ready(t)
		for range 20 {
			next()
		}
		if n := testing.AllocsPerRun(1000, next); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
		if s := table.Stats(); s.Flows != 1 || s.Copies != 0 {
			t.Errorf("%s: %d flows, %d copies, want 1 and 0", c.name, s.Flows, s.Copies)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, c := range steadies {
		b.Run(c.name, func(b *testing.B) {
			_, next := c.ready(b)
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}

// One packet each of many flows, in turn: the cost of looking flows up, a batch
// at a time.
func BenchmarkAddMany(b *testing.B) {
	for _, flows := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			set := dissect.NewSet(nil, &dissect.Context{}, 1<<20)
			limits := limits()
			limits.MaxFlows = 1 << 20
			table := NewTable(Config{Limits: limits}, set, func(iter.Seq[*Flow]) {})
			packets := make([]pcaps.Packet, flows)
			for i := range packets {
				h := header{kind: "A", ack: uint32(i), id: uint16(i)}
				h.src, h.dst = mustPorts(fmt.Sprintf("10.%d.%d.%d:4000", i>>16, i>>8&255, i&255)), mustPorts("10.200.0.1:9000")
				packets[i] = pcaps.Packet{Link: pcaps.LinkEthernet, Data: h.frame(), Frame: pcaps.FrameID(i + 1), Time: epoch}
				packets[i].WireLen = len(packets[i].Data)
			}
			const batch = 256
			at := 0
			b.ReportAllocs()
			for b.Loop() {
				n := min(batch, flows-at)
				table.Add(packets[at : at+n])
				at = (at + n) % flows
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/packet")
		})
	}
}

// A record is one cache line, and the lines of a slab begin where records do.
func TestRecordSize(t *testing.T) {
	if n := unsafe.Sizeof(record{}); n != 64 {
		t.Errorf("a record has %d bytes, want 64", n)
	}
	if n := unsafe.Sizeof(tcpTrack{}); n > 64 {
		t.Errorf("a track has %d bytes, want at most 64", n)
	}
	if n := unsafe.Sizeof(origin{}); n > 24 {
		t.Errorf("an origin has %d bytes, want at most 24", n)
	}
}
