package report

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

// The flows in the words of other tools: Suricata's EVE, Zeek's logs, the Elastic
// Common Schema. Each is JSON, one object a line. What these have no word for is
// in members that begin with "wirechart".

// foreign writes flows as lines of JSON.
type foreign struct {
	w    io.Writer
	o    *Options
	each func(f *flows.Flow, v *rules.Verdict) []any
}

func (x *foreign) Flow(f *flows.Flow, v *rules.Verdict) error {
	for _, doc := range x.each(f, v) {
		if err := writeLine(x.w, doc); err != nil {
			return err
		}
	}
	return nil
}

func (x *foreign) Close() error { return nil }

func foreignFormat(name, doc string, each func(o *Options) func(f *flows.Flow, v *rules.Verdict) []any) Format {
	return Format{Name: name, Doc: doc, Flows: func(w io.Writer, o *Options) FlowWriter { return &foreign{w, o, each(o)} }}
}

// members are those of a JSON object; what is empty of them is left out.
type members map[string]any

// put adds a member unless its value is empty.
func (x members) put(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case []int64:
		if len(v) == 0 {
			return
		}
	case members:
		if len(v) == 0 {
			return
		}
	case int64:
		if v == 0 {
			return
		}
	}
	x[name] = value
}

// facts of a flow, by key.
func textsOf(f *flows.Flow, k dissect.Key) []string {
	var list []string
	for _, x := range f.Facts.All() {
		if x.Key == k && !slices.Contains(list, x.Str) {
			list = append(list, x.Str)
		}
	}
	return list
}

func numbersOf(f *flows.Flow, k dissect.Key) []int64 {
	var list []int64
	for _, x := range f.Facts.All() {
		if x.Key == k && !slices.Contains(list, x.Num) {
			list = append(list, x.Num)
		}
	}
	return list
}

func firstOf(f *flows.Flow, k dissect.Key) string {
	for _, x := range f.Facts.All() {
		if x.Key == k {
			return x.Str
		}
	}
	return ""
}

// flagOf is a flag and whether it is known.
func flagOf(f *flows.Flow, k dissect.Key) (set, known bool) {
	for _, x := range f.Facts.All() {
		if x.Key == k {
			return x.Num != 0, true
		}
	}
	return false, false
}

// cipherName is the name of a cipher suite, and its number where it is not known
// by one.
func cipherName(hex string) string {
	id, err := strconv.ParseUint(strings.TrimPrefix(hex, "0x"), 16, 16)
	if err != nil {
		return hex
	}
	if name := tls.CipherSuiteName(uint16(id)); strings.HasPrefix(name, "TLS_") {
		return name
	}
	return hex
}

// epoch is a time as seconds since 1970, to the microsecond, as a JSON number.
func epoch(ns int64) json.Number { return json.Number(appendDecimal(nil, ns/1000, 6)) }

// eveTime is a time as Suricata writes it.
func eveTime(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000-0700")
}

// ours is what the flow record says and the format has no word for.
func ours(f *flows.Flow, v *rules.Verdict) members {
	x := members{}
	if v != nil {
		x["verdict"] = v.Kind.String()
		if v.Edge != nil {
			x["edge"] = v.Edge.ID
		}
		var reasons []string
		for _, why := range v.Reasons {
			reasons = append(reasons, why.Reason.String())
		}
		x.put("reasons", reasons)
	}
	x.put("client_cert", firstOf(f, dissect.TLSClientCert))
	x.put("client_cert_basis", firstOf(f, dissect.TLSClientCertBasis))
	x.put("zmtp_mechanism", firstOf(f, dissect.ZMTPMechanism))
	x["frame"] = f.Frame.Number()
	return x
}

// eveFormat writes Suricata's EVE: an event of type flow for each flow, and one
// of type tls where there was a handshake.
var eveFormat = foreignFormat("eve", "flows as Suricata's EVE: events flow and tls", func(o *Options) func(f *flows.Flow, v *rules.Verdict) []any {
	return func(f *flows.Flow, v *rules.Verdict) []any { return eveEvents(f, v, o) }
})

