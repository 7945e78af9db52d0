// Package topic keeps Tarn's topics and their configs. Topics live as items of
// the storage engine; readers take an immutable View, and every change is one
// Commit followed by one swap of the view.
//
// It knows Kafka's rules for names, partitions and config keys (reference:
// KIP-4, KIP-339, TopicConfig of Apache Kafka) and nothing of the wire: its
// errors are sentinels, which broker/api maps to protocol codes.
package topic

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of this package.
const (
	// MaxPartitions bounds one topic: its deletion names every partition's
	// log in one Commit, and its Metadata answer must stay below a frame.
	MaxPartitions = 10_000
	// MaxAllPartitions bounds the broker: every partition costs memory for as
	// long as it is open, and a Metadata answer for all topics lists each.
	MaxAllPartitions = 200_000
	// MaxConfigBytes bounds one config value. Kafka has no limit; a value of
	// this size is a mistake and would be copied into every view.
	MaxConfigBytes = 8 << 10
)

// Errors of this package, all of them refusals: nothing has changed.
var (
	// ErrExists says that a topic of that name is there already.
	ErrExists = errors.New("topic already exists")
	// ErrNotFound says that there is no such topic.
	ErrNotFound = errors.New("no such topic")
	// ErrName says that the name is not legal or collides with another's.
	ErrName = errors.New("invalid topic name")
	// ErrPartitions says that the number of partitions cannot be had.
	ErrPartitions = errors.New("invalid number of partitions")
)

// Topic is one topic. It is immutable once published in a View.
type Topic struct {
	// ID is the topic's identity for its whole life, never zero. A topic made
	// again under an old name has another.
	ID   storage.TopicID
	Name string
	// Partitions is their number; they are numbered from 0 and never fewer
	// than before.
	Partitions int32
	// Overrides holds what was set on the topic, by canonical key.
	Overrides map[string]string
	// Config holds the effective values: overrides over the broker's defaults
	// over Kafka's.
	Config Config
	// CreatedMs is the time of creation, Unix ms.
	CreatedMs int64
	// Version is the stored item's version; it rises with each change.
	Version int64
}

// Table is the name of the topic's table: tarn.table.name if set, else
// TableName of the topic.
func (t *Topic) Table() string { return tableOf(t.Name, &t.Config) }

func tableOf(name string, c *Config) string {
	if c.TableName != "" {
		return c.TableName
	}
	return TableName(name)
}

// Keys of the items, see README.md.
const (
	keyTopic = "topic/"
	keyName  = "topic-name/"
)

// item is how a topic is stored: JSON, see README.md.
type item struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs,omitempty"`
	CreatedMs  int64             `json:"created_ms"`
}

func encode(t *Topic) ([]byte, error) {
	b, err := json.Marshal(item{
		ID: t.ID.String(), Name: t.Name, Partitions: t.Partitions,
		Configs: t.Overrides, CreatedMs: t.CreatedMs,
	})
	if err != nil {
		return nil, fmt.Errorf("encode topic %q: %w", t.Name, err)
	}
	return b, nil
}

// decode reads a stored topic. An item that cannot be one is damage, not a
// refusal: it wraps storage.ErrBroken.
func decode(it storage.Item) (*Topic, error) {
	var s item
	if err := json.Unmarshal(it.Value, &s); err != nil {
		return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	t := &Topic{
		Name: s.Name, Partitions: s.Partitions, Overrides: s.Configs,
		CreatedMs: s.CreatedMs, Version: it.Version,
	}
	id, err := ParseID(s.ID)
	if err != nil || it.Key != keyTopic+s.ID {
		return nil, fmt.Errorf("%w: item %q holds topic id %q", storage.ErrBroken, it.Key, s.ID)
	}
	if s.Partitions < 1 || CheckName(s.Name) != nil {
		return nil, fmt.Errorf("%w: item %q holds topic %q with %d partitions",
			storage.ErrBroken, it.Key, s.Name, s.Partitions)
	}
	t.ID = id
	return t, nil
}

// ParseID reads a topic id written as 32 lower-case hexadecimal digits.
func ParseID(s string) (storage.TopicID, error) {
	var id storage.TopicID
	if len(s) != 2*len(id) || strings.ToLower(s) != s {
		return id, fmt.Errorf("topic id %q is not 32 lower-case hexadecimal digits", s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return storage.TopicID{}, fmt.Errorf("topic id %q: %w", s, err)
	}
	return id, nil
}
