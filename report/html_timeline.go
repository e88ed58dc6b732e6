package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"wirechart/rules"
)

// timelineView is when flows began, by verdict, and when findings were seen.
type timelineView struct {
	Width, Height     int
	Left, Right, Word int // where the bars begin and end, and the words before them end
	Label             string
	Rows              []timelineRow
	Ticks             []timelineTick
	Findings          []timelineBar
	More, Scale       string
}

type timelineRow struct {
	Class, Label, Most, Path string
	Y, Base                  int
}

type timelineTick struct {
	X      int
	Label  string
	Anchor string
}

type timelineBar struct {
	Class, Label, Says, Name, Href string // Name is how the link is read aloud: it begins with the Label
	X, W, Y, TextX                 int
	Anchor                         string
	Inside                         bool // the text stands on the bar
}

const (
	timelineWidth = 790 // no more, or its letters are too small on paper
	timelineLeft  = 122
	timelineRight = timelineWidth - 20
	rowHeight     = 34
	findingHeight = 17
	maxBars       = 30

	timelineWords  = 56  // letters of what a finding is about
	timelineLetter = 6.8 // how wide one is
)

// newTimeline draws a.Detail; nil when nothing has a time.
func newTimeline(a *rules.Audit) *timelineView {
	d := a.Detail
	if d == nil || len(d.Buckets) == 0 {
		return nil
	}
	first := min(d.Begin, a.Coverage.First)
	if a.Coverage.First == 0 {
		first = d.Begin
	}
	last := max(d.Begin+int64(len(d.Buckets))*d.Width, a.Coverage.Last)
	at := func(ns int64) int {
		ns = min(max(ns, first), last)
		return timelineLeft + int(float64(ns-first)/float64(last-first)*float64(timelineRight-timelineLeft))
	}
	v := &timelineView{Width: timelineWidth, Left: timelineLeft, Right: timelineRight, Word: timelineLeft - 8, Label: "Flows by when they began, and when findings were seen",
		Scale: "Each bar is " + span(d.Width) + "; its height grows with the logarithm of the number of flows."}
	y := 8
	for _, k := range kinds {
		most := uint64(0)
		for i := range d.Buckets {
			most = max(most, d.Buckets[i][k])
		}
		if most == 0 {
			continue
		}
		base := y + rowHeight - 6
		var path strings.Builder
		for i := range d.Buckets {
			n := d.Buckets[i][k]
			if n == 0 {
				continue
			}
			h := 3 + int(math.Round(21*math.Log1p(float64(n-1))/math.Max(math.Log1p(float64(most-1)), math.Ln2)))
			x := at(d.Begin + int64(i)*d.Width)
			w := max(at(d.Begin+int64(i+1)*d.Width)-x-1, 2)
			fmt.Fprintf(&path, "M%d %dh%dv-%dh-%dz", x, base, w, min(h, 24), w)
		}
		v.Rows = append(v.Rows, timelineRow{kindClass(k), kindSign(k) + " " + kindWord(k), "at most " + number(most), path.String(), base - 6, base})
		y += rowHeight
	}
	y += 6
	for i := range a.Findings {
		if i == maxBars {
			v.More = "and " + number(uint64(len(a.Findings)-i)) + " more findings"
			break
		}
		f := &a.Findings[i]
		x := at(f.First)
		b := timelineBar{Class: kindClass(f.Kind), Href: fmt.Sprintf("finding-%d", i+1),
			Says: Clean(fmt.Sprintf("Finding %d: %s, %s to %s %s, %s", i+1, kindWord(f.Kind), f.From, f.To, f.Service, period(f.First, f.Last))),
			X:    x, W: max(at(f.Last)-x, 4), Y: y}
		b.label(i+1, Clean(f.From+" → "+f.To+" "+f.Service))
		b.Name = Clean(fmt.Sprintf("%s, %s, %s", b.Label, kindWord(f.Kind), period(f.First, f.Last)))
		v.Findings = append(v.Findings, b)
		y += findingHeight
	}
	v.ticks(first, last, at)
	v.Height = y + 24
	return v
}

// label writes the number of a finding and what it is about beside its bar, to
// the right where there is room, else to the left, and on the bar where that is
// too long for either.
func (b *timelineBar) label(n int, about string) {
	number := strconv.Itoa(n)
	b.Label = number + "  " + clip(about, timelineWords)
	room := int(timelineLetter * float64(cells(b.Label)))
	b.TextX, b.Anchor = b.X+b.W+5, "start"
	if b.TextX+room <= timelineRight {
		return
	}
	if b.X-5-room < timelineLeft {
		if room+10 <= b.W {
			b.TextX, b.Inside = b.X+5, true
			return
		}
		b.Label = number
		if b.X+b.W+5 < timelineRight-20 {
			return
		}
	}
	b.TextX, b.Anchor = b.X-5, "end"
}

// ticks marks at most eight times, at steps that people count in.
func (v *timelineView) ticks(first, last int64, at func(int64) int) {
	step := int64(0)
	for _, s := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 168 * time.Hour} {
		if step = int64(s); (last-first)/step < 8 {
			break
		}
	}
	for (last-first)/step >= 8 {
		step *= 2
	}
	layout := "15:04:05"
	switch {
	case step < int64(time.Second):
		layout = "15:04:05.000"
	case step >= int64(24*time.Hour):
		layout = "2006-01-02"
	case last-first > int64(24*time.Hour):
		layout = "01-02 15:04"
	}
	for i := int64(1); i <= 9; i++ { // counted: a time that somebody made up may lie at the end of what can be said
		t := first - first%step + i*step
		if t < first || t >= last {
			break
		}
		tick := timelineTick{at(t), time.Unix(0, t).UTC().Format(layout), "middle"}
		if half := int(timelineLetter * float64(len(tick.Label)) / 2); tick.X+half > timelineWidth {
			tick.Anchor = "end"
		}
		v.Ticks = append(v.Ticks, tick)
	}
}
