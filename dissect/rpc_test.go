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
	for _, over := range []Transport{TCP, UDP} {
		c := converse(t, &sample{over: over, ports: [2]uint16{700, 2049}})
		message := call(rpcNFS, 3, 6, 1, "")
		if over == TCP {
			message = fragment(true, message)
		}
		for range rpcCallsEnough {
			if c.state.Done(ToServer) {
				t.Fatal("stopped early")
			}
			c.say(ToServer, message)
		}
		if !c.state.Done(ToServer) || !c.state.Done(ToClient) {
			t.Error("all is known, and more is read")
		}
		c.end()
	}
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

func TestPortmap(t *testing.T) {
	text := func(s string) string {
		return fmt.Sprintf("%08x%x%s", len(s), s, strings.Repeat("00", -len(s)&3))
	}
	const accepted = "00000001 00000001 00000000 00000000 00000000 00000000"
	getPort := call(rpcPortmap, 2, 3, 0, "000186a5 00000003 00000011 00000000")
	getAddress := call(rpcPortmap, 4, 3, 0, "000186a3 00000004"+text("tcp6")+text("")+text("root"))
	for _, c := range []struct {
		name  string
		call  []byte
		reply string
		want  string
	}{
		{"a port", getPort, accepted + "00004e50", "rpc.program 100000/2\nrpc.mapped 100005/3 udp/20048\n"},
		{"no such program", getPort, accepted + "00000000", "rpc.program 100000/2\nrpc.unregistered 100005/3 udp\n"},
		{"no port at all", getPort, accepted + "00010000", "rpc.program 100000/2\n"},
		{"the answer to another call", getPort, "00000002" + accepted[8:] + "00004e50", "rpc.program 100000/2\n"},
		{"cut", getPort, accepted + "0000", "rpc.program 100000/2\n"},
		{"refused", getPort, "00000001 00000001 00000001 00000001 00000005", "rpc.program 100000/2\nrpc.error auth_tooweak\n"},
		{"not carried out", getPort, "00000001 00000001 00000000 00000000 00000000 00000001", "rpc.program 100000/2\nrpc.error prog_unavail\n"},
		{"an address", getAddress, accepted + text("::.8.1"), "rpc.program 100000/4\nrpc.mapped 100003/4 tcp/2049\n"},
		{"no address", getAddress, accepted + text(""), "rpc.program 100000/4\nrpc.unregistered 100003/4 tcp\n"},
		{"no universal address", getAddress, accepted + text("/run/socket"), "rpc.program 100000/4\n"},
		{"bytes beyond 255", getAddress, accepted + text("0.0.0.0.256.1"), "rpc.program 100000/4\n"},
		{"all of them", call(rpcPortmap, 2, 4, 0, ""), accepted + "00000001 000186a3 00000003 00000006 00000801" +
			"00000001 000186a3 00000003 00000084 00000801" + "00000001 000186a5 00000003 00000011", // over SCTP; cut
			"rpc.program 100000/2\nrpc.mapped 100003/3 tcp/2049\n"},
	} {
		for _, over := range []Transport{TCP, UDP} {
			conversation := converse(t, &sample{over: over, ports: [2]uint16{700, 111}})
			ask, answer := c.call, unhex(c.reply)
			if over == TCP {
				ask, answer = fragment(true, ask), fragment(true, answer)
			}
			conversation.say(ToServer, ask)
			conversation.say(ToClient, answer)
			if got := conversation.end(); got != c.want {
				t.Errorf("%s over %d:\n%swant:\n%s", c.name, over, got, c.want)
			}
		}
	}
}

func TestMount(t *testing.T) {
	mnt := call(rpcMount, 3, 1, 1, "00000009 2f73727672 2f6e6673 000000")
	for reply, want := range map[string]string{
		"00000000 00000004 01020304": "rpc.program 100005/3\nnfs.export /srvr/nfs\n",
		"0000000d":                   "rpc.program 100005/3\nnfs.export /srvr/nfs\nnfs.mount_status access\n",
		"00000063":                   "rpc.program 100005/3\nnfs.export /srvr/nfs\nnfs.mount_status 99\n",
	} {
		c := converse(t, &sample{over: UDP, ports: [2]uint16{700, 20048}})
		c.say(ToServer, mnt)
		c.say(ToClient, unhex("00000001 00000001 00000000 00000000 00000000 00000000"+reply))
		if got := c.end(); got != want {
			t.Errorf("%s:\n%swant:\n%s", reply, got, want)
		}
	}
}

