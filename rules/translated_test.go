package rules

import (
	"net/netip"
	"strings"
	"testing"

	"wirechart/flows"
	"wirechart/pcaps"
)

// TestTranslated has connections in the captures twice, before and behind a device
// that translates addresses: both sides are judged by the true ends, and the
// addresses of the device play no part.
func TestTranslated(t *testing.T) {
	door, router := netip.MustParseAddr("198.51.100.200"), netip.MustParseAddr("10.0.0.254")
	sides := func(first, second *flows.Flow, isn uint32) []*flows.Flow {
		for d, ttl := range []uint8{64, 63} {
			f := []*flows.Flow{first, second}[d]
			f.TCP.ISN, f.TCP.TTL[0] = [2]uint32{isn, isn ^ 0xabcdef01}, ttl
			f.Frame += pcaps.FrameID(isn&0xff*2) + pcaps.FrameID(d)
		}
		return []*flows.Flow{first, second}
	}
	turned := func(list []*flows.Flow) []*flows.Flow { return []*flows.Flow{list[1], list[0]} }
	for _, test := range []struct {
		name  string
		judge []*flows.Flow // both sides
		kind  Kind
		why   string
		note  string
	}{
		{"the client's address", sides(flow(tAgent1, tBG, 44445, mutual()), flow(router, tBG, 44445, mutual()), 0x12345678), Documented, "", "10.0.0.254 for "},
		{"the client's address, of one that has no business there", sides(flow(tSN, tMS, 9877, tls()), flow(router, tMS, 9877, tls()), 0x12345679), Undocumented, "client_role_not_documented", "10.0.0.254 for "},
		{"the server's address", sides(flow(tAgent1, door, 7780, curve), flow(tAgent1, tMS, 7780, curve), 0x1234567a), Documented, "", "198.51.100.200 for "},
		{"both", sides(flow(tAgent1, door, 7780, curve), flow(router, tMS, 7780, curve), 0x1234567b), Documented, "", "198.51.100.200 for "},
		{"the second side first", turned(sides(flow(tAgent1, tBG, 44445, mutual()), flow(router, tBG, 44445, mutual()), 0x1234567c)), Documented, "", "10.0.0.254 for "},
	} {
		p := rolesFrom(t, "", append(site(), test.judge...)...)
		for i, f := range test.judge {
			var v Verdict
			if p.Judge(f, &v); v.Kind != test.kind || reasonNames(&v) != test.why {
				t.Errorf("%s, side %d: %s %s, want %s %s", test.name, i, v.Kind, reasonNames(&v), test.kind, test.why)
			}
		}
		notes := strings.Join(NewTally(p).Audit(Coverage{}).Notes, "\n")
		if !strings.Contains(notes, "1 connection is in the captures twice, before and behind a device that translates addresses ("+test.note) {
			t.Errorf("%s: %s", test.name, notes)
		}
	}
	// One address may stand for many hosts.
	p := rolesFrom(t, "", append(sides(flow(tAgent1, tBG, 44445, mutual()), flow(router, tBG, 44445, mutual()), 0x1234567d),
		sides(flow(tAgent2, tBG, 44445, mutual()), flow(router, tBG, 44445, mutual()), 0x1234567e)...)...)
	if notes := strings.Join(NewTally(p).Audit(Coverage{}).Notes, "\n"); !strings.Contains(notes, "(10.0.0.254 for 2 hosts)") {
		t.Error(notes)
	}
	// Numbers that a generator of packets gives everybody are nobody's.
	f, g := flow(tAgent1, tBG, 44445, mutual()), flow(tAgent2, tBG, 44445, mutual())
	f.TCP.ISN, g.TCP.ISN = [2]uint32{0, 1}, [2]uint32{0, 1}
	if p := rolesFrom(t, "", f, g); p.translated.count > 0 {
		t.Error("connections that begin at 0 are one")
	}
}
