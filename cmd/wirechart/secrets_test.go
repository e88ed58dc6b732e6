package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/gopacket"
	links "github.com/google/gopacket/layers"

	"wirechart/report"
)

// secret is what a connection gives away in clear.
type secret struct {
	name   string
	udp    bool
	server string
	says   []string // in turn, the client first; "" for nothing
	hidden []string // parts of it that are secret
}

const (
	theSecret = "Xyzzy5ecretPlugh"
	theUser   = "frodobaggins"
)

var theJWT = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
	base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+theUser+`"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte("signature"+theSecret))

// ber is an element of BER with a short length.
func ber(tag byte, parts ...string) string {
	all := strings.Join(parts, "")
	if len(all) > 127 {
		return string([]byte{tag, 0x81, byte(len(all))}) + all
	}
	return string([]byte{tag, byte(len(all))}) + all
}

// sized is a text behind its length in one byte.
func sized(s string) string { return string([]byte{byte(len(s))}) + s }

// givenAway is the ways in which protocols carry passwords, tokens and cookies.
func givenAway() []secret {
	plain := "\x00" + theUser + "\x00" + theSecret
	basic := base64.StdEncoding.EncodeToString([]byte(theUser + ":" + theSecret))
	request := func(target string, lines ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: ms.corp.example\r\n" + strings.Join(append(lines, "", ""), "\r\n")
	}
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	form := "username=" + theUser + "&password=" + theSecret
	list := []secret{
		{name: "basic", server: "10.20.30.11:9877", says: []string{request("/", "Authorization: Basic "+basic), ok}},
		{name: "bearer", server: "10.20.30.11:9877", says: []string{request("/", "Authorization: Bearer "+theJWT), ok}},
		{name: "unsigned", server: "10.20.30.11:80", says: []string{request("/", "Authorization: Bearer "+base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"`+theSecret+`"}`))+"."), ok}},
		{name: "opaque", server: "10.20.30.11:80", says: []string{request("/", "Authorization: Bearer "+theSecret, "X-Api-Key: "+theSecret, "X-Auth-Token: "+theSecret), ok}},
		{name: "odd scheme", server: "10.20.30.11:80", says: []string{request("/", "Authorization: "+theSecret), ok}},
		{name: "digest", server: "10.20.30.11:80", says: []string{request("/", `Authorization: Digest username="`+theUser+`", response="`+theSecret+`"`), ok}},
		{name: "cookie", server: "10.20.30.11:9877", says: []string{request("/", "Cookie: session="+theSecret+"; jwt="+theJWT), "HTTP/1.1 200 OK\r\nSet-Cookie: s=" + theSecret + "\r\nContent-Length: 0\r\n\r\n"}},
		{name: "query", server: "203.0.113.9:80", says: []string{request("/x?access_token=" + theJWT + "&password=" + theSecret + "#" + theSecret), "HTTP/1.1 302 Found\r\nLocation: http://x/?code=" + theSecret + "\r\nContent-Length: 0\r\n\r\n"}},
		{name: "path", server: "203.0.113.9:80", says: []string{request("/reset;jsessionid="+theSecret, "Referer: http://a/?t="+theSecret), ok}},
		{name: "userinfo", server: "10.20.30.11:80", says: []string{request("http://" + theUser + ":" + theSecret + "@ms.corp.example/"), ok}},
		{name: "userinfo in host", server: "10.20.30.11:80", says: []string{"GET / HTTP/1.1\r\nHost: " + theUser + ":" + theSecret + "@ms.corp.example\r\n\r\n", ok}},
		{name: "form", server: "10.20.30.11:80", says: []string{"POST /login HTTP/1.1\r\nHost: ms\r\nContent-Length: " + strconv.Itoa(len(form)) + "\r\n\r\n" + form, ok}},
		{name: "proxy", server: "10.20.30.11:3128", says: []string{"CONNECT cloud.acronis.com:443 HTTP/1.1\r\nHost: cloud.acronis.com:443\r\nProxy-Authorization: Basic " + basic + "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}},
		{name: "signed S3", server: "10.20.30.40:9000", says: []string{request("/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature="+theSecret, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature="+theSecret, "x-amz-security-token: "+theSecret), ok}},
		{name: "ftp", server: "10.20.30.40:21", says: []string{"", "220 ready\r\n", "USER " + theUser + "\r\n", "331 password\r\n", "PASS " + theSecret + "\r\n", "230 in\r\n"}},
		{name: "ftp, client first", server: "10.20.30.11:7780", says: []string{"USER " + theUser + "\r\nPASS " + theSecret + "\r\n", "500 no\r\n"}},
		{name: "pop3", server: "10.20.30.40:110", says: []string{"", "+OK ready\r\n", "USER " + theUser + "\r\n", "+OK\r\n", "PASS " + theSecret + "\r\n", "+OK\r\n"}},
		{name: "imap", server: "10.20.30.40:143", says: []string{"", "* OK IMAP4rev1 ready\r\n", "a LOGIN " + theUser + " " + theSecret + "\r\n", "a OK\r\n"}},
		{name: "smtp", server: "10.20.30.40:25", says: []string{"", "220 mx ESMTP\r\n", "EHLO a\r\n", "250-mx\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte(plain)) + "\r\n", "235 in\r\n"}},
		{name: "ldap", server: "10.20.30.40:389", says: []string{ber(0x30, "\x02\x01\x01", ber(0x60, "\x02\x01\x03", ber(0x04, "cn="+theUser), ber(0x80, theSecret))), ber(0x30, "\x02\x01\x01", ber(0x61, "\x0a\x01\x00\x04\x00\x04\x00"))}},
		{name: "snmp", udp: true, server: "10.20.30.40:161", says: []string{ber(0x30, "\x02\x01\x01", ber(0x04, theSecret), ber(0xa0, "\x02\x01\x01\x02\x01\x00\x02\x01\x00", ber(0x30, ber(0x30, "\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00", "\x05\x00")))),
			ber(0x30, "\x02\x01\x01", ber(0x04, theSecret), ber(0xa2, "\x02\x01\x01\x02\x01\x00\x02\x01\x00", ber(0x30, ber(0x30, "\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00", "\x05\x00"))))}},
		{name: "zmtp", server: "10.20.30.11:7780", says: []string{
			"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00PLAIN" + strings.Repeat("\x00", 47), "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00PLAIN" + strings.Repeat("\x00", 15) + "\x01" + strings.Repeat("\x00", 31),
			"\x04" + sized(sized("HELLO")+sized(theUser)+sized(theSecret)), "\x04" + sized(sized("WELCOME")),
			"\x04" + sized(sized("INITIATE")+sized("Identity")+"\x00\x00\x00"+sized("agent-7")), "\x04" + sized(sized("READY"))}},
		{name: "socks", server: "10.20.30.40:1080", says: []string{"\x05\x01\x02", "\x05\x02", "\x01" + sized(theUser) + sized(theSecret), "\x01\x00", "\x05\x01\x00\x03" + sized("a.example") + "\x01\xbb", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"}},
		{name: "redis", server: "10.20.30.40:6379", says: []string{"*2\r\n$4\r\nAUTH\r\n$16\r\n" + theSecret + "\r\n", "+OK\r\n"}},
		{name: "redis, inline", server: "10.20.30.40:6379", says: []string{"AUTH " + theSecret + "\r\n", "+OK\r\n"}},
		{name: "mqtt", server: "10.20.30.40:1883", says: []string{"\x10" + sized("\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c\x00"+sized(theUser)+"\x00"+sized(theSecret)), "\x20\x02\x00\x00"}},
		{name: "amqp", server: "10.20.30.40:5672", says: []string{"AMQP\x00\x00\x09\x01", "\x01\x00\x00\x00\x00\x00\x04PLAIN\xce", "\x01\x00\x00\x00\x00\x00\x20PLAIN" + plain + "\xce", "\x01\x00\x00\x00\x00\x00\x01\xce"}},
		{name: "sip", server: "10.20.30.40:5060", says: []string{"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username=\"" + theUser + "\", response=\"" + theSecret + "\"\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"}},
		{name: "nats", server: "10.20.30.40:4222", says: []string{"", "INFO {\"server_id\":\"x\",\"auth_required\":true} \r\n", "CONNECT {\"user\":\"" + theUser + "\",\"pass\":\"" + theSecret + "\",\"auth_token\":\"" + theSecret + "\"}\r\n", "+OK\r\n"}},
		{name: "postgres", server: "10.20.30.40:5432", says: []string{"\x00\x00\x00\x1c\x00\x03\x00\x00user\x00" + theUser + "\x00\x00\x00", "R\x00\x00\x00\x08\x00\x00\x00\x03", "p\x00\x00\x00\x15" + theSecret + "\x00", "R\x00\x00\x00\x08\x00\x00\x00\x00"}},
		{name: "telnet", server: "10.20.30.40:23", says: []string{"\xff\xfb\x18\xff\xfd\x01\xff\xfb\x1f", "\xff\xfd\x18login: ", theUser + "\r\n", "Password: ", theSecret + "\r\n", "$ "}},
		{name: "syslog", udp: true, server: "10.20.30.40:514", says: []string{"<13>Nov 26 21:00:00 host app: user " + theUser + " password " + theSecret}},
		{name: "ssh comment", server: "10.20.30.40:22", says: []string{"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2\r\n"}},
		{name: "text where ZMTP belongs", server: "10.20.30.11:7780", says: []string{"login=" + theUser + "&password=" + theSecret + "\r\n", "denied " + theSecret + "\r\n"}},
		{name: "text where TLS belongs", server: "10.20.30.11:9876", says: []string{theSecret + "\r\n", theSecret + "\r\n"}},
		{name: "rdp", server: "10.20.30.40:3389", says: []string{"\x03\x00\x00\x34\x2f\xe0\x00\x00\x00\x00\x00Cookie: mstshash=" + theUser + "\r\n\x01\x00\x08\x00\x03\x00\x00\x00", "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00"}},
		{name: "iscsi", server: "10.20.30.40:3260", says: []string{login("InitiatorName=iqn.2026-01.example:a\x00AuthMethod=CHAP\x00CHAP_N=" + theUser + "\x00CHAP_R=0x" + hex.EncodeToString([]byte(theSecret)) + "\x00")}},
	}
	for i := range list {
		list[i].hidden = []string{theSecret, theUser}
	}
	return list
}

// login is a Login Request of iSCSI (RFC 7143 section 11.12).
func login(text string) string {
	h := make([]byte, 48)
	h[0], h[1], h[7] = 0x43, 0x81, byte(len(text))
	return string(h) + text + strings.Repeat("\x00", -len(text)&3)
}

// forms are the ways in which a secret may be written.
func forms(s string) []string {
	wide := ""
	for _, c := range utf16.Encode([]rune(s)) {
		wide += string([]byte{byte(c), byte(c >> 8)})
	}
	list := []string{s, strings.ToLower(s), strings.ToUpper(s), wide, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))), url.QueryEscape(s)}
	for shift := range 3 { // what base64 makes of it does not depend on its neighbours but at the ends
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + s))
		list = append(list, encoded[(shift*8+5)/6:len(encoded)-2])
	}
	return list
}

// secretsCapture is a capture of all of them, a client for each.
func secretsCapture(t *testing.T, list []secret) string {
	var frames []taken
	at := time.Unix(1795397951, 0)
	for i := range list {
		s := &list[i]
		host, service, err := net.SplitHostPort(s.server)
		if err != nil {
			t.Fatal(err)
		}
		port, _ := strconv.Atoi(service)
		seq := [2]uint32{100, 900}
		send := func(dir int, syn, fin, ack bool, payload string) {
			ip := &links.IPv4{Version: 4, TTL: 64, Protocol: links.IPProtocolTCP, SrcIP: net.IP{10, 9, 0, byte(i + 1)}, DstIP: net.ParseIP(host).To4()}
			ports := [2]int{50000 + i, port}
			if dir == 1 {
				ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
			}
			tcp := &links.TCP{SrcPort: links.TCPPort(ports[dir]), DstPort: links.TCPPort(ports[1-dir]), Seq: seq[dir], Ack: seq[1-dir], Window: 65000, SYN: syn, ACK: ack, FIN: fin, PSH: payload != ""}
			var over gopacket.SerializableLayer = tcp
			if s.udp {
				ip.Protocol = links.IPProtocolUDP
				udp := &links.UDP{SrcPort: links.UDPPort(ports[dir]), DstPort: links.UDPPort(ports[1-dir])}
				_ = udp.SetNetworkLayerForChecksum(ip)
				over = udp
			} else {
				_ = tcp.SetNetworkLayerForChecksum(ip)
			}
			b := gopacket.NewSerializeBuffer()
			ether := &links.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: links.EthernetTypeIPv4}
			if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ether, ip, over, gopacket.Payload(payload)); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Millisecond)
			data := bytes.Clone(b.Bytes())
			frames = append(frames, taken{gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}, data})
			seq[dir] += uint32(len(payload))
			if syn || fin {
				seq[dir]++
			}
		}
		if !s.udp {
			send(0, true, false, false, "")
			send(1, true, false, true, "")
			send(0, false, false, true, "")
		}
		for n, text := range s.says {
			if text != "" {
				send(n%2, false, false, true, text)
			}
		}
		if !s.udp {
			send(0, false, true, true, "")
			send(1, false, true, true, "")
			send(0, false, false, true, "")
		}
	}
	path := filepath.Join(t.TempDir(), "secrets.pcap")
	writeFrames(t, path, frames)
	return path
}

