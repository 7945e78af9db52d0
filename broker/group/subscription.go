package group

import (
	"cmp"
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
	names    map[string]int // name → members that name it
	patterns map[asked]*pattern

	mark        [2]any                    // of topics and rules, when they were looked at last
	stale       bool                      // subscriptions have changed since
	fingerprint uint64                    // of sizes and what patterns match; 0 with a new group
	sizes       map[storage.TopicID]int32 // partitions of the topics that are there
	byMember    map[string][]storage.TopicID
}

// asked is a pattern and who asks: members with different rights may match
// different topics.
type asked struct{ text, principal, host string }

// asks is what the member asks with its pattern. Without a principal there are
// no rules, and nothing else matters.
func (c *consumer) asks() asked {
	if c.client.Principal == "" {
		return asked{text: c.regex}
	}
	return asked{c.regex, c.client.Principal, strings.TrimPrefix(c.client.Host, "/")}
}

func (a asked) compare(b asked) int {
	return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(a.principal, b.principal), cmp.Compare(a.host, b.host))
}

// pattern is a regular expression that members subscribe with.
type pattern struct {
	members int
	re      *regexp.Regexp
	ids     []storage.TopicID // matching now, in order of names
}

func newSubscriptionIndex() subscriptionIndex {
	return subscriptionIndex{names: map[string]int{}, patterns: map[asked]*pattern{}, stale: true}
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
	p := x.patterns[mem.asks()]
	if p == nil {
		// What does not compile was refused before; a stored one of another
		// version of Go matches nothing.
		re, _ := compileRegex(mem.regex)
		p = &pattern{re: re}
		x.patterns[mem.asks()] = p
	}
	if p.members += sign; p.members == 0 {
		delete(x.patterns, mem.asks())
	}
}

// resolve looks up which topics are meant, unless nothing has changed, and
// reports whether they are others than before.
func (x *subscriptionIndex) resolve(topics Topics, access Access) bool {
	mark := [2]any{topics.Mark()}
	if access != nil && len(x.patterns) > 0 {
		mark[1] = access.Mark()
	}
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
		for _, a := range slices.SortedFunc(maps.Keys(x.patterns), asked.compare) {
			p := x.patterns[a]
			p.match(topics, a.visible(access, all), x.sizes)
			hash.Write([]byte(a.text))
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

// visible leaves out what who asks may not know of.
func (a asked) visible(access Access, names []string) []string {
	if access == nil {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !access.MayDescribe(a.principal, a.host, name)
	})
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
	a := mem.asks()
	key := strings.Join(append(slices.Clone(mem.names), "", a.text, a.principal, a.host), "\x00")
	if ids, ok := m.byMember[key]; ok {
		return ids
	}
	set := map[storage.TopicID]int32{}
	for _, name := range mem.names {
		if id, n, ok := m.topics.ByName(name); ok && m.has(id) {
			set[id] = n
		}
	}
	if p := m.patterns[a]; p != nil {
		for _, id := range p.ids {
			set[id] = 0
		}
	}
	ids := sortedIDs(set)
	m.byMember[key] = ids
	return ids
}
