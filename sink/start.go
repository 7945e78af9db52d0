package sink

import (
	"context"
	"fmt"
	"strconv"
)

// Start says where a new table begins. At most one of its fields is set; a table
// that is there goes on from where it stands.
type Start struct {
	// Latest begins with the next record.
	Latest bool
	// AtMs begins with the first record of that time (Unix ms) or later; 0 and
	// below: no time is given.
	AtMs int64
	// Offset is where every partition begins; below 0 with Offsets nil, or 0:
	// none is given. Offsets is where some do; others begin with the log.
	Offset  int64
	Offsets map[int32]int64
}

// set reports whether a table begins elsewhere than at the log's start.
func (t Start) set() bool {
	return t.Latest || t.AtMs > 0 || t.Offset > 0 || len(t.Offsets) > 0
}

// begin gives new tables that are to begin elsewhere than with the log their
// first progress: a commit without rows, since otherwise a restart before the
// first rows might find another log.
func (s *sink) begin(ctx context.Context, stable offsets) (bool, error) {
	if !s.topic.Start.set() {
		return false, nil
	}
	var from offsets
	formats := map[string]entryFormat{}
	for _, m := range s.members {
		if !m.known || m.out || m.at.TopicID != "" {
			continue
		}
		if from == nil {
			var err error
			if from, err = s.starts(ctx, stable); err != nil {
				return false, err
			}
		}
		p := s.advance(m.at, from)
		for part, off := range from {
			p.Extra[startKey+strconv.Itoa(int(part))] = strconv.FormatInt(off, 10)
		}
		s.countRecords(&p, m.at, 0)
		formats[m.name] = entryFormat{Expect: m.at, Progress: p}
	}
	if len(formats) == 0 {
		return false, nil
	}
	e := s.newEntry(from, from, s.schema)
	e.Formats = formats
	return true, s.save(ctx, e)
}

// starts is where a new table begins, by partition. An offset that the log has no
// more is its start; one that it does not have yet is refused, since a table
// cannot be ahead of its log.
func (s *sink) starts(ctx context.Context, stable offsets) (offsets, error) {
	out := offsets{}
	for p := range s.topic.Partitions {
		log, err := s.log(ctx, p)
		if err != nil {
			return nil, err
		}
		begin, ahead := log.Start(), stable[p]
		switch start := s.topic.Start; {
		case start.Latest:
			begin = ahead
		case start.AtMs > 0:
			found, ok, err := log.AtTime(ctx, start.AtMs, ahead, maxUnpacked)
			if err != nil {
				return nil, fmt.Errorf("look for the first record of tarn.table.start in partition %d: %w", p, err)
			}
			if begin = ahead; ok {
				begin = found.Offset
			}
		default:
			want, given := start.Offsets[p]
			if !given && start.Offsets == nil {
				want = start.Offset
			}
			if want > ahead {
				return nil, fmt.Errorf("tarn.table.start: offset %d of partition %d is beyond what the log holds, %d: set another, or wait until it is there", want, p, ahead)
			}
			begin = max(begin, want)
		}
		out[p] = begin
	}
	return out, nil
}
