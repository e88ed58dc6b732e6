package dissect

import (
	"encoding/binary"
	"slices"
)

// Key names a fact: a dotted name of the flow record.
type Key uint8

// Kind is the shape of a fact's value in the record.
type Kind uint8

// The shapes of facts.
const (
	Text  Kind = iota // one string
	Flag              // a boolean; of most only true is recorded
	Int               // one number
	Float             // one number with a fraction, kept in millionths
	List              // distinct strings, in the order first seen
	Ints              // distinct numbers, in the order first seen
	Pair              // two counts: [client to server, server to client]
)

// KeyInfo describes a Key.
type KeyInfo struct {
	Name string // dotted name, as in the flow record and in a diagram's require
	Kind Kind
	Doc  string // one line for the schema and the reference
}

// Info describes k.
func (k Key) Info() KeyInfo { return keys[k] }

func (k Key) String() string { return keys[k].Name }

// Values is the closed list of what k can be, nil when it has none, and whether it
// is a version.
func (k Key) Values() (values []string, version bool) {
	switch k {
	case TLSVersion:
		return []string{"1.3", "1.2", "1.1", "1.0", "ssl3", "ssl2", "dtls1.3", "dtls1.2", "dtls1.0"}, true
	case TLSClientCert:
		return []string{"present", "empty", "absent", "unknown"}, false
	case TLSClientCertBasis:
		return []string{"observed", "decrypted", "inferred", "resumed"}, false
	case TLSClientCertSure:
		return []string{"high", "medium"}, false
	case TLSHandshake:
		return []string{"complete", "failed", "incomplete"}, false
	case ZMTPVersion:
		return []string{"1.0", "2.0", "3.0", "3.1"}, true
	case ZMTPMechanism, ZMTPClientMechanism, ZMTPServerMechanism:
		return []string{"NULL", "PLAIN", "CURVE"}, false
	case ZMTPAsServer:
		return []string{"client", "server", "both"}, false
	case ZMTPHandshake:
		return []string{"complete", "rejected", "incomplete"}, false
	case TLSAlertBy, TLSRefused, ZMTPRejectedBy:
		return []string{"client", "server"}, false
	case HTTPToken:
		return []string{"header", "cookie", "url"}, false
	case SMBDialect, NFSVersion:
		return nil, true
	case SMBAuth:
		return []string{"kerberos", "ntlmv1", "ntlmv2", "guest", "anonymous"}, false
	case NFSAuth:
		return []string{"none", "sys", "gss"}, false
	}
	return nil, false
}

// Keys is every fact that a dissector can learn, in the order of the record.
func Keys() []KeyInfo { return keys[:] }

// KeyNamed finds a key by its dotted name.
func KeyNamed(name string) (Key, bool) {
	for k := range keys {
		if keys[k].Name == name {
			return Key(k), true
		}
	}
	return 0, false
}

// The facts, by protocol, in the order in which the record prints them.
const (
	TLSVersion Key = iota
	TLSSNI
	TLSALPN
	TLSALPNSelected
	TLSCipher
	TLSJA3
	TLSJA3S
	TLSJA4
	TLSECH
	TLSResumed
	TLSRenegotiated
	TLSHelloRetry
	TLSCertRequest
	TLSClientCert
	TLSClientCertBasis
	TLSClientCertSure
	TLSClientCertAccepted
	TLSCertSHA256
	TLSCertCN
	TLSCertSAN
	TLSCertIssuer
	TLSCertNotBefore
	TLSCertNotAfter
	TLSCertSelfSigned
	TLSClientCertSHA256
	TLSClientCertCN
	TLSClientCertSAN
	TLSClientCertIssuer
	TLSClientCertNotBefore
	TLSClientCertNotAfter
	TLSAlert
	TLSAlertBy
	TLSHandshake
	TLSRefused
	TLSDecrypted
	TLSClientCertLater

	QUICVersion

	ZMTPVersion
	ZMTPMechanism
	ZMTPClientMechanism
	ZMTPServerMechanism
	ZMTPAsServer
	ZMTPHandshake
	ZMTPRejectedBy
	ZMTPError
	ZMTPSocketType
	ZMTPIdentity
	ZMTPCredentials
	ZMTPMessages
	ZMTPHeartbeats

	HTTPMethod
	HTTPHost
	HTTPHostCut
	HTTPStatus
	HTTPUserAgent
	HTTPServer
	HTTPAPI
	HTTPAuthScheme
	HTTPToken
	HTTPTokenAlg
	HTTPCookie
	HTTPRequests
	HTTPUnauthenticated
	HTTPUpgrade
	HTTPService

	SMBDialect
	SMBDialects
	SMBSMB1
	SMBSMB1Session
	SMBServerName
	SMBSigned
	SMBSigningRequired
	SMBSigningAlgorithm
	SMBEncrypted
	SMBCiphers
	SMBCipher
	SMBCompression
	SMBAuth
	SMBUser
	SMBStatus
	SMBShare
	SMBTreeStatus
	SMBNetBIOSError

	RPCProgram
	RPCMapped
	RPCUnregistered
	RPCError
	RPCTLS
	NFSVersion
	NFSAuth
	NFSGSSService
	NFSExport
	NFSMountStatus

	ISCSIInitiator
	ISCSITarget
	ISCSIDiscovery
	ISCSIAuth
	ISCSIMutual
	ISCSIUser
	ISCSIDigest
	ISCSIHandshake
	ISCSIStatus

	DNSQName
	DNSQType
	DNSAnswer
	DNSRCode
	DNSUpdate

	ICMPType
	ICMPRTT

	SSHClientBanner
	SSHServerBanner

	AuthdBanner
	AuthdTLS
	DCERPCInterface
	KerberosMessage
	KerberosError
	LDAPBind
	RDPSecurity
	SNMPVersion
	TDSEncryption

	keyCount
)

