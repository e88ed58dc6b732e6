package flows

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// spread asks the kernel for huge pages under s: filling a new part of the table
// is then one page fault for each 2 MiB instead of one for each 4 KiB. It is
// advice: nothing depends on it.
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
