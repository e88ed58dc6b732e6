//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestModes says who may read what is written: as the umask has it, frames their
// owner alone, and a file that is replaced whoever could before.
func TestModes(t *testing.T) {
	site := samples + "site.pcapng"
	for _, c := range []struct {
		name     string
		umask    int
		replaced fs.FileMode // 0 where nothing is replaced
		args     []string
		want     fs.FileMode
	}{
		{"report", 0o022, 0, []string{"audit", site, "--output"}, 0o644},
		{"private umask", 0o077, 0, []string{"audit", site, "--output"}, 0o600},
		{"group's umask", 0o002, 0, []string{"audit", site, "--output"}, 0o664},
		{"over a private report", 0o022, 0o640, []string{"audit", site, "--output"}, 0o640},
		{"over an open report", 0o077, 0o644, []string{"audit", site, "--output"}, 0o644},
		{"evidence", 0o022, 0, []string{"explain", site, "--flow", "1", "-w"}, 0o600},
		{"over open evidence", 0o022, 0o644, []string{"explain", site, "--flow", "1", "-w"}, 0o644},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "file")
			if c.replaced != 0 {
				if err := os.WriteFile(name, nil, c.replaced); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(name, c.replaced); err != nil {
					t.Fatal(err)
				}
			}
			before := syscall.Umask(c.umask)
			defer syscall.Umask(before)
			if status, _, stderr := wirechart(t, append(c.args, name)...); status != exitConforms {
				t.Fatalf("status %d, %s", status, stderr)
			}
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != c.want || info.Size() == 0 {
				t.Errorf("%d bytes, mode %o, want %o", info.Size(), got, c.want)
			}
			// Nothing is left beside it.
			if entries, err := os.ReadDir(filepath.Dir(name)); err != nil || len(entries) != 1 {
				t.Errorf("%d files, %v", len(entries), err)
			}
		})
	}
}
