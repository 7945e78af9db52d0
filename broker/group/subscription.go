package group

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// maxRegex bounds a pattern: clients join those of many topics into one, and
// compiling takes memory in proportion.
const maxRegex = 16 << 10

// compileRegex makes a pattern that has to match whole names, as RE2 in Kafka.
func compileRegex(pattern string) (*regexp.Regexp, wire.Code) {
	if len(pattern) > maxRegex {
		return nil, wire.InvalidRegularExpression
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, wire.InvalidRegularExpression
	}
	return re, wire.None
}

// subscriptionIndex knows what all members together subscribe to, and which
// topics that means now.
type subscriptionIndex struct {
	names    map[string]int      // name → members that name it
	patterns map[string]*pattern // by text

	mark        any                       // of the topics, when they were looked at last
	stale       bool                      // subscriptions have changed since
	fingerprint uint64                    // of sizes and what patterns match; 0 with a new group
	sizes       map[storage.TopicID]int32 // partitions of the topics that are there
	byMember    map[string][]storage.TopicID
}

// pattern is a regular expression that members subscribe with.
type pattern struct {
	members int
	re      *regexp.Regexp
	ids     []storage.TopicID // matching now, in order of names
}

func newSubscriptionIndex() subscriptionIndex {
	return subscriptionIndex{names: map[string]int{}, patterns: map[string]*pattern{}, stale: true}
}

// count adds what a member subscribes to, or takes it out.
func (x *subscriptionIndex) count(mem *consumer, sign int) {
	x.stale = true
	for _, name := range mem.names {
		if x.names[name] += sign; x.names[name] == 0 {
			delete(x.names, name)
		}
	}
	if mem.regex == "" {
		return
	}
	p := x.patterns[mem.regex]
	if p == nil {
		// What does not compile was refused before; a stored one of another
		// version of Go matches nothing.
		re, _ := compileRegex(mem.regex)
		p = &pattern{re: re}
		x.patterns[mem.regex] = p
	}
	if p.members += sign; p.members == 0 {
		delete(x.patterns, mem.regex)
	}
}

// resolve looks up which topics are meant, unless nothing has changed, and
// reports whether they are others than before.
func (x *subscriptionIndex) resolve(topics Topics) bool {
	mark := topics.Mark()
	if !x.stale && mark == x.mark {
		return false
	}
	x.mark, x.stale = mark, false
	x.sizes = map[storage.TopicID]int32{}
	x.byMember = map[string][]storage.TopicID{}
	hash := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(x.names)) {
		if id, n, ok := topics.ByName(name); ok {
			x.sizes[id] = n
		}
	}
	if len(x.patterns) > 0 {
		all := topics.Names()
		for _, text := range slices.Sorted(maps.Keys(x.patterns)) {
			p := x.patterns[text]
			p.match(topics, all, x.sizes)
			hash.Write([]byte(text))
			for _, id := range p.ids {
				hash.Write(id[:])
			}
		}
	}
	for _, id := range sortedIDs(x.sizes) {
		hash.Write(id[:])
		hash.Write(binary.BigEndian.AppendUint32(nil, uint32(x.sizes[id])))
	}
	before := x.fingerprint
	x.fingerprint = hash.Sum64()
	return x.fingerprint != before
}

func (p *pattern) match(topics Topics, all []string, sizes map[storage.TopicID]int32) {
	p.ids = nil
	if p.re == nil {
		return
	}
	for _, name := range all {
		if !p.re.MatchString(name) {
			continue
		}
		if id, n, ok := topics.ByName(name); ok {
			sizes[id] = n
			p.ids = append(p.ids, id)
		}
	}
}

func sortedIDs(sizes map[storage.TopicID]int32) []storage.TopicID {
	return slices.SortedFunc(maps.Keys(sizes), func(a, b storage.TopicID) int { return slices.Compare(a[:], b[:]) })
}

// topicsOf lists the topics of one member that are there, in order of ids.
// Members of equal subscriptions share the slice.
func (m *modern) topicsOf(mem *consumer) []storage.TopicID {
	key := strings.Join(mem.names, "\x00") + "\x00\x00" + mem.regex
	if ids, ok := m.byMember[key]; ok {
		return ids
	}
	set := map[storage.TopicID]int32{}
	for _, name := range mem.names {
		if id, n, ok := m.topics.ByName(name); ok && m.has(id) {
			set[id] = n
		}
	}
	if p := m.patterns[mem.regex]; p != nil {
		for _, id := range p.ids {
			set[id] = 0
		}
	}
	ids := sortedIDs(set)
	m.byMember[key] = ids
	return ids
}
