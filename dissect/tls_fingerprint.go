package dissect

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// JA3 and JA3S (salesforce/ja3, BSD-3-Clause) and JA4 (FoxIO, BSD-3-Clause)
// name a TLS implementation by what its hello offers, in which order.

// list16 is a list of two-byte values without the GREASE among them.
func list16(b []byte) []uint16 {
	list := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		if v := binary.BigEndian.Uint16(b); !isGREASE(int(v)) {
			list = append(list, v)
		}
	}
	return list
}

// extensionTypes is the types in a block of extensions, in their order.
func extensionTypes(block []byte) []uint16 {
	var list []uint16
	for r := newReader(block); r.left() > 0; {
		typ := r.be16("extension type")
		r.bytes("extension", r.be16("extension length"))
		if r.err() == nil && !isGREASE(typ) {
			list = append(list, uint16(typ))
		}
	}
	return list
}

// ja3 is the MD5 of version, cipher suites, extensions, groups and point
// formats, all in decimal: "771,4865-4866,0-23-65281,29-23-24,0".
func ja3(h *clientHello) string {
	b := make([]byte, 0, 512)
	b = strconv.AppendInt(b, int64(h.version), 10)
	for _, list := range [...][]uint16{list16(h.suites), extensionTypes(h.extensions), list16(h.groups)} {
		b = appendDashed(append(b, ','), list)
	}
	b = append(b, ',')
	for i, v := range h.pointFormats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// ja3s is the MD5 of the ServerHello's version, cipher suite and extensions.
func ja3s(h *serverHello) string {
	b := make([]byte, 0, 64)
	b = strconv.AppendInt(b, int64(h.legacy), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(h.suite), 10)
	b = appendDashed(append(b, ','), extensionTypes(h.extensions))
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func appendDashed(b []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return b
}

// ja4 is three parts joined by "_": what the hello is at a glance, a hash of
// the sorted cipher suites, and a hash of the sorted extensions with the
// signature algorithms in their order.
func ja4(h *clientHello) string {
	suites := list16(h.suites)
	types := extensionTypes(h.extensions)

	b := make([]byte, 0, 48)
	b = append(b, "tqd"[h.over])
	b = append(b, ja4Version(h)...)
	if h.hasSNI {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	b = appendCount(b, len(suites))
	b = appendCount(b, len(types))
	b = append(b, ja4ALPN(h)...)

	slices.Sort(suites)
	b = append(b, '_')
	b = appendHash(b, appendHex(nil, suites))

	// The server name and ALPN are in the first part; without them a client
	// keeps its fingerprint whatever it connects to.
	types = slices.DeleteFunc(types, func(t uint16) bool { return t == extServerName || t == extALPN })
	slices.Sort(types)
	text := appendHex(nil, types)
	if algs := list16(h.signatureAlgs); len(algs) > 0 {
		text = appendHex(append(text, '_'), algs)
	}
	b = append(b, '_')
	if len(types) == 0 {
		text = nil
	}
	return string(appendHash(b, text))
}

// ja4Version is the highest version offered.
func ja4Version(h *clientHello) string {
	version := uint16(h.version)
	if list := list16(h.versions); len(list) > 0 && h.over == overDatagrams {
		version = slices.Min(list) // DTLS counts down
	} else if len(list) > 0 {
		version = slices.Max(list)
	}
	switch version {
	case versionTLS13:
		return "13"
	case versionTLS12:
		return "12"
	case versionTLS11:
		return "11"
	case versionTLS10:
		return "10"
	case versionSSL3:
		return "s3"
	case versionSSL2:
		return "s2"
	case versionDTLS13:
		return "d3"
	case versionDTLS12:
		return "d2"
	case versionDTLS10:
		return "d1"
	}
	return "00"
}

// ja4ALPN is the first and the last character of the first protocol offered;
// of their hex digits where either is not a letter or digit.
func ja4ALPN(h *clientHello) string {
	r := newReader(h.alpn)
	name := r.bytes("protocol", r.u8("protocol length"))
	if len(name) == 0 {
		return "00"
	}
	first, last := name[0], name[len(name)-1]
	if isAlphanumeric(first) && isAlphanumeric(last) {
		return string([]byte{first, last})
	}
	return string([]byte{hexDigits[first>>4], hexDigits[last&15]})
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// appendCount writes two digits; 99 stands for more.
func appendCount(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

// appendHex writes values as four hex digits, with commas between.
func appendHex(b []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, hexDigits[v>>12], hexDigits[v>>8&15], hexDigits[v>>4&15], hexDigits[v&15])
	}
	return b
}

// appendHash writes the first twelve hex digits of the SHA-256 of text, zeros
// for no text.
func appendHash(b, text []byte) []byte {
	if len(text) == 0 {
		return append(b, "000000000000"...)
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(b, sum[:6])
}
