package dissect

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unicode/utf8"
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
	maxDNSName    = 255 // bytes of a name (section 3.1)
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
	total, absurd := 0, false
	for at := 4; at < dnsHeaderSize; at += 2 {
		n := int(binary.BigEndian.Uint16(b[at:]))
		absurd = absurd || n > maxDNSCount
		total += n
	}
	questions := binary.BigEndian.Uint16(b[4:])
	reply := flags&0x8000 != 0
	absurd = absurd || questions > 32
	if total == 0 && !reply {
		return No
	}
	var label [maxDNSName]byte
	_, at := dnsName(label[:0], b, dnsHeaderSize)
	if at+4 > len(b) || at < 0 || questions == 0 {
		if absurd {
			return No
		}
		return Weak
	}
	t, class := binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	if b[dnsHeaderSize] == netbiosNameSize-1 && (t == 32 || t == 33) {
		return No // the NetBIOS name service, RFC 1002: the same header, other records
	}
	const zeroBit = 0x0040 // Z, RFC 1035: must be zero
	if absurd || flags&zeroBit != 0 || questions != 1 || !knownDNSType(t) || !knownDNSClass(class) {
		return Weak
	}
	return Yes
}

func knownDNSType(t uint16) bool {
	return t >= 1 && t <= 65 || t == 99 || t >= 249 && t <= 257
}

func knownDNSClass(c uint16) bool {
	const internet, chaos, none, anything = 1, 3, 254, 255
	c &^= 0x8000 // "unicast response wanted", RFC 6762 section 5.4
	return c == internet || c == chaos || c == none || c == anything
}

type dnsParser struct {
	stream bool
}

func (p *dnsParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if !p.stream {
		if facts.traced() {
			facts.open(dir, 0, len(b))
		}
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
	if facts.traced() {
		facts.open(dir, 0, r.off)
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
	flags := binary.BigEndian.Uint16(b[2:])
	if flags&0x8000 != 0 {
		facts.Add(DNSRCode, []byte(dnsRCode(int(flags&15))))
	}
	const update = 5 // RFC 2136: a zone, prerequisites and updates stand in the sections
	updates := flags>>11&15 == update
	if updates {
		facts.SetFlag(DNSUpdate, true)
	}
	at := dnsHeaderSize
	for range binary.BigEndian.Uint16(b[4:]) {
		var raw [maxDNSName]byte
		name, next := dnsName(raw[:0], b, at)
		if next < 0 {
			if name != nil {
				facts.AddText(DNSQName, unknownLabel)
			}
			return nil
		}
		if next+4 > len(b) {
			return nil
		}
		facts.Add(DNSQType, []byte(dnsType(binary.BigEndian.Uint16(b[next:]))))
		if len(name) == 0 {
			facts.AddText(DNSQName, "<Root>")
		} else {
			facts.Add(DNSQName, dnsText(name))
		}
		at = next + 4
	}
	answers, authorities, additionals := binary.BigEndian.Uint16(b[6:]), binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])
	at = dnsRecords(b, at, answers, true, facts)
	at = dnsRecords(b, at, authorities, updates, facts)
	dnsRecords(b, at, additionals, true, facts)
	return nil
}

// unknownLabel stands for a name with a label of a kind that nobody defined.
const unknownLabel = "<Unknown extended label>"

// dnsName appends to dst the labels of the name at b[at:], with a dot between
// them, and returns where it ends in the message: -1 where it is broken or does
// not end in b, and then nil for its text, unless a label's kind is what could
// not be read. Pointers (section 4.1.4) must lead backwards, as compression
// makes them, so that they come to an end.
func dnsName(dst, b []byte, at int) (name []byte, next int) {
	next = -1
	for lowest := at; at >= 0 && at < len(b); {
		n := int(b[at])
		switch n >> 6 {
		case 0:
			if n == 0 {
				if next < 0 {
					next = at + 1
				}
				return dst, next
			}
			if at+1+n > len(b) || len(dst)+1+n > maxDNSName-2 { // without the first length and the root
				return nil, -1
			}
			if len(dst) > 0 {
				dst = append(dst, '.')
			}
			for _, c := range b[at+1 : at+1+n] {
				if c == '.' {
					dst = append(dst, '\\') // it is no dot between labels (RFC 4343 section 2.1)
				}
				dst = append(dst, c)
			}
			at += 1 + n
		case 3:
			if at+2 > len(b) {
				return nil, -1
			}
			if next < 0 {
				next = at + 2
			}
			at = int(binary.BigEndian.Uint16(b[at:]) & 0x3fff)
			if at >= lowest {
				return nil, -1
			}
			lowest = at
		case 1:
			return dst, -1
		default:
			return nil, -1
		}
	}
	return nil, -1
}

// dnsText is a name as Wireshark prints it: what is not printable as in C or as
// a backslash and three octal digits, what is not UTF-8 as U+FFFD.
func dnsText(b []byte) []byte {
	name := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r >= '\a' && r <= '\r':
			name = append(name, '\\', "abtnvfr"[r-'\a'])
		case r < ' ' || r == 0x7f:
			name = append(name, '\\', '0'+b[0]>>6, '0'+b[0]>>3&7, '0'+b[0]&7)
		default:
			name = utf8.AppendRune(name, r)
		}
		b = b[n:]
	}
	return name
}

// dnsRecords passes over the records of a section, from at, and records the
// addresses in it where they are wanted. It returns where the section ends, -1
// when it cannot be told.
func dnsRecords(b []byte, at int, count uint16, wanted bool, facts *Facts) int {
	const (
		fixed    = 10 // type, class, TTL, length
		typeA    = 1
		typeAAAA = 28
	)
	for range count {
		if at < 0 {
			return -1
		}
		var raw [maxDNSName]byte
		_, next := dnsName(raw[:0], b, at)
		if next < 0 || next+fixed > len(b) {
			return -1
		}
		kind, size := binary.BigEndian.Uint16(b[next:]), int(binary.BigEndian.Uint16(b[next+8:]))
		at = next + fixed
		if at+size > len(b) {
			return -1
		}
		data := b[at : at+size]
		at += size
		switch {
		case !wanted:
		case kind == typeA && size == 4:
			addAddress(facts, netip.AddrFrom4([4]byte(data)))
		case kind == typeAAAA && size == 16:
			addAddress(facts, netip.AddrFrom16([16]byte(data)))
		}
	}
	return at
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
func dnsType(t uint16) string {
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
func dnsRCode(c int) string {
	names := [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"}
	if c < len(names) {
		return names[c]
	}
	return "RCODE" + strconv.Itoa(c)
}
