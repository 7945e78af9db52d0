package parquet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/tables"
)

// Defaults of Options.
const (
	// DefaultLevel is the zstd level: 1 gave the size of the higher levels on
	// row data at a third more speed.
	DefaultLevel = 1
	// DefaultRowGroupRows keeps a file of the sink's size in one row group;
	// smaller groups cost both size and speed.
	DefaultRowGroupRows = 1_000_000
	// writeBatchRows is how many rows arrow-go takes at a time; its own 1024
	// costs a fifth of the speed.
	writeBatchRows = 20_000
)

// ErrEmpty is refused: there are no rows to write.
var ErrEmpty = errors.New("no rows for a data file")

// Options say how a file is written. The zero value is the default.
type Options struct {
	Codec        Codec // empty is Zstd
	Level        int   // of zstd 1–22, of gzip 1–9, 0 is DefaultLevel or gzip's own
	RowGroupRows int64 // rows in a row group at most, 0 is DefaultRowGroupRows
	// NoStats are columns, by path in the Parquet schema, for which the file
	// gets no bounds.
	NoStats map[string]bool
}

// Codec is how pages are compressed, in a word.
type Codec string

// Codecs that every reader has, LZ4 in the form of lz4_raw.
const (
	Zstd         Codec = "zstd"
	Snappy       Codec = "snappy"
	Gzip         Codec = "gzip"
	LZ4          Codec = "lz4"
	Uncompressed Codec = "none"
)

// compression is the codec's number and the level that it takes, 0 for none.
func (o Options) compression() (compress.Compression, int) {
	switch o.Codec {
	case Snappy:
		return compress.Codecs.Snappy, 0
	case Gzip:
		return compress.Codecs.Gzip, min(o.Level, 9)
	case LZ4:
		return compress.Codecs.Lz4Raw, 0
	case Uncompressed:
		return compress.Codecs.Uncompressed, 0
	}
	return compress.Codecs.Zstd, cmp.Or(o.Level, DefaultLevel)
}

// File is a whole Parquet file in memory with what a commit says about it.
type File struct {
	Bytes    []byte
	Rows     int64
	Columns  []tables.ColumnStats
	SplitPos []int64 // position of each row group, in bytes
}

// DataFile returns the file's entry for a commit, but for its Path, its Ranges
// and the time.
func (f File) DataFile(schemaID int) tables.DataFile {
	return tables.DataFile{
		Size: int64(len(f.Bytes)), Rows: f.Rows, SchemaID: schemaID,
		Columns: f.Columns, SplitPos: f.SplitPos,
	}
}

// Encode writes the batches as one Parquet file, in one burst: data pages
// v1 and plain encoding for the widest readers, dictionaries only for strings
// that repeat, the schema's field ids, decimals up to 18 digits as integers.
// The batches must have the schema's columns (see tables.Project); they are
// read only. Memory is the file plus one column's pages.
//
// Errors are refused: ErrEmpty, or tables.ErrSchema where a batch does not fit
// or holds a null in a required field.
func Encode(schema *tables.Schema, batches []arrow.RecordBatch, opts Options) (File, error) {
	var rows int64
	for _, b := range batches {
		if err := checkBatch(schema.Arrow, b); err != nil {
			return File{}, err
		}
		rows += b.NumRows()
	}
	if rows == 0 {
		return File{}, ErrEmpty
	}
	leaves, err := measure(schema.Arrow, batches)
	if err != nil {
		return File{}, err
	}
	var out bytes.Buffer
	meta, err := write(&out, schema.Arrow, batches, rows, leaves, opts)
	if err != nil {
		return File{}, fmt.Errorf("encode parquet: %w", err)
	}
	file := File{Bytes: out.Bytes(), Rows: rows}
	if err := file.describe(meta, leaves); err != nil {
		return File{}, err
	}
	return file, nil
}

func checkBatch(s *arrow.Schema, b arrow.RecordBatch) error {
	have := b.Schema()
	if have.NumFields() != s.NumFields() {
		return fmt.Errorf("batch has %d columns, not %d: %w", have.NumFields(), s.NumFields(), tables.ErrSchema)
	}
	for i, want := range s.Fields() {
		got := have.Field(i)
		if got.Name != want.Name || !sameType(got.Type, want.Type) {
			return fmt.Errorf("column %d is %s %s, not %s %s: %w", i, got.Name, got.Type, want.Name, want.Type, tables.ErrSchema)
		}
	}
	return nil
}

// sameType compares types by what decides the file's layout: metadata, names of
// list elements and nullability, which measure checks by the data, do not.
func sameType(a, b arrow.DataType) bool {
	if a.ID() != b.ID() {
		return false
	}
	x, y := tables.Children(a), tables.Children(b)
	if len(x) != len(y) {
		return false
	}
	if x == nil {
		return arrow.TypeEqual(a, b)
	}
	for i := range x {
		if a.ID() == arrow.STRUCT && x[i].Name != y[i].Name || !sameType(x[i].Type, y[i].Type) {
			return false
		}
	}
	return true
}