func TestGSS(t *testing.T) {
	head := "00000001 00000000 00000002 000186a3 00000004 00000001"
	compound := "00000000 00000001 00000001"
	for service, want := range map[string]string{
		"00000001": "nfs.gss_service authentication\nnfs.version 4.1\n",
		"00000002": "nfs.gss_service integrity\nnfs.version 4.1\n",
		"00000003": "nfs.gss_service privacy\nnfs.version 4\n",
	} {
		arguments := compound
		if service == "00000002" {
			arguments = "00000010 00000007" + compound
		}
		c := converse(t, &sample{over: UDP, ports: [2]uint16{700, 2049}})
		c.say(ToServer, unhex(head+"00000006 00000018 00000001 00000000 00000007"+service+"00000004 aabbccdd"+"00000006 00000004 01020304"+arguments))
		if got := c.end(); got != "rpc.program 100003/4\nnfs.auth gss\n"+want {
			t.Errorf("service %s:\n%swant:\n%s", service, got, want)
		}
	}
}

// A record may come in fragments of any size, empty ones among them.
func TestRPCFragments(t *testing.T) {
	b := call(rpcNFS, 4, 1, 1, "00000003 61626300 00000002")
	for size := 1; size <= len(b); size++ {
		c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
		c.say(ToServer, fragment(true, call(100021, 4, 2, 1, "")))
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			c.say(ToServer, fragment(false, rest[:n]))
			rest = rest[n:]
		}
		c.say(ToServer, fragment(true, nil))
		c.say(ToServer, fragment(true, call(rpcMount, 3, 0, 1, "")))
		want := "rpc.program 100021/4\nrpc.program 100003/4\nnfs.auth sys\nnfs.version 4.2\nrpc.program 100005/3\n"
		if got := c.end(); got != want {
			t.Errorf("fragments of %d bytes:\n%swant:\n%s", size, got, want)
		}
	}
}

// A server that knows no TLS says so, and goes on in clear.
func TestRPCWithoutTLS(t *testing.T) {
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	c.say(ToServer, fragment(true, unhex("00000009 00000000 00000002 000186a3 00000003 00000000 00000007 00000000 00000000 00000000")))
	c.say(ToClient, fragment(true, unhex("00000009 00000001 00000000 00000000 00000000 00000000")))
	c.say(ToServer, fragment(true, call(rpcNFS, 3, 1, 1, "")))
	if got, want := c.end(), "rpc.program 100003/3\nrpc.tls false\nnfs.auth sys\nnfs.version 3\n"; got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
}

// The record with which a server agrees to TLS may claim to go on far behind
// what is read of it: the rest is passed over before TLS is looked for.
func TestRPCHandOverInALongRecord(t *testing.T) {
	agreed := unhex("00000001 00000001 00000000 00000000 00000008" + "5354415254544c53" + "00000000")
	agreed = fragment(true, append(agreed, make([]byte, 3*maxRPCReply)...))
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	c.say(ToServer, fragment(true, call(rpcNFS, 3, 0, authTLS, "")))
	c.say(ToClient, agreed[:4+maxRPCReply])
	c.say(ToClient, agreed[4+maxRPCReply:])
	c.say(ToServer, plainHello)
	if got, want := c.end(), "rpc.tls true\nnfs.version 3\ntls.sni "; !strings.Contains(got, want) {
		t.Errorf("facts\n%swant %q in them", got, want)
	}
}

// TestOnlyReplies: a capture of the server's direction alone is not read to its
// end.
func TestOnlyReplies(t *testing.T) {
	// Fragment header, xid, reply, accepted, no verifier, success.
	reply := unhex("80000018 00000007 00000001 00000000 00000000 00000000 00000000")
	c := converse(t, &sample{over: TCP, ports: [2]uint16{700, 2049}})
	for range rpcMostRecords - 1 {
		c.say(ToClient, reply)
	}
	if c.state.Done(ToClient) {
		t.Fatal("given up too early")
	}
	c.say(ToClient, reply)
	if !c.state.Done(ToClient) {
		t.Error("read on")
	}
	c.end()
}
