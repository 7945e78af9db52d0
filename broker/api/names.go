package api

import "github.com/tarn-io/tarn/broker/wire"

// names counts what a request names, to refuse what stands there twice: Kafka
// answers a repeated name once, with an error, and does nothing about it.
type names map[string]int

// countNames counts the names of a request's elements.
func countNames[T any](all []T, name func(*T) string) names {
	n := make(names, len(all))
	for i := range all {
		n[name(&all[i])]++
	}
	return n
}

// take reports whether a name is still to be answered, and the error of one that
// is repeated.
func (n names) take(name string) (first bool, err error) {
	times := n[name]
	n[name] = 0
	if times > 1 {
		err = refuse(wire.InvalidRequest, "%q stands %d times in the request", name, times)
	}
	return times > 0, err
}
