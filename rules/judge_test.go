package rules

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// The hosts of the tests, by the roles that they have in the built-in diagram.
var (
	tMS     = netip.MustParseAddr("10.1.0.1")
	tSN     = netip.MustParseAddr("10.1.0.2")
	tCat    = netip.MustParseAddr("10.1.0.3")
	tBG     = netip.MustParseAddr("10.1.0.4")
	tFS     = netip.MustParseAddr("10.1.0.5")
	tDNS    = netip.MustParseAddr("10.1.0.6")
	tAdmin  = netip.MustParseAddr("10.1.0.7")
	tRogue  = netip.MustParseAddr("10.1.0.9")
	tAgent1 = netip.MustParseAddr("10.1.0.21")
	tAgent2 = netip.MustParseAddr("10.1.0.22")
	tAgent3 = netip.MustParseAddr("10.1.0.23")
	tCloud  = netip.MustParseAddr("203.0.113.10")
	tOther  = netip.MustParseAddr("203.0.113.99")
)

const tInventory = `version: 1
hosts:
  - {address: 10.1.0.1, name: ms, roles: [management-server]}
  - {address: 10.1.0.2, name: sn, roles: [storage-node]}
  - {address: 10.1.0.3, name: cat, roles: [catalog]}
  - {address: 10.1.0.4, name: bg, roles: [backup-gateway], dynamic_ports: 49152-65535}
  - {address: 10.1.0.5, name: fs, roles: [file-service]}
  - {address: 10.1.0.7, name: admin, roles: [console]}
  - {address: 10.1.0.9, name: rogue, roles: []}
  - {address: [10.1.0.21, 10.1.0.22, 10.1.0.23], roles: [agent]}
  - {address: 203.0.113.10, roles: [cloud]}
  - {address: 203.0.113.99, roles: []}
`

// tStart is when the flows of the tests begin.
var tStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// flow is a connection of the tests: opened, answered, closed, with what its
// options say.
func flow(client netip.Addr, server netip.Addr, port uint16, options ...func(*flows.Flow)) *flows.Flow {
	f := &flows.Flow{
		Frame: pcaps.MakeFrameID(0, 10), Start: tStart, End: tStart + int64(time.Second), Proto: flows.ProtoTCP,
		Client: netip.AddrPortFrom(client, 50000), Server: netip.AddrPortFrom(server, port),
		Packets: flows.Pair{6, 5}, Bytes: flows.Pair{900, 900}, Payload: flows.Pair{400, 400},
		TCP: flows.TCP{
			State: flows.StateSF, History: "ShADadFf", SYNs: 1, SYNACKs: 1, Acked: true,
			SYNACKFrame: pcaps.MakeFrameID(0, 11),
			DataFrame:   [2]pcaps.FrameID{pcaps.MakeFrameID(0, 13), pcaps.MakeFrameID(0, 14)},
			AckedData:   [2]bool{true, true},
		},
		Ended: flows.Closed,
		Facts: &dissect.Facts{Frame: uint64(pcaps.MakeFrameID(0, 15))},
	}
	for _, o := range options {
		o(f)
	}
	// All frames are the flow's own.
	nth := func(frame pcaps.FrameID) uint32 { return uint32(frame.Number()) - uint32(f.Frame.Number()) + 1 }
	t := &f.TCP
	for d := range 2 {
		t.DataNth[d], t.StalledNth[d] = nth(t.DataFrame[d]), nth(t.StalledFrame[d])
	}
	t.LongestIdleNth, t.ResetNth = nth(t.LongestIdleFrame), nth(t.ResetFrame)
	return f
}

// speaks gives a flow its protocol and facts: "tls.sni=x", "tls.resumed" for a
// flag.
func speaks(app string, facts ...string) func(*flows.Flow) {
	return func(f *flows.Flow) {
		f.App = app
		for _, fact := range facts {
			name, value, _ := strings.Cut(fact, "=")
			k, ok := dissect.KeyNamed(name)
			if !ok {
				panic("no fact " + name)
			}
			switch k.Info().Kind {
			case dissect.Flag:
				f.Facts.SetFlag(k, value != "false")
			case dissect.List:
				f.Facts.Add(k, []byte(value))
			case dissect.Int:
				f.Facts.SetNum(k, int64(len(value)))
			default:
				f.Facts.SetText(k, value)
			}
		}
	}
}

// said has both ends send so many bytes.
func said(client, server uint64) func(*flows.Flow) {
	return func(f *flows.Flow) { f.Payload = flows.Pair{client, server} }
}

// repliesAlone is a flow of which the server's direction was captured.
func repliesAlone(f *flows.Flow) {
	f.Packets[0], f.Bytes[0], f.Payload[0] = 0, 0, 0
	f.TCP.DataFrame[0] = 0
}

func tls(facts ...string) func(*flows.Flow) {
	return speaks("tls", append([]string{"tls.version=1.3", "tls.cipher=0x1301", "tls.handshake=complete"}, facts...)...)
}

func mutual(facts ...string) func(*flows.Flow) {
	return tls(append([]string{"tls.client_cert=present"}, facts...)...)
}

func curve(f *flows.Flow) {
	speaks("zmtp", "zmtp.version=3.1", "zmtp.client_mechanism=CURVE", "zmtp.server_mechanism=CURVE", "zmtp.mechanism=CURVE", "zmtp.handshake=complete")(f)
}

func udp(f *flows.Flow) {
	f.Proto, f.TCP = flows.ProtoUDP, flows.TCP{}
}

func echo(f *flows.Flow) {
	f.Proto, f.TCP, f.App = flows.ProtoICMP, flows.TCP{}, "icmp"
	f.Client, f.Server = netip.AddrPortFrom(f.Client.Addr(), 0), netip.AddrPortFrom(f.Server.Addr(), 0)
	f.Facts.Add(dissect.ICMPType, []byte("8/0"))
}

// unanswered takes everything that the server sent from a flow.
func unanswered(f *flows.Flow) {
	f.Packets[1], f.Bytes[1], f.Payload[1] = 0, 0, 0
	if f.Proto == flows.ProtoTCP {
		f.Payload[0] = 0
		f.TCP = flows.TCP{State: flows.StateS0, History: "S", SYNs: 4}
		f.Ended = flows.CaptureEnd
	}
}

func refused(f *flows.Flow) {
	unanswered(f)
	f.Packets[1] = 1
	f.TCP = flows.TCP{State: flows.StateREJ, History: "Sr", SYNs: 1, ResetBy: flows.ResetByServer, ResetFrame: pcaps.MakeFrameID(0, 11)}
	f.Ended = flows.Reset
}

// brokeOff is a client's look whether a port answers: SYN, SYN-ACK, RST.
func brokeOff(f *flows.Flow) {
	f.Packets, f.Payload = flows.Pair{2, 1}, flows.Pair{}
	f.TCP = flows.TCP{State: flows.StateRSTO, History: "ShR", SYNs: 1, SYNACKs: 1, SYNACKFrame: pcaps.MakeFrameID(0, 11),
		ResetBy: flows.ResetByClient, ResetTTL: 64, ResetFrame: pcaps.MakeFrameID(0, 12)}
	f.Ended = flows.Reset
}

func icmpError(kind, code uint8) func(*flows.Flow) {
	return func(f *flows.Flow) {
		f.ICMP = append(f.ICMP, flows.ICMPError{Type: kind, Code: code, From: tMS, Frame: pcaps.MakeFrameID(0, 12)})
	}
}

func with(change func(f *flows.Flow)) func(*flows.Flow) { return change }

// midway is a flow that began before the capture.
func midway(f *flows.Flow) { f.Dissect.Late, f.TCP.SYNs, f.TCP.SYNACKs = true, 0, 0 }

func undecided(f *flows.Flow) { f.Dissect.Undecided = true }

func unseenEnd(f *flows.Flow) { f.TCP.Unseen[0] = true }

func lossy(f *flows.Flow) { f.Dissect.Lost = true }

func from(port uint16) func(*flows.Flow) {
	return func(f *flows.Flow) { f.Client = netip.AddrPortFrom(f.Client.Addr(), port) }
}

