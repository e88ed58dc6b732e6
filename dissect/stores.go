package dissect

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Databases, brokers and calls of which the name alone is wanted, as what a
// program keeps its data in is often the connection that nobody wrote down:
//
//	Kafka      size (4)  API (2)  its version (2)  correlation (4)  length (2)  client   protocol guide, "Request Header v1"
//	Cassandra  version (1)  flags (1)  stream (2)  operation (1)  length (4)           native protocol v4, section 2
//	memcached  words and numbers, or 80 operation (1)  key (2)  extras (1) 00 ...      protocol.txt, BinaryProtocolRevamped
//	           by UDP behind request (2) 0000 datagrams (2) 0000
//	Thrift     80 01 00  kind (1)  length (4)  method, or behind a length (4)          binary protocol, strict encoding
//	Oracle     length (2) 0000  type (1)  flags (1) 0000  version (2)  compatible (2)  TNS, which is not published

var kafka = Dissector{
	Name:  "kafka",
	Over:  TCP,
	Ports: []uint16{9092},
	Probe: probeKafka,
	New:   newNamed,
}

var cassandra = Dissector{
	Name:  "cassandra",
	Over:  TCP,
	Ports: []uint16{9042},
	Probe: probeCassandra,
	New:   newNamed,
}

var memcached = Dissector{
	Name:  "memcached",
	Over:  TCP,
	Ports: []uint16{11211},
	Probe: probeMemcached,
	New:   newNamed,
}

var memcachedUDP = Dissector{
	Name:  "memcached",
	Over:  UDP,
	Ports: []uint16{11211},
	Probe: func(dir Dir, b []byte) Match {
		const header = 8
		if len(b) > 3 && b[2]|b[3] != 0 || len(b) > 7 && b[6]|b[7] != 0 {
			return No
		}
		return probeMemcached(dir, b[min(len(b), header):])
	},
	New: newNamed,
}

var thrift = Dissector{
	Name:  "thrift",
	Over:  TCP,
	Ports: []uint16{9090},
	Probe: probeThrift,
	New:   newNamed,
}

var oracle = Dissector{
	Name:  "oracle",
	Over:  TCP,
	Ports: []uint16{1521},
	Probe: probeOracle,
	New:   newNamed,
}

// probeKafka knows requests, each of which names its client; answers begin with
// nothing but a number.
func probeKafka(_ Dir, b []byte) Match {
	const header, lastAPI, lastVersion = 14, 100, 30
	switch {
	case len(b) > 0 && b[0] != 0, // of requests of 16 MB and more
		len(b) > 4 && b[4] != 0, len(b) > 5 && b[5] > lastAPI,
		len(b) > 6 && b[6] != 0, len(b) > 7 && b[7] > lastVersion,
		len(b) > 12 && b[12] != 0:
		return No
	case len(b) < header:
		return Maybe
	}
	name := int(b[13])
	if name == 0 || int(binary.BigEndian.Uint32(b)) < header-4+name {
		return No
	}
	switch {
	case !isWord(b[header:min(len(b), header+name)]):
		return No
	case len(b) < header+name:
		return Maybe
	}
	return FromClient
}

// probeCassandra knows what is said before the first query: OPTIONS, which is
// empty, or STARTUP, and SUPPORTED, the answer to the first.
func probeCassandra(_ Dir, b []byte) Match {
	const header, longest = 9, 4 << 10
	const startup, options, supported = 1, 5, 6
	if len(b) > 0 && (b[0]&0x7f < 3 || b[0]&0x7f > 5) || len(b) > 1 && b[1] > 0x1f || len(b) > 2 && b[2] != 0 {
		return No
	}
	if len(b) > 4 {
		answer := b[0]&0x80 != 0
		if op := b[4]; answer && op != supported || !answer && op != startup && op != options {
			return No
		}
	}
	if len(b) < header {
		return Maybe
	}
	size := binary.BigEndian.Uint32(b[5:])
	if size > longest {
		return No
	}
	content := b[header:min(len(b), header+int(size))]
	switch {
	case b[4] == options && size == 0:
		return FromClient
	case b[4] == options:
		return No
	case bytes.Contains(content, []byte("CQL_VERSION")):
		if b[4] == supported {
			return FromServer
		}
		return FromClient
	case len(content) < int(size):
		return Maybe
	}
	return No
}