var keys = [keyCount]KeyInfo{
	TLSVersion:             {"tls.version", Text, "negotiated version: 1.3, 1.2, 1.1, 1.0, ssl3, ssl2; over UDP dtls1.3, dtls1.2, dtls1.0"},
	TLSSNI:                 {"tls.sni", Text, "server name that the client asked for (RFC 6066 section 3)"},
	TLSALPN:                {"tls.alpn", List, "application protocols that the client offered (RFC 7301)"},
	TLSALPNSelected:        {"tls.alpn_selected", Text, "application protocol that the server chose, where it is in clear or decrypted"},
	TLSCipher:              {"tls.cipher", Text, "cipher suite chosen, as 0x and four hex digits"},
	TLSJA3:                 {"tls.ja3", Text, "JA3 of the ClientHello"},
	TLSJA3S:                {"tls.ja3s", Text, "JA3S of the ServerHello"},
	TLSJA4:                 {"tls.ja4", Text, "JA4 of the ClientHello"},
	TLSECH:                 {"tls.ech", Flag, "the client offered Encrypted Client Hello, GREASE included"},
	TLSResumed:             {"tls.resumed", Flag, "an earlier session was resumed"},
	TLSRenegotiated:        {"tls.renegotiated", Flag, "another handshake began within a sealed connection, up to TLS 1.2, before the server's first answer"},
	TLSHelloRetry:          {"tls.hello_retry", Flag, "the server asked for a second ClientHello (RFC 8446 section 4.1.4)"},
	TLSCertRequest:         {"tls.cert_request", Flag, "the server asked for a client certificate, where that is in clear or decrypted"},
	TLSClientCert:          {"tls.client_cert", Text, "client certificate: present, empty, absent or unknown"},
	TLSClientCertBasis:     {"tls.client_cert_basis", Text, "how client_cert is known: observed, decrypted, inferred or resumed"},
	TLSClientCertAccepted:  {"tls.client_cert_accepted", Flag, "the server was seen to go on behind an empty client certificate"},
	TLSClientCertSure:      {"tls.client_cert_confidence", Text, "how sure an inferred or resumed client_cert is: high or medium"},
	TLSCertSHA256:          {"tls.cert_sha256", Text, "SHA-256 of the server's certificate, in hex"},
	TLSCertCN:              {"tls.cert_cn", Text, "common name of the server's certificate"},
	TLSCertSAN:             {"tls.cert_san", List, "subject alternative names of the server's certificate"},
	TLSCertIssuer:          {"tls.cert_issuer", Text, "issuer of the server's certificate"},
	TLSCertNotBefore:       {"tls.cert_not_before", Text, "start of the server certificate's validity, RFC 3339"},
	TLSCertNotAfter:        {"tls.cert_not_after", Text, "end of the server certificate's validity, RFC 3339"},
	TLSCertSelfSigned:      {"tls.cert_self_signed", Flag, "the server's certificate is signed by its own key"},
	TLSClientCertSHA256:    {"tls.client_cert_sha256", Text, "SHA-256 of the client's certificate, in hex"},
	TLSClientCertCN:        {"tls.client_cert_cn", Text, "common name of the client's certificate"},
	TLSClientCertSAN:       {"tls.client_cert_san", List, "subject alternative names of the client's certificate"},
	TLSClientCertIssuer:    {"tls.client_cert_issuer", Text, "issuer of the client's certificate"},
	TLSClientCertNotBefore: {"tls.client_cert_not_before", Text, "start of the client certificate's validity, RFC 3339"},
	TLSClientCertNotAfter:  {"tls.client_cert_not_after", Text, "end of the client certificate's validity, RFC 3339"},
	TLSAlert:               {"tls.alert", Text, "first fatal alert that can be read, by its name in RFC 8446 section 6"},
	TLSAlertBy:             {"tls.alert_by", Text, "who sent that alert: client or server"},
	TLSHandshake:           {"tls.handshake", Text, "complete, failed or incomplete"},
	TLSRefused:             {"tls.refused", Text, "the end that broke off right behind the client's part of the handshake, seen from record sizes: client or server"},
	TLSClientCertLater:     {"tls.client_cert_later", Text, "client certificate that the server asked for behind a handshake of TLS 1.3, decrypted: present or empty"},
	TLSDecrypted:           {"tls.decrypted", Text, "how far the secrets of a key log opened the connection: yes, partly or no; absent without secrets of it"},

	QUICVersion: {"quic.version", Text, "version spoken, as 0x and eight hex digits: 0x00000001 is QUIC 1 (RFC 9000), 0x6b3343cf QUIC 2, 0xff0000.. a draft, 0x51...... one of gQUIC"},

	ZMTPVersion:         {"zmtp.version", Text, "protocol version agreed: 1.0, 2.0, 3.0 or 3.1"},
	ZMTPMechanism:       {"zmtp.mechanism", Text, "security mechanism that both ends named: NULL, PLAIN or CURVE"},
	ZMTPClientMechanism: {"zmtp.client_mechanism", Text, "mechanism in the client's greeting"},
	ZMTPServerMechanism: {"zmtp.server_mechanism", Text, "mechanism in the server's greeting"},
	ZMTPAsServer:        {"zmtp.as_server", Text, "the ends whose greeting says as-server: client, server or both"},
	ZMTPHandshake:       {"zmtp.handshake", Text, "complete, rejected or incomplete"},
	ZMTPRejectedBy:      {"zmtp.rejected_by", Text, "who ended the handshake: client or server"},
	ZMTPError:           {"zmtp.error", Text, "reason in an ERROR command"},
	ZMTPSocketType:      {"zmtp.socket_type", List, "Socket-Type of READY, where it is in clear: the client's, then the server's"},
	ZMTPIdentity:        {"zmtp.identity", Text, "Identity of READY, where it is in clear"},
	ZMTPCredentials:     {"zmtp.credentials", Flag, "a user name and password crossed in clear (PLAIN); they are not kept"},
	ZMTPMessages:        {"zmtp.messages", Pair, "messages; inside CURVE heartbeats look like messages and count as such"},
	ZMTPHeartbeats:      {"zmtp.heartbeats", Pair, "PING and PONG commands"},

	HTTPMethod:          {"http.method", List, "request methods"},
	HTTPHost:            {"http.host", List, "Host headers"},
	HTTPStatus:          {"http.status", Ints, "status codes"},
	HTTPUserAgent:       {"http.user_agent", List, "User-Agent headers"},
	HTTPServer:          {"http.server", List, "Server headers"},
	HTTPAPI:             {"http.api", List, "known interfaces that are spoken over it: s3"},
	HTTPAuthScheme:      {"http.auth_scheme", List, "schemes of Authorization headers, never their values"},
	HTTPToken:           {"http.token", List, "where a JWT was: header, cookie or url"},
	HTTPTokenAlg:        {"http.token_alg", List, "alg of the JWTs' headers"},
	HTTPCookie:          {"http.cookie", Flag, "a request had a Cookie header"},
	HTTPRequests:        {"http.requests", Int, "requests"},
	HTTPUnauthenticated: {"http.unauthenticated", Int, "requests with neither a token, a cookie nor an Authorization header that were answered with success; pages and what begins a session left out"},
	HTTPUpgrade:         {"http.upgrade", List, "protocols that connections or streams went on with: websocket, h2c"},
	HTTPHostCut:         {"http.host_cut", Flag, "the capture cut the first Host header: http.host is the beginning of one"},
	HTTPService:         {"http.service", List, "what answers, by paths and headers: vsphere, winrm, elasticsearch"},

	SMBDialect:          {"smb.dialect", Text, "dialect that the server chose: 2.0.2, 2.1, 3.0, 3.0.2, 3.1.1, or an SMB1 name"},
	SMBDialects:         {"smb.dialects", List, "dialects that the client offered; 2.??? is any of SMB2, left to a second negotiate"},
	SMBSMB1:             {"smb.smb1", Flag, "messages of SMB1 were seen, be it only a negotiate that offered SMB2 as well"},
	SMBSMB1Session:      {"smb.smb1_session", Flag, "SMB1 was spoken beyond a negotiate: the server chose it, or more of it followed"},
	SMBServerName:       {"smb.server_name", Text, "name by which the client called the server, in the negotiation of 3.1.1"},
	SMBSigned:           {"smb.signed", Flag, "messages after session setup are signed"},
	SMBSigningRequired:  {"smb.signing_required", Text, "the ends that require signing: client, server or both"},
	SMBSigningAlgorithm: {"smb.signing_algorithm", Text, "signing algorithm that the server named: hmac-sha256, aes-cmac or aes-gmac"},
	SMBEncrypted:        {"smb.encrypted", Flag, "messages are encrypted"},
	SMBCiphers:          {"smb.ciphers", List, "ciphers that the client offered"},
	SMBCipher:           {"smb.cipher", Text, "cipher agreed, for what will be encrypted: aes-128-ccm, aes-128-gcm, aes-256-ccm or aes-256-gcm"},
	SMBCompression:      {"smb.compression", List, "compression algorithms that the server chose"},
	SMBAuth:             {"smb.auth", Text, "kerberos, ntlmv1, ntlmv2, guest or anonymous"},
	SMBUser:             {"smb.user", List, "who the client said to be, as DOMAIN\\user; only where it was asked for"},
	SMBStatus:           {"smb.status", Text, "final status of session setup, where it is not success"},
	SMBShare:            {"smb.share", List, "shares that the client connected to, or tried to"},
	SMBTreeStatus:       {"smb.tree_status", Text, "status of a refused connection to a share"},
	SMBNetBIOSError:     {"smb.netbios_error", Text, "why the NetBIOS session service refused the session"},

	RPCProgram:      {"rpc.program", List, "ONC RPC programs called, as program/version"},
	RPCMapped:       {"rpc.mapped", List, "where the port mapper said that programs listen, as program/version tcp/port"},
	RPCUnregistered: {"rpc.unregistered", List, "programs that the port mapper did not know, as program/version tcp"},
	RPCError:        {"rpc.error", List, "why calls were refused, by the names of RFC 5531: auth_tooweak, prog_unavail ..."},
	RPCTLS:          {"rpc.tls", Flag, "the server agreed to go on under TLS (RFC 9289); false: it was asked and did not"},
	NFSVersion:      {"nfs.version", List, "NFS versions"},
	NFSAuth:         {"nfs.auth", List, "credential flavours of the calls that do something: none, sys, gss"},
	NFSGSSService:   {"nfs.gss_service", List, "what RPCSEC_GSS protects: authentication, integrity or privacy"},
	NFSExport:       {"nfs.export", List, "paths that the client asked MOUNT for"},
	NFSMountStatus:  {"nfs.mount_status", Text, "why MOUNT refused: access, noent ..."},

	ISCSIInitiator: {"iscsi.initiator", Text, "name of the initiator"},
	ISCSITarget:    {"iscsi.target", Text, "name of the target asked for"},
	ISCSIDiscovery: {"iscsi.discovery", Flag, "the session only asks which targets there are"},
	ISCSIAuth:      {"iscsi.auth", Text, "authentication that the target chose: chap, none, kerberos, srp, reject or other"},
	ISCSIMutual:    {"iscsi.mutual", Flag, "the initiator challenged the target as well"},
	ISCSIUser:      {"iscsi.user", List, "who the initiator said to be; only where it was asked for"},
	ISCSIDigest:    {"iscsi.digest", List, "what is protected by checksums: header, data"},
	ISCSIHandshake: {"iscsi.handshake", Text, "complete, failed or incomplete"},
	ISCSIStatus:    {"iscsi.status", Text, "why the login failed"},

	DNSQName:  {"dns.qname", List, "names asked for"},
	DNSQType:  {"dns.qtype", List, "types asked for"},
	DNSAnswer: {"dns.answer", List, "A and AAAA addresses answered, additional ones included"},
	DNSRCode:  {"dns.rcode", List, "response codes"},
	DNSUpdate: {"dns.update", Flag, "a dynamic update (RFC 2136): qname is the zone, answer what a client registers"},

	ICMPType: {"icmp.type", List, "type/code of both directions"},
	ICMPRTT:  {"icmp.rtt_ms", Float, "least time from an echo request to its reply, milliseconds"},

	SSHClientBanner: {"ssh.client_banner", Text, "the client's identification string (RFC 4253 section 4.2)"},
	SSHServerBanner: {"ssh.server_banner", Text, "the server's identification string"},

	AuthdBanner:     {"authd.banner", Text, "greeting of VMware's authentication daemon"},
	AuthdTLS:        {"authd.tls_required", Flag, "that greeting says that TLS is required"},
	DCERPCInterface: {"dcerpc.interface", List, "interfaces that the client bound to, by name or UUID"},
	KerberosMessage: {"kerberos.message", List, "kinds of messages: AS-REQ, TGS-REP, KRB-ERROR, ..."},
	KerberosError:   {"kerberos.error", Ints, "codes of errors (RFC 4120 section 7.5.9)"},
	LDAPBind:        {"ldap.bind", List, "how clients authenticated: anonymous, simple (a password in clear), or a SASL mechanism"},
	RDPSecurity:     {"rdp.security", Text, "what the server chose: rdp (its own encryption), tls, credssp, rdstls, or refused"},
	SNMPVersion:     {"snmp.version", List, "versions: 1, 2c or 3"},
	TDSEncryption:   {"tds.encryption", Text, "what the server says of encryption: on, required, login (of the login alone) or unsupported"},
}

