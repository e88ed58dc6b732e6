package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

const (
	maxText     = 1 << 20 // bytes of a diagram or an inventory
	maxMistakes = 100     // mistakes that are listed
)

// Mistake is one thing wrong with a diagram or an inventory.
type Mistake struct {
	File string
	Line int    // 1-based; 0 when it is not of one line
	Text string // names the offending word
}

func (m Mistake) String() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// Mistakes is everything wrong with the files read, in the order of files and
// lines, so that they can be mended in one go. As an error it has a line each.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].String()
	}
	return strings.Join(lines, "\n")
}

// text is one YAML file while it is read. Mistakes are noted and reading goes
// on, so that all of them are found.
type text struct {
	file     string
	mistakes Mistakes
	more     int // mistakes beyond maxMistakes
}

// wrong notes a mistake at n.
func (t *text) wrong(n *yaml.Node, format string, args ...any) {
	t.wrongAt(n.Line, format, args...)
}

func (t *text) wrongAt(line int, format string, args ...any) {
	if t.enough() {
		t.more++
		return
	}
	t.mistakes = append(t.mistakes, Mistake{t.file, line, fmt.Sprintf(format, args...)})
}

// enough says that no further mistake will be listed. Looking for what an
// unknown word may have meant takes time and ends there.
func (t *text) enough() bool { return len(t.mistakes) >= maxMistakes }

// listed is the mistakes of several texts as an error, nil when there are none.
func listed(texts ...*text) error {
	var list Mistakes
	for _, t := range texts {
		slices.SortStableFunc(t.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
		list = append(list, t.mistakes...)
		if t.more > 0 {
			list = append(list, Mistake{t.file, 0, fmt.Sprintf("%d more mistakes are not listed", t.more)})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// root reads the one document of b, nil when that is not possible.
func (t *text) root(b []byte) *yaml.Node {
	if len(b) > maxText {
		t.wrongAt(0, "longer than %d bytes", maxText)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		t.wrongAt(0, "is empty")
		return nil
	case err != nil:
		line, message := syntaxError(err)
		t.wrongAt(line, "%s", message)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		t.wrong(&second, "a second document; one file holds one")
	} else if !errors.Is(err, io.EOF) {
		line, message := syntaxError(err)
		t.wrongAt(line, "%s", message)
	}
	if len(document.Content) == 0 {
		t.wrongAt(0, "is empty")
		return nil
	}
	if t.aliased(document.Content[0]) {
		return nil
	}
	return document.Content[0]
}

// syntaxError takes the line out of the text of a YAML error, 0 when there is
// none.
func syntaxError(err error) (int, string) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(message, "cannot start any token") || strings.Contains(message, "expected alphabetic or numeric") {
		message += " (a value that begins with > or * goes in quotes)"
	}
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return line, "not YAML: " + text
			}
		}
	}
	return 0, "not YAML: " + message
}

// aliased notes every anchor and alias under n: a few of them can stand for
// more nodes than fit in memory, and no diagram needs them.
func (t *text) aliased(n *yaml.Node) bool {
	found := false
	switch {
	case n.Kind == yaml.AliasNode:
		t.wrong(n, "alias %q; write it out", "*"+n.Value)
		return true // n.Content is empty: what it stands for is seen at its anchor
	case n.Anchor != "":
		t.wrong(n, "anchor %q; write it out", "&"+n.Anchor)
		found = true
	}
	for _, c := range n.Content {
		found = t.aliased(c) || found
	}
	return found
}

// field is one key of a mapping and what reads its value.
type field struct {
	key  string
	need bool
	read func(*yaml.Node)
}

// mapping reads n, which what names in messages ("edge", "the diagram"), by
// its fields. It says whether n is a mapping at all.
func (t *text) mapping(n *yaml.Node, what string, fields ...field) bool {
	if n.Kind != yaml.MappingNode {
		t.wrong(n, "%s must be keys with values, not %s", what, shape(n))
		return false
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			t.wrong(key, "a key of %s must be a word, not %s", what, shape(key))
			continue
		}
		if line := lines[key.Value]; line > 0 {
			t.wrong(key, "key %q of %s is already on line %d", key.Value, what, line)
			continue
		}
		lines[key.Value] = key.Line
		at := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		switch {
		case at < 0:
			t.unknown(key, fmt.Sprintf("unknown key %q in %s", key.Value, what), key.Value, keysOf(fields))
		case null(value):
			t.wrong(key, "key %q of %s has no value", key.Value, what)
		default:
			fields[at].read(value)
		}
	}
	for _, f := range fields {
		if f.need && lines[f.key] == 0 {
			t.wrong(n, "%s has no %q", what, f.key)
		}
	}
	return true
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i := range fields {
		keys[i] = fields[i].key
	}
	return keys
}

