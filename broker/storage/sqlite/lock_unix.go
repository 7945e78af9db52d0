//go:build unix && !aix && !solaris

package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// tryLock takes the lock on f for as long as it is open.
func tryLock(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	return nil
}
