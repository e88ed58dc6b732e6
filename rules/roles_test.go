package rules

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"wirechart/flows"
)

// site is a small site as its flows show it.
func site() []*flows.Flow {
	all := []*flows.Flow{
		dnsSays("cloud.acronis.com", "203.0.113.10"),
		flow(tSN, tMS, 7780, curve),
		flow(tCat, tSN, 9876, mutual()),
		flow(tMS, tCat, 9200, speaks("http")),
		flow(tAdmin, tMS, 9877, tls()),
		flow(tAdmin, tBG, 8888, tls()),
		flow(tSN, tFS, 445, speaks("smb")),
	}
	for _, a := range []netip.Addr{tAgent1, tAgent2, tAgent3} {
		all = append(all,
			flow(a, tMS, 7780, curve),
			flow(a, tMS, 9877, tls()),
			flow(a, tSN, 9876, mutual()),
			flow(a, tBG, 44445, mutual()),
			flow(a, tFS, 445, speaks("smb")),
			flow(a, tCloud, 443, tls("tls.sni=cloud.acronis.com")),
		)
	}
	return all
}

// rolesFrom infers roles from flows alone.
func rolesFrom(t *testing.T, inventory string, all ...*flows.Flow) *Policy {
	t.Helper()
	p := testPolicy(t, inventory)
	for _, f := range all {
		p.Observe(f)
	}
	p.Settle()
	return p
}

func (p *Policy) rolesText(addr netip.Addr) string {
	var ids []string
	for _, c := range p.Roles(addr) {
		ids = append(ids, c.ID)
	}
	return strings.Join(ids, " ")
}

// firstSaid is the first piece of evidence for the first role of a host.
func (p *Policy) firstSaid(addr netip.Addr) string {
	for _, h := range p.Hosts() {
		if h.Addr == addr && len(h.Roles) > 0 {
			return h.Roles[0].Because[0].Says
		}
	}
	return ""
}

func wantRoles(t *testing.T, p *Policy, want map[netip.Addr]string) {
	t.Helper()
	for addr, roles := range want {
		if got := p.rolesText(addr); got != roles {
			t.Errorf("%s plays %q, want %q", addr, got, roles)
			for _, h := range p.Hosts() {
				if h.Addr == addr {
					t.Logf("%+v", h.Roles)
				}
			}
		}
	}
}

