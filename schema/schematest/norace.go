//go:build !race

package schematest

// raced says that the race detector is on.
const raced = false
