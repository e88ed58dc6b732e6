package flows

import "encoding/binary"

// nsh reads a network service header (RFC 8300 section 2).
func (s *segment) nsh(b []byte) Outcome {
	if len(b) < 8 {
		return Truncated
	}
	n := int(b[1]&0x3f) * 4
	if n < 8 {
		return Malformed
	}
	if !s.push(tagNSH, binary.BigEndian.Uint32(b[4:])>>8) {
		return Malformed
	}
	if len(b) < n {
		return Truncated
	}
	switch b[3] {
	case 1:
		return s.ipv4(b[n:])
	case 2:
		return s.ipv6(b[n:])
	case 3:
		return s.ethernet(b[n:])
	case 5:
		return s.network(etherMPLS, b[n:])
	}
	return NotIP
}

// tunnel tries to read a packet inside this one. A frame inside that is not IP
// counts as on the wire: a mirror's tunnel carries ARP as well. What cannot be
// read inside leaves the outer packet as it was: something else on a tunnel's
// protocol or port is a flow of its own.
func (s *segment) tunnel(proto uint8, b []byte, n int, open func(*segment, []byte) Outcome) Outcome {
	outer := *s
	if out := open(s, b); out == Decoded || out == Fragment || out == PortsOnly || s.lan {
		return out
	}
	*s = outer
	s.proto = proto
	s.rest(b, n)
	s.seq = digest(b)
	return Decoded
}

// gre reads a GRE header (RFC 2784, 2890; version 1: RFC 2637) and, where it
// announces one, an ERSPAN header (draft-foschiano-erspan sections 4.1 to 4.3).
func (s *segment) gre(b []byte) Outcome {
	if len(b) < 4 {
		return Truncated
	}
	flags, t := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	n, key := 4, uint32(0)
	if flags&0x8000 != 0 || flags&0x4000 != 0 { // checksum, or routing of RFC 1701
		n += 4
	}
	if flags&0x2000 != 0 {
		if len(b) >= n+4 {
			key = binary.BigEndian.Uint32(b[n:])
		}
		n += 4
	}
	if flags&0x1000 != 0 {
		n += 4
	}
	if flags&7 == 1 { // PPTP: the key is the payload's length and the call, and there may be an acknowledgement
		key &= 0xffff
		if flags&0x80 != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return Truncated
	}
	b = b[n:]
	switch t {
	case etherERSPAN:
		if flags&0x1000 == 0 { // type I has no header of its own
			if !s.push(tagERSPAN, 0) {
				return Malformed
			}
			return s.ethernet(b)
		}
		return s.erspan(b, 8)
	case etherERSPAN3:
		n := 12
		if len(b) >= 12 && b[11]&1 != 0 {
			n += 8 // platform-specific subheader
		}
		return s.erspan(b, n)
	}
	if !s.push(tagGRE, key) {
		return Malformed
	}
	if t == etherPPP {
		return s.ppp(b)
	}
	return s.inner(t, b)
}

func (s *segment) erspan(b []byte, n int) Outcome {
	if len(b) < n {
		return Truncated
	}
	if !s.push(tagERSPAN, uint32(binary.BigEndian.Uint16(b[2:])&0x3ff)) {
		return Malformed
	}
	if n >= 12 && b[10]>>2&0x1f == 2 { // type III, frame type IP
		return s.rawIP(b[n:])
	}
	return s.ethernet(b[n:])
}

func (s *segment) ipip(b []byte) Outcome {
	if !s.push(tagIPIP, 0) {
		return Malformed
	}
	return s.rawIP(b)
}

func (s *segment) etherIP(b []byte) Outcome {
	if len(b) < 2 {
		return Truncated
	}
	if !s.push(tagGRE, 0) {
		return Malformed
	}
	return s.ethernet(b[2:])
}

func (s *segment) etherInIP(b []byte) Outcome {
	if !s.push(tagIPIP, 0) {
		return Malformed
	}
	return s.ethernet(b)
}

