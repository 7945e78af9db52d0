package language

import (
	"testing"

	"github.com/tarn-io/tarn/schema"
)

func TestName(t *testing.T) {
	const nested = "syntax = \"proto3\";\npackage shop;\nmessage A {}\nmessage B { message C {} }\n"
	tests := []struct {
		kind  schema.Type
		text  string
		index []int
		want  string
		ok    bool
	}{
		{schema.Avro, `{"type":"record","name":"Order","namespace":"shop","fields":[]}`, nil, "shop.Order", true},
		{schema.Avro, `{"type":"record","name":"shop.Order","fields":[]}`, nil, "shop.Order", true},
		{schema.Avro, `{"type":"enum","name":"E","symbols":["A"]}`, nil, "E", true},
		{schema.Avro, `{"type":"record","name":"R","NAME":"other","fields":[]}`, nil, "R", true},
		{schema.Avro, `"string"`, nil, "string", true},
		{schema.Avro, `{"type":"array","items":"int"}`, nil, "array", true},
		{schema.Avro, `["null","int"]`, nil, "", true},
		{schema.Avro, `"string"`, []int{1}, "", false},
		{schema.JSON, `{"title":"Item","type":"object"}`, nil, "Item", true},
		{schema.JSON, `{"type":"object"}`, nil, "", true},
		{schema.Protobuf, nested, nil, "shop.A", true},
		{schema.Protobuf, nested, []int{1, 0}, "shop.B.C", true},
		{schema.Protobuf, nested, []int{2}, "", false},
	}
	for _, tt := range tests {
		s, err := Parse(schema.Source{Type: tt.kind, Text: tt.text})
		if err != nil {
			t.Fatalf("%s: %v", tt.text, err)
		}
		if got, ok := Name(s, tt.index); got != tt.want || ok != tt.ok {
			t.Errorf("%s %v: got %q, %v, want %q, %v", tt.text, tt.index, got, ok, tt.want, tt.ok)
		}
	}
}
