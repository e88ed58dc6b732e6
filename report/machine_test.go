package report

import (
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"os"
	"slices"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// TestSARIF holds audits, hostile ones too, against the schema of OASIS.
func TestSARIF(t *testing.T) {
	schema, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	a, o := testAudit(t)
	text := written(t, func(b *strings.Builder) error { return auditSARIF(b, a, o) })
	valid(t, schema, text)
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	results := log.Runs[0].Results
	if len(results) != len(a.Findings)+len(a.Concerns) || results[0].RuleID != "zmtp_mechanism_null" || results[0].Level != "error" ||
		results[0].Locations[0].Physical.Artifact.URI != "captures/monday.pcapng" || results[0].Related[0].Physical.Region.StartLine == 0 {
		t.Errorf("%+v", results)
	}
	for i, r := range results {
		if log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result %d is of rule %s by name and of another by number", i, r.RuleID)
		}
	}
	a, o = hostileAudit(t)
	a.Findings[0].Kind = rules.Indeterminate
	valid(t, schema, written(t, func(b *strings.Builder) error { return auditSARIF(b, a, o) }))
	valid(t, schema, written(t, func(b *strings.Builder) error { return auditSARIF(b, &rules.Audit{}, &Options{}) }))
}

// TestJUnit counts test cases as a CI system would.
func TestJUnit(t *testing.T) {
	a, o := testAudit(t)
	text := written(t, func(b *strings.Builder) error { return auditJUnit(b, a, o) })
	var suites junitSuites
	if err := xml.Unmarshal([]byte(text), &suites); err != nil {
		t.Fatal(err)
	}
	edges := suites.Suites[0]
	if edges.Tests != len(a.Diagram.Edges) || len(edges.Cases) != edges.Tests {
		t.Errorf("%d test cases for %d edges", len(edges.Cases), len(a.Diagram.Edges))
	}
	skipped, failed := 0, 0
	for i := range a.Edges {
		c, e := edges.Cases[i], &a.Edges[i]
		bad := e.Status == rules.EdgeViolated || e.Status == rules.EdgeBlocked || slices.ContainsFunc(a.Findings, func(f rules.Finding) bool {
			return f.Edge == e.Edge && (f.Kind == rules.Violation || f.Kind == rules.Blocked)
		})
		switch {
		case bad:
			failed++
		case e.Status != rules.EdgeSeen:
			skipped++
		}
		if (c.Failure != nil) != bad || !strings.HasPrefix(c.Name, a.Edges[i].Edge.ID+" ") {
			t.Errorf("%s, %s: %+v", a.Edges[i].Edge.ID, a.Edges[i].Status, c)
		}
	}
	if edges.Failures != failed || edges.Skipped != skipped || failed < 3 || skipped < 3 {
		t.Errorf("%d failures and %d skipped, want %d and %d", edges.Failures, edges.Skipped, failed, skipped)
	}
	if suites.Failures != edges.Failures+1 || suites.Suites[1].Cases[0].Failure.Type != "unknown_host" {
		t.Errorf("%+v", suites.Suites[1])
	}
	a, o = hostileAudit(t)
	if err := xml.Unmarshal([]byte(written(t, func(b *strings.Builder) error { return auditJUnit(b, a, o) })), &suites); err != nil {
		t.Error(err)
	}
}

