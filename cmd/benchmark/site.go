package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
)

// A site is the hosts of the mixed workload and the names they use.
type site struct {
	rng   *rand.Rand
	noise *noise
	names []string // of servers on the internet
	chain [][]byte // certificate chains, as TLS 1.2 sends them
}

// How many hosts of each kind there are.
const (
	agents      = 4000
	management  = 4
	storage     = 4
	gateways    = 4
	fileServers = 20
	webServers  = 600
)

func newSite(rng *rand.Rand) *site {
	s := &site{rng: rng, noise: newNoise(rng), chain: certificateChains(64)}
	words := []string{"update", "cdn", "mail", "backup", "files", "login", "status", "media", "api", "shop"}
	for i := range 2000 {
		s.names = append(s.names, fmt.Sprintf("%s-%d.%s%d.example.org", words[i%len(words)], i, words[i/7%len(words)], i%97))
	}
	return s
}

// The hosts, by kind and number.
func (s *site) agent() netip.Addr { return address4(uint32(40<<16 + s.rng.IntN(agents))) }
func (s *site) manager() netip.Addr {
	return address4(uint32(20<<16 | 30<<8 | 11 + s.rng.IntN(management)))
}
func (s *site) store() netip.Addr { return address4(uint32(20<<16 | 30<<8 | 31 + s.rng.IntN(storage))) }
func (s *site) gateway() netip.Addr {
	return address4(uint32(20<<16 | 30<<8 | 51 + s.rng.IntN(gateways)))
}
func (s *site) filer() netip.Addr {
	return address4(uint32(20<<16 | 31<<8 | 10 + s.rng.IntN(fileServers)))
}
func (s *site) resolver() netip.Addr { return address4(20<<16 | 30<<8 | 53) }

// web returns a server on the internet (an address of the benchmark range) and
// the name it goes by.
func (s *site) web() (netip.Addr, string) {
	n := s.rng.IntN(len(s.names))
	host := n % webServers
	return netip.AddrFrom4([4]byte{198, 18, byte(host >> 8), byte(host)}), s.names[n]
}

// six is the same host by its IPv6 address.
func six(a netip.Addr) netip.Addr {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	four := a.As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}

// tail draws from a distribution with a long tail: half the values are below
// median, few are many times as large.
func (s *site) tail(median float64, sigma float64) int {
	return int(median * math.Exp(s.rng.NormFloat64()*sigma))
}

// random returns n random bytes.
func (s *site) random(n int) []byte {
	b := make([]byte, n)
	fill(b, s.rng)
	return b
}

// open begins a talk. One flow in five is tagged, one in twelve is IPv6.
func (s *site) open(proto uint8, client, server netip.Addr, port uint16) *talk {
	if s.rng.IntN(12) == 0 {
		client, server = six(client), six(server)
	}
	vlan := uint16(0)
	if s.rng.IntN(5) == 0 {
		vlan = uint16(10 + 10*s.rng.IntN(4))
	}
	source := uint16(49152 + s.rng.IntN(16384))
	t := &talk{noise: s.noise, ackEvery: 2 - s.rng.IntN(3)/2}
	t.wire = newWire(proto, netip.AddrPortFrom(client, source), netip.AddrPortFrom(server, port), vlan,
		[2]uint32{s.rng.Uint32(), s.rng.Uint32()})
	switch n := s.rng.IntN(100); {
	case n < 5:
		t.end = endRST
	case n < 10:
		t.end = endOpen
	}
	return t
}

// talk draws a flow. Forty percent are TLS, a third of all name their server.
func (s *site) talk() *talk {
	switch n := s.rng.IntN(1000); {
	case n < 240:
		return s.https()
	case n < 300:
		return s.console()
	case n < 350:
		return s.backup(s.agent(), s.tail(18_000, 1.2))
	case n < 400:
		return s.gatewayBackup()
	case n < 520:
		return s.http()
	case n < 600:
		return s.messages()
	case n < 780:
		return s.dns()
	case n < 860:
		return s.smb()
	case n < 900:
		return s.ssh()
	case n < 980:
		return s.quic()
	case n < 990:
		return s.ping()
	default:
		return s.opaque()
	}
}

