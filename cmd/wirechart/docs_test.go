package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// asShellProgram makes the test binary be the program itself, for tests that run it from
// a shell.
const asShellProgram = "WIRECHART_TEST_SHELL"

func TestMain(m *testing.M) {
	if os.Getenv(asShellProgram) != "" {
		os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestReference says that docs/reference.md is what the program says of itself.
func TestReference(t *testing.T) {
	want, err := os.ReadFile("../../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := wirechart(t, "reference")
	if got != string(want) {
		t.Errorf("docs/reference.md is not what the program says now (make docs):\n%s", firstDifference(string(want), got))
	}
}

// TestTutorials runs every command of the pages for users, in their order, as a
// reader would from the top of a checkout. A block of output behind one has parts
// of lines that the commands must have written.
func TestTutorials(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(sh|output)\n(.*?)^```$")
	for _, page := range []string{"tutorial.md", "capturing.md", "firewall.md", "other-tools.md"} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, "docs", page))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			program := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asShellProgram, self)
			if err := os.WriteFile(filepath.Join(dir, "bin", "wirechart"), []byte(program), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "pcaps"), filepath.Join(dir, "pcaps")); err != nil {
				t.Fatal(err)
			}
			commands, last := 0, ""
			for _, b := range blocks.FindAllStringSubmatch(string(text), -1) {
				if b[1] == "output" {
					for line := range strings.Lines(b[2]) {
						if !strings.Contains(last, strings.TrimSpace(line)) {
							t.Errorf("no %q in\n%s", strings.TrimSpace(line), last)
						}
					}
					last = ""
					continue
				}
				cmd := exec.Command(bash, "-e", "-c", b[2])
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s%v\n%s", b[2], err, out)
				}
				last = string(out)
				commands += strings.Count(b[2], "bin/wirechart")
			}
			if commands < 3 {
				t.Errorf("%d commands", commands)
			}
		})
	}
}

// TestLinks follows the links between the pages of the repository: files exist,
// and so do the headings that a link leads to.
func TestLinks(t *testing.T) {
	root := "../.."
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "pcaps/samples/*.md", "report/testdata/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	fences := regexp.MustCompile("(?ms)^```.*?^```$")
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	n := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fences.ReplaceAllString(string(text), ""), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue // nothing is fetched
			}
			n++
			target := page
			if to != "" {
				target = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !headings(t, target)[anchor] {
				t.Errorf("%s: no heading for %s", page, m[1])
			}
		}
	}
	if n < 20 {
		t.Errorf("%d links in %d pages", n, len(pages))
	}
	// Every page is found from the index.
	index, err := os.ReadFile(filepath.Join(root, "docs/index.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if filepath.Base(filepath.Dir(page)) == "docs" && filepath.Base(page) != "index.md" && !strings.Contains(string(index), "("+filepath.Base(page)+")") {
			t.Errorf("docs/index.md does not lead to %s", page)
		}
	}
}

// headings are the anchors of a page, as GitHub makes them.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	drop := regexp.MustCompile("[^a-z0-9 _-]")
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			anchors[strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")] = true
		}
	}
	return anchors
}
