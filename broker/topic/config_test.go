package topic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestDefinitions holds the table of keys to its own promises.
func TestDefinitions(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Definitions() {
		if seen[d.Name] {
			t.Errorf("%s stands there twice", d.Name)
		}
		seen[d.Name] = true
		if err := d.Check(d.Default); err != nil {
			t.Errorf("%s: its default %q %v", d.Name, d.Default, err)
		}
		if d.Doc == "" || d.Allowed == "" || d.Kind == 0 {
			t.Errorf("%s lacks its documentation", d.Name)
		}
		if d.Note == "" && d.Kind != String && d.Kind != List && d.Check("nonsense") == nil {
			t.Errorf("%s takes nonsense", d.Name)
		}
		if strings.HasPrefix(d.Name, "tarn.") && d.Synonym != "" {
			t.Errorf("%s has a broker synonym of Kafka's", d.Name)
		}
	}
	for _, a := range aliases {
		if seen[a.name] {
			t.Errorf("alias %s is a key or another alias", a.name)
		}
		seen[a.name] = true
		for _, target := range a.targets {
			if d, ok := Lookup(target); !ok || !slices.Contains(d.Aliases, a.name) {
				t.Errorf("alias %s stands for %s, which does not know it", a.name, target)
			}
		}
	}
}

