package tabletest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/tables"
)

// Items is a tables.Items in memory. Safe for concurrent use.
type Items struct {
	// Fail, if set, is asked at each Put: with before, nothing is written; with after,
	// all is written, and the caller is told otherwise. It is set between calls, and
	// may use the store itself.
	Fail func(put []tables.Item) (before, after error)

	mu      sync.Mutex
	all     map[string]tables.Item // guarded by mu
	version int64                  // guarded by mu
}

// NewItems returns a store that holds nothing.
func NewItems() *Items { return &Items{all: map[string]tables.Item{}} }

// Writes is how many items were written or deleted so far.
func (s *Items) Writes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Get implements tables.Items.
func (s *Items) Get(ctx context.Context, key string) (tables.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[key], ctx.Err()
}

// Scan implements tables.Items, over a copy.
func (s *Items) Scan(_ context.Context, prefix string) iter.Seq2[tables.Item, error] {
	return func(yield func(tables.Item, error) bool) {
		s.mu.Lock()
		all := maps.Clone(s.all)
		s.mu.Unlock()
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(k, prefix) && !yield(all[k], nil) {
				return
			}
		}
	}
}

// Put implements tables.Items.
func (s *Items) Put(_ context.Context, put ...tables.Item) error {
	var before, after error
	if s.Fail != nil {
		before, after = s.Fail(put)
	}
	if before != nil {
		return before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range put {
		if s.all[it.Key].Version != it.Version {
			return fmt.Errorf("%s: %w", it.Key, tables.ErrItemConflict)
		}
	}
	for _, it := range put {
		s.version++
		it.Version = s.version
		if s.all[it.Key] = it; it.Delete {
			delete(s.all, it.Key)
		}
	}
	return after
}
