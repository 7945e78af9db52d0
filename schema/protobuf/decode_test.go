package protobuf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/schema"
)

// Wire bytes by hand: one field each.
func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func bin(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), slices.Concat(parts...))
}

func text(num protowire.Number, s string) []byte { return bin(num, []byte(s)) }

func group(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendGroup(protowire.AppendTag(nil, num, protowire.StartGroupType), num, slices.Concat(parts...))
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

const wireText = `syntax = "proto3";
enum Open { option allow_alias = true; ZERO = 0; ONE = 1; UN = 1; }
message Point { int32 x = 1; int32 y = 2; repeated int32 z = 3; }
message M {
  int32 n = 1; string s = 2; optional int32 o = 3; repeated int32 list = 4; Point p = 5;
  map<string, int32> m = 6; oneof pick { string a = 7; Point b = 8; int32 c = 9; } Open e = 10;
  bool t = 11; sint32 z = 12; repeated string names = 13; map<int32, Point> points = 14; bytes raw = 15;
  string far = 5000;
}
`

const wireText2 = `syntax = "proto2";
enum Closed { ZERO = 0; A = 3; B = 4; }
message Req { required int32 id = 1; optional string s = 2; }
message M {
  optional Closed e = 1; repeated Closed es = 2; map<string, Closed> em = 3; optional group G = 4 { optional int32 x = 1; }
  optional Req r = 5; repeated Req rs = 6; oneof pick { Req a = 7; int32 b = 8; } optional string s = 9; map<string, Req> rm = 10;
}
`

// TestWire decodes payloads that an encoder would not write, or not so. want
// holds the columns that are not at their zero.
func TestWire(t *testing.T) {
	tests := []struct {
		name, text string
		payload    []byte
		want       string
	}{
		{"nothing", wireText, nil, `{}`},
		{"last scalar wins", wireText, join(varint(1, 5), text(2, "old"), varint(1, 7), text(2, "new")), `{"n":7,"s":"new"}`},
		{"fields backwards", wireText, join(text(5000, "f"), varint(3, 0), text(2, "b"), varint(1, 1)), `{"n":1,"s":"b","o":0,"far":"f"}`},
		{"unknown fields", wireText, join(varint(900, 1), text(901, "x"), group(902, varint(1, 1), group(2)), varint(1, 3)), `{"n":3}`},
		{"wrong wire type is unknown", wireText, join(text(1, "x"), varint(2, 1), varint(5, 9)), `{}`},
		{"packed", wireText, bin(4, []byte{1, 2, 0x80, 1}), `{"list":[1,2,128]}`},
		{"unpacked", wireText, join(varint(4, 1), varint(4, 2)), `{"list":[1,2]}`},
		{"packed and unpacked, apart", wireText, join(bin(4, []byte{1, 2}), varint(1, 9), varint(4, 3), bin(4), bin(4, []byte{4})), `{"n":9,"list":[1,2,3,4]}`},
		{"message merges", wireText, join(bin(5, varint(1, 1), varint(3, 1)), varint(1, 2), bin(5, varint(2, 2), varint(3, 2)), bin(5, varint(1, 3))), `{"n":2,"p":{"x":3,"y":2,"z":[1,2]}}`},
		{"empty message is present", wireText, bin(5), `{"p":{"x":0,"y":0,"z":[]}}`},
		{"map entry without key", wireText, bin(6, varint(2, 4)), `{"m":[{"key":"","value":4}]}`},
		{"map entry without value", wireText, bin(6, text(1, "k")), `{"m":[{"key":"k","value":0}]}`},
		{"map entry backwards, with strangers", wireText, bin(6, varint(2, 4), varint(9, 1), text(1, "x"), text(1, "k")), `{"m":[{"key":"k","value":4}]}`},
		{"last map entry wins", wireText, join(bin(6, text(1, "k"), varint(2, 1)), bin(6, text(1, "l"), varint(2, 2)), bin(6, text(1, "k"), varint(2, 3))), `{"m":[{"key":"l","value":2},{"key":"k","value":3}]}`},
		{"map value merges within an entry only", wireText, join(bin(14, varint(1, 1), bin(2, varint(1, 8))), bin(14, varint(1, 1), bin(2, varint(2, 5)), bin(2, varint(1, 6)))), `{"points":[{"key":1,"value":{"x":6,"y":5,"z":[]}}]}`},
		{"map message without value", wireText, bin(14, varint(1, 1)), `{"points":[{"key":1,"value":{"x":0,"y":0,"z":[]}}]}`},
		{"map keys equal in 32 bits", wireText, join(bin(14, varint(1, 1<<32|1)), bin(14, varint(1, 1), bin(2, varint(1, 2)))), `{"points":[{"key":1,"value":{"x":2,"y":0,"z":[]}}]}`},
		{"oneof: last member wins", wireText, join(text(7, "a"), varint(9, 4)), `{"c":4}`},
		{"oneof: zero is set", wireText, join(varint(9, 4), text(7, "")), `{"a":""}`},
		{"oneof: message after another member starts anew", wireText, join(bin(8, varint(1, 1)), text(7, "a"), bin(8, varint(2, 2))), `{"b":{"x":0,"y":2,"z":[]}}`},
		{"oneof: message twice merges", wireText, join(bin(8, varint(1, 1)), bin(8, varint(2, 2))), `{"b":{"x":1,"y":2,"z":[]}}`},
		{"open enum by name, first alias", wireText, varint(10, 1), `{"e":"ONE"}`},
		{"open enum with unknown number", wireText, varint(10, math.MaxUint64-1), `{"e":"-2"}`},
		{"int32 drops high bits", wireText, join(varint(1, 1<<32|5), varint(12, 1<<40|3)), `{"n":5,"z":-2}`},
		{"bool is true for any bit", wireText, varint(11, 1<<50), `{"t":true}`},
		{"long varints", wireText, []byte{0x88, 0x80, 0x00, 0x07, 0x08, 0x85, 0x80, 0x80, 0x00}, `{"n":5}`},
		{"closed enum: unknown number is an unknown field", wireText2, join(varint(1, 3), varint(1, 9)), `{"e":"A"}`},
		{"closed enum in lists", wireText2, join(bin(2, []byte{3, 9, 4}), varint(2, 7), varint(2, 3)), `{"es":["A","B","A"]}`},
		{"closed enum in a map", wireText2, join(bin(3, text(1, "k"), varint(2, 9)), bin(3, text(1, "l"), varint(2, 4)), bin(3, text(1, "m"))), `{"em":[{"key":"l","value":"B"},{"key":"m","value":"ZERO"}]}`},
		{"closed enum: replaced entry stays", wireText2, join(bin(3, text(1, "k"), varint(2, 4)), bin(3, text(1, "k"), varint(2, 9))), `{"em":[{"key":"k","value":"B"}]}`},
		{"group", wireText2, group(4, varint(1, 5), group(3, varint(1, 1))), `{"g":{"x":5}}`},
		{"group merges", wireText2, join(group(4, varint(1, 5)), group(4)), `{"g":{"x":5}}`},
		{"required from the other part", wireText2, join(bin(5, text(2, "s")), bin(5, varint(1, 7))), `{"r":{"id":7,"s":"s"}}`},
		{"oneof: what is cleared need not be complete", wireText2, join(bin(7), varint(8, 1)), `{"b":1}`},
		{"oneof: cleared in parts", wireText2, join(bin(7), bin(7), varint(8, 1)), `{"b":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			d, err := s.Decoder([]int{s.File().Messages().Len() - 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Validate(tt.payload); err != nil {
				t.Errorf("Validate: %v", err)
			}
			got, err := rowJSON(t, d, tt.payload)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			empty, err := rowJSON(t, d, nil)
			if err != nil {
				t.Fatal(err)
			}
			row, zero, want := parseJSON(t, got).(map[string]any), parseJSON(t, empty).(map[string]any), parseJSON(t, tt.want).(map[string]any)
			for name, v := range zero {
				if _, ok := want[name]; !ok {
					want[name] = v
				}
			}
			if !alike(row, want) {
				t.Errorf("\n got %s\nwant %v", got, want)
			}
		})
	}
}

// TestRefused holds payloads that must be refused, by Validate and Decode in
// the same words.
func TestRefused(t *testing.T) {
	nested := func(n int) []byte {
		var b []byte
		for range n {
			b = group(900, b)
		}
		return b
	}
	tests := []struct {
		name, text string
		payload    []byte
		want       string
	}{
		{"a member beside one with a range", `syntax = "proto3"; import "google/protobuf/timestamp.proto"; message P { string s = 1; }
			message M { oneof o { google.protobuf.Timestamp at = 1; P p = 2; } }`, bin(2, text(1, "\xff")), `$.p.s: expected a string in UTF-8, found bytes "\xff"`},
		{"a member beside one with a required field", `syntax = "proto2"; message Q { required int32 id = 1; } message P { optional int32 n = 1; }
			message M { oneof o { Q q = 1; P p = 2; } }`, bin(2, []byte{0x12, 9}), "$.p: expected 9 bytes for field 2, found 0 bytes"},
		{"cut in a tag", wireText, []byte{0x80}, "$: expected a field, found the end of the payload"},
		{"cut in a varint", wireText, []byte{0x08, 0x80}, "$.n: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"varint of 11 bytes", wireText, join([]byte{0x08}, slices.Repeat([]byte{0x80}, 10), []byte{0}), "$.n: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"varint over 64 bits", wireText, join([]byte{0x08}, slices.Repeat([]byte{0xff}, 9), []byte{2}), "$.n: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"length past the end", wireText, []byte{0x12, 5, 'a'}, "$.s: expected 5 bytes for field 2, found 1 bytes"},
		{"huge length", wireText, join([]byte{0x12}, protowire.AppendVarint(nil, math.MaxUint64)), "$.s: expected 18446744073709551615 bytes for field 2, found 0 bytes"},
		{"length past the message", wireText, join(bin(5, []byte{0x1a, 2}), varint(1, 1)), "$.p.z: expected 2 bytes for field 3, found 0 bytes"},
		{"field number 0", wireText, []byte{0x00, 0x00}, "$: expected a field number from 1 to 536870911, found number 0"},
		{"field number too high", wireText, varint(1<<29, 1), "$: expected a field number from 1 to 536870911, found number 536870912"},
		{"wire type 7", wireText, []byte{0x0f}, "$: expected a wire type from 0 to 5, found wire type 7 of field 1"},
		{"end of no group", wireText, []byte{0x0c}, "$: expected a field, found the end of a group 1 that did not start"},
		{"group without end", wireText, []byte{0xa3, 0x38}, "$: expected a group 900 that ends, at most 64 deep, found none"},
		{"groups crossed", wireText, []byte{0x0b, 0x13, 0x0c, 0x14}, "$.n: expected a group 1 that ends, at most 64 deep, found none"},
		{"groups too deep", wireText, nested(70), "$: expected a group 900 that ends, at most 64 deep, found none"},
		{"fixed32 cut", wireText, []byte{0x0d, 1, 2}, "$.n: expected the bytes of field 1, found 2 bytes"},
		{"string not UTF-8", wireText, join(varint(1, 1), text(2, "ab\xff")), `$.s: expected a string in UTF-8, found bytes "ab\xff"`},
		{"string not UTF-8, replaced later", wireText, join(text(2, "\xff"), text(2, "ok")), `$.s: expected a string in UTF-8, found bytes "\xff"`},
		{"string in a list", wireText, join(text(13, "a"), varint(1, 1), text(13, "\xff")), `$.names[1]: expected a string in UTF-8, found bytes "\xff"`},
		{"map key not UTF-8", wireText, bin(6, text(1, "\xff")), `$.m["\xff"].key: expected a string in UTF-8, found bytes "\xff"`},
		{"map value broken", wireText, bin(14, varint(1, 5), bin(2, []byte{0x08})), `$.points["5"].x: expected a varint for field 1, found more than 64 bits, or the end of the payload`},
		{"packed list cut", wireText, bin(4, []byte{1, 0x80}), "$.list[1]: expected int32, found the end of the packed list, or more than 64 bits"},
		{"cleared oneof broken", wireText, join(bin(8, []byte{0x08}), text(7, "a")), "$.b.x: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"length past the end, in a list", wireText, join(text(13, "a"), varint(1, 1), []byte{0x6a, 5, 'b'}), "$.names[1]: expected 5 bytes for field 13, found 1 bytes"},
		{"length past the end, of a message", wireText, []byte{0x2a, 5, 0x08}, "$.p: expected 5 bytes for field 5, found 1 bytes"},
		{"length past the end, of an entry", wireText, []byte{0x32, 5, 0x0a}, "$.m: expected 5 bytes for field 6, found 1 bytes"},
		{"length past the entry, of its key", wireText, bin(6, []byte{0x0a, 5}), `$.m[""].key: expected 5 bytes for field 1, found 0 bytes`},
		{"value of an entry cut", wireText, bin(6, text(1, "k"), []byte{0x10, 0x80}), `$.m["k"]: expected a varint for field 2, found more than 64 bits, or the end of the payload`},
		{"length past the end, of a packed list", wireText, []byte{0x22, 5, 1}, "$.list: expected 5 bytes for field 4, found 1 bytes"},
		{"item cut in a list without packing", wireText, join(bin(4, []byte{1, 2}), varint(4, 3), []byte{0x20}), "$.list[3]: expected a varint for field 4, found more than 64 bits, or the end of the payload"},
		{"packed list cut after another", wireText, join(bin(4, []byte{1, 2}), varint(4, 3), bin(4, []byte{4, 0x80})), "$.list[4]: expected int32, found the end of the packed list, or more than 64 bits"},
		{"packed list of a closed enum cut", wireText2, join(varint(2, 9), bin(2, []byte{3, 9, 0x80})), "$.es[1]: expected enum, found the end of the packed list, or more than 64 bits"},
		{"field cut in a list of messages", wireText2, join(bin(6, varint(1, 1)), bin(6, varint(1, 2), []byte{0x12, 9})), "$.rs[1].s: expected 9 bytes for field 2, found 0 bytes"},
		{"unknown field cut", wireText, []byte{0xa2, 0x38, 5}, "$: expected 5 bytes for field 900, found 0 bytes"},
		{"unknown field cut, below", wireText, bin(5, []byte{0xa2, 0x38, 5}), "$.p: expected 5 bytes for field 900, found 0 bytes"},
		{"tag cut, below", wireText, bin(5, varint(1, 1), []byte{0x80}), "$.p: expected a field, found the end of the payload"},
		{"field with a far number", wireText, join(protowire.AppendTag(nil, 5000, protowire.BytesType), []byte{7}), "$.far: expected 7 bytes for field 5000, found 0 bytes"},
		{"another wire type in a list", wireText, join(text(13, "a"), []byte{0x6d, 1}), "$.names: expected the bytes of field 13, found 1 bytes"},
		{"group of the schema without end", wireText2, []byte{0x23, 0x08, 0x01}, "$.g: expected a group 4 that ends, at most 64 deep, found none"},
		{"field cut in a group", wireText2, []byte{0x23, 0x12, 0x05, 0x24}, "$.g: expected a group 4 that ends, at most 64 deep, found none"},
		{"cut in one part, whole with the next", wireText, join(bin(5, []byte{0x08}), bin(5, []byte{0x08, 0x08, 0x01})), "$.p.x: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"cut in one part of what is judged at the end", wireText2, join(bin(5, []byte{0x08}), bin(5, []byte{0x08, 0x08, 0x01})), "$.r.id: expected a varint for field 1, found more than 64 bits, or the end of the payload"},
		{"required missing", wireText2, bin(5, text(2, "s")), "$.r.id: expected a value, since the field is required, found none"},
		{"required of the wrong type", wireText2, bin(5, text(1, "s")), "$.r.id: expected a value, since the field is required, found none"},
		{"required missing in a list", wireText2, join(bin(6, varint(1, 1)), bin(6)), "$.rs[1].id: expected a value, since the field is required, found none"},
		{"required missing in a map without value", wireText2, bin(10, text(1, "k")), `$.rm["k"].id: expected a value, since the field is required, found none`},
		{"required missing in an empty entry", wireText2, bin(10), `$.rm[""].id: expected a value, since the field is required, found none`},
		{"required missing in a map", wireText2, bin(10, text(1, "k"), bin(2, text(2, "x"))), `$.rm["k"].id: expected a value, since the field is required, found none`},
		{"required missing in a oneof", wireText2, join(varint(8, 1), bin(7)), "$.a.id: expected a value, since the field is required, found none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.text)
			d, err := s.Decoder([]int{s.File().Messages().Len() - 1})
			if err != nil {
				t.Fatal(err)
			}
			_, decoded := rowJSON(t, d, tt.payload)
			for _, err := range []error{d.Validate(tt.payload), decoded} {
				var refused *schema.Invalid
				if !errors.As(err, &refused) || err.Error() != tt.want {
					t.Errorf("\n got %v\nwant %v", err, tt.want)
				}
			}
		})
	}
}

// TestDepth takes messages to the limit and one beyond it.
func TestDepth(t *testing.T) {
	d := decoderOf(t, `syntax = "proto3"; message N { int32 v = 1; N next = 2; repeated N kids = 3; map<int32, N> by = 4; }`)
	for _, wrap := range []func([]byte) []byte{
		func(b []byte) []byte { return bin(2, b) },
		func(b []byte) []byte { return bin(3, b) },
		func(b []byte) []byte { return bin(4, bin(2, b)) },
	} {
		var b []byte
		for range schema.MaxDepth - 1 {
			b = wrap(b)
		}
		if _, err := rowJSON(t, d, b); err != nil || d.Validate(b) != nil {
			t.Errorf("at the limit: %v, %v", err, d.Validate(b))
		}
		b = wrap(b)
		if _, err := rowJSON(t, d, b); err == nil || !strings.Contains(err.Error(), "at most 64 deep") || d.Validate(b) == nil {
			t.Errorf("beyond the limit: %v, %v", err, d.Validate(b))
		}
	}
}

// TestManyKeys has enough entries that they are sorted to find keys that come
// again.
func TestManyKeys(t *testing.T) {
	d := decoderOf(t, `syntax = "proto3"; message M { map<string, int32> m = 1; }`)
	var payload, want []byte
	for i := range 100 {
		payload = append(payload, bin(1, text(1, string(rune('a'+i%30))), varint(2, uint64(i)))...)
		if i >= 70 {
			want = append(want, bin(1, text(1, string(rune('a'+i%30))), varint(2, uint64(i)))...)
		}
	}
	got, err := rowJSON(t, d, payload)
	if err != nil {
		t.Fatal(err)
	}
	if clean, err := rowJSON(t, d, want); err != nil || got != clean {
		t.Errorf("\n got %s\nwant %s, %v", got, clean, err)
	}
}

// TestAmplification: a list of empty messages must not make more values than
// the payload pays for.
func TestAmplification(t *testing.T) {
	var fields strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&fields, "int64 f%d = %d;\n", i, i+1)
	}
	d := decoderOf(t, `syntax = "proto3"; message M { repeated Wide list = 1; } message Wide { `+fields.String()+` }`)
	payload := slices.Repeat(bin(1), 2000)
	_, err := rowJSON(t, d, payload)
	var refused *schema.Invalid
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "lists of at most") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := rowJSON(t, d, payload[:200]); err != nil {
		t.Errorf("100 items: %v", err)
	}

	wide := parse(t, `syntax = "proto2"; message M { repeated M list = 6000; `+strings.ReplaceAll(fields.String(), "int64", "optional int64")+`required int32 r = 6001; }`)
	if d, err = wide.Decoder(nil); err != nil {
		t.Fatal(err)
	}
	payload = join(varint(6001, 1), slices.Repeat(bin(6000, varint(6001, 1)), 14000))
	if err := d.Validate(payload); !errors.As(err, &refused) || !strings.Contains(err.Error(), "fields in all") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := wide.AppendJSON(nil, nil, payload); !errors.As(err, &refused) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestAbsence tells null from zero in every kind that has presence.
func TestAbsence(t *testing.T) {
	d := decoderOf(t, `syntax = "proto3"; import "google/protobuf/wrappers.proto"; message N { optional bytes x = 1; }
		message M { optional bytes a = 1; optional string b = 2; optional int64 c = 3; N d = 4; google.protobuf.BytesValue e = 5; oneof o { string f = 6; string g = 7; } bytes h = 8; }`, 1)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range [][]byte{nil, join(bin(1), bin(2), varint(3, 0), bin(4), bin(5), bin(6), bin(8))} {
		if err := d.Decode(payload, rows); err != nil {
			t.Fatal(err)
		}
	}
	batch := rows.Batch()
	for i, want := range []string{"NV", "NV", "NV", "NV", "NV", "NV", "NN", "VV"} {
		got := ""
		for row := range 2 {
			got += map[bool]string{true: "N", false: "V"}[batch.Column(i).IsNull(row)]
		}
		if got != want {
			t.Errorf("column %s: got %s, want %s", batch.ColumnName(i), got, want)
		}
	}
}

// TestUndo: a refused payload leaves the rows as they were, and they go on.
func TestUndo(t *testing.T) {
	d := decoderOf(t, wireText, 1)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	good := join(varint(1, 1), text(13, "a"), bin(6, text(1, "k")))
	bad := join(good, text(13, "b"), bin(14, bin(2, bin(3, []byte{0x80}))))
	for i, payload := range [][]byte{good, bad, good, bad, bad, good} {
		if err := d.Decode(payload, rows); (err == nil) != (i%2 == 0 && i < 4 || i == 5) {
			t.Fatalf("payload %d: %v", i, err)
		}
	}
	batch := rows.Batch()
	if got, want := batch.NumRows(), int64(3); got != want {
		t.Errorf("got %d rows, want %d", got, want)
	}
	other, err := schema.NewRows(decoderOf(t, orderText, 1).Columns())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(good, other); err == nil {
		t.Error("rows of other columns were taken")
	}
}

// TestNoAllocation: neither validation nor decoding allocates per record once
// warm.
func TestNoAllocation(t *testing.T) {
	d, payload := decoderOf(t, orderText, 1), payloadOf(t, orderText, 1, orderJSON)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 { // grow the columns
		if err := d.Decode(payload, rows); err != nil {
			t.Fatal(err)
		}
	}
	rows.Batch()
	got := testing.AllocsPerRun(4000, func() {
		if d.Validate(payload) != nil || d.Decode(payload, rows) != nil {
			t.Error("refused")
		}
	})
	if got >= 1 {
		t.Errorf("%v allocations a record, want none", got)
	}
}
