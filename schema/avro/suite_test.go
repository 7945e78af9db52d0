package avro

import (
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

func TestSuite(t *testing.T) {
	source := func(text string) schema.Source { return schema.Source{Type: schema.Avro, Text: text} }
	var bad []schematest.Bad
	for _, h := range hostile() {
		if h.text == itemsText {
			bad = append(bad, schematest.Bad{Payload: h.payload, Path: "$.items"})
		}
	}
	schematest.Run(t, Parse, []schematest.Case{
		{Name: "order", Source: source(benchText), Good: []schematest.Good{{Payload: benchPayload(t)}}},
		{Name: "items", Source: source(itemsText), Bad: bad, Good: []schematest.Good{
			{Payload: payload(0), Row: `{"items":[]}`},
			{Payload: payload(1, raw{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 0), Row: `{"items":[{"price":1.5}]}`},
		}},
		{Name: "recursive", Source: source(listText), Allocates: true, Good: []schematest.Good{
			{Payload: payload(1, 0), Row: `{"v":1,"next":null}`},
			{Payload: payload(1, 1, 2, 0), Row: `{"v":1,"next":"{\"v\":2,\"next\":null}"}`},
		}},
		{Name: "union", Source: source(`["null","long","string",{"type":"map","values":"bytes"}]`), Good: []schematest.Good{
			{Payload: payload(0), Row: `{"value":null}`},
			{Payload: payload(2, "x"), Row: `{"value":{"long":null,"string":"x","map":null}}`},
			{Payload: payload(3, 1, "k", []byte{1}, 0), Row: `{"value":{"long":null,"string":null,"map":[{"key":"k","value":"AQ=="}]}}`},
		}, Bad: []schematest.Bad{{Payload: payload(4), Path: "$"}, {Payload: payload(2, "\xff"), Path: "$.string"}}},
	})
}

func TestChanges(t *testing.T) { schematest.RunChanges(t, schema.Avro, Parse, nil) }

func TestDiffer(t *testing.T) { schematest.RunDiffer(t, schema.Avro, Parse) }