// testPolicy is the built-in diagram with an inventory, "" for none.
func testPolicy(t testing.TB, inventory string) *Policy {
	t.Helper()
	d, ok := Builtin(DefaultDiagram)
	if !ok {
		t.Fatal("the built-in diagram is missing")
	}
	var inv *Inventory
	if inventory != "" {
		var err error
		if inv, err = ParseInventory("hosts.yaml", []byte(inventory), d); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Compile(d, inv)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dnsSays is an answer of the site's resolver.
func dnsSays(name, addr string) *flows.Flow {
	return flow(tAgent1, tDNS, 53, udp, speaks("dns", "dns.qname="+name, "dns.answer="+addr))
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name string
		flow *flows.Flow
		kind Kind
		edge string // "" where it does not matter
		why  string // the reasons, in their order
	}{
		// Documented
		{"messages", flow(tAgent1, tMS, 7780, curve), Documented, "agent-messages", ""},
		{"messages of the storage node", flow(tSN, tMS, 7780, curve), Documented, "storage-node-messages", ""},
		{"rest of an agent", flow(tAgent1, tMS, 9877, tls()), Documented, "agent-rest", ""},
		{"rest of the console", flow(tAdmin, tMS, 9877, tls()), Documented, "console-rest", ""},
		{"token in a header, decrypted", flow(tAdmin, tMS, 9877, tls("http.token=header", "http.requests=1")), Documented, "console-rest", ""},
		{"backup", flow(tAgent1, tSN, 9876, mutual()), Documented, "agent-backup", ""},
		{"index", flow(tCat, tSN, 9876, mutual()), Documented, "catalog-index", ""},
		{"gateway", flow(tAgent1, tBG, 44445, mutual()), Documented, "gateway-backup", ""},
		{"search", flow(tMS, tCat, 9200, speaks("http")), Documented, "catalog-search", ""},
		{"smb", flow(tAgent1, tFS, 445, speaks("smb")), Documented, "agent-smb", ""},
		{"nfs from a port below 1024", flow(tAgent1, tFS, 2049, from(800), speaks("nfs", "nfs.auth=sys")), Documented, "agent-nfs", ""},
		{"mount at the port of another service", flow(tAgent1, tFS, 44445, from(801), speaks("mount", "rpc.program=100005/3")), Documented, "agent-nfs", ""},
		{"mount, cut before the program", flow(tAgent1, tFS, 20048, from(801), lossy), Indeterminate, "agent-nfs", "bytes_missing"},
		{"mount, replies alone", flow(tAgent1, tFS, 20048, from(801), repliesAlone), Indeterminate, "agent-nfs", "one_direction_captured"},
		{"something cut, from a dynamic port", flow(tAgent1, tFS, 20048, lossy), Undocumented, "", "port_not_documented"},
		{"something else from a port below 1024", flow(tAgent1, tFS, 20048, from(801)), Undocumented, "", "port_not_documented"},
		{"mount where the port mapper placed it", flow(tAgent1, tFS, 20048, from(801), speaks("rpc", "rpc.program=100005/3")), Documented, "agent-nfs", ""},
		{"cloud", flow(tAgent1, tCloud, 443, tls("tls.sni=cloud.acronis.com")), Documented, "agent-cloud", ""},
		{"cloud backup", flow(tAgent1, tCloud, 44445, mutual("tls.sni=eu2-cloud.acronis.com")), Documented, "cloud-backup", ""},
		{"updates", flow(tMS, tCloud, 80, speaks("http", "http.host=dl.acronis.com")), Documented, "updates-http", ""},
		{"ping", flow(tAgent1, tCloud, 0, echo), Documented, "data-centre-ping", ""},
		{"linux source port", flow(tAgent1, tMS, 9877, from(40000), tls()), Documented, "", ""},
		{"requests cannot be seen inside TLS", flow(tAgent1, tMS, 9877, tls()), Documented, "", ""},
		{"decrypted, token in a header", flow(tAgent1, tMS, 9877, tls("tls.decrypted=yes", "http.requests=1", "http.token=header", "http.token_alg=HS256")), Documented, "agent-rest", ""},
		{"decrypted, no token", flow(tAgent1, tMS, 9877, tls("tls.decrypted=yes", "http.requests=1", "http.unauthenticated=1")), Documented, "agent-rest", ""},
		{"client certificate behind the handshake", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent", "tls.client_cert_basis=decrypted", "tls.client_cert_later=present")), Documented, "agent-backup", ""},

		// Violations: ZMTP
		{"null", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=NULL", "zmtp.handshake=complete")), Violation, "agent-messages", "zmtp_mechanism_null"},
		{"plain", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=PLAIN", "zmtp.credentials", "zmtp.handshake=complete")), Violation, "", "zmtp_mechanism_plain cleartext_credentials"},
		{"1.0", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=1.0")), Violation, "", "zmtp_version_1"},
		{"2.0", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=2.0")), Violation, "", "zmtp_version_2"},
		{"curve refused", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=CURVE", "zmtp.handshake=rejected", "zmtp.rejected_by=server")), Violation, "", "zmtp_curve_handshake_failed rejected_by_server"},
		{"plain refused, one mechanism read", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.server_mechanism=PLAIN", "zmtp.handshake=rejected", "zmtp.rejected_by=server")), Violation, "", "zmtp_mechanism_not_curve rejected_by_server"},
		{"curve dropped", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=CURVE", "zmtp.handshake=incomplete")), Violation, "", "zmtp_curve_handshake_failed"},
		{"zmtp, neither mechanism read", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.handshake=incomplete")), Indeterminate, "agent-messages", "requirement_not_observed"},
		{"ended inside the greeting", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.handshake=incomplete"), said(11, 10)), Violation, "", "zmtp_curve_handshake_failed"},
		{"mechanisms differ", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.client_mechanism=NULL", "zmtp.server_mechanism=CURVE", "zmtp.handshake=incomplete")), Violation, "", "zmtp_mechanism_not_curve"},
		{"http on 7780", flow(tAgent1, tMS, 7780, speaks("http")), Violation, "", "http_on_7780 not_zmtp"},
		{"tls on 7780", flow(tAgent1, tMS, 7780, tls()), Violation, "", "tls_on_7780 not_zmtp"},
		{"text on 7780", flow(tAgent1, tMS, 7780), Violation, "", "not_zmtp"},
		{"smb on 7780", flow(tAgent1, tMS, 7780, speaks("smb")), Violation, "", "not_zmtp"},

		// Violations: TLS and what is inside
		{"http on 9877", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.token=header")), Violation, "", "plaintext_http_on_9877 jwt_in_clear"},
		{"http/2 on 7780", flow(tAgent1, tMS, 7780, speaks("http2")), Violation, "", "http_on_7780 not_zmtp"},
		{"http/2 on 9877", flow(tAgent1, tMS, 9877, speaks("http2", "http.requests=1", "http.token=header")), Violation, "", "plaintext_http_on_9877 jwt_in_clear"},
		{"token in the url", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.token=url")), Violation, "", "plaintext_http_on_9877 jwt_in_clear jwt_in_url"},
		{"unsigned token", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.token=header", "http.token_alg=none")), Violation, "", "plaintext_http_on_9877 jwt_in_clear jwt_alg_none"},
		{"no token", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1")), Violation, "", "plaintext_http_on_9877 no_authentication"},
		{"a token may be in what is missing", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1"), lossy), Violation, "", "plaintext_http_on_9877"},
		{"a request without one was answered", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.unauthenticated=1"), lossy), Violation, "",
			"plaintext_http_on_9877 no_authentication"},
		{"decrypted, token in the url", flow(tAgent1, tMS, 9877, tls("tls.decrypted=yes", "http.requests=1", "http.token=url", "http.token_alg=HS256")), Violation, "agent-rest", "jwt_in_url"},
		{"decrypted, unsigned token", flow(tAgent1, tMS, 9877, tls("tls.decrypted=yes", "http.requests=1", "http.token=cookie", "http.token_alg=none")), Violation, "agent-rest", "jwt_alg_none"},
		{"text on 9876", flow(tAgent1, tSN, 9876), Violation, "", "plaintext_on_9876"},
		{"ssh on 9876", flow(tAgent1, tSN, 9876, speaks("ssh")), Violation, "", "ssh_on_9876"},
		{"http on 44445", flow(tAgent1, tBG, 44445, speaks("http")), Violation, "", "plaintext_on_44445"},
		{"http on 443", flow(tAgent1, tCloud, 443, speaks("http", "http.host=cloud.acronis.com")), Violation, "", "plaintext_http_on_443"},
		{"smb required", flow(tAgent1, tFS, 445, speaks("http")), Violation, "", "wrong_protocol"},
		{"not asked for a certificate", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent")), Violation, "", "mtls_not_requested_by_server"},
		{"empty and accepted", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.client_cert_accepted=true")), Violation, "", "mtls_client_cert_empty_accepted"},
		{"empty in a session that is resumed", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.client_cert_basis=resumed")), Violation, "", "mtls_client_cert_empty_accepted"},
		{"empty, and nothing behind it", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty")), Violation, "", "mtls_client_cert_empty"},
		{"empty and refused", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.handshake=failed", "tls.refused=server")), Violation, "", "mtls_client_cert_missing rejected_by_server"},
		{"shown and refused", flow(tAgent1, tSN, 9876, mutual("tls.handshake=failed", "tls.alert=unknown_ca", "tls.alert_by=server")), Violation, "", "rejected_by_server"},
		{"server's certificate refused", flow(tAgent1, tMS, 9877, tls("tls.handshake=failed", "tls.alert=unknown_ca", "tls.alert_by=client")), Violation, "", "rejected_by_client"},
		{"versions do not meet", flow(tAgent1, tMS, 9877, tls("tls.handshake=failed", "tls.alert=protocol_version", "tls.alert_by=server")), Violation, "", "tls_handshake_failed"},
		{"a hello answered in clear", flow(tAgent1, tMS, 9877, speaks("tls", "tls.handshake=failed", "http.status=400")), Violation, "", "tls_handshake_failed"},
		{"nfs without credentials", flow(tAgent1, tFS, 2049, speaks("nfs", "nfs.auth=none")), Violation, "", "nfs_auth_none"},
		{"source port", flow(tAgent1, tSN, 9876, from(1022), mutual()), Violation, "", "source_port_not_dynamic"},
		{"a violation comes before a cut", flow(tAgent1, tSN, 9876, from(1022), refused), Violation, "", "source_port_not_dynamic rst_to_syn"},

		// Blocked
		{"no answer", flow(tAgent1, tMS, 7780, unanswered), Blocked, "agent-messages", "syn_unanswered server_never_heard"},
		{"refused", flow(tAgent1, tMS, 7780, refused), Blocked, "", "rst_to_syn"},
		{"prohibited", flow(tAgent1, tMS, 7780, unanswered, icmpError(3, 13)), Blocked, "", "icmp_admin_prohibited"},
		{"host prohibited", flow(tAgent1, tMS, 7780, unanswered, icmpError(3, 10)), Blocked, "", "icmp_host_prohibited"},
		{"port unreachable", flow(tAgent1, tMS, 7780, unanswered, icmpError(3, 3)), Blocked, "", "icmp_port_unreachable"},
		{"half open", flow(tAgent1, tMS, 7780, unanswered, with(func(f *flows.Flow) {
			f.Packets[1] = 3
			f.TCP = flows.TCP{SYNs: 1, SYNACKs: 3, SYNACKFrame: 5}
		})), Blocked, "", "half_open"},
		{"the client believes", flow(tAgent1, tMS, 9877, tls(), with(func(f *flows.Flow) {
			f.Payload[1], f.Retransmitted[0] = 0, 4
			f.TCP.SYNACKs = 5
			f.TCP.AckedData = [2]bool{}
		})), Blocked, "", "half_open"},
		{"syn-ack lost", flow(tAgent1, tMS, 7780, unanswered, with(func(f *flows.Flow) {
			f.Packets[1] = 3
			f.TCP = flows.TCP{SYNs: 3, SYNACKs: 3, SYNACKFrame: 5}
		})), Blocked, "", "syn_ack_dropped_before_client"},
		{"hello dropped", flow(tAgent1, tMS, 9877, speaks("tls"), with(func(f *flows.Flow) {
			f.Payload[1], f.Retransmitted[0] = 0, 5
			f.TCP.Stalled[0], f.TCP.StalledFrame[0], f.TCP.AckedData = 5, pcaps.MakeFrameID(0, 20), [2]bool{}
		})), Blocked, "", "client_hello_dropped"},
		{"hello reset", flow(tAgent1, tCloud, 443, speaks("tls", "tls.sni=cloud.acronis.com"), with(func(f *flows.Flow) {
			f.Payload[1] = 0
			f.TCP.ResetBy, f.TCP.ResetFrame = flows.ResetByServer, 20
		})), Blocked, "", "rst_on_client_hello"},
		{"dropped midway", flow(tAgent1, tSN, 9876, mutual(), with(func(f *flows.Flow) {
			f.TCP.Stalled[0], f.TCP.StalledFrame[0] = 6, pcaps.MakeFrameID(0, 20)
			f.Ended = flows.CaptureEnd
		})), Blocked, "", "established_then_dropped"},
		{"a lost segment is no block", flow(tAgent1, tSN, 9876, mutual(), with(func(f *flows.Flow) {
			f.TCP.Stalled[0], f.TCP.StalledFrame[0] = 2, pcaps.MakeFrameID(0, 20)
		})), Documented, "", ""},
		{"killed while idle", flow(tAgent1, tMS, 7780, curve, with(func(f *flows.Flow) {
			f.TCP.LongestIdle, f.TCP.LongestIdleFrame = int64(time.Hour), pcaps.MakeFrameID(0, 20)
			f.TCP.Stalled[0], f.TCP.StalledFrame[0] = 6, pcaps.MakeFrameID(0, 21)
		})), Blocked, "", "idle_connection_killed"},
		{"echo without a reply", flow(tAgent1, tCloud, 0, echo, unanswered), Blocked, "", "echo_unanswered server_never_heard"},

		// Indeterminate
		{"one direction", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.client_mechanism=CURVE"), with(func(f *flows.Flow) {
			f.Packets[1], f.Payload[1] = 0, 0
			f.TCP.SYNACKs = 0
		})), Indeterminate, "", "one_direction_captured"},
		{"midway", flow(tAgent1, tMS, 7780, midway), Indeterminate, "", "start_not_captured"},
		{"bytes missing", flow(tAgent1, tMS, 7780, lossy), Indeterminate, "", "bytes_missing"},
		{"the end of a handshake missing", flow(tAgent1, tBG, 44445, speaks("tls", "tls.version=1.3", "tls.client_cert=present", "tls.client_cert_basis=inferred"), unseenEnd), Indeterminate, "", "bytes_missing"},
		{"bytes missing behind a handshake", flow(tAgent1, tBG, 44445, mutual(), unseenEnd), Documented, "gateway-backup", ""},
		{"credentials of NFS missing", flow(tAgent1, tFS, 2049, speaks("nfs"), lossy), Indeterminate, "agent-nfs", "bytes_missing"},
		{"what was said at the end missing", flow(tAgent1, tMS, 7780, unseenEnd), Indeterminate, "", "bytes_missing"},
		{"nothing said", flow(tAgent1, tMS, 7780, with(func(f *flows.Flow) { f.Payload = flows.Pair{} })), Indeterminate, "", "nothing_said"},
		{"no server name", flow(tAgent1, tCloud, 443, tls()), Indeterminate, "agent-cloud", "no_sni"},
		{"no certificate, from one direction", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent", "tls.client_cert_basis=inferred", "tls.client_cert_confidence=medium")), Indeterminate, "", "requirement_not_observed"},
		{"a certificate, from one direction", flow(tAgent1, tSN, 9876, tls("tls.client_cert=present", "tls.client_cert_basis=inferred", "tls.client_cert_confidence=medium")), Indeterminate, "", "requirement_not_observed"},
		{"certificate not known", flow(tAgent1, tSN, 9876, tls("tls.client_cert=unknown")), Indeterminate, "", "requirement_not_observed"},
		{"resumed", flow(tAgent1, tSN, 9876, tls("tls.resumed")), Indeterminate, "", "session_resumed"},
		{"dynamic port of a component", flow(tMS, tAgent1, 50123), Indeterminate, "", "inbound_to_dynamic_port"},
		{"dynamic port of one of two components, begun before the capture", flow(tMS, tAgent1, 50123, with(func(f *flows.Flow) { f.Oriented = flows.ByFirstPacket })), Indeterminate, "", "inbound_to_dynamic_port"},
		{"a port of a component, begun before the capture", flow(tMS, tAgent1, 50123, from(4222), with(func(f *flows.Flow) { f.Oriented = flows.ByFirstPacket })), Undocumented, "", "port_not_documented"},

		// Undocumented
		{"console on 7780", flow(tAdmin, tMS, 7780, curve), Undocumented, "", "client_role_not_documented"},
		{"storage node on 9877", flow(tSN, tMS, 9877, tls()), Undocumented, "", "client_role_not_documented"},
		{"agent on 9200", flow(tAgent1, tCat, 9200), Undocumented, "catalog-search", "client_role_not_stated"},
		{"stranger on 9200", flow(tRogue, tCat, 9200), Undocumented, "catalog-search", "unknown_host client_role_not_stated"},
		{"stranger on 22", flow(tRogue, tMS, 22), Undocumented, "", "unknown_host"},
		{"gateway to cloud", flow(tBG, tCloud, 44445, mutual("tls.sni=eu2-cloud.acronis.com")), Undocumented, "", "client_role_not_documented"},
		{"a third port", flow(tAgent1, tMS, 8443, tls()), Undocumented, "", "port_not_documented"},
		{"a closed port in the range of Linux", flow(tAgent1, tBG, 44446, refused), Undocumented, "", "port_not_documented rst_to_syn"},
		{"backwards", flow(tSN, tAgent1, 9876, mutual()), Undocumented, "agent-backup", "reversed_direction"},
		{"agent to agent", flow(tAgent2, tAgent1, 9876, mutual()), Undocumented, "", "agent_to_agent"},
		{"agent to agent on a dynamic port", flow(tAgent2, tAgent1, 50123), Undocumented, "", "agent_to_agent"},
		{"udp to 7780", flow(tAgent1, tMS, 7780, udp), Undocumented, "", "udp_on_tcp_port"},
		{"quic to the cloud", flow(tAgent1, tCloud, 443, udp, speaks("quic", "quic.version=0x00000001", "tls.sni=eu2-cloud.acronis.com", "tls.version=1.3")), Undocumented, "agent-cloud", "udp_on_tcp_port"},
		{"udp elsewhere", flow(tAgent1, tMS, 5000, udp), Undocumented, "", "port_not_documented"},
		{"a tunnel", flow(tAgent1, tMS, 0, with(func(f *flows.Flow) { f.Proto = 50 })), Undocumented, "", "protocol_not_documented"},
		{"smb over netbios", flow(tAgent1, tFS, 139, speaks("smb")), Undocumented, "", "port_not_documented"},
		{"another name", flow(tAgent1, tCloud, 443, tls("tls.sni=cdn.example")), Undocumented, "agent-cloud", "unknown_sni"},
		{"another name elsewhere", flow(tAgent1, tOther, 443, tls("tls.sni=cdn.example")), Undocumented, "", "unknown_sni"},
		{"the vendor's, not listed", flow(tAgent1, tCloud, 443, tls("tls.sni=shop.acronis.com")), Undocumented, "agent-cloud", "undocumented_cloud_name"},
		{"a documented name elsewhere", flow(tAgent1, tOther, 443, tls("tls.sni=cloud.acronis.com")), Undocumented, "", "sni_address_mismatch"},
		{"storage node pings", flow(tSN, tCloud, 0, echo), Undocumented, "", "icmp_client_role_not_documented"},
		{"agent pings another", flow(tAgent1, tOther, 0, echo), Undocumented, "", "icmp_to_undocumented_cloud_address"},

		// Neither
		{"names", dnsSays("cloud.acronis.com", "203.0.113.10"), Ambient, "", ""},
		{"echo inside", flow(tAgent1, tMS, 0, echo), Ambient, "", ""},
		{"a directory", flow(tAgent1, tFS, 389, speaks("ldap")), Ambient, "", ""},
		{"a directory in TLS", flow(tAgent1, tFS, 389, speaks("tls")), Ambient, "", ""},
		{"a shell on a directory's port", flow(tAgent1, tFS, 389, speaks("ssh")), Undocumented, "", "port_not_documented"},
		{"something else on 53", flow(tAgent1, tMS, 53, speaks("ssh")), Undocumented, "", "port_not_documented"},
		{"strangers", flow(tRogue, netip.MustParseAddr("10.9.9.9"), 443, tls()), OutOfScope, "", ""},
	}
	p := testPolicy(t, tInventory)
	p.Observe(dnsSays("cloud.acronis.com", "203.0.113.10"))
	p.Observe(flow(tAgent3, tBG, 44445, with(func(f *flows.Flow) { f.End += 60e9 }))) // the capture goes on
	p.Settle()
	var v Verdict
	for _, test := range tests {
		p.Judge(test.flow, &v)
		if why := reasonNames(&v); v.Kind != test.kind || why != test.why {
			t.Errorf("%s: %s [%s], want %s [%s]", test.name, v.Kind, why, test.kind, test.why)
		}
		if test.edge != "" && (v.Edge == nil || v.Edge.ID != test.edge) {
			t.Errorf("%s: edge %v, want %s", test.name, v.Edge, test.edge)
		}
	}
}

// ownDiagram has what the built-in diagram lacks: requirements of other kinds, a
// port of UDP alone, components without ambient traffic between them.
const ownDiagram = `
version: 1
name: own
title: Own
sources: [{id: page, title: A page}]
components:
  - {id: server, title: Server}
  - {id: agent, title: Agent}
  - {id: special, title: Special agent, kind_of: agent}
  - {id: lone, title: Lone}
edges:
  - {id: api, from: agent, to: server, over: tcp/9877, require: {app: tls, tls.version: ">=1.2"}, source: page}
  - {id: api-lone, from: lone, to: server, over: tcp/9000, source: page}
  - {id: share, from: agent, to: server, over: tcp/445, require: {app: smb, smb.signed: true}, source: page}
  - {id: disks, from: agent, to: server, over: tcp/902, expect: {app: [vmware-authd, tls], tls.version: "1.3"}, source: page}
  - {id: reports, from: agent, to: server, over: udp/9000, source: page}
  - {id: traps, from: agent, to: server, over: udp/162, source: page}
ambient:
  - {id: dns, title: Names, over: [udp/53, tcp/53], app: dns}
`

const ownInventory = `version: 1
hosts:
  - {address: 10.1.0.1, roles: [server]}
  - {address: 10.1.0.2, roles: [server]}
  - {address: [10.1.0.21, 10.1.0.22], roles: [agent]}
  - {address: 10.1.0.23, roles: [special]}
  - {address: 10.1.0.3, roles: [lone]}
  - {address: 10.1.0.9, roles: []}
`

// ownPolicy is ownDiagram with ownInventory.
func ownPolicy(t *testing.T) *Policy {
	t.Helper()
	d := mustParse(t, ownDiagram)
	inv, err := ParseInventory("hosts.yaml", []byte(ownInventory), d)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(d, inv)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJudgeOwnDiagram(t *testing.T) {
	oneSided := with(func(f *flows.Flow) { f.Packets[1], f.Bytes[1], f.Payload[1], f.TCP.SYNACKs = 0, 0, 0, 0 })
	icmp := func(proto uint8, kind string) func(*flows.Flow) {
		return func(f *flows.Flow) {
			echo(f)
			f.Proto, f.Facts = proto, &dissect.Facts{}
			f.Facts.Add(dissect.ICMPType, []byte(kind))
			unanswered(f)
		}
	}
	tests := []struct {
		name string
		flow *flows.Flow
		kind Kind
		edge string // "" for none
		why  string // the reasons with what was seen
	}{
		// What IP does for itself is nobody's to document.
		{"a neighbour looked for", flow(tAgent1, tMS, 0, icmp(flows.ProtoICMPv6, "135/0")), Ambient, "", ""},
		{"an error", flow(tAgent1, tMS, 0, icmp(flows.ProtoICMP, "3/1")), Ambient, "", ""},
		{"a ping", flow(tAgent1, tMS, 0, icmp(flows.ProtoICMP, "8/0")), Undocumented, "", "icmp_not_documented; echo_unanswered; server_heard_elsewhere"},
		{"the time asked for", flow(tAgent1, tMS, 0, icmp(flows.ProtoICMP, "13/0")), Undocumented, "", "icmp_not_documented"},

		// A name that speaks of a port is of the built-in diagram's service there.
		{"http where tls is required", flow(tAgent1, tMS, 9877, speaks("http")), Violation, "api", "plaintext_where_tls_is_required: http"},
		{"ssh where tls is required", flow(tAgent1, tMS, 9877, speaks("ssh")), Violation, "api", "plaintext_where_tls_is_required: ssh"},
		{"text where tls is required", flow(tAgent1, tMS, 9877), Violation, "api", "plaintext_where_tls_is_required: an unknown protocol"},
		{"an old version", flow(tAgent1, tMS, 9877, tls("tls.version=1.1")), Violation, "api", "tls_version_too_old: 1.1"},
		{"the version required", flow(tAgent1, tMS, 9877, tls("tls.version=1.2")), Documented, "api", ""},
		{"not signed", flow(tAgent1, tMS, 445, speaks("smb", "smb.signed=false")), Violation, "share", "requirement_contradicted: false"},
		{"signed", flow(tAgent1, tMS, 445, speaks("smb", "smb.signed")), Documented, "share", ""},
		{"not known whether signed", flow(tAgent1, tMS, 445, speaks("smb")), Indeterminate, "share", "requirement_not_observed"},
		{"one of the protocols expected", flow(tAgent1, tMS, 902, tls()), Documented, "disks", ""},
		{"none of them", flow(tAgent1, tMS, 902, speaks("ssh")), Violation, "disks", "requirement_contradicted: ssh"},
		{"none of them, as far as it was read", flow(tAgent1, tMS, 902), Violation, "disks", "requirement_contradicted"},
		{"none of them in one direction", flow(tAgent1, tMS, 902, oneSided), Indeterminate, "disks", "one_direction_captured"},
		{"an expected fact", flow(tAgent1, tMS, 902, tls("tls.version=1.2")), Violation, "disks", "requirement_contradicted: 1.2"},
		{"an edge of a kind of component", flow(tAgent3, tMS, 9877, tls()), Documented, "api", ""},

		{"tcp to a port of udp", flow(tAgent1, tMS, 162), Undocumented, "traps", "tcp_on_udp_port"},
		{"tcp to a port of both, which others may call over tcp", flow(tAgent1, tMS, 9000), Undocumented, "api-lone", "client_role_not_documented"},
		{"udp to a port of both, which others may call over udp", flow(tCat, tMS, 9000, udp), Undocumented, "reports", "client_role_not_documented"},
		{"udp to a port of tcp", flow(tAgent1, tMS, 445, udp, speaks("dns")), Undocumented, "share", "udp_on_tcp_port: dns"},
		{"servers among themselves", flow(tMS, tSN, 22), Undocumented, "", "same_component"},
		{"agents of two kinds", flow(tAgent1, tAgent3, 22), Undocumented, "", "agent_to_agent"},
		{"unrelated components", flow(tCat, tMS, 22), Undocumented, "", "port_not_documented"},
		{"echo", flow(tAgent1, tMS, 0, echo), Undocumented, "", "icmp_not_documented"},
		{"echo of a stranger", flow(tRogue, tMS, 0, echo), Undocumented, "", "unknown_host"},

		{"names, of strangers", flow(tRogue, tDNS, 53, udp, speaks("dns")), Ambient, "", ""},
		{"names that are refused", flow(tAgent1, tDNS, 53, udp, unanswered, icmpError(3, 3)), Ambient, "", "icmp_port_unreachable"},
		{"names that are not answered", flow(tAgent1, tDNS, 53, udp, unanswered), Ambient, "", ""},
		{"strangers", flow(tRogue, tDNS, 54, udp), OutOfScope, "", ""},
	}
	p := ownPolicy(t)
	p.Observe(flow(tAgent1, tMS, 9877, tls(), with(func(f *flows.Flow) { f.End += 60e9 }))) // the capture goes on
	p.Settle()
	var v Verdict
	for _, test := range tests {
		p.Judge(test.flow, &v)
		why := saw(v.Reasons)
		edge := ""
		if v.Edge != nil {
			edge = v.Edge.ID
		}
		if v.Kind != test.kind || edge != test.edge || why != test.why {
			t.Errorf("%s: %s %q %q, want %s %q %q", test.name, v.Kind, edge, why, test.kind, test.edge, test.why)
		}
	}
}

// TestJudgeEvidence holds the reasons to the frames that prove them, and to what
// was seen there. The facts of a flow are of frame 15 where "at" does not say
// otherwise; its first frame is 10, its data begins in 13 and 14.
func TestJudgeEvidence(t *testing.T) {
	at := func(frame uint64, facts ...string) func(*flows.Flow) {
		return func(f *flows.Flow) {
			f.Facts.Frame = uint64(pcaps.MakeFrameID(0, frame))
			speaks(f.App, facts...)(f)
		}
	}
	resetBy := func(who flows.ResetBy) func(*flows.Flow) {
		return func(f *flows.Flow) {
			f.TCP.ResetBy, f.TCP.ResetFrame, f.Ended, f.TCP.History = who, pcaps.MakeFrameID(0, 30), flows.Reset, "ShADadFr"
		}
	}
	history := func(h string) func(*flows.Flow) { return func(f *flows.Flow) { f.TCP.History = h } }
	greeting := speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=CURVE", "zmtp.client_mechanism=CURVE", "zmtp.server_mechanism=CURVE")
	closesFirst := emptyThenClosed
	tests := []struct {
		name string
		flow *flows.Flow
		kind Kind
		why  string // reason@frame: what was seen
	}{
		// Client certificates
		{"empty, refused by an alert", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.handshake=incomplete"), at(20, "tls.refused=server", "tls.alert=certificate_required")),
			Violation, "mtls_client_cert_missing@15: empty; rejected_by_server@20: certificate_required"},
		{"empty, refused by a reset", flow(tAgent1, tSN, 9876, speaks("tls", "tls.version=1.3", "tls.handshake=incomplete", "tls.client_cert=empty"), resetBy(flows.ResetByServer)),
			Violation, "mtls_client_cert_missing@15: empty; rejected_by_server@30"},
		{"empty, reset by the client", flow(tAgent1, tSN, 9876, speaks("tls", "tls.version=1.3", "tls.handshake=incomplete", "tls.client_cert=empty"), resetBy(flows.ResetByClient)),
			Violation, "mtls_client_cert_empty@15: empty"},
		{"empty, reset behind the handshake", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.client_cert_accepted"), resetBy(flows.ResetByServer), history("ShADadFrf")),
			Violation, "mtls_client_cert_empty_accepted@15: empty"},
		{"empty, and the client refused", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty"), at(20, "tls.refused=client")),
			Violation, "mtls_client_cert_empty@15: empty"},
		{"empty, and the server closed first", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.client_cert_accepted"), history("ShADadfF")),
			Violation, "mtls_client_cert_empty_accepted@15: " + closesFirst},
		{"empty, and nobody closed", flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.client_cert_accepted"), history("ShADad")),
			Violation, "mtls_client_cert_empty_accepted@15: empty"},
		{"asked for, not shown, refused", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent", "tls.cert_request"), at(20, "tls.handshake=failed", "tls.alert=handshake_failure", "tls.alert_by=server")),
			Violation, "mtls_client_cert_missing@15: absent; rejected_by_server@20: handshake_failure"},
		{"asked for, not shown", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent", "tls.cert_request")), Violation, "mtls_client_cert_missing@15: absent"},
		{"asked for, not shown, and the client gave up", flow(tAgent1, tSN, 9876, tls("tls.client_cert=absent", "tls.cert_request"), at(20, "tls.handshake=failed", "tls.alert=user_canceled", "tls.alert_by=client")),
			Violation, "mtls_client_cert_missing@15: absent"},
		{"shown, and refused in words that do not speak of it", flow(tAgent1, tSN, 9876, mutual(), at(20, "tls.handshake=failed", "tls.alert=handshake_failure", "tls.alert_by=server")),
			Violation, "rejected_by_server@20: handshake_failure"},
		{"shown, and the client refused", flow(tAgent1, tSN, 9876, mutual(), at(20, "tls.handshake=failed", "tls.alert=unknown_ca", "tls.alert_by=client")),
			Violation, "rejected_by_client@20: unknown_ca"},

		// The handshake of TLS
		{"failed without an alert", flow(tAgent1, tMS, 9877, speaks("tls", "tls.version=1.2"), at(21, "tls.handshake=failed")), Violation, "tls_handshake_failed@21"},
		{"answered by http", flow(tAgent1, tMS, 9877, speaks("tls", "http.status=400"), at(21, "tls.handshake=failed")), Violation, "tls_handshake_failed@21: an answer of HTTP in clear"},
		{"answered by ssh", flow(tAgent1, tMS, 9877, speaks("tls", "ssh.server_banner=x"), at(21, "tls.handshake=failed")), Violation, "tls_handshake_failed@21: an answer of SSH"},
		{"answered by something else", flow(tAgent1, tMS, 9877, speaks("tls"), at(21, "tls.handshake=failed")), Violation, "tls_handshake_failed@21: an answer that is not TLS"},
		{"refused behind the handshake", flow(tAgent1, tMS, 9877, tls(), at(22, "tls.refused=server")), Violation, "rejected_by_server@22"},
		{"an alert of nobody", flow(tAgent1, tMS, 9877, tls(), at(22, "tls.handshake=failed", "tls.alert=bad_certificate")), Violation, "tls_handshake_failed@22: bad_certificate"},

		// ZMTP
		{"null", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1"), at(16, "zmtp.mechanism=NULL"), at(18, "zmtp.handshake=complete")), Violation, "zmtp_mechanism_null@16: NULL"},
		{"a mechanism that nobody knows", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1"), at(16, "zmtp.mechanism=GSSAPI")), Violation, "requirement_contradicted@16: GSSAPI"},
		{"plain, with a password", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.mechanism=PLAIN"), at(17, "zmtp.credentials")), Violation, "zmtp_mechanism_plain@15: PLAIN; cleartext_credentials@17"},
		{"curve rejected by the client", flow(tAgent1, tMS, 7780, greeting, at(19, "zmtp.handshake=rejected", "zmtp.rejected_by=client", "zmtp.error=400")),
			Violation, "zmtp_curve_handshake_failed@19: 400; rejected_by_client@19"},
		{"curve reset midway", flow(tAgent1, tMS, 7780, greeting, at(19, "zmtp.handshake=incomplete"), resetBy(flows.ResetByClient)), Violation, "zmtp_curve_handshake_failed@15"},
		{"curve, and the capture ends", flow(tAgent1, tMS, 7780, greeting, at(19, "zmtp.handshake=incomplete"), with(func(f *flows.Flow) { f.Ended = flows.CaptureEnd })),
			Indeterminate, "requirement_not_observed@10"},
		{"the greeting alone", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.handshake=incomplete"), said(64, 64)), Violation, "zmtp_curve_handshake_failed@13"},
		{"the client said more than its greeting", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.handshake=incomplete"), said(65, 64)), Indeterminate, "requirement_not_observed@10"},
		{"the server said more than its greeting", flow(tAgent1, tMS, 7780, speaks("zmtp", "zmtp.version=3.1", "zmtp.handshake=incomplete"), said(64, 65)), Indeterminate, "requirement_not_observed@10"},
		{"another protocol", flow(tAgent1, tMS, 7780, speaks("smb")), Violation, "not_zmtp@13: smb"},
		{"no known protocol", flow(tAgent1, tMS, 7780), Violation, "not_zmtp@13: an unknown protocol"},

		// What is missing
		{"bytes", flow(tAgent1, tMS, 7780, lossy), Indeterminate, "bytes_missing@10"},
		{"the start", flow(tAgent1, tMS, 7780, midway), Indeterminate, "start_not_captured@10"},
		{"all but the ports", flow(tAgent1, tMS, 7780, said(0, 0), with(func(f *flows.Flow) { f.TCP.PortsOnly = true })), Indeterminate, "bytes_missing@10"},
		{"payload", flow(tAgent1, tMS, 7780, said(0, 0)), Indeterminate, "nothing_said@10"},
		{"a name", flow(tAgent1, tCloud, 443, tls()), Indeterminate, "no_sni@13"},
		{"a name, in the clear", flow(tMS, tCloud, 80, speaks("http")), Indeterminate, "no_server_name@10"},

		// Names and tokens
		{"another name", flow(tAgent1, tCloud, 443, tls(), at(17, "tls.sni=cdn.example")), Undocumented, "unknown_sni@17: cdn.example"},
		{"tokens", flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1"), at(16, "http.token=url"), at(18, "http.token_alg=none")),
			Violation, "plaintext_http_on_9877@13: http; jwt_in_clear@16: url; jwt_in_url@16: url; jwt_alg_none@18: none"},
		{"no token", flow(tAgent1, tMS, 9877, speaks("http"), at(16, "http.requests=1")), Violation, "plaintext_http_on_9877@13: http; no_authentication@16"},
	}
	p := testPolicy(t, tInventory)
	p.Observe(flow(tAgent3, tBG, 44445, with(func(f *flows.Flow) { f.End += 60e9 }))) // the capture goes on
	p.Settle()
	var v Verdict
	for _, test := range tests {
		p.Judge(test.flow, &v)
		if got := evidence(v.Reasons); v.Kind != test.kind || got != test.why {
			t.Errorf("%s: %s %s, want %s %s", test.name, v.Kind, got, test.kind, test.why)
		}
	}
}

// evidence are reasons with their frames and what was seen: "reason@15: empty".
func evidence(list []Because) string {
	return each(list, func(b *Because) string { return b.Reason.String() + "@" + strconv.FormatUint(b.Frame.Number(), 10) })
}

// saw are reasons with what was seen: "reason: empty".
func saw(list []Because) string {
	return each(list, func(b *Because) string { return b.Reason.String() })
}

// each writes reasons by what called makes of them, with what was seen.
func each(list []Because, called func(*Because) string) string {
	var out []string
	for i := range list {
		s := called(&list[i])
		if list[i].Saw != "" {
			s += ": " + list[i].Saw
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestJudgeDoesNotAllocate(t *testing.T) {
	p := testPolicy(t, tInventory)
	all := []*flows.Flow{
		flow(tAgent1, tMS, 7780, curve),
		flow(tAgent1, tSN, 9876, mutual()),
		flow(tAgent1, tSN, 9876, tls("tls.client_cert=empty", "tls.refused=server")),
		flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.token=url")),
		flow(tAgent1, tCloud, 443, tls("tls.sni=cloud.acronis.com")),
		flow(tAgent1, tOther, 443, tls("tls.sni=cloud.acronis.com")),
		flow(tAgent1, tFS, 20048, speaks("rpc", "rpc.program=100005/3")),
		flow(tRogue, tMS, 22, refused),
		flow(tAgent1, tMS, 8443, tls("tls.cert_not_after=2020-01-01T00:00:00Z", "tls.cert_cn=x")),
		flow(tAgent1, tMS, 7780, unanswered, icmpError(3, 13)),
		dnsSays("cloud.acronis.com", "203.0.113.10"),
		flow(netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("10.9.9.8"), 1),
	}
	for _, f := range all {
		p.Observe(f)
	}
	p.Settle()
	var v Verdict
	for _, f := range all {
		if n := testing.AllocsPerRun(100, func() { p.Judge(f, &v) }); n != 0 {
			t.Errorf("%s > %s: %v allocations", f.Client, f.Server, n)
		}
	}
}

func TestConcerns(t *testing.T) {
	tests := []struct {
		flow *flows.Flow
		want string
	}{
		{flow(tAgent1, tMS, 9877, tls()), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.version=1.0")), "tls_version_obsolete"},
		{flow(tAgent1, tMS, 9877, tls("tls.version=1.2", "tls.cipher=0xc02f")), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0xc010")), "tls_cipher_null"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0x0005")), "tls_cipher_rc4 tls_cipher_no_forward_secrecy"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0xc018")), "tls_cipher_anonymous"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0xc012")), "tls_cipher_3des"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0xc013")), "tls_cipher_cbc_sha1"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0x009c")), "tls_cipher_no_forward_secrecy"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_after=2026-02-28T00:00:00Z")), "server_certificate_expired"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_before=2026-03-02T00:00:00Z")), "server_certificate_not_yet_valid"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_after=9999-12-31T23:59:59Z")), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_self_signed")), "server_certificate_self_signed"},
		{flow(tAgent1, tMS, 9877, tls("tls.sni=ms.site.example", "tls.cert_cn=ms.site.example", "tls.cert_san=sn.site.example")), "server_certificate_name_mismatch"},
		{flow(tAgent1, tMS, 9877, tls("tls.sni=ms.site.example", "tls.cert_cn=x", "tls.cert_san=*.site.example")), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.sni=a.ms.site.example", "tls.cert_san=*.site.example")), "server_certificate_name_mismatch"},
		{flow(tAgent1, tMS, 9877, tls("tls.sni=ms.site.example", "tls.cert_cn=MS.site.example")), ""},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.smb1", "smb.smb1_session", "smb.auth=ntlmv1", "smb.signed=false")), "smb1 ntlmv1"},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.smb1", "smb.dialect=3.1.1", "smb.auth=ntlmv2", "smb.signed=true")), ""},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.auth=guest", "smb.signed=false")), "smb_guest smb2_unsigned"},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.auth=ntlmv2", "smb.signed=false", "smb.encrypted")), ""},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.auth=ntlmv2", "smb.status=STATUS_LOGON_FAILURE")), "smb_auth_failed"},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.auth=anonymous", "smb.signed")), "smb_anonymous"},
		{flow(tMS, tCat, 9200, speaks("http", "http.requests=1", "http.token=cookie")), "jwt_in_clear"},
		{flow(tMS, tCat, 9200, speaks("http2", "http.requests=1", "http.token=cookie")), "jwt_in_clear"},
		{flow(tMS, tCat, 9200, speaks("http", "tls.version=1.3", "http.requests=1", "http.token=cookie")), ""}, // decrypted
		{flow(tMS, tCat, 9200, speaks("http", "http.requests=1")), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.decrypted=yes", "http.requests=1", "http.unauthenticated=1")), "no_authentication"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_before=1800-01-01T00:00:00Z", "tls.cert_not_after=1800-01-02T00:00:00Z")), "server_certificate_expired"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_before=2300-01-01T00:00:00Z")), "server_certificate_not_yet_valid"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_before=yesterday", "tls.cert_not_after=tomorrow")), ""},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_before=2026-03-01T12:00:00Z", "tls.cert_not_after=2026-03-01T12:00:00Z")), ""}, // the flow begins then
		{flow(tAgent1, tMS, 9877, with(func(f *flows.Flow) {
			tls()(f)
			f.TCP.ZeroWindow, f.TCP.ZeroWindowFrame[0] = [2]int64{shutLimit, shutLimit - 1}, 5
		})), "zero_window"},
	}
	p := testPolicy(t, tInventory)
	p.Settle()
	var v Verdict
	for i, test := range tests {
		p.Judge(test.flow, &v)
		var got []string
		for _, c := range v.Concerns {
			got = append(got, c.Reason.String())
		}
		if strings.Join(got, " ") != test.want || v.Kind != Documented {
			t.Errorf("%d: %s %v, want documented [%s]", i, v.Kind, got, test.want)
		}
	}
}

// What is a reason of the verdict is not a concern as well, and each concern has
// its frame and what was seen.
func TestConcernsEvidence(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	var v Verdict
	for _, test := range []struct {
		flow *flows.Flow
		want string
	}{
		{flow(tAgent1, tMS, 9877, speaks("http", "http.requests=1", "http.token=header")), ""},
		{flow(tMS, tCat, 9200, speaks("http", "http.requests=1", "http.token=cookie")), "jwt_in_clear@15: cookie"},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.user=SITE\\eve", "smb.auth=ntlmv2", "smb.status=STATUS_LOGON_FAILURE")), "smb_auth_failed@15: STATUS_LOGON_FAILURE for SITE\\eve"},
		{flow(tAgent1, tFS, 445, speaks("smb", "smb.auth=ntlmv2", "smb.status=STATUS_LOGON_FAILURE")), "smb_auth_failed@15: STATUS_LOGON_FAILURE"},
		{flow(tAgent1, tMS, 9877, tls("tls.sni=ms.site.example", "tls.cert_cn=other.example")), "server_certificate_name_mismatch@15: other.example"},
		{flow(tAgent1, tMS, 9877, tls("tls.cert_not_after=2026-02-28T00:00:00Z")), "server_certificate_expired@15: 2026-02-28T00:00:00Z"},
		{flow(tAgent1, tMS, 9877, tls("tls.cipher=0x0005")), "tls_cipher_rc4@15: 0x0005; tls_cipher_no_forward_secrecy@15: 0x0005"},
	} {
		if p.Judge(test.flow, &v); evidence(v.Concerns) != test.want {
			t.Errorf("%s: %s, want %s", test.flow.Server, evidence(v.Concerns), test.want)
		}
	}
}

// TestConcernsOfDatagrams holds QUIC and DTLS to what good practice says of TLS.
func TestConcernsOfDatagrams(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	for app, version := range map[string]string{"dtls": "dtls1.0", "quic": "1.3"} {
		var v Verdict
		p.Judge(flow(tAgent1, tMS, 9877, udp, speaks(app, "tls.version="+version, "tls.cipher=0x0002")), &v)
		var got []string
		for _, c := range v.Concerns {
			got = append(got, c.Reason.String())
		}
		want := "tls_cipher_null tls_cipher_no_forward_secrecy"
		if app == "dtls" {
			want = "tls_version_obsolete " + want
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", app, got, want)
		}
		if len(v.Reasons) != 1 || v.Reasons[0].Reason != UDPOnTCPPort || v.Reasons[0].Saw != app {
			t.Errorf("%s: reasons %v, want udp_on_tcp_port, saw %s", app, v.Reasons, app)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"1.3", "1.2", 1}, {"1.2", "1.2", 0}, {"1.0", "1.2", -1}, {"1.10", "1.9", 1}, {"ssl3", "1.0", -1},
		{"dtls1.2", "1.2", 0}, {"dtls1.3", "1.2", 1}, {"dtls1.0", "1.2", -1},
	} {
		if got := compareVersions(test.a, test.b); got != test.want {
			t.Errorf("%s against %s: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestPortClass(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	for _, test := range []struct {
		flow           *flows.Flow
		client, server string
	}{
		{flow(tAgent1, tBG, 44445), "dynamic", "documented"},
		{flow(tBG, tAgent1, 50001, from(44445)), "documented", "dynamic"},
		{flow(tAgent1, tMS, 22, from(22)), "well_known", "well_known"},
		{flow(tAgent1, tMS, 20000, from(20000)), "other", "other"},
		{flow(tAgent1, tCloud, 0, echo), "", ""},
	} {
		if c, s := p.PortClass(test.flow); c != test.client || s != test.server {
			t.Errorf("%s > %s: %q %q, want %q %q", test.flow.Client, test.flow.Server, c, s, test.client, test.server)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range AllReasons() {
		i := reasonTable[r]
		if i.name == "" || i.explain == "" || i.do == "" {
			t.Errorf("reason %d is not described: %+v", r, i)
		}
		if seen[i.name] {
			t.Errorf("%s is listed twice", i.name)
		}
		seen[i.name] = true
		if strings.HasSuffix(i.explain, ".") || strings.HasSuffix(i.do, ".") {
			t.Errorf("%s: sentences are kept without their full stop", i.name)
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	slices.Sort(names)
	// Of a server that closes first behind an empty certificate it is not known
	// whether it let the client in: what is advised must not say that it did.
	for _, r := range []Reason{MTLSClientCertEmptyAccepted, MTLSNotRequestedByServer} {
		if strings.Contains(r.Explain()+r.Do(), "let in") {
			t.Errorf("%s says more than was seen: %s", r, r.Do())
		}
	}
	if !slices.Contains(names, "unknown_host") || Reason(250).String() != "reason(250)" {
		t.Error("names are wrong")
	}
}

// TestReasonsAreDocumented holds docs/reasons.md to the list.
func TestReasonsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, r := range AllReasons() {
		row := "| `" + r.String() + "` | " + r.Severity().String() + " | " + r.Explain() + " | " + r.Do() + " |"
		if !strings.Contains(text, row+"\n") {
			t.Errorf("docs/reasons.md lacks the row\n%s", row)
		}
	}
	if rows := strings.Count(text, "\n| `"); rows != len(AllReasons()) {
		t.Errorf("docs/reasons.md has %d rows, the list %d", rows, len(AllReasons()))
	}
}

// What the captures tell of the cause: other flows of the same hosts count.
func TestDiagnose(t *testing.T) {
	ttl := func(client, server uint8) func(*flows.Flow) {
		return with(func(f *flows.Flow) { f.TCP.TTL = [2]uint8{client, server} })
	}
	reset := func(ttl uint8) func(*flows.Flow) {
		return with(func(f *flows.Flow) {
			f.TCP.ResetBy, f.TCP.ResetTTL, f.TCP.ResetFrame = flows.ResetByServer, ttl, pcaps.MakeFrameID(0, 20)
			f.TCP.State, f.TCP.History, f.Ended = flows.StateRSTR, "ShADadr", flows.Reset
		})
	}
	stalled := with(func(f *flows.Flow) {
		f.TCP.Stalled[0], f.TCP.StalledFrame[0], f.Retransmitted[0], f.Ended = 5, pcaps.MakeFrameID(0, 18), 5, flows.CaptureEnd
	})
	large := with(func(f *flows.Flow) { f.TCP.LargeLost[0] = true })
	silent := with(func(f *flows.Flow) {
		f.Payload[1], f.TCP.DataFrame[1] = 0, 0
		f.End = f.Start + 6e9
	})
	routed := with(func(f *flows.Flow) { f.TCP.Routed[1] = true })
	hello := speaks("tls", "tls.sni=bg.example")
	oneWay := with(func(f *flows.Flow) {
		f.Packets[1], f.Payload[1], f.TCP.SYNACKs, f.TCP.State, f.TCP.History = 0, 0, 0, flows.StateSH, "SAD"
	})
	once := with(func(f *flows.Flow) { f.TCP.SYNs = 1 })
	idle := with(func(f *flows.Flow) { f.TCP.LongestIdle, f.TCP.LongestIdleFrame = 300e9, pcaps.MakeFrameID(0, 17) })
	for _, test := range []struct {
		name  string
		flow  *flows.Flow
		kind  Kind
		why   string // the reasons and, where it was looked at, what was seen
		other *flows.Flow
	}{
		{"reset by the host, known from another flow", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL = 60 })),
			Blocked, "rst_to_syn; reset_by_host: TTL 60, the host's own packets 60", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 60))},
		{"reset by a device on the path", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL = 63 })),
			Blocked, "rst_to_syn; reset_by_device: TTL 63, the host's own packets 60", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 60))},
		{"reset where a router's both sides are captured, on one of them", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL = 64 })),
			Blocked, "rst_to_syn", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 64), routed)},
		{"reset where a router's both sides are captured, on both", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) {
			f.TCP.ResetTTL, f.Packets[1], f.Duplicate[1] = 64, 2, 1
		})),
			Blocked, "rst_to_syn; reset_by_host: TTL 64, the host's own packets 64", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 64), routed)},
		{"half-open, and the client broke it off", flow(tAgent2, tBG, 44445, brokeOff),
			Indeterminate, "half_open: the client's own reset, in answer to the SYN-ACK", nil},
		{"half-open, and the client broke it off, with copies that were not recognised", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) { f.TCP.SYNs, f.TCP.SYNACKs = 2, 2 })),
			Indeterminate, "half_open: the client's own reset, in answer to the SYN-ACK", nil},
		{"an answer that was not captured, and the client broke it off", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) {
			f.TCP.SYNACKs, f.Packets[1] = 0, 0
		})),
			Indeterminate, "half_open: the client's own reset, in answer to the SYN-ACK", nil},
		{"SYN-ACKs repeated, and data acknowledged: copies that were not recognised", flow(tAgent2, tBG, 44445, mutual(), with(func(f *flows.Flow) {
			f.TCP.SYNACKs, f.Retransmitted[0] = 4, 4
		})),
			Documented, "", nil},
		{"the client asks again, and gives up by a reset", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) {
			f.TCP.SYNs, f.TCP.SYNACKs, f.TCP.ResetFrame = 2, 2, pcaps.MakeFrameID(0, 14)
		})),
			Blocked, "syn_ack_dropped_before_client", nil},
		{"half-open, broken off in the client's name", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) { f.TCP.ResetTTL = 250 })),
			Blocked, "half_open", flow(tAgent2, tSN, 9876, mutual(), ttl(64, 60))},
		{"half-open", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) { f.TCP.ResetBy, f.Ended = flows.ResetByNobody, flows.CaptureEnd })),
			Blocked, "half_open", flow(tAgent1, tBG, 44445, mutual())},
		{"SYNs, FINs and resets alone were captured", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) {
			f.TCP.ResetBy, f.TCP.ResetTTL, f.Packets = flows.ResetByServer, 0, flows.Pair{1, 2}
		})),
			Indeterminate, "nothing_said", nil},
		{"a server that nobody knows is tried", flow(tAgent2, tRogue.Next(), 44445, brokeOff),
			Indeterminate, "half_open: the client's own reset, in answer to the SYN-ACK", nil},
		{"nothing is said to a server that nobody knows", flow(tAgent2, tRogue.Next(), 44445, said(0, 0)),
			Indeterminate, "nothing_said", nil},
		{"keep-alives alone, to a server that nobody knows", flow(tAgent2, tRogue.Next(), 44445, said(0, 0), with(func(f *flows.Flow) { f.TCP = flows.TCP{History: "Aa"} })),
			Indeterminate, "start_not_captured", nil},
		{"begun before the capture, unread, to a server that nobody knows", flow(tAgent2, tRogue.Next(), 44445, with(func(f *flows.Flow) { f.TCP.SYNs, f.TCP.SYNACKs, f.Dissect.Late = 0, 0, true })),
			Indeterminate, "start_not_captured", nil},
		{"another protocol, to a server that nobody knows", flow(tAgent2, tRogue.Next(), 44445, speaks("ssh")),
			Undocumented, "unknown_host", nil},
		{"reset by who knows whom", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL = 63 })),
			Blocked, "rst_to_syn", nil},
		{"a host that is reached on two ways", flow(tAgent2, tBG, 44445, mutual(), ttl(64, 61), reset(60)),
			Blocked, "established_then_dropped; reset_by_host: TTL 60, the host's own packets 60", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 60))},
		{"reset midway by a device", flow(tAgent2, tBG, 44445, mutual(), ttl(64, 60), reset(255)),
			Blocked, "established_then_dropped; reset_by_device: TTL 255, the host's own packets 60", nil},
		{"reset behind what the capture lacks of the server", flow(tAgent2, tBG, 44445, mutual(), ttl(64, 60), reset(60), with(func(f *flows.Flow) { f.TCP.Unseen[1] = true })),
			Documented, "", nil},
		{"reset with numbers of its own", flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL, f.TCP.ResetOdd = 60, true })),
			Blocked, "rst_to_syn; reset_by_device: sequence or acknowledgement numbers that the host would not use", flow(tAgent1, tBG, 44445, mutual(), ttl(64, 60))},
		{"reset on the ClientHello", flow(tAgent2, tBG, 44445, hello, silent, ttl(64, 60), reset(62)),
			Blocked, "rst_on_client_hello; reset_by_device: TTL 62, the host's own packets 60", nil},
		{"no answer from a server that is up", flow(tAgent2, tBG, 44445, unanswered),
			Blocked, "syn_unanswered; server_heard_elsewhere", flow(tAgent1, tBG, 44445, mutual())},
		{"no answer from a server that accepted another connection", flow(tAgent2, tBG, 44445, unanswered),
			Blocked, "syn_unanswered; server_heard_elsewhere", flow(tAgent1, tBG, 44445, said(0, 0))},
		{"no answer from a server that refused another connection", flow(tAgent2, tBG, 44445, unanswered),
			Blocked, "syn_unanswered; server_never_heard", flow(tAgent1, tBG, 44445, refused)},
		{"retries, and nothing of the server is captured", flow(tAgent2, tBG, 44445, unanswered),
			Blocked, "syn_unanswered; server_never_heard", flow(tAgent1, tBG, 44445, hello, oneWay)},
		{"one SYN, and nothing of the server is captured", flow(tAgent2, tBG, 44445, unanswered, once),
			Indeterminate, "one_direction_captured", flow(tAgent1, tBG, 44445, hello, oneWay)},
		{"one SYN, and the capture ends", flow(tAgent2, tBG, 44445, unanswered, once, with(func(f *flows.Flow) { f.Packets[0] = 1 })),
			Indeterminate, "capture_ended", nil},
		{"one SYN, and the capture ends when its retry is about due", flow(tAgent2, tBG, 44445, unanswered, once, with(func(f *flows.Flow) { f.Packets[0] = 1 })),
			Indeterminate, "capture_ended", flow(tAgent1, tSN, 9876, mutual(), with(func(f *flows.Flow) { f.End += 1.1e9 }))},
		{"one SYN, and the capture goes on", flow(tAgent2, tBG, 44445, unanswered, once, with(func(f *flows.Flow) { f.Packets[0] = 1 })),
			Blocked, "syn_unanswered; server_never_heard", flow(tAgent1, tSN, 9876, mutual(), with(func(f *flows.Flow) { f.End += 5e9 }))},
		{"large segments lost before the server said a word", flow(tAgent2, tBG, 44445, hello, silent, stalled, large),
			Indeterminate, "large_segments_lost: the client's data, retransmitted repeatedly", nil},
		{"large segments lost midway", flow(tAgent2, tBG, 44445, mutual(), stalled, large),
			Blocked, "large_segments_lost: the client's data, retransmitted repeatedly", nil},
		{"packets too large for the path", flow(tAgent2, tBG, 44445, mutual(), stalled, large, icmpError(3, 4)),
			Blocked, "icmp_fragmentation_needed", nil},
		{"fragmentation needed, and done", flow(tAgent2, tBG, 44445, mutual(), icmpError(3, 4)), Documented, "", nil},
		{"prohibited midway", flow(tAgent2, tBG, 44445, mutual(), stalled, icmpError(3, 13)),
			Blocked, "established_then_dropped: the client's data, retransmitted repeatedly; icmp_admin_prohibited", nil},
		{"idle, then lost", flow(tAgent2, tBG, 44445, mutual(), stalled, idle),
			Blocked, "idle_connection_killed: the client's data, retransmitted repeatedly", nil},
		{"idle, and alive afterwards", flow(tAgent2, tBG, 44445, mutual(), idle), Documented, "", nil},
		{"a server of messages that hangs", flow(tAgent2, tMS, 7780, said(10, 0), undecided), Blocked, "server_said_nothing", nil},
		{"a server of messages that has not answered yet", flow(tAgent2, tMS, 7780, said(10, 0), undecided, with(func(f *flows.Flow) { f.Ended = flows.CaptureEnd })), Indeterminate, "nothing_said", nil},
		{"a handshake of messages at its beginning", flow(tAgent2, tMS, 7780, said(10, 10), undecided), Indeterminate, "requirement_not_observed", nil},
		{"half-open when the capture ends", flow(tAgent2, tBG, 44445, brokeOff, with(func(f *flows.Flow) { f.TCP.ResetBy, f.Ended, f.Packets[0] = flows.ResetByNobody, flows.CaptureEnd, 1 })),
			Indeterminate, "nothing_said", flow(tAgent1, tBG, 44445, mutual())},
		{"the server says nothing", flow(tAgent2, tBG, 44445, hello, silent), Blocked, "server_said_nothing", nil},
		{"the server's answer was not captured", flow(tAgent2, tBG, 44445, hello, silent, with(func(f *flows.Flow) { f.TCP.Unseen[1] = true })),
			Indeterminate, "bytes_missing", nil},
		{"not documented, and reset", flow(tSN, tBG, 44445, hello, silent, ttl(64, 60), reset(60)),
			Undocumented, "client_role_not_documented; rst_on_client_hello; reset_by_host: TTL 60, the host's own packets 60", nil},
		{"an undocumented echo without a reply", flow(tSN, tCloud, 0, echo, unanswered),
			Undocumented, "icmp_client_role_not_documented; echo_unanswered; server_heard_elsewhere", flow(tAgent1, tCloud, 443, tls("tls.sni=cloud.acronis.com"))},
	} {
		p := testPolicy(t, tInventory)
		if test.other != nil {
			p.Observe(test.other)
		}
		p.Observe(test.flow)
		p.Settle()
		var v Verdict
		p.Judge(test.flow, &v)
		why := saw(v.Reasons)
		if v.Kind != test.kind || why != test.why {
			t.Errorf("%s: %s, %s\nwant %s, %s", test.name, v.Kind, why, test.kind, test.why)
		}
	}
}

