package dissect

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// framed puts the session service's header in front of a message.
func framed(message ...byte) []byte {
	n := len(message)
	return append([]byte{0, byte(n >> 16), byte(n >> 8), byte(n)}, message...)
}

// message2 is an SMB2 message.
func message2(command uint16, flags, status uint32, body string) []byte {
	b := make([]byte, smb2HeaderSize)
	copy(b, "\xfeSMB\x40")
	le := binary.LittleEndian
	le.PutUint32(b[8:], status)
	le.PutUint16(b[12:], command)
	le.PutUint32(b[16:], flags)
	return framed(append(b, unhex(body)...)...)
}

// setup2 is a SESSION_SETUP request with a security buffer.
func setup2(token string) []byte {
	size := len(unhex(token))
	return message2(smb2SessionSetup, 0, 0, "1900 00 01 00000000 00000000 5800"+ // at 88: behind header and fields
		string("0123456789abcdef"[size>>4&15])+string("0123456789abcdef"[size&15])+"00 0000000000000000"+token)
}

const (
	answer2   = smb2Response
	ntlmssp   = "4e544c4d53535000"
	kerberos  = "6006062b0601050502" + "06092a864886f712010202" + "0100" + "6e82" // AP-REQ behind its object identifier
	withKrb   = "6006062b0601050502" + "06092a864886f712010202" + ntlmssp + "01000000"
	negotiate = "4100 0100 1103 0000"
)

// authenticate is NTLM's third message with responses of these sizes.
func authenticate(lm, nt byte) string {
	const hex = "0123456789abcdef"
	size := func(n byte) string {
		return string(hex[n>>4]) + string(hex[n&15]) + "00" + string(hex[n>>4]) + string(hex[n&15]) + "00" + "40000000"
	}
	return ntlmssp + "03000000" + size(lm) + size(nt) + "0000000000000000"
}

