package pcaps

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// filter takes the frames that match a BPF expression. libpcap compiles the
// expression, once for every link type that occurs; x/net/bpf runs it. An
// expression may also be a program that is compiled already: see bytecode.
type filter struct {
	expr     string
	programs map[LinkType]*program

	// The program of the last frame's link type.
	link LinkType
	last *program
}

// program is a filter for one link type.
type program struct {
	ins []bpf.Instruction
	vm  *bpf.VM // nil when the expression has no meaning for the link type

	// length holds the instructions that load the frame's length on the wire
	// ("greater 1000"), which the VM takes for the length captured.
	length []int
}

// newFilter compiles an expression for the link types that captures begin
// with. It is an error if it compiles for none of them.
func newFilter(expr string, links []LinkType) (*filter, error) {
	f := &filter{expr: expr, programs: map[LinkType]*program{}}
	if len(links) == 0 {
		links = []LinkType{LinkEthernet}
	}
	var first error
	good := false
	for _, link := range links {
		p, err := compile(expr, link)
		if err != nil && first == nil {
			first = fmt.Errorf("filter %q: %w", expr, err)
		}
		good = good || err == nil
		f.programs[link] = p
	}
	if !good {
		return nil, first
	}
	f.link, f.last = links[0], f.programs[links[0]]
	return f, nil
}

// keep moves the frames that match to the front of batch, in order, and
// returns how many they are.
func (f *filter) keep(batch []Packet) int {
	n := 0
	for i := range batch {
		p := &batch[i]
		if p.Link != f.link {
			f.link, f.last = p.Link, f.program(p.Link)
		}
		if !f.last.match(p) {
			continue
		}
		if n < i {
			batch[n] = *p
		}
		n++
	}
	return n
}

// program is the filter for a link type. A link type met on the way for which
// the expression has no meaning ("vlan 20" on raw IP) has no frame that
// matches it.
func (f *filter) program(link LinkType) *program {
	p, known := f.programs[link]
	if !known {
		p, _ = compile(f.expr, link)
		f.programs[link] = p
	}
	return p
}

// match says whether the program takes the frame. It allocates only for frames
// that the snap length cut, and only when the expression asks for the length.
func (p *program) match(frame *Packet) bool {
	if p.vm == nil {
		return false
	}
	vm := p.vm
	if len(p.length) > 0 && frame.WireLen != len(frame.Data) {
		ins := slices.Clone(p.ins)
		for _, i := range p.length {
			ins[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(frame.WireLen)}
		}
		var err error
		if vm, err = bpf.NewVM(ins); err != nil {
			return false
		}
	}
	n, err := vm.Run(frame.Data)
	return err == nil && n > 0
}

// compile makes a program of an expression, or of bytecode, which is taken for
// what was compiled for the link type.
func compile(expr string, link LinkType) (*program, error) {
	none := &program{}
	raw, err := bytecode(expr)
	if err == nil && raw == nil {
		raw, err = compileExpression(expr, link)
	}
	if err != nil {
		return none, err
	}
	ins, whole := bpf.Disassemble(raw)
	if !whole {
		return none, errors.New("the program has instructions that are not understood")
	}
	p := &program{ins: ins}
	for i, in := range ins {
		if in == (bpf.LoadExtension{Num: bpf.ExtLen}) {
			p.length = append(p.length, i)
		}
	}
	if p.vm, err = bpf.NewVM(ins); err != nil {
		return none, err
	}
	return p, nil
}

// maxInstructions is how long a program may be that Linux takes (BPF_MAXINSNS).
const maxInstructions = 4096

// bytecode reads a filter that is compiled already, as `tcpdump -ddd` prints
// it: the number of instructions, then each as four decimal numbers, one a line
// or parted by commas. It returns nil for what is an expression in words.
func bytecode(expr string) ([]bpf.RawInstruction, error) {
	lines := strings.FieldsFunc(expr, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' })
	if len(lines) < 2 {
		return nil, nil // no filter is one number alone
	}
	n, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return nil, nil
	}
	if n != len(lines)-1 || n > maxInstructions {
		return nil, fmt.Errorf("bytecode of %d instructions says that they are %d", len(lines)-1, n)
	}
	raw := make([]bpf.RawInstruction, n)
	for i, line := range lines[1:] {
		var v [4]uint64
		fields := strings.Fields(line)
		if len(fields) != len(v) {
			return nil, fmt.Errorf("bytecode: instruction %d is not four numbers: %q", i, line)
		}
		for k, bits := range [4]int{16, 8, 8, 32} { // code, jump if true, jump if false, value
			if v[k], err = strconv.ParseUint(fields[k], 10, bits); err != nil {
				return nil, fmt.Errorf("bytecode: instruction %d: %w", i, err)
			}
		}
		raw[i] = bpf.RawInstruction{Op: uint16(v[0]), Jt: uint8(v[1]), Jf: uint8(v[2]), K: uint32(v[3])}
	}
	return raw, nil
}
