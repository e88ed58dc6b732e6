package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"wirechart/report"
	"wirechart/rules"
)

// commandLine is the annotation of the root command that holds what was typed.
const commandLine = "command line"

// quoted is a command line as a shell would take it again.
func quoted(args []string) string {
	words := []string{"wirechart"}
	for _, arg := range args {
		if arg == "" || strings.ContainsFunc(arg, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./,:=@%+", c))
		}) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// provenance is how an audit was made, for the reports that are handed in. The
// captures are read once more for their digests: the hot path does not compute
// them.
func provenance(cmd *cobra.Command, a *rules.Audit) *report.Provenance {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	p := &report.Provenance{Version: buildVersion(info), Command: cmd.Root().Annotations[commandLine]}
	for _, f := range a.Coverage.Captures.Files {
		if f.Format == "live" {
			p.Digests = append(p.Digests, "none: an interface")
			continue
		}
		if f.Sum > 0 {
			p.Digests = append(p.Digests, "none: several captures")
			continue
		}
		p.Digests = append(p.Digests, digest(f.Name))
	}
	return p
}

// digest is the SHA-256 of a file, or why there is none.
func digest(name string) string {
	if name == "-" {
		return "not computed: standard input"
	}
	f, err := os.Open(name)
	if err != nil {
		return "not computed: the file could not be read again"
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "not computed: not a regular file"
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "not computed: the file could not be read again"
	}
	return hex.EncodeToString(h.Sum(nil))
}
