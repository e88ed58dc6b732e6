package pcaps

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
)

// Options says how captures are opened.
type Options struct {
	Filter    string // BPF expression in the words of pcap-filter(7); empty takes every frame
	Recursive bool   // descend into the directories of a directory

	// Secrets, where it is not nil, is told of every decryption-secrets block
	// before the frames behind it are handed out, and may be told of one twice.
	Secrets func(Secrets)
}

const (
	queueLen = 256 // frames taken from one capture at a time while merging

	// From manyFiles captures on, each is read by smaller blocks, as all of
	// them may be open at the same time.
	manyFiles      = 32
	smallBlockSize = 32 << 10
)

// Open opens captures: files, directories (every capture in them), glob
// patterns that the shell left alone, and "-" for standard input. Their frames
// come merged in time order: captures are ordered by the time of their first
// frame (by their place on the command line where that is equal, those without
// any frame last), and that is the order of Stats.Files; within a capture
// frames keep the capture's order, even where its clock runs backwards. A
// capture is open only from the time of its first frame on.
//
// The error names the path that cannot be read, or quotes what libpcap says of
// the filter; nothing has been read then.
func Open(paths []string, o Options) (Source, error) {
	captures, err := find(paths, o.Recursive)
	if err != nil {
		return nil, err
	}
	s := &files{captures: captures, block: blockSize, secrets: o.Secrets}
	if len(captures) >= manyFiles {
		s.block = smallBlockSize
	}
	if err := s.begin(); err != nil {
		s.closeAll()
		return nil, err
	}
	if o.Filter != "" {
		var links []LinkType
		for _, c := range s.captures {
			if c.first < math.MaxInt64 {
				links = append(links, c.link)
			}
		}
		if s.filter, err = newFilter(o.Filter, links); err != nil {
			s.closeAll()
			return nil, err
		}
	}
	return s, nil
}

// find turns what the command line names into captures, in its order, each
// file once.
func find(paths []string, recursive bool) ([]*capture, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture named")
	}
	var found []*capture
	known := map[string]bool{}
	add := func(c *capture) {
		key := c.name
		if abs, err := filepath.Abs(c.name); err == nil && c.name != "-" {
			key = abs
		}
		if !known[key] {
			known[key] = true
			found = append(found, c)
		}
	}
	for _, path := range paths {
		names := []string{path}
		if path != "-" && strings.ContainsAny(path, "*?[") {
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				matches, err := filepath.Glob(path)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
				if len(matches) == 0 {
					return nil, fmt.Errorf("%s: no file matches", path)
				}
				names = matches
			}
		}
		for _, name := range names {
			if name == "-" {
				add(&capture{name: name, stream: true})
				continue
			}
			info, err := os.Stat(name)
			if err != nil {
				return nil, named(name, err)
			}
			if !info.IsDir() {
				add(&capture{name: name, stream: !info.Mode().IsRegular()})
				continue
			}
			inside, err := list(name, recursive)
			if err != nil {
				return nil, err
			}
			if len(inside) == 0 {
				return nil, noCapture(name)
			}
			for _, file := range inside {
				add(&capture{name: file, listed: true, dir: name})
			}
		}
	}
	return found, nil
}

// list is the regular files of a directory, by name.
func list(dir string, recursive bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, named(dir, err)
	}
	var names []string
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a dangling link
		case err != nil:
			return nil, named(name, err)
		case info.Mode().IsRegular():
			names = append(names, name)
		case info.IsDir() && recursive && e.IsDir(): // links to directories may go in circles
			below, err := list(name, true)
			if err != nil {
				return nil, err
			}
			names = append(names, below...)
		}
	}
	return names, nil
}

