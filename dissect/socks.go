package dissect

import "encoding/binary"

// SOCKS 4 and 4a (openssh.com/txt/socks4.protocol and socks4a.protocol) and 5
// (RFC 1928, user names RFC 1929). The client asks a proxy to connect it; from
// then on both directions belong to what it connects to.
//
//	4  client  4  command (1)  port (2)  address (4)  user 00  [name 00, where the address is 0.0.0.x]
//	   server  0  90 granted (1)  port (2)  address (4)
//	5  client  5  methods: count (1), methods        server  5  method (1)
//	   client  1  user: size (1), password: size (1) server  1  status (1)     with method 2 alone
//	   client  5  command (1)  0  address  port (2)  server  5  status (1)  0  address  port (2)
//	   address: 1 and 4 bytes, 3 and a name: size (1), or 4 and 16 bytes
//
// User names and passwords are passed over.

var socks = Dissector{
	Name:    "socks",
	Over:    TCP,
	Ports:   []uint16{1080},
	Carrier: true,
	Probe:   probeSOCKS,
	New:     func(*Context) Parser { return &socksParser{} },
}

const maxSOCKSName = 255 // bytes of a user name or host name of version 4

// probeSOCKS knows the client's first message alone. It is short, and what it
// looks like is not rare: it takes the message's exact length. The proxy's
// answer, two bytes that may be anything's, waits for it.
func probeSOCKS(dir Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	if dir == ToClient {
		method := b[0] == 5 && (len(b) == 1 || b[1] <= 9 || b[1] >= 0x80)
		status := b[0] == 0 && (len(b) == 1 || b[1] >= 90 && b[1] <= 93)
		if method || status {
			return Maybe
		}
		return No
	}
	if b[0] == 5 {
		if len(b) < 2 {
			return Maybe
		}
		methods := b[2:]
		if n := int(b[1]); n == 0 || n > 16 || len(methods) > n {
			return No
		} else if len(methods) < n {
			return Maybe
		}
		for _, m := range methods {
			if m > 9 && m < 0x80 {
				return No
			}
		}
		return Weak
	}
	if b[0] != 4 || len(b) > 1 && b[1] != 1 && b[1] != 2 {
		return No
	}
	n, err := readSOCKS4(newReader(b))
	switch {
	case err == ErrShort && len(b) < 8+2*(maxSOCKSName+1):
		return Maybe
	case err != nil || n != len(b):
		return No
	case binary.BigEndian.Uint16(b[2:]) == 0:
		return No
	}
	return FromClient
}

func readSOCKS4(r *reader) (int, error) {
	r.bytes("version, command, port", 4)
	address := r.be32("address")
	skipSOCKSName(r)
	if address>>8 == 0 && address != 0 {
		skipSOCKSName(r)
	}
	return r.off, r.err()
}

func skipSOCKSName(r *reader) {
	for range maxSOCKSName + 1 {
		c := r.u8("name")
		if r.err() != nil || c == 0 {
			return
		}
		if c < ' ' {
			r.malformed("name", "not text")
		}
	}
	r.malformed("name", "longer than 255 bytes")
}

type socksParser struct {
	version int
	greeted bool // version 5: the method is settled
	user    [2]bool
	method  int
}

func (p *socksParser) Parse(dir Dir, b []byte, _ *Facts) (int, error) {
	if p.version == 0 && len(b) > 0 {
		p.version = int(b[0])
	}
	if p.version != 4 && p.version != 5 {
		return 0, &Malformed{"version", 0, "neither 4 nor 5"}
	}
	r := newReader(b)
	verdict := p.fromServer
	if dir == ToServer {
		verdict = p.fromClient
	}
	err := verdict(r)
	if r.err() != nil {
		return 0, r.err()
	}
	return r.off, err
}

func (p *socksParser) fromClient(r *reader) error {
	switch {
	case p.version == 4:
		_, err := readSOCKS4(r)
		return err
	case !p.greeted:
		r.u8("version")
		r.bytes("methods", r.u8("method count"))
	case p.method == 2 && !p.user[ToServer]:
		r.u8("version of the sign-in")
		r.bytes("user name", r.u8("user name size"))
		r.bytes("password", r.u8("password size"))
		p.user[ToServer] = r.err() == nil
	default:
		r.bytes("version, command", 3)
		skipSOCKSAddress(r)
	}
	return nil
}

func (p *socksParser) fromServer(r *reader) error {
	status, granted := 0, 0
	switch {
	case p.version == 4:
		r.u8("version")
		status, granted = r.u8("status"), 90
		r.bytes("port, address", 6)
	case !p.greeted:
		r.u8("version")
		p.method = r.u8("method")
		p.greeted = r.err() == nil
		return nil
	case p.method == 2 && !p.user[ToClient]:
		r.bytes("version, status", 2)
		p.user[ToClient] = r.err() == nil
		return nil
	default:
		r.u8("version")
		status = r.u8("status")
		r.u8("reserved")
		skipSOCKSAddress(r)
	}
	if status != granted {
		return ErrDone
	}
	return ErrHandOver
}

func skipSOCKSAddress(r *reader) {
	size := 0
	switch r.u8("address type") {
	case 1:
		size = 4
	case 3:
		size = r.u8("name size")
	case 4:
		size = 16
	default:
		r.malformed("address type", "neither IPv4, IPv6 nor a name")
	}
	r.bytes("address, port", size+2)
}

func (p *socksParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, false }

func (p *socksParser) Close(*Facts) {}
