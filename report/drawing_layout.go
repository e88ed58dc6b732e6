package report

import (
	"cmp"
	"math"
	"slices"

	"wirechart/rules"
)

// Sizes of a drawing, in its own units: pixels at its natural size. Letters are
// taken to be as wide as those of wide fonts, so that what is reserved for a
// text holds it in any.
const (
	boxWidth    = 200
	titleRoom   = 22 // letters of a title in a box
	noteRoom    = 28 // and of the smaller text under it
	chipRoom    = 27 // and of an unknown host
	titleLine   = 16
	noteLine    = 14
	boxPadding  = 10
	portPitch   = 22 // between lines that are fastened to one side of a box
	lanePitch   = 14 // between lines that pass by a box
	trackPitch  = 9  // between the upright parts of lines
	boxGap      = 26 // between boxes of one column, more where lines pass
	chipHeight  = 19 // of an unknown host
	labelLetter = 8.4
	labelGap    = 16 // from a label to its box: the room of the arrow's head
	margin      = 12
	maxRim      = 48 // ends of lines at the inner sides of two boxes, before the outer sides are used
	touch       = 10 // between the upright parts of two lines on one track
	near        = 5  // two lines at nearly one height that come from either side
	maxPart     = 11 // how far they are moved apart
)

// column2 is a column of boxes, from the top.
type column2 struct {
	boxes []*box
	x     int
	lanes [][]*laneOf // of lines that pass, by the gap: above the first box, below it, ...
}

// lane is where a line passes a column that it does not end in.
type lane struct {
	column, gap int
	y           int
}

type laneOf struct {
	line  *line
	n     int // index into line.lanes
	place float64
}

// stub is one end of a line at one side of a box.
type stub struct {
	line *line
	out  bool // the line begins here
}

// channel is the space beside a column in which lines go up and down: room for
// labels at either side, tracks between.
type channel struct {
	segments      []*segment
	left, right   int // widths of the room for labels
	tracks, width int
	x             int
}

// segment is a line in one channel: it comes in at height a and leaves at
// height b, each at the left or the right side.
type segment struct {
	line         *line
	a, b         int
	aLeft, bLeft bool
	track        int
}

// lay gives boxes and lines their coordinates. The columns are those of the
// diagram; a line leaves a box at the side that faces where it goes, passes
// columns between their boxes, and turns in the channels beside them, each on a
// track of its own. Every end of a line has a height of its own at its box, and
// the label stands there: labels cannot collide, with lines or with each other.
func (g *drawing) lay() {
	g.place()
	g.fasten()
	g.heights()
	g.widths()
}

// place finds the column of every box.
func (g *drawing) place() {
	placed := 0
	for _, b := range g.boxes {
		if b.component != nil && b.component.Place != nil {
			b.place = *b.component.Place
			placed++
		}
	}
	if placed == 0 {
		g.layers()
	} else {
		g.placeRest()
	}
	var steps []float64
	for _, b := range g.boxes {
		steps = append(steps, b.place.Column)
	}
	slices.Sort(steps)
	steps = slices.Compact(steps)
	g.columns = make([]column2, len(steps))
	g.channels = make([]channel, len(steps)+1)
	for _, b := range g.boxes {
		b.column, _ = slices.BinarySearch(steps, b.place.Column)
		c := &g.columns[b.column]
		c.boxes = append(c.boxes, b)
	}
	for i := range g.columns {
		c := &g.columns[i]
		slices.SortStableFunc(c.boxes, func(x, y *box) int { return cmp.Compare(x.place.Row, y.place.Row) })
		// Two boxes in one place: the later one stands below.
		for k := 1; k < len(c.boxes); k++ {
			c.boxes[k].place.Row = max(c.boxes[k].place.Row, c.boxes[k-1].place.Row+0.1)
		}
		c.lanes = make([][]*laneOf, len(c.boxes)+1)
	}
}

// placeRest finds places for boxes that have none, beside others that have:
// below all of a column, right of what calls them or left of what they call.
func (g *drawing) placeRest() {
	last, bottom := 0.0, map[float64]float64{}
	has := func(b *box) bool { return b.component != nil && b.component.Place != nil }
	for _, b := range g.boxes {
		if has(b) {
			last = max(last, b.place.Column)
			bottom[b.place.Column] = max(bottom[b.place.Column], b.place.Row)
		}
	}
	for _, b := range g.boxes {
		if has(b) {
			continue
		}
		at := -1.0
		for _, l := range g.lines {
			if l.to == b && has(l.from) {
				at = max(at, min(l.from.place.Column+1, last))
			}
		}
		for _, l := range g.lines {
			if at < 0 && l.from == b && has(l.to) {
				at = max(l.to.place.Column-1, 0)
			}
		}
		b.place = rules.Place{Column: max(at, 0), Row: bottom[max(at, 0)] + 1}
		bottom[b.place.Column] = b.place.Row
	}
}

