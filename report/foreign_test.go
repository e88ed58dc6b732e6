package report

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// The members that the other tools document, as far as we have something to say.
// A trailing ".*" stands for whatever is below.
var (
	// Suricata: "EVE JSON Format" of its manual: common part, alert, flow, tls,
	// dns, http, smb.
	eveReference = []string{"timestamp", "flow_id", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "pcap_filename", "pcap_cnt",
		"vlan", "icmp_type", "icmp_code", "community_id",
		"flow.pkts_toserver", "flow.pkts_toclient", "flow.bytes_toserver", "flow.bytes_toclient", "flow.start", "flow.end", "flow.age", "flow.state",
		"flow.reason", "flow.alerted", "tcp.tcp_flags", "tcp.syn", "tcp.fin", "tcp.rst", "tcp.psh", "tcp.ack", "tcp.state",
		"tls.subject", "tls.issuerdn", "tls.serial", "tls.fingerprint", "tls.sni", "tls.version", "tls.notbefore", "tls.notafter", "tls.ja3.hash",
		"tls.ja3s.hash", "tls.ja4", "tls.session_resumed", "tls.client_alpns", "tls.subjectaltname",
		"dns.version", "dns.type", "dns.qr", "dns.rcode", "dns.rrname", "dns.rrtype", "dns.grouped.A", "dns.grouped.AAAA",
		"http.hostname", "http.http_port", "http.http_method", "http.http_user_agent", "http.status", "http.version",
		"smb.dialect", "smb.client_dialects", "smb.command", "smb.status", "smb.status_code", "smb.share",
		"alert.action", "alert.gid", "alert.signature_id", "alert.rev", "alert.signature", "alert.category", "alert.severity", "alert.metadata.*", "wirechart.*"}
	// The names of protocols in Suricata 8 (AppProtoToString), without those of
	// industrial control.
	eveAppReference = []string{"http", "ftp", "smtp", "tls", "ssh", "imap", "jabber", "smb", "dcerpc", "irc", "dns", "nfs", "ntp", "ftp-data", "tftp", "ike",
		"krb5", "quic", "dhcp", "snmp", "sip", "rfb", "mqtt", "pgsql", "telnet", "websocket", "ldap", "doh2", "rdp", "http2", "bittorrent-dht", "pop3", "mdns",
		"mysql", "failed"}
	// Zeek: Conn::Info, SSL::Info, DNS::Info, HTTP::Info, and what the policy
	// scripts mac-logging, vlan-logging and community-id-logging, and the
	// packages ja3 and ja4, add.
	zeekReference = map[string][]string{
		"": {"_path", "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"},
		"conn": {"proto", "service", "duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history", "orig_pkts",
			"orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents", "ip_proto", "vlan", "inner_vlan", "orig_l2_addr", "resp_l2_addr", "community_id",
			"wirechart_verdict", "wirechart_edge", "wirechart_app", "wirechart_orig_wire_bytes", "wirechart_resp_wire_bytes"},
		"ssl": {"version", "cipher", "curve", "server_name", "resumed", "last_alert", "next_protocol", "established", "ssl_history", "cert_chain_fps",
			"client_cert_chain_fps", "subject", "issuer", "client_subject", "client_issuer", "sni_matches_cert", "ja3", "ja3s", "ja4"},
		"dns": {"proto", "trans_id", "rtt", "query", "qclass", "qclass_name", "qtype", "qtype_name", "rcode", "rcode_name", "AA", "TC", "RD", "RA", "Z", "answers",
			"TTLs", "rejected"},
		"http": {"trans_depth", "method", "host", "uri", "referrer", "version", "user_agent", "origin", "request_body_len", "response_body_len", "status_code",
			"status_msg", "info_code", "info_msg", "tags", "username", "password", "proxied", "wirechart_requests"},
	}
	// The analyzers that Zeek 8 comes with, as conn.log writes their names,
	// without those of industrial control.
	zeekServiceReference = []string{"bittorrent", "bittorrenttracker", "dce_rpc", "dhcp", "dns", "dtls", "finger", "ftp", "ftp_data", "gnutella", "gssapi", "http",
		"ident", "imap", "irc", "irc_data", "krb", "krb_tcp", "ldap_tcp", "ldap_udp", "mount", "mqtt", "mysql", "nfs", "ntlm", "ntp", "pop3", "portmapper",
		"postgresql", "quic", "radius", "rdp", "rdpeudp", "redis", "rfb", "sip", "smb", "smtp", "snmp", "socks", "ssh", "ssl", "syslog", "telnet", "websocket", "xmpp"}
	// Elastic Common Schema 8.11: base, ecs, event, source, destination, client,
	// server, network, log, rule, related, tls, x509, dns, http, url, user_agent.
	ecsReference = []string{"@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.module", "event.dataset", "event.start",
		"event.end", "event.duration", "source.ip", "source.address", "source.port", "source.mac", "source.domain", "source.bytes", "source.packets",
		"destination.ip", "destination.address", "destination.port", "destination.mac", "destination.domain", "destination.bytes", "destination.packets",
		"client.ip", "client.address", "client.port", "client.mac", "client.domain", "client.bytes", "client.packets",
		"server.ip", "server.address", "server.port", "server.mac", "server.domain", "server.bytes", "server.packets",
		"network.transport", "network.type", "network.iana_number", "network.protocol", "network.community_id", "network.bytes", "network.packets",
		"network.vlan.id", "network.inner.vlan.id", "log.file.path", "rule.name", "related.ip", "related.hosts",
		"tls.version", "tls.version_protocol", "tls.cipher", "tls.next_protocol", "tls.resumed", "tls.established", "tls.client.server_name",
		"tls.client.ja3", "tls.client.subject", "tls.client.issuer", "tls.client.not_before", "tls.client.not_after", "tls.client.hash.sha256",
		"tls.client.x509.subject.common_name", "tls.client.x509.alternative_names",
		"tls.server.ja3s", "tls.server.subject", "tls.server.issuer", "tls.server.not_before", "tls.server.not_after", "tls.server.hash.sha256",
		"tls.server.x509.subject.common_name", "tls.server.x509.alternative_names",
		"dns.question.name", "dns.question.type", "dns.resolved_ip", "dns.response_code", "http.request.method", "http.response.status_code", "http.version",
		"url.domain", "url.port", "user_agent.original", "wirechart.*"}
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

// foreignNames are the members of the lines that a format wrote. Those of Zeek
// begin with the log that they are of. A member that the reference does not
// have is an error.
func foreignNames(t *testing.T, format, text string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(text) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatalf("%s: %v: %s", format, err, line)
		}
		var names, reference []string
		switch format {
		case "zeek": // its names have dots
			path, _ := doc["_path"].(string)
			reference = zeekReference[path]
			if reference == nil {
				t.Errorf("Zeek has no log %q", path)
			}
			for name := range doc {
				if slices.Contains(zeekReference[""], name) {
					continue
				}
				names = append(names, name)
				all = append(all, path+" "+name)
			}
		case "eve":
			memberNames("", doc, &names)
			reference = eveReference
			if kind, _ := doc["event_type"].(string); doc[kind] == nil {
				t.Errorf("an event %q says nothing of it: %s", kind, line)
			}
			all = append(all, names...)
		default:
			memberNames("", doc, &names)
			reference = ecsReference
			all = append(all, names...)
		}
		for _, name := range names {
			if !slices.ContainsFunc(reference, func(r string) bool {
				head, isTree := strings.CutSuffix(r, "*")
				return r == name || isTree && strings.HasPrefix(name, head)
			}) {
				t.Errorf("%s has no member %s: %s", format, name, line)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// machineFlow has a fact for every member that the formats may write.
func machineFlow() *flows.Flow {
	f := testFlow()
	f.App = "dns"
	for key, value := range map[dissect.Key]string{
		dissect.TLSVersion: "1.3", dissect.TLSCipher: "0x1302", dissect.TLSJA3: "aa", dissect.TLSJA3S: "bb", dissect.TLSJA4: "t13d", dissect.TLSCertCN: "ms",
		dissect.TLSCertIssuer: "CN=ca", dissect.TLSCertNotBefore: "2026-01-01T00:00:00Z", dissect.TLSCertNotAfter: "2027-01-01T00:00:00Z",
		dissect.TLSCertSHA256: "ab", dissect.TLSClientCert: "present", dissect.TLSClientCertSHA256: "cd", dissect.TLSClientCertCN: "agent",
		dissect.TLSHandshake: "complete", dissect.TLSALPNSelected: "h2", dissect.TLSAlert: "close_notify",
		dissect.SMBDialect: "3.1.1", dissect.SMBStatus: "LOGON_FAILURE", dissect.SMBTreeStatus: "0xc0001234",
	} {
		f.Facts.SetText(key, value)
	}
	for key, value := range map[dissect.Key]string{dissect.DNSQName: "a.example", dissect.DNSQType: "A", dissect.DNSAnswer: "10.0.0.1", dissect.DNSRCode: "NOERROR",
		dissect.HTTPMethod: "GET", dissect.HTTPHost: "a.example:9200", dissect.HTTPUserAgent: "curl", dissect.TLSCertSAN: "ms.example",
		dissect.SMBDialects: "3.1.1", dissect.SMBShare: "backup"} {
		f.Facts.Add(key, []byte(value))
	}
	return f
}

// foreignText is what a format writes of flows, each with the verdict v.
func foreignText(t *testing.T, format Format, v *rules.Verdict, o *Options, list ...*flows.Flow) string {
	t.Helper()
	return written(t, func(b *strings.Builder) error {
		w := format.Flows(b, o)
		for _, f := range list {
			if err := w.Flow(f, v); err != nil {
				return err
			}
		}
		return w.Close()
	})
}

// TestForeignMembers says that every member of the foreign formats is one that the
// tool documents, and that those which tools rely on are there.
func TestForeignMembers(t *testing.T) {
	d := testDiagram(t)
	icmp := &flows.Flow{ID: 8, Frame: pcaps.MakeFrameID(0, 3), Proto: flows.ProtoICMP, Client: endpoint("10.0.0.1:0"), Server: endpoint("10.0.0.2:0"),
		Packets: flows.Pair{1, 1}, Facts: &dissect.Facts{}}
	icmp.Facts.Add(dissect.ICMPType, []byte("8/0"))
	for _, c := range []struct {
		format Format
		must   []string
	}{
		{eveFormat, []string{"timestamp", "flow_id", "event_type", "src_ip", "dest_port", "proto", "flow.bytes_toserver", "flow.state", "tls.sni", "tls.version", "icmp_type",
			"dns.rrname", "dns.rcode", "dns.grouped.A", "http.hostname", "http.http_port", "smb.share", "smb.status", "smb.status_code", "alert.signature_id", "pcap_cnt"}},
		{zeekFormat, []string{"conn proto", "conn duration", "conn conn_state", "conn history", "conn orig_bytes", "ssl server_name", "ssl version", "ssl established",
			"dns query", "dns answers", "dns rcode_name", "http host", "http method"}},
		{ecsFormat, []string{"@timestamp", "ecs.version", "event.kind", "source.ip", "destination.port", "network.transport", "network.community_id", "tls.client.server_name",
			"dns.question.name", "url.domain", "url.port", "tls.server.x509.subject.common_name", "related.hosts"}},
	} {
		o := &Options{Files: []string{"a.pcap", "b.pcap"}, Hosts: namedHosts{"ms", d.Component("agent")}}
		text := foreignText(t, c.format, testVerdict(d), o, machineFlow(), icmp)
		names := foreignNames(t, c.format.Name, text)
		for _, name := range c.must {
			if !slices.Contains(names, name) {
				t.Errorf("%s: no %s in %s", c.format.Name, name, text)
			}
		}
	}
}

// sample runs the flows of a capture through the default diagram.
func sample(t *testing.T, capture string, each func(*flows.Flow, *rules.Verdict)) {
	t.Helper()
	d := testDiagram(t)
	policy, err := rules.Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	pass := func(do func(*flows.Flow)) {
		source, err := pcaps.Open([]string{capture}, pcaps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		set := dissect.NewSet(dissect.All(), &dissect.Context{Fingerprints: true}, 64<<20)
		table := flows.NewTable(flows.Config{Limits: flows.DefaultLimits(), Listeners: d.Listens()}, set, func(list iter.Seq[*flows.Flow]) {
			for f := range list {
				do(f)
			}
		})
		batch := make([]pcaps.Packet, 64)
		for {
			n, err := source.Read(batch)
			table.Add(batch[:n])
			if err == io.EOF {
				table.Finish()
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(policy.Observe)
	policy.Settle()
	var v rules.Verdict
	pass(func(f *flows.Flow) {
		policy.Judge(f, &v)
		each(f, &v)
	})
}

// TestForeignSamples holds what the formats write of the samples against their
// references.
func TestForeignSamples(t *testing.T) {
	captures, err := filepath.Glob("../pcaps/samples/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for _, capture := range captures {
		if strings.HasSuffix(capture, ".want") {
			continue
		}
		var b [3]strings.Builder
		formats := [3]Format{eveFormat, zeekFormat, ecsFormat}
		var writers [3]FlowWriter
		for i, f := range formats {
			writers[i] = f.Flows(&b[i], &Options{Files: []string{filepath.Base(capture)}})
		}
		sample(t, capture, func(f *flows.Flow, v *rules.Verdict) {
			for _, w := range writers {
				if err := w.Flow(f, v); err != nil {
					t.Fatal(err)
				}
			}
		})
		for i, f := range formats {
			foreignNames(t, f.Name, b[i].String())
		}
		for line := range strings.Lines(b[0].String()) {
			var e struct {
				Kind string `json:"event_type"`
				App  string `json:"app_proto"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			events[e.Kind]++
			if e.App != "" && !slices.Contains(eveAppReference, e.App) {
				t.Errorf("%s: Suricata has no protocol %q", capture, e.App)
			}
		}
		for line := range strings.Lines(b[1].String()) {
			var x struct {
				Path    string `json:"_path"`
				Service string
			}
			if err := json.Unmarshal([]byte(line), &x); err != nil {
				t.Fatal(err)
			}
			events[x.Path+".log"]++
			if x.Service != "" && !slices.Contains(zeekServiceReference, x.Service) {
				t.Errorf("%s: Zeek has no service %q", capture, x.Service)
			}
		}
	}
	for _, kind := range []string{"flow", "tls", "dns", "http", "smb", "alert", "conn.log", "ssl.log", "dns.log", "http.log"} {
		if events[kind] == 0 {
			t.Errorf("no %s in the samples: %v", kind, events)
		}
	}
}

// TestForeignProtocols says that the tables of names have no entry for what no
// dissector finds, and no name that the tool does not have.
func TestForeignProtocols(t *testing.T) {
	ours := dissect.Refinements()
	for _, d := range dissect.All() {
		ours = append(ours, d.Name)
	}
	for tool, c := range map[string]struct {
		names     map[string]string
		reference []string
	}{"Suricata": {eveApps, eveAppReference}, "Zeek": {zeekServices, zeekServiceReference}} {
		for _, name := range slices.Sorted(maps.Keys(c.names)) {
			if !slices.Contains(ours, name) {
				t.Errorf("%s: no dissector says %s", tool, name)
			}
			if !slices.Contains(c.reference, c.names[name]) {
				t.Errorf("%s has no %s", tool, c.names[name])
			}
		}
	}
	for _, c := range []struct {
		app           string
		proto         uint8
		payload       uint64
		suricata, zek string
	}{
		{"tls", flows.ProtoTCP, 100, "tls", "ssl"},
		{"kerberos", flows.ProtoTCP, 100, "krb5", "krb_tcp"},
		{"kerberos", flows.ProtoUDP, 100, "krb5", "krb"},
		{"zmtp", flows.ProtoTCP, 100, "failed", ""},
		{"starttls", flows.ProtoTCP, 100, "failed", ""},
		{"", flows.ProtoTCP, 100, "failed", ""},
		{"", flows.ProtoTCP, 0, "", ""}, // a SYN and its reset: nobody looked at anything
		{"icmp", flows.ProtoICMP, 100, "", ""},
		{"mdns", flows.ProtoUDP, 100, "mdns", "dns"},
	} {
		f := &flows.Flow{App: c.app, Proto: c.proto, Payload: flows.Pair{c.payload, 0}}
		if got := eveApp(f); got != c.suricata {
			t.Errorf("%q with %d bytes is %q in Suricata, want %q", c.app, c.payload, got, c.suricata)
		}
		if got := zeekService(f); got != c.zek {
			t.Errorf("%q is %q in Zeek, want %q", c.app, got, c.zek)
		}
	}
}

// docs are the lines of a text as documents.
func docs(t *testing.T, text string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(text) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatal(err)
		}
		list = append(list, doc)
	}
	return list
}

// jsonOf are the members of the events of a kind, as JSON.
func jsonOf(t *testing.T, text, kind string) []string {
	t.Helper()
	var list []string
	for _, doc := range docs(t, text) {
		if doc["event_type"] == kind {
			b, err := json.Marshal(doc[kind])
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(b))
		}
	}
	return list
}

// TestForeignQuestions says which answer belongs to which question, and that
// nothing is said where it is not known.
func TestForeignQuestions(t *testing.T) {
	ask := func(names, kinds, answers, rcodes []string) *flows.Flow {
		f := &flows.Flow{ID: 1, Proto: flows.ProtoUDP, App: "dns", Client: endpoint("10.0.0.1:5000"), Server: endpoint("10.0.0.2:53"), Facts: &dissect.Facts{}}
		for _, l := range []struct {
			key  dissect.Key
			list []string
		}{{dissect.DNSQName, names}, {dissect.DNSQType, kinds}, {dissect.DNSAnswer, answers}, {dissect.DNSRCode, rcodes}} {
			for _, s := range l.list {
				f.Facts.AddText(l.key, s)
			}
		}
		return f
	}
	update := ask([]string{"lab.example"}, []string{"SOA"}, []string{"10.0.0.9"}, []string{"NOERROR"})
	update.Facts.SetFlag(dissect.DNSUpdate, true)
	for _, c := range []struct {
		what string
		flow *flows.Flow
		eve  []string
		zeek []string
	}{
		{"one question", ask([]string{"a.example"}, []string{"A"}, []string{"10.0.0.9"}, []string{"NOERROR"}),
			[]string{`{"rrname":"a.example","rrtype":"A","type":"query"}`,
				`{"grouped":{"A":["10.0.0.9"]},"qr":true,"rcode":"NOERROR","rrname":"a.example","rrtype":"A","type":"answer","version":2}`},
			[]string{"a.example A NOERROR [10.0.0.9]"}},
		{"both families", ask([]string{"a.example"}, []string{"A", "AAAA"}, []string{"10.0.0.9", "fd00::9"}, []string{"NOERROR"}),
			[]string{`{"rrname":"a.example","rrtype":"A","type":"query"}`,
				`{"grouped":{"A":["10.0.0.9"]},"qr":true,"rcode":"NOERROR","rrname":"a.example","rrtype":"A","type":"answer","version":2}`,
				`{"rrname":"a.example","rrtype":"AAAA","type":"query"}`,
				`{"grouped":{"AAAA":["fd00::9"]},"qr":true,"rcode":"NOERROR","rrname":"a.example","rrtype":"AAAA","type":"answer","version":2}`},
			[]string{"a.example A NOERROR [10.0.0.9]", "a.example AAAA NOERROR [fd00::9]"}},
		{"no such name", ask([]string{"b.example"}, []string{"A"}, nil, []string{"NXDOMAIN"}),
			[]string{`{"rrname":"b.example","rrtype":"A","type":"query"}`, `{"qr":true,"rcode":"NXDOMAIN","rrname":"b.example","rrtype":"A","type":"answer","version":2}`},
			[]string{"b.example A NXDOMAIN <nil>"}},
		{"no answer", ask([]string{"b.example"}, []string{"A"}, nil, nil),
			[]string{`{"rrname":"b.example","rrtype":"A","type":"query"}`}, []string{"b.example A <nil> <nil>"}},
		{"two names", ask([]string{"a.example", "b.example"}, []string{"A"}, []string{"10.0.0.9"}, []string{"NOERROR", "NXDOMAIN"}),
			[]string{`{"rrname":"a.example","rrtype":"A","type":"query"}`, `{"rrname":"b.example","rrtype":"A","type":"query"}`},
			[]string{"a.example A <nil> <nil>", "b.example A <nil> <nil>"}},
		{"two names and types", ask([]string{"a.example", "_ldap._tcp.example"}, []string{"A", "SRV"}, []string{"10.0.0.9"}, []string{"NOERROR"}),
			[]string{`{"rrname":"a.example","type":"query"}`, `{"rrname":"_ldap._tcp.example","type":"query"}`},
			[]string{"a.example <nil> <nil> <nil>", "_ldap._tcp.example <nil> <nil> <nil>"}},
		{"service, with the address in the additional section", ask([]string{"_ldap._tcp.example"}, []string{"SRV"}, []string{"10.0.0.9"}, []string{"NOERROR"}),
			[]string{`{"rrname":"_ldap._tcp.example","rrtype":"SRV","type":"query"}`,
				`{"qr":true,"rcode":"NOERROR","rrname":"_ldap._tcp.example","rrtype":"SRV","type":"answer","version":2}`},
			[]string{"_ldap._tcp.example SRV NOERROR <nil>"}},
		{"update", update, nil, nil},
	} {
		o := &Options{}
		if got := jsonOf(t, foreignText(t, eveFormat, nil, o, c.flow), "dns"); !slices.Equal(got, c.eve) {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, strings.Join(got, "\n"), strings.Join(c.eve, "\n"))
		}
		var got []string
		for _, doc := range docs(t, foreignText(t, zeekFormat, nil, o, c.flow)) {
			if doc["_path"] == "dns" {
				got = append(got, fmt.Sprintf("%v %v %v %v", doc["query"], doc["qtype_name"], doc["rcode_name"], doc["answers"]))
			}
		}
		if !slices.Equal(got, c.zeek) {
			t.Errorf("%s: Zeek's %q, want %q", c.what, got, c.zeek)
		}
	}
}

// TestForeignExchange says what is told of a flow's requests: what all of them
// have in common.
func TestForeignExchange(t *testing.T) {
	talk := func(requests int64, methods, hosts []string, statuses ...int64) *flows.Flow {
		f := &flows.Flow{ID: 1, Proto: flows.ProtoTCP, App: "http", Client: endpoint("10.0.0.1:5000"), Server: endpoint("10.0.0.2:9200"), Facts: &dissect.Facts{}}
		f.Facts.SetNum(dissect.HTTPRequests, requests)
		for _, s := range methods {
			f.Facts.AddText(dissect.HTTPMethod, s)
		}
		for _, s := range hosts {
			f.Facts.AddText(dissect.HTTPHost, s)
		}
		for _, n := range statuses {
			f.Facts.AddNum(dissect.HTTPStatus, n)
		}
		return f
	}
	cut := talk(1, []string{"GET"}, []string{"cat.back"})
	cut.Facts.SetFlag(dissect.HTTPHostCut, true)
	second := talk(1, []string{"GET"}, nil, 200)
	second.App = "http2"
	for _, c := range []struct {
		what           string
		flow           *flows.Flow
		eve, zeek, ecs string
	}{
		{"one request", talk(1, []string{"GET"}, []string{"cat.backup.example:9200"}, 200),
			`{"hostname":"cat.backup.example","http_method":"GET","http_port":9200,"status":200}`,
			"1 GET cat.backup.example:9200 200", `{"request":{"method":"GET"},"response":{"status_code":200}} {"domain":"cat.backup.example","port":9200}`},
		{"several", talk(3, []string{"GET", "POST"}, []string{"cat.backup.example"}, 200, 404),
			`{"hostname":"cat.backup.example"}`, "<nil> <nil> cat.backup.example <nil>", `null {"domain":"cat.backup.example"}`},
		{"address as host", talk(1, []string{"GET"}, []string{"[fd00::b]:9200"}, 200),
			`{"hostname":"[fd00::b]","http_method":"GET","http_port":9200,"status":200}`,
			"1 GET [fd00::b]:9200 200", `{"request":{"method":"GET"},"response":{"status_code":200}} {"domain":"[fd00::b]","port":9200}`},
		{"the beginning of a host", cut, `{"http_method":"GET"}`, "1 GET <nil> <nil>", `{"request":{"method":"GET"}} null`},
		{"HTTP/2", second, `{"http_method":"GET","status":200,"version":"2"}`, "1 GET <nil> 200",
			`{"request":{"method":"GET"},"response":{"status_code":200},"version":"2"} null`},
	} {
		o := &Options{}
		if got := strings.Join(jsonOf(t, foreignText(t, eveFormat, nil, o, c.flow), "http"), " "); got != c.eve {
			t.Errorf("%s: %s, want %s", c.what, got, c.eve)
		}
		for _, doc := range docs(t, foreignText(t, zeekFormat, nil, o, c.flow)) {
			if got := fmt.Sprintf("%v %v %v %v", doc["trans_depth"], doc["method"], doc["host"], doc["status_code"]); doc["_path"] == "http" && got != c.zeek {
				t.Errorf("%s: %s, want %s", c.what, got, c.zeek)
			}
		}
		doc := docs(t, foreignText(t, ecsFormat, nil, o, c.flow))[0]
		http, _ := json.Marshal(doc["http"])
		url, _ := json.Marshal(doc["url"])
		if got := string(http) + " " + string(url); got != c.ecs {
			t.Errorf("%s: %s, want %s", c.what, got, c.ecs)
		}
	}
	for header, want := range map[string]string{"a.example": "a.example 0", "a.example:80": "a.example 80", "10.0.0.1:8080": "10.0.0.1 8080", "[::1]": "[::1] 0",
		"[::1]:443": "[::1] 443", "::1": "::1 0", "fd00::1:80": "fd00::1:80 0", "a.example:": "a.example: 0", "a.example:http": "a.example:http 0",
		"a.example:99999": "a.example:99999 0", ":80": " 80", "": " 0"} {
		host, port := hostPort(header)
		if got := fmt.Sprint(host, " ", port); got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
}

func TestForeignSMB(t *testing.T) {
	session := func(dialect string, offered []string, shares ...string) *flows.Flow {
		f := &flows.Flow{ID: 1, Proto: flows.ProtoTCP, App: "smb", Client: endpoint("10.0.0.1:5000"), Server: endpoint("10.0.0.2:445"), Facts: &dissect.Facts{}}
		f.Facts.SetText(dissect.SMBDialect, dialect)
		for _, s := range offered {
			f.Facts.AddText(dissect.SMBDialects, s)
		}
		for _, s := range shares {
			f.Facts.AddText(dissect.SMBShare, s)
		}
		return f
	}
	refused := session("3.0.2", []string{"2.1", "3.0.2"}, "vault")
	refused.Facts.SetText(dissect.SMBTreeStatus, "ACCESS_DENIED")
	failed := session("2.0.2", nil)
	failed.Facts.SetText(dissect.SMBStatus, "0xc0009999")
	old := session("NT LM 0.12", []string{"NT LM 0.12"}, "IPC$", "vault")
	old.Facts.SetFlag(dissect.SMBSMB1, true)
	old.Facts.SetFlag(dissect.SMBSMB1Session, true)
	upgraded := session("3.1.1", []string{"2.???", "3.1.1"}, "vault")
	upgraded.Facts.SetFlag(dissect.SMBSMB1, true)
	for _, c := range []struct {
		what string
		flow *flows.Flow
		want []string
	}{
		{"refused", refused, []string{`{"client_dialects":["2.10","3.02"],"command":"SMB2_COMMAND_NEGOTIATE_PROTOCOL","dialect":"3.02"}`,
			`{"command":"SMB2_COMMAND_TREE_CONNECT","dialect":"3.02","share":"vault","status":"STATUS_ACCESS_DENIED"}`}},
		{"no session", failed, []string{`{"command":"SMB2_COMMAND_NEGOTIATE_PROTOCOL","dialect":"2.02"}`,
			`{"command":"SMB2_COMMAND_SESSION_SETUP","dialect":"2.02","status_code":"0xc0009999"}`}},
		{"SMB1", old, []string{`{"client_dialects":["NT LM 0.12"],"command":"SMB1_COMMAND_NEGOTIATE_PROTOCOL","dialect":"NT LM 0.12"}`,
			`{"command":"SMB1_COMMAND_TREE_CONNECT_ANDX","dialect":"NT LM 0.12","share":"IPC$"}`, `{"command":"SMB1_COMMAND_TREE_CONNECT_ANDX","dialect":"NT LM 0.12","share":"vault"}`}},
		{"from SMB1 to SMB2", upgraded, []string{`{"client_dialects":["2.??","3.11"],"dialect":"3.11"}`,
			`{"command":"SMB2_COMMAND_TREE_CONNECT","dialect":"3.11","share":"vault"}`}},
	} {
		if got := jsonOf(t, foreignText(t, eveFormat, nil, &Options{}, c.flow), "smb"); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestEVEAlerts says what becomes an alert, and with which number.
func TestEVEAlerts(t *testing.T) {
	d := testDiagram(t)
	o := &Options{Files: []string{"a.pcap", "b.pcap"}}
	text := foreignText(t, eveFormat, testVerdict(d), o, testFlow())
	want := []string{
		`{"action":"allowed","category":"Violation of the connection diagram","gid":7780,"metadata":{"edge":["agent-messages"],"frame":["43"],"reason":["zmtp_mechanism_null"],` +
			`"verdict":["violation"]},"rev":1,"severity":1,"signature":"WIRECHART both ends settled on NULL: no authentication, no encryption","signature_id":85979937}`,
		`{"action":"allowed","category":"Good practice","gid":7780,"metadata":{"edge":["agent-messages"],"frame":["9"],"reason":["smb1"],` +
			`"verdict":["concern"]},"rev":1,"severity":1,"signature":"WIRECHART ` + rules.SMB1.Explain() + `","signature_id":1313247994}`,
	}
	if got := jsonOf(t, text, "alert"); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, doc := range docs(t, text) {
		switch {
		case doc["event_type"] == "flow" && doc["flow"].(map[string]any)["alerted"] != true:
			t.Errorf("line %d: the flow is not alerted", i)
		case doc["event_type"] == "alert" && fmt.Sprint(doc["pcap_filename"], doc["pcap_cnt"]) != "a.pcap43" && fmt.Sprint(doc["pcap_filename"], doc["pcap_cnt"]) != "b.pcap9":
			t.Errorf("line %d: proof is at %v of %v", i, doc["pcap_cnt"], doc["pcap_filename"])
		}
	}
	for _, kind := range []rules.Kind{rules.Indeterminate, rules.Documented, rules.Ambient, rules.OutOfScope} {
		v := testVerdict(d)
		v.Kind, v.Concerns = kind, nil
		if got := jsonOf(t, foreignText(t, eveFormat, v, o, testFlow()), "alert"); len(got) > 0 {
			t.Errorf("%s gives %s", kind, got)
		}
	}
	numbers := map[uint32]rules.Reason{}
	for r := rules.NoReason + 1; !strings.HasPrefix(r.String(), "reason("); r++ {
		n := eveSignature(r)
		if other, taken := numbers[n]; taken || n == 0 || n > 1<<31-1 {
			t.Errorf("%s has the number %d of %s", r, n, other)
		}
		numbers[n] = r
	}
	if len(numbers) < 100 {
		t.Errorf("%d reasons", len(numbers))
	}
}

// TestEVEAudit says that there is an alert for each finding and concern that was
// decided.
func TestEVEAudit(t *testing.T) {
	a, o := testAudit(t)
	a.Findings[2].Service = "icmp/echo"
	undecided := a.Findings[0]
	undecided.Kind = rules.Indeterminate
	a.Findings = append(a.Findings, undecided)
	text := written(t, func(b *strings.Builder) error { return auditEVE(b, a, o) })
	foreignNames(t, "eve", text)
	var got []string
	for _, doc := range docs(t, text) {
		alert := doc["alert"].(map[string]any)
		got = append(got, fmt.Sprint(doc["proto"], " ", doc["dest_ip"], " ", doc["dest_port"], " ", alert["category"], " ", alert["severity"], " ", alert["metadata"].(map[string]any)["reason"]))
	}
	want := []string{
		"TCP 10.20.30.11 7780 Violation of the connection diagram 1 [zmtp_mechanism_null]",
		"TCP 10.20.30.12 9876 Undocumented connection 2 [unknown_host]",
		"ICMP fd20:30::b <nil> Documented connection that is blocked 3 [port_scan]",
		"TCP 10.20.30.17 445 Good practice 1 [smb1]",
		"TCP 10.20.30.11 9877 Good practice 3 [server_certificate_self_signed]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	id := (&flows.Flow{Proto: flows.ProtoTCP, Client: endpoint("10.20.30.22:51514"), Server: endpoint("10.20.30.11:7780")}).CommunityID()
	if first := docs(t, text)[0]; first["community_id"] != id || first["timestamp"] != eveTime(a.Findings[0].First) {
		t.Errorf("%v", first)
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
	for name, want := range map[string]string{"tcp": "TCP", "icmp": "ICMP", "icmpv6": "IPv6-ICMP", "sctp": "SCTP", "47": "GRE", "89": "089"} {
		if got := eveProto(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := eveTime(1795397951885000001); got != "2026-11-23T01:39:11.885000+0000" {
		t.Error(got)
	}
	if got := epoch(1795397951885000001); got != "1795397951.885" {
		t.Error(got)
	}
	for address, want := range map[string]bool{"10.1.2.3": true, "100.64.0.1": true, "169.254.1.1": true, "8.8.8.8": false, "fd00::1": true, "fe80::1": true, "::1": true, "2606:4700::1": false} {
		if got := zeekLocal(addr(address)); got != want {
			t.Errorf("%s is local: %t", address, got)
		}
	}
}

// TestZeekHistory says what is known of who sent first, and what state that makes.
func TestZeekHistory(t *testing.T) {
	for _, c := range []struct {
		proto          uint8
		packets        flows.Pair
		oriented       flows.Orientation
		history, state string
	}{
		{flows.ProtoUDP, flows.Pair{1, 0}, flows.ByPort, "D", "S0"},
		{flows.ProtoUDP, flows.Pair{0, 2}, flows.ByPort, "^d", "SHR"},
		{flows.ProtoUDP, flows.Pair{2, 2}, flows.ByFirstPacket, "Dd", "SF"},
		{flows.ProtoUDP, flows.Pair{2, 2}, flows.ByProtocol, "", "SF"},
		{flows.ProtoICMP, flows.Pair{2, 2}, flows.BySYN, "", "OTH"},
		{47, flows.Pair{2, 0}, flows.ByFirstPacket, "", "OTH"},
	} {
		f := &flows.Flow{Proto: c.proto, Packets: c.packets, Oriented: c.oriented}
		if history, state := zeekHistory(f), zeekState(f); history != c.history || state != c.state {
			t.Errorf("%+v: %q %s", c, history, state)
		}
	}
}
