package txn

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/storage"
)

// keyTxn begins the items' keys; the rest is the transactional id. The values
// are JSON, see README.md.
const keyTxn = "txn/"

type txnItem struct {
	ProducerID int64                   `json:"producer_id"`
	Epoch      int16                   `json:"epoch"`
	PrevID     int64                   `json:"previous_producer_id"`
	PrevEpoch  int16                   `json:"previous_epoch"`
	NextID     int64                   `json:"next_producer_id"`
	State      state                   `json:"state"`
	TimeoutMs  int64                   `json:"timeout_ms"`
	StartMs    int64                   `json:"start_ms,omitempty"`
	UpdatedMs  int64                   `json:"updated_ms"`
	Partitions map[string][]int32      `json:"partitions,omitempty"`
	Groups     map[string][]offsetItem `json:"groups,omitempty"`
}

type offsetItem struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	LeaderEpoch int32  `json:"leader_epoch"`
	Metadata    string `json:"metadata,omitempty"`
}

// encode is the item of t: with the same content, the same bytes. A dead id's
// item is deleted.
func (t *txn) encode(id string, version int64) (storage.Item, error) {
	it := storage.Item{Key: keyTxn + id, Version: version}
	if t.state == dead {
		it.Delete = true
		return it, nil
	}
	v := txnItem{
		ProducerID: t.producerID, Epoch: t.epoch, PrevID: t.prevID, PrevEpoch: t.prevEpoch, NextID: t.nextID,
		State: t.state, TimeoutMs: t.timeoutMs, StartMs: t.startMs, UpdatedMs: t.updatedMs,
	}
	for tp := range t.partitions {
		if v.Partitions == nil {
			v.Partitions = map[string][]int32{}
		}
		v.Partitions[tp.Topic.String()] = append(v.Partitions[tp.Topic.String()], tp.Partition)
	}
	for _, numbers := range v.Partitions {
		slices.Sort(numbers)
	}
	for name, offsets := range t.groups {
		if v.Groups == nil {
			v.Groups = map[string][]offsetItem{}
		}
		list := make([]offsetItem, 0, len(offsets))
		for _, o := range offsets {
			list = append(list, offsetItem{o.Topic.String(), o.Partition, o.Offset, o.LeaderEpoch, o.Metadata})
		}
		slices.SortFunc(list, func(a, b offsetItem) int {
			return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		v.Groups[name] = list
	}
	var err error
	it.Value, err = json.Marshal(v)
	return it, err
}

// decode reads an item. What it cannot be is ErrBroken.
func decode(it storage.Item) (id string, t *txn, err error) {
	id = strings.TrimPrefix(it.Key, keyTxn)
	var v txnItem
	if err := json.Unmarshal(it.Value, &v); err != nil {
		return id, nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	t = &txn{
		producerID: v.ProducerID, epoch: v.Epoch, prevID: v.PrevID, prevEpoch: v.PrevEpoch, nextID: v.NextID,
		state: v.State, timeoutMs: v.TimeoutMs, startMs: v.StartMs, updatedMs: v.UpdatedMs,
	}
	switch {
	case v.ProducerID < 0 || v.Epoch < 0:
		return id, nil, fmt.Errorf("%w: item %q has producer id %d and epoch %d", storage.ErrBroken, it.Key, v.ProducerID, v.Epoch)
	case !slices.Contains([]state{empty, ongoing, prepareCommit, prepareAbort, completed, aborted}, v.State):
		return id, nil, fmt.Errorf("%w: item %q has state %q", storage.ErrBroken, it.Key, v.State)
	}
	for topic, numbers := range v.Partitions {
		tid, err := topicID(topic)
		if err != nil {
			return id, nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		for _, p := range numbers {
			if t.partitions == nil {
				t.partitions = map[storage.TP]struct{}{}
			}
			t.partitions[storage.TP{Topic: tid, Partition: p}] = struct{}{}
		}
	}
	for name, list := range v.Groups {
		t.addGroup(name)
		for _, o := range list {
			tid, err := topicID(o.Topic)
			if err != nil {
				return id, nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
			}
			t.groups[name][offsetKey{tid, o.Partition}] = group.TxnOffset{
				Topic: tid, Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
			}
		}
	}
	return id, t, nil
}

func topicID(s string) (id storage.TopicID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q", s)
	}
	copy(id[:], b)
	return id, nil
}
