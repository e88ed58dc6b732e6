package dissect

import (
	"strings"
	"testing"
)

// greeting3 is a greeting of ZMTP 3.x.
func greeting3(minor byte, mechanism string, asServer byte) []byte {
	b := unhex("ff00000000000000017f" + "03")
	b = append(b, minor)
	b = append(b, mechanism...)
	b = append(b, make([]byte, 20-len(mechanism))...)
	b = append(b, asServer)
	return append(b, make([]byte, 31)...)
}

// command is a short command frame.
func command(name, data string) []byte {
	body := string(rune(len(name))) + name + data
	return append([]byte{zmtpCommand, byte(len(body))}, body...)
}

// peers converses over TCP on ZMTP's port; a message of the client first.
func peers(t *testing.T, says ...message) (string, *conversation) {
	t.Helper()
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 7780}})
	for _, m := range says {
		c.say(m.from, m.b)
	}
	return c.end(), c
}

const ready = "\x0bSocket-Type\x00\x00\x00\x06DEALER" + "\x08Identity\x00\x00\x00\x02\x00a"

func TestZMTPGreetings(t *testing.T) {
	for _, c := range []struct {
		name string
		says []message
		want string
	}{
		{"both 3.1", []message{{ToServer, greeting3(1, "CURVE", 0)}, {ToClient, greeting3(1, "CURVE", 1)}},
			"zmtp.client_mechanism CURVE\nzmtp.version 3.1\nzmtp.server_mechanism CURVE\nzmtp.mechanism CURVE\nzmtp.as_server server\nzmtp.handshake incomplete\n"},
		{"the lower version", []message{{ToServer, greeting3(0, "NULL", 0)}, {ToClient, greeting3(1, "NULL", 0)}},
			"zmtp.client_mechanism NULL\nzmtp.version 3.0\nzmtp.server_mechanism NULL\nzmtp.mechanism NULL\nzmtp.handshake incomplete\n"},
		{"mechanisms differ", []message{{ToServer, greeting3(1, "PLAIN", 1)}, {ToClient, greeting3(1, "CURVE", 1)}},
			"zmtp.client_mechanism PLAIN\nzmtp.as_server both\nzmtp.version 3.1\nzmtp.server_mechanism CURVE\nzmtp.handshake incomplete\n"},
		{"one end only", []message{{ToClient, greeting3(0, "CURVE", 1)}},
			"zmtp.server_mechanism CURVE\nzmtp.as_server server\nzmtp.version 3.0\nzmtp.handshake incomplete\n"},
		{"2.0 answered by 3.x, of which one end is seen", []message{{ToClient, unhex("ff00000000000000017f 03 06 0000")}},
			"zmtp.version 2.0\nzmtp.socket_type ROUTER\nzmtp.handshake incomplete\n"},
		{"2.0 with an identity", []message{{ToServer, unhex("ff00000000000000057f 01 05 0004 6e6f6465")}},
			"zmtp.version 2.0\nzmtp.socket_type DEALER\nzmtp.identity node\nzmtp.handshake incomplete\n"},
		{"1.0 answered by 3.x with an identity", []message{
			{ToClient, unhex("ff00000000000000037f")},
			{ToServer, unhex("0100 060068656c6c6f")},
			{ToClient, unhex("6d73 020161 020062")}},
			"zmtp.version 1.0\nzmtp.messages 1 1\nzmtp.handshake complete\nzmtp.identity ms\n"},
		{"revision 0 speaks 1.0", []message{
			{ToServer, unhex("ff00000000000000017f 00 05 0100 020061 020162")},
			{ToClient, unhex("ff00000000000000017f 03 06 0100")}},
			"zmtp.version 1.0\nzmtp.socket_type DEALER\nzmtp.messages 1 0\nzmtp.handshake complete\nzmtp.socket_type ROUTER\n"},
	} {
		if got, _ := peers(t, c.says...); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, got, c.want)
		}
	}
}

func TestProbeZMTP(t *testing.T) {
	for b, want := range map[string]Match{
		"":                                   Maybe,
		"ff":                                 Maybe,
		"ff00000000000000017f":               Maybe, // a server greets everybody so
		"ff00000000000000017f03":             Yes,
		"ff00000000000001007f01":             Yes,
		"ff00000000000000017f16":             No,
		"ff00000000000000017e":               No,
		"ff01":                               No,
		"ff0000000000000201":                 No,
		"ffd8ffe0":                           No, // JPEG
		"0100":                               Maybe,
		"0100060168656c6c6f":                 Weak,
		"0100060168656c6c6f020061020062":     Yes, // four frames, the first anonymous
		"0500616263640601":                   Weak,
		"010000":                             No,
		"0101":                               No,
		"00":                                 Maybe, // a frame of CURVE
		"0002":                               No,
		"0028074d455353":                     Maybe,
		"0028074d455353414745":               Yes,
		"02000000000000ffff074d455353414745": Yes,
		"0028054d455353414745":               No,
		"160301":                             No,
		"474554202f":                         No,
	} {
		if got := probeZMTP(ToServer, unhex(b)); got != want {
			t.Errorf("%s: %d, want %d", b, got, want)
		}
	}
}

