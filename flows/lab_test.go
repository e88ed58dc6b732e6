package flows

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"wirechart/dissect"
)

// The same traffic recorded in other ways (behind tags, in a tunnel, cut,
// mirrored twice, out of order) gives the same flows: what each capture cannot
// tell is left out of the comparison.
func TestSameTraffic(t *testing.T) {
	dir := "../../shared/lab/site/"
	captures(t, "lab/site/site-vlan.pcap.gz")
	type view struct {
		full  []string // everything but bytes, copies and wrappings
		sizes []string // what reordering leaves as it is
	}
	read := func(name string) view {
		var v view
		set := dissect.NewSet(dissect.All(), &dissect.Context{}, 64<<20)
		table := NewTable(Config{Limits: DefaultLimits()}, set, func(list iter.Seq[*Flow]) {
			for f := range list {
				p := Pair{f.Packets[0] - f.Duplicate[0], f.Packets[1] - f.Duplicate[1]}
				v.sizes = append(v.sizes, fmt.Sprintf("%s %s %d %s %s packets=%d ended=%s syns=%d/%d",
					f.Client, f.Server, f.Proto, f.TCP.State, f.Oriented, p, f.Ended, f.TCP.SYNs, f.TCP.SYNACKs))
				v.full = append(v.full, fmt.Sprintf("%s %s %d %s %s %s packets=%d missed=%d again=%d late=%d unanswered=%d reset=%s icmp=%d syns=%d/%d app=%s",
					f.Client, f.Server, f.Proto, f.TCP.State, f.TCP.History, f.Oriented, p, f.Missed, f.Retransmitted, f.OutOfOrder, f.TCP.Unanswered,
					f.TCP.ResetBy, len(f.ICMP), f.TCP.SYNs, f.TCP.SYNACKs, f.App))
			}
		})
		table.Add(load(t, dir+name))
		table.Finish()
		slices.Sort(v.sizes)
		slices.Sort(v.full)
		return v
	}
	differ := func(name string, got, want []string) {
		if slices.Equal(got, want) {
			return
		}
		t.Errorf("%s: %d flows, want %d", name, len(got), len(want))
		shown := 0
		for _, l := range got {
			if _, ok := slices.BinarySearch(want, l); !ok && shown < 8 {
				t.Errorf("\thas  %s", l)
				shown++
			}
		}
		for _, l := range want {
			if _, ok := slices.BinarySearch(got, l); !ok && shown < 16 {
				t.Errorf("\twant %s", l)
				shown++
			}
		}
	}
	want := read("site-vlan.pcap.gz")
	if len(want.full) < 70 {
		t.Errorf("only %d flows", len(want.full))
	}
	differ("VXLAN", read("site-vxlan.pcapng").full, want.full)
	differ("mirrored twice", read("site-dupmirror.pcap.gz").full, want.full)
	differ("snap length", read("site-snap128.pcap").sizes, want.sizes)
	differ("out of order", read("site-reorder.pcapng").sizes, want.sizes)
}