func eveEvents(f *flows.Flow, v *rules.Verdict, o *Options) []any {
	head := func(kind string, at int64) members {
		x := members{"timestamp": eveTime(at), "flow_id": f.ID, "event_type": kind, "src_ip": f.Client.Addr().String(), "dest_ip": f.Server.Addr().String(),
			"proto": eveProto(f.Proto), "pcap_filename": o.file(f.Frame)}
		if hasPorts(f.Proto) {
			x["src_port"], x["dest_port"] = f.Client.Port(), f.Server.Port()
		} else if f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6 {
			if t, c, ok := icmpType(f); ok {
				x["icmp_type"], x["icmp_code"] = t, c
			}
		}
		if len(f.VLANs) > 0 {
			x["vlan"] = f.VLANs
		}
		x.put("community_id", f.CommunityID())
		return x
	}
	flow := head("flow", f.End)
	app := eveApp(f.App)
	flow["app_proto"] = app
	flow["flow"] = members{"pkts_toserver": f.Packets[0], "pkts_toclient": f.Packets[1], "bytes_toserver": f.Bytes[0], "bytes_toclient": f.Bytes[1],
		"start": eveTime(f.Start), "end": eveTime(f.End), "age": (f.End - f.Start) / 1e9, "state": eveState(f), "reason": eveReason(f.Ended), "alerted": false}
	if f.Proto == flows.ProtoTCP {
		flow["tcp"] = members{"state": eveTCPState(f.TCP.State), "syn": f.TCP.SYNs > 0 || f.TCP.SYNACKs > 0, "rst": f.TCP.ResetBy != flows.ResetByNobody,
			"fin": strings.ContainsAny(f.TCP.History, "Ff"), "ack": f.TCP.Acked || f.Payload.Sum() > 0}
	}
	flow["wirechart"] = ours(f, v)
	events := []any{flow}
	if version := firstOf(f, dissect.TLSVersion); version != "" || firstOf(f, dissect.TLSSNI) != "" {
		e := head("tls", f.Start)
		handshake := members{}
		handshake.put("sni", firstOf(f, dissect.TLSSNI))
		handshake.put("version", eveTLS(version))
		if cn := firstOf(f, dissect.TLSCertCN); cn != "" {
			handshake["subject"] = "CN=" + cn
		}
		handshake.put("issuerdn", firstOf(f, dissect.TLSCertIssuer))
		handshake.put("notbefore", strings.TrimSuffix(firstOf(f, dissect.TLSCertNotBefore), "Z"))
		handshake.put("notafter", strings.TrimSuffix(firstOf(f, dissect.TLSCertNotAfter), "Z"))
		handshake.put("subjectaltname", textsOf(f, dissect.TLSCertSAN))
		handshake.put("client_alpns", textsOf(f, dissect.TLSALPN))
		if ja3 := firstOf(f, dissect.TLSJA3); ja3 != "" {
			handshake["ja3"] = members{"hash": ja3}
		}
		if ja3s := firstOf(f, dissect.TLSJA3S); ja3s != "" {
			handshake["ja3s"] = members{"hash": ja3s}
		}
		handshake.put("ja4", firstOf(f, dissect.TLSJA4))
		if resumed, known := flagOf(f, dissect.TLSResumed); known && resumed {
			handshake["session_resumed"] = true
		}
		e["tls"] = handshake
		events = append(events, e)
	}
	return events
}

// icmpType is the type and code that the client sent.
func icmpType(f *flows.Flow) (t, code int, ok bool) {
	first, second, found := strings.Cut(firstOf(f, dissect.ICMPType), "/")
	t, err1 := strconv.Atoi(first)
	code, err2 := strconv.Atoi(second)
	return t, code, found && err1 == nil && err2 == nil
}

func eveProto(proto uint8) string {
	switch proto {
	case flows.ProtoICMPv6:
		return "IPv6-ICMP"
	}
	return strings.ToUpper(flows.ProtoName(proto))
}

// eveApp is a protocol in Suricata's words; unknown is "failed", as there.
func eveApp(app string) string {
	switch app {
	case "":
		return "failed"
	case "kerberos":
		return "krb5"
	case "dcerpc", "http", "tls", "ssh", "smb", "dns", "nfs", "ntp", "dhcp", "quic", "rdp", "ldap", "mqtt", "snmp", "tftp", "sip", "smtp", "imap", "ftp", "rfb", "bittorrent-dht", "ike":
		return app
	case "vnc":
		return "rfb"
	case "pop3":
		return "pop3"
	case "postgresql":
		return "pgsql"
	case "mdns":
		return "mdns"
	}
	return app
}

