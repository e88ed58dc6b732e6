package flows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// vantage notes packets as a capture of one place.
func vantage(packets []pcaps.Packet) *Vantage {
	v := NewVantage()
	table := NewTable(Config{Limits: limits()}, dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20), func(all iter.Seq[*Flow]) {
		for f := range all {
			v.Settle(f, "")
		}
	})
	for i := range packets {
		packets[i].Frame = pcaps.MakeFrameID(0, uint64(i+1))
	}
	v.Add(table, packets)
	table.Finish()
	return v
}

// beyond is what of packets comes out behind a router: later, with a TTL that is
// one less or, from the server at 10.9.0.2, was one more; change may alter it, and
// drops it where it says false.
func beyond(packets []pcaps.Packet, delay int64, change func(i int, p *pcaps.Packet) bool) []pcaps.Packet {
	var list []pcaps.Packet
	for i, p := range packets {
		p.Data = bytes.Clone(p.Data)
		if back := p.Data[26] == 10 && p.Data[27] == 9; back {
			p.Data[22]++
			p.Time -= delay
		} else {
			p.Data[22]--
			p.Time += delay
		}
		if change == nil || change(i, &p) {
			list = append(list, p)
		}
	}
	return list
}

const inClient, outServer = "10.1.0.1:40000", "10.9.0.2:7000"

// conversation is a TCP connection in which the client sends n segments of size
// bytes, each answered.
func conversation(n, size int) []pcaps.Packet {
	var p []pcaps.Packet
	p = said(p, 0, inClient, outServer, "S", 1000, 0, "")
	p = said(p, 0.010, outServer, inClient, "SA", 5000, 1001, "")
	p = said(p, 0.020, inClient, outServer, "A", 1001, 5001, "")
	seq, ack := uint32(1001), uint32(5001)
	for i := range n {
		data := bytes.Repeat([]byte{byte('a' + i%26), byte('0' + i%10)}, size/2)
		at := 0.03 + float64(i)*0.02
		p = said(p, at, inClient, outServer, "PA", seq, ack, string(data))
		seq += uint32(len(data))
		answer := fmt.Sprintf("answer %d", i)
		p = said(p, at+0.010, outServer, inClient, "PA", ack, seq, answer)
		ack += uint32(len(answer))
	}
	return p
}

func TestCompareSequenceNumbersReplaced(t *testing.T) {
	in := conversation(5, 200)
	const moved, movedBack = 0x12345678, 0xf0000000
	out := beyond(in, 3e6, func(_ int, p *pcaps.Packet) bool {
		seq, ack := uint32(moved), uint32(movedBack)
		if p.Data[27] == 9 {
			seq, ack = ack, seq
		}
		tcp := p.Data[34:]
		binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+seq)
		if tcp[13]&flagACK != 0 {
			binary.BigEndian.PutUint32(tcp[8:], binary.BigEndian.Uint32(tcp[8:])+ack)
		}
		return true
	})
	c := Compare(vantage(in), vantage(out), CompareOptions{})
	if len(c.Crossings) != 1 {
		t.Fatalf("%d flows", len(c.Crossings))
	}
	x := &c.Crossings[0]
	if x.Fate != Crossed || !x.SequenceChanged || x.Client != Inside || x.Matched != (Pair{7, 6}) || x.Lost != (Pair{}) || c.Clock.RoundTrip != 6e6 || c.Clock.Offset != 0 {
		t.Errorf("%v, changed %t, client %v, %v matched, %v lost, %+v", x.Fate, x.SequenceChanged, x.Client, x.Matched, x.Lost, c.Clock)
	}
}

func TestCompareIntercepted(t *testing.T) {
	in := conversation(3, 200)
	out := beyond(in, 1e6, func(i int, p *pcaps.Packet) bool {
		tcp := p.Data[34:]
		binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+77777)
		binary.BigEndian.PutUint32(tcp[8:], binary.BigEndian.Uint32(tcp[8:])+77777)
		for k := range tcp[20:] {
			tcp[20+k] ^= byte(k + i + 1)
		}
		return true
	})
	c := Compare(vantage(in), vantage(out), CompareOptions{})
	if len(c.Crossings) != 1 || c.Crossings[0].Fate != Intercepted {
		t.Errorf("%+v", c.Crossings)
	}
}

