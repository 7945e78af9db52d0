package txn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// step is one event at the state machine; fresh is a new producer id, or none.
type step func(t *txn, nowMs, fresh int64) plan

// change takes e's turn, lets the machine decide and makes its plan durable.
// What it answers holds then. An error means that the outcome could not be
// made sure of, or that there is none; clients try again.
func (c *Coordinator) change(ctx context.Context, e *entry, s step) (plan, error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return plan{}, ctx.Err()
	}
	defer func() { <-e.turn }()
	// Once begun, a change is carried through: a client that goes away is no
	// reason to leave an outcome unknown.
	ctx = context.WithoutCancel(ctx)
	for attempt := 1; ; attempt++ {
		p, t, version, err := c.decide(ctx, e, s)
		if err != nil || p.next == nil {
			return p, err
		}
		err = c.write(ctx, e, p, t, version)
		if err == nil || attempt == maxAttempts || !errors.Is(err, errAgain) {
			return p, err
		}
	}
}

// errAgain says that the same change may succeed at once: what stood in its way
// is known now.
var errAgain = errors.New("changed meanwhile")

// decide runs the machine on what e is now.
func (c *Coordinator) decide(ctx context.Context, e *entry, s step) (plan, *txn, int64, error) {
	e.mu.Lock()
	t, version, doubt, gone := e.txn, e.version, e.doubt, e.gone
	e.mu.Unlock()
	if gone {
		return refuse(wire.CoordinatorNotAvailable), t, version, nil
	}
	if doubt {
		if err := c.reload(ctx, e); err != nil {
			return plan{}, nil, 0, err
		}
		e.mu.Lock()
		t, version = e.txn, e.version
		e.mu.Unlock()
	}
	nowMs := c.cfg.Now().UnixMilli()
	p := s(t, nowMs, none)
	if p.needID {
		fresh, err := c.cfg.NextID(ctx)
		if err != nil {
			return plan{}, nil, 0, fmt.Errorf("new producer id: %w", err)
		}
		p = s(t, nowMs, fresh)
	}
	return p, t, version, nil
}

// write makes p durable. On failure e is what it was, or what the store says.
func (c *Coordinator) write(ctx context.Context, e *entry, p plan, before *txn, version int64) error {
	it, err := p.next.encode(e.id, version)
	if err != nil {
		return fmt.Errorf("encode transactional id %q: %w", e.id, err)
	}
	if len(it.Value) > maxItemBytes {
		return &wire.Error{Code: wire.InvalidRequest, Message: "the transaction holds too many partitions and offsets"}
	}
	entry := commitlog.Entry{Items: []storage.Item{it}}
	var ends *group.TxnEnd
	if p.ending != nil {
		// From here on no batch begins a transaction in a partition: one that
		// is let in goes before the marker.
		e.set(p.ending)
		if ends, err = c.prepare(ctx, p.ending, &entry); err != nil {
			e.set(before)
			return err
		}
	}
	wait, err := c.cfg.Append(ctx, entry)
	if err == nil {
		_, err = wait(ctx)
	}
	if ends != nil {
		ends.Done(ctx, entry.Items[1:], err)
	}
	if err != nil {
		return c.settle(ctx, e, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c.adopt(e, p.next, entry.Items[0].Version)
	if p.pending != "" {
		// While the turn is held: the transaction cannot end before.
		c.cfg.Groups.AddPending(p.pending, p.next.producerID, list(p.next.groups[p.pending]))
	}
	return nil
}

// prepare puts what ends t into an entry: markers and the groups' offsets. The
// caller tells the groups the outcome.
func (c *Coordinator) prepare(ctx context.Context, t *txn, entry *commitlog.Entry) (*group.TxnEnd, error) {
	// The item is what counts; a group may not have been told of all of it.
	if code := c.noteOffsets(t); code != wire.None {
		return nil, &wire.Error{Code: code, Message: "a group of the transaction"}
	}
	var err error
	if entry.Batches, err = c.markers(t); err != nil {
		return nil, err
	}
	ends, err := c.cfg.Groups.EndTxn(ctx, t.producerID, slices.Collect(maps.Keys(t.groups)), t.state == prepareCommit)
	if err != nil {
		return nil, err
	}
	entry.Items = append(entry.Items, ends.Set...)
	entry.Checks = ends.Check
	return ends, nil
}

// set makes t what holds for now; the item is still the same.
func (e *entry) set(t *txn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.txn = t
}

// settle finds out what e is after a write that did not go through.
func (c *Coordinator) settle(ctx context.Context, e *entry, cause error) error {
	e.mu.Lock()
	e.doubt = true
	e.mu.Unlock()
	if err := c.reload(ctx, e); err != nil {
		c.lg.Error("outcome of a transaction's change is unknown", "transactional_id", e.id, "error", cause, "look", err)
		return cause
	}
	if errors.Is(cause, commitlog.ErrGone) || errors.Is(cause, commitlog.ErrConflict) {
		return fmt.Errorf("%w: %w", errAgain, cause)
	}
	return cause
}

// markers builds the control batches that end t, for the partitions that still
// exist, in their order.
func (c *Coordinator) markers(t *txn) ([]commitlog.Batch, error) {
	var out []commitlog.Batch
	m := record.Marker{
		ProducerID: t.producerID, ProducerEpoch: t.epoch, Commit: t.state == prepareCommit,
		Timestamp: t.updatedMs,
	}
	for tp := range t.partitions {
		if _, n, ok := c.cfg.Topics.ByID(tp.Topic); !ok || tp.Partition >= n {
			continue // deleted meanwhile: nothing is left to end there
		}
		b, err := m.Batch()
		if err != nil {
			return nil, fmt.Errorf("build marker: %w", err)
		}
		h, err := record.ParseHeader(b)
		if err != nil {
			return nil, fmt.Errorf("build marker: %w", err)
		}
		out = append(out, commitlog.Batch{TP: tp, Bytes: b, Header: h})
	}
	return out, nil
}

func list(offsets map[offsetKey]group.TxnOffset) []group.TxnOffset {
	return slices.Collect(maps.Values(offsets))
}
