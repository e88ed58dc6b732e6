package rules

import (
	"strconv"
	"strings"
	"time"
)

// Sentence makes a sentence of a phrase: a capital, and a full stop. Nothing
// stays nothing, and a question a question.
func Sentence(s string) string {
	if s == "" {
		return s
	}
	if c := s[0]; 'a' <= c && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// Span is a length of time for people.
func Span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		unit := time.Microsecond
		for ; d >= 1000*unit; unit *= 10 {
		}
		return d.Round(unit).String() // three digits
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String() // "26h3m0s"
	if h := int64(d / (24 * time.Hour)); h > 0 {
		s = strconv.FormatInt(h, 10) + "d" + (d % (24 * time.Hour)).Round(time.Minute).String()
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}
