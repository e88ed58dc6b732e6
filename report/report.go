// Package report writes results for people and for programs: the audit, the
// flows one by one, and the hosts with their roles.
//
// A format is one file with one Format, a plain value; All is the only list of
// them. What is written depends on what was found and on Options alone, never
// on the clock or the environment, so the same captures give the same bytes.
//
// Names, banners and certificates come from the wire, and their sender chose
// what is in them. None of it is written raw: text for a terminal loses
// control characters and direction marks (text.go), JSON escapes them
// (record.go), CSV keeps them out of formulas (csv.go), Markdown shows them as
// code (markdown.go).
package report

import (
	"io"
	"net/netip"
	"strings"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// Options is what the formats need to know beside the results.
type Options struct {
	Width int  // columns of the terminal; 0 is 80
	Color bool // colour by terminal escape sequences

	// Files are the names of the captures as given on the command line, in the
	// order of pcaps.Stats.
	Files []string

	// Again are the flags that the results depend on: a command about the same
	// results takes them as well.
	Again []string

	// Hosts has the names and roles of the ends of flows; nil when nothing was
	// judged.
	Hosts Hosts

	// Provenance is printed by the formats that are handed in; nil where it is
	// not known.
	Provenance *Provenance
}

// Hosts has the names and roles of hosts; *rules.Policy does.
type Hosts interface {
	// HostName is what the host at an address is called, "" when it has no name.
	HostName(netip.Addr) string
	// Roles are the components that the host at an address is.
	Roles(netip.Addr) []*rules.Component
	// PortClass says what the ports of a flow's client and server are.
	PortClass(f *flows.Flow) (client, server string)
}

// file is the name of the capture that a frame is of, "" for no frame.
func (o *Options) file(id pcaps.FrameID) string {
	if id.Number() > 0 && id.File() < len(o.Files) {
		return o.Files[id.File()]
	}
	return ""
}

// again is what a command about the same results takes, as a shell reads it: the
// captures, or instead where their names take more room than there is, and the
// flags.
func (o *Options) again(instead string, room int) string {
	words := make([]string, 0, len(o.Files)+len(o.Again))
	for _, name := range o.Files {
		if Clean(name) != name || strings.HasPrefix(name, "-") { // - is standard input
			room = 0
			break
		}
		words = append(words, shellWord(name))
	}
	if n := cells(strings.Join(words, " ")); n == 0 || n > room {
		words = append(words[:0], instead)
	}
	for _, w := range o.Again {
		words = append(words, shellWord(w))
	}
	return strings.Join(words, " ")
}

// shellWord quotes s where a shell would not take it for one word as it stands.
func shellWord(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./:,=@%+", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (o *Options) width() int {
	if o.Width <= 0 {
		return 80
	}
	return o.Width
}

// FlowWriter takes flows one at a time. It keeps none of them.
type FlowWriter interface {
	// Flow writes f; v is nil when flows are not judged.
	Flow(f *flows.Flow, v *rules.Verdict) error
	// Close writes what is left. It does not close the underlying writer.
	Close() error
}

// Kind is a kind of results, by the command that gives them.
type Kind string

// The kinds of results.
const (
	OfAudit   Kind = "audit"
	OfHosts   Kind = "hosts"
	OfFlows   Kind = "flows"
	OfExplain Kind = "explain"
	OfDiff    Kind = "diff"
	OfCompare Kind = "compare"
)

// Format is one way to write results. What it has no room for is nil.
type Format struct {
	Name    string
	Doc     string // one line for the help text
	Audit   func(w io.Writer, a *rules.Audit, o *Options) error
	Hosts   func(w io.Writer, hosts []rules.Host, o *Options) error
	Flows   func(w io.Writer, o *Options) FlowWriter
	Explain func(w io.Writer, e *Explanation, o *Options) error
	Diff    func(w io.Writer, d *DiffDoc, o *Options) error
	Compare func(w io.Writer, d *CompareDoc, o *Options) error

	Detailed bool // the audit is to come with its rules.Detail, and the options with their Provenance
}

// Writes says whether f has room for results of a kind.
func (f *Format) Writes(k Kind) bool {
	switch k {
	case OfAudit:
		return f.Audit != nil
	case OfHosts:
		return f.Hosts != nil
	case OfFlows:
		return f.Flows != nil
	case OfExplain:
		return f.Explain != nil
	case OfDiff:
		return f.Diff != nil
	case OfCompare:
		return f.Compare != nil
	}
	return false
}

// All is every format, the default first.
func All() []Format {
	return []Format{table, wide, jsonFormat, jsonlFormat, csvFormat, markdown, htmlFormat, mermaid, dot, drawio,
		sarifFormat, junitFormat, eveFormat, zeekFormat, ecsFormat}
}

// Named finds a format.
func Named(name string) (Format, bool) {
	for _, f := range All() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Names are the names of the formats that write results of a kind.
func Names(k Kind) []string {
	var names []string
	for _, f := range All() {
		if f.Writes(k) {
			names = append(names, f.Name)
		}
	}
	return names
}
