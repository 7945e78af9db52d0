package topic

import (
	"math"
	"slices"
)

// Reasons that several keys share.
const (
	noFiles    = "a Tarn log is kept by the storage engine and has no segment or index files."
	noReplicas = "Tarn keeps no replicas; the storage engine makes a record durable before it is acknowledged."
	noTiers    = "Tarn has no second tier; the storage engine holds the whole log."
)

// kafkaKeys are the topic configs of Apache Kafka 4.x, and those of 3.x that
// clients still set, by name.
func kafkaKeys() []Definition {
	keys := slices.Concat(cleanupKeys(), messageKeys(), idleKeys())
	slices.SortFunc(keys, byName)
	return keys
}

func byName(a, b Definition) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// cleanupKeys say what is deleted or compacted, and when.
func cleanupKeys() []Definition {
	return []Definition{
		list("cleanup.policy", "delete", []string{"delete", "compact"},
			func(c *Config, p []string) {
				c.CleanupDelete, c.CleanupCompact = slices.Contains(p, "delete"), slices.Contains(p, "compact")
			}, "What happens to old records: delete removes them by age and size, compact keeps the last of each key; empty keeps all.").synonym("log.cleanup.policy"),
		long("retention.ms", 604_800_000, -1, func(c *Config) *int64 { return &c.RetentionMs },
			"How long records are kept under the delete policy, in ms; -1 keeps them for ever.").synonym("log.retention.ms"),
		long("retention.bytes", -1, -1, func(c *Config) *int64 { return &c.RetentionBytes },
			"How many bytes of a partition are kept under the delete policy; -1 is no limit.").synonym("log.retention.bytes"),
		long("delete.retention.ms", 86_400_000, 0, func(c *Config) *int64 { return &c.DeleteRetentionMs },
			"How long a tombstone stays in a compacted log, in ms.").synonym("log.cleaner.delete.retention.ms"),
		long("min.compaction.lag.ms", 0, 0, func(c *Config) *int64 { return &c.MinCompactionLagMs },
			"How long a record stays uncompacted at least, in ms.").synonym("log.cleaner.min.compaction.lag.ms"),
		long("max.compaction.lag.ms", math.MaxInt64, 1, func(c *Config) *int64 { return &c.MaxCompactionLagMs },
			"How long a record may stay uncompacted at most, in ms.").synonym("log.cleaner.max.compaction.lag.ms"),
		ratio("min.cleanable.dirty.ratio", "0.5", func(c *Config) *float64 { return &c.MinCleanableDirtyRatio },
			"Share of a log that is not yet compacted at which compaction begins.").synonym("log.cleaner.min.cleanable.ratio"),
	}
}

// messageKeys say what a batch may look like.
func messageKeys() []Definition {
	return []Definition{
		integer("max.message.bytes", Int, 1_048_588, 0, func(c *Config) *int64 { return &c.MaxMessageBytes },
			"The largest record batch taken, in bytes, as the client compressed it.").synonym("message.max.bytes"),
		choice("compression.type", "producer", []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"},
			func(c *Config, s string) { c.Compression = s },
			"How batches are stored; producer keeps them as they were sent.").synonym("compression.type"),
		between("compression.gzip.level", -1, -1, 9, func(c *Config) *int64 { return &c.GzipLevel },
			"Level of gzip where compression.type is gzip: 1 to 9; -1 is gzip's default.").synonym("compression.gzip.level").except(0),
		between("compression.lz4.level", 9, 1, 17, func(c *Config) *int64 { return &c.LZ4Level },
			"Level of lz4 where compression.type is lz4: 9 is the fast compressor, as in Kafka, all others are the high one; from 10 on as 8.").synonym("compression.lz4.level"),
		between("compression.zstd.level", 3, -131072, 22, func(c *Config) *int64 { return &c.ZstdLevel },
			"Level of zstd where compression.type is zstd; there are four speeds: below 3, 3 to 5, 6 to 9, and above.").synonym("compression.zstd.level"),
		choice("message.timestamp.type", "CreateTime", []string{"CreateTime", "LogAppendTime"},
			func(c *Config, s string) { c.LogAppendTime = s == "LogAppendTime" },
			"Whether a record's time is the producer's or the broker's.").synonym("log.message.timestamp.type"),
		long("message.timestamp.before.max.ms", math.MaxInt64, 0, func(c *Config) *int64 { return &c.TimestampBeforeMaxMs },
			"How far a record's time may lie behind the broker's, in ms.").synonym("log.message.timestamp.before.max.ms"),
		long("message.timestamp.after.max.ms", 3_600_000, 0, func(c *Config) *int64 { return &c.TimestampAfterMaxMs },
			"How far a record's time may lie ahead of the broker's, in ms.").synonym("log.message.timestamp.after.max.ms"),
		integer("segment.bytes", Int, 1_073_741_824, 14, func(c *Config) *int64 { return &c.SegmentBytes },
			"A batch above this many bytes is refused with RECORD_LIST_TOO_LARGE; nothing else is cut by it.").synonym("log.segment.bytes"),
	}
}

