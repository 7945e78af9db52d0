package parquet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// TestDictionaries writes texts that repeat, at every depth, and reads them back:
// nulls, slices, more values than a dictionary takes, and the empty text.
func TestDictionaries(t *testing.T) {
	text := arrow.BinaryTypes.String
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: "state", Type: text},
		{Name: "maybe", Type: text, Nullable: true},
		{Name: "never", Type: text, Nullable: true},
		{Name: "empty", Type: text},
		{Name: "many", Type: text},
		{Name: "who", Type: arrow.StructOf(arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "name", Type: text, Nullable: true}), Nullable: true},
		{Name: "tags", Type: arrow.ListOfField(arrow.Field{Name: "element", Type: text, Nullable: true}), Nullable: true},
		{Name: "labels", Type: arrow.MapOf(text, text)},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	rows := func(from, to int) arrow.RecordBatch {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
		defer b.Release()
		for n := from; n < to; n++ {
			many := fmt.Sprintf("%d %s", n%3, strings.Repeat("x", 20))
			if n%2048 > 1024 { // a sample does not tell how many there are
				many = fmt.Sprintf("%d %s", n, strings.Repeat("y", 100))
			}
			line := fmt.Sprintf(`{"state":"s%d","maybe":%s,"never":null,"empty":%q,"many":%q,"who":%s,"tags":%s,"labels":[{"key":"k%d","value":"v"}]}`,
				n%3, []string{`"a"`, "null", `"b"`}[n%3], []string{"", "z"}[n%2], many,
				[]string{`{"n":1,"name":"Ada"}`, "null", `{"n":2,"name":null}`, `{"n":3,"name":"Bo"}`}[n%4],
				[]string{`["x","y",null]`, "null", `[]`, `["y"]`, `["w"]`}[n%5], n%7)
			if err := b.UnmarshalJSON([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		return b.NewRecordBatch()
	}
	all := rows(0, 40_000)
	parts := []arrow.RecordBatch{all.NewSlice(0, 13_001), all.NewSlice(13_001, 30_000), rows(30_000, 40_000)}
	for name, opts := range map[string]parquet.Options{"one row group": {}, "more": {RowGroupRows: 17_000}} {
		f := encode(t, s, opts, parts...)
		var got []arrow.RecordBatch
		for b, err := range parquet.ReadRows(t.Context(), openBytes(t, f.Bytes), nil) {
			if err != nil {
				t.Fatal(err)
			}
			b.Retain()
			got = append(got, b)
		}
		table := array.NewTableFromRecords(got[0].Schema(), got)
		for i, field := range s.Arrow.Fields() {
			column, err := array.Concatenate(table.Column(i).Data().Chunks(), memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			if want, have := fmt.Sprint(all.Column(i)), fmt.Sprint(column); want != have {
				t.Errorf("%s: column %s differs:\ngot  %.300s\nwant %.300s", name, field.Name, have, want)
			}
		}
		meta := openMeta(t, f.Bytes).MetaData()
		chunk, err := meta.RowGroup(0).ColumnChunk(0)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := chunk.Statistics()
		if err != nil || !chunk.HasDictionaryPage() || string(stats.EncodeMin()) != "s0" || string(stats.EncodeMax()) != "s2" {
			t.Errorf("%s: bounds of state are %q to %q, dictionary %v, %v", name, stats.EncodeMin(), stats.EncodeMax(), chunk.HasDictionaryPage(), err)
		}
		if chunk, err = meta.RowGroup(0).ColumnChunk(1); err != nil {
			t.Fatal(err)
		}
		if stats, err = chunk.Statistics(); err != nil || string(stats.EncodeMin()) != "a" || string(stats.EncodeMax()) != "b" || stats.NullCount() != (chunk.NumValues()+1)/3 {
			t.Errorf("%s: of maybe %q to %q, %d nulls of %d, %v", name, stats.EncodeMin(), stats.EncodeMax(), stats.NullCount(), chunk.NumValues(), err)
		}
		if chunk, err = meta.RowGroup(0).ColumnChunk(3); err != nil {
			t.Fatal(err)
		}
		if stats, err = chunk.Statistics(); err != nil || len(stats.EncodeMin()) != 0 || !stats.HasMinMax() || string(stats.EncodeMax()) != "z" {
			t.Errorf("%s: of empty %q to %q, %v", name, stats.EncodeMin(), stats.EncodeMax(), err)
		}
	}
}
