package rules

import (
	"fmt"
	"net/netip"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
)

// TestPairs says that flows of one pair are one entry, in the order of the
// addresses, and that a scan of everything stays bounded and counted.
func TestPairs(t *testing.T) {
	book, list := make(pairBook), new(pairList)
	flow := func(client, server string) *flows.Flow {
		return &flows.Flow{Proto: flows.ProtoTCP, Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddrPort(server), Facts: new(dissect.Facts)}
	}
	book.add(list, flow("10.0.0.2:50001", "10.0.0.9:443"), Documented, 100)
	book.add(list, flow("10.0.0.1:50000", "10.0.0.9:443"), Documented, 10)
	book.add(list, flow("10.0.0.2:49999", "10.0.0.9:443"), Violation, 1)
	got := list.sorted()
	if len(got) != 2 || got[0].Client != netip.MustParseAddr("10.0.0.1") || got[1].Count() != (Count{2, 101}) ||
		got[1].SourcePorts != [2]uint16{49999, 50001} || got[1].Service() != "tcp/443" {
		t.Errorf("%+v", got)
	}
	for port := range 2 * maxPairs {
		book.add(list, flow("10.0.0.3:50000", fmt.Sprintf("10.0.0.9:%d", 1000+port)), Undocumented, 1)
	}
	if len(list.list) != maxPairs || list.more != maxPairs+2 {
		t.Errorf("%d pairs and %d flows more", len(list.list), list.more)
	}
}
