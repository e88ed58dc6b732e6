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
		{[]string{"audit", "--baseline", bad, samples + "site-violations.pcapng"}, exitConforms, "NOTHING NEW"},
		{[]string{"audit", "-o", "json", "--baseline", bad, samples + "site-violations.pcapng"}, exitConforms, `"result": "known"`},
		{[]string{"audit", "--baseline", clean, samples + "site-violations.pcapng"}, exitFindings, "NEW FINDINGS"},
	} {
		if status, stdout, stderr := wirechart(t, c.args...); status != c.status || !strings.Contains(stdout, c.says) || stderr != "" {
			t.Errorf("%v: status %d, no %q in %.200q, %q", c.args, status, c.says, stdout, stderr)
		}
	}
}
