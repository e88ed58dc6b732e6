package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/rules"
)

var csvFormat = Format{
	Name:  "csv",
	Doc:   "RFC 4180 with a header; the audit as one row for each finding, concern and edge",
	Audit: auditCSV,
	Hosts: hostsCSV,
	Flows: func(w io.Writer, o *Options) FlowWriter { return newCSVFlows(w, o) },
}

// sheet writes rows as RFC 4180 has them.
type sheet struct{ w *csv.Writer }

func newSheet(w io.Writer) sheet {
	s := sheet{csv.NewWriter(w)}
	s.w.UseCRLF = true
	return s
}

// row writes one row. A spreadsheet runs what begins like a formula, and names
// come from the wire: such a value gets an apostrophe in front, which a
// spreadsheet takes for "this is text"; the wide forms of these signs are taken
// for the same in some languages. Control characters are taken out.
func (s sheet) row(values []string) error {
	for i, v := range values {
		v = Clean(v)
		if first, _ := utf8.DecodeRuneInString(v); v != "" && strings.ContainsRune("=+-@|%＝＋－＠", first) && !isNumber(v) {
			v = "'" + v
		}
		values[i] = v
	}
	return s.w.Write(values)
}

func (s sheet) close() error {
	s.w.Flush()
	return s.w.Error()
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func auditCSV(w io.Writer, a *rules.Audit, o *Options) error {
	s := newSheet(w)
	if err := s.row([]string{"is", "id", "verdict", "severity", "reason", "edge", "from", "to", "service", "flows", "bytes",
		"first", "last", "client", "server", "file", "frame", "says", "do"}); err != nil {
		return err
	}
	doc := newAuditDoc(a, o)
	for _, list := range []struct {
		is   string
		rows []findingDoc
		of   []rules.Finding
	}{{"finding", doc.Findings, a.Findings}, {"concern", doc.Concerns, a.Concerns}} {
		for i, f := range list.rows {
			says, more := told(&list.of[i])
			if more != "" {
				says = strings.TrimSuffix(says, ".") + ": " + more
			}
			if err := s.row([]string{list.is, f.ID, f.Verdict, f.Severity, f.Reason, f.Edge, f.From, f.To, f.Service,
				decimal(f.Flows), decimal(f.Bytes), f.First, f.Last, f.Example.Client, f.Example.Server,
				f.Example.File, optionalFrame(f.Example.Frame), says, f.Do}); err != nil {
				return err
			}
		}
	}
	for i := range doc.Edges {
		e := &doc.Edges[i]
		client, server, file, frame := "", "", "", ""
		if e.Example != nil {
			client, server, _ = strings.Cut(e.Example.Flow, " > ")
			file, frame = e.Example.File, optionalFrame(e.Example.Frame)
		}
		var n, bytes uint64
		for _, c := range e.Verdicts {
			n, bytes = n+c.Flows, bytes+c.Bytes
		}
		if err := s.row([]string{"edge", e.ID, e.Status, "", "", e.ID, strings.Join(e.From, " "), strings.Join(e.To, " "),
			strings.Join(e.Over, " "), decimal(n), decimal(bytes), "", "", client, server, file, frame, e.Why, ""}); err != nil {
			return err
		}
	}
	return s.close()
}

func hostsCSV(w io.Writer, hosts []rules.Host, o *Options) error {
	s := newSheet(w)
	if err := s.row([]string{"address", "name", "mac", "role", "confidence", "pinned", "flows", "because", "file", "frame"}); err != nil {
		return err
	}
	for i := range hosts {
		h := newHostDoc(&hosts[i], o)
		for k := range max(1, len(h.Roles)) {
			role, confidence, file, frame := "", "", "", ""
			var because []string
			if k < len(h.Roles) {
				r := &h.Roles[k]
				role, confidence = r.Role, strconv.FormatFloat(r.Confidence, 'g', 4, 64)
				for n, e := range r.Because {
					because = append(because, e.Says)
					if n == 0 {
						file, frame = e.File, optionalFrame(e.Frame)
					}
				}
			}
			if err := s.row([]string{h.Address, h.Name, h.MAC, role, confidence, strconv.FormatBool(h.Pinned), decimal(h.Flows),
				strings.Join(because, "; "), file, frame}); err != nil {
				return err
			}
		}
	}
	return s.close()
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// optionalFrame is a frame's number, empty when there is none.
func optionalFrame(n uint64) string {
	if n == 0 {
		return ""
	}
	return decimal(n)
}

// csvFlows writes the flow record flat: a pair is two columns, a list is one
// with its elements a space apart, a fact has its dotted name.
type csvFlows struct {
	s   sheet
	o   *Options
	row []string
	err error
}

var csvFlowHead = []string{"file", "frame", "id", "community_id", "start", "end", "duration", "proto",
	"client_ip", "client_port", "client_mac", "client_name", "client_roles",
	"server_ip", "server_port", "server_mac", "server_name", "server_roles", "orientation",
	"packets_to_server", "packets_to_client", "bytes_to_server", "bytes_to_client", "payload_to_server", "payload_to_client",
	"missed_to_server", "missed_to_client", "retransmitted_to_server", "retransmitted_to_client",
	"out_of_order_to_server", "out_of_order_to_client", "duplicates_to_server", "duplicates_to_client",
	"vlan", "tunnel", "tcp_state", "tcp_history", "tcp_rtt_ms", "ended", "app", "app_basis",
	"verdict", "edge", "reasons", "concerns", "evidence"}

func newCSVFlows(w io.Writer, o *Options) *csvFlows {
	c := &csvFlows{s: newSheet(w), o: o}
	head := append([]string{}, csvFlowHead...)
	for _, k := range dissect.Keys() {
		head = append(head, k.Name)
	}
	c.err = c.s.row(head)
	return c
}

func (c *csvFlows) Flow(f *flows.Flow, v *rules.Verdict) error {
	if c.err != nil {
		return c.err
	}
	c.row = append(c.row[:0], c.o.file(f.Frame), decimal(f.Frame.Number()), decimal(f.ID), f.CommunityID(),
		timestamp(f.Start), timestamp(f.End), string(appendDecimal(nil, f.End-f.Start, 9)), flows.ProtoName(f.Proto))
	c.end(f, dissect.ToServer)
	c.end(f, dissect.ToClient)
	c.row = append(c.row, f.Oriented.String())
	c.pairs(f.Packets, f.Bytes, f.Payload)
	if f.Proto == flows.ProtoTCP {
		c.pairs(f.Missed, f.Retransmitted, f.OutOfOrder)
	} else {
		c.row = append(c.row, "", "", "", "", "", "")
	}
	c.pairs(f.Duplicate)
	var tags []string
	for _, t := range f.VLANs {
		tags = append(tags, strconv.Itoa(int(t)))
	}
	c.row = append(c.row, strings.Join(tags, " "), strings.Join(f.Tunnel, " "))
	if f.Proto == flows.ProtoTCP {
		rtt := ""
		if f.TCP.RTT > 0 {
			rtt = string(appendDecimal(nil, f.TCP.RTT, 6))
		}
		c.row = append(c.row, f.TCP.State.String(), f.TCP.History, rtt)
	} else {
		c.row = append(c.row, "", "", "")
	}
	c.row = append(c.row, f.Ended.String(), f.App, f.AppBasis.String())
	c.verdict(f, v)
	c.facts(f.Facts)
	c.err = c.s.row(c.row)
	return c.err
}

func (c *csvFlows) end(f *flows.Flow, sender dissect.Dir) {
	ap, mac := f.Client, f.ClientMAC
	if sender == dissect.ToClient {
		ap, mac = f.Server, f.ServerMAC
	}
	port, hw, name, roles := "", "", "", ""
	if hasPorts(f.Proto) {
		port = strconv.Itoa(int(ap.Port()))
	}
	if mac != (flows.MAC{}) {
		hw = string(appendMAC(nil, mac))
	}
	if p := c.o.Hosts; p != nil {
		name, roles = p.HostName(ap.Addr()), strings.Join(ids(p.Roles(ap.Addr())), " ")
	}
	c.row = append(c.row, ap.Addr().String(), port, hw, name, roles)
}

func (c *csvFlows) pairs(pairs ...flows.Pair) {
	for _, p := range pairs {
		c.row = append(c.row, decimal(p[0]), decimal(p[1]))
	}
}

func (c *csvFlows) verdict(f *flows.Flow, v *rules.Verdict) {
	if v == nil {
		c.row = append(c.row, "", "", "", "", "")
		return
	}
	edge := ""
	if v.Edge != nil {
		edge = v.Edge.ID
	}
	var reasons, concerns, evidence []string
	for _, b := range v.Reasons {
		reasons = append(reasons, b.Reason.String())
		s := says(f, b)
		if at := c.o.place(b.Frame); at != "" {
			s += " (" + at + ")"
		}
		evidence = append(evidence, s)
	}
	for _, b := range v.Concerns {
		concerns = append(concerns, b.Reason.String())
	}
	c.row = append(c.row, v.Kind.String(), edge, strings.Join(reasons, " "), strings.Join(concerns, " "), strings.Join(evidence, "; "))
}

func (c *csvFlows) facts(facts *dissect.Facts) {
	from := len(c.row)
	for range dissect.Keys() {
		c.row = append(c.row, "")
	}
	if facts == nil {
		return
	}
	for _, x := range facts.All() {
		value := ""
		switch x.Key.Info().Kind {
		case dissect.Text, dissect.List:
			value = x.Str
		case dissect.Flag:
			value = strconv.FormatBool(x.Num != 0)
		case dissect.Int, dissect.Ints:
			value = strconv.FormatInt(x.Num, 10)
		case dissect.Float:
			value = string(appendDecimal(nil, x.Num, 6))
		case dissect.Pair:
			value = strconv.FormatInt(x.Pair()[0], 10) + " " + strconv.FormatInt(x.Pair()[1], 10)
		}
		if at := &c.row[from+int(x.Key)]; *at == "" {
			*at = value
		} else {
			*at += " " + value
		}
	}
}

func (c *csvFlows) Close() error {
	if c.err != nil {
		return c.err
	}
	return c.s.close()
}
