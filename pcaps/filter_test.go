package pcaps

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packet is an Ethernet frame: addresses, whatever tags, the rest.
func packet(parts ...[]byte) []byte {
	b := []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02")
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// ipv4 is an IPv4 header without options and the first bytes of a payload.
func ipv4(proto byte, src, dst [4]byte, payload ...byte) []byte {
	b := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, proto, 0, 0}
	b = append(append(b, src[:]...), dst[:]...)
	return append(b, append(payload, make([]byte, 20)...)...)
}

// filterFrames are what the filters below choose from.
func filterFrames() [][]byte {
	one, two := [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}
	ip, vlan := []byte{8, 0}, []byte{0x81, 0, 0, 20}
	return [][]byte{
		packet(ip, ipv4(6, one, two, 0xc0, 0, 0x01, 0xbb)),       // 1: 10.0.0.1:49152 > 10.0.0.2:443
		packet(ip, ipv4(6, two, one, 0x00, 80, 0xc0, 0)),         // 2: 10.0.0.2:80 > 10.0.0.1:49152
		packet(ip, ipv4(1, one, two, 8, 0)),                      // 3: echo
		packet(vlan, ip, ipv4(6, one, two, 0xc0, 0, 0x01, 0xbb)), // 4: the first, in VLAN 20
		packet([]byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64}, make([]byte, 32), []byte{0x01, 0xbb, 0xc0, 0}, make([]byte, 16)), // 5
		packet([]byte{8, 6}, make([]byte, 28)), // 6: ARP
	}
}

// needsCompiler skips a test of expressions where there is nothing to compile
// them.
func needsCompiler(t *testing.T) {
	t.Helper()
	if !haveLibpcap {
		t.Skip("this build has no libpcap to compile filters")
	}
}

// What tcpdump -ddd prints takes the frames that its expression takes.
func TestBytecode(t *testing.T) {
	tcp := "13\n40 0 0 12\n21 0 10 2048\n48 0 0 23\n21 0 8 6\n40 0 0 20\n69 6 0 8191\n177 0 0 14\n72 0 0 14\n21 2 0 443\n72 0 0 16\n21 0 1 443\n6 0 0 262144\n6 0 0 0\n"
	path := filepath.Join("samples", "site.pcapng")
	all, _ := openAll(t, Options{}, path)
	for _, code := range []string{tcp, strings.ReplaceAll(strings.TrimSpace(tcp), "\n", ",")} {
		got, st := openAll(t, Options{Filter: code}, path)
		if len(got) == 0 || uint64(len(got))+st.Filtered != uint64(len(all)) {
			t.Errorf("%d of %d frames, %d filtered", len(got), len(all), st.Filtered)
		}
		for _, f := range got {
			if d := []byte(f.Data); d[23] != 6 || binary.BigEndian.Uint16(d[34:]) != 443 && binary.BigEndian.Uint16(d[36:]) != 443 {
				t.Errorf("frame % x", d[:40])
			}
		}
		if haveLibpcap {
			if want, _ := openAll(t, Options{Filter: "ip and tcp port 443"}, path); len(want) != len(got) {
				t.Errorf("%d frames, and the expression takes %d", len(got), len(want))
			}
		}
	}
	for code, want := range map[string]string{
		"2,6 0 0 0":          "bytecode of 1 instructions says that they are 2",
		"1,6 0 0":            "bytecode: instruction 0 is not four numbers",
		"1,6 0 256 0":        "bytecode: instruction 0: ",
		"2,21 0 9 1,6 0 0 0": "", // jumps behind its end: the machine's own words
	} {
		if _, err := Open([]string{path}, Options{Filter: code}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", code, err, want)
		}
	}
	if haveLibpcap {
		return
	}
	if _, err := Open([]string{path}, Options{Filter: "tcp port 443"}); err == nil || !strings.Contains(err.Error(), `-f "$(tcpdump -y EN10MB -ddd 'tcp port 443')"`) {
		t.Errorf("without a compiler: %v", err)
	}
}

func TestFilter(t *testing.T) {
	needsCompiler(t)
	var records []record
	for i, f := range filterFrames() {
		records = append(records, record{uint32(i + 1), 0, uint32(len(f) + 1000*(i&1)), f})
	}
	path := file(t, "x.pcap", classic(binary.LittleEndian, magicMicro, 4, 65535, 1, records...))
	for _, tt := range []struct{ filter, want string }{
		{"", "1 2 3 4 5 6"},
		{"tcp port 443", "1 5"},
		{"host 10.0.0.1 and not icmp", "1 2"},
		{"vlan 20", "4"},
		{"vlan 20 and tcp port 443", "4"},
		{"tcp port 443 or (vlan and tcp port 443)", "1 4 5"},
		{"ip6", "5"},
		{"arp or icmp", "3 6"},
		{"net 10.0.0.0/8 and src port 80", "2"},
		{"tcp[0:2] >= 49152", "1"},
		{"ether host 02:00:00:00:00:01 and len > 1000", "2 4 6"},
		{"greater 1000 and ip", "2"},
		{"less 100", "1 3 5"},
		{"udp", ""},
	} {
		s, err := Open([]string{path}, Options{Filter: tt.filter})
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		frames, st := readSource(t, s)
		s.Close()
		var numbers []string
		for _, f := range frames {
			numbers = append(numbers, fmt.Sprint(f.Number))
		}
		if got := strings.Join(numbers, " "); got != tt.want {
			t.Errorf("%q takes %q, want %q", tt.filter, got, tt.want)
		}
		if st.Filtered != uint64(len(records)-len(frames)) || st.Files[0].Frames != uint64(len(records)) {
			t.Errorf("%q: %d filtered, %d frames", tt.filter, st.Filtered, st.Files[0].Frames)
		}
	}
}

