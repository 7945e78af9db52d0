package language

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

const protoText = `syntax = "proto3";
message M {
  int64 n = 1;
  string s = 2;
}
`

// TestSuite runs the contract's suite through the door that the registry uses.
func TestSuite(t *testing.T) {
	schematest.Run(t, Parse, []schematest.Case{
		{Name: "avro", Source: schema.Source{Type: schema.Avro, Text: `{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"s","type":"string"}]}`},
			Good: []schematest.Good{{Payload: []byte{14, 2, 'x'}, Row: `{"n":7,"s":"x"}`}},
			Bad:  []schematest.Bad{{Payload: []byte{14, 2, 0xff}, Path: "$.s"}}},
		{Name: "json", Source: schema.Source{Type: schema.JSON, Text: `{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer"},"s":{"type":"string"}},"required":["n","s"]}`},
			Good: []schematest.Good{{Payload: []byte(`{"s":"x","n":7}`), Row: `{"n":7,"s":"x"}`}},
			Bad:  []schematest.Bad{{Payload: []byte(`{"s":5,"n":7}`), Path: "$.s"}}},
		{Name: "protobuf", Source: schema.Source{Type: schema.Protobuf, Text: protoText},
			Good: []schematest.Good{{Payload: []byte{8, 7, 18, 1, 'x'}, Row: `{"n":7,"s":"x"}`}},
			Bad:  []schematest.Bad{{Payload: []byte{8, 7, 18, 1, 0xff}, Path: "$.s"}}},
	})
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		src  schema.Source
		want string
	}{
		{"type", schema.Source{Type: "THRIFT", Text: "x"}, "Invalid schema type THRIFT"},
		{"size", schema.Source{Text: strings.Repeat(" ", schema.MaxTextBytes) + `"int"`}, "4194309 bytes: at most 4194304"},
		{"size with references", schema.Source{Text: `"int"`, References: []schema.Named{{Name: "r", Text: strings.Repeat(" ", schema.MaxTextBytes)}}}, "at most"},
		{"avro text", schema.Source{Text: `{"type":`}, "line 1, column 9"},
		{"json text", schema.Source{Type: schema.JSON, Text: `{"type":`}, "line 1"},
		{"protobuf text", schema.Source{Type: schema.Protobuf, Text: "message {"}, "line 1"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.src)
		if _, ok := errors.AsType[*schema.ParseError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	s, err := Parse(schema.Source{Text: `"int"`})
	if err != nil || s.Type() != schema.Avro {
		t.Errorf("without a type: %v, %v", s, err)
	}
}
