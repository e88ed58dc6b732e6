package flows

import "encoding/binary"

// What stands between a frame's header and IP. Each is recorded as a tag, of
// which a frame may have maxDepth: so these methods, which lead back to network,
// end.

// vlan reads an IEEE 802.1Q tag behind its Ethernet type: priority and VLAN (2),
// the next type (2).
func (s *segment) vlan(b []byte) Outcome {
	if len(b) < 4 {
		return Truncated
	}
	if !s.push(tagVLAN, uint32(binary.BigEndian.Uint16(b)&0xfff)) {
		return Malformed
	}
	t := binary.BigEndian.Uint16(b[2:])
	if t < 0x600 { // a length
		return s.llc(b[4:])
	}
	return s.network(t, b[4:])
}

// mpls reads a label stack (RFC 3032 section 2.1). No label says what is under
// the stack: the first nibble tells IP or the control word of a pseudowire (RFC
// 4385). But a pseudowire may do without, and then it is that of an Ethernet
// address: where the rest does not fit, a known type in its place tells.
func (s *segment) mpls(b []byte) Outcome {
	for bottom := false; !bottom; b = b[4:] {
		if len(b) < 4 {
			return Truncated
		}
		label := binary.BigEndian.Uint32(b)
		if !s.push(tagMPLS, label>>12) {
			return Malformed
		}
		bottom = label&0x100 != 0
	}
	if len(b) < 1 {
		return Truncated
	}
	framed := len(b) >= 14 && isEtherType(b[12:14])
	switch b[0] >> 4 {
	case 4:
		if framed && b[0] != 0x45 {
			break
		}
		return s.rawIP(b)
	case 6:
		const padding = 46
		if framed {
			if extra := len(b) + s.cut - 40 - int(binary.BigEndian.Uint16(b[4:])); extra < 0 || extra > padding {
				break
			}
		}
		return s.rawIP(b)
	case 0:
		if len(b) < 4 {
			return Truncated
		}
		if framed && !(len(b) >= 18 && isEtherType(b[16:18])) {
			break
		}
		return s.ethernet(b[4:])
	}
	return s.ethernet(b)
}

// isEtherType says whether b begins with an Ethernet type that network knows.
func isEtherType(b []byte) bool {
	switch binary.BigEndian.Uint16(b) {
	case etherIPv4, etherIPv6, etherVLAN, etherQinQ, etherOldQinQ, etherMPLS, etherMPLSMC, etherPPPoE, etherCMD, etherVNTag,
		etherNSH, etherMACsec, etherFabric, etherARP, etherRARP, etherSlow, etherEAPOL, etherLLDP:
		return true
	}
	return false
}

// pppoe reads the header of a PPPoE session (RFC 2516 section 4): version and
// type (1), code (1), session (2), length (2).
func (s *segment) pppoe(b []byte) Outcome {
	if len(b) < 6 {
		return Truncated
	}
	if b[0] != 0x11 || b[1] != 0 {
		return NotIP
	}
	if !s.push(tagPPPoE, uint32(binary.BigEndian.Uint16(b[2:]))) {
		return Malformed
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if b = b[6:]; n > 2 && n < len(b)+s.cut {
		b, s.room = b[:min(n, len(b))], n-2 // some access devices pad the frame and make the IP header say so
	}
	return s.ppp(b)
}

// metadata reads Cisco MetaData: version (1), length in words of 4 bytes (1),
// options, the next Ethernet type (2). The first option is the security group tag.
func (s *segment) metadata(b []byte) Outcome {
	if len(b) < 2 {
		return Truncated
	}
	n := 2 + int(b[1])*4
	if len(b) < n+2 {
		return Truncated
	}
	group := uint32(0)
	if n >= 6 {
		group = uint32(binary.BigEndian.Uint16(b[4:]))
	}
	if !s.push(tagCMD, group) {
		return Malformed
	}
	return s.network(binary.BigEndian.Uint16(b[n:]), b[n+2:])
}

// vnTag reads a tag of virtual interfaces (IEEE 802.1BR and before it Cisco's):
// direction, destination and source (4), the next Ethernet type (2).
func (s *segment) vnTag(b []byte) Outcome {
	if len(b) < 6 {
		return Truncated
	}
	if !s.push(tagVNTag, binary.BigEndian.Uint32(b)>>16&0x3fff) {
		return Malformed
	}
	return s.network(binary.BigEndian.Uint16(b[4:]), b[6:])
}

// fabricPath reads the tag between switches of Cisco's FabricPath, whose Ethernet
// header has their addresses: tree (10 bits), hops left (6 bits), then a frame.
func (s *segment) fabricPath(b []byte) Outcome {
	if len(b) < 2 {
		return Truncated
	}
	if !s.push(tagFabricPath, uint32(binary.BigEndian.Uint16(b)>>6)) {
		return Malformed
	}
	return s.ethernet(b[2:])
}

// macsec reads a security tag (IEEE 802.1AE section 9.3): flags and association
// (1), short length (1), packet number (4), channel identifier (8) where the flags
// say so. Frames that are but authenticated go on with the Ethernet type.
func (s *segment) macsec(b []byte) Outcome {
	const explicitSCI, encrypted = 0x20, 0x0c
	n := 6
	if len(b) < n {
		return Truncated
	}
	if b[0]&encrypted != 0 {
		return Encrypted
	}
	if b[0]&explicitSCI != 0 {
		n += 8
	}
	if len(b) < n+2 {
		return Truncated
	}
	if !s.push(tagMACsec, uint32(b[0]&3)) {
		return Malformed
	}
	return s.network(binary.BigEndian.Uint16(b[n:]), b[n+2:])
}
