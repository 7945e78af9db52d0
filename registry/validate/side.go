package validate

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// side is the check of all keys or all values of a batch.
type side struct {
	v       *Validator
	reg     *registry.Registry
	topic   string
	id      TopicID
	context string
	part    string
	rules   *Part
	level   Level // never Monitor
	monitor bool
	byTopic bool // the subject does not depend on the record
	reading registry.Reading
	ready   bool // reading.Subject is set
	memo    [8]named
	used    int

	// The last schema that was found in its subject: most batches have one.
	lastID      int
	lastName    string
	lastSubject string
	lastVersion int

	// The prefix of the last record that passed, and what checked it: a batch
	// has one schema as a rule, and finding it anew costs a third of the check.
	frame     []byte
	validator schema.Validator

	ruleMode RuleMode
	judged   []judged // by schema; the last one used stands first
}

func (v *Validator) side(t *Topic, part string, rules *Part) side {
	s := side{
		v: v, ruleMode: t.Rules, reg: v.reg, topic: t.Name, id: t.ID, context: t.Context, part: part, rules: rules,
		level: rules.Level, monitor: rules.Level == Monitor, byTopic: rules.Strategy == TopicName || rules.Subject != "",
		reading: registry.Reading{Check: true, Strict: rules.RefuseUnknown, Latest: rules.Latest, Versions: rules.Versions, Message: rules.Message},
	}
	if s.context == "" {
		s.context = registry.DefaultContext
	}
	if s.monitor {
		s.level = Payload // to monitor is to check payloads and refuse none
	}
	if s.byTopic {
		s.reading.Bare = rules.Bare
	}
	return s
}

// start settles the subject, when it is first needed.
func (s *side) start() {
	s.ready = true
	s.reading.Subject = SubjectOf(s.reg, s.topic, s.context, s.part, s.rules.Subject)
	if !s.byTopic {
		s.reading.Subject = registry.Qualify(s.context, "")
	}
}

// SubjectOf is the subject of a topic's keys or values by the topic's name: the
// one given, else in the default context the one that the topic is associated
// with, else <topic>-<part>.
func SubjectOf(reg *registry.Registry, topic, context, part, given string) string {
	switch {
	case strings.HasPrefix(given, ":."): // it names its context
		return given
	case given != "":
		return qualify(context, given)
	case context == "" || context == registry.DefaultContext:
		return reg.SubjectOf(topic, part)
	}
	return qualify(context, topic+"-"+part)
}

// Expected is the subject of a topic's keys or values as far as its settings say,
// and false where only a record does: with subjects by record names, unless the
// topic takes one message alone.
func Expected(reg *registry.Registry, topic, context, part string, rules *Part) (subject string, ok bool) {
	switch {
	case rules.Subject != "" || rules.Strategy == TopicName:
		return SubjectOf(reg, topic, context, part, rules.Subject), true
	case rules.Message == "":
		return "", false
	case rules.Strategy == TopicRecordName:
		return qualify(context, topic+"-"+rules.Message), true
	}
	return qualify(context, rules.Message), true
}

func qualify(context, subject string) string {
	if context == "" {
		return subject
	}
	return registry.Qualify(context, subject)
}

// named is the subject of a record name. A batch rarely has more than a few.
type named struct{ name, subject string }

// check returns nil if the key or value may pass.
func (s *side) check(rec *record.Record, b []byte, header string) *Refusal {
	bad := s.look(rec, b, header)
	if bad != nil {
		bad.Monitored = bad.Monitored || s.monitor
	}
	return bad
}

func (s *side) look(rec *record.Record, b []byte, header string) *Refusal {
	if s.level == Off || b == nil && !s.rules.RefuseNull {
		return nil
	}
	if !s.ready {
		s.start()
	}
	if b == nil {
		return &Refusal{Part: s.part, Subject: s.subject(), Class: Null, Reason: "null is not taken here"}
	}
	var named []byte
	has := false
	if rec.HeaderCount > 0 {
		named, has = rec.HeaderLast(header)
	}
	if s.frame != nil && !has && bytes.HasPrefix(b, s.frame) &&
		(s.level != Payload || s.validator.Validate(b[len(s.frame):]) == nil) {
		return nil
	}
	p, err := s.resolve(b, named, has)
	if !p.Framed && (s.level == ID || !s.byTopic) {
		return &Refusal{Part: s.part, Reason: "no schema id", Subject: s.subject(), Class: NoSchema}
	}
	if err != nil {
		return s.unresolved(err, p)
	}
	if bad := s.known(p); bad != nil {
		return bad
	}
	if s.level == Payload && !p.Fits {
		if err := p.Validator.Validate(p.Bytes); err != nil {
			return s.invalid(err, p)
		}
	}
	if s.level == Payload && s.ruleMode != RulesOff {
		return s.judge(&p)
	}
	// By attempts a record with this prefix may be bare after all.
	if p.Framed && !has && s.reading.Bare != registry.BareAttempt {
		s.frame, s.validator = b[:len(b)-len(p.Bytes)], p.Validator
	}
	return nil
}