// TestCompareRegrouped has segments of both sides cut in other places.
func TestCompareRegrouped(t *testing.T) {
	in := conversation(4, 2000)
	var out []pcaps.Packet
	for _, p := range beyond(in, 1e6, nil) {
		if len(p.Data) < 2000 {
			out = append(out, p)
			continue
		}
		for part := range 2 {
			q := p
			q.Data = append(bytes.Clone(p.Data[:54]), p.Data[54+part*1000:54+part*1000+1000]...)
			q.WireLen = len(q.Data)
			binary.BigEndian.PutUint16(q.Data[16:], 1040)
			binary.BigEndian.PutUint32(q.Data[38:], binary.BigEndian.Uint32(q.Data[38:])+uint32(part*1000))
			out = append(out, q)
		}
	}
	c := Compare(vantage(in), vantage(out), CompareOptions{})
	if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate != Crossed || !c.Regrouped || x.Lost != (Pair{}) || x.LostBytes != (Pair{}) {
		t.Errorf("%v, regrouped %t, %v packets and %v bytes lost", x.Fate, c.Regrouped, x.Lost, x.LostBytes)
	}
}

// TestCompareLongFlow loses packets in the middle of a flow that is far longer
// than what is kept of it.
func TestCompareLongFlow(t *testing.T) {
	const packets, every = 6000, 40
	random := rand.New(rand.NewPCG(1, 2))
	for _, lose := range []bool{false, true} {
		var in []pcaps.Packet
		for i := range packets {
			p := said(nil, float64(i)*0.001, "10.1.0.1:50001", "10.9.0.2:443", "udp", 0, 0, fmt.Sprintf("datagram %d %x", i, random.Uint64()))
			binary.BigEndian.PutUint16(p[0].Data[18:], uint16(i+1))
			in = append(in, p...)
		}
		lost := 0
		out := beyond(in, 2e6, func(i int, _ *pcaps.Packet) bool {
			if lose && i%every == 7 {
				lost++
				return false
			}
			return true
		})
		inside, outside := vantage(in), vantage(out)
		c := Compare(inside, outside, CompareOptions{})
		x := &c.Crossings[0]
		want := Crossed
		if lose {
			want = Lossy
		}
		if len(c.Crossings) != 1 || x.Fate != want || x.Lost[ToServer] != uint64(lost) || c.Places[Inside].Missed+c.Places[Outside].Missed != 0 {
			t.Errorf("%v, %v lost of %d, %+v", x.Fate, x.Lost, lost, c.Places)
		}
		if n := len(x.dirs[ToServer].marks[Inside]); n > openingMarks+tailMarks+maxSampled || n < openingMarks+tailMarks+maxSampled/4 {
			t.Errorf("%d marks are kept", n)
		}
	}
}

// TestCompareTail leaves out what a program that is stopped was not yet given: the
// end of a capture, up to a second of it. Nothing between has done that.
// TestCompareSnapLength gives one capture a snap length, which takes more of the
// datagrams than what they are told apart by: those that came through are not lost,
// and one that did not is still missed.
func TestCompareSnapLength(t *testing.T) {
	var packets []pcaps.Packet
	for i := range 20 {
		packets = said(packets, float64(i)*0.02, inClient, outServer, "udp", 0, 0, fmt.Sprintf("datagram %02d %060d", i, i))
		packets = said(packets, float64(i)*0.02+0.01, outServer, inClient, "udp", 0, 0, fmt.Sprintf("answer %02d %060d", i, i))
	}
	for cut := range Side(2) {
		for _, lost := range []int{-1, 8} {
			captures := [2][]pcaps.Packet{slices.Clone(packets), beyond(packets, 1e6, func(i int, _ *pcaps.Packet) bool { return i != lost })}
			for i := range captures[cut] {
				p := &captures[cut][i]
				p.Data = p.Data[:64]
			}
			c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
			want := Crossed
			if lost >= 0 {
				want = Lossy
			}
			if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate != want {
				t.Errorf("%s cut, datagram %d lost: %v %v, %v lost", cut, lost, x.Fate, x.Dirs, x.Lost)
			}
		}
	}
}

func TestCompareTail(t *testing.T) {
	datagrams := func() (list []pcaps.Packet) {
		for i := range 100 {
			list = said(list, float64(i)*0.02, inClient, outServer, "udp", 0, 0, fmt.Sprintf("datagram %d", i))
		}
		return list
	}
	for name, packets := range map[string][]pcaps.Packet{"connection": conversation(60, 200), "datagrams one way": datagrams()} {
		for _, lack := range []int64{second / 20, second / 3, second * 9 / 10} {
			for short := range Side(2) {
				captures := [2][]pcaps.Packet{slices.Clone(packets), beyond(packets, 1e6, nil)}
				list := captures[short]
				end := list[len(list)-1].Time - lack
				captures[short] = slices.DeleteFunc(list, func(p pcaps.Packet) bool { return p.Time > end })
				c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
				if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate != Crossed {
					t.Errorf("%s, the capture %s lacks the last %d ms: %v %v, %v lost", name, short, lack/1e6, x.Fate, x.Dirs, x.Lost)
				}
			}
		}
	}
}