// The codes of ICMPv6's destination unreachable (RFC 4443 section 3.1).
func TestUnreachable(t *testing.T) {
	six := func(a netip.Addr) netip.Addr {
		b := netip.MustParseAddr("fd00::").As16()
		copy(b[12:], a.AsSlice())
		return netip.AddrFrom16(b)
	}
	p := rolesFrom(t, "", flow(six(tAgent1), six(tMS), 7780, curve))
	for code, want := range [...]Reason{
		ICMPHostUnreachable, ICMPAdminProhibited, ICMPHostUnreachable, ICMPHostUnreachable,
		ICMPPortUnreachable, ICMPAdminProhibited, ICMPAdminProhibited,
	} {
		var v Verdict
		p.Judge(flow(six(tAgent1), six(tMS), 7780, unanswered, icmpError(1, uint8(code))), &v)
		if v.Kind != Blocked || v.Reasons[0].Reason != want {
			t.Errorf("code %d: %s %v, want %s", code, v.Kind, v.Reasons, want)
		}
	}
}

// A closed window is a concern, and says nothing of the diagram.
func TestZeroWindow(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	for held, want := range map[int64]int{999e6: 0, 1e9: 1} {
		var v Verdict
		p.Judge(flow(tAgent1, tBG, 44445, mutual(), with(func(f *flows.Flow) { f.TCP.ZeroWindow[1] = held })), &v)
		if v.Kind != Documented || len(v.Concerns) != want || want > 0 && v.Concerns[0].Reason != ZeroWindow {
			t.Errorf("closed for %d ns: %s, %v", held, v.Kind, v.Concerns)
		}
	}
}

