package report

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

// What the formats of other tools have in common: Suricata's EVE (eve.go),
// Zeek's logs (zeek.go) and the Elastic Common Schema (ecs.go). Each is JSON,
// one object a line. A member is written where its value is known, by the name
// and in the words of the tool; what the tool has no word for is in members
// that begin with "wirechart".
//
// These tools write a record for each request, and a flow record has what all
// of its requests said. A value is told of the request where there is one alone
// of its kind in the flow: of several, nothing says which belongs to which.

// foreign writes flows as lines of JSON.
type foreign struct {
	w    io.Writer
	o    *Options
	each func(f *flows.Flow, v *rules.Verdict, o *Options) []members
}

func (x *foreign) Flow(f *flows.Flow, v *rules.Verdict) error {
	for _, doc := range x.each(f, v, x.o) {
		if err := writeLine(x.w, doc); err != nil {
			return err
		}
	}
	return nil
}

func (x *foreign) Close() error { return nil }

func foreignFlows(each func(f *flows.Flow, v *rules.Verdict, o *Options) []members) func(io.Writer, *Options) FlowWriter {
	return func(w io.Writer, o *Options) FlowWriter { return &foreign{w, o, each} }
}

// members are those of a JSON object.
type members map[string]any

// put adds a member unless its value is empty.
func (x members) put(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case members:
		if len(v) == 0 {
			return
		}
	}
	x[name] = value
}

// listed are the values of a List.
func listed(f *flows.Flow, k dissect.Key) []string {
	var list []string
	for _, x := range f.Facts.All() {
		if x.Key == k {
			list = append(list, x.Str)
		}
	}
	return list
}

// only is the value of a List that has one alone.
func only(f *flows.Flow, k dissect.Key) string {
	if list := listed(f, k); len(list) == 1 {
		return list[0]
	}
	return ""
}

// certificateName is what is known of a certificate's subject as a
// distinguished name: its common name.
func certificateName(cn string) string {
	if cn == "" {
		return ""
	}
	return "CN=" + cn
}

// cipherName is the name of a cipher suite, and its number where it is not known
// by one.
func cipherName(hex string) string {
	id, err := strconv.ParseUint(strings.TrimPrefix(hex, "0x"), 16, 16)
	if err != nil {
		return hex
	}
	if name := tls.CipherSuiteName(uint16(id)); strings.HasPrefix(name, "TLS_") {
		return name
	}
	return hex
}

// saysTLS tells whether a hello was read in f.
func saysTLS(f *flows.Flow) bool {
	return f.Facts.Text(dissect.TLSVersion) != "" || f.Facts.Text(dissect.TLSSNI) != ""
}

// icmpType is the type and code that the client sent.
func icmpType(f *flows.Flow) (t, code int, ok bool) {
	first, second, found := strings.Cut(f.Facts.Text(dissect.ICMPType), "/")
	t, err1 := strconv.Atoi(first)
	code, err2 := strconv.Atoi(second)
	return t, code, found && err1 == nil && err2 == nil
}

// question is one that was asked in DNS. What is not known of it is empty.
type question struct {
	name, kind string

	// answered says that the response to it was seen: the only question of the
	// flow got a response, or addresses of its kind came. Addresses are those of
	// the answer, and of its additional section.
	answered  bool
	addresses []string
}

// questions are those of a flow, without those of dynamic updates (RFC 2136),
// which ask nothing.
func questions(f *flows.Flow) []question {
	if f.Facts.Has(dissect.DNSUpdate) {
		return nil
	}
	var list []question
	names, kinds := listed(f, dissect.DNSQName), listed(f, dissect.DNSQType)
	if len(names) == 1 { // of A and AAAA, most often
		for _, kind := range kinds {
			list = append(list, question{name: names[0], kind: kind})
		}
	} else {
		for _, name := range names {
			list = append(list, question{name: name, kind: only(f, dissect.DNSQType)})
		}
	}
	for i := range list {
		if len(names) == 1 {
			list[i].addresses = addressesOf(f, list[i].kind)
		}
		list[i].answered = len(list[i].addresses) > 0 || len(list) == 1 && f.Facts.Has(dissect.DNSRCode)
	}
	return list
}

// addressesOf are the addresses that answer a question of a kind.
func addressesOf(f *flows.Flow, kind string) []string {
	if kind != "A" && kind != "AAAA" {
		return nil
	}
	return slices.DeleteFunc(listed(f, dissect.DNSAnswer), func(address string) bool {
		return strings.Contains(address, ":") != (kind == "AAAA")
	})
}

// exchange is what is known of a flow's HTTP requests and their responses.
type exchange struct {
	requests    int64
	method      string
	host, agent string
	status      int64 // 0 when it is not known
	version     string
}

// exchangeOf is the exchange of a flow, nil where HTTP was not read.
func exchangeOf(f *flows.Flow) *exchange {
	x := &exchange{method: only(f, dissect.HTTPMethod), host: only(f, dissect.HTTPHost), agent: only(f, dissect.HTTPUserAgent)}
	statuses := 0
	for _, fact := range f.Facts.All() {
		switch fact.Key {
		case dissect.HTTPRequests:
			x.requests = fact.Num
		case dissect.HTTPStatus:
			statuses++
			x.status = fact.Num
		}
	}
	if x.requests == 0 && statuses == 0 {
		return nil
	}
	if statuses > 1 {
		x.status = 0
	}
	if f.Facts.Has(dissect.HTTPHostCut) {
		x.host = ""
	}
	if f.App == "http2" || f.Facts.Text(dissect.TLSALPNSelected) == "h2" {
		x.version = "2"
	}
	return x
}

// hostPort takes a Host header (RFC 9110 section 7.2) apart; the port is 0
// where there is none. An IPv6 address keeps its brackets.
func hostPort(header string) (host string, port uint16) {
	colon := strings.LastIndexByte(header, ':')
	if colon < 0 || strings.Contains(header[:colon], ":") && header[colon-1] != ']' {
		return header, 0
	}
	n, err := strconv.ParseUint(header[colon+1:], 10, 16)
	if err != nil {
		return header, 0
	}
	return header[:colon], uint16(n)
}

// epoch is a time as seconds since 1970, to the microsecond, as a JSON number.
func epoch(ns int64) json.Number { return json.Number(appendDecimal(nil, ns/1000, 6)) }

// ours is what the flow record says and the other tool has no word for.
func ours(f *flows.Flow, v *rules.Verdict) members {
	x := members{}
	if v != nil {
		x["verdict"] = v.Kind.String()
		if v.Edge != nil {
			x["edge"] = v.Edge.ID
		}
		var reasons []string
		for _, why := range v.Reasons {
			reasons = append(reasons, why.Reason.String())
		}
		x.put("reasons", reasons)
	}
	x.put("client_cert", f.Facts.Text(dissect.TLSClientCert))
	x.put("client_cert_basis", f.Facts.Text(dissect.TLSClientCertBasis))
	x.put("zmtp_mechanism", f.Facts.Text(dissect.ZMTPMechanism))
	x["frame"] = f.Frame.Number()
	return x
}
