package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"
)

// The largest segments: 1460 bytes in 1514-byte frames over IPv4.
const (
	mss4      = 1460
	mss6      = 1440
	maxFrame  = 2048
	minFrame  = 60 // what Ethernet pads to, without the checksum
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// TCP flags.
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

// size is what a workload came to.
type size struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"` // of the file
	Flows   uint64 `json:"flows"`
}

// A capture writes a classic little-endian pcap with microseconds, and counts.
// Its clock moves by a random step around mean with every frame.
type capture struct {
	w     *bufio.Writer
	rng   *rand.Rand
	size  size
	now   uint64 // microseconds since 1970
	step  uint64 // twice the mean step, nanoseconds
	nanos uint64 // the part of now below a microsecond
	buf   [maxFrame]byte
	err   error
}

// captureStart is the time of the first frame.
var captureStart = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func newCapture(w io.Writer, rng *rand.Rand, mean time.Duration) *capture {
	c := &capture{
		w:    bufio.NewWriterSize(w, 1<<20),
		rng:  rng,
		now:  uint64(captureStart.UnixMicro()),
		step: uint64(2 * mean.Nanoseconds()),
	}
	var header [24]byte
	binary.LittleEndian.PutUint32(header[0:], 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(header[4:], 2) // version 2.4
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], 262144) // snap length
	binary.LittleEndian.PutUint32(header[20:], 1)      // Ethernet
	c.write(header[:])
	return c
}

func (c *capture) write(b []byte) {
	if _, err := c.w.Write(b); err != nil && c.err == nil {
		c.err = err
	}
	c.size.Bytes += uint64(len(b))
}

// frame records the first n bytes of buf, padded as Ethernet does.
func (c *capture) frame(n int) {
	for n < minFrame {
		c.buf[n] = 0
		n++
	}
	c.nanos += c.rng.Uint64N(c.step)
	c.now += c.nanos / 1000
	c.nanos %= 1000

	var header [16]byte
	binary.LittleEndian.PutUint32(header[0:], uint32(c.now/1e6))
	binary.LittleEndian.PutUint32(header[4:], uint32(c.now%1e6))
	binary.LittleEndian.PutUint32(header[8:], uint32(n))
	binary.LittleEndian.PutUint32(header[12:], uint32(n))
	c.write(header[:])
	c.write(c.buf[:n])
	c.size.Packets++
}

// A way is one direction of a flow: its link and network header, ready to be
// copied, and for TCP its next sequence number.
type way struct {
	header [58]byte // Ethernet, a VLAN tag, IPv6: the longest
	length uint8    // of the header
	seq    uint32
}

// A wire is what every frame of one flow has in common.
type wire struct {
	ways         [2]way // client to server, server to client
	ports        [2]uint16
	proto        uint8
	six          bool
	tagged       bool
	identifier   uint16 // of the IPv4 packets
	clientServer [2]netip.Addr
}

// newWire makes the headers. vlan 0 is untagged.
func newWire(proto uint8, client, server netip.AddrPort, vlan uint16, seqs [2]uint32) wire {
	w := wire{
		proto:        proto,
		six:          client.Addr().Is6(),
		tagged:       vlan != 0,
		ports:        [2]uint16{client.Port(), server.Port()},
		clientServer: [2]netip.Addr{client.Addr(), server.Addr()},
	}
	for dir := range w.ways {
		src, dst := w.clientServer[dir], w.clientServer[1-dir]
		h := w.ways[dir].header[:0]
		h = append(h, mac(dst)...)
		h = append(h, mac(src)...)
		if vlan != 0 {
			h = binary.BigEndian.AppendUint16(h, etherVLAN)
			h = binary.BigEndian.AppendUint16(h, vlan)
		}
		if w.six {
			h = binary.BigEndian.AppendUint16(h, etherIPv6)
			h = append(h, 0x60, 0, 0, 0, 0, 0, proto, 64)
		} else {
			h = binary.BigEndian.AppendUint16(h, etherIPv4)
			h = append(h, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0)
		}
		h = append(h, src.AsSlice()...)
		h = append(h, dst.AsSlice()...)
		w.ways[dir].length = uint8(len(h))
		w.ways[dir].seq = seqs[dir]
	}
	return w
}

