package dissect

import "bytes"

// SMB1. A message is a header of 32 bytes (MS-CIFS section 2.2.3.1), words and
// bytes:
//
//	FF S M B  command (1)  status (4)  flags (1)  flags2 (2)  process high (2)
//	signature (8)  -- (2)  tree (2)  process (2)  user (2)  multiplex (2)
//	words: count (1), 2 bytes each    bytes: count (2), as many
//
// Commands whose name ends in ANDX may carry another one: their words begin
// with its number (1), -- (1) and its offset from the header (2).
//
// A NEGOTIATE that offers dialects of SMB2 as well may be answered in SMB2
// (MS-SMB2 section 3.3.5.3): nothing of SMB1 follows then.

const (
	smb1HeaderSize = 32

	smb1Negotiate    = 0x72
	smb1SessionSetup = 0x73
	smb1TreeConnect  = 0x75
	smb1Echo         = 0x2b

	smb1Signed          = 0x0004 // of flags2
	smb1SigningRequired = 0x0010
	smb1Unicode         = 0x8000

	maxSMBDialects = 32 // dialects of an SMB1 NEGOTIATE
	maxSMB1Name    = 32 // bytes of one
)

// parse1 reads an SMB1 message of size bytes that b begins with.
func (p *smbParser) parse1(b []byte, size int, facts *Facts) error {
	if size < smb1HeaderSize+3 {
		return &Malformed{"SMB1 message", 4, "shorter than 35 bytes"}
	}
	r := newReader(b)
	r.bytes("protocol", 4)
	command := r.u8("command")
	status := r.le32("status")
	response := r.u8("flags")&0x80 != 0
	flags2 := uint16(r.le16("flags2"))
	r.bytes("rest of the header", 20)
	if r.err() != nil {
		return r.err()
	}

	if !p.version1 {
		p.version1 = true
		facts.SetFlag(SMBSMB1, true)
	}
	if command != smb1Negotiate && command != smb1Echo {
		p.goesOn1(facts)
	}
	switch command {
	case smb1Negotiate, smb1SessionSetup, smb1TreeConnect:
		message, short := waitSMB(b, size)
		if short {
			return ErrShort
		}
		switch {
		case command == smb1Negotiate && response:
			p.negotiated1(message, facts)
			return nil
		case command == smb1Negotiate:
			p.negotiate1(message, facts)
			return nil
		case command == smb1SessionSetup && response:
			p.setup1(message, status, facts)
			return nil
		case command == smb1SessionSetup:
			if flags2&smb1SigningRequired != 0 {
				p.signingRequired(ToServer, facts)
			}
			p.sessionSetup1(message, flags2, facts)
			return nil
		case response && status != 0 && p.setup:
			facts.SetText(SMBTreeStatus, smbStatus(status))
		case !response:
			p.treeConnect1(message, smb1HeaderSize, flags2, facts)
		}
	}
	if response && !p.setup {
		return nil
	}
	p.after++
	if !response {
		p.request(flags2&smb1Signed != 0, facts)
	}
	return nil
}

// goesOn1 takes in that SMB1 is spoken beyond a negotiate that SMB2 may end.
func (p *smbParser) goesOn1(facts *Facts) {
	if !p.session1 {
		p.session1 = true
		facts.SetFlag(SMBSMB1Session, true)
	}
}

// negotiate1 keeps the dialects offered: each is 02, its name, 00.
func (p *smbParser) negotiate1(b []byte, facts *Facts) {
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
		dialect := smb1Dialect(name[:min(len(name), maxSMB1Name)])
		if dialect != "" {
			facts.AddText(SMBDialects, dialect)
		}
		p.dialects[p.offered] = dialect
		p.offered++
		rest = after
	}
}

// smb1Dialect is the name of a dialect as SMB1 writes it; the ones that nearly
// every client offers are not copied.
func smb1Dialect(name []byte) string {
	switch string(name) {
	case "NT LM 0.12":
		return "NT LM 0.12"
	case "SMB 2.002":
		return "2.0.2" // MS-SMB2 section 3.3.5.3.1
	case "SMB 2.???":
		return "2.???"
	}
	return printable(name)
}

