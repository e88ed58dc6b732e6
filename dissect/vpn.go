package dissect

import "encoding/binary"

// Tunnels that a diagram does not have hide what goes through them, so a finding
// should name them. Only their beginnings are read; ESP itself (IP protocol 50)
// shows nothing.
//
// IKE, RFC 7296 section 3.1 and RFC 2408 section 3.1, one datagram a message:
//
//	SPI of the initiator   8   not zero
//	SPI of the responder   8   zero in the first message
//	next payload           1
//	version                1   10 or 20
//	exchange type          1
//	flags                  1
//	message ID             4
//	length                 4   of the whole message
//
// On port 4500 four zero bytes come before it, which tell it from ESP
// (RFC 3948 section 2.2).

const ikeHeader = 28

var ike = Dissector{
	Name:  "ike",
	Over:  UDP,
	Ports: []uint16{500, 4500},
	Probe: probeIKE,
	New:   newNamed,
}

func probeIKE(_ Dir, b []byte) Match {
	if len(b) >= 4 && binary.BigEndian.Uint32(b) == 0 {
		b = b[4:]
	}
	if len(b) > 17 && b[17] != 0x10 && b[17] != 0x20 {
		return No
	}
	r := newReader(b)
	initiator := r.be64("initiator's SPI")
	responder := r.be64("responder's SPI")
	payload := r.u8("next payload")
	version := r.u8("version")
	exchange := r.u8("exchange type")
	flags := r.u8("flags")
	r.be32("message ID")
	length := int(r.be32("length"))
	const fromInitiator = 0x08 // version 2: of the one who began the session, whoever asks now
	switch {
	case r.err() != nil:
		return Maybe
	case initiator == 0 || length < ikeHeader || len(b) > length:
		return No
	case version == 0x10 && (payload == 0 || flags&^7 != 0 || !isIKE1(exchange)):
		return No
	case version == 0x20 && (payload > 0 && payload < 33 || flags&^0x38 != 0 || exchange < 34 || exchange > 44):
		return No
	case len(b) < length:
		return Maybe
	case responder == 0, version == 0x20 && flags&fromInitiator != 0:
		return FromClient
	case version == 0x20:
		return FromServer
	}
	return Yes
}

// isIKE1 says whether IKE version 1 has an exchange: main, authentication only,
// aggressive, informational, transaction, quick, new group (RFC 2408 section 3.1,
// RFC 2409 section 4).
func isIKE1(exchange int) bool {
	return exchange >= 2 && exchange <= 6 || exchange == 32 || exchange == 33
}

// WireGuard ("WireGuard: Next Generation Kernel Network Tunnel", section 5.4).
// The messages that begin a session have lengths of their own:
//
//	type 1, three zero bytes   the initiator's   148 bytes in all
//	type 2, three zero bytes   the answer         92 bytes in all
//	type 4, three zero bytes   data: receiver (4), counter (8), sealed packet
//
// Data has little else that tells it: what is sealed was padded to 16 bytes,
// and a session is over long before its counter needs the upper half.

const (
	wireGuardInitiation = 148
	wireGuardResponse   = 92
	wireGuardData       = 32 // at least: the header and the tag
	wireGuardPadding    = 16
)

var wireGuard = Dissector{
	Name:  "wireguard",
	Over:  UDP,
	Ports: []uint16{51820},
	Probe: probeWireGuard,
	New:   newNamed,
}

func probeWireGuard(_ Dir, b []byte) Match {
	for i, c := range b[:min(len(b), 4)] {
		if i == 0 && c != 1 && c != 2 && c != 4 || i > 0 && c != 0 {
			return No
		}
	}
	if len(b) == 0 {
		return Maybe
	}
	length, answer := wireGuardInitiation, FromClient
	switch b[0] {
	case 2:
		length, answer = wireGuardResponse, FromServer
	case 4:
		return probeWireGuardData(b)
	}
	switch {
	case len(b) < length:
		return Maybe
	case len(b) > length:
		return No
	}
	return answer
}

// probeWireGuardData knows data by what surrounds it. A datagram that a snap
// length cut may have any length.
func probeWireGuardData(b []byte) Match {
	const upper, end = 12, 16 // the counter's upper half
	for _, c := range b[min(len(b), upper):min(len(b), end)] {
		if c != 0 {
			return No
		}
	}
	if len(b) < wireGuardData || len(b)%wireGuardPadding != 0 {
		return Maybe
	}
	return Weak
}

// OpenVPN, "OpenVPN wire protocol", over UDP. What begins a session is of one of
// three lengths, by what protects the handshake itself:
//
//	07<<3 (1)  session (8)  00  00000000                          nothing
//	07<<3 (1)  session (8)  HMAC (20)  1 (4)  time (4)  sealed (5)   tls-auth, SHA-1
//	07<<3 (1)  session (8)  1 (4)  time (4)  HMAC (32)  sealed (5)   tls-crypt
//
// The answer begins with 08<<3 and acknowledges it.

const (
	openVPNClient = 7 << 3 // P_CONTROL_HARD_RESET_CLIENT_V2, key 0
	openVPNServer = 8 << 3 // P_CONTROL_HARD_RESET_SERVER_V2, key 0
)

var openVPN = Dissector{
	Name:  "openvpn",
	Over:  UDP,
	Ports: []uint16{1194},
	Probe: probeOpenVPN,
	New:   newNamed,
}

func probeOpenVPN(_ Dir, b []byte) Match {
	const header, plain, auth, crypt = 9, 14, 42, 54
	const acknowledges = 4 + 8 // one packet, and the other's session
	if len(b) == 0 {
		return Maybe
	}
	size, answer := len(b), FromClient
	switch {
	case b[0] == openVPNServer:
		size, answer = size-acknowledges, FromServer
	case b[0] != openVPNClient:
		return No
	}
	switch {
	case size < plain:
		return Maybe
	case size == plain && answer == FromClient && string(b[header:]) == "\x00\x00\x00\x00\x00",
		size == plain && answer == FromServer && string(b[header:header+5]) == "\x01\x00\x00\x00\x00",
		size == auth && string(b[header+20:header+24]) == "\x00\x00\x00\x01",
		size == crypt && string(b[header+1:header+4]) == "\x00\x00\x01" && (b[header] == 0 || b[header] == 0x0f):
		return answer
	case size > crypt:
		return No
	}
	return Maybe
}
