package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/tables"
)

// trimmed is the item that says how far a sink may have trimmed its log behind
// the tables (Topic.TrimLog). It is stored before the log is trimmed, so whoever
// finds a table that stands before it knows that the rows in between were in the
// tables once and are nowhere else.
type trimmed struct {
	Offsets offsets `json:"offsets"`
}

func (s *sink) trimmedKey() string { return s.prefix() + "trimmed" }

// recordsKey, in a table's progress, counts the records that became rows or dead
// letters since the table began. It is there where the log is trimmed, since the
// records themselves cannot be held against the table any more.
const recordsKey = "records"

// countRecords writes into the next progress of a table that stands at from that
// n more records came. A table that was there before its log was trimmed is not
// counted: what it has was never.
func (s *sink) countRecords(next *tables.Progress, from tables.Progress, n int64) {
	if !s.topic.TrimLog && next.Extra[recordsKey] == "" {
		return
	}
	before, ok := counted(from)
	if !ok && from.TopicID != "" {
		return
	}
	next.Extra[recordsKey] = strconv.FormatInt(before+n, 10)
}

// counted is how many records a table's progress counts.
func counted(p tables.Progress) (n int64, ok bool) {
	n, err := strconv.ParseInt(p.Extra[recordsKey], 10, 64)
	return n, err == nil
}

// trim deletes from the log what the tables of all formats have, where the topic
// asks for it. What they have is read from the tables themselves, right before;
// while one of them is not well, or has a commit before it, nothing is trimmed.
func (s *sink) trim(ctx context.Context) error {
	if !s.topic.TrimLog {
		return nil
	}
	to, err := s.trimmable(ctx)
	if err != nil || to == nil {
		return err
	}
	if s.trimmed.Offsets.until(to) > 0 {
		next := trimmed{Offsets: higher(s.trimmed.Offsets, to)}
		value, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		s.loaded = false // whatever the outcome, it is read back
		if err := s.items.Put(ctx, tables.Item{Key: s.trimmedKey(), Value: value, Version: s.trimmedVersion}); err != nil {
			return fmt.Errorf("say how far the log is trimmed: %w", err)
		}
		if err := s.load(ctx); err != nil {
			return err
		}
	}
	for part, off := range to {
		if _, err := s.logs.Trim(ctx, storage.TP{Topic: s.topic.ID, Partition: part}, off); err != nil && !errors.Is(err, commitlog.ErrRange) {
			return fmt.Errorf("trim partition %d behind its tables: %w", part, err)
		}
	}
	return nil
}

// trimmable is how far every table has come, nil if there is nothing to trim, or
// it is not the time.
func (s *sink) trimmable(ctx context.Context) (offsets, error) {
	if len(s.pending) > 0 {
		return nil, nil
	}
	var least offsets
	for _, m := range s.members {
		if !m.known || m.err != nil || m.at.TopicID == "" {
			return nil, nil
		}
		least = lower(least, m.at.Offsets)
	}
	s.neededBy(least)
	news := false
	for part, off := range least {
		log, err := s.log(ctx, part)
		if err != nil {
			return nil, err
		}
		news = news || off > log.Start()
	}
	if !news {
		return nil, nil
	}
	// Memory has said that it is worth a look; only the tables' word counts.
	least = nil
	for _, m := range s.members {
		p, err := s.mainProgress(s.heeding(ctx, m.name), m.table)
		if err != nil {
			s.fail(m, err, true)
			return nil, nil
		}
		least = lower(least, p.Offsets)
	}
	s.neededBy(least)
	return least, nil
}

// lower is the smaller of two positions by partition; one that either lacks is
// left out. A nil position counts for nothing.
func lower(a, b offsets) offsets {
	if a == nil {
		return maps.Clone(b)
	}
	out := offsets{}
	for part, off := range a {
		if other, ok := b[part]; ok {
			out[part] = min(off, other)
		}
	}
	return out
}

// higher is the greater of two positions by partition: what was trimmed once stays
// trimmed, also where a table has been taken back before it in one partition.
func higher(a, b offsets) offsets {
	out := offsets{}
	maps.Copy(out, a)
	for part, off := range b {
		out[part] = max(out[part], off)
	}
	return out
}

// reachable refuses a member whose table stands before what was trimmed behind
// the tables: it was restored from a backup, made anew, or has come since. To go
// on would leave a hole that nobody sees.
func (s *sink) reachable(ctx context.Context, m *member) error {
	if !s.topic.TrimLog || s.trimmed.Offsets == nil || m.at.TopicID == "" && s.topic.Start.set() {
		return nil
	}
	for part := range s.topic.Partitions {
		log, err := s.log(ctx, part)
		if err != nil {
			return err
		}
		if have, gone := m.at.Offsets[part], min(log.Start(), s.trimmed.Offsets[part]); have < gone {
			return &stopError{LogTrimmed, fmt.Errorf("the table holds partition %d up to offset %d, and the log begins at %d since it was deleted behind the tables (tarn.table.log=until_commit)", part, have, log.Start())}
		}
	}
	return nil
}

// recount holds what a table and its dead letters have against the number of
// records that its progress counts, once nothing came in between.
func (r *FormatReport) recount(p tables.Progress, seen map[int32]*offsetSet) error {
	want, ok := counted(p)
	if !ok || r.expiredMs > 0 {
		return nil
	}
	have := r.Rows + r.DeadLetters
	for part, set := range seen {
		have -= set.from(p.Offsets[part]) // letters of a commit that is yet to come
	}
	if have != want {
		return fmt.Errorf("%d rows and dead letters are there, %d records became some: %w", have, want, tables.ErrBroken)
	}
	return nil
}
