package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"
)

// A variant is a workload in another format.
type variant struct {
	name string // what the file's name ends with
	make func(from io.Reader, to io.Writer) error
}

// variants are the formats that captures come in beside the one that the
// workloads are made in.
func variants() []variant {
	return []variant{
		{"pcapng", toPcapng},
		{"pcap.gz", func(from io.Reader, to io.Writer) error {
			z := gzip.NewWriter(to)
			_, err := io.Copy(z, from)
			return errors.Join(err, z.Close())
		}},
		{"pcap.zst", func(from io.Reader, to io.Writer) error {
			z, err := zstd.NewWriter(to)
			if err != nil {
				return err
			}
			_, err = io.Copy(z, from)
			return errors.Join(err, z.Close())
		}},
	}
}

func toPcapng(from io.Reader, to io.Writer) error {
	r, err := pcapgo.NewReader(from)
	if err != nil {
		return err
	}
	w, err := pcapgo.NewNgWriter(to, layers.LinkTypeEthernet)
	if err != nil {
		return err
	}
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		info.InterfaceIndex = 0
		if err := w.WritePacket(gopacket.CaptureInfo(info), data); err != nil {
			return err
		}
	}
}

// prepareVariant returns the file of a workload in the format of v, made now
// unless it is there.
func prepareVariant(v variant, path string) (string, error) {
	to := strings.TrimSuffix(path, "pcap") + v.name
	if made, err := os.Stat(to); err == nil {
		if from, err := os.Stat(path); err == nil && made.ModTime().After(from.ModTime()) {
			return to, warm(to)
		}
	}
	from, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	out, err := os.Create(to + ".new")
	if err != nil {
		return "", err
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	err = v.make(bufio.NewReaderSize(from, 1<<20), buffered)
	if err = errors.Join(err, buffered.Flush(), out.Close()); err != nil {
		return "", err
	}
	return to, os.Rename(to+".new", to)
}
