package rules

import "strconv"

// Reason is why a verdict is what it is, or what a concern is about: one of a
// closed list, by its snake_case name.
type Reason uint8

// The reasons. docs/reasons.md is the same list with the same words.
const (
	NoReason Reason = iota

	// No edge joins the ends.
	UnknownHost
	ClientRoleNotDocumented
	ClientRoleNotStated
	PortNotDocumented
	ProtocolNotDocumented
	ReversedDirection
	AgentToAgent
	SameComponent
	UDPOnTCPPort
	TCPOnUDPPort
	PortScan
	UnknownSNI
	UndocumentedCloudName
	SNIAddressMismatch
	EchoClientNotDocumented
	EchoToUndocumentedAddress
	EchoNotDocumented
	NotTheInfrastructure

	// An edge joins them, and what was seen contradicts it.
	NotZMTP
	HTTPOn7780
	TLSOn7780
	SSHOn7780
	ZMTPVersion1
	ZMTPVersion2
	ZMTPMechanismNull
	ZMTPMechanismPlain
	ZMTPMechanismNotCurve
	ZMTPCurveHandshakeFailed
	CleartextCredentials
	PlaintextHTTPOn443
	PlaintextHTTPOn9877
	PlaintextHTTPOn8888
	PlaintextOn9876
	PlaintextOn9877
	PlaintextOn44445
	SSHOn9876
	PlaintextWhereTLSIsRequired
	WrongProtocol
	TLSVersionTooOld
	TLSHandshakeFailed
	MTLSClientCertMissing
	MTLSClientCertEmptyAccepted
	MTLSClientCertEmpty
	MTLSNotRequestedByServer
	RejectedByServer
	RejectedByClient
	JWTInClear
	JWTInURL
	JWTAlgNone
	NoAuthentication
	NFSAuthNone
	SourcePortNotDynamic
	RequirementContradicted

	// An edge joins them, and the connection did not get through.
	SYNUnanswered
	RSTToSYN
	HalfOpen
	SYNACKDroppedBeforeClient
	ClientHelloDropped
	RSTOnClientHello
	EstablishedThenDropped
	IdleConnectionKilled
	ICMPAdminProhibited
	ICMPHostProhibited
	ICMPNetProhibited
	ICMPPortUnreachable
	ICMPHostUnreachable
	ICMPFragmentationNeeded
	ICMPTimeExceeded
	EchoUnanswered
	DatagramUnanswered
	LargeSegmentsLost
	ServerSaidNothing
	ResetByHost
	ResetByDevice
	ServerHeardElsewhere
	ServerNeverHeard

	// What would decide it is not in the capture.
	OneDirectionCaptured
	StartNotCaptured
	CaptureEnded
	BytesMissing
	NothingSaid
	NoSNI
	NoServerName
	SessionResumed
	RequirementNotObserved
	RoleNotKnown
	InboundToDynamicPort

	// Good practice that the diagram does not speak of.
	ServerCertificateExpired
	ServerCertificateNotYetValid
	ServerCertificateSelfSigned
	ServerCertificateNameMismatch
	TLSVersionObsolete
	TLSCipherNull
	TLSCipherAnonymous
	TLSCipherRC4
	TLSCipher3DES
	TLSCipherExport
	TLSCipherCBCSHA1
	TLSCipherNoForwardSecrecy
	SMB1
	SMB2Unsigned
	SMBAnonymous
	SMBGuest
	SMBAuthFailed
	NTLMv1
	ZeroWindow

	reasons
)

// reasonInfo is one reason in words.
type reasonInfo struct {
	name     string
	severity Severity
	explain  string // what it means, one sentence without its full stop
	do       string // what to do next, likewise
}

