package dissect

import (
	"slices"
	"strings"
	"testing"
)

// ask delivers datagrams to and from a name server in turns.
func ask(t *testing.T, port uint16, says ...string) (string, *conversation) {
	t.Helper()
	c := converse(t, &sample{over: UDP, ports: [2]uint16{50000, port}})
	for i, b := range says {
		c.say(Dir(i&1), unhex(b))
	}
	return c.end(), c
}

const (
	queryHeader = "1234 0100 0001 0000 0000 0000"
	wwwExample  = "03777777 07657861 6d706c65 00"
)

func TestDNSMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		says []string
		want string
	}{
		{"question", []string{queryHeader + wwwExample + "0001 0001"},
			"dns.qtype A\ndns.qname www.example\n"},
		{"no such name", []string{queryHeader + wwwExample + "0041 0001", "1234 8183 0001 0000 0000 0000" + wwwExample + "0041 0001"},
			"dns.qtype HTTPS\ndns.qname www.example\ndns.rcode NXDOMAIN\n"},
		{"root", []string{queryHeader + "00 0002 0001"},
			"dns.qtype NS\ndns.qname <Root>\n"},
		{"odd names", []string{queryHeader + "05 61011b7fc3 04 c3a42062 00" + "0010 0001"},
			"dns.qtype TXT\ndns.qname a\\001\\033\\177\uFFFD.ä b\n"},
		{"a dot in a label", []string{"1234 0100 0002 0000 0000 0000" + "03 612e62 00 0001 0001" + wwwExample + "001c 0001"},
			"dns.qtype A\ndns.qname a\\.b\ndns.qtype AAAA\ndns.qname www.example\n"},
		{"line ends in a name", []string{queryHeader + "04 610d0a09 00" + "0010 0001"},
			"dns.qtype TXT\ndns.qname a\\r\\n\\t\n"},
		{"the root", []string{queryHeader + "00 0002 0001"}, "dns.qtype NS\ndns.qname <Root>\n"},
		{"a label of another kind", []string{queryHeader + "0161 45 00 0001 0001"}, "dns.qname <Unknown extended label>\n"},
		{"a label of yet another kind", []string{queryHeader + "0161 85 00 0001 0001"}, ""},
		{"a pointer forwards", []string{queryHeader + "c012 0001 0001 0161 00"}, ""},
		{"a name of 256 bytes", []string{queryHeader + strings.Repeat("3f"+strings.Repeat("61", 63), 4) + "00 0001 0001"}, ""},
		{"more questions than bytes", []string{"1234 0100 8000 0000 0000 0000" + wwwExample + "0001 0001"},
			"dns.qtype A\ndns.qname www.example\n"},
		{"type without a name", []string{queryHeader + wwwExample + "ff55 0001"},
			"dns.qtype TYPE65365\ndns.qname www.example\n"},
		{"answer, authority and additional", []string{
			queryHeader + wwwExample + "0001 0001",
			"1234 8180 0001 0002 0001 0002" + wwwExample + "0001 0001" +
				"c00c 0005 0001 0000003c 0004 016ec00c" + // CNAME n.www.example
				"c027 0001 0001 0000003c 0004 c0000201" +
				"c00c 0002 0001 0000003c 0002 c00c" + // NS
				"00 0029 1000 00000000 0000" + // EDNS
				"c00c 001c 0001 0000003c 0010 20010db8000000000000000000000002"},
			"dns.qtype A\ndns.qname www.example\ndns.rcode NOERROR\ndns.answer 192.0.2.1\ndns.answer 2001:db8::2\n"},
		{"cut behind the first answer", []string{
			queryHeader + wwwExample + "0001 0001",
			"1234 8380 0001 0002 0000 0000" + wwwExample + "0001 0001" +
				"c00c 0001 0001 0000003c 0004 c0000201" + "c00c 0001 0001 0000"},
			"dns.qtype A\ndns.qname www.example\ndns.rcode NOERROR\ndns.answer 192.0.2.1\n"},
		{"dynamic update", []string{
			"1234 2800 0001 0000 0001 0000" + wwwExample + "0006 0001" + "c00c 0001 0001 0000003c 0004 c0000201",
			"1234 a805 0001 0000 0000 0000" + wwwExample + "0006 0001"},
			"dns.update true\ndns.qtype SOA\ndns.qname www.example\ndns.answer 192.0.2.1\ndns.rcode REFUSED\n"},
		{"a pointer to itself", []string{queryHeader + "c00c 0001 0001"}, ""},
		{"header alone", []string{"1234 8182 0000 0000 0000 0000"},
			"dns.rcode SERVFAIL\n"},
	} {
		facts, conversation := ask(t, 53, c.says...)
		if facts != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.name, facts, c.want)
		}
		if got := conversation.state.Protocol(conversation.set); got != "dns" {
			t.Errorf("%s: protocol %q", c.name, got)
		}
	}
}

