package wire

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The walk reads a request's lengths before kmsg decodes it, and allocates
// nothing. kmsg makes as many elements as an array claims to have, up to one for
// each byte left (80 times a CreateTopics frame's size), and loops as often as a
// tag section claims to have tags, up to 2^32 times, even when the bytes are at
// an end. After the walk all counts are known to be real, and few enough.

// maxElements bounds the array elements and tags of one request. An element
// takes some 100 to 300 bytes decoded, so that a request stays below 40 MiB
// beyond its frame. The largest real ones name each partition of a cluster.
const maxElements = 1 << 17

// walker steps through bytes. Once bad it stays so, and all it returns is empty.
type walker struct {
	b        []byte
	bad      bool
	version  int16
	flexible bool
	elements int
}

// MaxElements is how many array elements and tags a request may have.
const MaxElements = maxElements

// Elements counts the array elements and tags of a request whose header has been
// read, which say how much memory it takes once it is decoded. What Decode will
// refuse has none.
func Elements(r Request) int {
	body := kmsg.RequestForKey(r.Key)
	if served, ok := Lookup(r.Key); !ok || body == nil || !served.Has(r.Version) {
		return 0
	}
	body.SetVersion(r.Version)
	n, err := walk(r, body.IsFlexible())
	if err != nil {
		return 0
	}
	return n
}

// walk checks a body against the layout of its key, and counts its elements.
func walk(r Request, flexible bool) (elements int, err error) {
	fields, ok := layouts()[r.Key]
	if !ok {
		return 0, fmt.Errorf("%w: %d has no layout", ErrUnknownKey, r.Key)
	}
	w := walker{b: r.Body, version: r.Version, flexible: flexible}
	w.structure(fields)
	switch {
	case w.elements > maxElements:
		return 0, fmt.Errorf("%w: more than %d elements", ErrMalformed, maxElements)
	case w.bad:
		return 0, fmt.Errorf("%w: key %d v%d: lengths pass the end", ErrMalformed, r.Key, r.Version)
	}
	return w.elements, nil
}

func (w *walker) fail() { w.bad, w.b = true, nil }

// take steps over n bytes. A negative n is a null, which has none.
func (w *walker) take(n int) []byte {
	if n > len(w.b) {
		w.fail()
		return nil
	}
	if n <= 0 {
		return nil
	}
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

func (w *walker) length16() int {
	if b := w.take(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (w *walker) length32() int {
	if b := w.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// uvarint reads an unsigned varint of at most 32 bits.
func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		w.fail()
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

// count adds n elements, of which each takes a byte at least.
func (w *walker) count(n int) int {
	if n <= 0 {
		return 0
	}
	if w.elements += n; n > len(w.b) || w.elements > maxElements {
		w.fail()
		return 0
	}
	return n
}

// structure steps over the fields of one structure, and its tags.
func (w *walker) structure(fields []field) {
	var tagged []field
	for i := range fields {
		f := &fields[i]
		switch {
		case w.bad:
			return
		case w.version < f.from || w.version > f.to:
		case f.kind == kindTag:
			tagged = append(tagged, *f)
		default:
			w.field(f)
		}
	}
	if w.flexible {
		w.tags(tagged)
	}
}

// field steps over one field.
func (w *walker) field(f *field) {
	switch f.kind {
	case kindFixed:
		w.take(f.size)
	case kindString, kindBytes:
		w.take(w.length(f.kind))
	case kindPlainArray:
		n := w.count(w.length(f.kind))
		for ; n > 0 && !w.bad; n-- {
			w.field(&f.of[0])
		}
	case kindNullable:
		if b := w.take(1); b != nil && int8(b[0]) != -1 {
			w.structure(f.of)
		}
	case kindArray:
		n := w.count(w.length(f.kind))
		for ; n > 0 && !w.bad; n-- {
			w.structure(f.of)
		}
	}
}

// length reads the length of a string, bytes or an array. Compact ones are one
// more than they say, so that 0 is null.
func (w *walker) length(k kind) int {
	switch {
	case w.flexible:
		return w.uvarint() - 1
	case k == kindString:
		return w.length16()
	}
	return w.length32()
}

// tags steps over a tag section (KIP-482). Structures among the known tags are
// walked too, since kmsg decodes those.
func (w *walker) tags(known []field) {
	for n := w.count(w.uvarint()); n > 0 && !w.bad; n-- {
		key, value := w.uvarint(), w.take(w.uvarint())
		for i := range known {
			if known[i].size == key {
				inner := walker{b: value, version: w.version, flexible: true, elements: w.elements}
				inner.structure(known[i].of)
				w.elements, w.bad = inner.elements, w.bad || inner.bad
			}
		}
	}
}

// layouts are the compiled layouts by key.
var layouts = sync.OnceValue(func() map[int16][]field {
	all := make(map[int16][]field, len(layoutTexts))
	for key, text := range layoutTexts {
		if fields, rest, ok := compile(text); ok && rest == "" {
			all[key] = fields
		}
	}
	return all
})
