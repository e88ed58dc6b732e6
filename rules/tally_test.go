package rules

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// tallied counts flows without any inference: roles are the inventory's.
func tallied(t *testing.T, all ...*flows.Flow) *Tally {
	t.Helper()
	p := testPolicy(t, tInventory)
	p.Observe(flow(tAgent3, tBG, 44445, with(func(f *flows.Flow) { f.End += 60e9 }))) // the capture goes on
	p.Settle()
	tally := NewTally(p)
	var v Verdict
	for _, f := range all {
		p.Judge(f, &v)
		tally.Add(f, &v)
	}
	return tally
}

// later shifts a flow in time, nanoseconds, and gives it another first frame.
func later(ns int64, frame uint64) func(*flows.Flow) {
	return func(f *flows.Flow) {
		f.Start, f.End, f.Frame = f.Start+ns, f.End+ns, pcaps.MakeFrameID(0, frame)
	}
}

// finding is a Finding in a line.
func (f *Finding) line() string {
	return fmt.Sprintf("%s %s: %s > %s %s, %d flows, %d bytes, %d to %d s, clients %v, servers %v, %s > %s frame %d: %s; %d pairs", f.Kind, f.Reason, f.From, f.To, f.Service,
		f.Flows, f.Bytes, (f.First-tStart)/1e9, (f.Last-tStart)/1e9, f.Clients, f.Servers, f.Example.Client, f.Example.Server, f.Example.Frame.Number(), f.Example.Says, len(f.Pairs))
}

