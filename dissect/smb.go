package dissect

import (
	"fmt"
	"strings"
)

// SMB over TCP. On port 445 each message follows its length (MS-SMB2 section
// 2.1); on 139 the NetBIOS session service frames it alike and opens with a
// request (RFC 1002 section 4.3):
//
//	type (1: 00 message, 81 request, 82 granted, 83 refused, 84 elsewhere, 85 keep-alive)  length (3)
//
// What a message is, its first four bytes say:
//
//	FF S M B   SMB1, see smb1.go
//	FE S M B   SMB2 and 3, see smb2.go
//	FD S M B   encrypted SMB 3 (MS-SMB2 section 2.2.41)
//	FC S M B   compressed SMB 3.1.1 (section 2.2.42)
//
// Read are the negotiation, the session setup and the tree connects, and of the
// messages behind them the flags. File data is passed over unseen. Responses
// and tickets are not kept, and user names only when they were asked for.

const (
	maxSMBMessage     = 48 << 10 // bytes of a message of the handshake that are waited for
	maxSMBName        = 256      // UTF-16 units kept of one name
	smbSettledAfter   = 12       // messages behind session setup that settle signing
	smbSettledLatest  = 40       // likewise, where no share was named among them
	smbMostMessages   = 512      // of any kind after which a flow is not read any more: one direction may be missing
	maxSessionService = 256      // bytes that two NetBIOS names take, at most
)

var smb = Dissector{
	Name:  "smb",
	Over:  TCP,
	Ports: []uint16{445, 139},
	Probe: probeSMB,
	New:   func(c *Context) Parser { return &smbParser{users: c.ShowUsers} },
}

func probeSMB(_ Dir, b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	switch b[0] {
	case 0x00:
	case 0x81:
		return probeNetBIOS(b)
	case 0x82:
		const granted = "\x82\x00\x00\x00"
		if n := min(len(b), len(granted)); granted[:n] != string(b[:n]) {
			return No
		}
		if len(b) < len(granted) {
			return Maybe
		}
		if len(b) == len(granted) {
			return Weak
		}
		return probeSMB(ToClient, b[len(granted):])
	default:
		return No
	}
	if len(b) > 4 && b[4] < 0xfc || len(b) > 5 && b[5] != 'S' || len(b) > 6 && b[6] != 'M' || len(b) > 7 && b[7] != 'B' {
		return No
	}
	const flagsOf1, flagsOf2 = 4 + 9, 4 + 16
	switch {
	case len(b) < 8:
		return Maybe
	case b[4] == 0xff:
		if len(b) <= flagsOf1 {
			return Maybe
		}
		if b[flagsOf1]&0x80 != 0 {
			return FromServer
		}
		return FromClient
	case b[4] == 0xfe:
		if len(b) <= flagsOf2 {
			return Maybe
		}
		if b[flagsOf2]&1 != 0 {
			return FromServer
		}
		return FromClient
	}
	return Yes
}

// probeNetBIOS judges a session request: two names of 32 letters A to P, each
// behind its length and before a root label.
func probeNetBIOS(b []byte) Match {
	const shape = "\x81\x00\x00\x44 nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\x00 nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\x00"
	for i := range min(len(b), len(shape)) {
		if shape[i] == 'n' {
			if b[i] < 'A' || b[i] > 'P' {
				return No
			}
		} else if shape[i] != b[i] {
			return No
		}
	}
	if len(b) < len(shape) {
		return Maybe
	}
	return FromClient
}

type smbParser struct {
	users bool // user names were asked for

	// The negotiation.
	version1 bool // of SMB1 a message was seen,
	session1 bool // and more than a negotiation that SMB2 may end
	dialects [maxSMBDialects]string
	offered  int     // of SMB1's dialects
	client   uint32  // capabilities that the client told in SMB2's
	requires [2]bool // by end: signing

	// The session.
	setup     bool // it was set up
	auth      string
	guest     bool
	anonymous bool
	shared    bool // a share was named, other than the one of named pipes

	// What follows.
	messages  int  // read
	after     int  // messages behind session setup
	signed    bool // so are the requests among them, so far
	requested bool // there were any
	encrypted bool
}

func (p *smbParser) renew() {
	*p = smbParser{users: p.users}
}

