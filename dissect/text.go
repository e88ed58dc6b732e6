package dissect

import (
	"strings"
	"unicode/utf8"
)

// printable is text from the wire as a record may show it: bytes that are not
// printable are written as \xHH, so that a terminal is not at the mercy of a
// server's name. The result is a copy.
func printable(b []byte) string {
	plain := true
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return string(b)
	}
	const hex = "0123456789abcdef"
	var s strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ', r >= 0x7f && r < 0xa0:
			for _, c := range b[:n] {
				s.WriteString(`\x`)
				s.WriteByte(hex[c>>4])
				s.WriteByte(hex[c&15])
			}
		default:
			s.Write(b[:n])
		}
		b = b[n:]
	}
	return s.String()
}
