package dissect

import "encoding/binary"

// RADIUS, RFC 2865 section 3, accounting, RFC 2866, and dynamic authorization,
// RFC 5176:
//
//	code (1)  id (1)  length (2)  authenticator (16)
//	attributes: type (1)  length (1), both included  value

var radius = Dissector{
	Name:  "radius",
	Over:  UDP,
	Ports: []uint16{1812, 1813, 1645, 1646, 3799},
	Probe: probeRADIUS,
	New:   newNamed,
}

const (
	radiusHeaderSize = 20
	maxRADIUS        = 4096
)

func probeRADIUS(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	var sender Match
	switch b[0] {
	case 1, 4, 12, 40, 43: // Access-, Accounting-Request, Status-Server, Disconnect-, CoA-Request
		sender = FromClient
	case 2, 3, 5, 11, 41, 42, 44, 45: // their answers
		sender = FromServer
	default:
		return No
	}
	if len(b) < 4 {
		return Maybe
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < radiusHeaderSize || size > maxRADIUS {
		return No
	}
	at := radiusHeaderSize
	for at+1 < min(len(b), size) {
		length := int(b[at+1])
		if b[at] == 0 || length < 2 || at+length > size {
			return No
		}
		at += length
	}
	switch {
	case len(b) < size:
		return Maybe
	case at != size:
		return No
	case size == radiusHeaderSize:
		return Weak // an answer without attributes: nothing to recognise it by
	}
	return sender
}
