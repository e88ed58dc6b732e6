package dissect

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS, RFC 1035 section 4.1, multicast DNS, RFC 6762, and LLMNR, RFC 4795: one
// message format.
//
//	id (2)  QR|opcode|AA|TC|RD|RA|Z|rcode (2)
//	questions (2)  answers (2)  authorities (2)  additionals (2)
//	question: name, type (2), class (2)
//	record:   name, type (2), class (2), TTL (4), length (2), data
//
// Over TCP each message follows its length (2), RFC 1035 section 4.2.2. Only
// the port tells the three apart (53, 5353, 5355). A message is read record by
// record, so that one which is cut or broken gives what stands before the
// break.

const (
	dnsHeaderSize = 12
	maxDNSCount   = 256 // records that a believable message has in a section
)

var dns = Dissector{
	Name:  "dns",
	Over:  UDP,
	Ports: []uint16{53},
	Probe: func(_ Dir, b []byte) Match { return probeDNS(b) },
	New:   func(*Context) Parser { return &dnsParser{} },
}

var dnsTCP = Dissector{
	Name:  "dns",
	Over:  TCP,
	Ports: []uint16{53},
	Probe: probeDNSStream,
	New:   func(*Context) Parser { return &dnsParser{stream: true} },
}

var mdns = Dissector{
	Name:  "mdns",
	Over:  UDP,
	Ports: []uint16{5353},
	Probe: probeDNSSibling,
	New:   func(*Context) Parser { return &dnsParser{} },
}

var llmnr = Dissector{
	Name:  "llmnr",
	Over:  UDP,
	Ports: []uint16{5355},
	Probe: probeDNSSibling,
	New:   func(*Context) Parser { return &dnsParser{} },
}

// probeDNSSibling never says yes on its own: without the port it is plain DNS.
func probeDNSSibling(_ Dir, b []byte) Match {
	if m := probeDNS(b); m == No || m == Maybe {
		return m
	}
	return Weak
}

func probeDNSStream(_ Dir, b []byte) Match {
	if len(b) < 2 {
		return Maybe
	}
	size := int(binary.BigEndian.Uint16(b))
	if size < dnsHeaderSize {
		return No
	}
	if len(b) >= 2+size {
		return probeDNS(b[2 : 2+size])
	}
	return probeDNS(b[2:])
}

// probeDNS judges one message. The header alone is weak evidence. One question
// with a name, a known type and a known class is enough anywhere, as long as
// the header promises nothing absurd.
func probeDNS(b []byte) Match {
	if len(b) < dnsHeaderSize {
		return Maybe
	}
	flags := binary.BigEndian.Uint16(b[2:])
	opcode := flags >> 11 & 15
	if opcode > 6 || opcode == 3 {
		return No
	}
	total := 0
	for at := 4; at < dnsHeaderSize; at += 2 {
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n > maxDNSCount {
			return No
		}
		total += n
	}
	questions := binary.BigEndian.Uint16(b[4:])
	reply := flags&0x8000 != 0
	if total == 0 && !reply || questions > 32 {
		return No
	}
	var p dnsmessage.Parser
	if _, err := p.Start(b); err != nil || questions == 0 {
		return Weak
	}
	q, err := p.Question()
	if err == nil && isNetBIOSName(q) {
		return No // the NetBIOS name service, RFC 1002: the same header, other records
	}
	const zeroBit = 0x0040 // Z, RFC 1035: must be zero
	if err != nil || flags&zeroBit != 0 || questions != 1 || !knownDNSType(q.Type) || !knownDNSClass(q.Class) {
		return Weak
	}
	return Yes
}

// isNetBIOSName says whether a question is one of NetBIOS: its types NB and
// NBSTAT, and a name whose first label is of 32 letters (RFC 1002 section
// 4.2.1.2).
func isNetBIOSName(q dnsmessage.Question) bool {
	label, _, _ := strings.Cut(q.Name.String(), ".")
	return len(label) == 32 && (q.Type == 32 || q.Type == 33)
}

func knownDNSType(t dnsmessage.Type) bool {
	return t >= 1 && t <= 65 || t == 99 || t >= 249 && t <= 257
}

func knownDNSClass(c dnsmessage.Class) bool {
	c &^= 0x8000 // "unicast response wanted", RFC 6762 section 5.4
	return c == dnsmessage.ClassINET || c == dnsmessage.ClassCHAOS || c == dnsmessage.ClassANY || c == 254
}

type dnsParser struct {
	stream bool
}

func (p *dnsParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
	if !p.stream {
		return len(b), parseDNS(b, facts)
	}
	r := newReader(b)
	message := r.bytes("message", r.be16("length"))
	if r.err() != nil {
		return 0, r.err()
	}
	if err := parseDNS(message, facts); err != nil {
		return 0, err
	}
	return r.off, nil
}

