//go:build linux || darwin

package main

import "syscall"

// diskSpace is the size of the volume that dir lies on, and what of it this
// process may still use, in bytes; -1 if it cannot be told.
func diskSpace(dir string) (total, usable int64) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return -1, -1
	}
	size := int64(st.Bsize) //nolint:unconvert // it has another type on other systems
	return int64(st.Blocks) * size, int64(st.Bavail) * size
}
