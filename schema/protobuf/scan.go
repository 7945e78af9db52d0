package protobuf

import (
	"encoding/binary"
	"fmt"

	"github.com/tarn-io/tarn/schema"
)

// A message may bring its fields in any order, a field more than once, and
// lists in pieces between other fields, while a column takes one value a row.
// So a message is scanned first, which leaves the last value of each field in
// its slot, and then its slots are written out in column order. Slots are kept
// on a stack: a nested message's lie above those of the message that holds it.

// slot is what a scan found of one field.
type slot struct {
	// bits is a number as it stood on the wire, or start<<32|end of bytes, or
	// for a oneof's slot 1 + the slot of the member that was set last.
	bits uint64
	n    uint32 // how many values; 0 means absent
	// head and tail are 1 + the first and last of the values in walker.items:
	// of a repeated field all, of a message that came more than once its parts.
	head, tail uint32
}

// item is one of several values of a field, in a list by next.
type item struct {
	bits   uint64
	next   uint32 // 1 + index, or 0
	packed bool   // bits are the bytes of many numbers
}

func span(start, end int) uint64          { return uint64(start)<<32 | uint64(end) }
func unspan(bits uint64) (start, end int) { return int(bits >> 32), int(uint32(bits)) }
func (s *slot) clear()                    { *s = slot{} }
func (w *walker) slot(base, i int) *slot  { return &w.slots[base+i] }
func (w *walker) release(base, items int) { w.slots, w.items = w.slots[:base], w.items[:items] }

// walker is the scratch of one decode. It belongs to one call at a time.
type walker struct {
	buf    []byte // what positions count in: the payload, or joined parts
	slots  []slot
	items  []item
	joined []byte // parts of messages that came more than once
	text   []byte // JSON being written
	cells  int    // spent of maxCells
	pushed int    // spent of maxSlots
	nested int    // of buf in joined: positions mean nothing to the caller
	order  []int  // of map entries by key
	strict bool   // check refuses fields that the schema does not have
}

// keep is how many slots, items or bytes a walker may hold on to between
// payloads; a larger one came from a rare payload and goes.
const keep = 64 << 10

// maxSlots bounds the slots made for one payload. A nested message takes two
// bytes, but a slot for each of its fields, which may be thousands; clearing this
// many takes a few tenths of a second.
const maxSlots = 64 << 20

func (w *walker) tooWide(pos int) *schema.Invalid {
	return w.refuse(pos, fmt.Sprintf("messages of at most %d fields in all", maxSlots), "more")
}

// reset makes the walker ready for a payload.
func (w *walker) reset(payload []byte) {
	w.buf, w.cells, w.pushed, w.nested, w.strict = payload, 0, 0, 0, false
	w.slots, w.items = w.slots[:0], w.items[:0]
	w.joined, w.text = w.joined[:0], w.text[:0]
}

// oversized says that the walker grew beyond what is worth keeping.
func (w *walker) oversized() bool {
	return cap(w.slots) > keep || cap(w.items) > keep || cap(w.joined) > 16*keep || cap(w.text) > 16*keep
}

// push makes n empty slots and returns where they start.
func (w *walker) push(n int) int {
	base := len(w.slots)
	w.pushed += n
	if base+n > cap(w.slots) {
		w.slots = append(w.slots, make([]slot, n)...)
		return base
	}
	w.slots = w.slots[:base+n]
	clear(w.slots[base:])
	return base
}

// add appends a value to a field's list.
func (w *walker) add(s *slot, bits uint64, packed bool) {
	w.items = append(w.items, item{bits: bits, packed: packed})
	at := uint32(len(w.items))
	if s.tail == 0 {
		s.head = at
	} else {
		w.items[s.tail-1].next = at
	}
	s.tail = at
	s.n++
}