// The timeout of a device lies between the silence that a connection lived
// through and the one that killed another.
func TestIdleTimeout(t *testing.T) {
	p := testPolicy(t, tInventory)
	add := func(tally *Tally, silence int64, killed bool) {
		f := flow(tAgent1, tBG, 44445, mutual(), with(func(f *flows.Flow) {
			f.TCP.LongestIdle, f.TCP.LongestIdleFrame = silence, pcaps.MakeFrameID(0, 17)
			if killed {
				f.TCP.Stalled[0], f.TCP.StalledFrame[0] = 4, pcaps.MakeFrameID(0, 18)
			}
		}))
		var v Verdict
		p.Judge(f, &v)
		tally.Add(f, &v)
	}
	p.Settle()
	tally := NewTally(p)
	add(tally, 240e9, false)
	add(tally, 900e9, true)
	add(tally, 310e9, true)
	add(tally, 20e9, false)
	a := tally.Audit(Coverage{})
	if len(a.Findings) != 1 || a.Findings[0].IdleKilled != 310e9 || a.Findings[0].IdleLived != 240e9 {
		t.Fatalf("%+v", a.Findings)
	}
	if do := a.Findings[0].Do; !strings.HasSuffix(do, "The shortest silence that ended a connection was 5m10s, and the longest that a connection survived was 4m0s: the timeout lies between the two.") {
		t.Error(do)
	}
	for _, c := range []struct {
		lived, killed int64
		want          string
	}{
		{0, 6e9, "was 6s; the timeout is at most that."},
		{6.11e9, 6.14e9, "was 6.1s; another connection survived one nearly as long: the timeout is about that."},
		{7e9, 6e9, "was 6s, while another connection survived 7s: not every path has the same timeout."},
	} {
		if s := idleTimeout(c.lived, c.killed); !strings.HasSuffix(s, c.want) {
			t.Errorf("lived %d, killed %d: %s", c.lived, c.killed, s)
		}
	}
}

