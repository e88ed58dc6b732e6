package pcaps

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rotation writes captures one after another into a directory, none larger than
// it may be, and keeps the last few: the oldest makes room. They are numbered,
// and a later run goes on behind an earlier one.
type Rotation struct {
	dir, prefix          string
	application, comment string
	size                 int64
	files                int

	current *Recorder
	names   []string // of the files there are, the oldest first
	next    int
	lost    uint64    // packets that found no room
	retry   time.Time // not before then, after a failure
	err     error     // the last one
}

// rotationRetry is how long a disk that was full is left alone.
const rotationRetry = 5 * time.Second

// NewRotation readies a directory, which it makes when it is not there. The
// captures are named prefix-000001.pcapng and so on. What an earlier run left
// counts among the files.
func NewRotation(dir, prefix string, size int64, files int, application, comment string) (*Rotation, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, named(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, named(dir, err)
	}
	r := &Rotation{dir: dir, prefix: prefix, application: application, comment: comment, size: size, files: max(files, 1), next: 1}
	type numbered struct {
		n    int
		name string
	}
	var found []numbered
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), prefix+"-")
		digits, pcapng := strings.CutSuffix(digits, ".pcapng")
		if n, err := strconv.Atoi(digits); ok && pcapng && err == nil && n > 0 {
			found = append(found, numbered{n, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(found, func(a, b numbered) int { return a.n - b.n })
	for _, f := range found {
		r.names = append(r.names, f.name)
		r.next = f.n + 1
	}
	// What cannot be written to is found out now, not with the first finding.
	probe, err := os.CreateTemp(dir, "."+prefix+".*")
	if err != nil {
		return nil, named(dir, err)
	}
	probe.Close()
	os.Remove(probe.Name())
	return r, nil
}

// Write adds a packet. Where the disk is full the oldest files make room; where
// there are none the packet is lost, and counted, and the error says why. Later
// packets find room when there is some.
func (r *Rotation) Write(p *Packet, comments ...string) error {
	if !r.retry.IsZero() {
		if time.Now().Before(r.retry) {
			r.lost++
			return r.err
		}
		r.retry = time.Time{}
	}
	for {
		err := r.write(p, comments)
		if err == nil {
			r.err = nil
			return nil
		}
		r.drop()
		if len(r.names) > 0 && r.removeOldest() == nil {
			continue
		}
		r.lost++
		r.err, r.retry = err, time.Now().Add(rotationRetry)
		return err
	}
}

func (r *Rotation) write(p *Packet, comments []string) error {
	if r.current != nil && r.current.Size() > 0 && r.current.Size()+int64(len(p.Data)) > r.size {
		if err := r.current.Close(); err != nil {
			return err
		}
		r.current = nil
	}
	if r.current == nil {
		for len(r.names) >= r.files {
			if err := r.removeOldest(); err != nil {
				return err
			}
		}
		name := filepath.Join(r.dir, fmt.Sprintf("%s-%06d.pcapng", r.prefix, r.next))
		c, err := Record(name, r.application, r.comment)
		if err != nil {
			os.Remove(name)
			return err
		}
		r.current = c
		r.next++
		r.names = append(r.names, name)
	}
	return r.current.Write(p, comments...)
}

// drop closes a file that could not be written to.
func (r *Rotation) drop() {
	if r.current != nil {
		_ = r.current.Close() // its error is known
		r.lost += r.current.Lost()
		r.current = nil
	}
}

func (r *Rotation) removeOldest() error {
	name := r.names[0]
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return named(name, err)
	}
	r.names = r.names[1:]
	return nil
}

// Flush has what was written be in the file.
func (r *Rotation) Flush() error {
	if r.current == nil {
		return nil
	}
	err := r.current.Flush()
	if err != nil {
		r.drop()
		r.err, r.retry = err, time.Now().Add(rotationRetry)
	}
	return err
}

// Lost is how many packets found no room.
func (r *Rotation) Lost() uint64 { return r.lost }

// Files are the captures there are, the oldest first.
func (r *Rotation) Files() []string { return r.names }

// Close ends the last capture.
func (r *Rotation) Close() error {
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current = nil
	return err
}
