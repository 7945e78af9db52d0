package protobuf

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// check validates the message at buf[pos:end] without making columns. Most
// fields are judged where they stand. Staged ones (required fields, and messages
// whose validity depends on all their parts) are kept in slots and judged at the
// end. A weak check is of a message that does not count, since another member of
// its oneof came after it: it must only be sound bytes.
func (w *walker) check(m *message, pos, end, depth int, weak bool) *schema.Invalid {
	staged := len(m.staged) > 0 && !weak
	base, items := len(w.slots), len(w.items)
	if staged {
		if w.push(m.slots); w.pushed > maxSlots {
			return w.tooWide(pos)
		}
	}
	b, first := w.buf[:end], pos
	for pos < end {
		start, tag := pos, uint64(b[pos])
		if pos++; tag >= 0x80 {
			if tag, pos = uvarint(b, start); pos < 0 {
				return w.broken(m, b, first, start)
			}
		}
		f := m.field(int(tag >> 3))
		var err *schema.Invalid
		switch {
		case f == nil || !f.takes(int(tag&7)):
			if pos = skipField(b, pos, tag, depth); w.strict && pos >= 0 && !weak && !m.extendable(int(tag>>3)) {
				err = w.refuse(start, "fields of message "+m.name, fmt.Sprintf("number %d with wire type %d", tag>>3, tag&7))
			}
		case staged && f.special:
			var bits uint64
			if bits, pos = value(b, pos, f, int(tag&7), depth); pos >= 0 {
				err = w.put(base, m, f, bits, int(tag&7), depth)
			}
		case tag&7 == wireVarint:
			if pos < end && b[pos] < 0x80 {
				pos++
			} else {
				_, pos = uvarint(b, pos)
			}
		default:
			if pos, err = w.checkValue(b, pos, f, int(tag&7), depth, weak); err != nil {
				err = w.locate(err, m, f, first, start)
			}
		}
		if err != nil {
			return err
		}
		if pos < 0 {
			return w.broken(m, b, first, start)
		}
	}
	if !staged {
		return nil
	}
	err := w.checkStaged(m, base, depth)
	w.release(base, items)
	return err
}

// checkStaged judges the fields that check has kept.
func (w *walker) checkStaged(m *message, base, depth int) *schema.Invalid {
	for _, f := range m.staged {
		s := *w.slot(base, f.slot)
		if s.n == 0 {
			if f.required {
				return w.missing(f)
			}
			if !f.inEntry {
				continue
			}
		}
		if f.msg == nil {
			continue
		}
		// An entry without a value has an empty one: bits are 0.
		if err := w.checkWhole(f, s, depth); err != nil {
			return err.In(f.name)
		}
	}
	return nil
}

// missing refuses a message without a required field.
func (w *walker) missing(f *field) *schema.Invalid {
	return w.refuse(-1, "a value, since the field is required", "none").In(f.name)
}

// checkWhole validates a message from all its parts.
func (w *walker) checkWhole(f *field, s slot, depth int) *schema.Invalid {
	if s.head == 0 {
		start, end := unspan(s.bits)
		return w.checkNested(f, start, end, depth, false)
	}
	end, undo, err := w.join(f, s, depth)
	if err == nil {
		err = w.checkNested(f, 0, end, depth, false)
	}
	undo()
	return err
}

// checkValue validates one value that is no single varint and returns where it
// ends, or -1. The error's path begins at the value.
func (w *walker) checkValue(b []byte, pos int, f *field, wire, depth int, weak bool) (int, *schema.Invalid) {
	if wire != wireBytes {
		bits, next := value(b, pos, f, wire, depth)
		if next >= 0 && wire == wireGroup {
			start, end := unspan(bits)
			return next, w.checkNested(f, start, end, depth, weak)
		}
		return next, nil
	}
	start, end := length(b, pos)
	switch {
	case end < 0:
	case f.utf8:
		if !schema.ValidUTF8(b[start:end]) {
			return end, w.refuse(start, "a string in UTF-8", "bytes "+schema.Preview(b[start:end]))
		}
	case f.msg != nil:
		return end, w.checkNested(f, start, end, depth, weak)
	case f.packable:
		return end, w.checkPacked(f, start, end)
	}
	return end, nil
}

// checkNested validates one message in the field f.
func (w *walker) checkNested(f *field, pos, end, depth int, weak bool) *schema.Invalid {
	if f.mapped { // an entry is a message on the wire only
		return w.check(f.msg, pos, end, depth, weak)
	}
	if depth >= schema.MaxDepth {
		return w.tooDeep(pos)
	}
	if !f.msg.known.ranged() || weak {
		return w.check(f.msg, pos, end, depth+1, weak)
	}
	if w.strict { // what reads a range looks at its own fields only
		if err := w.check(f.msg, pos, end, depth+1, weak); err != nil {
			return err
		}
	}
	if f.msg.known == knownDecimal {
		_, err := w.decimal(f, pos, end, depth+1)
		return err
	}
	_, err := w.moment(f.msg, pos, end, depth+1)
	return err
}

