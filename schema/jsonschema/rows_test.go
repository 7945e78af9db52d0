package jsonschema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// rowMaker writes closed schemas, payloads of them however JSON allows them to be
// written, and the rows that must come of them: the type mapping a second time.
type rowMaker struct{ *rand.Rand }

// kindOf is one type: its schema, and a way to make values, each as the payload
// writes it and as the row has it.
type kindOf struct {
	schema string
	value  func() (text string, row any)
}

func (m rowMaker) space() string { return []string{"", "", "", " ", "\n\t"}[m.IntN(5)] }

func (m rowMaker) kind(depth int) kindOf {
	n := 12
	if depth == 0 {
		n = 8
	}
	switch m.IntN(n) {
	case 0:
		return kindOf{`{"type":"integer"}`, m.integer}
	case 1:
		return kindOf{`{"type":"number"}`, m.float}
	case 2:
		return kindOf{`{"type":"number","multipleOf":0.001}`, m.decimal}
	case 3:
		return kindOf{`{"type":"boolean"}`, func() (string, any) { b := m.IntN(2) == 0; return fmt.Sprint(b), b }}
	case 4:
		return kindOf{`{"type":"string","format":"date-time"}`, m.instant}
	case 5:
		return kindOf{`{"type":"string","format":"date"}`, func() (string, any) {
			d := time.Unix(m.Int64N(1<<32), 0).UTC().Format(time.DateOnly)
			return strconv.Quote(d), d
		}}
	case 6, 7:
		return kindOf{`{"type":"string"}`, m.text}
	case 8:
		return m.list(depth)
	case 9:
		return m.dictionary(depth)
	case 10:
		inner := m.kind(depth - 1)
		return kindOf{`{"anyOf":[{"type":"null"},` + inner.schema + `]}`, func() (string, any) {
			if m.IntN(3) == 0 {
				return "null", nil
			}
			return inner.value()
		}}
	}
	return m.object(depth)
}

func (m rowMaker) integer() (string, any) {
	v := int64(m.Uint64()) >> m.IntN(64)
	row := json.Number(strconv.FormatInt(v, 10))
	switch m.IntN(5) {
	case 0:
		return fmt.Sprintf("%d.0", v), row
	case 1:
		if v != 0 {
			return fmt.Sprintf("%d00e-2", v), row
		}
	case 2:
		if v%1000 == 0 && v != 0 {
			return fmt.Sprintf("%dE+3", v/1000), row
		}
	}
	return strconv.FormatInt(v, 10), row
}

func (m rowMaker) float() (string, any) {
	x := m.NormFloat64()
	for range m.IntN(4) {
		x *= x * 1e3
	}
	text := strconv.FormatFloat(x, []byte("eg")[m.IntN(2)], -1, 64)
	return text, x
}

func (m rowMaker) decimal() (string, any) {
	v := m.Int64N(1<<40) - 1<<39
	sign, whole, part := "", v/1000, v%1000
	if v < 0 {
		sign, whole, part = "-", -whole, -part
	}
	text := fmt.Sprintf("%s%d.%03d", sign, whole, part)
	row := text
	if row = strings.TrimRight(row, "0"); strings.HasSuffix(row, ".") {
		row = row[:len(row)-1]
	}
	if row == "-0" {
		row = "0"
	}
	if m.IntN(3) == 0 {
		text = row
	}
	return text, row
}

func (m rowMaker) instant() (string, any) {
	at := time.UnixMicro(m.Int64N(4e15)).UTC()
	zone := time.FixedZone("", (m.IntN(47)-23)*1800)
	return strconv.Quote(at.In(zone).Format("2006-01-02T15:04:05.999999Z07:00")), at.Format(time.RFC3339Nano)
}