func (s *site) https() *talk {
	server, name := s.web()
	t := s.open(protoTCP, s.agent(), server, 443)
	t.turns = s.tls(tlsOptions{name: name, old: s.rng.IntN(4) == 0, alpn: []string{"h2", "http/1.1"}})
	for range 1 + s.rng.IntN(4) {
		t.turns = append(t.turns,
			turn{dir: 0, bulk: 150 + s.rng.IntN(1200), frame: tlsRecords},
			turn{dir: 1, bulk: 200 + s.tail(2100, 1.2), frame: tlsRecords})
	}
	return t
}

func (s *site) console() *talk {
	t := s.open(protoTCP, s.agent(), s.manager(), 9877)
	t.turns = s.tls(tlsOptions{name: "ms.backup.example.org", old: s.rng.IntN(4) == 0, alpn: []string{"http/1.1"}})
	for range 1 + s.rng.IntN(6) {
		t.turns = append(t.turns,
			turn{dir: 0, bulk: 400 + s.rng.IntN(900), frame: tlsRecords},
			turn{dir: 1, bulk: 200 + s.tail(1500, 1), frame: tlsRecords})
	}
	return t
}

// backup sends n bytes to the storage node under mutual TLS.
func (s *site) backup(agent netip.Addr, n int) *talk {
	t := s.open(protoTCP, agent, s.store(), 9876)
	t.end = endFIN
	t.turns = s.tls(tlsOptions{mutual: true, old: s.rng.IntN(3) == 0})
	t.turns = append(t.turns,
		turn{dir: 0, bulk: 300, frame: tlsRecords},
		turn{dir: 1, bulk: 120, frame: tlsRecords},
		turn{dir: 0, bulk: n, frame: tlsRecords},
		turn{dir: 1, bulk: 64, frame: tlsRecords})
	return t
}

func (s *site) gatewayBackup() *talk {
	t := s.open(protoTCP, s.agent(), s.gateway(), 44445)
	name := ""
	if s.rng.IntN(3) != 0 {
		name = "gateway.backup.example.org"
	}
	t.turns = s.tls(tlsOptions{mutual: true, name: name})
	t.turns = append(t.turns,
		turn{dir: 0, bulk: 500 + s.tail(15_000, 1.2), frame: tlsRecords},
		turn{dir: 1, bulk: 80, frame: tlsRecords})
	return t
}

func (s *site) http() *talk {
	server, name := s.web()
	port := uint16(80)
	if s.rng.IntN(6) == 0 {
		port = 8080
	}
	t := s.open(protoTCP, s.agent(), server, port)
	for range 1 + s.rng.IntN(4) {
		cookie := ""
		if s.rng.IntN(3) == 0 {
			cookie = fmt.Sprintf("Cookie: session=%016x\r\n", s.rng.Uint64())
		}
		request := fmt.Sprintf("GET /objects/%d/index HTTP/1.1\r\nHost: %s\r\nUser-Agent: agent/15.%d\r\nAccept: */*\r\n%s\r\n",
			s.rng.IntN(1e6), name, s.rng.IntN(40), cookie)
		n := s.tail(2500, 1.2)
		response := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: httpd\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", n)
		t.turns = append(t.turns, turn{dir: 0, head: []byte(request)}, turn{dir: 1, head: []byte(response), bulk: n})
	}
	return t
}

// messages is ZMTP to the management server: CURVE as documented, and a few
// flows that are not.
func (s *site) messages() *talk {
	t := s.open(protoTCP, s.agent(), s.manager(), 7780)
	switch s.rng.IntN(8) {
	case 0:
		t.turns = s.zmtp("PLAIN")
	case 1:
		t.turns = s.zmtp("NULL")
	default:
		t.turns = s.zmtp("CURVE")
	}
	return t
}

func (s *site) ping() *talk {
	server, _ := s.web()
	agent := s.agent()
	t := &talk{noise: s.noise}
	id := uint16(s.rng.Uint32())
	t.wire = newWire(protoICMP, netip.AddrPortFrom(agent, id), netip.AddrPortFrom(server, 0), 0, [2]uint32{})
	return t
}

