package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"wirechart/rules"
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

// style is how a piece of text looks on a terminal that has colours. What it
// says never depends on it.
type style string

// The styles, as the parameters of SGR (ECMA-48 section 8.3.117).
const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "1;31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint is s in a style, and s alone when colours are off.
func (o *Options) paint(st style, s string) string {
	if !o.Color || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// cells is how many columns of a terminal s takes. The width of ambiguous
// characters is 1 whatever the locale, so that output does not depend on it.
func cells(s string) int { return displaywidth.String(s) }

// wrap breaks s, which is clean, into lines of at most width columns, between
// words where it can, and not between "frame" and its number. The lines behind the
// first are indented.
func wrap(s string, width, indent int) []string {
	width = max(width, 8)
	indent = min(indent, width/2)
	var lines []string
	line, used := "", 0
	lead := ""
	flush := func() {
		lines = append(lines, line)
		lead = strings.Repeat(" ", indent)
		line, used = lead, indent
	}
	words := strings.Fields(s)
	for i := 0; i < len(words); i++ {
		word := words[i]
		n := cells(word)
		if i+1 < len(words) && strings.HasSuffix(word, "frame") && words[i+1][0] >= '0' && words[i+1][0] <= '9' &&
			n+1+cells(words[i+1]) <= width-indent {
			i++
			word += " " + words[i]
			n = cells(word)
		}
		if line != lead && used+1+n > width {
			flush()
		}
		for used+n > width && line == lead { // longer than a line: cut it
			head, rest := cut(word, width-used)
			if rest == "" {
				break
			}
			if digits := strings.TrimRight(head, "0123456789"); strings.HasSuffix(digits, ":") {
				head, rest = digits, word[len(digits):] // a port or a frame stays whole
			}
			line += head
			flush()
			word, n = rest, cells(rest)
		}
		if line != lead {
			line += " "
			used++
		}
		line += word
		used += n
	}
	return append(lines, line)
}

// cut splits s where it has taken width columns, at least one character.
func cut(s string, width int) (head, rest string) {
	used := 0
	for i, c := range s {
		n := cells(string(c))
		if used+n > width && i > 0 {
			return s[:i], s[i:]
		}
		used += n
	}
	return s, ""
}

// clip is s in at most width columns, with an ellipsis where it was longer.
func clip(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	head, _ := cut(s, width-1)
	return head + "…"
}

// count is n things: "1 flow", "12,345 flows".
func count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return number(n) + " " + thing
}

// number is n with its thousands separated by commas.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// frameNumber is a frame's number as Wireshark writes it: a name, to be pasted, and
// no count.
func frameNumber(n uint64) string { return strconv.FormatUint(n, 10) }

// size is a number of bytes for people.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.5 && unit < 5 {
		v, unit = v/1000, unit+1
	}
	digits := 1
	if v >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + [...]string{"kB", "MB", "GB", "TB", "PB", "EB"}[unit]
}

// span is a length of time for people.
func span(ns int64) string { return rules.Span(ns) }
