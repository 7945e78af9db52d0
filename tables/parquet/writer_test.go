package parquet_test

import (
	"errors"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// TestWriterIsEncode holds a file made row group by row group against one made
// at once: same rows, same statistics.
func TestWriterIsEncode(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	a, b := tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 100}), tabletest.Rows(s.Arrow, tables.Range{From: 100, To: 150})
	want, err := parquet.Encode(s, []arrow.RecordBatch{a, b}, parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewWriter(s, parquet.Options{}, 1000)
	for _, rows := range []arrow.RecordBatch{a, b} {
		if err := w.Write([]arrow.RecordBatch{rows}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 150 || len(got.SplitPos) != 2 {
		t.Errorf("%d rows in %d groups, want 150 in 2", got.Rows, len(got.SplitPos))
	}
	for i, c := range want.Columns {
		g := got.Columns[i]
		if g.FieldID != c.FieldID || g.Values != c.Values || g.Nulls != c.Nulls || string(g.Min) != string(c.Min) || string(g.Max) != string(c.Max) {
			t.Errorf("column %d: %+v, want %+v", i, g, c)
		}
	}
	if _, err := parquet.NewWriter(s, parquet.Options{}, 0).Close(); !errors.Is(err, parquet.ErrEmpty) {
		t.Errorf("a file without rows: %v, want ErrEmpty", err)
	}
}

// TestWriterNaN: bounds cannot be taken back once they were promised.
func TestWriterNaN(t *testing.T) {
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Float64}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	rows := func(v float64) []arrow.RecordBatch {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
		defer b.Release()
		b.Field(0).(*array.Float64Builder).Append(v)
		return []arrow.RecordBatch{b.NewRecordBatch()}
	}
	write := func(opts parquet.Options, values ...float64) error {
		w := parquet.NewWriter(s, opts, 0)
		for _, v := range values {
			if err := w.Write(rows(v)); err != nil {
				return err
			}
		}
		_, err := w.Close()
		return err
	}
	var nan *parquet.NaNError
	if err := write(parquet.Options{}, 1, math.NaN()); !errors.As(err, &nan) || nan.Path != "x" {
		t.Errorf("NaN behind numbers: %v, want a NaNError for x", err)
	}
	if err := write(parquet.Options{}, math.NaN(), 1, math.NaN()); err != nil {
		t.Errorf("NaN from the start: %v", err)
	}
	if err := write(parquet.Options{NoStats: map[string]bool{"x": true}}, 1, math.NaN()); err != nil {
		t.Errorf("NaN without bounds: %v", err)
	}
}
