package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// InitProducerId (key 22), versions 0–5. Without a transactional id a producer
// always gets a new id at epoch 0 (KIP-98); with one, broker/txn answers.

// producerIDBlock is how many ids are taken from the store at a time: one
// durable write serves that many producers, and a restart skips the rest.
const producerIDBlock = 1000

// maxSkipped bounds the blocks that a restored store leaves out: two restores of one
// backup hardly ever meet, and ids stay below 2^53, which numbers of JSON hold, for
// a hundred of them.
const maxSkipped = 1 << 36

const producerIDKey = "producer-ids"

// Producers hands out producer ids that are never used twice. Safe for
// concurrent use.
type Producers struct {
	engine storage.Engine

	mu        sync.Mutex
	next, end int64 // guarded by mu
}

// NewProducers returns Producers on a store; it reads nothing yet.
func NewProducers(e storage.Engine) *Producers { return &Producers{engine: e} }

// Next returns a new producer id, durable before it is returned.
func (p *Producers) Next(ctx context.Context) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.next == p.end {
		it, err := p.engine.Get(ctx, producerIDKey)
		if err != nil {
			return 0, fmt.Errorf("read the next producer id: %w", err)
		}
		first := int64(0)
		if it.Version > 0 {
			if first, err = strconv.ParseInt(string(it.Value), 10, 64); err != nil {
				return 0, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, producerIDKey, err)
			}
		}
		end := first + producerIDBlock
		err = p.engine.Commit(ctx, storage.Write{Set: []storage.Item{{
			Key: producerIDKey, Value: strconv.AppendInt(nil, end, 10), Version: it.Version,
		}}})
		var conflict *storage.Conflict
		if errors.As(err, &conflict) {
			continue // another broker took that block
		}
		if err != nil {
			return 0, fmt.Errorf("reserve producer ids: %w", err)
		}
		p.next, p.end = first, end
	}
	p.next++
	return p.next - 1, nil
}

// Restored leaves out as many ids as may have been given away since a backup was
// made from which the store comes: their producers may still be at work, and a log
// tells records that come twice by them. How many those were nobody knows; and the
// same backup may be restored again. So it is a random number far above what
// brokers give away. A store that never gave one is left alone. Call it before
// Next. Errors are the engine's; it may be called again then.
func (p *Producers) Restored(ctx context.Context) error {
	it, err := p.engine.Get(ctx, producerIDKey)
	if err != nil || it.Version == 0 {
		return err
	}
	at, err := strconv.ParseInt(string(it.Value), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, producerIDKey, err)
	}
	at += (1 + rand.Int64N(maxSkipped)) * producerIDBlock
	return p.engine.Commit(ctx, storage.Write{Set: []storage.Item{{
		Key: producerIDKey, Value: strconv.AppendInt(nil, at, 10), Version: it.Version,
	}}})
}

func (h *Handlers) initProducerID(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.InitProducerIDRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID, resp.ProducerEpoch = -1, -1
		switch {
		case req.TransactionalID != nil && *req.TransactionalID == "",
			(req.ProducerID == -1) != (req.ProducerEpoch == -1):
			resp.ErrorCode = int16(wire.InvalidRequest)
		case req.TransactionalID != nil:
			return h.cfg.Txns.InitProducerID(ctx, req), nil
		default:
			id, err := h.cfg.Producers.Next(ctx)
			if err != nil {
				h.lg.Error("no producer id", "error", err)
				resp.ErrorCode = int16(wire.CoordinatorNotAvailable)
				return resp, nil
			}
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
		return resp, nil
	}, nil
}