// A server of ZMTP speaks first, whoever calls: what the caller says counts.
func TestOtherProtocolsToAZMTPServer(t *testing.T) {
	signature := unhex("ff00000000000000017f")
	for name, c := range map[string]struct {
		says []byte
		want string
	}{
		"http":    {[]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http"},
		"ssh":     {[]byte("SSH-2.0-x\r\n"), "ssh"},
		"garbage": {[]byte("\x6c\x09\x27\x61\xbb"), ""},
		"nothing": {nil, ""},
	} {
		_, conversation := peers(t, message{ToClient, signature}, message{ToServer, c.says})
		if got := conversation.state.Protocol(conversation.set); got != c.want {
			t.Errorf("%s: protocol %q, want %q", name, got, c.want)
		}
	}
}

func TestZMTPHandshakes(t *testing.T) {
	null, plain, curve := greeting3(1, "NULL", 0), greeting3(1, "PLAIN", 0), greeting3(1, "CURVE", 0)
	for _, c := range []struct {
		name string
		says []message
		want string // of the facts behind the greeting
	}{
		{"NULL", []message{{ToServer, null}, {ToClient, null}, {ToServer, command("READY", ready)}, {ToClient, command("READY", "")}},
			"zmtp.socket_type DEALER\nzmtp.identity \\x00a\nzmtp.handshake complete\n"},
		{"NULL, one READY", []message{{ToServer, null}, {ToClient, null}, {ToServer, command("READY", "")}},
			"zmtp.handshake incomplete\n"},
		{"NULL refused by the client", []message{{ToServer, null}, {ToClient, null}, {ToServer, command("ERROR", "\x03bad")}},
			"zmtp.error bad\nzmtp.handshake rejected\nzmtp.rejected_by client\n"},
		{"PLAIN", []message{{ToServer, plain}, {ToClient, plain},
			{ToServer, command("HELLO", "\x05agent\x08"+plantedPassword)}, {ToClient, command("WELCOME", "")},
			{ToServer, command("INITIATE", "")}, {ToClient, command("READY", "")}},
			"zmtp.credentials true\nzmtp.handshake complete\n"},
		{"PLAIN not answered", []message{{ToServer, plain}, {ToClient, plain}, {ToServer, command("HELLO", "\x00\x00")}},
			"zmtp.credentials true\nzmtp.handshake incomplete\n"},
		{"CURVE", []message{{ToServer, curve}, {ToClient, curve},
			{ToServer, command("HELLO", "x")}, {ToClient, command("WELCOME", "x")},
			{ToServer, command("INITIATE", ready)}, {ToClient, command("READY", ready)}, // as if they were in clear
			{ToServer, command("MESSAGE", "x")}},
			"zmtp.handshake complete\nzmtp.messages 1 0\n"},
		{"CURVE refused", []message{{ToServer, curve}, {ToClient, curve}, {ToServer, command("HELLO", "x")}, {ToClient, command("ERROR", "\x03400")}, {ToServer, command("HELLO", "")}},
			"zmtp.error 400\nzmtp.handshake rejected\nzmtp.rejected_by server\n"},
		{"messages mean that it was completed", []message{{ToServer, curve}, {ToClient, curve}, {ToServer, command("HELLO", "x")}, {ToServer, []byte{0, 1, 'x'}}},
			"zmtp.messages 1 0\nzmtp.handshake complete\n"},
	} {
		got, _ := peers(t, c.says...)
		_, rest, _ := strings.Cut(got, "zmtp.mechanism ")
		_, rest, _ = strings.Cut(rest, "\n")
		if rest != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, rest, c.want)
		}
		if strings.Contains(got, plantedPassword) || strings.Contains(got, "agent") {
			t.Errorf("%s: credentials are in the facts:\n%s", c.name, got)
		}
	}
}

