package flows

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// FuzzTable gives arbitrary frames, in arbitrary order and at arbitrary times,
// to a table with small limits. The input is records: link type, milliseconds
// since the last frame (signed), bytes cut, length, and the frame.
func FuzzTable(f *testing.F) {
	record := func(b []byte, p *pcaps.Packet, after int8) []byte {
		b = append(b, byte(p.Link), byte(after), byte(p.WireLen-len(p.Data)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(p.Data)))
		return append(b, p.Data...)
	}
	for _, script := range []string{
		handshake + `
			0.04 10.0.0.1:4000 > 10.0.0.2:80 A seq=111 ack=501 data=world
			0.05 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello
			0.06 10.0.0.1:4000 > 10.0.0.2:80 A seq=101 ack=501 data=hello cut=2
			0.07 10.0.0.2:80 > 10.0.0.1:4000 FA seq=501 ack=116
			0.08 10.0.0.1:4000 > 10.0.0.2:80 FA seq=116 ack=502
			0.09 10.0.0.1:4000 > 10.0.0.2:80 S seq=9000`,
		`0.0 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 id=1 frag=0+24 more
		0.1 10.0.0.1:4000 > 10.0.0.2:53 udp len=40 id=1 frag=24+24
		0.2 10.0.0.9:0 > 10.0.0.1:0 icmp:3/3 quote=1 frag=0+32 more
		0.3 10.0.0.3:4000 > 10.0.0.2:80 S seq=100 cut=8
		0.4 10.0.0.3:4000 > 10.0.0.2:53 udp len=40 cut=44
		0.5 10.0.0.3:4000 > 10.0.0.2:53 udp len=40 id=2 frag=0+24 more cut=20`,
		`0.0 [fd00::1]:4000 > [fd00::2]:80 S seq=100
		0.1 [fd00::ff]:0 > [fd00::1]:0 icmp:1/1 quote=1
		0.2 [fd00::1]:0 > [fd00::2]:0 icmp:128/0 echo=1
		0.3 [fd00::1]:0 > [fd00::2]:0 ip:50 len=20`,
	} {
		var b []byte
		for _, p := range frames(f, script) {
			b = record(b, &p, 10)
		}
		f.Add(uint8(8), uint8(8), b)
		f.Add(uint8(2), uint8(1), b)
	}
	var all []byte
	for _, c := range decodeCases {
		if len(c.frame) < 200 {
			p := pcaps.Packet{Link: c.link, Data: c.frame, WireLen: len(c.frame)}
			all = record(all, &p, 1)
		}
	}
	f.Add(uint8(5), uint8(3), all)

	f.Fuzz(func(t *testing.T, flows, tracked uint8, b []byte) {
		limits := limits()
		limits.MaxFlows, limits.MaxTracked, limits.MaxBuffered = int(flows%16)+1, int(tracked%16)+1, 4096
		limits.Opening, limits.Established, limits.Closing, limits.Datagram = time.Second, 3*time.Second, time.Second/4, time.Second
		var packets []pcaps.Packet
		now := epoch
		for len(b) >= 5 {
			n := min(int(binary.BigEndian.Uint16(b[3:])), len(b)-5)
			now += int64(int8(b[1])) * 1e6
			p := pcaps.Packet{Link: pcaps.LinkType(b[0]), Time: now, WireLen: n + int(b[2]), Data: b[5 : 5+n : 5+n], Frame: pcaps.FrameID(len(packets) + 1)}
			packets = append(packets, p)
			b = b[5+n:]
		}
		for _, list := range [][]dissect.Dissector{nil, dissect.All()} {
			first := play(t, packets, limits, list...)
			consistent(t, "fuzz", first, packets)
			if n := first.table.used; n > limits.MaxFlows {
				t.Errorf("%d records, %d allowed", n, limits.MaxFlows)
			}
			if n := first.table.tracked; n > limits.MaxTracked {
				t.Errorf("%d flows followed, %d allowed", n, limits.MaxTracked)
			}
			second := play(t, packets, limits, list...)
			if a, b := fmt.Sprint(first.flows, first.log), fmt.Sprint(second.flows, second.log); a != b {
				t.Errorf("two runs differ:\n%s\n%s", a, b)
			}
		}
	})
}