func TestSMB2(t *testing.T) {
	negotiated := message{ToClient, message2(smb2Negotiate, answer2, 0, negotiate)}
	setUp := func(token string, flags byte, status uint32) []message {
		return []message{
			{ToServer, message2(smb2Negotiate, 0, 0, "2400")}, negotiated,
			{ToServer, setup2(ntlmssp + "01000000")},
			{ToClient, message2(smb2SessionSetup, answer2, statusMore, "0900 0000 0000 0000")},
			{ToServer, setup2(token)},
			{ToClient, message2(smb2SessionSetup, answer2, status, "0900 0"+string('0'+rune(flags))+"00 0000 0000")},
		}
	}
	with := func(says []message, more ...message) []message { return append(says, more...) }
	request := func(command uint16, flags uint32) message { return message{ToServer, message2(command, flags, 0, "")} }
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"NTLMv2, signed", with(setUp(authenticate(24, 200), 0, 0), request(smb2TreeConnect, smb2Signed), request(5, smb2Signed)),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.signed true\n"},
		{"NTLMv2, only the tree connect signed", with(setUp(authenticate(24, 200), 0, 0), request(smb2TreeConnect, smb2Signed), request(5, 0), request(5, smb2Signed)),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.signed false\n"},
		{"signed against downgrades alone", with(setUp(authenticate(24, 200), 0, 0), request(smb2TreeConnect, smb2Signed), request(11, smb2Signed), request(11, 0)),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.signed false\n"},
		{"NTLMv2, no more than the tree connect", with(setUp(authenticate(24, 200), 0, 0), request(smb2TreeConnect, smb2Signed)),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.signed true\n"},
		{"interim answers are not signed", with(setUp(authenticate(24, 200), 0, 0), request(smb2TreeConnect, smb2Signed),
			message{ToClient, message2(9, answer2|smb2Async, 0x103, "")}, request(smb2Cancel, 0)),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.signed true\n"},
		{"NTLMv1", setUp(authenticate(24, 24), 0, 0), "smb.dialect 3.1.1\nsmb.auth ntlmv1\n"},
		{"anonymous", with(setUp(authenticate(1, 0), 2, 0), request(5, 0)), "smb.dialect 3.1.1\nsmb.auth anonymous\nsmb.signed false\n"},
		{"anonymous by the server's word", setUp(authenticate(24, 200), 2, 0), "smb.dialect 3.1.1\nsmb.auth anonymous\n"},
		{"guest", setUp(authenticate(24, 200), 1, 0), "smb.dialect 3.1.1\nsmb.auth guest\n"},
		{"Kerberos", setUp(kerberos, 0, 0), "smb.dialect 3.1.1\nsmb.auth kerberos\n"},
		{"Kerberos offered, NTLM used", setUp(withKrb, 0, 0), "smb.dialect 3.1.1\n"},
		{"refused", with(setUp(authenticate(24, 200), 0, 0xc000006d), message{ToClient, message2(3, answer2, 0xc0000203, "")}),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.status LOGON_FAILURE\n"},
		{"refused, with a code that has no name here", setUp(authenticate(24, 200), 0, 0xc0009999),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.status 0xc0009999\n"},
		{"encrypted", with(setUp(authenticate(24, 200), 4, 0), message{ToServer, framed([]byte("\xfdSMB and what nobody reads")...)}),
			"smb.dialect 3.1.1\nsmb.auth ntlmv2\nsmb.encrypted true\n"},
		{"begun before the capture", []message{request(8, smb2Signed)}, "smb.signed true\n"},
		{"negotiation refused", []message{{ToClient, message2(smb2Negotiate, answer2, 0xc00000bb, "0900 0000 00000000")}}, ""},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.end(); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
		if err := conversation.state.Broken(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := conversation.state.Protocol(conversation.set); got != "smb" {
			t.Errorf("%s: protocol %q", c.name, got)
		}
	}
}

// message1 is an SMB1 message: words and bytes as they follow the header.
func message1(command, flags byte, status uint32, rest string) []byte {
	b := make([]byte, smb1HeaderSize)
	copy(b, "\xffSMB")
	b[4], b[9] = command, flags
	binary.LittleEndian.PutUint32(b[5:], status)
	return framed(append(b, unhex(rest)...)...)
}

func TestSMB1(t *testing.T) {
	offer := message{ToServer, message1(smb1Negotiate, 0, 0, "00 1900"+"024e54204c4d20302e313200"+"02534d4220322e303032"+"00 02 00")}
	choice := message{ToClient, message1(smb1Negotiate, 0x80, 0, "01 0000 0000")}
	const offered = "smb.smb1 true\nsmb.dialects NT LM 0.12\nsmb.dialects 2.0.2\n"
	setUp := func(lm, nt string, action string, status uint32) []message {
		return []message{offer, choice,
			{ToServer, message1(smb1SessionSetup, 0, 0, "0d ff000000 ffff 0200 0100 00000000"+lm+nt+"00000000 00000000 0000")},
			{ToClient, message1(smb1SessionSetup, 0x80, status, "03 ff000000"+action+"0000")},
			{ToServer, message1(smb1TreeConnect, 0, 0, "00 0000")}, // of a form that has no path
		}
	}
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"NTLMv1", setUp("1800", "1800", "0000", 0), offered + "smb.dialect NT LM 0.12\nsmb.smb1_session true\nsmb.auth ntlmv1\nsmb.signed false\n"},
		{"NTLMv2", setUp("1800", "8000", "0000", 0), offered + "smb.dialect NT LM 0.12\nsmb.smb1_session true\nsmb.auth ntlmv2\nsmb.signed false\n"},
		{"LAN Manager alone", setUp("1800", "0000", "0000", 0), offered + "smb.dialect NT LM 0.12\nsmb.smb1_session true\nsmb.auth ntlmv1\nsmb.signed false\n"},
		{"anonymous", setUp("0100", "0000", "0000", 0), offered + "smb.dialect NT LM 0.12\nsmb.smb1_session true\nsmb.auth anonymous\nsmb.signed false\n"},
		{"guest", setUp("1800", "1800", "0100", 0), offered + "smb.dialect NT LM 0.12\nsmb.smb1_session true\nsmb.auth guest\nsmb.signed false\n"},
		{"a negotiation that ends in SMB2", []message{offer, {ToClient, message2(smb2Negotiate, answer2, 0, "4100 0100 ff02 0000")}},
			offered + "smb.dialect 2.???\n"},
		{"a negotiation without an answer", []message{offer}, offered},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.end(); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
	}
}

// A capture that cuts every frame leaves the headers.
func TestSMBCut(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
	cut := func(dir Dir, b []byte) {
		c.say(dir, b[:62])
		c.state.Gap(c.set, dir, uint64(len(b)-62))
	}
	cut(ToServer, setup2(authenticate(24, 200)))
	cut(ToClient, message2(smb2SessionSetup, answer2, 0, "0900 0000 0000 0000"))
	cut(ToServer, message2(smb2TreeConnect, smb2Signed, 0, ""))
	cut(ToServer, message2(5, smb2Signed, 0, "00"))
	cut(ToServer, setup2(authenticate(24, 200)))
	cut(ToClient, message2(smb2SessionSetup, answer2, 0xc000006d, "0900 0000 0000 0000"))
	if got, want := c.end(), "smb.signed true\nsmb.status LOGON_FAILURE\n"; got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
}

func TestSMBFileDataIsPassedOver(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
	read := message2(8, answer2, 0, "")
	read[1], read[2], read[3] = 0x7f, 0xff, 0xff // 8 MiB
	c.say(ToClient, append(read, make([]byte, 1000)...))
	if c.set.Held() != 0 || c.state.skip[ToClient] != 0x7fffff-smb2HeaderSize-1000 {
		t.Errorf("%d bytes wait, %d are passed over", c.set.Held(), c.state.skip[ToClient])
	}
	for range smbSettledAfter {
		c.say(ToServer, message2(8, smb2Signed, 0, ""))
	}
	if !c.state.Done(ToServer) || !c.state.Done(ToClient) {
		t.Error("all is known, and more is read")
	}
	c.end()
}

func TestProbeSMB(t *testing.T) {
	for b, want := range map[string]Match{
		"":                                       Maybe,
		"000000":                                 Maybe,
		"00000040ff534d42":                       Maybe,
		"00000040ff534d4272000000001853":         FromClient,
		"00000040ff534d4272000000009853":         FromServer,
		"00000040fd534d42":                       Yes,
		"00000040fe584d42":                       No,
		"0000004000":                             No,
		"82000000":                               Weak,
		"8200000000000040ff534d4272000000009853": FromServer,
		"8100004420454545":                       Maybe,
		"8100004421":                             No,
		"810000442045454561":                     No,
		"160301":                                 No,
	} {
		if got := probeSMB(ToServer, unhex(b)); got != want {
			t.Errorf("%s: %d, want %d", b, got, want)
		}
	}
}

func TestSMBKeepsNoNamesOrHashes(t *testing.T) {
	const user, hash = "p l a n t e d", "0123456789ABCDEFnthash"
	token := authenticate(24, 24) + fmt.Sprintf("%x", user+hash)
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
	c.say(ToServer, setup2(token))
	c.say(ToClient, message2(smb2SessionSetup, answer2, 0xc000006d, "0900 0000 0000 0000"))
	want := "smb.auth ntlmv1\nsmb.status LOGON_FAILURE\n"
	if facts := c.end(); facts != want {
		t.Errorf("facts:\n%swant:\n%s", facts, want)
	}
}

// wide is a text in UTF-16, in hex.
func wide(s string) string {
	var b strings.Builder
	for _, c := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%02x%02x", byte(c), byte(c>>8))
	}
	return b.String()
}

// le is a number of n bytes, little-endian, in hex.
func le(v, n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%02x", byte(v))
		v >>= 8
	}
	return b.String()
}

// context is a context of a negotiation of 3.1.1, padded to 8 bytes.
func context(kind int, data string) string {
	n := len(unhex(data))
	return le(kind, 2) + le(n, 2) + "00000000" + data + strings.Repeat("00", -n&7)
}

func TestSMB2Negotiation(t *testing.T) {
	const none = "00000000000000000000000000000000"
	offer := func(mode, capabilities int, dialects string, contexts ...string) message {
		n := len(unhex(dialects)) / 2
		at := (smb2HeaderSize + 36 + 2*n + 7) &^ 7
		body := "2400" + le(n, 2) + le(mode, 2) + "0000" + le(capabilities, 4) + none + le(at, 4) + le(len(contexts), 2) + "0000" + dialects
		body += strings.Repeat("00", at-smb2HeaderSize-len(unhex(body))) + strings.Join(contexts, "")
		return message{ToServer, message2(smb2Negotiate, 0, 0, body)}
	}
	choice := func(mode, capabilities, dialect int, contexts ...string) message {
		body := "4100" + le(mode, 2) + le(dialect, 2) + le(len(contexts), 2) + none + le(capabilities, 4) +
			strings.Repeat("00", 3*4+2*8) + "80000000" + le(smb2HeaderSize+64, 4) + strings.Join(contexts, "")
		return message{ToClient, message2(smb2Negotiate, answer2, 0, body)}
	}
	preauth := context(1, "0100 0000 0100")
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"3.1.1 with all its contexts", []message{
			offer(1, 0x40, "0202 1002 0003 0203 1103", preauth, context(2, "0300 0400 0200 0100"), context(3, "0200 0000 00000000 0100 0200"),
				context(5, wide("fs.example")), context(8, "0200 0200 0100")),
			choice(3, 0x40, 0x0311, preauth, context(2, "0100 0400"), context(3, "0100 0000 00000000 0200"), context(8, "0100 0200"))},
			"smb.dialects 2.0.2\nsmb.dialects 2.1\nsmb.dialects 3.0\nsmb.dialects 3.0.2\nsmb.dialects 3.1.1\n" +
				"smb.ciphers aes-256-gcm\nsmb.ciphers aes-128-gcm\nsmb.ciphers aes-128-ccm\nsmb.server_name fs.example\n" +
				"smb.dialect 3.1.1\nsmb.signing_required server\nsmb.cipher aes-256-gcm\nsmb.compression lz77\nsmb.signing_algorithm aes-gmac\n"},
		{"no cipher that both know", []message{
			offer(3, 0x40, "1103", context(2, "0100 0400")), choice(3, 0, 0x0311, context(2, "0100 0000"))},
			"smb.signing_required both\nsmb.dialects 3.1.1\nsmb.ciphers aes-256-gcm\nsmb.dialect 3.1.1\n"},
		{"3.0, both can encrypt", []message{offer(1, 0x40, "0003"), choice(1, 0x40, 0x0300)},
			"smb.dialects 3.0\nsmb.dialect 3.0\nsmb.cipher aes-128-ccm\n"},
		{"3.0, the client cannot", []message{offer(1, 0, "0003"), choice(1, 0x40, 0x0300)}, "smb.dialects 3.0\nsmb.dialect 3.0\n"},
		{"2.1, where the place of contexts is a time", []message{offer(1, 0x40, "1002"), choice(1, 0x40, 0x0210, context(2, "0100 0400"))},
			"smb.dialects 2.1\nsmb.dialect 2.1\n"},
		{"a context longer than the message", []message{choice(1, 0, 0x0311, "0200 ff00 00000000 0100")}, "smb.dialect 3.1.1\n"},
		{"more in a list than the context holds", []message{choice(1, 0, 0x0311, context(2, "ffff 0100"))}, "smb.dialect 3.1.1\nsmb.cipher aes-128-ccm\n"},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.end(); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
	}
}

