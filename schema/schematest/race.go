//go:build race

package schematest

// raced says that the race detector is on: sync.Pool then drops things at
// random, so that allocations cannot be counted.
const raced = true
