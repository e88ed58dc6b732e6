package dissect

import (
	"encoding/binary"
	"encoding/hex"
)

// DCE/RPC over TCP: the connection-oriented protocol of C706 chapter 12 with
// the extensions of MS-RPCE. Every fragment begins with
//
//	05 version  00 or 01 minor  type (1)  flags (1)  data representation (4)
//	fragment length (2)  authentication length (2)  call (4)
//
// and a bind (11) or alter context (14) goes on with
//
//	fragment sizes (2, 2)  group (4)  contexts (1)  reserved (3)
//	context: id (2)  transfer syntaxes (1)  reserved (1)
//	         interface: UUID (16)  version (4)   transfer syntaxes (20 each)
//
// The interface says whom the client wants: on port 135 the endpoint mapper, on
// dynamic ports what that pointed to.

var dcerpc = Dissector{
	Name:  "dcerpc",
	Over:  TCP,
	Ports: []uint16{135},
	Probe: probeDCERPC,
	New:   func(*Context) Parser { return &dcerpcParser{} },
}

const (
	dcerpcHeaderSize = 16
	dcerpcBind       = 11
	dcerpcAlter      = 14
	dcerpcLastType   = 19
	dcerpcSettled    = 32      // fragments of one direction that are read
	dcerpcMaxBind    = 4 << 10 // bytes of a bind that are waited for
	maxInterfaces    = 16      // contexts of one bind that are looked at
)

func probeDCERPC(_ Dir, b []byte) Match {
	switch {
	case len(b) > 0 && b[0] != 5,
		len(b) > 1 && b[1] > 1,
		len(b) > 2 && b[2] > dcerpcLastType,
		// Characters, byte order and floating point: ASCII or EBCDIC, big or
		// little endian, one of four formats; then two bytes that are zero.
		len(b) > 4 && b[4]&0xee != 0,
		len(b) > 5 && b[5] > 3,
		len(b) > 6 && b[6] != 0,
		len(b) > 7 && b[7] != 0:
		return No
	case len(b) < dcerpcHeaderSize:
		return Maybe
	}
	size, auth := dcerpcSizes(b)
	if size < dcerpcHeaderSize || auth > size-dcerpcHeaderSize {
		return No
	}
	switch b[2] {
	case 0, dcerpcBind, dcerpcAlter, 16, 18, 19: // request, AUTH3, cancel, orphaned
		return FromClient
	case 2, 3, 12, 13, 15, 17: // response, fault, bind's answers, alter's, shutdown
		return FromServer
	}
	return No
}

// dcerpcSizes reads the lengths of a fragment and of its authentication, in the
// sender's byte order.
func dcerpcSizes(b []byte) (size, auth int) {
	if b[4]&0x10 != 0 {
		return int(binary.LittleEndian.Uint16(b[8:])), int(binary.LittleEndian.Uint16(b[10:]))
	}
	return int(binary.BigEndian.Uint16(b[8:])), int(binary.BigEndian.Uint16(b[10:]))
}

type dcerpcParser struct {
	toTheGap
	read [2]int // fragments
}

func (p *dcerpcParser) Parse(dir Dir, b []byte, facts *Facts) (int, error) {
	if len(b) < dcerpcHeaderSize {
		return 0, ErrShort
	}
	size, _ := dcerpcSizes(b)
	if b[0] != 5 || size < dcerpcHeaderSize {
		return 0, &Malformed{"fragment", 0, "not one of version 5"}
	}
	if b[2] == dcerpcBind || b[2] == dcerpcAlter {
		if len(b) < min(size, dcerpcMaxBind) {
			return 0, ErrShort
		}
		dcerpcInterfaces(b[:min(len(b), size)], facts)
	}
	if p.read[dir]++; p.read[dir] >= dcerpcSettled {
		return size, ErrDone
	}
	return size, nil
}

// dcerpcInterfaces records what a bind asks for, as far as it is there.
func dcerpcInterfaces(b []byte, facts *Facts) {
	r := newReader(b)
	r.bytes("header and sizes", dcerpcHeaderSize+8)
	contexts := r.u8("contexts")
	r.bytes("reserved", 3)
	for range min(contexts, maxInterfaces) {
		r.le16("context")
		syntaxes := r.u8("transfer syntaxes")
		r.u8("reserved")
		uuid := r.bytes("interface", 16)
		r.le32("version")
		r.bytes("transfer syntaxes", 20*syntaxes)
		if uuid == nil {
			return
		}
		facts.AddText(DCERPCInterface, dcerpcName(uuid, b[4]&0x10 != 0))
	}
}

// dcerpcName is the name of an interface that is common, or its UUID. In the
// byte order of the little end, the first three parts are turned round (C706
// appendix A).
func dcerpcName(b []byte, little bool) string {
	var u [16]byte
	copy(u[:], b)
	if little {
		u[0], u[1], u[2], u[3] = b[3], b[2], b[1], b[0]
		u[4], u[5], u[6], u[7] = b[5], b[4], b[7], b[6]
	}
	h := hex.EncodeToString(u[:])
	switch s := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]; s {
	case "e1af8308-5d1f-11c9-91a4-08002b14a0fa":
		return "epmapper"
	case "99fcfec4-5260-101b-bbcb-00aa0021347a":
		return "IObjectExporter"
	case "000001a0-0000-0000-c000-000000000046":
		return "IRemoteSCMActivator"
	case "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57":
		return "IActivation"
	case "12345778-1234-abcd-ef00-0123456789ab":
		return "lsarpc"
	case "12345778-1234-abcd-ef00-0123456789ac":
		return "samr"
	case "12345678-1234-abcd-ef00-01234567cffb":
		return "netlogon"
	case "12345678-1234-abcd-ef00-0123456789ab":
		return "spoolss"
	case "e3514235-4b06-11d1-ab04-00c04fc2dcd2":
		return "drsuapi"
	case "367abb81-9844-35f1-ad32-98f038001003":
		return "svcctl"
	case "338cd001-2244-31f1-aaaa-900038001003":
		return "winreg"
	case "4b324fc8-1670-01d3-1278-5a47bf6ee188":
		return "srvsvc"
	case "6bffd098-a112-3610-9833-46c3f87e345a":
		return "wkssvc"
	case "1ff70682-0a51-30e8-076d-740be8cee98b":
		return "atsvc"
	case "86d35949-83c9-4044-b424-db363231fd0c":
		return "ITaskSchedulerService"
	case "82273fdc-e32a-18c3-3f78-827929dc23ea":
		return "eventlog"
	default:
		return s
	}
}
