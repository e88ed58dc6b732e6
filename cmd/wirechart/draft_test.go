package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDraft drafts a diagram of each sample's traffic: it can be read, and the same
// traffic held against it, with the inventory that comes with it, has nothing that
// is not documented. What was refused is no service of the server's.
func TestDraft(t *testing.T) {
	for _, sample := range []string{"site.pcapng", "site-violations.pcapng", "files.pcapng", "firewall-inside.pcap.gz"} {
		dir := t.TempDir()
		diagram, inventory := filepath.Join(dir, "draft.yaml"), filepath.Join(dir, "hosts.yaml")
		if status, _, stderr := wirechart(t, "diagram", "new", "--from", auditFile(t, samples+sample), "--output", diagram, "--inventory", inventory); status != 0 {
			t.Fatalf("%s: %s", sample, stderr)
		}
		if status, _, stderr := wirechart(t, "diagram", "validate", diagram); status != 0 {
			t.Errorf("%s: %s", sample, stderr)
		}
		text, err := os.ReadFile(diagram)
		if err != nil {
			t.Fatal(err)
		}
		_, refused, _ := strings.Cut(string(text), "bg-tcp-8888\n")
		if refused, _, _ = strings.Cut(refused, "- id:"); sample == "site-violations.pcapng" &&
			(!strings.Contains(refused, "; refused or never answered") || strings.Count(string(text), "; refused") != 1 || !strings.Contains(string(text), `"Answers tcp/44445"`)) {
			t.Errorf("the edge that was refused:\n%s", text)
		}
		_, stdout, stderr := wirechart(t, "audit", "-o", "json", "--diagram", diagram, "--inventory", inventory, samples+sample)
		var doc struct {
			Verdicts map[string]struct{ Flows int }
		}
		if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
			t.Fatalf("%s: %v %s", sample, err, stderr)
		}
		if doc.Verdicts["undocumented"].Flows > 0 || doc.Verdicts["documented"].Flows == 0 {
			t.Errorf("%s: %+v", sample, doc.Verdicts)
		}
	}
}

// TestExampleDiagram holds made connections against the example in docs/examples:
// those that the manual has are documented, others are not, and what is not TLS on
// 443 is what the site does not want.
func TestExampleDiagram(t *testing.T) {
	const diagram = "../../docs/examples/zabbix.yaml"
	inventory := file(t, "hosts.yaml", `version: 1
hosts:
  - {address: 10.0.0.1, roles: [zabbix-server]}
  - {address: 10.0.0.2, roles: [agent]}
  - {address: 10.0.0.3, roles: [frontend]}
  - {address: 10.0.0.4, roles: [java-gateway]}
  - {address: 10.0.0.5, roles: [browser]}
`)
	for _, c := range []struct {
		client, server byte
		port           uint16
		want           string
	}{
		{1, 2, 10050, "documented"}, {2, 1, 10051, "documented"}, {3, 1, 10051, "documented"}, {1, 4, 10052, "documented"}, {5, 3, 443, "violation"},
		{2, 1, 10050, "undocumented"}, {5, 1, 10051, "undocumented"}, {2, 1, 22, "undocumented"}, {2, 4, 10052, "undocumented"},
	} {
		capture := filepath.Join(t.TempDir(), "made.pcap")
		if err := os.WriteFile(capture, connection(c.client, c.server, c.port), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stdout, stderr := wirechart(t, "flows", "-o", "jsonl", "--diagram", diagram, "--inventory", inventory, capture)
		var flow struct{ Verdict string }
		if err := json.Unmarshal([]byte(stdout), &flow); err != nil {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
		if flow.Verdict != c.want {
			t.Errorf("10.0.0.%d to 10.0.0.%d port %d: %s, want %s", c.client, c.server, c.port, flow.Verdict, c.want)
		}
	}
}

// connection is a capture of one TCP connection between 10.0.0.N, opened, used for
// one question and one answer, and closed.
func connection(client, server byte, port uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0) // raw IP
	seq := [2]uint32{1000, 9000}
	for i, x := range []struct {
		from    int
		flags   byte
		payload string
	}{{0, 0x02, ""}, {1, 0x12, ""}, {0, 0x10, ""}, {0, 0x18, "\x01\x02\x03question"}, {1, 0x18, "\x04\x05\x06answer"}, {0, 0x11, ""}, {1, 0x11, ""}, {0, 0x10, ""}} {
		ends, ports := [2]byte{client, server}, [2]uint16{50000, port}
		p := []byte{0x45, 0, 0, byte(40 + len(x.payload)), 0, byte(i), 0, 0, 64, 6, 0, 0, 10, 0, 0, ends[x.from], 10, 0, 0, ends[1-x.from]}
		p = binary.BigEndian.AppendUint16(p, ports[x.from])
		p = binary.BigEndian.AppendUint16(p, ports[1-x.from])
		p = binary.BigEndian.AppendUint32(p, seq[x.from])
		ack := seq[1-x.from]
		if i == 0 {
			ack = 0
		}
		p = binary.BigEndian.AppendUint32(p, ack)
		p = append(p, 0x50, x.flags, 0x20, 0, 0, 0, 0, 0)
		p = append(p, x.payload...)
		seq[x.from] += uint32(len(x.payload))
		if x.flags&0x03 != 0 {
			seq[x.from]++
		}
		b = binary.LittleEndian.AppendUint32(b, 1795397951)
		b = binary.LittleEndian.AppendUint32(b, uint32(i)*1000)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
