package dissect

import "strings"

// Protocols of which the name is all that is wanted: they are everywhere and no
// part of what is audited. Each has a Probe that is strict enough to be believed
// on any port, or says Weak where it is not, and shares this Parser.

// named reads nothing.
type named struct{ toTheGap }

func newNamed(*Context) Parser { return named{} }

// Parse is done with the first bytes.
func (named) Parse(_ Dir, b []byte, _ *Facts) (int, error) { return len(b), ErrDone }

// toTheGap is the part of a Parser that reads the beginning of a stream, or
// datagrams, and concludes nothing at the end.
type toTheGap struct{}

// Gap ends the reading.
func (toTheGap) Gap(Dir, []byte, uint64, *Facts) (skip uint64, ok bool) { return 0, false }

// Close has nothing to say.
func (toTheGap) Close(*Facts) {}

// begins says whether b begins with prefix: Yes, or Maybe while b is shorter.
func begins(b []byte, prefix string) Match {
	n := min(len(b), len(prefix))
	switch {
	case string(b[:n]) != prefix[:n]:
		return No
	case n < len(prefix):
		return Maybe
	}
	return Yes
}

// beginsAny says whether b begins with one of the words: Yes, or Maybe while b is
// shorter than one that it may be.
func beginsAny(b []byte, words []string) Match {
	answer := No
	for _, word := range words {
		switch begins(b, word) {
		case Yes:
			return Yes
		case Maybe:
			answer = Maybe
		}
	}
	return answer
}

// isWord says whether all of b can be printed and none is a blank.
func isWord(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// lineAfter judges what begins with one of the words, each with the blank
// behind it, and whose first line contains version: requests in the manner of
// HTTP that are not HTTP's.
func lineAfter(b []byte, words []string, version string) Match {
	const longest = 1 << 10
	answer := No
	for _, word := range words {
		switch begins(b, word) {
		case Maybe:
			answer = Maybe
		case Yes:
			line, _, complete := strings.Cut(string(b[:min(len(b), longest)]), "\n")
			switch {
			case strings.Contains(line, version):
				return Yes
			case !complete && len(b) < longest:
				return Maybe
			}
			return No
		}
	}
	return answer
}
