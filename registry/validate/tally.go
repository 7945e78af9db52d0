package validate

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// maxTallies bounds the topics that are counted by themselves: those that come
// after them are counted together, under the name "". A count costs some hundred
// bytes.
const maxTallies = 10_000

// Class is a kind of refusal: few, for metrics.
type Class string

// The classes.
const (
	NoSchema      Class = "no_schema_id"   // neither an id nor a schema to try
	UnknownSchema Class = "unknown_schema" // an id, GUID or header that says nothing
	WrongSubject  Class = "wrong_subject"
	WrongVersion  Class = "wrong_version" // not one that the topic takes
	WrongMessage  Class = "wrong_message" // not the record or message that it takes
	Null          Class = "null"
	Undecodable   Class = "undecodable" // the schema has no such message, or no decoder
	Misfit        Class = "payload"     // the bytes do not fit
	RuleBroken    Class = "rule"        // they do, and break a rule
)

// classes lists them.
func classes() []Class {
	return []Class{NoSchema, UnknownSchema, WrongSubject, WrongVersion, WrongMessage, Null, Undecodable, Misfit, RuleBroken}
}

// tally counts what was checked of one topic.
type tally struct {
	id      TopicID
	records atomic.Int64
	bad     []atomic.Int64 // by class; refused, then monitored

	rules     sync.Map // ruleKey → *ruleTally
	ruleCount atomic.Int64
}

func (t *tally) add(c Class, monitored bool, n int64) {
	at := slices.Index(classes(), c)
	if at < 0 {
		return
	}
	if monitored {
		at += len(classes())
	}
	t.bad[at].Add(n)
}

// tallies are the counts by topic.
type tallies struct {
	topics sync.Map // string → *tally
	count  atomic.Int64
}

// of gives a topic's tally; one that is made again begins at nothing.
func (s *tallies) of(topic string, id TopicID) *tally {
	was, known := s.topics.Load(topic)
	if known && was.(*tally).id == id {
		return was.(*tally)
	}
	now := &tally{id: id, bad: make([]atomic.Int64, 2*len(classes()))}
	if known && s.topics.CompareAndSwap(topic, was, now) {
		return now
	}
	if !known && s.count.Load() >= maxTallies {
		topic, now.id = "", TopicID{}
	}
	t, known := s.topics.LoadOrStore(topic, now)
	if !known {
		s.count.Add(1)
	}
	return t.(*tally)
}

// Tally is what was checked of a topic since the start.
type Tally struct {
	Topic   string
	Records int64
	// Bad counts records by what was wrong with them; those without any are left
	// out.
	Bad []ClassCount
	// Rules are those that were asked, with what they took.
	Rules []RuleCost
}

// ClassCount is how many records a class has kept out or, Monitored, would have.
type ClassCount struct {
	Class     Class
	Monitored bool
	Records   int64
}

func (t *tally) public(topic string) Tally {
	out := Tally{Topic: topic, Records: t.records.Load(), Rules: t.publicRules()}
	all := classes()
	for i := range t.bad {
		if n := t.bad[i].Load(); n > 0 {
			out.Bad = append(out.Bad, ClassCount{all[i%len(all)], i >= len(all), n})
		}
	}
	return out
}

// Tallies lists what was checked since the start, by topic; the topic "" is all
// those beyond 10,000.
func (v *Validator) Tallies() []Tally {
	var out []Tally
	for name, t := range v.tallies.topics.Range {
		out = append(out, t.(*tally).public(name.(string)))
	}
	slices.SortFunc(out, func(a, b Tally) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}

// Tally is what was checked of one topic since the start.
func (v *Validator) Tally(topic string, id TopicID) Tally {
	if t, ok := v.tallies.topics.Load(topic); ok && t.(*tally).id == id {
		return t.(*tally).public(topic)
	}
	return Tally{Topic: topic}
}
