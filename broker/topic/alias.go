package topic

import (
	"errors"
	"slices"
	"strings"
)

// alias is another vendor's key. It stands for keys of ours, or is refused
// with a reason; none is ignored, since an ignored key loses or doubles data
// without a word.
type alias struct {
	name string
	// targets are the canonical keys it may set; none if it is always refused
	// or only says what Tarn does anyway.
	targets []string
	// translate turns a value into canonical entries.
	translate func(value string) ([]pair, error)
}

// aliases is the table of them. It is never written.
var aliases = slices.Concat(confluentAliases(), redpandaAliases(), redpandaTiers(), automqAliases(), tansuAliases(), bufstreamAliases(), ownAliases())

func findAlias(name string) (alias, bool) {
	for _, a := range aliases {
		if a.name == name {
			return a, true
		}
	}
	// The only family of keys with a free part.
	if strings.HasPrefix(name, "tansu.lake.generate.") {
		return refused(name, "generated columns have one key here, as tarn.table.generated='a = date(kafka_timestamp), b = cast(x as double)'"), true
	}
	return alias{}, false
}

// same is an alias that differs in name only.
func same(name, key string) alias {
	return alias{name, []string{key}, func(v string) ([]pair, error) { return []pair{{key, v}}, nil }}
}

// refused is a key that cannot be honoured.
func refused(name, why string) alias {
	return alias{name, nil, func(string) ([]pair, error) { return nil, errors.New(why) }}
}

// words translates by a table. A value that maps to an empty list says what
// Tarn does anyway. Values not in it are refused with why.
func words(name, why string, table map[string][]pair) alias {
	a := alias{name: name}
	for _, pairs := range table {
		for _, p := range pairs {
			if !slices.Contains(a.targets, p.key) {
				a.targets = append(a.targets, p.key)
			}
		}
	}
	slices.Sort(a.targets)
	a.translate = func(v string) ([]pair, error) {
		pairs, ok := table[v]
		if !ok {
			return nil, errors.New(why)
		}
		return pairs, nil
	}
	return a
}

// flag translates true and false.
func flag(name string, yes, no []pair) alias {
	a := words(name, "must be true or false", map[string][]pair{"true": yes, "false": no})
	exact := a.translate
	a.translate = func(v string) ([]pair, error) { return exact(strings.ToLower(v)) }
	return a
}

// strategy translates class names, with or without Confluent's package. Its
// AssociatedNameStrategy looks for an association first and then goes by the
// topic, as the strategy topic does.
func strategy(name, key string) alias {
	table := map[string][]pair{}
	for class, word := range map[string]Strategy{
		"TopicNameStrategy": StrategyTopic, "RecordNameStrategy": StrategyRecord,
		"TopicRecordNameStrategy": StrategyTopicRecord, "AssociatedNameStrategy": StrategyTopic,
	} {
		table[class] = []pair{{key, string(word)}}
		table["io.confluent.kafka.serializers.subject."+class] = table[class]
	}
	return words(name, "must be TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy or AssociatedNameStrategy, with io.confluent.kafka.serializers.subject. in front or without", table)
}

// validation maps true to validation by id, as Confluent and Redpanda mean it.
func validation(name, key string) alias {
	return flag(name, []pair{{key, string(ValidateID)}}, []pair{{key, string(ValidateOff)}})
}

func confluentAliases() []alias {
	out := []alias{same("confluent.schema.validation.context.name", "tarn.schema.context")}
	for _, part := range []string{"key", "value"} {
		out = append(out,
			validation("confluent."+part+".schema.validation", "tarn."+part+".schema.validation"),
			strategy("confluent."+part+".subject.name.strategy", "tarn."+part+".subject.name.strategy"))
	}
	return out
}

