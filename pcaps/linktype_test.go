//go:build cgo

package pcaps

import (
	"strings"
	"testing"

	"github.com/google/gopacket/pcap"
)

// The names are those of libpcap, as far as the one here knows them. Below 104 its
// numbers are those of a system, and not those of files.
func TestLinkNames(t *testing.T) {
	for link, name := range linkNames {
		if link < 104 || link == LinkUnknown {
			continue
		}
		want := pcap.DatalinkValToName(int(link))
		if want != "" && want != name && !strings.HasPrefix(want, name+"_") {
			t.Errorf("link type %d is %s, libpcap says %s", int(link), name, want)
		}
	}
	for link, want := range map[LinkType]string{LinkEthernet: "EN10MB", 195: "IEEE802_15_4", 227: "CAN_SOCKETCAN", 9999: "9999"} {
		if got := link.String(); got != want {
			t.Errorf("link type %d is %s, want %s", int(link), got, want)
		}
	}
}
