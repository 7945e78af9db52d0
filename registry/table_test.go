package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/schema"
)

func order(fields string) Request {
	return avro(`{"type":"record","name":"Order","fields":[` + fields + `]}`)
}

func column(name, typ string) string { return fmt.Sprintf(`{"name":%q,"type":%s}`, name, typ) }

// TestLevelTable registers what tables can take, whatever readers say to it, and
// nothing else.
func TestLevelTable(t *testing.T) {
	r := open(t, memory.New())
	if err := r.SetSettings(t.Context(), "s", levelOf(Table)); err != nil {
		t.Fatal(err)
	}
	id, text, long := column("id", `"int"`), column("id", `"string"`), column("id", `"long"`)
	note := column("note", `"string"`)
	steps := []struct {
		what    string
		req     Request
		against int    // version that is blamed, 0 if it is taken
		reason  string // in the description
	}{
		{"a first version", order(id), 0, ""},
		{"another type", order(text), 1, "cannot absorb: column id is int, and this version has string there"},
		{"a field without a default", order(id + "," + note), 0, ""},
		{"a wider type", order(long + "," + note), 0, ""},
		{"the field is gone", order(long), 0, ""},
		{"it comes back as something else", order(long + "," + column("note", `"int"`)), 3, "column note is string, and this version has int there"},
		{"it comes back", order(id + "," + note + "," + column("x", `"int"`)), 0, ""},
		{"a name that differs in case", order(id + "," + column("NOTE", `"string"`)), 5, "column NOTE differs from column note only in case"},
		{"no table form", order(column("a", `"int"`) + "," + column("A", `"int"`)), -1, "has no table form"},
		{"no fields", order(""), -1, "has no table form"},
	}
	for _, s := range steps {
		_, err := r.Register(t.Context(), "s", s.req)
		bad, refused := errors.AsType[*Incompatible](err)
		switch {
		case s.against == 0 && err != nil:
			t.Errorf("%s: %v", s.what, err)
		case s.against == 0:
		case !refused || !strings.Contains(bad.Differences[0].Description, s.reason) || bad.OldVersion != max(s.against, 0) || bad.Level != Table:
			t.Errorf("%s: got %v, want %q against version %d", s.what, err, s.reason, s.against)
		case len(bad.Messages()) != map[bool]int{true: 2, false: 4}[s.against < 0]:
			t.Errorf("%s: messages %q", s.what, bad.Messages())
		}
	}
}

// TestLevelTableRemembers: what a deleted version brought, the table still has.
func TestLevelTableRemembers(t *testing.T) {
	r := open(t, memory.New())
	if err := r.SetSettings(t.Context(), "", levelOf(Table)); err != nil {
		t.Fatal(err)
	}
	register(t, r, "s", order(column("id", `"int"`)))
	register(t, r, "s", order(column("id", `"int"`)+","+column("n", `"int"`)))
	register(t, r, "s", order(column("id", `"long"`)))
	if _, err := r.DeleteVersion(t.Context(), "s", 2, false); err != nil {
		t.Fatal(err)
	}
	clash := order(column("id", `"int"`) + "," + column("n", `"string"`))
	if bad, ok := errors.AsType[*Incompatible](r.Compatible("s", clash, 0)); !ok || bad.OldVersion != 2 {
		t.Errorf("a deleted column: %v", bad)
	}
	if err := r.Compatible("s", clash, 1); err != nil {
		t.Errorf("against the first version alone: %v", err)
	}
	if _, err := r.DeleteVersion(t.Context(), "s", 2, true); err != nil {
		t.Fatal(err)
	}
	if err := r.Compatible("s", clash, 0); err != nil {
		t.Errorf("a version that is gone for good: %v", err)
	}
	// Another language with the same columns is fine for tables.
	other := Request{Type: schema.Protobuf, Text: `syntax = "proto3"; message M { int64 id = 1; }`}
	if err := r.Compatible("s", other, 0); err != nil {
		t.Errorf("another language: %v", err)
	}
	other.Text = `syntax = "proto3"; message M { string id = 1; }`
	if err := r.Compatible("s", other, 0); err == nil {
		t.Error("another language with another column is taken")
	}
	// The level of the context holds for a subject's first version, too.
	if _, err := r.Register(t.Context(), "new", order("")); err == nil {
		t.Error("a first version without a table form was taken")
	}
}

