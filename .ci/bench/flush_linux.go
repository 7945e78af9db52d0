package main

import (
	"os"
	"syscall"
)

// flushData waits until a file's data are on the disk, by fdatasync.
func flushData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
