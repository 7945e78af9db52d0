package topic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// tarnKeys are ours, by name.
func tarnKeys() []Definition {
	return slices.SortedFunc(slices.Values(slices.Concat(
		schemaKeys("key", func(c *Config) *SchemaUse { return &c.Key }),
		schemaKeys("value", func(c *Config) *SchemaUse { return &c.Value }),
		invalidKeys(), tableKeys(), tableLifeKeys(), layoutKeys(),
	)), func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
}

// invalidKeys say what becomes of records that fail validation.
func invalidKeys() []Definition {
	outcomes := []string{string(InvalidReject), string(InvalidDLQ), string(InvalidMark)}
	return []Definition{
		schemaContext(),
		choice("tarn.schema.rules", "off", []string{string(RulesOff), string(RulesEnforce), string(RulesMonitor)},
			func(c *Config, s string) { c.Rules = RuleMode(s) },
			"Whether records must keep those rules of their schema that need no client: CEL conditions on WRITE, and protovalidate's annotations. enforce treats a record that breaks one as tarn.schema.on.invalid says; monitor only counts it. It needs payload or monitor as the validation."),
		deadLetterTopic(),
		choice("tarn.schema.on.invalid", "reject", outcomes,
			func(c *Config, s string) { c.OnInvalid = Invalid(s) },
			"What happens to records that fail validation: reject refuses their batch, dlq sends them to the dead-letter topic with headers that say why, mark keeps them with such headers. Transactional batches are rejected where dlq is asked for."),
	}
}

// tableKeys are about a topic's tables.
func tableKeys() []Definition {
	return []Definition{
		long("tarn.table.commit.bytes", 64<<20, 1<<16, func(c *Config) *int64 { return &c.CommitBytes },
			"A table is committed when this many bytes of records wait for it."),
		long("tarn.table.commit.interval.ms", 10_000, 100, func(c *Config) *int64 { return &c.CommitIntervalMs },
			"A table is committed when its oldest waiting record is this old, in ms."),
		long("tarn.table.commit.rows", 1_000_000, 1, func(c *Config) *int64 { return &c.CommitRows },
			"A table is committed when this many records wait for it."),
		choice("tarn.table.compact", "auto", []string{"auto", "all", "none"},
			func(c *Config, s string) { c.TableCompact = s },
			"Which tables' small files are merged in the background: auto those of Iceberg and Delta; all those of plain Parquet too, whose readers by glob may miss rows for the moment in which files are exchanged; none."),
		long("tarn.table.compact.bytes", 64<<20, 1<<20, func(c *Config) *int64 { return &c.TableCompactBytes },
			"About how large merging makes data files, in bytes. Files of half of it are left alone. A rewrite takes some three times as much memory."),
		list("tarn.table.formats", "", []string{FormatIceberg, FormatDelta, FormatParquet},
			func(c *Config, s []string) { c.TableFormats = s },
			"The table formats that the topic's records are written to; empty: none."),
		later("tarn.table.invalid", "dlq", "writes them to the table's dead-letter table",
			"What happens to records that cannot become rows of the table."),
		boolean("tarn.table.json.extra", true, func(c *Config) *bool { return &c.JSONExtra },
			"Whether fields of JSON records that the schema does not name are kept in a column of their own."),
		tableKey(),
		choice("tarn.table.key.as", "schema", readAs,
			func(c *Config, s string) { c.TableKeyAs = s },
			"What tables make of keys: by their schema, if they have one; string or json, whatever the registry has, as the field value of kafka_key_decoded; binary only keeps kafka_key, which is always there."),
		choice("tarn.table.mode", "append", []string{"append", ModeUpsert},
			func(c *Config, s string) { c.TableMode = s },
			"What a table holds: append a row for every record, upsert the latest row of every key, and none where the latest record of a key has no value. It stays what it was when the table was made. upsert is for Iceberg and Delta."),
		{Name: "tarn.table.generated", Kind: String, Allowed: "columns like day = date(kafka_timestamp), eur = amount * 0.92",
			Doc: "Columns of the tables that are computed of others: a list of names with expressions as in SQL, of columns (a.b for fields of structs), texts in single quotes, numbers, + - * / %, ||, comparisons, and, or, not, is null, cast(… as type), if, coalesce, and functions of dates, texts and numbers; empty: none. Null makes null. Records for which one cannot be computed are dead letters.",
			set: func(c *Config, s string) error {
				c.TableGenerated = s
				return nil
			}},
		tableName(),
		long("tarn.table.orphan.retention.ms", 259_200_000, 3_600_000, func(c *Config) *int64 { return &c.TableOrphanMs },
			"How old a file that no table names and no commit waits for is before it is removed, in ms."),
		long("tarn.table.retention.ms", -1, -1, func(c *Config) *int64 { return &c.TableRetentionMs },
			"How long rows stay in the tables, in ms by their records' timestamps; -1: for ever. Data files go whole, once all their rows are older."),
		between("tarn.table.snapshot.max", 500, 10, 10_000, func(c *Config) *int64 { return &c.TableHistoryMax },
			"How many earlier states of a table can be read at most. Every commit of an Iceberg table writes some 700 bytes for each."),
		long("tarn.table.snapshot.retention.ms", 86_400_000, 60_000, func(c *Config) *int64 { return &c.TableHistoryMs },
			"How long earlier states of the tables can be read, in ms."),
		choice("tarn.table.unwrap", "none", []string{"none", UnwrapDebezium},
			func(c *Config, s string) {
				c.TableUnwrap = ""
				if s != "none" {
					c.TableUnwrap = s
				}
			},
			"What values are wrapped in: debezium makes the columns of the tables those of after in Debezium's change envelopes, with columns kafka_cdc_… about the change; in append mode a change is a row, in upsert mode a delete takes its row away. Values that are no envelopes are dead letters."),
		choice("tarn.table.value.as", "schema", readAs,
			func(c *Config, s string) { c.TableValueAs = s },
			"What tables make of values: columns by their schema; or without one a column named value of binary, string (UTF-8) or json (text of one JSON value each). What is not so is a dead letter."),
		tableVersion(),
	}
}

// tableVersion says which version of their schema rows are of.
func tableVersion() Definition {
	allowed := "own, latest, or a version's number"
	return Definition{Name: "tarn.table.value.version", Kind: String, Default: "own", Allowed: allowed,
		Doc: "Which version of its subject rows of an Avro value are of: own takes each value as it was written; latest, or a number, resolves it to that version as Avro does: fields that it lacks get their defaults, those that the version does not have are left out, types widen. What does not resolve is a dead letter. Protobuf and JSON are always taken as they were written.",
		set: func(c *Config, s string) error {
			switch s {
			case "own":
				c.TableVersion = 0
				return nil
			case "latest":
				c.TableVersion = -1
				return nil
			}
			n, err := strconv.ParseInt(s, 10, 32)
			if err != nil || n < 1 {
				return errors.New("must be " + allowed)
			}
			c.TableVersion = int(n)
			return nil
		}}
}

// readAs are the ways in which tables take keys and values.
var readAs = []string{"schema", "binary", "string", "json"}

// later defines a key whose other values are to come: for now it has one, and
// the others are refused by saying so.
func later(name, only, does, doc string) Definition {
	return Definition{Name: name, Kind: String, Default: only, Doc: doc, Allowed: only,
		set: func(_ *Config, s string) error {
			if s != only {
				return errors.New("this version knows only " + only + ", which " + does)
			}
			return nil
		}}
}

func deadLetterTopic() Definition {
	return Definition{Name: "tarn.schema.dlq.topic", Kind: String, Allowed: "a topic's name",
		Doc: "The topic for records that fail validation, where tarn.schema.on.invalid is dlq; empty: the topic's name and .dlq. It is made when it is first needed.",
		set: func(c *Config, s string) error {
			c.DeadLetterTopic = s
			if s == "" {
				return nil
			}
			return CheckName(s)
		}}
}

// maxKeyColumns bounds the columns of a table's key.
const maxKeyColumns = 32

func tableKey() Definition {
	return Definition{Name: "tarn.table.key", Kind: List, Allowed: "names of columns",
		Doc: "The columns that make a row's key where tarn.table.mode is upsert; empty: the record's key. They stand at the table's top; records without a value say theirs in fields of the same names in the record's key.",
		set: func(c *Config, s string) error {
			c.TableKey = splitList(s)
			if len(c.TableKey) > maxKeyColumns {
				return fmt.Errorf("has %d columns; a key has at most %d", len(c.TableKey), maxKeyColumns)
			}
			for i, name := range c.TableKey {
				if slices.Contains(c.TableKey[:i], name) {
					return fmt.Errorf("%q stands there twice", name)
				}
			}
			return nil
		}}
}

func tableName() Definition {
	return Definition{Name: "tarn.table.name", Kind: String, Allowed: "a–z, 0–9 and _",
		Doc: "The table's name; empty: made from the topic's, each character outside a–z, 0–9 and _ written as _xx_ in hexadecimal.",
		set: func(c *Config, s string) error {
			c.TableName = s
			return checkTable(s)
		}}
}

// withAliases fills in the names that other vendors have for a key.
func withAliases(keys []Definition) []Definition {
	for i := range keys {
		for _, a := range aliases {
			for _, t := range a.targets {
				if t == keys[i].Name {
					keys[i].Aliases = append(keys[i].Aliases, a.name)
				}
			}
		}
	}
	return keys
}
