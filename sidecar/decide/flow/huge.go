package flow

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page, in bytes, where the system has them.
const hugePage = 2 << 20

// huge asks the system for huge pages where s lies, and returns s. Each event reads
// places far apart, and in small pages the processor has to look up more of them than
// it can remember. A system without huge pages refuses, and nothing is lost.
func huge[T any](s []T) []T {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	// Up to the ends of the pages: what lies beside s is, as a rule, more of the table.
	from := start &^ (hugePage - 1)
	to := (start + uintptr(len(s))*unsafe.Sizeof(*new(T)) + hugePage - 1) &^ (hugePage - 1)
	unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_HUGEPAGE)
	return s
}
