package pcaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/google/gopacket/pcap"
	"golang.org/x/net/bpf"
)

// filter takes the frames that match a BPF expression. libpcap compiles the
// expression, once for every link type that occurs; x/net/bpf runs it.
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

// compile has libpcap compile an expression for a link type. gopacket's own
// way there takes link types below 256 only, and as DLT numbers; a capture
// file without frames says both to libpcap in its own words.
func compile(expr string, link LinkType) (*program, error) {
	none := &program{}
	in, out, err := os.Pipe()
	if err != nil {
		return none, err
	}
	defer in.Close()
	header := make([]byte, classicHeader)
	binary.NativeEndian.PutUint32(header, magicMicro)
	binary.NativeEndian.PutUint16(header[4:], 2)
	binary.NativeEndian.PutUint16(header[6:], 4)
	binary.NativeEndian.PutUint32(header[16:], maxCaptured)
	binary.NativeEndian.PutUint32(header[20:], uint32(link))
	_, err = out.Write(header)
	out.Close()
	if err != nil {
		return none, err
	}
	h, err := pcap.OpenOffline(fmt.Sprintf("/dev/fd/%d", in.Fd()))
	if err != nil {
		return none, fmt.Errorf("link type %s: %w", link, err)
	}
	defer h.Close()
	compiled, err := h.CompileBPFFilter(expr)
	if err != nil {
		return none, err
	}
	raw := make([]bpf.RawInstruction, len(compiled))
	for i, c := range compiled {
		raw[i] = bpf.RawInstruction{Op: c.Code, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	ins, whole := bpf.Disassemble(raw)
	if !whole {
		return none, errors.New("libpcap's program has instructions that are not understood")
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
