// Package groupconfig keeps the settings of groups, Kafka's config resource of
// type GROUP (32): what a client sets with IncrementalAlterConfigs and the group
// packages read. A group need not exist to have settings.
//
// Each group with settings has an item, key groupconfig/<group>, whose value is
// a JSON object from key to value, both strings. It is durable before it is in
// force.
package groupconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	prefix = "groupconfig/"
	// maxGroups bounds the groups with settings; all of them are in memory.
	maxGroups = 100_000
	// maxName bounds a group's name, so that its key fits storage.MaxKeyBytes.
	maxName = 1024
)

// Error refuses a change. Nothing was changed.
type Error struct {
	Key, Value string
	Reason     string // what is wrong
}

// Error names key, value and reason.
func (e *Error) Error() string {
	return fmt.Sprintf("group config %s=%q: %s", e.Key, e.Value, e.Reason)
}

// ErrTooMany refuses settings for one more group.
var ErrTooMany = errors.New("too many groups have settings of their own")

// Store is where settings are kept; a storage.Engine is one.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Get(ctx context.Context, key string) (storage.Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Configs are the settings of all groups. Safe for concurrent use.
type Configs struct {
	store Store
	defs  map[Key]Definition // never written to

	writing sync.Mutex // held over a change, with its Commit; taken before mu

	mu     sync.RWMutex
	groups map[string]stored // guarded by mu
}

// stored is one group's item. values is never written to.
type stored struct {
	version int64
	values  map[Key]string
}

// Open reads all settings.
func Open(ctx context.Context, store Store) (*Configs, error) {
	c := &Configs{store: store, defs: map[Key]Definition{}, groups: map[string]stored{}}
	for _, d := range Definitions() {
		c.defs[d.Key] = d
	}
	for it, err := range store.Scan(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("read group configs: %w", err)
		}
		s, err := decode(it)
		if err != nil {
			return nil, err
		}
		c.groups[strings.TrimPrefix(it.Key, prefix)] = s
	}
	return c, nil
}

func decode(it storage.Item) (stored, error) {
	s := stored{version: it.Version}
	if it.Version == 0 {
		return s, nil
	}
	if err := json.Unmarshal(it.Value, &s.values); err != nil {
		return s, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	return s, nil
}

// Change sets a key, or goes back to its default.
type Change struct {
	Key    string
	Value  string
	Delete bool
}

// Alter changes a group's settings, all or none, and returns when that is
// durable. With replace, keys that no change names go back to their defaults;
// with validateOnly nothing is changed. Errors: *Error, ErrTooMany, or the
// store's.
func (c *Configs) Alter(ctx context.Context, group string, changes []Change, replace, validateOnly bool) error {
	if group == "" || len(group) > maxName {
		return &Error{Reason: fmt.Sprintf("a group's name has 1 to %d bytes", maxName)}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.RLock()
	was, n := c.groups[group], len(c.groups)
	c.mu.RUnlock()
	values := map[Key]string{}
	if !replace {
		maps.Copy(values, was.values)
	}
	if err := c.apply(values, changes); err != nil {
		return err
	}
	switch {
	case validateOnly || maps.Equal(values, was.values):
		return nil
	case was.version == 0 && n >= maxGroups:
		return ErrTooMany
	}
	return c.write(ctx, group, was, values)
}

// apply changes values and holds the result against the rules.
func (c *Configs) apply(values map[Key]string, changes []Change) error {
	for _, ch := range changes {
		d, ok := c.defs[Key(ch.Key)]
		if !ok {
			return &Error{ch.Key, ch.Value, "is no setting of a group"}
		}
		if ch.Delete {
			delete(values, d.Key)
			continue
		}
		value := strings.TrimSpace(ch.Value)
		if d.Kind == Bool {
			value = strings.ToLower(value)
		}
		if why := d.Check(value); why != "" {
			return &Error{ch.Key, ch.Value, why}
		}
		values[d.Key] = value
	}
	return nil
}

func (c *Configs) write(ctx context.Context, group string, was stored, values map[Key]string) error {
	it := storage.Item{Key: prefix + group, Version: was.version, Delete: len(values) == 0}
	var err error
	if it.Value, err = json.Marshal(values); err != nil {
		return fmt.Errorf("encode group config: %w", err)
	}
	w := storage.Write{Set: []storage.Item{it}}
	if err := c.store.Commit(ctx, w); err != nil {
		return errors.Join(fmt.Errorf("store group config: %w", err), c.reload(context.WithoutCancel(ctx), group))
	}
	c.put(group, stored{w.Set[0].Version, values})
	return nil
}

// reload reads a group's settings after a Commit whose outcome may be either.
func (c *Configs) reload(ctx context.Context, group string) error {
	it, err := c.store.Get(ctx, prefix+group)
	if err != nil {
		return fmt.Errorf("read group config: %w", err)
	}
	s, err := decode(it)
	if err == nil {
		c.put(group, s)
	}
	return err
}

func (c *Configs) put(group string, s stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.version == 0 {
		delete(c.groups, group)
		return
	}
	c.groups[group] = s
}

// Names lists the groups with settings of their own, in order.
func (c *Configs) Names() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.groups))
}

// Value is a setting of a group, or its default; set says which.
func (c *Configs) Value(group string, key Key) (value string, set bool) {
	c.mu.RLock()
	value, set = c.groups[group].values[key]
	c.mu.RUnlock()
	if !set {
		value = c.defs[key].Default
	}
	return value, set
}

// Int is a setting that is a number. A stored value outside today's bounds
// counts as the nearest one.
func (c *Configs) Int(group string, key Key) int64 {
	d := c.defs[key]
	value, _ := c.Value(group, key)
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		n, _ = strconv.ParseInt(d.Default, 10, 64)
	}
	return min(max(n, d.Min), d.Max)
}

// Duration is a setting in milliseconds.
func (c *Configs) Duration(group string, key Key) time.Duration {
	return time.Duration(c.Int(group, key)) * time.Millisecond
}

// Bool is a setting that is true or false.
func (c *Configs) Bool(group string, key Key) bool {
	value, _ := c.Value(group, key)
	return value == "true"
}
