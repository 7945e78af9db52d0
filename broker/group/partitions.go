package group

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/broker/set"
	"github.com/tarn-io/tarn/broker/storage"
)

// partitions is a set of partitions, ordered by topic id and number. It is
// never changed once made: operations return new ones, which may share memory.
type partitions []offsetKey

// Compare orders by topic id and number.
func (k offsetKey) Compare(l offsetKey) int {
	return cmp.Or(slices.Compare(k.topic[:], l.topic[:]), cmp.Compare(k.partition, l.partition))
}

// newPartitions makes a set of keys in any order, which it takes over.
func newPartitions(keys []offsetKey) partitions { return set.New[partitions](keys) }

// split gives the members of p that are in q, and those that are not.
func (p partitions) split(q partitions) (both, rest partitions) { return set.Split(p, q) }

// union gives what is in p or in q.
func (p partitions) union(q partitions) partitions { return set.Union(p, q) }

// topics calls f for each topic with the numbers of its partitions.
func (p partitions) topics(f func(id storage.TopicID, numbers []int32)) {
	for run := range set.Runs(p, func(k, l offsetKey) bool { return k.topic == l.topic }) {
		numbers := make([]int32, len(run))
		for i := range numbers {
			numbers[i] = run[i].partition
		}
		f(run[0].topic, numbers)
	}
}

// topicItem is the partitions of one topic as they are stored.
type topicItem struct {
	Topic      string  `json:"topic"` // id, 32 hexadecimal digits
	Partitions []int32 `json:"partitions"`
}

// MarshalJSON writes the set by topic.
func (p partitions) MarshalJSON() ([]byte, error) {
	list := []topicItem{}
	p.topics(func(id storage.TopicID, numbers []int32) {
		list = append(list, topicItem{id.String(), numbers})
	})
	return json.Marshal(list)
}

// UnmarshalJSON reads what MarshalJSON wrote; it refuses ids that are none and
// partitions below 0.
func (p *partitions) UnmarshalJSON(data []byte) error {
	var list []topicItem
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	var keys []offsetKey
	for _, t := range list {
		id, err := parseTopicID(t.Topic)
		if err != nil {
			return err
		}
		for _, n := range t.Partitions {
			if n < 0 {
				return fmt.Errorf("partition %d", n)
			}
			keys = append(keys, offsetKey{id, n})
		}
	}
	*p = newPartitions(keys)
	return nil
}

// parseTopicID reads 32 hexadecimal digits.
func parseTopicID(s string) (storage.TopicID, error) {
	var id storage.TopicID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q", s)
	}
	copy(id[:], b)
	return id, nil
}
