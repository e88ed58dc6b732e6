package rules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
)

// What port mappers said: which programs of ONC RPC listen on a port of their
// host. A connection that shows nothing itself, refused or begun before the
// capture, is then known for what it is to.

const (
	portmapPort = 111 // RFC 1833 section 3

	maxMapped         = 1 << 12 // ports of all hosts together
	maxMappedPrograms = 8       // of one port: versions, and what shares the port
)

// mappedPort is a port of a host.
type mappedPort struct {
	server netip.AddrPort
	proto  uint8
}

// learnMappings keeps what a port mapper answered. It speaks of its own host.
func (p *Policy) learnMappings(f *flows.Flow) {
	all := f.Facts.All()
	for i := range all {
		if all[i].Key != dissect.RPCMapped {
			continue
		}
		// "100005/3 tcp/20048"
		program, service, _ := strings.Cut(all[i].Str, " ")
		proto, number, _ := strings.Cut(service, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		key := mappedPort{netip.AddrPortFrom(f.Server.Addr(), uint16(port)), flows.ProtoTCP}
		if proto == "udp" {
			key.proto = flows.ProtoUDP
		}
		known, old := p.mapped[key]
		if !old && len(p.mapped) >= maxMapped || len(known) >= maxMappedPrograms || slices.Contains(known, program) {
			continue
		}
		if p.mapped == nil {
			p.mapped = make(map[mappedPort][]string)
		}
		p.mapped[key] = append(known, strings.Clone(program))
	}
}

// fits says whether f is what c's Service means, beside the port: by what f
// shows, or where it shows nothing, by what the port mapper said of its port.
func (p *Policy) fits(c *candidate, f *flows.Flow) bool {
	if c.fits(f) {
		return true
	}
	if f.App != "" || len(c.where) == 0 || len(p.mapped) == 0 {
		return false
	}
	programs := p.mapped[mappedPort{f.Server, f.Proto}]
	for i := range c.where {
		if r := &c.where[i]; r.app || r.key != dissect.RPCProgram || !slices.ContainsFunc(programs, r.Accepts) {
			return false
		}
	}
	return true
}
