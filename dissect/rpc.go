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
// and a reply
//
//	xid  1 reply  0 accepted   verifier: flavor, length, body  status  results
//	xid  1 reply  1 denied     0 versions, or 1 credential refused: why
//
// Over UDP a datagram is one message; over TCP (section 11) a message is a
// record of one or more fragments, each behind
//
//	last fragment (1 bit)  length (31 bits)
//
// Programs are named by number. The port mapper, which tells where the others
// listen, is in rpc_portmap.go, NFS and MOUNT are in nfs.go. Of all others the
// number is what is told. File data is passed over unseen.
//
// A client that wants TLS calls the null procedure with the flavor AUTH_TLS; a
// server that agrees puts STARTTLS into its verifier, and both go on with a
// handshake (RFC 9289 section 4.1).

const (
	rpcCallHeader  = 24 // through the procedure
	rpcReplyHeader = 12 // through accepted or denied
	maxRPCOpaque   = 400
	maxRPCCall     = rpcCallHeader + 2*(8+maxRPCOpaque) + maxRPCArguments
	maxRPCReply    = 16 << 10 // bytes of a reply that is asked for more than its status
	maxRPCFragment = 16 << 20 // a longer first fragment is not believed
	rpcCallsEnough = 64       // calls after which a flow is not read any more
	rpcMostRecords = 256      // likewise fragments and datagrams, where only replies were captured
	rpcCallsOpen   = 8        // calls of which the reply is waited for, the latest ones

	// maxRPCArguments covers the longest path of MOUNT, and a tag of NFS 4.
	maxRPCArguments = 4 + 1024 + 8

	authTLS      = 7
	authGSS      = 6
	authStartTLS = "STARTTLS"
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
	joined []byte  // the beginning of a record of several fragments
	calls  int
	read   int // fragments and datagrams
	open   [rpcCallsOpen]rpcCall
	next   int    // of open, the one to be overwritten
	null   uint32 // NFS version of a call of the null procedure
}

// rpcCall is a call whose reply says more than that it was accepted.
type rpcCall struct {
	kind    rpcKind
	xid     uint32
	program uint32 // asked of the port mapper
	version uint32
	proto   string // "tcp" or "udp", likewise
}

// rpcKind says what the reply to a call holds.
type rpcKind uint8

const (
	noCall      rpcKind = iota
	getPort             // portmap 2: a port
	getAddress          // rpcbind 3 and 4: a universal address
	dumpPorts           // portmap 2: a list of mappings
	dumpAddress         // rpcbind 3 and 4: likewise
	mount               // a status, 0 for success
	startTLS            // nothing, but for the verifier
)

func (p *rpcParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if !p.stream {
		err := p.message(b, facts)
		if p.read++; p.calls >= rpcCallsEnough || p.read >= rpcMostRecords {
			err = ErrDone
		}
		return len(b), err
	}
	r := newReader(b)
	mark := r.be32("record mark")
	if r.err() != nil {
		return 0, r.err()
	}
	size := int(mark &^ (1 << 31))
	if !p.inside[dir] {
		err := p.record(b, facts)
		if err != nil && err != ErrHandOver {
			return 0, err
		}
		if err == ErrHandOver && mark>>31 != 0 {
			return 4 + size, err
		}
	}
	p.inside[dir] = mark>>31 == 0
	if p.read++; p.calls >= rpcCallsEnough || p.read >= rpcMostRecords {
		return 4 + size, ErrDone
	}
	return 4 + size, nil
}

// holds is the space for joined fragments, which is kept for the next record.
func (p *rpcParser) holds() int { return cap(p.joined) }

