package dissect

const (
	maxPieces     = 64       // that wait for what comes before them
	maxPieceBytes = 16 << 10 // of them all
)

// pieces brings parts of a stream, each of which says where it belongs, into
// their order. What waits is bounded; what has no room is lost.
type pieces struct {
	next int // everything before was handed on
	size int // bytes that wait
	list []piece
}

type piece struct {
	at int
	b  []byte
}

// arrive takes in the bytes that belong at a place and returns those of them
// that are next; nil when something before them is missing, or nothing is new.
// What follows comes from follow.
func (s *pieces) arrive(at int, b []byte) (ready []byte) {
	switch end := at + len(b); {
	case end <= s.next:
		return nil
	case at > s.next:
		if len(s.list) < maxPieces && s.size+len(b) <= maxPieceBytes {
			s.list = append(s.list, piece{at, append([]byte(nil), b...)})
			s.size += len(b)
		}
		return nil
	default:
		ready = b[s.next-at:]
		s.next = end
		return ready
	}
}

// follow returns the next bytes of those that waited, nil when there are none.
func (s *pieces) follow() (ready []byte) {
	for i := 0; i < len(s.list); i++ {
		p := s.list[i]
		if p.at > s.next {
			continue
		}
		last := len(s.list) - 1
		s.list[i] = s.list[last]
		s.list[last] = piece{}
		s.list = s.list[:last]
		s.size -= len(p.b)
		if end := p.at + len(p.b); end > s.next {
			ready = p.b[s.next-p.at:]
			s.next = end
			return ready
		}
		i-- // all of it was there already
	}
	return nil
}
