package rules

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
	"go.yaml.in/yaml/v3"
)

// Inventory is what the user knows about hosts: it pins or forbids roles by
// address, prefix or name. A nil Inventory knows nothing. It does not change
// once it has been read.
type Inventory struct {
	File string

	byAddr  bart.Table[*HostPin]
	byName  []namePin // the pattern with the most letters first
	hostPin []*HostPin
}

// HostPin is one entry of an Inventory: what is known of the hosts it matches.
type HostPin struct {
	Name string // "" when the entry gives none

	// Pinned says that the host has exactly Roles, which may be none.
	// Otherwise its roles are inferred.
	Pinned   bool
	Roles    []*Component
	NotRoles []*Component // never these

	DynamicPorts []PortRange // the host's own source ports; empty when not told
	Line         int         // in Inventory.File
}

// unlisted is what an inventory says of a host of which it says nothing.
var unlisted HostPin

type namePin struct {
	pattern string
	pin     *HostPin
}

// Host finds what is known of an address that goes by the names given. An entry
// by address comes before one by name; of several prefixes the longest holds,
// of several name patterns the one with the most letters. It is nil where
// there is none.
func (inv *Inventory) Host(addr netip.Addr, names []string) *HostPin {
	if inv == nil {
		return nil
	}
	if pin, ok := inv.byAddr.Lookup(addr.Unmap().WithZone("")); ok {
		return pin
	}
	for _, p := range inv.byName {
		for _, name := range names {
			if MatchName(p.pattern, name) {
				return p.pin
			}
		}
	}
	return nil
}

// Hosts are the entries in the order of the file.
func (inv *Inventory) Hosts() []*HostPin {
	if inv == nil {
		return nil
	}
	return inv.hostPin
}

// Addresses are the entries by address, in the order of the addresses.
func (inv *Inventory) Addresses() iter.Seq2[netip.Prefix, *HostPin] {
	if inv == nil {
		return func(func(netip.Prefix, *HostPin) bool) {}
	}
	return inv.byAddr.AllSorted()
}

// LoadInventory reads an inventory file; its roles are components of d. What is
// wrong with it comes as Mistakes.
func LoadInventory(path string, d *Diagram) (*Inventory, error) {
	b, err := readText(path)
	if err != nil {
		return nil, err
	}
	return ParseInventory(path, b, d)
}

// ParseInventory reads an inventory from its text; name stands for the file in
// messages.
func ParseInventory(name string, b []byte, d *Diagram) (*Inventory, error) {
	r := &inventoryReading{
		text:      &text{file: name},
		diagram:   d,
		inv:       &Inventory{File: name},
		addressAt: make(map[netip.Prefix]int),
		patternAt: make(map[string]int),
	}
	if n := r.root(b); n != nil {
		r.mapping(n, "the inventory",
			field{"version", true, r.version},
			field{"hosts", true, func(n *yaml.Node) { r.each(n, "hosts", r.host) }},
		)
	}
	if err := listed(r.text); err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.inv.byName, func(a, b namePin) int { return letters(b.pattern) - letters(a.pattern) })
	return r.inv, nil
}

// letters is how much of a pattern is not a star.
func letters(pattern string) int { return len(pattern) - strings.Count(pattern, "*") }

type inventoryReading struct {
	*text
	diagram   *Diagram
	inv       *Inventory
	addressAt map[netip.Prefix]int // lines
	patternAt map[string]int
}

func (r *inventoryReading) host(n *yaml.Node) {
	pin := &HostPin{Line: n.Line}
	var matches, says bool
	if !r.mapping(n, "a host",
		field{"address", false, func(n *yaml.Node) {
			matches = true
			r.oneOrMore(n, "address", func(n *yaml.Node) { r.address(n, pin) })
		}},
		field{"match_name", false, func(n *yaml.Node) {
			matches = true
			r.oneOrMore(n, "match_name", func(n *yaml.Node) { r.matchName(n, pin) })
		}},
		field{"name", false, func(n *yaml.Node) {
			says = true
			pin.Name = r.scalar(n, "name of a host")
		}},
		field{"roles", false, func(n *yaml.Node) {
			says, pin.Pinned = true, true
			pin.Roles = r.roles(n, "roles")
		}},
		field{"not_roles", false, func(n *yaml.Node) {
			says = true
			pin.NotRoles = r.roles(n, "not_roles")
		}},
		field{"dynamic_ports", false, func(n *yaml.Node) {
			says = true
			pin.DynamicPorts = r.ports(n, "dynamic_ports")
		}},
	) {
		return
	}
	if !matches {
		r.wrong(n, `a host has no "address" and no "match_name"`)
	}
	if !says {
		r.wrong(n, "a host says nothing: no name, roles, not_roles or dynamic_ports")
	}
	for _, c := range pin.Roles {
		if slices.Contains(pin.NotRoles, c) {
			r.wrong(n, "role %q is in roles and in not_roles", c.ID)
		}
	}
	r.inv.hostPin = append(r.inv.hostPin, pin)
}

func (r *inventoryReading) address(n *yaml.Node, pin *HostPin) {
	s := r.scalar(n, "address")
	if s == "" {
		return
	}
	p, ok := r.prefix(n, s)
	if !ok {
		return
	}
	if line := r.addressAt[p]; line > 0 {
		r.wrong(n, "address %q is already on line %d", s, line)
		return
	}
	r.addressAt[p] = n.Line
	r.inv.byAddr.Insert(p, pin)
}

func (r *inventoryReading) matchName(n *yaml.Node, pin *HostPin) {
	s := r.pattern(n, "match_name")
	if s == "" {
		return
	}
	if line := r.patternAt[s]; line > 0 {
		r.wrong(n, "match_name %q is already on line %d", s, line)
		return
	}
	r.patternAt[s] = n.Line
	r.inv.byName = append(r.inv.byName, namePin{s, pin})
}

// roles reads a list of components, which may be empty, or one component.
func (r *inventoryReading) roles(n *yaml.Node, what string) []*Component {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	var list []*Component
	for _, n := range nodes {
		id := r.scalar(n, what)
		if id == "" {
			continue
		}
		c := r.diagram.Component(id)
		if c == nil {
			r.unknown(n, fmt.Sprintf("%s: role %q is not in the diagram %s", what, shorten(id), r.diagram.Name), id, componentIDs(r.diagram))
			continue
		}
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}