func (s *side) resolve(b, header []byte, has bool) (registry.Payload, error) {
	if s.level == Payload {
		return s.reg.Read(&s.reading, b, header, has)
	}
	return s.reg.Identify(s.reading.Subject, b, header, has)
}

// subject is the one that refusals name where the record's schema is unknown.
func (s *side) subject() string {
	if s.byTopic {
		return s.reading.Subject
	}
	return ""
}

// known looks the payload's schema up in its subject.
func (s *side) known(p registry.Payload) *Refusal {
	if p.ID == s.lastID && p.Name == s.lastName {
		return nil
	}
	subject := s.subjectOf(p.Name)
	number, ok := s.reg.Admitted(&s.reading, subject, p.ID)
	s.lastSubject, s.lastVersion = subject, number
	s.lastID = 0
	var why string
	class := WrongVersion
	switch {
	case number == 0:
		class, why = WrongSubject, fmt.Sprintf("schema id %d is not of subject %q", p.ID, subject)
	case !ok && s.reading.Latest:
		why = fmt.Sprintf("schema id %d is version %d of subject %q, and only the latest is taken here", p.ID, number, subject)
	case !ok:
		why = fmt.Sprintf("schema id %d is version %d of subject %q, and only %v are taken here", p.ID, number, subject, s.reading.Versions)
	case s.rules.Message != "" && p.Name != s.rules.Message:
		class, why = WrongMessage, fmt.Sprintf("this is a %q, and only %q is taken here", clip(p.Name), s.rules.Message)
	default:
		s.lastID, s.lastName = p.ID, p.Name
		return nil
	}
	return &Refusal{Part: s.part, Subject: subject, SchemaID: p.ID, Version: number, Class: class, Reason: why}
}

// subjectOf is the subject of a record by its schema's name.
func (s *side) subjectOf(name string) string {
	if s.byTopic {
		return s.reading.Subject
	}
	for i := range min(s.used, len(s.memo)) {
		if s.memo[i].name == name {
			return s.memo[i].subject
		}
	}
	within := name
	if s.rules.Strategy == TopicRecordName {
		within = s.topic + "-" + name
	}
	n := named{name, registry.Qualify(s.context, within)}
	s.memo[s.used%len(s.memo)] = n
	s.used++
	return n.subject
}

func (s *side) unresolved(err error, p registry.Payload) *Refusal {
	if u, ok := errors.AsType[*registry.Unfit](err); ok {
		return s.unfit(u.Payload)
	}
	r := &Refusal{Part: s.part, Reason: err.Error(), Subject: s.subject(), Class: UnknownSchema}
	switch {
	case p.ID != 0 && p.Schema != nil:
		r.Class = Undecodable
	case !p.Framed:
		r.Class = NoSchema
	}
	if u, ok := errors.AsType[*registry.Unresolved](err); ok {
		r.SchemaID = u.ID
	}
	return r
}

// unfit says what the newest version has against a payload that fits none.
func (s *side) unfit(p registry.Payload) *Refusal {
	if bad := s.known(p); bad != nil {
		return bad
	}
	err := p.Validator.Validate(p.Bytes)
	if err == nil {
		return nil // it was registered a moment ago
	}
	return s.invalid(err, p)
}

func (s *side) invalid(err error, p registry.Payload) *Refusal {
	r := &Refusal{
		Part: s.part, Subject: s.lastSubject, Version: s.lastVersion, SchemaID: p.ID, Type: p.Schema.Type(),
		Reason: err.Error(), Class: Misfit,
	}
	if bad, ok := errors.AsType[*schema.Invalid](err); ok {
		r.Path, r.Expected, r.Found = clip(bad.Path), clip(bad.Expected), clip(bad.Found)
		r.Reason = "payload does not fit its schema"
	}
	return r
}
