package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Limits of requests that carry a key, so that they have one effect however
// often they are sent.
const (
	// onceLifetime is how long clients may send a request again; /v1/config
	// says it. It is the example of the API description, and ten times what
	// clients try for.
	onceLifetime = 30 * time.Minute
	// onceGrace is how much longer an outcome is kept, for clocks that differ
	// and for requests that were on their way.
	onceGrace = 5 * time.Minute
	// maxOnce bounds the outcomes kept at a time, each some 400 bytes in the
	// store and 50 in memory: thirty commits a second, all the time.
	maxOnce = 1 << 16
	// maxOnceBody bounds an answer that is kept in words. Those that hold the
	// metadata of tables are kept as pointers.
	maxOnceBody = 64 << 10
	// onceSweep is how many outcomes are deleted in one write.
	onceSweep = 256
)

const oncePrefix = "iceberg/once/"

// outcome is what became of a request with a key, and how to answer it again.
type outcome struct {
	// Hash is of the request: a key is for one request only.
	Hash string `json:"hash"`
	// At is when the request was first answered, in ms since 1970.
	At     int64 `json:"at"`
	Status int   `json:"status"`
	// Kind and Message are of a refusal.
	Kind    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
	// Table is what an answer shows; Body is a small answer.
	Table *outcomeTable   `json:"table,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// outcomeTable is a table that a request has made, changed or taken away.
type outcomeTable struct {
	Ident Identifier `json:"ident"`
	UUID  uuid.UUID  `json:"uuid"`
	// Metadata is the URL of the metadata file that the request made current.
	Metadata string `json:"metadata"`
}

// receipt rides in a request's context down to the write that decides, which
// takes its outcome along: what was done and that it was done are one write.
// Used by one goroutine.
type receipt struct {
	key     string
	version int64 // of an outlived outcome under the key; 0 for none
	outcome outcome
	kept    bool // it is in the store
}

type receiptKey struct{}

func withReceipt(ctx context.Context, rc *receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, rc)
}

// pending is the receipt of a request whose outcome is still to be written; nil
// for requests without a key and callers of this process.
func pending(ctx context.Context) *receipt {
	rc, _ := ctx.Value(receiptKey{}).(*receipt)
	if rc == nil || rc.kept {
		return nil
	}
	return rc
}

func (rc *receipt) item() tables.Item {
	return tables.Item{Key: rc.key, Version: rc.version, Value: encodeJSON(rc.outcome)}
}

// noteTable says which table a request's answer shows; to be called before the
// write that decides.
func noteTable(ctx context.Context, ident Identifier, id uuid.UUID, location string) {
	if rc := pending(ctx); rc != nil {
		rc.outcome.Table = &outcomeTable{ident, id, location}
	}
}

// noteBody says what a request is answered with, if that is small.
func noteBody(ctx context.Context, v any) {
	if rc := pending(ctx); rc != nil {
		if rc.outcome.Body = encodeJSON(v); len(rc.outcome.Body) > maxOnceBody {
			rc.outcome.Body = nil
		}
	}
}

// again is the table of an outcome as it is now. Where the name has gone to
// another table, or to none, it is as the request left it.
func (c *Catalog) again(ctx context.Context, o *outcomeTable) (*Table, error) {
	now, err := c.LoadTable(ctx, o.Ident)
	if err == nil && now.Metadata.UUID == o.UUID {
		return now, nil
	}
	if err != nil && !errors.Is(err, ErrNoSuchTable) {
		return nil, err
	}
	meta, err := c.fetchMetadata(ctx, o.Metadata)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s: the request was done before, and the table was dropped since", ErrNoSuchTable, strings.Join(o.Ident, "."))
	}
	if err != nil {
		return nil, err
	}
	return c.table(o.Ident, meta, o.Metadata), nil
}

// onceStore holds the outcomes of requests with keys. Safe for concurrent use.
type onceStore struct {
	items tables.Items

	mu     sync.Mutex
	busy   map[uuid.UUID]chan struct{} // guarded by mu; closed when the request is done
	kept   []keptOnce                  // guarded by mu; oldest first
	loaded bool                        // guarded by mu; kept has what earlier processes left
}

type keptOnce struct {
	key string
	at  int64
}

func newOnceStore(items tables.Items) *onceStore {
	return &onceStore{items: items, busy: map[uuid.UUID]chan struct{}{}}
}

// enter waits until no other request with this key is under way, which a client
// sends when it has given up on the first one. leave must be called.
func (s *onceStore) enter(ctx context.Context, id uuid.UUID) (leave func(), err error) {
	for {
		s.mu.Lock()
		other := s.busy[id]
		if other == nil {
			mine := make(chan struct{})
			s.busy[id] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.busy, id)
				s.mu.Unlock()
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// find returns the outcome under a key, nil if there is none that counts, and
// the version of its item.
func (s *onceStore) find(ctx context.Context, key string) (*outcome, int64, error) {
	it, err := s.items.Get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("look for an earlier request with this key: %w", err)
	}
	if it.Version == 0 {
		return nil, 0, nil
	}
	var o outcome
	if err := json.Unmarshal(it.Value, &o); err != nil {
		return nil, 0, fmt.Errorf("outcome %s: %w: %w", key, tables.ErrBroken, err)
	}
	if outlived(o.At) {
		return nil, it.Version, nil
	}
	return &o, it.Version, nil
}

func outlived(at int64) bool { return time.Since(time.UnixMilli(at)) > onceLifetime+onceGrace }

// room reports whether another outcome can be kept. The first call reads what
// earlier processes left.
func (s *onceStore) room(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded {
		var found []keptOnce
		for it, err := range s.items.Scan(ctx, oncePrefix) {
			if err != nil {
				return false, fmt.Errorf("read outcomes of earlier requests: %w", err)
			}
			var o outcome
			_ = json.Unmarshal(it.Value, &o) // what cannot be read is as old as can be
			found = append(found, keptOnce{it.Key, o.At})
		}
		s.kept, s.loaded = append(found, s.kept...), true
		slices.SortFunc(s.kept, func(a, b keptOnce) int { return cmp.Compare(a.at, b.at) })
	}
	return len(s.kept) < maxOnce || outlived(s.kept[0].at), nil
}

// add remembers that an outcome was written, and deletes outlived ones now and
// then. Failures of that leave them for the next time.
func (s *onceStore) add(ctx context.Context, rc *receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, keptOnce{rc.key, rc.outcome.At})
	n := 0
	for n < min(len(s.kept), onceSweep) && outlived(s.kept[n].at) {
		n++
	}
	if n < onceSweep && len(s.kept) < maxOnce {
		return
	}
	ctx = context.WithoutCancel(ctx)
	var gone []tables.Item
	for _, k := range s.kept[:n] {
		it, err := s.items.Get(ctx, k.key)
		if err != nil {
			return
		}
		var o outcome
		if _ = json.Unmarshal(it.Value, &o); it.Version == 0 || !outlived(o.At) {
			continue // deleted, or in use again
		}
		gone = append(gone, tables.Item{Key: k.key, Version: it.Version, Delete: true})
	}
	if len(gone) == 0 || s.items.Put(ctx, gone...) == nil {
		s.kept = slices.Clone(s.kept[n:])
	}
}
