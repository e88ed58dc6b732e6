package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"wirechart/rules"
)

// TestProvenance says that the report that is handed in tells what it rests on,
// and that none of it depends on when it was made.
func TestProvenance(t *testing.T) {
	capture := samples + "site.pcapng"
	b, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	page := written("audit", "-o", "html", capture)
	d, _ := rules.Builtin(rules.DefaultDiagram)
	shown := sha256.Sum256([]byte(written("diagram", "show", "--yaml")))
	if got := hex.EncodeToString(shown[:]); got != d.Revision() {
		t.Errorf("the revision is %s, of what is shown %s", d.Revision(), got)
	}
	for _, want := range []string{hex.EncodeToString(sum[:]), d.Revision(), "wirechart audit -o html " + capture} {
		if !strings.Contains(page, want) {
			t.Errorf("the report has no %s", want)
		}
	}
	if page != written("audit", "-o", "html", capture) {
		t.Error("the report differs from one run to the next")
	}
}

func TestQuoted(t *testing.T) {
	for want, args := range map[string][]string{
		"wirechart audit -o html a.pcap":             {"audit", "-o", "html", "a.pcap"},
		`wirechart 'a b' ''`:                         {"a b", ""},
		`wirechart 'it'\''s' -f 'tcp port 80 or $x'`: {"it's", "-f", "tcp port 80 or $x"},
	} {
		if got := quoted(args); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDigest(t *testing.T) {
	for name, want := range map[string]string{"-": "standard input", "nowhere.pcap": "read again", t.TempDir(): "regular"} {
		if got := digest(name); !strings.HasPrefix(got, "not computed: ") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
