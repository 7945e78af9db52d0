package group

import (
	"encoding/binary"
	"slices"
)

// maxParsed bounds metadata and assignments that are looked into: they are
// made by clients, and one for 10,000 partitions takes less.
const maxParsed = 1 << 20

// cursor reads the fields of the consumer protocol (ConsumerProtocol*.json of
// Apache Kafka). After a field that is not there ok is false for good.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) take(n int) []byte {
	if !c.ok || n < 0 || n > len(c.rest) {
		c.ok = false
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) int16() int {
	if b := c.take(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (c *cursor) int32() int {
	if b := c.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

func (c *cursor) string() string { return string(c.take(c.int16())) }

// consumerSubscription is what a consumer says when it joins.
type consumerSubscription struct {
	version int16
	topics  []string
	owned   map[string][]int32 // what it uses, from version 1 on
	sound   bool               // all of it could be read, and not only the topics
}

// names gives the topics in order, each once.
func (s *consumerSubscription) names() []string {
	return slices.Compact(slices.Sorted(slices.Values(s.topics)))
}

// parseSubscription reads what a consumer says when it joins.
func parseSubscription(b []byte) (consumerSubscription, bool) {
	c := cursor{b, len(b) <= maxParsed}
	s := consumerSubscription{version: int16(c.int16())}
	for n := c.int32(); n > 0 && c.ok; n-- {
		s.topics = append(s.topics, c.string())
	}
	if !c.ok || s.version < 0 {
		return s, false
	}
	if s.version >= 1 {
		if n := c.int32(); n > 0 { // user data, or null
			c.take(n)
		}
		s.owned = c.topicPartitions()
	}
	s.sound = c.ok
	return s, true
}

// topicPartitions reads an array of topics with partitions.
func (c *cursor) topicPartitions() map[string][]int32 {
	topics := map[string][]int32{}
	for n := c.int32(); n > 0 && c.ok; n-- {
		topic := c.string()
		for p := c.int32(); p > 0 && c.ok; p-- {
			topics[topic] = append(topics[topic], int32(c.int32()))
		}
	}
	return topics
}

// parseAssignment reads the partitions a consumer was given, by topic.
func parseAssignment(b []byte) (map[string][]int32, bool) {
	c := cursor{b, len(b) <= maxParsed}
	version := c.int16()
	topics := c.topicPartitions()
	return topics, c.ok && version >= 0
}

// reads tells which topics the group reads. Where that cannot be known,
// because no protocol is chosen yet or a member's bytes do not parse, it says
// yes to all: an offset must not go from under a consumer.
func (m *machine) reads() func(topic string) bool {
	if m.state == empty {
		return func(string) bool { return false }
	}
	all := func(string) bool { return true }
	if m.protocol == "" {
		return all
	}
	var topics []string
	for _, mem := range m.members {
		some, ok := parseSubscription(mem.metadata(m.protocol))
		if !ok {
			return all
		}
		topics = append(topics, some.topics...)
	}
	return func(topic string) bool { return slices.Contains(topics, topic) }
}
