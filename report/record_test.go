package report

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"wirechart/flows"
	"wirechart/rules"
)

// TestRecord holds the record of one flow, member by member.
func TestRecord(t *testing.T) {
	d := testDiagram(t)
	o := &Options{Files: []string{"monday.pcapng", "tuesday.pcap"}, Hosts: namedHosts{"agent1", d.Component("agent")}}
	got := string(newRecorder(o).record(testFlow(), testVerdict(d)))
	got, saw, _ := strings.Cut(got, `{"frame":9,`)
	want := `{"schema":"wirechart/flow/v1","file":"monday.pcapng","frame":41,"id":7,"community_id":"` + testFlow().CommunityID() + `",` +
		`"start":"2026-11-23T01:39:11.885000001Z","end":"2026-11-23T01:39:13.885000001Z","duration":2,"proto":"tcp",` +
		`"client":{"ip":"10.20.30.22","port":51514,"mac":"02:00:00:00:00:1a","name":"agent1","roles":["agent"]},` +
		`"server":{"ip":"fd20:30::b","port":7780,"name":"agent1","roles":["agent"]},"orientation":"syn",` +
		`"packets":[10,9],"bytes":[1000,900],"payload_bytes":[500,400],"missed_bytes":[0,12],"retransmitted":[1,0],"out_of_order":[0,2],"duplicates":[3,4],` +
		`"vlan":[20],"tunnel":["vlan:20","vxlan:42"],` +
		`"tcp":{"state":"SF","history":"ShADadFf","rtt_ms":1.234567,"syn_retries":1,"reset_by":"server","reset_ttl":63,"icmp":{"type":3,"code":13,"from":"10.20.30.1"}},` +
		`"ended":"closed","app":"zmtp","app_basis":"both","ports":{"client":"dynamic","server":"documented"},` +
		`"tls":{"sni":"ms.backup.example","alpn":["h2","http/1.1"],"resumed":false},"zmtp":{"mechanism":"CURVE","messages":[12,3]},` +
		`"http":{"status":[200,404],"requests":2},"icmp":{"rtt_ms":1.25},` +
		`"verdict":"violation","edge":"agent-messages","reasons":["zmtp_mechanism_null","not_zmtp"],"concerns":[{"reason":"smb1","severity":"high"}],` +
		`"evidence":[{"frame":43,"says":"` + rules.ZMTPMechanismNull.Explain() + `: NULL"},{"says":"` + rules.NotZMTP.Explain() + `"},`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !strings.HasPrefix(saw, `"file":"tuesday.pcap","says":"`) {
		t.Errorf("evidence in another capture does not name it: %s", saw)
	}
}

// TestRecordBare says that what is not known is absent.
func TestRecordBare(t *testing.T) {
	f := &flows.Flow{ID: 1, Frame: 3, Start: -5, End: -5, Proto: 47, Client: endpoint("10.0.0.1:0"), Server: endpoint("10.0.0.2:0"), Oriented: flows.ByFirstPacket}
	got := string(newRecorder(&Options{}).record(f, nil))
	want := `{"schema":"wirechart/flow/v1","frame":3,"id":1,` + communityMember(f) +
		`"start":"1969-12-31T23:59:59.999999995Z","end":"1969-12-31T23:59:59.999999995Z","duration":0,"proto":"47",` +
		`"client":{"ip":"10.0.0.1"},"server":{"ip":"10.0.0.2"},"orientation":"first_packet",` +
		`"packets":[0,0],"bytes":[0,0],"payload_bytes":[0,0],"duplicates":[0,0],"ended":"capture_end"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func communityMember(f *flows.Flow) string {
	if id := f.CommunityID(); id != "" {
		return `"community_id":"` + id + `",`
	}
	return ""
}

// TestString compares appendString with what encoding/json reads back.
func TestString(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, s := range []string{"", "plain", `"\`, string(all), hostileText, "漢字 naïve \U0001f600", "\ufffd", "a\u2028b", "\U000e0041", "\xe2\x82"} {
		got := string(appendString(nil, s))
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil {
			t.Errorf("%q: %v", got, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); !utf8.ValidString(s) {
			// Each byte that is not UTF-8 has a replacement of its own.
			if strings.ReplaceAll(back, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
				t.Errorf("%q became %q", s, back)
			}
		} else if back != s {
			t.Errorf("%q became %q", s, back)
		}
		for _, c := range got {
			if hostile(c) {
				t.Errorf("%q is in %s", c, got)
			}
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		v      int64
		digits int
		want   string
	}{{0, 9, "0"}, {1, 9, "0.000000001"}, {1_500_000_000, 9, "1.5"}, {-1_500_000_000, 9, "-1.5"}, {12_000_000, 6, "12"}, {-1 << 63, 9, "-9223372036.854775808"}} {
		if got := string(appendDecimal(nil, c.v, c.digits)); got != c.want {
			t.Errorf("%d: %s, want %s", c.v, got, c.want)
		}
	}
}

// TestRecordAllocates nothing but the Community ID.
func TestRecordAllocates(t *testing.T) {
	f, o := testFlow(), &Options{Files: []string{"monday.pcapng"}}
	w := jsonlFlows{io.Discard, newRecorder(o)}
	most := testing.AllocsPerRun(100, func() { _ = f.CommunityID() })
	if n := testing.AllocsPerRun(100, func() { _ = w.Flow(f, nil) }); n > most {
		t.Errorf("%v allocations for a flow, of which the Community ID makes %v", n, most)
	}
}

func BenchmarkRecord(b *testing.B) {
	f, o := testFlow(), &Options{Files: []string{"monday.pcapng"}}
	w := jsonlFlows{io.Discard, newRecorder(o)}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Flow(f, nil); err != nil {
			b.Fatal(err)
		}
	}
}
