package protobuf

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// TestJSONAgainstProtojson writes random messages as JSON with protobuf-go and
// with ours, and compares them as JSON.
func TestJSONAgainstProtojson(t *testing.T) {
	for _, text := range []string{everyText, rangedText} {
		s := parse(t, text)
		index := []int{s.File().Messages().Len() - 1}
		md, err := s.Message(index)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(500) {
			payload := randomPayload(t, rand.New(rand.NewPCG(seed, 3)), md)
			m := dynamicpb.NewMessage(md)
			if err := proto.Unmarshal(payload, m); err != nil {
				t.Fatal(err)
			}
			want, err := protojson.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.AppendJSON(nil, index, payload)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			var a, b any
			if err := json.Unmarshal(got, &a); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, got)
			}
			if err := json.Unmarshal(want, &b); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
			}
		}
	}
}

const jsonText = `syntax = "proto3";
import "google/protobuf/any.proto"; import "google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/duration.proto"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
message M {
  google.protobuf.Any any = 1; google.protobuf.FieldMask mask = 2; google.protobuf.Empty empty = 3; google.protobuf.Value value = 4;
  google.protobuf.Duration took = 5; google.protobuf.Timestamp at = 6; confluent.type.Decimal dec = 7;
  double some_double = 8; float f = 9; google.protobuf.NullValue nil = 10; repeated int32 list = 11; map<bool, int64> flags = 12; string s = 13;
  optional google.protobuf.NullValue set_nil = 14;
}`

func TestJSON(t *testing.T) {
	double := func(num protowire.Number, v float64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), math.Float64bits(v))
	}
	back := func(v int64) uint64 { return uint64(v) }
	tests := []struct {
		name    string
		payload []byte
		want    string
	}{
		{"nothing", nil, `{}`},
		{"any", bin(1, text(1, "type.googleapis.com/x.Y"), bin(2, []byte{1, 2, 255})), `{"any":{"@type":"type.googleapis.com/x.Y","value":"AQL/"}}`},
		{"any, empty", bin(1), `{"any":{}}`},
		{"mask", bin(2, text(1, "a_b.c_d"), text(1, "e")), `{"mask":"aB.cD,e"}`},
		{"empty", bin(3), `{"empty":{}}`},
		{"value without kind", bin(4), `{"value":null}`},
		{"value that is no number", bin(4, double(2, math.NaN())), `{"value":"NaN"}`},
		{"value: last kind wins", bin(4, double(2, 1), text(3, "x")), `{"value":"x"}`},
		{"duration", bin(5, varint(1, back(-1)), varint(2, back(-500_000_000))), `{"took":"-1.500s"}`},
		{"duration below a second", bin(5, varint(2, back(-1))), `{"took":"-0.000000001s"}`},
		{"timestamp", bin(6, varint(2, 1_000)), `{"at":"1970-01-01T00:00:00.000001Z"}`},
		{"decimal", bin(7, bin(1, []byte{5}), varint(3, 1)), `{"dec":{"value":"BQ==","scale":1}}`},
		{"zero is left out", join(double(8, 0), text(13, ""), varint(10, 0)), `{}`},
		{"minus zero is not", double(8, math.Copysign(0, -1)), `{"someDouble":-0}`},
		{"null that is set", varint(14, 0), `{"setNil":null}`},
		{"infinite", double(8, math.Inf(-1)), `{"someDouble":"-Infinity"}`},
		{"large and small", join(double(8, 1e300), protowire.AppendFixed32(protowire.AppendTag(nil, 9, protowire.Fixed32Type), math.Float32bits(1e-10))), `{"someDouble":1e+300,"f":1e-10}`},
		{"packed list", bin(11, []byte{1, 2}), `{"list":[1,2]}`},
		{"keys that are no text", join(bin(12, varint(1, 1), varint(2, 5)), bin(12)), `{"flags":{"true":"5","false":"0"}}`},
		{"text", text(13, "a\"\\\n\r\t\x00é\u2028"), `{"s":"a\"\\\n\r\t\u0000é` + "\u2028" + `"}`},
	}
	s := parse(t, jsonText)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.AppendJSON([]byte("> "), nil, tt.payload)
			if err != nil || string(got) != "> "+tt.want || !json.Valid(got[2:]) {
				t.Errorf("\n got %s, %v\nwant > %s", got, err, tt.want)
			}
		})
	}
	for name, payload := range map[string][]byte{
		"broken":        {0x80},
		"out of range":  bin(6, varint(2, nanosPerSecond)),
		"long duration": bin(5, varint(1, maxDuration)),
	} {
		if got, err := s.AppendJSON(nil, nil, payload); err == nil || len(got) != 0 {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}
