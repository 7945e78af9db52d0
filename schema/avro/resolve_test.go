package avro

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	oracle "github.com/twmb/avro"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

func TestResolutionCases(t *testing.T) {
	schematest.RunResolutions(t, schema.Avro, Parse, func(t *testing.T, c schematest.Resolution) {
		if c.Ours == "" {
			checkResolution(t, c)
		}
	})
}

// checkResolution asks the oracle what becomes of a case: whether it resolves,
// and which payloads it refuses. What rows hold is compared in TestResolveOracle.
func checkResolution(t *testing.T, c schematest.Resolution) {
	w, err := oracle.Parse(c.Writer.Text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := oracle.Parse(c.Reader.Text)
	if err != nil {
		t.Fatal(err)
	}
	both, err := oracle.Resolve(w, r)
	// The oracle resolves only what can be read whatever the payload holds.
	if broken := mustParse(t, c.Reader.Text).Reads(mustParse(t, c.Writer.Text)); (err != nil) != (len(broken) > 0) {
		t.Errorf("the oracle resolves with %v, we read with %v", err, broken)
	}
	if err != nil {
		return
	}
	for _, p := range c.Payloads {
		var v any
		rest, err := both.Decode(p.Payload, &v)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%d bytes left", len(rest))
		}
		if err == nil && p.Refusal != "" && !strings.Contains(p.Refusal, "UTF-8") && !strings.Contains(p.Refusal, "end of the block") {
			t.Errorf("the oracle takes %x", p.Payload)
		}
		if err != nil && p.Refusal == "" {
			t.Errorf("the oracle refuses %x: %v", p.Payload, err)
		}
	}
}

// changer makes of a writer's schema one that a reader may have: fields change
// places, go, come and are renamed, types widen, become nullable or unions.
type changer struct{ *generator }

// reader is the changed schema's text, of a schema's JSON.
func (g changer) reader(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	b, err := json.Marshal(g.plain(v.(map[string]any)))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// typ changes any type.
func (g changer) typ(v any) any {
	switch v := v.(type) {
	case string:
		return g.name(v)
	case []any:
		for i, b := range v {
			if m, ok := b.(map[string]any); ok {
				v[i] = g.plain(m)
			}
		}
		g.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		return v
	}
	m := g.plain(v.(map[string]any))
	if g.IntN(10) == 0 {
		return []any{"null", m}
	}
	return m
}

// plain changes a type that stays no union.
func (g changer) plain(m map[string]any) map[string]any {
	switch m["type"] {
	case "record":
		m["fields"] = g.fields(m["fields"].([]any))
	case "array":
		m["items"] = g.typ(m["items"])
	case "map":
		m["values"] = g.typ(m["values"])
	case "enum":
		m["symbols"] = []any{"C", "D", "A", "B"}
		if g.IntN(2) == 0 {
			m["symbols"], m["default"] = []any{"D", "B"}, "D"
		}
	}
	return m
}

// name widens a primitive type, or leaves it.
func (g changer) name(t string) any {
	wider := map[string][]string{"int": {"long", "float", "double"}, "long": {"float", "double"}, "float": {"double"}, "string": {"bytes"}, "bytes": {"string"}}[t]
	switch g.IntN(8) {
	case 0, 1:
		if len(wider) > 0 {
			return wider[g.IntN(len(wider))]
		}
	case 2:
		if t != "null" && !strings.HasPrefix(t, "R") {
			return []any{t, "null"}
		}
	case 3:
		if t == "int" || t == "string" {
			return []any{"boolean", "double", "null", "bytes", t}
		}
	case 4:
		if t == "int" || t == "string" {
			return []any{"boolean", "double", "null", "bytes"}
		}
	}
	return t
}

func (g changer) fields(fields []any) []any {
	var out []any
	for i, f := range fields {
		m := f.(map[string]any)
		switch g.IntN(8) {
		case 0:
			if i > 0 {
				continue
			}
		case 1:
			m["aliases"], m["name"] = []any{m["name"]}, fmt.Sprint("renamed", i)
		}
		m["type"] = g.typ(m["type"])
		out = append(out, m)
	}
	for i := range g.IntN(3) {
		news := []string{
			`{"type":"int","default":7}`, `{"type":"string","default":"é"}`, `{"type":["null","int"],"default":null}`, `{"type":{"type":"array","items":"long"},"default":[1,2]}`,
			`{"type":"bytes","default":"\u00ff"}`, `{"type":{"type":"map","values":"double"},"default":{"k":0.5}}`, `{"type":["long","string","null"],"default":5}`,
			fmt.Sprintf(`{"type":{"type":"record","name":"%s","fields":[{"name":"x","type":"int","default":3},{"name":"y","type":["null","float"]}]},"default":{"y":null}}`, g.generator.name("N")),
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(news[g.IntN(len(news))]), &m); err != nil {
			panic(err)
		}
		m["name"] = fmt.Sprint("new", i)
		out = append(out, m)
	}
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// resolvedPair is a random writer and reader with both decoders; nil where
// either side does not resolve them.
func resolvedPair(t *testing.T, seed uint64) (writer, reader *Schema, d schema.Decoder, o *oracle.Schema) {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 3))}
	text := g.record(0)
	writer, reader = mustParse(t, text), mustParse(t, changer{g}.reader(text))
	plain := func(s *Schema) *oracle.Schema {
		o, err := oracle.Parse(strings.ReplaceAll(s.Canonical(), `"logicalType"`, `"ignored"`))
		if err != nil {
			t.Fatalf("the oracle refuses %s: %v", s.Canonical(), err)
		}
		return o
	}
	got, err := reader.Resolve(writer)
	o, oracleErr := oracle.Resolve(plain(writer), plain(reader))
	if err != nil && oracleErr == nil {
		t.Fatalf("seed %d: %s\nread as %s\nthe oracle resolves, we do not: %v", seed, writer.Canonical(), reader.Canonical(), err)
	}
	if err != nil || oracleErr != nil {
		return writer, reader, got, nil
	}
	return writer, reader, got, o
}