// The members that the other tools document, as far as flows and TLS go. A
// trailing ".*" stands for whatever is below.
var (
	// Suricata: "EVE JSON Format" of its manual: common part, flow, tls.
	eveReference = []string{"timestamp", "flow_id", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "pcap_filename",
		"vlan", "icmp_type", "icmp_code", "community_id",
		"flow.pkts_toserver", "flow.pkts_toclient", "flow.bytes_toserver", "flow.bytes_toclient", "flow.start", "flow.end", "flow.age", "flow.state",
		"flow.reason", "flow.alerted", "tcp.tcp_flags", "tcp.syn", "tcp.fin", "tcp.rst", "tcp.psh", "tcp.ack", "tcp.state",
		"tls.subject", "tls.issuerdn", "tls.serial", "tls.fingerprint", "tls.sni", "tls.version", "tls.notbefore", "tls.notafter", "tls.ja3.hash",
		"tls.ja3s.hash", "tls.ja4", "tls.session_resumed", "tls.client_alpns", "tls.subjectaltname", "wirechart.*"}
	// Zeek: Conn::Info, SSL::Info, and what the policy scripts mac-logging,
	// vlan-logging and community-id-logging, and the packages ja3 and ja4, add.
	zeekReference = []string{"_path", "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p",
		"proto", "service", "duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history", "orig_pkts",
		"orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents", "ip_proto", "vlan", "inner_vlan", "orig_l2_addr", "resp_l2_addr", "community_id",
		"version", "cipher", "curve", "server_name", "resumed", "last_alert", "next_protocol", "established", "ssl_history", "cert_chain_fps",
		"client_cert_chain_fps", "subject", "issuer", "client_subject", "client_issuer", "sni_matches_cert", "ja3", "ja3s", "ja4",
		"wirechart_verdict", "wirechart_edge", "wirechart_orig_wire_bytes", "wirechart_resp_wire_bytes"}
	// Elastic Common Schema 8.11: base, ecs, event, source, destination, client,
	// server, network, log, rule, tls, dns, http, url, user_agent.
	ecsReference = []string{"@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.module", "event.dataset", "event.start",
		"event.end", "event.duration", "source.ip", "source.address", "source.port", "source.mac", "source.domain", "source.bytes", "source.packets",
		"destination.ip", "destination.address", "destination.port", "destination.mac", "destination.domain", "destination.bytes", "destination.packets",
		"client.ip", "client.address", "client.port", "client.mac", "client.domain", "client.bytes", "client.packets",
		"server.ip", "server.address", "server.port", "server.mac", "server.domain", "server.bytes", "server.packets",
		"network.transport", "network.type", "network.iana_number", "network.protocol", "network.community_id", "network.bytes", "network.packets",
		"network.vlan.id", "network.inner.vlan.id", "log.file.path", "rule.name",
		"tls.version", "tls.version_protocol", "tls.cipher", "tls.next_protocol", "tls.resumed", "tls.established", "tls.client.server_name",
		"tls.client.ja3", "tls.client.subject", "tls.client.issuer", "tls.client.not_before", "tls.client.not_after", "tls.client.hash.sha256",
		"tls.server.ja3s", "tls.server.subject", "tls.server.issuer", "tls.server.not_before", "tls.server.not_after", "tls.server.hash.sha256",
		"dns.question.name", "dns.question.type", "dns.resolved_ip", "dns.response_code", "http.request.method", "http.response.status_code",
		"url.domain", "user_agent.original", "wirechart.*"}
)

// memberNames are the dotted names of a document's members.
func memberNames(prefix string, v any, out *[]string) {
	m, isObject := v.(map[string]any)
	if !isObject {
		*out = append(*out, prefix)
		return
	}
	for name, v := range m {
		if prefix != "" {
			name = prefix + "." + name
		}
		memberNames(name, v, out)
	}
}

// machineFlow has a fact for every member that the formats may write.
func machineFlow() *flows.Flow {
	f := testFlow()
	f.App = "tls"
	for key, value := range map[dissect.Key]string{
		dissect.TLSVersion: "1.3", dissect.TLSCipher: "0x1302", dissect.TLSJA3: "aa", dissect.TLSJA3S: "bb", dissect.TLSJA4: "t13d", dissect.TLSCertCN: "ms",
		dissect.TLSCertIssuer: "CN=ca", dissect.TLSCertNotBefore: "2026-01-01T00:00:00Z", dissect.TLSCertNotAfter: "2027-01-01T00:00:00Z",
		dissect.TLSCertSHA256: "ab", dissect.TLSClientCert: "present", dissect.TLSClientCertSHA256: "cd", dissect.TLSClientCertCN: "agent",
		dissect.TLSHandshake: "complete", dissect.TLSALPNSelected: "h2", dissect.TLSAlert: "close_notify",
	} {
		f.Facts.SetText(key, value)
	}
	for key, value := range map[dissect.Key]string{dissect.DNSQName: "a.example", dissect.DNSQType: "A", dissect.DNSAnswer: "10.0.0.1", dissect.DNSRCode: "NOERROR",
		dissect.HTTPMethod: "GET", dissect.HTTPHost: "a.example", dissect.HTTPUserAgent: "curl", dissect.TLSCertSAN: "ms.example"} {
		f.Facts.Add(key, []byte(value))
	}
	return f
}

