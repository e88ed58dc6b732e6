package report

import (
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// column is one column of a grid.
type column struct {
	head  string
	right bool // numbers
	wide  bool // takes the room that the others leave, and wraps in it
}

// cell is the text of one place in a grid, clean already.
type cell struct {
	text  string
	style style
}

func cellOf(text string) cell { return cell{Clean(text), plain} }

const gridGap = 2 // columns between two columns of a grid

// writeGrid writes rows under their heads, without borders, no wider than the
// terminal. The columns are as wide as their text; those that are wide share
// what is left; cells behind the last column are not shown. tablewriter aligns;
// wrapping is done here, before colours, as an escape sequence must not be cut.
func writeGrid(w io.Writer, o *Options, indent int, columns []column, rows [][]cell) error {
	widths := gridWidths(o.width()-indent, columns, rows)
	head := make([]string, len(columns))
	align := make([]tw.Align, len(columns))
	any := false
	for i, c := range columns {
		head[i] = o.paint(dim, c.head)
		any = any || c.head != ""
		align[i] = tw.AlignLeft
		if c.right {
			align[i] = tw.AlignRight
		}
	}
	var text strings.Builder
	formatting := tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off}
	t := tablewriter.NewTable(&text,
		tablewriter.WithConfig(tablewriter.Config{
			Header:   tw.CellConfig{Formatting: formatting, Alignment: tw.CellAlignment{PerColumn: align}, Padding: tw.CellPadding{Global: gapRight}},
			Row:      tw.CellConfig{Formatting: formatting, Alignment: tw.CellAlignment{PerColumn: align}, Padding: tw.CellPadding{Global: gapRight}},
			Behavior: tw.Behavior{TrimSpace: tw.Off, TrimLine: tw.Off},
		}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})),
		tablewriter.WithEastAsian(tw.Off),
	)
	if any {
		t.Header(head)
	}
	for _, row := range rows {
		line := make([]string, len(columns)) // tablewriter keeps it
		for i, c := range row[:len(columns)] {
			parts := []string{c.text}
			if columns[i].wide {
				parts = wrap(c.text, widths[i], 0)
			}
			for k := range parts {
				parts[k] = o.paint(c.style, parts[k])
			}
			line[i] = strings.Join(parts, "\n")
		}
		if err := t.Append(line); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	lead := strings.Repeat(" ", indent)
	for l := range strings.Lines(text.String()) {
		// tablewriter resets colours behind every gap as well, and pads the
		// last column: neither is of use.
		l = strings.TrimRight(strings.ReplaceAll(l, " \x1b[0m", " "), " \n")
		if l != "" {
			l = lead + l
		}
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// gridWidths divides left, the width of the terminal, among the columns.
func gridWidths(left int, columns []column, rows [][]cell) []int {
	widths := make([]int, len(columns))
	flexible := 0
	for i, c := range columns {
		if c.wide {
			flexible++
			continue
		}
		widths[i] = gridColumn(columns, rows, i)
		left -= widths[i] + gridGap
	}
	for i, c := range columns {
		if c.wide {
			widths[i] = max(left/flexible-gridGap*(flexible-1), 16)
		}
	}
	return widths
}

// gridColumn is how wide the text of column i is.
func gridColumn(columns []column, rows [][]cell, i int) int {
	width := cells(columns[i].head)
	for _, row := range rows {
		width = max(width, cells(row[i].text))
	}
	return width
}

// gridWidth is how wide a grid without wide columns is.
func gridWidth(columns []column, rows [][]cell) int {
	width := -gridGap
	for i := range columns {
		width += gridColumn(columns, rows, i) + gridGap
	}
	return width
}

// gapRight keeps columns apart.
var gapRight = tw.Padding{Left: tw.Empty, Right: "  ", Overwrite: true}
