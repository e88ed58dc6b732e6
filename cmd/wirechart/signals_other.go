//go:build !unix

package main

import "os"

// counterSignals is told when somebody asks for the counters: here nobody can.
func counterSignals() chan os.Signal { return make(chan os.Signal, 1) }