// TestCompareSameBothWays has a translated flow whose packets are the same in both
// directions: nothing tells which way round it is, and the answer must not differ
// from run to run.
func TestCompareSameBothWays(t *testing.T) {
	var captures [2][]pcaps.Packet
	for side, ends := range [2][2]string{{"10.1.0.1:5000", "10.9.0.2:6000"}, {"198.51.100.1:40001", "203.0.113.9:6001"}} {
		late := 0.001 * float64(side)
		for i := range 6 { // gives the clock
			captures[side] = said(captures[side], float64(i)+late, "10.1.0.5:7000", "10.9.0.2:7001", "udp", 0, 0, fmt.Sprintf("question %d", i))
			captures[side] = said(captures[side], float64(i)+0.01-late, "10.9.0.2:7001", "10.1.0.5:7000", "udp", 0, 0, fmt.Sprintf("answer %d", i))
		}
		for i := range 2 {
			captures[side] = said(captures[side], float64(10+i)+late, ends[0], ends[1], "udp", 0, 0, "keepalive")
			captures[side] = said(captures[side], float64(10+i)+0.001+late, ends[1], ends[0], "udp", 0, 0, "keepalive")
		}
	}
	for range 50 {
		c := Compare(vantage(slices.Clone(captures[Inside])), vantage(slices.Clone(captures[Outside])), CompareOptions{})
		i := slices.IndexFunc(c.Crossings, func(x Crossing) bool { return x.Basis == ByPayload })
		if len(c.Crossings) != 2 || i < 0 {
			t.Fatalf("%d flows: %+v", len(c.Crossings), c.Crossings)
		}
		if x := &c.Crossings[i]; x.Seen[Inside].Client.String() != "10.1.0.1:5000" || x.Seen[Outside].Client.String() != "198.51.100.1:40001" {
			t.Fatalf("%s inside is taken to be %s outside", x.Seen[Inside].Client, x.Seen[Outside].Client)
		}
	}
}

// TestCompareCrowded has 20,000 flows of one pair of addresses and ports, all of
// the same packet: a heartbeat every four minutes. Only time tells them apart, and
// not every pair of them can be tried.
func TestCompareCrowded(t *testing.T) {
	const period = 240 * second
	heartbeat := said(nil, 0, inClient, outServer, "udp", 0, 0, "heartbeat")[0]
	for _, test := range []struct {
		beats int
		skip  int   // so many at the beginning came out nowhere
		ahead int64 // the clock outside
	}{
		{20_000, 1000, 0},
		{3_000, 0, 3617 * second},
	} {
		var in, out []pcaps.Packet
		for i := range test.beats {
			p := heartbeat
			p.Time += int64(i) * period
			in = append(in, p)
			if i >= test.skip && i%10 != 5 {
				out = append(out, beyond([]pcaps.Packet{p}, 1e6+test.ahead, nil)...)
			}
		}
		arrived := len(out)
		inside, outside := vantage(in), vantage(out)
		var memory [2]runtime.MemStats
		runtime.ReadMemStats(&memory[0])
		c := Compare(inside, outside, CompareOptions{})
		runtime.ReadMemStats(&memory[1])
		if n := (memory[1].TotalAlloc - memory[0].TotalAlloc) / uint64(test.beats); n > 20_000 {
			t.Errorf("%d flows: %d bytes were taken for each", test.beats, n)
		}
		var fates [fates]int
		wrong := 0
		for i := range c.Crossings {
			x := &c.Crossings[i]
			fates[x.Fate]++
			if x.Seen[Inside] != nil && x.Seen[Outside] != nil && x.Seen[Outside].Start-x.Seen[Inside].Start != 1e6+test.ahead {
				wrong++
			}
		}
		if wrong > 0 || fates[Dropped] != test.beats-arrived || fates[Crossed] != arrived {
			t.Errorf("%d flows, the clock ahead by %d s: %d wrong pairs, fates %v", test.beats, test.ahead/second, wrong, fates)
		}
	}
}

