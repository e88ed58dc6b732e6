package report

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

// zeekFormat writes Zeek's conn.log, ssl.log, dns.log and http.log as JSON, one
// stream: "_path" says which log a line is of, as Zeek's own JSON streams do.
// Every line carries the time at which its flow began.
var zeekFormat = Format{
	Name:  "zeek",
	Doc:   "flows as Zeek's conn.log, ssl.log, dns.log and http.log, JSON with _path",
	Flows: foreignFlows(zeekRecords),
}

func zeekRecords(f *flows.Flow, v *rules.Verdict, _ *Options) []members {
	records := []members{zeekConn(f, v)}
	if saysTLS(f) {
		records = append(records, zeekSSL(f))
	}
	records = append(records, zeekDNS(f)...)
	return append(records, zeekHTTP(f)...)
}

// zeekRecord is a line of a log with what all of a flow's have in common.
func zeekRecord(path string, f *flows.Flow) members {
	x := members{"_path": path, "ts": epoch(f.Start), "uid": zeekUID(f), "id.orig_h": f.Client.Addr().String(), "id.resp_h": f.Server.Addr().String(),
		"id.orig_p": f.Client.Port(), "id.resp_p": f.Server.Port()}
	if t, code, ok := icmpType(f); ok && !hasPorts(f.Proto) {
		x["id.orig_p"], x["id.resp_p"] = t, code // Zeek has type and code there
	}
	return x
}

func zeekConn(f *flows.Flow, v *rules.Verdict) members {
	x := zeekRecord("conn", f)
	x["proto"] = zeekProto(f.Proto)
	x["ip_proto"] = f.Proto
	service := zeekService(f)
	x.put("service", service)
	if service == "" {
		x.put("wirechart_app", f.App)
	}
	x["duration"] = epoch(f.End - f.Start)
	if f.Proto != flows.ProtoSCTP {
		x["orig_bytes"], x["resp_bytes"] = f.Payload[0], f.Payload[1]
	}
	x["conn_state"] = zeekState(f)
	x["local_orig"], x["local_resp"] = zeekLocal(f.Client.Addr()), zeekLocal(f.Server.Addr())
	x["missed_bytes"] = f.Missed.Sum()
	x.put("history", zeekHistory(f))
	x["orig_pkts"], x["resp_pkts"] = f.Packets[0], f.Packets[1]
	// Zeek's orig_ip_bytes leave the link's header out, ours have it.
	x["wirechart_orig_wire_bytes"], x["wirechart_resp_wire_bytes"] = f.Bytes[0], f.Bytes[1]
	x.put("community_id", f.CommunityID())
	if len(f.VLANs) > 0 {
		x["vlan"] = f.VLANs[0]
	}
	if f.ClientMAC != (flows.MAC{}) {
		x["orig_l2_addr"] = string(appendMAC(nil, f.ClientMAC))
	}
	if f.ServerMAC != (flows.MAC{}) {
		x["resp_l2_addr"] = string(appendMAC(nil, f.ServerMAC))
	}
	if v != nil {
		x["wirechart_verdict"] = v.Kind.String()
		if v.Edge != nil {
			x["wirechart_edge"] = v.Edge.ID
		}
	}
	return x
}

func zeekSSL(f *flows.Flow) members {
	text := f.Facts.Text
	x := zeekRecord("ssl", f)
	x.put("version", zeekTLS(text(dissect.TLSVersion)))
	x.put("cipher", cipherName(text(dissect.TLSCipher)))
	x.put("server_name", text(dissect.TLSSNI))
	x["resumed"], x["established"] = f.Facts.Has(dissect.TLSResumed), text(dissect.TLSHandshake) == "complete"
	x.put("last_alert", text(dissect.TLSAlert))
	x.put("next_protocol", text(dissect.TLSALPNSelected))
	if sum := text(dissect.TLSCertSHA256); sum != "" {
		x["cert_chain_fps"] = []string{sum}
	}
	if sum := text(dissect.TLSClientCertSHA256); sum != "" {
		x["client_cert_chain_fps"] = []string{sum}
	}
	x.put("subject", certificateName(text(dissect.TLSCertCN)))
	x.put("issuer", text(dissect.TLSCertIssuer))
	x.put("client_subject", certificateName(text(dissect.TLSClientCertCN)))
	x.put("client_issuer", text(dissect.TLSClientCertIssuer))
	x.put("ja3", text(dissect.TLSJA3))
	x.put("ja3s", text(dissect.TLSJA3S))
	x.put("ja4", text(dissect.TLSJA4))
	return x
}

// zeekDNS is a line for each question.
func zeekDNS(f *flows.Flow) []members {
	var records []members
	for _, q := range questions(f) {
		x := zeekRecord("dns", f)
		x["proto"] = zeekProto(f.Proto)
		x["query"] = q.name
		x.put("qtype_name", q.kind)
		if q.answered {
			x.put("rcode_name", only(f, dissect.DNSRCode))
			x.put("answers", q.addresses)
		}
		records = append(records, x)
	}
	return records
}

