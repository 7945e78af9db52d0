package query_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/tables"
)

// items is a tables.Items in memory.
type items struct {
	mu   sync.Mutex
	all  map[string]tables.Item
	last int64
}

func newItems() *items { return &items{all: map[string]tables.Item{}} }

func (s *items) Get(_ context.Context, key string) (tables.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[key], nil
}

func (s *items) Scan(_ context.Context, prefix string) iter.Seq2[tables.Item, error] {
	s.mu.Lock()
	all := maps.Clone(s.all)
	s.mu.Unlock()
	return func(yield func(tables.Item, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(key, prefix) && !yield(all[key], nil) {
				return
			}
		}
	}
}

func (s *items) Put(_ context.Context, puts ...tables.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range puts {
		if s.all[it.Key].Version != it.Version {
			return tables.ErrItemConflict
		}
	}
	s.last++
	for _, it := range puts {
		if it.Delete {
			delete(s.all, it.Key)
			continue
		}
		it.Version = s.last
		s.all[it.Key] = it
	}
	return nil
}
