package formula_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/formula"
)

// columns are those that formulas name in tests: all types, one row with values and
// one of nulls.
func columns(t testing.TB) (*schema.Rows, formula.Source) {
	t.Helper()
	at := func(unit arrow.TimeUnit) arrow.DataType { return &arrow.TimestampType{Unit: unit, TimeZone: "UTC"} }
	fields := []arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int32}, {Name: "big", Type: arrow.PrimitiveTypes.Int64},
		{Name: "x", Type: arrow.PrimitiveTypes.Float64}, {Name: "f", Type: arrow.PrimitiveTypes.Float32},
		{Name: "ok", Type: arrow.FixedWidthTypes.Boolean}, {Name: "s", Type: arrow.BinaryTypes.String},
		{Name: "raw", Type: arrow.BinaryTypes.Binary}, {Name: "d", Type: arrow.FixedWidthTypes.Date32},
		{Name: "ts", Type: at(arrow.Microsecond)}, {Name: "ns", Type: at(arrow.Nanosecond)},
		{Name: "price", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}},
		{Name: "clock", Type: arrow.FixedWidthTypes.Time64us},
		{Name: "a b", Type: arrow.StructOf(arrow.Field{Name: "city", Type: arrow.BinaryTypes.String, Nullable: true})},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String)},
	}
	for i := range fields {
		fields[i].Nullable = true
	}
	rows, err := schema.NewRows(arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 8, 30, 0, 123456789, time.UTC)
	rows.Column(0).Int32(-7)
	rows.Column(1).Int64(1 << 62)
	rows.Column(2).Float64(2.5)
	rows.Column(3).Float32(0.5)
	rows.Column(4).Bool(true)
	rows.Column(5).String("Zürich, CH")
	rows.Column(6).Bytes([]byte{0xff})
	rows.Column(7).Int32(-1)
	rows.Column(8).Int64(now.UnixMicro())
	rows.Column(9).Int64(now.UnixNano())
	rows.Column(10).Decimal(decimal128.FromI64(1234))
	rows.Column(11).Int64(1)
	rows.Column(12).Child(0).String("Bern")
	rows.Column(12).Struct()
	rows.Column(13).Elem().String("t")
	rows.Column(13).List(1)
	if err := rows.EndRow(); err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		rows.Column(i).Null()
	}
	if err := rows.EndRow(); err != nil {
		t.Fatal(err)
	}
	return rows, func(path []string) (arrow.DataType, *schema.Column, error) {
		if path[0] == "later" {
			return arrow.BinaryTypes.String, nil, nil // the table has it, these rows do not
		}
		for i, f := range fields {
			if f.Name != path[0] {
				continue
			}
			if len(path) == 1 {
				return f.Type, rows.Column(i), nil
			}
			if f.Name == "a b" && path[1] == "city" {
				return arrow.BinaryTypes.String, rows.Column(i).Child(0), nil
			}
		}
		return nil, nil, fmt.Errorf("there is no column %s", strings.Join(path, "."))
	}
}

