package topic

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Validation says how far records are held against their schema.
type Validation string

// The levels of tarn.key.schema.validation and tarn.value.schema.validation.
const (
	ValidateOff     Validation = "off"     // anything goes
	ValidateID      Validation = "id"      // the schema id must be one of the subject
	ValidatePayload Validation = "payload" // and the bytes must decode by it
	ValidateMonitor Validation = "monitor" // as payload, but nothing is refused
)

// Invalid says what happens to records that fail validation.
type Invalid string

// The values of tarn.schema.on.invalid.
const (
	InvalidReject Invalid = "reject" // the whole batch is refused
	InvalidDLQ    Invalid = "dlq"    // they go to the dead-letter topic, the rest is taken
	InvalidMark   Invalid = "mark"   // they are taken with headers that say what is wrong
)

// DeadLetterSuffix makes the name of a topic's dead-letter topic.
const DeadLetterSuffix = ".dlq"

// Strategy says which subject a record's schema belongs to.
type Strategy string

// Confluent's three strategies.
const (
	StrategyTopic       Strategy = "topic"        // <topic>-key, <topic>-value
	StrategyRecord      Strategy = "record"       // the record's full name
	StrategyTopicRecord Strategy = "topic_record" // <topic>-<full name>
)

// UnwrapDebezium is the value of tarn.table.unwrap for Debezium's change envelopes.
const UnwrapDebezium = "debezium"

// ModeUpsert is the value of tarn.table.mode that makes tables of latest values.
const ModeUpsert = "upsert"

// Formats of tarn.table.formats.
const (
	FormatIceberg = "iceberg"
	FormatDelta   = "delta"
	FormatParquet = "parquet"
)

// Config holds a topic's effective values, typed. It has a field for every key
// that takes effect; the meaning of each stands in its Definition.
type Config struct {
	CleanupDelete          bool
	CleanupCompact         bool
	RetentionMs            int64 // -1: for ever
	RetentionBytes         int64 // of one partition; -1: no limit
	SegmentBytes           int64
	MaxMessageBytes        int64 // of one batch as sent
	Compression            string
	GzipLevel              int64
	LZ4Level               int64
	ZstdLevel              int64
	LogAppendTime          bool // message.timestamp.type is LogAppendTime
	TimestampBeforeMaxMs   int64
	TimestampAfterMaxMs    int64
	MinCompactionLagMs     int64
	MaxCompactionLagMs     int64
	DeleteRetentionMs      int64
	MinCleanableDirtyRatio float64

	Key, Value      SchemaUse
	SchemaContext   string // of the registry, with a dot in front; empty: the default one
	Rules           RuleMode
	OnInvalid       Invalid
	DeadLetterTopic string // empty: the topic's name with DeadLetterSuffix

	TableFormats     []string // none: no table
	TableName        string   // empty: TableName(topic)
	CommitIntervalMs int64
	CommitBytes      int64
	CommitRows       int64
	TableStart       TableStart
	TableTrims       bool   // tarn.table.log is until_commit
	TableForeign     string // see ForeignMaintenance
	JSONExtra        bool
	TableKeyAs       string // schema, binary, string or json
	TableValueAs     string
	TableVersion     int    // tarn.table.value.version: a number, 0 for own, -1 for latest
	TableUnwrap      string // debezium; empty: values are taken as they are
	TableGenerated   string // columns that are computed of others

	TableMode string   // append or upsert
	TableKey  []string // columns; none: the record's key

	TableCompact      string // auto, all or none
	TableCompactBytes int64
	TableHistoryMs    int64 // tarn.table.snapshot.retention.ms
	TableHistoryMax   int64 // tarn.table.snapshot.max
	TableOrphanMs     int64
	TableRetentionMs  int64 // -1: for ever

	TablePartition []PartitionTerm
	TableSort      []SortTerm
	TableFileBytes int64

	TableCompression      string // zstd, snappy, gzip, lz4 or none
	TableCompressionLevel int64  // 0: the codec's default
}

// ConfigError refuses one config entry. Nothing was changed.
type ConfigError struct {
	Key, Value string
	// Reason says what is wrong and, where there is one, what to do.
	Reason string
}

// Error names key, value and reason.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("topic config %s=%q: %s", e.Key, e.Value, e.Reason)
}

// Source says where an effective value comes from.
type Source int8

// Sources, with Kafka's numbers (DescribeConfigs).
const (
	SourceTopic          Source = 1 // set on the topic
	SourceDynamicBroker  Source = 2 // set on this broker while it ran
	SourceDynamicDefault Source = 3 // set on all brokers while they ran
	SourceBroker         Source = 4 // set in the broker's own config
	SourceDefault        Source = 5 // nobody set it
)

// Entry is one key of a topic as DescribeConfigs shows it.
type Entry struct {
	Definition
	Value  string
	Source Source
	// Synonyms lists where the value was looked for, highest priority first;
	// the first one is in force.
	Synonyms []Synonym
}

// Synonym is one place that gives a value.
type Synonym struct {
	Name, Value string
	Source      Source
}

// Describe lists all known keys, in the order of Definitions, with the values
// that hold for overrides on this broker. A nil overrides gives the defaults.
func (t *Topics) Describe(overrides map[string]string) []Entry {
	v := t.View()
	entries := make([]Entry, 0, len(definitions))
	for _, d := range definitions {
		e := Entry{Definition: d}
		if v, ok := overrides[d.Name]; ok {
			e.Synonyms = append(e.Synonyms, Synonym{d.Name, v, SourceTopic})
		}
		e.Synonyms = append(e.Synonyms, v.defaults.places(d)...)
		name := d.Synonym
		if name == "" {
			name = d.Name
		}
		e.Synonyms = append(e.Synonyms, Synonym{name, d.Default, SourceDefault})
		e.Value, e.Source = e.Synonyms[0].Value, e.Synonyms[0].Source
		entries = append(entries, e)
	}
	return entries
}

