package pcaps

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
)

// Recorder writes a capture that can be read whatever happens to the program: the
// file holds whole blocks only, even when it is killed or the disk is full. Blocks
// are gathered and written together; Flush is for a caller who wants those at hand
// to be in the file.
type Recorder struct {
	file    *os.File
	w       *Writer
	waiting []byte
	size    int64  // bytes of the file, all whole blocks
	lost    uint64 // blocks that found no room
	err     error  // what ended the writing
}

// recordChunk is how many bytes are gathered before they are written.
const recordChunk = 256 << 10

// Record begins a capture in the file of that name, over what was there, with
// the application and the comment that NewWriter takes. A new file is its
// owner's alone: it holds what others said to each other.
func Record(name, application, comment string) (*Recorder, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, named(name, err)
	}
	r := &Recorder{file: f, waiting: make([]byte, 0, recordChunk)}
	if r.w, err = NewWriter(gather{r}, application, comment); err == nil {
		err = r.Flush()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// gather takes the blocks of the Writer, one with each call.
type gather struct{ r *Recorder }

func (g gather) Write(block []byte) (int, error) {
	r := g.r
	if len(r.waiting)+len(block) > recordChunk {
		if err := r.Flush(); err != nil {
			return 0, err
		}
	}
	r.waiting = append(r.waiting, block...)
	return len(block), nil
}

// Write adds a packet. After an error there is nothing more to be added; what
// the file holds is whole.
func (r *Recorder) Write(p *Packet, comments ...string) error {
	if r.err != nil {
		return r.err
	}
	return r.w.Write(p, comments...)
}

// Size is how many bytes the capture has, those at hand included.
func (r *Recorder) Size() int64 { return r.size + int64(len(r.waiting)) }

// Lost is how many packets that were taken in could not be written.
func (r *Recorder) Lost() uint64 { return r.lost }

// Name is that of the file.
func (r *Recorder) Name() string { return r.file.Name() }

// Flush writes what is at hand to the file. Of what does not fit it leaves the
// blocks that are whole.
func (r *Recorder) Flush() error {
	if r.err != nil || len(r.waiting) == 0 {
		return r.err
	}
	n, err := r.file.Write(r.waiting)
	if err == nil {
		r.size += int64(n)
		r.waiting = r.waiting[:0]
		return nil
	}
	whole := 0
	for whole+8 <= n {
		size := int(binary.LittleEndian.Uint32(r.waiting[whole+4:]))
		if whole+size > n {
			break
		}
		whole += size
	}
	r.size += int64(whole)
	for rest := r.waiting[whole:]; len(rest) >= 8; rest = rest[binary.LittleEndian.Uint32(rest[4:]):] {
		if binary.LittleEndian.Uint32(rest) == blockEnhanced {
			r.lost++
		}
	}
	r.waiting = r.waiting[:0]
	if cut := r.file.Truncate(r.size); cut != nil {
		err = errors.Join(err, cut)
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = named(path.Path, err)
	}
	r.err = err
	return err
}

// Close writes what is at hand and closes the file.
func (r *Recorder) Close() error {
	err := r.Flush()
	if e := r.file.Close(); err == nil && e != nil {
		err = named(r.file.Name(), e)
	}
	return err
}
