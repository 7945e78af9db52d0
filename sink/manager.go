package sink

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/upsert"
)

// Manager runs a sink for every topic that has tables. Safe for concurrent use.
type Manager struct {
	cfg  Config
	cuts chan struct{} // a place for each cut that may be under way
	// nudged wakes the keeper: a table got its first commit since the last round.
	nudged chan struct{}

	mu       sync.Mutex
	sinks    map[storage.TopicID]*running // guarded by mu
	adjusted chan struct{}                // guarded by mu: closed and replaced when sinks changed
	index    *upsert.Budget               // of all tables' keys
	ended    bool                         // guarded by mu: Run has returned, or is about to
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
	if cfg.Cut == nil {
		cfg.Cut = func() func() { return func() {} }
	}
	if cfg.encode == nil {
		cfg.encode = parquet.Encode
	}
	if cfg.KeepEvery <= 0 {
		cfg.KeepEvery = defaultKeepEvery
	}
	return &Manager{
		cfg: cfg, cuts: make(chan struct{}, min(maxCuts, runtime.GOMAXPROCS(0))), nudged: make(chan struct{}, 1),
		sinks: map[storage.TopicID]*running{}, adjusted: make(chan struct{}),
		index: upsert.NewBudget(indexBytes),
	}
}

// Run starts and stops sinks as topics come, change and go, and maintains their
// tables, until ctx ends. It returns when all sinks have, and the keeper.
func (m *Manager) Run(ctx context.Context) error {
	kept := make(chan struct{})
	defer func() { <-kept }()
	go func() {
		defer close(kept)
		m.keep(ctx)
	}()
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
	}
	for _, r := range ended {
		<-r.done
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, t := range want {
		if _, ok := m.sinks[id]; !ok {
			m.sinks[id] = m.start(ctx, t)
		}
	}
	m.nudge()
	close(m.adjusted)
	m.adjusted = make(chan struct{})
}

// start runs one sink.
func (m *Manager) start(ctx context.Context, t Topic) *running {
	c := m.cfg
	s := &sink{
		topic: t, logs: c.Logs, registry: c.Registry, formats: c.Formats, store: c.Store, items: c.Items,
		incarnation: c.Incarnation, fault: c.Fault, tracer: c.Tracer, namespace: c.Namespace, lg: c.Log.With("topic", t.Name), now: c.Now,
		encode: c.encode, cuts: m.cuts, cutting: c.Cut, flushes: make(chan *flush), chores: make(chan *chore), status: &statusBoard{all: condition{state: Running}}, done: make(chan struct{}),
		members: newMembers(t, c.Formats, m.index), budget: m.index,
		upkeep: newUpkeep(time.Now().Add(c.KeepEvery)), gauge: newGauge(t.CommitInterval),
	}
	s.noteCommit = func() {
		if s.upkeep.note(time.Now().Add(c.KeepEvery)) {
			m.nudge()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	go s.run(ctx)
	return &running{s, cancel}
}

func (m *Manager) stopAll() {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	clear(m.sinks)
	m.ended = true
	close(m.adjusted)
	m.adjusted = make(chan struct{})
	m.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
	for _, r := range all {
		<-r.done
	}
}

// find returns the sink of a topic by name, as the topic is now: one that is
// about to be started, or started again, is waited for, so that a command right
// after a change finds it made.
func (m *Manager) find(ctx context.Context, topic string) (*sink, error) {
	for {
		m.mu.Lock()
		adjusted, ended, all := m.adjusted, m.ended, maps.Clone(m.sinks)
		m.mu.Unlock()
		if ended {
			return nil, ErrStopped
		}
		topics, _ := m.cfg.Topics()
		i := slices.IndexFunc(topics, func(t Topic) bool { return t.Name == topic })
		if i < 0 {
			return nil, fmt.Errorf("topic %q: %w", topic, ErrNoTable)
		}
		if r := all[topics[i].ID]; r != nil && reflect.DeepEqual(r.topic, topics[i].withDefaults()) {
			return r.sink, nil
		}
		select {
		case <-adjusted:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// gone returns when a sink that has ended is no longer among those that run.
func (m *Manager) gone(ctx context.Context, s *sink) error {
	for {
		m.mu.Lock()
		adjusted, r := m.adjusted, m.sinks[s.topic.ID]
		m.mu.Unlock()
		if r == nil || r.sink != s {
			return nil
		}
		select {
		case <-adjusted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
