package fake

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
)

// avroType is an Avro schema as far as making values needs it (Avro 1.12).
type avroType struct {
	kind, logical string // kind is "union" for unions
	name          string // full name of records, enums and fixed
	fields        []avroField
	inner         *avroType // items of arrays, values of maps
	symbols       []string
	branches      []*avroType
	size, scale   int
	precision     int
}

type avroField struct {
	name string
	typ  *avroType
}

// avroReader reads texts; names are known once they are defined.
type avroReader struct{ named map[string]*avroType }

func ofAvro(src schema.Source) (func(*Generator) error, error) {
	// What is no schema is refused in the words of the registry.
	if _, err := avro.Parse(src); err != nil {
		return nil, err
	}
	r := avroReader{named: map[string]*avroType{}}
	for _, ref := range src.References {
		if _, err := r.text(ref.Text); err != nil {
			return nil, err
		}
	}
	t, err := r.text(src.Text)
	if err != nil {
		return nil, err
	}
	return func(g *Generator) error { return t.write(g, place{record: short(t.name)}) }, nil
}

func (r *avroReader) text(text string) (*avroType, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, &schema.ParseError{Msg: err.Error()}
	}
	return r.read(v, "", 0)
}

// read reads a type in a namespace.
func (r *avroReader) read(v any, space string, depth int) (*avroType, error) {
	if depth > schema.MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", schema.MaxDepth)
	}
	switch v := v.(type) {
	case string:
		if t := r.named[qualify(v, space)]; t != nil {
			return t, nil
		}
		if t := r.named[v]; t != nil {
			return t, nil
		}
		return &avroType{kind: v}, nil
	case []any:
		out := &avroType{kind: "union"}
		for _, b := range v {
			t, err := r.read(b, space, depth+1)
			if err != nil {
				return nil, err
			}
			out.branches = append(out.branches, t)
		}
		return out, nil
	case map[string]any:
		return r.object(v, space, depth)
	}
	return nil, fmt.Errorf("a schema is a name, a list or an object, not %T", v)
}

func (r *avroReader) object(m map[string]any, space string, depth int) (*avroType, error) {
	kind, ok := m["type"].(string)
	if !ok {
		return r.read(m["type"], space, depth+1)
	}
	word := func(key string) string { s, _ := m[key].(string); return s }
	number := func(key string) int { n, _ := m[key].(float64); return int(n) }
	out := &avroType{kind: kind, logical: word("logicalType"), size: number("size"), scale: number("scale"), precision: number("precision")}
	var inner any
	var err error
	switch kind {
	case "record", "error", "enum", "fixed":
		if given, ok := m["namespace"].(string); ok {
			space = given
		}
		out.name = qualify(word("name"), space)
		if i := strings.LastIndexByte(out.name, '.'); i >= 0 {
			space = out.name[:i]
		}
		r.named[out.name] = out
		symbols, _ := m["symbols"].([]any)
		for _, s := range symbols {
			out.symbols = append(out.symbols, fmt.Sprint(s))
		}
		fields, _ := m["fields"].([]any)
		for _, f := range fields {
			of, _ := f.(map[string]any)
			name, _ := of["name"].(string)
			t, err := r.read(of["type"], space, depth+1)
			if err != nil {
				return nil, err
			}
			out.fields = append(out.fields, avroField{name, t})
		}
		return out, nil
	case "array":
		inner = m["items"]
	case "map":
		inner = m["values"]
	default:
		if t := r.named[qualify(kind, space)]; t != nil {
			return t, nil
		}
		return out, nil
	}
	out.inner, err = r.read(inner, space, depth+1)
	return out, err
}

