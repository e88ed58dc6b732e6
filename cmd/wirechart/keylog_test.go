package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/gopacket"
	header "github.com/google/gopacket/layers"

	"wirechart/report"
)

// What is inside TLS and must not come out.
const (
	secretJWT    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJvcGVyYXRvciJ9.c2VjcmV0LXNpZ25hdHVyZQ"
	secretCookie = "5ec2e7-c00kie-value"
	secretBody   = "body-of-the-answer"
	secretPath   = "/api/secret-path"
)

// A said is what one end wrote at once.
type said struct {
	byClient bool
	b        []byte
}

// recording is a connection whose writes are kept, in the order of both ends.
type recording struct {
	net.Conn
	client bool
	log    *recorded
}

type recorded struct {
	sync.Mutex
	says []said
}

func (r recording) Write(b []byte) (int, error) {
	r.log.Lock()
	r.log.says = append(r.log.says, said{r.client, bytes.Clone(b)})
	r.log.Unlock()
	return r.Conn.Write(b)
}

type recordingListener struct {
	net.Listener
	log *recorded
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return recording{c, false, l.log}, err
}

// talkHTTPS lets Go's HTTP client and server talk over TLS of a version, and
// returns what they wrote and the key log.
func talkHTTPS(t *testing.T, version uint16, http2 bool) ([]said, string) {
	t.Helper()
	log := new(recorded)
	var keys bytes.Buffer
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"x":"`+secretBody+`"}`)
	}))
	server.EnableHTTP2 = http2
	server.Listener = recordingListener{server.Listener, log}
	server.StartTLS()
	defer server.Close()
	transport := &http.Transport{
		ForceAttemptHTTP2: http2,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MaxVersion: version, KeyLogWriter: &keys},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return recording{c, true, log}, err
		},
	}
	client := &http.Client{Transport: transport}
	for i := range 3 {
		request, err := http.NewRequest("GET", server.URL+secretPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			request.Header.Set("Authorization", "Bearer "+secretJWT)
		case 1:
			request.AddCookie(&http.Cookie{Name: "session", Value: secretCookie})
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	transport.CloseIdleConnections()
	server.Close()
	log.Lock()
	defer log.Unlock()
	return log.says, keys.String()
}

// pcapngOf makes a capture of a conversation between an agent and a management
// server, with a decryption-secrets block in front of its frames where there
// are keys.
func pcapngOf(t *testing.T, says []said, keys string) string {
	t.Helper()
	var out []byte
	block := func(typ uint32, parts ...[]byte) {
		body := bytes.Join(parts, nil)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		size := uint32(len(body) + 12)
		out = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(out, typ), size)
		out = binary.LittleEndian.AppendUint32(append(out, body...), size)
	}
	le := func(numbers ...uint32) (b []byte) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		return b
	}
	block(0x0a0d0d0a, le(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff)) // section: version 1.0, length unknown
	block(1, le(1, 0))                                           // interface: Ethernet
	if keys != "" {
		block(10, le(0x544c534b, uint32(len(keys))), []byte(keys))
	}
	ends := [2]net.IP{{10, 20, 30, 11}, {10, 20, 30, 22}} // server, client
	ports := [2]header.TCPPort{9877, 50123}
	var seq [2]uint32
	now := uint32(0)
	send := func(from int, set func(*header.TCP), payload []byte) {
		ip := &header.IPv4{Version: 4, TTL: 64, Protocol: header.IPProtocolTCP, SrcIP: ends[from], DstIP: ends[1-from]}
		tcp := &header.TCP{SrcPort: ports[from], DstPort: ports[1-from], Seq: seq[from], Ack: seq[1-from], Window: 65535}
		set(tcp)
		tcp.SetNetworkLayerForChecksum(ip)
		ethernet := &header.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(1 + from)}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(2 - from)}, EthernetType: header.EthernetTypeIPv4}
		buffer := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ethernet, ip, tcp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		frame := buffer.Bytes()
		now += 1000
		block(6, le(0, 0x5f000, now, uint32(len(frame)), uint32(len(frame))), frame)
		seq[from] += uint32(len(payload))
		if tcp.SYN || tcp.FIN {
			seq[from]++
		}
	}
	const server, client = 0, 1
	send(client, func(h *header.TCP) { h.SYN = true }, nil)
	send(server, func(h *header.TCP) { h.SYN, h.ACK = true, true }, nil)
	send(client, func(h *header.TCP) { h.ACK = true }, nil)
	for _, s := range says {
		from := server
		if s.byClient {
			from = client
		}
		for b := s.b; len(b) > 0; {
			n := min(len(b), 1400)
			send(from, func(h *header.TCP) { h.ACK, h.PSH = true, true }, b[:n])
			b = b[n:]
		}
	}
	send(client, func(h *header.TCP) { h.FIN, h.ACK = true, true }, nil)
	send(server, func(h *header.TCP) { h.FIN, h.ACK = true, true }, nil)
	return file(t, "https.pcapng", string(out))
}

// TestKeysStaySecret decrypts HTTP/1 and HTTP/2, with a key log and with keys
// in the capture, and looks for what was inside and for the keys in everything
// that is written.
func TestKeysStaySecret(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, http2 := range []bool{false, true} {
			says, keys := talkHTTPS(t, version, http2)
			plain, inside := pcapngOf(t, says, ""), pcapngOf(t, says, keys)
			keyFile := file(t, "keys.txt", keys)
			secrets := []string{secretJWT, secretCookie, secretBody, secretPath}
			for part := range strings.SplitSeq(secretJWT, ".") {
				secrets = append(secrets, part)
			}
			for line := range strings.Lines(keys) {
				if f := strings.Fields(line); len(f) == 3 && f[0] != "#" {
					secrets = append(secrets, f[2][:16], strings.ToUpper(f[2][:16]))
				}
			}
			for _, capture := range [][]string{{"--keylog", keyFile, plain}, {inside}} {
				name := fmt.Sprintf("%x http2 %t %v", version, http2, capture[0])
				status, out, errs := wirechart(t, append([]string{"flows", "-o", "jsonl"}, capture...)...)
				var flow struct {
					App  string
					TLS  struct{ Decrypted string }
					HTTP struct {
						Requests, Unauthenticated int
						Token                     []string
						TokenAlg                  []string `json:"token_alg"`
						Cookie                    bool
					}
				}
				if err := json.Unmarshal([]byte(out), &flow); status != 0 || errs != "" || err != nil {
					t.Fatalf("%s: status %d, %v: %s", name, status, err, errs)
				}
				h := flow.HTTP
				if flow.App != "tls" || flow.TLS.Decrypted != "yes" || h.Requests != 3 || h.Unauthenticated != 1 || !h.Cookie ||
					strings.Join(h.Token, " ") != "header" || strings.Join(h.TokenAlg, " ") != "HS256" {
					t.Errorf("%s: %s", name, out)
				}
				for _, command := range []string{"audit", "flows", "hosts"} {
					for _, format := range report.All() {
						_, out, errs := wirechart(t, append([]string{command, "-o", format.Name}, capture...)...)
						for _, secret := range secrets {
							if strings.Contains(out, secret) || strings.Contains(errs, secret) {
								t.Errorf("%s: %q is in what %s -o %s writes", name, secret, command, format.Name)
							}
						}
					}
				}
			}
		}
	}
}

// TestKeyLogNotes holds what is said about keys: of malformed lines on standard
// error, of keys that do not fit in the audit.
func TestKeyLogNotes(t *testing.T) {
	says, keys := talkHTTPS(t, tls.VersionTLS13, false)
	capture := pcapngOf(t, says, "")
	audit := func(text string) (string, string) {
		t.Helper()
		name := file(t, "keys.txt", text)
		status, out, errs := wirechart(t, "audit", "-o", "json", "--keylog", name, capture)
		if status == exitError {
			t.Fatalf("status %d: %s", status, errs)
		}
		return out, strings.ReplaceAll(errs, name, "keys.txt")
	}
	out, errs := audit("CLIENT_RANDOM 00\n" + keys + "CLIENT_TRAFF")
	for _, number := range []int{1, 2 + strings.Count(keys, "\n")} {
		line := fmt.Sprintf("wirechart: keys.txt:%d: not a label, a client random and a secret\n", number)
		if !strings.Contains(errs, line) {
			t.Errorf("standard error lacks %q:\n%s", line, errs)
		}
	}
	if n := strings.Count(errs, "\n"); n != 2 {
		t.Errorf("%d warnings, want 2:\n%s", n, errs)
	}
	for _, want := range []string{`"connections": 1`, `"decrypted": 1`, `"failed": 0`, `"without": 0`, `"malformed_lines": 2`, "in the captures, 1 were decrypted."} {
		if !strings.Contains(out, want) {
			t.Errorf("the audit lacks %s", want)
		}
	}

	// Keys of another connection, and none at all.
	other, errs := audit("CLIENT_RANDOM " + strings.Repeat("ab", 32) + " " + strings.Repeat("cd", 48) + "\n")
	if errs != "" || !strings.Contains(other, `"without": 1`) {
		t.Errorf("keys of another connection: %s", errs)
	}
	_, without, _ := wirechart(t, "flows", "-o", "jsonl", capture)
	_, with, _ := wirechart(t, "flows", "-o", "jsonl", "--keylog", file(t, "none.txt", "# none\n"), capture)
	if with != without {
		t.Errorf("a key log without keys changes the flows:\n%swithout:\n%s", with, without)
	}

	status, stdout, errs := wirechart(t, "hosts", "--keylog", "nowhere.txt", capture)
	if status != exitError || stdout != "" || !strings.Contains(errs, "nowhere.txt: no such file") || strings.Count(errs, "\n") != 1 {
		t.Errorf("a missing key log: status %d, %q", status, errs)
	}
	status, stdout, errs = wirechart(t, "audit", "--keylog", capture, capture)
	if status != exitError || stdout != "" || !strings.Contains(errs, "not a key log") || strings.Count(errs, "\n") != 1 {
		t.Errorf("a capture in place of a key log: status %d, %q", status, errs)
	}
}
