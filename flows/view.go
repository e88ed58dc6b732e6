package flows

import (
	"net/netip"
	"slices"

	"wirechart/dissect"
)

// view writes what the table knows of r and its origin into f.
func (t *Table) view(r *record, o *origin, f *Flow) {
	vlans, tunnel, icmp := f.VLANs[:0], f.Tunnel[:0], f.ICMP[:0]
	if f.detailed {
		*f = Flow{}
	} else { // what follows writes the rest
		f.TCP, f.EchoID, f.icmp = TCP{}, 0, 0
	}
	f.detailed = r.extra != 0
	f.Frame, f.Start, f.End = o.frame, o.start, r.last
	f.Proto, f.Oriented, f.Ended = r.proto, r.oriented, r.ended
	f.Facts = noFacts
	client := r.client()
	a, b := address{0, uint64(r.aIP)}, address{0, uint64(r.bIP)}
	v6 := r.bits&bitV6 != 0
	if v6 {
		a, b = t.wide[r.aIP][0], t.wide[r.aIP][1]
	}
	ends := [2]netip.AddrPort{
		netip.AddrPortFrom(a.netip(v6), r.aPort),
		netip.AddrPortFrom(b.netip(v6), r.bPort),
	}
	if r.proto == ProtoICMP || r.proto == ProtoICMPv6 {
		if r.bits&bitEcho != 0 {
			f.EchoID = r.aPort
			f.icmp = 8 << 8
			if r.proto == ProtoICMPv6 {
				f.icmp = 128 << 8
			}
		} else {
			f.icmp = r.aPort
		}
		for i := range ends {
			ends[i] = netip.AddrPortFrom(ends[i].Addr(), 0)
		}
	}
	f.Client, f.Server = ends[client], ends[1-client]

	var x *extra
	odd := &nothingRare
	if r.extra != 0 {
		x = t.extra(r)
		odd = x.rareOrNone()
	}
	for end := range 2 {
		d := r.dir(end)
		f.Packets[d] = uint64(r.packets[end])
		f.Bytes[d] = uint64(r.bytes[end])
		f.Payload[d] = uint64(r.payload[end])
		if x != nil {
			f.Packets[d] += uint64(odd.over[0][end]) << 32
			f.Bytes[d] += uint64(odd.over[1][end]) << 32
			f.Payload[d] += uint64(odd.over[2][end]) << 32
			f.Duplicate[d] = uint64(odd.copies[end])
			f.Fragments[d], f.FragmentBytes[d] = uint64(odd.parts[end]), odd.partBytes[end]
		}
	}
	vlans, tunnel = t.viewTags(o.tags, vlans, tunnel)
	if x != nil {
		if x.hasTags {
			vlans, tunnel = t.viewTags(x.tags, vlans, tunnel)
		}
		f.ClientMAC, f.ServerMAC = x.mac[client], x.mac[1-client]
		icmp = append(icmp, odd.icmp...)
	}
	f.VLANs, f.Tunnel, f.ICMP = vlans, tunnel, icmp
	if r.proto == ProtoTCP {
		t.viewTCP(r, o, x, f)
	}
	if x == nil {
		t.viewPort(r, f)
		return
	}
	x.result.Show(&t.facts)
	f.Facts = &t.facts
	f.App, f.AppBasis = x.result.Protocol(), x.result.By()
	f.Dissect.Lost, f.Dissect.Undecided, f.Dissect.Malformed = x.result.Lost(), x.result.Undecided(), x.result.Broken()
	t.viewPort(r, f)
}

// viewPort names what no bytes named.
func (t *Table) viewPort(r *record, f *Flow) {
	if r.proto == ProtoUDP && r.bits&bitLikely != 0 && f.App == "" {
		f.detailed = true
		f.App, f.AppBasis, f.Dissect.Lost = t.set.OnPort(dissect.UDP, f.Server.Port()), dissect.ByPort, true
		if f.App == "" {
			f.App = t.set.OnPort(dissect.UDP, f.Client.Port())
		}
		return
	}
	// Where the beginning is missing, the bytes that would have told cannot
	// speak against the port. Where it is there, they did.
	if f.App == "" && r.proto == ProtoTCP && f.Payload.Sum() > 0 && (f.Dissect.Late || f.Dissect.Lost) {
		if f.App = t.set.OnPort(dissect.TCP, f.Server.Port()); f.App != "" {
			f.AppBasis = dissect.ByPort
		}
	}
}

// viewTags adds the encapsulations of a set that are not there yet.
func (t *Table) viewTags(set uint16, vlans []uint16, tunnel []string) ([]uint16, []string) {
	if set == 0 {
		return vlans, tunnel
	}
	for i, s := range t.tagSets[set].names {
		if g := &t.tagSets[set].tags[i]; g.kind == tagVLAN && !slices.Contains(vlans, uint16(g.id)) {
			vlans = append(vlans, uint16(g.id))
		}
		if !slices.Contains(tunnel, s) {
			tunnel = append(tunnel, s)
		}
	}
	return vlans, tunnel
}
