// Package faulty wraps a storage engine and lets a test script what goes wrong:
// a commit that is refused, one that fails although it was persisted, one that
// waits, one in which the process seems to die; reads and gets that fail.
//
// Faults come in pairs, for that is where bugs lie: Refuse leaves nothing
// behind and Persist everything, and the caller sees the same error.
package faulty

import (
	"context"
	"sync"

	"github.com/tarn-io/tarn/broker/storage"
)

// heldBuffer bounds the notices of Held that nobody takes; later ones are
// dropped. No test holds that many commits.
const heldBuffer = 1024

// Fault is what happens to a Commit.
type Fault struct {
	persist bool            // the inner engine applies the Write
	err     error           // what the caller gets; nil: what the inner engine says
	wait    <-chan struct{} // closed before anything happens; nil: at once
	tear    bool            // the engine is closed afterwards
}

// Refuse persists nothing and returns err: a sentinel of package storage, or
// any error for a Commit that failed and left nothing behind.
func Refuse(err error) Fault { return Fault{err: err} }

// Persist applies the Write and returns err all the same, unless the engine
// itself refuses it. err should be no sentinel: the outcome is unknown to the
// caller.
func Persist(err error) Fault { return Fault{persist: true, err: err} }

// Delay waits until ch is closed and then commits. A context that ends before
// refuses the Write with its error.
func Delay(ch <-chan struct{}) Fault { return Fault{persist: true, wait: ch} }

// Tear is the death of the process in the middle of a Commit: the Write is
// persisted or not, the caller gets err, and every Commit, Read and Get after it
// gets ErrClosed. The inner engine stays open for the test to look at.
func Tear(persisted bool, err error) Fault { return Fault{persist: persisted, err: err, tear: true} }

// Engine is a storage.Engine with scripted faults. Index, Bounds and Scan go
// straight to the engine within. All methods may be called concurrently.
type Engine struct {
	storage.Engine // the engine within

	held chan struct{}

	mu      sync.Mutex
	commits int
	rules   []rule
	reads   []failure[storage.TP]
	gets    []failure[string]
	gate    <-chan struct{} // set while Hold is in force
	torn    bool
}

// rule is a fault and the Writes that it befalls.
type rule struct {
	match func(storage.Write) bool
	fault Fault
	once  bool
}

// failure is an error and the reads that it befalls, once.
type failure[T any] struct {
	match func(T) bool
	err   error
}

// New wraps inner. Without a script it behaves as inner does.
func New(inner storage.Engine) *Engine {
	return &Engine{Engine: inner, held: make(chan struct{}, heldBuffer)}
}

// Next lets the next Commit that no earlier rule took meet f.
func (e *Engine) Next(f Fault) { e.NextMatching(nil, f) }

// NextMatching lets the next Commit for which match is true meet f, once. Rules
// are tried in the order they were given; a nil match is always true.
func (e *Engine) NextMatching(match func(storage.Write) bool, f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = append(e.rules, rule{match: match, fault: f, once: true})
}

// Always lets every Commit for which match is true meet f until Reset.
func (e *Engine) Always(match func(storage.Write) bool, f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = append(e.rules, rule{match: match, fault: f})
}

// NextRead lets the next Read of a log for which match is true return err.
func (e *Engine) NextRead(match func(storage.TP) bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reads = append(e.reads, failure[storage.TP]{match, err})
}

// NextGet lets the next Get of a key for which match is true return err.
func (e *Engine) NextGet(match func(string) bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gets = append(e.gets, failure[string]{match, err})
}

// Reset drops all rules. It does not end a Hold and revives nothing torn.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules, e.reads, e.gets = nil, nil, nil
}

// Hold lets every Commit from now on wait until release is called. A second
// Hold replaces the first for the Commits that come after it. release may be
// called more than once.
func (e *Engine) Hold() (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gate := make(chan struct{})
	e.gate = gate
	return sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.gate == gate {
			e.gate = nil
		}
		close(gate)
	})
}

// Held receives a value each time a Commit begins to wait, by Hold or Delay.
func (e *Engine) Held() <-chan struct{} { return e.held }

// Commits is how many Commits were called, faults included.
func (e *Engine) Commits() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.commits
}

// Commit implements storage.Engine.
func (e *Engine) Commit(ctx context.Context, w storage.Write) error {
	f, gate, err := e.take(w)
	if err != nil {
		return err
	}
	for _, ch := range []<-chan struct{}{gate, f.wait} {
		if err := e.wait(ctx, ch); err != nil {
			return err
		}
	}
	if f.tear {
		defer e.close()
	}
	if !f.persist {
		return f.err
	}
	if err := e.Engine.Commit(ctx, w); err != nil {
		return err
	}
	return f.err
}

// take counts a Commit and finds the fault it meets.
func (e *Engine) take(w storage.Write) (Fault, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commits++
	if e.torn {
		return Fault{}, nil, storage.ErrClosed
	}
	for i, r := range e.rules {
		if r.match != nil && !r.match(w) {
			continue
		}
		if r.once {
			e.rules = append(e.rules[:i:i], e.rules[i+1:]...)
		}
		return r.fault, e.gate, nil
	}
	return Fault{persist: true}, e.gate, nil
}

func (e *Engine) wait(ctx context.Context, ch <-chan struct{}) error {
	if ch == nil {
		return nil
	}
	select {
	case e.held <- struct{}{}:
	default:
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.torn = true
}

// Read implements storage.Engine.
func (e *Engine) Read(ctx context.Context, tp storage.TP, offset int64, maxBytes int) ([]byte, error) {
	if err := fail(e, &e.reads, tp); err != nil {
		return nil, err
	}
	return e.Engine.Read(ctx, tp, offset, maxBytes)
}

// Get implements storage.Engine.
func (e *Engine) Get(ctx context.Context, key string) (storage.Item, error) {
	if err := fail(e, &e.gets, key); err != nil {
		return storage.Item{}, err
	}
	return e.Engine.Get(ctx, key)
}

// fail finds the error that a read of what meets, and uses it up.
func fail[T any](e *Engine, list *[]failure[T], what T) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.torn {
		return storage.ErrClosed
	}
	for i, f := range *list {
		if f.match == nil || f.match(what) {
			*list = append((*list)[:i:i], (*list)[i+1:]...)
			return f.err
		}
	}
	return nil
}
