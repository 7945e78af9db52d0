//go:build !linux

package main

// dropMapped does nothing: other systems are not told.
func dropMapped() {}
