package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// lossless refuses an exchange of rows that would take away what only the table
// has. A log may reach back to the table's beginning and still lack records that
// became rows: compaction takes them out of its middle. And others may have brought
// rows. So each row and letter that the tables have is looked for among those that
// were written anew; two columns of every file are read for it.
func (s *sink) lossless(ctx context.Context, m *member, t tables.Maintainer, all []rebuildPiece) error {
	made := map[int32]*offsetSet{}
	for _, p := range all {
		files := p.Files
		if p.Dead != nil {
			files = append(files[:len(files):len(files)], *p.Dead)
		}
		for _, f := range files {
			if err := s.eachRow(ctx, f.Path, func(id tables.RowID) error { return addTo(made, id) }); err != nil {
				return fmt.Errorf("look at what was written anew: %w", err)
			}
		}
	}
	if err := s.among(ctx, t, made); err != nil {
		return err
	}
	dead, err := s.openDead(ctx, m, false)
	if err != nil {
		return err
	}
	if t, ok := dead.(tables.Maintainer); ok {
		if err := s.among(ctx, t, made); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	return nil
}

// among wants every row of a table to be in sets. A file that is gone has no rows
// to lose; one that is not a file of records has rows that no log can bring.
func (s *sink) among(ctx context.Context, t tables.Maintainer, sets map[int32]*offsetSet) error {
	live, err := t.Live(ctx)
	if err != nil {
		return err
	}
	for _, f := range live {
		err := s.eachRow(ctx, f.Key, func(id tables.RowID) error {
			if set := sets[id.Partition]; set == nil || !set.has(id.Offset) {
				return fmt.Errorf("the table has a row of partition %d offset %d, whose record the log no longer has: %w", id.Partition, id.Offset, ErrLogShort)
			}
			return nil
		})
		switch {
		case errors.Is(err, blob.ErrNotFound):
		case errors.Is(err, tables.ErrBroken):
			return fmt.Errorf("whose rows these are cannot be told: %w: %w", err, ErrLogShort)
		case err != nil:
			return err
		}
	}
	return nil
}

// eachRow visits where the rows of a file come from.
func (s *sink) eachRow(ctx context.Context, key string, visit func(tables.RowID) error) error {
	file, err := s.store.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	defer file.Close()
	for id, err := range parquet.ReadRowIDs(ctx, file) {
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}