// write writes column by column, so that only one column's pages are held.
func write(out *bytes.Buffer, s *arrow.Schema, batches []arrow.RecordBatch, rows int64, leaves []*leaf, opts Options) (*metadata.FileMetaData, error) {
	groupRows := cmp.Or(opts.RowGroupRows, DefaultRowGroupRows)
	decide(leaves, opts)
	w, err := pqarrow.NewFileWriter(s, out, properties(leaves, opts, groupRows), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	for at := int64(0); at < rows; at += groupRows {
		group := batches
		if rows > groupRows {
			if group, err = regroup(leaves, s, batches, at, min(at+groupRows, rows)); err != nil {
				return nil, err
			}
		}
		if err := writeGroup(w, s, group, leaves); err != nil {
			return nil, err
		}
	}
	return finish(w, out, leaves)
}

// regroup returns the rows of batches from from up to to, and has leaves tell of
// their nulls next.
func regroup(leaves []*leaf, s *arrow.Schema, batches []arrow.RecordBatch, from, to int64) (group []arrow.RecordBatch, err error) {
	at := int64(0)
	for _, b := range batches {
		if first, last := max(from, at), min(to, at+b.NumRows()); first < last {
			group = append(group, b.NewSlice(first-at, last-at))
		}
		at += b.NumRows()
	}
	own, err := measure(s, group)
	if err != nil {
		return nil, err
	}
	for i, l := range leaves {
		l.told = l.nulls - own[i].nulls
	}
	return group, nil
}

// finish ends the file that w writes to out.
func finish(w *pqarrow.FileWriter, out *bytes.Buffer, leaves []*leaf) (*metadata.FileMetaData, error) {
	if err := w.Close(); err != nil {
		return nil, err
	}
	meta, err := w.FileMetadata()
	if err != nil {
		return nil, err
	}
	if plain, told := plainIntegers(meta), tell(meta, leaves); !plain && !told {
		return meta, nil
	}
	return meta, rewriteFooter(out, meta)
}

// writeGroup writes the batches as a row group.
func writeGroup(w *pqarrow.FileWriter, s *arrow.Schema, batches []arrow.RecordBatch, leaves []*leaf) error {
	if err := w.NewRowGroupChecked(); err != nil {
		return err
	}
	for i := range s.NumFields() {
		chunks := make([]arrow.Array, len(batches))
		for j, b := range batches {
			chunks[j] = b.Column(i)
		}
		n := countLeaves(s.Field(i).Type)
		chunks = withDictionaries(chunks, leaves[:n])
		leaves = leaves[n:]
		// The chunks' own type: it may differ from the schema's in metadata.
		column := arrow.NewChunked(chunks[0].DataType(), chunks)
		err := w.WriteColumnChunked(column, 0, int64(column.Len()))
		column.Release()
		if err != nil {
			return fmt.Errorf("column %s: %w", s.Field(i).Name, err)
		}
	}
	return nil
}

// countLeaves counts the columns of the file that a column of this type is.
func countLeaves(t arrow.DataType) int {
	kids := tables.Children(t)
	if kids == nil {
		return 1
	}
	n := 0
	for _, f := range kids {
		n += countLeaves(f.Type)
	}
	return n
}

// decide notes which columns get dictionaries, and for which the footer has bounds.
func decide(leaves []*leaf, opts Options) {
	for _, l := range leaves {
		l.dictionary, l.boundless = l.repeats(), opts.NoStats[l.path]
	}
}

func properties(leaves []*leaf, opts Options, groupRows int64) *pq.WriterProperties {
	codec, level := opts.compression()
	props := []pq.WriterProperty{
		pq.WithCompression(codec),
		pq.WithDataPageVersion(pq.DataPageV1),
		pq.WithDictionaryDefault(false),
		pq.WithMaxRowGroupLength(groupRows),
		pq.WithBatchSize(writeBatchRows),
		pq.WithStoreDecimalAsInteger(true),
		pq.WithStats(true),
		pq.WithRootName("table"),
	}
	if level != 0 {
		props = append(props, pq.WithCompressionLevel(level))
	}
	for _, l := range leaves {
		if l.dictionary {
			props = append(props, pq.WithDictionaryFor(l.path, true))
		}
		// Bounds in the file leave NaN out, but some readers that take NaN for
		// the greatest number skip row groups by them: better none.
		// Of columns with dictionaries the footer is told here, see footer.
		if l.hasNaN() || opts.NoStats[l.path] || l.dictionary {
			props = append(props, pq.WithStatsFor(l.path, false))
		}
	}
	return pq.NewWriterProperties(props...)
}

// describe fills in what only the written file says: sizes and positions.
func (f *File) describe(meta *metadata.FileMetaData, leaves []*leaf) error {
	for _, l := range leaves {
		f.Columns = append(f.Columns, l.stats())
	}
	for g := range meta.NumRowGroups() {
		group := meta.RowGroup(g)
		if group.NumColumns() != len(leaves) {
			return fmt.Errorf("file has %d columns, not %d: %w", group.NumColumns(), len(leaves), tables.ErrBroken)
		}
		for i := range leaves {
			chunk, err := group.ColumnChunk(i)
			if err != nil {
				return fmt.Errorf("read back column %s: %w", leaves[i].path, err)
			}
			if i == 0 {
				f.SplitPos = append(f.SplitPos, chunkPos(chunk))
			}
			f.Columns[i].Size += chunk.TotalCompressedSize()
			if leaves[i].repeated {
				f.Columns[i].Values += chunk.NumValues()
			}
		}
	}
	return nil
}

func chunkPos(c *metadata.ColumnChunkMetaData) int64 {
	if c.HasDictionaryPage() && c.DictionaryPageOffset() > 0 {
		return min(c.DictionaryPageOffset(), c.DataPageOffset())
	}
	return c.DataPageOffset()
}