// scan reads the fields of a message at buf[pos:end] into new slots, one for
// each of its fields and oneofs from the returned base on. Strings are checked,
// nested messages not: who writes the slots out goes into them. Release the
// slots and items after use.
func (w *walker) scan(m *message, pos, end, depth int) (int, *schema.Invalid) {
	base := w.push(m.slots)
	if w.pushed > maxSlots {
		return base, w.tooWide(pos)
	}
	b, first := w.buf[:end], pos
	for pos < end {
		start, tag := pos, uint64(b[pos])
		if pos++; tag >= 0x80 {
			if tag, pos = uvarint(b, start); pos < 0 {
				return base, w.broken(m, b, first, start)
			}
		}
		f := m.field(int(tag >> 3))
		if f == nil || !f.takes(int(tag&7)) {
			if pos = skipField(b, pos, tag, depth); pos < 0 {
				return base, w.broken(m, b, first, start)
			}
			continue
		}
		bits, next := value(b, pos, f, int(tag&7), depth)
		if next < 0 {
			return base, w.broken(m, b, first, start)
		}
		if f.plain && (!f.utf8 || validText(b, bits)) {
			s := &w.slots[base+f.slot]
			s.bits, s.n, pos = bits, 1, next
			continue
		}
		if err := w.put(base, m, f, bits, int(tag&7), depth); err != nil {
			return base, err
		}
		pos = next
	}
	if len(m.extended) > 0 {
		return base, w.checkExtensions(m, base, depth)
	}
	return base, nil
}

// takes says whether the field reads this wire type; another one makes it an
// unknown field.
func (f *field) takes(wire int) bool {
	return wire == f.wire || wire == wireBytes && f.packable
}

// value reads the value of f at pos: a number, or the span of bytes.
func value(b []byte, pos int, f *field, wire, depth int) (bits uint64, next int) {
	switch wire {
	case wireVarint:
		if pos < len(b) && b[pos] < 0x80 {
			return uint64(b[pos]), pos + 1
		}
		return uvarint(b, pos)
	case wireBytes:
		if pos < len(b) && int(b[pos]) < min(0x80, len(b)-pos) {
			end := pos + 1 + int(b[pos])
			return span(pos+1, end), end
		}
		start, end := length(b, pos)
		return span(start, end), end
	case wire64:
		if pos+8 > len(b) {
			return 0, -1
		}
		return binary.LittleEndian.Uint64(b[pos:]), pos + 8
	case wire32:
		if pos+4 > len(b) {
			return 0, -1
		}
		return uint64(binary.LittleEndian.Uint32(b[pos:])), pos + 4
	}
	end, next := skipGroup(b, pos, f.num, depth+1)
	return span(pos, end), next
}

// put stores a value that was read, by the field's rules.
func (w *walker) put(base int, m *message, f *field, bits uint64, wire, depth int) *schema.Invalid {
	s := w.slot(base, f.slot)
	if f.wire == wireBytes {
		if f.utf8 {
			if !validText(w.buf, bits) {
				return w.notText(f, s, bits)
			}
		}
	} else if f.packable && wire == wireBytes {
		w.add(s, bits, true)
		return nil
	} else if f.enum != nil && f.enum.closed && !f.known(bits) {
		if f.inEntry {
			s.n, s.bits = unknownEnum, bits
		}
		return nil
	}
	if f.oneof != 0 {
		if err := w.choose(base, m, f, depth); err != nil {
			return err
		}
	}
	switch {
	case f.repeated:
		w.add(s, bits, false)
	case f.msg != nil && s.n > 0:
		if s.n == 1 {
			s.n = 0
			w.add(s, s.bits, false)
		}
		w.add(s, bits, false)
	default:
		s.bits, s.n = bits, 1
	}
	return nil
}

// unknownEnum as a slot's count marks a map value whose closed enum does not
// know the number: the whole entry is then an unknown field.
const unknownEnum = 1 << 31

// known says whether the field's enum has this number.
func (f *field) known(bits uint64) bool {
	_, ok := f.enum.name(int32(bits))
	return ok
}

