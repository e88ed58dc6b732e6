package rules

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"

	"wirechart/flows"
)

// probeTable finds hosts that try many ports. It looks only at TCP connections
// in which the client said nothing, and it has a fixed size: a pair of hosts
// has one slot, chosen by hash, and a pair that was seen at one port gives way
// to the next. A flood from random addresses therefore never pushes out a scan.
type probeTable struct {
	slots    []probe
	scanners map[netip.Addr]*scan
}

// probe is what one host tried at another.
type probe struct {
	pair   uint64 // hash of the two addresses
	ports  uint64 // one bit for a hash of each port tried
	strays uint64 // those among them that no edge documents
	resets uint8  // handshakes that the client broke off at once and segments of no stack, at a port each
	again  uint16 // and those at ports where it had been before
}

// scan is a host that was found scanning.
type scan struct {
	ports int
	pair  uint64 // where that rests on the resets of this pair alone
}

const (
	probeSlots  = 1 << 13
	maxScanners = 1 << 12

	// A component whose services are down is called at no more ports than its
	// edges document; the built-in diagram has five at most for one client.
	scanPorts  = 7 // distinct ports of one host, documented or not
	scanStrays = 4 // distinct ports of one host that no edge documents
	scanResets = 3 // ports at which the client broke off a handshake half-way, or sent what no stack sends
	// Who comes back to them, so often on average, is a load balancer or a
	// monitor that looks whether they answer.
	checkRounds = 2
)

// note sees a connection in which the client sent no payload.
func (t *probeTable) note(f *flows.Flow, documented bool) {
	if t.slots == nil {
		t.slots = make([]probe, probeSlots)
		t.scanners = make(map[netip.Addr]*scan)
	}
	pair := hashPair(f.Client.Addr(), f.Server.Addr())
	s := &t.slots[pair%probeSlots]
	if s.pair != pair {
		if bits.OnesCount64(s.ports) > 1 {
			return
		}
		*s = probe{pair: pair}
	}
	bit := uint64(1) << (uint32(f.Server.Port()) * 0x9e3779b1 >> 26)
	halfway := f.TCP.SYNACKs > 0 && !f.TCP.Acked && f.TCP.ResetBy == flows.ResetByClient
	switch {
	case s.ports&bit == 0 && (halfway || f.TCP.ScanFlags):
		s.resets++
	case halfway && s.again < math.MaxUint16:
		s.again++
	}
	s.ports |= bit
	if !documented {
		s.strays |= bit
	}
	n := bits.OnesCount64(s.ports)
	many := n >= scanPorts || bits.OnesCount64(s.strays) >= scanStrays
	if !many && s.resets < scanResets {
		return
	}
	who := t.scanners[f.Client.Addr()]
	if !many && int(s.again) >= checkRounds*int(s.resets) {
		if who != nil && who.pair == pair {
			delete(t.scanners, f.Client.Addr())
		}
		return
	}
	if who == nil {
		if len(t.scanners) >= maxScanners {
			return
		}
		who = &scan{pair: pair}
		t.scanners[f.Client.Addr()] = who
	}
	if many {
		who.pair = 0
	}
	who.ports = max(who.ports, n)
}

// scans says whether addr was found scanning.
func (t *probeTable) scans(addr netip.Addr) bool { return t.scanners[addr] != nil }

// hashPair is the same in every run: the same capture gives the same report.
func hashPair(a, b netip.Addr) uint64 {
	x, y := a.As16(), b.As16()
	const m1, m2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(x[8:])^m1, binary.LittleEndian.Uint64(y[8:])^m2)
	return hi ^ lo ^ (binary.LittleEndian.Uint64(x[:8])*31+binary.LittleEndian.Uint64(y[:8]))*m1
}
