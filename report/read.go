package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDocument is how long a document may be that is read back: far longer than
// any audit, whose lists are bounded.
const maxDocument = 256 << 20

// ReadAudit reads an audit as -o json wrote it. Members that a later version
// added are passed over; file is for the messages. An audit that a baseline took
// something out of is refused: to whoever reads it back, what was left out would
// be gone.
func ReadAudit(file string, r io.Reader) (*AuditDoc, error) {
	doc := new(AuditDoc)
	if err := readDocument(file, r, AuditSchema, doc); err != nil {
		return nil, err
	}
	if b := doc.Baseline; b != nil && b.Known > 0 {
		return nil, fmt.Errorf("%s: leaves out %s that %s has as well: give an audit made without --baseline", file, count(uint64(b.Known), "finding"), b.File)
	}
	return doc, nil
}

// ReadAuditFile reads an audit from a file, or from standard input where its
// name is "-".
func ReadAuditFile(file string) (*AuditDoc, error) {
	if file == "-" {
		return ReadAudit("standard input", os.Stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAudit(file, f)
}

// readDocument reads one JSON document of a schema into doc.
func readDocument(file string, r io.Reader, want string, doc any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", file, err)
	case len(text) > maxDocument:
		return fmt.Errorf("%s: longer than %d MB: not a wirechart document", file, maxDocument>>20)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("%s: not a JSON document: %s (wirechart audit -o json writes one)", file, jsonError(err))
	}
	if head.Schema != want {
		if head.Schema == "" {
			head.Schema = "a document without a schema"
		}
		return fmt.Errorf("%s: %s, not %s (wirechart audit -o json writes that)", file, head.Schema, want)
	}
	if err := json.Unmarshal(text, doc); err != nil {
		return fmt.Errorf("%s: not %s: %s", file, want, jsonError(err))
	}
	return nil
}

// jsonError says where a text goes wrong.
func jsonError(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v at byte %d", err, syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a %s at byte %d", kind.Field, kind.Value, kind.Offset)
	}
	return err.Error()
}
