package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

// eveFormat writes Suricata's EVE, as its manual has it under "Eve JSON
// Format": event_type says what a line is of. Of flows there is an event flow
// for each, with events tls, dns, http and smb where those were spoken, and
// alert where the verdict calls for one (eve_alert.go); of an audit there is an
// alert for each finding.
//
// An event carries the time at which its flow began, a flow's own that at which
// it ended.
var eveFormat = Format{
	Name:  "eve",
	Doc:   "Suricata's EVE: of flows events flow, tls, dns, http, smb and alert; of an audit alert",
	Audit: auditEVE,
	Flows: foreignFlows(eveEvents),
}

// eveFlow makes the events of one flow.
type eveFlow struct {
	*flows.Flow
	v *rules.Verdict
	o *Options
}

func eveEvents(f *flows.Flow, v *rules.Verdict, o *Options) []members {
	x := eveFlow{f, v, o}
	alerts := x.alerts()
	events := []members{x.flow(len(alerts) > 0)}
	if saysTLS(f) {
		e := x.event("tls", f.Start)
		e["tls"] = x.tls()
		events = append(events, e)
	}
	for _, list := range [][]members{x.dns(), x.http(), x.smb(), alerts} {
		events = append(events, list...)
	}
	return events
}

// event is an event with what all of a flow's have in common.
func (x eveFlow) event(kind string, at int64) members {
	e := members{"timestamp": eveTime(at), "flow_id": x.ID, "event_type": kind, "src_ip": x.Client.Addr().String(), "dest_ip": x.Server.Addr().String(),
		"proto": eveProto(flows.ProtoName(x.Proto)), "pcap_filename": x.o.file(x.Frame)}
	if hasPorts(x.Proto) {
		e["src_port"], e["dest_port"] = x.Client.Port(), x.Server.Port()
	} else if t, code, ok := icmpType(x.Flow); ok {
		e["icmp_type"], e["icmp_code"] = t, code
	}
	if len(x.VLANs) > 0 {
		e["vlan"] = x.VLANs
	}
	e.put("community_id", x.CommunityID())
	return e
}

// with is an event whose one member of its own kind is m.
func (x eveFlow) with(kind string, m members) members {
	e := x.event(kind, x.Start)
	e[kind] = m
	return e
}

func (x eveFlow) flow(alerted bool) members {
	e := x.event("flow", x.End)
	e.put("app_proto", eveApp(x.Flow))
	e["flow"] = members{"pkts_toserver": x.Packets[0], "pkts_toclient": x.Packets[1], "bytes_toserver": x.Bytes[0], "bytes_toclient": x.Bytes[1],
		"start": eveTime(x.Start), "end": eveTime(x.End), "age": (x.End - x.Start) / 1e9, "state": eveState(x.Flow), "reason": eveReason(x.Ended), "alerted": alerted}
	if x.Proto == flows.ProtoTCP {
		e["tcp"] = members{"state": eveTCPState(x.TCP.State), "syn": x.TCP.SYNs > 0 || x.TCP.SYNACKs > 0, "rst": x.TCP.ResetBy != flows.ResetByNobody,
			"fin": strings.ContainsAny(x.TCP.History, "Ff"), "ack": x.TCP.Acked || x.Payload.Sum() > 0}
	}
	own := ours(x.Flow, x.v)
	own.put("app", x.App)
	e["wirechart"] = own
	return e
}

func (x eveFlow) tls() members {
	text := x.Facts.Text
	m := members{}
	m.put("sni", text(dissect.TLSSNI))
	m.put("version", eveTLS(text(dissect.TLSVersion)))
	m.put("subject", certificateName(text(dissect.TLSCertCN)))
	m.put("issuerdn", text(dissect.TLSCertIssuer))
	m.put("notbefore", strings.TrimSuffix(text(dissect.TLSCertNotBefore), "Z"))
	m.put("notafter", strings.TrimSuffix(text(dissect.TLSCertNotAfter), "Z"))
	m.put("subjectaltname", listed(x.Flow, dissect.TLSCertSAN))
	m.put("client_alpns", listed(x.Flow, dissect.TLSALPN))
	if hash := text(dissect.TLSJA3); hash != "" {
		m["ja3"] = members{"hash": hash}
	}
	if hash := text(dissect.TLSJA3S); hash != "" {
		m["ja3s"] = members{"hash": hash}
	}
	m.put("ja4", text(dissect.TLSJA4))
	if x.Facts.Has(dissect.TLSResumed) {
		m["session_resumed"] = true
	}
	return m
}

// dns is an event for each question and one for each answer, in version 2 of
// their format.
func (x eveFlow) dns() []members {
	if x.App != "dns" { // Suricata reads no other protocol of that format as DNS
		return nil
	}
	var events []members
	for _, q := range questions(x.Flow) {
		m := members{"type": "query", "rrname": q.name}
		m.put("rrtype", q.kind)
		events = append(events, x.with("dns", m))
		if !q.answered {
			continue
		}
		m = members{"version": 2, "type": "answer", "qr": true, "rrname": q.name}
		m.put("rrtype", q.kind)
		m.put("rcode", only(x.Flow, dissect.DNSRCode))
		if len(q.addresses) > 0 {
			m["grouped"] = members{q.kind: q.addresses}
		}
		events = append(events, x.with("dns", m))
	}
	return events
}

