package flows

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// spread asks the kernel for huge pages under s. Flows are visited in the order
// of the packets, which is no order at all: with small pages every visit misses
// the TLB as well as the cache, and filling a new part of the table is one page
// fault for each 4 KiB. It is advice: nothing depends on it.
func spread[T any](s []T) []T {
	const page, least = 4096, 2 << 20
	size := uintptr(len(s)) * unsafe.Sizeof(s[0])
	if size < least {
		return s
	}
	base := uintptr(unsafe.Pointer(&s[0]))
	skip := -base & (page - 1)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), size)
	// An error means small pages, as before.
	_ = unix.Madvise(b[skip:skip+(size-skip)&^(page-1)], unix.MADV_HUGEPAGE)
	return s
}
