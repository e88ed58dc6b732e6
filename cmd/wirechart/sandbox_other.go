//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// enterSandbox would shed privileges, which this program does on Linux only.
func enterSandbox(s sandbox) (note string, err error) {
	if s.User != "" {
		return "", errors.New("--user is for Linux")
	}
	if s.Off {
		return "", nil
	}
	return "no sandbox on " + runtime.GOOS + ": privileges are kept", nil
}