// named puts a path before what the system says about it.
func named(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// capture is one file among those that are merged.
type capture struct {
	name   string
	stream bool   // cannot be opened twice
	listed bool   // found in a directory, so it need not be a capture
	dir    string // that directory

	index int
	r     *reader   // nil while the capture's first frame is not yet due
	shut  func()    // closes what r reads; nil when closed
	known FileStats // while r is nil

	queue  []Packet // frames read and not yet handed out are queue[at:n]
	at, n  int
	before FileStats // of the frames before the queue
	first  int64     // time of the first frame
	link   LinkType  // of the first frame
}

// errEmpty says that a file has no bytes at all.
var errEmpty = errors.New("empty file")

// open opens the capture. ahead says that decompression is to run in its own
// goroutine, which is not worth its while for the first frame alone.
func (c *capture) open(block int, ahead bool, secrets func(Secrets)) error {
	file := os.Stdin
	if c.name != "-" {
		f, err := os.Open(c.name)
		if err != nil {
			return named(c.name, err)
		}
		file = f
	}
	c.shut = func() { file.Close() }

	head := make([]byte, sniffBytes)
	n, err := readBlock(file, head)
	if err != nil && err != io.EOF {
		return named(c.name, err)
	}
	head = head[:n]
	var in io.Reader = file
	if c.stream {
		in = io.MultiReader(bytes.NewReader(head), file)
	} else if _, err := file.Seek(0, io.SeekStart); err != nil {
		return named(c.name, err)
	}
	compression := compressionOf(head)
	if compression != "" {
		d, err := newDecompressor(compression, in)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", c.name, errNotCapture, err)
		}
		in = d
		c.shut = func() { d.close(); file.Close() }
		if ahead {
			a := newReadAhead(d, block, c.shut)
			in, c.shut = a, a.close
		}
	}
	r, err := newReader(in, block)
	switch {
	case err == io.EOF:
		return fmt.Errorf("%s: %w", c.name, errEmpty)
	case err == errNotCapture && compression != "":
		return fmt.Errorf("%s: %w: %s data that begins with %q", c.name, err, compression, r.beginning())
	case err == errNotCapture:
		return fmt.Errorf("%s: %w: begins with %q", c.name, err, r.beginning())
	case err != nil && compression != "":
		return fmt.Errorf("%s: %w: %w", c.name, errNotCapture, err)
	case err != nil:
		return named(c.name, err)
	}
	r.file = MakeFrameID(c.index, 0)
	r.stats.Name, r.stats.Compression = c.name, compression
	r.secrets = secrets
	c.r = r
	c.at, c.n = 0, 0
	return nil
}

// close closes the capture; its statistics stay.
func (c *capture) close() {
	if c.shut != nil {
		c.shut()
		c.shut = nil
	}
	if c.r != nil {
		c.r.stats = c.stats()
		c.r.close()
	}
	c.queue, c.at, c.n = nil, 0, 0
}

// refill reads the next frames into the queue, whose frames have all been
// handed out. It returns false at the end of the capture.
func (c *capture) refill() bool {
	c.at, c.before = 0, c.r.stats
	c.n, _ = c.r.Read(c.queue) // the only error is io.EOF
	return c.n > 0
}

// head is the time of the frame that comes next.
func (c *capture) head() int64 { return c.queue[c.at].Time }

// files merges captures.
type files struct {
	captures []*capture
	block    int
	filter   *filter
	filtered uint64
	secrets  func(Secrets)

	open []*capture // those being merged, in the order of captures
	next int        // the first of captures that has not joined them
	one  [1]Packet  // for ZeroCopyReadPacketData
}

// begin looks at the first frame of every capture and orders them.
func (s *files) begin() error {
	var good []*capture
	inDir := map[string]int{}
	single := len(s.captures) == 1
	for _, c := range s.captures {
		keep := single || c.stream
		err := c.open(s.block, keep, s.secrets)
		if c.listed && (errors.Is(err, errNotCapture) || errors.Is(err, errEmpty)) {
			c.close()
			inDir[c.dir] += 0
			continue
		}
		if err != nil {
			c.close()
			return err
		}
		inDir[c.dir]++
		good = append(good, c)
		c.queue = make([]Packet, 1)
		if keep {
			c.queue = make([]Packet, queueLen)
		}
		if !c.refill() {
			c.first = math.MaxInt64
			c.close() // nothing in it: it has been read to its end
			continue
		}
		c.first, c.link = c.queue[0].Time, c.queue[0].Link
		if !keep {
			st := &c.r.stats
			c.known = FileStats{Name: st.Name, Format: st.Format, Compression: st.Compression, SnapLen: st.SnapLen}
			c.close()
			c.r, c.n = nil, 0
		}
	}
	for dir, n := range inDir {
		if n == 0 {
			return noCapture(dir)
		}
	}
	s.captures = good
	slices.SortStableFunc(good, func(a, b *capture) int { return cmp.Compare(a.first, b.first) })
	for i, c := range good {
		c.index = i
		if c.r == nil {
			continue
		}
		c.r.file = MakeFrameID(i, 0)
		for j := range c.n {
			c.queue[j].Frame |= c.r.file
		}
	}
	return nil
}

// noCapture is the error about a directory.
func noCapture(dir string) error {
	return fmt.Errorf("%s: no capture file in this directory", dir)
}

