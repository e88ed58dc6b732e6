package rules

import (
	"embed"
	"strings"
)

//go:embed diagrams/*.yaml
var diagramFiles embed.FS

// DefaultDiagram is the name of the diagram that holds where no other is given.
const DefaultDiagram = "acronis-cyber-protect"

// BuiltinNames are the names of the diagrams in the program, in the order of
// the alphabet.
func BuiltinNames() []string {
	entries, err := diagramFiles.ReadDir("diagrams")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// Builtin is a diagram of the program by its name, joined to the one that it
// extends. It is read anew at every call.
func Builtin(name string) (*Diagram, bool) {
	text, ok := BuiltinText(name)
	if !ok {
		return nil, false
	}
	d, err := joinParts([]Part{{File: name, Text: text}})
	if err != nil {
		panic(err) // a test reads every one of them
	}
	return d, true
}

// BuiltinText is the text of a diagram of the program, as it was written.
func BuiltinText(name string) (string, bool) {
	if strings.ContainsAny(name, `/\.`) {
		return "", false
	}
	b, err := diagramFiles.ReadFile("diagrams/" + name + ".yaml")
	return string(b), err == nil
}