// pim reads a Register message (RFC 7761 section 4.9.3), in which a router sends a
// multicast packet to the rendezvous point:
//
//	version, type (1)  reserved (1)  checksum (2)  border, null (2 bits)  reserved
//
// A null register carries no packet, or a header that stands for one.
func (s *segment) pim(b []byte) Outcome {
	const register, null = 0x21, 0x40
	if len(b) < 8 {
		return Truncated
	}
	if b[0] != register || b[4]&null != 0 {
		return NotIP
	}
	if !s.push(tagPIM, 0) {
		return Malformed
	}
	return s.rawIP(b[8:])
}

// l2tp reads the header of a data message, version 2 (RFC 2661 section 3.1):
//
//	flags and version (2)  length (2)  tunnel (2)  session (2)
//	sent, expected (2, 2)  size of what follows (2)  padding
//
// The length, the numbers and the padding are there where a flag says so.
func (s *segment) l2tp(b []byte) Outcome {
	const control, length, sequence, offset, version = 0x8000, 0x4000, 0x0800, 0x0200, 0x000f
	if len(b) < 2 {
		return Truncated
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&version != 2 || flags&control != 0 {
		return NotIP
	}
	n := 6
	if flags&length != 0 {
		n += 2
	}
	if len(b) < n {
		return Truncated
	}
	if !s.push(tagL2TP, binary.BigEndian.Uint32(b[n-4:])) {
		return Malformed
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&offset != 0 {
		n += 2
		if len(b) < n {
			return Truncated
		}
		n += int(binary.BigEndian.Uint16(b[n-2:]))
	}
	if len(b) < n {
		return Truncated
	}
	return s.ppp(b[n:])
}

// capwap reads the header of data between an access point and its controller
// (RFC 5415 section 4.3), in clear:
//
//	version and type (1)  length in words (5 bits)  radio (5 bits)
//	binding (5 bits)  flags (9 bits)  fragment (4)  what the flags announce
//
// Inside is an Ethernet frame or, with the flag T, one as the binding has it,
// which is 802.11. Of that some send the two bytes of the frame control in the
// other order.
func (s *segment) capwap(b []byte) Outcome {
	const native, fragment, keepAlive, ieee80211 = 1 << 8, 1 << 7, 1 << 3, 1
	if len(b) < 8 {
		return Truncated
	}
	bits := binary.BigEndian.Uint32(b) & 0xffffff
	n := int(bits>>19) * 4
	if b[0] != 0 || n < 8 || bits&(fragment|keepAlive) != 0 {
		return NotIP // sealed by DTLS, a part of a frame, or none
	}
	if !s.push(tagCAPWAP, bits>>14&0x1f) {
		return Malformed
	}
	if len(b) < n+2 {
		return Truncated
	}
	b = b[n:]
	switch {
	case bits&native == 0:
		return s.ethernet(b)
	case bits>>9&0x1f != ieee80211:
		return NotIP
	}
	const data = 0x08 // version and type, in the low half of the first byte
	if b[0]&0x0f != data && b[1]&0x0f == data {
		return s.wlanFrame(b[1], b[0], b)
	}
	return s.wlanFrame(b[0], b[1], b)
}

// ah passes over an authentication header (RFC 4302 section 2).
func (s *segment) ah(b []byte, n int) Outcome {
	if len(b) < 12 {
		return short(12, n)
	}
	l := (int(b[1]) + 2) * 4
	if l < 12 {
		return Malformed
	}
	if l > len(b) {
		return short(l, n)
	}
	if !s.push(tagAH, binary.BigEndian.Uint32(b[4:])) {
		return Malformed
	}
	return s.transport(b[0], b[l:], n-l)
}

// vxlan reads a VXLAN header (RFC 7348 section 5).
func (s *segment) vxlan(b []byte) Outcome {
	if len(b) < 8 {
		return Truncated
	}
	if b[0]&0x08 == 0 || b[7] != 0 {
		return Malformed
	}
	if !s.push(tagVXLAN, binary.BigEndian.Uint32(b[4:])>>8) {
		return Malformed
	}
	return s.ethernet(b[8:])
}

func (s *segment) vxlanGPE(b []byte) Outcome {
	if len(b) < 8 {
		return Truncated
	}
	if b[0]&0x08 == 0 {
		return Malformed
	}
	if !s.push(tagVXLAN, binary.BigEndian.Uint32(b[4:])>>8) {
		return Malformed
	}
	switch {
	case b[0]&0x04 == 0 || b[3] == 3:
		return s.ethernet(b[8:])
	case b[3] == 1:
		return s.ipv4(b[8:])
	case b[3] == 2:
		return s.ipv6(b[8:])
	case b[3] == 4:
		return s.nsh(b[8:])
	}
	return NotIP
}

// geneve reads a Geneve header (RFC 8926 section 3.4).
func (s *segment) geneve(b []byte) Outcome {
	if len(b) < 8 {
		return Truncated
	}
	if b[0]>>6 != 0 {
		return Malformed
	}
	n := 8 + int(b[0]&0x3f)*4
	if len(b) < n {
		return Truncated
	}
	if !s.push(tagGENEVE, binary.BigEndian.Uint32(b[4:])>>8) {
		return Malformed
	}
	return s.inner(binary.BigEndian.Uint16(b[2:]), b[n:])
}

// gtp reads a GTP-U header (3GPP TS 29.281 section 5.1) that carries a packet.
func (s *segment) gtp(b []byte) Outcome {
	const gPDU = 255
	if len(b) < 8 {
		return Truncated
	}
	if b[0]>>5 != 1 || b[0]&0x10 == 0 || b[1] != gPDU {
		return NotIP
	}
	if !s.push(tagGTP, binary.BigEndian.Uint32(b[4:])) {
		return Malformed
	}
	n := 8
	if b[0]&7 != 0 {
		if len(b) < 12 {
			return Truncated
		}
		n = 12
		for next := b[11]; next != 0 && b[0]&4 != 0; { // extension headers
			if len(b) <= n {
				return Truncated
			}
			l := int(b[n]) * 4
			if l == 0 {
				return Malformed
			}
			if len(b) < n+l {
				return Truncated
			}
			next = b[n+l-1]
			n += l
		}
	}
	return s.rawIP(b[n:])
}

// gtp0 reads the header of GTP before it had versions of its own for control and
// user (3GPP TS 09.60 section 6), where it carries a packet.
func (s *segment) gtp0(b []byte) Outcome {
	const tPDU, header = 255, 20
	if len(b) < header {
		return Truncated
	}
	if b[0]>>5 != 0 || b[0]&0x10 == 0 || b[1] != tPDU {
		return NotIP
	}
	if !s.push(tagGTP, uint32(binary.BigEndian.Uint16(b[6:]))) { // flow label
		return Malformed
	}
	return s.rawIP(b[header:])
}

// teredo reads what Teredo (RFC 4380 section 5.1.1) puts in front of an IPv6
// packet: an authentication header (00 01, lengths of the two parts) and an
// origin indication (00 00, port, address), either of which may be missing.
func (s *segment) teredo(b []byte) Outcome {
	if len(b) >= 4 && b[0] == 0 && b[1] == 1 {
		n := 4 + int(b[2]) + int(b[3]) + 8 + 1 // nonce, confirmation
		if len(b) < n {
			return Truncated
		}
		b = b[n:]
	}
	if len(b) >= 8 && b[0] == 0 && b[1] == 0 {
		b = b[8:]
	}
	if len(b) < 40 {
		return Truncated
	}
	if b[0]>>4 != 6 {
		return NotIP
	}
	if !s.push(tagTeredo, 0) {
		return Malformed
	}
	return s.ipv6(b)
}
