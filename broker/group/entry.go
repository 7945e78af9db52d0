package group

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// trust says how far memory is known to agree with the store.
type trust int8

const (
	sure   trust = iota
	unsure       // a Commit failed and nobody could look yet what came of it
	lost         // another writer has the group; it has to be read anew
)

// entry is one group in memory: the machine, its offsets, and what waits.
type entry struct {
	name string
	// writing is held (by a send) while a Write of this group is under way:
	// by the writer, or by the end of a transaction. Never taken with mu held.
	writing chan struct{}

	mu        sync.Mutex // guards what follows
	machine   membership
	version   int64 // of the group's item; 0: there is none
	offsets   map[offsetKey]offset
	txns      map[int64]map[offsetKey]offset // pending, by producer id
	queue     []*op                          // to be written, in order
	flying    bool                           // a Write is under way
	trust     trust
	attempt   *batch // the failed Write, while unsure
	calls     map[token]*call
	lastToken token
	gone      bool // no longer in the coordinator's map

	// Owned by the coordinator, guarded by its mu.
	dirty bool      // in the list of what the writer looks at
	when  time.Time // in the heap of timers
	index int       // place there, -1: none
}

// op is one change to a group's items. Ops of one group are written in order.
type op struct {
	group    *groupItem                 // new value of the group's item
	snapshot func() *groupItem          // or: gives it when the Write is made
	set      map[offsetKey]offset       // offsets to write
	del      []offsetKey                // offsets to delete
	topic    *storage.TopicID           // delete all offsets of that topic
	delete   bool                       // delete the group and all its offsets
	then     func(time.Time, wire.Code) // outcome; mu is held
}

// call is a request that waits for its answer.
type call struct {
	done    chan struct{}
	answer  any // set before done is closed
	respond func(answer any) kmsg.Response
}

func newEntry(name string, m membership) *entry {
	return &entry{
		name: name, writing: make(chan struct{}, 1), machine: m, index: -1,
		offsets: map[offsetKey]offset{}, calls: map[token]*call{},
	}
}

// newCall makes a request wait for the answer. mu is held.
func (e *entry) newCall(respond func(any) kmsg.Response) (token, *call) {
	e.lastToken++
	k := &call{done: make(chan struct{}), respond: respond}
	e.calls[e.lastToken] = k
	return e.lastToken, k
}

// resolve answers a waiting request. mu is held.
func (e *entry) resolve(to token, answer any) {
	if k := e.calls[to]; k != nil {
		delete(e.calls, to)
		k.answer = answer
		close(k.done)
	}
}

// pendingOn reports whether a transaction under way will write k. mu is held.
func (e *entry) pendingOn(k offsetKey) bool {
	for _, offsets := range e.txns {
		if _, ok := offsets[k]; ok {
			return true
		}
	}
	return false
}

// disposable reports whether nothing would be lost with the entry. mu is held.
func (e *entry) disposable() bool {
	return e.machine.idle() && e.version == 0 && len(e.offsets) == 0 && len(e.txns) == 0 &&
		len(e.queue) == 0 && !e.flying && len(e.calls) == 0 && e.trust == sure
}

// quiet reports whether nothing waits to be written. mu is held.
func (e *entry) quiet() bool { return len(e.queue) == 0 && !e.flying && e.trust == sure }

// wait is the Wait for k.
func (c *Coordinator) wait(k *call) Wait {
	return func(ctx context.Context) (kmsg.Response, error) {
		select {
		case <-k.done:
			return k.respond(k.answer), nil
		default:
		}
		select {
		case <-k.done:
			return k.respond(k.answer), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.stopped:
			return nil, ErrStopped
		}
	}
}

// ready is a Wait whose answer is there already.
func ready(r kmsg.Response) Wait {
	return func(context.Context) (kmsg.Response, error) { return r, nil }
}
