// Package trace continues the traces that producers begin: it reads W3C trace contexts
// from records' headers, and sends spans by OTLP over HTTP (protobuf). A nil Tracer is
// one that is off: everything may be called on it, and nothing happens.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/record"
)

// Limits of tracing.
const (
	// MaxContexts bounds the traces that one batch of records, or one commit of a
	// table, is part of: a batch of a thousand records may have a thousand. Those
	// beyond are left out.
	MaxContexts = 64
	// maxQueue bounds the spans that wait to be sent, some hundred bytes each;
	// further ones are dropped and counted.
	maxQueue = 4096
	// maxBatch is how many go in one request, OTEL_BSP_MAX_EXPORT_BATCH_SIZE's default.
	maxBatch = 512
	// gather is how long the first of a batch waits for others.
	gather = time.Second
	// sendTimeout bounds one request, and what is sent when the broker stops.
	sendTimeout = 10 * time.Second
)

// Header is the record header that carries a context.
const Header = "traceparent"

// Context is where in a trace something stands (W3C Trace Context).
type Context struct {
	TraceID [16]byte
	SpanID  [8]byte
}

// Parse reads a traceparent, version 00 or later. false: it is none, or its trace is
// not sampled, so that nobody would keep a span of it.
func Parse(b []byte) (Context, bool) {
	const size = 55 // 00-<32 hex>-<16 hex>-<2 hex>
	var c Context
	if len(b) < size || b[2] != '-' || b[35] != '-' || b[52] != '-' || string(b[:2]) == "ff" ||
		len(b) > size && (string(b[:2]) == "00" || b[size] != '-') {
		return c, false
	}
	var rest [2]byte // version and flags
	for _, part := range []struct{ to, from []byte }{{rest[:1], b[:2]}, {c.TraceID[:], b[3:35]}, {c.SpanID[:], b[36:52]}, {rest[1:], b[53:55]}} {
		if slices.ContainsFunc(part.from, func(c byte) bool { return c >= 'A' && c <= 'F' }) {
			return Context{}, false // lower case only
		}
		if _, err := hex.Decode(part.to, part.from); err != nil {
			return Context{}, false
		}
	}
	if c.TraceID == [16]byte{} || c.SpanID == [8]byte{} || rest[1]&1 == 0 {
		return Context{}, false
	}
	return c, true
}

// Set holds distinct contexts, MaxContexts at most, in the order they came. The zero
// value is empty; it belongs to one goroutine.
type Set struct{ all []Context }

// Look adds the context that a record carries, if it does.
func (s *Set) Look(r *record.Record) {
	if len(s.all) >= MaxContexts {
		return
	}
	text, ok := r.HeaderLast(Header)
	if !ok {
		return
	}
	if c, ok := Parse(text); ok && !slices.Contains(s.all, c) {
		s.all = append(s.all, c)
	}
}

// All are the contexts. The caller must not change them.
func (s *Set) All() []Context { return s.all }

// Kind is a span's kind, by its number in OTLP.
type Kind int32

// Kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
)

// Attr is an attribute of a span: a string, or an int64.
type Attr struct {
	Key   string
	Value any
}

// Span is one thing that took time.
type Span struct {
	// Context is its own; zero: a new one, in Parent's trace if there is a parent.
	Context
	Parent Context // zero: none
	Links  []Context
	Name   string
	Kind   Kind
	Begun  time.Time
	Ended  time.Time
	Attrs  []Attr
	Error  string // what went wrong; "": nothing
}

// Config configures a Tracer.
type Config struct {
	// Endpoint is the URL that spans are posted to.
	Endpoint string
	// Headers go with each request: keys of services.
	Headers map[string]string
	// Resource says who sends; service.name is part of it.
	Resource []Attr
	// Client sends; nil is one of its own.
	Client *http.Client
	Log    *slog.Logger
}

// Tracer sends spans. It costs nothing but its queue while there are none. Safe for
// concurrent use.
type Tracer struct {
	cfg    Config
	queue  chan Span
	sent   atomic.Int64
	lost   atomic.Int64 // dropped, or refused by the collector
	warned time.Time    // owned by Run
}

// New returns a Tracer, which sends once Run runs.
func New(cfg Config) *Tracer {
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: sendTimeout}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Tracer{cfg: cfg, queue: make(chan Span, maxQueue)}
}

// On reports whether spans go anywhere: what they are made of need not be looked for
// otherwise.
func (t *Tracer) On() bool { return t != nil }

// Start returns a context for a span: in its parent's trace, or in a trace of its own.
func Start(parent Context) Context {
	c := Context{TraceID: parent.TraceID}
	_, _ = rand.Read(c.SpanID[:]) // never fails
	if c.TraceID == [16]byte{} {
		_, _ = rand.Read(c.TraceID[:])
	}
	return c
}

// Emit takes a span that has ended. It never waits: where too many wait already, the
// span is dropped.
func (t *Tracer) Emit(s Span) {
	if t == nil {
		return
	}
	if s.Context == (Context{}) {
		s.Context = Start(s.Parent)
	}
	select {
	case t.queue <- s:
	default:
		t.lost.Add(1)
	}
}

// Counts are how many spans were sent, and how many were not to be.
func (t *Tracer) Counts() (sent, lost int64) {
	if t == nil {
		return 0, 0
	}
	return t.sent.Load(), t.lost.Load()
}

// Run sends spans until ctx ends, and then those that wait.
func (t *Tracer) Run(ctx context.Context) {
	if t == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
			defer stop()
			for all := t.waiting(nil); len(all) > 0; all = t.waiting(nil) {
				t.send(last, all)
			}
			return
		case s := <-t.queue:
			t.send(context.WithoutCancel(ctx), t.gathered(ctx, s))
		}
	}
}

// gathered waits a moment for what comes with a span.
func (t *Tracer) gathered(ctx context.Context, first Span) []Span {
	all := []Span{first}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for len(all) < maxBatch {
		select {
		case s := <-t.queue:
			all = append(all, s)
		case <-timer.C:
			return all
		case <-ctx.Done():
			return t.waiting(all)
		}
	}
	return all
}

// waiting adds what is in the queue.
func (t *Tracer) waiting(all []Span) []Span {
	for len(all) < maxBatch {
		select {
		case s := <-t.queue:
			all = append(all, s)
		default:
			return all
		}
	}
	return all
}
