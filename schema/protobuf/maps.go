package protobuf

import (
	"bytes"
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// A map is a repeated message of key and value. A key may come again, and the
// last entry counts; an entry may lack key or value, which are then zero.

// fewEntries is how many entries are compared with one another to find keys
// that come again; more are sorted.
const fewEntries = 16

// dropped as the count of a key's slot marks an entry that does not count.
const dropped = unknownEnum | 1

// scanMap reads the entries of a map into slots, two each, from the returned
// base on, and marks those that do not count. An entry that counts has a key
// whose count is not dropped.
func (w *walker) scanMap(f *field, s slot, depth int) (base int, err *schema.Invalid) {
	base = len(w.slots)
	key := &f.msg.fields[0]
	for i := s.head; i != 0; {
		it := w.items[i-1]
		i = it.next
		start, end := unspan(it.bits)
		at := len(w.slots)
		if !w.plainEntry(f.msg, start, end) {
			if at, err = w.scan(f.msg, start, end, depth); err != nil {
				return base, w.inEntry(err, f.msg, start, end)
			}
		}
		k, v := &w.slots[at], &w.slots[at+1]
		k.bits = sameBits(key.kind, k.bits)
		if v.n&unknownEnum != 0 {
			k.n = dropped
		}
	}
	w.dropOlder(key, base)
	return base, nil
}

// plainEntry reads an entry that is a key and a value and nothing else, as
// almost every one is, into two new slots; false if it is not, or if more is to
// be looked at.
func (w *walker) plainEntry(m *message, pos, end int) bool {
	key, val := &m.fields[0], &m.fields[1]
	b := w.buf[:end]
	if val.enum != nil || val.wire == wireGroup || pos >= end || b[pos] != byte(1<<3|key.wire) {
		return false
	}
	k, pos := value(b, pos+1, key, key.wire, 0)
	if pos < 0 || pos >= end || b[pos] != byte(2<<3|val.wire) || key.utf8 && !validText(b, k) {
		return false
	}
	v, pos := value(b, pos+1, val, val.wire, 0)
	if pos != end || val.utf8 && !validText(b, v) || w.pushed >= maxSlots-2 {
		return false
	}
	w.pushed += 2
	w.slots = append(w.slots, slot{bits: k, n: 1}, slot{bits: v, n: 1})
	return true
}

// sameBits makes the bits of equal keys equal.
func sameBits(k protoreflect.Kind, bits uint64) uint64 {
	switch k {
	case protoreflect.BoolKind:
		if bits != 0 {
			return 1
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind:
		return uint64(uint32(bits))
	}
	return bits
}

// dropOlder marks the entries from base on whose key comes again.
func (w *walker) dropOlder(key *field, base int) {
	n := (len(w.slots) - base) / 2
	if n <= fewEntries {
		for i := range n {
			for j := i + 1; j < n; j++ {
				if w.slots[base+2*j].n != dropped && w.compareKeys(key, base+2*i, base+2*j) == 0 {
					w.slots[base+2*i].n = dropped
					break
				}
			}
		}
		return
	}
	w.order = w.order[:0]
	for i := range n {
		if at := base + 2*i; w.slots[at].n != dropped {
			w.order = append(w.order, at)
		}
	}
	slices.SortFunc(w.order, func(a, b int) int {
		return cmp.Or(w.compareKeys(key, a, b), cmp.Compare(a, b))
	})
	for i := 1; i < len(w.order); i++ {
		if w.compareKeys(key, w.order[i-1], w.order[i]) == 0 {
			w.slots[w.order[i-1]].n = dropped
		}
	}
}

// compareKeys orders two entries by their keys, each given by its slot.
func (w *walker) compareKeys(key *field, a, b int) int {
	x, y := w.slots[a].bits, w.slots[b].bits
	if key.kind != protoreflect.StringKind {
		return cmp.Compare(x, y)
	}
	xs, xe := unspan(x)
	ys, ye := unspan(y)
	return bytes.Compare(w.buf[xs:xe], w.buf[ys:ye])
}

// emitMap writes a map field.
func (w *walker) emitMap(c *column, s slot, to *schema.Column, depth int) *schema.Invalid {
	items := len(w.items)
	base, err := w.scanMap(c.f, s, depth)
	if err != nil {
		return err
	}
	n := 0
	key, value := &c.f.msg.fields[0], c.value
	for at, end := base, len(w.slots); at < end; at += 2 {
		k, v := w.slots[at], w.slots[at+1]
		if k.n == dropped {
			// An entry that a later one replaces must be sound all the same.
			if value.f.msg != nil && v.n > 0 {
				if err := w.checkWhole(value.f, v, depth); err != nil {
					return err.Key(w.keyText(key, k.bits))
				}
			}
			continue
		}
		if err := w.spend(c.leafs, 0); err != nil {
			return err
		}
		err := w.scalar(key, k.bits, to.Key())
		if err == nil {
			if value.f.msg != nil {
				err = w.emitMessage(value, v, to.Value(), depth)
			} else {
				err = w.scalar(value.f, v.bits, to.Value())
			}
		}
		if err != nil {
			return err.Key(w.keyText(key, k.bits))
		}
		n++
	}
	w.release(base, items)
	to.Map(n)
	return nil
}
