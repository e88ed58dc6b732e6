package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// auditFile audits a capture into a file.
func auditFile(t *testing.T, capture string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.json")
	if status, _, stderr := wirechart(t, "audit", "-o", "json", "--output", path, "--exit-zero", capture); status != exitConforms {
		t.Fatalf("status %d, %s", status, stderr)
	}
	return path
}

func TestDiff(t *testing.T) {
	empty := file(t, "empty.pcap", "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00")
	oneway, nothing := auditFile(t, samples+"oneway.pcapng"), auditFile(t, empty)
	clean, bad := auditFile(t, samples+"site.pcapng"), auditFile(t, samples+"site-violations.pcapng")
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"diff", clean, bad}, exitFindings, "WORSE"},
		{[]string{"diff", "--exit-zero", clean, bad}, exitConforms, "WORSE"},
		{[]string{"diff", bad, clean}, exitConforms, "BETTER"},
		{[]string{"diff", bad, bad}, exitConforms, "THE SAME"},
		{[]string{"diff", clean, oneway}, exitUndecided, "UNDECIDED: The later audit cannot tell"},
		{[]string{"diff", bad, nothing}, exitUndecided, "10 changes for the better"},
		{[]string{"diff", "--exit-zero", bad, nothing}, exitConforms, "UNDECIDED"},
		{[]string{"diff", "-o", "json", clean, nothing}, exitUndecided, `"result": "undecided"`},
		{[]string{"diff", nothing, clean}, exitConforms, "NOT WORSE"},
		{[]string{"audit", "--baseline", bad, samples + "site-violations.pcapng"}, exitConforms, "NOTHING NEW"},
		{[]string{"audit", "-o", "json", "--baseline", bad, samples + "site-violations.pcapng"}, exitConforms, `"result": "known"`},
		{[]string{"audit", "--baseline", clean, samples + "site-violations.pcapng"}, exitFindings, "NEW FINDINGS"},
	} {
		if status, stdout, stderr := wirechart(t, c.args...); status != c.status || !strings.Contains(stdout, c.says) || stderr != "" {
			t.Errorf("%v: status %d, no %q in %.200q, %q", c.args, status, c.says, stdout, stderr)
		}
	}
}