func TestRoles(t *testing.T) {
	plain := map[netip.Addr]string{
		tMS: "management-server", tSN: "storage-node", tCat: "catalog", tBG: "backup-gateway",
		tAgent1: "agent", tAgent2: "agent", tAgent3: "agent", tAdmin: "console", tCloud: "cloud",
		tFS: "file-service backend-storage", tDNS: "",
	}
	t.Run("plain", func(t *testing.T) { wantRoles(t, rolesFrom(t, "", site()...), plain) })

	t.Run("agents listen on 9876 too", func(t *testing.T) {
		all := append(site(),
			flow(tSN, tAgent1, 9876, mutual()),
			flow(tAgent2, tAgent1, 9876, mutual()))
		wantRoles(t, rolesFrom(t, "", all...), plain)
	})

	t.Run("servers call where no edge says so", func(t *testing.T) {
		all := append(site(),
			flow(tMS, tSN, 9876, mutual()),
			flow(tSN, tMS, 9877, tls()),
			flow(tSN, tCloud, 0, echo),
			flow(tBG, tCloud, 44445, mutual("tls.sni=eu2-cloud.acronis.com")))
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, plain)
		// A certificate leaves open whether the caller has an agent.
		var v Verdict
		for at, want := range map[int]string{0: "indeterminate role_not_known", 1: "undocumented client_role_not_documented", 3: "indeterminate role_not_known"} {
			if p.Judge(all[len(all)-4+at], &v); v.Kind.String()+" "+reasonNames(&v) != want {
				t.Errorf("call %d: %s %s, want %s", at, v.Kind, reasonNames(&v), want)
			}
		}
	})

	t.Run("a load balancer looks whether ports answer", func(t *testing.T) {
		var all []*flows.Flow
		for _, a := range []netip.Addr{tAgent1, tAgent2, tAgent3} {
			all = append(all, flow(a, tRogue, 7780, curve), flow(a, tRogue, 9876, mutual()))
		}
		look := []*flows.Flow{flow(tRogue, tMS, 7780, brokeOff), flow(tRogue, tMS, 9877, brokeOff), flow(tRogue, tMS, 9876, brokeOff)}
		all = append(all, look...)
		all = append(all, flow(tRogue, tMS, 7780, curve), flow(tRogue, tMS, 9876, mutual()))
		p := rolesFrom(t, "", all...)
		if !p.probes.scans(tRogue) {
			t.Error("three handshakes broken off are no scan")
		}
		all = append(append(all, look...), look...)
		p = rolesFrom(t, "", all...)
		if p.probes.scans(tRogue) {
			t.Error("who comes back to the same ports is a scanner")
		}
		wantRoles(t, p, map[netip.Addr]string{tRogue: "management-server storage-node", tMS: "management-server storage-node", tAgent1: "agent"})
	})

	t.Run("a monitor looks whether ports answer", func(t *testing.T) {
		quiet := with(func(f *flows.Flow) { f.Payload[0], f.TCP.History = 0, "ShAFf" })
		look := []*flows.Flow{flow(tRogue, tMS, 7780, quiet), flow(tRogue, tSN, 9876, quiet, said(0, 0)), flow(tRogue, tBG, 44445, quiet, said(0, 0))}
		p := rolesFrom(t, "", append(site(), look...)...)
		wantRoles(t, p, map[netip.Addr]string{tRogue: ""})
		p = rolesFrom(t, "", append(append(site(), look...), flow(tRogue, tMS, 9877, tls()))...)
		wantRoles(t, p, map[netip.Addr]string{tRogue: "console", tAgent1: "agent", tSN: "storage-node"})
		// A capture that began later lacks what the client said.
		for _, f := range look {
			midway(f)
		}
		p = rolesFrom(t, "", append(append(site(), look...), flow(tRogue, tMS, 9877, tls()))...)
		wantRoles(t, p, map[netip.Addr]string{tRogue: "agent"})
	})

	t.Run("an administrator browses what everybody may", func(t *testing.T) {
		vcenter := netip.MustParseAddr("10.1.0.8")
		all := append(site(), flow(tAgent1, vcenter, 443, tls()), flow(tAgent1, vcenter, 902, speaks("vmware-authd")))
		for _, f := range []*flows.Flow{flow(tAdmin, vcenter, 443, tls()), flow(tAdmin, tFS, 445, speaks("smb")), flow(tAdmin, tCloud, 443, tls("tls.sni=cloud.acronis.com"))} {
			p := rolesFrom(t, "", append(all, f)...)
			wantRoles(t, p, map[netip.Addr]string{tAdmin: "console", tAgent1: "agent-for-vmware", vcenter: "vsphere"})
			var v Verdict
			if p.Judge(f, &v); v.Kind != Indeterminate || reasonNames(&v) != "role_not_known" {
				t.Errorf("port %d: %s %s, want indeterminate role_not_known", f.Server.Port(), v.Kind, reasonNames(&v))
			}
		}
		// Nobody's browser pings the cloud.
		p := rolesFrom(t, "", append(site(), flow(tRogue, tMS, 9877, tls()), flow(tRogue, tCloud, 0, echo))...)
		wantRoles(t, p, map[netip.Addr]string{tRogue: "agent"})
	})

	t.Run("a probe without a certificate is turned away", func(t *testing.T) {
		shut := tls("tls.client_cert=empty", "tls.handshake=failed", "tls.refused=server")
		f := flow(tRogue, tSN, 9876, shut)
		p := rolesFrom(t, "", append(site(), f, flow(tRogue, tBG, 44445, shut))...)
		wantRoles(t, p, map[netip.Addr]string{tRogue: "", tSN: "storage-node", tBG: "backup-gateway"})
		var v Verdict
		const why = "unknown_host client_role_not_documented mtls_client_cert_missing rejected_by_server"
		if p.Judge(f, &v); v.Kind != Undocumented || reasonNames(&v) != why {
			t.Errorf("%s %s, want undocumented %s", v.Kind, reasonNames(&v), why)
		}
		// One that is known by what else it calls has a fault.
		f = flow(tAgent1, tSN, 9876, shut)
		p = rolesFrom(t, "", append(site(), f)...)
		if p.Judge(f, &v); v.Kind != Violation {
			t.Errorf("an agent without a certificate: %s %s", v.Kind, reasonNames(&v))
		}
	})

	t.Run("a proxy connects others", func(t *testing.T) {
		through := func(facts ...string) func(*flows.Flow) {
			return speaks("http", append([]string{"http.method=CONNECT", "tls.version=1.3"}, facts...)...)
		}
		calls := []*flows.Flow{flow(tRogue, tMS, 9877, tls()), flow(tRogue, tCloud, 443, tls("tls.sni=cloud.acronis.com")), flow(tRogue, tBG, 44445, mutual())}
		asked := []*flows.Flow{flow(tAgent1, tRogue, 3128, through()), flow(tAgent1, tRogue, 3128, through("tls.client_cert=present"))}
		wantRoles(t, rolesFrom(t, "", append(append(site(), calls...), asked...)...), map[netip.Addr]string{tRogue: ""})
		// It shows certificates where those that it connects do not, and speaks what is no TLS.
		wantRoles(t, rolesFrom(t, "", append(append(site(), calls...), asked[0])...), map[netip.Addr]string{tRogue: "agent"})
		wantRoles(t, rolesFrom(t, "", append(append(site(), asked...), flow(tRogue, tMS, 7780, curve))...), map[netip.Addr]string{tRogue: "agent"})
	})

	t.Run("a scan of segments that no stack sends", func(t *testing.T) {
		all := site()
		for _, port := range []uint16{7780, 9877, 80} {
			all = append(all, flow(tRogue, tMS, port, refused, with(func(f *flows.Flow) {
				f.Oriented, f.TCP.SYNs, f.TCP.ScanFlags, f.TCP.History = flows.ByPort, 0, true, "Fr"
			})))
		}
		if p := rolesFrom(t, "", all...); !p.probes.scans(tRogue) {
			t.Error("bare FINs to many ports are no scan")
		}
	})

	t.Run("clients count for what they did", func(t *testing.T) {
		all := append(site(), flow(netip.MustParseAddr("172.16.3.1"), tSN, 9876, tls()))
		if says := rolesFrom(t, "", all...).firstSaid(tSN); says != "answers mutual TLS on tcp/9876 for 4 clients" {
			t.Errorf("the storage node %s", says)
		}
	})

	t.Run("a flood has no clients", func(t *testing.T) {
		all := site()
		for i := range 50 {
			all = append(all, flow(netip.AddrFrom4([4]byte{172, 16, 3, byte(i)}), tSN, 9876, unanswered))
		}
		if says := rolesFrom(t, "", all...).firstSaid(tSN); says != "answers mutual TLS on tcp/9876 for 4 clients" {
			t.Errorf("the storage node %s", says)
		}
	})

	t.Run("a load balancer stands before the servers", func(t *testing.T) {
		balancer := tRogue
		var all []*flows.Flow
		for _, a := range []netip.Addr{tAgent1, tAgent2, tAgent3} {
			all = append(all, flow(a, balancer, 7780, curve), flow(a, balancer, 9877, tls()), flow(a, balancer, 9876, mutual()))
		}
		all = append(all,
			flow(balancer, tMS, 7780, curve), flow(balancer, tMS, 9877, tls()), flow(balancer, tSN, 9876, mutual()),
			flow(tSN, tMS, 7780, curve))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{
			balancer: "management-server storage-node", tMS: "management-server", tSN: "storage-node",
			tAgent1: "agent", tAgent2: "agent", tAgent3: "agent",
		})
	})

	t.Run("a scanner has no role and gives none", func(t *testing.T) {
		all := site()
		for _, server := range []netip.Addr{tMS, tSN, tAgent3, tRogue} {
			for _, port := range []uint16{22, 80, 443, 445, 902, 3389, 7780, 8080, 8443, 9200, 9876, 9877, 44445} {
				all = append(all, flow(tRogue, server, port, refused))
			}
		}
		all = append(all, flow(tRogue, tMS, 9877, tls()), flow(tRogue, tCat, 9200, speaks("http")))
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, plain)
		wantRoles(t, p, map[netip.Addr]string{tRogue: ""})
		var v Verdict
		p.Judge(flow(tRogue, tMS, 22, refused), &v)
		if v.Kind != Undocumented || v.Reasons[0].Reason != UnknownHost || v.Reasons[1].Reason != PortScan {
			t.Errorf("the scan is %s %v", v.Kind, v.Reasons)
		}
		p.Judge(flow(tRogue, tMS, 53, refused), &v)
		if v.Kind != Undocumented || v.Reasons[1].Reason != PortScan {
			t.Errorf("the scan of a name server's port is %s %v", v.Kind, v.Reasons)
		}
		// A host of which it tried one port has that one in its finding.
		tally := NewTally(p)
		for _, f := range all {
			p.Judge(f, &v)
			tally.Add(f, &v)
		}
		at := map[string]string{}
		for _, f := range tally.Audit(Coverage{}).Findings {
			if f.Reason == PortScan {
				at[f.To] = f.Service
			}
		}
		if at["management-server"] != "tcp/many" || at["catalog"] != "tcp/9200" {
			t.Errorf("the scan was of %v", at)
		}
	})

	t.Run("what a server sent was not captured", func(t *testing.T) {
		half := func(f *flows.Flow) { f.Packets[1], f.Bytes[1], f.Payload[1] = 0, 0, 0 }
		all := site()
		for _, f := range all {
			if f.Server.Addr() == tBG {
				half(f)
			}
		}
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, map[netip.Addr]string{tBG: "backup-gateway", tSN: "storage-node"})
		if says := p.firstSaid(tBG); says != "is called with mutual TLS at tcp/44445 by 3 clients" {
			t.Errorf("the gateway %s", says)
		}
		if says := p.firstSaid(tSN); says != "answers mutual TLS on tcp/9876 for 4 clients" {
			t.Errorf("the storage node %s", says)
		}
	})

	t.Run("all servers on one machine", func(t *testing.T) {
		var all []*flows.Flow
		for _, a := range []netip.Addr{tAgent1, tAgent2} {
			all = append(all, flow(a, tMS, 7780, curve), flow(a, tMS, 9877, tls()), flow(a, tMS, 9876, mutual()), flow(a, tMS, 44445, mutual()))
		}
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{
			tMS: "management-server storage-node backup-gateway", tAgent1: "agent", tAgent2: "agent",
		})
	})

	t.Run("an agent on a server's machine", func(t *testing.T) {
		all := append(site(), flow(tMS, tSN, 9876, mutual()), flow(tMS, tBG, 44445, mutual()))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tMS: "management-server agent"})
	})

	t.Run("an agent on a server's machine, whose certificates were not captured", func(t *testing.T) {
		all := append(site(), flow(tMS, tSN, 9876, tls()), flow(tMS, tBG, 44445, tls()))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tMS: "management-server agent"})
	})

	t.Run("an agent on the catalog's machine", func(t *testing.T) {
		all := append(site(), flow(tCat, tMS, 7780, curve), flow(tCat, tBG, 44445, mutual()))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tCat: "catalog agent"})
		// Of two agents that call each other there, neither is one.
		all = append(site(), flow(tAgent1, tAgent2, 9200, speaks("http")))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tAgent2: "agent"})
	})

	t.Run("a browser on a server's machine", func(t *testing.T) {
		all := append(site(), flow(tSN, tMS, 9877, tls()), flow(tSN, tBG, 8888, tls()))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tSN: "storage-node console"})
	})

	t.Run("two that call each other", func(t *testing.T) {
		all := []*flows.Flow{flow(tAgent1, tSN, 9876, mutual()), flow(tSN, tAgent1, 9876, mutual()), flow(tAgent1, tSN, 9876, mutual())}
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tSN: "storage-node", tAgent1: "agent"})
		wantRoles(t, rolesFrom(t, "", all[:2]...), map[netip.Addr]string{tSN: "storage-node", tAgent1: "storage-node"})
	})

	t.Run("an agent behind a firewall", func(t *testing.T) {
		lone := netip.MustParseAddr("10.1.0.30")
		all := append(site(), flow(lone, tMS, 7780, unanswered))
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, map[netip.Addr]string{lone: ""})
		var v Verdict
		p.Judge(flow(lone, tMS, 7780, unanswered), &v)
		if v.Kind != Blocked || v.Edge == nil || v.Edge.ID != "agent-messages" {
			t.Errorf("its connection is %s %v", v.Kind, v.Reasons)
		}
	})

	t.Run("vsphere", func(t *testing.T) {
		esxi, vcenter := netip.MustParseAddr("10.1.0.40"), netip.MustParseAddr("10.1.0.41")
		all := append(site(), flow(tAgent3, esxi, 443, tls()), flow(tAgent3, esxi, 902), flow(tAgent3, vcenter, 443, tls()))
		p := rolesFrom(t, "", all...)
		wantRoles(t, p, map[netip.Addr]string{esxi: "vsphere", vcenter: "vsphere", tAgent3: "agent-for-vmware"})
		// What makes it one comes before what every agent does.
		if says := p.firstSaid(tAgent3); !strings.HasPrefix(says, "calls vsphere") {
			t.Errorf("it is an agent for VMware as it %s", says)
		}
	})

	t.Run("a name is no proof where DNS says otherwise", func(t *testing.T) {
		all := append(site(), flow(tAgent1, tOther, 443, tls("tls.sni=cloud.acronis.com", "tls.cert_san=cloud.acronis.com")))
		wantRoles(t, rolesFrom(t, "", all...), map[netip.Addr]string{tOther: "", tCloud: "cloud"})
	})

	t.Run("the inventory decides", func(t *testing.T) {
		inventory := "version: 1\nhosts:\n  - {address: 10.1.0.21, roles: []}\n  - {address: 10.1.0.1, not_roles: [management-server]}\n  - {address: 10.5.0.0/16, roles: [agent]}\n"
		p := rolesFrom(t, inventory, site()...)
		wantRoles(t, p, map[netip.Addr]string{tAgent1: "", tMS: "", tSN: "storage-node", netip.MustParseAddr("10.5.1.2"): "agent"})
	})
}

