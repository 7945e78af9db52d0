//go:build !linux

package main

// dropMapped does nothing: other systems are not told.
func dropMapped() {}

// machineMemory is not known here.
func machineMemory() int64 { return 0 }
