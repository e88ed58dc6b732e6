package main

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"wirechart/report"
)

// TestMeasure wants the width that the terminal has now: live reports when it ends.
func TestMeasure(t *testing.T) {
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer control.Close()
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	t.Setenv("COLUMNS", "")
	resize := func(columns uint16) {
		if err := unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
			t.Fatal(err)
		}
	}
	resize(80)
	o, err := newOutput(terminal, "", "auto", report.Format{})
	if err != nil || o.options.Width != 80 {
		t.Fatalf("width %d, %v", o.options.Width, err)
	}
	resize(60)
	if !o.measure() || o.options.Width != 60 {
		t.Errorf("width %d after a resize to 60", o.options.Width)
	}
	t.Setenv("COLUMNS", "100")
	if o.measure(); o.options.Width != 100 {
		t.Errorf("width %d, COLUMNS says 100", o.options.Width)
	}
}