// TestForeignMembers says that every member of the foreign formats is one that the
// tool documents, and that those which tools rely on are there.
func TestForeignMembers(t *testing.T) {
	d := testDiagram(t)
	icmp := &flows.Flow{ID: 8, Frame: pcaps.MakeFrameID(0, 3), Proto: flows.ProtoICMP, Client: endpoint("10.0.0.1:0"), Server: endpoint("10.0.0.2:0"),
		Packets: flows.Pair{1, 1}, Facts: &dissect.Facts{}}
	icmp.Facts.Add(dissect.ICMPType, []byte("8/0"))
	for _, c := range []struct {
		format    Format
		reference []string
		must      []string
	}{
		{eveFormat, eveReference, []string{"timestamp", "flow_id", "event_type", "src_ip", "dest_port", "proto", "flow.bytes_toserver", "flow.state", "tls.sni", "tls.version", "icmp_type"}},
		{zeekFormat, zeekReference, []string{"ts", "uid", "id.orig_h", "id.resp_p", "proto", "service", "duration", "conn_state", "history", "orig_bytes", "server_name", "version", "established"}},
		{ecsFormat, ecsReference, []string{"@timestamp", "ecs.version", "event.kind", "source.ip", "destination.port", "network.transport", "network.community_id", "tls.client.server_name", "dns.question.name"}},
	} {
		o := &Options{Files: []string{"a.pcap", "b.pcap"}, Parts: parts{"ms", d.Component("agent")}}
		text := written(t, func(b *strings.Builder) error {
			w := c.format.Flows(b, o)
			w.Flow(machineFlow(), testVerdict(d))
			w.Flow(icmp, nil)
			return w.Close()
		})
		var names []string
		for line := range strings.Lines(text) {
			var doc any
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Fatalf("%s: %v: %s", c.format.Name, err, line)
			}
			if c.format.Name == "zeek" { // its names have dots
				for name := range doc.(map[string]any) {
					names = append(names, name)
				}
				continue
			}
			memberNames("", doc, &names)
		}
		for _, name := range names {
			if !slices.ContainsFunc(c.reference, func(r string) bool {
				head, isTree := strings.CutSuffix(r, "*")
				return r == name || isTree && strings.HasPrefix(name, head)
			}) {
				t.Errorf("%s has no member %s", c.format.Name, name)
			}
		}
		for _, name := range c.must {
			if !slices.Contains(names, name) {
				t.Errorf("%s: no %s in %s", c.format.Name, name, text)
			}
		}
	}
}

func TestForeignWords(t *testing.T) {
	for version, want := range map[string]string{"1.3": "TLSv13", "1.2": "TLSv12", "1.0": "TLSv10", "ssl3": "SSLv3", "dtls1.2": "DTLSv12"} {
		if got := zeekTLS(version); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
	for hex, want := range map[string]string{"0x1302": "TLS_AES_256_GCM_SHA384", "0xc02f": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "0xfefe": "0xfefe", "": ""} {
		if got := cipherName(hex); got != want {
			t.Errorf("%s is %s, want %s", hex, got, want)
		}
	}
	if got := eveTime(1795397951885000001); got != "2026-11-23T00:59:11.885000+0000" && !strings.HasSuffix(got, ".885000+0000") {
		t.Error(got)
	}
	if got := epoch(1795397951885000001); got != "1795397951.885" {
		t.Error(got)
	}
}

// messages keeps what is written, one message a write.
type messages [][]byte

func (m *messages) Write(b []byte) (int, error) {
	*m = append(*m, slices.Clone(b))
	return len(b), nil
}

// TestIPFIX reads the messages by their lengths: each ends where it says, sequence
// numbers count records, and templates come first and, in datagrams, again.
func TestIPFIX(t *testing.T) {
	for _, datagram := range []bool{false, true} {
		var m messages
		w := NewIPFIX(&m, datagram)
		const n = 500
		for i := range n {
			f := testFlow()
			if i%3 == 0 {
				f.Client, f.Server = endpoint("10.0.0.1:50000"), endpoint("10.0.0.2:443")
			}
			if f.Client.Addr().Is4() != f.Server.Addr().Is4() {
				f.Client = endpoint("[fd00::1]:50000")
			}
			if err := w.Flow(f, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		templates, records := 0, 0
		for i, b := range m {
			id, length := binary.BigEndian.Uint16(b[16:]), int(binary.BigEndian.Uint16(b[18:]))
			if binary.BigEndian.Uint16(b) != 10 || int(binary.BigEndian.Uint16(b[2:])) != len(b) || length != len(b)-16 || len(b) > 1500 {
				t.Fatalf("message %d: %x", i, b[:20])
			}
			if got := int(binary.BigEndian.Uint32(b[8:])); got != records {
				t.Errorf("message %d: sequence number %d behind %d records", i, got, records)
			}
			if id == 2 {
				templates++
				continue
			}
			if i == 0 {
				t.Error("records before their templates")
			}
			size := 12 // addresses and ports
			if id == 257 {
				size = 36
			}
			size += 1 + 6*8 + 4 + 2 + 2 + 12 + 2 + 5 // "zmtp" and its length
			if (length-4)%size != 0 {
				t.Errorf("message %d: %d bytes are no number of records of %d", i, length-4, size)
			}
			records += (length - 4) / size
		}
		if records != n || (templates > 1) != datagram {
			t.Errorf("%d records, templates %d times, datagrams %t", records, templates, datagram)
		}
	}
}
