package dissect

import (
	"strings"
	"testing"
)

func TestProbeSSH(t *testing.T) {
	for _, c := range []struct {
		from Dir
		b    string
		want Match
	}{
		{ToServer, "SSH-2.0-OpenSSH_9.2\r\n", Yes},
		{ToServer, "SSH-1.5-x", Yes},
		{ToServer, "SSH-1.99-x", Yes},
		{ToServer, "SSH-2", Maybe},
		{ToServer, "", Maybe},
		{ToServer, "SSH-3.0-x", No},
		{ToServer, "SSL", No},
		{ToServer, "a line\r\nSSH-2.0-x", No}, // only servers may talk first
		{ToClient, "a line\r\nSSH-2.0-x", Yes},
		{ToClient, "220 ftp ready\r\n", Maybe},
		{ToClient, "\x16\x03\x03", No},
		{ToClient, strings.Repeat("x", maxSSHPreamble+1), No},
	} {
		if got := probeSSH(c.from, []byte(c.b)); got != c.want {
			t.Errorf("%q: %d, want %d", c.b, got, c.want)
		}
	}
}

func TestSSHBannersAreBounded(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 22}})
	c.say(ToServer, []byte("SSH-2.0-"+strings.Repeat("x", maxSSHBanner)))
	if c.state.Broken() == nil {
		t.Error("an identification of any length is waited for")
	}
	c.end()
	c = converse(t, &sample{over: TCP, ports: [2]uint16{50000, 22}})
	c.say(ToServer, []byte("SSH-2.0-x\x1b[2J\r\n"))
	if got := c.end(); got != "ssh.client_banner SSH-2.0-x\\x1b[2J\n" {
		t.Errorf("facts %q", got)
	}
}

func TestPrintable(t *testing.T) {
	for b, want := range map[string]string{
		"plain":       "plain",
		"a\x1b[31m\n": `a\x1b[31m\x0a`,
		"ä\xff":       `ä\xff`,
		"\xc2\x9b":    `\xc2\x9b`, // a control character of C1
		"\x7f":        `\x7f`,
		"snow \u2603": "snow \u2603",
	} {
		if got := printable([]byte(b)); got != want {
			t.Errorf("%q: %q, want %q", b, got, want)
		}
	}
}
