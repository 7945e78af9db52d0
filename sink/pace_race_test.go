//go:build race

package sink_test

// pace is how far apart the writes are at which a sweep has a fault: without the
// race detector it is each one. Races do not depend on which write fails, and
// under the detector all would take half an hour.
const pace = 5
