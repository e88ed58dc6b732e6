package main

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// generatorVersion changes whenever the bytes of a workload change, so that
// files kept from an earlier version are not measured by mistake.
const generatorVersion = 1

// A workload is a capture that is made, with the mean time between its frames.
type workload struct {
	name, about string
	step        time.Duration
	make        func(c *capture, scale float64)
}

func workloads() []workload {
	return []workload{
		{"W1", "mixed", 100 * time.Microsecond, mixed},
		{"W2", "elephants", 40 * time.Microsecond, elephants},
		{"W3", "flood", 7700 * time.Nanosecond, flood},
		{"W4", "small packets", 10 * time.Microsecond, small},
	}
}

func workloadNames() []string {
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return names
}

func workloadByName(name string) (workload, bool) {
	for _, w := range workloads() {
		if w.name == name {
			return w, true
		}
	}
	return workload{}, false
}

// scaled is n times scale, at least 1.
func scaled(n int, scale float64) int { return max(1, int(float64(n)*scale)) }

// address4 is 10.0.0.0 plus n.
func address4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|n&0xffffff)
	return netip.AddrFrom4(b)
}

// mixed is a site with its agents, its servers and the usual traffic around
// them: 100,000 flows, interleaved, a window of which is open at a time.
func mixed(c *capture, scale float64) {
	const (
		flows = 100_000
		open  = 2_000
	)
	site := newSite(c.rng)
	left := scaled(flows, scale)
	var active []*talk
	for len(active) > 0 || left > 0 {
		for len(active) < open && left > 0 {
			active = append(active, site.talk())
			c.size.Flows++
			left--
		}
		i := c.rng.IntN(len(active))
		// Frames of one flow come in small runs, as on any wire.
		for range 1 + c.rng.IntN(6) {
			if !active[i].advance(c) {
				active[i] = active[len(active)-1]
				active = active[:len(active)-1]
				break
			}
		}
	}
}

// elephants is 16 backups at full speed: eight full frames, then one
// acknowledgement, after a TLS handshake with a client certificate.
func elephants(c *capture, scale float64) {
	const (
		flows   = 16
		packets = 1_500_000
	)
	site := newSite(c.rng)
	var active [flows]*talk
	for i := range active {
		active[i] = site.backup(address4(20<<16|30<<8|uint32(100+i)), packets*mss4*2)
		active[i].ackEvery = 8
		c.size.Flows++
	}
	for want := uint64(scaled(packets, scale)); c.size.Packets < want; {
		t := active[c.rng.IntN(flows)]
		for range 9 {
			t.advance(c)
		}
	}
}

// flood is two million SYNs from random sources to one server within 20 s, 30
// percent of them answered by RST a little later.
func flood(c *capture, scale float64) {
	const (
		syns    = 2_000_000
		delayed = 1 << 10 // how many SYNs later the answer comes
	)
	server := netip.AddrPortFrom(address4(20<<16|30<<8|11), 9877)
	var waiting [delayed]wire
	var answer [delayed]bool
	n := scaled(syns, scale)
	for i := range n + delayed {
		slot := i % delayed
		if answer[slot] {
			waiting[slot].segment(c, 1, flagRST|flagACK, 0)
			answer[slot] = false
		}
		if i >= n {
			continue
		}
		var source [4]byte
		binary.BigEndian.PutUint32(source[:], c.rng.Uint32())
		source[0] = 11 + source[0]%212 // unicast, and outside the site
		if source[0] == 127 {
			source[0] = 126
		}
		client := netip.AddrPortFrom(netip.AddrFrom4(source), uint16(1024+c.rng.IntN(64512)))
		w := newWire(protoTCP, client, server, 0, [2]uint32{c.rng.Uint32(), 0})
		w.segment(c, 0, flagSYN, 0)
		c.size.Flows++
		if c.rng.IntN(10) < 3 {
			waiting[slot], answer[slot] = w, true
		}
	}
}

// small is ten million frames of 60 to 88 bytes, each of a flow drawn at
// random from 200,000: no cache holds the table. Half is UDP; the TCP flows
// begin with a SYN and keep their sequence numbers.
func small(c *capture, scale float64) {
	const (
		flows   = 200_000
		packets = 10_000_000
		most    = 88 - 14 - 20 // transport header and payload
	)
	type peer struct {
		wire
		sent uint32
	}
	peers := make([]peer, scaled(flows, scale))
	for i := range peers {
		client := netip.AddrPortFrom(address4(uint32(1<<16+i)), uint16(49152+c.rng.IntN(16384)))
		server := netip.AddrPortFrom(address4(200<<16|uint32(c.rng.IntN(4096))), uint16(20000+c.rng.IntN(64)))
		proto := uint8(protoTCP)
		if i%2 == 1 {
			proto = protoUDP
		}
		peers[i].wire = newWire(proto, client, server, 0, [2]uint32{c.rng.Uint32(), c.rng.Uint32()})
	}
	c.size.Flows = uint64(len(peers))
	for range scaled(packets, scale) {
		p := &peers[c.rng.IntN(len(peers))]
		p.sent++
		if p.proto == protoUDP {
			n := 18 + c.rng.IntN(most-8-18+1)
			fill(c.buf[p.payloadAt():][:n], c.rng)
			p.datagram(c, int(p.sent&1^1), n)
			continue
		}
		switch p.sent {
		case 1:
			p.segment(c, 0, flagSYN, 0)
		case 2:
			p.segment(c, 1, flagSYN|flagACK, 0)
		case 3:
			p.segment(c, 0, flagACK, 0)
		default:
			n := 6 + c.rng.IntN(most-20-6+1)
			fill(c.buf[p.payloadAt():][:n], c.rng)
			p.segment(c, int(p.sent&1), flagPSH|flagACK, n)
		}
	}
}
