//go:build !linux

package pcaps

import "fmt"

const haveRing = false

func openRing(name string, _ LiveOptions) (Source, error) {
	return nil, fmt.Errorf("%s: %w", name, errNoRing)
}
