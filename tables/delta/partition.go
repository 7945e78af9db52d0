package delta

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

// A partition field of the layout is a partition column of the Delta table, under
// the field's name. An identity is the column itself. Every other one is a column
// more, which data files do not have and readers take from the add actions. None
// is a generated column in Delta's sense: its expressions are worked out in the
// reader's time zone, which is not that of the values, and there is none for
// Iceberg's buckets. DECISIONS.md has more.
type partitionColumn struct {
	field tables.PartitionField
	// add is what the schema gains; nil for a column that it has.
	add  *arrow.Field
	text func(v []byte) (text string, ok bool) // of a value
}

// partitionColumns are a layout's. Errors are ErrUnsupported.
func partitionColumns(s *tables.Schema) ([]partitionColumn, error) {
	var out []partitionColumn
	for _, f := range s.Layout.Partition {
		if f.Transform.Name == tables.Void {
			continue // Delta has no word for it
		}
		source, ok := s.Leaf(f.Source)
		if !ok {
			return nil, fmt.Errorf("partition field %s has no column: %w", f.Name, tables.ErrUnsupported)
		}
		typ, text := columnType(f.Transform, source.Field.Type)
		if typ == nil {
			return nil, fmt.Errorf("partition field %s: %s of %s is no partition column of Delta: %w", f.Name, f.Transform, source.Field.Type, tables.ErrUnsupported)
		}
		c := partitionColumn{field: f, text: text}
		if _, is := s.InColumn(f); !is {
			add := tables.WithDoc(arrow.Field{Name: f.Name, Type: typ, Nullable: true}, docOf(f.Transform, source.Path))
			c.add = &add
		}
		out = append(out, c)
	}
	return out, nil
}

func docOf(t tables.Transform, column string) string {
	switch t.Name {
	case tables.Bucket:
		return fmt.Sprintf("bucket of %s, of %d, as Iceberg numbers them", column, t.N)
	case tables.Truncate:
		return fmt.Sprintf("%s, truncated to %d", column, t.N)
	case tables.Identity:
		return column
	}
	return t.Name + " of " + column + ", in UTC"
}

// columnType is the type of a partition column and how its values are written;
// nil if there is none.
func columnType(t tables.Transform, source arrow.DataType) (arrow.DataType, func([]byte) (string, bool)) {
	switch t.Name {
	case tables.Bucket:
		return arrow.PrimitiveTypes.Int32, intText
	case tables.Year:
		return arrow.PrimitiveTypes.Int32, func(v []byte) (string, bool) {
			return strconv.FormatInt(1970+intOf(v), 10), true
		}
	case tables.Month:
		return arrow.BinaryTypes.String, func(v []byte) (string, bool) {
			month := intOf(v) + 1970*12
			return fmt.Sprintf("%04d-%02d", floorDiv(month, 12), month-12*floorDiv(month, 12)+1), true
		}
	case tables.Day:
		return arrow.FixedWidthTypes.Date32, dateText
	case tables.Hour:
		return arrow.BinaryTypes.String, func(v []byte) (string, bool) {
			return time.Unix(intOf(v)*3600, 0).UTC().Format("2006-01-02-15"), true
		}
	}
	return plainType(source)
}

// plainType is columnType for the values of a column itself.
func plainType(source arrow.DataType) (arrow.DataType, func([]byte) (string, bool)) {
	switch s := source.(type) {
	case *arrow.BooleanType:
		return s, func(v []byte) (string, bool) { return strconv.FormatBool(v[0] != 0), true }
	case *arrow.Int32Type, *arrow.Int64Type:
		return s, intText
	case *arrow.Time64Type:
		return arrow.PrimitiveTypes.Int64, intText // as in the files
	case *arrow.Float32Type:
		return s, func(v []byte) (string, bool) {
			return floatText(float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 32), true
		}
	case *arrow.Float64Type:
		return s, func(v []byte) (string, bool) {
			return floatText(math.Float64frombits(binary.LittleEndian.Uint64(v)), 64), true
		}
	case *arrow.StringType:
		return s, func(v []byte) (string, bool) { return string(v), true }
	case *arrow.Date32Type:
		return s, dateText
	case *arrow.Decimal128Type:
		return s, func(v []byte) (string, bool) { return decimalText(v, s) }
	case *arrow.TimestampType:
		layout := "2006-01-02 15:04:05.000000"
		if s.TimeZone != "" {
			layout = "2006-01-02T15:04:05.000000Z"
		}
		typ := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: s.TimeZone}
		return typ, func(v []byte) (string, bool) { return timeText(time.UnixMicro(intOf(v)), layout) }
	}
	return nil, nil
}