// Read implements Source.
func (s *files) Read(batch []Packet) (int, error) {
	for {
		n, err := s.merge(batch)
		if n == 0 || s.filter == nil {
			return n, err
		}
		kept := s.filter.keep(batch[:n])
		s.filtered += uint64(n - kept)
		if kept > 0 {
			return kept, nil
		}
	}
}

// merge fills batch with the next frames of all captures. It stops where the
// queue of one is empty, because reading on would overwrite the frames that
// are already in batch.
func (s *files) merge(batch []Packet) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	if len(s.open) == 1 && s.next == len(s.captures) && s.open[0].at == s.open[0].n {
		// The last one needs no queue.
		c := s.open[0]
		n, err := c.r.Read(batch)
		if n == 0 {
			c.close()
			s.open = s.open[:0]
		}
		return n, err
	}
	s.open = slices.DeleteFunc(s.open, func(c *capture) bool {
		if c.at < c.n || c.refill() {
			return false
		}
		c.close()
		return true
	})
	n := 0
	for n < len(batch) {
		lead, until := s.lead()
		if s.next < len(s.captures) && (lead == nil || s.captures[s.next].first < lead.head()) {
			if err := s.join(); err != nil {
				if n > 0 {
					break // and fail again in the next call
				}
				return 0, err
			}
			continue
		}
		if lead == nil {
			break
		}
		if s.next < len(s.captures) {
			until = min(until, s.captures[s.next].first)
		}
		for n < len(batch) && lead.at < lead.n && lead.head() <= until {
			batch[n] = lead.queue[lead.at]
			n++
			lead.at++
		}
		if lead.at == lead.n {
			break
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// lead is the capture whose frame comes next, nil for none, and the time until
// which it keeps the lead: at the same time the earlier capture goes first.
func (s *files) lead() (lead *capture, until int64) {
	until = math.MaxInt64
	for _, c := range s.open {
		switch {
		case lead == nil:
			lead = c
		case c.head() < lead.head():
			until = lead.head() - 1
			lead = c
		default:
			until = min(until, c.head())
		}
	}
	return lead, until
}

// join opens the next capture, whose first frame is due.
func (s *files) join() error {
	c := s.captures[s.next]
	if c.r == nil {
		if err := c.open(s.block, true, s.secrets); err != nil {
			c.close()
			return err
		}
		c.queue = make([]Packet, queueLen)
	}
	s.next++
	if c.at < c.n || !c.r.done && c.refill() {
		s.open = append(s.open, c)
	} else {
		c.close()
	}
	return nil
}

// ZeroCopyReadPacketData implements gopacket.ZeroCopyPacketDataSource.
func (s *files) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	if _, err := s.Read(s.one[:]); err != nil {
		return nil, gopacket.CaptureInfo{}, err
	}
	return s.one[0].Data, captureInfo(&s.one[0]), nil
}

// captureInfo is what gopacket wants to know beside the bytes.
func captureInfo(p *Packet) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{
		Timestamp:     time.Unix(0, p.Time),
		CaptureLength: len(p.Data),
		Length:        p.WireLen,
	}
}

// stats are those of the frames that were handed out.
func (c *capture) stats() FileStats {
	st := c.r.stats
	if c.at == c.n {
		return st
	}
	b := &c.before
	st.Leaps, st.LeapFrame = b.Leaps, b.LeapFrame
	st.Frames, st.Bytes, st.Cut, st.First, st.Last = b.Frames, b.Bytes, b.Cut, b.First, b.Last
	for i := range c.queue[:c.at] {
		p := &c.queue[i]
		if st.Frames == 0 {
			st.First, st.Last = p.Time, p.Time
		}
		st.First, st.Last = min(st.First, p.Time), max(st.Last, p.Time)
		st.Frames++
		st.Bytes += uint64(p.WireLen)
		if p.WireLen > len(p.Data) {
			st.Cut++
		}
	}
	return st
}

// Stats implements Source.
func (s *files) Stats() Stats {
	st := Stats{Filtered: s.filtered, Files: make([]FileStats, len(s.captures))}
	for i, c := range s.captures {
		st.Files[i] = c.known
		if c.r != nil {
			st.Files[i] = c.stats()
			st.Files[i].Links = slices.Clone(c.r.stats.Links)
			st.Files[i].Comments = slices.Clone(c.r.stats.Comments)
		}
	}
	return st
}

// Close implements Source.
func (s *files) Close() error {
	s.closeAll()
	return nil
}

func (s *files) closeAll() {
	for _, c := range s.captures {
		c.close()
	}
	s.open, s.next = nil, len(s.captures)
}
