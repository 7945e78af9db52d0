package sqlite

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// tryLock takes the lock on a byte of f far behind its contents, so that the
// process id in it stays readable, for as long as f is open.
func tryLock(f *os.File) error {
	const exclusiveNow = 0x3 // LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY
	at := syscall.Overlapped{Offset: 1 << 30}
	lockFileEx := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")
	ok, _, err := lockFileEx.Call(f.Fd(), exclusiveNow, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	if ok == 0 {
		return fmt.Errorf("lock file: %w", err)
	}
	return nil
}
