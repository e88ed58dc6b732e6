//go:build unix

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// claim makes sure that no other run writes the file name, until what it returns is
// closed. What is locked is a file beside it, as name itself is replaced again and
// again. A file system without locks is taken as it is.
func claim(name string) (*os.File, error) {
	f, err := os.OpenFile(name+".lock", os.O_RDWR|os.O_CREATE, resultMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, errors.New("another run is using it")
	}
	return f, nil
}
