package topic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/tarn-io/tarn/broker/storage"
)

// keyDefaults is the item of the defaults that were set while the broker ran.
const keyDefaults = "topic-defaults"

// defaults are what the broker gives topics that set nothing themselves, by the
// topic's canonical keys: as it was started, and as it was set over the protocol
// (KIP-226), for all brokers or for this one. They are immutable.
type defaults struct {
	static  map[string]string
	dynamic dynamicDefaults
	merged  map[string]string // in force
	version int64             // of the item
}

// dynamicDefaults is the stored form.
type dynamicDefaults struct {
	Cluster map[string]string `json:"cluster,omitempty"`
	Broker  map[string]string `json:"broker,omitempty"`
}

func newDefaults(static map[string]string, d dynamicDefaults, version int64) *defaults {
	merged := maps.Clone(static)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, d.Cluster)
	maps.Copy(merged, d.Broker)
	return &defaults{static: static, dynamic: d, merged: merged, version: version}
}

// places lists where a key's default is set, the one in force first.
func (d *defaults) places(def Definition) []Synonym {
	name := def.Synonym
	if name == "" {
		name = def.Name
	}
	var out []Synonym
	for _, p := range []struct {
		values map[string]string
		source Source
	}{{d.dynamic.Broker, SourceDynamicBroker}, {d.dynamic.Cluster, SourceDynamicDefault}, {d.static, SourceBroker}} {
		if v, ok := p.values[def.Name]; ok {
			out = append(out, Synonym{name, v, p.source})
		}
	}
	return out
}

// loadDefaults reads what was set while the broker ran.
func (t *Topics) loadDefaults(ctx context.Context) (*defaults, error) {
	for it, err := range t.store.Scan(ctx, keyDefaults) {
		if err != nil {
			return nil, fmt.Errorf("read topic defaults: %w", err)
		}
		if it.Key != keyDefaults {
			continue
		}
		var d dynamicDefaults
		if err := json.Unmarshal(it.Value, &d); err != nil {
			return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		return newDefaults(t.static, d, it.Version), nil
	}
	return newDefaults(t.static, dynamicDefaults{}, 0), nil
}

// ByBrokerName finds the topic config whose default a broker config gives:
// retention.ms for log.retention.ms.
func ByBrokerName(name string) (Definition, bool) {
	for _, d := range definitions {
		if d.Synonym == name && name != "" {
			return d, true
		}
	}
	return Definition{}, false
}

// DescribeDefaults lists the broker configs that give topics their defaults, with
// the broker's names and all the places that set them.
func (t *Topics) DescribeDefaults() []Entry {
	v := t.View()
	var entries []Entry
	for _, d := range definitions {
		if d.Synonym == "" {
			continue
		}
		e := Entry{Definition: d}
		e.Synonyms = append(v.defaults.places(d), Synonym{d.Synonym, d.Default, SourceDefault})
		e.Name, e.Value, e.Source = d.Synonym, e.Synonyms[0].Value, e.Synonyms[0].Source
		entries = append(entries, e)
	}
	return entries
}

// AlterDefaults changes the broker's defaults, all of them or none, by the
// broker's names: for every broker of the cluster, or for this one, which goes
// first. Topics that set nothing themselves have them at once, and after a
// restart. With replaceAll what is not among changes is as it was at the start.
// With validateOnly it changes nothing. Errors: *ConfigError (refused); others
// mean that it failed.
func (t *Topics) AlterDefaults(ctx context.Context, cluster bool, changes []Change, replaceAll, validateOnly bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return err
	}
	old := t.View().defaults
	dynamic := old.dynamic
	level := &dynamic.Broker
	if cluster {
		level = &dynamic.Cluster
	}
	canonical := make([]Change, len(changes))
	for i, c := range changes {
		d, ok := ByBrokerName(c.Key)
		if !ok {
			return &ConfigError{Key: c.Key, Value: c.Value, Reason: "is no default of topics"}
		}
		canonical[i] = Change{Key: d.Name, Op: c.Op, Value: c.Value}
	}
	next, err := t.alter(*level, canonical, replaceAll)
	if err != nil {
		return brokerNamed(err)
	}
	if maps.Equal(next, *level) {
		return nil
	}
	*level = next
	all, err := t.under(newDefaults(t.static, dynamic, old.version))
	if err != nil || validateOnly {
		return err
	}
	value, err := json.Marshal(dynamic)
	if err != nil {
		return err
	}
	w := storage.Write{Set: []storage.Item{{Key: keyDefaults, Value: value, Version: old.version}}}
	err = t.commitView(ctx, w, func() (*View, error) {
		return newView(all, newDefaults(t.static, dynamic, w.Set[0].Version))
	})
	if err != nil {
		return fmt.Errorf("change topic defaults: %w", err)
	}
	return nil
}

// brokerNamed lets a refusal name the key as the broker does.
func brokerNamed(err error) error {
	var e *ConfigError
	if !errors.As(err, &e) {
		return err
	}
	if d, ok := Lookup(e.Key); ok {
		return &ConfigError{Key: d.Synonym, Value: e.Value, Reason: e.Reason}
	}
	return err
}

// under makes all topics anew as they are under other defaults.
func (t *Topics) under(d *defaults) (map[storage.TopicID]*Topic, error) {
	all := maps.Clone(t.View().byID)
	for id, topic := range all {
		next := *topic
		var err error
		if next.Config, err = consistent(d.merged, next.Overrides); err != nil {
			return nil, err
		}
		all[id] = &next
	}
	return all, nil
}
