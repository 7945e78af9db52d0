package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/tables"
)

// Manager runs a sink for every topic that has tables. Safe for concurrent use.
type Manager struct {
	cfg Config

	mu       sync.Mutex
	sinks    map[storage.TopicID]*running // guarded by mu
	adjusted chan struct{}                // guarded by mu: closed and replaced when sinks changed
}

// running is a sink and how to end it.
type running struct {
	*sink
	stop context.CancelFunc
}

// New returns a Manager; it does nothing until Run.
func New(cfg Config) *Manager {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Manager{cfg: cfg, sinks: map[storage.TopicID]*running{}, adjusted: make(chan struct{})}
}

// Run starts and stops sinks as topics come, change and go, until ctx ends. It
// returns when all sinks have.
func (m *Manager) Run(ctx context.Context) error {
	defer m.stopAll()
	for {
		topics, changed := m.cfg.Topics()
		m.adjust(ctx, topics)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// adjust makes the running sinks those of topics.
func (m *Manager) adjust(ctx context.Context, topics []Topic) {
	want := map[storage.TopicID]Topic{}
	for _, t := range topics {
		want[t.ID] = t.withDefaults()
	}
	m.mu.Lock()
	var ended []*running
	for id, r := range m.sinks {
		if t, ok := want[id]; !ok || !reflect.DeepEqual(t, r.topic) {
			ended = append(ended, r)
			delete(m.sinks, id)
		}
	}
	m.mu.Unlock()
	for _, r := range ended {
		r.stop()
		<-r.done
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, t := range want {
		if _, ok := m.sinks[id]; !ok {
			m.sinks[id] = m.start(ctx, t)
		}
	}
	close(m.adjusted)
	m.adjusted = make(chan struct{})
}

// start runs one sink.
func (m *Manager) start(ctx context.Context, t Topic) *running {
	c := m.cfg
	s := &sink{
		topic: t, logs: c.Logs, registry: c.Registry, formats: c.Formats, store: c.Store, items: c.Items,
		incarnation: c.Incarnation, namespace: c.Namespace, lg: c.Log.With("topic", t.Name), now: c.Now,
		flushes: make(chan *flush), status: &statusBoard{state: Running}, done: make(chan struct{}),
		deadTables: map[string]tables.Table{},
	}
	ctx, cancel := context.WithCancel(ctx)
	go s.run(ctx)
	return &running{s, cancel}
}

func (m *Manager) stopAll() {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	clear(m.sinks)
	m.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
	for _, r := range all {
		<-r.done
	}
}

// find returns the sink of a topic by name. One that is about to be started is
// waited for, so that a command right after the topic's creation finds it.
func (m *Manager) find(ctx context.Context, topic string) (*sink, error) {
	for {
		m.mu.Lock()
		adjusted := m.adjusted
		for _, r := range m.sinks {
			if r.topic.Name == topic {
				m.mu.Unlock()
				return r.sink, nil
			}
		}
		m.mu.Unlock()
		topics, _ := m.cfg.Topics()
		if !slices.ContainsFunc(topics, func(t Topic) bool { return t.Name == topic }) {
			return nil, fmt.Errorf("topic %q: %w", topic, ErrNoTable)
		}
		select {
		case <-adjusted:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Flush commits everything that is in the log now and returns when all formats
// have it. Errors: ErrNoTable, ctx's, or why the sink cannot go on.
func (m *Manager) Flush(ctx context.Context, topic string) (Flushed, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Flushed{}, err
	}
	_, _, _, rows := s.status.get()
	f := &flush{begun: rows, answer: make(chan flushAnswer, 1)}
	select {
	case s.flushes <- f:
	case <-s.done:
		return Flushed{}, errors.New("the sink has stopped")
	case <-ctx.Done():
		return Flushed{}, ctx.Err()
	}
	select {
	case a := <-f.answer:
		if a.err != nil {
			return Flushed{}, fmt.Errorf("flush topic %q: %w", topic, a.err)
		}
		return a.flushed, nil
	case <-s.done:
		return Flushed{}, errors.New("the sink has stopped")
	case <-ctx.Done():
		return Flushed{}, ctx.Err()
	}
}

// Status describes one topic's tables. Errors: ErrNoTable.
func (m *Manager) Status(ctx context.Context, topic string) (Status, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Status{}, err
	}
	return s.describe(ctx), nil
}

// Statuses describes all tables, by topic name.
func (m *Manager) Statuses(ctx context.Context) []Status {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *running) int { return strings.Compare(a.topic.Name, b.topic.Name) })
	out := make([]Status, len(all))
	for i, r := range all {
		out[i] = r.describe(ctx)
	}
	return out
}

// openTables are the tables that a sink has opened, for reading by others.
type openTables struct {
	mu  sync.Mutex
	all map[[2]string]tables.Table // guarded by mu, by format and table
}

func (o *openTables) put(format, name string, t tables.Table) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[[2]string]tables.Table{}
	}
	o.all[[2]string{format, name}] = t
}

func (o *openTables) get(format, name string) tables.Table {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[[2]string{format, name}]
}

// reopen returns a table for reading. One that the sink has not opened is
// opened here; one that is not there is an error and is not made.
func (s *sink) reopen(ctx context.Context, format, name string) (tables.Table, error) {
	if t := s.opened.get(format, name); t != nil {
		return t, nil
	}
	f, ok := s.formats[format]
	if !ok {
		return nil, fmt.Errorf("table format %q is not there", format)
	}
	t, err := f.Open(ctx, tables.Spec{Namespace: s.namespace, Name: name})
	if err != nil {
		return nil, fmt.Errorf("open %s table %s: %w", format, name, err)
	}
	return t, nil
}

// describe puts a status together from what the tables say.
func (s *sink) describe(ctx context.Context) Status {
	out := Status{Topic: s.topic.Name, Table: s.topic.Table, Formats: []FormatStatus{}}
	out.State, out.Message, out.Behind, _ = s.status.get()
	for _, name := range s.topic.Formats {
		fs := FormatStatus{Status: tables.Status{Format: name}}
		if t, err := s.reopen(ctx, name, s.topic.Table); err == nil {
			if st, err := t.Status(ctx); err == nil {
				fs.Status = st
			}
			if p, err := t.Progress(ctx); err == nil {
				fs.Offsets = p.Offsets
			}
		}
		if t, err := s.reopen(ctx, name, s.topic.Table+deadSuffix); err == nil {
			if st, err := t.Status(ctx); err == nil {
				fs.DeadLetters = st.Rows
			}
		}
		out.Formats = append(out.Formats, fs)
	}
	return out
}
