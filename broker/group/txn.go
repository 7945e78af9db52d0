package group

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// TxnOffset is an offset that a transaction commits if it commits. Until then
// it belongs to broker/txn, which stores it with the transaction's state.
type TxnOffset struct {
	Topic       storage.TopicID
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1: not known
	Metadata    string
}

// CheckTxn judges a TxnOffsetCommit v0 to v6 as far as groups are concerned
// (KIP-447, T11): membership, topics, metadata. It gives the answer with each
// partition's code, and the offsets of the accepted ones, which are not yet
// noted anywhere.
func (c *Coordinator) CheckTxn(req *kmsg.TxnOffsetCommitRequest) (*kmsg.TxnOffsetCommitResponse, []TxnOffset) {
	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	group := c.checkTxn(req)
	var accepted []TxnOffset
	for _, rt := range req.Topics {
		t := kmsg.NewTxnOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		id, partitions, unknown := c.resolve(rt.Topic, rt.TopicID, req.Version >= 6)
		for _, rp := range rt.Partitions {
			code := c.checkOffset(unknown, rp.Partition, partitions, rp.Metadata)
			if code == wire.None {
				code = group
			}
			if code == wire.None {
				o := TxnOffset{Topic: id, Partition: rp.Partition, Offset: rp.Offset, LeaderEpoch: rp.LeaderEpoch}
				if rp.Metadata != nil {
					o.Metadata = *rp.Metadata
				}
				accepted = append(accepted, o)
			}
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, int16(code)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, accepted
}

func (c *Coordinator) checkTxn(req *kmsg.TxnOffsetCommitRequest) wire.Code {
	if req.Group == "" {
		return wire.InvalidGroupID
	}
	e, code := c.acquire(req.Group, false)
	switch {
	case code == wire.GroupIDNotFound && req.Generation < 0:
		return wire.None // a group of its own making
	case code == wire.GroupIDNotFound:
		return wire.IllegalGeneration
	case code != wire.None:
		return code
	}
	defer c.release(e)
	return e.machine.mayCommit(time.Now(), committer{
		id: req.MemberID, instance: req.InstanceID, epoch: req.Generation, txn: true,
		partitions: func() map[string][]int32 {
			out := map[string][]int32{}
			for _, rt := range req.Topics {
				name := rt.Topic
				if req.Version >= 6 {
					name, _, _ = c.cfg.Topics.ByID(rt.TopicID)
				}
				for _, rp := range rt.Partitions {
					out[name] = append(out[name], rp.Partition)
				}
			}
			return out
		},
	})
}

// AddPending notes offsets of a transaction under way, after broker/txn made
// them durable, or read them at start. From now on a stable fetch of them is
// refused (T12), and they keep the group from expiring.
func (c *Coordinator) AddPending(group string, producerID int64, offsets []TxnOffset) wire.Code {
	e, code := c.acquire(group, true)
	if code != wire.None {
		return code
	}
	defer c.release(e)
	if e.txns == nil {
		e.txns = map[int64]map[offsetKey]offset{}
	}
	if e.txns[producerID] == nil {
		e.txns[producerID] = map[offsetKey]offset{}
	}
	for _, o := range offsets {
		e.txns[producerID][offsetKey{o.Topic, o.Partition}] = offset{
			Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		}
	}
	return wire.None
}

// TxnEnd is the part of a transaction's end that belongs to groups: Set and
// Check go into the Write that ends it, markers and all. While it is held,
// nothing else of these groups is written, so that their offsets have one
// order in memory and in the store.
type TxnEnd struct {
	Set   []storage.Item
	Check []storage.Check

	c          *Coordinator
	producerID int64
	batches    []*batch
}

// EndTxn prepares the end of a transaction in the groups it has offsets in.
// With commit they become the groups' offsets, else they are dropped. It waits
// for writes of these groups that are under way; ctx ends that. The caller
// must call Done.
func (c *Coordinator) EndTxn(ctx context.Context, producerID int64, groups []string, commit bool) (*TxnEnd, error) {
	end := &TxnEnd{c: c, producerID: producerID}
	// In the order of names, so that two transactions do not wait for each other.
	for _, name := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		b, err := c.endIn(ctx, name, producerID, commit)
		if err == nil && b != nil {
			end.batches = append(end.batches, b)
			var w storage.Write
			err = b.addTo(&w)
			end.Set, end.Check = append(end.Set, w.Set...), append(end.Check, w.Check...)
		}
		if err != nil {
			end.abandon()
			return nil, err
		}
	}
	return end, nil
}

// endIn takes the right to write a group and folds the transaction's offsets.
// It gives nil if the group knows nothing of the transaction.
func (c *Coordinator) endIn(ctx context.Context, name string, producerID int64, commit bool) (*batch, error) {
	e, err := c.holdWriting(ctx, name)
	if e == nil {
		return nil, err
	}
	defer e.mu.Unlock()
	switch {
	case e.trust != sure:
		c.letGo(e)
		return nil, &wire.Error{Code: wire.CoordinatorLoadInProgress, Message: "group " + name}
	case len(e.txns[producerID]) == 0:
		c.letGo(e)
		return nil, nil
	}
	e.flying = true
	now := time.Now()
	end := &op{then: func(time.Time, wire.Code) {}}
	if commit {
		end.set = maps.Clone(e.txns[producerID])
		for k, o := range end.set {
			o.CommitMs = now.UnixMilli()
			end.set[k] = o
		}
	}
	return e.fold([]*op{end}, now), nil
}

// holdWriting takes the right to write a group and locks it; nil if there is
// none of that name.
func (c *Coordinator) holdWriting(ctx context.Context, name string) (*entry, error) {
	for {
		e, code := c.find(name, false)
		if code != wire.None {
			return nil, nil
		}
		select {
		case e.writing <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		e.mu.Lock()
		if !e.gone {
			return e, nil
		}
		<-e.writing // meanwhile it went; perhaps there is another of that name
		e.mu.Unlock()
	}
}

// abandon lets go of the groups; nothing was written.
func (t *TxnEnd) abandon() {
	for _, b := range t.batches {
		b.e.mu.Lock()
		t.c.letGo(b.e)
		b.e.mu.Unlock()
	}
	t.batches = nil
}

// Done takes the outcome of the Write that Set and Check went into: w.Set as
// Commit left it, and Commit's error. On nil the transaction's offsets are no
// longer pending. After an error they still are; unless the Write was refused
// for other reasons, the groups are looked at in the store. It must be called
// once.
func (t *TxnEnd) Done(ctx context.Context, set []storage.Item, err error) {
	versions := make(map[string]int64, len(set))
	for _, it := range set {
		versions[it.Key] = it.Version
	}
	for _, b := range t.batches {
		if err != nil && b.concerns(err) {
			t.c.distrust(context.WithoutCancel(ctx), b)
		}
		b.e.mu.Lock()
		if err == nil {
			b.e.adopt(b, versions[keyGroup+b.e.name])
			delete(b.e.txns, t.producerID)
		}
		t.c.letGo(b.e)
		b.e.mu.Unlock()
	}
	t.batches = nil
}

// concerns reports whether err leaves open what the store holds of b's group:
// the Write failed, or another writer has the group.
func (b *batch) concerns(err error) bool {
	var conflict *storage.Conflict
	if errors.As(err, &conflict) {
		return slices.ContainsFunc(conflict.Items, func(c storage.ItemConflict) bool { return c.Key == keyGroup+b.e.name })
	}
	return !errors.Is(err, storage.ErrInvalid) && !errors.Is(err, storage.ErrFull) && !errors.Is(err, storage.ErrClosed)
}