// text is a string with its characters escaped or not.
func (m rowMaker) text() (string, any) {
	var b, row strings.Builder
	b.WriteByte('"')
	for range m.IntN(12) {
		c := []rune("aZ09 é日😀\"\\/\n\t\x01\u2028")[m.IntN(15)]
		row.WriteRune(c)
		switch {
		case m.IntN(4) == 0 && c > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		case m.IntN(4) == 0 && c <= 0xffff, c < ' ' && c != '\n' && c != '\t':
			fmt.Fprintf(&b, `\u%04x`, c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '/' && m.IntN(2) == 0:
			b.WriteString(`\/`)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String(), row.String()
}

func (m rowMaker) list(depth int) kindOf {
	inner := m.kind(depth - 1)
	return kindOf{`{"type":"array","items":` + inner.schema + `}`, func() (string, any) {
		texts, rows := []string{}, []any{}
		for range m.IntN(4) {
			text, row := inner.value()
			texts, rows = append(texts, m.space()+text+m.space()), append(rows, row)
		}
		return "[" + strings.Join(texts, ",") + "]", rows
	}}
}

func (m rowMaker) dictionary(depth int) kindOf {
	inner := m.kind(depth - 1)
	return kindOf{`{"type":"object","additionalProperties":` + inner.schema + `}`, func() (string, any) {
		texts, rows := []string{}, []any{}
		for i := range m.IntN(4) {
			text, row := inner.value()
			texts = append(texts, fmt.Sprintf(`%s"k\u00%x%d"%s:%s`, m.space(), 'x', i, m.space(), text))
			rows = append(rows, map[string]any{"key": fmt.Sprintf("kx%d", i), "value": row})
		}
		return "{" + strings.Join(texts, ",") + "}", rows
	}}
}

func (m rowMaker) object(depth int) kindOf {
	kinds, required := map[string]kindOf{}, []string{}
	var properties []string
	for i := range 1 + m.IntN(5) {
		name := fmt.Sprintf("p%d", i)
		kinds[name] = m.kind(depth - 1)
		properties = append(properties, fmt.Sprintf("%q:%s", name, kinds[name].schema))
		if m.IntN(2) == 0 {
			required = append(required, name)
		}
	}
	list, err := json.Marshal(required)
	if err != nil {
		panic(err)
	}
	must := ""
	if len(required) > 0 { // draft 4 has no empty list
		must = `"required":` + string(list) + `,`
	}
	text := fmt.Sprintf(`{"type":"object","additionalProperties":false,%s"properties":{%s}}`, must, strings.Join(properties, ","))
	return kindOf{text, func() (string, any) {
		row, members := map[string]any{}, []string{}
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			if !slices.Contains(required, name) && m.IntN(3) == 0 {
				row[name] = nil
				continue
			}
			text, value := kinds[name].value()
			row[name] = value
			members = append(members, fmt.Sprintf("%s%q%s:%s%s", m.space(), name, m.space(), m.space(), text))
		}
		m.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		return "{" + strings.Join(members, ",") + m.space() + "}", row
	}}
}

// TestRows compares rows with what the payloads were written from.
func TestRows(t *testing.T) {
	schematest.Differential(t, "json rows, against what they were written from", 300, func(seed uint64, tally *schematest.Tally) {
		m := rowMaker{rand.New(rand.NewPCG(seed, 5))}
		top := m.object(3)
		s := mustParse(t, top.schema)
		d, err := s.Decoder(nil)
		if err != nil {
			t.Fatalf("%s: %v", top.schema, err)
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		tally.Schemas++
		spoiler := dice(m)
		for i := range 12 {
			payload, want := top.value()
			if err := d.Decode([]byte(payload), rows); err != nil {
				t.Fatalf("seed %d, payload %d: %v\n%s\n%s", seed, i, err, top.schema, payload)
			}
			tally.Count(true)
			b := rows.Batch()
			for _, c := range b.Columns() {
				if err := array.ValidateFull(c); err != nil {
					t.Fatalf("seed %d, payload %d: %v", seed, i, err)
				}
			}
			text, err := b.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if got := readRow(t, string(text)); !sameRow(got, want) {
				t.Fatalf("seed %d, payload %d\n%s\n%s\n got %v\nwant %v", seed, i, top.schema, payload, got, want)
			}
			bad := spoiler.spoil([]byte(payload))
			valid, derr := d.Validate(bad), d.Decode(bad, rows)
			if (valid == nil) != (derr == nil) {
				t.Fatalf("seed %d, payload %d: Validate: %v, Decode: %v\n%q", seed, i, valid, derr, bad)
			}
			if rows.Batch(); valid != nil {
				tally.Count(false)
			}
		}
	})
}

func readRow(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v []any
	if err := d.Decode(&v); err != nil || len(v) != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	return v[0]
}

// sameRow compares values. Floats may be written in more than one way, and of a
// null struct Arrow writes null.
func sameRow(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for name := range w {
			if !sameRow(g[name], w[name]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !sameRow(g[i], w[i]) {
				return false
			}
		}
		return true
	case float64:
		g, ok := got.(json.Number)
		x, err := g.Float64()
		return ok && err == nil && x == w
	}
	return reflect.DeepEqual(got, want)
}
