package report

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"wirechart/dissect"
	"wirechart/rules/firewall"
)

// Schema is the JSON Schema (draft 2020-12) of what the JSON formats write. The
// kind is what the member schema of a document or a line has in the middle. They
// are made from what writes the documents: the keys of facts, and the document
// types of json.go and jsonl.go.
func Schema(kind string) ([]byte, bool) {
	var s schema
	switch kind {
	case "flow":
		s = flowSchema()
	case "flows":
		s = documentSchema(FlowsSchema, "All flows", struct {
			Schema string            `json:"schema"`
			Flows  []json.RawMessage `json:"flows"`
		}{})
		s["properties"].(schema)["flows"] = schema{"type": "array", "items": flowSchema()}
	case "audit":
		s = documentSchema(AuditSchema, "An audit", AuditDoc{})
	case "summary":
		s = documentSchema(summarySchema, "What an audit comes to", summaryLine{})
	case "finding":
		s = documentSchema(findingSchema, "A finding of an audit", findingLine{})
	case "concern":
		s = documentSchema(concernSchema, "A concern of an audit", findingLine{})
	case "edge":
		s = documentSchema(edgeSchema, "An edge of the diagram, and what was seen of it", edgeLine{})
	case "host":
		s = documentSchema(hostSchema, "A host and its roles", hostLine{})
	case "hosts":
		s = documentSchema(HostsSchema, "Hosts and their roles", hostsDoc{})
	case "event":
		s = documentSchema(EventSchema, "What happened in a run over interfaces", eventDoc{})
	case "explain":
		s = documentSchema(ExplainSchema, "An explanation of a finding, an edge, a flow or a frame", explainDoc{})
	case "diff":
		s = documentSchema(DiffSchema, "What changed between two audits", DiffDoc{})
	case "compare":
		s = documentSchema(CompareSchema, "What became of flows between two captures", CompareDoc{})
	case "rules":
		s = documentSchema(firewall.Schema, "Firewall rules", firewall.Document{})
	case "verify":
		s = documentSchema(firewall.VerifySchema, "What a ruleset does to the documented connections", firewall.Verification{})
	case "interfaces":
		s = documentSchema(InterfacesSchema, "Network interfaces, and whether they can be captured from", interfacesDoc{})
	default:
		return nil, false
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // made of strings, lists and maps
	}
	return append(b, '\n'), true
}

// schema is a JSON Schema, or a part of one.
type schema map[string]any

const draft = "https://json-schema.org/draft/2020-12/schema"

