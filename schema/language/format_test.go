package language

import (
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

const (
	taggedAvro  = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"who","type":["null",{"type":"record","name":"User","fields":[{"name":"mail","type":"string","confluent:tags":["PII"]}]}]},{"name":"note","type":"string"}]}`
	taggedJSON  = `{"type":"object","properties":{"note":{"type":"string"},"list":{"type":"array","items":{"type":"object","properties":{"mail":{"type":"string","confluent:tags":["PII"]}}}}}}`
	taggedProto = "syntax = \"proto3\";\n\npackage shop;\n\nimport \"confluent/meta.proto\";\n\nmessage Order {\n  string note = 1;\n\n  User who = 2;\n\n  message User {\n    string mail = 1 [(confluent.field_meta) = { tags: [ \"PII\" ] }];\n  }\n}\n"
)

// TestRetag adds and takes tags in each language: what Tags lists follows, and a
// path that is not there is refused.
func TestRetag(t *testing.T) {
	for _, c := range []struct {
		kind                     schema.Type
		text, record, note, mail string
	}{
		{schema.Avro, taggedAvro, "shop.Order", "shop.Order.note", "shop.User.mail"},
		{schema.JSON, taggedJSON, "object", "object.note", "object.list.array.object.mail"},
		{schema.Protobuf, taggedProto, "Order", "Order.note", "Order.User.mail"},
	} {
		src := schema.Source{Type: c.kind, Text: c.text}
		show := func(text string) string {
			t.Helper()
			s, err := Parse(schema.Source{Type: c.kind, Text: text})
			if err != nil {
				t.Fatalf("%s: %v\n%s", c.kind, err, text)
			}
			return fmt.Sprint(Tags(s))
		}
		if got, want := show(c.text), fmt.Sprintf("[{%s false [PII]}]", c.mail); got != want {
			t.Errorf("%s: got %s, want %s", c.kind, got, want)
		}
		text, err := Retag(src,
			[]schema.Tagged{{Path: c.record, Record: true, Tags: []string{"A", "B"}}, {Path: "." + c.note, Tags: []string{"N"}}},
			[]schema.Tagged{{Path: c.mail, Tags: []string{"PII"}}, {Path: c.record, Record: true, Tags: []string{"A"}}})
		if err != nil {
			t.Fatalf("%s: %v", c.kind, err)
		}
		if got, want := show(text), fmt.Sprintf("[{%s true [B]} {%s false [N]}]", c.record, c.note); got != want {
			t.Errorf("%s: got %s, want %s\n%s", c.kind, got, want, text)
		}
		src.Text = text
		back, err := Retag(src, []schema.Tagged{{Path: c.mail, Tags: []string{"PII"}}},
			[]schema.Tagged{{Path: c.record, Record: true, Tags: []string{"B"}}, {Path: c.note, Tags: []string{"N"}}})
		if err != nil || back != c.text {
			t.Errorf("%s: there and back: %v\ngot  %s\nwant %s", c.kind, err, back, c.text)
		}
		for _, path := range []string{"nothing", c.record + ".nothing", "x." + c.note} {
			if text, err := Retag(src, []schema.Tagged{{Path: path, Tags: []string{"T"}}}, nil); err == nil {
				t.Errorf("%s: %s was tagged: %s", c.kind, path, text)
			}
		}
	}
}

// TestFormat gives each language's formats of a text with references.
func TestFormat(t *testing.T) {
	tests := []struct {
		kind            schema.Type
		name, ref, text string
		format, want    string
	}{
		{schema.Avro, "shop.User", `{"type":"record","name":"User","namespace":"shop","fields":[]}`,
			`{"type":"array","items":"shop.User"}`, "resolved",
			`{"type":"array","items":{"type":"record","name":"User","namespace":"shop","fields":[]}}`},
		{schema.JSON, "user.json", `{"type":"object","properties":{"a":{}}}`,
			`{"type": "array", "items": {"$ref": "user.json"}}`, "resolved",
			`{"type":"array","items":{"$ref":"user.json"},"definitions":{"user.json":{"type":"object","properties":{"a":{}},"$id":"user.json"}}}`},
		{schema.JSON, "user.json", `{"type":"object"}`,
			`{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"x":{}},"$ref":"user.json"}`, "resolved",
			`{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"x":{},"user.json":{"type":"object","$id":"user.json"}},"$ref":"user.json"}`},
		{schema.Protobuf, "opt.proto", "syntax = \"proto3\"; package o; import \"google/protobuf/descriptor.proto\"; extend google.protobuf.FieldOptions { string mark = 50001; }",
			"syntax = \"proto2\";\nimport \"opt.proto\";\nmessage M {\n  optional int32 a = 1 [(o.mark) = \"x\", deprecated = true];\n  extensions 100 to 200;\n}\nextend M { optional int32 e = 100; }\n", "ignore_extensions",
			"syntax = \"proto2\";\n\nimport \"opt.proto\";\n\nmessage M {\n  optional int32 a = 1 [deprecated = true];\n}\n"},
	}
	for _, tt := range tests {
		src := schema.Source{Type: tt.kind, Text: tt.text, References: []schema.Named{{Name: tt.name, Text: tt.ref}}}
		s, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := Format(s, tt.format)
		if err != nil || !ok || got != tt.want {
			t.Errorf("%s %s: %v, %v\ngot  %s\nwant %s", tt.kind, tt.format, ok, err, got, tt.want)
			continue
		}
		// What is resolved stands alone, and says the same.
		alone, err := Parse(schema.Source{Type: tt.kind, Text: got, References: unless(tt.format == "resolved", src.References)})
		if err != nil {
			t.Errorf("%s %s does not parse: %v", tt.kind, tt.format, err)
			continue
		}
		if tt.kind != schema.Protobuf && len(alone.Reads(s))+len(s.Reads(alone)) > 0 {
			t.Errorf("%s %s says something else: %v", tt.kind, tt.format, alone.Reads(s))
		}
		if _, ok, _ := Format(s, "nonsense"); ok {
			t.Errorf("%s has a format nonsense", tt.kind)
		}
	}
}

func unless(none bool, list []schema.Named) []schema.Named {
	if none {
		return nil
	}
	return list
}
