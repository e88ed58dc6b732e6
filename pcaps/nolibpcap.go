//go:build !cgo

package pcaps

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// haveLibpcap says that this build has no libpcap, which takes cgo: filters
// are bytecode, and interfaces are captured by the ring or not at all.
const haveLibpcap = false

// compileExpression would compile an expression for a link type; its error
// says who can.
func compileExpression(expr string, link LinkType) ([]bpf.RawInstruction, error) {
	return nil, needBytecode(fmt.Sprintf("-y %s", link), expr)
}

// compileForInterface would compile an expression for an interface.
func compileForInterface(name, expr string, _ LinkType) ([]bpf.RawInstruction, error) {
	return nil, needBytecode("-i "+name, expr)
}

func needBytecode(option, expr string) error {
	return fmt.Errorf("this build has no libpcap to compile it; give bytecode instead: -f \"$(tcpdump %s -ddd '%s')\"", option, expr)
}

func openLibpcap(name string, _ LiveOptions) (Source, error) {
	return nil, fmt.Errorf("%s: this build has no libpcap to capture with", name)
}