// A client's choice by ping: what was pinged, what was used, how far behind.
func TestChoices(t *testing.T) {
	far, near := netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("203.0.113.12")
	ping := func(to netip.Addr, ns int64) *flows.Flow {
		return flow(tAgent1, to, 0, echo, with(func(f *flows.Flow) {
			if ns == 0 {
				unanswered(f)
			} else {
				f.Facts.SetNum(dissect.ICMPRTT, ns)
			}
		}))
	}
	call := func(to netip.Addr, name string, after time.Duration) *flows.Flow {
		return flow(tAgent1, to, 443, tls("tls.sni="+name), with(func(f *flows.Flow) { f.Start += int64(after); f.End += int64(after) }))
	}
	half := func(f *flows.Flow) *flows.Flow {
		f.Packets[1], f.Bytes[1], f.Payload[1] = 0, 0, 0
		return f
	}
	busy := func(last ...*flows.Flow) (list []*flows.Flow) {
		for i := range 2 * maxChoice {
			list = append(list, call(far, "eu2-cloud.acronis.com", time.Duration(i-2*maxChoice)*time.Minute))
		}
		return append(list, last...)
	}
	for _, test := range []struct {
		name    string
		flows   []*flows.Flow
		choices int
		used    string
		known   bool
		closest bool
		behind  int64
	}{
		{"one server is no choice", []*flows.Flow{ping(far, 40e6), call(far, "eu2-cloud.acronis.com", time.Second)}, 0, "", false, false, 0},
		{"the closest", []*flows.Flow{ping(far, 40e6), ping(near, 9e6), call(near, "eu2-cloud.acronis.com", time.Second)}, 1, near.String(), true, true, 0},
		{"another", []*flows.Flow{ping(far, 40e6), ping(near, 9e6), call(far, "us5-cloud.acronis.com", time.Second)}, 1, far.String(), true, false, 31e6},
		{"as close as can be told", []*flows.Flow{ping(far, 94e5), ping(near, 9e6), call(far, "us5-cloud.acronis.com", time.Second)}, 1, far.String(), true, true, 4e5},
		{"one direction captured", []*flows.Flow{ping(far, 40e6), ping(near, 9e6), half(call(far, "us5-cloud.acronis.com", time.Second))}, 1, far.String(), true, false, 31e6},
		{"used before the echoes", []*flows.Flow{call(far, "us5-cloud.acronis.com", -time.Minute), ping(far, 40e6), ping(near, 9e6)}, 1, "", false, false, 0},
		{"many calls before the echoes", busy(ping(far, 40e6), ping(near, 9e6), call(near, "eu2-cloud.acronis.com", time.Second)), 1, near.String(), true, true, 0},
		{"no answer from the one used", []*flows.Flow{ping(far, 0), ping(near, 9e6), call(far, "us5-cloud.acronis.com", time.Second)}, 1, far.String(), false, false, 0},
	} {
		p := testPolicy(t, tInventory+"  - {address: 203.0.113.12, roles: [cloud]}\n")
		for _, f := range test.flows {
			p.Observe(f)
		}
		p.Settle()
		tally := NewTally(p)
		var v Verdict
		for _, f := range test.flows {
			p.Judge(f, &v)
			tally.Add(f, &v)
		}
		a := tally.Audit(Coverage{})
		if len(a.Choices) != test.choices {
			t.Errorf("%s: %d choices", test.name, len(a.Choices))
			continue
		}
		if test.choices == 0 {
			continue
		}
		c := a.Choices[0]
		used := ""
		if c.Used.IsValid() {
			used = c.Used.String()
		}
		if used != test.used || c.Known != test.known || c.Closest != test.closest || c.Behind != test.behind {
			t.Errorf("%s: used %s, known %t, closest %t, behind %d", test.name, used, c.Known, c.Closest, c.Behind)
		}
		if len(c.Pinged) != 2 || c.Pinged[0].Server != near || c.Pinged[0].RTT != 9e6 {
			t.Errorf("%s: pinged %+v", test.name, c.Pinged)
		}
	}
}

