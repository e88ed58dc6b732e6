package dissect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

const testHeld = 1 << 20

// factsOf prints facts one per line: "name value", Pair as two numbers.
func factsOf(s *State) string {
	var b strings.Builder
	for _, f := range s.All() {
		info := f.Key.Info()
		switch info.Kind {
		case Flag:
			fmt.Fprintf(&b, "%s %t\n", info.Name, f.Num != 0)
		case Int, Ints, Float:
			fmt.Fprintf(&b, "%s %d\n", info.Name, f.Num)
		case Pair:
			fmt.Fprintf(&b, "%s %d %d\n", info.Name, f.Pair()[0], f.Pair()[1])
		default:
			fmt.Fprintf(&b, "%s %s\n", info.Name, f.Str)
		}
	}
	return b.String()
}

// conversation drives one State.
type conversation struct {
	t     testing.TB
	set   *Set
	state State
	over  Transport
	ports [2]uint16
	sure  bool // who is the client is known
	flips int
	now   int64
}

// testSet is shared by the conversations, which come one after the other: its
// tables are large.
var testSet = sync.OnceValue(func() *Set { return NewSet(All(), &Context{Fingerprints: true}, testHeld) })

func converse(t testing.TB, s *sample) *conversation {
	return &conversation{
		t:     t,
		set:   testSet(),
		over:  s.over,
		ports: s.ports,
		sure:  true,
	}
}

func (c *conversation) say(dir Dir, b []byte) {
	c.now += 1e6
	c.state.Now = c.now
	c.state.Frame++
	if c.flips%2 == 1 {
		dir = dir.Other()
	}
	// The caller's buffer is not the State's to keep.
	b = bytes.Clone(b)
	if c.state.Data(c.set, c.over, dir, c.ports, c.sure, b) {
		c.flips++
		c.ports[0], c.ports[1] = c.ports[1], c.ports[0]
	}
	clear(b)
}

// end closes the flow and returns what was learned.
func (c *conversation) end() string {
	c.t.Helper()
	c.state.Close(c.set)
	for _, x := range c.state.Facts.All() {
		if x.Frame() == 0 && x.Str != "unknown" {
			c.t.Errorf("no frame proves %s %s", x.Key, x.Str)
		}
	}
	if c.set.Held() != 0 {
		c.t.Errorf("%d bytes are still accounted for after the end", c.set.Held())
	}
	return factsOf(&c.state)
}

func eachSample(t *testing.T, f func(t *testing.T, s *sample)) {
	for i := range samples {
		t.Run(samples[i].name, func(t *testing.T) { f(t, &samples[i]) })
	}
}

func TestSamples(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		c := converse(t, s)
		for _, m := range s.says {
			c.say(m.from, m.b)
		}
		facts := c.end()
		if got := c.state.Protocol(c.set); got != s.protocol {
			t.Errorf("protocol %q, want %q", got, s.protocol)
		}
		if err := c.state.Broken(); err != nil {
			t.Errorf("broken: %v", err)
		}
		if facts != strings.TrimLeft(s.facts, "\n") {
			t.Errorf("facts:\n%swant:%s", facts, s.facts)
		}
	})
}

// TestEveryProtocolHasSamples makes a new protocol bring its messages, of both
// directions.
func TestEveryProtocolHasSamples(t *testing.T) {
	for i, d := range All() {
		var spoke [2]bool
		for j := range samples {
			s := &samples[j]
			if d.Over&s.over == 0 {
				continue
			}
			c := converse(t, s)
			for _, m := range s.says {
				c.say(m.from, m.b)
				if int(c.state.reading) == i+1 {
					spoke[m.from] = true
				}
			}
			c.end()
		}
		if !spoke[ToServer] || !spoke[ToClient] {
			t.Errorf("dissector %d, %s: no sample of both directions", i, d.Name)
		}
	}
}

// TestPrefixes cuts every conversation behind every byte: what is missing is
// short, never malformed, and no protocol is ruled out that the whole shows.
func TestPrefixes(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		if s.over != TCP {
			t.Run("datagram", func(t *testing.T) { cutDatagrams(t, s) })
			return
		}
		for i, m := range s.says {
			for n := range m.b {
				c := converse(t, s)
				for _, before := range s.says[:i] {
					c.say(before.from, before.b)
				}
				c.say(m.from, m.b[:n])
				if err := c.state.Broken(); err != nil {
					t.Fatalf("message %d cut at byte %d: %v", i, n, err)
				}
				c.say(m.from, m.b[n:])
				for _, after := range s.says[i+1:] {
					c.say(after.from, after.b)
				}
				c.end()
				if got := c.state.Protocol(c.set); got != s.protocol {
					t.Fatalf("message %d cut at byte %d: protocol %q, want %q", i, n, got, s.protocol)
				}
			}
		}
	})
}

