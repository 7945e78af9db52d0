package protobuf

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/schema"
)

// editionText is proto3 and proto2 at once, as editions can say it.
const editionText = `edition = "2023";
message M {
  string checked = 1;
  string unchecked = 2 [features.utf8_validation = NONE];
  int32 implicit = 3 [features.field_presence = IMPLICIT];
  int32 needed = 4 [features.field_presence = LEGACY_REQUIRED];
  repeated int32 spread = 5 [features.repeated_field_encoding = EXPANDED];
  Inner inner = 6 [features.message_encoding = DELIMITED];
  Shut shut = 7;
  map<string, string> words = 8 [features.utf8_validation = NONE];
}
message Inner { int32 x = 1; }
enum Shut { option features.enum_type = CLOSED; A = 0; B = 1; }
`

const mappingText = `syntax = "proto3";
import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
import "google/type/date.proto"; import "google/type/timeofday.proto"; import "google/type/money.proto";
import "confluent/meta.proto"; import "confluent/type/decimal.proto";
message M {
  bool a1 = 1; int32 a2 = 2; sint32 a3 = 3; sfixed32 a4 = 4; uint32 a5 = 5; fixed32 a6 = 6; int64 a7 = 7; uint64 a8 = 8; fixed64 a9 = 9;
  float b1 = 11; double b2 = 12; string b3 = 13; bytes b4 = 14; E b5 = 15; optional int32 b6 = 16; oneof o { string b7 = 17; uint32 b8 = 18; }
  repeated sint64 c1 = 21; repeated N c2 = 22; map<fixed32, N> c3 = 23; map<bool, string> c4 = 24; N c5 = 25; M c6 = 26;
  google.protobuf.BoolValue d1 = 31; google.protobuf.UInt64Value d2 = 32; google.protobuf.BytesValue d3 = 33; repeated google.protobuf.StringValue d4 = 34;
  google.protobuf.Timestamp e1 = 41; google.protobuf.Duration e2 = 42; google.type.Date e3 = 43; google.type.TimeOfDay e4 = 44; google.type.Money e5 = 45;
  google.protobuf.Struct f1 = 51; google.protobuf.Value f2 = 52; google.protobuf.ListValue f3 = 53; google.protobuf.Any f4 = 54; repeated google.protobuf.Value f5 = 55;
  confluent.type.Decimal g1 = 61; confluent.type.Decimal g2 = 62 [(confluent.field_meta) = {params: [{key: "precision", value: "9"}, {key: "scale", value: "2"}]}];
  confluent.type.Decimal g3 = 63 [(confluent.field_meta).params = {key: "precision", value: "39"}];
  map<string, confluent.type.Decimal> g4 = 64 [(confluent.field_meta).params = {key: "precision", value: "5"}];
  repeated M h1 = 71; Q h2 = 72; int32 kafka_offset = 73;
}
message N { int32 x = 1; int32 kafka_x = 2; }
message Q { R r = 1; } message R { Q q = 1; M m = 2; int32 x = 3; }
enum E { Z = 0; }
`

