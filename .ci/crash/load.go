package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topicName  = "orders"
	partitions = 3
	// steadyProducers live through all kills and send again what was not
	// acknowledged; briefProducers are new after every kill, and what they had
	// in flight has an unknown fate.
	steadyProducers = 3
	briefProducers  = 2
	badProducer     = 100
)

// gate lets the load through, or holds it up for a verification.
type gate struct{ mu sync.RWMutex }

// while runs f while the gate is open.
func (g *gate) while(f func()) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	f()
}

// load is everything that talks to the broker while it is killed.
type load struct {
	seed     uint64
	kafka    string
	schemaID int
	ledger   *ledger
	gate     gate
	groups   *groups
	reader   *reader
	transact *transactions
	variety  *variety
	remade   *remade

	steady  []*kgo.Client
	all     sync.WaitGroup
	stopAll context.CancelFunc
}

// client connects a client that tries again often: the broker is away for
// moments only.
func client(kafka string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(kafka),
		kgo.DialTimeout(2 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.RequestRetries(1000),
		kgo.RetryTimeout(time.Minute),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
}

func producerClient(kafka string) (*kgo.Client, error) {
	return client(kafka,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.StopProducerOnDataLossDetected(),
		kgo.MaxBufferedRecords(2000),
		kgo.ProducerLinger(2*time.Millisecond))
}

// begin starts what lives through all kills.
func (l *load) begin(ctx context.Context) error {
	ctx, l.stopAll = context.WithCancel(ctx)
	for n := range steadyProducers {
		cl, err := producerClient(l.kafka)
		if err != nil {
			return err
		}
		l.steady = append(l.steady, cl)
		l.spawn(func() { l.produce(ctx, cl, n, source(l.seed, uint64(n))) })
	}
	cl, err := producerClient(l.kafka)
	if err != nil {
		return err
	}
	l.steady = append(l.steady, cl)
	l.spawn(func() { l.produceVariety(ctx, cl, 0, source(l.seed, 300)) })
	l.spawn(func() { l.remade.run(ctx, l, source(l.seed, 301)) })
	bad, err := producerClient(l.kafka)
	if err != nil {
		return err
	}
	l.spawn(func() { defer bad.Close(); l.misbehave(ctx, bad, source(l.seed, badProducer)) })
	l.spawn(func() { l.reader.run(ctx) })
	for n := range transactors {
		l.spawn(func() { l.transact.run(ctx, &l.gate, n, source(l.seed, uint64(200+n))) })
	}
	l.spawn(func() { l.groups.commitAlone(ctx) })
	l.spawn(func() { l.groups.member(ctx, "steady") })
	return nil
}

func (l *load) spawn(f func()) {
	l.all.Add(1)
	go func() {
		defer l.all.Done()
		f()
	}()
}

// end stops everything.
func (l *load) end() {
	l.stopAll()
	for _, cl := range l.steady {
		cl.Close()
	}
	l.all.Wait()
}

// life runs the clients that are new after every start, until done.
func (l *load) life(ctx context.Context, number int) (done func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var own sync.WaitGroup
	var clients []*kgo.Client
	done = func() {
		cancel()
		for _, cl := range clients {
			cl.Close()
		}
		own.Wait()
	}
	for n := range briefProducers + 1 {
		cl, err := producerClient(l.kafka)
		if err != nil {
			done()
			return nil, err
		}
		clients = append(clients, cl)
		own.Go(func() {
			rng := source(l.seed, uint64(1000*number+n))
			if n == briefProducers {
				l.produceVariety(ctx, cl, 1, rng)
			} else {
				l.produce(ctx, cl, steadyProducers+n, rng)
			}
		})
	}
	own.Add(2)
	go func() { defer own.Done(); l.groups.member(ctx, "brief") }()
	go func() {
		defer own.Done()
		if cl, err := l.transact.leave(ctx, number, source(l.seed, uint64(1000*number+999))); err == nil {
			<-ctx.Done()
			cl.Close()
		}
	}()
	return done, nil
}

// produce sends bursts of records of mixed sizes until ctx ends.
func (l *load) produce(ctx context.Context, cl *kgo.Client, producer int, rng *rand.Rand) {
	for ctx.Err() == nil {
		l.gate.while(func() {
			for range 1 + rng.IntN(60) {
				if ctx.Err() != nil {
					return
				}
				id := l.ledger.next(producer)
				r := &kgo.Record{
					Topic: topicName, Partition: int32(rng.IntN(partitions)),
					Value: encode(l.schemaID, id, padding(rng)),
				}
				cl.Produce(ctx, r, func(r *kgo.Record, err error) { l.answered(ctx, l.ledger, id, r, err) })
			}
		})
		pause(ctx, time.Duration(rng.IntN(40))*time.Millisecond)
	}
}

func padding(rng *rand.Rand) int {
	switch n := rng.IntN(100); {
	case n < 1:
		return rng.IntN(20_000)
	case n < 10:
		return rng.IntN(1000)
	default:
		return rng.IntN(100)
	}
}

// answered notes how a record fared. Errors are complaints unless the client
// was closed, or gave up because a kill cut its very first connection, which it
// takes for a refusal: the broker comes back in time for every other retry.
func (l *load) answered(ctx context.Context, led *ledger, id identity, r *kgo.Record, err error) {
	var cut *kgo.ErrFirstReadEOF
	switch {
	case err == nil:
		led.acknowledge(id, place{r.Partition, r.Offset})
	case ctx.Err() != nil, errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled), errors.As(err, &cut):
	default:
		led.complain(fmt.Errorf("%s was refused: %w", id, err))
	}
}

// misbehave sends records that the schema refuses.
func (l *load) misbehave(ctx context.Context, cl *kgo.Client, rng *rand.Rand) {
	for seq := int64(0); ctx.Err() == nil; seq++ {
		l.gate.while(func() {
			r := &kgo.Record{
				Topic: topicName, Partition: int32(rng.IntN(partitions)),
				Value: spoil(encode(l.schemaID, identify(badProducer, seq), 10)),
			}
			err := cl.ProduceSync(ctx, r).FirstErr()
			var cut *kgo.ErrFirstReadEOF
			switch {
			case errors.Is(err, kerr.InvalidRecord):
				l.ledger.refuse()
			case ctx.Err() != nil, errors.As(err, &cut):
			default:
				l.ledger.complain(fmt.Errorf("a record that is no %s got %v, not INVALID_RECORD", topicName, err))
			}
		})
		pause(ctx, 30*time.Millisecond)
	}
}

// settle waits until everything the steady producers sent is acknowledged.
// The gate is closed by then.
func (l *load) settle(ctx context.Context) error {
	for n, cl := range l.steady {
		if err := cl.Flush(ctx); err != nil {
			return fmt.Errorf("producer %d is not acknowledged: %w", n, err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