// TestKafkasKeys lists what Kafka 4.x's TopicConfig has.
func TestKafkasKeys(t *testing.T) {
	want := strings.Fields(`cleanup.policy compression.gzip.level compression.lz4.level compression.type
		compression.zstd.level delete.retention.ms file.delete.delay.ms flush.messages flush.ms
		follower.replication.throttled.replicas index.interval.bytes leader.replication.throttled.replicas
		local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes
		message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type
		min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate
		remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable retention.bytes
		retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms
		unclean.leader.election.enable`)
	for _, name := range want {
		if _, ok := Lookup(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestDefaultConfig(t *testing.T) {
	c, err := effective(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", c)
	want := "{CleanupDelete:true CleanupCompact:false RetentionMs:604800000 RetentionBytes:-1 " +
		"SegmentBytes:1073741824 MaxMessageBytes:1048588 Compression:producer GzipLevel:-1 LZ4Level:9 ZstdLevel:3 LogAppendTime:false " +
		"TimestampBeforeMaxMs:9223372036854775807 TimestampAfterMaxMs:3600000 MinCompactionLagMs:0 " +
		"MaxCompactionLagMs:9223372036854775807 DeleteRetentionMs:86400000 MinCleanableDirtyRatio:0.5 " +
		"Key:{Validation:off Strategy:topic Subject: Latest:false Pinned:[] Bare:latest Message: RefuseNull:false RefuseUnknown:false} " +
		"Value:{Validation:off Strategy:topic Subject: Latest:false Pinned:[] Bare:latest Message: RefuseNull:false RefuseUnknown:false} SchemaContext: Rules:off OnInvalid:reject DeadLetterTopic: " +
		"TableFormats:[] TableName: CommitIntervalMs:10000 CommitBytes:67108864 CommitRows:1000000 " +
		"TableStart:{Latest:false AtMs:-1 Offset:-1 Offsets:map[]} TableTrims:false TableForeign:maintenance JSONExtra:true TableKeyAs:schema TableValueAs:schema TableVersion:0 TableUnwrap: TableGenerated: TableMode:append TableKey:[] TableCompact:auto TableCompactBytes:67108864 " +
		"TableHistoryMs:86400000 TableHistoryMax:500 TableOrphanMs:259200000 TableRetentionMs:-1 TablePartition:[] TableSort:[] TableFileBytes:134217728 TableCompression:zstd TableCompressionLevel:0}"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// canonicalCase is what Canonical makes of configs.
type canonicalCase struct {
	in   string // key=value, "|" between them
	want string // the same, sorted, or "! text" for a refusal
}

func TestCanonical(t *testing.T) {
	testCanonical(t, []canonicalCase{
		{"cleanup.policy= compact, delete ", "cleanup.policy=compact,delete"},
		{"cleanup.policy=", "cleanup.policy="},
		{"retention.ms= 5 ", "retention.ms=5"},
		{"leader.replication.throttled.replicas=*", "leader.replication.throttled.replicas=*"},
		{"leader.replication.throttled.replicas=0:1, 12:1", "leader.replication.throttled.replicas=0:1,12:1"},
		{"follower.replication.throttled.replicas=0:1,x", "! a partition and a broker"},
		{"follower.replication.throttled.replicas=0:", "! a partition and a broker"},
		{"cleanup.policy=compact,compact", "! twice"},
		{"compression.type=zip", "! must be one of producer"},
		{"compression.type=zstd", "compression.type=zstd"},
		{"compression.gzip.level=0", "! must not be 0"},
		{"remote.storage.enable=true", "! must be false: Tarn has no second tier"},
		{"remote.storage.enable=False", "remote.storage.enable=False"},
		{"compression.gzip.level=-1", "compression.gzip.level=-1"},
		{"compression.lz4.level=17", "compression.lz4.level=17"},
		{"compression.gzip.level=10", "! must be -1 to 9"},
		{"compression.zstd.level=23", "! must be -131072 to 22"},
		{"compression.zstd.level=-131073", "! must be"},
		{"retention.ms=-1", "retention.ms=-1"},
		{"retention.ms=-2", "! at least -1"},
		{"max.message.bytes=3000000000", "! 0 to 2147483647"},
		{"preallocate=TRUE", "preallocate=TRUE"},
		{"min.cleanable.dirty.ratio=1.1", "! from 0 to 1"},
		{"min.cleanable.dirty.ratio=NaN", "! from 0 to 1"},
		{"cleanup.polizy=delete", "! did you mean cleanup.policy?"},
		{"nothing.like.it=1", "! unknown key"},
		{"tarn.table.formats=iceberg,delta", "tarn.table.formats=iceberg,delta"},
		{"tarn.table.formats=orc", `! "orc" is not one of iceberg, delta, parquet`},
		{"tarn.table.format=parquet", "tarn.table.formats=parquet"},
		{"tarn.table.name=Orders", "! a–z"},
		{"tarn.schema.on.invalid=mark", "tarn.schema.on.invalid=mark"},
		{"tarn.schema.on.invalid=drop", "! reject"},
		{"tarn.schema.dlq.topic=a/b", "! "},
		{"bufstream.validate.mode=dlq", "tarn.schema.on.invalid=dlq tarn.schema.rules=enforce tarn.value.schema.validation=payload"},
		{"confluent.value.schema.validation=true", "tarn.value.schema.validation=id"},
		{"confluent.key.schema.validation=False", "tarn.key.schema.validation=off"},
		{"confluent.value.subject.name.strategy=RecordNameStrategy", "tarn.value.subject.name.strategy=record"},
		{"confluent.key.subject.name.strategy=io.confluent.kafka.serializers.subject.AssociatedNameStrategy", "tarn.key.subject.name.strategy=topic"},
		{"confluent.key.subject.name.strategy=com.example.Mine", "! must be TopicNameStrategy"},
		{"confluent.schema.validation.context.name=.mine", "tarn.schema.context=.mine"},
		{"confluent.schema.validation.context.name=default", "tarn.schema.context=default"},
		{"redpanda.schema.registry.context=.mine", "tarn.schema.context=.mine"},
		{"redpanda.value.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicNameStrategy", "tarn.value.subject.name.strategy=topic"},
		{"bufstream.validate.mode=REJECT", "tarn.schema.on.invalid=reject tarn.schema.rules=enforce tarn.value.schema.validation=payload"},
		{"bufstream.validate.mode=off", "! must be reject or dlq"},
		{"bufstream.validate.dlq.topic=bad", "tarn.schema.dlq.topic=bad"},
		{"buf.registry.value.schema.module=buf.build/shop/orders", "tarn.value.schema.subject=buf.build/shop/orders"},
		{"buf.registry.value.schema.message=shop.v1.Order", "tarn.value.schema.message=shop.v1.Order"},
		{"tarn.schema.context=:.a:", "! must be a context's name"},
		{"tarn.value.schema.versions=latest", "tarn.value.schema.versions=latest"},
		{"tarn.value.schema.versions=3,1", "tarn.value.schema.versions=3,1"},
		{"tarn.value.schema.versions=", "! must be any, latest"},
		{"tarn.value.schema.versions=1,1", "! must be any, latest"},
		{"tarn.value.schema.versions=0", "! must be any, latest"},
		{"tarn.value.schema.versions=99999999999", "! must be any, latest"},
		{"tarn.value.schema.bare=attempt", "tarn.value.schema.bare=attempt"},
		{"tarn.key.schema.bare=guess", "! must be one of latest, attempt, refuse"},
		{"tarn.key.schema.null=refuse", "tarn.key.schema.null=refuse"},
		{"tarn.value.schema.subject=a\nb", "! control characters"},
		{"tarn.table.value.as=xml", `! one of schema, binary, string, json`},
		{"tarn.table.value.version=0", "! must be own, latest, or a version's number"},
		{"tarn.table.value.version=newest", "! must be own, latest, or a version's number"},
		{"tarn.table.value.version=3", "tarn.table.value.version=3"},
		{"tarn.table.name=" + strings.Repeat("a", MaxConfigBytes+1), "! at most 8192 bytes"},
	})
}

// TestCanonicalAliases is about the names that other vendors have.
func TestCanonicalAliases(t *testing.T) {
	testCanonical(t, []canonicalCase{
		{"confluent.value.schema.validation=maybe", "! true or false"},
		{"confluent.value.subject.name.strategy=io.confluent.kafka.serializers.subject.RecordNameStrategy", "tarn.value.subject.name.strategy=record"},
		{"redpanda.value.schema.id.validation=true", "tarn.value.schema.validation=id"},
		{"redpanda.key.subject.name.strategy=TopicRecordNameStrategy", "tarn.key.subject.name.strategy=topic_record"},
		{"redpanda.iceberg.mode=value_schema_id_prefix", "tarn.table.formats=iceberg tarn.table.value.as=schema"},
		{"redpanda.iceberg.mode=disabled", "tarn.table.formats="},
		{"redpanda.iceberg.mode=key_value", "tarn.table.formats=iceberg tarn.table.value.as=binary"},
		{"redpanda.iceberg.mode=value_schema_latest", "! by the schema id they carry"},
		{"automq.table.topic.convert.value.type=string|automq.table.topic.convert.key.type=raw", "tarn.table.key.as=binary tarn.table.value.as=string"},
		{"redpanda.iceberg.target.lag.ms=5000", "tarn.table.commit.interval.ms=5000"},
		{"redpanda.iceberg.target.lag.ms=5", "! at least 100"},
		{"redpanda.iceberg.delete=false", ""},
		{"redpanda.iceberg.delete=true", "! outlives"},
		{"redpanda.iceberg.invalid.record.action=drop", "! drops no record"},
		{"redpanda.remote.read=true", "! no second tier"},
		{"redpanda.remote.write=false|redpanda.remote.delete=true|redpanda.remote.recovery=false|redpanda.cloud_topic.enabled=false", ""},
		{"retention.local.target.ms=1000", "! no second tier"},
		{"initial.retention.local.target.bytes=1", "! no second tier"},
		{"redpanda.remote.readreplica=bucket", "! no second tier"},
		{"write.caching=true", "! on the disk"},
		{"write.caching=disabled|redpanda.leaders.preference=none|compaction.strategy=offset", ""},
		{"flush.bytes=1", "! syncs whatever"},
		{"replication.factor=3", "! one replica"},
		{"automq.table.topic.enable=true", "tarn.table.formats=iceberg"},
		{"automq.table.topic.upsert.enable=true", "tarn.table.mode=upsert"},
		{"automq.table.topic.upsert.enable=false", "tarn.table.mode=append"},
		{"automq.table.topic.errors.tolerance=invalid_data", "tarn.table.invalid=dlq"},
		{"tansu.schema.validation=true", "tarn.value.schema.validation=payload"},
		{"tansu.lake.generate.day=cast(ts as date)", "! generated columns"},
		{"bufstream.validate.mode=reject", "tarn.schema.on.invalid=reject tarn.schema.rules=enforce tarn.value.schema.validation=payload"},
		{"confluent.value.schema.validation=true|redpanda.value.schema.id.validation=true", "tarn.value.schema.validation=id"},
		{"confluent.value.schema.validation=true|tarn.value.schema.validation=payload", "! contradicts"},
	})
}

func testCanonical(t *testing.T, tests []canonicalCase) {
	t.Helper()
	for _, tt := range tests {
		in := map[string]string{}
		for entry := range strings.SplitSeq(tt.in, "|") {
			key, value, _ := strings.Cut(entry, "=")
			in[key] = value
		}
		out, err := Canonical(in)
		if text, refused := strings.CutPrefix(tt.want, "! "); refused {
			if !errors.As(err, new(*ConfigError)) || !strings.Contains(err.Error(), text) {
				t.Errorf("%.80s: got %v, %v, want a refusal with %q", tt.in, out, err, text)
			}
			continue
		}
		if got := join(out); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func join(m map[string]string) string {
	var s []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s = append(s, k+"="+m[k])
	}
	return strings.Join(s, " ")
}

func TestAlter(t *testing.T) {
	tests := []struct {
		name    string
		changes []Change
		replace bool
		want    string // overrides, or "! text"
	}{
		{"set", []Change{{"retention.ms", Set, "7"}}, false, "cleanup.policy=compact retention.ms=7"},
		{"delete", []Change{{"cleanup.policy", Delete, ""}}, false, "retention.ms=5"},
		{"delete what is not set", []Change{{"flush.ms", Delete, ""}}, false, "cleanup.policy=compact retention.ms=5"},
		{"delete by alias", []Change{{"tarn.table.format", Delete, ""}}, false, "cleanup.policy=compact retention.ms=5"},
		{"delete the unknown", []Change{{"flush.sm", Delete, ""}}, false, "! did you mean flush.ms?"},
		{"append", []Change{{"cleanup.policy", Append, "delete"}}, false, "cleanup.policy=compact,delete retention.ms=5"},
		{"append what is there", []Change{{"cleanup.policy", Append, "compact"}}, false, "cleanup.policy=compact retention.ms=5"},
		{"append to a default", []Change{{"tarn.table.formats", Append, "delta,iceberg"}}, false, "cleanup.policy=compact retention.ms=5 tarn.table.formats=delta,iceberg"},
		{"append by alias", []Change{{"tarn.table.format", Append, "delta"}}, false, "cleanup.policy=compact retention.ms=5 tarn.table.formats=delta"},
		{"append nonsense", []Change{{"cleanup.policy", Append, "burn"}}, false, `! "burn" is not one of`},
		{"append to no list", []Change{{"retention.ms", Append, "1"}}, false, "! is not a list"},
		{"subtract", []Change{{"cleanup.policy", Subtract, "delete"}}, false, "cleanup.policy=compact retention.ms=5"},
		{"subtract all", []Change{{"cleanup.policy", Subtract, "compact"}}, false, "cleanup.policy= retention.ms=5"},
		{"twice", []Change{{"retention.ms", Set, "7"}, {"retention.ms", Delete, ""}}, false, "! two changes"},
		{"second is bad", []Change{{"retention.ms", Set, "7"}, {"flush.ms", Set, "x"}}, false, "! whole number"},
		{"unknown operation", []Change{{"retention.ms", 9, "7"}}, false, "! unknown operation 9"},
		{"replace", []Change{{"flush.ms", Set, "7"}}, true, "flush.ms=7"},
		{"replace by nothing", nil, true, ""},
		{"rules without payloads", []Change{{"tarn.schema.rules", Set, "enforce"}}, false, "! set tarn.value.schema.validation"},
		{"key without mode", []Change{{"tarn.table.key", Set, "id"}}, false, "! set tarn.table.mode=upsert"},
		{"key and mode", []Change{{"tarn.table.mode", Set, "upsert"}, {"tarn.table.key", Set, "id, region"}}, true, "tarn.table.key=id,region tarn.table.mode=upsert"},
		{"key twice", []Change{{"tarn.table.mode", Set, "upsert"}, {"tarn.table.key", Set, "id,id"}}, false, "! twice"},
		{"upsert in plain parquet", []Change{{"tarn.table.mode", Set, "upsert"}, {"tarn.table.formats", Set, "iceberg,parquet"}}, false, "! take parquet out"},
		{"upsert", []Change{{"tarn.table.mode", Set, "upsert"}, {"tarn.table.formats", Set, "iceberg,delta"}}, true, "tarn.table.formats=iceberg,delta tarn.table.mode=upsert"},
		{"rules with payloads", []Change{{"tarn.schema.rules", Set, "enforce"}, {"tarn.key.schema.validation", Set, "monitor"}}, true, "tarn.key.schema.validation=monitor tarn.schema.rules=enforce"},
	}
	for _, tt := range tests {
		topics, store := open(t)
		mustCreate(t, topics, "a", map[string]string{"retention.ms": "5", "cleanup.policy": "compact"})
		old := topics.View().ByName("a")
		_, err := topics.Alter(t.Context(), "a", tt.changes, tt.replace, false)
		if text, refused := strings.CutPrefix(tt.want, "! "); refused {
			if !errors.As(err, new(*ConfigError)) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: got %v, want a refusal with %q", tt.name, err, text)
			}
			if topics.View().ByName("a") != old {
				t.Errorf("%s: a refused change took effect", tt.name)
			}
			continue
		}
		if got := join(topics.View().ByName("a").Overrides); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if join(old.Overrides) != "cleanup.policy=compact retention.ms=5" {
			t.Errorf("%s: a published topic changed", tt.name)
		}
		checkStored(t, topics, store)
	}
}

// TestAlterTable: tables collide when they are switched on later, too.
func TestAlterTable(t *testing.T) {
	topics, store := open(t)
	mustCreate(t, topics, "one", map[string]string{"tarn.table.formats": "iceberg"})
	mustCreate(t, topics, "two", map[string]string{"tarn.table.name": "one"})
	_, err := topics.Alter(t.Context(), "two", []Change{{Key: "tarn.table.formats", Value: "delta"}}, false, false)
	if !errors.As(err, new(*ConfigError)) || !strings.Contains(err.Error(), `topic "one" fills`) {
		t.Errorf("got %v", err)
	}
	changes := []Change{{Key: "tarn.table.formats", Value: "delta"}, {Key: "tarn.table.name", Value: "other"}}
	if two, err := topics.Alter(t.Context(), "two", changes, false, false); err != nil || two.Table() != "other" {
		t.Errorf("got %v, %v", two, err)
	}
	checkStored(t, topics, store)
}

func TestDescribe(t *testing.T) {
	topics, err := Open(t.Context(), &flaky{Engine: memory.New()}, Defaults{Configs: map[string]string{"retention.ms": "11"}})
	if err != nil {
		t.Fatal(err)
	}
	topic := mustCreate(t, topics, "a", map[string]string{"retention.ms": "5", "tarn.table.format": "delta"})
	if topics.View().ByName("a").Config.RetentionMs != 5 {
		t.Error("the override has no effect")
	}
	got := map[string]string{}
	entries := topics.Describe(topic.Overrides)
	for _, e := range entries {
		got[e.Name] = fmt.Sprint(e.Value, " ", e.Source, " ", e.Synonyms)
	}
	if len(entries) != len(Definitions()) {
		t.Errorf("got %d keys, want all %d", len(entries), len(Definitions()))
	}
	for name, want := range map[string]string{
		"retention.ms":       "5 1 [{retention.ms 5 1} {log.retention.ms 11 4} {log.retention.ms 604800000 5}]",
		"retention.bytes":    "-1 5 [{log.retention.bytes -1 5}]",
		"tarn.table.formats": "delta 1 [{tarn.table.formats delta 1} {tarn.table.formats  5}]",
	} {
		if got[name] != want {
			t.Errorf("%s: got %s, want %s", name, got[name], want)
		}
	}
	if b := mustCreate(t, topics, "b", nil); b.Config.RetentionMs != 11 {
		t.Errorf("the broker's default has no effect: %d", b.Config.RetentionMs)
	}
}

func TestOpenBadDefaults(t *testing.T) {
	for _, d := range []Defaults{
		{Configs: map[string]string{"log.retention.ms": "1"}},
		{Partitions: -1},
		{Partitions: MaxPartitions + 1},
	} {
		if _, err := Open(t.Context(), &flaky{Engine: memory.New()}, d); err == nil {
			t.Errorf("opened with %+v", d)
		}
	}
}