// mac derives a locally administered address from an IP address. Hosts outside
// the site are behind one router.
func mac(a netip.Addr) []byte {
	b := a.AsSlice()
	if a.Is4() && b[0] != 10 {
		return []byte{0x02, 0, 0, 0, 0, 1}
	}
	return append([]byte{0x02, 0}, b[len(b)-4:]...)
}

// payloadAt is where the payload of a segment without TCP options begins.
func (w *wire) payloadAt() int {
	n := int(w.ways[0].length)
	switch w.proto {
	case protoTCP:
		return n + 20
	default:
		return n + 8
	}
}

func (w *wire) mss() int {
	if w.six {
		return mss6
	}
	return mss4
}

// network copies the link and network header of one direction for n bytes of
// transport, and returns the transport's offset.
func (w *wire) network(c *capture, dir, n int) int {
	from := &w.ways[dir]
	at := copy(c.buf[:], from.header[:from.length])
	if w.six {
		binary.BigEndian.PutUint16(c.buf[at-36:], uint16(n))
		return at
	}
	ip := c.buf[at-20 : at]
	binary.BigEndian.PutUint16(ip[2:], uint16(20+n))
	w.identifier++
	binary.BigEndian.PutUint16(ip[4:], w.identifier)
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	return at
}

// segment records a TCP segment whose payload of n bytes is in the buffer, at
// payloadAt. The checksum is left to the network card, as in a capture made on
// the sending machine.
func (w *wire) segment(c *capture, dir int, flags uint8, n int) {
	from, to := &w.ways[dir], &w.ways[1-dir]
	header, words := 20, byte(5)
	if flags&flagSYN != 0 {
		header, words = 24, 6 // with the maximum segment size
	}
	at := w.network(c, dir, header+n)
	tcp := c.buf[at : at+header]
	binary.BigEndian.PutUint16(tcp[0:], w.ports[dir])
	binary.BigEndian.PutUint16(tcp[2:], w.ports[1-dir])
	binary.BigEndian.PutUint32(tcp[4:], from.seq)
	ack := uint32(0)
	if flags&flagACK != 0 {
		ack = to.seq
	}
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = words<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 64240)
	binary.BigEndian.PutUint32(tcp[16:], 0) // checksum, urgent pointer
	if flags&flagSYN != 0 {
		tcp[20], tcp[21] = 2, 4
		binary.BigEndian.PutUint16(tcp[22:], uint16(w.mss()))
	}
	from.seq += uint32(n)
	if flags&(flagSYN|flagFIN) != 0 {
		from.seq++
	}
	c.frame(at + header + n)
}

// datagram records a UDP datagram whose payload of n bytes is in the buffer.
func (w *wire) datagram(c *capture, dir, n int) {
	at := w.network(c, dir, 8+n)
	udp := c.buf[at : at+8]
	binary.BigEndian.PutUint16(udp[0:], w.ports[dir])
	binary.BigEndian.PutUint16(udp[2:], w.ports[1-dir])
	binary.BigEndian.PutUint16(udp[4:], uint16(8+n))
	binary.BigEndian.PutUint16(udp[6:], 0)
	c.frame(at + 8 + n)
}

// echo records an ICMP echo request or its reply with n bytes of data.
func (w *wire) echo(c *capture, dir int, sequence uint16, n int) {
	at := w.network(c, dir, 8+n)
	icmp := c.buf[at : at+8]
	icmp[0], icmp[1] = 8, 0
	if dir == 1 {
		icmp[0] = 0
	}
	binary.BigEndian.PutUint16(icmp[2:], 0)
	binary.BigEndian.PutUint16(icmp[4:], w.ports[0]) // the identifier
	binary.BigEndian.PutUint16(icmp[6:], sequence)
	c.frame(at + 8 + n)
}

// writeWorkload makes one workload in a file that appears whole or not at all.
func writeWorkload(load workload, path string, scale float64) (size, error) {
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return size{}, err
	}
	defer os.Remove(part)
	// The seed is a constant: the same workload on every machine.
	rng := rand.New(rand.NewPCG(0x77697265, 0x6368617274))
	c := newCapture(f, rng, load.step)
	load.make(c, scale)
	if err := c.w.Flush(); err != nil && c.err == nil {
		c.err = err
	}
	if err := f.Close(); err != nil && c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return size{}, c.err
	}
	return c.size, os.Rename(part, path)
}