// parseDNS records what one whole message says. It fails only where the header
// is missing: what is broken behind it ends the reading, and what was read
// stays.
func parseDNS(b []byte, facts *Facts) error {
	if len(b) < dnsHeaderSize {
		return &Malformed{"header", 0, "shorter than 12 bytes"}
	}
	var p dnsmessage.Parser
	header, err := p.Start(b)
	if err != nil {
		return &Malformed{"header", 0, "not a header"}
	}
	if header.Response {
		facts.Add(DNSRCode, []byte(dnsRCode(header.RCode)))
	}
	for {
		q, err := p.Question()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil {
			// A label may hold what the library refuses, a dot for one.
			if p.SkipQuestion() != nil {
				return nil
			}
			continue
		}
		facts.Add(DNSQType, []byte(dnsType(q.Type)))
		name := []byte("<Root>")
		if q.Name.Length > 1 {
			name = dnsName(q.Name.Data[:q.Name.Length-1])
		}
		facts.Add(DNSQName, name)
	}
	answers := dnsSection{p.AnswerHeader, p.SkipAnswer}
	additionals := dnsSection{p.AdditionalHeader, p.SkipAdditional}
	if readAddresses(&p, answers, facts) && p.SkipAllAuthorities() == nil {
		readAddresses(&p, additionals, facts)
	}
	return nil
}

// dnsName is a name as Wireshark prints it: what is not printable as a
// backslash and three octal digits, what is not UTF-8 as U+FFFD.
func dnsName(b []byte) []byte {
	name := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r < ' ' || r == 0x7f {
			name = append(name, '\\', '0'+b[0]>>6, '0'+b[0]>>3&7, '0'+b[0]&7)
		} else {
			name = utf8.AppendRune(name, r)
		}
		b = b[n:]
	}
	return name
}

// dnsSection is how the records of one section are reached.
type dnsSection struct {
	header func() (dnsmessage.ResourceHeader, error)
	skip   func() error
}

// readAddresses records the addresses of a section and says whether it came to
// the section's end.
func readAddresses(p *dnsmessage.Parser, section dnsSection, facts *Facts) bool {
	for {
		h, err := section.header()
		if err == dnsmessage.ErrSectionDone {
			return true
		}
		if err != nil {
			if section.skip() != nil {
				return false
			}
			continue
		}
		switch {
		case h.Type == dnsmessage.TypeA && h.Length == 4:
			a, err := p.AResource()
			if err != nil {
				return false
			}
			addAddress(facts, netip.AddrFrom4(a.A))
		case h.Type == dnsmessage.TypeAAAA && h.Length == 16:
			a, err := p.AAAAResource()
			if err != nil {
				return false
			}
			addAddress(facts, netip.AddrFrom16(a.AAAA))
		default:
			if section.skip() != nil {
				return false
			}
		}
	}
}

func addAddress(facts *Facts, a netip.Addr) {
	var text [64]byte
	facts.Add(DNSAnswer, a.AppendTo(text[:0]))
}

// Gap inside a message: what stands before it is read, and the message's
// length tells where the next one begins.
func (p *dnsParser) Gap(_ Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	if len(held) < 2 {
		return 0, false
	}
	_ = parseDNS(held[2:], facts) // where not even the header is there, nothing was to be read
	end := 2 + uint64(binary.BigEndian.Uint16(held))
	lost := uint64(len(held)) + n
	if lost > end {
		return 0, false
	}
	return end - lost, true
}

func (p *dnsParser) Close(*Facts) {}

// dnsType is the name of a type in the IANA registry of DNS parameters,
// TYPEn (RFC 3597 section 5) where it is not worth a name here.
func dnsType(t dnsmessage.Type) string {
	switch t {
	case 1:
		return "A"
	case 2:
		return "NS"
	case 5:
		return "CNAME"
	case 6:
		return "SOA"
	case 10:
		return "NULL"
	case 12:
		return "PTR"
	case 13:
		return "HINFO"
	case 15:
		return "MX"
	case 16:
		return "TXT"
	case 28:
		return "AAAA"
	case 29:
		return "LOC"
	case 33:
		return "SRV"
	case 35:
		return "NAPTR"
	case 43:
		return "DS"
	case 46:
		return "RRSIG"
	case 47:
		return "NSEC"
	case 48:
		return "DNSKEY"
	case 50:
		return "NSEC3"
	case 52:
		return "TLSA"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case 99:
		return "SPF"
	case 249:
		return "TKEY"
	case 250:
		return "TSIG"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 255:
		return "ANY"
	case 257:
		return "CAA"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// dnsRCode is the name of a response code in the same registry.
func dnsRCode(c dnsmessage.RCode) string {
	names := [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"}
	if int(c) < len(names) {
		return names[c]
	}
	return "RCODE" + strconv.Itoa(int(c))
}