func TestRolesSayWhy(t *testing.T) {
	for _, h := range rolesFrom(t, "", site()...).Hosts() {
		for _, r := range h.Roles {
			if len(r.Because) == 0 || r.Confidence < roleThreshold || r.Confidence > 1 {
				t.Errorf("%s: %s with %.2f because %v", h.Addr, r.Component.ID, r.Confidence, r.Because)
			}
			for _, e := range r.Because {
				if e.Says == "" || e.Weight <= 0 || e.Frame.Number() == 0 {
					t.Errorf("%s: %s: evidence %+v", h.Addr, r.Component.ID, e)
				}
			}
		}
	}
}

func TestLearnedRange(t *testing.T) {
	p := testPolicy(t, "")
	all := site()
	for i := range uint16(10) {
		all = append(all, flow(tAgent1, tMS, 7780, from(10000+i*7), curve))
	}
	for _, f := range all {
		p.Observe(f)
	}
	p.Settle()
	var v Verdict
	if p.Judge(flow(tAgent1, tMS, 7780, from(10030), curve), &v); v.Kind != Documented {
		t.Errorf("a port of the learned range: %s %v", v.Kind, v.Reasons)
	}
	if p.Judge(flow(tAgent2, tMS, 7780, from(10030), curve), &v); v.Kind != Violation {
		t.Errorf("the range of another host: %s %v", v.Kind, v.Reasons)
	}
}

