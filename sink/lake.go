package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Lake is what a topic's tables hold at one moment, as one of their formats says.
type Lake struct {
	Format string
	// Schema is the table's, Rows its files, Letters those of dead letters.
	Schema  *tables.Schema
	Rows    []tables.LiveFile
	Letters []tables.LiveFile
	// Progress is how far the table is: the record at every offset below it is in a
	// file of Rows or of Letters, or was expired or deleted. Files may hold records
	// beyond it, if Beyond says so: those that came while the files were listed, and
	// dead letters whose rows are not committed yet.
	Progress map[int32]int64
	// Started is where the table begins: records below it are in the log only.
	Started map[int32]int64
	Beyond  bool
}

// lakeFormats are the formats in the order in which they are read: those first
// whose files stay for a while after they were replaced.
var lakeFormats = [...]string{"iceberg", "delta", "parquet"}

// Lake looks at the files of a topic's tables, of the first format that can be read. Where
// the store does not answer, no other format is asked: they lie in it, too, and each would
// wait as long. The progress is read before the files are listed, so none below it is
// missing. Errors: ErrNoTable if there is no table, or none yet; those of the tables.
func (m *Manager) Lake(ctx context.Context, topic string) (Lake, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Lake{}, err
	}
	var failed error
	for _, format := range lakeFormats {
		if !slices.Contains(s.topic.Formats, format) {
			continue
		}
		l, err := s.lake(ctx, format)
		if err == nil {
			return l, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s table of %s: %w", format, topic, err))
		if errors.Is(err, blob.ErrUnreachable) {
			break
		}
	}
	if failed == nil {
		failed = ErrNoTable
	}
	return Lake{}, failed
}

func (s *sink) lake(ctx context.Context, format string) (Lake, error) {
	t, err := s.maintained(ctx, format, s.topic.Table, false)
	if err != nil {
		return Lake{}, err
	}
	if t == nil {
		return Lake{}, fmt.Errorf("%w: it is made with the first commit", ErrNoTable)
	}
	before, err := s.progress(ctx, t)
	if err != nil {
		return Lake{}, err
	}
	out := Lake{Format: format, Progress: before.Offsets, Started: map[int32]int64{}, Schema: t.Schema()}
	for part := range before.Offsets {
		out.Started[part] = started(before, part)
	}
	if out.Rows, err = t.Live(ctx); err != nil {
		return Lake{}, err
	}
	dead, err := s.maintained(ctx, format, s.topic.Table+deadSuffix, false)
	if err != nil {
		return Lake{}, fmt.Errorf("dead letters: %w", err)
	}
	if dead != nil {
		if out.Letters, err = dead.Live(ctx); err != nil {
			return Lake{}, fmt.Errorf("dead letters: %w", err)
		}
	}
	after, err := s.progress(ctx, t)
	if err != nil {
		return Lake{}, err
	}
	out.Beyond = !after.Equal(before)
	return out, nil
}
