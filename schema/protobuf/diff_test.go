package protobuf

import (
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// TestDifferences has each difference type at least once. back is what the same
// pair gives the other way round; verdicts are by incompatible alone.
func TestDifferences(t *testing.T) {
	const p3 = `syntax = "proto3"; `
	const p2 = `syntax = "proto2"; `
	m := func(body string) string { return p3 + `message M { ` + body + ` }` }
	tests := []struct {
		name, old, new string
		forth, back    []string
	}{
		{"same", m(`int32 a = 1;`), m(`int32 a = 1;`), nil, nil},
		{"package", p3 + `package a; message M { int32 a = 1; }`, p3 + `package b; message M { int32 a = 1; }`,
			[]string{"PACKAGE_CHANGED #/"}, []string{"PACKAGE_CHANGED #/"}},
		{"message added", p3 + `message M { int32 a = 1; }`, p3 + `message M { int32 a = 1; } message N { int32 b = 1; }`,
			[]string{"MESSAGE_ADDED #/N"}, []string{"MESSAGE_REMOVED #/N"}},
		{"message moved", p3 + `message M { int32 a = 1; } message N { int32 b = 1; }`, p3 + `message N { int32 b = 1; } message M { int32 a = 1; }`,
			[]string{"MESSAGE_MOVED #/M", "MESSAGE_MOVED #/N"}, []string{"MESSAGE_MOVED #/N", "MESSAGE_MOVED #/M"}},
		{"nested message", m(`int32 a = 1; message I { int32 b = 1; }`), m(`int32 a = 1;`),
			[]string{"MESSAGE_REMOVED #/M/I"}, []string{"MESSAGE_ADDED #/M/I"}},
		{"map entry is no message", m(`int32 a = 1;`), m(`int32 a = 1; map<string, int32> b = 2; message N { int32 c = 1; }`),
			[]string{"FIELD_ADDED #/M/2", "MESSAGE_ADDED #/M/N"}, []string{"FIELD_REMOVED #/M/2", "MESSAGE_REMOVED #/M/N"}},
		{"enum", m(`int32 a = 1;`), m(`int32 a = 1;`) + ` enum E { Z = 0; }`,
			[]string{"ENUM_ADDED #/E"}, []string{"ENUM_REMOVED #/E"}},
		{"enum constant", m(`enum E { Z = 0; A = 1; B = 2; }`), m(`enum E { Z = 0; C = 1; D = 3; }`),
			[]string{"ENUM_CONST_CHANGED #/M/E/1", "ENUM_CONST_REMOVED #/M/E/2", "ENUM_CONST_ADDED #/M/E/3"},
			[]string{"ENUM_CONST_CHANGED #/M/E/1", "ENUM_CONST_ADDED #/M/E/2", "ENUM_CONST_REMOVED #/M/E/3"}},
		{"field", m(`int32 a = 1;`), m(`int32 a = 1; string b = 2;`), []string{"FIELD_ADDED #/M/2"}, []string{"FIELD_REMOVED #/M/2"}},
		{"field name", m(`int32 a = 1;`), m(`int32 b = 1;`), []string{"FIELD_NAME_CHANGED #/M/1"}, []string{"FIELD_NAME_CHANGED #/M/1"}},
		{"kind", m(`int32 a = 1;`), m(`map<string, int32> a = 1;`), []string{"FIELD_KIND_CHANGED #/M/1"}, []string{"FIELD_KIND_CHANGED #/M/1"}},
		{"message to scalar", m(`M a = 1;`), m(`int32 a = 1;`), []string{"FIELD_KIND_CHANGED #/M/1"}, []string{"FIELD_KIND_CHANGED #/M/1"}},
		{"group to message", p2 + `message M { optional group G = 1 { optional int32 x = 1; } }`, p2 + `message M { optional G g = 1; message G { optional int32 x = 1; } }`,
			[]string{"FIELD_KIND_CHANGED #/M/1"}, []string{"FIELD_KIND_CHANGED #/M/1"}},
		{"scalar kind", m(`int32 a = 1;`), m(`sint32 a = 1;`), []string{"FIELD_SCALAR_KIND_CHANGED #/M/1"}, []string{"FIELD_SCALAR_KIND_CHANGED #/M/1"}},
		{"same group", m(`int32 a = 1; E b = 2; string c = 3; fixed32 d = 4; sint32 e = 5; fixed64 f = 6; enum E { Z = 0; }`), m(`bool a = 1; uint64 b = 2; bytes c = 3; sfixed32 d = 4; sint64 e = 5; sfixed64 f = 6; enum E { Z = 0; }`), nil, nil},
		{"map value", m(`map<string, int32> a = 1;`), m(`map<string, string> a = 1;`), []string{"FIELD_SCALAR_KIND_CHANGED #/M/1"}, []string{"FIELD_SCALAR_KIND_CHANGED #/M/1"}},
		{"named type", p3 + `message M { A a = 1; } message A { int32 x = 1; } message B { int32 x = 1; }`, p3 + `message M { B a = 1; } message A { int32 x = 1; } message B { int32 x = 1; }`,
			[]string{"FIELD_NAMED_TYPE_CHANGED #/M/1"}, []string{"FIELD_NAMED_TYPE_CHANGED #/M/1"}},
		{"numeric label", m(`optional int32 a = 1;`), m(`repeated int32 a = 1;`), []string{"FIELD_NUMERIC_LABEL_CHANGED #/M/1"}, []string{"FIELD_NUMERIC_LABEL_CHANGED #/M/1"}},
		{"label not written", m(`int32 a = 1;`), m(`repeated int32 a = 1;`), nil, nil},
		{"label of a message", m(`optional M a = 1;`), m(`repeated M a = 1;`), nil, nil},
		{"text label", m(`optional string a = 1;`), m(`repeated string a = 1;`), []string{"FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"}, []string{"FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"}},
		{"required", p2 + `message M { optional int32 a = 1; }`, p2 + `message M { optional int32 a = 1; required int32 b = 2; }`,
			[]string{"REQUIRED_FIELD_ADDED #/M/2"}, []string{"REQUIRED_FIELD_REMOVED #/M/2"}},
		{"oneof", m(`int32 a = 1;`), m(`int32 a = 1; oneof o { int32 b = 2; int32 c = 3; }`),
			[]string{"ONEOF_ADDED #/M/o", "ONEOF_FIELD_ADDED #/M/o/2", "ONEOF_FIELD_ADDED #/M/o/3"}, []string{"ONEOF_REMOVED #/M/o"}},
		{"oneof member", m(`oneof o { int32 b = 2; int32 c = 3; }`), m(`oneof o { int32 b = 2; }`),
			[]string{"ONEOF_FIELD_REMOVED #/M/o/3"}, []string{"ONEOF_FIELD_ADDED #/M/o/3"}},
		{"out of a oneof", m(`oneof o { int32 b = 2; int32 c = 3; }`), m(`oneof o { int32 b = 2; } string c = 3;`),
			[]string{"ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/3", "FIELD_SCALAR_KIND_CHANGED #/M/3"}, []string{"FIELD_MOVED_TO_EXISTING_ONEOF #/M/o", "FIELD_SCALAR_KIND_CHANGED #/M/o/3"}},
		{"several into a oneof", m(`int32 b = 2; int32 c = 3;`), m(`oneof o { int32 b = 2; int32 c = 3; }`),
			[]string{"MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o", "ONEOF_ADDED #/M/o"}, []string{"ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/2", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/3"}},
		{"one into a new oneof", m(`int32 b = 2;`), m(`oneof o { int32 b = 2; int32 c = 3; }`),
			[]string{"ONEOF_ADDED #/M/o", "ONEOF_FIELD_ADDED #/M/o/3"}, []string{"ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/2", "ONEOF_FIELD_REMOVED #/M/o/3"}},
		{"oneofs merged", m(`oneof a { int32 b = 2; } oneof c { int32 d = 3; }`), m(`oneof e { int32 b = 2; int32 d = 3; }`),
			[]string{"FIELD_MOVED_TO_EXISTING_ONEOF #/M/e", "ONEOF_REMOVED #/M/a", "ONEOF_REMOVED #/M/c", "ONEOF_ADDED #/M/e"},
			[]string{"ONEOF_ADDED #/M/a", "ONEOF_ADDED #/M/c", "ONEOF_REMOVED #/M/e"}},
		{"proto3 optional is no oneof", m(`int32 a = 1;`), m(`optional int32 a = 1;`), nil, nil},
	}
	seen := make(map[string]bool)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old, new := parse(t, tt.old), parse(t, tt.new)
			checkDifferences(t, seen, old, new, tt.forth)
			checkDifferences(t, seen, new, old, tt.back)
		})
	}
	for _, kind := range allKinds() {
		if !seen[kind] {
			t.Errorf("no pair shows %s", kind)
		}
	}
}

