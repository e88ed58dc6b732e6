package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wirechart/pcaps"
)

// moved is packets with the one at place from, counted from 1, taken to place to,
// and numbered anew. The times of all stay what they are.
func moved(packets []pcaps.Packet, from, to int) []pcaps.Packet {
	list := slices.Clone(packets)
	p := list[from-1]
	list = slices.Insert(slices.Delete(list, from-1, from), to-1, p)
	for i := range list {
		list[i].Frame = pcaps.MakeFrameID(0, uint64(i+1))
	}
	return list
}

// TestErrorFirst has ICMP errors captured before the packets that they quote: of
// the flows everything is as it is in order.
func TestErrorFirst(t *testing.T) {
	for _, c := range []struct {
		name, script string
		from, to     int
	}{
		{"a SYN that is prohibited", `
			0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.001 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1
			1.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`, 2, 1},
		{"a datagram over IPv6 to a closed port", `
			0.000 [fd00::2]:4000 > [fd00::1]:161 udp data=?
			0.001 [fd00::1]:0 > [fd00::2]:0 icmp:1/4 quote=1`, 2, 1},
		{"echoes", `
			0.000 10.0.0.1:0 > 10.0.0.9:0 icmp:8/0 echo=77 seq=1
			0.001 10.0.0.254:0 > 10.0.0.1:0 icmp:11/0 quote=1`, 2, 1},
		{"a segment that is too large for a link, before all of a connection", handshake + `
			0.031 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=?hello
			0.032 10.0.0.254:0 > 10.0.0.1:0 icmp:3/4 quote=4`, 5, 1},
		{"ports used again after a silence", `
			0.000 10.0.0.1:4000 > 10.0.0.2:161 udp data=?
			400.000 10.0.0.1:4000 > 10.0.0.2:161 udp data=?
			400.001 10.0.0.2:0 > 10.0.0.1:0 icmp:3/3 quote=2`, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets := frames(t, c.script)
			want := play(t, packets, limits()).flows
			got := play(t, moved(packets, c.from, c.to), limits()).flows
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) || !strings.Contains(strings.Join(want, "\n"), " icmp:") {
				t.Errorf("flows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestErrorWaits has an ICMP error wait for its flow: not for longer than packets
// are late, not behind too many others, and for one flow alone.
func TestErrorWaits(t *testing.T) {
	syn := frames(t, `
		0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
		0.001 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1`)
	in := func(seconds float64, p pcaps.Packet) pcaps.Packet {
		p.Time = epoch + int64(seconds*1e9)
		return p
	}
	others := func(n int) (list []pcaps.Packet) {
		for i := range n {
			quoted := frames(t, fmt.Sprintf("0 10.0.0.1:%d > 10.0.0.3:80 S seq=1\n0.001 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1", 5000+i))
			list = append(list, quoted[1])
		}
		return list
	}
	for _, c := range []struct {
		name    string
		packets []pcaps.Packet
		errors  int // of the flow that is quoted
	}{
		{"shortly", []pcaps.Packet{in(0, syn[1]), in(0.9, syn[0])}, 1},
		{"with a clock that goes back", []pcaps.Packet{in(0.9, syn[1]), in(0, syn[0])}, 1},
		{"for too long", []pcaps.Packet{in(0, syn[1]), in(1.1, syn[0])}, 0},
		{"among others", slices.Concat(syn[1:2], others(maxOrphans-1), syn[:1]), 1},
		{"behind too many", slices.Concat(syn[1:2], others(maxOrphans), syn[:1]), 0},
		{"more than are kept of a flow", slices.Concat(frames(t, `
			0.0 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
			0.0 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1
			0.0 10.0.0.251:0 > 10.0.0.1:0 icmp:3/13 quote=1
			0.0 10.0.0.252:0 > 10.0.0.1:0 icmp:3/13 quote=1
			0.0 10.0.0.253:0 > 10.0.0.1:0 icmp:3/13 quote=1
			0.0 10.0.0.250:0 > 10.0.0.1:0 icmp:3/13 quote=1`)[1:], syn[:1]), maxErrors},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := moved(c.packets, 1, 1)
			r := play(t, list, limits())
			for _, f := range tracked(list) {
				if f.Proto == ProtoTCP && len(f.ICMP) != c.errors {
					t.Errorf("%d errors, want %d", len(f.ICMP), c.errors)
				}
			}
			if n := len(r.table.orphans); n > maxOrphans {
				t.Errorf("%d errors wait", n)
			}
		})
	}
}

// TestErrorFirstTold has the frame of an error that came before its flow among
// what a Watch tells and a Vantage notes of that.
func TestErrorFirstTold(t *testing.T) {
	packets := moved(frames(t, `
		0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
		0.001 10.0.0.254:0 > 10.0.0.1:0 icmp:3/13 quote=1
		1.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100`), 2, 1)
	stories := retell(t, packets, nil, 2)
	if got, want := stories[0].tells(), "1 < icmp 3/13 from 10.0.0.254\n2 > S 0:0 len 0\n3 > S 0:0 len 0 again\n"; got != want {
		t.Errorf("told\n%swant\n%s", got, want)
	}
	p, _ := vantage(packets).finish()
	if len(p) != 1 || len(p[0].Errors) != 1 || p[0].Errors[0].Frame != packets[0].Frame || p[0].Errors[0].Dir != ToServer {
		t.Errorf("noted %+v", p)
	}
}
