package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"
)

// TestVariants: what is in another format is the same frames.
func TestVariants(t *testing.T) {
	load, _ := workloadByName("W1")
	path := filepath.Join(t.TempDir(), "w.pcap")
	said, err := writeWorkload(load, path, 0.001)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants() {
		to, err := prepareVariant(v, path)
		if err != nil {
			t.Fatal(err)
		}
		made, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		switch v.name {
		case "pcap.gz":
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, v.name, z, want)
		case "pcap.zst":
			z, err := zstd.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, v.name, z, want)
			z.Close()
		case "pcapng":
			sameFrames(t, b, want, said.Packets)
		default:
			t.Errorf("%s is not looked at", v.name)
		}
		if _, err := prepareVariant(v, path); err != nil {
			t.Fatal(err)
		}
		if again, err := os.Stat(to); err != nil || !again.ModTime().Equal(made.ModTime()) {
			t.Errorf("%s was made twice, %v", v.name, err)
		}
	}
}

func sameBytes(t *testing.T, name string, r io.Reader, want []byte) {
	t.Helper()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
	}
}

func sameFrames(t *testing.T, b, want []byte, packets uint64) {
	t.Helper()
	ng, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	classic, err := pcapgo.NewReader(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		got, at, err := ng.ReadPacketData()
		if err != nil {
			t.Fatalf("frame %d: %v", i+1, err)
		}
		frame, then, err := classic.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, frame) || !at.Timestamp.Equal(then.Timestamp) || at.Length != then.Length {
			t.Fatalf("frame %d differs", i+1)
		}
	}
	if _, _, err := ng.ReadPacketData(); err != io.EOF {
		t.Errorf("behind the last frame: %v", err)
	}
}
