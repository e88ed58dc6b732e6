package flows

import (
	"bytes"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wirechart/dissect"
	"wirechart/pcaps"
)

// said is one packet of a conversation in clear text.
func said(list []pcaps.Packet, seconds float64, src, dst, kind string, seq, ack uint32, data string) []pcaps.Packet {
	h := header{src: netip.MustParseAddrPort(src), dst: netip.MustParseAddrPort(dst), kind: kind, seq: seq, ack: ack,
		data: []byte(data), id: uint16(len(list) + 1), ttl: 64, window: 8192}
	p := pcaps.Packet{Link: pcaps.LinkEthernet, Time: epoch + int64(seconds*1e9+0.5), Data: h.frame()}
	p.WireLen = len(p.Data)
	return append(list, p)
}

// retell finds the flows of packets with a Table and has a Watch follow those
// of these ids.
func retell(t *testing.T, packets []pcaps.Packet, named []pcaps.FrameID, ids ...uint64) []*Story {
	t.Helper()
	for i := range packets {
		packets[i].Frame = pcaps.MakeFrameID(0, uint64(i+1))
	}
	config := Config{Limits: limits()}
	watch := NewWatch(config, dissect.All(), dissect.Context{})
	table := NewTable(config, dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20), func(all iter.Seq[*Flow]) {
		for f := range all {
			for _, id := range ids {
				if f.ID == id {
					watch.Follow(f.Clone(), named...)
				}
			}
		}
	})
	table.Add(packets)
	table.Finish()
	for i := range packets {
		p := packets[i]
		p.Data = bytes.Clone(p.Data)
		watch.Add(&p)
		clear(p.Data) // it is the source's again
	}
	return watch.Finish()
}

// tells writes a story down: a line for each step.
func (s *Story) tells() string {
	var b strings.Builder
	for _, x := range s.Steps {
		if x.Before.Frames > 0 {
			fmt.Fprintf(&b, "(%d left, %d acks, %d copies, %v)\n", x.Before.Frames, x.Before.Acks, x.Before.Copies, x.Before.Payload)
		}
		fmt.Fprintf(&b, "%d %c", x.Packet.Frame.Number(), "><"[x.Dir])
		switch {
		case x.Part:
			b.WriteString(" part")
		case x.Quoted:
			fmt.Fprintf(&b, " icmp %d/%d from %s", x.ICMPType, x.ICMPCode, x.From)
		case s.Flow.Proto == ProtoTCP:
			b.WriteByte(' ')
			for i, c := range "FSRPA" {
				if x.Flags&(1<<i) != 0 {
					b.WriteRune(c)
				}
			}
			fmt.Fprintf(&b, " %d:%d len %d", x.Seq, x.Ack, x.Payload)
		}
		for _, f := range []struct {
			is   bool
			name string
		}{{x.Again, " again"}, {x.Ahead, " ahead"}, {x.Late, " late"}, {x.Copy, " copy"}, {x.Named, " named"}} {
			if f.is {
				b.WriteString(f.name)
			}
		}
		for _, m := range x.Messages {
			b.WriteString(" | " + m.Text)
		}
		b.WriteByte('\n')
	}
	if s.After.Frames > 0 {
		fmt.Fprintf(&b, "(%d left)\n", s.After.Frames)
	}
	return b.String()
}

