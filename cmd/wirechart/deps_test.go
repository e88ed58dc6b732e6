package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are the packages in the order of a packet's path. Each may import
// those it names, and never turns back.
var layers = map[string][]string{
	"wirechart/pcaps":          {},
	"wirechart/dissect":        {},
	"wirechart/flows":          {"wirechart/pcaps", "wirechart/dissect"},
	"wirechart/rules":          {"wirechart/pcaps", "wirechart/dissect", "wirechart/flows"},
	"wirechart/rules/firewall": {"wirechart/flows", "wirechart/rules"},
	"wirechart/report":         {"wirechart/pcaps", "wirechart/dissect", "wirechart/flows", "wirechart/rules", "wirechart/rules/firewall"},
	"wirechart/report/web":     {"wirechart/pcaps", "wirechart/dissect", "wirechart/flows", "wirechart/rules", "wirechart/report"},
	"wirechart/cmd/wirechart":  {"wirechart/pcaps", "wirechart/dissect", "wirechart/flows", "wirechart/rules", "wirechart/rules/firewall", "wirechart/report", "wirechart/report/web"},
}

// only says which packages may import a library: the longest prefix holds.
// Tests are free.
var only = map[string][]string{
	"github.com/google/gopacket":        {"wirechart/pcaps"},
	"github.com/google/gopacket/layers": {}, // its decoders panic on hostile bytes
	"github.com/spf13/":                 {"wirechart/cmd/wirechart"},
	"github.com/schollz/progressbar":    {"wirechart/cmd/wirechart"},
	"golang.org/x/term":                 {"wirechart/cmd/wirechart"},
	"github.com/landlock-lsm/":          {"wirechart/cmd/wirechart"},
	"kernel.org/":                       {"wirechart/cmd/wirechart"},
	"github.com/olekukonko/tablewriter": {"wirechart/report"},
	"github.com/clipperhouse/":          {"wirechart/report"},
	"go.yaml.in/yaml":                   {"wirechart/rules"},
	"github.com/gaissmai/bart":          {"wirechart/rules"},
	"github.com/klauspost/compress":     {"wirechart/pcaps"},
	"golang.org/x/net/dns":              {"wirechart/dissect"},
	"github.com/santhosh-tekuri/":       {},
	"github.com/VictoriaMetrics/":       {"wirechart/cmd/wirechart"},
	"net/http":                          {"wirechart/cmd/wirechart", "wirechart/report/web"}, // to serve counters and a page when asked to; the program opens no connection
}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

// packages are those of this module, by `go list`.
func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-pgo=off", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports", "wirechart/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// TestImports holds the order of the packages, and libraries to their places.
func TestImports(t *testing.T) {
	known := 0
	for _, p := range packages(t) {
		allowed, layered := layers[p.ImportPath]
		if layered {
			known++
		}
		for _, imported := range p.Imports {
			if layered && strings.HasPrefix(imported, "wirechart/") && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s: imports follow the packet's path and never turn back", p.ImportPath, imported)
			}
			if importers, ok := placeOf(imported); ok && layered && !slices.Contains(importers, p.ImportPath) {
				t.Errorf("%s imports %s, which belongs in %v", p.ImportPath, imported, importers)
			}
		}
	}
	if known != len(layers) {
		t.Errorf("%d of %d packages found", known, len(layers))
	}
}

// placeOf finds the packages that may import path, by the longest prefix.
func placeOf(path string) (importers []string, ok bool) {
	best := -1
	for prefix, list := range only {
		if strings.HasPrefix(path, prefix) && len(prefix) > best {
			importers, ok, best = list, true, len(prefix)
		}
	}
	return importers, ok
}

// TestWithoutCgo says that the builds for other systems, and the static one,
// do without libpcap and what comes with it.
func TestWithoutCgo(t *testing.T) {
	for _, system := range []string{"linux", "windows", "darwin"} {
		cmd := exec.Command("go", "list", "-pgo=off", "-deps", "wirechart/cmd/wirechart")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH=arm64")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", system, err)
		}
		deps := strings.Fields(string(out))
		if !slices.Contains(deps, "wirechart/pcaps") {
			t.Errorf("%s: no wirechart/pcaps among %d packages", system, len(deps))
		}
		for _, dep := range deps {
			if dep == "runtime/cgo" || strings.HasPrefix(dep, "github.com/google/gopacket/") {
				t.Errorf("%s: without cgo it has %s", system, dep)
			}
		}
	}
}

// TestNoHiddenState says that no package runs code by being imported.
func TestNoHiddenState(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, imported := range file.Imports {
				if imported.Name != nil && imported.Name.Name == "_" && imported.Path.Value != `"embed"` {
					t.Errorf("%s/%s imports %s for its side effects", p.ImportPath, name, imported.Path.Value)
				}
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s/%s has a func init()", p.ImportPath, name)
				}
			}
		}
	}
}

// TestNoClock says that flows, dissections and verdicts take their time from
// the packets: the same capture gives the same report on any day.
func TestNoClock(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains([]string{"wirechart/flows", "wirechart/dissect", "wirechart/rules", "wirechart/report"}, p.ImportPath) {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && (s.Sel.Name == "Now" || s.Sel.Name == "Since") {
						t.Errorf("%s/%s asks the clock", p.ImportPath, name)
					}
				}
				return true
			})
		}
	}
}
