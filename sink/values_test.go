package sink_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/parquet"
)

// produced is one record of a case, and the row it must become, as Arrow writes
// it in JSON.
type produced struct {
	ms         int64
	key, value []byte
	headers    []record.RecordHeader
	want       string
}

// prefixed frames a payload as Confluent's clients do.
func prefixed(id int, payload []byte) []byte {
	return append(schema.AppendPrefix(nil, int32(id)), payload...)
}

// guidHeader is the record header that names a schema by its GUID.
func guidHeader(t *testing.T, v registry.Version, index []byte) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(v.GUID, "-", ""))
	if err != nil || len(raw) != 16 {
		t.Fatalf("GUID %q: %v", v.GUID, err)
	}
	return append(schema.AppendHeader(nil, [16]byte(raw)), index...)
}

// TestValues sends records of each language through registry, decoders and
// Parquet, in all of Confluent's forms, and reads the files back.
func TestValues(t *testing.T) {
	t.Run("avro", testAvroValues)
	t.Run("protobuf", testProtobufValues)
	t.Run("json", testJSONValues)
	t.Run("plain", testPlainValues)
}

// testPlainValues reads topics without a schema, in the manners there are.
func testPlainValues(t *testing.T) {
	const meta = `"kafka_partition":0,"kafka_timestamp":"2023-11-14T22:13:20Z","kafka_headers":[],"kafka_schema_id":null,`
	for _, c := range []struct {
		key, value string
		payload    string
		want       string // of key and value
	}{
		{sink.AsSchema, "binary", "\x00\xff", `"kafka_key":"aw==","value":"AP8="`},
		{"binary", "string", "\x00\x00\x00\x00\x01Köln", `"kafka_key":"aw==","value":"\u0000\u0000\u0000\u0000\u0001Köln"`},
		{"string", "json", ` {"a": 1.50}`, `"kafka_key":"aw==","kafka_key_decoded":{"value":"k"},"value":" {\"a\": 1.50}"`},
	} {
		t.Run(c.value, func(t *testing.T) {
			w := newWorld(t)
			w.alter(func(t *sink.Topic) { t.KeyAs, t.ValueAs = c.key, c.value })
			null := strings.Replace(c.want, `"value":`+c.want[strings.LastIndex(c.want, `"value":`)+8:], `"value":null`, 1)
			w.expect(t, []produced{
				{1700000000000, []byte("k"), []byte(c.payload), nil, `{` + meta + `"kafka_offset":0,` + c.want + `}`},
				{1700000000000, []byte("k"), nil, nil, `{` + meta + `"kafka_offset":1,` + null + `}`},
			})
		})
	}
}