func TestWatch(t *testing.T) {
	const client, server, router = "10.0.0.1:4000", "10.0.0.2:80", "10.0.0.9:0"
	const request = "GET /a HTTP/1.1\r\nHost: ms\r\nAuthorization: Basic cGxhbnRlZA==\r\n\r\n"
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted"
	first, second := request[:20], request[20:]
	var p []pcaps.Packet
	tcp := func(at float64, dir dissect.Dir, kind string, seq, ack uint32, data string) {
		if dir == ToServer {
			p = said(p, at, client, server, kind, seq, ack, data)
		} else {
			p = said(p, at, server, client, kind, seq, ack, data)
		}
	}
	tcp(0.00, ToServer, "S", 100, 0, "")
	p = append(p, p[0]) // made by the mirror
	p[1].Data = bytes.Clone(p[0].Data)
	p[1].Data[14+8]--
	p = said(p, 0.005, "10.0.0.1:4001", server, "S", 7, 0, "") // another flow
	tcp(0.01, ToClient, "SA", 500, 101, "")
	tcp(0.02, ToServer, "A", 101, 501, "")
	tcp(0.03, ToServer, "PA", 121, 501, second)
	tcp(0.04, ToServer, "A", 101, 501, first)
	tcp(0.05, ToServer, "A", 101, 501, first)
	tcp(0.06, ToClient, "PA", 501, 101+uint32(len(request)), answer)
	tcp(0.07, ToServer, "A", 101+uint32(len(request)), 501+uint32(len(answer)), "")
	h := header{src: netip.MustParseAddrPort(router), dst: netip.MustParseAddrPort(client), kind: "icmp:3/13", id: 99, ttl: 64, data: p[0].Data[14:42]}
	p = append(p, pcaps.Packet{Link: pcaps.LinkEthernet, Time: epoch + 80e6, Data: h.frame(), WireLen: 70})
	tcp(0.09, ToServer, "R", 101+uint32(len(request)), 0, "")
	tcp(5.00, ToServer, "S", 90000, 0, "") // the same ports again
	tcp(5.01, ToClient, "SA", 80000, 90001, "")
	tcp(5.02, ToServer, "A", 90001, 80001, "GET /b HTTP/1.1\r\n\r\n")

	stories := retell(t, p, nil, 1, 4)
	want := []string{`
1 > S 0:0 len 0
(1 left, 0 acks, 1 copies, [0 0])
4 < SA 0:1 len 0
5 > A 1:1 len 0
6 > PA 21:1 len 44 ahead | Host: ms | Authorization: (scheme basic, 18 bytes not shown)
7 > A 1:1 len 20 late | GET /a HTTP/1.1
8 > A 1:1 len 20 again
9 < PA 1:65 len 45 | HTTP/1.1 200 OK | Content-Length: 7 | body of 7 bytes
(1 left, 1 acks, 0 copies, [0 0])
11 < icmp 3/13 from 10.0.0.9
12 > R 65:0 len 0
`, `
13 > S 0:0 len 0
14 < SA 0:1 len 0
15 > A 1:1 len 19 | GET /b HTTP/1.1
`}
	for i, s := range stories {
		if got := s.tells(); got != strings.TrimLeft(want[i], "\n") {
			t.Errorf("flow %d tells\n%swant%s", s.Flow.ID, got, want[i])
		}
	}
	// Request and answer as they may be shown, each byte in its frame.
	var shown []string
	for _, x := range stories[0].Steps {
		if data, masked, cut := x.Public(); x.Payload > 0 {
			shown = append(shown, fmt.Sprintf("%d %q %d %d", x.Packet.Frame.Number(), data[x.At:], masked, cut))
		}
	}
	if got, want := strings.Join(shown, "\n"), strings.Join([]string{
		`6 "t: ms\r\nAuthorization:xxxxxxxxxxxxxxxxxxx\r\n\r\n" 19 0`,
		`7 "GET /a HTTP/1.1\r\nHos" 0 0`,
		`8 "" 0 20`,
		`9 "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" 0 7`,
		fmt.Sprintf("11 %q 0 0", h.frame()[34:]),
	}, "\n"); got != want {
		t.Errorf("shown\n%s\nwant\n%s", got, want)
	}
}

// TestWatchBegunLate tells of a connection whose start is missing: its first bytes
// are delivered a little later than they come, and are told in their frame.
func TestWatchBegunLate(t *testing.T) {
	const client, server = "10.0.0.1:4000", "10.0.0.2:80"
	var p []pcaps.Packet
	for i := range 5 {
		p = said(p, float64(i), server, client, "A", 501, 101+uint32(i), "")
	}
	const request = "GET /a HTTP/1.1\r\n\r\n"
	p = said(p, 6.000, client, server, "PA", 106, 501, request)
	p = said(p, 6.001, server, client, "PA", 501, 106+uint32(len(request)), "HTTP/1.1 204 No Content\r\n\r\n")
	p = said(p, 6.500, client, server, "A", 106+uint32(len(request)), 528, "")
	want := `1 < A 1:1 len 0
2 < A 1:2 len 0
3 < A 1:3 len 0
4 < A 1:4 len 0
(1 left, 1 acks, 0 copies, [0 0])
6 > PA 6:1 len 19 | GET /a HTTP/1.1
7 < PA 1:25 len 27 | HTTP/1.1 204 No Content
(1 left)
`
	if got := retell(t, p, nil, 1)[0].tells(); got != want {
		t.Errorf("the flow tells\n%swant\n%s", got, want)
	}
}

// TestRefusalAlone begins a flow with the reset that answers a SYN, of which the
// capture lacks the SYN or has it later.
func TestRefusalAlone(t *testing.T) {
	refusal := said(nil, 0.001, "10.9.0.2:44446", "10.1.0.1:56444", "RA", 0, 1001, "")
	for name, packets := range map[string][]pcaps.Packet{
		"alone":       refusal,
		"then a SYN":  said(refusal, 0.002, "10.1.0.1:56444", "10.9.0.2:44446", "S", 1000, 0, ""),
		"of a stream": said(nil, 0, "10.1.0.1:56444", "10.9.0.2:44446", "RA", 77, 1001, ""),
	} {
		for _, s := range retell(t, slices.Clone(packets), nil, 1) {
			if f := s.Flow; f.Client.Port() != 56444 || f.TCP.ResetBy == ResetByClient != (name == "of a stream") {
				t.Errorf("%s: client %v, %v, reset by %v", name, f.Client, f.Oriented, f.TCP.ResetBy)
			}
		}
	}
}
