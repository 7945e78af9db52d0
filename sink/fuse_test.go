package sink_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

var errFault = errors.New("injected fault")

// fuse makes one write of all that go through it fail, of whatever store: the
// one after left others. Faults come in pairs: before means failed and not
// persisted, else failed but persisted.
type fuse struct {
	mu     sync.Mutex
	left   int  // guarded by mu: writes until the fault, below 0 none
	before bool // guarded by mu
	crash  bool // guarded by mu: everything after the fault fails too
	panics bool // guarded by mu: the fault is a panic
	dead   bool // guarded by mu
	blown  string
	match  string                               // guarded by mu: only writes whose name holds it count
	chance func(op string) (fault, before bool) // guarded by mu: nil: none
}

// arm sets the fuse to blow at the write after n others.
func (f *fuse) arm(n int, before, crash bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.before, f.crash, f.blown, f.match = n, before, crash, "", ""
}

// armAt is arm for the next write whose name holds word.
func (f *fuse) armAt(word string, before, crash bool) { f.armNth(word, 0, before, crash) }

// armNth is arm for writes whose names hold word.
func (f *fuse) armNth(word string, n int, before, crash bool) {
	f.arm(n, before, crash)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.match = word
}

// heal ends all faults, and returns the write that failed, if one did.
func (f *fuse) heal() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.dead, f.chance, f.panics = -1, false, nil, false
	return f.blown
}

// gamble has each write fail by chance.
func (f *fuse) gamble(chance func(op string) (fault, before bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chance = chance
}

func (f *fuse) write(op string, do func() error) error {
	f.mu.Lock()
	fault, before := f.dead, true
	if !f.dead && f.left >= 0 && strings.Contains(op, f.match) {
		if f.left--; f.left < 0 {
			fault, before, f.dead, f.blown = true, f.before, f.crash, op
		}
	}
	if !fault && f.chance != nil {
		fault, before = f.chance(op)
	}
	panics := fault && f.panics
	f.mu.Unlock()
	if panics && before {
		panic(op)
	}
	if fault && before {
		return fmt.Errorf("%s: %w", op, errFault)
	}
	if err := do(); err != nil {
		return err
	}
	if panics {
		panic(op)
	}
	if fault {
		return fmt.Errorf("%s, done: %w", op, errFault)
	}
	return nil
}

func (f *fuse) read(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return fmt.Errorf("%s: %w", op, errFault)
	}
	return nil
}

// fusedStore is a blob.Store behind a fuse.
type fusedStore struct {
	blob.Store
	fuse *fuse
}

func (s fusedStore) Put(ctx context.Context, key string, data []byte) error {
	return s.fuse.write("put "+key, func() error { return s.Store.Put(ctx, key, data) })
}

func (s fusedStore) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	return s.fuse.write("put-if-absent "+key, func() error { return s.Store.PutIfAbsent(ctx, key, data) })
}

func (s fusedStore) Copy(ctx context.Context, from, to string) error {
	return s.fuse.write("copy "+to, func() error { return s.Store.Copy(ctx, from, to) })
}

func (s fusedStore) Delete(ctx context.Context, keys ...string) error {
	return s.fuse.write(fmt.Sprint("delete ", keys), func() error { return s.Store.Delete(ctx, keys...) })
}

func (s fusedStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.fuse.read("get " + key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s fusedStore) Open(ctx context.Context, key string) (blob.File, error) {
	if err := s.fuse.read("open " + key); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, key)
}

func (s fusedStore) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	if err := s.fuse.read("list " + prefix); err != nil {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, err) }
	}
	return s.Store.List(ctx, prefix)
}

// fusedItems is a tables.Items behind a fuse.
type fusedItems struct {
	tables.Items
	fuse *fuse
}

func (s fusedItems) Get(ctx context.Context, key string) (tables.Item, error) {
	if err := s.fuse.read("get " + key); err != nil {
		return tables.Item{}, err
	}
	return s.Items.Get(ctx, key)
}

func (s fusedItems) Scan(ctx context.Context, prefix string) iter.Seq2[tables.Item, error] {
	if err := s.fuse.read("scan " + prefix); err != nil {
		return func(yield func(tables.Item, error) bool) { yield(tables.Item{}, err) }
	}
	return s.Items.Scan(ctx, prefix)
}

func (s fusedItems) Put(ctx context.Context, items ...tables.Item) error {
	op := "items"
	for _, it := range items {
		op += " " + it.Key
	}
	return s.fuse.write(op, func() error { return s.Items.Put(ctx, items...) })
}
