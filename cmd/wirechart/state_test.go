package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStateDamaged begins runs with states that are cut and changed: each is
// either understood or refused in one line, and then it stays as it is.
func TestStateDamaged(t *testing.T) {
	site, name := samples+"site-violations.pcapng", filepath.Join(t.TempDir(), "state")
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", site, "--state", name); status != exitFindings {
		t.Fatal(stderr)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var damaged [][]byte
	for at := range 20 {
		damaged = append(damaged, whole[:len(whole)*at/20])
	}
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"-1", "1e308", "99999999999999999999", "null", `""`, "[]", "{}", `"\u001b[31m"`, strings.Repeat("[", 20000)}
	for range 60 {
		b := slices.Clone(whole)
		at := random.IntN(len(b))
		switch random.IntN(3) {
		case 0:
			b[at] = byte(random.IntN(256))
		case 1:
			b = slices.Delete(b, at, min(at+random.IntN(30), len(b)))
		default: // in the place of a value
			if colon := bytes.IndexByte(b[at:], ':'); colon >= 0 {
				from := at + colon + 1
				until := from + max(bytes.IndexAny(b[from:], ",}"), 0)
				b = slices.Replace(b, from, until, []byte(words[random.IntN(len(words))])...)
			}
		}
		damaged = append(damaged, b)
	}
	understood := 0
	for _, b := range damaged {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, stderr := liveOver(t, context.Background(), from(nil), "-i", samples+"scan.pcap", "-q", "--state", name)
		if status != exitError {
			understood++
			if strings.ContainsRune(out+stderr, '\x1b') {
				t.Errorf("%q: passes on an escape sequence", b)
			}
			continue
		}
		left, err := os.ReadFile(name)
		if !strings.HasPrefix(stderr, "wirechart: --state "+name+": ") || strings.Count(stderr, "\n") != 1 || out != "" || err != nil || !bytes.Equal(left, b) {
			t.Errorf("%q: %s%s, %v", b, out, stderr, err)
		}
	}
	if understood == 0 || understood == len(damaged) {
		t.Errorf("%d of %d were understood", understood, len(damaged))
	}
}

// TestStateIsOfOneRun begins a run with a state that another is using: what both
// learned could not be kept.
func TestStateIsOfOneRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	first, err := openState(name, "d", false)
	if err != nil {
		t.Fatal(err)
	}
	if first.lock == nil {
		t.Skip("files cannot be locked here")
	}
	status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", samples+"scan.pcap", "-q", "--state", name)
	if want := "--state " + name + ": another run is using it"; status != exitError || !strings.Contains(stderr, want) {
		t.Errorf("status %d, %q, want %q", status, stderr, want)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := liveOver(t, context.Background(), from(nil), "-i", samples+"scan.pcap", "-q", "--state", name); status == exitError {
		t.Error(stderr)
	}
}
