package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/tarn-io/tarn/schema"
)

// filling is the value of a field that the writer lacks: the reader's default,
// as a payload of the reader's own, read by its own program.
type filling struct {
	column int
	name   string
	shape  *node
	bytes  []byte
	text   string // as JSON, for types inside themselves
	cost   int    // bytes that it fills in columns
}

// maxFillingBytes bounds one default: records and their fields' defaults nest.
const maxFillingBytes = 1 << 20

// newFilling is the default of a record's i-th field. Texts that are stored were
// not asked whether their defaults fit, so this may fail.
func newFilling(s *node, i int) (filling, error) {
	f := filling{column: i, name: s.names[i], shape: s.kids[i]}
	e := defaultWriter{}
	var err error
	if f.bytes, err = e.value(nil, s.typ.fields[i].typ, s.typ.fields[i].dflt, 0); err != nil {
		return f, err
	}
	r := reader{b: f.bytes}
	if bad := r.one(f.shape, nil); bad != nil {
		return f, bad
	}
	f.cost = min(f.shape.cost+r.filled+len(f.bytes), maxMeasure)
	w := textWriter{reader: reader{b: f.bytes}}
	w.value(f.shape)
	f.text = string(w.out)
	return f, nil
}

// defaultWriter writes a default's JSON as a payload.
type defaultWriter struct {
	steps int
}

func (e *defaultWriter) value(b []byte, t *typ, v *value, depth int) ([]byte, error) {
	e.steps++
	switch {
	case depth > schema.MaxDepth:
		return nil, fmt.Errorf("nested deeper than %d levels", schema.MaxDepth)
	case e.steps > maxDefaultSteps || len(b) > maxFillingBytes:
		return nil, fmt.Errorf("more than %d bytes", maxFillingBytes)
	}
	switch t.kind {
	case kindNull:
		if v.kind == jsonNull {
			return b, nil
		}
	case kindBoolean:
		if v.kind == jsonBool {
			return append(b, map[string]byte{"true": 1}[v.text]), nil
		}
	case kindInt, kindLong, kindFloat, kindDouble:
		return e.number(b, t, v)
	case kindString:
		if v.kind == jsonString {
			return append(binary.AppendVarint(b, int64(len(v.text))), v.text...), nil
		}
	case kindBytes, kindFixed:
		return e.bytes(b, t, v)
	case kindEnum:
		for i, name := range t.symbols {
			if v.kind == jsonString && v.text == name {
				return binary.AppendVarint(b, int64(i)), nil
			}
		}
	case kindUnion:
		for i, branch := range t.types {
			if out, err := e.value(binary.AppendVarint(b[:len(b):len(b)], int64(i)), branch, v, depth+1); err == nil {
				return out, nil
			}
		}
	default:
		return e.container(b, t, v, depth)
	}
	return nil, unfit(t, v)
}

func unfit(t *typ, v *value) error {
	return fmt.Errorf("%s is no %s", schema.Preview([]byte(printJSON(v, false))), t.fullName())
}

func (e *defaultWriter) number(b []byte, t *typ, v *value) ([]byte, error) {
	if v.kind != jsonNumber {
		return nil, unfit(t, v)
	}
	if t.kind == kindInt || t.kind == kindLong {
		bits := 32
		if t.kind == kindLong {
			bits = 64
		}
		x, err := strconv.ParseInt(v.text, 10, bits)
		if err != nil {
			return nil, unfit(t, v)
		}
		return binary.AppendVarint(b, x), nil
	}
	x, err := strconv.ParseFloat(v.text, 64)
	if err != nil && !math.IsInf(x, 0) {
		return nil, unfit(t, v)
	}
	if t.kind == kindFloat {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x))), nil
	}
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(x)), nil
}

// bytes writes text whose code points 0 to 255 stand for bytes.
func (e *defaultWriter) bytes(b []byte, t *typ, v *value) ([]byte, error) {
	if v.kind != jsonString {
		return nil, unfit(t, v)
	}
	var raw []byte
	for _, c := range v.text {
		if c > 0xff {
			return nil, unfit(t, v)
		}
		raw = append(raw, byte(c))
	}
	if t.kind == kindBytes {
		return append(binary.AppendVarint(b, int64(len(raw))), raw...), nil
	}
	if len(raw) != t.size {
		return nil, fmt.Errorf("%d bytes for a fixed of %d", len(raw), t.size)
	}
	return append(b, raw...), nil
}

func (e *defaultWriter) container(b []byte, t *typ, v *value, depth int) ([]byte, error) {
	var err error
	switch {
	case t.kind == kindArray && v.kind == jsonArray:
		if len(v.items) > 0 {
			b = binary.AppendVarint(b, int64(len(v.items)))
		}
		for _, item := range v.items {
			if b, err = e.value(b, t.elem, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, 0), nil
	case t.kind == kindMap && v.kind == jsonObject:
		if len(v.members) > 0 {
			b = binary.AppendVarint(b, int64(len(v.members)))
		}
		for _, m := range v.members {
			b = append(binary.AppendVarint(b, int64(len(m.name))), m.name...)
			if b, err = e.value(b, t.elem, m.value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, 0), nil
	case t.kind != kindRecord || v.kind != jsonObject:
		return nil, unfit(t, v)
	}
	for _, f := range t.fields {
		fv := v.get(f.name)
		if fv == nil {
			fv = f.dflt
		}
		if fv == nil {
			return nil, fmt.Errorf("field %s has no default", f.name)
		}
		if b, err = e.value(b, f.typ, fv, depth+1); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	return b, nil
}