// An alert calls for a step of its own, and several for the general one.
func TestAdvice(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	failed := func(alert string) *flows.Flow {
		if alert == "" {
			return flow(tAgent1, tBG, 44445, speaks("tls", "tls.handshake=failed", "http.status=400"))
		}
		return flow(tAgent1, tBG, 44445, speaks("tls", "tls.version=1.2", "tls.client_cert=present", "tls.handshake=failed", "tls.alert="+alert, "tls.alert_by=server"))
	}
	for _, test := range []struct{ first, second, do string }{
		{"unknown_ca", "unknown_ca", "give it the issuing CA"},
		{"unknown_ca", "certificate_expired", "Check the client's certificate or key"},
		{"", "", "it does not speak TLS"},
	} {
		tally := NewTally(p)
		var v Verdict
		for _, alert := range []string{test.first, test.second} {
			f := failed(alert)
			p.Judge(f, &v)
			tally.Add(f, &v)
		}
		a := tally.Audit(Coverage{})
		if len(a.Findings) != 1 || !strings.Contains(a.Findings[0].Do, test.do) {
			t.Errorf("%s and %s: %+v", test.first, test.second, a.Findings)
		}
	}

	tally := NewTally(p)
	f := flow(tAgent1, tBG, 44445, brokeOff)
	var v Verdict
	p.Judge(f, &v)
	tally.Add(f, &v)
	if a := tally.Audit(Coverage{}); len(a.Findings) != 1 || !strings.Contains(a.Findings[0].Do, "Nothing to fix") {
		t.Errorf("a probe: %+v", a.Findings)
	}
}

// Who sent a reset is an open question only where its TTL does not answer it.
func TestUnknownResetter(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Observe(flow(tAgent1, tBG, 44445, mutual(), with(func(f *flows.Flow) { f.TCP.TTL = [2]uint8{64, 60} })))
	p.Settle()
	for _, c := range []struct {
		ttl  uint8
		open bool
	}{{0, true}, {60, false}, {63, false}} {
		f := flow(tAgent2, tBG, 44445, refused, with(func(f *flows.Flow) { f.TCP.ResetTTL = c.ttl }))
		var v Verdict
		p.Judge(f, &v)
		asks := slices.ContainsFunc(p.Unknowns(f, &v, nil), func(u Unknown) bool { return strings.Contains(u.What, "sent the reset") })
		if asks != c.open {
			t.Errorf("TTL %d, %v: asks who sent the reset: %t", c.ttl, v.Reasons, asks)
		}
	}
}

