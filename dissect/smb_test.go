package dissect

import (
	"encoding/binary"
	"fmt"
	"testing"
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

const smb2TreeConnect = 3

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
	setUp := func(lm, nt string, action string, status uint32) []message {
		return []message{offer, choice,
			{ToServer, message1(smb1SessionSetup, 0, 0, "0d ff000000 ffff 0200 0100 00000000"+lm+nt+"00000000 00000000 0000")},
			{ToClient, message1(smb1SessionSetup, 0x80, status, "03 ff000000"+action+"0000")},
			{ToServer, message1(smb1TreeConnect, 0, 0, "00 0000")},
		}
	}
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"NTLMv1", setUp("1800", "1800", "0000", 0), "smb.dialect NT LM 0.12\nsmb.smb1 true\nsmb.auth ntlmv1\nsmb.signed false\n"},
		{"NTLMv2", setUp("1800", "8000", "0000", 0), "smb.dialect NT LM 0.12\nsmb.smb1 true\nsmb.auth ntlmv2\nsmb.signed false\n"},
		{"LAN Manager alone", setUp("1800", "0000", "0000", 0), "smb.dialect NT LM 0.12\nsmb.smb1 true\nsmb.auth ntlmv1\nsmb.signed false\n"},
		{"anonymous", setUp("0100", "0000", "0000", 0), "smb.dialect NT LM 0.12\nsmb.smb1 true\nsmb.auth anonymous\nsmb.signed false\n"},
		{"guest", setUp("1800", "1800", "0100", 0), "smb.dialect NT LM 0.12\nsmb.smb1 true\nsmb.auth guest\nsmb.signed false\n"},
		{"a negotiation that ends in SMB2", []message{offer, {ToClient, message2(smb2Negotiate, answer2, 0, "4100 0100 ff02 0000")}},
			"smb.dialect 2.???\n"},
		{"a negotiation without an answer", []message{offer}, ""},
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
