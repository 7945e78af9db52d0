package avro

import (
	"testing"
	"time"

	oracle "github.com/twmb/avro"

	"github.com/tarn-io/tarn/schema"
)

// benchText is the twelve-field record of the project's measurements.
const benchText = `{"type":"record","name":"Order","namespace":"shop","fields":[
 {"name":"id","type":"string"},
 {"name":"number","type":"long"},
 {"name":"amount","type":"double"},
 {"name":"created","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"customer","type":{"type":"record","name":"Customer","fields":[
   {"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"mail","type":["null","string"],"default":null}]}},
 {"name":"tags","type":{"type":"array","items":"string"}},
 {"name":"attributes","type":{"type":"map","values":"string"}},
 {"name":"note","type":["null","string"],"default":null},
 {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":4}},
 {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},
 {"name":"paid","type":"boolean"},
 {"name":"count","type":"int"}]}`

// benchPayload is one such record.
func benchPayload(tb testing.TB) []byte {
	tb.Helper()
	b, err := oracle.MustParse(benchText).Encode(map[string]any{
		"id": "7f2c4f4e-8f5b-4d26", "number": int64(123456789), "amount": 1234.5, "created": time.UnixMicro(1_760_000_000_000_000),
		"customer": map[string]any{"id": int64(4711), "name": "Ada Lovelace", "mail": "ada@example.com"},
		"tags":     []any{"alpha", "beta", "gamma"}, "attributes": map[string]any{"colour": "blue", "size": "large"},
		"note": nil, "price": []byte{0x0b, 0xc6, 0x14, 0xe0}, "state": "PAID", "paid": true, "count": 42,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func benchDecoder(tb testing.TB) schema.Decoder {
	tb.Helper()
	s, err := Parse(schema.Source{Type: schema.Avro, Text: benchText})
	if err != nil {
		tb.Fatal(err)
	}
	d, err := s.Decoder(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func BenchmarkValidate(b *testing.B) {
	d, p := benchDecoder(b), benchPayload(b)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Validate(p); err != nil {
			b.Fatal(err)
		}
	}
}

// benchRows is how many rows a batch has: about what a sink cuts.
const benchRows = 50_000

func BenchmarkDecode(b *testing.B) {
	d, p := benchDecoder(b), benchPayload(b)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(p, rows); err != nil {
			b.Fatal(err)
		}
		if rows.Len() == benchRows {
			rows.Batch()
		}
	}
}

func BenchmarkOracle(b *testing.B) {
	s, p := oracle.MustParse(benchText), benchPayload(b)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		var v any
		if _, err := s.Decode(p, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(schema.Source{Text: benchText}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDecodeAllocatesNothing holds a warmed-up decoder to that.
func TestDecodeAllocatesNothing(t *testing.T) {
	d, p := benchDecoder(t), benchPayload(t)
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int) {
		for range n {
			if err := d.Decode(p, rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(5000)
	rows.Batch()
	fill(1)
	if n := testing.AllocsPerRun(10, func() { fill(100) }); n != 0 {
		t.Errorf("%v allocations per 100 rows, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Validate(p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per validation, want 0", n)
	}
	if rows.Len() < 1000 {
		t.Errorf("%d rows", rows.Len())
	}
}