func TestDNSElsewhere(t *testing.T) {
	for _, c := range []struct{ name, b, want string }{
		{"a question", queryHeader + wwwExample + "0001 0001", "dns"},
		{"a header alone", "1234 8182 0000 0000 0000 0000", ""},
		{"an unknown class", queryHeader + wwwExample + "0001 0777", ""},
		{"NetBIOS", "1234 0110 0001 0000 0000 0000" + "20" + strings.Repeat("43", 32) + "00 0020 0001", "nbns"},
		{"random bytes", "6c092761bbd36600e669f22fe855c79d7150babc2f1fa4c1", ""},
		{"too many", "1234 0100 0001 4000 0000 0000" + wwwExample + "0001 0001", ""},
	} {
		_, conversation := ask(t, 4000, c.b)
		if got := conversation.state.Protocol(conversation.set); got != c.want {
			t.Errorf("%s: protocol %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDNSOverTCPWithGaps(t *testing.T) {
	answer := "1234 8180 0001 0002 0000 0000" + wwwExample + "0001 0001" +
		"c00c 0001 0001 0000003c 0004 c0000201" + "c00c 0001 0001 0000003c 0004 c0000202"
	whole := append([]byte{0, byte(len(unhex(answer)))}, unhex(answer)...)
	c := converse(t, &sample{over: TCP, ports: [2]uint16{50000, 53}})
	c.say(ToClient, whole[:len(whole)-10]) // the second answer is cut
	c.state.Gap(c.set, ToClient, 10)
	c.say(ToClient, append([]byte{0, 12}, unhex("1235 8183 0000 0000 0000 0000")...))
	want := "dns.rcode NOERROR\ndns.qtype A\ndns.qname www.example\ndns.answer 192.0.2.1\ndns.rcode NXDOMAIN\n"
	if got := c.end(); got != want {
		t.Errorf("facts:\n%swant:\n%s", got, want)
	}
}

// TestProbeDNS holds what makes a message a message of DNS, and what makes it
// doubtful or none.
func TestProbeDNS(t *testing.T) {
	header := func(flags, questions, others uint16) []byte {
		b := []byte{0x12, 0x34, byte(flags >> 8), byte(flags), byte(questions >> 8), byte(questions)}
		return append(b, byte(others>>8), byte(others), 0, 0, 0, 0)
	}
	question := func(kind, class uint16) []byte {
		return append([]byte("\x02ms\x04corp\x00"), byte(kind>>8), byte(kind), byte(class>>8), byte(class))
	}
	for _, c := range []struct {
		name string
		b    []byte
		want Match
	}{
		{"a question", append(header(0x0100, 1, 0), question(1, 1)...), Yes},
		{"an answer", append(header(0x8180, 1, 1), question(28, 1)...), Yes},
		{"an update", append(header(0x2800, 1, 1), question(6, 1)...), Yes},
		{"of any class", append(header(0x0100, 1, 0), question(255, 255)...), Yes},
		{"the operation that is not assigned", append(header(0x1800, 1, 0), question(1, 1)...), No},
		{"an operation beyond", append(header(0x3800, 1, 0), question(1, 1)...), No},
		{"the last operation", append(header(0x3000, 1, 0), question(1, 1)...), Yes},
		{"nothing asked, nothing said", header(0x0100, 0, 0), No},
		{"an answer with nothing", header(0x8183, 0, 0), Weak},
		{"records alone", header(0x8400, 0, 3), Weak},
		{"an absurd number of records alone", header(0x8400, 0, maxDNSCount+1), No},
		{"a question, and an absurd number of records", append(header(0x8400, 1, maxDNSCount+1), question(1, 1)...), Weak},
		{"as many as may be", append(header(0x8400, 1, maxDNSCount), question(1, 1)...), Yes},
		{"33 questions, of which none is whole", header(0x0100, 33, 0), No},
		{"32 questions, of which none is whole", header(0x0100, 32, 0), Weak},
		{"two questions", append(header(0x0100, 2, 0), question(1, 1)...), Weak},
		{"the bit that must be zero", append(header(0x0140, 1, 0), question(1, 1)...), Weak},
		{"no such type", append(header(0x0100, 1, 0), question(66, 1)...), Weak},
		{"HTTPS", append(header(0x0100, 1, 0), question(65, 1)...), Yes},
		{"SPF", append(header(0x0100, 1, 0), question(99, 1)...), Yes},
		{"between the types", append(header(0x0100, 1, 0), question(248, 1)...), Weak},
		{"TKEY", append(header(0x0100, 1, 0), question(249, 255)...), Yes},
		{"CAA", append(header(0x0100, 1, 0), question(257, 1)...), Yes},
		{"behind the types", append(header(0x0100, 1, 0), question(258, 1)...), Weak},
		{"no such class", append(header(0x0100, 1, 0), question(1, 77)...), Weak},
		{"a name of NetBIOS", append(header(0x0110, 1, 0), netbios("AGENT", 0x20)+"\x00\x20\x00\x01"...), No},
		{"its status", append(header(0x0110, 1, 0), netbios("AGENT", 0x20)+"\x00\x21\x00\x01"...), No},
		{"a header that is not whole", header(0x0100, 1, 0)[:dnsHeaderSize-1], Maybe},
	} {
		if got := probeDNS(c.b); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		size := []byte{byte(len(c.b) >> 8), byte(len(c.b))}
		if got := probeDNSStream(ToServer, append(size, c.b...)); len(c.b) >= dnsHeaderSize && got != c.want {
			t.Errorf("%s over TCP: %d, want %d", c.name, got, c.want)
		}
	}
	if got := probeDNSStream(ToServer, []byte{0, dnsHeaderSize - 1}); got != No {
		t.Errorf("a message shorter than its header: %d, want No", got)
	}
	// What stands behind the message is another one's.
	two := slices.Concat([]byte{0, 12}, header(0x8183, 0, 0), []byte{0, 12}, header(0x8183, 0, 0))
	if got := probeDNSStream(ToClient, two); got != Weak {
		t.Errorf("two messages: %d, want Weak", got)
	}
}