// Hosts that were spoken with and not heard are named.
func TestUnheard(t *testing.T) {
	p := testPolicy(t, tInventory)
	oneWay := with(func(f *flows.Flow) { f.Packets[1], f.Payload[1], f.TCP.SYNACKs = 0, 0, 0 })
	p.Observe(flow(tAgent1, tBG, 44445, mutual(), oneWay))
	p.Observe(flow(tAgent1, tSN, 9876, mutual(), oneWay))
	p.Observe(flow(tAgent2, tSN, 9876, mutual()))
	p.Observe(flow(tBG, netip.MustParseAddr("10.0.0.53"), 53, with(func(f *flows.Flow) { f.Proto = flows.ProtoUDP }))) // what bg sends over UDP is captured
	p.Settle()
	notes := strings.Join(NewTally(p).Audit(Coverage{}).Notes, "\n")
	if !strings.Contains(notes, "Other hosts sent TCP to bg, and nothing sent from there") || !strings.Contains(notes, "Some connections of sn were") {
		t.Error(notes)
	}
}

// TestMirrorOfOneDirection judges echo requests without replies: the silence of
// hosts that were never heard is the capture's where it has half of all
// connections, or of those with that host.
func TestMirrorOfOneDirection(t *testing.T) {
	oneWay := with(func(f *flows.Flow) { f.Packets[1], f.Payload[1], f.TCP.SYNACKs = 0, 0, 0 })
	for _, test := range []struct {
		name string
		seen []*flows.Flow
		want Kind
	}{
		{"one direction of all", []*flows.Flow{flow(tAgent1, tSN, 9876, mutual(), oneWay)}, Indeterminate},
		{"both of others", []*flows.Flow{flow(tAgent1, tSN, 9876, mutual())}, Blocked},
		{"both of others, one of this host", []*flows.Flow{flow(tAgent1, tSN, 9876, mutual()), flow(tAgent1, tCloud, 44445, mutual(), oneWay)}, Indeterminate},
		{"nothing else", nil, Blocked},
	} {
		p := testPolicy(t, tInventory)
		for _, f := range test.seen {
			p.Observe(f)
		}
		ping := flow(tAgent1, tCloud, 0, echo, unanswered)
		p.Observe(ping)
		p.Settle()
		var v Verdict
		p.Judge(ping, &v)
		if v.Kind != test.want || test.want == Indeterminate && v.Reasons[0].Reason != OneDirectionCaptured {
			t.Errorf("%s: %v, %v, want %v", test.name, v.Kind, v.Reasons, test.want)
		}
	}
}

// TestSampled judges what a capture shows in which bytes are missing from many
// connections, or from most: there silence means little, and then that a host is
// not known to play a part.
func TestSampled(t *testing.T) {
	holed := with(func(f *flows.Flow) { f.Missed[1] = 1000 })
	lone := with(func(f *flows.Flow) { f.TCP.SYNs = 1 })
	for _, test := range []struct {
		name             string
		seen             []func(*flows.Flow) // what is so of connections, in turn
		ping, syn, other string
	}{
		{"whole", []func(*flows.Flow){said(400, 400)}, "blocked echo_unanswered", "blocked syn_unanswered", "undocumented client_role_not_documented"},
		{"holes in one of eight", []func(*flows.Flow){holed, said(1, 1), said(1, 1), said(1, 1), said(1, 1), said(1, 1), said(1, 1), said(1, 1)},
			"blocked echo_unanswered", "blocked syn_unanswered", "undocumented client_role_not_documented"},
		{"holes in half", []func(*flows.Flow){holed, said(1, 1)}, "indeterminate bytes_missing", "indeterminate bytes_missing", "undocumented client_role_not_documented"},
		{"holes in most", []func(*flows.Flow){holed}, "indeterminate bytes_missing", "indeterminate bytes_missing", "indeterminate role_not_known"},
		{"holes in half, beginnings missing from the others", []func(*flows.Flow){holed, midway}, "indeterminate bytes_missing", "indeterminate bytes_missing", "indeterminate role_not_known"},
	} {
		p := testPolicy(t, "")
		for i := range 24 {
			from := []netip.Addr{tAgent1, tAgent2}[i/8%2]
			p.Observe(flow(from, tMS, 7780, curve, test.seen[i%len(test.seen)]))
			p.Observe(flow(from, tSN, 9876, mutual(), test.seen[i%len(test.seen)]))
			p.Observe(flow(tSN, tMS, 7780, curve, test.seen[i%len(test.seen)]))
		}
		for i, f := range []*flows.Flow{flow(tAgent1, tCloud, 0, echo, unanswered), flow(tAgent2, tMS, 7780, unanswered, lone), flow(tSN, tMS, 9877, tls())} {
			p.Observe(f)
			p.Settle()
			var v Verdict
			p.Judge(f, &v)
			got, want := v.Kind.String()+" "+v.Reasons[0].Reason.String(), []string{test.ping, test.syn, test.other}[i]
			if got != want {
				t.Errorf("%s: %d: %s, want %s", test.name, i, got, want)
			}
		}
	}
}

// What the frame of an example shows is in the words of those who know the
// protocol.
func TestSays(t *testing.T) {
	for _, c := range []struct {
		reason Reason
		saw    string
		want   string
	}{
		{TLSCipherRC4, "0x0005", "the suite TLS_RSA_WITH_RC4_128_SHA (0x0005)"},
		{TLSCipherNull, "0x003b", "the suite 0x003b"},
		{TLSCipherNull, "?", "the suite ?"},
		{TLSVersionObsolete, "1.0", "TLS 1.0"},
		{TLSVersionTooOld, "ssl3", "saw ssl3"},
		{PlaintextHTTPOn443, "http", "saw http"},
		{RejectedByServer, "unknown_ca", "the alert unknown_ca"},
		{TLSHandshakeFailed, answeredByHTTP, "an answer of HTTP in clear"},
		{UnknownSNI, "x.example", "the server name x.example"},
		{MTLSClientCertMissing, "empty", "an empty Certificate message"},
		{MTLSNotRequestedByServer, "absent", "no client certificate"},
		{ServerCertificateNameMismatch, "x.example", "a certificate for x.example"},
		{ServerCertificateExpired, "2026-01-01T00:00:00Z", "valid until 2026-01-01T00:00:00Z"},
		{ServerCertificateNotYetValid, "2026-01-01T00:00:00Z", "valid from 2026-01-01T00:00:00Z"},
		{JWTInClear, "header", "a token in the header"},
		{JWTAlgNone, "none", "a token with alg none"},
		{SMBAuthFailed, "STATUS_LOGON_FAILURE", "the status STATUS_LOGON_FAILURE"},
		{ICMPPortUnreachable, "10.1.0.1, the server itself", "answer from 10.1.0.1, the server itself"},
		{HalfOpen, brokenOff, brokenOff},
		{SYNUnanswered, "", SYNUnanswered.Explain()},
	} {
		if got := says(c.reason, c.saw); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.saw, c.reason, got, c.want)
		}
	}
}

// What is asked and not answered says nothing where the capture lacks what the
// client receives, or all that comes back from outside.
func TestAnswersNotCaptured(t *testing.T) {
	repliesLost := func(f *flows.Flow) { // as seen: the client acknowledges what the capture lacks
		f.Packets[1], f.Bytes[1], f.Payload[1] = 0, 0, 0
		f.TCP.SYNACKs, f.TCP.SYNACKFrame, f.TCP.History = 0, 0, "SADF"
	}
	ping := func() *flows.Flow { return flow(tAgent1, tCloud, 0, echo, unanswered) }
	tests := []struct {
		name string
		more []*flows.Flow
		kind Kind
		why  string
	}{
		{"everything else of the client is whole", []*flows.Flow{flow(tAgent1, tMS, 9877, tls()), flow(tAgent2, tCloud, 0, echo)}, Blocked, "echo_unanswered server_heard_elsewhere"},
		{"nothing that the client receives", []*flows.Flow{flow(tAgent1, tMS, 9877, tls(), repliesLost), flow(tAgent2, tMS, 9877, tls()), flow(tAgent2, tCloud, 0, echo)}, Indeterminate, "one_direction_captured"},
		{"nothing that comes from outside", []*flows.Flow{flow(tAgent1, tMS, 9877, tls()), flow(tAgent1, tOther, 443, tls(), repliesLost)}, Indeterminate, "one_direction_captured"},
		{"the way outside is closed", []*flows.Flow{flow(tAgent1, tMS, 9877, tls()), flow(tAgent1, tOther, 443, unanswered)}, Blocked, "echo_unanswered server_never_heard"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPolicy(t, tInventory)
			f := ping()
			for _, o := range append(tt.more, f) {
				p.Observe(o)
			}
			p.Settle()
			var v Verdict
			if p.Judge(f, &v); v.Kind != tt.kind || reasonNames(&v) != tt.why {
				t.Errorf("%s %s, want %s %s", v.Kind, reasonNames(&v), tt.kind, tt.why)
			}
		})
	}
}

// reasonNames are the reasons of v in their order.
func reasonNames(v *Verdict) string {
	var names []string
	for _, r := range v.Reasons {
		names = append(names, r.Reason.String())
	}
	return strings.Join(names, " ")
}

