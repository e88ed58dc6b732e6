package rules

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// Tally folds verdicts into an Audit: flows with the same verdict for the same
// reason, between the same components at the same service, become one Finding.
// What it keeps is bounded; what found no room is counted.
type Tally struct {
	p        *Policy
	verdicts [kinds]Count
	edges    []edgeCount
	groups   map[groupKey]*group
	order    []*group
	counted  []*group         // that the last flow was counted in
	crowds   map[groupKey]int // strangers kept apart, by their group without the stranger
	overflow uint64           // flows of findings that found no room
	pairs    pairBook
	ambient  pairList
	others   pairList // between hosts without a role

	choosers     map[netip.Addr]*chooser
	chooserOrder []*chooser
	unchosen     bool // some clients or servers of choices found no room

	detail *detail // nil unless asked for

	flows, oneSided, lateStart, tcp uint64
	bothWays                        bool
	missed, payload                 uint64
	inferred, lessSure              uint64 // connections whose client certificate was told from record sizes
}

type edgeCount struct {
	verdicts [kinds]Count
	first    pcaps.FrameID
	client   netip.AddrPort
	server   netip.AddrPort
	rank     int   // of the example's verdict
	since    int64 // packet times of the first flow's beginning and the last one's end
	last     int64
	lived    int64 // longest silence that a connection lived through, nanoseconds
	pairs    pairList
}

// groupKey is what the flows of one Finding share. An end is the component that
// the finding tells, whatever other roles its host has: two findings that tell
// the same would have one id. The addresses are those of ends without a role.
type groupKey struct {
	concern    bool
	kind       Kind
	reason     Reason
	edge       *Edge
	from, to   *Component // nil for ends without a role
	fromAddr   netip.Addr
	toAddr     netip.Addr
	proto      uint8
	port       uint16
	strangers  bool // several hosts without a role, no longer told apart
	manyPorts  bool
	anyDynamic bool
	noEcho     bool // messages of ICMP that are no echoes
}

type group struct {
	key         groupKey
	id          string // of its finding
	count       Count
	first, last int64
	clients     []netip.Addr
	servers     []netip.Addr
	port        uint16 // of the server of all its flows; 0 when they differ
	example     Example
	saw         string
	carried     []string // what its flows were, the first few, where it is of undocumented ones: see carried
	advice      string   // what the alerts of all its flows call for; "" when they differ
	cause       Reason   // what all its flows tell of the cause beside the reason; NoReason when they differ
	idleKilled  int64    // shortest silence that ended a connection, nanoseconds; 0 for none
	pairs       pairList
}

const (
	maxGroups    = 4096
	maxStrangers = 16 // hosts without a role that are told apart in one kind of finding
)

// MaxNamed is how many clients, and how many servers, a Finding names.
const MaxNamed = 8

// NewTally makes an empty Tally of a policy.
func NewTally(p *Policy) *Tally {
	return &Tally{
		p:      p,
		edges:  make([]edgeCount, len(p.edges)),
		groups: make(map[groupKey]*group),
		crowds: make(map[groupKey]int),
		pairs:  make(pairBook),
	}
}

// Add counts one flow and its verdict.
func (t *Tally) Add(f *flows.Flow, v *Verdict) {
	bytes := f.Bytes.Sum()
	t.flows++
	t.counted = t.counted[:0]
	t.verdicts[v.Kind].add(bytes)
	t.bothWays = t.bothWays || f.Packets[0] > 0 && f.Packets[1] > 0
	if f.Proto == flows.ProtoTCP {
		t.tcp++
		if f.OneSided() {
			t.oneSided++
		}
		if late(f) && !f.TCP.PortsOnly {
			t.lateStart++
		}
		if f.Facts.Text(dissect.TLSClientCertBasis) == "inferred" {
			t.inferred++
			if !sureOfClientCert(f) {
				t.lessSure++
			}
		}
		t.missed += f.Missed.Sum()
		t.payload += f.Payload.Sum()
	}
	if v.Edge != nil {
		switch v.Kind {
		case Documented, Violation, Blocked, Indeterminate:
			t.addEdge(f, v, bytes)
			t.choose(f, v, bytes)
		}
	}
	if decides := v.Decides(); decides != nil && v.Kind != Ambient {
		t.addTo(f, v, decides, false, bytes)
	}
	switch v.Kind {
	case Ambient:
		t.pairs.add(&t.ambient, f, v.Kind, bytes)
	case OutOfScope:
		t.pairs.addOther(&t.others, f, bytes)
	}
	for i := range v.Concerns {
		t.addTo(f, v, &v.Concerns[i], true, bytes)
	}
	if t.detail != nil {
		t.detail.add(f, v, bytes)
	}
}

