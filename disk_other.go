//go:build !linux && !darwin

package main

// diskSpace is the size of the volume that dir lies on, and what of it this
// process may still use: not known on this system.
func diskSpace(string) (total, usable int64) { return -1, -1 }
