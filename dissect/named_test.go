package dissect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tlv is an element in the encoding of ber.go.
func tlv(tag byte, parts ...string) string {
	content := strings.Join(parts, "")
	if len(content) < 0x80 {
		return string([]byte{tag, byte(len(content))}) + content
	}
	return string([]byte{tag, 0x82, byte(len(content) >> 8), byte(len(content))}) + content
}

// counted is what stands behind its length in four bytes.
func counted(s string) string {
	return string([]byte{byte(len(s) >> 24), byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}) + s
}

// netbios is a name as NetBIOS writes it: 16 bytes in 32 letters.
func netbios(name string, kind byte) string {
	s := " "
	for _, c := range []byte(fmt.Sprintf("%-15s", name) + string(kind)) {
		s += string([]byte{'A' + c>>4, 'A' + c&15})
	}
	return s + "\x00"
}

// tdsPacket is a whole message of TDS.
func tdsPacket(kind byte, content string) []byte {
	size := tdsHeaderSize + len(content)
	return append([]byte{kind, 1, byte(size >> 8), byte(size), 0, 0, 1, 0}, content...)
}

func hexed(s string) string { return string(unhex(s)) }

var (
	dhcpRest = strings.Repeat("\x00", 4*4) + "\x02\x00\x5e\x10\x00\x01" + strings.Repeat("\x00", 10+64+128) + "\x63\x82\x53\x63"

	krbRequest = tlv(0x6a, tlv(berSequence, // AS-REQ
		tlv(0xa1, "\x02\x01\x05"), tlv(0xa2, "\x02\x01\x0a"),
		tlv(0xa4, tlv(berSequence, tlv(0xa2, tlv(0x1b, "CORP.EXAMPLE"))))))
	krbRefusal = tlv(0x7e, tlv(berSequence, // KRB-ERROR
		tlv(0xa0, "\x02\x01\x05"), tlv(0xa1, "\x02\x01\x1e"), tlv(0xa4, tlv(0x18, "20260101000000Z")), tlv(0xa5, "\x02\x01\x00"),
		tlv(0xa6, "\x02\x01\x19"), // PREAUTH_REQUIRED
		tlv(0xa9, tlv(0x1b, "CORP.EXAMPLE"))))

	utpOpening = "\x41\x00\x12\x34" + "\x00\x01\x02\x03" + "\x00\x00\x00\x00" + "\x00\x10\x00\x00" + "\x00\x01\x00\x00"
)