func (c *Count) add(bytes uint64) {
	c.Flows++
	c.Bytes += bytes
}

func (t *Tally) addEdge(f *flows.Flow, v *Verdict, bytes uint64) {
	x := t.p.edgeOf(v.Edge)
	if x == nil {
		return
	}
	e := &t.edges[x.index]
	e.verdicts[v.Kind].add(bytes)
	if e.since == 0 || f.Start < e.since {
		e.since = f.Start
	}
	e.last = max(e.last, f.End)
	t.pairs.add(&e.pairs, f, v.Kind, bytes)
	if v.Kind != Blocked {
		e.lived = max(e.lived, f.TCP.LongestIdle)
	}
	// The example is of the verdict that the state speaks of.
	rank := [kinds]int{Indeterminate: 1, Blocked: 2, Documented: 3, Violation: 4}[v.Kind]
	if rank > e.rank {
		e.rank, e.first, e.client, e.server = rank, f.Frame, f.Client, f.Server
		if len(v.Reasons) > 0 && v.Reasons[0].Frame != 0 {
			e.first = v.Reasons[0].Frame
		}
	}
}

func (t *Tally) addTo(f *flows.Flow, v *Verdict, b *Because, concern bool, bytes uint64) {
	clientAddr, serverAddr := t.p.translated.ends(f)
	client, server := t.p.end(clientAddr), t.p.end(serverAddr)
	k := groupKey{concern: concern, kind: v.Kind, reason: b.Reason, edge: v.Edge, proto: f.Proto, port: f.Server.Port()}
	switch {
	case b.Reason == PortScan:
		k.manyPorts, k.port, k.edge = true, 0, nil
	case b.Reason == InboundToDynamicPort:
		k.anyDynamic, k.port = true, 0
	case f.Proto != flows.ProtoTCP && f.Proto != flows.ProtoUDP && f.Proto != flows.ProtoSCTP:
		k.port = 0
		k.noEcho = (f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6) && !isEcho(f)
	}
	if concern {
		k.kind = Documented // good practice is the same whatever the verdict
	}
	k.from, k.to = t.told(client.roles, k.edge, true), t.told(server.roles, k.edge, false)
	if k.from == nil || k.to == nil {
		crowd := k
		if k.from == nil {
			k.fromAddr = clientAddr
		}
		if k.to == nil {
			k.toAddr = serverAddr
		}
		if t.groups[k] == nil {
			if t.crowds[crowd] >= maxStrangers {
				k = crowd
				k.strangers = true
			} else if len(t.groups) < maxGroups {
				t.crowds[crowd]++
			}
		}
	}
	g := t.groups[k]
	if g == nil {
		if len(t.groups) >= maxGroups {
			t.overflow++
			return
		}
		frame := b.Frame
		if frame == 0 {
			frame = f.Frame
		}
		saw := strings.Clone(b.Saw)
		for i := range f.ICMP {
			if saw == "" && f.ICMP[i].Frame == b.Frame {
				saw = Answered(f, &f.ICMP[i])
			}
		}
		g = &group{key: k, id: t.findingID(&k), first: f.Start, saw: saw, cause: cause(v), advice: advice(f, b), port: f.Server.Port(), example: Example{Client: f.Client, Server: f.Server, Frame: frame}}
		t.groups[k] = g
		t.order = append(t.order, g)
	}
	if g.port != f.Server.Port() {
		g.port = 0
	}
	if g.advice != advice(f, b) {
		g.advice = ""
	}
	if g.cause != cause(v) {
		g.cause = NoReason
	}
	if idle := f.TCP.LongestIdle; b.Reason == IdleConnectionKilled && (g.idleKilled == 0 || idle < g.idleKilled) {
		g.idleKilled = idle
	}
	if k.kind == Undocumented && k.reason != PortScan && len(g.carried) <= maxCarried {
		if s := carried(f); s != "" && !slices.Contains(g.carried, s) {
			g.carried = append(g.carried, strings.Clone(s))
		}
	}
	g.count.add(bytes)
	g.first, g.last = min(g.first, f.Start), max(g.last, f.End)
	t.counted = append(t.counted, g)
	g.clients = list(g.clients, f.Client.Addr())
	g.servers = list(g.servers, f.Server.Addr())
	if !concern && (v.Kind == Undocumented || v.Edge == nil) {
		t.pairs.add(&g.pairs, f, v.Kind, bytes) // those of an edge are with the edge
	}
}

