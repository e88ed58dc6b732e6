package dissect

import "bytes"

// Protocols that turn into TLS on the way: SMTP (RFC 3207), IMAP and POP3 (RFC
// 2595), FTP's control connection (RFC 4217), XMPP (RFC 6120), NNTP (RFC 4642),
// ManageSieve (RFC 5804), NATS, IRC, Gnutella and VMware's authentication
// service, which are text, and the databases PostgreSQL and MySQL (each one's
// protocol manual):
//
//	PostgreSQL  client  00000008 04d2162f    server  "S" for yes
//	            client  length (4)  00030000  name 00 value 00 ...  without TLS
//	MySQL       packets: length (3, least byte first), number (1), content
//	            server  greeting: 0a, version, ...
//	            client  flags (4, with 0x0800 for TLS), packet size (4),
//	                    character set (1), zeros (23)
//
// Of VMware's the greeting becomes a fact, of the others nothing. They are
// passed over, a line or a packet at a time, until a TLS hello stands where the
// next one would begin.

var starttls = Dissector{
	Name:    "starttls",
	Over:    TCP,
	Carrier: true,
	Probe:   probeStartTLS,
	New:     func(*Context) Parser { return &starttlsParser{} },
}

// postgresTLS asks for TLS.
const postgresTLS = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// maxBeforeTLS is how many lines or packets of one direction are passed over.
const maxBeforeTLS = 128

// beginnings are the first bytes by which such a protocol is known.
var beginnings = [...]struct {
	protocol string
	sender   Match
	bytes    string
}{
	{"vmware-authd", FromServer, "220 VMware Authentication Daemon"},
	{"", FromServer, "220 "}, // SMTP or FTP: the rest of the greeting tells, or the client's first word
	{"", FromServer, "220-"},
	{"smtp", FromClient, "EHLO "},
	{"smtp", FromClient, "HELO "},
	{"pop3", FromServer, "+OK "},
	{"imap", FromServer, "* OK "},
	{"imap", FromServer, "* PREAUTH "},
	{"pop3", FromClient, "CAPA\r\n"},
	{"pop3", FromClient, "STLS\r\n"},
	{"nntp", FromClient, "CAPABILITIES"},
	{"nntp", FromClient, "MODE READER"},
	{"sieve", FromServer, `"IMPLEMENTATION" "`},
	{"nats", FromServer, "INFO {"},
	{"nats", FromClient, "CONNECT {"},
	{"irc", FromClient, "NICK "},
	{"irc", FromClient, "CAP LS"},
	{"irc", FromClient, "STARTTLS\r\n"},
	{"gnutella", FromClient, "GNUTELLA CONNECT/"},
	{"xmpp", FromClient, "<stream:stream "},
	{"xmpp", FromClient, "<?xml version="},
	{"postgresql", FromClient, postgresTLS},
	{"postgresql", FromClient, "\x00\x00\x00\x08\x04\xd2\x16\x30"}, // Kerberos in place of TLS
}

func probeStartTLS(dir Dir, b []byte) Match {
	answer := No
	for _, known := range beginnings {
		n := min(len(b), len(known.bytes))
		switch {
		case string(b[:n]) != known.bytes[:n]:
		case n == len(known.bytes):
			return known.sender
		default:
			answer = Maybe
		}
	}
	if answer == No {
		answer = max(probeMySQL(b), probePostgres(b))
	}
	if answer == No && undecided(dir, b) {
		return Maybe
	}
	return answer
}

// undecided says that b may be what a server begins with, and that of others: the
// client decides. An IRC server's greeting, PostgreSQL's yes, a POP3 server's
// greeting without a text, which is Redis's yes, too, and NNTP's.
func undecided(dir Dir, b []byte) bool {
	return dir == ToClient && (len(b) == 0 || b[0] == ':' || b[0] == 'S') ||
		begins(b, "+OK\r\n") != No || begins(b, "200 ") != No || begins(b, "201 ") != No
}

// probePostgres knows the startup message of version 3: pairs of names and
// values, "user" being among them, and zero.
func probePostgres(b []byte) Match {
	const shape = "\x00\x00??\x00\x03\x00\x00" // the length, the version
	for i := range min(len(b), len(shape)) {
		if shape[i] != '?' && shape[i] != b[i] {
			return No
		}
	}
	if len(b) > len(shape) && (b[len(shape)] < 'a' || b[len(shape)] > 'z') {
		return No
	}
	if len(b) <= len(shape) {
		return Maybe
	}
	return FromClient
}

// probeMySQL knows the server's greeting: packet 0, protocol 10, a version.
func probeMySQL(b []byte) Match {
	r := newReader(b)
	length := r.u8("length") | r.u8("length")<<8 | r.u8("length")<<16
	number, protocol := r.u8("number"), r.u8("protocol")
	switch {
	case len(b) > 1 && b[1] > 1 || len(b) > 2 && b[2] != 0 || len(b) > 3 && number != 0 || len(b) > 4 && protocol != 10:
		return No
	case r.err() != nil:
		return Maybe
	case length < 40:
		return No
	}
	// The first of the numbers of the version: 3 to 9 of MySQL, two digits of
	// MariaDB, which said "5.5.5-" ahead of them until its 11th.
	for i, c := range r.rest() {
		switch {
		case c == '.' && i > 0:
			return FromServer
		case c < '0' || c > '9' || i == 0 && c == '0' || i > 1:
			return No
		}
	}
	return Maybe
}

