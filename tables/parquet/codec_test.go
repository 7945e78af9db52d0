package parquet_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func encode(t testing.TB, s *tables.Schema, opts parquet.Options, batches ...arrow.RecordBatch) parquet.File {
	t.Helper()
	f, err := parquet.Encode(s, batches, opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openBytes(t testing.TB, data []byte) blob.File {
	t.Helper()
	m := blob.NewMemory()
	if err := m.Put(t.Context(), "f", data); err != nil {
		t.Fatal(err)
	}
	f, err := m.Open(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func openMeta(t testing.TB, data []byte) *file.Reader {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rows of every type come back as they went in, over several batches and row
// groups, from sliced batches too.
func TestRoundTrip(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	all := tabletest.Rows(s.Arrow, tables.Range{Partition: 2, From: 100, To: 1100})
	f := encode(t, s, parquet.Options{RowGroupRows: 300}, all.NewSlice(0, 333), all.NewSlice(333, 1000))
	if f.Rows != 1000 || len(f.SplitPos) != 4 || f.SplitPos[0] != 4 {
		t.Errorf("got %d rows, split at %v, want 1000 rows and 4 groups from 4", f.Rows, f.SplitPos)
	}
	var got []arrow.RecordBatch
	for b, err := range parquet.ReadRows(t.Context(), openBytes(t, f.Bytes), nil) {
		if err != nil {
			t.Fatal(err)
		}
		b.Retain()
		got = append(got, b)
	}
	table := array.NewTableFromRecords(got[0].Schema(), got)
	for i, f := range s.Arrow.Fields() {
		chunk, err := array.Concatenate(table.Column(i).Data().Chunks(), memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		read := table.Schema().Field(i)
		if read.Nullable != f.Nullable || read.Name != f.Name {
			t.Errorf("field %s: got %v", f.Name, read)
		}
		want, have := fmt.Sprint(all.Column(i)), fmt.Sprint(chunk)
		if want != have {
			t.Errorf("column %s differs:\ngot  %.300s\nwant %.300s", f.Name, have, want)
		}
		if got, _ := tables.FieldID(read); got != i+1 {
			t.Errorf("column %s: field id %d, want %d", f.Name, got, i+1)
		}
	}
}

// What we say of a column agrees with what arrow-go's own statistics in the
// file's footer say, computed there by other code.
func TestStatsAgreeWithFooter(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	batch := tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 500})
	f := encode(t, s, parquet.Options{}, batch.NewSlice(0, 200), batch.NewSlice(200, 500))
	meta := openMeta(t, f.Bytes).MetaData()
	if got, want := len(f.Columns), meta.Schema.NumColumns(); got != want {
		t.Fatalf("columns: got %d, want %d", got, want)
	}
	for i, c := range f.Columns {
		chunk, err := meta.RowGroup(0).ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		column := meta.Schema.Column(i)
		path := column.Path()
		if int32(c.FieldID) != column.SchemaNode().FieldID() {
			t.Errorf("%s: field id %d, want %d", path, c.FieldID, column.SchemaNode().FieldID())
		}
		if c.Values != chunk.NumValues() || c.Size != chunk.TotalCompressedSize() {
			t.Errorf("%s: got %d values in %d bytes, want %d in %d", path, c.Values, c.Size, chunk.NumValues(), chunk.TotalCompressedSize())
		}
		if strings.Contains(path, ".list.") || strings.Contains(path, ".key_value.") {
			if c.Min != nil || c.Max != nil || c.Nulls != 0 {
				t.Errorf("%s: has bounds or nulls in a list or map: %+v", path, c)
			}
			continue
		}
		stats, err := chunk.Statistics()
		if c.NaNs > 0 {
			if stats != nil {
				t.Errorf("%s: bounds in the file although it has NaN", path)
			}
			continue
		}
		if err != nil || stats == nil {
			t.Fatalf("%s: no statistics: %v", path, err)
		}
		if c.Nulls != stats.NullCount() {
			t.Errorf("%s: got %d nulls, want %d", path, c.Nulls, stats.NullCount())
		}
		least, most := stats.EncodeMin(), stats.EncodeMax()
		if column.LogicalType().String() != "" && strings.HasPrefix(column.LogicalType().String(), "Decimal") {
			least, most = shortest(column.PhysicalType(), least), shortest(column.PhysicalType(), most)
		}
		if !bytes.Equal(c.Min, least) || !bytes.Equal(c.Max, most) {
			t.Errorf("%s: got %x to %x, want %x to %x", path, c.Min, c.Max, least, most)
		}
	}
}

// shortest turns a decimal as Parquet stores it into Iceberg's shortest
// big-endian two's complement.
func shortest(t pq.Type, v []byte) []byte {
	v = bytes.Clone(v)
	if t != pq.Types.FixedLenByteArray {
		for i, j := 0, len(v)-1; i < j; i, j = i+1, j-1 {
			v[i], v[j] = v[j], v[i]
		}
	}
	for len(v) > 1 && (v[0] == 0 && v[1] < 0x80 || v[0] == 0xff && v[1] >= 0x80) {
		v = v[1:]
	}
	return v
}

func TestStats(t *testing.T) {
	opt := func(name string, dt arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: dt, Nullable: true}
	}
	long := strings.Repeat("x", 70)
	inner := arrow.StructOf(opt("x", arrow.PrimitiveTypes.Int64), opt("s", arrow.BinaryTypes.String))
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		opt("f", arrow.PrimitiveTypes.Float64), opt("nan", arrow.PrimitiveTypes.Float32),
		opt("s", arrow.BinaryTypes.String), opt("b", arrow.BinaryTypes.Binary), opt("none", arrow.BinaryTypes.String),
		opt("d", &arrow.Decimal128Type{Precision: 20, Scale: 0}), opt("flag", arrow.FixedWidthTypes.Boolean),
		opt("st", inner), opt("l", arrow.ListOf(arrow.BinaryTypes.String)),
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
	f64, f32 := b.Field(0).(*array.Float64Builder), b.Field(1).(*array.Float32Builder)
	f64.AppendValues([]float64{math.NaN(), math.Copysign(0, -1), 0, math.NaN()}, []bool{true, true, true, true})
	f32.AppendValues([]float32{float32(math.NaN()), 0, 0, 0}, []bool{true, false, false, false})
	b.Field(2).(*array.StringBuilder).AppendValues([]string{"b", "", "a", "ä"}, nil)
	b.Field(3).(*array.BinaryBuilder).AppendValues([][]byte{[]byte("m"), {0xff}, []byte(long), nil}, []bool{true, false, true, false})
	b.Field(4).AppendNulls(4)
	for _, v := range []string{"-129", "128", "9000000000000000000", "0"} {
		if err := b.Field(5).AppendValueFromString(v); err != nil {
			t.Fatal(err)
		}
	}
	b.Field(6).(*array.BooleanBuilder).AppendValues([]bool{true, true, false, true}, []bool{true, true, false, true})
	st := b.Field(7).(*array.StructBuilder)
	st.AppendValues([]bool{true, false, true, false})
	for i := range 4 {
		// Fields of a null struct hold something all the same.
		st.FieldBuilder(0).(*array.Int64Builder).Append(int64(i - 1))
		st.FieldBuilder(1).(*array.StringBuilder).Append(string(rune('d' - i)))
	}
	lb := b.Field(8).(*array.ListBuilder)
	for i := range 4 {
		lb.Append(true)
		for range i {
			lb.ValueBuilder().(*array.StringBuilder).Append("e")
		}
	}
	f := encode(t, s, parquet.Options{}, b.NewRecordBatch())
	le := func(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }
	want := []struct {
		name                string
		values, nulls, nans int64
		min, max            string
	}{
		{"f", 4, 0, 2, le(math.Float64bits(math.Copysign(0, -1))), le(0)},
		{"nan", 4, 3, 1, "", ""},
		{"s", 4, 0, 0, "", "ä"},
		{"b", 4, 2, 0, "m", ""}, // the greatest is above 64 bytes
		{"none", 4, 4, 0, "", ""},
		{"d", 4, 0, 0, "\xff\x7f", "\x7c\xe6\x6c\x50\xe2\x84\x00\x00"},
		{"flag", 4, 1, 0, "\x01", "\x01"},
		{"st.x", 4, 2, 0, le(math.MaxUint64), le(1)},
		{"st.s", 4, 2, 0, "b", "d"},
		{"l.element", 7, 0, 0, "", ""},
	}
	for i, w := range want {
		c := f.Columns[i]
		if c.Values != w.values || c.Nulls != w.nulls || c.NaNs != w.nans || string(c.Min) != w.min || string(c.Max) != w.max {
			t.Errorf("%s: got %+v, want %+v", w.name, c, w)
		}
	}
	if f.Columns[2].Min == nil {
		t.Errorf("the empty string is a bound, got none")
	}
	if f.Columns[3].Max != nil || f.Columns[4].Min != nil || f.Columns[1].Min != nil {
		t.Errorf("bounds where there are none")
	}
}

func TestFileLayout(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	f := encode(t, s, parquet.Options{}, tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 5000}))
	meta := openMeta(t, f.Bytes).MetaData()
	var got strings.Builder
	for i := range meta.Schema.NumColumns() {
		c := meta.Schema.Column(i)
		chunk, err := meta.RowGroup(0).ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		if chunk.Compression().String() != "ZSTD" {
			t.Errorf("%s: compressed by %v", c.Path(), chunk.Compression())
		}
		dict := ""
		if chunk.HasDictionaryPage() {
			dict = " dictionary"
		}
		fmt.Fprintf(&got, "%s %v %v%s\n", c.Path(), c.PhysicalType(), c.LogicalType(), dict)
	}
	want := `kafka_partition INT32 None
kafka_offset INT64 None
kafka_timestamp INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false)
kafka_key BYTE_ARRAY None
kafka_headers.list.element.key BYTE_ARRAY String dictionary
kafka_headers.list.element.value BYTE_ARRAY None
kafka_schema_id INT32 None
flag BOOLEAN None
small INT32 None
big INT64 None
ratio FLOAT None
score DOUBLE None
raw BYTE_ARRAY None
text BYTE_ARRAY String dictionary
hash FIXED_LEN_BYTE_ARRAY None
cents INT64 Decimal(precision=18, scale=4)
wei FIXED_LEN_BYTE_ARRAY Decimal(precision=38, scale=10)
day INT32 Date
clock INT64 Time(isAdjustedToUTC=false, timeUnit=microseconds)
at INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false)
local_at INT64 Timestamp(isAdjustedToUTC=false, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false)
address.city BYTE_ARRAY String dictionary
address.geo.lat DOUBLE None
address.geo.label BYTE_ARRAY String
tags.list.element BYTE_ARRAY String dictionary
items.list.element.sku BYTE_ARRAY String dictionary
items.list.element.price INT32 Decimal(precision=9, scale=2)
attrs.key_value.key BYTE_ARRAY String dictionary
attrs.key_value.value INT64 None
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	if _, err := parquet.Encode(s, nil, parquet.Options{}); !errors.Is(err, parquet.ErrEmpty) {
		t.Errorf("no batches: got %v, want ErrEmpty", err)
	}
	wide := tabletest.Schema(t, append(tabletest.SmallFields(), arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32})...)
	row := tables.Range{From: 0, To: 1}
	if _, err := parquet.Encode(wide, []arrow.RecordBatch{tabletest.Rows(s.Arrow, row)}, parquet.Options{}); !errors.Is(err, tables.ErrSchema) {
		t.Errorf("batch with a column less: got %v, want ErrSchema", err)
	}
	child := arrow.StructOf(arrow.Field{Name: "must", Type: arrow.PrimitiveTypes.Int32})
	loose := arrow.StructOf(arrow.Field{Name: "must", Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	for name, test := range map[string]struct {
		want, have arrow.DataType
		rows       string
		ok         bool
	}{
		"top":             {arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int32, `[{"c": null}]`, false},
		"struct":          {child, loose, `[{"c": {"must": null}}]`, false},
		"null struct":     {child, loose, `[{"c": null}, {"c": {"must": 1}}]`, true},
		"list":            {arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int32), arrow.ListOf(arrow.PrimitiveTypes.Int32), `[{"c": [1, null]}]`, false},
		"struct in list":  {arrow.ListOf(child), arrow.ListOf(loose), `[{"c": [{"must": 1}, {"must": null}]}]`, false},
		"null in a list":  {arrow.ListOf(child), arrow.ListOf(loose), `[{"c": [{"must": 1}, null]}]`, true},
		"map value":       {arrow.MapOf(arrow.BinaryTypes.String, child), arrow.MapOf(arrow.BinaryTypes.String, loose), `[{"c": [{"key": "a", "value": {"must": null}}]}]`, false},
		"null map values": {arrow.MapOf(arrow.BinaryTypes.String, child), arrow.MapOf(arrow.BinaryTypes.String, loose), `[{"c": [{"key": "a", "value": null}]}]`, true},
	} {
		nullable := name != "top"
		s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{{Name: "c", Type: test.want, Nullable: nullable}}, nil))
		if err != nil {
			t.Fatal(err)
		}
		batch, _, err := array.RecordFromJSON(memory.DefaultAllocator,
			arrow.NewSchema([]arrow.Field{{Name: "c", Type: test.have, Nullable: true}}, nil), strings.NewReader(test.rows))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = parquet.Encode(s, []arrow.RecordBatch{batch}, parquet.Options{})
		if ok := err == nil; ok != test.ok || !ok && !errors.Is(err, tables.ErrSchema) {
			t.Errorf("%s: got %v, want ok=%v or ErrSchema", name, err, test.ok)
		}
	}
}

func TestReadRowIDs(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	a := tabletest.Rows(s.Arrow, tables.Range{Partition: 1, From: 5, To: 8})
	b := tabletest.Rows(s.Arrow, tables.Range{Partition: 0, From: 70, To: 72})
	f := encode(t, s, parquet.Options{RowGroupRows: 2}, a, b)
	var got []tables.RowID
	for id, err := range parquet.ReadRowIDs(t.Context(), openBytes(t, f.Bytes)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if want := "[{1 5} {1 6} {1 7} {0 70} {0 71}]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

type failingFile struct{ blob.File }

var errDisk = errors.New("disk")

func (failingFile) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// A read that fails is told from a file that is damaged.
func TestReadErrors(t *testing.T) {
	s := tabletest.Schema(t)
	good := encode(t, s, parquet.Options{}, tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 10})).Bytes
	first := func(ctx context.Context, f blob.File, columns []string) error {
		for _, err := range parquet.ReadRows(ctx, f, columns) {
			return err
		}
		return nil
	}
	if err := first(t.Context(), failingFile{openBytes(t, good)}, nil); !errors.Is(err, errDisk) || errors.Is(err, tables.ErrBroken) {
		t.Errorf("failing disk: got %v, want its error alone", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first(gone, openBytes(t, good), nil); !errors.Is(err, context.Canceled) || errors.Is(err, tables.ErrBroken) {
		t.Errorf("cancelled: got %v, want Canceled alone", err)
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("not parquet, not at all"), "cut": good[:len(good)/2]} {
		if err := first(t.Context(), openBytes(t, data), nil); !errors.Is(err, tables.ErrBroken) {
			t.Errorf("%s: got %v, want ErrBroken", name, err)
		}
	}
	if err := first(t.Context(), openBytes(t, good), []string{"nothing"}); !errors.Is(err, tables.ErrBroken) {
		t.Errorf("no such column: got %v, want ErrBroken", err)
	}
}

func FuzzReadRowIDs(f *testing.F) {
	s := tabletest.Schema(f)
	f.Add(encode(f, s, parquet.Options{}, tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 10})).Bytes)
	f.Add([]byte("PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows := 0
		for _, err := range parquet.ReadRowIDs(t.Context(), openBytes(t, data)) {
			if rows++; err != nil || rows > 1<<20 {
				break
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	s := tabletest.Schema(b, tabletest.AllFields()...)
	batches := []arrow.RecordBatch{
		tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 50_000}),
		tabletest.Rows(s.Arrow, tables.Range{From: 50_000, To: 100_000}),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parquet.Encode(s, batches, parquet.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// TestCodecs writes with each codec, which the file says, and reads back.
func TestCodecs(t *testing.T) {
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	rows := tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 5000})
	sizes := map[parquet.Codec]int{}
	for _, opts := range []parquet.Options{
		{Codec: parquet.Zstd}, {Codec: parquet.Zstd, Level: 12}, {Codec: parquet.Snappy}, {Codec: parquet.Gzip},
		{Codec: parquet.Gzip, Level: 22}, {Codec: parquet.LZ4}, {Codec: parquet.Uncompressed}, {},
	} {
		f := encode(t, s, opts, rows)
		sizes[opts.Codec] = len(f.Bytes)
		got, err := parquet.CodecOf(t.Context(), openBytes(t, f.Bytes))
		if want := cmp.Or(opts.Codec, parquet.Zstd); err != nil || got != want {
			t.Errorf("%+v: the file says %s, %v", opts, got, err)
		}
		n := int64(0)
		for b, err := range parquet.ReadWhole(t.Context(), openBytes(t, f.Bytes), 1<<20) {
			if err != nil {
				t.Fatalf("%+v: %v", opts, err)
			}
			n += b.NumRows()
		}
		if n != 5000 {
			t.Errorf("%+v: %d rows, want 5000", opts, n)
		}
	}
	for _, c := range []parquet.Codec{parquet.Zstd, parquet.Snappy, parquet.Gzip, parquet.LZ4} {
		if sizes[c] >= sizes[parquet.Uncompressed] {
			t.Errorf("%s: %d bytes, %d without", c, sizes[c], sizes[parquet.Uncompressed])
		}
	}
}
