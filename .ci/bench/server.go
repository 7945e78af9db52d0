package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

// patience bounds every single step.
const patience = 5 * time.Minute

// server is a running broker with what it takes to talk to it.
type server struct {
	*process.Broker
	bench *bench
	ready process.Ready
	data  string
	api   *process.API

	peak     atomic.Int64  // the most memory that the watch has seen, in bytes
	watching chan struct{} // closed to end the watch over memory
	watched  sync.WaitGroup
}

// serve starts a broker on a data directory of the given name, which is made
// if it is not there, and waits until it is ready.
func (b *bench) serve(name string) (*server, error) {
	data := filepath.Join(b.home, name)
	p, err := process.Start(process.Config{Binary: b.binary, Data: data})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	ready, err := p.Ready(ctx)
	if err != nil {
		p.Kill()
		return nil, err
	}
	return &server{Broker: p, bench: b, ready: ready, data: data,
		api: process.NewAPI(ready.HTTP, patience)}, nil
}

// load does what serve does, and watches the broker's memory.
func (b *bench) load(name string) (*server, error) {
	s, err := b.serve(name)
	if err != nil {
		return nil, err
	}
	s.watching = make(chan struct{})
	s.watched.Go(func() {
		for {
			if n, _, err := s.Resident(); err == nil {
				b.loaded = max(b.loaded, n)
				s.peak.Store(max(s.peak.Load(), n))
			}
			select {
			case <-s.watching:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return s, nil
}

// end stops the broker and removes its data.
func (s *server) end() error {
	if err := s.stop(); err != nil {
		return err
	}
	return os.RemoveAll(s.data)
}

// stop stops the broker and keeps its data.
func (s *server) stop() error {
	if s.watching != nil {
		close(s.watching)
		s.watched.Wait()
	}
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	return s.Stop(ctx)
}

// topic makes a topic.
func (s *server) topic(name string, partitions int32, configs map[string]string) error {
	cl, err := s.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	set := map[string]*string{}
	for k, v := range configs {
		set[k] = &v
	}
	answer, err := kadm.NewClient(cl).CreateTopic(s.bench.ctx, partitions, 1, set, name)
	if err != nil {
		return fmt.Errorf("create topic %s: %w: %s", name, err, answer.ErrMessage)
	}
	return nil
}

// client connects an ordinary client: idempotent, acks=all, no compression, so
// that the bytes sent are the bytes stored.
func (s *server) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(s.ready.Kafka),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
}

// clients connects n of them.
func (s *server) clients(n int, opts ...kgo.Opt) ([]*kgo.Client, func(), error) {
	var out []*kgo.Client
	done := func() {
		for _, cl := range out {
			cl.Close()
		}
	}
	for range n {
		cl, err := s.client(opts...)
		if err != nil {
			done()
			return nil, nil, err
		}
		out = append(out, cl)
	}
	return out, done, nil
}

// effort begins to measure the CPU time that the broker itself takes: call the
// result afterwards. Unlike throughput it hardly depends on what else the
// machine does.
func (s *server) effort() (func() (time.Duration, error), error) {
	before, err := s.CPU()
	return func() (time.Duration, error) {
		after, err := s.CPU()
		return after - before, err
	}, err
}

// addEffort adds the line of an effort for some bytes.
func (b *bench) addEffort(name string, used time.Duration, bytes int) {
	b.table.add(name+", broker's CPU", "s/GB", used.Seconds()*1e9/float64(bytes), 0, "")
}
