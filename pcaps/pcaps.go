// Package pcaps brings packets in: from capture files (pcap, pcapng and snoop,
// plain or compressed, one or many, in time order), from standard input, from a
// directory that another program fills, and from live interfaces. Everything that
// hands out packets is a Source, so one capture loop serves files and live handles
// alike.
//
// Packets are handed out in batches and never copied: the bytes of a batch
// belong to the Source and are valid until the next call. A file that is cut
// or damaged is read as far as it goes; what ended it is a Damage in the
// file's statistics, never an error that hides the packets before it.
//
// Files are read by this package's own reader, and on Linux interfaces are
// captured by its own ring (ring_linux.go), which costs less than libpcap. gopacket
// gives access to libpcap (libpcap.go), for other systems' interfaces and for
// compiling BPF expressions.
//
// The package also writes captures, pcapng all of them: a Writer frames with
// comments, a Recorder all frames of a run, a Rotation the last few files of a
// directory.
package pcaps

import (
	"github.com/google/gopacket"
)

// FrameID names one frame of one capture: which file of the run, and the
// frame's number in it. It orders frames by file, then by position.
type FrameID uint64

// A FrameID has 56 bits: 20 for the file, 36 for the frame.
const (
	frameBits = 36
	mostFiles = 1 << 20
)

// MakeFrameID packs the index of a file (0-based, in the order of
// Stats.Files) and a frame's number (1-based, as Wireshark counts).
func MakeFrameID(file int, number uint64) FrameID {
	return FrameID(uint64(file)<<frameBits | number&(1<<frameBits-1))
}

// File is the index of the capture in Stats.Files, or among the names of a Named.
func (id FrameID) File() int { return int(id >> frameBits) }

// Number is the 1-based position of the frame in its capture, as Wireshark
// numbers it; 0 means that no frame is named.
func (id FrameID) Number() uint64 { return uint64(id) & (1<<frameBits - 1) }

// Packet is one captured frame.
type Packet struct {
	Frame   FrameID  // which capture, which frame
	Time    int64    // capture time, nanoseconds since 1970-01-01 UTC
	Data    []byte   // captured bytes, link header first; valid until the next Read
	WireLen int      // bytes on the wire; more than len(Data) when the snap length cut the frame
	Link    LinkType // what Data begins with

	// Tag is the VLAN tag that stood behind the addresses of an Ethernet frame,
	// type and control information as on the wire; 0 for none. It is neither in Data
	// nor in WireLen. Only LiveOptions.TagsAside sets it.
	Tag uint32
}

// Source hands out packets. A Source belongs to one goroutine.
type Source interface {
	// ZeroCopyReadPacketData returns the next frame alone, for programs built
	// on gopacket. The bytes are valid until the next call.
	gopacket.ZeroCopyPacketDataSource

	// Read fills batch with the next packets, as many as are at hand and at
	// most len(batch), and returns how many. The packets' Data is valid until
	// the next call. It returns 0 and io.EOF at the end. Damage in a file ends
	// that file and is told by Stats; any other error is the Source's own.
	Read(batch []Packet) (int, error)

	// Stats says what has been read so far and what was lost.
	Stats() Stats

	Close() error
}

// Stats is what a report says about its input.
type Stats struct {
	Files []FileStats

	// Live capture only: frames that passed the kernel's filter, those of them
	// that it dropped for lack of buffers, and those that the interface dropped
	// before there was a filter.
	Received, Dropped, InterfaceDropped uint64

	Filtered uint64 // frames read and not taken by the BPF filter
}

// Captures is how many there are.
func (s *Stats) Captures() uint64 {
	n := uint64(0)
	for i := range s.Files {
		n += max(s.Files[i].Sum, 1)
	}
	return n
}

// Named is a Source of so many captures that Stats.Files does not list all of
// them. Names has them by the index that File of a FrameID is.
type Named interface {
	Names() []string
}

// FileStats describes one capture.
type FileStats struct {
	Name        string     // as given on the command line; "-" for standard input
	Format      string     // "pcap", "pcapng", "snoop", "live"
	Compression string     // "gzip", "zstd", "lz4", "xz", "bzip2" or empty
	Frames      uint64     // frames read, before any filter
	Bytes       uint64     // wire bytes of those frames
	First, Last int64      // earliest and latest packet time, nanoseconds; 0 when there was no packet
	SnapLen     uint32     // largest snap length declared, bytes; 0 when none was
	Cut         uint64     // frames shorter than they were on the wire
	Links       []LinkType // link types that occurred, ascending
	Comments    []string   // pcapng comments, the first few
	Secrets     int        // decryption-secrets blocks
	With        string     // live capture only: what captures, "ring" or "pcap"
	Leaps       uint64     // frames dated more than a year before or after the one before them
	LeapFrame   uint64     // number of the first of them; 0 when there is none
	Outages     uint64     // live capture only: times that the interface went down or away
	Sum         uint64     // so many captures together, where there are too many to tell of each; 0 for one
	Damage      *Damage    // why reading ended before the end of the file, or nil
}

// Damage says where a capture could not be read further, and why.
type Damage struct {
	Frame  uint64 // number of the last frame that was read whole; 0 when there was none
	Offset int64  // byte of the (decompressed) file where the damaged part begins
	Reason string // "file ends inside a packet record: 40 of 96 bytes", ...
}
