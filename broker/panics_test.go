package broker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// panics is a log handler that keeps reports of panics.
type panics struct {
	mu   sync.Mutex
	text string // guarded by mu
}

func (p *panics) logger() *slog.Logger                         { return slog.New(p) }
func (p *panics) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (p *panics) WithAttrs([]slog.Attr) slog.Handler           { return p }
func (p *panics) WithGroup(string) slog.Handler                { return p }

func (p *panics) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "panic") {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.text += r.Message
		r.Attrs(func(a slog.Attr) bool {
			p.text += "\n" + a.String()
			return true
		})
	}
	return nil
}

func (p *panics) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.text = "" }()
	return p.text
}

// TestPanicEndsOneConnection lets a handler panic: its connection ends, with a
// report, and nothing else.
func TestPanicEndsOneConnection(t *testing.T) {
	lg := &panics{}
	b, err := Open(t.Context(), Config{
		Engine: memory.New(), Listeners: []Listener{{Addr: "127.0.0.1:0"}}, Log: lg.logger(),
		Validate: func(context.Context, *topic.Topic, *record.Reader, api.Origin) ([]api.RecordError, error) {
			panic("a bug")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if _, err := b.topics.Create(t.Context(), topic.Spec{Name: "t", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(3)
	fillSeed(t, req)
	c := b.newConnection(b.listeners[0], newScript(nil))
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
	err = c.dispatch(t.Context(), frame[4:], &answer{})
	if text := lg.take(); !errors.Is(err, errHandler) || !strings.Contains(text, "a bug") || !strings.Contains(text, "panics_test.go") {
		t.Errorf("got %v, and the log says %q", err, text)
	}
	err = c.answer(t.Context(), answer{request: &api.Request{Body: req}, reply: func(context.Context) (kmsg.Response, error) { panic("another") }})
	if text := lg.take(); !errors.Is(err, errHandler) || !strings.Contains(text, "another") {
		t.Errorf("got %v, and the log says %q", err, text)
	}
}
