package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"

	"wirechart/pcaps"
)

// soak is an interface on which traffic is made up, as fast as it says, for as
// long as it says.
type soak struct {
	kind  string
	rate  int // flows a second, or frames where there are no connections
	until time.Time

	began  time.Time
	frames uint64
	flows  uint64
	queue  [][]byte // of the connection that was begun
	random *rand.Rand
	stats  pcaps.FileStats
	sample func()
	next   time.Time
}

const (
	soakFlows = 200_000 // --max-flows
	soakRate  = 20_000
)

// packet is an Ethernet frame with IPv4 and what is behind it.
func soakPacket(src, dst uint32, proto byte, fragment uint16, body []byte) []byte {
	b := make([]byte, 14+20+len(body))
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00")
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(ip[6:], fragment)
	binary.BigEndian.PutUint32(ip[12:], src)
	binary.BigEndian.PutUint32(ip[16:], dst)
	copy(ip[20:], body)
	return b
}

func soakTCP(src, dst uint32, sport, dport uint16, seq, ack uint32, flags byte, payload string) []byte {
	t := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(t, sport)
	binary.BigEndian.PutUint16(t[2:], dport)
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], ack)
	t[12], t[13], t[15] = 5<<4, flags, 0xff
	return soakPacket(src, dst, 6, 0, append(t, payload...))
}

// begin queues the frames of one more flow.
func (s *soak) begin() {
	n := uint32(s.flows)
	s.flows++
	const server = 10<<24 | 20<<16 | 30<<8
	switch s.kind {
	case "churn":
		// Connections of five thousand hosts with sixteen, most of them good.
		client, to := uint32(10<<24|1<<16)+n%5000, server+n%16
		port := uint16(49152 + n/5000%16000)
		request := "GET /api/tasks HTTP/1.1\r\nHost: ms.example\r\n\r\n"
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
		q := func(fromClient bool, seq, ack uint32, flags byte, payload string) {
			if fromClient {
				s.queue = append(s.queue, soakTCP(client, to, port, 9877, seq, ack, flags, payload))
			} else {
				s.queue = append(s.queue, soakTCP(to, client, 9877, port, seq, ack, flags, payload))
			}
		}
		a, b := uint32(len(request)), uint32(len(answer))
		q(true, 100, 0, 2, "")
		q(false, 500, 101, 0x12, "")
		q(true, 101, 501, 0x10, "")
		q(true, 101, 501, 0x18, request)
		q(false, 501, 101+a, 0x18, answer)
		q(true, 101+a, 501+b, 0x11, "")
		q(false, 501+b, 102+a, 0x11, "")
	case "synflood":
		s.queue = append(s.queue, soakTCP(s.random.Uint32(), server+1, uint16(s.random.Uint32()), 9877, s.random.Uint32(), 0, 2, ""))
	case "fragments":
		// First fragments whose rest never comes.
		body := make([]byte, 64)
		binary.BigEndian.PutUint32(body, s.random.Uint32())
		p := soakPacket(s.random.Uint32(), server+1, 17, 1<<13, body)
		binary.BigEndian.PutUint16(p[18:], uint16(n))
		s.queue = append(s.queue, p)
	}
}

func (s *soak) Read(batch []pcaps.Packet) (int, error) {
	now := time.Now()
	if s.began.IsZero() {
		s.began = now
	}
	if now.After(s.next) {
		s.next = now.Add(time.Second)
		s.sample()
	}
	if now.After(s.until) && len(s.queue) == 0 {
		return 0, io.EOF
	}
	due := uint64(now.Sub(s.began).Seconds() * float64(s.rate))
	n := 0
	for n < len(batch) {
		if len(s.queue) == 0 {
			if s.flows >= due || now.After(s.until) {
				break
			}
			s.queue = s.queue[:0]
			s.begin()
		}
		data := s.queue[0]
		s.queue = s.queue[1:]
		s.frames++
		batch[n] = pcaps.Packet{Frame: pcaps.MakeFrameID(0, s.frames), Time: now.UnixNano(), Data: data, WireLen: len(data), Link: pcaps.LinkEthernet}
		s.stats.Bytes += uint64(len(data))
		n++
	}
	if n == 0 {
		time.Sleep(time.Millisecond)
	}
	return n, nil
}