// eveState is the state of a flow as Suricata has it.
func eveState(f *flows.Flow) string {
	switch {
	case f.Ended == flows.Closed, f.Ended == flows.Reset:
		return "closed"
	case f.Packets[0] > 0 && f.Packets[1] > 0:
		return "established"
	}
	return "new"
}

func eveReason(e flows.EndReason) string {
	switch e {
	case flows.Idle:
		return "timeout"
	case flows.Evicted:
		return "forced"
	case flows.CaptureEnd:
		return "shutdown"
	}
	return "timeout" // Suricata logs a closed flow when its short timeout is over
}

func eveTCPState(s flows.ConnState) string {
	switch s {
	case flows.StateS0, flows.StateSH, flows.StateRSTOS0:
		return "syn_sent"
	case flows.StateS1, flows.StateOTH:
		return "established"
	case flows.StateS2, flows.StateS3:
		return "close_wait"
	case flows.StateSHR:
		return "syn_recv"
	}
	return "closed"
}

func eveTLS(version string) string {
	switch version {
	case "1.3", "1.2", "1.1":
		return "TLS " + version
	case "1.0":
		return "TLSv1"
	case "ssl3":
		return "SSLv3"
	case "ssl2":
		return "SSLv2"
	}
	return version
}

// zeekFormat writes Zeek's conn.log and ssl.log as JSON, one stream: "_path"
// says which log a line is of, as Zeek's own JSON streams do.
var zeekFormat = foreignFormat("zeek", "flows as Zeek's conn.log and ssl.log, JSON with _path", func(o *Options) func(f *flows.Flow, v *rules.Verdict) []any {
	return func(f *flows.Flow, v *rules.Verdict) []any { return zeekRecords(f, v) }
})