var reasonTable = [reasons]reasonInfo{
	NoReason: {"none", Info, "no reason applies", "nothing is to be done"},

	UnknownHost: {"unknown_host", Medium, "one end has no role in the diagram",
		"find out what the host is; give it a role in the inventory, or block traffic between the two"},
	ClientRoleNotDocumented: {"client_role_not_documented", Medium, "the server's port is documented, but not for this client's role",
		"allow the port only to the documented clients, or correct the host's role in the inventory"},
	ClientRoleNotStated: {"client_role_not_stated", Medium, "the document does not say who the client is, and the diagram's reading of it does not include this one",
		"ask the vendor whether this client belongs there; if it does, add it to the edge in a diagram file of your own"},
	PortNotDocumented: {"port_not_documented", Medium, "the component does not expose this port in the diagram",
		"find what calls the port, and the service behind it if there is one; stop it, or document it in a diagram file of your own"},
	ProtocolNotDocumented: {"protocol_not_documented", Medium, "the diagram has nothing over this IP protocol between the two",
		"find what sends it, a tunnel or a routing daemon for example; stop it, or document it in a diagram file of your own"},
	ReversedDirection: {"reversed_direction", Medium, "the documented edge runs the other way",
		"find out why the server calls its client, and allow only the documented direction"},
	AgentToAgent: {"agent_to_agent", Medium, "no edge joins two agents",
		"find out what the agents send each other, and block it unless a document names it"},
	SameComponent: {"same_component", Medium, "no edge joins two hosts of the same component",
		"find out what they send each other, and block it unless a document names it"},
	UDPOnTCPPort: {"udp_on_tcp_port", Low, "UDP to a port that is documented for TCP",
		"find the program that sends it; the product's service listens on TCP"},
	TCPOnUDPPort: {"tcp_on_udp_port", Low, "TCP to a port that is documented for UDP",
		"find the program that opens it; the documented service uses UDP"},
	PortScan: {"port_scan", High, "one host tried many ports",
		"find out who runs the scan; an authorised scanner belongs in the inventory with roles: []"},
	UnknownSNI: {"unknown_sni", Medium, "the server name does not belong to the edge",
		"find the program that asks for this name, and let only the documented names through"},
	UndocumentedCloudName: {"undocumented_cloud_name", Low, "a name under the vendor's domains that the edge does not list",
		"ask the vendor whether the name belongs to the edge; if it does, add it in a diagram file of your own"},
	SNIAddressMismatch: {"sni_address_mismatch", High, "a documented name, at an address that DNS did not give for it",
		"check who owns the address: a documented name is a common disguise for other traffic"},
	EchoClientNotDocumented: {"icmp_client_role_not_documented", Low, "echo to the cloud from a component that the document does not name",
		"find out what pings from there; only the documented client chooses a data centre by ping"},
	EchoToUndocumentedAddress: {"icmp_to_undocumented_cloud_address", Low, "echo to an address outside that is not the cloud's",
		"check whose address it is; give it the cloud's role in the inventory if it is"},
	EchoNotDocumented: {"icmp_not_documented", Low, "ICMP that no edge documents between these components",
		"find out what sends it"},
	NotTheInfrastructure: {"not_the_infrastructure_protocol", Medium, "traffic other than the service that the port is for",
		"find the program that uses an infrastructure port for other traffic"},

	NotZMTP: {"not_zmtp", High, "a protocol other than ZMTP where ZMTP belongs",
		"find the program that speaks it, and let only ZMTP clients reach the port"},
	HTTPOn7780: {"http_on_7780", High, "HTTP where ZMTP belongs",
		"find the program that sends HTTP to 7780; the REST API is on 9877"},
	TLSOn7780: {"tls_on_7780", High, "TLS where ZMTP belongs",
		"find the program that sends TLS to 7780; the port protects itself by ZMTP CURVE"},
	SSHOn7780: {"ssh_on_7780", High, "SSH where ZMTP belongs",
		"find the program that uses 7780 for SSH"},
	ZMTPVersion1: {"zmtp_version_1", High, "a ZMTP 1.0 peer: no mechanism at all",
		"update or stop the peer: ZMTP 1.0 has neither authentication nor encryption"},
	ZMTPVersion2: {"zmtp_version_2", High, "a ZMTP 2.0 peer: no mechanism at all",
		"update or stop the peer: ZMTP 2.0 has neither authentication nor encryption"},
	ZMTPMechanismNull: {"zmtp_mechanism_null", High, "both ends settled on NULL: no authentication, no encryption",
		"configure CURVE on both ends; management messages cross in clear"},
	ZMTPMechanismPlain: {"zmtp_mechanism_plain", High, "both ends settled on PLAIN: a password in clear, no encryption",
		"configure CURVE on both ends and change the password that was used"},
	ZMTPMechanismNotCurve: {"zmtp_mechanism_not_curve", High, "the two ends use different mechanisms, and one of them is not CURVE",
		"configure CURVE on both ends"},
	ZMTPCurveHandshakeFailed: {"zmtp_curve_handshake_failed", High, "CURVE was offered, and the handshake never completed",
		"check the server key that the client holds, and that the server accepts the client's key; then that both ends use CURVE"},
	CleartextCredentials: {"cleartext_credentials", High, "a user name and password crossed in clear",
		"change the password and configure CURVE on both ends"},
	PlaintextHTTPOn443: {"plaintext_http_on_443", Medium, "HTTP in clear on 443",
		"find the program that speaks HTTP without TLS to 443; a proxy in between is a common cause"},
	PlaintextHTTPOn9877: {"plaintext_http_on_9877", High, "HTTP in clear on 9877",
		"use https for the REST API and the console, and revoke tokens that crossed"},
	PlaintextHTTPOn8888: {"plaintext_http_on_8888", High, "HTTP in clear on 8888",
		"use https for the gateway's management service"},
	PlaintextOn9876: {"plaintext_on_9876", High, "no TLS on 9876",
		"find the program that speaks it; backup data crosses 9876 only in mutual TLS"},
	PlaintextOn9877: {"plaintext_on_9877", High, "no TLS on 9877",
		"find the program that speaks it; 9877 takes only TLS"},
	PlaintextOn44445: {"plaintext_on_44445", High, "no TLS on 44445",
		"find the program that speaks it; backup data crosses 44445 only in mutual TLS"},
	SSHOn9876: {"ssh_on_9876", High, "SSH where TLS belongs",
		"find the SSH client and server: a tunnel through an open port is a common cause"},
	PlaintextWhereTLSIsRequired: {"plaintext_where_tls_is_required", High, "no TLS where the edge requires it",
		"configure TLS on both ends, or find the program that uses the port for something else"},
	WrongProtocol: {"wrong_protocol", High, "a protocol other than the one the edge requires",
		"find the program that speaks it, and let only the documented service use the port"},
	TLSVersionTooOld: {"tls_version_too_old", High, "an older TLS version than the edge requires",
		"update the older end, and refuse old versions on the server"},
	TLSHandshakeFailed: {"tls_handshake_failed", Medium, "the TLS handshake was aborted with an alert, or not answered in TLS",
		"compare the versions and cipher suites of the two ends; the alert names the cause"},
	MTLSClientCertMissing: {"mtls_client_cert_missing", High, "the client showed no certificate and the server refused",
		"give the client its certificate, by registering it again if necessary"},
	MTLSClientCertEmptyAccepted: {"mtls_client_cert_empty_accepted", High, "the client showed no certificate and the server continued",
		"make the server require a certificate: whoever reaches the port gets past the handshake without one"},
	MTLSClientCertEmpty: {"mtls_client_cert_empty", High, "the client showed no certificate, and how the server reacted was not captured",
		"give the client its certificate, and make the server require one; a capture of both directions up to the end of the connection shows which of them is at fault"},
	MTLSNotRequestedByServer: {"mtls_not_requested_by_server", High, "the server did not ask for a certificate",
		"make the server require a certificate: whoever reaches the port gets past the handshake without one"},
	RejectedByServer: {"rejected_by_server", High, "the server ended the handshake after the client presented its credentials, or none",
		"check the client's certificate or key against what the server trusts"},
	RejectedByClient: {"rejected_by_client", High, "the client ended the handshake after the server presented its credentials",
		"check the server's certificate or key against what the client trusts; inspection by a proxy is a common cause"},
	JWTInClear: {"jwt_in_clear", High, "a token crossed in clear",
		"revoke the token, and use https"},
	JWTInURL: {"jwt_in_url", High, "a token in the request's URL, where logs keep it",
		"revoke the token, and send it in a header or a cookie"},
	JWTAlgNone: {"jwt_alg_none", High, "a token whose header says that it is not signed",
		"find the program that makes such tokens, and check that the server refuses them"},
	NoAuthentication: {"no_authentication", High, "REST requests without a token",
		"find the program that calls the API without a token, and check that the server refuses it"},
	NFSAuthNone: {"nfs_auth_none", Medium, "NFS calls without any credentials",
		"require AUTH_SYS or Kerberos on the export"},
	SourcePortNotDynamic: {"source_port_not_dynamic", Low, "the client's port is outside every dynamic range that holds for it",
		"find the program that picks its own source port; give the host's real range in the inventory if it has another"},
	RequirementContradicted: {"requirement_contradicted", High, "what the edge requires is contradicted by what was seen",
		"compare the edge's requirement with the configuration of both ends"},

	SYNUnanswered: {"syn_unanswered", Medium, "nothing answered the SYN, however often it was sent",
		"look for a firewall that drops the connection, and check that the server is up"},
	RSTToSYN: {"rst_to_syn", Medium, "refused: reset in answer to the SYN",
		"check that the service runs and listens; a firewall that rejects looks the same, unless the reset's TTL differs"},
	HalfOpen: {"half_open", Medium, "SYN and SYN-ACK, and the handshake never completed",
		"look for a device between client and server that drops the client's later packets"},
	SYNACKDroppedBeforeClient: {"syn_ack_dropped_before_client", Medium, "the SYN-ACK was sent, and the client kept repeating its SYN",
		"look for a firewall, or a route back, between the capture point and the client"},
	ClientHelloDropped: {"client_hello_dropped", Medium, "the TCP connection opened, and the client's first bytes were never answered",
		"look for inspection that drops by server name, and for a path that loses large packets (MTU)"},
	RSTOnClientHello: {"rst_on_client_hello", Medium, "reset in answer to the ClientHello",
		"look for inspection that resets by server name; the reset's TTL tells whether the server sent it"},
	EstablishedThenDropped: {"established_then_dropped", Medium, "data flowed, and then the connection was cut or went unanswered",
		"look for a firewall whose rules changed, that lost its state, or that was reloaded at that time"},
	IdleConnectionKilled: {"idle_connection_killed", Low, "after an idle time the connection was cut or its packets were lost",
		"raise the idle timeout of the firewall on the path above the longest silence seen"},
	ICMPAdminProhibited: {"icmp_admin_prohibited", Medium, "a device answered \"administratively prohibited\"",
		"correct the rule on the device that answered"},
	ICMPHostProhibited: {"icmp_host_prohibited", Medium, "a device answered \"host prohibited\"",
		"correct the rule on the device that answered"},
	ICMPNetProhibited: {"icmp_net_prohibited", Medium, "a device answered \"network prohibited\"",
		"correct the rule on the device that answered"},
	ICMPPortUnreachable: {"icmp_port_unreachable", Medium, "the host or a device answered \"port unreachable\"",
		"check that the service runs; over TCP this answer comes from a firewall that rejects"},
	ICMPHostUnreachable: {"icmp_host_unreachable", Medium, "a device answered \"host unreachable\" or \"network unreachable\"",
		"check that the server is up and the routes to it"},
	ICMPFragmentationNeeded: {"icmp_fragmentation_needed", Medium, "packets were too large for the path, and the data was never acknowledged",
		"let ICMP \"fragmentation needed\" through to the sender, or lower the MTU"},
	ICMPTimeExceeded: {"icmp_time_exceeded", Medium, "packets ran out of hops on the way",
		"look for a routing loop"},
	EchoUnanswered: {"echo_unanswered", Low, "echo requests without replies",
		"let ICMP echo and its replies through: the client chooses its data centre by them"},
	DatagramUnanswered: {"datagram_unanswered", Low, "datagrams without any answer",
		"look for a firewall on the path, and check that the service runs"},

	LargeSegmentsLost: {"large_segments_lost", Medium, "large segments are lost while smaller ones after them arrive: the path's MTU, or inspection of their content",
		"let ICMP \"fragmentation needed\" and \"packet too big\" through to the sender, or lower the MTU or MSS on the path; a capture on the other side of each router shows which one drops them"},
	ServerSaidNothing: {"server_said_nothing", Medium, "the server acknowledged the client's first bytes and never sent any data",
		"check the server's log: a process that hangs or closes on its input looks like this, and so does a load balancer with no working server behind it"},
	ResetByHost: {"reset_by_host", Info, "the reset has the TTL of the host's own packets: the host sent it, or a firewall on it",
		"check that the service runs and listens there, and the host's own firewall"},
	ResetByDevice: {"reset_by_device", Medium, "the reset is not like the host's own packets: a device on the path sent it",
		"ask the owner of the firewall between the two for a rule that allows the connection; the difference between the TTLs is its distance from the host in hops"},
	ServerHeardElsewhere: {"server_heard_elsewhere", Info, "the server sent packets in other connections of the same captures: it is up",
		"ask the firewall's owner for a rule from this client to this port; a capture beside the server tells whether the packets arrive there"},
	ServerNeverHeard: {"server_never_heard", Info, "the captures hold nothing that the server sent: packets may be lost on the way there or on the way back",
		"check that the server is up, and capture on its side: if the packets arrive there, the way back is blocked, or was not captured here"},

	OneDirectionCaptured: {"one_direction_captured", Info, "only one direction of the connection is in the capture",
		"capture where both directions pass: asymmetric routing and a one-sided mirror look like this"},
	StartNotCaptured: {"start_not_captured", Info, "the connection began before the capture",
		"capture again while the service restarts: the handshake decides"},
	CaptureEnded: {"capture_ended", Info, "the capture ended before an answer was due",
		"capture for longer"},
	BytesMissing: {"bytes_missing", Info, "bytes that would decide the matter are missing from the capture",
		"capture whole frames (no snap length) and without loss"},
	NothingSaid: {"nothing_said", Info, "the connection was opened, and the side whose data would decide sent none",
		"capture for longer; a health check opens and closes without sending data"},
	NoSNI: {"no_sni", Info, "no server name, though the edge is identified by name",
		"give the address its role in the inventory, or capture DNS as well"},
	NoServerName: {"no_server_name", Info, "nothing gave the server's name, though the edge is identified by name",
		"give the address its role in the inventory, or capture DNS as well"},
	SessionResumed: {"session_resumed", Info, "a resumed session: authentication took place in an earlier handshake",
		"capture while the client restarts: the full handshake decides"},
	RequirementNotObserved: {"requirement_not_observed", Info, "what the edge requires could not be seen",
		"capture the whole start of the connection, or supply the key log"},
	RoleNotKnown: {"role_not_known", Info, "an edge allows this connection if one of the hosts has a role that it may well have, but nothing in the capture shows that it does",
		"give the host its role in the inventory, or capture where its other connections pass"},
	InboundToDynamicPort: {"inbound_to_dynamic_port", Info, "a connection to a component's dynamic port: the document allows this for some services without naming them",
		"find the process that listens on the port, and document it in a diagram file of your own if it belongs to the product"},

	ServerCertificateExpired: {"server_certificate_expired", Medium, "the server's certificate had expired",
		"renew the certificate"},
	ServerCertificateNotYetValid: {"server_certificate_not_yet_valid", Medium, "the server's certificate was not yet valid",
		"check the clocks of the server and of the issuer"},
	ServerCertificateSelfSigned: {"server_certificate_self_signed", Low, "the server's certificate is signed by its own key",
		"use a certificate that clients can check, or make sure that they pin this one"},
	ServerCertificateNameMismatch: {"server_certificate_name_mismatch", Medium, "the certificate does not name the server asked for",
		"use a certificate that names the server as clients call it"},
	TLSVersionObsolete: {"tls_version_obsolete", Medium, "TLS 1.1 or older",
		"update the older end; refuse TLS below 1.2 on the server"},
	TLSCipherNull: {"tls_cipher_null", High, "a cipher suite without encryption",
		"take NULL suites out of the server's list"},
	TLSCipherAnonymous: {"tls_cipher_anonymous", High, "a cipher suite without a server certificate",
		"take anonymous suites out of the server's list"},
	TLSCipherRC4: {"tls_cipher_rc4", Medium, "a cipher suite with RC4",
		"take RC4 out of the server's list"},
	TLSCipher3DES: {"tls_cipher_3des", Medium, "a cipher suite with 3DES, or DES",
		"take DES and 3DES out of the server's list"},
	TLSCipherExport: {"tls_cipher_export", High, "a cipher suite weakened for export",
		"take export suites out of the server's list"},
	TLSCipherCBCSHA1: {"tls_cipher_cbc_sha1", Low, "a cipher suite with CBC and SHA-1",
		"prefer AEAD suites (AES-GCM, ChaCha20-Poly1305)"},
	TLSCipherNoForwardSecrecy: {"tls_cipher_no_forward_secrecy", Low, "a cipher suite without forward secrecy: whoever obtains the server's key can decrypt recorded traffic",
		"prefer ECDHE suites"},
	SMB1:         {"smb1", High, "SMB1 was used", "disable SMB1 on the server"},
	SMB2Unsigned: {"smb2_unsigned", Medium, "a session neither signed nor encrypted", "require signing on the server"},
	SMBAnonymous: {"smb_anonymous", Medium, "an anonymous session", "give the client an account, and refuse anonymous sessions"},
	SMBGuest:     {"smb_guest", Medium, "a guest session", "give the client an account, and disable guest access"},
	SMBAuthFailed: {"smb_auth_failed", Low, "the server refused the client's credentials",
		"correct the account of the backup destination"},
	NTLMv1: {"ntlmv1", High, "NTLMv1 was used", "require NTLMv2 or Kerberos"},
	ZeroWindow: {"zero_window", Low, "one end accepted no data for a second or longer: its window was closed",
		"find out what keeps the program at that end from reading: a slow disk is a common cause; the network is not at fault"},
}

