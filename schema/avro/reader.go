package avro

import (
	"fmt"

	"github.com/tarn-io/tarn/schema"
)

// maxRowBytes bounds what one payload may fill in columns beyond its own bytes:
// an item of one byte in an array may be a null struct of thousands of columns.
const maxRowBytes = 256 << 20

// reader is the state of one walk over a payload.
type reader struct {
	b      []byte
	pos    int
	depth  int  // levels entered by back references
	empty  int  // items so far that took no bytes
	filled int  // bytes filled in columns by items, beside content
	text   bool // inside a back reference: filled counts JSON text
}

// long reads a zigzag varint of at most 64 bits.
func (r *reader) long() (int64, bool) {
	if r.pos < len(r.b) {
		if b := r.b[r.pos]; b < 0x80 {
			r.pos++
			return int64(b>>1) ^ -int64(b&1), true
		}
	}
	return r.longSlow()
}

//go:noinline
func (r *reader) longSlow() (int64, bool) {
	var u uint64
	for i, b := range r.b[r.pos:min(len(r.b), r.pos+10)] {
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if i == 9 && b > 1 {
				return 0, false
			}
			r.pos += i + 1
			return int64(u>>1) ^ -int64(u&1), true
		}
	}
	return 0, false
}

// int reads a zigzag varint of at most 32 bits, in at most 5 bytes.
func (r *reader) int() (int32, bool) {
	start := r.pos
	v, ok := r.long()
	if !ok || v != int64(int32(v)) || r.pos-start > 5 {
		r.pos = start
		return 0, false
	}
	return int32(v), true
}

// index reads the index of a symbol or branch. At false the place is as before.
func (r *reader) index() (int, bool) {
	if r.pos < len(r.b) {
		if b := r.b[r.pos]; b < 0x80 && b&1 == 0 {
			r.pos++
			return int(b >> 1), true
		}
	}
	return r.indexSlow()
}

//go:noinline
func (r *reader) indexSlow() (int, bool) {
	start := r.pos
	v, ok := r.int()
	if !ok || v < 0 {
		r.pos = start
		return 0, false
	}
	return int(v), true
}

// take reads a length and as many bytes, without copying them.
func (r *reader) take() ([]byte, bool) {
	pos := r.pos
	if pos < len(r.b) {
		if b := r.b[pos]; b < 0x80 && b&1 == 0 {
			pos++
			end := pos + int(b>>1)
			if end <= len(r.b) {
				r.pos = end
				return r.b[pos:end], true
			}
			return nil, false
		}
	}
	return r.takeSlow()
}

//go:noinline
func (r *reader) takeSlow() ([]byte, bool) {
	start := r.pos
	n, ok := r.long()
	if !ok || n < 0 || n > int64(len(r.b)-r.pos) {
		r.pos = start
		return nil, false
	}
	return r.fixed(int(n))
}

// fixed reads n bytes.
func (r *reader) fixed(n int) ([]byte, bool) {
	if n > len(r.b)-r.pos {
		return nil, false
	}
	b := r.b[r.pos : r.pos+n]
	r.pos += n
	return b, true
}

// refuse makes the error for what stands at r.pos.
func (r *reader) refuse(expected string) *schema.Invalid {
	rest := r.b[r.pos:]
	found := "the end of the payload"
	if len(rest) > 0 {
		found = fmt.Sprintf("bytes % x", rest[:min(len(rest), 10)])
		if len(rest) > 10 {
			found += fmt.Sprintf("... (%d left)", len(rest))
		}
	}
	return schema.Refuse(r.pos, expected, found)
}

// length is refuse for a length that is no number or exceeds the payload.
func (r *reader) refuseLength(what string) *schema.Invalid {
	start := r.pos
	n, ok := r.long()
	left := len(r.b) - r.pos
	r.pos = start
	if !ok {
		return r.refuse(what)
	}
	return schema.Refuse(start, what, fmt.Sprintf("a length of %d with %d bytes left", n, left))
}

// refuseIndex is the error for an index that is none, or not below n.
func (r *reader) refuseIndex(what string, n, v int, ok bool) *schema.Invalid {
	e := r.refuse(fmt.Sprintf("index of %s below %d", what, n))
	if ok {
		e.Found = fmt.Sprint(v)
	}
	return e
}

// fill counts bytes that n values of a node fill; false when they are too many.
func (r *reader) fill(n int64, of *node) bool {
	each := of.cost
	if r.text {
		each = of.text
	}
	if n > int64(maxRowBytes/max(each, 1)) {
		return false
	}
	r.filled += int(n) * each
	return r.filled <= maxRowBytes
}
