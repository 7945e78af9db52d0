package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

var kafkaGoCodecs = map[string]kafka.Compression{
	"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
}

var errNotThere = errors.New("kafka-go's Writer has no transactions")

// kafkaGoP collects what is sent and writes it at once: a Writer's order across
// calls is its caller's to keep.
type kafkaGoP struct {
	w       *kafka.Writer
	waiting []kafka.Message

	mu  sync.Mutex
	err error // guarded by mu
}

// place is a message's wish and its outcome.
type place struct {
	partition int32
	placed    func(int32, int64)
}

func kafkaGoProducer(address string, s settings) (producer, error) {
	acks := map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll}
	p := &kafkaGoP{}
	p.w = &kafka.Writer{
		Addr: kafka.TCP(address), Topic: s["topic"], RequiredAcks: acks[s.or("acks", "all")],
		Compression: kafkaGoCodecs[s.or("codec", "none")], BatchTimeout: 5 * time.Millisecond,
		Balancer: kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return int(m.WriterData.(place).partition) }),
		Completion: func(ms []kafka.Message, err error) {
			if err != nil {
				p.mu.Lock()
				p.err = err
				p.mu.Unlock()
				return
			}
			for _, m := range ms {
				m.WriterData.(place).placed(int32(m.Partition), m.Offset)
			}
		},
	}
	return p, nil
}

func (p *kafkaGoP) send(r record, placed func(int32, int64)) error {
	m := kafka.Message{Key: r.key, Value: r.value, Time: r.timestamp, WriterData: place{r.partition, placed}}
	for _, h := range r.headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
	}
	p.waiting = append(p.waiting, m)
	return nil
}

func (p *kafkaGoP) flush() error {
	if len(p.waiting) > 0 {
		if err := p.w.WriteMessages(context.Background(), p.waiting...); err != nil {
			return err
		}
		p.waiting = nil
	}
	return nil
}

func (p *kafkaGoP) begin() error  { return errNotThere }
func (p *kafkaGoP) commit() error { return errNotThere }
func (p *kafkaGoP) abort() error  { return errNotThere }

func (p *kafkaGoP) close() error {
	err := p.flush()
	if cerr := p.w.Close(); err == nil {
		err = cerr
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.err)
}

func kafkaGoConsume(ctx context.Context, address, topic string, s settings, each func(record) bool) error {
	c := kafka.ReaderConfig{
		Brokers: []string{address}, Topic: topic, GroupID: s["group"], StartOffset: kafka.FirstOffset,
		MaxWait: 200 * time.Millisecond, HeartbeatInterval: 500 * time.Millisecond, JoinGroupBackoff: time.Second,
	}
	if s["isolation"] == "read_committed" {
		c.IsolationLevel = kafka.ReadCommitted
	}
	r := kafka.NewReader(c)
	for {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return errors.Join(err, r.Close())
		}
		// Not by ctx: a commit that is given up may happen all the same.
		if err := r.CommitMessages(context.Background(), m); err != nil {
			return errors.Join(err, r.Close())
		}
		got := record{partition: int32(m.Partition), offset: m.Offset, timestamp: m.Time, key: m.Key, value: m.Value}
		for _, h := range m.Headers {
			got.headers = append(got.headers, header{h.Key, h.Value})
		}
		if !each(got) {
			return r.Close()
		}
	}
}
