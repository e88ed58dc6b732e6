package dissect

import "encoding/binary"

// BitTorrent (BEP 3): the handshake of two peers,
//
//	13 "BitTorrent protocol"  reserved (8)  info hash (20)  peer (20)
//
// the distributed hash table (BEP 5), whose datagrams are bencoded dictionaries
// in the order of their keys, local service discovery (BEP 14, see
// discovery.go), and uTP (BEP 29), which carries the handshake over UDP:
//
//	type (4 bits) version 1 (4 bits)  extension (1)  connection (2)
//	timestamp (4)  difference (4)  window (4)  sequence (2)  acknowledged (2)
//
// of which only the first packet, type 4, has enough that is fixed.

var bittorrentTCP = Dissector{
	Name:  "bittorrent",
	Over:  TCP,
	Ports: []uint16{6888, 6881, 6889},
	Probe: func(_ Dir, b []byte) Match { return begins(b, bittorrentHandshake) },
	New:   newNamed,
}

var bittorrentUDP = Dissector{
	Name:  "bittorrent",
	Over:  UDP,
	Ports: []uint16{6888, 6881, 6889, 6771},
	Probe: probeBitTorrent,
	New:   newNamed,
}

const (
	bittorrentHandshake = "\x13BitTorrent protocol"
	utpHeaderSize       = 20
)

func probeBitTorrent(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	switch b[0] {
	case 'B':
		return lineAfter(b, []string{"BT-SEARCH "}, " HTTP/1.")
	case 'd':
		return probeDHT(b)
	}
	if b[0]&15 != 1 || b[0]>>4 > 4 {
		return No
	}
	return probeUTP(b)
}

// probeDHT knows a query ("a", its arguments, first), a response ("r", or "ip"
// before it) and an error ("e").
func probeDHT(b []byte) Match {
	answer := No
	for _, start := range [...]struct {
		bytes  string
		sender Match
	}{
		{"d1:ad2:id20:", FromClient}, {"d1:rd2:id20:", FromServer}, {"d2:ip6:", FromServer}, {"d2:ip18:", FromServer}, {"d1:eli20", FromServer},
	} {
		switch begins(b, start.bytes) {
		case Yes:
			return start.sender
		case Maybe:
			answer = Maybe
		}
	}
	return answer
}

func probeUTP(b []byte) Match {
	const opening = 4
	const acknowledgedAt, differenceAt = 18, 8
	if len(b) > 1 && b[1] > 2 { // extensions: none, selective acknowledgement, bits
		return No
	}
	if len(b) < utpHeaderSize {
		return Maybe
	}
	if b[0]>>4 != opening {
		return Weak
	}
	if binary.BigEndian.Uint32(b[differenceAt:]) != 0 || binary.BigEndian.Uint16(b[acknowledgedAt:]) != 0 {
		return Weak
	}
	if len(b) != utpHeaderSize && b[1] == 0 {
		return No
	}
	return FromClient
}