func testAvroValues(t *testing.T) {
	w := newWorld(t)
	value := w.version(schema.Avro, "orders-value", `{"type":"record","name":"Order","fields":[
		{"name":"id","type":"long"},
		{"name":"paid","type":["null","double"],"default":null},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
		{"name":"tags","type":{"type":"array","items":"string"}},
		{"name":"to","type":{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}},
		{"name":"raw","type":"bytes"},
		{"name":"attrs","type":{"type":"map","values":"int"}}]}`)
	key := w.version(schema.Avro, "orders-key", `{"type":"record","name":"Key","fields":[{"name":"region","type":"string"},{"name":"n","type":"int"}]}`)
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	body := func(id int64, paid bool) []byte {
		b := binary.AppendVarint(nil, id)
		if b = append(b, 0); paid {
			b[len(b)-1] = 2
			b = append(b, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f) // 1.5
		}
		b = binary.AppendVarint(b, 1700000000123)
		b = append(text(b, ""), []byte{}...)
		b = append(b[:len(b)-1], 4, 0x04, 0xd2) // 1234 unscaled
		b = append(binary.AppendVarint(b, 2), text(text(nil, "x"), "ü")...)
		b = append(b, 0)
		b = text(b, "Köln")
		b = text(b, "\x00\xff")
		return append(append(binary.AppendVarint(b, 1), text(nil, "k")...), 14, 0)
	}
	keyBody := append(text(nil, "eu"), 10)
	tail := `,"at":"2023-11-14T22:13:20.123Z","price":"12.34","tags":["x","ü"],"to":{"city":"Köln"},"raw":"AP8=","attrs":[{"key":"k","value":7}]}`
	const ts = `"kafka_timestamp":"2023-11-14T22:13:20.456Z"`
	w.expect(t, []produced{
		{1700000000456, prefixed(key.ID, keyBody), prefixed(value.ID, body(1, true)),
			[]record.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}}},
			`{"kafka_partition":0,"kafka_offset":0,` + ts + `,"kafka_key":"AAAAAAIEZXUK","kafka_headers":[{"key":"a","value":"MQ=="},{"key":"a","value":null},{"key":"","value":""}],"kafka_schema_id":1,"kafka_key_decoded":{"n":5,"region":"eu"},"id":1,"paid":1.5` + tail},
		{0, nil, prefixed(value.ID, body(2, false)), nil,
			`{"kafka_partition":0,"kafka_offset":1,"kafka_timestamp":"1970-01-01T00:00:00Z","kafka_key":null,"kafka_headers":[],"kafka_schema_id":1,"kafka_key_decoded":null,"id":2,"paid":null` + tail},
		// Schemas named in headers, by GUID and by id; then bare payloads.
		{1700000000456, keyBody, body(3, true), []record.RecordHeader{
			{Key: schema.KeyHeader, Value: guidHeader(t, key, nil)}, {Key: schema.ValueHeader, Value: guidHeader(t, value, nil)}},
			`{"kafka_partition":0,"kafka_offset":2,` + ts + `,"kafka_key":"BGV1Cg==","kafka_headers":"…","kafka_schema_id":1,"kafka_key_decoded":{"n":5,"region":"eu"},"id":3,"paid":1.5` + tail},
		{1700000000456, keyBody, body(4, true), []record.RecordHeader{{Key: schema.ValueHeader, Value: schema.AppendPrefix(nil, int32(value.ID))}},
			`{"kafka_partition":0,"kafka_offset":3,` + ts + `,"kafka_key":"BGV1Cg==","kafka_headers":"…","kafka_schema_id":1,"kafka_key_decoded":{"n":5,"region":"eu"},"id":4,"paid":1.5` + tail},
		{1700000000456, keyBody, body(5, true), nil,
			`{"kafka_partition":0,"kafka_offset":4,` + ts + `,"kafka_key":"BGV1Cg==","kafka_headers":[],"kafka_schema_id":1,"kafka_key_decoded":{"n":5,"region":"eu"},"id":5,"paid":1.5` + tail},
		{1700000000456, keyBody, nil, nil,
			`{"kafka_partition":0,"kafka_offset":5,` + ts + `,"kafka_key":"BGV1Cg==","kafka_headers":[],"kafka_schema_id":null,"kafka_key_decoded":{"n":5,"region":"eu"},"id":null,"paid":null,"at":null,"price":null,"tags":null,"to":null,"raw":null,"attrs":null}`},
	})
}

func testProtobufValues(t *testing.T) {
	w := newWorld(t)
	value := w.version(schema.Protobuf, "orders-value", `syntax = "proto3"; package shop;
		message Order { int64 id = 1; string item = 2; optional double price = 3; repeated int32 sizes = 4; Kind kind = 5; Address to = 6;
			message Address { string city = 1; } enum Kind { NEW = 0; OLD = 1; } }
		message Cancel { int64 id = 1; string why = 2; }`)
	order := func(id uint64) []byte {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), id)
		b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), "böx")
		b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), 0x3ff8000000000000)
		b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), []byte{3, 4})
		b = protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), 1)
		to := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "Rom")
		return protowire.AppendBytes(protowire.AppendTag(b, 6, protowire.BytesType), to)
	}
	cancel := protowire.AppendString(protowire.AppendTag([]byte{8, 9}, 2, protowire.BytesType), "late")
	const meta = `"kafka_timestamp":"2023-11-14T22:13:20Z","kafka_key":"aw==","kafka_headers":`
	tail := `,"item":"böx","price":1.5,"sizes":[3,4],"kind":"OLD","to":{"city":"Rom"},"why":null}`
	w.expect(t, []produced{
		{1700000000000, []byte("k"), prefixed(value.ID, append([]byte{0}, order(1)...)), nil,
			`{"kafka_partition":0,"kafka_offset":0,` + meta + `[],"kafka_schema_id":1,"id":1` + tail},
		{1700000000000, []byte("k"), order(2), []record.RecordHeader{{Key: schema.ValueHeader, Value: guidHeader(t, value, []byte{0})}},
			`{"kafka_partition":0,"kafka_offset":1,` + meta + `"…","kafka_schema_id":1,"id":2` + tail},
		{1700000000000, []byte("k"), order(3), nil,
			`{"kafka_partition":0,"kafka_offset":2,` + meta + `[],"kafka_schema_id":1,"id":3` + tail},
		// Another message of the same file: the table takes its fields in.
		{1700000000000, []byte("k"), prefixed(value.ID, append(schema.AppendIndexes(nil, []int{1}), cancel...)), nil,
			`{"kafka_partition":0,"kafka_offset":3,` + meta + `[],"kafka_schema_id":1,"id":9,"item":null,"price":null,"sizes":null,"kind":null,"to":null,"why":"late"}`},
	})
}

