package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	links "github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// taken is a frame of a capture, as it was taken.
type taken struct {
	info gopacket.CaptureInfo
	data []byte
}

// change is a frame with other bytes.
func (f taken) change(data []byte) taken {
	f.data = data
	f.info.CaptureLength, f.info.Length = len(data), len(data)
	return f
}

// The parts of an Ethernet frame without a tag: where IP begins, and whether
// it is IPv4.
const atIP = 14

func (f taken) isIP() bool   { return f.isIPv4() || f.data[12] == 0x86 && f.data[13] == 0xdd }
func (f taken) isIPv4() bool { return f.data[12] == 8 && f.data[13] == 0 }

// tcpPayload is where the payload of a TCP segment over IPv4 begins, 0 for
// everything else and where there is none.
func (f taken) tcpPayload() int {
	if !f.isIPv4() || f.data[atIP+9] != 6 {
		return 0
	}
	end := atIP + int(binary.BigEndian.Uint16(f.data[atIP+2:]))
	at := atIP + int(f.data[atIP]&15)*4
	at += int(f.data[at+12]>>4) * 4
	if at >= end {
		return 0
	}
	return at
}

// outer is an IPv4 packet that carries b.
func outer(proto uint8, b []byte) []byte {
	p := []byte{0x45, 0, 0, 0, 0, 7, 0, 0, 60, proto, 0, 0, 192, 0, 2, 11, 192, 0, 2, 99}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)+len(b)))
	return append(p, b...)
}

// datagram is a UDP datagram to port.
func datagram(port uint16, b []byte) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0xd0, 0}, port)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(b)))
	return append(append(p, 0, 0), b...)
}

// ether is an Ethernet frame with the addresses of f.
func ether(f taken, kind uint16, b []byte) taken {
	p := binary.BigEndian.AppendUint16(slices.Clone(f.data[:12]), kind)
	return f.change(append(p, b...))
}

// each applies change to every frame that has IP in it.
func each(frames []taken, change func(f taken) taken) [][]taken {
	var out []taken
	for _, f := range frames {
		if f.isIP() {
			f = change(f)
		}
		out = append(out, f)
	}
	return [][]taken{out}
}

// shuffled delays each frame by up to a millisecond, and leaves its time.
func shuffled(frames []taken, random *rand.Rand) []taken {
	type delayed struct {
		taken
		due time.Time
	}
	var list []delayed
	for _, f := range frames {
		list = append(list, delayed{f, f.info.Timestamp.Add(time.Duration(random.Int64N(int64(time.Millisecond))))})
	}
	slices.SortStableFunc(list, func(a, b delayed) int { return a.due.Compare(b.due) })
	var out []taken
	for _, d := range list {
		out = append(out, d.taken)
	}
	return out
}

