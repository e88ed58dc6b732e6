package dissect

import (
	"bytes"
	"encoding/binary"
)

// Protocols over TCP that are known by how they begin and of which the name
// alone is wanted:
//
//	BGP            ff (16)  length (2)  type (1)            RFC 4271 section 4.1
//	VNC            "RFB 003.008" LF                         RFC 6143 section 7.1.1
//	Telnet         ff fb-fe option, three times             RFC 854
//	MQTT           10 length  00 04 "MQTT" or 00 06 "MQIsdp"   OASIS MQTT 3.1.1, section 3.1
//	AMQP           "AMQP" id major minor revision           OASIS AMQP 1.0, section 2.2
//	SIP            request or status line, also by UDP      RFC 3261 section 7
//	RTSP           request or status line                   RFC 2326 sections 6 and 7
//	rsync          "@RSYNCD: " version LF, from both        of rsync itself, csprotocol.txt
//	Git            length in hex (4)  "git-upload-pack "    gitprotocol-pack
//	Zabbix         "ZBXD"  flags (1)  length (4)            Zabbix protocols, header
//	Redis          "*" count CRLF "$" length CRLF command   RESP
//	MongoDB        length (4)  id (4)  answered id (4)  operation (4), least byte first
//	Elasticsearch  "ES"  length (4)  id (8)  status (1)  version (4)   between its nodes

var bgp = Dissector{
	Name:  "bgp",
	Over:  TCP,
	Ports: []uint16{179},
	Probe: probeBGP,
	New:   newNamed,
}

var vnc = Dissector{
	Name:  "vnc",
	Over:  TCP,
	Ports: []uint16{5900, 5901},
	Probe: func(_ Dir, b []byte) Match { return begins(b, "RFB 00") },
	New:   newNamed,
}

var telnet = Dissector{
	Name:  "telnet",
	Over:  TCP,
	Ports: []uint16{23},
	Probe: probeTelnet,
	New:   newNamed,
}

var mqtt = Dissector{
	Name:  "mqtt",
	Over:  TCP,
	Ports: []uint16{1883},
	Probe: probeMQTT,
	New:   newNamed,
}

var amqp = Dissector{
	Name:  "amqp",
	Over:  TCP,
	Ports: []uint16{5672},
	Probe: func(_ Dir, b []byte) Match {
		if m := begins(b, "AMQP"); m != Yes {
			return m
		}
		if len(b) > 4 && b[4] > 3 {
			return No
		}
		if len(b) < 8 {
			return Maybe
		}
		return Yes
	},
	New: newNamed,
}

var sip = Dissector{
	Name:  "sip",
	Over:  TCP | UDP,
	Ports: []uint16{5060},
	Probe: probeSIP,
	New:   newNamed,
}

var rtsp = Dissector{
	Name:  "rtsp",
	Over:  TCP,
	Ports: []uint16{554, 8554},
	Probe: probeRTSP,
	New:   newNamed,
}

var rsync = Dissector{
	Name:  "rsync",
	Over:  TCP,
	Ports: []uint16{873},
	Probe: func(_ Dir, b []byte) Match { return begins(b, "@RSYNCD: ") },
	New:   newNamed,
}

var git = Dissector{
	Name:  "git",
	Over:  TCP,
	Ports: []uint16{9418},
	Probe: probeGit,
	New:   newNamed,
}

var zabbix = Dissector{
	Name:  "zabbix",
	Over:  TCP,
	Ports: []uint16{10050, 10051},
	Probe: func(_ Dir, b []byte) Match { return begins(b, "ZBXD") },
	New:   newNamed,
}

var redis = Dissector{
	Name:  "redis",
	Over:  TCP,
	Ports: []uint16{6379},
	Probe: probeRedis,
	New:   newNamed,
}

var mongodb = Dissector{
	Name:  "mongodb",
	Over:  TCP,
	Ports: []uint16{27017},
	Probe: probeMongoDB,
	New:   newNamed,
}

var elasticsearch = Dissector{
	Name:  "elasticsearch",
	Over:  TCP,
	Ports: []uint16{9300},
	Probe: probeElasticsearch,
	New:   newNamed,
}

func probeBGP(_ Dir, b []byte) Match {
	const marker, header, longest, lastType = 16, 19, 4096, 5
	for _, c := range b[:min(len(b), marker)] {
		if c != 0xff {
			return No
		}
	}
	if len(b) < header {
		return Maybe
	}
	size := binary.BigEndian.Uint16(b[marker:])
	if size < header || size > longest || b[18] == 0 || b[18] > lastType {
		return No
	}
	return Yes
}

// probeTelnet wants three commands in a row that begin or end an option.
func probeTelnet(_ Dir, b []byte) Match {
	const enough = 9
	for i, c := range b[:min(len(b), enough)] {
		switch i % 3 {
		case 0:
			if c != 0xff {
				return No
			}
		case 1:
			if c < 0xfb || c == 0xff {
				return No
			}
		default:
			if c > 50 {
				return No
			}
		}
	}
	switch {
	case len(b) >= enough:
		return Yes
	case len(b) > 0 && len(b)%3 == 0:
		return Weak
	}
	return Maybe
}

