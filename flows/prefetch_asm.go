//go:build amd64 || arm64

package flows

// prefetch asks for the first n cache lines that lines points into. It reads
// nothing, so that an address may be stale, and waits for nothing.
//
//go:noescape
func prefetch(lines *[2 * batchSize]uintptr, n int)
