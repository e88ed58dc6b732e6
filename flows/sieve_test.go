package flows

import (
	"bytes"
	"iter"
	"path/filepath"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// tracked is the flows of packets, kept.
func tracked(packets []pcaps.Packet) []*Flow {
	var list []*Flow
	table := NewTable(Config{Limits: limits()}, dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20), func(all iter.Seq[*Flow]) {
		for f := range all {
			list = append(list, f.Clone())
		}
	})
	table.Add(packets)
	table.Finish()
	return list
}

// sifted is how many packets a Sieve gives each flow, and how many that may be of one.
func sifted(packets []pcaps.Packet, list ...*Flow) (counts []uint64, may uint64) {
	v := NewSieve()
	for _, f := range list {
		v.Want(f)
	}
	counts = make([]uint64, len(list))
	for i := range packets {
		switch n, how := v.find(&packets[i]); how {
		case ofOne:
			counts[n]++
		case mayBegin:
			may++
		}
	}
	return counts, may
}

// TestSieve holds what a Sieve finds of every flow of the samples, wanted together
// and alone, against what the Table counted.
func TestSieve(t *testing.T) {
	files, err := filepath.Glob("../pcaps/samples/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		packets := load(t, file)
		list := tracked(packets)
		counts, _ := sifted(packets, list...)
		for i, f := range list {
			want := f.Packets.Sum() + f.Fragments.Sum()
			alone, _ := sifted(packets, f)
			// Wanted with what it is about, an ICMP error is counted there.
			isError := f.Proto == ProtoICMP && counts[i] < want
			if counts[i] != want && !isError || alone[0] != want {
				t.Errorf("%s, flow %d, %v > %v: %d packets, %d when wanted alone, want %d", file, f.ID, f.Client, f.Server, counts[i], alone[0], want)
			}
		}
	}
}

// TestSieveReuse has one pair of ports used over and over: each use has its own
// packets, and the last costs no more than the first.
func TestSieveReuse(t *testing.T) {
	const uses = 50_000
	var packets []pcaps.Packet
	for i := range uses {
		at := float64(i) * 10
		packets = said(packets, at, inClient, outServer, "S", uint32(i)*99999, 0, "")
		packets = said(packets, at+0.1, outServer, inClient, "RA", 0, uint32(i)*99999+1, "")
	}
	for i := range packets {
		packets[i].Frame = pcaps.MakeFrameID(0, uint64(i+1))
	}
	list := tracked(packets)
	if len(list) != uses {
		t.Fatalf("%d flows", len(list))
	}
	counts, _ := sifted(packets, list...)
	for i, n := range counts {
		if n != 2 {
			t.Fatalf("use %d has %d packets", i, n)
		}
	}
	if counts, _ := sifted(packets, list[7]); counts[0] != 2 {
		t.Errorf("one use of them has %d packets", counts[0])
	}
}

// TestSieveTunnel has a flow begin in a tunnel's packet that comes in fragments.
func TestSieveTunnel(t *testing.T) {
	outer := header{kind: "ip:4", ttl: 64, src: mustPorts("192.0.2.1:0"), dst: mustPorts("192.0.2.2:0")}
	var packets []pcaps.Packet
	add := func(inner []byte, offset, size int, more bool) {
		outer.data, outer.id = inner, uint16(len(packets)/2+1)
		outer.offset, outer.part, outer.more = offset, size, more
		p := pcaps.Packet{Link: pcaps.LinkEthernet, Data: outer.frame(), Time: epoch, Frame: pcaps.FrameID(len(packets) + 1)}
		p.WireLen = len(p.Data)
		packets = append(packets, p)
	}
	inner := said(nil, 0, "10.0.0.1:4000", "10.0.0.2:5000", "udp", 0, 0, string(bytes.Repeat([]byte("x"), 100)))[0].Data[14:]
	add(inner, 0, 64, true)
	add(inner, 64, len(inner)-64, false)
	for range 4 {
		add(inner, 0, 0, false)
	}
	list := tracked(packets)
	if len(list) != 1 || list[0].Packets.Sum() != 5 {
		t.Fatalf("flows %+v", list)
	}
	if counts, _ := sifted(packets, list...); counts[0] < 5 {
		t.Errorf("%d packets found of %d", counts[0], len(packets))
	}
}