// compute evaluates one expression for a row, and says its type and its value or
// why there is none.
func compute(t testing.TB, text string, row int) string {
	t.Helper()
	_, from := columns(t)
	list, err := formula.Parse("c = " + text)
	if err != nil {
		return "parse: " + err.Error()
	}
	p, err := list[0].Compile(from)
	if err != nil {
		return "compile: " + err.Error()
	}
	out, err := schema.NewRows(arrow.NewSchema([]arrow.Field{p.Field}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Append(row, out.Column(0)); err != nil {
		var invalid *schema.Invalid
		if !errors.As(err, &invalid) || out.Column(0).Len() != 0 {
			t.Errorf("%s: %v is no *schema.Invalid, or left %d values", text, err, out.Column(0).Len())
		}
		return "row: " + invalid.Found
	}
	if err := out.EndRow(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b := out.Batch()
	return schema.TypeWord(p.Field.Type) + " " + b.Column(0).ValueStr(0)
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"n", "int -7"}, {"tags", `list<string> ["t"]`}, {`"a b".city`, "string Bern"}, {"later", "string (null)"}, {"price", "decimal(9, 2) 12.34"},
		{"n + 1", "long -6"}, {"n - 8 - 1", "long -16"}, {"2 + 3 * 4 % 3", "long 2"}, {"(2 + 3) * 4", "long 20"}, {"-n", "long 7"}, {"- -n", "long -7"},
		{"n / 2", "double -3.5"}, {"n % 4", "long -3"}, {"n % -1", "long 0"}, {"x * 2", "double 5"}, {"f + n", "double -6.5"}, {"price * 10", "double 123.4"}, {"x % 2", "double 0.5"}, {"1e3 + .0", "parse: at 11: expected a column, a value or a function, found \".\""},
		{"amount * 0.92", "compile: c: there is no column amount"},
		{"big + big", "row: a number beyond 64 bits"}, {"big * 4", "row: a number beyond 64 bits"}, {"n * n", "long 49"}, {"-3 * 5", "long -15"}, {"0 - big - big - big", "row: a number beyond 64 bits"},
		{"1 / 0", "row: a division by zero"}, {"n % 0", "row: a division by zero"}, {"x / (n + 7)", "row: a division by zero"}, {"9999999999999999999", "double 1e+19"},
		{"s || '!' || lower('ÄB')", "string Zürich, CH!äb"}, {"'it''s'", "string it's"}, {"upper(s)", "string ZÜRICH, CH"}, {"trim('  a ')", "string a"},
		{"length(s)", "long 10"}, {"substr(s, 2, 3)", "string üri"}, {"substr(s, 9)", "string CH"}, {"substr(s, 99)", "string "}, {"substr(s, 0)", "row: a substr that begins before 1, or is shorter than nothing"},
		{"split_part(s, ', ', 2)", "string CH"}, {"split_part(s, ',', 9)", "string "}, {"split_part(s, '', 1)", "row: a split_part by nothing, or before 1"},
		{"date(ts)", "date 2026-11-22"}, {"date(ns)", "date 2026-11-22"}, {"date('2026-01-31')", "date 2026-01-31"}, {"date(s)", `row: "Zürich, CH", which is no date as 2026-01-31`}, {"d", "date 1969-12-31"},
		{"year(ts) * 10000 + month(ts) * 100 + day(ts)", "long 20261122"}, {"hour(ts)", "long 8"}, {"year(d)", "long 1969"}, {"hour(timestamp_millis(-1))", "long 23"},
		{"timestamp('2026-01-31T12:00:00+02:00')", "timestamptz 2026-01-31T10:00:00Z"}, {"timestamp('2026-01-31 12:00:00')", "timestamptz 2026-01-31T12:00:00Z"}, {"timestamp_millis(big)", "row: a number beyond 64 bits"},
		{"timestamp_seconds(1)", "timestamptz 1970-01-01T00:00:01Z"}, {"timestamp_micros(1000000)", "timestamptz 1970-01-01T00:00:01Z"},
		{"abs(n)", "long 7"}, {"abs(-2.5)", "double 2.5"}, {"round(2.5)", "double 3"}, {"floor(-2.5)", "double -3"}, {"ceil(n)", "long -7"},
		{"n < 0 and not x = 2", "boolean true"}, {"n = -7.0", "boolean true"}, {"s >= 'Z' or ok", "boolean true"}, {"d <> d", "boolean false"}, {"ts > ts", "boolean false"}, {"ok = false", "boolean false"}, {"raw != raw", "boolean false"}, {"n <= -8", "boolean false"},
		{"later is null", "boolean true"}, {"n is not null and n is null", "boolean false"}, {"later || s", "string (null)"}, {"n = null", "boolean (null)"},
		{"coalesce(later, s)", "string Zürich, CH"}, {"coalesce(null, n, 2.5)", "double -7"}, {"if(n > 0, 'in', 'out')", "string out"}, {"if(null, 1, 2.5)", "double 2.5"}, {"if(ok, null, date(ts))", "date (null)"},
		{"cast(n as string)", "string -7"}, {"cast(x as text) || cast(ok as varchar)", "string 2.5true"}, {"cast('12' as bigint)", "long 12"}, {"cast(s as long)", `row: "Zürich, CH", which is no whole number`}, {"cast(-2.9 as int)", "long -2"}, {"cast(1e300 as long)", "row: a number beyond 64 bits"},
		{"cast(ts as date)", "date 2026-11-22"}, {"cast(d as timestamp)", "timestamptz 1969-12-31T00:00:00Z"}, {"cast(ts as string)", "string 2026-11-22T08:30:00.123456Z"}, {"cast(d as string)", "string 1969-12-31"}, {"cast(raw as string)", "row: bytes that are no UTF-8"}, {"cast(s as binary)", "binary WsO8cmljaCwgQ0g="}, {"cast(ok as long)", "long 1"}, {"cast('2.5' as double)", "double 2.5"}, {"cast('x' as double)", `row: "x", which is no number`}, {"cast(null as date)", "date (null)"}, {"cast(price as long)", "long 12"},
		{"null", "compile: c: null has no type: use cast(null as long)"}, {"s + 1", "compile: c: + takes numbers, not string and long"}, {"n || s", "compile: c: || takes texts, not long and string"}, {"n and ok", "compile: c: and takes conditions, not long and boolean"}, {"s < 1", "compile: c: < takes two values of one kind, not string and long"},
		{"clock = clock", "compile: c: column clock is time, which no expression takes"}, {"length(tags)", "compile: c: column tags is list<string>, which no expression takes"}, {"date(n)", "compile: c: date takes (timestamp) or (string), not (long)"}, {"cast(d as long)", "compile: c: date cannot be cast as long"}, {"cast(n as money)", "compile: c: cast as money: use boolean, long, double, string, binary, date or timestamp"},
		{"coalesce(n, s)", "compile: c: coalesce takes values of one kind, not long and string"}, {"coalesce()", "compile: c: coalesce takes values"}, {"if(n, 1, 2)", "compile: c: if takes a condition and two values"}, {"not n", "compile: c: not takes (boolean), not (long)"}, {"-s", "compile: c: minus takes (long) or (double), not (string)"},
		{"n +", "parse: at 8: expected a column, a value or a function, found the end"}, {"n n", `parse: at 7: expected a comma, or an operator, found "n"`}, {"(n", "parse: at 7: expected a closing parenthesis, or an operator, found the end"}, {"'n", "parse: at 5: the closing ' is missing"}, {"n ; 1", `parse: at 7: ";" is not understood`}, {"cast(n)", `parse: at 11: expected as, and a type, found ")"`}, {"n is 1", `parse: at 10: expected null, found "1"`}, {"1x", `parse: at 5: "1x" is no number`}, {"n.", "parse: at 7: expected a field's name, found the end"}, {"f(1 2)", `parse: at 9: expected a comma, an operator or a closing parenthesis, found "2"`},
	} {
		if got := compute(t, c.text, 0); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
	if got := compute(t, "nosuch(1)", 0); !strings.Contains(got, "there is no function nosuch; those that are: abs, cast, ceil, coalesce,") {
		t.Error(got)
	}
	// Null makes null.
	for _, text := range []string{"n + 1", "x / 0", "s || 'a'", "not ok", "date(ts)", "cast(s as long)", "substr(s, 0)", "-n", "n", `"a b".city`, "n = 1", "price * 1", "if(ok, s, later)"} {
		if got := compute(t, text, 1); !strings.HasSuffix(got, " (null)") {
			t.Errorf("%s of nulls is %s", text, got)
		}
	}
}

func TestParse(t *testing.T) {
	list, err := formula.Parse(` day = date(kafka_timestamp),eur=amount*0.92 , "Land" = address.country `)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		got = append(got, f.Name+fmt.Sprint(f.Names()))
	}
	if want := "day[kafka_timestamp] eur[amount] Land[address]"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if list, err := formula.Parse(" "); err != nil || list != nil {
		t.Errorf("nothing is %v, %v", list, err)
	}
	deep := strings.Repeat("(", 40) + "1" + strings.Repeat(")", 40)
	for text, want := range map[string]string{
		"day":                                  "expected = after the column's name",
		"= 1":                                  "expected a column's name",
		"a = 1, A = 2":                         "column A stands there twice",
		"kafka_x = 1":                          "names that begin with kafka_ are the table's own",
		`"a.b" = 1`:                            "is no column's name",
		"a = 1,":                               "expected a column's name, found the end",
		"a = " + deep:                          "nested 32 deep at most",
		"a = " + strings.Repeat("-", 60) + "1": "nested 32 deep at most",
		"a = " + strings.Repeat("not ", 60) + "b": "nested 32 deep at most",
		"a = 1" + strings.Repeat("+1", 200):       "at most 128 parts",
		"a = '" + strings.Repeat("x", 9000) + "'": "is longer than 8192 bytes",
		strings.Repeat("a=1,", 1):                 "found the end",
		"a = " + strings.Repeat("x", 4) + "\x01":  "is not understood",
	} {
		if _, err := formula.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("c%d=1", i))
	}
	if _, err := formula.Parse(strings.Join(many, ",")); err == nil || !strings.Contains(err.Error(), "at most 32 columns") {
		t.Errorf("33 columns: %v", err)
	}
}