func testJSONValues(t *testing.T) {
	w := newWorld(t)
	value := w.version(schema.JSON, "orders-value", `{"type":"object","title":"Order","properties":{
		"id":{"type":"integer"},"item":{"type":"string"},"price":{"type":"number"},
		"tags":{"type":"array","items":{"type":"string"}}},"required":["id"]}`)
	const meta = `"kafka_timestamp":"2023-11-14T22:13:20Z","kafka_key":"aw==","kafka_headers":`
	w.expect(t, []produced{
		{1700000000000, []byte("k"), prefixed(value.ID, []byte(`{"id": 1, "item": "bö\u0078", "price": 1.5, "tags": ["a", "b"]}`)), nil,
			`{"kafka_partition":0,"kafka_offset":0,` + meta + `[],"kafka_schema_id":1,"id":1,"item":"böx","price":1.5,"tags":["a","b"],"kafka_extra":null}`},
		{1700000000000, []byte("k"), []byte(`{"id": 2}`), []record.RecordHeader{{Key: schema.ValueHeader, Value: guidHeader(t, value, nil)}},
			`{"kafka_partition":0,"kafka_offset":1,` + meta + `"…","kafka_schema_id":1,"id":2,"item":null,"price":null,"tags":null,"kafka_extra":null}`},
		{1700000000000, []byte("k"), []byte(`{"id": 3, "more": {"x": [1]}}`), nil,
			`{"kafka_partition":0,"kafka_offset":2,` + meta + `[],"kafka_schema_id":1,"id":3,"item":null,"price":null,"tags":null,"kafka_extra":[{"key":"/more","value":"{\"x\": [1]}"}]}`},
	})
}

func (w *world) version(language schema.Type, subject, text string) registry.Version {
	w.t.Helper()
	v, err := w.reg.Register(w.t.Context(), subject, registry.Request{Type: language, Text: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// expect produces the records, one flush each and then all at once in the other
// partition, and reads the Parquet files back.
func (w *world) expect(t *testing.T, records []produced) {
	t.Helper()
	w.run()
	together := record.NewBuilder(record.Options{Codec: record.Zstd})
	for i, r := range records {
		b := record.NewBuilder(record.Options{})
		b.Append(r.ms, r.key, r.value, r.headers...)
		w.append(0, b)
		w.verify(int64(i)+1, 0)
		together.Append(r.ms, r.key, r.value, r.headers...)
	}
	w.append(1, together)
	w.verify(2*int64(len(records)), 0)
	got := map[string]map[string]any{}
	for info, err := range w.store.List(t.Context(), "default/orders/parquet/data-") {
		if err != nil {
			t.Fatal(err)
		}
		w.readRows(t, info.Key, got)
	}
	for i, r := range records {
		for part := range 2 {
			var want map[string]any
			if err := json.Unmarshal([]byte(r.want), &want); err != nil {
				t.Fatalf("record %d: %v in %s", i, err, r.want)
			}
			want["kafka_partition"] = float64(part)
			have := got[fmt.Sprint(part, "/", i)]
			if !sameRow(have, want) {
				t.Errorf("record %d in partition %d:\ngot  %v\nwant %v", i, part, have, want)
			}
		}
	}
}

// sameRow compares rows. Headers that say "…" are not compared; a column that
// an older file lacks is null, as readers take it.
func sameRow(got, want map[string]any) bool {
	if got == nil {
		return false
	}
	for name, v := range want {
		if v != "…" && !reflect.DeepEqual(got[name], v) {
			return false
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return false
		}
	}
	return true
}

// readRows reads a file's rows by "partition/offset".
func (w *world) readRows(t *testing.T, key string, into map[string]map[string]any) {
	t.Helper()
	f, err := w.store.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b, err := range parquet.ReadRows(t.Context(), f, nil) {
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := array.RecordToJSON(b, &out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			into[fmt.Sprint(row["kafka_partition"], "/", row["kafka_offset"])] = row
		}
	}
}
