package flows

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// CommunityID is the flow's Community ID, version 1 with seed 0, by which Zeek,
// Suricata and others name the same flow
// (https://github.com/corelight/community-id-spec).
func (f *Flow) CommunityID() string {
	src, dst := f.Client.Addr(), f.Server.Addr()
	srcPort, dstPort := f.Client.Port(), f.Server.Port()
	ports, oneWay := true, false
	switch f.Proto {
	case ProtoTCP, ProtoUDP, ProtoSCTP:
	case ProtoICMP, ProtoICMPv6:
		srcPort, dstPort, oneWay = f.icmpPorts()
	default:
		ports = false
	}
	if c := dst.Compare(src); !oneWay && (c < 0 || c == 0 && dstPort < srcPort) {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	var buf [2 + 16 + 16 + 2 + 4]byte // the seed comes first, and is 0
	b := buf[:2]
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	b = append(b, f.Proto, 0)
	if ports {
		b = binary.BigEndian.AppendUint16(b, srcPort)
		b = binary.BigEndian.AppendUint16(b, dstPort)
	}
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// icmpPorts maps the type and code of ICMP to ports as the specification does:
// a request and its reply are one flow, other messages keep their code and
// their direction.
func (f *Flow) icmpPorts() (src, dst uint16, oneWay bool) {
	answers := [][2]uint16{{8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}}
	answers6 := [][2]uint16{{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}}
	if f.Proto == ProtoICMPv6 {
		answers = answers6
	}
	t, code := f.icmp>>8, f.icmp&0xff
	for _, pair := range answers {
		switch t {
		case pair[0]:
			return pair[0], pair[1], false
		case pair[1]:
			return pair[1], pair[0], false
		}
	}
	return t, code, true
}
