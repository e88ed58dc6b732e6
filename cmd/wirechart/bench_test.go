package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkAudit runs the whole audit over the benchmark's workloads, where
// `make bench` has left them, and over a sample. `make pgo` takes the compiler's
// profile from it.
func BenchmarkAudit(b *testing.B) {
	dir := os.Getenv("BENCH_DIR")
	if dir == "" {
		dir = "/tmp/wirechart-bench"
	}
	captures, err := filepath.Glob(filepath.Join(dir, "W*.pcap"))
	if err != nil {
		b.Fatal(err)
	}
	for _, capture := range append(captures, "../../pcaps/samples/site.pcapng") {
		b.Run(filepath.Base(capture), func(b *testing.B) {
			for b.Loop() {
				if status := execute(b.Context(), []string{"audit", "--exit-zero", "-q", capture}, io.Discard, io.Discard); status != 0 {
					b.Fatalf("exit status %d", status)
				}
			}
		})
	}
}
