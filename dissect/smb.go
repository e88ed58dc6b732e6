package dissect

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// SMB over TCP. On port 445 each message follows its length (MS-SMB2 section
// 2.1); on 139 the NetBIOS session service frames it alike and opens with a
// request (RFC 1002 section 4.3):
//
//	type (1: 00 message, 81 request, 82 granted, 83 refused, 84 elsewhere, 85 keep-alive)  length (3)
//
// What a message is, its first four bytes say:
//
//	FF S M B   SMB1 (MS-CIFS section 2.2.3.1): command (1) status (4) flags (1) flags2 (2) ...
//	           header of 32 bytes, then words: count (1), 2 bytes each; bytes: count (2)
//	FE S M B   SMB2 and 3 (MS-SMB2 section 2.2.1): size (2) credit charge (2) status (4) command (2)
//	           credits (2) flags (4) next command (4) message id (8) ... session id (8) signature (16)
//	FD S M B   encrypted SMB 3 (section 2.2.41)
//	FC S M B   compressed SMB 3.1.1 (section 2.2.42)
//
// Read are NEGOTIATE, SESSION_SETUP, and of the messages behind them the
// flags. File data is passed over unseen. User names, responses and tickets
// are not kept.

const (
	smb1HeaderSize = 32
	smb2HeaderSize = 64
	smb2HeaderRead = 24 // of which the first bytes say all that is read of most messages

	maxSMBMessage   = 48 << 10 // bytes of a NEGOTIATE or SESSION_SETUP that are waited for
	maxSMBDialects  = 32       // dialects of an SMB1 NEGOTIATE
	maxSMB1Name     = 32       // bytes of one
	smbSettledAfter = 12       // messages behind session setup that settle signing
)

var smb = Dissector{
	Name:  "smb",
	Over:  TCP,
	Ports: []uint16{445, 139},
	Probe: probeSMB,
	New:   func(*Context) Parser { return &smbParser{} },
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
	dialects [maxSMBDialects]string // offered in SMB1's NEGOTIATE
	offered  int

	version1  bool // SMB1 was spoken beyond NEGOTIATE
	setup     bool // a session setup succeeded
	auth      string
	guest     bool
	anonymous bool
	after     int  // messages behind session setup
	signed    bool // so are the requests among them, so far
	requested bool // there were any
	encrypted bool
}