// Fact is one value learned, with the frame it was learned at. It is kept small:
// a flow has up to a few dozen, and a capture has many flows.
type Fact struct {
	Str   string  // Text; one element of List
	Num   int64   // Int, Ints, Float (millionths); Flag: 1 is true; Pair: see Pair
	frame [7]byte // the number that Facts.Frame was, little-endian
	Key   Key
}

// Frame is what Facts.Frame was when the value was learned.
func (x *Fact) Frame() uint64 {
	return uint64(binary.LittleEndian.Uint32(x.frame[:4])) | uint64(binary.LittleEndian.Uint32(x.frame[3:]))<<24
}

func (x *Fact) setFrame(n uint64) {
	binary.LittleEndian.PutUint32(x.frame[:4], uint32(n))
	binary.LittleEndian.PutUint32(x.frame[3:], uint32(n>>24))
}

// Pair is the two counts of a Pair: client to server, server to client. Each
// stops at 2^32-1.
func (x *Fact) Pair() [2]int64 {
	return [2]int64{int64(uint32(x.Num)), int64(uint64(x.Num) >> 32)}
}

const (
	usualFacts  = 8   // that most flows have at most; some grow beyond, and their space is used again
	maxListed   = 256 // distinct values kept of one List or Ints
	maxTextSize = 512 // bytes kept of one value from the wire
)

