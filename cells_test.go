package main

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// TestCell writes texts as fields of each kind.
func TestCell(t *testing.T) {
	s := &payloadSchema{typ: sr.TypeAvro, text: `{"type":"record","name":"R","fields":[
		{"name":"s","type":"string"},{"name":"n","type":["null","long"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["a"]}},
		{"name":"ms","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},{"name":"us","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"d","type":{"type":"int","logicalType":"date"}},{"name":"os","type":["null","string"]},{"name":"l","type":{"type":"array","items":"int"}}]}`}
	avro := s.kinds("")
	object := (&payloadSchema{typ: sr.TypeJSON, text: `{"properties":{"s":{"type":"string"},"n":{"type":["number","null"]},"o":{"type":["string","null"]},"any":{}}}`}).kinds("")
	for _, tt := range []struct {
		text string
		kind cellKind
		want string
	}{
		{"12", avro["s"], `"12"`}, {"12", avro["n"], `12`}, {"", avro["n"], `null`}, {"", avro["s"], `""`}, {"a", avro["e"], `"a"`},
		{"12", avro["os"], `"12"`}, {"", avro["os"], `null`}, {"", object["o"], `null`},
		{"2026-01-31T12:00:00.5Z", avro["ms"], `1769860800500`}, {"1769860800500", avro["ms"], `1769860800500`}, {"", avro["ms"], `null`}, {"soon", avro["ms"], `"soon"`},
		{"2026-01-31 12:00:00", avro["us"], `1769860800000000`}, {"2026-01-31", avro["d"], `20484`}, {"1969-12-31", avro["d"], `-1`},
		{"[1,2]", avro["l"], `[1,2]`}, {"oops", avro["n"], `"oops"`},
		{"12", object["s"], `"12"`}, {"12", object["n"], `12`}, {"12", object["o"], `"12"`}, {"12", object["any"], `12`},
		{"007", cellGuess, `"007"`}, {"1e3", cellGuess, `1e3`}, {"true", cellGuess, `true`}, {"[1]", cellGuess, `"[1]"`}, {"x", cellGuess, `"x"`}, {"", cellGuess, `null`},
	} {
		if got := string(cell(tt.text, tt.kind)); got != tt.want {
			t.Errorf("%q as %d: got %s, want %s", tt.text, tt.kind, got, tt.want)
		}
	}
}

// TestProgressText shows what is known.
func TestProgressText(t *testing.T) {
	for _, tt := range []struct {
		part float64
		bar  bool
		want string
	}{
		{0.25, true, "orders  [######..................]   25%  500 records  50/s  30s left"},
		{0.25, false, "orders   25%  500 records  50/s  30s left"},
		{-1, true, "orders  500 records  50/s"},
		{2, false, "orders  100%  500 records  50/s"},
	} {
		if got := progressText("orders", 500, tt.part, 10*time.Second, tt.bar); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