// intOf reads a whole number of four bytes or eight.
func intOf(v []byte) int64 {
	if len(v) == 4 {
		return int64(int32(binary.LittleEndian.Uint32(v)))
	}
	return int64(binary.LittleEndian.Uint64(v))
}

func intText(v []byte) (string, bool) { return strconv.FormatInt(intOf(v), 10), true }

func dateText(v []byte) (string, bool) { return timeText(time.Unix(intOf(v)*86400, 0), time.DateOnly) }

// timeText writes a time; there is none for years that readers' calendars lack,
// since they would refuse the whole table.
func timeText(t time.Time, layout string) (string, bool) {
	t = t.UTC()
	return t.Format(layout), t.Year() >= 1 && t.Year() <= 9999
}

func floatText(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// decimalText writes a decimal; there is none for what has too many digits for its
// type, as the least values have once they are truncated: readers would refuse the
// whole table.
func decimalText(v []byte, t *arrow.Decimal128Type) (string, bool) {
	n := new(big.Int).SetBytes(v)
	if v[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
	}
	return decimalDigits(n, int(t.Scale)), digitsOf(n) <= int(t.Precision)
}

// columnNames are the names of partition columns, never nil.
func columnNames(columns []partitionColumn) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.field.Name
	}
	return out
}

// valuesOf are a file's partition values as an add action says them: its own, or
// those of the live file whose rows it has. A value that Delta has no text for, the
// empty text too, is null to its readers.
func (t *table) valuesOf(columns []partitionColumn, f tables.DataFile) (map[string]*string, error) {
	if f.Like != "" {
		for _, a := range t.state.live() {
			if key, err := decodePath(a.Path, t.base, t.store.Key); err == nil && key == f.Like {
				return maps.Clone(nonNil(a.PartitionValues)), nil
			}
		}
		return nil, fmt.Errorf("%s is not live: %w", f.Like, tables.ErrConflict)
	}
	out := make(map[string]*string, len(columns))
	for _, c := range columns {
		i := slices.IndexFunc(f.Partition, func(v tables.PartitionValue) bool { return v.PartitionField == c.field })
		if i < 0 {
			return nil, fmt.Errorf("%s has no value for the partition column %s: %w", f.Path, c.field.Name, tables.ErrUnsupported)
		}
		out[c.field.Name] = nil
		if v := f.Partition[i].Value; v != nil {
			if text, ok := c.text(v); ok {
				out[c.field.Name] = &text
			}
		}
	}
	return out, nil
}

// checkColumns refuses a layout of other partition columns than the table has:
// a Delta table keeps those that it was made with.
func checkColumns(meta *metaData, s *tables.Schema) ([]partitionColumn, error) {
	columns, err := partitionColumns(s)
	if err != nil {
		return nil, err
	}
	if names := columnNames(columns); !slices.Equal(names, meta.PartitionColumns) {
		return nil, fmt.Errorf("a Delta table keeps the partition columns that it was made with: it has %q, tarn.table.partition asks for %q; set it back, or move the table away: %w",
			meta.PartitionColumns, names, tables.ErrUnsupported)
	}
	return columns, nil
}

// partitionWord names an add's partition, for LiveFile.Partition.
func partitionWord(values map[string]*string) string {
	if len(values) == 0 {
		return ""
	}
	text, err := json.Marshal(values) // sorted by name
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