// Facts is what has been learned of one flow. The zero value is ready for use.
type Facts struct {
	// Frame and Now are set before bytes are delivered: the frame they came
	// in, a number below 2^56 that means nothing to this package, and its
	// time in nanoseconds.
	Frame uint64
	Now   int64

	// Midway is set before the first bytes of a connection are delivered whose
	// opening the capture lacks: they need not be what an end began with.
	Midway bool

	list    []Fact
	present [(keyCount + 63) / 64]uint64 // one bit for each key that is in list
	refined string
	trace   *trace // nil unless somebody looks on
}

// knows says whether k is in the list: most questions are about what is not.
func (f *Facts) knows(k Key) bool { return f.present[k/64]>>(k%64)&1 != 0 }

// Refine names what the flow speaks more precisely than its Dissector does:
// "nfs" for a program of ONC RPC. The record's app member says it.
func (f *Facts) Refine(protocol string) { f.refined = protocol }

// Clone returns a copy, which stays when f becomes those of another flow.
func (f *Facts) Clone() *Facts {
	c := *f
	c.list = slices.Clone(f.list)
	return &c
}

// CopyTo makes other a copy, in the space that it had.
func (f *Facts) CopyTo(other *Facts) {
	list := append(other.list[:0], f.list...)
	*other = *f
	other.list, other.trace = list, nil
}

