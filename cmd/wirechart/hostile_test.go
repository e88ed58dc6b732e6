package main

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	links "github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"wirechart/report"
)

// hostileWords are what a sender may put into a name, a header or a banner.
const hostileWords = `<script>alert(1)</script>"'` + "\x1b[31m\x9b\u202egnp.exe\u2066`|`"

// talks is a capture of TCP connections, each with what the client and the
// server say.
func talks(t *testing.T, list ...[3]string) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65535, links.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1795397951, 0)
	for i, talk := range list {
		_, port, _ := net.SplitHostPort(talk[0])
		server := links.TCPPort(0)
		for _, c := range port {
			server = server*10 + links.TCPPort(c-'0')
		}
		host, _, _ := net.SplitHostPort(talk[0])
		seq := [2]uint32{100, 900}
		send := func(dir int, flags string, payload string) {
			ip := &links.IPv4{Version: 4, TTL: 64, Protocol: links.IPProtocolTCP, SrcIP: net.IP{10, 9, 0, byte(i + 1)}, DstIP: net.ParseIP(host).To4()}
			tcp := &links.TCP{SrcPort: 50000 + links.TCPPort(i), DstPort: server, Seq: seq[dir], Ack: seq[1-dir], Window: 65000,
				SYN: strings.Contains(flags, "S"), ACK: strings.Contains(flags, "A"), FIN: strings.Contains(flags, "F"), PSH: payload != ""}
			if dir == 1 {
				ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
				tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
			}
			_ = tcp.SetNetworkLayerForChecksum(ip)
			buffer := gopacket.NewSerializeBuffer()
			ether := &links.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: links.EthernetTypeIPv4}
			if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ether, ip, tcp, gopacket.Payload(payload)); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Millisecond)
			data := buffer.Bytes()
			if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data)}, data); err != nil {
				t.Fatal(err)
			}
			seq[dir] += uint32(len(payload))
			if strings.ContainsAny(flags, "SF") {
				seq[dir]++
			}
		}
		send(0, "S", "")
		send(1, "SA", "")
		send(0, "A", "")
		send(0, "A", talk[1])
		send(1, "A", talk[2])
		send(0, "FA", "")
		send(1, "FA", "")
		send(0, "A", "")
	}
	return file(t, "hostile.pcap", b.String())
}

// TestHostileCapture says that no format, of whatever command, passes on what
// does something to a terminal, a browser or the order of letters: names stay
// text.
func TestHostileCapture(t *testing.T) {
	request := "GET /" + hostileWords + " HTTP/1.1\r\nHost: " + hostileWords + "\r\nUser-Agent: " + hostileWords + "\r\n\r\n"
	capture := talks(t,
		[3]string{"10.20.30.11:9877", request, "HTTP/1.1 200 OK\r\nServer: " + hostileWords + "\r\nContent-Length: 0\r\n\r\n"},
		[3]string{"203.0.113.9:80", request, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		[3]string{"10.20.30.11:7780", "SSH-2.0-" + hostileWords + "\r\n", "SSH-2.0-" + hostileWords + "\r\n"})
	inventory := file(t, "hosts.yaml", "version: 1\nhosts:\n  - {address: 10.20.30.11, roles: [management-server]}\n  - {address: 10.9.0.0/24, roles: [agent]}\n")
	shown := 0
	harmless := func(what, out string) {
		if strings.Contains(out, "alert(1)") {
			shown++
		}
		if at := strings.IndexAny(out, "\x1b\u009b\u202e\u2066"); at >= 0 {
			t.Errorf("%s passes on %q", what, out[max(at-20, 0):min(at+20, len(out))])
		}
	}
	for _, kind := range []report.Kind{report.OfAudit, report.OfFlows, report.OfHosts, report.OfExplain} {
		for _, format := range report.All() {
			if !format.Writes(kind) {
				continue
			}
			args := []string{string(kind), "-o", format.Name, "--inventory", inventory, capture}
			if kind == report.OfExplain {
				args = append(args, "--flow", "1")
			}
			_, out, errs := wirechart(t, args...)
			if out == "" {
				t.Errorf("%s -o %s writes nothing: %s", kind, format.Name, errs)
			}
			harmless(string(kind)+" -o "+format.Name, out)
			if (format.Name == "html" || format.Name == "drawio" || format.Name == "junit") && strings.Contains(out, "<script") {
				t.Errorf("%s -o %s has markup of a name", kind, format.Name)
			}
		}
	}
	audit := auditFile(t, capture)
	for _, args := range [][]string{
		{"diff", "-o", "table", audit, audit}, {"diff", "-o", "markdown", audit, auditFile(t, samples+"site.pcapng")}, {"diff", "-o", "html", auditFile(t, samples+"site.pcapng"), audit},
		{"compare", "-o", "wide", "--inventory", inventory, capture, capture}, {"compare", "-o", "html", capture, capture}, {"diagram", "new", "--from", audit}, {"rules", audit},
	} {
		_, out, errs := wirechart(t, args...)
		if out == "" {
			t.Errorf("%v writes nothing: %s", args, errs)
		}
		harmless(strings.Join(args, " "), out+errs)
	}
	state := filepath.Join(t.TempDir(), "state")
	for _, format := range []string{"table", "jsonl"} {
		_, out, errs := liveOver(t, context.Background(), from(nil), "-i", capture, "-o", format, "--inventory", inventory, "--state", state)
		harmless("live -o "+format, out+errs)
	}
	if shown == 0 {
		t.Error("the names are nowhere")
	}
}