// choose makes f the member that its oneof holds and clears the one before. A
// message that goes so was never looked at: its bytes must be sound even so.
func (w *walker) choose(base int, m *message, f *field, depth int) *schema.Invalid {
	o := w.slot(base, f.oneof)
	last := o.bits
	o.bits = uint64(f.slot + 1)
	if last == 0 || last == o.bits {
		return nil
	}
	old := &m.fields[last-1]
	s := w.slot(base, old.slot)
	gone := *s
	s.clear()
	if old.msg == nil {
		return nil
	}
	if err := w.checkParts(old, gone, depth); err != nil {
		return err.In(old.name)
	}
	return nil
}

// checkParts holds that each part of a message is sound bytes by itself: of one
// that does not count in the end, or that is to be joined.
func (w *walker) checkParts(f *field, s slot, depth int) *schema.Invalid {
	if s.head == 0 {
		start, end := unspan(s.bits)
		return w.checkNested(f, start, end, depth, true)
	}
	for i := s.head; i != 0; i = w.items[i-1].next {
		start, end := unspan(w.items[i-1].bits)
		if err := w.checkNested(f, start, end, depth, true); err != nil {
			return err
		}
	}
	return nil
}

// validText says whether the bytes of a span are UTF-8.
func validText(b []byte, bits uint64) bool {
	start, end := unspan(bits)
	return schema.ValidUTF8(b[start:end])
}

// notText refuses the bytes of a string field.
func (w *walker) notText(f *field, s *slot, bits uint64) *schema.Invalid {
	start, end := unspan(bits)
	err := w.refuse(start, "a string in UTF-8", "bytes "+schema.Preview(w.buf[start:end]))
	if f.repeated {
		err = err.At(int(s.n))
	}
	return err.In(f.name)
}

// refuse makes an Invalid. A position counts only in the payload itself.
func (w *walker) refuse(pos int, expected, found string) *schema.Invalid {
	if w.nested > 0 {
		pos = -1
	}
	return schema.Refuse(pos, expected, found)
}

// broken explains why there is no field at pos, in a message that begins at
// first. The path leads to the field, where its tag can be read and the message
// has its number, and else to the message.
func (w *walker) broken(m *message, b []byte, first, pos int) *schema.Invalid {
	err := broken(b, pos)
	if w.nested > 0 {
		err.Pos = -1
	}
	tag, after := uvarint(b, pos)
	if after < 0 || tag&7 == wireEnd || tag&7 > wire32 || tag>>3 > maxNumber {
		return err
	}
	f := m.field(int(tag >> 3))
	if f == nil {
		return err
	}
	// An entry of a map has no key yet, and a packed list no end: they are the
	// field's. A value of another wire type is no item of it.
	wire := int(tag & 7)
	if f.repeated && !f.mapped && f.takes(wire) && (!f.packable || wire != wireBytes) {
		err = err.At(w.countBefore(m, f, first, pos))
	}
	return err.In(f.name)
}

// join puts the parts of a message into one buffer, which then is buf; done
// with it, call the function returned, after an error too. To merge two messages
// is to decode one after the other, if each is sound: a field that one breaks
// off must not go on in the next. Parts within parts were looked at with them.
func (w *walker) join(f *field, s slot, depth int) (end int, undo func(), err *schema.Invalid) {
	if w.nested == 0 {
		if err := w.checkParts(f, s, depth); err != nil {
			return 0, func() {}, err
		}
	}
	start, old := len(w.joined), w.buf
	for i := s.head; i != 0; i = w.items[i-1].next {
		from, to := unspan(w.items[i-1].bits)
		w.joined = append(w.joined, old[from:to]...)
	}
	w.buf = w.joined[start:len(w.joined):len(w.joined)]
	w.nested++
	return len(w.buf), func() {
		w.buf, w.joined = old, w.joined[:start]
		w.nested--
	}, nil
}
