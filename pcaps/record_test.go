package pcaps

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// numbered is the n-th packet of a test: its bytes say which it is.
func numbered(n int) *Packet {
	data := bytes.Repeat([]byte{byte(n)}, 60+n*37%1400)
	copy(data, fmt.Sprintf("%08d", n))
	return &Packet{Time: int64(n) * 1e6, Data: data, WireLen: len(data) + n%2, Link: LinkEthernet}
}

// contents reads captures back, and holds each packet against what was written.
func contents(t *testing.T, names ...string) (numbers []int, damage *Damage) {
	t.Helper()
	for _, name := range names {
		src, err := Open([]string{name}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]Packet, 64)
		for {
			n, err := src.Read(batch)
			for _, p := range batch[:n] {
				var number int
				fmt.Sscanf(string(p.Data[:8]), "%d", &number)
				want := numbered(number)
				if !bytes.Equal(p.Data, want.Data) || p.Time != want.Time || p.WireLen != want.WireLen {
					t.Errorf("%s: packet %d is not what was written", name, number)
				}
				numbers = append(numbers, number)
			}
			if err != nil {
				break
			}
		}
		if d := src.Stats().Files[0].Damage; d != nil {
			damage = d
		}
		src.Close()
	}
	return numbers, damage
}

func inOrder(t *testing.T, numbers []int, first, last int) {
	t.Helper()
	if len(numbers) == 0 || numbers[0] != first || numbers[len(numbers)-1] != last {
		t.Fatalf("packets %v, want %d to %d", numbers, first, last)
	}
	for i := range numbers {
		if numbers[i] != first+i {
			t.Fatalf("packet %d stands where %d should", numbers[i], first+i)
		}
	}
}

func TestRecorder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "all.pcapng")
	r, err := Record(name, "test", "a comment")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		if err := r.Write(numbered(n)); err != nil {
			t.Fatal(err)
		}
		if n == 1000 {
			if err := r.Flush(); err != nil {
				t.Fatal(err)
			}
			numbers, damage := contents(t, name)
			if inOrder(t, numbers, 0, 1000); damage != nil {
				t.Errorf("in the middle: %+v", damage)
			}
		}
	}
	size := r.Size()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != size {
		t.Errorf("%v, %v; want %d bytes", info, err, size)
	}
	numbers, damage := contents(t, name)
	if inOrder(t, numbers, 0, 1999); damage != nil {
		t.Errorf("%+v", damage)
	}
}

func TestRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "evidence-notes.pcapng")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	written := 0
	for range 3 { // runs
		r, err := NewRotation(dir, "evidence", 50_000, 4, "test", "")
		if err != nil {
			t.Fatal(err)
		}
		for range 400 {
			if err := r.Write(numbered(written)); err != nil {
				t.Fatal(err)
			}
			written++
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(dir, "evidence-0*.pcapng"))
		if err != nil || len(names) != 4 || len(r.Files()) != 4 || r.Lost() != 0 {
			t.Fatalf("%v: %v, %d lost", names, err, r.Lost())
		}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || info.Size() > 50_000+2000 {
				t.Errorf("%v, %v", info, err)
			}
		}
		numbers, damage := contents(t, names...)
		if damage != nil {
			t.Errorf("%+v", damage)
		}
		inOrder(t, numbers, numbers[0], written-1)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of somebody else's: %v", err)
	}
	if _, err := NewRotation(filepath.Join(other, "x"), "evidence", 1, 1, "", ""); err == nil || !strings.Contains(err.Error(), "evidence-notes.pcapng") {
		t.Errorf("a directory that cannot be: %v", err)
	}
}

// smallDisk mounts a file system of a few hundred kilobytes, or skips the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestDiskFull fills a small file system: what is there is whole, and what is
// not is counted.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	name := filepath.Join(dir, "all.pcapng")
	r, err := Record(name, "test", "")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil && n < 5000; n++ {
		if err = r.Write(numbered(n)); err == nil && n%10 == 0 {
			err = r.Flush()
		}
	}
	if err == nil || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), name) {
		t.Fatalf("a disk that is full: %v", err)
	}
	if r.Write(numbered(n)) == nil || r.Close() == nil {
		t.Error("a file that cannot be written to was written to")
	}
	numbers, damage := contents(t, name)
	if inOrder(t, numbers, 0, len(numbers)-1); damage != nil || len(numbers) < 100 {
		t.Errorf("%d packets, %+v", len(numbers), damage)
	}
	if len(numbers)+int(r.Lost()) != n {
		t.Errorf("%d packets written, %d counted as lost, of %d", len(numbers), r.Lost(), n)
	}
	os.Remove(name)

	// A ring larger than the disk makes room for itself.
	ring, err := NewRotation(dir, "evidence", 100_000, 10, "test", "")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3000 {
		if err := ring.Write(numbered(n)); err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
	}
	if err := ring.Flush(); err != nil {
		t.Fatal(err)
	}
	numbers, damage = contents(t, ring.Files()...)
	if damage != nil || len(numbers) < 50 || numbers[len(numbers)-1] != 2999 {
		t.Errorf("%d packets, %+v", len(numbers), damage)
	}
	ring.Close()
	for _, name := range ring.Files() {
		os.Remove(name)
	}

	// Where somebody else takes the room there is none, until there is.
	hog := filepath.Join(dir, "hog")
	if err := os.WriteFile(hog, make([]byte, 300<<10), 0o644); err == nil {
		t.Skip("the file system takes more than it should")
	}
	ring, err = NewRotation(dir, "evidence", 100_000, 10, "test", "")
	if err == nil {
		err = ring.Write(numbered(0))
		if err == nil {
			err = ring.Flush()
		}
	}
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("no room at all: %v", err)
	}
	if ring == nil {
		return
	}
	os.Remove(hog)
	ring.retry = time.Time{}
	if err := ring.Write(numbered(1)); err != nil {
		t.Errorf("room again: %v", err)
	}
	ring.Close()
	if numbers, _ := contents(t, ring.Files()...); len(numbers) != 1 || numbers[0] != 1 {
		t.Errorf("then %v was written", numbers)
	}
	if ring.Lost() != 1 {
		t.Errorf("%d counted as lost", ring.Lost())
	}
}