func (s *soak) Stats() pcaps.Stats {
	st := s.stats
	st.Name, st.Format, st.Frames, st.First, st.Last = "soak", "live", s.frames, s.began.UnixNano(), time.Now().UnixNano()
	return pcaps.Stats{Files: []pcaps.FileStats{st}, Received: s.frames}
}

func (s *soak) Close() error { return nil }

func (s *soak) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	return nil, gopacket.CaptureInfo{}, io.EOF
}

// soakInventory makes one of the sixteen servers of the churn one that is called
// in clear where that is a violation.
const soakInventory = "version: 1\nhosts:\n  - {address: 10.20.30.1, roles: [management-server]}\n  - {address: 10.1.0.0/16, roles: [agent]}\n"

// resident is the memory of the process, bytes.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseUint(strings.Fields(string(b))[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// TestSoak lets live run for as long as SOAK says (make soak), a third of it for
// each kind of traffic: its memory stays what it was after the warm-up, what it
// counts is what there was, and it leaves nothing behind.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("SOAK=30m in the environment runs it (make soak)")
	}
	counterSignals() // the first one begins a goroutine of the runtime's that stays
	for _, kind := range []string{"churn", "synflood", "fragments"} {
		t.Run(kind, func(t *testing.T) {
			runtime.GC()
			before := runtime.NumGoroutine()
			var memory []uint64
			s := &soak{kind: kind, rate: soakRate, until: time.Now().Add(length / 3), random: rand.New(rand.NewPCG(1, 2))}
			s.sample = func() { memory = append(memory, resident()) }
			l := &liveOptions{open: func([]string, pcaps.LiveOptions) (pcaps.Source, error) { return s, nil }}
			dir := t.TempDir()
			status, out, stderr := liveOverAt(t, context.Background(), l, refreshLeast, "-i", "soak", "-o", "json", "-q", "--max-flows", fmt.Sprint(soakFlows),
				"--inventory", file(t, "inventory.yaml", soakInventory), "--state", filepath.Join(dir, "state.json"), "--evidence", filepath.Join(dir, "evidence"), "--metrics", "127.0.0.1:0")
			if status == exitError {
				t.Fatal(stderr)
			}
			var a struct {
				Verdicts map[string]struct{ Flows uint64 }
				Coverage struct {
					Packets, Flows, Evicted, Judged_early uint64
					Outcomes                              map[string]uint64
				}
			}
			if err := json.Unmarshal([]byte(out), &a); err != nil {
				t.Fatal(err)
			}
			c := a.Coverage
			if c.Packets != s.frames {
				t.Errorf("%d frames counted of %d", c.Packets, s.frames)
			}
			judged := uint64(0)
			for _, v := range a.Verdicts {
				judged += v.Flows
			}
			if kind == "fragments" {
				if c.Outcomes["fragment"] != s.frames {
					t.Errorf("outcomes %v of %d frames", c.Outcomes, s.frames)
				}
			} else if judged != c.Flows || kind == "churn" && c.Flows != s.flows {
				t.Errorf("%d flows made, %d counted, %d judged", s.flows, c.Flows, judged)
			}
			// After a third it is warm: from there on it does not grow.
			third := len(memory) / 3
			top := func(list []uint64) (m uint64) {
				for _, v := range list {
					m = max(m, v)
				}
				return m
			}
			if third > 0 {
				early, late := top(memory[third:2*third]), top(memory[2*third:])
				t.Logf("%s: %d flows and %d frames in %s; %d judged early, %d evicted; resident %d MB in the second third, %d MB in the last",
					kind, s.flows, s.frames, length/3, c.Judged_early, c.Evicted, early>>20, late>>20)
				if length >= time.Minute && late > early+early/10+8<<20 {
					t.Errorf("memory grows: %d MB in the second third, %d MB in the last", early>>20, late>>20)
				}
				if late > 2<<30 {
					t.Errorf("%d MB", late>>20)
				}
			}
			if got := float64(s.flows) / (length / 3).Seconds(); got < 0.9*soakRate {
				t.Logf("only %.0f flows a second were made: the machine is busy", got)
			}
			runtime.GC()
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines, there were %d", n, before)
			}
		})
	}
}
