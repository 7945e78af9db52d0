package registry

import (
	"context"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-io/tarn/broker/storage"
)

// chunkItems is how many schemas are read together: enough that handing them
// over costs nothing, and few enough that all processors have some.
const chunkItems = 512

// chunk is some schemas of one context.
type chunk struct {
	keys    keys
	context string
	items   []storage.Item // nil once they are read
	entries []entry
}

// loaded is what the store has of one context.
type loaded struct {
	keys    keys
	context string
	schemas []*chunk
	n       int            // schemas
	others  []storage.Item // whatever is no schema
	bound   []storage.Item // associations, in the default context
}

// load is the state that a store has, and fills in the items whose keys are in
// wanted. Schemas, most of what there is, are read by all processors while the
// scan goes on; of their items nothing is kept.
func load(ctx context.Context, engine storage.Engine, wanted map[string]storage.Item) (*world, error) {
	work := make(chan *chunk)
	g, gctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() (err error) {
			for c := range work {
				if err == nil { // after an error the rest is only taken
					c.entries, err = readSchemas(c.keys, c.context, c.items)
				}
				c.items = nil
			}
			return err
		})
	}
	list, err := scan(gctx, engine, wanted, work)
	close(work)
	if broken := g.Wait(); broken != nil {
		return nil, broken
	}
	if err != nil {
		return nil, err
	}
	w := newWorld()
	for _, l := range list {
		v := newView(w, l.context)
		if err := v.fill(l); err != nil {
			return nil, err
		}
		w.views[l.context] = v
		if len(l.bound) > 0 {
			if w.bindings, err = w.bindings.with(l.bound, string(l.keys)+prefixAssociation); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// scan goes over the store and sends chunks of schemas to work as they are full.
func scan(ctx context.Context, engine storage.Engine, wanted map[string]storage.Item, work chan<- *chunk) ([]*loaded, error) {
	var list []*loaded
	var now *loaded
	full := func() {
		if n := len(now.schemas); n > 0 && now.schemas[n-1].items != nil {
			work <- now.schemas[n-1]
		}
	}
	for it, err := range engine.Scan(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if _, ok := wanted[it.Key]; ok {
			wanted[it.Key] = it
		}
		if now == nil || !strings.HasPrefix(it.Key, string(now.keys)) {
			context, _, err := splitKey(it.Key)
			if err != nil {
				return nil, err
			}
			if now != nil {
				full()
			}
			now = &loaded{keys: keysOf(context), context: context}
			list = append(list, now)
		}
		now.take(it, work)
	}
	if now != nil {
		full()
	}
	return list, nil
}

// take puts an item where it belongs.
func (l *loaded) take(it storage.Item, work chan<- *chunk) {
	rest := it.Key[len(l.keys):]
	switch {
	case l.context == DefaultContext && strings.HasPrefix(rest, prefixAssociation):
		l.bound = append(l.bound, it)
		return
	case !strings.HasPrefix(rest, prefixSchema):
		l.others = append(l.others, it)
		return
	}
	l.n++
	last := len(l.schemas) - 1
	if l.n%chunkItems == 1 {
		if last >= 0 {
			work <- l.schemas[last]
		}
		l.schemas = append(l.schemas, &chunk{keys: l.keys, context: l.context, items: make([]storage.Item, 0, chunkItems)})
		last++
	}
	l.schemas[last].items = append(l.schemas[last].items, it)
}

// fill makes a view, new until now, of what was loaded.
func (v *view) fill(l *loaded) error {
	v.ids.expect(l.n)
	v.same.expect(l.n)
	var indexes sync.WaitGroup
	indexes.Go(func() {
		for _, c := range l.schemas {
			for i := range c.entries {
				v.ids.set(c.entries[i].id, &c.entries[i])
			}
		}
	})
	for _, c := range l.schemas {
		for i := range c.entries {
			v.remember(&c.entries[i])
		}
	}
	indexes.Wait()
	n, err := v.apply(l.others)
	if err != nil {
		return err
	}
	*v = *n
	return nil
}
