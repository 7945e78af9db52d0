//go:build !linux && !darwin

package main

// usage is not known on this system.
func usage() processUsage { return processUsage{-1, -1, -1} }
