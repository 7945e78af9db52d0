package debezium_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	oracle "github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/debezium"
	"github.com/tarn-io/tarn/schema/language"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// connector is a source's envelopes: what reads them, and what writes them from
// their JSON.
type connector struct {
	decoder *debezium.Decoder
	write   func(text string) ([]byte, error)
}

func decoderOf(t testing.TB, typ schema.Type, text string) (schema.Schema, schema.Decoder) {
	t.Helper()
	s, err := language.Parse(schema.Source{Type: typ, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func open(t testing.TB, file string) connector {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var c connector
	typ := schema.JSON
	c.write = func(text string) ([]byte, error) { return []byte(text), nil }
	switch filepath.Ext(file) {
	case ".avsc":
		typ = schema.Avro
		s, err := oracle.Parse(string(raw))
		if err != nil {
			t.Fatal(err)
		}
		c.write = func(text string) ([]byte, error) {
			var v any
			if err := s.DecodeJSON([]byte(text), &v); err != nil {
				return nil, err
			}
			return s.AppendEncode(nil, v)
		}
	case ".proto":
		typ = schema.Protobuf
	}
	s, d := decoderOf(t, typ, string(raw))
	if p, ok := s.(*protobuf.Schema); ok {
		md, err := p.Message(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.write = func(text string) ([]byte, error) {
			m := dynamicpb.NewMessage(md)
			if err := protojson.Unmarshal([]byte(text), m); err != nil {
				return nil, err
			}
			return proto.Marshal(m)
		}
	}
	if c.decoder, err = debezium.New(d); err != nil {
		t.Fatal(err)
	}
	return c
}

// rowOf decodes one payload and gives its row as JSON, or why there is none.
func rowOf(t testing.TB, d schema.Decoder, payload []byte) string {
	t.Helper()
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	derr := d.Decode(payload, rows)
	if verr := d.Validate(payload); (verr == nil) != (derr == nil) {
		t.Errorf("validate says %v, decode %v", verr, derr)
	}
	b := rows.Batch()
	if derr != nil {
		if b.NumRows() != 0 {
			t.Errorf("%d rows after %v", b.NumRows(), derr)
		}
		var invalid *schema.Invalid
		if !errors.As(derr, &invalid) {
			t.Errorf("%v is no *schema.Invalid", derr)
		}
		return derr.Error()
	}
	text, err := array.RecordToStructArray(b).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\n", "")
}

const (
	pgSource  = `"source":{"version":"3.0.5.Final","connector":"postgresql","name":"shop","ts_ms":1714000000000,"snapshot":{"string":"false"},"db":"shop","sequence":{"string":"[null,\"24023128\"]"},"ts_us":{"long":1714000000000123},"ts_ns":null,"schema":"public","table":"customers","txId":{"long":555},"lsn":{"long":24023128},"xmin":null}`
	pgRest    = `,"transaction":null,"ts_ms":{"long":1714000000142},"ts_us":null,"ts_ns":null}`
	pgAlice   = `{"Value":{"id":1001,"first_name":"Alice","email":{"string":"a@x"},"balance":null,"tags":{"array":[{"string":"x"},null]},"created_at":{"long":5},"kafka_name":{"string":"k"}}}`
	pgKeyOnly = `{"Value":{"id":1001,"first_name":"","email":null,"balance":null,"tags":null,"created_at":{"long":0},"kafka_name":null}}`
	myRest    = `,"source":{"connector":"mysql","ts_ms":1714000000000,"db":"inventory","table":"products","server_id":1,"gtid":"g:7","file":"binlog.000003","pos":154,"row":0},"ts_ms":1714000000142}`
)

func TestRows(t *testing.T) {
	pgChange := `"kafka_cdc_position":"24023128","kafka_cdc_table":"shop.public.customers","kafka_cdc_timestamp":"2024-04-24T23:06:40.000123Z","kafka_cdc_transaction":"555"`
	myChange := `"kafka_cdc_position":"binlog.000003:154:0","kafka_cdc_table":"inventory.products","kafka_cdc_timestamp":"2024-04-24T23:06:40Z","kafka_cdc_transaction":"g:7"`
	for _, c := range []struct{ name, file, event, want string }{
		{"create", "postgres.avsc", `{"before":null,"after":` + pgAlice + `,` + pgSource + `,"op":"c"` + pgRest,
			`[{"balance":null,"created_at":5,"email":"a@x","first_name":"Alice","id":1001,"kafka_cdc_op":"c",` + pgChange + `,"kafka_name_":"k","tags":["x",null]}]`},
		{"delete, with the key", "postgres.avsc", `{"before":` + pgKeyOnly + `,"after":null,` + pgSource + `,"op":"d"` + pgRest,
			`[{"balance":null,"created_at":0,"email":null,"first_name":"","id":1001,"kafka_cdc_op":"d",` + pgChange + `,"kafka_name_":null,"tags":null}]`},
		{"delete, without", "postgres.avsc", `{"before":null,"after":null,` + pgSource + `,"op":"d"` + pgRest,
			`[{"balance":null,"created_at":null,"email":null,"first_name":null,"id":null,"kafka_cdc_op":"d",` + pgChange + `,"kafka_name_":null,"tags":null}]`},
		{"truncate", "postgres.avsc", `{"before":null,"after":null,` + pgSource + `,"op":"t","transaction":{"event.block":{"id":"556:1","total_order":1,"data_collection_order":1}},"ts_ms":null,"ts_us":null,"ts_ns":null}`,
			`[{"balance":null,"created_at":null,"email":null,"first_name":null,"id":null,"kafka_cdc_op":"t",` + strings.Replace(pgChange, `"555"`, `"556:1"`, 1) + `,"kafka_name_":null,"tags":null}]`},
		{"update that lacks its row", "postgres.avsc", `{"before":null,"after":null,` + pgSource + `,"op":"u"` + pgRest,
			`$.after: expected the row, since op is "u", found null`},
		{"message", "postgres.avsc", `{"before":null,"after":null,` + pgSource + `,"op":"m"` + pgRest,
			`$.op: expected c, r, u, d or t, found "m", a message of the source's log and no change of a row`},
		{"snapshot", "mysql.json", `{"before":null,"after":{"id":7,"name":"lamp","weight":1.5},"op":"r"` + myRest,
			`[{"id":7,"kafka_cdc_op":"r",` + myChange + `,"kafka_extra":null,"name":"lamp","weight":1.5}]`},
		{"update", "mysql.json", `{"before":{"id":7,"name":"lamp","weight":1.5},"after":{"id":7,"name":"desk lamp","weight":null},"op":"u"` + myRest,
			`[{"id":7,"kafka_cdc_op":"u",` + myChange + `,"kafka_extra":null,"name":"desk lamp","weight":null}]`},
		{"delete of a whole row", "mysql.json", `{"before":{"id":7,"name":"lamp","weight":1.5},"after":null,"op":"d"` + myRest,
			`[{"id":7,"kafka_cdc_op":"d",` + myChange + `,"kafka_extra":null,"name":"lamp","weight":1.5}]`},
		{"no op", "mysql.json", `{"before":null,"after":{"id":7,"name":"lamp"}` + myRest, `$.op: expected c, r, u, d or t, found nothing`},
		{"insert", "sqlserver.proto", `{"after":{"id":3,"item":"x","parts":[1,2]},"op":"c","source":{"ts_ms":"1714000000000","db":"shop","schema":"dbo","table":"orders","change_lsn":"0025:7a8:3","commit_lsn":"0025:7a8:5"},"transaction":{"id":"0025"}}`,
			`[{"id":3,"item":"x","kafka_cdc_op":"c","kafka_cdc_position":"0025:7a8:3","kafka_cdc_table":"shop.dbo.orders","kafka_cdc_timestamp":"2024-04-24T23:06:40Z","kafka_cdc_transaction":"0025","parts":[1,2]}]`},
		{"nothing of a source", "sqlserver.proto", `{"before":{"id":3},"op":"d"}`,
			`[{"id":3,"item":"","kafka_cdc_op":"d","kafka_cdc_position":null,"kafka_cdc_table":null,"kafka_cdc_timestamp":null,"kafka_cdc_transaction":null,"parts":[]}]`},
		{"empty", "sqlserver.proto", `{}`, `$.op: expected c, r, u, d or t, found nothing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := open(t, c.file)
			payload, err := conn.write(c.event)
			if err != nil {
				t.Fatal(err)
			}
			if got := rowOf(t, conn.decoder, payload); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestManyRows: the room that a decoder lends itself holds nothing of an envelope
// before, also of one that was refused.
func TestManyRows(t *testing.T) {
	conn := open(t, "mysql.json")
	rows, err := schema.NewRows(conn.decoder.Columns())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		err := conn.decoder.Decode([]byte(`{"before":null,"after":{"id":7,"name":"lamp","weight":2},"op":"c"}`), rows)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.decoder.Decode([]byte(`{"before":{"id":8,"name":"x"},"after":null,"op":"u"}`), rows); err == nil {
			t.Fatal("an update without its row is taken")
		}
		if err := conn.decoder.Decode([]byte(`{"before":{"id":8`), rows); err == nil {
			t.Fatal("half an envelope is taken")
		}
		if err := conn.decoder.Decode([]byte(`{"before":{"id":`+string(rune('0'+i%10))+`,"name":"x"},"op":"d"}`), rows); err != nil {
			t.Fatal(err)
		}
	}
	b := rows.Batch()
	if b.NumRows() != 200 {
		t.Fatalf("%d rows", b.NumRows())
	}
	id := b.Column(b.Schema().FieldIndices("id")[0]).(*array.Int64)
	name := b.Column(b.Schema().FieldIndices("name")[0]).(*array.String)
	for i := range 200 {
		want, text := int64(7), "lamp"
		if i%2 == 1 {
			want, text = int64(i/2%10), "x"
		}
		if id.Value(i) != want || name.Value(i) != text {
			t.Errorf("row %d is %d %s, want %d %s", i, id.Value(i), name.Value(i), want, text)
		}
	}
}

func TestNotEnvelope(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
	}{
		{"flat", `{"type":"record","name":"R","fields":[{"name":"id","type":"int"}]}`, "neither a field op nor a field after"},
		{"no op", `{"type":"record","name":"R","fields":[{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"id","type":"int"}]}]}]}`, "no field op"},
		{"no after", `{"type":"record","name":"R","fields":[{"name":"op","type":"string"}]}`, "no field after"},
		{"op is a number", `{"type":"record","name":"R","fields":[{"name":"op","type":"int"},{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"id","type":"int"}]}]}]}`, "op is int, not text"},
		{"documents", `{"type":"record","name":"R","fields":[{"name":"op","type":"string"},{"name":"before","type":["null","string"]},{"name":"after","type":["null","string"]}]}`, "documents as text, as of MongoDB"},
		{"images differ", `{"type":"record","name":"R","fields":[{"name":"op","type":"string"},{"name":"before","type":["null",{"type":"record","name":"W","fields":[{"name":"id","type":"string"}]}]},{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"id","type":"int"}]}]}]}`, "field id is string in before and int in after"},
		{"names of one column", `{"type":"record","name":"R","fields":[{"name":"op","type":"string"},{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"kafka_x","type":"int"},{"name":"KAFKA_X","type":"int"}]}]}]}`, ""},
	} {
		s, err := language.Parse(schema.Source{Type: schema.Avro, Text: c.text})
		if err != nil {
			t.Fatal(c.name, err)
		}
		d, err := s.Decoder(nil)
		if err != nil {
			if c.want != "" {
				t.Error(c.name, err)
			}
			continue
		}
		_, err = debezium.New(d)
		var not *debezium.NotEnvelope
		if !errors.As(err, &not) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestAliases: names that fields had before reach the columns of the row.
func TestAliases(t *testing.T) {
	_, d := decoderOf(t, schema.Avro, `{"type":"record","name":"R","fields":[{"name":"op","type":"string"},{"name":"after","type":["null",{"type":"record","name":"V","fields":[{"name":"surname","aliases":["name"],"type":"string"}]}]}]}`)
	u, err := debezium.New(d)
	if err != nil {
		t.Fatal(err)
	}
	have := arrow.NewSchema([]arrow.Field{{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	kept := schema.Keep(have, schema.AliasedColumns(u))
	if len(kept.FieldIndices("name")) != 1 || len(kept.FieldIndices("surname")) != 0 {
		t.Errorf("columns %v, want name for surname", kept)
	}
	if got, err := debezium.Columns(schema.AliasedColumns(d)); err != nil || !got.Equal(u.Aliased()) {
		t.Errorf("columns are %v, %v; the decoder's %v", got, err, u.Aliased())
	}
}

func TestJSON(t *testing.T) {
	const source = `"source":{"connector":"oracle","ts_ms":1714000000000,"snapshot":"false","db":"ORCL","schema":"INV","table":"C","txId":"0600","scn":"2122185"}`
	const about = `"kafka_cdc_position":"2122185","kafka_cdc_table":"ORCL.INV.C","kafka_cdc_timestamp":"2024-04-24T23:06:40Z","kafka_cdc_transaction":"0600"`
	for _, c := range []struct{ name, event, want string }{
		{"bare", `{"before":null,"after":{"ID":1, "N":"x"},` + source + `,"op":"c","ts_ms":1}`, `[{"kafka_cdc_op":"c",` + about + `,"value":"{\"ID\":1, \"N\":\"x\"}"}]`},
		{"with its schema", `{"schema":{"type":"struct","fields":[]},"payload":{"before":{"ID":1},"after":null,` + source + `,"op":"d"}}`, `[{"kafka_cdc_op":"d",` + about + `,"value":"{\"ID\":1}"}]`},
		{"truncate", `{"op":"t"}`, `[{"kafka_cdc_op":"t","kafka_cdc_position":null,"kafka_cdc_table":null,"kafka_cdc_timestamp":null,"kafka_cdc_transaction":null,"value":null}]`},
		{"a document of MongoDB", `{"op":"c","after":"{\"_id\":{\"$numberLong\":\"1004\"}}","source":{"db":"inventory","collection":"customers","ord":31}}`,
			`[{"kafka_cdc_op":"c","kafka_cdc_position":null,"kafka_cdc_table":"inventory.customers","kafka_cdc_timestamp":null,"kafka_cdc_transaction":null,"value":"\"{\\\"_id\\\":{\\\"$numberLong\\\":\\\"1004\\\"}}\""}]`},
		{"MySQL", `{"op":"r","after":{},"source":{"db":"i","table":"p","file":"b.3","pos":154,"row":0,"gtid":null},"transaction":{"id":"t1"}}`,
			`[{"kafka_cdc_op":"r","kafka_cdc_position":"b.3:154:0","kafka_cdc_table":"i.p","kafka_cdc_timestamp":null,"kafka_cdc_transaction":"t1","value":"{}"}]`},
		{"no row", `{"op":"u","after":null}`, `$.after: expected the row, since op is "u", found null`},
		{"a message", `{"op":"m"}`, `$.op: expected c, r, u, d or t, found "m", a message of the source's log and no change of a row`},
		{"flat", `{"id":1}`, `$.op: expected c, r, u, d or t, found nothing`},
		{"another op", `{"op":{"x":1}}`, `$: expected a change envelope of Debezium, found something else (json: cannot unmarshal object in)`},
		{"no JSON", `{"op":`, `$: expected one JSON value, found unexpected end of JSON input, at position 6`},
	} {
		if got := rowOf(t, debezium.NewJSON(), []byte(c.event)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// FuzzJSON: no payload breaks the decoder, and a row that it makes is JSON.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"schema":{},"payload":{"op":"c","after":{"a":1},"source":{"lsn":5,"ts_us":9}}}`))
	f.Add([]byte(`{"op":"d","before":"x","transaction":{"id":[]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) { rowOf(t, debezium.NewJSON(), payload) })
}

// FuzzDecoder: no payload breaks the decoder of an envelope.
func FuzzDecoder(f *testing.F) {
	conn := open(f, "postgres.avsc")
	b, err := conn.write(`{"before":` + pgAlice + `,"after":` + pgAlice + `,` + pgSource + `,"op":"u"` + pgRest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, payload []byte) { rowOf(t, conn.decoder, payload) })
}
