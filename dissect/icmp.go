package dissect

import (
	"encoding/binary"
	"strconv"
)

// ICMP, RFC 792, and ICMPv6, RFC 4443:
//
//	type (1)  code (1)  checksum (2)  rest of the header (4)  ...
//
// and for an echo request (8; ICMPv6 128) or reply (0; 129)
//
//	type (1)  code (1)  checksum (2)  identifier (2)  sequence (2)  data
//
// Nothing in the message tells one version from the other. Types below 128
// that both define are printed alike; the flow's protocol says which it was.

const (
	icmpEchoReply     = 0
	icmpEchoRequest   = 8
	icmpv6EchoRequest = 128
	icmpv6EchoReply   = 129

	maxEchoes = 8 // requests that wait for their reply
)

var icmp = Dissector{
	Name:  "icmp",
	Over:  ICMP,
	Probe: probeICMP,
	New:   func(*Context) Parser { return &icmpParser{} },
}

func probeICMP(_ Dir, b []byte) Match {
	if len(b) < 2 {
		return Maybe
	}
	return Yes
}

type echo struct {
	id, seq uint16
	sent    int64 // nanoseconds
	dir     Dir
	open    bool
}

type icmpParser struct {
	echoes [maxEchoes]echo
	next   int
}

func (p *icmpParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	kind := r.u8("type")
	code := r.u8("code")
	if r.err() != nil {
		return 0, r.err()
	}
	if facts.traced() {
		facts.open(dir, 0, min(len(b), 8)) // what an echo carries is its sender's
		facts.trace.told = true            // type and code are the header's to tell
	}
	var text [8]byte
	t := strconv.AppendUint(text[:0], uint64(kind), 10)
	t = append(t, '/')
	t = strconv.AppendUint(t, uint64(code), 10)
	facts.Add(ICMPType, t)

	switch kind {
	case icmpEchoRequest, icmpEchoReply, icmpv6EchoRequest, icmpv6EchoReply:
	default:
		return len(b), nil
	}
	if len(b) < 8 {
		return 0, ErrShort
	}
	if facts.traced() {
		facts.tell(dir, 0, "ICMP echo", Field{"identifier", strconv.Itoa(int(binary.BigEndian.Uint16(b[4:])))},
			Field{"sequence", strconv.Itoa(int(binary.BigEndian.Uint16(b[6:])))})
	}
	id, seq := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	if kind == icmpEchoRequest || kind == icmpv6EchoRequest {
		p.echoes[p.next] = echo{id, seq, facts.Now, dir, true}
		p.next = (p.next + 1) % maxEchoes
		return len(b), nil
	}
	for i := range p.echoes {
		e := &p.echoes[i]
		if !e.open || e.id != id || e.seq != seq || e.dir == dir {
			continue
		}
		e.open = false
		rtt := facts.Now - e.sent // nanoseconds, which are the millionths of a millisecond
		if best, ok := facts.Get(ICMPRTT); rtt >= 0 && (!ok || rtt < best.Num) {
			facts.SetNum(ICMPRTT, rtt)
		}
	}
	return len(b), nil
}

func (p *icmpParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, false }

func (p *icmpParser) Close(*Facts) {}
