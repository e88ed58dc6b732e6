package dissect

// LDAP version 3, RFC 4511, and its use over UDP (CLDAP, MS-ADTS section
// 6.3.3: "LDAP ping"). A message is
//
//	30 length                       LDAPMessage
//	   02 length  message ID
//	   6x or 4x, 5x, 7x length ...  the operation, [APPLICATION n]
//	   a0 length ...                controls, optional
//
// A bind names its mechanism:
//
//	60 length  02 01 03  04 length DN  80 length password        simple
//	                                   a3 length  04 length name  SASL
//
// Behind a SASL bind the messages may be wrapped (RFC 4752 section 3.1): there
// the reading ends. Behind the answer to StartTLS, an extended request (RFC 4511
// section 4.14), TLS begins.

var ldap = Dissector{
	Name:    "ldap",
	Over:    TCP,
	Ports:   []uint16{389, 3268},
	Carrier: true,
	Probe:   func(_ Dir, b []byte) Match { return probeLDAP(b) },
	New:     func(*Context) Parser { return &ldapParser{} },
}

var cldap = Dissector{
	Name:  "cldap",
	Over:  UDP,
	Ports: []uint16{389},
	Probe: func(_ Dir, b []byte) Match { return probeLDAP(b) },
	New:   newNamed,
}

const (
	ldapBind        = 0x60
	ldapMaxRead     = 4 << 10 // bytes of a bind that are waited for
	ldapSettled     = 64      // messages of one direction that are read
	ldapLongestMsg  = 64 << 20
	ldapHeaderBytes = 6 + 6 + 6 // of the message, its ID and the operation, at most
)

// probeLDAP judges the beginning of a message.
func probeLDAP(b []byte) Match {
	if len(b) > 0 && b[0] != berSequence {
		return No
	}
	r := newReader(b)
	_, length := r.berHeader("message")
	switch {
	case r.err() == ErrShort:
		return Maybe
	case length < 5 || length > ldapLongestMsg:
		return No
	}
	start := r.off
	id := r.berInt("message ID")
	idEnd := r.off
	short := r.err() == ErrShort
	operation, size := r.berHeader("operation")
	switch {
	case short && len(b) > start && b[start] != berInteger:
		return No
	case short:
		return Maybe
	case r.err() == ErrShort:
		if len(b) > idEnd && ldapSender(int(b[idEnd])) == No {
			return No
		}
		return Maybe
	case r.err() != nil, id < 0, id > 1<<31-1, r.off+size > start+length:
		return No
	}
	if len(b) == r.off && size > 0 && operation == ldapBind {
		return Maybe
	}
	// A bind has the version next: what else begins this way is no bind.
	if operation == ldapBind && (size < 7 || b[r.off] != berInteger) {
		return No
	}
	return ldapSender(operation)
}

// ldapSender says who sends an operation: No where there is none with that tag.
func ldapSender(operation int) Match {
	switch operation {
	case ldapBind, 0x42, 0x63, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, 0x77:
		return FromClient
	case 0x61, 0x64, 0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, 0x73, 0x78, 0x79:
		return FromServer
	}
	return No
}

type ldapParser struct {
	toTheGap
	read [2]int // messages
	sasl bool   // a SASL bind was seen
}

func (p *ldapParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	switch m := probeTLS(dir, b); {
	case b[0] == berSequence:
	case m == Maybe:
		return 0, ErrShort
	case m == FromClient || m == FromServer:
		return 0, ErrHandOver
	case p.sasl:
		return 0, ErrDone // wrapped
	}
	r := newReader(b)
	message, length := r.berHeader("message")
	if r.err() != nil {
		return 0, r.err()
	}
	if message != berSequence {
		return 0, &Malformed{"message", 0, "not a sequence"}
	}
	whole := r.off + length
	if need := min(whole, ldapHeaderBytes); len(b) < need {
		return 0, ErrShort
	}
	r.berInt("message ID")
	operation, size := r.berHeader("operation")
	if err := r.err(); err != nil {
		if p.sasl {
			return 0, ErrDone
		}
		if err == ErrShort { // the message ends before it does
			err = &Malformed{"operation", r.off, "cut by the message's length"}
		}
		return 0, err
	}
	if operation == ldapBind {
		end := r.off + size
		if len(b) < min(end, ldapMaxRead) {
			return 0, ErrShort
		}
		inner := newReader(b[r.off:min(len(b), end)])
		p.bind(inner, facts)
	}
	if p.read[dir]++; p.read[dir] >= ldapSettled {
		return whole, ErrDone
	}
	return whole, nil
}

// bind records the kind of a bind, of which the name and the password are not
// looked at.
func (p *ldapParser) bind(r *reader, facts *Facts) {
	r.berInt("version")
	r.berOf("name", berOctets)
	kind, credentials := r.berHeader("authentication")
	if r.err() != nil {
		return
	}
	switch kind {
	case 0x80:
		if credentials == 0 {
			facts.AddText(LDAPBind, "anonymous")
		} else {
			facts.AddText(LDAPBind, "simple")
		}
	case 0xa3:
		p.sasl = true
		mechanism := r.berOf("mechanism", berOctets)
		if name := mechanism.rest(); len(name) > 0 && len(name) <= 32 {
			facts.AddText(LDAPBind, printable(name))
		}
	case 0x89, 0x8a, 0x8b: // MS-ADTS section 5.1.1.1.3
		p.sasl = true
		facts.AddText(LDAPBind, "sicily")
	}
}
