package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

// lane is a set of formats that have come equally far, and where the next cut
// for them begins and must end.
type lane struct {
	tables   map[string]tables.Table
	progress map[string]tables.Progress
	from     offsets
	limit    offsets
}

func batchList(b arrow.RecordBatch) []arrow.RecordBatch { return []arrow.RecordBatch{b} }

// lane chooses what to cut next. With entries pending it is their formats, from
// where the last entry ends. Else all formats that are furthest behind: a
// format that was added later catches up by itself until it meets the others.
func (s *sink) lane(ctx context.Context) (*lane, error) {
	stable, err := s.stable(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(s.pending); n > 0 {
		last := s.pending[n-1]
		l := &lane{tables: map[string]tables.Table{}, progress: map[string]tables.Progress{}, from: s.grown(ctx, last.To), limit: stable}
		for name, f := range last.Formats {
			if t, ok := s.tables[name]; ok {
				l.tables[name], l.progress[name] = t, f.Progress
			}
		}
		return l, nil
	}
	at := map[string]offsets{}
	progress := map[string]tables.Progress{}
	for name, t := range s.tables {
		p, err := s.progress(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s table: %w", name, err)
		}
		if at[name], err = s.position(ctx, p); err != nil {
			return nil, err
		}
		progress[name] = p
	}
	names := slices.SortedFunc(maps.Keys(at), func(a, b string) int {
		if d := at[a].sum() - at[b].sum(); d != 0 {
			return int(min(1, max(-1, d)))
		}
		return 0
	})
	l := &lane{tables: map[string]tables.Table{}, progress: map[string]tables.Progress{}, from: at[names[0]], limit: stable}
	for _, name := range names {
		if maps.Equal(at[name], l.from) {
			l.tables[name], l.progress[name] = s.tables[name], progress[name]
			continue
		}
		l.limit = at[name] // the next lane: both go on together from there
		break
	}
	return l, nil
}

// grown adds partitions that the topic has gained since o.
func (s *sink) grown(ctx context.Context, o offsets) offsets {
	out := maps.Clone(o)
	for p := range s.topic.Partitions {
		if _, ok := out[p]; !ok {
			if log, err := s.log(ctx, p); err == nil {
				out[p] = log.Start()
			}
		}
	}
	return out
}

// position is where a table of progress p goes on. A partition it does not
// know begins at the log's start, or for new tables that were asked to, at the
// log's end.
func (s *sink) position(ctx context.Context, p tables.Progress) (offsets, error) {
	out := offsets{}
	for part := range s.topic.Partitions {
		if off, ok := p.Offsets[part]; ok {
			out[part] = off
			continue
		}
		log, err := s.log(ctx, part)
		if err != nil {
			return nil, err
		}
		out[part] = log.Start()
		if s.topic.StartLatest && p.TopicID == "" {
			if s.latest == nil {
				s.latest = offsets{}
			}
			// The end as first seen, not as of each look.
			if _, ok := s.latest[part]; !ok {
				s.latest[part] = log.LastStable()
			}
			out[part] = s.latest[part]
		}
	}
	return out, nil
}

// stable is the last stable offset of each partition.
func (s *sink) stable(ctx context.Context) (offsets, error) {
	out := offsets{}
	for p := range s.topic.Partitions {
		log, err := s.log(ctx, p)
		if err != nil {
			return nil, err
		}
		out[p] = log.LastStable()
	}
	return out, nil
}

// backlog is how many offsets the furthest behind lane has before it.
func (s *sink) backlog(ctx context.Context) (int64, error) {
	l, err := s.lane(ctx)
	if err != nil {
		return 0, err
	}
	var n int64
	for p, from := range l.from {
		n += max(0, l.limit[p]-from)
	}
	return n, nil
}

// due reports whether a cut should be made now: asked for, large enough, or
// waiting long enough.
func (s *sink) due(ctx context.Context) (bool, error) {
	n, err := s.backlog(ctx)
	if err != nil {
		return false, err
	}
	s.status.setBehind(n)
	if n == 0 {
		s.behindSince = time.Time{}
		return false, nil
	}
	if s.behindSince.IsZero() {
		s.behindSince = s.now()
	}
	size := s.recordBytes
	if size == 0 {
		size = guessedRecord
	}
	return len(s.waiting) > 0 || n >= s.topic.CommitRows || n*size >= s.topic.CommitBytes ||
		s.now().Sub(s.behindSince) >= s.topic.CommitInterval, nil
}