// The commands of memcached that carry a value, with four or five words behind
// them, and those that are too plain to be believed on any port.
var (
	memcachedStores = []string{"set ", "add ", "replace ", "append ", "prepend ", "cas "}
	memcachedPlain  = []string{"get ", "gets ", "delete ", "incr ", "decr ", "touch ", "stats\r\n", "version\r\n", "mg ", "ms "}
)

func probeMemcached(_ Dir, b []byte) Match {
	if len(b) > 0 && b[0]&0xfe == 0x80 {
		return probeMemcachedBinary(b)
	}
	const longest = 250 + 64 // a key and what stands around it
	answer := No
	for _, word := range memcachedStores {
		m := begins(b, word)
		if m != Yes {
			answer = max(answer, m)
			continue
		}
		line, _, complete := strings.Cut(string(b[:min(len(b), longest)]), "\r\n")
		words := strings.Fields(line)
		switch {
		case !complete && len(b) < longest:
			return Maybe
		case !complete || len(words) < 5 || len(words) > 7:
			return No
		}
		for _, w := range words[2:5] { // flags, expiry, bytes
			if strings.Trim(w, "0123456789") != "" {
				return No
			}
		}
		return FromClient
	}
	plain := beginsAny(b, memcachedPlain)
	if plain == Yes {
		return Weak
	}
	return max(answer, plain)
}

func probeMemcachedBinary(b []byte) Match {
	const header, lastOperation = 24, 0x48
	switch {
	case len(b) > 1 && b[1] > lastOperation, len(b) > 4 && b[4] > 32, len(b) > 5 && b[5] != 0, len(b) > 6 && b[6] != 0:
		return No
	case len(b) < header:
		return Maybe
	}
	const set, replace = 1, 3 // and add between them
	key, extras := uint32(binary.BigEndian.Uint16(b[2:])), uint32(b[4])
	switch stores := b[1] >= set && b[1] <= replace; {
	case key+extras > binary.BigEndian.Uint32(b[8:]):
		return No
	case b[0] != 0x80:
		return FromServer
	case stores && (extras != 8 || key == 0): // flags and expiry
		return No
	}
	return FromClient
}

// probeThrift knows a message by the name of its method.
func probeThrift(_ Dir, b []byte) Match {
	const frame, header, longest = 4, 8, 255
	const call, reply, exception, oneway = 1, 2, 3, 4
	if len(b) > 0 && b[0] == 0 { // framed
		b = b[min(len(b), frame):]
	}
	if m := begins(b, "\x80\x01\x00"); m != Yes || len(b) < header {
		return min(m, Maybe)
	}
	size := binary.BigEndian.Uint32(b[4:])
	if size == 0 || size > longest {
		return No
	}
	end := header + int(size)
	switch {
	case !isWord(b[header:min(len(b), end)]):
		return No
	case len(b) < end:
		return Maybe
	case b[3] == call || b[3] == oneway:
		return FromClient
	case b[3] == reply || b[3] == exception:
		return FromServer
	}
	return No
}

// probeOracle knows CONNECT and ACCEPT by the versions in them, and the text of
// REFUSE and REDIRECT.
func probeOracle(_ Dir, b []byte) Match {
	const header, connect, accept, refuse, redirect = 8, 1, 2, 4, 5
	switch {
	case len(b) > 2 && b[2] != 0, len(b) > 3 && b[3] != 0,
		len(b) > 4 && b[4] != connect && b[4] != accept && b[4] != refuse && b[4] != redirect,
		len(b) > 6 && b[6] != 0, len(b) > 7 && b[7] != 0:
		return No
	case len(b) < header+6:
		return Maybe
	}
	if size := int(binary.BigEndian.Uint16(b)); size < header+4 {
		return No
	}
	version := func(at int) bool { v := binary.BigEndian.Uint16(b[at:]); return v >= 300 && v < 400 }
	switch {
	case b[4] == connect && version(8) && version(10):
		return FromClient
	case b[4] == accept && version(8), b[4] == refuse && b[12] == '(', b[4] == redirect && b[10] == '(':
		return FromServer
	}
	return No
}
