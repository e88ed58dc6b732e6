package pcaps

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/google/gopacket"
)

const (
	joinBatch = 256 // frames read from one interface at a time

	// joinSlack is how old a frame must be before it is handed out though
	// another interface, which has shown nothing yet, might have an older one:
	// how late the ring shows a frame, and as much again for the scheduler.
	joinSlack = 40 * time.Millisecond
)

// OpenInterfaces captures from interfaces as OpenLive does from one. Frames of
// several come in the order of their times, as far as their delivery by the
// kernel allows: a tap that has an interface for each direction shows a request
// before its response. File of a FrameID is the interface's place in names.
func OpenInterfaces(names []string, o LiveOptions) (Source, error) {
	if len(names) == 0 {
		return nil, errors.New("no interface named")
	}
	if len(names) == 1 {
		return OpenLive(names[0], o)
	}
	var parts []Source
	for _, name := range names {
		s, err := OpenLive(name, o)
		if err != nil {
			for _, s := range parts {
				s.Close()
			}
			return nil, err
		}
		parts = append(parts, s)
	}
	return join(parts), nil
}

// joined reads several live sources, each of one file, as one.
type joined struct {
	parts   []*part
	arrived chan *part
	done    chan struct{}
	once    sync.Once
}

// part is one source among them. Its goroutine reads a batch, tells that it has
// arrived, and reads the next only when this one has been handed out and is not
// looked at any more: until then the frames are valid, and not copied.
type part struct {
	src   Source
	batch []Packet
	next  chan struct{}

	// Written by the goroutine before the part has arrived, and by the reader
	// from then on until it asks for the next.
	n   int
	err error

	// The reader's own: batch[at:n] is still to be handed out, while ready.
	ready bool
	at    int
	got   time.Time
}

func join(sources []Source) *joined {
	j := &joined{arrived: make(chan *part, len(sources)), done: make(chan struct{})}
	for _, s := range sources {
		p := &part{src: s, batch: make([]Packet, joinBatch), next: make(chan struct{})}
		j.parts = append(j.parts, p)
		go func() {
			for p.err == nil {
				p.n, p.err = p.src.Read(p.batch)
				j.arrived <- p // one for each part: never full
				select {
				case <-p.next:
				case <-j.done:
					return
				}
			}
		}()
	}
	return j
}

// Read implements Source.
func (j *joined) Read(batch []Packet) (int, error) {
	deadline := time.Now().Add(liveWait)
	for {
		select {
		case <-j.done:
			return 0, io.EOF
		default:
		}
		for more := true; more; {
			select {
			case p := <-j.arrived:
				p.ready, p.at, p.got = true, 0, time.Now()
			default:
				more = false
			}
		}
		ended := 0
		for _, p := range j.parts {
			switch {
			case !p.ready || p.at < p.n:
			case p.err == io.EOF:
				ended++
			case p.err != nil:
				return 0, p.err
			default:
				p.ready = false
				p.next <- struct{}{} // it waits for this, or has not come to it yet
			}
		}
		if ended == len(j.parts) {
			return 0, io.EOF
		}
		n, wait := j.merge(batch, time.Now())
		if left := time.Until(deadline); n > 0 || left <= 0 {
			return n, nil
		} else if wait > left || wait <= 0 {
			wait = left
		}
		timer := time.NewTimer(wait)
		select {
		case p := <-j.arrived:
			p.ready, p.at, p.got = true, 0, time.Now()
		case <-timer.C:
		case <-j.done:
		}
		timer.Stop()
	}
}

// merge hands out the oldest frames, as long as no part that has nothing to
// show could have an older one. When that is so at once, it returns how long to
// wait, 0 when there is no frame at all.
func (j *joined) merge(batch []Packet, now time.Time) (n int, wait time.Duration) {
	for n < len(batch) {
		var oldest *part
		file := 0
		unknown := false // a part that has nothing to show
		for i, p := range j.parts {
			switch {
			case p.ready && p.at < p.n:
				if oldest == nil || p.batch[p.at].Time < oldest.batch[oldest.at].Time {
					oldest, file = p, i
				}
			case p.ready && p.err != nil: // ended
			default:
				unknown = true
			}
		}
		if oldest == nil {
			return n, 0
		}
		head := &oldest.batch[oldest.at]
		if unknown {
			// By the clock of the frames, and where that was set back by how
			// long the frame has been here.
			held := max(now.Sub(time.Unix(0, head.Time)), now.Sub(oldest.got))
			if held < joinSlack {
				return n, joinSlack - held
			}
		}
		batch[n] = *head
		batch[n].Frame = MakeFrameID(file, head.Frame.Number())
		oldest.at++
		n++
	}
	return n, 0
}

// ZeroCopyReadPacketData implements gopacket.ZeroCopyPacketDataSource. It
// waits until there is a frame.
func (j *joined) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	return readOne(j)
}

// readOne waits for the next frame of a live source.
func readOne(s Source) ([]byte, gopacket.CaptureInfo, error) {
	var one [1]Packet
	for {
		n, err := s.Read(one[:])
		if err != nil {
			return nil, gopacket.CaptureInfo{}, err
		}
		if n == 1 {
			info := captureInfo(&one[0])
			info.InterfaceIndex = one[0].Frame.File()
			return one[0].Data, info, nil
		}
	}
}

// Stats implements Source.
func (j *joined) Stats() Stats {
	var sum Stats
	for _, p := range j.parts {
		s := p.src.Stats()
		sum.Files = append(sum.Files, s.Files...)
		sum.Received += s.Received
		sum.Dropped += s.Dropped
		sum.InterfaceDropped += s.InterfaceDropped
		sum.Filtered += s.Filtered
	}
	return sum
}

// Close implements Source.
func (j *joined) Close() error {
	var errs []error
	j.once.Do(func() {
		close(j.done)
		for _, p := range j.parts {
			errs = append(errs, p.src.Close())
		}
	})
	return errors.Join(errs...)
}
