package pcaps

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
)

// How a directory is followed.
const (
	followPoll   = 100 * time.Millisecond // between two looks at the file that grows
	followScan   = time.Second            // between two looks at the directory
	followSettle = time.Second            // a file with others behind it is whole when it did not grow for so long
	followHead   = 64                     // bytes by which a file is told from another of its name
	followLeast  = 24                     // bytes of a file that is opened: the header of a classic one
	followTold   = 1024                   // captures of which Stats tells, the last ones; it sums up those before
)

// Follow reads the captures of a directory that another program fills, one file
// after another (tcpdump -G or -C, dumpcap -b): first those that are there, in
// the order in which they were written, then those that come. The last one is
// read as far as it goes, and on when it grows; it has ended when another one
// has begun. Read waits a tenth of a second for more and returns 0 and no error
// when there was none. With an idle time, nothing written for so long is the
// end; without one there is none.
//
// A file that becomes shorter while it is read is damaged, one that is gone
// before it was read is said to be, and one that is written again under its old
// name is a new one.
func Follow(dir string, o Options, idle time.Duration) (Source, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, named(dir, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: not a directory", dir)
	}
	f := &follower{dir: dir, options: o, idle: idle, met: map[string]*metFile{}, news: time.Now()}
	if o.Filter != "" {
		if f.filter, err = newFilter(o.Filter, nil); err != nil {
			return nil, err
		}
	}
	return f, f.scan()
}

// follower is a directory being followed.
type follower struct {
	dir     string
	options Options
	idle    time.Duration
	filter  *filter

	met      map[string]*metFile // files taken up, by name
	waiting  []waitingFile       // files to come, the next one first
	scanned  time.Time
	news     time.Time   // when something was written last
	current  *capture    // being read; nil for none
	whole    bool        // current has ended: what is there is all
	size     int64       // of current, when it was looked at last
	names    []string    // of all captures, by the index that their frames have
	stats    []FileStats // of the last ones; the last is of current, if there is one
	earlier  FileStats   // of those before
	damaged  uint64      // of these
	filtered uint64
	one      [1]Packet
}

type waitingFile struct {
	name string
	time time.Time
}

// metFile is what is known of a file that was taken up.
type metFile struct {
	head []byte // what it began with
	time time.Time
	size int64
}

// scan looks for files that are new.
func (f *follower) scan() error {
	f.scanned = time.Now()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return named(f.dir, err)
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		name := filepath.Join(f.dir, e.Name())
		there[name] = true
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue // gone again, or none
		}
		if m := f.met[name]; m != nil {
			if f.current != nil && f.current.name == name || info.ModTime().Equal(m.time) && info.Size() == m.size {
				continue
			}
			if info.Size() < followHead && !f.lastOne(name) {
				continue // somebody begins it anew: there will be more to tell by
			}
			if head := headOf(name); bytes.Equal(head, m.head) {
				m.time, m.size = info.ModTime(), info.Size()
				continue // the same: cut, copied, touched
			}
			delete(f.met, name)
		}
		if !slices.ContainsFunc(f.waiting, func(w waitingFile) bool { return w.name == name }) {
			f.waiting = append(f.waiting, waitingFile{name, info.ModTime()})
			f.news = f.scanned
		}
	}
	// One that was taken away may come again under the name, and is another then.
	maps.DeleteFunc(f.met, func(name string, _ *metFile) bool {
		return !there[name] && (f.current == nil || f.current.name != name)
	})
	slices.SortFunc(f.waiting, func(a, b waitingFile) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name))
	})
	return nil
}

// lastOne says that a file is not going to grow: nobody has written to it for
// long.
func (f *follower) lastOne(name string) bool {
	info, err := os.Stat(name)
	return err == nil && time.Since(info.ModTime()) > 10*followSettle
}

// headOf is what a file begins with.
func headOf(name string) []byte {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	head := make([]byte, followHead)
	n, _ := io.ReadFull(file, head) // a short one is a short one
	return head[:n]
}

// Read implements Source.
func (f *follower) Read(batch []Packet) (int, error) {
	for len(batch) > 0 {
		if f.current == nil && !f.begin() {
			return f.wait()
		}
		n, more := f.take(batch)
		if n > 0 && f.filter != nil {
			kept := f.filter.keep(batch[:n])
			f.filtered += uint64(n - kept)
			n = kept
		}
		if n > 0 {
			return n, nil
		}
		if !more {
			return f.wait()
		}
	}
	return 0, nil
}

