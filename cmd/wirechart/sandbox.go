package main

import "github.com/spf13/pflag"

// sandbox says what a program that has opened its capture still needs. Packets
// are written by strangers, so whoever finds a fault in what reads them must
// not find more than this behind it.
type sandbox struct {
	Off  bool   // --no-sandbox: keep every privilege, to debug
	User string // --user: become this user, by name or number; empty stays

	Read   []string // files and directories that will be read again
	Write  []string // what will be written: see below
	Listen []uint16 // TCP ports that are yet to be bound; those that listen already need no mention

	// A directory in Write may be filled, emptied and read. A file in it may
	// be read and written where it lies, which does not do for one that is
	// replaced by renaming: that takes its directory. All have to exist.
}

// sandboxFlags are those of the commands that shed their privileges.
func sandboxFlags(fs *pflag.FlagSet, s *sandbox) {
	fs.BoolVar(&s.Off, "no-sandbox", false, "keep privileges and access to all files after the captures are open, for debugging")
	fs.StringVar(&s.User, "user", "", "become `USER` once the captures are open")
}
