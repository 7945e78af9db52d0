package query

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// scanFiles yields the rows of the table's files, and as the relation asks those of
// its dead letters. It returns false when the scan is over.
func (r *relation) scanFiles(b *bounds, yield func(*chunk, error) bool) bool {
	lake := &r.src.lake
	if r.part != lettersOnly {
		for i, f := range lake.Rows {
			if !r.scanFile(b, i, f, lake.Beyond && r.part == whole, r.columns, yield) {
				return false
			}
		}
	}
	if r.part == rowsOnly {
		return true
	}
	columns := r.columns
	if r.part == whole {
		columns = letterColumns(r.columns)
	}
	for i, f := range lake.Letters {
		// Letters are committed before the rows of their range.
		if !r.scanFile(b, len(lake.Rows)+i, f, r.part == whole, columns, yield) {
			return false
		}
	}
	return true
}

// letterColumns are where the columns of a topic stand in its table of dead letters:
// Kafka's own, and the reason.
func letterColumns(cols []column) []column {
	out := slices.Clone(cols)
	for i := range out {
		switch out[i].from {
		case fromError:
			out[i].field, out[i].logical = "reason", arrow.BinaryTypes.String
		case fromField, fromKeyDecoded, fromPlain, fromRaw:
			out[i].field = ""
		}
	}
	return out
}

// fileColumn is the name of a column in files; "" if they do not have it.
func fileColumn(c *column) string {
	switch c.from {
	case fromField, fromKeyDecoded, fromError:
		return c.field
	case fromPlain, fromRaw:
		return ""
	}
	return c.name
}

// outside reports whether none of a file's rows is within the bounds, by the
// offsets that the table says it covers.
func outside(f tables.LiveFile, b *bounds) bool {
	for _, g := range f.Ranges {
		if int64(g.Partition) >= b.partition[0] && int64(g.Partition) <= b.partition[1] && g.From <= b.offset[1] && g.To > b.offset[0] {
			return false
		}
	}
	return len(f.Ranges) > 0
}

// scanFile yields the rows of one file. bounded says that rows beyond the table's
// progress are left out.
func (r *relation) scanFile(b *bounds, number int, f tables.LiveFile, bounded bool, columns []column, yield func(*chunk, error) bool) bool {
	read := &r.s.out.Read
	if outside(f, b) {
		read.FilesPassed++
		return true
	}
	if f.Deletes {
		return yield(nil, fmt.Errorf("%w: the table of %s has delete files of another writer: read it by DuckDB, or ask log.%s", ErrRefused, r.topic.Name, quote(r.topic.Name)))
	}
	var names []string
	for i := range columns {
		if name := fileColumn(&columns[i]); b.used[i] && name != "" {
			names = append(names, name)
		}
	}
	if bounded {
		names = append(names, parquet.PartitionColumn, parquet.OffsetColumn)
	}
	file, err := r.s.engine.cfg.Store.Open(r.s.ctx, f.Key)
	if err != nil {
		return yield(nil, fmt.Errorf("file %s of the table of %s: %w", f.Key, r.topic.Name, err))
	}
	defer file.Close()
	read.Files++
	var progress map[int32]int64
	if bounded {
		progress = r.src.lake.Progress
	}
	wants := func(g parquet.Group) bool {
		switch {
		case !b.wants(g):
			read.RowGroupsPassed++
			return false
		case b.answer != nil && b.answer(g, columns, progress):
			read.RowGroupsAnswered++
			return false
		}
		read.RowGroups++
		return true
	}
	for piece, err := range parquet.ReadSome(r.s.ctx, file, parquet.Scan{Columns: names, Want: wants}) {
		if err != nil {
			return yield(nil, fmt.Errorf("file %s of the table of %s: %w", f.Key, r.topic.Name, err))
		}
		c, err := r.fileChunk(b, number, piece, bounded, columns)
		if err != nil {
			return yield(nil, fmt.Errorf("file %s of the table of %s: %w", f.Key, r.topic.Name, err))
		}
		if !yield(c, nil) {
			return false
		}
	}
	return true
}

// Rows of files are numbered apart from those of the log.
const (
	fileRowIDs = int64(1) << 62
	fileShift  = 40
)

func (r *relation) fileChunk(b *bounds, number int, p parquet.Piece, bounded bool, columns []column) (*chunk, error) {
	first := fileRowIDs | int64(number)<<fileShift | p.First
	c := &chunk{n: int(p.N), cols: make([]reader, len(columns)), rowID: func(i int) int64 { return first + int64(i) }}
	if p.Rows == nil {
		return c, nil
	}
	c.vec = func(at int) *vector {
		a := arrayOf(p.Rows, fileColumn(&columns[at]))
		switch from := columns[at].from; {
		case a == nil:
			return &vector{}
		case from == fromTimestamp:
			return vectorOf(a, nil, stamps())
		case from == fromField || from == fromPartition || from == fromOffset || from == fromSchemaID:
			return vectorOf(a, columns[at].logical, spanOf(columns[at].logical))
		}
		return vectorBy(c.cols[at])
	}
	for i := range columns {
		name := fileColumn(&columns[i])
		if !b.used[i] || name == "" {
			continue
		}
		a := arrayOf(p.Rows, name)
		switch {
		case a == nil:
		case columns[i].from == fromKey:
			c.cols[i] = keyReader(a)
		case columns[i].from == fromHeaders:
			c.cols[i] = headersReader(a)
		default:
			c.cols[i] = readerOf(a, columns[i].logical)
		}
	}
	if !bounded {
		c.sel = sift(c.n, nil, b.tests(p.Rows, columns))
		return c, nil
	}
	parts, ok1 := arrayOf(p.Rows, parquet.PartitionColumn).(*array.Int32)
	offs, ok2 := arrayOf(p.Rows, parquet.OffsetColumn).(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%s or %s is missing: %w", parquet.PartitionColumn, parquet.OffsetColumn, tables.ErrBroken)
	}
	c.sel = make([]int32, 0, c.n)
	for i := range c.n {
		if offs.Value(i) < r.src.lake.Progress[parts.Value(i)] {
			c.sel = append(c.sel, int32(i))
		}
	}
	c.sel = sift(c.n, c.sel, b.tests(p.Rows, columns))
	return c, nil
}

func arrayOf(b arrow.RecordBatch, name string) arrow.Array {
	if at := b.Schema().FieldIndices(name); len(at) == 1 {
		return b.Column(at[0])
	}
	return nil
}

// isGone reports whether a file was taken away while it was to be read.
func isGone(err error) bool { return errors.Is(err, blob.ErrNotFound) }
