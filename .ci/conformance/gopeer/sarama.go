package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func saramaConfig(s settings) (*sarama.Config, error) {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	if v, ok := s["version"]; ok {
		var err error
		if c.Version, err = sarama.ParseKafkaVersion(v); err != nil {
			return nil, err
		}
	}
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	c.Producer.Compression = saramaCodecs[s.or("codec", "none")]
	acks := map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}
	c.Producer.RequiredAcks = acks[s.or("acks", "all")]
	if s["idempotent"] == "true" || s["txn"] != "" {
		c.Producer.Idempotent = true
		c.Net.MaxOpenRequests = 1
		c.Producer.Transaction.ID = s["txn"]
	}
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	// Commits go over the connection on which a Fetch waits, and behind it.
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	if s["isolation"] == "read_committed" {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	return c, nil
}

// saramaP is an AsyncProducer whose answers one goroutine takes.
type saramaP struct {
	p     sarama.AsyncProducer
	topic string
	out   sync.WaitGroup // messages without an answer
	ended chan struct{}

	mu  sync.Mutex
	err error // guarded by mu
}

func saramaProducer(address string, s settings) (producer, error) {
	c, err := saramaConfig(s)
	if err != nil {
		return nil, err
	}
	p, err := sarama.NewAsyncProducer([]string{address}, c)
	if err != nil {
		return nil, err
	}
	sp := &saramaP{p: p, topic: s["topic"], ended: make(chan struct{})}
	go sp.answers()
	return sp, nil
}

func (p *saramaP) answers() {
	defer close(p.ended)
	successes, errs := p.p.Successes(), p.p.Errors()
	for successes != nil || errs != nil {
		select {
		case m, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			m.Metadata.(func(int32, int64))(m.Partition, m.Offset)
			p.out.Done()
		case e, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			p.mu.Lock()
			p.err = e
			p.mu.Unlock()
			p.out.Done()
		}
	}
}

func (p *saramaP) send(r record, placed func(int32, int64)) error {
	m := &sarama.ProducerMessage{Topic: p.topic, Partition: r.partition, Timestamp: r.timestamp, Metadata: placed}
	if r.key != nil {
		m.Key = sarama.ByteEncoder(r.key)
	}
	if r.value != nil {
		m.Value = sarama.ByteEncoder(r.value)
	}
	for _, h := range r.headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
	}
	p.out.Add(1)
	p.p.Input() <- m
	return nil
}

func (p *saramaP) flush() error {
	p.out.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *saramaP) begin() error  { return p.p.BeginTxn() }
func (p *saramaP) commit() error { return p.p.CommitTxn() }
func (p *saramaP) abort() error  { return p.p.AbortTxn() }

func (p *saramaP) close() error {
	p.p.AsyncClose()
	<-p.ended
	return p.flush()
}

// saramaGroup runs claim for each partition of the group's member, in each of
// its generations, until ctx ends or claim calls the function that it is given.
func saramaGroup(ctx context.Context, address, topic string, s settings, claim func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim, func())) error {
	c, err := saramaConfig(s)
	if err != nil {
		return err
	}
	g, err := sarama.NewConsumerGroup([]string{address}, s["group"], c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for ctx.Err() == nil {
		if err := g.Consume(ctx, []string{topic}, handler(func(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) { claim(s, c, stop) })); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return g.Close()
}

type handler func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim)

func (h handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	h(s, c)
	return nil
}

func saramaConsume(ctx context.Context, address, topic string, s settings, each func(record) bool) error {
	var mu sync.Mutex
	return saramaGroup(ctx, address, topic, s, func(session sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim, stop func()) {
		for batch := range chunks(session, c) {
			mu.Lock()
			session.MarkMessage(batch[len(batch)-1], "")
			session.Commit()
			for _, m := range batch {
				if !each(fromSarama(m)) {
					stop()
				}
			}
			mu.Unlock()
		}
	})
}

func fromSarama(m *sarama.ConsumerMessage) record {
	r := record{partition: m.Partition, offset: m.Offset, timestamp: m.Timestamp, key: m.Key, value: m.Value}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{string(h.Key), h.Value})
	}
	return r
}

// saramaTransform copies in transactions with the offsets; each is aborted
// once before it is committed.
func saramaTransform(ctx context.Context, address, topic string, s settings) error {
	n, err := strconv.Atoi(s["n"])
	if err != nil {
		return err
	}
	s["isolation"] = "read_committed"
	p, err := saramaProducer(address, settings{"txn": s["txn"], "topic": s["to"]})
	if err != nil {
		return err
	}
	sp := p.(*saramaP)
	var mu sync.Mutex
	var failed error
	got := 0
	reads := settings{"group": s["group"], "isolation": s["isolation"]}
	err = saramaGroup(ctx, address, topic, reads, func(session sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim, stop func()) {
		for batch := range chunks(session, c) {
			mu.Lock()
			for _, keep := range []bool{false, true} {
				if failed == nil {
					failed = sp.transact(batch, s["group"], keep)
				}
			}
			if got += len(batch); got >= n || failed != nil {
				stop()
			}
			mu.Unlock()
		}
	})
	if cerr := sp.close(); failed == nil {
		failed = cerr
	}
	if failed == nil && got < n {
		failed = fmt.Errorf("%d of %d records, then silence", got, n)
	}
	return errors.Join(err, failed)
}

func (p *saramaP) transact(batch []*sarama.ConsumerMessage, group string, keep bool) error {
	if err := p.begin(); err != nil {
		return err
	}
	for _, m := range batch {
		if err := p.send(fromSarama(m), func(int32, int64) {}); err != nil {
			return err
		}
	}
	if err := p.p.AddMessageToTxn(batch[len(batch)-1], group, nil); err != nil {
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

// chunks gives what a claim has at hand, 25 messages at most, until it ends.
func chunks(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) func(func([]*sarama.ConsumerMessage) bool) {
	return func(yield func([]*sarama.ConsumerMessage) bool) {
		var batch []*sarama.ConsumerMessage
		for {
			var idle <-chan time.Time
			if len(batch) > 0 {
				idle = time.After(100 * time.Millisecond)
			}
			select {
			case <-s.Context().Done():
				return
			case <-idle:
			case m, ok := <-c.Messages():
				if !ok {
					return
				}
				if batch = append(batch, m); len(batch) < 25 {
					continue
				}
			}
			if !yield(batch) {
				return
			}
			batch = nil
		}
	}
}
