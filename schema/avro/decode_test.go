package avro

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

// payload joins bytes: int is a zigzag varint, string and []byte get a length,
// raw is as it stands.
type raw []byte

func payload(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.AppendVarint(b, int64(p))
		case int64:
			b = binary.AppendVarint(b, p)
		case string:
			b = append(binary.AppendVarint(b, int64(len(p))), p...)
		case []byte:
			b = append(binary.AppendVarint(b, int64(len(p))), p...)
		case raw:
			b = append(b, p...)
		}
	}
	return b
}

func mustDecoder(tb testing.TB, text string) schema.Decoder {
	tb.Helper()
	d, err := mustParse(tb, text).Decoder(nil)
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return d
}

const (
	listText  = `{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","N"]}]}`
	itemsText = `{"type":"record","name":"O","fields":[{"name":"items","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"price","type":"double"}]}}}]}`
	decText   = `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`
	fixDec    = `{"type":"fixed","name":"F","size":20,"logicalType":"decimal","precision":38,"scale":2}`
	bigDec    = `{"type":"bytes","logicalType":"decimal","precision":40,"scale":3}`
)

// TestValues decodes one good payload each and looks at the row.
func TestValues(t *testing.T) {
	tests := []struct {
		name, text string
		payload    []byte
		want       string
	}{
		{"null", `"null"`, nil, `[{"value":null}]`},
		{"longest varint", `"long"`, payload(int64(math.MinInt64)), `[{"value":-9223372036854775808}]`},
		{"padded varint", `"int"`, raw{0x82, 0x80, 0x80, 0x80, 0x00}, `[{"value":1}]`},
		{"float", `"float"`, raw{0, 0, 0xc0, 0x3f}, `[{"value":1.5}]`},
		{"union of two", `["string","null"]`, payload(0, "é"), `[{"value":"é"}]`},
		{"union of two, null", `["string","null"]`, payload(1), `[{"value":null}]`},
		{"union of one", `["int"]`, payload(0, 7), `[{"value":7}]`},
		{"union of null", `["null"]`, payload(0), `[{"value":null}]`},
		{"union of many", `["null","int","string"]`, payload(2, "x"), `[{"value":{"int":null,"string":"x"}}]`},
		{"union of many, null", `["null","int","string"]`, payload(0), `[{"value":null}]`},
		{"array in blocks", `{"type":"array","items":"int"}`, payload(2, 1, 2, -1, 1, 3, 0), `[{"value":[1,2,3]}]`},
		{"map", `{"type":"map","values":["null","int"]}`, payload(2, "a", 1, 5, "b", 0, 0), `[{"value":[{"key":"a","value":5},{"key":"b","value":null}]}]`},
		{"decimal", decText, payload([]byte{0xd8, 0xf1}), `[{"value":"-99.99"}]`},
		{"decimal of 16 bytes", decText, payload(append(make([]byte, 15), 7)), `[{"value":"0.07"}]`},
		{"padded fixed decimal", fixDec, append(bytes.Repeat([]byte{0xff}, 19), 0x9c), `[{"value":"-1"}]`},
		{"wide decimal", bigDec, payload([]byte{0xff}), `[{"value":"-0.001"}]`},
		{"time-millis", `{"type":"int","logicalType":"time-millis"}`, payload(86_399_999), `[{"value":"23:59:59.999"}]`},
		{"timestamp-millis before 1970", `{"type":"long","logicalType":"timestamp-millis"}`, payload(-1), `[{"value":"1969-12-31T23:59:59.999Z"}]`},
		{"local nanos round down", `{"type":"long","logicalType":"local-timestamp-nanos"}`, payload(-1), `[{"value":"1969-12-31T23:59:59.999999"}]`},
		{"duration", `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`, raw{1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, `[{"value":{"days":2,"millis":4294967295,"months":1}}]`},
		{"recursive", listText, payload(1, 1, 2, 1, 3, 0), `[{"next":"{\"v\":2,\"next\":{\"v\":3,\"next\":null}}","v":1}]`},
		{"empty items", `{"type":"array","items":"null"}`, payload(4096, 0), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mustDecoder(t, tt.text)
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(tt.payload, rows); err != nil {
				t.Fatal(err)
			}
			got, err := array.RecordToStructArray(rows.Batch()).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			got = bytes.ReplaceAll(got, []byte("\n"), nil)
			if tt.want != "" && string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// hostile are payloads that must be refused, with the whole message.
func hostile() []struct {
	name, text string
	payload    []byte
	want       string
} {
	return []struct {
		name, text string
		payload    []byte
		want       string
	}{
		{"nothing", `"int"`, nil, "$: expected int, found the end of the payload"},
		{"more behind", `"int"`, raw{2, 0}, "$: expected the end of the payload, found bytes 00"},
		{"endless varint", `"long"`, bytes.Repeat([]byte{0xff}, 12), "$: expected long, found bytes ff ff ff ff ff ff ff ff ff ff... (12 left)"},
		{"varint over 64 bits", `"long"`, append(bytes.Repeat([]byte{0xff}, 9), 2), "$: expected long, found bytes ff ff ff ff ff ff ff ff ff 02"},
		{"int over 32 bits", `"int"`, payload(1 << 31), "$: expected int, found bytes 80 80 80 80 10"},
		{"int in six bytes", `"int"`, raw{0x82, 0x80, 0x80, 0x80, 0x80, 0x00}, "$: expected int, found bytes 82 80 80 80 80 00"},
		{"boolean 2", `"boolean"`, raw{2}, "$: expected boolean, found bytes 02"},
		{"short double", `"double"`, raw{1, 2, 3}, "$: expected double, found bytes 01 02 03"},
		{"string that is no UTF-8", `"string"`, payload("ok\xff"), `$: expected string in UTF-8, found "ok\xff"`},
		{"long string that is no UTF-8", `"string"`, payload("abcdefghijklmnop\xc3("), `$: expected string in UTF-8, found "abcdefghijklmnop\xc3("`},
		{"string longer than the payload", `"string"`, payload(100, raw("abc")), "$: expected string, found a length of 100 with 3 bytes left"},
		{"negative length", `"bytes"`, payload(-1), "$: expected bytes, found a length of -1 with 0 bytes left"},
		{"enum index", `{"type":"enum","name":"E","symbols":["A","B"]}`, payload(2), "$: expected index of enum E below 2, found 2"},
		{"negative enum index", `{"type":"enum","name":"E","symbols":["A","B"]}`, payload(-1), "$: expected index of enum E below 2, found bytes 01"},
		{"nullable index", `["null","int"]`, payload(2, 1), "$: expected index of union below 2, found 2"},
		{"union index", `["null","int","string"]`, payload(3), "$: expected index of union below 3, found 3"},
		{"short fixed", `{"type":"fixed","name":"F","size":4}`, raw{1, 2}, "$: expected fixed of 4 bytes, found bytes 01 02"},
		{"count without items", `{"type":"array","items":"long"}`, payload(1 << 40), "$: expected at most 0 items of 1 bytes or more, found a count of 1099511627776"},
		{"count of wide items", itemsText, payload(2, raw(make([]byte, 15))), "$.items: expected at most 1 items of 8 bytes or more, found a count of 2"},
		{"map count without entries", `{"type":"map","values":"null"}`, payload(1 << 40), "$: expected at most 0 items of 1 bytes or more, found a count of 1099511627776"},
		{"nulls", `{"type":"array","items":"null"}`, payload(1<<33, 0), "$: expected at most 4096 items without bytes, found a count of 8589934592"},
		{"nulls in blocks", `{"type":"array","items":"null"}`, payload(4000, 100, 0), "$: expected at most 4096 items without bytes, found a count of 100"},
		{"nulls in arrays", `{"type":"array","items":{"type":"array","items":"null"}}`, payload(2, 4000, 0, 100, 0, 0), "$[1]: expected at most 4096 items without bytes, found a count of 100"},
		{"least count", `{"type":"array","items":"int"}`, payload(int64(math.MinInt64), 0, 0), "$: expected count of items, found bytes ff ff ff ff ff ff ff ff ff 01... (12 left)"},
		{"block size", `{"type":"array","items":"int"}`, payload(-1, 100, 1, 0), "$: expected size of a block, found a length of 100 with 2 bytes left"},
		{"block too long", `{"type":"array","items":"int"}`, payload(-1, 2, 1, 0), "$: expected end of the block at byte 4, found items up to byte 3"},
		{"field in an item", itemsText, payload(1, raw(make([]byte, 8)), 1, raw{1}), "$.items: expected at most 0 items of 8 bytes or more, found a count of 1"},
		{"item of an item", `{"type":"array","items":{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"boolean"}]}}`, payload(2, 1, raw{1}, 1, raw{7}, 0), "$[1].b: expected boolean, found bytes 07 00"},
		{"value of a key", `{"type":"map","values":"boolean"}`, payload(1, "a key", raw{7}, 0), `$["a key"]: expected boolean, found bytes 07 00`},
		{"key that is no UTF-8", `{"type":"map","values":"boolean"}`, payload(1, "\xff", raw{1}, 0), `$.key: expected string in UTF-8, found "\xff"`},
		{"branch", `["null","boolean","int"]`, payload(1, raw{7}), "$.boolean: expected boolean, found bytes 07"},
		{"decimal without bytes", decText, payload([]byte{}), "$: expected decimal, found no bytes"},
		{"decimal over its precision", decText, payload([]byte{0x27, 0x10}), "$: expected decimal of 4 digits, found bytes 27 10"},
		{"decimal under its precision", decText, payload([]byte{0xd8, 0xf0}), "$: expected decimal of 4 digits, found bytes d8 f0"},
		{"decimal of 17 bytes", decText, payload(make([]byte, 17)), "$: expected decimal of at most 16 bytes, found 17 bytes"},
		{"fixed decimal too large", fixDec, append([]byte{0, 1}, make([]byte, 18)...), "$: expected decimal of 38 digits, found bytes 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"wide decimal too large", bigDec, payload(bytes.Repeat([]byte{0x7f}, 17)), "$: expected decimal of 40 digits, found bytes 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f 7f..."},
		{"wide decimal too long", bigDec, payload(make([]byte, 5000)), "$: expected decimal of at most 17 bytes, found 5000 bytes"},
		{"time after the day", `{"type":"int","logicalType":"time-millis"}`, payload(86_400_000), "$: expected time-millis within a day, found 86400000"},
		{"time before the day", `{"type":"long","logicalType":"time-micros"}`, payload(-1), "$: expected time-micros within a day, found -1"},
		{"millis over 64 bits", `{"type":"long","logicalType":"timestamp-millis"}`, payload(int64(math.MaxInt64)), "$: expected timestamp-millis within 64-bit microseconds, found 9223372036854775807"},
		{"deep list", listText, append(bytes.Repeat([]byte{2, 2}, 100_000), 2, 0), "expected at most 64 levels, found a deeper payload"},
		{"bad value in recursion", listText, payload(1, 1, 2, 1, 3, 5), "$.next.next.next: expected index of union below 2, found 5"},
		{"costly items", costly(), append(payload(100_000), make([]byte, 100_001)...), "$.a: expected items that fill at most 268435456 bytes, found a count of 100000"},
	}
}

// costly is an array whose items of one byte are structs of 5,000 columns.
func costly() string {
	fields := make([]string, 5000)
	for i := range fields {
		fields[i] = fmt.Sprintf(`{"name":"f%d","type":"long"}`, i)
	}
	return `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":["null",{"type":"record","name":"S","fields":[` + strings.Join(fields, ",") + `]}]}}]}`
}

func TestHostile(t *testing.T) {
	for _, tt := range hostile() {
		t.Run(tt.name, func(t *testing.T) {
			d := mustDecoder(t, tt.text)
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			err = d.Decode(tt.payload, rows)
			bad, ok := errors.AsType[*schema.Invalid](err)
			if !ok || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if ok && (bad.Pos < 0 || bad.Pos > len(tt.payload)) {
				t.Errorf("at byte %d of %d", bad.Pos, len(tt.payload))
			}
			if valid := d.Validate(tt.payload); valid == nil || valid.Error() != err.Error() {
				t.Errorf("Validate says %v", valid)
			}
			if rows.Len() != 0 || rows.Bytes() > 8*int64(d.Columns().NumFields()) {
				t.Errorf("%d rows, %d bytes left behind", rows.Len(), rows.Bytes())
			}
		})
	}
}

func TestNoTableForm(t *testing.T) {
	wide := make([]string, schema.MaxFields+1)
	for i := range wide {
		wide[i] = fmt.Sprintf(`{"name":"f%d","type":"int"}`, i)
	}
	double := `"int"` // each record has the one before twice: 2^20 columns
	for i := range 20 {
		double = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":%s}]}`, i, double, map[bool]string{true: `"int"`, false: fmt.Sprintf(`"R%d"`, i-1)}[i == 0])
	}
	tests := []struct{ name, text, want string }{
		{"empty record", `{"type":"record","name":"R","fields":[]}`, "record R has no fields"},
		{"case", `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"A","type":"int"}]}`, `"a" and "A" differ only in case`},
		{"empty union", `[]`, "an empty union"},
		{"wide", `{"type":"record","name":"R","fields":[` + strings.Join(wide, ",") + `]}`, "more than 10000 columns"},
		{"doubling", double, "more than 10000 columns"},
		{"large fixed", `{"type":"fixed","name":"F","size":1000000000}`, "fixed F of 1000000000 bytes"},
		{"empty fixed", `{"type":"fixed","name":"F","size":0}`, "fixed F of no bytes"},
		{"digits", `{"type":"bytes","logicalType":"decimal","precision":100000}`, "a decimal of 100000 digits"},
	}
	for _, tt := range tests {
		_, err := mustParse(t, tt.text).Decoder(nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	s := mustParse(t, `"int"`)
	if _, err := s.Decoder([]int{1}); err == nil {
		t.Error("a message index was taken")
	}
	a, _ := s.Decoder(nil)
	if b, _ := s.Decoder(nil); a != b {
		t.Error("the decoder was compiled twice")
	}
}

func TestColumns(t *testing.T) {
	tests := []struct{ text, want string }{
		{`"boolean"`, "bool"}, {`"int"`, "int32"}, {`"long"`, "int64"}, {`"float"`, "float32"}, {`"double"`, "float64"},
		{`"bytes"`, "binary"}, {`"string"`, "utf8"}, {`"null"`, "utf8, nullable"},
		{`{"type":"fixed","name":"F","size":3}`, "fixed_size_binary[3]"},
		{`{"type":"enum","name":"E","symbols":["A"]}`, "utf8"},
		{`{"type":"string","logicalType":"uuid"}`, "utf8"},
		{`{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, "fixed_size_binary[16]"},
		{`{"type":"bytes","logicalType":"decimal","precision":38,"scale":5}`, "decimal(38, 5)"},
		{`{"type":"bytes","logicalType":"decimal","precision":39}`, "utf8"},
		{`{"type":"bytes","logicalType":"decimal","precision":3,"scale":4}`, "binary"},
		{`{"type":"bytes","logicalType":"big-decimal"}`, "binary"},
		{`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}`, "decimal(4, 0)"},
		{`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}`, "fixed_size_binary[2]"},
		{`{"type":"int","logicalType":"date"}`, "date32"},
		{`{"type":"int","logicalType":"time-millis"}`, "time64[us]"},
		{`{"type":"long","logicalType":"time-micros"}`, "time64[us]"},
		{`{"type":"long","logicalType":"timestamp-millis"}`, "timestamp[us, tz=UTC]"},
		{`{"type":"long","logicalType":"timestamp-micros"}`, "timestamp[us, tz=UTC]"},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, "timestamp[ns, tz=UTC]"},
		{`{"type":"long","logicalType":"local-timestamp-millis"}`, "timestamp[us]"},
		{`{"type":"long","logicalType":"local-timestamp-micros"}`, "timestamp[us]"},
		{`{"type":"long","logicalType":"local-timestamp-nanos"}`, "timestamp[us]"},
		{`{"type":"int","logicalType":"timestamp-millis"}`, "int32"},
		{`{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`, "struct<months: int64, days: int64, millis: int64>"},
		{`{"type":"array","items":"int"}`, "list<element: int32>"},
		{`{"type":"array","items":["null","int"]}`, "list<element: int32, nullable>"},
		{`{"type":"map","values":"int"}`, "map<utf8, int32, items_non_nullable>"},
		{`{"type":"map","values":["int","null"]}`, "map<utf8, int32, items_nullable>"},
		{`["null","int"]`, "int32, nullable"}, {`["int"]`, "int32"},
		{`["int","string"]`, "struct<int: int32 nullable, string: utf8 nullable>"},
		{`["null","int",{"type":"fixed","name":"a.F","size":1},{"type":"fixed","name":"b.F","size":2}]`, "struct<int: int32 nullable, a.F: fixed_size_binary[1] nullable, b.F: fixed_size_binary[2] nullable>, nullable"},
	}
	for _, tt := range tests {
		f := mustDecoder(t, tt.text).Columns().Field(0)
		got := f.Type.String()
		if f.Nullable {
			got += ", nullable"
		}
		if f.Name != "value" || got != tt.want {
			t.Errorf("%s: got %s %s, want value %s", tt.text, f.Name, got, tt.want)
		}
	}
	d := mustDecoder(t, `{"type":"record","name":"R","fields":[{"name":"kafka_id","type":"int"},{"name":"b","type":["null","R"]}]}`)
	if got, want := d.Columns().String(), "schema:\n  fields: 2\n    - kafka_id_: type=int32\n    - b: type=utf8, nullable"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	var decoders []schema.Decoder
	var rows []*schema.Rows
	for _, tt := range hostile() {
		if strings.Contains(tt.text, "f4999") {
			continue // too wide to run often
		}
		f.Add(len(decoders), tt.payload)
		d := mustDecoder(f, tt.text)
		r, err := schema.NewRows(d.Columns())
		if err != nil {
			f.Fatal(err)
		}
		decoders, rows = append(decoders, d), append(rows, r)
	}
	f.Add(len(decoders), benchPayload(f))
	d := benchDecoder(f)
	r, err := schema.NewRows(d.Columns())
	if err != nil {
		f.Fatal(err)
	}
	decoders, rows = append(decoders, d), append(rows, r)
	f.Fuzz(func(t *testing.T, i int, p []byte) {
		i = max(i, -i, 0) % len(decoders)
		before := rows[i].Len()
		err := decoders[i].Decode(p, rows[i])
		valid := decoders[i].Validate(p)
		if (err == nil) != (valid == nil) {
			t.Fatalf("Decode %v, Validate %v", err, valid)
		}
		if want := before + map[bool]int{true: 1}[err == nil]; rows[i].Len() != want {
			t.Fatalf("%d rows, want %d", rows[i].Len(), want)
		}
		if rows[i].Len() == 100 {
			for _, c := range rows[i].Batch().Columns() {
				if err := array.ValidateFull(c); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
