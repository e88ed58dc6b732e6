package rules

import (
	"net/netip"
	"slices"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// nameBasis says how a host's name is known, the surest first.
type nameBasis uint8

const (
	byDNS  nameBasis = iota // an answer named the address
	bySNI                   // a client asked the host for it
	byHost                  // likewise, in HTTP
	byCert                  // the host's certificate has it
)

func (b nameBasis) String() string {
	return [...]string{"a DNS answer", "the server name that clients ask for", "the Host header that clients send", "its certificate"}[b]
}

// hostName is one name of an address.
type hostName struct {
	name  string
	basis nameBasis
	frame pcaps.FrameID
}

// The bounds of what is kept of names.
const (
	maxNamedHosts   = 1 << 15
	maxNamesPerHost = 16
	maxAnswered     = 1 << 15 // names that DNS answered
	maxAddresses    = 64      // of one name
)

// nameBook is what the capture says of names: which addresses DNS gave for a
// name, and which names an address goes by.
type nameBook struct {
	answered map[string]int // index in gave; a key that is known is never assigned to again, which would replace its string
	gave     [][]netip.Addr
	of       map[netip.Addr][]hostName
	answers  int  // addresses in gave
	more     bool // some names found no room

	strange struct { // what otherAddresses found, and when
		answers, hosts int
		is             bool
	}
}

func (b *nameBook) init() {
	b.answered = make(map[string]int)
	b.of = make(map[netip.Addr][]hostName)
}

// learn reads the names that f shows.
func (b *nameBook) learn(f *flows.Flow) {
	switch f.App {
	case "dns", "mdns", "llmnr":
		b.learnDNS(f)
		return
	case "":
		return
	}
	if toProxy(f) {
		return
	}
	server := f.Server.Addr()
	all := f.Facts.All()
	for i := range all {
		fact := &all[i]
		switch fact.Key {
		case dissect.TLSSNI:
			b.add(server, fact.Str, bySNI, pcaps.FrameID(fact.Frame()))
		case dissect.HTTPHost:
			if f.Facts.Has(dissect.HTTPHostCut) {
				continue // the beginning of a name is no name
			}
			b.add(server, hostOnly(fact.Str), byHost, pcaps.FrameID(fact.Frame()))
		case dissect.TLSCertSAN, dissect.TLSCertCN:
			b.add(server, fact.Str, byCert, pcaps.FrameID(fact.Frame()))
		}
	}
}

// toProxy says whether the client had the server connect it to another (RFC 9110
// section 9.3.6): names are those of that one.
func toProxy(f *flows.Flow) bool {
	all := f.Facts.All()
	for i := range all {
		if all[i].Key == dissect.HTTPMethod && all[i].Str == "CONNECT" {
			return true
		}
	}
	return false
}

// learnDNS reads answers. A flow that asked for several names does not tell
// which answer belongs to which; its addresses are then taken for each, so
// that nothing is called a mismatch on that ground, and name no host.
func (b *nameBook) learnDNS(f *flows.Flow) {
	if f.Facts.Has(dissect.DNSUpdate) {
		return // the name is a zone's
	}
	all := f.Facts.All()
	names := 0
	for i := range all {
		if all[i].Key == dissect.DNSQName {
			names++
		}
	}
	for i := range all {
		if all[i].Key != dissect.DNSAnswer {
			continue
		}
		addr, err := netip.ParseAddr(all[i].Str)
		if err != nil {
			continue
		}
		for j := range all {
			if all[j].Key != dissect.DNSQName {
				continue
			}
			name := canonical(all[j].Str)
			at, known := b.answered[name]
			if !known {
				if len(b.answered) >= maxAnswered {
					b.more = true
					continue
				}
				at = len(b.gave)
				b.answered[strings.Clone(name)] = at // or much else would be kept with it
				b.gave = append(b.gave, nil)
			}
			if list := b.gave[at]; len(list) < maxAddresses && !slices.Contains(list, addr) {
				b.gave[at] = append(list, addr)
				b.answers++
			}
			if names == 1 {
				b.add(addr, name, byDNS, pcaps.FrameID(all[i].Frame()))
			}
		}
	}
}

// add gives addr a name.
func (b *nameBook) add(addr netip.Addr, name string, basis nameBasis, frame pcaps.FrameID) {
	if name == "" || isAddress(name) {
		return
	}
	name = canonical(name)
	list, known := b.of[addr]
	for i := range list {
		if list[i].basis == basis && list[i].name == name {
			return
		}
	}
	if !known && len(b.of) >= maxNamedHosts || len(list) >= maxNamesPerHost {
		b.more = true
		return
	}
	b.of[addr] = append(list, hostName{strings.Clone(name), basis, frame})
}

// best is the name that addr is called by, "" when it has none: that of the
// surest basis, the first met.
func (b *nameBook) best(addr netip.Addr) string {
	list := b.of[addr]
	if len(list) == 0 {
		return ""
	}
	first := list[0]
	for _, n := range list[1:] {
		if n.basis < first.basis {
			first = n
		}
	}
	return first.name
}

// all lists the distinct names of addr.
func (b *nameBook) all(addr netip.Addr) []string {
	var names []string
	for _, n := range b.of[addr] {
		if !slices.Contains(names, n.name) {
			names = append(names, n.name)
		}
	}
	return names
}

// agreement says what DNS says of a name and an address.
type agreement uint8

const (
	dnsSilent  agreement = iota // no answer for the name was seen, or none of the address's family
	dnsAgrees                   // an answer gave the address
	dnsDiffers                  // all answers gave others
)

// agrees compares what DNS answered for name with addr. It does not allocate
// for a name that is in lower case.
func (b *nameBook) agrees(name string, addr netip.Addr) agreement {
	result := dnsSilent
	at, known := b.answered[canonical(name)]
	if !known {
		return result
	}
	for _, a := range b.gave[at] {
		if a == addr {
			return dnsAgrees
		}
		if a.Is4() == addr.Is4() {
			result = dnsDiffers
		}
	}
	return result
}

// otherAddresses says whether DNS gave addresses for several names, and the captures
// have none of them as a host's: they were made anonymous, or translated on the
// way from the resolver.
func (p *Policy) otherAddresses() bool {
	const several = 2
	b := &p.names
	s := &b.strange
	if s.answers == b.answers && s.hosts == len(p.order) {
		return s.is
	}
	s.answers, s.hosts, s.is = b.answers, len(p.order), false
	names := 0
	for _, list := range b.gave {
		for _, addr := range list {
			if p.host(addr) != nil {
				return false
			}
		}
		if len(list) > 0 {
			names++
		}
	}
	s.is = names >= several
	return s.is
}

// differs says whether DNS gave other addresses for name than addr, and the
// captures are such that this says something.
func (p *Policy) differs(name string, addr netip.Addr) bool {
	return p.names.agrees(name, addr) == dnsDiffers && !p.otherAddresses()
}

// serverName is the name by which f's client asked for the server, where that
// is in clear.
func serverName(f *flows.Flow) (string, pcaps.FrameID) {
	if toProxy(f) {
		return "", 0
	}
	host := dissect.Fact{}
	all := f.Facts.All()
	for i := range all {
		switch all[i].Key {
		case dissect.TLSSNI:
			return all[i].Str, pcaps.FrameID(all[i].Frame())
		case dissect.HTTPHost:
			if host.Str == "" && !f.Facts.Has(dissect.HTTPHostCut) {
				host = all[i]
			}
		}
	}
	name := hostOnly(host.Str)
	if isAddress(name) {
		return "", 0
	}
	return name, pcaps.FrameID(host.Frame())
}

// matchesAny says whether name fits one of the patterns.
func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if MatchName(p, name) {
			return true
		}
	}
	return false
}

// hostOnly takes the port off a Host header.
func hostOnly(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == ':':
			if i > 0 && s[0] == '[' && s[i-1] == ']' {
				return s[1 : i-1]
			}
			for j := range i {
				if s[j] == ':' {
					return s // an IPv6 address without brackets
				}
			}
			return s[:i]
		case s[i] < '0' || s[i] > '9':
			return s
		}
	}
	return s
}

// isAddress says whether a name is an IP address in letters.
func isAddress(s string) bool {
	if s == "" {
		return false
	}
	if c := s[len(s)-1]; c >= '0' && c <= '9' || c == ']' || c == ':' {
		_, err := netip.ParseAddr(hostOnly(s))
		return err == nil
	}
	for i := range len(s) {
		if s[i] == ':' {
			return true
		}
	}
	return false
}

// canonical is a name in lower case without its final dot.
func canonical(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			b := []byte(name)
			for j := range b {
				b[j] = lower(b[j])
			}
			name = string(b)
			break
		}
	}
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	return name
}