// treeConnect2 is a TREE_CONNECT request.
func treeConnect2(flags uint32, path string) []byte {
	return message2(smb2TreeConnect, flags, 0, "0900 0000 4800"+le(2*len(path), 2)+wide(path))
}

func TestSMBShares(t *testing.T) {
	connect1 := func(path string) []byte {
		return message1(smb1TreeConnect, 0, 0, "04 ff000000 0000 0100"+le(1+len(path)+1+6, 2)+"00"+fmt.Sprintf("%x", path)+"00"+"3f3f3f3f3f00")
	}
	setUp := []message{{ToServer, setup2(kerberos)}, {ToClient, message2(smb2SessionSetup, answer2, 0, "0900 0000 0000 0000")}}
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"two", append(setUp[:2:2], message{ToServer, treeConnect2(0, `\\fs\IPC$`)}, message{ToServer, treeConnect2(0, `\\fs\backup`)},
			message{ToServer, treeConnect2(0, `\\fs\backup`)}),
			"smb.auth kerberos\nsmb.share IPC$\nsmb.signed false\nsmb.share backup\n"},
		{"refused", append(setUp[:2:2], message{ToServer, treeConnect2(smb2Signed, `\\fs\nothing`)},
			message{ToClient, message2(smb2TreeConnect, answer2|smb2Async, statusPending, "0900")},
			message{ToClient, message2(smb2TreeConnect, answer2|smb2Async, 0xc00000cc, "0900")}),
			"smb.auth kerberos\nsmb.share nothing\nsmb.signed true\nsmb.tree_status BAD_NETWORK_NAME\n"},
		{"outside the message", append(setUp[:2:2], message{ToServer, message2(smb2TreeConnect, smb2Signed, 0, "0900 0000 4800 ffff"+wide("x"))}),
			"smb.auth kerberos\nsmb.signed true\n"},
		{"of SMB1", []message{{ToServer, connect1(`\\FS\BACKUP`)}}, "smb.smb1 true\nsmb.smb1_session true\nsmb.share BACKUP\nsmb.signed false\n"},
		{"of SMB1, within session setup", []message{{ToServer, message1(smb1SessionSetup, 0, 0,
			"0d 75005200 ffff 0200 0100 00000000 0100 0000 00000000 00000000 1500"+"00 616e6e00 4c414200 0000"+strings.Repeat("00", 10)+ // to byte 82
				"04 ff000000 0000 0000 0800"+"5c5c615c6273 00 00")}},
			"smb.smb1 true\nsmb.smb1_session true\nsmb.share bs\n"},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.end(); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
	}
}

