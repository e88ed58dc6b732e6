//go:build amd64 || arm64

package flows

// prefetch asks the processor for the cache lines at the first n addresses of
// lines, and does not wait for them. Under a hypervisor some of them never come;
// that costs less than waiting for all of them, which was tried.
//
//go:noescape
func prefetch(lines *[groupSize]uintptr, n int)
