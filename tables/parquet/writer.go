package parquet

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/tables"
)

// NaNError is refused: a column has NaN in a later row group and none in the
// first. Bounds of such a column mislead some readers, and were promised when
// the file was begun: begin again with Options.NoStats.
type NaNError struct {
	Path string // in the Parquet schema
}

// Error names the column.
func (e *NaNError) Error() string { return fmt.Sprintf("column %s has NaN after all", e.Path) }

// Writer makes a data file row group by row group, for files whose rows do not
// fit into memory at a time. What it holds is the encoded file and the row group
// at hand. The first row group decides about dictionaries. One goroutine uses
// it; what is written like Encode writes it.
type Writer struct {
	schema *tables.Schema
	opts   Options
	out    bytes.Buffer
	file   *pqarrow.FileWriter // nil until the first row group
	leaves []*leaf
	rows   int64
}

// NewWriter begins a file. size is about how large it will be, in bytes.
func NewWriter(schema *tables.Schema, opts Options, size int64) *Writer {
	opts.NoStats = maps.Clone(opts.NoStats)
	w := &Writer{schema: schema, opts: opts}
	w.out.Grow(int(size))
	for _, f := range schema.Arrow.Fields() {
		w.leaves = addLeaves(w.leaves, f, f.Name, false)
	}
	return w
}

// Write adds one row group. Errors: tables.ErrSchema, *NaNError; after any the
// file is of no use.
func (w *Writer) Write(batches []arrow.RecordBatch) error {
	rows := int64(0)
	for _, b := range batches {
		if err := checkBatch(w.schema.Arrow, b); err != nil {
			return err
		}
		rows += b.NumRows()
		if err := measureInto(w.leaves, w.schema.Arrow, b); err != nil {
			return err
		}
	}
	if rows == 0 {
		return nil
	}
	if err := w.begin(); err != nil {
		return fmt.Errorf("encode parquet: %w", err)
	}
	for _, l := range w.leaves {
		l.arrays = nil // they were for the dictionaries
	}
	w.rows += rows
	if err := writeGroup(w.file, w.schema.Arrow, batches, w.leaves); err != nil {
		return fmt.Errorf("encode parquet: %w", err)
	}
	return nil
}

// begin opens the file at its first row group, and looks at later ones.
func (w *Writer) begin() error {
	if w.file == nil {
		decide(w.leaves, w.opts)
		props := properties(w.leaves, w.opts, DefaultRowGroupRows)
		for _, l := range w.leaves {
			w.opts.withoutStats(l)
		}
		var err error
		w.file, err = pqarrow.NewFileWriter(w.schema.Arrow, &w.out, props, pqarrow.DefaultWriterProps())
		return err
	}
	for _, l := range w.leaves {
		if l.hasNaN() && !w.opts.NoStats[l.path] {
			return &NaNError{l.path}
		}
	}
	return nil
}

// Close ends the file. Error: ErrEmpty.
func (w *Writer) Close() (File, error) {
	if w.file == nil {
		return File{}, ErrEmpty
	}
	meta, err := finish(w.file, &w.out, w.leaves)
	if err != nil {
		return File{}, fmt.Errorf("encode parquet: %w", err)
	}
	file := File{Bytes: w.out.Bytes(), Rows: w.rows}
	if err := file.describe(meta, w.leaves); err != nil {
		return File{}, err
	}
	return file, nil
}

// withoutStats notes that the file has no bounds for a leaf.
func (o *Options) withoutStats(l *leaf) {
	if !l.hasNaN() || o.NoStats[l.path] {
		return
	}
	if o.NoStats == nil {
		o.NoStats = map[string]bool{}
	}
	o.NoStats[l.path] = true
}
