package flows

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"testing"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// flowOf is the flow that a script is of.
func flowOf(t *testing.T, packets []pcaps.Packet) *Flow {
	t.Helper()
	var found *Flow
	table := NewTable(Config{Limits: limits()}, dissect.NewSet(nil, &dissect.Context{}, 1<<20), func(list iter.Seq[*Flow]) {
		for f := range list {
			if found == nil {
				found = f.Clone()
			}
		}
	})
	table.Add(packets)
	table.Finish()
	return found
}

// TestRecall wants a flow in the middle of it: what is handed out are its frames
// from the first on, and no others.
func TestRecall(t *testing.T) {
	packets := frames(t, `
0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
0.001 10.0.0.9:4000 > 10.0.0.2:80 S seq=100
0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
0.020 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 len=40
0.025 10.0.0.1:53 > 10.0.0.2:53 udp len=4
0.030 10.0.0.7:0 > 10.0.0.1:0 icmp:3/4 quote=4
0.040 10.0.0.1:4000 > 10.0.0.2:80 A seq=141 ack=501 len=40
0.050 10.0.0.9:4000 > 10.0.0.2:80 A seq=101 ack=501
0.060 10.0.0.2:80 > 10.0.0.1:4000 A seq=501 ack=181
400.0 10.0.0.1:4000 > 10.0.0.2:80 A seq=181 ack=501
`)
	f := flowOf(t, packets[:5])
	r := NewRecall(1<<20, 64<<10)
	var got []int
	add := func(list []pcaps.Packet, from int) {
		for i := range list {
			if _, wanted := r.Add(&list[i]); wanted {
				got = append(got, from+i)
			}
		}
	}
	search := func() {
		r.Search(func(p *pcaps.Packet, label string, first bool) {
			i := slices.IndexFunc(packets, func(q pcaps.Packet) bool { return q.Time == p.Time })
			if label != "x" || first != (len(got) == 0) || !bytes.Equal(p.Data, packets[i].Data) || p.WireLen != packets[i].WireLen || p.Link != packets[i].Link {
				t.Errorf("handed out %+v, %q, first %t", p, label, first)
			}
			got = append(got, i)
		})
	}
	add(packets[:6], 0)
	if r.fresh != 0 || !r.Want(f, "x") || r.fresh != 1 {
		t.Error("a flow that is wanted is not waited for")
	}
	add(packets[6:8], 6) // kept in the ring until the search
	search()
	add(packets[8:], 8)
	if want := []int{0, 2, 3, 5, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("handed out %v, want %v", got, want)
	}
}

// TestRecallIsBounded fills the ring many times over, with frames of every size:
// what it holds are the latest, each whole, and one large flow does not take the
// room of all others.
func TestRecallIsBounded(t *testing.T) {
	const perFlow = 8 << 10
	r := NewRecall(1<<20, perFlow)
	var last []pcaps.Packet
	elephant := frames(t, "0 10.9.9.9:4000 > 10.0.0.2:80 A seq=1 len=1400")[0]
	for i := range 20_000 {
		p := frames(t, fmt.Sprintf("%d.5 10.0.%d.%d:4000 > 10.0.0.2:80 A seq=1 len=%d", i, i>>8, i&255, i*7%1400))[0]
		r.Add(&p)
		last = append(last, p)
		elephant.Time = p.Time
		for range 3 {
			r.Add(&elephant)
		}
	}
	var p pcaps.Packet
	n, big := 0, 0
	held := 0
	for at, left := r.tail, r.used; left > 0; {
		size := r.at(at, &p)
		if p.Data != nil {
			held += len(p.Data)
			if len(p.Data) == len(elephant.Data) && p.Data[26] == 10 && p.Data[27] == 9 {
				big += len(p.Data)
			} else {
				n++
			}
		}
		left -= size
		if at += size; at == len(r.ring) {
			at = 0
		}
	}
	if held > 1<<20 || held < 1<<19 || big > perFlow+1500 || n < 1000 {
		t.Errorf("%d bytes held, %d of them of the large flow, %d other frames", held, big, n)
	}
	at := len(last) - n
	if f := flowOf(t, last[at+1:at+2]); !r.Want(f, "old") {
		t.Fatal("not taken")
	}
	found := 0
	r.Search(func(p *pcaps.Packet, _ string, _ bool) {
		found++
		if !bytes.Equal(p.Data, last[at+1].Data) {
			t.Error("another frame than the one asked for")
		}
	})
	if found != 1 {
		t.Errorf("the frame of a flow in the ring was found %d times", found)
	}
}

// TestRecallDoesNotAllocate: every frame passes by it.
func TestRecallDoesNotAllocate(t *testing.T) {
	packets := frames(t, `
0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
`)
	r := NewRecall(1<<20, 64<<10)
	if n := testing.AllocsPerRun(1000, func() {
		r.Add(&packets[0])
		r.Add(&packets[1])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
