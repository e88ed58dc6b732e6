//go:build !linux

package flows

// spread does nothing where the kernel takes no advice on page sizes.
func spread[T any](s []T) []T { return s }
