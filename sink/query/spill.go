package query

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// spillEvery is how often the size of temporary files is looked at while a query
// runs: a disk takes well below maxSpill meanwhile.
const spillEvery = 250 * time.Millisecond

// watchSpill ends the session when sorting and grouping fill the disk. SQLite keeps
// little in memory and writes the rest to temporary files, which it does not bound.
// Where the system does not show open files as Linux does, only time bounds them.
// The returned function ends the watch.
func (s *session) watchSpill() (stop func()) {
	if _, err := os.ReadDir(openFiles); err != nil {
		return func() {}
	}
	end := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(spillEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-s.ctx.Done():
				return
			case <-tick.C:
				if n := spilled(openFiles); n > maxSpill {
					s.cancel(fmt.Errorf("%w: sorting and grouping took %d MB of temporary files, more than %d MB", ErrLimit, n>>20, int64(maxSpill)>>20))
				}
			}
		}
	})
	return func() {
		close(end)
		ended.Wait()
	}
}

// openFiles is where Linux shows a process its open files.
const openFiles = "/proc/self/fd"

// tempPrefix is how SQLite names temporary files.
const tempPrefix = "etilqs_"

// spilled is how many bytes SQLite's temporary files hold.
func spilled(dir string) (n int64) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, f := range list {
		path := filepath.Join(dir, f.Name())
		if to, err := os.Readlink(path); err != nil || !strings.HasPrefix(filepath.Base(to), tempPrefix) {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			n += info.Size()
		}
	}
	return n
}
