package dissect

import (
	"bytes"
	"strconv"
)

// iSCSI, RFC 7143. A connection begins with the login phase (section 6.3), in
// messages of a header of 48 bytes and text (sections 11.12 and 11.13):
//
//	43 request   transit, continue, current and next stage (1)  version: highest (1), lowest (1)
//	23 response  likewise                                        version: highest (1), active (1)
//	additional headers: words (1)  text: length (3)  session (8)  task (4)  ...
//	response, at byte 36: status class (1), detail (1)
//	text: key=value, each ended by 00; padded to 4 bytes
//
// Stage 0 negotiates security, 1 operation; with a transit to stage 3 the
// commands begin, and reading ends. Of CHAP (RFC 1994, section 12.1.3) is told
// that it was used: the names are users' names, the rest is secret.

const (
	iscsiHeader    = 48
	iscsiLogin     = 0x43 // bit 6 says immediate, as every login is
	iscsiAnswer    = 0x23
	iscsiTransit   = 0x80
	iscsiReserved  = 0x30 // bits of the flags that are zero
	iscsiFullStage = 3
	maxISCSILogin  = 16 << 10 // bytes of one message of the login phase; 8192 is usual
	maxISCSILogins = 32       // messages of one login phase that are read
)

var iscsi = Dissector{
	Name:  "iscsi",
	Over:  TCP,
	Ports: []uint16{3260},
	Probe: probeISCSI,
	New:   func(c *Context) Parser { return &iscsiParser{users: c.ShowUsers} },
}

func probeISCSI(_ Dir, b []byte) Match {
	const (
		version = 0 // the only one
		words   = 4
		length  = 5
		class   = 36
	)
	if len(b) == 0 {
		return Maybe
	}
	if b[0] != iscsiLogin && b[0] != iscsiAnswer || len(b) > 1 && (b[1]&iscsiReserved != 0 || b[1]>>2&3 == 2) {
		return No
	}
	for i := 2; i < min(len(b), length+1); i++ {
		// Neither additional headers nor text of 64 KiB in a login.
		if i < words && b[i] != version || i >= words && b[i] != 0 {
			return No
		}
	}
	switch {
	case b[0] == iscsiAnswer && len(b) > class && b[class] > 3:
		return No
	case len(b) < iscsiHeader:
		return Maybe
	case b[0] == iscsiAnswer:
		return FromServer
	case len(b) == iscsiHeader:
		return Maybe
	}
	if first := b[iscsiHeader]; first < 'A' || first > 'Z' {
		return No // all keys begin with a capital
	}
	return FromClient
}

type iscsiParser struct {
	users    bool
	logins   int
	auth     string
	complete bool
	failed   bool
}

func (p *iscsiParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	opcode := r.u8("opcode")
	flags := r.u8("flags")
	r.be16("versions")
	words := r.u8("additional headers")
	length := r.be24("text length")
	r.bytes("session, task, sequence numbers", 28)
	class := r.u8("status class")
	detail := r.u8("status detail")
	r.bytes("reserved", 10)
	if r.err() != nil {
		return 0, r.err()
	}
	if opcode != iscsiLogin && opcode != iscsiAnswer {
		return 0, ErrDone // the login phase is over, in a way that was not seen
	}
	if length > maxISCSILogin {
		return 0, &Malformed{"text length", 5, strconv.Itoa(length) + " bytes in a login"}
	}
	r.bytes("additional headers", 4*words)
	text := r.bytes("text", length)
	r.bytes("padding", -length&3)
	if r.err() != nil {
		return 0, r.err()
	}
	request := opcode == iscsiLogin
	for len(text) > 0 {
		pair, rest, _ := bytes.Cut(text, []byte{0})
		text = rest
		if key, value, ok := bytes.Cut(pair, []byte("=")); ok {
			p.key(string(key), value, request, facts)
		}
	}
	if p.logins++; p.logins > maxISCSILogins {
		return r.off, ErrDone
	}
	if request {
		return r.off, nil
	}
	switch {
	case class == 1: // the target moved: the client logs in elsewhere
		p.failed = true
		facts.SetText(ISCSIStatus, "moved")
		return r.off, ErrDone
	case class > 1:
		p.failed = true
		facts.SetText(ISCSIStatus, iscsiStatus(class, detail))
		return r.off, ErrDone
	case flags&iscsiTransit != 0 && flags&3 == iscsiFullStage:
		p.complete = true
		if p.auth == "" {
			facts.SetText(ISCSIAuth, "none") // nobody asked for any
		}
		return r.off, ErrDone
	}
	return r.off, nil
}

// key takes in one pair of the text.
func (p *iscsiParser) key(key string, value []byte, request bool, facts *Facts) {
	switch key {
	case "InitiatorName":
		facts.SetText(ISCSIInitiator, printable(value))
	case "TargetName":
		facts.SetText(ISCSITarget, printable(value))
	case "SessionType":
		if string(value) == "Discovery" {
			facts.SetFlag(ISCSIDiscovery, true)
		}
	case "AuthMethod":
		if !request { // the client offers, the target chooses
			p.auth = iscsiAuth(string(value))
			facts.SetText(ISCSIAuth, p.auth)
		}
	case "HeaderDigest":
		if !request && string(value) != "None" {
			facts.AddText(ISCSIDigest, "header")
		}
	case "DataDigest":
		if !request && string(value) != "None" {
			facts.AddText(ISCSIDigest, "data")
		}
	case "CHAP_C":
		if request { // the client challenges the target, too
			facts.SetFlag(ISCSIMutual, true)
		}
	case "CHAP_N":
		if request && p.users {
			facts.AddText(ISCSIUser, printable(value))
		}
	}
}

// iscsiAuth is the name of an authentication method (RFC 7143 section 12.1).
func iscsiAuth(name string) string {
	switch name {
	case "CHAP":
		return "chap"
	case "None":
		return "none"
	case "KRB5":
		return "kerberos"
	case "SRP":
		return "srp"
	case "Reject":
		return "reject"
	}
	return "other"
}

// iscsiStatus names why a login failed (RFC 7143 section 11.13.5).
func iscsiStatus(class, detail int) string {
	switch class<<8 | detail {
	case 0x0200:
		return "initiator error"
	case 0x0201:
		return "authentication failure"
	case 0x0202:
		return "authorization failure"
	case 0x0203:
		return "target not found"
	case 0x0204:
		return "target removed"
	case 0x0205:
		return "unsupported version"
	case 0x0206:
		return "too many connections"
	case 0x0207:
		return "missing parameter"
	case 0x0208:
		return "cannot include in session"
	case 0x0209:
		return "session type not supported"
	case 0x020a:
		return "session does not exist"
	case 0x020b:
		return "invalid request during login"
	case 0x0300:
		return "target error"
	case 0x0301:
		return "service unavailable"
	case 0x0302:
		return "out of resources"
	}
	return "status " + strconv.Itoa(class) + "/" + strconv.Itoa(detail)
}

// Gap ends the reading: a login is short, and what is lost of it is lost.
func (p *iscsiParser) Gap(Dir, []byte, uint64, *Facts) (uint64, bool) { return 0, false }

// Close says what became of the login.
func (p *iscsiParser) Close(facts *Facts) {
	switch {
	case p.complete:
		facts.SetText(ISCSIHandshake, "complete")
	case p.failed:
		facts.SetText(ISCSIHandshake, "failed")
	default:
		facts.SetText(ISCSIHandshake, "incomplete")
	}
}