// namedSamples are of the protocols that are but named, and of those of which
// few facts are wanted.
var namedSamples = []sample{
	{
		name:     "LDAP begun by a long bind",
		protocol: "ldap", over: TCP, ports: [2]uint16{50389, 389},
		says: []message{
			{ToServer, []byte(tlv(berSequence, "\x02\x04\x55\xd6\x5b\xe1", tlv(ldapBind, "\x02\x01\x03", tlv(berOctets), tlv(0xa3, tlv(berOctets, "GSS-SPNEGO"), tlv(berOctets, strings.Repeat("\x60", 300))))))},
		},
		facts: "ldap.bind GSS-SPNEGO\n",
	},
	{
		name:     "LDAP",
		protocol: "ldap", over: TCP, ports: [2]uint16{50389, 389},
		says: []message{
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x01", tlv(ldapBind, "\x02\x01\x03", tlv(berOctets), tlv(0x80))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x01", tlv(0x61, "\x0a\x01\x00", tlv(berOctets), tlv(berOctets))))},
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x02", tlv(ldapBind, "\x02\x01\x03", tlv(berOctets, "cn=agent"), tlv(0x80, plantedPassword))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x02", tlv(0x61, "\x0a\x01\x31", tlv(berOctets), tlv(berOctets, strings.Repeat("no ", 50)))))},
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x03", tlv(ldapBind, "\x02\x01\x03", tlv(berOctets), tlv(0xa3, tlv(berOctets, "GSS-SPNEGO"), tlv(berOctets, "\x60")))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x03", tlv(0x61, "\x0a\x01\x00", tlv(berOctets), tlv(berOctets))))},
			{ToServer, []byte(counted("\x05\x04\x06\xff sealed"))},
		},
		facts: `
ldap.bind anonymous
ldap.bind simple
ldap.bind GSS-SPNEGO
`,
	},
	{
		name:     "CLDAP",
		protocol: "cldap", over: UDP, ports: [2]uint16{50390, 389},
		says: []message{
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x01", tlv(0x63, tlv(berOctets), "\x0a\x01\x00", "\x0a\x01\x00", "\x02\x01\x00", "\x02\x01\x00", "\x01\x01\x00", tlv(0x87, "objectClass"))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x01", tlv(0x64, tlv(berOctets), tlv(berSequence))))},
		},
	},
	{
		name:     "Kerberos",
		protocol: "kerberos", over: TCP, ports: [2]uint16{50088, 88},
		says: []message{
			{ToServer, []byte(counted(krbRequest))},
			{ToClient, []byte(counted(krbRefusal))},
			{ToServer, []byte(counted(krbRequest))},
			{ToClient, []byte(counted(tlv(0x6b, tlv(berSequence, tlv(0xa0, "\x02\x01\x05"), tlv(0xa1, "\x02\x01\x0b"), tlv(0xa3, tlv(0x1b, "CORP.EXAMPLE"))))))},
		},
		facts: `
kerberos.message AS-REQ
kerberos.message KRB-ERROR
kerberos.error 25
kerberos.message AS-REP
`,
	},
	{
		name:     "Kerberos over UDP",
		protocol: "kerberos", over: UDP, ports: [2]uint16{50089, 88},
		says:  []message{{ToServer, []byte(krbRequest)}, {ToClient, []byte(krbRefusal)}},
		facts: "kerberos.message AS-REQ\nkerberos.message KRB-ERROR\nkerberos.error 25\n",
	},
	{
		name:     "RDP",
		protocol: "rdp", over: TCP, ports: [2]uint16{53389, 3389},
		says: []message{
			{ToServer, []byte("\x03\x00\x00\x2b" + "\x26\xe0\x00\x00\x00\x00\x00" + "Cookie: mstshash=a99\r\n" + "\x01\x00\x08\x00\x0b\x00\x00\x00" + "zz")},
			{ToClient, []byte("\x03\x00\x00\x13" + "\x0e\xd0\x00\x00\x12\x34\x00" + "\x02\x1f\x08\x00\x02\x00\x00\x00")},
			{ToServer, plainHello},
			{ToClient, refusedHello},
		},
		facts: "rdp.security credssp" + refusedFacts,
	},
	{
		name:     "LDAP, then TLS",
		protocol: "tls", over: TCP, ports: [2]uint16{50391, 389},
		says: []message{
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x01", tlv(0x77, tlv(0x80, "1.3.6.1.4.1.1466.20037"))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x01", tlv(0x78, "\x0a\x01\x00", tlv(berOctets), tlv(berOctets))))},
			{ToServer, plainHello},
			{ToClient, refusedHello},
		},
		facts: refusedFacts,
	},
	{
		name:     "TDS",
		protocol: "tds", over: TCP, ports: [2]uint16{51433, 1433},
		says: []message{
			{ToServer, tdsPacket(tdsPrelogin, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x00\x00\x00\x00\x00\x00"+"\x00")},
			{ToClient, tdsPacket(tdsResult, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x0f\x00\x07\xd0\x00\x00"+"\x01")},
			// One record in two packets, two records in one.
			{ToServer, tdsPacket(tdsPrelogin, string(plainHello[:40]))},
			{ToServer, tdsPacket(tdsPrelogin, string(plainHello[40:]))},
			{ToClient, tdsPacket(tdsResult, string(refusedHello))},
		},
		facts: "tds.encryption on" + refusedFacts,
	},
	{
		name:     "TDS without encryption",
		protocol: "tds", over: TCP, ports: [2]uint16{51434, 1433},
		says: []message{
			{ToServer, tdsPacket(tdsPrelogin, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x00\x00\x00\x00\x00\x00"+"\x02")},
			{ToClient, tdsPacket(tdsResult, "\x00\x00\x0b\x00\x06"+"\x01\x00\x11\x00\x01"+"\xff"+"\x0f\x00\x07\xd0\x00\x00"+"\x02")},
			{ToServer, tdsPacket(0x10, plantedPassword)},
		},
		facts: "tds.encryption unsupported\n",
	},
	{
		name:     "VMware's authentication daemon",
		protocol: "vmware-authd", over: TCP, ports: [2]uint16{50902, 902},
		says: []message{
			{ToClient, []byte("220 VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP, MKSDisplayProtocol:VNC , NFCSSL supported/t\r\n")},
			{ToServer, []byte("USER agent\r\nPASS " + plantedPassword + "\r\n")},
		},
		facts: `
authd.banner VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP, MKSDisplayProtocol:VNC , NFCSSL supported/t
authd.tls_required true
`,
	},
	{
		name:     "SMTP",
		protocol: "smtp", over: TCP, ports: [2]uint16{50026, 25},
		says: []message{{ToClient, []byte("220 mail.example ESMTP ready\r\n")}, {ToServer, []byte("QUIT\r\n")}},
	},
	{
		name:     "FTP",
		protocol: "ftp", over: TCP, ports: [2]uint16{50021, 21},
		says: []message{{ToClient, []byte("220 files ready\r\n")}, {ToServer, []byte("USER agent\r\nPASS " + plantedPassword + "\r\n")}},
	},
	{
		name:     "PostgreSQL",
		protocol: "postgresql", over: TCP, ports: [2]uint16{50433, 5432},
		says: []message{
			{ToServer, []byte(postgresTLS)},
			{ToClient, []byte("N")},
			{ToServer, []byte("\x00\x00\x00\x14\x00\x03\x00\x00user\x00agent\x00\x00")},
			{ToClient, []byte("R\x00\x00\x00\x08\x00\x00\x00\x00")},
		},
	},
	{
		name:     "RDP refused",
		protocol: "rdp", over: TCP, ports: [2]uint16{53390, 3389},
		says: []message{
			{ToServer, []byte("\x03\x00\x00\x13" + "\x0e\xe0\x00\x00\x00\x00\x00" + "\x01\x00\x08\x00\x00\x00\x00\x00")},
			{ToClient, []byte("\x03\x00\x00\x13" + "\x0e\xd0\x00\x00\x12\x34\x00" + "\x03\x00\x08\x00\x05\x00\x00\x00")},
		},
		facts: "rdp.security refused\n",
	},
	{
		name:     "DCE/RPC",
		protocol: "dcerpc", over: TCP, ports: [2]uint16{50135, 135},
		says: []message{
			{ToServer, []byte("\x05\x00\x0b\x03\x10\x00\x00\x00\x74\x00\x00\x00\x01\x00\x00\x00" + // bind of 116 bytes
				"\xd0\x16\xd0\x16\x00\x00\x00\x00\x02\x00\x00\x00" +
				"\x00\x00\x01\x00" + hexed("0883afe11f5dc91191a408002b14a0fa 03000000") + hexed("045d888aeb1cc9119fe808002b104860 02000000") +
				"\x01\x00\x01\x00" + hexed("0102030405060708090a0b0c0d0e0f10 01000000") + hexed("045d888aeb1cc9119fe808002b104860 02000000"))},
			{ToClient, []byte("\x05\x00\x0c\x03\x10\x00\x00\x00\x1c\x00\x00\x00\x01\x00\x00\x00" + "\xd0\x16\xd0\x16\x01\x02\x03\x04\x00\x00\x00\x00")},
			{ToServer, []byte("\x05\x00\x00\x03\x10\x00\x00\x00\x18\x00\x00\x00\x02\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x03\x00")},
		},
		facts: `
dcerpc.interface epmapper
dcerpc.interface 04030201-0605-0807-090a-0b0c0d0e0f10
`,
	},
	{
		name:     "SNMP",
		protocol: "snmp", over: UDP, ports: [2]uint16{50161, 161},
		says: []message{
			{ToServer, []byte(tlv(berSequence, "\x02\x01\x01", tlv(berOctets, plantedPassword), tlv(0xa0, "\x02\x01\x07", "\x02\x01\x00", "\x02\x01\x00", tlv(berSequence))))},
			{ToClient, []byte(tlv(berSequence, "\x02\x01\x01", tlv(berOctets, plantedPassword), tlv(0xa2, "\x02\x01\x07", "\x02\x01\x00", "\x02\x01\x00", tlv(berSequence))))},
		},
		facts: "snmp.version 2c\n",
	},
	{
		name:     "SNMP version 3",
		protocol: "snmp", over: UDP, ports: [2]uint16{50162, 161},
		says:  []message{{ToServer, []byte(tlv(berSequence, "\x02\x01\x03", tlv(berSequence, "\x02\x01\x09", "\x02\x02\x05\xdc", tlv(berOctets, "\x04"), "\x02\x01\x03"), tlv(berOctets), tlv(berSequence)))}},
		facts: "snmp.version 3\n",
	},
	{
		name:     "NTP",
		protocol: "ntp", over: UDP, ports: [2]uint16{50123, 123},
		says: []message{
			{ToServer, append([]byte{0x23, 0, 6, 0xec}, make([]byte, 44)...)},
			{ToClient, append([]byte{0x24, 2, 6, 0xe8}, make([]byte, 44)...)},
		},
	},
	{
		name:     "DHCP",
		protocol: "dhcp", over: UDP, ports: [2]uint16{68, 67},
		says: []message{
			{ToServer, []byte("\x01\x01\x06\x00\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x01\xff")},
			{ToClient, []byte("\x02\x01\x06\x00\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x02\xff")},
		},
	},
	{
		name:     "DHCPv6",
		protocol: "dhcpv6", over: UDP, ports: [2]uint16{546, 547},
		says: []message{
			{ToServer, []byte("\x01\x10\x08\x74" + "\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x01" + "\x00\x08\x00\x02\x00\x00")},
			{ToClient, []byte("\x02\x10\x08\x74" + "\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x01" + "\x00\x02\x00\x0a\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x02")},
		},
	},
	{
		name:     "DHCPv6 relayed",
		protocol: "dhcpv6", over: UDP, ports: [2]uint16{547, 547},
		says: []message{
			{ToServer, []byte("\x0c\x00" + strings.Repeat("\xfd", 32) + "\x00\x09\x00\x04\x01\x10\x08\x74")},
			{ToClient, []byte("\x0d\x00" + strings.Repeat("\xfd", 32) + "\x00\x09\x00\x04\x02\x10\x08\x74")},
		},
	},
	{
		name:     "NetBIOS names",
		protocol: "nbns", over: UDP, ports: [2]uint16{137, 137},
		says: []message{
			{ToServer, []byte("\x12\x34\x01\x10\x00\x01\x00\x00\x00\x00\x00\x00" + netbios("AGENT", 0x20) + "\x00\x20\x00\x01")},
			{ToClient, []byte("\x12\x34\x85\x00\x00\x00\x00\x01\x00\x00\x00\x00" + netbios("AGENT", 0x20) + "\x00\x20\x00\x01" + "\x00\x00\x00\x3c\x00\x06\x00\x00\xc0\x00\x02\x01")},
		},
	},
	{
		name:     "NetBIOS datagrams",
		protocol: "nbdgm", over: UDP, ports: [2]uint16{138, 138},
		says: []message{
			{ToServer, []byte("\x14\x02\x12\x34\xc0\x00\x02\x01\x00\x8a" + netbios("AGENT", 0))},
			{ToClient, []byte("\x15\x02\x12\x34\xc0\x00\x02\x02\x00\x8a" + netbios("AGENT", 0))},
		},
	},
	{
		name:     "SSDP",
		protocol: "ssdp", over: UDP, ports: [2]uint16{51900, 1900},
		says: []message{
			{ToServer, []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n")},
			{ToClient, []byte("HTTP/1.1 200 OK\r\nEXT:\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\n\r\n")},
		},
	},
	{
		name:     "HSRP",
		protocol: "hsrp", over: UDP, ports: [2]uint16{1985, 1985},
		says: []message{
			{ToServer, []byte("\x00\x00\x10\x03\x0a\x64\x01\x00cisco\x00\x00\x00\xc0\x00\x02\x01")},
			{ToClient, []byte("\x00\x00\x08\x03\x0a\x64\x01\x00cisco\x00\x00\x00\xc0\x00\x02\x01")},
		},
	},
	{
		name:     "HSRP, the second version",
		protocol: "hsrp", over: UDP, ports: [2]uint16{1985, 1985},
		says: []message{{ToServer, []byte("\x01\x28\x02\x00\x06\x04\x00\x01" + strings.Repeat("\x11", 34))}},
	},
	{
		name:     "WS-Discovery",
		protocol: "ws-discovery", over: UDP, ports: [2]uint16{53702, 3702},
		says: []message{
			{ToServer, []byte(`<?xml version="1.0"?><s:Envelope xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><d:Probe/></s:Envelope>`)},
			{ToClient, []byte(`<s:Envelope xmlns:d="http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"><d:ProbeMatches/></s:Envelope>`)},
		},
	},
	{
		name:     "Syslog",
		protocol: "syslog", over: UDP, ports: [2]uint16{50514, 514},
		says: []message{
			{ToServer, []byte("<34>1 2026-01-01T00:00:00Z host app - - - hello")},
			{ToClient, []byte("<13>Jan  1 00:00:00 host app: hello")},
		},
	},
	{
		name:     "Syslog over TCP",
		protocol: "syslog", over: TCP, ports: [2]uint16{50514, 601},
		says: []message{{ToServer, []byte("47 <34>1 2026-01-01T00:00:00Z host app - - - hello")}},
	},
	{
		name:     "RADIUS",
		protocol: "radius", over: UDP, ports: [2]uint16{51812, 1812},
		says: []message{
			{ToServer, []byte("\x01\x07\x00\x1b" + strings.Repeat("\x5a", 16) + "\x01\x07agent")},
			{ToClient, []byte("\x02\x07\x00\x1a" + strings.Repeat("\x5a", 16) + "\x06\x06\x00\x00\x00\x02")},
		},
	},
	{
		name:     "TFTP",
		protocol: "tftp", over: UDP, ports: [2]uint16{50069, 69},
		says: []message{
			{ToServer, []byte("\x00\x01boot.img\x00Octet\x00blksize\x001024\x00")},
			{ToClient, []byte("\x00\x06blksize\x001024\x00")},
		},
	},
	{
		name:     "IKE",
		protocol: "ike", over: UDP, ports: [2]uint16{500, 500},
		says: []message{
			{ToServer, ikeMessage("", 0, 33, 0x20, 34, 0x08)},
			{ToClient, ikeMessage("", 9, 33, 0x20, 34, 0x20)},
		},
	},
	{
		name:     "IKE behind address translation, the responder asks",
		protocol: "ike", over: UDP, ports: [2]uint16{4500, 4500},
		says: []message{
			{ToClient, ikeMessage("\x00\x00\x00\x00", 9, 46, 0x20, 37, 0x00)},
			{ToServer, ikeMessage("\x00\x00\x00\x00", 9, 46, 0x20, 37, 0x28)},
		},
	},
	{
		name:     "IKE version 1",
		protocol: "ike", over: UDP, ports: [2]uint16{500, 500},
		says: []message{
			{ToServer, ikeMessage("", 0, 1, 0x10, 2, 0)},
			{ToClient, ikeMessage("", 9, 1, 0x10, 2, 0)},
		},
	},
	{
		name:     "WireGuard",
		protocol: "wireguard", over: UDP, ports: [2]uint16{40000, 51820},
		says: []message{
			{ToServer, []byte("\x01\x00\x00\x00" + strings.Repeat("\x77", 144))},
			{ToClient, []byte("\x02\x00\x00\x00" + strings.Repeat("\x88", 88))},
		},
	},
	{
		name:     "WireGuard, under way",
		protocol: "wireguard", over: UDP, ports: [2]uint16{40000, 51820},
		says: []message{
			{ToServer, []byte("\x04\x00\x00\x00" + "recv" + "\x6b\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x99", 16+64))},
			{ToClient, []byte("\x04\x00\x00\x00" + "othr" + "\x70\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\xaa", 16))},
		},
	},
	{
		name:     "BitTorrent",
		protocol: "bittorrent", over: TCP, ports: [2]uint16{56888, 6888},
		says: []message{
			{ToServer, []byte(bittorrentHandshake + strings.Repeat("\x01", 48))},
			{ToClient, []byte(bittorrentHandshake + strings.Repeat("\x02", 48))},
		},
	},
	{
		name:     "BitTorrent's table",
		protocol: "bittorrent", over: UDP, ports: [2]uint16{6888, 6888},
		says: []message{
			{ToServer, []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")},
			{ToClient, []byte("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re")},
		},
	},
	{
		name:     "BitTorrent's local discovery",
		protocol: "bittorrent", over: UDP, ports: [2]uint16{6771, 6771},
		says: []message{{ToServer, []byte("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6888\r\nInfohash: 0123\r\n\r\n\r\n")}},
	},
	{
		name:     "BitTorrent over uTP",
		protocol: "bittorrent", over: UDP, ports: [2]uint16{56888, 56889},
		says: []message{{ToServer, []byte(utpOpening)}},
	},
	{
		name:     "BGP",
		protocol: "bgp", over: TCP, ports: [2]uint16{50179, 179},
		says: []message{
			{ToServer, []byte(strings.Repeat("\xff", 16) + "\x00\x1d\x01" + "\x04\xfd\xe8\x00\xb4\xc0\x00\x02\x01\x00")},
			{ToClient, []byte(strings.Repeat("\xff", 16) + "\x00\x13\x04")},
		},
	},
	{
		name:     "VNC",
		protocol: "vnc", over: TCP, ports: [2]uint16{55900, 5900},
		says: []message{{ToClient, []byte("RFB 003.008\n")}, {ToServer, []byte("RFB 003.008\n")}},
	},
	{
		name:     "Telnet",
		protocol: "telnet", over: TCP, ports: [2]uint16{50023, 23},
		says: []message{{ToClient, []byte("\xff\xfd\x18\xff\xfd\x20\xff\xfb\x03login: ")}, {ToServer, []byte("\xff\xfb\x18\xff\xfc\x20\xff\xfd\x03")}},
	},
	{
		name:     "MQTT",
		protocol: "mqtt", over: TCP, ports: [2]uint16{51883, 1883},
		says: []message{{ToServer, []byte("\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab")}, {ToClient, []byte("\x20\x02\x00\x00")}},
	},
	{
		name:     "AMQP",
		protocol: "amqp", over: TCP, ports: [2]uint16{55672, 5672},
		says: []message{{ToServer, []byte("AMQP\x00\x00\x09\x01")}, {ToClient, []byte("\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\xce")}},
	},
	{
		name:     "SIP",
		protocol: "sip", over: UDP, ports: [2]uint16{5060, 5060},
		says: []message{
			{ToServer, []byte("OPTIONS sip:pbx.corp.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n")},
			{ToClient, []byte("SIP/2.0 200 OK\r\n\r\n")},
		},
	},
	{
		name:     "Redis",
		protocol: "redis", over: TCP, ports: [2]uint16{56379, 6379},
		says: []message{{ToServer, []byte("*2\r\n$4\r\nAUTH\r\n$8\r\n" + plantedPassword + "\r\n")}, {ToClient, []byte("+OK\r\n")}},
	},
	{
		name:     "MongoDB",
		protocol: "mongodb", over: TCP, ports: [2]uint16{57017, 27017},
		says: []message{
			{ToServer, []byte("\x1a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00" + "\x00\x00\x00\x00\x00" + "\x05\x00\x00\x00\x00")},
			{ToClient, []byte("\x1a\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00" + "\x00\x00\x00\x00\x00" + "\x05\x00\x00\x00\x00")},
		},
	},
	{
		name:     "MongoDB, an older client",
		protocol: "mongodb", over: TCP, ports: [2]uint16{57018, 30000},
		says: []message{
			{ToServer, []byte("\x2e\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\xd4\x07\x00\x00" + "\x00\x00\x00\x00" + "a.$cmd\x00" + "\x00\x00\x00\x00\x01\x00\x00\x00" + "\x05\x00\x00\x00\x00")},
			{ToClient, []byte("\x29\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 16) + "\x01\x00\x00\x00" + "\x05\x00\x00\x00\x00")},
		},
	},
	{
		name:     "Elasticsearch's nodes",
		protocol: "elasticsearch", over: TCP, ports: [2]uint16{59300, 9300},
		says: []message{
			{ToServer, []byte("ES\x00\x00\x00\x11" + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x08" + "\x00\x6d\x68\xdf" + "\x00\x00\x00\x00")},
			{ToClient, []byte("ES\x00\x00\x00\x11" + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x09" + "\x00\x6d\x68\xdf" + "\x00\x00\x00\x00")},
		},
	},
	{
		name:     "OpenVPN",
		protocol: "openvpn", over: UDP, ports: [2]uint16{41194, 1194},
		says: []message{
			{ToServer, []byte("\x38sessionA\x00\x00\x00\x00\x00")},
			{ToClient, []byte("\x40sessionB\x01\x00\x00\x00\x00sessionA\x00\x00\x00\x00")},
		},
	},
	{
		name:     "OpenVPN with tls-auth",
		protocol: "openvpn", over: UDP, ports: [2]uint16{41194, 41195},
		says: []message{{ToServer, []byte("\x38sessionA" + strings.Repeat("\x77", 20) + "\x00\x00\x00\x01\x69\x00\x00\x00" + "\x00\x00\x00\x00\x00")}},
	},
	{
		name:     "OpenVPN with tls-crypt, the server's",
		protocol: "openvpn", over: UDP, ports: [2]uint16{41194, 41195},
		says: []message{{ToClient, []byte("\x40sessionB" + "\x00\x00\x00\x01\x69\x00\x00\x00" + strings.Repeat("\x77", 32+5+12))}},
	},
	{
		name:     "RTSP",
		protocol: "rtsp", over: TCP, ports: [2]uint16{50554, 554},
		says: []message{
			{ToServer, []byte("OPTIONS rtsp://camera.example/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n")},
			{ToClient, []byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE\r\n\r\n")},
		},
	},
	{
		name:     "rsync",
		protocol: "rsync", over: TCP, ports: [2]uint16{50873, 873},
		says: []message{{ToClient, []byte("@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\n")}, {ToServer, []byte("@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4\nbackup\n")}},
	},
	{
		name:     "Git",
		protocol: "git", over: TCP, ports: [2]uint16{59418, 9418},
		says: []message{
			{ToServer, []byte("0032git-upload-pack /x.git\x00host=git.example\x00")},
			{ToClient, []byte("001e# service=git-upload-pack\n0000")},
		},
	},
	{
		name:     "Zabbix",
		protocol: "zabbix", over: TCP, ports: [2]uint16{50051, 10050},
		says: []message{
			{ToServer, []byte("ZBXD\x01\x0a\x00\x00\x00\x00\x00\x00\x00agent.ping")},
			{ToClient, []byte("ZBXD\x01\x01\x00\x00\x00\x00\x00\x00\x001")},
		},
	},
	{
		name:     "TACACS+",
		protocol: "tacacs+", over: TCP, ports: [2]uint16{50049, 49},
		says: []message{
			{ToServer, []byte("\xc0\x01\x01\x00sess\x00\x00\x00\x0a" + strings.Repeat("\x5a", 10))},
			{ToClient, []byte("\xc0\x01\x02\x00sess\x00\x00\x00\x06" + strings.Repeat("\xa5", 6))},
		},
	},
	{
		name:     "RMCP: IPMI",
		protocol: "rmcp", over: UDP, ports: [2]uint16{50623, 623},
		says: []message{
			{ToServer, []byte("\x06\x00\xff\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x09\x20\x18\xc8\x81\x00\x38\x8e\x04\xb5")},
			{ToClient, []byte("\x06\x00\xff\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x10\x81\x1c\x63\x20\x00\x38\x00\x01\x80\x04\x02\x00\x00\x00\x00\x21")},
		},
	},
	{
		name:     "RMCP: ASF's ping",
		protocol: "rmcp", over: UDP, ports: [2]uint16{50624, 50625},
		says: []message{
			{ToServer, []byte("\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x01\x00\x00")},
			{ToClient, []byte("\x06\x00\xff\x06\x00\x00\x11\xbe\x40\x01\x00\x10" + strings.Repeat("\x00", 16))},
		},
	},
	{
		name:     "NetFlow 5",
		protocol: "netflow", over: UDP, ports: [2]uint16{52055, 2055},
		says: []message{
			{ToServer, []byte("\x00\x05\x00\x02" + strings.Repeat("\x11", 20+2*48))},
			{ToClient, []byte("\x00\x05\x00\x01" + strings.Repeat("\x11", 20+48))},
		},
	},
	{
		name:     "NetFlow 9, templates first",
		protocol: "netflow", over: UDP, ports: [2]uint16{52056, 52057},
		says: []message{{ToServer, []byte("\x00\x09\x00\x01" + strings.Repeat("\x11", 16) + "\x00\x00\x00\x0c" + "\x01\x00\x00\x01\x00\x08\x00\x04")}},
	},
	{
		name:     "NetFlow 9, records first",
		protocol: "netflow", over: UDP, ports: [2]uint16{52056, 2055},
		says: []message{{ToServer, []byte("\x00\x09\x00\x01" + strings.Repeat("\x11", 16) + "\x01\x00\x00\x08" + "\x0a\x00\x00\x01")}},
	},
	{
		name:     "IPFIX",
		protocol: "ipfix", over: UDP, ports: [2]uint16{54739, 4739},
		says: []message{
			{ToServer, []byte("\x00\x0a\x00\x1c" + strings.Repeat("\x11", 12) + "\x00\x02\x00\x0c" + "\x01\x00\x00\x01\x00\x08\x00\x04")},
			{ToClient, []byte("\x00\x0a\x00\x18" + strings.Repeat("\x11", 12) + "\x01\x00\x00\x08" + "\x0a\x00\x00\x01")},
		},
	},
	{
		name:     "sFlow",
		protocol: "sflow", over: UDP, ports: [2]uint16{56343, 6343},
		says: []message{
			{ToServer, []byte("\x00\x00\x00\x05" + "\x00\x00\x00\x01\xc0\x00\x02\x01" + strings.Repeat("\x00", 12) + "\x00\x00\x00\x01" + "\x00\x00\x00\x01" + "\x00\x00\x00\x90")},
			{ToClient, []byte("\x00\x00\x00\x05" + "\x00\x00\x00\x02" + strings.Repeat("\xfd", 16) + strings.Repeat("\x00", 12) + "\x00\x00\x00\x01" + "\x00\x00\x00\x02" + "\x00\x00\x00\x90")},
		},
	},
	{
		name:     "Kafka",
		protocol: "kafka", over: TCP, ports: [2]uint16{59092, 9092},
		says: []message{
			{ToServer, []byte(counted("\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08consumer\x00\x05java\x043.7\x00"))},
			{ToClient, []byte(counted("\x00\x00\x00\x01\x00\x00\x02\x00\x12\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00"))},
		},
	},
	{
		name:     "Cassandra",
		protocol: "cassandra", over: TCP, ports: [2]uint16{59042, 9042},
		says: []message{
			{ToServer, []byte("\x04\x00\x00\x00\x05\x00\x00\x00\x00")},
			{ToClient, []byte("\x84\x00\x00\x00\x06" + counted("\x00\x01\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.6"))},
		},
	},
	{
		name:     "Cassandra, what opens a session",
		protocol: "cassandra", over: TCP, ports: [2]uint16{59043, 59042},
		says: []message{{ToServer, []byte("\x03\x00\x00\x01\x01" + counted("\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0"))}},
	},
	{
		name:     "Cassandra, the server's answer alone",
		protocol: "cassandra", over: TCP, ports: [2]uint16{59044, 59042},
		says: []message{{ToClient, []byte("\x84\x00\x00\x00\x06" + counted("\x00\x01\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.6"))}},
	},
	{
		name:     "memcached, a store",
		protocol: "memcached", over: TCP, ports: [2]uint16{51211, 51212},
		says: []message{{ToServer, []byte("set session:7 0 3600 8\r\n" + plantedPassword + "\r\n")}, {ToClient, []byte("STORED\r\n")}},
	},
	{
		name:     "memcached, a look",
		protocol: "memcached", over: TCP, ports: [2]uint16{51213, 11211},
		says: []message{{ToServer, []byte("get session:7\r\n")}, {ToClient, []byte("END\r\n")}},
	},
	{
		name:     "memcached, in binary",
		protocol: "memcached", over: TCP, ports: [2]uint16{51214, 51215},
		says: []message{
			{ToServer, []byte("\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03" + strings.Repeat("\x00", 12) + "key")},
			{ToClient, []byte("\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09" + strings.Repeat("\x00", 12) + "Not found")},
		},
	},
	{
		name:     "memcached, the answer in binary alone",
		protocol: "memcached", over: TCP, ports: [2]uint16{51216, 51215},
		says: []message{{ToClient, []byte("\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09" + strings.Repeat("\x00", 12) + "Not found")}},
	},
	{
		name:     "memcached over UDP",
		protocol: "memcached", over: UDP, ports: [2]uint16{51217, 11211},
		says: []message{
			{ToServer, []byte("\x00\x07\x00\x00\x00\x01\x00\x00" + "get session:7\r\n")},
			{ToClient, []byte("\x00\x07\x00\x00\x00\x01\x00\x00" + "\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09" + strings.Repeat("\x00", 12) + "Not found")},
		},
	},
	{
		name:     "Thrift",
		protocol: "thrift", over: TCP, ports: [2]uint16{59090, 9090},
		says: []message{
			{ToServer, []byte("\x80\x01\x00\x01\x00\x00\x00\x04ping\x00\x00\x00\x00\x00")},
			{ToClient, []byte("\x80\x01\x00\x02\x00\x00\x00\x04ping\x00\x00\x00\x00\x00")},
		},
	},
	{
		name:     "Thrift, framed",
		protocol: "thrift", over: TCP, ports: [2]uint16{59091, 59090},
		says: []message{{ToServer, []byte(counted("\x80\x01\x00\x04\x00\x00\x00\x04ping\x00\x00\x00\x00\x00"))}},
	},
	{
		name:     "Thrift, the answer alone",
		protocol: "thrift", over: TCP, ports: [2]uint16{59092, 59090},
		says: []message{{ToClient, []byte(counted("\x80\x01\x00\x03\x00\x00\x00\x04ping\x00\x00\x00\x00\x00"))}},
	},
	{
		name:     "Oracle",
		protocol: "oracle", over: TCP, ports: [2]uint16{51521, 1521},
		says: []message{
			{ToServer, []byte("\x00\x4a\x00\x00\x01\x00\x00\x00" + "\x01\x3e\x01\x2c\x0c\x41\x20\x00\xff\xff\x7f\x08\x00\x00\x01\x00\x00\x10\x00\x3a" + strings.Repeat("\x00", 30) + "(DESCRIPTION=...")},
			{ToClient, []byte("\x00\x20\x00\x00\x02\x00\x00\x00" + "\x01\x3b\x00\x00\x20\x00\xff\xff\x01\x00\x00\x00\x00\x20\x41\x01" + strings.Repeat("\x00", 8))},
		},
	},
	{
		name:     "Oracle refuses",
		protocol: "oracle", over: TCP, ports: [2]uint16{51522, 51521},
		says: []message{{ToClient, []byte("\x00\x1c\x00\x00\x04\x00\x00\x00" + "\x22\x00\x00\x10" + "(DESCRIPTION=...")}},
	},
	{
		name:     "Oracle sends elsewhere",
		protocol: "oracle", over: TCP, ports: [2]uint16{51523, 51521},
		says: []message{{ToClient, []byte("\x00\x1a\x00\x00\x05\x00\x00\x00" + "\x00\x10" + "(DESCRIPTION=...")}},
	},
}

// ikeMessage is a message with 12 bytes behind its header.
func ikeMessage(before string, responder, payload, version, exchange, flags byte) []byte {
	b := append([]byte(before), "initiate"...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, responder, payload, version, exchange, flags, 0, 0, 0, 0, 0, 0, 0, 40)
	return append(b, make([]byte, 12)...)
}

// TestNotThese delivers what resembles a protocol and is another's, or nobody's.
func TestNotThese(t *testing.T) {
	for _, c := range []struct {
		not  string
		over Transport
		b    string
	}{
		{"ldap", TCP, tlv(berSequence, "\x02\x01\x01", tlv(0x30, "\x02\x01\x01"))},
		{"ldap", TCP, tlv(berSequence, "\x02\x01\x01", tlv(ldapBind, "\x04\x01\x03", tlv(berOctets), tlv(0x80)))},
		{"snmp", UDP, tlv(berSequence, "\x02\x01\x02", tlv(berOctets, "public"), tlv(0xa0, ""))},
		{"kerberos", UDP, tlv(0x6a, tlv(berSequence, tlv(0xa1, "\x02\x01\x05"), tlv(0xa2, "\x02\x01\x0b")))},     // one kind outside, another inside
		{"rdp", TCP, "\x03\x00\x00\x16\x11\xe0\x00\x00\x00\x01\x00\xc1\x02\x01\x00\xc2\x02\x01\x02\xc0\x01\x0a"}, // S7: X.224 with parameters
		{"dcerpc", TCP, "\x05\x01\x00\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"radius", UDP, "\x01\x07\x00\x1b" + strings.Repeat("\x5a", 16) + "\x01\x08agent"},
		{"wireguard", UDP, "\x01\x00\x00\x00" + strings.Repeat("\x77", 145)},
		{"wireguard", UDP, "\x04\x00\x00\x00" + strings.Repeat("\x77", 28)},
		{"ike", UDP, string(ikeMessage("", 0, 33, 0x20, 33, 0x08))},          // no such exchange
		{"ike", UDP, string(ikeMessage("", 0, 33, 0x20, 34, 0x08)) + "more"}, // longer than it says
		{"tftp", UDP, "\x00\x01boot.img\x00ascii\x00"},
		{"dhcpv6", UDP, "\x01\x10\x08\x74\x00\x00\x00\x00"},
		{"bittorrent", UDP, utpOpening + "and more"},
		{"hsrp", UDP, "\x00\x00\x03\x03\x0a\x64\x01\x00cisco\x00\x00\x00\xc0\x00\x02\x01"}, // no such state
		{"memcached", UDP, "\x00\x07\x00\x01\x00\x01\x00\x00" + "get session:7\r\n"},
		{"dhcp", UDP, "\x03\x01\x06\x00\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x01\xff"},
		{"dhcp", UDP, "\x01\x00\x06\x00\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x01\xff"},
		{"dhcp", UDP, "\x01\x01\x11\x00\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x01\xff"}, // a hardware address of 17 bytes
		{"dhcp", UDP, "\x01\x01\x06\x11\x12\x34\x56\x78\x00\x00\x80\x00" + dhcpRest + "\x35\x01\x01\xff"}, // 17 hops
		{"dhcp", UDP, strings.Replace("\x01\x01\x06\x00\x12\x34\x56\x78\x00\x00\x80\x00"+dhcpRest, "\x63\x82\x53\x63", "\x00\x00\x00\x00", 1)},
		{"dhcpv6", UDP, "\x25\x10\x08\x74" + "\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x01" + "\x00\x08\x00\x02\x00\x00"}, // no such type
		{"dhcpv6", UDP, "\x01\x10\x08\x74" + "\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x01" + "\x00\xa1\x00\x02\x00\x00"}, // no such option
		{"dhcpv6", UDP, "\x0c\x21" + strings.Repeat("\xfd", 32) + "\x00\x09\x00\x04\x01\x10\x08\x74"},                                 // 33 hops
		{"stun", UDP, "\x00\x01\x00\x03\x21\x12\xa4\x42" + strings.Repeat("\x11", 12) + "abc"},                                        // no multiple of four
		{"tds", TCP, "\x12\x01\x00\x10\x00\x00\x01\x00\x00\x00\x0b\x00\x06\xff\x00\x00"},                                              // shorter than its option
		{"syslog", UDP, "<13>J\x01n  1 00:00:00 host app: hello"},
		{"syslog", UDP, "<192>1 text"},
		{"syslog", UDP, "<13>text"},
		{"syslog", TCP, "47,<34>1 2026-01-01T00:00:00Z host app - - - hello"},
		{"syslog", TCP, "047 <34>1 2026-01-01T00:00:00Z host app - - - hello"},
		{"bgp", TCP, strings.Repeat("\xff", 16) + "\x00\x12\x04"},
		{"telnet", TCP, "\xff\xfd\x18\xff\xf0\x20\xff\xfb\x03"},
		{"sip", TCP, "OPTIONS * HTTP/1.1\r\n\r\n"},
		{"mongodb", TCP, "\x1a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xde\x07\x00\x00" + strings.Repeat("\x00", 10)},
		{"ntp", UDP, "\x23\x02\x06\xec" + strings.Repeat("\x00", 44)}, // but for the port it is nothing
		{"openvpn", UDP, "\x38sessionA\x00\x00\x00\x00\x01"},
		{"openvpn", UDP, "\x38sessionA" + strings.Repeat("\x77", 33)},
		{"rtsp", TCP, "OPTIONS * HTTP/1.1\r\n\r\n"},
		{"git", TCP, "0032git-annex /x.git\x00"},
		{"git", TCP, "00x2git-upload-pack /x.git\x00"},
		{"tacacs+", TCP, "\xc0\x01\x03\x00sess\x00\x00\x00\x0a" + strings.Repeat("\x5a", 10)}, // the third packet
		{"tacacs+", TCP, "\xc0\x01\x01\x00sess\x00\x01\x00\x00" + strings.Repeat("\x5a", 10)},
		{"rmcp", UDP, "\x06\x00\xff\x07\x03" + strings.Repeat("\x00", 12)},
		{"rmcp", UDP, "\x06\x00\xff\x06\x00\x00\x11\xbf\x80\x01\x00\x00"},
		{"netflow", UDP, "\x00\x05\x00\x02" + strings.Repeat("\x11", 20+2*48+1)},
		{"netflow", UDP, "\x00\x05\x00\x1f" + strings.Repeat("\x11", 20+31*48)},
		{"netflow", UDP, "\x00\x09\x00\x01" + strings.Repeat("\x11", 16) + "\x01\x00\x00\x08" + "\x0a\x00\x00\x01"}, // but for the port
		{"netflow", UDP, "\x00\x09\x00\x01" + strings.Repeat("\x11", 16) + "\x00\x02\x00\x08" + "\x0a\x00\x00\x01"},
		{"ipfix", UDP, "\x00\x0a\x00\x1b" + strings.Repeat("\x11", 12) + "\x00\x02\x00\x0c" + "\x01\x00\x00\x01\x00\x08\x00\x04"},
		{"ipfix", UDP, "\x00\x0a\x00\x18" + strings.Repeat("\x11", 12) + "\x00\x02\x00\x03" + "\x01\x00\x00\x01"},
		{"sflow", UDP, "\x00\x00\x00\x05" + "\x00\x00\x00\x03" + strings.Repeat("\x00", 40)},
		{"sflow", UDP, "\x00\x00\x00\x05" + "\x00\x00\x00\x01" + strings.Repeat("\x00", 40)}, // no samples
		{"kafka", TCP, counted("\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08con umer\x00")},
		{"kafka", TCP, counted("\x00\x12\x00\x03\x00\x00\x00\x01\x00\x09consumer")}, // longer than the request
		{"kafka", TCP, counted("\x00\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00")},
		{"cassandra", TCP, "\x04\x00\x00\x00\x05\x00\x00\x00\x01\x00"},
		{"cassandra", TCP, "\x04\x00\x00\x00\x01" + counted("\x00\x01\x00\x0bCQL_SESSION\x00\x053.0.0")},
		{"cassandra", TCP, "\x04\x00\x00\x00\x06" + counted("\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0")}, // an answer of a client
		{"memcached", TCP, "set session:7 0 soon 8\r\n"},
		{"memcached", TCP, "set session:7 0\r\n"},
		{"memcached", TCP, "get session:7\r\n"}, // but for the port it is nothing
		{"memcached", TCP, "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x02" + strings.Repeat("\x00", 12) + "key"},
		{"memcached", TCP, "\x80\x01\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03" + strings.Repeat("\x00", 12) + "key"},
		{"thrift", TCP, "\x80\x01\x00\x01\x00\x00\x00\x04pi g\x00\x00\x00\x00\x00"},
		{"thrift", TCP, "\x80\x01\x00\x05\x00\x00\x00\x04ping\x00\x00\x00\x00\x00"},
		{"thrift", TCP, "\x80\x01\x00\x01\x00\x00\x01\x00" + strings.Repeat("x", 256)},
		{"oracle", TCP, "\x00\x4a\x00\x00\x01\x00\x00\x00" + "\x00\x3e\x01\x2c" + strings.Repeat("\x00", 62)},
		{"oracle", TCP, "\x00\x0b\x00\x00\x01\x00\x00\x00" + "\x01\x3e\x01\x2c" + strings.Repeat("\x00", 62)},
		{"nbdgm", UDP, "\x10\x02\x12\x34\xc0\x00\x02\x01\x00\x8a\x00\x40\x00\x00" + strings.Repeat(" ", 40)},
	} {
		s := sample{over: c.over, ports: [2]uint16{40001, 40002}}
		talk := converse(t, &s)
		talk.say(ToServer, []byte(c.b))
		talk.end()
		if got := talk.state.Protocol(talk.set); got == c.not {
			t.Errorf("%q is taken for %s", c.b, got)
		}
	}
}

// TestGreetingAlone delivers greetings whose client says nothing. The first byte
// of MySQL's is their length, which may be the letter of another protocol.
func TestGreetingAlone(t *testing.T) {
	for _, c := range []struct{ greeting, want string }{
		{"\x53\x00\x00\x00\x0a8.0.36\x00" + strings.Repeat("s", 'S'-1-7), "mysql"},
		{"\x3a\x00\x00\x00\x0a8.0.36\x00" + strings.Repeat("s", ':'-1-7), "mysql"},
		{"\x4a\x00\x00\x00\x0a8.0.36\x00" + strings.Repeat("s", 'J'-1-7), "mysql"},
		{"\x4a\x00\x00\x00\x0a11.8.9-MariaDB\x00" + strings.Repeat("s", 'J'-1-15), "mysql"},
		{"\x4a\x00\x00\x00\x0a118.9\x00" + strings.Repeat("s", 'J'-1-6), ""},
		{"\x4a\x00\x00\x00\x0a.8.9\x00" + strings.Repeat("s", 'J'-1-5), ""},
		{"220 mail.example ESMTP\r\n", "smtp"},
		{":irc.example NOTICE * :*** Looking up your hostname\r\n", ""},
	} {
		s := sample{over: TCP, ports: [2]uint16{50306, 50307}}
		talk := converse(t, &s)
		talk.say(ToClient, []byte(c.greeting))
		talk.end()
		if got := talk.state.Protocol(talk.set); got != c.want {
			t.Errorf("%q is taken for %q, want %q", c.greeting, got, c.want)
		}
	}
}

// TestUnfinished cuts or breaks messages inside what their lengths declare.
func TestUnfinished(t *testing.T) {
	for _, c := range []struct {
		name string
		port uint16
		b    string
		want string
	}{
		{"LDAP", 389, tlv(berSequence, "\x02\x01\x01", tlv(ldapBind, "\x02\x01\x03", tlv(berOctets), tlv(0x80))) + "\x31\x00",
			"message at byte 0: not a sequence"},
		{"Kerberos", 88, counted(krbRequest) + counted("\x30\x00"), "message at byte 0: not one of Kerberos"},
		{"DCE/RPC", 135, "\x05\x00\x00\x03\x10\x00\x00\x00\x10\x00\x00\x00\x02\x00\x00\x00" + strings.Repeat("\x00", 16), "fragment at byte 0: not one of version 5"},
	} {
		s := sample{over: TCP, ports: [2]uint16{50000, c.port}}
		talk := converse(t, &s)
		talk.say(ToServer, []byte(c.b))
		if err := talk.state.Broken(); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		talk.end()
	}
}

func TestLongConversationsEnd(t *testing.T) {
	search := []byte(tlv(berSequence, "\x02\x01\x02", tlv(0x63, tlv(berOctets))))
	s := sample{over: TCP, ports: [2]uint16{50389, 389}}
	talk := converse(t, &s)
	for range ldapSettled {
		talk.say(ToServer, search)
	}
	if !talk.state.Done(ToServer) {
		t.Errorf("LDAP is read beyond %d messages", ldapSettled)
	}
	talk.end()
	if slices.Contains(strings.Split(factsOf(&talk.state), "\n"), "ldap.bind") {
		t.Error("a bind was seen where there is none")
	}
}

// TestNamesAreListed holds the names that samples give their flows against what
// the package says it gives.
func TestNamesAreListed(t *testing.T) {
	names := Refinements()
	for _, d := range All() {
		names = append(names, d.Name)
	}
	for _, s := range samples {
		if !slices.Contains(names, s.protocol) {
			t.Errorf("%s: %q is neither a dissector's name nor a refinement", s.name, s.protocol)
		}
	}
}
