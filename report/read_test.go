package report

import (
	"strings"
	"testing"
)

// TestReadAudit says that an audit comes back as it was written, whatever is in
// its names.
func TestReadAudit(t *testing.T) {
	a, o := testAudit(t)
	doc := newAuditDoc(a, o)
	text := written(t, func(b *strings.Builder) error { return writeJSON(b, doc) })
	back, err := ReadAudit("audit.json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := written(t, func(b *strings.Builder) error { return writeJSON(b, back) }); again != text {
		t.Error("an audit that was read is written differently")
	}
	if len(back.Findings) != len(a.Findings) || len(back.Edges[0].Pairs) != 1 || back.Edges[0].Pairs[0].Flows != 12 {
		t.Errorf("%d findings, pairs %+v", len(back.Findings), back.Edges[0].Pairs)
	}

	// Members of a later version are no mistake.
	later := strings.Replace(text, `"schema":`, `"later": {"member": 1}, "schema":`, 1)
	if _, err := ReadAudit("audit.json", strings.NewReader(later)); err != nil {
		t.Error(err)
	}

	// A baseline that took nothing out leaves the audit whole.
	whole := strings.Replace(text, `"schema":`, `"baseline": {"file": "monday.json", "known": 0, "flows": 0}, "schema":`, 1)
	if _, err := ReadAudit("audit.json", strings.NewReader(whole)); err != nil {
		t.Error(err)
	}

	hostile, ho := hostileAudit(t)
	text = written(t, func(b *strings.Builder) error { return jsonFormat.Audit(b, hostile, ho) })
	if back, err = ReadAudit("audit.json", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostileText, "\ufffd"); back.Hosts[0].Name != strings.Replace(want, "\ufffd\U000e0041", "\ufffd\ufffd\U000e0041", 1) {
		t.Errorf("%q, want %q", back.Hosts[0].Name, want)
	}
}

func TestReadAuditMistakes(t *testing.T) {
	for _, x := range []struct{ text, says string }{
		{"", "not a JSON document"},
		{`{"schema":"wirechart/audit/v1","edges":[`, "not a JSON document"},
		{`{"schema":"wirechart/hosts/v1","hosts":[]}`, "wirechart/hosts/v1, not wirechart/audit/v1"},
		{`{}`, "without a schema"},
		{`{"schema":"wirechart/audit/v1","edges":7}`, `"edges" is a number`},
		{`{"schema":"wirechart/audit/v1"} {}`, "not a JSON document"},
		{`{"schema":"wirechart/audit/v1","baseline":{"file":"monday.json","known":2,"flows":3}}`, "leaves out 2 findings that monday.json has as well"},
	} {
		_, err := ReadAudit("a.json", strings.NewReader(x.text))
		if err == nil || !strings.Contains(err.Error(), x.says) || !strings.HasPrefix(err.Error(), "a.json: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", x.text, err, x.says)
		}
	}
}
