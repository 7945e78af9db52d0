package protobuf

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
)

// parse parses a text with references, given as name and text in turn.
func parse(t testing.TB, text string, refs ...string) *Schema {
	t.Helper()
	src := schema.Source{Type: schema.Protobuf, Text: text}
	for i := 0; i < len(refs); i += 2 {
		src.References = append(src.References, schema.Named{Name: refs[i], Text: refs[i+1]})
	}
	s, err := Parse(src)
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, text)
	}
	return s.(*Schema)
}

func decoderOf(t testing.TB, text string, index ...int) schema.Decoder {
	t.Helper()
	d, err := parse(t, text).Decoder(index)
	if err != nil {
		t.Fatalf("Decoder(%v): %v\n%s", index, err, text)
	}
	return d
}

// payloadOf encodes a message given as JSON.
func payloadOf(t testing.TB, text string, index int, message string) []byte {
	t.Helper()
	md, err := parse(t, text).Message([]int{index})
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(md)
	if err := protojson.Unmarshal([]byte(message), m); err != nil {
		t.Fatal(err)
	}
	b, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rowJSON decodes one payload and gives the row as JSON by column.
func rowJSON(t testing.TB, d schema.Decoder, payload []byte) (string, error) {
	t.Helper()
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(payload, rows); err != nil {
		if rows.Len() != 0 {
			t.Errorf("Decode refused the payload but left %d rows", rows.Len())
		}
		return "", err
	}
	batch := rows.Batch()
	b, err := batch.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 {
		t.Fatalf("rows as JSON: %s: %v", b, err)
	}
	return string(list[0]), nil
}