// cutDatagrams delivers datagrams that the capture cut short: what can be read
// of them must agree with the whole.
func cutDatagrams(t *testing.T, s *sample) {
	whole := converse(t, s)
	for _, m := range s.says {
		whole.say(m.from, m.b)
	}
	all := whole.end()
	for i, m := range s.says {
		for n := range m.b {
			c := converse(t, s)
			for j, other := range s.says {
				if j != i {
					c.say(other.from, other.b)
				} else {
					c.say(m.from, m.b[:n])
				}
			}
			agree(t, all, c.end(), fmt.Sprintf("datagram %d cut at byte %d", i, n))
		}
	}
}

// TestSplits delivers every conversation in other pieces: it says the same.
func TestSplits(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		if s.over != TCP {
			return // datagrams come whole
		}
		want := strings.TrimLeft(s.facts, "\n")
		check := func(what string, cut func(c *conversation)) {
			t.Helper()
			c := converse(t, s)
			cut(c)
			if got := c.end(); got != want {
				t.Fatalf("%s:\n%swant:\n%s", what, got, want)
			}
		}
		check("byte by byte", func(c *conversation) {
			for _, m := range s.says {
				for i := range m.b {
					c.say(m.from, m.b[i:i+1])
				}
			}
		})
		for i := range s.says {
			for n := 1; n < len(s.says[i].b); n++ {
				check(fmt.Sprintf("message %d in two at byte %d", i, n), func(c *conversation) {
					for j, m := range s.says {
						if j == i {
							c.say(m.from, m.b[:n])
							c.say(m.from, m.b[n:])
						} else {
							c.say(m.from, m.b)
						}
					}
				})
			}
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			check("in pieces", func(c *conversation) {
				for _, m := range s.says {
					for b := m.b; len(b) > 0; {
						n := 1 + random.IntN(min(len(b), 40))
						c.say(m.from, b[:n])
						b = b[n:]
					}
				}
			})
		}
	})
}

// TestGaps loses a part of every conversation: what is still learned must not
// contradict the whole.
func TestGaps(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		if s.over != TCP {
			return
		}
		all := strings.TrimLeft(s.facts, "\n")
		for i := range s.says {
			size := len(s.says[i].b)
			for from := range size {
				for _, lost := range []int{1, 7, size - from} {
					if from+lost > size {
						continue
					}
					c := converse(t, s)
					for j, m := range s.says {
						if j != i {
							c.say(m.from, m.b)
							continue
						}
						c.say(m.from, m.b[:from])
						dir := m.from
						c.state.Gap(c.set, dir, uint64(lost))
						c.say(m.from, m.b[from+lost:])
					}
					agree(t, all, c.end(), fmt.Sprintf("message %d without %d bytes at byte %d", i, lost, from))
				}
			}
		}
	})
}

// agree checks that every fact of part is one of whole. Counts may be lower;
// that something was not completed, or is not known, is no contradiction.
func agree(t *testing.T, whole, part, what string) {
	t.Helper()
	for line := range strings.Lines(part) {
		if strings.Contains(whole, line) {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case strings.HasSuffix(name, ".handshake") && value == "incomplete",
			value == "unknown",
			value == "2.???",                     // the dialect was still to be settled
			name == "tls.client_cert_confidence", // of what rests on less
			name == "http.requests", name == "http.unauthenticated", name == "zmtp.messages", name == "zmtp.heartbeats", name == "icmp.rtt_ms":
			continue
		}
		if (name == "http.user_agent" || name == "http.server") && strings.Contains(whole, name+" "+value) {
			continue // cut
		}
		if name == "http.host_cut" || name == "http.host" && strings.Contains(part, "http.host_cut true") && strings.Contains(whole, name+" "+value) {
			continue
		}
		// A host of which the port is cut.
		if host, port, ok := strings.Cut(value, ":"); name == "http.host" && ok && port != "" && strings.Contains(whole, "http.host "+host+":"+port) {
			continue
		}
		t.Fatalf("%s: %s %s; the whole says\n%s", what, name, value, whole)
	}
}

// eitherEnds is the samples of which either end could have sent everything, or of
// which what would tell is too weak to be believed on any port.
var eitherEnds = []string{
	"SNMP version 3", "NTP", "NetBIOS datagrams", "SSDP", "HSRP", "HSRP, the second version", "WS-Discovery",
	"WireGuard, under way", "BitTorrent", "BitTorrent's local discovery", "BGP", "VNC", "Telnet", "AMQP", "SIP", "Redis",
	"rsync", "Zabbix", "RMCP: IPMI", "NetFlow 9, records first", "memcached, a look", "memcached over UDP", "SSH",
	"SOCKS 5", "SOCKS 4 refused", "PROXY protocol, version 2, the server speaks first", "DNS over TCP", "mDNS", "LLMNR",
	"ICMP", "ICMPv6", "ZMTP 3.1 NULL", "ZMTP 3.1 CURVE", "ZMTP 3.1 CURVE refused", "ZMTP 3.1 PLAIN",
	"ZMTP 3.1 PLAIN refused", "ZMTP 2.0", "ZMTP 1.0", "NetBIOS datagrams of SMB1", "DNS", "an SSH server, asked for TLS",
	"QUIC", "STUN, then DTLS",
}

