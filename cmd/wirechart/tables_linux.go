//go:build cgo

package main

// The layers package of gopacket, which libpcap's wrapper brings along, fills
// tables of 65,536 entries when it is loaded: 6 MB that nobody has touched,
// which takes 1,500 page faults. Under a hypervisor those are most of the time
// that the program takes to start. So it asks for that memory in one call, before
// any package of Go begins. Nothing depends on it: where the kernel does not know
// the request (Linux before 5.14), or the tables lie elsewhere, all is as before.

/*
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

extern char __bss_start, _end; // of the data that begins as zeros; the linker's

static void __attribute__((constructor)) populate(void) {
	const uintptr_t page = 4096, tables = 7 << 20;
	uintptr_t from = ((uintptr_t)&__bss_start + page - 1) & ~(page - 1);
	uintptr_t to = (uintptr_t)&_end & ~(page - 1);
	if (to > from + tables)
		to = from + tables;
	if (to > from) {
		madvise((void *)from, to - from, MADV_HUGEPAGE);
		madvise((void *)from, to - from, MADV_POPULATE_WRITE);
	}
}
*/
import "C"