// TestPolicyLogical asks readers and tables.
func TestPolicyLogical(t *testing.T) {
	r := open(t, memory.New())
	err := r.SetSettings(t.Context(), "s", func(s *Settings) error {
		s.Level, s.Policy = Backward, Logical
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	register(t, r, "s", order(column("id", `"int"`)+","+column("b", `"string"`)))
	tests := []struct {
		what  string
		req   Request
		types []string
	}{
		{"fits both", order(column("id", `"long"`) + "," + column("b", `"string"`)), nil},
		{"readers only", order(column("id", `"int"`) + "," + column("b", `"bytes"`)), []string{tableRefuses}},
		{"tables only", order(column("id", `"int"`) + "," + column("c", `"string"`)), []string{"READER_FIELD_MISSING_DEFAULT_VALUE"}},
		{"neither", order(column("id", `"boolean"`) + "," + column("b", `"string"`)), []string{"TYPE_MISMATCH", tableRefuses}},
	}
	for _, tt := range tests {
		var got []string
		if bad, ok := errors.AsType[*Incompatible](r.Compatible("s", tt.req, 0)); ok {
			for _, d := range bad.Differences {
				got = append(got, d.Type)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.types) {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.types)
		}
	}
}

// TestLevelTableLanguages: bytes on the wire may stay what they are where columns
// do not.
func TestLevelTableLanguages(t *testing.T) {
	r := open(t, memory.New())
	for subject, texts := range map[string][3]Request{
		"proto": {
			{Type: schema.Protobuf, Text: `syntax = "proto3"; message M { bool a = 1; }`},
			{Type: schema.Protobuf, Text: `syntax = "proto3"; message M { int64 a = 1; }`},
			{Type: schema.Protobuf, Text: `syntax = "proto3"; message M { bool a = 1; string b = 2; }`},
		},
		"json": {
			{Type: schema.JSON, Text: `{"type":"object","properties":{"a":{"type":"integer"}}}`},
			{Type: schema.JSON, Text: `{"type":"object","properties":{"a":{"type":"number"}}}`},
			{Type: schema.JSON, Text: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}`},
		},
	} {
		register(t, r, subject, texts[0])
		if err := r.Compatible(subject, texts[1], 0); err != nil {
			t.Errorf("%s: readers refuse the change: %v", subject, err)
		}
		if err := r.SetSettings(t.Context(), subject, levelOf(Table)); err != nil {
			t.Fatal(err)
		}
		if _, ok := errors.AsType[*Incompatible](r.Compatible(subject, texts[1], 0)); !ok {
			t.Errorf("%s: a change of the column's type is taken", subject)
		}
		if err := r.Compatible(subject, texts[2], 0); err != nil {
			t.Errorf("%s: a column more: %v", subject, err)
		}
	}
}

// TestLevelTableMessages: records may be of any message of a file, not of its first
// alone.
func TestLevelTableMessages(t *testing.T) {
	r := open(t, memory.New())
	if err := r.SetSettings(t.Context(), "s", levelOf(Table)); err != nil {
		t.Fatal(err)
	}
	file := func(messages string) Request {
		return Request{Type: schema.Protobuf, Text: `syntax = "proto3"; package p; message A { string a = 1; } ` + messages}
	}
	register(t, r, "s", file(`message B { int32 n = 1; }`))
	register(t, r, "s", file(`message B { int32 n = 1; string s = 2; } message Odd { int32 x = 1; int32 y = 2; }`))
	for _, tt := range []struct {
		what, messages string
		against        int
		reason         string // "" if it is taken
	}{
		{"another type", `message B { string n = 1; }`, 2, "message p.B: cannot absorb: column n is int"},
		{"the type of a later version's field", `message B { int32 n = 1; int64 s = 2; }`, 2, "message p.B: cannot absorb: column s is string"},
		{"at another place", `message C { string n = 1; } message B { bool n = 1; }`, 2, "column n is int"},
		{"no table form any more", `message Odd { int32 x = 1; int32 X = 2; }`, 2, "message p.Odd of the new schema has no table form"},
		{"wider", `message B { int64 n = 1; string s = 2; }`, 0, ""},
		{"gone, and a new one without a table form", `message Empty {}`, 0, ""},
	} {
		bad, refused := errors.AsType[*Incompatible](r.Compatible("s", file(tt.messages), 0))
		switch {
		case tt.reason == "" && refused:
			t.Errorf("%s: %v", tt.what, bad)
		case tt.reason == "":
		case !refused || !strings.Contains(bad.Differences[0].Description, tt.reason) || bad.OldVersion != tt.against:
			t.Errorf("%s: got %v, want %q against version %d", tt.what, bad, tt.reason, tt.against)
		}
	}
	alone := Request{Type: schema.Protobuf, Text: `syntax = "proto3"; package p; message B { string n = 1; }`}
	if bad, ok := errors.AsType[*Incompatible](r.Compatible("s", alone, 0)); !ok || bad.OldVersion != 2 {
		t.Errorf("the first message is gone and the second has changed: %v", bad)
	}
	// A context's subjects are asked in their context.
	if err := r.SetSettings(t.Context(), ":.lab:", levelOf(Table)); err != nil {
		t.Fatal(err)
	}
	register(t, r, ":.lab:s", file(`message B { string n = 1; }`))
	if err := r.Compatible(":.lab:s", file(`message B { string n = 1; string m = 2; }`), 0); err != nil {
		t.Errorf("in another context: %v", err)
	}
	if err := r.Compatible(":.lab:s", file(`message B { int32 n = 1; }`), 0); err == nil {
		t.Error("the level of a context does not hold for its subjects")
	}
}
