package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/term"

	"wirechart/report"
)

// output is where the results of one command go: standard output, or a file
// that is written beside its name and renamed when all of it is there.
type output struct {
	*bufio.Writer
	format  report.Format
	options *report.Options
	before  func() // called before the first byte is written
	name    string // of the file; "" for standard output
	temp    *os.File
	to      io.Writer
	began   bool
}

// newOutput readies the output and settles width and colour by where it goes.
func newOutput(stdout io.Writer, name, color string, format report.Format) (*output, error) {
	o := &output{format: format, options: &report.Options{}, name: name, to: stdout}
	if name == "-" {
		o.name = ""
	}
	o.Writer = bufio.NewWriterSize(writerFunc(o.pass), 64<<10)
	terminal := false
	if f, ok := stdout.(*os.File); ok && o.name == "" && term.IsTerminal(int(f.Fd())) {
		terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.options.Width = width
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		o.options.Width = n
	}
	switch color {
	case "always":
		o.options.Color = true
	case "never":
	case "auto":
		o.options.Color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	default:
		return nil, fmt.Errorf("--color %s: one of auto, always, never", color)
	}
	if o.name != "" {
		var err error
		if o.temp, err = createBeside("--output", o.name); err != nil {
			return nil, err
		}
		o.to = o.temp
	}
	return o, nil
}

// createBeside begins a file that is to be named name when all of it is there;
// flag is the option that named it.
func createBeside(flag, name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %s: not a regular file", flag, name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		// Not the temporary name: nobody asked for that.
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("%s %s: %w", flag, name, err)
	}
	return f, nil
}

// putInPlace gives a file that was begun by createBeside its name. A temporary
// file is private; a result is as readable as others made here.
func putInPlace(f *os.File, name string) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// pass hands on what the buffer gives.
func (o *output) pass(b []byte) (int, error) {
	if !o.began {
		o.began = true
		if o.before != nil {
			o.before()
		}
	}
	return o.to.Write(b)
}

// finish ends the output: err is what ended the writing, nil when all was
// written. A reader that has gone away is no error: it has seen enough.
func (o *output) finish(err error) error {
	if err == nil {
		err = o.Flush()
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	if err != nil || o.temp == nil {
		return err
	}
	if err := putInPlace(o.temp, o.name); err != nil {
		return err
	}
	o.temp = nil
	return nil
}

// abandon removes what was written of a file that was not finished.
func (o *output) abandon() {
	if o.temp != nil {
		o.temp.Close()
		os.Remove(o.temp.Name())
		o.temp = nil
	}
}
