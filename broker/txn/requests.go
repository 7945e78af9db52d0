package txn

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// fencedFrom maps PRODUCER_FENCED to what a request's version can carry: older
// clients know INVALID_PRODUCER_EPOCH only.
func fencedFrom(code wire.Code, version, from int16) int16 {
	if code == wire.ProducerFenced && version < from {
		code = wire.InvalidProducerEpoch
	}
	return int16(code)
}

// run carries out a step on an id that must exist, and gives the plan's code,
// or one for what went wrong.
func (c *Coordinator) run(ctx context.Context, id string, s step) (plan, wire.Code) {
	if id == "" || len(id) > maxIDBytes {
		return refuse(wire.InvalidRequest), wire.InvalidRequest
	}
	e := c.find(id, false)
	if e == nil {
		return refuse(wire.InvalidProducerIDMapping), wire.InvalidProducerIDMapping
	}
	return c.runOn(ctx, e, s)
}

func (c *Coordinator) runOn(ctx context.Context, e *entry, s step) (plan, wire.Code) {
	p, err := c.change(ctx, e, s)
	if err == nil {
		return p, p.code
	}
	var known *wire.Error
	if errors.As(err, &known) {
		return refuse(known.Code), known.Code
	}
	c.lg.Warn("transaction was not changed", "transactional_id", e.id, "error", err)
	return refuse(wire.CoordinatorNotAvailable), wire.CoordinatorNotAvailable
}

// Expire aborts an ongoing transaction as if its time were over, and fences its
// producer. Errors: *wire.Error, TRANSACTIONAL_ID_NOT_FOUND for an id that nobody has,
// INVALID_TXN_STATE if none of its transactions is under way.
func (c *Coordinator) Expire(ctx context.Context, id string) error {
	_, code := c.run(ctx, id, func(t *txn, nowMs, _ int64) plan {
		if t.state != ongoing {
			return refuse(wire.InvalidTxnState)
		}
		return t.expired(nowMs)
	})
	switch code {
	case wire.None:
		return nil
	case wire.InvalidProducerIDMapping:
		return wire.Errorf(wire.TransactionalIDNotFound, "no producer has the transactional id %q", id)
	case wire.InvalidTxnState:
		return wire.Errorf(code, "transactional id %q has no transaction under way", id)
	default:
		return wire.Errorf(code, "transactional id %q", id)
	}
}

// InitProducerID serves InitProducerId v0 to v5 with a transactional id. A
// transaction under way is aborted before it answers.
func (c *Coordinator) InitProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = none, none
	if req.TransactionalID == nil || *req.TransactionalID == "" || len(*req.TransactionalID) > maxIDBytes ||
		(req.ProducerID == none) != (req.ProducerEpoch == none) {
		resp.ErrorCode = int16(wire.InvalidRequest)
		return resp
	}
	timeoutMs := int64(req.TransactionTimeoutMillis)
	if timeoutMs <= 0 || timeoutMs > c.cfg.MaxTimeout.Milliseconds() {
		resp.ErrorCode = int16(wire.InvalidTransactionTimeout)
		return resp
	}
	e := c.find(*req.TransactionalID, true)
	if e == nil {
		c.lg.Error("too many transactional ids", "limit", maxIDs, "refused", *req.TransactionalID)
		resp.ErrorCode = int16(wire.CoordinatorNotAvailable)
		return resp
	}
	p, code := c.runOn(ctx, e, func(t *txn, nowMs, fresh int64) plan {
		return t.init(initEvent{id: req.ProducerID, epoch: req.ProducerEpoch, timeoutMs: timeoutMs, fresh: fresh}, nowMs)
	})
	if resp.ErrorCode = fencedFrom(code, req.Version, 4); code == wire.None {
		resp.ProducerID, resp.ProducerEpoch = p.producerID, p.epoch
	}
	return resp
}

// AddOffsets serves AddOffsetsToTxn v0 to v4.
func (c *Coordinator) AddOffsets(ctx context.Context, req *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse {
	resp := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	if req.Group == "" {
		resp.ErrorCode = int16(wire.InvalidGroupID)
		return resp
	}
	_, code := c.run(ctx, req.TransactionalID, func(t *txn, nowMs, _ int64) plan {
		return t.add(req.ProducerID, req.ProducerEpoch, nil, req.Group, nowMs)
	})
	resp.ErrorCode = fencedFrom(code, req.Version, 2)
	return resp
}

// EndTxn serves EndTxn v0 to v5. From v5 on (TV2) it tells the producer its new
// epoch.
func (c *Coordinator) EndTxn(ctx context.Context, req *kmsg.EndTxnRequest) *kmsg.EndTxnResponse {
	resp := req.ResponseKind().(*kmsg.EndTxnResponse)
	p, code := c.run(ctx, req.TransactionalID, func(t *txn, nowMs, fresh int64) plan {
		return t.end(endEvent{
			id: req.ProducerID, epoch: req.ProducerEpoch, commit: req.Commit, bump: req.Version >= 5, fresh: fresh,
		}, nowMs)
	})
	resp.ProducerID, resp.ProducerEpoch = none, none
	if resp.ErrorCode = fencedFrom(code, req.Version, 2); code == wire.None {
		resp.ProducerID, resp.ProducerEpoch = p.producerID, p.epoch
	}
	return resp
}

// OffsetCommit serves TxnOffsetCommit v0 to v6. From v5 on (TV2) it adds the
// group to the transaction.
func (c *Coordinator) OffsetCommit(ctx context.Context, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	resp, offsets := c.cfg.Groups.CheckTxn(req)
	if len(offsets) == 0 {
		return resp
	}
	_, code := c.run(ctx, req.TransactionalID, func(t *txn, nowMs, _ int64) plan {
		return t.commitOffsets(req.ProducerID, req.ProducerEpoch, req.Group, offsets, req.Version >= 5, nowMs)
	})
	// This API has no version that tells PRODUCER_FENCED.
	if code == wire.ProducerFenced {
		code = wire.InvalidProducerEpoch
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
				p.ErrorCode = int16(code)
			}
		}
	}
	return resp
}

// Join adds partitions to a producer's transaction for a Produce v12 or later,
// which need not ask for it before (KIP-890). It returns when that is durable,
// at once if they are in it. Errors are *wire.Error.
func (c *Coordinator) Join(ctx context.Context, id string, producerID int64, epoch int16, partitions []storage.TP) error {
	_, code := c.run(ctx, id, func(t *txn, nowMs, _ int64) plan {
		return t.add(producerID, epoch, partitions, "", nowMs)
	})
	switch code {
	case wire.None:
		return nil
	case wire.ProducerFenced: // Produce knows only the older code
		code = wire.InvalidProducerEpoch
	case wire.CoordinatorNotAvailable, wire.ConcurrentTransactions:
		code = wire.NotEnoughReplicas // what producers wait and try again on
	}
	return wire.Errorf(code, "transactional id %q", id)
}
