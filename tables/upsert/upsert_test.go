package upsert

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// batch makes a batch of one row for each group of values, in columns of these
// types.
func batch(t testing.TB, types []arrow.DataType, rows ...[]any) arrow.RecordBatch {
	t.Helper()
	var fields []arrow.Field
	for i, typ := range types {
		fields = append(fields, arrow.Field{Name: string(rune('a' + i)), Type: typ, Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	for _, row := range rows {
		for i, v := range row {
			switch v := v.(type) {
			case nil:
				b.Field(i).AppendNull()
			case int:
				switch f := b.Field(i).(type) {
				case *array.Int32Builder:
					f.Append(int32(v))
				case *array.Int64Builder:
					f.Append(int64(v))
				case *array.Decimal128Builder:
					f.Append(decimal128.FromI64(int64(v)))
				}
			case string:
				switch f := b.Field(i).(type) {
				case *array.StringBuilder:
					f.Append(v)
				case *array.BinaryBuilder:
					f.Append([]byte(v))
				}
			case bool:
				b.Field(i).(*array.BooleanBuilder).Append(v)
			}
		}
	}
	return b.NewRecordBatch()
}

// TestHashes wants keys to be told apart wherever a value ends, nulls from empty
// values, and a widened type not from the narrow one.
func TestHashes(t *testing.T) {
	h := NewHasher()
	text, bin := arrow.BinaryTypes.String, arrow.BinaryTypes.Binary
	b := batch(t, []arrow.DataType{text, bin},
		[]any{"ab", "c"}, []any{"a", "bc"}, []any{"", "abc"}, []any{"abc", ""}, []any{nil, "abc"}, []any{"abc", nil},
		[]any{"", ""}, []any{nil, nil}, []any{"\x00", nil}, []any{nil, "\x00"}, []any{"ab", "c"})
	got, err := h.Batch(b, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Hash]int{}
	for i, k := range got[:10] {
		if before, twice := seen[k]; twice {
			t.Errorf("rows %d and %d have one hash", before, i)
		}
		seen[k] = i
	}
	if got[10] != got[0] {
		t.Error("two rows of one key have two hashes")
	}
	if other, _ := NewHasher().Batch(b, []string{"a", "b"}); other[0] == got[0] {
		t.Error("two hashers have one seed")
	}

	narrow, err := h.Batch(batch(t, []arrow.DataType{arrow.PrimitiveTypes.Int32}, []any{-7}, []any{nil}), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	wide, err := h.Batch(batch(t, []arrow.DataType{arrow.PrimitiveTypes.Int64}, []any{-7}, []any{nil}), []string{"a"})
	if err != nil || !slices.Equal(narrow, wide) {
		t.Errorf("a widened key has another hash: %v", err)
	}
	lacks, err := h.Batch(batch(t, []arrow.DataType{text}, []any{"x"}), []string{"nowhere"})
	if err != nil || lacks[0] != narrow[1] {
		t.Errorf("a column that is not there is no null: %v", err)
	}
}

func TestCheckKey(t *testing.T) {
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "seen", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
		{Name: "place", Type: arrow.StructOf(arrow.Field{Name: "city", Type: arrow.BinaryTypes.String}), Nullable: true},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  string
		want bool
	}{{"id", true}, {"seen", true}, {"score", false}, {"at", false}, {"place", false}, {"city", false}, {"ID", false}} {
		if err := CheckKey(s, []string{c.key}); (err == nil) != c.want || err != nil && !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want a key: %v", c.key, err, c.want)
		}
	}
	if err := CheckKey(s, nil); !errors.Is(err, ErrKey) {
		t.Errorf("no columns: %v", err)
	}
}

// TestIndex looks for keys with and without room to remember them: the answer is
// the same, and what was taken of the budget is given back.
func TestIndex(t *testing.T) {
	store := blob.NewMemory()
	var live []tables.LiveFile
	for f := range 3 {
		var rows [][]any
		for i := range 100 {
			rows = append(rows, []any{f*100 + i})
		}
		b := batch(t, []arrow.DataType{arrow.PrimitiveTypes.Int64}, rows...)
		s, err := tables.NewSchema(b.Schema())
		if err != nil {
			t.Fatal(err)
		}
		file, err := parquet.Encode(s, []arrow.RecordBatch{b}, parquet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint("t/", f)
		if err := store.Put(t.Context(), key, file.Bytes); err != nil {
			t.Fatal(err)
		}
		live = append(live, tables.LiveFile{Key: key, Rows: 100, Size: int64(len(file.Bytes))})
	}
	for _, room := range []int64{0, 100 * rowBytes, 1 << 20} {
		budget := NewBudget(room)
		x := NewIndex(budget)
		for _, ids := range [][]int{{5, 250}, {299, 0, 100, 1000}, nil} {
			var rows [][]any
			for _, id := range ids {
				rows = append(rows, []any{id})
			}
			keys, err := x.Batch(batch(t, []arrow.DataType{arrow.PrimitiveTypes.Int64}, rows...), []string{"a"})
			if err != nil {
				t.Fatal(err)
			}
			want := Set{}
			for _, k := range keys {
				want[k] = struct{}{}
			}
			hits, err := x.Find(t.Context(), store, live, []string{"a"}, want)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, h := range hits {
				for _, row := range h.Rows {
					got = append(got, int(h.File.Key[2]-'0')*100+int(row))
				}
			}
			var there []int
			for _, id := range ids {
				if id < 300 {
					there = append(there, id)
				}
			}
			slices.Sort(there)
			if !slices.Equal(got, there) {
				t.Errorf("room for %d bytes: found %v, want %v", room, got, there)
			}
		}
		if _, err := x.Find(t.Context(), store, append(live, tables.LiveFile{Key: "t/gone", Rows: 1}), []string{"a"}, Set{Hash{}: {}}); !errors.Is(err, tables.ErrFile) {
			t.Errorf("a file that is gone: %v, want ErrFile", err)
		}
		x.Close()
		if left := budget.left.Load(); left != room {
			t.Errorf("%d of %d bytes are given back", left, room)
		}
	}
}
