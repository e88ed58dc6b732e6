package dissect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// The security buffer of a session setup, in SMB1 as in SMB2, holds a token of
// GSS-API, in the wrapping of SPNEGO (RFC 4178) or bare. Which mechanism is
// used, and not only offered, shows its own message inside: for Kerberos the
// object identifier 1.2.840.113554.1.2.2 before a token of kind 01 00, AP-REQ
// (RFC 4121 section 4.1); for NTLM the AUTHENTICATE message (MS-NLMP section
// 2.2.1.3):
//
//	"NTLMSSP" 00  3 (4)  LM response (length 2, room 2, offset 4)  NT response (likewise)
//	domain (8)  user (8)  workstation (8)  session key (8)  flags (4) ...
//
// whose offsets count from its beginning. An NT response of 24 bytes is that of
// version 1, a longer one of version 2; nobody's are empty.

const ntlmUnicode = 1 // of the flags

// authenticate reads a security buffer of the client.
func (p *smbParser) authenticate(token []byte, facts *Facts) {
	if at := bytes.Index(token, []byte("NTLMSSP\x00")); at >= 0 {
		token = token[at:]
		r := newReader(token)
		r.bytes("signature", 8)
		if r.le32("message type") != 3 {
			return
		}
		lm := r.le16("LM response length")
		r.bytes("LM response", 6)
		nt := r.le16("NT response length")
		r.bytes("NT response", 6)
		if r.err() != nil {
			return
		}
		p.ntlm(lm, nt)
		if p.users {
			domain := ntlmField(r, token)
			user := ntlmField(r, token)
			r.bytes("workstation, session key", 16)
			if flags := r.le32("flags"); r.err() == nil {
				unicode := flags&ntlmUnicode != 0
				p.user(smbText(domain, unicode), smbText(user, unicode), facts)
			}
		}
		return
	}
	const apReq = "\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00"
	if bytes.Contains(token, []byte(apReq)) {
		p.auth, p.anonymous = "kerberos", false
	}
}

// ntlmField reads where a part of the message is, and finds it.
func ntlmField(r *reader, message []byte) []byte {
	length := r.le16("length")
	r.le16("room")
	offset := r.le32("offset")
	if r.err() != nil || uint64(offset)+uint64(length) > uint64(len(message)) {
		return nil
	}
	return message[offset:][:length]
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

// user takes in who the client says to be, where that was asked for.
func (p *smbParser) user(domain, name string, facts *Facts) {
	if !p.users || name == "" {
		return
	}
	if domain != "" {
		name = domain + `\` + name
	}
	facts.AddText(SMBUser, name)
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

// smbText is a name of SMB as a record may show it.
func smbText(b []byte, unicode bool) string {
	if unicode {
		return utf16Text(b)
	}
	return printable(b[:min(len(b), maxSMBName)])
}

// utf16Text is a name in UTF-16, little-endian, as a record may show it. What
// is longer than any name is cut.
func utf16Text(b []byte) string {
	units := make([]uint16, min(len(b)/2, maxSMBName))
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return printable([]byte(string(utf16.Decode(units))))
}

// smbStatus is the name of an NTSTATUS code (MS-ERREF section 2.3.1) that a
// session setup or a tree connect may end with.
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
	case 0xc00000c9:
		return "NETWORK_NAME_DELETED"
	case 0xc00000ca:
		return "NETWORK_ACCESS_DENIED"
	case 0xc00000cb:
		return "BAD_DEVICE_TYPE"
	case 0xc00000cc:
		return "BAD_NETWORK_NAME"
	case 0xc00000d0:
		return "REQUEST_NOT_ACCEPTED"
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