// idleKeys are accepted and kept, so that tools which set them work, and have
// no effect here.
func idleKeys() []Definition {
	none := func(*Config, string) {}
	return []Definition{
		long("segment.ms", 604_800_000, 1, nil, "Age at which Kafka begins a new segment.").synonym("log.roll.ms").note(noFiles),
		long("segment.jitter.ms", 0, 0, nil, "Spread of segment.ms.").synonym("log.roll.jitter.ms").note(noFiles),
		integer("segment.index.bytes", Int, 10_485_760, 4, nil, "Size of a segment's index.").synonym("log.index.size.max.bytes").note(noFiles),
		integer("index.interval.bytes", Int, 4096, 0, nil, "Density of a segment's index.").synonym("log.index.interval.bytes").note(noFiles),
		boolean("preallocate", false, nil, "Whether segment files are allocated beforehand.").synonym("log.preallocate").note(noFiles),
		long("file.delete.delay.ms", 60_000, 0, nil, "Delay before a segment's file is deleted.").synonym("log.segment.delete.delay.ms").note(noFiles),
		long("flush.messages", math.MaxInt64, 1, nil, "Records after which a log is flushed.").
			synonym("log.flush.interval.messages").note("every commit is flushed before it is acknowledged."),
		long("flush.ms", math.MaxInt64, 0, nil, "Time after which a log is flushed.").
			synonym("log.flush.interval.ms").note("every commit is flushed before it is acknowledged."),
		integer("min.insync.replicas", Int, 1, 1, nil, "Replicas that must have a record before acks=all answers.").
			synonym("min.insync.replicas").note(noReplicas),
		boolean("unclean.leader.election.enable", false, nil, "Whether a replica that lags may lead.").
			synonym("unclean.leader.election.enable").note(noReplicas),
		replicas("leader.replication.throttled.replicas", "Replicas throttled at the leader.").note(noReplicas),
		replicas("follower.replication.throttled.replicas", "Replicas throttled at the follower.").note(noReplicas),
		choice("message.format.version", "3.0-IV1", formatVersions(), none, "Record format of old brokers.").
			synonym("log.message.format.version").note("records are kept in format v2, whatever it says."),
		boolean("message.downconversion.enable", true, nil, "Whether old consumers get old record formats.").
			synonym("log.message.downconversion.enable").note("all clients that Tarn serves read format v2."),
		boolean("remote.storage.enable", false, nil, "Whether old segments move to remote storage.").only("false", noTiers),
		boolean("remote.log.copy.disable", false, nil, "Whether no more segments are copied to remote storage.").note(noTiers),
		boolean("remote.log.delete.on.disable", false, nil, "Whether remote segments go when remote storage is switched off.").note(noTiers),
		long("local.retention.ms", -2, -2, nil, "How long segments stay local.").synonym("log.local.retention.ms").note(noTiers),
		long("local.retention.bytes", -2, -2, nil, "How many bytes stay local.").synonym("log.local.retention.bytes").note(noTiers),
	}
}

// formatVersions are the values that Kafka 3.x accepts for
// message.format.version; tools copy them from old clusters.
func formatVersions() []string {
	v := []string{"0.10.0", "0.10.1", "0.10.2", "0.11.0", "1.0", "1.1"}
	for _, minor := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"} {
		v = append(v, "2."+minor)
	}
	v = append(v, "3.0", "3.0-IV0", "3.0-IV1")
	for _, minor := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		v = append(v, "3."+minor)
	}
	return v
}
