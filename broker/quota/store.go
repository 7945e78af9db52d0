package quota

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Store is where quotas are kept; a storage.Engine is one.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Get(ctx context.Context, key string) (storage.Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Quotas are all quotas of a broker and what is used of them. Safe for
// concurrent use.
type Quotas struct {
	store Store
	now   func() time.Time
	table atomic.Pointer[table] // swapped with writing held

	writing sync.Mutex // held over a change, with its Commit

	mu      sync.Mutex
	buckets map[bucketKey]*bucket // guarded by mu
	sweptMs int64                 // guarded by mu
}

// table is all quotas at one moment. It is never written to.
type table struct {
	entities map[Entity]stored
	keys     map[Key]int // how many entities have a quota of it
}

// stored is one entity's item.
type stored struct {
	version int64
	values  map[Key]float64
}

// Open reads all quotas. now may be nil: time.Now.
func Open(ctx context.Context, store Store, now func() time.Time) (*Quotas, error) {
	if now == nil {
		now = time.Now
	}
	q := &Quotas{store: store, now: now, buckets: map[bucketKey]*bucket{}}
	entities := map[Entity]stored{}
	for it, err := range store.Scan(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("read quotas: %w", err)
		}
		e, err := parseEntity(strings.TrimPrefix(it.Key, prefix))
		if err != nil {
			return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		if entities[e], err = decode(it); err != nil {
			return nil, err
		}
	}
	q.table.Store(newTable(entities))
	return q, nil
}

func newTable(entities map[Entity]stored) *table {
	t := &table{entities: entities, keys: map[Key]int{}}
	for _, s := range entities {
		for key := range s.values {
			t.keys[key]++
		}
	}
	return t
}

func decode(it storage.Item) (stored, error) {
	s := stored{version: it.Version}
	if it.Version == 0 {
		return s, nil
	}
	if err := json.Unmarshal(it.Value, &s.values); err != nil {
		return s, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	return s, nil
}

// Change sets a quota or takes it away.
type Change struct {
	Key    Key
	Value  float64
	Remove bool
}

// Alter changes the quotas of one entity, all or none, and returns when that is
// durable; with validateOnly it only looks. Errors: *Refusal, or the store's.
func (q *Quotas) Alter(ctx context.Context, e Entity, changes []Change, validateOnly bool) error {
	if err := e.check(); err != nil {
		return err
	}
	q.writing.Lock()
	defer q.writing.Unlock()
	t := q.table.Load()
	was := t.entities[e]
	values := maps.Clone(was.values)
	if values == nil {
		values = map[Key]float64{}
	}
	for _, c := range changes {
		value := c.Value
		if c.Remove {
			value = 1 // only the key counts
		}
		if err := e.checkValue(c.Key, value); err != nil {
			return err
		}
		if values[c.Key] = value; c.Remove {
			delete(values, c.Key)
		}
	}
	switch {
	case validateOnly || maps.Equal(values, was.values):
		return nil
	case was.version == 0 && len(t.entities) >= maxEntities:
		return refuse("%d users, client ids and addresses have quotas, there may be no more", maxEntities)
	}
	it := storage.Item{Key: prefix + e.String(), Version: was.version, Delete: len(values) == 0}
	var err error
	if it.Value, err = json.Marshal(values); err != nil {
		return fmt.Errorf("encode quota: %w", err)
	}
	w := storage.Write{Set: []storage.Item{it}}
	if err := q.store.Commit(ctx, w); err != nil {
		return errors.Join(fmt.Errorf("store quota: %w", err), q.reload(context.WithoutCancel(ctx), e))
	}
	q.put(e, stored{w.Set[0].Version, values})
	return nil
}

// reload reads an entity's quotas after a Commit whose outcome may be either.
// writing is held.
func (q *Quotas) reload(ctx context.Context, e Entity) error {
	it, err := q.store.Get(ctx, prefix+e.String())
	if err != nil {
		return fmt.Errorf("read quota: %w", err)
	}
	s, err := decode(it)
	if err == nil {
		q.put(e, s)
	}
	return err
}

// put swaps the table. writing is held.
func (q *Quotas) put(e Entity, s stored) {
	entities := maps.Clone(q.table.Load().entities)
	if entities[e] = s; s.version == 0 || len(s.values) == 0 {
		delete(entities, e)
	}
	q.table.Store(newTable(entities))
}

// Entry is an entity with its quotas.
type Entry struct {
	Entity
	Values map[Key]float64 // never written to
}

// List lists all quotas in a fixed order.
func (q *Quotas) List() []Entry {
	t := q.table.Load()
	out := make([]Entry, 0, len(t.entities))
	for e, s := range t.entities {
		out = append(out, Entry{e, s.values})
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.String(), b.String()) })
	return out
}