// layers places boxes of a diagram that gives no places: clients left of their
// servers, as far as there are no circles, and in each column near those that
// they talk to.
func (g *drawing) layers() {
	next := map[*box][]*box{}
	for _, l := range g.lines {
		if l.edge != nil && l.from != l.to && !slices.Contains(next[l.from], l.to) {
			next[l.from] = append(next[l.from], l.to)
		}
	}
	// An edge that leads back to a box on the way is left out of the order.
	const fresh, open, done = 0, 1, 2
	state := map[*box]int{}
	before := map[*box][]*box{}
	var order []*box // servers before their clients
	var visit func(b *box)
	visit = func(b *box) {
		state[b] = open
		for _, to := range next[b] {
			if state[to] == open {
				continue
			}
			before[to] = append(before[to], b)
			if state[to] == fresh {
				visit(to)
			}
		}
		state[b] = done
		order = append(order, b)
	}
	called := map[*box]bool{}
	for _, l := range g.lines {
		if l.edge != nil && l.from != l.to {
			called[l.to] = true
		}
	}
	for _, roots := range []bool{true, false} { // clients alone first: they begin the order
		for _, b := range g.boxes {
			if state[b] == fresh && (!roots || !called[b]) {
				visit(b)
			}
		}
	}
	slices.Reverse(order)
	depth, deepest := map[*box]int{}, 0
	for _, b := range order {
		for _, from := range before[b] {
			depth[b] = max(depth[b], depth[from]+1)
		}
		deepest = max(deepest, depth[b])
	}
	columns := make([][]*box, deepest+1)
	for _, b := range g.boxes {
		columns[depth[b]] = append(columns[depth[b]], b)
	}
	most := 0
	for _, c := range columns {
		most = max(most, len(c))
	}
	number := func() {
		for depth, c := range columns {
			for i, b := range c {
				b.place = rules.Place{Column: float64(depth), Row: float64(i) + float64(most-len(c))/2}
			}
		}
	}
	number()
	for range 4 { // each round pulls boxes to the mean of their neighbours
		for _, c := range columns {
			mean := map[*box]float64{}
			for _, b := range c {
				sum, n := b.place.Row, 1.0
				for _, l := range g.lines {
					switch {
					case l.edge == nil || l.from == l.to:
					case l.from == b:
						sum, n = sum+l.to.place.Row, n+1
					case l.to == b:
						sum, n = sum+l.from.place.Row, n+1
					}
				}
				mean[b] = sum / n
			}
			slices.SortStableFunc(c, func(x, y *box) int { return cmp.Compare(mean[x], mean[y]) })
		}
		number()
	}
}

// fasten chooses the sides at which lines leave and enter, and between which
// boxes they pass.
func (g *drawing) fasten() {
	add := func(l *line, fromRight, toRight bool) {
		l.fromRight, l.toRight = fromRight, toRight
		side := func(b *box, right bool) *[]*stub {
			if right {
				return &b.right
			}
			return &b.left
		}
		out, in := side(l.from, fromRight), side(l.to, toRight)
		*out = append(*out, &stub{line: l, out: true})
		*in = append(*in, &stub{line: l})
	}
	for _, l := range g.lines {
		step := 1
		switch {
		case l.from.column == l.to.column:
			continue
		case l.from.column > l.to.column:
			step = -1
		}
		add(l, step > 0, step < 0)
		for c := l.from.column + step; c != l.to.column; c += step {
			part := float64(c-l.from.column) / float64(l.to.column-l.from.column)
			row := l.from.place.Row + part*(l.to.place.Row-l.from.place.Row)
			boxes := g.columns[c].boxes
			best, off := 0, 0.0
			for gap := range len(boxes) + 1 {
				var at float64
				switch {
				case gap == 0:
					at = boxes[0].place.Row - 0.5
				case gap == len(boxes):
					at = boxes[gap-1].place.Row + 0.5
				default:
					at = (boxes[gap-1].place.Row + boxes[gap].place.Row) / 2
				}
				d := max(at-row, row-at)
				if gap == 0 || d < off {
					best, off = gap, d
				}
			}
			l.lanes = append(l.lanes, lane{column: c, gap: best})
			lanes := g.columns[c].lanes
			lanes[best] = append(lanes[best], &laneOf{line: l, n: len(l.lanes) - 1, place: row})
		}
	}
	// Lines between boxes of one column go round by the side that has less; at the
	// rim by the inner side, where others make room for labels already.
	for _, l := range g.lines {
		if l.from.column != l.to.column {
			continue
		}
		right := len(l.from.right)+len(l.to.right) <= len(l.from.left)+len(l.to.left)
		switch n := len(g.columns) - 1; {
		case l.from.column == 0 && n > 0 && len(l.from.right)+len(l.to.right) < maxRim:
			right = true
		case l.from.column == n && n > 0 && len(l.from.left)+len(l.to.left) < maxRim:
			right = false
		}
		add(l, right, right)
	}
}

