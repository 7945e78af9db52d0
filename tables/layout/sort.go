package layout

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
)

// comparer compares the values of two rows, neither of which is null.
type comparer func(a, b ref) int

// key is one key of an order, over all batches.
type key struct {
	field   tables.SortField
	columns []column
	compare comparer
}

// compareKeys orders rows by all keys.
func compareKeys(keys []key, a, b ref) int {
	for _, k := range keys {
		nullA, nullB := k.columns[a.batch].null(int(a.row)), k.columns[b.batch].null(int(b.row))
		switch {
		case nullA && nullB:
			continue
		case nullA != nullB:
			if nullA == k.field.NullsFirst {
				return -1
			}
			return 1
		}
		if c := k.compare(a, b); c != 0 {
			if k.field.Desc {
				return -c
			}
			return c
		}
	}
	return 0
}

// sortRows puts rows into an order; those that are equal keep theirs.
func sortRows(keys []key, rows []ref) {
	if len(keys) > 0 {
		slices.SortStableFunc(rows, func(a, b ref) int { return compareKeys(keys, a, b) })
	}
}

// newKey prepares a key. Numbers compare by value, NaN above all and the zeros by
// their sign (table specification, "Sorting"); text by its bytes; false comes
// before true.
func newKey(f tables.SortField, columns []column) (key, error) {
	k := key{field: f, columns: columns}
	if len(columns) == 0 {
		return k, nil
	}
	switch columns[0].values.(type) {
	case *array.Boolean:
		k.compare = comparing(columns, func(a arrow.Array) func(int) int64 {
			return func(row int) int64 {
				if a.(*array.Boolean).Value(row) {
					return 1
				}
				return 0
			}
		}, cmp.Compare)
	case *array.Float32:
		k.compare = comparing(columns, func(a arrow.Array) func(int) float64 {
			return func(row int) float64 { return float64(a.(*array.Float32).Value(row)) }
		}, compareFloats)
	case *array.Float64:
		k.compare = comparing(columns, func(a arrow.Array) func(int) float64 { return a.(*array.Float64).Value }, compareFloats)
	case *array.Decimal128:
		k.compare = func(a, b ref) int {
			x := columns[a.batch].values.(*array.Decimal128).Value(int(a.row))
			return x.Cmp(columns[b.batch].values.(*array.Decimal128).Value(int(b.row)))
		}
	case *array.Binary, *array.FixedSizeBinary, *array.String:
		k.compare = comparing(columns, texts, bytes.Compare)
	default:
		if numbers(columns[0].values) == nil {
			return k, unknown(columns[0].values)
		}
		k.compare = comparing(columns, exact, cmp.Compare)
	}
	return k, nil
}

// exact is numbers with nanoseconds as they are.
func exact(a arrow.Array) func(int) int64 {
	if t, ok := a.(*array.Timestamp); ok {
		return func(row int) int64 { return int64(t.Value(row)) }
	}
	return numbers(a)
}

// comparing compares what read makes of each batch's column.
func comparing[T any](columns []column, read func(arrow.Array) func(int) T, compare func(a, b T) int) comparer {
	values := make([]func(int) T, len(columns))
	for i, c := range columns {
		values[i] = read(c.values)
	}
	return func(a, b ref) int { return compare(values[a.batch](int(a.row)), values[b.batch](int(b.row))) }
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a != a || b != b:
		return -cmp.Compare(a, b) // which puts NaN first
	}
	signA, signB := math.Signbit(a), math.Signbit(b)
	switch {
	case signA == signB:
		return 0
	case signA:
		return -1
	}
	return 1
}
