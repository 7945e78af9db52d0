// Package wiring lets broker, registry and sink know of each other what they must: each
// declares what it needs, and here is what gives it. It is what the program and
// package sink/tarntest are put together with.
package wiring

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Validation lends the registry's validator to the broker, which knows no
// schemas.
func Validation(v *validate.Validator) api.Validate {
	return func(_ context.Context, t *topic.Topic, rd *record.Reader, from api.Origin) ([]api.RecordError, error) {
		c := &t.Config
		if c.Key.Validation == topic.ValidateOff && c.Value.Validation == topic.ValidateOff {
			return nil, nil
		}
		refused, err := v.Check(Rules(t, limit(c)), rd, validate.Origin{
			ClientID: from.ClientID, Software: from.Software, SoftwareVersion: from.SoftwareVersion, Remote: from.Remote,
		})
		if err != nil || len(refused) == 0 {
			return nil, err
		}
		out := make([]api.RecordError, len(refused))
		for i := range refused {
			out[i] = api.RecordError{Index: refused[i].Index, Message: refused[i].Message()}
			if limit(c) > 0 {
				out[i].Why = reasons(&refused[i])
			}
		}
		return out, nil
	}
}

// Rules are what a topic's configuration says about validation.
func Rules(t *topic.Topic, limit int) validate.Topic {
	c := &t.Config
	return validate.Topic{
		Name: t.Name, ID: t.ID, Context: c.SchemaContext, Key: PartRules(&c.Key), Value: PartRules(&c.Value), Limit: limit,
		Rules: ruleMode(c.Rules),
	}
}

func ruleMode(m topic.RuleMode) validate.RuleMode {
	switch m {
	case topic.RulesEnforce:
		return validate.RulesEnforce
	case topic.RulesMonitor:
		return validate.RulesMonitor
	}
	return validate.RulesOff
}

// PartRules are those of a topic's keys or values.
func PartRules(u *topic.SchemaUse) validate.Part {
	return validate.Part{
		Level: level(u.Validation), Strategy: strategy(u.Strategy), Subject: u.Subject,
		Latest: u.Latest, Versions: u.Pinned, Bare: bare(u.Bare), Message: u.Message, RefuseNull: u.RefuseNull, RefuseUnknown: u.RefuseUnknown,
	}
}

// Reading is how a sink reads a topic's keys or values. It takes every version
// of those that name theirs; a subject that may change with an association is
// left to it. byRecord says that the subject is only known of a record.
func Reading(reg *registry.Registry, t *topic.Topic, part string, u *topic.SchemaUse) (r registry.Reading, byRecord bool) {
	r = registry.Reading{Latest: u.Latest, Versions: u.Pinned, Bare: bare(u.Bare), Message: u.Message}
	if r.Bare == registry.BareRefused {
		r.Bare = registry.BareLatest // what is in the log all the same may as well be read
	}
	rules := PartRules(u)
	if u.Subject == "" && t.Config.SchemaContext == "" && rules.Strategy == validate.TopicName {
		return r, false
	}
	subject, known := validate.Expected(reg, t.Name, t.Config.SchemaContext, part, &rules)
	if !known {
		subject = validate.SubjectOf(reg, t.Name, t.Config.SchemaContext, part, "") // for what names no schema
	}
	r.Subject = subject
	return r, !known
}

func bare(b topic.Bare) registry.Bare {
	switch b {
	case topic.BareAttempt:
		return registry.BareAttempt
	case topic.BareRefuse:
		return registry.BareRefused
	}
	return registry.BareLatest
}

// limit is how many refusals of a batch are wanted: all of them where the
// records are kept.
func limit(c *topic.Config) int {
	if c.OnInvalid == topic.InvalidDLQ || c.OnInvalid == topic.InvalidMark {
		return api.MaxSetAside
	}
	return 0
}