func qualify(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

// short is a name without its namespace.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// write makes a value.
func (t *avroType) write(g *Generator, p place) error {
	if p.depth > schema.MaxDepth {
		return fmt.Errorf("%s holds itself without end", t.name)
	}
	first := true
	switch t.kind {
	case "record", "error":
		g.raw("{")
		for _, f := range t.fields {
			g.sep(&first)
			g.name(f.name)
			if err := f.typ.write(g, p.below(short(t.name), f.name)); err != nil {
				return err
			}
		}
		g.raw("}")
	case "union":
		return t.union(g, p)
	case "array", "map":
		brackets := "[]"
		if t.kind == "map" {
			brackets = "{}"
		}
		g.raw(brackets[:1])
		for i := range g.count(p.depth) {
			if !g.fits(0) {
				break
			}
			g.sep(&first)
			if t.kind == "map" {
				g.name(plainWords()[i])
			}
			inner := p
			inner.depth++
			if err := t.inner.write(g, inner); err != nil {
				return err
			}
		}
		g.raw(brackets[1:])
	case "enum":
		if len(t.symbols) == 0 {
			return fmt.Errorf("enum %s has no symbols", t.name)
		}
		g.string(pick(g, t.symbols))
	default:
		t.scalar(g, p)
	}
	return nil
}

// union takes null now and then, and where the document is deep.
func (t *avroType) union(g *Generator, p place) error {
	var full []*avroType
	null := false
	for _, b := range t.branches {
		if b.kind == "null" {
			null = true
		} else {
			full = append(full, b)
		}
	}
	if len(full) == 0 || null && (p.depth >= deep || g.chance(15)) {
		g.raw("null")
		return nil
	}
	b := pick(g, full)
	if len(full) == 1 && null {
		p.depth++
		return b.write(g, p)
	}
	name := b.name
	if name == "" {
		name = b.kind
	}
	g.raw("{")
	g.name(name)
	p.depth++
	if err := b.write(g, p); err != nil {
		return err
	}
	g.raw("}")
	return nil
}

// scalar writes a primitive or fixed, by its logical type.
func (t *avroType) scalar(g *Generator, p place) {
	switch t.kind {
	case "null":
		g.raw("null")
	case "boolean":
		g.bool(g.chance(50))
	case "int", "long":
		g.int(t.whole(g, p))
	case "float":
		g.float(float64(float32(g.real(p, 2))))
	case "double":
		g.float(g.real(p, 2))
	case "bytes", "fixed":
		g.string(latin(t.bytes(g, p)))
	default: // string, and words that the parser has let pass as one
		if t.logical == "uuid" {
			g.string(g.uuid())
			return
		}
		g.string(g.text(p))
	}
}

// whole is a value of int and long.
func (t *avroType) whole(g *Generator, p place) int64 {
	at := g.moment(p)
	midnight := at.Truncate(24 * time.Hour)
	switch t.logical {
	case "date":
		return midnight.Unix() / (24 * 60 * 60)
	case "time-millis":
		return at.Sub(midnight).Milliseconds()
	case "time-micros":
		return at.Sub(midnight).Microseconds()
	case "timestamp-millis", "local-timestamp-millis":
		return at.UnixMilli()
	case "timestamp-micros", "local-timestamp-micros":
		return at.UnixMicro()
	case "timestamp-nanos", "local-timestamp-nanos":
		return at.UnixNano()
	}
	if t.kind == "int" {
		return g.integer(p, 0, math.MaxInt32)
	}
	return g.integer(p, 0, math.MaxInt64)
}

// bytes is a value of bytes and fixed: a decimal is a big-endian number.
func (t *avroType) bytes(g *Generator, p place) []byte {
	size := t.size
	if t.kind == "bytes" {
		size = 8
	}
	if !g.fits(size) {
		return nil
	}
	out := make([]byte, size)
	if t.logical == "decimal" {
		digits := min(max(t.precision, 1), 5+t.scale, 2*size, 17)
		v := g.between(0, int64(math.Pow10(digits))-1)
		for i := size - 1; i >= 0 && v > 0; i-- {
			out[i], v = byte(v), v>>8
		}
		out[0] &= 0x7f // not negative, also where it is all there is
		return out
	}
	for i := range out {
		out[i] = byte(g.rand.Uint32())
	}
	return out
}

// latin is bytes as Avro's JSON has them: one character a byte.
func latin(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}