func redpandaAliases() []alias {
	var out []alias
	for _, part := range []string{"key", "value"} {
		out = append(out,
			validation("redpanda."+part+".schema.id.validation", "tarn."+part+".schema.validation"),
			strategy("redpanda."+part+".subject.name.strategy", "tarn."+part+".subject.name.strategy"))
	}
	return append(out,
		same("redpanda.schema.registry.context", "tarn.schema.context"),
		words("redpanda.iceberg.mode",
			"Tarn decodes values by the schema id they carry, or not at all: use value_schema_id_prefix, key_value, or tarn.table.formats=iceberg",
			map[string][]pair{
				"disabled":               {{"tarn.table.formats", ""}},
				"value_schema_id_prefix": {{"tarn.table.formats", FormatIceberg}, {"tarn.table.value.as", "schema"}},
				"key_value":              {{"tarn.table.formats", FormatIceberg}, {"tarn.table.value.as", "binary"}},
			}),
		partitioned("redpanda.iceberg.partition.spec", "(", ")"),
		same("redpanda.iceberg.target.lag.ms", "tarn.table.commit.interval.ms"),
		words("redpanda.iceberg.delete", "a table outlives its topic; drop it in the catalog",
			map[string][]pair{"false": nil}),
		words("redpanda.iceberg.invalid.record.action", "Tarn drops no record: use dlq_table",
			map[string][]pair{"dlq_table": {{"tarn.table.invalid", "dlq"}}}))
}

// redpandaTiers are Redpanda's keys of tiered storage, of caches and of a
// cluster of many brokers: values that say how things are here are taken.
func redpandaTiers() []alias {
	const tiers = "Tarn has no second tier: the storage engine holds the whole log"
	out := []alias{
		flag("redpanda.remote.delete", nil, nil), // nothing is remote
		refused("redpanda.remote.readreplica", tiers),
		flagOff("redpanda.cloud_topic.enabled", tiers),
		words("write.caching", "Tarn acknowledges what is on the disk; --storage.synchronous=normal makes it faster for all topics, at the price of the last moments before a power cut",
			map[string][]pair{"false": nil, "disabled": nil}),
		refused("flush.bytes", "Tarn syncs whatever it acknowledges: leave this key out"),
		words("redpanda.leaders.preference", "there is one broker, which leads all partitions: use none, or leave the key out",
			map[string][]pair{"none": nil}),
		refused("redpanda.virtual.cluster.id", "there are no virtual clusters"),
		words("compaction.strategy", "compaction keeps the last record of each key: use offset, or leave the key out",
			map[string][]pair{"offset": nil}),
		refused("replication.factor", "one broker keeps one replica: leave this key out"),
	}
	for _, what := range []string{"read", "write", "recovery"} {
		out = append(out, flagOff("redpanda.remote."+what, tiers))
	}
	for _, unit := range []string{"bytes", "ms"} {
		out = append(out,
			refused("retention.local.target."+unit, tiers),
			refused("initial.retention.local.target."+unit, tiers))
	}
	return out
}

func automqAliases() []alias {
	const p = "automq.table.topic."
	const byID = "Tarn decodes records by the schema id they carry: use convert.value.type or convert.key.type with by_schema_id, or leave the key out"
	out := []alias{
		flag(p+"enable", []pair{{"tarn.table.formats", FormatIceberg}}, []pair{{"tarn.table.formats", ""}}),
		same(p+"commit.interval.ms", "tarn.table.commit.interval.ms"),
		refused(p+"namespace", "all tables lie in the warehouse's namespace; tarn.table.name sets a table's name"),
		converted(p+"convert.value.type", "tarn.table.value.as"),
		converted(p+"convert.key.type", "tarn.table.key.as"),
		words(p+"errors.tolerance", "Tarn neither stops at a bad record nor drops it: use invalid_data, which fills the dead-letter table",
			map[string][]pair{"invalid_data": {{"tarn.table.invalid", "dlq"}}}),
		words(p+"transform.value.type", "use none, flatten (fields of a value are columns anyway) or flatten_debezium",
			map[string][]pair{"none": {{"tarn.table.unwrap", "none"}}, "flatten": {{"tarn.table.unwrap", "none"}}, "flatten_debezium": {{"tarn.table.unwrap", UnwrapDebezium}}}),
		partitioned(p+"partition.by", "[", "]"),
		alias{p + "id.columns", []string{"tarn.table.key"}, func(v string) ([]pair, error) {
			v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(v), "["), "]")
			if v == "_from_debezium_key_" {
				v = "" // the record's key, which Debezium makes of the primary key
			}
			return []pair{{"tarn.table.key", v}}, nil
		}},
		flag(p+"upsert.enable", []pair{{"tarn.table.mode", ModeUpsert}}, []pair{{"tarn.table.mode", "append"}}),
		refused(p+"cdc.field", "records without a value delete rows where tarn.table.mode is upsert; of Debezium's envelopes, tarn.table.unwrap=debezium reads what a change is by itself: leave this key out; other fields that say so are not understood"),
		refused(p+"schema.type", "this key is deprecated; use "+p+"convert.value.type"),
	}
	for _, part := range []string{"value", "key"} {
		out = append(out,
			refused(p+"convert."+part+".by_latest_schema.subject", byID),
			refused(p+"convert."+part+".by_latest_schema.message.full.name", byID))
	}
	for _, rest := range []string{"enabled", "older.than.hours", "retain.last"} {
		out = append(out, refused(p+"expire.snapshot."+rest, "snapshots expire by the sink's settings, not a topic's"))
	}
	return out
}

