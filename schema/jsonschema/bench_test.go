package jsonschema

import (
	"bytes"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// benchSchema and benchRecord are the record of twelve fields that all formats
// are measured with.
const benchSchema = `{"type":"object","additionalProperties":false,
"required":["id","seq","ratio","at","user","tags","labels","price","state","ok","count"],"properties":{
"id":{"type":"string"},"seq":{"type":"integer"},"ratio":{"type":"number"},"at":{"type":"string","format":"date-time"},
"user":{"type":"object","additionalProperties":false,"required":["id","name"],"properties":{
	"id":{"type":"integer"},"name":{"type":"string"},"mail":{"type":["string","null"]}}},
"tags":{"type":"array","items":{"type":"string"}},
"labels":{"type":"object","additionalProperties":{"type":"string"}},
"note":{"type":["string","null"]},
"price":{"type":"number","multipleOf":0.0001},
"state":{"type":"string","enum":["NEW","OPEN","CLOSED"]},
"ok":{"type":"boolean"},"count":{"type":"integer","minimum":-2147483648,"maximum":2147483647}}}`

const benchRecord = `{"id":"order-0000123456","seq":1234567890123,"ratio":0.8251,"at":"2026-11-22T10:11:12.123456Z",` +
	`"user":{"id":987654321,"name":"Ada Lovelace","mail":"ada@example.com"},"tags":["alpha","beta","gamma"],` +
	`"labels":{"region":"eu-central","tier":"gold"},"note":"leave at the door","price":12345.6789,"state":"OPEN","ok":true,"count":42}`

func BenchmarkValidate(b *testing.B) {
	d, err := mustParse(b, benchSchema).Decoder(nil)
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(benchRecord)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Validate(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	d, err := mustParse(b, benchSchema).Decoder(nil)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(benchRecord)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(payload, rows); err != nil {
			b.Fatal(err)
		}
		if rows.Len() == 10000 {
			rows.Batch()
		}
	}
}

func BenchmarkLibrary(b *testing.B) {
	s := mustParse(b, benchSchema)
	b.SetBytes(int64(len(benchRecord)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := js.UnmarshalJSON(bytes.NewReader([]byte(benchRecord)))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.compiled.Validate(v); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoAllocation holds the promise of no allocation per record, on records
// that take every path of a good payload.
func TestNoAllocation(t *testing.T) {
	for name, c := range map[string][2]string{
		"bench":   {benchSchema, benchRecord},
		"open":    {`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}}}}}`, `{"a":{"b":"x\n\u00e9","c":1,"d":[]},"e":"x"}`},
		"union":   {`{"type":"object","additionalProperties":false,"properties":{"u":{"oneOf":[{"type":"integer","minimum":1},{"type":"string","maxLength":3},{"type":"null"}]},"v":{"allOf":[{"type":"number"},{"minimum":0.5}]}}}`, `{"u":"abc","v":123456789012345678901234567890.5}`},
		"unique":  {`{"type":"object","additionalProperties":false,"properties":{"u":{"type":"array","uniqueItems":true,"items":{"type":["number","string"]}}}}`, `{"u":[1,2.0,"1","\u0031a",1e3]}`},
		"pattern": {`{"type":"object","additionalProperties":false,"properties":{"p":{"type":"string","pattern":"^[a-z]+-[0-9]{2,4}$"}}}`, `{"p":"abc-123"}`},
	} {
		d, err := mustParse(t, c[0]).Decoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		payload := []byte(c[1])
		w := d.(*decoder).walkers.New().(*walker) // the pool may drop one at any time
		decode := func() {
			if err := d.(*decoder).decode(w, payload, rows); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for range 2000 {
			decode()
		}
		rows.Batch() // the next batch knows how much to expect
		decode()
		if got := testing.AllocsPerRun(1000, decode); got >= 0.5 {
			t.Errorf("%s: Decode: got %v allocations a record, want 0", name, got)
		}
		if got := testing.AllocsPerRun(100, func() { w.run(d.(*decoder).root, payload, nil) }); got >= 0.5 {
			t.Errorf("%s: Validate: got %v allocations a record, want 0", name, got)
		}
	}
}
