package rules

import "embed"

//go:embed schemas/*.json
var schemaFiles embed.FS

// Schema is the JSON Schema (draft 2020-12) by which an editor checks what is
// written by hand: "diagram" and "inventory" are the kinds. It knows the keys
// and the shapes of their values; that words name something that exists, only
// Parse and ParseInventory know.
func Schema(kind string) ([]byte, bool) {
	switch kind {
	case "diagram", "inventory":
		b, err := schemaFiles.ReadFile("schemas/" + kind + ".json")
		return b, err == nil
	}
	return nil, false
}
