package flows

import (
	"fmt"
	"iter"
	"testing"

	"wirechart/dissect"
)

// awaitingTable is a table whose packets can be looked at one by one, and what
// its recorder wrote down.
func awaitingTable(limits Limits) (*Table, *recorder) {
	rec := &recorder{}
	set := dissect.NewSet([]dissect.Dissector{rec.dissector()}, &dissect.Context{}, limits.MaxBuffered)
	return NewTable(Config{Limits: limits}, set, func(iter.Seq[*Flow]) {}), rec
}

// TestAwaitEnds sees what is put off go on when packet time does, whatever flow the
// next packet is of, and not before.
func TestAwaitEnds(t *testing.T) {
	table, rec := awaitingTable(limits())
	p := frames(t, `
		0.000 10.0.0.1:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello
		0.010 10.0.0.3:4000 > 10.0.0.2:80 S seq=1
		0.011 10.0.0.4:4000 > 10.0.0.2:80 S seq=1`)
	p[1].Time-- // within the time
	for i, want := range []string{"[]", "[]", "[> hello]"} {
		table.Add(p[i : i+1])
		if got := fmt.Sprint(rec.log); got != want {
			t.Errorf("behind packet %d: %s, want %s", i+1, got, want)
		}
	}
	if table.buffered != 0 {
		t.Errorf("%d bytes are still kept", table.buffered)
	}
}

// TestAwaitBounds has the middles of many connections at one moment, and much of
// one: neither is kept without bound, and nothing of it is lost.
func TestAwaitBounds(t *testing.T) {
	few := limits()
	few.MaxBuffered = 1 << 30
	table, rec := awaitingTable(few)
	const flows = maxAwaiting + 100
	for i := range flows {
		p := frames(t, fmt.Sprintf("0 10.0.%d.%d:4000 > 10.0.0.2:80 PA seq=101 ack=501 data=hello", i>>8, i&255))
		table.Add(p)
	}
	if n := table.awaiting.left(); n != maxAwaiting || len(rec.log) != flows-maxAwaiting {
		t.Errorf("%d connections wait, %d do not any more", n, len(rec.log))
	}
	table.Finish()
	if len(rec.log) != flows || table.buffered != 0 {
		t.Errorf("%d of %d were read, %d bytes are kept", len(rec.log), flows, table.buffered)
	}

	for _, c := range []struct {
		buffered, want int
	}{{1 << 20, maxPostponed}, {1000, 11}} {
		few.MaxBuffered = c.buffered
		table, rec = awaitingTable(few)
		for i := range maxPostponed {
			if len(rec.log) > 0 {
				t.Errorf("of %d bytes that may be kept, segment %d is read at once", c.buffered, i)
				break
			}
			table.Add(frames(t, fmt.Sprintf("0 10.0.0.1:4000 > 10.0.0.2:80 PA seq=%d ack=501 len=100", 101+100*i)))
			if i+1 == c.want {
				break
			}
		}
		if len(rec.log) != c.want {
			t.Errorf("of %d bytes that may be kept, %d segments are read, want %d", c.buffered, len(rec.log), c.want)
		}
	}
}
