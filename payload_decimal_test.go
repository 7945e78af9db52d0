package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/schema"
)

// decimalSchema has decimals at all places where there can be one.
const decimalSchema = `{"type":"record","name":"Bill","namespace":"shop","fields":[
	{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
	{"name":"vat","type":["null",{"type":"fixed","name":"Rate","size":3,"logicalType":"decimal","precision":6,"scale":4}]},
	{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
		{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}},
		{"name":"next","type":["null","Line"]}]}}},
	{"name":"per","type":{"type":"map","values":["null","string","Rate"]}},
	{"name":"rates","type":{"type":"map","values":"Rate"}},
	{"name":"raw","type":"bytes"}]}`

func decimalPayloads(t testing.TB) *payloadSchema {
	t.Helper()
	text := strings.Replace(decimalSchema, "per", "per", 1)
	s, err := avro.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &payloadSchema{id: 1, typ: sr.TypeAvro, avro: s, exact: decimalsOf(s), text: decimalSchema}
}

// TestDecimals writes decimals as numbers and reads them back, to the last digit.
func TestDecimals(t *testing.T) {
	s := decimalPayloads(t)
	for _, want := range []string{
		`{"total":1234567890123456789012345678.90,"vat":null,"lines":[],"per":{},"rates":{},"raw":""}`,
		`{"total":-0.01,"vat":0.1900,"lines":[{"price":7,"next":{"price":-8,"next":null}}],"per":{"b":"1.5"},"rates":{"a<b":-1.0000},"raw":"12"}`,
		`{"total":0.00,"vat":-8.3886,"lines":[{"price":0,"next":null},{"price":128,"next":null}],"per":{},"rates":{},"raw":"\u00ff"}`,
	} {
		b, err := s.encode("", json.RawMessage(want))
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		f, err := schema.ParseFrame(b, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.decode(f)
		if err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

// TestDecimalAsText refuses digits in quotation marks, which would be bytes, and takes
// bytes that are none.
func TestDecimalAsText(t *testing.T) {
	s := decimalPayloads(t)
	const rest = `,"per":{},"rates":{},"raw":"1"}`
	for text, want := range map[string]string{
		`{"total":"0.01","vat":null,"lines":[]` + rest:                              `field total: the text "0.01"`,
		`{"total":"-7","vat":null,"lines":[]` + rest:                                `field total: the text "-7"`,
		`{"total":1,"vat":null,"lines":[{"price":"1e3","next":null}]` + rest:        `field lines[0].price: the text "1e3"`,
		`{"total":"\u0001","vat":null,"lines":[]` + rest:                            "",
		`{"total":1,"vat":null,"lines":[],"per":{"a":"1.5"},"rates":{},"raw":"12"}`: "",
	} {
		_, err := s.encode("", json.RawMessage(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "without quotation marks")) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestDecimalText holds two's complement to its numbers.
func TestDecimalText(t *testing.T) {
	for _, c := range []struct {
		raw   string
		scale int
		want  string
	}{
		{"", 2, "0.00"}, {"\x00", 0, "0"}, {"\x01", 2, "0.01"}, {"\xff", 2, "-0.01"}, {"\x80", 1, "-12.8"},
		{"\x00\x80", 1, "12.8"}, {"\x03\xe8", 3, "1.000"}, {"\xfc\x18", 4, "-0.1000"},
	} {
		if got := decimalText([]byte(c.raw), c.scale); got != c.want {
			t.Errorf("%x of scale %d: got %s, want %s", c.raw, c.scale, got, c.want)
		}
	}
}

// FuzzDecimals shows any JSON: what was valid stays valid, and nothing panics.
func FuzzDecimals(f *testing.F) {
	s := decimalPayloads(f)
	for _, seed := range []string{`{"total":"\u0001"}`, `{"lines":[{"next":{"price":"x"}}],"rates":{"a":"\u0000"}}`, `[`, `null`, ` {"total" : "\u00ff" , "per":{"x":"y"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := s.exact.show(json.RawMessage(text))
		if err != nil || json.Valid([]byte(text)) && !json.Valid(got) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
		_ = s.exact.check(json.RawMessage(text))
	})
}