func (p *smbParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	kind := r.u8("session message type")
	size := r.be24("session message length")
	if r.err() != nil {
		return 0, r.err()
	}
	whole := 4 + size
	switch kind {
	case 0x00:
	case 0x81, 0x82, 0x83, 0x84, 0x85:
		if size > maxSessionService {
			return 0, &Malformed{"session service length", 1, "more than two names take"}
		}
		if kind == 0x83 && size == 1 {
			code := r.u8("error code")
			if r.err() != nil {
				return 0, r.err()
			}
			facts.SetText(SMBNetBIOSError, netBIOSError(code))
		}
		return whole, nil
	default:
		return 0, &Malformed{"session message type", 0, fmt.Sprintf("%#x is not one", kind)}
	}
	if size < 4 {
		return whole, nil
	}
	protocol := r.bytes("protocol", 4)
	if r.err() != nil {
		return 0, r.err()
	}
	if string(protocol[1:]) != "SMB" || protocol[0] < 0xfc {
		return 0, &Malformed{"protocol", 4, "not SMB"}
	}
	if facts.traced() && protocol[0] != 0xff {
		facts.open(dir, 0, min(4+smb2HeaderSize, whole)) // what the commands carry is user data, or proves who sends it
	}
	var err error
	switch protocol[0] {
	case 0xff:
		err = p.parse1(b[4:], size, facts)
	case 0xfe:
		err = p.parse2(b[4:], size, facts)
	case 0xfd:
		if !p.encrypted {
			p.encrypted = true
			facts.SetFlag(SMBEncrypted, true)
		}
		p.after++
	default: // compressed: the header is in there, too
		p.after++
	}
	if err != nil {
		return 0, err
	}
	// A share is named early in a session, behind that of named pipes and a few
	// questions. In what is encrypted it cannot be seen.
	naming := p.setup && !p.shared && !p.encrypted
	if p.messages++; p.messages >= smbMostMessages || p.after >= smbSettledAfter && !naming || p.after >= smbSettledLatest {
		return whole, ErrDone
	}
	return whole, nil
}

// waitSMB says whether more of a message of size bytes must be there before it
// is read; what is longer than any handshake is not waited for.
func waitSMB(b []byte, size int) ([]byte, bool) {
	size = min(size, maxSMBMessage)
	if len(b) < size {
		return nil, true
	}
	return b[:size], false
}

// request takes in whether a request behind session setup is signed. Some are
// whatever was agreed, against downgrades: the tree connect of SMB 3.1.1
// (MS-SMB2 section 3.2.4.1.1), the validation of the negotiation in the
// versions before (section 3.2.5.5). So one that is not decides.
func (p *smbParser) request(signed bool, facts *Facts) {
	if !p.requested || p.signed && !signed {
		p.requested, p.signed = true, signed
		facts.SetFlag(SMBSigned, signed)
	}
}

// signingRequired takes in that an end requires signing.
func (p *smbParser) signingRequired(by Dir, facts *Facts) {
	if p.requires[by] {
		return
	}
	p.requires[by] = true
	who := "client"
	switch {
	case p.requires == [2]bool{true, true}:
		who = "both"
	case by == ToClient:
		who = "server"
	}
	facts.SetText(SMBSigningRequired, who)
}

// tree takes in the path of a tree connect, \\server\share.
func (p *smbParser) tree(path string, facts *Facts) {
	path = path[strings.LastIndexByte(path, '\\')+1:]
	if path == "" {
		return
	}
	facts.AddText(SMBShare, path)
	if path != "IPC$" {
		p.shared = true
	}
}

// Gap goes on behind a message whose length is known. Of one that is cut, what
// is there is read.
func (p *smbParser) Gap(_ Dir, held []byte, n uint64, facts *Facts) (uint64, bool) {
	r := newReader(held)
	kind := r.u8("session message type")
	size := r.be24("session message length")
	if r.err() != nil {
		return 0, false
	}
	if message := held[4:]; kind == 0 && len(message) >= 4 {
		// The length that is there instead of that which was sent: nothing is
		// waited for.
		switch string(message[:4]) {
		case "\xffSMB":
			_ = p.parse1(message, min(size, len(message)), facts) // that it is cut is known
		case "\xfeSMB":
			var h smb2Header
			if size >= smb2HeaderSize && h.read(message) == nil {
				p.read2(&h, message, facts)
			}
		}
	}
	end := 4 + uint64(size)
	lost := uint64(len(held)) + n
	if lost > end {
		return 0, false
	}
	return end - lost, true
}

func (p *smbParser) Close(*Facts) {}

// netBIOSError is why the session service refused a session (RFC 1002 section
// 4.3.4).
func netBIOSError(code int) string {
	switch code {
	case 0x80:
		return "not listening on called name"
	case 0x81:
		return "not listening for calling name"
	case 0x82:
		return "called name not present"
	case 0x83:
		return "insufficient resources"
	case 0x8f:
		return "unspecified error"
	}
	return fmt.Sprintf("0x%02x", code)
}
