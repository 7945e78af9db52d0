package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Each subscription has an item, key client-metrics/<name>, whose value is a
// JSON object from key to value, both strings. It is durable before it is in
// force.
const prefix = "client-metrics/"

func nameOf(key string) string { return strings.TrimPrefix(key, prefix) }

// ErrTooMany refuses one more subscription.
var ErrTooMany = errors.New("too many subscriptions of client metrics")

// decode reads an item; nil if it is not there.
func decode(it storage.Item) (*subscription, error) {
	if it.Version == 0 {
		return nil, nil
	}
	var values map[Key]string
	err := json.Unmarshal(it.Value, &values)
	if err == nil {
		var s *subscription
		if s, err = parse(values); err == nil {
			s.item = it.Version
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
}

// Op is what a Change does, with IncrementalAlterConfigs' numbers.
type Op int8

// The operations. Append and Subtract are for lists.
const (
	Set Op = iota
	Delete
	Append
	Subtract
)

// Change changes one setting.
type Change struct {
	Key   Key
	Op    Op
	Value string
}

// Alter changes a subscription, all or nothing, and returns when that is
// durable; one without settings is gone. With replace, settings that no change
// names go back to their defaults; with validateOnly nothing is changed.
// Errors: *Refusal, ErrTooMany, or the store's.
func (t *Telemetry) Alter(ctx context.Context, name string, changes []Change, replace, validateOnly bool) error {
	if name == "" || len(name) > maxName {
		return &Refusal{"name", name, fmt.Sprintf("a subscription's name has 1 to %d bytes", maxName), true}
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	was, n := t.subscriptions[name], len(t.subscriptions)
	t.mu.Unlock()
	values := map[Key]string{}
	if was == nil {
		was = &subscription{}
	}
	if !replace {
		maps.Copy(values, was.values)
	}
	for _, c := range changes {
		if err := apply(values, c); err != nil {
			return err
		}
	}
	next, err := parse(values)
	switch {
	case err != nil:
		return err
	case validateOnly || maps.Equal(values, was.values):
		return nil
	case was.item == 0 && n >= maxSubscriptions:
		return ErrTooMany
	}
	return t.write(ctx, name, was, next)
}

// apply changes values by c.
func apply(values map[Key]string, c Change) error {
	d, ok := definition(c.Key)
	if !ok {
		return &Refusal{string(c.Key), c.Value, "is no setting of a subscription", true}
	}
	switch {
	case c.Op == Set:
		values[c.Key] = c.Value
		return nil
	case c.Op == Delete:
		delete(values, c.Key)
		return nil
	case !d.List:
		return &Refusal{string(c.Key), c.Value, "is no list to append to or subtract from", false}
	}
	words := splitList(values[c.Key])
	for _, w := range splitList(c.Value) {
		i := slices.Index(words, w)
		switch {
		case c.Op == Append && i < 0:
			words = append(words, w)
		case c.Op == Subtract && i >= 0:
			words = slices.Delete(words, i, i+1)
		}
	}
	values[c.Key] = strings.Join(words, ",")
	return nil
}

func (t *Telemetry) write(ctx context.Context, name string, was, next *subscription) error {
	it := storage.Item{Key: prefix + name, Version: was.item, Delete: len(next.values) == 0}
	var err error
	if it.Value, err = json.Marshal(next.values); err != nil {
		return fmt.Errorf("encode subscription of client metrics: %w", err)
	}
	w := storage.Write{Set: []storage.Item{it}}
	if err := t.store.Commit(ctx, w); err != nil {
		// It may have been done all the same: what is stored counts.
		return errors.Join(fmt.Errorf("store subscription of client metrics: %w", err), t.reload(context.WithoutCancel(ctx), name))
	}
	next.item = w.Set[0].Version
	if it.Delete {
		next = nil
	}
	t.put(name, next)
	return nil
}

func (t *Telemetry) reload(ctx context.Context, name string) error {
	it, err := t.store.Get(ctx, prefix+name)
	if err != nil {
		return fmt.Errorf("read subscription of client metrics: %w", err)
	}
	s, err := decode(it)
	if err == nil {
		t.put(name, s)
	}
	return err
}

// put brings a subscription into force; nil ends it.
func (t *Telemetry) put(name string, s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.version++; s == nil {
		delete(t.subscriptions, name)
		return
	}
	t.subscriptions[name] = s
}

// Names lists the subscriptions in order.
func (t *Telemetry) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.subscriptions))
}

// Value is a setting of a subscription, or its default; set says which.
func (t *Telemetry) Value(name string, key Key) (value string, set bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.subscriptions[name]; s != nil {
		value, set = s.values[key]
	}
	if !set {
		d, _ := definition(key)
		value = d.Default
	}
	return value, set
}
