package streams

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Topology is what an application does, as its first member says it: which
// subtopologies there are, what they read, and which topics of their own they
// need. It does not change for the life of a group (KIP-1071).
type Topology struct {
	Epoch         int32         `json:"epoch"`
	Subtopologies []Subtopology `json:"subtopologies"` // ordered by ID
}

// Subtopology is a part of a topology whose processors are connected with each
// other, so that one task can run them.
type Subtopology struct {
	ID string `json:"id"`
	// Sources are the user's topics that it reads.
	Sources []string `json:"sources,omitempty"`
	// Sinks are the repartition topics that it writes.
	Sinks []string `json:"sinks,omitempty"`
	// Changelogs keep its state. A changelog may be one of Sources.
	Changelogs []InternalTopic `json:"changelogs,omitempty"`
	// Repartitions are the repartition topics that it reads.
	Repartitions []InternalTopic `json:"repartitions,omitempty"`
	// Copartitions lists topics, of Sources and Repartitions, that must have
	// equal numbers of partitions.
	Copartitions [][]string `json:"copartitions,omitempty"`
}

// InternalTopic is a topic that the broker makes for an application.
type InternalTopic struct {
	Name string `json:"name"`
	// Partitions is 0 where the broker is to work it out.
	Partitions int32 `json:"partitions,omitempty"`
	// Replication is 0 for the broker's default.
	Replication int16             `json:"replication,omitempty"`
	Configs     map[string]string `json:"configs,omitempty"`
}

func (t InternalTopic) equal(u InternalTopic) bool {
	return t.Name == u.Name && t.Partitions == u.Partitions && t.Replication == u.Replication && maps.Equal(t.Configs, u.Configs)
}

func (s Subtopology) equal(u Subtopology) bool {
	return s.ID == u.ID && slices.Equal(s.Sources, u.Sources) && slices.Equal(s.Sinks, u.Sinks) &&
		slices.EqualFunc(s.Changelogs, u.Changelogs, InternalTopic.equal) &&
		slices.EqualFunc(s.Repartitions, u.Repartitions, InternalTopic.equal) &&
		slices.EqualFunc(s.Copartitions, u.Copartitions, slices.Equal[[]string])
}

func (t *Topology) equal(u *Topology) bool {
	return t.Epoch == u.Epoch && slices.EqualFunc(t.Subtopologies, u.Subtopologies, Subtopology.equal)
}

// Reads lists what the subtopology reads: sources and repartition topics.
func (s *Subtopology) Reads() []string {
	list := slices.Clone(s.Sources)
	for _, t := range s.Repartitions {
		list = append(list, t.Name)
	}
	return list
}

// stateful reports whether its tasks have state that must be brought back.
func (s *Subtopology) stateful() bool { return len(s.Changelogs) > 0 }

// Required lists all topics that the topology names, in order and each once.
func (t *Topology) Required() []string {
	var list []string
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		list = append(append(list, s.Reads()...), s.Sinks...)
		for _, c := range s.Changelogs {
			list = append(list, c.Name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// bytes is about what it takes to store it.
func (t *Topology) bytes() int {
	n := 0
	internal := func(list []InternalTopic) {
		for _, it := range list {
			n += len(it.Name) + 32
			for k, v := range it.Configs {
				n += len(k) + len(v)
			}
		}
	}
	names := func(list []string) {
		for _, s := range list {
			n += len(s) + 4
		}
	}
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		n += len(s.ID) + 64
		names(s.Sources)
		names(s.Sinks)
		internal(s.Changelogs)
		internal(s.Repartitions)
		for _, group := range s.Copartitions {
			names(group)
		}
	}
	return n
}

// Topics tells ids and sizes of topics as they are now. Its methods are called
// with locks held and must neither block nor call back.
type Topics interface {
	ByName(name string) (id storage.TopicID, partitions int32, ok bool)
	// Mark is a value that compares unequal after topics were made, deleted or
	// grown.
	Mark() any
}

// fingerprint is a hash of those of the topology's topics that are there.
func (t *Topology) fingerprint(topics Topics) uint64 {
	hash := fnv.New64a()
	for _, name := range t.Required() {
		if id, n, ok := topics.ByName(name); ok {
			hash.Write([]byte(name))
			hash.Write(id[:])
			hash.Write(binary.BigEndian.AppendUint32(nil, uint32(n)))
		}
	}
	return hash.Sum64()
}
