package flows

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"wirechart/pcaps"
)

// reading is what one decoder says of a frame.
type reading struct {
	src, dst netip.AddrPort
	proto    uint8
	seq, ack uint32
	flags    uint8
	payload  int
}

// oracle reads a frame with gopacket/layers: the innermost IP header that it
// finds and what is behind it. The words say why it does not count.
func oracle(p *pcaps.Packet) (r reading, why string) {
	packet := gopacket.NewPacket(p.Data, layers.LinkType(p.Link), gopacket.DecodeOptions{NoCopy: true})
	var src, dst netip.Addr
	for _, l := range packet.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			src, _ = netip.AddrFromSlice(l.SrcIP)
			dst, _ = netip.AddrFromSlice(l.DstIP)
			r = reading{proto: uint8(l.Protocol), payload: len(l.Payload)}
			if l.Flags&layers.IPv4MoreFragments != 0 || l.FragOffset != 0 {
				return r, "fragment"
			}
		case *layers.IPv6:
			src, _ = netip.AddrFromSlice(l.SrcIP)
			dst, _ = netip.AddrFromSlice(l.DstIP)
			r = reading{proto: uint8(l.NextHeader), payload: len(l.Payload)}
		case *layers.IPv6Fragment:
			return r, "fragment"
		case *layers.TCP:
			r.src, r.dst = netip.AddrPortFrom(src, uint16(l.SrcPort)), netip.AddrPortFrom(dst, uint16(l.DstPort))
			r.proto, r.seq, r.ack, r.payload = ProtoTCP, l.Seq, l.Ack, len(l.Payload)
			for i, on := range []bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK, l.URG, l.ECE, l.CWR} {
				if on {
					r.flags |= 1 << i
				}
			}
		case *layers.UDP:
			r.src, r.dst = netip.AddrPortFrom(src, uint16(l.SrcPort)), netip.AddrPortFrom(dst, uint16(l.DstPort))
			r.proto, r.payload = ProtoUDP, len(l.Payload)
		case *layers.SCTP:
			r.src, r.dst = netip.AddrPortFrom(src, uint16(l.SrcPort)), netip.AddrPortFrom(dst, uint16(l.DstPort))
			r.proto, r.payload = ProtoSCTP, len(l.Payload)
		case *layers.ICMPv4:
			r.src, r.dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
			r.proto, r.payload = ProtoICMP, len(l.Payload)+8
		case *layers.ICMPv6:
			r.src, r.dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
			r.proto, r.payload = ProtoICMPv6, len(l.Payload)+4
		}
	}
	switch {
	case !src.IsValid():
		return r, "no IP"
	case !r.src.IsValid():
		return r, "no transport"
	case packet.ErrorLayer() != nil && packet.Layers()[len(packet.Layers())-1].LayerType() == gopacket.LayerTypeDecodeFailure && broken(packet):
		return r, "malformed"
	}
	return r, ""
}

// broken says that it was the transport header that gopacket could not read, and
// not what it carries.
func broken(packet gopacket.Packet) bool {
	l := packet.Layers()
	return len(l) > 1 && l[len(l)-2] == gopacket.Layer(packet.TransportLayer())
}

func ours(s *segment) reading {
	r := reading{
		src: netip.AddrPortFrom(s.src.netip(s.v6), s.srcPort), dst: netip.AddrPortFrom(s.dst.netip(s.v6), s.dstPort),
		proto: s.proto, payload: len(s.payload),
	}
	switch s.proto {
	case ProtoTCP:
		r.seq, r.ack, r.flags = s.seq, s.ack, s.flags
	case ProtoICMP, ProtoICMPv6:
		r.src, r.dst = netip.AddrPortFrom(r.src.Addr(), 0), netip.AddrPortFrom(r.dst.Addr(), 0)
	}
	return r
}

// TestDecodeOracle holds every frame of every capture at hand against
// gopacket/layers.
func TestDecodeOracle(t *testing.T) {
	files, err := filepath.Glob("../pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	shared := 0
	for _, p := range []string{"corpus/captures/*/*", "lab/*/*.pcap*"} {
		list, err := filepath.Glob("../../shared/" + p)
		if err != nil {
			t.Fatal(err)
		}
		shared += len(list)
		files = append(files, list...)
	}
	if shared == 0 {
		t.Log("no ../../shared beside the repository: only the samples are tested")
	}
	count := map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, ".want") {
			continue
		}
		for _, p := range load(t, file) {
			s := decoded(p.Link, p.Data, p.WireLen)
			what, ok := compare(&p, s)
			count[what]++
			if !ok {
				t.Errorf("%s:%d: %s: %s", filepath.Base(file), p.Frame.Number(), what, s.headers())
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%6d %s", count[k], k)
	}
	if count["same"] == 0 {
		t.Error("nothing compared")
	}
}

// compare says how the two readings of a frame stand to each other, and whether
// that is as it should be.
func compare(p *pcaps.Packet, s *segment) (what string, ok bool) {
	if p.Link > 255 {
		return "link type beyond gopacket's", true
	}
	r, why := oracle(p)
	if why == "malformed" && s.outcome == Decoded { // what the datagram carries is, and that is not asked for here
		why = ""
	}
	own := ours(s)
	longer := own
	longer.payload = r.payload
	switch {
	case why != "":
		return "gopacket: " + why + "; ours: " + s.outcome.String(), true
	case s.outcome == Decoded && r == own:
		return "same", true
	case s.outcome == NotIP && s.lan && r.proto == ProtoUDP:
		return "gopacket: the tunnel around ARP", true
	case s.outcome == UnknownLink:
		return "link type not ours", true
	case s.outcome == Malformed && version(p, s) != 4:
		// It reads an IP header of version 5 as one of version 4.
		return "gopacket: any IP version", true
	case slices.ContainsFunc(s.tags[:], func(t tag) bool {
		return t.kind == tagTeredo || t.kind == tagGTP || t.kind == tagL2TP || t.kind == tagCAPWAP || t.kind == tagMPLS
	}) && r.proto == ProtoUDP:
		return "gopacket: a tunnel that it does not follow", true
	case s.outcome == Decoded && s.v6 && r == longer && r.payload > own.payload && r.payload-own.payload == len(p.Data)-90:
		// It takes the Ethernet trailer for payload behind a hop-by-hop header:
		// multicast listener reports with a frame check sequence.
		return "gopacket: trailer", true
	}
	return fmt.Sprintf("differs from gopacket's %v", r), false
}

// version is the version of the first IP header of an Ethernet frame.
func version(p *pcaps.Packet, s *segment) uint8 {
	if p.Link != pcaps.LinkEthernet || len(p.Data) < 15 || s.depth > 0 {
		return 4
	}
	return p.Data[14] >> 4
}
