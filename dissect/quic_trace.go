package dissect

import "encoding/hex"

// tracePacket tells of a packet with a long header, of n bytes at byte at of
// its datagram.
func (h *quicHeader) tracePacket(dir Dir, at, n int, facts *Facts) {
	if h.typ != quic0RTT { // that one is user data
		facts.open(dir, at, n)
	}
	token := ""
	if len(h.token) > 0 {
		token = bytesOf(len(h.token))
	}
	facts.tell(dir, 0, [...]string{"QUIC Initial packet", "QUIC 0-RTT packet", "QUIC Handshake packet", "QUIC Retry packet"}[h.typ],
		Field{"version", hex32(h.version)}, Field{"to", hex.EncodeToString(h.destination)},
		Field{"from", hex.EncodeToString(h.source)}, Field{"token", token}, Field{"length", bytesOf(n)})
}

// traceRecord tells of a record of DTLS at byte at of its datagram.
func (h *dtlsRecord) traceRecord(dir Dir, at int, facts *Facts) {
	text := "DTLS record"
	switch h.typ {
	case recordCCS:
		text = "DTLS ChangeCipherSpec"
	case recordAlert:
		text = "DTLS alert record"
	case recordHandshake:
		text = "DTLS handshake record"
	}
	if h.epoch > 0 {
		text += ", sealed"
	}
	if h.typ != recordApplication {
		facts.open(dir, at, dtlsRecordHeader+len(h.fragment))
	}
	facts.tell(dir, 0, text, Field{"version", versionName(uint16(h.version))}, Field{"epoch", countOf(h.epoch)}, Field{"length", bytesOf(h.length)})
}