// maxCarried is how many protocols a finding names; one more is kept to know of.
const maxCarried = 3

// carried is what f was seen to be, for a reader who is told that it is not
// documented: a protocol, and of a request to a proxy, for whom.
func carried(f *flows.Flow) string {
	if f.AppBasis == dissect.ByPort || f.Proto == flows.ProtoICMP || f.Proto == flows.ProtoICMPv6 {
		return ""
	}
	if host := proxied(f); host != "" {
		return f.App + " to a proxy for " + host
	}
	return f.App
}

// proxied is whom the client asked a proxy to connect it to, as host:port; "" where
// it did not (RFC 9110 section 9.3.6).
func proxied(f *flows.Flow) string {
	if f.Facts.Text(dissect.HTTPMethod) != "CONNECT" {
		return ""
	}
	return f.Facts.Text(dissect.HTTPHost)
}

// sayCarried is the end of a sentence that names what was carried.
func sayCarried(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n > maxCarried:
		return "; the traffic is " + strings.Join(names[:maxCarried], ", ") + " and more"
	case n == 1:
		return "; the traffic is " + names[0]
	default:
		return "; the traffic is " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// cause is what a verdict tells of the cause beside its deciding reason.
func cause(v *Verdict) Reason {
	for i := range v.Reasons {
		switch r := v.Reasons[i].Reason; r {
		case ResetByHost, ResetByDevice, ServerHeardElsewhere, ServerNeverHeard:
			if i > 0 && v.Kind == Blocked {
				return r
			}
		}
	}
	return NoReason
}

// advice is what more was seen calls for: a TLS alert (RFC 8446 section 6.2), where an
// end broke the handshake off with one, or a client's own reset.
func advice(f *flows.Flow, b *Because) string {
	switch b.Reason {
	case UnknownHost:
		if proxied(f) != "" {
			return "decide whether these hosts are to go through a proxy: the diagram has none, and what lies behind it is not judged"
		}
		return ""
	case RejectedByServer, RejectedByClient, TLSHandshakeFailed:
	case HalfOpen:
		if b.Saw == brokenOff {
			return "nothing to fix: a load balancer, a monitor or a scanner checked whether the port answers"
		}
		return ""
	default:
		return ""
	}
	switch b.Saw {
	case answeredByHTTP, answeredBySSH, answeredByOther:
		return "find what listens on the server's port: it does not speak TLS, and is to be configured for it"
	case "unknown_ca":
		return "the end that refused does not know who issued the other's certificate: give it the issuing CA, or find the proxy on the path that re-signs certificates"
	case "certificate_expired":
		return "renew the certificate that was refused, and compare the clocks of the two ends"
	case "certificate_revoked":
		return "replace the certificate that was refused: its issuer revoked it"
	case "bad_certificate", "certificate_unknown", "unsupported_certificate":
		return "compare the certificate that was refused with what the other end requires of it: its name, its key usage, its chain"
	case "certificate_required":
		return "give the client its certificate, by registering it again if necessary"
	case "protocol_version":
		return "the two ends have no TLS version in common: update the older one"
	case "handshake_failure", "insufficient_security":
		return "the two ends have no cipher suite, group or signature algorithm in common, or the server lacks a certificate: compare their settings"
	case "unrecognized_name":
		return "the server does not serve the name that it was asked for: use a name from its certificate"
	case "decrypt_error":
		return "a signature did not verify: the certificate and the key of that end do not belong together, or something on the path alters the handshake"
	case "access_denied":
		return "the certificate is valid, and the server does not admit its owner: register the client"
	}
	return ""
}

// Answered names the sender of an ICMP error about f.
func Answered(f *flows.Flow, e *flows.ICMPError) string {
	if e.From == f.Server.Addr() {
		return e.From.String() + ", the server itself"
	}
	return e.From.String() + ", a device on the path"
}

// list adds addr to the first few.
func list(l []netip.Addr, addr netip.Addr) []netip.Addr {
	if len(l) < MaxNamed && !slices.Contains(l, addr) {
		l = append(l, addr)
	}
	return l
}

// Audit is what has been counted, as a report says it. cov is what is known of
// the captures; what the flows say of it is added.
func (t *Tally) Audit(cov Coverage) *Audit {
	cov.Flows, cov.OneSided, cov.BothWays, cov.LateStart, cov.Missed = t.flows, t.oneSided, t.bothWays, t.lateStart, t.missed
	cov.Lossy = t.missed*100 > t.payload
	frames := uint64(0)
	for _, f := range cov.Captures.Files {
		cov.Lossy = cov.Lossy || f.Cut*100 > f.Frames && f.Frames > 0
		frames += f.Frames
	}
	cov.Lossy = cov.Lossy || cov.Dropped()*100 > frames+cov.Dropped()
	a := &Audit{Diagram: t.p.diagram, Coverage: cov, Hosts: t.p.Hosts(), Verdicts: t.verdicts,
		Ambient: t.named(t.ambient.sorted()), MoreAmbient: t.ambient.more, Others: t.named(t.others.sorted()), MoreOthers: t.others.more}
	for _, g := range t.order {
		f := t.finding(g)
		if g.key.concern {
			a.Concerns = append(a.Concerns, f)
		} else {
			a.Findings = append(a.Findings, f)
		}
	}
	slices.SortStableFunc(a.Findings, moreSerious)
	slices.SortStableFunc(a.Concerns, moreSerious)
	for i := range t.p.edges {
		a.Edges = append(a.Edges, t.edgeState(i, &cov))
	}
	if t.detail != nil {
		a.Detail = t.detail.result()
	}
	a.Choices = t.choices()
	a.Notes = t.notes(&cov)
	return a
}

// gravity orders the kinds of findings of one severity.
var gravity = [kinds]int{Violation: 4, Undocumented: 3, Blocked: 2, Indeterminate: 1}

func moreSerious(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(gravity[b.Kind], gravity[a.Kind]),
		cmp.Compare(b.Flows, a.Flows),
		cmp.Compare(a.Reason, b.Reason),
		cmp.Compare(a.From, b.From),
		cmp.Compare(a.To, b.To),
		cmp.Compare(a.Service, b.Service),
	)
}

