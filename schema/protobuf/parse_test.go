package protobuf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tarn-io/tarn/schema"
)

// TestImports: what Confluent's registry resolves without references does here.
func TestImports(t *testing.T) {
	for _, path := range []string{
		"confluent/meta.proto", "confluent/type/decimal.proto", "confluent/type/variant.proto",
		"google/protobuf/any.proto", "google/protobuf/descriptor.proto", "google/protobuf/duration.proto",
		"google/protobuf/empty.proto", "google/protobuf/field_mask.proto", "google/protobuf/struct.proto",
		"google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto",
		"google/type/calendar_period.proto", "google/type/color.proto", "google/type/date.proto",
		"google/type/datetime.proto", "google/type/dayofweek.proto", "google/type/decimal.proto",
		"google/type/expr.proto", "google/type/fraction.proto", "google/type/interval.proto",
		"google/type/latlng.proto", "google/type/money.proto", "google/type/month.proto",
		"google/type/phone_number.proto", "google/type/postal_address.proto",
		"google/type/quaternion.proto", "google/type/timeofday.proto",
	} {
		s := parse(t, `syntax = "proto3"; import "`+path+`"; message M { int32 a = 1; }`)
		if got := s.File().Imports().Get(0); got.IsPlaceholder() || got.Messages().Len()+got.Enums().Len()+got.Extensions().Len() == 0 {
			t.Errorf("%s resolves to nothing", path)
		}
	}
}

// TestReferences: by path, through one another, as text or descriptor, and
// before the files that need no reference.
func TestReferences(t *testing.T) {
	const a = `syntax = "proto3"; package a; import "dir/b.proto"; message A { b.B b = 1; }`
	const b = `syntax = "proto3"; package b; import public "c.proto"; message B { c.C c = 1; }`
	const c = `syntax = "proto3"; package c; message C { int64 x = 1; }`
	encoded, err := Serialized(parse(t, c))
	if err != nil {
		t.Fatal(err)
	}
	const main = `syntax = "proto3"; import "a.proto"; message M { a.A a = 1; }`
	for _, c := range []string{c, encoded} {
		s := parse(t, main, "c.proto", c, "dir/b.proto", b, "a.proto", a)
		d, err := s.Decoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rowJSON(t, d, bin(1, bin(1, bin(1, varint(1, 7))))); err != nil || got != `{"a":{"b":{"c":{"x":7}}}}` {
			t.Errorf("got %s, %v", got, err)
		}
		text, err := Serialized(s)
		if err != nil {
			t.Fatal(err)
		}
		parse(t, text, "c.proto", c, "dir/b.proto", b, "a.proto", a)
	}
	own := parse(t, `syntax = "proto3"; import "google/type/date.proto"; message M { google.type.Date d = 1; }`,
		"google/type/date.proto", `syntax = "proto3"; package google.type; message Date { string text = 1; }`)
	d, err := own.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rowJSON(t, d, bin(1, text(1, "today"))); err != nil || got != `{"d":{"text":"today"}}` {
		t.Errorf("a Date of one's own: got %s, %v", got, err)
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat("message M {", 70)
	tests := []struct {
		name, text string
		refs       []schema.Named
		want       string
	}{
		{"syntax", "syntax = \"proto3\";\nmessage M {\n  int32 = 1;\n}", nil, "line 3, column 9: syntax error"},
		{"unknown type", "syntax = \"proto3\";\nmessage M { Foo a = 1; }", nil, "line 2, column 13: field M.a: unknown type Foo"},
		{"missing import", "syntax = \"proto3\";\nimport \"x.proto\";", nil, "line 2, column 8: "},
		{"number twice", "syntax = \"proto3\"; message M { int32 a = 1; int32 b = 1; }", nil, "line 1, column"},
		{"in a reference", `syntax = "proto3"; import "x.proto";`, []schema.Named{{Name: "x.proto", Text: "message"}}, `reference "x.proto": line 1, column`},
		{"import cycle", `syntax = "proto3"; import "x.proto";`, []schema.Named{{Name: "x.proto", Text: `import "x.proto";`}}, "cycle"},
		{"no protobuf", `{"type":"record"}`, nil, "line 1, column 1: syntax error"},
		{"nested too deep", "syntax = \"proto3\";\n" + deep, nil, "line 2, column 715: nested deeper than 64 levels"},
		{"reference nested too deep", `syntax = "proto3";`, []schema.Named{{Name: "x", Text: deep}}, `reference "x": line 1, column 715: nested deeper`},
		{"too long", strings.Repeat(" ", schema.MaxTextBytes), []schema.Named{{Name: "x", Text: "\n"}}, "more than 4194304"},
		{"descriptor with missing import", encode(t, &descriptorpb.FileDescriptorProto{Name: proto.String("a"), Dependency: []string{"gone.proto"}}), nil, "gone.proto"},
		{"descriptor with unknown type", encode(t, brokenFile()), nil, "Gone"},
		{"descriptor nested too deep", encode(t, deepFile(70)), nil, "nest deeper than 64"},
		{"reference descriptor nested too deep", `syntax = "proto3";`, []schema.Named{{Name: "x", Text: encode(t, deepFile(70))}}, "nest deeper than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(schema.Source{Text: tt.text, References: tt.refs})
			var refused *schema.ParseError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant %v", err, tt.want)
			}
		})
	}
}