// valueOf finds the text under key in a mapping, "" when it is not there: what
// names the mapping in messages before it is read.
func valueOf(n *yaml.Node, key string) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key && n.Content[i+1].Kind == yaml.ScalarNode {
				return n.Content[i+1].Value
			}
		}
	}
	return ""
}

// each reads the items of a list.
func (t *text) each(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		t.wrong(n, "%s must be a list, not %s", what, shape(n))
		return
	}
	for _, c := range n.Content {
		read(c)
	}
}

// oneOrMore reads a list, or one item that stands without the brackets.
func (t *text) oneOrMore(n *yaml.Node, what string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		read(n)
		return
	}
	if len(n.Content) == 0 {
		t.wrong(n, "%s is an empty list", what)
	}
	for _, c := range n.Content {
		read(c)
	}
}

// scalar reads one value as it is written, "" after a mistake.
func (t *text) scalar(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || null(n) || n.Value == "" {
		t.wrong(n, "%s must be one value, not %s", what, shape(n))
		return ""
	}
	return t.printable(n, what)
}

// printable is the value of n unless it would do something to a terminal.
func (t *text) printable(n *yaml.Node, what string) string {
	for _, c := range n.Value {
		if !unicode.IsPrint(c) && c != '\n' {
			t.wrong(n, "%s holds %q, which cannot be printed", what, c)
			return ""
		}
	}
	return strings.TrimSpace(n.Value)
}

// sentence reads a text, "" after a mistake.
func (t *text) sentence(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || strings.TrimSpace(n.Value) == "" {
		t.wrong(n, "%s must be a text, not %s", what, shape(n))
		return ""
	}
	return strings.Join(strings.Fields(t.printable(n, what)), " ")
}

// id reads the name of something: small letters, digits and hyphens.
func (t *text) id(n *yaml.Node, what string) string {
	s := t.scalar(n, what)
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			t.wrong(n, "%s %q: an id is small letters, digits and hyphens", what, s)
			return ""
		}
	}
	return s
}

// flag reads true or false.
func (t *text) flag(n *yaml.Node, what string) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true")
	}
	t.wrong(n, "%s must be true or false, not %s", what, shape(n))
	return false
}

// version reads the version of the file's format, which is 1.
func (t *text) version(n *yaml.Node) {
	if v := t.scalar(n, "version"); v != "" && v != "1" {
		t.wrong(n, "version %q; this program reads version 1", v)
	}
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// shape says what n is instead of what was wanted.
func shape(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case null(n), n.Value == "":
		return "nothing"
	}
	return strconv.Quote(shorten(n.Value))
}

// shorten keeps messages to a line that can be read.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// unknown notes message about word, with the known word that it comes nearest
// to, or all of them when they are few.
func (t *text) unknown(n *yaml.Node, message, word string, known []string) {
	if t.enough() {
		t.more++
		return
	}
	const few = 12
	switch near := Nearest(word, known); {
	case near != "":
		t.wrong(n, "%s (did you mean %q?)", message, near)
	case len(known) > 0 && len(known) <= few:
		t.wrong(n, "%s (known: %s)", message, strings.Join(known, ", "))
	default:
		t.wrong(n, "%s", message)
	}
}

// Nearest finds the known word that differs from word by the fewest letters,
// "" when none comes close.
func Nearest(word string, known []string) string {
	word = strings.ToLower(shorten(word))
	best, at := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := editDistance(word, strings.ToLower(shorten(k))); d < at {
			best, at = k, d
		}
	}
	return best
}

// editDistance counts the letters to add, drop, change or swap with their
// neighbour to make b of a.
func editDistance(a, b string) int {
	var before []int // the row before last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
