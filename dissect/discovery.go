package dissect

import "bytes"

// Discovery of devices, services and peers by multicast: SSDP (UPnP Device
// Architecture 1.1 section 1) and BitTorrent's local service discovery (BEP 14)
// have the form of HTTP requests,
//
//	M-SEARCH * HTTP/1.1 CRLF ...     NOTIFY * HTTP/1.1 CRLF ...
//	HTTP/1.1 200 OK CRLF ...         the answer to a search
//	BT-SEARCH * HTTP/1.1 CRLF ...    with Port and Infohash
//
// and WS-Discovery (OASIS, version 1.1) is a SOAP message. Routers that stand in for
// each other tell it by HSRP (RFC 2281 section 5; the second version is elements,
// of which the first tells the same):
//
//	00  operation (1)  state (1)  hello (1)  hold (1)  priority (1)  group (1)  00  "cisco" 000000  address (4)
//	01  28  02  operation (1)  state (1)  IP version (1)  group (2) ...

var ssdp = Dissector{
	Name:  "ssdp",
	Over:  UDP,
	Ports: []uint16{1900},
	Probe: probeSSDP,
	New:   newNamed,
}

var wsDiscovery = Dissector{
	Name:  "ws-discovery",
	Over:  UDP,
	Ports: []uint16{3702},
	Probe: probeWSDiscovery,
	New:   newNamed,
}

var hsrp = Dissector{
	Name:  "hsrp",
	Over:  UDP,
	Ports: []uint16{1985, 2029},
	Probe: probeHSRP,
	New:   newNamed,
}

func probeHSRP(_ Dir, b []byte) Match {
	const size, size2, lastOperation, lastState = 20, 42, 3, 16
	if len(b) > 0 && b[0] == 1 {
		if m := begins(b, "\x01\x28\x02"); m != Yes || len(b) < size2 {
			return min(m, Maybe)
		}
		if b[3] > lastOperation || b[4] > 6 || b[5] != 4 && b[5] != 6 {
			return No
		}
		return Yes
	}
	switch {
	case len(b) > 0 && b[0] != 0, len(b) > 1 && b[1] > lastOperation,
		len(b) > 2 && (b[2] > lastState || b[2]&(b[2]-1) != 0), // 0, or one bit
		len(b) > 7 && b[7] != 0, len(b) > size:
		return No
	case len(b) < size:
		return Maybe
	}
	return Weak
}

func probeSSDP(_ Dir, b []byte) Match {
	if m := begins(b, "HTTP/1.1 200"); m != No {
		if m == Maybe {
			return Maybe
		}
		// Its headers say what was found where.
		upper := bytes.ToUpper(b[:min(len(b), 2<<10)])
		if bytes.Contains(upper, []byte("\r\nUSN:")) || bytes.Contains(upper, []byte("\r\nST:")) {
			return FromServer
		}
		return Weak
	}
	return lineAfter(b, []string{"M-SEARCH ", "NOTIFY "}, " HTTP/1.")
}

// The namespaces of the version of 2005 and of OASIS's.
var wsDiscoveryNames = [...]string{
	"schemas.xmlsoap.org/ws/2005/04/discovery",
	"docs.oasis-open.org/ws-dd/ns/discovery/2009/01",
}

func probeWSDiscovery(_ Dir, b []byte) Match {
	const enough = 4 << 10
	if len(b) > 0 && b[0] != '<' && b[0] != 0xef { // the byte order mark
		return No
	}
	start := b[:min(len(b), enough)]
	for _, name := range wsDiscoveryNames {
		if bytes.Contains(start, []byte(name)) {
			return Yes
		}
	}
	if len(b) >= enough {
		return No
	}
	return Maybe
}
