package dissect

import (
	"encoding/binary"
	"strconv"
)

// ONC RPC version 2, RFC 5531. A call is, in units of four bytes,
//
//	xid  0 call  2 RPC version  program  version  procedure
//	credential: flavor, length, body (up to 400 bytes)
//	verifier:   flavor, length, body
//	arguments
//
// and a reply begins with xid, 1, and 0 (accepted) or 1 (denied). Over UDP a
// datagram is one message; over TCP (section 11) a message is a record of one
// or more fragments, each behind
//
//	last fragment (1 bit)  length (31 bits)
//
// Programs are named by number. NFS is 100003, versions 2 (RFC 1094), 3 (RFC
// 1813) and 4 (RFC 7530, RFC 8881); version 4 begins its arguments with a tag
// and the minor version. Arguments and results, the file data among them, are
// passed over unseen.

const (
	rpcPortmap = 100000
	rpcNFS     = 100003
	rpcMount   = 100005

	rpcCallHeader  = 24 // through the procedure
	maxRPCOpaque   = 400
	maxRPCCall     = rpcCallHeader + 2*(8+maxRPCOpaque) + 4 + 1024 + 4
	maxRPCFragment = 16 << 20 // a longer first fragment is not believed
	rpcCallsEnough = 64       // calls after which a stream is not read any more
)

var rpc = Dissector{
	Name:  "rpc",
	Over:  UDP,
	Ports: []uint16{111, 2049},
	Probe: func(_ Dir, b []byte) Match { return probeRPC(b, len(b)) },
	New:   func(*Context) Parser { return &rpcParser{} },
}

var rpcTCP = Dissector{
	Name:  "rpc",
	Over:  TCP,
	Ports: []uint16{111, 2049},
	Probe: probeRPCStream,
	New:   func(*Context) Parser { return &rpcParser{stream: true} },
}

func probeRPCStream(_ Dir, b []byte) Match {
	if len(b) < 4 {
		if len(b) > 0 && b[0]&0x7f != 0 {
			return No
		}
		return Maybe
	}
	size := int(binary.BigEndian.Uint32(b) &^ (1 << 31))
	if size > maxRPCFragment {
		return No
	}
	return probeRPC(b[4:], size)
}

// probeRPC judges a message of size bytes that b begins with.
func probeRPC(b []byte, size int) Match {
	be := binary.BigEndian
	if len(b) < 8 {
		return Maybe
	}
	switch be.Uint32(b[4:]) {
	case 0:
		if size < rpcCallHeader+16 || len(b) >= 12 && be.Uint32(b[8:]) != 2 {
			return No
		}
		if len(b) < rpcCallHeader+8 {
			return Maybe
		}
		program, version, procedure := be.Uint32(b[12:]), be.Uint32(b[16:]), be.Uint32(b[20:])
		flavor, credential := be.Uint32(b[24:]), be.Uint32(b[28:])
		if program < 99999 || program >= 0x60000000 || version > 1000 || procedure > 1000 {
			return No // 0x60000000 and above are reserved (RFC 5531 section 8.4)
		}
		if version == 0 && (procedure != 0 || program >= 0x20000000) {
			return No // to learn the versions that there are, of a program that has a name
		}
		if flavor > 10 && (flavor < 200000 || flavor > 500000) || credential > maxRPCOpaque {
			return No
		}
		return FromClient
	case 1:
		// xid, reply, accepted, verifier (flavor, length), status: zeros for
		// the most part.
		if size < 20 {
			return No
		}
		if len(b) < 20 {
			return Maybe
		}
		if be.Uint32(b[8:]) > 1 || be.Uint32(b[12:]) > 6 || be.Uint32(b[16:]) > maxRPCOpaque {
			return No
		}
		return Weak
	}
	return No
}

type rpcParser struct {
	stream bool
	inside [2]bool // the next fragment goes on with a record
	calls  int
	null   uint32 // NFS version of a call of the null procedure
}

