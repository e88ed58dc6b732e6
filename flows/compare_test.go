package flows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
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

// TestCompareAlikeClose has a client reset a connection twice, a few milliseconds
// apart and with nothing that tells the two from each other, while a packet takes
// three times as long as that between the places; and then with one of the resets, or one
// of three, lost.
func TestCompareAlikeClose(t *testing.T) {
	for _, test := range []struct {
		resets int
		lost   map[int]bool
	}{{2, nil}, {3, nil}, {2, map[int]bool{1: true}}, {3, map[int]bool{0: true}}, {3, map[int]bool{1: true}}} {
		in := conversation(5, 200)
		first := len(in)
		for i := range test.resets {
			in = said(in, 0.150+0.0035*float64(i), inClient, outServer, "R", 2001, 0, "")
			clear(in[len(in)-1].Data[18:20]) // no identification
		}
		out := beyond(in, 10e6, func(i int, _ *pcaps.Packet) bool { return !test.lost[i-first] })
		c := Compare(vantage(in), vantage(out), CompareOptions{})
		x := &c.Crossings[0]
		came := uint64(7 + test.resets - len(test.lost))
		if len(c.Crossings) != 1 || x.Matched[ToServer] != came || x.Lost[ToServer] != uint64(len(test.lost)) || x.Uncaptured[ToServer] != 0 {
			t.Errorf("%d resets, %d lost: %v matched, %v lost, %v not captured", test.resets, len(test.lost), x.Matched, x.Lost, x.Uncaptured)
		}
		if d := x.Delay[ToServer]; d.Min != 10e6 || d.P95 != 10e6 {
			t.Errorf("%d resets, %d lost: delays %+v", test.resets, len(test.lost), d)
		}
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

// recut cuts the segments of packets anew, of size bytes at most.
func recut(packets []pcaps.Packet, size int) (out []pcaps.Packet) {
	for _, p := range packets {
		data := p.Data[54:]
		for at := 0; at == 0 || at < len(data); at += size {
			part := data[at:min(at+size, len(data))]
			q := p
			q.Data = append(bytes.Clone(p.Data[:54]), part...)
			q.WireLen = len(q.Data)
			binary.BigEndian.PutUint16(q.Data[16:], uint16(40+len(part)))
			binary.BigEndian.PutUint32(q.Data[38:], binary.BigEndian.Uint32(q.Data[38:])+uint32(at))
			out = append(out, q)
		}
	}
	return out
}

// transfer is a connection in which the client sends n segments of size bytes,
// and each second one is acknowledged.
func transfer(n, size int) []pcaps.Packet {
	p := conversation(0, 0)
	seq := uint32(1001)
	for i := range n {
		at := 0.03 + float64(i)*0.002
		p = said(p, at, inClient, outServer, "A", seq, 5001, string(bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2)))
		seq += uint32(size)
		if i%2 == 1 {
			p = said(p, at+0.001, outServer, inClient, "A", 5001, seq, "")
		}
	}
	return p
}

// TestCompareRecut has segments of 536 bytes on the one side and of 1460 on the
// other, in flows that are kept whole and in such that are sampled: nothing is
// lost. When segments are lost and sent again, that shows.
func TestCompareRecut(t *testing.T) {
	for _, segments := range []int{6, 40, 400, 4000} {
		for cut := range Side(2) {
			for _, lose := range []bool{false, true} {
				in := transfer(segments, 1460)
				lost, again := uint64(0), 0
				if lose {
					var with []pcaps.Packet
					for i, p := range in {
						with = append(with, p)
						if len(p.Data) > 1000 && i%10 == 4 {
							p.Time += 1e6 / 2
							p.Data = bytes.Clone(p.Data)
							binary.BigEndian.PutUint16(p.Data[18:], uint16(30000+i))
							with = append(with, p)
							again++
						}
					}
					in = with
				}
				gone := map[uint32]bool{}
				out := beyond(in, 1e5, func(_ int, p *pcaps.Packet) bool {
					seq := binary.BigEndian.Uint32(p.Data[38:])
					if id := binary.BigEndian.Uint16(p.Data[18:]); lose && len(p.Data) > 1000 && id < 30000 && (id-1)%10 == 4 && !gone[seq] {
						gone[seq] = true
						lost++
						return false
					}
					return true
				})
				captures := [2][]pcaps.Packet{in, out}
				captures[cut] = recut(captures[cut], 536)
				c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
				x := &c.Crossings[0]
				want := Crossed
				if lose {
					want = Lossy
				}
				if len(c.Crossings) != 1 || x.Fate != want || !c.Regrouped || c.Places[Inside].Missed+c.Places[Outside].Missed != 0 {
					t.Errorf("%d segments, cut %s, lossy %t: %v %v, regrouped %t, %v lost of %v, %v bytes, missed %d and %d", segments, cut, lose, x.Fate, x.Dirs, c.Regrouped,
						x.Lost, x.Compared, x.LostBytes, c.Places[Inside].Missed, c.Places[Outside].Missed)
				}
				if x.LostBytes[ToServer] != lost*1460 {
					t.Errorf("%d segments, cut %s: %d bytes lost, want %d", segments, cut, x.LostBytes[ToServer], lost*1460)
				}
			}
		}
	}
}

// several is what flows of both kinds between the same hosts send and are
// answered, for some seconds, with ports 1 to n of the server: odd ones are
// TCP.
func several(n int, from, until float64) (list []pcaps.Packet) {
	type numbers struct{ seq, ack uint32 }
	tcp := map[int]*numbers{}
	for at := from; at < until; at += 0.02 {
		for port := 1; port <= n; port++ {
			client, server := fmt.Sprintf("10.1.0.1:%d", 40000+port), fmt.Sprintf("10.9.0.2:%d", port)
			at := at + float64(port)*0.001
			if port%2 == 0 {
				list = said(list, at, client, server, "udp", 0, 0, fmt.Sprintf("question %d %f", port, at))
				list = said(list, at+0.004, server, client, "udp", 0, 0, fmt.Sprintf("answer %d %f", port, at))
				continue
			}
			k := tcp[port]
			if k == nil {
				k = &numbers{uint32(port * 7777777), uint32(port * 3333333)}
				tcp[port] = k
				list = said(list, at-0.003, client, server, "S", k.seq-1, 0, "")
				list = said(list, at-0.002, server, client, "SA", k.ack-1, k.seq, "")
				list = said(list, at-0.001, client, server, "A", k.seq, k.ack, "")
			}
			list = said(list, at, client, server, "PA", k.seq, k.ack, fmt.Sprintf("%099d", port))
			k.seq += 99
			list = said(list, at+0.004, server, client, "PA", k.ack, k.seq, fmt.Sprintf("%049d", port))
			k.ack += 49
		}
	}
	return list
}

// TestCompareHole has a capture lack all frames of a fifth of a second: none of
// what was sent then is held against what is between, and what was sent at
// other times is.
func TestCompareHole(t *testing.T) {
	for side := range Side(2) {
		for _, until := range []float64{3, 1.15} { // one ends in the hole
			list := several(4, 0, until)
			if until < 3 {
				list = append(list, several(3, until, 3)...)
			}
			list = said(list, 1.1, "10.1.0.1:50000", "10.9.0.2:53", "udp", 0, 0, "asked in the hole")
			list = said(list, 1.11, "10.9.0.2:53", "10.1.0.1:50000", "udp", 0, 0, "answered in the hole")
			list = said(list, 2, "10.1.0.1:50001", "10.9.0.2:99", "udp", 0, 0, "dropped")
			slices.SortStableFunc(list, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
			captures := [2][]pcaps.Packet{list, beyond(list, 1e6, func(_ int, p *pcaps.Packet) bool { return p.Data[37] != 99 })}
			captures[side] = slices.DeleteFunc(captures[side], func(p pcaps.Packet) bool {
				return p.Time > epoch+second && p.Time < epoch+second*12/10
			})
			c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
			holes := c.Places[side].Holes
			if len(holes) != 1 || !holes[0].Proven || holes[0].From < epoch+second*98/100 || holes[0].Until > epoch+second*122/100 || len(c.Places[side.Other()].Holes) != 0 {
				t.Errorf("%s: holes %+v", side, holes)
			}
			if c.Places[Inside].Missed+c.Places[Outside].Missed != 0 {
				t.Errorf("%s: what is missing in the hole counts as loss elsewhere: %+v", side, c.Places)
			}
			for i := range c.Crossings {
				x := &c.Crossings[i]
				switch port := x.Near().Server.Port(); {
				case port == 99 && x.Fate == Dropped:
				case port == 53 && x.Fate == Undecided && x.Doubt == InHole:
				case port <= 3 && x.Fate == Crossed && (x.Ending == AcrossHole || until < 3):
				case port == 4 && until == 3 && x.Fate == Crossed && x.Ending == AcrossHole:
				case port == 4 && until < 3 && x.Fate == Undecided && x.Doubt == InHole:
				default:
					t.Errorf("%s until %g: port %d: %v %v %v", side, until, port, x.Fate, x.Doubt, x.Ending)
				}
			}
		}
	}
}

// TestCompareHoleInTransfer has a hole in one capture of a long transfer, of which
// marks are a sample: the first and the last packets of the two captures are not
// the same ones.
func TestCompareHoleInTransfer(t *testing.T) {
	in := transfer(3000, 1000)
	for side := range Side(2) {
		for _, from := range []int64{1, 200, 5600} { // milliseconds; the transfer takes six seconds
			captures := [2][]pcaps.Packet{slices.Clone(in), beyond(in, 1e5, nil)}
			low := epoch + 40e6 + from*1e6
			captures[side] = slices.DeleteFunc(captures[side], func(p pcaps.Packet) bool { return p.Time > low && p.Time < low+190e6 })
			c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
			if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate.Between() || x.Lost != (Pair{}) || len(c.Places[side].Holes) != 1 {
				t.Errorf("%s from %d ms: %v %v %v, %v lost of %v, holes %+v", side, from, x.Fate, x.Doubt, x.Dirs, x.Lost, x.Compared, c.Places[side].Holes)
			}
		}
	}
}

// TestCompareHoleFirst has a transfer begin while one capture has a hole, and
// another flow show first that it has ended.
func TestCompareHoleFirst(t *testing.T) {
	const until = epoch + second*12/10
	long := transfer(1000, 1000)
	for i := range long {
		long[i].Time += second*6/10 + 3*(long[i].Time-epoch)
	}
	after := slices.IndexFunc(long, func(p pcaps.Packet) bool { return p.Time > until })
	list := said(several(2, 0, 0.5), float64(long[after].Time-epoch)/1e9-0.0035, "10.1.0.1:50000", "10.9.0.2:53", "udp", 0, 0, "question")
	list = append(list, long...)
	slices.SortStableFunc(list, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
	for side := range Side(2) {
		captures := [2][]pcaps.Packet{slices.Clone(list), beyond(list, 1e5, nil)}
		captures[side] = slices.DeleteFunc(captures[side], func(p pcaps.Packet) bool {
			return p.Time > epoch+second*6/10 && p.Time < long[after].Time-36e5
		})
		c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
		for i := range c.Crossings {
			if x := &c.Crossings[i]; x.Fate.Between() || x.Lost != (Pair{}) || len(c.Places[side].Holes) != 1 {
				t.Errorf("%s: port %d: %v %v, %v packets and %v bytes lost of %v, holes %+v", side, x.Near().Server.Port(), x.Fate, x.Dirs, x.Lost, x.LostBytes, x.Compared, c.Places[side].Holes)
			}
		}
	}
}

// TestCompareChance takes a share of the packets out of one capture, at random.
// Of many flows some then lack much more than others, of long ones the capture
// shows what it lacks in the direction of the payload alone: none of this is held
// against what is between. What is, shows all the same.
func TestCompareChance(t *testing.T) {
	const gone = 3 // the flow of which the path loses a third
	for _, shape := range []struct{ flows, segments int }{{700, 30}, {6, 3000}} {
		var in []pcaps.Packet
		for f := range shape.flows {
			client, server := fmt.Sprintf("10.1.0.1:%d", 20000+f), outServer
			sender, receiver := client, server
			if f%2 == 1 { // the server sends
				sender, receiver = server, client
			}
			at, seq := float64(f)*0.003, uint32(f*1234567)
			in = said(in, at, client, server, "S", seq-1, 0, "")
			in = said(in, at+0.001, server, client, "SA", seq-1, seq, "")
			in = said(in, at+0.002, client, server, "A", seq, seq, "")
			for k := range uint32(shape.segments) {
				at += 0.004
				in = said(in, at, sender, receiver, "PA", seq+k*100, seq, strings.Repeat("x", 100))
				in = said(in, at+0.001, receiver, sender, "A", seq, seq+k*100+100, "")
			}
		}
		slices.SortStableFunc(in, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
		random := rand.New(rand.NewPCG(2, 7))
		for _, percent := range []int{1, 2, 5} {
			for side := range Side(2) {
				// Packets that arrived are acknowledged: it loses acknowledgements.
				out := beyond(in, 1e5, func(_ int, p *pcaps.Packet) bool {
					return binary.BigEndian.Uint16(p.Data[34:]) != 20000+gone || p.Data[47] != flagACK || random.IntN(3) > 0
				})
				captures := [2][]pcaps.Packet{slices.Clone(in), out}
				captures[side] = slices.DeleteFunc(captures[side], func(pcaps.Packet) bool { return random.IntN(100) < percent })
				c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
				for i := range c.Crossings {
					x := &c.Crossings[i]
					if lossy := x.Near().Client.Port() == 20000+gone; x.Fate.Between() && !lossy || lossy && x.Fate != Lossy && percent < 5 {
						t.Errorf("%d flows without %d %% %s: flow %d: %v %v, %v lost of %v", shape.flows, percent, side, x.Near().Client.Port()-20000, x.Fate, x.Dirs, x.Lost, x.Compared)
					}
				}
				rate := [2]float64{c.Places[Inside].LossRate(), c.Places[Outside].LossRate()}
				if want := float64(percent) / 100; rate[side] < want*0.8 || rate[side] > want*1.2 || rate[1-side] > want/10 {
					t.Errorf("%d flows without %d %% %s: loss rates %.4f", shape.flows, percent, side, rate)
				}
			}
		}
	}
}

// TestCompareEndedEarly has the outside capture end long before the inside one: what
// came later and was not answered is not held against what is between, as flows to
// the same server were.
func TestCompareEndedEarly(t *testing.T) {
	for _, answered := range []bool{true, false} {
		list := said(nil, 0, inClient, outServer, "udp", 0, 0, "question")
		list = said(list, 0.01, outServer, inClient, "udp", 0, 0, "answer")
		for i := range 20 {
			at := 5 + float64(i)*3
			if !answered {
				list = said(list, at, "10.1.0.1:50001", "10.9.0.2:8001", "S", 1000, 0, "")
			} else {
				list = said(list, at, "10.1.0.1:50001", "10.9.0.2:8001", "PA", uint32(1000+10*i), 5000, "0123456789")
				list = said(list, at+0.01, "10.9.0.2:8001", "10.1.0.1:50001", "A", 5000, uint32(1010+10*i), "")
			}
		}
		list = said(list, 30, "10.1.0.1:50002", "10.9.0.2:8002", "S", 77, 0, "")
		slices.SortStableFunc(list, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
		out := beyond(list, 1e6, func(_ int, p *pcaps.Packet) bool { return p.Time < epoch+second })
		c := Compare(vantage(list), vantage(out), CompareOptions{})
		var got [fates]int
		for i := range c.Crossings {
			got[c.Crossings[i].Fate]++
		}
		// Without an answer it is taken for granted that the capture ran, and counted.
		if answered && (got[NotCompared] != 2 || got[Crossed] != 1) || !answered && (got[Dropped] != 2 || c.Places[Outside].Silent != 2) {
			t.Errorf("answered %t: fates %v, %d behind the end", answered, got, c.Places[Outside].Silent)
		}
	}
}

// TestCompareRefusedBeyond has one capture lack a request and the host's own ICMP
// error: that it was something between that refused is not known.
func TestCompareRefusedBeyond(t *testing.T) {
	list := said(nil, 0, inClient, outServer, "udp", 0, 0, "question")
	list = said(list, 0.01, outServer, inClient, "udp", 0, 0, "answer")
	for i, from := range []string{"10.9.0.2:0", "10.1.0.254:0"} {
		client := fmt.Sprintf("10.1.0.1:%d", 50001+i)
		list = said(list, 1+float64(i), client, "10.9.0.2:53", "udp", 0, 0, "asked")
		asked := list[len(list)-1].Data[14:]
		list = said(list, 1.01+float64(i), from, "10.1.0.1:0", "icmp:3/3", 0, 0, string(asked))
	}
	out := beyond(list[:2], 1e6, nil)
	c := Compare(vantage(list), vantage(out), CompareOptions{})
	for i := range c.Crossings {
		x := &c.Crossings[i]
		want, doubt := Undecided, FromBeyond
		switch x.Near().Client.Port() {
		case 40000:
			want, doubt = Crossed, NoDoubt
		case 50002:
			want, doubt = Rejected, NoDoubt
		}
		if x.Fate != want || x.Doubt != doubt {
			t.Errorf("%s: %v %v, want %v %v", x.Near().Client, x.Fate, x.Doubt, want, doubt)
		}
	}
	if len(c.Crossings) != 3 {
		t.Errorf("%d flows", len(c.Crossings))
	}
}

// TestCompareStandstill has something between stop one of several flows for a
// while: that is no hole.
func TestCompareStandstill(t *testing.T) {
	list := several(4, 0, 3)
	out := beyond(list, 1e6, func(_ int, p *pcaps.Packet) bool {
		return p.Data[37] != 2 || p.Time < epoch+second || p.Time > epoch+second*12/10
	})
	c := Compare(vantage(list), vantage(out), CompareOptions{})
	for i := range c.Crossings {
		x := &c.Crossings[i]
		want := Crossed
		if x.Near().Server.Port() == 2 {
			want = Lossy
		}
		if x.Fate != want {
			t.Errorf("port %d: %v %v %v", x.Near().Server.Port(), x.Fate, x.Doubt, x.Ending)
		}
	}
	if len(c.Places[Inside].Holes)+len(c.Places[Outside].Holes) > 0 {
		t.Errorf("%+v", c.Places)
	}
}

// TestCompareFirewallsOwn has the inside capture show a session with the firewall
// itself, from the beginning to the end. It does not say that what the outside
// capture has not was there while that was not running.
func TestCompareFirewallsOwn(t *testing.T) {
	var list []pcaps.Packet
	for i := range 40 {
		list = said(list, float64(i)*0.5, "10.1.0.1:50000", "10.1.0.254:22", "PA", uint32(1000+10*i), uint32(5000+10*i), "0123456789")
		list = said(list, float64(i)*0.5+0.001, "10.1.0.254:22", "10.1.0.1:50000", "PA", uint32(5000+10*i), uint32(1010+10*i), "9876543210")
	}
	for i, at := range []float64{2, 15} {
		list = said(list, at, fmt.Sprintf("10.1.0.1:%d", 51000+i), "10.9.0.2:8003", "S", uint32(70000*i+9), 0, "")
		list = said(list, at+1, fmt.Sprintf("10.1.0.1:%d", 51000+i), "10.9.0.2:8004", "S", uint32(80000*i+8), 0, "")
		list = said(list, at+1.001, "10.9.0.2:8004", fmt.Sprintf("10.1.0.1:%d", 51000+i), "RA", 0, uint32(80000*i+9), "")
		list[len(list)-1].Data[22] = 255 // not the server's
	}
	list = said(list, 8, inClient, outServer, "udp", 0, 0, "question")
	list = said(list, 8.01, outServer, inClient, "udp", 0, 0, "answer")
	slices.SortStableFunc(list, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
	router := []byte{2, 0, 0, 0, 0, 99} // it is what leads across
	for i := range list {
		if p := list[i].Data; p[33] == 1 {
			copy(p[6:12], router)
		} else {
			copy(p[:6], router)
		}
	}
	out := beyond(list, 1e6, func(_ int, p *pcaps.Packet) bool { return p.Data[23] == ProtoUDP })
	c := Compare(vantage(list), vantage(out), CompareOptions{})
	var got [fates]int
	for i := range c.Crossings {
		got[c.Crossings[i].Fate]++
	}
	if got[Dropped] != 2 || got[Rejected] != 2 || got[Answered] != 1 || got[Crossed] != 1 {
		t.Errorf("fates %v", got)
	}
}

// TestCompareCutAlone has the only flow of both captures cut off: nothing else
// shows that the place was still recorded. A connection waits for an answer in
// vain; of datagrams that nobody answers it cannot be told.
func TestCompareCutAlone(t *testing.T) {
	connection := conversation(10, 200)
	at := float64(connection[len(connection)-1].Time-epoch) / 1e9
	for i, wait := range []float64{0.1, 0.3, 0.7, 1.5, 3.1, 6.3} {
		connection = said(connection, at+wait, inClient, outServer, "PA", 3001, 5081, "again")
		connection[len(connection)-1].Data[18] = byte(100 + i)
	}
	var datagrams []pcaps.Packet
	for i := range 100 {
		datagrams = said(datagrams, float64(i)*0.1, inClient, outServer, "udp", 0, 0, fmt.Sprintf("datagram %d", i))
	}
	for _, test := range []struct {
		packets []pcaps.Packet
		until   int64
		fate    Fate
		doubt   Doubt
	}{
		{connection, epoch + int64(at*1e9) + second/100, CutOff, NoDoubt},
		{datagrams, epoch + 3*second, Undecided, MayHaveEnded},
	} {
		out := beyond(test.packets, 1e6, func(_ int, p *pcaps.Packet) bool { return p.Time <= test.until })
		c := Compare(vantage(test.packets), vantage(out), CompareOptions{})
		if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate != test.fate || x.Doubt != test.doubt {
			t.Errorf("%v %v, want %v %v", x.Fate, x.Doubt, test.fate, test.doubt)
		}
		// Frames that a filter took away show that it was.
		c = Compare(vantage(test.packets), vantage(out), CompareOptions{Ran: [2][2]int64{{}, {epoch, epoch + 20*second}}})
		if x := &c.Crossings[0]; x.Fate != CutOff {
			t.Errorf("%v %v, want cut", x.Fate, x.Doubt)
		}
	}
}

// TestCompareOpenedBetween has something answer the opening in the server's name
// before it opens the connection itself, with a number of its own (a SYN proxy).
func TestCompareOpenedBetween(t *testing.T) {
	const own, its = 900_000, 5000
	for _, server := range []string{"answers", "refuses", "is silent"} {
		var in, out []pcaps.Packet
		for _, side := range []*[]pcaps.Packet{&in, &out} { // gives the clock
			for i := range 5 {
				at, late := float64(i)*0.1, 0.0001
				if side == &in {
					late = 0
				}
				*side = said(*side, at+late, "10.1.0.1:7000", "10.9.0.2:7001", "udp", 0, 0, fmt.Sprintf("question %d", i))
				*side = said(*side, at+0.01-late, "10.9.0.2:7001", "10.1.0.1:7000", "udp", 0, 0, fmt.Sprintf("answer %d", i))
			}
		}
		in = said(in, 1, inClient, outServer, "S", 1000, 0, "")
		in = said(in, 1.001, outServer, inClient, "SA", own, 1001, "")
		in = said(in, 1.011, inClient, outServer, "A", 1001, own+1, "")
		out = said(out, 1.012, inClient, outServer, "S", 1000, 0, "")
		want, ending := Crossed, OpenedBetween
		switch server {
		case "answers":
			out = said(out, 1.030, outServer, inClient, "SA", its, 1001, "")
			out = said(out, 1.031, inClient, outServer, "A", 1001, its+1, "")
			in = said(in, 1.032, outServer, inClient, "A", own+1, 1001, "") // opens the window
			for i := range uint32(5) {
				at := 1.1 + float64(i)*0.1
				in = said(in, at, inClient, outServer, "PA", 1001+10*i, own+1+10*i, "0123456789")
				out = said(out, at+0.0001, inClient, outServer, "PA", 1001+10*i, its+1+10*i, "0123456789")
				out = said(out, at+0.02, outServer, inClient, "PA", its+1+10*i, 1011+10*i, "9876543210")
				in = said(in, at+0.0201, outServer, inClient, "PA", own+1+10*i, 1011+10*i, "9876543210")
			}
		case "refuses":
			ending = Refused
			out = said(out, 1.030, outServer, inClient, "RA", 0, 1001, "")
			in = said(in, 1.031, outServer, inClient, "RA", own+1, 1001, "")
		default:
			ending = Unanswered
			for i := range uint32(3) {
				in = said(in, 1.1+float64(i), inClient, outServer, "PA", 1001, own+1, "0123456789")
				out = said(out, 2+float64(i), inClient, outServer, "S", 1000, 0, "")
			}
		}
		c := Compare(vantage(in), vantage(out), CompareOptions{})
		for i := range c.Crossings {
			if x := &c.Crossings[i]; x.Near().Proto == ProtoTCP && (x.Fate != want || x.Ending != ending) {
				t.Errorf("the server %s: %v %v %v, %v lost", server, x.Fate, x.Doubt, x.Ending, x.Lost)
			}
		}
		if c.Clock.Unsteady || c.Places[Inside].Missed+c.Places[Outside].Missed > 0 || c.Clock.RoundTrip != 200_000 {
			t.Errorf("the server %s: %+v, missed %d and %d", server, c.Clock, c.Places[Inside].Missed, c.Places[Outside].Missed)
		}
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

// TestCompareSnapLengthTranslated has datagrams through address translation and one
// capture with a snap length: their beginnings find them again, and where too
// little of them is left it is not known what became of them.
func TestCompareSnapLengthTranslated(t *testing.T) {
	for _, snap := range []int{64, 50} {
		for cut := range Side(2) {
			var captures [2][]pcaps.Packet
			for side := range captures {
				late := 0.001 * float64(side)
				list := said(nil, late, "10.1.0.5:7000", "10.9.0.2:7001", "S", 1000, 0, "") // gives the clock
				list = said(list, 0.01-late, "10.9.0.2:7001", "10.1.0.5:7000", "RA", 0, 1001, "")
				for n := range 20 {
					client := []string{fmt.Sprintf("10.1.0.1:%d", 5000+n), fmt.Sprintf("198.51.100.1:%d", 61000+7*n)}[side]
					for i := range 30 {
						at := 1 + float64(n)*0.01 + float64(i)*0.2
						list = said(list, at+late, client, "10.9.0.2:53", "udp", 0, 0, fmt.Sprintf("question %d of %d %080d", i, n, i))
						list = said(list, at+0.05-late, "10.9.0.2:53", client, "udp", 0, 0, fmt.Sprintf("answer %d of %d %080d", i, n, i))
					}
				}
				slices.SortStableFunc(list, func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
				captures[side] = list
			}
			for i := range captures[cut] {
				if p := &captures[cut][i]; p.Data[23] == ProtoUDP {
					p.Data = p.Data[:min(len(p.Data), snap)]
				}
			}
			c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{})
			var got [fates]int
			for i := range c.Crossings {
				x := &c.Crossings[i]
				got[x.Fate]++
				if x.Fate == Undecided && x.Doubt != CutShort {
					t.Errorf("%v", x.Doubt)
				}
				if x.Fate == Crossed && x.Near().Client.Port() != 7000 && x.Far().Client.Port() != 61000+7*(x.Near().Client.Port()-5000) {
					t.Errorf("%s is taken to be %s", x.Near().Client, x.Far().Client)
				}
			}
			if snap == 64 && got[Crossed] != 21 || snap == 50 && (got[Crossed] != 1 || got[Undecided] < 20 || got[Undecided]+1 != len(c.Crossings)) {
				t.Errorf("snap length %d %s: fates %v", snap, cut, got)
			}
		}
	}
}

// TestCompareTail leaves out what a program that is stopped was not yet given: the
// end of a capture, up to a second of it. Nothing between has done that.
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

// TestCompareAlike has a flow whose packets are all the same, and one capture that
// began later. Which packet is which is told by time where other packets give the
// clock; otherwise the clock is a guess, and no delay is claimed.
func TestCompareAlike(t *testing.T) {
	for _, known := range []bool{true, false} {
		for late := range Side(2) {
			for _, ends := range []int64{30, 27} {
				var captures [2][]pcaps.Packet
				for side := range captures {
					way := 0.002 * float64(side)
					for i := range 30 {
						captures[side] = said(captures[side], float64(i)+way, inClient, outServer, "udp", 0, 0, "heartbeat")
						captures[side] = said(captures[side], float64(i)+0.01-way, outServer, inClient, "udp", 0, 0, "alive")
					}
					for i := range captures[side] {
						clear(captures[side][i].Data[18:20]) // no identification
					}
					for i := range 3 {
						if !known {
							break
						}
						captures[side] = said(captures[side], 10.5+float64(i)+way, inClient, outServer, "udp", 0, 0, fmt.Sprintf("question %d", i))
						captures[side] = said(captures[side], 10.51+float64(i)-way, outServer, inClient, "udp", 0, 0, fmt.Sprintf("answer %d", i))
					}
					slices.SortStableFunc(captures[side], func(a, b pcaps.Packet) int { return int(a.Time - b.Time) })
				}
				captures[late] = slices.DeleteFunc(captures[late], func(p pcaps.Packet) bool { return p.Time < epoch+3*second-second/2 })
				captures[late.Other()] = slices.DeleteFunc(captures[late.Other()], func(p pcaps.Packet) bool { return p.Time > epoch+ends*second-second/2 })
				c := Compare(vantage(captures[Inside]), vantage(captures[Outside]), CompareOptions{Slow: 1e6})
				x := &c.Crossings[0]
				if len(c.Crossings) != 1 || x.Fate != Crossed || x.Delayed != 0 || c.Clock.Guessed == known || c.Clock.Known != known || (x.Delay[0].Packets > 0) != known || known && (c.Clock.Offset < -5e6 || c.Clock.Offset > 5e6) {
					t.Errorf("clock known %t, %s late, until %d: %v %v, delay %v, delayed %d, %+v", known, late, ends, x.Fate, x.Lost, x.Delay, x.Delayed, c.Clock)
				}
			}
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

// TestCompareAcknowledgementsMissing has one acknowledgement of a short flow in one
// capture alone, which may lack it: nothing would show that. Of several it is not
// likely.
func TestCompareAcknowledgementsMissing(t *testing.T) {
	in := transfer(40, 1000)
	for missing, want := range map[int]Fate{1: Crossed, 8: Lossy} {
		n := 0
		out := beyond(in, 1e5, func(_ int, p *pcaps.Packet) bool { return true })
		in := slices.DeleteFunc(slices.Clone(in), func(p pcaps.Packet) bool {
			if p.Data[27] == 9 && p.Data[47] == flagACK {
				n++
				return n <= missing
			}
			return false
		})
		c := Compare(vantage(in), vantage(out), CompareOptions{})
		if x := &c.Crossings[0]; len(c.Crossings) != 1 || x.Fate != want || x.Lost != (Pair{0, uint64(missing)}) {
			t.Errorf("%d missing: %v %v, %v lost of %v", missing, x.Fate, x.Dirs, x.Lost, x.Compared)
		}
	}
}
