package groupconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key names a group's setting, with Kafka's name.
type Key string

// The keys of consumer groups (KIP-848), of share groups (KIP-932, KIP-1240) and
// of streams groups (KIP-1071).
const (
	ConsumerSessionTimeoutMs    Key = "consumer.session.timeout.ms"
	ConsumerHeartbeatIntervalMs Key = "consumer.heartbeat.interval.ms"

	ShareSessionTimeoutMs        Key = "share.session.timeout.ms"
	ShareHeartbeatIntervalMs     Key = "share.heartbeat.interval.ms"
	ShareRecordLockDurationMs    Key = "share.record.lock.duration.ms"
	ShareDeliveryCountLimit      Key = "share.delivery.count.limit"
	SharePartitionMaxRecordLocks Key = "share.partition.max.record.locks"
	ShareAutoOffsetReset         Key = "share.auto.offset.reset"
	ShareIsolationLevel          Key = "share.isolation.level"
	ShareRenewAcknowledgeEnable  Key = "share.renew.acknowledge.enable"

	StreamsSessionTimeoutMs        Key = "streams.session.timeout.ms"
	StreamsHeartbeatIntervalMs     Key = "streams.heartbeat.interval.ms"
	StreamsNumStandbyReplicas      Key = "streams.num.standby.replicas"
	StreamsInitialRebalanceDelayMs Key = "streams.initial.rebalance.delay.ms"
)

// Values of ShareAutoOffsetReset and ShareIsolationLevel. A reset may also be
// ByDuration and an ISO 8601 duration.
const (
	Latest          = "latest"
	Earliest        = "earliest"
	ByDuration      = "by_duration:"
	ReadUncommitted = "read_uncommitted"
	ReadCommitted   = "read_committed"
)

// Kind is a key's type, with Kafka's number (DescribeConfigs v3+).
type Kind int8

// Kinds in use.
const (
	Bool   Kind = 1
	String Kind = 2
	Int    Kind = 3
)

// Definition is one key: what it means and which values it takes.
type Definition struct {
	Key     Key
	Kind    Kind
	Default string
	Doc     string
	// Min and Max bound an Int; they are Kafka's broker-wide bounds
	// (group.share.min.… and group.share.max.…).
	Min, Max int64

	check func(value string) string // what is wrong, of a String
}

// Definitions lists all keys by name. The slice is the caller's.
func Definitions() []Definition {
	list := []Definition{
		integer(ConsumerHeartbeatIntervalMs, 5000, 5000, 15_000, "How often members of a consumer group send heartbeats."),
		integer(ConsumerSessionTimeoutMs, 45_000, 45_000, 60_000, "How long a member of a consumer group may be silent before it is out."),
		{Key: ShareAutoOffsetReset, Kind: String, Default: Latest, check: checkReset,
			Doc: "Where a share group begins to read a partition: latest, earliest, or by_duration: and an ISO 8601 duration back from now."},
		integer(ShareDeliveryCountLimit, 5, 2, 10, "How often a record is delivered at most; then it is archived."),
		integer(ShareHeartbeatIntervalMs, 5000, 5000, 15_000, "How often members of a share group send heartbeats."),
		{Key: ShareIsolationLevel, Kind: String, Default: ReadUncommitted, check: oneOf(ReadUncommitted, ReadCommitted),
			Doc: "Whether a share group gets records of transactions that are open or aborted (read_uncommitted) or not (read_committed)."},
		integer(SharePartitionMaxRecordLocks, 2000, 100, 4000, "How many records of a partition may be in flight in a share group."),
		integer(ShareRecordLockDurationMs, 30_000, 15_000, 60_000, "How long a record is a member's before it is delivered to another."),
		{Key: ShareRenewAcknowledgeEnable, Kind: Bool, Default: "true", check: oneOf("true", "false"),
			Doc: "Whether members may renew the locks of their records."},
		integer(ShareSessionTimeoutMs, 45_000, 45_000, 60_000, "How long a member of a share group may be silent before it is out."),
		integer(StreamsHeartbeatIntervalMs, 5000, 5000, 15_000, "How often members of a streams group send heartbeats."),
		integer(StreamsInitialRebalanceDelayMs, 3000, 0, 300_000, "How long a streams group that was empty waits for more members before tasks are assigned."),
		integer(StreamsNumStandbyReplicas, 0, 0, 2, "How many copies of the state of a task are kept by other processes."),
		integer(StreamsSessionTimeoutMs, 45_000, 45_000, 60_000, "How long a member of a streams group may be silent before it is out."),
	}
	return list
}

func integer(key Key, value, least, most int64, doc string) Definition {
	return Definition{Key: key, Kind: Int, Default: strconv.FormatInt(value, 10), Min: least, Max: most, Doc: doc}
}

func oneOf(values ...string) func(string) string {
	return func(v string) string {
		if slices.Contains(values, v) {
			return ""
		}
		return "must be " + strings.Join(values, " or ")
	}
}

func checkReset(v string) string {
	if v == Latest || v == Earliest {
		return ""
	}
	if d, ok := strings.CutPrefix(v, ByDuration); ok {
		if _, err := ParseDuration(d); err != nil {
			return err.Error()
		}
		return ""
	}
	return "must be latest, earliest or by_duration: and an ISO 8601 duration such as by_duration:PT1H"
}

// Check says what is wrong with a value, or "".
func (d *Definition) Check(value string) string {
	if d.Kind != Int {
		return d.check(value)
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return "must be a whole number"
	}
	if n < d.Min || n > d.Max {
		return fmt.Sprintf("must be from %d to %d", d.Min, d.Max)
	}
	return ""
}

// maxDuration bounds by_duration: a hundred years, so that no time overflows.
const maxDuration = 100 * 365 * 24 * time.Hour

// ParseDuration reads an ISO 8601 duration of days, hours, minutes and seconds,
// such as P1DT2H30M or PT0.5S: what Java's Duration.parse takes, but nothing
// negative.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no ISO 8601 duration such as PT1H or P1DT30M", s)
	rest, ok := strings.CutPrefix(strings.ToUpper(s), "P")
	if !ok {
		return 0, bad
	}
	units, total, any := "D", time.Duration(0), false
	for rest != "" {
		if units == "D" || units == "" {
			if after, ok := strings.CutPrefix(rest, "T"); ok && after != "" {
				rest, units = after, "HMS"
			}
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 || units == "" {
			return 0, bad
		}
		at := strings.IndexByte(units, rest[n])
		value, err := strconv.ParseFloat(rest[:n], 64)
		if at < 0 || err != nil || strings.Contains(rest[:n], ".") && rest[n] != 'S' {
			return 0, bad
		}
		if value*float64(unitOf(rest[n])) > float64(maxDuration) {
			return 0, fmt.Errorf("%q is more than a hundred years", s)
		}
		if total += time.Duration(value * float64(unitOf(rest[n]))); total > maxDuration {
			return 0, fmt.Errorf("%q is more than a hundred years", s)
		}
		units, rest, any = units[at+1:], rest[n+1:], true
		if units == "" && rest != "" && rest[0] != 'T' {
			return 0, bad
		}
	}
	if !any {
		return 0, bad
	}
	return total, nil
}

// unitOf gives the units of ParseDuration; 0 for another letter.
func unitOf(letter byte) time.Duration {
	switch letter {
	case 'D':
		return 24 * time.Hour
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	case 'S':
		return time.Second
	}
	return 0
}
