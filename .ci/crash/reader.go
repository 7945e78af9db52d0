package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reader follows the log through all kills. What it has once seen must stay: a
// record that can be read is durable.
type reader struct {
	kafka string

	mu    sync.Mutex
	seen  copyLog // guarded by mu
	wrong []error // guarded by mu
}

func newReader(kafka string) *reader {
	return &reader{kafka: kafka, seen: make(copyLog, partitions)}
}

// wholeLog is an option to read all partitions of a topic from offset 0. A reset
// would hide a loss, so there is none.
func wholeLog(topic string, partitions int32) []kgo.Opt {
	from := map[int32]kgo.Offset{}
	for p := range partitions {
		from[p] = kgo.NewOffset().At(0)
	}
	return []kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.FetchMaxPartitionBytes(4 << 20),
	}
}

func (r *reader) run(ctx context.Context) {
	cl, err := client(r.kafka, wholeLog(topicName, partitions)...)
	if err != nil {
		r.complain(err)
		return
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		fetches.EachError(func(_ string, part int32, err error) {
			if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				r.complain(fmt.Errorf("reading partition %d: %w", part, err))
			}
		})
		fetches.EachRecord(func(rec *kgo.Record) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err := r.seen.add(rec); err != nil && len(r.wrong) < maxComplaints {
				r.wrong = append(r.wrong, err)
			}
		})
	}
}

func (r *reader) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wrong) < maxComplaints {
		r.wrong = append(r.wrong, err)
	}
}

// add appends the next record of a partition, by its value.
func (c copyLog) add(rec *kgo.Record) error {
	id, err := decode(rec.Value)
	if err != nil {
		return fmt.Errorf("partition %d offset %d: %w", rec.Partition, rec.Offset, err)
	}
	return c.place(rec, id)
}

// place appends the next record of a partition; a gap or a repetition is an
// error.
func (c copyLog) place(rec *kgo.Record, id identity) error {
	p := rec.Partition
	if want := int64(len(c[p])); rec.Offset != want {
		return fmt.Errorf("partition %d goes on with offset %d, not %d", p, rec.Offset, want)
	}
	c[p] = append(c[p], id)
	return nil
}

// compare holds what was seen against the log as it is now.
func (r *reader) compare(log copyLog) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wrong) > 0 {
		return errors.Join(r.wrong...)
	}
	for part, ids := range r.seen {
		if len(ids) > len(log[part]) {
			return fmt.Errorf("partition %d ends at %d, but offset %d was read before", part, len(log[part]), len(ids)-1)
		}
		for offset, id := range ids {
			if log[part][offset] != id {
				return fmt.Errorf("partition %d offset %d holds %s, but %s was read there before", part, offset, log[part][offset], id)
			}
		}
	}
	return nil
}

// readLog reads the log of orders.
func readLog(ctx context.Context, kafka string) (copyLog, error) {
	log := make(copyLog, partitions)
	return log, readAll(ctx, kafka, topicName, partitions, log.add)
}

// readAll reads all partitions of a topic from the start to where they end now,
// and hands each record to take, which ends it by an error.
func readAll(ctx context.Context, kafka, topic string, partitions int32, take func(*kgo.Record) error) error {
	cl, err := client(kafka, wholeLog(topic, partitions)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("ends of the log: %w", err)
	}
	next := make([]int64, partitions)
	behind := func() (left int64) {
		for part, off := range next {
			o, _ := ends.Lookup(topic, int32(part))
			left += max(0, o.Offset-off)
		}
		return left
	}
	for left := behind(); left > 0; left = behind() {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read the log, %d offsets before its end: %w", left, err)
		}
		var wrong error
		fetches.EachError(func(_ string, part int32, err error) {
			wrong = fmt.Errorf("read partition %d: %w", part, err)
		})
		fetches.EachRecord(func(rec *kgo.Record) {
			next[rec.Partition] = rec.Offset + 1
			if wrong == nil {
				wrong = take(rec)
			}
		})
		if wrong != nil {
			return wrong
		}
	}
	for part, off := range next {
		if o, _ := ends.Lookup(topic, int32(part)); o.Offset != off {
			return fmt.Errorf("partition %d ends at %d but gives records up to %d", part, o.Offset, off)
		}
	}
	return nil
}