// messes are the ways in which a recording can be worse than the traffic. What
// is lossy may leave a question open that the clean capture answers; nothing
// may be answered otherwise.
var messes = []struct {
	name  string
	lossy bool
	make  func(frames []taken, random *rand.Rand) [][]taken // the files of the capture
}{
	{"cut into many files", false, func(frames []taken, _ *rand.Rand) (files [][]taken) {
		for part := range slices.Chunk(frames, len(frames)/7+1) {
			files = append(files, part)
		}
		return files
	}},
	{"each direction tapped into a file of its own", false, func(frames []taken, _ *rand.Rand) [][]taken {
		files := make([][]taken, 2)
		for _, f := range frames {
			up := 0
			if f.isIPv4() && bytes.Compare(f.data[atIP+12:atIP+16], f.data[atIP+16:atIP+20]) > 0 {
				up = 1
			}
			files[up] = append(files[up], f)
		}
		return files
	}},
	{"mirrored on the way in and out", false, func(frames []taken, _ *rand.Rand) [][]taken {
		var out []taken
		for _, f := range frames {
			out = append(out, f)
			if f.isIPv4() {
				routed := slices.Clone(f.data)
				routed[atIP+8]--
				copy(routed, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02")
				f.info.Timestamp = f.info.Timestamp.Add(20_000)
				out = append(out, f.change(routed))
			}
		}
		return [][]taken{out}
	}},
	{"each frame twice, 50 µs later", false, func(frames []taken, _ *rand.Rand) [][]taken {
		out := slices.Clone(frames)
		for _, f := range frames {
			f.info.Timestamp = f.info.Timestamp.Add(50 * time.Microsecond)
			out = append(out, f)
		}
		slices.SortStableFunc(out, func(a, b taken) int { return a.info.Timestamp.Compare(b.info.Timestamp) })
		return [][]taken{out}
	}},
	{"dealt out to two files", false, func(frames []taken, random *rand.Rand) [][]taken {
		files := make([][]taken, 2)
		for _, f := range frames {
			to := random.IntN(2)
			files[to] = append(files[to], f)
		}
		return files
	}},
	{"a year later", false, func(frames []taken, _ *rand.Rand) [][]taken {
		out := slices.Clone(frames)
		for i := range out {
			out[i].info.Timestamp = out[i].info.Timestamp.AddDate(1, 0, 0)
		}
		return [][]taken{out}
	}},
	{"ICMP errors 5 ms before their time", false, func(frames []taken, _ *rand.Rand) [][]taken {
		out := slices.Clone(frames)
		for i, f := range out {
			if f.isIPv4() && f.data[atIP+9] == 1 && f.data[atIP+20] == 3 {
				out[i].info.Timestamp = f.info.Timestamp.Add(-5 * time.Millisecond)
			}
		}
		slices.SortStableFunc(out, func(a, b taken) int { return a.info.Timestamp.Compare(b.info.Timestamp) })
		return [][]taken{out}
	}},
	{"data out of order within a direction", false, func(frames []taken, random *rand.Rand) [][]taken {
		// The places of a direction's segments are dealt out anew among those
		// that lie within a millisecond, its SYN and FIN left where they are.
		const most = time.Millisecond
		places := map[string][]int{}
		for i, f := range frames {
			if f.tcpPayload() > 0 && f.data[atIP+20+13]&3 == 0 {
				k := string(f.data[atIP+12 : atIP+24])
				places[k] = append(places[k], i)
			}
		}
		out := slices.Clone(frames)
		for _, k := range slices.Sorted(maps.Keys(places)) {
			at := places[k]
			if len(at) > 0 {
				at = at[1:] // behind the first one, which may come before the other end's SYN-ACK otherwise
			}
			order := slices.Clone(at)
			due := map[int]time.Time{}
			for _, i := range order {
				due[i] = frames[i].info.Timestamp.Add(time.Duration(random.Int64N(int64(most))))
			}
			slices.SortStableFunc(order, func(a, b int) int { return due[a].Compare(due[b]) })
			for n, i := range at {
				out[i] = frames[order[n]]
				out[i].info.Timestamp = frames[i].info.Timestamp
			}
		}
		return [][]taken{out}
	}},
	{"directions exchanged within 200 µs", false, func(frames []taken, random *rand.Rand) [][]taken {
		out := slices.Clone(frames)
		for i := 0; i+1 < len(out); i++ {
			a, b := out[i], out[i+1]
			if !a.isIPv4() || !b.isIPv4() || !bytes.Equal(a.data[atIP+12:atIP+16], b.data[atIP+16:atIP+20]) || !bytes.Equal(a.data[atIP+16:atIP+20], b.data[atIP+12:atIP+16]) ||
				b.info.Timestamp.Sub(a.info.Timestamp) > 200*time.Microsecond || random.IntN(2) == 0 {
				continue
			}
			a.info.Timestamp, b.info.Timestamp = b.info.Timestamp, a.info.Timestamp
			out[i], out[i+1] = b, a
			i++
		}
		return [][]taken{out}
	}},
	{"out of order", false, func(frames []taken, random *rand.Rand) [][]taken {
		out := slices.Clone(frames)
		for i := 0; i+1 < len(out); i += 1 + random.IntN(6) {
			out[i], out[i+1] = out[i+1], out[i]
		}
		return [][]taken{out}
	}},
	{"out of order within a millisecond", false, func(frames []taken, random *rand.Rand) [][]taken {
		return [][]taken{shuffled(frames, random)}
	}},
	{"each frame twice, out of order within a millisecond", false, func(frames []taken, random *rand.Rand) [][]taken {
		return [][]taken{shuffled(slices.Concat(frames, frames), random)}
	}},
	{"segments sent again with other bytes", false, func(frames []taken, _ *rand.Rand) [][]taken {
		var out []taken
		for _, f := range frames {
			out = append(out, f)
			if at := f.tcpPayload(); at > 0 {
				again := slices.Clone(f.data)
				again[atIP+4] ^= 0x55 // another identification
				for i := at; i < len(again); i++ {
					again[i] ^= 0xff
				}
				out = append(out, f.change(again))
			}
		}
		return [][]taken{out}
	}},
	{"IPv4 fragments", false, func(frames []taken, _ *rand.Rand) [][]taken {
		var out []taken
		id := uint16(1)
		for _, f := range frames {
			end := 0
			if f.isIPv4() {
				end = atIP + int(binary.BigEndian.Uint16(f.data[atIP+2:]))
			}
			body := atIP + 20
			if end-body <= 200 || f.data[atIP] != 0x45 {
				out = append(out, f)
				continue
			}
			id++
			for at := body; at < end; at += 176 {
				n := min(176, end-at)
				part := slices.Concat(f.data[:body], f.data[at:at+n])
				binary.BigEndian.PutUint16(part[atIP+2:], uint16(20+n))
				binary.BigEndian.PutUint16(part[atIP+4:], id)
				offset := uint16(at-body) / 8
				if at+n < end {
					offset |= 0x2000
				}
				binary.BigEndian.PutUint16(part[atIP+6:], offset)
				out = append(out, f.change(part))
			}
		}
		return [][]taken{out}
	}},
	{"802.1Q", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken { return ether(f, 0x8100, slices.Concat([]byte{0, 20}, f.data[12:])) })
	}},
	{"QinQ", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x88a8, slices.Concat([]byte{0, 7, 0x81, 0, 0, 20}, f.data[12:]))
		})
	}},
	{"MPLS", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x8847, slices.Concat([]byte{0, 1, 0, 64, 0, 2, 1, 64}, f.data[atIP:]))
		})
	}},
	{"PPPoE", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			b := []byte{0x11, 0, 0, 9, 0, 0, 0, 0x21}
			if !f.isIPv4() {
				b[7] = 0x57
			}
			binary.BigEndian.PutUint16(b[4:], uint16(2+len(f.data)-atIP))
			return ether(f, 0x8864, append(b, f.data[atIP:]...))
		})
	}},
	{"IP in IP", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			proto := uint8(4)
			if !f.isIPv4() {
				proto = 41
			}
			return ether(f, 0x0800, outer(proto, f.data[atIP:]))
		})
	}},
	{"GRE", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x0800, outer(47, slices.Concat([]byte{0, 0}, f.data[12:])))
		})
	}},
	{"PIM registers", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x0800, outer(103, slices.Concat([]byte{0x21, 0, 0, 0, 0, 0, 0, 0}, f.data[atIP:])))
		})
	}},
	{"ERSPAN", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x0800, outer(47, slices.Concat([]byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 20, 0, 42, 0, 0, 0, 0}, f.data)))
		})
	}},
	{"VXLAN", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x0800, outer(17, datagram(4789, slices.Concat([]byte{8, 0, 0, 0, 0, 0, 42, 0}, f.data))))
		})
	}},
	{"GENEVE", false, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			return ether(f, 0x0800, outer(17, datagram(6081, slices.Concat([]byte{0, 0, 0x65, 0x58, 0, 0, 42, 0}, f.data))))
		})
	}},
	{"lost by the recorder", true, func(frames []taken, random *rand.Rand) [][]taken {
		var out []taken
		for _, f := range frames {
			if random.IntN(100) >= 3 {
				out = append(out, f)
			}
		}
		return [][]taken{out}
	}},
	{"a snap length of 128", true, func(frames []taken, _ *rand.Rand) [][]taken {
		return each(frames, func(f taken) taken {
			f.data = f.data[:min(len(f.data), 128)]
			f.info.CaptureLength = len(f.data)
			return f
		})
	}},
	{"begun late", true, func(frames []taken, _ *rand.Rand) [][]taken {
		return [][]taken{frames[len(frames)/3:]}
	}},
	{"ended early", true, func(frames []taken, _ *rand.Rand) [][]taken {
		return [][]taken{frames[:len(frames)*2/3]}
	}},
	{"one direction", true, func(frames []taken, _ *rand.Rand) [][]taken {
		var out []taken
		for _, f := range frames { // what the lower address sends is missing
			if !f.isIPv4() || f.data[atIP+9] != 6 || bytes.Compare(f.data[atIP+12:atIP+16], f.data[atIP+16:atIP+20]) > 0 {
				out = append(out, f)
			}
		}
		return [][]taken{out}
	}},
	{"the other direction", true, func(frames []taken, _ *rand.Rand) [][]taken {
		var out []taken
		for _, f := range frames {
			if !f.isIPv4() || f.data[atIP+9] != 6 || bytes.Compare(f.data[atIP+12:atIP+16], f.data[atIP+16:atIP+20]) < 0 {
				out = append(out, f)
			}
		}
		return [][]taken{out}
	}},
}

