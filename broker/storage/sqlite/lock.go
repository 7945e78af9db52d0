package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrLocked says that another process has the store open.
var ErrLocked = errors.New("store is in use")

// maxLockBytes bounds what is read of a lock file: a process id.
const maxLockBytes = 32

// lock takes the side file path.lock, which stays where it is for ever: to
// remove it would let two processes lock two files of one name. The lock is on
// a file of its own because closing any descriptor of a database file drops
// SQLite's locks on it (POSIX).
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		holder := "another process"
		if b, _ := io.ReadAll(io.LimitReader(f, maxLockBytes)); len(b) > 0 {
			holder = "process " + strings.TrimSpace(string(b))
		}
		return nil, fmt.Errorf("%w: %s has %s open (%w)", ErrLocked, holder, path, err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("empty the lock file: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	return nil
}

// unlock lets the store go and leaves no process id behind.
func unlock(f *os.File) error {
	return errors.Join(f.Truncate(0), f.Close())
}
