package tarntest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxShown bounds the rows that a failed check prints: more of them hide what is
// looked for.
const maxShown = 20

// Has fails the test unless the table holds these rows, after everything that the log
// holds has been committed to it. A row is named by as many columns as matter; each
// one that is wanted must be another row of the table, which may hold more.
//
// Values are Go's: any kind of number stands for its value, a bool for a boolean, and
// for 0 or 1 of what is computed, nil for null, a time.Time for a timestamp, in UTC;
// what is nested is a map, slice or struct that means the same JSON. What fails says
// which rows the table has, and why records are not among them: dead letters with their
// reasons, and rejections.
//
//	x.Table(t, "orders").Has(tarntest.Row{"customer": "ada", "amount": 42})
func (b *Table) Has(want ...Row) {
	b.t.Helper()
	b.check(want, false)
}

// Is fails the test unless the table holds these rows, in any order, and no other;
// otherwise it is like Has. No row at all is an empty table.
func (b *Table) Is(want ...Row) {
	b.t.Helper()
	b.check(want, true)
}

// DeadLetters are the rows of the table of records that could not become rows of
// this one, with the reason of each, after everything that the log holds has been
// committed.
func (b *Table) DeadLetters() []Row {
	b.t.Helper()
	b.flush()
	return b.letters()
}

// letters are DeadLetters as of now.
func (b *Table) letters() []Row {
	b.t.Helper()
	return b.x.SQL(b.t, `select * from lake.`+strconv.Quote(b.topic+"__dead_letters")+` order by kafka_partition, kafka_offset`)
}

func (b *Table) check(want []Row, only bool) {
	b.t.Helper()
	got := b.Rows()
	missing, more := match(want, got)
	if len(missing) == 0 && (!only || len(more) == 0) {
		return
	}
	var out strings.Builder
	list := func(title string, rows []Row, columns []string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(&out, "\n%s:", title)
		for i, r := range rows {
			if i == maxShown {
				fmt.Fprintf(&out, "\n  and %d more", len(rows)-i)
				break
			}
			out.WriteString("\n  " + r.text(columns))
		}
	}
	list("not there", missing, nil)
	shown := append(named(want), "kafka_partition", "kafka_offset")
	if only {
		list("not wanted", more, nil)
	}
	list("the table has", got, shown)
	list("dead letters", b.letters(), []string{"reason", "path", "kafka_partition", "kafka_offset"})
	for _, r := range b.x.Rejections(b.topic) {
		fmt.Fprintf(&out, "\nrejected: %+v", r)
	}
	b.t.Errorf("table of topic %s: %d rows, %d of the %d wanted are not among them%s", b.topic, len(got), len(missing), len(want), out.String())
}

// match gives each wanted row one that is there; what is left over of both comes
// back. Rows that name more go first, so that one that names little does not take
// what another needs; of rows that name as much the first that fits is taken.
func match(want, got []Row) (missing, more []Row) {
	want, more = slices.Clone(want), slices.Clone(got)
	slices.SortStableFunc(want, func(a, b Row) int { return len(b) - len(a) })
	for _, w := range want {
		if i := slices.IndexFunc(more, w.fits); i >= 0 {
			more = slices.Delete(more, i, i+1)
		} else {
			missing = append(missing, w)
		}
	}
	return missing, more
}

// fits reports whether a row of a table has what r names.
func (r Row) fits(got Row) bool {
	for column, want := range r {
		have, ok := got[column]
		if !ok || !same(want, have) {
			return false
		}
	}
	return true
}

// same holds a value as a test writes it against one as SQL has it.
func same(want, have any) bool {
	if t, ok := want.(time.Time); ok {
		text, _ := have.(string)
		at, err := time.Parse("2006-01-02 15:04:05", text) // which takes a fraction too
		return err == nil && at.Equal(t)
	}
	if b, ok := want.([]byte); ok {
		v, ok := have.([]byte)
		return ok && bytes.Equal(b, v)
	}
	v := reflect.ValueOf(want)
	switch v.Kind() {
	case reflect.Invalid:
		return have == nil
	case reflect.Bool:
		return have == v.Bool() || have == int64(0) && !v.Bool() || have == int64(1) && v.Bool()
	case reflect.String:
		return have == v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return sameNumber(float64(v.Int()), v.Int(), true, have)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return sameNumber(float64(v.Uint()), int64(v.Uint()), v.Uint() <= math.MaxInt64, have)
	case reflect.Float32, reflect.Float64:
		return sameNumber(v.Float(), 0, false, have)
	}
	return sameJSON(want, have)
}

// sameNumber compares integers as such where both are, since floats lose digits.
func sameNumber(f float64, i int64, whole bool, have any) bool {
	switch h := have.(type) {
	case int64:
		return whole && h == i || !whole && float64(h) == f
	case float64:
		return h == f
	}
	return false
}

// sameJSON holds what is nested against the JSON text of its column.
func sameJSON(want, have any) bool {
	text, ok := have.(string)
	if !ok {
		return false
	}
	said, err := json.Marshal(want)
	if err != nil {
		return false
	}
	a, errA := decoded(said)
	b, errB := decoded([]byte(text))
	return errA == nil && errB == nil && alike(a, b)
}

// alike compares decoded JSON. A member that is null may be left out, as it is in
// columns; 1 and 1.0 are the same number.
func alike(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return false
		}
		for key := range y {
			if _, known := x[key]; !known && y[key] != nil {
				return false
			}
		}
		for key, v := range x {
			if !alike(v, y[key]) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, alike)
	case json.Number:
		y, ok := b.(json.Number)
		if !ok || x == y {
			return ok
		}
		f, errX := x.Float64()
		g, errY := y.Float64()
		return errX == nil && errY == nil && f == g && strings.ContainsAny(x.String()+y.String(), ".eE")
	}
	return a == b
}

func decoded(text []byte) (out any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // of 64 bits
	return out, d.Decode(&out)
}

// named are all columns that rows name, in order.
func named(rows []Row) []string {
	all := map[string]bool{}
	for _, r := range rows {
		for c := range r {
			all[c] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// text is a row in a line; no columns are all that it has.
func (r Row) text(columns []string) string {
	if columns == nil {
		columns = slices.Sorted(maps.Keys(r))
	}
	var parts []string
	for _, c := range columns {
		v, ok := r[c]
		if !ok {
			parts = append(parts, c+" (no such column)")
			continue
		}
		switch v := v.(type) {
		case string:
			parts = append(parts, fmt.Sprintf("%s=%q", c, v))
		case []byte:
			parts = append(parts, fmt.Sprintf("%s=%x", c, v))
		default:
			parts = append(parts, fmt.Sprintf("%s=%v", c, v))
		}
	}
	return strings.Join(parts, " ")
}