// record reads the record that b begins with, as far as it is of interest.
func (p *rpcParser) record(b []byte, facts *Facts) error {
	head, whole := p.join(b, rpcReplyHeader)
	if len(head) < 8 {
		if whole {
			return nil // too short for anything
		}
		return ErrShort
	}
	var want int
	switch be := binary.BigEndian; be.Uint32(head[4:]) {
	case 0:
		want = maxRPCCall
	case 1:
		want = rpcReplyHeader + 4 + 4 + maxRPCOpaque + 4 + 4
		if p.asked(be.Uint32(head)) != nil {
			want = maxRPCReply
		}
	default:
		return &Malformed{"message type", 8, "neither call nor reply"}
	}
	message, whole := p.join(b, want)
	if !whole {
		return ErrShort
	}
	return p.message(message, facts)
}

// join returns the first want bytes of the record that b begins with, or all of
// it when it is shorter; whole says that they are there.
//
// What is joined stays in the stream as well, so that holds counts it twice
// while the record is not whole.
func (p *rpcParser) join(b []byte, want int) (message []byte, whole bool) {
	p.joined = p.joined[:0]
	for at := 0; ; {
		if len(b)-at < 4 {
			return p.joined, false
		}
		mark := binary.BigEndian.Uint32(b[at:])
		size, last := int(mark&^(1<<31)), mark>>31 != 0
		part := b[at+4:]
		n := min(size, want-len(p.joined))
		if len(part) < n {
			if at == 0 {
				return part, false
			}
			return append(p.joined, part...), false
		}
		if at == 0 && (last || n == want) {
			return part[:n], true // nearly every record is one fragment
		}
		p.joined = append(p.joined, part[:n]...)
		if last || len(p.joined) >= want {
			return p.joined, true
		}
		at += 4 + size
	}
}

// message reads b, the beginning of a message, as far as it goes.
func (p *rpcParser) message(b []byte, facts *Facts) error {
	outer := newReader(b)
	r := outer.within("message", len(b))
	xid := r.be32("xid")
	kind := r.be32("message type")
	if r.err() != nil {
		return r.err()
	}
	if kind != 0 {
		return p.reply(&r, xid, facts)
	}
	return p.call(&r, xid, facts)
}

// rpcCredential is who a call comes from.
type rpcCredential struct {
	flavor  uint32
	service uint32 // of RPCSEC_GSS: 1 none, 2 integrity, 3 privacy
}

func (p *rpcParser) call(r *reader, xid uint32, facts *Facts) error {
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
	facts.Add(RPCProgram, appendProgram(text[:0], program, version))
	switch program {
	case rpcNFS:
		facts.Refine("nfs")
	case rpcPortmap:
		facts.Refine("portmap")
	case rpcMount:
		facts.Refine("mount")
	}
	if program == rpcNFS {
		p.nfsFlavor(version, procedure, flavor, facts)
	}

	// What follows may be cut: it is read as far as it goes.
	credential := rpcCredential{flavor: flavor}
	body := rpcOpaque(r, "credential", maxRPCOpaque)
	if flavor == authGSS && len(body) >= 16 { // version, what it is for, sequence number, service
		credential.service = binary.BigEndian.Uint32(body[12:])
	}
	r.be32("verifier flavor")
	rpcOpaque(r, "verifier", maxRPCOpaque)
	switch {
	case flavor == authTLS && procedure == 0:
		p.expect(rpcCall{kind: startTLS, xid: xid})
	case program == rpcNFS:
		p.nfsCall(r, version, procedure, credential, facts)
	case program == rpcMount:
		p.mountCall(r, xid, version, procedure, facts)
	case program == rpcPortmap:
		p.portmapCall(r, xid, version, procedure)
	}
	return nil
}

func appendProgram(b []byte, program, version uint32) []byte {
	b = strconv.AppendUint(b, uint64(program), 10)
	b = append(b, '/')
	return strconv.AppendUint(b, uint64(version), 10)
}

