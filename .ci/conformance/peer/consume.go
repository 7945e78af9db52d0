package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consume reads the topic from its start: in a group until -n records came, or
// all partitions to the ends seen first. With a registry it decodes orders.
func consume(ctx context.Context, p *peer) error {
	opts := []kgo.Opt{
		kgo.ConsumeTopics(p.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
	if p.group != "" {
		opts = append(opts, kgo.ConsumerGroup(p.group), kgo.DisableAutoCommit())
	}
	cl, err := p.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if p.count == 0 {
		if p.count, err = records(ctx, cl, p.topic); err != nil {
			return err
		}
	}
	decode := func([]byte) (*order, error) { return nil, nil }
	if p.http != "" {
		serde, err := p.serde(ctx)
		if err != nil {
			return err
		}
		decode = func(b []byte) (*order, error) {
			o := &order{}
			return o, serde.Decode(b, o)
		}
	}
	for seen := 0; seen < p.count; {
		fs := cl.PollFetches(ctx)
		if errs := fs.Errors(); len(errs) > 0 {
			return fmt.Errorf("fetch %s partition %d: %w", errs[0].Topic, errs[0].Partition, errs[0].Err)
		}
		for it := fs.RecordIter(); !it.Done(); seen++ {
			r := it.Next()
			o, err := decode(r.Value)
			if err != nil {
				return fmt.Errorf("partition %d offset %d: %w", r.Partition, r.Offset, err)
			}
			l := line{Partition: r.Partition, Offset: r.Offset, TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Order: o}
			if err := p.write(l); err != nil {
				return err
			}
		}
	}
	if p.group == "" {
		return nil
	}
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	return cl.LeaveGroupContext(ctx)
}

// records counts what the topic holds now.
func records(ctx context.Context, cl *kgo.Client, topic string) (int, error) {
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	all, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, o := range all.Offsets().Sorted() {
		start, _ := starts.Lookup(topic, o.Partition)
		n += int(o.At - start.Offset)
	}
	return n, nil
}

// ends writes the log end offset of each partition.
func ends(ctx context.Context, p *peer) error {
	cl, err := p.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	all, err := kadm.NewClient(cl).ListEndOffsets(ctx, p.topic)
	if err != nil {
		return err
	}
	if err := all.Error(); err != nil {
		return err
	}
	for _, o := range all.Offsets().Sorted() {
		if err := p.write(line{Partition: o.Partition, Offset: o.At}); err != nil {
			return err
		}
	}
	return nil
}