// negotiated1 reads the response: the index of the dialect (2), and for NT LM
// 0.12 the security mode (1) first of all.
func (p *smbParser) negotiated1(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	words := r.u8("word count")
	index := r.le16("dialect index")
	if r.err() != nil || words == 0 || index >= p.offered {
		return
	}
	facts.SetText(SMBDialect, p.dialects[index])
	p.goesOn1(facts)
	const required = 8
	if mode := r.u8("security mode"); words == 17 && mode&required != 0 {
		p.signingRequired(ToClient, facts)
	}
}

// sessionSetup1 reads the request, whose word count tells its form (MS-SMB
// section 2.2.4.6.1, MS-CIFS section 2.2.4.53.1).
func (p *smbParser) sessionSetup1(b []byte, flags2 uint16, facts *Facts) {
	r := newReader(b)
	r.bytes("header", smb1HeaderSize)
	words := r.u8("word count")
	another := r.u8("AndX command")
	r.u8("reserved")
	offset := r.le16("AndX offset")
	r.bytes("buffer, requests, circuit, session key", 2+2+2+4)
	switch words {
	case 10: // before NT: one password of LAN Manager
		lm := r.le16("password length")
		r.bytes("reserved, byte count", 4+2)
		if r.err() == nil {
			p.ntlm(lm, 0)
			p.account1(r, lm, flags2, facts)
		}
	case 12:
		length := r.le16("security blob length")
		r.bytes("reserved, capabilities, byte count", 4+4+2)
		if r.err() == nil {
			p.authenticate(r.b[r.off:min(len(r.b), r.off+length)], facts)
		}
	case 13:
		lm := r.le16("OEM password length")
		nt := r.le16("Unicode password length")
		r.bytes("reserved, capabilities, byte count", 4+4+2)
		passwords := lm + nt
		if r.err() == nil {
			if nt == 1 {
				nt = 0 // a null password is one zero byte
			}
			p.ntlm(lm, nt)
			p.account1(r, passwords, flags2, facts)
		}
	}
	if another == smb1TreeConnect {
		p.treeConnect1(b, offset, flags2, facts)
	}
}

// account1 reads the names behind passwords of so many bytes: the account, the
// domain.
func (p *smbParser) account1(r *reader, passwords int, flags2 uint16, facts *Facts) {
	if !p.users {
		return
	}
	r.bytes("passwords", passwords)
	name := text1(r, flags2)
	p.user(text1(r, flags2), name, facts)
}

// treeConnect1 reads the words of a TREE_CONNECT_ANDX request that begin at
// offset: AndX (4), flags (2), password length (2); and its bytes: password,
// path, service.
func (p *smbParser) treeConnect1(b []byte, offset int, flags2 uint16, facts *Facts) {
	if offset < smb1HeaderSize {
		return
	}
	r := newReader(b)
	r.bytes("header", offset)
	words := r.u8("word count")
	r.bytes("AndX, flags", 4+2)
	password := r.le16("password length")
	r.le16("byte count")
	r.bytes("password", password)
	if path := text1(r, flags2); words == 4 {
		p.tree(path, facts)
	}
}

// text1 reads a text that a zero ends: UTF-16, aligned to the header, or bytes.
func text1(r *reader, flags2 uint16) string {
	unicode := flags2&smb1Unicode != 0
	if !unicode {
		rest := r.rest()
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return ""
		}
		r.bytes("text and zero", end+1)
		return smbText(rest[:end], false)
	}
	r.bytes("padding", r.off&1)
	rest := r.rest()
	for end := 0; end+1 < len(rest); end += 2 {
		if rest[end] == 0 && rest[end+1] == 0 {
			r.bytes("text and zero", end+2)
			return smbText(rest[:end], true)
		}
	}
	return ""
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
