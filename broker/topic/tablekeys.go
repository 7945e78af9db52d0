package topic

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TableStart says where a new table begins: tarn.table.start.
type TableStart struct {
	// Latest begins with the next record.
	Latest bool
	// AtMs begins with the first record of that time (Unix ms) or later; below 0:
	// no time is given.
	AtMs int64
	// Offset is where every partition begins, Offsets where some do; -1 and nil:
	// none is given.
	Offset  int64
	Offsets map[int32]int64
}

// earliest is with the oldest record the log holds.
func earliest() TableStart { return TableStart{AtMs: -1, Offset: -1} }

// Values of tarn.table.foreign.
const (
	ForeignNone        = "none"
	ForeignMaintenance = "maintenance"
	ForeignAppend      = "append"
	ForeignAll         = "all"
)

// tableLifeKeys are about where a table begins, what becomes of the log behind
// it, and who else may write to it.
func tableLifeKeys() []Definition {
	const starts = "earliest, latest, offset:N, offset:PARTITION=N,…, timestamp:MS or timestamp:RFC3339"
	return []Definition{
		choice("tarn.table.foreign", ForeignMaintenance, []string{ForeignNone, ForeignMaintenance, ForeignAppend, ForeignAll},
			func(c *Config, s string) { c.TableForeign = s },
			"What others may do to the topic's Iceberg table through the catalog: none nothing, maintenance what leaves the rows as they are (rewriting files, expiring snapshots, tags), append rows of their own too, all changes of the schema and everything else too. Tarn's own properties stay its own."),
		choice("tarn.table.log", "keep", []string{"keep", "until_commit"},
			func(c *Config, s string) { c.TableTrims = s == "until_commit" },
			"What becomes of the log behind the tables: keep leaves it to retention; until_commit deletes records as soon as the tables of all formats have them. Consumers read what is left: those that lag find that the log's start has moved."),
		{Name: "tarn.table.start", Kind: String, Default: "earliest", Allowed: starts,
			Doc: "Where a new table begins: with the oldest record the log holds; with the next one; at an offset of all or of single partitions (others begin with the oldest); or with the first record of a time or later.",
			set: func(c *Config, s string) error {
				start, err := parseStart(s)
				if err != nil {
					return fmt.Errorf("%w; use %s", err, starts)
				}
				c.TableStart = start
				return nil
			}},
	}
}

// parseStart reads a value of tarn.table.start.
func parseStart(text string) (TableStart, error) {
	start := earliest()
	kind, arg, has := strings.Cut(text, ":")
	switch {
	case !has && kind == "earliest":
	case !has && kind == "latest":
		start.Latest = true
	case has && kind == "offset":
		return start.at(arg)
	case has && kind == "timestamp":
		ms, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			at, perr := time.Parse(time.RFC3339, arg)
			if perr != nil {
				return start, fmt.Errorf("%q is neither a number of ms nor a time as 2026-01-31T12:00:00Z", arg)
			}
			ms = at.UnixMilli()
		}
		if ms < 0 {
			return start, errors.New("no record is that old")
		}
		start.AtMs = ms
	default:
		return start, errors.New("no such start")
	}
	return start, nil
}

// at is the start at offsets.
func (t TableStart) at(arg string) (TableStart, error) {
	if n, err := strconv.ParseInt(arg, 10, 64); err == nil && n >= 0 {
		t.Offset = n
		return t, nil
	}
	t.Offsets = map[int32]int64{}
	for word := range strings.SplitSeq(arg, ",") {
		p, off, _ := strings.Cut(strings.TrimSpace(word), "=")
		part, err1 := strconv.ParseInt(p, 10, 32)
		n, err2 := strconv.ParseInt(off, 10, 64)
		if err1 != nil || err2 != nil || part < 0 || part > math.MaxInt32 || n < 0 {
			return t, fmt.Errorf("%q is no offset", word)
		}
		if _, twice := t.Offsets[int32(part)]; twice {
			return t, fmt.Errorf("partition %d stands there twice", part)
		}
		t.Offsets[int32(part)] = n
	}
	return t, nil
}

// checkLife holds what becomes of a topic's log against what else it asks for.
func checkLife(topic *Topic) error {
	c := &topic.Config
	for _, p := range slices.Sorted(maps.Keys(c.TableStart.Offsets)) {
		if p >= topic.Partitions {
			return &ConfigError{Key: "tarn.table.start", Value: topic.Overrides["tarn.table.start"],
				Reason: fmt.Sprintf("there is no partition %d: the topic has %d", p, topic.Partitions)}
		}
	}
	refuse := func(reason string) error {
		return &ConfigError{Key: "tarn.table.log", Value: "until_commit", Reason: reason}
	}
	switch {
	case !c.TableTrims:
	case len(c.TableFormats) == 0:
		return refuse("there is no table that would have the records: set tarn.table.formats, too")
	case c.CleanupCompact:
		return refuse("a compacted topic keeps the newest record of each key: use cleanup.policy=delete")
	}
	return nil
}