// TestFlood holds what a Policy keeps of spoofed addresses.
func TestFlood(t *testing.T) {
	p := testPolicy(t, "")
	for _, f := range site() {
		p.Observe(f)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := flow(tRogue, tMS, 7780, unanswered)
	g := flow(tRogue, tMS, 4000, refused)
	const n = 200_000
	for i := range uint32(n) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x0b000000+i)
		addr := netip.AddrFrom4(b)
		f.Client, g.Client = netip.AddrPortFrom(addr, 40000), netip.AddrPortFrom(addr, 40000)
		p.Observe(f)
		p.Observe(g)
	}
	p.Settle()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 8<<20 {
		t.Errorf("%d spoofed addresses left %d bytes behind", n, kept)
	}
	wantRoles(t, p, map[netip.Addr]string{tMS: "management-server", tAgent1: "agent"})
	if allocs := testing.AllocsPerRun(1000, func() { p.Observe(f) }); allocs != 0 {
		t.Errorf("Observe: %v allocations", allocs)
	}
	var v Verdict
	if allocs := testing.AllocsPerRun(1000, func() { p.Judge(f, &v) }); allocs != 0 {
		t.Errorf("Judge: %v allocations", allocs)
	}
	tally := NewTally(p)
	for i := range uint32(n) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x0b000000+i)
		g.Client = netip.AddrPortFrom(netip.AddrFrom4(b), 40000)
		p.Judge(g, &v)
		tally.Add(g, &v)
	}
	if a := tally.Audit(Coverage{}); len(a.Findings) > maxStrangers+1 {
		t.Errorf("%d findings for one flood", len(a.Findings))
	}
}

