package main

import (
	"io"
	"iter"
	"testing"
	"time"

	"wirechart/dissect"
	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// TestMonitorRests has packets come and then none: what was looked at until it was
// told is not looked at again until more come.
func TestMonitorRests(t *testing.T) {
	diagram, ok := rules.Builtin(rules.BuiltinNames()[0])
	if !ok {
		t.Fatal("no built-in diagram")
	}
	policy, err := rules.Compile(diagram, nil)
	if err != nil {
		t.Fatal(err)
	}
	src, err := pcaps.Open([]string{samples + "site-violations.pcapng"}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	const bound = 1 << 20
	set := dissect.NewSet(dissect.All(), &dissect.Context{}, bound)
	table := flows.NewTable(flows.Config{Limits: flows.DefaultLimits()}, set, func(iter.Seq[*flows.Flow]) {})
	shown := 0
	m := &monitor{job: &job{policy: policy, keys: new(dissect.KeyLog)}, src: src, table: table, tally: rules.NewTally(policy),
		keep: time.Hour, least: time.Second, show: func(*rules.Audit) { shown++ }, given: func() {}}
	now := time.Unix(1000, 0)
	looks := func(want int, when string) {
		t.Helper()
		shown = 0
		for range 100 { // more steps than a look has, and more than a second apart
			now = now.Add(10 * time.Second)
			m.after(now, false)
			if m.away != nil {
				m.advance(true)
			}
		}
		if shown != want {
			t.Errorf("%s: %d looks, want %d", when, shown, want)
		}
	}
	batch := make([]pcaps.Packet, 50)
	for range 2 {
		n, err := src.Read(batch)
		if err != nil && err != io.EOF || n == 0 {
			t.Fatalf("%d packets, %v", n, err)
		}
		table.Add(batch[:n])
		looks(settledIn, "some packets, then none")
		looks(0, "nothing more")
	}
	m.stop()
}

// TestMonitorShare has a look wait until the packets have taken ten times as long
// as the look before, or until it is late.
func TestMonitorShare(t *testing.T) {
	ended := time.Unix(1000, 0)
	table := flows.NewTable(flows.Config{Limits: flows.DefaultLimits()}, dissect.NewSet(dissect.All(), &dissect.Context{}, 1<<20), func(iter.Seq[*flows.Flow]) {})
	m := &monitor{table: table, least: time.Second, spent: 40 * time.Millisecond}
	m.rest(ended)
	for _, c := range []struct {
		when       string
		busy, past time.Duration
		fresh      int // flows that were not in the look before
		want       bool
	}{
		{"packets that cost much, too soon", time.Second, time.Second, 0, false},
		{"packets that cost much", time.Second, 2 * time.Second, 0, true},
		{"few packets", 100 * time.Millisecond, 9 * time.Second, 0, false},
		{"few packets, late", 100 * time.Millisecond, 10 * time.Second, 0, true},
		{"many new flows", time.Second, 9 * time.Second, 1_000_000, false},
		{"many new flows, late", time.Second, 10 * time.Second, 1_000_000, true},
	} {
		m.busy, m.flows = c.busy, -c.fresh
		if got := m.isDue(ended.Add(c.past)); got != c.want {
			t.Errorf("%s: due is %v, want %v", c.when, got, c.want)
		}
	}
	m.spent, m.flows = time.Millisecond, 0
	m.rest(ended)
	if !m.isDue(ended.Add(time.Second)) {
		t.Error("a short look waits for packets")
	}
}
