package main

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The same workload is the same bytes, every time, and a capture that an
// independent decoder reads.
func TestWorkloads(t *testing.T) {
	for _, load := range workloads() {
		t.Run(load.name, func(t *testing.T) {
			var sums [2][32]byte
			var said size
			path := filepath.Join(t.TempDir(), "w.pcap")
			for i := range sums {
				var err error
				if said, err = writeWorkload(load, path, 0.001); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if uint64(len(b)) != said.Bytes {
					t.Errorf("the file has %d bytes, the generator says %d", len(b), said.Bytes)
				}
				sums[i] = sha256.Sum256(b)
			}
			if sums[0] != sums[1] {
				t.Error("two runs wrote different bytes")
			}
			readBack(t, path, said)
		})
	}
}

// readBack counts packets, and follows the sequence numbers of every TCP flow:
// each segment must begin where the last one of its direction ended.
func readBack(t *testing.T, path string, said size) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	type direction struct{ network, transport gopacket.Flow }
	next := make(map[direction]uint32)
	packets := uint64(0)
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			break
		}
		packets++
		packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
		if e := packet.ErrorLayer(); e != nil && packet.TransportLayer() == nil {
			t.Fatalf("packet %d: %v", packets, e.Error())
		}
		tcp, ok := packet.TransportLayer().(*layers.TCP)
		if !ok {
			continue
		}
		way := direction{packet.NetworkLayer().NetworkFlow(), tcp.TransportFlow()}
		if want, known := next[way]; known && !tcp.SYN && tcp.Seq != want {
			t.Fatalf("packet %d: sequence number %d, want %d", packets, tcp.Seq, want)
		}
		// Ethernet's padding is no payload: lengths come from the IP header.
		n := uint32(len(tcp.Payload))
		if tcp.SYN || tcp.FIN {
			n++
		}
		next[way] = tcp.Seq + n
	}
	if packets != said.Packets {
		t.Errorf("read %d packets, the generator says %d", packets, said.Packets)
	}
}

func TestParseFloors(t *testing.T) {
	got, err := parseFloors("W1=4,W3bytes=256")
	if err != nil || got["W1"] != 4 || got["W3bytes"] != 256 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"W1", "W9=2", "W1=x", "bytes=3"} {
		if _, err := parseFloors(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