// opaque is a protocol that nobody knows.
func (s *site) opaque() *talk {
	t := s.open(protoTCP, s.agent(), s.filer(), uint16(5000+s.rng.IntN(20)))
	for i := range 2 + s.rng.IntN(8) {
		t.turns = append(t.turns, turn{dir: i & 1, head: []byte{0x9a, 0x01}, bulk: 20 + s.tail(400, 1)})
	}
	return t
}

// dns is one question and its answer.
func (s *site) dns() *talk {
	server, name := s.web()
	t := s.open(protoUDP, s.agent(), s.resolver(), 53)
	query := binary.BigEndian.AppendUint16(nil, uint16(s.rng.Uint32()))
	query = append(query, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired, one question
	query = appendName(query, name)
	query = append(query, 0, 1, 0, 1) // A, IN
	answer := append([]byte(nil), query...)
	answer[2], answer[3], answer[7] = 0x81, 0x80, 1
	answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	answer = append(answer, server.AsSlice()...)
	t.turns = []turn{{dir: 0, head: query}, {dir: 1, head: answer}}
	return t
}

func appendName(b []byte, name string) []byte {
	for len(name) > 0 {
		label := name
		for i := range len(name) {
			if name[i] == '.' {
				label = name[:i]
				break
			}
		}
		b = append(b, byte(len(label)))
		b = append(b, label...)
		name = name[min(len(name), len(label)+1):]
	}
	return append(b, 0)
}

// quic has the shape of QUIC version 1: a padded Initial from either side, one
// Handshake packet each, then short headers. Nothing in it decrypts.
func (s *site) quic() *talk {
	server, _ := s.web()
	t := s.open(protoUDP, s.agent(), server, 443)
	dcid, scid := s.random(8), s.random(8)
	long := func(first byte, to, from []byte, n int) []byte {
		b := []byte{first, 0, 0, 0, 1, byte(len(to))}
		b = append(b, to...)
		b = append(b, byte(len(from)))
		b = append(b, from...)
		if first&0x30 == 0 {
			b = append(b, 0) // no token
		}
		rest := n - len(b) - 2
		return binary.BigEndian.AppendUint16(b, 0x4000|uint16(rest))
	}
	initial := long(0xc3, dcid, scid, 1200)
	t.turns = append(t.turns, turn{dir: 0, head: initial, bulk: 1200 - len(initial)})
	reply := long(0xc1, scid, dcid, 1200)
	t.turns = append(t.turns, turn{dir: 1, head: reply, bulk: 1200 - len(reply)})
	for _, dir := range []int{1, 0} {
		hs := long(0xe1, dcid, scid, 900)
		t.turns = append(t.turns, turn{dir: dir, head: hs, bulk: 900 - len(hs)})
	}
	for range 2 + s.tail(14, 1) {
		dir, n := 1, 1100+s.rng.IntN(120)
		if s.rng.IntN(3) == 0 {
			dir, n = 0, 30+s.rng.IntN(60)
		}
		t.turns = append(t.turns, turn{dir: dir, head: append([]byte{0x45}, dcid...), bulk: n})
	}
	return t
}

func (s *site) ssh() *talk {
	t := s.open(protoTCP, s.agent(), s.filer(), 22)
	kex := func() []byte {
		lists := "curve25519-sha256,ecdh-sha2-nistp256,ssh-ed25519,rsa-sha2-512,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com"
		body := append([]byte{20}, s.random(16)...)
		for range 10 {
			body = binary.BigEndian.AppendUint32(body, uint32(len(lists)))
			body = append(body, lists...)
		}
		body = append(body, 0, 0, 0, 0, 0)
		pad := 8 - (5+len(body))%8 + 8
		b := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)+pad))
		b = append(b, byte(pad))
		b = append(b, body...)
		return append(b, make([]byte, pad)...)
	}
	t.turns = []turn{
		{dir: 0, head: []byte("SSH-2.0-OpenSSH_9.2p1\r\n")},
		{dir: 1, head: []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")},
		{dir: 0, head: kex()},
		{dir: 1, head: kex()},
	}
	for i := range 6 + s.rng.IntN(14) {
		t.turns = append(t.turns, turn{dir: i & 1, bulk: 36 + 16*s.rng.IntN(30)})
	}
	return t
}
