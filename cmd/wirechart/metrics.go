package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/report"
	"wirechart/rules"
)

// counts is what /metrics tells, as it was at one moment. It is made by the
// loop that takes packets and never changes after.
type counts struct {
	at      time.Time
	capture pcaps.Stats
	table   flows.Stats
	held    int
	audit   *rules.Audit // of the last look; nil before the first
	flows   map[string]uint64
	lost    uint64 // frames that --evidence and -w could not keep
}

// exporter serves the counters of a run for Prometheus. No address of a host is
// in them: labels are of closed lists.
type exporter struct {
	server *http.Server
	now    atomic.Pointer[counts]
}

// stalled is how long the loop may be silent before /healthz says that it is.
const stalled = 30 * time.Second

// newExporter listens. An address that others can reach is refused unless that
// is what is wanted.
func newExporter(addr string, public bool) (*exporter, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: no address and port, as in 127.0.0.1:9108", addr)
	}
	if ip := net.ParseIP(host); !public && (ip == nil && host != "localhost" || ip != nil && !ip.IsLoopback()) {
		return nil, fmt.Errorf("--metrics %s: others could reach that; --metrics-public allows it", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("--metrics %s: %w", addr, err)
	}
	e := &exporter{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if c := e.now.Load(); c != nil {
			c.write(w)
		}
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		c := e.now.Load()
		if c == nil || time.Since(c.at) > stalled {
			http.Error(w, "no packets are being taken", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10, Addr: l.Addr().String()}
	go func() { _ = e.server.Serve(l) }() // ends with close
	return e, nil
}

func (e *exporter) close() { _ = e.server.Close() }

// write writes the counters in Prometheus' text format. The names are promises.
func (c *counts) write(w io.Writer) {
	s := metrics.NewSet()
	set := func(value uint64, name string, labels ...string) {
		if len(labels) > 0 {
			var list []string
			for i := 0; i < len(labels); i += 2 {
				list = append(list, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
			}
			name += "{" + strings.Join(list, ",") + "}"
		}
		s.GetOrCreateCounter(name).Set(value)
	}
	bytes := uint64(0)
	for i := range c.capture.Files {
		bytes += c.capture.Files[i].Bytes
	}
	set(c.table.Packets, "wirechart_packets_total")
	set(bytes, "wirechart_bytes_total")
	set(c.capture.Dropped, "wirechart_dropped_packets_total", "where", "kernel")
	set(c.capture.InterfaceDropped, "wirechart_dropped_packets_total", "where", "interface")
	set(c.lost, "wirechart_dropped_packets_total", "where", "app")
	for outcome, n := range c.table.Outcomes {
		if kind := flows.Outcome(outcome); kind != flows.Decoded && kind != flows.NotIP && kind != flows.Fragment {
			set(n, "wirechart_decode_errors_total", "layer", strings.ReplaceAll(kind.String(), " ", "_"))
		}
	}
	set(uint64(c.held), "wirechart_flows_active")
	for labels, n := range c.flows {
		proto, service, _ := strings.Cut(labels, " ")
		set(n, "wirechart_flows_total", "proto", proto, "service", service)
	}
	if a := c.audit; a != nil {
		for i := range a.Edges {
			for kind, n := range a.Edges[i].Verdicts {
				if n.Flows > 0 {
					set(n.Flows, "wirechart_edge_flows_total", "edge", a.Edges[i].Edge.ID, "verdict", rules.Kind(kind).String())
				}
			}
		}
		found := map[[2]string]uint64{}
		for f := range a.FindingsAndConcerns() {
			found[[2]string{f.Reason.String(), f.Severity.String()}] += f.Flows
		}
		for k, n := range found {
			set(n, "wirechart_findings_total", "rule", k[0], "severity", k[1])
		}
		conforms := uint64(0)
		if report.ResultOf(a) == report.Conforms {
			conforms = 1
		}
		set(conforms, "wirechart_conforms")
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	set(1, "wirechart_build_info", "version", buildVersion(info))
	s.WritePrometheus(w)
}