func TestSameAnswerTwice(t *testing.T) {
	audit := func() string {
		p := rolesFrom(t, "", site()...)
		tally := NewTally(p)
		var v Verdict
		for _, f := range append(site(), flow(tRogue, tMS, 22), flow(tAgent1, tAgent2, 445), flow(tSN, tMS, 9877, tls("tls.version=1.0")), flow(tAgent2, tMS, 7780, unanswered)) {
			p.Judge(f, &v)
			tally.Add(f, &v)
		}
		a := tally.Audit(Coverage{})
		var b strings.Builder
		for _, f := range append(a.Findings, a.Concerns...) {
			fmt.Fprintln(&b, f.ID, f.Kind, f.Title, f.Flows, f.Example)
		}
		for _, e := range a.Edges {
			fmt.Fprintln(&b, e.Edge.ID, e.Status, e.CouldShow, e.Why, e.Example)
		}
		for _, h := range a.Hosts {
			fmt.Fprintln(&b, h.Addr, h.Name, h.Names)
			for _, r := range h.Roles {
				fmt.Fprintln(&b, r.Component.ID, r.Confidence, r.Because)
			}
		}
		return b.String() + strings.Join(a.Notes, "\n")
	}
	first := audit()
	for range 5 {
		if again := audit(); again != first {
			t.Fatalf("two runs differ:\n%s\n%s", first, again)
		}
	}
}

