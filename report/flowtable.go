package report

import (
	"io"
	"strings"

	"wirechart/flows"
	"wirechart/rules"
)

// flowTable writes flows for people: a grid for every few hundred flows, under
// heads of its own, so that memory does not grow with the capture.
type flowTable struct {
	p       page
	x       extent
	columns []flowColumn
	rows    [][]cell
	wrote   bool
}

// flowColumn is one column: its head and what it says of a flow.
type flowColumn struct {
	column
	of func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell
}

const flowsOnPage = 400

func newFlowTable(w io.Writer, o *Options, x extent) *flowTable {
	t := &flowTable{p: page{w: w, o: o}, x: x}
	all, width := x == full, o.width()
	judged := o.Hosts != nil
	add := func(when bool, head string, right bool, of func(*flowTable, *flows.Flow, *rules.Verdict) cell) {
		if when {
			t.columns = append(t.columns, flowColumn{column{head: head, right: right}, of})
		}
	}
	add(true, "frame", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(frameNumber(f.Frame.Number()))
	})
	add(all || width >= 150, "start", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(timestamp(f.Start)[11:23])
	})
	add(all, "lasted", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(span(f.End - f.Start)) })
	add(true, "proto", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(flows.ProtoName(f.Proto)) })
	add(true, "client", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(end(f.Client)) })
	add(judged && (all || width >= 180), "plays", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(componentIDs(t.p.o.Hosts.Roles(f.Client.Addr())))
	})
	add(true, "server", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(end(f.Server)) })
	add(judged && (all || width >= 180), "plays", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(componentIDs(t.p.o.Hosts.Roles(f.Server.Addr())))
	})
	add(true, "app", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(f.App) })
	add(all || width >= 100 || !judged, "packets", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(number(f.Packets.Sum()))
	})
	add(all || width >= 110 || !judged && width >= 90, "bytes", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(size(f.Bytes.Sum()))
	})
	add(all, "state", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		if f.Proto != flows.ProtoTCP {
			return cell{}
		}
		return cellOf(f.TCP.State.String())
	})
	add(judged, "verdict", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
		return cell{kindWord(v.Kind), kindStyle(v.Kind)}
	})
	add(judged && (all || width >= 120), "edge", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
		if v.Edge == nil {
			return cell{}
		}
		return cellOf(v.Edge.ID)
	})
	add(judged && (all || width >= 150), "why", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
		var names []string
		for _, why := range v.Reasons {
			names = append(names, why.Reason.String())
		}
		return cellOf(strings.Join(names, ", "))
	})
	return t
}

func (t *flowTable) Flow(f *flows.Flow, v *rules.Verdict) error {
	if v == nil {
		v = &rules.Verdict{}
	}
	row := make([]cell, len(t.columns))
	for i, c := range t.columns {
		row[i] = c.of(t, f, v)
	}
	t.rows = append(t.rows, row)
	if len(t.rows) >= flowsOnPage {
		t.flush()
	}
	return t.p.err
}

func (t *flowTable) flush() {
	if t.wrote {
		t.p.print("\n")
	}
	t.wrote = true
	columns := make([]column, len(t.columns))
	for i, c := range t.columns {
		columns[i] = c.column
	}
	t.p.grid(0, columns, t.rows)
	t.rows = t.rows[:0]
}

func (t *flowTable) Close() error {
	if len(t.rows) > 0 {
		t.flush()
	} else if !t.wrote {
		t.p.print("no flows\n")
	}
	return t.p.err
}
