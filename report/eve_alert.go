package report

import (
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// Alerts of EVE. What would be a signature of Suricata's is a reason here: its
// words are the signature, and its name makes the number, so that both are the
// same in every run and every version. What could not be decided is no alert.

// eveGenerator is the gid of alerts: not 1, Suricata's own, so that the numbers
// of signatures cannot meet those of its rules.
const eveGenerator = 7780

// eveAlert is what an alert is about.
type eveAlert struct {
	kind     rules.Kind
	concern  bool // good practice, whatever the verdict
	severity rules.Severity
	reason   rules.Reason
	edge     *rules.Edge // may be nil
	frame    pcaps.FrameID
}

// put adds the alert to the event e.
func (a *eveAlert) put(e members, o *Options) {
	verdict := a.kind.String()
	category := map[rules.Kind]string{rules.Violation: "Violation of the connection diagram", rules.Undocumented: "Undocumented connection",
		rules.Blocked: "Documented connection that is blocked"}[a.kind]
	if a.concern {
		verdict, category = "concern", "Good practice"
	}
	metadata := members{"verdict": []string{verdict}, "reason": []string{a.reason.String()}, "frame": []string{strconv.FormatUint(a.frame.Number(), 10)}}
	if a.edge != nil {
		metadata["edge"] = []string{a.edge.ID}
	}
	e["pcap_cnt"], e["pcap_filename"] = a.frame.Number(), o.file(a.frame)
	e["alert"] = members{"action": "allowed", "gid": eveGenerator, "signature_id": eveSignature(a.reason), "rev": 1,
		"signature": "WIRECHART " + a.reason.Explain(), "category": category, "severity": eveSeverity(a.severity), "metadata": metadata}
}

// eveSignature numbers a reason, from 1 to 2^31-1.
func eveSignature(r rules.Reason) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, r)
	return max(h.Sum32()>>1, 1)
}

// eveSeverity is a severity as Suricata counts them, 1 the highest.
func eveSeverity(s rules.Severity) int {
	switch s {
	case rules.High:
		return 1
	case rules.Medium:
		return 2
	}
	return 3
}

// alerts are those that a flow's verdict calls for: one for the verdict and one
// for each concern.
func (x eveFlow) alerts() []members {
	if x.v == nil {
		return nil
	}
	var events []members
	add := func(a eveAlert) {
		if a.frame == 0 {
			a.frame = x.Frame // absence is the proof
		}
		e := x.event("alert", x.Start)
		e.put("app_proto", eveApp(x.Flow))
		e["flow"] = members{"pkts_toserver": x.Packets[0], "pkts_toclient": x.Packets[1], "bytes_toserver": x.Bytes[0], "bytes_toclient": x.Bytes[1],
			"start": eveTime(x.Start)}
		a.put(e, x.o)
		events = append(events, e)
	}
	if b := x.v.Decides(); b != nil && fails(x.v.Kind) {
		add(eveAlert{kind: x.v.Kind, severity: b.Reason.Severity(), reason: b.Reason, edge: x.v.Edge, frame: b.Frame})
	}
	for _, c := range x.v.Concerns {
		add(eveAlert{kind: x.v.Kind, concern: true, severity: c.Reason.Severity(), reason: c.Reason, edge: x.v.Edge, frame: c.Frame})
	}
	return events
}

// auditEVE writes an alert for each finding and concern, at the connection that
// proves it.
func auditEVE(w io.Writer, a *rules.Audit, o *Options) error {
	for f, concern := range a.FindingsAndConcerns() {
		if !concern && !fails(f.Kind) {
			continue
		}
		if err := writeLine(w, eveFinding(f, concern, o)); err != nil {
			return err
		}
	}
	return nil
}

func eveFinding(f *rules.Finding, concern bool, o *Options) members {
	client, server := f.Example.Client, f.Example.Server
	e := members{"timestamp": eveTime(f.First), "event_type": "alert", "src_ip": client.Addr().String(), "dest_ip": server.Addr().String()}
	proto, _, _ := strings.Cut(strings.TrimPrefix(f.Service, "ip/"), "/")
	e["proto"] = eveProto(proto)
	for _, n := range []uint8{flows.ProtoTCP, flows.ProtoUDP, flows.ProtoSCTP} {
		if proto == flows.ProtoName(n) {
			e["src_port"], e["dest_port"] = client.Port(), server.Port()
			e["community_id"] = (&flows.Flow{Proto: n, Client: client, Server: server}).CommunityID()
		}
	}
	(&eveAlert{kind: f.Kind, concern: concern, severity: f.Severity, reason: f.Reason, edge: f.Edge, frame: f.Example.Frame}).put(e, o)
	e["wirechart"] = members{"finding": f.ID, "title": f.Title, "says": f.Example.Says, "do": f.Do, "from": f.From, "to": f.To, "service": f.Service,
		"flows": f.Flows, "bytes": f.Bytes, "first": eveTime(f.First), "last": eveTime(f.Last)}
	return e
}