func (p *rpcParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if !p.stream {
		return len(b), p.message(b, facts)
	}
	r := newReader(b)
	mark := r.be32("record mark")
	if r.err() != nil {
		return 0, r.err()
	}
	size := int(mark &^ (1 << 31))
	if !p.inside[dir] {
		head := r.bytes("message", min(size, 12))
		if r.err() != nil {
			return 0, r.err()
		}
		if len(head) >= 12 && binary.BigEndian.Uint32(head[4:]) == 0 {
			want := min(size, maxRPCCall)
			if len(b)-4 < want {
				return 0, ErrShort
			}
			if err := p.message(b[4:4+want], facts); err != nil {
				return 0, err
			}
		} else if len(head) >= 8 && binary.BigEndian.Uint32(head[4:]) > 1 {
			return 0, &Malformed{"message type", 8, "neither call nor reply"}
		}
	}
	p.inside[dir] = mark>>31 == 0
	if p.calls >= rpcCallsEnough {
		return 4 + size, ErrDone
	}
	return 4 + size, nil
}

// message reads b, the beginning of a message, as far as it goes.
func (p *rpcParser) message(b []byte, facts *Facts) error {
	outer := newReader(b)
	r := outer.within("message", len(b))
	r.be32("xid")
	kind := r.be32("message type")
	if kind != 0 {
		return r.err()
	}
	rpcVersion := r.be32("RPC version")
	program := r.be32("program")
	version := r.be32("version")
	procedure := r.be32("procedure")
	flavor := r.be32("credential flavor")
	if r.err() != nil {
		return r.err()
	}
	if rpcVersion != 2 {
		return &Malformed{"RPC version", 8, "not 2"}
	}
	p.calls++
	if facts.traced() {
		facts.name(ToServer, "RPC call", Field{"program", strconv.Itoa(int(program))}, Field{"version", strconv.Itoa(int(version))},
			Field{"procedure", strconv.Itoa(int(procedure))}, Field{"credential flavour", strconv.Itoa(int(flavor))})
	}

	var text [24]byte
	v := strconv.AppendUint(text[:0], uint64(program), 10)
	v = append(v, '/')
	v = strconv.AppendUint(v, uint64(version), 10)
	facts.Add(RPCProgram, v)
	switch program {
	case rpcNFS:
		facts.Refine("nfs")
	case rpcPortmap:
		facts.Refine("portmap")
		return nil
	case rpcMount:
		facts.Refine("mount")
		return nil
	default:
		return nil
	}

	if procedure == 0 {
		p.null = version // does nothing, and needs no credential
		return nil
	}
	auth := "other"
	switch flavor {
	case 0:
		auth = "none"
	case 1:
		auth = "sys"
	case 2:
		auth = "short" // a token that the server gave for a sys credential
	case 3:
		auth = "dh"
	case 6:
		auth = "gss"
	}
	facts.Add(NFSAuth, []byte(auth))
	v = strconv.AppendUint(text[:0], uint64(version), 10)
	if version == 4 {
		rpcOpaque(&r, "credential")
		r.be32("verifier flavor")
		rpcOpaque(&r, "verifier")
		rpcOpaqueOf(&r, "tag", 1024)
		minor := r.be32("minor version")
		if r.err() == nil && flavor != 6 && minor > 0 && minor < 10 {
			v = append(v, '.')
			v = strconv.AppendUint(v, uint64(minor), 10)
		}
	}
	facts.Add(NFSVersion, v)
	return nil
}

// rpcOpaque passes over a length and as many bytes, padded to four.
func rpcOpaque(r *reader, field string) { rpcOpaqueOf(r, field, maxRPCOpaque) }

func rpcOpaqueOf(r *reader, field string, most uint32) {
	n := r.be32(field)
	if n > most {
		r.malformed(field, "longer than "+strconv.Itoa(int(most))+" bytes")
		return
	}
	r.bytes(field, int(n+3)&^3)
}

// Gap goes on behind a fragment whose length is known.
func (p *rpcParser) Gap(dir Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	if !p.stream || len(held) < 4 {
		return 0, false
	}
	if !p.inside[dir] {
		_ = p.message(held[4:], facts) // as far as it is there: that it is cut is known
	}
	mark := binary.BigEndian.Uint32(held)
	end := 4 + uint64(mark&^(1<<31))
	lost := uint64(len(held)) + n
	if lost > end {
		return 0, false
	}
	p.inside[dir] = mark>>31 == 0
	return end - lost, true
}

func (p *rpcParser) Close(facts *Facts) {
	if p.null > 0 && !facts.Has(NFSVersion) {
		facts.Add(NFSVersion, strconv.AppendUint(nil, uint64(p.null), 10))
	}
}
