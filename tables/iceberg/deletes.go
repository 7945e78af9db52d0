package iceberg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/parquet"
)

// maxDeletes bounds the rows of delete files that are held in memory, some 50
// bytes each. A table with more needs a rewrite before anything else.
const maxDeletes = 16 << 20

// deletes are the delete files of a snapshot, read. Each applies to data files
// by sequence numbers, as the table specification ("Scan Planning") says.
type deletes struct {
	positions map[string][]position // by data file
	vectors   map[string]vector     // by data file, version 3
	equality  []equality
	held      int64
}

type position struct{ at, sequence int64 }

type vector struct {
	rows     *dv.RoaringPositionBitmap
	sequence int64
}

// equality deletes the rows whose columns ids have one of the values keys.
type equality struct {
	ids      []int
	keys     map[string]bool
	sequence int64
	spec     int32
	everyone bool // its spec has no partitions: it applies to all files
	part     string
}

// readDeletes reads delete files whole. Errors: ErrUnsupported for those of
// formats and types that are not known here, ErrBroken.
func (t *tbl) readDeletes(ctx context.Context, meta *metadata.Table, entries []iceberg.ManifestEntry) (*deletes, error) {
	d := &deletes{positions: map[string][]position{}, vectors: map[string]vector{}}
	for _, e := range entries {
		if err := t.readDelete(ctx, meta, d, e); err != nil {
			return nil, fmt.Errorf("delete file %s: %w", e.DataFile().FilePath(), err)
		}
	}
	return d, nil
}

func (t *tbl) readDelete(ctx context.Context, meta *metadata.Table, d *deletes, e iceberg.ManifestEntry) error {
	df := e.DataFile()
	if d.held += df.Count(); d.held > maxDeletes {
		return fmt.Errorf("more than %d deleted rows: %w", maxDeletes, tables.ErrUnsupported)
	}
	if df.FileFormat() == iceberg.PuffinFile {
		rows, err := dv.ReadDV(t.files(ctx), df)
		if err != nil {
			return missing(err)
		}
		if df.ReferencedDataFile() == nil {
			return fmt.Errorf("deletion vector of no file: %w", tables.ErrBroken)
		}
		d.vectors[*df.ReferencedDataFile()] = vector{rows, e.SequenceNum()}
		return nil
	}
	if df.FileFormat() != iceberg.ParquetFile {
		return fmt.Errorf("format %s: %w", df.FileFormat(), tables.ErrUnsupported)
	}
	f, err := t.openFile(ctx, df.FilePath())
	if err != nil {
		return err
	}
	defer f.Close()
	if df.ContentType() == iceberg.EntryContentPosDeletes {
		return d.readPositions(ctx, f, e.SequenceNum())
	}
	spec := meta.Spec(int(df.SpecID()))
	eq := equality{
		ids: df.EqualityFieldIDs(), sequence: e.SequenceNum(), spec: df.SpecID(),
		everyone: spec != nil && spec.IsUnpartitioned(), part: fmt.Sprint(df.Partition()),
	}
	if len(eq.ids) == 0 {
		return fmt.Errorf("equality deletes by no column: %w", tables.ErrBroken)
	}
	eq.keys = make(map[string]bool)
	for b, err := range parquet.ReadRows(ctx, f, nil) {
		if err != nil {
			return err
		}
		keys, err := keysOf(b, eq.ids)
		if err != nil {
			return err
		}
		for _, k := range keys {
			eq.keys[k] = true
		}
	}
	d.equality = append(d.equality, eq)
	return nil
}

func (d *deletes) readPositions(ctx context.Context, f blob.File, sequence int64) error {
	for b, err := range parquet.ReadRows(ctx, f, []string{"file_path", "pos"}) {
		if err != nil {
			return err
		}
		paths, okP := b.Column(0).(*array.String)
		rows, okR := b.Column(1).(*array.Int64)
		if !okP || !okR || paths.NullN()+rows.NullN() > 0 {
			return fmt.Errorf("file_path and pos are not filled string and long columns: %w", tables.ErrBroken)
		}
		for i := range int(b.NumRows()) {
			path := paths.Value(i)
			if _, known := d.positions[path]; !known {
				path = strings.Clone(path) // the batch is reused
			}
			d.positions[path] = append(d.positions[path], position{rows.Value(i), sequence})
		}
	}
	return nil
}

// dropped is what delete files take from one data file.
type dropped struct {
	positions map[int64]bool
	vector    *dv.RoaringPositionBitmap
	equality  []equality
}

// of picks what applies to a data file: deletes by position of the same commit
// or later, a vector instead of those if there is one, deletes by value of
// later commits only.
func (d *deletes) of(e iceberg.ManifestEntry) dropped {
	var out dropped
	df := e.DataFile()
	if v, ok := d.vectors[df.FilePath()]; ok && v.sequence >= e.SequenceNum() {
		out.vector = v.rows
	} else if list := d.positions[df.FilePath()]; len(list) > 0 {
		out.positions = make(map[int64]bool, len(list))
		for _, p := range list {
			if p.sequence >= e.SequenceNum() {
				out.positions[p.at] = true
			}
		}
	}
	part := fmt.Sprint(df.Partition())
	for _, eq := range d.equality {
		if eq.sequence > e.SequenceNum() && (eq.everyone || eq.spec == df.SpecID() && eq.part == part) {
			out.equality = append(out.equality, eq)
		}
	}
	return out
}

func (d dropped) at(pos int64) bool {
	return d.positions[pos] || d.vector != nil && d.vector.Contains(uint64(pos))
}

// matches finds the rows of a data file that are deleted by value.
func (d dropped) matches(ctx context.Context, f blob.File) (map[int64]bool, error) {
	if len(d.equality) == 0 {
		return nil, nil
	}
	out, start := make(map[int64]bool), int64(0)
	for b, err := range parquet.ReadRows(ctx, f, nil) {
		if err != nil {
			return nil, err
		}
		for _, eq := range d.equality {
			keys, err := keysOf(b, eq.ids)
			if err != nil {
				return nil, err
			}
			for i, k := range keys {
				if eq.keys[k] {
					out[start+int64(i)] = true
				}
			}
		}
		start += b.NumRows()
	}
	return out, nil
}

// keysOf spells the values of columns, found by field id, as one text a row.
// A column that the file does not have is null in every row; a null equals a
// null. Widened types (int to long, float to double) are spelled alike.
func keysOf(b arrow.RecordBatch, ids []int) ([]string, error) {
	cols := make([]arrow.Array, len(ids))
	for i, id := range ids {
		for at, f := range b.Schema().Fields() {
			if have, ok := tables.FieldID(f); ok && have == id {
				cols[i] = b.Column(at)
			}
		}
		if cols[i] != nil && tables.Children(cols[i].DataType()) != nil {
			return nil, errors.Join(fmt.Errorf("equality deletes by column %d of type %s", id, cols[i].DataType()), tables.ErrUnsupported)
		}
	}
	keys := make([]string, b.NumRows())
	var key strings.Builder
	for row := range keys {
		key.Reset()
		for _, col := range cols {
			if col == nil || col.IsNull(row) {
				key.WriteString("-;")
				continue
			}
			text := col.ValueStr(row)
			fmt.Fprintf(&key, "%d:%s;", len(text), text)
		}
		keys[row] = key.String()
	}
	return keys, nil
}
