package flows

import (
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// withFacts is a flow on one line with what the dissection learned.
func withFacts(f *Flow) string {
	s := text(f) + " " + f.App
	for _, fact := range f.Facts.All() {
		s += fmt.Sprintf(" %s=%q/%d", fact.Key.Info().Name, fact.Str, fact.Num)
	}
	return s
}

// TestLook looks at the flows of every sample while they go on, spoils what it
// is shown, and holds what becomes of the flows against a run without looks.
// What the last look shows, Finish shows as well, as far as an end concludes
// nothing.
func TestLook(t *testing.T) {
	for _, file := range captures(t, "../pcaps/samples/*.pcap*") {
		packets := load(t, file)
		run := func(look bool) (final, last []string) {
			set := dissect.NewSet(dissect.All(), &dissect.Context{}, limits().MaxBuffered)
			table := NewTable(Config{Limits: limits()}, set, func(list iter.Seq[*Flow]) {
				for f := range list {
					final = append(final, withFacts(f))
				}
			})
			var l Look
			for rest, n := packets, 0; len(rest) > 0; n++ {
				size := min(13, len(rest))
				table.Add(rest[:size])
				rest = rest[size:]
				if !look {
					continue
				}
				table.Look(&l)
				last = last[:0]
				for more := true; more; {
					more = l.Next(3, func(f *Flow) bool {
						last = append(last, text(f)+" "+f.App)
						f.Facts.SetText(dissect.TLSClientCert, "spoilt")
						f.Facts.SetText(dissect.HTTPHost, "spoilt")
						for _, fact := range f.Facts.All() {
							if fact.Str != "" {
								f.Facts.SetText(fact.Key, "spoilt")
							}
						}
						return true
					})
				}
				if l.Stale() {
					t.Fatalf("%s: stale although nothing was settled", file)
				}
			}
			table.Finish()
			if look && !l.Stale() {
				t.Errorf("%s: not stale after the end", file)
			}
			return final, last
		}
		want, _ := run(false)
		got, last := run(true)
		if !slices.Equal(got, want) {
			t.Errorf("%s: looking changed the flows:\n%q\nand were\n%q", file, got, want)
		}
		if len(last) != len(want) {
			t.Errorf("%s: the last look shows %d flows, there are %d", file, len(last), len(want))
		}
	}
}

// TestLookShowsARunningFlow looks at a connection in the middle of it.
func TestLookShowsARunningFlow(t *testing.T) {
	packets := frames(t, `
0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
0.010 10.0.0.2:80 > 10.0.0.1:4000 SA seq=500 ack=101
0.020 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501
0.030 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=GET
0.040 10.0.0.1:4001 > 10.0.0.2:80 S seq=100
300.0 10.0.0.9:4001 > 10.0.0.2:80 S seq=100
`)
	packets[3].Data = append(packets[3].Data[:len(packets[3].Data)-3], "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"...)
	packets[3].WireLen = len(packets[3].Data)
	packets[3].Data[17] = byte(len(packets[3].Data) - 14)
	set := dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20)
	l := limits()
	l.Opening, l.Established = time.Minute, time.Hour
	table := NewTable(Config{Limits: l}, set, func(iter.Seq[*Flow]) {})
	table.Add(packets)
	var look Look
	table.Look(&look)
	var got []string
	show := func(f *Flow) bool {
		got = append(got, fmt.Sprintf("%s %s %q %s", f.Client, f.App, f.Facts.Text(dissect.HTTPHost), f.Ended))
		return true
	}
	if !look.Next(2, show) || look.Next(2, show) {
		t.Error("Next does not say rightly whether there is more")
	}
	want := []string{`10.0.0.1:4000 http "a.example" capture_end`, `10.0.0.1:4001  "" idle`, `10.0.0.9:4001  "" capture_end`}
	if !slices.Equal(got, want) {
		t.Errorf("saw %q, want %q", got, want)
	}
	look.Again()
	if n := 0; look.Len() != 3 || look.Next(9, func(*Flow) bool { n++; return n < 2 }) != true || n != 2 {
		t.Errorf("again: %d shown", n)
	}
}

// TestRetire lets flows go that were over for a while, and no others.
func TestRetire(t *testing.T) {
	packets := frames(t, `
0.000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
0.010 10.0.0.2:80 > 10.0.0.1:4000 RA seq=0 ack=101
0.020 10.0.0.1:4001 > 10.0.0.2:80 S seq=100
0.030 10.0.0.2:80 > 10.0.0.1:4001 SA seq=500 ack=101
0.040 10.0.0.1:4001 > 10.0.0.2:80 A seq=101 ack=501
0.050 10.0.0.1:53 > 10.0.0.2:53 udp
900.0 10.0.0.1:4002 > 10.0.0.2:80 S seq=100
900.1 10.0.0.2:80 > 10.0.0.1:4002 RA seq=0 ack=101
`)
	l := limits()
	l.Datagram, l.Established, l.Closing = 3*time.Minute, 2*time.Hour, time.Minute
	var settled []string
	table := NewTable(Config{Limits: l}, dissect.NewSet(nil, &dissect.Context{}, 1<<20), func(list iter.Seq[*Flow]) {
		for f := range list {
			settled = append(settled, fmt.Sprintf("%d %s %s", f.ID, f.Client, f.Ended))
		}
	})
	table.Add(packets)
	var look Look
	table.Look(&look)
	if n := table.Retire(table.Now() - int64(10*time.Minute)); n != 2 {
		t.Errorf("%d retired, want 2", n)
	}
	want := []string{"1 10.0.0.1:4000 reset", "2 10.0.0.1:53 idle"}
	if !slices.Equal(settled, want) {
		t.Errorf("retired %q, want %q", settled, want)
	}
	if !look.Stale() {
		t.Error("a look at flows that are gone is not stale")
	}
	if held, _ := table.Held(); held != 2 || table.Stats().Retired != 2 || table.Stats().Early != 0 {
		t.Errorf("%d flows at hand, %+v", held, table.Stats())
	}
	// The connection that goes on is found again, the places are used again.
	packets[4].Time += 1000 * 1e9
	table.Add([]pcaps.Packet{packets[4], packets[0]})
	table.Finish()
	want = append(want, "3 10.0.0.1:4000 idle", "4 10.0.0.1:4001 capture_end", "5 10.0.0.1:4002 reset")
	if !slices.Equal(settled, want) {
		t.Errorf("settled %q, want %q", settled, want)
	}
}

// TestRewind sets the clock back with the capture's: what comes then has its
// time like all others.
func TestRewind(t *testing.T) {
	packets := frames(t, `
9000 10.0.0.1:4000 > 10.0.0.2:80 S seq=100
1.000 10.0.0.1:4001 > 10.0.0.2:80 S seq=100
2.000 10.0.0.1:4002 > 10.0.0.2:80 S seq=100
`)
	for _, rewind := range []bool{false, true} {
		over := map[EndReason]int{}
		table := NewTable(Config{Limits: limits()}, dissect.NewSet(nil, &dissect.Context{}, 1<<20), func(list iter.Seq[*Flow]) {
			for f := range list {
				over[f.Ended]++
			}
		})
		table.Add(packets[:1])
		if rewind {
			table.Rewind(packets[1].Time)
		}
		table.Add(packets[1:])
		n := table.Retire(table.Now() - int64(time.Minute))
		if want := map[bool]int{false: 2, true: 0}[rewind]; n != want {
			t.Errorf("rewind %t: %d flows over a second after they began, want %d", rewind, n, want)
		}
		table.Finish()
	}
}
