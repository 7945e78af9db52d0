package topic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Spec asks for a new topic.
type Spec struct {
	Name string
	// Partitions is their number; -1 means the broker's default.
	Partitions int32
	// Configs are what the client set; aliases are fine.
	Configs map[string]string
	// ValidateOnly checks everything and creates nothing.
	ValidateOnly bool
}

// Create makes a topic and returns it once it is durable, or as it would be if
// only validation was asked for. Errors: ErrName, ErrExists, ErrPartitions,
// *ConfigError (refused); others mean that it failed, and the topic may be
// there: the view tells.
func (t *Topics) Create(ctx context.Context, s Spec) (*Topic, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	topic, err := t.plan(s)
	if err != nil || s.ValidateOnly {
		return topic, err
	}
	value, err := encode(topic)
	if err != nil {
		return nil, err
	}
	w := storage.Write{Set: []storage.Item{
		{Key: keyTopic + topic.ID.String(), Value: value},
		{Key: keyName + topic.Name, Value: []byte(topic.ID.String())},
	}}
	err = t.commit(ctx, w, func(topics map[storage.TopicID]*Topic) {
		topic.Version = w.Set[0].Version
		topics[topic.ID] = topic
	})
	if conflict := (*storage.Conflict)(nil); errors.As(err, &conflict) {
		return nil, fmt.Errorf("%w: %q", ErrExists, s.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("create topic %q: %w", s.Name, err)
	}
	return topic, nil
}

// plan checks s and builds the topic it asks for. mu is held.
func (t *Topics) plan(s Spec) (*Topic, error) {
	v := t.View()
	if err := CheckName(s.Name); err != nil {
		return nil, err
	}
	if v.ByName(s.Name) != nil {
		return nil, fmt.Errorf("%w: %q", ErrExists, s.Name)
	}
	if other := v.folded[fold(s.Name)]; other != nil {
		return nil, fmt.Errorf("%w: %q collides with %q, since '.' and '_' count as one", ErrName, s.Name, other.Name)
	}
	partitions := s.Partitions
	if partitions == -1 {
		partitions = t.partitions
	}
	if err := checkPartitions(v, 0, partitions); err != nil {
		return nil, err
	}
	overrides, err := Canonical(s.Configs)
	if err != nil {
		return nil, err
	}
	topic := &Topic{
		ID: t.newID(), Name: s.Name, Partitions: partitions,
		Overrides: overrides, CreatedMs: t.now().UnixMilli(),
	}
	topic.Config, err = consistent(v.defaults.merged, overrides)
	if err != nil {
		return nil, err
	}
	if err := checkTables(v, topic); err != nil {
		return nil, err
	}
	return topic, t.check(topic)
}

// checkPartitions says whether a topic of have partitions may get want.
func checkPartitions(v *View, have, want int32) error {
	switch {
	case want < 1:
		return fmt.Errorf("%w: %d; there is at least one", ErrPartitions, want)
	case want > MaxPartitions:
		return fmt.Errorf("%w: %d; a topic has at most %d", ErrPartitions, want, MaxPartitions)
	case v.parts+int(want-have) > MaxAllPartitions:
		return fmt.Errorf("%w: %d; the broker has %d already and takes at most %d",
			ErrPartitions, want, v.parts, MaxAllPartitions)
	}
	return nil
}

// checkTables refuses a table that another topic fills, or whose name is that
// of another's dead-letter table: two sinks on one table would each find the
// other's progress in it.
func checkTables(v *View, topic *Topic) error {
	if err := checkLife(topic); err != nil {
		return err
	}
	if len(topic.Config.TableFormats) == 0 {
		return nil
	}
	name := topic.Table()
	if err := checkTable(name); err != nil {
		return &ConfigError{Key: "tarn.table.name", Value: name, Reason: err.Error() + "; set a shorter one"}
	}
	for _, other := range v.all {
		if other.ID == topic.ID || len(other.Config.TableFormats) == 0 {
			continue
		}
		if o := other.Table(); o == name || o == name+deadLetters || o+deadLetters == name {
			return &ConfigError{Key: "tarn.table.name", Value: name,
				Reason: fmt.Sprintf("topic %q fills that table or its dead-letter table; set another name", other.Name)}
		}
	}
	return nil
}

// Delete removes a topic and the logs of all its partitions in one Commit.
// Errors: ErrNotFound (refused); others mean that it failed, and the topic may
// be gone: the view tells.
func (t *Topics) Delete(ctx context.Context, id storage.TopicID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return err
	}
	topic := t.View().ByID(id)
	if topic == nil {
		return fmt.Errorf("%w: id %s", ErrNotFound, id)
	}
	w := storage.Write{
		Set: []storage.Item{
			{Key: keyTopic + id.String(), Version: topic.Version, Delete: true},
			{Key: keyName + topic.Name, Version: storage.Any, Delete: true},
		},
		Trim: make([]storage.Trim, topic.Partitions),
	}
	for p := range w.Trim {
		w.Trim[p] = storage.Trim{TP: storage.TP{Topic: id, Partition: int32(p)}, Forget: true}
	}
	err := t.commit(ctx, w, func(topics map[storage.TopicID]*Topic) { delete(topics, id) })
	if err != nil {
		return fmt.Errorf("delete topic %q: %w", topic.Name, err)
	}
	return nil
}

// AddPartitions raises a topic's number of partitions to total and returns the
// topic as it is then. With validateOnly it changes nothing. Errors:
// ErrNotFound, ErrPartitions (refused; fewer or as many as now are refused
// too); others mean that it failed.
func (t *Topics) AddPartitions(ctx context.Context, name string, total int32, validateOnly bool) (*Topic, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, err := t.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if total <= old.Partitions {
		return nil, fmt.Errorf("%w: %q has %d, which can only be raised, not set to %d",
			ErrPartitions, name, old.Partitions, total)
	}
	if err := checkPartitions(t.View(), old.Partitions, total); err != nil {
		return nil, err
	}
	next := *old
	next.Partitions = total
	return t.save(ctx, &next, validateOnly)
}

