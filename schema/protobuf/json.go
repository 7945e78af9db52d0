package protobuf

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// JSON as protobuf.dev/programming-guides/json: lowerCamelCase names, 64-bit
// integers and bytes as strings, enums by name, the known messages in their own
// forms. Two things are said that it leaves out: an Any, whose type is not at
// hand, is {"@type", "value": base64}, and a Value that is no number keeps it
// as "NaN", "Infinity" or "-Infinity".

// jsonMessage appends the message at buf[pos:end] to w.text. depth is its own.
func (w *walker) jsonMessage(f *field, pos, end, depth int) *schema.Invalid {
	if len(w.text) > maxJSONBytes {
		return w.refuse(pos, fmt.Sprintf("at most %d bytes as JSON", maxJSONBytes), "more")
	}
	m := f.msg
	switch m.known {
	case knownTimestamp, knownDuration:
		return w.jsonClock(m, pos, end, depth)
	case knownDate, knownTimeOfDay:
		if _, err := w.moment(m, pos, end, depth); err != nil {
			return err
		}
	case knownDecimal:
		if _, err := w.decimal(f, pos, end, depth); err != nil {
			return err
		}
	}
	items := len(w.items)
	base, err := w.scan(m, pos, end, depth)
	if err != nil {
		return err
	}
	switch m.known {
	case knownWrapper, knownStruct, knownList:
		err = w.jsonField(&m.fields[0], w.slots[base], depth)
	case knownValue:
		err = w.jsonAnyValue(m, base, depth)
	case knownAny:
		w.jsonAny(base)
	case knownFieldMask:
		w.jsonMask(w.slots[base])
	default:
		err = w.jsonObject(m, base, depth)
	}
	w.release(base, items)
	return err
}

// jsonObject appends the fields that are set.
func (w *walker) jsonObject(m *message, base, depth int) *schema.Invalid {
	open := byte('{')
	for i := range m.fields {
		f := &m.fields[i]
		if f.extension {
			continue
		}
		s := w.slots[base+i]
		if s.n == 0 {
			if f.required {
				return w.missing(f)
			}
			continue
		}
		if !f.presence && !f.repeated && w.isZero(f, s.bits) {
			continue
		}
		begun := len(w.text)
		w.text = append(w.text, open)
		w.text = append(appendJSONString(w.text, f.json), ':')
		value := len(w.text)
		if err := w.jsonField(f, s, depth); err != nil {
			return err.In(f.name)
		}
		if (f.repeated || f.mapped) && len(w.text) == value+2 { // [] or {}: no value came of the bytes, so it is not set
			w.text = w.text[:begun]
			continue
		}
		open = ','
	}
	if open == '{' {
		w.text = append(w.text, '{')
	}
	w.text = append(w.text, '}')
	return nil
}

// isZero says whether a value without presence is the zero that is left out.
func (w *walker) isZero(f *field, bits uint64) bool {
	switch {
	case f.wire == wireBytes:
		start, end := unspan(bits)
		return start == end
	case f.kind == protoreflect.BoolKind || f.wire != wireVarint:
		return bits == 0
	}
	return unsigned(f.kind, bits) == 0 || signed(f.kind, bits) == 0
}

// jsonField appends a field's value: one, a list, or a map. depth is that of
// the message that holds it.
func (w *walker) jsonField(f *field, s slot, depth int) *schema.Invalid {
	switch {
	case f.mapped:
		return w.jsonMap(f, s, depth)
	case f.repeated:
		return w.jsonList(f, s, depth)
	case f.msg == nil:
		return w.jsonScalar(f, s.bits)
	case s.head == 0:
		start, end := unspan(s.bits)
		return w.jsonNested(f, start, end, depth)
	}
	end, undo, err := w.join(f, s, depth)
	if err == nil {
		err = w.jsonNested(f, 0, end, depth)
	}
	undo()
	return err
}

func (w *walker) jsonNested(f *field, pos, end, depth int) *schema.Invalid {
	if depth >= schema.MaxDepth {
		return w.tooDeep(pos)
	}
	return w.jsonMessage(f, pos, end, depth+1)
}

