package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"wirechart/report"
	"wirechart/rules"
)

// output is where the results of one command go: standard output, or a file
// that is written beside its name and renamed when all of it is there.
type output struct {
	*bufio.Writer
	format  report.Format
	options *report.Options
	before  func() // called before the first byte is written
	name    string // of the file; "" for standard output
	temp    *besideFile
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
	terminal := o.measure()
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
		if o.temp, err = createBeside("--output", o.name, resultMode); err != nil {
			return nil, err
		}
		o.to = o.temp
	}
	return o, nil
}

// measure takes over the width of the terminal, unless COLUMNS says another, and
// says whether there is one.
func (o *output) measure() (terminal bool) {
	if f, ok := o.to.(*os.File); ok && o.name == "" && term.IsTerminal(int(f.Fd())) {
		terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.options.Width = width
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		o.options.Width = n
	}
	return terminal
}

// The modes of new files, before the umask takes from them.
const (
	resultMode   = fs.FileMode(0o666)
	evidenceMode = fs.FileMode(0o600) // frames of other people's traffic
)

// besideFile is a file that is written beside its name and gets it when all of it
// is there. Its errors name the option and the file as they were given.
type besideFile struct {
	file       *os.File
	flag, name string
}

// createBeside begins a file that is to be named name; flag is the option that
// named it. Who may read it is for the umask to say, and for the file that it
// replaces, where there is one.
func createBeside(flag, name string, mode fs.FileMode) (*besideFile, error) {
	if name == "-" {
		return nil, fmt.Errorf("%s -: takes a file", flag)
	}
	replaced, err := os.Stat(name)
	if err == nil {
		if !replaced.Mode().IsRegular() {
			return nil, fmt.Errorf("%s %s: not a regular file", flag, name)
		}
		mode = 0o600 // until it is made the other's
	} else {
		replaced = nil
	}
	var f *os.File
	for range 100 { // two names are hardly ever the same
		// Not os.CreateTemp, whose files are private whatever the umask says.
		beside := fmt.Sprintf(".%s.%d", filepath.Base(name), rand.Uint32())
		f, err = os.OpenFile(filepath.Join(filepath.Dir(name), beside), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return nil, ofFile(flag, name, err)
	}
	if replaced != nil {
		if err := f.Chmod(replaced.Mode().Perm()); err != nil {
			f.Close()
			os.Remove(f.Name())
			return nil, ofFile(flag, name, err)
		}
	}
	return &besideFile{f, flag, name}, nil
}

func (f *besideFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	return n, ofFile(f.flag, f.name, err)
}

// putInPlace gives the file its name.
func (f *besideFile) putInPlace() error {
	err := f.file.Close()
	if err == nil {
		err = os.Rename(f.file.Name(), f.name)
	}
	return ofFile(f.flag, f.name, err)
}

// remove takes away what was written, unless it has its name.
func (f *besideFile) remove() {
	f.file.Close()
	os.Remove(f.file.Name())
}

// ofFile is what went wrong with a file, in the one form that such errors have:
// the flag that named the file, if one did, the name as it was given, and the
// cause. The name in an error of the system may be another, of a file beside it,
// say. Errors of readers name the file themselves, and mistakes in it their lines.
func ofFile(flag, name string, err error) error {
	var (
		mistakes rules.Mistakes
		path     *fs.PathError
		link     *os.LinkError
	)
	switch {
	case err == nil, errors.As(err, &mistakes):
		return err
	case errors.As(err, &path):
		err = fmt.Errorf("%s: %w", name, path.Err)
	case errors.As(err, &link):
		err = fmt.Errorf("%s: %w", name, link.Err)
	}
	if flag == "" {
		return err
	}
	return fmt.Errorf("%s %w", flag, err)
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
	if err := o.temp.putInPlace(); err != nil {
		return err
	}
	o.temp = nil
	return nil
}

// abandon removes what was written of a file that was not finished.
func (o *output) abandon() {
	if o.temp != nil {
		o.temp.remove()
		o.temp = nil
	}
}

// openOutput readies the output of a command that reads no captures.
func (o *options) openOutput(cmd *cobra.Command, kind report.Kind) (*output, error) {
	format, err := formatFor(o.format, kind)
	if err != nil {
		return nil, err
	}
	return newOutput(cmd.OutOrStdout(), o.output, o.color, format)
}