// A user is named only when that was asked for.
func TestSMBUsers(t *testing.T) {
	// AUTHENTICATE with the texts behind its 64 bytes.
	authenticate := func(domain, user string, flags int) string {
		field := func(at, n int) string { return le(n, 2) + le(n, 2) + le(at, 4) }
		d, u := fmt.Sprintf("%x", domain), fmt.Sprintf("%x", user)
		if flags&ntlmUnicode != 0 {
			d, u = wide(domain), wide(user)
		}
		nd, nu := len(d)/2, len(u)/2
		return ntlmssp + "03000000" + field(64, 24) + field(64, 200) + field(64, nd) + field(64+nd, nu) + field(64, 0) + field(64, 0) + le(flags, 4) + d + u
	}
	const beyond = ntlmssp + "03000000" + "1800180040000000" + "c800c80040000000" + "0400040000ffffff" + "0400040000000000" + "0000000000000000" + "0000000000000000" + "00000000"
	smb1 := func(flags2 byte, names string) []byte {
		b := message1(smb1SessionSetup, 0, 0, "0d ff000000 ffff 0200 0100 00000000 1800 1800 00000000 00000000"+le(48+len(unhex(names)), 2)+strings.Repeat("5a", 48)+names)
		b[4+11] = flags2
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"wide", setup2(authenticate("LAB", "anna", ntlmUnicode)), `LAB\anna`},
		{"narrow", setup2(authenticate("LAB", "anna", 0)), `LAB\anna`},
		{"without a domain", setup2(authenticate("", "anna@lab.example", ntlmUnicode)), "anna@lab.example"},
		{"nobody", setup2(authenticate("", "", ntlmUnicode)), ""},
		{"with an escape", setup2(authenticate("", "a\x1b[2J", ntlmUnicode)), `a\x1b[2J`},
		{"SMB1", smb1(0x80, "00"+wide("anna\x00LAB\x00")), `LAB\anna`},
		{"SMB1, narrow", smb1(0, "616e6e6100"+"4c414200"), `LAB\anna`},
		{"outside the message", setup2(beyond), `NTLM`},
	} {
		for _, asked := range []bool{false, true} {
			set := NewSet(All(), &Context{ShowUsers: asked}, testHeld)
			var s State
			s.Data(set, TCP, ToServer, [2]uint16{50000, 445}, true, c.b)
			s.Close(set)
			want := c.want
			if !asked {
				want = ""
			}
			if got := s.Text(SMBUser); got != want {
				t.Errorf("%s, asked %t: user %q, want %q", c.name, asked, got, want)
			}
		}
	}
}

func TestNetBIOSRefusal(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 139}})
	name := "20" + strings.Repeat("43", 32) + "00"
	c.say(ToServer, unhex("81000044"+name+name))
	c.say(ToClient, unhex("8300000182"))
	if got, want := c.end(), "smb.netbios_error called name not present\n"; got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
}

// TestOnlyResponses: a capture of the server's direction alone is not read to its
// end.
func TestOnlyResponses(t *testing.T) {
	response := make([]byte, 4+smb2HeaderSize)
	copy(response, "\x00\x00\x00\x40\xfeSMB\x40\x00")
	response[4+12], response[4+16] = 0x10, 1 // QUERY_INFO, from the server
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 445}})
	said := 0
	for ; said < 10*smbMostMessages && !c.state.Done(ToClient); said++ {
		c.say(ToClient, response)
	}
	if said < 2 || said > smbMostMessages || c.state.Protocol(c.set) != "smb" {
		t.Errorf("%d messages were read, as %q", said, c.state.Protocol(c.set))
	}
	c.end()
}