func (p *smbParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
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
		if size > 256 {
			return 0, &Malformed{"session service length", 1, "more than two names take"}
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
	if p.after >= smbSettledAfter {
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

const (
	smb2Negotiate    = 0
	smb2SessionSetup = 1
	smb2Logoff       = 2
	smb2Cancel       = 12
	smb2Echo         = 13

	smb2Response = 1 // flags
	smb2Async    = 2
	smb2Signed   = 8

	statusMore = 0xc0000016 // MORE_PROCESSING_REQUIRED: session setup goes on
)

// parse2 reads an SMB2 message of size bytes that b begins with.
func (p *smbParser) parse2(b []byte, size int, facts *Facts) error {
	if size < smb2HeaderSize {
		return &Malformed{"SMB2 header", 4, "shorter than 64 bytes"}
	}
	if len(b) < smb2HeaderRead {
		return ErrShort
	}
	switch binary.LittleEndian.Uint16(b[12:]) {
	case smb2Negotiate, smb2SessionSetup:
		message, short := waitSMB(b, size)
		if short {
			return ErrShort
		}
		b = message
	}
	p.read2(b, facts)
	return nil
}

// read2 reads a message as far as it is there, at least smb2HeaderRead bytes.
func (p *smbParser) read2(b []byte, facts *Facts) {
	le := binary.LittleEndian
	status := le.Uint32(b[8:])
	command := le.Uint16(b[12:])
	flags := le.Uint32(b[16:])
	next := le.Uint32(b[20:])
	response := flags&smb2Response != 0
	if next >= smb2HeaderSize && uint64(next) <= uint64(len(b)) {
		b = b[:next] // others follow in the same message, for the same session
	}

	switch command {
	case smb2Negotiate:
		if response {
			p.negotiated2(b, status, facts)
		}
		return
	case smb2SessionSetup:
		if response {
			p.setup2(b, status, facts)
		} else {
			p.sessionSetup2(b)
		}
		return
	}

	if response && !p.setup {
		return // an answer within a session that failed, or that began before the capture
	}
	p.after++
	if response || command == smb2Cancel || command == smb2Echo || command == smb2Logoff {
		return // answers may be unsigned where requests are not: interim ones are
	}
	p.request(flags&smb2Signed != 0, facts)
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

func (p *smbParser) negotiated2(b []byte, status uint32, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.le16("structure size")
	r.le16("security mode")
	dialect := r.le16("dialect")
	if r.err() != nil || status != 0 {
		return
	}
	name := ""
	switch dialect {
	case 0x0202:
		name = "2.0.2"
	case 0x0210:
		name = "2.1"
	case 0x0300:
		name = "3.0"
	case 0x0302:
		name = "3.0.2"
	case 0x0311:
		name = "3.1.1"
	case 0x02ff:
		name = "2.???" // to SMB1's NEGOTIATE: SMB2 it is, which one a second NEGOTIATE settles
	default:
		name = fmt.Sprintf("0x%04x", dialect)
	}
	facts.SetText(SMBDialect, name)
}

// sessionSetup2 reads the request.
func (p *smbParser) sessionSetup2(b []byte) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.bytes("size, flags, security mode, capabilities, channel", 2+1+1+4+4)
	offset := r.le16("security buffer offset")
	length := r.le16("security buffer length")
	if r.err() != nil || offset > len(b) {
		return
	}
	p.authenticate(b[offset:min(len(b), offset+length)])
}

// setup2 reads the response.
func (p *smbParser) setup2(b []byte, status uint32, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb2HeaderSize)
	r.le16("structure size")
	flags := r.le16("session flags")
	if status == statusMore {
		return
	}
	if status == 0 {
		if r.err() != nil {
			p.setup = true // cut: as whom is not known
			return
		}
		p.guest = flags&1 != 0
		p.anonymous = p.anonymous || flags&2 != 0
	}
	p.concluded(status, facts)
}

// concluded takes in the final answer to a session setup.
func (p *smbParser) concluded(status uint32, facts *Facts) {
	p.setup = p.setup || status == 0
	auth := p.auth
	switch {
	case status != 0:
	case p.guest:
		auth = "guest"
	case p.anonymous:
		auth = "anonymous"
	}
	if auth != "" {
		facts.SetText(SMBAuth, auth)
	}
	if status != 0 {
		facts.SetText(SMBStatus, smbStatus(status))
	}
}

// authenticate reads a security buffer of the client: a token of GSS-API, in
// the wrapping of SPNEGO (RFC 4178) or bare. Which mechanism is used, and not
// only offered, shows its own message inside: for Kerberos the object
// identifier 1.2.840.113554.1.2.2 before a token of kind 01 00, AP-REQ (RFC
// 4121 section 4.1); for NTLM the AUTHENTICATE message (MS-NLMP section
// 2.2.1.3):
//
//	"NTLMSSP" 00  3 (4)  LM response (length 2, room 2, offset 4)  NT response (likewise)
//	domain (8)  user (8)  workstation (8)  session key (8)  flags (4) ...
//
// An NT response of 24 bytes is that of version 1, a longer one of version 2;
// nobody's are empty.
func (p *smbParser) authenticate(token []byte) {
	if at := bytes.Index(token, []byte("NTLMSSP\x00")); at >= 0 {
		r := newReader(token[at+8:])
		if r.le32("message type") != 3 {
			return
		}
		lm := r.le16("LM response length")
		r.bytes("LM response", 6)
		nt := r.le16("NT response length")
		if r.err() == nil {
			p.ntlm(lm, nt)
		}
		return
	}
	const apReq = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00"
	if bytes.Contains(token, []byte(apReq)) {
		p.auth, p.anonymous = "kerberos", false
	}
}

func (p *smbParser) ntlm(lm, nt int) {
	p.anonymous = false
	switch {
	case nt > 24:
		p.auth = "ntlmv2"
	case nt == 24 || lm >= 24:
		p.auth = "ntlmv1"
	case nt == 0:
		p.auth, p.anonymous = "anonymous", true
	}
}

const (
	smb1Negotiate    = 0x72
	smb1SessionSetup = 0x73
	smb1TreeConnect  = 0x75
	smb1Echo         = 0x2b
)

func (p *smbParser) parse1(b []byte, size int, facts *Facts) error {
	if size < smb1HeaderSize+3 {
		return &Malformed{"SMB1 message", 4, "shorter than 35 bytes"}
	}
	if len(b) < smb1HeaderSize {
		return ErrShort
	}
	command := b[4]
	status := binary.LittleEndian.Uint32(b[5:])
	response := b[9]&0x80 != 0
	flags2 := binary.LittleEndian.Uint16(b[10:])

	if command != smb1Negotiate && command != smb1Echo && !p.version1 {
		p.version1 = true
		facts.SetFlag(SMBSMB1, true)
	}
	switch command {
	case smb1Negotiate, smb1SessionSetup:
		message, short := waitSMB(b, size)
		if short {
			return ErrShort
		}
		switch {
		case command == smb1Negotiate && response:
			p.negotiated1(message, facts)
		case command == smb1Negotiate:
			p.negotiate1(message)
		case response:
			p.setup1(message, status, facts)
		default:
			p.sessionSetup1(message)
		}
		return nil
	}
	if response && !p.setup {
		return nil
	}
	p.after++
	if !response {
		const securitySignature = 0x0004
		p.request(flags2&securitySignature != 0, facts)
	}
	return nil
}

// negotiate1 keeps the dialects offered: each is 02, its name, 00.
func (p *smbParser) negotiate1(b []byte) {
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	r.bytes("words", 2*r.u8("word count"))
	rest := r.bytes("dialects", r.le16("byte count"))
	p.offered = 0
	for len(rest) > 0 && rest[0] == 2 && p.offered < maxSMBDialects {
		name, after, ok := bytes.Cut(rest[1:], []byte{0})
		if !ok {
			return
		}
		p.dialects[p.offered] = printable(name[:min(len(name), maxSMB1Name)])
		p.offered++
		rest = after
	}
}

func (p *smbParser) negotiated1(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	words := r.u8("word count")
	index := r.le16("dialect index")
	if r.err() == nil && words > 0 && index < p.offered {
		facts.SetText(SMBDialect, p.dialects[index])
		if !p.version1 {
			p.version1 = true // the server chose a dialect of SMB1
			facts.SetFlag(SMBSMB1, true)
		}
	}
}

// sessionSetup1 reads the request, whose word count tells its form (MS-SMB
// section 2.2.4.6.1, MS-CIFS section 2.2.4.53.1).
func (p *smbParser) sessionSetup1(b []byte) {
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	words := r.u8("word count")
	r.bytes("AndX, buffer, requests, circuit, session key", 4+2+2+2+4)
	switch words {
	case 10: // before NT: one password of LAN Manager
		lm := r.le16("password length")
		if r.err() == nil {
			p.ntlm(lm, 0)
		}
	case 12:
		length := r.le16("security blob length")
		r.bytes("reserved, capabilities, byte count", 4+4+2)
		if r.err() == nil {
			p.authenticate(r.b[r.off:min(len(r.b), r.off+length)])
		}
	case 13:
		lm := r.le16("OEM password length")
		nt := r.le16("Unicode password length")
		if r.err() == nil {
			if nt == 1 {
				nt = 0 // a null password is one zero byte
			}
			p.ntlm(lm, nt)
		}
	}
}

func (p *smbParser) setup1(b []byte, status uint32, facts *Facts) {
	if status == statusMore {
		return
	}
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	words := r.u8("word count")
	r.bytes("AndX", 4)
	action := r.le16("action")
	if status == 0 {
		if r.err() != nil || words < 3 {
			p.setup = true
			return
		}
		p.guest = action&1 != 0
	}
	p.concluded(status, facts)
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
	if message := held[4:]; kind == 0 && len(message) >= smb2HeaderRead {
		// The length that is there instead of that which was sent: nothing is
		// waited for.
		switch string(message[:4]) {
		case "\xffSMB":
			_ = p.parse1(message, min(size, len(message)), facts) // that it is cut is known
		case "\xfeSMB":
			if size >= smb2HeaderSize {
				p.read2(message, facts)
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

// smbStatus is the name of an NTSTATUS code (MS-ERREF section 2.3.1) that a
// session setup may end with.
func smbStatus(code uint32) string {
	switch code {
	case 0xc000000d:
		return "INVALID_PARAMETER"
	case 0xc0000022:
		return "ACCESS_DENIED"
	case 0xc000005e:
		return "NO_LOGON_SERVERS"
	case 0xc0000064:
		return "NO_SUCH_USER"
	case 0xc000006a:
		return "WRONG_PASSWORD"
	case 0xc000006d:
		return "LOGON_FAILURE"
	case 0xc000006e:
		return "ACCOUNT_RESTRICTION"
	case 0xc000006f:
		return "INVALID_LOGON_HOURS"
	case 0xc0000070:
		return "INVALID_WORKSTATION"
	case 0xc0000071:
		return "PASSWORD_EXPIRED"
	case 0xc0000072:
		return "ACCOUNT_DISABLED"
	case 0xc00000bb:
		return "NOT_SUPPORTED"
	case 0xc00000cb:
		return "BAD_DEVICE_TYPE"
	case 0xc0000133:
		return "TIME_DIFFERENCE_AT_DC"
	case 0xc000015b:
		return "LOGON_TYPE_NOT_GRANTED"
	case 0xc000018d:
		return "TRUSTED_RELATIONSHIP_FAILURE"
	case 0xc0000193:
		return "ACCOUNT_EXPIRED"
	case 0xc0000203:
		return "USER_SESSION_DELETED"
	case 0xc0000224:
		return "PASSWORD_MUST_CHANGE"
	case 0xc0000234:
		return "ACCOUNT_LOCKED_OUT"
	}
	return fmt.Sprintf("0x%08x", code)
}
