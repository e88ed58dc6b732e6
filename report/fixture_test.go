package report

import (
	"net/netip"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// The tests of this package print made-up results: what a policy would say is
// tested where policies are, and over captures by cmd/wirechart.

var second int64 = 1e9

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func endpoint(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func testDiagram(t *testing.T) *rules.Diagram {
	t.Helper()
	d, err := rules.Resolve(rules.DefaultDiagram)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// testAudit is an audit with something in every part of the report.
func testAudit(t *testing.T) (*rules.Audit, *Options) {
	t.Helper()
	d := testDiagram(t)
	o := &Options{Width: 80, Files: []string{"captures/monday.pcapng", "captures/tuesday.pcap.gz"}}
	a := &rules.Audit{Diagram: d}
	begin := int64(1795397951) * second
	a.Coverage = rules.Coverage{
		Captures: pcaps.Stats{Files: []pcaps.FileStats{
			{Name: o.Files[0], Format: "pcapng", Frames: 34_351, Bytes: 18_402_113, First: begin, Last: begin + 2531*second,
				SnapLen: 262144, Links: []pcaps.LinkType{pcaps.LinkEthernet}},
			{Name: o.Files[1], Format: "pcap", Compression: "gzip", Frames: 1212, Bytes: 98_113, First: begin + 3000*second, Last: begin + 3100*second,
				SnapLen: 128, Cut: 811, Links: []pcaps.LinkType{pcaps.LinkEthernet},
				Damage: &pcaps.Damage{Frame: 1212, Offset: 73018, Reason: "file ends inside a packet record: 40 of 96 bytes"}},
		}},
		Flows: 201, OneSided: 3, LateStart: 2, Missed: 12_400, First: begin, Last: begin + 3100*second,
	}
	a.Coverage.Decoded.Packets = 35_563
	a.Coverage.Decoded.Outcomes[flows.Decoded] = 35_440
	a.Coverage.Decoded.Outcomes[flows.NotIP] = 123
	a.Coverage.Decoded.Copies = 17

	for i, h := range []struct{ ip, name, role, says string }{
		{"10.20.30.11", "ms.backup.example", "management-server", "answers ZMTP CURVE on 7780 for 5 clients"},
		{"10.20.30.12", "", "storage-node", "answers TLS and asks for client certificates on 9876 for 4 clients"},
		{"10.20.30.22", "agent1", "agent", "calls 7780, 9877 and 9876 of components"},
		{"10.20.30.23", "", "agent", "calls 7780 and 9877 of components"},
		{"10.20.30.24", "", "agent", "calls 7780 and 9877 of components"},
		{"10.20.30.25", "", "agent", "calls 7780 and 9877 of components"},
		{"10.20.30.26", "", "agent", "calls 7780 of components"},
		{"203.0.113.10", "eu2-cloud.acronis.com", "cloud", "named eu2-cloud.acronis.com by the client in TLS"},
	} {
		a.Hosts = append(a.Hosts, rules.Host{Addr: addr(h.ip), Name: h.name, Flows: 12, FirstSeen: pcaps.MakeFrameID(0, uint64(i+1)),
			MAC: flows.MAC{2, 0, 0, 0, 0, byte(i)}, Ports: [2]uint16{49152, 65000}, Sampled: 9,
			Roles: []rules.Role{{Component: d.Component(h.role), Confidence: 0.97 - 0.1*float64(i%3),
				Because: []rules.Evidence{{Weight: 3, Says: h.says, Frame: pcaps.MakeFrameID(0, uint64(41+i))}, {Weight: 1, Says: "listens on its ports"}}}}})
	}
	a.Hosts = append(a.Hosts, rules.Host{Addr: addr("10.20.30.21"), Flows: 3})

	for i, e := range d.Edges {
		state := rules.EdgeState{Edge: e, Status: rules.EdgeNotSeen, Why: "no host has the server's role"}
		switch {
		case i%4 == 0:
			state.Status, state.Why = rules.EdgeSeen, ""
			state.Verdicts[rules.Documented] = rules.Count{Flows: 12, Bytes: 120_000}
			state.First, state.Example = pcaps.MakeFrameID(0, uint64(112+i)), "10.20.30.22:51514 > 10.20.30.11:7780"
			state.Pairs = []rules.HostPair{{Client: addr("10.20.30.22"), Server: addr("10.20.30.11"), Proto: flows.ProtoTCP, Port: 7780,
				Verdicts: state.Verdicts, SourcePorts: [2]uint16{51514, 51999}, First: begin, Last: begin + 9*second, Frame: state.First}}
		case i == 1:
			state.Status, state.Why = rules.EdgeViolated, ""
			state.Verdicts[rules.Violation] = rules.Count{Flows: 3, Bytes: 9_000}
			state.Verdicts[rules.Documented] = rules.Count{Flows: 9, Bytes: 90_000}
			state.First, state.Example = pcaps.MakeFrameID(1, 77), "10.20.30.12:51514 > 10.20.30.11:7780"
		case i == 2:
			state.Status, state.Why = rules.EdgeBlocked, ""
			state.Verdicts[rules.Blocked] = rules.Count{Flows: 1, Bytes: 240}
			state.First, state.Example = pcaps.MakeFrameID(0, 90), "10.20.30.22:51520 > 10.20.30.11:9877"
		case i == 3:
			state.Status, state.Why = rules.EdgeUndecided, ""
			state.Verdicts[rules.Indeterminate] = rules.Count{Flows: 2, Bytes: 500}
			state.First = pcaps.MakeFrameID(0, 95)
		case i%4 == 1:
			state.CouldShow, state.Why = true, "both ends are in these captures, and neither called the other"
		}
		a.Edges = append(a.Edges, state)
	}
	finding := func(kind rules.Kind, severity rules.Severity, reason rules.Reason, edge, from, to, service, client, server string, n uint64, title string) rules.Finding {
		return rules.Finding{ID: "f-" + reason.String(), Kind: kind, Severity: severity, Reason: reason, Edge: d.Edge(edge), From: from, To: to,
			Service: service, Flows: n, Bytes: n * 1000, First: begin + 5*second, Last: begin + 95*second,
			Clients: []netip.Addr{endpoint(client).Addr()}, Servers: []netip.Addr{endpoint(server).Addr()},
			Example: rules.Example{Client: endpoint(client), Server: endpoint(server), Frame: pcaps.MakeFrameID(0, 2041+n), Says: "both greetings say NULL"},
			Title:   title, Do: reason.Do()}
	}
	a.Findings = []rules.Finding{
		finding(rules.Violation, rules.High, rules.ZMTPMechanismNull, "agent-messages", "agent", "management-server", "tcp/7780",
			"10.20.30.22:51514", "10.20.30.11:7780", 3, "management messages travel without encryption: the mechanism is NULL where the diagram requires CURVE"),
		finding(rules.Undocumented, rules.Medium, rules.UnknownHost, "", "10.20.30.21", "storage-node", "tcp/9876",
			"10.20.30.21:40112", "10.20.30.12:9876", 1204, "a host without a role calls the storage node"),
		finding(rules.Blocked, rules.Low, rules.PortScan, "agent-rest", "agent-for-vmware", "management-server", "tcp/9877",
			"[fd20:30:ffff:ffff::16]:51520", "[fd20:30::b]:9877", 1, "refused: reset in answer to the SYN"),
	}
	a.Findings[1].Pairs, a.Findings[1].MorePairs = []rules.HostPair{{Client: addr("10.20.30.21"), Server: addr("10.20.30.12"), Proto: flows.ProtoTCP, Port: 9876}}, 3
	a.Findings[1].Pairs[0].Verdicts[rules.Undocumented] = rules.Count{Flows: 1201, Bytes: 1_201_000}
	a.Ambient = []rules.HostPair{{Client: addr("10.20.30.22"), Server: addr("10.20.30.2"), Proto: flows.ProtoUDP, Port: 53}}
	a.Others = []rules.HostPair{{Client: addr("10.20.30.40"), Server: addr("10.20.30.41"), Proto: flows.ProtoTCP, Port: 10051, ServerName: "zabbix.example"}}
	a.Concerns = []rules.Finding{
		finding(rules.Documented, rules.High, rules.SMB1, "agent-smb", "agent", "file-service", "tcp/445",
			"10.20.30.23:51514", "10.20.30.17:445", 2, "SMB1 was used"),
		finding(rules.Documented, rules.Low, rules.ServerCertificateSelfSigned, "agent-rest", "agent", "management-server", "tcp/9877",
			"10.20.30.23:51514", "10.20.30.11:9877", 22, "the server's certificate is signed by its own key"),
	}
	a.Verdicts = [len(rules.Audit{}.Verdicts)]rules.Count{
		rules.Documented: {Flows: 130, Bytes: 17_000_000}, rules.Violation: {Flows: 3, Bytes: 3_000},
		rules.Undocumented: {Flows: 24, Bytes: 24_000}, rules.Blocked: {Flows: 1, Bytes: 240},
		rules.Indeterminate: {Flows: 2, Bytes: 500}, rules.Ambient: {Flows: 38, Bytes: 12_000}, rules.OutOfScope: {Flows: 3, Bytes: 400},
	}
	a.Choices = []rules.Choice{{
		Client: netip.MustParseAddr("10.20.30.22"), Name: "agent1", Edge: d.Edge("data-centre-ping"),
		Pinged: []rules.Pinged{
			{Server: netip.MustParseAddr("203.0.113.12"), Name: "eu2", RTT: 9_000_000, Sent: 3, Frame: pcaps.MakeFrameID(0, 51)},
			{Server: netip.MustParseAddr("203.0.113.10"), RTT: 40_250_000, Sent: 3, Frame: pcaps.MakeFrameID(0, 50)},
			{Server: netip.MustParseAddr("203.0.113.11"), Sent: 3, Frame: pcaps.MakeFrameID(0, 52)},
		},
		Used: netip.MustParseAddr("203.0.113.10"), Called: "us5-cloud.acronis.com", Frame: pcaps.MakeFrameID(1, 60), Bytes: 71_000,
		Known: true, Behind: 31_250_000,
	}}
	a.Notes = []string{"Two hosts share the MAC address of the router 10.20.30.1: names were used to tell them apart."}
	return a, o
}

// hostileText is what a sender may put into a name.
const hostileText = "=cmd()|'/c calc'!A1 <script>alert(1)</script>\x1b[31m\x9b\x00\r\nFAKE\u202egnp.exe\u2066\u200b`|` [x](https://evil.example) \xff\xfe\U000e0041"

// hostileAudit is testAudit with hostileText wherever the wire's words may be.
func hostileAudit(t *testing.T) (*rules.Audit, *Options) {
	a, o := testAudit(t)
	o.Files[1] = hostileText
	a.Coverage.Captures.Files[1].Name = hostileText
	a.Coverage.Captures.Files[1].Comments = []string{hostileText}
	a.Coverage.Captures.Files[1].Damage.Reason = hostileText
	for i := range a.Hosts {
		h := &a.Hosts[i]
		h.Name, h.Names = hostileText, []string{hostileText}
		for k := range h.Roles {
			h.Roles[k].Because[0].Says = hostileText
		}
	}
	for _, list := range [][]rules.Finding{a.Findings, a.Concerns} {
		for i := range list {
			f := &list[i]
			f.From, f.To, f.Service, f.Title, f.Do, f.Example.Says = hostileText, hostileText, hostileText, hostileText, hostileText, hostileText
		}
	}
	for i := range a.Edges {
		a.Edges[i].Why = hostileText
	}
	a.Choices[0].Name, a.Choices[0].Called, a.Choices[0].Pinged[0].Name = hostileText, hostileText, hostileText
	a.Notes = []string{hostileText}
	a.Others[0].ClientName, a.Others[0].ServerName = hostileText, hostileText
	return a, o
}

// namedHosts gives hostileText as every host's name.
type namedHosts struct {
	name string
	role *rules.Component
}

func (p namedHosts) HostName(netip.Addr) string             { return p.name }
func (p namedHosts) Roles(netip.Addr) []*rules.Component    { return []*rules.Component{p.role} }
func (p namedHosts) PortClass(*flows.Flow) (string, string) { return "dynamic", "documented" }

// testFlow is a flow with every member and a fact of every kind.
func testFlow() *flows.Flow {
	facts := &dissect.Facts{}
	facts.SetText(dissect.ZMTPMechanism, "CURVE")
	facts.CountPair(dissect.ZMTPMessages, dissect.ToServer, 12)
	facts.CountPair(dissect.ZMTPMessages, dissect.ToClient, 3)
	facts.SetText(dissect.TLSSNI, "ms.backup.example")
	facts.Add(dissect.TLSALPN, []byte("h2"))
	facts.Add(dissect.TLSALPN, []byte("http/1.1"))
	facts.SetFlag(dissect.TLSResumed, false)
	facts.SetNum(dissect.HTTPRequests, 2)
	facts.AddNum(dissect.HTTPStatus, 200)
	facts.AddNum(dissect.HTTPStatus, 404)
	facts.SetNum(dissect.ICMPRTT, 1_250_000)
	return &flows.Flow{
		ID: 7, Frame: pcaps.MakeFrameID(0, 41), Start: 1795397951*second + 885_000_001, End: 1795397953*second + 885_000_001,
		Proto: flows.ProtoTCP, Client: endpoint("10.20.30.22:51514"), Server: endpoint("[fd20:30::b]:7780"),
		ClientMAC: flows.MAC{2, 0, 0, 0, 0, 0x1a}, Oriented: flows.BySYN,
		Packets: flows.Pair{10, 9}, Bytes: flows.Pair{1000, 900}, Payload: flows.Pair{500, 400},
		Missed: flows.Pair{0, 12}, Retransmitted: flows.Pair{1, 0}, OutOfOrder: flows.Pair{0, 2}, Duplicate: flows.Pair{3, 4},
		VLANs: []uint16{20}, Tunnel: []string{"vlan:20", "vxlan:42"},
		TCP:   flows.TCP{State: flows.StateSF, History: "ShADadFf", SYNs: 2, RTT: 1_234_567, ResetBy: flows.ResetByServer, ResetTTL: 63},
		ICMP:  []flows.ICMPError{{Type: 3, Code: 13, From: addr("10.20.30.1"), Frame: pcaps.MakeFrameID(0, 50)}},
		Ended: flows.Closed, App: "zmtp", AppBasis: dissect.ByBoth, Facts: facts,
	}
}

// testVerdict is a verdict with a reason, a concern, and evidence in another
// capture.
func testVerdict(d *rules.Diagram) *rules.Verdict {
	return &rules.Verdict{Kind: rules.Violation, Edge: d.Edge("agent-messages"),
		Reasons:  []rules.Because{{Reason: rules.ZMTPMechanismNull, Frame: pcaps.MakeFrameID(0, 43), Saw: "NULL"}, {Reason: rules.NotZMTP}},
		Concerns: []rules.Because{{Reason: rules.SMB1, Frame: pcaps.MakeFrameID(1, 9), Saw: hostileText}}}
}

// written is what write wrote.
func written(t *testing.T, write func(*strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
