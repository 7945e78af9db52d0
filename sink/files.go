package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// fileName names a cut's data file by where the cut begins. A cut that is made
// again after a crash begins at the same place and overwrites the file, so
// nothing is left behind; a file that is committed is never written again,
// since the next cut begins after it.
func (s *sink) fileName(kind string, from offsets) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s/%s/%s", s.topic.ID, s.incarnation, kind)
	for _, p := range slices.Sorted(maps.Keys(from)) {
		fmt.Fprintf(h, "/%d=%d", p, from[p])
	}
	return fmt.Sprintf("%s-%s.parquet", kind, hex.EncodeToString(h.Sum(nil)[:12]))
}

// place writes rows as one data file into every table: encoded once for all
// formats whose files look alike, written once, and linked to the others.
func (s *sink) place(ctx context.Context, sch *tables.Schema, rows []arrow.RecordBatch, to map[string]tables.Table, name string, ranges []tables.Range) (map[string]*tables.DataFile, error) {
	type written struct {
		physical *tables.Schema
		file     tables.DataFile
	}
	var done []written
	out := map[string]*tables.DataFile{}
	for _, format := range slices.Sorted(maps.Keys(to)) {
		t := to[format]
		physical, err := t.Physical(sch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", format, err)
		}
		path := t.DataPath(name)
		i := slices.IndexFunc(done, func(w written) bool { return w.physical.Arrow.Equal(physical.Arrow) })
		if i < 0 {
			f, err := s.write(ctx, physical, rows, path, ranges)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", format, err)
			}
			done = append(done, written{physical, f})
			out[format] = &f
			continue
		}
		f := done[i].file
		if err := s.store.Copy(ctx, f.Path, path); err != nil {
			return nil, fmt.Errorf("%s: place data file: %w", format, err)
		}
		f.Path = path
		out[format] = &f
	}
	return out, nil
}

// write encodes rows in one burst and writes them to path, durable.
func (s *sink) write(ctx context.Context, physical *tables.Schema, rows []arrow.RecordBatch, path string, ranges []tables.Range) (tables.DataFile, error) {
	converted := make([]arrow.RecordBatch, len(rows))
	for i, b := range rows {
		var err error
		if converted[i], err = tables.Convert(b, physical); err != nil {
			return tables.DataFile{}, fmt.Errorf("fit rows to the format: %w", err)
		}
	}
	encoded, err := parquet.Encode(physical, converted, parquet.Options{})
	if err != nil {
		return tables.DataFile{}, fmt.Errorf("encode data file: %w", err)
	}
	if err := s.store.Put(ctx, path, encoded.Bytes); err != nil {
		return tables.DataFile{}, fmt.Errorf("write data file: %w", err)
	}
	f := encoded.DataFile(physical.ID)
	f.Path, f.Ranges, f.WrittenMs = path, ranges, s.now().UnixMilli()
	return f, nil
}