func TestTally(t *testing.T) {
	p := rolesFrom(t, "", site()...)
	tally := NewTally(p)
	var v Verdict
	null := speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=NULL", "zmtp.handshake=complete")
	for _, f := range append(site(),
		flow(tAgent1, tMS, 7780, null), flow(tAgent2, tMS, 7780, null),
		flow(tAgent1, tMS, 8443, tls()),
		flow(tAgent1, tMS, 9877, tls("tls.version=1.1")),
		flow(tAgent1, tBG, 44445, unanswered),
	) {
		p.Judge(f, &v)
		tally.Add(f, &v)
	}
	// Asked after every flow, so it may not cost what a finding does.
	if n := testing.AllocsPerRun(10, func() { tally.Counted() }); n > 1 {
		t.Errorf("what the last flow was counted in takes %v allocations", n)
	}
	a := tally.Audit(Coverage{})
	if last := a.Findings[len(a.Findings)-1].ID; !reflect.DeepEqual(tally.Counted(), []string{last}) {
		t.Errorf("the last flow was counted in %v, the last finding is %s", tally.Counted(), last)
	}
	var got []string
	for _, f := range a.Findings {
		got = append(got, fmt.Sprintf("%s %s %s>%s %s %d", f.Kind, f.Reason, f.From, f.To, f.Service, f.Flows))
	}
	want := []string{
		"violation zmtp_mechanism_null agent>management-server tcp/7780 2",
		"undocumented port_not_documented agent>management-server tcp/8443 1",
		"blocked syn_unanswered agent>backup-gateway tcp/44445 1",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(a.Concerns) != 1 || a.Concerns[0].Reason != TLSVersionObsolete {
		t.Errorf("concerns: %+v", a.Concerns)
	}
	states := make(map[string]EdgeState)
	for _, e := range a.Edges {
		states[e.Edge.ID] = e
	}
	for id, want := range map[string]EdgeStatus{
		"agent-messages": EdgeViolated, "agent-rest": EdgeSeen, "gateway-backup": EdgeSeen,
		"vmware-nfc": EdgeNotSeen, "updates-http": EdgeNotSeen,
	} {
		if states[id].Status != want {
			t.Errorf("%s is %s, want %s", id, states[id].Status, want)
		}
	}
	if s := states["vmware-nfc"]; s.CouldShow || !strings.Contains(s.Why, "no host was identified as vsphere") {
		t.Errorf("vmware-nfc: %v %q", s.CouldShow, s.Why)
	}
}

// TestIDsOfFindings has hosts with different roles do the same: where two findings
// tell the same, they are one, whatever else their hosts are.
func TestIDsOfFindings(t *testing.T) {
	p := rolesFrom(t, `version: 1
hosts:
  - {address: 10.1.0.1, roles: [management-server]}
  - {address: 10.1.0.2, roles: [storage-node, management-server]}
  - {address: 10.1.0.21, roles: [agent]}
  - {address: 10.1.0.22, roles: [agent, console]}
  - {address: [10.1.0.9, 203.0.113.99], roles: []}
`)
	tally := NewTally(p)
	var v Verdict
	null := speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=NULL", "zmtp.handshake=complete")
	for _, client := range []netip.Addr{tAgent1, tAgent2, tRogue, tOther} {
		for _, server := range []netip.Addr{tMS, tSN, tRogue} {
			for _, f := range []*flows.Flow{
				flow(client, server, 9999), flow(client, server, 7780, null), flow(client, server, 7780, unanswered),
				flow(client, server, 9877, tls("tls.version=1.1")), flow(client, server, 0, echo), flow(client, server, 50123),
			} {
				p.Judge(f, &v)
				tally.Add(f, &v)
			}
		}
	}
	a := tally.Audit(Coverage{})
	told := map[string]string{}
	same := 0
	for _, f := range append(slices.Clone(a.Findings), a.Concerns...) {
		if before, ok := told[f.ID]; ok {
			t.Errorf("%s is the id of %q and of %q", f.ID, before, f.Title)
		}
		told[f.ID] = f.Title
		if f.From == "agent" && f.Service == "tcp/9999" && len(f.Clients) == 2 {
			same++
		}
	}
	if same == 0 || len(told) < 10 {
		t.Errorf("%d findings, in %d of them two agents called tcp/9999: %v", len(told), same, told)
	}
}

func BenchmarkJudge(b *testing.B) {
	p := testPolicy(b, "")
	for _, f := range site() {
		p.Observe(f)
	}
	p.Settle()
	for _, bench := range []struct {
		name string
		flow *flows.Flow
	}{
		{"messages", flow(tAgent1, tMS, 7780, curve)},
		{"backup", flow(tAgent1, tSN, 9876, mutual())},
		{"cloud", flow(tAgent1, tCloud, 443, tls("tls.sni=cloud.acronis.com"))},
		{"stranger", flow(netip.MustParseAddr("11.1.1.1"), netip.MustParseAddr("11.1.1.2"), 4000, unanswered)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var v Verdict
			for b.Loop() {
				p.Judge(bench.flow, &v)
			}
		})
	}
}

func BenchmarkObserveFlood(b *testing.B) {
	p := testPolicy(b, "")
	for _, f := range site() {
		p.Observe(f)
	}
	f := flow(tRogue, tMS, 4000, unanswered)
	var i uint32
	for b.Loop() {
		i++
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+i*2654435761>>8)
		f.Client = netip.AddrPortFrom(netip.AddrFrom4(a), 40000)
		p.Observe(f)
	}
}

// A storage node that calls an agent, against the direction of the diagram, is no
// client of another storage node: what it calls is a client of the product itself.
func TestCalledAgainstTheDirection(t *testing.T) {
	p := rolesFrom(t, "",
		flow(tAgent1, tMS, 7780, curve), flow(tAgent1, tMS, 9877, tls()), flow(tAgent1, tBG, 44445, mutual()),
		flow(tAgent1, tSN, 9876, mutual()), flow(tSN, tAgent1, 9876, mutual()), flow(tAgent2, tAgent1, 9876, mutual()))
	wantRoles(t, p, map[netip.Addr]string{tSN: "storage-node", tAgent1: "agent"})
}
