// Package dissect recognises the protocol of a flow from its bytes, and reads
// from them what matters: server names, certificates, mechanisms, dialects.
//
// A protocol is one file with one Dissector, a plain value: its name, how to
// recognise it (Probe) and how to read it (a Parser). All is the only list of
// them. State runs one flow's dissection: it probes until one protocol claims
// the bytes, then feeds its Parser, then stops. Ports only move a candidate
// forward; they never decide, and By records what did.
//
// What a Parser learns becomes facts: a flat list of keys and values, each
// with the frame it was learned at. The keys are the dotted names of the flow
// record; facts.go is the only list of them, and the record, its schema and
// the rules of a diagram all read that list.
//
// Four things are kept apart throughout: short (more bytes may come), gap
// (bytes that will never come, told by the caller), malformed (the sender's
// own lengths or values contradict each other) and not this protocol.
//
// One thing is inferred rather than read: whether a client showed a certificate
// in TLS 1.3, from the sizes of sealed records. tls_auth.go has the method, its
// limits and how often it was wrong; such facts say that they are inferred, and
// with what confidence.
//
// The package imports nothing of this program. It never sees the clock:
// times are those of packets.
package dissect

import "slices"

// Dir is the direction of bytes within a flow.
type Dir uint8

// The two directions. The client opened the flow.
const (
	ToServer Dir = iota // from the client
	ToClient            // from the server
)

// Other is the opposite direction.
func (d Dir) Other() Dir { return d ^ 1 }

// Transport is a set of what carries a protocol.
type Transport uint8

// TCP delivers a stream of bytes in order; UDP and ICMP whole datagrams.
const (
	TCP Transport = 1 << iota
	UDP
	ICMP
)

// Match is what a Probe answers.
type Match uint8

// No rules a protocol out. Maybe asks for more bytes. The others are yes;
// FromClient and FromServer also tell who sent the bytes, which orients a flow
// whose start was not captured. Weak says that the shape fits and that of much
// else would too: it counts as yes where the protocol is usual on the port, and
// as Maybe elsewhere.
const (
	No Match = iota
	Maybe
	Yes
	FromClient
	FromServer
	Weak
)

// Dissector is one protocol.
type Dissector struct {
	Name  string    // as the record's app member says it
	Over  Transport // what carries it
	Ports []uint16  // tried first on these ports, a server's first; never evidence by themselves

	// Probe looks at the first bytes of one direction, from the start of the
	// stream or datagram. It must answer Maybe for every proper prefix of
	// bytes that it would accept, and No to as many first bytes as it can:
	// Set asks once about each byte alone, and never again about what begins
	// with one that was refused.
	Probe func(dir Dir, b []byte) Match

	// Carrier says that the protocol only opens the way for another one: the
	// flow is named after what it carries, where that is recognised.
	Carrier bool

	// Behind says that it may follow upon what another protocol began with, one
	// that is not known: the direction that was given up is then read on.
	Behind bool

	// New makes the Parser of one flow.
	New func(*Context) Parser
}

// holder is a Parser that keeps bytes of messages whose rest has not come, beside
// those that it leaves unconsumed. They count as waiting bytes do: Set bounds
// all of them together.
type holder interface {
	holds() int // bytes
}

// renewable is a Parser that can be made ready for another flow of the same
// run when its own is over. Those of the most frequent protocols are: what they
// take is in the cache already, and nobody has to collect it.
type renewable interface {
	Parser
	renew()
}

// Parser reads one flow. Its methods are called from one goroutine.
type Parser interface {
	// Parse reads b, every byte of dir at hand that has not been consumed,
	// and returns how many it consumed. A count larger than len(b) skips that
	// many bytes of the stream unseen. It is called again when more bytes of
	// dir arrive and something was left over or new bytes came.
	//
	// err is nil or ErrShort when more bytes are wanted, ErrDone when nothing
	// more of this flow needs to be read, ErrHandOver when both directions go
	// on with another protocol behind the bytes consumed, and a *Malformed
	// when the bytes contradict the protocol.
	Parse(dir Dir, b []byte, facts *Facts) (n int, err error)

	// Gap says that n bytes of dir, right behind those consumed and those in
	// held (bytes delivered and not consumed, which will not grow), are lost.
	// It returns how many bytes of the stream to skip from the end of the gap
	// to where Parse can go on, and whether it can. After false, the
	// direction is not read any more.
	Gap(dir Dir, held []byte, n uint64, facts *Facts) (skip uint64, ok bool)

	// Close says that the flow is over: what is still open becomes a fact
	// (a handshake that was not completed).
	Close(facts *Facts)
}

// Context is what the parsers of one run share. It belongs to one goroutine.
type Context struct {
	Fingerprints bool    // compute JA3, JA3S and JA4
	ShowUsers    bool    // tell the names of users
	Tracer       Tracer  // is told every message read; nil as a rule
	Keys         *KeyLog // secrets to decrypt with; nil when there are none

	certificates map[[32]byte]*certificate // read before, by their SHA-256
	inner        *Set                      // for what TLS carries; nil until it is decrypted
	plain        []byte                    // of the record that was opened last
	space        []byte                    // for the packet of QUIC being opened
	sessions     sessionStore              // of TLS up to 1.2
}

// All is every protocol, in the order of preference.
func All() []Dissector {
	return []Dissector{
		tlsDissector, ssh, http, http2, socks, proxy, starttls, smb, rpcTCP, rpc, zmtp, quic, dtls, stun,
		ldap, cldap, kerberosTCP, kerberosUDP, rdp, tds, dcerpc, snmp,
		ntp, dhcp, dhcpv6, nbns, nbdgm, ssdp, wsDiscovery, hsrp, syslog, radius, tftp, ike, wireGuard, openVPN, bittorrentTCP, bittorrentUDP,
		bgp, vnc, telnet, mqtt, amqp, sip, rtsp, rsync, git, zabbix, tacacs, rmcp, netflow, ipfix, sflow,
		redis, mongodb, elasticsearch, kafka, cassandra, memcached, memcachedUDP, thrift, oracle, iscsi,
		dnsTCP, dns, mdns, llmnr, icmp,
	}
}

// Refinements is every name that a Parser gives a flow in place of its
// Dissector's.
func Refinements() []string {
	return []string{"nfs", "mount", "portmap", "smtp", "ftp", "imap", "pop3", "nntp", "sieve", "nats", "irc", "xmpp", "gnutella", "vmware-authd", "mysql", "postgresql"}
}

// Names is every name that a flow's protocol may have: those of the Dissectors
// and the Refinements.
func Names() []string {
	names := Refinements()
	for _, d := range All() {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names
}
