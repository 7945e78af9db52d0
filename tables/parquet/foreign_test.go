package parquet_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// TestForeignHints reads a file as pyiceberg writes them, by pyarrow: with the
// Arrow types that it had, whose rows fit the table nonetheless.
func TestForeignHints(t *testing.T) {
	pairs := arrow.StructOf(arrow.Field{Name: "key", Type: arrow.BinaryTypes.LargeString, Nullable: true})
	theirs := arrow.NewSchema([]arrow.Field{
		{Name: "text", Type: arrow.BinaryTypes.LargeString, Nullable: true},
		{Name: "key", Type: arrow.BinaryTypes.LargeBinary, Nullable: true},
		{Name: "headers", Type: arrow.LargeListOf(pairs), Nullable: true},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Berlin"}, Nullable: true},
	}, nil)
	rows, _, err := array.RecordFromJSON(memory.DefaultAllocator, theirs, strings.NewReader(
		`[{"text": "a", "key": "YWI=", "headers": [{"key": "h"}, {"key": null}], "at": "2026-03-01 11:00:00Z"}, {"text": null, "key": null, "headers": [], "at": null}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(theirs, &out, pq.NewWriterProperties(), pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ours, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "key", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "headers", Type: arrow.ListOf(arrow.StructOf(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String, Nullable: true})), Nullable: true},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	check := func(how string, b arrow.RecordBatch) {
		fit, err := tables.Project(b, ours)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		defer fit.Release()
		got, err := fit.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{`"text":"a"`, `"key":"YWI="`, `"headers":[{"key":"h"},{"key":null}]`, `"at":"2026-03-01T11:00:00Z"`} {
			if !strings.Contains(string(got), part) {
				t.Errorf("%s: got %s, want %s in it", how, got, part)
			}
		}
	}
	f := openBytes(t, out.Bytes())
	for b, err := range parquet.ReadRows(t.Context(), f, nil) {
		if err != nil {
			t.Fatal(err)
		}
		check("ReadRows", b)
	}
	for p, err := range parquet.ReadSome(t.Context(), f, parquet.Scan{Columns: []string{"text", "key", "headers", "at"}}) {
		if err != nil {
			t.Fatal(err)
		}
		check("ReadSome", p.Rows)
	}
}
