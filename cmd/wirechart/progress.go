package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows on a terminal how many frames have been read. How many there
// will be is not known: captures come compressed, and by pipes.
type progress struct {
	bar  *progressbar.ProgressBar // nil where there is no terminal
	next uint64                   // frames at which to look at the clock again
}

// progressStep is how many frames pass between two looks at the clock.
const progressStep = 1 << 16

func newProgress(stderr io.Writer, quiet bool) *progress {
	f, ok := stderr.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{next: progressStep, bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetDescription("reading"),
		progressbar.OptionSetItsString("frames"),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionClearOnFinish(),
	)}
}

// show says that frames have been read in all.
func (p *progress) show(frames uint64) {
	if p.bar == nil || frames < p.next {
		return
	}
	p.next = frames + progressStep
	_ = p.bar.Set64(int64(frames)) // a terminal that cannot be written to shows nothing
}

// clear takes the line away: something else is to be written.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
