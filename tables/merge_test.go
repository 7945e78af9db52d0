package tables_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
)

func merge(t *testing.T, s *tables.Schema, fields ...arrow.Field) (*tables.Schema, string) {
	t.Helper()
	next, changes, err := s.Merge(arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s %d in %d: %s\n", c.Kind, c.Path, c.FieldID, c.ParentID, c.Field.Type)
		if id, _ := tables.FieldID(c.Field); id != c.FieldID {
			t.Errorf("change %s: its field has id %d, not %d", c.Path, id, c.FieldID)
		}
	}
	return next, b.String()
}

func TestMergeUnchanged(t *testing.T) {
	s := newSchema(t, required("a", i64), field("s", arrow.StructOf(field("x", f64))))
	// Another order, and types that are narrower than the table's.
	next, changes := merge(t, s, field("s", arrow.StructOf(field("x", f32))), required("a", i32))
	if next != s || changes != "" {
		t.Errorf("got a new schema with %q, want the same", changes)
	}
}

func TestMerge(t *testing.T) {
	dec := func(p, s int32) arrow.DataType { return &arrow.Decimal128Type{Precision: p, Scale: s} }
	s := newSchema(t,
		required("a", i32), required("gone", text), field("d", dec(10, 2)),
		field("s", arrow.StructOf(required("x", f32))),
		field("l", arrow.ListOfField(required("element", arrow.StructOf(field("e", i32))))),
		field("m", arrow.MapOfFields(required("key", text), field("value", arrow.StructOf(field("v", i32))))))
	wantIDs(t, s, "a=1 gone=2 d=3 s=4 s.x=7 l=5 l.element=8 l.element.e=9 m=6 m.key=10 m.value=11 m.value.v=12")
	next, changes := merge(t, s,
		field("new", arrow.StructOf(required("in", i32))),
		field("a", i64), field("d", dec(12, 2)),
		field("s", arrow.StructOf(required("x", f64), required("y", text))),
		field("l", arrow.ListOf(arrow.StructOf(field("e", i64), field("f", text)))),
		field("m", arrow.MapOf(text, arrow.StructOf(field("v", i32), field("w", i32)))))
	want := `optional a 1 in 0: int64
widened a 1 in 0: int64
optional gone 2 in 0: utf8
widened d 3 in 0: decimal(12, 2)
widened s.x 7 in 4: float64
added s.y 13 in 4: utf8
optional l.element 8 in 5: struct<e: int64, f: utf8>
widened l.element.e 9 in 8: int64
added l.element.f 14 in 8: utf8
added m.value.w 15 in 11: int32
added new 16 in 0: struct<in: int32>
`
	strip := func(s string) string { // Arrow prints metadata and nullability
		var lines []string
		for line := range strings.Lines(s) {
			if i := strings.Index(line, ": struct<"); i > 0 {
				line = line[:i] + "\n"
			}
			lines = append(lines, line)
		}
		return strings.Join(lines, "")
	}
	if strip(changes) != strip(want) {
		t.Errorf("changes:\n%s\nwant:\n%s", strip(changes), strip(want))
	}
	wantIDs(t, next, "a=1 gone=2 d=3 s=4 s.x=7 s.y=13 l=5 l.element=8 l.element.e=9 l.element.f=14 m=6 m.key=10 m.value=11 m.value.v=12 m.value.w=15 new=16 new.in=17")
	if next.ID != 1 || next.LastID != 17 || s.LastID != 12 {
		t.Errorf("got id %d, last id %d (before: %d), want 1, 17 (12)", next.ID, next.LastID, s.LastID)
	}
	for _, f := range next.Arrow.Fields() {
		if !f.Nullable {
			t.Errorf("%s is still required", f.Name)
		}
	}
	if y, _ := next.Arrow.Field(3).Type.(*arrow.StructType).FieldByName("y"); !y.Nullable {
		t.Errorf("a new nested field is required")
	}
	// The old schema's rows fit the new one too.
	back, changes := merge(t, next, s.Arrow.Fields()...)
	if back != next || changes != "" {
		t.Errorf("merging the old schema: got %q, want no change", changes)
	}
}

