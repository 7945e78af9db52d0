package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/tarn-io/tarn/schema"
)

// Value reads a payload into Go values, for rules that look at single fields:
// bool, int64, float64, string (also symbols of enums), []byte (also fixed), nil,
// []any, and map[string]any for maps and records. A union is its branch.
// Timestamps are time.Time in UTC, rounded to what they hold; decimals are
// float64, with its precision; all other logical types stay what they are
// written as.
//
// It is for payloads that Validate has taken, and costs an allocation for nearly
// every value: rows are read by Decode. Other payloads give a *schema.Invalid or
// any value, at a cost that their length bounds.
func (s *Schema) Value(payload []byte) (any, error) {
	r := valueReader{reader: reader{b: payload}}
	v, bad := r.value(s.root)
	if bad == nil && r.pos < len(payload) {
		bad = r.refuse("the end of the payload")
	}
	if bad != nil {
		return nil, bad
	}
	return v, nil
}

// valueReader is a reader with the number of containers that it is in.
type valueReader struct {
	reader
	deep   int
	branch *typ // of the union read last
	visit  func(schema.Field, any, map[string]any)
}

// maxValueDepth bounds the nesting of containers: a schema's own, and that of a
// payload through recursive types.
const maxValueDepth = 2 * schema.MaxDepth

// maxValueScale bounds the digits behind a decimal's point that a value has:
// schemas with more have no decoder.
const maxValueScale = 1000

func (r *valueReader) value(t *typ) (any, *schema.Invalid) {
	switch t.kind {
	case kindNull:
		return nil, nil
	case kindBoolean:
		b, ok := r.fixed(1)
		if !ok || b[0] > 1 {
			return nil, r.refuse("boolean")
		}
		return b[0] == 1, nil
	case kindInt, kindLong:
		v, ok := r.long()
		if !ok {
			return nil, r.refuse("a number")
		}
		return timeOf(t, v), nil
	case kindFloat:
		b, ok := r.fixed(4)
		if !ok {
			return nil, r.refuse("float")
		}
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
	case kindDouble:
		b, ok := r.fixed(8)
		if !ok {
			return nil, r.refuse("double")
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	case kindString:
		b, ok := r.take()
		if !ok {
			return nil, r.refuse("string")
		}
		return string(b), nil
	case kindBytes, kindFixed:
		return r.bytes(t)
	case kindEnum:
		v, ok := r.index()
		if !ok || v >= len(t.symbols) {
			return nil, r.refuseIndex("enum", len(t.symbols), v, ok)
		}
		return t.symbols[v], nil
	}
	if r.deep++; r.deep > maxValueDepth {
		return nil, schema.Refuse(r.pos, fmt.Sprintf("at most %d levels", maxValueDepth), "a deeper payload")
	}
	v, bad := r.container(t)
	r.deep--
	return v, bad
}

func (r *valueReader) bytes(t *typ) (any, *schema.Invalid) {
	b, ok := r.fixed(t.size)
	if t.kind == kindBytes {
		b, ok = r.take()
	}
	switch {
	case !ok:
		return nil, r.refuse("bytes")
	case t.logical == "decimal" && len(b) > 0 && t.scale <= maxValueScale:
		f, _ := new(big.Rat).SetFrac(bigFromBytes(b), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.scale)), nil)).Float64()
		return f, nil
	}
	return b, nil
}

// timeOf makes a time of a timestamp, and leaves other numbers.
func timeOf(t *typ, v int64) any {
	switch t.logical {
	case "timestamp-millis", "local-timestamp-millis":
		return time.UnixMilli(v).UTC()
	case "timestamp-micros", "local-timestamp-micros":
		return time.UnixMicro(v).UTC()
	case "timestamp-nanos", "local-timestamp-nanos":
		return time.Unix(0, v).UTC()
	}
	return v
}

func (r *valueReader) container(t *typ) (any, *schema.Invalid) {
	switch t.kind {
	case kindUnion:
		v, ok := r.index()
		if !ok || v >= len(t.types) {
			return nil, r.refuseIndex("union", len(t.types), v, ok)
		}
		value, bad := r.value(t.types[v])
		r.branch = t.types[v]
		return value, bad
	case kindRecord:
		out := make(map[string]any, len(t.fields))
		var types []*typ
		for _, f := range t.fields {
			v, bad := r.value(f.typ)
			if bad != nil {
				return nil, bad.In(f.name)
			}
			out[f.name] = v
			if of := f.typ; r.visit != nil {
				if of.kind == kindUnion {
					of = r.branch
				}
				types = append(types, of)
			}
		}
		if r.visit != nil {
			r.seen(t, types, out)
		}
		return out, nil
	case kindArray:
		out := []any{}
		bad := r.blocks(func() *schema.Invalid {
			v, bad := r.value(t.elem)
			out = append(out, v)
			return bad
		})
		return out, bad
	}
	out := map[string]any{}
	bad := r.blocks(func() *schema.Invalid {
		key, ok := r.take()
		if !ok {
			return r.refuse("key of a map")
		}
		v, bad := r.value(t.elem)
		out[string(key)] = v
		return bad
	})
	return out, bad
}

// blocks reads the items of an array or a map. Items without bytes are bounded
// for the whole payload.
func (r *valueReader) blocks(item func() *schema.Invalid) *schema.Invalid {
	for {
		count, ok := r.long()
		if !ok || count == math.MinInt64 {
			return r.refuse("count of items")
		}
		if count == 0 {
			return nil
		}
		if count < 0 {
			count = -count
			if _, ok := r.long(); !ok {
				return r.refuse("size of a block")
			}
		}
		for ; count > 0; count-- {
			at := r.pos
			if bad := item(); bad != nil {
				return bad
			}
			if r.pos > at {
				continue
			}
			if r.empty++; r.empty > schema.MaxEmptyItems {
				return schema.Refuse(at, fmt.Sprintf("at most %d items without bytes", schema.MaxEmptyItems), "more")
			}
		}
	}
}