// rpcOpaque reads a length and as many bytes, padded to four.
func rpcOpaque(r *reader, field string, most uint32) []byte {
	n := r.be32(field)
	if n > most {
		r.malformed(field, "longer than "+strconv.Itoa(int(most))+" bytes")
		return nil
	}
	b := r.bytes(field, int(n))
	r.bytes("padding", -int(n)&3)
	return b
}

// expect keeps a call whose reply is wanted, in the place of the oldest one.
func (p *rpcParser) expect(c rpcCall) {
	p.open[p.next] = c
	p.next = (p.next + 1) % rpcCallsOpen
}

// asked finds the call that a reply belongs to, or nil.
func (p *rpcParser) asked(xid uint32) *rpcCall {
	for i := range p.open {
		if p.open[i].kind != noCall && p.open[i].xid == xid {
			return &p.open[i]
		}
	}
	return nil
}

// reply reads a reply behind its type.
func (p *rpcParser) reply(r *reader, xid uint32, facts *Facts) error {
	if denied := r.be32("accepted or denied"); denied != 0 {
		if why := r.be32("why denied"); r.err() == nil {
			if why == 0 {
				facts.AddText(RPCError, "rpc_mismatch")
			} else if status := r.be32("authentication status"); r.err() == nil {
				facts.AddText(RPCError, rpcAuthStatus(status))
			}
		}
		return nil
	}
	r.be32("verifier flavor")
	verifier := rpcOpaque(r, "verifier", maxRPCOpaque)
	status := r.be32("status")
	if r.err() != nil {
		return nil // cut
	}
	if status != 0 {
		facts.AddText(RPCError, rpcAcceptStatus(status))
	}
	asked := p.asked(xid)
	if asked == nil {
		return nil
	}
	call := *asked
	asked.kind = noCall
	switch call.kind {
	case startTLS:
		agreed := string(verifier) == authStartTLS
		facts.SetFlag(RPCTLS, agreed)
		if agreed && p.stream {
			return ErrHandOver
		}
	case mount:
		if status == 0 {
			p.mounted(r, facts)
		}
	default:
		if status == 0 {
			p.mapped(r, &call, facts)
		}
	}
	return nil
}

// rpcAcceptStatus names why a call was accepted and not carried out (RFC 5531
// section 9).
func rpcAcceptStatus(code uint32) string {
	switch code {
	case 1:
		return "prog_unavail"
	case 2:
		return "prog_mismatch"
	case 3:
		return "proc_unavail"
	case 4:
		return "garbage_args"
	case 5:
		return "system_err"
	}
	return "status " + strconv.Itoa(int(code))
}

// rpcAuthStatus names why a credential was refused.
func rpcAuthStatus(code uint32) string {
	switch code {
	case 1:
		return "auth_badcred"
	case 2:
		return "auth_rejectedcred"
	case 3:
		return "auth_badverf"
	case 4:
		return "auth_rejectedverf"
	case 5:
		return "auth_tooweak"
	case 6:
		return "auth_invalidresp"
	case 7:
		return "auth_failed"
	case 13:
		return "rpcsec_gss_credproblem"
	case 14:
		return "rpcsec_gss_ctxproblem"
	}
	return "auth " + strconv.Itoa(int(code))
}

// Gap goes on behind a fragment whose length is known.
func (p *rpcParser) Gap(dir Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	if !p.stream || len(held) < 4 {
		return 0, false
	}
	mark := binary.BigEndian.Uint32(held)
	size := uint64(mark &^ (1 << 31))
	if !p.inside[dir] {
		// As far as it is there: that it is cut is known.
		_ = p.message(held[4:4+min(size, uint64(len(held)-4))], facts)
	}
	lost := uint64(len(held)) + n
	if lost > 4+size {
		return 0, false
	}
	p.inside[dir] = mark>>31 == 0
	return 4 + size - lost, true
}

func (p *rpcParser) Close(facts *Facts) {
	if p.null > 0 && !facts.Has(NFSVersion) {
		facts.AddText(NFSVersion, nfsVersion(p.null, 0))
	}
}
