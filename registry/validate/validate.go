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
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// Topic is what a topic's configuration says about validation.
type Topic struct {
	Name                       string
	Key, Value                 Level
	KeyStrategy, ValueStrategy Strategy
	// Limit is how many refusals are listed; 0 is MaxRefusals.
	Limit int
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
	reg   *registry.Registry
	rings *rings
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
// counts the others in More. What Monitor finds is remembered and not listed. An error says that the batch could not be read; it
// is rd's. Nothing of rd is kept, and a good record costs no allocation.
func (v *Validator) Check(topic Topic, rd *record.Reader, from Origin) ([]Refusal, error) {
	if topic.Key == Off && topic.Value == Off {
		return nil, nil
	}
	key := side{reg: v.reg, topic: topic.Name, part: "key", strategy: topic.KeyStrategy}
	key.set(topic.Key)
	value := side{reg: v.reg, topic: topic.Name, part: "value", strategy: topic.ValueStrategy}
	value.set(topic.Value)
	limit := topic.Limit
	if limit <= 0 {
		limit = MaxRefusals
	}
	var refused, seen []Refusal
	var previews []string
	more, unseen := 0, 0
	for i := int32(0); rd.Next(); i++ {
		rec := rd.Record()
		bytes := rec.Key
		bad := key.check(rec, rec.Key, schema.KeyHeader)
		if bad == nil || bad.Monitored {
			if worse := value.check(rec, rec.Value, schema.ValueHeader); worse != nil && (bad == nil || !worse.Monitored) {
				bad, bytes = worse, rec.Value
			}
		}
		if bad == nil {
			continue
		}
		bad.Index = i
		if len(seen) < MaxRefusals {
			seen = append(seen, *bad)
			previews = append(previews, preview(bytes))
		} else {
			unseen++
		}
		switch {
		case bad.Monitored:
		case len(refused) == limit:
			more++
		default:
			refused = append(refused, *bad)
		}
	}
	if err := rd.Err(); err != nil {
		return nil, err
	}
	if len(seen) > 0 {
		seen[len(seen)-1].More = unseen
		v.rings.add(topic.Name, from, seen, previews)
	}
	if len(refused) > 0 {
		refused[len(refused)-1].More = more
	}
	return refused, nil
}

// Rejections lists the last refusals of a topic, newest first.
func (v *Validator) Rejections(topic string) []Rejection { return v.rings.list(topic) }

// Rejected is how many records of a topic were refused, those that the ring
// forgot included. A topic that nobody was refused at for long may be forgotten.
func (v *Validator) Rejected(topic string) int64 { return v.rings.total(topic) }

// side is the check of all keys or all values of a batch.
type side struct {
	reg      *registry.Registry
	topic    string
	part     string
	level    Level // never Monitor
	monitor  bool
	strategy Strategy
	subject  string // of the topic strategy, once it is needed
	memo     [8]named
	used     int

	// The last schema that was found in its subject: most batches have one.
	lastID      int
	lastName    string
	lastSubject string
	lastVersion int
}

// set takes a level: to monitor is to check payloads and refuse none.
func (s *side) set(l Level) {
	if s.level, s.monitor = l, l == Monitor; s.monitor {
		s.level = Payload
	}
}

// named is the subject of a record name. A batch rarely has more than a few.
type named struct{ name, subject string }

// check returns nil if the key or value may pass.
func (s *side) check(rec *record.Record, b []byte, header string) *Refusal {
	bad := s.look(rec, b, header)
	if bad != nil {
		bad.Monitored = s.monitor
	}
	return bad
}

func (s *side) look(rec *record.Record, b []byte, header string) *Refusal {
	if s.level == Off || b == nil {
		return nil
	}
	if s.subject == "" && s.strategy == TopicName {
		s.subject = s.reg.SubjectOf(s.topic, s.part)
	}
	var named []byte
	has := false
	if rec.HeaderCount > 0 {
		named, has = rec.HeaderLast(header)
	}
	p, err := s.resolve(b, named, has)
	if !p.Framed && (s.level == ID || s.strategy != TopicName) {
		return &Refusal{Part: s.part, Reason: "no schema id", Subject: s.subject}
	}
	if err != nil {
		return s.unresolved(err)
	}
	if !s.known(p) {
		return &Refusal{
			Part: s.part, Subject: s.lastSubject, SchemaID: p.ID,
			Reason: fmt.Sprintf("schema id %d is not of subject %q", p.ID, s.lastSubject),
		}
	}
	if s.level != Payload {
		return nil
	}
	if err := p.Decoder.Validate(p.Bytes); err != nil {
		return s.invalid(err, p)
	}
	return nil
}

func (s *side) resolve(b, header []byte, has bool) (registry.Payload, error) {
	if s.level == Payload {
		return s.reg.Resolve(s.subject, b, header, has)
	}
	return s.reg.Identify(s.subject, b, header, has)
}

// known looks the payload's schema up in its subject.
func (s *side) known(p registry.Payload) bool {
	if p.ID == s.lastID && p.Name == s.lastName {
		return true
	}
	s.lastSubject = s.subjectOf(p.Name)
	number, ok := s.reg.VersionOf(s.lastSubject, p.ID)
	if s.lastID = 0; ok {
		s.lastID, s.lastName, s.lastVersion = p.ID, p.Name, number
	}
	return ok
}

// subjectOf is the subject of a record by its schema's name.
func (s *side) subjectOf(name string) string {
	switch s.strategy {
	case RecordName:
		return name
	case TopicRecordName:
	default:
		return s.subject
	}
	for i := range min(s.used, len(s.memo)) {
		if s.memo[i].name == name {
			return s.memo[i].subject
		}
	}
	n := named{name, s.topic + "-" + name}
	s.memo[s.used%len(s.memo)] = n
	s.used++
	return n.subject
}

func (s *side) unresolved(err error) *Refusal {
	r := &Refusal{Part: s.part, Reason: err.Error(), Subject: s.subject}
	if u, ok := errors.AsType[*registry.Unresolved](err); ok {
		r.SchemaID = u.ID
	}
	return r
}

func (s *side) invalid(err error, p registry.Payload) *Refusal {
	r := &Refusal{
		Part: s.part, Subject: s.lastSubject, Version: s.lastVersion, SchemaID: p.ID, Type: p.Schema.Type(),
		Reason: err.Error(),
	}
	if bad, ok := errors.AsType[*schema.Invalid](err); ok {
		r.Path, r.Expected, r.Found = clip(bad.Path), clip(bad.Expected), clip(bad.Found)
		r.Reason = "payload does not fit its schema"
	}
	return r
}
