package sink

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// fileName names an entry's data file. No name is ever used twice, by whatever
// process: so no late or second writer can change a file that a commit refers
// to.
func (e *entry) fileName(kind string) string {
	return fmt.Sprintf("%s-%010d-%s.parquet", kind, e.Seq, e.ID)
}

// target is one format's table to which a file goes, and how it must look.
type target struct {
	m        *member
	table    tables.Table
	physical *tables.Schema
}

// targets are the members' tables that can take files of the schema. A member
// whose format cannot express it fails alone; so has one without a box, where
// there are boxes.
func (s *sink) targets(members []*member, boxes map[*member]tables.Progress, sch *tables.Schema) []target {
	var out []target
	for _, m := range members {
		if _, ok := boxes[m]; boxes != nil && !ok {
			continue
		}
		physical, err := m.table.Physical(sch)
		if err != nil {
			s.fail(m, err, true)
			continue
		}
		out = append(out, target{m, m.table, physical})
	}
	return out
}

// place writes rows as one data file into every target's table: encoded once
// for all whose files look alike, written once, and linked to the others. It
// returns the files by member, with what about says of them; on an error none is
// left.
func (s *sink) place(ctx context.Context, to []target, rows []arrow.RecordBatch, name string, about tables.DataFile) (map[*member]*tables.DataFile, error) {
	out := map[*member]*tables.DataFile{}
	var paths []string
	for i, t := range to {
		path := t.table.DataPath(name)
		paths = append(paths, path)
		same := slices.IndexFunc(to[:i], func(o target) bool { return o.physical.Arrow.Equal(t.physical.Arrow) })
		var f tables.DataFile
		var err error
		if same < 0 {
			f, err = s.write(ctx, t.physical, rows, path, about)
		} else {
			f = *out[to[same].m]
			err = s.store.Copy(ctx, f.Path, path)
			f.Path = path
		}
		if err != nil {
			s.remove(ctx, paths)
			return nil, fmt.Errorf("%s table: place data file: %w", t.m.name, err)
		}
		out[t.m] = &f
	}
	return out, nil
}

// write encodes rows in one burst and writes them to path, durable.
func (s *sink) write(ctx context.Context, physical *tables.Schema, rows []arrow.RecordBatch, path string, about tables.DataFile) (tables.DataFile, error) {
	converted := make([]arrow.RecordBatch, len(rows))
	for i, b := range rows {
		var err error
		if converted[i], err = tables.Convert(b, physical); err != nil {
			return tables.DataFile{}, fmt.Errorf("fit rows to the format: %w", err)
		}
	}
	encoded, err := s.encode(physical, converted, parquet.Options{Codec: s.topic.Compression, Level: s.topic.CompressionLevel})
	if err != nil {
		return tables.DataFile{}, fmt.Errorf("encode: %w", err)
	}
	if err := s.store.Put(ctx, path, encoded.Bytes); err != nil {
		return tables.DataFile{}, err
	}
	f := encoded.DataFile(physical.ID)
	f.Path, f.WrittenMs = path, s.now().UnixMilli()
	f.Ranges, f.Partition, f.Sorted = about.Ranges, about.Partition, about.Sorted
	return f, nil
}
