//go:build !linux

// Command image builds and runs the image of the Dockerfile without a Docker engine.
// It needs Linux's namespaces.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "image: this needs Linux")
	os.Exit(1)
}