func encode(t *testing.T, fdp *descriptorpb.FileDescriptorProto) string {
	t.Helper()
	b, err := proto.Marshal(fdp)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func brokenFile() *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{Name: proto.String("a"), MessageType: []*descriptorpb.DescriptorProto{{
		Name: proto.String("M"),
		Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("f"), Number: proto.Int32(1), TypeName: proto.String(".Gone"),
			Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}},
	}}}
}

func deepFile(n int) *descriptorpb.FileDescriptorProto {
	m := &descriptorpb.DescriptorProto{Name: proto.String("M")}
	for range n - 1 {
		m = &descriptorpb.DescriptorProto{Name: proto.String("M"), NestedType: []*descriptorpb.DescriptorProto{m}}
	}
	return &descriptorpb.FileDescriptorProto{Name: proto.String("a"), MessageType: []*descriptorpb.DescriptorProto{m}}
}

// TestBracesInText: what only looks like nesting does not count.
func TestBracesInText(t *testing.T) {
	open := strings.Repeat("{", 100)
	parse(t, "syntax = \"proto3\"; // "+open+"\n/* "+open+"\n */ message M { string a = 1 [json_name = \"\\\""+open+"\"]; reserved '"+"b"+"'; }")
	if got := checkBraces(open[:64]); got != nil {
		t.Errorf("64 levels: %v", got)
	}
}

const normalA = `// about this file
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto"; import "google/protobuf/any.proto";
message B { string z = 3; oneof pick { int32 y = 5; int32 x = 1; } Kind k = 2; google.protobuf.Any any = 9; google.protobuf.Timestamp at = 10;
  reserved 8, 7; enum Kind { NONE = 0; TWO = 2; ONE = 1; } }
message A { B b = 1; } /* the end */`

const normalB = `syntax = "proto3"; package shop;
import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto";
message B {
  oneof pick { int32 x = 1; int32 y = 5; }
  shop.B.Kind k = 2; string z = 3; .google.protobuf.Any any = 9; google.protobuf.Timestamp at = 10;
  enum Kind { NONE = 0; ONE = 1; TWO = 2; }
  reserved 7, 8;
}
message A { .shop.B b = 1; }`

func TestNormalized(t *testing.T) {
	a, b := parse(t, normalA), parse(t, normalB)
	if a.Canonical() != normalA {
		t.Error("the canonical text is not the text as registered")
	}
	if a.Normalized() != b.Normalized() {
		t.Errorf("the same schema in two texts:\n%s\n%s", a.Normalized(), b.Normalized())
	}
	again := parse(t, a.Normalized())
	if got := again.Normalized(); got != a.Normalized() {
		t.Errorf("normalized again:\n%s\n%s", got, a.Normalized())
	}
	if got := compare(a.File(), again.File()); len(got) != 0 {
		t.Errorf("normalizing changed the schema: %v", got)
	}
	if other := parse(t, strings.Replace(normalB, "z = 3", "z = 4", 1)); other.Normalized() == a.Normalized() {
		t.Error("another schema has the same normalized text")
	}
}

