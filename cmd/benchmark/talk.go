package main

import (
	"encoding/binary"
	"math/rand/v2"
)

// fill writes random bytes, as ciphertext looks.
func fill(b []byte, rng *rand.Rand) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, rng.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
}

// noise is ciphertext to copy from: making it anew for every frame would take
// longer than everything else. Frames begin at random places in it.
type noise [1 << 16]byte

func newNoise(rng *rand.Rand) *noise {
	n := new(noise)
	fill(n[:], rng)
	return n
}

func (n *noise) fill(b []byte, rng *rand.Rand) {
	at := rng.IntN(len(n) - maxFrame)
	copy(b, n[at:])
}

// A framing cuts bulk bytes into the records or messages of a protocol: it
// appends the header of the next one to b and returns how many bytes of the
// left follow it.
type framing func(b []byte, left int, rng *rand.Rand) ([]byte, int)

// A turn is what one side says before the other answers: bytes that are
// written out, then bulk bytes cut by a framing, or none.
type turn struct {
	dir   int // 0 the client, 1 the server
	head  []byte
	bulk  int
	frame framing
}

// The states of a talk over TCP.
const (
	opening = iota
	answered
	established
	talking
	closing
	closed
)

// The ways in which a TCP talk ends.
const (
	endFIN = iota
	endRST
	endOpen // it is still there when the capture ends
)

// A talk is one flow on its way: the turns that are left, and how far TCP is.
type talk struct {
	wire
	noise    *noise
	turns    []turn
	inRecord int // bulk bytes left in the current record
	state    int
	end      int
	unacked  int // segments that the other side has not acknowledged
	acks     int // the side that owes them
	ackEvery int
	echoes   uint16
}

// advance records the next frame and reports whether more will come.
func (t *talk) advance(c *capture) bool {
	switch t.proto {
	case protoTCP:
		return t.advanceTCP(c)
	case protoICMP:
		dir := int(t.echoes & 1)
		t.noise.fill(c.buf[t.payloadAt():][:56], c.rng)
		t.echo(c, dir, t.echoes/2+1, 56)
		t.echoes++
		return t.echoes < 8
	}
	if len(t.turns) == 0 {
		return false
	}
	next := &t.turns[0]
	at := t.payloadAt()
	n := copy(c.buf[at:], next.head)
	t.noise.fill(c.buf[at+n:][:next.bulk], c.rng)
	t.datagram(c, next.dir, n+next.bulk)
	t.turns = t.turns[1:]
	return len(t.turns) > 0
}

func (t *talk) advanceTCP(c *capture) bool {
	switch t.state {
	case opening:
		t.segment(c, 0, flagSYN, 0)
	case answered:
		t.segment(c, 1, flagSYN|flagACK, 0)
	case established:
		t.segment(c, 0, flagACK, 0)
	case talking:
		if t.unacked >= t.ackEvery {
			t.segment(c, t.acks, flagACK, 0)
			t.unacked = 0
			return true
		}
		if len(t.turns) > 0 {
			t.speak(c)
			return true
		}
		switch t.end {
		case endOpen:
			return false
		case endRST:
			t.segment(c, 0, flagRST|flagACK, 0)
			return false
		}
		t.segment(c, 0, flagFIN|flagACK, 0)
	case closing:
		t.segment(c, 1, flagFIN|flagACK, 0)
	case closed:
		t.segment(c, 0, flagACK, 0)
		return false
	}
	t.state++
	return true
}

// speak records one segment of the current turn: as full as it can be.
func (t *talk) speak(c *capture) {
	now := &t.turns[0]
	at, mss := t.payloadAt(), t.mss()
	payload := c.buf[at : at+mss]
	n := 0
	for n < mss {
		if len(now.head) > 0 {
			k := copy(payload[n:], now.head)
			now.head = now.head[k:]
			n += k
			continue
		}
		if now.bulk == 0 {
			break
		}
		if t.inRecord == 0 {
			if now.frame == nil {
				t.inRecord = now.bulk
			} else {
				now.head, t.inRecord = now.frame(now.head[:0:0], now.bulk, c.rng)
				continue
			}
		}
		k := min(t.inRecord, mss-n)
		t.noise.fill(payload[n:n+k], c.rng)
		t.inRecord -= k
		now.bulk -= k
		n += k
	}
	if t.acks == now.dir { // the other side's bytes are acknowledged by these
		t.unacked = 0
	}
	t.acks = 1 - now.dir
	t.unacked++
	dir := now.dir
	flags := uint8(flagACK)
	if len(now.head) == 0 && now.bulk == 0 {
		flags |= flagPSH
		t.turns = t.turns[1:]
	}
	t.segment(c, dir, flags, n)
}
