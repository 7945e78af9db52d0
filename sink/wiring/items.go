package wiring

import (
	"context"
	"errors"
	"iter"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/tables"
)

// Items lends the broker's storage engine to the catalog and the sink as
// the small store they declare.
type Items struct{ Engine storage.Engine }

// Get implements tables.Items.
func (e Items) Get(ctx context.Context, key string) (tables.Item, error) {
	it, err := e.Engine.Get(ctx, key)
	return tables.Item{Key: key, Value: it.Value, Version: it.Version}, err
}

// Scan implements tables.Items.
func (e Items) Scan(ctx context.Context, prefix string) iter.Seq2[tables.Item, error] {
	return func(yield func(tables.Item, error) bool) {
		for it, err := range e.Engine.Scan(ctx, prefix) {
			if !yield(tables.Item{Key: it.Key, Value: it.Value, Version: it.Version}, err) || err != nil {
				return
			}
		}
	}
}

// Put implements tables.Items.
func (e Items) Put(ctx context.Context, items ...tables.Item) error {
	w := storage.Write{Set: make([]storage.Item, len(items))}
	for i, it := range items {
		w.Set[i] = storage.Item{Key: it.Key, Value: it.Value, Version: it.Version, Delete: it.Delete}
	}
	err := e.Engine.Commit(ctx, w)
	var conflict *storage.Conflict
	if errors.As(err, &conflict) {
		return errors.Join(tables.ErrItemConflict, err)
	}
	return err
}