func probeMQTT(_ Dir, b []byte) Match {
	if len(b) > 0 && b[0] != 0x10 {
		return No
	}
	at := 1
	for ; at < len(b) && at < 4 && b[at]&0x80 != 0; at++ {
	}
	if at++; at > len(b) {
		return Maybe
	}
	m := begins(b[at:], "\x00\x04MQTT")
	if m == No {
		m = begins(b[at:], "\x00\x06MQIsdp")
	}
	if m == Yes {
		return FromClient
	}
	return m
}

var sipWords = [...]string{"INVITE ", "REGISTER ", "OPTIONS ", "ACK ", "BYE ", "CANCEL ", "SUBSCRIBE ", "NOTIFY ",
	"MESSAGE ", "INFO ", "PRACK ", "UPDATE ", "REFER ", "PUBLISH "}

// probeSIP does not tell who is the client: both ends send requests.
func probeSIP(_ Dir, b []byte) Match {
	if m := begins(b, "SIP/2.0 "); m != No {
		return m
	}
	return lineAfter(b, sipWords[:], " SIP/2.0")
}

var rtspWords = [...]string{"OPTIONS ", "DESCRIBE ", "ANNOUNCE ", "SETUP ", "PLAY ", "PAUSE ", "TEARDOWN ", "RECORD ",
	"GET_PARAMETER ", "SET_PARAMETER "}

func probeRTSP(_ Dir, b []byte) Match {
	if m := begins(b, "RTSP/1.0 "); m != No {
		if m == Yes {
			return FromServer
		}
		return m
	}
	if m := lineAfter(b, rtspWords[:], " RTSP/1.0"); m != Yes {
		return m
	}
	return FromClient
}

var gitServices = [...]string{"git-upload-pack ", "git-receive-pack ", "git-upload-archive "}

func probeGit(_ Dir, b []byte) Match {
	const length = 4
	for _, c := range b[:min(len(b), length)] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return No
		}
	}
	if len(b) <= length {
		return Maybe
	}
	if m := beginsAny(b[length:], gitServices[:]); m != Yes {
		return m
	}
	return FromClient
}

func probeRedis(dir Dir, b []byte) Match {
	if dir == ToClient {
		return No // its answers are too little to know it by
	}
	for _, mark := range [...]byte{'*', '$'} {
		if len(b) == 0 {
			return Maybe
		}
		if b[0] != mark {
			return No
		}
		digits := 1
		for digits < len(b) && digits <= 7 && b[digits] >= '0' && b[digits] <= '9' {
			digits++
		}
		if digits > 7 || digits == 1 && len(b) > 1 {
			return No
		}
		if m := begins(b[digits:], "\r\n"); m != Yes {
			return m
		}
		b = b[digits+2:]
	}
	return FromClient
}

func probeMongoDB(_ Dir, b []byte) Match {
	const header, longest = 16, 48 << 20
	if len(b) > 3 {
		if size := binary.LittleEndian.Uint32(b); size < header+4 || size > longest {
			return No
		}
	}
	if len(b) < header+5 {
		return Maybe
	}
	answered := binary.LittleEndian.Uint32(b[8:])
	if answered == 1<<32-1 { // older clients say of nothing that they answer -1
		answered = 0
	}
	switch binary.LittleEndian.Uint32(b[12:]) {
	case 2013: // OP_MSG: flags, then sections of kind 0 to 2
		if flags := binary.LittleEndian.Uint32(b[header:]); flags&^0x10003 != 0 || b[header+4] > 2 {
			return No
		}
	case 2004: // OP_QUERY: flags, then the name of a collection
		if answered != 0 || binary.LittleEndian.Uint32(b[header:]) > 0xff || b[header+4] < ' ' || b[header+4] > '~' {
			return No
		}
	case 1: // OP_REPLY
		if answered == 0 || binary.LittleEndian.Uint32(b[header:]) > 15 {
			return No
		}
	case 2012: // OP_COMPRESSED: the operation inside
		if op := binary.LittleEndian.Uint32(b[header:]); op != 2013 && op != 2004 && op != 1 {
			return No
		}
	default:
		return No
	}
	if answered == 0 {
		return FromClient
	}
	return FromServer
}

func probeElasticsearch(_ Dir, b []byte) Match {
	if m := begins(b, "ES\x00"); m != Yes {
		if m == No && bytes.HasPrefix(b, []byte("ES\xff\xff\xff\xff")) { // a ping
			return Yes
		}
		if n := min(len(b), 6); string(b[:n]) == "ES\xff\xff\xff\xff"[:n] {
			return Maybe
		}
		return m
	}
	const statusAt, header = 14, 19
	if len(b) > statusAt && b[statusAt] > 15 {
		return No
	}
	if len(b) < header {
		return Maybe
	}
	// 7.17.3 is 7170399, 99 standing for a release.
	if version := binary.BigEndian.Uint32(b[statusAt+1:]); version < 1_000_000 || version > 19_999_999 {
		return No
	}
	if b[statusAt]&1 != 0 {
		return FromServer
	}
	return FromClient
}