func (w *walker) jsonList(f *field, s slot, depth int) *schema.Invalid {
	w.text = append(w.text, '[')
	n := 0
	comma := func() {
		if n > 0 {
			w.text = append(w.text, ',')
		}
		n++
	}
	for i := s.head; i != 0; {
		it := w.items[i-1]
		i = it.next
		start, end := unspan(it.bits)
		var err *schema.Invalid
		switch {
		case it.packed:
			if err = w.jsonPacked(f, start, end, comma); err != nil {
				return err.At(n)
			}
		case f.msg != nil:
			comma()
			err = w.jsonNested(f, start, end, depth)
		default:
			comma()
			err = w.jsonScalar(f, it.bits)
		}
		if err != nil {
			return err.At(n - 1)
		}
	}
	w.text = append(w.text, ']')
	return nil
}

func (w *walker) jsonPacked(f *field, pos, end int, comma func()) *schema.Invalid {
	for b := w.buf[:end]; pos < end; {
		bits, next := value(b, pos, f, f.wire, 0)
		if next < 0 {
			return w.notPacked(f, pos)
		}
		pos = next
		if f.enum != nil && f.enum.closed && !f.known(bits) {
			continue
		}
		comma()
		if err := w.jsonScalar(f, bits); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) jsonMap(f *field, s slot, depth int) *schema.Invalid {
	items := len(w.items)
	base, err := w.scanMap(f, s, depth)
	if err != nil {
		return err
	}
	key, value := &f.msg.fields[0], &f.msg.fields[1]
	open := byte('{')
	for at, end := base, len(w.slots); at < end; at += 2 {
		k, v := w.slots[at], w.slots[at+1]
		if k.n == dropped {
			if value.msg != nil && v.n > 0 {
				if err := w.checkWhole(value, v, depth); err != nil {
					return err.Key(w.keyText(key, k.bits))
				}
			}
			continue
		}
		w.text = append(w.text, open)
		open = ','
		if key.kind == protoreflect.StringKind {
			err = w.jsonScalar(key, k.bits)
		} else {
			w.text = append(w.text, '"')
			w.text = append(append(w.text, w.keyText(key, k.bits)...), '"')
		}
		w.text = append(w.text, ':')
		if err == nil {
			err = w.jsonField(value, v, depth)
		}
		if err != nil {
			return err.Key(w.keyText(key, k.bits))
		}
	}
	if open == '{' {
		w.text = append(w.text, '{')
	}
	w.text = append(w.text, '}')
	w.release(base, items)
	return nil
}

// jsonScalar appends a value that is no message.
func (w *walker) jsonScalar(f *field, bits uint64) *schema.Invalid {
	if len(w.text) > maxJSONBytes {
		return w.refuse(-1, fmt.Sprintf("at most %d bytes as JSON", maxJSONBytes), "more")
	}
	switch f.kind {
	case protoreflect.BoolKind:
		w.text = strconv.AppendBool(w.text, bits != 0)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		w.text = strconv.AppendInt(w.text, signed(f.kind, bits), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		w.text = strconv.AppendUint(w.text, unsigned(f.kind, bits), 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		w.text = append(strconv.AppendInt(append(w.text, '"'), signed(f.kind, bits), 10), '"')
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.text = append(strconv.AppendUint(append(w.text, '"'), bits, 10), '"')
	case protoreflect.FloatKind:
		w.text = appendJSONFloat(w.text, float64(math.Float32frombits(uint32(bits))), 32)
	case protoreflect.DoubleKind:
		w.text = appendJSONFloat(w.text, math.Float64frombits(bits), 64)
	case protoreflect.EnumKind:
		w.jsonEnum(f, int32(bits))
	case protoreflect.BytesKind:
		start, end := unspan(bits)
		w.text = append(base64.StdEncoding.AppendEncode(append(w.text, '"'), w.buf[start:end]), '"')
	default:
		start, end := unspan(bits)
		b := w.buf[start:end]
		if !f.utf8 && !utf8.Valid(b) {
			return w.refuse(start, "a string in UTF-8", "bytes "+schema.Preview(b))
		}
		w.text = appendJSONString(w.text, b)
	}
	return nil
}

func (w *walker) jsonEnum(f *field, n int32) {
	switch name, ok := f.enum.name(n); {
	case f.enum.null:
		w.text = append(w.text, "null"...)
	case ok:
		w.text = appendJSONString(w.text, name)
	default:
		w.text = strconv.AppendInt(w.text, int64(n), 10)
	}
}

// jsonAnyValue appends a google.protobuf.Value: the member that is set.
func (w *walker) jsonAnyValue(m *message, base, depth int) *schema.Invalid {
	chosen := w.slots[base+len(m.fields)].bits
	if chosen == 0 {
		w.text = append(w.text, "null"...)
		return nil
	}
	f := &m.fields[chosen-1]
	if err := w.jsonField(f, w.slots[base+f.slot], depth); err != nil {
		return err.In(f.name)
	}
	return nil
}

func (w *walker) jsonAny(base int) {
	url, val := w.slots[base], w.slots[base+1]
	if url.n == 0 && val.n == 0 {
		w.text = append(w.text, "{}"...)
		return
	}
	start, end := unspan(url.bits)
	w.text = append(w.text, `{"@type":`...)
	w.text = appendJSONString(w.text, w.buf[start:end])
	start, end = unspan(val.bits)
	w.text = append(w.text, `,"value":"`...)
	w.text = append(base64.StdEncoding.AppendEncode(w.text, w.buf[start:end]), `"}`...)
}

// jsonMask appends a FieldMask: its paths in lowerCamelCase, with commas.
func (w *walker) jsonMask(s slot) {
	mark := len(w.text)
	w.text = append(w.text, '"')
	for i := s.head; i != 0; i = w.items[i-1].next {
		if len(w.text) > mark+1 {
			w.text = append(w.text, ',')
		}
		start, end := unspan(w.items[i-1].bits)
		upper := false
		for _, c := range w.buf[start:end] {
			switch {
			case c == '_':
				upper = true
				continue
			case upper && 'a' <= c && c <= 'z':
				c -= 'a' - 'A'
			case c == '"' || c == '\\' || c < ' ':
				c = '?' // no path has these
			}
			upper = false
			w.text = append(w.text, c)
		}
	}
	w.text = append(w.text, '"')
}

// jsonClock appends a Timestamp or a Duration with 0, 3, 6 or 9 digits of the
// second.
func (w *walker) jsonClock(m *message, pos, end, depth int) *schema.Invalid {
	a, err := w.numbers(m, pos, end, depth)
	if err != nil {
		return err
	}
	sec, nanos := a[0], a[1]
	if m.known == knownTimestamp {
		if _, err := w.timestamp(pos, sec, nanos); err != nil {
			return err
		}
		w.text = time.Unix(sec, 0).UTC().AppendFormat(append(w.text, '"'), "2006-01-02T15:04:05")
		w.text = append(appendFraction(w.text, nanos), `Z"`...)
		return nil
	}
	if _, err := w.duration(pos, sec, nanos); err != nil {
		return err
	}
	w.text = append(w.text, '"')
	if sec < 0 || nanos < 0 {
		w.text, sec, nanos = append(w.text, '-'), -sec, -nanos
	}
	w.text = strconv.AppendInt(w.text, sec, 10)
	w.text = append(appendFraction(w.text, nanos), `s"`...)
	return nil
}

func appendFraction(out []byte, nanos int64) []byte {
	if nanos == 0 {
		return out
	}
	var digits [10]byte
	d := strconv.AppendInt(digits[:0], nanosPerSecond+nanos, 10)[1:]
	for len(d) > 3 && string(d[len(d)-3:]) == "000" {
		d = d[:len(d)-3]
	}
	return append(append(out, '.'), d...)
}

func appendJSONFloat(out []byte, v float64, size int) []byte {
	switch {
	case math.IsNaN(v):
		return append(out, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(out, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, v, format, -1, size)
}

// appendJSONString appends UTF-8 text as a JSON string, RFC 8259 section 7.
func appendJSONString[T string | []byte](out []byte, s T) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(out, s[from:]...), '"')
}