func allKinds() []string {
	return []string{
		packageChanged, messageAdded, messageRemoved, messageMoved, enumAdded, enumRemoved,
		enumConstAdded, enumConstChanged, enumConstRemoved, fieldAdded, fieldRemoved,
		fieldNameChanged, fieldKindChanged, fieldScalarKindChanged, fieldNamedTypeChanged,
		numericLabelChanged, textLabelChanged, requiredFieldAdded, requiredFieldRemoved,
		oneofAdded, oneofRemoved, oneofFieldAdded, oneofFieldRemoved, oneofFieldToTop,
		fieldsMovedToOneof, fieldMovedToOneof,
	}
}

// compatible are the types that Confluent's registry lets pass.
func compatible(kind string) bool {
	return slices.Contains([]string{
		messageAdded, messageMoved, enumAdded, enumRemoved, enumConstAdded, enumConstChanged,
		enumConstRemoved, fieldAdded, fieldRemoved, fieldNameChanged, textLabelChanged,
		oneofAdded, oneofRemoved, oneofFieldAdded, oneofFieldToTop,
	}, kind)
}

func checkDifferences(t *testing.T, seen map[string]bool, old, new *Schema, want []string) {
	t.Helper()
	var got, refused []string
	for _, d := range compare(old.file, new.file) {
		seen[d.kind] = true
		got = append(got, d.kind+" "+d.path)
		if !compatible(d.kind) {
			refused = append(refused, d.kind+" "+d.path)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	var listed []string
	for _, i := range new.Reads(old) {
		listed = append(listed, i.Type+" "+i.Path)
		text := i.Describe("NEW", "OLD")
		if !strings.Contains(text, "'"+i.Path+"'") || !strings.HasPrefix(text, "the NEW schema ") || !strings.Contains(text, "the OLD schema") || strings.Contains(text, "%s") {
			t.Errorf("%s: description %q", i.Type, text)
		}
	}
	if !slices.Equal(listed, refused) {
		t.Errorf("Reads lists %q, want %q", listed, refused)
	}
}

// TestDescriptions: the reader first, then the writer, and what each has.
func TestDescriptions(t *testing.T) {
	const p3 = `syntax = "proto3"; `
	for _, c := range []struct{ old, new, want string }{
		{`package a; message M { }`, `message M { }`, `the R schema is in another package than the W schema, at '#/': none against a`},
		{`message M { } message N { }`, `message M { }`, `the R schema lacks a message that the W schema defines, at '#/N'`},
		{`message M { int32 a = 1; }`, `message M { map<string, int32> a = 1; }`, `the R schema takes another kind of value in a field than the W schema, at '#/M/1': map against scalar`},
		{`message M { int32 a = 1; }`, `message M { sint32 a = 1; }`, `the R schema reads other bytes in a scalar field than the W schema writes, at '#/M/1': sint32 against int32`},
		{`message M { A a = 1; } message A { } message B { }`, `message M { B a = 1; } message A { } message B { }`, `the R schema has a message in a field that cannot read the one in the W schema, at '#/M/1': B against A`},
		{`message M { optional int32 a = 1; }`, `message M { repeated int32 a = 1; }`, `the R schema labels a field of numbers otherwise than the W schema, at '#/M/1': repeated against optional`},
		{`message M { int32 a = 1; int32 b = 2; }`, `message M { oneof o { int32 a = 1; int32 b = 2; } }`, `the R schema puts fields into one oneof that stand alone in the W schema, at '#/M/o'`},
	} {
		list := parse(t, p3+c.new).Reads(parse(t, p3+c.old))
		if len(list) != 1 {
			t.Fatalf("%s: got %v", c.new, list)
		}
		if got := list[0].Describe("R", "W"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestDifferencesInImports: imported types are compared by what is in them.
func TestDifferencesInImports(t *testing.T) {
	const main = `syntax = "proto3"; import "home.proto"; message M { home.Out.Home a = 1; repeated home.Out.Home b = 2; home.Tree t = 3; }`
	home := func(device string) string {
		return `syntax = "proto3"; package home; message Out { message Home { ` + device + ` device = 1; } } message Tree { Tree left = 1; Out.Home home = 2; }`
	}
	old, new := parse(t, main, "home.proto", home("int32")), parse(t, main, "home.proto", home("string"))
	want := []string{
		"FIELD_SCALAR_KIND_CHANGED #/Out/Home/1", "FIELD_NAMED_TYPE_CHANGED #/M/1", "FIELD_NAMED_TYPE_CHANGED #/M/2",
		"FIELD_NAMED_TYPE_CHANGED #/Tree/2", "FIELD_NAMED_TYPE_CHANGED #/M/3",
	}
	checkDifferences(t, make(map[string]bool), old, new, want)
	checkDifferences(t, make(map[string]bool), new, old, want)
	checkDifferences(t, make(map[string]bool), old, parse(t, main, "home.proto", home("int64")), nil)

	// The same name in another package counts as the same type.
	moved := parse(t, strings.ReplaceAll(main, "home.", "house."), "house.proto", strings.ReplaceAll(home("int32"), "package home", "package house"))
	checkDifferences(t, make(map[string]bool), old, moved, nil)

	// A type that moves into an import is missing from the file.
	local := parse(t, `syntax = "proto3"; message M { Home a = 1; } message Home { int32 x = 1; }`)
	out := parse(t, `syntax = "proto3"; import "h.proto"; message M { Home a = 1; }`, "h.proto", `syntax = "proto3"; message Home { int32 x = 1; }`)
	checkDifferences(t, make(map[string]bool), local, out, []string{"MESSAGE_REMOVED #/Home"})
	checkDifferences(t, make(map[string]bool), out, local, []string{"MESSAGE_ADDED #/Home"})
}

// other is a schema of another language.
type other struct{ schema.Schema }

func (other) Type() schema.Type { return schema.Avro }

func TestReadsOtherLanguage(t *testing.T) {
	got := parse(t, `syntax = "proto3"; message M { int32 a = 1; }`).Reads(other{})
	if len(got) != 1 || got[0].Description != "Incompatible because of different schema type" {
		t.Errorf("got %+v", got)
	}
	if _, err := Serialized(other{}); err == nil {
		t.Error("a schema of another language was serialized")
	}
}

// TestChangeTable holds the comparison to the table of cases, and that to all types
// of differences.
func TestChangeTable(t *testing.T) {
	seen := make(map[string]bool)
	schematest.RunChanges(t, schema.Protobuf, Parse, func(old, new schema.Schema) []string {
		var all []string
		for _, d := range compare(old.(*Schema).file, new.(*Schema).file) {
			mark := "!"
			if compatible(d.kind) {
				mark = ""
			}
			seen[d.kind] = true
			all = append(all, mark+d.kind+" "+d.path)
		}
		return all
	})
	for _, kind := range allKinds() {
		if !seen[kind] {
			t.Errorf("no case shows %s", kind)
		}
	}
}
