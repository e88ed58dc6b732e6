package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// hostile says whether c does something to a terminal or to the order in which
// text is shown: control characters of both ranges, line separators, zero
// width and direction marks, and what is no character at all.
func hostile(c rune) bool {
	switch {
	case c < ' ', c >= 0x7f && c < 0xa0:
		return true
	case c < 0x0600:
		return c == 0xad
	case c == 0x061c, c == 0x180e, c == 0xfeff, c >= 0xfff0 && c <= 0xfffb:
		return true
	case c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e, c >= 0x2060 && c <= 0x206f:
		return true
	case c >= 0xe0000 && c <= 0xe0fff:
		return true
	}
	return false
}

// Clean is s fit for one line of a terminal: what could do something to it is
// shown as U+FFFD. Space of any kind is a space.
func Clean(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\t', c == '\n', c == '\r', c == '\v', c == '\f':
			b.WriteByte(' ')
		case hostile(c), c == utf8.RuneError, !unicode.IsPrint(c) && c != ' ':
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