// TestMapping is the type mapping, column by column.
func TestMapping(t *testing.T) {
	want := `a1: bool
a2: int32
a3: int32
a4: int32
a5: int64
a6: int64
a7: int64
a8: decimal(20, 0)
a9: decimal(20, 0)
b1: float32
b2: float64
b3: utf8
b4: binary
b5: utf8
b6: int32 null
b7: utf8 null
b8: int64 null
c1: list<element: int64>
c2: list<element: struct<x: int32, kafka_x: int32>>
c3: map<int64, struct<x: int32, kafka_x: int32>, items_non_nullable>
c4: map<bool, utf8, items_non_nullable>
c5: struct<x: int32, kafka_x: int32> null
c6: utf8 null
d1: bool null
d2: decimal(20, 0) null
d3: binary null
d4: list<element: utf8>
e1: timestamp[us, tz=UTC] null
e2: int64 null
e3: date32 null
e4: time64[us] null
e5: struct<currency_code: utf8, units: int64, nanos: int32> null
f1: utf8 null
f2: utf8 null
f3: utf8 null
f4: utf8 null
f5: list<element: utf8>
g1: utf8 null
g2: decimal(9, 2) null
g3: utf8 null
g4: map<utf8, decimal(5, 0), items_non_nullable>
h1: list<element: utf8>
h2: struct<r: struct<q: utf8 nullable, m: utf8 nullable, x: int32> nullable> null
kafka_offset_: int32
`
	var got strings.Builder
	for _, f := range decoderOf(t, mappingText).Columns().Fields() {
		got.WriteString(f.Name + ": " + f.Type.String())
		if f.Nullable {
			got.WriteString(" null")
		}
		got.WriteString("\n")
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	rows, err := schema.NewRows(decoderOf(t, mappingText).Columns())
	if err != nil || rows == nil {
		t.Errorf("NewRows: %v", err)
	}
}

// TestEditions: presence, packing, delimiting, closedness and UTF-8 come from
// features.
func TestEditions(t *testing.T) {
	d := decoderOf(t, editionText)
	var nullable []string
	for _, f := range d.Columns().Fields() {
		if f.Nullable {
			nullable = append(nullable, f.Name)
		}
	}
	if got, want := strings.Join(nullable, " "), "checked unchecked inner shut"; got != want {
		t.Errorf("nullable: got %s, want %s", got, want)
	}
	payload := join(varint(4, 1), varint(5, 2), bin(5, []byte{3}), group(6, varint(1, 9)), varint(7, 5))
	want := `{"checked":null,"implicit":0,"inner":{"x":9},"needed":1,"shut":null,"spread":[2,3],"unchecked":null,"words":[]}`
	if got, err := rowJSON(t, d, payload); err != nil || got != want {
		t.Errorf("\n got %s, %v\nwant %s", got, err, want)
	}
	if err := d.Validate(payload[2:]); err == nil || err.Error() != "$.needed: expected a value, since the field is required, found none" {
		t.Errorf("without the required field: %v", err)
	}
	if err := d.Validate(join(varint(4, 1), text(1, "\xff"))); err == nil {
		t.Error("a checked string that is not UTF-8 was accepted")
	}
	for _, payload := range [][]byte{join(varint(4, 1), text(2, "\xff")), join(varint(4, 1), bin(8, text(1, "\xff")))} {
		if err := d.Validate(payload); err != nil {
			t.Errorf("an unchecked string: %v", err)
		}
		var refused *schema.Invalid
		if _, err := rowJSON(t, d, payload); !errors.As(err, &refused) {
			t.Errorf("an unchecked string that is not UTF-8 became a column value: %v", err)
		}
	}
}

// TestRanges holds values at and beyond the range of their columns.
func TestRanges(t *testing.T) {
	d := decoderOf(t, mappingText)
	minus := func(v int64) uint64 { return uint64(v) }
	clock := func(num int, sec int64, nanos int64) []byte {
		return bin(protowire.Number(num), varint(1, minus(sec)), varint(2, minus(nanos)))
	}
	dec := func(num int, scale int64, value ...byte) []byte {
		return bin(protowire.Number(num), bin(1, value), varint(3, minus(scale)))
	}
	three := func(a, b, c int64) []byte {
		return bin(43, varint(1, minus(a)), varint(2, minus(b)), varint(3, minus(c)))
	}
	ones := []byte(strings.Repeat("\xff", 20))
	tests := []struct {
		name    string
		payload []byte
		want    string // of the column, or the refusal
	}{
		{"timestamp", clock(41, 1, 2_999), `"e1":"1970-01-01T00:00:01.000002Z"`},
		{"timestamp before 1970 rounds down", clock(41, -1, 999_999_999), `"e1":"1969-12-31T23:59:59.999999Z"`},
		{"first timestamp", clock(41, minTimestamp, 0), `"e1":"0001-01-01T00:00:00Z"`},
		{"last timestamp", clock(41, maxTimestamp, 999_999_999), `"e1":"9999-12-31T23:59:59.999999Z"`},
		{"timestamp too early", clock(41, minTimestamp-1, 0), "$.e1: expected a timestamp from year 1 to 9999"},
		{"timestamp too late", clock(41, maxTimestamp+1, 0), "$.e1: expected a timestamp"},
		{"nanos negative", clock(41, 5, -1), "$.e1: expected a timestamp"},
		{"nanos too many", clock(41, 5, 1_000_000_000), "$.e1: expected a timestamp"},
		{"range is of the merged value", join(clock(41, maxTimestamp+1, 0), clock(41, 0, 0)), `"e1":"1970-01-01T00:00:00Z"`},
		{"duration", clock(42, -3, -5), `"e2":-3000000005`},
		{"longest duration", clock(42, 9223372036, 854775807), `"e2":9223372036854775807`},
		{"lowest duration", clock(42, -9223372036, -854775808), `"e2":-9223372036854775808`},
		{"duration over 64 bits", clock(42, 9223372036, 854775808), "$.e2: expected a duration within 64 bits"},
		{"duration under 64 bits", clock(42, -9223372036, -854775809), "$.e2: expected a duration within 64 bits"},
		{"duration over 292 years", clock(42, 9223372037, 0), "$.e2: expected a duration within 64 bits"},
		{"duration over 10,000 years", clock(42, maxDuration+1, 0), "$.e2: expected a duration of one sign"},
		{"duration of two signs", clock(42, 1, -1), "$.e2: expected a duration of one sign"},
		{"date", three(2024, 2, 29), `"e3":"2024-02-29"`},
		{"first date", three(1, 1, 1), `"e3":"0001-01-01"`},
		{"no such day", three(2023, 2, 29), "$.e3: expected a full date"},
		{"year alone", three(2023, 0, 0), "$.e3: expected a full date of years 1 to 9999, found year 2023, month 0, day 0"},
		{"time of day", bin(44, varint(1, 23), varint(2, 59), varint(3, 59), varint(4, 999_999_999)), `"e4":"23:59:59.999999"`},
		{"midnight", bin(44), `"e4":"00:00:00"`},
		{"24:00", bin(44, varint(1, 24)), "$.e4: expected a time from 00:00:00"},
		{"wrapper empty", bin(31), `"d1":false`},
		{"uint64", varint(8, 1<<64-1), `"a8":"18446744073709551615"`},
		{"uint32", varint(5, 1<<32-1), `"a5":4294967295`},
		{"decimal", dec(62, 2, 0x30, 0x39), `"g2":"123.45"`},
		{"decimal negative", dec(62, 2, 0xcf, 0xc7), `"g2":"-123.45"`},
		{"decimal of a lower scale", dec(62, 0, 5), `"g2":"5`},
		{"decimal of a negative scale", dec(62, -3, 5), `"g2":"5000`},
		{"decimal of a higher scale, exact", dec(62, 3, 0x27, 0x10), `"g2":"10`},
		{"decimal with sign padding", dec(62, 2, append(append([]byte{}, ones...), 0xcf, 0xc7)...), `"g2":"-123.45"`},
		{"decimal without bytes", dec(62, 0), `"g2":"0`},
		{"decimal zero of any scale", dec(62, 900, 0), `"g2":"0`},
		{"decimal of a higher scale, inexact", dec(62, 3, 0x27, 0x11), "$.g2: expected decimal(9, 2), found 10.001"},
		{"decimal over its precision", dec(62, 2, 0x3b, 0x9a, 0xca, 0x00), "$.g2: expected decimal(9, 2), found 10000000.00"},
		{"decimal over 128 bits", dec(62, 2, append([]byte{1}, make([]byte, 16)...)...), "$.g2: expected decimal(9, 2), found 3402823669209384634633746074317682114.56"},
		{"decimal lowest of 128 bits", dec(62, 0, append([]byte{0x80}, make([]byte, 15)...)...), "$.g2: expected decimal(9, 2), found -170141183460469231731687303715884105728"},
		{"decimal scale out of reason", dec(62, 1001, 1), "$.g2: expected a decimal of at most 512 bytes"},
		{"decimal too long", dec(61, 0, append([]byte{1}, make([]byte, 512)...)...), "$.g1: expected a decimal of at most 512 bytes"},
		{"decimal as text", dec(61, 4, 0xff), `"g1":"-0.0001"`},
		{"decimal as text, whole", dec(61, -2, 7), `"g1":"700"`},
		{"decimal as text, zero", dec(61, -2), `"g1":"0"`},
		{"decimal as text, zero with scale", dec(61, 2), `"g1":"0.00"`},
		{"decimal as text, 2^63 and zeros between", dec(61, 1, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 1), `"g1":"100000000000000000.1"`},
		{"decimal as text, long", dec(63, 2, append([]byte{0xff, 0}, make([]byte, 15)...)...), `"g3":"-3402823669209384634633746074317682114.56"`},
		{"decimal in a map", bin(64, text(1, "k"), bin(2, bin(1, []byte{3}))), `"g4":[{"key":"k","value":"3`},
		{"decimal in a map over its precision", bin(64, text(1, "k"), bin(2, bin(1, []byte{3, 0, 0}))), `$.g4["k"]: expected decimal(5, 0), found 196608`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rowJSON(t, d, tt.payload)
			valid := d.Validate(tt.payload)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || (err != nil) != strings.HasPrefix(tt.want, "$") {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if (valid == nil) != (err == nil) || valid != nil && valid.Error() != err.Error() {
				t.Errorf("Validate: %v, Decode: %v", valid, err)
			}
		})
	}
}