type starttlsParser struct {
	protocol string // "" while it is not known
	cut      bool   // the server's greeting was
	passed   [2]int // lines or packets
}

// Parse passes over lines and packets.
func (p *starttlsParser) Parse(dir Dir, b []byte, facts *Facts) (n int, err error) {
	for n < len(b) {
		switch probeTLS(dir, b[n:]) {
		case Maybe:
			return n, ErrShort
		case FromClient, FromServer:
			facts.Refine("") // the flow is named after what comes
			return n, ErrHandOver
		}
		if p.protocol == "" {
			switch p.protocol = startsAs(dir, b[n:]); {
			case p.protocol == "ftp" && p.cut && dir == ToServer:
				p.protocol = "" // others know a USER, too
			case p.protocol == "vmware-authd":
				line, _, complete := bytes.Cut(b[n:], []byte("\n"))
				if !complete && len(line) < maxTextSize {
					p.protocol = ""
					return n, ErrShort
				}
				authdGreeting(line, facts)
			}
			facts.Refine(p.protocol)
		}
		if p.protocol == "postgresql" && dir == ToServer && probePostgres(b[n:]) != No {
			return n, ErrDone // it goes on without TLS
		}
		size := p.size(dir, b[n:])
		if size == 0 {
			return n, ErrShort
		}
		if n += size; n > len(b) {
			return n, nil // the rest is not looked at
		}
		if p.passed[dir]++; p.passed[dir] > maxBeforeTLS {
			return n, ErrDone
		}
	}
	return n, nil
}

// authdGreeting records what VMware's authentication daemon says of itself:
//
//	220 VMware Authentication Daemon Version 1.10: SSL Required, ServerDaemonProtocol:SOAP, ...
func authdGreeting(line []byte, facts *Facts) {
	line = bytes.TrimRight(line, "\r")
	facts.SetText(AuthdBanner, printable(line[len("220 "):]))
	if bytes.Contains(line, []byte("SSL Required")) {
		facts.SetFlag(AuthdTLS, true)
	}
}

// startsAs names the protocol by what one end begins with.
func startsAs(dir Dir, b []byte) string {
	for _, known := range beginnings {
		if known.protocol != "" && bytes.HasPrefix(b, []byte(known.bytes)) {
			return known.protocol
		}
	}
	switch {
	case dir == ToServer:
	case begins(b, "+OK\r\n") == Yes:
		return "pop3"
	case begins(b, "200 ") == Yes, begins(b, "201 ") == Yes:
		return "nntp"
	}
	if dir == ToClient && bytes.HasPrefix(b, []byte("220")) {
		line, _, complete := bytes.Cut(b, []byte("\n"))
		switch upper := bytes.ToUpper(line); {
		case !complete:
		case bytes.Contains(upper, []byte("SMTP")):
			return "smtp"
		case bytes.Contains(upper, []byte("FTP")):
			return "ftp"
		}
		return ""
	}
	word, _, _ := bytes.Cut(b, []byte(" "))
	switch {
	case probeMySQL(b) == FromServer:
		return "mysql"
	case probePostgres(b) == FromClient:
		return "postgresql"
	case dir == ToServer && (string(word) == "EHLO" || string(word) == "HELO"):
		return "smtp"
	case dir == ToServer && (string(word) == "USER" || string(word) == "AUTH"):
		return "ftp"
	}
	return ""
}

// wouldStartAs names the protocol of which b is the beginning of a beginning, where
// that much of it is no other's.
func wouldStartAs(b []byte) string {
	const enough = len("220 VMware")
	for _, known := range beginnings {
		if len(b) >= enough && len(b) < len(known.bytes) && known.bytes[:len(b)] == string(b) {
			return known.protocol
		}
	}
	return ""
}

// size is the length of what is next, a packet or a line; 0 where it cannot be
// told yet.
func (p *starttlsParser) size(dir Dir, b []byte) int {
	switch p.protocol {
	case "postgresql":
		if dir == ToClient {
			return 1 // its yes
		}
		return 8
	case "mysql":
		r := newReader(b)
		length := r.u8("length") | r.u8("length")<<8 | r.u8("length")<<16
		if r.u8("number"); r.err() != nil {
			return 0
		}
		return r.off + length
	}
	// XMPP ends on a tag rather than on a line.
	return bytes.IndexAny(b, "\n>") + 1
}

// Gap says that what follows cannot be told apart any more. Of a greeting that
// was cut the beginning may be enough for its name.
func (p *starttlsParser) Gap(dir Dir, held []byte, _ uint64, facts *Facts) (skip uint64, ok bool) {
	if p.protocol == "" && len(held) > 0 {
		if p.protocol = startsAs(dir, held); p.protocol == "" {
			p.protocol = wouldStartAs(held)
		}
		facts.Refine(p.protocol)
	}
	p.cut = p.cut || dir == ToClient
	return 0, false
}

// Close has nothing to say.
func (p *starttlsParser) Close(*Facts) {}
