package dissect

import "encoding/binary"

// Kerberos version 5, RFC 4120 section 5: every message is
//
//	6x or 7x length  30 length                        [APPLICATION n] SEQUENCE
//	   a1 03 02 01 05  a2 03 02 01 n                  of a request to the KDC
//	   a0 03 02 01 05  a1 03 02 01 n  ...             of others
//
// with n, the kind, said twice. Over UDP a datagram is one message, over TCP
// (section 7.2.2) each follows its length (4), the highest bit of which is zero.

var kerberosUDP = Dissector{
	Name:  "kerberos",
	Over:  UDP,
	Ports: []uint16{88},
	Probe: func(_ Dir, b []byte) Match { return probeKerberos(b) },
	New:   func(*Context) Parser { return &kerberosParser{} },
}

var kerberosTCP = Dissector{
	Name:  "kerberos",
	Over:  TCP,
	Ports: []uint16{88},
	Probe: func(_ Dir, b []byte) Match {
		if len(b) < 4 {
			if len(b) > 0 && b[0] != 0 {
				return No
			}
			return Maybe
		}
		if size := binary.BigEndian.Uint32(b); size < 16 || size > maxKerberos {
			return No
		}
		return probeKerberos(b[4:])
	},
	New: func(*Context) Parser { return &kerberosParser{stream: true} },
}

const (
	maxKerberos     = 1 << 20
	kerberosEnough  = 16      // messages of a stream that are read
	kerberosMaxRead = 1 << 10 // bytes of an error that are looked at: the code stands in front of the text
	krbError        = 30
)

// kerberosKinds are the messages, by the number of their kind.
var kerberosKinds = [...]struct {
	name   string
	sender Match
}{
	10: {"AS-REQ", FromClient}, 11: {"AS-REP", FromServer},
	12: {"TGS-REQ", FromClient}, 13: {"TGS-REP", FromServer},
	14: {"AP-REQ", FromClient}, 15: {"AP-REP", FromServer},
	20: {"KRB-SAFE", Yes}, 21: {"KRB-PRIV", Yes}, 22: {"KRB-CRED", Yes},
	krbError: {"KRB-ERROR", FromServer},
}

// kerberosKind is the kind that a message's first byte names; 0 for none.
func kerberosKind(tag byte) int {
	kind := int(tag & 0x1f)
	if tag&0xe0 != 0x60 || kind >= len(kerberosKinds) || kerberosKinds[kind].name == "" {
		return 0
	}
	return kind
}

func probeKerberos(b []byte) Match {
	if len(b) == 0 {
		return Maybe
	}
	kind := kerberosKind(b[0])
	if kind == 0 {
		return No
	}
	r := newReader(b)
	_, outer := r.berHeader("message")
	start := r.off
	sequence, inner := r.berHeader("sequence")
	if r.err() != nil {
		if r.err() == ErrShort && (start == 0 || len(b) <= start || b[start] == berSequence) {
			return Maybe
		}
		return No
	}
	if sequence != berSequence || r.off+inner > start+outer {
		return No
	}
	shape := "\xa0\x03\x02\x01\x05\xa1\x03\x02\x01"
	if kind == 10 || kind == 12 {
		shape = "\xa1\x03\x02\x01\x05\xa2\x03\x02\x01"
	}
	if m := begins(b[r.off:], shape+string(rune(kind))); m != Yes {
		return m
	}
	return kerberosKinds[kind].sender
}

type kerberosParser struct {
	toTheGap
	stream bool
	read   int
}

func (p *kerberosParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
	if !p.stream {
		return len(b), kerberosMessage(b, facts)
	}
	r := newReader(b)
	size := int(r.be32("length"))
	if r.err() != nil {
		return 0, r.err()
	}
	if size > maxKerberos {
		return 0, &Malformed{"length", 0, "longer than 1 MiB"}
	}
	if len(b) < 4+min(size, kerberosMaxRead) {
		return 0, ErrShort
	}
	if size == 0 {
		return 0, &Malformed{"length", 0, "no message"}
	}
	if err := kerberosMessage(b[4:min(len(b), 4+size)], facts); err != nil {
		return 0, err
	}
	if p.read++; p.read >= kerberosEnough {
		return 4 + size, ErrDone
	}
	return 4 + size, nil
}

// kerberosMessage records the kind of a message, and of an error the code
// (section 5.9.1: [6]; the numbers are in section 7.5.9).
func kerberosMessage(b []byte, facts *Facts) error {
	if len(b) == 0 {
		return ErrShort
	}
	kind := kerberosKind(b[0])
	if kind == 0 {
		return &Malformed{"message", 0, "not one of Kerberos"}
	}
	facts.AddText(KerberosMessage, kerberosKinds[kind].name)
	if kind != krbError {
		return nil
	}
	r := newReader(b)
	r.berHeader("message")
	r.berHeader("sequence")
	for r.err() == nil && r.left() > 0 {
		tag, element := r.ber("element")
		if tag == 0xa6 {
			if code := element.berInt("error code"); r.err() == nil {
				facts.AddNum(KerberosError, code)
			}
			return nil
		}
	}
	return nil
}
