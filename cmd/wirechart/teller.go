package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"wirechart/report"
	"wirechart/rules"
)

// teller says what happens in a run that does not end: what is found, which
// roles hosts turn out to have, that frames are lost. It says each thing once.
//
// What a look finds may be gone with the next one, when more is known of a
// connection that has just begun: what two looks in a row found is told.
type teller struct {
	line   func(report.Event) // nil where nobody listens
	found  map[string]*finding
	roles  map[netip.Addr]*roles
	recent []string        // the last lines
	known  map[string]bool // findings of earlier runs
	looks  int
	losses [2]uint64 // frames lost by the kernel and the interface, when that was told last
	full   bool
}

// finding is what was told of one.
type finding struct {
	finding rules.Finding
	look    int // that found it last
	row     int // looks in a row that found it
	told    bool
}

// roles is what was told of the roles of a host.
type roles struct {
	told, now string // as last told, as last found
	row       int    // looks in a row that found now
}

const (
	maxFound  = 1 << 16 // findings remembered, so that none is told twice
	maxRecent = 64
	settledIn = 2 // looks in a row
)

func newTeller(line func(report.Event)) *teller {
	return &teller{line: line, found: map[string]*finding{}, known: map[string]bool{}, roles: map[netip.Addr]*roles{}}
}

// know takes in what earlier runs found: it is not told again as if it were new.
func (t *teller) know(m *rules.Memory) {
	for i := range m.Findings {
		t.known[m.Findings[i].ID] = true
	}
	for i := range m.Hosts {
		h := &m.Hosts[i]
		play := strings.Join(slices.Sorted(slices.Values(h.Roles)), " ")
		t.roles[h.Address] = &roles{told: play}
	}
}

func (t *teller) say(e report.Event) {
	if len(t.recent) == maxRecent {
		t.recent = slices.Delete(t.recent, 0, 1)
	}
	t.recent = append(t.recent, report.EventLine(&e))
	if t.line != nil {
		t.line(e)
	}
}

// audit takes in what a look found; last says that there will be no other.
func (t *teller) audit(a *rules.Audit, now int64, last bool) {
	t.looks++
	need := settledIn
	if last {
		need = 1
	}
	var come []*finding
	for i := range a.Findings {
		f := &a.Findings[i]
		x := t.found[f.ID]
		if x == nil {
			if len(t.found) >= maxFound {
				if !t.full {
					t.full = true
					t.say(report.Event{Time: now, Kind: report.EventNote, Text: fmt.Sprintf("more than %d findings: later ones are in the report only", maxFound)})
				}
				continue
			}
			x = &finding{}
			t.found[f.ID] = x
		}
		if x.look == t.looks-1 {
			x.row++
		} else {
			x.row = 1
		}
		x.look, x.finding = t.looks, *f
		x.finding.Pairs = nil
		if !x.told && x.row >= need {
			x.told = true
			if !t.known[f.ID] {
				come = append(come, x)
			}
		}
	}
	slices.SortStableFunc(come, func(a, b *finding) int { return cmp.Compare(a.finding.Last, b.finding.Last) })
	for _, x := range come {
		t.say(report.Event{Time: x.finding.Last, Kind: report.EventFinding, Finding: &x.finding})
	}
	var gone []*finding
	for _, x := range t.found {
		if x.told && (t.looks-x.look == settledIn || last && x.look < t.looks) {
			gone = append(gone, x)
		}
	}
	slices.SortFunc(gone, func(a, b *finding) int { return strings.Compare(a.finding.ID, b.finding.ID) })
	for _, x := range gone {
		x.told = false
		t.say(report.Event{Time: now, Kind: report.EventWithdrawn, Finding: &x.finding})
	}
	for i := range a.Hosts {
		h := &a.Hosts[i]
		x := t.roles[h.Addr]
		if x == nil {
			if len(h.Roles) == 0 {
				continue // of most hosts there is nothing to be said
			}
			x = &roles{}
			t.roles[h.Addr] = x
		}
		play := strings.Join(report.RoleIDs(h), " ")
		if x.row++; play != x.now {
			x.now, x.row = play, 1
		}
		if x.now != x.told && x.row >= need {
			e := report.Event{Time: now, Kind: report.EventRole, Host: h, Before: strings.Fields(x.told)}
			x.told = x.now
			t.say(e)
		}
	}
}

// dropped says that frames are being lost: at first, and when it has become
// twice as many.
func (t *teller) dropped(kernel, iface uint64, now int64) {
	if kernel+iface == 0 || kernel+iface < 2*(t.losses[0]+t.losses[1]) {
		return
	}
	t.losses = [2]uint64{kernel, iface}
	t.say(report.Event{Time: now, Kind: report.EventDrops, Kernel: kernel, Iface: iface,
		Text: fmt.Sprintf("frames lost so far: %d by the kernel for lack of buffers (--buffer), %d by the interface", kernel, iface)})
}

// screen shows the run on a terminal. A goroutine of its own writes, so that a
// terminal that does not take more stops nobody: the latest picture counts.
type screen struct {
	tty     *os.File
	picture chan string
	done    chan struct{}
}

// On entering and leaving: the other screen of the terminal, and no cursor.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// newScreen begins to show; it ends, with the terminal as it was, when stop is
// closed.
func newScreen(tty *os.File, stop <-chan struct{}) *screen {
	s := &screen{tty: tty, picture: make(chan string, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, _ = io.WriteString(tty, enterScreen) // a terminal that is gone shows nothing
		defer func() { _, _ = io.WriteString(tty, leaveScreen) }()
		for {
			select {
			case p := <-s.picture:
				_, _ = io.WriteString(tty, p)
			case <-stop:
				return
			}
		}
	}()
	return s
}

// size is that of the terminal now.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.tty.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// draw shows lines in the place of those before.
func (s *screen) draw(lines []string) {
	p := "\x1b[H" + strings.Join(lines, "\x1b[K\r\n") + "\x1b[K\x1b[J"
	select {
	case <-s.picture: // nobody has seen it
	default:
	}
	select {
	case s.picture <- p:
	default:
	}
}

// pace is how fast counters grow.
type pace struct {
	at    time.Time
	value uint64
}

// per is the growth per second since the last call.
func (p *pace) per(now time.Time, value uint64) float64 {
	took := now.Sub(p.at).Seconds()
	grown := value - min(value, p.value)
	first := p.at.IsZero()
	p.at, p.value = now, value
	if first || took <= 0 {
		return 0
	}
	return float64(grown) / took
}
