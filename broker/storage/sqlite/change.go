package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Change is a row as it is now, or that it is gone. Changes of one state, made
// one after another to a Copy in any order, give that state.
type Change struct {
	Kind ChangeKind
	// ID is of a chunk or a log; Key of an item or a counter.
	ID      int64
	Key     []byte
	Numbers []int64  // the row's other numbers, in the order of its columns
	Blobs   [][]byte // and its other blobs
}

// ChangeKind says which table a Change is about.
type ChangeKind byte

// Kinds of changes. Their numbers stand in backups and replicas.
const (
	PutChunk    ChangeKind = 1 // ID; Blobs dir, data
	DropChunk   ChangeKind = 2 // ID; its cuts go with it
	PutLog      ChangeKind = 3 // ID; Numbers part, start, end, epoch, bytes; Blobs topic
	DropLog     ChangeKind = 4 // ID
	PutCuts     ChangeKind = 5 // ID of a chunk; Numbers log, low, high of each of its cuts
	PutItem     ChangeKind = 6 // Key; Numbers version; Blobs value
	DropItem    ChangeKind = 7 // Key
	PutCounter  ChangeKind = 8 // Key; Numbers value
	PutSequence ChangeKind = 9 // Numbers: the highest id that a log ever had
	lastChange             = PutSequence
)

// ErrChange says that bytes are no changes.
var ErrChange = errors.New("malformed change")

// maxNumbers bounds the numbers of one change: the cuts of one chunk.
const maxNumbers = 3 << 20

// Size is about how many bytes the change takes.
func (c *Change) Size() int {
	n := 16 + len(c.Key) + 4*len(c.Numbers)
	for _, b := range c.Blobs {
		n += len(b)
	}
	return n
}

// Append encodes the change behind b: kind 1 byte, id s, key and its length v,
// count of numbers v, numbers s, count of blobs v, blobs each behind its length
// v, where v is an unsigned and s a zigzag varint.
func (c *Change) Append(b []byte) []byte {
	b = append(b, byte(c.Kind))
	b = binary.AppendVarint(b, c.ID)
	b = append(binary.AppendUvarint(b, uint64(len(c.Key))), c.Key...)
	b = binary.AppendUvarint(b, uint64(len(c.Numbers)))
	for _, n := range c.Numbers {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Blobs)))
	for _, blob := range c.Blobs {
		b = append(binary.AppendUvarint(b, uint64(len(blob))), blob...)
	}
	return b
}

// DecodeChange reads one change and returns what follows it. The change aliases
// b. Errors: ErrChange.
func DecodeChange(b []byte) (Change, []byte, error) {
	if len(b) == 0 || b[0] == 0 || ChangeKind(b[0]) > lastChange {
		return Change{}, nil, ErrChange
	}
	c := Change{Kind: ChangeKind(b[0])}
	d := decoder{b: b[1:]}
	c.ID = d.varint()
	c.Key = d.blob()
	n := d.uvarint(min(maxNumbers, uint64(len(d.b))))
	for ; n > 0 && !d.bad; n-- {
		c.Numbers = append(c.Numbers, d.varint())
	}
	for n = d.uvarint(2); n > 0 && !d.bad; n-- {
		c.Blobs = append(c.Blobs, d.blob())
	}
	numbers, blobs := c.Kind.shape(len(c.Numbers))
	if d.bad || len(c.Numbers) != numbers || len(c.Blobs) != blobs {
		return Change{}, nil, fmt.Errorf("%w of kind %d", ErrChange, c.Kind)
	}
	return c, d.b, nil
}

// shape is how many numbers and blobs a change has; cuts have any number of
// threes, given as has.
func (k ChangeKind) shape(has int) (numbers, blobs int) {
	switch k {
	case PutChunk:
		return 0, 2
	case PutLog:
		return 5, 1
	case PutCuts:
		return has / 3 * 3, 0
	case PutItem:
		return 1, 1
	case PutCounter, PutSequence:
		return 1, 0
	}
	return 0, 0
}

// blob reads bytes behind their length.
func (d *decoder) blob() []byte {
	n := d.uvarint(uint64(len(d.b)))
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}