// String is the reason's name, as records and diagrams write it.
func (r Reason) String() string {
	if r >= reasons {
		return "reason(" + strconv.Itoa(int(r)) + ")"
	}
	return reasonTable[r].name
}

// Explain says what the reason means, in one sentence without a full stop.
func (r Reason) Explain() string {
	if r >= reasons {
		return ""
	}
	return reasonTable[r].explain
}

// Blocks says whether r is a way in which a connection did not get through.
func (r Reason) Blocks() bool { return r >= SYNUnanswered && r <= ServerNeverHeard }

// Do says what to do about it, in one sentence without a full stop.
func (r Reason) Do() string {
	if r >= reasons {
		return ""
	}
	return reasonTable[r].do
}

// Severity orders what is reported: how much the reason matters by itself.
func (r Reason) Severity() Severity {
	if r >= reasons {
		return Info
	}
	return reasonTable[r].severity
}

// AllReasons is the closed list, in its order.
func AllReasons() []Reason {
	list := make([]Reason, 0, reasons-1)
	for r := NoReason + 1; r < reasons; r++ {
		list = append(list, r)
	}
	return list
}

// onPort is what was seen ("http", "plaintext") at a port.
type onPort struct {
	what string
	port uint16
}

// portReasons finds the reasons that speak of one port: those whose names end
// in "_on_" and a number.
func portReasons() map[onPort]Reason {
	m := make(map[onPort]Reason)
	for r := NoReason + 1; r < reasons; r++ {
		name := reasonTable[r].name
		for i := 0; i+4 < len(name); i++ {
			if name[i:i+4] != "_on_" {
				continue
			}
			if port, err := strconv.ParseUint(name[i+4:], 10, 16); err == nil {
				m[onPort{name[:i], uint16(port)}] = r
			}
		}
	}
	return m
}
