package record

import "iter"

// Batch is one whole v2 batch with its parsed header.
type Batch struct {
	Header Header
	Bytes  []byte // aliases the bytes it was split from, capacity clipped
}

// Split walks concatenated v2 batches and yields each one's bytes, which alias
// b. It stops after the first error: ErrShort if b ends inside a batch, ErrMagic
// or ErrCorrupt if a header is wrong. Checksums are not looked at.
func Split(b []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for batch, err := range Batches(b) {
			if !yield(batch.Bytes, err) {
				return
			}
		}
	}
}

// Batches is Split with the parsed headers.
func Batches(b []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for len(b) > 0 {
			h, err := ParseHeader(b)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			n := h.Size()
			if !yield(Batch{Header: h, Bytes: b[:n:n]}, nil) {
				return
			}
			b = b[n:]
		}
	}
}

// Magic is the format version of the batch or message at the start of b: 0, 1
// or 2. The byte has the same place in all three formats.
func Magic(b []byte) (int8, error) {
	if len(b) <= posMagic {
		return 0, ErrShort
	}
	return int8(b[posMagic]), nil
}