// answers is what the program says of the flows between two endpoints, and of
// the hosts.
type answers struct {
	flows map[string][]string // verdict and reasons
	apps  map[string][]string // client and protocol
	roles map[string][]string
}

func (s *answers) read(t *testing.T, captures ...string) {
	t.Helper()
	s.flows, s.apps, s.roles = map[string][]string{}, map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(written(append([]string{"flows", "-o", "jsonl"}, captures...)...)) {
		var f struct {
			Proto          string
			Client, Server struct {
				IP   string
				Port int
			}
			Verdict string
			Reasons []string
			App     string
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		ends := []string{fmt.Sprint(f.Client), fmt.Sprint(f.Server)}
		slices.Sort(ends)
		k := f.Proto + " " + strings.Join(ends, " ")
		s.flows[k] = append(s.flows[k], f.Verdict+" "+strings.Join(f.Reasons, " "))
		s.apps[k] = append(s.apps[k], fmt.Sprint(f.Client)+" "+f.App)
	}
	var hosts struct {
		Hosts []struct {
			Address string
			Roles   []struct{ Role string }
		}
	}
	if err := json.Unmarshal([]byte(written(append([]string{"hosts", "-o", "json"}, captures...)...)), &hosts); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts.Hosts {
		for _, r := range h.Roles {
			s.roles[h.Address] = append(s.roles[h.Address], r.Role)
		}
	}
}

// sampleSites goes through the sample sites: their frames, and what is said of them.
func sampleSites(t *testing.T, each func(sample string, frames []taken, clean *answers)) {
	for _, sample := range []string{"site.pcapng", "site-violations.pcapng"} {
		path := filepath.Join("..", "..", "pcaps", "samples", sample)
		var clean answers
		clean.read(t, path)
		each(sample, readFrames(t, path), &clean)
	}
}

// TestMessyCaptures records the sample sites again in every way in which
// recordings are worse than the traffic.
func TestMessyCaptures(t *testing.T) {
	sampleSites(t, func(sample string, frames []taken, clean *answers) {
		for _, mess := range messes {
			t.Run(sample+"/"+mess.name, func(t *testing.T) {
				rounds := 1
				if strings.HasPrefix(mess.name, "lost") || strings.HasSuffix(mess.name, "millisecond") {
					rounds = 4
				}
				for round := range rounds {
					var names []string
					for i, part := range mess.make(frames, rand.New(rand.NewPCG(1, uint64(round)))) {
						name := filepath.Join(t.TempDir(), fmt.Sprintf("part%d.pcap", i))
						writeFrames(t, name, part)
						names = append(names, name)
					}
					var got answers
					got.read(t, names...)
					compare(t, clean, &got, mess.lossy)
				}
			})
		}
	})
}

// worse says what is said of flows that the clean capture shows as documented and
// that are no more: not what is left open, or beyond what is known of the ends.
func worse(clean, got *answers) (list []string) {
	for _, k := range slices.Sorted(maps.Keys(got.flows)) {
		for _, have := range got.flows[k] {
			known := strings.HasPrefix(have, "violation") || strings.HasPrefix(have, "undocumented") || strings.HasPrefix(have, "blocked")
			documented := func(w string) bool { return strings.HasPrefix(w, "documented") }
			if want := clean.flows[k]; known && len(want) > 0 && !slices.ContainsFunc(want, func(w string) bool { return !documented(w) }) {
				list = append(list, fmt.Sprintf("%s: %q, clean %q", k, have, want))
			}
		}
	}
	return list
}

// TestOneMachine leaves of the sample sites what a capture on each of their machines
// shows, and what one between each two of them.
func TestOneMachine(t *testing.T) {
	sampleSites(t, func(sample string, frames []taken, clean *answers) {
		at := slices.Sorted(maps.Keys(clean.roles))
		if len(at) < 6 {
			t.Fatalf("%s: hosts with roles: %v", sample, at)
		}
		for i := range at {
			for j := range i + 1 { // i with itself: whoever the other end is
				t.Run(sample+"/"+at[i]+" "+at[j], func(t *testing.T) {
					var part []taken
					for _, f := range frames {
						if a, b := f.ends(); a == at[i] && (b == at[j] || i == j) || b == at[i] && (a == at[j] || i == j) {
							part = append(part, f)
						}
					}
					if len(part) == 0 {
						return // they have nothing to do with each other
					}
					name := filepath.Join(t.TempDir(), "part.pcap")
					writeFrames(t, name, part)
					var got answers
					got.read(t, name)
					for _, w := range worse(clean, &got) {
						t.Error(w)
					}
				})
			}
		}
	})
}

// ends are the two addresses of an IPv4 packet.
func (f taken) ends() (src, dst string) {
	if !f.isIPv4() {
		return "", ""
	}
	return netip.AddrFrom4([4]byte(f.data[atIP+12:])).String(), netip.AddrFrom4([4]byte(f.data[atIP+16:])).String()
}

// TestSharedMachine puts an agent, or another server, on the machine of each server of
// the sample site. What they do beside each other is as documented as before.
func TestSharedMachine(t *testing.T) {
	path := filepath.Join("..", "..", "pcaps", "samples", "site.pcapng")
	frames := readFrames(t, path)
	var clean answers
	clean.read(t, path)
	var servers, others []string
	for _, addr := range slices.Sorted(maps.Keys(clean.roles)) {
		switch role := clean.roles[addr][0]; role {
		case "management-server", "storage-node", "catalog", "backup-gateway":
			servers = append(servers, addr)
			others = append(others, addr)
		case "agent":
			others = append(others, addr)
		}
	}
	if len(servers) != 4 || len(others) < 6 {
		t.Fatalf("servers %v, and others %v", servers, others)
	}
	for _, server := range servers {
		for _, guest := range others {
			if guest == server {
				continue
			}
			t.Run(guest+" on "+server, func(t *testing.T) {
				moved := func(b []byte) []byte {
					from, to := netip.MustParseAddr(guest).As4(), netip.MustParseAddr(server).As4()
					return bytes.ReplaceAll(bytes.ReplaceAll(b, from[:], to[:]), []byte(guest), []byte(server))
				}
				var part []taken
				for _, f := range frames {
					f.data = moved(f.data)
					if a, b := f.ends(); a != b || a == "" {
						part = append(part, f)
					}
				}
				name := filepath.Join(t.TempDir(), "shared.pcap")
				writeFrames(t, name, part)
				var got, want answers
				got.read(t, name)
				want.flows = map[string][]string{}
				for k, v := range clean.flows {
					to := keyOf(k, moved)
					want.flows[to] = append(want.flows[to], v...)
				}
				for _, w := range worse(&want, &got) {
					t.Error(w)
				}
			})
		}
	}
}

// TestPortsOnly cuts the frames of the sample sites behind the ports: every flow is
// there, and of none is said how it went.
func TestPortsOnly(t *testing.T) {
	const most = atIP + 20 + 6
	sampleSites(t, func(sample string, frames []taken, clean *answers) {
		for i, f := range frames {
			frames[i].data = f.data[:min(len(f.data), most)]
			frames[i].info.CaptureLength = len(frames[i].data)
		}
		name := filepath.Join(t.TempDir(), "cut.pcap")
		writeFrames(t, name, frames)
		var got answers
		got.read(t, name)
		for k, want := range clean.flows {
			if strings.HasPrefix(k, "icmp") {
				continue // their identifiers are cut off
			}
			have := got.flows[k]
			if len(have) != len(want) {
				t.Errorf("%s: %s: %q, clean %q", sample, k, have, want)
			}
			for _, h := range have {
				if strings.HasPrefix(h, "violation") || strings.HasPrefix(h, "blocked") || strings.HasPrefix(h, "documented") || strings.Contains(h, "start_not_captured") {
					t.Errorf("%s: %s: %q of ports alone", sample, k, h)
				}
			}
		}
		if report := written("audit", "--exit-zero", name); !strings.Contains(report, "cut after the ports") {
			t.Errorf("%s: the report does not say what was cut:\n%s", sample, report)
		}
	})
}

// keyOf is the key of flows whose addresses are others now. The two ends of a key are
// in order.
func keyOf(k string, moved func([]byte) []byte) string {
	proto, both, _ := strings.Cut(string(moved([]byte(k))), " ")
	ends := strings.SplitAfter(both, "} ")
	ends[0] = strings.TrimSuffix(ends[0], " ")
	slices.Sort(ends)
	return proto + " " + strings.Join(ends, " ")
}

// compare holds what was said of a messy capture against the clean one.
func compare(t *testing.T, clean, got *answers, lossy bool) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(clean.flows)) {
		want := clean.flows[k]
		have, ok := got.flows[k]
		switch {
		case !lossy && !slices.Equal(have, want):
			t.Errorf("%s: %q, clean %q", k, have, want)
		case !lossy && !slices.Equal(got.apps[k], clean.apps[k]):
			t.Errorf("%s: clients and protocols %q, clean %q", k, got.apps[k], clean.apps[k])
		case !lossy || !ok:
		default:
			for _, h := range have {
				verdict, reasons, _ := strings.Cut(h, " ")
				if verdict == "indeterminate" && reasons != "" {
					continue
				}
				if !slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(w, verdict+" ") }) {
					t.Errorf("%s: %q, clean %q", k, have, want)
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got.flows)) {
		if _, ok := clean.flows[k]; !ok {
			t.Errorf("%s: %q, clean nothing", k, got.flows[k])
		}
	}
	for _, addr := range slices.Sorted(maps.Keys(got.roles)) {
		for _, role := range got.roles[addr] {
			// A storage node's client of which nothing else was seen is taken
			// for an agent, as nearly all of them are.
			guess := lossy && role == "agent" && slices.Equal(clean.roles[addr], []string{"catalog"})
			if !slices.Contains(clean.roles[addr], role) && !guess {
				t.Errorf("%s is %q, clean %q", addr, got.roles[addr], clean.roles[addr])
			}
		}
	}
	if !lossy && len(got.roles) != len(clean.roles) {
		t.Errorf("%d hosts have a role, clean %d", len(got.roles), len(clean.roles))
	}
}

