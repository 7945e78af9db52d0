package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxReplayQueue bounds the records of a partition that wait for others to come as far:
// beyond it, the partition is not read.
const maxReplayQueue = 10_000

// merger reads the partitions of a topic and gives their records in the order of their
// timestamps, as far as each partition has them in order. Used by one goroutine.
type merger struct {
	cl     *kgo.Client
	quiet  *quiet
	topic  string
	ends   map[int32]int64         // of partitions that are read still
	queues map[int32][]*kgo.Record // what is read and not given
	paused map[int32]bool
}

func newMerger(cl *kgo.Client, q *quiet, topic string, ends map[int32]int64) *merger {
	return &merger{cl: cl, quiet: q, topic: topic, ends: ends, queues: map[int32][]*kgo.Record{}, paused: map[int32]bool{}}
}

// next gives the next record, nil at the end or when ctx has ended.
func (m *merger) next(ctx context.Context) (*kgo.Record, error) {
	for m.lacking() {
		if err := m.read(ctx); err != nil || ctx.Err() != nil {
			return nil, err
		}
	}
	var first *kgo.Record
	for _, queue := range m.queues {
		if len(queue) > 0 && (first == nil || earlier(queue[0], first)) {
			first = queue[0]
		}
	}
	if first == nil {
		return nil, nil
	}
	p := first.Partition
	m.queues[p] = m.queues[p][1:]
	if m.paused[p] && len(m.queues[p]) < maxReplayQueue/2 {
		delete(m.paused, p)
		m.cl.ResumeFetchPartitions(map[string][]int32{m.topic: {p}})
	}
	return first, nil
}

// earlier orders records of different partitions.
func earlier(a, b *kgo.Record) bool {
	return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Partition, b.Partition)) < 0
}

// lacking reports whether a partition that is not at its end has nothing to compare.
func (m *merger) lacking() bool {
	for p := range m.ends {
		if len(m.queues[p]) == 0 {
			return true
		}
	}
	return false
}

// read polls once.
func (m *merger) read(ctx context.Context) error {
	records, err := poll(ctx, m.cl, 0)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if m.quiet.polled(len(records)); len(records) == 0 && m.quiet.over() {
		clear(m.ends) // the last offsets have no records
	}
	for _, r := range records {
		end, open := m.ends[r.Partition]
		if !open || r.Offset >= end {
			continue
		}
		if r.Offset+1 >= end {
			delete(m.ends, r.Partition)
		}
		if !r.Attrs.IsControl() {
			m.queues[r.Partition] = append(m.queues[r.Partition], r)
		}
	}
	for p, queue := range m.queues {
		if len(queue) >= maxReplayQueue && !m.paused[p] {
			m.paused[p] = true
			m.cl.PauseFetchPartitions(map[string][]int32{m.topic: {p}})
		}
	}
	return nil
}

// replayClock says when a record of the past is due. Used by one goroutine.
type replayClock struct {
	speed float64 // 0: at once
	begun time.Time
	first time.Time
}

// due is when a record with this timestamp is to be sent; timestamps that go back are
// due at once.
func (c *replayClock) due(at time.Time) time.Time {
	if c.speed == 0 {
		return time.Time{}
	}
	if c.begun.IsZero() {
		c.begun, c.first = time.Now(), at
	}
	after := float64(at.Sub(c.first)) / c.speed
	return c.begun.Add(time.Duration(min(after, math.MaxInt64/2)))
}

// partitionsOf counts a topic's partitions, 0 if it is not there.
func partitionsOf(ctx context.Context, c *connect, topic string) (int32, error) {
	adm, err := c.admin(ctx)
	if err != nil {
		return 0, err
	}
	defer adm.Close()
	found, err := adm.ListTopics(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("look at topic %q: %w", topic, err)
	}
	return int32(len(found[topic].Partitions)), nil
}

// makeTopic makes a topic as another one is: with so many partitions.
func makeTopic(ctx context.Context, c *connect, topic string, partitions int32) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	answer, err := adm.CreateTopic(ctx, partitions, -1, nil, topic)
	if err != nil {
		return fmt.Errorf("make topic %q: %w", topic, told(err, answer.ErrMessage))
	}
	return nil
}
