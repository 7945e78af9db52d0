package topic

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Store is what this package needs of a storage.Engine.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Defaults are the broker's own settings for topics. The zero value is usable.
type Defaults struct {
	// Partitions is the number a new topic gets if none is asked for
	// (num.partitions); 0 means 1.
	Partitions int32
	// Configs holds the broker's defaults of topic configs by the topic's
	// key: retention.ms, not log.retention.ms. Aliases are fine.
	Configs map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NewID makes topic ids; nil means random UUIDs (version 4).
	NewID func() storage.TopicID
	// Check holds a topic that is made, or whose configs about tables and values
	// are changed, against what only others know, such as its schemas; nil takes all.
	// It is called while other changes wait, and must not change topics. The error is
	// a *ConfigError.
	Check func(t *Topic) error
}

// Topics keeps all topics of a store. Methods may be called concurrently; the
// changing ones run one at a time.
type Topics struct {
	store      Store
	partitions int32
	static     map[string]string // the broker's own defaults; canonical, checked, never written
	now        func() time.Time
	newID      func() storage.TopicID
	check      func(t *Topic) error
	view       atomic.Pointer[View]

	mu sync.Mutex // held by the one change under way
	// stale is set when a Commit failed and the store could not be looked at
	// afterwards: the next change looks first. Guarded by mu.
	stale bool
}

// Open reads all topics from the store. The error is a *ConfigError if a
// default is bad, and wraps storage.ErrBroken if a stored topic cannot be.
func Open(ctx context.Context, store Store, d Defaults) (*Topics, error) {
	static, err := Canonical(d.Configs)
	if err != nil {
		return nil, err
	}
	t := &Topics{store: store, partitions: d.Partitions, static: static, now: d.Now, newID: d.NewID, check: d.Check}
	if t.partitions == 0 {
		t.partitions = 1
	}
	if t.partitions < 1 || t.partitions > MaxPartitions {
		return nil, fmt.Errorf("%w: the default is %d, allowed are 1 to %d", ErrPartitions, t.partitions, MaxPartitions)
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.newID == nil {
		t.newID = randomID
	}
	if t.check == nil {
		t.check = func(*Topic) error { return nil }
	}
	v, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	t.view.Store(v)
	return t, nil
}

// randomID makes a UUID of version 4. crypto/rand.Read never fails.
func randomID() storage.TopicID {
	var id storage.TopicID
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// load reads all topics into a new view.
func (t *Topics) load(ctx context.Context) (*View, error) {
	d, err := t.loadDefaults(ctx)
	if err != nil {
		return nil, err
	}
	topics := make(map[storage.TopicID]*Topic)
	for it, err := range t.store.Scan(ctx, keyTopic) {
		if err != nil {
			return nil, fmt.Errorf("read topics: %w", err)
		}
		topic, err := decode(it)
		if err != nil {
			return nil, err
		}
		if topic.Config, err = effective(d.merged, topic.Overrides); err != nil {
			return nil, fmt.Errorf("%w: topic %q: %w", storage.ErrBroken, topic.Name, err)
		}
		topics[topic.ID] = topic
	}
	return newView(topics, d)
}

// View returns the topics as they are now. It never blocks.
func (t *Topics) View() *View { return t.view.Load() }

// publish swaps the view and wakes whoever waits on the old one. mu is held.
func (t *Topics) publish(v *View) {
	old := t.view.Swap(v)
	close(old.changed)
}

// commit makes w durable and, if that worked, publishes next. After a failure
// it looks at the store again, since the Write may have been applied, or
// another process may have written: memory then agrees with the store
// whatever happened. mu is held.
func (t *Topics) commit(ctx context.Context, w storage.Write, next func(topics map[storage.TopicID]*Topic)) error {
	return t.commitView(ctx, w, func() (*View, error) {
		topics := maps.Clone(t.View().byID)
		next(topics)
		return newView(topics, t.View().defaults)
	})
}

// commitView is commit with the whole view that is to be published.
func (t *Topics) commitView(ctx context.Context, w storage.Write, next func() (*View, error)) error {
	err := t.store.Commit(ctx, w)
	if err == nil {
		v, err := next()
		if err != nil {
			return err
		}
		t.publish(v)
		return nil
	}
	if errors.Is(err, storage.ErrInvalid) || errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrClosed) {
		return err
	}
	t.stale = true
	if lookErr := t.refresh(ctx); lookErr != nil {
		return errors.Join(err, lookErr)
	}
	return err
}

// refresh reads the store again if memory may differ from it. mu is held.
func (t *Topics) refresh(ctx context.Context) error {
	if !t.stale {
		return nil
	}
	// A look after a failure must not fail because the caller gave up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	v, err := t.load(ctx)
	if err != nil {
		return err
	}
	t.stale = false
	t.publish(v)
	return nil
}

// lookTimeout bounds the look at the store after a failed Commit; a store that
// cannot be read for so long will fail the next change as well.
const lookTimeout = 10 * time.Second