// An id is never given twice, even if the field that had it is gone.
func TestMergeKeepsLastID(t *testing.T) {
	s := newSchema(t, field("a", i32))
	s.LastID = 41
	next, _ := merge(t, s, field("a", i32), field("b", i32))
	wantIDs(t, next, "a=1 b=42")
	if next.LastID != 42 {
		t.Errorf("last id: got %d, want 42", next.LastID)
	}
}

func TestMergeConflicts(t *testing.T) {
	s := newSchema(t, field("a", i32), field("b", text),
		field("d", &arrow.Decimal128Type{Precision: 10, Scale: 2}),
		field("s", arrow.StructOf(field("x", i32))), field("m", arrow.MapOf(i32, i32)),
		field("at", arrow.FixedWidthTypes.Timestamp_us), field("ok", i32))
	_, _, err := s.Merge(arrow.NewSchema([]arrow.Field{
		field("a", text), field("b", arrow.StructOf(field("x", i32))),
		field("d", &arrow.Decimal128Type{Precision: 12, Scale: 3}),
		field("s", arrow.StructOf(field("x", f64))), field("m", arrow.MapOf(i64, i32)),
		field("at", arrow.FixedWidthTypes.Timestamp_ns),
	}, nil))
	var conflict *tables.MergeConflict
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want *MergeConflict", err)
	}
	var got []string
	for _, c := range conflict.Conflicts {
		got = append(got, c.Path)
	}
	if want := "a b d s.x m.key at"; strings.Join(got, " ") != want {
		t.Errorf("conflicts: got %v, want %s", got, want)
	}
	if text := err.Error(); !strings.Contains(text, "a is int32, not utf8") {
		t.Errorf("text: got %q", text)
	}
	_, _, err = s.Merge(arrow.NewSchema([]arrow.Field{field("OK", i32)}, nil))
	if !errors.As(err, &conflict) || conflict.Conflicts[0].Path != "OK" {
		t.Errorf("name that differs in case: got %v, want a conflict", err)
	}
	if _, _, err := s.Merge(arrow.NewSchema([]arrow.Field{field("u", arrow.PrimitiveTypes.Uint8)}, nil)); !errors.Is(err, tables.ErrSchema) {
		t.Errorf("type outside the mapping: got %v, want ErrSchema", err)
	}
}

func TestExtends(t *testing.T) {
	old := newSchema(t, field("a", i32), required("r", text), field("s", arrow.StructOf(field("x", i32))))
	next, _ := merge(t, old, field("a", i64), required("r", text), field("s", arrow.StructOf(field("x", i32), field("y", i32))), field("b", text))
	if err := next.Extends(old); err != nil {
		t.Errorf("merged schema: %v", err)
	}
	with := func(id, last int, fields ...arrow.Field) *tables.Schema {
		s, err := tables.KeepIDs(id, arrow.NewSchema(fields, nil))
		if err != nil {
			t.Fatal(err)
		}
		s.LastID = last
		return s
	}
	f := old.Arrow.Fields()
	// An id up to the last one given may have been a dropped column's.
	wide := with(0, 20, f...)
	if err := with(1, 20, append(f[:3:3], tables.WithFieldID(field("new", i32), 15))...).Extends(wide); !errors.Is(err, tables.ErrSchema) {
		t.Errorf("id used before: got %v, want ErrSchema", err)
	}
	for name, s := range map[string]*tables.Schema{
		"itself":       old,
		"older":        with(1, 3, f[0], f[1]),
		"dropped":      with(1, 9, f[0], f[1]),
		"narrowed":     with(1, 9, tables.WithFieldID(field("a", f32), 1), f[1], f[2]),
		"required":     with(1, 9, tables.WithFieldID(required("a", i32), 1), f[1], f[2]),
		"new required": with(1, 9, f[0], f[1], f[2], tables.WithFieldID(required("new", i32), 9)),
		"ids swapped":  with(1, 9, tables.WithFieldID(f[0], 2), tables.WithFieldID(f[1], 1), f[2]),
	} {
		if err := s.Extends(old); !errors.Is(err, tables.ErrSchema) {
			t.Errorf("%s: got %v, want ErrSchema", name, err)
		}
	}
}
