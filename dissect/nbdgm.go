package dissect

// The NetBIOS datagram service, UDP port 138 (RFC 1002 section 4.4): by it
// Windows hosts make themselves known to their neighbours, in messages of SMB1
// to a mailslot (MS-BRWS section 2.2).
//
//	type (1): 10 to one, 11 to a group, 12 to all, 13 error, 14-16 query and its answers
//	flags (1)  id (2)  source address (4), port (2)
//	datagrams: length of what follows (2)  offset of the packet (2)  source name  destination name  data
//	queries:   destination name
//
// Names are those of netbios.go.

const (
	nbdgmHeader  = 1 + 1 + 2 + 4 + 2
	nbdgmAddress = nbdgmHeader + 2 + 2 // where a datagram's names begin
	nbdgmFirst   = 2                   // of flags: the first fragment
)

var nbdgm = Dissector{
	Name:  "nbdgm",
	Over:  UDP,
	Ports: []uint16{138},
	Probe: probeNBDGM,
	New:   func(*Context) Parser { return nbdgmParser{} },
}

func probeNBDGM(_ Dir, b []byte) Match {
	if len(b) > 0 && (b[0] < 0x10 || b[0] > 0x16) {
		return No
	}
	if len(b) < nbdgmHeader {
		return Maybe
	}
	switch b[0] {
	case 0x10, 0x11, 0x12:
		if len(b) < nbdgmAddress {
			return Maybe
		}
		return netbiosName(b[nbdgmAddress:])
	case 0x13:
		return Weak
	}
	return netbiosName(b[nbdgmHeader:])
}

type nbdgmParser struct{ toTheGap }

func (nbdgmParser) Parse(_ Dir, b []byte, facts *Facts) (int, error) {
	r := newReader(b)
	kind := r.u8("type")
	flags := r.u8("flags")
	r.bytes("id, source", 2+4+2)
	r.be16("length")
	r.be16("offset")
	nbdgmSkipName(r, "source name")
	nbdgmSkipName(r, "destination name")
	signature := r.bytes("data", 4)
	if r.err() != nil || kind < 0x10 || kind > 0x12 || flags&nbdgmFirst == 0 {
		return len(b), nil // cut, or of another kind: it names no protocol
	}
	if string(signature) == "\xffSMB" {
		facts.Refine("smb")
		facts.SetFlag(SMBSMB1, true)
		return len(b), ErrDone
	}
	return len(b), nil
}

// nbdgmSkipName passes over the labels of a name, the last one of which is
// empty.
func nbdgmSkipName(r *reader, field string) {
	for {
		n := r.u8(field)
		if n == 0 {
			return
		}
		if n > 63 { // a pointer: the name service alone has them
			r.malformed(field, "label longer than 63 bytes")
			return
		}
		r.bytes(field, n)
	}
}
