package query

import (
	"os"
	"path/filepath"
	"strings"
)

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
