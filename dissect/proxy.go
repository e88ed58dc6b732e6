package dissect

import "strings"

// The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt,
// section 2): a load balancer tells the server whom it speaks for, ahead of what
// that client sends. Nothing is answered.
//
//	1  "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443" CR LF    at most 107 bytes; or TCP6, or UNKNOWN
//	2  0d 0a 0d 0a 00 0d 0a "QUIT" 0a (12)  version, command (1): 20 local, 21 on behalf
//	   family, transport (1): 00 to 02, 10 to 12, 20 to 22, 30 to 32  length (2)  addresses and options
//
// The flow stays one of the two ends that the capture shows.

var proxy = Dissector{
	Name:    "proxy",
	Over:    TCP,
	Carrier: true,
	Probe:   probeProxy,
	New:     func(*Context) Parser { return proxyParser{} },
}

const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n" // of version 2
	maxProxyLine   = 107                      // bytes of version 1, with their CR LF
)

var proxyWords = [...]string{"PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"}

func probeProxy(_ Dir, b []byte) Match {
	binary := begins(b, proxySignature)
	if binary == Yes {
		if len(b) > 12 && b[12]&^1 != 0x20 || len(b) > 13 && (b[13]>>4 > 3 || b[13]&15 > 2) {
			return No
		}
		if len(b) < 14 {
			return Maybe
		}
		return FromClient
	}
	m := beginsAny(b, proxyWords[:])
	if m == Yes {
		return FromClient
	}
	return max(binary, m)
}

type proxyParser struct{ toTheGap }

// Parse passes over the header.
func (proxyParser) Parse(dir Dir, b []byte, _ *Facts) (int, error) {
	switch {
	case dir == ToClient || len(b) == 0:
		return 0, ErrShort // what the server begins with is the next protocol's
	case b[0] == proxySignature[0]:
		r := newReader(b)
		r.bytes("signature, command, family", len(proxySignature)+2)
		length := r.be16("length")
		if r.err() != nil {
			return 0, r.err()
		}
		return r.off + length, ErrHandOver
	}
	line, _, complete := strings.Cut(string(b[:min(len(b), maxProxyLine)]), "\n")
	switch {
	case complete:
		return len(line) + 1, ErrHandOver
	case len(b) < maxProxyLine:
		return 0, ErrShort
	}
	return 0, &Malformed{"line", maxProxyLine, "longer than 107 bytes"}
}
