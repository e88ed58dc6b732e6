//go:build amd64 || arm64

package flows

// fetch loads a byte from each of the first n addresses of lines, in a loop so
// short that the processor has as many of them under way as it can. (Prefetch
// instructions were tried: under a hypervisor a good part of them is dropped.)
//
//go:noescape
func fetch(lines *[batchSize]uintptr, n int)
