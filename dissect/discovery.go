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
// and WS-Discovery (OASIS, version 1.1) is a SOAP message.

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
