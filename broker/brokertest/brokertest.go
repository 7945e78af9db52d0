// Package brokertest gives Go tests a real broker in one line: the same code as
// in production on a memory engine, listening on a free port of loopback.
package brokertest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// Broker is a running broker that ends with its test.
type Broker struct {
	*broker.Broker
	stop func()
}

// Option changes how a broker is made.
type Option func(*broker.Config)

// WithEngine keeps the broker's data in e, which the caller closes.
func WithEngine(e storage.Engine) Option { return func(c *broker.Config) { c.Engine = e } }

// WithConfig changes any setting.
func WithConfig(change func(*broker.Config)) Option { return change }

// New starts a broker that stops when the test ends. Its log goes to the test's.
func New(t testing.TB, options ...Option) *Broker {
	t.Helper()
	cfg := broker.Config{
		Listeners:         []broker.Listener{{Addr: "127.0.0.1:0"}},
		GroupInitialDelay: -1,
		Log:               slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now:               time.Now,
	}
	for _, o := range options {
		o(&cfg)
	}
	if cfg.Engine == nil {
		cfg.Engine = memory.New()
	}
	b, err := broker.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	out := &Broker{Broker: b}
	out.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	t.Cleanup(out.stop)
	return out
}

// Stop ends the broker before its test ends.
func (b *Broker) Stop() { b.stop() }

// Address is the host:port that clients connect to.
func (b *Broker) Address() string { return b.Addr().String() }
