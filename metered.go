package main

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/meter"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// metered is an engine whose commits are timed and whose failures are counted. What
// an engine can do beside the contract is asked of the one inside.
type metered struct {
	storage.Engine
	name string
	took *meter.Histogram // of commits, seconds
	size *meter.Histogram // records of commits that append any
	// failed are calls that went wrong, by operation.
	failed [len(engineOps)]atomic.Int64
}

// Operations of an engine, as metrics name them.
const (
	opCommit = iota
	opRead
	opIndex
	opGet
	opScan
)

var engineOps = [...]string{opCommit: "commit", opRead: "read", opIndex: "index", opGet: "get", opScan: "scan"}

func newMetered(name string, e storage.Engine) *metered {
	return &metered{Engine: e, name: name, took: meter.Durations(), size: meter.Sizes()}
}

// note counts an error that says the store is not well; a conflict, a log that is not
// there and a caller that has gone say nothing about it.
func (m *metered) note(op int, err error) {
	var conflict *storage.Conflict
	if err == nil || errors.As(err, &conflict) || errors.Is(err, storage.ErrNoLog) || errors.Is(err, storage.ErrInvalid) ||
		errors.Is(err, storage.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	m.failed[op].Add(1)
}

// Commit implements storage.Engine.
func (m *metered) Commit(ctx context.Context, w storage.Write) error {
	records := int64(0)
	for i := range w.Append {
		records += w.Append[i].End - w.Append[i].Expect
	}
	begun := time.Now()
	err := m.Engine.Commit(ctx, w)
	m.took.Since(begun)
	if err == nil && records > 0 {
		m.size.Observe(float64(records))
	}
	m.note(opCommit, err)
	return err
}

// Read implements storage.Engine.
func (m *metered) Read(ctx context.Context, tp storage.TP, offset int64, maxBytes int) ([]byte, error) {
	b, err := m.Engine.Read(ctx, tp, offset, maxBytes)
	m.note(opRead, err)
	return b, err
}

// Index implements storage.Engine.
func (m *metered) Index(ctx context.Context, tp storage.TP, from int64) iter.Seq2[record.Header, error] {
	return notingErrors(m, opIndex, m.Engine.Index(ctx, tp, from))
}

// Get implements storage.Engine.
func (m *metered) Get(ctx context.Context, key string) (storage.Item, error) {
	it, err := m.Engine.Get(ctx, key)
	m.note(opGet, err)
	return it, err
}

// Scan implements storage.Engine.
func (m *metered) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	return notingErrors(m, opScan, m.Engine.Scan(ctx, prefix))
}

func notingErrors[T any](m *metered, op int, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range all {
			m.note(op, err)
			if !yield(v, err) {
				return
			}
		}
	}
}
