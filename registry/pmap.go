package registry

import (
	"hash/maphash"
	"iter"
	"maps"
)

// tableParts is in how many parts a pmap lies: a change copies one part of each
// map that it touches, so with a million entries some thousand of them.
const tableParts = 256

// pmap is a map of which a changed copy costs little: it lies in parts by the
// hash of the key, and copies share the parts that they do not change. What is
// published is not changed any more, so readers need no lock.
type pmap[K comparable, V any] struct {
	seed  maphash.Seed
	parts []map[K]V // nil while there is nothing
	owned []bool    // parts that no other copy has
	n     int
	room  int // of a part that is made
}

func newPmap[K comparable, V any]() *pmap[K, V] { return &pmap[K, V]{seed: maphash.MakeSeed()} }

func (m *pmap[K, V]) part(key K) int { return int(maphash.Comparable(m.seed, key) % tableParts) }

// get is the value of key, the zero value if there is none.
func (m *pmap[K, V]) get(key K) (value V) {
	if m.parts == nil {
		return value
	}
	return m.parts[m.part(key)][key]
}

func (m *pmap[K, V]) len() int { return m.n }

// all goes over the entries in no order.
func (m *pmap[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, part := range m.parts {
			for k, v := range part {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// keys goes over the keys in no order.
func (m *pmap[K, V]) keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range m.all() {
			if !yield(k) {
				return
			}
		}
	}
}

// clone is a copy that may be changed.
func (m *pmap[K, V]) clone() *pmap[K, V] {
	n := *m
	if n.parts != nil {
		n.parts = append([]map[K]V(nil), m.parts...)
		n.owned = make([]bool, tableParts)
	}
	return &n
}

// own makes the part of key one that may be changed.
func (m *pmap[K, V]) own(key K) map[K]V {
	if m.parts == nil {
		m.parts, m.owned = make([]map[K]V, tableParts), make([]bool, tableParts)
	}
	i := m.part(key)
	if !m.owned[i] {
		if m.parts[i] = maps.Clone(m.parts[i]); m.parts[i] == nil {
			m.parts[i] = make(map[K]V, m.room)
		}
		m.owned[i] = true
	}
	return m.parts[i]
}

// expect makes room for n entries in parts that are made from now on.
func (m *pmap[K, V]) expect(n int) { m.room = n / tableParts }

// set and delete change m, which nobody else has yet.
func (m *pmap[K, V]) set(key K, value V) {
	part := m.own(key)
	before := len(part)
	part[key] = value
	m.n += len(part) - before
}

func (m *pmap[K, V]) delete(key K) {
	part := m.own(key)
	before := len(part)
	delete(part, key)
	m.n += len(part) - before
}