// All is every fact in the order in which they were learned. List and Ints
// have one entry for each distinct value.
func (f *Facts) All() []Fact { return f.list }

// Get returns the first fact with key k.
func (f *Facts) Get(k Key) (Fact, bool) {
	if !f.knows(k) {
		return Fact{}, false
	}
	for i := range f.list {
		if f.list[i].Key == k {
			return f.list[i], true
		}
	}
	return Fact{}, false
}

// Text returns the value of a Text fact, or the first of a List; "" when it is
// not known.
func (f *Facts) Text(k Key) string {
	if !f.knows(k) {
		return ""
	}
	for i := range f.list {
		if f.list[i].Key == k {
			return f.list[i].Str
		}
	}
	return ""
}

// Has says whether k is known and, for a Flag, true.
func (f *Facts) Has(k Key) bool {
	v, ok := f.Get(k)
	return ok && (keys[k].Kind != Flag || v.Num != 0)
}

// at returns the entry of k, made when there is none.
func (f *Facts) at(k Key) *Fact {
	if f.knows(k) {
		for i := range f.list {
			if f.list[i].Key == k {
				return &f.list[i]
			}
		}
	}
	f.add(Fact{Key: k})
	return &f.list[len(f.list)-1]
}

// add appends a fact.
func (f *Facts) add(x Fact) {
	if f.list == nil {
		f.list = make([]Fact, 0, usualFacts)
	}
	x.setFrame(f.Frame)
	f.list = append(f.list, x)
	f.present[x.Key/64] |= 1 << (x.Key % 64)
}

