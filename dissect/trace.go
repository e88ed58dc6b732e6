package dissect

import (
	"strconv"
	"strings"
)

// Tracer is told what the parsers of a run read, as they read it: what a
// person wants to see of a few flows, and what a program that judges all flows
// has no use for. Without one in the Context, nothing of this costs more than
// a comparison.
type Tracer interface {
	// Delivered says that a direction's next n bytes, from byte pos of its
	// stream on, are the last n of the payload that frame carries.
	Delivered(frame uint64, pos uint64, n int)
	// Open says that n bytes of dir, from byte pos of its stream on, are
	// neither user data nor secret. They may have begun before frame, which
	// only tells the flow, and may go on in frames to come.
	Open(frame uint64, dir Dir, pos, n uint64)
	// Read hands over one message.
	Read(m Message)
}

// Message is what a parser read.
type Message struct {
	// Frame is the one in which it ended, or began where its end does not
	// matter; a later one where the bytes had to wait for the other direction.
	Frame    uint64
	Dir      Dir
	Protocol string
	// Level is 0 for what stands in the stream itself, 1 for what is inside
	// the message of level 0 before it, and so on.
	Level int
	// Concludes marks what follows from the messages so far rather than being
	// one itself: the handshake is complete, no certificate was shown.
	Concludes bool
	Data      bool   // user data rather than what leads to it
	Text      string // "ClientHello"
	Fields    []Field
}

// Field is one part of a message that matters, in words.
type Field struct{ Name, Value string }

// trace is what the State of one flow keeps for a Tracer.
type trace struct {
	to        Tracer
	protocol  string
	delivered [2]uint64 // bytes of each direction's stream, lost ones included
	base      [2]uint64 // where in its stream what the Parser was given begins

	told   bool // in this call, the Parser has said what it read
	named  bool // it has only named it
	before int  // facts there were before
}

// traced says whether somebody wants to be told. Parsers ask it before they
// put into words what they read.
func (f *Facts) traced() bool { return f.trace != nil }

// tell hands over a message.
func (f *Facts) tell(dir Dir, level int, text string, fields ...Field) {
	f.hand(Message{Dir: dir, Level: level, Text: text, Fields: fields})
}

// conclude hands over a conclusion.
func (f *Facts) conclude(dir Dir, text string) {
	f.hand(Message{Dir: dir, Concludes: true, Text: text})
}

// name hands over what a message is: what is learned of it will be told behind.
func (f *Facts) name(dir Dir, text string, fields ...Field) {
	told := f.trace.told
	f.tell(dir, 0, text, fields...)
	f.trace.told, f.trace.named = told, true
}

func (f *Facts) hand(m Message) {
	f.trace.told = true
	m.Frame, m.Protocol = f.Frame, f.trace.protocol
	kept := m.Fields[:0:0]
	for _, x := range m.Fields {
		if x.Value != "" {
			kept = append(kept, x)
		}
	}
	m.Fields = kept
	f.trace.to.Read(m)
}

// open says that n bytes, from byte at of what Parse was given, may be shown.
func (f *Facts) open(dir Dir, at, n int) {
	if n > 0 {
		f.trace.to.Open(f.Frame, dir, f.trace.base[dir]+uint64(at), uint64(n))
	}
}

// traceData takes in that b is delivered to dir.
func (s *State) traceData(set *Set, dir Dir, b []byte) {
	if s.trace == nil {
		s.trace = &trace{to: set.context.Tracer}
	}
	if len(b) > 0 {
		s.trace.to.Delivered(s.Frame, s.trace.delivered[dir], len(b))
		s.trace.delivered[dir] += uint64(len(b))
	}
}

// traceParse takes in that a Parser is about to be given n bytes of dir, all
// that was delivered and not consumed.
func (s *State) traceParse(set *Set, dir Dir, n int) {
	s.trace.protocol = set.list[s.reading-1].Name
	s.trace.base[dir] = s.trace.delivered[dir] - uint64(n)
	s.trace.told, s.trace.named, s.trace.before = false, false, len(s.list)
}

// traceParsed tells what a Parser that does not tell by itself has learned: its
// new facts.
func (s *State) traceParsed(dir Dir) {
	if s.trace.told || len(s.list) == s.trace.before {
		return
	}
	var fields []Field
	for i := s.trace.before; i < len(s.list); i++ {
		x := &s.list[i]
		name := x.Key.String()
		name = strings.ReplaceAll(name[strings.IndexByte(name, '.')+1:], "_", " ")
		value := ""
		switch x.Key.Info().Kind {
		case Text, List:
			value = printable(clipBytes([]byte(x.Str)))
		case Flag:
			value = strconv.FormatBool(x.Num != 0)
		case Int, Ints:
			value = strconv.FormatInt(x.Num, 10)
		default:
			continue // counts
		}
		if n := len(fields); n > 0 && fields[n-1].Name == name {
			fields[n-1].Value += ", " + value
		} else {
			fields = append(fields, Field{name, value})
		}
	}
	level := 0
	if s.trace.named {
		level = 1
	}
	if len(fields) > 0 {
		s.tell(dir, level, strings.ToUpper(s.trace.protocol), fields...)
	}
}

// bytesOf is a number of bytes in words.
func bytesOf(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

// countOf is a number in digits, and nothing for none.
func countOf(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// clipBytes is as much of b as a message shows.
func clipBytes(b []byte) []byte { return b[:min(len(b), 200)] }