func TestZMTPCounts(t *testing.T) {
	null := greeting3(1, "NULL", 0)
	long := append(unhex("02 00000000000f4240"), make([]byte, 1000000)...) // 1,000,000 bytes
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 7780}})
	for _, m := range []message{
		{ToServer, null}, {ToClient, null},
		{ToServer, command("READY", "")}, {ToClient, command("READY", "")},
		{ToServer, []byte{zmtpMore, 1, 'a', 0, 1, 'b'}}, // one message in two parts
		{ToServer, command("SUBSCRIBE", "topic")},
		{ToServer, command("PING", "\x00\x0a")}, {ToClient, command("PONG", "")},
		{ToServer, long[:70000]},
	} {
		c.say(m.from, m.b)
	}
	if c.set.Held() != 0 {
		t.Errorf("%d bytes of a message wait", c.set.Held())
	}
	c.state.Gap(c.set, ToServer, 500000) // inside the long message
	c.say(ToServer, long[570000:])
	c.say(ToServer, []byte{0, 0})
	facts := c.end()
	if listed(facts, "zmtp.messages") != "3 0" || listed(facts, "zmtp.heartbeats") != "1 1" {
		t.Errorf("facts:\n%s", facts)
	}
}

// Of a connection that began before the capture nobody knows what was agreed.
func TestZMTPMidway(t *testing.T) {
	frame := append([]byte{0, 40, 7}, "MESSAGE"+strings.Repeat("x", 32)...)
	facts, c := peers(t, message{ToClient, frame}, message{ToServer, frame}, message{ToServer, append(frame, frame...)})
	if facts != "zmtp.messages 3 1\n" || c.state.Protocol(c.set) != "zmtp" || c.state.Broken() != nil {
		t.Errorf("protocol %q, broken %v, facts:\n%s", c.state.Protocol(c.set), c.state.Broken(), facts)
	}
}

// A direction whose beginning is missing is not taken for a peer of 1.0.
func TestZMTPWithoutItsBeginning(t *testing.T) {
	rest := greeting3(1, "CURVE", 1)[10:]
	hello := command("HELLO", strings.Repeat("\x01", 194))
	facts, _ := peers(t, message{ToServer, greeting3(1, "CURVE", 0)}, message{ToClient, rest}, message{ToServer, hello})
	if !strings.Contains(facts, "zmtp.client_mechanism CURVE\nzmtp.version 3.1\n") || strings.Contains(facts, "handshake complete") {
		t.Errorf("from within the greeting:\n%s", facts)
	}
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 7780}})
	c.say(ToServer, []byte{0xff, 0})
	c.state.Gap(c.set, ToServer, 62)
	c.say(ToServer, []byte{4, 0, 1, 1, 1, 1, 0})
	if facts := c.end(); facts != "" {
		t.Errorf("behind a gap:\n%s", facts)
	}
}

func TestZMTPMalformed(t *testing.T) {
	null := greeting3(1, "NULL", 0)
	for name, frame := range map[string][]byte{
		"reserved flags":        {0xf0, 1, 0},
		"size beyond reason":    unhex("06 ffffffffffffffff"),
		"name beyond the frame": {zmtpCommand, 2, 9, 'R'},
	} {
		_, c := peers(t, message{ToServer, null}, message{ToClient, null}, message{ToServer, frame})
		if c.state.Broken() == nil {
			t.Errorf("%s: not malformed", name)
		}
	}
}

// What a peer sends before the other answers leaves ZMTP possible, no more.
func TestUndecidedZMTP(t *testing.T) {
	signature := unhex("ff00000000000000017f")
	for name, c := range map[string]struct {
		says []message
		want bool
	}{
		"signature":            {[]message{{ToServer, signature}}, true},
		"half of it":           {[]message{{ToServer, signature[:5]}}, true},
		"both ends' signature": {[]message{{ToClient, signature}, {ToServer, signature}}, true},
		"something else":       {[]message{{ToServer, []byte("hello, is anybody there\n")}}, false},
		"an answer that is":    {[]message{{ToServer, signature}, {ToClient, []byte("-ERR unknown command\r\n")}}, false},
		"the greeting":         {[]message{{ToServer, greeting3(1, "CURVE", 0)}}, false},
		"nothing":              {nil, false},
	} {
		conversation := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 7780}})
		for _, m := range c.says {
			conversation.say(m.from, m.b)
		}
		if got := conversation.state.Undecided(conversation.set); got != c.want {
			t.Errorf("%s: undecided %v, want %v", name, got, c.want)
		}
		result := conversation.state.Conclude(conversation.set)
		if got := result.Undecided(); got != c.want {
			t.Errorf("%s: concluded undecided %v, want %v", name, got, c.want)
		}
	}
}