// wait is a moment in which nothing came.
func (f *follower) wait() (int, error) {
	now := time.Now()
	if f.idle > 0 && now.Sub(f.news) >= f.idle {
		if f.current == nil && len(f.waiting) == 0 {
			return 0, io.EOF
		}
		f.whole = true // and what is there of it is read
		return 0, nil
	}
	time.Sleep(followPoll)
	if now.Sub(f.scanned) >= followScan {
		if err := f.scan(); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// begin takes up the next file, when there is one that can be.
func (f *follower) begin() bool {
	for len(f.waiting) > 0 {
		w := f.waiting[0]
		info, err := os.Stat(w.name)
		over := f.idle > 0 && time.Since(f.news) >= f.idle
		last := len(f.waiting) == 1 && !over
		if err == nil && info.Size() < followLeast && last {
			return false // it has hardly begun
		}
		head := headOf(w.name)
		// What is compressed has a meaning when it is whole.
		if err == nil && last && compressionOf(head) != "" && time.Since(info.ModTime()) < 2*followSettle {
			return false
		}
		f.waiting = f.waiting[1:]
		c := &capture{name: w.name, index: min(len(f.names), mostFiles-1)}
		if err == nil {
			f.met[w.name] = &metFile{head: head, time: info.ModTime(), size: info.Size()}
			err = c.open(blockSize, true, f.options.Secrets)
		}
		if err != nil {
			c.close()
			if errors.Is(err, errNotCapture) || errors.Is(err, errEmpty) {
				continue // something else that lies there
			}
			reason := "gone before it was read"
			if !errors.Is(err, os.ErrNotExist) {
				reason = err.Error()
			}
			f.tell(FileStats{Name: w.name, Damage: &Damage{Reason: reason}})
			continue
		}
		f.current, f.whole, f.size = c, false, 0
		f.tell(c.r.stats)
		return true
	}
	return false
}

// tell takes in what there is to say of one more capture.
func (f *follower) tell(s FileStats) {
	if len(f.names) < mostFiles {
		f.names = append(f.names, s.Name)
	} else {
		f.names[mostFiles-1] = f.dir // one of those that have no index of their own
	}
	f.stats = append(f.stats, s)
	if len(f.stats) <= followTold {
		return
	}
	o, e := &f.stats[0], &f.earlier
	e.Sum++
	e.Name = fmt.Sprintf("%s (%d earlier captures)", f.dir, e.Sum)
	e.Format, e.SnapLen = o.Format, max(e.SnapLen, o.SnapLen)
	e.Frames, e.Bytes, e.Cut = e.Frames+o.Frames, e.Bytes+o.Bytes, e.Cut+o.Cut
	if o.Frames > 0 {
		if e.First == 0 || o.First < e.First {
			e.First = o.First
		}
		e.Last = max(e.Last, o.Last)
	}
	e.Links = slices.Concat(e.Links, o.Links)
	slices.Sort(e.Links)
	e.Links = slices.Compact(e.Links)
	e.Secrets += o.Secrets
	if e.Leaps == 0 {
		e.LeapFrame = o.LeapFrame
	}
	e.Leaps += o.Leaps
	if d := o.Damage; d != nil {
		f.damaged++
		e.Damage = &Damage{Frame: d.Frame, Offset: d.Offset, Reason: fmt.Sprintf("%s (%s, the last of %d that are damaged)", d.Reason, filepath.Base(o.Name), f.damaged)}
	}
	f.stats = slices.Delete(f.stats, 0, 1)
}

// take reads what is at hand of the current file; more says that there may be
// more at once.
func (f *follower) take(batch []Packet) (n int, more bool) {
	c := f.current
	n, more = c.r.readReady(batch, func() bool { return f.ready(c) })
	stats := &f.stats[len(f.stats)-1]
	*stats = c.r.stats
	if n > 0 {
		f.news = time.Now()
	}
	if n == 0 && c.r.done {
		stats.Links = slices.Clone(c.r.stats.Links)
		if m := f.met[c.name]; m != nil {
			if info, err := os.Stat(c.name); err == nil {
				m.time, m.size = info.ModTime(), info.Size()
			}
		}
		c.close()
		f.current = nil
		return 0, true
	}
	return n, more
}

// ready says whether the current file can be read on: there is more of it, or
// there never will be.
func (f *follower) ready(c *capture) bool {
	r := c.r
	if r.stats.Compression != "" || f.whole {
		return true
	}
	file, ok := r.in.(*os.File)
	if !ok {
		return true
	}
	info, err := file.Stat()
	if err != nil {
		f.whole = true
		return true
	}
	if info.Size() != f.size {
		f.size = info.Size()
		f.news = time.Now()
	}
	read := r.base + int64(r.end)
	now, err := os.Stat(c.name)
	switch {
	case info.Size() > read:
		return true
	case info.Size() < read:
		r.damage("the file was cut to %d bytes while it was read", info.Size())
		return false
	case err != nil || !os.SameFile(info, now): // removed: what was written of it has been read
		delete(f.met, c.name)
		f.whole = true
		return true
	case time.Since(f.scanned) >= followScan:
		if f.scan() != nil {
			return false // it is tried again
		}
	}
	if len(f.waiting) > 0 && time.Since(info.ModTime()) >= followSettle {
		f.whole = true
		return true
	}
	return false
}

// readReady is Read for a capture that grows: it asks before it reads on.
func (r *reader) readReady(batch []Packet, ready func() bool) (n int, more bool) {
	for !r.done {
		n = r.frames(batch)
		if n > 0 || r.done {
			return n, true
		}
		if !ready() {
			return 0, r.done
		}
		r.fill()
	}
	return 0, true
}

// ZeroCopyReadPacketData implements gopacket.ZeroCopyPacketDataSource.
func (f *follower) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	for {
		n, err := f.Read(f.one[:])
		if err != nil {
			return nil, gopacket.CaptureInfo{}, err
		}
		if n > 0 {
			return f.one[0].Data, captureInfo(&f.one[0]), nil
		}
	}
}

// Stats implements Source.
func (f *follower) Stats() Stats {
	if f.earlier.Sum == 0 {
		return Stats{Filtered: f.filtered, Files: slices.Clone(f.stats)}
	}
	return Stats{Filtered: f.filtered, Files: slices.Concat([]FileStats{f.earlier}, f.stats)}
}

// Names implements Named.
func (f *follower) Names() []string { return f.names }

// Close implements Source.
func (f *follower) Close() error {
	if f.current != nil {
		f.current.close()
		f.current = nil
	}
	f.waiting = nil
	return nil
}