func (t *Tally) finding(g *group) Finding {
	k := &g.key
	from, to, service := t.ends(k)
	if k.manyPorts && g.port != 0 { // of the many ports, one on this host
		service = serviceName(k.proto, g.port, false)
	}
	f := Finding{
		ID: g.id, Kind: k.kind, Severity: k.reason.Severity(), Reason: k.reason, Edge: k.edge, From: from, To: to, Service: service,
		Flows: g.count.Flows, Bytes: g.count.Bytes, First: g.first, Last: g.last,
		Clients: g.clients, Servers: g.servers, Example: g.example, Pairs: t.named(g.pairs.sorted()), MorePairs: g.pairs.more,
		Do: Sentence(k.reason.Do()),
	}
	f.Example.Says = says(k.reason, g.saw)
	f.Title = fmt.Sprintf("%s to %s at %s: %s.", f.From, f.To, f.Service, k.reason.Explain())
	if g.cause != NoReason {
		f.Title = strings.TrimSuffix(f.Title, ".") + "; " + g.cause.Explain() + "."
		if f.Example.Says == k.reason.Explain() {
			f.Example.Says += "; " + g.cause.Explain()
		}
		f.Do = Sentence(g.cause.Do())
	}
	if g.advice != "" {
		f.Do = Sentence(g.advice)
	}
	if f.Example.Says == k.reason.Explain() {
		f.Example.Says += sayCarried(g.carried)
	}
	if g.idleKilled > 0 {
		f.IdleKilled = g.idleKilled
		if e := t.p.edgeOf(k.edge); e != nil {
			f.IdleLived = t.edges[e.index].lived
		}
		f.Do += " " + idleTimeout(f.IdleLived, f.IdleKilled)
	}
	return f
}

// ends names what a finding is between, and the service.
func (t *Tally) ends(k *groupKey) (from, to, service string) {
	switch {
	case k.manyPorts:
		service = protoName(k.proto) + "/many"
	case k.anyDynamic:
		service = protoName(k.proto) + "/dynamic"
	case k.noEcho:
		service = protoName(k.proto)
	default:
		service = serviceName(k.proto, k.port, false)
	}
	return side(k.from, k.fromAddr), side(k.to, k.toAddr), service
}