// TestOrientation delivers every conversation with the ends taken for each
// other: where the bytes tell, they are turned round, and all is as before.
func TestOrientation(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample) {
		turned := *s
		turned.ports[0], turned.ports[1] = s.ports[1], s.ports[0]
		c := converse(t, &turned)
		c.sure = false
		c.flips = 1 // the caller's client is our server, until a flip
		for _, m := range s.says {
			c.say(m.from, m.b)
		}
		facts := c.end()
		if !c.state.Oriented() {
			if !slices.Contains(eitherEnds, s.name) {
				t.Error("the bytes do not tell who the client is")
			}
			return
		}
		if slices.Contains(eitherEnds, s.name) {
			t.Error("the bytes tell who the client is, and should not")
		}
		if c.flips != 2 {
			t.Errorf("turned round %d times, want once", c.flips-1)
		}
		if want := strings.TrimLeft(s.facts, "\n"); facts != want {
			t.Errorf("facts:\n%swant:\n%s", facts, want)
		}
	})
}

// TestOtherPorts moves every conversation to ports that nobody knows: what is
// strong evidence stays so.
func TestOtherPorts(t *testing.T) {
	weak := map[string]string{
		"mDNS":                 "dns", // but for the port it is plain DNS
		"LLMNR":                "dns",
		"SOCKS 5":              "", // its first message is but a few small numbers
		"NTP":                  "", // few of its bits are fixed
		"WireGuard, under way": "", // likewise
		"memcached, a look":    "", // a word and a name
		"HSRP":                 "", // a few small numbers

		"NetFlow 9, records first": "", // like NTP's
	}
	eachSample(t, func(t *testing.T, s *sample) {
		moved := *s
		moved.ports = [2]uint16{40001, 40002}
		c := converse(t, &moved)
		for _, m := range s.says {
			c.say(m.from, m.b)
		}
		c.end()
		want := s.protocol
		if w, ok := weak[s.name]; ok {
			want = w
		}
		if got := c.state.Protocol(c.set); got != want {
			t.Errorf("protocol %q, want %q", got, want)
		}
		if want != "" && c.state.By() != ByContent {
			t.Errorf("known by %s, want content", c.state.By())
		}
	})
}

// TestSecrets plants secrets and looks for them, and for their parts, in every
// fact.
func TestSecrets(t *testing.T) {
	secrets := []string{plantedJWT, plantedCookie, plantedBasic, plantedPassword}
	for part := range strings.SplitSeq(plantedJWT, ".") {
		secrets = append(secrets, part)
	}
	eachSample(t, func(t *testing.T, s *sample) {
		c := converse(t, s)
		for _, m := range s.says {
			c.say(m.from, m.b)
		}
		facts := c.end()
		for _, secret := range secrets {
			if strings.Contains(facts, secret) {
				t.Errorf("%q is in the facts:\n%s", secret, facts)
			}
		}
	})
}

// FuzzDissect delivers hostile bytes. script says how to cut b: each byte is
// the size of a piece, its lowest bit the direction, and a piece of size 0 a
// gap.
// FuzzDissect begins with every sample, or with those of the protocols that
// PROTOCOLS lists, with spaces between.
func FuzzDissect(f *testing.F) {
	only := strings.Fields(os.Getenv("PROTOCOLS"))
	for i := range samples {
		s := &samples[i]
		if len(only) > 0 && !slices.Contains(only, s.protocol) {
			continue
		}
		var b, script []byte
		for _, m := range s.says {
			for rest := m.b; len(rest) > 0; {
				n := min(len(rest), 127)
				b = append(b, rest[:n]...)
				script = append(script, byte(n)<<1|byte(m.from))
				rest = rest[n:]
			}
		}
		f.Add(uint8(s.over), s.ports[0], s.ports[1], true, script, b)
	}
	f.Fuzz(func(t *testing.T, over uint8, client, server uint16, sure bool, script, b []byte) {
		s := sample{over: TCP, ports: [2]uint16{client, server}}
		if t := Transport(over); t == UDP || t == ICMP {
			s.over = t
		}
		c := converse(t, &s)
		c.sure = sure
		for _, step := range script {
			dir := Dir(step & 1)
			n := min(int(step>>1), len(b))
			if n == 0 && s.over == TCP {
				c.state.Gap(c.set, dir, uint64(step)*3+1)
				continue
			}
			c.say(dir, b[:n])
			b = b[n:]
			if held := c.set.Held(); held != c.state.held() {
				t.Fatalf("%d bytes accounted for, %d wait", held, c.state.held())
			}
		}
		c.end()
		for _, fact := range c.state.All() {
			if len(fact.Str) > maxTextSize {
				t.Errorf("%s has %d bytes", fact.Key, len(fact.Str))
			}
		}
	})
}