func TestTallyFindings(t *testing.T) {
	null := speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=NULL", "zmtp.handshake=complete")
	esp := with(func(f *flows.Flow) { f.Proto = 50 })
	stranger := netip.MustParseAddr("10.9.9.9")
	tally := tallied(t,
		flow(tAgent1, tMS, 7780, null, later(5e9, 100)),
		flow(tAgent2, tMS, 7780, null, later(2e9, 200)),
		flow(tAgent1, tMS, 7780, curve, later(20e9, 300)),
		flow(tAgent1, tBG, 44445, unanswered, icmpError(3, 13)),
		flow(tAgent2, tBG, 44445, mutual()),
		flow(tAgent1, tMS, 0, esp, later(0, 400)),
		flow(tAgent1, tMS, 1, esp, later(1e9, 500)),
		flow(tMS, tAgent1, 50123),
		flow(tMS, tAgent2, 50124),
		flow(tAgent1, tSN, 22, later(0, 600)),
		flow(tAgent1, tMS, 9877, midway),
		flow(tAgent1, tMS, 9877, tls(), later(0, 800)),
		flow(tAgent1, tSN, 9876, mutual("tls.cert_self_signed")),
		flow(tAgent1, tSN, 9876, mutual("tls.cert_self_signed"), from(1022)),
		flow(tAgent1, tMS, 7780, null, later(0, 700), speaks("zmtp")),
		dnsSays("cloud.acronis.com", "203.0.113.10"),
		flow(stranger, stranger.Next(), 443),
	)
	cov := Coverage{}
	cov.Captures.Files = []pcaps.FileStats{{Name: "a.pcap", Frames: 1000}}
	a := tally.Audit(cov)

	want := []string{
		"violation zmtp_mechanism_null: agent > management-server tcp/7780, 3 flows, 5400 bytes, 0 to 6 s, clients [10.1.0.21 10.1.0.22], servers [10.1.0.1], 10.1.0.21:50000 > 10.1.0.1:7780 frame 15: saw NULL; 0 pairs",
		"undocumented protocol_not_documented: agent > management-server ip/50, 2 flows, 3600 bytes, 0 to 2 s, clients [10.1.0.21], servers [10.1.0.1], 10.1.0.21:50000 > 10.1.0.1:0 frame 400: saw esp; 2 pairs",
		"undocumented port_not_documented: agent > storage-node tcp/22, 1 flows, 1800 bytes, 0 to 1 s, clients [10.1.0.21], servers [10.1.0.2], 10.1.0.21:50000 > 10.1.0.2:22 frame 600: the component does not expose this port in the diagram; 1 pairs",
		"blocked icmp_admin_prohibited: agent > backup-gateway tcp/44445, 1 flows, 900 bytes, 0 to 1 s, clients [10.1.0.21], servers [10.1.0.4], 10.1.0.21:50000 > 10.1.0.4:44445 frame 12: answer from 10.1.0.1, a device on the path; 0 pairs",
		"violation source_port_not_dynamic: agent > storage-node tcp/9876, 1 flows, 1800 bytes, 0 to 1 s, clients [10.1.0.21], servers [10.1.0.2], 10.1.0.21:1022 > 10.1.0.2:9876 frame 10: the client's port is outside every dynamic range that holds for it; 0 pairs",
		"indeterminate inbound_to_dynamic_port: management-server > agent tcp/dynamic, 2 flows, 3600 bytes, 0 to 1 s, clients [10.1.0.1], servers [10.1.0.21 10.1.0.22], 10.1.0.1:50000 > 10.1.0.21:50123 frame 10: a connection to a component's dynamic port: the document allows this for some services without naming them; 2 pairs",
		"indeterminate start_not_captured: agent > management-server tcp/9877, 1 flows, 1800 bytes, 0 to 1 s, clients [10.1.0.21], servers [10.1.0.1], 10.1.0.21:50000 > 10.1.0.1:9877 frame 10: the connection began before the capture; 0 pairs",
	}
	var got []string
	for i := range a.Findings {
		got = append(got, a.Findings[i].line())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What good practice says has no verdict of its own.
	if len(a.Concerns) != 1 || a.Concerns[0].Kind != Documented || a.Concerns[0].Reason != ServerCertificateSelfSigned || a.Concerns[0].Flows != 2 {
		t.Errorf("concerns %+v", a.Concerns)
	}
	got = nil
	for _, e := range a.Edges {
		if e.Status != EdgeNotSeen {
			got = append(got, fmt.Sprintf("%s %s, frame %d, %s, %d to %d s, %d pairs", e.Edge.ID, e.Status, e.First.Number(), e.Example, (e.Since-tStart)/1e9, (e.Last-tStart)/1e9, len(e.Pairs)))
		}
	}
	want = []string{
		"agent-messages violated, frame 15, 10.1.0.21:50000 > 10.1.0.1:7780, 0 to 21 s, 2 pairs",
		"agent-rest seen, frame 800, 10.1.0.21:50000 > 10.1.0.1:9877, 0 to 1 s, 1 pairs", // the flow that the state is of
		"agent-backup violated, frame 10, 10.1.0.21:1022 > 10.1.0.2:9876, 0 to 1 s, 1 pairs",
		"gateway-backup seen, frame 10, 10.1.0.22:50000 > 10.1.0.4:44445, 0 to 1 s, 2 pairs",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("edges\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(a.Ambient) != 1 || a.Ambient[0].Server != tDNS || len(a.Others) != 1 || a.Others[0].Client != stranger {
		t.Errorf("ambient %+v, others %+v", a.Ambient, a.Others)
	}
	if want := [kinds]Count{Violation: {4, 7200}, Undocumented: {3, 5400}, Blocked: {1, 900}, Indeterminate: {3, 5400}, Documented: {4, 7200},
		Ambient: {1, 1800}, OutOfScope: {1, 1800}}; a.Verdicts != want {
		t.Errorf("verdicts %v, want %v", a.Verdicts, want)
	}
}

// Of hosts without a role the first few are told apart, and the others together.
func TestTallyStrangers(t *testing.T) {
	var all []*flows.Flow
	addr := netip.MustParseAddr("10.9.0.1")
	for range maxStrangers + 3 {
		all = append(all, flow(addr, tMS, 22), flow(addr, tMS, 22))
		addr = addr.Next()
	}
	a := tallied(t, all...).Audit(Coverage{})
	if len(a.Findings) != maxStrangers+1 {
		t.Fatalf("%d findings, want %d", len(a.Findings), maxStrangers+1)
	}
	if f := a.Findings[0]; f.From != "other hosts" || f.Flows != 6 || len(f.Clients) != 3 { // most flows first
		t.Errorf("%s", f.line())
	}
	if f := a.Findings[1]; f.From != "10.9.0.1" || f.To != "management-server" || f.Flows != 2 {
		t.Errorf("%s", f.line())
	}
}

// TestTallyCoverage counts what the flows say of the captures.
func TestTallyCoverage(t *testing.T) {
	repliesLost := with(func(f *flows.Flow) { f.Packets[1], f.Bytes[1], f.Payload[1], f.TCP.SYNACKs = 0, 0, 0, 0 })
	missed := func(n uint64) func(*flows.Flow) {
		return with(func(f *flows.Flow) { f.Missed = flows.Pair{n, 0} })
	}
	headersAlone := with(func(f *flows.Flow) { f.TCP = flows.TCP{PortsOnly: true} })
	for _, test := range []struct {
		name  string
		flows []*flows.Flow
		cov   Coverage
		want  Coverage // the members that a Tally adds
	}{
		{"nothing", nil, Coverage{}, Coverage{}},
		{"whole", []*flows.Flow{flow(tAgent1, tMS, 9877, tls()), flow(tAgent1, tMS, 9877, repliesLost)}, Coverage{}, Coverage{Flows: 2, OneSided: 1, BothWays: true}},
		{"requests", []*flows.Flow{flow(tAgent1, tMS, 9877, repliesLost)}, Coverage{}, Coverage{Flows: 1, OneSided: 1}},
		{"replies", []*flows.Flow{flow(tAgent1, tMS, 9877, repliesAlone)}, Coverage{}, Coverage{Flows: 1, OneSided: 1}},
		{"begun before", []*flows.Flow{flow(tAgent1, tMS, 9877, midway)}, Coverage{}, Coverage{Flows: 1, BothWays: true, LateStart: 1}},
		{"flags not captured", []*flows.Flow{flow(tAgent1, tMS, 9877, headersAlone)}, Coverage{}, Coverage{Flows: 1, BothWays: true}},
		{"datagrams", []*flows.Flow{flow(tAgent1, tMS, 9877, udp, unanswered)}, Coverage{}, Coverage{Flows: 1}},
		{"one percent missing", []*flows.Flow{flow(tAgent1, tMS, 9877, missed(8))}, Coverage{}, Coverage{Flows: 1, BothWays: true, Missed: 8}},
		{"more", []*flows.Flow{flow(tAgent1, tMS, 9877, missed(9))}, Coverage{}, Coverage{Flows: 1, BothWays: true, Missed: 9, Lossy: true}},
		{"one percent cut", nil, captured(1000, 10, 0), Coverage{}},
		{"more cut", nil, captured(1000, 11, 0), Coverage{Lossy: true}},
		{"one percent dropped", nil, captured(990, 0, 10), Coverage{}},
		{"more dropped", nil, captured(990, 0, 11), Coverage{Lossy: true}},
		{"an empty file", nil, captured(0, 0, 0), Coverage{}},
	} {
		c := tallied(t, test.flows...).Audit(test.cov).Coverage
		got := Coverage{Flows: c.Flows, OneSided: c.OneSided, BothWays: c.BothWays, LateStart: c.LateStart, Missed: c.Missed, Lossy: c.Lossy}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// captured is the coverage of one file: frames, how many of them the snap length
// cut, and how many were dropped beside them.
func captured(frames, cut, dropped uint64) Coverage {
	return Coverage{Captures: pcaps.Stats{Files: []pcaps.FileStats{{Name: "a.pcap", Frames: frames, Cut: cut}}, Dropped: dropped}}
}

// TestTallyCarried says what undocumented traffic is, of all flows of a finding.
func TestTallyCarried(t *testing.T) {
	to := func(opts ...func(*flows.Flow)) *flows.Flow { return flow(tAgent1, tRogue, 3128, opts...) }
	proxy := func(name string) *flows.Flow { return to(speaks("http", "http.method=CONNECT", "http.host="+name)) }
	byPort := with(func(f *flows.Flow) { f.App, f.AppBasis = "http", dissect.ByPort })
	for _, test := range []struct {
		all  []*flows.Flow
		says string
	}{
		{[]*flows.Flow{to(said(0, 0))}, ""},
		{[]*flows.Flow{to(byPort)}, ""},
		{[]*flows.Flow{to(said(0, 0)), to(speaks("ssh")), to(speaks("ssh"))}, "; the traffic is ssh"},
		{[]*flows.Flow{to(speaks("http", "http.method=GET", "http.host=a.example")), to(speaks("tls"))}, "; the traffic is http and tls"},
		{[]*flows.Flow{proxy("a.example:443"), to(speaks("ssh"))}, "; the traffic is http to a proxy for a.example:443 and ssh"},
		{[]*flows.Flow{proxy("a.example:443"), proxy("b.example:443")}, "; the traffic is http to a proxy for a.example:443 and http to a proxy for b.example:443"},
		{[]*flows.Flow{to(speaks("a")), to(speaks("b")), to(speaks("c")), to(speaks("d")), to(speaks("e"))}, "; the traffic is a, b, c and more"},
	} {
		a := tallied(t, test.all...).Audit(Coverage{})
		if len(a.Findings) != 1 || a.Findings[0].Example.Says != UnknownHost.Explain()+test.says {
			t.Errorf("%+v, want %q", a.Findings, test.says)
		}
		behind := !slices.ContainsFunc(test.all, func(f *flows.Flow) bool { return f.Facts.Text(dissect.HTTPMethod) != "CONNECT" })
		if told := strings.Contains(a.Findings[0].Do, "proxy"); told != behind {
			t.Errorf("%v: %q", test.says, a.Findings[0].Do)
		}
	}
}

// Findings of several flows tell a cause or a step only where all of them share
// it, and of idle connections the shortest silence that ended one.
func TestTallyShared(t *testing.T) {
	ttl := func(reset uint8) func(*flows.Flow) {
		return with(func(f *flows.Flow) { f.TCP.ResetTTL, f.TCP.TTL[1] = reset, 60 })
	}
	refusedBy := func(reset uint8) *flows.Flow { return flow(tAgent1, tBG, 44445, refused, ttl(reset)) }
	for _, test := range []struct {
		all  []*flows.Flow
		says string
		do   string
	}{
		{[]*flows.Flow{refusedBy(60), refusedBy(60)}, ResetByHost.Explain(), ResetByHost.Do()},
		{[]*flows.Flow{refusedBy(60), refusedBy(63)}, "", RSTToSYN.Do()},
	} {
		a := tallied(t, test.all...).Audit(Coverage{})
		if len(a.Findings) != 1 || !strings.Contains(a.Findings[0].Title, test.says) || a.Findings[0].Do != Sentence(test.do) ||
			test.says == "" && strings.Contains(a.Findings[0].Title, ";") {
			t.Errorf("%+v, want %q, %q", a.Findings, test.says, test.do)
		}
	}

	silence := func(ns int64, killed bool) *flows.Flow {
		return flow(tAgent1, tMS, 7780, curve, with(func(f *flows.Flow) {
			f.TCP.LongestIdle, f.TCP.LongestIdleFrame = ns, pcaps.MakeFrameID(0, 20)
			if killed {
				f.TCP.Stalled[0], f.TCP.StalledFrame[0] = 6, pcaps.MakeFrameID(0, 21)
			}
		}))
	}
	a := tallied(t, silence(600e9, true), silence(400e9, true), silence(500e9, true), silence(300e9, false), silence(200e9, false)).Audit(Coverage{})
	if len(a.Findings) != 1 || a.Findings[0].IdleKilled != 400e9 || a.Findings[0].IdleLived != 300e9 {
		t.Errorf("%+v", a.Findings)
	}
}

// Every alert that speaks of a cause of its own has a step of its own.
func TestAdviceOfAlerts(t *testing.T) {
	for alert, step := range map[string]string{
		"certificate_expired": "renew", "certificate_revoked": "issuer revoked it", "bad_certificate": "its key usage", "certificate_unknown": "its key usage",
		"unsupported_certificate": "its key usage", "certificate_required": "give the client its certificate", "protocol_version": "no TLS version in common",
		"handshake_failure": "no cipher suite", "insufficient_security": "no cipher suite", "unrecognized_name": "a name from its certificate",
		"decrypt_error": "a signature did not verify", "access_denied": "register the client", "unknown_ca": "the issuing CA", "internal_error": "", "": "",
		answeredByHTTP: "does not speak TLS", answeredBySSH: "does not speak TLS", answeredByOther: "does not speak TLS",
	} {
		for _, r := range []Reason{RejectedByServer, RejectedByClient, TLSHandshakeFailed} {
			if got := advice(flow(tAgent1, tMS, 7780), &Because{Reason: r, Saw: alert}); !strings.Contains(got, step) || (step == "") != (got == "") {
				t.Errorf("%s, %q: %q, want %q", r, alert, got, step)
			}
		}
		if got := advice(flow(tAgent1, tMS, 7780), &Because{Reason: UnknownSNI, Saw: alert}); got != "" {
			t.Errorf("a name %q: %q", alert, got)
		}
	}
}

// TestTallyICMP has a component ask another for its time, and one ping the cloud: these are
// two findings, and only one of them is of echoes.
func TestTallyICMP(t *testing.T) {
	timestamp := func(f *flows.Flow) {
		echo(f)
		f.Facts = new(dissect.Facts)
		f.Facts.Add(dissect.ICMPType, []byte("13/0"))
	}
	p := testPolicy(t, "")
	tally := NewTally(p)
	settle(p, tally, append(site(), flow(tSN, tAgent1, 0, timestamp), flow(tMS, tCloud, 0, echo)))
	var services []string
	for _, f := range tally.Audit(Coverage{}).Findings {
		if strings.HasPrefix(f.Service, "icmp") {
			services = append(services, f.Service)
		}
	}
	slices.Sort(services)
	if got := strings.Join(services, " "); got != "icmp icmp/echo" {
		t.Errorf("findings of %q, want one of icmp and one of icmp/echo", got)
	}
}
