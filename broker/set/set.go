// Package set has sets of ordered keys: sorted slices without repetitions. They
// are never changed once made; operations return new ones, which may share memory
// with those that they were made of.
package set

import (
	"iter"
	"slices"
)

// Key orders its values: Compare is below 0, 0 or above 0 as those of package
// cmp, and 0 only for equal ones.
type Key[K any] interface {
	comparable
	Compare(K) int
}

func compare[K Key[K]](a, b K) int { return a.Compare(b) }

// New makes a set of keys in any order, which it takes over.
func New[S ~[]K, K Key[K]](keys S) S {
	slices.SortFunc(keys, compare[K])
	return slices.Compact(keys)
}

// Split gives the members of s that are in t, and those that are not.
func Split[S ~[]K, K Key[K]](s, t S) (both, rest S) {
	for _, k := range s {
		for len(t) > 0 && t[0].Compare(k) < 0 {
			t = t[1:]
		}
		if len(t) > 0 && t[0] == k {
			both = append(both, k)
		} else {
			rest = append(rest, k)
		}
	}
	return both, rest
}

// Union gives what is in s or in t.
func Union[S ~[]K, K Key[K]](s, t S) S {
	if len(t) == 0 {
		return s
	}
	return New(slices.Concat(s, t))
}

// Has reports whether k is in s.
func Has[S ~[]K, K Key[K]](s S, k K) bool {
	_, found := slices.BinarySearchFunc(s, k, compare[K])
	return found
}

// Runs gives the set in runs of neighbours that are alike, none of them empty.
func Runs[S ~[]K, K Key[K]](s S, alike func(a, b K) bool) iter.Seq[S] {
	return func(yield func(S) bool) {
		for len(s) > 0 {
			n := 1
			for n < len(s) && alike(s[0], s[n]) {
				n++
			}
			if !yield(s[:n:n]) {
				return
			}
			s = s[n:]
		}
	}
}
