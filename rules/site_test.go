package rules

import (
	"net/netip"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
)

// A site may have public addresses: they are not those of the world outside.
func TestOwnNetworks(t *testing.T) {
	at := netip.MustParseAddr
	for _, test := range []struct{ name, ms, agent, router, cloud string }{
		{"IPv4", "198.51.100.1", "198.51.100.20", "198.51.100.254", "203.0.113.10"},
		{"IPv6", "2001:db8:1:2::1", "2001:db8:1:2:a::20", "2001:db8:1:2::fe", "2001:db8:ffff::10"},
	} {
		ms, agent, router, cloud := at(test.ms), at(test.agent), at(test.router), at(test.cloud)
		ping := func(f *flows.Flow) {
			echo(f)
			if ms.Is6() {
				f.Proto, f.Facts = flows.ProtoICMPv6, &dissect.Facts{}
				f.Facts.Add(dissect.ICMPType, []byte("128/0"))
			}
		}
		all := []*flows.Flow{
			flow(agent, ms, 7780, curve),
			flow(agent, cloud, 443, tls("tls.sni=cloud.acronis.com")),
			flow(agent, cloud.Next(), 443, tls("tls.sni=eu2-cloud.acronis.com")),
			flow(agent, cloud, 0, ping), flow(agent, cloud.Next(), 0, ping),
			flow(agent, ms, 0, ping), flow(agent, router, 0, ping),
			flow(agent, router, 53, udp, speaks("dns", "dns.qname=cloud.acronis.com", "dns.answer="+test.cloud)),
		}
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, map[netip.Addr]string{ms: "management-server", agent: "agent", router: "", cloud: "cloud"})
		for _, x := range []struct {
			flow *flows.Flow
			kind Kind
			why  string
		}{
			{flow(agent, ms, 0, ping), Ambient, ""},
			{flow(agent, router, 0, ping), Ambient, ""},
			{flow(agent, cloud, 0, ping), Documented, ""},
			{flow(agent, cloud.Next().Next(), 0, ping), Indeterminate, "role_not_known"},
			// A server that does not answer may be there as well as anywhere.
			{flow(agent, router, 9876, unanswered), Blocked, "syn_unanswered"},
		} {
			var v Verdict
			p.Judge(x.flow, &v)
			if v.Kind != x.kind || x.why != "" && v.Reasons[0].Reason.String() != x.why {
				t.Errorf("%s: %s is %s %v, want %s %s", test.name, x.flow.Server, v.Kind, v.Reasons, x.kind, x.why)
			}
		}
	}

	// Servers that are hosted outside, each somewhere: so may be one that is down.
	p := rolesFrom(t, "",
		flow(tAgent1, tCloud, 7780, curve), flow(tAgent1, tCloud, 9877, tls()), flow(tAgent1, tSN, 9876, mutual()))
	wantRoles(t, p, map[netip.Addr]string{tCloud: "management-server"})
	var v Verdict
	for port, kind := range map[uint16]Kind{9876: Blocked, 9999: Undocumented} {
		if p.Judge(flow(tAgent1, at("192.0.2.9"), port, unanswered), &v); v.Kind != kind {
			t.Errorf("nobody answers outside at %d: %s, want %s", port, v.Kind, kind)
		}
	}

	// One agent somewhere outside has no network of its own there.
	p = rolesFrom(t, "", append(site(), flow(tOther, tMS, 7780, curve), flow(tOther, tSN, 9876, mutual()))...)
	wantRoles(t, p, map[netip.Addr]string{tOther: "agent"})
	p.Judge(flow(tOther, tOther.Next(), 0, echo), &v)
	if v.Kind != Indeterminate { // ambient in the site's own
		t.Errorf("a neighbour of an agent outside is pinged: %s", v.Kind)
	}
	if p.Judge(flow(tAgent1, at("192.0.2.9"), 9876, unanswered), &v); v.Kind != Undocumented {
		t.Errorf("nobody answers outside, and no server of the site is there: %s", v.Kind)
	}
}