func (x eveFlow) http() []members {
	h := exchangeOf(x.Flow)
	if h == nil {
		return nil
	}
	m := members{}
	m.put("http_method", h.method)
	host, port := hostPort(h.host)
	m.put("hostname", host)
	if port > 0 {
		m["http_port"] = port
	}
	m.put("http_user_agent", h.agent)
	if h.status > 0 {
		m["status"] = h.status
	}
	m.put("version", h.version)
	e := x.with("http", m)
	e["wirechart"] = members{"requests": h.requests}
	return []members{e}
}

// smb is an event for each exchange of messages that is known to have been: the
// negotiation, a session setup that failed, the connection to each share.
func (x eveFlow) smb() []members {
	text := x.Facts.Text
	dialect, offered := text(dissect.SMBDialect), listed(x.Flow, dissect.SMBDialects)
	if dialect == "" && len(offered) == 0 {
		return nil
	}
	message := func(command, status string) members {
		m := members{"dialect": "unknown"}
		m.put("dialect", eveDialect(dialect))
		m.put("command", command)
		switch {
		case strings.HasPrefix(status, "0x"):
			m["status_code"] = status
		case status != "":
			m["status"] = "STATUS_" + status
		}
		return m
	}
	negotiate, setup, connect := "SMB2_COMMAND_NEGOTIATE_PROTOCOL", "SMB2_COMMAND_SESSION_SETUP", "SMB2_COMMAND_TREE_CONNECT"
	switch {
	case x.Facts.Has(dissect.SMBSMB1Session):
		negotiate, setup, connect = "SMB1_COMMAND_NEGOTIATE_PROTOCOL", "SMB1_COMMAND_SESSION_SETUP_ANDX", "SMB1_COMMAND_TREE_CONNECT_ANDX"
	case x.Facts.Has(dissect.SMBSMB1):
		negotiate = "" // one of SMB1 went ahead of that of SMB2
	}
	m := message(negotiate, "")
	for i := range offered {
		offered[i] = eveDialect(offered[i])
	}
	m.put("client_dialects", offered)
	events := []members{x.with("smb", m)}
	if status := text(dissect.SMBStatus); status != "" {
		events = append(events, x.with("smb", message(setup, status)))
	}
	shares := listed(x.Flow, dissect.SMBShare)
	for _, share := range shares {
		status := ""
		if len(shares) == 1 {
			status = text(dissect.SMBTreeStatus)
		}
		m := message(connect, status)
		m["share"] = share
		events = append(events, x.with("smb", m))
	}
	return events
}

// eveTime is a time as Suricata writes it.
func eveTime(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000-0700")
}

// eveProto is an IP protocol, by the record's word for it, in Suricata's.
func eveProto(name string) string {
	switch name {
	case "icmpv6":
		return "IPv6-ICMP"
	case "2":
		return "IGMP"
	case "47":
		return "GRE"
	case "50":
		return "ESP"
	case "51":
		return "AH"
	}
	if n, err := strconv.Atoi(name); err == nil {
		return fmt.Sprintf("%03d", n)
	}
	return strings.ToUpper(name)
}

// eveApps are the protocols that Suricata 8 knows, by their names here, in its
// own.
var eveApps = map[string]string{
	"cldap":      "ldap",
	"dcerpc":     "dcerpc",
	"dhcp":       "dhcp",
	"dns":        "dns",
	"ftp":        "ftp",
	"http":       "http",
	"http2":      "http2",
	"ike":        "ike",
	"imap":       "imap",
	"irc":        "irc",
	"kerberos":   "krb5",
	"ldap":       "ldap",
	"mdns":       "mdns",
	"mqtt":       "mqtt",
	"mysql":      "mysql",
	"nfs":        "nfs",
	"ntp":        "ntp",
	"pop3":       "pop3",
	"postgresql": "pgsql",
	"quic":       "quic",
	"rdp":        "rdp",
	"sip":        "sip",
	"smb":        "smb",
	"smtp":       "smtp",
	"snmp":       "snmp",
	"ssh":        "ssh",
	"telnet":     "telnet",
	"tftp":       "tftp",
	"tls":        "tls",
	"vnc":        "rfb",
	"xmpp":       "jabber",
}

// eveApp is what a flow speaks, as Suricata's app_proto says it: absent where
// there was nothing to look at, "failed" where it does not know what it saw. A
// protocol that only we know is "failed" as well, so that the values are those
// of Suricata; its name is in wirechart.app.
func eveApp(f *flows.Flow) string {
	if f.Proto != flows.ProtoTCP && f.Proto != flows.ProtoUDP || f.Payload.Sum() == 0 {
		return ""
	}
	if app, known := eveApps[f.App]; known {
		return app
	}
	return "failed"
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

// eveDialect is a dialect of SMB in Suricata's words.
func eveDialect(dialect string) string {
	switch dialect {
	case "2.0.2":
		return "2.02"
	case "2.1":
		return "2.10"
	case "2.???":
		return "2.??"
	case "3.0":
		return "3.00"
	case "3.0.2":
		return "3.02"
	case "3.1.1":
		return "3.11"
	}
	return dialect
}