// TestNoAllocation: a program that is warmed up costs no memory for a row.
func TestNoAllocation(t *testing.T) {
	_, from := columns(t)
	list, err := formula.Parse("c = if(n < 0 and s >= 'A', x * 0.92 + n, 1), d = date(ts), e = substr(s, 1, 2) || '!'")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		p, err := f.Compile(from)
		if err != nil {
			t.Fatal(err)
		}
		out, err := schema.NewRows(arrow.NewSchema([]arrow.Field{p.Field}, nil))
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(1000, func() {
			if err := p.Append(0, out.Column(0)); err != nil {
				t.Fatal(err)
			}
			out.Undo()
		})
		if n > 0 {
			t.Errorf("%s: %v allocations a row", f.Name, n)
		}
	}
}

// BenchmarkAppend is the cost of one computed value.
func BenchmarkAppend(b *testing.B) {
	for _, text := range []string{"s", "date(ts)", "x * 0.92", "if(n < 0, substr(s, 1, 2), 'none')"} {
		b.Run(text, func(b *testing.B) {
			_, from := columns(b)
			list, err := formula.Parse("c = " + text)
			if err != nil {
				b.Fatal(err)
			}
			p, err := list[0].Compile(from)
			if err != nil {
				b.Fatal(err)
			}
			out, err := schema.NewRows(arrow.NewSchema([]arrow.Field{p.Field}, nil))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := p.Append(0, out.Column(0)); err != nil {
					b.Fatal(err)
				}
				out.Undo()
			}
		})
	}
}

// FuzzFormula: no text breaks the parser, and no program a row.
func FuzzFormula(f *testing.F) {
	for _, seed := range []string{"n + 1", "coalesce(s, 'x') || cast(n as text)", "if(ok, date(ts), d)", `"a b".city is not null`, "-9223372036854775808 / x % 2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		compute(t, text, 0)
		compute(t, text, 1)
	})
}