// A capture that shows part of a site: what an end may well be, it is not held
// against it that the capture does not show it.
func TestRoleNotKnown(t *testing.T) {
	at := netip.MustParseAddr
	const whose = "role_not_known"
	ping := func(server netip.Addr) *flows.Flow { return flow(tAgent1, server, 0, echo) }
	agent := flow(tAgent1, tMS, 7780, curve)
	indexed := []*flows.Flow{flow(tCat, tSN, 9876, mutual()), flow(tAgent1, tSN, 9876, mutual()), flow(tAgent1, tBG, 44445, mutual()), flow(tMS, tCat, 9200, speaks("http"))}
	gateway := []*flows.Flow{agent, flow(tAgent1, tCloud, 44445, mutual()), flow(tAgent2, tCloud, 44445, mutual())}
	tests := []struct {
		name string
		flow *flows.Flow
		more []*flows.Flow
		kind Kind
		why  string
	}{
		{"the catalog's client, of a site without a management server", flow(tMS, tCat, 9200, speaks("http")), indexed, Indeterminate, whose},
		{"and of one that has another", flow(tRogue, tCat, 9200, speaks("http")), append(slices.Clone(indexed), agent), Undocumented, "unknown_host client_role_not_stated"},
		{"a client of the file service", flow(tRogue, tFS, 445, speaks("smb")), site(), Indeterminate, whose},
		{"a client of the cloud", flow(tRogue, tCloud, 443, tls("tls.sni=cloud.acronis.com")), site(), Indeterminate, whose},
		{"a component beside another on one machine, nothing of it readable", flow(tAgent1, tMS, 9876, lossy), []*flows.Flow{agent}, Indeterminate, "bytes_missing"},
		{"what such a component calls", flow(tMS, tFS, 445, speaks("smb")), []*flows.Flow{agent, flow(tAgent1, tMS, 9876, lossy)}, Indeterminate, whose},
		{"a component beside another, one connection readable", flow(tAgent1, tMS, 9876, lossy), []*flows.Flow{agent, flow(tAgent1, tMS, 9876, speaks("ssh"))}, Undocumented, "port_not_documented"},
		{"ping, by one that may be an agent as well as a console", ping(tOther), []*flows.Flow{flow(tAgent1, tMS, 9877, tls()), flow(tAgent2, tMS, 7780, curve)}, Indeterminate, whose},
		{"updates of a site behind one address, of which an agent is known", flow(tAgent1, tCloud, 80, speaks("http", "http.host=dl.acronis.com")), gateway[1:], Indeterminate, whose},
		{"updates, where the management server is known", flow(tAgent1, tCloud, 80, speaks("http", "http.host=dl.acronis.com")), append(slices.Clone(gateway), dnsSays("cloud.acronis.com", "203.0.113.10")), Undocumented, "client_role_not_documented"},
		{"a server of one agent's requests", flow(tAgent1, tRogue, 9877, tls("tls.handshake=incomplete")), []*flows.Flow{agent}, Indeterminate, whose},
		{"a storage, called by one that may be an agent as well as a console", flow(tAgent2, tFS, 2049, from(800), speaks("nfs")),
			[]*flows.Flow{flow(tAgent2, tMS, 9877, tls()), flow(tAgent1, tMS, 7780, curve), flow(tAgent1, tSN, 9876, mutual()), flow(tSN, tMS, 7780, curve), flow(tSN, tFS, 2049, from(801), speaks("nfs"))}, Indeterminate, whose},
		{"a storage, called by one of which nothing is known", flow(tAgent2, tFS, 2049, from(800), speaks("nfs")),
			[]*flows.Flow{flow(tAgent1, tSN, 9876, mutual()), flow(tCat, tSN, 9876, mutual()), flow(tSN, tMS, 7780, curve), flow(tSN, tFS, 2049, from(801), speaks("nfs"))}, Indeterminate, whose},
		{"a storage of which nothing else is known, called by one that may be an agent as well as a console", flow(tAgent2, tFS, 2049, from(800), speaks("nfs")),
			[]*flows.Flow{flow(tAgent2, tMS, 9877, tls()), flow(tAgent1, tMS, 7780, curve)}, Indeterminate, whose},
		{"a web server, called by one that may be an agent as well as a console", flow(tAgent2, tRogue, 443, tls()),
			[]*flows.Flow{flow(tAgent2, tMS, 9877, tls()), flow(tAgent1, tMS, 7780, curve)}, Undocumented, "unknown_host"},
		{"the world's HTTPS, called by the storage node", flow(tSN, tOther, 443, tls("tls.sni=bucket.example.net")), site(), Indeterminate, whose},
		{"the world's HTTPS, called by an agent", flow(tAgent1, tOther, 443, tls("tls.sni=bucket.example.net")), site(), Undocumented, "unknown_sni"},
		{"HTTPS of the site, called by the storage node", flow(tSN, tRogue, 443, tls()), site(), Documented, ""},
		{"a port of the storage node's, midway, at a host that was seen to act as an agent", flow(tAgent1, tAgent2, 9876, tls(), midway),
			[]*flows.Flow{agent, flow(tAgent1, tFS, 445, speaks("smb")), flow(tAgent2, tMS, 7780, curve), flow(tAgent2, tFS, 445, speaks("smb"))}, Indeterminate, "start_not_captured"},
		{"another port of it", flow(tAgent1, tAgent2, 22, midway),
			[]*flows.Flow{agent, flow(tAgent1, tFS, 445, speaks("smb")), flow(tAgent2, tMS, 7780, curve), flow(tAgent2, tFS, 445, speaks("smb"))}, Undocumented, "agent_to_agent"},
		{"headers alone", flow(tAgent1, tBG, 44445, lossy), []*flows.Flow{agent}, Indeterminate, "bytes_missing"},
		{"headers alone, where nothing is required", flow(tMS, tCat, 9200, said(0, 0), with(func(f *flows.Flow) { f.TCP = flows.TCP{PortsOnly: true} })), []*flows.Flow{agent}, Indeterminate, whose},
		{"headers alone, of a helper of NFS", flow(tAgent1, tFS, 20048, from(801), lossy), []*flows.Flow{agent}, Indeterminate, "bytes_missing"},

		{"the catalog, known by what it calls alone, is blocked", flow(tMS, tCat, 9200, unanswered), []*flows.Flow{flow(tCat, tSN, 9876, mutual()), flow(tAgent1, tSN, 9876, mutual()), agent}, Blocked, "syn_unanswered server_heard_elsewhere"},
		{"and called, with nothing captured of that", flow(tMS, tCat, 9200, said(0, 0)), []*flows.Flow{flow(tCat, tSN, 9876, mutual()), flow(tAgent1, tSN, 9876, mutual()), agent}, Indeterminate, whose},
		{"a gateway outside, nameless, may be the cloud's", flow(tAgent1, tCloud, 443, tls()), gateway, Indeterminate, "no_sni"},
		{"likewise pinged", ping(tCloud), gateway, Indeterminate, whose},
		{"a gateway outside that has a name", flow(tAgent1, tCloud, 443, tls()), append(slices.Clone(gateway), flow(tAgent1, tCloud, 44445, mutual("tls.sni=gw.site.example"))), Undocumented, "port_not_documented"},

		{"ping, no lookups captured", ping(tOther), []*flows.Flow{agent}, Indeterminate, whose},
		{"ping, a lookup of another cloud's name; this one may be cached", ping(tOther), []*flows.Flow{agent, dnsSays("cloud.acronis.com", "203.0.113.10")}, Indeterminate, whose},
		{"ping, and another asks for a name of the cloud there", ping(tOther), []*flows.Flow{agent, dnsSays("cloud.acronis.com", "203.0.113.10"), flow(tAgent2, tOther, 443, tls("tls.sni=eu2-cloud.acronis.com"))}, Documented, ""},
		{"ping, and another host's lookup names it", ping(tOther), []*flows.Flow{agent, flow(tRogue, tDNS, 53, udp, speaks("dns", "dns.qname=eu2-cloud.acronis.com", "dns.answer=203.0.113.99"))}, Documented, ""},
		{"ping, another name", ping(tOther), []*flows.Flow{agent, dnsSays("www.site.example", "203.0.113.99")}, Undocumented, "icmp_to_undocumented_cloud_address"},
		{"ping, a cloud's name that belongs elsewhere", ping(tOther), []*flows.Flow{agent, flow(tAgent2, tDNS, 53, udp, speaks("dns", "dns.qname=cloud.acronis.com", "dns.answer=203.0.113.10")),
			flow(tAgent1, tOther, 443, tls("tls.sni=cloud.acronis.com"))}, Undocumented, "icmp_to_undocumented_cloud_address"},
		{"ping, a certificate with all of the cloud's names among others", ping(tOther), []*flows.Flow{agent, flow(tAgent2, tOther, 8443, tls("tls.cert_san=www.site.example", "tls.cert_san=eu2-cloud.acronis.com"))}, Indeterminate, whose},
		{"ping, likewise, and asked for another name", ping(tOther), []*flows.Flow{agent, flow(tAgent2, tOther, 8443, tls("tls.sni=www.site.example", "tls.cert_san=eu2-cloud.acronis.com"))}, Undocumented, "icmp_to_undocumented_cloud_address"},
		{"ping, replies alone", flow(tAgent1, tOther, 0, echo, repliesAlone), []*flows.Flow{agent, dnsSays("cloud.acronis.com", "203.0.113.10")}, Indeterminate, whose},

		{"a vSphere host, replies missing", flow(tAgent1, at("10.1.0.8"), 902, unanswered, with(func(f *flows.Flow) {
			f.Payload[0], f.TCP.Acked = 100, true
		})), []*flows.Flow{agent}, Indeterminate, "one_direction_captured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := rolesFrom(t, "", append(slices.Clone(tt.more), tt.flow, flow(at("10.9.9.8"), at("10.9.9.9"), 22, with(func(f *flows.Flow) { f.End += 60e9 })))...)
			var v Verdict
			if p.Judge(tt.flow, &v); v.Kind != tt.kind || reasonNames(&v) != tt.why {
				t.Errorf("%s %s, want %s %s; roles %q %q", v.Kind, reasonNames(&v), tt.kind, tt.why, p.rolesText(tt.flow.Client.Addr()), p.rolesText(tt.flow.Server.Addr()))
			}
		})
	}
}

// Without an inventory and with no host of a role at either end, little is looked
// at; what the diagram calls ambient is ambient all the same.
func TestJudgeStrangers(t *testing.T) {
	p := rolesFrom(t, "", site()...)
	a, b := netip.MustParseAddr("10.9.9.8"), netip.MustParseAddr("10.9.9.9")
	var v Verdict
	for _, test := range []struct {
		flow *flows.Flow
		kind Kind
		why  string
	}{
		{flow(a, b, 53, udp, speaks("dns")), Ambient, ""},
		{flow(a, b, 53, udp, unanswered, icmpError(3, 3)), Ambient, "icmp_port_unreachable@12"},
		{flow(a, b, 53, udp, icmpError(3, 3)), Ambient, ""}, // answered all the same
		{flow(a, b, 53, unanswered, icmpError(3, 3)), Ambient, ""},
		{flow(a, b, 53, udp, speaks("ssh")), OutOfScope, ""},
		{flow(a, b, 22), OutOfScope, ""},
	} {
		if p.Judge(test.flow, &v); v.Kind != test.kind || evidence(v.Reasons) != test.why {
			t.Errorf("%s: %s %s, want %s %s", test.flow.Server, v.Kind, evidence(v.Reasons), test.kind, test.why)
		}
	}
}

// A documented name at an address that DNS gave for no such name is a disguise,
// but not where the inventory or another of the edge's names vouches for it.
func TestNamesAtAddresses(t *testing.T) {
	for _, test := range []struct {
		name      string
		inventory string
		server    netip.Addr
		more      []*flows.Flow
		kind      Kind
		why       string
	}{
		{"as DNS has it", tInventory, tOther, []*flows.Flow{dnsSays("cloud.acronis.com", "203.0.113.99")}, Undocumented, "unknown_host"},
		{"elsewhere", tInventory, tOther, []*flows.Flow{dnsSays("cloud.acronis.com", "203.0.113.10")}, Undocumented, "sni_address_mismatch"},
		{"elsewhere, and the inventory knows the address", tInventory, tCloud, []*flows.Flow{dnsSays("cloud.acronis.com", "203.0.113.99")}, Documented, ""},
		{"elsewhere, and DNS gave the address for another of the names", "", tOther,
			append(site(), dnsSays("eu2-cloud.acronis.com", "203.0.113.99")), Documented, ""},
		{"elsewhere, and DNS gave the address for a name of nobody's", "", tOther,
			append(site(), dnsSays("www.example.org", "203.0.113.99")), Undocumented, "sni_address_mismatch"},
		{"elsewhere, and a client asked for another of the names there", "", tOther,
			append(site(), flow(tAgent2, tOther, 8443, tls("tls.sni=eu2-cloud.acronis.com"))), Undocumented, "sni_address_mismatch"},
		{"elsewhere, as of everything that DNS answered", "", tOther,
			[]*flows.Flow{flow(tAgent1, tMS, 7780, curve), flow(tAgent1, tSN, 9876, mutual()), dnsSays("cloud.acronis.com", "192.0.2.1"), dnsSays("ms.example", "192.0.2.2")}, Documented, ""},
		{"elsewhere, and another name is where DNS has it", "", tOther,
			[]*flows.Flow{flow(tAgent1, tMS, 7780, curve), flow(tAgent1, tSN, 9876, mutual()), dnsSays("cloud.acronis.com", "192.0.2.1"), dnsSays("ms.example", tMS.String())}, Undocumented, "sni_address_mismatch"},
	} {
		call := flow(tAgent1, test.server, 443, tls("tls.sni=cloud.acronis.com"))
		p := rolesFrom(t, test.inventory, append(slices.Clone(test.more), call)...)
		var v Verdict
		if p.Judge(call, &v); v.Kind != test.kind || reasonNames(&v) != test.why {
			t.Errorf("%s: %s %s, want %s %s", test.name, v.Kind, reasonNames(&v), test.kind, test.why)
		}
	}
}

// A resumed session shows no certificate; it rests on a full handshake of the same
// two hosts that met what the edge requires.
func TestResumedAfterFullHandshake(t *testing.T) {
	resumed := func(facts ...string) *flows.Flow {
		return flow(tAgent1, tSN, 9876, tls(append([]string{"tls.version=1.2", "tls.resumed"}, facts...)...))
	}
	for _, test := range []struct {
		name string
		flow *flows.Flow
		more *flows.Flow
		kind Kind
		why  string
	}{
		{"met before", resumed(), flow(tAgent1, tSN, 9876, mutual()), Documented, ""},
		{"another client did", resumed(), flow(tAgent2, tSN, 9876, mutual()), Indeterminate, "session_resumed"},
		{"another edge was met", resumed(), flow(tAgent1, tMS, 9877, tls()), Indeterminate, "session_resumed"},
		{"spoken before, without a certificate", resumed(), flow(tAgent1, tSN, 9876, tls()), Indeterminate, "session_resumed"},
		{"resumed, and known from less than all", resumed("tls.client_cert=present", "tls.client_cert_basis=inferred", "tls.client_cert_confidence=medium"),
			flow(tAgent1, tSN, 9876, mutual()), Indeterminate, "session_resumed"},
		{"not resumed", flow(tAgent1, tSN, 9876, tls()), flow(tAgent1, tSN, 9876, mutual()), Indeterminate, "requirement_not_observed"},
	} {
		p := rolesFrom(t, tInventory, test.more)
		var v Verdict
		if p.Judge(test.flow, &v); v.Kind != test.kind || reasonNames(&v) != test.why {
			t.Errorf("%s: %s %s, want %s %s", test.name, v.Kind, reasonNames(&v), test.kind, test.why)
		}
	}
}

// Of two edges that say the same of a flow, it belongs to the one whose client is known.
func TestEdgeOfKnownClient(t *testing.T) {
	call := flow(tAdmin, tMS, 9877, tls(), with(func(f *flows.Flow) { f.Packets[1], f.Bytes[1], f.Payload[1] = 0, 0, 0 }))
	p := rolesFrom(t, "", append(site(), call)...)
	var v Verdict
	if p.Judge(call, &v); v.Kind != Indeterminate || v.Edge == nil || v.Edge.ID != "console-rest" {
		t.Errorf("%s, edge %v; the client plays %q", v.Kind, v.Edge, p.rolesText(tAdmin))
	}
}

// A server that says nothing showed nothing of what the edge requires, whatever
// the client said.
func TestServerWithoutWords(t *testing.T) {
	p := testPolicy(t, tInventory)
	p.Settle()
	var v Verdict
	p.Judge(flow(tAgent1, tCloud, 443, speaks("tls", "tls.sni=cloud.acronis.com"), with(func(f *flows.Flow) {
		f.Payload[1], f.TCP.AckedData[0], f.Ended, f.TCP.State, f.TCP.History = 0, false, flows.CaptureEnd, flows.StateS1, "ShAD"
	})), &v)
	if v.Kind != Indeterminate || reasonNames(&v) != "nothing_said" {
		t.Errorf("%s %s, want indeterminate nothing_said", v.Kind, reasonNames(&v))
	}
}
