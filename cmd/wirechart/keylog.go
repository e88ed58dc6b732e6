package main

import (
	"fmt"
	"io"
	"os"
)

// readKeyLog adds the keys of the key log name to those of the job. A malformed
// line is only warned of, as programs that write key logs may be killed midway;
// a file that has nothing but malformed lines is an error: it is no key log.
func (j *job) readKeyLog(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return j.addKeys(name, f)
}

// maxKeyWarnings is how many malformed lines of all key logs are named.
const maxKeyWarnings = 8

// addKeys adds the keys of r, a key log called name in messages. The warning about
// a malformed line says where it is, once, and never what is in it: it may be a
// secret.
func (j *job) addKeys(name string, r io.Reader) error {
	before := j.keys.Stats()
	var warnings []string
	err := j.keys.Read(r, func(line int, reason error) {
		place := fmt.Sprintf("%s:%d", name, line)
		if j.warned[place] || len(j.warned) > maxKeyWarnings {
			return
		}
		if j.warned[place] = true; len(j.warned) > maxKeyWarnings {
			warnings = append(warnings, place+": and more lines that are not of a key log")
			return
		}
		warnings = append(warnings, fmt.Sprintf("%s: %v", place, reason))
	})
	after := j.keys.Stats()
	if err == nil && after.Malformed > before.Malformed && after.Lines == before.Lines {
		return fmt.Errorf("%s: not a key log: no line of it is a label, a client random and a secret", name)
	}
	for _, line := range warnings {
		j.warn(line)
	}
	return err
}
