package blobtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tarn-io/tarn/tables/blob"
)

// ErrFault is what a Faulty store returns unless the rule says otherwise.
var ErrFault = errors.New("injected fault")

// Op names a method of a store.
type Op string

// The methods of a store. Put, PutIfAbsent, Copy and Delete are its writes.
const (
	Put         Op = "put"
	PutIfAbsent Op = "put_if_absent"
	Copy        Op = "copy"
	Delete      Op = "delete"
	Get         Op = "get"
	Open        Op = "open"
	List        Op = "list"
)

func (o Op) isWrite() bool { return o == Put || o == PutIfAbsent || o == Copy || o == Delete }

// When is where in an operation a fault strikes. The two come in pairs: a
// caller cannot tell them apart and must be right with both.
type When int

// The moments of a fault.
const (
	// Before means failed and not persisted.
	Before When = iota
	// After means failed but persisted.
	After
)

// Call is one call that reached the store.
type Call struct {
	Op  Op
	Key string // of Copy, where to
}

// Rule says which calls fail.
type Rule struct {
	// Match picks calls. It must not call the store.
	Match func(op Op, key string) bool
	When  When
	// Err is what the caller gets, ErrFault if nil.
	Err error
	// Times is how often the rule strikes; 0 is once, below 0 always.
	Times int
}

// Faulty is a store that fails as told and otherwise is the store it wraps.
type Faulty struct {
	store blob.Store

	mu      sync.Mutex
	rules   []Rule // guarded by mu
	calls   []Call // guarded by mu
	crashIn int    // guarded by mu: writes until the crash, below 0 none
	crashAt When   // guarded by mu
	dead    bool   // guarded by mu
}

// NewFaulty wraps s. It fails nothing until told.
func NewFaulty(s blob.Store) *Faulty { return &Faulty{store: s, crashIn: -1} }

// Fail adds a rule. The first rule that matches a call strikes.
func (f *Faulty) Fail(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Times == 0 {
		r.Times = 1
	}
	if r.Err == nil {
		r.Err = ErrFault
	}
	f.rules = append(f.rules, r)
}

// CrashAt makes the write after n more writes fail, and every later call, as if
// the process had died in it. Heal ends that.
func (f *Faulty) CrashAt(n int, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashIn, f.crashAt = n, when
}

// Heal drops all rules and the crash, and reports whether the crash came.
func (f *Faulty) Heal() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	crashed := f.dead
	f.rules, f.dead, f.crashIn = nil, false, -1
	return crashed
}

// Calls returns the calls since the last Calls, in the order they came.
func (f *Faulty) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// strike decides what happens to a call: when a fault comes, and which.
func (f *Faulty) strike(op Op, key string) (When, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{op, key})
	if f.dead {
		return Before, fmt.Errorf("%s %s: %w", op, key, ErrFault)
	}
	if op.isWrite() && f.crashIn >= 0 {
		f.crashIn--
		if f.crashIn < 0 {
			f.dead = true
			return f.crashAt, fmt.Errorf("%s %s: %w", op, key, ErrFault)
		}
	}
	for i := range f.rules {
		r := &f.rules[i]
		if r.Times == 0 || !r.Match(op, key) {
			continue
		}
		if r.Times > 0 {
			r.Times--
		}
		return r.When, fmt.Errorf("%s %s: %w", op, key, r.Err)
	}
	return Before, nil
}

func (f *Faulty) write(op Op, key string, do func() error) error {
	when, fault := f.strike(op, key)
	if fault != nil && when == Before {
		return fault
	}
	if err := do(); err != nil {
		return err
	}
	return fault
}

// Put implements blob.Store.
func (f *Faulty) Put(ctx context.Context, key string, data []byte) error {
	return f.write(Put, key, func() error { return f.store.Put(ctx, key, data) })
}

// PutIfAbsent implements blob.Store.
func (f *Faulty) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	return f.write(PutIfAbsent, key, func() error { return f.store.PutIfAbsent(ctx, key, data) })
}

// Copy implements blob.Store.
func (f *Faulty) Copy(ctx context.Context, from, to string) error {
	return f.write(Copy, to, func() error { return f.store.Copy(ctx, from, to) })
}

// Delete implements blob.Store. A rule that matches one key fails the call.
func (f *Faulty) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := f.write(Delete, key, func() error { return f.store.Delete(ctx, key) }); err != nil {
			return err
		}
	}
	return nil
}

// Get implements blob.Store.
func (f *Faulty) Get(ctx context.Context, key string) ([]byte, error) {
	if _, fault := f.strike(Get, key); fault != nil {
		return nil, fault
	}
	return f.store.Get(ctx, key)
}

// Open implements blob.Store.
func (f *Faulty) Open(ctx context.Context, key string) (blob.File, error) {
	if _, fault := f.strike(Open, key); fault != nil {
		return nil, fault
	}
	return f.store.Open(ctx, key)
}

// List implements blob.Store.
func (f *Faulty) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	if _, fault := f.strike(List, prefix); fault != nil {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, fault) }
	}
	return f.store.List(ctx, prefix)
}

// URL implements blob.Store.
func (f *Faulty) URL(key string) string { return f.store.URL(key) }

// Key implements blob.Store.
func (f *Faulty) Key(url string) (string, bool) { return f.store.Key(url) }
