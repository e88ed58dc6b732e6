package rules

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func compileSchema(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	b, ok := Schema(kind)
	if !ok {
		t.Fatalf("no schema of %s", kind)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(kind+".json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(kind + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is YAML as an editor sees it: a date is a text.
func plain(t *testing.T, text string) any {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	var undate func(*yaml.Node)
	undate = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, c := range n.Content {
			undate(c)
		}
	}
	undate(&n)
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// examples are the whole files in a page of the documentation.
func examples(t *testing.T, page string) (list []string) {
	t.Helper()
	b, err := os.ReadFile("../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "```yaml\n")
	for found {
		var example string
		example, rest, _ = strings.Cut(rest, "```\n")
		list = append(list, example)
		_, rest, found = strings.Cut(rest, "```yaml\n")
	}
	if len(list) == 0 {
		t.Fatalf("%s has no example", page)
	}
	return list
}

func TestDiagramsFitTheSchema(t *testing.T) {
	s := compileSchema(t, "diagram")
	texts := examples(t, "diagrams.md")
	for _, name := range BuiltinNames() {
		text, _ := BuiltinText(name)
		texts = append(texts, text)
	}
	for _, text := range texts {
		if _, err := Parse("example.yaml", []byte(text)); err != nil {
			t.Errorf("%.60q...\n%v", text, err)
		}
		if err := s.Validate(plain(t, text)); err != nil {
			t.Errorf("%.60q...\n%v", text, err)
		}
	}
}

func TestInventoriesFitTheSchema(t *testing.T) {
	s := compileSchema(t, "inventory")
	for _, text := range examples(t, "inventory.md") {
		if _, err := ParseInventory("example.yaml", []byte(text), builtinForTest(t)); err != nil {
			t.Errorf("%.60q...\n%v", text, err)
		}
		if err := s.Validate(plain(t, text)); err != nil {
			t.Errorf("%.60q...\n%v", text, err)
		}
	}
}

// What Parse refuses for its shape, an editor shows too.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t, "diagram")
	const head = "version: 1\nname: x\ntitle: X\n"
	for _, text := range []string{
		head + "tilte: X\n",
		"name: x\ntitle: X\n",
		"version: 2\nname: x\ntitle: X\n",
		head + "edges: [{id: a, from: b, to: c, over: tcp/1}]\n",
		head + "edges: [{id: a, from: b, over: tcp/1, source: d}]\n",
		head + "edges: [{id: a, from: b, to: c, over: tcp, source: d}]\n",
		head + "edges: [{id: a, from: b, to: c, over: tcp/*, source: d}]\n",
		head + "edges: [{id: a, from: b, to: c, over: tcp/1, source: d, require: {zmtp.mechanism: curve}}]\n",
		head + "components: [{id: A, title: A}]\n",
		head + "ambient: [{id: a, title: A}]\n",
	} {
		if s.Validate(plain(t, text)) == nil {
			t.Errorf("accepted:\n%s", text)
		}
		if _, err := Parse("x.yaml", []byte(text)); err == nil {
			t.Errorf("Parse accepted:\n%s", text)
		}
	}
	if _, ok := Schema("nothing"); ok {
		t.Error("a schema of nothing")
	}
}