// Op is what a Change does to a key.
type Op int8

// Operations, with the numbers of IncrementalAlterConfigs (KIP-339).
const (
	Set      Op = 0
	Delete   Op = 1 // back to the default
	Append   Op = 2 // add to a list what is not in it
	Subtract Op = 3 // take from a list what is in it
)

// Change alters one config of a topic.
type Change struct {
	Key   string // aliases are fine
	Op    Op
	Value string // of no meaning for Delete
}

// Alter changes a topic's configs, all of them or none, and returns the topic
// as it is then. With replaceAll what is not among changes goes back to its
// default (AlterConfigs). With validateOnly it changes nothing. Errors:
// ErrNotFound, *ConfigError (refused); others mean that it failed.
func (t *Topics) Alter(ctx context.Context, name string, changes []Change, replaceAll, validateOnly bool) (*Topic, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, err := t.find(ctx, name)
	if err != nil {
		return nil, err
	}
	next := *old
	if next.Overrides, err = t.alter(old.Overrides, changes, replaceAll); err != nil {
		return nil, err
	}
	if next.Config, err = consistent(t.View().defaults.merged, next.Overrides); err != nil {
		return nil, err
	}
	if err := checkTables(t.View(), &next); err != nil {
		return nil, err
	}
	if maps.Equal(next.Overrides, old.Overrides) {
		return old, nil
	}
	if asked(old.Overrides, next.Overrides) {
		if err := t.check(&next); err != nil {
			return nil, err
		}
	}
	return t.save(ctx, &next, validateOnly)
}

// asked reports whether a change is one for Defaults.Check: others are not held up
// by a schema that has changed since.
func asked(old, next map[string]string) bool {
	for _, pair := range [][2]map[string]string{{old, next}, {next, old}} {
		for key, value := range pair[0] {
			if other, has := pair[1][key]; (!has || other != value) && (strings.HasPrefix(key, "tarn.table.") || strings.HasPrefix(key, "tarn.value.")) {
				return true
			}
		}
	}
	return false
}

// alter works out new overrides and leaves the old ones alone.
func (t *Topics) alter(old map[string]string, changes []Change, replaceAll bool) (map[string]string, error) {
	next := make(map[string]string, len(old)+len(changes))
	if !replaceAll {
		maps.Copy(next, old)
	}
	touched := make(map[string]bool, len(changes))
	for _, c := range changes {
		pairs, err := t.resolveChange(next, c)
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			if touched[p.key] {
				return nil, &ConfigError{Key: c.Key, Value: c.Value, Reason: "two changes of one request name " + p.key}
			}
			touched[p.key] = true
			if c.Op == Delete {
				delete(next, p.key)
			} else {
				next[p.key] = p.value
			}
		}
	}
	return next, nil
}

// resolveChange gives the canonical keys that c touches and, unless it is a
// Delete, their new values.
func (t *Topics) resolveChange(overrides map[string]string, c Change) ([]pair, error) {
	switch c.Op {
	case Set:
		return resolve(c.Key, c.Value)
	case Delete:
		keys, err := targets(c.Key)
		var pairs []pair
		for _, k := range keys {
			pairs = append(pairs, pair{key: k})
		}
		return pairs, err
	case Append, Subtract:
		return t.resolveList(overrides, c)
	}
	return nil, &ConfigError{Key: c.Key, Value: c.Value, Reason: fmt.Sprintf("unknown operation %d", c.Op)}
}

// resolveList adds to or takes from the list that holds now, which is the
// default's if the topic has none of its own.
func (t *Topics) resolveList(overrides map[string]string, c Change) ([]pair, error) {
	keys, err := targets(c.Key)
	if err != nil {
		return nil, err
	}
	d := Definition{}
	if len(keys) == 1 {
		d, _ = Lookup(keys[0])
	}
	if d.Kind != List {
		return nil, &ConfigError{Key: c.Key, Value: c.Value, Reason: "is not a list; it can be set and deleted only"}
	}
	value, ok := overrides[d.Name]
	if !ok {
		value, ok = t.View().defaults.merged[d.Name]
	}
	if !ok {
		value = d.Default
	}
	items, named := splitList(value), splitList(c.Value)
	for _, n := range named {
		at := slices.Index(items, n)
		switch {
		case c.Op == Append && at < 0:
			items = append(items, n)
		case c.Op == Subtract && at >= 0:
			items = slices.Delete(items, at, at+1)
		}
	}
	return resolve(d.Name, strings.Join(items, ","))
}

// find returns the topic of that name. mu is held.
func (t *Topics) find(ctx context.Context, name string) (*Topic, error) {
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	topic := t.View().ByName(name)
	if topic == nil {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	return topic, nil
}

// save writes a changed topic over the version it was made from. mu is held.
func (t *Topics) save(ctx context.Context, next *Topic, validateOnly bool) (*Topic, error) {
	if validateOnly {
		return next, nil
	}
	value, err := encode(next)
	if err != nil {
		return nil, err
	}
	w := storage.Write{Set: []storage.Item{{Key: keyTopic + next.ID.String(), Value: value, Version: next.Version}}}
	err = t.commit(ctx, w, func(topics map[storage.TopicID]*Topic) {
		next.Version = w.Set[0].Version
		topics[next.ID] = next
	})
	if err != nil {
		return nil, fmt.Errorf("change topic %q: %w", next.Name, err)
	}
	return next, nil
}