// TestSecretsStaySecret has whatever the program writes, but for the packets that
// it is asked to keep, hold against what connections gave away in clear.
func TestSecretsStaySecret(t *testing.T) {
	list := givenAway()
	capture := secretsCapture(t, list)
	inventory := file(t, "hosts.yaml", "version: 1\nhosts:\n  - {address: 10.20.30.11, roles: [management-server]}\n  - {address: 10.9.0.0/24, roles: [agent]}\n")
	var hidden []string
	for _, s := range []string{theSecret, theUser} {
		hidden = append(hidden, forms(s)...)
	}
	hidden = append(hidden, theJWT[strings.LastIndexByte(theJWT, '.')+1:])
	hold := func(what, text string) {
		for _, s := range hidden {
			if at := strings.Index(text, s); at >= 0 {
				t.Errorf("%s has %q: %q", what, s, text[max(at-80, 0):min(at+80, len(text))])
				return
			}
		}
	}
	run := func(args ...string) string {
		_, out, errs := wirechart(t, args...)
		if out == "" {
			t.Errorf("%v writes nothing: %s", args, errs)
		}
		hold(strings.Join(args, " "), out+errs)
		return out
	}
	for _, kind := range []report.Kind{report.OfAudit, report.OfFlows, report.OfHosts} {
		for _, format := range report.All() {
			if format.Writes(kind) {
				run(string(kind), "-o", format.Name, "--inventory", inventory, capture)
				if kind == report.OfAudit {
					run(string(kind), "-o", format.Name, capture)
				}
			}
		}
	}
	// What it is held against is no capture of which nothing is understood.
	flows := run("flows", "-o", "jsonl", "--inventory", inventory, capture)
	for _, app := range []string{"http", "ftp", "pop3", "imap", "smtp", "ldap", "snmp", "zmtp", "socks", "redis", "mqtt", "amqp", "sip", "nats", "postgresql", "telnet", "syslog", "rdp", "iscsi"} {
		if !strings.Contains(flows, `"app":"`+app+`"`) {
			t.Errorf("no flow is %s", app)
		}
	}
	kept := filepath.Join(t.TempDir(), "kept.pcapng")
	for i := range list {
		for _, format := range []string{"json", "markdown"} {
			run("explain", "-o", format, "--inventory", inventory, "--flow", strconv.Itoa(i+1), capture)
		}
		run("explain", "--hex", "-w", kept, "--inventory", inventory, "--flow", strconv.Itoa(i+1), capture)
		b, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		hold(fmt.Sprintf("explain -w of %s", list[i].name), string(b))
	}
	audit := filepath.Join(t.TempDir(), "audit.json")
	if err := os.WriteFile(audit, []byte(run("audit", "-o", "json", "--inventory", inventory, capture)), 0o600); err != nil {
		t.Fatal(err)
	}
	run("diff", "-o", "html", audit, audit)
	run("diagram", "new", "--from", audit)
	run("compare", "-o", "json", capture, capture)
	state := filepath.Join(t.TempDir(), "state")
	for _, format := range []string{"table", "jsonl"} {
		_, out, errs := liveOver(t, context.Background(), from(nil), "-i", capture, "-o", format, "--inventory", inventory, "--state", state)
		hold("live -o "+format, out+errs)
	}
	if b, err := os.ReadFile(state); err != nil {
		t.Error(err)
	} else {
		hold("--state", string(b))
	}
	if !slices.ContainsFunc(list, func(s secret) bool { return s.udp }) {
		t.Error("no datagrams")
	}
}
