package dissect

import (
	"fmt"
	"strings"
	"testing"
)

// call is a call with an AUTH_SYS-like credential of four zero bytes, and
// arguments.
func call(program, version, procedure, flavor int, arguments string) []byte {
	return unhex(fmt.Sprintf("00000001 00000000 00000002 %08x %08x %08x %08x 00000004 00000000 00000000 00000000", program, version, procedure, flavor) + arguments)
}

// fragment puts a record mark in front of b.
func fragment(last bool, b []byte) []byte {
	n := len(b)
	mark := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	if last {
		mark[0] |= 0x80
	}
	return append(mark, b...)
}

func TestRPC(t *testing.T) {
	for _, c := range []struct {
		name           string
		b              []byte
		protocol, want string
	}{
		{"NFS 3 with AUTH_NONE", call(rpcNFS, 3, 1, 0, ""), "nfs", "rpc.program 100003/3\nnfs.auth none\nnfs.version 3\n"},
		{"NFS 3, null procedure", call(rpcNFS, 3, 0, 0, ""), "nfs", "rpc.program 100003/3\nnfs.version 3\n"},
		{"NFS 4.0", call(rpcNFS, 4, 1, 1, "00000003 61626300 00000000"), "nfs", "rpc.program 100003/4\nnfs.auth sys\nnfs.version 4\n"},
		{"NFS 4.1", call(rpcNFS, 4, 1, 6, "00000000 00000001"), "nfs", "rpc.program 100003/4\nnfs.auth gss\nnfs.version 4\n"}, // sealed: not read
		{"NFS 4.2", call(rpcNFS, 4, 1, 1, "00000000 00000002"), "nfs", "rpc.program 100003/4\nnfs.auth sys\nnfs.version 4.2\n"},
		{"mount", call(rpcMount, 3, 1, 0, ""), "mount", "rpc.program 100005/3\n"},
		{"another program", call(100021, 4, 2, 1, ""), "rpc", "rpc.program 100021/4\n"},
	} {
		for _, over := range []Transport{TCP, UDP} {
			conversation := converse(t, &sample{over: over, ports: [2]uint16{700, 4000}})
			b := c.b
			if over == TCP {
				b = fragment(true, b)
			}
			conversation.say(ToServer, b)
			facts := conversation.end()
			if got := conversation.state.Protocol(conversation.set); facts != c.want || got != c.protocol {
				t.Errorf("%s over %d: protocol %q, facts\n%swant %q\n%s", c.name, over, got, facts, c.protocol, c.want)
			}
		}
	}
}

func TestRPCRecords(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	write := call(rpcNFS, 3, 7, 1, "")
	first := fragment(false, append(write, make([]byte, 2000)...))
	c.say(ToServer, first)
	// The rest of the record looks like a call, and is data.
	c.say(ToServer, fragment(true, call(rpcMount, 3, 1, 0, "")))
	// A large record: its head is read, its data passed over.
	large := fragment(true, append(call(rpcNFS, 4, 1, 6, ""), make([]byte, 1<<20)...))
	c.say(ToServer, large[:3000])
	if c.set.Held() != 0 {
		t.Errorf("%d bytes of data wait", c.set.Held())
	}
	c.state.Gap(c.set, ToServer, uint64(len(large)-3000-1))
	c.say(ToServer, large[len(large)-1:])
	c.say(ToServer, fragment(true, call(100021, 4, 2, 1, "")))
	want := "rpc.program 100003/3\nnfs.auth sys\nnfs.version 3\nrpc.program 100003/4\nnfs.auth gss\nnfs.version 4\nrpc.program 100021/4\n"
	if got := c.end(); got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
	if err := c.state.Broken(); err != nil {
		t.Error(err)
	}
}

// A capture that cuts every frame leaves the call's head.
func TestRPCCut(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	b := fragment(true, call(rpcNFS, 3, 6, 1, strings.Repeat("00", 500)))
	for range 2 {
		c.say(ToServer, b[:62])
		c.state.Gap(c.set, ToServer, uint64(len(b)-62))
	}
	if got, want := c.end(), "rpc.program 100003/3\nnfs.auth sys\nnfs.version 3\n"; got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
}

func TestRPCStopsWhenEnoughIsKnown(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	for range rpcCallsEnough {
		if c.state.Done(ToServer) {
			t.Fatal("stopped early")
		}
		c.say(ToServer, fragment(true, call(rpcNFS, 3, 6, 1, "")))
	}
	if !c.state.Done(ToServer) || !c.state.Done(ToClient) {
		t.Error("all is known, and more is read")
	}
	c.end()
}

func TestProbeRPC(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want Match
	}{
		"call":             {call(rpcNFS, 3, 1, 1, ""), FromClient},
		"reply":            {unhex("00000001 00000001 00000000 00000000 00000000 00000000"), Weak},
		"another version":  {unhex("00000001 00000000 00000003 000186a3 00000003 00000001 00000000 00000000 00000000 00000000"), No},
		"not a program":    {call(12, 3, 1, 1, ""), No},
		"version 0":        {call(rpcNFS, 0, 0, 0, ""), FromClient},
		"version 0, zeros": {call(0x494e4954, 0, 0, 0, ""), No}, // NTP looks like it
		"beyond programs":  {call(0x60000000, 3, 1, 1, ""), No},
		"absurd procedure": {call(rpcNFS, 3, 5000, 1, ""), No},
		"absurd flavor":    {call(rpcNFS, 3, 1, 5000, ""), No},
		"zeros":            {make([]byte, 48), No},
	} {
		if got := probeRPC(c.b, len(c.b)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