func zeekRecords(f *flows.Flow, v *rules.Verdict) []any {
	uid := zeekUID(f)
	head := func(path string) members {
		x := members{"_path": path, "ts": epoch(f.Start), "uid": uid, "id.orig_h": f.Client.Addr().String(), "id.resp_h": f.Server.Addr().String(),
			"id.orig_p": f.Client.Port(), "id.resp_p": f.Server.Port()}
		if t, code, ok := icmpType(f); ok && !hasPorts(f.Proto) {
			x["id.orig_p"], x["id.resp_p"] = t, code // Zeek has type and code there
		}
		return x
	}
	c := head("conn")
	c["proto"] = zeekProto(f.Proto)
	c.put("service", zeekService(f.App))
	c["duration"] = epoch(f.End - f.Start)
	if f.Proto == flows.ProtoTCP || f.Proto == flows.ProtoUDP || !hasPorts(f.Proto) {
		c["orig_bytes"], c["resp_bytes"] = f.Payload[0], f.Payload[1]
	}
	c["conn_state"] = zeekState(f)
	c["local_orig"], c["local_resp"] = f.Client.Addr().IsPrivate(), f.Server.Addr().IsPrivate()
	c["missed_bytes"] = f.Missed.Sum()
	if f.Proto == flows.ProtoTCP {
		c.put("history", f.TCP.History)
	}
	c["orig_pkts"], c["resp_pkts"] = f.Packets[0], f.Packets[1]
	// Zeek's orig_ip_bytes leave the link's header out, ours have it.
	c["wirechart_orig_wire_bytes"], c["wirechart_resp_wire_bytes"] = f.Bytes[0], f.Bytes[1]
	c.put("community_id", f.CommunityID())
	if len(f.VLANs) > 0 {
		c["vlan"] = f.VLANs[0]
	}
	if f.ClientMAC != (flows.MAC{}) {
		c["orig_l2_addr"] = string(appendMAC(nil, f.ClientMAC))
	}
	if f.ServerMAC != (flows.MAC{}) {
		c["resp_l2_addr"] = string(appendMAC(nil, f.ServerMAC))
	}
	if v != nil {
		c["wirechart_verdict"] = v.Kind.String()
		if v.Edge != nil {
			c["wirechart_edge"] = v.Edge.ID
		}
	}
	records := []any{c}
	if version := firstOf(f, dissect.TLSVersion); version != "" || firstOf(f, dissect.TLSSNI) != "" {
		s := head("ssl")
		s.put("version", zeekTLS(version))
		s.put("cipher", cipherName(firstOf(f, dissect.TLSCipher)))
		s.put("server_name", firstOf(f, dissect.TLSSNI))
		resumed, _ := flagOf(f, dissect.TLSResumed)
		s["resumed"], s["established"] = resumed, firstOf(f, dissect.TLSHandshake) == "complete"
		s.put("last_alert", firstOf(f, dissect.TLSAlert))
		s.put("next_protocol", firstOf(f, dissect.TLSALPNSelected))
		if sha := firstOf(f, dissect.TLSCertSHA256); sha != "" {
			s["cert_chain_fps"] = []string{sha}
		}
		if sha := firstOf(f, dissect.TLSClientCertSHA256); sha != "" {
			s["client_cert_chain_fps"] = []string{sha}
		}
		if cn := firstOf(f, dissect.TLSCertCN); cn != "" {
			s["subject"] = "CN=" + cn
		}
		s.put("issuer", firstOf(f, dissect.TLSCertIssuer))
		s.put("ja3", firstOf(f, dissect.TLSJA3))
		s.put("ja3s", firstOf(f, dissect.TLSJA3S))
		s.put("ja4", firstOf(f, dissect.TLSJA4))
		records = append(records, s)
	}
	return records
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

// zeekService is a protocol in Zeek's words.
func zeekService(app string) string {
	switch app {
	case "tls":
		return "ssl"
	case "kerberos":
		return "krb"
	case "dcerpc":
		return "dce_rpc"
	case "cldap":
		return "ldap_udp"
	case "ldap":
		return "ldap_tcp"
	case "postgresql":
		return "postgresql"
	case "vnc":
		return "rfb"
	}
	return app
}

// zeekState is how the connection went; of flows that are no TCP Zeek says S0,
// SF or SHR by who sent something.
func zeekState(f *flows.Flow) string {
	switch {
	case f.Proto == flows.ProtoTCP:
		return f.TCP.State.String()
	case f.Packets[1] == 0:
		return "S0"
	case f.Packets[0] == 0:
		return "SHR"
	}
	return "SF"
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

// ecsFormat writes the Elastic Common Schema (version 8).
var ecsFormat = foreignFormat("ecs", "flows in the Elastic Common Schema 8", func(o *Options) func(f *flows.Flow, v *rules.Verdict) []any {
	return func(f *flows.Flow, v *rules.Verdict) []any { return []any{ecsRecord(f, v, o)} }
})

const ecsVersion = "8.11.0"

func ecsRecord(f *flows.Flow, v *rules.Verdict, o *Options) members {
	end := func(client bool) members {
		ap, mac, n := f.Client, f.ClientMAC, 0
		if !client {
			ap, mac, n = f.Server, f.ServerMAC, 1
		}
		x := members{"ip": ap.Addr().String(), "address": ap.Addr().String(), "packets": f.Packets[n], "bytes": f.Bytes[n]}
		if hasPorts(f.Proto) {
			x["port"] = ap.Port()
		}
		if mac != (flows.MAC{}) {
			x["mac"] = strings.ToUpper(strings.ReplaceAll(string(appendMAC(nil, mac)), ":", "-"))
		}
		if o.Parts != nil {
			x.put("domain", o.Parts.HostName(ap.Addr()))
		}
		return x
	}
	client, server := end(true), end(false)
	kinds := []string{"connection"}
	switch {
	case v != nil && v.Kind == rules.Documented:
		kinds = append(kinds, "allowed")
	case v != nil && v.Kind == rules.Blocked:
		kinds = append(kinds, "denied")
	}
	if f.Ended == flows.Closed || f.Ended == flows.Reset {
		kinds = append(kinds, "end")
	}
	network := members{"transport": flows.ProtoName(f.Proto), "type": "ipv4", "bytes": f.Bytes.Sum(), "packets": f.Packets.Sum()}
	if f.Proto == flows.ProtoICMPv6 {
		network["transport"] = "ipv6-icmp"
	}
	if f.Client.Addr().Is6() {
		network["type"] = "ipv6"
	}
	network["iana_number"] = strconv.Itoa(int(f.Proto))
	network.put("protocol", f.App)
	network.put("community_id", f.CommunityID())
	if len(f.VLANs) > 0 {
		network["vlan"] = members{"id": strconv.Itoa(int(f.VLANs[0]))}
		if len(f.VLANs) > 1 {
			network["inner"] = members{"vlan": members{"id": strconv.Itoa(int(f.VLANs[1]))}}
		}
	}
	x := members{"@timestamp": timestamp(f.Start), "ecs": members{"version": ecsVersion},
		"event": members{"kind": "event", "category": []string{"network"}, "type": kinds, "module": "wirechart", "dataset": "wirechart.flow",
			"start": timestamp(f.Start), "end": timestamp(f.End), "duration": f.End - f.Start},
		"source": client, "destination": server, "client": client, "server": server, "network": network,
		"log": members{"file": members{"path": o.file(f.Frame)}}, "wirechart": ours(f, v)}
	if v != nil && v.Edge != nil {
		x["rule"] = members{"name": v.Edge.ID}
	}
	handshake := members{}
	if version := firstOf(f, dissect.TLSVersion); version != "" {
		number := strings.TrimPrefix(strings.TrimPrefix(version, "dtls"), "ssl")
		handshake["version"], handshake["version_protocol"] = number, "tls"
		if strings.HasPrefix(version, "ssl") {
			handshake["version_protocol"] = "ssl"
		}
	}
	handshake.put("cipher", cipherName(firstOf(f, dissect.TLSCipher)))
	handshake.put("next_protocol", firstOf(f, dissect.TLSALPNSelected))
	if resumed, known := flagOf(f, dissect.TLSResumed); known {
		handshake["resumed"] = resumed
	}
	if h := firstOf(f, dissect.TLSHandshake); h != "" {
		handshake["established"] = h == "complete"
	}
	ends := func(cn, issuer, from, to, sha dissect.Key) members {
		e := members{}
		if s := firstOf(f, cn); s != "" {
			e["subject"] = "CN=" + s
		}
		e.put("issuer", firstOf(f, issuer))
		e.put("not_before", firstOf(f, from))
		e.put("not_after", firstOf(f, to))
		if s := firstOf(f, sha); s != "" {
			e["hash"] = members{"sha256": strings.ToUpper(s)}
		}
		return e
	}
	c := ends(dissect.TLSClientCertCN, dissect.TLSClientCertIssuer, dissect.TLSClientCertNotBefore, dissect.TLSClientCertNotAfter, dissect.TLSClientCertSHA256)
	c.put("server_name", firstOf(f, dissect.TLSSNI))
	c.put("ja3", firstOf(f, dissect.TLSJA3))
	s := ends(dissect.TLSCertCN, dissect.TLSCertIssuer, dissect.TLSCertNotBefore, dissect.TLSCertNotAfter, dissect.TLSCertSHA256)
	s.put("ja3s", firstOf(f, dissect.TLSJA3S))
	handshake.put("client", c)
	handshake.put("server", s)
	x.put("tls", handshake)
	if names := textsOf(f, dissect.DNSQName); len(names) > 0 {
		dns := members{"question": members{"name": names[0]}}
		if types := textsOf(f, dissect.DNSQType); len(types) > 0 {
			dns["question"].(members)["type"] = types[0]
		}
		dns.put("resolved_ip", textsOf(f, dissect.DNSAnswer))
		dns.put("response_code", firstOf(f, dissect.DNSRCode))
		x["dns"] = dns
	}
	http := members{}
	if m := textsOf(f, dissect.HTTPMethod); len(m) > 0 {
		http["request"] = members{"method": m[0]}
	}
	if st := numbersOf(f, dissect.HTTPStatus); len(st) > 0 {
		http["response"] = members{"status_code": st[0]}
	}
	x.put("http", http)
	if host := firstOf(f, dissect.HTTPHost); host != "" {
		x["url"] = members{"domain": host}
	}
	if agent := firstOf(f, dissect.HTTPUserAgent); agent != "" {
		x["user_agent"] = members{"original": agent}
	}
	return x
}
