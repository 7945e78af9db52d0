//go:build !race

package sink_test

// pace: a sweep has a fault at each write. See pace_race_test.go.
const pace = 1
