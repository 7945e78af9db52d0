package avro

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// textWriter writes a value as JSON text, for the columns of types inside
// themselves. Records, maps and branches of unions with several types are
// objects; bytes and fixed are base64; dates and times are ISO 8601; decimals
// and what a JSON number cannot say are strings. It reads bytes that have been
// validated, so it checks nothing again.
type textWriter struct {
	reader
	out []byte
}

func (w *textWriter) value(n *node) {
	switch n.op {
	case opNull:
		w.word("null")
	case opBool:
		w.out = strconv.AppendBool(w.out, w.b[w.pos] == 1)
		w.pos++
	case opInt, opLong, opMillis, opNanos, opTimeMilli, opTimeMicro:
		w.integer(n)
	case opFloat:
		b, _ := w.fixed(4)
		w.float(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)
	case opDouble:
		b, _ := w.fixed(8)
		w.float(math.Float64frombits(binary.LittleEndian.Uint64(b)), 64)
	case opBytes, opFixed:
		w.base64(n)
	case opString:
		b, _ := w.take()
		w.out = appendQuoted(w.out, b)
	case opEnum:
		v, _ := w.int()
		w.quote(n.names[v])
	case opDuration:
		b, _ := w.fixed(n.size)
		for i, name := range []string{`{"months":`, `,"days":`, `,"millis":`} {
			w.word(name)
			w.out = strconv.AppendUint(w.out, uint64(binary.LittleEndian.Uint32(b[4*i:])), 10)
		}
		w.word("}")
	case opDecimal, opBigDecimal:
		b, _ := w.decimalBytes(n)
		w.quote(decimalText(bigFromBytes(b), n.scale))
	case opBack:
		w.value(n.kids[0])
	case opTo, opFrom, opInto, opPromote, opSymbols:
		w.resolved(n)
	default:
		w.nested(n)
	}
}

// resolved writes a writer's value as the reader has it.
func (w *textWriter) resolved(n *node) {
	switch n.op {
	case opTo:
		w.to(n)
	case opFrom:
		v, _ := w.index()
		w.value(n.kids[v])
	case opInto:
		w.word("{")
		w.key(n.names[0])
		w.value(n.kids[0])
		w.word("}")
	case opSymbols:
		v, _ := w.index()
		w.quote(n.names[v])
	case opPromote:
		to := n.kids[0].typ.kind
		if to != kindFloat && to != kindDouble {
			w.value(n.kids[0])
			return
		}
		x, _ := w.number(n.from)
		if to == kindFloat {
			w.float(float64(x.single), 32)
		} else {
			w.float(x.double, 64)
		}
	}
}

func (w *textWriter) to(n *node) {
	at, open := w.pos, "{"
	for i, s := range n.steps {
		if s.again {
			w.pos = at
		}
		at = w.pos
		if s.column < 0 {
			_ = w.one(n.kids[i], nil) // it was taken before, as all that is written here
			continue
		}
		w.word(open)
		w.key(s.name)
		w.value(n.kids[i])
		open = ","
	}
	for _, f := range n.fillings {
		w.word(open)
		w.key(f.name)
		w.word(f.text)
		open = ","
	}
	w.word("}")
}

func (w *textWriter) nested(n *node) {
	switch n.op {
	case opRecord:
		for i, k := range n.kids {
			w.word("{,"[min(i, 1):][:1])
			w.key(n.names[i])
			w.value(k)
		}
		w.word("}")
	case opArray, opMap:
		w.items(n)
	case opNullable, opUnion:
		v, _ := w.index()
		switch {
		case v == n.null:
			w.word("null")
		case n.op == opUnion:
			w.word("{")
			w.key(n.kids[v].names[0])
			w.value(n.kids[v].kids[0])
			w.word("}")
		default:
			w.value(n.kids[0])
		}
	}
}

func (w *textWriter) items(n *node) {
	ends := "[]"
	if n.op == opMap {
		ends = "{}"
	}
	w.word(ends[:1])
	for first := true; ; {
		count, _ := w.long()
		if count < 0 {
			count = -count
			w.long() // the block's size
		}
		if count == 0 {
			break
		}
		for range count {
			if !first {
				w.word(",")
			}
			first = false
			if n.op == opMap {
				key, _ := w.take()
				w.key(string(key))
			}
			w.value(n.kids[len(n.kids)-1])
		}
	}
	w.word(ends[1:])
}

// key writes a member's name.
func (w *textWriter) key(name string) {
	w.quote(name)
	w.word(":")
}

func (w *textWriter) integer(n *node) {
	if n.op == opLong || n.op == opInt {
		v, _ := w.long()
		w.date(n, v)
		return
	}
	v, _ := w.time(n)
	if n.op == opTimeMilli || n.op == opTimeMicro {
		w.quote(time.UnixMicro(v).UTC().Format("15:04:05.999999"))
		return
	}
	w.timestamp(time.UnixMicro(v), n.typ.logical)
}

// date writes int and long, and those logical types that keep their unit.
func (w *textWriter) date(n *node, v int64) {
	switch n.typ.logical {
	case "date":
		w.quote(time.Unix(v*24*60*60, 0).UTC().Format(time.DateOnly))
	case "timestamp-micros", "local-timestamp-micros":
		w.timestamp(time.UnixMicro(v), n.typ.logical)
	case "timestamp-nanos":
		w.timestamp(time.Unix(0, v), n.typ.logical)
	default:
		w.out = strconv.AppendInt(w.out, v, 10)
	}
}

// timestamp writes an instant with Z, a local time without.
func (w *textWriter) timestamp(t time.Time, logical string) {
	layout := "2006-01-02T15:04:05.999999999"
	if logical[0] != 'l' {
		layout += "Z07:00"
	}
	w.quote(t.UTC().Format(layout))
}

func (w *textWriter) float(x float64, bits int) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		w.quote(floatLiteral(x))
		return
	}
	w.out = strconv.AppendFloat(w.out, x, 'g', -1, bits)
}

func (w *textWriter) base64(n *node) {
	var b []byte
	if n.op == opFixed {
		b, _ = w.fixed(n.size)
	} else {
		b, _ = w.take()
	}
	w.word(`"`)
	w.out = base64.StdEncoding.AppendEncode(w.out, b)
	w.word(`"`)
}

func (w *textWriter) word(s string)  { w.out = append(w.out, s...) }
func (w *textWriter) quote(s string) { w.out = appendQuoted(w.out, s) }
