package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"wirechart/rules"
)

// state is the file in which a run over interfaces leaves what it learned. A
// goroutine of its own writes, as a disk may take its time; the latest counts.
type state struct {
	name   string
	before *rules.Memory // what the run began with
	next   chan *rules.Memory
	done   chan struct{}
	failed chan error // the first failure, until it was told
	err    error      // of the last writing; for who has waited for done
	lock   *os.File   // says to other runs that this one is writing; nil where none can
}

// openState reads what an earlier run left. A file that cannot be understood is
// an error, and stays as it is; with replace it is kept beside, and the run
// begins anew. One that another run is using is an error as well.
func openState(name, diagram string, replace bool) (_ *state, err error) {
	s := &state{name: name, before: &rules.Memory{}, next: make(chan *rules.Memory, 1), done: make(chan struct{}), failed: make(chan error, 1)}
	if s.lock, err = claim(name); err != nil {
		return nil, ofFile("--state", name, fmt.Errorf("%s: %w", name, err))
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// What cannot be written is found out now, not in an hour.
		probe, err := createBeside("--state", name, resultMode)
		if err != nil {
			return nil, err
		}
		probe.remove()
	case err != nil:
		return nil, ofFile("--state", name, err)
	default:
		m, err := rules.ParseMemory(b)
		if err == nil && m.Diagram != diagram {
			err = fmt.Errorf("is of the diagram %s, and this run is of %s", m.Diagram, diagram)
		}
		if err != nil && !replace {
			return nil, fmt.Errorf("--state %s: %w; it was left as it is: name another file, or start afresh with --state-replace", name, err)
		}
		if err != nil {
			if err := os.Rename(name, name+".old"); err != nil {
				return nil, ofFile("--state", name, err)
			}
			break
		}
		s.before = m
	}
	go s.write()
	return s, nil
}

// save has m written soon. It does not wait.
func (s *state) save(m *rules.Memory) {
	select {
	case <-s.next: // it is not the latest any more
	default:
	}
	s.next <- m
}

// close waits for the last writing, and says what became of it.
func (s *state) close() error {
	close(s.next)
	<-s.done
	s.lock.Close()
	return s.err
}

func (s *state) write() {
	defer close(s.done)
	for m := range s.next {
		if s.err = replaceFile(s.name, m.Text()); s.err != nil {
			select {
			case s.failed <- s.err:
			default:
			}
		}
	}
}

// replaceFile makes b the content of a file: whoever reads it, also after the
// power failed, finds the old content or the new.
func replaceFile(name string, b []byte) error {
	f, err := createBeside("--state", name, resultMode)
	if err != nil {
		return err
	}
	defer f.remove() // in vain once it has its name
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return ofFile("--state", name, err)
	}
	if err := f.putInPlace(); err != nil {
		return err
	}
	// The name is in the directory when that is on the disk; a file system that
	// cannot say so has done what it can.
	if dir, err := os.Open(filepath.Dir(name)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}