// TestResolveOracle compares rows and refusals with the oracle's on random
// writers, readers and payloads, whole and spoiled.
func TestResolveOracle(t *testing.T) {
	both, rows := 0, 0
	for seed := range uint64(600) {
		w, r, d, o := resolvedPair(t, seed)
		if o == nil {
			continue
		}
		both++
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 4))}
		for i := range 12 {
			p := g.payload(nil, w.root, 0)
			if i >= 8 {
				p = g.spoil(p)
			}
			if compareResolved(t, fmt.Sprintf("seed %d, payload %d", seed, i), w, r, d, o, p) {
				rows++
			}
		}
	}
	t.Logf("%d pairs resolve for both, %d payloads became rows", both, rows)
	if both < 400 || rows < 4000 {
		t.Errorf("%d pairs and %d rows: too few to mean much", both, rows)
	}
}

func compareResolved(t *testing.T, label string, w, r *Schema, d schema.Decoder, o *oracle.Schema, payload []byte) bool {
	t.Helper()
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	text := w.Canonical() + "\nread as " + r.Canonical()
	// Fields that are left out are checked all the same, unlike the oracle's.
	own, err := w.Validator(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bad := own.Validate(payload); bad != nil {
		if d.Validate(payload) == nil {
			t.Fatalf("%s: %s\n%x: the writer's decoder refuses: %v", label, text, payload, bad)
		}
		return false
	}
	v, ok := compareOne(t, label, text, d, o, payload, rows)
	batch := rows.Batch()
	if !ok {
		if batch.NumRows() != 0 {
			t.Fatalf("%s: %d rows of a refused payload", label, batch.NumRows())
		}
		return false
	}
	for _, c := range batch.Columns() {
		if err := array.ValidateFull(c); err != nil {
			t.Fatalf("%s: %v", label, err)
		}
	}
	if got, want := gotRecord(r.root, batch, 0), wantRecord(r.root, v); got != want {
		t.Fatalf("%s: %s\n%x\ngot  %s\nwant %s", label, text, payload, got, want)
	}
	return true
}

// FuzzResolve is TestResolveOracle with a search: any bytes for random pairs.
func FuzzResolve(f *testing.F) {
	for seed := range uint64(40) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 3))}
		f.Add(uint16(seed), g.payload(nil, mustParse(f, g.record(0)).root, 0))
	}
	f.Fuzz(func(t *testing.T, seed uint16, payload []byte) {
		w, r, d, o := resolvedPair(t, uint64(seed))
		if o != nil {
			compareResolved(t, fmt.Sprintf("seed %d", seed), w, r, d, o, payload)
			return
		}
		if d == nil {
			return
		}
		// The oracle refuses pairs that some payloads of the writer do not fit.
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		err, valid := d.Decode(payload, rows), d.Validate(payload)
		if (err == nil) != (valid == nil) || rows.Len() != map[bool]int{true: 1}[err == nil] {
			t.Fatalf("seed %d: Validate says %v, Decode %v, with %d rows", seed, valid, err, rows.Len())
		}
	})
}