// drop forgets k.
func (f *Facts) drop(k Key) {
	f.list = slices.DeleteFunc(f.list, func(x Fact) bool { return x.Key == k })
	f.present[k/64] &^= 1 << (k % 64)
}

// SetText records v for k, over what was there. v is kept: the caller copies
// what aliases a packet.
func (f *Facts) SetText(k Key, v string) {
	x := f.at(k)
	x.Str = clip(v)
	x.setFrame(f.Frame)
}

// SetFlag records k.
func (f *Facts) SetFlag(k Key, v bool) {
	x := f.at(k)
	x.setFrame(f.Frame)
	x.Num = 0
	if v {
		x.Num = 1
	}
}

// SetNum records v for k, an Int or a Float (in millionths).
func (f *Facts) SetNum(k Key, v int64) {
	x := f.at(k)
	x.Num = v
	x.setFrame(f.Frame)
}

// Count adds n to k, an Int.
func (f *Facts) Count(k Key, n int64) { f.at(k).Num += n }

// CountPair adds n to the half of k, a Pair, that belongs to dir.
func (f *Facts) CountPair(k Key, dir Dir, n int64) {
	x := f.at(k)
	halves := x.Pair()
	halves[dir] = min(halves[dir]+n, 1<<32-1)
	x.Num = halves[0] | halves[1]<<32
}

// Add adds v to k, a List, unless it is there or the list is full. The bytes
// are copied when they are kept.
func (f *Facts) Add(k Key, v []byte) {
	if len(v) > maxTextSize {
		v = v[:maxTextSize]
	}
	n := 0
	for i := range f.list {
		if f.list[i].Key == k {
			if f.list[i].Str == string(v) {
				return
			}
			n++
		}
	}
	if n < maxListed {
		f.add(Fact{Key: k, Str: string(v)})
	}
}

// AddDistinct adds strings that are distinct among themselves to k, a List.
func (f *Facts) AddDistinct(k Key, list []string) {
	if f.knows(k) {
		for _, v := range list {
			f.AddText(k, v)
		}
		return
	}
	for _, v := range list[:min(len(list), maxListed)] {
		f.add(Fact{Key: k, Str: clip(v)})
	}
}

// AddText is Add for a string that is kept as it is.
func (f *Facts) AddText(k Key, v string) {
	v = clip(v)
	n := 0
	for i := range f.list {
		if f.list[i].Key == k {
			if f.list[i].Str == v {
				return
			}
			n++
		}
	}
	if n < maxListed {
		f.add(Fact{Key: k, Str: v})
	}
}

// AddNum adds v to k, an Ints, unless it is there or the list is full.
func (f *Facts) AddNum(k Key, v int64) {
	n := 0
	for i := range f.list {
		if f.list[i].Key == k {
			if f.list[i].Num == v {
				return
			}
			n++
		}
	}
	if n < maxListed {
		f.add(Fact{Key: k, Num: v})
	}
}

func clip(s string) string {
	if len(s) > maxTextSize {
		return s[:maxTextSize]
	}
	return s
}
