// Package validate holds the records of a produced batch to the schemas of
// their topic, before they reach the log.
//
// A record names its schema by Confluent's header, else by its prefix, or is
// bare; the id must belong to the subject that the topic's strategy gives, and
// at level Payload the bytes must fit the schema. Null keys and values (the
// tombstones of compacted topics) always pass. A refusal says which record,
// which field, what was expected and what was found; the last ones of each topic
// stand in a ring, since most producers drop the text of an error.
package validate

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// MaxRefusals bounds the refusals listed of one batch: a producer that sends
// nothing but wrong records needs no more to see why, and each costs a response
// some hundred bytes.
const MaxRefusals = 100

// Level says how far keys or values are checked.
type Level uint8

// The levels: not at all; that there is a schema id and it is of the subject;
// that the bytes fit the schema too. With Payload bare payloads are held to the
// subject's latest schema, with ID they are refused.
const (
	Off Level = iota
	ID
	Payload
	// Monitor is Payload, but nothing is refused: it is only remembered.
	Monitor
)

// ParseLevel reads off, id, payload or monitor.
func ParseLevel(word string) (Level, error) {
	switch strings.ToLower(word) {
	case "off", "":
		return Off, nil
	case "id":
		return ID, nil
	case "payload":
		return Payload, nil
	case "monitor":
		return Monitor, nil
	}
	return Off, fmt.Errorf("validation level %q: off, id, payload or monitor", word)
}

// Strategy gives the subject that a record's schema must stand in.
type Strategy uint8

// Confluent's strategies: <topic>-key and <topic>-value; the name of the record
// or message; <topic>-<name>. The latter two need a schema id in each record.
const (
	TopicName Strategy = iota
	RecordName
	TopicRecordName
)

// ParseStrategy reads topic, record or topic_record, or the class name that
// Confluent's configuration has for it.
func ParseStrategy(word string) (Strategy, error) {
	switch strings.TrimPrefix(word, "io.confluent.kafka.serializers.subject.") {
	case "topic", "TopicNameStrategy", "":
		return TopicName, nil
	case "record", "RecordNameStrategy":
		return RecordName, nil
	case "topic_record", "TopicRecordNameStrategy":
		return TopicRecordName, nil
	}
	return TopicName, fmt.Errorf("subject name strategy %q: topic, record or topic_record", word)
}

// TopicID is a topic's identity for its whole life.
type TopicID = [16]byte

// Topic is what a topic's configuration says about validation.
type Topic struct {
	Name string
	// ID tells a topic from one of the same name that was deleted: what that one
	// was refused is not shown of this one.
	ID TopicID
	// Context is the registry's; "" is the default one.
	Context    string
	Key, Value Part
	// Rules says what becomes of records that break a rule of their schema; they
	// are asked where whole payloads are checked.
	Rules RuleMode
	// Limit is how many refusals are listed; 0 is MaxRefusals.
	Limit int
}

// Part is what a topic's configuration says about its keys, or its values.
type Part struct {
	Level    Level
	Strategy Strategy
	// Subject, if set, is the one whatever Strategy says.
	Subject string
	// Latest, Versions and Bare are those of registry.Reading.
	Latest   bool
	Versions []int
	Bare     registry.Bare
	// Message, if set, is the name that each record or message must have.
	Message string
	// RefuseNull refuses what is null.
	RefuseNull bool
	// RefuseUnknown refuses Protobuf messages with fields that their schema does
	// not have, where payloads are checked.
	RefuseUnknown bool
}

// Origin says where a batch came from.
type Origin struct {
	ClientID, Software, SoftwareVersion, Remote string
}

// Config is what a Validator stands on.
type Config struct {
	// Registry is required.
	Registry *registry.Registry
	// Log hears of refused batches, at most once in logEvery for each topic; may
	// be nil.
	Log *slog.Logger
	// Now is the clock of rejections; nil is time.Now.
	Now func() time.Time
	// Ring is how many rejections are kept for each topic; 0 is 1000.
	Ring int
}

// Validator checks batches. It is safe for concurrent use.
type Validator struct {
	reg     *registry.Registry
	rings   *rings
	tallies tallies
	// checkers run the rules of schemas, by message; see checkerOf.
	checkers     sync.Map
	checkerCount atomic.Int64
}

// New makes a Validator.
func New(cfg Config) *Validator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ring <= 0 {
		cfg.Ring = defaultRing
	}
	return &Validator{reg: cfg.Registry, rings: newRings(cfg)}
}

// Check reads the batch that rd stands before to its end and lists the records
// that topic refuses, by index: at most topic.Limit of them, the last of which
// counts the others in More. What Monitor finds is remembered and not listed. An
// error says that the batch could not be read; it is rd's. Nothing of rd is kept, and a good record costs no allocation.
func (v *Validator) Check(topic Topic, rd *record.Reader, from Origin) ([]Refusal, error) {
	if topic.Key.Level == Off && topic.Value.Level == Off {
		return nil, nil
	}
	key, value := v.side(&topic, "key", &topic.Key), v.side(&topic, "value", &topic.Value)
	limit := topic.Limit
	if limit <= 0 {
		limit = MaxRefusals
	}
	bad := found{limit: limit}
	i := int32(0)
	for ; rd.Next(); i++ {
		rec := rd.Record()
		worse, bytes := key.check(rec, rec.Key, schema.KeyHeader), rec.Key
		if worse == nil || worse.Monitored {
			if r := value.check(rec, rec.Value, schema.ValueHeader); r != nil && (worse == nil || !r.Monitored) {
				worse, bytes = r, rec.Value
			}
		}
		if worse != nil {
			worse.Index = i
			bad.add(worse, bytes)
		}
	}
	if err := rd.Err(); err != nil {
		return nil, err
	}
	count := v.tallies.of(topic.Name, topic.ID)
	count.records.Add(int64(i))
	count.addRules(&key)
	count.addRules(&value)
	if len(bad.seen) == 0 {
		return nil, nil
	}
	for c, n := range bad.classes {
		count.add(c.class, c.monitored, n)
	}
	bad.seen[len(bad.seen)-1].More = bad.unseen
	v.rings.add(topic.Name, topic.ID, from, bad.seen, bad.previews)
	if len(bad.refused) > 0 {
		bad.refused[len(bad.refused)-1].More = bad.more
	}
	return bad.refused, nil
}

// found is what is wrong with a batch.
type found struct {
	limit         int
	refused, seen []Refusal // for the caller; to be remembered
	previews      []string  // of seen
	more, unseen  int
	classes       map[classKey]int64
}

type classKey struct {
	class     Class
	monitored bool
}

func (f *found) add(bad *Refusal, bytes []byte) {
	if f.classes == nil {
		f.classes = map[classKey]int64{}
	}
	f.classes[classKey{bad.Class, bad.Monitored}]++
	if len(f.seen) < MaxRefusals {
		f.seen = append(f.seen, *bad)
		f.previews = append(f.previews, preview(bytes))
	} else {
		f.unseen++
	}
	switch {
	case bad.Monitored:
	case len(f.refused) == f.limit:
		f.more++
	default:
		f.refused = append(f.refused, *bad)
	}
}

// Rejections lists the last refusals of a topic, newest first.
func (v *Validator) Rejections(topic string, id TopicID) []Rejection { return v.rings.list(topic, id) }

// Rejected is how many records of a topic were refused, those that the ring
// forgot included. A topic that nobody was refused at for long may be forgotten.
func (v *Validator) Rejected(topic string, id TopicID) int64 { return v.rings.total(topic, id) }