// idleTimeout says between which silences the timeout of the device on the path
// lies.
func idleTimeout(lived, killed int64) string {
	s := fmt.Sprintf("The shortest silence that ended a connection was %s", Span(killed))
	switch {
	case lived == 0:
		return s + "; the timeout is at most that."
	case lived < killed && Span(lived) == Span(killed):
		return s + "; another connection survived one nearly as long: the timeout is about that."
	case lived < killed:
		return s + fmt.Sprintf(", and the longest that a connection survived was %s: the timeout lies between the two.", Span(lived))
	}
	return s + fmt.Sprintf(", while another connection survived %s: not every path has the same timeout.", Span(lived))
}

// says is what the frame of an example shows, in words.
func says(r Reason, saw string) string {
	switch {
	case saw == "":
		return r.Explain()
	case saw == "empty":
		return "an empty Certificate message"
	case saw == "absent":
		return "no client certificate"
	case saw == answeredByHTTP, saw == answeredBySSH, saw == answeredByOther:
		return saw
	}
	switch r {
	case RejectedByServer, RejectedByClient, TLSHandshakeFailed:
		return "the alert " + saw
	case UnknownSNI, UndocumentedCloudName, SNIAddressMismatch:
		return "the server name " + saw
	case ServerCertificateNameMismatch:
		return "a certificate for " + saw
	case ICMPAdminProhibited, ICMPHostProhibited, ICMPNetProhibited, ICMPPortUnreachable, ICMPHostUnreachable,
		ICMPFragmentationNeeded, ICMPTimeExceeded:
		return "answer from " + saw
	case JWTInClear, JWTInURL:
		return "a token in the " + saw
	case JWTAlgNone:
		return "a token with alg " + saw
	case ServerCertificateExpired:
		return "valid until " + saw
	case ServerCertificateNotYetValid:
		return "valid from " + saw
	case SMBAuthFailed:
		return "the status " + saw
	case TLSVersionTooOld, TLSVersionObsolete:
		if saw[0] >= '0' && saw[0] <= '9' {
			return "TLS " + saw
		}
	case TLSCipherNull, TLSCipherAnonymous, TLSCipherExport, TLSCipherRC4, TLSCipher3DES, TLSCipherNoForwardSecrecy, TLSCipherCBCSHA1:
		return "the suite " + suiteName(saw)
	case EstablishedThenDropped, IdleConnectionKilled, LargeSegmentsLost, ResetByHost, ResetByDevice, ZeroWindow, HalfOpen:
		return saw
	}
	return "saw " + saw
}

// told is the one of a host's roles that a finding tells: one that the edge is
// documented for, the first where there is none. It is nil for a host without a
// role.
func (t *Tally) told(roles mask, e *Edge, from bool) *Component {
	if roles == 0 {
		return nil
	}
	if x := t.p.edgeOf(e); x != nil {
		documented := x.to
		if from {
			documented = x.from
		}
		if roles&documented != 0 {
			roles &= documented
		}
	}
	return t.p.parts[bits.TrailingZeros64(uint64(roles))].Component
}

// side names one end of a finding: the component, or the address of a host
// without a role.
func side(c *Component, addr netip.Addr) string {
	switch {
	case c != nil:
		return c.ID
	case addr.IsValid():
		return addr.String()
	}
	return "other hosts"
}

// findingID is the same for the same finding in every audit: it depends on
// what was found, and not on when or how often.
func (t *Tally) findingID(k *groupKey) string {
	h := fnv.New64a()
	edge := ""
	if k.edge != nil {
		edge = k.edge.ID
	}
	from, to, service := t.ends(k)
	fmt.Fprintf(h, "%t|%s|%s|%s|%s|%s|%s", k.concern, k.kind, k.reason, edge, from, to, service)
	return fmt.Sprintf("%010x", h.Sum64()>>24)
}

// suiteName is the cipher suite of a fact for people.
func suiteName(number string) string {
	suite, err := strconv.ParseUint(strings.TrimPrefix(number, "0x"), 16, 16)
	if err != nil {
		return number
	}
	return dissect.SuiteName(int(suite))
}

// protoName is a protocol as a diagram writes it: by name, or as ip/47.
func protoName(proto uint8) string {
	name := flows.ProtoName(proto)
	if name[0] <= '9' {
		return "ip/" + name
	}
	return name
}