func readFrames(t *testing.T, path string) (frames []taken) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, taken{info, data})
	}
}

func writeFrames(t *testing.T, path string, frames []taken) {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(1<<16, links.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		f.info.InterfaceIndex = 0
		if err := w.WritePacket(f.info, f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mapped gives every host of the site's network another address: the network is
// another one, and of two hosts the higher becomes the lower. Addresses in messages,
// as bytes or as text, are of the same length and change with them.
func mapped(b []byte) []byte {
	b = slices.Clone(b)
	for i := 0; i+4 <= len(b); i++ {
		if b[i] == 10 && b[i+1] == 20 && b[i+2] == 30 {
			b[i+1], b[i+2] = 77, 33
			if n := b[i+3]; n >= 11 && n <= 26 {
				b[i+3] = 37 - n
			}
		}
	}
	const text = len("10.20.30.")
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("10.20.30."))
		if i < 0 {
			return b
		}
		at += i
		copy(b[at:], "10.77.33.")
		at += text
		if at+2 <= len(b) {
			if n := int(b[at]-'0')*10 + int(b[at+1]-'0'); n >= 11 && n <= 26 {
				copy(b[at:], fmt.Sprint(37-n))
			}
		}
	}
}

// TestAddressesMapped gives the hosts of the sample sites other addresses, one for
// one: what is said is the same, of the other addresses.
func TestAddressesMapped(t *testing.T) {
	sampleSites(t, func(sample string, frames []taken, clean *answers) {
		for i, f := range frames {
			frames[i].data = mapped(f.data)
		}
		name := filepath.Join(t.TempDir(), "mapped.pcap")
		writeFrames(t, name, frames)
		var got, want answers
		got.read(t, name)
		want.flows, want.apps, want.roles = map[string][]string{}, map[string][]string{}, map[string][]string{}
		for k := range clean.flows {
			to := keyOf(k, mapped)
			want.flows[to] = append(want.flows[to], clean.flows[k]...)
			for _, app := range clean.apps[k] {
				want.apps[to] = append(want.apps[to], string(mapped([]byte(app))))
			}
		}
		for addr, roles := range clean.roles {
			want.roles[string(mapped([]byte(addr)))] = roles
		}
		t.Run(sample, func(t *testing.T) { compare(t, &want, &got, false) })
	})
}
