package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// confluentP is a producer of confluent-kafka-go, librdkafka's binding.
type confluentP struct {
	p     *kafka.Producer
	topic string
	ended chan struct{}

	mu  sync.Mutex
	err error // guarded by mu
}

func confluentProducer(address string, s settings) (producer, error) {
	c := kafka.ConfigMap{
		"bootstrap.servers": address, "linger.ms": 5, "acks": s.or("acks", "all"), "log_level": 2,
		"compression.type": s.or("codec", "none"), "enable.idempotence": s["idempotent"] == "true" || s["txn"] != "",
	}
	if s["txn"] != "" {
		c["transactional.id"] = s["txn"]
	}
	p, err := kafka.NewProducer(&c)
	if err != nil {
		return nil, err
	}
	cp := &confluentP{p: p, topic: s["topic"], ended: make(chan struct{})}
	go cp.answers()
	if s["txn"] != "" {
		return cp, within(p.InitTransactions)
	}
	return cp, nil
}

// within bounds what waits for the broker.
func within(f func(context.Context) error) error {
	ctx, stop := context.WithTimeout(context.Background(), 2*silence)
	defer stop()
	return f(ctx)
}

func (p *confluentP) answers() {
	defer close(p.ended)
	for e := range p.p.Events() {
		m, ok := e.(*kafka.Message)
		switch {
		case !ok: // what else there is told of concerns nobody here
		case m.TopicPartition.Error != nil:
			p.mu.Lock()
			p.err = m.TopicPartition.Error
			p.mu.Unlock()
		default:
			m.Opaque.(func(int32, int64))(m.TopicPartition.Partition, int64(m.TopicPartition.Offset))
		}
	}
}

func (p *confluentP) send(r record, placed func(int32, int64)) error {
	m := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &p.topic, Partition: r.partition},
		Key:            r.key, Value: r.value, Timestamp: r.timestamp, Opaque: placed,
	}
	for _, h := range r.headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
	}
	return p.p.Produce(m, nil)
}

func (p *confluentP) flush() error {
	if left := p.p.Flush(int(2 * silence / time.Millisecond)); left > 0 {
		return fmt.Errorf("%d records without an answer", left)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *confluentP) begin() error  { return p.p.BeginTransaction() }
func (p *confluentP) commit() error { return within(p.p.CommitTransaction) }
func (p *confluentP) abort() error  { return within(p.p.AbortTransaction) }

func (p *confluentP) close() error {
	err := p.flush()
	p.p.Close()
	<-p.ended
	return err
}

// confluentGroup gives batch what there is at hand, 25 records at most, until
// that says that it has enough, or ctx ends. What it holds of partitions that it
// loses it forgets: whoever has them next reads on from what is committed. The
// callback runs inside Poll and Close only, so the group waits for this member
// until it has come back from its commit.
func confluentGroup(ctx context.Context, address, topic string, s settings, batch func(*kafka.Consumer, []*kafka.Message) (bool, error)) error {
	c, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": address, "group.id": s["group"], "auto.offset.reset": "earliest", "enable.auto.commit": false,
		"isolation.level": s.or("isolation", "read_uncommitted"), "group.protocol": s.or("protocol", "classic"), "log_level": 2,
	})
	if err != nil {
		return err
	}
	var at []*kafka.Message
	if err := c.Subscribe(topic, func(_ *kafka.Consumer, e kafka.Event) error {
		if gone, ok := e.(kafka.RevokedPartitions); ok {
			at = slices.DeleteFunc(at, func(m *kafka.Message) bool {
				return slices.ContainsFunc(gone.Partitions, func(tp kafka.TopicPartition) bool { return tp.Partition == m.TopicPartition.Partition })
			})
		}
		return nil // the library assigns and unassigns by itself
	}); err != nil {
		return err
	}
	for more := true; more && ctx.Err() == nil; {
		at = nil
		for wait := 200; len(at) < 25; wait = 10 {
			e := c.Poll(wait)
			if e == nil {
				break
			}
			switch e := e.(type) {
			case *kafka.Message:
				if e.TopicPartition.Error != nil {
					return e.TopicPartition.Error
				}
				at = append(at, e)
			case kafka.Error:
				if e.IsFatal() {
					return e
				}
			}
		}
		if len(at) == 0 {
			continue
		}
		if more, err = batch(c, at); err != nil {
			return err
		}
	}
	return c.Close()
}

// after lists the offsets behind messages.
func after(batch []*kafka.Message) []kafka.TopicPartition {
	next := map[int32]kafka.TopicPartition{}
	for _, m := range batch {
		tp := m.TopicPartition
		tp.Offset++
		next[tp.Partition] = tp
	}
	var out []kafka.TopicPartition
	for _, tp := range next {
		out = append(out, tp)
	}
	return out
}

func confluentConsume(ctx context.Context, address, topic string, s settings, each func(record) bool) error {
	return confluentGroup(ctx, address, topic, s, func(c *kafka.Consumer, batch []*kafka.Message) (bool, error) {
		if _, err := c.CommitOffsets(after(batch)); err != nil {
			var kerr kafka.Error
			if errors.As(err, &kerr) && (kerr.Code() == kafka.ErrIllegalGeneration || kerr.Code() == kafka.ErrRebalanceInProgress ||
				kerr.Code() == kafka.ErrUnknownMemberID || kerr.Code() == kafka.ErrStaleMemberEpoch) {
				return true, nil // others read them, or this one when it has them again
			}
			return false, err
		}
		more := true
		for _, m := range batch {
			more = each(fromConfluent(m)) && more
		}
		return more, nil
	})
}

func fromConfluent(m *kafka.Message) record {
	r := record{
		partition: m.TopicPartition.Partition, offset: int64(m.TopicPartition.Offset), timestamp: m.Timestamp,
		key: m.Key, value: m.Value,
	}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{h.Key, h.Value})
	}
	return r
}

// confluentTransform copies in transactions with the offsets; each is aborted
// once before it is committed.
func confluentTransform(ctx context.Context, address, topic string, s settings) error {
	n, err := strconv.Atoi(s["n"])
	if err != nil {
		return err
	}
	p, err := confluentProducer(address, settings{"txn": s["txn"], "topic": s["to"]})
	if err != nil {
		return err
	}
	cp := p.(*confluentP)
	got := 0
	reads := settings{"group": s["group"], "isolation": "read_committed"}
	err = confluentGroup(ctx, address, topic, reads, func(c *kafka.Consumer, batch []*kafka.Message) (bool, error) {
		for _, keep := range []bool{false, true} {
			if err := cp.transact(ctx, c, batch, keep); err != nil {
				return false, err
			}
		}
		got += len(batch)
		return got < n, nil
	})
	if cerr := cp.close(); err == nil {
		err = cerr
	}
	if err == nil && got < n {
		err = fmt.Errorf("%d of %d records, then silence", got, n)
	}
	return err
}

func (p *confluentP) transact(ctx context.Context, c *kafka.Consumer, batch []*kafka.Message, keep bool) error {
	if err := p.begin(); err != nil {
		return err
	}
	for _, m := range batch {
		if err := p.send(fromConfluent(m), func(int32, int64) {}); err != nil {
			return err
		}
	}
	who, err := c.GetConsumerGroupMetadata()
	if err != nil {
		return err
	}
	if err := p.p.SendOffsetsToTransaction(ctx, after(batch), who); err != nil {
		return err
	}
	if keep {
		return p.commit()
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.abort()
}
