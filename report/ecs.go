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

// ecsFormat writes the Elastic Common Schema (version 8), a document for each
// flow.
var ecsFormat = Format{
	Name:  "ecs",
	Doc:   "flows in the Elastic Common Schema 8",
	Flows: foreignFlows(func(f *flows.Flow, v *rules.Verdict, o *Options) []members { return []members{ecsRecord(f, v, o)} }),
}

const ecsVersion = "8.11.0"

func ecsRecord(f *flows.Flow, v *rules.Verdict, o *Options) members {
	client, server := ecsEnd(f, 0, o), ecsEnd(f, 1, o)
	x := members{"@timestamp": timestamp(f.Start), "ecs": members{"version": ecsVersion}, "event": ecsEvent(f, v),
		"source": client, "destination": server, "client": client, "server": server, "network": ecsNetwork(f), "related": ecsRelated(f),
		"log": members{"file": members{"path": o.file(f.Frame)}}, "wirechart": ours(f, v)}
	if v != nil && v.Edge != nil {
		x["rule"] = members{"name": v.Edge.ID}
	}
	x.put("tls", ecsTLS(f))
	x.put("dns", ecsDNS(f))
	if h := exchangeOf(f); h != nil {
		h.ecs(x)
	}
	return x
}

// ecsEnd is the end of a flow that sends in a direction.
func ecsEnd(f *flows.Flow, dir dissect.Dir, o *Options) members {
	ap, mac := f.Client, f.ClientMAC
	if dir == flows.ToClient {
		ap, mac = f.Server, f.ServerMAC
	}
	x := members{"ip": ap.Addr().String(), "address": ap.Addr().String(), "packets": f.Packets[dir], "bytes": f.Bytes[dir]}
	if hasPorts(f.Proto) {
		x["port"] = ap.Port()
	}
	if mac != (flows.MAC{}) {
		x["mac"] = strings.ToUpper(strings.ReplaceAll(string(appendMAC(nil, mac)), ":", "-"))
	}
	if o.Hosts != nil {
		x.put("domain", o.Hosts.HostName(ap.Addr()))
	}
	return x
}

func ecsEvent(f *flows.Flow, v *rules.Verdict) members {
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
	return members{"kind": "event", "category": []string{"network"}, "type": kinds, "module": "wirechart", "dataset": "wirechart.flow",
		"start": timestamp(f.Start), "end": timestamp(f.End), "duration": f.End - f.Start}
}

func ecsNetwork(f *flows.Flow) members {
	x := members{"transport": flows.ProtoName(f.Proto), "type": "ipv4", "iana_number": strconv.Itoa(int(f.Proto)), "bytes": f.Bytes.Sum(), "packets": f.Packets.Sum()}
	if f.Proto == flows.ProtoICMPv6 {
		x["transport"] = "ipv6-icmp"
	}
	if f.Client.Addr().Is6() {
		x["type"] = "ipv6"
	}
	x.put("protocol", f.App)
	x.put("community_id", f.CommunityID())
	if len(f.VLANs) > 0 {
		x["vlan"] = members{"id": strconv.Itoa(int(f.VLANs[0]))}
		if len(f.VLANs) > 1 {
			x["inner"] = members{"vlan": members{"id": strconv.Itoa(int(f.VLANs[1]))}}
		}
	}
	return x
}

// ecsRelated are the addresses and names of a flow wherever they stand, for
// searches.
func ecsRelated(f *flows.Flow) members {
	var ips, hosts []string
	for _, addr := range []netip.Addr{f.Client.Addr(), f.Server.Addr()} {
		ips = append(ips, addr.String())
	}
	ips = append(ips, listed(f, dissect.DNSAnswer)...)
	for _, key := range []dissect.Key{dissect.TLSSNI, dissect.DNSQName} {
		hosts = append(hosts, listed(f, key)...)
	}
	if !f.Facts.Has(dissect.HTTPHostCut) {
		for _, header := range listed(f, dissect.HTTPHost) {
			host, _ := hostPort(header)
			hosts = append(hosts, host)
		}
	}
	x := members{"ip": distinct(ips)}
	x.put("hosts", distinct(hosts))
	return x
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func ecsTLS(f *flows.Flow) members {
	text := f.Facts.Text
	x := members{}
	if version := text(dissect.TLSVersion); version != "" {
		x["version"], x["version_protocol"] = strings.TrimPrefix(strings.TrimPrefix(version, "dtls"), "ssl"), "tls"
		if strings.HasPrefix(version, "ssl") {
			x["version_protocol"] = "ssl"
		}
	}
	x.put("cipher", cipherName(text(dissect.TLSCipher)))
	x.put("next_protocol", text(dissect.TLSALPNSelected))
	if resumed, known := f.Facts.Get(dissect.TLSResumed); known {
		x["resumed"] = resumed.Num != 0
	}
	if outcome := text(dissect.TLSHandshake); outcome != "" {
		x["established"] = outcome == "complete"
	}
	client := ecsCertificate(f, dissect.TLSClientCertSHA256, dissect.TLSClientCertCN, dissect.TLSClientCertSAN, dissect.TLSClientCertIssuer,
		dissect.TLSClientCertNotBefore, dissect.TLSClientCertNotAfter)
	client.put("server_name", text(dissect.TLSSNI))
	client.put("ja3", text(dissect.TLSJA3))
	x.put("client", client)
	server := ecsCertificate(f, dissect.TLSCertSHA256, dissect.TLSCertCN, dissect.TLSCertSAN, dissect.TLSCertIssuer,
		dissect.TLSCertNotBefore, dissect.TLSCertNotAfter)
	server.put("ja3s", text(dissect.TLSJA3S))
	x.put("server", server)
	return x
}

// ecsCertificate is the certificate of one end. Its subject is known by the
// common name alone, and is under x509 therefore.
func ecsCertificate(f *flows.Flow, sum, cn, san, issuer, notBefore, notAfter dissect.Key) members {
	x := members{}
	x.put("issuer", f.Facts.Text(issuer))
	x.put("not_before", f.Facts.Text(notBefore))
	x.put("not_after", f.Facts.Text(notAfter))
	if s := f.Facts.Text(sum); s != "" {
		x["hash"] = members{"sha256": strings.ToUpper(s)}
	}
	x509 := members{}
	if s := f.Facts.Text(cn); s != "" {
		x509["subject"] = members{"common_name": []string{s}}
	}
	x509.put("alternative_names", listed(f, san))
	x.put("x509", x509)
	return x
}

// ecsDNS is the question and the answer of a flow that asked one question; of
// several, what they have in common.
func ecsDNS(f *flows.Flow) members {
	x, asked := members{}, members{}
	asked.put("name", only(f, dissect.DNSQName))
	asked.put("type", only(f, dissect.DNSQType))
	x.put("question", asked)
	x.put("resolved_ip", listed(f, dissect.DNSAnswer))
	x.put("response_code", only(f, dissect.DNSRCode))
	return x
}

// ecs adds the exchange to a document.
func (h *exchange) ecs(x members) {
	http := members{}
	http.put("version", h.version)
	if h.method != "" {
		http["request"] = members{"method": h.method}
	}
	if h.status > 0 {
		http["response"] = members{"status_code": h.status}
	}
	x.put("http", http)
	if host, port := hostPort(h.host); host != "" {
		url := members{"domain": host}
		if port > 0 {
			url["port"] = port
		}
		x["url"] = url
	}
	if h.agent != "" {
		x["user_agent"] = members{"original": h.agent}
	}
}
