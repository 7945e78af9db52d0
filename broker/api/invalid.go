package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// MaxSetAside bounds the records of one batch that are marked or go to the
// dead-letter topic: each costs some hundred bytes of reasons. A batch with so
// many is refused.
const MaxSetAside = 10_000

// Headers that say where a dead letter comes from. Those that say why come with
// the RecordError.
const (
	headerTopic     = "tarn.invalid.topic"
	headerPartition = "tarn.invalid.partition"
	headerClient    = "tarn.invalid.client"
)

// setAside does with a batch that has bad records what its topic asks for, in
// place of refusing it: it marks them, or takes them out and makes a batch for
// the dead-letter topic, which is committed with what is left. Offsets and
// sequences stay as the producer has counted them, so that a retry is seen as a
// duplicate; the places of records taken out stay empty. done is false if the
// batch is to be refused after all.
func (h *Handlers) setAside(ctx context.Context, r *Request, t *topic.Topic, partition int32, b *producedBatch, rd *record.Reader, bad []RecordError) (done bool, err error) {
	dead := t.Config.OnInvalid == topic.InvalidDLQ
	if !dead && t.Config.OnInvalid != topic.InvalidMark || len(bad) >= MaxSetAside {
		return false, nil
	}
	if dead && b.head.Transactional() {
		return false, nil // a dead letter could not be taken back with its transaction
	}
	var letters *record.Builder
	if dead {
		letters = record.NewBuilder(record.Options{Codec: b.head.Codec()})
	}
	var kept record.Builder
	kept.ResetLike(b.head, b.head.Codec())
	from := []record.RecordHeader{
		{Key: headerTopic, Value: []byte(t.Name)},
		{Key: headerPartition, Value: strconv.AppendInt(nil, int64(partition), 10)},
		{Key: headerClient, Value: []byte(r.ClientID)},
	}
	rd.Rewind()
	for i := int32(0); rd.Next(); i++ {
		rec := rd.Record()
		switch {
		case len(bad) == 0 || bad[0].Index != i:
			kept.AppendRecord(rec)
			continue
		case dead:
			letter := *rec
			letter.OffsetDelta = int32(letters.Len())
			letters.AppendRecordWith(&letter, append(bad[0].Why, from...)...)
		default:
			kept.AppendRecordWith(rec, bad[0].Why...)
		}
		bad = bad[1:]
	}
	if err := rd.Err(); err != nil {
		return false, err
	}
	if dead {
		if b.dead, err = h.letters(ctx, t, partition, letters); err != nil {
			return false, err
		}
	}
	if b.bytes, err = kept.Bytes(); err != nil {
		return false, fmt.Errorf("batch without its bad records: %w", err)
	}
	if b.head, err = record.ParseHeader(b.bytes); err != nil {
		return false, err
	}
	return true, b.checkSize(t)
}

// letters makes the batch for the dead-letter topic, which is made when it is
// first needed.
func (h *Handlers) letters(ctx context.Context, t *topic.Topic, partition int32, from *record.Builder) (*commitlog.Batch, error) {
	name := t.Config.DeadLetterTopic
	if name == "" {
		name = t.Name + topic.DeadLetterSuffix
	}
	to := h.cfg.Topics.View().ByName(name)
	if to == nil {
		made, err := h.cfg.Topics.Create(ctx, topic.Spec{Name: name, Partitions: t.Partitions})
		if errors.Is(err, topic.ErrExists) {
			made, err = h.cfg.Topics.View().ByName(name), nil
		}
		if made == nil {
			return nil, fmt.Errorf("%w: dead-letter topic %q of topic %q: %w", commitlog.ErrStorage, name, t.Name, err)
		}
		h.lg.Info("dead-letter topic created on first use", "topic", name, "of", t.Name)
		to = made
	}
	if to.ID == t.ID {
		return nil, refuse(wire.InvalidConfig, "topic %q is its own dead-letter topic", t.Name)
	}
	b, err := from.Bytes()
	if err != nil {
		return nil, fmt.Errorf("batch of dead letters: %w", err)
	}
	letters := producedBatch{bytes: b}
	if letters.head, err = record.ParseHeader(b); err != nil {
		return nil, err
	}
	if err := letters.checkSize(to); err != nil {
		return nil, err
	}
	return &commitlog.Batch{
		TP: storage.TP{Topic: to.ID, Partition: partition % to.Partitions}, Bytes: b, Header: letters.head,
		Stamp: to.Config.LogAppendTime, Follows: true,
	}, nil
}
