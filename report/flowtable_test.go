package report

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"wirechart/flows"
	"wirechart/rules"
)

// A table of flows is as wide as the terminal, whatever addresses are in it; no
// address is broken, and only rows that need it have a second line.
func TestFlowTableFits(t *testing.T) {
	d := testDiagram(t)
	long := [2]string{"[2001:16d8:ffce:10:aca8:353c:291d:a9b3]:62510", "[2400:cb00:2048:1:ffff:ffff:6813:c266]:44445"}
	for _, c := range []struct {
		width  int
		client string
		server string
		app    string
		two    int // lines of the flow with the long addresses
	}{
		{80, long[0], long[1], "tls", 2},
		{100, long[0], long[1], "tls", 2},
		{150, long[0], long[1], "tls", 1},
		{200, long[0], long[1], "tls", 1},
		{80, "[fe80::20:30ff:fe00:12]:5353", "[ff02::fb]:5353", "elasticsearch", 2},
		{80, long[0], "10.20.30.11:443", "syslog", 3},
	} {
		for _, judged := range []bool{true, false} {
			o := &Options{Width: c.width, Hosts: namedHosts{role: d.Component("agent")}}
			if !judged {
				o.Hosts = nil
			}
			plain, odd := testFlow(), testFlow()
			plain.Server = endpoint("10.20.30.11:7780")
			odd.Client, odd.Server, odd.App = endpoint(c.client), endpoint(c.server), c.app
			text := written(t, func(b *strings.Builder) error {
				w := newFlowTable(io.Writer(b), o, short)
				for _, f := range []*flows.Flow{plain, odd, plain} {
					if err := w.Flow(f, &rules.Verdict{Kind: rules.OutOfScope}); err != nil {
						return err
					}
				}
				return w.Close()
			})
			name := fmt.Sprintf("width %d, judged %v:\n%s", c.width, judged, text)
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			for _, line := range lines {
				if cells(line) > c.width {
					t.Errorf("%d columns in %s", cells(line), name)
				}
			}
			if judged && len(lines) != 3+c.two {
				t.Errorf("the long flow takes %d lines, want %d, at %s", len(lines)-3, c.two, name)
			}
			if !strings.Contains(lines[1], "10.20.30.22:51514  10.20.30.11:7780") && c.two > 1 && len(c.client) < 40 {
				t.Errorf("the short flow is not on one line at %s", name)
			}
			for _, end := range []string{c.client, c.server} {
				if at := strings.Index(end, "]") + 1; !strings.Contains(text, end[:at]) {
					t.Errorf("%s is broken at %s", end, name)
				}
			}
		}
	}
}

// An IP protocol is called by its name where people read, and no service by a port.
func TestFlowTableProtocols(t *testing.T) {
	o := &Options{Width: 80}
	text := written(t, func(b *strings.Builder) error {
		w := newFlowTable(io.Writer(b), o, short)
		for _, proto := range []uint8{50, 253} {
			f := testFlow()
			f.Proto, f.App = proto, ""
			f.Client, f.Server = endpoint("10.20.30.22:0"), endpoint("10.20.30.11:0")
			if err := w.Flow(f, nil); err != nil {
				return err
			}
		}
		return w.Close()
	})
	for _, want := range []string{"esp     10.20.30.22  10.20.30.11 ", "ip/253  10.20.30.22  10.20.30.11 "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