func (w *walker) tooDeep(pos int) *schema.Invalid {
	return w.refuse(pos, fmt.Sprintf("messages nested at most %d deep", schema.MaxDepth), "one more")
}

// checkPacked validates the numbers in buf[pos:end].
func (w *walker) checkPacked(f *field, pos, end int) *schema.Invalid {
	for b := w.buf[:end]; pos < end; {
		_, next := value(b, pos, f, f.wire, 0)
		if next < 0 {
			return w.notPacked(f, pos)
		}
		pos = next
	}
	return nil
}

func (w *walker) notPacked(f *field, pos int) *schema.Invalid {
	return w.refuse(pos, f.kind.String(), "the end of the packed list, or more than 64 bits")
}

// locate puts the path of a value of f, whose tag is at pos, before an error in
// it: the field, and the item or key where it has many. It reads the message
// again from first: errors may cost what good payloads must not.
func (w *walker) locate(err *schema.Invalid, m *message, f *field, first, pos int) *schema.Invalid {
	tag, after := uvarint(w.buf, pos)
	switch {
	case f.mapped:
		start, end := length(w.buf, after)
		err = w.inEntry(err, f.msg, start, end)
	case f.repeated && f.packable && tag&7 == wireBytes:
		start, end := length(w.buf, after)
		n := countPacked(w.buf[:end], start, f)
		err = err.At(w.countBefore(m, f, first, pos) + n)
	case f.repeated:
		err = err.At(w.countBefore(m, f, first, pos))
	}
	return err.In(f.name)
}

// inEntry puts an error's path below the key of the map entry at buf[pos:end].
func (w *walker) inEntry(err *schema.Invalid, m *message, pos, end int) *schema.Invalid {
	err.Path = "$" + strings.TrimPrefix(err.Path[1:], ".value")
	return err.Key(w.entryKey(m, pos, end))
}

// countBefore counts the values of f in buf[pos:end], without those that are
// no values since a closed enum does not know them.
func (w *walker) countBefore(m *message, f *field, pos, end int) int {
	n := 0
	for b := w.buf[:end]; pos < end; {
		tag, after := uvarint(b, pos)
		if after < 0 {
			break
		}
		next := skipField(b, after, tag, 0)
		if next < 0 {
			break
		}
		if m.field(int(tag>>3)) == f && f.takes(int(tag&7)) {
			if f.packable && tag&7 == wireBytes {
				start, _ := length(b, after)
				more := countPacked(b[:next], start, f)
				n += more
			} else if bits, _ := value(b, after, f, int(tag&7), 0); f.counts(bits) {
				n++
			}
		}
		pos = next
	}
	return n
}

// countPacked counts the values of f in b from pos on, as far as they can be
// read.
func countPacked(b []byte, pos int, f *field) int {
	n := 0
	for pos < len(b) {
		bits, next := value(b, pos, f, f.wire, 0)
		if next < 0 {
			return n
		}
		if f.counts(bits) {
			n++
		}
		pos = next
	}
	return n
}

// counts says whether a value on the wire is one of the field: a number that a
// closed enum does not know is an unknown field.
func (f *field) counts(bits uint64) bool {
	return f.enum == nil || !f.enum.closed || f.known(bits)
}

// entryKey is the key of a map entry as text, for an error; empty where the
// entry cannot be read.
func (w *walker) entryKey(m *message, pos, end int) []byte {
	var key []byte
	f := &m.fields[0]
	for b := w.buf[:end]; pos < end; {
		tag, after := uvarint(b, pos)
		if after < 0 {
			break
		}
		if m.field(int(tag>>3)) == f && f.takes(int(tag&7)) {
			if bits, next := value(b, after, f, int(tag&7), 0); next >= 0 {
				key = w.keyText(f, bits)
			}
		}
		if pos = skipField(b, after, tag, 0); pos < 0 {
			break
		}
	}
	return key
}

// keyText is a map's key as text.
func (w *walker) keyText(f *field, bits uint64) []byte {
	switch f.kind {
	case protoreflect.StringKind:
		start, end := unspan(bits)
		return w.buf[start:end]
	case protoreflect.BoolKind:
		return strconv.AppendBool(nil, bits != 0)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(nil, unsigned(f.kind, bits), 10)
	}
	return strconv.AppendInt(nil, signed(f.kind, bits), 10)
}
