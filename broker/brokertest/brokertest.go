// Package brokertest gives Go tests a real broker in one line: the same code as
// in production on a memory engine, listening on a free port of loopback.
//
//	b := brokertest.New(t)
//	cl := b.Client(t)                   // a *kgo.Client
//	b.Topic(t, "orders", 3)
//	…
//	records := b.Records(t, "orders")
//
// It is the broker alone. Package sink/tarntest has one with registry, tables and SQL.
package brokertest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// Broker is a running broker that ends with its test.
type Broker struct {
	*broker.Broker
	stop   func()
	user   *login // nil: nobody is asked
	trust  *tls.Config
	faults atomic.Pointer[func(broker.Asked) broker.Fault]
}

type login struct{ name, password string }

// settings are what options change.
type settings struct {
	cfg   broker.Config
	users []login
	tls   bool
	fault func(broker.Asked) broker.Fault
}

// Option changes how a broker is made.
type Option func(*settings)

// WithEngine keeps the broker's data in e, which the caller closes.
func WithEngine(e storage.Engine) Option { return func(s *settings) { s.cfg.Engine = e } }

// WithConfig changes any setting.
func WithConfig(change func(*broker.Config)) Option {
	return func(s *settings) { change(&s.cfg) }
}

// WithAuth makes clients sign in by SCRAM-SHA-256; given several times there are
// several users. Client signs in as the first one.
func WithAuth(user, password string) Option {
	return func(s *settings) { s.users = append(s.users, login{user, password}) }
}

// WithTLS makes the broker speak TLS, by a certificate of its own for 127.0.0.1 and
// localhost. Client trusts it; TLS gives other clients what they need to.
func WithTLS() Option { return func(s *settings) { s.tls = true } }

// WithFault lets requests go wrong, as fault says. It is called by many goroutines.
// SetFault changes it while the broker runs.
func WithFault(fault func(broker.Asked) broker.Fault) Option {
	return func(s *settings) { s.fault = fault }
}

// WithClock is the broker's clock: of records, retention, transactions and quotas.
// Timeouts of groups and requests go by the real one.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.cfg.Now = now } }

// New starts a broker that stops when the test ends. Its log goes to the test's.
func New(t testing.TB, options ...Option) *Broker {
	t.Helper()
	out := &Broker{}
	s := settings{cfg: broker.Config{
		Listeners:         []broker.Listener{{Addr: "127.0.0.1:0"}},
		GroupInitialDelay: -1,
		Log:               slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now:               time.Now,
		Faults: func(a broker.Asked) broker.Fault {
			if f := out.faults.Load(); f != nil {
				return (*f)(a)
			}
			return broker.Fault{}
		},
	}}
	for _, o := range options {
		o(&s)
	}
	if s.cfg.Engine == nil {
		s.cfg.Engine = memory.New()
	}
	out.SetFault(s.fault)
	out.secure(t, &s)
	b, err := broker.Open(t.Context(), s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	out.Broker = b
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	out.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	t.Cleanup(out.stop)
	return out
}

// secure sets up users and certificates.
func (b *Broker) secure(t testing.TB, s *settings) {
	t.Helper()
	if s.tls {
		server, trust := certificate(t)
		b.trust = trust
		for i := range s.cfg.Listeners {
			s.cfg.Listeners[i].TLS = server
		}
	}
	if len(s.users) == 0 {
		return
	}
	users, err := auth.OpenUsers(t.Context(), s.cfg.Engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range s.users {
		c, err := auth.NewCredential(auth.SHA256, u.password, auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		if err := users.Alter(t.Context(), []auth.Change{{User: u.name, Mechanism: auth.SHA256, Set: &c}})[u.name]; err != nil {
			t.Fatal(err)
		}
	}
	b.user, s.cfg.Users = &s.users[0], users
	for i := range s.cfg.Listeners {
		s.cfg.Listeners[i].SASL = &auth.SASL{Mechanisms: []string{auth.ScramSHA256}, Users: users, FailureDelay: time.Millisecond}
	}
}

// Stop ends the broker before its test ends.
func (b *Broker) Stop() { b.stop() }

// SetFault exchanges what WithFault set; nil lets everything go well again. Safe for
// concurrent use.
func (b *Broker) SetFault(fault func(broker.Asked) broker.Fault) {
	if fault == nil {
		b.faults.Store(nil)
		return
	}
	b.faults.Store(&fault)
}

// Address is the host:port that clients connect to.
func (b *Broker) Address() string { return b.Addr().String() }

// Brokers is Address as clients' configurations want it.
func (b *Broker) Brokers() []string { return []string{b.Address()} }

// TLS trusts the broker's certificate; nil without WithTLS.
func (b *Broker) TLS() *tls.Config { return b.trust.Clone() }

// Client is a client of the broker, signed in if it asks for that, that closes when
// the test ends. Options come after its own.
func (b *Broker) Client(t testing.TB, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	own := []kgo.Opt{kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.MetadataMinAge(10 * time.Millisecond)}
	if b.trust != nil {
		own = append(own, kgo.DialTLSConfig(b.TLS()))
	}
	if b.user != nil {
		own = append(own, kgo.SASL(scram.Auth{User: b.user.name, Pass: b.user.password}.AsSha256Mechanism()))
	}
	cl, err := kgo.NewClient(append(own, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// Topic makes a topic; configs are key=value.
func (b *Broker) Topic(t testing.TB, name string, partitions int32, configs ...string) {
	t.Helper()
	set := map[string]string{}
	for _, c := range configs {
		key, value, ok := cut(c)
		if !ok {
			t.Fatalf("config %q of topic %s is not key=value", c, name)
		}
		set[key] = value
	}
	if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: name, Partitions: partitions, Configs: set}); err != nil {
		t.Fatalf("make topic %s: %v", name, err)
	}
}
