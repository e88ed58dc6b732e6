package pcaps

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket"
)

// played is a live source whose reads are written down beforehand.
type played struct {
	reads chan []Packet
	end   error
	name  string
	done  chan struct{}
}

func (p *played) Read(batch []Packet) (int, error) {
	select {
	case packets, ok := <-p.reads:
		if !ok {
			return 0, p.end
		}
		return copy(batch, packets), nil
	case <-p.done:
		return 0, io.EOF
	case <-time.After(liveWait):
		return 0, nil
	}
}

func (p *played) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) { return readOne(p) }
func (p *played) Stats() Stats {
	return Stats{Files: []FileStats{{Name: p.name}}, Received: 5, Dropped: 2, InterfaceDropped: 1}
}
func (p *played) Close() error { close(p.done); return nil }

func play(name string, end error, reads ...[]int64) *played {
	p := &played{reads: make(chan []Packet, len(reads)), end: end, name: name, done: make(chan struct{})}
	number := uint64(0)
	for _, times := range reads {
		var packets []Packet
		for _, t := range times {
			number++
			packets = append(packets, Packet{Frame: MakeFrameID(0, number), Time: t, Data: []byte(name), WireLen: len(name)})
		}
		p.reads <- packets
	}
	if end != nil {
		close(p.reads)
	}
	return p
}

// Frames of several interfaces come in the order of their times, each under
// its own interface, however they are spread over the reads.
func TestJoin(t *testing.T) {
	began := time.Now().UnixNano()
	at := func(times ...int64) []int64 {
		for i := range times {
			times[i] += began
		}
		return times
	}
	s := join([]Source{
		play("a", io.EOF, at(1, 4, 5), at(), at(9)),
		play("b", io.EOF, at(2), at(3, 6, 7, 8)),
		play("c", io.EOF),
	})
	defer s.Close()
	batch := make([]Packet, 4)
	next := [3]uint64{}
	last := began
	for {
		n, err := s.Read(batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range batch[:n] {
			next[p.Frame.File()]++
			if p.Time != last+1 || p.Frame.Number() != next[p.Frame.File()] || string(p.Data) != string("abc"[p.Frame.File()]) {
				t.Errorf("frame %d of %d at %d, %q, behind %d", p.Frame.Number(), p.Frame.File(), p.Time, p.Data, last)
			}
			last = p.Time
		}
	}
	if last != began+9 {
		t.Errorf("ended at %d", last-began)
	}
	if st := s.Stats(); len(st.Files) != 3 || st.Files[1].Name != "b" || st.Received != 15 || st.Dropped != 6 || st.InterfaceDropped != 3 {
		t.Errorf("statistics %+v", st)
	}
}

// An interface that shows nothing holds the others up by the slack, no longer,
// also where the clock of the frames is ahead.
func TestJoinSilent(t *testing.T) {
	ahead := time.Now().Add(time.Hour).UnixNano()
	s := join([]Source{play("silent", nil), play("b", nil, []int64{ahead})})
	batch := make([]Packet, 4)
	began := time.Now()
	n, err := s.Read(batch)
	if took := time.Since(began); n != 1 || err != nil || took < joinSlack/2 || took > liveWait {
		t.Errorf("%d frames, %v, after %v", n, err, took)
	}
	if n, err := s.Read(batch); n != 0 || err != nil {
		t.Errorf("%d frames, %v where all is silent", n, err)
	}
	go s.Close()
	for range 3 {
		if _, err = s.Read(batch); err == io.EOF {
			break
		}
	}
	if err != io.EOF {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestJoinError(t *testing.T) {
	broken := errors.New("eth0: broken")
	s := join([]Source{play("silent", nil), play("b", broken, []int64{1})})
	defer s.Close()
	batch := make([]Packet, 4)
	var err error
	seen := 0
	for range 4 {
		var n int
		if n, err = s.Read(batch); err != nil {
			break
		}
		seen += n
	}
	if seen != 1 || err != broken {
		t.Errorf("%d frames, then %v", seen, err)
	}
}