// effective works out typed values: overrides over defaults over Kafka's. All
// keys are canonical. The error is a *ConfigError.
func effective(defaults, overrides map[string]string) (Config, error) {
	var c Config
	for _, d := range definitions {
		value, ok := overrides[d.Name]
		if !ok {
			value, ok = defaults[d.Name]
		}
		if !ok {
			value = d.Default
		}
		if err := d.set(&c, value); err != nil {
			return Config{}, &ConfigError{Key: d.Name, Value: value, Reason: err.Error()}
		}
	}
	return c, nil
}

// consistent is effective for values that are about to be taken: they must not
// contradict each other. What is stored already is not judged again, since other
// defaults must not keep a broker from its topics.
func consistent(defaults, overrides map[string]string) (Config, error) {
	c, err := effective(defaults, overrides)
	if err == nil && c.MinCompactionLagMs > c.MaxCompactionLagMs {
		err = &ConfigError{Key: "min.compaction.lag.ms", Value: strconv.FormatInt(c.MinCompactionLagMs, 10),
			Reason: fmt.Sprintf("is above max.compaction.lag.ms, which is %d", c.MaxCompactionLagMs)}
	}
	if err == nil && c.Rules != RulesOff && !c.Key.whole() && !c.Value.whole() {
		err = &ConfigError{Key: "tarn.schema.rules", Value: string(c.Rules),
			Reason: "rules are asked where whole payloads are checked: set tarn.value.schema.validation or tarn.key.schema.validation to payload or monitor, too"}
	}
	if err == nil {
		err = checkMode(&c)
	}
	return c, err
}

// checkMode refuses what the tables' mode cannot be used with.
func checkMode(c *Config) error {
	switch {
	case c.TableUnwrap != "" && (c.TableValueAs == "binary" || c.TableValueAs == "string"):
		return &ConfigError{Key: "tarn.table.unwrap", Value: c.TableUnwrap,
			Reason: "change envelopes have a schema or are JSON: set tarn.table.value.as to schema or json, not " + c.TableValueAs}
	case c.TableMode != ModeUpsert && len(c.TableKey) > 0:
		return &ConfigError{Key: "tarn.table.key", Value: strings.Join(c.TableKey, ","),
			Reason: "only tables of latest values have a key: set tarn.table.mode=upsert, too"}
	case c.TableMode == ModeUpsert && slices.Contains(c.TableFormats, FormatParquet):
		return &ConfigError{Key: "tarn.table.mode", Value: c.TableMode,
			Reason: "plain Parquet cannot replace rows, since its readers by glob would see rows go before others come: take parquet out of tarn.table.formats"}
	}
	return nil
}

// Canonical turns configs as a client names them, aliases among them, into
// canonical keys and checks each value. The error is a *ConfigError: for an
// unknown key, a bad value, an alias that cannot be honoured, or two names of
// one key that contradict each other.
func Canonical(configs map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(configs))
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		pairs, err := resolve(key, configs[key])
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			if old, ok := out[p.key]; ok && old != p.value {
				return nil, &ConfigError{Key: key, Value: configs[key],
					Reason: fmt.Sprintf("contradicts another entry that sets %s to %q", p.key, old)}
			}
			out[p.key] = p.value
		}
	}
	return out, nil
}

// pair is a canonical key and a valid value.
type pair struct{ key, value string }

// resolve turns one entry as a client wrote it into canonical ones. Some
// aliases stand for two keys, some for what Tarn does anyway, hence for none.
func resolve(key, value string) ([]pair, error) {
	refuse := func(reason string) error { return &ConfigError{Key: key, Value: value, Reason: reason} }
	if len(value) > MaxConfigBytes {
		e := &ConfigError{Key: key, Value: value[:32] + "…"}
		e.Reason = fmt.Sprintf("a value has at most %d bytes, this has %d", MaxConfigBytes, len(value))
		return nil, e
	}
	if d, ok := Lookup(key); ok {
		if err := d.Check(value); err != nil {
			return nil, refuse(err.Error())
		}
		return []pair{{key, d.tidy(value)}}, nil
	}
	a, ok := findAlias(key)
	if !ok {
		return nil, refuse(unknown(key))
	}
	pairs, err := a.translate(value)
	if err != nil {
		return nil, refuse(err.Error())
	}
	for _, p := range pairs {
		if d, ok := Lookup(p.key); !ok {
			return nil, refuse("stands for an unknown key " + p.key)
		} else if err := d.Check(p.value); err != nil {
			return nil, refuse(err.Error())
		}
	}
	return pairs, nil
}

// targets lists the canonical keys that a name stands for.
func targets(key string) ([]string, error) {
	if _, ok := Lookup(key); ok {
		return []string{key}, nil
	}
	a, ok := findAlias(key)
	if !ok {
		return nil, &ConfigError{Key: key, Reason: unknown(key)}
	}
	return a.targets, nil
}

// unknown says that a key is, and which one may have been meant.
func unknown(key string) string {
	names := make([]string, 0, len(definitions)+len(aliases))
	for _, d := range definitions {
		names = append(names, d.Name)
	}
	for _, a := range aliases {
		names = append(names, a.name)
	}
	if s := Suggest(key, names); s != "" {
		return fmt.Sprintf("unknown key, did you mean %s?", s)
	}
	return "unknown key"
}