// heights finds the heights of boxes, rows and ends of lines.
func (g *drawing) heights() {
	var rows []float64
	for _, b := range g.boxes {
		b.w = boxWidth
		text := boxPadding*2 + len(b.title)*titleLine + max(len(b.notes), len(b.hosts))*noteLine
		b.h = max(text, max(len(b.left), len(b.right))*portPitch+boxPadding, 56)
		rows = append(rows, b.place.Row)
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	centre := map[float64]int{}
	for i, row := range rows {
		if i > 0 {
			centre[row] = centre[rows[i-1]] + int(20*(row-rows[i-1]))
		}
		for c := range g.columns {
			boxes := g.columns[c].boxes
			for k, b := range boxes {
				if b.place.Row != row || k == 0 {
					continue
				}
				over := boxes[k-1]
				need := centre[over.place.Row] + over.h/2 + over.below() + boxGap + lanePitch*len(g.columns[c].lanes[k]) + b.h/2
				centre[row] = max(centre[row], need)
			}
		}
	}
	for _, b := range g.boxes {
		b.y = centre[b.place.Row] - b.h/2
	}
	for c := range g.columns {
		col := &g.columns[c]
		for gap, lanes := range col.lanes {
			slices.SortStableFunc(lanes, func(x, y *laneOf) int { return cmp.Compare(x.place, y.place) })
			var begin int
			switch {
			case gap == 0:
				begin = col.boxes[0].y - lanePitch*len(lanes)
			case gap == len(col.boxes):
				begin = col.boxes[gap-1].bottom() + lanePitch
			default:
				room := col.boxes[gap].y - col.boxes[gap-1].bottom()
				begin = col.boxes[gap-1].bottom() + (room-lanePitch*(len(lanes)-1))/2
			}
			for i, x := range lanes {
				x.line.lanes[x.n].y = begin + i*lanePitch
			}
		}
	}
	// The ends at one side of a box are in the order of where they lead.
	for _, b := range g.boxes {
		for _, stubs := range [][]*stub{b.left, b.right} {
			slices.SortStableFunc(stubs, func(x, y *stub) int { return cmp.Compare(x.toward(b), y.toward(b)) })
			for i, s := range stubs {
				*s.y() = b.y + b.h/2 + (2*i-len(stubs)+1)*portPitch/2
			}
		}
	}
	g.part()
	top, bottom := 1<<30, 0
	for _, b := range g.boxes {
		top, bottom = min(top, b.y), max(bottom, b.bottom())
	}
	for _, l := range g.lines {
		for _, x := range l.lanes {
			top, bottom = min(top, x.y), max(bottom, x.y)
		}
	}
	for _, b := range g.boxes {
		b.y += margin - top
	}
	for _, l := range g.lines {
		l.fromY, l.toY = l.fromY+margin-top, l.toY+margin-top
		for i := range l.lanes {
			l.lanes[i].y += margin - top
		}
	}
	g.height = bottom - top + 2*margin
}

// part moves ends and lanes of lines a little where two that come from either
// side of a channel would lie on each other. What stands at one side of a box,
// or passes between two, moves together as far as it can, for each end has a
// label above it, and lanes lie close.
func (g *drawing) part() {
	// left of a channel and right of it, by channel: who lies at which height
	sides := make([][2][]level, len(g.channels))
	add := func(channel, side int, y *int, l *line) {
		sides[channel][side] = append(sides[channel][side], level{y, l})
	}
	for _, l := range g.lines {
		for _, end := range []struct {
			b     *box
			right bool
			y     *int
		}{{l.from, l.fromRight, &l.fromY}, {l.to, l.toRight, &l.toY}} {
			if end.right {
				add(end.b.column+1, 0, end.y, l)
			} else {
				add(end.b.column, 1, end.y, l)
			}
		}
		for i := range l.lanes {
			x := &l.lanes[i]
			add(x.column+1, 0, &x.y, l)
			add(x.column, 1, &x.y, l)
		}
	}
	meets := func(channel, side, y int, l *line) bool {
		return slices.ContainsFunc(sides[channel][1-side], func(o level) bool { return o.line != l && distant(*o.y, y) < near })
	}
	// together moves all of a list, which lies between two heights.
	together := func(list []level, top, bottom int, meets func(y int, l *line) bool) {
		for i := range 2*maxPart + 1 { // 0, 1, -1, 2, -2, ...
			d := (i + 1) / 2 * (2*(i%2) - 1)
			if slices.ContainsFunc(list, func(x level) bool { return meets(*x.y+d, x.line) || *x.y+d < top || *x.y+d > bottom }) {
				continue
			}
			for _, x := range list {
				*x.y += d
			}
			return
		}
	}
	for c := range g.columns {
		col := &g.columns[c]
		onLeft := func(y int, l *line) bool { return meets(c, 1, y, l) }
		onEither := func(y int, l *line) bool { return meets(c, 1, y, l) || meets(c+1, 0, y, l) }
		for _, b := range col.boxes {
			var ends []level
			for _, s := range b.left {
				ends = append(ends, level{s.y(), s.line})
			}
			together(ends, b.y+near, b.y+b.h-near, onLeft)
		}
		for gap, lanes := range col.lanes {
			top, bottom := math.MinInt, math.MaxInt
			if gap > 0 {
				top = col.boxes[gap-1].bottom() + near
			}
			if gap < len(col.boxes) {
				bottom = col.boxes[gap].y - near
			}
			var list []level
			for _, x := range lanes {
				list = append(list, level{&x.line.lanes[x.n].y, x.line})
			}
			together(list, top, bottom, onEither)
		}
		// Where they cannot, one moves, as long as it comes near no neighbour.
		for _, x := range sides[c][1] {
			if !onLeft(*x.y, x.line) {
				continue
			}
			lane := slices.ContainsFunc(x.line.lanes, func(l lane) bool { return l.column == c && l.y == *x.y })
			room := portPitch - near // of its own and of the label below
			if lane {
				room = lanePitch - near
			}
			for _, d := range []int{5, -5, 4, -4} {
				y := *x.y + d
				crowded := slices.ContainsFunc(sides[c][1], func(o level) bool { return o.y != x.y && distant(*o.y, y) < room })
				if crowded || onLeft(y, x.line) || lane && onEither(y, x.line) {
					continue
				}
				*x.y = y
				break
			}
		}
	}
}

// level is the height of a line at one side of a channel.
type level struct {
	y    *int
	line *line
}

func distant(a, b int) int { return max(a-b, b-a) }

// y is the height of an end.
func (s *stub) y() *int {
	if s.out {
		return &s.line.fromY
	}
	return &s.line.toY
}

// below is the room under b for unknown hosts.
func (b *box) below() int {
	if len(b.strangers) == 0 {
		return 0
	}
	return 8 + len(b.strangers)*chipHeight
}

func (b *box) bottom() int { return b.y + b.h + b.below() }

// toward is the height that a line takes on from its end at b.
func (s *stub) toward(b *box) int {
	l := s.line
	other := l.to
	if !s.out {
		other = l.from
	}
	switch n := len(l.lanes); {
	case l.from == l.to && s.out:
		return b.y + b.h/2 - 1
	case n == 0:
		return other.y + other.h/2
	case s.out:
		return l.lanes[0].y
	default:
		return l.lanes[n-1].y
	}
}

// widths finds the tracks of lines, and from them where the columns are.
func (g *drawing) widths() {
	for _, l := range g.lines {
		add := func(c, a, b int, aLeft, bLeft bool) {
			ch := &g.channels[c]
			ch.segments = append(ch.segments, &segment{line: l, a: a, b: b, aLeft: aLeft, bLeft: bLeft})
		}
		y := l.fromY
		switch from, to := l.from.column, l.to.column; {
		case from == to && l.fromRight:
			add(from+1, l.fromY, l.toY, true, true)
		case from == to:
			add(from, l.fromY, l.toY, false, false)
		case from < to:
			for c := from + 1; c <= to; c++ {
				b := l.toY
				if c < to {
					b = l.lanes[c-from-1].y
				}
				add(c, y, b, true, false)
				y = b
			}
		default:
			for c := from; c > to; c-- {
				b := l.toY
				if c > to+1 {
					b = l.lanes[from-c].y
				}
				add(c, y, b, false, true)
				y = b
			}
		}
		label := labelGap + 8 + int(labelLetter*float64(max(cells(l.label(false)), cells(l.label(true)))))
		if l.toRight {
			ch := &g.channels[l.to.column+1]
			ch.left = max(ch.left, label)
		} else {
			ch := &g.channels[l.to.column]
			ch.right = max(ch.right, label)
		}
	}
	x := margin
	for c := range g.channels {
		ch := &g.channels[c]
		ch.order()
		if len(ch.segments) > 0 {
			ch.left, ch.right = max(ch.left, 14), max(ch.right, 14)
			switch {
			case c == 0:
				ch.left = 0
			case c == len(g.columns):
				ch.right = 0
			}
		}
		ch.x = x
		ch.width = ch.left + max(ch.tracks-1, 0)*trackPitch + ch.right
		x += ch.width
		if c < len(g.columns) {
			g.columns[c].x = x
			for _, b := range g.columns[c].boxes {
				b.x = x
			}
			x += boxWidth
		}
	}
	g.width = x + margin
	for _, l := range g.lines {
		g.route(l)
	}
}

// label is the text at the end of a line.
func (l *line) label(observed bool) string {
	switch {
	case observed:
		return l.observed()
	case l.edge != nil:
		return l.documented()
	}
	return ""
}

// order gives the segments of a channel tracks on which they cross as little
// as neighbours that change places can make them.
func (ch *channel) order() {
	list := make([]*segment, 0, len(ch.segments))
	for _, s := range ch.segments {
		if s.a != s.b {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(x, y *segment) int { return cmp.Compare(min(x.a, x.b), min(y.a, y.b)) })
	for range list {
		changed := false
		for i := 1; i < len(list); i++ {
			if crossings(list[i], list[i-1]) < crossings(list[i-1], list[i]) {
				list[i], list[i-1] = list[i-1], list[i]
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	// Lines that are nowhere at the same height share a track; the others keep
	// their order, and with it what they cross.
	ch.tracks = 0
	for i, s := range list {
		s.track = 0
		for _, t := range list[:i] {
			if min(s.a, s.b) < max(t.a, t.b)+touch && min(t.a, t.b) < max(s.a, s.b)+touch {
				s.track = max(s.track, t.track+1)
			}
		}
		ch.tracks = max(ch.tracks, s.track+1)
	}
}

// crossings is how often the lines of s and t cross when s is left of t.
func crossings(s, t *segment) (n int) {
	within := func(y int, s *segment) bool { return y >= min(s.a, s.b) && y <= max(s.a, s.b) }
	for _, e := range [...]struct {
		y    int
		left bool
	}{{s.a, s.aLeft}, {s.b, s.bLeft}} {
		if !e.left && within(e.y, t) {
			n++
		}
	}
	for _, e := range [...]struct {
		y    int
		left bool
	}{{t.a, t.aLeft}, {t.b, t.bLeft}} {
		if e.left && within(e.y, s) {
			n++
		}
	}
	return n
}

// route lists the points at which l turns.
func (g *drawing) route(l *line) {
	x := l.from.x
	if l.fromRight {
		x += l.from.w
	}
	l.points = append(l.points[:0], point{x, l.fromY})
	step := func(c int) {
		ch := &g.channels[c]
		for _, s := range ch.segments {
			if s.line == l && s.a != s.b {
				x := ch.x + ch.left + s.track*trackPitch
				l.points = append(l.points, point{x, s.a}, point{x, s.b})
			}
		}
	}
	switch from, to := l.from.column, l.to.column; {
	case from == to && l.fromRight:
		step(from + 1)
	case from == to:
		step(from)
	case from < to:
		for c := from + 1; c <= to; c++ {
			step(c)
		}
	default:
		for c := from; c > to; c-- {
			step(c)
		}
	}
	x = l.to.x
	if l.toRight {
		x += l.to.w
	}
	l.points = append(l.points, point{x, l.toY})
}
