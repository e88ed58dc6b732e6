package rules

import (
	"testing"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
)

// TestResumedSessions links resumed sessions of TLS 1.3 to the full handshakes
// between the same ends.
func TestResumedSessions(t *testing.T) {
	at := func(second int64, options ...func(*flows.Flow)) *flows.Flow {
		f := flow(tAgent1, tSN, 9876, options...)
		f.Start += second * 1e9
		f.Facts.Frame = uint64(pcaps.MakeFrameID(0, uint64(100+second)))
		return f
	}
	sure := func(what string) func(*flows.Flow) {
		return tls("tls.sni=sn.example", "tls.client_cert="+what, "tls.client_cert_basis=inferred", "tls.client_cert_confidence=high")
	}
	unsure := tls("tls.sni=sn.example", "tls.client_cert=present", "tls.client_cert_basis=inferred", "tls.client_cert_confidence=medium")
	resumed := tls("tls.sni=sn.example", "tls.resumed", "tls.client_cert=unknown")
	otherName := tls("tls.sni=other.example", "tls.resumed", "tls.client_cert=unknown")
	failed := func(f *flows.Flow) {
		sure("empty")(f)
		f.Facts.SetText(dissect.TLSHandshake, "failed")
	}
	for _, test := range []struct {
		name string
		met  []*flows.Flow
		flow *flows.Flow
		want string
		kind Kind
		why  string
	}{
		{"shown", []*flows.Flow{at(0, sure("present")), at(1, sure("present"))}, at(2, resumed), "present", Documented, ""},
		{"not asked", []*flows.Flow{at(0, sure("absent"))}, at(2, resumed), "absent", Indeterminate, "session_resumed"},
		{"empty", []*flows.Flow{at(0, sure("empty"))}, at(2, resumed), "empty", Indeterminate, "session_resumed"},
		{"both", []*flows.Flow{at(0, sure("present")), at(1, sure("absent"))}, at(2, resumed), "unknown", Indeterminate, "session_resumed"},
		{"not sure", []*flows.Flow{at(0, unsure)}, at(2, resumed), "unknown", Indeterminate, "session_resumed"},
		{"a failed one between", []*flows.Flow{at(0, sure("present")), at(1, failed)}, at(2, resumed), "present", Documented, ""},
		{"later only", []*flows.Flow{at(3, sure("absent"))}, at(2, resumed), "unknown", Indeterminate, "session_resumed"},
		{"for another name", []*flows.Flow{at(0, sure("absent"))}, at(2, otherName), "unknown", Indeterminate, "session_resumed"},
		{"from another client", []*flows.Flow{flow(tAgent2, tSN, 9876, sure("absent"))}, at(2, resumed), "unknown", Indeterminate, "session_resumed"},
	} {
		p := testPolicy(t, tInventory)
		for _, f := range test.met {
			p.Observe(f)
		}
		p.Observe(test.flow)
		p.Settle()
		var v Verdict
		for range 2 { // what is said once does not change
			p.Judge(test.flow, &v)
		}
		why := ""
		if len(v.Reasons) > 0 {
			why = v.Reasons[0].Reason.String()
		}
		if v.Kind != test.kind || why != test.why {
			t.Errorf("%s: %s %s, want %s %s", test.name, v.Kind, why, test.kind, test.why)
		}
		fact, _ := test.flow.Facts.Get(dissect.TLSClientCert)
		basis := test.flow.Facts.Text(dissect.TLSClientCertBasis)
		if fact.Str != test.want || (basis == "resumed") != (test.want != "unknown") {
			t.Errorf("%s: %s, basis %q, want %s", test.name, fact.Str, basis, test.want)
		}
		if basis == "resumed" && pcaps.FrameID(fact.Frame()).Number() >= 102 {
			t.Errorf("%s: the evidence is at frame %d, not in the full handshake", test.name, pcaps.FrameID(fact.Frame()).Number())
		}
	}
}

// TestSessionOfTLS12 judges by what the dissector joined exactly.
func TestSessionOfTLS12(t *testing.T) {
	for what, want := range map[string]Kind{"present": Documented, "absent": Violation, "empty": Violation} {
		p := testPolicy(t, tInventory)
		f := flow(tAgent1, tSN, 9876, tls("tls.resumed", "tls.client_cert="+what, "tls.client_cert_basis=resumed", "tls.client_cert_confidence=high"))
		f.Facts.SetText(dissect.TLSVersion, "1.2")
		p.Observe(f)
		p.Settle()
		var v Verdict
		if p.Judge(f, &v); v.Kind != want {
			t.Errorf("%s: %s %v, want %s", what, v.Kind, v.Reasons, want)
		}
	}
}
