//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// counterSignals is told when somebody asks for the counters.
func counterSignals() chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	return c
}
