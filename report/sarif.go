package report

import (
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"wirechart/rules"
)

// sarifFormat writes SARIF 2.1.0 (OASIS Static Analysis Results Interchange
// Format), which platforms for code review and tickets take in: a result for
// each finding and concern, at the capture that proves it and at the line of the
// diagram that it contradicts.
var sarifFormat = Format{
	Name:  "sarif",
	Doc:   "SARIF 2.1.0, findings and concerns for platforms that take it",
	Audit: auditSARIF,
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Artifacts   []sarifArtifact   `json:"artifacts"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID     string       `json:"id"`
	Short  sarifText    `json:"shortDescription"`
	Help   sarifText    `json:"help"`
	Config sarifDefault `json:"defaultConfiguration"`
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool `json:"executionSuccessful"`
}

type sarifArtifact struct {
	Location sarifArtifactLocation `json:"location"`
	MIME     string                `json:"mimeType,omitempty"`
}

type sarifArtifactLocation struct {
	URI string `json:"uri"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Related      []sarifLocation   `json:"relatedLocations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Occurrences  uint64            `json:"occurrenceCount"`
	Baseline     string            `json:"baselineState,omitempty"`
	Properties   map[string]any    `json:"properties"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifactLocation `json:"artifactLocation"`
	Region   *sarifRegion          `json:"region,omitempty"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

func auditSARIF(w io.Writer, a *rules.Audit, o *Options) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "wirechart", Rules: []sarifRule{}}}, Invocations: []sarifInvocation{{true}},
		Artifacts: []sarifArtifact{}, Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	for i := range a.Coverage.Captures.Files {
		f := &a.Coverage.Captures.Files[i]
		if f.Sum > 0 {
			continue
		}
		run.Artifacts = append(run.Artifacts, sarifArtifact{Location: sarifArtifactLocation{fileURI(f.Name)}, MIME: "application/vnd.tcpdump.pcap"})
	}
	index := map[rules.Reason]int{}
	for f, concern := range a.FindingsAndConcerns() {
		n, known := index[f.Reason]
		if !known {
			n = len(run.Tool.Driver.Rules)
			index[f.Reason] = n
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: f.Reason.String(), Short: sarifText{capital(f.Reason.Explain())},
				Help: sarifText{capital(f.Reason.Do())}, Config: sarifDefault{sarifLevel(f.Severity)}})
		}
		run.Results = append(run.Results, newSARIFResult(a, f, concern, n, o))
	}
	return writeJSON(w, &sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func newSARIFResult(a *rules.Audit, f *rules.Finding, concern bool, rule int, o *Options) sarifResult {
	what, says := told(f)
	message := f.From + " to " + f.To + " at " + f.Service + ": " + what
	if says != "" {
		message += " " + capital(says)
	}
	r := sarifResult{RuleID: f.Reason.String(), RuleIndex: rule, Kind: "fail", Level: sarifLevel(f.Severity), Message: sarifText{message},
		Fingerprints: map[string]string{"wirechartFinding/v1": f.ID}, Occurrences: max(f.Flows, 1),
		Properties: map[string]any{"severity": f.Severity.String(), "flows": f.Flows, "bytes": f.Bytes, "from": f.From, "to": f.To, "service": f.Service,
			"client": end(f.Example.Client), "server": end(f.Example.Server), "do": f.Do}}
	switch {
	case concern:
		r.Properties["concern"] = true
	default:
		r.Properties["verdict"] = f.Kind.String()
		switch f.Kind {
		case rules.Violation, rules.Undocumented:
			r.Level = "error"
		case rules.Blocked:
			r.Level = "warning"
		case rules.Indeterminate:
			r.Kind, r.Level = "open", "none" // a level is of failures alone
		}
	}
	if a.Baseline != nil {
		r.Baseline = "new"
	}
	location := sarifLocation{Logical: []sarifLogical{{Name: end(f.Example.Client) + " > " + end(f.Example.Server), Kind: "flow"}}}
	if frame := f.Example.Frame; frame.Number() > 0 {
		location.Physical = &sarifPhysical{Artifact: sarifArtifactLocation{fileURI(o.file(frame))}}
		location.Message = &sarifText{"frame " + strconv.FormatUint(frame.Number(), 10)}
		r.Properties["frame"] = frame.Number()
	}
	r.Locations = []sarifLocation{location}
	if f.Edge != nil {
		r.Properties["edge"] = f.Edge.ID
		if f.Edge.Line > 0 {
			r.Related = []sarifLocation{{Physical: &sarifPhysical{sarifArtifactLocation{fileURI(f.Edge.File)}, &sarifRegion{f.Edge.Line}},
				Message: &sarifText{"the edge " + f.Edge.ID}}}
		}
	}
	return r
}

// sarifLevel is a severity in SARIF's words.
func sarifLevel(s rules.Severity) string {
	switch s {
	case rules.High:
		return "error"
	case rules.Medium:
		return "warning"
	}
	return "note"
}

// fileURI is a file's name as a relative reference (RFC 3986 section 4.2).
func fileURI(name string) string {
	parts := strings.Split(filepath.ToSlash(name), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	s := strings.Join(parts, "/")
	if strings.HasPrefix(s, "/") {
		return "file://" + s
	}
	if first, _, _ := strings.Cut(s, "/"); strings.Contains(first, ":") {
		s = "./" + s
	}
	return s
}
