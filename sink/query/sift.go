package query

import (
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables/parquet"
)

// Rows that cannot fulfil the statement's comparisons are left out before SQLite sees
// them: a row costs SQLite a hundred times what a comparison in a column of Arrow
// does. What is not sure is kept, since SQLite compares again.

// test reports whether the row of a column may fulfil a comparison.
type test func(row int) bool

// never is the test of a column that is null in all rows: no comparison holds.
func never(int) bool { return false }

// tests are those of a file's rows, by the comparisons that narrow the scan.
func (b *bounds) tests(rows arrow.RecordBatch, columns []column) []test {
	var out []test
	add := func(t test) {
		if t != nil {
			out = append(out, t)
		}
	}
	whole := [2]int64{math.MinInt64, math.MaxInt64}
	if b.partition != whole {
		add(numbered(arrayOf(rows, parquet.PartitionColumn), b.partition))
	}
	if b.offset != whole {
		add(numbered(arrayOf(rows, parquet.OffsetColumn), b.offset))
	}
	if b.ms != whole {
		us := [2]int64{micros(b.ms[0]), micros(b.ms[1])}
		us[1] += min(999, math.MaxInt64-us[1]) // to the end of the millisecond
		add(between(arrayOf(rows, parquet.TimestampColumn), us))
	}
	if b.keys != nil {
		for i := range columns {
			if columns[i].from == fromKey {
				add(sameBytes(arrayOf(rows, fileColumn(&columns[i])), b.hasKey))
			}
		}
	}
	for _, t := range b.terms {
		c := &columns[t.at]
		if !b.used[t.at] {
			continue
		}
		a := arrayOf(rows, fileColumn(c))
		if a == nil {
			add(never)
			continue
		}
		add(t.test(a))
	}
	return out
}

// sift returns those of the rows 0 to n-1, or of sel, that pass all tests.
func sift(n int, sel []int32, tests []test) []int32 {
	if len(tests) == 0 {
		return sel
	}
	passes := func(i int) bool {
		for _, t := range tests {
			if !t(i) {
				return false
			}
		}
		return true
	}
	out := make([]int32, 0, 64)
	if sel == nil {
		for i := range n {
			if passes(i) {
				out = append(out, int32(i))
			}
		}
		return out
	}
	for _, i := range sel {
		if passes(int(i)) {
			out = append(out, i)
		}
	}
	return out
}

// test is the term's on a column of Arrow, nil where it is left to SQLite.
func (t term) test(a arrow.Array) test {
	op := ops[t.op][0]
	switch v := t.value.(type) {
	case string:
		s, ok := a.(*array.String)
		if !ok || t.column.logical.ID() != arrow.STRING {
			return nil
		}
		return textTest(s, op, v)
	case int64, float64:
		switch t.column.logical.ID() {
		case arrow.INT32, arrow.INT64:
			r := [2]int64{math.MinInt64, math.MaxInt64}
			narrow(&r, op, v)
			return between(a, r)
		case arrow.FLOAT32, arrow.FLOAT64:
			f, ok := asFloat(v)
			if !ok {
				return nil
			}
			return floatTest(a, op, f)
		}
	}
	return nil
}

// between tests integers against a range, inclusive at both ends.
func between(a arrow.Array, r [2]int64) test {
	switch a := a.(type) {
	case *array.Int32:
		values := a.Int32Values()
		return func(i int) bool { v := int64(values[i]); return v >= r[0] && v <= r[1] && a.IsValid(i) }
	case *array.Int64:
		values := a.Int64Values()
		return func(i int) bool { v := values[i]; return v >= r[0] && v <= r[1] && a.IsValid(i) }
	case *array.Timestamp:
		if a.DataType().(*arrow.TimestampType).Unit != arrow.Microsecond {
			return nil
		}
		values := a.TimestampValues()
		return func(i int) bool { v := int64(values[i]); return v >= r[0] && v <= r[1] && a.IsValid(i) }
	}
	return nil
}

// numbered is between for the columns whose comparisons nobody makes again.
func numbered(a arrow.Array, r [2]int64) test {
	if a == nil {
		return never
	}
	if t := between(a, r); t != nil {
		return t
	}
	read := readerOf(a, nil)
	return func(i int) bool {
		n, ok := read(i).(int64)
		return !ok || n >= r[0] && n <= r[1]
	}
}

// floatTest tests numbers against one that may have been rounded to a float: rounding
// keeps the order, so equals are kept for SQLite to tell.
func floatTest(a arrow.Array, op byte, to float64) test {
	low, high := math.Inf(-1), math.Inf(1)
	switch op {
	case '=':
		low, high = to, to
	case '>', ']':
		low = to
	case '<', '[':
		high = to
	}
	switch a := a.(type) { // NaN is null in SQL, and in no range
	case *array.Float64:
		values := a.Float64Values()
		return func(i int) bool { v := values[i]; return v >= low && v <= high && a.IsValid(i) }
	case *array.Float32:
		values := a.Float32Values()
		return func(i int) bool { v := float64(values[i]); return v >= low && v <= high && a.IsValid(i) }
	}
	return nil
}

// textTest tests texts as SQLite's collation BINARY orders them. One with a zero byte
// is a blob in SQL, and left to it.
func textTest(a *array.String, op byte, to string) test {
	return func(i int) bool {
		if a.IsNull(i) {
			return false
		}
		v := a.Value(i)
		if op == '=' {
			return v == to
		}
		c := strings.Compare(v, to)
		if c == 0 || strings.IndexByte(v, 0) >= 0 {
			return true
		}
		if op == '>' || op == ']' {
			return c > 0
		}
		return c < 0
	}
}

// sameBytes tests keys, which tables hold as bytes.
func sameBytes(a arrow.Array, has func([]byte) bool) test {
	switch a := a.(type) {
	case *array.Binary:
		return func(i int) bool { return a.IsValid(i) && has(a.Value(i)) }
	case *array.String:
		return func(i int) bool { return a.IsValid(i) && has([]byte(a.Value(i))) }
	}
	return nil
}