// TestCompareCrowdedRenumbered has connections of one pair of addresses and ports
// that are refused at once, across a device that replaces sequence numbers: of a
// connection the resets look the same, which are all alike, or nothing does.
func TestCompareCrowdedRenumbered(t *testing.T) {
	const connections = 2_000
	for basis, zero := range map[Basis]bool{ByAddresses: true, ByAddressing: false} {
		var captures [2][]pcaps.Packet
		for side := range captures {
			late := 0.001 * float64(side)
			list := said(nil, late, "10.1.0.5:7000", "10.9.0.2:7001", "udp", 0, 0, "question") // gives the clock
			list = said(list, 0.1-late, "10.9.0.2:7001", "10.1.0.5:7000", "udp", 0, 0, "answer")
			for i := range connections {
				at, seq := 1+2*float64(i), uint32(i*100_003+7+side*55_555)
				list = said(list, at+late, inClient, outServer, "S", seq, 0, "")
				reset := seq ^ 0x33333333
				if zero {
					reset = 0
				}
				list = said(list, at+0.01-late, outServer, inClient, "RA", reset, seq+1, "")
			}
			captures[side] = list
		}
		c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
		joined := 0
		for i := range c.Crossings {
			if x := &c.Crossings[i]; x.Basis == basis && x.Seen[Inside].Proto == ProtoTCP && x.Seen[Outside].Start-x.Seen[Inside].Start == 1e6 {
				joined++
			}
		}
		if joined != connections {
			t.Errorf("%d of %d connections are joined by %v", joined, connections, basis)
		}
	}
}

// TestCompareCrowdedPayload has flows of one pair of addresses and ports that
// differ in what they carry, with clocks that differ by hours.
func TestCompareCrowdedPayload(t *testing.T) {
	const exchanges = 300
	var in []pcaps.Packet
	for i := range exchanges {
		in = said(in, float64(i)*240, inClient, outServer, "udp", 0, 0, fmt.Sprintf("question %d", i))
		in = said(in, float64(i)*240+0.02, outServer, inClient, "udp", 0, 0, fmt.Sprintf("answer %d", i))
	}
	out := beyond(in, 1e6, nil)[100:]
	for i := range out {
		out[i].Time -= 7777 * second
	}
	c := Compare(vantage(in), vantage(out), CompareOptions{})
	joined := 0
	for i := range c.Crossings {
		if x := &c.Crossings[i]; x.Fate == Crossed && x.Basis == ByAddresses && x.Matched == (Pair{1, 1}) {
			joined++
		}
	}
	if joined != exchanges-50 || c.Clock.Offset != -7777*second {
		t.Errorf("%d exchanges are joined, offset %d", joined, c.Clock.Offset)
	}
}

func TestClockOf(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	// samples went for an hour there and back, the least delay 2 ms out and 1 ms in.
	samples := func(offset int64, ppm float64) (s [2][]clockSample) {
		for i := range 4000 {
			at := int64(i) * second
			ahead := offset + int64(ppm*float64(at)/1e6)
			s[0] = append(s[0], clockSample{at, ahead + 2e6 + int64(random.ExpFloat64()*3e6)})
			s[1] = append(s[1], clockSample{at, ahead - 1e6 - int64(random.ExpFloat64()*3e6)})
		}
		return s
	}
	for _, offset := range []int64{0, -5e9, 7200e9} {
		for _, ppm := range []float64{0, 15, -40} {
			c := clockOf(samples(offset, ppm))
			middle := offset + int64(ppm*1999.5e9/1e6)
			if !c.Known || c.Unsteady || middle < c.Offset-c.Error || middle > c.Offset+c.Error || c.RoundTrip < 2.5e6 || c.RoundTrip > 4e6 {
				t.Errorf("%d ns and %g ppm: %+v does not hold %d", offset, ppm, c, middle)
			}
			if d := c.Drift - ppm; ppm == 0 && c.Drift != 0 || d > 0.5 || d < -0.5 {
				t.Errorf("%d ns and %g ppm: drift %g", offset, ppm, c.Drift)
			}
		}
	}
	// A clock that is set in between.
	s := samples(0, 0)
	for travel := range s {
		for i := range s[travel][2000:] {
			s[travel][2000+i].d += 500e6
		}
	}
	if c := clockOf(s); !c.Unsteady {
		t.Errorf("a clock that was set: %+v", c)
	}
	// One way only.
	s = samples(1e9, 0)
	if c := clockOf([2][]clockSample{s[0], nil}); c.Known || !c.OneWay || c.Offset < 1e9+2e6 || c.Offset > 1e9+3e6 {
		t.Errorf("one way: %+v", c)
	}
	if c := clockOf([2][]clockSample{}); c.Known || c.OneWay {
		t.Errorf("nothing: %+v", c)
	}
}
