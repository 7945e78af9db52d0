package main

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestDiskSpace(t *testing.T) {
	total, usable := diskSpace(t.TempDir())
	if known := runtime.GOOS == "linux" || runtime.GOOS == "darwin"; known != (total > 0 && usable >= 0 && usable <= total) {
		t.Errorf("got %d of %d bytes", usable, total)
	}
	if total, usable := diskSpace(filepath.Join(t.TempDir(), "nowhere")); total != -1 || usable != -1 {
		t.Errorf("a directory that is not there: got %d of %d bytes", usable, total)
	}
}
