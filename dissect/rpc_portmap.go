package dissect

import (
	"strconv"
	"strings"
)

// The port mapper, program 100000 of ONC RPC (RFC 1833): portmap is version 2,
// rpcbind versions 3 and 4. It is asked where one program listens, or for all.
//
//	version 2, GETPORT: program  version  protocol (6 TCP, 17 UDP)  -- ; answer: port, 0 for none
//	           DUMP:    answer: 1  program  version  protocol  port, again and again; 0
//	3 and 4,   GETADDR: program  version  network (text)  address (text)  owner (text)
//	                    answer: universal address (text), empty for none
//	           DUMP:    answer: 1  program  version  network  address  owner, again and again; 0
//
// A universal address is, for TCP and UDP, the host's address and the two bytes
// of the port, each behind a dot (RFC 5665 section 5.2.3.3): 192.0.2.1.78.80.

const (
	rpcPortmap = 100000

	portmapGetPort     = 3 // GETADDR in versions 3 and 4
	portmapDump        = 4
	rpcbindVersionAddr = 9 // GETVERSADDR, version 4: GETADDR of exactly that version

	maxNetworkName = 32
	maxUniversal   = 128 // bytes of an address, or of an owner
	maxMappings    = 256 // of one list
)

// portmapCall reads a call behind the verifier.
func (p *rpcParser) portmapCall(r *reader, xid, version, procedure uint32) {
	c := rpcCall{xid: xid}
	switch {
	case version == 2 && procedure == portmapGetPort:
		c.kind = getPort
		c.program, c.version = r.be32("program"), r.be32("version")
		c.proto = protocolNumbered(r.be32("protocol"))
	case version >= 3 && (procedure == portmapGetPort || procedure == rpcbindVersionAddr):
		c.kind = getAddress
		c.program, c.version = r.be32("program"), r.be32("version")
		c.proto = networkNamed(rpcOpaque(r, "network", maxNetworkName))
	case version == 2 && procedure == portmapDump:
		c.kind = dumpPorts
	case version >= 3 && procedure == portmapDump:
		c.kind = dumpAddress
	default:
		return
	}
	if r.err() == nil {
		p.expect(c)
	}
}

// mapped reads the results of the port mapper. A list that is cut is read as
// far as it goes.
func (p *rpcParser) mapped(r *reader, asked *rpcCall, facts *Facts) {
	switch asked.kind {
	case getPort:
		if port := r.be32("port"); r.err() == nil && port <= 0xffff {
			addMapping(asked, int(port), facts)
		}
	case getAddress:
		if address := rpcOpaque(r, "address", maxUniversal); r.err() == nil {
			if port, ok := universalPort(string(address)); ok || len(address) == 0 {
				addMapping(asked, port, facts)
			}
		}
	case dumpPorts, dumpAddress:
		for range maxMappings {
			if r.be32("one more") == 0 {
				return
			}
			m := rpcCall{program: r.be32("program"), version: r.be32("version")}
			var port int
			var ok bool
			if asked.kind == dumpPorts {
				m.proto = protocolNumbered(r.be32("protocol"))
				port = int(r.be32("port"))
				ok = port <= 0xffff
			} else {
				m.proto = networkNamed(rpcOpaque(r, "network", maxNetworkName))
				port, ok = universalPort(string(rpcOpaque(r, "address", maxUniversal)))
				rpcOpaque(r, "owner", maxUniversal)
			}
			if r.err() != nil {
				return
			}
			if ok && port > 0 {
				addMapping(&m, port, facts)
			}
		}
	}
}

// addMapping takes in where a program listens; port 0 says nowhere.
func addMapping(m *rpcCall, port int, facts *Facts) {
	if m.proto == "" {
		return // of another network: local ones, say
	}
	var text [64]byte
	b := appendProgram(text[:0], m.program, m.version)
	b = append(b, ' ')
	b = append(b, m.proto...)
	if port == 0 {
		facts.Add(RPCUnregistered, b)
		return
	}
	b = append(b, '/')
	facts.Add(RPCMapped, strconv.AppendInt(b, int64(port), 10))
}

func protocolNumbered(n uint32) string {
	switch n {
	case 6:
		return "tcp"
	case 17:
		return "udp"
	}
	return ""
}

// networkNamed is the protocol of a network identifier (RFC 5665 section 5.2).
func networkNamed(b []byte) string {
	switch string(b) {
	case "tcp", "tcp6":
		return "tcp"
	case "udp", "udp6":
		return "udp"
	}
	return ""
}

// universalPort is the port of a universal address.
func universalPort(address string) (int, bool) {
	head, low, ok := cutLast(address)
	_, high, ok2 := cutLast(head)
	l, err := strconv.ParseUint(low, 10, 8)
	h, err2 := strconv.ParseUint(high, 10, 8)
	if !ok || !ok2 || err != nil || err2 != nil {
		return 0, false
	}
	return int(h<<8 | l), true
}

// cutLast cuts s at its last dot.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
