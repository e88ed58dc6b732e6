package dissect

import (
	"strings"
	"testing"
)

// nbdgmMessage is a datagram of the NetBIOS datagram service.
func nbdgmMessage(kind, flags, data string) []byte {
	name := "20" + strings.Repeat("43", 32) + "00"
	return unhex(kind + flags + "1234 c0000201 008a 0056 0000" + name + name + data)
}

func TestNBDGM(t *testing.T) {
	for _, c := range []struct {
		name           string
		b              []byte
		protocol, want string
	}{
		{"to a group", nbdgmMessage("11", "02", "ff534d42 25"), "smb", "smb.smb1 true\n"},
		{"no SMB", nbdgmMessage("10", "02", "00534d42 25"), "nbdgm", ""},
		{"a later fragment", nbdgmMessage("11", "01", "ff534d42 25"), "nbdgm", ""},
		{"an error", unhex("13 02 1234 c0000201 008a 82"), "nbdgm", ""},
		{"other letters", []byte("\x11\x02\x12\x34\xc0\x00\x02\x01\x00\x8a\x00\x56\x00\x00 " + strings.Repeat("Q", 60)), "", ""},
		{"reserved flags", nbdgmMessage("11", "1a", "ff534d42 25"), "smb", "smb.smb1 true\n"}, // Windows 95 sets one
		{"a label too long", append(nbdgmMessage("11", "02", "")[:nbdgmAddress+netbiosNameSize], 0xc0, 0), "nbdgm", ""},
	} {
		conversation := converse(t, &sample{over: UDP, ports: [2]uint16{138, 138}})
		conversation.say(ToServer, c.b)
		facts := conversation.end()
		if got := conversation.state.Protocol(conversation.set); got != c.protocol || facts != c.want {
			t.Errorf("%s: protocol %q, facts %q", c.name, got, facts)
		}
	}
}