// Every link type that is decoded can be filtered, in whatever number
// libpcap has for it.
func TestFilterLinkTypes(t *testing.T) {
	needsCompiler(t)
	raw := filterFrames()[0][14:]
	sll := append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, raw...)
	sll2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, raw...)
	for _, tt := range []struct {
		link LinkType
		data []byte
	}{
		{LinkEthernet, filterFrames()[0]}, {LinkRaw, raw}, {LinkRawBSD12, raw}, {LinkIPv4, raw},
		{LinkLinuxSLL, sll}, {LinkLinuxSLL2, sll2}, {LinkNull, append([]byte{2, 0, 0, 0}, raw...)},
		{LinkLoop, append([]byte{0, 0, 0, 2}, raw...)},
	} {
		for filter, want := range map[string]bool{"tcp port 443": true, "host 10.0.0.2": true, "udp": false} {
			f, err := newFilter(filter, []LinkType{tt.link})
			if err != nil {
				t.Errorf("%s: %v", tt.link, err)
				continue
			}
			frame := Packet{Data: tt.data, WireLen: len(tt.data), Link: tt.link}
			if got := f.keep([]Packet{frame}) == 1; got != want {
				t.Errorf("%s: %q takes it: %v, want %v", tt.link, filter, got, want)
			}
		}
	}
}

func TestFilterErrors(t *testing.T) {
	needsCompiler(t)
	path := file(t, "x.pcap", aPcap())
	for filter, want := range map[string]string{
		"tcp prot 443": `filter "tcp prot 443": can't parse filter expression: syntax error`,
		"port 70000":   `filter "port 70000": illegal port number 70000 > 65535`,
	} {
		if _, err := Open([]string{path}, Options{Filter: filter}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	// What has no meaning on raw IP takes nothing there, and is an error where
	// there is nothing else.
	raw := file(t, "raw.pcap", classic(binary.LittleEndian, magicMicro, 4, 65535, 101, record{3, 0, 0, filterFrames()[0][14:]}))
	if _, err := Open([]string{raw}, Options{Filter: "vlan 20"}); err == nil || !strings.Contains(err.Error(), `filter "vlan 20": `) {
		t.Errorf("vlan on raw IP: error %v", err)
	}
	if frames, st := openAll(t, Options{Filter: "vlan 20"}, raw, path); len(frames) != 0 || st.Filtered != 4 {
		t.Errorf("vlan on raw IP and Ethernet: %d frames, %d filtered", len(frames), st.Filtered)
	}
}

func TestFilterAllocates(t *testing.T) {
	needsCompiler(t)
	f, err := newFilter("tcp port 443", []LinkType{LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	b := filterFrames()[0]
	batch := []Packet{{Data: b, WireLen: len(b), Link: LinkEthernet}, {Data: b[:40], WireLen: len(b), Link: LinkEthernet}}
	if n := testing.AllocsPerRun(100, func() { f.keep(batch) }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

// tcpdump, where it is installed, takes the same frames of the corpus.
func TestFilterAgainstTcpdump(t *testing.T) {
	needsCompiler(t)
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	var paths []string
	for _, name := range []string{"arkime+arkime/*", "zeek+zeek/*.pcap", "secdev+scapy/*"} {
		found, _ := filepath.Glob(filepath.Join(corpus, name))
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		t.Skipf("no captures in %s to filter", corpus)
	}
	compared := 0
	for _, path := range paths {
		for _, filter := range []string{"tcp port 443", "ip6 or vlan", "greater 200 and not arp", "tcp[tcpflags] & tcp-syn != 0"} {
			counts := filepath.Join(t.TempDir(), "out")
			if err := exec.Command(tcpdump, "-r", path, "-w", counts, filter).Run(); err != nil {
				continue // a link type or format that this tcpdump does not read
			}
			if info, err := os.Stat(counts); err != nil || info.Size() == 0 {
				continue
			}
			want, _ := openAll(t, Options{}, counts)
			got, _ := openAll(t, Options{Filter: filter}, path)
			if len(got) != len(want) {
				t.Errorf("%s: %q takes %d frames, tcpdump takes %d", path, filter, len(got), len(want))
			}
			compared++
		}
	}
	if compared < 40 {
		t.Errorf("only %d compared", compared)
	}
}

func BenchmarkFilter(b *testing.B) {
	f, err := newFilter("tcp port 443", []LinkType{LinkEthernet})
	if err != nil {
		b.Fatal(err)
	}
	data := filterFrames()[0]
	batch := make([]Packet, 64)
	for i := range batch {
		batch[i] = Packet{Data: data, WireLen: len(data), Link: LinkEthernet}
	}
	for b.Loop() {
		f.keep(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/frame")
}