func object(doc string, required []string, properties schema) schema {
	s := schema{"type": "object", "properties": properties}
	if doc != "" {
		s["description"] = doc
	}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func typed(kind, doc string) schema { return schema{"type": kind, "description": doc} }

func listOf(items schema, doc string) schema {
	return schema{"type": "array", "items": items, "description": doc}
}

func oneOf(doc string, values ...string) schema {
	return schema{"type": "string", "enum": values, "description": doc}
}

func whole(doc string) schema {
	return schema{"type": "integer", "minimum": 0, "description": doc}
}

func pair(doc string) schema {
	return schema{"type": "array", "description": doc + ": [client to server, server to client]",
		"items": schema{"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2}
}

func moment(doc string) schema {
	return schema{"type": "string", "format": "date-time", "description": doc}
}

// flowSchema describes what recorder writes.
func flowSchema() schema {
	end := func(doc string) schema {
		return object(doc, []string{"ip"}, schema{
			"ip":    schema{"type": "string", "description": "IPv4 or IPv6 address"},
			"port":  schema{"type": "integer", "minimum": 0, "maximum": 65535, "description": "absent where the protocol has none"},
			"mac":   typed("string", "Ethernet address"),
			"name":  typed("string", "what the host is called"),
			"roles": listOf(schema{"type": "string"}, "components that the host is; absent when nothing was judged"),
		})
	}
	icmpError := func(doc string) schema {
		return object(doc, []string{"type", "code"}, schema{
			"type": whole("ICMP type"),
			"code": whole("ICMP code"),
			"from": typed("string", "address that sent it"),
		})
	}
	portClass := func(doc string) schema { return oneOf(doc, "dynamic", "documented", "well_known", "other") }
	properties := schema{
		"schema":        schema{"const": FlowSchema},
		"file":          typed("string", "capture that the flow was first seen in, as given on the command line"),
		"frame":         schema{"type": "integer", "minimum": 1, "description": "number of its first frame"},
		"id":            whole("number of the flow, stable within one run"),
		"community_id":  typed("string", "Community ID, version 1, seed 0"),
		"start":         moment("time of its first frame"),
		"end":           moment("time of its last frame"),
		"duration":      schema{"type": "number", "description": "seconds"},
		"proto":         typed("string", "tcp, udp, icmp, icmpv6, sctp or the IP protocol number"),
		"client":        end("the end that opened the flow"),
		"server":        end("the other end"),
		"orientation":   oneOf("how it is known which end is the client", "syn", "protocol", "port", "first_packet"),
		"packets":       pair("frames, every copy and retransmission counted"),
		"bytes":         pair("bytes on the wire, link header and encapsulation included"),
		"payload_bytes": pair("transport payload, every transmission"),
		"missed_bytes":  pair("TCP payload known to be missing"),
		"retransmitted": pair("TCP segments sent again"),
		"out_of_order":  pair("TCP segments that came late"),
		"duplicates":    pair("copies made by the mirror"),
		"vlan":          listOf(whole(""), "VLAN tags, outermost first"),
		"tunnel":        listOf(schema{"type": "string"}, "tags and encapsulations, outermost first"),
		"tcp": object("how the connection went", []string{"state", "history"}, schema{
			"state":       oneOf("Zeek's conn_state", "OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR"),
			"history":     typed("string", "Zeek's history letters"),
			"rtt_ms":      schema{"type": "number", "description": "from SYN to the acknowledgement of the SYN-ACK, milliseconds"},
			"syn_retries": whole("SYN sent again"),
			"reset_by":    oneOf("the end that sent the first RST", "client", "server"),
			"reset_ttl":   whole("TTL or hop limit of the first RST"),
			"ttl":         pair("TTL or hop limit of the first packets, resets left out; 0 where there are none"),
			"idle_ms":     schema{"type": "number", "description": "longest silence after data had flowed both ways and been acknowledged, milliseconds"},
			"zero_window_ms": schema{"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2,
				"description": "longest time in which the client's and the server's window was closed, milliseconds"},
			"icmp": icmpError("first ICMP error that quoted the flow"),
		}),
		"icmp_error": icmpError("first ICMP error that quoted the flow, of flows other than TCP"),
		"ended":      oneOf("why the flow is over", "closed", "reset", "idle", "evicted", "capture_end"),
		"app":        typed("string", "protocol spoken"),
		"app_basis":  oneOf("how that is known", "content", "port", "both"),
		"ports": object("what the ports are", nil, schema{
			"client": portClass("the client's"),
			"server": portClass("the server's"),
		}),
		"verdict": oneOf("what the diagram says of the flow; absent when nothing was judged",
			"documented", "violation", "undocumented", "blocked", "indeterminate", "ambient", "out_of_scope"),
		"edge":    typed("string", "edge that decided or came nearest"),
		"reasons": listOf(schema{"type": "string"}, "why, the deciding one first"),
		"concerns": listOf(object("", []string{"reason", "severity"}, schema{
			"reason":   schema{"type": "string"},
			"severity": oneOf("how much it matters", "info", "low", "medium", "high"),
		}), "good practice that the diagram does not cover"),
		"evidence": listOf(object("", []string{"says"}, schema{
			"frame": whole("frame that shows it; absent when its absence is the proof"),
			"file":  typed("string", "capture of that frame, when it is not the flow's"),
			"says":  schema{"type": "string"},
		}), "for each reason, then for each concern, what was seen and where"),
	}
	for _, k := range dissect.Keys() {
		name, member, _ := strings.Cut(k.Name, ".")
		if properties[name] == nil {
			properties[name] = object("what was learned of "+name, nil, schema{})
		}
		properties[name].(schema)["properties"].(schema)[member] = factSchema(k)
	}
	s := object("One flow: both directions of one five-tuple. A member that is not known is absent.", []string{
		"schema", "frame", "id", "start", "end", "duration", "proto", "client", "server", "orientation",
		"packets", "bytes", "payload_bytes", "duplicates", "ended"}, properties)
	s["$schema"], s["$id"], s["title"] = draft, FlowSchema, "A flow"
	return s
}

func factSchema(k dissect.KeyInfo) schema {
	switch k.Kind {
	case dissect.Text:
		return typed("string", k.Doc)
	case dissect.Flag:
		return typed("boolean", k.Doc)
	case dissect.Int:
		return typed("integer", k.Doc)
	case dissect.Float:
		return typed("number", k.Doc)
	case dissect.List:
		return listOf(schema{"type": "string"}, k.Doc)
	case dissect.Ints:
		return listOf(schema{"type": "integer"}, k.Doc)
	}
	return pair(k.Doc)
}

// documentSchema describes a document type: members from its json tags, what
// may be absent from omitempty, descriptions from its doc tags.
func documentSchema(id, title string, doc any) schema {
	s := typeSchema(reflect.TypeOf(doc))
	s["$schema"], s["$id"], s["title"] = draft, id, title
	s["properties"].(schema)["schema"] = schema{"const": id}
	return s
}

func typeSchema(t reflect.Type) schema {
	if t == reflect.TypeFor[json.RawMessage]() {
		return schema{"type": "object"} // a document of another schema
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": typeSchema(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": typeSchema(t.Elem())}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Struct:
		properties, required := schema{}, []string{}
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous { // its members are members of this one
				inner := typeSchema(f.Type)
				maps.Copy(properties, inner["properties"].(schema))
				if list, ok := inner["required"].([]string); ok {
					required = append(required, list...)
				}
				continue
			}
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := typeSchema(f.Type)
			if doc := f.Tag.Get("doc"); doc != "" {
				p["description"] = doc
			}
			if format := f.Tag.Get("format"); format != "" {
				p["format"] = format
			}
			properties[name] = p
			if options != "omitempty" {
				required = append(required, name)
			}
		}
		return object("", required, properties)
	}
	return schema{"type": "integer"}
}