// reasons are the headers of a bad record that is kept.
func reasons(r *validate.Refusal) []record.RecordHeader {
	out := []record.RecordHeader{{Key: "tarn.invalid.reason", Value: []byte(r.Message())}}
	for _, h := range []struct{ key, value string }{
		{"tarn.invalid.part", r.Part},
		{"tarn.invalid.rule", r.Rule},
		{"tarn.invalid.path", r.Path},
		{"tarn.invalid.expected", r.Expected},
		{"tarn.invalid.found", r.Found},
		{"tarn.invalid.subject", r.Subject},
	} {
		if h.value != "" {
			out = append(out, record.RecordHeader{Key: h.key, Value: []byte(h.value)})
		}
	}
	if r.SchemaID != 0 {
		out = append(out, record.RecordHeader{Key: "tarn.invalid.schema.id", Value: strconv.AppendInt(nil, int64(r.SchemaID), 10)})
	}
	return out
}

// interval is how long a sink collects records before it begins a commit: a
// little less than the topic's interval, which says when rows are to be seen.
func interval(ms int64) time.Duration {
	return time.Duration(ms-ms/20) * time.Millisecond
}

// millis is a duration in ms, at most what a Duration can say.
func millis(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// Topics shows the sink the topics that have tables.
func Topics(topics *topic.Topics, reg *registry.Registry) func() ([]sink.Topic, <-chan struct{}) {
	return func() ([]sink.Topic, <-chan struct{}) {
		v := topics.View()
		var out []sink.Topic
		for _, t := range v.All() {
			if len(t.Config.TableFormats) == 0 {
				continue
			}
			out = append(out, Topic(reg, t))
		}
		return out, v.Changed()
	}
}

// Topic is a topic as its sink and queries see it.
func Topic(reg *registry.Registry, t *topic.Topic) sink.Topic {
	c := &t.Config
	key, _ := Reading(reg, t, "key", &c.Key)
	value, byRecord := Reading(reg, t, "value", &c.Value)
	return sink.Topic{
		ID: t.ID, Name: t.Name, Partitions: t.Partitions, Table: t.Table(), Formats: c.TableFormats,
		CommitInterval: interval(c.CommitIntervalMs),
		CommitBytes:    c.CommitBytes, CommitRows: c.CommitRows,
		Start: sink.Start(c.TableStart), TrimLog: c.TableTrims,
		Layout: wantedLayout(c), FileBytes: c.TableFileBytes,
		Compression: parquet.Codec(c.TableCompression), CompressionLevel: int(c.TableCompressionLevel),
		Upsert: upsertKey(c),
		Unwrap: c.TableUnwrap, Generated: c.TableGenerated,
		JSONExtra: c.JSONExtra, KeyAs: c.TableKeyAs, ValueAs: c.TableValueAs, ValueVersion: c.TableVersion,
		Compact: c.TableCompact, CompactBytes: c.TableCompactBytes,
		History: millis(c.TableHistoryMs), HistoryMax: int(c.TableHistoryMax),
		OrphanAge: millis(c.TableOrphanMs), Retention: max(0, millis(c.TableRetentionMs)),
		Key: key, Value: value, ValueByRecord: byRecord,
	}
}

// wantedLayout is how a topic's rows are put into files.
func wantedLayout(c *topic.Config) layout.Want {
	var w layout.Want
	for _, t := range c.TablePartition {
		w.Partition = append(w.Partition, layout.Term{Transform: tables.Transform{Name: t.Transform, N: t.N}, Column: t.Column})
	}
	for _, t := range c.TableSort {
		w.Sort = append(w.Sort, layout.Order{Column: t.Column, Desc: t.Desc, NullsFirst: t.NullsFirst})
	}
	return w
}

// upsertKey are the columns by which a topic's tables hold latest values; none if
// they hold every record.
func upsertKey(c *topic.Config) []string {
	switch {
	case c.TableMode != topic.ModeUpsert:
		return nil
	case len(c.TableKey) > 0:
		return c.TableKey
	}
	return []string{sink.RecordKey}
}

func level(v topic.Validation) validate.Level {
	switch v {
	case topic.ValidateID:
		return validate.ID
	case topic.ValidatePayload:
		return validate.Payload
	case topic.ValidateMonitor:
		return validate.Monitor
	}
	return validate.Off
}

func strategy(s topic.Strategy) validate.Strategy {
	switch s {
	case topic.StrategyRecord:
		return validate.RecordName
	case topic.StrategyTopicRecord:
		return validate.TopicRecordName
	}
	return validate.TopicName
}
