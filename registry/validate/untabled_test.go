package validate

import (
	"slices"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
)

// TestUntabled holds payloads to schemas that have no table form: only a table
// minds that.
func TestUntabled(t *testing.T) {
	f := newFixture(t)
	for i, tt := range []struct {
		kind      schema.Type
		text      string
		good, bad []byte
	}{
		{schema.Avro, `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"record","name":"E","fields":[]}},{"name":"n","type":"int"}]}`, []byte{2}, []byte{2, 2}},
		{schema.Protobuf, "syntax = \"proto3\";\nimport \"google/protobuf/empty.proto\";\nmessage M { google.protobuf.Empty e = 1; int32 n = 2; }", []byte{0, 0x0a, 0, 0x10, 1}, []byte{0, 0x0a, 1}},
		{schema.JSON, `{"type":"object","properties":{"a":{"type":"integer"},"A":{"type":"integer"}}}`, []byte(`{"a":1,"A":2}`), []byte(`{"a":1,"A":"x"}`)},
	} {
		topic := string(rune('a' + i))
		v, err := f.reg.Register(t.Context(), topic+"-value", registry.Request{Type: tt.kind, Text: tt.text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.reg.Resolve(topic+"-value", framed(int32(v.ID), tt.good...), nil, false); err == nil {
			t.Errorf("%s: a table form", tt.kind)
		}
		for _, how := range []Part{{Level: Payload}, {Level: Payload, Bare: registry.BareAttempt}, {Level: Monitor}} {
			got, err := f.Check(Topic{Name: topic, Value: how}, batch(t, rec{value: framed(int32(v.ID), tt.good...)}), Origin{})
			if err != nil || len(got) != 0 {
				t.Errorf("%s: a good payload: %+v, %v", tt.kind, got, err)
			}
			got, err = f.Check(Topic{Name: topic, Value: how}, batch(t, rec{value: framed(int32(v.ID), tt.bad...)}), Origin{})
			if want := map[bool]int{true: 0, false: 1}[how.Level == Monitor]; err != nil || len(got) != want {
				t.Errorf("%s: a bad payload at level %d: %+v, %v", tt.kind, how.Level, got, err)
			}
		}
	}
}

// TestMixedBatch holds each record of a batch to its own schema, whatever the
// records before it had.
func TestMixedBatch(t *testing.T) {
	f := newFixture(t)
	good := framed(1, 14, 2, 'x')
	for _, level := range []Level{ID, Payload} {
		rd := batch(t, rec{value: good}, rec{value: good}, rec{value: framed(2, 14, 2, 'x')}, rec{value: good},
			rec{value: framed(1, 14)}, rec{value: good[:4]}, rec{value: nil}, rec{value: good},
			rec{value: []byte{14, 2, 'x'}, headers: []record.RecordHeader{header(schema.ValueHeader, []byte{0, 0, 0, 0, 9})}}, rec{value: good})
		got, err := f.Check(Topic{Name: "orders", Value: Part{Level: level}}, rd, Origin{})
		if err != nil {
			t.Fatal(err)
		}
		var indexes []int32
		for _, r := range got {
			indexes = append(indexes, r.Index)
		}
		want := []int32{2, 5, 8}
		if level == Payload {
			want = []int32{2, 4, 5, 8}
		}
		if !slices.Equal(indexes, want) {
			t.Errorf("level %d refuses %v, want %v", level, indexes, want)
		}
	}
	// Two messages of one Protobuf schema differ in their indexes.
	rd := batch(t, rec{value: framed(3, 0)}, rec{value: framed(3, 4, 2, 0, 8, 7)}, rec{value: framed(3, 0)}, rec{value: framed(3, 4, 2, 0, 8)})
	if got, err := f.Check(Topic{Name: "proto", Value: Part{Level: Payload}}, rd, Origin{}); err != nil || len(got) != 1 || got[0].Index != 3 {
		t.Errorf("messages: %+v, %v", got, err)
	}
}

// TestUnknownFields takes fields that a Protobuf schema does not have, unless
// the topic refuses them.
func TestUnknownFields(t *testing.T) {
	f := newFixture(t)
	good, more := framed(3, 4, 2, 0, 8, 7), framed(3, 4, 2, 0, 8, 7, 0x98, 6, 1)
	for _, tt := range []struct {
		how  Part
		want int
	}{
		{Part{Level: Payload}, 0},
		{Part{Level: Payload, RefuseUnknown: true}, 2},
		{Part{Level: Payload, RefuseUnknown: true, Bare: registry.BareAttempt}, 2},
		{Part{Level: ID, RefuseUnknown: true}, 0},
	} {
		got, err := f.Check(Topic{Name: "proto", Value: tt.how}, batch(t, rec{value: good}, rec{value: more}, rec{value: good}, rec{value: more}), Origin{})
		if err != nil || len(got) != tt.want {
			t.Errorf("%+v: %+v, %v", tt.how, got, err)
		}
	}
	// The other languages have a word of their own for it.
	got, err := f.Check(Topic{Name: "json", Value: Part{Level: Payload, RefuseUnknown: true}}, batch(t, rec{value: framed(4, []byte(`{"n":1,"m":2}`)...)}), Origin{})
	if err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