// converted is how AutoMQ says what becomes of a part.
func converted(name, key string) alias {
	return words(name, "use by_schema_id, string or raw: Tarn decodes records by the schema id they carry, or not at all",
		map[string][]pair{"by_schema_id": {{key, "schema"}}, "string": {{key, "string"}}, "raw": {{key, "binary"}}})
}

// partitioned is a partition spec in brackets; those of Redpanda may name its own
// columns.
func partitioned(name, open, closed string) alias {
	const key = "tarn.table.partition"
	return alias{name, []string{key}, func(v string) ([]pair, error) {
		v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(v), open), closed)
		return []pair{{key, strings.ReplaceAll(v, "redpanda.", "kafka_")}}, nil
	}}
}

// flagOff accepts false, which is how things are, and refuses true.
func flagOff(name, why string) alias {
	return words(name, why, map[string][]pair{"false": nil})
}

func tansuAliases() []alias {
	return []alias{
		flag("tansu.schema.validation",
			[]pair{{"tarn.value.schema.validation", string(ValidatePayload)}},
			[]pair{{"tarn.value.schema.validation", string(ValidateOff)}}),
		flagOff("tansu.lake.sink", "a topic always keeps its log beside its tables; set tarn.table.formats for a table"),
		same("tansu.lake.partition", "tarn.table.partition"),
		flagOff("tansu.lake.normalize", "records are not flattened on the way to a table"),
		refused("tansu.lake.normalize.separator", "records are not flattened on the way to a table"),
		refused("tansu.lake.z_order", "rows are not put along a Z-order curve; tarn.table.sort sorts them"),
		flagOff("tansu.virtual", "virtual topics are not supported"),
		flagOff("tansu.batch", "this key is for Tansu's proxy; Tarn commits in groups by itself"),
		refused("tansu.batch.max_records", "this key is for Tansu's proxy; Tarn commits in groups by itself"),
		refused("tansu.batch.timeout_ms", "this key is for Tansu's proxy; Tarn commits in groups by itself"),
	}
}

// bufstreamAliases: a module of Buf's registry is the subject of its name, which
// has the module's file as its schema.
func bufstreamAliases() []alias {
	payload := func(outcome Invalid) []pair {
		return []pair{
			{"tarn.value.schema.validation", string(ValidatePayload)},
			{"tarn.schema.on.invalid", string(outcome)},
			{"tarn.schema.rules", string(RulesEnforce)},
		}
	}
	mode := words("bufstream.validate.mode", "must be reject or dlq",
		map[string][]pair{"reject": payload(InvalidReject), "dlq": payload(InvalidDLQ)})
	exact := mode.translate
	mode.translate = func(v string) ([]pair, error) { return exact(strings.ToLower(v)) }
	return []alias{
		mode,
		same("bufstream.validate.dlq.topic", "tarn.schema.dlq.topic"),
		same("buf.registry.key.schema.message", "tarn.key.schema.message"),
		same("buf.registry.key.schema.module", "tarn.key.schema.subject"),
		same("buf.registry.value.schema.message", "tarn.value.schema.message"),
		same("buf.registry.value.schema.module", "tarn.value.schema.subject"),
	}
}

// ownAliases are near misses of our own names that can only mean one thing.
func ownAliases() []alias {
	return []alias{same("tarn.table.format", "tarn.table.formats")}
}