// TestSerialized goes from text to descriptor and back, in all syntaxes, with
// options and comments.
func TestSerialized(t *testing.T) {
	for _, text := range []string{normalA, orderText, everyText, wireText2, editionText,
		`syntax = "proto2"; package p; message M { optional int32 a = 1 [default = 5, deprecated = true]; extensions 100 to 200; repeated group G = 2 { required string s = 1; } } extend M { optional int32 e = 100; } service S { rpc Do(M) returns (stream M); }`,
	} {
		s := parse(t, text)
		encoded, err := Serialized(s)
		if err != nil {
			t.Fatal(err)
		}
		back := parse(t, encoded)
		if got := compare(s.File(), back.File()); len(got) != 0 {
			t.Errorf("differences after the round trip: %v\n%s", got, back.Canonical())
		}
		if again := parse(t, back.Canonical()); again.Normalized() != s.Normalized() {
			t.Errorf("the printed text says something else:\n%s\n%s", back.Canonical(), again.Normalized())
		}
		if twice, err := Serialized(back); err != nil || twice != encoded {
			t.Errorf("serialized again: %v\n%s\n%s", err, twice, encoded)
		}
	}
}

// TestFloatDefaults: defaults come back from the printed text as they were, and
// tell normalized texts apart.
func TestFloatDefaults(t *testing.T) {
	const form = `syntax = "proto2"; message M { extensions 100 to 200; message N { optional double d = 1 [default = %s, deprecated = true]; } } extend M { optional float f = 100 [default = %[1]s]; }`
	seen := map[string]string{}
	for _, value := range []string{"inf", "-inf", "nan", "1e-9", "2e-9", "0.1", "-0.0", "16777216", "3.4e38"} {
		s := parse(t, fmt.Sprintf(form, value))
		encoded, err := Serialized(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{parse(t, encoded).Canonical(), s.Normalized()} {
			back := parse(t, text)
			if got, err := Serialized(back); err != nil || back.Normalized() != s.Normalized() || text != s.Normalized() && got != encoded {
				t.Errorf("%s: the printed text says something else (%v):\n%s", value, err, text)
			}
		}
		if other, ok := seen[s.Normalized()]; ok {
			t.Errorf("%s and %s are normalized to the same:\n%s", other, value, s.Normalized())
		}
		seen[s.Normalized()] = value
	}
}

func TestMessageIndexes(t *testing.T) {
	s := parse(t, `syntax = "proto3"; package p; message A { int32 a = 1; message B { int32 b = 1; message C { int32 c = 1; } } map<string, int32> m = 2; message D { int32 d = 1; } } message E { int32 e = 1; }`)
	tests := []struct {
		name  string
		index []int
	}{
		{"p.A", []int{0}}, {"A.B", []int{0, 0}}, {".p.A.B.C", []int{0, 0, 0}}, {"A.D", []int{0, 2}}, {"E", []int{1}},
	}
	for _, tt := range tests {
		got, ok := s.Index(tt.name)
		if !ok || !slices.Equal(got, tt.index) {
			t.Errorf("Index(%s): got %v, want %v", tt.name, got, tt.index)
		}
		m, err := s.Message(tt.index)
		if err != nil || !strings.HasSuffix("."+string(m.FullName()), strings.TrimPrefix(tt.name, ".p")) {
			t.Errorf("Message(%v): got %v, %v, want %s", tt.index, m, err, tt.name)
		}
	}
	if _, ok := s.Index("p.Gone"); ok {
		t.Error("a message that does not exist has an index")
	}
	for _, index := range [][]int{{2}, {-1}, {0, 9}, {0, 0, 0, 0}, {1, 0}} {
		if _, err := s.Decoder(index); err == nil {
			t.Errorf("index %v selects a message", index)
		}
	}
	first, err := s.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Decoder([]int{0}); err != nil || again != first {
		t.Errorf("no index and index 0 have different decoders, %v", err)
	}
}

// TestWrittenEntries parses a text as Confluent's Java client registers it, with
// map entries written out, and keeps what it says.
func TestWrittenEntries(t *testing.T) {
	const javaText = `syntax = "proto3";
package p;

import "home.proto";

message A {
  repeated .p.A.MEntry m = 1;
  .p.A.D d = 2;
  repeated .p.A.HEntry h = 3;

  message D {
    int32 x = 1;
  }
  message MEntry {
    option map_entry = true;

    string key = 1;
    int32 value = 2;
  }
  message HEntry {
    option map_entry = true;

    string key = 1;
    .home.Home value = 2;
  }
}
`
	const home = `syntax = "proto3"; package home; message Home { repeated Home.NEntry n = 1; message NEntry { option map_entry = true; int32 key = 1; string value = 2; } }`
	s := parse(t, javaText, "home.proto", home)
	d, err := s.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rowJSON(t, d, join(bin(1, text(1, "k"), varint(2, 5)), bin(3, text(1, "l"), bin(2, bin(1, varint(1, 7), text(2, "z"))))))
	want := `{"d":null,"h":[{"key":"l","value":{"n":[{"key":7,"value":"z"}]}}],"m":[{"key":"k","value":5}]}`
	if err != nil || got != want {
		t.Errorf("\n got %s, %v\nwant %s", got, err, want)
	}
	if s.Canonical() != javaText {
		t.Error("the canonical text is not the text as registered")
	}
	plain := parse(t, `syntax = "proto3"; package p; import "home.proto"; message A { message D { int32 x = 1; } map<string, int32> m = 1; D d = 2; map<string, home.Home> h = 3; }`, "home.proto", home)
	if s.Normalized() != plain.Normalized() {
		t.Errorf("normalized:\n%s\n%s", s.Normalized(), plain.Normalized())
	}
	for _, text := range []string{
		strings.Replace(javaText, "int32 x = 1;", "Gone x = 1;", 1),
		strings.Replace(javaText, "int32 x = 1;", "int32 x = 1; int32 y = 1;", 1),
		strings.Replace(javaText, "int32 x = 1;", "int32 x = ;", 1),
		strings.Replace(javaText, "string key = 1;", "double key = 1;", 1),
	} {
		var refused *schema.ParseError
		if _, err := Parse(schema.Source{Text: text, References: []schema.Named{{Name: "home.proto", Text: home}}}); !errors.As(err, &refused) {
			t.Errorf("accepted, or refused with %v:\n%s", err, text)
		}
	}
}

// TestIndexesSurvivePrinting: map entries and groups count in message indexes,
// so a text printed from a descriptor must keep them in their places.
func TestIndexesSurvivePrinting(t *testing.T) {
	for _, text := range []string{
		`syntax = "proto3"; message A { message B { int32 x = 1; } map<string, int32> m = 2; message C { int32 x = 1; } map<string, int32> a = 1; message D { map<string, B> q = 1; message E { int32 x = 1; } } E e = 3; enum E { Z = 0; } }`,
		`syntax = "proto3"; message A { map<string, int32> m = 9; map<string, int32> a = 1; oneof o { int32 x = 4; int32 y = 2; } message C { int32 x = 1; } }`,
		`syntax = "proto2"; message A { message B { optional int32 x = 1; } optional group G = 2 { optional int32 x = 1; } message C { optional int32 x = 1; } reserved 5; extensions 100 to 200; }`,
	} {
		s := parse(t, text)
		encoded, err := Serialized(s)
		if err != nil {
			t.Fatal(err)
		}
		back := parse(t, encoded)
		if back.Canonical() == encoded {
			t.Errorf("no text gives the same indexes:\n%s", text)
		}
		for _, other := range []*Schema{back, parse(t, back.Canonical()), parse(t, s.Normalized())} {
			if !sameIndexes(s.File().Messages(), other.File().Messages()) {
				t.Errorf("the indexes are others:\n%s\n%s", text, other.Canonical())
			}
		}
	}
	// An index that falls on an entry was counted without entries.
	s := parse(t, `syntax = "proto3"; message A { map<string, int32> m = 2; message C { int32 x = 1; } }`)
	for _, index := range [][]int{{0, 0}, {0, 1}} {
		if m, err := s.Message(index); err != nil || m.Name() != "C" {
			t.Errorf("Message(%v): got %v, %v", index, m, err)
		}
	}
}

// TestPublicWrapper: a file that only passes on another one stands for it.
func TestPublicWrapper(t *testing.T) {
	s := parse(t, `syntax = "proto3"; import public "a.proto";`, "a.proto", `syntax = "proto3"; package p; message A { int32 x = 1; } message B { int32 y = 1; }`)
	if m, err := s.Message([]int{1}); err != nil || m.FullName() != "p.B" {
		t.Errorf("got %v, %v", m, err)
	}
	if index, ok := s.Index("B"); !ok || !slices.Equal(index, []int{1}) {
		t.Errorf("got %v", index)
	}
}

// TestNoTable has schemas that parse but make no table.
func TestNoTable(t *testing.T) {
	wide := func(depth int) string {
		var b strings.Builder
		b.WriteString(`syntax = "proto3"; `)
		for i := range depth {
			name, next := string(rune('A'+i)), string(rune('B'+i))
			b.WriteString("message " + name + " { " + next + " a = 1; " + next + " b = 2; } ")
		}
		b.WriteString("message " + string(rune('A'+depth)) + " { int32 x = 1; }")
		return b.String()
	}
	tests := []struct{ name, text, want string }{
		{"no message", `syntax = "proto3"; enum E { Z = 0; }`, "no such message"},
		{"nothing", ``, "no such message"},
		{"empty message", `syntax = "proto3"; message M {}`, "message M has no fields"},
		{"Empty inside", `syntax = "proto3"; import "google/protobuf/empty.proto"; message M { google.protobuf.Empty e = 1; }`, "google.protobuf.Empty has no fields"},
		{"case", `syntax = "proto3"; message M { int32 aB = 1; int32 ab = 2; }`, "differ only in case"},
		{"too many columns", wide(14), "more than 10000 columns"},
		{"long constant", `syntax = "proto3"; message M { E e = 1; } enum E { Z` + strings.Repeat("z", 2000) + ` = 0; }`, "more than 1024 bytes"},
		{"decimal precision", `syntax = "proto3"; import "confluent/meta.proto"; import "confluent/type/decimal.proto"; message M { confluent.type.Decimal d = 1 [(confluent.field_meta).params = {key: "precision", value: "many"}]; }`, `precision "many"`},
		{"decimal scale", `syntax = "proto3"; import "confluent/meta.proto"; import "confluent/type/decimal.proto"; message M { confluent.type.Decimal d = 1 [(confluent.field_meta) = {params: [{key: "precision", value: "4"}, {key: "scale", value: "5"}]}]; }`, `scale "5"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			if _, err := s.Decoder(nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestDeepColumns: structs within structs end at the depth limit.
func TestDeepColumns(t *testing.T) {
	text := `syntax = "proto3"; `
	for i := range 70 {
		text += strings.NewReplacer("#", name(i), "@", name(i+1)).Replace("message # { @ next = 1; } ")
	}
	text += "message " + name(70) + " { int32 x = 1; }"
	if _, err := parse(t, text).Decoder(nil); err == nil || !strings.Contains(err.Error(), "nested deeper than 64") {
		t.Errorf("got %v", err)
	}
	if _, err := parse(t, text).Decoder([]int{10}); err != nil {
		t.Errorf("61 levels: %v", err)
	}
}

func name(i int) string { return "M" + string(rune('a'+i/26)) + string(rune('a'+i%26)) }
