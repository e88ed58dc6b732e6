package report

import (
	"io"
	"slices"
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
	from int // the width of the terminal from which on it is shown; 0 for always
	of   func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell
}

const (
	flowsOnPage = 400
	always      = 0
	inFull      = 1 << 30 // a width that no terminal has: only where everything is shown
)

func newFlowTable(w io.Writer, o *Options, x extent) *flowTable {
	t := &flowTable{p: page{w: w, o: o}, x: x}
	add := func(from int, head string, right bool, of func(*flowTable, *flows.Flow, *rules.Verdict) cell) {
		if x == full || o.width() >= from {
			t.columns = append(t.columns, flowColumn{column{head: head, right: right}, from, of})
		}
	}
	judged := o.Hosts != nil
	packets, bytes := always, 90 // there is room for them where verdicts are not
	if judged {
		packets, bytes = 100, 110
	}
	add(always, "frame", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(frameNumber(f.Frame.Number()))
	})
	add(150, "start", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(timestamp(f.Start)[11:23])
	})
	add(inFull, "lasted", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(span(f.End - f.Start)) })
	add(always, "proto", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(flows.ProtoText(f.Proto)) })
	add(always, clientHead, false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(end(f.Client)) })
	if judged {
		add(180, "plays", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
			return cellOf(componentIDs(t.p.o.Hosts.Roles(f.Client.Addr())))
		})
	}
	add(always, serverHead, false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(end(f.Server)) })
	if judged {
		add(180, "plays", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
			return cellOf(componentIDs(t.p.o.Hosts.Roles(f.Server.Addr())))
		})
	}
	add(always, "app", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell { return cellOf(f.App) })
	add(packets, "packets", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(number(f.Packets.Sum()))
	})
	add(bytes, "bytes", true, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		return cellOf(size(f.Bytes.Sum()))
	})
	add(inFull, "state", false, func(t *flowTable, f *flows.Flow, _ *rules.Verdict) cell {
		if f.Proto != flows.ProtoTCP {
			return cell{}
		}
		return cellOf(f.TCP.State.String())
	})
	if !judged {
		return t
	}
	add(always, "verdict", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
		return cell{kindWord(v.Kind), kindStyle(v.Kind)}
	})
	add(120, "edge", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
		if v.Edge == nil {
			return cell{}
		}
		return cellOf(v.Edge.ID)
	})
	add(150, "why", false, func(t *flowTable, f *flows.Flow, v *rules.Verdict) cell {
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
	rows := t.rows
	if t.x != full {
		columns, rows = t.fit(columns, rows)
	}
	t.p.grid(0, columns, rows)
	t.rows = t.rows[:0]
}

// fit makes a page as wide as the terminal: columns that want a wide one go
// first, and where what must stay is too wide for some rows, those have the
// server on a line of its own, so that no address is broken.
func (t *flowTable) fit(columns []column, rows [][]cell) ([]column, [][]cell) {
	room := t.p.o.width()
	froms := make([]int, len(columns))
	for i := range froms {
		froms[i] = t.columns[i].from
	}
	for gridWidth(columns, rows) > room {
		last := 0
		for i, from := range froms {
			if from >= froms[last] {
				last = i
			}
		}
		if froms[last] == always {
			break
		}
		columns, froms = slices.Delete(columns, last, last+1), slices.Delete(froms, last, last+1)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], last, last+1)
		}
	}
	at := slices.IndexFunc(columns, func(c column) bool { return c.head == clientHead })
	if over := gridWidth(columns, rows) - room; over > 0 && columns[at+1].head == serverHead {
		columns, rows = joinEnds(columns, rows, at, over)
	}
	return columns, rows
}

// The heads of the two ends of a flow, side by side wherever a page is fitted.
const clientHead, serverHead = "client", "server"

// joinEnds makes one column, narrower by over, of the two at at and behind it.
// They are aligned in it as they were, for as many rows as can be.
func joinEnds(columns []column, rows [][]cell, at, over int) ([]column, [][]cell) {
	width := func(row []cell, i int) int { return cells(row[i].text) }
	room := -over
	for i := at; i <= at+1; i++ {
		room += gridColumn(columns, rows, i)
	}
	// The width of the client's part is that of one of the clients.
	client, most := 0, -1
	for try := len(clientHead); try <= room; try++ {
		n := 0
		for _, row := range rows {
			if width(row, at) <= try && width(row, at+1) <= room-try {
				n++
			}
		}
		if n > most {
			client, most = try, n
		}
	}
	pad := func(s string) string { return s + strings.Repeat(" ", max(client-cells(s), 0)+gridGap) }
	columns[at] = column{head: pad(clientHead) + serverHead}
	columns = slices.Delete(columns, at+1, at+2)
	for i, row := range rows {
		joined := pad(row[at].text) + row[at+1].text
		if width(row, at) > client || width(row, at+1) > room-client {
			joined = portApart(row[at].text, room+gridGap) + "\n" + portApart("> "+row[at+1].text, room+gridGap)
		}
		row[at].text = joined
		rows[i] = slices.Delete(row, at+1, at+2)
	}
	return columns, rows
}

// portApart is an end in at most room columns if its port can stand below it.
func portApart(end string, room int) string {
	if at := strings.LastIndex(end, "]:"); at > 0 && cells(end) > room {
		return end[:at+1] + "\n  " + end[at+1:]
	}
	return end
}

func (t *flowTable) Close() error {
	if len(t.rows) > 0 {
		t.flush()
	} else if !t.wrote {
		t.p.print("no flows\n")
	}
	return t.p.err
}