func zeekHTTP(f *flows.Flow) []members {
	h := exchangeOf(f)
	if h == nil {
		return nil
	}
	x := zeekRecord("http", f)
	if h.requests == 1 {
		x["trans_depth"] = 1
	}
	x.put("method", h.method)
	x.put("host", h.host) // with the port, as in Zeek
	x.put("user_agent", h.agent)
	if h.status > 0 {
		x["status_code"] = h.status
	}
	x.put("version", h.version)
	x["wirechart_requests"] = h.requests
	return []members{x}
}

// zeekUID makes a uid of the flow's number: the same capture has the same.
func zeekUID(f *flows.Flow) string {
	return "C" + strings.Repeat("0", max(0, 17-len(strconv.FormatUint(f.ID, 36)))) + strconv.FormatUint(f.ID, 36)
}

func zeekProto(proto uint8) string {
	switch proto {
	case flows.ProtoTCP, flows.ProtoUDP:
		return flows.ProtoName(proto)
	case flows.ProtoICMP, flows.ProtoICMPv6:
		return "icmp"
	}
	return "unknown_transport"
}

// zeekServices are the protocols that Zeek has an analyzer for, by their names
// here, in Zeek's words.
var zeekServices = map[string]string{
	"bittorrent": "bittorrent",
	"cldap":      "ldap_udp",
	"dcerpc":     "dce_rpc",
	"dhcp":       "dhcp",
	"dns":        "dns",
	"dtls":       "dtls",
	"ftp":        "ftp",
	"gnutella":   "gnutella",
	"http":       "http",
	"imap":       "imap",
	"irc":        "irc",
	"kerberos":   "krb",
	"ldap":       "ldap_tcp",
	"llmnr":      "dns",
	"mdns":       "dns",
	"mount":      "mount",
	"mqtt":       "mqtt",
	"mysql":      "mysql",
	"nbns":       "dns",
	"nfs":        "nfs",
	"ntp":        "ntp",
	"pop3":       "pop3",
	"portmap":    "portmapper",
	"postgresql": "postgresql",
	"quic":       "quic",
	"radius":     "radius",
	"rdp":        "rdp",
	"redis":      "redis",
	"sip":        "sip",
	"smb":        "smb",
	"smtp":       "smtp",
	"snmp":       "snmp",
	"socks":      "socks",
	"ssh":        "ssh",
	"syslog":     "syslog",
	"telnet":     "telnet",
	"tls":        "ssl",
	"vnc":        "rfb",
	"xmpp":       "xmpp",
}

// zeekService is a protocol in Zeek's words, "" where Zeek has none for it:
// Zeek leaves service out then.
func zeekService(f *flows.Flow) string {
	service := zeekServices[f.App]
	if f.App == "kerberos" && f.Proto == flows.ProtoTCP {
		service = "krb_tcp"
	}
	return service
}

// zeekState is how the connection went. Of UDP Zeek says S0, SF or SHR by who
// sent something, of what is neither OTH.
func zeekState(f *flows.Flow) string {
	switch {
	case f.Proto == flows.ProtoTCP:
		return f.TCP.State.String()
	case f.Proto != flows.ProtoUDP:
		return "OTH"
	case f.Packets[1] == 0:
		return "S0"
	case f.Packets[0] == 0:
		return "SHR"
	}
	return "SF"
}

// zeekHistory is Zeek's history. Of UDP it has the letter D of each direction in
// the order of their first packets, which is known where one is silent, and
// where the first packet is all that tells who is the client. Of other
// protocols Zeek has none.
func zeekHistory(f *flows.Flow) string {
	switch {
	case f.Proto == flows.ProtoTCP:
		return f.TCP.History
	case f.Proto != flows.ProtoUDP:
		return ""
	case f.Packets[1] == 0:
		return "D"
	case f.Packets[0] == 0:
		return "^d"
	case f.Oriented == flows.ByFirstPacket:
		return "Dd"
	}
	return ""
}

// zeekPrivate are the networks that Zeek takes for local unless it is told
// otherwise: those that IANA's registries of special addresses do not let into
// the Internet.
var zeekPrivate = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/127", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "fc00::/7", "fe80::/10")

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

func zeekLocal(addr netip.Addr) bool {
	return slices.ContainsFunc(zeekPrivate, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func zeekTLS(version string) string {
	switch version {
	case "1.3", "1.2", "1.1", "1.0":
		return "TLSv" + strings.ReplaceAll(version, ".", "")
	case "ssl3":
		return "SSLv3"
	case "ssl2":
		return "SSLv2"
	case "dtls1.0", "dtls1.2", "dtls1.3":
		return "DTLSv" + strings.ReplaceAll(version[4:], ".", "")
	}
	return version
}
